/* SPDX-License-Identifier: MIT */
/*
 * The rounds of script_bench: every row in turn in a short slot, again and again, so that rows of
 * one round are neighbours in time and ratios between them hold on a busy machine.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/fmt.h"
#include "bench/options.h"
#include "bench/script/process.h"
#include "bench/script/script_bench.h"
#include "bench/stats.h"
#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"
#include "nodes/kinds.h"
#include "nodes/script/worker/worker.h"

enum {
    ROWS_MAX = 128,
    ROUNDS_MAX = 10000,
    WARM_CALLS = 20000, /* until the compiler has done its work */
    BATCH_CALLS = 200,
    MEM_SIZE = 64 * 1024 * 1024,
};

struct values {
    const char *format;
    const char *language;
    const char *scenario;
    const char *mode;
    const char *priority;
    uint64_t slot_ns;
    uint32_t rounds;
    bool starts;
};

static const struct sl_option OPTIONS[] = {
    {"rounds", "N", "rounds; each runs every row (default 61)", offsetof(struct values, rounds),
     SL_OPTION_UINT, 'n'},
    {"slot", "T", "run each so long in a round (default 5ms)", offsetof(struct values, slot_ns),
     SL_OPTION_DURATION, 't'},
    {"language", "L", "only this language", offsetof(struct values, language), SL_OPTION_STRING, 0},
    {"scenario", "S", "only scenarios whose name begins so", offsetof(struct values, scenario),
     SL_OPTION_STRING, 0},
    {"mode", "M", "only this mode", offsetof(struct values, mode), SL_OPTION_STRING, 0},
    {"worker-priority", "P", "of worker processes: idle or normal (default idle)",
     offsetof(struct values, priority), SL_OPTION_STRING, 0},
    {"starts", NULL, "instead: the time until a spare worker is ready, and its memory",
     offsetof(struct values, starts), SL_OPTION_FLAG, 0},
    {"format", "F", "text or json (default text)", offsetof(struct values, format),
     SL_OPTION_STRING, 'f'},
};

static const struct sl_options_usage USAGE = {
    .program = "script_bench",
    .name = "",
    .synopsis = "[options]",
    .about = "Measure a call of a script in each language and mode. `wall` is time, `cpu` is the\n"
             "processor time of this thread, both as the median over the rounds; `ratio` is wall\n"
             "over that of the scenario named behind it, in the same rounds.",
    .examples = "  script_bench\n"
                "  script_bench --language javascript --scenario increment --rounds 201\n"
                "  script_bench --mode process --worker-priority normal\n"
                "  script_bench --starts\n"
                "  script_bench --format json",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static struct sb_row rows[ROWS_MAX];
static size_t rows_count;

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- One call ------------------------------------------------------------------------------ */

static struct sl_value text_of(struct sb_row *row, struct sl_out *out)
{
    out->size = 0;
    sl_assert(sl_json_write(row->input, 0, out) == 0);
    return sl_value_new_string(row->mem, out->data, out->size);
}

static struct sl_value parsed(struct sb_row *row, struct sl_value text)
{
    struct sl_value value;
    sl_assert(sl_json_parse(sl_value_slice(text), text.buf, row->mem, 0, &value, NULL) == 0);
    return value;
}

static struct sl_value call(struct sb_row *row, struct sl_out *out)
{
    enum sb_way way = row->scenario->way;
    bool in = way == SB_TEXT_IN || way == SB_TEXT_BOTH;
    struct sl_value input = in ? text_of(row, out) : row->input;
    struct sl_value result = row->mode->run(row, input);
    if (in) sl_value_unref(input);
    if (way != SB_TEXT_OUT && way != SB_TEXT_BOTH) return result;
    if (!sl_value_is(result, SL_VALUE_STRING)) return result;
    struct sl_value value = parsed(row, result);
    sl_value_unref(result);
    return value;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static bool wanted(const struct values *values, const struct sb_row *row)
{
    if (values->language != NULL && strcmp(values->language, sb_languages[row->language]) != 0) {
        return false;
    }
    if (values->mode != NULL && strcmp(values->mode, row->mode->name) != 0) return false;
    return values->scenario == NULL ||
           strncmp(values->scenario, row->scenario->name, strlen(values->scenario)) == 0;
}

/* A result that is an error means that the row measures nothing. */
static bool row_warm(struct sb_row *row, struct sl_out *out)
{
    for (uint32_t i = 0; i < WARM_CALLS; i++) {
        struct sl_value result = call(row, out);
        sl_assert(result.cell != NULL);
        if (sl_value_is(result, SL_VALUE_ERROR)) {
            struct sl_slice message = sl_value_slice(sl_error_part(result, SL_ERROR_MESSAGE));
            (void)snprintf(row->why, sizeof(row->why), "%.*s", SL_SLICE_FMT(message));
            sl_value_unref(result);
            return false;
        }
        sl_value_unref(result);
    }
    return true;
}

static bool row_open(const struct values *values, struct sb_row *row, struct sl_out *out)
{
    row->input = sl_value_null();
    if (row->scenario->input != NULL) {
        struct sl_slice text = sl_slice_from_str(row->scenario->input);
        sl_assert(sl_json_parse(text, NULL, row->mem, 0, &row->input, NULL) == 0);
    }
    bool open = row->mode->open(row);
    if (!open || !row_warm(row, out)) {
        if (open) row->mode->close(row);
        sl_value_unref(row->input);
        (void)fprintf(stderr, "left out: %s, %s, %s: %s\n", sb_languages[row->language],
                      row->scenario->name, row->mode->name, row->why);
        return false;
    }
    row->wall = calloc(values->rounds, sizeof(*row->wall));
    row->cpu = calloc(values->rounds, sizeof(*row->cpu));
    sl_assert(row->wall != NULL);
    sl_assert(row->cpu != NULL);
    return true;
}

static void rows_open(const struct values *values, struct sl_mem *mem, struct sl_out *out)
{
    for (size_t m = 0; m < sb_modes_count; m++) {
        for (int l = 0; l < SB_LANGUAGES_COUNT; l++) {
            for (size_t s = 0; s < sb_scenarios_count; s++) {
                struct sb_row row = {.scenario = &sb_scenarios[s],
                                     .language = (enum sb_language)l,
                                     .mode = &sb_modes[m],
                                     .mem = mem};
                if (row.scenario->code[l] == NULL || !wanted(values, &row)) continue;
                sl_assert(rows_count < ROWS_MAX);
                rows[rows_count] = row;
                rows_count += row_open(values, &rows[rows_count], out);
            }
        }
    }
}

static void rows_close(void)
{
    for (size_t i = 0; i < rows_count; i++) {
        rows[i].mode->close(&rows[i]);
        sl_value_unref(rows[i].input);
        free(rows[i].wall);
        free(rows[i].cpu);
    }
}

static void slot_run(struct sb_row *row, uint32_t round, uint64_t slot_ns, struct sl_out *out)
{
    uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t calls = 0, took_ns = 0;
    while (took_ns < slot_ns) {
        for (uint32_t i = 0; i < BATCH_CALLS; i++) sl_value_unref(call(row, out));
        calls += BATCH_CALLS;
        took_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
    }
    row->wall[round] = (double)took_ns / (double)calls;
    row->cpu[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns) / (double)calls;
}

/* ---- Results ------------------------------------------------------------------------------- */

static const struct sb_row *base_of(const struct sb_row *row)
{
    for (size_t i = 0; i < rows_count && row->scenario->base != NULL; i++) {
        if (rows[i].language == row->language && rows[i].mode == row->mode &&
            strcmp(rows[i].scenario->name, row->scenario->base) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static double best(const double *values, size_t count)
{
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) least = values[i] < least ? values[i] : least;
    return least;
}

static void print_text(uint32_t rounds)
{
    struct sl_table table = {0};
    const char *titles[] = {"mode", "language", "scenario", "wall µs", "best", "cpu µs", "ratio"};
    sl_table_row(&table, titles, 7);
    for (size_t i = 0; i < rows_count; i++) {
        const struct sb_row *row = &rows[i];
        const struct sb_row *base = base_of(row);
        char wall[32], least[32], cpu[32], ratio[96] = "";
        (void)snprintf(wall, sizeof(wall), "%.3f", sl_stats_median(row->wall, rounds) / 1e3);
        (void)snprintf(least, sizeof(least), "%.3f", best(row->wall, rounds) / 1e3);
        (void)snprintf(cpu, sizeof(cpu), "%.3f", sl_stats_median(row->cpu, rounds) / 1e3);
        if (base != NULL) {
            struct sl_ratio r = sl_stats_ratio(base->wall, row->wall, rounds);
            (void)snprintf(ratio, sizeof(ratio), "%.2f (%.2f–%.2f) of %s", r.ratio, r.low, r.high,
                           row->scenario->base);
        }
        const char *cells[] = {row->mode->name,
                               sb_languages[row->language],
                               row->scenario->name,
                               wall,
                               least,
                               cpu,
                               ratio};
        sl_table_row(&table, cells, 7);
    }
    sl_table_print(&table, stdout, 0);
}

static void print_json(uint32_t rounds)
{
    struct sl_json json = {.out = stdout};
    sl_json_begin(&json, NULL, '{');
    sl_json_uint(&json, "rounds", rounds);
    sl_json_begin(&json, "rows", '[');
    for (size_t i = 0; i < rows_count; i++) {
        const struct sb_row *row = &rows[i];
        const struct sb_row *base = base_of(row);
        sl_json_begin(&json, NULL, '{');
        sl_json_string(&json, "mode", row->mode->name);
        sl_json_string(&json, "language", sb_languages[row->language]);
        sl_json_string(&json, "scenario", row->scenario->name);
        sl_json_string(&json, "about", row->scenario->about);
        sl_json_number(&json, "wall_us", sl_stats_median(row->wall, rounds) / 1e3, 4);
        sl_json_number(&json, "wall_best_us", best(row->wall, rounds) / 1e3, 4);
        sl_json_number(&json, "cpu_us", sl_stats_median(row->cpu, rounds) / 1e3, 4);
        if (base != NULL) {
            struct sl_ratio r = sl_stats_ratio(base->wall, row->wall, rounds);
            sl_json_string(&json, "base", row->scenario->base);
            sl_json_number(&json, "ratio", r.ratio, 4);
            sl_json_number(&json, "ratio_low", r.low, 4);
            sl_json_number(&json, "ratio_high", r.high, 4);
        }
        sl_json_end(&json, '}');
    }
    sl_json_end(&json, ']');
    sl_json_end(&json, '}');
    (void)fputc('\n', stdout);
}

enum { STARTS_COUNT = 21 };

/* Workers that wait, and how long they take to be there. */
static int starts_measure(const struct values *values)
{
    double ns[STARTS_COUNT];
    struct sb_starts starts;
    bool is_lua = values->language != NULL && strcmp(values->language, "lua") == 0;
    if (!sb_process_starts(is_lua ? SB_LUA : SB_JAVASCRIPT, STARTS_COUNT, ns, &starts)) return 1;
    double median = sl_stats_median(ns, STARTS_COUNT) / 1e6;
    if (strcmp(values->format, "json") == 0) {
        struct sl_json json = {.out = stdout};
        sl_json_begin(&json, NULL, '{');
        sl_json_number(&json, "start_ms", median, 3);
        sl_json_number(&json, "start_best_ms", best(ns, STARTS_COUNT) / 1e6, 3);
        sl_json_uint(&json, "workers", starts.workers);
        sl_json_number(&json, "private_dirty_kib", starts.dirty_kib, 0);
        sl_json_number(&json, "pss_kib", starts.pss_kib, 0);
        sl_json_number(&json, "rss_kib", starts.rss_kib, 0);
        sl_json_end(&json, '}');
        (void)fputc('\n', stdout);
        return 0;
    }
    (void)printf(
        "a spare is ready %.2f ms after it was asked for (best %.2f, of %d pools of two)\n", median,
        best(ns, STARTS_COUNT) / 1e6, STARTS_COUNT);
    if (starts.workers == 0) {
        (void)printf("its memory can be read by root only\n");
    } else {
        (void)printf(
            "it has %.1f MiB of its own (private, written), %.1f MiB with its share of what "
            "is shared, %.1f MiB resident\n",
            starts.dirty_kib / 1024, starts.pss_kib / 1024, starts.rss_kib / 1024);
    }
    return 0;
}

static int measure(const struct values *values)
{
    struct sl_mem *mem = sl_mem_new(MEM_SIZE);
    struct sl_out out;
    sl_assert(mem != NULL);
    sl_out_init(&out, NULL);
    rows_open(values, mem, &out);
    for (uint32_t round = 0; round < values->rounds; round++) {
        for (size_t i = 0; i < rows_count; i++) slot_run(&rows[i], round, values->slot_ns, &out);
    }
    if (strcmp(values->format, "json") == 0) {
        print_json(values->rounds);
    } else {
        print_text(values->rounds);
    }
    rows_close();
    sl_out_fini(&out);
    (void)sl_mem_free(mem);
    return rows_count > 0 ? 0 : 1;
}

enum { NAMES_MAX = 64 };

/*
 * `value` is one of `names` (array of count), or, with `is_prefix`, the begin of one; NULL: not given.
 * 0, or -EINVAL with what was meant.
 */
static int name_check(const char *option, const char *value, const char *const *names, size_t count,
                      bool is_prefix, struct sl_diag *reterr)
{
    for (size_t i = 0; i < count; i++) {
        if (value == NULL || strcmp(value, names[i]) == 0) return 0;
        if (is_prefix && strncmp(value, names[i], strlen(value)) == 0) return 0;
    }
    const char *nearest = sl_diag_nearest(value, names, count);
    int r = sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0}, "--%s: there is no \"%s\"",
                        option, value);
    char list[SL_DIAG_HINT_SIZE] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    if (nearest != NULL) {
        sl_diag_hint(reterr, "did you mean \"%s\"?", nearest);
    } else {
        sl_diag_hint(reterr, "there are: %s", list);
    }
    return r;
}

static int values_check(const struct values *values, const struct sl_option_list *positional,
                        struct sl_diag *reterr)
{
    static const char *const formats[] = {"text", "json"};
    static const char *const priorities[] = {"idle", "normal"};
    const char *scenarios[NAMES_MAX];
    const char *modes[NAMES_MAX];
    sl_assert(sb_scenarios_count <= NAMES_MAX);
    sl_assert(sb_modes_count <= NAMES_MAX);
    for (size_t i = 0; i < sb_scenarios_count; i++) scenarios[i] = sb_scenarios[i].name;
    for (size_t i = 0; i < sb_modes_count; i++) modes[i] = sb_modes[i].name;
    if (positional->count > 0) {
        return sl_diag_set(reterr, "bad_usage", (struct sl_pos){0, 0}, "unexpected \"%s\"",
                           positional->items[0]);
    }
    if (values->rounds == 0 || values->rounds > ROUNDS_MAX || values->slot_ns == 0) {
        return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0},
                           "--rounds: 1 to %d, and --slot not 0", ROUNDS_MAX);
    }
    int r = name_check("format", values->format, formats, 2, false, reterr);
    if (r == 0) r = name_check("worker-priority", values->priority, priorities, 2, false, reterr);
    if (r == 0) r = name_check("mode", values->mode, modes, sb_modes_count, false, reterr);
    if (r == 0) {
        r = name_check("language", values->language, sb_languages, SB_LANGUAGES_COUNT, false,
                       reterr);
    }
    if (r == 0) {
        r = name_check("scenario", values->scenario, scenarios, sb_scenarios_count, true, reterr);
    }
    return r;
}

int main(int argc, char **argv)
{
    sl_kinds_register();
    int code = sl_worker_main(argc, argv);
    if (code >= 0) return code;
    struct values values = {
        .format = "text", .priority = "idle", .slot_ns = 5 * SL_NS_PER_MS, .rounds = 61};
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {0};
    int err = sl_options_parse(&USAGE, argc - 1, argv + 1, &values, &positional, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return 0;
    }
    if (err == 0) err = values_check(&values, &positional, &diag);
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return 2;
    }
    sl_worker_idle_set(strcmp(values.priority, "normal") != 0);
    return values.starts ? starts_measure(&values) : measure(&values);
}
