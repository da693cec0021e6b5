/* SPDX-License-Identifier: MIT */
/*
 * Cells → Lua.
 *
 * A Map becomes a lazy table: empty but for one hidden entry that leads to the cells. Reading a key
 * makes its value and keeps it in the table; writing keeps the new one. Each pair read or written is
 * marked as taken: from then on only the table counts, so what was set to nil stays nil. Whoever
 * needs all keys (pairs, next, rawget …: see prelude.lua) finishes the table first. A request of
 * which one field is read costs one field, and what nobody touched goes back as it came.
 *
 * Lists and large Maps become ordinary tables at once (`#` and ipairs ask no metatable), their Maps
 * lazy. Metatables mark all of them, so that an empty list comes back as one.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

const char lua_lazy_key = 0;

/* The largest integer below which a double has them all. */
static const int64_t safe_integer = INT64_C(9007199254740992);

static const char no_memory[] = "not enough memory";

static bool push_leaf(lua_State *L, struct lua_shard *shard, struct sl_value value);

/* ---- Lazies -------------------------------------------------------------------------------- */

static __attribute__((cold)) struct lua_lazy_block *block_new(lua_State *L, struct lua_shard *shard)
{
    struct lua_lazy_block *block = NULL;
    if (shard->used + sizeof(*block) <= shard->used_max) {
        block = malloc(sizeof(*block));
    } else {
        lua_limit_exceeded(shard);
    }
    if (block == NULL) luaL_error(L, no_memory);
    block->count = 0;
    block->next = shard->lazies;
    shard->lazies = block;
    if (block->next != NULL) shard->used += sizeof(*block);
    return block;
}

/* May raise for no memory. */
static struct lua_lazy *lazy_new(lua_State *L, struct lua_shard *shard, struct sl_value map)
{
    struct lua_lazy_block *block = shard->lazies;
    if (__builtin_expect(block == NULL || block->count == LUA_LAZY_BLOCK, 0)) {
        block = block_new(L, shard);
    }
    struct lua_lazy *lazy = &block->items[block->count++];
    lazy->map = map;
    lazy->taken = 0;
    lazy->grown = false;
    return lazy;
}

void lua_lazies_reset(struct lua_shard *shard)
{
    struct lua_lazy_block *block = shard->lazies;
    while (block != NULL && block->next != NULL) {
        struct lua_lazy_block *next = block->next;
        free(block);
        shard->used -= sizeof(*block);
        block = next;
    }
    if (block != NULL) block->count = 0;
    shard->lazies = block;
    while (shard->values_count > 0) sl_value_unref(shard->values[--shard->values_count]);
    shard->used -= shard->values_size;
    shard->values_size = 0;
    if (shard->origins_used) {
        lua_newtable(shard->L);
        lua_rawseti(shard->L, LUA_REGISTRYINDEX, shard->ref_origins);
        shard->origins_used = false;
    }
}

bool lua_value_keep(struct lua_shard *shard, struct sl_value value)
{
    if (shard->values_count == shard->values_cap) {
        uint32_t cap = shard->values_cap ? shard->values_cap * 2 : 16;
        struct sl_value *values = realloc(shard->values, cap * sizeof(*values));
        if (values == NULL) {
            sl_value_unref(value);
            return false;
        }
        shard->values = values;
        shard->values_cap = cap;
    }
    shard->values[shard->values_count++] = value;
    return true;
}

struct lua_lazy *lua_lazy_get(lua_State *L, int index)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&lua_lazy_key);
    lua_rawget(L, index < 0 ? index - 1 : index);
    struct lua_lazy *lazy = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return lazy;
}

/* Give the table on top its hidden entry. */
static void lazy_attach(lua_State *L, struct lua_shard *shard, struct sl_value value)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&lua_lazy_key);
    lua_pushlightuserdata(L, lazy_new(L, shard, value));
    lua_rawset(L, -3);
}

static void meta_set(lua_State *L, const struct lua_shard *shard, enum lua_kind kind)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_metas[kind]);
    lua_setmetatable(L, -2);
}

void lua_kind_set(lua_State *L, struct lua_shard *shard, int index, enum lua_kind kind)
{
    if (kind == LUA_KIND_NONE) {
        lua_pushnil(L);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_metas[kind]);
    }
    lua_setmetatable(L, index);
}

enum lua_kind lua_kind_at(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) return LUA_KIND_NONE;
    const struct lua_shard *shard = lua_shard_of(L);
    const void *meta = lua_topointer(L, -1);
    lua_pop(L, 1);
    for (enum lua_kind kind = LUA_KIND_LAZY; kind <= LUA_KIND_ERROR; kind++) {
        if (shard->metas[kind] == meta) return kind;
    }
    return LUA_KIND_NONE;
}

/* Remember where an ordinary table came from: its keys go out in that order. */
static void origin_set(lua_State *L, struct lua_shard *shard, int index, struct lua_lazy *lazy)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_origins);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, lazy);
    shard->origins_used = true;
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Make the data of an Error, if it was not yet; true if there is any. Leaves it on the stack. */
static bool error_data(lua_State *L, struct lua_shard *shard, int index)
{
    struct lua_lazy *lazy = lua_lazy_get(L, index);
    if (lazy == NULL || lazy->taken != 0) return false;
    lua_push_value(L, shard, sl_error_part(lazy->map, SL_ERROR_DATA));
    lua_pushliteral(L, "data");
    lua_pushvalue(L, -2);
    lua_rawset(L, index);
    lazy->taken = 1;
    return true;
}

static void hidden_drop(lua_State *L, int index)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&lua_lazy_key);
    lua_pushnil(L);
    lua_rawset(L, index);
}

void lua_lazy_finish(lua_State *L, struct lua_shard *shard, int index)
{
    struct lua_lazy *lazy = lua_lazy_get(L, index);
    if (lazy == NULL) return;
    if (sl_value_is(lazy->map, SL_VALUE_ERROR)) {
        if (error_data(L, shard, index)) lua_pop(L, 1);
        hidden_drop(L, index);
        return;
    }
    uint32_t count = sl_value_count(lazy->map);
    for (uint32_t i = 0; i < count; i++) {
        if (lazy->taken >> i & 1) continue;
        struct sl_slice key = sl_value_key_at(lazy->map, i);
        lua_pushlstring(L, (const char *)key.data, key.size);
        lua_push_value(L, shard, sl_value_map_at(lazy->map, i));
        lua_rawset(L, index);
        lazy->taken |= UINT64_C(1) << i;
    }
    hidden_drop(L, index);
    origin_set(L, shard, index, lazy);
    lua_kind_set(L, shard, index, LUA_KIND_MAP);
}

/* Pair of the key at `index` that the table does not own yet, or -1. */
static int64_t lazy_find(lua_State *L, const struct lua_lazy *lazy, int index)
{
    size_t size;
    if (lazy == NULL || lua_type(L, index) != LUA_TSTRING) return -1;
    const char *key = lua_tolstring(L, index, &size);
    int64_t pair = sl_value_find_hashed(lazy->map, key, size, sl_hash16(key, size));
    return pair < 0 || (lazy->taken >> pair & 1) ? -1 : pair;
}

/* A body that does not parse: an error for those who read it, not for those who do not look. */
static bool is_bad_body(struct sl_value value)
{
    if (__builtin_expect(!sl_value_is(value, SL_VALUE_ERROR), 1)) return false;
    struct sl_value code = sl_error_part(value, SL_ERROR_CODE);
    return sl_value_is(code, SL_VALUE_STRING) && sl_slice_eq_str(sl_value_slice(code), "bad_body");
}

/* __index of lazy tables: (table, key). */
static int lazy_index(lua_State *L)
{
    struct lua_lazy *lazy = lua_lazy_get(L, 1);
    int64_t pair = lazy_find(L, lazy, 2);
    if (pair < 0) {
        lua_pushnil(L);
        return 1;
    }
    struct sl_value value = sl_value_map_at(lazy->map, (uint32_t)pair);
    lua_push_value(L, lua_shard_of(L), value);
    if (is_bad_body(value)) return lua_error(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    lazy->taken |= UINT64_C(1) << pair;
    return 1;
}

/* __newindex of lazy tables: (table, key, value). */
static int lazy_newindex(lua_State *L)
{
    struct lua_lazy *lazy = lua_lazy_get(L, 1);
    int64_t pair = lazy_find(L, lazy, 2);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    if (pair >= 0) {
        lazy->taken |= UINT64_C(1) << pair;
    } else if (lazy != NULL) {
        lazy->grown = true;
    }
    return 0;
}

/* ---- Values -------------------------------------------------------------------------------- */

static void push_integer(lua_State *L, struct lua_shard *shard, struct sl_value value)
{
    int64_t number = value.cell->i64;
    bool is_signed = sl_value_is(value, SL_VALUE_INT);
    if (is_signed && number >= -safe_integer && number <= safe_integer) {
        lua_pushnumber(L, (lua_Number)number);
        return;
    }
    /* A 64-bit number is made by the machine's own constructor; its bits are set here. */
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_cdata_new);
    lua_pushboolean(L, is_signed);
    lua_call(L, 1, 1);
    uint64_t *bits = (uint64_t *)(uintptr_t)lua_topointer(L, -1);
    sl_assert(bits != NULL);
    *bits = value.cell->word;
}

/*
 * {code, message, cause, status} with a metatable that knows `error` and `data`: data may be or hold
 * an Error again, so it is made when it is read.
 */
static void push_error(lua_State *L, struct lua_shard *shard, struct sl_value error)
{
    static const struct {
        const char *name;
        uint32_t part;
    } parts[] = {
        {"code", SL_ERROR_CODE}, {"message", SL_ERROR_MESSAGE}, {"status", SL_ERROR_STATUS}};
    uint32_t depth = 0;
    luaL_checkstack(L, SL_PAYLOAD_DEPTH_MAX * 2, "error");
    for (;;) {
        lua_createtable(L, 0, 5);
        meta_set(L, shard, LUA_KIND_ERROR);
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            struct sl_value part = sl_error_part(error, parts[i].part);
            if (sl_value_is(part, SL_VALUE_NULL)) continue;
            lua_pushstring(L, parts[i].name);
            (void)push_leaf(L, shard, part);
            lua_rawset(L, -3);
        }
        if (!sl_value_is(sl_error_part(error, SL_ERROR_DATA), SL_VALUE_NULL)) {
            lazy_attach(L, shard, error);
        }
        error = sl_error_part(error, SL_ERROR_CAUSE);
        if (!sl_value_is(error, SL_VALUE_ERROR) || depth == SL_PAYLOAD_DEPTH_MAX) break;
        lua_pushliteral(L, "cause");
        depth++;
    }
    while (depth-- > 0) lua_rawset(L, -3);
}

/* True if the value is a container that has to be filled at once. */
static bool push_leaf(lua_State *L, struct lua_shard *shard, struct sl_value value)
{
    switch (sl_value_kind(value)) {
    case SL_VALUE_NULL: lua_pushlightuserdata(L, NULL); return false;
    case SL_VALUE_BOOL: lua_pushboolean(L, value.cell->word != 0); return false;
    case SL_VALUE_INT:
    case SL_VALUE_UINT: push_integer(L, shard, value); return false;
    case SL_VALUE_FLOAT: lua_pushnumber(L, value.cell->f64); return false;
    case SL_VALUE_STRING: {
        struct sl_slice text = sl_value_slice(value);
        lua_pushlstring(L, (const char *)text.data, text.size);
        return false;
    }
    case SL_VALUE_BINARY:
    case SL_VALUE_TIME:
    case SL_VALUE_DURATION: lua_box_push(L, shard, value); return false;
    case SL_VALUE_ERROR: push_error(L, shard, value); return false;
    case SL_VALUE_LIST:
        lua_createtable(L, (int)sl_value_count(value), 0);
        meta_set(L, shard, LUA_KIND_LIST);
        return true;
    case SL_VALUE_MAP: break;
    case SL_VALUE_REF:
    case SL_VALUE_LAZY: sl_unreachable(); /* readers resolve both */
    }
    uint32_t count = sl_value_count(value);
    bool is_large = count > LUA_LAZY_PAIRS_MAX;
    lua_createtable(L, 0, is_large ? (int)count : count > 0);
    if (count > 0 && !is_large) {
        lazy_attach(L, shard, value);
        meta_set(L, shard, LUA_KIND_LAZY);
        return false;
    }
    meta_set(L, shard, LUA_KIND_MAP);
    if (is_large) origin_set(L, shard, lua_gettop(L), lazy_new(L, shard, value));
    return is_large;
}

/* A container whose table is on the stack and waits for its values. */
struct push_frame {
    struct sl_value container;
    uint32_t next;
    uint32_t count;
    bool is_map;
};

static void frame_open(struct push_frame *frame, struct sl_value container)
{
    *frame = (struct push_frame){container, 0, sl_value_count(container),
                                 sl_value_is(container, SL_VALUE_MAP)};
}

/* Fill the container on top of the stack; containers in it wait on a stack of frames. */
static void push_filled(lua_State *L, struct lua_shard *shard, struct sl_value container)
{
    struct push_frame frames[SL_PAYLOAD_DEPTH_MAX + 1];
    uint32_t depth = 1;
    uint32_t steps = 0;
    luaL_checkstack(L, SL_PAYLOAD_DEPTH_MAX * 2, "value");
    frame_open(&frames[0], container);
    while (depth > 0) {
        struct push_frame *frame = &frames[depth - 1];
        if (frame->next == frame->count) {
            if (--depth == 0) return;
            frame = &frames[depth - 1];
        } else {
            uint32_t index = frame->next++;
            struct sl_value child;
            if ((++steps & 4095) == 0 && shard->used_max != SIZE_MAX) lua_limit_check(L, shard);
            if (frame->is_map) {
                struct sl_slice key = sl_value_key_at(frame->container, index);
                lua_pushlstring(L, (const char *)key.data, key.size);
                child = sl_value_map_at(frame->container, index);
            } else {
                child = sl_value_list_at(frame->container, index);
            }
            if (child.cell == NULL) luaL_error(L, no_memory);
            if (push_leaf(L, shard, child)) {
                sl_assert(depth <= SL_PAYLOAD_DEPTH_MAX);
                frame_open(&frames[depth++], child);
                continue;
            }
        }
        if (frame->is_map) {
            lua_rawset(L, -3);
        } else {
            lua_rawseti(L, -2, (int)frame->next);
        }
    }
}

void lua_push_value(lua_State *L, struct lua_shard *shard, struct sl_value value)
{
    if (value.cell == NULL) luaL_error(L, no_memory);
    if (push_leaf(L, shard, value)) push_filled(L, shard, value);
}

/* ---- Natives ------------------------------------------------------------------------------- */

/* error.error, for `self.error()`: a function that gives the message. */
static int error_message(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushliteral(L, "message");
    lua_rawget(L, -2);
    return 1;
}

static int error_index(lua_State *L)
{
    size_t size;
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &size) : NULL;
    if (key == NULL) return 0;
    if (strcmp(key, "data") == 0) return error_data(L, lua_shard_of(L), 1);
    if (strcmp(key, "error") != 0) return 0;
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, error_message, 1);
    return 1;
}

/* __newindex: whatever data is set, the old one is gone. */
static int error_newindex(lua_State *L)
{
    struct lua_lazy *lazy = lua_lazy_get(L, 1);
    if (lazy != NULL && lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "data") == 0) {
        lazy->taken = 1;
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

static int error_text(lua_State *L)
{
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
    if (!lua_isstring(L, -1)) lua_pushliteral(L, "error");
    return 1;
}

void lua_push_open(lua_State *L, struct lua_shard *shard)
{
    for (int kind = LUA_KIND_LAZY; kind <= LUA_KIND_ERROR; kind++) {
        lua_newtable(L);
        lua_pushlightuserdata(L, (void *)(uintptr_t)kind);
        lua_setfield(L, -2, "__metatable");
        if (kind == LUA_KIND_LAZY) {
            lua_pushcfunction(L, lazy_index);
            lua_setfield(L, -2, "__index");
            lua_pushcfunction(L, lazy_newindex);
            lua_setfield(L, -2, "__newindex");
        } else if (kind == LUA_KIND_ERROR) {
            lua_pushcfunction(L, error_index);
            lua_setfield(L, -2, "__index");
            lua_pushcfunction(L, error_newindex);
            lua_setfield(L, -2, "__newindex");
            lua_pushcfunction(L, error_text);
            lua_setfield(L, -2, "__tostring");
        }
        shard->metas[kind] = lua_topointer(L, -1);
        shard->ref_metas[kind] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_newtable(L);
    shard->ref_origins = luaL_ref(L, LUA_REGISTRYINDEX);
}
