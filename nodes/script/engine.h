/* SPDX-License-Identifier: MIT */
/*
 * One interface for every language a snippet can be written in.
 *
 *   control thread            each shard                         each packet
 *   compile(text) → script ─┬ attach → instance ── run(value, deadline) → value or error
 *                           └ attach → instance
 *
 * A script is immutable and shared by all shards. An instance belongs to one shard. Constants
 * (json, yaml, text) have a value at once and are never run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/clock.h"
#include "core/base/diag.h"
#include "core/base/log.h"
#include "core/base/slice.h"

struct sl_mask;
struct sl_mem;
struct sl_engine;

#define SL_SCRIPT_ONE_LINE UINT32_MAX

/* What a language is told when a text is compiled. All borrowed for the call. */
struct sl_script_source {
    struct sl_slice code;
    const char *file;  /* where the text stands; may be "" */
    struct sl_pos pos; /* of its first character in that file */
    uint32_t indent;   /* columns cut from each line after the first (block scalars), or
                          * SL_SCRIPT_ONE_LINE: all of it stands on one line ("a\nb" in quotes) */
    /* The exact place of line and column of `code`, during compile only; NULL: pos and indent. */
    struct sl_pos (*place)(void *place_ctx, uint32_t line, uint32_t column);
    void *place_ctx;
    const char *name;    /* of the node, for messages */
    struct sl_value env; /* Map of bound values, or cell == NULL; copied if kept */
    bool unpack;         /* CEL: the payload's keys are names too */
    bool allow_eval;     /* JavaScript: strings may be evaluated */
    uint32_t timeout_ms; /* 0: the language's default */
    size_t memory_max;   /* bytes; 0: SL_SCRIPT_MEMORY */
};

/* What a language knows of the cost of a run before it; zero: nothing. */
struct sl_script_cost {
    uint64_t limit;    /* a run that reaches it ends; 0: this language does not count */
    uint64_t bound;    /* no run costs more; == limit: not known, it depends on the input */
    struct sl_pos pos; /* then: of what depends on it, in the author's file … */
    char name[32];     /* … and its name: "exists", "==" */
};

/* First member of every language's compiled script. */
struct sl_script {
    const struct sl_engine *engine;
    struct sl_value constant; /* cell != NULL: the result of every run (immortal) */
    struct sl_script_cost cost;
};

/* One call. The engine reads the first group and fills the second. */
struct sl_script_call {
    struct sl_value input;
    const struct sl_value *args; /* more inputs (reduce …): array of args_count, or NULL */
    uint32_t args_count;
    struct sl_mem *mem; /* the shard's: results are made here */
    struct sl_clock *clock;
    uint64_t deadline_ns; /* of clock; UINT64_MAX: only the script's own timeout */
};

struct sl_engine {
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */

    /*
     * Compile on a control thread. Syntax is fully checked here.
     * returns  0; -EINVAL with reterr filled (position in the file of the spec); -ENOMEM
     */
    int (*compile)(const struct sl_script_source *source, struct sl_script **ret_script,
                   struct sl_diag *reterr);
    void (*script_free)(struct sl_script *script); /* control thread; no instance left */

    /*
     * Make ahead what the first attach of such a script on each of `shards` shards would take long
     * for. Where that fails, attach does it. Control thread. NULL: there is nothing of the kind.
     */
    void (*prepare)(const struct sl_script *script, uint32_t shards);

    /*
     * Make the instance of one shard, on that shard's thread; NULL where the language needs none.
     * `shard_state` is the engine's own pointer of this shard, NULL at the first call, freed by
     * shard_fini on that thread. 0, -ENOMEM, or -EINVAL with reterr.
     */
    int (*attach)(struct sl_script *script, void **shard_state, void **ret_instance,
                  struct sl_diag *reterr);
    /*
     * The same in parts, so that no call takes long: 1 means call again with the same arguments,
     * *ret_instance (NULL at first) is what there is so far, and may be given to detach. With 0 it
     * can be run; a failure leaves it NULL. NULL: attach does not take long.
     */
    int (*attach_part)(struct sl_script *script, void **shard_state, void **ret_instance,
                       struct sl_diag *reterr);
    void (*detach)(struct sl_script *script, void *shard_state, void *instance);
    void (*shard_fini)(void *shard_state);

    /*
     * Run once. The result is a value with one count for the caller: the answer, or an Error value
     * (script_deadline, script_memory, script_error …). cell == NULL only for no memory.
     */
    struct sl_value (*run)(struct sl_script *script, void *instance, struct sl_script_call *call);

    /*
     * Run as a condition: 1 true, 0 false, -1 error with *ret_error set (one count). NULL: the
     * caller uses run and takes what is not null, false, zero or empty for true.
     */
    int (*test)(struct sl_script *script, void *instance, struct sl_script_call *call,
                struct sl_value *ret_error);

    /*
     * For worker processes (nodes/script/worker), where nothing can be opened or executed.
     *
     * save  what `load` makes the script from over there, if compiling needs tools or files: any
     *       value, one count for the caller. NULL: `compile` runs there too. Control thread.
     * load  the same as compile, with `saved` beside the source. In the worker.
     * warm  open what the language will read later: in the worker, before its fence closes. May
     *       make *shard_state. 0, -ENOMEM, -EINVAL with reterr. NULL: nothing is read.
     */
    int (*save)(const struct sl_script *script, struct sl_value *ret_value);
    int (*load)(const struct sl_script_source *source, struct sl_value saved,
                struct sl_script **ret_script, struct sl_diag *reterr);
    int (*warm)(void **shard_state, struct sl_diag *reterr);
};

/*
 * The engine of a language by name or alias, or NULL. Languages that were not built in are not
 * there. The table is filled once at start by nodes/kinds.c, before any thread runs.
 */
const struct sl_engine *sl_engine_get(const char *language);

/* Names of all registered languages: array of *ret_count, static. */
const char *const *sl_engine_names(size_t *ret_count);

/* Add a language; at most SL_ENGINES_MAX. Before threads start. */
void sl_engine_register(const struct sl_engine *engine);

enum {
    SL_ENGINES_MAX = 16,
    SL_SCRIPT_LOG_SIZE_MAX = 4096 * 3 + 1, /* bytes of one message of a script's log, and a zero */
};

/* What a language without conditions of its own takes for true: not null, false, zero or empty. */
bool sl_script_is_true(struct sl_value value);

/*
 * Where a place in a script stands in the author's file.
 *
 * line, column  of the script's text, both from 1; line 0 means unknown and gives {0, 0}
 */
struct sl_pos sl_script_pos(const struct sl_script_source *source, uint32_t line, uint32_t column);

/*
 * What a script prints (console.*, print). Called on the shard's thread, in the middle of a run:
 * it must copy and return at once. `text` is borrowed, one message, not terminated.
 */
typedef void sl_script_log_fn(void *ctx, enum sl_log_level level, const char *node,
                              const char *text, size_t text_size);

/* Set the receiver; NULL: lines go to sl_log. Before threads start. */
void sl_script_log_set(sl_script_log_fn *log, void *ctx);

/*
 * What sl_script_log hides on this thread from here on: of the node whose script runs. Borrowed;
 * NULL: nothing. For whoever runs scripts (use.c), not for engines.
 */
void sl_script_mask_set(const struct sl_mask *mask);

/* For engines: hand one message on, masked. */
void sl_script_log(enum sl_log_level level, const char *node, const char *text, size_t text_size);

/* Constants: parsed once, never run. A text that is not UTF-8 is refused. */
extern const struct sl_engine sl_engine_json;
extern const struct sl_engine sl_engine_yaml;
extern const struct sl_engine sl_engine_text;
