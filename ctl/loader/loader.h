/* SPDX-License-Identifier: MIT */
/*
 * The loader of one namespace: follows the registry, compiles what changed, publishes programs.
 *
 *   registry ── revision ──► objects ──► units ──► active ones ──► program ──► shards
 *                              │           │ fails: the last good unit stays, the reason is kept
 *                              └ gone: its unit goes
 *
 * A symbol is active when it was compiled and everything downstream of it is active. What is not
 * active says why (sl_loader_symbols). A listener that became inactive stays bound and answers 503.
 *
 * Changes that come while a publication is under way are taken together after it.
 *
 * Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"

struct sl_loader;
struct sl_registry;
struct sl_swap;
struct sl_view;

enum sl_symbol_state {
    SL_SYMBOL_ACTIVE,
    SL_SYMBOL_LAST_GOOD, /* active in an older version: the newest one cannot run here */
    SL_SYMBOL_INACTIVE,
};

/* What is to be known of one spec; borrowed until the loader works again. */
struct sl_symbol_info {
    const char *id;
    const char *name; /* or "" */
    const char *kind;
    const char *file; /* or "" */
    struct sl_pos pos;
    uint64_t revision; /* of the version in the registry */
    enum sl_symbol_state state;
    const struct sl_diag *reason; /* NULL if active */
};

/* Told after each publication that ended: revision, and 0 or why it was refused. */
typedef void sl_loader_published_fn(void *ctx, uint64_t revision, int result,
                                    const struct sl_diag *diag);

struct sl_loader_config {
    struct sl_registry *registry;
    struct sl_swap *swap;
    const char *name_space;
    struct sl_value environment; /* Map of names to values; counted by the loader */
    uint32_t shards_count;
    sl_loader_published_fn *published; /* may be NULL */
    /*
     * Asked on the control thread before a source with this key is opened anew: 0, or -EXXX with
     * reterr and the spec keeps what it had. May be NULL.
     */
    int (*claim)(void *ctx, const char *key, struct sl_diag *reterr);
    void *ctx;
};

/* NULL for no memory. */
struct sl_loader *sl_loader_new(const struct sl_loader_config *cfg);

/* No publication is under way; programs may still run. NULL is fine; returns NULL. */
struct sl_loader *sl_loader_free(struct sl_loader *loader);

/*
 * Look at the registry; if it has a newer revision than the one loaded, load and publish it.
 * Harmless at any time. 0, or -EXXX when the registry cannot be read.
 */
int sl_loader_refresh(struct sl_loader *loader);

/* True when nothing is under way and the newest revision was taken up. */
bool sl_loader_is_settled(const struct sl_loader *loader);

/* The revision that was published last; 0 before. */
uint64_t sl_loader_revision(const struct sl_loader *loader);

/* The symbol of number `index`, 0 <= index < sl_loader_symbols_count. */
size_t sl_loader_symbols_count(const struct sl_loader *loader);
struct sl_symbol_info sl_loader_symbol(const struct sl_loader *loader, size_t index);

/*
 * The registry's validator: schema, languages and edges' form of the specs that a change set
 * touches. Bindings and missing targets are the owning runtime's business. For
 * sl_registry_set_validator; ctx is not used.
 */
int sl_loader_validate(void *ctx, struct sl_view *view, const char *name_space,
                       struct sl_diags *diags);
