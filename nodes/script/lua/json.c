/* SPDX-License-Identifier: MIT */
/*
 * json.encode and json.decode, over codecs/json: the same numbers, the same limits, the same text as
 * everywhere in the engine. What is decoded are lazy tables over cells, as for a payload.
 *
 * Errors raise; the functions of json.safe return nil and the message.
 */
#include <errno.h>
#include <string.h>

#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum { REASON_SIZE = 256, TEXT_KEPT = 256 * 1024 };

/* Build the value at `index` while nothing is refused. NULL, or why not. */
static const char *value_build(lua_State *L, struct lua_shard *shard, int index,
                               struct sl_value *ret_value, char *reason)
{
    struct sl_builder builder;
    size_t used_max = shard->used_max;
    shard->used_max = SIZE_MAX;
    sl_builder_init(&builder, shard->mem, 64, 1024);
    const char *error = lua_pull_value(L, shard, index, &builder, reason, REASON_SIZE);
    shard->used_max = used_max;
    if (error != NULL) {
        sl_builder_fini(&builder);
        return error;
    }
    int err = sl_builder_finish(&builder, ret_value);
    if (err == -ENOMEM) lua_limit_exceeded(shard);
    return err < 0 ? "not enough memory" : NULL;
}

/* The value at 1 as text in shard->text. NULL, or why not. */
static const char *encode(lua_State *L, struct lua_shard *shard, char *reason)
{
    struct sl_value value;
    bool is_pretty = lua_toboolean(L, 2);
    const char *error = value_build(L, shard, 1, &value, reason);
    if (error != NULL) return error;
    shard->text.size = 0;
    shard->text.error = 0;
    shard->text.max = shard->script->memory_max;
    int err = sl_json_write(value, is_pretty ? SL_JSON_PRETTY : 0, &shard->text);
    sl_value_unref(value);
    if (err == -E2BIG || err == -ENOMEM) lua_limit_exceeded(shard);
    return err < 0 ? "not enough memory" : NULL;
}

static int fail(lua_State *L, struct lua_shard *shard, const char *error, bool is_safe)
{
    if (shard->text.cap > TEXT_KEPT) sl_out_fini(&shard->text);
    if (shard->stop != LUA_STOP_NONE && shard->used_max != SIZE_MAX) return lua_limit_raise(L);
    if (!is_safe) return luaL_error(L, "%s", error);
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

static int encode_and_push(lua_State *L, bool is_safe)
{
    char reason[REASON_SIZE];
    struct lua_shard *shard = lua_shard_of(L);
    luaL_checkany(L, 1);
    const char *error = encode(L, shard, reason);
    if (error != NULL) return fail(L, shard, error, is_safe);
    /* If this raises, the text stays in the shard's buffer and is used again. */
    lua_pushlstring(L, (const char *)shard->text.data, shard->text.size);
    if (shard->text.cap > TEXT_KEPT) sl_out_fini(&shard->text);
    return 1;
}

/* Bytes behind a decoded value, about. */
static size_t value_size(struct sl_value value)
{
    const struct sl_buf *buf = value.buf;
    return buf != NULL ? buf->cells_count * sizeof(struct sl_cell) + buf->bytes_size : 0;
}

static int decode_and_push(lua_State *L, bool is_safe)
{
    struct lua_shard *shard = lua_shard_of(L);
    struct sl_value value;
    struct sl_diag diag = {0};
    struct sl_slice text;
    text.data = (const uint8_t *)luaL_checklstring(L, 1, &text.size);
    shard->charge += text.size / 4;
    if (shard->used_max != SIZE_MAX && shard->charge >= LUA_CHARGE_MAX) lua_limit_check(L, shard);
    int err = sl_json_parse(text, NULL, shard->mem, 0, &value, &diag);
    if (err == -ENOMEM) lua_limit_exceeded(shard);
    if (err < 0) {
        char reason[REASON_SIZE];
        const char *error = diag.text[0] != '\0' ? diag.text : "the text is larger than a payload";
        (void)snprintf(reason, sizeof(reason), "line %u, column %u: %.200s", diag.pos.line,
                       diag.pos.column, error);
        return fail(L, shard, diag.pos.line > 0 ? reason : error, is_safe);
    }
    size_t size = value_size(value);
    bool is_kept = lua_value_keep(shard, value);
    shard->values_size += is_kept ? size : 0;
    shard->used += is_kept ? size : 0;
    if (!is_kept || shard->used > shard->used_max) {
        lua_limit_exceeded(shard);
        return lua_limit_raise(L);
    }
    lua_push_value(L, shard, value);
    return 1;
}

static int json_encode(lua_State *L)
{
    return encode_and_push(L, false);
}

static int json_safe_encode(lua_State *L)
{
    return encode_and_push(L, true);
}

static int json_decode(lua_State *L)
{
    return decode_and_push(L, false);
}

static int json_safe_decode(lua_State *L)
{
    return decode_and_push(L, true);
}

const luaL_Reg lua_json_natives[] = {{"json_encode", json_encode},
                                     {"json_decode", json_decode},
                                     {"json_safe_encode", json_safe_encode},
                                     {"json_safe_decode", json_safe_decode},
                                     {NULL, NULL}};
