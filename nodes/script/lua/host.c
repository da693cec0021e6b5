/* SPDX-License-Identifier: MIT */
/* Functions of the prelude that are about the machine and the engine: log, errors, randomness. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum { RANDOM_SHIFT = 11 }; /* a double has 53 bits */

/* ---- Positions ----------------------------------------------------------------------------- */

uint32_t lua_message_line(struct sl_slice *message)
{
    const char head[] = LUA_CHUNK ":";
    size_t head_size = sizeof(head) - 1;
    static const char prelude[] = "sluice:";
    bool is_prelude = sl_slice_has_prefix(*message, SL_SLICE("sluice:"));
    if (is_prelude) head_size = sizeof(prelude) - 1;
    if (!is_prelude && !sl_slice_has_prefix(*message, sl_slice_from_str(head))) return 0;
    uint64_t line = 0;
    size_t at = head_size;
    while (at < message->size && at < head_size + 10 && message->data[at] >= '0' &&
           message->data[at] <= '9') {
        line = line * 10 + (message->data[at++] - '0');
    }
    if (at == head_size || at + 2 > message->size || memcmp(message->data + at, ": ", 2) != 0) {
        return 0;
    }
    message->data += at + 2;
    message->size -= at + 2;
    return is_prelude || line > UINT32_MAX ? 0 : (uint32_t)line;
}

struct sl_pos lua_script_place(const struct lua_script *script, uint32_t line)
{
    if (line == 0 || line > script->rewrite.lines_count) return (struct sl_pos){0, 0};
    return script->places[line - 1];
}

void lua_message_translate(lua_State *L, struct lua_shard *shard, int index)
{
    if (lua_type(L, index) != LUA_TSTRING) return;
    struct sl_slice message;
    message.data = (const uint8_t *)lua_tolstring(L, index, &message.size);
    const uint8_t *start = message.data;
    uint32_t line = lua_message_line(&message);
    if (message.data == start) return;
    const struct lua_script *script = shard->script;
    struct sl_pos pos = lua_script_place(script, line);
    if (pos.line == 0) {
        lua_pushlstring(L, (const char *)message.data, message.size);
    } else {
        const char *file = script->file[0] != '\0' ? script->file : script->name;
        lua_pushfstring(L, "%s:%d: ", file, (int)pos.line);
        lua_pushlstring(L, (const char *)message.data, message.size);
        lua_concat(L, 2);
    }
    lua_replace(L, index);
}

uint32_t lua_tail_line_take(struct lua_shard *shard)
{
    lua_State *side = shard->side;
    lua_rawgeti(side, 1, 3);
    uint32_t line = (uint32_t)lua_tonumber(side, -1);
    lua_pop(side, 1);
    if (line == 0) return 0;
    lua_pushnumber(side, 0);
    lua_rawseti(side, 1, 3);
    return line;
}

/* The error was raised by `error`, and the function that did is gone: by a tail call. */
static uint32_t tail_line(lua_State *L, struct lua_shard *shard)
{
    lua_Debug frame;
    uint32_t line = lua_tail_line_take(shard);
    if (line == 0 || !lua_getstack(L, 1, &frame)) return 0;
    (void)lua_getinfo(L, "f", &frame);
    bool is_error = lua_topointer(L, -1) == shard->error_function;
    lua_pop(L, 1);
    return is_error ? line : 0;
}

/* Message handler of every call: remember where, leave the error as it is. */
int lua_handler(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    shard->error_line = 0;
    shard->error_in_tail = false;
    if (shard->stop != LUA_STOP_NONE) return 1;
    lua_Debug frame;
    shard->error_line = tail_line(L, shard);
    shard->error_in_tail = shard->error_line > 0;
    if (shard->error_in_tail) return 1;
    for (int level = 1; level < 16 && lua_getstack(L, level, &frame); level++) {
        if (!lua_getinfo(L, "Sl", &frame)) break;
        if (strcmp(frame.short_src, LUA_CHUNK) == 0 && frame.currentline > 0) {
            shard->error_line = (uint32_t)frame.currentline;
            break;
        }
    }
    return 1;
}

/* (error) → the error as a script may see it; raises it again once the call is over. */
static int native_caught(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    if (shard->stop != LUA_STOP_NONE) return lua_limit_raise(L);
    lua_settop(L, 1);
    (void)lua_tail_line_take(shard);
    lua_message_translate(L, shard, 1);
    return 1;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static int native_finish(lua_State *L)
{
    lua_lazy_finish(L, lua_shard_of(L), 1);
    return 0;
}

/* (table) → it loses the metatable that we gave it. */
static int native_thaw(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    enum lua_kind kind = lua_kind_at(L, 1);
    if (kind == LUA_KIND_NONE) return 0;
    lua_lazy_finish(L, shard, 1);
    lua_kind_set(L, shard, 1, LUA_KIND_NONE);
    return 0;
}

/* (table, kind) → the table, marked as a list or a map. */
static int native_mark(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    enum lua_kind kind = lua_kind_at(L, 1);
    if (kind == LUA_KIND_NONE && lua_getmetatable(L, 1)) {
        return luaL_argerror(L, 1, "a table with a metatable cannot be marked");
    }
    lua_lazy_finish(L, shard, 1);
    if (kind == LUA_KIND_ERROR) return luaL_argerror(L, 1, "an error cannot be marked");
    lua_kind_set(L, shard, 1, (enum lua_kind)(uintptr_t)lua_touserdata(L, 2));
    lua_settop(L, 1);
    return 1;
}

/* ---- Randomness: xoshiro256**, fresh for each call -------------------------------------------- */

static uint64_t rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

static uint64_t random_next(struct lua_shard *shard)
{
    uint64_t *state = shard->random;
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

static int native_random(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    if (!shard->random_ready) {
        struct sl_clock *clock = shard->call_clock;
        clock->random(clock, shard->random, sizeof(shard->random));
        shard->random[0] |= 1; /* not all zero */
        shard->random_ready = true;
    }
    lua_pushnumber(L, (lua_Number)(random_next(shard) >> RANDOM_SHIFT) * 0x1p-53);
    return 1;
}

static int native_randomseed(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    lua_Number seed = luaL_checknumber(L, 1);
    uint64_t bits;
    memcpy(&bits, &seed, sizeof(bits));
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        bits += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t mixed = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
        shard->random[i] = mixed ^ (mixed >> 31);
    }
    shard->random[0] |= 1;
    shard->random_ready = true;
    return 0;
}

/* ---- The rest ------------------------------------------------------------------------------ */

/* (level, text) */
static int native_log(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    size_t size;
    int level = (int)lua_tointeger(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    const char *node = shard->script != NULL ? shard->script->name : "";
    sl_script_log((enum sl_log_level)level, node, text,
                  size > LUA_LOG_LINE_SIZE ? LUA_LOG_LINE_SIZE : size);
    return 0;
}

static int native_no_memory(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    if (shard->used_max != SIZE_MAX) lua_limit_exceeded(shard);
    return lua_limit_raise(L);
}

const luaL_Reg lua_host_natives[] = {
    {"tick", lua_native_tick}, {"charge", lua_native_charge},   {"room", lua_native_room},
    {"caught", native_caught}, {"finish", native_finish},       {"thaw", native_thaw},
    {"mark", native_mark},     {"random", native_random},       {"randomseed", native_randomseed},
    {"log", native_log},       {"no_memory", native_no_memory}, {NULL, NULL}};
