/* SPDX-License-Identifier: MIT */
/*
 * What is known when a program is loaded: constant parts are computed once, with the evaluator
 * itself.
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
    struct sl_cel_step steps[FOLD_FRAME];
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
    sl_cel_steps_init(steps, program.keys, program.keys_count);
    eval->steps = steps;
    const struct sl_cel_val *val = sl_cel_execute(eval, frame + program.consts_count, NULL);
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
