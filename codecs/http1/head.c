/* SPDX-License-Identifier: MIT */
/*
 * Field lines and framing, shared by requests and responses.
 */
#include "codecs/http1/head.h"

#include <string.h>

#include "codecs/http1/scan.h"
#include "core/base/assertion.h"

enum { EMPTY_LINES_MAX = 4, CONTENT_LENGTH_DIGITS_MAX = 18 };

enum {
    FRAMING_BITS = 1 << SL_HTTP1_HEADER_CONTENT_LENGTH | 1 << SL_HTTP1_HEADER_TRANSFER_ENCODING |
                   1 << SL_HTTP1_HEADER_CONNECTION | 1 << SL_HTTP1_HEADER_UPGRADE,
};

static_assert(SL_HTTP1_HEADER_UPGRADE < 8, "head->seen has a bit for each");

/* Bits: SL_HTTP1_TOKEN, SL_HTTP1_VALUE, SL_HTTP1_TARGET, SL_HTTP1_HOST, SL_HTTP1_HOST_PLAIN. */
const uint8_t sl_http1_bytes[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  2,  15, 2,  3,  15, 15, 15, 15, 14, 14, 15, 15, 6,  31, 31, 6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 14, 2,  14, 2,  6,  6,  31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 6,  14, 7,  15,
    7,  31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 6,  7,  6,  15, 0,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
};

int sl_http1_line_fail(const uint8_t *from, const uint8_t *end, int status, const char *reason,
                       struct sl_http1_head *head)
{
    if (from == end || memchr(from, '\n', (size_t)(end - from)) == NULL) return 0;
    head->reason = reason;
    return -status;
}

int sl_http1_skip_empty_lines(struct sl_http1_cursor *cursor, struct sl_http1_head *head)
{
    for (int i = 0; cursor->at < cursor->end; i++) {
        if (*cursor->at != '\r' && *cursor->at != '\n') return 1;
        if (cursor->end - cursor->at == 1 && *cursor->at == '\r') return 0;
        if (i == EMPTY_LINES_MAX || cursor->at[0] != '\r' || cursor->at[1] != '\n') {
            return sl_http1_line_fail(cursor->at, cursor->end, 400, "no start line", head);
        }
        cursor->at += 2;
    }
    return 0;
}

static __attribute__((cold, noinline)) int field_fail(const struct sl_http1_cursor *cursor,
                                                      const uint8_t *line, const uint8_t *at,
                                                      struct sl_http1_head *head)
{
    const char *reason = "character not allowed in a field name";
    if (*line == ' ' || *line == '\t') reason = "folded or indented field line";
    if (*line == ':') reason = "field without a name";
    if (*line == '\r') reason = "carriage return without line feed";
    if (at > line && (*at == ' ' || *at == '\t')) reason = "blank between field name and colon";
    if (*at == '\n' || *at == '\r') reason = "field line without a colon or with a bare line end";
    return sl_http1_line_fail(at, cursor->end, 400, reason, head);
}

static inline bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/*
 * One field line: 1, 0 or -400. The caller knows that there is room for it.
 *
 * The ends of name and line are both looked for from the line's begin: neither search waits for
 * the other, which is most of what a line costs. A token has nothing that ends a line.
 */
static inline int parse_field(struct sl_http1_cursor *cursor, struct sl_http1_header *field,
                              struct sl_http1_head *head)
{
    const uint8_t *end = cursor->end;
    const uint8_t *name = cursor->at;
    const uint8_t *line_end = sl_http1_scan_value(cursor->base, name, end);
    const uint8_t *value = sl_http1_scan_token(cursor->base, name, end);
    if (value == end) return 0;
    if (__builtin_expect(*value != ':' || value == name, 0)) {
        return field_fail(cursor, name, value, head);
    }
    if (__builtin_expect(end - line_end < 2, 0)) {
        if (line_end == end || *line_end == '\r') return 0;
    }
    if (__builtin_expect(line_end[0] != '\r' || line_end[1] != '\n', 0)) {
        return sl_http1_line_fail(line_end, end, 400, "control character in a field value", head);
    }
    field->name = sl_slice_make(name, (size_t)(value - name));
    cursor->at = line_end + 2;
    value++;
    while (value < line_end && is_blank(*value)) value++;
    while (line_end > value && is_blank(line_end[-1])) line_end--;
    field->value = sl_slice_make(value, (size_t)(line_end - value));
    field->id = sl_http1_header_find(field->name);
    return 1;
}

/* Names that a lax reader may take for those that decide about framing. */
static bool is_lookalike(struct sl_slice name)
{
    return sl_slice_eq_nocase(name, SL_SLICE("transfer_encoding")) ||
           sl_slice_eq_nocase(name, SL_SLICE("content_length"));
}

/* Remember which of the fields that the parser itself reads are there. 0 or -400. */
static inline int note_field(struct sl_http1_head *head, const struct sl_http1_header *field,
                             uint32_t index)
{
    if (field->id > SL_HTTP1_HEADER_UPGRADE) return 0;
    if (field->id == SL_HTTP1_HEADER_OTHER) {
        size_t size = field->name.size;
        if (__builtin_expect(size != 14 && size != 17, 1) || !is_lookalike(field->name)) return 0;
        head->reason = "underscore in the name of a framing field";
        return -400;
    }
    uint8_t bit = (uint8_t)(1u << field->id);
    if (field->id == SL_HTTP1_HEADER_HOST && (head->seen & bit) == 0) {
        head->host_index = (uint16_t)index;
    }
    head->seen_again |= head->seen & bit;
    head->seen |= bit;
    return 0;
}

int sl_http1_parse_fields(struct sl_http1_cursor *cursor, struct sl_http1_head *head)
{
    uint32_t count = 0;
    while (cursor->end - cursor->at >= 2) {
        const uint8_t *at = cursor->at;
        if (at[0] == '\r') {
            if (at[1] != '\n') return field_fail(cursor, at, at, head);
            cursor->at += 2;
            head->headers_count = count;
            return 1;
        }
        if (__builtin_expect(count == SL_HTTP_HEADERS_MAX, 0)) {
            return sl_http1_line_fail(at, cursor->end, 431, "too many header fields", head);
        }
        int got = parse_field(cursor, &head->headers[count], head);
        if (got <= 0) return got;
        if (note_field(head, &head->headers[count], count) < 0) return -400;
        count++;
    }
    if (cursor->at < cursor->end && *cursor->at == '\n') {
        return field_fail(cursor, cursor->at, cursor->at, head);
    }
    return 0;
}

/* The next member of a comma-separated list, trimmed; empty members are skipped. */
static bool list_next(struct sl_slice *rest, struct sl_slice *ret_item)
{
    while (rest->size > 0) {
        const uint8_t *comma = memchr(rest->data, ',', rest->size);
        size_t size = comma != NULL ? (size_t)(comma - rest->data) : rest->size;
        struct sl_slice item = {rest->data, size};
        size_t skip = size + (comma != NULL ? 1 : 0);
        rest->data += skip;
        rest->size -= skip;
        while (item.size > 0 && is_blank(item.data[0])) {
            item.data++;
            item.size--;
        }
        while (item.size > 0 && is_blank(item.data[item.size - 1])) item.size--;
        if (item.size == 0) continue;
        *ret_item = item;
        return true;
    }
    return false;
}

bool sl_http1_list_has(struct sl_slice value, struct sl_slice token)
{
    struct sl_slice item;
    while (list_next(&value, &item)) {
        if (sl_slice_eq_nocase(item, token)) return true;
    }
    return false;
}

static int frame_fail(struct sl_http1_head *head, int status, const char *reason)
{
    head->reason = reason;
    return -status;
}

static int frame_content_length(struct sl_http1_head *head, struct sl_slice value)
{
    if (head->has_content_length) return frame_fail(head, 400, "several Content-Length fields");
    if (value.size == 0) return frame_fail(head, 400, "empty Content-Length");
    if (value.size > CONTENT_LENGTH_DIGITS_MAX) {
        return frame_fail(head, 400, "Content-Length is too large");
    }
    if (value.size > 1 && value.data[0] == '0') {
        return frame_fail(head, 400, "Content-Length with leading zeros");
    }
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t digit = (uint8_t)(value.data[i] - '0');
        if (digit > 9) return frame_fail(head, 400, "Content-Length is not a number");
        length = length * 10 + digit;
    }
    head->has_content_length = true;
    head->content_length = length;
    return 0;
}

static int frame_transfer_encoding(struct sl_http1_head *head, struct sl_slice value)
{
    if (head->chunked) return frame_fail(head, 400, "several Transfer-Encoding fields");
    head->chunked = true;
    if (sl_slice_eq_nocase(value, SL_SLICE("chunked"))) return 0;
    struct sl_slice item;
    struct sl_slice last = {NULL, 0};
    uint32_t count = 0;
    uint32_t chunked_count = 0;
    while (list_next(&value, &item)) {
        if (sl_slice_eq_nocase(item, SL_SLICE("chunked"))) chunked_count++;
        const uint8_t *end = item.data + item.size;
        if (sl_http1_scan_plain(item.data, end, SL_HTTP1_TOKEN) != end) {
            return frame_fail(head, 400, "malformed Transfer-Encoding");
        }
        last = item;
        count++;
    }
    if (count > 1 && chunked_count == 1 && sl_slice_eq_nocase(last, SL_SLICE("chunked"))) {
        return frame_fail(head, 501, "transfer coding other than chunked");
    }
    return frame_fail(head, 400, "Transfer-Encoding does not end in one chunked");
}

static int frame_field(struct sl_http1_head *head, const struct sl_http1_header *field, bool *close,
                       bool *keep)
{
    switch (field->id) {
    case SL_HTTP1_HEADER_CONTENT_LENGTH: return frame_content_length(head, field->value);
    case SL_HTTP1_HEADER_TRANSFER_ENCODING: return frame_transfer_encoding(head, field->value);
    case SL_HTTP1_HEADER_CONNECTION:
        *close |= sl_http1_list_has(field->value, SL_SLICE("close"));
        *keep |= sl_http1_list_has(field->value, SL_SLICE("keep-alive"));
        head->connection_upgrade |= sl_http1_list_has(field->value, SL_SLICE("upgrade"));
        return 0;
    case SL_HTTP1_HEADER_UPGRADE: head->upgrade = field->value; return 0;
    default: return 0;
    }
}

int sl_http1_frame(struct sl_http1_head *head)
{
    bool close = false;
    bool keep = false;
    uint32_t count = (head->seen & FRAMING_BITS) != 0 ? head->headers_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_http1_header *field = &head->headers[i];
        if (field->id > SL_HTTP1_HEADER_UPGRADE) continue;
        int err = frame_field(head, field, &close, &keep);
        if (err < 0) return err;
    }
    if (head->chunked && head->has_content_length) {
        return frame_fail(head, 400, "Content-Length beside Transfer-Encoding");
    }
    if (head->chunked && head->version_minor == 0) {
        return frame_fail(head, 400, "Transfer-Encoding in HTTP/1.0");
    }
    head->keep_alive = !close && (head->version_minor > 0 || keep);
    return 0;
}

const struct sl_http1_header *sl_http1_head_find(const struct sl_http1_head *head,
                                                 enum sl_http1_header_id id)
{
    sl_assert(head != NULL);
    for (uint32_t i = 0; i < head->headers_count; i++) {
        if (head->headers[i].id == id) return &head->headers[i];
    }
    return NULL;
}
