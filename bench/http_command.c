/* SPDX-License-Identifier: MIT */
/* sluice-bench http: one run against one server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/command.h"
#include "bench/job.h"
#include "bench/report.h"
#include "bench/threshold.h"
#include "core/base/assertion.h"

struct http_values {
    struct sl_job_values job;
    const char *format;
    struct sl_option_list fail_if;
};

static const struct sl_option OPTIONS[] = {
    SL_JOB_OPTIONS_LOAD(struct http_values, job),
    {"duration", "T", "measure so long (default 10s)",
     offsetof(struct http_values, job.duration_ns), SL_OPTION_DURATION, 't'},
    {"warmup", "T", "before that, not measured (default 1s; 0 with --count)",
     offsetof(struct http_values, job.warmup_ns), SL_OPTION_DURATION, 'w'},
    {"count", "N", "measure N requests instead of a time", offsetof(struct http_values, job.count),
     SL_OPTION_COUNT, 'n'},
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
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct http_values, format),
     SL_OPTION_STRING, 'f'},
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
                "  sluice-bench http --fail-if 'p99>2ms' --fail-if 'errors>0' --format json "
                "http+unix://%2Frun%2Fs.sock/ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

struct thresholds {
    struct sl_threshold items[SL_OPTIONS_LIST_MAX]; /* array of `count` */
    uint32_t count;
};

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
    for (uint32_t i = 0; i < values->fail_if.count; i++) {
        int err = sl_threshold_parse(values->fail_if.items[i], &thresholds->items[i], reterr);
        if (err < 0) return err;
        thresholds->count++;
    }
    return 0;
}

static int verdict(const struct sl_run_result *result, const struct thresholds *thresholds)
{
    if (result->load.requests == 0) {
        (void)fprintf(stderr, "error: not one reply\n");
        return SL_EXIT_TARGET;
    }
    struct sl_metrics metrics;
    sl_metrics_get(result, &metrics);
    int code = result->is_valid ? SL_EXIT_OK : SL_EXIT_INVALID;
    for (uint32_t i = 0; i < thresholds->count; i++) {
        if (!sl_threshold_is_exceeded(&thresholds->items[i], &metrics, NULL)) continue;
        (void)fprintf(stderr, "failed: %s\n", thresholds->items[i].text);
        code = SL_EXIT_THRESHOLD;
    }
    return code;
}

static int run_and_report(const struct sl_job *job, const struct http_values *values,
                          const struct thresholds *thresholds)
{
    struct sl_run_result result;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = sl_run(&job->config, &result, &diag);
    int code;
    if (err < 0) {
        sl_options_complain(NULL, &diag);
        code = err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    } else {
        if (strcmp(values->format, "json") == 0) {
            sl_report_json(stdout, job->title, &job->config, &result);
        } else {
            sl_report_text(stdout, job->title, &job->config, &result);
        }
        (void)fflush(stdout);
        code = verdict(&result, thresholds);
    }
    sl_run_result_fini(&result);
    return code;
}

int sl_command_http(int argc, char **argv)
{
    struct http_values values = {.format = "text"};
    struct sl_option_list urls = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct thresholds thresholds = {.count = 0};
    struct sl_job job = {.body = NULL};
    sl_job_values_default(&values.job);
    int err = sl_options_parse(&USAGE, argc, argv, &values, &urls, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0) err = values_check(&values, &urls, &thresholds, &diag);
    if (err == 0) err = sl_job_init(&job, &values.job, urls.items, urls.count, &diag);
    int code;
    if (err < 0) {
        sl_options_complain(err == -EINVAL ? &USAGE : NULL, &diag);
        code = err == -EHOSTUNREACH ? SL_EXIT_TARGET : SL_EXIT_USAGE;
    } else {
        code = run_and_report(&job, &values, &thresholds);
    }
    sl_job_fini(&job);
    return code;
}
