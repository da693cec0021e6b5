/* SPDX-License-Identifier: MIT */
/* The code generator's state; see generate.c and fold.c. */
#pragma once

#include "nodes/script/cel/ast.h"
#include "nodes/script/cel/program.h"

/* A growing table in the arena. */
struct sl_cel_table {
    void *items;
    uint32_t count;
    uint32_t cap;
};

struct sl_cel_gen {
    struct sl_cel_arena *arena;
    const struct sl_cel_options *options;
    uint32_t vars_count;
    struct sl_cel_table code;
    struct sl_cel_table offsets;
    struct sl_cel_table keys;
    struct sl_cel_table handlers;
    struct sl_cel_table targets;
    struct sl_cel_table operands;
    struct sl_cel_table patterns;
    struct sl_cel_table consts;
    struct sl_cel_table used;  /* variables that are read */
    struct sl_cel_table terms; /* of the predicate */
    int32_t entry;             /* its first term */
    int32_t top;               /* first free register */
    int32_t regs_count;
    int error; /* 0, -ENOMEM, -E2BIG; sticky */
};

/* Emit the code of a whole tree and its RETURN. */
void sl_cel_gen_root(struct sl_cel_gen *gen, struct sl_cel_node *root);

/* A new item of a table, not yet filled; after an error a place that takes it. */
void *sl_cel_gen_push(struct sl_cel_gen *gen, struct sl_cel_table *table, size_t item_size);

/* A new key; returns its number. The second form replaces it. */
uint32_t sl_cel_gen_key(struct sl_cel_gen *gen, struct sl_slice name, uint32_t offset);
void sl_cel_gen_key_set(struct sl_cel_gen *gen, uint32_t number, struct sl_slice name,
                        uint32_t offset);

/* The number of a constant regular expression; the same text gives the same. */
uint32_t sl_cel_gen_pattern(struct sl_cel_gen *gen, struct sl_slice text);

/* If the node reads one key known now (a.b, a["b"]): that key. */
bool sl_cel_gen_is_step(const struct sl_cel_node *node, struct sl_slice *ret_key);

/* Hand the tables to a program. */
void sl_cel_gen_finish(const struct sl_cel_gen *gen, struct sl_cel_program *program);

/* Replace what can be computed now by literals; the arena is the program's. */
void sl_cel_fold(struct sl_cel_arena *arena, const struct sl_cel_options *options,
                 struct sl_cel_node *node);

/* What is known of the cost of a run before it: see cost.c. */
struct sl_cel_cost {
    uint64_t bound;                /* UINT64_MAX: none, because of `why` */
    const struct sl_cel_node *why; /* the node whose work grows with what comes from outside */
};

/* The most that one run of an expression can cost. */
void sl_cel_cost_bound(const struct sl_cel_node *root, struct sl_cel_cost *ret_cost);
