/* SPDX-License-Identifier: MIT */
/*
 * A shard: a pinned thread that owns everything it touches. This is the outer shell: the loop, the
 * epoch, the slot where programs are published, and the thread. What a program is, only
 * core/graph knows.
 *
 *   control thread ──publish──► slot ──read at each process start──► shard
 *                  ◄──mail────           (prepare, free, drain)
 */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/shard/epoch.h"
#include "core/shard/loop.h"

struct sl_program;
struct sl_tracer;
struct sl_diag;

/* A limit on reports: when the next one may go, and what was left out since the last. */
struct sl_report_bucket {
    uint64_t next_ns;
    uint64_t dropped;
};

struct sl_shard {
    struct sl_loop loop;           /* first: a loop of a shard is a shard */
    uint32_t index;                /* 0 … shards_count - 1 */
    int cpu;                       /* pinned to, or -1 */
    struct sl_epoch *epoch;        /* shared by all shards, or NULL in tests with one thread */
    struct sl_loop *control;       /* where messages to the control thread go */
    struct sl_shard *const *peers; /* array of peers_count, this one included */
    uint32_t peers_count;
    struct sl_list sources;   /* struct sl_source of core/graph */
    struct sl_list processes; /* struct sl_process of core/graph: all that live */
    uint32_t processes_count;
    uint64_t process_id_next;
    uint64_t span_key[2];               /* core/graph/span.c: random, zero until an id is made */
    uint64_t span_number;               /* ids made with it */
    struct sl_report_bucket reports[2]; /* core/graph/report.c: mistakes of clients, errors */
    struct sl_report_bucket prints;     /* nodes/script/print.c */
    void *engine_states[16]; /* of nodes/script, by number of the language; each engine's own */
    /* Where packets of other shards go; set by core/graph. */
    void *remote;
    void *http;               /* nodes/net/http.c: its client, or NULL */
    void *access;             /* nodes/net/access.c: records of the access log, or NULL */
    void *workers;            /* nodes/script/worker: its pool of processes, or NULL */
    struct sl_tracer *tracer; /* core/graph/trace.h: somebody traces requests, or NULL */
    void (*ended)(struct sl_shard *shard);
    pthread_t thread;
    bool has_thread;
    struct sl_diag *start_diag;
    _Atomic int start_result; /* 1: not yet */
    _Atomic bool stop_posted; /* who stops it has done with its loop */

    /* Written by the control thread, read by the shard. */
    alignas(128) _Atomic(struct sl_program *) program;
};

/* How the system's scheduler ranks a shard's thread. */
enum sl_priority_kind {
    SL_PRIORITY_NORMAL, /* as the process is */
    SL_PRIORITY_NICE,   /* sched(7): SCHED_OTHER with `value` -20 (first) … 19 */
    SL_PRIORITY_FIFO,   /* SCHED_FIFO with `value` 1 … 99 (first): before everything ordinary */
};

struct sl_priority {
    enum sl_priority_kind kind;
    int value;
};

/*
 * What a shard's thread needs to make its own poller (a ring belongs to the thread that made it).
 */
struct sl_shard_config {
    uint32_t index;
    int cpu; /* to pin to, or -1 */
    struct sl_priority priority;
    struct sl_epoch *epoch;
    struct sl_loop *control;
    struct sl_clock *clock;
    size_t memory_max;     /* bytes the shard may take from the system */
    size_t memory_reserve; /* bytes to reserve and touch at start */
    uint64_t stall_ns;
    struct sl_poller *(*poller_new)(void *ctx, struct sl_clock *clock, struct sl_diag *reterr);
    void *poller_ctx;
    void (*started)(struct sl_shard *shard); /* first thing on its thread; may be NULL */
    void (*ended)(struct sl_shard *shard);   /* last thing on its thread, the loop still there */
};

/* Set up a shard in the calling thread around a given poller (simulator, tests). 0 or -ENOMEM. */
int sl_shard_init(struct sl_shard *shard, const struct sl_shard_config *cfg,
                  struct sl_poller *poller);

/* Free what sl_shard_init made. No process lives and no program is published. */
void sl_shard_fini(struct sl_shard *shard);

/*
 * Start a thread that makes its poller, sets up `shard` and runs its loop.
 *
 * returns  0 when the loop runs; -errno or -EINVAL with reterr filled, and no thread is left
 * thread   control
 */
int sl_shard_start(struct sl_shard *shard, const struct sl_shard_config *cfg,
                   struct sl_diag *reterr);

/* Ask the thread to end its loop and join it. Control thread. */
void sl_shard_stop(struct sl_shard *shard);

/* The shard whose loop this is. */
static inline struct sl_shard *sl_shard_of(struct sl_loop *loop)
{
    return (struct sl_shard *)loop;
}
