/* SPDX-License-Identifier: MIT */
/* Optional values (cel-go, OptionalTypes). or() and orValue() have instructions of their own. */
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

static bool call_of(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return sl_cel_optional_some(eval, args[0], ret);
}

static bool call_none(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_optional(NULL);
    return true;
}

static bool is_zero(const struct sl_cel_val *val)
{
    switch ((enum sl_cel_kind)val->kind) {
    case SL_CEL_NULL: return true;
    case SL_CEL_BOOL:
    case SL_CEL_INT:
    case SL_CEL_UINT:
    case SL_CEL_DURATION: return val->u == 0;
    case SL_CEL_DOUBLE: return val->d == 0;
    case SL_CEL_STRING:
    case SL_CEL_BYTES: return val->len == 0;
    case SL_CEL_LIST:
    case SL_CEL_MAP: return sl_cel_count(val) == 0;
    case SL_CEL_TIMESTAMP: return val->i == SL_CEL_TIME_MIN && val->len == 0;
    case SL_CEL_OPTIONAL: return val->some == NULL;
    default: return false;
    }
}

static bool call_of_non_zero(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return is_zero(args[0]) ? call_none(eval, args, ret) : call_of(eval, args, ret);
}

static bool call_value(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    if (args[0]->some == NULL) return sl_cel_fail(eval, "optional.none() dereference");
    *ret = *args[0]->some;
    return true;
}

static bool call_has_value(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_bool(args[0]->some != NULL);
    return true;
}

/* Only reached where the two calls were not generated as instructions. */
static bool call_or(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = args[0]->some != NULL ? *args[0] : *args[1];
    return true;
}

static bool call_or_value(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = args[0]->some != NULL ? *args[0]->some : *args[1];
    return true;
}

static bool call_unwrap(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(args[0]);
    if (!sl_cel_charge(eval, count) || !sl_cel_list_new(eval, 0, ret)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val item;
        if (!sl_cel_list_at(eval, args[0], i, &item)) return false;
        if (item.kind != SL_CEL_OPTIONAL) return sl_cel_fail_overload(eval);
        if (item.some != NULL && !sl_cel_list_push(eval, ret->list, item.some)) return false;
    }
    return true;
}

static bool end_of(struct sl_cel_eval *eval, const struct sl_cel_val *list, bool last,
                   struct sl_cel_val *ret)
{
    uint32_t count = sl_cel_count(list);
    struct sl_cel_val item;
    *ret = sl_cel_optional(NULL);
    if (count == 0) return true;
    if (!sl_cel_list_at(eval, list, last ? count - 1 : 0, &item)) return false;
    return sl_cel_optional_some(eval, &item, ret);
}

static bool call_first(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return end_of(eval, args[0], false, ret);
}

static bool call_last(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return end_of(eval, args[0], true, ret);
}

const struct sl_cel_function sl_cel_functions_optional[] = {
    {"optional.of", "A>?A", call_of},      {"optional.ofNonZeroValue", "A>?A", call_of_non_zero},
    {"optional.none", ">?A", call_none},   {"value", "?A.>A", call_value},
    {"hasValue", "?A.>b", call_has_value}, {"or", "?A.?A>?A", call_or},
    {"orValue", "?A.A>A", call_or_value},  {"optional.unwrap", "[?A>[A", call_unwrap},
    {"unwrapOpt", "[?A.>[A", call_unwrap}, {"first", "[A.>?A", call_first},
    {"last", "[A.>?A", call_last},         {NULL, NULL, NULL},
};
