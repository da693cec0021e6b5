/* SPDX-License-Identifier: MIT */
/*
 * What the files of the shard's side share.
 *
 *   process.c   a worker's life: start, ready, killed, gone; runs on the starter and the shard
 *   talk.c      what goes over its rings
 *   pool.c      who runs what: the queue, spares, limits
 *   try.c       a worker of the control thread, which only tries scripts
 *
 *     STARTING ──READY──► IDLE ──► LOADING ──► BUSY ──► IDLE …
 *         └───────┴─────────┴────────┴──────────┴─────► DYING ──gone──► buried by the starter
 *
 * All of it belongs to the shard's thread, but for the functions of process.c that the starter
 * runs while the worker's mail is out.
 */
#pragma once

#include "core/base/limit.h"
#include "core/shard/shard.h"
#include "io/proc/spawn.h"
#include "io/shm/shm.h"
#include "nodes/script/worker/wire.h"
#include "nodes/script/worker/worker.h"

enum worker_state { WORKER_STARTING, WORKER_IDLE, WORKER_LOADING, WORKER_BUSY, WORKER_DYING };

struct sl_worker_pool {
    struct sl_shard *shard;
    struct sl_list workers; /* struct sl_worker, dying ones too */
    struct sl_list queue;   /* struct sl_worker_wait */
    struct sl_list failed;  /* the same: answered before their frame was parked */
    struct sl_task fail_task;
    struct sl_timer timer; /* try again to start; end who is idle */
    uint32_t queue_count;
    uint32_t scripts_count;
    uint32_t failures; /* starts that failed, one after another */
    uint64_t retry_ns; /* not before; 0: at once */
    uint64_t script_id_next;
    uint64_t call_id_next;
    uint64_t cpus[SL_PROC_CPUS_MAX / 64];
    char failure[SL_DIAG_TEXT_SIZE]; /* why the last start failed */
    struct sl_worker_stats stats;
};

struct sl_worker_script {
    struct sl_worker_pool *pool;
    const struct sl_worker_load *load;
    uint64_t id;
    uint32_t busy;          /* workers that run it */
    uint32_t queued;        /* calls of it in the queue */
    uint64_t large_next_ns; /* its large results are paid for up to then */
};

struct sl_worker {
    struct sl_list link; /* of pool->workers */
    struct sl_worker_pool *pool;
    struct sl_mail mail; /* to the starter and back */
    struct sl_shm shm;
    struct sl_proc proc;
    struct sl_op bell_op; /* its bell for us */
    struct sl_op exit_op; /* its pidfd */
    struct sl_task task;  /* go on taking messages */
    struct sl_timer timer;
    enum worker_state state;
    bool is_out;                     /* its mail is with the starter */
    bool was_used;                   /* no spare any more */
    bool is_gone;                    /* its process has ended */
    bool is_paced;                   /* its result waits; `timer` brings it back */
    struct sl_worker_wait *wait;     /* who gets the answer; NULL: cancelled */
    struct sl_worker_script *script; /* of the call; NULL: detached */
    uint64_t script_id;
    uint64_t call_id;
    uint64_t kill_ns;   /* when `timer` fires */
    uint64_t idle_ns;   /* since */
    uint64_t begin_ns;  /* when it was asked for */
    uint64_t data_used; /* private writable bytes when it became ready, as it said */
    uint64_t data_soft; /* allowed beyond that now */
    uint32_t messages;  /* since it was given its work */
    uint32_t lines;     /* of these, for the log */
    uint32_t scripts_next;
    uint64_t scripts[SL_WORKER_SCRIPTS_MAX]; /* that it has; 0: none */
    int reaped;                              /* what sl_proc_reap returned, and the two it found */
    int exit_signal;
    int exit_code;
    int start_error;
    struct sl_diag start_diag;
};

/* process.c */
/* Are workers SCHED_IDLE? */
bool worker_is_idle(void);
/* A process for the other end of `shm`, of no pool and of the ordinary class. Not on a shard. */
int worker_spawn(const struct sl_shm *shm, struct sl_proc *ret_proc, struct sl_diag *reterr);
/* The helper thread that starts workers ends: so does its nursery. On that thread. */
void worker_nursery_close(void);
int worker_start(struct sl_worker_pool *pool);
/* Look at its bell from now on; false: there is something already. */
void worker_listen(struct sl_worker *worker);
/* The end: `code` answers whoever waits. Harmless if it is dying already. */
void worker_end(struct sl_worker *worker, const char *code, int status, const char *text);

/* End one that did nothing wrong: it grew, was idle for long, or has no script left. */
void worker_retire(struct sl_worker *worker);

/* talk.c: all return false after the worker was ended. */
bool worker_load(struct sl_worker *worker);
bool worker_call(struct sl_worker *worker);
void worker_unload(struct sl_worker *worker, uint64_t script_id);
/* Take what it has sent, a batch of it. */
void worker_hear(struct sl_worker *worker);
/* The same for a result that had to wait. */
void worker_hear_paced(struct sl_worker *worker);
/* Make text from a worker printable and valid, in place, whatever it is. */
void worker_text_clean(char *text, size_t size);
bool worker_has_script(const struct sl_worker *worker, uint64_t script_id);

/* pool.c */
void pool_ready(struct sl_worker *worker);
/* It has done with its call: for the next one. */
void pool_idle(struct sl_worker *worker);
/* The call of a worker that is lost goes to another. False: it has none, or had its chances. */
bool pool_again(struct sl_worker *worker);
/* It has ended, or could not be started. */
void pool_lost(struct sl_worker_pool *pool);
void pool_start_failed(struct sl_worker_pool *pool, const char *why);
/* Answer; one count of `value` moves in. */
void wait_answer(struct sl_worker_wait *wait, struct sl_value value);
/* The worker's call has ended: forget it. Returns who waits for it, or NULL. */
struct sl_worker_wait *worker_release(struct sl_worker *worker);
