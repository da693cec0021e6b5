/* SPDX-License-Identifier: MIT */
/*
 * Traces of the real program: what is told of a request, what is hidden, and that whoever reads can
 * go away, be slow, or ask for what is not there.
 */
#include "tests/flows/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECRET "correct\\\"horse-battery-8313"

static struct flow_server server;
static int port;

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    int fd;
    size_t size;
    char data[1024 * 1024];
};

static struct reader reader;

/* Send a request on the control socket. */
static void ask_control(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char text[1024];
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", flow_path("control"));
    reader.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    reader.size = 0;
    assert_int_equal(connect(reader.fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    int size = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\nHost: s\r\n\r\n", path);
    assert_true(flow_send(reader.fd, text, (size_t)size));
}

/* Read until `part` is there, or to the end with NULL. */
static const char *read_until(const char *part)
{
    for (;;) {
        reader.data[reader.size] = '\0';
        if (part != NULL && strstr(reader.data, part) != NULL) return reader.data;
        assert_true(reader.size < sizeof(reader.data) - 1);
        ssize_t got =
            recv(reader.fd, reader.data + reader.size, sizeof(reader.data) - 1 - reader.size, 0);
        if (got == 0 && part == NULL) return reader.data;
        assert_true(got > 0);
        reader.size += (size_t)got;
    }
}

/* Begin a trace; when it returns the next request is the first. */
static void trace_begin(const char *query)
{
    /* The one before may still be on its way out of the shards. */
    for (int i = 0; i < 200; i++) {
        ask_control(flow_text("/trace?%s", query));
        if (strstr(read_until("\r\n\r\n"), "409 Conflict") == NULL) break;
        (void)close(reader.fd);
        flow_sleep_ms(10);
    }
    flow_assert_has(reader.data, " 200 OK\r\n");
    flow_assert_has(reader.data, "application/x-ndjson");
}

static const char *trace_end(void)
{
    const char *text = read_until(NULL);
    (void)close(reader.fd);
    return text;
}

static void ask(const char *method, const char *path, const char *body, int status)
{
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, method, path, body, &reply), status);
    flow_reply_fini(&reply);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void trace_tells_each_hop_of_a_request(void **state)
{
    (void)state;
    trace_begin("count=1");
    ask("GET", "/plain?a=b", NULL, 200);
    const char *text = trace_end();
    flow_assert_has(text, "\"status\":200,\"request\":{\"method\":\"GET\"");
    flow_assert_has(text, "\"query\":{\"a\":[\"b\"]}");
    flow_assert_has(text, "\"answer\":{\"path\":\"/plain\"},\"hops_lost\":0,\"hops\":[{\"hop\":0,");
    flow_assert_has(text,
                    "\"event\":\"send\",\"node\":\"web\",\"kind\":\"listener\",\"out\":\"out\"}");
    flow_assert_has(text, "{\"hop\":1,\"cause\":0,");
    flow_assert_has(text, "\"node\":\"router\",\"kind\":\"router\",\"in\":\"in\",\"took_ns\":");
    flow_assert_has(text, "\"node\":\"plain\",\"kind\":\"snippet\",\"in\":\"in\",\"took_ns\":");
    flow_assert_has(text, "\"step\":\"answer\",\"value\":{\"path\":\"/plain\"}}");
    flow_assert_has(text, "\"event\":\"answer\"}]}\n{\"end\":\"count\",\"traced\":1,\"missed\":0,"
                          "\"dropped\":0,\"when_errors\":0}\n");
}

static void trace_ends_after_its_count(void **state)
{
    (void)state;
    trace_begin("count=3");
    for (int i = 0; i < 5; i++) ask("GET", "/plain", NULL, 200);
    const char *text = trace_end();
    flow_assert_has(text, "{\"trace\":2,");
    flow_assert_lacks(text, "{\"trace\":3,");
    flow_assert_has(text, "{\"end\":\"count\",\"traced\":3,");
}

static void when_and_node_choose_the_requests(void **state)
{
    (void)state;
    trace_begin("count=1&when=self.method%20%3D%3D%20%22POST%22");
    ask("GET", "/plain", NULL, 200);
    ask("POST", "/plain", "x", 200);
    const char *text = trace_end();
    flow_assert_has(text, "\"method\":\"POST\"");
    flow_assert_lacks(text, "\"method\":\"GET\"");
    trace_begin("count=1&node=boom");
    ask("GET", "/plain", NULL, 200);
    ask("GET", "/boom", NULL, 418);
    text = trace_end();
    flow_assert_lacks(text, "\"path\":\"/plain\"");
    flow_assert_has(text, "\"step\":\"fail\"");
    flow_assert_has(text,
                    "\"event\":\"send\",\"node\":\"web\",\"kind\":\"listener\",\"out\":\"error\"");
    flow_assert_has(text, "\"status\":418");
}

/* What fails to be evaluated is no match, and counted. */
static void when_that_fails_is_counted(void **state)
{
    (void)state;
    trace_begin("count=1&when=self.body.x%20%3D%3D%201");
    ask("GET", "/plain", NULL, 200);
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "POST", "/plain", "{\"x\":1}", &reply), 200);
    flow_reply_fini(&reply);
    ask("GET", "/plain", NULL, 200);
    (void)shutdown(reader.fd, SHUT_RDWR);
    (void)close(reader.fd);
    trace_begin("timeout_ms=300&when=self.nothing%20%3D%3D%201");
    ask("GET", "/plain", NULL, 200);
    flow_assert_has(trace_end(), "{\"end\":\"timeout\",\"traced\":0,\"missed\":0,\"dropped\":0,"
                                 "\"when_errors\":1,\"when_error\":\"no such key: nothing\"}");
    /* What the request carried is not told. */
    trace_begin("timeout_ms=300&when=int(self.path)%20%3D%3D%201");
    ask("GET", "/plain", NULL, 200);
    flow_assert_has(trace_end(), "\"when_error\":\"type conversion error\"}");
}

static void packet_on_another_shard_is_put_in_its_place(void **state)
{
    (void)state;
    trace_begin("count=8&node=far");
    /* The kernel spreads connections: some begin on the shard where the node is. */
    bool has_remote = false;
    for (int i = 0; i < 8; i++) ask("GET", "/far", NULL, 200);
    const char *text = trace_end();
    for (const char *line = strstr(text, "{\"trace\":"); line != NULL;) {
        const char *end = strchr(line, '\n');
        const char *remote = strstr(line, "\"event\":\"remote\",\"node\":\"far\"");
        if (remote != NULL && remote < end) {
            has_remote = true;
            /* router is hop 1, the crossing hop 2, and hop 3 is over there, led to by it. */
            const char *there = strstr(remote, "{\"hop\":3,\"cause\":2,\"at_ns\":");
            assert_non_null(there);
            assert_true(there < end);
            assert_non_null(strstr(there, "\"shard\":1,\"event\":\"call\",\"node\":\"far\""));
            assert_non_null(strstr(remote, "\"to_shard\":1,\"took_ns\":"));
        }
        line = strstr(end, "{\"trace\":");
    }
    if (!has_remote) print_message("all eight connections were on shard 1\n");
}

static void secrets_and_credentials_are_hidden(void **state)
{
    (void)state;
    trace_begin("count=1&payload=4000");
    struct flow_reply reply;
    int fd = flow_connect(port);
    const char *request =
        "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc1234\r\n\r\n";
    assert_true(flow_send(fd, request, strlen(request)));
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    (void)close(fd);
    flow_assert_has(reply.body, "8313");
    flow_reply_fini(&reply);
    const char *text = trace_end();
    flow_assert_has(text, "\"plain\":\"***\"");
    flow_assert_has(text, "\"inside\":\"x***y\"");
    flow_assert_has(text, "\"Authorization\":\"***\"");
    flow_assert_lacks(text, "8313");
    flow_assert_lacks(text, "battery");
    flow_assert_lacks(text, "abc1234");
}

static void unmask_shows_credentials_and_no_secrets(void **state)
{
    (void)state;
    trace_begin("count=1&payload=4000&unmask=1");
    struct flow_reply reply;
    int fd = flow_connect(port);
    const char *request =
        "GET /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc1234\r\n\r\n";
    assert_true(flow_send(fd, request, strlen(request)));
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    (void)close(fd);
    flow_reply_fini(&reply);
    const char *text = trace_end();
    flow_assert_has(text, "Bearer abc1234");
    flow_assert_lacks(text, "8313");
}

static void bad_options_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"count=0", "\\\"count\\\" must be a number from 1 to 1000000"},
        {"count=abc", "\\\"count\\\" must be"},
        {"payload=99999", "\\\"payload\\\" must be"},
        {"nod=x", "there is no \\\"nod\\\""},
        {"when=1%20%2B", "of \\\"when\\\""},
        {"when=path%20%3D%3D%201", "of \\\"when\\\"; self is the request: self.method, self.path"},
        {"node=routr", "there is no node \\\"routr\\\"; did you mean \\\"router\\\"?"},
        {"node=nowhere-at-all", "there is no node \\\"nowhere-at-all\\\"; nodes: web, router"},
        {"node=route", "there is no node"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask_control(flow_text("/trace?%s", cases[i][0]));
        const char *text = read_until(NULL);
        (void)close(reader.fd);
        bool is_node = strncmp(cases[i][0], "node=", 5) == 0;
        flow_assert_has(text, is_node ? " 404 Not Found\r\n" : " 400 Bad Request\r\n");
        flow_assert_has(text, cases[i][1]);
    }
}

static void second_reader_is_told_to_wait(void **state)
{
    (void)state;
    trace_begin("count=1");
    int first = reader.fd;
    ask_control("/trace");
    flow_assert_has(read_until(NULL), " 409 Conflict\r\n");
    (void)close(reader.fd);
    (void)close(first);
    trace_begin("count=1"); /* the first has gone: there is room */
    ask("GET", "/plain", NULL, 200);
    flow_assert_has(trace_end(), "\"traced\":1");
}

/* Whoever does not read loses traces; requests go on. */
static void slow_reader_loses_traces_and_no_requests(void **state)
{
    (void)state;
    trace_begin("count=1000000&payload=16384&timeout_ms=60000");
    char *body = malloc(16001);
    memset(body, 'x', 16000);
    body[16000] = '\0';
    for (int i = 0; i < 400; i++) ask("POST", "/plain", body, 200);
    free(body);
    (void)close(reader.fd);
    trace_begin("count=1");
    ask("GET", "/plain", NULL, 200);
    flow_assert_has(trace_end(), "\"traced\":1");
}

static void command_prints_hops_and_exit_codes(void **state)
{
    (void)state;
    char line[512];
    char text[65536] = "";
    const char *command = flow_text("'%s' trace --count 1 --control '%s' 2>&1",
                                    getenv("FLOW_SLUICE"), flow_path("control"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    assert_string_equal(line, "sluice: tracing; waiting for requests\n");
    ask("GET", "/plain", NULL, 200);
    while (fgets(line, sizeof(line), pipe) != NULL) {
        assert_true(strlen(text) + strlen(line) < sizeof(text));
        strcat(text, line);
    }
    assert_int_equal(pclose(pipe), 0);
    flow_assert_has(text, "GET /plain  → 200  in ");
    flow_assert_has(text, "web → out\n");
    flow_assert_has(text, "plain answers {\"path\":\"/plain\"}\n");
    char *output;
    assert_int_equal(flow_run((const char *[]){"trace", "--timeout", "50ms", "--control",
                                               flow_path("control"), NULL},
                              &output),
                     4);
    flow_assert_has(output, "the time is up after 0 requests");
    free(output);
    assert_int_equal(flow_run((const char *[]){"trace", "--when", "1 +", "--control",
                                               flow_path("control"), NULL},
                              &output),
                     1);
    flow_assert_has(output, "1:4 of \"when\"");
    free(output);
    assert_int_equal(flow_run((const char *[]){"trace", "--format", "json", "--when", "1 +",
                                               "--control", flow_path("control"), NULL},
                              &output),
                     1);
    flow_assert_has(output, "\"diagnostics\": [");
    flow_assert_has(output, "\"code\": \"cel_syntax\"");
    flow_assert_has(output, "1:4 of \\\"when\\\"");
    free(output);
    assert_int_equal(
        flow_run((const char *[]){"trace", "--control", flow_path("nobody"), NULL}, &output), 3);
    free(output);
    assert_int_equal(flow_run((const char *[]){"trace", "--format", "json", "--control",
                                               flow_path("nobody"), NULL},
                              &output),
                     3);
    flow_assert_has(output, "\"code\": \"unreachable\"");
    free(output);
    assert_int_equal(flow_run((const char *[]){"drain", "--control", "none", NULL}, &output), 3);
    flow_assert_has(output, "kill -TERM PID");
    free(output);
}

/* The end of the runtime is the end of the trace, and neither waits for the other. */
static void stopping_ends_a_trace(void **state)
{
    (void)state;
    trace_begin("count=5&timeout_ms=0");
    ask("GET", "/plain", NULL, 200);
    uint64_t begin_us = flow_now_us();
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
    assert_true(flow_now_us() - begin_us < 5000000);
    flow_assert_has(trace_end(), "{\"end\":\"stopped\",\"traced\":1,");
}

static int group_setup(void **state)
{
    (void)state;
    static const char *const spec =
        "- {kind: listener, name: web, protocol: http, port: %d,\n"
        "   ports: {out: [{name: router, port: in}], error: [{name: catch, port: in}]}}\n"
        "- kind: router\n"
        "  name: router\n"
        "  routes:\n"
        "    - {method: GET, path: /plain, port: 'out[0]'}\n"
        "    - {method: POST, path: /plain, port: 'out[0]'}\n"
        "    - {method: GET, path: /far, port: 'out[1]'}\n"
        "    - {method: GET, path: /boom, port: 'out[2]'}\n"
        "    - {method: GET, path: /secret, port: 'out[3]'}\n"
        "  ports:\n"
        "    out[0]: [{name: plain, port: in}]\n"
        "    out[1]: [{name: far, port: in}]\n"
        "    out[2]: [{name: boom, port: in}]\n"
        "    out[3]: [{name: secret, port: in}]\n"
        "- {kind: snippet, name: plain, language: cel, code: '{\"path\": self.path}'}\n"
        "- {kind: snippet, name: far, language: cel, placement: core 1, code: 'self.path'}\n"
        "- {kind: snippet, name: boom, language: cel, code: self.nothing.here}\n"
        "- {kind: snippet, name: catch, language: json, code: '{\"status\": 418}'}\n"
        "- kind: snippet\n"
        "  name: secret\n"
        "  language: cel\n"
        "  env: {TOKEN: {name: token, data: '{{ . }}'}}\n"
        "  code: '{\"plain\": env.TOKEN, \"inside\": \"x\" + env.TOKEN + \"y\"}'\n";
    port = flow_port();
    const char *secrets = flow_file("secrets.yaml", "- {name: token, data: \"" SECRET "\"}\n");
    const char *specs = flow_file("trace.yaml", flow_text(spec, port));
    flow_start(&server, (const char *[]){"-f", specs, "--from-secrets", secrets, "--control",
                                         flow_path("control"), "--cores", "0-1", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    flow_kill_rest(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_tells_each_hop_of_a_request),
        cmocka_unit_test(trace_ends_after_its_count),
        cmocka_unit_test(when_and_node_choose_the_requests),
        cmocka_unit_test(when_that_fails_is_counted),
        cmocka_unit_test(packet_on_another_shard_is_put_in_its_place),
        cmocka_unit_test(secrets_and_credentials_are_hidden),
        cmocka_unit_test(unmask_shows_credentials_and_no_secrets),
        cmocka_unit_test(bad_options_are_refused_with_a_reason),
        cmocka_unit_test(second_reader_is_told_to_wait),
        cmocka_unit_test(slow_reader_loses_traces_and_no_requests),
        cmocka_unit_test(command_prints_hops_and_exit_codes),
        cmocka_unit_test(stopping_ends_a_trace),
    };
    return cmocka_run_group_tests_name("trace", tests, group_setup, group_teardown);
}
