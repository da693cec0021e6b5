/* SPDX-License-Identifier: MIT */
/*
 * Processes, frames and the walk.
 *
 * A process is one run of a workflow. Its packets walk from node to node on one shard; a frame
 * exists only where something must be remembered: a node that waits, a fan-out that joins.
 *
 *     reply ◄─ join(2) ◄─ frame of "fetch" (parked)      answers travel along the parents
 *                  ▲───── frame of "pipe" (waits) ◄─ …
 *
 * The walk is a loop, not a recursion: call a node, look at its step, go on. Every packet gets
 * exactly one answer: a value, an error, or none (cell == NULL).
 *
 * A process ends when its owner has said that nothing more will be sent, all packets are answered
 * and all children have ended. Then exit hooks run in reverse order.
 *
 * All of it belongs to the shard's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/list.h"
#include "core/graph/kind.h"
#include "core/shard/loop.h"

struct sl_instance;
struct sl_port;
struct sl_process;
struct sl_span;
struct sl_shard;
struct sl_trace;
struct sl_tracestate;

enum sl_frame_type {
    SL_FRAME_REPLY = 1, /* the end of the way: struct sl_reply */
    SL_FRAME_NODE,      /* a node that waits */
    SL_FRAME_JOIN,      /* a fan-out that collects answers */
    SL_FRAME_START,     /* a call that has not begun: its turn comes later */
    SL_FRAME_REMOTE,    /* a call that runs on another shard */
};

enum sl_frame_status {
    SL_FRAME_RUNNING,
    SL_FRAME_PARKED,  /* the node waits for sl_frame_resume */
    SL_FRAME_WAITING, /* the node waits for a downstream answer */
    SL_FRAME_QUEUED,  /* waits until the node has done with the packet before */
    SL_FRAME_READY,   /* in the process's ready list */
};

struct sl_frame {
    struct sl_list link;  /* of process->frames */
    struct sl_list ready; /* of process->ready or process->joins */
    struct sl_frame *parent;
    struct sl_process *process;
    const struct sl_symbol *symbol;
    struct sl_value value; /* resumed with, or to start with */
    uint32_t slot;         /* place in the parent's answers */
    uint32_t port;         /* START: number of the `in` port */
    uint32_t size;         /* bytes of this frame in the shard's memory */
    uint8_t type;          /* enum sl_frame_type */
    uint8_t status;        /* enum sl_frame_status */
    bool queued;           /* START: it waits, or has waited, in the node's queue */
    uint8_t hop;           /* of a traced process: the one that it belongs to */
};

/* The kind's own part of a frame: frame_size bytes, zeroed before `run`. */
static inline void *sl_frame_data(struct sl_frame *frame)
{
    return frame + 1;
}

/* Where the answer to a packet that was sent into a process goes. Caller's storage. */
struct sl_reply {
    struct sl_frame frame; /* first; the walk's */
    /* Called exactly once, perhaps before sl_process_send returns; one count moves in. */
    void (*fn)(struct sl_reply *reply, struct sl_value answer);
};

/* Tells the span of a process, and if ret_state is not NULL what is passed on with it. */
typedef void sl_process_span_fn(const struct sl_process *process, struct sl_span *ret_span,
                                struct sl_tracestate *ret_state);

typedef void sl_process_hook_fn(struct sl_process *process, void *ctx);

struct sl_process {
    struct sl_list link; /* of shard->processes */
    struct sl_instance *instance;
    struct sl_shard *shard;
    struct sl_process *parent;
    struct sl_list children;
    struct sl_list sibling; /* of parent->children */
    uint64_t id;
    uint64_t started_ns;
    uint64_t deadline_ns;
    struct sl_timer timer; /* started only when the process waits */
    struct sl_task task;   /* goes on with ready frames */
    struct sl_list frames; /* all that were allocated */
    struct sl_list ready;  /* resumed frames, oldest first */
    struct sl_list joins;  /* fan-outs with edges not begun, newest first */
    uint32_t frames_count;
    uint32_t hops;
    uint32_t turn_hops; /* left before others get their turn */
    uint32_t packets;   /* sent in and not answered */
    uint32_t walking;   /* depth of walks on the stack */
    uint32_t children_count;
    bool finishing; /* nothing more will be sent */
    bool cancelled;
    struct sl_value cancel_error;
    struct sl_value error; /* the last error that was answered, for exit hooks; none if well */
    const struct sl_symbol *error_symbol; /* the node that failed last, or NULL */
    struct sl_process_hook *hooks;
    struct sl_process_local *locals;
    sl_process_hook_fn *ended; /* told last, before the memory goes; may be NULL */
    void *ended_ctx;
    void *request;            /* of the source that made it; for traces and logs */
    struct sl_trace *trace;   /* core/graph/trace.h; NULL: it is not traced */
    sl_process_span_fn *span; /* core/graph/span.h; NULL: of the parent, or made */
};

/*
 * Start a process on the shard's current program (parent NULL) or on the parent's.
 *
 * instance  the program to run on, or NULL with a parent
 * deadline  absolute, of the shard's clock; 0: the program's default, never after the parent's
 * returns   NULL when a limit is reached (counted as refused) or there is no memory
 */
struct sl_process *sl_process_new(struct sl_shard *shard, struct sl_instance *instance,
                                  struct sl_process *parent, uint64_t deadline_ns);

/*
 * Send a packet out of a port of `symbol`, as that node would. One count of `value` moves in. The
 * walk begins at once and returns when the packet is answered or waits.
 *
 * port    `out` number or SL_PORT_ERROR. Without an edge: `no_route` from an `out`; from `error`
 *         the value itself is the answer.
 */
void sl_process_send(struct sl_process *process, const struct sl_symbol *symbol, uint32_t port,
                     struct sl_value value, struct sl_reply *reply);

/* Send a packet into `in` port number `in` of `symbol`. Else as above. */
void sl_process_call(struct sl_process *process, const struct sl_symbol *symbol, uint32_t in,
                     struct sl_value value, struct sl_reply *reply);

/* Nothing more will be sent: the process ends when the rest has ended, perhaps now. */
void sl_process_finish(struct sl_process *process);

/*
 * Cancel: parked nodes give up, every packet is answered with `error` (one count moves in), and so
 * it is in all children. The first cancel decides. The answers come from a task of the loop.
 */
void sl_process_cancel(struct sl_process *process, struct sl_value error);

/* Go on with a parked frame; one count moves in. Runs from a task of the loop. */
void sl_frame_resume(struct sl_frame *frame, struct sl_value value);

/* Call `fn` when the process ends, in reverse order of adding. 0, -ENOMEM, -E2BIG. */
int sl_process_hook_add(struct sl_process *process, sl_process_hook_fn *fn, void *ctx);

/* Take back a hook that was added and has not run; harmless if there is none. */
void sl_process_hook_remove(struct sl_process *process, sl_process_hook_fn *fn, void *ctx);

/* Storage of the process: own value of a key (an address that only its user knows), or NULL. */
void *sl_process_local_get(struct sl_process *process, const void *key);
/* The same, but looks in the ancestors too. */
void *sl_process_local_find(struct sl_process *process, const void *key);
/* Set; `fini` (may be NULL) runs when the process ends. 0 or -ENOMEM. */
int sl_process_local_set(struct sl_process *process, const void *key, void *value,
                         void (*fini)(void *value, struct sl_process *process));

/*
 * Join answers in order: any error gives one error carrying all causes; none is dropped; one left is
 * itself; several are a list. Moves the counts of `answers` (array of `count`) in; returns one.
 */
struct sl_value sl_answers_join(struct sl_mem *mem, struct sl_value *answers, uint32_t count);

/* Constant errors that need no memory. */
struct sl_value sl_error_no_memory(void);
