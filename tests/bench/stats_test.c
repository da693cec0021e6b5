/* SPDX-License-Identifier: MIT */
/* Ratios of pairs: found when there, not called when noise covers them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/stats.h"

enum { PAIRS = 60 };

/* A pseudo-random share in -1..1. */
static double noise(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (double)(*state >> 40) / (double)(1 << 23) - 1;
}

/* Pairs that swing together by a third, and apart by `apart`. */
static void swinging_pairs(double *a, double *b, double factor, double apart, uint64_t seed)
{
    for (int i = 0; i < PAIRS; i++) {
        double level = 6 + 1.5 * sin(i / 5.0);
        a[i] = level * (1 + apart * noise(&seed));
        b[i] = level * factor * (1 + apart * noise(&seed));
    }
}

static void median_odd_even_and_empty(void **state)
{
    (void)state;
    const double values[] = {5, 1, 3, 2};
    assert_true(sl_stats_median(values, 3) == 3);
    assert_true(sl_stats_median(values, 4) == 2.5);
    assert_true(isnan(sl_stats_median(values, 0)));
    assert_true(sl_stats_spread(values, 4) > 0);
}

static void median_not_measured_is_left_out(void **state)
{
    (void)state;
    const double values[] = {(double)NAN, 1, (double)NAN, 3, 2};
    assert_true(sl_stats_median(values, 5) == 2);
    assert_true(sl_stats_quantile(values, 5, 0) == 1);
    assert_true(sl_stats_quantile(values, 5, 1) == 3);
    assert_true(isnan(sl_stats_median(values, 1)));
    assert_true(isnan(sl_stats_spread(values, 1)));
}

static void ratio_same_server_is_no_difference(void **state)
{
    (void)state;
    double a[PAIRS];
    double b[PAIRS];
    int called = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        swinging_pairs(a, b, 1.0, 0.03, seed * 7919);
        struct sl_ratio ratio = sl_stats_ratio(a, b, PAIRS);
        assert_true(fabs(ratio.ratio - 1) < 0.01);
        called += sl_ratio_is_different(&ratio, 0.01);
    }
    assert_int_equal(called, 0);
}

static void ratio_three_percent_is_found(void **state)
{
    (void)state;
    double a[PAIRS];
    double b[PAIRS];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        swinging_pairs(a, b, 1.03, 0.03, seed * 104729);
        struct sl_ratio ratio = sl_stats_ratio(a, b, PAIRS);
        assert_true(sl_ratio_is_different(&ratio, 0.01));
        assert_true(ratio.low < ratio.ratio && ratio.ratio < ratio.high);
        assert_true(fabs(ratio.ratio - 1.03) < 0.015);
    }
}

static void ratio_disturbed_pairs_do_not_count(void **state)
{
    (void)state;
    double a[PAIRS];
    double b[PAIRS];
    swinging_pairs(a, b, 1.0, 0.01, 42);
    for (int i = 0; i < 9; i++) b[i * 6] *= 5;
    struct sl_ratio ratio = sl_stats_ratio(a, b, PAIRS);
    assert_true(fabs(ratio.ratio - 1) < 0.01);
}

static void ratio_unmeasured_pairs_are_left_out(void **state)
{
    (void)state;
    const double a[] = {1, NAN, 2, 0};
    const double b[] = {2, 3, 4, 5};
    struct sl_ratio ratio = sl_stats_ratio(a, b, 4);
    assert_int_equal(ratio.pairs, 2);
    assert_true(fabs(ratio.ratio - 2) < 1e-9);
    ratio = sl_stats_ratio(a, b, 0);
    assert_true(isnan(ratio.ratio));
    assert_false(sl_ratio_is_different(&ratio, 0.01));
}

static void ratio_same_data_gives_same_answer(void **state)
{
    (void)state;
    double a[PAIRS];
    double b[PAIRS];
    swinging_pairs(a, b, 1.1, 0.2, 5);
    struct sl_ratio first = sl_stats_ratio(a, b, PAIRS);
    struct sl_ratio second = sl_stats_ratio(a, b, PAIRS);
    assert_true(first.low == second.low && first.high == second.high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_odd_even_and_empty),
        cmocka_unit_test(median_not_measured_is_left_out),
        cmocka_unit_test(ratio_same_server_is_no_difference),
        cmocka_unit_test(ratio_three_percent_is_found),
        cmocka_unit_test(ratio_disturbed_pairs_do_not_count),
        cmocka_unit_test(ratio_unmeasured_pairs_are_left_out),
        cmocka_unit_test(ratio_same_data_gives_same_answer),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
