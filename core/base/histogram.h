/* SPDX-License-Identifier: MIT */
/*
 * A small histogram of durations, cheap enough for the message path: four buckets an octave from
 * 16 ns to 34 s, 1 KiB. A value is told to within a quarter of itself; between, it is interpolated.
 *
 *     bucket 0: below 16 ns · 1..4: 16, 20, 24, 28 · 5..8: 32, 40, 48, 56 · … · last: and above
 *
 * One writer; readers take a copy with sl_histogram_read, which may miss what is being added.
 */
#pragma once

#include <stdint.h>

#include "core/base/counter.h"

enum { SL_HISTOGRAM_BUCKETS = 125, SL_HISTOGRAM_FIRST = 4 /* 2^4 ns */ };

struct sl_histogram {
    uint64_t count; /* of a copy: the writer does not keep it */
    uint64_t sum_ns;
    uint64_t buckets[SL_HISTOGRAM_BUCKETS];
};

/* The bucket of a duration. */
static inline uint32_t sl_histogram_bucket(uint64_t ns)
{
    if (ns < (1U << SL_HISTOGRAM_FIRST)) return 0;
    uint32_t octave = 63U - (uint32_t)__builtin_clzll(ns);
    uint32_t quarter = (uint32_t)(ns >> (octave - 2)) & 3U;
    uint32_t bucket = 1 + (octave - SL_HISTOGRAM_FIRST) * 4 + quarter;
    return bucket < SL_HISTOGRAM_BUCKETS ? bucket : SL_HISTOGRAM_BUCKETS - 1;
}

/* Add a duration, `times` over. The writer only; `count` is left to who reads. */
static inline void sl_histogram_add_many(struct sl_histogram *histogram, uint64_t ns,
                                         uint64_t times)
{
    sl_counter_add(&histogram->buckets[sl_histogram_bucket(ns)], times);
    sl_counter_add(&histogram->sum_ns, ns * times);
}

static inline void sl_histogram_add(struct sl_histogram *histogram, uint64_t ns)
{
    sl_histogram_add_many(histogram, ns, 1);
}

/* The smallest duration of a bucket, ns; of SL_HISTOGRAM_BUCKETS: the end of the last. */
uint64_t sl_histogram_floor(uint32_t bucket);

/* Add what `from` holds to `to`, which the caller owns; `count` is made to fit. Any thread. */
void sl_histogram_read(const struct sl_histogram *from, struct sl_histogram *to);

/* Take `before` from `now`: what came between two readings. */
void sl_histogram_subtract(struct sl_histogram *now, const struct sl_histogram *before);

/* Values of at most `ns`, by whole buckets: exact where `ns` is a power of two from 16 on. */
uint64_t sl_histogram_below(const struct sl_histogram *histogram, uint64_t ns);

/* The duration that a share (0..1) of the values does not exceed, ns; 0 if there is none. */
uint64_t sl_histogram_quantile(const struct sl_histogram *histogram, double share);
