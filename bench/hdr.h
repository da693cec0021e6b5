/* SPDX-License-Identifier: MIT */
/*
 * A high-dynamic-range histogram: counts of values over many powers of ten, with a fixed number of
 * significant digits everywhere.
 *
 *     bucket 0      [0 … 2047]            steps of 1
 *     bucket 1      [2048 … 4095]         steps of 2
 *     bucket b      [2048·2^(b-1) … )     steps of 2^b
 *
 * With three digits the step is never more than a thousandth of the value. Recording is an index
 * computation and an increment; histograms of the same shape add up. The layout of the counts is
 * that of HdrHistogram, so its logs can be read and written (bench/hdr_log.h).
 *
 * Not thread-safe: one writer, and merge after it has stopped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The shape of every latency histogram here: nanoseconds, up to 60 s. */
#define SL_HDR_LATENCY_LOWEST  UINT64_C(1)
#define SL_HDR_LATENCY_HIGHEST UINT64_C(60000000000)

struct sl_hdr {
    uint64_t *counts; /* array of `counts_count`, owned */
    uint64_t total;   /* values recorded */
    uint64_t clamped; /* of them above `highest`, recorded as `highest` */
    uint64_t min;     /* exact; UINT64_MAX while empty */
    uint64_t max;     /* exact */
    uint64_t lowest;  /* smallest value that must be told from 0 */
    uint64_t highest; /* largest value kept */
    uint32_t counts_count;
    uint32_t digits;     /* significant, 1..4 */
    uint32_t unit_shift; /* log2 of the step in bucket 0 */
    uint32_t half_shift; /* log2 of half the steps of a bucket */
    uint32_t buckets_count;
};

/*
 * Make a histogram for values `lowest`..`highest` with `digits` significant digits.
 *
 * returns  owned by the caller; NULL for no memory or a shape that is not possible
 * source   HdrHistogram (Gil Tene), the documented bucket layout
 */
struct sl_hdr *sl_hdr_new(uint64_t lowest, uint64_t highest, uint32_t digits);

/* The usual shape: 1 ns to 60 s, three digits; about 220 KB. */
struct sl_hdr *sl_hdr_new_latency(void);

/* NULL is fine; returns NULL. */
struct sl_hdr *sl_hdr_free(struct sl_hdr *hdr);

/* Forget every value. */
void sl_hdr_reset(struct sl_hdr *hdr);

/* Record `value` `count` times. Values above the highest are clamped and counted as such. */
void sl_hdr_record(struct sl_hdr *hdr, uint64_t value, uint64_t count);

/* Add the values of `from`, which may have another shape. */
void sl_hdr_merge(struct sl_hdr *hdr, const struct sl_hdr *from);

/*
 * The value that `percent` (0..100) of the values do not exceed, within the precision: the highest
 * value of its step, and never above the exact maximum. 0 for an empty histogram.
 */
uint64_t sl_hdr_percentile(const struct sl_hdr *hdr, double percent);

/* The share (0..1) of values above `value`, within the precision. */
double sl_hdr_share_above(const struct sl_hdr *hdr, uint64_t value);

/* Mean and standard deviation, within the precision. 0 when empty. */
double sl_hdr_mean(const struct sl_hdr *hdr);
double sl_hdr_deviation(const struct sl_hdr *hdr);

/* Index of the count for `value` (at most the highest), and the range of values it stands for. */
uint32_t sl_hdr_index(const struct sl_hdr *hdr, uint64_t value);
uint64_t sl_hdr_value_low(const struct sl_hdr *hdr, uint32_t index);
uint64_t sl_hdr_value_high(const struct sl_hdr *hdr, uint32_t index);

/* Set one count, for a reader of logs; the caller ends with sl_hdr_recount. */
void sl_hdr_set_count(struct sl_hdr *hdr, uint32_t index, uint64_t count);

/* Compute total, min and max again from the counts. */
void sl_hdr_recount(struct sl_hdr *hdr);
