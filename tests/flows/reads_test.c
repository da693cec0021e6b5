/* SPDX-License-Identifier: MIT */
/*
 * Every language reads every part of a request, again and again on one shard: what an engine has
 * learned from the first request meets a payload of which nothing is made yet.
 */
#include "tests/flows/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 5, SPEC_SIZE = 16 * 1024 };

static struct flow_server server;
static int port;

/* How each language says it, and what comes for PATH/7?q=ab with {"a": 41, "list": [1, {"b": "x"}]}. */
static const struct reading {
    const char *language, *code, *expected;
} readings[] = {
    {"cel", "self.body.a + 1", "42"},
    {"cel", "{\"n\": self.body.a}", "{\"n\":41}"},
    {"cel", "self.body.list[1].b", "x"},
    {"cel", "size(self.body.list)", "2"},
    {"cel", "self.query.q[0] + \"!\"", "ab!"},
    {"cel", "self.header[\"Host\"][0].size() > 0", "true"},
    {"cel", "self.params.id + \"-\" + self.method", "7-POST"},
    {"cel", "self.body.a > 40 && self.query.q[0] == \"ab\" ? \"yes\" : \"no\"", "yes"},
    {"cel", "self.body.list.map(x, 1)", "[1,1]"},
    {"javascript", "export default (self) => self.body.a + 1", "42"},
    {"javascript", "export default (self) => ({n: self.body.list[1].b})", "{\"n\":\"x\"}"},
    {"javascript", "export default (self) => self.query.q[0] + self.params.id", "ab7"},
    {"javascript", "export default (self) => self.header.Host.length", "1"},
    {"lua", "return function(self) return self.body.a + 1 end", "42"},
    {"lua", "return function(self) return self.query.q[1] .. self.params.id end", "ab7"},
    {"lua", "return function(self) return #self.header.Host end", "1"},
};

enum { READINGS = sizeof(readings) / sizeof(readings[0]) };

static bool is_here(const struct reading *reading)
{
    return strcmp(reading->language, "lua") != 0 || getenv("FLOW_LUA") != NULL;
}

static void scripts_read_each_request_alike(void **state)
{
    (void)state;
    for (int time = 0; time < TIMES; time++) {
        for (int i = 0; i < READINGS; i++) {
            struct flow_reply reply;
            char path[64];
            if (!is_here(&readings[i])) continue;
            (void)snprintf(path, sizeof(path), "/r%d/7?q=ab", i);
            int status =
                flow_ask(port, "POST", path, "{\"a\": 41, \"list\": [1, {\"b\": \"x\"}]}", &reply);
            if (status != 200 || strcmp(reply.body, readings[i].expected) != 0) {
                fail_msg("%s, time %d: %d %s", readings[i].code, time, status, reply.body);
            }
            flow_reply_fini(&reply);
        }
    }
}

static void conditions_read_each_request_alike(void **state)
{
    (void)state;
    for (int time = 0; time < TIMES; time++) {
        struct flow_reply reply;
        assert_int_equal(flow_ask(port, "POST", "/switch?q=ab", "{\"a\": \"5\"}", &reply), 200);
        assert_string_equal(reply.body, "more");
        flow_reply_fini(&reply);
        assert_int_equal(flow_ask(port, "POST", "/switch?q=ab", "{\"a\": \"2\"}", &reply), 200);
        assert_string_equal(reply.body, "less");
        flow_reply_fini(&reply);
    }
}

static const char *const spec_begin =
    "- kind: listener\n"
    "  name: web\n"
    "  protocol: http\n"
    "  port: %d\n"
    "  ports: {out: [{name: routes, port: in}]}\n"
    "- kind: switch\n"
    "  name: choice\n"
    "  matches:\n"
    "    - {when: 'int(self.body.a) > 3 && self.query.q[0] == \"ab\"', port: 'out[0]'}\n"
    "    - {when: 'int(self.body.a) <= 3', port: 'out[1]'}\n"
    "  ports:\n"
    "    out[0]: [{name: more, port: in}]\n"
    "    out[1]: [{name: less, port: in}]\n"
    "- {kind: snippet, name: more, language: text, code: more}\n"
    "- {kind: snippet, name: less, language: text, code: less}\n";

static int group_setup(void **state)
{
    char *text = malloc(SPEC_SIZE);
    (void)state;
    if (text == NULL) return -1;
    port = flow_port();
    size_t used = (size_t)snprintf(text, SPEC_SIZE, spec_begin, port);
    for (int i = 0; i < READINGS; i++) {
        if (!is_here(&readings[i])) continue;
        used += (size_t)snprintf(text + used, SPEC_SIZE - used,
                                 "- kind: snippet\n  name: n%d\n  language: %s\n  timeout: 5s\n"
                                 "  code: |\n    %s\n",
                                 i, readings[i].language, readings[i].code);
    }
    used += (size_t)snprintf(text + used, SPEC_SIZE - used,
                             "- kind: router\n  name: routes\n  routes:\n"
                             "    - {method: POST, path: /switch, port: 'out[99]'}\n");
    for (int i = 0; i < READINGS; i++) {
        if (!is_here(&readings[i])) continue;
        used += (size_t)snprintf(text + used, SPEC_SIZE - used,
                                 "    - {method: POST, path: '/r%d/:id', port: 'out[%d]'}\n", i, i);
    }
    used += (size_t)snprintf(text + used, SPEC_SIZE - used,
                             "  ports:\n    out[99]: [{name: choice, port: in}]\n");
    for (int i = 0; i < READINGS; i++) {
        if (!is_here(&readings[i])) continue;
        used += (size_t)snprintf(text + used, SPEC_SIZE - used,
                                 "    out[%d]: [{name: n%d, port: in}]\n", i, i);
    }
    assert_true(used < SPEC_SIZE);
    flow_start(&server, (const char *[]){flow_file("reads.yaml", text), "--cores", "0", NULL});
    free(text);
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
        cmocka_unit_test(scripts_read_each_request_alike),
        cmocka_unit_test(conditions_read_each_request_alike),
    };
    return cmocka_run_group_tests_name("reads", tests, group_setup, group_teardown);
}
