/* SPDX-License-Identifier: MIT */
/*
 * Boot: components with declared dependencies, loaded level by level, started, and stopped in
 * reverse.
 *
 *   level 0   registry   kinds            loaded side by side, a thread each
 *   level 1   shards                      … each level waits for the one before
 *   level 2   loader     admin
 *             ── seal: the context's pages become read-only, later writes are a bug ──
 *   start in load order · stop in reverse order, each with its own deadline
 *
 * A duplicate name, a missing dependency and a cycle are refused by name before anything is
 * loaded. A component whose load or start fails stops the boot; what was loaded is stopped again.
 *
 * Source: the layered runtime's boot sequence (load, seal, start, reverse stop).
 */
#pragma once

#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/diag.h"

struct sl_boot;

enum { SL_BOOT_COMPONENTS_MAX = 64, SL_BOOT_NEEDS_MAX = 16, SL_BOOT_ENTRIES_MAX = 128 };

struct sl_component {
    const char *name;
    const char *const *needs; /* NULL-terminated names, or NULL */
    void *ctx;
    /*
     * Initialise and attach to the context (sl_boot_put). Runs on a thread of its own, beside the
     * others of its level. 0 or -EXXX with reterr.
     */
    int (*load)(struct sl_boot *boot, void *ctx, struct sl_diag *reterr);
    /* Begin to work; the context is sealed. The booting thread. May be NULL. */
    int (*start)(struct sl_boot *boot, void *ctx, struct sl_diag *reterr);
    /*
     * Undo start (if it was started) and load. Must be back at `deadline_ns`: then -ETIMEDOUT, and
     * whatever was left behind is reported by name. The booting thread. May be NULL.
     */
    int (*stop)(struct sl_boot *boot, void *ctx, uint64_t deadline_ns);
    uint32_t stop_ms; /* how long stop may take; 0: 10 s */
};

/* NULL for no memory. */
struct sl_boot *sl_boot_new(struct sl_clock *clock);

/* Everything was stopped. NULL is fine; returns NULL. */
struct sl_boot *sl_boot_free(struct sl_boot *boot);

/*
 * Add a component (borrowed). Before sl_boot_load.
 * returns  0; -EEXIST for a name that is there, -E2BIG, with reterr
 */
int sl_boot_add(struct sl_boot *boot, const struct sl_component *component, struct sl_diag *reterr);

/* Order by dependencies, load all levels, seal. 0 or -EXXX with reterr (loaded ones are stopped). */
int sl_boot_load(struct sl_boot *boot, struct sl_diag *reterr);

/* Start all in load order. 0 or -EXXX with reterr (all are stopped). */
int sl_boot_start(struct sl_boot *boot, struct sl_diag *reterr);

/*
 * Stop all in reverse order of loading. Every component is asked, also after one was late.
 *
 * reterr   names the first that was late or failed; may be NULL
 * returns  0 or the first error
 */
int sl_boot_stop(struct sl_boot *boot, struct sl_diag *reterr);

/* The level of a component after sl_boot_load (0 has no needs), or -1. For tests and status. */
int sl_boot_level(const struct sl_boot *boot, const char *name);

/*
 * Attach `value` to the context under a name (borrowed, lives as long as the boot). From load
 * functions only, any of their threads. A name that is there, or a sealed context, is a bug.
 */
void sl_boot_put(struct sl_boot *boot, const char *name, void *value);

/* What is attached under a name, or NULL. Any thread; without a lock once sealed. */
void *sl_boot_get(const struct sl_boot *boot, const char *name);
