/* SPDX-License-Identifier: MIT */
/* What the log says of errors: ours are errors, mistakes of clients are not, and neither floods. */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct flow_server server;
static int port;

static int status_of(const char *path)
{
    struct flow_reply reply;
    int status = flow_ask(port, "GET", path, NULL, &reply);
    flow_reply_fini(&reply);
    return status;
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

static void many_mistakes_do_not_hide_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) assert_int_equal(status_of("/abc"), 400);
    assert_int_equal(flow_log_count(&server, " error "), 0);
    assert_in_range(flow_log_count(&server, ": 400, trace "), 1, 100);
    assert_int_equal(status_of("/0"), 500);
    assert_true(flow_wait_log(&server, " error namespace default: GET /0: 500, trace "));
    assert_int_equal(flow_log_count(&server, " error "), 1);
}

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    const char *file = flow_file(
        "report.yaml",
        flow_text("- kind: listener\n"
                  "  name: web\n"
                  "  protocol: http\n"
                  "  port: %d\n"
                  "  ports: {out: [{name: divide, port: in}], error: [{name: catch, port: in}]}\n"
                  "- kind: snippet\n"
                  "  name: divide\n"
                  "  language: cel\n"
                  "  code: 'self.path == \"/-1\" ? self.absent : 1 / int(self.path.substring(1))'\n"
                  "- kind: snippet\n"
                  "  name: catch\n"
                  "  language: cel\n"
                  "  code: >-\n"
                  "    {'status': self.message.contains('no such key') ? 200 :\n"
                  "     self == 'divide by zero' ? 500 : 400, 'body': self.message}\n",
                  port));
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
        cmocka_unit_test(many_mistakes_do_not_hide_an_error),
    };
    return cmocka_run_group_tests_name("report", tests, group_setup, group_teardown);
}
