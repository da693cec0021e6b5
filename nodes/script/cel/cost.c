/* SPDX-License-Identifier: MIT */
/*
 * A bound on the cost of a run, from the tree alone: what an evaluation charges (sl_cel_charge) is
 * never more. Where the work grows with the size of a value from outside there is no bound; then
 * the node that makes it so is named, and the limit of a run is all that holds.
 *
 * A test runs every expression of the conformance files against its bound.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/gen.h"

enum {
    NODE_COST = 2,     /* instructions of a node beside those of its arguments; a call charges 1 */
    SMALL_COST = 8,    /* of a call that makes at most the text of a number */
    TURN_COST = 8,     /* of a loop: its own instructions, and what it puts into a list or map */
    LITERAL_PARTS = 64 /* parts of a literal that are looked at one by one */
};

static uint64_t cost_of(const struct sl_cel_node *node, struct sl_cel_cost *cost);

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* There is no bound, because of this node; the first one found is kept. */
static uint64_t unbounded(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    if (cost->why == NULL) cost->why = node;
    return UINT64_MAX;
}

static bool is_one_of(struct sl_slice name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (sl_slice_eq_str(name, *names)) return true;
    }
    return false;
}

static bool is_container(const struct sl_cel_node *node)
{
    if (node->type == NULL) return false;
    return node->type->kind == SL_CEL_T_LIST || node->type->kind == SL_CEL_T_MAP;
}

/* A value of one word: whatever is done with it takes the same time. */
static bool is_fixed(const struct sl_cel_node *node)
{
    static const char *const numeric[] = {"_-_", "_*_", "_/_", "_%_", "-_", NULL};
    if (node->kind == SL_CEL_N_LITERAL) return node->literal.kind <= SL_CEL_DOUBLE;
    if (node->kind == SL_CEL_N_CALL && is_one_of(node->name, numeric)) return true;
    if (node->type == NULL) return false;
    enum sl_cel_type_kind kind = (enum sl_cel_type_kind)node->type->kind;
    return (kind >= SL_CEL_T_NULL && kind <= SL_CEL_T_DOUBLE) || kind == SL_CEL_T_TIMESTAMP ||
           kind == SL_CEL_T_DURATION;
}

/* The cost of comparing a literal with anything; UINT64_MAX if it is too large to look at. */
static uint64_t literal_cost(const struct sl_cel_val *val)
{
    if (val->kind < SL_CEL_STRING) return 1;
    if (val->kind <= SL_CEL_BYTES) return 1 + val->len / 64;
    if (val->kind != SL_CEL_LIST || sl_cel_is_cell(val)) return UINT64_MAX;
    uint64_t cost = 2;
    if (val->list->count > LITERAL_PARTS) return UINT64_MAX;
    for (uint32_t i = 0; i < val->list->count; i++) {
        const struct sl_cel_val *item = &val->list->items[i];
        if (item->kind >= SL_CEL_LIST) return UINT64_MAX;
        cost = add(cost, 1 + literal_cost(item));
    }
    return cost;
}

/* ==, !=, <, <=, >, >=: bounded if either side is. */
static uint64_t comparison_cost(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct sl_cel_node *arg = node->args[i];
        uint64_t one = UINT64_MAX;
        if (is_fixed(arg)) {
            one = 1;
        } else if (arg->kind == SL_CEL_N_LITERAL) {
            one = literal_cost(&arg->literal);
        }
        if (one < best) best = one;
    }
    return best == UINT64_MAX ? unbounded(node, cost) : best;
}

/* x in [a, b, c] */
static uint64_t in_cost(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    const struct sl_cel_node *in = node->args[1];
    bool fixed = is_fixed(node->args[0]);
    uint64_t all = 0;
    if (in->kind == SL_CEL_N_LITERAL && in->literal.kind == SL_CEL_MAP) return 1;
    if (in->kind == SL_CEL_N_LITERAL && in->literal.kind == SL_CEL_LIST) {
        const struct sl_cel_list *list = in->literal.list;
        for (uint32_t i = 0; i < list->count; i++) {
            uint64_t one = fixed ? 1 : literal_cost(&list->items[i]);
            if (one == UINT64_MAX) return unbounded(node, cost);
            all = add(all, 1 + one);
        }
        return all;
    }
    if (in->kind == SL_CEL_N_MAP) return 1;
    if (in->kind != SL_CEL_N_LIST) return unbounded(node, cost);
    for (uint32_t i = 0; i < in->count; i++) {
        bool known = fixed || is_fixed(in->args[i]);
        uint64_t one = 1;
        if (!known && in->args[i]->kind == SL_CEL_N_LITERAL) {
            one = literal_cost(&in->args[i]->literal);
        } else if (!known) {
            one = UINT64_MAX;
        }
        if (one == UINT64_MAX) return unbounded(node, cost);
        all = add(all, 1 + one);
    }
    return all;
}

/* The cost of a call itself, its arguments left out. */
static uint64_t call_cost(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    static const char *const one_step[] = {
        "_-_",     "_*_",    "_/_",           "_%_",         "-_",       "!_",       "_[_]",
        "_[?_]",   "dyn",    "type",          "optional.of", "value",    "hasValue", "or",
        "orValue", "last",   "optional.none", "startsWith",  "endsWith", "bool",     "int",
        "uint",    "double", "timestamp",     "duration",    NULL,
    };
    static const char *const comparisons[] = {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", NULL};
    static const char *const sized[] = {"size", "string", "_+_", NULL};
    bool fixed = true;
    bool any_fixed = false;
    uint32_t first = node->meaning == SL_CEL_M_GLOBAL_CALL ? 1 : 0;
    for (uint32_t i = first; i < node->count; i++) {
        fixed &= is_fixed(node->args[i]);
        any_fixed |= is_fixed(node->args[i]);
    }
    if (is_one_of(node->name, one_step)) return 0;
    bool is_size = sl_slice_eq_str(node->name, "size") && node->count > first;
    if (is_size && is_container(node->args[first])) return 0;
    if (is_one_of(node->name, comparisons)) return comparison_cost(node, cost);
    if (sl_slice_eq_str(node->name, "@in") && node->count == 2) return in_cost(node, cost);
    /* A number or a time plus anything is a number or a time, or fails. */
    if (sl_slice_eq_str(node->name, "_+_") && any_fixed) return 0;
    if (sl_slice_has_prefix(node->name, SL_SLICE("get"))) return SMALL_COST; /* of a time */
    bool small = is_one_of(node->name, sized) || sl_slice_has_prefix(node->name, SL_SLICE("math."));
    if (small && fixed) return SMALL_COST;
    return unbounded(node, cost);
}

/* The number of turns of a loop over `range`; UINT64_MAX if it is not known. */
static uint64_t turns(const struct sl_cel_node *range)
{
    if (range->kind == SL_CEL_N_LIST) return range->count;
    if (range->kind == SL_CEL_N_MAP) return range->count / 2;
    /* What map() and filter() make is no longer than what they go over. */
    if (range->kind == SL_CEL_N_LOOP && range->op <= SL_CEL_LOOP_MAP) return turns(range->args[0]);
    if (range->kind != SL_CEL_N_LITERAL) return UINT64_MAX;
    bool container = range->literal.kind == SL_CEL_LIST || range->literal.kind == SL_CEL_MAP;
    return container ? sl_cel_count(&range->literal) : 1;
}

static uint64_t loop_cost(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    uint64_t turn = TURN_COST;
    uint64_t count = turns(node->args[0]);
    uint64_t range = cost_of(node->args[0], cost);
    if (range == UINT64_MAX) return range;
    bool merges = node->op == SL_CEL_LOOP_ENTRIES && node->args[1]->kind != SL_CEL_N_MAP;
    if (count == UINT64_MAX || merges) return unbounded(node, cost);
    for (uint32_t i = 1; i < node->count; i++) turn = add(turn, cost_of(node->args[i], cost));
    if (node->op == SL_CEL_LOOP_ENTRIES) turn = add(turn, 2 * (uint64_t)node->args[1]->count);
    return add(add(range, NODE_COST + TURN_COST), times(count, turn));
}

/* The recursion follows the tree, whose depth the parser bounded. */
static uint64_t cost_of(const struct sl_cel_node *node, struct sl_cel_cost *cost)
{
    if (node->kind == SL_CEL_N_LOOP) return loop_cost(node, cost);
    uint64_t all = NODE_COST;
    if (node->kind == SL_CEL_N_LIST || node->kind == SL_CEL_N_MAP) {
        all = add(all, 2 * (uint64_t)node->count); /* memory, pairs, and the index of a map */
    }
    uint32_t first = node->meaning == SL_CEL_M_GLOBAL_CALL ? 1 : 0;
    uint64_t branches = 0;
    for (uint32_t i = first; i < node->count; i++) {
        uint64_t one = cost_of(node->args[i], cost);
        bool is_branch = node->kind == SL_CEL_N_COND && i > 0;
        if (is_branch && one > branches) branches = one;
        if (!is_branch) all = add(all, one);
    }
    all = add(all, branches);
    if (node->kind == SL_CEL_N_CALL) all = add(all, call_cost(node, cost));
    return all;
}

void sl_cel_cost_bound(const struct sl_cel_node *root, struct sl_cel_cost *ret_cost)
{
    sl_assert(root != NULL);
    sl_assert(ret_cost != NULL);
    *ret_cost = (struct sl_cel_cost){0};
    ret_cost->bound = cost_of(root, ret_cost);
}
