/* SPDX-License-Identifier: MIT */
/*
 * The life of HTTP connections: limits, refusals, deadlines, endings, memory.
 */
#include "tests/io/http/fixture.h"

/* -------- limits and refusals -------- */

static void refusals_answer_and_close(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.head_size_max = 1024, .body_size_max = 8});
    char long_head[2048];
    memset(long_head, 'a', sizeof(long_head));
    memcpy(long_head, "GET / HTTP/1.1\r\nX: ", 19);
    long_head[2047] = 0;
    char long_target[2048];
    memset(long_target, 'a', sizeof(long_target));
    memcpy(long_target, "GET /", 5);
    long_target[2047] = 0;
    const struct {
        const char *text;
        const char *line;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
        {"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /../x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 501 "},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 501 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", "HTTP/1.1 417 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789", "HTTP/1.1 413 "},
        /* At once, before the first byte of the body. */
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n", "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\nx", "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
         "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n",
         "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 "},
        {long_head, "HTTP/1.1 431 "},
        {long_target, "HTTP/1.1 414 "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = connect_client();
        arrive(fd, rows[i].text);
        assert_has(sent(fd), rows[i].line);
        assert_has(sent(fd), "Connection: close\r\n");
        assert_true(t.poller->fds[fd].is_shut);
        /* What still comes is thrown away, for a while. */
        arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(t.poller->fds[fd].is_open);
        pass(SL_HTTP_LINGER_MS + 20);
        assert_false(t.poller->fds[fd].is_open);
    }
    assert_int_equal(t.requests, 0);
    assert_int_equal(t.dones, 0);
    assert_int_equal(sl_http_server_stats(t.server)->bad_requests, sizeof(rows) / sizeof(rows[0]));
}

static void refusal_comes_behind_older_answers(void **state)
{
    (void)state;
    serve(NULL);
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nbroken\r\n\r\n");
    assert_string_equal(sent(fd), "");
    release(0);
    assert_has(sent(fd), "\r\n\r\n/1HTTP/1.1 400 Bad Request\r\n");
    assert_true(t.poller->fds[fd].is_shut);
}

static void bound_server_accepts_when_it_is_told_to(void **state)
{
    (void)state;
    struct sl_addr addr = {.size = 0};
    t.server = sl_http_server_new(&t.loop, NULL, &handler, NULL);
    assert_int_equal(sl_http_server_bind(t.server, &addr, true), FAKE_LISTENER);
    turn();
    assert_null(t.poller->accept);
    sl_http_server_accept(t.server);
    sl_http_server_accept(t.server);
    turn();
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(fd), "HTTP/1.1 200 OK\r\n");
}

/* Who connected meanwhile is in the queue of the socket. */
static void bound_server_that_drains_answers_its_queue(void **state)
{
    (void)state;
    struct sl_addr addr = {.size = 0};
    t.server = sl_http_server_new(&t.loop, NULL, &handler, NULL);
    assert_int_equal(sl_http_server_bind(t.server, &addr, true), FAKE_LISTENER);
    sl_http_server_drain(t.server);
    turn();
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(fd), "HTTP/1.1 200 OK\r\n");
}

static void connections_beyond_the_limit_are_told_503(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.connections_max = 1});
    int first = connect_client();
    int second = connect_client();
    assert_has(sent(second), "HTTP/1.1 503 Service Unavailable\r\n");
    assert_true(t.poller->fds[second].is_shut);
    arrive(first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(first), "HTTP/1.1 200 OK\r\n");
    assert_int_equal(sl_http_server_stats(t.server)->refused, 1);
}

/* -------- deadlines -------- */

static void timeout_of_idle_connection_closes_it(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.timeout_idle_ms = 1000});
    int fd = connect_client();
    pass(900);
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    forget_sent(fd);
    pass(900);
    assert_false(t.poller->fds[fd].is_shut);
    pass(200);
    assert_true(t.poller->fds[fd].is_shut);
    assert_string_equal(sent(fd), "");
    pass(SL_HTTP_LINGER_MS + 20);
    assert_false(t.poller->fds[fd].is_open);
}

static void timeout_of_head_is_408_however_it_drips(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.timeout_header_ms = 500});
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 6 && t.poller->fds[fd].sent_size == 0; i++) {
        pass(100);
        if (!t.poller->fds[fd].is_shut) arrive(fd, "X: y\r\n");
    }
    assert_has(sent(fd), "HTTP/1.1 408 Request Timeout\r\n");
    assert_true(t.poller->fds[fd].is_shut);
}

static void timeout_of_body_is_408_when_nothing_comes(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.timeout_body_ms = 500});
    int fd = connect_client();
    arrive(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        pass(400);
        arrive(fd, "x");
    }
    assert_string_equal(sent(fd), "");
    pass(600);
    assert_has(sent(fd), "HTTP/1.1 408 Request Timeout\r\n");
    assert_int_equal(t.requests, 0);
}

static void timeout_of_send_resets(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.timeout_send_ms = 500});
    t.poller->hold_sends = true;
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    pass(400);
    assert_true(t.poller->fds[fd].is_open);
    pass(200);
    assert_false(t.poller->fds[fd].is_open);
    assert_int_equal(sl_http_server_stats(t.server)->timeouts, 1);
}

static void timeout_does_not_hit_running_requests(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){
        .timeout_idle_ms = 100, .timeout_header_ms = 100, .timeout_body_ms = 100});
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    pass(1000);
    release(0);
    assert_has(sent(fd), "HTTP/1.1 200 OK\r\n");
    pass(200);
    assert_true(t.poller->fds[fd].is_shut);
}

/* -------- endings -------- */

static void disconnect_cancels_running_requests(void **state)
{
    (void)state;
    serve(NULL);
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    fake_end(t.poller, fd, -ECONNRESET);
    turn();
    assert_int_equal(t.cancels, 2);
    assert_false(t.poller->fds[fd].is_open);
    assert_int_equal(sl_http_server_stats(t.server)->connections, 1);
    release(1);
    release(0);
    assert_int_equal(t.dones, 2);
    assert_int_equal(t.done_status, 0);
    assert_int_equal(sl_http_server_stats(t.server)->connections, 0);
}

static void end_of_stream_after_answer_closes(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    fake_arrive(t.poller, fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 29);
    fake_end(t.poller, fd, 0);
    turn();
    assert_has(sent(fd), "HTTP/1.1 200 OK\r\n");
    assert_int_equal(t.cancels, 0);
    assert_false(t.poller->fds[fd].is_open);
}

static void end_of_stream_inside_body_drops_the_request(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    fake_end(t.poller, fd, 0);
    turn();
    assert_false(t.poller->fds[fd].is_open);
    assert_int_equal(t.requests, 0);
}

static void send_error_closes(void **state)
{
    (void)state;
    serve(NULL);
    t.poller->hold_sends = true;
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fake_send_done(t.poller, fd, -EPIPE);
    turn();
    assert_false(t.poller->fds[fd].is_open);
}

static void drain_finishes_requests_and_closes(void **state)
{
    (void)state;
    serve(NULL);
    int idle = connect_client();
    t.hold = true;
    int busy = connect_client();
    arrive(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    sl_http_server_drain(t.server);
    turn();
    assert_true(t.poller->fds[idle].is_open);
    /* Accepted while draining: it was in the queue. */
    t.hold = false;
    int late = connect_client();
    pass(10);
    arrive(late, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(late), "Connection: close\r\n");
    assert_has(sent(late), "/late");
    pass(40);
    assert_true(t.poller->fds[idle].is_shut);
    assert_null(t.poller->accept);
    assert_false(t.drained);
    release(0);
    assert_has(sent(busy), "Connection: close\r\n");
    fake_end(t.poller, busy, 0);
    fake_end(t.poller, late, 0);
    fake_end(t.poller, idle, 0);
    turn();
    assert_true(t.drained);
}

static void requests_max_closes_after_so_many(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.requests_max = 2});
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has_not(sent(fd), "Connection: close");
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(fd), "Connection: close\r\n");
}

/* -------- memory -------- */

static void memory_after_warm_up_asks_the_system_for_nothing(void **state)
{
    (void)state;
    serve(NULL);
    t.use_answer = true;
    t.answer = json("{\"body\":{\"a\":[1,2,3]},\"status\":201}");
    struct sl_mem_stats warm;
    struct sl_mem_stats after;
    for (int round = 0; round < 50; round++) {
        if (round == 10) sl_mem_stats_get(t.loop.mem, &warm);
        int fd = connect_client();
        arrive(fd, "POST /p?q=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                   "Content-Length: 7\r\n\r\n{\"a\":1}");
        arrive(fd, "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        arrive(fd, "1\r\na\r\n0\r\n\r\n");
        fake_end(t.poller, fd, 0);
        turn();
    }
    sl_mem_stats_get(t.loop.mem, &after);
    assert_int_equal(after.system_calls, warm.system_calls);
    assert_int_equal(after.used, warm.used);
}

static void memory_of_idle_connection_is_small(void **state)
{
    (void)state;
    serve(NULL);
    struct sl_mem_stats none;
    struct sl_mem_stats some;
    sl_mem_stats_get(t.loop.mem, &none);
    for (int i = 0; i < 16; i++) {
        int fd = connect_client();
        arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    sl_mem_stats_get(t.loop.mem, &some);
    uint64_t each = (some.used - none.used) / 16;
    print_message("idle connection: %llu bytes\n", (unsigned long long)each);
    assert_true(each <= 768);
}

static void memory_exhausted_closes_without_a_crash(void **state)
{
    (void)state;
    serve(NULL);
    int first = connect_client();
    arrive(first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    /* Take everything there is, then let requests come. */
    void *blocks[4096];
    size_t count = 0;
    for (size_t size = 1024 * 1024; size >= 32; size /= 2) {
        while (count < 4096 && (blocks[count] = sl_mem_take(t.loop.mem, size)) != NULL) {
            *(size_t *)blocks[count++] = size;
        }
    }
    fake_arrive(t.poller, first, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27);
    turn();
    for (size_t i = 0; i < count; i++) {
        sl_mem_give(t.loop.mem, blocks[i], *(size_t *)blocks[i]);
    }
    turn();
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(fd), "HTTP/1.1 200 OK\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refusals_answer_and_close),
        TEST(refusal_comes_behind_older_answers),
        TEST(bound_server_accepts_when_it_is_told_to),
        TEST(bound_server_that_drains_answers_its_queue),
        TEST(connections_beyond_the_limit_are_told_503),
        TEST(timeout_of_idle_connection_closes_it),
        TEST(timeout_of_head_is_408_however_it_drips),
        TEST(timeout_of_body_is_408_when_nothing_comes),
        TEST(timeout_of_send_resets),
        TEST(timeout_does_not_hit_running_requests),
        TEST(disconnect_cancels_running_requests),
        TEST(end_of_stream_after_answer_closes),
        TEST(end_of_stream_inside_body_drops_the_request),
        TEST(send_error_closes),
        TEST(drain_finishes_requests_and_closes),
        TEST(requests_max_closes_after_so_many),
        TEST(memory_after_warm_up_asks_the_system_for_nothing),
        TEST(memory_of_idle_connection_is_small),
        TEST(memory_exhausted_closes_without_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
