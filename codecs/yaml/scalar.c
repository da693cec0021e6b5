/* SPDX-License-Identifier: MIT */
/*
 * Plain scalars by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#1032-tag-resolution).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "codecs/yaml/tree.h"
#include "core/base/assertion.h"

enum { FLOAT_TEXT_MAX = 400 }; /* longer digit strings are read from the heap */

static bool is_one_of(struct sl_slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sl_slice_eq_str(text, words[i])) return true;
    }
    return false;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int digit_of(uint8_t c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* All of `digits` in `base` as a number. 1 if so, 0 if a digit is wrong, -1 if above 64 bits. */
static int number_read(struct sl_slice digits, unsigned base, uint64_t *ret_number)
{
    uint64_t number = 0;
    bool over = false;
    if (digits.size == 0) return 0;
    for (size_t i = 0; i < digits.size; i++) {
        int digit = digit_of(digits.data[i]);
        if (digit >= (int)base) return 0;
        over = over || __builtin_mul_overflow(number, (uint64_t)base, &number) ||
               __builtin_add_overflow(number, (uint64_t)digit, &number);
    }
    *ret_number = number;
    return over ? -1 : 1;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(struct sl_slice text)
{
    size_t at = 0;
    size_t whole = 0;
    size_t part = 0;
    if (at < text.size && (text.data[at] == '-' || text.data[at] == '+')) at++;
    for (; at < text.size && is_digit(text.data[at]); at++) whole++;
    if (at < text.size && text.data[at] == '.') {
        for (at++; at < text.size && is_digit(text.data[at]); at++) part++;
    }
    if (whole + part == 0) return false;
    if (at == text.size) return true;
    if (text.data[at] != 'e' && text.data[at] != 'E') return false;
    at++;
    if (at < text.size && (text.data[at] == '-' || text.data[at] == '+')) at++;
    if (at == text.size) return false;
    while (at < text.size && is_digit(text.data[at])) at++;
    return at == text.size;
}

static double decimal_read(struct sl_slice text)
{
    char small[FLOAT_TEXT_MAX];
    if (text.size < sizeof(small)) {
        memcpy(small, text.data, text.size);
        small[text.size] = '\0';
        return strtod(small, NULL);
    }
    char *large = sl_slice_dup_str(text);
    if (large == NULL) return (double)NAN;
    double value = strtod(large, NULL);
    free(large);
    return value;
}

/* 0x and 0o beyond 64 bits: the nearest double. */
static double radix_read(struct sl_slice digits, unsigned base)
{
    double value = 0;
    for (size_t i = 0; i < digits.size; i++) value = value * base + digit_of(digits.data[i]);
    return value;
}

static bool integer_read(struct sl_slice text, struct yaml_scalar *scalar)
{
    struct sl_slice digits = text;
    unsigned base = 10;
    if (text.size > 2 && text.data[0] == '0' && (text.data[1] == 'x' || text.data[1] == 'o')) {
        base = text.data[1] == 'x' ? 16 : 8;
        digits = sl_slice_make(text.data + 2, text.size - 2);
    } else if (text.data[0] == '-' || text.data[0] == '+') {
        scalar->negative = text.data[0] == '-';
        digits = sl_slice_make(text.data + 1, text.size - 1);
    }
    int result = number_read(digits, base, &scalar->number);
    if (result == 0) return false;
    scalar->kind = YAML_PLAIN_INT;
    if (result < 0 || (scalar->negative && scalar->number > (uint64_t)INT64_MAX + 1)) {
        scalar->kind = YAML_PLAIN_FLOAT;
        scalar->real = base == 10 ? decimal_read(text) : radix_read(digits, base);
    }
    return true;
}

static bool special_read(struct sl_slice text, struct yaml_scalar *scalar)
{
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};
    static const char *const infinities[] = {".inf", ".Inf", ".INF"};
    if (is_one_of(text, nans, 3)) {
        scalar->real = (double)NAN;
        return true;
    }
    bool negative = text.data[0] == '-';
    if (negative || text.data[0] == '+') text = sl_slice_make(text.data + 1, text.size - 1);
    scalar->real = negative ? -(double)INFINITY : (double)INFINITY;
    return is_one_of(text, infinities, 3);
}

struct yaml_scalar yaml_scalar_read(struct sl_slice text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const truths[] = {"true", "True", "TRUE"};
    static const char *const falsehoods[] = {"false", "False", "FALSE"};
    struct yaml_scalar scalar = {.kind = YAML_PLAIN_STR};
    sl_assert(text.data != NULL || text.size == 0);

    if (is_one_of(text, nulls, 5)) {
        scalar.kind = YAML_PLAIN_NULL;
    } else if (is_one_of(text, truths, 3)) {
        scalar.kind = YAML_PLAIN_BOOL;
        scalar.number = 1;
    } else if (is_one_of(text, falsehoods, 3)) {
        scalar.kind = YAML_PLAIN_BOOL;
    } else if (integer_read(text, &scalar)) {
        return scalar;
    } else if (is_decimal(text)) {
        scalar.kind = YAML_PLAIN_FLOAT;
        scalar.real = decimal_read(text);
    } else if (special_read(text, &scalar)) {
        scalar.kind = YAML_PLAIN_FLOAT;
    }
    return scalar;
}
