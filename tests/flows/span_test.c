/* SPDX-License-Identifier: MIT */
/*
 * W3C Trace Context through the real program: a client's trace id is what scripts of every language
 * see, here, on another shard and in a worker process, and what the logs and traces tell.
 */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define CALLER   "00f067aa0ba902b7"

static struct flow_server server;
static int port;

/* One request with these fields; the body is in `reply`. */
static void ask_with(const char *path, const char *fields, struct flow_reply *reply)
{
    int fd = flow_connect(port);
    assert_true(fd >= 0);
    const char *text = flow_text("GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, fields);
    assert_true(flow_send(fd, text, strlen(text)));
    assert_int_equal(flow_recv(fd, false, reply), 0);
    (void)close(fd);
}

static void trace_of_the_client_reaches_every_language_and_place(void **state)
{
    (void)state;
    static const char *const paths[] = {"/cel", "/far", "/js", "/worker"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct flow_reply reply;
        ask_with(paths[i], "Traceparent: 00-" TRACE_ID "-" CALLER "-01\r\nTracestate: a=1\r\n",
                 &reply);
        assert_int_equal(reply.status, 200);
        flow_assert_has(reply.body, "\"id\":\"" TRACE_ID "\"");
        flow_assert_has(reply.body, "\"parent\":\"" CALLER "\"");
        flow_assert_has(reply.body, "\"sampled\":true");
        flow_assert_has(reply.body, "\"traceparent\":\"00-" TRACE_ID "-");
        flow_assert_has(reply.body, "\"state\":\"a=1\"");
        flow_reply_fini(&reply);
    }
}

/* The log is written by the control thread, a moment later. */
static char *access_line(const char *part)
{
    for (int i = 0; i < 200; i++) {
        size_t size;
        char *text = flow_read(flow_path("access.log"), &size);
        char *at = text != NULL ? strstr(text, part) : NULL;
        if (at != NULL && strchr(at, '\n') != NULL) {
            while (at > text && at[-1] != '\n') at--;
            char *line = strndup(at, (size_t)(strchr(at, '\n') - at));
            free(text);
            return line;
        }
        free(text);
        flow_sleep_ms(25);
    }
    fail_msg("the access log has no %s", part);
    return NULL;
}

static void access_log_tells_the_trace(void **state)
{
    (void)state;
    struct flow_reply reply;
    ask_with("/cel?log=1", "Traceparent: 00-" TRACE_ID "-" CALLER "-01\r\n", &reply);
    flow_reply_fini(&reply);
    char *line = access_line("log=1");
    flow_assert_has(line, "\"trace_id\":\"" TRACE_ID "\",\"span_id\":\"");
    flow_assert_has(line, "\"parent_id\":\"" CALLER "\"");
    free(line);
}

/* A made id is the same in the payload, in the log, and in the report of the error. */
static void made_trace_is_one_everywhere(void **state)
{
    (void)state;
    struct flow_reply reply;
    ask_with("/cel?log=2", "", &reply);
    const char *id = strstr(reply.body, "\"id\":\"");
    assert_non_null(id);
    char *line = access_line("log=2");
    flow_assert_has(line, flow_text("\"trace_id\":\"%.32s\"", id + 6));
    flow_assert_lacks(line, "parent_id");
    flow_assert_lacks(reply.body, "\"parent\"");
    free(line);
    flow_reply_fini(&reply);
    ask_with("/boom?log=3", "", &reply);
    assert_int_equal(reply.status, 500);
    flow_reply_fini(&reply);
    line = access_line("log=3");
    id = strstr(line, "\"trace_id\":\"");
    assert_non_null(id);
    assert_true(
        flow_wait_log(&server, flow_text("GET /boom: 500, trace %.32s: node \"boom\"", id + 12)));
    free(line);
}

/* The second server is this one too: what it is told comes back. */
static void trace_goes_on_to_the_next_server(void **state)
{
    (void)state;
    struct flow_reply reply;
    ask_with("/gateway", "Traceparent: 00-" TRACE_ID "-" CALLER "-01\r\nTracestate: a=1\r\n",
             &reply);
    assert_int_equal(reply.status, 200);
    flow_assert_has(reply.body, "\"id\":\"" TRACE_ID "\"");
    flow_assert_has(reply.body, "\"state\":\"a=1\"");
    flow_assert_has(reply.body, "\"sampled\":true");
    flow_assert_lacks(reply.body, CALLER); /* its caller is this one */
    flow_reply_fini(&reply);
    ask_with("/gateway", "Traceparent: 00-" TRACE_ID "-0000000000000000-01\r\nTracestate: a=1\r\n",
             &reply);
    assert_int_equal(reply.status, 200);
    flow_assert_lacks(reply.body, TRACE_ID);
    flow_assert_has(reply.body, "\"parent\"");
    flow_assert_lacks(reply.body, "\"state\"");
    flow_reply_fini(&reply);
}

static void invalid_traceparent_begins_a_trace_of_its_own(void **state)
{
    (void)state;
    struct flow_reply reply;
    ask_with("/cel", "Traceparent: ff-" TRACE_ID "-" CALLER "-01\r\nTracestate: a=1\r\n", &reply);
    flow_assert_lacks(reply.body, TRACE_ID);
    flow_assert_lacks(reply.body, "\"state\"");
    flow_reply_fini(&reply);
}

static int group_setup(void **state)
{
    (void)state;
    static const char *const spec =
        "- {kind: listener, name: web, protocol: http, port: %d,\n"
        "   ports: {out: [{name: router, port: in}]}}\n"
        "- kind: router\n"
        "  name: router\n"
        "  routes:\n"
        "    - {method: GET, path: /cel, port: 'out[0]'}\n"
        "    - {method: GET, path: /far, port: 'out[1]'}\n"
        "    - {method: GET, path: /js, port: 'out[2]'}\n"
        "    - {method: GET, path: /worker, port: 'out[3]'}\n"
        "    - {method: GET, path: /boom, port: 'out[4]'}\n"
        "    - {method: GET, path: /gateway, port: 'out[5]'}\n"
        "  ports:\n"
        "    out[0]: [{name: cel, port: in}]\n"
        "    out[1]: [{name: far, port: in}]\n"
        "    out[2]: [{name: js, port: in}]\n"
        "    out[3]: [{name: worker, port: in}]\n"
        "    out[4]: [{name: boom, port: in}]\n"
        "    out[5]: [{name: ahead, port: in}]\n"
        "- {kind: snippet, name: cel, language: cel, code: self.trace}\n"
        "- {kind: snippet, name: far, language: cel, placement: core 1, code: self.trace}\n"
        "- {kind: snippet, name: js, language: javascript, code: 'export default (self) => "
        "self.trace'}\n"
        "- {kind: snippet, name: worker, language: javascript, isolation: process,\n"
        "   code: 'export default (self) => self.trace'}\n"
        "- {kind: snippet, name: ahead, language: cel,\n"
        "   code: '{\"path\": \"/cel\", \"header\": self.header}', ports: {out: [{name: next, "
        "port: in}]}}\n"
        "- {kind: http, name: next, url: 'http://127.0.0.1:%d'}\n"
        "- {kind: snippet, name: boom, language: cel, code: self.nothing.here}\n";
    port = flow_port();
    const char *specs = flow_file("span.yaml", flow_text(spec, port, port));
    flow_start(&server, (const char *[]){"-f", specs, "--worker-priority", "normal", "--access-log",
                                         flow_path("access.log"), "--control", "none", "--cores",
                                         "0-1", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    int code = flow_stop(&server, SIGTERM);
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_of_the_client_reaches_every_language_and_place),
        cmocka_unit_test(access_log_tells_the_trace),
        cmocka_unit_test(made_trace_is_one_everywhere),
        cmocka_unit_test(trace_goes_on_to_the_next_server),
        cmocka_unit_test(invalid_traceparent_begins_a_trace_of_its_own),
    };
    return cmocka_run_group_tests_name("span", tests, group_setup, group_teardown);
}
