/* SPDX-License-Identifier: MIT */
#include "ctl/tune/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"

static const struct {
    const char *key;
    const char *title;
} METRICS[SL_TUNE_METRICS_COUNT] = {
    {"cpu_us", "CPU"}, {"p50", "p50"}, {"p99", "p99"}, {"rate", "rate"}};

bool sl_tune_goal_parse(const char *text, enum sl_tune_goal *ret_goal)
{
    static const char *const names[] = {"balanced", "latency", "cpu"};
    sl_assert(text != NULL);
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *ret_goal = (enum sl_tune_goal)i;
        return true;
    }
    return false;
}

static bool number_get(struct sl_value map, const char *key, double *ret_number)
{
    struct sl_value value = sl_value_get(map, sl_slice_from_str(key));
    if (sl_value_is(value, SL_VALUE_FLOAT)) {
        *ret_number = value.cell->f64;
    } else if (sl_value_is(value, SL_VALUE_INT)) {
        *ret_number = (double)value.cell->i64;
    } else {
        return false;
    }
    return true;
}

static void figure_get(struct sl_value target, const char *key, struct sl_tune_figure *ret_figure)
{
    struct sl_tune_figure figure = {.is_known = false};
    struct sl_value map = sl_value_get(target, sl_slice_from_str(key));
    if (sl_value_is(map, SL_VALUE_MAP)) {
        struct sl_value different = sl_value_get(map, SL_SLICE("different"));
        figure.is_known = number_get(map, "ratio", &figure.ratio) &&
                          number_get(map, "ratio_low", &figure.low) &&
                          number_get(map, "ratio_high", &figure.high) && figure.ratio > 0;
        figure.is_different =
            figure.is_known && sl_value_is(different, SL_VALUE_BOOL) && different.cell->word != 0;
    }
    *ret_figure = figure;
}

static bool value_read(struct sl_value root, struct sl_tune_measured *ret_measured)
{
    double number = 0;
    if (!sl_value_is(root, SL_VALUE_MAP) || !number_get(root, "pairs", &number)) return false;
    struct sl_value targets = sl_value_get(root, SL_SLICE("targets"));
    if (!sl_value_is(targets, SL_VALUE_LIST) || sl_value_count(targets) != 2) return false;
    struct sl_tune_measured measured = {.pairs = (uint64_t)(number > 0 ? number : 0)};
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_value target = sl_value_list_at(targets, i);
        if (!sl_value_is(target, SL_VALUE_MAP) || !number_get(target, "errors", &number))
            return false;
        measured.errors[i] = (uint64_t)(number > 0 ? number : 0);
        if (i == 0) continue;
        if (!number_get(target, "requests", &number)) return false;
        measured.requests = (uint64_t)(number > 0 ? number : 0);
        for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
            figure_get(target, METRICS[m].key, &measured.figures[m]);
        }
    }
    *ret_measured = measured;
    return true;
}

int sl_tune_measured_parse(const char *text, size_t size, struct sl_tune_measured *ret_measured,
                           struct sl_diag *reterr)
{
    struct sl_value root;
    struct sl_diag diag = {0};
    sl_assert(text != NULL);
    sl_assert(ret_measured != NULL);
    int r = sl_json_parse(sl_slice_make(text, size), NULL, NULL, 0, &root, &diag);
    bool is_read = false;
    if (r == 0) {
        is_read = value_read(root, ret_measured);
        sl_value_unref(root);
    }
    if (is_read && ret_measured->errors[0] * 2 > ret_measured->requests) {
        r = sl_diag_set(reterr, "bad_measurement", (struct sl_pos){0, 0},
                        "most requests ended with an error (%llu): this would measure nothing",
                        (unsigned long long)ret_measured->errors[0]);
        sl_diag_hint(reterr, "--path has to name what the workflow answers with 2xx or 3xx");
        return r;
    }
    if (is_read) return 0;
    return sl_diag_set(reterr, "bad_measurement", (struct sl_pos){0, 0},
                       "the harness did not say what was expected%s%s",
                       diag.text[0] != '\0' ? ": " : "", diag.text);
}

/* Less is better, but of the rate more is. */
static int direction(const struct sl_tune_measured *measured, enum sl_tune_metric metric)
{
    const struct sl_tune_figure *figure = &measured->figures[metric];
    if (!figure->is_different) return 0;
    int up = figure->ratio > 1 ? 1 : -1;
    return metric == SL_TUNE_RATE ? up : -up;
}

enum sl_tune_verdict sl_tune_judge(const struct sl_tune_measured *measured, enum sl_tune_goal goal)
{
    /* What may make it win, and what must not be worse, by goal. */
    static const bool wins[3][SL_TUNE_METRICS_COUNT] = {
        {true, true, true, true}, {false, true, true, false}, {true, false, false, false}};
    static const bool holds[3][SL_TUNE_METRICS_COUNT] = {
        {true, true, true, true}, {false, true, true, false}, {true, true, true, false}};
    sl_assert(measured != NULL);
    bool better = false;
    bool worse = measured->errors[1] > measured->errors[0];
    for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
        int d = direction(measured, (enum sl_tune_metric)m);
        better |= wins[goal][m] && d > 0;
        worse |= holds[goal][m] && d < 0;
    }
    if (worse) return SL_TUNE_LOST;
    return better ? SL_TUNE_WON : SL_TUNE_NOISE;
}

double sl_tune_score(const struct sl_tune_measured *measured, enum sl_tune_goal goal)
{
    double score = 1;
    sl_assert(measured != NULL);
    for (int m = SL_TUNE_CPU; m <= SL_TUNE_P99; m++) {
        const struct sl_tune_figure *figure = &measured->figures[m];
        bool counts =
            goal == SL_TUNE_GOAL_BALANCED || (goal == SL_TUNE_GOAL_CPU) == (m == SL_TUNE_CPU);
        if (figure->is_known && figure->is_different && counts) score *= figure->ratio;
    }
    return score;
}

void sl_tune_measured_text(const struct sl_tune_measured *measured, char *buf, size_t buf_size)
{
    size_t used = 0;
    sl_assert(measured != NULL);
    sl_assert(buf_size > 0);
    buf[0] = '\0';
    for (int m = 0; m < SL_TUNE_METRICS_COUNT; m++) {
        const struct sl_tune_figure *figure = &measured->figures[m];
        if (!figure->is_known) continue;
        int size = snprintf(buf + used, buf_size - used, "%s%s x%.3f%s (%.3f-%.3f)",
                            used > 0 ? ", " : "", METRICS[m].title, figure->ratio,
                            figure->is_different ? "*" : "", figure->low, figure->high);
        if (size < 0 || used + (size_t)size >= buf_size) return;
        used += (size_t)size;
    }
}
