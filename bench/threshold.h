/* SPDX-License-Identifier: MIT */
/*
 * Thresholds: "p99>2ms", "errors>0", "rate<20k", "cpu_us>9". With a baseline, "p99>1.1x" means
 * 1.1 times the baseline's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/run.h"
#include "core/base/diag.h"

enum sl_metric_unit { SL_METRIC_NS, SL_METRIC_NUMBER };

/* Figures of a run by name, in the order shown. Latencies in ns. */
#define SL_METRICS(X)                                                                              \
    X(P50, "p50", NS)                                                                              \
    X(P90, "p90", NS)                                                                              \
    X(P95, "p95", NS)                                                                              \
    X(P99, "p99", NS)                                                                              \
    X(P99_9, "p99_9", NS)                                                                          \
    X(P99_99, "p99_99", NS)                                                                        \
    X(MAX, "max", NS)                                                                              \
    X(MEAN, "mean", NS)                                                                            \
    X(RATE, "rate", NUMBER)                                                                        \
    X(REQUESTS, "requests", NUMBER)                                                                \
    X(ERRORS, "errors", NUMBER)                                                                    \
    X(ERROR_SHARE, "error_share", NUMBER)                                                          \
    X(CPU_US, "cpu_us", NUMBER)                                                                    \
    X(RSS, "rss", NUMBER)

enum sl_metric {
#define X(id, name, unit) SL_METRIC_##id,
    SL_METRICS(X)
#undef X
        SL_METRICS_COUNT
};

struct sl_metrics {
    double value[SL_METRICS_COUNT]; /* NaN: not measured */
};

/* The name of a metric as thresholds have it; static. */
const char *sl_metric_name(enum sl_metric metric);
/* What its values are counted in. */
enum sl_metric_unit sl_metric_unit(enum sl_metric metric);

/* The figures of a run. */
void sl_metrics_get(const struct sl_run_result *result, struct sl_metrics *ret_metrics);

struct sl_threshold {
    enum sl_metric metric;
    double value;
    bool is_above; /* > or >=; else < or <= */
    bool is_or_equal;
    bool is_relative; /* times the baseline's figure */
    const char *text; /* borrowed */
};

/* Read one. "p99.9" is also "p99_9". 0, or -EINVAL with a diagnostic. */
int sl_threshold_parse(const char *text, struct sl_threshold *ret_threshold,
                       struct sl_diag *reterr);

/*
 * True if it is exceeded (the run fails). A figure that was not measured fails too.
 *
 * baseline  NULL: none; then a relative one fails
 */
bool sl_threshold_is_exceeded(const struct sl_threshold *threshold,
                              const struct sl_metrics *metrics, const struct sl_metrics *baseline);
