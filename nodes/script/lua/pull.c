/* SPDX-License-Identifier: MIT */
/*
 * Lua → cells, without recursion and without a call that could raise: it runs outside of protected
 * calls, after the limits were lifted. Containers that are open wait on a stack of frames, their
 * tables on Lua's stack.
 *
 * A table is a list if all its keys are 1, 2, 3 … (with few holes, which are null), else a map. An
 * empty one is a map, unless it came as a list or was marked by json.array. Keys of tables that came
 * in keep their order, and new ones follow; those of other tables are sorted by their bytes.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "nodes/script/lua/lua_private.h"

enum {
    ASK_STEPS = 1024,
    HOLES_MAX = 8,
    SORT_SMALL = 16,
    KEYS_KEPT = 4096,
    MESSAGE_SIZE_MAX = 65536
};

enum pull_kind { PULL_LIST, PULL_MAP, PULL_ERROR };

struct pull_frame {
    enum pull_kind kind;
    int table;             /* on Lua's stack */
    struct lua_lazy *lazy; /* PULL_MAP, PULL_ERROR: where it came from, or NULL */
    uint32_t next;         /* item, pair or part */
    uint32_t count;
    uint32_t keys_first; /* of the shard's keys: those that are not in `lazy`, sorted */
    uint32_t keys_next;
    uint32_t keys_end;
};

struct puller {
    lua_State *L;
    struct lua_shard *shard;
    struct sl_builder *builder;
    const char *error; /* why it cannot be done: `reason` or a literal */
    char *reason;
    size_t reason_size;
    uint32_t steps;
    uint32_t depth;
    struct pull_frame frames[SL_PAYLOAD_DEPTH_MAX + 1];
};

static const char text_no_memory[] = "not enough memory";
static const char text_stopped[] = "the script did not end before its deadline";

/* ---- Scalars ------------------------------------------------------------------------------- */

static void build_number(struct sl_builder *builder, double value)
{
    bool is_whole = fabs(value) <= 9007199254740992.0 && value == trunc(value);
    if (is_whole && (value != 0 || !signbit(value))) {
        sl_build_int(builder, (int64_t)value);
    } else {
        sl_build_float(builder, value);
    }
}

/* Text that is UTF-8 is a String, other bytes are Binary. */
static void build_text(struct puller *p, int index)
{
    size_t size;
    const uint8_t *text = (const uint8_t *)lua_tolstring(p->L, index, &size);
    const struct sl_buf *buf = p->builder->buf;
    if (buf != NULL && buf->bytes_size + size > p->shard->script->memory_max) {
        lua_limit_exceeded(p->shard);
        p->error = text_no_memory;
    } else if (sl_utf8_is_valid(text, size)) {
        sl_build_string(p->builder, text, size);
    } else {
        sl_build_binary(p->builder, text, size);
    }
}

/* 64-bit numbers are `cdata` of two types; which of them, only the machine's library can tell. */
static bool build_cdata(struct puller *p, int index)
{
    lua_State *L = p->L;
    uint64_t bits;
    lua_rawgeti(L, LUA_REGISTRYINDEX, p->shard->ref_cdata_kind);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != 0) lua_pushnumber(L, 0);
    int kind = (int)lua_tonumber(L, -1);
    lua_pop(L, 1);
    if (kind == 0) return false;
    memcpy(&bits, lua_topointer(L, index), sizeof(bits));
    if (kind == 1) {
        sl_build_int(p->builder, (int64_t)bits);
    } else {
        sl_build_uint(p->builder, bits);
    }
    return true;
}

static void refuse(struct puller *p, int index)
{
    int type = lua_type(p->L, index);
    (void)snprintf(p->reason, p->reason_size, "a %s cannot be part of a payload",
                   type == 10 ? "cdata" : lua_typename(p->L, type));
    p->error = p->reason;
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static struct sl_slice key_text(const struct lua_key *key)
{
    return sl_slice_make(key->data != NULL ? key->data : key->text, key->size);
}

static int key_compare(const void *a, const void *b)
{
    return sl_slice_compare(key_text(a), key_text(b));
}

static void keys_sort(struct lua_key *keys, uint32_t count)
{
    if (count > SORT_SMALL) {
        qsort(keys, count, sizeof(*keys), key_compare);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        struct lua_key key = keys[i];
        uint32_t at = i;
        for (; at > 0 && key_compare(&keys[at - 1], &key) > 0; at--) keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

static struct lua_key *key_add(struct puller *p)
{
    struct lua_shard *shard = p->shard;
    if (shard->keys_count == shard->keys_cap) {
        uint32_t cap = shard->keys_cap ? shard->keys_cap * 2 : 64;
        struct lua_key *keys = realloc(shard->keys, cap * sizeof(*keys));
        if (keys == NULL) {
            p->error = text_no_memory;
            return NULL;
        }
        shard->keys = keys;
        shard->keys_cap = cap;
    }
    return &shard->keys[shard->keys_count++];
}

/* True if the table's key on top of the stack is one of `lazy` or hidden. */
static bool key_is_old(lua_State *L, const struct lua_lazy *lazy, int index)
{
    if (lua_islightuserdata(L, index)) return lua_touserdata(L, index) == &lua_lazy_key;
    if (lazy == NULL || lua_type(L, index) != LUA_TSTRING) return false;
    size_t size;
    const char *key = lua_tolstring(L, index, &size);
    return sl_value_find_hashed(lazy->map, key, size, sl_hash16(key, size)) >= 0;
}

/* Collect the key at -2 of the stack. */
static bool key_collect(struct puller *p)
{
    lua_State *L = p->L;
    int type = lua_type(L, -2);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        (void)snprintf(p->reason, p->reason_size, "a %s cannot be a key of a payload",
                       type == 10 ? "cdata" : lua_typename(L, type));
        p->error = p->reason;
        return false;
    }
    struct lua_key *key = key_add(p);
    if (key == NULL) return false;
    if (type == LUA_TSTRING) {
        key->data = lua_tolstring(L, -2, &key->size);
    } else {
        key->data = NULL;
        key->number = lua_tonumber(L, -2);
        key->size = (size_t)snprintf(key->text, sizeof(key->text), "%.14g", key->number);
    }
    return true;
}

/* The deadline holds for conversions too. */
static bool may_go_on(struct puller *p)
{
    if ((++p->steps & (ASK_STEPS - 1)) != 0) return true;
    if (!lua_limit_ask(p->shard)) p->error = text_stopped;
    return p->error == NULL;
}

/* Collect and sort the keys of the table on top that `frame->lazy` does not have. */
static void keys_collect(struct puller *p, struct pull_frame *frame)
{
    lua_State *L = p->L;
    frame->keys_first = frame->keys_next = p->shard->keys_count;
    lua_pushnil(L);
    while (lua_next(L, frame->table)) {
        if ((!key_is_old(L, frame->lazy, -2) && !key_collect(p)) || !may_go_on(p)) {
            lua_pop(L, 2);
            break;
        }
        lua_pop(L, 1);
    }
    frame->keys_end = p->shard->keys_count;
    keys_sort(&p->shard->keys[frame->keys_first], frame->keys_end - frame->keys_first);
}

/* ---- Containers ---------------------------------------------------------------------------- */

/* Is the table on top a list by its keys? Its length then. */
static bool is_list(struct puller *p, uint32_t *ret_count)
{
    lua_State *L = p->L;
    double most = 0;
    uint32_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key < 1 || key != trunc(key) || !may_go_on(p)) {
            lua_pop(L, 2);
            return false;
        }
        if (key > most) most = key;
        count++;
        lua_pop(L, 1);
    }
    if (count == 0 || most > (double)count * 2 + HOLES_MAX) return false;
    *ret_count = (uint32_t)most;
    return true;
}

static bool is_empty(lua_State *L)
{
    lua_pushnil(L);
    if (!lua_next(L, -2)) return true;
    lua_pop(L, 2);
    return false;
}

static struct lua_lazy *origin_get(struct puller *p)
{
    lua_State *L = p->L;
    if (!p->shard->origins_used) return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, p->shard->ref_origins);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    struct lua_lazy *lazy = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return lazy;
}

static struct pull_frame *frame_open(struct puller *p, enum pull_kind kind)
{
    if (p->depth == SL_PAYLOAD_DEPTH_MAX || !lua_checkstack(p->L, 8)) {
        p->error = "the value nests deeper than a payload may (or contains itself)";
        return NULL;
    }
    struct pull_frame *frame = &p->frames[p->depth++];
    *frame = (struct pull_frame){.kind = kind, .table = lua_gettop(p->L)};
    return frame;
}

static void map_open(struct puller *p, struct lua_lazy *lazy, bool has_new)
{
    struct pull_frame *frame = frame_open(p, PULL_MAP);
    if (frame == NULL) return;
    frame->lazy = lazy;
    frame->count = lazy != NULL ? sl_value_count(lazy->map) : 0;
    if (has_new) keys_collect(p, frame);
    sl_build_map_begin(p->builder);
}

static void list_open(struct puller *p, uint32_t count)
{
    struct pull_frame *frame = frame_open(p, PULL_LIST);
    if (frame == NULL) return;
    frame->count = count;
    sl_build_list_begin(p->builder);
}

static void error_open(struct puller *p)
{
    struct pull_frame *frame = frame_open(p, PULL_ERROR);
    if (frame == NULL) return;
    if (lua_kind_at(p->L, -1) == LUA_KIND_ERROR) frame->lazy = lua_lazy_get(p->L, -1);
    frame->count = SL_ERROR_CELLS;
    sl_build_error_begin(p->builder);
}

/* Put what a read-only table shows in its place. */
static void frozen_follow(lua_State *L)
{
    if (!lua_getmetatable(L, -1)) return;
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, -2);
    bool is_frozen = lua_islightuserdata(L, -1) &&
                     (uintptr_t)lua_touserdata(L, -1) == (uintptr_t)LUA_KIND_FROZEN;
    lua_pop(L, 1);
    if (is_frozen) {
        lua_pushliteral(L, "__index");
        lua_rawget(L, -2);
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
}

/* The table on top: opened, or built whole and popped. */
static void table_open(struct puller *p)
{
    lua_State *L = p->L;
    uint32_t count = 0;
    enum lua_kind kind = lua_kind_at(L, -1);
    struct lua_lazy *lazy = NULL;
    if (kind == LUA_KIND_NONE) frozen_follow(L);
    if (kind == LUA_KIND_ERROR) {
        error_open(p);
        return;
    }
    if (kind == LUA_KIND_LAZY) {
        lazy = lua_lazy_get(L, -1);
        if (lazy != NULL && lazy->taken == 0 && !lazy->grown) {
            sl_build_value(p->builder, lazy->map);
            lua_pop(L, 1);
            return;
        }
        if (lazy != NULL) {
            map_open(p, lazy, lazy->grown);
            return;
        }
    }
    if (kind == LUA_KIND_LIST && is_empty(L)) {
        list_open(p, 0);
    } else if (kind != LUA_KIND_MAP && is_list(p, &count)) {
        list_open(p, count);
    } else if (p->error == NULL) {
        map_open(p, kind == LUA_KIND_MAP ? origin_get(p) : NULL, true);
    }
}

/* Build the value on top of the stack and pop it, or open it. */
static void value_open(struct puller *p)
{
    lua_State *L = p->L;
    switch (lua_type(L, -1)) {
    case LUA_TNIL: sl_build_null(p->builder); break;
    case LUA_TBOOLEAN: sl_build_bool(p->builder, lua_toboolean(L, -1)); break;
    case LUA_TNUMBER: build_number(p->builder, lua_tonumber(L, -1)); break;
    case LUA_TSTRING: build_text(p, -1); break;
    case LUA_TTABLE: table_open(p); return;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, -1) == NULL) {
            sl_build_null(p->builder);
        } else {
            refuse(p, -1);
        }
        break;
    case LUA_TUSERDATA:
        if (!lua_box_build(L, p->shard, -1, p->builder)) refuse(p, -1);
        break;
    default:
        if (lua_type(L, -1) != 10 || !build_cdata(p, lua_gettop(L))) refuse(p, -1);
        break;
    }
    lua_pop(L, 1);
}

/* ---- Steps --------------------------------------------------------------------------------- */

/* The pairs that came in, then the new ones. False at the end. */
static bool map_step(struct puller *p, struct pull_frame *frame)
{
    lua_State *L = p->L;
    if (frame->next < frame->count) {
        uint32_t pair = frame->next++;
        struct sl_value map = frame->lazy->map;
        struct sl_slice key = sl_value_key_at(map, pair);
        /* Of a large map, which was never lazy, the table alone counts. */
        if (frame->count <= LUA_LAZY_PAIRS_MAX && !(frame->lazy->taken >> pair & 1)) {
            sl_build_key(p->builder, key.data, key.size);
            sl_build_part(p->builder, map.buf, &map.buf->cells[map.cell->word + 2 * pair + 1]);
            return true;
        }
        lua_pushlstring(L, (const char *)key.data, key.size);
        lua_rawget(L, frame->table);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            return true;
        }
        sl_build_key(p->builder, key.data, key.size);
        value_open(p);
        return true;
    }
    if (frame->keys_next == frame->keys_end) return false;
    const struct lua_key *key = &p->shard->keys[frame->keys_next++];
    struct sl_slice text = key_text(key);
    if (key->data != NULL) {
        lua_pushlstring(L, key->data, key->size);
    } else {
        lua_pushnumber(L, key->number);
    }
    lua_rawget(L, frame->table);
    sl_build_key(p->builder, text.data, text.size);
    value_open(p);
    return true;
}

/* Where the last error was raised, as data of an Error that has none. */
static void build_origin(struct puller *p)
{
    const struct lua_script *script = p->shard->script;
    struct sl_pos pos = lua_script_place(script, p->shard->error_line);
    if (pos.line == 0) {
        sl_build_null(p->builder);
        return;
    }
    sl_build_map_begin(p->builder);
    if (script->file[0] != '\0') {
        sl_build_key_str(p->builder, "file");
        sl_build_string_str(p->builder, script->file);
    }
    sl_build_key_str(p->builder, "line");
    sl_build_int(p->builder, pos.line);
    sl_build_key_str(p->builder, "column");
    sl_build_int(p->builder, pos.column);
    sl_build_map_end(p->builder);
}

static void error_word(struct puller *p, const char *otherwise)
{
    if (lua_type(p->L, -1) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(p->L, -1, &size);
        sl_build_string(p->builder, text, size);
    } else {
        sl_build_string_str(p->builder, otherwise);
    }
    lua_pop(p->L, 1);
}

static bool error_step(struct puller *p, struct pull_frame *frame)
{
    static const char *const names[SL_ERROR_CELLS] = {"code", "message", "cause", "data", "status"};
    lua_State *L = p->L;
    if (frame->next == frame->count) return false;
    uint32_t part = frame->next++;
    lua_pushstring(L, names[part]);
    lua_rawget(L, frame->table);
    bool is_nil = lua_isnil(L, -1) || lua_islightuserdata(L, -1);
    switch (part) {
    case SL_ERROR_CODE: error_word(p, "script_error"); return true;
    case SL_ERROR_MESSAGE: error_word(p, "the script raised an error"); return true;
    case SL_ERROR_CAUSE:
        if (lua_istable(L, -1)) {
            error_open(p);
            return true;
        }
        sl_build_null(p->builder);
        break;
    case SL_ERROR_DATA:
        if (!is_nil) {
            value_open(p);
            return true;
        }
        if (frame->lazy != NULL && frame->lazy->taken == 0) {
            sl_build_value(p->builder, sl_error_part(frame->lazy->map, SL_ERROR_DATA));
        } else if (p->depth == 1 && lua_kind_at(L, frame->table) != LUA_KIND_ERROR) {
            build_origin(p);
        } else {
            sl_build_null(p->builder);
        }
        break;
    default: {
        double status = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (status >= 100 && status <= 599 && status == trunc(status)) {
            sl_build_int(p->builder, (int64_t)status);
        } else {
            sl_build_null(p->builder);
        }
    }
    }
    lua_pop(L, 1);
    return true;
}

static bool frame_step(struct puller *p, struct pull_frame *frame)
{
    switch (frame->kind) {
    case PULL_MAP: return map_step(p, frame);
    case PULL_ERROR: return error_step(p, frame);
    case PULL_LIST: break;
    }
    if (frame->next == frame->count) return false;
    lua_rawgeti(p->L, frame->table, (int)++frame->next);
    value_open(p);
    return true;
}

static void frame_close(struct puller *p, struct pull_frame *frame)
{
    switch (frame->kind) {
    case PULL_MAP:
        sl_build_map_end(p->builder);
        p->shard->keys_count = frame->keys_first;
        break;
    case PULL_LIST: sl_build_list_end(p->builder); break;
    case PULL_ERROR: sl_build_error_end(p->builder); break;
    }
    lua_settop(p->L, frame->table - 1);
    p->depth--;
}

static const char *pull_all(struct puller *p, int top)
{
    while (p->depth > 0 && p->error == NULL && p->builder->error == 0 && may_go_on(p)) {
        struct pull_frame *frame = &p->frames[p->depth - 1];
        if (!frame_step(p, frame)) frame_close(p, frame);
    }
    lua_settop(p->L, top);
    p->shard->keys_count = 0;
    if (p->shard->keys_cap > KEYS_KEPT) {
        free(p->shard->keys);
        p->shard->keys = NULL;
        p->shard->keys_cap = 0;
    }
    if (p->error == NULL && p->builder->error == -E2BIG)
        return "the value is larger than a payload may be";
    return p->error;
}

static void puller_init(struct puller *p, lua_State *L, struct lua_shard *shard,
                        struct sl_builder *builder)
{
    p->L = L;
    p->shard = shard;
    p->builder = builder;
    p->error = NULL;
    p->reason = NULL;
    p->reason_size = 0;
    p->steps = 0;
    p->depth = 0;
}

const char *lua_pull_value(lua_State *L, struct lua_shard *shard, int index,
                           struct sl_builder *builder, char *reason, size_t reason_size)
{
    sl_assert(builder != NULL);
    sl_assert(reason != NULL);
    struct puller p;
    puller_init(&p, L, shard, builder);
    p.reason = reason;
    p.reason_size = reason_size;
    int top = lua_gettop(L);
    if (!lua_checkstack(L, SL_PAYLOAD_DEPTH_MAX + 16)) return text_no_memory;
    lua_pushvalue(L, index);
    value_open(&p);
    return pull_all(&p, top);
}

/* ---- Errors -------------------------------------------------------------------------------- */

/* What was raised as the message of an Error of its own. */
static struct sl_value error_from_text(lua_State *L, struct lua_shard *shard, struct sl_mem *mem,
                                       struct sl_slice message)
{
    struct sl_builder builder;
    struct sl_value value;
    struct puller p;
    sl_builder_init(&builder, mem, 16, (uint32_t)message.size + 64);
    puller_init(&p, L, shard, &builder);
    sl_build_error_begin(&builder);
    sl_build_string_str(&builder, "script_error");
    sl_build_string(&builder, message.data, message.size);
    sl_build_null(&builder);
    build_origin(&p);
    sl_build_null(&builder);
    sl_build_error_end(&builder);
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}

static struct sl_value error_from_table(lua_State *L, struct lua_shard *shard, struct sl_mem *mem)
{
    struct sl_builder builder;
    struct sl_value value;
    struct puller p;
    char reason[128];
    int top = lua_gettop(L);
    if (!lua_checkstack(L, SL_PAYLOAD_DEPTH_MAX + 16)) return sl_value_none();
    sl_builder_init(&builder, mem, 32, 256);
    puller_init(&p, L, shard, &builder);
    p.reason = reason;
    p.reason_size = sizeof(reason);
    lua_pushvalue(L, -1);
    error_open(&p);
    const char *error = pull_all(&p, top);
    if (error == NULL) return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
    sl_builder_fini(&builder);
    return error_from_text(L, shard, mem, sl_slice_from_str(error));
}

struct sl_value lua_pull_error(lua_State *L, struct lua_shard *shard, struct sl_mem *mem)
{
    int type = lua_type(L, -1);
    if (type == LUA_TTABLE) return error_from_table(L, shard, mem);
    char text[64];
    struct sl_slice message;
    if (type == LUA_TSTRING) {
        message.data = (const uint8_t *)lua_tolstring(L, -1, &message.size);
        uint32_t line = lua_message_line(&message);
        if (line > 0 && !shard->error_in_tail) shard->error_line = line;
    } else if (type == LUA_TNUMBER) {
        message.size = (size_t)snprintf(text, sizeof(text), "%.14g", lua_tonumber(L, -1));
        message.data = (const uint8_t *)text;
    } else {
        message.size = (size_t)snprintf(text, sizeof(text), "the script raised a %s",
                                        type == 10 ? "cdata" : lua_typename(L, type));
        message.data = (const uint8_t *)text;
    }
    if (message.size > MESSAGE_SIZE_MAX) message.size = MESSAGE_SIZE_MAX;
    return error_from_text(L, shard, mem, message);
}
