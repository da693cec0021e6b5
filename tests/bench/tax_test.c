/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench tax with every server that is installed: each must do the work of its scenario (a
 * wrong reply leaves a server out and is an error of this test). What it costs is not asked here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "bench/known.h"

static char output[131072];

static int tax(const char *args)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "'%s' tax -q --rounds 1 --settle 1ms %s 2>&1",
                   getenv("SLUICE_BENCH"), args);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A server that answered otherwise is reported; one whose module is not built in may say 503. */
static void assert_all_serve(void)
{
    const char *wrong = strstr(output, "not the work of this scenario");
    const char *lua = strstr(output, "left out: sluice-lua");
    if (wrong != NULL && lua == NULL) print_message("%s\n", output);
    assert_true(wrong == NULL || lua != NULL);
}

static void tax_of_every_scenario_shows_every_installed_server(void **state)
{
    size_t count;
    (void)state;
    const struct sl_known_server *known = sl_known_servers(&count);
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        char args[128];
        (void)snprintf(args, sizeof(args), "--slot 20ms -c 4 --format json --scenario %s",
                       sl_scenario_name((enum sl_scenario)i));
        int code = tax(args);
        /* A worker process may not get its turn in so short a slot; then the table says so. */
        bool is_silent = strstr(output, "gave not one reply") != NULL;
        if (code != (is_silent ? 3 : 0)) print_message("%s\n", output);
        assert_int_equal(code, is_silent ? 3 : 0);
        assert_all_serve();
        for (size_t k = 0; k < count; k++) {
            char name[64];
            bool serves = (known[k].scenarios >> i & 1) != 0 || known[k].is_base;
            /* Our own Lua may be left out of the build. */
            if (strcmp(known[k].name, "sluice-lua") == 0) continue;
            (void)snprintf(name, sizeof(name), "\"name\": \"%s\"", known[k].name);
            bool is_listed = strstr(output, name) != NULL;
            bool is_ours = strstr(known[k].needs, "{bin}") != NULL;
            bool is_expected = serves && (is_ours || sl_known_is_installed(&known[k]));
            if (is_listed != is_expected) {
                print_message("%s in %s:\n%s\n", known[k].name,
                              sl_scenario_name((enum sl_scenario)i), output);
            }
            assert_int_equal(is_listed, is_expected);
        }
    }
}

static void tax_peer_that_does_other_work_is_refused(void **state)
{
    char args[1024];
    (void)state;
    (void)snprintf(
        args, sizeof(args),
        "--slot 20ms -c 4 --only none --scenario echo --peer other='exec %s floor --port "
        "{port}'",
        getenv("SLUICE_BENCH"));
    assert_int_equal(tax(args), 3);
    assert_non_null(strstr(output, "not the work of this scenario"));
    (void)snprintf(
        args, sizeof(args),
        "--slot 150ms --rounds 3 -c 4 --only none --scenario ping --path /x --peer other='exec %s "
        "floor --port {port}'",
        getenv("SLUICE_BENCH"));
    assert_int_equal(tax(args), 0);
    assert_non_null(strstr(output, "other"));
    assert_int_equal(tax("--scenario sing"), 2);
    assert_non_null(strstr(output, "expected ping, const, echo or all"));
}

/* One that answers the first look and then nothing: its row stays, all others have their figures. */
static void tax_server_that_falls_silent_keeps_its_row_and_exits_3(void **state)
{
    char args[1024];
    (void)state;
    (void)snprintf(args, sizeof(args),
                   "--slot 60ms -c 4 --rounds 7 --only nobody --scenario ping --path /x "
                   "--peer 'mute=exec %s floor --replies 1 --port {port}' "
                   "--peer 'other=exec %s floor --port {port}'",
                   getenv("SLUICE_BENCH"), getenv("SLUICE_BENCH"));
    assert_int_equal(tax(args), 3);
    if (strstr(output, "no reply") == NULL) print_message("%s\n", output);
    const char *row = strstr(output, "\n  mute ");
    assert_non_null(row);
    assert_memory_equal(row + 7 + strspn(row + 7, " "), "no reply", 8);
    assert_non_null(
        strstr(output, "no reply: mute, ping, one request in flight: mute gave not one reply in "
                       "5 slots in a row"));
    assert_non_null(strstr(output, "no reply: mute, ping, 16 pipelined: "));
    row = strstr(output, "\n  other ");
    assert_non_null(row);
    assert_true(strtod(row + 8, NULL) > 0);
    (void)strcat(args, " --format json");
    assert_int_equal(tax(args), 3);
    const char *mute = strstr(output, "\"name\": \"mute\"");
    const char *other = strstr(output, "\"name\": \"other\"");
    assert_true(mute != NULL && other != NULL);
    const char *cpu = strstr(mute, "\"cpu_us\": null");
    assert_true(cpu != NULL && cpu < other);
    const char *why = strstr(mute, "\"reason\": \"mute gave not one reply");
    assert_true(why != NULL && why < other);
    assert_null(strstr(other, "null"));
    assert_null(strstr(other, "\"reason\""));
}

/* The layout of the whole: a server once, with a value for each scenario it serves. */
static void tax_of_all_scenarios_is_one_table(void **state)
{
    char args[1024];
    (void)state;
    (void)snprintf(args, sizeof(args),
                   "--slot 150ms -c 2 --rounds 3 --only nobody --path /x "
                   "--peer 'other=exec %s floor --port {port}'",
                   getenv("SLUICE_BENCH"));
    assert_int_equal(tax(args), 0);
    assert_non_null(strstr(output, "ping, const, echo; 3 rounds of 150 ms; "));
    const char *title = strstr(output, "2 connections  ");
    assert_non_null(title);
    assert_non_null(strstr(title, "16 pipelined"));
    assert_null(strstr(title + 1, "2 connections  "));
    const char *row = strstr(title, "\n  other: ping / const / echo ");
    assert_non_null(row);
    unsigned slashes = 0;
    for (const char *at = row + 1; *at != '\n'; at++) slashes += *at == '/';
    assert_int_equal(slashes, 2 + 4 * 2); /* title, CPU and ratio to the floor of two modes */
    assert_null(strstr(row + 1, "\n  other: "));
    row = strstr(title, "\n  floor: ");
    assert_non_null(row);
    assert_null(memchr(row + 1, '/', (size_t)(strchr(row + 1, '\n') - row - 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tax_of_every_scenario_shows_every_installed_server),
        cmocka_unit_test(tax_peer_that_does_other_work_is_refused),
        cmocka_unit_test(tax_server_that_falls_silent_keeps_its_row_and_exits_3),
        cmocka_unit_test(tax_of_all_scenarios_is_one_table),
    };
    if (getenv("SLUICE_BENCH") == NULL) return 77;
    return cmocka_run_group_tests_name("bench_tax", tests, NULL, NULL);
}
