/* SPDX-License-Identifier: MIT */
/*
 * The search for capacity: the highest rate of an open loop at which a figure stays within its
 * limit ("p99=2ms").
 *
 *     closed loop → upper bound → halving (in logarithms) → the found rate at full length
 *
 * One try says little on a machine that swings, so every rate is judged by the first two tries that
 * agree. A try in which the generator was late says nothing of the server: it is made again and
 * never counts. Where the generator cannot do better the search goes on below and says so.
 */
#pragma once

#include "bench/threshold.h"

enum { SL_CAPACITY_STEPS_MAX = 160 };

struct sl_capacity_goal {
    enum sl_metric metric; /* a latency */
    uint64_t limit_ns;
};

/* One try of a rate. */
struct sl_capacity_step {
    double rate;        /* asked */
    double reached;     /* answered a second */
    double figure;      /* ns */
    double error_share; /* 0..1 */
    bool is_valid;      /* the generator kept up */
    bool held;          /* filled by the search */
    bool is_long;       /* the found rate at full length */
};

struct sl_capacity {
    struct sl_capacity_step steps[SL_CAPACITY_STEPS_MAX]; /* array of `steps_count` */
    uint32_t steps_count;
    double rate;             /* the highest that held; 0: none did */
    double rate_failed;      /* the lowest above it that did not; 0: none was tried */
    bool is_generator_bound; /* what ended the search was the generator, not the server */
    bool is_confirmed;       /* `rate` held at full length */
};

/* Read "p99=2ms". 0, or -EINVAL with a diagnostic. */
int sl_capacity_goal_parse(const char *text, struct sl_capacity_goal *ret_goal,
                           struct sl_diag *reterr);

/* ---- the search, whatever is behind it ---- */

/*
 * Load at `rate` for `duration_ns` and fill the step but for `held` and `is_long`.
 * 0, or -errno with a diagnostic, which ends the search.
 */
typedef int sl_capacity_try_fn(void *ctx, double rate, uint64_t duration_ns,
                               struct sl_capacity_step *ret_step, struct sl_diag *reterr);

struct sl_capacity_plan {
    sl_capacity_try_fn *try;
    void *ctx;
    uint64_t limit_ns;
    uint64_t step_ns;  /* of a try */
    uint64_t long_ns;  /* of the last ones; 0: none */
    double rate_guess; /* a rate that is hardly exceeded: what a closed loop reaches */
};

/* Search. 0, or what `try` returned. Ends early when sl_run_is_stopped. */
int sl_capacity_search(const struct sl_capacity_plan *plan, struct sl_capacity *ret_capacity,
                       struct sl_diag *reterr);

/* ---- of a server ---- */

/*
 * Search. `config` gives connections, generator, and the duration of the last, long tries; others
 * take `step_ns` each. `ret_result` is the last run at the found rate (or the last tried).
 *
 * returns  0, or -errno with a diagnostic; the caller ends with sl_run_result_fini in every case
 */
int sl_capacity_find(const struct sl_run_config *config, const struct sl_capacity_goal *goal,
                     uint64_t step_ns, struct sl_capacity *ret_capacity,
                     struct sl_run_result *ret_result, struct sl_diag *reterr);
