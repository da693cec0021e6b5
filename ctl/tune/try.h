/* SPDX-License-Identifier: MIT */
/*
 * Putting proposals to the test on the user's own workflow, with the harness as a child process.
 *
 *   start against itself ─► each value against the start ─► what won, once more ─► all that won
 *   (what the machine       (the best value of a key        (or it is not kept)    twice, together,
 *    allows)                 goes on)                                               against the start
 *
 * Two servers run at a time, on the same cores, one of them loaded: slots of A and B alternate.
 * Options are flags of the second server. Settings of the system are switched before each slot;
 * they are kept in a journal of their own before the first one is touched, and are back before
 * this returns, whatever happened. A process that was killed leaves the journal: the next
 * `sluice tune`, or --revert, restores it.
 *
 * Nothing of the user's data is used: registries are in memory, the control socket and the access
 * log are off, listeners get ports of their own on 127.0.0.1.
 *
 * Control plane; one at a time.
 */
#pragma once

#include <signal.h>

#include "ctl/tune/journal.h"
#include "ctl/tune/judge.h"
#include "ctl/tune/propose.h"
#include "ctl/tune/write.h"

enum {
    SL_TUNE_TRIED_MAX = 128,
    SL_TUNE_PAIRS_MIN = 8,
    SL_TUNE_PAIRS_MAX = 1000,
    SL_TUNE_WORDS_MAX = 64, /* further words of the harness's command line */
};

struct sl_tune_try_config {
    const char *bench;        /* the program sluice-bench */
    const char *sluice;       /* the program sluice */
    const char *const *files; /* specs: array of files_count */
    size_t files_count;
    const char *const *flags; /* of every server: "-e", "NAME=VALUE", …: array of flags_count */
    size_t flags_count;
    const char *const *load; /* of the harness: "--pipeline", "16", …: array of load_count */
    size_t load_count;
    const char *path;     /* to ask for: "/ping" */
    uint32_t connections; /* of the harness */
    const char *listener; /* name of the one to load; NULL: the first */
    enum sl_tune_goal goal;
    uint32_t pairs;
    uint32_t slot_ms;
    uint32_t settle_ms;
    uint32_t time_max_ms;                      /* of all; fewer pairs are taken where needed */
    double least;                              /* the smallest difference that counts: 0.02 */
    volatile sig_atomic_t *stop;               /* set by a signal; may be NULL */
    void (*told)(void *ctx, const char *text); /* a line of progress; may be NULL */
    void *ctx;
};

enum sl_tune_outcome {
    SL_TUNE_OUT_KEPT,        /* it won twice, and together with the others */
    SL_TUNE_OUT_NOISE,       /* no difference that counts */
    SL_TUNE_OUT_LOST,        /* something became worse */
    SL_TUNE_OUT_UNCONFIRMED, /* it won once, and then not again */
    SL_TUNE_OUT_BEATEN,      /* another value of the same key was better */
    SL_TUNE_OUT_ALONE,       /* it won, but together with the others nothing did */
    SL_TUNE_OUT_FAILED,      /* it could not be measured */
};

struct sl_tune_tried {
    const struct sl_tune_proposal *proposal;
    char value[SL_TUNE_VALUE_SIZE];
    enum sl_tune_outcome outcome;
    struct sl_tune_measured measured; /* the last run of it */
    char text[256];                   /* figures, or why it could not be measured */
};

struct sl_tune_report {
    char shards[64];                               /* cores of the servers */
    char load[64];                                 /* cores of the harness */
    uint32_t pairs;                                /* that were taken */
    struct sl_tune_measured itself;                /* the start against itself */
    bool is_noisy;                                 /* that differs already */
    struct sl_tune_tried tried[SL_TUNE_TRIED_MAX]; /* array of tried_count */
    uint32_t tried_count;
    struct sl_tune_measured together;
    bool has_together;
};

/*
 * How long it may take at most, in milliseconds, with all values that can be measured; and how many
 * pairs a comparison gets so that it fits into time_max_ms.
 *
 * ret_pairs  0: it does not fit even with SL_TUNE_PAIRS_MIN
 */
uint64_t sl_tune_try_time(const struct sl_tune_try_config *cfg,
                          const struct sl_tune_proposal *const *proposals, uint32_t count,
                          uint32_t *ret_pairs);

/*
 * Which cores the servers and the harness get: apart if there are two.
 * load_max  the harness needs no more than that: a thread a core, a connection a thread
 */
void sl_tune_try_cores(const struct sl_tune_plan *plan, uint32_t load_max, cpu_set_t *ret_shards,
                       cpu_set_t *ret_load);

/*
 * Try.
 *
 * proposals   array of `count`: those that can be measured, of the plan
 * journal     empty, its own; it is empty again afterwards
 * report      what happened, also after an error
 * choices     gets what is kept, with its figures
 * returns     0; -EINTR when stopped; -errno with reterr. The system is as it was in every case,
 *             or reterr says what is not
 */
int sl_tune_try(const struct sl_tune_try_config *cfg, const struct sl_tune_plan *plan,
                const struct sl_tune_proposal *const *proposals, uint32_t count,
                struct sl_tune_journal *journal, struct sl_tune_report *report,
                struct sl_tune_choices *choices, struct sl_diag *reterr);

/* "kept", "noise", … */
const char *sl_tune_outcome_text(enum sl_tune_outcome outcome);
