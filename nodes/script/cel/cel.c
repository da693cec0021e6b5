/* SPDX-License-Identifier: MIT */
/* Programs, instances and runs; see cel.h. */
#include "nodes/script/cel/cel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/cel/ast.h"
#include "nodes/script/cel/check.h"
#include "nodes/script/cel/civil.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/predicate.h"
#include "nodes/script/cel/result.h"

enum { PLACES_MAX = 4096 }; /* of a program, kept one by one */

/* ------------------------------------------------------------------------------------------ */
/* Compiling                                                                                    */

/* Line and column in the expression of a byte offset. */
static struct sl_pos offset_place(struct sl_slice source, uint32_t offset)
{
    struct sl_pos pos = {1, 1};
    for (uint32_t i = 0; i < offset && i < source.size; i++) {
        pos.column++;
        if (source.data[i] != '\n') continue;
        pos.line++;
        pos.column = 1;
    }
    return pos;
}

static int compare_places(const void *a, const void *b)
{
    const struct sl_cel_place *left = a;
    const struct sl_cel_place *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

struct sl_pos sl_cel_program_pos(const struct sl_cel_program *program, uint32_t offset)
{
    sl_assert(program != NULL);
    struct sl_cel_place wanted = {.offset = offset};
    if (program->places_count > 0) {
        const struct sl_cel_place *found = bsearch(&wanted, program->places, program->places_count,
                                                   sizeof(wanted), compare_places);
        if (found != NULL) return found->pos;
    }
    struct sl_script_source text = {.pos = program->pos, .indent = program->indent};
    struct sl_pos place = offset_place(program->source, offset);
    return sl_script_pos(&text, place.line, place.column);
}

/* What compiling one text needs. */
struct job {
    const struct sl_script_source *source;
    const struct sl_cel_options *options;
    struct sl_cel_program *program;
    struct sl_diag *reterr;
};

static int refuse(struct job *job, const char *code, uint32_t offset, const char *text,
                  const char *hint)
{
    struct sl_pos pos = offset_place(job->source->code, offset);
    pos = sl_script_pos(job->source, pos.line, pos.column);
    int result = sl_diag_set(job->reterr, code, pos, "%s", text);
    if (job->source->file != NULL) sl_diag_file(job->reterr, job->source->file);
    if (hint[0] != '\0') sl_diag_hint(job->reterr, "%s", hint);
    return result;
}

/* Keep what a run needs of the options and the source. */
static int keep_source(struct job *job)
{
    struct sl_cel_program *program = job->program;
    const struct sl_cel_options *options = job->options;
    program->vars_count = options->decls_count;
    program->unpack = options->unpack;
    program->cost_max = options->cost_max != 0 ? options->cost_max : SL_CEL_COST_MAX;
    program->memory_max = options->memory_max != 0 ? options->memory_max : SL_SCRIPT_MEMORY;
    program->timeout_ms = options->timeout_ms;
    program->pos = job->source->pos;
    program->indent = job->source->indent;
    size_t size = job->source->code.size;
    uint8_t *copy = sl_cel_arena_take(&program->arena, size + 1);
    const char *file = job->source->file != NULL ? job->source->file : "";
    program->file = sl_cel_arena_take(&program->arena, strlen(file) + 1);
    if (copy == NULL || program->file == NULL) return -ENOMEM;
    if (size > 0) memcpy(copy, job->source->code.data, size);
    copy[size] = '\0';
    program->source = (struct sl_slice){copy, size};
    memcpy(program->file, file, strlen(file) + 1);
    return 0;
}

static int parse_and_check(struct job *job, struct sl_cel_node **ret_root)
{
    struct sl_cel_program *program = job->program;
    struct sl_cel_parse parse = {
        .arena = &program->arena, .source = program->source, .macros = !job->options->no_macros};
    struct sl_cel_node *root = sl_cel_parse(&parse);
    if (root == NULL) {
        if (parse.error == -ENOMEM) return -ENOMEM;
        return refuse(job, "cel_syntax", parse.error_offset, parse.error_text, "");
    }
    struct sl_cel_check check = {.arena = &program->arena, .options = job->options};
    program->type = sl_cel_check(&check, root);
    if (program->type == NULL) {
        if (check.error == -ENOMEM) return -ENOMEM;
        return refuse(job, "cel_type", check.error_offset, check.error_text, check.error_hint);
    }
    *ret_root = root;
    return 0;
}

/* Constant patterns that do not compile can never match: refuse them now. */
static int check_patterns(struct job *job)
{
    const struct sl_cel_program *program = job->program;
    for (uint32_t i = 0; i < program->code_count; i++) {
        if (program->code[i].op != SL_CEL_OP_MATCH) continue;
        char error[200];
        struct sl_slice pattern = program->patterns[program->code[i].imm];
        struct sl_cel_regex *regex =
            sl_cel_regex_new(pattern.data, pattern.size, error, sizeof(error));
        bool wrong = regex == NULL;
        (void)sl_cel_regex_free(regex);
        if (!wrong) continue;
        if (error[0] == '\0') return -ENOMEM;
        if (job->options->no_check) continue;
        char text[256];
        (void)snprintf(text, sizeof(text), "invalid regular expression: %s", error);
        return refuse(job, "cel_regex", program->offsets[i], text, "");
    }
    return 0;
}

/* Constant names of time zones are read now, so that no shard reads a file. */
static void load_zones(const struct sl_cel_program *program)
{
    int32_t ignored;
    for (uint32_t i = 0; i < program->consts_count; i++) {
        const struct sl_cel_val *val = &program->consts[i];
        if (val->kind != SL_CEL_STRING || val->len == 0 || val->len > 64) continue;
        if (memchr(val->ptr, '/', val->len) == NULL) continue;
        (void)sl_cel_zone_offset(sl_cel_slice(val), 0, &ignored);
    }
}

/*
 * Note where everything that can fail stands, while the text's own way to say so is there: a folded
 * text or one with escapes has no rule of its own. Very long expressions are left to the rule.
 */
static int keep_places(struct job *job)
{
    struct sl_cel_program *program = job->program;
    size_t all = (size_t)program->code_count + program->keys_count + 1;
    if (job->source->place == NULL || all > PLACES_MAX) return 0;
    struct sl_cel_place *places = sl_cel_arena_take(&program->arena, all * sizeof(*places));
    if (places == NULL) return -ENOMEM;
    uint32_t count = 0;
    places[count++] = (struct sl_cel_place){.offset = 0};
    for (uint32_t i = 0; i < program->code_count; i++) places[count++].offset = program->offsets[i];
    for (uint32_t i = 0; i < program->keys_count; i++)
        places[count++].offset = program->keys[i].offset;
    qsort(places, count, sizeof(*places), compare_places);
    for (uint32_t i = 0; i < count; i++) {
        bool again = i > 0 && places[i].offset == places[i - 1].offset;
        struct sl_pos pos = offset_place(program->source, places[i].offset);
        places[i].pos =
            again ? places[i - 1].pos : sl_script_pos(job->source, pos.line, pos.column);
    }
    program->places = places;
    program->places_count = count;
    return 0;
}

static int compile(struct job *job)
{
    struct sl_cel_node *root = NULL;
    int result = keep_source(job);
    if (result == 0) result = parse_and_check(job, &root);
    if (result == 0) result = sl_cel_generate(job->program, root, job->options);
    if (result == -E2BIG) {
        return refuse(job, "cel_size", 0, "the expression is too large", "");
    }
    if (result == 0) result = check_patterns(job);
    if (result == 0) result = keep_places(job);
    if (result == 0) load_zones(job->program);
    return result;
}

int sl_cel_compile(const struct sl_script_source *source, const struct sl_cel_options *options,
                   struct sl_cel_program **ret_program, struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(options != NULL);
    struct sl_cel_program *program = calloc(1, sizeof(*program));
    if (program == NULL) return -ENOMEM;
    sl_cel_arena_init(&program->arena, SL_CEL_PROGRAM_SIZE_MAX);
    struct job job = {source, options, program, reterr};
    int result = compile(&job);
    if (result == 0) {
        *ret_program = program;
    } else {
        (void)sl_cel_program_free(program);
    }
    return result;
}

struct sl_cel_program *sl_cel_program_free(struct sl_cel_program *program)
{
    if (program == NULL) return NULL;
    sl_cel_arena_fini(&program->arena);
    free(program);
    return NULL;
}

/* "_==_" and "@in" as they are written: "==", "in". */
static struct sl_slice name_written(struct sl_slice name)
{
    while (name.size > 1 && (name.data[0] == '_' || name.data[0] == '@')) {
        name = (struct sl_slice){name.data + 1, name.size - 1};
    }
    while (name.size > 1 && name.data[name.size - 1] == '_') name.size--;
    return name;
}

void sl_cel_program_cost(const struct sl_cel_program *program,
                         const struct sl_script_source *source, struct sl_script_cost *ret_cost)
{
    sl_assert(program != NULL);
    sl_assert(source != NULL);
    *ret_cost = (struct sl_script_cost){.limit = program->cost_max, .bound = program->cost_bound};
    if (program->cost_bound < program->cost_max || program->cost_name.size == 0) return;
    struct sl_pos pos = offset_place(source->code, program->cost_offset);
    ret_cost->pos = sl_script_pos(source, pos.line, pos.column);
    (void)snprintf(ret_cost->name, sizeof(ret_cost->name), "%.*s",
                   SL_SLICE_FMT(name_written(program->cost_name)));
}

const struct sl_cel_type *sl_cel_program_type(const struct sl_cel_program *program)
{
    sl_assert(program != NULL);
    return program->type;
}

/* ------------------------------------------------------------------------------------------ */
/* Shards and instances                                                                         */

struct sl_cel_shard *sl_cel_shard_new(void)
{
    struct sl_cel_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL) return NULL;
    sl_cel_arena_init(&shard->scratch, SL_SCRIPT_MEMORY);
    /* The first chunk comes from the heap and stays: small runs take nothing later. */
    if (sl_cel_arena_take(&shard->scratch, 1) != NULL) return shard;
    free(shard);
    return NULL;
}

struct sl_cel_shard *sl_cel_shard_free(struct sl_cel_shard *shard)
{
    if (shard == NULL) return NULL;
    sl_cel_arena_fini(&shard->scratch);
    (void)sl_cel_regex_cache_free(shard->regexes);
    free(shard);
    return NULL;
}

struct sl_cel_instance *sl_cel_instance_free(struct sl_cel_instance *instance)
{
    if (instance == NULL) return NULL;
    for (uint32_t i = 0; instance->regexes != NULL && i < instance->program->patterns_count; i++) {
        (void)sl_cel_regex_free(instance->regexes[i]);
    }
    free(instance->regexes);
    free(instance->steps);
    free(instance->gates);
    free(instance->block);
    free(instance);
    return NULL;
}

static bool make_regexes(struct sl_cel_instance *instance)
{
    const struct sl_cel_program *program = instance->program;
    instance->regexes = calloc(program->patterns_count + 1, sizeof(struct sl_cel_regex *));
    if (instance->regexes == NULL) return false;
    for (uint32_t i = 0; i < program->patterns_count; i++) {
        char error[8];
        instance->regexes[i] = sl_cel_regex_new(program->patterns[i].data,
                                                program->patterns[i].size, error, sizeof(error));
        if (instance->regexes[i] == NULL && error[0] == '\0') return false;
    }
    return true;
}

int sl_cel_instance_new(const struct sl_cel_program *program, struct sl_cel_shard *shard,
                        struct sl_cel_instance **ret_instance)
{
    sl_assert(program != NULL);
    sl_assert(shard != NULL);
    struct sl_cel_instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL) return -ENOMEM;
    instance->program = program;
    instance->shard = shard;
    instance->eval = (struct sl_cel_eval){.program = program,
                                          .instance = instance,
                                          .arena = &shard->scratch,
                                          .cost_max = program->cost_max};
    uint32_t below = program->vars_count + program->consts_count;
    instance->block = calloc(below + program->regs_count + 1, sizeof(struct sl_cel_val));
    instance->steps = calloc(program->keys_count + 1, sizeof(*instance->steps));
    if (instance->block == NULL || instance->steps == NULL || !make_regexes(instance)) {
        (void)sl_cel_instance_free(instance);
        return -ENOMEM;
    }
    sl_cel_steps_init(instance->steps, program->keys, program->keys_count);
    instance->eval.steps = instance->steps;
    if (!sl_cel_predicate_open(instance)) {
        (void)sl_cel_instance_free(instance);
        return -ENOMEM;
    }
    instance->frame = (struct sl_cel_val *)instance->block + below;
    for (uint32_t i = 0; i < program->consts_count; i++) {
        instance->frame[-1 - (int64_t)(program->vars_count + i)] = program->consts[i];
    }
    *ret_instance = instance;
    return 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Running                                                                                      */

/* Start a run: its limits and scratch memory. */
static inline struct sl_cel_eval *begin(struct sl_cel_instance *instance,
                                        const struct sl_script_call *call)
{
    const struct sl_cel_program *program = instance->program;
    struct sl_cel_eval *eval = &instance->eval;
    struct sl_cel_arena *scratch = eval->arena;
    sl_cel_arena_reset(scratch, call->mem);
    scratch->cap = program->memory_max;
    eval->cost = 0;
    eval->cost_next = program->cost_max < SL_CEL_COST_CHECK ? program->cost_max : SL_CEL_COST_CHECK;
    eval->clock = call->clock;
    eval->deadline_ns = call->deadline_ns;
    eval->timeout_ns = program->timeout_ms * SL_NS_PER_MS;
    return eval;
}

struct sl_cel_eval *sl_cel_begin(struct sl_cel_instance *instance,
                                 const struct sl_script_call *call)
{
    return begin(instance, call);
}

static inline bool bind_values(struct sl_cel_eval *eval, struct sl_cel_val *frame,
                               const struct sl_value *values)
{
    const uint32_t *used = eval->program->used;
    for (uint32_t i = 0; i < eval->program->used_count; i++) {
        struct sl_cel_val *var = &frame[-1 - (int64_t)used[i]];
        if (values[used[i]].cell == NULL) {
            *var = (struct sl_cel_val){.kind = SL_CEL_FAILED, .failure = NULL};
        } else if (!sl_cel_load(eval, values[used[i]], var)) {
            /* A body that does not parse fails what reads it, but may be looked at when caught. */
            if (values[used[i]].cell->kind != SL_VALUE_ERROR) return false;
            eval->failure.error = sl_value_none();
        }
    }
    return true;
}

static inline const struct sl_cel_val *run(struct sl_cel_instance *instance,
                                           const struct sl_value *values,
                                           const struct sl_script_call *call,
                                           const struct sl_cel_ins **ret_record)
{
    struct sl_cel_eval *eval = begin(instance, call);
    if (__builtin_expect(!bind_values(eval, instance->frame, values), 0)) return NULL;
    return sl_cel_execute(eval, instance->frame, ret_record);
}

struct sl_value sl_cel_run(struct sl_cel_instance *instance, const struct sl_value *values,
                           const struct sl_script_call *call)
{
    sl_assert(instance != NULL);
    sl_assert(call != NULL);
    struct sl_value result;
    if (instance->entry != NULL && values[0].cell != NULL) {
        int holds = sl_cel_predicate_test(instance, values[0]);
        if (__builtin_expect(holds >= 0, 1)) return sl_value_bool(holds != 0);
    }
    struct sl_cel_eval *eval = &instance->eval;
    const struct sl_cel_ins *record = NULL;
    const struct sl_cel_val *val = run(instance, values, call, &record);
    if (__builtin_expect(val == NULL, 0)) return sl_cel_failure_value(eval, call->mem);
    if (record != NULL) {
        if (sl_cel_result_record(eval, instance->frame, record, call->mem, &result)) return result;
        return sl_cel_failure_value(eval, call->mem);
    }
    if (val->kind == SL_CEL_BOOL) return sl_value_bool(val->u != 0);
    if (sl_cel_is_cell(val)) return sl_value_ref(sl_cel_payload(val));
    if (sl_cel_result(eval, val, call->mem, &result)) return result;
    return sl_cel_failure_value(eval, call->mem);
}

int sl_cel_test(struct sl_cel_instance *instance, const struct sl_value *values,
                const struct sl_script_call *call, struct sl_value *ret_error)
{
    sl_assert(instance != NULL);
    sl_assert(call != NULL);
    if (instance->entry != NULL && values[0].cell != NULL) {
        int holds = sl_cel_predicate_test(instance, values[0]);
        if (__builtin_expect(holds >= 0, 1)) return holds;
    }
    struct sl_cel_eval *eval = &instance->eval;
    const struct sl_cel_val *val = run(instance, values, call, NULL);
    if (__builtin_expect(val != NULL, 1)) {
        if (__builtin_expect(val->kind == SL_CEL_BOOL, 1)) return val->u != 0;
        (void)sl_cel_fail(eval, "the condition is of type '%s', not bool", sl_cel_type_name(val));
        eval->failure.offset = 0;
    }
    *ret_error = sl_cel_failure_value(eval, call->mem);
    return -1;
}
