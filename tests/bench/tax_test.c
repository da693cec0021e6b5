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
        if (code != 0) print_message("%s\n", output);
        assert_int_equal(code, 0);
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
    (void)snprintf(args, sizeof(args),
                   "--slot 20ms -c 4 --only none --scenario ping --path /x --peer other='exec %s "
                   "floor --port {port}'",
                   getenv("SLUICE_BENCH"));
    assert_int_equal(tax(args), 0);
    assert_non_null(strstr(output, "other"));
    assert_int_equal(tax("--scenario sing"), 2);
    assert_non_null(strstr(output, "expected ping, const, echo or all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tax_of_every_scenario_shows_every_installed_server),
        cmocka_unit_test(tax_peer_that_does_other_work_is_refused),
    };
    if (getenv("SLUICE_BENCH") == NULL) return 77;
    return cmocka_run_group_tests_name("bench_tax", tests, NULL, NULL);
}
