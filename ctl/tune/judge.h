/* SPDX-License-Identifier: MIT */
/*
 * What a comparison of two servers says: reading the harness's JSON, and the verdict. Pure
 * functions; the statistics themselves are the harness's (bench/stats.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"

/* In the order of the harness: CPU a request, p50, p99, requests a second. */
enum sl_tune_metric { SL_TUNE_CPU, SL_TUNE_P50, SL_TUNE_P99, SL_TUNE_RATE, SL_TUNE_METRICS_COUNT };

/* The ratio of B to A with its 95 % interval. */
struct sl_tune_figure {
    double ratio;
    double low;
    double high;
    bool is_known;
    bool is_different; /* the interval leaves out 1, and the ratio is far enough from it */
};

struct sl_tune_measured {
    struct sl_tune_figure figures[SL_TUNE_METRICS_COUNT];
    uint64_t pairs;
    uint64_t requests; /* of B */
    uint64_t errors[2];
};

/* What shall become better. */
enum sl_tune_goal {
    SL_TUNE_GOAL_BALANCED, /* something better, nothing worse */
    SL_TUNE_GOAL_LATENCY,  /* p50 or p99 better, neither worse; CPU may rise */
    SL_TUNE_GOAL_CPU,      /* CPU a request better; p50 and p99 not worse */
};

enum sl_tune_verdict {
    SL_TUNE_NOISE, /* no difference that counts */
    SL_TUNE_WON,
    SL_TUNE_LOST,
};

/* "balanced", "latency" or "cpu". False for another text. */
bool sl_tune_goal_parse(const char *text, enum sl_tune_goal *ret_goal);

/*
 * Read what `sluice-bench compare --format json` printed of two targets.
 * returns  0; -EINVAL with reterr
 */
int sl_tune_measured_parse(const char *text, size_t size, struct sl_tune_measured *ret_measured,
                           struct sl_diag *reterr);

/* Errors that A did not have always lose. */
enum sl_tune_verdict sl_tune_judge(const struct sl_tune_measured *measured, enum sl_tune_goal goal);

/* Of two that have won: the one with the smaller score is better. */
double sl_tune_score(const struct sl_tune_measured *measured, enum sl_tune_goal goal);

/* "CPU x0.95 (0.93-0.97), p50 …, p99 …, rate …"; what differs has a mark: "p50 x0.81* (…)". */
void sl_tune_measured_text(const struct sl_tune_measured *measured, char *buf, size_t buf_size);
