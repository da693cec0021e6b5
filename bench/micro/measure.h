/* SPDX-License-Identifier: MIT */
/*
 * Measuring one case: batches, counters of the processor where there are any, allocations. And how
 * quiet the machine is, without which nanoseconds mean little.
 */
#pragma once

#include "bench/micro/micro.h"

/* The processor's counters of this thread. */
struct sl_micro_counters {
    int cycles_fd;       /* -1: none */
    int instructions_fd; /* -1: none */
    const char *why;     /* why there are none; NULL: there are */
};

/* Always succeeds; `why` says what is missing. End with fini. */
void sl_micro_counters_init(struct sl_micro_counters *counters);
void sl_micro_counters_fini(struct sl_micro_counters *counters);

/* Figures of one operation. NaN: not measured. */
struct sl_micro_figures {
    double ns;           /* median of the batches */
    double ns_low;       /* quartiles */
    double ns_high;      /* */
    double ns_best;      /* the fastest batch; NaN where a base is taken off */
    double ticks;        /* of the processor's time stamp counter: cycles of a fixed clock */
    double cycles;       /* of this thread, by the processor's counter */
    double instructions; /* */
    double allocations;  /* calls that take memory from the system's allocators, all threads */
    double bytes;        /* of those */
    uint64_t work;       /* bytes that one operation reads or writes; 0: no matter */
    uint64_t batches;    /* measured */
    uint64_t count;      /* operations of a batch */
};

/*
 * Measure a case whose setup is done, for about `budget_ns`.
 *
 * returns  0; -errno with run->diag, of a case that times itself
 * thread   main's, which the case runs on
 */
int sl_micro_measure(const struct sl_micro_case *item, struct sl_micro_run *run,
                     const struct sl_micro_counters *counters, uint64_t budget_ns,
                     struct sl_micro_figures *ret_figures);

/* What the machine takes away from a thread that only looks at the clock. */
struct sl_micro_quiet {
    double lost_share; /* of the time, in gaps over 2 µs */
    uint64_t gap_ns;   /* the longest */
    uint64_t late_ns;  /* median lateness of a sleep of 100 µs */
    uint64_t late_max_ns;
};

/* Look for `budget_ns`. */
void sl_micro_quiet_measure(uint64_t budget_ns, struct sl_micro_quiet *ret_quiet);

/* True if figures of this machine, now, should not be believed. */
bool sl_micro_quiet_is_bad(const struct sl_micro_quiet *quiet);

/* ---- allocations (alloc.c) ---- */

struct sl_micro_alloc {
    uint64_t calls;
    uint64_t bytes;
};

/* Count from now on, in all threads. */
void sl_micro_alloc_begin(void);

/* Forget what was counted, if it is: what came before was no part of it. */
void sl_micro_alloc_again(void);

/* Stop counting and tell. False: this build does not count (a sanitizer has the allocator). */
bool sl_micro_alloc_end(struct sl_micro_alloc *ret_alloc);
