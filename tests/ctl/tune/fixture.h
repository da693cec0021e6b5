/* SPDX-License-Identifier: MIT */
/* Machines as trees of files below a fresh folder, and what a plan says of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ctl/tune/propose.h"

struct tree {
    char dir[128];
};

/* A fresh empty folder (in memory where there is a file system for that), and its end. */
void tree_init(struct tree *tree);
void tree_fini(struct tree *tree);

/* Write a file below it, with its folders; the text is a format. */
void tree_put(const struct tree *tree, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What a file below it holds, or NULL; to be freed. */
char *tree_get(const struct tree *tree, const char *path);

/*
 * All files below `dir` in order, each as "path mode size bytes", in one text; to be freed. What
 * begins with `skip` (may be NULL) is left out. Two trees are the same if their texts are.
 */
char *tree_text(const char *dir, const char *skip);

/* ---- machines -------------------------------------------------------------------------------- */

/* Two nodes of 16 cores with two siblings each (cpu N and N + 32), a 32-queue device on node 1. */
void machine_numa(const struct tree *tree);

/* 8 cores of the host, 2.5 cores' quota, 512 MiB, /proc/sys read-only, not even raised rights. */
void machine_container(const struct tree *tree);

/* 4 fast cores with siblings and 4 slow ones; powersave; a battery in use; THP always. */
void machine_laptop(const struct tree *tree);

/* One core, a virtual machine, time stolen. */
void machine_small(const struct tree *tree);

/* Kernel 5.4, a user without rights. */
void machine_old(const struct tree *tree);

/* Four cores, kernel 6.6 with io_uring switched off; one network queue; irqbalance. */
void machine_disabled(const struct tree *tree);

extern const struct machine_named {
    const char *name;
    void (*make)(const struct tree *tree);
} machines[];
extern const size_t machines_count;

/* The defaults of `start`, as a plan asks for them. */
const char *option_default(void *ctx, const char *key);

/*
 * "key: now -> want [where, may]" a line, proposals in order, then "left RULE" lines; to be freed.
 */
char *plan_text(const struct sl_tune_plan *plan);
