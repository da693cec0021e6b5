/* SPDX-License-Identifier: MIT */
/*
 * A compiled program: flat code for a register machine.
 *
 *   frame   [ constant k … constant 0 | variable v … variable 0 | register 0, 1, 2 … ]
 *           negative operands                                    ↑ 0 and up
 *
 * An operand is a signed number: registers from 0 up, the program's variables and constants below
 * (-1 is variable 0), so an instruction reads all three alike. The constants stand in the frame of
 * each instance from the beginning.
 *
 * An instruction that fails looks for the handler whose range holds it (inner ones first), leaves
 * the failure in the handler's register and goes on there: that is how && || all() exists() absorb
 * errors and how bind() keeps them until they are used. Without a handler the run fails.
 */
#pragma once

#include "nodes/script/cel/arena.h"
#include "nodes/script/cel/cel.h"
#include "nodes/script/cel/function.h"
#include "nodes/script/cel/type.h"
#include "nodes/script/cel/value.h"

enum sl_cel_op {
    SL_CEL_OP_RETURN,  /* b */
    SL_CEL_OP_MOVE,    /* a = b */
    SL_CEL_OP_USE,     /* a = b; fails if b is a kept failure or not bound (key imm: its name) */
    SL_CEL_OP_UNKNOWN, /* fails: nothing is known of name key imm */
    SL_CEL_OP_JUMP,    /* to imm */

    SL_CEL_OP_KEY,        /* a = unpacked name key imm of b; else c, if that is no null constant */
    SL_CEL_OP_PATH,       /* a = b.key.key…: imm2 keys from imm */
    SL_CEL_OP_PATH_EQ,    /* a = b.key… == c (flag: !=); c is a constant scalar */
    SL_CEL_OP_PATH_LT,    /* a = b.key… < c; flag: enum sl_cel_relation */
    SL_CEL_OP_SELECT,     /* a = b.key imm */
    SL_CEL_OP_SELECT_OPT, /* a = b.?key */
    SL_CEL_OP_HAS,        /* a = has(b.key) */
    SL_CEL_OP_INDEX,      /* a = b[c] */
    SL_CEL_OP_INDEX_OPT,  /* a = b[?c] */

    SL_CEL_OP_EQ, /* a = b == c */
    SL_CEL_OP_NE,
    SL_CEL_OP_COMPARE, /* a = b < c; flag: enum sl_cel_relation */
    SL_CEL_OP_IN,
    SL_CEL_OP_ADD,
    SL_CEL_OP_SUBTRACT,
    SL_CEL_OP_MULTIPLY,
    SL_CEL_OP_DIVIDE,
    SL_CEL_OP_MODULO,
    SL_CEL_OP_NEGATE, /* a = -b */
    SL_CEL_OP_NOT,

    SL_CEL_OP_IF,       /* b false: to imm; not bool: fails */
    SL_CEL_OP_AND,      /* a false: to imm; not bool: fails */
    SL_CEL_OP_AND_NEXT, /* a true or kept failure, b next operand; false: a = false, to imm */
    SL_CEL_OP_OR,
    SL_CEL_OP_OR_NEXT,
    SL_CEL_OP_LOGIC_END, /* fails if a is a kept failure */

    SL_CEL_OP_LIST, /* a = new list for imm elements */
    SL_CEL_OP_PUSH, /* list a gets b */
    SL_CEL_OP_PUSH_OPT,
    SL_CEL_OP_MAP, /* a = new map for imm pairs */
    SL_CEL_OP_PUT, /* map a gets b: c */
    SL_CEL_OP_PUT_OPT,
    SL_CEL_OP_MERGE, /* map a gets the pairs of map b */
    /*
     * a = map of c pairs: keys from imm, all different, values in the operands from imm2
     * (flag: it is the result, and nothing is done with it)
     */
    SL_CEL_OP_RECORD,

    SL_CEL_OP_CALL,  /* a = target imm (flag arguments: operands from imm2) */
    SL_CEL_OP_MATCH, /* a = b.matches(constant expression imm) */

    SL_CEL_OP_LOOP,      /* b must be a list or map; a+1 = position 0; flag: two variables */
    SL_CEL_OP_LOOP_NEXT, /* registers a: range, a+1: position, a+2, a+3: variables; end: to imm */
    SL_CEL_OP_ALL,       /* a: result so far, b: test; decided: to imm */
    SL_CEL_OP_EXISTS,
    SL_CEL_OP_ONE,     /* a: int, counts b */
    SL_CEL_OP_ONE_END, /* a = a == 1 */

    SL_CEL_OP_OR_OPT, /* b optional with a value: a = b (flag: its value), to imm; other kinds fail */
    SL_CEL_OP_NEED_OPT, /* b must be optional */
    SL_CEL_OPS
};

enum sl_cel_relation { SL_CEL_LESS, SL_CEL_LESS_EQUAL, SL_CEL_GREATER, SL_CEL_GREATER_EQUAL };

struct sl_cel_ins {
    uint8_t op;
    uint8_t flag;
    int16_t a;
    int16_t b;
    int16_t c;
    uint32_t imm;
    uint32_t imm2;
};

static_assert(sizeof(struct sl_cel_ins) == 16, "four instructions a line");

struct sl_cel_key {
    const uint8_t *data;
    uint32_t size;
    uint16_t hash;
    uint32_t offset; /* of the source */
    uint64_t head;   /* first word of the cell of such a key, flags 0 */
};

struct sl_cel_handler {
    uint32_t start; /* instructions start … end-1 */
    uint32_t end;
    uint32_t target;
    int16_t reg;
};

/* One overload of a call. */
struct sl_cel_row {
    sl_cel_call_fn *call;
    uint32_t kinds[SL_CEL_CALL_ARGS_MAX];
};

struct sl_cel_target {
    struct sl_slice name;
    const struct sl_cel_row *rows; /* array of rows_count; 0: no such function */
    uint32_t rows_count;
};

/* Where a byte of the source stands in its file. */
struct sl_cel_place {
    uint32_t offset;
    struct sl_pos pos;
};

struct sl_cel_program {
    const struct sl_cel_ins *code;
    const uint32_t *offsets; /* of the source, one per instruction */
    const struct sl_cel_key *keys;
    const struct sl_cel_handler *handlers;
    const struct sl_cel_target *targets;
    const int16_t *operands;
    const struct sl_slice *patterns; /* constant regular expressions */
    const struct sl_cel_val *consts;
    const struct sl_cel_term *terms; /* see predicate.h */
    uint32_t code_count;
    uint32_t keys_count;
    uint32_t handlers_count;
    uint32_t consts_count;
    uint32_t vars_count;
    uint32_t used_count;
    uint32_t regs_count;
    uint32_t patterns_count;
    uint32_t terms_count; /* 0: not a predicate */
    int32_t entry;        /* its first term */
    bool unpack;
    uint64_t cost_bound;       /* of a run; cost_max: none is known */
    uint32_t cost_offset;      /* of the source: what makes the cost unbounded … */
    struct sl_slice cost_name; /* … and its name; empty: there is a bound */
    uint64_t cost_max;
    size_t memory_max;
    uint32_t timeout_ms;
    const struct sl_cel_type *type;
    const uint32_t *used;   /* variables that the code reads: array of used_count */
    struct sl_slice source; /* a copy, for positions */
    struct sl_pos pos;      /* of its first byte */
    uint32_t indent;
    const struct sl_cel_place *places; /* array of places_count by offset: what pos cannot say */
    uint32_t places_count;
    char *file;
    struct sl_cel_arena arena; /* holds all of it */
};

/* The place in its file of a byte of the source: of an instruction or key. */
struct sl_pos sl_cel_program_pos(const struct sl_cel_program *program, uint32_t offset);

/*
 * Compile a checked tree into `program`, whose arena, limits and variables are set.
 * returns  0, -ENOMEM, or -E2BIG: too many registers, constants or instructions
 */
struct sl_cel_node;
int sl_cel_generate(struct sl_cel_program *program, struct sl_cel_node *root,
                    const struct sl_cel_options *options);
