/* SPDX-License-Identifier: MIT */
/*
 * Connections of the HTTP server over a poller that the test drives: requests and their payloads,
 * answers, order, limits, deadlines, endings. Every test ends with nothing left in memory.
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
#include "io/http/http.h"
#include "tests/io/http/fake_poller.h"

enum { HELD_MAX = 128 };

/* What all tests share; set up anew for each. */
static struct {
    struct sl_clock_manual clock;
    struct fake_poller *poller;
    struct sl_loop loop;
    struct sl_http_server *server;
    struct sl_mem_stats before;
    bool hold; /* requests are kept instead of answered */
    struct sl_http_request *held[HELD_MAX];
    uint32_t held_count;
    struct sl_value answer; /* what requests get; none: 204 */
    bool use_answer;
    char payload[16384]; /* the last one, as JSON */
    char id[160];
    uint32_t requests;
    uint32_t cancels;
    uint32_t dones;
    int done_status;
    uint32_t writables;
    bool drained;
} t;

static void remember(struct sl_http_request *request)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    assert_int_equal(sl_json_write(request->payload, 0, &out), 0);
    assert_true(out.size < sizeof(t.payload));
    memcpy(t.payload, out.data, out.size);
    t.payload[out.size] = 0;
    sl_out_fini(&out);
    struct sl_slice id = sl_http_request_id(request);
    snprintf(t.id, sizeof(t.id), "%.*s", SL_SLICE_FMT(id));
}

static void answer(struct sl_http_request *request)
{
    if (t.use_answer) {
        sl_http_respond(request, t.answer);
    } else {
        sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"),
                              sl_http_request_path(request));
    }
}

static void on_request(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    t.requests++;
    remember(request);
    if (!t.hold) {
        answer(request);
        return;
    }
    assert_true(t.held_count < HELD_MAX);
    t.held[t.held_count++] = request;
}

static void on_cancel(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    assert_true(request->cancelled);
    t.cancels++;
}

static void on_done(void *ctx, struct sl_http_request *request, int status, uint64_t bytes)
{
    (void)ctx;
    (void)request;
    (void)bytes;
    t.dones++;
    t.done_status = status;
}

static void on_writable(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    (void)request;
    t.writables++;
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    (void)ctx;
    assert_ptr_equal(server, t.server);
    t.drained = true;
}

static const struct sl_http_handler handler = {
    .request = on_request,
    .cancel = on_cancel,
    .done = on_done,
    .writable = on_writable,
    .drained = on_drained,
};

static void turn(void)
{
    for (int i = 0; i < 4; i++) sl_loop_turn(&t.loop, 0);
}

static void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        sl_clock_manual_advance(&t.clock, 10 * SL_NS_PER_MS);
        sl_loop_turn(&t.loop, 0);
    }
    turn();
}

static void serve(const struct sl_http_server_config *config)
{
    struct sl_addr addr = {.size = 0};
    t.server = sl_http_server_new(&t.loop, config, &handler, NULL);
    assert_non_null(t.server);
    assert_int_equal(sl_http_server_listen(t.server, &addr, true), FAKE_LISTENER);
    turn();
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    sl_clock_manual_init(&t.clock, 7);
    t.clock.wall_ns = INT64_C(784111777) * 1000000000;
    t.poller = fake_new(&t.clock.base);
    sl_loop_init(&t.loop, &t.poller->base, &t.clock.base, sl_mem_new(64 * 1024 * 1024));
    sl_mem_stats_get(t.loop.mem, &t.before);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (t.answer.cell != NULL) sl_value_unref(t.answer);
    sl_http_server_abort(t.server);
    turn();
    for (uint32_t i = 0; i < t.held_count; i++) {
        if (t.held[i] != NULL) sl_http_respond(t.held[i], sl_value_none());
    }
    turn();
    if (!t.drained) return -1;
    const struct sl_http_server_stats *stats = sl_http_server_stats(t.server);
    if (stats->connections != 0 || stats->in_flight != 0 || stats->idle != 0) return -1;
    (void)sl_http_server_free(t.server);
    struct sl_mem_stats after;
    sl_mem_stats_get(t.loop.mem, &after);
    sl_loop_fini(&t.loop);
    if (after.used == t.before.used) return 0;
    fprintf(stderr, "%llu bytes left\n", (unsigned long long)(after.used - t.before.used));
    return -1;
}

static void arrive(int fd, const char *text)
{
    fake_arrive(t.poller, fd, text, strlen(text));
    turn();
}

static int connect_client(void)
{
    int fd = fake_connect(t.poller);
    turn();
    return fd;
}

static const char *sent(int fd)
{
    return t.poller->fds[fd].sent != NULL ? (const char *)t.poller->fds[fd].sent : "";
}

static void forget_sent(int fd)
{
    t.poller->fds[fd].sent_size = 0;
    if (t.poller->fds[fd].sent != NULL) t.poller->fds[fd].sent[0] = 0;
}

/* The held request number `index` gets its answer. */
static void release(uint32_t index)
{
    struct sl_http_request *request = t.held[index];
    t.held[index] = NULL;
    answer(request);
    turn();
}

static struct sl_value json(const char *text)
{
    struct sl_value value;
    assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, t.loop.mem, 0, &value, NULL), 0);
    return value;
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define OK   "HTTP/1.1 200 OK\r\n" DATE

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr(text, part) == NULL) fail_msg("no %s in\n%s", part, text);                      \
    } while (0)

#define assert_has_not(text, part)                                                                 \
    do {                                                                                           \
        if (strstr(text, part) != NULL) fail_msg("%s in\n%s", part, text);                         \
    } while (0)

/* -------- requests -------- */

static void request_get_has_payload_and_gets_answer(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd,
           "GET /a%20b/../c?x=1&y=%41+b&x=2 HTTP/1.1\r\nHost: h:80\r\nx-a: 1\r\nX-A: 2\r\n\r\n");
    assert_string_equal(t.payload,
                        "{\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"h:80\",\"path\":\"/c\","
                        "\"query\":{\"x\":[\"1\",\"2\"],\"y\":[\"A b\"]},\"protocol\":\"HTTP/1.1\","
                        "\"header\":{\"Host\":[\"h:80\"],\"X-A\":[\"1\",\"2\"]},\"status\":0,"
                        "\"remote\":\"127.0.0.1\"}");
    assert_string_equal(sent(fd), OK "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n/c");
    assert_int_equal(t.dones, 1);
    assert_int_equal(t.done_status, 200);
    assert_int_equal(strlen(t.id), 36);
}

static void request_at_every_split_gets_the_same_answer(void **state)
{
    (void)state;
    serve(NULL);
    static const char text[] =
        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        "{\"a\":1}GET /q HTTP/1.1\r\nHost: h\r\n\r\nPOST /r HTTP/1.1\r\nHost: h\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n";
    static const char expected[] = OK "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n/p" OK
                                      "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n/q" OK
                                      "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n/r";
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        int fd = connect_client();
        uint32_t before = t.requests;
        if (cut > 0) {
            fake_arrive(t.poller, fd, text, cut);
            turn();
        }
        if (cut < sizeof(text) - 1) {
            fake_arrive(t.poller, fd, text + cut, sizeof(text) - 1 - cut);
            turn();
        }
        assert_int_equal(t.requests - before, 3);
        assert_string_equal(sent(fd), expected);
        assert_has(t.payload, "\"body\":\"eHl6\"");
        fake_end(t.poller, fd, 0);
        turn();
        assert_false(t.poller->fds[fd].is_open);
    }
    int fd = connect_client();
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        fake_arrive(t.poller, fd, text + i, 1);
        turn();
    }
    assert_string_equal(sent(fd), expected);
}

static void request_bodies_are_decoded_by_type(void **state)
{
    (void)state;
    serve(NULL);
    static const struct {
        const char *type;
        const char *body;
        const char *expected;
    } rows[] = {
        {"Content-Type: application/json; charset=utf-8\r\n", "{\"a\":[1,\"b\"]}",
         "\"body\":{\"a\":[1,\"b\"]}"},
        {"Content-Type: application/problem+json\r\n", "null", "\"body\":null"},
        {"Content-Type: application/x-www-form-urlencoded\r\n", "a=1&b=%20&a=2",
         "\"body\":{\"a\":[\"1\",\"2\"],\"b\":[\" \"]}"},
        {"Content-Type: text/plain\r\n", "hi there", "\"body\":\"hi there\""},
        {"Content-Type: application/zip\r\n", "\x01\x02", "\"body\":\"AQI=\""},
        {"", "\x01\x02", "\"body\":\"AQI=\""},
        {"Content-Encoding: gzip\r\nContent-Type: application/json\r\n", "{}", "\"body\":\"e30=\""},
        {"Content-Type: application/json\r\n",
         "{\"a\":", "\"body\":{\"error\":{\"code\":\"bad_body\""},
        {"Content-Type: multipart/form-data; boundary=\"b1\"\r\n",
         "--b1\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\none\r\n--b1\r\n"
         "Content-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n"
         "content-type: text/plain\r\n\r\ndata\r\n--b1--\r\n",
         "\"body\":{\"values\":{\"v\":[\"one\"]},\"files\":{\"f\":[{\"filename\":\"x.txt\","
         "\"header\":{\"Content-Disposition\":[\"form-data; name=\\\"f\\\"; "
         "filename=\\\"x.txt\\\"\"],\"Content-Type\":[\"text/plain\"]},\"size\":4,"
         "\"data\":\"ZGF0YQ==\"}]}}"},
        {"Content-Type: multipart/form-data\r\n", "--b1--", "\"code\":\"bad_body\""},
        {"Content-Type: multipart/form-data; boundary=b1\r\n", "--b1\r\nx",
         "\"code\":\"bad_body\""},
    };
    int fd = connect_client();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 "POST / HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s", rows[i].type,
                 strlen(rows[i].body), rows[i].body);
        arrive(fd, text);
        assert_has(t.payload, rows[i].expected);
    }
    assert_int_equal(t.requests, sizeof(rows) / sizeof(rows[0]));
}

static void request_with_bad_body_has_the_chained_message(void **state)
{
    (void)state;
    serve(NULL);
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
               "Content-Length: 1\r\n\r\n{");
    struct sl_value body = sl_value_get_str(t.held[0]->payload, "body");
    assert_int_equal(sl_value_kind(body), SL_VALUE_ERROR);
    assert_true(sl_error_has_message(body, SL_SLICE("unsupported value")));
    t.use_answer = true;
    t.answer = sl_value_ref(body);
    release(0);
    assert_has(sent(fd), "HTTP/1.1 400 Bad Request\r\n");
    assert_has(sent(fd), "\r\n\r\nBad Request\n");
}

static void request_payload_outlives_its_request_and_connection(void **state)
{
    (void)state;
    serve(NULL);
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "POST /x?a=b HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
               "Content-Length: 27\r\n\r\n{\"k\":\"a string of letters\"}");
    struct sl_value payload = sl_value_ref(t.held[0]->payload);
    struct sl_value part = sl_value_ref(sl_value_get_str(sl_value_get_str(payload, "body"), "k"));
    release(0);
    fake_end(t.poller, fd, -ECONNRESET);
    turn();
    assert_false(t.poller->fds[fd].is_open);
    assert_memory_equal(sl_value_slice(sl_value_get_str(payload, "path")).data, "/x", 2);
    sl_value_unref(payload);
    assert_memory_equal(sl_value_slice(part).data, "a string of letters", 19);
    sl_value_unref(part);
}

static void request_behind_trusted_proxy_has_the_clients_address(void **state)
{
    (void)state;
    struct sl_http_network networks[2];
    assert_int_equal(sl_http_network_parse(SL_SLICE("127.0.0.0/8"), &networks[0]), 0);
    assert_int_equal(sl_http_network_parse(SL_SLICE("10.1.2.3"), &networks[1]), 0);
    serve(&(struct sl_http_server_config){.proxies = networks, .proxies_count = 2});
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n"
               "X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n");
    assert_has(t.payload, "\"remote\":\"9.9.9.9\"");
    assert_has(t.payload, "\"scheme\":\"https\"");
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, junk, 10.1.2.3\r\n\r\n");
    assert_has(t.payload, "\"remote\":\"10.1.2.3\"");
    t.poller->peer = "8.8.8.8";
    fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n"
               "X-Forwarded-Proto: https\r\n\r\n");
    assert_has(t.payload, "\"remote\":\"8.8.8.8\"");
    assert_has(t.payload, "\"scheme\":\"http\"");
}

static void network_parse_reads_networks(void **state)
{
    (void)state;
    serve(NULL);
    struct sl_http_network network;
    static const char *const bad[] = {"",       "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x",
                                      "::/129", "a",           "10.0.0/8",  "10.0.0.0/0008"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sl_http_network_parse(sl_slice_from_str(bad[i]), &network), -EINVAL);
    }
    assert_int_equal(sl_http_network_parse(SL_SLICE("fd00::/8"), &network), 0);
    assert_int_equal(network.bits, 8);
    assert_int_equal(sl_http_network_parse(SL_SLICE("0.0.0.0/0"), &network), 0);
    assert_int_equal(network.bits, 96);
}

static void request_id_is_taken_over_if_it_is_fit(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: abc-1\r\n\r\n");
    assert_string_equal(t.id, "abc-1");
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a b\r\n\r\n");
    assert_int_equal(strlen(t.id), 36);
    t.hold = true;
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nAccept: x\r\n\r\n");
    struct sl_slice accept = sl_http_request_header(t.held[0], SL_HTTP1_HEADER_ACCEPT);
    assert_int_equal(accept.size, 1);
    assert_int_equal(sl_http_request_header(t.held[0], SL_HTTP1_HEADER_COOKIE).size, 0);
    assert_memory_equal(sl_http_request_method(t.held[0]).data, "GET", 3);
    assert_ptr_equal(sl_http_request_server(t.held[0]), t.server);
}

/* -------- answers -------- */

static void respond_of_value_gives_expected_bytes(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.date_off = true});
    static const struct {
        const char *value; /* JSON; NULL: none */
        const char *expected;
    } rows[] = {
        {NULL, "HTTP/1.1 204 No Content\r\n\r\n"},
        {"\"hi\"", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Length: 2\r\n\r\nhi"},
        {"{\"a\":1}", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "Content-Length: 7\r\n\r\n{\"a\":1}"},
        {"[1,null]", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: 8\r\n\r\n[1,null]"},
        {"null", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 "Content-Length: 4\r\n\r\nnull"},
        {"{}", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
        /* Envelopes. */
        {"{\"status\":201}", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"},
        {"{\"status\":204,\"body\":{\"a\":1}}", "HTTP/1.1 204 No Content\r\n\r\n"},
        {"{\"status\":304}", "HTTP/1.1 304 Not Modified\r\n\r\n"},
        {"{\"status\":0,\"body\":\"x\",\"method\":\"GET\",\"params\":{}}",
         "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
         "Content-Length: 1\r\n\r\nx"},
        {"{\"header\":{\"X-A\":\"b\"}}", "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"},
        {"{\"body\":[],\"header\":{\"content-type\":\"application/vnd.x+json\"}}",
         "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.x+json\r\nContent-Length: 2\r\n\r\n[]"},
        {"{\"body\":{\"a\":\"b c\",\"d\":[1,\"&\"]},"
         "\"header\":{\"Content-Type\":[\"application/x-www-form-urlencoded\"]}}",
         "HTTP/1.1 200 OK\r\nContent-Type: application/x-www-form-urlencoded\r\n"
         "Content-Length: 15\r\n\r\na=b+c&d=1&d=%26"},
        {"{\"body\":7,\"header\":{\"Content-Type\":\"text/css\"}}",
         "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 1\r\n\r\n7"},
        /* Not envelopes: a key that no payload has, or nothing that says so. */
        {"{\"status\":201,\"name\":\"x\"}",
         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n"
         "{\"status\":201,\"name\":\"x\"}"},
        {"{\"status\":\"201\"}", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 16\r\n\r\n{\"status\":\"201\"}"},
        {"{\"status\":99}", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: 13\r\n\r\n{\"status\":99}"},
        /* Fields: lists, numbers; kept are those that a deny-list might catch. */
        {"{\"status\":202,\"header\":{\"Set-Cookie\":[\"a=1\",\"b=2\"],\"X-N\":-5,\"X-T\":true,"
         "\"Access-Control-Allow-Origin\":\"*\",\"Accept-Ranges\":\"bytes\",\"X-Null\":null}}",
         "HTTP/1.1 202 Accepted\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-N: -5\r\nX-T: true\r\n"
         "Access-Control-Allow-Origin: *\r\nAccept-Ranges: bytes\r\nContent-Length: 0\r\n\r\n"},
        /* Left out is what would break the framing. */
        {"{\"body\":\"abc\",\"header\":{\"Content-Length\":\"1\",\"transfer-encoding\":\"chunked\","
         "\"Connection\":\"keep-alive\",\"Upgrade\":\"x\",\"X-Bad\":\"a\\r\\nX-Evil: 1\","
         "\"X Y\":\"1\",\"\":\"2\",\"X-Ok\":\"\"}}",
         "HTTP/1.1 200 OK\r\nX-Ok: \r\nContent-Type: text/plain; charset=utf-8\r\n"
         "Content-Length: 3\r\n\r\nabc"},
        {"{\"body\":\"x\",\"header\":{\"Date\":\"now\",\"Server\":\"me\"}}",
         "HTTP/1.1 200 OK\r\nDate: now\r\nServer: me\r\n"
         "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\nx"},
    };
    int fd = connect_client();
    t.use_answer = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        t.answer = rows[i].value != NULL ? json(rows[i].value) : sl_value_none();
        forget_sent(fd);
        arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_string_equal(sent(fd), rows[i].expected);
        if (t.answer.cell != NULL) sl_value_unref(t.answer);
        t.answer = sl_value_none();
    }
}

static void respond_of_error_hides_its_message(void **state)
{
    (void)state;
    serve(NULL);
    static const struct {
        const char *code;
        int status;
        const char *line;
    } rows[] = {
        {"x", 0, "HTTP/1.1 500 Internal Server Error\r\n"},
        {"deadline", 0, "HTTP/1.1 504 Gateway Timeout\r\n"},
        {"overload", 0, "HTTP/1.1 503 Service Unavailable\r\n"},
        {"x", 404, "HTTP/1.1 404 Not Found\r\n"},
        {"x", 100, "HTTP/1.1 500 Internal Server Error\r\n"},
    };
    int fd = connect_client();
    t.use_answer = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        t.answer = sl_value_new_error(t.loop.mem, rows[i].code, rows[i].status, "a secret");
        forget_sent(fd);
        arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_has(sent(fd), rows[i].line);
        assert_has_not(sent(fd), "secret");
        sl_value_unref(t.answer);
        t.answer = sl_value_none();
    }
}

static void respond_to_head_has_the_length_but_no_body(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    t.use_answer = true;
    t.answer = json("{\"a\":[1,2,3]}");
    arrive(fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(sent(fd), OK "Content-Type: application/json\r\n"
                                     "Content-Length: 13\r\n\r\n");
}

static void respond_to_http10_says_keep_alive_only_if_asked(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has(sent(fd), "Connection: keep-alive\r\n");
    assert_false(t.poller->fds[fd].is_shut);
    forget_sent(fd);
    arrive(fd, "GET / HTTP/1.0\r\n\r\n");
    assert_has(sent(fd), "Connection: close\r\n");
    assert_true(t.poller->fds[fd].is_shut);
    assert_true(t.poller->fds[fd].is_open);
    fake_end(t.poller, fd, 0);
    turn();
    assert_false(t.poller->fds[fd].is_open);
}

static void respond_with_close_wish_closes(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    t.use_answer = true;
    t.answer = json("{\"body\":\"x\",\"header\":{\"Connection\":\"close\"}}");
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(t.requests, 1);
    assert_has(sent(fd), "Connection: close\r\n");
    assert_true(t.poller->fds[fd].is_shut);
}

static void stream_writes_chunks_and_tells_when_sent(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.date_off = true});
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /n HTTP/1.1\r\nHost: h\r\n\r\n");
    struct sl_http_request *first = t.held[0];
    t.held[0] = NULL;
    sl_http_stream_begin(first, 200, NULL, 0, SL_SLICE("text/plain"));
    assert_true(sl_http_stream_write(first, SL_SLICE("hello")) > 0);
    assert_true(sl_http_stream_write(first, SL_SLICE("")) > 0);
    turn();
    assert_string_equal(sent(fd), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_true(t.writables > 0);
    release(1);
    assert_has_not(sent(fd), "/n");
    sl_http_stream_end(first);
    turn();
    assert_has(sent(fd), "5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_int_equal(t.dones, 2);
}

static void stream_to_http10_ends_with_the_connection(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.date_off = true});
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct sl_http_request *request = t.held[0];
    t.held[0] = NULL;
    sl_http_stream_begin(request, 200, NULL, 0, SL_SLICE(""));
    (void)sl_http_stream_write(request, SL_SLICE("hello"));
    sl_http_stream_end(request);
    turn();
    assert_string_equal(sent(fd), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    assert_true(t.poller->fds[fd].is_shut);
}

/* -------- order and back-pressure -------- */

static void pipeline_answers_in_order_of_requests(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.date_off = true});
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(t.held_count, 3);
    release(2);
    release(1);
    assert_string_equal(sent(fd), "");
    release(0);
    assert_string_equal(
        sent(fd), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n/1"
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n/2"
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n/3");
    assert_int_equal(t.poller->fds[fd].sends, 1);
}

static void pipeline_of_sixteen_is_one_send(void **state)
{
    (void)state;
    serve(NULL);
    char text[16 * 40];
    size_t size = 0;
    for (int i = 0; i < 16; i++) {
        size += (size_t)sprintf(text + size, "GET /%x HTTP/1.1\r\nHost: h\r\n\r\n", i);
    }
    int fd = connect_client();
    arrive(fd, text);
    assert_int_equal(t.requests, 16);
    assert_int_equal(t.poller->fds[fd].sends, 1);
}

static void pipeline_beyond_its_limit_is_not_read(void **state)
{
    (void)state;
    serve(&(struct sl_http_server_config){.pipeline_max = 2});
    t.hold = true;
    int fd = connect_client();
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(t.held_count, 2);
    assert_null(t.poller->fds[fd].recv);
    release(0);
    assert_int_equal(t.held_count, 3);
    assert_null(t.poller->fds[fd].recv);
    release(1);
    release(2);
    release(3);
    assert_non_null(t.poller->fds[fd].recv);
    assert_has(sent(fd), "/4");
}

static void pipeline_of_client_that_does_not_read_is_not_read(void **state)
{
    (void)state;
    serve(NULL);
    t.use_answer = true;
    char *big = malloc(50000);
    memset(big, 'x', 50000);
    t.answer = sl_value_new_string(t.loop.mem, big, 50000);
    free(big);
    t.poller->hold_sends = true;
    int fd = connect_client();
    arrive(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(t.requests < 4);
    assert_null(t.poller->fds[fd].recv);
    for (int i = 0; i < 4 && t.poller->fds[fd].send != NULL; i++) {
        fake_send_done(t.poller, fd, 0);
        turn();
    }
    assert_int_equal(t.requests, 4);
    assert_non_null(t.poller->fds[fd].recv);
}

static void expect_continue_is_answered_when_the_client_waits(void **state)
{
    (void)state;
    serve(NULL);
    static const char head[] = "POST /1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                               "Content-Length: 3\r\n\r\n";
    int fd = connect_client();
    arrive(fd, head);
    assert_string_equal(sent(fd), "HTTP/1.1 100 Continue\r\n\r\n");
    arrive(fd, "abc");
    assert_has(sent(fd), "\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_int_equal(t.requests, 1);
    /* The body is there already: nothing to say. */
    fd = connect_client();
    char text[256];
    snprintf(text, sizeof(text), "%sab", head);
    arrive(fd, text);
    assert_string_equal(sent(fd), "");
    arrive(fd, "c");
    assert_has_not(sent(fd), "100 Continue");
    /* An older answer comes first. */
    t.hold = true;
    fd = connect_client();
    snprintf(text, sizeof(text), "GET /0 HTTP/1.1\r\nHost: h\r\n\r\n%s", head);
    arrive(fd, text);
    assert_string_equal(sent(fd), "");
    release(0);
    assert_has(sent(fd), "/0HTTP/1.1 100 Continue\r\n\r\n");
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_get_has_payload_and_gets_answer),
        TEST(request_at_every_split_gets_the_same_answer),
        TEST(request_bodies_are_decoded_by_type),
        TEST(request_with_bad_body_has_the_chained_message),
        TEST(request_payload_outlives_its_request_and_connection),
        TEST(request_behind_trusted_proxy_has_the_clients_address),
        TEST(network_parse_reads_networks),
        TEST(request_id_is_taken_over_if_it_is_fit),
        TEST(respond_of_value_gives_expected_bytes),
        TEST(respond_of_error_hides_its_message),
        TEST(respond_to_head_has_the_length_but_no_body),
        TEST(respond_to_http10_says_keep_alive_only_if_asked),
        TEST(respond_with_close_wish_closes),
        TEST(stream_writes_chunks_and_tells_when_sent),
        TEST(stream_to_http10_ends_with_the_connection),
        TEST(pipeline_answers_in_order_of_requests),
        TEST(pipeline_of_sixteen_is_one_send),
        TEST(pipeline_beyond_its_limit_is_not_read),
        TEST(pipeline_of_client_that_does_not_read_is_not_read),
        TEST(expect_continue_is_answered_when_the_client_waits),
        TEST(refusals_answer_and_close),
        TEST(refusal_comes_behind_older_answers),
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
