/* SPDX-License-Identifier: MIT */
/* Medians, ratios of pairs, bootstrap; see stats.h. */
#include "bench/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { RESAMPLES = 2000 };

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* A value between the sorted neighbours of position `share` (0..1). */
static double quantile(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t low = (size_t)at;
    size_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
}

/* Sorted, without those that were not measured (NaN). The caller frees. */
static double *sorted_copy(const double *values, size_t count, size_t *ret_count)
{
    double *sorted = malloc((count + 1) * sizeof(*sorted));
    size_t measured = 0;
    sl_assert(sorted != NULL);
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i])) sorted[measured++] = values[i];
    }
    qsort(sorted, measured, sizeof(*sorted), compare_doubles);
    *ret_count = measured;
    return sorted;
}

double sl_stats_quantile(const double *values, size_t count, double share)
{
    sl_assert(share >= 0);
    sl_assert(share <= 1);
    double *sorted = sorted_copy(values, count, &count);
    double value = count > 0 ? quantile(sorted, count, share) : (double)NAN;
    free(sorted);
    return value;
}

double sl_stats_median(const double *values, size_t count)
{
    return sl_stats_quantile(values, count, 0.5);
}

double sl_stats_spread(const double *values, size_t count)
{
    return sl_stats_quantile(values, count, 0.75) - sl_stats_quantile(values, count, 0.25);
}

/* Mean of the middle half. Sorts in place. */
static double middle_mean(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    size_t cut = count / 4;
    double sum = 0;
    for (size_t i = cut; i < count - cut; i++) sum += values[i];
    return sum / (double)(count - 2 * cut);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * UINT64_C(2685821657736338717)) >> 32;
}

struct sl_ratio sl_stats_ratio(const double *a, const double *b, size_t count)
{
    sl_assert(count <= SL_STATS_PAIRS_MAX);
    struct sl_ratio ratio = {.ratio = NAN, .low = NAN, .high = NAN};
    double *logs = malloc((count + 1) * 2 * sizeof(*logs) + RESAMPLES * sizeof(*logs));
    sl_assert(logs != NULL);
    double *sample = logs + count + 1;
    double *means = sample + count + 1;
    for (size_t i = 0; i < count; i++) {
        /* Also false for NaN. */
        if (a[i] > 0 && b[i] > 0) logs[ratio.pairs++] = log(b[i] / a[i]);
    }
    if (ratio.pairs > 0) {
        uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
        for (int round = 0; round < RESAMPLES; round++) {
            for (size_t i = 0; i < ratio.pairs; i++) {
                sample[i] = logs[random_next(&state) % ratio.pairs];
            }
            means[round] = middle_mean(sample, ratio.pairs);
        }
        qsort(means, RESAMPLES, sizeof(*means), compare_doubles);
        ratio.low = exp(quantile(means, RESAMPLES, 0.025));
        ratio.high = exp(quantile(means, RESAMPLES, 0.975));
        ratio.ratio = exp(middle_mean(logs, ratio.pairs));
    }
    free(logs);
    return ratio;
}

bool sl_ratio_has_interval(const struct sl_ratio *ratio)
{
    return !isnan(ratio->ratio) && ratio->pairs >= SL_STATS_INTERVAL_MIN;
}

bool sl_ratio_is_different(const struct sl_ratio *ratio, double least)
{
    if (!sl_ratio_has_interval(ratio)) return false;
    bool covered = ratio->low <= 1 && ratio->high >= 1;
    return !covered && fabs(ratio->ratio - 1) > least;
}
