/* SPDX-License-Identifier: MIT */
/* The response reader: a state per part of the message, a line at a time. */
#include "bench/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/assertion.h"
#include "core/base/slice.h"

void sl_response_fini(struct sl_response *response)
{
    free(response->line);
    response->line = NULL;
    response->line_cap = 0;
    response->line_size = 0;
}

void sl_response_reset(struct sl_response *response, bool is_head)
{
    response->state = SL_RESPONSE_STATUS;
    response->status = 0;
    response->keep_alive = true;
    response->is_head = is_head;
    response->has_length = false;
    response->has_chunks = false;
    response->is_http10 = false;
    response->remaining = 0;
    response->body_size = 0;
    response->line_size = 0;
    response->fault = NULL;
}

static int fault(struct sl_response *response, const char *text)
{
    response->fault = text;
    return -EPROTO;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int status_line(struct sl_response *response, struct sl_slice line)
{
    const uint8_t *at = line.data;
    if (line.size < 12 || memcmp(at, "HTTP/1.", 7) != 0 || !is_digit(at[7]) || at[8] != ' ') {
        return fault(response, "the reply does not begin with HTTP/1.x and a status");
    }
    if (!is_digit(at[9]) || !is_digit(at[10]) || !is_digit(at[11]) ||
        (line.size > 12 && at[12] != ' ')) {
        return fault(response, "the status is not three digits");
    }
    response->status = (uint16_t)((at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0'));
    response->is_http10 = at[7] == '0';
    response->keep_alive = !response->is_http10;
    response->has_length = false;
    response->has_chunks = false;
    response->state = SL_RESPONSE_HEADER;
    return 0;
}

static int length_header(struct sl_response *response, struct sl_slice value)
{
    uint64_t length = 0;
    if (value.size == 0 || value.size > 18) return fault(response, "bad Content-Length");
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.data[i])) return fault(response, "bad Content-Length");
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (response->has_length && response->remaining != length) {
        return fault(response, "two different Content-Length");
    }
    response->has_length = true;
    response->remaining = length;
    return 0;
}

static struct sl_slice trim(struct sl_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* True if a comma-separated list has `word` as one element. */
static bool list_has(struct sl_slice list, struct sl_slice word)
{
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        size_t size = comma != NULL ? (size_t)(comma - list.data) : list.size;
        if (sl_slice_eq_nocase(trim(sl_slice_make(list.data, size)), word)) return true;
        if (comma == NULL) return false;
        list = sl_slice_make(comma + 1, list.size - size - 1);
    }
    return false;
}

static int header_line(struct sl_response *response, struct sl_slice line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (colon == NULL || colon == line.data) return fault(response, "a header without a name");
    struct sl_slice name = sl_slice_make(line.data, (size_t)(colon - line.data));
    /* Only three names matter; their lengths tell them from nearly all others. */
    if (name.size != 14 && name.size != 17 && name.size != 10) return 0;
    struct sl_slice value = trim(sl_slice_make(colon + 1, line.size - name.size - 1));
    if (sl_slice_eq_nocase(name, SL_SLICE("content-length"))) return length_header(response, value);
    if (sl_slice_eq_nocase(name, SL_SLICE("transfer-encoding"))) {
        if (response->has_chunks) return fault(response, "two Transfer-Encoding");
        if (!sl_slice_eq_nocase(value, SL_SLICE("chunked"))) {
            return fault(response, "a Transfer-Encoding other than chunked");
        }
        response->has_chunks = true;
    } else if (sl_slice_eq_nocase(name, SL_SLICE("connection"))) {
        if (list_has(value, SL_SLICE("close"))) response->keep_alive = false;
        if (response->is_http10 && list_has(value, SL_SLICE("keep-alive"))) {
            response->keep_alive = true;
        }
    }
    return 0;
}

/* The empty line after the headers: what kind of body follows? */
static int head_end(struct sl_response *response)
{
    if (response->status >= 100 && response->status < 200) {
        if (response->status == 101) return fault(response, "the server switched protocols");
        response->state = SL_RESPONSE_STATUS;
        return 0;
    }
    if (response->has_chunks && response->has_length) {
        return fault(response, "Content-Length together with chunks");
    }
    bool empty = response->is_head || response->status == 204 || response->status == 304;
    if (empty || (response->has_length && response->remaining == 0)) {
        response->state = SL_RESPONSE_DONE;
    } else if (response->has_chunks) {
        response->state = SL_RESPONSE_CHUNK_SIZE;
    } else if (response->has_length) {
        response->state = SL_RESPONSE_BODY_LENGTH;
    } else {
        response->state = SL_RESPONSE_BODY_CLOSE;
        response->keep_alive = false;
    }
    return 0;
}

static int chunk_line(struct sl_response *response, struct sl_slice line)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < line.size; digits++) {
        uint8_t c = line.data[digits];
        uint8_t lower = (uint8_t)(c | 0x20);
        bool is_hex = is_digit(c) || (lower >= 'a' && lower <= 'f');
        if (!is_hex) break;
        if (digits == 15) return fault(response, "a chunk size too large");
        size = size * 16 + (uint64_t)(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    bool ends = digits == line.size || line.data[digits] == ';' || line.data[digits] == ' ';
    if (digits == 0 || !ends) return fault(response, "bad chunk size");
    response->remaining = size;
    response->state = size == 0 ? SL_RESPONSE_TRAILER : SL_RESPONSE_CHUNK_DATA;
    return 0;
}

static int line_apply(struct sl_response *response, struct sl_slice line)
{
    switch (response->state) {
    case SL_RESPONSE_STATUS: return status_line(response, line);
    case SL_RESPONSE_HEADER:
        return line.size == 0 ? head_end(response) : header_line(response, line);
    case SL_RESPONSE_CHUNK_SIZE: return chunk_line(response, line);
    case SL_RESPONSE_CHUNK_END:
        if (line.size != 0) return fault(response, "a chunk longer than it said");
        response->state = SL_RESPONSE_CHUNK_SIZE;
        return 0;
    case SL_RESPONSE_TRAILER:
        if (line.size == 0) response->state = SL_RESPONSE_DONE;
        return 0;
    default: sl_unreachable();
    }
}

/* Keep the beginning of a line that the buffer's end cut. */
static int line_keep(struct sl_response *response, const uint8_t *data, size_t size)
{
    size_t need = response->line_size + size;
    if (need > SL_RESPONSE_LINE_SIZE_MAX) return fault(response, "a line too long");
    if (need > response->line_cap) {
        char *line = realloc(response->line, SL_RESPONSE_LINE_SIZE_MAX);
        if (line == NULL) return -ENOMEM;
        response->line = line;
        response->line_cap = SL_RESPONSE_LINE_SIZE_MAX;
    }
    memcpy(response->line + response->line_size, data, size);
    response->line_size = need;
    return 0;
}

/* Take one line, or keep its beginning. */
static int line_feed(struct sl_response *response, const uint8_t *data, size_t size, size_t *used)
{
    const uint8_t *newline = memchr(data, '\n', size);
    if (newline == NULL) {
        *used = size;
        return line_keep(response, data, size);
    }
    *used = (size_t)(newline - data) + 1;
    struct sl_slice line = sl_slice_make(data, *used - 1);
    if (response->line_size > 0) {
        int err = line_keep(response, data, *used - 1);
        if (err < 0) return err;
        line = sl_slice_make(response->line, response->line_size);
        response->line_size = 0;
    }
    if (line.size > 0 && line.data[line.size - 1] == '\r') line.size--;
    return line_apply(response, line);
}

static void body_take(struct sl_response *response, const uint8_t *data, size_t size)
{
    response->body_size += size;
    if (response->body != NULL && size > 0) response->body(response->body_ctx, data, size);
}

/* Take body bytes of known extent. */
static size_t body_feed(struct sl_response *response, const uint8_t *data, size_t size)
{
    size_t part = size < response->remaining ? size : (size_t)response->remaining;
    body_take(response, data, part);
    response->remaining -= part;
    if (response->remaining == 0) {
        response->state =
            response->state == SL_RESPONSE_CHUNK_DATA ? SL_RESPONSE_CHUNK_END : SL_RESPONSE_DONE;
    }
    return part;
}

int sl_response_feed(struct sl_response *response, const uint8_t *data, size_t size,
                     size_t *ret_used)
{
    sl_assert(response != NULL);
    size_t at = 0;
    while (at < size && response->state != SL_RESPONSE_DONE) {
        size_t used = 0;
        int err = 0;
        if (response->state == SL_RESPONSE_BODY_LENGTH ||
            response->state == SL_RESPONSE_CHUNK_DATA) {
            used = body_feed(response, data + at, size - at);
        } else if (response->state == SL_RESPONSE_BODY_CLOSE) {
            used = size - at;
            body_take(response, data + at, used);
        } else {
            err = line_feed(response, data + at, size - at, &used);
        }
        if (err < 0) return err;
        at += used;
    }
    *ret_used = at;
    return 0;
}

int sl_response_end(struct sl_response *response)
{
    if (response->state != SL_RESPONSE_BODY_CLOSE) return -EPIPE;
    response->state = SL_RESPONSE_DONE;
    return 0;
}
