/* SPDX-License-Identifier: MIT */
/*
 * The register machine; program.h describes it. Each instruction is one line of the switch and one
 * inline function above it; what is not fast by nature lives in eval.c, operate.c and the
 * libraries of functions.
 *
 * Each returns the next instruction, or NULL after a failure; then the loop looks for a handler.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

#define FORCED inline __attribute__((always_inline)) /* the switch is the hot loop */

struct machine {
    struct sl_cel_eval *eval;
    const struct sl_cel_program *program;
    const struct sl_cel_key *keys; /* of the program */
    struct sl_cel_val *frame;
    struct sl_cel_step *steps; /* array like program->keys */
};

static FORCED const struct sl_cel_ins *target(struct machine m, uint32_t at)
{
    return m.program->code + at;
}

/* The next instruction if this one succeeded. */
static FORCED const struct sl_cel_ins *next(const struct sl_cel_ins *ins, bool done)
{
    return __builtin_expect(done, 1) ? ins + 1 : NULL;
}

static __attribute__((cold)) const struct sl_cel_ins *overload(struct machine m)
{
    (void)sl_cel_fail_overload(m.eval);
    return NULL;
}

static __attribute__((cold)) const struct sl_cel_ins *no_memory(struct machine m)
{
    (void)sl_cel_fail_memory(m.eval);
    return NULL;
}

/* A kept failure becomes the failure of this instruction. */
static __attribute__((cold)) bool raise_kept(struct machine m, const struct sl_cel_val *val)
{
    m.eval->failure = *val->failure;
    return false;
}

/* Keep a failure for later: the value of kind FAILED that stands for it. */
static __attribute__((cold)) bool keep(struct sl_cel_eval *eval, struct sl_cel_val *ret)
{
    struct sl_cel_failure *copy = sl_cel_arena_take(eval->arena, sizeof(*copy));
    if (copy == NULL) return false;
    *copy = eval->failure;
    *ret = (struct sl_cel_val){.kind = SL_CEL_FAILED, .failure = copy};
    return true;
}

static __attribute__((cold)) bool fail_name(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = &m.keys[ins->imm];
    return sl_cel_fail(m.eval, "undeclared reference to '%.*s'", (int)key->size,
                       (const char *)key->data);
}

static FORCED const struct sl_cel_ins *op_use(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m.frame[ins->b];
    if (__builtin_expect(val->kind == SL_CEL_FAILED, 0)) {
        return next(ins, val->failure != NULL ? raise_kept(m, val) : fail_name(m, ins));
    }
    sl_cel_copy(&m.frame[ins->a], val);
    return ins + 1;
}

static const struct sl_cel_ins *op_key(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *self = &m.frame[ins->b];
    int found = 0;
    if (self->kind == SL_CEL_MAP) {
        found = sl_cel_map_find_key(m.eval, self, &m.keys[ins->imm], &m.frame[ins->a]);
    }
    if (found != 0) return next(ins, found > 0);
    if (!ins->flag) return next(ins, fail_name(m, ins));
    m.frame[ins->a] = m.frame[ins->c];
    return ins + 1;
}

/* ------------------------------------------------------------------------------------------ */
/* Paths into payloads                                                                          */

/* The value behind the path of an instruction, or none: then walk_slow says why. */
static FORCED struct sl_value walk(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *base = &m.frame[ins->b];
    if (__builtin_expect(base->head != sl_cel_head(SL_CEL_MAP, SL_CEL_CELL, 0), 0)) {
        return sl_value_none();
    }
    return sl_cel_walk(sl_cel_payload(base), m.steps + ins->imm, ins->imm2);
}

/* A path that is not maps of a payload all the way, or that ends before its last key. */
static __attribute__((noinline)) bool walk_slow(struct machine m, const struct sl_cel_ins *ins,
                                                struct sl_cel_val *ret)
{
    const struct sl_cel_key *key = m.keys + ins->imm;
    const struct sl_cel_key *end = key + ins->imm2;
    struct sl_cel_val at = m.frame[ins->b];
    for (; key < end; key++) {
        struct sl_cel_val next;
        if (!sl_cel_select(m.eval, &at, key, false, &next)) {
            m.eval->failure.offset = key->offset;
            return false;
        }
        at = next;
    }
    *ret = at;
    return true;
}

static FORCED const struct sl_cel_ins *op_path(struct machine m, const struct sl_cel_ins *ins)
{
    struct sl_value found = walk(m, ins);
    if (__builtin_expect(found.cell == NULL, 0)) {
        return next(ins, walk_slow(m, ins, &m.frame[ins->a]));
    }
    return next(ins, sl_cel_load(m.eval, found, &m.frame[ins->a]));
}

/* What is not two scalars of one kind. */
static __attribute__((noinline)) const struct sl_cel_ins *
path_equal_slow(struct machine m, const struct sl_cel_ins *ins, struct sl_value found)
{
    struct sl_cel_val val;
    bool loaded = found.cell != NULL ? sl_cel_load(m.eval, found, &val) : walk_slow(m, ins, &val);
    if (!loaded) return NULL;
    int equal = sl_cel_equal(m.eval, &val, &m.frame[ins->c]);
    if (equal < 0) return NULL;
    m.frame[ins->a] = sl_cel_bool((equal != 0) != (ins->flag != 0));
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_path_equal(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *with = &m.frame[ins->c];
    struct sl_value found = walk(m, ins);
    const struct sl_cell *cell = found.cell;
    if (__builtin_expect(cell == NULL || cell->kind != with->kind || cell->kind == SL_VALUE_FLOAT,
                         0)) {
        return path_equal_slow(m, ins, found);
    }
    bool equal = cell->word == with->u;
    if (cell->kind == SL_VALUE_STRING) {
        equal = cell->len == with->len &&
                sl_cel_same_bytes(sl_cell_bytes(found.buf, cell), with->ptr, cell->len);
    }
    m.frame[ins->a] = sl_cel_bool(equal != (ins->flag != 0));
    return ins + 1;
}

static const struct sl_cel_ins *compare(struct machine m, const struct sl_cel_ins *ins,
                                        const struct sl_cel_val *left)
{
    const struct sl_cel_val *right = &m.frame[ins->c];
    uint32_t len = left->len < right->len ? left->len : right->len;
    if (left->kind == SL_CEL_STRING && !sl_cel_charge(m.eval, len / 256)) return NULL;
    int order = sl_cel_order(left, right);
    if (order == 3) return overload(m);
    m.frame[ins->a] = sl_cel_bool(order != 2 && sl_cel_holds(order, ins->flag));
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_path_less(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *with = &m.frame[ins->c];
    struct sl_value found = walk(m, ins);
    const struct sl_cell *cell = found.cell;
    if (__builtin_expect(cell != NULL && cell->kind == SL_VALUE_INT && with->kind == SL_CEL_INT,
                         1)) {
        int order = (cell->i64 > with->i) - (cell->i64 < with->i);
        m.frame[ins->a] = sl_cel_bool(sl_cel_holds(order, ins->flag));
        return ins + 1;
    }
    struct sl_cel_val val;
    bool loaded = cell != NULL ? sl_cel_load(m.eval, found, &val) : walk_slow(m, ins, &val);
    return loaded ? compare(m, ins, &val) : NULL;
}

/* has(b.key): absent bodies are not decoded for it. */
static const struct sl_cel_ins *op_has(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = &m.keys[ins->imm];
    const struct sl_cel_val *of = &m.frame[ins->b];
    while (of->kind == SL_CEL_OPTIONAL && of->some != NULL) of = of->some;
    int found = 0;
    if (of->kind == SL_CEL_MAP) {
        found = sl_cel_map_find_key(m.eval, of, key, NULL);
    } else if (of->kind == SL_CEL_ERROR) {
        struct sl_cel_val ignored;
        found = sl_cel_select(m.eval, of, key, false, &ignored);
    } else if (of->kind != SL_CEL_OPTIONAL) {
        return next(
            ins, sl_cel_fail(m.eval, "no such overload: has() on type '%s'", sl_cel_type_name(of)));
    }
    if (found < 0) return NULL;
    m.frame[ins->a] = sl_cel_bool(found > 0);
    return ins + 1;
}

/* ------------------------------------------------------------------------------------------ */
/* Operators                                                                                    */

static FORCED const struct sl_cel_ins *op_equal(struct machine m, const struct sl_cel_ins *ins,
                                                bool negate)
{
    const struct sl_cel_val *b = &m.frame[ins->b];
    const struct sl_cel_val *c = &m.frame[ins->c];
    int equal;
    if (b->kind == c->kind && b->kind <= SL_CEL_UINT) {
        equal = b->u == c->u;
    } else {
        equal = sl_cel_equal(m.eval, b, c);
        if (equal < 0) return NULL;
    }
    m.frame[ins->a] = sl_cel_bool((equal != 0) != negate);
    return ins + 1;
}

static const struct sl_cel_ins *op_in(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item = &m.frame[ins->b];
    const struct sl_cel_val *in = &m.frame[ins->c];
    int found = 0;
    if (in->kind == SL_CEL_MAP) {
        found = sl_cel_map_find(m.eval, in, item, NULL);
    } else if (in->kind == SL_CEL_LIST) {
        uint32_t count = sl_cel_count(in);
        for (uint32_t i = 0; i < count && found == 0; i++) {
            struct sl_cel_val at;
            if (!sl_cel_charge(m.eval, 1) || !sl_cel_list_at(m.eval, in, i, &at)) return NULL;
            found = sl_cel_equal(m.eval, &at, item);
        }
    } else {
        return overload(m);
    }
    if (found < 0) return NULL;
    m.frame[ins->a] = sl_cel_bool(found > 0);
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_arithmetic(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *b = &m.frame[ins->b];
    const struct sl_cel_val *c = &m.frame[ins->c];
    struct sl_cel_val ret;
    if (b->kind == SL_CEL_INT && c->kind == SL_CEL_INT && ins->op <= SL_CEL_OP_MULTIPLY) {
        int64_t value;
        bool over = ins->op == SL_CEL_OP_ADD        ? __builtin_add_overflow(b->i, c->i, &value)
                    : ins->op == SL_CEL_OP_SUBTRACT ? __builtin_sub_overflow(b->i, c->i, &value)
                                                    : __builtin_mul_overflow(b->i, c->i, &value);
        if (!over) {
            uint8_t flags = (b->flags | c->flags) & SL_CEL_JSON;
            m.frame[ins->a] = (struct sl_cel_val){
                .head = sl_cel_head(SL_CEL_INT, flags, 0), .i = value, .buf = NULL};
            return ins + 1;
        }
    }
    if (!sl_cel_arithmetic(m.eval, (enum sl_cel_op)ins->op, b, c, &ret)) {
        return NULL;
    }
    sl_cel_copy(&m.frame[ins->a], &ret);
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_not(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m.frame[ins->b];
    if (val->kind != SL_CEL_BOOL) return overload(m);
    m.frame[ins->a] = sl_cel_bool(!val->u);
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_if(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m.frame[ins->b];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) return overload(m);
    return val->u ? ins + 1 : target(m, ins->imm);
}

/* The first operand of && (decides: false) or || (decides: true). */
static FORCED const struct sl_cel_ins *op_logic(struct machine m, const struct sl_cel_ins *ins,
                                                bool decides)
{
    const struct sl_cel_val *val = &m.frame[ins->a];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) return overload(m);
    return val->u == decides ? target(m, ins->imm) : ins + 1;
}

/* An operand that is no bool: a kept failure, so that a later operand may still decide. */
static __attribute__((cold)) bool keep_operand(struct machine m, const struct sl_cel_val *val,
                                               struct sl_cel_val *result)
{
    if (result->kind == SL_CEL_FAILED) return true;
    if (val->kind == SL_CEL_FAILED) {
        *result = *val;
        return true;
    }
    (void)sl_cel_fail_overload(m.eval);
    return keep(m.eval, result);
}

static FORCED const struct sl_cel_ins *op_logic_next(struct machine m, const struct sl_cel_ins *ins,
                                                     bool decides)
{
    const struct sl_cel_val *val = &m.frame[ins->b];
    struct sl_cel_val *result = &m.frame[ins->a];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) {
        if (!keep_operand(m, val, result)) return no_memory(m);
    } else if (val->u == decides) {
        *result = sl_cel_bool(decides);
        return target(m, ins->imm);
    }
    bool failed = ins->flag && result->kind == SL_CEL_FAILED;
    return __builtin_expect(failed, 0) ? next(ins, raise_kept(m, result)) : ins + 1;
}

/* ------------------------------------------------------------------------------------------ */
/* Containers and calls                                                                         */

static FORCED const struct sl_cel_ins *op_push(struct machine m, const struct sl_cel_ins *ins)
{
    if (!sl_cel_list_push(m.eval, m.frame[ins->a].list, &m.frame[ins->b])) return NULL;
    return ins->imm2 != 0 ? target(m, ins->imm2) : ins + 1;
}

/* ?element: 1 with *ret the value, 0 none, -1 failed. */
static int unwrap(struct machine m, const struct sl_cel_val *val, const struct sl_cel_val **ret)
{
    if (val->kind != SL_CEL_OPTIONAL) {
        (void)sl_cel_fail(m.eval, "cannot initialize optional entry from a value of type '%s'",
                          sl_cel_type_name(val));
        return -1;
    }
    *ret = val->some;
    return val->some != NULL;
}

static const struct sl_cel_ins *op_push_opt(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item;
    int some = unwrap(m, &m.frame[ins->b], &item);
    if (some <= 0) return next(ins, some == 0);
    return next(ins, sl_cel_list_push(m.eval, m.frame[ins->a].list, item));
}

static const struct sl_cel_ins *op_put(struct machine m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *frame = m.frame;
    if (!sl_cel_map_put(m.eval, frame[ins->a].map, &frame[ins->b], &frame[ins->c])) return NULL;
    return ins->imm2 != 0 ? target(m, ins->imm2) : ins + 1;
}

/* What is known of the keys is not looked at again. */
static const struct sl_cel_ins *op_record(struct machine m, const struct sl_cel_ins *ins)
{
    uint32_t count = (uint32_t)ins->c;
    struct sl_cel_map *map;
    if (!sl_cel_charge(m.eval, SL_CEL_RECORD_COST(count))) return NULL;
    map = sl_cel_arena_take(m.eval->arena, sizeof(*map) + 2 * count * sizeof(*map->pairs));
    if (map == NULL) return no_memory(m);
    struct sl_cel_val *pair = (struct sl_cel_val *)(map + 1);
    const struct sl_cel_key *key = &m.keys[ins->imm];
    *map = (struct sl_cel_map){.count = count, .cap = count, .pairs = pair, .keys = key};
    const int16_t *value = m.program->operands + ins->imm2;
    for (const int16_t *end = value + count; value < end; value++, key++, pair += 2) {
        pair[0] = sl_cel_string(key->data, key->size, SL_CEL_STATIC);
        sl_cel_copy(&pair[1], &m.frame[*value]);
    }
    m.frame[ins->a] = (struct sl_cel_val){.head = SL_CEL_MAP, .map = map, .buf = NULL};
    return ins + 1;
}

static const struct sl_cel_ins *op_put_opt(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item;
    int some = unwrap(m, &m.frame[ins->c], &item);
    if (some <= 0) return next(ins, some == 0);
    return next(ins, sl_cel_map_put(m.eval, m.frame[ins->a].map, &m.frame[ins->b], item));
}

static const struct sl_cel_ins *op_merge(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *from = &m.frame[ins->b];
    if (from->kind != SL_CEL_MAP) return overload(m);
    uint32_t count = sl_cel_count(from);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val key;
        struct sl_cel_val val;
        if (!sl_cel_map_at(m.eval, from, i, &key, &val)) return NULL;
        if (!sl_cel_map_put(m.eval, m.frame[ins->a].map, &key, &val)) return NULL;
    }
    return target(m, ins->imm2);
}

static __attribute__((cold)) bool fail_call(struct machine m, const struct sl_cel_target *callee,
                                            const struct sl_cel_val *const *args, uint32_t count)
{
    char types[128] = "";
    if (callee->name.data == NULL) return sl_cel_fail(m.eval, "unbound function");
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(types);
        (void)snprintf(types + used, sizeof(types) - used, "%s%s", i > 0 ? ", " : "",
                       sl_cel_type_name(args[i]));
    }
    return sl_cel_fail(m.eval, "no such overload: %.*s(%s)", SL_SLICE_FMT(callee->name), types);
}

/* The overload that takes these arguments, or NULL. */
static FORCED const struct sl_cel_row *
find_row(const struct sl_cel_target *callee, const struct sl_cel_val *const *args, uint32_t count)
{
    for (uint32_t at = 0; at < callee->rows_count; at++) {
        const struct sl_cel_row *row = &callee->rows[at];
        uint32_t i = 0;
        while (i < count && (row->kinds[i] >> args[i]->kind & 1) != 0) i++;
        if (i == count) return row;
    }
    return NULL;
}

/* Call with the integers of a payload as doubles, since no overload takes them as they are. */
static __attribute__((cold, noinline)) bool call_as_doubles(struct machine m,
                                                            const struct sl_cel_target *callee,
                                                            const struct sl_cel_val **args,
                                                            uint32_t count, struct sl_cel_val *ret)
{
    struct sl_cel_val doubles[SL_CEL_CALL_ARGS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_cel_val *arg = args[i];
        if ((arg->flags & SL_CEL_JSON) == 0 || arg->kind == SL_CEL_DOUBLE) continue;
        doubles[i] = sl_cel_double(arg->kind == SL_CEL_INT ? (double)arg->i : (double)arg->u);
        args[i] = &doubles[i];
    }
    const struct sl_cel_row *row = find_row(callee, args, count);
    if (row != NULL) return sl_cel_charge(m.eval, 1) && row->call(m.eval, args, ret);
    return fail_call(m, callee, args, count);
}

static FORCED const struct sl_cel_ins *op_call(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_target *callee = &m.program->targets[ins->imm];
    const int16_t *operands = m.program->operands + ins->imm2;
    const struct sl_cel_val *args[SL_CEL_CALL_ARGS_MAX];
    struct sl_cel_val ret;
    for (uint32_t i = 0; i < ins->flag; i++) args[i] = &m.frame[operands[i]];
    const struct sl_cel_row *row = find_row(callee, args, ins->flag);
    bool done = row != NULL ? sl_cel_charge(m.eval, 1) && row->call(m.eval, args, &ret)
                            : call_as_doubles(m, callee, args, ins->flag, &ret);
    if (!done) return NULL;
    sl_cel_copy(&m.frame[ins->a], &ret);
    return ins + 1;
}

static const struct sl_cel_ins *op_match(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *text = &m.frame[ins->b];
    if (text->kind != SL_CEL_STRING) return overload(m);
    const struct sl_cel_regex *regex = m.eval->instance->regexes[ins->imm];
    if (regex == NULL) return next(ins, sl_cel_fail(m.eval, "invalid regular expression"));
    uint64_t cost = 1 + (uint64_t)text->len * sl_cel_regex_size(regex) / 64;
    if (!sl_cel_charge(m.eval, cost)) return NULL;
    m.frame[ins->a] = sl_cel_bool(sl_cel_regex_match(regex, text->ptr, text->len));
    return ins + 1;
}

/* ------------------------------------------------------------------------------------------ */
/* Loops                                                                                        */

static FORCED const struct sl_cel_ins *op_loop(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *range = &m.frame[ins->b];
    if (range->kind != SL_CEL_LIST && range->kind != SL_CEL_MAP) return overload(m);
    m.frame[ins->a + 1] = sl_cel_int(0);
    return ins + 1;
}

static FORCED const struct sl_cel_ins *op_loop_next(struct machine m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *base = &m.frame[ins->a];
    uint32_t at = (uint32_t)base[1].i;
    if (at >= sl_cel_count(base)) {
        return target(m, ins->imm);
    }
    base[1].i++;
    if (!sl_cel_charge(m.eval, ins->imm2)) return NULL;
    if (base->kind == SL_CEL_MAP) {
        return next(ins, sl_cel_map_at(m.eval, base, at, &base[2], ins->flag ? &base[3] : NULL));
    }
    if (ins->flag) base[2] = sl_cel_int(at);
    if (sl_cel_is_cell(base)) {
        const struct sl_cell *cell = &base->buf->cells[base->cell->word + at];
        return next(
            ins, sl_cel_load(m.eval, sl_value_at_cell(base->buf, cell), &base[ins->flag ? 3 : 2]));
    }
    return next(ins, sl_cel_list_at(m.eval, base, at, &base[ins->flag ? 3 : 2]));
}

static FORCED const struct sl_cel_ins *op_fold(struct machine m, const struct sl_cel_ins *ins,
                                               bool decides)
{
    const struct sl_cel_val *test = &m.frame[ins->b];
    struct sl_cel_val *result = &m.frame[ins->a];
    if (__builtin_expect(test->kind != SL_CEL_BOOL, 0)) {
        if (!keep_operand(m, test, result)) return no_memory(m);
    } else if (test->u == decides) {
        *result = sl_cel_bool(decides);
        return target(m, ins->imm);
    }
    return target(m, ins->imm2);
}

static FORCED const struct sl_cel_ins *op_one(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *test = &m.frame[ins->b];
    if (test->kind != SL_CEL_BOOL) return overload(m);
    m.frame[ins->a].i += (int64_t)test->u;
    return target(m, ins->imm2);
}

static const struct sl_cel_ins *op_or_opt(struct machine m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m.frame[ins->b];
    if (val->kind != SL_CEL_OPTIONAL) return overload(m);
    if (val->some == NULL) return ins + 1;
    m.frame[ins->a] = ins->flag ? *val->some : *val;
    return target(m, ins->imm);
}

/* ------------------------------------------------------------------------------------------ */

/* The handler of the instruction that failed, or NULL: the run fails. */
static __attribute__((cold, noinline)) const struct sl_cel_ins *handle(struct machine m,
                                                                       const struct sl_cel_ins *ins)
{
    const struct sl_cel_program *program = m.program;
    struct sl_cel_eval *eval = m.eval;
    uint32_t at = (uint32_t)(ins - program->code);
    if (eval->failure.offset == UINT32_MAX) eval->failure.offset = program->offsets[at];
    if (eval->failure.limit) return NULL;
    for (uint32_t i = 0; i < program->handlers_count; i++) {
        const struct sl_cel_handler *handler = &program->handlers[i];
        if (at < handler->start || at >= handler->end) continue;
        if (keep(eval, &m.frame[handler->reg])) return target(m, handler->target);
        (void)sl_cel_fail_memory(eval);
        return NULL;
    }
    return NULL;
}

/* The operators and conversions that are not on the fast line. */
static const struct sl_cel_ins *execute_other(struct machine m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *frame = m.frame;
    const struct sl_cel_key *keys = m.keys;
    struct sl_cel_val ret;
    bool done = true;
    switch ((enum sl_cel_op)ins->op) {
    case SL_CEL_OP_UNKNOWN: return next(ins, fail_name(m, ins));
    case SL_CEL_OP_SELECT:
    case SL_CEL_OP_SELECT_OPT:
        done = sl_cel_select(m.eval, &frame[ins->b], &keys[ins->imm],
                             ins->op == SL_CEL_OP_SELECT_OPT, &ret);
        break;
    case SL_CEL_OP_INDEX:
    case SL_CEL_OP_INDEX_OPT:
        done = sl_cel_index(m.eval, &frame[ins->b], &frame[ins->c], ins->op == SL_CEL_OP_INDEX_OPT,
                            &ret);
        break;
    case SL_CEL_OP_NEGATE: done = sl_cel_negate(m.eval, &frame[ins->b], &ret); break;
    case SL_CEL_OP_LIST: done = sl_cel_list_new(m.eval, ins->imm, &ret); break;
    case SL_CEL_OP_MAP: done = sl_cel_map_new(m.eval, ins->imm, &ret); break;
    case SL_CEL_OP_LOGIC_END:
        return next(ins, frame[ins->a].kind != SL_CEL_FAILED || raise_kept(m, &frame[ins->a]));
    case SL_CEL_OP_ONE_END: ret = sl_cel_bool(frame[ins->a].i == 1); break;
    case SL_CEL_OP_NEED_OPT:
        return next(ins, frame[ins->b].kind == SL_CEL_OPTIONAL || sl_cel_fail_overload(m.eval));
    default: sl_unreachable();
    }
    if (done) frame[ins->a] = ret;
    return next(ins, done);
}

#define CASE(op, call)                                                                             \
    case SL_CEL_OP_##op: next_ins = call; break

const struct sl_cel_val *sl_cel_execute(struct sl_cel_eval *eval, struct sl_cel_val *frame,
                                        const struct sl_cel_ins **ret_record)
{
    struct machine m = {eval, eval->program, eval->program->keys, frame, eval->steps};
    const struct sl_cel_ins *ins = eval->program->code;
    for (;;) {
        const struct sl_cel_ins *next_ins = ins + 1;
        switch ((enum sl_cel_op)ins->op) {
        case SL_CEL_OP_RETURN: return &frame[ins->b];
        case SL_CEL_OP_MOVE: sl_cel_copy(&frame[ins->a], &frame[ins->b]); break;
        case SL_CEL_OP_JUMP:
            next_ins = target(m, ins->imm);
            break;
            CASE(USE, op_use(m, ins));
            CASE(KEY, op_key(m, ins));
            CASE(PATH, op_path(m, ins));
            CASE(PATH_EQ, op_path_equal(m, ins));
            CASE(PATH_LT, op_path_less(m, ins));
            CASE(HAS, op_has(m, ins));
            CASE(EQ, op_equal(m, ins, false));
            CASE(NE, op_equal(m, ins, true));
            CASE(COMPARE, compare(m, ins, &frame[ins->b]));
            CASE(IN, op_in(m, ins));
            CASE(ADD, op_arithmetic(m, ins));
            CASE(SUBTRACT, op_arithmetic(m, ins));
            CASE(MULTIPLY, op_arithmetic(m, ins));
            CASE(DIVIDE, op_arithmetic(m, ins));
            CASE(MODULO, op_arithmetic(m, ins));
            CASE(NOT, op_not(m, ins));
            CASE(IF, op_if(m, ins));
            CASE(AND, op_logic(m, ins, false));
            CASE(AND_NEXT, op_logic_next(m, ins, false));
            CASE(OR, op_logic(m, ins, true));
            CASE(OR_NEXT, op_logic_next(m, ins, true));
            CASE(PUSH, op_push(m, ins));
            CASE(PUSH_OPT, op_push_opt(m, ins));
            CASE(PUT, op_put(m, ins));
            CASE(PUT_OPT, op_put_opt(m, ins));
        case SL_CEL_OP_RECORD:
            if (ins->flag && ret_record != NULL) {
                *ret_record = ins;
                return &frame[ins->a];
            }
            next_ins = op_record(m, ins);
            break;
            CASE(MERGE, op_merge(m, ins));
            CASE(CALL, op_call(m, ins));
            CASE(MATCH, op_match(m, ins));
            CASE(LOOP, op_loop(m, ins));
            CASE(LOOP_NEXT, op_loop_next(m, ins));
            CASE(ALL, op_fold(m, ins, false));
            CASE(EXISTS, op_fold(m, ins, true));
            CASE(ONE, op_one(m, ins));
            CASE(OR_OPT, op_or_opt(m, ins));
        case SL_CEL_OP_UNKNOWN:
        case SL_CEL_OP_SELECT:
        case SL_CEL_OP_SELECT_OPT:
        case SL_CEL_OP_INDEX:
        case SL_CEL_OP_INDEX_OPT:
        case SL_CEL_OP_NEGATE:
        case SL_CEL_OP_LIST:
        case SL_CEL_OP_MAP:
        case SL_CEL_OP_LOGIC_END:
        case SL_CEL_OP_ONE_END:
        case SL_CEL_OP_NEED_OPT: next_ins = execute_other(m, ins); break;
        default: __builtin_unreachable();
        }
        if (__builtin_expect(next_ins == NULL, 0)) {
            next_ins = handle(m, ins);
            if (next_ins == NULL) return NULL;
        }
        ins = next_ins;
    }
}
