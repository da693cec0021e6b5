/* SPDX-License-Identifier: MIT */
/*
 * JavaScript and TypeScript, run by JavaScriptCore.
 *
 *   control thread: text → esbuild (types stripped, async lowered, module → function) → syntax check
 *   shard:          one virtual machine, one frozen realm; a script is a function in it
 *   call:           cells → wire → [ module runs afresh → its function → result ] → wire → cells
 *
 * Everything in brackets is one entry into the machine under a time limit and a memory cap. A module
 * runs again for each call and everything shared is frozen, so nothing of one call is seen by the
 * next. No I/O; strings are not evaluated unless the specification allows it.
 *
 * Values: null, booleans, strings and maps are what one expects. Int beyond 2^53 ↔ BigInt; a number
 * without fraction within ±(2^53-1) comes back as Int, every other number as Float. Binary ↔
 * Uint8Array, Time ↔ Date (milliseconds), Duration → number of milliseconds. Error → an Error with
 * `.error()`, `.message`, `.code`, `.data`, `.cause`, `.status`; thrown values → Error. Map and Set
 * come back as Map and List; undefined as null, in objects not at all. Keys that look like array
 * indexes come first, as the language wants it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nodes/script/engine.h"

extern const struct sl_engine sl_engine_js; /* javascript, js */
extern const struct sl_engine sl_engine_ts; /* typescript, ts */

/*
 * Where esbuild is and where its results are kept between starts; both are copied. Best called once
 * before any thread is started, because it also sets an option of the library in the environment.
 *
 * esbuild    path, or a name looked for in PATH; NULL: "esbuild"
 * cache_dir  an existing folder, or NULL: results are kept in memory only
 */
void sl_js_setup(const char *esbuild, const char *cache_dir);

/*
 * The machine's own threads (compiler, collector) come and go, and each inherits the affinity of the
 * shard that woke it. Let them run on every processor again. Cheap; call it about once a second from
 * a control thread.
 *
 * returns  threads whose affinity was changed
 */
uint32_t sl_js_threads_unpin(void);

/* Machines that were made ahead and that no shard has taken yet. Any thread. */
uint32_t sl_js_machines_waiting(bool allow_eval);

/* Counters of one shard. */
struct sl_js_stats {
    uint64_t calls;
    uint64_t deadlines;    /* ended by the deadline */
    uint64_t memory_stops; /* ended by the memory cap */
    uint64_t stalls;       /* calls that ended more than SL_JS_STALL_MS after their deadline */
    uint64_t stall_ns_max; /* the longest of them, beyond the deadline */
    uint64_t shapes;       /* object shapes compiled */
};

/* `shard_state` as handed to attach; its thread. */
void sl_js_stats_get(const void *shard_state, struct sl_js_stats *ret_stats);
