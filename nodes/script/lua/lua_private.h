/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. LuaJIT's headers are included here and nowhere outside this
 * folder.
 *
 * C functions that Lua calls may be left by an error at any call of the machine that allocates or
 * checks: they hold nothing that must be given back at that time (style page, "Memory").
 */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>

#include "codecs/flat/flat_fast.h"
#include "core/mem/out.h"
#include "nodes/script/engine.h"
#include "nodes/script/lua/lua.h"
#include "nodes/script/lua/rewrite.h"

enum {
    LUA_TICK_ROUNDS = 1000,             /* of the counter, between two looks at the clock */
    LUA_TICK_ROUNDS_MIN = 16,           /* with a heap that grew by much */
    LUA_TICK_GROWTH = 1024 * 1024,      /* bytes of growth from which rounds become fewer */
    LUA_LARGE_SIZE = 4096,              /* blocks that count towards a look at the clock */
    LUA_CHARGE_MAX = 512 * 1024,        /* bytes of large blocks between two looks */
    LUA_BELL_SHIFT = 4,                 /* garbage of cap >> this, before it is collected again */
    LUA_RESERVE = 512 * 1024 * 1024,    /* bytes beyond the cap: see limit.c */
    LUA_MEMORY_MAX = 512 * 1024 * 1024, /* that a script may ask for */
    LUA_STALL_MS = 10,
    LUA_PROBE_TIMEOUT_MS = 200, /* of a chunk's top level when it is attached */
    LUA_LAZY_PAIRS_MAX = 64,    /* larger maps become tables at once: bits of `taken` */
    LUA_LAZY_BLOCK = 64,        /* lazies of one block */
    LUA_KEPT_GROWTH =
        4 * 1024 * 1024,             /* since a collection, after which a call is followed by one */
    LUA_LEFT_PART = 4,               /* cap / this of garbage: a call is preceded by one */
    LUA_STACK_SIZE_MAX = 512 * 1024, /* of the C stack, for natives that call Lua */
    LUA_LOG_LINE_SIZE = 4096,
};

/* The name of a script's chunk and the head of its positions: "\x1f:57: message". */
#define LUA_CODE_KIB "8192"              /* of compiled code, all scripts of a shard */
#define LUA_TEXT_MAX INT64_C(0x7fff0000) /* bytes; LuaJIT's limit is a little more */

#define LUA_CHUNK "\x1f"

enum lua_stop { LUA_STOP_NONE, LUA_STOP_DEADLINE, LUA_STOP_MEMORY };

/* Whose metatable a table of ours has; in Lua the value of __metatable, as light userdata. */
enum lua_kind {
    LUA_KIND_NONE,
    LUA_KIND_LAZY,
    LUA_KIND_LIST,
    LUA_KIND_MAP,
    LUA_KIND_ERROR,
    LUA_KIND_FROZEN, /* a metatable for each; its __index is what the table shows */
    LUA_KIND_GLOBALS,
};

struct lua_script {
    struct sl_script base;
    struct lua_rewrite rewrite; /* `text` is freed after compiling */
    uint8_t *code;              /* byte code, heap */
    size_t code_size;
    struct sl_script_source source; /* file and name are copies, env is a copy; no text */
    char *file;
    char *name;
    struct sl_pos *places; /* heap, array of rewrite.lines_count: in the author's file */
    uint64_t timeout_ns;
    size_t memory_max;
};

/*
 * A table that stands for a Map: keys are made when they are read. It has one hidden entry, at the
 * key &lua_lazy_key, that leads here.
 */
struct lua_lazy {
    struct sl_value map;
    uint64_t taken; /* bit of each pair that was read or written: the table alone counts */
    bool grown;     /* keys were set that `map` does not have */
};

struct lua_lazy_block {
    struct lua_lazy_block *next;
    uint32_t count;
    struct lua_lazy items[LUA_LAZY_BLOCK];
};

/* A key of a table that is being written, for sorting. */
struct lua_key {
    const char *data; /* of a string that the table holds; NULL: `text` */
    size_t size;
    double number; /* where data == NULL */
    char text[32];
};

struct lua_shard {
    lua_State *L;
    lua_State *side; /* a coroutine that never runs; its stack holds the bell */
    lua_Alloc alloc; /* LuaJIT's own */
    void *alloc_ctx;

    /* Written by the allocator. */
    size_t used;      /* bytes */
    size_t used_max;  /* the cap; SIZE_MAX while no call runs */
    size_t bell_at;   /* `used` from which the bell is rung; SIZE_MAX while no call runs */
    size_t block_max; /* bytes of one block that this script may have */
    size_t charge;    /* bytes of large blocks since the clock was asked */
    size_t live;      /* `used` after a full collection, and what was attached since */
    bool rung;        /* the bell's first item is not 0 */

    /* Of the call that runs. */
    enum lua_stop stop;
    uint64_t end_ns;             /* of `clock` */
    struct sl_clock *clock;      /* the machine's: of the limits */
    struct sl_clock *call_clock; /* of the call: what a script may see */
    size_t used_start;           /* `live` when it began */
    struct sl_mem *mem;
    const struct lua_script *script;
    uintptr_t stack_start; /* of the C stack, when the call began */
    uint32_t error_line;   /* of the rewritten text, where the last error was raised */
    bool error_in_tail; /* … by a function that was left for `error`: the message does not know */
    bool origins_used;
    bool random_ready;
    uint64_t random[4];
    struct lua_lazy_block *lazies; /* newest first; the last stays between calls */
    struct sl_value *values;       /* array of values_cap: decoded in this call, counted */
    uint32_t values_count;
    uint32_t values_cap;
    size_t values_size; /* bytes behind them, part of `used` */

    struct sl_out text;   /* scratch: results of functions that build a text */
    struct lua_key *keys; /* scratch of the writer: array of keys_cap */
    uint32_t keys_count;
    uint32_t keys_cap;

    const void *metas[LUA_KIND_ERROR + 1]; /* the metatables of ref_metas, for comparing */
    const void *box_meta;
    const void *error_function;

    /* References into the registry. */
    int ref_metas[LUA_KIND_ERROR + 1]; /* metatables by enum lua_kind */
    int ref_box;                       /* metatable of boxes */
    int ref_origins;                   /* table → its lua_lazy, of maps that are no longer lazy */
    int ref_enter;
    int ref_cdata_kind;
    int ref_cdata_new;
    int ref_bell;   /* {0, tick, line of an error in tail position}: see rewrite.h */
    int ref_base;   /* function that makes a table of globals */
    int ref_freeze; /* function that makes a read-only copy */
    int ref_reset;

    struct sl_lua_stats stats;
};

struct lua_instance {
    struct lua_shard *shard;
    int ref_factory; /* the function around the script's text */
    int ref_main;    /* pure scripts: the script's own function */
    int ref_globals; /* the empty table of its globals */
};

extern const char lua_lazy_key;

/* The shard of a machine, as C functions find it. */
static inline struct lua_shard *lua_shard_of(lua_State *L)
{
    void *ctx;
    (void)lua_getallocf(L, &ctx);
    return ctx;
}

/* state.c */

/* Make the machines of `shards` shards ahead. Control thread. */
void lua_prepare(const struct sl_script *script, uint32_t shards);
/* The machine with its libraries, one made ahead if there is; NULL for no memory or with reterr. */
struct lua_shard *lua_shard_new(struct sl_diag *reterr);
struct lua_shard *lua_shard_free(struct lua_shard *shard);
/*
 * Load a rewritten text as the body of a function: called with the bell, the chunk gives it. As
 * luaL_loadbufferx.
 */
int lua_load_wrapped(lua_State *L, const char *text, size_t size, const char *chunk);

/* limit.c */
void *lua_limit_alloc(void *ctx, void *block, size_t old_size, size_t size);
void lua_limit_begin(struct lua_shard *shard, const struct lua_script *script, uint64_t end_ns);
void lua_limit_end(struct lua_shard *shard);
/* Look at the clock: false once the call is over, with shard->stop set. */
bool lua_limit_ask(struct lua_shard *shard);
/* Beyond the cap: what runs is ended. Raises nothing. */
void lua_limit_exceeded(struct lua_shard *shard);
/* Raise unless `size` more bytes fit under the cap, without garbage. */
void lua_limit_room(lua_State *L, struct lua_shard *shard, double size);
/* Raise the error that nothing catches. */
int lua_limit_raise(lua_State *L);
/* Raise it if the call is over. */
void lua_limit_check(lua_State *L, struct lua_shard *shard);
int lua_native_tick(lua_State *L);   /* () → rounds until the next; raises at the end */
int lua_native_charge(lua_State *L); /* (rounds of work that a function will do) */
int lua_native_room(lua_State *L);   /* (bytes that a function will take) raises */

/* push.c: push one value; tables are lazy. May raise: only in a protected call or unlimited. */
void lua_push_value(lua_State *L, struct lua_shard *shard, struct sl_value value);
/* The lazy behind a table at `index`, or NULL. */
struct lua_lazy *lua_lazy_get(lua_State *L, int index);
/* Make an ordinary table of the lazy table at `index` (absolute). */
void lua_lazy_finish(lua_State *L, struct lua_shard *shard, int index);
/* enum lua_kind of the value at `index`. */
enum lua_kind lua_kind_at(lua_State *L, int index);
void lua_kind_set(lua_State *L, struct lua_shard *shard, int index, enum lua_kind kind);
void lua_lazies_reset(struct lua_shard *shard);
void lua_push_open(lua_State *L, struct lua_shard *shard);
/* Keep a value (takes its count) until the call ends. False for no memory. */
bool lua_value_keep(struct lua_shard *shard, struct sl_value value);

/*
 * pull.c: build the value at `index` (absolute). Raises nothing.
 *
 * returns  NULL, or why not: `reason` (array of reason_size) filled
 */
const char *lua_pull_value(lua_State *L, struct lua_shard *shard, int index,
                           struct sl_builder *builder, char *reason, size_t reason_size);
/* An Error value from what was raised or returned as an error, at the top of the stack. */
struct sl_value lua_pull_error(lua_State *L, struct lua_shard *shard, struct sl_mem *mem);

/* box.c: values that Lua has no type for. */
void lua_box_open(lua_State *L, struct lua_shard *shard);
void lua_box_push(lua_State *L, struct lua_shard *shard, struct sl_value value);
/* Build a box; false if the userdata at `index` is none. */
bool lua_box_build(lua_State *L, struct lua_shard *shard, int index, struct sl_builder *builder);
extern const luaL_Reg lua_box_natives[];

/* json.c, strings.c, host.c: functions of the prelude. */
extern const luaL_Reg lua_json_natives[];
extern const luaL_Reg lua_string_natives[];
extern const luaL_Reg lua_host_natives[];

/* host.c: the line that was written down before `return error(…)`, or 0; it is forgotten then. */
uint32_t lua_tail_line_take(struct lua_shard *shard);
/* message of an error that the script may see: positions are those of the file. */
void lua_message_translate(lua_State *L, struct lua_shard *shard, int index);
/* Split "\x1f:57: message": the line, or 0, and what follows. */
uint32_t lua_message_line(struct sl_slice *message);
struct sl_pos lua_script_place(const struct lua_script *script, uint32_t line);
int lua_handler(lua_State *L);
