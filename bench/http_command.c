/* SPDX-License-Identifier: MIT */
/* sluice-bench http: one run against one server. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/baseline.h"
#include "bench/capacity.h"
#include "bench/command.h"
#include "bench/html.h"
#include "bench/job.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/threshold.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

struct http_values {
    struct sl_job_values job;
    const char *format;
    const char *html;
    const char *baseline_write;
    const char *against;
    const char *find_capacity;
    struct sl_option_list fail_if;
    uint64_t step_ns;
};

static const struct sl_option OPTIONS[] = {
    SL_JOB_OPTIONS_LOAD(struct http_values, job),
    {"duration", "T", "measure so long (default 10s)",
     offsetof(struct http_values, job.duration_ns), SL_OPTION_DURATION, 't'},
    {"warmup", "T", "before that, not measured (default 1s; 0 with --count)",
     offsetof(struct http_values, job.warmup_ns), SL_OPTION_DURATION, 'w'},
    {"count", "N", "measure N requests, with a reply or without, instead of a time",
     offsetof(struct http_values, job.count), SL_OPTION_COUNT, 'n'},
    SL_JOB_OPTIONS_REQUEST(struct http_values, job),
    SL_JOB_OPTIONS_CHECK(struct http_values, job),
    {"fail-if", "'p99>2ms'", "exit 1 if it holds; may be repeated",
     offsetof(struct http_values, fail_if), SL_OPTION_LIST, 0},
    {"Server", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"pid", "PID", "report CPU, switches, faults, RSS of this process and its descendants",
     offsetof(struct http_values, job.pid), SL_OPTION_UINT, 0},
    SL_JOB_OPTIONS_CLIENT(struct http_values, job),
    {"no-jitter", NULL, "do not measure the machine's jitter beside the run",
     offsetof(struct http_values, job.no_jitter), SL_OPTION_FLAG, 0},
    {"Search", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"find-capacity", "p99=2ms", "find the highest rate at which this holds",
     offsetof(struct http_values, find_capacity), SL_OPTION_STRING, 0},
    {"step", "T", "each tried rate so long (default 2s)", offsetof(struct http_values, step_ns),
     SL_OPTION_DURATION, 0},
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct http_values, format),
     SL_OPTION_STRING, 'f'},
    {"html", "FILE", "write a page with plots and method", offsetof(struct http_values, html),
     SL_OPTION_STRING, 0},
    {"baseline-write", "FILE", "keep the run (an HdrHistogram log with figures)",
     offsetof(struct http_values, baseline_write), SL_OPTION_STRING, 0},
    {"against", "FILE", "set the run against a kept one; then 'p99>1.1x' is a threshold",
     offsetof(struct http_values, against), SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "http",
    .synopsis = "[WEIGHT:]URL… [options]",
    .about =
        "Load an HTTP/1.1 server and report rate, latency percentiles, errors, and with --pid its\n"
        "CPU per request. Without --rate the loop is closed: each connection asks again when it "
        "is\n"
        "answered, which hides stalls. With --rate it is open: requests are planned on a schedule\n"
        "and latency counts from the planned time, so a stall is seen by all it would have hit.",
    .examples = "  sluice-bench http http://127.0.0.1:8000/ping\n"
                "  sluice-bench http --rate 20k --duration 30s --pid 4711 --cores 1 "
                "http://127.0.0.1:8000/ping\n"
                "  sluice-bench http --body '{\"a\":1}' -H 'Content-Type: application/json' "
                "http://127.0.0.1:8000/echo\n"
                "  sluice-bench http 3:http://127.0.0.1:8000/a 1:http://127.0.0.1:8000/b\n"
                "  sluice-bench http --rate 1k..40k --duration 60s --html ramp.html "
                "http://127.0.0.1:8000/ping\n"
                "  sluice-bench http --find-capacity p99=2ms --cores 1 http://127.0.0.1:8000/ping\n"
                "  sluice-bench http --against before.hlog --fail-if 'p99>1.2x' "
                "http://127.0.0.1:8000/ping\n"
                "  sluice-bench http --fail-if 'p99>2ms' --fail-if 'errors>0' --format json "
                "http+unix://%2Frun%2Fs.sock/ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

struct thresholds {
    struct sl_threshold items[SL_OPTIONS_LIST_MAX]; /* array of `count` */
    uint32_t count;
};

/* What is not measured can neither hold nor fail. */
static int threshold_check(const struct http_values *values, const struct sl_threshold *threshold,
                           struct sl_diag *reterr)
{
    bool of_process = threshold->metric == SL_METRIC_CPU_US || threshold->metric == SL_METRIC_RSS;
    int err = 0;
    if (of_process && values->job.pid == 0) {
        err = sl_diag_set(reterr, "bad_usage", (struct sl_pos){0, 0},
                          "--fail-if '%s' needs --pid: it is a figure of the server's process",
                          threshold->text);
    } else if (threshold->is_relative && values->against == NULL) {
        err = sl_diag_set(reterr, "bad_usage", (struct sl_pos){0, 0},
                          "--fail-if '%s' needs --against FILE: it is times a kept figure",
                          threshold->text);
    }
    return err;
}

static int values_check(const struct http_values *values, const struct sl_option_list *urls,
                        struct thresholds *thresholds, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    if (urls->count == 0) {
        int err = sl_diag_set(reterr, "bad_usage", none, "no URL given");
        sl_diag_hint(reterr, "sluice-bench http http://127.0.0.1:8000/ping");
        return err;
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return sl_diag_set(reterr, "bad_value", none, "--format \"%s\": expected text or json",
                           values->format);
    }
    if (values->find_capacity != NULL && (values->job.rate != NULL || values->job.count > 0)) {
        return sl_diag_set(reterr, "bad_usage", none,
                           "--find-capacity chooses rates itself: leave --rate and --count out");
    }
    if (values->step_ns == 0) {
        return sl_diag_set(reterr, "bad_value", none, "--step must not be 0");
    }
    for (uint32_t i = 0; i < values->fail_if.count; i++) {
        int err = sl_threshold_parse(values->fail_if.items[i], &thresholds->items[i], reterr);
        if (err == 0) err = threshold_check(values, &thresholds->items[i], reterr);
        if (err < 0) return err;
        thresholds->count++;
    }
    int err = sl_options_output_check("html", values->html, reterr);
    return err < 0 ? err
                   : sl_options_output_check("baseline-write", values->baseline_write, reterr);
}

/* What one invocation works with. */
struct session {
    const struct http_values *values;
    const struct sl_job *job;
    struct thresholds thresholds;
    struct sl_baseline baseline;
    struct sl_capacity capacity;
    struct sl_run_result result;
    bool has_baseline;
};

static int verdict(const struct session *session)
{
    const struct sl_run_result *result = &session->result;
    if (result->load.requests == 0) {
        (void)fprintf(stderr, "error: not one reply\n");
        return SL_EXIT_TARGET;
    }
    struct sl_metrics metrics;
    sl_metrics_get(result, &metrics);
    int code = result->is_gone ? SL_EXIT_TARGET : result->is_valid ? SL_EXIT_OK : SL_EXIT_INVALID;
    for (uint32_t i = 0; i < session->thresholds.count; i++) {
        const struct sl_threshold *threshold = &session->thresholds.items[i];
        const struct sl_metrics *baseline =
            session->has_baseline ? &session->baseline.metrics : NULL;
        if (!sl_threshold_is_exceeded(threshold, &metrics, baseline)) continue;
        (void)fprintf(stderr, "failed: %s\n", threshold->text);
        code = SL_EXIT_THRESHOLD;
    }
    if (session->values->find_capacity != NULL && session->capacity.rate == 0) {
        code = session->capacity.is_generator_bound ? SL_EXIT_INVALID : SL_EXIT_THRESHOLD;
    }
    return code;
}

static struct sl_fmt metric_text(enum sl_metric metric, double value)
{
    struct sl_fmt fmt;
    if (sl_metric_unit(metric) == SL_METRIC_NS) return sl_fmt_ns(value);
    (void)snprintf(fmt.text, sizeof(fmt.text), "%.6g", value);
    return fmt;
}

static void against_text(const struct session *session)
{
    struct sl_metrics metrics;
    sl_metrics_get(&session->result, &metrics);
    struct sl_table table = {.columns = 0};
    sl_table_row(&table, (const char *const[]){"against", "kept", "now", "ratio"}, 4);
    for (int i = 0; i < SL_METRICS_COUNT; i++) {
        enum sl_metric metric = (enum sl_metric)i;
        double before = session->baseline.metrics.value[i];
        double now = metrics.value[i];
        if (isnan(before) || isnan(now)) continue;
        struct sl_fmt before_text = metric_text(metric, before);
        struct sl_fmt now_text = metric_text(metric, now);
        char ratio[32] = "";
        if (before > 0) (void)snprintf(ratio, sizeof(ratio), "×%.3f", now / before);
        sl_table_row(
            &table,
            (const char *const[]){sl_metric_name(metric), before_text.text, now_text.text, ratio},
            4);
    }
    sl_table_print(&table, stdout, 2);
    (void)printf("  note      one run against one run: a machine swings by a third; to tell less, "
                 "use sluice-bench compare\n");
}

static void capacity_text(const struct session *session)
{
    const struct sl_capacity *capacity = &session->capacity;
    const struct sl_run_result *result = &session->result;
    double waited = result->has_usage && result->usage_ns > 0
                        ? (double)result->usage.waited_ns / (double)result->usage_ns
                        : 0;
    if (waited > 0.05) {
        (void)printf("  note      the server waited for a core %s of the time: that is in its "
                     "latencies\n",
                     sl_fmt_percent(waited).text);
    }
    if (capacity->rate == 0) {
        (void)printf("capacity: %s held at no rate%s\n", session->values->find_capacity,
                     capacity->is_generator_bound
                         ? ": the generator could not time enough; --priority fifo:1 helps"
                         : "");
        return;
    }
    (void)printf("capacity: %s/s with %s%s%s\n", sl_fmt_count((uint64_t)capacity->rate).text,
                 session->values->find_capacity,
                 capacity->is_confirmed ? "" : " (stopped before it was confirmed)",
                 capacity->is_generator_bound
                     ? " (the limit of the generator; the server may do more)"
                     : "");
}

static void capacity_json(struct sl_json *json, const struct sl_capacity *capacity)
{
    sl_json_begin(json, "capacity", '{');
    sl_json_number(json, "rate_s", capacity->rate, 1);
    sl_json_bool(json, "confirmed", capacity->is_confirmed);
    sl_json_number(json, "rate_failed_s", capacity->rate_failed, 1);
    sl_json_bool(json, "generator_bound", capacity->is_generator_bound);
    sl_json_begin(json, "steps", '[');
    for (uint32_t i = 0; i < capacity->steps_count; i++) {
        const struct sl_capacity_step *step = &capacity->steps[i];
        sl_json_begin(json, NULL, '{');
        sl_json_number(json, "rate_s", step->rate, 1);
        sl_json_number(json, "reached_s", step->reached, 1);
        sl_json_number(json, "figure_us", step->figure / 1e3, 3);
        sl_json_bool(json, "long", step->is_long);
        sl_json_bool(json, "held", step->held);
        sl_json_bool(json, "valid", step->is_valid);
        sl_json_end(json, '}');
    }
    sl_json_end(json, ']');
    sl_json_end(json, '}');
}

static void against_json(struct sl_json *json, const struct session *session)
{
    sl_json_begin(json, "baseline", '{');
    for (int i = 0; i < SL_METRICS_COUNT; i++) {
        double value = session->baseline.metrics.value[i];
        bool is_time = sl_metric_unit((enum sl_metric)i) == SL_METRIC_NS;
        char key[32];
        (void)snprintf(key, sizeof(key), "%.20s%s", sl_metric_name((enum sl_metric)i),
                       is_time ? "_us" : "");
        if (!isnan(value)) sl_json_number(json, key, is_time ? value / 1e3 : value, 4);
    }
    sl_json_end(json, '}');
}

static void json_print(const struct session *session, const struct sl_run_config *config)
{
    struct sl_json json = {.out = stdout};
    struct sl_machine machine;
    char command[1024];
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_report_json_members(&json, session->job->title, config, &session->result);
    if (session->values->find_capacity != NULL) capacity_json(&json, &session->capacity);
    if (session->has_baseline) against_json(&json, session);
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}

/* Everything that is written after a run. 0, or -errno with a diagnostic. */
static int outputs_write(const struct session *session, struct sl_diag *reterr)
{
    const struct http_values *values = session->values;
    struct sl_run_config config = session->job->config;
    if (values->find_capacity != NULL && session->capacity.steps_count > 0) {
        config.rate_from = session->capacity.steps[session->capacity.steps_count - 1].rate;
        config.rate_to = config.rate_from;
        config.warmup_ns = 300 * SL_NS_PER_MS;
    }
    if (strcmp(values->format, "json") == 0) {
        json_print(session, &config);
    } else {
        sl_report_text(stdout, session->job->title, &config, &session->result);
        if (session->has_baseline) against_text(session);
        if (values->find_capacity != NULL) capacity_text(session);
    }
    (void)fflush(stdout);
    int err = 0;
    if (values->html != NULL) {
        err = sl_html_write(values->html, session->job->title, &config, &session->result,
                            session->has_baseline ? &session->baseline : NULL, reterr);
    }
    if (err == 0 && values->baseline_write != NULL) {
        err = sl_baseline_write(values->baseline_write, &session->result, reterr);
    }
    return err;
}

static int session_run(struct session *session, struct sl_diag *reterr)
{
    const struct http_values *values = session->values;
    const struct sl_run_config *config = &session->job->config;
    int err;
    if (values->find_capacity != NULL) {
        struct sl_capacity_goal goal;
        err = sl_capacity_goal_parse(values->find_capacity, &goal, reterr);
        if (err < 0) return SL_EXIT_USAGE;
        err = sl_capacity_find(config, &goal, values->step_ns, &session->capacity, &session->result,
                               reterr);
    } else {
        err = sl_run(config, &session->result, reterr);
    }
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (outputs_write(session, reterr) < 0) return SL_EXIT_INTERNAL;
    return verdict(session);
}

static int values_to_session(const struct http_values *values, const struct sl_option_list *urls,
                             struct sl_job *job, struct session *session, struct sl_diag *reterr)
{
    int err = values_check(values, urls, &session->thresholds, reterr);
    if (err == 0) err = sl_job_init(job, &values->job, urls->items, urls->count, reterr);
    if (err == 0 && values->against != NULL) {
        err = sl_baseline_read(values->against, &session->baseline, reterr);
        session->has_baseline = err == 0;
    }
    return err;
}

int sl_command_http(int argc, char **argv)
{
    struct http_values values = {.format = "text", .step_ns = 2 * SL_NS_PER_SEC};
    struct sl_option_list urls = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct sl_job job = {.body = NULL};
    struct session session = {.values = &values, .job = &job};
    sl_job_values_default(&values.job);
    int err = sl_options_parse(&USAGE, argc, argv, &values, &urls, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    int code = SL_EXIT_USAGE;
    if (err == 0) err = values_to_session(&values, &urls, &job, &session, &diag);
    if (err == -EHOSTUNREACH) code = SL_EXIT_TARGET;
    if (err == 0) code = session_run(&session, &diag);
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    sl_run_result_fini(&session.result);
    sl_baseline_fini(&session.baseline);
    sl_job_fini(&job);
    return code;
}
