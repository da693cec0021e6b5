/* SPDX-License-Identifier: MIT */
/* The machine of a shard: LuaJIT's allocator behind the limits, its libraries, the prelude. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"
#include "nodes/script/lua/prelude.inc"
#include "nodes/script/spares.h"

/* What no script can be given back from: an error outside of every protected call is a bug here. */
static int panic(lua_State *L)
{
    sl_log(SL_LOG_ERROR, "lua: error outside of a call: %s", lua_tostring(L, -1));
    sl_unreachable();
}

static void libraries_open(lua_State *L)
{
    static const lua_CFunction libraries[] = {luaopen_base, luaopen_table, luaopen_string,
                                              luaopen_math, luaopen_bit,   luaopen_jit};
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        lua_pushcfunction(L, libraries[i]);
        lua_call(L, 0, 0);
    }
}

/*
 * Compiled code of scripts that are gone is given back only when all of it is (then it is compiled
 * again), and this build of LuaJIT would let it grow to 40 MiB.
 */
static void compiler_set(lua_State *L)
{
    static const char text[] = "jit.opt.start('maxmcode=" LUA_CODE_KIB "', 'maxtrace=4000')";
    if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=sluice", "t") != 0) (void)lua_error(L);
    lua_call(L, 0, 0);
}

/* The table that the prelude gets. */
static void natives_push(lua_State *L)
{
    static const struct {
        const char *name;
        int value;
    } kinds[] = {{"LAZY", LUA_KIND_LAZY},
                 {"LIST", LUA_KIND_LIST},
                 {"MAP", LUA_KIND_MAP},
                 {"ERROR", LUA_KIND_ERROR},
                 {"FROZEN", LUA_KIND_FROZEN},
                 {"GLOBALS", LUA_KIND_GLOBALS},
                 {"null", 0}};
    static const struct {
        const char *name;
        int value;
    } levels[] = {{"DEBUG", SL_LOG_DEBUG},
                  {"INFO", SL_LOG_INFO},
                  {"WARN", SL_LOG_WARN},
                  {"FAULT", SL_LOG_ERROR}};
    lua_newtable(L);
    luaL_register(L, NULL, lua_host_natives);
    luaL_register(L, NULL, lua_box_natives);
    luaL_register(L, NULL, lua_json_natives);
    luaL_register(L, NULL, lua_string_natives);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)kinds[i].value);
        lua_setfield(L, -2, kinds[i].name);
    }
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        lua_pushinteger(L, levels[i].value);
        lua_setfield(L, -2, levels[i].name);
    }
    lua_pushcfunction(L, luaopen_ffi);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, "ffi");
}

int lua_load_wrapped(lua_State *L, const char *text, size_t size, const char *chunk)
{
    static const char head[] = "local " LUA_COUNTER "," LUA_BELL "={0},...return function(...)";
    static const char tail[] = "\nend";
    size_t all = sizeof(head) - 1 + size + sizeof(tail) - 1;
    char *whole = malloc(all);
    if (whole == NULL) return LUA_ERRMEM;
    memcpy(whole, head, sizeof(head) - 1);
    memcpy(whole + sizeof(head) - 1, text, size);
    memcpy(whole + sizeof(head) - 1 + size, tail, sizeof(tail) - 1);
    int result = luaL_loadbufferx(L, whole, all, chunk, "t");
    free(whole);
    return result;
}

static int ref_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    sl_assert(lua_isfunction(L, -1));
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The bell, and the coroutine on whose stack the allocator finds it. */
static void bell_make(lua_State *L, struct lua_shard *shard)
{
    shard->side = lua_newthread(L);
    (void)luaL_ref(L, LUA_REGISTRYINDEX);
    lua_createtable(L, 3, 0);
    lua_pushnumber(L, 0);
    lua_rawseti(L, -2, 1);
    lua_pushnumber(L, 0);
    lua_rawseti(L, -2, 3);
    lua_pushcfunction(L, lua_native_tick);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, -1);
    shard->ref_bell = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_xmove(L, shard->side, 1);
    lua_getglobal(L, "error");
    shard->error_function = lua_topointer(L, -1);
    lua_pop(L, 1);
}

/* Runs in a protected call: everything that may raise. */
static int machine_fill(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    libraries_open(L);
    compiler_set(L);
    bell_make(L, shard);
    lua_push_open(L, shard);
    lua_box_open(L, shard);
    struct lua_rewrite rewrite;
    if (lua_rewrite(sl_slice_make(prelude_text, sizeof(prelude_text) - 1), true, &rewrite, NULL) <
        0) {
        return luaL_error(L, "not enough memory");
    }
    int failed = lua_load_wrapped(L, rewrite.text, rewrite.size, "=sluice");
    lua_rewrite_fini(&rewrite);
    if (failed) return lua_error(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_bell);
    lua_call(L, 1, 1);
    natives_push(L);
    lua_call(L, 1, 1);
    shard->ref_base = ref_field(L, "base");
    shard->ref_freeze = ref_field(L, "freeze");
    shard->ref_enter = ref_field(L, "enter");
    shard->ref_cdata_kind = ref_field(L, "cdata_kind");
    shard->ref_cdata_new = ref_field(L, "cdata_new");
    shard->ref_reset = ref_field(L, "reset");
    return 0;
}

static struct sl_spares spares;

static struct lua_shard *machine_new(struct sl_diag *reterr)
{
    struct lua_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL) return NULL;
    sl_spares_born(&spares);
    shard->clock = sl_clock_system();
    shard->call_clock = shard->clock;
    shard->used_max = SIZE_MAX;
    shard->bell_at = SIZE_MAX;
    sl_out_init(&shard->text, NULL);
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        sl_spares_died(&spares);
        free(shard);
        return NULL;
    }
    shard->L = L;
    shard->alloc = lua_getallocf(L, &shard->alloc_ctx);
    shard->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    lua_setallocf(L, lua_limit_alloc, shard);
    (void)lua_atpanic(L, panic);
    if (lua_cpcall(L, machine_fill, NULL) != 0) {
        (void)sl_diag_set(reterr, "script_engine", (struct sl_pos){0, 0},
                          "this LuaJIT cannot be used: %s", lua_tostring(L, -1));
        return lua_shard_free(shard);
    }
    lua_settop(L, 0);
    lua_pushcfunction(L, lua_handler); /* stays at 1 */
    (void)lua_gc(L, LUA_GCCOLLECT, 0);
    shard->live = shard->used;
    return shard;
}

uint32_t sl_lua_machines_waiting(void)
{
    return sl_spares_waiting(&spares);
}

void lua_prepare(const struct sl_script *script, uint32_t shards)
{
    (void)script;
    if (shards > SL_SHARDS_MAX) shards = SL_SHARDS_MAX;
    while (sl_spares_made(&spares) < shards) {
        struct lua_shard *shard = machine_new(NULL);
        if (shard == NULL) return; /* whoever needs it will find out why */
        if (!sl_spares_put(&spares, shard)) (void)lua_shard_free(shard);
    }
}

struct lua_shard *lua_shard_new(struct sl_diag *reterr)
{
    struct lua_shard *shard = sl_spares_take(&spares);
    return shard != NULL ? shard : machine_new(reterr);
}

struct lua_shard *lua_shard_free(struct lua_shard *shard)
{
    if (shard == NULL) return NULL;
    lua_lazies_reset(shard);
    /* Closing knows its own allocator and gives all of its memory back at once. */
    lua_setallocf(shard->L, shard->alloc, shard->alloc_ctx);
    lua_close(shard->L);
    free(shard->lazies);
    free(shard->values);
    free(shard->keys);
    sl_out_fini(&shard->text);
    sl_spares_died(&spares);
    free(shard);
    return NULL;
}
