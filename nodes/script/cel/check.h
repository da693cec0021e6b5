/* SPDX-License-Identifier: MIT */
/*
 * The checker: it finds out what each name means and which type each expression has, and refuses
 * what is certain to fail. Where a type is not known (every payload), it is dyn and the evaluator
 * decides.
 *
 * Two rules are milder than the reference: numbers of different types may be compared, since that
 * is defined at run time, and the branches of a condition may differ (the result is dyn).
 */
#pragma once

#include "nodes/script/cel/ast.h"
#include "nodes/script/cel/cel.h"

struct sl_cel_check {
    struct sl_cel_arena *arena;
    const struct sl_cel_options *options;
    struct sl_cel_subst subst;
    struct sl_cel_scope *scope;
    struct sl_cel_node *block; /* being filled: slots below block->regs[0] are known */
    int error;                 /* 0, -EINVAL or -ENOMEM; sticky */
    uint32_t error_offset;
    char error_text[512];
    char error_hint[256];
};

/*
 * Check a tree: meanings and types are written into its nodes.
 *
 * check    arena and options set, the rest zero
 * returns  the type of the whole, without variables; NULL with check->error set
 */
const struct sl_cel_type *sl_cel_check(struct sl_cel_check *check, struct sl_cel_node *root);
