/* SPDX-License-Identifier: MIT */
/* The math library (cel-go, ext: Math): extremes, rounding, signs, bits. */
#include <math.h>

#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

static bool ret_double(struct sl_cel_val *ret, double value)
{
    *ret = sl_cel_double(value);
    return true;
}

/* The first of two numbers unless the second is greater (sign 1) or less (sign -1). */
static const struct sl_cel_val *extreme(const struct sl_cel_val *a, const struct sl_cel_val *b,
                                        int sign)
{
    return sl_cel_order(b, a) == sign ? b : a;
}

static bool extreme_of_list(struct sl_cel_eval *eval, const struct sl_cel_val *list, int sign,
                            struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(list);
    if (count == 0)
        return sl_cel_fail(eval, "math.%s() of an empty list", sign > 0 ? "greatest" : "least");
    if (!sl_cel_charge(eval, count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, list, i, &item)) return false;
        if (!sl_cel_is_number(&item)) return sl_cel_fail_overload(eval);
        *ret = i == 0 ? item : *extreme(ret, &item, sign);
    }
    return true;
}

static bool call_max(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *extreme(args[0], args[1], 1);
    return true;
}

static bool call_min(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *extreme(args[0], args[1], -1);
    return true;
}

static bool call_max_list(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return extreme_of_list(eval, args[0], 1, ret);
}

static bool call_min_list(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return extreme_of_list(eval, args[0], -1, ret);
}

static bool call_same(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *args[0];
    return true;
}

static bool call_ceil(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_double(ret, ceil(args[0]->d));
}

static bool call_floor(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_double(ret, floor(args[0]->d));
}

static bool call_round(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_double(ret, round(args[0]->d));
}

static bool call_trunc(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_double(ret, trunc(args[0]->d));
}

static bool call_sqrt(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_val *val = args[0];
    double value = val->kind == SL_CEL_DOUBLE ? val->d
                   : val->kind == SL_CEL_INT  ? (double)val->i
                                              : (double)val->u;
    return ret_double(ret, sqrt(value));
}

static bool call_abs(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (args[0]->kind == SL_CEL_DOUBLE) return ret_double(ret, fabs(args[0]->d));
    if (args[0]->i == INT64_MIN) return sl_cel_fail(eval, "integer overflow");
    *ret = sl_cel_int(args[0]->i < 0 ? -args[0]->i : args[0]->i);
    return true;
}

static bool call_sign(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    const struct sl_cel_val *val = args[0];
    if (val->kind == SL_CEL_DOUBLE) {
        return ret_double(ret, isnan(val->d) ? val->d : (val->d > 0) - (val->d < 0));
    }
    if (val->kind == SL_CEL_UINT) {
        *ret = sl_cel_uint(val->u > 0);
    } else {
        *ret = sl_cel_int((val->i > 0) - (val->i < 0));
    }
    return true;
}

static bool call_is_nan(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_bool(isnan(args[0]->d));
    return true;
}

static bool call_is_inf(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_bool(isinf(args[0]->d));
    return true;
}

static bool call_is_finite(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_bool(isfinite(args[0]->d));
    return true;
}

/* A value of the first argument's kind. */
static bool ret_bits(args_t args, uint64_t bits, struct sl_cel_val *ret)
{
    *ret = *args[0];
    ret->u = bits;
    return true;
}

static bool call_and(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bits(args, args[0]->u & args[1]->u, ret);
}

static bool call_or(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bits(args, args[0]->u | args[1]->u, ret);
}

static bool call_xor(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bits(args, args[0]->u ^ args[1]->u, ret);
}

static bool call_not(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bits(args, ~args[0]->u, ret);
}

static bool call_shift_left(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t by = args[1]->i;
    if (by < 0) return sl_cel_fail(eval, "negative offset: %lld", (long long)by);
    return ret_bits(args, by > 63 ? 0 : args[0]->u << by, ret);
}

/* Vacant bits are zero, for an int too. */
static bool call_shift_right(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t by = args[1]->i;
    if (by < 0) return sl_cel_fail(eval, "negative offset: %lld", (long long)by);
    return ret_bits(args, by > 63 ? 0 : args[0]->u >> by, ret);
}

#define EXTREME(name, call)                                                                        \
    {name, "i>i", call_same}, {name, "u>u", call_same}, {name, "d>d", call_same},                  \
        {name, "ii>i", call}, {name, "uu>u", call}, {name, "dd>d", call}, {name, "iu>*", call},    \
        {name, "id>*", call}, {name, "ui>*", call}, {name, "ud>*", call}, {name, "di>*", call},    \
        {name, "du>*", call}, {name, "[i>i", call##_list}, {name, "[u>u", call##_list},            \
    {                                                                                              \
        name, "[d>d", call##_list                                                                  \
    }

const struct sl_cel_function sl_cel_functions_math[] = {
    EXTREME("math.@max", call_max),
    EXTREME("math.@min", call_min),
    {"math.ceil", "d>d", call_ceil},
    {"math.floor", "d>d", call_floor},
    {"math.round", "d>d", call_round},
    {"math.trunc", "d>d", call_trunc},
    {"math.sqrt", "d>d", call_sqrt},
    {"math.sqrt", "i>d", call_sqrt},
    {"math.sqrt", "u>d", call_sqrt},
    {"math.abs", "i>i", call_abs},
    {"math.abs", "u>u", call_same},
    {"math.abs", "d>d", call_abs},
    {"math.sign", "i>i", call_sign},
    {"math.sign", "u>u", call_sign},
    {"math.sign", "d>d", call_sign},
    {"math.isNaN", "d>b", call_is_nan},
    {"math.isInf", "d>b", call_is_inf},
    {"math.isFinite", "d>b", call_is_finite},
    {"math.bitAnd", "ii>i", call_and},
    {"math.bitAnd", "uu>u", call_and},
    {"math.bitOr", "ii>i", call_or},
    {"math.bitOr", "uu>u", call_or},
    {"math.bitXor", "ii>i", call_xor},
    {"math.bitXor", "uu>u", call_xor},
    {"math.bitNot", "i>i", call_not},
    {"math.bitNot", "u>u", call_not},
    {"math.bitShiftLeft", "ii>i", call_shift_left},
    {"math.bitShiftLeft", "ui>u", call_shift_left},
    {"math.bitShiftRight", "ii>i", call_shift_right},
    {"math.bitShiftRight", "ui>u", call_shift_right},
    {NULL, NULL, NULL},
};
