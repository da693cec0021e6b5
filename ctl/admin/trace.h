/* SPDX-License-Identifier: MIT */
/*
 * Tracing the next requests of a runtime: who asks, what is recorded, and how it comes together.
 *
 *   control                      shard                            control
 *   sl_traces_begin ── mail ──►  shard->tracer                    slot's text ─► lines ─► put()
 *                                begin: --when? a slot is free?     ▲
 *                                process ends: hops as text ─ mail ─┘ ── mail ──► slot free again
 *   sl_traces_end   ── mail ──►  no tracer; slots are dropped ── mail ──► session freed
 *
 * All memory of a session is taken when it begins. A shard that has no slot free lets a request
 * pass and counts it; a reader that is slow loses traces, which are counted. Packets that cross to
 * another shard are recorded there and put in their place here. One session at a time.
 *
 * Control thread, but for what its hooks do on the shards.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_loop;
struct sl_shard;
struct sl_traces;

struct sl_trace_options {
    uint32_t count;        /* requests, 1..SL_TRACE_COUNT_MAX */
    uint32_t timeout_ms;   /* then the session ends; 0: never */
    uint32_t payload_size; /* bytes shown of each payload; 0: no payloads at all */
    struct sl_slice node;  /* only requests that reach this node, "block" or "block/child"; or "" */
    struct sl_slice when;  /* CEL over the request's payload; or "" */
    bool show_credentials; /* values of authorization, cookie …: never secrets */
};

struct sl_trace_reader {
    /* All shards trace: the next request is the first that counts. */
    void (*began)(void *ctx);
    /* One line of JSON with its newline. Returns the bytes that wait to be read, or -EPIPE. */
    int64_t (*put)(void *ctx, struct sl_slice line);
    /*
     * The last line was put; nothing more will come. Not called after sl_traces_end. `diag`: why a
     * shard could not begin, or NULL; then `began` was not called.
     */
    void (*ended)(void *ctx, const struct sl_diag *diag);
    void *ctx;
};

/* NULL for no memory. */
struct sl_traces *sl_traces_new(struct sl_loop *control, struct sl_shard *const *shards,
                                uint32_t count);

/*
 * Begin a session.
 *
 * options  copied
 * returns  0; -EBUSY: one is under way; -EINVAL with reterr: `when` does not compile; -ENOMEM
 */
int sl_traces_begin(struct sl_traces *traces, const struct sl_trace_options *options,
                    const struct sl_trace_reader *reader, struct sl_diag *reterr);

/* The reader is gone: end the session, if there is one, without a word to it. */
void sl_traces_end(struct sl_traces *traces);

/* End the session, if there is one, with a last line to its reader. */
void sl_traces_stop(struct sl_traces *traces);

/* True while a session is under way, or its memory still out with the shards. */
bool sl_traces_is_busy(const struct sl_traces *traces);

/* It is not busy. NULL is fine; returns NULL. */
struct sl_traces *sl_traces_free(struct sl_traces *traces);
