/* SPDX-License-Identifier: MIT */
/*
 * The loader's book: one entry for each spec of the namespace, with the unit that runs and the one
 * that is about to. Inside this folder only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/loader/loader.h"
#include "ctl/loader/unit.h"
#include "ctl/registry/registry.h"

struct loader_entry {
    char id[SL_ID_SIZE];
    char *name;
    char *kind;
    char *file;
    struct sl_pos pos;
    size_t order;      /* among the objects */
    uint64_t revision; /* of the version in the registry that was looked at */
    bool seen;         /* is in the registry */
    bool has_secrets;  /* its env names secrets */

    struct sl_unit *unit;   /* that runs, or NULL */
    uint64_t unit_revision; /* of the version it was built from */
    bool unit_active;       /* it is in the program that runs */

    struct sl_unit *next; /* that is being published instead, or NULL: `unit` stays */
    uint64_t next_revision;
    bool next_is_old; /* it is the last good version of a spec whose newest one fails */
    bool next_failed; /* the newest version could not be built */

    bool active;     /* in the program being linked */
    bool is_blocked; /* it is not, by no fault of its own: an edge leads nowhere */
    bool logged;     /* the reason was told */
    bool has_reason;
    struct sl_diag reason;
};

struct loader_entries {
    struct loader_entry **items; /* array of count, in the objects' order */
    size_t count;
    size_t cap;
};

void loader_entries_fini(struct loader_entries *entries);

/* Nothing was seen yet. */
void loader_entries_begin(struct loader_entries *entries);

/* The entry of an id, made if it is not there; NULL for no memory. */
struct loader_entry *loader_entries_get(struct loader_entries *entries, const char *id);
void loader_entries_sort(struct loader_entries *entries);

/* Decide who is active: built, and all that its edges lead to is active. Fills the reasons. */
void loader_entries_activate(struct loader_entries *entries);

/* Link the active ones. 0 or -ENOMEM. */
int loader_entries_link(struct loader_entries *entries, const char *name_space, uint64_t revision,
                        uint32_t shards_count, struct sl_program **ret_program);

/* The program was published: what was next is now; what is gone goes. */
void loader_entries_commit(struct loader_entries *entries);

/* It was not: forget what was next. `diag` may be NULL. */
void loader_entries_abort(struct loader_entries *entries, const struct sl_diag *diag);

/* Tell about entries that are not active and were not told about, and those that are active again. */
void loader_entries_log(struct loader_entries *entries, const char *name_space);

/* Name, kind and place from an object. 0 or -ENOMEM. */
int loader_entry_describe(struct loader_entry *entry, const struct sl_object *object);
void loader_entry_reason(struct loader_entry *entry, const struct sl_diag *diag);

/* A source whose unit is new in this publication. */
bool loader_entry_is_changed_source(const struct loader_entry *entry);
/* Publish without the new unit. */
void loader_entry_withdraw(struct loader_entry *entry, const struct sl_diag *diag);
struct sl_symbol_info loader_entry_info(const struct loader_entry *entry);

/*
 * The spec of a stored object, with positions in the author's file where its source is known.
 * 0, -EINVAL with errors in diags, -ENOMEM.
 */
int loader_object_spec(const struct sl_object *object, struct sl_spec **ret_spec,
                       struct sl_diags *diags);
