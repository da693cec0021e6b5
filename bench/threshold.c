/* SPDX-License-Identifier: MIT */
/* Reading and judging thresholds; see threshold.h. */
#include "bench/threshold.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/fmt.h"
#include "core/base/assertion.h"

static const char *const NAMES[] = {
#define X(id, name, unit) name,
    SL_METRICS(X)
#undef X
};

static const enum sl_metric_unit UNITS[] = {
#define X(id, name, unit) SL_METRIC_##unit,
    SL_METRICS(X)
#undef X
};

const char *sl_metric_name(enum sl_metric metric)
{
    sl_assert(metric < SL_METRICS_COUNT);
    return NAMES[metric];
}

enum sl_metric_unit sl_metric_unit(enum sl_metric metric)
{
    sl_assert(metric < SL_METRICS_COUNT);
    return UNITS[metric];
}

void sl_metrics_get(const struct sl_run_result *result, struct sl_metrics *ret_metrics)
{
    static const struct {
        enum sl_metric metric;
        double percent;
    } PERCENTILES[] = {{SL_METRIC_P50, 50}, {SL_METRIC_P90, 90},     {SL_METRIC_P95, 95},
                       {SL_METRIC_P99, 99}, {SL_METRIC_P99_9, 99.9}, {SL_METRIC_P99_99, 99.99},
                       {SL_METRIC_MAX, 100}};
    const struct sl_load_result *load = &result->load;
    double *value = ret_metrics->value;
    for (size_t i = 0; i < sizeof(PERCENTILES) / sizeof(PERCENTILES[0]); i++) {
        value[PERCENTILES[i].metric] =
            (double)sl_hdr_percentile(load->latency, PERCENTILES[i].percent);
    }
    uint64_t errors = sl_load_errors_sum(load);
    uint64_t lost = errors - load->errors[SL_LOAD_STATUS] - load->errors[SL_LOAD_BODY];
    uint64_t asked = load->requests + lost;
    value[SL_METRIC_MEAN] = sl_hdr_mean(load->latency);
    value[SL_METRIC_RATE] = result->rate;
    value[SL_METRIC_REQUESTS] = (double)load->requests;
    value[SL_METRIC_ERRORS] = (double)errors;
    value[SL_METRIC_ERROR_SHARE] = asked > 0 ? (double)errors / (double)asked : 0;
    value[SL_METRIC_CPU_US] = sl_run_cpu_us(result);
    value[SL_METRIC_RSS] = result->has_usage ? (double)result->usage.rss_bytes : NAN;
}

static int bad(const char *text, struct sl_diag *reterr)
{
    int err = sl_diag_set(reterr, "bad_threshold", (struct sl_pos){0, 0},
                          "\"%s\" is not a threshold", text);
    sl_diag_hint(reterr, "write 'p99>2ms', 'errors>0', 'rate<20k', 'cpu_us>9' or 'p99>1.1x'; "
                         "figures: p50 p90 p95 p99 p99_9 p99_99 max mean rate requests errors "
                         "error_share cpu_us rss");
    return err;
}

static int metric_find(const char *text, size_t size, enum sl_metric *ret_metric)
{
    char name[32];
    if (size == 0 || size >= sizeof(name)) return -EINVAL;
    for (size_t i = 0; i < size; i++) name[i] = text[i] == '.' ? '_' : text[i];
    name[size] = '\0';
    for (int i = 0; i < SL_METRICS_COUNT; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *ret_metric = (enum sl_metric)i;
        return 0;
    }
    return -EINVAL;
}

int sl_threshold_parse(const char *text, struct sl_threshold *ret_threshold, struct sl_diag *reterr)
{
    sl_assert(text != NULL);
    struct sl_threshold threshold = {.text = text};
    size_t name_size = strcspn(text, "<> =");
    const char *at = text + name_size + strspn(text + name_size, " ");
    if (metric_find(text, name_size, &threshold.metric) < 0) return bad(text, reterr);
    if (*at != '<' && *at != '>') return bad(text, reterr);
    threshold.is_above = *at++ == '>';
    threshold.is_or_equal = *at == '=';
    at += threshold.is_or_equal;
    at += strspn(at, " ");
    char value[64];
    size_t size = strlen(at);
    if (size == 0 || size >= sizeof(value)) return bad(text, reterr);
    memcpy(value, at, size + 1);
    threshold.is_relative = value[size - 1] == 'x';
    if (threshold.is_relative) value[size - 1] = '\0';
    uint64_t ns = 0;
    int err;
    if (!threshold.is_relative && UNITS[threshold.metric] == SL_METRIC_NS) {
        err = sl_parse_duration_ns(value, &ns);
        threshold.value = (double)ns;
    } else {
        err = sl_parse_number(value, &threshold.value);
    }
    if (err < 0) return bad(text, reterr);
    *ret_threshold = threshold;
    return 0;
}

bool sl_threshold_is_exceeded(const struct sl_threshold *threshold,
                              const struct sl_metrics *metrics, const struct sl_metrics *baseline)
{
    double value = metrics->value[threshold->metric];
    double limit = threshold->value;
    if (threshold->is_relative) {
        if (baseline == NULL) return true;
        limit *= baseline->value[threshold->metric];
    }
    if (isnan(value) || isnan(limit)) return true;
    if (threshold->is_or_equal && value == limit) return true;
    return threshold->is_above ? value > limit : value < limit;
}
