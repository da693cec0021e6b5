/* SPDX-License-Identifier: MIT */
/*
 * CEL as a language of nodes: `self` is the payload (with more inputs, the list of all of them),
 * `env` the map of bound values.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/cel/cel.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/predicate.h"
#include "nodes/script/cel/result.h"

struct cel_script {
    struct sl_script base;
    struct sl_cel_program *program;
    struct sl_value env; /* immortal */
};

enum { VAR_SELF, VAR_ENV, VARS };

static const struct sl_cel_decl decls[VARS] = {
    {.name = "self", .always = true},
    {.name = "env", .always = true},
};

/* A copy of the bound values that every shard may read. */
static int keep_env(struct cel_script *script, struct sl_value env)
{
    struct sl_builder builder;
    int result;
    if (env.cell == NULL) {
        sl_builder_init(&builder, NULL, 1, 0);
        sl_build_map_begin(&builder);
        sl_build_map_end(&builder);
        result = sl_builder_finish(&builder, &script->env);
    } else {
        result = sl_value_copy(env, NULL, &script->env);
    }
    if (result == 0 && script->env.buf != NULL) sl_buf_immortalize(script->env.buf);
    return result == 0 ? 0 : -ENOMEM;
}

static void cel_free(struct sl_script *base)
{
    struct cel_script *script = (struct cel_script *)base;
    if (script == NULL) return;
    (void)sl_cel_program_free(script->program);
    if (script->env.buf != NULL) sl_buf_free_immortal(script->env.buf);
    if (base->constant.buf != NULL) sl_buf_free_immortal(base->constant.buf);
    free(script);
}

/* An expression without variables is computed once. */
static int find_constant(struct cel_script *script)
{
    const struct sl_cel_program *program = script->program;
    if (program->code_count != 1 || program->code[0].b >= -VARS) return 0;
    struct sl_cel_val val = program->consts[-1 - program->code[0].b - VARS];
    struct sl_cel_eval eval = {.program = program, .cost_max = UINT64_MAX, .cost_next = UINT64_MAX};
    struct sl_cel_arena arena;
    struct sl_value made;
    sl_cel_arena_init(&arena, SL_SCRIPT_MEMORY);
    eval.arena = &arena;
    int result = 0;
    if (sl_cel_result(&eval, &val, NULL, &made)) {
        result = sl_value_copy(made, NULL, &script->base.constant);
        sl_value_unref(made);
        if (result == 0 && script->base.constant.buf != NULL) {
            sl_buf_immortalize(script->base.constant.buf);
        }
    }
    sl_cel_arena_fini(&arena);
    return result == 0 ? 0 : -ENOMEM;
}

static int cel_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                       struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    struct sl_cel_options options = {.decls = decls,
                                     .decls_count = VARS,
                                     .unpack = source->unpack,
                                     .memory_max = source->memory_max,
                                     .timeout_ms = source->timeout_ms};
    if (options.timeout_ms == 0) options.timeout_ms = SL_SCRIPT_TIMEOUT_MS;
    struct cel_script *script = calloc(1, sizeof(*script));
    if (script == NULL) return -ENOMEM;
    script->base.engine = &sl_engine_cel;
    int result = sl_cel_compile(source, &options, &script->program, reterr);
    if (result == 0) result = keep_env(script, source->env);
    if (result == 0) result = find_constant(script);
    if (result != 0) {
        cel_free(&script->base);
        return result;
    }
    sl_cel_program_cost(script->program, source, &script->base.cost);
    *ret_script = &script->base;
    return 0;
}

static int cel_attach(struct sl_script *base, void **shard_state, void **ret_instance,
                      struct sl_diag *reterr)
{
    struct cel_script *script = (struct cel_script *)base;
    (void)reterr;
    if (*shard_state == NULL) *shard_state = sl_cel_shard_new();
    if (*shard_state == NULL) return -ENOMEM;
    struct sl_cel_instance *instance;
    int result = sl_cel_instance_new(script->program, *shard_state, &instance);
    if (result == 0) *ret_instance = instance;
    return result;
}

static void cel_detach(struct sl_script *script, void *shard_state, void *instance)
{
    (void)script;
    (void)shard_state;
    (void)sl_cel_instance_free(instance);
}

static void cel_shard_fini(void *shard_state)
{
    (void)sl_cel_shard_free(shard_state);
}

/* Several inputs as one list. */
static struct sl_value pack_inputs(const struct sl_script_call *call)
{
    struct sl_builder builder;
    struct sl_value list;
    sl_builder_init(&builder, call->mem, call->args_count + 2, 0);
    sl_build_list_begin(&builder);
    sl_build_value(&builder, call->input.cell != NULL ? call->input : sl_value_null());
    for (uint32_t i = 0; i < call->args_count; i++) sl_build_value(&builder, call->args[i]);
    sl_build_list_end(&builder);
    return sl_builder_finish(&builder, &list) == 0 ? list : sl_value_none();
}

static struct sl_value cel_run(struct sl_script *base, void *instance, struct sl_script_call *call)
{
    const struct cel_script *script = (const struct cel_script *)base;
    struct sl_value values[VARS] = {call->input, script->env};
    if (call->input.cell == NULL) values[VAR_SELF] = sl_value_null();
    if (call->args_count == 0) return sl_cel_run(instance, values, call);
    values[VAR_SELF] = pack_inputs(call);
    if (values[VAR_SELF].cell == NULL) return sl_value_none();
    struct sl_value result = sl_cel_run(instance, values, call);
    sl_value_unref(values[VAR_SELF]);
    return result;
}

/* What the predicate does not decide. */
static __attribute__((noinline)) int test_slow(const struct cel_script *script, void *instance,
                                               struct sl_script_call *call,
                                               struct sl_value *ret_error)
{
    struct sl_value values[VARS] = {call->input, script->env};
    if (call->input.cell == NULL) values[VAR_SELF] = sl_value_null();
    if (call->args_count == 0) return sl_cel_test(instance, values, call, ret_error);
    values[VAR_SELF] = pack_inputs(call);
    *ret_error = sl_value_none();
    if (values[VAR_SELF].cell == NULL) return -1;
    int result = sl_cel_test(instance, values, call, ret_error);
    sl_value_unref(values[VAR_SELF]);
    return result;
}

static int cel_test(struct sl_script *base, void *instance, struct sl_script_call *call,
                    struct sl_value *ret_error)
{
    const struct sl_cel_instance *own = instance;
    if (own->entry != NULL && call->args_count == 0 && call->input.cell != NULL) {
        int holds = sl_cel_predicate_test(own, call->input);
        if (__builtin_expect(holds >= 0, 1)) return holds;
    }
    return test_slow((const struct cel_script *)base, instance, call, ret_error);
}

const struct sl_engine sl_engine_cel = {
    .name = "cel",
    .compile = cel_compile,
    .script_free = cel_free,
    .attach = cel_attach,
    .detach = cel_detach,
    .shard_fini = cel_shard_fini,
    .run = cel_run,
    .test = cel_test,
};
