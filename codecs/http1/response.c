/* SPDX-License-Identifier: MIT */
/*
 * Response heads, for the client.
 */
#include <string.h>

#include "codecs/http1/head.h"
#include "codecs/http1/scan.h"
#include "core/base/assertion.h"

/* "HTTP/1.1 200" */
enum { STATUS_SIZE = 12 };

static int fail(struct sl_http1_response *response, const char *reason)
{
    response->head.reason = reason;
    return -502;
}

/* Status line: 1, 0, -502. The phrase, and the blank before it, may be missing. */
static int parse_line(struct sl_http1_cursor *cursor, struct sl_http1_response *response)
{
    const uint8_t *at = cursor->at;
    const uint8_t *end = cursor->end;
    struct sl_http1_head *head = &response->head;
    if (end - at < STATUS_SIZE + 2 || memcmp(at, "HTTP/1.", 7) != 0 || at[8] != ' ') {
        return sl_http1_line_fail(at, end, 502, "malformed status line", head);
    }
    uint8_t minor = (uint8_t)(at[7] - '0');
    uint8_t digits[3] = {(uint8_t)(at[9] - '0'), (uint8_t)(at[10] - '0'), (uint8_t)(at[11] - '0')};
    if (minor > 9 || digits[0] < 1 || digits[0] > 9 || digits[1] > 9 || digits[2] > 9) {
        return sl_http1_line_fail(at, end, 502, "malformed version or status", head);
    }
    head->version_minor = minor > 0;
    response->status = digits[0] * 100 + digits[1] * 10 + digits[2];
    at += STATUS_SIZE;
    if (*at == ' ')
        at++;
    else if (*at != '\r')
        return sl_http1_line_fail(at, end, 502, "malformed status", head);
    const uint8_t *phrase = at;
    at = sl_http1_scan_value(cursor->base, at, end);
    if (at == end || (*at == '\r' && end - at == 1)) return 0;
    if (at[0] != '\r' || at[1] != '\n') {
        return sl_http1_line_fail(at, end, 502, "control character in the status line", head);
    }
    response->reason_phrase = sl_slice_make(phrase, (size_t)(at - phrase));
    cursor->at = at + 2;
    return 1;
}

/* RFC 9112 section 6.3. */
static void frame_body(struct sl_http1_response *response, enum sl_http1_method method)
{
    struct sl_http1_head *head = &response->head;
    int status = response->status;
    if (method == SL_HTTP1_METHOD_HEAD || status < 200 || status == 204 || status == 304 ||
        (method == SL_HTTP1_METHOD_CONNECT && status < 300)) {
        response->body = SL_HTTP1_BODY_NONE;
    } else if (head->chunked) {
        response->body = SL_HTTP1_BODY_CHUNKED;
    } else if (head->has_content_length) {
        response->body = head->content_length > 0 ? SL_HTTP1_BODY_LENGTH : SL_HTTP1_BODY_NONE;
    } else {
        response->body = SL_HTTP1_BODY_CLOSE;
        head->keep_alive = false;
    }
}

static int64_t parse(struct sl_http1_cursor *cursor, bool is_full, enum sl_http1_method method,
                     struct sl_http1_response *ret)
{
    int got = sl_http1_skip_empty_lines(cursor, &ret->head);
    if (got > 0) got = parse_line(cursor, ret);
    if (got > 0) got = sl_http1_parse_fields(cursor, &ret->head);
    if (got < 0) return -502;
    if (got == 0) return is_full ? fail(ret, "response head is too large") : 0;
    if (sl_http1_frame(&ret->head) < 0) return -502;
    frame_body(ret, method);
    return cursor->at - cursor->base;
}

int64_t sl_http1_parse_response(const uint8_t *data, size_t size, size_t scanned, size_t size_max,
                                enum sl_http1_method method, struct sl_http1_response *ret)
{
    sl_assert(data != NULL || size == 0);
    sl_assert(ret != NULL);
    sl_assert(scanned <= size);
    ret->status = 0;
    ret->reason_phrase = (struct sl_slice){NULL, 0};
    ret->body = SL_HTTP1_BODY_NONE;
    sl_http1_head_clear(&ret->head);
    if (size == 0) return 0;
    if (scanned > 0 && size < size_max && memchr(data + scanned, '\n', size - scanned) == NULL) {
        return 0;
    }
    size_t cut = size < size_max ? size : size_max;
    struct sl_http1_cursor cursor = {data, data, data + cut};
    return parse(&cursor, size >= size_max, method, ret);
}
