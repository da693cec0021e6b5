/* SPDX-License-Identifier: MIT */
/*
 * Trials with a harness that is a shell script: it sets the system as the real one does, and says
 * what the test wants it to. And the verdicts, by table.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ctl/tune/try.h"
#include "tests/ctl/tune/fixture.h"

static struct tree tree;   /* the machine */
static struct tree beside; /* harness, specs, journal */
static struct sl_tune_machine *machine;
static struct sl_tune_plan *plan;
static struct sl_tune_report report;
static struct sl_tune_choices choices;
static char bench[160];
static char flow[160];
static volatile sig_atomic_t stop;

static int setup(void **state)
{
    (void)state;
    tree_init(&tree);
    tree_init(&beside);
    machine_numa(&tree);
    tree_put(&beside, "/flow.yaml",
             "- {kind: listener, name: first, protocol: http, port: 80, host: 0.0.0.0,\n"
             "   ports: {out: [{name: one, port: in}]}}\n"
             "- {kind: listener, name: second, protocol: http, port: 81}\n"
             "- {kind: snippet, name: one, language: text, code: it's}\n");
    (void)snprintf(bench, sizeof(bench), "%s/bench", beside.dir);
    (void)snprintf(flow, sizeof(flow), "%s/flow.yaml", beside.dir);
    machine = sl_tune_machine_read(tree.dir);
    plan = sl_tune_plan_new(machine, option_default, NULL);
    choices.count = 0;
    stop = 0;
    return plan != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    plan = sl_tune_plan_free(plan);
    machine = sl_tune_machine_free(machine);
    tree_fini(&tree);
    tree_fini(&beside);
    return 0;
}

/* ---- the harness ----------------------------------------------------------------------------- */

/*
 * A script that finds $a and $b (the servers' scripts), $here (their folder), enters a and b as the
 * harness does, runs `rules`, and prints ratios: CPU $cpu, p50 $p50, p99 1, rate 1. What is not 1
 * counts as different.
 */
static void bench_make(const char *rules)
{
    tree_put(
        &beside, "/bench",
        "#!/bin/sh\n"
        "echo \"$@\" >>%s/words\n"
        "for w; do case $w in\n"
        "  a=exec*) a=${w#a=exec sh }; a=${a%% {port*};;\n"
        "  b=exec*) b=${w#b=exec sh }; b=${b%% {port*};;\n"
        "  a=sh*) ea=${w#a=sh };;\n"
        "  b=sh*) eb=${w#b=sh };;\n"
        "esac; done\n"
        "here=%s; cpu=1.0; p50=1.0\n"
        "cp \"${a%%/*}/flow.json\" $here/flow.json; cp $b $here/b.sh\n"
        "test -n \"$eb\" && { sh $ea && sh $eb && sh $ea && sh $eb || exit 3; }\n"
        "%s\n"
        "figure() { d=true; test $2 = 1.0 && d=false\n"
        "  echo \"\\\"$1\\\": {\\\"ratio\\\": $2, \\\"ratio_low\\\": $2, \\\"ratio_high\\\": $2, "
        "\\\"different\\\": $d}\"; }\n"
        "echo \"{\\\"pairs\\\": 8, \\\"targets\\\": [{\\\"errors\\\": 0, \\\"requests\\\": 5},\"\n"
        "echo \"{\\\"errors\\\": 0, \\\"requests\\\": 5, $(figure cpu_us $cpu), $(figure p50 "
        "$p50), "
        "$(figure p99 1.0), $(figure rate 1.0)}]}\"\n",
        beside.dir, beside.dir, rules);
    assert_int_equal(chmod(bench, 0755), 0);
}

/* Try these rules; the journal is empty and the machine as before afterwards. */
static int try_rules(const char *const *rules, uint32_t count, struct sl_diag *diag)
{
    const struct sl_tune_proposal *proposals[SL_TUNE_PROPOSALS_MAX];
    static const char *const flags[] = {"-e", "NAME=it's $HOME"};
    const char *const files[] = {flow};
    struct sl_tune_try_config cfg = {.bench = bench,
                                     .sluice = "/nowhere/sluice",
                                     .files = files,
                                     .files_count = 1,
                                     .flags = flags,
                                     .flags_count = 2,
                                     .path = "/ping",
                                     .connections = 4,
                                     .pairs = 8,
                                     .slot_ms = 100,
                                     .settle_ms = 100,
                                     .time_max_ms = 3600 * 1000,
                                     .least = 0.02,
                                     .stop = &stop};
    struct sl_tune_journal *journal = NULL;
    char state[160];
    char *before = tree_text(tree.dir, NULL);
    for (uint32_t i = 0; i < count; i++) {
        proposals[i] = sl_tune_plan_find(plan, rules[i]);
        assert_non_null(proposals[i]);
    }
    (void)snprintf(state, sizeof(state), "%s/state", beside.dir);
    assert_int_equal(
        sl_tune_journal_open(&machine->tree, state, "try.journal", false, &journal, NULL), 0);
    int r = sl_tune_try(&cfg, plan, proposals, count, journal, &report, &choices, diag);
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
    char *after = tree_text(tree.dir, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    return r;
}

static enum sl_tune_outcome outcome_of(const char *key, const char *value)
{
    for (uint32_t i = 0; i < report.tried_count; i++) {
        const struct sl_tune_tried *tried = &report.tried[i];
        if (strcmp(tried->proposal->key, key) == 0 && strcmp(tried->value, value) == 0)
            return tried->outcome;
    }
    fail_msg("%s %s was not tried", key, value);
    return SL_TUNE_OUT_FAILED;
}

/* ---- trials ---------------------------------------------------------------------------------- */

static void try_keeps_only_what_wins(void **state)
{
    static const char *const rules[] = {"spin", "batch", "buffers", "governor"};
    (void)state;
    bench_make("grep -q \"spin '50us'\" $b && p50=0.9\n"
               "grep -q \"spin '20us'\" $b && p50=0.8\n"
               "grep -q \"buffer-size '4096'\" $b && { cpu=1.2; p50=0.5; }\n"
               "test -n \"$eb\" && cpu=0.9\n");
    assert_int_equal(try_rules(rules, 4, NULL), 0);
    assert_int_equal(outcome_of("spin", "50us"), SL_TUNE_OUT_BEATEN);
    assert_int_equal(outcome_of("spin", "20us"), SL_TUNE_OUT_KEPT);
    assert_int_equal(outcome_of("spin", "200us"), SL_TUNE_OUT_NOISE);
    assert_int_equal(outcome_of("batch", "32"), SL_TUNE_OUT_NOISE);
    assert_int_equal(outcome_of("buffer-size", "4096"), SL_TUNE_OUT_LOST);
    assert_int_equal(outcome_of("scaling_governor", "performance"), SL_TUNE_OUT_KEPT);
    assert_true(report.has_together);
    assert_false(report.is_noisy);
    assert_int_equal(choices.count, 2);
    assert_string_equal(choices.items[0].value, "20us");
    assert_non_null(strstr(choices.items[0].measured, "p50 x0.800*"));
}

static void try_that_wins_once_only_is_not_kept(void **state)
{
    static const char *const rules[] = {"buffers"};
    (void)state;
    bench_make(
        "grep -q \"buffer-size '4096'\" $b && test ! -e $here/won && { cpu=0.5; >$here/won; }\n");
    assert_int_equal(try_rules(rules, 1, NULL), 0);
    assert_int_equal(outcome_of("buffer-size", "4096"), SL_TUNE_OUT_UNCONFIRMED);
    assert_int_equal(choices.count, 0);
}

static void try_that_loses_together_keeps_the_best_alone(void **state)
{
    static const char *const rules[] = {"buffers", "batch"};
    (void)state;
    bench_make("grep -q \"buffer-size '4096'\" $b && cpu=0.9\n"
               "grep -q \"batch '32'\" $b && cpu=0.8\n"
               "grep -q \"buffer-size '4096'\" $b && grep -q \"batch '32'\" $b && cpu=1.1\n");
    assert_int_equal(try_rules(rules, 2, NULL), 0);
    assert_int_equal(outcome_of("buffer-size", "4096"), SL_TUNE_OUT_ALONE);
    assert_int_equal(outcome_of("batch", "32"), SL_TUNE_OUT_KEPT);
    assert_int_equal(choices.count, 1);
}

static void try_itself_that_differs_is_told(void **state)
{
    static const char *const rules[] = {"buffers"};
    (void)state;
    bench_make("p50=1.1");
    assert_int_equal(try_rules(rules, 1, NULL), 0);
    assert_true(report.is_noisy);
}

static void try_harness_that_fails_says_why_and_the_rest_goes_on(void **state)
{
    static const char *const rules[] = {"buffers", "batch"};
    (void)state;
    bench_make(
        "grep -q \"buffer-size '4096'\" $b && { echo progress >&2; echo 'error: b ended at once: "
        "oops' >&2; exit 3; }\n"
        "grep -q \"batch '8'\" $b && { echo '{\"pairs\": 1'; exit 0; }\n");
    assert_int_equal(try_rules(rules, 2, NULL), 0);
    assert_int_equal(outcome_of("buffer-size", "4096"), SL_TUNE_OUT_FAILED);
    assert_non_null(strstr(report.tried[0].text, "b ended at once: oops"));
    assert_int_equal(outcome_of("batch", "32"), SL_TUNE_OUT_NOISE);
    assert_int_equal(outcome_of("batch", "8"), SL_TUNE_OUT_FAILED);
}

static void try_that_failed_once_is_measured_again(void **state)
{
    static const char *const rules[] = {"buffers"};
    (void)state;
    bench_make("grep -q \"buffer-size '4096'\" $b && test ! -e $here/failed && { >$here/failed; "
               "exit 3; }\n"
               "grep -q \"buffer-size '4096'\" $b && cpu=0.9\n");
    assert_int_equal(try_rules(rules, 1, NULL), 0);
    assert_int_equal(outcome_of("buffer-size", "4096"), SL_TUNE_OUT_KEPT);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* The harness has just switched the system when the stop comes; try_rules sees that it is back. */
static void try_stopped_restores_everything(void **state)
{
    static const char *const rules[] = {"governor", "spin"};
    struct sl_diag diag = {0};
    (void)state;
    assert_true(signal(SIGUSR1, on_signal) != SIG_ERR);
    bench_make(
        "test -n \"$eb\" && { trap 'kill $s; exit 1' INT; sleep 60 & s=$!; kill -USR1 $PPID; "
        "wait $s; }\n");
    assert_int_equal(try_rules(rules, 2, &diag), -EINTR);
    assert_int_equal(choices.count, 0);
    assert_int_equal(report.tried_count, 0);
}

static void try_copies_specs_with_one_listener_and_quotes_words(void **state)
{
    static const char *const rules[] = {"batch"};
    (void)state;
    bench_make("");
    assert_int_equal(try_rules(rules, 1, NULL), 0);
    char *text = tree_get(&beside, "/flow.json");
    assert_non_null(text);
    assert_non_null(strstr(text, "\"@SLUICE_TUNE_PORT@\""));
    assert_non_null(strstr(text, "\"127.0.0.1\""));
    assert_null(strstr(text, "second"));
    assert_null(strstr(text, "0.0.0.0"));
    free(text);
    text = tree_get(&beside, "/b.sh");
    assert_non_null(text);
    assert_non_null(strstr(text, "'NAME=it'\\''s $HOME'"));
    assert_non_null(strstr(text, " --cores '17-31'"));
    assert_non_null(strstr(text, " --batch '128'"));
    free(text);
    text = tree_get(&beside, "/words");
    assert_non_null(text);
    assert_non_null(strstr(text, "--pairs 8 --slot 100ms --settle 100ms --least 0.02 --path /ping "
                                 "--cores 0-3 --connections 4"));
    free(text);
}

static void try_without_a_listener_is_refused(void **state)
{
    static const char *const rules[] = {"batch"};
    struct sl_diag diag = {0};
    (void)state;
    bench_make("");
    tree_put(&beside, "/flow.yaml", "- {kind: snippet, name: one, language: text, code: x}\n");
    assert_int_equal(try_rules(rules, 1, &diag), -EINVAL);
    assert_string_equal(diag.code, "no_listener");
    tree_put(&beside, "/flow.yaml", "- {kind: snippet\n");
    assert_int_equal(try_rules(rules, 1, &diag), -EINVAL);
}

/* ---- time and cores -------------------------------------------------------------------------- */

static void time_is_bounded_by_fewer_pairs(void **state)
{
    const struct sl_tune_proposal *proposals[] = {sl_tune_plan_find(plan, "spin")};
    struct sl_tune_try_config cfg = {.pairs = 30, .slot_ms = 400, .settle_ms = 100};
    uint32_t pairs;
    (void)state;
    cfg.time_max_ms = 1000 * 1000;
    /* Itself, three values twice, all together, two more: 30 pairs of two slots, and a second each. */
    assert_int_equal(sl_tune_try_time(&cfg, proposals, 1, &pairs), 10 * (30 * 1000 + 1000));
    assert_int_equal(pairs, 30);
    cfg.time_max_ms = 100 * 1000;
    assert_in_range(sl_tune_try_time(&cfg, proposals, 1, &pairs), 1, 100 * 1000);
    assert_int_equal(pairs, 9);
    cfg.time_max_ms = 10 * 1000;
    (void)sl_tune_try_time(&cfg, proposals, 1, &pairs);
    assert_int_equal(pairs, 0);
}

static void cores_of_servers_and_load_are_apart(void **state)
{
    cpu_set_t shards;
    cpu_set_t load;
    cpu_set_t both;
    (void)state;
    sl_tune_try_cores(plan, 64, &shards, &load);
    CPU_AND(&both, &shards, &load);
    assert_int_equal(CPU_COUNT(&both), 0);
    assert_int_equal(CPU_COUNT(&shards), 15);
    assert_int_equal(CPU_COUNT(&load), 16);
    sl_tune_try_cores(plan, 1, &shards, &load);
    assert_int_equal(CPU_COUNT(&load), 1);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void judge_by_table(void **state)
{
    enum {
        BALANCED = SL_TUNE_GOAL_BALANCED,
        LATENCY = SL_TUNE_GOAL_LATENCY,
        CPU = SL_TUNE_GOAL_CPU
    };
    static const struct {
        double ratios[SL_TUNE_METRICS_COUNT]; /* 1: no difference */
        int goal;
        enum sl_tune_verdict verdict;
    } cases[] = {
        {{1, 1, 1, 1}, BALANCED, SL_TUNE_NOISE},    {{0.9, 1, 1, 1}, BALANCED, SL_TUNE_WON},
        {{1, 1, 1, 1.1}, BALANCED, SL_TUNE_WON},    {{1, 1, 1, 0.9}, BALANCED, SL_TUNE_LOST},
        {{0.5, 1, 1.1, 1}, BALANCED, SL_TUNE_LOST}, {{1.5, 0.5, 1, 1}, BALANCED, SL_TUNE_LOST},
        {{1.5, 0.5, 1, 1}, LATENCY, SL_TUNE_WON},   {{0.5, 1, 1, 2}, LATENCY, SL_TUNE_NOISE},
        {{1, 0.5, 1.1, 1}, LATENCY, SL_TUNE_LOST},  {{0.9, 1, 1, 0.5}, CPU, SL_TUNE_WON},
        {{0.9, 1.2, 1, 1}, CPU, SL_TUNE_LOST},      {{1, 0.5, 0.5, 2}, CPU, SL_TUNE_NOISE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_tune_measured measured = {.pairs = 10};
        for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
            double ratio = cases[i].ratios[m];
            measured.figures[m] = (struct sl_tune_figure){
                .ratio = ratio, .is_known = true, .is_different = ratio < 1 || ratio > 1};
        }
        assert_int_equal(sl_tune_judge(&measured, (enum sl_tune_goal)cases[i].goal),
                         cases[i].verdict);
        measured.errors[1] = 1;
        assert_int_equal(sl_tune_judge(&measured, (enum sl_tune_goal)cases[i].goal), SL_TUNE_LOST);
    }
}

static void measured_parse_of_other_texts_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{}", "{\"pairs\": 1}", "{\"pairs\": 1, \"targets\": []}",
        "{\"pairs\": 1, \"targets\": [1, 2]}", "{\"pairs\": 1, \"targets\": [{\"errors\": 0}, {}]}",
        /* All of them were 404: no measurement. */
        "{\"pairs\": 1, \"targets\": [{\"errors\": 9}, {\"errors\": 9, \"requests\": 9}]}"};
    struct sl_tune_measured measured;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sl_diag diag = {0};
        assert_int_equal(sl_tune_measured_parse(texts[i], strlen(texts[i]), &measured, &diag),
                         -EINVAL);
        assert_string_equal(diag.code, "bad_measurement");
    }
    /* What was not measured is null there, and unknown here. */
    static const char some[] = "{\"pairs\": 3, \"targets\": [{\"errors\": 1}, {\"errors\": 2, "
                               "\"requests\": 7, \"p50\": {\"ratio\": null}}]}";
    assert_int_equal(sl_tune_measured_parse(some, sizeof(some) - 1, &measured, NULL), 0);
    assert_int_equal(measured.errors[1], 2);
    assert_false(measured.figures[SL_TUNE_P50].is_known);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(try_keeps_only_what_wins),
        T(try_that_wins_once_only_is_not_kept),
        T(try_that_loses_together_keeps_the_best_alone),
        T(try_itself_that_differs_is_told),
        T(try_harness_that_fails_says_why_and_the_rest_goes_on),
        T(try_that_failed_once_is_measured_again),
        T(try_stopped_restores_everything),
        T(try_copies_specs_with_one_listener_and_quotes_words),
        T(try_without_a_listener_is_refused),
        T(time_is_bounded_by_fewer_pairs),
        T(cores_of_servers_and_load_are_apart),
        T(judge_by_table),
        T(measured_parse_of_other_texts_is_refused),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
