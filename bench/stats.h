/* SPDX-License-Identifier: MIT */
/*
 * The little statistics that honest comparison needs. Pure functions. A NaN is a value that was not
 * measured: it is left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SL_STATS_PAIRS_MAX = 100000,
    SL_STATS_INTERVAL_MIN = 5, /* pairs; an interval of fewer says nothing */
};

/* Middle value; NaN for none. Does not change `values`. */
double sl_stats_median(const double *values, size_t count);

/* Distance between the quartiles. */
double sl_stats_spread(const double *values, size_t count);

/* The value that `share` (0..1) of the values do not exceed; NaN for none. */
double sl_stats_quantile(const double *values, size_t count, double share);

/* A ratio with the interval that holds it in 95 of 100 cases. */
struct sl_ratio {
    double ratio;
    double low;
    double high;
    size_t pairs; /* used: both values measured and positive */
};

/*
 * The ratio b/a over adjacent pairs: the mean of the middle half of the pairs' log ratios (so that
 * a few disturbed pairs do not count), with a bootstrap over the pairs. The same data gives the
 * same answer.
 *
 * a, b     arrays of `count`; pair i was measured side by side
 * returns  `ratio` NaN when there is no pair
 */
struct sl_ratio sl_stats_ratio(const double *a, const double *b, size_t count);

/* Are there pairs enough for the interval to say something? */
bool sl_ratio_has_interval(const struct sl_ratio *ratio);

/* True if the interval leaves out 1 and the ratio is further from 1 than `least` (0.01: 1 %). */
bool sl_ratio_is_different(const struct sl_ratio *ratio, double least);
