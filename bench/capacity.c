/* SPDX-License-Identifier: MIT */
/* Searching for the capacity; see capacity.h. */
#include "bench/capacity.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/fmt.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

/* Two rates nearer than this are one: the machine does not repeat itself better. */
static const double NEAR = 1.03;
static const double RATE_MIN = 10;

enum { TRIES_MAX = 3 };

int sl_capacity_goal_parse(const char *text, struct sl_capacity_goal *ret_goal,
                           struct sl_diag *reterr)
{
    char threshold_text[64];
    struct sl_threshold threshold;
    size_t name_size = strcspn(text, "=");
    (void)snprintf(threshold_text, sizeof(threshold_text), "%.*s>%s", (int)name_size, text,
                   text[name_size] == '=' ? text + name_size + 1 : "");
    int err =
        text[name_size] == '=' ? sl_threshold_parse(threshold_text, &threshold, NULL) : -EINVAL;
    if (err == 0 && sl_metric_unit(threshold.metric) == SL_METRIC_NS && !threshold.is_relative &&
        threshold.value > 0) {
        ret_goal->metric = threshold.metric;
        ret_goal->limit_ns = (uint64_t)threshold.value;
        return 0;
    }
    err = sl_diag_set(reterr, "bad_goal", (struct sl_pos){0, 0}, "\"%s\" is no goal", text);
    sl_diag_hint(reterr, "write p99=2ms; figures: p50 p90 p95 p99 p99_9 p99_99 max mean");
    return err;
}

/* Try one rate. */
static int step_run(const struct sl_run_config *config, const struct sl_capacity_goal *goal,
                    double rate, uint64_t duration_ns, struct sl_capacity *capacity,
                    struct sl_run_result *ret_result, struct sl_diag *reterr)
{
    struct sl_run_config step_config = *config;
    step_config.rate_from = rate;
    step_config.rate_to = rate;
    step_config.duration_ns = duration_ns;
    step_config.count = UINT64_MAX;
    step_config.warmup_ns = 300 * SL_NS_PER_MS;
    step_config.progress = false;
    step_config.jitter = false;
    int err = sl_run(&step_config, ret_result, reterr);
    if (err < 0) return err;
    struct sl_metrics metrics;
    sl_metrics_get(ret_result, &metrics);
    struct sl_capacity_step *step = &capacity->steps[capacity->steps_count++];
    step->rate = rate;
    step->reached = ret_result->rate;
    step->figure = metrics.value[goal->metric];
    /* Lateness that is small against the goal does not decide it. */
    step->is_valid =
        ret_result->is_valid || sl_hdr_percentile(ret_result->load.late, 99) <= goal->limit_ns / 4;
    step->held = step->is_valid && step->figure <= (double)goal->limit_ns &&
                 step->reached >= rate * 0.98 && metrics.value[SL_METRIC_ERROR_SHARE] <= 0.001;
    if (step->held && rate > capacity->rate) capacity->rate = rate;
    if (config->progress) {
        (void)fprintf(stderr, "  %10s/s  %s %8s  %s\n", sl_fmt_count((uint64_t)rate).text,
                      sl_metric_name(goal->metric), sl_fmt_ns(step->figure).text,
                      step->held       ? "holds"
                      : step->is_valid ? "does not hold"
                                       : "the generator was late");
    }
    return 0;
}

/* Try one rate; again when the generator was late, which says nothing about the server. */
static int step_try(const struct sl_run_config *config, const struct sl_capacity_goal *goal,
                    double rate, uint64_t duration_ns, struct sl_capacity *capacity,
                    struct sl_run_result *ret_result, struct sl_diag *reterr)
{
    int err = 0;
    for (int tries = 0; tries < TRIES_MAX && err == 0 && !sl_run_is_stopped(); tries++) {
        if (capacity->steps_count == SL_CAPACITY_STEPS_MAX) break;
        sl_run_result_fini(ret_result);
        err = step_run(config, goal, rate, duration_ns, capacity, ret_result, reterr);
        if (err == 0 && capacity->steps[capacity->steps_count - 1].is_valid) break;
    }
    return err;
}

/* A first upper bound: what a closed loop reaches. */
static int closed_rate(const struct sl_run_config *config, double *ret_rate, struct sl_diag *reterr)
{
    struct sl_run_config closed = *config;
    struct sl_run_result result;
    closed.rate_from = 0;
    closed.rate_to = 0;
    closed.duration_ns = SL_NS_PER_SEC;
    closed.count = UINT64_MAX;
    closed.warmup_ns = 200 * SL_NS_PER_MS;
    closed.progress = false;
    closed.jitter = false;
    int err = sl_run(&closed, &result, reterr);
    *ret_rate = result.rate;
    sl_run_result_fini(&result);
    return err;
}

int sl_capacity_find(const struct sl_run_config *config, const struct sl_capacity_goal *goal,
                     uint64_t step_ns, struct sl_capacity *ret_capacity,
                     struct sl_run_result *ret_result, struct sl_diag *reterr)
{
    sl_assert(step_ns > 0);
    memset(ret_capacity, 0, sizeof(*ret_capacity));
    memset(ret_result, 0, sizeof(*ret_result));
    double high;
    int err = closed_rate(config, &high, reterr);
    if (err < 0) return err;
    high = fmax(high * 1.05, RATE_MIN * 2);
    double low = 0;
    const uint32_t steps_max = SL_CAPACITY_STEPS_MAX / 2;
    while (ret_capacity->steps_count < steps_max && !sl_run_is_stopped()) {
        double rate = low > 0 ? sqrt(low * high) : high / 2;
        if (rate < RATE_MIN || (low > 0 && high / low < NEAR)) break;
        err = step_try(config, goal, rate, step_ns, ret_capacity, ret_result, reterr);
        if (err < 0) return err;
        const struct sl_capacity_step *step = &ret_capacity->steps[ret_capacity->steps_count - 1];
        if (step->held) {
            low = rate;
        } else {
            high = rate;
            ret_capacity->is_generator_bound = !step->is_valid;
        }
    }
    /* The long step; a little lower each time it does not hold. */
    for (int tries = 0; tries < 6 && low > 0 && !sl_run_is_stopped(); tries++) {
        if (ret_capacity->steps_count == SL_CAPACITY_STEPS_MAX) break;
        ret_capacity->rate = 0;
        err = step_try(config, goal, low, config->duration_ns, ret_capacity, ret_result, reterr);
        if (err < 0 || ret_capacity->steps[ret_capacity->steps_count - 1].held) return err;
        low *= 0.93;
    }
    return 0;
}
