/* SPDX-License-Identifier: MIT */
/*
 * A run as one self-contained HTML page: figures, percentile plot, time lines, method. No script,
 * no outside resource; light and dark.
 */
#pragma once

#include "bench/baseline.h"
#include "bench/pairs.h"
#include "bench/run.h"

/* baseline: NULL for none. 0, or -errno with a diagnostic. */
int sl_html_write(const char *path, const char *title, const struct sl_run_config *config,
                  const struct sl_run_result *result, const struct sl_baseline *baseline,
                  struct sl_diag *reterr);

/*
 * The page of a comparison: its text, and a chart of one figure over the rounds for targets
 * `first`..`first + count - 1` (colours repeat after eight).
 */
struct sl_html_pairs_chart {
    const char *title;
    const struct sl_pairs *pairs;
    enum sl_pairs_metric metric;
    uint32_t first;
    uint32_t count;
};

/* charts: array of `charts_count`. 0, or -errno with a diagnostic. */
int sl_html_pairs_write(const char *path, const char *title, const char *text,
                        const struct sl_html_pairs_chart *charts, size_t charts_count,
                        struct sl_diag *reterr);

/* A chart of percentile curves. */
struct sl_html_curve {
    const char *label;
    const struct sl_hdr *hdr; /* NULL or empty: left out */
};

struct sl_html_curves {
    const char *title;
    const char *caption;
    const struct sl_html_curve *curves; /* array of `curves_count`; colours repeat after eight */
    size_t curves_count;
};

/* A page of a text and such charts. 0, or -errno with a diagnostic. */
int sl_html_curves_write(const char *path, const char *title, const char *text,
                         const struct sl_html_curves *charts, size_t charts_count,
                         struct sl_diag *reterr);
