/* SPDX-License-Identifier: MIT */
/*
 * Counters with one writer: plain 64-bit fields that their owner raises and others look at.
 *
 * A relaxed store of a relaxed load is an ordinary add to memory: no lock prefix, no fence. What a
 * reader sees may be old, never torn; two counters read one after another need not fit together.
 * The fields stay plain integers, so that structs of counters can be copied and zeroed by their
 * owner; everyone else goes through sl_counter_get.
 *
 * Built with -Dmetrics=false nothing is counted and every counter stays zero: that is there to
 * measure what counting costs (docs/BENCH.md), not to be used.
 */
#pragma once

#include <stdint.h>

#ifdef SL_NO_METRICS
enum { SL_METRICS_ON = 0 };
#else
enum { SL_METRICS_ON = 1 };
#endif

/* Raise a counter. Its one writer only. */
static inline void sl_counter_add(uint64_t *counter, uint64_t count)
{
    if (!SL_METRICS_ON) return;
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + count, __ATOMIC_RELAXED);
}

/* Set a level that goes up and down. Its one writer only. */
static inline void sl_level_set(uint32_t *level, uint32_t value)
{
    __atomic_store_n(level, value, __ATOMIC_RELAXED);
}

/* Read a counter or a level. Any thread. */
static inline uint64_t sl_counter_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline uint32_t sl_level_get(const uint32_t *level)
{
    return __atomic_load_n(level, __ATOMIC_RELAXED);
}
