/* SPDX-License-Identifier: MIT */
/*
 * Scripts in processes of their own: `isolation: process`.
 *
 *   control thread    prepare: script → sealed text, with everything a worker needs
 *   shard             a pool: calls wait in a queue, workers take them one at a time
 *                        call ──ring──► worker ──ring──► answer: the frame goes on
 *   worker            this program's own file, started again as `sluice worker`: it opens its
 *                     engines, closes its fence (io/proc/fence.h) and runs what it is sent
 *
 * A pool has up to SL_WORKERS_ACTIVE_MAX workers that run scripts and SL_WORKERS_SPARE_MAX that wait,
 * all of them generic: a script is sent to a worker before its first call there. A node keeps
 * at most SL_WORKER_NODE_MAX busy. Beyond SL_WORKER_NODE_QUEUE_MAX waiting calls of a node, or
 * SL_WORKER_QUEUE_MAX of all: `script_overload`, status 503.
 *
 *   the script's own engine ends it at its deadline      script_deadline (504)
 *   … or at its memory cap                               script_memory
 *   it runs on: killed at the deadline + 20 ms           script_killed (504)
 *   the process dies: SIGSEGV, SIGABRT, SIGILL, out of memory …    script_memory
 *   it says what cannot be                               script_killed
 *
 * The deadline counts from when a worker takes the call. A call that is cancelled (client gone, the
 * process's deadline) leaves at once; its worker gets 20 ms to come to an end and is killed then.
 *
 * A killed worker is replaced by a spare at once, and a new spare is started by a helper thread;
 * the shard never starts, maps or unmaps anything itself. When the last node with a script in a
 * process has gone, so do the workers.
 *
 * Workers run as SCHED_IDLE on the shard's core and the cores that no shard is pinned to, in the
 * session of a nursery (io/proc/nursery.h): they take what is left over. On a machine whose cores
 * are all busy they hardly run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/graph/kind.h"
#include "nodes/script/engine.h"

struct sl_mask;
struct sl_shard;
struct sl_worker;
struct sl_worker_script;

/* A script made ready for workers. Immutable, shared by shards. */
struct sl_worker_load {
    uint8_t *data; /* sealed, of `size` bytes; owned */
    size_t size;
    uint64_t timeout_ns;        /* of a call, from when a worker takes it */
    uint64_t memory_max;        /* bytes */
    char *name;                 /* of the node, for messages; owned */
    const struct sl_mask *mask; /* of the node's secrets, or NULL; outlives it */
};

/*
 * Why this machine cannot run scripts in processes; NULL: it can. Any thread. The answer is the
 * same for the whole life of the program.
 */
const char *sl_worker_missing(void);

/*
 * Seal what workers need of a compiled script.
 * returns  0, -ENOMEM, -E2BIG. Control thread.
 */
int sl_worker_load_init(struct sl_worker_load *load, const struct sl_script_source *source,
                        const struct sl_script *script, const struct sl_mask *mask);
void sl_worker_load_fini(struct sl_worker_load *load);

/*
 * Try what a load of the script does, its top level included, in a worker of its own, which is kept
 * for the next one until sl_worker_try_fini. Waits: 10 ms for the process, then SL_WORKER_TRY_MS
 * at most.
 *
 * returns  0; -EINVAL with reterr (file left to the caller): it fails, does not end, or kills its
 *          process; -EAGAIN with reterr: no process can be started, so nothing is known; -ENOMEM
 * thread   control
 */
int sl_worker_try(const struct sl_worker_load *load, struct sl_diag *reterr);

/* End that worker, if there is one. Control thread. */
void sl_worker_try_fini(void);

/*
 * The script on a shard; the first one starts the shard's pool and its spares. `load` outlives it.
 * 0, -ENOMEM or -errno with reterr. Shard thread.
 */
int sl_worker_attach(struct sl_shard *shard, const struct sl_worker_load *load,
                     struct sl_worker_script **ret_script, struct sl_diag *reterr);

/* No frame waits for it any more. NULL is fine. Shard thread. */
void sl_worker_detach(struct sl_worker_script *script);

/* One call, in the data of the frame that waits for it; zeroed is "none". */
struct sl_worker_wait {
    struct sl_list link; /* of the pool's queue, while it waits for a worker */
    struct sl_frame *frame;
    struct sl_worker_script *script;
    struct sl_worker *worker; /* runs it, or NULL */
    struct sl_value value;    /* until it is answered; one count */
    bool is_test;
    uint8_t tries;  /* workers that died before they looked at the call */
    bool is_active; /* somebody will answer it */
    bool is_failed; /* answered before its frame was parked: in the pool's other list */
};

/*
 * Call the script with `value` (one count moves in). The frame of `call` is resumed with the
 * answer or an Error, never before this returns; a test's answer is a Bool.
 *
 * returns  0: park; -EAGAIN: the queue is full, *ret_error is `script_overload` (one count)
 */
int sl_worker_call(struct sl_worker_script *script, struct sl_call *call, struct sl_value value,
                   bool is_test, struct sl_worker_wait *wait, struct sl_value *ret_error);

/* The frame gives up waiting. Harmless if the answer is back already. */
void sl_worker_cancel(struct sl_worker_wait *wait);

/* End all workers of a shard that ends, and wait until they are gone. Shard thread. */
void sl_worker_shard_fini(struct sl_shard *shard);

/* Counters of one shard. */
struct sl_worker_stats {
    uint32_t alive;    /* started and not ended, spares included */
    uint32_t ready;    /* of these, behind their fence */
    uint32_t busy;     /* of these, with a call */
    uint32_t queued;   /* calls that wait for a worker */
    uint64_t calls;    /* given to a worker */
    uint64_t spawned;  /* processes started */
    uint64_t killed;   /* because a call did not end, or the worker said what cannot be */
    uint64_t crashed;  /* died by themselves */
    uint64_t retired;  /* ended in good order: grown, long idle, no script left */
    uint64_t overload; /* calls refused */
    uint64_t paced;    /* results that had to wait, because they are large and many */
    uint64_t failures; /* processes that could not be started or did not become ready */
    uint64_t start_ns; /* how long the last start took: asked for, spawned, fenced, ready */
};

/* All zero without a pool. Shard thread. */
void sl_worker_stats_get(const struct sl_shard *shard, struct sl_worker_stats *ret_stats);

/*
 * SCHED_IDLE for the workers (the default), or the ordinary class: then they get their share on a
 * machine that is busy, and the shards' tail pays for it. Before the first attach.
 */
void sl_worker_idle_set(bool idle);

/*
 * What a test may set before the first attach: another program, arguments behind the command. The
 * array is borrowed; NULL: what sluice does.
 */
void sl_worker_command_set(const char *path, const char *const *extra);

/*
 * The main function of a worker, if argv says so. Called first thing in main of every program
 * that has pools, after the languages were registered (sl_kinds_register).
 *
 * returns  -1: this is no worker; else the exit code
 */
int sl_worker_main(int argc, char **argv);
