/* SPDX-License-Identifier: MIT */
/* Texts of values: what string() and format() write, and what a result becomes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/text/number.h"
#include "codecs/text/time.h"
#include "codecs/text/utf8.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/lex.h"

bool sl_cel_text_put(struct sl_cel_text *text, const void *data, size_t size)
{
    if (size > text->cap - text->size) {
        size_t cap = text->cap ? text->cap * 2 : 64;
        while (cap - text->size < size) cap *= 2;
        if (!sl_cel_charge(text->eval, cap / 64)) return false;
        uint8_t *bigger = sl_cel_arena_grow(text->eval->arena, text->data, text->cap, cap);
        if (bigger == NULL) return sl_cel_fail_memory(text->eval);
        text->data = bigger;
        text->cap = cap;
    }
    if (size > 0) memcpy(text->data + text->size, data, size);
    text->size += size;
    return true;
}

bool sl_cel_text_str(struct sl_cel_text *text, const char *str)
{
    return sl_cel_text_put(text, str, strlen(str));
}

bool sl_cel_text_finish(struct sl_cel_text *text, struct sl_cel_val *ret)
{
    if (text->size > UINT32_MAX) return sl_cel_fail_memory(text->eval);
    const uint8_t *data = text->data != NULL ? text->data : (const uint8_t *)"";
    *ret = sl_cel_string(data, text->size, 0);
    return true;
}

/* Digits of the shortest decimal that reads back as `value` (finite, > 0), and its exponent. */
static int32_t shortest(double value, char digits[SL_TEXT_FLOAT_SIZE])
{
    char text[SL_TEXT_FLOAT_SIZE];
    size_t size = sl_text_float_write(value, text);
    size_t count = 0;
    int32_t point = -1;
    int32_t exponent = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.') {
            point = (int32_t)i;
        } else if (text[i] == 'e') {
            text[size] = '\0';
            exponent = (int32_t)strtol(text + i + 1, NULL, 10);
            size = i;
        } else {
            digits[count++] = text[i];
        }
    }
    size_t zeros = 0;
    exponent += (point < 0 ? (int32_t)count : point) - 1;
    while (zeros + 1 < count && digits[zeros] == '0') zeros++;
    memmove(digits, digits + zeros, count - zeros);
    count -= zeros;
    while (count > 1 && digits[count - 1] == '0') count--;
    digits[count] = '\0';
    return exponent - (int32_t)zeros;
}

static size_t put_str(char *buf, const char *str)
{
    size_t size = strlen(str);
    memcpy(buf, str, size + 1);
    return size;
}

/* The texts of what has no digits; 0 if it has. */
static size_t special_double(double value, char *buf)
{
    if (isnan(value)) return put_str(buf, "NaN");
    if (isinf(value)) return put_str(buf, value < 0 ? "-Infinity" : "Infinity");
    if (value == 0) return put_str(buf, signbit(value) ? "-0" : "0");
    return 0;
}

size_t sl_cel_double_plain(double value, char *buf)
{
    char digits[SL_TEXT_FLOAT_SIZE];
    size_t size = special_double(value, buf);
    if (size > 0) return size;
    int32_t exponent = shortest(fabs(value), digits);
    int32_t count = (int32_t)strlen(digits);
    if (value < 0) buf[size++] = '-';
    if (exponent < 0) {
        buf[size++] = '0';
        buf[size++] = '.';
        for (int32_t i = -1; i > exponent; i--) buf[size++] = '0';
    }
    for (int32_t i = 0; i < count; i++) {
        if (exponent >= 0 && i == exponent + 1) buf[size++] = '.';
        buf[size++] = digits[i];
    }
    for (int32_t i = count; i <= exponent; i++) buf[size++] = '0';
    buf[size] = '\0';
    return size;
}

size_t sl_cel_double_text(double value, char *buf)
{
    char digits[SL_TEXT_FLOAT_SIZE];
    size_t size = special_double(value, buf);
    if (size > 0) return size;
    int32_t exponent = shortest(fabs(value), digits);
    if (exponent >= -4 && exponent < 21) return sl_cel_double_plain(value, buf);
    return (size_t)snprintf(buf, SL_CEL_SCALAR_TEXT, "%s%c%s%se%c%02d", value < 0 ? "-" : "",
                            digits[0], digits[1] ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
                            abs(exponent));
}

size_t sl_cel_timestamp_text(int64_t seconds, uint32_t nanoseconds, char *buf)
{
    return sl_text_time_write(seconds, nanoseconds, buf);
}

size_t sl_cel_duration_text(int64_t ns, char *buf)
{
    int64_t seconds = ns / 1000000000;
    int64_t rest = ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    return sl_text_duration_write(seconds, (uint32_t)rest, buf);
}

/* RFC 5952: lower case, the longest run of zero groups (two at least) as "::". */
static size_t ipv6_text(const uint8_t *bytes, char *buf)
{
    int best = -1;
    int best_size = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0 ? run + 1 : 0;
        if (run <= best_size) continue;
        best = i - run + 1;
        best_size = run;
    }
    size_t size = 0;
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            buf[size++] = ':';
            i += best_size - 1;
            if (i == 7) buf[size++] = ':';
            continue;
        }
        if (i > 0) buf[size++] = ':';
        size += (size_t)snprintf(buf + size, 5, "%x", bytes[2 * i] << 8 | bytes[2 * i + 1]);
    }
    buf[size] = '\0';
    return size;
}

size_t sl_cel_net_text(const struct sl_cel_net *net, bool cidr, char *buf)
{
    const uint8_t *b = net->bytes;
    size_t size = net->family == 4 ? (size_t)snprintf(buf, SL_CEL_SCALAR_TEXT, "%u.%u.%u.%u", b[0],
                                                      b[1], b[2], b[3])
                                   : ipv6_text(b, buf);
    if (cidr) size += (size_t)snprintf(buf + size, 5, "/%u", net->prefix);
    return size;
}

/* Texts of the kinds that need no memory of their own; 0: not one of them. */
static size_t scalar_text(const struct sl_cel_val *val, char *buf)
{
    switch ((enum sl_cel_kind)val->kind) {
    case SL_CEL_BOOL: return put_str(buf, val->u ? "true" : "false");
    case SL_CEL_INT: return sl_text_int_write(val->i, buf);
    case SL_CEL_UINT: return sl_text_uint_write(val->u, buf);
    case SL_CEL_DOUBLE: return sl_cel_double_text(val->d, buf);
    case SL_CEL_TIMESTAMP: return sl_cel_timestamp_text(val->i, val->len, buf);
    case SL_CEL_DURATION: return sl_cel_duration_text(val->i, buf);
    case SL_CEL_IP:
    case SL_CEL_CIDR: return sl_cel_net_text(val->net, val->kind == SL_CEL_CIDR, buf);
    default: return 0;
    }
}

bool sl_cel_to_string(struct sl_cel_eval *eval, const struct sl_cel_val *val,
                      struct sl_cel_val *ret)
{
    char buf[SL_CEL_SCALAR_TEXT];
    if (val->kind == SL_CEL_STRING || val->kind == SL_CEL_BYTES) {
        if (val->kind == SL_CEL_BYTES) {
            if (!sl_cel_charge(eval, val->len / 16)) return false;
            if (!sl_utf8_is_valid(val->ptr, val->len)) {
                return sl_cel_fail(eval, "invalid UTF-8 in bytes, cannot convert to string");
            }
        }
        *ret = *val;
        ret->kind = SL_CEL_STRING;
        return true;
    }
    if (val->kind == SL_CEL_ERROR) {
        return sl_cel_load(eval, sl_error_part(sl_cel_payload(val), SL_ERROR_MESSAGE), ret);
    }
    size_t size = scalar_text(val, buf);
    if (size == 0) return sl_cel_fail_overload(eval);
    uint8_t *data = sl_cel_alloc_string(eval, size, ret);
    if (data != NULL) memcpy(data, buf, size);
    return data != NULL;
}

uint32_t sl_cel_utf8_count(const uint8_t *data, size_t size)
{
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) count += (data[i] & 0xc0) != 0x80;
    return count;
}
