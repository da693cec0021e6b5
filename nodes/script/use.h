/* SPDX-License-Identifier: MIT */
/*
 * What every node that holds a script shares (snippet, switch, if …): find the language, compile,
 * attach to a shard, run with the process's deadline.
 */
#pragma once

#include <stdint.h>

#include "core/graph/kind.h"
#include "nodes/script/engine.h"

struct sl_mask;
struct sl_shard;

/* A compiled script in a node's config. Zeroed is empty. */
struct sl_script_use {
    const struct sl_engine *engine;
    uint32_t engine_index; /* of shard->engine_states */
    uint64_t timeout_ns;   /* of a run; 0: the language's own */
    struct sl_script *script;
    struct sl_mask *mask; /* of the secrets bound to the node; NULL: none */
};

/* What the spec says of the script; all optional but code. */
struct sl_script_fields {
    struct sl_slice language; /* empty: `language_default` */
    const char *language_default;
    struct sl_value code;
    uint64_t timeout_ns;
    uint64_t memory_max; /* bytes */
    bool unpack;
    bool allow_eval;
};

/* Compile; faults go to c->diags. 0, -EINVAL, -ENOMEM. Control thread. */
int sl_script_use_compile(struct sl_compile *c, const struct sl_script_fields *fields,
                          struct sl_script_use *ret_use);

/* Free what the use holds; empty is fine. Control thread. */
void sl_script_use_fini(struct sl_script_use *use);

/* The instance of a shard. 0, -ENOMEM, -EINVAL with reterr. Shard thread. */
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

/* Free the languages' states of a shard that ends. Shard thread. */
void sl_script_shard_fini(struct sl_shard *shard);
