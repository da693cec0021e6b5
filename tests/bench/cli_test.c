/* SPDX-License-Identifier: MIT */
/*
 * The program as a person or a script calls it: exit codes, JSON keys, clear errors. The server is
 * its own `floor`. The path of the program comes in SLUICE_BENCH.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/spawn.h"

static struct sl_spawn floor_server;
static char output[65536];

static int group_setup(void **state)
{
    char command[1024];
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    (void)state;
    if (getenv("SLUICE_BENCH") == NULL) return -1;
    (void)snprintf(command, sizeof(command), "exec '%s' floor --port {port}",
                   getenv("SLUICE_BENCH"));
    struct sl_spawn_config config = {.name = "floor", .command = command, .core = -1};
    int err = sl_spawn_start(&config, &floor_server, &diag);
    if (err == 0) return 0;
    (void)printf("skipped: no floor server here: %s\n", diag.text);
    exit(77);
}

static int group_teardown(void **state)
{
    (void)state;
    sl_spawn_stop(&floor_server);
    return 0;
}

/* Run `sluice-bench ARGS`, each {url} replaced; both outputs go to `output`. Returns the exit code. */
static int bench(const char *args)
{
    char command[2048];
    char expanded[1024] = "";
    size_t used = 0;
    for (const char *url = strstr(args, "{url}"); url != NULL; url = strstr(args, "{url}")) {
        used += (size_t)snprintf(expanded + used, sizeof(expanded) - used,
                                 "%.*shttp://127.0.0.1:%u/ping", (int)(url - args), args,
                                 floor_server.port);
        args = url + 5;
    }
    (void)snprintf(expanded + used, sizeof(expanded) - used, "%s", args);
    (void)snprintf(command, sizeof(command), "'%s' %s 2>&1", getenv("SLUICE_BENCH"), expanded);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void http_json_has_the_promised_keys(void **state)
{
    (void)state;
    assert_int_equal(bench("http -q --count 300 -c 4 --format json {url}"), 0);
    const char *keys[] = {"\"requests\": 300", "\"errors\": 0", "\"duration_s\": ", "\"rate_s\": ",
                          "\"latency_us\": {", "\"p50\": ",     "\"p90\": ",        "\"p95\": ",
                          "\"p99\": ",         "\"p99_9\": ",   "\"p99_99\": ",     "\"max\": ",
                          "\"machine\": {"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_non_null(strstr(output, keys[i]));
    }
    assert_int_equal(output[0], '{');
}

static void http_threshold_held_exits_1(void **state)
{
    (void)state;
    assert_int_equal(bench("http -q --count 50 -c 2 --fail-if 'requests>10' {url}"), 1);
    assert_non_null(strstr(output, "failed: requests>10"));
    assert_int_equal(bench("http -q --count 50 -c 2 --fail-if 'errors>0' {url}"), 0);
    assert_int_equal(bench("http -q --count 50 -c 2 --check-status 404 --fail-if 'errors>0' {url}"),
                     1);
    assert_int_equal(bench("http -q --count 50 -c 2 --check-body nope --fail-if 'errors>0' {url}"),
                     1);
}

static void usage_mistakes_exit_2_with_a_hint(void **state)
{
    (void)state;
    const char *lines[] = {"htttp",
                           "http",
                           "http --rat 5 {url}",
                           "http --rate fast {url}",
                           "http --fail-if p98 {url}",
                           "http --fail-if 'cpu_us>1' {url}",
                           "http --fail-if 'p99>1.1x' {url}",
                           "http --pid 4194303 {url}",
                           "http --cores 1000 {url}",
                           "micro --only hopp",
                           "http --format xml {url}",
                           "http --find-capacity p99 {url}",
                           "http --find-capacity p99=1ms --rate 5 {url}",
                           "http --against /nowhere {url}",
                           "compare {url}",
                           "compare one two",
                           "tax --scenario none",
                           "floor --port 99999",
                           "hdr /nowhere",
                           "proof --stall 2s",
                           "tail",
                           "tail --at 5x {url}",
                           "tail --rate 5k {url}",
                           "tail --of most {url}",
                           "tail --goal p99 {url}",
                           "tail nginxx"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(bench(lines[i]), 2);
        assert_non_null(strstr(output, "error: "));
    }
}

static void no_server_exits_3(void **state)
{
    (void)state;
    assert_int_equal(bench("http -q --count 5 http://127.0.0.1:1/"), 3);
    assert_non_null(strstr(output, "Connection refused"));
    assert_int_equal(bench("compare -q --pairs 1 --slot 50ms http://127.0.0.1:1/ {url}"), 3);
}

/* Whenever it dies, before the first connection or in the middle, the run is no success. */
static void target_that_dies_exits_3(void **state)
{
    struct sl_spawn server;
    char command[1024];
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    (void)state;
    (void)snprintf(command, sizeof(command), "exec '%s' floor --port {port}",
                   getenv("SLUICE_BENCH"));
    struct sl_spawn_config config = {.name = "floor", .command = command, .core = -1};
    assert_int_equal(sl_spawn_start(&config, &server, &diag), 0);
    (void)snprintf(
        command, sizeof(command),
        "'%s' http -q --rate 200 --warmup 0 --duration 2s -c 4 http://127.0.0.1:%u/ 2>&1",
        getenv("SLUICE_BENCH"), server.port);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    (void)usleep(500 * 1000);
    sl_spawn_stop(&server);
    size_t size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void complete_lists_commands_and_options(void **state)
{
    (void)state;
    assert_int_equal(bench("--complete"), 0);
    assert_non_null(strstr(output, "http\n"));
    assert_non_null(strstr(output, "swap\n"));
    assert_int_equal(bench("--complete tail"), 0);
    assert_non_null(strstr(output, "--rounds\n"));
    assert_non_null(strstr(output, "--priority\n"));
    assert_null(strstr(output, " "));
    assert_int_equal(bench("--complete nothing"), 0);
    assert_string_equal(output, "");
}

static void help_of_every_command_exits_0_with_examples(void **state)
{
    (void)state;
    const char *commands[] = {"http", "compare", "tail", "swap", "tax", "floor", "hdr", "proof"};
    assert_int_equal(bench("--help"), 0);
    char list[sizeof(output)];
    memcpy(list, output, sizeof(list));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "%s --help", commands[i]);
        assert_int_equal(bench(line), 0);
        assert_non_null(strstr(output, "Examples:"));
        assert_non_null(strstr(output, "Exit codes:"));
        assert_non_null(strstr(list, commands[i]));
    }
}

static void baseline_and_page_are_written_and_read(void **state)
{
    (void)state;
    char args[512];
    char page[128];
    char log[128];
    (void)snprintf(page, sizeof(page), "%s/page.html", floor_server.dir);
    (void)snprintf(log, sizeof(log), "%s/kept.hlog", floor_server.dir);
    (void)snprintf(args, sizeof(args),
                   "http -q -t 0.6s -w 0 -c 2 --html %s --baseline-write %s {url}", page, log);
    assert_int_equal(bench(args), 0);
    (void)snprintf(args, sizeof(args),
                   "http -q --count 100 -c 2 --against %s --fail-if 'requests>0.000001x' {url}",
                   log);
    assert_int_equal(bench(args), 1);
    assert_non_null(strstr(output, "against"));
    (void)snprintf(args, sizeof(args), "hdr --format json %s", log);
    assert_int_equal(bench(args), 0);
    assert_non_null(strstr(output, "\"lines\": 1"));
    FILE *in = fopen(page, "re");
    assert_non_null(in);
    size_t size = fread(output, 1, sizeof(output) - 1, in);
    output[size] = '\0';
    fclose(in);
    assert_non_null(strstr(output, "<svg"));
    assert_non_null(strstr(output, "Latency by percentile"));
    assert_null(strstr(output, "http-equiv"));
    assert_null(strstr(output, "<script"));
}

static void compare_same_server_prints_ratios(void **state)
{
    (void)state;
    char args[512];
    (void)snprintf(args, sizeof(args),
                   "compare -q --pairs 3 --slot 60ms --settle 10ms -c 4 --format json "
                   "x=http://127.0.0.1:%u/,pid=%d y=http://127.0.0.1:%u/,pid=%d",
                   floor_server.port, (int)floor_server.pid, floor_server.port,
                   (int)floor_server.pid);
    assert_int_equal(bench(args), 0);
    assert_non_null(strstr(output, "\"pairs\": 3"));
    assert_non_null(strstr(output, "\"cpu_us\": {"));
    /* Three pairs are never enough to call a difference. */
    assert_non_null(strstr(output, "\"ratio_low\": null"));
    assert_non_null(strstr(output, "\"note\": \"no intervals: that takes 5 pairs or more\""));
    assert_null(strstr(output, "\"different\": true"));
}

static void compare_of_few_pairs_says_why_there_is_no_interval(void **state)
{
    (void)state;
    assert_int_equal(bench("compare -q --pairs 1 --slot 60ms --settle 10ms -c 4 {url} {url}"), 0);
    assert_non_null(strstr(output, "no interval and no verdict: 1 pair is too few"));
    assert_null(strstr(output, "no difference"));
    assert_int_equal(bench("compare -q --pairs 4 --fail-if 'p99>1.1' {url} {url}"), 2);
    assert_non_null(strstr(output, "5 pairs or more"));
}

/* Not at the end of an hour. */
static void file_that_cannot_be_written_is_told_before_the_run(void **state)
{
    (void)state;
    static const char *const runs[] = {
        "http -q -t 60s --html /nowhere/page.html {url}",
        "http -q -t 60s --html / {url}",
        "http -q -t 60s --baseline-write /nowhere/run.hlog {url}",
        "compare -q --html /nowhere/page.html {url} {url}",
        "tax -q --html /nowhere/page.html",
        "tail -q --html /nowhere/page.html {url}",
        "swap -q --html /nowhere/page.html",
    };
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        assert_int_equal(bench(runs[i]), 2);
        assert_non_null(strstr(output, " cannot be written: "));
    }
}

/* Interrupted when its first line of progress was there: something has been measured. */
static void interrupted_run_shows_what_there_is_and_exits_130(void **state)
{
    (void)state;
    char command[512];
    char line[256];
    int pid = 0;
    (void)snprintf(command, sizeof(command),
                   "echo $$; exec '%s' http -w 0 -t 600s -c 2 http://127.0.0.1:%u/ping 2>&1",
                   getenv("SLUICE_BENCH"), floor_server.port);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d\n", &pid), 1);
    do {
        assert_non_null(fgets(line, sizeof(line), pipe));
    } while (strstr(line, " p50 ") == NULL);
    assert_int_equal(kill(pid, SIGINT), 0);
    output[fread(output, 1, sizeof(output) - 1, pipe)] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    assert_non_null(strstr(output, "p99.9"));
}

/* The file has a letter for the start and each slot of a target: A B A B. */
static void compare_enter_runs_before_the_start_and_each_slot(void **state)
{
    (void)state;
    char args[640];
    char path[128];
    char targets[128];
    char text[64] = "";
    (void)snprintf(path, sizeof(path), "%s/entered", floor_server.dir);
    (void)snprintf(targets, sizeof(targets), "x=http://127.0.0.1:%u/ y=http://127.0.0.1:%u/",
                   floor_server.port, floor_server.port);
    (void)snprintf(args, sizeof(args),
                   "compare -q --pairs 2 --slot 50ms --settle 5ms -c 2 --enter x='printf x >>%s' "
                   "--enter y='printf y >>%s' %s",
                   path, path, targets);
    assert_int_equal(bench(args), 0);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    (void)fclose(file);
    assert_string_equal(text, "xyxyxy");
    (void)snprintf(args, sizeof(args), "compare -q --pairs 1 --slot 50ms --enter x=false %s",
                   targets);
    assert_int_equal(bench(args), 3);
    assert_non_null(strstr(output, "\"false\" failed"));
    (void)snprintf(args, sizeof(args), "compare -q --pairs 1 --slot 50ms --enter z=true %s",
                   targets);
    assert_int_equal(bench(args), 2);
}

/* On a busy machine the generator may be late in every slot: then the exit code says so. */
static void tail_prints_percentiles_of_each_rate(void **state)
{
    char args[512];
    char page[128];
    (void)state;
    (void)snprintf(page, sizeof(page), "%s/tail.html", floor_server.dir);
    (void)snprintf(args, sizeof(args),
                   "tail -q --at 200,400 --rounds 2 --slot 60ms --settle 10ms -c 4 --keep-late "
                   "--html %s --format json a={url}",
                   page);
    int code = bench(args);
    assert_true(code == 0 || code == 4);
    const char *keys[] = {"\"rounds\": 2",    "\"at\": \"200\"",   "\"at\": \"400\"",
                          "\"p50\": ",        "\"p99_99\": ",      "\"late_us\": {",
                          "\"jitter_us\": {", "\"rate_s\": 400.0", "\"name\": \"a\""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_non_null(strstr(output, keys[i]));
    }
    FILE *in = fopen(page, "re");
    assert_non_null(in);
    size_t size = fread(output, 1, sizeof(output) - 1, in);
    output[size] = '\0';
    fclose(in);
    assert_non_null(strstr(output, "Latency by percentile at 400"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_json_has_the_promised_keys),
        cmocka_unit_test(http_threshold_held_exits_1),
        cmocka_unit_test(usage_mistakes_exit_2_with_a_hint),
        cmocka_unit_test(no_server_exits_3),
        cmocka_unit_test(target_that_dies_exits_3),
        cmocka_unit_test(complete_lists_commands_and_options),
        cmocka_unit_test(help_of_every_command_exits_0_with_examples),
        cmocka_unit_test(baseline_and_page_are_written_and_read),
        cmocka_unit_test(compare_same_server_prints_ratios),
        cmocka_unit_test(compare_of_few_pairs_says_why_there_is_no_interval),
        cmocka_unit_test(file_that_cannot_be_written_is_told_before_the_run),
        cmocka_unit_test(interrupted_run_shows_what_there_is_and_exits_130),
        cmocka_unit_test(compare_enter_runs_before_the_start_and_each_slot),
        cmocka_unit_test(tail_prints_percentiles_of_each_rate),
    };
    return cmocka_run_group_tests_name("bench_cli", tests, group_setup, group_teardown);
}
