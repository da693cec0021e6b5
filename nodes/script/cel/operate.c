/* SPDX-License-Identifier: MIT */
/* Arithmetic: exact, with an error for every overflow (cel-spec, langdef.md, "Overflow"). */
#include <math.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

static bool overflow(struct sl_cel_eval *eval, const char *type)
{
    return sl_cel_fail(eval, "return error for overflow: %s", type);
}

static bool on_ints(struct sl_cel_eval *eval, enum sl_cel_op op, int64_t b, int64_t c,
                    struct sl_cel_val *ret)
{
    int64_t value = 0;
    bool over = false;
    switch (op) {
    case SL_CEL_OP_ADD: over = __builtin_add_overflow(b, c, &value); break;
    case SL_CEL_OP_SUBTRACT: over = __builtin_sub_overflow(b, c, &value); break;
    case SL_CEL_OP_MULTIPLY: over = __builtin_mul_overflow(b, c, &value); break;
    default:
        if (c == 0) {
            return sl_cel_fail(eval, op == SL_CEL_OP_DIVIDE ? "divide by zero" : "modulus by zero");
        }
        over = b == INT64_MIN && c == -1;
        if (!over) value = op == SL_CEL_OP_DIVIDE ? b / c : b % c;
        break;
    }
    *ret = sl_cel_int(value);
    return !over || overflow(eval, "int");
}

static bool on_uints(struct sl_cel_eval *eval, enum sl_cel_op op, uint64_t b, uint64_t c,
                     struct sl_cel_val *ret)
{
    uint64_t value = 0;
    bool over = false;
    switch (op) {
    case SL_CEL_OP_ADD: over = __builtin_add_overflow(b, c, &value); break;
    case SL_CEL_OP_SUBTRACT: over = __builtin_sub_overflow(b, c, &value); break;
    case SL_CEL_OP_MULTIPLY: over = __builtin_mul_overflow(b, c, &value); break;
    default:
        if (c == 0) {
            return sl_cel_fail(eval, op == SL_CEL_OP_DIVIDE ? "divide by zero" : "modulus by zero");
        }
        value = op == SL_CEL_OP_DIVIDE ? b / c : b % c;
        break;
    }
    *ret = sl_cel_uint(value);
    return !over || overflow(eval, "uint");
}

static bool on_doubles(struct sl_cel_eval *eval, enum sl_cel_op op, double b, double c,
                       struct sl_cel_val *ret)
{
    switch (op) {
    case SL_CEL_OP_ADD: *ret = sl_cel_double(b + c); return true;
    case SL_CEL_OP_SUBTRACT: *ret = sl_cel_double(b - c); return true;
    case SL_CEL_OP_MULTIPLY: *ret = sl_cel_double(b * c); return true;
    case SL_CEL_OP_DIVIDE: *ret = sl_cel_double(b / c); return true;
    default: return sl_cel_fail_overload(eval);
    }
}

static bool concat_bytes(struct sl_cel_eval *eval, const struct sl_cel_val *b,
                         const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    uint8_t kind = b->kind;
    if (c->len == 0 || b->len == 0) {
        *ret = c->len == 0 ? *b : *c;
        return true;
    }
    uint8_t *data = sl_cel_alloc_string(eval, (size_t)b->len + c->len, ret);
    if (data == NULL) return false;
    memcpy(data, b->ptr, b->len);
    memcpy(data + b->len, c->ptr, c->len);
    ret->kind = kind;
    return true;
}

static bool concat_lists(struct sl_cel_eval *eval, const struct sl_cel_val *b,
                         const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    uint64_t count = (uint64_t)sl_cel_count(b) + sl_cel_count(c);
    if (count > SL_PAYLOAD_CELLS_MAX) return sl_cel_fail_memory(eval);
    if (!sl_cel_charge(eval, count) || !sl_cel_list_new(eval, (uint32_t)count, ret)) return false;
    const struct sl_cel_val *from[2] = {b, c};
    for (int side = 0; side < 2; side++) {
        uint32_t size = sl_cel_count(from[side]);
        for (uint32_t i = 0; i < size; i++) {
            struct sl_cel_val item;
            if (!sl_cel_list_at(eval, from[side], i, &item)) return false;
            if (!sl_cel_list_push(eval, ret->list, &item)) return false;
        }
    }
    return true;
}

static bool make_timestamp(struct sl_cel_eval *eval, int64_t seconds, uint32_t nanoseconds,
                           int64_t plus_ns, bool negative, struct sl_cel_val *ret)
{
    int64_t plus_seconds = plus_ns / 1000000000;
    int64_t plus_rest = plus_ns % 1000000000;
    if (negative) {
        plus_seconds = -plus_seconds;
        plus_rest = -plus_rest;
    }
    int64_t rest = (int64_t)nanoseconds + plus_rest;
    seconds += plus_seconds;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    } else if (rest >= 1000000000) {
        rest -= 1000000000;
        seconds++;
    }
    if (seconds < SL_CEL_TIME_MIN || seconds > SL_CEL_TIME_MAX) {
        return sl_cel_fail(eval, "timestamp out of range: " SL_CEL_TIME_RANGE);
    }
    *ret = sl_cel_timestamp(seconds, (uint32_t)rest);
    return true;
}

static bool between(struct sl_cel_eval *eval, const struct sl_cel_val *b,
                    const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    int64_t ns;
    if (__builtin_mul_overflow(b->i - c->i, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, (int64_t)b->len - (int64_t)c->len, &ns)) {
        return sl_cel_fail(eval, "duration out of range: " SL_CEL_DURATION_RANGE);
    }
    *ret = sl_cel_duration(ns);
    return true;
}

static bool on_durations(struct sl_cel_eval *eval, enum sl_cel_op op, int64_t b, int64_t c,
                         struct sl_cel_val *ret)
{
    int64_t ns;
    bool over =
        op == SL_CEL_OP_ADD ? __builtin_add_overflow(b, c, &ns) : __builtin_sub_overflow(b, c, &ns);
    *ret = sl_cel_duration(ns);
    return !over || sl_cel_fail(eval, "duration out of range: " SL_CEL_DURATION_RANGE);
}

static bool on_times(struct sl_cel_eval *eval, enum sl_cel_op op, const struct sl_cel_val *b,
                     const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    bool add = op == SL_CEL_OP_ADD;
    if (!add && op != SL_CEL_OP_SUBTRACT) return sl_cel_fail_overload(eval);
    bool b_time = b->kind == SL_CEL_TIMESTAMP;
    bool c_time = c->kind == SL_CEL_TIMESTAMP;
    bool b_span = b->kind == SL_CEL_DURATION;
    bool c_span = c->kind == SL_CEL_DURATION;
    if (b_span && c_span) return on_durations(eval, op, b->i, c->i, ret);
    if (b_time && c_span) return make_timestamp(eval, b->i, b->len, c->i, !add, ret);
    if (b_span && c_time && add) return make_timestamp(eval, c->i, c->len, b->i, false, ret);
    if (b_time && c_time && !add) return between(eval, b, c, ret);
    return sl_cel_fail_overload(eval);
}

static double as_double(const struct sl_cel_val *val)
{
    if (val->kind == SL_CEL_DOUBLE) return val->d;
    return val->kind == SL_CEL_INT ? (double)val->i : (double)val->u;
}

/* Numbers of different kinds, one at least from a payload: brought to one kind. */
static bool on_mixed(struct sl_cel_eval *eval, enum sl_cel_op op, const struct sl_cel_val *b,
                     const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    bool done;
    if (b->kind == SL_CEL_DOUBLE || c->kind == SL_CEL_DOUBLE) {
        done = on_doubles(eval, op, as_double(b), as_double(c), ret);
    } else {
        const struct sl_cel_val *number = b->kind == SL_CEL_INT ? b : c;
        if (number->i < 0) return sl_cel_fail_overload(eval);
        done = on_uints(eval, op, b->u, c->u, ret);
    }
    ret->flags |= SL_CEL_JSON;
    return done;
}

static bool on_same(struct sl_cel_eval *eval, enum sl_cel_op op, const struct sl_cel_val *b,
                    const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    switch ((enum sl_cel_kind)b->kind) {
    case SL_CEL_INT: return on_ints(eval, op, b->i, c->i, ret);
    case SL_CEL_UINT: return on_uints(eval, op, b->u, c->u, ret);
    case SL_CEL_DOUBLE: return on_doubles(eval, op, b->d, c->d, ret);
    case SL_CEL_TIMESTAMP:
    case SL_CEL_DURATION: return on_times(eval, op, b, c, ret);
    default: break;
    }
    if (op != SL_CEL_OP_ADD) return sl_cel_fail_overload(eval);
    if (b->kind == SL_CEL_STRING || b->kind == SL_CEL_BYTES) return concat_bytes(eval, b, c, ret);
    if (b->kind == SL_CEL_LIST) return concat_lists(eval, b, c, ret);
    return sl_cel_fail_overload(eval);
}

bool sl_cel_arithmetic(struct sl_cel_eval *eval, enum sl_cel_op op, const struct sl_cel_val *b,
                       const struct sl_cel_val *c, struct sl_cel_val *ret)
{
    sl_assert(op >= SL_CEL_OP_ADD && op <= SL_CEL_OP_MODULO);
    bool json = ((b->flags | c->flags) & SL_CEL_JSON) != 0;
    if (b->kind == c->kind) {
        if (!on_same(eval, op, b, c, ret)) return false;
        if (json) ret->flags |= SL_CEL_JSON;
        return true;
    }
    if (json && sl_cel_is_number(b) && sl_cel_is_number(c)) return on_mixed(eval, op, b, c, ret);
    return on_times(eval, op, b, c, ret);
}

bool sl_cel_negate(struct sl_cel_eval *eval, const struct sl_cel_val *b, struct sl_cel_val *ret)
{
    if (b->kind == SL_CEL_DOUBLE) {
        *ret = sl_cel_double(-b->d);
    } else if (b->kind != SL_CEL_INT) {
        return sl_cel_fail_overload(eval);
    } else if (b->i == INT64_MIN) {
        return overflow(eval, "int");
    } else {
        *ret = sl_cel_int(-b->i);
    }
    ret->flags |= b->flags & SL_CEL_JSON;
    return true;
}
