/* SPDX-License-Identifier: MIT */
#include "ctl/tune/try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/work.h"

enum {
    START_MS = 1000, /* two servers come up and go down */
    LOAD_CORES_MAX = 16,
    RETRIES_MAX = 2, /* of runs that failed, a trial: a busy machine starves a server at times */
};

struct trial {
    const struct sl_tune_try_config *cfg;
    const struct sl_tune_plan *plan;
    struct sl_tune_journal *journal;
    struct sl_tune_report *report;
    struct sl_tune_work work;
    uint32_t runs_done;
    uint32_t runs_max;
    uint32_t retries;
};

const char *sl_tune_outcome_text(enum sl_tune_outcome outcome)
{
    static const char *const texts[] = {
        "kept",
        "no difference that counts",
        "something becomes worse",
        "won once, but not again",
        "another value is better",
        "won, but not together with the others",
        "could not be measured",
    };
    return texts[outcome];
}

/* ---- the plan of it -------------------------------------------------------------------------- */

static uint32_t values_count(const struct sl_tune_proposal *const *proposals, uint32_t count)
{
    uint32_t values = 0;
    for (uint32_t i = 0; i < count; i++) values += 1 + proposals[i]->others_count;
    return values < SL_TUNE_TRIED_MAX ? values : SL_TUNE_TRIED_MAX;
}

/* Itself, each value twice, all together, and what failed again. */
static uint64_t runs_max(const struct sl_tune_proposal *const *proposals, uint32_t count)
{
    return 2 + 2 * (uint64_t)values_count(proposals, count) + RETRIES_MAX;
}

static uint64_t run_ms(const struct sl_tune_try_config *cfg, uint32_t pairs)
{
    return (uint64_t)pairs * 2 * (cfg->slot_ms + cfg->settle_ms) + START_MS;
}

uint64_t sl_tune_try_time(const struct sl_tune_try_config *cfg,
                          const struct sl_tune_proposal *const *proposals, uint32_t count,
                          uint32_t *ret_pairs)
{
    sl_assert(cfg != NULL);
    sl_assert(ret_pairs != NULL);
    uint64_t runs = runs_max(proposals, count);
    uint32_t pairs = cfg->pairs;
    while (pairs > SL_TUNE_PAIRS_MIN && run_ms(cfg, pairs) * runs > cfg->time_max_ms) pairs--;
    uint64_t ms = run_ms(cfg, pairs) * runs;
    *ret_pairs = ms <= cfg->time_max_ms ? pairs : 0;
    return ms;
}

/* The first `max` cores of a set; returns how many. */
static uint32_t cores_take(const cpu_set_t *from, uint32_t max, cpu_set_t *ret_set)
{
    uint32_t count = 0;
    CPU_ZERO(ret_set);
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX && count < max; cpu++) {
        if (!CPU_ISSET(cpu, from)) continue;
        CPU_SET(cpu, ret_set);
        count++;
    }
    return count;
}

void sl_tune_try_cores(const struct sl_tune_plan *plan, uint32_t load_max, cpu_set_t *ret_shards,
                       cpu_set_t *ret_load)
{
    sl_assert(plan != NULL);
    sl_assert(load_max > 0);
    const cpu_set_t *allowed = &plan->machine->allowed;
    uint32_t half = (uint32_t)CPU_COUNT(allowed) / 2;
    cpu_set_t rest;
    if (load_max > LOAD_CORES_MAX) load_max = LOAD_CORES_MAX;
    if (half == 0) {
        *ret_shards = *allowed;
        *ret_load = *allowed;
        return;
    }
    (void)cores_take(&plan->layout.shards, half, ret_shards);
    CPU_XOR(&rest, allowed, ret_shards);
    CPU_AND(&rest, &rest, allowed);
    (void)cores_take(&rest, load_max, ret_load);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(const struct trial *trial, const char *what, const char *text)
{
    char line[512];
    if (trial->cfg->told == NULL) return;
    (void)snprintf(line, sizeof(line), "[%u of at most %u] %.100s: %.380s", trial->runs_done,
                   trial->runs_max, what, text);
    trial->cfg->told(trial->cfg->ctx, line);
}

static bool is_stopped(const struct trial *trial)
{
    return trial->cfg->stop != NULL && *trial->cfg->stop != 0;
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* Keep what the settings of the values are, before a script touches them. */
static int system_keep(struct trial *trial, const struct sl_tune_value *values, uint32_t count,
                       struct sl_diag *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_tune_proposal *p = values[i].proposal;
        if (p->measure != SL_TUNE_MEASURE_SYSTEM) continue;
        const char **paths = calloc(p->settings_count + 1, sizeof(*paths));
        sl_assert(paths != NULL);
        for (uint32_t s = 0; s < p->settings_count; s++) paths[s] = p->settings[s].path;
        int r = sl_tune_journal_keep(trial->journal, paths, p->settings_count, reterr);
        free(paths);
        if (r < 0) return r;
    }
    return 0;
}

static void on_not_restored(void *ctx, const char *path, int result)
{
    struct sl_diag *diag = ctx;
    if (result == 0 || diag->text[0] != '\0') return;
    (void)sl_diag_set(diag, "tune_not_restored", (struct sl_pos){0, 0},
                      "%s could not be restored: %s", path, strerror(-result));
    sl_diag_hint(diag, "\"sluice tune --revert\" tries again");
}

/* What ends the whole trial; other failures end only one value. */
static bool is_fatal(int r)
{
    return r == -EINTR || r == -ENOTRECOVERABLE;
}

/* One comparison, after which the system is as it was. */
static int measure_once(struct trial *trial, const struct sl_tune_value *values, uint32_t count,
                        struct sl_tune_measured *ret_measured, struct sl_diag *reterr)
{
    struct sl_diag diag = {0};
    int r = is_stopped(trial) ? -EINTR : system_keep(trial, values, count, reterr);
    if (r == 0) r = sl_tune_work_measure(&trial->work, values, count, ret_measured, reterr);
    if (sl_tune_journal_count(trial->journal) > 0) {
        int undone = sl_tune_journal_revert(trial->journal, on_not_restored, &diag);
        if (undone < 0) {
            if (reterr != NULL) *reterr = diag;
            return -ENOTRECOVERABLE;
        }
    }
    trial->runs_done++;
    return r;
}

/* The same, and once more if it failed, as often as a trial may. */
static int measure(struct trial *trial, const struct sl_tune_value *values, uint32_t count,
                   struct sl_tune_measured *ret_measured, struct sl_diag *reterr)
{
    struct sl_diag diag = {0};
    int r = measure_once(trial, values, count, ret_measured, &diag);
    if (r < 0 && !is_fatal(r) && trial->retries < RETRIES_MAX) {
        trial->retries++;
        tell(trial, "once more", diag.text);
        diag = (struct sl_diag){0};
        r = measure_once(trial, values, count, ret_measured, &diag);
    }
    if (r < 0 && reterr != NULL) *reterr = diag;
    return r;
}

static int value_try(struct trial *trial, struct sl_tune_tried *tried, struct sl_diag *reterr)
{
    const struct sl_tune_value value = {tried->proposal, tried->value};
    struct sl_diag diag = {0};
    char name[128];
    enum sl_tune_verdict verdict = SL_TUNE_NOISE;
    (void)snprintf(name, sizeof(name), "%s %.40s", tried->proposal->key, tried->value);
    for (int round = 0; round < 2; round++) {
        int r = measure(trial, &value, 1, &tried->measured, &diag);
        if (r < 0 && is_fatal(r)) {
            if (reterr != NULL) *reterr = diag;
            return r;
        }
        if (r < 0) {
            tried->outcome = SL_TUNE_OUT_FAILED;
            (void)snprintf(tried->text, sizeof(tried->text), "%.250s", diag.text);
            tell(trial, name, tried->text);
            return 0;
        }
        verdict = sl_tune_judge(&tried->measured, trial->cfg->goal);
        sl_tune_measured_text(&tried->measured, tried->text, sizeof(tried->text));
        tell(trial, name, tried->text);
        if (verdict != SL_TUNE_WON) {
            tried->outcome = round > 0                 ? SL_TUNE_OUT_UNCONFIRMED
                             : verdict == SL_TUNE_LOST ? SL_TUNE_OUT_LOST
                                                       : SL_TUNE_OUT_NOISE;
            return 0;
        }
    }
    tried->outcome = SL_TUNE_OUT_KEPT;
    return 0;
}

/* All values of a proposal; of those that won, the best stays. */
static int proposal_try(struct trial *trial, const struct sl_tune_proposal *proposal,
                        struct sl_diag *reterr)
{
    struct sl_tune_report *report = trial->report;
    struct sl_tune_tried *best = NULL;
    for (uint32_t i = 0; i <= proposal->others_count; i++) {
        if (report->tried_count == SL_TUNE_TRIED_MAX) return 0;
        struct sl_tune_tried *tried = &report->tried[report->tried_count];
        *tried = (struct sl_tune_tried){.proposal = proposal};
        (void)snprintf(tried->value, sizeof(tried->value), "%s",
                       i == 0 ? proposal->want : proposal->others[i - 1]);
        int r = value_try(trial, tried, reterr);
        if (r < 0) return r;
        report->tried_count++;
        if (tried->outcome != SL_TUNE_OUT_KEPT) continue;
        double score = sl_tune_score(&tried->measured, trial->cfg->goal);
        if (best == NULL || score < sl_tune_score(&best->measured, trial->cfg->goal)) {
            if (best != NULL) best->outcome = SL_TUNE_OUT_BEATEN;
            best = tried;
        } else {
            tried->outcome = SL_TUNE_OUT_BEATEN;
        }
    }
    return 0;
}

/* ---- together -------------------------------------------------------------------------------- */

static uint32_t kept_values(const struct sl_tune_report *report, struct sl_tune_value *values)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < report->tried_count; i++) {
        const struct sl_tune_tried *tried = &report->tried[i];
        if (tried->outcome != SL_TUNE_OUT_KEPT) continue;
        sl_assert(count < SL_TUNE_PROPOSALS_MAX);
        values[count++] = (struct sl_tune_value){tried->proposal, tried->value};
    }
    return count;
}

/* Only the best of those that won stays. */
static void kept_reduce(struct trial *trial)
{
    struct sl_tune_report *report = trial->report;
    struct sl_tune_tried *best = NULL;
    for (uint32_t i = 0; i < report->tried_count; i++) {
        struct sl_tune_tried *tried = &report->tried[i];
        if (tried->outcome != SL_TUNE_OUT_KEPT) continue;
        double score = sl_tune_score(&tried->measured, trial->cfg->goal);
        bool is_best = best == NULL || score < sl_tune_score(&best->measured, trial->cfg->goal);
        if (is_best && best != NULL) best->outcome = SL_TUNE_OUT_ALONE;
        if (!is_best) tried->outcome = SL_TUNE_OUT_ALONE;
        if (is_best) best = tried;
    }
}

static int together_try(struct trial *trial, struct sl_diag *reterr)
{
    struct sl_tune_value values[SL_TUNE_PROPOSALS_MAX];
    struct sl_tune_report *report = trial->report;
    char text[256];
    uint32_t count = kept_values(report, values);
    if (count < 2) return 0;
    int r = measure(trial, values, count, &report->together, reterr);
    if (r < 0) return r;
    report->has_together = true;
    sl_tune_measured_text(&report->together, text, sizeof(text));
    tell(trial, "all that won, together", text);
    if (sl_tune_judge(&report->together, trial->cfg->goal) != SL_TUNE_WON) kept_reduce(trial);
    return 0;
}

static void choices_take(const struct trial *trial, struct sl_tune_choices *choices)
{
    for (uint32_t i = 0; i < trial->report->tried_count; i++) {
        const struct sl_tune_tried *tried = &trial->report->tried[i];
        if (tried->outcome != SL_TUNE_OUT_KEPT) continue;
        sl_tune_choices_add(choices, tried->proposal, tried->value, tried->text);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int itself_try(struct trial *trial, struct sl_diag *reterr)
{
    struct sl_tune_report *report = trial->report;
    char text[256];
    int r = measure(trial, NULL, 0, &report->itself, reterr);
    if (r < 0) return r;
    for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
        report->is_noisy |= report->itself.figures[m].is_different;
    }
    sl_tune_measured_text(&report->itself, text, sizeof(text));
    tell(trial, "the start against itself", text);
    return 0;
}

static int trial_run(struct trial *trial, const struct sl_tune_proposal *const *proposals,
                     uint32_t count, struct sl_diag *reterr)
{
    int r = itself_try(trial, reterr);
    for (uint32_t i = 0; i < count && r == 0; i++) r = proposal_try(trial, proposals[i], reterr);
    if (r == 0) r = together_try(trial, reterr);
    return r;
}

int sl_tune_try(const struct sl_tune_try_config *cfg, const struct sl_tune_plan *plan,
                const struct sl_tune_proposal *const *proposals, uint32_t count,
                struct sl_tune_journal *journal, struct sl_tune_report *report,
                struct sl_tune_choices *choices, struct sl_diag *reterr)
{
    sl_assert(cfg != NULL);
    sl_assert(plan != NULL);
    sl_assert(journal != NULL);
    sl_assert(sl_tune_journal_count(journal) == 0);
    struct trial trial = {.cfg = cfg, .plan = plan, .journal = journal, .report = report};
    *report = (struct sl_tune_report){.tried_count = 0};
    trial.runs_max = (uint32_t)runs_max(proposals, count);
    int r = sl_tune_work_init(&trial.work, cfg, plan, reterr);
    if (r < 0) return r;
    uint32_t pairs;
    (void)sl_tune_try_time(cfg, proposals, count, &pairs);
    trial.work.pairs = pairs > 0 ? pairs : SL_TUNE_PAIRS_MIN;
    report->pairs = trial.work.pairs;
    (void)snprintf(report->shards, sizeof(report->shards), "%s", trial.work.shards);
    (void)snprintf(report->load, sizeof(report->load), "%s", trial.work.load);
    r = trial_run(&trial, proposals, count, reterr);
    sl_tune_work_fini(&trial.work);
    if (r == 0) choices_take(&trial, choices);
    return r;
}
