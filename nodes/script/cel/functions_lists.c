/* SPDX-License-Identifier: MIT */
/* The lists and sets libraries (cel-go, ext: Lists, Sets). */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

/* Push elements start … end-1 of a list to another that is being built. */
static bool push_range(struct sl_cel_eval *eval, const struct sl_cel_val *from, int64_t start,
                       int64_t end, struct sl_cel_val *to)
{
    for (int64_t i = start; i < end; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, from, (uint32_t)i, &item)) return false;
        if (!sl_cel_list_push(eval, to->list, &item)) return false;
    }
    return sl_cel_charge(eval, (uint64_t)(end - start));
}

static bool call_slice(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t start = args[1]->i;
    int64_t end = args[2]->i;
    int64_t count = sl_cel_count(args[0]);
    if (start < 0 || end < 0) {
        return sl_cel_fail(eval, "cannot slice(%lld, %lld), negative indexes not supported",
                           (long long)start, (long long)end);
    }
    if (start > end) {
        return sl_cel_fail(eval,
                           "cannot slice(%lld, %lld), start index must be less than or equal to "
                           "end index",
                           (long long)start, (long long)end);
    }
    if (end > count) {
        return sl_cel_fail(eval, "cannot slice(%lld, %lld), list is length %lld", (long long)start,
                           (long long)end, (long long)count);
    }
    return sl_cel_list_new(eval, (uint32_t)(end - start), ret) &&
           push_range(eval, args[0], start, end, ret);
}

/* Depth is bounded by that of values. */
static bool flatten(struct sl_cel_eval *eval, const struct sl_cel_val *list, int64_t depth,
                    struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(list);
    if (!sl_cel_charge(eval, count + 1)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, list, i, &item)) return false;
        if (item.kind == SL_CEL_LIST && depth > 0) {
            if (!flatten(eval, &item, depth - 1, ret)) return false;
        } else if (!sl_cel_list_push(eval, ret->list, &item)) {
            return false;
        }
    }
    return true;
}

static bool call_flatten(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return sl_cel_list_new(eval, sl_cel_count(args[0]), ret) && flatten(eval, args[0], 1, ret);
}

static bool call_flatten_depth(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (args[1]->i < 0) return sl_cel_fail(eval, "level must be non-negative");
    return sl_cel_list_new(eval, sl_cel_count(args[0]), ret) &&
           flatten(eval, args[0], args[1]->i, ret);
}

static bool call_range(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t count = args[0]->i;
    if (count < 0) return sl_cel_fail(eval, "lists.range() of a negative number");
    if (count > SL_PAYLOAD_CELLS_MAX) return sl_cel_fail_memory(eval);
    if (!sl_cel_charge(eval, (uint64_t)count)) return false;
    if (!sl_cel_list_new(eval, (uint32_t)count, ret)) return false;
    for (int64_t i = 0; i < count; i++) ret->list->items[i] = sl_cel_int(i);
    ret->list->count = (uint32_t)count;
    return true;
}

static bool call_reverse(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(args[0]);
    if (!sl_cel_charge(eval, count) || !sl_cel_list_new(eval, count, ret)) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_cel_list_at(eval, args[0], count - 1 - i, &ret->list->items[i])) return false;
    }
    ret->list->count = count;
    return true;
}

/* 1 if the list holds a value equal to `item`, 0, -1 failed. */
static int holds(struct sl_cel_eval *eval, const struct sl_cel_val *list,
                 const struct sl_cel_val *item)
{
    uint32_t count = sl_cel_count(list);
    if (!sl_cel_charge(eval, count / 4 + 1)) return -1;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val other;
        if (!sl_cel_list_at(eval, list, i, &other)) return -1;
        int equal = sl_cel_equal(eval, &other, item);
        if (equal != 0) return equal;
    }
    return 0;
}

static bool call_distinct(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(args[0]);
    if (!sl_cel_list_new(eval, 0, ret)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, args[0], i, &item)) return false;
        int known = holds(eval, ret, &item);
        if (known < 0) return false;
        if (known == 0 && !sl_cel_list_push(eval, ret->list, &item)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Sorting: a stable merge, so that the deadline is looked at and no order is left to chance    */

struct pair {
    struct sl_cel_val key;
    struct sl_cel_val item;
};

static bool merge(struct sl_cel_eval *eval, const struct pair *from, struct pair *to,
                  uint32_t start, uint32_t middle, uint32_t end)
{
    uint32_t left = start;
    uint32_t right = middle;
    if (!sl_cel_charge(eval, end - start)) return false;
    for (uint32_t i = start; i < end; i++) {
        bool take_right = left == middle;
        if (left < middle && right < end)
            take_right = sl_cel_order(&from[right].key, &from[left].key) == -1;
        to[i] = take_right ? from[right++] : from[left++];
    }
    return true;
}

static bool sort_pairs(struct sl_cel_eval *eval, struct pair **pairs, uint32_t count)
{
    struct pair *other = sl_cel_alloc(eval, (count + 1) * sizeof(*other));
    if (other == NULL) return false;
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t start = 0; start < count; start += 2 * width) {
            uint64_t middle = start + width < count ? start + width : count;
            uint64_t end = middle + width < count ? middle + width : count;
            if (!merge(eval, *pairs, other, (uint32_t)start, (uint32_t)middle, (uint32_t)end)) {
                return false;
            }
        }
        struct pair *swap = *pairs;
        *pairs = other;
        other = swap;
    }
    return true;
}

/* Of one kind, or numbers of which one came from a payload: there 1 and 1.5 are of one kind. */
static bool can_sort(const struct sl_cel_val *a, const struct sl_cel_val *b)
{
    if (a->kind == b->kind) return true;
    bool numbers = sl_cel_is_number(a) && sl_cel_is_number(b);
    return numbers && ((a->flags | b->flags) & SL_CEL_JSON) != 0;
}

static bool sort_by(struct sl_cel_eval *eval, const struct sl_cel_val *list,
                    const struct sl_cel_val *keys, struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(list);
    if (sl_cel_count(keys) != count) return sl_cel_fail_overload(eval);
    struct pair *pairs = sl_cel_alloc(eval, (count + 1) * sizeof(*pairs));
    if (pairs == NULL) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_cel_list_at(eval, keys, i, &pairs[i].key)) return false;
        if (!sl_cel_list_at(eval, list, i, &pairs[i].item)) return false;
        if (!can_sort(&pairs[i].key, &pairs[0].key)) {
            return sl_cel_fail(eval, "list elements must have the same type");
        }
        if (sl_cel_order(&pairs[i].key, &pairs[i].key) == 3) {
            return sl_cel_fail(eval, "list elements must be comparable");
        }
    }
    if (!sort_pairs(eval, &pairs, count) || !sl_cel_list_new(eval, count, ret)) return false;
    for (uint32_t i = 0; i < count; i++) ret->list->items[i] = pairs[i].item;
    ret->list->count = count;
    return true;
}

static bool call_sort(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return sort_by(eval, args[0], args[0], ret);
}

static bool call_sort_by(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return sort_by(eval, args[0], args[1], ret);
}

/* ------------------------------------------------------------------------------------------ */
/* Sets                                                                                         */

/* 1 if `list` holds every element of `of`, 0, -1 failed. */
static int holds_all(struct sl_cel_eval *eval, const struct sl_cel_val *list,
                     const struct sl_cel_val *of)
{
    uint32_t count = sl_cel_count(of);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, of, i, &item)) return -1;
        int known = holds(eval, list, &item);
        if (known <= 0) return known;
    }
    return 1;
}

static bool call_contains(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int result = holds_all(eval, args[0], args[1]);
    *ret = sl_cel_bool(result > 0);
    return result >= 0;
}

static bool call_equivalent(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int result = holds_all(eval, args[0], args[1]);
    if (result > 0) result = holds_all(eval, args[1], args[0]);
    *ret = sl_cel_bool(result > 0);
    return result >= 0;
}

static bool call_intersects(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(args[1]);
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, args[1], i, &item)) return false;
        result = holds(eval, args[0], &item);
    }
    *ret = sl_cel_bool(result > 0);
    return result >= 0;
}

const struct sl_cel_function sl_cel_functions_lists[] = {
    {"slice", "[A.ii>[A", call_slice},
    {"flatten", "[*.>[*", call_flatten},
    {"flatten", "[*.i>[*", call_flatten_depth},
    {"lists.range", "i>[i", call_range},
    {"reverse", "[A.>[A", call_reverse},
    {"distinct", "[A.>[A", call_distinct},
    {"sort", "[A.>[A", call_sort},
    {"@sortBy", "[A.[B>[A", call_sort_by},
    {"sets.contains", "[A[A>b", call_contains},
    {"sets.equivalent", "[A[A>b", call_equivalent},
    {"sets.intersects", "[A[A>b", call_intersects},
    {NULL, NULL, NULL},
};
