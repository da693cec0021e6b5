/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench swap with real servers: one that it starts, and one that runs already and must be left
 * as it was. How long anything takes is not asked here. Paths come in SLUICE_BENCH and SLUICE.
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

#include "bench/spawn.h"

static char output[65536];

/* Run a command; both outputs go to `output`. Returns the exit code. */
static int run(const char *command)
{
    char line[2048];
    (void)snprintf(line, sizeof(line), "%s 2>&1", command);
    FILE *pipe = popen(line, "re");
    assert_non_null(pipe);
    size_t size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int bench(const char *args)
{
    char command[1800];
    (void)snprintf(command, sizeof(command), "'%s' swap -q %s", getenv("SLUICE_BENCH"), args);
    return run(command);
}

static uint64_t number_of(const char *key)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "\"%s\": ", key);
    const char *at = strstr(output, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static void swap_own_server_keeps_every_promise(void **state)
{
    (void)state;
    int code = bench(
        "--duration 1s --phase 200ms --warmup 50ms --swap-rate 50 -c 8 --rate 500 --format json");
    if (code != 0) print_message("%s\n", output);
    assert_int_equal(code, 0);
    assert_non_null(strstr(output, "\"kept\": true"));
    assert_true(number_of("stored") > 0);
    assert_int_equal(number_of("asked"), number_of("stored"));
    assert_true(number_of("programs_published") > 0);
    assert_true(number_of("replies_checked") >= number_of("requests"));
    assert_true(number_of("requests") > 0);
    const char *keys[] = {"\"visible_us\": {", "\"everywhere_us\": {",  "\"without\": {",
                          "\"during\": {",     "\"programs_alive\": {", "\"rss_bytes\": {",
                          "\"mixed\": 0",      "\"backwards\": 0",      "\"closed\": 0"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_non_null(strstr(output, keys[i]));
    }
}

static void swap_with_new_connections_and_threshold_exits_1(void **state)
{
    (void)state;
    int code = bench("--duration 3s --phase 1s --warmup 0 --swap-rate max -c 4 --close "
                     "--fail-if 'visible_p50>1ns'");
    if (strstr(output, "no swap was noticed by a client") == NULL) print_message("%s\n", output);
    assert_int_equal(code, 1);
    assert_non_null(strstr(output, "failed: visible_p50>1ns"));
    assert_non_null(strstr(output, "no swap was noticed by a client"));
}

static void swap_server_that_runs_is_left_as_it_was(void **state)
{
    struct sl_spawn server;
    char command[1024];
    char page[128];
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    (void)state;
    (void)snprintf(command, sizeof(command),
                   "exec '%s' start --data {dir}/data -n mine --cores 0 {dir}/sluice-text.yaml",
                   getenv("SLUICE"));
    struct sl_spawn_config config = {.name = "sluice",
                                     .command = command,
                                     .files = {"sluice-text.yaml"},
                                     .peers_dir = getenv("SLUICE_PEERS"),
                                     .parent_dir = "/dev/shm",
                                     .core = -1};
    assert_int_equal(sl_spawn_start(&config, &server, &diag), 0);
    (void)snprintf(page, sizeof(page), "%s/page.html", server.dir);
    (void)snprintf(command, sizeof(command),
                   "--data %s/data -n mine --duration 600ms --phase 200ms --warmup 0 -c 4 "
                   "--rate 200 --html %s",
                   server.dir, page);
    int code = bench(command);
    if (code != 0) print_message("%s\n", output);
    bool was_kept = code == 0 && strstr(output, "no swap was noticed by a client") != NULL;
    (void)snprintf(command, sizeof(command), "'%s' get nodes -n mine --data %s/data",
                   getenv("SLUICE"), server.dir);
    int listed = run(command);
    bool has_own = strstr(output, "pong") != NULL;
    bool has_ours = strstr(output, "sluice-bench-") != NULL;
    (void)snprintf(command, sizeof(command), "grep -c 'A change, from asking' %s", page);
    int has_page = run(command);
    sl_spawn_stop(&server);
    assert_true(was_kept);
    assert_int_equal(listed, 0);
    assert_true(has_own);
    assert_false(has_ours);
    assert_int_equal(has_page, 0);
}

static void swap_mistakes_exit_2_or_3_with_a_hint(void **state)
{
    (void)state;
    assert_int_equal(bench("--data /nonexistent -n nobody"), 3);
    assert_non_null(strstr(output, "no server answers on /nonexistent/nobody.sock"));
    assert_non_null(strstr(output, "sluice start -n nobody --data /nonexistent"));
    assert_int_equal(bench("http://127.0.0.1:1/"), 2);
    assert_int_equal(bench("--swap-rate often"), 2);
    assert_int_equal(bench("--duration 1s --phase 1s"), 2);
    assert_int_equal(bench("--fail-if visible_rate'<1'"), 2);
    assert_int_equal(bench("--control x.sock"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swap_own_server_keeps_every_promise),
        cmocka_unit_test(swap_with_new_connections_and_threshold_exits_1),
        cmocka_unit_test(swap_server_that_runs_is_left_as_it_was),
        cmocka_unit_test(swap_mistakes_exit_2_or_3_with_a_hint),
    };
    if (getenv("SLUICE_BENCH") == NULL || getenv("SLUICE") == NULL) return 77;
    return cmocka_run_group_tests_name("bench_swap", tests, NULL, NULL);
}
