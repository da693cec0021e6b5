/* SPDX-License-Identifier: MIT */
/* string.format(list); see format.h. */
#include "nodes/script/cel/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "nodes/script/cel/lex.h"

enum {
    PRECISION_MAX = 300,
    FORMAT_DEPTH_MAX = SL_CEL_DEPTH_MAX + SL_PAYLOAD_DEPTH_MAX,
    NUMBER_TEXT = 1024, /* the widest double has 309 digits before the point */
};

static_assert(NUMBER_TEXT > 312 + PRECISION_MAX, "any number fits with any precision");

static bool put_value(struct sl_cel_text *text, const struct sl_cel_val *val, uint32_t depth);

/* Bytes as UTF-8: each run of invalid ones becomes one U+FFFD. */
static bool put_bytes(struct sl_cel_text *text, const struct sl_cel_val *val)
{
    const uint8_t *at = val->ptr;
    const uint8_t *end = at + val->len;
    bool invalid = false;
    if (!sl_cel_charge(text->eval, val->len / 16)) return false;
    while (at < end) {
        uint32_t size = (uint32_t)sl_utf8_size(at, (size_t)(end - at));
        if (size > 0 && !sl_cel_text_put(text, at, size)) return false;
        if (size == 0 && !invalid && !sl_cel_text_put(text, "\xef\xbf\xbd", 3)) return false;
        invalid = size == 0;
        at += size > 0 ? size : 1;
    }
    return true;
}

static bool put_list(struct sl_cel_text *text, const struct sl_cel_val *list, uint32_t depth)
{
    uint32_t count = sl_cel_count(list);
    if (!sl_cel_text_put(text, "[", 1)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(text->eval, list, i, &item)) return false;
        if (i > 0 && !sl_cel_text_put(text, ", ", 2)) return false;
        if (!put_value(text, &item, depth + 1)) return false;
    }
    return sl_cel_text_put(text, "]", 1);
}

/* A pair whose key was formatted. */
struct entry {
    struct sl_slice key;
    uint32_t index;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    int order = sl_slice_compare(left->key, right->key);
    if (order != 0) return order;
    return (left->index > right->index) - (left->index < right->index);
}

static bool put_map(struct sl_cel_text *text, const struct sl_cel_val *map, uint32_t depth)
{
    struct sl_cel_eval *eval = text->eval;
    uint32_t count = sl_cel_count(map);
    struct entry *entries = sl_cel_alloc(eval, (count + 1) * sizeof(*entries));
    if (entries == NULL || !sl_cel_charge(eval, count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val key;
        struct sl_cel_text name = {.eval = eval};
        if (!sl_cel_map_at(eval, map, i, &key, NULL)) return false;
        if (!put_value(&name, &key, depth + 1)) return false;
        entries[i] = (struct entry){{name.data, name.size}, i};
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    if (!sl_cel_text_put(text, "{", 1)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val val;
        if (!sl_cel_map_at(eval, map, entries[i].index, NULL, &val)) return false;
        if (i > 0 && !sl_cel_text_put(text, ", ", 2)) return false;
        if (!sl_cel_text_put(text, entries[i].key.data, entries[i].key.size)) return false;
        if (!sl_cel_text_put(text, ": ", 2) || !put_value(text, &val, depth + 1)) return false;
    }
    return sl_cel_text_put(text, "}", 1);
}

/* Seconds of a duration as a plain decimal. */
static bool put_duration(struct sl_cel_text *text, const struct sl_cel_val *val)
{
    char buf[SL_CEL_SCALAR_TEXT];
    size_t size = sl_cel_duration_text(val->i, buf);
    return sl_cel_text_put(text, buf, size);
}

/* %s */
static bool put_value(struct sl_cel_text *text, const struct sl_cel_val *val, uint32_t depth)
{
    char buf[SL_CEL_SCALAR_TEXT];
    struct sl_cel_val string;
    if (depth > FORMAT_DEPTH_MAX || !sl_cel_charge(text->eval, 1)) {
        return depth > FORMAT_DEPTH_MAX ? sl_cel_fail(text->eval, "nested too deep to format")
                                        : false;
    }
    switch ((enum sl_cel_kind)val->kind) {
    case SL_CEL_NULL: return sl_cel_text_str(text, "null");
    case SL_CEL_TYPE:
    case SL_CEL_STRING: return sl_cel_text_put(text, val->ptr, val->len);
    case SL_CEL_BYTES: return put_bytes(text, val);
    case SL_CEL_LIST: return put_list(text, val, depth);
    case SL_CEL_MAP: return put_map(text, val, depth);
    case SL_CEL_DOUBLE: return sl_cel_text_put(text, buf, sl_cel_double_plain(val->d, buf));
    case SL_CEL_DURATION: return put_duration(text, val);
    case SL_CEL_BOOL:
    case SL_CEL_INT:
    case SL_CEL_UINT:
    case SL_CEL_TIMESTAMP:
    case SL_CEL_ERROR:
        return sl_cel_to_string(text->eval, val, &string) &&
               sl_cel_text_put(text, string.ptr, string.len);
    default:
        return sl_cel_fail(text->eval,
                           "error during formatting: string clause can only be used on strings, "
                           "bools, bytes, ints, doubles, maps, lists, types, durations, and "
                           "timestamps, was given %s",
                           sl_cel_type_name(val));
    }
}

static bool wrong_kind(struct sl_cel_text *text, const char *what, const struct sl_cel_val *val)
{
    return sl_cel_fail(text->eval, "error during formatting: %s, was given %s", what,
                       sl_cel_type_name(val));
}

/* An integer in a base; false if it is none. */
static bool put_base(struct sl_cel_text *text, const struct sl_cel_val *val, uint32_t base,
                     const char *digits)
{
    char buf[72];
    size_t at = sizeof(buf);
    bool negative = val->kind == SL_CEL_INT && val->i < 0;
    uint64_t value = negative ? 0 - val->u : val->u;
    do {
        buf[--at] = digits[value % base];
        value /= base;
    } while (value > 0);
    if (negative) buf[--at] = '-';
    return sl_cel_text_put(text, buf + at, sizeof(buf) - at);
}

static bool is_integer(const struct sl_cel_val *val)
{
    return val->kind == SL_CEL_INT || val->kind == SL_CEL_UINT;
}

static bool put_decimal(struct sl_cel_text *text, const struct sl_cel_val *val)
{
    char buf[SL_CEL_SCALAR_TEXT];
    if (is_integer(val)) return put_base(text, val, 10, "0123456789");
    if (val->kind != SL_CEL_DOUBLE) {
        return wrong_kind(text, "decimal clause can only be used on integers", val);
    }
    return sl_cel_text_put(text, buf, sl_cel_double_plain(val->d, buf));
}

static bool put_hex(struct sl_cel_text *text, const struct sl_cel_val *val, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    if (is_integer(val)) return put_base(text, val, 16, digits);
    if (val->kind != SL_CEL_STRING && val->kind != SL_CEL_BYTES) {
        return wrong_kind(text, "only integers, byte buffers, and strings can be formatted as hex",
                          val);
    }
    for (uint32_t i = 0; i < val->len; i++) {
        char pair[2] = {digits[val->ptr[i] >> 4], digits[val->ptr[i] & 15]};
        if (!sl_cel_text_put(text, pair, 2)) return false;
    }
    return true;
}

/* %f and %e: C rounds exact halves to even, as the specification asks. */
static bool put_float(struct sl_cel_text *text, const struct sl_cel_val *val, char verb,
                      int precision)
{
    char buf[NUMBER_TEXT];
    if (!sl_cel_is_number(val)) {
        return wrong_kind(text,
                          verb == 'f' ? "fixed-point clause can only be used on doubles"
                                      : "scientific clause can only be used on doubles",
                          val);
    }
    double value = val->kind == SL_CEL_DOUBLE ? val->d
                   : val->kind == SL_CEL_INT  ? (double)val->i
                                              : (double)val->u;
    if (isnan(value) || isinf(value)) {
        return sl_cel_text_put(text, buf, sl_cel_double_plain(value, buf));
    }
    int size = snprintf(buf, sizeof(buf), verb == 'f' ? "%.*f" : "%.*e", precision, value);
    sl_assert(size > 0 && (size_t)size < sizeof(buf));
    return sl_cel_text_put(text, buf, (size_t)size);
}

static bool put_clause(struct sl_cel_text *text, char verb, int precision,
                       const struct sl_cel_val *val)
{
    switch (verb) {
    case 's': return put_value(text, val, 0);
    case 'd': return put_decimal(text, val);
    case 'f':
    case 'e': return put_float(text, val, verb, precision);
    case 'x':
    case 'X': return put_hex(text, val, verb == 'X');
    case 'o':
        if (is_integer(val)) return put_base(text, val, 8, "01234567");
        return wrong_kind(text, "octal clause can only be used on integers", val);
    case 'b':
        if (is_integer(val) || val->kind == SL_CEL_BOOL) return put_base(text, val, 2, "01");
        return wrong_kind(text, "only integers and bools can be formatted as binary", val);
    default:
        return sl_cel_fail(
            text->eval, "could not parse formatting clause: unrecognized formatting clause \"%c\"",
            verb);
    }
}

/* ".3" behind a '%'; false if it is wrong. */
static bool read_precision(struct sl_cel_eval *eval, const uint8_t **at, const uint8_t *end,
                           int *ret)
{
    *ret = 6;
    if (*at == end || **at != '.') return true;
    int value = 0;
    const uint8_t *start = ++*at;
    for (; *at < end && **at >= '0' && **at <= '9' && value <= PRECISION_MAX; (*at)++) {
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    if (*at > start && value <= PRECISION_MAX) return true;
    return sl_cel_fail(eval, "could not parse formatting clause: error while parsing precision");
}

bool sl_cel_call_format(struct sl_cel_eval *eval, const struct sl_cel_val *const *args,
                        struct sl_cel_val *ret)
{
    struct sl_cel_text text = {.eval = eval};
    const uint8_t *at = args[0]->ptr;
    const uint8_t *end = at + args[0]->len;
    uint32_t next = 0;
    while (at < end) {
        const uint8_t *percent = memchr(at, '%', (size_t)(end - at));
        if (percent == NULL) percent = end;
        if (!sl_cel_text_put(&text, at, (size_t)(percent - at))) return false;
        if (percent == end) break;
        at = percent + 1;
        if (at < end && *at == '%') {
            if (!sl_cel_text_put(&text, at++, 1)) return false;
            continue;
        }
        int precision;
        struct sl_cel_val val;
        if (!read_precision(eval, &at, end, &precision)) return false;
        if (at == end) return sl_cel_fail(eval, "unexpected end of format string");
        if (next >= sl_cel_count(args[1])) {
            return sl_cel_fail(eval, "index %u out of range: the list has %u", next,
                               sl_cel_count(args[1]));
        }
        if (!sl_cel_list_at(eval, args[1], next++, &val)) return false;
        if (!put_clause(&text, (char)*at++, precision, &val)) return false;
    }
    return sl_cel_text_finish(&text, ret);
}
