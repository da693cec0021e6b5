/* SPDX-License-Identifier: MIT */
#include "core/base/histogram.h"

#include <stddef.h>

#include "core/base/assertion.h"

uint64_t sl_histogram_floor(uint32_t bucket)
{
    sl_assert(bucket <= SL_HISTOGRAM_BUCKETS);
    if (bucket == 0) return 0;
    uint32_t octave = SL_HISTOGRAM_FIRST + (bucket - 1) / 4;
    return (uint64_t)(4 + (bucket - 1) % 4) << (octave - 2);
}

void sl_histogram_read(const struct sl_histogram *from, struct sl_histogram *to)
{
    sl_assert(from != NULL);
    sl_assert(to != NULL);
    for (uint32_t i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = sl_counter_get(&from->buckets[i]);
        to->buckets[i] += count;
        to->count += count;
    }
    to->sum_ns += sl_counter_get(&from->sum_ns);
}

/* A counter that began anew counts from zero. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now >= before ? now - before : now;
}

void sl_histogram_subtract(struct sl_histogram *now, const struct sl_histogram *before)
{
    sl_assert(now != NULL);
    sl_assert(before != NULL);
    now->count = 0;
    for (uint32_t i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        now->buckets[i] = since(now->buckets[i], before->buckets[i]);
        now->count += now->buckets[i];
    }
    now->sum_ns = since(now->sum_ns, before->sum_ns);
}

uint64_t sl_histogram_below(const struct sl_histogram *histogram, uint64_t ns)
{
    uint64_t below = 0;
    for (uint32_t i = 0; i < SL_HISTOGRAM_BUCKETS && sl_histogram_floor(i + 1) <= ns; i++) {
        below += histogram->buckets[i];
    }
    return below;
}

uint64_t sl_histogram_quantile(const struct sl_histogram *histogram, double share)
{
    sl_assert(share >= 0);
    sl_assert(share <= 1);
    if (histogram->count == 0) return 0;
    double rank = share * (double)histogram->count;
    double seen = 0;
    for (uint32_t i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        double in = (double)histogram->buckets[i];
        if (in > 0 && seen + in >= rank) {
            double from = (double)sl_histogram_floor(i);
            double width = (double)sl_histogram_floor(i + 1) - from;
            return (uint64_t)(from + width * (rank - seen) / in);
        }
        seen += in;
    }
    return sl_histogram_floor(SL_HISTOGRAM_BUCKETS);
}
