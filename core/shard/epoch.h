/* SPDX-License-Identifier: MIT */
/*
 * Quiescent-state-based reclamation: how the control thread learns that no shard can still hold a
 * pointer that was read from a published slot.
 *
 *   control                                shard, every turn
 *   slot = new         (release)           pointer = slot        (acquire)
 *   target = advance() (seq_cst)           … uses it …
 *   until is_passed(target): poll          quiescent: seen = now (release)
 *   free(old)                              before sleep: seen = 0 (offline), after: seen = now
 *
 * A shard that sleeps is offline and holds nothing, so nobody has to wake it. Each shard writes
 * only its own cache line; the control thread only reads it.
 *
 *   pairs: quiescent's release ↔ is_passed's acquire · online's fence ↔ advance's fence: either the
 *   shard sees the new slot, or the control thread sees the shard online at an older epoch.
 *
 * Source: Desnoyers et al., "User-level implementations of read-copy update", 2012, QSBR.
 * Several shards may live in one thread (the simulator); nothing here blocks.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

struct sl_epoch_reader {
    alignas(128) _Atomic uint64_t seen; /* 0: offline; written by the shard only */
};

struct sl_epoch {
    alignas(128) _Atomic uint64_t now; /* starts at 1; written by the control thread only */
    uint32_t readers_count;
    struct sl_epoch_reader readers[SL_SHARDS_MAX];
};

static inline void sl_epoch_init(struct sl_epoch *epoch, uint32_t readers_count)
{
    sl_assert(epoch != NULL);
    sl_assert(readers_count >= 1);
    sl_assert(readers_count <= SL_SHARDS_MAX);
    atomic_init(&epoch->now, 1);
    epoch->readers_count = readers_count;
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) atomic_init(&epoch->readers[i].seen, 0);
}

/* Nothing read before this is held any more. Shard. */
static inline void sl_epoch_quiescent(struct sl_epoch *epoch, uint32_t reader)
{
    sl_assert_slow(reader < epoch->readers_count);
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);
    atomic_store_explicit(&epoch->readers[reader].seen, now, memory_order_release);
}

/* About to sleep: holds nothing and will read nothing. Shard. */
static inline void sl_epoch_offline(struct sl_epoch *epoch, uint32_t reader)
{
    atomic_store_explicit(&epoch->readers[reader].seen, 0, memory_order_release);
}

/* Awake again; before anything is read. Shard. */
static inline void sl_epoch_online(struct sl_epoch *epoch, uint32_t reader)
{
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_relaxed);
    /* seq_cst store then seq_cst loads of the slot side: see the pair in the head. */
    atomic_store_explicit(&epoch->readers[reader].seen, now, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
}

/* After a slot was changed: returns the target to wait for. Control thread. */
static inline uint64_t sl_epoch_advance(struct sl_epoch *epoch)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_fetch_add_explicit(&epoch->now, 1, memory_order_seq_cst) + 1;
}

/* True when every shard was quiescent or offline since the target was made. Control thread. */
static inline bool sl_epoch_is_passed(struct sl_epoch *epoch, uint64_t target)
{
    sl_assert(target <= atomic_load_explicit(&epoch->now, memory_order_relaxed));
    for (uint32_t i = 0; i < epoch->readers_count; i++) {
        uint64_t seen = atomic_load_explicit(&epoch->readers[i].seen, memory_order_seq_cst);
        if (seen != 0 && seen < target) return false;
    }
    return true;
}
