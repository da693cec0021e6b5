/* SPDX-License-Identifier: MIT */
/*
 * The thread of `sluice-bench swap` that changes the workflow while the generator loads it:
 *
 *     phase   calm │ storm │ calm │ storm │ … │ calm
 *     swaps         ▏▏▏▏▏▏▏        ▏▏▏▏▏▏▏
 *
 * In a storm it sends versions on a schedule, or each as soon as the last was acknowledged. In all
 * phases it looks at the server from time to time: programs alive, memory.
 *
 * Thread: all functions on the caller's; the storm has one of its own between begin and end.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bench/swap_site.h"
#include "bench/versions.h"

/* One change: monotonic times, ns; 0: did not happen. */
struct sl_swap {
    uint64_t asked_ns;
    uint64_t acked_ns; /* stored, said the registry */
};

struct sl_swap_looks {
    uint64_t before;
    uint64_t max; /* while it ran */
    uint64_t after;
};

struct sl_swap_storm {
    /* set by the caller */
    struct sl_swap_site *site;
    struct sl_versions *versions;
    const char *name_space;
    double rate; /* swaps a second in a storm; 0: as fast as they are acknowledged */
    uint64_t phase_ns;
    uint64_t duration_ns; /* of the window */
    uint32_t swaps_max;

    /* filled */
    struct sl_swap *swaps; /* array of `swaps_max + 1` by version; [0] is the beginning; owned */
    uint32_t asked_count;
    uint32_t stored_count;
    uint32_t refused_count;
    char first_refusal[256];
    struct sl_swap_looks programs;
    struct sl_swap_looks rss; /* bytes, with descendants */
    uint64_t published;       /* programs, from begin to end */
    uint64_t published_refused;

    /* the storm's own */
    _Atomic uint64_t window_start_ns; /* 0: not known yet */
    _Atomic bool is_cancelled;
    pthread_t thread;
    bool is_running;
    uint64_t look_ns; /* next one */
    struct sl_swap_status first_status;
};

/* How many swaps a storm of these settings can ask for. */
uint32_t sl_swap_storm_count(double rate, uint64_t phase_ns, uint64_t duration_ns);

/* Look at the server for the first time and start the thread, which waits for the window's begin. */
int sl_swap_storm_begin(struct sl_swap_storm *storm, struct sl_diag *reterr);

/* For sl_run_config.begins; ctx is the storm. */
void sl_swap_storm_window(void *ctx, uint64_t window_start_ns);

/* Wait for the thread; then, at most 5 s, for old programs to go; look for the last time. */
void sl_swap_storm_end(struct sl_swap_storm *storm);

/* Free what the storm holds; its thread has ended. */
void sl_swap_storm_fini(struct sl_swap_storm *storm);
