/* SPDX-License-Identifier: MIT */
/*
 * Binary, Time and Duration: values for which Lua has no type, as userdata.
 *
 *   binary(text)      tostring(b), #b, b:sub(i, j)
 *   time.now()        t.seconds, t.nanoseconds, t - t, t + d, t - d, tostring
 *   time(s, ns)       comparisons
 *   duration(s)       the same; d + d, d - d, -d, d * number
 */
#include <math.h>
#include <string.h>

#include "codecs/text/time.h"
#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum { NANOSECONDS = 1000000000 };

struct box {
    enum sl_value_kind kind;
    uint32_t nanoseconds; /* Time, Duration */
    int64_t seconds;
    struct sl_value value; /* Binary that came in; else cell == NULL and the bytes follow */
    size_t size;
    uint8_t bytes[];
};

static struct box *box_new(lua_State *L, struct lua_shard *shard, enum sl_value_kind kind,
                           size_t size)
{
    struct box *box = lua_newuserdata(L, sizeof(*box) + size);
    memset(box, 0, sizeof(*box));
    box->kind = kind;
    box->size = size;
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_box);
    lua_setmetatable(L, -2);
    return box;
}

void lua_box_push(lua_State *L, struct lua_shard *shard, struct sl_value value)
{
    struct box *box = box_new(L, shard, sl_value_kind(value), 0);
    if (box->kind == SL_VALUE_BINARY) {
        box->value = value;
        return;
    }
    box->seconds = value.cell->i64;
    box->nanoseconds = value.cell->len;
}

/* The box at `index`, or NULL. */
static struct box *box_at(lua_State *L, const struct lua_shard *shard, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
    bool is_box = lua_topointer(L, -1) == shard->box_meta;
    lua_pop(L, 1);
    return is_box ? lua_touserdata(L, index) : NULL;
}

static struct sl_slice box_bytes(const struct box *box)
{
    if (box->value.cell != NULL) return sl_value_slice(box->value);
    return sl_slice_make(box->bytes, box->size);
}

bool lua_box_build(lua_State *L, struct lua_shard *shard, int index, struct sl_builder *builder)
{
    const struct box *box = box_at(L, shard, index);
    if (box == NULL) return false;
    switch (box->kind) {
    case SL_VALUE_TIME: sl_build_time(builder, box->seconds, box->nanoseconds); return true;
    case SL_VALUE_DURATION: sl_build_duration(builder, box->seconds, box->nanoseconds); return true;
    default: break;
    }
    if (box->value.cell != NULL) {
        sl_build_value(builder, box->value);
    } else {
        sl_build_binary(builder, box->bytes, box->size);
    }
    return true;
}

/* A time that is an argument, or an error. `kind` SL_VALUE_NULL: of any kind. */
static struct box *box_check(lua_State *L, int index, enum sl_value_kind kind)
{
    struct box *box = box_at(L, lua_shard_of(L), index);
    if (box == NULL || (kind != SL_VALUE_NULL && box->kind != kind)) {
        static const char *const names[] = {"binary, time or duration", "binary", "time",
                                            "duration"};
        size_t name = kind == SL_VALUE_BINARY ? 1 : kind == SL_VALUE_TIME ? 2 : 3;
        luaL_typerror(L, index, names[kind == SL_VALUE_NULL ? 0 : name]);
    }
    return box;
}

/* Push seconds + nanoseconds, whatever the sign of the latter. */
static int box_push_time(lua_State *L, enum sl_value_kind kind, int64_t seconds,
                         int64_t nanoseconds)
{
    int64_t carry = nanoseconds / NANOSECONDS;
    nanoseconds %= NANOSECONDS;
    if (nanoseconds < 0) {
        nanoseconds += NANOSECONDS;
        carry--;
    }
    if (__builtin_add_overflow(seconds, carry, &seconds)) {
        return luaL_error(L, "a time beyond 64 bits");
    }
    struct box *box = box_new(L, lua_shard_of(L), kind, 0);
    box->seconds = seconds;
    box->nanoseconds = (uint32_t)nanoseconds;
    return 1;
}

/* Push a number of seconds with a fraction. */
static int box_push_seconds(lua_State *L, enum sl_value_kind kind, double seconds)
{
    double whole = floor(seconds);
    if (!(fabs(whole) < 9e18)) return luaL_error(L, "a time beyond 64 bits");
    return box_push_time(L, kind, (int64_t)whole, llround((seconds - whole) * NANOSECONDS));
}

/* ---- Metamethods --------------------------------------------------------------------------- */

static int box_tostring(lua_State *L)
{
    const struct box *box = box_check(L, 1, SL_VALUE_NULL);
    char text[SL_TEXT_TIME_SIZE];
    if (box->kind == SL_VALUE_BINARY) {
        struct sl_slice bytes = box_bytes(box);
        lua_pushlstring(L, (const char *)bytes.data, bytes.size);
    } else if (box->kind == SL_VALUE_TIME) {
        lua_pushlstring(L, text, sl_text_time_write(box->seconds, box->nanoseconds, text));
    } else {
        lua_pushlstring(L, text, sl_text_duration_write(box->seconds, box->nanoseconds, text));
    }
    return 1;
}

static int box_len(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)box_bytes(box_check(L, 1, SL_VALUE_BINARY)).size);
    return 1;
}

/* b:sub(i [, j]) as string.sub, a text. */
static int box_sub(lua_State *L)
{
    struct sl_slice bytes = box_bytes(box_check(L, 1, SL_VALUE_BINARY));
    int64_t size = (int64_t)bytes.size;
    int64_t from = (int64_t)luaL_checknumber(L, 2);
    int64_t to = (int64_t)luaL_optnumber(L, 3, -1);
    if (from < 0) from += size + 1;
    if (to < 0) to += size + 1;
    if (from < 1) from = 1;
    if (to > size) to = size;
    if (from > to) {
        lua_pushliteral(L, "");
    } else {
        lua_pushlstring(L, (const char *)bytes.data + from - 1, (size_t)(to - from + 1));
    }
    return 1;
}

static int box_index(lua_State *L)
{
    const struct box *box = box_check(L, 1, SL_VALUE_NULL);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (box->kind == SL_VALUE_BINARY) {
        if (strcmp(key, "sub") != 0) return 0;
        lua_pushcfunction(L, box_sub);
    } else if (strcmp(key, "seconds") == 0) {
        lua_pushnumber(L, (lua_Number)box->seconds);
    } else if (strcmp(key, "nanoseconds") == 0) {
        lua_pushnumber(L, (lua_Number)box->nanoseconds);
    } else {
        return 0;
    }
    return 1;
}

/* -1, 0, 1; bytes compare as text. */
static int box_compare(lua_State *L)
{
    const struct box *a = box_check(L, 1, SL_VALUE_NULL);
    const struct box *b = box_check(L, 2, a->kind);
    if (a->kind == SL_VALUE_BINARY) return sl_slice_compare(box_bytes(a), box_bytes(b));
    if (a->seconds != b->seconds) return a->seconds < b->seconds ? -1 : 1;
    return a->nanoseconds < b->nanoseconds ? -1 : a->nanoseconds > b->nanoseconds;
}

static int box_eq(lua_State *L)
{
    const struct lua_shard *shard = lua_shard_of(L);
    const struct box *a = box_at(L, shard, 1);
    const struct box *b = box_at(L, shard, 2);
    lua_pushboolean(L, a != NULL && b != NULL && a->kind == b->kind && box_compare(L) == 0);
    return 1;
}

static int box_lt(lua_State *L)
{
    lua_pushboolean(L, box_compare(L) < 0);
    return 1;
}

static int box_le(lua_State *L)
{
    lua_pushboolean(L, box_compare(L) <= 0);
    return 1;
}

static int box_sum(lua_State *L, enum sl_value_kind kind, const struct box *a, const struct box *b,
                   int sign)
{
    int64_t seconds;
    bool over = sign > 0 ? __builtin_add_overflow(a->seconds, b->seconds, &seconds)
                         : __builtin_sub_overflow(a->seconds, b->seconds, &seconds);
    if (over) return luaL_error(L, "a time beyond 64 bits");
    return box_push_time(L, kind, seconds,
                         (int64_t)a->nanoseconds + sign * (int64_t)b->nanoseconds);
}

static int box_add(lua_State *L)
{
    const struct box *a = box_check(L, 1, SL_VALUE_NULL);
    const struct box *b = box_check(L, 2, SL_VALUE_NULL);
    bool a_is_time = a->kind == SL_VALUE_TIME;
    if (a->kind == SL_VALUE_BINARY || b->kind == SL_VALUE_BINARY ||
        (a_is_time && b->kind == SL_VALUE_TIME)) {
        return luaL_error(L, "these cannot be added");
    }
    bool is_time = a_is_time || b->kind == SL_VALUE_TIME;
    return box_sum(L, is_time ? SL_VALUE_TIME : SL_VALUE_DURATION, a, b, 1);
}

static int box_subtract(lua_State *L)
{
    const struct box *a = box_check(L, 1, SL_VALUE_NULL);
    const struct box *b = box_check(L, 2, SL_VALUE_NULL);
    if (a->kind == SL_VALUE_BINARY || b->kind == SL_VALUE_BINARY ||
        (a->kind == SL_VALUE_DURATION && b->kind == SL_VALUE_TIME)) {
        return luaL_error(L, "these cannot be subtracted");
    }
    return box_sum(L, a->kind == b->kind ? SL_VALUE_DURATION : SL_VALUE_TIME, a, b, -1);
}

static int box_negate(lua_State *L)
{
    const struct box *a = box_check(L, 1, SL_VALUE_DURATION);
    struct box zero = {.kind = SL_VALUE_DURATION};
    return box_sum(L, SL_VALUE_DURATION, &zero, a, -1);
}

static int box_multiply(lua_State *L)
{
    int box_place = lua_isnumber(L, 1) ? 2 : 1;
    const struct box *a = box_check(L, box_place, SL_VALUE_DURATION);
    double factor = luaL_checknumber(L, 3 - box_place);
    double seconds = (double)a->seconds + a->nanoseconds / (double)NANOSECONDS;
    return box_push_seconds(L, SL_VALUE_DURATION, seconds * factor);
}

void lua_box_open(lua_State *L, struct lua_shard *shard)
{
    static const luaL_Reg metamethods[] = {{"__tostring", box_tostring},
                                           {"__len", box_len},
                                           {"__index", box_index},
                                           {"__eq", box_eq},
                                           {"__lt", box_lt},
                                           {"__le", box_le},
                                           {"__add", box_add},
                                           {"__unm", box_negate},
                                           {"__sub", box_subtract},
                                           {"__mul", box_multiply},
                                           {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, metamethods);
    lua_pushliteral(L, "value");
    lua_setfield(L, -2, "__metatable");
    shard->box_meta = lua_topointer(L, -1);
    shard->ref_box = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* ---- Natives of the prelude ---------------------------------------------------------------- */

static int native_binary(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct box *box = box_new(L, lua_shard_of(L), SL_VALUE_BINARY, size);
    if (size > 0) memcpy(box->bytes, text, size);
    return 1;
}

/* (seconds [, nanoseconds]) */
static int make_time(lua_State *L, enum sl_value_kind kind)
{
    double seconds = luaL_checknumber(L, 1);
    if (lua_isnoneornil(L, 2)) return box_push_seconds(L, kind, seconds);
    double nanoseconds = luaL_checknumber(L, 2);
    luaL_argcheck(L, fabs(seconds) < 9e18, 1, "seconds within 64 bits expected");
    luaL_argcheck(L, fabs(nanoseconds) < 9e18, 2, "nanoseconds within 64 bits expected");
    return box_push_time(L, kind, (int64_t)seconds, (int64_t)nanoseconds);
}

static int native_time(lua_State *L)
{
    return make_time(L, SL_VALUE_TIME);
}

static int native_duration(lua_State *L)
{
    return make_time(L, SL_VALUE_DURATION);
}

static int native_now(lua_State *L)
{
    struct sl_clock *clock = lua_shard_of(L)->call_clock;
    return box_push_time(L, SL_VALUE_TIME, 0, clock->wall_ns(clock));
}

const luaL_Reg lua_box_natives[] = {{"binary", native_binary},
                                    {"time", native_time},
                                    {"duration", native_duration},
                                    {"now", native_now},
                                    {NULL, NULL}};
