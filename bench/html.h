/* SPDX-License-Identifier: MIT */
/*
 * A run as one self-contained HTML page: figures, percentile plot, time lines, method. No script,
 * no outside resource; light and dark.
 */
#pragma once

#include "bench/baseline.h"
#include "bench/run.h"

/* baseline: NULL for none. 0, or -errno with a diagnostic. */
int sl_html_write(const char *path, const char *title, const struct sl_run_config *config,
                  const struct sl_run_result *result, const struct sl_baseline *baseline,
                  struct sl_diag *reterr);
