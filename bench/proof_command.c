/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench proof: the real run beside the test on the virtual clock. A server that stalls on a
 * known schedule is loaded by an open and by a closed loop; what a user arriving at any moment
 * would see is computed from the schedule.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/fmt.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

struct proof_values {
    struct sl_job_values job;
    const char *server_core;
    uint64_t stall_ns;
    uint64_t every_ns;
};

static const struct sl_option OPTIONS[] = {
    {"rate", "R", "requests a second of the open loop (default 1000)",
     offsetof(struct proof_values, job.rate), SL_OPTION_STRING, 'r'},
    {"duration", "T", "of each run (default 8s; best a multiple of --every)",
     offsetof(struct proof_values, job.duration_ns), SL_OPTION_DURATION, 't'},
    {"stall", "T", "length of a stall (default 100ms)", offsetof(struct proof_values, stall_ns),
     SL_OPTION_DURATION, 0},
    {"every", "T", "a stall each (default 1s)", offsetof(struct proof_values, every_ns),
     SL_OPTION_DURATION, 0},
    {"server-core", "N", "pin the server", offsetof(struct proof_values, server_core),
     SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_CLIENT(struct proof_values, job),
};

static const struct sl_options_usage USAGE = {
    .name = "proof",
    .synopsis = "[options]",
    .about =
        "Load a server that stalls on a known schedule, with an open and with a closed loop, and "
        "set\n"
        "both against the truth: the latency that a request at any moment would see. The open "
        "loop\n"
        "must be within 2 % of it; the closed loop cannot. Exit code 1 if the open loop is not.",
    .examples = "  sluice-bench proof\n  sluice-bench proof --stall 20ms --every 200ms --rate 5k\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static const double PERCENTS[] = {50, 90, 95, 99, 99.9};

enum { PERCENTS_COUNT = sizeof(PERCENTS) / sizeof(PERCENTS[0]), CONNECTIONS = 512 };

/*
 * The latency that `percent` of requests at evenly spread moments do not exceed: those outside a
 * stall see `plain_ns`; one that comes `x` before the end of a stall sees `x` more.
 */
static double truth_ns(const struct proof_values *values, double plain_ns, double percent)
{
    double stalled = (double)values->stall_ns / (double)values->every_ns;
    double into = percent / 100 - (1 - stalled);
    return into <= 0 ? plain_ns : plain_ns + into / stalled * (double)values->stall_ns;
}

static int one_run(const struct sl_job *job, bool is_open, struct sl_run_result *ret_result,
                   struct sl_diag *reterr)
{
    struct sl_run_config config = job->config;
    config.connections = is_open ? CONNECTIONS : 1;
    config.jitter = false;
    if (!is_open) {
        config.rate_from = 0;
        config.rate_to = 0;
        config.threads = 1;
    }
    return sl_run(&config, ret_result, reterr);
}

/* Print the table. True if the open loop is within 2 % wherever a stall decides. */
static bool table_print(const struct proof_values *values, const struct sl_run_result *open,
                        const struct sl_run_result *closed)
{
    bool holds = true;
    double plain = (double)sl_hdr_percentile(open->load.latency, 50);
    struct sl_table table = {.columns = 0};
    sl_table_row(&table, (const char *const[]){"", "truth", "open loop", "off", "closed loop"}, 5);
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        double truth = truth_ns(values, plain, PERCENTS[i]);
        double got = (double)sl_hdr_percentile(open->load.latency, PERCENTS[i]);
        double hidden = (double)sl_hdr_percentile(closed->load.latency, PERCENTS[i]);
        double off = got / truth - 1;
        bool decides = truth > plain + (double)values->stall_ns / 20;
        char name[16];
        char off_text[32];
        (void)snprintf(name, sizeof(name), "p%g", PERCENTS[i]);
        (void)snprintf(off_text, sizeof(off_text), decides ? "%+.2f %%" : "-", off * 100);
        struct sl_fmt truth_text = sl_fmt_ns(truth);
        struct sl_fmt got_text = sl_fmt_ns(got);
        struct sl_fmt hidden_text = sl_fmt_ns(hidden);
        sl_table_row(
            &table,
            (const char *const[]){name, truth_text.text, got_text.text, off_text, hidden_text.text},
            5);
        if (decides && fabs(off) > 0.02) holds = false;
    }
    (void)printf("a server that stalls %s in every %s; open loop %.0f/s, closed loop one "
                 "connection\n",
                 sl_fmt_ns((double)values->stall_ns).text, sl_fmt_ns((double)values->every_ns).text,
                 open->rate);
    sl_table_print(&table, stdout, 2);
    (void)printf("  the open loop %s\n",
                 holds ? "tells the truth within 2 %" : "is NOT within 2 % of the truth");
    return holds;
}

static int proof_run(const struct proof_values *values, int core, struct sl_diag *reterr)
{
    struct sl_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) return SL_EXIT_INTERNAL;
    (void)snprintf(endpoint->name, sizeof(endpoint->name), "floor");
    (void)snprintf(endpoint->command, sizeof(endpoint->command),
                   "exec {bin}/sluice-bench floor --port {port} --stall %lluns --every %lluns",
                   (unsigned long long)values->stall_ns, (unsigned long long)values->every_ns);
    struct sl_run_result open = {.rate = 0};
    struct sl_run_result closed = {.rate = 0};
    int err = sl_endpoint_open(endpoint, &values->job, "/", core, NULL, reterr);
    if (err == 0) err = one_run(&endpoint->job, true, &open, reterr);
    if (err == 0) err = one_run(&endpoint->job, false, &closed, reterr);
    int code = err == -EINVAL ? SL_EXIT_USAGE : err < 0 ? SL_EXIT_TARGET : SL_EXIT_OK;
    if (err == 0) {
        if (!table_print(values, &open, &closed)) code = SL_EXIT_THRESHOLD;
        if (!open.is_valid) {
            (void)printf("  INVALID: the generator itself was late\n");
            code = SL_EXIT_INVALID;
        }
    }
    sl_run_result_fini(&open);
    sl_run_result_fini(&closed);
    sl_endpoint_fini(endpoint);
    free(endpoint);
    return code;
}

int sl_command_proof(int argc, char **argv)
{
    struct proof_values values = {.stall_ns = 100 * SL_NS_PER_MS, .every_ns = SL_NS_PER_SEC};
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct sl_pos none = {0, 0};
    int core = -1;
    sl_job_values_default(&values.job);
    values.job.rate = "1000";
    values.job.duration_ns = 8 * SL_NS_PER_SEC;
    values.job.connections = CONNECTIONS;
    int err = sl_options_parse(&USAGE, argc, argv, &values, &positional, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0 && positional.count > 0) {
        err = sl_diag_set(&diag, "bad_usage", none, "unexpected \"%s\"", positional.items[0]);
    }
    if (err == 0 && values.server_core != NULL &&
        sl_job_cores_parse(values.server_core, &core, 1) != 1) {
        err = sl_diag_set(&diag, "bad_value", none, "--server-core: expected one core");
    }
    if (err == 0 && (values.stall_ns == 0 || values.stall_ns > values.every_ns / 2)) {
        err = sl_diag_set(&diag, "bad_value", none, "--stall must be at most half of --every");
    }
    int code = err < 0 ? SL_EXIT_USAGE : proof_run(&values, core, &diag);
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    return code;
}
