/* SPDX-License-Identifier: MIT */
/*
 * The register machine; program.h describes it. Each instruction is one line of the switch and one
 * inline function above it; what is not fast by nature lives in eval.c, operate.c and the
 * libraries of functions.
 *
 * An inline function returns false after a failure; `pc` then still points behind the instruction
 * that failed, and the loop looks for a handler.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

#define FORCED inline __attribute__((always_inline)) /* the switch is the hot loop */

struct machine {
    struct sl_cel_eval *eval;
    const struct sl_cel_program *program;
    struct sl_cel_val *frame;
    const struct sl_cel_ins *pc; /* the next instruction */
};

static FORCED void jump(struct machine *m, uint32_t target)
{
    m->pc = m->program->code + target;
}

/* A kept failure becomes the failure of this instruction. */
static __attribute__((cold)) bool raise_kept(struct machine *m, const struct sl_cel_val *val)
{
    m->eval->failure = *val->failure;
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

static __attribute__((cold)) bool fail_name(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = &m->program->keys[ins->imm];
    return sl_cel_fail(m->eval, "undeclared reference to '%.*s'", (int)key->size,
                       (const char *)key->data);
}

static FORCED bool op_use(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m->frame[ins->b];
    if (__builtin_expect(val->kind == SL_CEL_FAILED, 0)) {
        return val->failure != NULL ? raise_kept(m, val) : fail_name(m, ins);
    }
    m->frame[ins->a] = *val;
    return true;
}

static bool op_key(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *self = &m->frame[ins->b];
    int found = 0;
    if (self->kind == SL_CEL_MAP) {
        found = sl_cel_map_find_key(m->eval, self, &m->program->keys[ins->imm], &m->frame[ins->a]);
    }
    if (found != 0) return found > 0;
    if (!ins->flag) return fail_name(m, ins);
    m->frame[ins->a] = m->frame[ins->c];
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Paths into payloads                                                                          */

/*
 * Walk keys through maps of a payload. Returns the value, or none: then *ret_at is how far it came
 * and *ret_last the value there.
 */
static FORCED struct sl_value walk(const struct sl_cel_val *base, const struct sl_cel_key *key,
                                   const struct sl_cel_key *end, const struct sl_cel_key **ret_at,
                                   struct sl_value *ret_last)
{
    struct sl_value at = {base->buf, base->cell};
    struct sl_value next;
    if (__builtin_expect(base->kind != SL_CEL_MAP || !sl_cel_is_cell(base), 0)) {
        *ret_at = key;
        *ret_last = sl_value_none();
        return sl_value_none();
    }
    for (; key < end; key++, at = next) {
        if (__builtin_expect(at.cell->kind != SL_VALUE_MAP, 0)) break;
        next = sl_value_get_hashed(at, key->data, key->size, key->hash);
        if (__builtin_expect(next.cell == NULL, 0)) break;
    }
    *ret_at = key;
    *ret_last = at;
    return key == end ? at : sl_value_none();
}

/* The rest of a path that is not maps of a payload all the way. */
static __attribute__((noinline)) bool walk_slow(struct machine *m, const struct sl_cel_ins *ins,
                                                const struct sl_cel_key *key, struct sl_value last,
                                                struct sl_cel_val *ret)
{
    const struct sl_cel_key *end = m->program->keys + ins->imm + ins->imm2;
    struct sl_cel_val at = m->frame[ins->b];
    if (last.cell != NULL && !sl_cel_load(m->eval, last, &at)) return false;
    for (; key < end; key++) {
        struct sl_cel_val next;
        if (!sl_cel_select(m->eval, &at, key, false, &next)) {
            m->eval->failure.offset = key->offset;
            return false;
        }
        at = next;
    }
    *ret = at;
    return true;
}

static FORCED bool op_path(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = m->program->keys + ins->imm;
    struct sl_value last;
    struct sl_value found = walk(&m->frame[ins->b], key, key + ins->imm2, &key, &last);
    if (__builtin_expect(found.cell == NULL, 0)) {
        return walk_slow(m, ins, key, last, &m->frame[ins->a]);
    }
    return sl_cel_load(m->eval, found, &m->frame[ins->a]);
}

static FORCED bool op_path_equal(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = m->program->keys + ins->imm;
    const struct sl_cel_val *with = &m->frame[ins->c];
    struct sl_value last;
    struct sl_value found = walk(&m->frame[ins->b], key, key + ins->imm2, &key, &last);
    const struct sl_cell *cell = found.cell;
    int equal;
    if (__builtin_expect(cell != NULL && cell->kind == with->kind && cell->kind != SL_VALUE_FLOAT,
                         1)) {
        equal = cell->kind == SL_VALUE_STRING
                    ? cell->len == with->len &&
                          memcmp(sl_cell_bytes(found.buf, cell), with->ptr, cell->len) == 0
                    : cell->word == with->u;
    } else {
        struct sl_cel_val val;
        if (!(cell != NULL ? sl_cel_load(m->eval, found, &val)
                           : walk_slow(m, ins, key, last, &val))) {
            return false;
        }
        equal = sl_cel_equal(m->eval, &val, with);
        if (equal < 0) return false;
    }
    m->frame[ins->a] = sl_cel_bool((equal != 0) != (ins->flag != 0));
    return true;
}

static FORCED bool holds(int order, uint8_t relation)
{
    switch ((enum sl_cel_relation)relation) {
    case SL_CEL_LESS: return order < 0;
    case SL_CEL_LESS_EQUAL: return order <= 0;
    case SL_CEL_GREATER: return order == 1;
    default: return order == 0 || order == 1;
    }
}

static bool compare(struct machine *m, const struct sl_cel_ins *ins, const struct sl_cel_val *left)
{
    int order = sl_cel_order(left, &m->frame[ins->c]);
    if (order == 3) return sl_cel_fail_overload(m->eval);
    m->frame[ins->a] = sl_cel_bool(order != 2 && holds(order, ins->flag));
    return true;
}

static FORCED bool op_path_less(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = m->program->keys + ins->imm;
    const struct sl_cel_val *with = &m->frame[ins->c];
    struct sl_value last;
    struct sl_value found = walk(&m->frame[ins->b], key, key + ins->imm2, &key, &last);
    const struct sl_cell *cell = found.cell;
    if (__builtin_expect(cell != NULL && cell->kind == SL_VALUE_INT && with->kind == SL_CEL_INT,
                         1)) {
        int order = (cell->i64 > with->i) - (cell->i64 < with->i);
        m->frame[ins->a] = sl_cel_bool(holds(order, ins->flag));
        return true;
    }
    struct sl_cel_val val;
    bool loaded =
        cell != NULL ? sl_cel_load(m->eval, found, &val) : walk_slow(m, ins, key, last, &val);
    return loaded && compare(m, ins, &val);
}

/* has(b.key): absent bodies are not decoded for it. */
static bool op_has(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_key *key = &m->program->keys[ins->imm];
    const struct sl_cel_val *of = &m->frame[ins->b];
    while (of->kind == SL_CEL_OPTIONAL && of->some != NULL) of = of->some;
    int found = 0;
    if (of->kind == SL_CEL_MAP) {
        found = sl_cel_map_find_key(m->eval, of, key, NULL);
    } else if (of->kind == SL_CEL_ERROR) {
        struct sl_cel_val ignored;
        found = sl_cel_select(m->eval, of, key, false, &ignored);
    } else if (of->kind != SL_CEL_OPTIONAL) {
        return sl_cel_fail(m->eval, "no such overload: has() on type '%s'", sl_cel_type_name(of));
    }
    if (found < 0) return false;
    m->frame[ins->a] = sl_cel_bool(found > 0);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Operators                                                                                    */

static FORCED bool op_equal(struct machine *m, const struct sl_cel_ins *ins, bool negate)
{
    int equal = sl_cel_equal(m->eval, &m->frame[ins->b], &m->frame[ins->c]);
    if (equal < 0) return false;
    m->frame[ins->a] = sl_cel_bool((equal != 0) != negate);
    return true;
}

static bool op_in(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item = &m->frame[ins->b];
    const struct sl_cel_val *in = &m->frame[ins->c];
    int found = 0;
    if (in->kind == SL_CEL_MAP) {
        found = sl_cel_map_find(m->eval, in, item, NULL);
    } else if (in->kind == SL_CEL_LIST) {
        uint32_t count = sl_cel_count(in);
        for (uint32_t i = 0; i < count && found == 0; i++) {
            struct sl_cel_val at;
            if (!sl_cel_charge(m->eval, 1) || !sl_cel_list_at(m->eval, in, i, &at)) return false;
            found = sl_cel_equal(m->eval, &at, item);
        }
    } else {
        return sl_cel_fail_overload(m->eval);
    }
    if (found < 0) return false;
    m->frame[ins->a] = sl_cel_bool(found > 0);
    return true;
}

static FORCED bool op_arithmetic(struct machine *m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val ret;
    if (!sl_cel_arithmetic(m->eval, (enum sl_cel_op)ins->op, &m->frame[ins->b], &m->frame[ins->c],
                           &ret)) {
        return false;
    }
    m->frame[ins->a] = ret;
    return true;
}

static FORCED bool op_not(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m->frame[ins->b];
    if (val->kind != SL_CEL_BOOL) return sl_cel_fail_overload(m->eval);
    m->frame[ins->a] = sl_cel_bool(!val->u);
    return true;
}

static FORCED bool op_if(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m->frame[ins->b];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) return sl_cel_fail_overload(m->eval);
    if (!val->u) jump(m, ins->imm);
    return true;
}

/* The first operand of && (decides: false) or || (decides: true). */
static FORCED bool op_logic(struct machine *m, const struct sl_cel_ins *ins, bool decides)
{
    const struct sl_cel_val *val = &m->frame[ins->a];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) return sl_cel_fail_overload(m->eval);
    if (val->u == decides) jump(m, ins->imm);
    return true;
}

/* An operand that is no bool: a kept failure, so that a later operand may still decide. */
static __attribute__((cold)) bool keep_operand(struct machine *m, const struct sl_cel_val *val,
                                               struct sl_cel_val *result)
{
    if (result->kind == SL_CEL_FAILED) return true;
    if (val->kind == SL_CEL_FAILED) {
        *result = *val;
        return true;
    }
    (void)sl_cel_fail_overload(m->eval);
    return keep(m->eval, result);
}

static FORCED bool op_logic_next(struct machine *m, const struct sl_cel_ins *ins, bool decides)
{
    const struct sl_cel_val *val = &m->frame[ins->b];
    struct sl_cel_val *result = &m->frame[ins->a];
    if (__builtin_expect(val->kind != SL_CEL_BOOL, 0)) {
        if (!keep_operand(m, val, result)) return sl_cel_fail_memory(m->eval);
    } else if (val->u == decides) {
        *result = *val;
        jump(m, ins->imm);
        return true;
    }
    if (ins->flag && __builtin_expect(result->kind == SL_CEL_FAILED, 0))
        return raise_kept(m, result);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Containers and calls                                                                         */

static FORCED bool op_push(struct machine *m, const struct sl_cel_ins *ins)
{
    if (!sl_cel_list_push(m->eval, m->frame[ins->a].list, &m->frame[ins->b])) return false;
    if (ins->imm2 != 0) jump(m, ins->imm2);
    return true;
}

/* ?element: 1 with *ret the value, 0 none, -1 failed. */
static int unwrap(struct machine *m, const struct sl_cel_val *val, const struct sl_cel_val **ret)
{
    if (val->kind != SL_CEL_OPTIONAL) {
        (void)sl_cel_fail(m->eval, "cannot initialize optional entry from a value of type '%s'",
                          sl_cel_type_name(val));
        return -1;
    }
    *ret = val->some;
    return val->some != NULL;
}

static bool op_push_opt(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item;
    int some = unwrap(m, &m->frame[ins->b], &item);
    if (some <= 0) return some == 0;
    return sl_cel_list_push(m->eval, m->frame[ins->a].list, item);
}

static bool op_put(struct machine *m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *frame = m->frame;
    if (!sl_cel_map_put(m->eval, frame[ins->a].map, &frame[ins->b], &frame[ins->c])) return false;
    if (ins->imm2 != 0) jump(m, ins->imm2);
    return true;
}

static bool op_put_opt(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *item;
    int some = unwrap(m, &m->frame[ins->c], &item);
    if (some <= 0) return some == 0;
    return sl_cel_map_put(m->eval, m->frame[ins->a].map, &m->frame[ins->b], item);
}

static bool op_merge(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *from = &m->frame[ins->b];
    if (from->kind != SL_CEL_MAP) return sl_cel_fail_overload(m->eval);
    uint32_t count = sl_cel_count(from);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_cel_val key;
        struct sl_cel_val val;
        if (!sl_cel_map_at(m->eval, from, i, &key, &val)) return false;
        if (!sl_cel_map_put(m->eval, m->frame[ins->a].map, &key, &val)) return false;
    }
    jump(m, ins->imm2);
    return true;
}

static __attribute__((cold)) bool fail_call(struct machine *m, const struct sl_cel_target *target)
{
    if (target->name.data == NULL) return sl_cel_fail(m->eval, "unbound function");
    return sl_cel_fail(m->eval, "no such overload: %.*s", SL_SLICE_FMT(target->name));
}

static FORCED bool op_call(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_target *target = &m->program->targets[ins->imm];
    const int16_t *operands = m->program->operands + ins->imm2;
    const struct sl_cel_val *args[SL_CEL_CALL_ARGS_MAX];
    for (uint32_t i = 0; i < ins->flag; i++) args[i] = &m->frame[operands[i]];
    for (uint32_t at = 0; at < target->rows_count; at++) {
        const struct sl_cel_row *row = &target->rows[at];
        uint32_t i = 0;
        while (i < ins->flag && (row->kinds[i] >> args[i]->kind & 1) != 0) i++;
        if (i < ins->flag) continue;
        struct sl_cel_val ret;
        if (!sl_cel_charge(m->eval, 1) || !row->call(m->eval, args, &ret)) return false;
        m->frame[ins->a] = ret;
        return true;
    }
    return fail_call(m, target);
}

static bool op_match(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *text = &m->frame[ins->b];
    if (text->kind != SL_CEL_STRING) return sl_cel_fail_overload(m->eval);
    const struct sl_cel_regex *regex = m->eval->instance->regexes[ins->imm];
    if (regex == NULL) return sl_cel_fail(m->eval, "invalid regular expression");
    uint64_t cost = 1 + (uint64_t)text->len * sl_cel_regex_size(regex) / 64;
    if (!sl_cel_charge(m->eval, cost)) return false;
    m->frame[ins->a] = sl_cel_bool(sl_cel_regex_match(regex, text->ptr, text->len));
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Loops                                                                                        */

static FORCED bool op_loop(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *range = &m->frame[ins->b];
    if (range->kind != SL_CEL_LIST && range->kind != SL_CEL_MAP)
        return sl_cel_fail_overload(m->eval);
    m->frame[ins->a + 1] = sl_cel_int(0);
    return true;
}

static FORCED bool op_loop_next(struct machine *m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *base = &m->frame[ins->a];
    uint32_t at = (uint32_t)base[1].i;
    if (at >= sl_cel_count(base)) {
        jump(m, ins->imm);
        return true;
    }
    base[1].i++;
    if (!sl_cel_charge(m->eval, ins->imm2)) return false;
    if (base->kind == SL_CEL_MAP) {
        return sl_cel_map_at(m->eval, base, at, &base[2], ins->flag ? &base[3] : NULL);
    }
    if (ins->flag) base[2] = sl_cel_int(at);
    return sl_cel_list_at(m->eval, base, at, &base[ins->flag ? 3 : 2]);
}

static FORCED bool op_fold(struct machine *m, const struct sl_cel_ins *ins, bool decides)
{
    const struct sl_cel_val *test = &m->frame[ins->b];
    struct sl_cel_val *result = &m->frame[ins->a];
    if (__builtin_expect(test->kind != SL_CEL_BOOL, 0)) {
        if (!keep_operand(m, test, result)) return sl_cel_fail_memory(m->eval);
    } else if (test->u == decides) {
        *result = *test;
        jump(m, ins->imm);
        return true;
    }
    jump(m, ins->imm2);
    return true;
}

static FORCED bool op_one(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *test = &m->frame[ins->b];
    if (test->kind != SL_CEL_BOOL) return sl_cel_fail_overload(m->eval);
    m->frame[ins->a].i += (int64_t)test->u;
    jump(m, ins->imm2);
    return true;
}

static bool op_or_opt(struct machine *m, const struct sl_cel_ins *ins)
{
    const struct sl_cel_val *val = &m->frame[ins->b];
    if (val->kind != SL_CEL_OPTIONAL) return sl_cel_fail_overload(m->eval);
    if (val->some == NULL) return true;
    m->frame[ins->a] = ins->flag ? *val->some : *val;
    jump(m, ins->imm);
    return true;
}

/* ------------------------------------------------------------------------------------------ */

/* Go on at the handler of the instruction that failed, if it has one. */
static __attribute__((cold, noinline)) bool handle(struct machine *m)
{
    const struct sl_cel_program *program = m->program;
    struct sl_cel_eval *eval = m->eval;
    uint32_t at = (uint32_t)(m->pc - program->code) - 1;
    if (eval->failure.offset == UINT32_MAX) eval->failure.offset = program->offsets[at];
    if (eval->failure.limit) return false;
    for (uint32_t i = 0; i < program->handlers_count; i++) {
        const struct sl_cel_handler *handler = &program->handlers[i];
        if (at < handler->start || at >= handler->end) continue;
        if (!keep(eval, &m->frame[handler->reg])) return sl_cel_fail_memory(eval);
        jump(m, handler->target);
        return true;
    }
    return false;
}

/* The operators and conversions that are not on the fast line. */
static bool execute_other(struct machine *m, const struct sl_cel_ins *ins)
{
    struct sl_cel_val *frame = m->frame;
    const struct sl_cel_key *keys = m->program->keys;
    struct sl_cel_val ret;
    bool done = true;
    switch ((enum sl_cel_op)ins->op) {
    case SL_CEL_OP_UNKNOWN: return fail_name(m, ins);
    case SL_CEL_OP_SELECT:
    case SL_CEL_OP_SELECT_OPT:
        done = sl_cel_select(m->eval, &frame[ins->b], &keys[ins->imm],
                             ins->op == SL_CEL_OP_SELECT_OPT, &ret);
        break;
    case SL_CEL_OP_INDEX:
    case SL_CEL_OP_INDEX_OPT:
        done = sl_cel_index(m->eval, &frame[ins->b], &frame[ins->c], ins->op == SL_CEL_OP_INDEX_OPT,
                            &ret);
        break;
    case SL_CEL_OP_NEGATE: done = sl_cel_negate(m->eval, &frame[ins->b], &ret); break;
    case SL_CEL_OP_LIST: done = sl_cel_list_new(m->eval, ins->imm, &ret); break;
    case SL_CEL_OP_MAP: done = sl_cel_map_new(m->eval, ins->imm, &ret); break;
    case SL_CEL_OP_LOGIC_END:
        return frame[ins->a].kind != SL_CEL_FAILED || raise_kept(m, &frame[ins->a]);
    case SL_CEL_OP_ONE_END: ret = sl_cel_bool(frame[ins->a].i == 1); break;
    case SL_CEL_OP_NEED_OPT:
        return frame[ins->b].kind == SL_CEL_OPTIONAL || sl_cel_fail_overload(m->eval);
    default: sl_unreachable();
    }
    if (done) frame[ins->a] = ret;
    return done;
}

#define CASE(op, call)                                                                             \
    case SL_CEL_OP_##op: done = call; break

bool sl_cel_execute(struct sl_cel_eval *eval, struct sl_cel_val *frame, struct sl_cel_val *ret)
{
    struct machine m = {eval, eval->program, frame, eval->program->code};
    for (;;) {
        const struct sl_cel_ins *ins = m.pc++;
        bool done = true;
        switch ((enum sl_cel_op)ins->op) {
        case SL_CEL_OP_RETURN: *ret = frame[ins->b]; return true;
        case SL_CEL_OP_MOVE: frame[ins->a] = frame[ins->b]; break;
        case SL_CEL_OP_JUMP:
            jump(&m, ins->imm);
            break;
            CASE(USE, op_use(&m, ins));
            CASE(KEY, op_key(&m, ins));
            CASE(PATH, op_path(&m, ins));
            CASE(PATH_EQ, op_path_equal(&m, ins));
            CASE(PATH_LT, op_path_less(&m, ins));
            CASE(HAS, op_has(&m, ins));
            CASE(EQ, op_equal(&m, ins, false));
            CASE(NE, op_equal(&m, ins, true));
            CASE(COMPARE, compare(&m, ins, &frame[ins->b]));
            CASE(IN, op_in(&m, ins));
            CASE(ADD, op_arithmetic(&m, ins));
            CASE(SUBTRACT, op_arithmetic(&m, ins));
            CASE(MULTIPLY, op_arithmetic(&m, ins));
            CASE(DIVIDE, op_arithmetic(&m, ins));
            CASE(MODULO, op_arithmetic(&m, ins));
            CASE(NOT, op_not(&m, ins));
            CASE(IF, op_if(&m, ins));
            CASE(AND, op_logic(&m, ins, false));
            CASE(AND_NEXT, op_logic_next(&m, ins, false));
            CASE(OR, op_logic(&m, ins, true));
            CASE(OR_NEXT, op_logic_next(&m, ins, true));
            CASE(PUSH, op_push(&m, ins));
            CASE(PUSH_OPT, op_push_opt(&m, ins));
            CASE(PUT, op_put(&m, ins));
            CASE(PUT_OPT, op_put_opt(&m, ins));
            CASE(MERGE, op_merge(&m, ins));
            CASE(CALL, op_call(&m, ins));
            CASE(MATCH, op_match(&m, ins));
            CASE(LOOP, op_loop(&m, ins));
            CASE(LOOP_NEXT, op_loop_next(&m, ins));
            CASE(ALL, op_fold(&m, ins, false));
            CASE(EXISTS, op_fold(&m, ins, true));
            CASE(ONE, op_one(&m, ins));
            CASE(OR_OPT, op_or_opt(&m, ins));
        default: done = execute_other(&m, ins); break;
        }
        if (__builtin_expect(!done, 0) && !handle(&m)) return false;
    }
}
