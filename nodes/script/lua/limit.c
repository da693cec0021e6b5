/* SPDX-License-Identifier: MIT */
/*
 * Deadline and memory cap.
 *
 * Who looks at the clock: the counter in everything that repeats, every LUA_TICK_ROUNDS rounds, and
 * fewer once the heap has grown (one round may then be one operation on megabytes); the allocator,
 * every LUA_CHARGE_MAX bytes of large blocks; natives of ours in their loops. Once a call is over,
 * `stop` stays set until it has ended: pcall, xpcall and resume of the prelude raise again whatever
 * they catch meanwhile, and the counter raises at every look.
 *
 * LuaJIT collects garbage when its heap has doubled. A cap must not fall for garbage, so from three
 * quarters of it on the counter collects in steps before it goes on.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum {
    COLLECT_STEP = 64, /* KiB of work a step, about */
    COLLECTIONS_MAX = 16,
};

bool lua_limit_ask(struct lua_shard *shard)
{
    shard->charge = 0;
    if (shard->stop != LUA_STOP_NONE) return false;
    if (sl_clock_now_ns(shard->clock) < shard->end_ns) return true;
    shard->stop = LUA_STOP_DEADLINE;
    return false;
}

/* May `more` bytes be taken? Blocks that shrink are never refused, and nothing is outside calls. */
static bool may_grow(struct lua_shard *shard, size_t size, size_t more)
{
    if (__builtin_expect(shard->used + more > shard->used_max, 0)) {
        if (shard->used_max == SIZE_MAX) return true;
        if (shard->stop == LUA_STOP_NONE) shard->stop = LUA_STOP_MEMORY;
        /* To unwind, the machine needs a little. */
        return size < LUA_LARGE_SIZE && shard->used + more <= shard->used_max + LUA_SLACK;
    }
    if (__builtin_expect(size < LUA_LARGE_SIZE || shard->used_max == SIZE_MAX, 1)) return true;
    shard->charge += size;
    return shard->charge < LUA_CHARGE_MAX || lua_limit_ask(shard);
}

void *lua_limit_alloc(void *ctx, void *block, size_t old_size, size_t size)
{
    struct lua_shard *shard = ctx;
    if (size > old_size && !may_grow(shard, size, size - old_size)) return NULL;
    void *moved = shard->alloc(shard->alloc_ctx, block, old_size, size);
    if (moved != NULL || size == 0) shard->used += size - old_size;
    return moved;
}

void lua_limit_begin(struct lua_shard *shard, const struct lua_script *script, uint64_t end_ns)
{
    sl_assert(shard != NULL);
    sl_assert(shard->stop == LUA_STOP_NONE);
    shard->script = script;
    shard->end_ns = end_ns;
    shard->charge = 0;
    shard->collect_at = 0;
    shard->stack_start = (uintptr_t)__builtin_frame_address(0);
    shard->random_ready = false;
    shard->used_start = shard->used;
    shard->used_max = shard->used + script->memory_max;
}

/* Collect; the machine's scratch buffer halves with each collection, so again until it is small. */
static __attribute__((cold)) void give_back(struct lua_shard *shard)
{
    size_t before = SIZE_MAX;
    for (int i = 0; i < COLLECTIONS_MAX && shard->used < before; i++) {
        before = shard->used - shard->used / 8;
        (void)lua_gc(shard->L, LUA_GCCOLLECT, 0);
    }
}

void lua_limit_end(struct lua_shard *shard)
{
    shard->used_max = SIZE_MAX;
    bool grew = shard->used > shard->used_start + LUA_KEPT_GROWTH;
    if (__builtin_expect(shard->stop == LUA_STOP_NONE && !grew, 1)) return;
    if (shard->stop != LUA_STOP_NONE) {
        uint64_t now_ns = sl_clock_now_ns(shard->clock);
        if (shard->stop == LUA_STOP_DEADLINE) shard->stats.deadlines++;
        if (shard->stop == LUA_STOP_MEMORY) {
            shard->stats.memory_stops++;
            grew = true;
        }
        if (now_ns > shard->end_ns + LUA_STALL_MS * SL_NS_PER_MS) {
            shard->stats.stalls++;
            uint64_t over_ns = now_ns - shard->end_ns;
            if (over_ns > shard->stats.stall_ns_max) shard->stats.stall_ns_max = over_ns;
        }
    }
    shard->stop = LUA_STOP_NONE;
    if (grew) give_back(shard);
}

int lua_limit_raise(lua_State *L)
{
    lua_pushlightuserdata(L, NULL); /* what it is stands in shard->stop */
    return lua_error(L);
}

void lua_limit_check(lua_State *L, struct lua_shard *shard)
{
    if (!lua_limit_ask(shard)) (void)lua_limit_raise(L);
}

/* Before the cap is reached: collect until half of it is free again, or the deadline comes. */
static void collect(lua_State *L, struct lua_shard *shard, size_t growth)
{
    size_t used_max = shard->used_max;
    size_t cap = used_max - shard->used_start;
    if (growth < cap / 4 * 3 || shard->used < shard->collect_at) return;
    shard->used_max = SIZE_MAX; /* the collector must not be refused what it needs */
    while (lua_gc(L, LUA_GCSTEP, COLLECT_STEP) == 0 && lua_limit_ask(shard)) {}
    shard->used_max = used_max;
    shard->collect_at = shard->used + cap / 16; /* not at once again if it was no garbage */
}

int lua_native_tick(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    lua_Number rounds = LUA_TICK_ROUNDS;
    if (shard->used_max != SIZE_MAX) {
        lua_limit_check(L, shard);
        size_t growth = shard->used > shard->used_start ? shard->used - shard->used_start : 0;
        if (growth > LUA_TICK_GROWTH) {
            collect(L, shard, growth);
            if (shard->stop != LUA_STOP_NONE) return lua_limit_raise(L);
            rounds = (lua_Number)(LUA_TICK_ROUNDS * (size_t)LUA_TICK_GROWTH / growth);
            if (rounds < LUA_TICK_ROUNDS_MIN) rounds = LUA_TICK_ROUNDS_MIN;
        }
    }
    lua_pushnumber(L, rounds);
    return 1;
}

/* A round of such work is far cheaper than one of a loop: it counts as two bytes of a block. */
int lua_native_charge(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    shard->charge += (size_t)lua_tonumber(L, 1) * 2;
    if (shard->charge >= LUA_CHARGE_MAX && shard->used_max != SIZE_MAX) lua_limit_check(L, shard);
    return 0;
}

int lua_native_stopped(lua_State *L)
{
    if (lua_shard_of(L)->stop != LUA_STOP_NONE) return lua_limit_raise(L);
    return 0;
}
