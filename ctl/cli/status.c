/* SPDX-License-Identifier: MIT */
/* status: what a runtime does. drain: end it gracefully. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "codecs/flat/flat_fast.h"
#include "ctl/cli/control.h"

enum { DRAIN_STEP_MS = 20 };

static int exit_of(int r)
{
    return r == -ETIMEDOUT ? CLI_TIMEOUT : CLI_UNREACHABLE;
}

static void head_print(struct sl_value status)
{
    struct sl_value programs = sl_value_get_str(status, "programs");
    struct sl_value nodes = sl_value_get_str(status, "nodes");
    struct sl_value uptime = sl_value_get_str(status, "uptime_s");
    double seconds = sl_value_is(uptime, SL_VALUE_FLOAT) ? uptime.cell->f64 : 0;
    (void)printf("namespace %.*s: %.*s for %.0f s, pid %llu, version %.*s\n",
                 SL_SLICE_FMT(cli_text(status, "namespace")),
                 SL_SLICE_FMT(cli_text(status, "state")), seconds,
                 (unsigned long long)cli_uint(status, "pid"),
                 SL_SLICE_FMT(cli_text(status, "version")));
    (void)printf("poller    %.*s\n", SL_SLICE_FMT(cli_text(status, "poller")));
    (void)printf("program   revision %llu, generation %llu, %llu alive, %llu refused\n",
                 (unsigned long long)cli_uint(status, "revision"),
                 (unsigned long long)cli_uint(status, "generation"),
                 (unsigned long long)cli_uint(programs, "alive"),
                 (unsigned long long)cli_uint(programs, "refused"));
    (void)printf("nodes     %llu active, %llu in the last good version, %llu inactive\n\n",
                 (unsigned long long)cli_uint(nodes, "active"),
                 (unsigned long long)cli_uint(nodes, "last_good"),
                 (unsigned long long)cli_uint(nodes, "inactive"));
}

static void counts_print(struct sl_value row)
{
    struct sl_value latency = sl_value_get_str(row, "latency_ns");
    struct sl_value responses = sl_value_get_str(row, "responses");
    char p50[24] = "-", p99[24] = "-"; /* nothing was measured */
    if (cli_uint(latency, "count") > 0) {
        (void)snprintf(p50, sizeof(p50), "%.1f", (double)cli_uint(latency, "p50") / 1e3);
        (void)snprintf(p99, sizeof(p99), "%.1f", (double)cli_uint(latency, "p99") / 1e3);
    }
    (void)printf("%12llu %8llu %8llu %8llu %8llu %9s %9s\n",
                 (unsigned long long)cli_uint(row, "requests"),
                 (unsigned long long)cli_uint(row, "connections"),
                 (unsigned long long)cli_uint(row, "in_flight"),
                 (unsigned long long)cli_uint(responses, "4xx"),
                 (unsigned long long)cli_uint(responses, "5xx"), p50, p99);
}

static void table_head(const char *first)
{
    (void)printf("%-32s %12s %8s %8s %8s %8s %9s %9s\n", first, "REQUESTS", "CONNS", "FLIGHT",
                 "4XX", "5XX", "P50 US", "P99 US");
}

static void status_print(struct sl_value status)
{
    struct sl_value shards = sl_value_get_str(status, "shards");
    struct sl_value listeners = sl_value_get_str(status, "listeners");
    head_print(status);
    table_head("SHARD");
    for (uint32_t i = 0; i < sl_value_count(shards); i++) {
        struct sl_value shard = sl_value_list_at(shards, i);
        struct sl_value cpu = sl_value_get_str(shard, "cpu");
        struct sl_value answered = sl_value_get_str(shard, "answered");
        char name[64];
        int number = sl_value_is(cpu, SL_VALUE_INT) ? (int)cpu.cell->i64 : -1;
        bool is_late = sl_value_is(answered, SL_VALUE_BOOL) && answered.cell->word == 0;
        (void)snprintf(name, sizeof(name), number >= 0 ? "%u (cpu %d)%s" : "%u (not pinned)%.0d%s",
                       i, number, is_late ? " does not answer" : "");
        (void)printf("%-32s ", name);
        counts_print(shard);
    }
    (void)printf("\n");
    table_head("LISTENER");
    for (uint32_t i = 0; i < sl_value_count(listeners); i++) {
        struct sl_value listener = sl_value_list_at(listeners, i);
        (void)printf("%-32.*s ", SL_SLICE_FMT(cli_text(listener, "address")));
        counts_print(listener);
    }
}

int cli_status(struct cli_args *args)
{
    struct sl_value status;
    int r = cli_control_get(args, "/status", &status);
    if (r < 0) return exit_of(r);
    if (cli_is_json(args)) {
        cli_print_json(status);
    } else {
        status_print(status);
    }
    sl_value_unref(status);
    return CLI_OK;
}

static uint64_t now_ms(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Until its socket is gone. */
static int drain_wait(struct cli_args *args, uint32_t timeout_ms)
{
    const struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000};
    uint64_t until_ms = now_ms() + timeout_ms;
    struct cli_answer answer;
    while (cli_control_ask(args, "GET", "/health", true, &answer) == 0) {
        cli_control_fini(&answer);
        if (now_ms() >= until_ms) {
            cli_fail(args, "draining", "the runtime still drains; it goes on doing so");
            return CLI_TIMEOUT;
        }
        (void)nanosleep(&step, NULL);
    }
    return CLI_OK;
}

int cli_drain(struct cli_args *args)
{
    uint32_t timeout_ms = 0;
    struct cli_answer answer;
    if (!cli_get_duration_ms(args, "timeout", &timeout_ms)) return CLI_USAGE;
    int r = cli_control_ask(args, "POST", "/drain", false, &answer);
    if (r < 0) return exit_of(r);
    int status = answer.status;
    cli_control_fini(&answer);
    if (status != 202) {
        cli_fail(args, "refused", "the runtime answered with %d", status);
        return CLI_FAILED;
    }
    return cli_is_set(args, "no-wait") ? CLI_OK : drain_wait(args, timeout_ms);
}
