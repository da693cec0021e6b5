/* SPDX-License-Identifier: MIT */
/*
 * What a record of the access log takes from a head, against the parser: for every head that the
 * parser takes, whatever was done to it, the quick way must find the same.
 */
#include "nodes/net/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/http1/http1.h"
#include "core/base/limit.h"

enum { HEAD_MAX = 1024, CHANGES = 200000, CHANGES_EACH = 3 };

static const char *const HEADS[] = {
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "\r\nGET /a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    "POST http://h/x HTTP/1.1\r\nHost: h\r\nX-REQUEST-ID:  abc \t\r\nContent-Length: 0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nreferer:\r\nReferer: second\r\nX-Request-Idx: no\r\nHost: h\r\n\r\n",
    "DELETE /x HTTP/1.1\nHost: h\nuser-agent: a\nUser-Agent: b\nr: s\n\n",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\nU:\r\nX: x-request-id: trap\r\nRefererr: no\r\n\r\n",
};

static struct sl_slice field_of(const struct sl_http1_request *head, enum sl_http1_header_id id)
{
    const struct sl_http1_header *field = sl_http1_head_find(&head->head, id);
    return field != NULL ? field->value : SL_SLICE("");
}

static void assert_same(struct sl_slice got, struct sl_slice expected, const char *what,
                        const char *text)
{
    if (sl_slice_eq(got, expected)) return;
    fail_msg("%s is \"%.*s\", the parser says \"%.*s\", in: %s", what, SL_SLICE_FMT(got),
             SL_SLICE_FMT(expected), text);
}

/* Returns whether the parser takes it. */
static bool compare(const char *text, size_t size)
{
    struct sl_http1_request head;
    struct sl_access_head quick;
    int64_t used =
        sl_http1_parse_request((const uint8_t *)text, size, 0, SL_HTTP_HEAD_SIZE_MAX, &head);
    if (used <= 0) return false;
    sl_access_head_read((const uint8_t *)text, (size_t)used, &quick);
    assert_same(quick.method, head.method, "method", text);
    assert_same(quick.target, head.target, "target", text);
    assert_same(quick.request_id, field_of(&head, SL_HTTP1_HEADER_X_REQUEST_ID), "id", text);
    assert_same(quick.referer, field_of(&head, SL_HTTP1_HEADER_REFERER), "referer", text);
    assert_same(quick.user_agent, field_of(&head, SL_HTTP1_HEADER_USER_AGENT), "agent", text);
    assert_int_equal(quick.version_minor, head.head.version_minor);
    return true;
}

static void head_read_finds_what_the_parser_finds(void **state)
{
    (void)state;
    unsigned taken = 0;
    for (size_t i = 0; i < sizeof(HEADS) / sizeof(HEADS[0]); i++) {
        taken += compare(HEADS[i], strlen(HEADS[i]));
    }
    assert_true(taken >= 5);
}

static uint32_t chance(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

static void head_read_of_changed_heads_finds_what_the_parser_finds(void **state)
{
    static const char bytes[] = " \t\r\n:/xrXRuU-iI0a\"=?";
    uint32_t seed = 7;
    unsigned taken = 0;
    (void)state;
    for (unsigned round = 0; round < CHANGES; round++) {
        char text[HEAD_MAX];
        const char *from = HEADS[chance(&seed, sizeof(HEADS) / sizeof(HEADS[0]))];
        size_t size = strlen(from);
        memcpy(text, from, size + 1);
        for (uint32_t i = chance(&seed, CHANGES_EACH) + 1; i > 0; i--) {
            size_t at = chance(&seed, (uint32_t)size);
            char byte = bytes[chance(&seed, sizeof(bytes) - 1)];
            switch (chance(&seed, 3)) {
            case 0: text[at] = byte; break;
            case 1:
                memmove(text + at + 1, text + at, size - at + 1);
                text[at] = byte;
                size++;
                break;
            default:
                memmove(text + at, text + at + 1, size - at);
                size--;
                break;
            }
        }
        taken += compare(text, size);
    }
    assert_true(taken > CHANGES / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_read_finds_what_the_parser_finds),
        cmocka_unit_test(head_read_of_changed_heads_finds_what_the_parser_finds),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
