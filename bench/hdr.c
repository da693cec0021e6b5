/* SPDX-License-Identifier: MIT */
/* The histogram's arithmetic; see hdr.h for the layout. */
#include "bench/hdr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { BUCKETS_MAX = 64 };

static uint32_t log2_floor(uint64_t value)
{
    return 63 - (uint32_t)__builtin_clzll(value | 1);
}

/* log2 of the steps of a bucket: the first power of two that gives the digits asked for. */
static uint32_t steps_shift_of(uint32_t digits)
{
    uint64_t steps = 2;
    for (uint32_t i = 0; i < digits; i++) steps *= 10;
    return log2_floor(steps - 1) + 1;
}

struct sl_hdr *sl_hdr_new(uint64_t lowest, uint64_t highest, uint32_t digits)
{
    if (lowest < 1 || digits < 1 || digits > 4 || highest < lowest * 2) return NULL;
    uint32_t steps_shift = steps_shift_of(digits);
    uint32_t unit_shift = log2_floor(lowest);
    if (unit_shift + steps_shift > 61 || highest > UINT64_MAX / 4) return NULL;
    uint32_t buckets_count = 1;
    for (uint64_t reach = UINT64_C(1) << (unit_shift + steps_shift); reach <= highest;
         reach <<= 1) {
        buckets_count++;
    }
    sl_assert(buckets_count < BUCKETS_MAX);
    struct sl_hdr *hdr = calloc(1, sizeof(*hdr));
    if (hdr == NULL) return NULL;
    hdr->lowest = lowest;
    hdr->highest = highest;
    hdr->digits = digits;
    hdr->unit_shift = unit_shift;
    hdr->half_shift = steps_shift - 1;
    hdr->buckets_count = buckets_count;
    hdr->counts_count = (buckets_count + 1) << hdr->half_shift;
    hdr->min = UINT64_MAX;
    hdr->counts = calloc(hdr->counts_count, sizeof(*hdr->counts));
    if (hdr->counts == NULL) return sl_hdr_free(hdr);
    return hdr;
}

struct sl_hdr *sl_hdr_new_latency(void)
{
    return sl_hdr_new(SL_HDR_LATENCY_LOWEST, SL_HDR_LATENCY_HIGHEST, 3);
}

struct sl_hdr *sl_hdr_free(struct sl_hdr *hdr)
{
    if (hdr != NULL) free(hdr->counts);
    free(hdr);
    return NULL;
}

void sl_hdr_reset(struct sl_hdr *hdr)
{
    sl_assert(hdr != NULL);
    memset(hdr->counts, 0, hdr->counts_count * sizeof(*hdr->counts));
    hdr->total = 0;
    hdr->clamped = 0;
    hdr->min = UINT64_MAX;
    hdr->max = 0;
}

uint32_t sl_hdr_index(const struct sl_hdr *hdr, uint64_t value)
{
    sl_assert(value <= hdr->highest);
    uint64_t floor_mask = (UINT64_C(1) << (hdr->unit_shift + hdr->half_shift + 1)) - 1;
    uint32_t bucket = log2_floor(value | floor_mask) - (hdr->unit_shift + hdr->half_shift);
    uint32_t step = (uint32_t)(value >> (bucket + hdr->unit_shift));
    uint32_t index = ((bucket + 1) << hdr->half_shift) + step - (UINT32_C(1) << hdr->half_shift);
    sl_assert(index < hdr->counts_count);
    return index;
}

/* Split an index into bucket and step. */
static uint32_t bucket_of(const struct sl_hdr *hdr, uint32_t index, uint64_t *ret_step)
{
    uint32_t half = UINT32_C(1) << hdr->half_shift;
    uint32_t row = index >> hdr->half_shift;
    *ret_step = (index & (half - 1)) + (row == 0 ? 0 : half);
    return row == 0 ? 0 : row - 1;
}

uint64_t sl_hdr_value_low(const struct sl_hdr *hdr, uint32_t index)
{
    sl_assert(index < hdr->counts_count);
    uint64_t step;
    uint32_t bucket = bucket_of(hdr, index, &step);
    return step << (bucket + hdr->unit_shift);
}

uint64_t sl_hdr_value_high(const struct sl_hdr *hdr, uint32_t index)
{
    uint64_t step;
    uint32_t bucket = bucket_of(hdr, index, &step);
    return sl_hdr_value_low(hdr, index) + (UINT64_C(1) << (bucket + hdr->unit_shift)) - 1;
}

void sl_hdr_record(struct sl_hdr *hdr, uint64_t value, uint64_t count)
{
    sl_assert(hdr != NULL);
    if (value > hdr->highest) {
        value = hdr->highest;
        hdr->clamped += count;
    }
    hdr->counts[sl_hdr_index(hdr, value)] += count;
    hdr->total += count;
    if (count > 0 && value < hdr->min) hdr->min = value;
    if (count > 0 && value > hdr->max) hdr->max = value;
}

void sl_hdr_merge(struct sl_hdr *hdr, const struct sl_hdr *from)
{
    sl_assert(hdr != NULL);
    sl_assert(from != NULL);
    uint64_t min = from->min < hdr->min ? from->min : hdr->min;
    uint64_t max = from->max > hdr->max ? from->max : hdr->max;
    for (uint32_t i = 0; i < from->counts_count; i++) {
        if (from->counts[i] == 0) continue;
        sl_hdr_record(hdr, sl_hdr_value_low(from, i), from->counts[i]);
    }
    hdr->clamped += from->clamped;
    hdr->min = min;
    hdr->max = max < hdr->highest ? max : hdr->highest;
}

uint64_t sl_hdr_percentile(const struct sl_hdr *hdr, double percent)
{
    sl_assert(hdr != NULL);
    if (hdr->total == 0) return 0;
    if (percent > 100.0) percent = 100.0;
    /* The small term forgives the rounding of percentages like 99.9. */
    double wanted = ceil(percent / 100.0 * (double)hdr->total - 1e-7);
    uint64_t rank = wanted < 1.0 ? 1 : (uint64_t)wanted;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < hdr->counts_count; i++) {
        seen += hdr->counts[i];
        if (seen < rank) continue;
        uint64_t value = sl_hdr_value_high(hdr, i);
        return value < hdr->max ? value : hdr->max;
    }
    return hdr->max;
}

double sl_hdr_share_above(const struct sl_hdr *hdr, uint64_t value)
{
    sl_assert(hdr != NULL);
    if (hdr->total == 0 || value >= hdr->highest) return 0.0;
    uint64_t above = 0;
    for (uint32_t i = sl_hdr_index(hdr, value) + 1; i < hdr->counts_count; i++) {
        above += hdr->counts[i];
    }
    return (double)above / (double)hdr->total;
}

static double middle_of(const struct sl_hdr *hdr, uint32_t index)
{
    return ((double)sl_hdr_value_low(hdr, index) + (double)sl_hdr_value_high(hdr, index)) / 2.0;
}

double sl_hdr_mean(const struct sl_hdr *hdr)
{
    sl_assert(hdr != NULL);
    if (hdr->total == 0) return 0.0;
    double sum = 0.0;
    for (uint32_t i = 0; i < hdr->counts_count; i++) {
        if (hdr->counts[i] > 0) sum += (double)hdr->counts[i] * middle_of(hdr, i);
    }
    return sum / (double)hdr->total;
}

double sl_hdr_deviation(const struct sl_hdr *hdr)
{
    sl_assert(hdr != NULL);
    if (hdr->total == 0) return 0.0;
    double mean = sl_hdr_mean(hdr);
    double sum = 0.0;
    for (uint32_t i = 0; i < hdr->counts_count; i++) {
        double off = middle_of(hdr, i) - mean;
        if (hdr->counts[i] > 0) sum += (double)hdr->counts[i] * off * off;
    }
    return sqrt(sum / (double)hdr->total);
}

void sl_hdr_set_count(struct sl_hdr *hdr, uint32_t index, uint64_t count)
{
    sl_assert(index < hdr->counts_count);
    hdr->counts[index] = count;
}

void sl_hdr_recount(struct sl_hdr *hdr)
{
    sl_assert(hdr != NULL);
    hdr->total = 0;
    hdr->min = UINT64_MAX;
    hdr->max = 0;
    for (uint32_t i = 0; i < hdr->counts_count; i++) {
        if (hdr->counts[i] == 0) continue;
        hdr->total += hdr->counts[i];
        if (hdr->min == UINT64_MAX) hdr->min = sl_hdr_value_low(hdr, i);
        hdr->max = sl_hdr_value_high(hdr, i);
    }
}
