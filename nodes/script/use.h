/* SPDX-License-Identifier: MIT */
/*
 * What every node that holds a script shares (snippet, switch, if …): find the language, compile,
 * attach to a shard, run with the process's deadline.
 */
#pragma once

#include <stdint.h>

#include "core/graph/kind.h"
#include "nodes/script/engine.h"
#include "nodes/script/worker/worker.h"

struct sl_mask;
struct sl_shard;

enum sl_script_isolation { SL_SCRIPT_INLINE, SL_SCRIPT_PROCESS };

/* For the field table of a node: values of sl_script_fields.isolation. */
extern const char *const sl_script_isolations[];

/* A compiled script in a node's config. Zeroed is empty. */
struct sl_script_use {
    const struct sl_engine *engine;
    uint32_t engine_index; /* of shard->engine_states */
    uint64_t timeout_ns;   /* of a run; 0: the language's own */
    struct sl_script *script;
    struct sl_mask *mask;       /* of the secrets bound to the node; NULL: none */
    bool in_process;            /* it runs in a worker: begin, not run or test */
    struct sl_worker_load load; /* if in_process */
};

/* What the spec says of the script; all optional but code. */
struct sl_script_fields {
    struct sl_slice language; /* empty: `language_default` */
    const char *language_default;
    struct sl_value code;
    uint64_t timeout_ns;
    uint64_t memory_max; /* bytes */
    int64_t isolation;   /* enum sl_script_isolation */
    bool unpack;
    bool allow_eval;
};

/*
 * How many shards scripts will be attached to: what they need first is made at compile from now on.
 * 0, as at start: nobody will attach them, or may wait. Control thread.
 */
void sl_script_shards_set(uint32_t count);

/* Compile; faults go to c->diags. 0, -EINVAL, -ENOMEM. Control thread. */
int sl_script_use_compile(struct sl_compile *c, const struct sl_script_fields *fields,
                          struct sl_script_use *ret_use);

/*
 * The same for a text that is in no spec: `source` says all about it. Faults go to reterr. 0,
 * -EINVAL, -ENOMEM, or -ENOENT: the language was not built in. Control thread.
 */
int sl_script_use_make(const char *language, const struct sl_script_source *source,
                       struct sl_script_use *ret_use, struct sl_diag *reterr);

/*
 * With c->tries, sl_script_use_compile attaches the script to nobody's shard, on this thread and by its
 * own limits, so that a top level that fails, or does not end, is told. A script that is for a process
 * is tried in one (sl_worker_try), also when it is compiled to be run, since shards do not. Free what is
 * kept for that; it is made again when it is needed.
 */
void sl_script_try_fini(void);

/* Free what the use holds; empty is fine. Control thread. */
void sl_script_use_fini(struct sl_script_use *use);

/*
 * The instance of a shard; *ret_instance is NULL at the first call. 1: a part is done, call again
 * with the same arguments, or detach. 0, -ENOMEM, -EINVAL with reterr. Shard thread.
 */
int sl_script_use_attach(const struct sl_script_use *use, struct sl_shard *shard,
                         void **ret_instance, struct sl_diag *reterr);
void sl_script_use_detach(const struct sl_script_use *use, struct sl_shard *shard, void *instance);

/*
 * Run on call->value, whose count stays the caller's. Errors and log lines are masked.
 * returns  answer or Error with one count; cell == NULL for no memory
 */
struct sl_value sl_script_use_run(const struct sl_script_use *use, void *instance,
                                  struct sl_call *call);

/* Run as a condition: 1, 0, or -1 with *ret_error (one count, cell == NULL for no memory). */
int sl_script_use_test(const struct sl_script_use *use, void *instance, struct sl_call *call,
                       struct sl_value *ret_error);

/*
 * For a script that is in_process: call it with `value` (one count moves in). `wait` is in the frame
 * of the call, which is resumed with the answer (a Bool for a test) or an Error.
 *
 * returns  SL_STEP_PARK; or SL_STEP_FAIL with the error in call->value
 */
enum sl_step sl_script_use_begin(const struct sl_script_use *use, void *instance,
                                 struct sl_call *call, struct sl_value value, bool is_test,
                                 struct sl_worker_wait *wait);

/*
 * Send what scripts print on shards to the control thread's log: SL_PRINTS_PER_SECOND a shard, with a
 * note of those left out. Before threads start.
 */
void sl_script_prints_open(void);

/* First thing on a shard's thread. */
void sl_script_shard_init(struct sl_shard *shard);

/* For sl_script_shard_fini. */
void sl_script_prints_close(const struct sl_shard *shard);

/* Free the languages' states of a shard that ends, and its workers. Shard thread. */
void sl_script_shard_fini(struct sl_shard *shard);
