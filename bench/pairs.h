/* SPDX-License-Identifier: MIT */
/*
 * Comparing servers side by side: short slots, one after the other, again and again
 * (A B A B …), so that a slow swing of the machine hits both members of a pair. Differences are
 * judged on the ratios of adjacent pairs only.
 */
#pragma once

#include "bench/fmt.h"
#include "bench/job.h"
#include "bench/stats.h"

enum { SL_PAIRS_TARGETS_MAX = 32, SL_PAIRS_ROUNDS_MAX = 10000 };

enum sl_pairs_metric {
    SL_PAIRS_CPU, /* µs of server CPU per request */
    SL_PAIRS_P50, /* µs */
    SL_PAIRS_P99, /* µs */
    SL_PAIRS_RATE,
    SL_PAIRS_METRICS_COUNT
};

struct sl_pairs_target {
    const char *name;
    const char *enter; /* a command to run before each of its slots, or NULL; borrowed */
    const struct sl_run_config *config; /* borrowed; duration and warm-up are set from the slots */
    double *values[SL_PAIRS_METRICS_COUNT]; /* arrays of rounds; NaN: not measured; owned */
    struct sl_hdr *latency; /* of all valid slots, if the pairs keep them; else NULL; owned */
    struct sl_hdr *late;    /* the generator's lateness in the same slots */
    uint64_t requests;
    uint64_t errors;
    uint64_t kinds[SL_LOAD_ERRORS_COUNT]; /* the errors by kind */
    uint64_t timed_count;                 /* replies in `latency` */
    uint64_t disturbed_count; /* replies that the generator could not time, in valid slots */
    uint32_t empty_count;     /* slots without one reply: left out */
    uint32_t empty_row;       /* of them the last ones in a row */
    char why[160];            /* it gave no reply and is not asked any more; "": it does */
    uint32_t
        invalid_count; /* slots in which the generator was late: left out unless `keeps_late` */
};

struct sl_pairs {
    struct sl_pairs_target targets[SL_PAIRS_TARGETS_MAX]; /* array of `targets_count` */
    uint32_t targets_count;
    uint32_t rounds;     /* wanted */
    uint32_t done_count; /* whole rounds */
    uint64_t slot_ns;
    uint64_t settle_ns;    /* at the begin of a slot, not measured */
    uint64_t warm_ns;      /* load each target so long before the first round; not measured */
    struct sl_hdr *jitter; /* of all slots, if `keeps`; owned */
    /* Called before each slot with the target's number; may be NULL. */
    void (*enter)(void *ctx, uint32_t target);
    void *enter_ctx;
    bool keeps;      /* keep histograms, and look at the machine's jitter */
    bool keeps_late; /* slots in which the generator was late count too */
    bool goes_on;    /* without a target that gives no reply; else that ends the run */
    bool rotates;    /* begin each round with another target, so that no place is special */
    bool progress;
};

/* Make room for the values. 0 or -ENOMEM. */
int sl_pairs_init(struct sl_pairs *pairs);
void sl_pairs_fini(struct sl_pairs *pairs);

/*
 * Run all rounds, or until stopped. A slot without one reply is left out; after some in a row the
 * target does not answer: that ends the run, or, with `goes_on`, only this target, and `why` says
 * it. 0, or -errno with a diagnostic; -ENODATA also if no target is left.
 */
int sl_pairs_run(struct sl_pairs *pairs, struct sl_diag *reterr);

/* The ratio of target `b` to target `a`. */
struct sl_ratio sl_pairs_ratio(const struct sl_pairs *pairs, uint32_t a, uint32_t b,
                               enum sl_pairs_metric metric);

/* Names of a metric, for programs and for people; static. */
const char *sl_pairs_metric_name(enum sl_pairs_metric metric);  /* "cpu_us" */
const char *sl_pairs_metric_title(enum sl_pairs_metric metric); /* "CPU/request" */

/* A value with its unit. */
struct sl_fmt sl_pairs_value(enum sl_pairs_metric metric, double value);

/* "×1.012 (1.008–1.016)" or "–". */
struct sl_fmt sl_pairs_ratio_text(const struct sl_ratio *ratio);

/* So many errors that its figures are not those of the work it was asked for. */
bool sl_pairs_target_is_spoilt(const struct sl_pairs_target *target);

/* "1,697 errors in 7,007 requests, most of them: unwanted body"; for a target that had some. */
void sl_pairs_errors_text(const struct sl_pairs_target *target, char *buf, size_t buf_size);
