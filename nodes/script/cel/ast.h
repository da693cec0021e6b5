/* SPDX-License-Identifier: MIT */
/*
 * The syntax tree of a CEL expression, in the arena of its program. The parser makes it with the
 * macros expanded, the checker adds types and what each name means, the compiler reads it once.
 *
 * Its depth is bounded by SL_CEL_DEPTH_MAX (the parser refuses more), so the walks over it may
 * recurse. A chain of `||` or `&&` is one node with many operands and costs no depth.
 */
#pragma once

#include "core/base/diag.h"
#include "nodes/script/cel/arena.h"
#include "nodes/script/cel/type.h"
#include "nodes/script/cel/value.h"

enum sl_cel_node_kind {
    SL_CEL_N_LITERAL, /* literal */
    SL_CEL_N_IDENT,   /* name; SL_CEL_NF_ROOT: with a leading dot */
    SL_CEL_N_SELECT,  /* args[0].name; SL_CEL_NF_TEST: has(); SL_CEL_NF_OPTIONAL: .?name */
    SL_CEL_N_CALL,    /* name(args…); SL_CEL_NF_MEMBER: args[0] is the receiver */
    SL_CEL_N_LIST,    /* args; opt[i]: ?element */
    SL_CEL_N_MAP,     /* args: key, value, key, value …; opt[i]: ?key of pair i */
    SL_CEL_N_STRUCT,  /* name{…}: parsed, never meaningful without protocol buffers */
    SL_CEL_N_AND,     /* args */
    SL_CEL_N_OR,      /* args */
    SL_CEL_N_COND,    /* args[0] ? args[1] : args[2] */
    SL_CEL_N_LOOP,    /* args: range, step[, filter]; vars; op: enum sl_cel_loop */
    SL_CEL_N_BIND,    /* args: init, body; vars[0] */
    SL_CEL_N_BLOCK,   /* args: slot 0 … slot n-1, body */
    SL_CEL_N_SLOT,    /* cel.index(slot) */
};

enum {
    SL_CEL_NF_ROOT = 1,
    SL_CEL_NF_TEST = 2,
    SL_CEL_NF_OPTIONAL = 4,
    SL_CEL_NF_MEMBER = 8,
};

enum sl_cel_loop {
    SL_CEL_LOOP_ALL,
    SL_CEL_LOOP_EXISTS,
    SL_CEL_LOOP_ONE,
    SL_CEL_LOOP_LIST,    /* map, filter, transformList: step goes to a list */
    SL_CEL_LOOP_MAP,     /* transformMap: key: step */
    SL_CEL_LOOP_ENTRIES, /* transformMapEntry: step is a map to merge */
};

/* What a name means; set by the checker. */
enum sl_cel_meaning {
    SL_CEL_M_NONE,        /* nothing known: fails at run time (only without a check) */
    SL_CEL_M_VAR,         /* variable `index` of the program */
    SL_CEL_M_LOCAL,       /* declared by `binder` as its variable `index` */
    SL_CEL_M_TYPE,        /* a type: literal */
    SL_CEL_M_KEY,         /* unpacked: key of the payload */
    SL_CEL_M_GLOBAL_CALL, /* math.abs(x): the receiver was a name; args start at 1 */
};

struct sl_cel_node {
    uint8_t kind;  /* enum sl_cel_node_kind */
    uint8_t flags; /* SL_CEL_NF_* */
    uint8_t op;    /* enum sl_cel_loop */
    uint8_t meaning;
    uint32_t offset; /* of the source, for messages */
    uint32_t depth;  /* 1 for a leaf */
    uint32_t count;  /* of args */
    uint32_t index;  /* of a variable or slot */
    uint32_t rest;   /* SELECT chain that is one name: how many selections it swallowed */
    struct sl_slice name;
    struct sl_cel_node **args;
    uint8_t *opt;            /* array, or NULL: nothing optional */
    struct sl_slice vars[2]; /* names of a binder; vars[1].size 0: one variable */
    struct sl_cel_node *binder;
    const struct sl_cel_type *type;
    struct sl_cel_val literal;
    uint32_t regs[2]; /* of a binder's variables; set by the compiler */
};

/* The state of parsing. */
struct sl_cel_parse {
    struct sl_cel_arena *arena;
    struct sl_slice source;
    bool macros;
    uint32_t nodes_count;
    uint32_t hidden_count; /* names made up by macros */
    int error;             /* 0, -EINVAL or -ENOMEM; sticky */
    uint32_t error_offset;
    char error_text[256];
};

/*
 * Parse a whole expression.
 *
 * parse    arena, source and macros set, the rest zero
 * returns  the root, or NULL with parse->error set
 */
struct sl_cel_node *sl_cel_parse(struct sl_cel_parse *parse);

/* For macros: a new node at an offset; NULL with parse->error set. */
struct sl_cel_node *sl_cel_node_new(struct sl_cel_parse *parse, enum sl_cel_node_kind kind,
                                    uint32_t offset, uint32_t count);

/* For macros: note the first error; returns NULL. */
void *sl_cel_parse_fail(struct sl_cel_parse *parse, uint32_t offset, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* After the args of a node are set: its depth, refused beyond SL_CEL_DEPTH_MAX (then NULL). */
struct sl_cel_node *sl_cel_node_close(struct sl_cel_parse *parse, struct sl_cel_node *node);

/*
 * Expand `node` (a call) if it is a macro.
 * returns  the node to use: `node` itself if it is none; NULL with parse->error set
 */
struct sl_cel_node *sl_cel_macro_expand(struct sl_cel_parse *parse, struct sl_cel_node *node);
