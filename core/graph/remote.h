/* SPDX-License-Identifier: MIT */
/*
 * Packets between shards: `placement: core N` on a node.
 *
 *   shard A: walk reaches the node         shard B, where it is placed
 *     frame parked ── CALL ──► ring A→B ──► a child process walks on from the node
 *     frame resumes ◄ ANSWER ◄ ring B→A ◄── when the process has ended
 *                  ── CANCEL ►              (the caller gave up: the process is cancelled)
 *
 * Packets are sealed: nothing of one shard's memory is read by another. The message carries the
 * program; the calling process holds it, so it lives until the answer is back. The answer is sent
 * after the remote process has ended and unpinned the program, so that at every moment somebody
 * holds it whom the control thread can see.
 *
 * One ring for each ordered pair of shards, made before the shards run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat.h"

struct sl_frame;
struct sl_shard;
struct sl_symbol;

struct sl_remote_stats {
    uint64_t calls;   /* sent to other shards */
    uint64_t answers; /* sent back */
    uint64_t refused; /* no room in the ring: answered `overload` */
    /* Now: */
    uint64_t waiting;        /* answers that found no room */
    uint64_t ring_bytes;     /* in the rings to all other shards, not yet taken */
    uint64_t ring_bytes_max; /* in the fullest of them */
    uint64_t ring_size;      /* bytes of one */
    uint64_t slab_bytes;     /* of large packets beside them */
};

/*
 * Make the rings between shards (array of `count`); they are set in shard->remote. Before the first
 * program. 0 or -ENOMEM.
 */
int sl_remote_init(struct sl_shard *const *shards, uint32_t count);

/* Free them. No shard runs. */
void sl_remote_fini(struct sl_shard *const *shards, uint32_t count);

/* Let the shard's loop look at its rings. On the shard's thread, once its loop is there. */
void sl_remote_attach(struct sl_shard *shard);

/*
 * For the walk: send a packet to the shard where `symbol` is placed. The frame is parked and is
 * resumed with the answer in every case, also after sl_remote_cancel.
 *
 * returns  0; -EAGAIN: no room now; -EHOSTUNREACH: no such shard; -E2BIG; -ENOMEM
 */
int sl_remote_call(struct sl_frame *frame, const struct sl_symbol *symbol, uint32_t in,
                   struct sl_value value);

/*
 * For the walk: ask the other side to end; the frame stays parked until its answer. Where there is
 * no room now, it is asked as soon as there is.
 */
void sl_remote_cancel(struct sl_frame *frame);

/* The shard's thread. */
void sl_remote_stats_get(const struct sl_shard *shard, struct sl_remote_stats *ret_stats);
