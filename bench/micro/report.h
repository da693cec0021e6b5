/* SPDX-License-Identifier: MIT */
/* The figures of all cases: as a table, as JSON, and set against kept ones. */
#pragma once

#include <stdio.h>

#include "bench/micro/measure.h"

enum { SL_MICRO_RESULTS_MAX = 256 };

struct sl_micro_result {
    const struct sl_micro_case *item;
    struct sl_micro_figures figures;
    char why[128]; /* not empty: not measured, and why */
    bool failed;
    double kept_ns; /* of --against: median and quartiles; NaN: not in it */
    double kept_low;
    double kept_high;
};

struct sl_micro_report {
    struct sl_micro_result results[SL_MICRO_RESULTS_MAX]; /* array of `count` */
    size_t count;
    struct sl_micro_counters counters;
    struct sl_micro_quiet before;
    struct sl_micro_quiet after;
    const char *dir;
    const int *cores; /* array of cores_count */
    uint32_t cores_count;
    bool has_kept;
};

/* Begin: opens the counters and looks how quiet the machine is. */
void sl_micro_report_init(struct sl_micro_report *report, const char *dir, const int *cores,
                          uint32_t cores_count);

/* A result to fill in. */
struct sl_micro_result *sl_micro_report_add(struct sl_micro_report *report,
                                            const struct sl_micro_case *item);

/* All cases have run: looks at the machine again. */
void sl_micro_report_end(struct sl_micro_report *report);
void sl_micro_report_fini(struct sl_micro_report *report);

/* Read kept figures (the JSON of an earlier run). 0, or -errno with a diagnostic. */
int sl_micro_report_against(struct sl_micro_report *report, const char *path,
                            struct sl_diag *reterr);

/* least: smaller changes against kept figures do not count (0.1: 10 %). */
void sl_micro_report_text(FILE *out, const struct sl_micro_report *report, double least);
void sl_micro_report_json(FILE *out, const struct sl_micro_report *report);

/* enum sl_bench_exit: a case failed, or one is slower than it was. */
int sl_micro_report_exit(const struct sl_micro_report *report, double least);
