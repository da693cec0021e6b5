/* SPDX-License-Identifier: MIT */
/* Durations in buckets: where they fall, what is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base/histogram.h"

static void bucket_every_duration_lies_in_its_bucket(void **state)
{
    (void)state;
    for (uint32_t shift = 0; shift < 36; shift++) {
        for (int step = -1; step <= 1; step++) {
            uint64_t ns = (UINT64_C(1) << shift) + (uint64_t)(int64_t)step;
            uint32_t bucket = sl_histogram_bucket(ns);
            assert_true(bucket < SL_HISTOGRAM_BUCKETS);
            assert_true(sl_histogram_floor(bucket) <= ns);
            if (bucket < SL_HISTOGRAM_BUCKETS - 1) assert_true(ns < sl_histogram_floor(bucket + 1));
        }
    }
}

static void floor_next_bucket_is_higher_by_a_quarter_at_most(void **state)
{
    (void)state;
    for (uint32_t i = 2; i < SL_HISTOGRAM_BUCKETS; i++) {
        uint64_t low = sl_histogram_floor(i - 1);
        uint64_t high = sl_histogram_floor(i);
        assert_true(low < high);
        assert_true((high - low) * 4 <= low);
    }
}

static void read_sums_buckets_into_count(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram all = {0};
    for (uint64_t ns = 1; ns <= 1000; ns++) sl_histogram_add(&one, ns);
    sl_histogram_read(&one, &all);
    sl_histogram_read(&one, &all);
    assert_int_equal(all.count, 2000);
    assert_int_equal(all.sum_ns, 2 * 500500);
}

static void below_power_of_two_is_exact(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram copy = {0};
    for (uint64_t ns = 0; ns < 4096; ns++) sl_histogram_add(&one, ns);
    sl_histogram_read(&one, &copy);
    for (uint64_t ns = 16; ns <= 4096; ns *= 2) {
        assert_int_equal(sl_histogram_below(&copy, ns), ns);
    }
}

static void quantile_is_within_an_eighth(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram copy = {0};
    assert_int_equal(sl_histogram_quantile(&copy, 0.5), 0);
    for (uint64_t i = 1; i <= 100000; i++) sl_histogram_add(&one, i * 10);
    sl_histogram_read(&one, &copy);
    uint64_t p50 = sl_histogram_quantile(&copy, 0.5);
    uint64_t p99 = sl_histogram_quantile(&copy, 0.99);
    assert_true(p50 > 500000 - 500000 / 8);
    assert_true(p50 < 500000 + 500000 / 8);
    assert_true(p99 > 990000 - 990000 / 8);
    assert_true(p99 < 990000 + 990000 / 8);
}

static void subtract_leaves_what_came_between(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram before = {0};
    struct sl_histogram now = {0};
    for (int i = 0; i < 10; i++) sl_histogram_add(&one, 100);
    sl_histogram_read(&one, &before);
    for (int i = 0; i < 3; i++) sl_histogram_add(&one, 5000);
    sl_histogram_read(&one, &now);
    sl_histogram_subtract(&now, &before);
    assert_int_equal(now.count, 3);
    assert_int_equal(now.sum_ns, 15000);
    assert_true(sl_histogram_quantile(&now, 0.5) > 4000);
}

static void subtract_of_one_that_began_anew_is_itself(void **state)
{
    (void)state;
    struct sl_histogram one = {0};
    struct sl_histogram before = {0};
    struct sl_histogram now = {0};
    for (int i = 0; i < 10; i++) sl_histogram_add(&one, 100);
    sl_histogram_read(&one, &before);
    one = (struct sl_histogram){0};
    for (int i = 0; i < 4; i++) sl_histogram_add(&one, 100);
    sl_histogram_read(&one, &now);
    sl_histogram_subtract(&now, &before);
    assert_int_equal(now.count, 4);
}

static void add_many_is_add_as_often(void **state)
{
    (void)state;
    static const uint64_t durations[] = {0, 15, 16, 1000, 123456789, UINT64_C(1) << 40};
    struct sl_histogram once = {0};
    struct sl_histogram each = {0};
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        sl_histogram_add_many(&once, durations[i], i * 7);
        for (size_t k = 0; k < i * 7; k++) sl_histogram_add(&each, durations[i]);
    }
    assert_memory_equal(&once, &each, sizeof(once));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_many_is_add_as_often),
        cmocka_unit_test(bucket_every_duration_lies_in_its_bucket),
        cmocka_unit_test(floor_next_bucket_is_higher_by_a_quarter_at_most),
        cmocka_unit_test(read_sums_buckets_into_count),
        cmocka_unit_test(below_power_of_two_is_exact),
        cmocka_unit_test(quantile_is_within_an_eighth),
        cmocka_unit_test(subtract_leaves_what_came_between),
        cmocka_unit_test(subtract_of_one_that_began_anew_is_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
