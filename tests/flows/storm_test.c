/* SPDX-License-Identifier: MIT */
/*
 * The guarantee of a swap, under load: no connection refused, none closed, no request failed, none
 * with two versions; what does not compile is refused and the old program serves on; memory stays.
 */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flows/load.h"

enum {
    STORM_SWAPS = 2000,
    STORM_SWAPS_LONG = 10000,
    STORM_PER_SECOND = 200,
    STORM_CONNS = 64,
    STORM_RSS_PER_SWAP_MAX = 4096, /* bytes; a program kept would be more */
};

static struct flow_server admin;
static struct flow_server server;
static int admin_port;
static int port;

/* "v17|v17|…": the first word is of one node, the second of another. */
static bool is_one_version(const char *body, size_t size)
{
    static const char filler[] = "|................................................";
    const char *bar = memchr(body, '|', size);
    if (bar == NULL) return false;
    size_t word = (size_t)(bar - body);
    return size == 2 * word + 1 + strlen(filler) && memcmp(body, bar + 1, word) == 0 &&
           memcmp(body + 2 * word + 1, filler, strlen(filler)) == 0;
}

static const char *version_patch(int version)
{
    return flow_text("[{\"name\":\"first\",\"code\":\"\\\"v%d\\\"\"},"
                     "{\"name\":\"second\",\"code\":\"self + \\\"|v%d|......................"
                     "..........................\\\"\"}]",
                     version, version);
}

static int patch(const char *body)
{
    struct flow_reply reply;
    int status = flow_ask(admin_port, "PATCH", "/v1/nodes", body, &reply);
    if (status == 400) flow_assert_has(reply.body, "1:4");
    flow_reply_fini(&reply);
    return status;
}

static uint64_t programs_alive(void)
{
    char *text;
    const char *data = flow_path("data");
    int code =
        flow_run((const char *[]){"status", "--data", data, "--format", "json", NULL}, &text);
    assert_int_equal(code, 0);
    const char *at = strstr(text, "\"alive\": ");
    assert_non_null(at);
    uint64_t alive = strtoul(at + 9, NULL, 10);
    free(text);
    return alive;
}

static void wait_one_program(void)
{
    for (int i = 0; i < 100 && programs_alive() != 1; i++) flow_sleep_ms(20);
    assert_int_equal(programs_alive(), 1);
}

static void swap_under_load_is_invisible(void **state)
{
    (void)state;
    static struct flow_load load;
    load = (struct flow_load){
        .port = port, .count = STORM_CONNS, .path = "/", .check = is_one_version};
    int swaps = getenv("SLUICE_LONG") != NULL ? STORM_SWAPS_LONG : STORM_SWAPS;
    uint64_t rss = 0;
    uint64_t late = 0;
    flow_load_start(&load);
    uint64_t begin = flow_now_us();
    for (int i = 1; i <= swaps; i++) {
        uint64_t due = begin + (uint64_t)i * 1000000 / STORM_PER_SECOND;
        uint64_t now = flow_now_us();
        if (now < due) flow_sleep_ms((int)((due - now) / 1000));
        if (now > due + 100000) late++;
        assert_int_equal(patch(version_patch(i)), 200);
        if (i % 100 == 50) {
            assert_int_equal(patch("{\"name\":\"first\",\"code\":\"1 +\"}"), 400);
        }
        if (i == swaps / 4) rss = flow_rss(server.pid);
    }
    double seconds = (double)(flow_now_us() - begin) / 1e6;
    (void)flow_until(port, "/", 200, flow_text("v%d|v%d|", swaps, swaps));
    flow_load_stop(&load);
    int64_t grown = (int64_t)flow_rss(server.pid) - (int64_t)rss;
    int64_t per_swap = grown / (swaps - swaps / 4);
    print_message("%d swaps in %.1f s (%.0f/s, %llu late) under %llu requests at %d connections: "
                  "%llu refused, %llu failed, %llu closed; RSS %+.2f MiB, %lld bytes a swap\n",
                  swaps, seconds, swaps / seconds, (unsigned long long)late,
                  (unsigned long long)load.replies, STORM_CONNS, (unsigned long long)load.refused,
                  (unsigned long long)load.failed, (unsigned long long)load.closed,
                  (double)grown / 1048576, (long long)per_swap);
    if (load.failed > 0) print_error("%s\n", load.first_error);
    assert_int_equal(load.refused, 0);
    assert_int_equal(load.failed, 0);
    assert_int_equal(load.closed, 0);
    assert_true(load.replies > (uint64_t)STORM_CONNS);
    /* Sanitizers keep what was freed: then there is no trap, and no bound. */
    if (getenv("FLOW_PRELOAD") != NULL) assert_true(per_swap < STORM_RSS_PER_SWAP_MAX);
    wait_one_program();
}

/* A listener beside others comes and goes; the connections of the others do not notice. */
static void edges_and_nodes_changing_under_load_is_invisible(void **state)
{
    (void)state;
    static struct flow_load load;
    load = (struct flow_load){
        .port = port, .count = STORM_CONNS, .path = "/", .check = is_one_version};
    flow_load_start(&load);
    for (int i = 0; i < 50; i++) {
        struct flow_reply reply;
        int status = flow_ask(admin_port, "POST", "/v1/nodes",
                              flow_text("{\"kind\":\"snippet\",\"name\":\"extra-%d\","
                                        "\"language\":\"text\",\"code\":\"x\"}",
                                        i),
                              &reply);
        assert_int_equal(status, 201);
        flow_reply_fini(&reply);
        const char *target = i % 2 == 0 ? "other" : "first";
        assert_int_equal(patch(flow_text("{\"name\":\"web\",\"ports\":{\"out\":[{\"name\":\"%s\","
                                         "\"port\":\"in\"}]}}",
                                         target)),
                         200);
    }
    flow_load_stop(&load);
    assert_int_equal(load.refused, 0);
    assert_int_equal(load.failed, 0);
    assert_int_equal(load.closed, 0);
    wait_one_program();
}

static int group_setup(void **state)
{
    (void)state;
    static char data[FLOW_PATH_SIZE];
    char file[FLOW_PATH_SIZE];
    (void)snprintf(data, sizeof(data), "%s", flow_path("data"));
    assert_true(flow_source("docs/examples/admin.yaml", file));
    admin_port = flow_port();
    port = flow_port();
    const char *specs = flow_file(
        "storm.yaml",
        flow_text("- {kind: listener, name: web, protocol: http, port: %d,\n"
                  "   ports: {out: [{name: first, port: in}]}}\n"
                  "- {kind: snippet, name: first, language: cel, code: '\"v0\"',\n"
                  "   ports: {out: [{name: second, port: in}]}}\n"
                  "- {kind: snippet, name: other, language: cel, code: '\"v0\"',\n"
                  "   ports: {out: [{name: third, port: in}]}}\n"
                  "- {kind: snippet, name: second, language: cel,\n"
                  "   code: 'self + \"|v0|................................................\"'}\n"
                  "- {kind: snippet, name: third, language: cel,\n"
                  "   code: 'self + \"|v0|................................................\"'}\n",
                  port));
    flow_start(&admin,
               (const char *[]){"-n", "system", "-f", file, "-e", flow_text("PORT=%d", admin_port),
                                "--data", data, "--cores", "0", NULL});
    flow_start(&server, (const char *[]){"-f", specs, "--data", data, "--cores", "0,1", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    int code = flow_stop(&server, SIGTERM);
    if (code == 0) code = flow_stop(&admin, SIGTERM);
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swap_under_load_is_invisible),
        cmocka_unit_test(edges_and_nodes_changing_under_load_is_invisible),
    };
    return cmocka_run_group_tests_name("storm", tests, group_setup, group_teardown);
}
