/* SPDX-License-Identifier: MIT */
/* The response reader: every split point gives the same reading; what is ambiguous is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/response.h"

struct body {
    char text[256];
    size_t size;
};

static void body_append(void *ctx, const uint8_t *data, size_t size)
{
    struct body *body = ctx;
    assert_true(body->size + size < sizeof(body->text));
    memcpy(body->text + body->size, data, size);
    body->size += size;
    body->text[body->size] = '\0';
}

struct good {
    const char *text;
    const char *body;
    uint16_t status;
    bool keep_alive;
    bool is_head;
};

static const struct good GOOD[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, false},
    {"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", "", 200, true, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, true, false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", 304, true, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "", 200, true, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
     "hello!", 200, true, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
     "0123456789", 200, true, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", "x", 201,
     true, false},
    {"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", "x", 200, false, false},
    {"HTTP/1.1 200 OK\r\nConnection: upgrade, close\r\nContent-Length: 1\r\n\r\nx", "x", 200, false,
     false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200, false, false},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "x", 200, true,
     false},
    {"HTTP/1.1 500 Oops\nContent-Length: 2\n\nno", "no", 500, true, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "x", 200, true, false},
};

static const char *const BAD[] = {
    "SSH-2.0\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
};

static void read_good(const struct good *good, size_t split)
{
    struct body body = {.size = 0};
    struct sl_response response = {.body = body_append, .body_ctx = &body};
    sl_response_reset(&response, good->is_head);
    size_t size = strlen(good->text);
    size_t used = 0;
    assert_int_equal(sl_response_feed(&response, (const uint8_t *)good->text, split, &used), 0);
    if (split < size) {
        assert_int_equal(used, split);
        assert_int_not_equal(response.state, SL_RESPONSE_DONE);
        assert_int_equal(
            sl_response_feed(&response, (const uint8_t *)good->text + split, size - split, &used),
            0);
        assert_int_equal(used, size - split);
    }
    assert_int_equal(response.state, SL_RESPONSE_DONE);
    assert_int_equal(response.status, good->status);
    assert_int_equal(response.keep_alive, good->keep_alive);
    assert_string_equal(body.text, good->body);
    sl_response_fini(&response);
}

static void feed_good_at_every_split_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        size_t size = strlen(GOOD[i].text);
        for (size_t split = 0; split <= size; split++) read_good(&GOOD[i], split);
    }
}

static int feed_bytewise(struct sl_response *response, const char *text, size_t step)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size; at += step) {
        size_t used;
        size_t part = size - at < step ? size - at : step;
        int err = sl_response_feed(response, (const uint8_t *)text + at, part, &used);
        if (err < 0) return err;
        if (response->state == SL_RESPONSE_DONE) return 1;
    }
    return 0;
}

static void feed_bad_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        for (size_t step = 1; step < 100; step += 49) {
            struct sl_response response = {.body = NULL};
            sl_response_reset(&response, false);
            assert_int_equal(feed_bytewise(&response, BAD[i], step), -EPROTO);
            assert_non_null(response.fault);
            sl_response_fini(&response);
        }
    }
}

static void feed_two_responses_takes_only_the_first(void **state)
{
    (void)state;
    const char *one = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    char two[128];
    strcpy(two, one);
    strcat(two, one);
    struct sl_response response = {.body = NULL};
    sl_response_reset(&response, false);
    size_t used;
    assert_int_equal(sl_response_feed(&response, (const uint8_t *)two, strlen(two), &used), 0);
    assert_int_equal(used, strlen(one));
    assert_int_equal(response.body_size, 2);
    sl_response_fini(&response);
}

static void feed_endless_line_is_refused(void **state)
{
    (void)state;
    struct sl_response response = {.body = NULL};
    sl_response_reset(&response, false);
    int err = feed_bytewise(&response, "HTTP/1.1 200 OK\r\nX: ", 1);
    size_t used;
    for (int i = 0; i < SL_RESPONSE_LINE_SIZE_MAX + 1 && err == 0; i++) {
        err = sl_response_feed(&response, (const uint8_t *)"y", 1, &used);
    }
    assert_int_equal(err, -EPROTO);
    sl_response_fini(&response);
}

static void end_close_delimited_body_is_done(void **state)
{
    (void)state;
    struct sl_response response = {.body = NULL};
    sl_response_reset(&response, false);
    assert_int_equal(feed_bytewise(&response, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 7), 0);
    assert_int_equal(sl_response_end(&response), 0);
    assert_int_equal(response.state, SL_RESPONSE_DONE);
    assert_int_equal(response.body_size, 13);
    assert_false(response.keep_alive);
    sl_response_fini(&response);
}

static void end_inside_a_body_is_an_error(void **state)
{
    (void)state;
    struct sl_response response = {.body = NULL};
    sl_response_reset(&response, false);
    assert_int_equal(
        feed_bytewise(&response, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 3), 0);
    assert_int_equal(sl_response_end(&response), -EPIPE);
    sl_response_fini(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_good_at_every_split_reads_the_same),
        cmocka_unit_test(feed_bad_is_refused),
        cmocka_unit_test(feed_two_responses_takes_only_the_first),
        cmocka_unit_test(feed_endless_line_is_refused),
        cmocka_unit_test(end_close_delimited_body_is_done),
        cmocka_unit_test(end_inside_a_body_is_an_error),
    };
    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
