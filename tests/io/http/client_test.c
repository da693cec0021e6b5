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
    struct sl_http_target target;
    struct sl_mem_stats before;
    struct sl_addr addrs[2];
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

static void begin_with(const struct sl_http_target_config *config)
{
    t.client = sl_http_client_new(&t.loop);
    assert_non_null(t.client);
    sl_http_target_init(&t.target, t.client, "http://h", config);
    sl_http_target_addrs_set(&t.target, t.addrs, 1);
}

/* The defaults but for what the body sets. */
static struct sl_http_target_config config_with(uint32_t kept_max, uint32_t retries_max)
{
    struct sl_http_target_config config = sl_http_target_defaults;
    config.kept_max = kept_max;
    config.retries_max = retries_max;
    return config;
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    sl_clock_manual_init(&t.clock, 7);
    t.poller = fake_new(&t.clock.base);
    sl_loop_init(&t.loop, &t.poller->base, &t.clock.base, sl_mem_new(64 * 1024 * 1024));
    sl_mem_stats_get(t.loop.mem, &t.before);
    t.addrs[0].size = 16;
    t.addrs[1].size = 16;
    ((uint8_t *)&t.addrs[1].storage)[3] = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sl_http_target_fini(&t.target);
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

/* A value from JSON text. */
static struct sl_value value_of(const char *text)
{
    struct sl_value value;
    struct sl_diag diag;
    assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, t.loop.mem, 0, &value, &diag), 0);
    return value;
}

static int write_with(struct sl_http_exchange *exchange, const struct sl_http_request_base *base,
                      struct sl_value payload)
{
    const char *reason = NULL;
    *exchange = (struct sl_http_exchange){.done = on_done, .target = &t.target};
    int err = sl_http_request_write(t.client, base, payload, exchange, &reason);
    assert_int_equal(err == -EINVAL, reason != NULL);
    return err;
}

static const struct sl_http_request_base plain_base = {
    .host = {(const uint8_t *)"h:80", 4},
    .path = {(const uint8_t *)"/x", 2},
    .query = {(const uint8_t *)"y", 1},
};

static void prepare(struct sl_http_exchange *exchange, const char *method)
{
    struct sl_http_request_base base = plain_base;
    base.method = sl_slice_from_str(method);
    assert_int_equal(write_with(exchange, &base, sl_value_none()), 0);
}

static void ask(const char *method)
{
    prepare(&t.exchange, method);
    sl_http_exchange_start(&t.exchange);
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

/* What goes out for a payload in JSON, or the error. */
static int wire(const struct sl_http_request_base *base, const char *json, char *ret_text,
                size_t text_size)
{
    struct sl_http_exchange exchange;
    struct sl_value payload = json != NULL ? value_of(json) : sl_value_none();
    int err = write_with(&exchange, base, payload);
    sl_value_unref(payload);
    ret_text[0] = 0;
    if (err < 0) return err;
    struct sl_slice head = sl_value_slice(exchange.head);
    assert_true(head.size < text_size);
    memcpy(ret_text, head.data, head.size);
    ret_text[head.size] = 0;
    sl_http_request_drop(&exchange);
    return 0;
}

static void start_sends_the_request(void **state)
{
    (void)state;
    begin_with(NULL);
    struct sl_http_request_base base = plain_base;
    struct sl_value payload = value_of("{\"method\":\"POST\",\"body\":\"hello\"}");
    assert_int_equal(write_with(&t.exchange, &base, payload), 0);
    sl_value_unref(payload);
    sl_http_exchange_start(&t.exchange);
    int fd = connected();
    assert_string_equal(sent(fd), "POST /x?y HTTP/1.1\r\nHost: h:80\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Length: 5\r\n\r\nhello");
    arrive(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(t.answer, "{\"status\":201,\"protocol\":\"HTTP/1.1\","
                                  "\"header\":{\"Content-Length\":[\"0\"]}}");
}

static void write_of_payloads_is_the_request_they_mean(void **state)
{
    (void)state;
    begin_with(NULL);
    static const struct {
        const char *json; /* NULL: none */
        const char *expected;
    } rows[] = {
        {NULL, "GET /x?y HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"null", "GET /x?y HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"7", "POST /x?y HTTP/1.1\r\nHost: h:80\r\nContent-Type: application/json\r\n"
              "Content-Length: 1\r\n\r\n7"},
        /* A key that no payload has: the map is the body. */
        {"{\"body\":1,\"x\":2}", "POST /x?y HTTP/1.1\r\nHost: h:80\r\n"
                                 "Content-Type: application/json\r\nContent-Length: 16\r\n\r\n"
                                 "{\"body\":1,\"x\":2}"},
        {"{\"status\":200}", "POST /x?y HTTP/1.1\r\nHost: h:80\r\n"
                             "Content-Type: application/json\r\nContent-Length: 14\r\n\r\n"
                             "{\"status\":200}"},
        {"{\"path\":\"/a b/%/\u00e9\",\"query\":{\"q\":[\"1 2\",\"&\"],\"z\":\"\"}}",
         "GET /x/a%20b/%25/%C3%A9?y&q=1+2&q=%26&z= HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"{\"path\":\"a\",\"query\":\"b=%20\"}", "GET /x/a?y&b=%20 HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"{\"path\":\"/\"}", "GET /x?y HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"{\"method\":\"PUT\"}", "PUT /x?y HTTP/1.1\r\nHost: h:80\r\nContent-Length: 0\r\n\r\n"},
        {"{\"method\":\"DELETE\",\"body\":null}", "DELETE /x?y HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        /* What frames, what is of the connection, and what could break out. */
        {"{\"header\":{\"Host\":\"evil\",\"Content-Length\":\"9\",\"Transfer-Encoding\":"
         "\"chunked\","
         "\"connection\":\"X-Hop, close\",\"X-Hop\":\"1\",\"Upgrade\":\"h2c\",\"TE\":\"trailers\","
         "\"Expect\":\"100-continue\",\"Keep-Alive\":\"5\",\"X-Good\":[\"1\",2,true,null]}}",
         "GET /x?y HTTP/1.1\r\nHost: h:80\r\nX-Good: 1\r\nX-Good: 2\r\nX-Good: true\r\n\r\n"},
        {"{\"header\":{\"content-type\":\"application/x-www-form-urlencoded\"},"
         "\"body\":{\"a\":[1,\"b c\"]}}",
         "POST /x?y HTTP/1.1\r\nHost: h:80\r\ncontent-type: application/x-www-form-urlencoded\r\n"
         "Content-Length: 9\r\n\r\na=1&a=b+c"},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(wire(&plain_base, rows[i].json, text, sizeof(text)), 0);
        assert_string_equal(text, rows[i].expected);
    }
}

static void write_of_wrong_payloads_is_refused(void **state)
{
    (void)state;
    begin_with(NULL);
    static const char *const rows[] = {
        "{\"method\":\"A B\"}",
        "{\"method\":\"CONNECT\"}",
        "{\"method\":\"GET\\r\\nX\"}",
        "{\"path\":\"/a/../../b\"}",
        "{\"path\":\"..\"}",
        "{\"path\":7}",
        "{\"query\":\"a b\"}",
        "{\"query\":\"a\\r\\nb\"}",
        "{\"query\":7}",
        "{\"header\":[\"a\"]}",
        "{\"header\":{\"X A\":\"1\"}}",
        "{\"header\":{\"X\":\"a\\r\\nb\"}}",
        "{\"header\":{\"X\":{}}}",
    };
    char text[1024];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(wire(&plain_base, rows[i], text, sizeof(text)), -EINVAL);
    }
    static char large[2 * SL_HTTP_CLIENT_HEAD_SIZE_MAX];
    int size = snprintf(large, sizeof(large), "{\"header\":{\"X\":\"");
    memset(large + size, 'a', SL_HTTP_CLIENT_HEAD_SIZE_MAX);
    (void)snprintf(large + size + SL_HTTP_CLIENT_HEAD_SIZE_MAX, 8, "\"}}");
    assert_int_equal(wire(&plain_base, large, text, sizeof(text)), -E2BIG);
}

static void write_prefers_the_specification_then_the_trace(void **state)
{
    (void)state;
    begin_with(NULL);
    const struct sl_http_field extra[] = {{SL_SLICE("Traceparent"), SL_SLICE("in")},
                                          {SL_SLICE("Tracestate"), SL_SLICE("state")}};
    struct sl_http_request_base base = plain_base;
    base.method = SL_SLICE("PATCH");
    base.path = SL_SLICE("/v1/");
    base.query = (struct sl_slice){NULL, 0};
    base.header = value_of("{\"x-a\":\"spec\",\"Accept\":\"x/y\"}");
    base.extra = extra;
    base.extra_count = 2;
    char text[1024];
    assert_int_equal(wire(&base,
                          "{\"method\":\"GET\",\"path\":\"/u\",\"query\":{},\"header\":{"
                          "\"X-A\":\"payload\",\"traceparent\":[\"own\"],\"X-B\":\"b\"}}",
                          text, sizeof(text)),
                     0);
    assert_string_equal(text, "PATCH /v1/u HTTP/1.1\r\nHost: h:80\r\nx-a: spec\r\nAccept: x/y\r\n"
                              "Traceparent: in\r\nTracestate: state\r\nX-B: b\r\n"
                              "Content-Length: 0\r\n\r\n");
    assert_int_equal(wire(&base, NULL, text, sizeof(text)), 0);
    assert_has(text, "PATCH /v1/ HTTP/1.1\r\n");
    assert_has(text, "Traceparent: in\r\nTracestate: state\r\n");
    sl_value_unref(base.header);
}

/* A request that came in is passed on with the bytes of its body, decoded by nobody. */
static void write_of_a_request_passes_its_body_on(void **state)
{
    (void)state;
    begin_with(NULL);
    struct sl_value payload;
    struct sl_http_request_base base = plain_base;
    assert_int_equal(
        sl_http_payload_build(t.loop.mem,
                              SL_SLICE("POST /p%41th?a=b%20c HTTP/1.1\r\nHost: me\r\n"
                                       "Content-Type: application/json\r\nX-Id: 7\r\n"
                                       "Connection: keep-alive\r\nContent-Length: 15\r\n\r\n"
                                       "{ \"a\":1, \"a\":2}"),
                              SL_SLICE("1.2.3.4"), &payload),
        0);
    assert_int_equal(write_with(&t.exchange, &base, payload), 0);
    struct sl_slice head = sl_value_slice(t.exchange.head);
    const char expected[] = "POST /x/pAth?y&a=b+c HTTP/1.1\r\nHost: h:80\r\n"
                            "Content-Type: application/json\r\nX-Id: 7\r\n"
                            "Content-Length: 15\r\n\r\n{ \"a\":1, \"a\":2}";
    assert_int_equal(head.size, sizeof(expected) - 1);
    assert_memory_equal(head.data, expected, head.size);
    sl_http_request_drop(&t.exchange);
    /* With another type it is written anew. */
    base.header = value_of("{\"Content-Type\":\"application/x-www-form-urlencoded\"}");
    assert_int_equal(write_with(&t.exchange, &base, payload), 0);
    head = sl_value_slice(t.exchange.head);
    assert_memory_equal(head.data + head.size - 7, "\r\n\r\na=2", 7);
    sl_http_request_drop(&t.exchange);
    sl_value_unref(base.header);
    sl_value_unref(payload);
}

static void large_body_is_sent_from_where_it_is(void **state)
{
    (void)state;
    begin_with(NULL);
    static char json[100 * 1024];
    size_t size = sizeof(json) - 3;
    json[0] = '"';
    memset(json + 1, 'b', size);
    json[size + 1] = '"';
    struct sl_value payload = value_of(json);
    assert_int_equal(write_with(&t.exchange, &plain_base, payload), 0);
    sl_value_unref(payload);
    assert_true(sl_value_slice(t.exchange.head).size < 256);
    assert_int_equal(sl_value_slice(t.exchange.body).size, size);
    t.poller->hold_sends = true;
    sl_http_exchange_start(&t.exchange);
    int fd = connected();
    /* The exchange may end before the send does: the bytes stay. */
    arrive(fd, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_has(t.answer, "\"status\":413");
    assert_true(t.poller->fds[fd].sent_size > size);
    assert_false(t.poller->fds[fd].is_open);
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
    struct sl_http_target_config config = config_with(4, 0);
    config.head_size_max = 256;
    config.body_size_max = 8;
    begin_with(&config);
    static const struct {
        const char *response; /* then the end of the stream */
        const char *code;
    } rows[] = {
        {"nonsense\r\n", "http_protocol"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "http_protocol"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "http_protocol"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "http_protocol"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "http_body_too_large"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789",
         "http_body_too_large"},
        {"HTTP/1.1 200 OK\r\n\r\n123456789", "http_body_too_large"},
        {"", "http_protocol"},
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
    assert_has(t.answer, "http_connect");
    assert_int_equal(sl_http_client_stats(t.client)->failed, t.dones);
}

static void timeouts_are_errors(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(4, 0);
    config.timeout_connect_ms = 200;
    begin_with(&config);
    ask("GET");
    pass(300);
    assert_has(t.answer, "\"code\":\"http_connect\"");
    prepare(&t.exchange, "GET");
    t.exchange.deadline_ns = t.loop.now_ns + 500 * SL_NS_PER_MS;
    sl_http_exchange_start(&t.exchange);
    turn();
    int fd = connected();
    pass(400);
    assert_int_equal(t.dones, 1);
    pass(200);
    assert_int_equal(t.dones, 2);
    assert_has(t.answer, "\"code\":\"http_timeout\"");
    assert_false(t.poller->fds[fd].is_open);
}

static void kept_connection_is_used_again_until_idle_for_long(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(4, 0);
    config.timeout_idle_ms = 1000;
    begin_with(&config);
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
    assert_int_equal(sl_http_client_stats(t.client)->kept, 0);
}

static void kept_connection_to_an_address_that_is_gone_is_closed(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    int fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    sl_http_target_addrs_set(&t.target, t.addrs, 2);
    turn();
    assert_true(t.poller->fds[fd].is_open);
    sl_http_target_addrs_set(&t.target, t.addrs + 1, 1);
    turn();
    assert_false(t.poller->fds[fd].is_open);
}

static void next_address_is_tried_where_one_refuses(void **state)
{
    (void)state;
    begin_with(NULL);
    sl_http_target_addrs_set(&t.target, t.addrs, 2);
    ask("POST");
    fake_post(t.poller, t.poller->connect, -ECONNREFUSED, 0, NULL, 0);
    turn();
    assert_int_equal(t.dones, 0);
    arrive(connected(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 1);
    /* The one that answered is asked first now; then all are tried once. */
    ask("GET");
    fake_post(t.poller, t.poller->connect, -ECONNREFUSED, 0, NULL, 0);
    turn();
    fake_post(t.poller, t.poller->connect, -EHOSTUNREACH, 0, NULL, 0);
    turn();
    assert_int_equal(t.dones, 2);
    assert_has(t.answer, "\"code\":\"http_connect\"");
    assert_int_equal(t.poller->connects, 4);
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
    assert_has(t.answer, "http_protocol");
}

static void cancel_ends_without_done(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    sl_http_exchange_cancel(&t.exchange);
    turn();
    ask("GET");
    int fd = connected();
    sl_http_exchange_cancel(&t.exchange);
    turn();
    assert_false(t.poller->fds[fd].is_open);
    assert_int_equal(t.dones, 0);
}

static void exchanges_beyond_the_connections_wait_their_turn(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(1, 0);
    config.connections_max = 1;
    config.waiting_max = 3;
    begin_with(&config);
    struct sl_http_exchange more[4];
    ask("GET");
    for (int i = 0; i < 4; i++) {
        prepare(&more[i], "GET");
        more[i].deadline_ns = t.loop.now_ns + (i == 2 ? 100 : 10000) * SL_NS_PER_MS;
        sl_http_exchange_start(&more[i]);
    }
    assert_int_equal(t.dones, 0);
    turn();
    assert_int_equal(t.dones, 1);
    assert_has(t.answer, "\"code\":\"overload\"");
    int fd = connected();
    pass(200);
    assert_int_equal(t.dones, 2);
    assert_has(t.answer, "\"code\":\"http_timeout\"");
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 3);
    assert_int_equal(t.poller->connects, 1);
    /* The second goes over the same connection; the third over a new one where it closes. */
    arrive(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 4);
    arrive(connected(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 5);
    assert_int_equal(sl_http_client_stats(t.client)->waited, 3);
}

static void waiting_exchange_that_is_cancelled_is_forgotten(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(1, 0);
    config.connections_max = 1;
    begin_with(&config);
    struct sl_http_exchange second;
    ask("GET");
    prepare(&second, "GET");
    sl_http_exchange_start(&second);
    sl_http_exchange_cancel(&second);
    int fd = connected();
    arrive(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(t.dones, 1);
    assert_int_equal(sl_http_client_stats(t.client)->kept, 1);
}

static void request_without_a_byte_of_answer_is_retried_as_often_as_allowed(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(4, 2);
    begin_with(&config);
    ask("GET");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.dones, 0);
        fake_end(t.poller, connected(), -ECONNRESET);
        turn();
    }
    assert_int_equal(t.dones, 1);
    assert_has(t.answer, "\"code\":\"http_protocol\"");
    assert_int_equal(t.poller->connects, 3);
    /* One byte, and it may have been done. */
    ask("GET");
    int fd = connected();
    arrive(fd, "H");
    fake_end(t.poller, fd, -ECONNRESET);
    turn();
    assert_int_equal(t.dones, 2);
}

static void fields_of_the_connection_are_no_part_of_the_answer(void **state)
{
    (void)state;
    begin_with(NULL);
    ask("GET");
    arrive(connected(), "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 9\r\n"
                        "Transfer-Encoding: chunked\r\nTrailer: X-T\r\nX-End: 2\r\n\r\n"
                        "0\r\nX-T: 1\r\n\r\n");
    assert_string_equal(t.answer, "{\"status\":200,\"protocol\":\"HTTP/1.1\","
                                  "\"header\":{\"X-End\":[\"2\"]}}");
}

static void interim_answers_are_skipped_but_not_for_ever(void **state)
{
    (void)state;
    struct sl_http_target_config config = config_with(4, 0);
    begin_with(&config);
    ask("GET");
    int fd = connected();
    for (int i = 0; i < SL_HTTP_CLIENT_INTERIMS_MAX; i++) {
        arrive(fd, i % 2 ? "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                         : "HTTP/1.1 100 Continue\r\n\r\n");
    }
    assert_int_equal(t.dones, 0);
    arrive(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_has(t.answer, "\"code\":\"http_protocol\"");
    ask("GET");
    arrive(connected(), "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                        "Upgrade: x\r\n\r\n");
    assert_has(t.answer, "switched protocols");
    assert_int_equal(t.dones, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_sends_the_request),
        TEST(write_of_payloads_is_the_request_they_mean),
        TEST(write_of_wrong_payloads_is_refused),
        TEST(write_prefers_the_specification_then_the_trace),
        TEST(write_of_a_request_passes_its_body_on),
        TEST(large_body_is_sent_from_where_it_is),
        TEST(answer_at_every_split_is_the_same),
        TEST(failures_are_errors),
        TEST(timeouts_are_errors),
        TEST(kept_connection_is_used_again_until_idle_for_long),
        TEST(kept_connection_closed_by_server_is_dropped),
        TEST(request_lost_on_kept_connection_is_sent_again_if_idempotent),
        TEST(cancel_ends_without_done),
        TEST(kept_connection_to_an_address_that_is_gone_is_closed),
        TEST(next_address_is_tried_where_one_refuses),
        TEST(exchanges_beyond_the_connections_wait_their_turn),
        TEST(waiting_exchange_that_is_cancelled_is_forgotten),
        TEST(request_without_a_byte_of_answer_is_retried_as_often_as_allowed),
        TEST(fields_of_the_connection_are_no_part_of_the_answer),
        TEST(interim_answers_are_skipped_but_not_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
