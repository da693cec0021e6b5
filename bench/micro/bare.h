/* SPDX-License-Identifier: MIT */
/*
 * A shard in the calling thread, with the machine's clock and no sockets, and small programs for it:
 * the bench of what needs an engine but no runtime.
 */
#pragma once

#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"

struct sl_micro_run;

/*
 * A shard of number `index` around `poller`, which it owns; NULL: one on which nothing ever happens.
 * Warm: its ticks are known. Aborts for no memory.
 */
struct sl_shard *sl_micro_bare_new(uint32_t index, struct sl_poller *poller);

/* No program is left on it. NULL is fine; returns NULL. */
struct sl_shard *sl_micro_bare_free(struct sl_shard *shard);

/*
 * A chain of `count` nodes, each of `kinds[i]`, linked out[0] → in, for `shards_count` shards.
 *
 * place  NULL, or for each node the shard that it is placed on, or -1
 */
struct sl_program *sl_micro_chain_new(const struct sl_kind *const *kinds, const int *place,
                                      uint32_t count, uint32_t shards_count);

/* Make it a shard's current program, and take it away again. On the shard's thread. */
void sl_micro_chain_open(struct sl_program *program, struct sl_shard *shard);
void sl_micro_chain_close(struct sl_program *program, struct sl_shard *shard);

/* Passes the packet on: the least that a node does. */
extern const struct sl_kind sl_micro_kind_pass;

/* A process with one packet, sent into node `index` of the shard's program. */
void sl_micro_process_run(struct sl_shard *shard, const struct sl_program *program, uint32_t index,
                          struct sl_reply *reply);
