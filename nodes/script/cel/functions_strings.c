/* SPDX-License-Identifier: MIT */
/*
 * The strings library (cel-go, ext: Strings) and base64 (ext: Encoders). Positions count code
 * points; format() is in format.c.
 */
#include <string.h>

#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/format.h"
#include "nodes/script/cel/lex.h"

typedef const struct sl_cel_val *const *args_t;

/* Byte offset of code point `index`, or -1 if there are fewer; the end counts as one. */
static int64_t offset_of(const struct sl_cel_val *text, int64_t index)
{
    uint32_t at = 0;
    if (index < 0) return -1;
    for (; index > 0 && at < text->len; index--) {
        at++;
        while (at < text->len && (text->ptr[at] & 0xc0) == 0x80) at++;
    }
    return index > 0 ? -1 : (int64_t)at;
}

/* A part of a string without copying. */
static bool ret_part(const struct sl_cel_val *text, int64_t start, int64_t end,
                     struct sl_cel_val *ret)
{
    *ret = *text;
    ret->ptr = text->ptr + start;
    ret->len = (uint32_t)(end - start);
    return true;
}

static bool out_of_range(struct sl_cel_eval *eval, const struct sl_cel_val *text, int64_t index)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < text->len; at++) count += (text->ptr[at] & 0xc0) != 0x80;
    return sl_cel_fail(eval, "index out of range: %lld, the text has %u characters",
                       (long long)index, count);
}

static bool charge_text(struct sl_cel_eval *eval, const struct sl_cel_val *text)
{
    return sl_cel_charge(eval, text->len / 32);
}

static bool call_char_at(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (!charge_text(eval, args[0])) return false;
    int64_t start = offset_of(args[0], args[1]->i);
    if (start < 0) return out_of_range(eval, args[0], args[1]->i);
    struct sl_cel_val rest;
    (void)ret_part(args[0], start, args[0]->len, &rest);
    int64_t size = offset_of(&rest, 1);
    return ret_part(args[0], start, start + (size > 0 ? size : 0), ret);
}

static bool call_substring_from(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (!charge_text(eval, args[0])) return false;
    int64_t start = offset_of(args[0], args[1]->i);
    if (start < 0) return out_of_range(eval, args[0], args[1]->i);
    return ret_part(args[0], start, args[0]->len, ret);
}

static bool call_substring(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (!charge_text(eval, args[0])) return false;
    int64_t start = offset_of(args[0], args[1]->i);
    int64_t end = offset_of(args[0], args[2]->i);
    if (start < 0) return out_of_range(eval, args[0], args[1]->i);
    if (end < 0) return out_of_range(eval, args[0], args[2]->i);
    if (start > end) {
        return sl_cel_fail(eval, "invalid substring range. start: %lld, end: %lld",
                           (long long)args[1]->i, (long long)args[2]->i);
    }
    return ret_part(args[0], start, end, ret);
}

static bool charge_search(struct sl_cel_eval *eval, args_t args)
{
    return sl_cel_charge(eval, (uint64_t)args[0]->len * (args[1]->len / 16 + 1) / 32);
}

static bool ret_position(const struct sl_cel_val *text, const uint8_t *found,
                         struct sl_cel_val *ret)
{
    *ret = sl_cel_int(-1);
    if (found != NULL) ret->i = sl_cel_utf8_count(text->ptr, (size_t)(found - text->ptr));
    return true;
}

/* Index of a needle at or behind a byte offset. */
static bool index_from(struct sl_cel_eval *eval, args_t args, int64_t start, struct sl_cel_val *ret)
{
    const struct sl_cel_val *text = args[0];
    if (!charge_search(eval, args)) return false;
    const uint8_t *found = text->ptr + start;
    if (args[1]->len > text->len - (size_t)start) return ret_position(text, NULL, ret);
    if (args[1]->len > 0) {
        found = memmem(text->ptr + start, text->len - (size_t)start, args[1]->ptr, args[1]->len);
    }
    return ret_position(text, found, ret);
}

static bool call_index_of(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return index_from(eval, args, 0, ret);
}

static bool call_index_of_from(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t start = offset_of(args[0], args[2]->i);
    if (start < 0) return out_of_range(eval, args[0], args[2]->i);
    return index_from(eval, args, start, ret);
}

/* The last place of a needle that begins at or before a byte offset. */
static bool last_index(struct sl_cel_eval *eval, args_t args, int64_t last, struct sl_cel_val *ret)
{
    const struct sl_cel_val *text = args[0];
    uint32_t size = args[1]->len;
    if (!charge_search(eval, args)) return false;
    if (size > text->len) return ret_position(text, NULL, ret);
    if (last > text->len - size) last = text->len - size;
    while (last >= 0 && memcmp(text->ptr + last, args[1]->ptr, size) != 0) last--;
    return ret_position(text, last >= 0 ? text->ptr + last : NULL, ret);
}

static bool call_last_index_of(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return last_index(eval, args, args[0]->len, ret);
}

static bool call_last_index_of_from(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t last = offset_of(args[0], args[2]->i);
    if (last < 0) return out_of_range(eval, args[0], args[2]->i);
    return last_index(eval, args, last, ret);
}

/* ------------------------------------------------------------------------------------------ */
/* New strings                                                                                  */

static bool change_case(struct sl_cel_eval *eval, const struct sl_cel_val *text, uint8_t from,
                        struct sl_cel_val *ret)
{
    uint32_t at = 0;
    while (at < text->len && (uint8_t)(text->ptr[at] - from) >= 26) at++;
    if (at == text->len) {
        *ret = *text;
        return true;
    }
    uint8_t *data = sl_cel_alloc_string(eval, text->len, ret);
    if (data == NULL) return false;
    for (uint32_t i = 0; i < text->len; i++) {
        uint8_t c = text->ptr[i];
        data[i] = (uint8_t)(c - from) < 26 ? c ^ 0x20 : c;
    }
    return true;
}

static bool call_lower(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return change_case(eval, args[0], 'A', ret);
}

static bool call_upper(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return change_case(eval, args[0], 'a', ret);
}

/* Bytes of the code point that begins at data. */
static uint32_t step(const uint8_t *data, const uint8_t *end)
{
    uint32_t size = 1;
    while (data + size < end && (data[size] & 0xc0) == 0x80) size++;
    return size;
}

static bool replace(struct sl_cel_eval *eval, args_t args, int64_t limit, struct sl_cel_val *ret)
{
    const struct sl_cel_val *from = args[1];
    struct sl_cel_text text = {.eval = eval};
    const uint8_t *at = args[0]->ptr;
    const uint8_t *end = at + args[0]->len;
    if (!charge_search(eval, args)) return false;
    for (bool first = true; limit != 0; limit--, first = false) {
        const uint8_t *found = at;
        if (from->len > 0) {
            found = at < end ? memmem(at, (size_t)(end - at), from->ptr, from->len) : NULL;
        } else if (!first) {
            /* The empty string stands before each code point and at the end. */
            found = at < end ? at + step(at, end) : NULL;
        }
        if (found == NULL) break;
        if (!sl_cel_text_put(&text, at, (size_t)(found - at))) return false;
        if (!sl_cel_text_put(&text, args[2]->ptr, args[2]->len)) return false;
        if (!sl_cel_charge(eval, 1)) return false;
        at = found + from->len;
    }
    return sl_cel_text_put(&text, at, (size_t)(end - at)) && sl_cel_text_finish(&text, ret);
}

static bool call_replace(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return replace(eval, args, -1, ret);
}

static bool call_replace_limit(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return replace(eval, args, args[3]->i < 0 ? -1 : args[3]->i, ret);
}

static bool push_part(struct sl_cel_eval *eval, struct sl_cel_val *list,
                      const struct sl_cel_val *text, const uint8_t *start, const uint8_t *end)
{
    struct sl_cel_val part;
    (void)ret_part(text, start - text->ptr, end - text->ptr, &part);
    return sl_cel_charge(eval, 1) && sl_cel_list_push(eval, list->list, &part);
}

static bool split(struct sl_cel_eval *eval, args_t args, int64_t limit, struct sl_cel_val *ret)
{
    const struct sl_cel_val *text = args[0];
    const struct sl_cel_val *by = args[1];
    const uint8_t *at = text->ptr;
    const uint8_t *end = at + text->len;
    if (!charge_search(eval, args) || !sl_cel_list_new(eval, 0, ret)) return false;
    if (limit == 0 || (by->len == 0 && text->len == 0)) return true;
    for (; limit != 1; limit--) {
        const uint8_t *found = NULL;
        if (by->len == 0) {
            found = at + step(at, end) < end ? at + step(at, end) : NULL;
        } else if (at < end) {
            found = memmem(at, (size_t)(end - at), by->ptr, by->len);
        }
        if (found == NULL) break;
        if (!push_part(eval, ret, text, at, found)) return false;
        at = found + by->len;
    }
    return push_part(eval, ret, text, at, end);
}

static bool call_split(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return split(eval, args, -1, ret);
}

static bool call_split_limit(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return split(eval, args, args[2]->i < 0 ? -1 : args[2]->i, ret);
}

static bool join(struct sl_cel_eval *eval, const struct sl_cel_val *list, struct sl_slice between,
                 struct sl_cel_val *ret)
{
    struct sl_cel_text text = {.eval = eval};
    uint32_t count = sl_cel_count(list);
    if (!sl_cel_charge(eval, count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, list, i, &item)) return false;
        if (item.kind != SL_CEL_STRING) return sl_cel_fail_overload(eval);
        if (i > 0 && !sl_cel_text_put(&text, between.data, between.size)) return false;
        if (!sl_cel_text_put(&text, item.ptr, item.len)) return false;
    }
    return sl_cel_text_finish(&text, ret);
}

static bool call_join(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return join(eval, args[0], (struct sl_slice){NULL, 0}, ret);
}

static bool call_join_by(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return join(eval, args[0], sl_cel_slice(args[1]), ret);
}

static bool call_reverse(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const uint8_t *at = args[0]->ptr;
    const uint8_t *end = at + args[0]->len;
    uint8_t *data = sl_cel_alloc_string(eval, args[0]->len, ret);
    if (data == NULL) return false;
    uint8_t *out = data + args[0]->len;
    while (at < end) {
        uint32_t size = step(at, end);
        out -= size;
        memcpy(out, at, size);
        at += size;
    }
    return true;
}

/* The code point at data, or 0xfffd for what is none. */
static uint32_t code_at(const uint8_t *data, uint32_t size)
{
    if (!sl_utf8_is_valid(data, size)) return 0xfffd;
    if (size == 1) return data[0];
    uint32_t code = data[0] & (0xffU >> (size + 1));
    for (uint32_t i = 1; i < size; i++) code = code << 6 | (data[i] & 0x3f);
    return code;
}

/* Unicode's White_Space. */
static bool is_space(uint32_t code)
{
    return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static bool call_trim(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const uint8_t *start = args[0]->ptr;
    const uint8_t *end = start + args[0]->len;
    if (!charge_text(eval, args[0])) return false;
    while (start < end && is_space(code_at(start, step(start, end)))) start += step(start, end);
    while (start < end) {
        const uint8_t *last = end - 1;
        while (last > start && (*last & 0xc0) == 0x80) last--;
        if (!is_space(code_at(last, (uint32_t)(end - last)))) break;
        end = last;
    }
    return ret_part(args[0], start - args[0]->ptr, end - args[0]->ptr, ret);
}

static bool call_quote(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"";
    static const char to[] = "abfnrtv\\\"";
    struct sl_cel_text text = {.eval = eval};
    const uint8_t *at = args[0]->ptr;
    const uint8_t *end = at + args[0]->len;
    bool done = charge_text(eval, args[0]) && sl_cel_text_put(&text, "\"", 1);
    while (done && at < end) {
        uint32_t size = step(at, end);
        const char *escape = *at != 0 && size == 1 ? strchr(from, *at) : NULL;
        if (escape != NULL) {
            char pair[2] = {'\\', to[escape - from]};
            done = sl_cel_text_put(&text, pair, 2);
        } else if (sl_utf8_is_valid(at, size)) {
            done = sl_cel_text_put(&text, at, size);
        } else {
            done = sl_cel_text_put(&text, "\xef\xbf\xbd", 3);
        }
        at += size;
    }
    return done && sl_cel_text_put(&text, "\"", 1) && sl_cel_text_finish(&text, ret);
}

/* ------------------------------------------------------------------------------------------ */
/* base64: RFC 4648, section 4                                                                  */

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool call_encode(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const uint8_t *in = args[0]->ptr;
    uint32_t size = args[0]->len;
    uint8_t *out = sl_cel_alloc_string(eval, ((size_t)size + 2) / 3 * 4, ret);
    if (out == NULL) return false;
    for (uint32_t i = 0; i < size; i += 3) {
        uint32_t left = size - i;
        uint32_t word = (uint32_t)in[i] << 16;
        if (left > 1) word |= (uint32_t)in[i + 1] << 8;
        if (left > 2) word |= in[i + 2];
        *out++ = (uint8_t)base64_letters[word >> 18];
        *out++ = (uint8_t)base64_letters[word >> 12 & 63];
        *out++ = left > 1 ? (uint8_t)base64_letters[word >> 6 & 63] : '=';
        *out++ = left > 2 ? (uint8_t)base64_letters[word & 63] : '=';
    }
    return true;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding may be left out, as in the reference. */
static bool call_decode(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const uint8_t *in = args[0]->ptr;
    uint32_t size = args[0]->len;
    uint32_t padding = 0;
    while (size > 0 && padding < 2 && in[size - 1] == '=') {
        size--;
        padding++;
    }
    bool wrong = size % 4 == 1 || (padding > 0 && (size + padding) % 4 != 0);
    uint8_t *out = sl_cel_alloc_string(eval, (size_t)size / 4 * 3 + 3, ret);
    if (out == NULL) return false;
    uint32_t word = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < size && !wrong; i++) {
        int value = base64_value(in[i]);
        wrong = value < 0;
        word = word << 6 | (uint32_t)(value & 63);
        if (i % 4 != 0) out[count++] = (uint8_t)(word >> (6 - i % 4 * 2));
    }
    ret->len = count;
    ret->kind = SL_CEL_BYTES;
    return !wrong || sl_cel_fail(eval, "illegal base64 data");
}

const struct sl_cel_function sl_cel_functions_strings[] = {
    {"charAt", "s.i>s", call_char_at},
    {"indexOf", "s.s>i", call_index_of},
    {"indexOf", "s.si>i", call_index_of_from},
    {"lastIndexOf", "s.s>i", call_last_index_of},
    {"lastIndexOf", "s.si>i", call_last_index_of_from},
    {"lowerAscii", "s.>s", call_lower},
    {"upperAscii", "s.>s", call_upper},
    {"replace", "s.ss>s", call_replace},
    {"replace", "s.ssi>s", call_replace_limit},
    {"split", "s.s>[s", call_split},
    {"split", "s.si>[s", call_split_limit},
    {"substring", "s.i>s", call_substring_from},
    {"substring", "s.ii>s", call_substring},
    {"trim", "s.>s", call_trim},
    {"join", "[s.>s", call_join},
    {"join", "[s.s>s", call_join_by},
    {"reverse", "s.>s", call_reverse},
    {"strings.quote", "s>s", call_quote},
    {"format", "s.[*>s", sl_cel_call_format},
    {"base64.encode", "y>s", call_encode},
    {"base64.decode", "s>y", call_decode},
    {NULL, NULL, NULL},
};
