/* SPDX-License-Identifier: MIT */
/*
 * Writing. Containers that are open wait on a stack of frames; an Error is written as if it were
 * a map of the parts that are not null.
 */
#include "codecs/json/json.h"

#include <errno.h>
#include <math.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json_private.h"
#include "codecs/text/base64.h"
#include "codecs/text/number.h"
#include "codecs/text/time.h"
#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"

enum {
    WRITE_FRAMES_MAX = SL_PAYLOAD_DEPTH_MAX + 1,
    WRITE_CHUNK = 768, /* of a string at once: divides by three for base64 */
    WRITE_ROOM = 8192, /* of a counting output: more than any piece */
    WRITE_ESCAPE_MAX = 6,
    WRITE_PLAIN_MAX = 1024, /* longer strings are not tried as a whole */
};

static_assert(WRITE_CHUNK * WRITE_ESCAPE_MAX <= WRITE_ROOM, "a chunk of escapes fits");
static_assert(2 * WRITE_FRAMES_MAX + 2 <= WRITE_ROOM, "an indent fits");

struct frame {
    struct sl_value value;
    uint32_t index;   /* of the next child */
    uint32_t written; /* children written: parts of an Error may be left out */
};

struct writer {
    struct sl_out *out;
    uint32_t depth;
    bool pretty;
    struct frame frames[WRITE_FRAMES_MAX];
};

#define APPEND(writer, literal) sl_out_append((writer)->out, literal, sizeof(literal) - 1)

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

static uint8_t *put_escape(uint8_t *at, uint8_t byte)
{
    static const char names[] = "btn\0fr"; /* U+0008..U+000D; 0 for U+000B */
    static const char hex[] = "0123456789abcdef";
    *at++ = '\\';
    if (byte == '"' || byte == '\\') {
        *at++ = byte;
    } else if (byte >= 8 && byte <= 13 && names[byte - 8] != 0) {
        *at++ = (uint8_t)names[byte - 8];
    } else {
        memcpy(at, "u00", 3);
        at[3] = (uint8_t)hex[byte >> 4];
        at[4] = (uint8_t)hex[byte & 15];
        at += 5;
    }
    return at;
}

#define WRITE_ONES  UINT64_C(0x0101010101010101)
#define WRITE_HIGHS (WRITE_ONES << 7)

/* Not zero where the word has a quote, a backslash or a control character. */
static inline uint64_t word_needs_escape(uint64_t word)
{
    uint64_t quote = word ^ WRITE_ONES * '"', slash = word ^ WRITE_ONES * '\\';
    uint64_t control = (word - WRITE_ONES * 0x20) & ~word;
    return (((quote - WRITE_ONES) & ~quote) | ((slash - WRITE_ONES) & ~slash) | control) &
           WRITE_HIGHS;
}

typedef int8_t write_bytes __attribute__((vector_size(16)));

/* 16 bytes and more: copy them; false if one is not plain ASCII. */
static inline bool copy_plain16(uint8_t *to, const uint8_t *data, size_t size)
{
    write_bytes bytes, odd = {0};
    uint64_t halves[2];
    for (size_t at = 0;; at += sizeof(bytes)) {
        if (at + sizeof(bytes) > size) at = size - sizeof(bytes); /* the last ones overlap */
        memcpy(&bytes, data + at, sizeof(bytes));
        memcpy(to + at, &bytes, sizeof(bytes));
        odd |= (bytes == '"') | (bytes == '\\') | (bytes < 0x20); /* beyond ASCII is negative */
        if (at + sizeof(bytes) == size) break;
    }
    memcpy(halves, &odd, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

/*
 * Copy a string; false if a byte has to be escaped or is not ASCII: then nothing counts. Short
 * strings are two words that overlap.
 */
static inline bool copy_plain(uint8_t *to, const uint8_t *data, size_t size)
{
    uint64_t low = WRITE_ONES * 'a', high = low;
    if (size >= 16) return copy_plain16(to, data, size);
    if (size >= 8) {
        memcpy(&low, data, 8);
        memcpy(&high, data + size - 8, 8);
        memcpy(to, &low, 8);
        memcpy(to + size - 8, &high, 8);
    } else if (size >= 4) {
        memcpy(&low, data, 4);
        memcpy(&high, data + size - 4, 4);
        memcpy(to, &low, 4);
        memcpy(to + size - 4, &high, 4);
    } else {
        for (size_t at = 0; at < size; at++) to[at] = data[at];
        if (size > 0)
            low = (low & ~UINT64_C(0xffffff)) | data[0] | (uint64_t)data[size / 2] << 8 |
                  (uint64_t)data[size - 1] << 16;
    }
    return (word_needs_escape(low) | word_needs_escape(high) | ((low | high) & WRITE_HIGHS)) == 0;
}

/* At most WRITE_CHUNK bytes of UTF-8. */
static void write_chunk(struct writer *writer, const uint8_t *data, size_t size)
{
    uint8_t *to = sl_out_reserve(writer->out, size * WRITE_ESCAPE_MAX);
    if (to == NULL) return;
    const uint8_t *end = data + size;
    uint8_t *from_to = to;
    while (data < end) {
        uint64_t word;
        if (end - data >= 8) {
            memcpy(&word, data, 8);
            if (word_needs_escape(word) == 0) {
                memcpy(to, &word, 8);
                data += 8;
                to += 8;
                continue;
            }
        }
        uint8_t byte = *data++;
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            to = put_escape(to, byte);
        } else {
            *to++ = byte;
        }
    }
    writer->out->size += (size_t)(to - from_to);
}

/* Strings that are long, or not plain. */
static __attribute__((noinline)) void write_string_slow(struct writer *writer, struct sl_slice text)
{
    sl_out_append_byte(writer->out, '"');
    while (text.size > 0) {
        size_t valid = sl_utf8_valid_size(text.data, text.size);
        for (size_t at = 0; at < valid; at += WRITE_CHUNK) {
            size_t size = valid - at < WRITE_CHUNK ? valid - at : WRITE_CHUNK;
            write_chunk(writer, text.data + at, size);
        }
        text = sl_slice_make(text.data + valid, text.size - valid);
        if (text.size > 0) { /* a byte that is not UTF-8 */
            APPEND(writer, "\xef\xbf\xbd");
            text = sl_slice_make(text.data + 1, text.size - 1);
        }
        if (writer->out->error != 0) return;
    }
    sl_out_append_byte(writer->out, '"');
}

static void write_string(struct writer *writer, struct sl_slice text)
{
    if (text.size <= WRITE_PLAIN_MAX) {
        uint8_t *to = sl_out_reserve(writer->out, text.size + 2);
        if (to == NULL) return;
        if (copy_plain(to + 1, text.data, text.size)) {
            to[0] = '"';
            to[text.size + 1] = '"';
            writer->out->size += text.size + 2;
            return;
        }
    }
    write_string_slow(writer, text);
}

static void write_binary(struct writer *writer, struct sl_slice bytes)
{
    sl_out_append_byte(writer->out, '"');
    for (size_t at = 0; at < bytes.size; at += WRITE_CHUNK) {
        size_t size = bytes.size - at < WRITE_CHUNK ? bytes.size - at : WRITE_CHUNK;
        uint8_t *to = sl_out_reserve(writer->out, sl_base64_size(size));
        if (to == NULL) return;
        sl_base64_write(bytes.data + at, size, (char *)to);
        writer->out->size += sl_base64_size(size);
    }
    sl_out_append_byte(writer->out, '"');
}

/* ------------------------------------------------------------------------------------------ */
/* Values                                                                                       */

static void write_float(struct writer *writer, double value)
{
    if (!isfinite(value)) {
        APPEND(writer, "null");
        return;
    }
    char *to = (char *)sl_out_reserve(writer->out, SL_TEXT_FLOAT_SIZE);
    if (to != NULL) writer->out->size += sl_text_float_write(value, to);
}

static void write_instant(struct writer *writer, const struct sl_cell *cell)
{
    char text[SL_TEXT_TIME_SIZE];
    size_t size = cell->kind == SL_VALUE_TIME ? sl_text_time_write(cell->i64, cell->len, text)
                                              : sl_text_duration_write(cell->i64, cell->len, text);
    sl_out_append_byte(writer->out, '"');
    sl_out_append(writer->out, text, size);
    sl_out_append_byte(writer->out, '"');
}

static_assert(SL_TEXT_DURATION_SIZE <= SL_TEXT_TIME_SIZE, "one room for both");

static void write_scalar(struct writer *writer, struct sl_value value)
{
    const struct sl_cell *cell = value.cell;
    char *to;
    switch (cell->kind) {
    case SL_VALUE_NULL: APPEND(writer, "null"); return;
    case SL_VALUE_BOOL:
        if (cell->word != 0) {
            APPEND(writer, "true");
        } else {
            APPEND(writer, "false");
        }
        return;
    case SL_VALUE_INT:
        to = (char *)sl_out_reserve(writer->out, SL_TEXT_INT_SIZE);
        if (to != NULL) writer->out->size += sl_text_int_write(cell->i64, to);
        return;
    case SL_VALUE_UINT:
        to = (char *)sl_out_reserve(writer->out, SL_TEXT_INT_SIZE);
        if (to != NULL) writer->out->size += sl_text_uint_write(cell->word, to);
        return;
    case SL_VALUE_FLOAT: write_float(writer, cell->f64); return;
    case SL_VALUE_STRING: write_string(writer, sl_value_slice(value)); return;
    case SL_VALUE_BINARY: write_binary(writer, sl_value_slice(value)); return;
    case SL_VALUE_TIME:
    case SL_VALUE_DURATION: write_instant(writer, cell); return;
    default: sl_unreachable();
    }
}

static void write_newline(struct writer *writer)
{
    uint8_t *to = sl_out_reserve(writer->out, 1 + 2 * (size_t)writer->depth);
    if (to == NULL) return;
    to[0] = '\n';
    memset(to + 1, ' ', 2 * (size_t)writer->depth);
    writer->out->size += 1 + 2 * (size_t)writer->depth;
}

/* The common case of what follows: compact, and a key that is plain and not too long. */
static inline bool write_key_plain(struct writer *writer, struct frame *frame,
                                   const struct sl_slice *key)
{
    if (writer->pretty || key->size > WRITE_PLAIN_MAX) return false;
    uint8_t *to = sl_out_reserve(writer->out, key->size + 4);
    if (to == NULL) return true;
    size_t comma = frame->written > 0;
    to[0] = ',';
    to[comma] = '"';
    if (!copy_plain(to + comma + 1, key->data, key->size)) return false;
    to[comma + key->size + 1] = '"';
    to[comma + key->size + 2] = ':';
    writer->out->size += comma + key->size + 3;
    frame->written++;
    return true;
}

/* What stands before a child: comma, newline, key. */
static void write_lead(struct writer *writer, struct frame *frame, const struct sl_slice *key)
{
    if (key != NULL && write_key_plain(writer, frame, key)) return;
    if (frame->written++ > 0) sl_out_append_byte(writer->out, ',');
    if (writer->pretty) write_newline(writer);
    if (key == NULL) return;
    write_string(writer, *key);
    sl_out_append(writer->out, ": ", writer->pretty ? 2 : 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Containers                                                                                   */

/* In the order they are written. */
static const struct {
    uint8_t part;
    struct sl_slice name;
} error_parts[] = {
    {SL_ERROR_CODE, {(const uint8_t *)"code", 4}},
    {SL_ERROR_MESSAGE, {(const uint8_t *)"message", 7}},
    {SL_ERROR_STATUS, {(const uint8_t *)"status", 6}},
    {SL_ERROR_DATA, {(const uint8_t *)"data", 4}},
    {SL_ERROR_CAUSE, {(const uint8_t *)"cause", 5}},
};

static_assert(sizeof(error_parts) / sizeof(error_parts[0]) == SL_ERROR_CELLS, "every part");

/* True if `value` is the cause of the Error that is being written: then it has no wrapper. */
static bool is_cause(const struct writer *writer)
{
    if (writer->depth == 0) return false;
    const struct frame *frame = &writer->frames[writer->depth - 1];
    return frame->value.cell->kind == SL_VALUE_ERROR && frame->index > 0 &&
           error_parts[frame->index - 1].part == SL_ERROR_CAUSE;
}

static void container_begin(struct writer *writer, struct sl_value value)
{
    if (writer->depth == WRITE_FRAMES_MAX) {
        sl_out_fini(writer->out);
        writer->out->error = -E2BIG;
        return;
    }
    if (value.cell->kind == SL_VALUE_LIST) {
        sl_out_append_byte(writer->out, '[');
    } else if (value.cell->kind == SL_VALUE_MAP || is_cause(writer)) {
        sl_out_append_byte(writer->out, '{');
    } else if (writer->pretty) {
        APPEND(writer, "{\"error\": {");
    } else {
        APPEND(writer, "{\"error\":{");
    }
    writer->frames[writer->depth++] = (struct frame){value, 0, 0};
}

static void container_end(struct writer *writer)
{
    struct frame *frame = &writer->frames[--writer->depth];
    uint8_t kind = frame->value.cell->kind;
    if (writer->pretty && frame->written > 0) write_newline(writer);
    sl_out_append_byte(writer->out, kind == SL_VALUE_LIST ? ']' : '}');
    if (kind == SL_VALUE_ERROR && !is_cause(writer)) sl_out_append_byte(writer->out, '}');
}

/* The next child of the innermost container, its key already written; false if it has ended. */
static bool child_next(struct writer *writer, struct sl_value *ret_value)
{
    struct frame *frame = &writer->frames[writer->depth - 1];
    struct sl_value value = frame->value;
    if (value.cell->kind == SL_VALUE_LIST) {
        if (frame->index == value.cell->len) return false;
        *ret_value = sl_value_list_at(value, frame->index++);
        write_lead(writer, frame, NULL);
        return true;
    }
    if (value.cell->kind == SL_VALUE_MAP) {
        if (frame->index == value.cell->len) return false;
        struct sl_slice key = sl_value_key_at(value, frame->index);
        *ret_value = sl_value_map_at(value, frame->index++);
        write_lead(writer, frame, &key);
        return true;
    }
    while (frame->index < SL_ERROR_CELLS) {
        uint32_t index = frame->index++;
        *ret_value = sl_error_part(value, error_parts[index].part);
        if (sl_value_is(*ret_value, SL_VALUE_NULL)) continue;
        write_lead(writer, frame, &error_parts[index].name);
        return true;
    }
    return false;
}

int sl_json_write(struct sl_value value, uint32_t flags, struct sl_out *out)
{
    sl_assert(value.cell != NULL);
    sl_assert(out != NULL);
    sl_assert((flags & ~(uint32_t)SL_JSON_PRETTY) == 0);
    struct writer writer;
    writer.out = out;
    writer.depth = 0;
    writer.pretty = (flags & SL_JSON_PRETTY) != 0;
    for (;;) {
        if (value.cell->kind >= SL_VALUE_LIST && value.cell->kind <= SL_VALUE_ERROR) {
            container_begin(&writer, value);
        } else {
            write_scalar(&writer, value);
        }
        if (out->error != 0) return out->error;
        while (writer.depth > 0 && !child_next(&writer, &value)) container_end(&writer);
        if (writer.depth == 0) return out->error;
    }
}

int sl_json_size(struct sl_value value, uint32_t flags, uint64_t *ret_size)
{
    sl_assert(ret_size != NULL);
    uint8_t room[WRITE_ROOM];
    struct sl_out out;
    sl_out_init_counting(&out, room, sizeof(room));
    int result = sl_json_write(value, flags, &out);
    if (result < 0) return result;
    *ret_size = sl_out_count(&out);
    return 0;
}
