/* SPDX-License-Identifier: MIT */
/*
 * string.find, match, gmatch and gsub over our own matcher. Arguments, results and errors are those
 * of LuaJIT (lib_string.c): where a script could tell the difference, it is a fault.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"
#include "nodes/script/lua/match.h"

enum { PLAIN_COST_SHIFT = 2 }; /* bytes searched for a plain text cost a quarter */

static bool ask(void *ctx)
{
    struct lua_shard *shard = ctx;
    return shard->used_max == SIZE_MAX || lua_limit_ask(shard);
}

static void match_init(struct lua_match *match, struct lua_shard *shard, const char *text,
                       size_t size)
{
    match->start = text;
    match->end = text + size;
    match->ask = ask;
    match->ask_ctx = shard;
    match->steps = LUA_MATCH_STEPS;
    match->error = LUA_MATCH_GOOD;
}

/* Raise what the matcher said, if it did. */
static void match_check(lua_State *L, const struct lua_match *match)
{
    if (__builtin_expect(match->error == LUA_MATCH_GOOD, 1)) return;
    if (match->error == LUA_MATCH_STOPPED) (void)lua_limit_raise(L);
    luaL_error(L, "%s", lua_match_error_text(match->error));
}

static void push_capture(lua_State *L, const struct lua_match *match, int32_t i, const char *start,
                         const char *end)
{
    if (i >= match->level) {
        if (i != 0) luaL_error(L, "%s", lua_match_error_text(LUA_MATCH_BAD_INDEX));
        lua_pushlstring(L, start, (size_t)(end - start));
        return;
    }
    ptrdiff_t len = match->captures[i].len;
    if (len == LUA_MATCH_OPEN) luaL_error(L, "%s", lua_match_error_text(LUA_MATCH_UNFINISHED));
    if (len == LUA_MATCH_POSITION) {
        lua_pushinteger(L, match->captures[i].start - match->start + 1);
    } else {
        lua_pushlstring(L, match->captures[i].start, (size_t)len);
    }
}

/* Push all captures, or the whole match if there are none and `start` is given. */
static int push_captures(lua_State *L, const struct lua_match *match, const char *start,
                         const char *end)
{
    int32_t count = match->level == 0 && start != NULL ? 1 : match->level;
    luaL_checkstack(L, count, "too many captures");
    for (int32_t i = 0; i < count; i++) push_capture(L, match, i, start, end);
    return count;
}

/* Where to begin, from argument 3. */
static size_t start_of(lua_State *L, size_t size)
{
    int64_t start = (int32_t)luaL_optinteger(L, 3, 1);
    start += start < 0 ? (int64_t)size : -1;
    if (start < 0) return 0;
    return (size_t)start > size ? size : (size_t)start;
}

static int find_plain(lua_State *L, const char *text, size_t size, size_t start,
                      struct sl_slice what)
{
    struct lua_shard *shard = lua_shard_of(L);
    shard->charge += (size - start) >> PLAIN_COST_SHIFT;
    if (shard->charge >= LUA_CHARGE_MAX && !ask(shard)) return lua_limit_raise(L);
    const char *found = text + start;
    if (what.size > 0) found = memmem(text + start, size - start, what.data, what.size);
    if (found == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (ptrdiff_t)what.size);
    return 2;
}

static int find_or_match(lua_State *L, bool is_find)
{
    size_t size, pattern_size;
    const char *text = luaL_checklstring(L, 1, &size);
    const char *pattern = luaL_checklstring(L, 2, &pattern_size);
    size_t start = start_of(L, size);
    if (is_find && (lua_toboolean(L, 4) || !lua_match_is_pattern(pattern, pattern_size))) {
        return find_plain(L, text, size, start, sl_slice_make(pattern, pattern_size));
    }
    struct lua_match match;
    match_init(&match, lua_shard_of(L), text, size);
    bool anchored = *pattern == '^';
    const char *end;
    const char *found = lua_match_find(&match, text + start, pattern + anchored, anchored, &end);
    match_check(L, &match);
    if (found == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (!is_find) return push_captures(L, &match, found, end);
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, end - text);
    return push_captures(L, &match, NULL, NULL) + 2;
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* Upvalues: text, pattern, place. */
static int gmatch_next(lua_State *L)
{
    size_t size;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &size);
    const char *pattern = lua_tostring(L, lua_upvalueindex(2));
    size_t start = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    if (start > size) return 0;
    struct lua_match match;
    match_init(&match, lua_shard_of(L), text, size);
    const char *end;
    const char *found = lua_match_find(&match, text + start, pattern, false, &end);
    match_check(L, &match);
    if (found == NULL) return 0;
    lua_pushinteger(L, end - text + (end == found));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, &match, found, end);
}

static int string_gmatch(lua_State *L)
{
    (void)luaL_checkstring(L, 1);
    (void)luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* The result grows without a count in between: what the bell says is said here. */
static inline void grown_check(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    if (__builtin_expect(shard->rung, 0)) lua_limit_room(L, shard, 0);
}

/* Append the replacement text, its %0 … %9 filled in. */
static void add_text(lua_State *L, const struct lua_match *match, luaL_Buffer *b, const char *start,
                     const char *end)
{
    size_t size;
    const char *text = lua_tolstring(L, 3, &size);
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            luaL_addchar(b, text[i]);
            continue;
        }
        i++; /* the byte behind the last one is zero */
        if (text[i] < '0' || text[i] > '9') {
            luaL_addchar(b, text[i]);
        } else if (text[i] == '0') {
            luaL_addlstring(b, start, (size_t)(end - start));
            grown_check(L);
        } else {
            push_capture(L, match, text[i] - '1', start, end);
            luaL_addvalue(b);
            grown_check(L);
        }
    }
}

/* What is called may come back here: the C stack has an end, and unwinding it takes its square. */
static void stack_check(lua_State *L)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (lua_shard_of(L)->stack_start - here > LUA_STACK_SIZE_MAX) luaL_error(L, "C stack overflow");
}

static void call_replacement(lua_State *L, const struct lua_match *match, const char *start,
                             const char *end)
{
    stack_check(L);
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(L, match, start, end), 1);
}

static void add_value(lua_State *L, const struct lua_match *match, luaL_Buffer *b,
                      const char *start, const char *end)
{
    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION: call_replacement(L, match, start, end); break;
    case LUA_TTABLE:
        stack_check(L); /* for an __index that is a function */
        push_capture(L, match, 0, start, end);
        lua_gettable(L, 3);
        break;
    default: add_text(L, match, b, start, end); return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, start, (size_t)(end - start));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(b);
}

static void gsub_check(lua_State *L)
{
    int type = lua_type(L, 3);
    bool good =
        type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE;
    luaL_argcheck(L, good, 3, "string/function/table expected");
}

static int string_gsub(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    const char *pattern = luaL_checkstring(L, 2);
    int max = luaL_optint(L, 4, (int)(size + 1));
    gsub_check(L);
    bool anchored = *pattern == '^';
    struct lua_match match;
    luaL_Buffer buffer;
    match_init(&match, lua_shard_of(L), text, size);
    luaL_buffinit(L, &buffer);
    int count = 0;
    const char *at = text;
    while (count < max) {
        const char *end = lua_match_at(&match, at, pattern + anchored);
        match_check(L, &match);
        if (end != NULL) {
            count++;
            add_value(L, &match, &buffer, at, end);
            grown_check(L);
        }
        if (end != NULL && end > at) {
            at = end;
        } else if (at < match.end) {
            luaL_addchar(&buffer, *at);
            at++;
        } else {
            break;
        }
        if (anchored) break;
    }
    luaL_addlstring(&buffer, at, (size_t)(match.end - at));
    luaL_pushresult(&buffer);
    lua_pushinteger(L, count);
    return 2;
}

const luaL_Reg lua_string_natives[] = {{"find", string_find},
                                       {"match", string_match},
                                       {"gmatch", string_gmatch},
                                       {"gsub", string_gsub},
                                       {NULL, NULL}};
