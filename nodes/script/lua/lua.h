/* SPDX-License-Identifier: MIT */
/*
 * Lua 5.1, run by LuaJIT. docs/LUA.md says what an author may rely on.
 *
 *   control thread: text → rewritten (a counter in all that repeats, a token a line) → byte code
 *   shard:          one lua_State with everything shared frozen; a script is a function in it
 *   call:           cells → lazy tables → [ chunk runs afresh → its function → result ] → cells
 *
 * What stands in brackets is one protected call under a deadline and a memory cap: the counter asks
 * the clock every thousand rounds, the allocator makes it ask at once when the cap or the deadline is
 * passed (it refuses nothing: limit.c says why), patterns are matched by our own matcher. Such an end
 * cannot be caught by the script. Globals of a call are dropped after it, and libraries are read-only,
 * so nothing of one call is seen by the next.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "nodes/script/engine.h"

extern const struct sl_engine sl_engine_lua;

/* Counters of one shard. */
struct sl_lua_stats {
    uint64_t calls;
    uint64_t deadlines;       /* ended by the deadline */
    uint64_t memory_stops;    /* ended by the memory cap */
    uint64_t stalls;          /* calls that ended more than 10 ms after their deadline */
    uint64_t stall_ns_max;    /* the longest of them, beyond the deadline */
    uint64_t memory_over_max; /* most bytes that a call took beyond its cap, garbage included */
    uint64_t memory_used;     /* bytes of the machine's heap now */
};

/* `shard_state` as handed to attach; its thread. */
void sl_lua_stats_get(const void *shard_state, struct sl_lua_stats *ret_stats);

/* Machines that were made ahead and are not taken yet. Any thread. */
uint32_t sl_lua_machines_waiting(void);
