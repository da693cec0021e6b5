/* SPDX-License-Identifier: MIT */
/*
 * From the checked tree to flat code; the machine is described in program.h. The recursion follows
 * the tree, whose depth the parser bounded.
 *
 * expr(node, dst) leaves the value in dst or, if nothing needs to be computed, returns the operand
 * where it stands already: a constant, a variable, a loop's variable. Registers are handed out like
 * a stack; what a caller got back stays valid while it keeps its own registers.
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "nodes/script/cel/predicate.h"

enum {
    OPERAND_LIMIT = 32000,
    CODE_LIMIT = 4 * 1024 * 1024,
};

#define MAY_FAIL (1U << 31) /* beside the register of a slot */

static int16_t expr(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst);

void *sl_cel_gen_push(struct sl_cel_gen *gen, struct sl_cel_table *table, size_t item_size)
{
    static struct sl_cel_val nowhere[4]; /* takes what is written after an error */
    static_assert(sizeof(nowhere) >= sizeof(struct sl_cel_target), "any item fits");
    static_assert(sizeof(nowhere) >= sizeof(struct sl_cel_term), "any item fits");
    if (gen->error != 0) return nowhere;
    if (table->count == table->cap) {
        uint32_t cap = table->cap ? table->cap * 2 : 8;
        void *items =
            sl_cel_arena_grow(gen->arena, table->items, table->cap * item_size, cap * item_size);
        if (items == NULL || cap > CODE_LIMIT) {
            gen->error = items == NULL ? -ENOMEM : -E2BIG;
            return nowhere;
        }
        table->items = items;
        table->cap = cap;
    }
    return (uint8_t *)table->items + item_size * table->count++;
}

static uint32_t here(const struct sl_cel_gen *gen)
{
    return gen->code.count;
}

static uint32_t emit(struct sl_cel_gen *gen, const struct sl_cel_node *node, struct sl_cel_ins ins)
{
    uint32_t at = here(gen);
    *(struct sl_cel_ins *)sl_cel_gen_push(gen, &gen->code, sizeof(ins)) = ins;
    *(uint32_t *)sl_cel_gen_push(gen, &gen->offsets, sizeof(uint32_t)) = node->offset;
    return at;
}

static void patch(struct sl_cel_gen *gen, uint32_t at)
{
    if (gen->error == 0) ((struct sl_cel_ins *)gen->code.items)[at].imm = here(gen);
}

static int16_t reg_new(struct sl_cel_gen *gen)
{
    if (gen->top >= OPERAND_LIMIT) {
        if (gen->error == 0) gen->error = -E2BIG;
        return 0;
    }
    int16_t reg = (int16_t)gen->top++;
    if (gen->top > gen->regs_count) gen->regs_count = gen->top;
    return reg;
}

static bool same_const(const struct sl_cel_val *a, const struct sl_cel_val *b)
{
    if (a->kind != b->kind || a->kind >= SL_CEL_LIST) return false;
    if (a->kind < SL_CEL_STRING) return a->u == b->u;
    return sl_slice_eq(sl_cel_slice(a), sl_cel_slice(b));
}

static int16_t constant(struct sl_cel_gen *gen, struct sl_cel_val value)
{
    const struct sl_cel_val *known = gen->consts.items;
    uint32_t from = gen->consts.count > 64 ? gen->consts.count - 64 : 0;
    uint32_t at = gen->consts.count;
    for (uint32_t i = from; i < gen->consts.count; i++) {
        if (same_const(&known[i], &value)) at = i;
    }
    if (at == gen->consts.count) {
        *(struct sl_cel_val *)sl_cel_gen_push(gen, &gen->consts, sizeof(value)) = value;
    }
    if (gen->vars_count + at >= OPERAND_LIMIT) {
        if (gen->error == 0) gen->error = -E2BIG;
        return -1;
    }
    return (int16_t)(-1 - (int32_t)(gen->vars_count + at));
}

static struct sl_cel_key make_key(struct sl_slice name, uint32_t offset)
{
    struct sl_cel_key key = {.data = name.data, .size = (uint32_t)name.size, .offset = offset};
    key.hash = sl_hash16(name.data, name.size);
    struct sl_cell cell = {.kind = SL_VALUE_STRING, .hash = key.hash, .len = key.size};
    memcpy(&key.head, &cell, sizeof(key.head));
    return key;
}

uint32_t sl_cel_gen_key(struct sl_cel_gen *gen, struct sl_slice name, uint32_t offset)
{
    uint32_t at = gen->keys.count;
    struct sl_cel_key *key = sl_cel_gen_push(gen, &gen->keys, sizeof(*key));
    *key = make_key(name, offset);
    return at;
}

void sl_cel_gen_key_set(struct sl_cel_gen *gen, uint32_t number, struct sl_slice name,
                        uint32_t offset)
{
    sl_assert(number < gen->keys.count);
    ((struct sl_cel_key *)gen->keys.items)[number] = make_key(name, offset);
}

uint32_t sl_cel_gen_pattern(struct sl_cel_gen *gen, struct sl_slice text)
{
    const struct sl_slice *known = gen->patterns.items;
    for (uint32_t i = 0; i < gen->patterns.count; i++) {
        if (sl_slice_eq(known[i], text)) return i;
    }
    *(struct sl_slice *)sl_cel_gen_push(gen, &gen->patterns, sizeof(text)) = text;
    return gen->patterns.count - 1;
}

static int16_t expr_to(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    int16_t at = expr(gen, node, dst);
    if (at != dst) (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_MOVE, .a = dst, .b = at});
    return dst;
}

/* expr, in a register of its own if it needs one. */
static int16_t expr_any(struct sl_cel_gen *gen, struct sl_cel_node *node)
{
    return expr(gen, node, reg_new(gen));
}

/*
 * Code that is protected: if it fails, `reg` holds the failure and the run goes on behind it. The
 * value is in the returned operand otherwise; where that is not `reg`, nothing can fail.
 */
static int16_t expr_kept(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t reg)
{
    uint32_t start = here(gen);
    int16_t at = expr(gen, node, reg);
    if (here(gen) == start) return at;
    if (at != reg) (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_MOVE, .a = reg, .b = at});
    struct sl_cel_handler *handler = sl_cel_gen_push(gen, &gen->handlers, sizeof(*handler));
    *handler = (struct sl_cel_handler){start, here(gen), here(gen), reg};
    return reg;
}

/* ------------------------------------------------------------------------------------------ */
/* Names and selections                                                                         */

static int16_t use(struct sl_cel_gen *gen, const struct sl_cel_node *node, int16_t from,
                   struct sl_slice name, int16_t dst)
{
    uint32_t key = sl_cel_gen_key(gen, name, node->offset);
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_USE, .a = dst, .b = from, .imm = key});
    return dst;
}

/* The operand of a variable, which a run then has to bind. */
static int16_t variable(struct sl_cel_gen *gen, uint32_t index)
{
    const uint32_t *used = gen->used.items;
    uint32_t at = 0;
    while (at < gen->used.count && used[at] != index) at++;
    if (at == gen->used.count)
        *(uint32_t *)sl_cel_gen_push(gen, &gen->used, sizeof(uint32_t)) = index;
    return (int16_t)(-1 - (int32_t)index);
}

static int16_t gen_name(struct sl_cel_gen *gen, const struct sl_cel_node *node, int16_t dst)
{
    switch ((enum sl_cel_meaning)node->meaning) {
    case SL_CEL_M_VAR: {
        const struct sl_cel_decl *decl = &gen->options->decls[node->index];
        int16_t var = variable(gen, node->index);
        if (decl->always) return var;
        return use(gen, node, var, sl_slice_from_str(decl->name), dst);
    }
    case SL_CEL_M_LOCAL: {
        int16_t reg = (int16_t)node->binder->regs[node->index];
        return node->binder->rest ? use(gen, node, reg, node->name, dst) : reg;
    }
    case SL_CEL_M_TYPE: return constant(gen, node->literal);
    case SL_CEL_M_KEY: {
        bool fallback = node->regs[0] != 0;
        struct sl_cel_ins ins = {SL_CEL_OP_KEY, fallback, dst, variable(gen, 0), 0, 0, 0};
        ins.c = fallback ? constant(gen, node->literal) : dst;
        ins.imm = sl_cel_gen_key(gen, node->name, node->offset);
        (void)emit(gen, node, ins);
        return dst;
    }
    default: break;
    }
    uint32_t key = sl_cel_gen_key(gen, node->name, node->offset);
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_UNKNOWN, .a = dst, .imm = key});
    return dst;
}

bool sl_cel_gen_is_step(const struct sl_cel_node *node, struct sl_slice *ret_key)
{
    if (node->kind == SL_CEL_N_SELECT && node->flags == 0 && node->meaning == SL_CEL_M_NONE) {
        *ret_key = node->name;
        return true;
    }
    if (node->kind != SL_CEL_N_CALL || !sl_slice_eq_str(node->name, "_[_]")) return false;
    const struct sl_cel_node *index = node->args[1];
    if (index->kind != SL_CEL_N_LITERAL || index->literal.kind != SL_CEL_STRING) return false;
    *ret_key = sl_cel_slice(&index->literal);
    return true;
}

/*
 * The keys of a chain like self.body["user"].age, in order: their base is evaluated, their number
 * returned, 0 if the node is no chain.
 */
static uint32_t gen_chain(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst,
                          int16_t *ret_base, uint32_t *ret_first)
{
    struct sl_slice key;
    uint32_t count = 0;
    struct sl_cel_node *base = node;
    for (; sl_cel_gen_is_step(base, &key); base = base->args[0]) count++;
    if (count == 0) return 0;
    *ret_base = expr(gen, base, dst);
    *ret_first = gen->keys.count;
    for (uint32_t i = 0; i < count; i++) (void)sl_cel_gen_key(gen, (struct sl_slice){NULL, 0}, 0);
    if (gen->error != 0) return count;
    struct sl_cel_key *keys = gen->keys.items;
    for (uint32_t i = count; i-- > 0; node = node->args[0]) {
        (void)sl_cel_gen_is_step(node, &key);
        keys[*ret_first + i] = make_key(key, node->offset);
    }
    return count;
}

static int16_t gen_select(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    if (node->meaning != SL_CEL_M_NONE) return gen_name(gen, node, dst);
    struct sl_cel_ins ins = {.a = dst};
    if (node->flags != 0) {
        bool test = (node->flags & SL_CEL_NF_TEST) != 0;
        ins.op = test ? SL_CEL_OP_HAS : SL_CEL_OP_SELECT_OPT;
        ins.b = expr(gen, node->args[0], dst);
        ins.imm = sl_cel_gen_key(gen, node->name, node->offset);
    } else {
        ins.op = SL_CEL_OP_PATH;
        ins.imm2 = gen_chain(gen, node, dst, &ins.b, &ins.imm);
    }
    (void)emit(gen, node, ins);
    return dst;
}

/* ------------------------------------------------------------------------------------------ */
/* Calls                                                                                        */

static const struct {
    const char *name;
    uint8_t op;
    uint8_t flag;
} operators[] = {
    {"_==_", SL_CEL_OP_EQ, 0},
    {"_!=_", SL_CEL_OP_NE, 0},
    {"_<_", SL_CEL_OP_COMPARE, SL_CEL_LESS},
    {"_<=_", SL_CEL_OP_COMPARE, SL_CEL_LESS_EQUAL},
    {"_>_", SL_CEL_OP_COMPARE, SL_CEL_GREATER},
    {"_>=_", SL_CEL_OP_COMPARE, SL_CEL_GREATER_EQUAL},
    {"@in", SL_CEL_OP_IN, 0},
    {"_+_", SL_CEL_OP_ADD, 0},
    {"_-_", SL_CEL_OP_SUBTRACT, 0},
    {"_*_", SL_CEL_OP_MULTIPLY, 0},
    {"_/_", SL_CEL_OP_DIVIDE, 0},
    {"_%_", SL_CEL_OP_MODULO, 0},
    {"-_", SL_CEL_OP_NEGATE, 0},
    {"!_", SL_CEL_OP_NOT, 0},
    {"_[_]", SL_CEL_OP_INDEX, 0},
    {"_[?_]", SL_CEL_OP_INDEX_OPT, 0},
};

/* A path compared with a constant scalar: one instruction. */
static bool gen_path_compare(struct sl_cel_gen *gen, struct sl_cel_node *node,
                             const struct sl_cel_ins *op, int16_t dst)
{
    const struct sl_cel_node *right = node->args[1];
    struct sl_slice key;
    if (op->op != SL_CEL_OP_EQ && op->op != SL_CEL_OP_NE && op->op != SL_CEL_OP_COMPARE)
        return false;
    if (right->kind != SL_CEL_N_LITERAL || right->literal.kind > SL_CEL_STRING) return false;
    if (!sl_cel_gen_is_step(node->args[0], &key)) return false;
    struct sl_cel_ins ins = {.a = dst, .flag = op->flag};
    ins.op = op->op == SL_CEL_OP_COMPARE ? SL_CEL_OP_PATH_LT : SL_CEL_OP_PATH_EQ;
    if (op->op == SL_CEL_OP_NE) ins.flag = 1;
    ins.imm2 = gen_chain(gen, node->args[0], dst, &ins.b, &ins.imm);
    ins.c = constant(gen, right->literal);
    (void)emit(gen, node, ins);
    return true;
}

static bool gen_operator(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    struct sl_cel_ins ins = {.a = dst};
    size_t at = 0;
    size_t count = sizeof(operators) / sizeof(operators[0]);
    while (at < count && !sl_slice_eq_str(node->name, operators[at].name)) at++;
    if (at == count) return false;
    ins.op = operators[at].op;
    ins.flag = operators[at].flag;
    if (node->count == 2 && gen_path_compare(gen, node, &ins, dst)) return true;
    struct sl_slice key;
    if (sl_cel_gen_is_step(node, &key)) {
        ins.op = SL_CEL_OP_PATH;
        ins.imm2 = gen_chain(gen, node, dst, &ins.b, &ins.imm);
    } else {
        ins.b = expr(gen, node->args[0], dst);
        if (node->count == 2) ins.c = expr_any(gen, node->args[1]);
    }
    (void)emit(gen, node, ins);
    return true;
}

/* The overloads a call may take, as the evaluator needs them. */
static uint32_t target_of(struct sl_cel_gen *gen, const struct sl_cel_node *node, uint32_t argc,
                          bool member)
{
    struct sl_cel_table rows = {0};
    uint32_t cursor = 0;
    const struct sl_cel_function *function;
    while ((function = sl_cel_function_next(node->name, &cursor)) != NULL) {
        struct sl_cel_signature signature;
        if (!sl_cel_signature_read(function->signature, gen->arena, &signature)) {
            gen->error = -ENOMEM;
            return 0;
        }
        if (signature.member != member || signature.count != argc || !function->call) continue;
        struct sl_cel_row row = {.call = function->call};
        memcpy(row.kinds, signature.kinds, sizeof(row.kinds));
        struct sl_cel_row *slot = sl_cel_arena_grow(
            gen->arena, rows.items, rows.count * sizeof(row), (rows.count + 1) * sizeof(row));
        if (slot == NULL) {
            gen->error = -ENOMEM;
            return 0;
        }
        slot[rows.count++] = row;
        rows.items = slot;
    }
    uint32_t at = gen->targets.count;
    struct sl_cel_target *target = sl_cel_gen_push(gen, &gen->targets, sizeof(*target));
    *target = (struct sl_cel_target){node->name, rows.items, rows.count};
    if (node->rest) target->name.data = NULL;
    return at;
}

/* x.matches("constant"): compiled once for each shard. */
static bool gen_match(struct sl_cel_gen *gen, struct sl_cel_node *node, uint32_t first, int16_t dst)
{
    if (node->count - first != 2 || !sl_slice_eq_str(node->name, "matches")) return false;
    const struct sl_cel_node *pattern = node->args[first + 1];
    if (pattern->kind != SL_CEL_N_LITERAL || pattern->literal.kind != SL_CEL_STRING) return false;
    struct sl_cel_ins ins = {SL_CEL_OP_MATCH, .a = dst};
    ins.imm = sl_cel_gen_pattern(gen, sl_cel_slice(&pattern->literal));
    ins.b = expr(gen, node->args[first], dst);
    (void)emit(gen, node, ins);
    return true;
}

/* x.or(y), x.orValue(y): y only if needed. */
static bool gen_or_optional(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    bool value = sl_slice_eq_str(node->name, "orValue");
    if (node->count != 2 || (node->flags & SL_CEL_NF_MEMBER) == 0) return false;
    if (!value && !sl_slice_eq_str(node->name, "or")) return false;
    struct sl_cel_ins ins = {SL_CEL_OP_OR_OPT, value, dst, 0, 0, 0, 0};
    ins.b = expr(gen, node->args[0], dst);
    uint32_t at = emit(gen, node, ins);
    (void)expr_to(gen, node->args[1], dst);
    if (!value) (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_NEED_OPT, .b = dst});
    patch(gen, at);
    return true;
}

static int16_t gen_call(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    uint32_t first = node->meaning == SL_CEL_M_GLOBAL_CALL ? 1 : 0;
    bool member = (node->flags & SL_CEL_NF_MEMBER) != 0 && first == 0;
    uint32_t argc = node->count - first;
    if (!member && argc == 1 && sl_slice_eq_str(node->name, "dyn")) {
        return expr(gen, node->args[first], dst);
    }
    if (gen_operator(gen, node, dst) || gen_match(gen, node, first, dst)) return dst;
    if (gen_or_optional(gen, node, dst)) return dst;
    struct sl_cel_ins ins = {SL_CEL_OP_CALL, .a = dst};
    int16_t operands[SL_CEL_CALL_ARGS_MAX];
    for (uint32_t i = 0; i < argc; i++) {
        int16_t at =
            i == 0 ? expr(gen, node->args[first], dst) : expr_any(gen, node->args[first + i]);
        if (i < SL_CEL_CALL_ARGS_MAX) operands[i] = at;
    }
    ins.imm = target_of(gen, node, argc, member);
    ins.imm2 = gen->operands.count;
    ins.flag = (uint8_t)(argc < SL_CEL_CALL_ARGS_MAX ? argc : SL_CEL_CALL_ARGS_MAX);
    for (uint32_t i = 0; i < ins.flag || i == 0; i++) { /* one at least: the table is never NULL */
        if (i == ins.flag) operands[i] = 0;
        *(int16_t *)sl_cel_gen_push(gen, &gen->operands, sizeof(int16_t)) = operands[i];
    }
    (void)emit(gen, node, ins);
    return dst;
}

/* ------------------------------------------------------------------------------------------ */
/* Logic and conditions                                                                         */

static int16_t gen_logic(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    bool is_or = node->kind == SL_CEL_N_OR;
    int16_t next = reg_new(gen);
    uint32_t last_jump = UINT32_MAX; /* a chain of jumps to be patched, linked by imm2 */
    uint32_t start = here(gen);
    int16_t at = expr(gen, node->args[0], dst);
    if (at != dst) (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_MOVE, .a = dst, .b = at});
    uint8_t op = is_or ? SL_CEL_OP_OR : SL_CEL_OP_AND;
    last_jump = emit(gen, node, (struct sl_cel_ins){op, .a = dst, .imm2 = last_jump});
    struct sl_cel_handler *handler = sl_cel_gen_push(gen, &gen->handlers, sizeof(*handler));
    *handler = (struct sl_cel_handler){start, here(gen), here(gen), dst};
    op = is_or ? SL_CEL_OP_OR_NEXT : SL_CEL_OP_AND_NEXT;
    for (uint32_t i = 1; i < node->count; i++) {
        int32_t top = gen->top;
        int16_t operand = expr_kept(gen, node->args[i], next);
        gen->top = top;
        struct sl_cel_ins ins = {op, i + 1 == node->count, dst, operand, 0, 0, last_jump};
        last_jump = emit(gen, node, ins);
    }
    while (gen->error == 0 && last_jump != UINT32_MAX) {
        struct sl_cel_ins *ins = (struct sl_cel_ins *)gen->code.items + last_jump;
        ins->imm = here(gen);
        last_jump = ins->imm2;
    }
    return dst;
}

static int16_t gen_cond(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    int16_t test = expr(gen, node->args[0], dst);
    uint32_t no = emit(gen, node->args[0], (struct sl_cel_ins){SL_CEL_OP_IF, .b = test});
    int32_t top = gen->top;
    (void)expr_to(gen, node->args[1], dst);
    gen->top = top;
    uint32_t end = emit(gen, node, (struct sl_cel_ins){.op = SL_CEL_OP_JUMP});
    patch(gen, no);
    (void)expr_to(gen, node->args[2], dst);
    patch(gen, end);
    return dst;
}

/* ------------------------------------------------------------------------------------------ */
/* Containers                                                                                   */

static int16_t gen_list(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_LIST, .a = dst, .imm = node->count});
    for (uint32_t i = 0; i < node->count; i++) {
        int32_t top = gen->top;
        bool opt = node->opt != NULL && node->opt[i];
        struct sl_cel_ins ins = {opt ? SL_CEL_OP_PUSH_OPT : SL_CEL_OP_PUSH, .a = dst};
        ins.b = expr_any(gen, node->args[i]);
        (void)emit(gen, node->args[i], ins);
        gen->top = top;
    }
    return dst;
}

static void gen_pairs(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    for (uint32_t i = 0; i < node->count; i += 2) {
        int32_t top = gen->top;
        bool opt = node->opt != NULL && node->opt[i / 2];
        struct sl_cel_ins ins = {opt ? SL_CEL_OP_PUT_OPT : SL_CEL_OP_PUT, .a = dst};
        ins.b = expr_any(gen, node->args[i]);
        ins.c = expr_any(gen, node->args[i + 1]);
        (void)emit(gen, node->args[i], ins);
        gen->top = top;
    }
}

/* True for a few different keys that are texts known now. */
static bool is_record(const struct sl_cel_node *node)
{
    if (node->opt != NULL || node->count == 0 || node->count >= 2 * SL_CEL_MAP_INDEX_MIN) {
        return false;
    }
    for (uint32_t i = 0; i < node->count; i += 2) {
        const struct sl_cel_val *key = &node->args[i]->literal;
        if (node->args[i]->kind != SL_CEL_N_LITERAL || key->kind != SL_CEL_STRING) return false;
        if (key->len == 0) return false;
        for (uint32_t j = 0; j < i; j += 2) {
            if (same_const(key, &node->args[j]->literal)) return false;
        }
    }
    return true;
}

static int16_t gen_record(struct sl_cel_gen *gen, const struct sl_cel_node *node, int16_t dst)
{
    int16_t values[SL_CEL_MAP_INDEX_MIN] = {0};
    int16_t count = (int16_t)(node->count / 2);
    for (int16_t i = 0; i < count; i++) values[i] = expr_any(gen, node->args[2 * i + 1]);
    struct sl_cel_ins ins = {SL_CEL_OP_RECORD, .a = dst, .c = count};
    ins.imm = gen->keys.count;
    ins.imm2 = gen->operands.count;
    for (int16_t i = 0; i < count; i++) {
        const struct sl_cel_node *key = node->args[2 * i];
        (void)sl_cel_gen_key(gen, sl_cel_slice(&key->literal), key->offset);
        *(int16_t *)sl_cel_gen_push(gen, &gen->operands, sizeof(int16_t)) = values[i];
    }
    (void)emit(gen, node, ins);
    return dst;
}

static int16_t gen_map(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    if (is_record(node)) return gen_record(gen, node, dst);
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_MAP, .a = dst, .imm = node->count / 2});
    gen_pairs(gen, node, dst);
    return dst;
}

/* ------------------------------------------------------------------------------------------ */
/* Loops                                                                                        */

/* What the loop gathers, before its first turn. */
static void gen_loop_start(struct sl_cel_gen *gen, const struct sl_cel_node *node, int16_t dst)
{
    struct sl_cel_ins ins = {SL_CEL_OP_MOVE, .a = dst};
    switch ((enum sl_cel_loop)node->op) {
    case SL_CEL_LOOP_ALL:
    case SL_CEL_LOOP_EXISTS: ins.b = constant(gen, sl_cel_bool(node->op == SL_CEL_LOOP_ALL)); break;
    case SL_CEL_LOOP_ONE: ins.b = constant(gen, sl_cel_int(0)); break;
    case SL_CEL_LOOP_LIST: ins = (struct sl_cel_ins){SL_CEL_OP_LIST, .a = dst, .imm = 4}; break;
    default: ins = (struct sl_cel_ins){SL_CEL_OP_MAP, .a = dst, .imm = 4}; break;
    }
    (void)emit(gen, node, ins);
}

/* One turn; ends in a jump to `head`. Returns the instruction that leaves early, or UINT32_MAX. */
static uint32_t gen_loop_step(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst,
                              uint32_t head)
{
    struct sl_cel_ins ins = {.a = dst, .imm2 = head};
    struct sl_cel_node *step = node->args[1];
    switch ((enum sl_cel_loop)node->op) {
    case SL_CEL_LOOP_ALL:
    case SL_CEL_LOOP_EXISTS:
        ins.op = node->op == SL_CEL_LOOP_ALL ? SL_CEL_OP_ALL : SL_CEL_OP_EXISTS;
        ins.b = expr_kept(gen, step, reg_new(gen));
        return emit(gen, step, ins);
    case SL_CEL_LOOP_ONE:
        ins.op = SL_CEL_OP_ONE;
        ins.b = expr_any(gen, step);
        break;
    case SL_CEL_LOOP_LIST:
        ins.op = SL_CEL_OP_PUSH;
        ins.b = expr_any(gen, step);
        break;
    case SL_CEL_LOOP_MAP:
        ins.op = SL_CEL_OP_PUT;
        ins.b = (int16_t)node->regs[0];
        ins.c = expr_any(gen, step);
        break;
    case SL_CEL_LOOP_ENTRIES:
        ins.op = SL_CEL_OP_MERGE;
        ins.b = expr_any(gen, step);
        break;
    }
    (void)emit(gen, step, ins);
    return UINT32_MAX;
}

static int16_t gen_loop(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    bool two = node->vars[1].size > 0;
    int16_t base = reg_new(gen);
    for (int i = 0; i < 3; i++) (void)reg_new(gen);
    (void)expr_to(gen, node->args[0], base);
    node->regs[0] = (uint32_t)base + 2;
    node->regs[1] = (uint32_t)base + 3;
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_LOOP, two, base, base, 0, 0, 0});
    gen_loop_start(gen, node, dst);
    uint32_t head =
        emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_LOOP_NEXT, two, base, 0, 0, 0, 0});
    if (node->count == 3) {
        int32_t top = gen->top;
        struct sl_cel_ins ins = {SL_CEL_OP_IF, .imm = head};
        ins.b = expr_any(gen, node->args[2]);
        (void)emit(gen, node->args[2], ins);
        gen->top = top;
    }
    uint32_t leave = gen_loop_step(gen, node, dst, head);
    if (gen->error != 0) return dst;
    ((struct sl_cel_ins *)gen->code.items)[head].imm2 = here(gen) - head;
    patch(gen, head);
    if (leave != UINT32_MAX) {
        patch(gen, leave);
        (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_LOGIC_END, .a = dst});
    }
    if (node->op == SL_CEL_LOOP_ONE) {
        (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_ONE_END, .a = dst});
    }
    return dst;
}

/* ------------------------------------------------------------------------------------------ */
/* Bindings                                                                                     */

/* Keep a value, or why there is none, in `reg`. Returns true if it may be a failure. */
static bool gen_keep(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t reg)
{
    int16_t at = expr_kept(gen, node, reg);
    if (at == reg) return true;
    (void)emit(gen, node, (struct sl_cel_ins){SL_CEL_OP_MOVE, .a = reg, .b = at});
    return false;
}

/* The body's value, out of the registers that end here. */
static int16_t gen_body(struct sl_cel_gen *gen, struct sl_cel_node *body, int16_t dst, int32_t top)
{
    int16_t at = expr(gen, body, dst);
    if (at == dst || at < top) return at;
    (void)emit(gen, body, (struct sl_cel_ins){SL_CEL_OP_MOVE, .a = dst, .b = at});
    return dst;
}

static int16_t gen_bind(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    int32_t top = gen->top;
    int16_t reg = reg_new(gen);
    node->rest = gen_keep(gen, node->args[0], reg);
    node->regs[0] = (uint32_t)reg;
    return gen_body(gen, node->args[1], dst, top);
}

static int16_t gen_block(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    int32_t top = gen->top;
    uint32_t slots = node->count - 1;
    for (uint32_t i = 0; i < slots; i++) {
        int16_t reg = reg_new(gen);
        int32_t inner = gen->top;
        uint32_t kept = gen_keep(gen, node->args[i], reg) ? MAY_FAIL : 0;
        gen->top = inner;
        node->args[i]->regs[1] = (uint32_t)reg | kept;
    }
    return gen_body(gen, node->args[slots], dst, top);
}

static int16_t gen_slot(struct sl_cel_gen *gen, const struct sl_cel_node *node, int16_t dst)
{
    uint32_t reg = node->binder->args[node->index]->regs[1];
    if ((reg & MAY_FAIL) == 0) return (int16_t)reg;
    return use(gen, node, (int16_t)(reg & ~MAY_FAIL), (struct sl_slice){NULL, 0}, dst);
}

static int16_t gen_kind(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    switch ((enum sl_cel_node_kind)node->kind) {
    case SL_CEL_N_LITERAL: return constant(gen, node->literal);
    case SL_CEL_N_IDENT:
    case SL_CEL_N_STRUCT: return gen_name(gen, node, dst);
    case SL_CEL_N_SELECT: return gen_select(gen, node, dst);
    case SL_CEL_N_CALL: return gen_call(gen, node, dst);
    case SL_CEL_N_LIST: return gen_list(gen, node, dst);
    case SL_CEL_N_MAP: return gen_map(gen, node, dst);
    case SL_CEL_N_AND:
    case SL_CEL_N_OR: return gen_logic(gen, node, dst);
    case SL_CEL_N_COND: return gen_cond(gen, node, dst);
    case SL_CEL_N_LOOP: return gen_loop(gen, node, dst);
    case SL_CEL_N_BIND: return gen_bind(gen, node, dst);
    case SL_CEL_N_BLOCK: return gen_block(gen, node, dst);
    case SL_CEL_N_SLOT: return gen_slot(gen, node, dst);
    }
    sl_unreachable();
}

static int16_t expr(struct sl_cel_gen *gen, struct sl_cel_node *node, int16_t dst)
{
    if (gen->error != 0) return dst;
    int32_t top = gen->top;
    int16_t at = gen_kind(gen, node, dst);
    gen->top = top;
    return at;
}

/* Mark the maps behind which nothing is done but to return them. */
static void mark_results(const struct sl_cel_gen *gen)
{
    struct sl_cel_ins *code = gen->code.items;
    for (uint32_t i = 0; i < gen->code.count; i++) {
        if (code[i].op != SL_CEL_OP_RECORD) continue;
        uint32_t at = i + 1;
        while (code[at].op == SL_CEL_OP_JUMP && code[at].imm > at) at = code[at].imm;
        code[i].flag = code[at].op == SL_CEL_OP_RETURN && code[at].b == code[i].a;
    }
}

void sl_cel_gen_root(struct sl_cel_gen *gen, struct sl_cel_node *root)
{
    sl_assert(gen->arena != NULL);
    int16_t at = expr(gen, root, reg_new(gen));
    (void)emit(gen, root, (struct sl_cel_ins){SL_CEL_OP_RETURN, .b = at});
    if (gen->error == 0) mark_results(gen);
}

void sl_cel_gen_finish(const struct sl_cel_gen *gen, struct sl_cel_program *program)
{
    program->code = gen->code.items;
    program->code_count = gen->code.count;
    program->offsets = gen->offsets.items;
    program->keys = gen->keys.items;
    program->keys_count = gen->keys.count;
    program->handlers = gen->handlers.items;
    program->handlers_count = gen->handlers.count;
    program->targets = gen->targets.items;
    program->operands = gen->operands.items;
    program->patterns = gen->patterns.items;
    program->patterns_count = gen->patterns.count;
    program->used = gen->used.items;
    program->used_count = gen->used.count;
    program->consts = gen->consts.items;
    program->consts_count = gen->consts.count;
    program->regs_count = (uint32_t)gen->regs_count;
    program->terms = gen->terms.items;
    program->terms_count = gen->terms.count;
    program->entry = gen->entry;
}

int sl_cel_generate(struct sl_cel_program *program, struct sl_cel_node *root,
                    const struct sl_cel_options *options)
{
    sl_assert(program != NULL);
    sl_assert(root != NULL);
    sl_cel_fold(&program->arena, options, root);
    struct sl_cel_gen gen = {
        .arena = &program->arena, .options = options, .vars_count = program->vars_count};
    sl_cel_gen_root(&gen, root);
    sl_cel_predicate_gen(&gen, root);
    if (gen.error != 0) return gen.error;
    sl_cel_gen_finish(&gen, program);
    struct sl_cel_cost cost;
    sl_cel_cost_bound(root, &cost);
    program->cost_bound = cost.bound < program->cost_max ? cost.bound : program->cost_max;
    if (cost.why != NULL) {
        program->cost_offset = cost.why->offset;
        program->cost_name = cost.why->name;
    }
    return 0;
}
