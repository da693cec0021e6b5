/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: requests and their payloads, answers, order, back-pressure.
 */
#include "tests/io/http/fixture.h"

/* -------- requests -------- */

static void request_get_has_payload_and_gets_answer(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd,
           "GET /a%20b/../c?x=1&y=%41+b&x=2 HTTP/1.1\r\nHost: h:80\r\nx-a: 1\r\nX-A: 2\r\n\r\n");
    assert_has(t.payload,
               "{\"method\":\"GET\",\"scheme\":\"http\",\"host\":\"h:80\",\"path\":\"/c\","
               "\"query\":{\"x\":[\"1\",\"2\"],\"y\":[\"A b\"]},\"protocol\":\"HTTP/1.1\","
               "\"header\":{\"Host\":[\"h:80\"],\"X-A\":[\"1\",\"2\"]},\"trace\":{\"id\":");
    assert_has(t.payload, "},\"status\":0,\"remote\":\"127.0.0.1\",\"params\":{}}");
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

#define TRACE_ID    "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACEPARENT "Traceparent: 00-" TRACE_ID "-00f067aa0ba902b7-01\r\n"

static void trace_is_taken_over_from_one_valid_traceparent(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n" TRACEPARENT "\r\n");
    assert_has(t.payload, "\"trace\":{\"id\":\"" TRACE_ID "\",\"span\":\"");
    assert_has(t.payload, "\"parent\":\"00f067aa0ba902b7\",\"sampled\":true,");
    assert_has(t.payload, "\"traceparent\":\"00-" TRACE_ID "-");
    assert_has_not(t.payload, "\"state\"");
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nTracestate: a=1\r\n" TRACEPARENT
               "Tracestate: b=2 , c=3\r\n\r\n");
    assert_has(t.payload, "\"state\":\"a=1,b=2,c=3\"}");
    arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\nTracestate: a\r\n" TRACEPARENT "\r\n");
    assert_has(t.payload, "\"id\":\"" TRACE_ID "\"");
    assert_has_not(t.payload, "\"state\"");
}

static void trace_is_made_where_none_is_valid(void **state)
{
    (void)state;
    static const char *const heads[] = {"", TRACEPARENT TRACEPARENT,
                                        "Traceparent: 00-" TRACE_ID "-0000000000000000-01\r\n",
                                        "Traceparent: \r\n", "Tracestate: a=1\r\n"};
    serve(NULL);
    int fd = connect_client();
    char last[64] = "";
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", heads[i]);
        arrive(fd, text);
        const char *made = strstr(t.payload, "\"trace\":{\"id\":\"");
        assert_non_null(made);
        assert_has_not(made, TRACE_ID);
        assert_has_not(made, "\"parent\"");
        assert_has(made, "\"sampled\":false");
        assert_has_not(made, "\"state\"");
        assert_memory_not_equal(made, last, sizeof(last)); /* its own for each request */
        memcpy(last, made, sizeof(last));
    }
}

/* Two connections, two servers: what is asked of the request is what its payload says. */
static void request_span_is_that_of_its_payload(void **state)
{
    (void)state;
    serve(NULL);
    t.hold = true;
    arrive(connect_client(), "GET / HTTP/1.1\r\nHost: h\r\nTracestate: a=1\r\n" TRACEPARENT "\r\n");
    arrive(connect_client(), "GET /?a=b HTTP/1.1\r\nHost: h\r\n\r\n");
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_span span;
        struct sl_tracestate passed;
        char text[SL_TRACEPARENT_SIZE];
        sl_http_request_span(t.held[i], &span, &passed);
        sl_span_write(&span, text);
        struct sl_value trace = sl_value_get_str(t.held[i]->payload, "trace");
        struct sl_slice sent = sl_value_slice(sl_value_get_str(trace, "traceparent"));
        assert_int_equal(sent.size, sizeof(text));
        assert_memory_equal(sent.data, text, sizeof(text));
        assert_int_equal(passed.size, i == 0 ? 3 : 0);
        assert_int_equal(sl_span_is_root(&span), i == 1);
    }
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
         "\"Connection\":\"keep-alive\",\"Upgrade\":\"x\",\"X-Ok\":\"\"}}",
         "HTTP/1.1 200 OK\r\nX-Ok: \r\nContent-Type: text/plain; charset=utf-8\r\n"
         "Content-Length: 3\r\n\r\nabc"},
        {"{\"body\":\"x\",\"header\":{\"X-F\":[1.5,null]}}",
         "HTTP/1.1 200 OK\r\nX-F: 1.5\r\nContent-Type: text/plain; charset=utf-8\r\n"
         "Content-Length: 1\r\n\r\nx"},
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

/* What can be no field is not left out: that would be another answer. */
static void respond_with_what_can_be_no_field_is_500(void **state)
{
    (void)state;
    serve(NULL);
    static const char *const rows[] = {
        "{\"X-Ok\":\"1\",\"X-Bad\":\"a\\r\\nX-Evil: 1\"}",
        "{\"X-Bad\":[\"a\",\"a\\u0000b\"]}",
        "{\"X Y\":\"1\"}",
        "{\"X\\r\\nY\":\"1\"}",
        "{\"\":\"2\"}",
        "{\"X-Map\":{\"a\":1}}",
    };
    int fd = connect_client();
    t.use_answer = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "{\"body\":\"x\",\"header\":%s}", rows[i]);
        t.answer = json(text);
        forget_sent(fd);
        arrive(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_memory_equal(sent(fd), "HTTP/1.1 500 Internal Server Error\r\n", 36);
        assert_null(strstr(sent(fd), "\r\nX"));
        sl_value_unref(t.answer);
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

static void request_options_of_asterisk_is_answered_by_the_server(void **state)
{
    (void)state;
    serve(NULL);
    int fd = connect_client();
    arrive(fd, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(sent(fd), "HTTP/1.1 204 No Content\r\nAllow: GET");
    assert_has(sent(fd), "/x");
    assert_int_equal(t.requests, 1);
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
        TEST(trace_is_taken_over_from_one_valid_traceparent),
        TEST(trace_is_made_where_none_is_valid),
        TEST(request_span_is_that_of_its_payload),
        TEST(respond_of_value_gives_expected_bytes),
        TEST(respond_with_what_can_be_no_field_is_500),
        TEST(respond_of_error_hides_its_message),
        TEST(request_options_of_asterisk_is_answered_by_the_server),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
