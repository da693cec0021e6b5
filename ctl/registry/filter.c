/* SPDX-License-Identifier: MIT */
/*
 * Filters by example: a Map matches a document that has all its fields with equal values; a Map
 * inside is again an example. A List is "any of these". Works on a stack, not by recursion.
 */
#include <errno.h>

#include "codecs/flat/flat_fast.h"
#include "ctl/registry/internal.h"

struct pair {
    struct sl_value example;
    struct sl_value value;
};

enum { FILTER_STACK_MAX = 256 };

static bool is_nothing(struct sl_value value)
{
    return sl_value_is_none(value) || sl_value_is(value, SL_VALUE_NULL);
}

int filter_check(struct sl_value filter)
{
    if (is_nothing(filter) || sl_value_is(filter, SL_VALUE_MAP)) return 0;
    if (!sl_value_is(filter, SL_VALUE_LIST)) return -EINVAL;
    for (uint32_t i = 0; i < sl_value_count(filter); i++) {
        if (!sl_value_is(sl_value_list_at(filter, i), SL_VALUE_MAP)) return -EINVAL;
    }
    return 0;
}

/* Compare the fields of one Map; Maps inside go on the stack. */
static int fields_match(struct pair pair, struct pair *stack, size_t *count)
{
    for (uint32_t i = 0; i < sl_value_count(pair.example); i++) {
        struct sl_value wanted = sl_value_map_at(pair.example, i);
        struct sl_value found = sl_value_get(pair.value, sl_value_key_at(pair.example, i));
        if (sl_value_is_none(found)) return 0;
        if (sl_value_is(wanted, SL_VALUE_MAP) && sl_value_is(found, SL_VALUE_MAP)) {
            if (*count == FILTER_STACK_MAX) return -E2BIG;
            stack[(*count)++] = (struct pair){wanted, found};
        } else if (!sl_value_equal(wanted, found)) {
            return 0;
        }
    }
    return 1;
}

static int example_matches(struct sl_value example, struct sl_value document)
{
    struct pair stack[FILTER_STACK_MAX];
    size_t count = 0;
    stack[count++] = (struct pair){example, document};
    while (count > 0) {
        struct pair pair = stack[--count];
        int r = fields_match(pair, stack, &count);
        if (r != 1) return r;
    }
    return 1;
}

int filter_matches(struct sl_value filter, struct sl_value document)
{
    if (is_nothing(filter)) return 1;
    if (sl_value_is(filter, SL_VALUE_MAP)) return example_matches(filter, document);
    for (uint32_t i = 0; i < sl_value_count(filter); i++) {
        int r = example_matches(sl_value_list_at(filter, i), document);
        if (r != 0) return r;
    }
    return 0;
}
