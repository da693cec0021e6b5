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
/* How far below a rate that failed at full length the next is. */
static const double LOWER = 0.96;

enum {
    AGREE = 2,      /* tries that must agree on a rate */
    TRIES_MAX = 3,  /* valid ones: then the majority decides */
    LATE_MAX = 4,   /* tries with a late generator in a row: it can do no better */
    LATE_RATES = 4, /* of these in a row from the top: the machine has no core for it */
    LONG_RATES = 8, /* rates that are tried at full length */
};

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

/* ---- the search ------------------------------------------------------------------------------ */

enum verdict { VERDICT_HOLDS, VERDICT_FAILS, VERDICT_LATE, VERDICT_NONE };

static bool step_holds(const struct sl_capacity_plan *plan, const struct sl_capacity_step *step)
{
    return step->is_valid && step->figure <= (double)plan->limit_ns &&
           step->reached >= step->rate * 0.98 && step->error_share <= 0.001;
}

/* Try a rate until two tries agree. VERDICT_NONE: stopped, or no room for more steps. */
static int rate_judge(const struct sl_capacity_plan *plan, double rate, bool is_long,
                      struct sl_capacity *capacity, enum verdict *ret_verdict,
                      struct sl_diag *reterr)
{
    int held = 0;
    int failed = 0;
    int late = 0;
    *ret_verdict = VERDICT_NONE;
    while (capacity->steps_count < SL_CAPACITY_STEPS_MAX && !sl_run_is_stopped()) {
        struct sl_capacity_step *step = &capacity->steps[capacity->steps_count];
        memset(step, 0, sizeof(*step));
        int err = plan->try(plan->ctx, rate, is_long ? plan->long_ns : plan->step_ns, step, reterr);
        if (err < 0) return err;
        if (sl_run_is_stopped()) break;
        capacity->steps_count++;
        step->rate = rate;
        step->is_long = is_long;
        step->held = step_holds(plan, step);
        held += step->held;
        failed += step->is_valid && !step->held;
        late = step->is_valid ? 0 : late + 1;
        if (held == AGREE) *ret_verdict = VERDICT_HOLDS;
        if (failed == AGREE) *ret_verdict = VERDICT_FAILS;
        if (late == LATE_MAX) *ret_verdict = VERDICT_LATE;
        if (*ret_verdict != VERDICT_NONE) break;
        sl_assert(held + failed < TRIES_MAX);
    }
    return 0;
}

/* Narrow down between a rate that held and one that did not. */
static int halve(const struct sl_capacity_plan *plan, struct sl_capacity *capacity, double *ret_low,
                 double *ret_high, struct sl_diag *reterr)
{
    double low = 0;
    double high = fmax(plan->rate_guess * 1.05, RATE_MIN * 2);
    bool high_was_tried = false;
    int late = 0;
    for (;;) {
        enum verdict verdict;
        double rate = low > 0 ? sqrt(low * high) : high / 2;
        if (rate < RATE_MIN || (low > 0 && high / low < NEAR)) break;
        int err = rate_judge(plan, rate, false, capacity, &verdict, reterr);
        if (err < 0) return err;
        if (verdict == VERDICT_NONE) break;
        if (verdict == VERDICT_HOLDS) {
            low = rate;
        } else {
            high = rate;
            high_was_tried = true;
            capacity->is_generator_bound = verdict == VERDICT_LATE;
        }
        /* A lower rate does not help: it is the machine. */
        late = verdict == VERDICT_LATE ? late + 1 : 0;
        if (low == 0 && late == LATE_RATES) break;
    }
    *ret_low = low;
    *ret_high = high_was_tried ? high : 0;
    return 0;
}

int sl_capacity_search(const struct sl_capacity_plan *plan, struct sl_capacity *ret_capacity,
                       struct sl_diag *reterr)
{
    double low;
    sl_assert(plan->try != NULL);
    sl_assert(plan->step_ns > 0);
    memset(ret_capacity, 0, sizeof(*ret_capacity));
    int err = halve(plan, ret_capacity, &low, &ret_capacity->rate_failed, reterr);
    if (err < 0) return err;
    ret_capacity->rate = low;
    for (int i = 0; i < LONG_RATES && low > 0 && plan->long_ns > 0; i++) {
        enum verdict verdict;
        err = rate_judge(plan, low, true, ret_capacity, &verdict, reterr);
        if (err < 0) return err;
        if (verdict == VERDICT_NONE) break;
        ret_capacity->rate = low;
        ret_capacity->is_confirmed = verdict == VERDICT_HOLDS;
        if (ret_capacity->is_confirmed) return 0;
        ret_capacity->is_generator_bound = verdict == VERDICT_LATE;
        ret_capacity->rate_failed = low;
        low *= LOWER;
    }
    if (plan->long_ns > 0 && !sl_run_is_stopped()) ret_capacity->rate = 0;
    return 0;
}

/* ---- of a server ----------------------------------------------------------------------------- */

struct server {
    const struct sl_run_config *config;
    const struct sl_capacity_goal *goal;
    struct sl_run_result *result; /* of the last try */
};

static void step_print(const struct server *server, const struct sl_capacity_step *step)
{
    bool holds = step->figure <= (double)server->goal->limit_ns;
    (void)fprintf(stderr, "  %10s/s  %10s/s answered  %s %8s  %s\n",
                  sl_fmt_count((uint64_t)step->rate).text,
                  sl_fmt_count((uint64_t)step->reached).text, sl_metric_name(server->goal->metric),
                  sl_fmt_ns(step->figure).text,
                  !step->is_valid ? "the generator could not time it: does not count"
                  : holds         ? "within"
                                  : "over");
}

static int server_try(void *ctx, double rate, uint64_t duration_ns,
                      struct sl_capacity_step *ret_step, struct sl_diag *reterr)
{
    struct server *server = ctx;
    struct sl_run_config config = *server->config;
    config.rate_from = rate;
    config.rate_to = rate;
    config.duration_ns = duration_ns;
    config.count = UINT64_MAX;
    config.warmup_ns = 300 * SL_NS_PER_MS;
    config.progress = false;
    config.jitter = false;
    sl_run_result_fini(server->result);
    int err = sl_run(&config, server->result, reterr);
    if (err < 0) return err;
    struct sl_metrics metrics;
    sl_metrics_get(server->result, &metrics);
    ret_step->rate = rate;
    ret_step->reached = server->result->rate;
    ret_step->figure = metrics.value[server->goal->metric];
    ret_step->error_share = metrics.value[SL_METRIC_ERROR_SHARE];
    ret_step->is_valid = server->result->is_valid;
    if (server->config->progress) step_print(server, ret_step);
    return 0;
}

/* What a closed loop reaches. */
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
    struct server server = {.config = config, .goal = goal, .result = ret_result};
    struct sl_capacity_plan plan = {.try = server_try,
                                    .ctx = &server,
                                    .limit_ns = goal->limit_ns,
                                    .step_ns = step_ns,
                                    .long_ns = config->duration_ns};
    sl_assert(step_ns > 0);
    memset(ret_capacity, 0, sizeof(*ret_capacity));
    memset(ret_result, 0, sizeof(*ret_result));
    int err = closed_rate(config, &plan.rate_guess, reterr);
    return err < 0 ? err : sl_capacity_search(&plan, ret_capacity, reterr);
}
