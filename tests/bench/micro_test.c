/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench-micro as it is called: every case runs, the figures are there, kept figures are
 * compared. Nothing is said about how fast anything is. The program's path comes in SLUICE_MICRO.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char output[262144];

/* Run `sluice-bench-micro ARGS`; both outputs go to `output`. Returns the exit code. */
static int micro(const char *args)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "'%s' %s 2>&1", getenv("SLUICE_MICRO"), args);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int group_setup(void **state)
{
    (void)state;
    return getenv("SLUICE_MICRO") != NULL ? 0 : -1;
}

static void list_names_every_group(void **state)
{
    (void)state;
    assert_int_equal(micro("--list"), 0);
    const char *names[] = {"hop/fused",      "hop/framed",      "shard/awake",    "ring/64",
                           "channel/spin",   "payload/build",   "payload/read",   "payload/seal",
                           "payload/verify", "http/parse-ping", "json/parse-169", "json/print-169",
                           "cel/header",     "script/js-echo",  "registry/get",   "registry/put",
                           "registry/watch", "swap/100"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(output, names[i]));
    }
}

/* Each case prints its figures, or why it has none. */
static void run_all_cases_gives_figures(void **state)
{
    (void)state;
    assert_int_equal(micro("--time 1ms -q --format json"), 0);
    assert_int_equal(output[0], '{');
    assert_null(strstr(output, "failed"));
    size_t cases = 0;
    for (const char *at = output; (at = strstr(at, "\"name\": \"")) != NULL; at++) {
        const char *next = strstr(at + 1, "\"name\": \"");
        const char *end = next != NULL ? next : output + strlen(output);
        const char *ns = strstr(at, "\"ns\": ");
        const char *why = strstr(at, "\"left_out\": ");
        assert_true((ns != NULL && ns < end) || (why != NULL && why < end));
        cases++;
    }
    assert_true(cases > 40);
    /* Nothing takes less than nothing. */
    assert_null(strstr(output, "\"allocated_bytes\": -"));
    assert_null(strstr(output, "\"allocations\": -"));
    assert_non_null(strstr(output, "\"machine\": {"));
    assert_non_null(strstr(output, "\"lost_share\": "));
}

static void run_chosen_cases_leaves_out_others(void **state)
{
    (void)state;
    assert_int_equal(micro("--time 1ms -q --only 'ring/64,json' --format json"), 0);
    assert_non_null(strstr(output, "\"ring/64\""));
    assert_non_null(strstr(output, "\"json/parse-12k\""));
    assert_null(strstr(output, "\"ring/4096\""));
    assert_null(strstr(output, "\"hop/fused\""));
}

/* Against a baseline that was a million times faster everything is slower, and the other way. */
static void against_kept_figures_tells_slower(void **state)
{
    char path[] = "/tmp/micro_test.XXXXXX";
    char args[256];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const char *fast = "{\"cases\": [{\"name\": \"ring/64\", \"ns\": 0.00002, \"ns_low\": 0.00001, "
                       "\"ns_high\": 0.00003}]}";
    assert_int_equal(write(fd, fast, strlen(fast)), (ssize_t)strlen(fast));
    (void)snprintf(args, sizeof(args), "--time 1ms -q --only ring/64 --against %s", path);
    assert_int_equal(micro(args), 1);
    assert_non_null(strstr(output, "slower"));
    (void)snprintf(args, sizeof(args), "--time 1ms -q --only ring/64 --baseline-write %s", path);
    assert_int_equal(micro(args), 0);
    (void)snprintf(args, sizeof(args), "--time 1ms -q --only ring/64 --against %s --least 1000",
                   path);
    assert_int_equal(micro(args), 0);
    assert_non_null(strstr(output, "against kept"));
    (void)close(fd);
    (void)unlink(path);
}

static void scale_compares_one_shard_with_two(void **state)
{
    (void)state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
    assert_int_equal(micro("scale -q --rounds 2 --width 0 --slot 5ms --settle 2ms --format json"),
                     0);
    const char *keys[] = {"\"pipeline\": 1,",   "\"pipeline\": 16,", "\"one_cpu_us\": ",
                          "\"two_cpu_us\": ",   "\"two_to_one\": {", "\"two_to_apart\": {",
                          "\"apart_to_one\": {"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_non_null(strstr(output, keys[i]));
    }
    assert_null(strstr(output, "null"));
    assert_int_equal(micro("scale -q --rounds 2 --width 0 --slot 5ms --settle 2ms --limit 0.001"),
                     1);
    assert_non_null(strstr(output, "over 0.001"));
    assert_int_equal(micro("scale -q --rounds 1 --width 0 --slot 5ms --settle 2ms --path /nothing"),
                     3);
    assert_non_null(strstr(output, "not every reply was a 200"));
    assert_int_equal(micro("scale --cores 0,0"), 2);
}

static void usage_mistakes_exit_2(void **state)
{
    (void)state;
    assert_int_equal(micro("--onyl hop"), 2);
    assert_non_null(strstr(output, "did you mean --only?"));
    assert_int_equal(micro("hop"), 2);
    assert_non_null(strstr(output, "--only"));
    assert_int_equal(micro("--format xml"), 2);
    assert_int_equal(micro("--cores none"), 2);
    assert_int_equal(micro("-q --time 1ms --only ring/64 --against /nowhere"), 2);
    assert_int_equal(micro("--help"), 0);
    assert_non_null(strstr(output, "Examples:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_names_every_group),
        cmocka_unit_test(run_all_cases_gives_figures),
        cmocka_unit_test(run_chosen_cases_leaves_out_others),
        cmocka_unit_test(against_kept_figures_tells_slower),
        cmocka_unit_test(scale_compares_one_shard_with_two),
        cmocka_unit_test(usage_mistakes_exit_2),
    };
    return cmocka_run_group_tests_name("bench_micro", tests, group_setup, NULL);
}
