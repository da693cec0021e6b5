/* SPDX-License-Identifier: MIT */
/* Writing and reading baselines; see baseline.h. */
#include "bench/baseline.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/hdr_log.h"
#include "core/base/assertion.h"

int sl_baseline_write(const char *path, const struct sl_run_result *result, struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    struct sl_metrics metrics;
    sl_metrics_get(result, &metrics);
    FILE *out = fopen(path, "we");
    int err = out == NULL ? -errno : 0;
    if (out != NULL) {
        sl_hdr_log_begin(out, (double)result->started_wall_ns / 1e9);
        for (int i = 0; i < SL_METRICS_COUNT; i++) {
            if (isnan(metrics.value[i])) continue;
            sl_hdr_log_figure(out, sl_metric_name((enum sl_metric)i), metrics.value[i]);
        }
        sl_hdr_log_titles(out);
        double length = (double)result->load.window_ns / 1e9;
        err = sl_hdr_log_write(out, NULL, 0, length, result->load.latency);
        if (fclose(out) != 0 && err == 0) err = -errno;
    }
    if (err < 0) {
        (void)sl_diag_set(reterr, "bad_file", (struct sl_pos){0, 0}, "cannot write \"%s\": %s",
                          path, strerror(-err));
    }
    return err;
}

static void figure_take(void *ctx, const char *name, double value)
{
    struct sl_baseline *baseline = ctx;
    for (int i = 0; i < SL_METRICS_COUNT; i++) {
        if (strcmp(name, sl_metric_name((enum sl_metric)i)) == 0)
            baseline->metrics.value[i] = value;
    }
}

static void line_take(void *ctx, const char *tag, double start_s, double length_s,
                      const struct sl_hdr *hdr)
{
    struct sl_baseline *baseline = ctx;
    (void)tag;
    (void)start_s;
    (void)length_s;
    sl_hdr_merge(baseline->latency, hdr);
}

int sl_baseline_read(const char *path, struct sl_baseline *ret_baseline, struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    for (int i = 0; i < SL_METRICS_COUNT; i++) ret_baseline->metrics.value[i] = NAN;
    ret_baseline->latency = sl_hdr_new_latency();
    if (ret_baseline->latency == NULL) return -ENOMEM;
    struct sl_hdr_log_sink sink = {.figure = figure_take, .line = line_take, .ctx = ret_baseline};
    int err = sl_hdr_log_read(path, &sink, reterr);
    if (err == 0 && ret_baseline->latency->total == 0) {
        err = sl_diag_set(reterr, "bad_log", (struct sl_pos){0, 0}, "\"%s\" holds no histogram",
                          path);
    }
    return err;
}

void sl_baseline_fini(struct sl_baseline *baseline)
{
    baseline->latency = sl_hdr_free(baseline->latency);
}
