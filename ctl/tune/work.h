/* SPDX-License-Identifier: MIT */
/* The folder of a trial: copies of the specs, a script for each server, and the run of the harness. */
#pragma once

#include "ctl/tune/try.h"

enum { SL_TUNE_DIR_SIZE = 96 };

/* A value that a server or the system gets. */
struct sl_tune_value {
    const struct sl_tune_proposal *proposal;
    const char *value; /* of an option */
};

struct sl_tune_work {
    char dir[SL_TUNE_DIR_SIZE]; /* "" while there is none */
    const struct sl_tune_try_config *cfg;
    const struct sl_tune_plan *plan;
    char shards[64];
    char load[64];
    uint32_t pairs;
};

/*
 * Make the folder, with the specs: listeners but one are left out, that one gets a free port.
 * returns  0; -errno with reterr; then there is no folder
 */
int sl_tune_work_init(struct sl_tune_work *work, const struct sl_tune_try_config *cfg,
                      const struct sl_tune_plan *plan, struct sl_diag *reterr);
void sl_tune_work_fini(struct sl_tune_work *work);

/*
 * Compare the start with the start and these values.
 *
 * values    array of `count`; 0: the start with itself
 * returns   0; -EINTR when stopped; -errno with reterr
 */
int sl_tune_work_measure(struct sl_tune_work *work, const struct sl_tune_value *values,
                         uint32_t count, struct sl_tune_measured *ret_measured,
                         struct sl_diag *reterr);
