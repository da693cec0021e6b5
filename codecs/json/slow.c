/* SPDX-License-Identifier: MIT */
/* What the fast parser leaves aside: escapes, rare numbers. */
#include "codecs/json/read.h"

#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/json/json_private.h"
#include "codecs/text/utf8.h"

/* ------------------------------------------------------------------------------------------ */
/* Escapes                                                                                      */

/* Four hexadecimal digits, or -1. */
static int32_t hex_read(const uint8_t *at, const uint8_t *end)
{
    int32_t code = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = at[i], lower = byte | 0x20;
        if (byte >= '0' && byte <= '9') {
            code = code << 4 | (byte - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            code = code << 4 | (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return code;
}

/*
 * The character of the \u escape whose digits begin at *at, with its partner if it is half of one;
 * an unpaired half is U+FFFD. False if digits are missing.
 */
static bool unicode_read(const uint8_t **at, const uint8_t *end, uint32_t *ret_code)
{
    int32_t code = hex_read(*at, end);
    if (code < 0) return false;
    *at += 4;
    *ret_code = (uint32_t)code;
    if (code < 0xd800 || code > 0xdfff) return true;
    *ret_code = 0xfffd;
    if (code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return true;
    int32_t low = hex_read(*at + 2, end);
    if (low < 0xdc00 || low > 0xdfff) return true; /* what it is, the next round says */
    *at += 6;
    *ret_code = 0x10000 + ((uint32_t)(code - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return true;
}

/* The escape behind the backslash at at[-1]; the bytes it becomes go to `to`. */
static const uint8_t *escape_read(const uint8_t *at, const uint8_t *end, uint8_t **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const uint8_t values[] = "\"\\/\b\f\n\r\t";
    if (at == end) return NULL;
    uint8_t byte = *at++;
    if (byte == 'u') {
        uint32_t code;
        if (!unicode_read(&at, end, &code)) return NULL;
        *to += sl_utf8_put(code, *to);
        return at;
    }
    const char *name = byte != 0 ? strchr(names, byte) : NULL;
    if (name == NULL) return NULL;
    *(*to)++ = values[name - names];
    return at;
}

bool json_fast_unescape(struct sl_builder *builder, const uint8_t *begin, const uint8_t *end,
                        struct sl_cell *ret_cell)
{
    /* Nothing gets longer by unescaping: six bytes become three at most. */
    uint8_t *room = sl_builder_bytes_reserve(builder, (size_t)(end - begin));
    if (room == NULL) return false;
    uint8_t *to = room;
    while (begin < end) {
        const uint8_t *slash = memchr(begin, '\\', (size_t)(end - begin));
        size_t run = (size_t)((slash != NULL ? slash : end) - begin);
        memcpy(to, begin, run);
        to += run;
        if (slash == NULL) break;
        begin = escape_read(slash + 1, end, &to);
        if (begin == NULL) return false;
    }
    struct sl_buf *buf = builder->buf;
    uint32_t size = (uint32_t)(to - room);
    *ret_cell = (struct sl_cell){.kind = SL_VALUE_STRING, .len = size, .word = buf->bytes_size};
    buf->bytes_size += size;
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Numbers                                                                                      */

static const uint8_t *digits_skip(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9') at++;
    return at;
}

const uint8_t *json_fast_number(const uint8_t *begin, const uint8_t *end, struct sl_cell *ret_cell)
{
    const uint8_t *at = begin;
    bool is_float = false;
    if (at < end && *at == '-') at++;
    const uint8_t *digits = at;
    at = digits_skip(at, end);
    if (at == digits || (*digits == '0' && at > digits + 1)) return NULL;
    if (at < end && *at == '.') {
        is_float = true;
        digits = at + 1;
        at = digits_skip(digits, end);
        if (at == digits) return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        is_float = true;
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        digits = at;
        at = digits_skip(digits, end);
        if (at == digits) return NULL;
    }
    const char *text = (const char *)begin;
    return json_number_read(text, (size_t)(at - begin), is_float, ret_cell) ? at : NULL;
}
