/* SPDX-License-Identifier: MIT */
/*
 * A change on its way into the store: what the caller gave, checked and taken apart (draft_parse,
 * outside the transaction), then what the store has of it (apply.c, inside). Only ctl/registry
 * includes it.
 */
#pragma once

#include "ctl/registry/internal.h"

struct draft {
    const struct sl_change *change;

    /* From the change; borrowed from it. */
    bool has_id;
    struct id given_id;
    struct sl_slice given_namespace; /* empty: none */
    struct sl_slice name;
    struct sl_slice kind;
    struct sl_value secret; /* value to seal; cell == NULL: keep the old one */

    /* From the store, anew for each run of the transaction. */
    struct id id;
    struct sl_slice namespace;
    struct sl_object *before; /* owned until it moves into the commit item; NULL: new */
    uint64_t previous;        /* revision of the version before, deleted ones too; 0: none */
    uint64_t created_revision;
    uint32_t ordinal;
};

/*
 * Take a change apart.
 * returns  0, or SL_REGISTRY_REFUSED with the reasons in `diags`
 */
int draft_parse(const struct sl_change *change, struct draft *ret_draft, struct sl_diags *diags);

/*
 * The canonical document of a draft whose id is known, sealed.
 * returns  0, -E2BIG or -ENOMEM; free() the data
 */
int draft_document(const struct draft *draft, uint8_t **ret_data, size_t *ret_size);

/* Add a diagnostic that stands at the change's origin. */
void draft_diag(const struct draft *draft, struct sl_diags *diags, const char *code,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
