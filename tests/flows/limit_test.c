/* SPDX-License-Identifier: MIT */
/* The limits of a listener, as a client meets them, and that it serves on afterwards. */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_CONNECTIONS = 8 };

static struct flow_server server;
static int port;

/* What the server answers to these bytes; the status, or -EXXX. */
static int raw(const char *bytes, struct flow_reply *reply)
{
    int fd = flow_connect(port);
    assert_true(fd >= 0);
    (void)flow_send(fd, bytes, strlen(bytes));
    int err = flow_recv(fd, false, reply);
    (void)close(fd);
    return err < 0 ? err : reply->status;
}

static void expect(const char *bytes, int status)
{
    struct flow_reply reply;
    assert_int_equal(raw(bytes, &reply), status);
    assert_true(reply.closed);
    flow_reply_fini(&reply);
}

static void head_beyond_its_limit_is_431(void **state)
{
    (void)state;
    char *bytes = malloc(8192);
    assert_non_null(bytes);
    int size = snprintf(bytes, 8192, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(bytes + size, 'a', 4096);
    (void)snprintf(bytes + size + 4096, 16, "\r\n\r\n");
    expect(bytes, 431);
    free(bytes);
}

static void body_beyond_its_limit_is_413(void **state)
{
    (void)state;
    expect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc", 413);
    /* Chunks count as they come: 80,000 bytes of 65,536. */
    char *bytes = malloc(100000);
    assert_non_null(bytes);
    int size = snprintf(
        bytes, 100000, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n13880\r\n");
    memset(bytes + size, 'a', 80000);
    bytes[size + 80000] = '\0';
    expect(bytes, 413);
    free(bytes);
}

static void malformed_request_is_400(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400);
    expect("GET / HTTP/1.1\r\n\r\n", 400);
}

static void slow_head_is_408(void **state)
{
    (void)state;
    uint64_t begin = flow_now_us();
    expect("GET / HTTP/1.1\r\nHost:", 408);
    print_message("header timeout of 200 ms: answered after %.0f ms\n",
                  (double)(flow_now_us() - begin) / 1000);
}

static void slow_body_is_408(void **state)
{
    (void)state;
    expect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na", 408);
}

static void idle_connection_is_closed(void **state)
{
    (void)state;
    char byte;
    struct flow_reply reply;
    int fd = flow_connect(port);
    const char *request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(flow_send(fd, request, strlen(request)));
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    assert_int_equal(reply.status, 200);
    flow_reply_fini(&reply);
    uint64_t begin = flow_now_us();
    assert_int_equal(read(fd, &byte, 1), 0);
    print_message("idle timeout of 400 ms: closed after %.0f ms\n",
                  (double)(flow_now_us() - begin) / 1000);
    (void)close(fd);
}

static void connections_beyond_the_limit_get_503(void **state)
{
    (void)state;
    int fds[LIMIT_CONNECTIONS];
    struct flow_reply reply;
    flow_sleep_ms(100);
    for (int i = 0; i < LIMIT_CONNECTIONS; i++) fds[i] = flow_connect(port);
    flow_sleep_ms(50);
    int fd = flow_connect(port);
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    assert_int_equal(reply.status, 503);
    flow_reply_fini(&reply);
    (void)close(fd);
    for (int i = 0; i < LIMIT_CONNECTIONS; i++) (void)close(fds[i]);
}

static void serves_on(void **state)
{
    (void)state;
    (void)flow_until(port, "/", 200, "fine");
}

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    const char *file = flow_file(
        "limit.yaml", flow_text("- kind: listener\n"
                                "  name: web\n"
                                "  protocol: http\n"
                                "  port: %d\n"
                                "  header_max: 2KiB\n"
                                "  body_max: 64KiB\n"
                                "  header_timeout: 200ms\n"
                                "  body_timeout: 200ms\n"
                                "  idle_timeout: 400ms\n"
                                "  connections_max: %d\n"
                                "  ports: {out: [{name: fine, port: in}]}\n"
                                "- {kind: snippet, name: fine, language: text, code: fine}\n",
                                port, LIMIT_CONNECTIONS));
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
        cmocka_unit_test(head_beyond_its_limit_is_431),
        cmocka_unit_test(body_beyond_its_limit_is_413),
        cmocka_unit_test(malformed_request_is_400),
        cmocka_unit_test(slow_head_is_408),
        cmocka_unit_test(slow_body_is_408),
        cmocka_unit_test(idle_connection_is_closed),
        cmocka_unit_test(connections_beyond_the_limit_get_503),
        cmocka_unit_test(serves_on),
    };
    return cmocka_run_group_tests_name("limit", tests, group_setup, group_teardown);
}
