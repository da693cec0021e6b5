/* SPDX-License-Identifier: MIT */
/*
 * Scripts in worker processes, through the real program: what works, what ends, what is left behind.
 * A `catch` node tells the code of every error.
 */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MAX = 12 }; /* of two shards: four active, two spares */

static struct flow_server server;
static int port;

/* Ask; the status must be this and the body have the text. */
static void expect(const char *path, const char *body, int status, const char *text)
{
    struct flow_reply reply;
    int got = flow_ask(port, "POST", path, body, &reply);
    if (got != status || strstr(reply.body, text) == NULL) {
        fail_msg("%s: %d %s, expected %d %s", path, got, reply.body, status, text);
    }
    flow_reply_fini(&reply);
}

static void value_goes_through_a_worker(void **state)
{
    (void)state;
    expect("/add", "{\"n\":4}", 200, "{\"n\":5}");
    expect("/add", "{\"n\":9007199254740993}", 200, "9007199254740994");
    pid_t pids[WORKERS_MAX];
    assert_true(flow_children(server.pid, pids, WORKERS_MAX) > 0);
}

static void large_value_goes_beside_the_ring(void **state)
{
    (void)state;
    enum { SIZE = 900 * 1024 };
    char *body = malloc(SIZE + 16);
    assert_non_null(body);
    size_t used = (size_t)sprintf(body, "{\"n\":1,\"s\":\"");
    memset(body + used, 'x', SIZE - used);
    strcpy(body + SIZE, "\"}");
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "POST", "/echo", body, &reply), 200);
    assert_int_equal(reply.body_size, strlen(body));
    assert_memory_equal(reply.body, body, reply.body_size);
    flow_reply_fini(&reply);
    free(body);
}

static void errors_keep_code_and_place(void **state)
{
    (void)state;
    expect("/throw", "{}", 500, "\"script_error\"");
    expect("/throw", "{}", 500, "\"line\":");
}

static void loop_ends_at_its_deadline(void **state)
{
    (void)state;
    uint64_t begin = flow_now_us();
    /* Its own engine ends it, or, where that gets no time, the shard. */
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "POST", "/loop", "{}", &reply), 500);
    assert_true(strstr(reply.body, "script_deadline") || strstr(reply.body, "script_killed"));
    flow_reply_fini(&reply);
    uint64_t took_us = flow_now_us() - begin;
    assert_true(took_us >= 200 * 1000);
    expect("/add", "{\"n\":1}", 200, "{\"n\":2}");
}

static void memory_ends_at_its_cap(void **state)
{
    (void)state;
    expect("/memory", "{}", 500, "\"script_memory\"");
    expect("/add", "{\"n\":1}", 200, "{\"n\":2}");
}

static void switch_asks_in_a_worker(void **state)
{
    (void)state;
    expect("/switch", "{\"n\":1}", 200, "one");
    expect("/switch", "{\"n\":2}", 200, "two");
    expect("/switch", "{\"n\":3}", 500, "no_route");
    expect("/switch", "{}", 500, "cel_error");
}

/* Killed from outside, and what starts them, too: replacements, and nothing else is disturbed. */
static void killed_worker_is_replaced(void **state)
{
    (void)state;
    pid_t pids[WORKERS_MAX];
    int count = flow_children(server.pid, pids, WORKERS_MAX);
    assert_in_range(count, 1, WORKERS_MAX);
    for (int i = 0; i < count; i++) (void)kill(pids[i], SIGKILL);
    for (int i = 0; i < 20; i++) expect("/add", "{\"n\":1}", 200, "{\"n\":2}");
}

static void end_leaves_no_process(void **state)
{
    (void)state;
    pid_t pids[WORKERS_MAX];
    int count = flow_children(server.pid, pids, WORKERS_MAX);
    assert_in_range(count, 1, WORKERS_MAX);
    assert_int_equal(flow_stop(&server, SIGTERM), 0);
    for (int i = 0; i < count; i++) assert_int_equal(kill(pids[i], 0), -1);
}

static const char *const spec =
    "- kind: listener\n"
    "  name: web\n"
    "  protocol: http\n"
    "  port: %d\n"
    "  ports: {out: [{name: routes, port: in}], error: [{name: catch, port: in}]}\n"
    "- kind: router\n"
    "  name: routes\n"
    "  routes:\n"
    "    - {method: POST, path: /switch, port: 'out[1]'}\n"
    "    - {method: POST, path: /loop, port: 'out[2]'}\n"
    "    - {method: POST, path: '/:rest', port: 'out[0]'}\n"
    "  ports:\n"
    "    out[0]: [{name: js, port: in}]\n"
    "    out[1]: [{name: choice, port: in}]\n"
    "    out[2]: [{name: loop, port: in}]\n"
    "- kind: snippet\n"
    "  name: catch\n"
    "  language: cel\n"
    "  code: '{\"status\": 500, \"body\": {\"code\": self.code, \"text\": self.message, "
    "\"data\": has(self.data) ? self.data : null}}'\n"
    "- kind: switch\n"
    "  name: choice\n"
    "  isolation: process\n"
    "  matches:\n"
    "    - {when: 'self.body.n == 1', port: 'out[0]'}\n"
    "    - {when: 'self.body.n == 2', port: 'out[1]'}\n"
    "  ports:\n"
    "    out[0]: [{name: one, port: in}]\n"
    "    out[1]: [{name: two, port: in}]\n"
    "- {kind: snippet, name: one, language: text, code: one}\n"
    "- {kind: snippet, name: two, language: text, code: two}\n"
    "- {kind: snippet, name: loop, language: javascript, isolation: process, timeout: 200ms,\n"
    "   code: 'export default () => { for (;;) {} }'}\n"
    "- kind: snippet\n"
    "  name: js\n"
    "  language: javascript\n"
    "  isolation: process\n"
    "  timeout: 5s\n"
    "  code: |\n"
    "    export default function (self) {\n"
    "      switch (self.path) {\n"
    "      case '/add': {\n"
    "        const n = self.body.n;\n"
    "        return {body: {n: typeof n === 'bigint' ? n + 1n : n + 1}};\n"
    "      }\n"
    "      case '/echo': return {body: self.body};\n"
    "      case '/throw': throw new TypeError('no');\n"
    "      case '/memory': { const all = []; for (;;) all.push(new Array(1000).fill(7)); }\n"
    "      }\n"
    "    }\n";

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    char text[4096];
    (void)snprintf(text, sizeof(text), spec, port);
    flow_start(&server, (const char *[]){flow_file("worker.yaml", text), "--worker-priority",
                                         "normal", NULL});
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
        cmocka_unit_test(value_goes_through_a_worker),
        cmocka_unit_test(large_value_goes_beside_the_ring),
        cmocka_unit_test(errors_keep_code_and_place),
        cmocka_unit_test(loop_ends_at_its_deadline),
        cmocka_unit_test(memory_ends_at_its_cap),
        cmocka_unit_test(switch_asks_in_a_worker),
        cmocka_unit_test(killed_worker_is_replaced),
        cmocka_unit_test(end_leaves_no_process),
    };
    return cmocka_run_group_tests_name("worker", tests, group_setup, group_teardown);
}
