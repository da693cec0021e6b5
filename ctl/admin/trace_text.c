/* SPDX-License-Identifier: MIT */
#include "ctl/admin/trace_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/text/number.h"
#include "codecs/text/time.h"
#include "codecs/text/utf8.h"
#include "core/base/assertion.h"

enum { ITEM_MIN = 24, KEY_LIMIT = 256, NUMBER_SIZE = 64 };

void sl_trace_text_put(struct sl_trace_text *text, const void *data, size_t size)
{
    sl_assert(text->size <= text->cap);
    if (text->is_full || text->cap - text->size < size) {
        text->is_full = true;
        return;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
}

void sl_trace_text_print(struct sl_trace_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = text->cap - text->size;
    int size = text->is_full ? -1 : vsnprintf(text->data + text->size, room, fmt, args);
    va_end(args);
    if (size < 0 || (size_t)size >= room) {
        text->is_full = true;
        return;
    }
    text->size += (size_t)size;
}

bool sl_trace_is_credential(struct sl_slice key)
{
    static const char *const names[] = {"authorization", "proxy-authorization",
                                        "cookie",        "set-cookie",
                                        "x-api-key",     "api-key",
                                        "api_key",       "apikey",
                                        "x-auth-token",  "x-csrf-token",
                                        "token",         "x-amz-security-token",
                                        "access_token",  "refresh_token",
                                        "id_token",      "password",
                                        "passwd",        "secret",
                                        "client_secret", "private_key"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sl_slice_eq_nocase(key, sl_slice_from_str(names[i]))) return true;
    }
    return false;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool is_secret(const struct sl_trace_mask *mask, struct sl_slice whole)
{
    return mask->secrets != NULL && sl_mask_is_whole(mask->secrets, whole);
}

/* One character, escaped; returns the bytes used. What is not UTF-8 becomes U+FFFD. */
static size_t put_character(struct sl_trace_text *text, struct sl_slice data, size_t at)
{
    uint8_t byte = data.data[at];
    if (byte == '"' || byte == '\\') {
        char escaped[2] = {'\\', (char)byte};
        sl_trace_text_put(text, escaped, 2);
        return 1;
    }
    if (byte < ' ' || byte == 0x7f) {
        sl_trace_text_print(text, "\\u%04x", byte);
        return 1;
    }
    size_t size = byte < 0x80 ? 1 : sl_utf8_size(data.data + at, data.size - at);
    if (size == 0) {
        sl_trace_text_put(text, "\xef\xbf\xbd", 3);
        return 1;
    }
    sl_trace_text_put(text, data.data + at, size);
    return size;
}

void sl_trace_text_string(struct sl_trace_text *text, const struct sl_trace_mask *mask,
                          struct sl_slice data, size_t limit)
{
    if (is_secret(mask, data)) {
        sl_trace_text_put(text, "\"***\"", 5);
        return;
    }
    size_t begin = text->size;
    size_t at = 0;
    sl_trace_text_put(text, "\"", 1);
    while (at < data.size && text->size - begin < limit && !text->is_full) {
        size_t secret = mask->secrets != NULL ? sl_mask_at(mask->secrets, data, at) : 0;
        if (secret > 0) {
            sl_trace_text_put(text, "***", 3);
            at += secret;
        } else {
            at += put_character(text, data, at);
        }
    }
    if (at < data.size) sl_trace_text_print(text, "…(+%zu bytes)", data.size - at);
    sl_trace_text_put(text, "\"", 1);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* An open container. */
struct level {
    struct sl_value value; /* List, Map or Error */
    uint32_t next;
    uint32_t written;
};

struct writer {
    struct sl_trace_text *text;
    const struct sl_trace_mask *mask;
    size_t until; /* size of the text at which the value is cut */
    struct level levels[SL_TRACE_DEPTH_MAX];
    uint32_t depth;
};

static size_t left(const struct writer *w)
{
    return w->text->size < w->until ? w->until - w->text->size : 0;
}

static void put_str(struct writer *w, const char *str)
{
    sl_trace_text_put(w->text, str, strlen(str));
}

/* A number, a time: as the secret it may be, or as JSON. */
static void put_number(struct writer *w, const char *number, size_t size, bool quoted)
{
    if (is_secret(w->mask, sl_slice_make(number, size))) {
        put_str(w, "\"***\"");
        return;
    }
    if (quoted) put_str(w, "\"");
    sl_trace_text_put(w->text, number, size);
    if (quoted) put_str(w, "\"");
}

static void put_binary(struct writer *w, struct sl_slice data)
{
    put_str(w, "{\"binary\":");
    sl_trace_text_string(w->text, w->mask, data, left(w));
    sl_trace_text_print(w->text, ",\"size\":%zu}", data.size);
}

static void put_scalar(struct writer *w, struct sl_value value)
{
    char number[NUMBER_SIZE];
    const struct sl_cell *cell = value.cell;
    switch (sl_value_kind(value)) {
    case SL_VALUE_BOOL: put_str(w, cell->word ? "true" : "false"); return;
    case SL_VALUE_INT:
        put_number(w, number,
                   (size_t)snprintf(number, sizeof(number), "%lld", (long long)cell->i64), false);
        return;
    case SL_VALUE_UINT:
        put_number(w, number,
                   (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)cell->word),
                   false);
        return;
    case SL_VALUE_FLOAT:
        if (cell->f64 - cell->f64 != 0) {
            put_str(w, "null");
            return;
        }
        put_number(w, number, sl_text_float_write(cell->f64, number), false);
        return;
    case SL_VALUE_STRING:
        sl_trace_text_string(w->text, w->mask, sl_value_slice(value), left(w));
        return;
    case SL_VALUE_BINARY: put_binary(w, sl_value_slice(value)); return;
    case SL_VALUE_TIME:
        put_number(w, number, sl_text_time_write(cell->i64, cell->len, number), true);
        return;
    case SL_VALUE_DURATION:
        put_number(w, number, sl_text_duration_write(cell->i64, cell->len, number), true);
        return;
    default: put_str(w, "null"); return;
    }
}

static bool is_container(struct sl_value value)
{
    enum sl_value_kind kind = sl_value_kind(value);
    return kind == SL_VALUE_LIST || kind == SL_VALUE_MAP || kind == SL_VALUE_ERROR;
}

/* Write a scalar, or open a container. */
static void put_value(struct writer *w, struct sl_value value)
{
    if (sl_value_is_none(value)) {
        put_str(w, "null");
        return;
    }
    if (!is_container(value)) {
        put_scalar(w, value);
        return;
    }
    if (w->depth == SL_TRACE_DEPTH_MAX) {
        put_str(w, "\"…\"");
        return;
    }
    put_str(w, sl_value_is(value, SL_VALUE_LIST)  ? "["
               : sl_value_is(value, SL_VALUE_MAP) ? "{"
                                                  : "{\"error\":{");
    w->levels[w->depth++] = (struct level){.value = value};
}

static uint32_t count_of(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_ERROR) ? SL_ERROR_CELLS : sl_value_count(value);
}

static void level_close(struct writer *w, struct level *level)
{
    uint32_t more = count_of(level->value) - level->next;
    const char *comma = level->written > 0 ? "," : "";
    switch (sl_value_kind(level->value)) {
    case SL_VALUE_LIST:
        if (more > 0) sl_trace_text_print(w->text, "%s\"…(+%u more)\"", comma, more);
        put_str(w, "]");
        break;
    case SL_VALUE_MAP:
        if (more > 0) sl_trace_text_print(w->text, "%s\"…\":\"+%u more\"", comma, more);
        put_str(w, "}");
        break;
    default: put_str(w, "}}"); break;
    }
    w->depth--;
}

/*
 * The value of a pair, without decoding a body that is larger than what would be shown of it: then
 * a note is written in its place, and true returned.
 */
static bool put_lazy_note(struct writer *w, struct sl_value map, uint32_t index)
{
    struct sl_buf *buf = map.buf;
    const struct sl_cell *cell = &buf->cells[map.cell->word + 2 * (uint64_t)index + 1];
    if (cell->kind == SL_VALUE_REF) {
        const struct sl_cell *there = &cell->ref->cells[cell->len];
        buf = cell->ref;
        cell = there;
    }
    if (cell->kind != SL_VALUE_LAZY) return false;
    const struct sl_lazy *lazy = &buf->lazies[cell->len];
    if (!sl_value_is_none(lazy->value) || sl_value_is_none(lazy->raw)) return false;
    if (!sl_value_is(lazy->raw, SL_VALUE_BINARY) || lazy->raw.cell->len <= left(w)) return false;
    sl_trace_text_print(w->text, "\"…(not decoded: %u bytes)\"", lazy->raw.cell->len);
    return true;
}

static void put_pair(struct writer *w, struct level *level, uint32_t index)
{
    struct sl_slice key = sl_value_key_at(level->value, index);
    sl_trace_text_string(w->text, w->mask, key, KEY_LIMIT);
    put_str(w, ":");
    if (!w->mask->show_credentials && sl_trace_is_credential(key)) {
        put_str(w, "\"***\"");
        return;
    }
    if (put_lazy_note(w, level->value, index)) return;
    put_value(w, sl_value_map_at(level->value, index));
}

/* The next child of the innermost container, or its end. */
static void step(struct writer *w)
{
    static const char *const parts[SL_ERROR_CELLS] = {"code", "message", "cause", "data", "status"};
    struct level *level = &w->levels[w->depth - 1];
    bool is_cut = left(w) < ITEM_MIN && !sl_value_is(level->value, SL_VALUE_ERROR);
    if (level->next == count_of(level->value) || is_cut) {
        level_close(w, level);
        return;
    }
    uint32_t index = level->next++;
    struct sl_value part = sl_value_none();
    if (sl_value_is(level->value, SL_VALUE_ERROR)) {
        part = sl_error_part(level->value, index);
        if (sl_value_is(part, SL_VALUE_NULL)) return;
    }
    if (level->written++ > 0) put_str(w, ",");
    if (sl_value_is(level->value, SL_VALUE_MAP)) {
        put_pair(w, level, index);
    } else if (sl_value_is(level->value, SL_VALUE_LIST)) {
        put_value(w, sl_value_list_at(level->value, index));
    } else {
        sl_trace_text_print(w->text, "\"%s\":", parts[index]);
        put_value(w, part);
    }
}

void sl_trace_text_value(struct sl_trace_text *text, const struct sl_trace_mask *mask,
                         struct sl_value value, size_t limit)
{
    sl_assert(text != NULL);
    sl_assert(mask != NULL);
    size_t begin = text->size;
    bool was_full = text->is_full;
    struct writer w;
    w.text = text;
    w.mask = mask;
    w.until = begin + limit;
    w.depth = 0;
    put_value(&w, value);
    while (w.depth > 0 && !text->is_full) step(&w);
    if (!text->is_full || was_full) return;
    /* No room: a whole value, if a small one. */
    text->size = begin;
    text->is_full = false;
    sl_trace_text_put(text, "\"…\"", 5);
}
