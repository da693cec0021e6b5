/* SPDX-License-Identifier: MIT */
/* The mode "process" of script_bench; see process.c. */
#pragma once

#include "bench/script/script_bench.h"

bool sb_process_open(struct sb_row *row);
struct sl_value sb_process_run(struct sb_row *row, struct sl_value input);
void sb_process_close(struct sb_row *row);

/* Spares: the mean memory of one, in KiB. */
struct sb_starts {
    uint32_t workers; /* that were looked at; 0: only root may */
    double dirty_kib; /* private and written */
    double pss_kib;   /* its share of what it shares with others too */
    double rss_kib;
};

/*
 * Begin and end a pool `count` times and look at its spares; no row of mode process is open.
 *
 * ret_ns   array of `count`: from asking for a worker to its being ready, of the last of each pool
 * returns  false: this machine, or this build, has no workers
 */
bool sb_process_starts(enum sb_language language, uint32_t count, double *ret_ns,
                       struct sb_starts *ret_starts);
