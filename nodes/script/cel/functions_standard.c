/* SPDX-License-Identifier: MIT */
/* Standard functions: sizes, substrings, conversions (cel-spec, langdef.md, "Standard Definitions"). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limit.h"
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

static bool ret_bool(struct sl_cel_val *ret, bool value)
{
    *ret = sl_cel_bool(value);
    return true;
}

static bool call_size(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_val *val = args[0];
    uint32_t count;
    if (val->kind == SL_CEL_STRING) {
        if (!sl_cel_charge(eval, val->len / 64)) return false;
        count = sl_cel_utf8_count(val->ptr, val->len);
    } else if (val->kind == SL_CEL_BYTES) {
        count = val->len;
    } else {
        count = sl_cel_count(val);
    }
    *ret = sl_cel_int(count);
    return true;
}

static bool call_contains(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint64_t cost = ((uint64_t)args[0]->len * (args[1]->len / 16 + 1)) / 64;
    if (!sl_cel_charge(eval, cost)) return false;
    if (args[0]->len < args[1]->len) return ret_bool(ret, false);
    return ret_bool(ret, args[1]->len == 0 || memmem(args[0]->ptr, args[0]->len, args[1]->ptr,
                                                     args[1]->len) != NULL);
}

static bool call_starts_with(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bool(
        ret, args[0]->len >= args[1]->len &&
                 (args[1]->len == 0 || memcmp(args[0]->ptr, args[1]->ptr, args[1]->len) == 0));
}

static bool call_ends_with(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint32_t skip = args[0]->len - args[1]->len;
    return ret_bool(ret, args[0]->len >= args[1]->len &&
                             (args[1]->len == 0 ||
                              memcmp(args[0]->ptr + skip, args[1]->ptr, args[1]->len) == 0));
}

static bool call_type(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_type_val(sl_cel_type_name(args[0]));
    return true;
}

static bool call_same(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *args[0];
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Conversions                                                                                  */

static bool fail_parse(struct sl_cel_eval *eval, const struct sl_cel_val *text, const char *type)
{
    uint32_t size = text->len > 100 ? 100 : text->len;
    return sl_cel_fail(eval, "type conversion error: '%.*s' is no %s", (int)size,
                       (const char *)text->ptr, type);
}

static bool call_string_bool(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < 6; i++) {
        if (sl_slice_eq_str(sl_cel_slice(args[0]), yes[i])) return ret_bool(ret, true);
        if (sl_slice_eq_str(sl_cel_slice(args[0]), no[i])) return ret_bool(ret, false);
    }
    return fail_parse(eval, args[0], "bool");
}

static bool call_string_bytes(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *args[0];
    ret->kind = SL_CEL_BYTES;
    return true;
}

static bool call_to_double(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_val *val = args[0];
    *ret = sl_cel_double(val->kind == SL_CEL_INT ? (double)val->i : (double)val->u);
    return true;
}

static bool call_string_double(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_val *text = args[0];
    char buf[SL_CEL_NUMBER_TEXT_MAX + 1];
    uint8_t first = text->len > 0 ? text->ptr[0] : ' ';
    bool space = first == ' ' || (first >= '\t' && first <= '\r');
    if (space || text->len >= sizeof(buf)) return fail_parse(eval, text, "double");
    memcpy(buf, text->ptr, text->len);
    buf[text->len] = '\0';
    if (strchr(buf, '(') != NULL) return fail_parse(eval, text, "double");
    char *end;
    errno = 0;
    double value = strtod(buf, &end);
    bool over = errno == ERANGE && isinf(value);
    if (end != buf + text->len || over) return fail_parse(eval, text, "double");
    *ret = sl_cel_double(value);
    return true;
}

/* Decimal digits with an optional sign; false if they do not fit 64 bits with it. */
static bool read_integer(struct sl_slice text, bool *ret_negative, uint64_t *ret)
{
    size_t at = 0;
    uint64_t value = 0;
    *ret_negative = text.size > 0 && text.data[0] == '-';
    if (text.size > 0 && (text.data[0] == '-' || text.data[0] == '+')) at++;
    if (at == text.size || text.size > SL_CEL_NUMBER_TEXT_MAX) return false;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(text.data[at] - '0'), &value)) return false;
    }
    *ret = value;
    return true;
}

static bool call_string_int(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    bool negative;
    uint64_t value;
    if (!read_integer(sl_cel_slice(args[0]), &negative, &value) ||
        value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return fail_parse(eval, args[0], "int");
    }
    *ret = sl_cel_int((int64_t)(negative ? 0 - value : value));
    return true;
}

static bool call_string_uint(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    bool negative;
    uint64_t value;
    bool sign = args[0]->len > 0 && (args[0]->ptr[0] == '-' || args[0]->ptr[0] == '+');
    if (sign || !read_integer(sl_cel_slice(args[0]), &negative, &value)) {
        return fail_parse(eval, args[0], "uint");
    }
    *ret = sl_cel_uint(value);
    return true;
}

static bool range(struct sl_cel_eval *eval, const char *type)
{
    return sl_cel_fail(eval, "range error: the value does not fit %s", type);
}

static bool call_uint_int(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_int((int64_t)args[0]->u);
    return args[0]->u <= INT64_MAX || range(eval, "int");
}

static bool call_int_uint(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_uint((uint64_t)args[0]->i);
    return args[0]->i >= 0 || range(eval, "uint");
}

/* Both ends are excluded: the limits themselves need not survive the way there and back. */
static bool call_double_int(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    double value = args[0]->d;
    if (!(value > -0x1p63 && value < 0x1p63)) return range(eval, "int");
    *ret = sl_cel_int((int64_t)value);
    return true;
}

static bool call_double_uint(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    double value = args[0]->d;
    if (!(value >= 0 && value < 0x1p64)) return range(eval, "uint");
    *ret = sl_cel_uint((uint64_t)value);
    return true;
}

static bool call_string(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return sl_cel_to_string(eval, args[0], ret);
}

const struct sl_cel_function sl_cel_functions_standard[] = {
    {"size", "s>i", call_size},
    {"size", "s.>i", call_size},
    {"size", "y>i", call_size},
    {"size", "y.>i", call_size},
    {"size", "[A>i", call_size},
    {"size", "[A.>i", call_size},
    {"size", "{AB>i", call_size},
    {"size", "{AB.>i", call_size},
    {"contains", "s.s>b", call_contains},
    {"startsWith", "s.s>b", call_starts_with},
    {"endsWith", "s.s>b", call_ends_with},
    {"type", "A>@A", call_type},
    {"dyn", "A>*", call_same},
    {"bool", "b>b", call_same},
    {"bool", "s>b", call_string_bool},
    {"bytes", "y>y", call_same},
    {"bytes", "s>y", call_string_bytes},
    {"double", "d>d", call_same},
    {"double", "i>d", call_to_double},
    {"double", "u>d", call_to_double},
    {"double", "s>d", call_string_double},
    {"int", "i>i", call_same},
    {"int", "u>i", call_uint_int},
    {"int", "d>i", call_double_int},
    {"int", "s>i", call_string_int},
    {"uint", "u>u", call_same},
    {"uint", "i>u", call_int_uint},
    {"uint", "d>u", call_double_uint},
    {"uint", "s>u", call_string_uint},
    {"string", "s>s", call_same},
    {"string", "b>s", call_string},
    {"string", "i>s", call_string},
    {"string", "u>s", call_string},
    {"string", "d>s", call_string},
    {"string", "y>s", call_string},
    {"string", "t>s", call_string},
    {"string", "D>s", call_string},
    {"string", "e>s", call_string},
    {"string", "I>s", call_string},
    {"string", "c>s", call_string},
    {NULL, NULL, NULL},
};
