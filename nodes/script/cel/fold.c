/* SPDX-License-Identifier: MIT */
/*
 * What is known when a program is loaded: constant parts are computed once, with the evaluator
 * itself, and the cost of a run is bounded as far as it can be.
 *
 * A part that fails, or that would be large, stays as it is and fails at run time where it stands.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/gen.h"

enum { FOLD_COST_MAX = 10000, FOLD_FRAME = 64 };

static bool all_literal(const struct sl_cel_node *node, uint32_t first)
{
    for (uint32_t i = first; i < node->count; i++) {
        if (node->args[i]->kind != SL_CEL_N_LITERAL) return false;
    }
    return true;
}

static bool can_fold(const struct sl_cel_node *node)
{
    if (node->kind == SL_CEL_N_LIST || node->kind == SL_CEL_N_MAP) {
        return node->opt == NULL && node->count <= FOLD_COST_MAX && all_literal(node, 0);
    }
    if (node->kind == SL_CEL_N_SELECT) {
        return node->meaning == SL_CEL_M_NONE && all_literal(node, 0);
    }
    if (node->kind != SL_CEL_N_CALL || node->rest) return false;
    return all_literal(node, node->meaning == SL_CEL_M_GLOBAL_CALL ? 1 : 0);
}

/* A list or map of literals, without code. */
static bool fold_container(struct sl_cel_eval *eval, const struct sl_cel_node *node,
                           struct sl_cel_val *ret)
{
    bool list = node->kind == SL_CEL_N_LIST;
    if (list && !sl_cel_list_new(eval, node->count, ret)) return false;
    if (!list && !sl_cel_map_new(eval, node->count / 2, ret)) return false;
    for (uint32_t i = 0; i < node->count; i += list ? 1 : 2) {
        const struct sl_cel_val *item = &node->args[i]->literal;
        bool done = list ? sl_cel_list_push(eval, ret->list, item)
                         : sl_cel_map_put(eval, ret->map, item, &node->args[i + 1]->literal);
        if (!done) return false;
    }
    return true;
}

/* Generate and run the code of one node whose arguments are literals. */
static bool fold_code(struct sl_cel_eval *eval, struct sl_cel_node *node,
                      const struct sl_cel_options *options, struct sl_cel_val *ret)
{
    struct sl_cel_gen gen = {.arena = eval->arena, .options = options};
    struct sl_cel_program program = {.cost_max = FOLD_COST_MAX};
    struct sl_cel_val frame[FOLD_FRAME];
    uint32_t hints[FOLD_FRAME] = {0};
    memset(frame, 0, sizeof(frame));
    sl_cel_gen_root(&gen, node);
    if (gen.error != 0 || gen.patterns.count > 0) return false;
    sl_cel_gen_finish(&gen, &program);
    if (program.consts_count + program.regs_count > FOLD_FRAME) return false;
    if (program.keys_count > FOLD_FRAME) return false;
    for (uint32_t i = 0; i < program.consts_count; i++) {
        frame[program.consts_count - 1 - i] = program.consts[i];
    }
    eval->program = &program;
    eval->hints = hints;
    const struct sl_cel_val *val = sl_cel_execute(eval, frame + program.consts_count);
    if (val != NULL) *ret = *val;
    return val != NULL;
}

void sl_cel_fold(struct sl_cel_arena *arena, const struct sl_cel_options *options,
                 struct sl_cel_node *node)
{
    bool global = node->meaning == SL_CEL_M_GLOBAL_CALL;
    for (uint32_t i = global ? 1 : 0; i < node->count; i++) {
        sl_cel_fold(arena, options, node->args[i]);
    }
    if (!can_fold(node)) return;
    struct sl_cel_eval eval = {.arena = arena,
                               .cost_next = FOLD_COST_MAX,
                               .cost_max = FOLD_COST_MAX,
                               .deadline_ns = UINT64_MAX};
    struct sl_cel_val value;
    bool container = node->kind == SL_CEL_N_LIST || node->kind == SL_CEL_N_MAP;
    bool done =
        container ? fold_container(&eval, node, &value) : fold_code(&eval, node, options, &value);
    if (!done || value.kind == SL_CEL_FAILED) return;
    node->kind = SL_CEL_N_LITERAL;
    node->meaning = SL_CEL_M_NONE;
    node->literal = value;
    node->count = 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Cost                                                                                         */

static uint64_t add(uint64_t a, uint64_t b, uint64_t most)
{
    return a >= most || b >= most - a ? most : a + b;
}

/* The number of turns of a loop over `range`, or `most` if it is not known. */
static uint64_t turns(const struct sl_cel_node *range, uint64_t most)
{
    if (range->kind == SL_CEL_N_LIST) return range->count;
    if (range->kind == SL_CEL_N_MAP) return range->count / 2;
    if (range->kind != SL_CEL_N_LITERAL) return most;
    bool container = range->literal.kind == SL_CEL_LIST || range->literal.kind == SL_CEL_MAP;
    return container ? sl_cel_count(&range->literal) : 1;
}

/* True if the work of a call depends on the size of its arguments, and they come from outside. */
static bool is_unbounded(const struct sl_cel_node *node)
{
    static const char *const constant_time[] = {
        "_-_", "_*_",     "_/_",         "_%_",           "-_",    "!_",
        "_<_", "_<=_",    "_>_",         "_>=_",          "_[_]",  "_[?_]",
        "dyn", "type",    "optional.of", "optional.none", "value", "hasValue",
        "or",  "orValue", "startsWith",  "endsWith",
    };
    for (size_t i = 0; i < sizeof(constant_time) / sizeof(constant_time[0]); i++) {
        if (sl_slice_eq_str(node->name, constant_time[i])) return false;
    }
    bool equality = sl_slice_eq_str(node->name, "_==_") || sl_slice_eq_str(node->name, "_!=_");
    bool scalar = false;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct sl_cel_type *type = node->args[i]->type;
        enum sl_cel_type_kind kind =
            type != NULL ? (enum sl_cel_type_kind)type->kind : SL_CEL_T_DYN;
        bool fixed = kind >= SL_CEL_T_NULL && kind <= SL_CEL_T_DOUBLE;
        fixed |= kind == SL_CEL_T_TIMESTAMP || kind == SL_CEL_T_DURATION;
        scalar |= fixed || node->args[i]->kind == SL_CEL_N_LITERAL;
        if (!fixed && node->args[i]->kind != SL_CEL_N_LITERAL && !equality) return true;
    }
    return equality && !scalar;
}

uint64_t sl_cel_cost_bound(const struct sl_cel_node *node, uint64_t most)
{
    uint64_t cost = 2;
    if (node->kind == SL_CEL_N_CALL && is_unbounded(node)) return most;
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->kind == SL_CEL_N_LOOP && i > 0) break;
        cost = add(cost, sl_cel_cost_bound(node->args[i], most), most);
    }
    if (node->kind != SL_CEL_N_LOOP) return cost;
    uint64_t turn = 8;
    for (uint32_t i = 1; i < node->count; i++) {
        turn = add(turn, sl_cel_cost_bound(node->args[i], most), most);
    }
    uint64_t count = turns(node->args[0], most);
    uint64_t all;
    if (__builtin_mul_overflow(count, turn, &all)) all = most;
    return add(cost, all, most);
}
