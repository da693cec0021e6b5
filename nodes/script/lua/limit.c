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
 * The allocator refuses nothing. LuaJIT's error for a refused block walks a stack that compiled code
 * has not written back, and the process dies. What would be too much is given, and the bell is rung:
 * the next count (rewrite.h), compiled or not, calls the tick, and that one collects the garbage and
 * raises where an error is safe. Between two counts stand few operations, each of which takes at
 * most what it reads, because
 *
 *   - a statement with `..` is followed by a count of its own;
 *   - texts that multiply (rep, concat, format, gsub) ask for room before they are made;
 *   - a text longer than LUA_TEXT_MAX / (most `..` between two counts) ends the call, so that no
 *     statement makes one beyond LuaJIT's limit of 2 GiB, which is an error of the same kind.
 *
 * Behind all that is a reserve. Beyond cap + LUA_RESERVE a block is refused where that is safe: when
 * no compiled code stands between the allocator and the call (the C stack is walked to see). In
 * compiled code it is still given: ending one call late is better than ending the process.
 *
 * LuaJIT collects garbage when its heap has doubled. A cap must not fall for garbage, so from three
 * quarters of it on the bell is rung, to collect before it is judged.
 */
#include <dlfcn.h>
#include <string.h>
#include <unwind.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum {
    COLLECT_STEP = 64, /* KiB of work a step, about */
    COLLECTIONS_MAX = 16,
    CYCLES_MAX = 4, /* of the collector, before a call is over its cap */
    FRAMES_MAX = 64,
};

static const lua_Number bell_rung = 0x1p53; /* more than any counter */

/* ---- The bell ------------------------------------------------------------------------------ */

/* Of a table that has the item already: nothing is allocated, so it may be done in the allocator. */
static void bell_set(struct lua_shard *shard, bool rung)
{
    if (shard->rung == rung) return;
    shard->rung = rung;
    lua_pushnumber(shard->side, rung ? bell_rung : 0);
    lua_rawseti(shard->side, 1, 1);
}

static void stop_set(struct lua_shard *shard, enum lua_stop stop)
{
    shard->stop = stop;
    bell_set(shard, true);
}

void lua_limit_exceeded(struct lua_shard *shard)
{
    sl_assert(shard != NULL);
    if (shard->stop == LUA_STOP_NONE) stop_set(shard, LUA_STOP_MEMORY);
}

bool lua_limit_ask(struct lua_shard *shard)
{
    shard->charge = 0;
    if (shard->stop != LUA_STOP_NONE) return false;
    if (sl_clock_now_ns(shard->clock) < shard->end_ns) return true;
    stop_set(shard, LUA_STOP_DEADLINE);
    return false;
}

/* ---- Allocator ----------------------------------------------------------------------------- */

struct walk {
    int frames;
    bool unknown;
};

static _Unwind_Reason_Code frame_look(struct _Unwind_Context *context, void *ctx)
{
    struct walk *walk = ctx;
    Dl_info info;
    uintptr_t place = _Unwind_GetIP(context); /* 0 behind the last */
    if (++walk->frames > FRAMES_MAX || place == 0) return _URC_END_OF_STACK;
    walk->unknown = dladdr((void *)place, &info) == 0;
    return walk->unknown ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* Compiled code belongs to no file. */
static __attribute__((cold)) bool is_in_compiled_code(void)
{
    struct walk walk = {0, false};
    (void)_Unwind_Backtrace(frame_look, &walk);
    return walk.unknown;
}

/* A block that is large, or one of a heap that is near the cap. False: refuse it. */
static __attribute__((noinline)) bool may_grow(struct lua_shard *shard, size_t size, size_t more)
{
    if (shard->used_max == SIZE_MAX) return true;
    size_t used = shard->used + more;
    if (used > shard->bell_at) bell_set(shard, true);
    if (size > shard->block_max) lua_limit_exceeded(shard);
    if (used > shard->used_max) {
        size_t over = used - shard->used_max;
        if (over > LUA_RESERVE && !is_in_compiled_code()) {
            lua_limit_exceeded(shard);
            return false;
        }
        if (over > shard->stats.memory_over_max) shard->stats.memory_over_max = over;
    }
    if (size < LUA_LARGE_SIZE) return true;
    shard->charge += size;
    if (shard->charge >= LUA_CHARGE_MAX) (void)lua_limit_ask(shard);
    return true;
}

void *lua_limit_alloc(void *ctx, void *block, size_t old_size, size_t size)
{
    struct lua_shard *shard = ctx;
    if (size > old_size) {
        size_t more = size - old_size;
        bool look = size >= LUA_LARGE_SIZE || shard->used + more > shard->bell_at;
        if (__builtin_expect(look, 0) && !may_grow(shard, size, more)) return NULL;
    }
    void *moved = shard->alloc(shard->alloc_ctx, block, old_size, size);
    if (moved != NULL || size == 0) shard->used += size - old_size;
    return moved;
}

/* ---- A call -------------------------------------------------------------------------------- */

/* Collect; the machine's scratch buffer halves with each collection, so again until it is small. */
static __attribute__((cold)) void give_back(struct lua_shard *shard)
{
    size_t before = SIZE_MAX;
    for (int i = 0; i < COLLECTIONS_MAX && shard->used < before; i++) {
        before = shard->used - shard->used / 8;
        (void)lua_gc(shard->L, LUA_GCCOLLECT, 0);
    }
    shard->live = shard->used;
}

void lua_limit_begin(struct lua_shard *shard, const struct lua_script *script, uint64_t end_ns)
{
    sl_assert(shard != NULL);
    sl_assert(shard->stop == LUA_STOP_NONE);
    sl_assert(!shard->rung);
    shard->script = script;
    shard->end_ns = end_ns;
    shard->charge = 0;
    shard->stack_start = (uintptr_t)__builtin_frame_address(0);
    shard->random_ready = false;
    /* What calls before this one left behind is not to be this one's, nor on top of its cap. */
    if (shard->used > shard->live + script->memory_max / LUA_LEFT_PART) give_back(shard);
    if (shard->live > shard->used) shard->live = shard->used; /* scripts went */
    shard->used_start = shard->live;
    shard->used_max = shard->live + script->memory_max;
    shard->bell_at = shard->live + script->memory_max / 4 * 3;
    shard->block_max = LUA_TEXT_MAX / (script->rewrite.concats_max + 2);
}

void lua_limit_end(struct lua_shard *shard)
{
    shard->used_max = SIZE_MAX;
    shard->bell_at = SIZE_MAX;
    bell_set(shard, false);
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

/*
 * Collect, until `size` more bytes fit or all that is left is in use. The collector may have been at
 * work, and what became garbage since is found by its next cycle.
 *
 * returns  false: they do not fit, or the deadline came
 */
static bool collect(lua_State *L, struct lua_shard *shard, size_t size)
{
    for (int i = 0; i < CYCLES_MAX; i++) {
        size_t before = shard->used;
        while (lua_gc(L, LUA_GCSTEP, COLLECT_STEP) == 0) {
            if (!lua_limit_ask(shard)) return false;
        }
        bool fits = size <= shard->used_max && shard->used <= shard->used_max - size;
        if (fits || (i > 0 && shard->used > before - before / 16)) break;
    }
    size_t left = shard->used < shard->used_max ? shard->used_max - shard->used : 0;
    size_t least = (shard->used_max - shard->used_start) >> LUA_BELL_SHIFT;
    shard->bell_at = shard->used + (left / 4 * 3 > least ? left / 4 * 3 : least);
    if (size > left || shard->used > shard->used_max) lua_limit_exceeded(shard);
    return shard->stop == LUA_STOP_NONE;
}

void lua_limit_room(lua_State *L, struct lua_shard *shard, double size)
{
    if (shard->used_max == SIZE_MAX) return;
    lua_limit_check(L, shard);
    if ((double)shard->used + size <= (double)shard->used_max) return;
    if (!(size < LUA_TEXT_MAX)) lua_limit_exceeded(shard);
    if (shard->stop != LUA_STOP_NONE || !collect(L, shard, (size_t)size)) {
        (void)lua_limit_raise(L);
    }
}

int lua_native_tick(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    lua_Number rounds = LUA_TICK_ROUNDS;
    if (shard->used_max != SIZE_MAX) {
        lua_limit_check(L, shard);
        if (shard->used > shard->bell_at && !collect(L, shard, 0)) return lua_limit_raise(L);
        bell_set(shard, false);
        size_t growth = shard->used > shard->used_start ? shard->used - shard->used_start : 0;
        if (growth > LUA_TICK_GROWTH) {
            rounds = (lua_Number)(LUA_TICK_ROUNDS * (size_t)LUA_TICK_GROWTH / growth);
            if (rounds < LUA_TICK_ROUNDS_MIN) rounds = LUA_TICK_ROUNDS_MIN;
        }
    }
    lua_pushnumber(L, rounds);
    return 1;
}

int lua_native_room(lua_State *L)
{
    lua_limit_room(L, lua_shard_of(L), lua_tonumber(L, 1));
    return 0;
}

/* A round of such work is far cheaper than one of a loop: it counts as two bytes of a block. */
int lua_native_charge(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    shard->charge += (size_t)lua_tonumber(L, 1) * 2;
    if (shard->charge >= LUA_CHARGE_MAX && shard->used_max != SIZE_MAX) lua_limit_check(L, shard);
    return 0;
}
