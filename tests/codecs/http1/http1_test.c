/* SPDX-License-Identifier: MIT */
/*
 * The parser of HTTP/1.1 heads and bodies: a table of requests with their verdict, each at every
 * split point; framing; paths, queries, writers; fast scans against plain ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codecs/http1/http1.h"
#include "codecs/http1/scan.h"
#include "tests/codecs/http1/stream.h"

#define H "Host: a\r\n"

struct verdict {
    const char *bytes;
    int status;        /* 0: fine so far */
    uint32_t messages; /* complete ones before the error or the end */
};

static const struct verdict request_verdicts[] = {
    /* Request line. */
    {"GET / HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"\r\rGET / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {" GET / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET  / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /  HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.1 \r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.1\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.1\r" H "\r\n", 400, 0},
    {"GET / HTTP/1.1\r\r\n" H "\r\n", 400, 0},
    {"GET /\r\n", 400, 0},
    {"GET\r\n", 400, 0},
    {"\xff\xfe\r\n", 400, 0},
    {"G(T / HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/01.1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.10\r\n" H "\r\n", 400, 0},
    {"GET / http/1.1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/ 1.1\r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.2\r\n" H "\r\n", 0, 1},
    {"GET / HTTP/2.0\r\n" H "\r\n", 505, 0},
    {"GET / HTTP/9.9\r\n" H "\r\n", 505, 0},
    {"GET / HTTP/0.9\r\n" H "\r\n", 505, 0},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0},
    {"GET / ICE/1.0\r\n" H "\r\n", 400, 0},
    /* Targets. */
    {"GET /a%20b?c=d&e=%7B HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET /a|b{c}^d`?x=[1]\\ HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /a\"b HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /<b> HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /caf\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /\x7f HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET /\x01 HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET a HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET * HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET http://a/x HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET HTTP://A/x HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET http://a?x HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET http://b/x HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET http:///x HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET http://u@a/x HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"GET ftp://a/x HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"CONNECT a HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"CONNECT a: HTTP/1.1\r\n" H "\r\n", 400, 0},
    {"CONNECT /a HTTP/1.1\r\n" H "\r\n", 400, 0},
    /* Host. */
    {"GET / HTTP/1.1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.0\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\n" H H "\r\n", 400, 0},
    {"GET / HTTP/1.0\r\n" H H "\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nHost: a]\r\n\r\n", 400, 0},
    /* Fields. */
    {"GET / HTTP/1.1\r\n" H "X-A:\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\n" H "X-A: \t \r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\n" H "X-A: D\xc3\xbcsseldorf\tx\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\n" H "x_a!#$%&'*+.^`|~: 1\r\n\r\n", 0, 1},
    {"GET / HTTP/1.1\r\n" H "X-A : 1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A\t: 1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X A: 1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-\xc3\xbc: 1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\r\n folded\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\r\n\tfolded\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n \r\n" H "\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n " H "\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H ": 1\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\nX-B: 2\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\rX-B: 2\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\r\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: \x01\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: \x7f\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\r\n\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "X-A: 1\r\n\rX\n", 400, 0},
    {"GET / HTTP/1.1\r\n" H "\n", 400, 0},
    /* Content-Length. */
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 0, 1},
    {"POST / HTTP/1.1\r\n" H "content-LENGTH:3 \r\n\r\nabcGET / HTTP/1.1\r\n" H "\r\n", 0, 2},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab", 0, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0, 1},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 003\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 00\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1_0\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1 0\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3,\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content_Length: 3\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length\r: 3\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content\rLength: 3\r\n\r\nabc", 400, 0},
    /* Transfer-Encoding. */
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0, 1},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED \t\r\n\r\n0\r\n\r\n", 0, 1},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: , chunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer_Encoding: chunked\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n", 400, 0},
    /* Expect, TRACE, Connection. */
    {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na", 0, 1},
    {"POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417, 0},
    {"TRACE / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\na", 400, 0},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET / HTTP/1.0\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 1},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 2},
};

/* The same behind a head that says chunked. */
static const struct verdict chunked_verdicts[] = {
    {"0\r\n\r\n", 0, 1},
    {"000\r\n\r\n", 0, 1},
    {"3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 2},
    {"A\r\n0123456789\r\n0a\r\n0123456789\r\n0\r\n\r\n", 0, 1},
    {"3;a\r\nabc\r\n0;b=c;d=\"e;\\\"f\"\r\n\r\n", 0, 1},
    {"3\r\nabc\r\n0\r\nX-T: 1\r\nY:\r\n\r\n", 0, 1},
    {"3\r\nabc", 0, 0},
    {"3 \r\nabc\r\n", 400, 0},
    {" 3\r\nabc\r\n", 400, 0},
    {"+3\r\nabc\r\n", 400, 0},
    {"-1\r\nabc\r\n", 400, 0},
    {"0x3\r\nabc\r\n", 400, 0},
    {"1_0\r\nabc\r\n", 400, 0},
    {"\r\nabc\r\n", 400, 0},
    {"g\r\nabc\r\n", 400, 0},
    {"3\nabc\r\n", 400, 0},
    {"3\rabc\r\n", 400, 0},
    {"3\r\nabcd\r\n", 400, 0},
    {"3\r\nabc\n0\r\n\r\n", 400, 0},
    {"3\r\nabc\r0\r\n\r\n", 400, 0},
    {"3\r\nabc0\r\n\r\n", 400, 0},
    {"3;\r\nabc\r\n", 400, 0},
    {"3; a\r\nabc\r\n", 400, 0},
    {"3;a =b\r\nabc\r\n", 400, 0},
    {"3;a=\r\nabc\r\n", 400, 0},
    {"3;a=\"b\r\nabc\r\n", 400, 0},
    {"3;a=\"b\"c\r\nabc\r\n", 400, 0},
    {"3;a[b\r\nabc\r\n", 400, 0},
    {"3;a\nabc\r\n", 400, 0},
    {"3;a\rX\r\nabc\r\n", 400, 0},
    {"FFFFFFFFFFFFFFFF0\r\nabc\r\n", 400, 0},
    {"0000000000000000\r\n\r\n", 400, 0},
    {"0\r\nContent-Length: 5\r\n\r\n", 400, 0},
    {"0\r\ntransfer-encoding: chunked\r\n\r\n", 400, 0},
    {"0\r\nHost: b\r\n\r\n", 400, 0},
    {"0\r\nX : 1\r\n\r\n", 400, 0},
    {"0\r\n X: 1\r\n\r\n", 400, 0},
    {"0\r\nX: 1\n\r\n", 400, 0},
    {"0\r\nX: \x01\r\n\r\n", 400, 0},
    {"0\r\n: 1\r\n\r\n", 400, 0},
    {"0\r\nX\r\n\r\n", 400, 0},
    {"0\r\n\n", 400, 0},
    {"0\r\n\rX", 400, 0},
};

static void check_verdict(const char *bytes, size_t size, int status, uint32_t messages)
{
    struct stream stream;
    stream_init(&stream, false);
    stream_feed(&stream, (const uint8_t *)bytes, size);
    if (stream.status != status || stream.messages_count != messages) {
        fail_msg("\n%.*s\nstatus %d (%s), expected %d; messages %u, expected %u", (int)size, bytes,
                 stream.status, stream.reason ? stream.reason : "", status, stream.messages_count,
                 messages);
    }
    assert_true(status == 0 || stream.reason != NULL);
    if (!stream_all_cuts_same(&stream, (const uint8_t *)bytes, size)) fail_msg("%s", bytes);
    stream_fini(&stream);
}

static void parse_request_of_table_gives_verdict_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_verdicts) / sizeof(request_verdicts[0]); i++) {
        const struct verdict *row = &request_verdicts[i];
        check_verdict(row->bytes, strlen(row->bytes), row->status, row->messages);
    }
}

static void chunked_decode_of_table_gives_verdict_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(chunked_verdicts) / sizeof(chunked_verdicts[0]); i++) {
        const struct verdict *row = &chunked_verdicts[i];
        char bytes[512];
        int size =
            snprintf(bytes, sizeof(bytes),
                     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%s", row->bytes);
        check_verdict(bytes, (size_t)size, row->status, row->messages);
    }
}

static void parse_request_with_nul_anywhere_in_head_is_refused(void **state)
{
    (void)state;
    static const char head[] = "GET /abc HTTP/1.1\r\nHost: abc\r\nX-Abc: def\r\n\r\n";
    for (size_t i = 0; i + 1 < sizeof(head); i++) {
        char bytes[sizeof(head)];
        memcpy(bytes, head, sizeof(head));
        bytes[i] = 0;
        struct stream stream;
        stream_init(&stream, false);
        stream_feed(&stream, (const uint8_t *)bytes, sizeof(head) - 1);
        /* A NUL in place of the last line feed leaves the last line without its end. */
        if (i == sizeof(head) - 2)
            assert_int_equal(stream.phase, 0);
        else
            assert_int_equal(stream.status, 400);
        assert_int_equal(stream.messages_count, 0);
        stream_fini(&stream);
    }
}

static struct sl_http1_request parsed;

static int64_t parse(const char *bytes)
{
    return sl_http1_parse_request((const uint8_t *)bytes, strlen(bytes), 0, SL_HTTP_HEAD_SIZE_MAX,
                                  &parsed);
}

#define assert_slice(slice, text)                                                                  \
    do {                                                                                           \
        struct sl_slice got_ = (slice);                                                            \
        assert_int_equal(got_.size, strlen(text));                                                 \
        assert_memory_equal(got_.data, text, got_.size);                                           \
    } while (0)

static void parse_request_with_query_fills_all_parts(void **state)
{
    (void)state;
    static const char text[] = "PATCH /a/b?c=d?e HTTP/1.1\r\nHost: x.y:81\r\nuser-agent:  me \r\n"
                               "Connection: foo, Upgrade ,keep-alive\r\nUpgrade: websocket\r\n"
                               "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n";
    assert_int_equal(parse(text), strlen(text));
    assert_slice(parsed.method, "PATCH");
    assert_int_equal(parsed.method_id, SL_HTTP1_METHOD_PATCH);
    assert_slice(parsed.target, "/a/b?c=d?e");
    assert_slice(parsed.path, "/a/b");
    assert_slice(parsed.query, "c=d?e");
    assert_true(parsed.has_query);
    assert_slice(parsed.host, "x.y:81");
    assert_int_equal(parsed.form, SL_HTTP1_ORIGIN);
    assert_int_equal(parsed.head.headers_count, 6);
    assert_slice(parsed.head.headers[1].name, "user-agent");
    assert_slice(parsed.head.headers[1].value, "me");
    assert_int_equal(parsed.head.headers[1].id, SL_HTTP1_HEADER_USER_AGENT);
    assert_true(parsed.head.keep_alive);
    assert_true(parsed.head.connection_upgrade);
    assert_slice(parsed.head.upgrade, "websocket");
    assert_true(parsed.expect_continue);
    assert_int_equal(parsed.head.content_length, 12);
    assert_ptr_equal(sl_http1_head_find(&parsed.head, SL_HTTP1_HEADER_EXPECT),
                     &parsed.head.headers[5]);
    assert_null(sl_http1_head_find(&parsed.head, SL_HTTP1_HEADER_COOKIE));
}

static void parse_request_of_absolute_form_splits_the_uri(void **state)
{
    (void)state;
    assert_true(parse("GET https://a:1/x/y?z HTTP/1.1\r\nHost: a:1\r\n\r\n") > 0);
    assert_int_equal(parsed.form, SL_HTTP1_ABSOLUTE);
    assert_slice(parsed.scheme, "https");
    assert_slice(parsed.host, "a:1");
    assert_slice(parsed.path, "/x/y");
    assert_slice(parsed.query, "z");
    assert_true(parse("GET http://a HTTP/1.0\r\n\r\n") > 0);
    assert_slice(parsed.path, "/");
    assert_slice(parsed.host, "a");
    assert_false(parsed.head.keep_alive);
}

static void parse_request_beyond_limits_says_which(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(20000);
    memset(bytes, 'a', 20000);
    memcpy(bytes, "GET /", 5);
    assert_int_equal(sl_http1_parse_request(bytes, 16383, 0, 16384, &parsed), 0);
    assert_int_equal(sl_http1_parse_request(bytes, 16384, 16383, 16384, &parsed), -414);
    memcpy(bytes, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(sl_http1_parse_request(bytes, 16383, 0, 16384, &parsed), 0);
    assert_int_equal(sl_http1_parse_request(bytes, 16384, 0, 16384, &parsed), -431);
    size_t size = 16;
    for (int i = 0; i < SL_HTTP_HEADERS_MAX; i++) {
        size += (size_t)sprintf((char *)bytes + size, "%s: a\r\n", i == 0 ? "Host" : "X");
    }
    memcpy(bytes + size, "X: b\r\n\r\n", 8);
    assert_int_equal(sl_http1_parse_request(bytes, size + 8, 0, 16384, &parsed), -431);
    memcpy(bytes + size, "\r\n", 2);
    assert_int_equal(sl_http1_parse_request(bytes, size + 2, 0, 16384, &parsed), size + 2);
    assert_int_equal(parsed.head.headers_count, SL_HTTP_HEADERS_MAX);
    /* A head of exactly the limit is fine, one byte more is not, however much is there. */
    assert_int_equal(sl_http1_parse_request(bytes, size + 2, 0, size + 2, &parsed), size + 2);
    assert_int_equal(sl_http1_parse_request(bytes, size + 2, 0, size + 1, &parsed), -431);
    free(bytes);
}

static void parse_request_pipelined_gives_one_after_the_other(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    char bytes[COUNT * 64];
    size_t size = 0;
    for (int i = 0; i < COUNT; i++) {
        size += (size_t)sprintf(bytes + size, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    size_t at = 0;
    for (int i = 0; i < COUNT; i++) {
        int64_t got =
            sl_http1_parse_request((const uint8_t *)bytes + at, size - at, 0, 16384, &parsed);
        char path[8];
        sprintf(path, "/%d", i);
        assert_true(got > 0);
        assert_slice(parsed.path, path);
        at += (size_t)got;
    }
    assert_int_equal(at, size);
}

static void parse_response_frames_the_body_by_status_and_method(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        enum sl_http1_method method;
        int status;
        enum sl_http1_body body;
        bool keep_alive;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", SL_HTTP1_METHOD_GET, 200,
         SL_HTTP1_BODY_LENGTH, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", SL_HTTP1_METHOD_HEAD, 200,
         SL_HTTP1_BODY_NONE, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SL_HTTP1_METHOD_GET, 200,
         SL_HTTP1_BODY_NONE, true},
        {"HTTP/1.1 204 No Content\r\n\r\n", SL_HTTP1_METHOD_GET, 204, SL_HTTP1_BODY_NONE, true},
        {"HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", SL_HTTP1_METHOD_GET, 304, SL_HTTP1_BODY_NONE,
         true},
        {"HTTP/1.1 100 Continue\r\n\r\n", SL_HTTP1_METHOD_POST, 100, SL_HTTP1_BODY_NONE, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", SL_HTTP1_METHOD_GET, 200,
         SL_HTTP1_BODY_CHUNKED, true},
        {"HTTP/1.1 200 OK\r\n\r\n", SL_HTTP1_METHOD_GET, 200, SL_HTTP1_BODY_CLOSE, false},
        {"HTTP/1.1 200 OK\r\n\r\n", SL_HTTP1_METHOD_CONNECT, 200, SL_HTTP1_BODY_NONE, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", SL_HTTP1_METHOD_GET, 200,
         SL_HTTP1_BODY_LENGTH, false},
        {"HTTP/1.1 799 \xc3\xa9\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
         SL_HTTP1_METHOD_GET, 799, SL_HTTP1_BODY_LENGTH, false},
    };
    static struct sl_http1_response response;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t size = strlen(rows[i].head);
        int64_t got = sl_http1_parse_response((const uint8_t *)rows[i].head, size, 0, 16384,
                                              rows[i].method, &response);
        assert_int_equal(got, size);
        assert_int_equal(response.status, rows[i].status);
        assert_int_equal(response.body, rows[i].body);
        assert_int_equal(response.head.keep_alive, rows[i].keep_alive);
    }
}

static void parse_response_malformed_is_502(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "HTP/1.1 200 OK\r\n\r\n",
        "HTTP/01.1 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    };
    static struct sl_http1_response response;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        int64_t got = sl_http1_parse_response((const uint8_t *)heads[i], strlen(heads[i]), 0, 16384,
                                              SL_HTTP1_METHOD_GET, &response);
        if (got != -502) fail_msg("%s: %d", heads[i], (int)got);
        assert_non_null(response.head.reason);
    }
}

static void chunked_decode_in_place_joins_the_data(void **state)
{
    (void)state;
    uint8_t bytes[] = "5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: 1\r\n\r\nrest";
    struct sl_http1_chunked chunked = {0};
    size_t consumed = 0;
    size_t produced = 0;
    size_t size = sizeof(bytes) - 1;
    assert_int_equal(
        sl_http1_chunked_decode(&chunked, bytes, size, bytes, size, &consumed, &produced), 1);
    assert_int_equal(produced, 11);
    assert_memory_equal(bytes, "hello world", 11);
    assert_memory_equal(bytes + consumed, "rest", 4);
}

static void chunked_decode_beyond_room_or_limits_is_refused(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t consumed;
    size_t produced;
    struct sl_http1_chunked chunked = {0};
    static const uint8_t nine[] = "9\r\n123456789\r\n";
    assert_int_equal(sl_http1_chunked_decode(&chunked, nine, sizeof(nine) - 1, out, sizeof(out),
                                             &consumed, &produced),
                     -413);
    uint8_t line[400];
    memset(line, 'a', sizeof(line));
    memcpy(line, "1;", 2);
    chunked = (struct sl_http1_chunked){0};
    assert_int_equal(sl_http1_chunked_decode(&chunked, line, SL_HTTP_CHUNK_LINE_SIZE_MAX, out, 8,
                                             &consumed, &produced),
                     0);
    assert_int_equal(sl_http1_chunked_decode(&chunked, line + SL_HTTP_CHUNK_LINE_SIZE_MAX, 1, out,
                                             8, &consumed, &produced),
                     -400);
    chunked = (struct sl_http1_chunked){0};
    static const uint8_t last[] = "0\r\nX:";
    assert_int_equal(
        sl_http1_chunked_decode(&chunked, last, sizeof(last) - 1, out, 8, &consumed, &produced), 0);
    int got = 0;
    for (int i = 0; got == 0 && i < 100; i++) {
        got = sl_http1_chunked_decode(&chunked, line, sizeof(line), out, 8, &consumed, &produced);
    }
    assert_int_equal(got, -431);
}

static void path_decode_of_table_gives_the_canonical_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"/", "/"},           {"/a/b", "/a/b"},
        {"/a%20b", "/a b"},   {"/caf%c3%A9", "/caf\xc3\xa9"},
        {"/a/./b", "/a/b"},   {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},   {"/a/b/.", "/a/b/"},
        {"/.", "/"},          {"/a/..", "/"},
        {"/%2e%2e/a", NULL},  {"/a/%2E%2E/b", "/b"},
        {"/a%2Fb", "/a/b"},   {"/a/..%2f..%2fb", NULL},
        {"/..", NULL},        {"/../a", NULL},
        {"/a/../../b", NULL}, {"//a//b", "//a//b"},
        {"/a//../b", "/a/b"}, {"/...", "/..."},
        {"/.a", "/.a"},       {"/a.b/c.", "/a.b/c."},
        {"/%00", NULL},       {"/%0d%0a", NULL},
        {"/%7f", NULL},       {"/%", NULL},
        {"/%4", NULL},        {"/%g0", NULL},
        {"/a\\b", NULL},      {"/a%5cb", NULL},
        {"/a+b", "/a+b"},     {"/%252e", "/%2e"},
        {"*", "*"},           {"", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[64];
        struct sl_slice path = sl_slice_from_str(rows[i].path);
        int64_t size = sl_http1_path_decode(path, out);
        if (rows[i].expected == NULL) {
            if (size >= 0) fail_msg("%s is not refused", rows[i].path);
            assert_false(sl_http1_path_is_plain(path));
            continue;
        }
        if (size != (int64_t)strlen(rows[i].expected) ||
            memcmp(out, rows[i].expected, (size_t)size) != 0) {
            fail_msg("%s: %.*s", rows[i].path, (int)size, out);
        }
        if (sl_http1_path_is_plain(path)) assert_string_equal(rows[i].path, rows[i].expected);
    }
}

static void query_next_walks_pairs(void **state)
{
    (void)state;
    struct sl_http1_query query = {SL_SLICE("&a=1&&b&c=x=y&=z&d=%41+%zz%4")};
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", ""}, {"c", "x=y"}, {"", "z"}, {"d", "%41+%zz%4"}};
    struct sl_slice name;
    struct sl_slice value;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(sl_http1_query_next(&query, &name, &value));
        assert_slice(name, expected[i][0]);
        assert_slice(value, expected[i][1]);
    }
    assert_false(sl_http1_query_is_plain(value));
    assert_true(sl_http1_query_is_plain(name));
    uint8_t out[16];
    size_t size = sl_http1_query_decode(value, out);
    assert_int_equal(size, 7);
    assert_memory_equal(out, "A %zz%4", 7);
    assert_false(sl_http1_query_next(&query, &name, &value));
}

static void header_find_knows_every_name_in_any_case(void **state)
{
    (void)state;
    for (int id = 1; id < SL_HTTP1_HEADERS_COUNT; id++) {
        struct sl_slice name = sl_http1_header_name((enum sl_http1_header_id)id);
        uint8_t other[64];
        for (size_t i = 0; i < name.size; i++) {
            uint8_t c = name.data[i];
            other[i] = c >= 'A' && c <= 'Z' ? c + 32 : c >= 'a' && c <= 'z' ? c - 32 : c;
        }
        assert_int_equal(sl_http1_header_find(name), id);
        assert_int_equal(sl_http1_header_find(sl_slice_make(other, name.size)), id);
        uint8_t canonical[64];
        sl_http1_header_canonical(sl_slice_make(other, name.size), canonical);
        assert_memory_equal(canonical, name.data, name.size);
        /* One byte changed: another name, or none. */
        for (size_t i = 0; i < name.size; i++) {
            memcpy(other, name.data, name.size);
            other[i] = other[i] == '_' ? '-' : '_';
            assert_int_equal(sl_http1_header_find(sl_slice_make(other, name.size)), 0);
        }
    }
    assert_int_equal(sl_http1_header_find(SL_SLICE("H")), 0);
    assert_int_equal(sl_http1_header_find(SL_SLICE("")), 0);
}

static void method_find_minds_the_case(void **state)
{
    (void)state;
    assert_int_equal(sl_http1_method_find(SL_SLICE("DELETE")), SL_HTTP1_METHOD_DELETE);
    assert_int_equal(sl_http1_method_find(SL_SLICE("delete")), SL_HTTP1_METHOD_OTHER);
    assert_int_equal(sl_http1_method_find(SL_SLICE("")), SL_HTTP1_METHOD_OTHER);
}

static void write_functions_write_what_the_parser_reads(void **state)
{
    (void)state;
    uint8_t out[256];
    size_t size = sl_http1_write_status(out, sizeof(out), 404);
    assert_memory_equal(out, "HTTP/1.1 404 Not Found\r\n", size);
    assert_int_equal(sl_http1_write_status(out, 10, 404), 0);
    size = sl_http1_write_status(out, sizeof(out), 299);
    assert_memory_equal(out, "HTTP/1.1 299 \r\n", size);
    size = sl_http1_write_status(out, sizeof(out), 799);
    assert_memory_equal(out, "HTTP/1.1 799 \r\n", size);
    size = sl_http1_write_header(out, sizeof(out), SL_SLICE("X-A"), SL_SLICE("b c"));
    assert_int_equal(size, 10);
    assert_memory_equal(out, "X-A: b c\r\n", 10);
    assert_int_equal(sl_http1_write_header(out, 9, SL_SLICE("X-A"), SL_SLICE("b c")), 0);
    assert_int_equal(sl_http1_write_header(out, 99, SL_SLICE("X-A"), SL_SLICE("b\r\nc: d")), 0);
    assert_int_equal(sl_http1_write_header(out, 99, SL_SLICE("X A"), SL_SLICE("b")), 0);
    assert_int_equal(sl_http1_write_header(out, 99, SL_SLICE(""), SL_SLICE("b")), 0);
    size = sl_http1_write_content_length(out, sizeof(out), UINT64_MAX);
    assert_int_equal(size, 38);
    assert_memory_equal(out, "Content-Length: 18446744073709551615\r\n", 38);
    size = sl_http1_write_content_length(out, sizeof(out), 0);
    assert_memory_equal(out, "Content-Length: 0\r\n", size);
    size = sl_http1_write_chunk_head(out, sizeof(out), 0x1fA0);
    assert_memory_equal(out, "1fa0\r\n", 6);
    assert_int_equal(sl_http1_write_chunk_head(out, 5, 0x1fA0), 0);
    assert_slice(sl_http1_status_text(503), "Service Unavailable");
    assert_slice(sl_http1_status_text(599), "");
}

static void date_line_is_imf_fixdate(void **state)
{
    (void)state;
    static const struct {
        int64_t second;
        const char *line;
    } rows[] = {
        {0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {784111777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
        {951782399, "Date: Mon, 28 Feb 2000 23:59:59 GMT\r\n"},
        {951782400, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n"},
        {4102444800, "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n"},
        {253402300799, "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"},
        {INT64_MAX, "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"},
        {-5, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
    };
    struct sl_http1_date date = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_memory_equal(sl_http1_date_line(&date, rows[i].second), rows[i].line,
                            SL_HTTP1_DATE_SIZE);
    }
}

static void scan_fast_equals_plain_for_every_byte_and_place(void **state)
{
    (void)state;
    enum { SIZE = 48 };
    for (int byte = 0; byte < 256; byte++) {
        for (size_t size = 1; size <= SIZE; size += size < 20 ? 1 : 7) {
            uint8_t *bytes = malloc(size); /* exact, so that a sanitizer sees reads beyond */
            for (size_t place = 0; place < size; place++) {
                memset(bytes, 'a', size);
                bytes[place] = (uint8_t)byte;
                const uint8_t *end = bytes + size;
                for (size_t from = 0; from <= size; from += 1 + size / 5) {
                    const uint8_t *at = bytes + from;
                    assert_ptr_equal(sl_http1_scan_value(bytes, at, end),
                                     sl_http1_scan_plain(at, end, SL_HTTP1_VALUE));
                    const uint8_t *question = NULL;
                    const uint8_t *question_plain = NULL;
                    assert_ptr_equal(sl_http1_scan_target(bytes, at, end, &question),
                                     sl_http1_scan_target_plain(at, end, &question_plain));
                    assert_ptr_equal(question, question_plain);
                    assert_ptr_equal(sl_http1_scan_host(bytes, at, end),
                                     sl_http1_scan_plain(at, end, SL_HTTP1_HOST_PLAIN));
                    assert_ptr_equal(sl_http1_scan_token(bytes, at, end),
                                     sl_http1_scan_plain(at, end, SL_HTTP1_TOKEN));
                }
            }
            free(bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_request_of_table_gives_verdict_at_every_split),
        cmocka_unit_test(chunked_decode_of_table_gives_verdict_at_every_split),
        cmocka_unit_test(parse_request_with_nul_anywhere_in_head_is_refused),
        cmocka_unit_test(parse_request_with_query_fills_all_parts),
        cmocka_unit_test(parse_request_of_absolute_form_splits_the_uri),
        cmocka_unit_test(parse_request_beyond_limits_says_which),
        cmocka_unit_test(parse_request_pipelined_gives_one_after_the_other),
        cmocka_unit_test(parse_response_frames_the_body_by_status_and_method),
        cmocka_unit_test(parse_response_malformed_is_502),
        cmocka_unit_test(chunked_decode_in_place_joins_the_data),
        cmocka_unit_test(chunked_decode_beyond_room_or_limits_is_refused),
        cmocka_unit_test(path_decode_of_table_gives_the_canonical_path),
        cmocka_unit_test(query_next_walks_pairs),
        cmocka_unit_test(header_find_knows_every_name_in_any_case),
        cmocka_unit_test(method_find_minds_the_case),
        cmocka_unit_test(write_functions_write_what_the_parser_reads),
        cmocka_unit_test(date_line_is_imf_fixdate),
        cmocka_unit_test(scan_fast_equals_plain_for_every_byte_and_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
