/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client over a poller that the test drives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"
#include "core/shard/loop.h"
#include "io/http/client.h"
#include "tests/io/http/fake_poller.h"

static struct {
    struct sl_clock_manual clock;
    struct fake_poller *poller;
    struct sl_loop loop;
    struct sl_http_client *client;
    struct sl_mem_stats before;
    struct sl_addr addr;
    struct sl_http_exchange exchange;
    char answer[4096]; /* the last one, as JSON */
    uint32_t dones;
    bool closed;
} t;

static void turn(void)
{
    for (int i = 0; i < 5; i++) sl_loop_turn(&t.loop, 0);
}

static void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        sl_clock_manual_advance(&t.clock, 10 * SL_NS_PER_MS);
        sl_loop_turn(&t.loop, 0);
    }
    turn();
}

static void on_done(struct sl_http_exchange *exchange, struct sl_value answer)
{
    struct sl_out out;
    (void)exchange;
    sl_out_init(&out, NULL);
    assert_int_equal(sl_json_write(answer, 0, &out), 0);
    assert_true(out.size < sizeof(t.answer));
    memcpy(t.answer, out.data, out.size);
    t.answer[out.size] = 0;
    sl_out_fini(&out);
    t.dones++;
}

static void on_closed(void *ctx, struct sl_http_client *client)
{
    (void)ctx;
    (void)client;
    t.closed = true;
}

static void begin_with(const struct sl_http_client_config *config)
{
    t.client = sl_http_client_new(&t.loop, config);
    assert_non_null(t.client);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    sl_clock_manual_init(&t.clock, 7);
    t.poller = fake_new(&t.clock.base);
    sl_loop_init(&t.loop, &t.poller->base, &t.clock.base, sl_mem_new(64 * 1024 * 1024));
    sl_mem_stats_get(t.loop.mem, &t.before);
    t.addr.size = 16;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sl_http_client_close(t.client, on_closed, NULL);
    turn();
    if (!t.closed || sl_http_client_stats(t.client)->connections != 0) return -1;
    (void)sl_http_client_free(t.client);
    struct sl_mem_stats after;
    sl_mem_stats_get(t.loop.mem, &after);
    sl_loop_fini(&t.loop);
    if (after.used == t.before.used) return 0;
    fprintf(stderr, "%llu bytes left\n", (unsigned long long)(after.used - t.before.used));
    return -1;
}

static void ask(const char *method)
{
    t.exchange = (struct sl_http_exchange){
        .done = on_done,
        .addr = &t.addr,
        .method = sl_slice_from_str(method),
        .host = SL_SLICE("h:80"),
        .target = SL_SLICE("/x?y"),
    };
    sl_http_client_start(t.client, &t.exchange);
    turn();
}

static int connected(void)
{
    int fd = fake_connected(t.poller);
    turn();
    return fd;
}

static void arrive(int fd, const char *text)
{
    fake_arrive(t.poller, fd, text, strlen(text));
    turn();
}

static const char *sent(int fd)
{
    return (const char *)t.poller->fds[fd].sent;
}

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr(text, part) == NULL) fail_msg("no %s in\n%s", part, text);                      \
    } while (0)

static void start_sends_the_request(void **state)
{
    (void)state;
    begin_with(NULL);
    const struct sl_http_field fields[] = {{SL_SLICE("X-A"), SL_SLICE("1")},
                                           {SL_SLICE("content-length"), SL_SLICE("9")},
                                           {SL_SLICE("Host"), SL_SLICE("evil")},
                                           {SL_SLICE("X-Bad"), SL_SLICE("a\r\nb")}};
    t.exchange = (struct sl_http_exchange){
        .done = on_done,
        .addr = &t.addr,
        .method = SL_SLICE("POST"),
        .host = SL_SLICE("h"),
        .fields = fields,
        .fields_count = 4,
        .content_type = SL_SLICE("text/plain"),
        .body = SL_SLICE("hello"),
    };
    sl_http_client_start(t.client, &t.exchange);
    int fd = connected();
    assert_string_equal(sent(fd), "POST / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n"
                                  "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    arrive(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(t.answer, "{\"status\":201,\"protocol\":\"HTTP/1.1\","
                                  "\"header\":{\"Content-Length\":[\"0\"]}}");
}

static void answer_at_every_split_is_the_same(void **state)
{
    (void)state;
    begin_with(NULL);
    static const struct {
        const char *method;
        const char *response;
        const char *expected;
        bool is_kept;
        bool needs_end;
    } rows[] = {
        {"GET",
         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
         "\"body\":{\"a\":1}", true, false},
        {"GET",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
         "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
         "\"body\":\"abc\"", true, false},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "\"status\":200", true, false},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "\"status\":204", true, false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
         "\"body\":\"eA==\"", false, false},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Type: text/x\r\n\r\nuntil", "\"body\":\"until\"", false,
         true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t size = strlen(rows[i].response);
        for (size_t cut = 1; cut <= size; cut++) {
            uint32_t dones = t.dones;
            ask(rows[i].method);
            int fd = t.poller->connect != NULL ? connected() : t.poller->last_fd;
            fake_arrive(t.poller, fd, rows[i].response, cut);
            turn();
            if (cut < size) {
                fake_arrive(t.poller, fd, rows[i].response + cut, size - cut);
                turn();
            }
            if (rows[i].needs_end) {
                assert_int_equal(t.dones, dones);
                fake_end(t.poller, fd, 0);
                turn();
            }
            assert_int_equal(t.dones, dones + 1);
            assert_has(t.answer, rows[i].expected);
            assert_int_equal(t.poller->fds[fd].is_open, rows[i].is_kept);
        }
    }
}

static void failures_are_errors(void **state)
{
    (void)state;
    begin_with(&(struct sl_http_client_config){.head_size_max = 256, .body_size_max = 8});
    static const struct {
        const char *response; /* then the end of the stream */
        const char *code;
    } rows[] = {
        {"nonsense\r\n", "bad_response"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad_response"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "bad_response"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "bad_response"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "body_too_large"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789", "body_too_large"},
        {"HTTP/1.1 200 OK\r\n\r\n123456789", "body_too_large"},
        {"", "bad_response"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask("GET");
        int fd = connected();
        if (rows[i].response[0] != 0) arrive(fd, rows[i].response);
        if (t.poller->fds[fd].recv != NULL) fake_end(t.poller, fd, 0);
        turn();
        assert_int_equal(t.dones, i + 1);
        assert_has(t.answer, rows[i].code);
        assert_false(t.poller->fds[fd].is_open);
    }
    ask("GET");
    fake_post(t.poller, t.poller->connect, -ECONNREFUSED, 0, NULL, 0);
    turn();
    assert_has(t.answer, "connect_failed");
    assert_int_equal(sl_http_client_stats(t.client)->failed, t.dones);
}

static void timeouts_are_errors(void **state)
{
    (void)state;
    begin_with(&(struct sl_http_client_config){.timeout_connect_ms = 200});
    ask("GET");
    pass(300);
    assert_has(t.answer, "\"code\":\"timeout\"");
    t.exchange.deadline_ns = t.loop.now_ns + 500 * SL_NS_PER_MS;
    sl_http_client_start(t.client, &t.exchange);
    turn();
    int fd = connected();
    pass(400);
    assert_int_equal(t.dones, 1);
    pass(200);
    assert_int_equal(t.dones, 2);
    assert_has(t.answer, "\"code\":\"timeout\"");
    assert_false(t.poller->fds[fd].is_open);
}

static void kept_connection_is_used_again_until_idle_for_long(void **state)
{
    (void)state;
    begin_with(&(struct sl_http_client_config){.timeout_idle_ms = 1000});
    ask("GET");
    int fd = connected();
    for (int i = 0; i < 3; i++) {
        arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_int_equal(sl_http_client_stats(t.client)->kept, 1);
        pass(500);
        ask("GET");
        assert_int_equal(sl_http_client_stats(t.client)->kept, 0);
    }
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.poller->connects, 1);
    pass(1100);
    assert_false(t.poller->fds[fd].is_open);
    /* Another address has connections of its own. */
    ask("GET");
    fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct sl_addr other = t.addr;
    ((uint8_t *)&other.storage)[3] = 1;
    t.exchange.addr = &other;
    sl_http_client_start(t.client, &t.exchange);
    assert_int_equal(t.poller->connects, 3);
    arrive(connected(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void kept_connection_closed_by_server_is_dropped(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    int fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    fake_end(t.poller, fd, 0);
    turn();
    assert_false(t.poller->fds[fd].is_open);
    /* One that says more than was asked is not trusted either. */
    ask("GET");
    fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_int_equal(t.dones, 2);
    assert_false(t.poller->fds[fd].is_open);
}

static void request_lost_on_kept_connection_is_sent_again_if_idempotent(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    int fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    ask("GET");
    fake_end(t.poller, fd, -ECONNRESET);
    turn();
    assert_int_equal(t.dones, 1);
    fd = connected();
    arrive(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    assert_has(t.answer, "\"status\":202");
    assert_int_equal(sl_http_client_stats(t.client)->retried, 1);
    ask("POST");
    fake_end(t.poller, fd, 0);
    turn();
    assert_int_equal(t.dones, 3);
    assert_has(t.answer, "bad_response");
}

static void cancel_ends_without_done(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    sl_http_client_cancel(t.client, &t.exchange);
    turn();
    ask("GET");
    int fd = connected();
    sl_http_client_cancel(t.client, &t.exchange);
    turn();
    assert_false(t.poller->fds[fd].is_open);
    assert_int_equal(t.dones, 0);
}

static void connections_beyond_the_limit_are_overload(void **state)
{
    (void)state;
    begin_with(&(struct sl_http_client_config){.connections_max = 1});
    ask("GET");
    struct sl_http_exchange second = t.exchange;
    sl_http_client_start(t.client, &second);
    assert_int_equal(t.dones, 0);
    turn();
    assert_has(t.answer, "\"code\":\"overload\"");
    arrive(connected(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_sends_the_request),
        TEST(answer_at_every_split_is_the_same),
        TEST(failures_are_errors),
        TEST(timeouts_are_errors),
        TEST(kept_connection_is_used_again_until_idle_for_long),
        TEST(kept_connection_closed_by_server_is_dropped),
        TEST(request_lost_on_kept_connection_is_sent_again_if_idempotent),
        TEST(cancel_ends_without_done),
        TEST(connections_beyond_the_limit_are_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
