/* SPDX-License-Identifier: MIT */
/* What the log says of errors: ours are errors, mistakes of clients are not, and neither floods. */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct flow_server server;
static int port;
static int bare_port; /* a listener without an `error` port */

static int status_of(const char *path)
{
    struct flow_reply reply;
    int status = flow_ask(port, "GET", path, NULL, &reply);
    flow_reply_fini(&reply);
    return status;
}

/* Reports reach the log behind the replies. */
static void wait_count(const char *text, unsigned count)
{
    for (int waited = 0; waited < FLOW_WAIT_MS && flow_log_count(&server, text) < count;
         waited += 5) {
        flow_sleep_ms(5);
    }
    assert_int_equal(flow_log_count(&server, text), count);
}

static void caught_mistake_of_a_client_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(status_of("/abc"), 400);
    assert_true(flow_wait_log(&server, " info namespace default: GET /abc: 400, trace "));
    assert_true(flow_wait_log(&server, ": node \"divide\""));
    assert_int_equal(flow_log_count(&server, " error "), 0);
}

static void handled_error_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(status_of("/-1"), 200);
    assert_true(flow_wait_log(&server, " info namespace default: GET /-1: 200, trace "));
    assert_int_equal(flow_log_count(&server, " error "), 0);
}

/* Ten a second, and ten at once; however long the requests take here. */
static void many_mistakes_do_not_hide_an_error(void **state)
{
    (void)state;
    enum { MISTAKES = 200, A_SECOND = 10, AT_ONCE = 12 };
    unsigned before = flow_log_count(&server, " error ");
    unsigned mistakes = flow_log_count(&server, ": 400, trace ");
    uint64_t begin_us = flow_now_us();
    for (int i = 0; i < MISTAKES; i++) assert_int_equal(status_of("/abc"), 400);
    assert_int_equal(flow_log_count(&server, " error "), before);
    unsigned logged = flow_log_count(&server, ": 400, trace ") - mistakes;
    assert_in_range(logged, 0, AT_ONCE + A_SECOND * (flow_now_us() - begin_us) / 1000000);
    assert_int_equal(status_of("/0"), 500);
    assert_true(flow_wait_log(&server, " error namespace default: GET /0: 500, trace "));
    assert_int_equal(flow_log_count(&server, " error "), before + 1);
}

/* A name or value that HTTP cannot say is an error of the reply, and never sent or left out. */
static void header_with_a_line_break_is_an_error_and_never_sent(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "GET", "/x?h=plain", NULL, &reply), 200);
    flow_assert_has(reply.head, "X-Echo: plain\r\n");
    flow_reply_fini(&reply);
    const char *evil = "/x?h=a%0d%0aX-Evil:%201";
    assert_int_equal(flow_ask(port, "GET", evil, NULL, &reply), 400);
    flow_assert_lacks(reply.head, "X-Evil");
    flow_assert_has(reply.body, "the header \"X-Echo\" of the reply");
    flow_reply_fini(&reply);
    assert_true(flow_wait_log(&server, "GET /x: 400, trace "));
    assert_true(flow_wait_log(&server, "node \"web\""));
    assert_true(flow_wait_log(&server, " bad_header: the header \"X-Echo\""));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flow_ask(bare_port, "GET", evil, NULL, &reply), 500);
        flow_assert_lacks(reply.head, "X-E");
        flow_assert_lacks(reply.body, "X-Echo");
        flow_reply_fini(&reply);
    }
    wait_count(" error namespace default: GET /x: 500, trace ", 3);
    /* Behind the `error` port nobody is left to ask. */
    assert_int_equal(flow_ask(port, "GET", "/1.5", NULL, &reply), 500);
    flow_assert_lacks(reply.head, "X-Why");
    flow_reply_fini(&reply);
    wait_count(" error namespace default: GET /1.5: 500, trace ", 1);
    assert_int_equal(flow_ask(port, "GET", "/x?h=again", NULL, &reply), 200);
    flow_reply_fini(&reply);
}

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    bare_port = flow_port();
    const char *file = flow_file(
        "report.yaml",
        flow_text(
            "- kind: listener\n"
            "  name: web\n"
            "  protocol: http\n"
            "  port: %d\n"
            "  ports: {out: [{name: divide, port: in}], error: [{name: catch, port: in}]}\n"
            "- kind: listener\n"
            "  name: bare\n"
            "  protocol: http\n"
            "  port: %d\n"
            "  ports: {out: [{name: divide, port: in}]}\n"
            "- kind: snippet\n"
            "  name: divide\n"
            "  language: cel\n"
            "  code: >-\n"
            "    has(self.query.h) ? dyn({'body': 'x', 'header': {'X-Echo': self.query.h[0]}}) :\n"
            "    self.path == \"/-1\" ? self.absent : 1 / int(self.path.substring(1))\n"
            "- kind: snippet\n"
            "  name: catch\n"
            "  language: cel\n"
            "  code: >-\n"
            "    {'status': self.message.contains('no such key') ? 200 :\n"
            "     self == 'divide by zero' ? 500 : 400, 'body': self.message,\n"
            "     'header': {'X-Why': self.message.contains('1.5') ? \"a\\nb\" : 'none'}}\n",
            port, bare_port));
    flow_start(&server, (const char *[]){file, "--cores", "0", NULL});
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
        cmocka_unit_test(caught_mistake_of_a_client_is_no_error),
        cmocka_unit_test(handled_error_is_no_error),
        cmocka_unit_test(header_with_a_line_break_is_an_error_and_never_sent),
        cmocka_unit_test(many_mistakes_do_not_hide_an_error),
    };
    return cmocka_run_group_tests_name("report", tests, group_setup, group_teardown);
}
