/* SPDX-License-Identifier: MIT */
/*
 * Several runtimes on one registry: following it live, leases of namespaces and addresses, restart,
 * signals.
 */
#include "tests/flows/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANGE_US_MAX = 2000 * 1000 };

/* What the example has to be told to remove all nodes. */
#define EVERYTHING "{\"namespace\":\"default\"}"

static struct flow_server admin;
static int admin_port;
static const char *data;
static char data_path[FLOW_PATH_SIZE];

static void start_default(struct flow_server *server)
{
    flow_start(server, (const char *[]){"-n", "default", "--data", data, "--cores", "0", NULL});
}

static const char *listener(const char *name, int port)
{
    return flow_text("{\"kind\":\"listener\",\"name\":\"%s\",\"protocol\":\"http\",\"port\":%d,"
                     "\"ports\":{\"out\":[{\"name\":\"%s-text\",\"port\":\"in\"}]}}",
                     name, port, name);
}

static const char *snippet(const char *name, const char *text)
{
    return flow_text("{\"kind\":\"snippet\",\"name\":\"%s-text\",\"language\":\"text\","
                     "\"code\":\"%s\"}",
                     name, text);
}

static void change(const char *method, const char *body, int status)
{
    struct flow_reply reply;
    int got = flow_ask(admin_port, method, "/v1/nodes", body, &reply);
    if (got != status) print_error("%s\n", reply.body);
    assert_int_equal(got, status);
    flow_reply_fini(&reply);
}

static void create(const char *name, int port, const char *text)
{
    change("POST", flow_text("[%s,%s]", listener(name, port), snippet(name, text)), 201);
}

static void created_changed_deleted_workflow_is_followed(void **state)
{
    (void)state;
    struct flow_server server;
    uint64_t worst[3] = {0};
    start_default(&server);
    for (int round = 0; round < 10; round++) {
        int port = flow_port();
        create("web", port, "one");
        uint64_t took = flow_until(port, "/", 200, "one");
        if (took > worst[0]) worst[0] = took;
        change("PATCH", "{\"name\":\"web-text\",\"code\":\"two\"}", 200);
        took = flow_until(port, "/", 200, "two");
        if (took > worst[1]) worst[1] = took;
        change("DELETE", EVERYTHING, 204);
        took = flow_until_closed(port);
        if (took > worst[2]) worst[2] = took;
    }
    print_message("other process, worst of 10: first request served %.1f ms after the 201, change "
                  "visible after %.1f ms, listener closed after %.1f ms\n",
                  (double)worst[0] / 1000, (double)worst[1] / 1000, (double)worst[2] / 1000);
    for (int i = 0; i < 3; i++) assert_in_range(worst[i], 0, CHANGE_US_MAX);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

static void second_runtime_of_a_namespace_is_refused_by_name(void **state)
{
    (void)state;
    struct flow_server first;
    struct flow_server second;
    start_default(&first);
    flow_spawn(&second, (const char *[]){"-n", "default", "--data", data, "--cores", "0", NULL},
               NULL);
    int code = flow_stop(&second, 0);
    assert_in_range(code, 1, 5);
    char *log = flow_read(second.log, NULL);
    flow_assert_has(log, "default");
    flow_assert_has(log, "error");
    free(log);
    assert_int_equal(flow_stop(&first, SIGTERM), 0);
}

static void address_of_another_namespace_is_refused_by_name(void **state)
{
    (void)state;
    struct flow_server server;
    start_default(&server);
    create("web", admin_port, "stolen");
    assert_true(flow_wait_log(&server, flow_text("127.0.0.1:%d", admin_port)));
    char *log = flow_read(server.log, NULL);
    print_message("address in use: %s", strstr(log, "error") ? strstr(log, "error") : log);
    free(log);
    struct flow_reply reply;
    assert_int_equal(flow_ask(admin_port, "GET", "/v1/nodes", NULL, &reply), 200);
    flow_reply_fini(&reply);
    change("DELETE", EVERYTHING, 204);
    /* What comes after the mistake works. */
    int port = flow_port();
    create("web", port, "mine");
    (void)flow_until(port, "/", 200, "mine");
    change("DELETE", EVERYTHING, 204);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

/* What only the runtime can refuse: a name that is not bound. */
static void bad_update_keeps_the_last_good_version_over_a_restart(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    start_default(&server);
    create("web", port, "good");
    (void)flow_until(port, "/", 200, "good");
    change("PATCH",
           "{\"name\":\"web-text\",\"code\":\"bad {{ .MISSING }}\","
           "\"env\":{\"MISSING\":{\"data\":\"{{ .MISSING }}\"}}}",
           200);
    flow_sleep_ms(300);
    (void)flow_until(port, "/", 200, "good");
    assert_true(flow_log_count(&server, "MISSING") > 0);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
    start_default(&server);
    (void)flow_until(port, "/", 200, "good");
    change("DELETE", EVERYTHING, 204);
    (void)flow_until_closed(port);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

/* A request whose body is not there yet is in flight: it ends before the program does. */
static void first_signal_drains_what_is_in_flight(void **state)
{
    (void)state;
    struct flow_server server;
    struct flow_reply reply;
    int port = flow_port();
    start_default(&server);
    create("web", port, "slow");
    (void)flow_until(port, "/", 200, "slow");
    int fd = flow_connect(port);
    const char *head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab";
    assert_true(flow_send(fd, head, strlen(head)));
    flow_sleep_ms(50);
    assert_int_equal(kill(server.pid, SIGTERM), 0);
    assert_true(flow_wait_log(&server, "draining"));
    (void)flow_until_closed(port);
    assert_true(flow_send(fd, "cd", 2));
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "slow");
    assert_true(reply.closed);
    flow_reply_fini(&reply);
    (void)close(fd);
    assert_int_equal(flow_stop_within(&server, 0, 5000), 0);
    change("DELETE", EVERYTHING, 204);
}

/* The same port for all addresses of the machine, and back: what is ours is in nobody's way. */
static void listener_is_opened_to_the_network_and_back(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    start_default(&server);
    create("web", port, "mine");
    (void)flow_until(port, "/", 200, "mine");
    static const char *const hosts[] = {"0.0.0.0", "127.0.0.1"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const char *text = flow_text("on %s", hosts[i]);
        change("PATCH",
               flow_text(
                   "[{\"name\":\"web\",\"host\":\"%s\"},{\"name\":\"web-text\",\"code\":\"%s\"}]",
                   hosts[i], text),
               200);
        (void)flow_until(port, "/", 200, text);
        assert_int_equal(flow_log_count(&server, "cannot listen"), 0);
    }
    change("DELETE", EVERYTHING, 204);
    (void)flow_until_closed(port);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

/* A script that is right in itself, and fails when a shard takes it. */
#define BAD_TOP_LEVEL                                                                              \
    "\"language\":\"javascript\",\"code\":\"throw new Error('too early');\\n"                      \
    "export default (self) => 1\""

/* The same where no shard takes it, but a process with the first call: it is tried before. */
static void bad_top_level_of_a_process_keeps_the_last_good_version(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    start_default(&server);
    create("web", port, "one");
    change("POST",
           "{\"kind\":\"snippet\",\"name\":\"far\",\"language\":\"javascript\","
           "\"isolation\":\"process\",\"code\":\"export default (self) => 'good'\"}",
           201);
    change("PATCH", "{\"name\":\"web\",\"ports\":{\"out\":[{\"name\":\"far\",\"port\":\"in\"}]}}",
           200);
    (void)flow_until(port, "/", 200, "good");
    change("PATCH", "{\"name\":\"far\"," BAD_TOP_LEVEL "}", 200);
    assert_true(
        flow_wait_log(&server, "node \"far\" (snippet) is running in its last good version"));
    char *log = flow_read(server.log, NULL);
    flow_assert_has(log, "the script fails when it is loaded: too early");
    free(log);
    (void)flow_until(port, "/", 200, "good");
    change("DELETE", EVERYTHING, 204);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

static void bad_top_level_keeps_back_its_own_node_alone(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    start_default(&server);
    create("web", port, "one");
    change("POST",
           "{\"kind\":\"snippet\",\"name\":\"aside\",\"language\":\"javascript\","
           "\"code\":\"export default (self) => 7\"}",
           201);
    (void)flow_until(port, "/", 200, "one");
    /* One revision: the node beside it fails, the other change is served. */
    change("PATCH",
           "[{\"name\":\"aside\"," BAD_TOP_LEVEL "},{\"name\":\"web-text\",\"code\":\"two\"}]",
           200);
    (void)flow_until(port, "/", 200, "two");
    assert_true(
        flow_wait_log(&server, "node \"aside\" (snippet) is running in its last good version"));
    char *log = flow_read(server.log, NULL);
    flow_assert_has(log, "the script fails when it is loaded: too early");
    flow_assert_lacks(log, "node \"web");
    free(log);
    /* Two at once, one of them on the way: the listener says at whose fault it is inactive. */
    change("PATCH",
           "[{\"name\":\"aside\"," BAD_TOP_LEVEL ",\"annotations\":{\"a\":\"b\"}},"
           "{\"name\":\"web\",\"ports\":{\"out\":[{\"name\":\"gate\",\"port\":\"in\"}]}}]",
           200);
    assert_true(flow_wait_log(&server, "there is no node \"gate\""));
    change("POST",
           "[{\"kind\":\"router\",\"name\":\"gate\",\"routes\":[{\"method\":\"GET\",\"path\":\"/\","
           "\"port\":\"out[0]\"}],\"ports\":{\"out\":[{\"name\":\"late\",\"port\":\"in\"}]}},"
           "{\"kind\":\"snippet\",\"name\":\"late\"," BAD_TOP_LEVEL "}]",
           201);
    assert_true(flow_wait_log(&server,
                              "node \"gate\", to which it leads, is inactive because of \"late\""));
    change("PATCH", "{\"name\":\"late\",\"language\":\"text\",\"code\":\"mended\"}", 200);
    (void)flow_until(port, "/", 200, "mended");
    assert_true(flow_wait_log(&server, "node \"late\" (snippet) is active now"));
    assert_true(flow_wait_log(&server, "node \"gate\" (router) is active now"));
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
    /* A restart comes to the same: the good version of `aside` is the one that is stored as good. */
    start_default(&server);
    (void)flow_until(port, "/", 200, "mended");
    assert_true(
        flow_wait_log(&server, "node \"aside\" (snippet) is running in its last good version"));
    change("DELETE", EVERYTHING, 204);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

static void second_signal_ends_at_once(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    start_default(&server);
    create("web", port, "slow");
    (void)flow_until(port, "/", 200, "slow");
    int fd = flow_connect(port);
    const char *head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab";
    assert_true(flow_send(fd, head, strlen(head)));
    flow_sleep_ms(50);
    assert_int_equal(kill(server.pid, SIGTERM), 0);
    assert_int_equal(kill(server.pid, SIGTERM), 0); /* as timeout(1) does: the same one */
    assert_true(flow_wait_log(&server, "draining"));
    flow_sleep_ms(400);
    assert_int_equal(kill(server.pid, 0), 0);
    assert_int_equal(flow_log_count(&server, "a second signal: ending"), 0);
    uint64_t begin = flow_now_us();
    assert_int_equal(flow_stop_within(&server, SIGTERM, 2000), 130);
    print_message("second signal: ended after %.1f ms\n", (double)(flow_now_us() - begin) / 1000);
    (void)close(fd);
    change("DELETE", EVERYTHING, 204);
}

static void drain_timeout_ends_a_request_that_does_not(void **state)
{
    (void)state;
    struct flow_server server;
    int port = flow_port();
    flow_start(&server, (const char *[]){"-n", "default", "--data", data, "--cores", "0",
                                         "--drain-timeout", "300ms", NULL});
    create("web", port, "slow");
    (void)flow_until(port, "/", 200, "slow");
    int fd = flow_connect(port);
    const char *head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab";
    assert_true(flow_send(fd, head, strlen(head)));
    flow_sleep_ms(50);
    uint64_t begin = flow_now_us();
    int code = flow_stop_within(&server, SIGTERM, 5000);
    print_message("drain timeout of 300 ms: code %d after %.0f ms\n", code,
                  (double)(flow_now_us() - begin) / 1000);
    assert_int_equal(code, 4);
    (void)close(fd);
    change("DELETE", EVERYTHING, 204);
}

static void hangup_reads_the_files_again(void **state)
{
    (void)state;
    static const char form[] = "- {kind: listener, name: web, protocol: http, port: %d,\n"
                               "   ports: {out: [{name: text, port: in}]}}\n"
                               "- {kind: snippet, name: text, language: %s}\n";
    struct flow_server server;
    int port = flow_port();
    const char *file = flow_file("hup.yaml", flow_text(form, port, "text, code: before"));
    flow_start(&server, (const char *[]){file, "--cores", "0", NULL});
    (void)flow_until(port, "/", 200, "before");
    (void)flow_file("hup.yaml", flow_text(form, port, "text, code: after"));
    assert_int_equal(kill(server.pid, SIGHUP), 0);
    uint64_t took = flow_until(port, "/", 200, "after");
    print_message("hangup: visible after %.1f ms\n", (double)took / 1000);
    /* A mistake leaves everything as it is. */
    (void)flow_file("hup.yaml", flow_text(form, port, "cel, code: '1 +'"));
    assert_int_equal(kill(server.pid, SIGHUP), 0);
    assert_true(flow_wait_log(&server, "hup.yaml:3:"));
    (void)flow_until(port, "/", 200, "after");
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
}

/* Who comes while a start is under way waits; shards are not ready at the same moment. */
static void first_answer_of_a_start_is_no_503(void **state)
{
    (void)state;
    static const char form[] =
        "- {kind: listener, name: web, protocol: http, port: %d,\n"
        "   ports: {out: [{name: hi, port: in}]}}\n"
        "- {kind: snippet, name: hi, language: javascript, code: 'export default () => 1'}\n"
        "- {kind: snippet, name: b, language: javascript, code: 'export default () => 2'}\n";
    for (int round = 0; round < 4; round++) {
        struct flow_server server;
        struct flow_reply reply;
        int port = flow_port();
        const char *file = flow_file("first.yaml", flow_text(form, port));
        uint64_t end_us = flow_now_us() + (uint64_t)FLOW_WAIT_MS * 1000;
        flow_spawn(&server, (const char *[]){file, NULL}, NULL);
        while (flow_try(port, "GET", "/", NULL, &reply) != 0) assert_true(flow_now_us() < end_us);
        assert_int_equal(reply.status, 200);
        flow_reply_fini(&reply);
        assert_int_equal(flow_stop(&server, SIGTERM), 0);
    }
}

/* A failed test leaves nothing to the next one. */
static int teardown(void **state)
{
    (void)state;
    struct flow_reply reply;
    flow_kill_rest(&admin);
    (void)flow_try(admin_port, "DELETE", "/v1/nodes", EVERYTHING, &reply);
    flow_reply_fini(&reply);
    return 0;
}

static int group_setup(void **state)
{
    (void)state;
    char file[FLOW_PATH_SIZE];
    assert_true(flow_source("docs/examples/admin.yaml", file));
    (void)snprintf(data_path, sizeof(data_path), "%s/data", flow_dir());
    data = data_path;
    admin_port = flow_port();
    flow_start(&admin,
               (const char *[]){"-n", "system", "-f", file, "-e", flow_text("PORT=%d", admin_port),
                                "--data", data, "--cores", "0", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return flow_stop(&admin, SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(created_changed_deleted_workflow_is_followed, teardown),
        cmocka_unit_test_teardown(second_runtime_of_a_namespace_is_refused_by_name, teardown),
        cmocka_unit_test_teardown(address_of_another_namespace_is_refused_by_name, teardown),
        cmocka_unit_test_teardown(bad_update_keeps_the_last_good_version_over_a_restart, teardown),
        cmocka_unit_test_teardown(listener_is_opened_to_the_network_and_back, teardown),
        cmocka_unit_test_teardown(bad_top_level_keeps_back_its_own_node_alone, teardown),
        cmocka_unit_test_teardown(bad_top_level_of_a_process_keeps_the_last_good_version, teardown),
        cmocka_unit_test_teardown(first_signal_drains_what_is_in_flight, teardown),
        cmocka_unit_test_teardown(second_signal_ends_at_once, teardown),
        cmocka_unit_test_teardown(drain_timeout_ends_a_request_that_does_not, teardown),
        cmocka_unit_test_teardown(hangup_reads_the_files_again, teardown),
        cmocka_unit_test_teardown(first_answer_of_a_start_is_no_503, teardown),
    };
    return cmocka_run_group_tests_name("follow", tests, group_setup, group_teardown);
}
