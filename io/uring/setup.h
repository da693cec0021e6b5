/* SPDX-License-Identifier: MIT */
/*
 * Making a ring with what this kernel has: the flags, the receive buffers, and the probes that
 * decide which way the poller goes. Internal to io/uring.
 *
 * Receive buffers: one block of memory, cut into `count` buffers that the kernel takes in ring
 * order. They lie `stride` bytes apart, a few cache lines more than their size: with a power of
 * two all first lines would fall into the same few cache sets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/shard/poller.h"
#include "io/uring/compat.h"

struct sl_uring_bufs {
    struct io_uring_buf_ring *ring; /* shared with the kernel */
    uint8_t *base;                  /* count × stride bytes */
    uint32_t count;                 /* power of two */
    uint32_t size;                  /* bytes of one that the kernel may fill */
    uint32_t stride;                /* bytes from one to the next */
    uint16_t tail;                  /* ours; published to the kernel by each return */
    size_t map_size;                /* bytes of the one mapping that holds ring and buffers */
};

struct sl_uring_setup {
    struct io_uring ring;
    struct sl_uring_bufs bufs;
    uint32_t setup_flags; /* IORING_SETUP_* that were accepted */
    uint32_t enter_flags; /* IORING_ENTER_* of every enter */
    uint32_t recv_cap;    /* bytes after which a multishot receive ends; 0: use one-shot */
    char summary[160];    /* "kernel 6.18, DEFER_TASKRUN, …", for the start line */
};

/*
 * Make a ring in the calling thread, which will be its only user.
 *
 * config   its zeroes are already replaced by defaults
 * returns  0 or -errno; `reterr` then says what was refused and what a person may do
 */
int sl_uring_setup_init(struct sl_uring_setup *setup, const struct sl_poller_config *config,
                        struct sl_diag *reterr);

/* Release everything. Same thread. Harmless on a setup whose init failed. */
void sl_uring_setup_fini(struct sl_uring_setup *setup);

/* Publish the prepared entries; returns how many the kernel has not taken yet. */
uint32_t sl_uring_setup_flush(struct sl_uring_setup *setup);

/*
 * One io_uring_enter: submit what was flushed, wait for `wait_count` completions or `timeout_ns`
 * (UINT64_MAX: no limit), run deferred work. Returns what the kernel returned, or -errno.
 */
int sl_uring_setup_enter(struct sl_uring_setup *setup, uint32_t submit_count, uint32_t wait_count,
                         uint64_t timeout_ns);

/* Buffer `id`, and giving it back to the kernel. */
static inline uint8_t *sl_uring_buf(struct sl_uring_bufs *bufs, uint32_t id)
{
    return bufs->base + (size_t)id * bufs->stride;
}

static inline void sl_uring_buf_return(struct sl_uring_bufs *bufs, uint32_t id)
{
    struct io_uring_buf *slot = &bufs->ring->bufs[bufs->tail & (bufs->count - 1)];
    slot->addr = (uintptr_t)sl_uring_buf(bufs, id);
    slot->len = bufs->size;
    slot->bid = (uint16_t)id;
    bufs->tail++;
    /* Pairs with the kernel's acquire of the tail: it reads the entry after it. */
    __atomic_store_n(&bufs->ring->tail, bufs->tail, __ATOMIC_RELEASE);
}
