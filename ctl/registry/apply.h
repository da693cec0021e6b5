/* SPDX-License-Identifier: MIT */
/*
 * A change set on its way through its write transaction, shared by the three files that do it:
 *
 *     apply.c           runs the transaction:
 *       resolve           apply_resolve.c: what each change means: id, version before, place in lists
 *       store             apply_store.c: versions and indexes, or "nothing changes"
 *       log, validate     the revision, the head, the retention; the loader's word
 *
 * Any outcome but 0 drops the transaction, so a refused change leaves nothing behind. The
 * transaction may run again after the map grew; apply_reset makes each run the first.
 */
#pragma once

#include "ctl/registry/draft.h"

struct apply {
    struct sl_registry *registry;
    const struct sl_change_set *set;
    struct draft *drafts;         /* array of set->count */
    struct sl_commit_item *items; /* array of set->count */
    struct pack log;              /* the changes of the revision record */
    uint32_t changed;
    size_t failed_index;
    struct head head; /* with the revision about to be made */
    struct sl_kv_txn *txn;
    struct sl_diags *diags;
    size_t diags_count; /* what `diags` held before this run */
    size_t errors_count;
};

/* Note which change is at fault; returns `outcome`. */
int apply_refuse(struct apply *apply, size_t index, int outcome);

/* The id that a name has now in the draft's namespace. 0, SL_KV_NOT_FOUND or -Exxx. */
int apply_name_get(struct apply *apply, const struct draft *draft, struct sl_slice name,
                   struct id *ret_id);

/* Delete a key that may be missing. 0 or -Exxx. */
int apply_key_drop(struct apply *apply, struct key key);

/* Resolve all changes of the set. 0, an outcome, or -Exxx. */
int apply_resolve(struct apply *apply);

/* Store or delete what change `index` says. 0, an outcome, or -Exxx. */
int apply_store(struct apply *apply, size_t index);
