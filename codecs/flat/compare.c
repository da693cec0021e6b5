/* SPDX-License-Identifier: MIT */
/*
 * Equality and the order of numbers. Two values are walked side by side with a stack of frames of
 * fixed size: nothing nests deeper than a payload may, except through Lazies, and what does is
 * unequal.
 */
#include "codecs/flat/flat_internal.h"

#include <math.h>

/* Two containers in step; `index` is the child that comes next. */
struct compare_frame {
    struct sl_value a;
    struct sl_value b;
    uint32_t index;
};

static int compare_ints(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* An integer against a float that is not NaN: exact, without rounding the integer. */
static int compare_int_float(int64_t a, double b)
{
    if (b >= 0x1p63) return -1;
    if (b < -0x1p63) return 1;
    int64_t whole = (int64_t)b; /* towards zero: what is cut off decides below */
    if (a != whole) return a < whole ? -1 : 1;
    double rest = b - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

static int compare_uint_float(uint64_t a, double b)
{
    if (b >= 0x1p64) return -1;
    if (b < 0x1p63) return 1; /* a Uint is above INT64_MAX */
    uint64_t whole = (uint64_t)b;
    return a < whole ? -1 : a > whole;
}

static int compare_floats(double a, double b)
{
    return a < b ? -1 : a > b;
}

int sl_value_compare_numbers(struct sl_value a, struct sl_value b)
{
    sl_assert(sl_value_is_number(a));
    sl_assert(sl_value_is_number(b));
    const struct sl_cell *x = a.cell, *y = b.cell;
    if (x->kind == SL_VALUE_FLOAT && isnan(x->f64)) return 2;
    if (y->kind == SL_VALUE_FLOAT && isnan(y->f64)) return 2;
    if (x->kind == SL_VALUE_FLOAT) {
        if (y->kind == SL_VALUE_FLOAT) return compare_floats(x->f64, y->f64);
        if (y->kind == SL_VALUE_INT) return -compare_int_float(y->i64, x->f64);
        return -compare_uint_float(y->word, x->f64);
    }
    if (y->kind == SL_VALUE_FLOAT) {
        return x->kind == SL_VALUE_INT ? compare_int_float(x->i64, y->f64)
                                       : compare_uint_float(x->word, y->f64);
    }
    if (x->kind != y->kind) return x->kind == SL_VALUE_INT ? -1 : 1;
    if (x->kind == SL_VALUE_INT) return compare_ints(x->i64, y->i64);
    return x->word < y->word ? -1 : x->word > y->word;
}

/* Equality of everything but Lists and Maps. */
static bool equal_leaf(struct sl_value a, struct sl_value b)
{
    const struct sl_cell *x = a.cell, *y = b.cell;
    if (sl_value_is_number(a)) {
        return sl_value_is_number(b) && sl_value_compare_numbers(a, b) == 0;
    }
    if (x->kind != y->kind) return false;
    switch (x->kind) {
    case SL_VALUE_NULL: return true;
    case SL_VALUE_BOOL: return x->word == y->word;
    case SL_VALUE_STRING:
    case SL_VALUE_BINARY: {
        struct sl_slice p = sl_value_slice(a), q = sl_value_slice(b);
        return p.size == q.size &&
               (p.size == 0 || p.data == q.data || memcmp(p.data, q.data, p.size) == 0);
    }
    case SL_VALUE_TIME:
    case SL_VALUE_DURATION: return x->word == y->word && x->len == y->len;
    case SL_VALUE_ERROR:
        return sl_slice_eq(sl_value_slice(sl_error_part(a, SL_ERROR_CODE)),
                           sl_value_slice(sl_error_part(b, SL_ERROR_CODE))) &&
               sl_slice_eq(sl_value_slice(sl_error_part(a, SL_ERROR_MESSAGE)),
                           sl_value_slice(sl_error_part(b, SL_ERROR_MESSAGE)));
    default: sl_unreachable(); return false;
    }
}

static bool is_open_kind(struct sl_value value)
{
    return value.cell->kind == SL_VALUE_LIST || value.cell->kind == SL_VALUE_MAP;
}

/* Child `index` of a, and the child of b that has to equal it; false if there is none. */
static bool children_get(const struct compare_frame *frame, struct sl_value *ret_a,
                         struct sl_value *ret_b)
{
    uint32_t index = frame->index;
    if (frame->a.cell->kind == SL_VALUE_LIST) {
        *ret_a = sl_value_list_at(frame->a, index);
        *ret_b = sl_value_list_at(frame->b, index);
        return true;
    }
    struct sl_slice key = sl_value_key_at(frame->a, index);
    int64_t other = index; /* mostly both maps were made in the same order */
    if (!sl_slice_eq(key, sl_value_key_at(frame->b, index))) {
        uint16_t hash = frame->a.buf->cells[frame->a.cell->word + 2 * (uint64_t)index].hash;
        other = sl_value_find_hashed(frame->b, key.data, key.size, hash);
        if (other < 0) return false;
    }
    *ret_a = sl_value_map_at(frame->a, index);
    *ret_b = sl_value_map_at(frame->b, (uint32_t)other);
    return true;
}

bool sl_value_equal(struct sl_value a, struct sl_value b)
{
    sl_assert(a.cell != NULL);
    sl_assert(b.cell != NULL);
    struct compare_frame frames[FLAT_FRAMES_MAX];
    uint32_t depth = 0;
    for (;;) {
        if (!is_open_kind(a)) {
            if (!equal_leaf(a, b)) return false;
        } else {
            if (a.cell->kind != b.cell->kind || a.cell->len != b.cell->len) return false;
            if (depth == FLAT_FRAMES_MAX) return false;
            frames[depth++] = (struct compare_frame){a, b, 0};
        }
        while (depth > 0 && frames[depth - 1].index == frames[depth - 1].a.cell->len) depth--;
        if (depth == 0) return true;
        if (!children_get(&frames[depth - 1], &a, &b)) return false;
        frames[depth - 1].index++;
    }
}

bool sl_error_has_message(struct sl_value error, struct sl_slice text)
{
    while (sl_value_is(error, SL_VALUE_ERROR)) {
        if (sl_slice_eq(sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE)), text)) return true;
        error = sl_error_part(error, SL_ERROR_CAUSE);
    }
    return false;
}
