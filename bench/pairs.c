/* SPDX-License-Identifier: MIT */
/* Running slots in turn and keeping their figures; see pairs.h. */
#include "bench/pairs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/spawn.h"
#include "core/base/assertion.h"

enum { EMPTY_ROW_MAX = 5, SPOILT_PER = 100 /* more than one error in so many requests */ };

static const struct {
    const char *name;
    const char *title;
} METRICS[] = {{"cpu_us", "CPU/request"}, {"p50", "p50"}, {"p99", "p99"}, {"rate", "rate"}};

const char *sl_pairs_metric_name(enum sl_pairs_metric metric)
{
    return METRICS[metric].name;
}

const char *sl_pairs_metric_title(enum sl_pairs_metric metric)
{
    return METRICS[metric].title;
}

struct sl_fmt sl_pairs_value(enum sl_pairs_metric metric, double value)
{
    struct sl_fmt fmt;
    if (isnan(value)) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "-");
    } else if (metric == SL_PAIRS_CPU) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "%.3f µs", value);
    } else if (metric == SL_PAIRS_RATE) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "%.40s/s", sl_fmt_count((uint64_t)value).text);
    } else {
        fmt = sl_fmt_ns(value * 1e3);
    }
    return fmt;
}

struct sl_fmt sl_pairs_ratio_text(const struct sl_ratio *ratio)
{
    struct sl_fmt fmt;
    if (isnan(ratio->ratio)) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "-");
    } else if (!sl_ratio_has_interval(ratio)) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "×%.3f", ratio->ratio);
    } else {
        (void)snprintf(fmt.text, sizeof(fmt.text), "×%.3f (%.3f–%.3f)", ratio->ratio, ratio->low,
                       ratio->high);
    }
    return fmt;
}

int sl_pairs_init(struct sl_pairs *pairs)
{
    sl_assert(pairs->rounds > 0 && pairs->rounds <= SL_PAIRS_ROUNDS_MAX);
    sl_assert(pairs->targets_count <= SL_PAIRS_TARGETS_MAX);
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        for (int metric = 0; metric < SL_PAIRS_METRICS_COUNT; metric++) {
            double *values = calloc(pairs->rounds, sizeof(*values));
            if (values == NULL) return -ENOMEM;
            pairs->targets[i].values[metric] = values;
        }
        if (!pairs->keeps) continue;
        pairs->targets[i].latency = sl_hdr_new_latency();
        pairs->targets[i].late = sl_hdr_new_latency();
        if (pairs->targets[i].latency == NULL || pairs->targets[i].late == NULL) return -ENOMEM;
    }
    if (pairs->keeps) pairs->jitter = sl_hdr_new_latency();
    return pairs->keeps && pairs->jitter == NULL ? -ENOMEM : 0;
}

void sl_pairs_fini(struct sl_pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        for (int metric = 0; metric < SL_PAIRS_METRICS_COUNT; metric++) {
            free(pairs->targets[i].values[metric]);
            pairs->targets[i].values[metric] = NULL;
        }
        pairs->targets[i].latency = sl_hdr_free(pairs->targets[i].latency);
        pairs->targets[i].late = sl_hdr_free(pairs->targets[i].late);
    }
    pairs->jitter = sl_hdr_free(pairs->jitter);
}

static void errors_add(struct sl_pairs_target *target, const struct sl_load_result *load)
{
    target->errors += sl_load_errors_sum(load);
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) target->kinds[i] += load->errors[i];
}

bool sl_pairs_target_is_spoilt(const struct sl_pairs_target *target)
{
    sl_assert(target != NULL);
    return target->errors * SPOILT_PER > target->requests;
}

void sl_pairs_errors_text(const struct sl_pairs_target *target, char *buf, size_t buf_size)
{
    int most = 0;
    sl_assert(target != NULL);
    for (int i = 1; i < SL_LOAD_ERRORS_COUNT; i++) {
        if (target->kinds[i] > target->kinds[most]) most = i;
    }
    (void)snprintf(buf, buf_size, "%s errors in %s requests, most of them: %s",
                   sl_fmt_count(target->errors).text, sl_fmt_count(target->requests).text,
                   sl_load_error_text((enum sl_load_error)most));
}

/* What a slot gave. One in which the generator was late says nothing of the server. */
static void slot_keep(const struct sl_pairs *pairs, struct sl_pairs_target *target, uint32_t round,
                      const struct sl_run_result *result)
{
    const struct sl_hdr *latency = result->load.latency;
    bool counts = result->is_valid || pairs->keeps_late;
    double nothing = (double)NAN;
    double p50 = (double)sl_hdr_percentile(latency, 50) / 1e3;
    double p99 = (double)sl_hdr_percentile(latency, 99) / 1e3;
    target->values[SL_PAIRS_CPU][round] = counts ? sl_run_cpu_us(result) : nothing;
    target->values[SL_PAIRS_P50][round] = counts ? p50 : nothing;
    target->values[SL_PAIRS_P99][round] = counts ? p99 : nothing;
    target->values[SL_PAIRS_RATE][round] = counts ? result->rate : nothing;
    target->requests += result->load.requests;
    errors_add(target, &result->load);
    target->invalid_count += !result->is_valid;
    if (!pairs->keeps) return;
    if (result->jitter != NULL) sl_hdr_merge(pairs->jitter, result->jitter);
    if (!counts) return;
    sl_hdr_merge(target->latency, latency);
    if (pairs->keeps_late) sl_hdr_merge(target->latency, result->load.disturbed);
    target->timed_count += latency->total;
    target->disturbed_count += result->load.disturbed->total;
    sl_hdr_merge(target->late, result->load.late);
}

static void slot_clear(struct sl_pairs_target *target, uint32_t round)
{
    for (int metric = 0; metric < SL_PAIRS_METRICS_COUNT; metric++) {
        target->values[metric][round] = (double)NAN;
    }
}

/* On a busy machine a short slot may end before the first reply; a server that is stuck has many. */
static int slot_empty(struct sl_pairs_target *target, uint32_t round,
                      const struct sl_run_result *result, struct sl_diag *reterr)
{
    uint64_t errors = sl_load_errors_sum(&result->load);
    slot_clear(target, round);
    errors_add(target, &result->load);
    target->empty_count++;
    if (++target->empty_row < EMPTY_ROW_MAX) return 0;
    (void)sl_diag_set(reterr, "no_reply", (struct sl_pos){0, 0},
                      "%s gave not one reply in %d slots in a row (%llu errors in the last)",
                      target->name, (int)EMPTY_ROW_MAX, (unsigned long long)errors);
    return -ENODATA;
}

/* Go on without it? What failed in us and not in the target ends the run. */
static int target_give_up(const struct sl_pairs *pairs, struct sl_pairs_target *target, int err,
                          struct sl_diag *reterr)
{
    if (!pairs->goes_on || err == -ENOMEM || err == -EINVAL) return err;
    (void)snprintf(target->why, sizeof(target->why), "%.150s",
                   reterr->text[0] != '\0' ? reterr->text : strerror(-err));
    uint32_t left = 0;
    for (uint32_t i = 0; i < pairs->targets_count; i++) left += pairs->targets[i].why[0] == '\0';
    if (left == 0) return -ENODATA;
    reterr->text[0] = '\0';
    return 0;
}

static int slot_run(const struct sl_pairs *pairs, struct sl_pairs_target *target, uint32_t round,
                    struct sl_diag *reterr)
{
    struct sl_run_config config = *target->config;
    struct sl_run_result result;
    if (target->why[0] != '\0') {
        slot_clear(target, round);
        return 0;
    }
    config.warmup_ns = pairs->settle_ns;
    config.duration_ns = pairs->slot_ns;
    config.count = UINT64_MAX;
    config.jitter = pairs->keeps;
    config.progress = false;
    if (pairs->enter != NULL) {
        pairs->enter(pairs->enter_ctx, (uint32_t)(target - pairs->targets));
    }
    if (target->enter != NULL && sl_spawn_run(target->enter, reterr) < 0) return -EIO;
    int err = sl_run(&config, &result, reterr);
    if (err == 0 && result.load.requests == 0 && !result.is_stopped) {
        err = slot_empty(target, round, &result, reterr);
    } else if (err == 0) {
        target->empty_row = 0;
        slot_keep(pairs, target, round, &result);
    }
    sl_run_result_fini(&result);
    if (err < 0) slot_clear(target, round);
    return err < 0 ? target_give_up(pairs, target, err, reterr) : 0;
}

/* Load each target once: caches, compilers and pools get ready. */
static int warm_up(struct sl_pairs *pairs, struct sl_diag *reterr)
{
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < pairs->targets_count && !sl_run_is_stopped(); i++) {
        struct sl_run_config config = *pairs->targets[i].config;
        struct sl_run_result result;
        config.warmup_ns = 0;
        config.duration_ns = pairs->warm_ns;
        config.count = UINT64_MAX;
        config.jitter = false;
        config.progress = false;
        err = sl_run(&config, &result, reterr);
        sl_run_result_fini(&result);
        if (err < 0) err = target_give_up(pairs, &pairs->targets[i], err, reterr);
    }
    return err;
}

/* With few rounds a target may have given nothing without being given up. */
static void silent_mark(struct sl_pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        struct sl_pairs_target *target = &pairs->targets[i];
        if (target->requests > 0 || target->empty_count == 0 || target->why[0] != '\0') continue;
        (void)snprintf(target->why, sizeof(target->why), "%s gave not one reply in %u slot%s",
                       target->name, target->empty_count, sl_plural(target->empty_count));
    }
}

static void progress_print(const struct sl_pairs *pairs, bool is_end)
{
    bool is_tty = isatty(STDERR_FILENO) != 0;
    if (!pairs->progress) return;
    if (is_end) {
        if (is_tty) (void)fprintf(stderr, "\r\033[K");
        return;
    }
    (void)fprintf(stderr, "%sround %u/%u ", is_tty ? "\r" : "", pairs->done_count, pairs->rounds);
    uint32_t last = pairs->done_count - 1;
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        bool has_cpu = !isnan(target->values[SL_PAIRS_CPU][last]);
        enum sl_pairs_metric metric = has_cpu ? SL_PAIRS_CPU : SL_PAIRS_RATE;
        (void)fprintf(stderr, " %s %s", target->name,
                      sl_pairs_value(metric, target->values[metric][last]).text);
    }
    (void)fprintf(stderr, "%s", is_tty ? "\033[K" : "\n");
}

int sl_pairs_run(struct sl_pairs *pairs, struct sl_diag *reterr)
{
    sl_assert(pairs->targets_count > 0);
    int err = pairs->warm_ns > 0 ? warm_up(pairs, reterr) : 0;
    while (err == 0 && pairs->done_count < pairs->rounds && !sl_run_is_stopped()) {
        for (uint32_t i = 0; err == 0 && i < pairs->targets_count; i++) {
            uint32_t at = (i + (pairs->rotates ? pairs->done_count : 0)) % pairs->targets_count;
            err = slot_run(pairs, &pairs->targets[at], pairs->done_count, reterr);
        }
        if (err < 0 || sl_run_is_stopped()) break;
        pairs->done_count++;
        progress_print(pairs, false);
    }
    progress_print(pairs, true);
    if (pairs->goes_on) silent_mark(pairs);
    return err;
}

struct sl_ratio sl_pairs_ratio(const struct sl_pairs *pairs, uint32_t a, uint32_t b,
                               enum sl_pairs_metric metric)
{
    sl_assert(a < pairs->targets_count);
    sl_assert(b < pairs->targets_count);
    return sl_stats_ratio(pairs->targets[a].values[metric], pairs->targets[b].values[metric],
                          pairs->done_count);
}
