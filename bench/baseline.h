/* SPDX-License-Identifier: MIT */
/*
 * Baselines: a run kept in a file, to set later runs against. The file is a histogram log
 * (hdr_log.h) with the other figures as comments, so other tools read it too.
 */
#pragma once

#include "bench/hdr.h"
#include "bench/threshold.h"

struct sl_baseline {
    struct sl_metrics metrics;
    struct sl_hdr *latency; /* owned */
};

/* Write a run. 0, or -errno with a diagnostic. */
int sl_baseline_write(const char *path, const struct sl_run_result *result, struct sl_diag *reterr);

/* Read one. 0, or -errno with a diagnostic; end with sl_baseline_fini in every case. */
int sl_baseline_read(const char *path, struct sl_baseline *ret_baseline, struct sl_diag *reterr);
void sl_baseline_fini(struct sl_baseline *baseline);
