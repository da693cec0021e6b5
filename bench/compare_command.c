/* SPDX-License-Identifier: MIT */
/* sluice-bench compare: two or more servers in adjacent pairs of slots. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/html.h"
#include "bench/pairs.h"
#include "bench/spawn.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

struct compare_values {
    struct sl_job_values job;
    const char *format;
    const char *html;
    const char *path;
    const char *server_core;
    const char *least;
    struct sl_option_list fail_if;
    struct sl_option_list enter;
    uint64_t slot_ns;
    uint64_t settle_ns;
    uint32_t pairs;
};

static const struct sl_option OPTIONS[] = {
    {"Pairs", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"pairs", "N", "adjacent pairs (default 60)", offsetof(struct compare_values, pairs),
     SL_OPTION_UINT, 'n'},
    {"slot", "T", "measure each so long (default 1s)", offsetof(struct compare_values, slot_ns),
     SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 100ms)",
     offsetof(struct compare_values, settle_ns), SL_OPTION_DURATION, 0},
    {"least", "SHARE", "smallest difference to call one (default 0.01)",
     offsetof(struct compare_values, least), SL_OPTION_STRING, 0},
    {"fail-if", "'M>R'", "exit 1 if a ratio to the first surely exceeds R: 'cpu_us>1.01'",
     offsetof(struct compare_values, fail_if), SL_OPTION_LIST, 0},
    {"enter", "NAME='CMD'", "run this before the target starts and before each of its slots",
     offsetof(struct compare_values, enter), SL_OPTION_LIST, 0},
    SL_JOB_OPTIONS_LOAD(struct compare_values, job),
    SL_JOB_OPTIONS_REQUEST(struct compare_values, job),
    {"Servers", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"path", "/P", "path to load, of targets that are started (default /, of known servers /ping)",
     offsetof(struct compare_values, path), SL_OPTION_STRING, 0},
    {"server-core", "N", "pin servers that are started to this core",
     offsetof(struct compare_values, server_core), SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_CLIENT(struct compare_values, job),
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct compare_values, format),
     SL_OPTION_STRING, 'f'},
    {"html", "FILE", "write a page with charts and method", offsetof(struct compare_values, html),
     SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "compare",
    .synopsis = "[NAME=]TARGET [NAME=]TARGET… [options]",
    .about =
        "Compare servers in adjacent slots (A B A B …), because one server alone swings by a "
        "third\n"
        "over ten seconds. A target is a URL (with ,pid=N for its CPU), a command with {port}, or\n"
        "a known server: floor, sluice, sluice-js, sluice-lua, nginx, nginx-lua, nginx-njs, "
        "haproxy,\n"
        "haproxy-lua.\n"
        "Prints medians, spread, and the ratio of each to the first with its 95 % interval; a\n"
        "difference that the noise covers is not called one. Comparing a server with itself shows\n"
        "what the machine allows.",
    .examples = "  sluice-bench compare old=http://127.0.0.1:8000/ping,pid=11 "
                "new=http://127.0.0.1:8001/ping,pid=12\n"
                "  sluice-bench compare --cores 1 --server-core 0 a='./server --port {port}' "
                "b='./server.new --port {port}'\n"
                "  sluice-bench compare --cores 1 --server-core 0 sluice nginx\n"
                "  sluice-bench compare --pipeline 16 --fail-if 'cpu_us>1.01' "
                "http://127.0.0.1:8000/,pid=11 http://127.0.0.1:8001/,pid=12\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

/* "cpu_us>1.01": a limit of a ratio. */
struct limit {
    enum sl_pairs_metric metric;
    bool is_above;
    double value;
    const char *text;
};

struct comparison {
    struct sl_endpoint *endpoints; /* array of pairs.targets_count */
    struct sl_pairs pairs;
    struct limit limits[SL_OPTIONS_LIST_MAX]; /* array of `limits_count` */
    uint32_t limits_count;
    double least;
    int server_core;
};

static int limit_parse(const char *text, struct limit *ret_limit, struct sl_diag *reterr)
{
    size_t name_size = strcspn(text, "<>");
    for (int i = 0; i < SL_PAIRS_METRICS_COUNT; i++) {
        const char *name = sl_pairs_metric_name((enum sl_pairs_metric)i);
        if (strlen(name) != name_size || strncmp(name, text, name_size) != 0) continue;
        *ret_limit = (struct limit){
            .metric = (enum sl_pairs_metric)i, .is_above = text[name_size] == '>', .text = text};
        if (text[name_size] != '\0' &&
            sl_parse_number(text + name_size + 1, &ret_limit->value) == 0) {
            return 0;
        }
    }
    int err = sl_diag_set(reterr, "bad_threshold", (struct sl_pos){0, 0},
                          "--fail-if \"%s\": expected a limit of a ratio", text);
    sl_diag_hint(reterr, "write 'cpu_us>1.01', 'p50>1.05', 'p99>1.1' or 'rate<0.99'");
    return err;
}

static int values_check(const struct compare_values *values, const struct sl_option_list *targets,
                        struct comparison *comparison, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    if (targets->count < 2 || targets->count > SL_PAIRS_TARGETS_MAX) {
        return sl_diag_set(reterr, "bad_usage", none, "expected 2 to %d targets",
                           (int)SL_PAIRS_TARGETS_MAX);
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--format \"%s\": expected text or json",
                           values->format);
    }
    if (values->pairs < 1 || values->pairs > SL_PAIRS_ROUNDS_MAX || values->slot_ns == 0) {
        return sl_diag_set(reterr, "bad_value", none, "--pairs must be 1 to %d, --slot not 0",
                           (int)SL_PAIRS_ROUNDS_MAX);
    }
    if (sl_parse_number(values->least, &comparison->least) < 0 || comparison->least < 0) {
        return sl_diag_set(reterr, "bad_value", none, "--least: expected a share such as 0.01");
    }
    comparison->server_core = -1;
    if (values->server_core != NULL &&
        sl_job_cores_parse(values->server_core, &comparison->server_core, 1) != 1) {
        return sl_diag_set(reterr, "bad_value", none, "--server-core: expected one core");
    }
    for (uint32_t i = 0; i < values->fail_if.count; i++) {
        int err = limit_parse(values->fail_if.items[i], &comparison->limits[i], reterr);
        if (err < 0) return err;
        comparison->limits_count++;
    }
    if (values->fail_if.count > 0 && values->pairs < SL_STATS_INTERVAL_MIN) {
        return sl_diag_set(reterr, "bad_value", none,
                           "--fail-if: a limit is set against an interval, which %d pairs or more "
                           "give",
                           (int)SL_STATS_INTERVAL_MIN);
    }
    return sl_options_output_check("html", values->html, reterr);
}

/* "NAME=COMMAND": the command if it is for the target of that name, else NULL. */
static const char *enter_of(const char *item, const char *name)
{
    size_t size = strlen(name);
    return strncmp(item, name, size) == 0 && item[size] == '=' ? item + size + 1 : NULL;
}

/* The command of --enter for a target, or NULL. */
static const char *enter_find(const struct compare_values *values, const char *name)
{
    for (uint32_t i = 0; i < values->enter.count; i++) {
        const char *command = enter_of(values->enter.items[i], name);
        if (command != NULL) return command;
    }
    return NULL;
}

/* Each --enter belongs to a target. */
static int enter_check(const struct comparison *comparison, const struct compare_values *values,
                       struct sl_diag *reterr)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    for (uint32_t i = 0; i < values->enter.count; i++) {
        bool is_known = false;
        for (uint32_t t = 0; t < pairs->targets_count; t++) {
            is_known |= enter_of(values->enter.items[i], pairs->targets[t].name) != NULL;
        }
        if (is_known) continue;
        return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0},
                           "--enter \"%s\": expected NAME='COMMAND' with the name of a target",
                           values->enter.items[i]);
    }
    return 0;
}

static int endpoints_open(struct comparison *comparison, const struct compare_values *values,
                          const struct sl_option_list *targets, struct sl_diag *reterr)
{
    static_assert('A' + SL_PAIRS_TARGETS_MAX <= 'a', "a letter for each");
    struct sl_pairs *pairs = &comparison->pairs;
    for (uint32_t i = 0; i < targets->count; i++) {
        struct sl_endpoint *endpoint = &comparison->endpoints[i];
        const char letter[] = {(char)('A' + i), '\0'};
        int err = sl_endpoint_parse(targets->items[i], letter, endpoint, reterr);
        pairs->targets[i].name = endpoint->name;
        pairs->targets[i].enter = enter_find(values, endpoint->name);
        if (err == 0 && pairs->targets[i].enter != NULL) {
            err = sl_spawn_run(pairs->targets[i].enter, reterr);
        }
        if (err == 0) {
            err = sl_endpoint_open(endpoint, &values->job, values->path, comparison->server_core,
                                   NULL, reterr);
        }
        if (err < 0) return err;
        pairs->targets[i].config = &endpoint->job.config;
    }
    return enter_check(comparison, values, reterr);
}

static void verdict_print(FILE *out, const struct comparison *comparison, uint32_t target,
                          enum sl_pairs_metric metric)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    struct sl_ratio ratio = sl_pairs_ratio(pairs, 0, target, metric);
    const char *name = pairs->targets[target].name;
    const char *title = sl_pairs_metric_title(metric);
    if (!sl_ratio_has_interval(&ratio)) return;
    if (!sl_ratio_is_different(&ratio, comparison->least)) {
        (void)fprintf(out, "  %s: no difference from %s in %s that this run can tell (%.3f–%.3f)\n",
                      name, pairs->targets[0].name, title, ratio.low, ratio.high);
        return;
    }
    (void)fprintf(out, "  %s: %s is %.1f %% %s than %s (%.3f–%.3f)\n", name, title,
                  fabs(ratio.ratio - 1) * 100, ratio.ratio > 1 ? "higher" : "lower",
                  pairs->targets[0].name, ratio.low, ratio.high);
}

static void text_print(FILE *out, const struct comparison *comparison)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    (void)fprintf(out, "%u adjacent pair%s of %s (first target: %s at %s)\n", pairs->done_count,
                  sl_plural(pairs->done_count), sl_fmt_ns((double)pairs->slot_ns).text,
                  pairs->targets[0].name, comparison->endpoints[0].job.addr.text);
    struct sl_table table = {.columns = 0};
    sl_table_row(
        &table, (const char *const[]){"target", "figure", "median", "spread", "ratio to first"}, 5);
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        for (int m = 0; m < SL_PAIRS_METRICS_COUNT; m++) {
            enum sl_pairs_metric metric = (enum sl_pairs_metric)m;
            double median = sl_stats_median(target->values[m], pairs->done_count);
            double spread = sl_stats_spread(target->values[m], pairs->done_count);
            struct sl_ratio ratio = sl_pairs_ratio(pairs, 0, i, metric);
            if (pairs->done_count > 0 && isnan(median)) continue;
            struct sl_fmt ratio_text = sl_pairs_ratio_text(&ratio);
            struct sl_fmt median_text = sl_pairs_value(metric, median);
            struct sl_fmt spread_text = sl_pairs_value(metric, spread);
            sl_table_row(&table,
                         (const char *const[]){target->name, sl_pairs_metric_title(metric),
                                               median_text.text, spread_text.text,
                                               i == 0 ? "" : ratio_text.text},
                         5);
        }
    }
    sl_table_print(&table, out, 2);
    for (uint32_t i = 1; i < pairs->targets_count; i++) {
        for (int m = 0; m < SL_PAIRS_METRICS_COUNT; m++) {
            verdict_print(out, comparison, i, (enum sl_pairs_metric)m);
        }
    }
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        if (target->errors > 0) {
            (void)fprintf(out, "  note: %s had %s errors\n", target->name,
                          sl_fmt_count(target->errors).text);
        }
        if (target->invalid_count > 0) {
            (void)fprintf(out, "  note: the generator was late in %u slot%s of %s: left out\n",
                          target->invalid_count, sl_plural(target->invalid_count), target->name);
        }
    }
    if (pairs->done_count < SL_STATS_INTERVAL_MIN) {
        (void)fprintf(
            out,
            "  note: no interval and no verdict: %u pair%s too few, from %d on the spread of the "
            "pairs says how far a ratio can be trusted\n",
            pairs->done_count, pairs->done_count == 1 ? " is" : "s are",
            (int)SL_STATS_INTERVAL_MIN);
    } else if (pairs->done_count < 60) {
        (void)fprintf(out, "  note: %u pairs are few: 60 or more tell differences of 1 %%\n",
                      pairs->done_count);
    }
}

static void metric_json(struct sl_json *json, const struct comparison *comparison, uint32_t target,
                        enum sl_pairs_metric metric)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    const double *values = pairs->targets[target].values[metric];
    sl_json_begin(json, sl_pairs_metric_name(metric), '{');
    sl_json_number(json, "median", sl_stats_median(values, pairs->done_count), 4);
    sl_json_number(json, "spread", sl_stats_spread(values, pairs->done_count), 4);
    struct sl_ratio ratio = sl_pairs_ratio(pairs, 0, target, metric);
    sl_json_number(json, "ratio", ratio.ratio, 5);
    bool has_interval = sl_ratio_has_interval(&ratio);
    sl_json_number(json, "ratio_low", has_interval ? ratio.low : (double)NAN, 5);
    sl_json_number(json, "ratio_high", has_interval ? ratio.high : (double)NAN, 5);
    sl_json_bool(json, "different", sl_ratio_is_different(&ratio, comparison->least));
    sl_json_end(json, '}');
}

static void json_print(const struct comparison *comparison)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    struct sl_json json = {.out = stdout};
    sl_json_begin(&json, NULL, '{');
    sl_json_uint(&json, "pairs", pairs->done_count);
    sl_json_number(&json, "slot_s", (double)pairs->slot_ns / 1e9, 3);
    if (pairs->done_count < SL_STATS_INTERVAL_MIN) {
        sl_json_string(&json, "note", "no intervals: that takes 5 pairs or more");
    }
    sl_json_begin(&json, "targets", '[');
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        sl_json_begin(&json, NULL, '{');
        sl_json_string(&json, "name", pairs->targets[i].name);
        sl_json_uint(&json, "requests", pairs->targets[i].requests);
        sl_json_uint(&json, "errors", pairs->targets[i].errors);
        sl_json_uint(&json, "late_slots", pairs->targets[i].invalid_count);
        for (int m = 0; m < SL_PAIRS_METRICS_COUNT; m++) {
            metric_json(&json, comparison, i, (enum sl_pairs_metric)m);
        }
        sl_json_end(&json, '}');
    }
    sl_json_end(&json, ']');
    sl_json_end(&json, '}');
}

/* A limit counts as exceeded only if the whole interval is beyond it. */
static int limits_verdict(const struct comparison *comparison)
{
    int code = SL_EXIT_OK;
    for (uint32_t i = 0; i < comparison->limits_count; i++) {
        const struct limit *limit = &comparison->limits[i];
        for (uint32_t t = 1; t < comparison->pairs.targets_count; t++) {
            struct sl_ratio ratio = sl_pairs_ratio(&comparison->pairs, 0, t, limit->metric);
            bool unknown = isnan(ratio.ratio);
            bool beyond = limit->is_above ? ratio.low > limit->value : ratio.high < limit->value;
            if (!unknown && !beyond) continue;
            (void)fprintf(stderr, "failed: %s: %s%s\n", comparison->pairs.targets[t].name,
                          limit->text, unknown ? " (not measured)" : "");
            code = SL_EXIT_THRESHOLD;
        }
    }
    return code;
}

static int page_write(const struct comparison *comparison, const char *path, struct sl_diag *reterr)
{
    const struct sl_pairs *pairs = &comparison->pairs;
    const struct sl_html_pairs_chart charts[] = {
        {"Server CPU per request", pairs, SL_PAIRS_CPU, 0, pairs->targets_count},
        {"p50", pairs, SL_PAIRS_P50, 0, pairs->targets_count},
        {"p99", pairs, SL_PAIRS_P99, 0, pairs->targets_count},
    };
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    text_print(memory, comparison);
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    const double *cpu = pairs->targets[0].values[SL_PAIRS_CPU];
    size_t skip = isnan(sl_stats_median(cpu, pairs->done_count)) ? 1 : 0;
    if (err == 0) {
        err = sl_html_pairs_write(path, "Comparison in adjacent pairs", text, charts + skip,
                                  sizeof(charts) / sizeof(charts[0]) - skip, reterr);
    }
    free(text);
    return err;
}

static int compare_run(struct comparison *comparison, const struct compare_values *values,
                       const struct sl_option_list *targets, struct sl_diag *reterr)
{
    int err = endpoints_open(comparison, values, targets, reterr);
    if (err == 0) err = sl_pairs_init(&comparison->pairs);
    if (err == 0) err = sl_pairs_run(&comparison->pairs, reterr);
    if (err == -EINVAL) return SL_EXIT_USAGE;
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (strcmp(values->format, "json") == 0) {
        json_print(comparison);
    } else {
        text_print(stdout, comparison);
    }
    if (values->html != NULL && page_write(comparison, values->html, reterr) < 0) {
        return SL_EXIT_INTERNAL;
    }
    return limits_verdict(comparison);
}

int sl_command_compare(int argc, char **argv)
{
    struct compare_values values = {.format = "text",
                                    .least = "0.01",
                                    .pairs = 60,
                                    .slot_ns = SL_NS_PER_SEC,
                                    .settle_ns = 100 * SL_NS_PER_MS};
    struct sl_option_list targets = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct comparison comparison = {.least = 0};
    sl_job_values_default(&values.job);
    int err = sl_options_parse(&USAGE, argc, argv, &values, &targets, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0) err = values_check(&values, &targets, &comparison, &diag);
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return SL_EXIT_USAGE;
    }
    comparison.pairs.targets_count = targets.count;
    comparison.pairs.rounds = values.pairs;
    comparison.pairs.slot_ns = values.slot_ns;
    comparison.pairs.settle_ns = values.settle_ns;
    comparison.pairs.progress = !values.job.quiet;
    comparison.endpoints = calloc(targets.count, sizeof(*comparison.endpoints));
    if (comparison.endpoints == NULL) return SL_EXIT_INTERNAL;
    int code = compare_run(&comparison, &values, &targets, &diag);
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    sl_pairs_fini(&comparison.pairs);
    for (uint32_t i = 0; i < targets.count; i++) sl_endpoint_fini(&comparison.endpoints[i]);
    free(comparison.endpoints);
    return code;
}
