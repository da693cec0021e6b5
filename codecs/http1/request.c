/* SPDX-License-Identifier: MIT */
/*
 * Request heads: the request line, its target in four forms, Host, and what follows from them.
 */
#include <string.h>

#include "codecs/http1/head.h"
#include "codecs/http1/scan.h"
#include "core/base/assertion.h"

/* " HTTP/1.1\r\n" */
enum { VERSION_TAIL_SIZE = 11 };

static int fail(struct sl_http1_request *request, int status, const char *reason)
{
    request->head.reason = reason;
    return -status;
}

/* What stands behind the target, when it is not " HTTP/1.1\r\n" or " HTTP/1.0\r\n". */
static __attribute__((cold, noinline)) int version_fail(const struct sl_http1_cursor *cursor,
                                                        struct sl_http1_request *request)
{
    const uint8_t *at = cursor->at;
    const uint8_t *end = cursor->end;
    if (at < end && *at != ' ') {
        return sl_http1_line_fail(at, end, 400, "character not allowed in the request line",
                                  &request->head);
    }
    if (end - at < VERSION_TAIL_SIZE || memcmp(at, " HTTP/", 6) != 0 || at[7] != '.' ||
        (uint8_t)(at[6] - '0') > 9 || (uint8_t)(at[8] - '0') > 9 || at[9] != '\r' ||
        at[10] != '\n') {
        return sl_http1_line_fail(at, end, 400, "malformed request line", &request->head);
    }
    return sl_http1_line_fail(at, end, 505, "HTTP version is not 1.x", &request->head);
}

/* 1: the version is read, cursor is behind the line; 0; -400; -505. */
static inline int parse_version(struct sl_http1_cursor *cursor, struct sl_http1_request *request)
{
    const uint8_t *at = cursor->at;
    if (__builtin_expect(cursor->end - at < VERSION_TAIL_SIZE, 0)) {
        return version_fail(cursor, request);
    }
    if (__builtin_expect(memcmp(at, " HTTP/1.", 8) != 0, 0)) return version_fail(cursor, request);
    uint8_t minor = (uint8_t)(at[8] - '0');
    if (__builtin_expect(minor > 9 || at[9] != '\r' || at[10] != '\n', 0)) {
        return version_fail(cursor, request);
    }
    request->head.version_minor = minor > 0;
    cursor->at = at + VERSION_TAIL_SIZE;
    return 1;
}

/* Method and the blank behind it: 1, 0 or -400. */
static inline int parse_method(struct sl_http1_cursor *cursor, struct sl_http1_request *request)
{
    const uint8_t *method = cursor->at;
    if (__builtin_expect(cursor->end - method >= 8, 1)) {
        /* The common ones by one compare: no chain of loads from here to the target. */
        if (memcmp(method, "GET ", 4) == 0) {
            request->method = sl_slice_make(method, 3);
            request->method_id = SL_HTTP1_METHOD_GET;
            cursor->at = method + 4;
            return 1;
        }
        if (memcmp(method, "POST ", 5) == 0) {
            request->method = sl_slice_make(method, 4);
            request->method_id = SL_HTTP1_METHOD_POST;
            cursor->at = method + 5;
            return 1;
        }
    }
    const uint8_t *at = sl_http1_scan_token(cursor->base, method, cursor->end);
    if (at == cursor->end) return 0;
    if (__builtin_expect(*at != ' ' || at == method, 0)) {
        return sl_http1_line_fail(at, cursor->end, 400, "malformed method", &request->head);
    }
    request->method = sl_slice_make(method, (size_t)(at - method));
    request->method_id = sl_http1_method_find(request->method);
    cursor->at = at + 1;
    return 1;
}

/* Method, target and version: 1, 0 or minus a status. */
static inline int parse_line(struct sl_http1_cursor *cursor, struct sl_http1_request *request,
                             const uint8_t **ret_question)
{
    int got = parse_method(cursor, request);
    if (got <= 0) return got;
    const uint8_t *target = cursor->at;
    const uint8_t *at = sl_http1_scan_target(cursor->base, target, cursor->end, ret_question);
    request->target = sl_slice_make(target, (size_t)(at - target));
    cursor->at = at;
    if (__builtin_expect(at == target, 0)) {
        return sl_http1_line_fail(at, cursor->end, 400, "empty or malformed target",
                                  &request->head);
    }
    return parse_version(cursor, request);
}

/* Split `text` at `question`, its first question mark or NULL, into path and query. */
static inline void split_query(struct sl_http1_request *request, struct sl_slice text,
                               const uint8_t *question)
{
    request->path = text;
    if (question == NULL) return;
    request->path.size = (size_t)(question - text.data);
    request->query = sl_slice_make(question + 1, text.size - request->path.size - 1);
    request->has_query = true;
}

/* host or host:port; `[` and `]` only around the host. */
static bool host_is_valid_slow(struct sl_slice host)
{
    const uint8_t *at = host.data;
    const uint8_t *end = at + host.size;
    if (host.size == 0 || sl_http1_scan_plain(at, end, SL_HTTP1_HOST) != end) return false;
    const uint8_t *port = NULL;
    if (*at == '[') {
        const uint8_t *close = memchr(at, ']', host.size);
        if (close == NULL || close - at < 3) return false;
        for (const uint8_t *p = at + 1; p < close; p++) {
            if (*p == '[' || *p == '%') return false;
        }
        port = close + 1;
        if (port < end && *port != ':') return false;
    } else {
        if (memchr(at, '[', host.size) != NULL || memchr(at, ']', host.size) != NULL) return false;
        port = memchr(at, ':', host.size);
        if (port == at) return false;
        if (port == NULL) port = end;
    }
    uint32_t number = 0;
    for (const uint8_t *p = port + 1; p < end; p++) {
        if ((uint8_t)(*p - '0') > 9) return false;
        number = number * 10 + (uint32_t)(*p - '0');
        if (number > 65535) return false;
    }
    return true;
}

/* The same; the common case is letters, digits, dashes and dots, perhaps with a port. */
static inline bool host_is_valid(const uint8_t *base, struct sl_slice host)
{
    const uint8_t *end = host.data + host.size;
    const uint8_t *at = sl_http1_scan_host(base, host.data, end);
    if (at == end && host.size > 0) return true;
    if (at > host.data && *at == ':' && end - at <= 5) {
        do {
            at++;
        } while (at < end && (uint8_t)(*at - '0') <= 9);
        if (at == end) return true;
    }
    return host_is_valid_slow(host);
}

/* Absolute form: scheme://authority[/path][?query]. */
static int parse_absolute(struct sl_http1_request *request)
{
    struct sl_slice target = request->target;
    size_t scheme_size = target.size > 4 && (target.data[4] | 0x20) == 's' ? 5 : 4;
    if (target.size < scheme_size + 3 ||
        !sl_slice_eq_nocase(sl_slice_make(target.data, 4), SL_SLICE("http")) ||
        memcmp(target.data + scheme_size, "://", 3) != 0) {
        return fail(request, 400, "target is neither a path nor an http URI");
    }
    request->form = SL_HTTP1_ABSOLUTE;
    request->scheme = sl_slice_make(target.data, scheme_size);
    const uint8_t *authority = target.data + scheme_size + 3;
    const uint8_t *end = target.data + target.size;
    const uint8_t *at = authority;
    while (at < end && *at != '/' && *at != '?') at++;
    request->host = sl_slice_make(authority, (size_t)(at - authority));
    split_query(request, sl_slice_make(at, (size_t)(end - at)),
                memchr(at, '?', (size_t)(end - at)));
    if (request->path.size == 0) request->path = SL_SLICE("/");
    if (!host_is_valid(authority, request->host)) {
        return fail(request, 400, "malformed host in the target");
    }
    return 0;
}

/* The forms that are not a path. */
static __attribute__((cold, noinline)) int parse_target_other(struct sl_http1_request *request)
{
    if (request->method_id == SL_HTTP1_METHOD_CONNECT) {
        request->form = SL_HTTP1_AUTHORITY;
        request->host = request->target;
        request->path = request->target;
        request->path.size = 0;
        const uint8_t *colon = memrchr(request->target.data, ':', request->target.size);
        const uint8_t *end = request->target.data + request->target.size;
        if (!host_is_valid(request->target.data, request->target) || colon == NULL ||
            colon + 1 == end) {
            return fail(request, 400, "CONNECT needs host:port");
        }
        return 0;
    }
    if (sl_slice_eq_str(request->target, "*")) {
        request->form = SL_HTTP1_ASTERISK;
        request->path = request->target;
        if (request->method_id == SL_HTTP1_METHOD_OPTIONS) return 0;
        return fail(request, 400, "target * belongs to OPTIONS");
    }
    return parse_absolute(request);
}

static inline int parse_target(struct sl_http1_request *request, const uint8_t *question)
{
    if (__builtin_expect(request->target.data[0] != '/', 0) ||
        __builtin_expect(request->method_id == SL_HTTP1_METHOD_CONNECT, 0)) {
        return parse_target_other(request);
    }
    split_query(request, request->target, question);
    return 0;
}

/* Host, and in absolute form whether the two agree. RFC 9112 section 3.2. */
static inline int check_host(struct sl_http1_request *request)
{
    const struct sl_http1_head *head = &request->head;
    if (!sl_http1_head_has(head, SL_HTTP1_HEADER_HOST)) {
        return head->version_minor == 0 ? 0 : fail(request, 400, "no Host field");
    }
    if (head->seen_again >> SL_HTTP1_HEADER_HOST & 1) {
        return fail(request, 400, "several Host fields");
    }
    struct sl_slice host = head->headers[head->host_index].value;
    if (!host_is_valid(request->method.data, host)) return fail(request, 400, "malformed Host");
    if (request->form == SL_HTTP1_ABSOLUTE && !sl_slice_eq_nocase(host, request->host)) {
        return fail(request, 400, "Host differs from the target");
    }
    if (request->form != SL_HTTP1_AUTHORITY) request->host = host;
    return 0;
}

static __attribute__((noinline)) int check_expect(struct sl_http1_request *request)
{
    const struct sl_http1_header *field =
        sl_http1_head_find(&request->head, SL_HTTP1_HEADER_EXPECT);
    if (field == NULL || request->head.version_minor == 0) return 0;
    if (!sl_slice_eq_nocase(field->value, SL_SLICE("100-continue"))) {
        return fail(request, 417, "unknown expectation");
    }
    request->expect_continue = request->head.chunked || request->head.content_length > 0;
    return 0;
}

/* What can be said when all lines are there: 0 or minus a status. */
static inline int check_request(struct sl_http1_request *request, const uint8_t *question)
{
    int err = parse_target(request, question);
    if (err == 0) err = sl_http1_frame(&request->head);
    if (err == 0) err = check_host(request);
    if (err == 0 && sl_http1_head_has(&request->head, SL_HTTP1_HEADER_EXPECT)) {
        err = check_expect(request);
    }
    if (err < 0) return err;
    if (__builtin_expect(request->method_id == SL_HTTP1_METHOD_TRACE, 0) &&
        (request->head.chunked || request->head.content_length > 0)) {
        return fail(request, 400, "TRACE with a body");
    }
    return 0;
}

/* Field by field: a memset of this odd size becomes a slow `rep stos`. */
static inline void clear(struct sl_http1_request *request)
{
    const struct sl_slice none = {NULL, 0};
    request->method = none;
    request->target = none;
    request->scheme = none;
    request->path = none;
    request->query = none;
    request->host = none;
    request->method_id = SL_HTTP1_METHOD_OTHER;
    request->form = SL_HTTP1_ORIGIN;
    request->has_query = false;
    request->expect_continue = false;
    sl_http1_head_clear(&request->head);
}

int64_t sl_http1_parse_request(const uint8_t *data, size_t size, size_t scanned, size_t size_max,
                               struct sl_http1_request *ret)
{
    sl_assert(data != NULL || size == 0);
    sl_assert(ret != NULL);
    sl_assert(scanned <= size);
    clear(ret);
    if (size == 0) return 0;
    size_t cut = size < size_max ? size : size_max;
    struct sl_http1_cursor cursor = {data, data, data + cut};
    if (scanned == 0 || size >= size_max || memchr(data + scanned, '\n', size - scanned) != NULL) {
        const uint8_t *question = NULL;
        int got = 1;
        if (*data == '\r' || *data == '\n') got = sl_http1_skip_empty_lines(&cursor, &ret->head);
        if (got > 0) got = parse_line(&cursor, ret, &question);
        if (got < 0) return got;
        bool has_line = got > 0;
        if (has_line) got = sl_http1_parse_fields(&cursor, &ret->head);
        if (got < 0) return got;
        if (got > 0) {
            int err = check_request(ret, question);
            return err < 0 ? err : cursor.at - data;
        }
        if (size >= size_max && has_line) return fail(ret, 431, "header fields are too large");
        if (size >= size_max) return fail(ret, 414, "request line is too long");
    }
    return 0;
}
