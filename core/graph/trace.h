/* SPDX-License-Identifier: MIT */
/*
 * Traces: what happened to one packet, hop by hop. Off, a trace costs one look at `process->trace`
 * each time a walk begins, and nothing a hop: a traced process takes a walk of its own.
 *
 *   source ── sl_trace_begin ──► shard->tracer->begin ──► process->trace, or not
 *   walk   ── sl_trace_call, _step … ──► trace->hops[]
 *   remote ── key and hop travel in the message ──► the other shard's tracer->join
 *
 * Who traces (ctl/admin) owns the traces and their memory; here they are only filled. A hop holds
 * counts on its values until who owns the trace drops them; nothing of it outlives the process.
 * All of it belongs to the shard's thread.
 */
#pragma once

#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/graph/kind.h"
#include "core/graph/process.h"
#include "core/shard/shard.h"

/* Hops of one trace on one shard; a frame remembers one in a byte. */
enum { SL_TRACE_HOPS_MAX = 255, SL_TRACE_NONE = 255 };

enum sl_trace_event {
    SL_TRACE_SEND,   /* a source sends out of a port */
    SL_TRACE_CALL,   /* a node is called with a packet */
    SL_TRACE_RESUME, /* it goes on: what it waited for is there */
    SL_TRACE_REMOTE, /* the packet is on another shard; ends when its answer is back */
    SL_TRACE_JOIN,   /* the last answer of a fan-out is there */
    SL_TRACE_ANSWER, /* the packet is answered to who sent it */
};

struct sl_trace_hop {
    const struct sl_symbol *symbol; /* NULL for JOIN and ANSWER */
    struct sl_value input;          /* one count; none where nothing came in */
    struct sl_value output;         /* one count; none: the answer *none*, or nothing yet */
    uint64_t begin_ns;              /* of the loop's clock */
    uint64_t end_ns;                /* 0: not yet */
    uint32_t port_in;
    uint32_t port_out; /* EMIT, CALL, SEND; SL_PORT_ERROR for `error` */
    uint32_t shard;    /* REMOTE: where it went */
    uint8_t cause;     /* the hop that led here, or SL_TRACE_NONE */
    uint8_t event;     /* enum sl_trace_event */
    uint8_t step;      /* CALL, RESUME: enum sl_step */
};

struct sl_trace {
    struct sl_process *process; /* NULL: not in use */
    struct sl_trace_hop *hops;  /* array of hops_cap, the owner's */
    uint32_t hops_count;
    uint32_t hops_cap;  /* at most SL_TRACE_HOPS_MAX */
    uint32_t hops_lost; /* found no room */
    uint64_t key;       /* of this trace among all of all shards, never 0 */
    uint64_t parent;    /* key of the trace on the calling shard, or 0 */
    uint8_t parent_hop; /* of that trace */
};

/* Of one shard, set in shard->tracer while somebody traces. */
struct sl_tracer {
    /*
     * A source has made a process for `payload` (borrowed) and is about to send it: set
     * process->trace, or leave it.
     */
    void (*begin)(struct sl_tracer *tracer, struct sl_process *process,
                  const struct sl_symbol *source, struct sl_value payload);
    /* A traced process of another shard has sent a packet here. The same. */
    void (*join)(struct sl_tracer *tracer, struct sl_process *process, uint64_t parent,
                 uint8_t parent_hop);
};

/* For sources: a process was made and nothing was sent yet. */
static inline void sl_trace_begin(struct sl_process *process, const struct sl_symbol *source,
                                  struct sl_value payload)
{
    struct sl_tracer *tracer = process->shard->tracer;
    if (__builtin_expect(tracer != NULL, 0)) tracer->begin(tracer, process, source, payload);
}

/* ------------------------------------------------------------------------------------------ */
/* For the walk: all take the number of the hop that led here, and return the new one's. They are */
/* called for traced processes only; a full trace counts what it lost.                          */

/* A source sent a packet out of `port` of `symbol`: the first hop. */
uint8_t sl_trace_send(struct sl_trace *trace, const struct sl_symbol *symbol, uint32_t port,
                      struct sl_value value);
/* A node is called with a packet at its `in` port. */
uint8_t sl_trace_call(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                      uint32_t in, struct sl_value value);
/* A node that waited goes on with `value`. */
uint8_t sl_trace_resume(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                        struct sl_value value);
/* The node has come back: its step, and what stands in `call`. */
void sl_trace_step(struct sl_trace *trace, uint8_t hop, enum sl_step step,
                   const struct sl_call *call);
uint8_t sl_trace_remote(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                        uint32_t in, struct sl_value value);
void sl_trace_remote_end(struct sl_trace *trace, uint8_t hop, struct sl_value value);
uint8_t sl_trace_join(struct sl_trace *trace, uint8_t cause, struct sl_value value);
void sl_trace_answer(struct sl_trace *trace, uint8_t cause, struct sl_value value);

/* For the owner: drop the counts of the hops and forget the process. */
void sl_trace_clear(struct sl_trace *trace);
