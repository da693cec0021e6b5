/* SPDX-License-Identifier: MIT */
/* tune --try: from the words to a trial, its progress, and what it said. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/cli/tune.h"

enum {
    SETTLE_MS = 100,
    CONNECTIONS_MAX = 10000,
    SLOT_MS_MIN = 20,
    SLOT_MS_MAX = 60000,
    PATH_SIZE = 4096,
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static void on_told(void *ctx, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", text);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Flags of every server and words of the harness, as they were given here. */
struct words {
    const char *flags[256];
    size_t flags_count;
    const char *load[SL_TUNE_WORDS_MAX];
    size_t load_count;
};

static bool word_add(const char **items, size_t *count, size_t max, const char *name,
                     const char *value)
{
    if (*count + 2 > max) {
        cli_error("tune: too many values of %s", name);
        return false;
    }
    items[(*count)++] = name;
    items[(*count)++] = value;
    return true;
}

static bool flags_read(struct cli_args *args, struct words *words)
{
    static const char *const names[][2] = {
        {"namespace", "-n"}, {"env", "-e"}, {"from-secrets", "--from-secrets"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t count;
        const char *const *items = cli_get_list(args, names[i][0], &count);
        for (size_t k = 0; k < count; k++) {
            if (!word_add(words->flags, &words->flags_count, 256, names[i][1], items[k]))
                return false;
        }
    }
    return true;
}

static bool load_read(struct cli_args *args, struct words *words)
{
    static const char *const names[][2] = {{"pipeline", "--pipeline"},
                                           {"rate", "--rate"},
                                           {"method", "--method"},
                                           {"body", "--body"},
                                           {"header", "--header"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t count;
        const char *const *items = cli_get_list(args, names[i][0], &count);
        for (size_t k = 0; k < count; k++) {
            if (!word_add(words->load, &words->load_count, SL_TUNE_WORDS_MAX, names[i][1],
                          items[k])) {
                return false;
            }
        }
    }
    return true;
}

static bool least_read(struct cli_args *args, double *ret_least)
{
    char *end;
    const char *text = cli_get(args, "least");
    double least = strtod(text, &end);
    if (end != text && *end == '\0' && least >= 0 && least < 1) {
        *ret_least = least;
        return true;
    }
    cli_value_error(args, "least", "expected a share such as 0.02");
    return false;
}

static bool numbers_read(struct cli_args *args, struct sl_tune_try_config *cfg)
{
    int64_t pairs = 0;
    int64_t connections = 0;
    if (!cli_get_number(args, "pairs", SL_TUNE_PAIRS_MIN, SL_TUNE_PAIRS_MAX, &pairs) ||
        !cli_get_number(args, "connections", 1, CONNECTIONS_MAX, &connections) ||
        !cli_get_duration_ms(args, "slot", &cfg->slot_ms) ||
        !cli_get_duration_ms(args, "time", &cfg->time_max_ms) || !least_read(args, &cfg->least)) {
        return false;
    }
    if (cfg->slot_ms < SLOT_MS_MIN || cfg->slot_ms > SLOT_MS_MAX) {
        cli_value_error(args, "slot", "expected %dms to %dms", SLOT_MS_MIN, SLOT_MS_MAX);
        return false;
    }
    if (!sl_tune_goal_parse(cli_get(args, "goal"), &cfg->goal)) {
        cli_value_error(args, "goal", "expected balanced, latency or cpu");
        return false;
    }
    cfg->pairs = (uint32_t)pairs;
    cfg->connections = (uint32_t)connections;
    cfg->settle_ms = SETTLE_MS;
    return true;
}

/* ---- what can be tried ----------------------------------------------------------------------- */

static uint32_t candidates_find(const struct sl_tune_plan *plan, cli_tune_wanted_fn *is_wanted,
                                void *ctx, const struct sl_tune_proposal **ret_candidates)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        const struct sl_tune_proposal *p = &plan->proposals[i];
        if (p->measure == SL_TUNE_MEASURE_NONE || !is_wanted(ctx, p)) continue;
        if (p->may != SL_TUNE_MAY_NOW) {
            (void)fprintf(stderr, "%s is not tried (may we set it: %s)\n", p->key,
                          sl_tune_may_text(p->may));
            continue;
        }
        ret_candidates[count++] = p;
    }
    return count;
}

/* "3 min 20 s" */
static void time_text(uint64_t ms, char *buf, size_t buf_size)
{
    unsigned long long s = (ms + 999) / 1000;
    if (s < 60) {
        (void)snprintf(buf, buf_size, "%llu s", s);
    } else {
        (void)snprintf(buf, buf_size, "%llu min %llu s", s / 60, s % 60);
    }
}

/* Say how long it takes. False if it does not fit. */
static bool time_tell(const struct sl_tune_try_config *cfg, const struct sl_tune_plan *plan,
                      const struct sl_tune_proposal *const *candidates, uint32_t count)
{
    uint32_t pairs;
    char most[32];
    char wanted[32];
    cpu_set_t sets[2];
    char cores[2][64];
    uint64_t ms = sl_tune_try_time(cfg, candidates, count, &pairs);
    time_text(ms, most, sizeof(most));
    time_text(cfg->time_max_ms, wanted, sizeof(wanted));
    if (pairs == 0) {
        cli_error("tune: %u proposal%s would take %s with %d pairs each, and --time is %s; give "
                  "more time, "
                  "or less to try with --only",
                  count, sl_plural(count), most, SL_TUNE_PAIRS_MIN, wanted);
        return false;
    }
    sl_tune_try_cores(plan, cfg->connections, &sets[0], &sets[1]);
    for (int i = 0; i < 2; i++) sl_tune_cpus_format(&sets[i], cores[i], sizeof(cores[i]));
    (void)fprintf(
        stderr,
        "%u proposal%s, %u pairs of %u ms each time; servers on core %s, load from %s: at "
        "most %s\n",
        count, sl_plural(count), pairs, cfg->slot_ms, cores[0], cores[1], most);
    if (strcmp(cores[0], cores[1]) == 0) {
        (void)fprintf(stderr,
                      "one core for servers and load: only CPU a request means something\n");
    }
    return true;
}

/* ---- the trial ------------------------------------------------------------------------------- */

static void signals_catch(struct sigaction *old)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal};
    stop_asked = 0;
    for (int i = 0; i < 3; i++) (void)sigaction(numbers[i], &action, &old[i]);
}

static void signals_back(const struct sigaction *old)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) (void)sigaction(numbers[i], &old[i], NULL);
}

/* What an earlier trial left that was killed is undone first. */
static int leftovers_undo(struct sl_tune_journal *journal)
{
    size_t count = sl_tune_journal_count(journal);
    if (count == 0) return 0;
    int r = sl_tune_journal_revert(journal, NULL, NULL);
    if (r < 0) {
        cli_error("tune: an earlier trial was cut off, and what it had set could not be restored");
        return r;
    }
    (void)fprintf(stderr, "an earlier trial was cut off: %zu settings were restored\n", count);
    return 0;
}

static int trial_run(struct cli_args *args, struct sl_tune_try_config *cfg,
                     const struct sl_tune_plan *plan, struct sl_tune_journal *journal,
                     const struct sl_tune_proposal *const *candidates, uint32_t count,
                     struct sl_tune_report *report, struct sl_tune_choices *choices)
{
    struct sigaction old[3];
    struct sl_diag diag = {0};
    signals_catch(old);
    cfg->stop = &stop_asked;
    cfg->told = on_told;
    int r = leftovers_undo(journal);
    if (r == 0) {
        r = sl_tune_try(cfg, plan, candidates, count, journal, report, choices, &diag);
    }
    signals_back(old);
    if (r == 0) return CLI_OK;
    if (r == -EINTR) {
        (void)fprintf(stderr, "stopped: every setting of the system is what it was\n");
        return CLI_INTERRUPTED;
    }
    if (diag.text[0] != '\0') cli_print_diag(args, &diag);
    return CLI_FAILED;
}

static bool programs_find(char *bench, char *sluice)
{
    ssize_t size = readlink("/proc/self/exe", sluice, PATH_SIZE - 1);
    if (size <= 0) return false;
    sluice[size] = '\0';
    if (cli_bench_find(bench, PATH_SIZE)) return true;
    cli_error("tune: --try needs sluice-bench beside sluice or in PATH");
    return false;
}

int cli_tune_try(struct cli_args *args, const struct sl_tune_plan *plan,
                 struct sl_tune_journal *journal, cli_tune_wanted_fn *is_wanted, void *ctx,
                 struct sl_tune_report *report, struct sl_tune_choices *choices)
{
    static char bench[PATH_SIZE];
    static char sluice[PATH_SIZE];
    const struct sl_tune_proposal *candidates[SL_TUNE_PROPOSALS_MAX];
    struct words words = {.flags_count = 0};
    struct sl_tune_try_config cfg = {.path = cli_get(args, "path"),
                                     .listener = cli_get(args, "listener"),
                                     .bench = bench,
                                     .sluice = sluice};
    sl_assert(plan != NULL);
    cfg.files = cli_operands(args, &cfg.files_count);
    if (cfg.files_count == 0) {
        cli_error(
            "tune: --try needs the files of a workflow: sluice tune --try --path /ping FILE…");
        return CLI_USAGE;
    }
    if (!numbers_read(args, &cfg) || !flags_read(args, &words) || !load_read(args, &words))
        return CLI_USAGE;
    if (!programs_find(bench, sluice)) return CLI_UNREACHABLE;
    cfg.flags = words.flags;
    cfg.flags_count = words.flags_count;
    cfg.load = words.load;
    cfg.load_count = words.load_count;
    uint32_t count = candidates_find(plan, is_wanted, ctx, candidates);
    if (count == 0) {
        (void)fprintf(stderr, "nothing of what is proposed can be measured here\n");
        return CLI_OK;
    }
    if (!time_tell(&cfg, plan, candidates, count)) return CLI_USAGE;
    if (journal == NULL) return CLI_OK; /* --dry-run */
    return trial_run(args, &cfg, plan, journal, candidates, count, report, choices);
}

/* ---- what it said ---------------------------------------------------------------------------- */

void cli_tune_print_report(const struct sl_tune_report *report)
{
    char text[256];
    if (report->pairs == 0) return;
    sl_tune_measured_text(&report->itself, text, sizeof(text));
    (void)printf("\ntried: %u pairs each, shards on %s, load from %s (* differs beyond the noise)\n"
                 "  the start against itself: %s\n",
                 report->pairs, report->shards, report->load, text);
    if (report->is_noisy) {
        (void)printf("  so this machine is too noisy now: take what follows with doubt\n");
    }
    for (uint32_t i = 0; i < report->tried_count; i++) {
        const struct sl_tune_tried *tried = &report->tried[i];
        (void)printf("  %s %s: %s\n      %s\n", tried->proposal->key, tried->value,
                     sl_tune_outcome_text(tried->outcome), tried->text);
    }
    if (!report->has_together) return;
    sl_tune_measured_text(&report->together, text, sizeof(text));
    (void)printf("  all that won, together: %s\n", text);
}

static void measured_build(struct sl_builder *b, const char *key,
                           const struct sl_tune_measured *measured)
{
    static const char *const names[] = {"cpu_us", "p50", "p99", "rate"};
    sl_build_key_str(b, key);
    sl_build_map_begin(b);
    for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
        const struct sl_tune_figure *figure = &measured->figures[m];
        if (!figure->is_known) continue;
        sl_build_key_str(b, names[m]);
        sl_build_map_begin(b);
        sl_build_key_str(b, "ratio");
        sl_build_float(b, figure->ratio);
        sl_build_key_str(b, "low");
        sl_build_float(b, figure->low);
        sl_build_key_str(b, "high");
        sl_build_float(b, figure->high);
        sl_build_key_str(b, "different");
        sl_build_bool(b, figure->is_different);
        sl_build_map_end(b);
    }
    sl_build_map_end(b);
}

void cli_tune_build_report(struct sl_builder *b, const struct sl_tune_report *report)
{
    static const char *const words[] = {"kept",   "noise", "lost",  "unconfirmed",
                                        "beaten", "alone", "failed"};
    if (report->pairs == 0) return;
    sl_build_key_str(b, "trial");
    sl_build_map_begin(b);
    sl_build_key_str(b, "pairs");
    sl_build_int(b, report->pairs);
    sl_build_key_str(b, "shards");
    sl_build_string_str(b, report->shards);
    sl_build_key_str(b, "load");
    sl_build_string_str(b, report->load);
    measured_build(b, "itself", &report->itself);
    sl_build_key_str(b, "tried");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < report->tried_count; i++) {
        const struct sl_tune_tried *tried = &report->tried[i];
        sl_build_map_begin(b);
        sl_build_key_str(b, "key");
        sl_build_string_str(b, tried->proposal->key);
        sl_build_key_str(b, "value");
        sl_build_string_str(b, tried->value);
        sl_build_key_str(b, "outcome");
        sl_build_string_str(b, words[tried->outcome]);
        sl_build_key_str(b, "text");
        sl_build_string_str(b, tried->text);
        measured_build(b, "figures", &tried->measured);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
    if (report->has_together) measured_build(b, "together", &report->together);
    sl_build_map_end(b);
}
