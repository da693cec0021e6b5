/* SPDX-License-Identifier: MIT */
/*
 * The search for capacity: the highest rate of an open loop at which a figure stays within its
 * limit ("p99=2ms"). Halving between a rate that held and one that did not, each tried for some
 * seconds, then the found rate once more at full length.
 */
#pragma once

#include "bench/threshold.h"

enum { SL_CAPACITY_STEPS_MAX = 64 };

struct sl_capacity_goal {
    enum sl_metric metric; /* a latency */
    uint64_t limit_ns;
};

struct sl_capacity_step {
    double rate;    /* asked */
    double reached; /* answered a second */
    double figure;  /* ns */
    bool held;
    bool is_valid; /* the generator kept up */
};

struct sl_capacity {
    struct sl_capacity_step steps[SL_CAPACITY_STEPS_MAX]; /* array of `steps_count` */
    uint32_t steps_count;
    double rate;             /* the highest that held; 0: none did */
    bool is_generator_bound; /* what ended the search was the generator, not the server */
};

/* Read "p99=2ms". 0, or -EINVAL with a diagnostic. */
int sl_capacity_goal_parse(const char *text, struct sl_capacity_goal *ret_goal,
                           struct sl_diag *reterr);

/*
 * Search. `config` gives connections, generator, and the duration of the last, long step; steps
 * take `step_ns` each. `ret_result` is the last run at the found rate (or the last tried).
 *
 * returns  0, or -errno with a diagnostic; the caller ends with sl_run_result_fini in every case
 */
int sl_capacity_find(const struct sl_run_config *config, const struct sl_capacity_goal *goal,
                     uint64_t step_ns, struct sl_capacity *ret_capacity,
                     struct sl_run_result *ret_result, struct sl_diag *reterr);
