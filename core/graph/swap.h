/* SPDX-License-Identifier: MIT */
/*
 * Publishing programs to shards, RCU-style.
 *
 *   control                                    every shard
 *   publish(program) ── mail: prepare ───────► open the instance, a slice per turn; open sources
 *                    ◄─ mail: prepared ───────
 *   slot = program (release) for all
 *   epoch target      ── mail: sync ─────────► close sources that are no longer named
 *   until the epoch has passed and no process is left on the old program
 *                     ── mail: retire ───────► close the instance, a slice per turn
 *                     ◄─ mail: retired ───────
 *   free(old)
 *
 * A failure while preparing leaves the running program as it is. One publication at a time; the
 * caller keeps what comes meanwhile (the newest wins).
 *
 * All functions belong to the control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/graph/program.h"
#include "core/shard/loop.h"
#include "core/shard/shard.h"

struct sl_swap;

/* How a publication ended: 0, or -EXXX with what went wrong (diag is borrowed). */
typedef void sl_swap_done_fn(void *ctx, int result, const struct sl_diag *diag);

struct sl_swap_stats {
    uint64_t published;
    uint64_t refused;
    uint64_t freed;
    uint64_t alive; /* programs that exist: the current one and those not yet freed */
};

/*
 * Make a publisher for shards that run (array of shards_count, borrowed).
 * returns  owned by the caller, NULL for no memory
 */
struct sl_swap *sl_swap_new(struct sl_loop *control, struct sl_shard *const *shards,
                            uint32_t shards_count, struct sl_epoch *epoch);

/*
 * Publish `program`, which the publisher owns from now on also if it is refused. `done` is called
 * from the control loop. No publication is under way.
 */
void sl_swap_publish(struct sl_swap *swap, struct sl_program *program, sl_swap_done_fn *done,
                     void *ctx);

/*
 * Inside `done` of a publication that was refused: the node that a shard could not make, or whose
 * address it could not open; NULL: it was no node. Borrowed for that call.
 */
const struct sl_node *sl_swap_failed(const struct sl_swap *swap);

/* True while a publication is under way. */
bool sl_swap_is_busy(const struct sl_swap *swap);

/* The program that is published, or NULL. Borrowed until the next publication. */
struct sl_program *sl_swap_current(struct sl_swap *swap);

/* Take the current program from all shards; `done` when all programs are freed. */
void sl_swap_retract(struct sl_swap *swap, void (*done)(void *ctx), void *ctx);

/* Copy the counters. Control thread. */
void sl_swap_stats_get(const struct sl_swap *swap, struct sl_swap_stats *ret_stats);

/* Nothing is published, under way or waiting. NULL is fine; returns NULL. */
struct sl_swap *sl_swap_free(struct sl_swap *swap);
