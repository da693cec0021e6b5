/* SPDX-License-Identifier: MIT */
/* The histogram against sorted arrays, at its edges, and merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/hdr.h"

static int setup(void **state)
{
    *state = sl_hdr_new_latency();
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    sl_hdr_free(*state);
    return 0;
}

static void new_impossible_shape_returns_null(void **state)
{
    (void)state;
    assert_null(sl_hdr_new(0, 1000, 3));
    assert_null(sl_hdr_new(1, 1, 3));
    assert_null(sl_hdr_new(1, 1000, 0));
    assert_null(sl_hdr_new(1, 1000, 5));
    assert_null(sl_hdr_free(NULL));
}

static void percentile_empty_returns_zero(void **state)
{
    assert_int_equal(sl_hdr_percentile(*state, 99), 0);
    assert_true(sl_hdr_mean(*state) == 0);
}

static void index_every_value_is_within_a_thousandth(void **state)
{
    struct sl_hdr *hdr = *state;
    uint32_t last = 0;
    for (uint64_t value = 0; value < SL_HDR_LATENCY_HIGHEST; value += value / 997 + 1) {
        uint32_t index = sl_hdr_index(hdr, value);
        uint64_t low = sl_hdr_value_low(hdr, index);
        uint64_t high = sl_hdr_value_high(hdr, index);
        assert_true(low <= value && value <= high);
        assert_true(index >= last);
        assert_true((double)(high - low) <= (double)value / 1000 + 1e-9 || high == low);
        last = index;
    }
    assert_int_equal(sl_hdr_index(hdr, SL_HDR_LATENCY_HIGHEST) < hdr->counts_count, 1);
}

static void index_ranges_follow_without_gap(void **state)
{
    struct sl_hdr *hdr = *state;
    for (uint32_t i = 1; i < hdr->counts_count; i++) {
        assert_int_equal(sl_hdr_value_low(hdr, i), sl_hdr_value_high(hdr, i - 1) + 1);
    }
}

static void record_above_highest_is_clamped_and_counted(void **state)
{
    struct sl_hdr *hdr = *state;
    sl_hdr_record(hdr, SL_HDR_LATENCY_HIGHEST + 1, 2);
    assert_int_equal(hdr->clamped, 2);
    assert_int_equal(hdr->max, SL_HDR_LATENCY_HIGHEST);
    assert_int_equal(sl_hdr_percentile(hdr, 50), SL_HDR_LATENCY_HIGHEST);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void percentile_random_values_match_sorted(void **state)
{
    enum { COUNT = 20000 };
    struct sl_hdr *hdr = *state;
    static uint64_t values[COUNT];
    uint64_t random = 42;
    for (int i = 0; i < COUNT; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        values[i] = (random >> 33) >> (random >> 59); /* many magnitudes */
        sl_hdr_record(hdr, values[i], 1);
    }
    qsort(values, COUNT, sizeof(values[0]), compare_u64);
    const double percents[] = {0, 1, 25, 50, 90, 99, 99.9, 99.99, 100};
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        double rank = percents[i] / 100 * COUNT;
        size_t at = rank < 1 ? 0 : (size_t)(rank + 0.999999) - 1;
        double truth = (double)values[at];
        double got = (double)sl_hdr_percentile(hdr, percents[i]);
        assert_true(got >= truth && got <= truth * 1.001 + 1);
    }
    assert_int_equal(hdr->min, values[0]);
    assert_int_equal(hdr->max, values[COUNT - 1]);
}

static void merge_two_equals_one(void **state)
{
    struct sl_hdr *hdr = *state;
    struct sl_hdr *even = sl_hdr_new_latency();
    struct sl_hdr *odd = sl_hdr_new_latency();
    for (uint64_t i = 1; i < 5000; i++) {
        sl_hdr_record(hdr, i * i, 1);
        sl_hdr_record(i % 2 == 0 ? even : odd, i * i, 1);
    }
    sl_hdr_merge(even, odd);
    assert_int_equal(even->total, hdr->total);
    assert_int_equal(even->min, hdr->min);
    assert_int_equal(even->max, hdr->max);
    assert_memory_equal(even->counts, hdr->counts, hdr->counts_count * sizeof(*hdr->counts));
    sl_hdr_free(even);
    sl_hdr_free(odd);
}

static void merge_coarse_into_fine_keeps_counts(void **state)
{
    struct sl_hdr *hdr = *state;
    struct sl_hdr *coarse = sl_hdr_new(1, SL_HDR_LATENCY_HIGHEST, 2);
    for (uint64_t i = 1; i < 1000; i++) sl_hdr_record(coarse, i * 1000, 1);
    sl_hdr_merge(hdr, coarse);
    assert_int_equal(hdr->total, 999);
    assert_true(sl_hdr_percentile(hdr, 50) > 490000 && sl_hdr_percentile(hdr, 50) < 505000);
    sl_hdr_free(coarse);
}

static void mean_and_share_above_known_values(void **state)
{
    struct sl_hdr *hdr = *state;
    sl_hdr_record(hdr, 100, 90);
    sl_hdr_record(hdr, 1100, 10);
    assert_true(sl_hdr_mean(hdr) > 199.9 && sl_hdr_mean(hdr) < 200.1);
    assert_true(sl_hdr_deviation(hdr) > 299.9 && sl_hdr_deviation(hdr) < 300.1);
    assert_true(sl_hdr_share_above(hdr, 100) == 0.1);
    sl_hdr_reset(hdr);
    assert_int_equal(hdr->total, 0);
    assert_int_equal(sl_hdr_percentile(hdr, 100), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(new_impossible_shape_returns_null),
        T(percentile_empty_returns_zero),
        T(index_every_value_is_within_a_thousandth),
        T(index_ranges_follow_without_gap),
        T(record_above_highest_is_clamped_and_counted),
        T(percentile_random_values_match_sorted),
        T(merge_two_equals_one),
        T(merge_coarse_into_fine_keeps_counts),
        T(mean_and_share_above_known_values),
    };
    return cmocka_run_group_tests_name("hdr", tests, NULL, NULL);
}
