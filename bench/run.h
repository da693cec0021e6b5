/* SPDX-License-Identifier: MIT */
/*
 * One measured run: worker threads with a generator each, the server's use of the machine beside
 * it, the machine's own jitter, a progress line; and the judgement whether the run is valid.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sched.h>
#include <sys/types.h>

#include "bench/load.h"
#include "bench/proc.h"
#include "core/base/diag.h"

enum { SL_RUN_THREADS_MAX = 64, SL_RUN_INTERVALS_MAX = 600, SL_RUN_NOTES_MAX = 8 };

enum sl_run_wire { SL_RUN_WIRE_AUTO, SL_RUN_WIRE_URING, SL_RUN_WIRE_EPOLL };

struct sl_run_config {
    const struct sl_requests *requests;
    const struct sl_bench_addr *addr;
    struct sl_load_check check;
    const struct sl_load_probe *probe; /* borrowed; NULL: none */
    double rate_from;                  /* requests a second; 0: closed loop */
    double rate_to;                    /* at the end of the window */
    uint64_t interval_ns;              /* of the time line; 0: chosen by the duration */
    uint64_t warmup_ns;
    uint64_t duration_ns; /* UINT64_MAX: until `count` */
    uint64_t count;       /* UINT64_MAX: no limit */
    uint64_t timeout_ns;
    uint64_t spin_ns;
    uint32_t connections;
    uint32_t pipeline;
    uint32_t threads;
    int priority; /* of the generator's threads; see sl_run_prioritise */
    enum sl_run_wire wire;
    const int *cores;     /* array of `cores_count`: threads are pinned to them in turn */
    uint32_t cores_count; /* 0: not pinned */
    pid_t pid;            /* server to watch; 0: none */
    bool close;
    bool jitter;   /* measure an idle thread's wake-up lateness beside the run */
    bool progress; /* lines on stderr */
    /* Called once by the caller of sl_run when the run has its times; NULL: nobody. */
    void (*begins)(void *ctx, uint64_t window_start_ns);
    void *begins_ctx;
};

struct sl_run_result {
    struct sl_load_result load;
    struct sl_hdr *jitter;      /* NULL: not measured; owned */
    struct sl_proc_usage usage; /* of the server, in the window */
    uint64_t usage_requests;    /* replies between its two readings */
    uint64_t usage_ns;          /* time between them */
    uint64_t interval_ns;       /* of the time line */
    uint64_t window_start_ns;   /* monotonic clock */
    double rate;                /* replies a second */
    double client_share;        /* CPU of the generator, of one core per thread */
    int64_t started_wall_ns;
    const char *wire_name;
    bool has_usage;
    bool is_open_loop;
    double disturbed_share; /* of the replies: the generator could not time them; 0..1 */
    double waited_share;    /* of the time, the generator was ready and had no core; 0..1 */
    bool is_valid;          /* false: too few requests could be timed */
    bool is_stopped;        /* by a signal */
    bool is_gone;           /* the target stopped answering and refused, until the end */
    char notes[SL_RUN_NOTES_MAX][320]; /* array of `notes_count` sentences */
    uint32_t notes_count;
};

/*
 * Run. Blocks until the end; the calling thread watches.
 *
 * returns  0; -ECONNREFUSED and the like when no connection could be opened; -EINVAL; -ENOMEM;
 *          all with a diagnostic. The caller ends with sl_run_result_fini in every case.
 * thread   one run at a time
 */
int sl_run(const struct sl_run_config *config, struct sl_run_result *ret_result,
           struct sl_diag *reterr);

/* Free what sl_run filled. */
void sl_run_result_fini(struct sl_run_result *result);

/* µs of server CPU per request, with its user and system parts; NaN when not watched. */
double sl_run_cpu_us(const struct sl_run_result *result);
double sl_run_cpu_user_us(const struct sl_run_result *result);

/*
 * Take a priority for the calling thread: 0 leaves it, -20..19 is a nice value, SL_RUN_FIFO + 1..99 real
 * time (a nice value says little between sessions where the kernel groups them). 0 or -errno.
 */
enum { SL_RUN_FIFO = 1000 };
int sl_run_prioritise(int priority);

/* Pin the calling thread to one core. 0 or -errno. */
int sl_run_pin(int core);

/* Ask a run under way to end soon; safe in a signal handler. */
void sl_run_stop(void);
bool sl_run_is_stopped(void);
