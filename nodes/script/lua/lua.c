/* SPDX-License-Identifier: MIT */
/* The engine: compile on a control thread, attach and run on a shard. See lua.h for the picture. */
#include "nodes/script/lua/lua.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

/* ---- Compile ------------------------------------------------------------------------------- */

static struct lua_script *script_free(struct lua_script *script)
{
    if (script == NULL) return NULL;
    if (script->source.env.buf != NULL) sl_buf_free_immortal(script->source.env.buf);
    lua_rewrite_fini(&script->rewrite);
    free(script->code);
    free(script->file);
    free(script->name);
    free(script->places);
    free(script);
    return NULL;
}

static void lua_script_free(struct sl_script *script)
{
    (void)script_free((struct lua_script *)script);
}

static struct lua_script *script_new(const struct sl_script_source *source)
{
    struct lua_script *script = calloc(1, sizeof(*script));
    if (script == NULL) return NULL;
    script->base.engine = &sl_engine_lua;
    script->source = *source;
    script->source.env = sl_value_none();
    script->file = strdup(source->file != NULL ? source->file : "");
    script->name = strdup(source->name != NULL ? source->name : "");
    script->timeout_ns =
        (source->timeout_ms ? source->timeout_ms : SL_SCRIPT_TIMEOUT_MS) * SL_NS_PER_MS;
    script->memory_max = source->memory_max ? source->memory_max : SL_SCRIPT_MEMORY;
    bool good = script->file != NULL && script->name != NULL;
    if (good && source->env.cell != NULL) {
        good = sl_value_copy(source->env, NULL, &script->source.env) == 0;
        if (good && script->source.env.buf != NULL) sl_buf_immortalize(script->source.env.buf);
    }
    return good ? script : script_free(script);
}

/* Where each line of the rewritten text stands in the author's file. */
static int places_make(struct lua_script *script)
{
    const struct lua_rewrite *rewrite = &script->rewrite;
    script->places = malloc(rewrite->lines_count * sizeof(*script->places));
    if (script->places == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < rewrite->lines_count; i++) {
        struct sl_pos pos = rewrite->lines[i];
        script->places[i] = sl_script_pos(&script->source, pos.line, pos.column);
    }
    free(script->rewrite.lines);
    script->rewrite.lines = NULL;
    return 0;
}

static int code_write(lua_State *L, const void *data, size_t size, void *ctx)
{
    (void)L;
    sl_out_append(ctx, data, size);
    return ((struct sl_out *)ctx)->error;
}

/* "… at line 57)" → the line of the file, in place of the rewritten text's. */
static void message_fix(const struct lua_script *script, struct sl_slice message, char *text,
                        size_t text_size)
{
    static const char mark[] = " at line ";
    const uint8_t *at = memmem(message.data, message.size, mark, sizeof(mark) - 1);
    if (at == NULL) {
        (void)snprintf(text, text_size, "%.*s", SL_SLICE_FMT(message));
        return;
    }
    at += sizeof(mark) - 1;
    char *rest;
    unsigned long line = strtoul((const char *)at, &rest, 10);
    struct sl_pos pos = lua_script_place(script, (uint32_t)line);
    (void)snprintf(text, text_size, "%.*s%u%s", (int)(at - message.data),
                   (const char *)message.data, pos.line, rest);
}

/* The compiler's message at the top of the stack as a diagnostic. */
static int syntax_error(lua_State *L, const struct lua_script *script, struct sl_diag *reterr)
{
    char text[SL_DIAG_TEXT_SIZE / 2];
    struct sl_slice message = sl_slice_from_str(lua_tostring(L, -1));
    struct sl_pos pos = lua_script_place(script, lua_message_line(&message));
    message_fix(script, message, text, sizeof(text));
    /* A counter that stands where the author left something out would only puzzle. */
    char *counter = strstr(text, " near '\xff");
    if (counter != NULL) *counter = '\0';
    (void)sl_diag_set(reterr, "script_syntax", pos.line > 0 ? pos : script->source.pos, "%s", text);
    sl_diag_file(reterr, script->file);
    return -EINVAL;
}

/* Compile the text alone (an `end` too many must not close the wrapper), then wrapped. */
static int code_make(lua_State *L, struct lua_script *script, struct sl_diag *reterr)
{
    const struct lua_rewrite *rewrite = &script->rewrite;
    int result = luaL_loadbufferx(L, rewrite->text, rewrite->size, "=" LUA_CHUNK, "t");
    if (result == 0) result = lua_load_wrapped(L, rewrite->text, rewrite->size, "=" LUA_CHUNK);
    if (result == LUA_ERRMEM) return -ENOMEM;
    if (result != 0) return syntax_error(L, script, reterr);
    struct sl_out out;
    sl_out_init(&out, NULL);
    int err = lua_dump(L, code_write, &out);
    if (err != 0 || out.error != 0) {
        sl_out_fini(&out);
        return -ENOMEM;
    }
    size_t cap;
    script->code = sl_out_take(&out, &script->code_size, &cap);
    return 0;
}

static int script_fill(struct lua_script *script, struct sl_diag *reterr)
{
    int err = lua_rewrite(script->source.code, true, &script->rewrite, reterr);
    if (err == -EINVAL && reterr != NULL) {
        reterr->pos = sl_script_pos(&script->source, reterr->pos.line, reterr->pos.column);
        sl_diag_file(reterr, script->file);
    }
    if (err < 0) return err;
    err = places_make(script);
    if (err < 0) return err;
    lua_State *L = luaL_newstate();
    if (L == NULL) return -ENOMEM;
    err = code_make(L, script, reterr);
    lua_close(L);
    free(script->rewrite.text);
    script->rewrite.text = NULL;
    return err;
}

static int lua_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                       struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    if (source->code.size > SL_SCRIPT_SOURCE_SIZE_MAX) {
        return sl_diag_set(reterr, "script_size", source->pos, "the script is larger than %d bytes",
                           SL_SCRIPT_SOURCE_SIZE_MAX);
    }
    if (source->memory_max > LUA_MEMORY_MAX) {
        return sl_diag_set(reterr, "script_memory", source->pos,
                           "memory: a Lua script may have at most 512 MiB, because LuaJIT's tables "
                           "and texts end soon after");
    }
    struct lua_script *script = script_new(source);
    if (script == NULL) return -ENOMEM;
    int err = script_fill(script, reterr);
    if (err < 0) {
        (void)script_free(script);
        return err;
    }
    /* Text, file and place were lent for this call. */
    script->source.code = sl_slice_make(NULL, 0);
    script->source.file = script->file;
    script->source.name = script->name;
    script->source.place = NULL;
    script->source.place_ctx = NULL;
    *ret_script = &script->base;
    return 0;
}

/* ---- Attach -------------------------------------------------------------------------------- */

static void lua_shard_fini(void *shard_state)
{
    (void)lua_shard_free(shard_state);
}

/* A new, empty table of globals that shows those of `base` at the top of the stack; pops it. */
static void globals_make(lua_State *L)
{
    lua_createtable(L, 0, 0); /* base, globals */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    lua_createtable(L, 0, 2); /* base, globals, meta */
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushlightuserdata(L, (void *)(uintptr_t)LUA_KIND_GLOBALS);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

/* Push what the globals of a script are based on, with its env. */
static void base_push(lua_State *L, struct lua_shard *shard, const struct lua_script *script)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_base);
    lua_call(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_freeze);
    if (script->source.env.cell != NULL) {
        lua_push_value(L, shard, script->source.env);
    } else {
        lua_newtable(L);
    }
    lua_call(L, 1, 1);
    lua_setfield(L, -2, "env");
}

/* Runs in a protected call with the instance as light userdata. */
static int instance_fill(lua_State *L)
{
    struct lua_instance *instance = lua_touserdata(L, 1);
    struct lua_shard *shard = instance->shard;
    const struct lua_script *script = shard->script;
    base_push(L, shard, script);
    globals_make(L);
    lua_pushvalue(L, -1);
    instance->ref_globals = luaL_ref(L, LUA_REGISTRYINDEX);
    if (luaL_loadbufferx(L, (const char *)script->code, script->code_size, "=" LUA_CHUNK, "b") !=
        0) {
        return lua_error(L);
    }
    lua_pushvalue(L, -2);
    (void)lua_setfenv(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_bell);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    instance->ref_factory = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_call(L, 0, 1); /* once, to see that it gives a function */
    if (!lua_isfunction(L, -1)) {
        return luaL_error(L, "the script returned a %s where a function was expected",
                          luaL_typename(L, -1));
    }
    if (script->rewrite.pure) instance->ref_main = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static void instance_free(struct lua_instance *instance)
{
    lua_State *L = instance->shard->L;
    luaL_unref(L, LUA_REGISTRYINDEX, instance->ref_factory);
    luaL_unref(L, LUA_REGISTRYINDEX, instance->ref_main);
    luaL_unref(L, LUA_REGISTRYINDEX, instance->ref_globals);
    free(instance);
}

/* Why a call ended, as an Error value; what was raised is at the top of the stack. */
static struct sl_value failure(struct lua_shard *shard, const struct lua_script *script, int status,
                               struct sl_mem *mem)
{
    if (shard->stop == LUA_STOP_DEADLINE) {
        return sl_value_new_error(mem, "script_deadline", 504,
                                  "the script did not end before its deadline");
    }
    if (shard->stop == LUA_STOP_MEMORY || status == LUA_ERRMEM) {
        return sl_value_new_error(mem, "script_memory", 0,
                                  "the script took more than %zu bytes of memory",
                                  script->memory_max);
    }
    if (status == LUA_ERRERR) {
        /* Our handler fails for one reason: the stack had no room for it. */
        return sl_value_new_error(mem, "script_error", 0, "stack overflow");
    }
    return lua_pull_error(shard->L, shard, mem);
}

/* The globals of a call that wrote any are replaced; the function is made anew for a pure script. */
static void globals_renew(struct lua_instance *instance)
{
    lua_State *L = instance->shard->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_globals);
    (void)lua_getmetatable(L, -1);
    lua_getfield(L, -1, "__index");
    lua_replace(L, -3);
    lua_pop(L, 1);
    globals_make(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, instance->ref_globals);
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_factory);
    lua_pushvalue(L, -2);
    (void)lua_setfenv(L, -2);
    if (instance->ref_main != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_main);
        lua_pushvalue(L, -3);
        (void)lua_setfenv(L, -2);
    }
    lua_settop(L, 1);
}

/* After a call: nothing of it stays. */
static void call_close(struct lua_instance *instance, int status)
{
    struct lua_shard *shard = instance->shard;
    lua_State *L = shard->L;
    shard->used_max = SIZE_MAX; /* what follows must not raise */
    lua_settop(L, 1);
    if (__builtin_expect(status != 0, 0)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_reset);
        lua_call(L, 0, 0);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_globals);
    if (instance->ref_globals != LUA_NOREF) {
        lua_pushnil(L);
        if (lua_next(L, -2)) globals_renew(instance);
    }
    lua_settop(L, 1);
    lua_lazies_reset(shard);
    lua_limit_end(shard);
}

static int attach_failure(struct lua_instance *instance, const struct lua_script *script,
                          int status, struct sl_diag *reterr)
{
    struct sl_value error = failure(instance->shard, script, status, NULL);
    if (error.cell == NULL) return -ENOMEM;
    struct sl_pos pos = lua_script_place(script, instance->shard->error_line);
    struct sl_slice message = sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE));
    (void)sl_diag_set(reterr, "script_error", pos.line > 0 ? pos : script->source.pos, "%.*s",
                      SL_SLICE_FMT(message));
    sl_diag_file(reterr, script->file);
    sl_value_unref(error);
    return -EINVAL;
}

static int lua_attach(struct sl_script *base, void **shard_state, void **ret_instance,
                      struct sl_diag *reterr)
{
    sl_assert(shard_state != NULL);
    sl_assert(ret_instance != NULL);
    struct lua_script *script = (struct lua_script *)base;
    if (reterr != NULL) reterr->code[0] = '\0';
    if (*shard_state == NULL) *shard_state = lua_shard_new(reterr);
    struct lua_shard *shard = *shard_state;
    if (shard == NULL) return reterr != NULL && reterr->code[0] != '\0' ? -EINVAL : -ENOMEM;
    struct lua_instance *instance = malloc(sizeof(*instance));
    if (instance == NULL) return -ENOMEM;
    *instance = (struct lua_instance){shard, LUA_NOREF, LUA_NOREF, LUA_NOREF};
    lua_State *L = shard->L;
    shard->mem = NULL;
    shard->error_line = 0;
    lua_pushcfunction(L, instance_fill);
    lua_pushlightuserdata(L, instance);
    uint64_t now_ns = sl_clock_now_ns(shard->clock);
    lua_limit_begin(shard, script, now_ns + LUA_PROBE_TIMEOUT_MS * SL_NS_PER_MS);
    size_t used = shard->used;
    int status = lua_pcall(L, 1, 0, 1);
    if (shard->used > used) shard->live += shard->used - used;
    int err = status != 0 ? attach_failure(instance, script, status, reterr) : 0;
    call_close(instance, status);
    if (err < 0) {
        instance_free(instance);
        return err;
    }
    *ret_instance = instance;
    return 0;
}

static void lua_detach(struct sl_script *script, void *shard_state, void *instance)
{
    (void)script;
    (void)shard_state;
    if (instance != NULL) instance_free(instance);
}

/* ---- Run ----------------------------------------------------------------------------------- */

/* When the call must end, on the machine's monotonic clock; 0: it is already late. */
static uint64_t end_of(const struct lua_shard *shard, const struct lua_script *script,
                       const struct sl_script_call *call)
{
    uint64_t left_ns = script->timeout_ns;
    uint64_t clock_ns = sl_clock_now_ns(call->clock);
    if (call->deadline_ns != UINT64_MAX) {
        if (clock_ns >= call->deadline_ns) return 0;
        if (call->deadline_ns - clock_ns < left_ns) left_ns = call->deadline_ns - clock_ns;
    }
    return (call->clock == shard->clock ? clock_ns : sl_clock_now_ns(shard->clock)) + left_ns;
}

/* Push inputs that may raise: (call as light userdata, function, functions's first arguments …). */
static int enter_with_inputs(lua_State *L)
{
    struct lua_shard *shard = lua_shard_of(L);
    const struct sl_script_call *call = lua_touserdata(L, 1);
    lua_remove(L, 1);
    int first = lua_gettop(L) - 1;
    lua_push_value(L, shard, call->input);
    luaL_checkstack(L, (int)call->args_count + 8, "arguments");
    for (uint32_t i = 0; i < call->args_count; i++) lua_push_value(L, shard, call->args[i]);
    lua_call(L, first + 1 + (int)call->args_count, 1);
    return 1;
}

/*
 * Push function and arguments, before the limits begin: nothing here may raise. What could (a list
 * is filled at once) is pushed inside the call; a Map as only input is not.
 *
 * returns  arguments behind the function
 */
static int call_push(struct lua_instance *instance, struct sl_script_call *call)
{
    struct lua_shard *shard = instance->shard;
    lua_State *L = shard->L;
    bool is_plain = call->args_count == 0 && sl_value_is(call->input, SL_VALUE_MAP) &&
                    sl_value_count(call->input) <= LUA_LAZY_PAIRS_MAX;
    int count = 0;
    if (!is_plain) {
        lua_pushcfunction(L, enter_with_inputs);
        lua_pushlightuserdata(L, call);
        count = 2;
    }
    if (instance->ref_main != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_main);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, shard->ref_enter);
        lua_rawgeti(L, LUA_REGISTRYINDEX, instance->ref_factory);
        count++;
    }
    if (is_plain) {
        lua_push_value(L, shard, call->input);
        count++;
    }
    return count;
}

static struct sl_value call_result(struct lua_shard *shard, const struct lua_script *script,
                                   struct sl_mem *mem)
{
    lua_State *L = shard->L;
    char reason[128];
    struct sl_builder builder;
    struct sl_value value;
    shard->used_max = SIZE_MAX; /* what follows must not raise */
    if (shard->stop == LUA_STOP_MEMORY) return failure(shard, script, 0, mem); /* at its very end */
    sl_builder_init(&builder, mem, 16, 128);
    const char *error = lua_pull_value(L, shard, lua_gettop(L), &builder, reason, sizeof(reason));
    if (error == NULL) {
        return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
    }
    sl_builder_fini(&builder);
    if (shard->stop != LUA_STOP_NONE) return failure(shard, script, 0, mem);
    return sl_value_new_error(mem, "script_error", 0, "the result of the script: %s", error);
}

static struct sl_value lua_run(struct sl_script *base, void *state, struct sl_script_call *call)
{
    sl_assert(state != NULL);
    sl_assert(call != NULL);
    sl_assert(call->input.cell != NULL);
    const struct lua_script *script = (const struct lua_script *)base;
    struct lua_instance *instance = state;
    struct lua_shard *shard = instance->shard;
    shard->stats.calls++;
    uint64_t end_ns = end_of(shard, script, call);
    if (end_ns == 0) {
        return sl_value_new_error(call->mem, "script_deadline", 504,
                                  "the deadline had passed before the script began");
    }
    shard->mem = call->mem;
    shard->call_clock = call->clock;
    int count = call_push(instance, call);
    lua_limit_begin(shard, script, end_ns);
    int status = lua_pcall(shard->L, count, 1, 1);
    struct sl_value result;
    if (__builtin_expect(status == 0, 1)) {
        result = call_result(shard, script, call->mem);
    } else {
        shard->used_max = SIZE_MAX;
        result = failure(shard, script, status, call->mem);
    }
    call_close(instance, status);
    return result;
}

void sl_lua_stats_get(const void *shard_state, struct sl_lua_stats *ret_stats)
{
    sl_assert(ret_stats != NULL);
    const struct lua_shard *shard = shard_state;
    *ret_stats = shard != NULL ? shard->stats : (struct sl_lua_stats){0};
    if (shard != NULL) ret_stats->memory_used = shard->used;
}

const struct sl_engine sl_engine_lua = {
    .name = "lua",
    .compile = lua_compile,
    .script_free = lua_script_free,
    .prepare = lua_prepare,
    .attach = lua_attach,
    .detach = lua_detach,
    .shard_fini = lua_shard_fini,
    .run = lua_run,
};
