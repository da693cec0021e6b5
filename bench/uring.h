/* SPDX-License-Identifier: MIT */
/*
 * The little of io_uring that the harness needs, straight on the three system calls, so that the
 * generator and the floor server depend on no library and on nothing of the engine.
 *
 *     sqe = sl_uring_sqe(ring) … fill it … sl_uring_enter(ring, 1, timeout)
 *     while ((cqe = sl_uring_peek(ring))) { … sl_uring_seen(ring); }
 *
 * One thread owns a ring: it is made with SINGLE_ISSUER and DEFER_TASKRUN, so completions appear
 * only inside sl_uring_enter. Needs Linux 6.1; the caller falls back when init refuses.
 */
#pragma once

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_uring {
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    uint32_t *sq_head; /* kernel writes */
    uint32_t *sq_tail; /* we write */
    uint32_t *sq_flags;
    uint32_t *cq_head; /* we write */
    uint32_t *cq_tail; /* kernel writes */
    uint32_t *cq_overflow;
    uint32_t sq_mask;
    uint32_t cq_mask;
    uint32_t sqe_tail; /* filled by us, published at enter */
    uint32_t sqe_sent; /* taken by the kernel */
    int fd;
    void *ring_map;
    size_t ring_map_size; /* bytes */
    size_t sqes_map_size; /* bytes */
};

/* A ring of receive buffers that the kernel picks from (group 0). */
struct sl_uring_bufs {
    struct io_uring_buf_ring *ring;
    uint8_t *data;  /* `count` buffers of `size` bytes */
    uint32_t count; /* power of two */
    uint32_t size;  /* bytes */
    uint16_t tail;
};

/*
 * Make a ring of `entries` submissions (power of two) and eight times as many completions.
 * returns  0, or -errno (-ENOSYS, -EPERM, -EINVAL: this kernel or container has no such ring)
 * source   io_uring_setup(2)
 */
int sl_uring_init(struct sl_uring *ring, uint32_t entries);

/* Zero-initialised or half-made is fine. */
void sl_uring_fini(struct sl_uring *ring);

/* Register `count` (power of two) buffers of `size` bytes as group 0. 0 or -errno. */
int sl_uring_bufs_init(struct sl_uring *ring, struct sl_uring_bufs *bufs, uint32_t count,
                       uint32_t size);
void sl_uring_bufs_fini(struct sl_uring_bufs *bufs);

/* A zeroed entry to fill; submits what is waiting if the queue is full. Never NULL. */
struct io_uring_sqe *sl_uring_sqe(struct sl_uring *ring);

/*
 * Submit what was filled, run deferred completions, and wait until `wait_count` completions are
 * there or `timeout_ns` has passed (UINT64_MAX: no limit). 0 or -errno; a timeout and a signal
 * are 0.
 */
int sl_uring_enter(struct sl_uring *ring, uint32_t wait_count, uint64_t timeout_ns);

/* True if the kernel has completions that only an enter will deliver. */
static inline bool sl_uring_has_deferred(const struct sl_uring *ring)
{
    return (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* The next completion, borrowed until sl_uring_seen; NULL: none. */
static inline struct io_uring_cqe *sl_uring_peek(struct sl_uring *ring)
{
    /* Acquire pairs with the kernel's release of the tail after it wrote the entry. */
    uint32_t tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
    uint32_t head = *ring->cq_head;
    return head == tail ? NULL : &ring->cqes[head & ring->cq_mask];
}

static inline void sl_uring_seen(struct sl_uring *ring)
{
    /* Release: the entry was read before the kernel may write it again. */
    __atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
}

/* The buffer that a completion names. Borrowed until given back. */
static inline uint8_t *sl_uring_buf_get(const struct sl_uring_bufs *bufs, uint32_t cqe_flags)
{
    return bufs->data + (size_t)(cqe_flags >> IORING_CQE_BUFFER_SHIFT) * bufs->size;
}

/* Give a completion's buffer back to the kernel. */
static inline void sl_uring_buf_put(struct sl_uring_bufs *bufs, uint32_t cqe_flags)
{
    uint16_t id = (uint16_t)(cqe_flags >> IORING_CQE_BUFFER_SHIFT);
    struct io_uring_buf *slot = &bufs->ring->bufs[bufs->tail & (bufs->count - 1)];
    slot->addr = (uintptr_t)(bufs->data + (size_t)id * bufs->size);
    slot->len = bufs->size;
    slot->bid = id;
    bufs->tail++;
    /* Release pairs with the kernel's acquire: the slot is whole before the tail shows it. */
    __atomic_store_n(&bufs->ring->tail, bufs->tail, __ATOMIC_RELEASE);
}

/* Fill `sqe` with a multishot receive on `fd` from group 0. */
static inline void sl_uring_prep_recv(struct io_uring_sqe *sqe, int fd, uint64_t user_data)
{
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = fd;
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->user_data = user_data;
}

/* Fill `sqe` with a send of all `size` bytes; `data` must stay until the completion. */
static inline void sl_uring_prep_send(struct io_uring_sqe *sqe, int fd, const void *data,
                                      uint32_t size, uint64_t user_data)
{
    sqe->opcode = IORING_OP_SEND;
    sqe->fd = fd;
    sqe->addr = (uintptr_t)data;
    sqe->len = size;
    sqe->msg_flags = 0x100 | 0x4000; /* MSG_WAITALL | MSG_NOSIGNAL */
    sqe->user_data = user_data;
}
