/* SPDX-License-Identifier: MIT */
/*
 * What happened: history, differences between revisions, rollback, retention.
 *
 * Retention keeps the newest revisions up to a count and an age (default 10,000 and 30 days;
 * the newest is always kept). What was dropped answers SL_REGISTRY_GONE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ctl/registry/registry.h"

/* One object that a revision changed. */
struct sl_history_change {
    enum sl_change_effect effect;
    enum sl_object_type type;
    char id[SL_ID_SIZE];
    char *namespace;
    char *kind;
    char *name;
};

struct sl_history_entry {
    uint64_t revision;
    int64_t wall_ns; /* since 1970-01-01T00:00:00Z */
    char *author;
    char *message;
    struct sl_history_change *changes; /* array of changes_count; of the asked namespace only */
    size_t changes_count;
};

struct sl_history {
    struct sl_history_entry *entries; /* array of `count`, newest first */
    size_t count;
    uint64_t oldest; /* oldest revision that can be read */
    uint64_t newest;
};

/*
 * Revisions from `from` (SL_REVISION_NEWEST: the newest) downwards, at most `limit`.
 *
 * namespace    only revisions that changed this namespace; NULL: all
 * ret_history  owned by the caller
 * returns      0 or -Exxx
 */
int sl_registry_history(struct sl_registry *registry, const char *namespace, uint64_t from,
                        size_t limit, struct sl_history *ret_history);

/* Free what sl_registry_history filled; the struct is empty afterwards. */
void sl_history_fini(struct sl_history *history);

/* A place where two documents differ. */
struct sl_diff_field {
    char *path;             /* "ports.out[0].name"; keys that are not words are quoted: a["x y"] */
    struct sl_value before; /* cell == NULL: added */
    struct sl_value after;  /* cell == NULL: removed */
};

struct sl_diff_item {
    enum sl_change_effect effect; /* CREATED, UPDATED or DELETED; never NONE */
    struct sl_object *before;     /* NULL: created */
    struct sl_object *after;      /* NULL: deleted */
    struct sl_diff_field *fields; /* array of fields_count; values borrowed from before and after */
    size_t fields_count;          /* only for UPDATED; 0 for a secret whose value changed */
};

struct sl_diff {
    struct sl_diff_item *items; /* array of `count`, in order of creation */
    size_t count;
    uint64_t from; /* the revisions that were compared */
    uint64_t to;
};

/*
 * Compare two revisions; each may be SL_REVISION_NEWEST, and 0 is the empty registry.
 *
 * namespace  NULL: all
 * returns    0, SL_REGISTRY_GONE, or -Exxx; `ret_diff` is owned by the caller
 */
int sl_registry_diff(struct sl_registry *registry, const char *namespace, uint64_t from,
                     uint64_t to, struct sl_diff *ret_diff);

/* The same for the result of a change set (a dry run's, say). Takes the objects out of `commit`. */
int sl_commit_diff(struct sl_commit *commit, struct sl_diff *ret_diff);

/* Free what a diff function filled; the struct is empty afterwards. */
void sl_diff_fini(struct sl_diff *diff);

/*
 * Bring the specs of one namespace back to what they were at `revision`: a new revision on top,
 * validated like any change. Secrets stay as they are.
 *
 * author, message  may be NULL; the message defaults to "rollback to N"
 * returns          0 (ret_commit->changed == 0: nothing to do), SL_REGISTRY_GONE,
 *                  SL_REGISTRY_REFUSED, or -Exxx
 */
int sl_registry_rollback(struct sl_registry *registry, const char *namespace, uint64_t revision,
                         const char *author, const char *message, struct sl_commit *ret_commit,
                         struct sl_diags *diags);
