/* SPDX-License-Identifier: MIT */
#include "bench/micro/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command.h"
#include "bench/fmt.h"
#include "bench/machine.h"
#include "bench/target.h"
#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { QUIET_NS = 200 * 1000 * 1000, COLUMNS = 9 };

void sl_micro_report_init(struct sl_micro_report *report, const char *dir, const int *cores,
                          uint32_t cores_count)
{
    sl_assert(report != NULL);
    sl_assert(cores_count > 0);
    *report = (struct sl_micro_report){.dir = dir, .cores = cores, .cores_count = cores_count};
    sl_micro_counters_init(&report->counters);
    sl_micro_quiet_measure(QUIET_NS, &report->before);
}

struct sl_micro_result *sl_micro_report_add(struct sl_micro_report *report,
                                            const struct sl_micro_case *item)
{
    sl_assert(report->count < SL_MICRO_RESULTS_MAX);
    struct sl_micro_result *result = &report->results[report->count++];
    *result =
        (struct sl_micro_result){.item = item, .kept_ns = NAN, .kept_low = NAN, .kept_high = NAN};
    return result;
}

void sl_micro_report_end(struct sl_micro_report *report)
{
    sl_micro_quiet_measure(QUIET_NS, &report->after);
}

void sl_micro_report_fini(struct sl_micro_report *report)
{
    sl_micro_counters_fini(&report->counters);
}

/* ---- kept figures ---------------------------------------------------------------------------- */

static double number_of(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    if (sl_value_is_none(value)) return NAN;
    if (sl_value_is(value, SL_VALUE_INT)) return (double)value.cell->i64;
    return sl_value_is(value, SL_VALUE_FLOAT) ? value.cell->f64 : (double)NAN;
}

static void kept_take(struct sl_micro_report *report, struct sl_value kept)
{
    if (!sl_value_is(kept, SL_VALUE_MAP)) return;
    struct sl_value name = sl_value_get_str(kept, "name");
    if (!sl_value_is(name, SL_VALUE_STRING)) return;
    for (size_t i = 0; i < report->count; i++) {
        struct sl_micro_result *result = &report->results[i];
        if (!sl_slice_eq_str(sl_value_slice(name), result->item->name)) continue;
        result->kept_ns = number_of(kept, "ns");
        result->kept_low = number_of(kept, "ns_low");
        result->kept_high = number_of(kept, "ns_high");
    }
}

int sl_micro_report_against(struct sl_micro_report *report, const char *path,
                            struct sl_diag *reterr)
{
    uint8_t *data;
    size_t size;
    struct sl_value value;
    int result = sl_bench_file_read(path, &data, &size, reterr);
    if (result < 0) return result;
    result = sl_json_parse(sl_slice_make(data, size), NULL, NULL, 0, &value, reterr);
    free(data);
    if (result < 0) return result;
    bool is_kept = false;
    if (sl_value_is(value, SL_VALUE_MAP)) {
        struct sl_value cases = sl_value_get_str(value, "cases");
        is_kept = !sl_value_is_none(cases) && sl_value_is(cases, SL_VALUE_LIST);
        uint32_t count = is_kept ? sl_value_count(cases) : 0;
        for (uint32_t i = 0; i < count; i++) kept_take(report, sl_value_list_at(cases, i));
    }
    sl_value_unref(value);
    report->has_kept = is_kept;
    if (is_kept) return 0;
    return sl_diag_set(reterr, "not_kept", (struct sl_pos){0, 0},
                       "%s: not what --baseline-write keeps", path);
}

/* 1 slower, -1 faster, 0 within the spread or `least`. */
static int verdict(const struct sl_micro_result *result, double least)
{
    const struct sl_micro_figures *figures = &result->figures;
    if (result->why[0] != '\0' || isnan(result->kept_ns) || result->kept_ns <= 0) return 0;
    double ratio = figures->ns / result->kept_ns;
    if (ratio > 1 + least && figures->ns_low > result->kept_high) return 1;
    if (ratio < 1 - least && figures->ns_high < result->kept_low) return -1;
    return 0;
}

int sl_micro_report_exit(const struct sl_micro_report *report, double least)
{
    int code = SL_EXIT_OK;
    for (size_t i = 0; i < report->count; i++) {
        if (report->results[i].failed) return SL_EXIT_INTERNAL;
        if (verdict(&report->results[i], least) > 0) code = SL_EXIT_THRESHOLD;
    }
    return code;
}

/* ---- text ------------------------------------------------------------------------------------ */

static struct sl_fmt plain(double value, int decimals)
{
    struct sl_fmt fmt;
    if (isnan(value)) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "-");
    } else {
        (void)snprintf(fmt.text, sizeof(fmt.text), "%.*f", decimals, value);
    }
    return fmt;
}

/* Nanoseconds with a unit that suits: "8.61 ns", "2.31 µs". */
static struct sl_fmt time_of(double ns)
{
    struct sl_fmt fmt = {"-"};
    if (isnan(ns)) return fmt;
    const char *unit = ns < 1e3 ? "ns" : ns < 1e6 ? "µs" : "ms";
    double scaled = ns < 1e3 ? ns : ns < 1e6 ? ns / 1e3 : ns / 1e6;
    (void)snprintf(fmt.text, sizeof(fmt.text), "%.*f %s",
                   scaled < 10    ? 2
                   : scaled < 100 ? 1
                                  : 0,
                   scaled, unit);
    return fmt;
}

static struct sl_fmt speed_of(const struct sl_micro_figures *figures)
{
    struct sl_fmt fmt = {"-"};
    if (figures->work == 0 || figures->ns <= 0) return fmt;
    (void)snprintf(fmt.text, sizeof(fmt.text), "%.2f GB/s", (double)figures->work / figures->ns);
    return fmt;
}

static struct sl_fmt change_of(const struct sl_micro_result *result, double least)
{
    static const char *const words[] = {"faster", "", "slower"};
    struct sl_fmt fmt = {"-"};
    if (isnan(result->kept_ns)) return fmt;
    (void)snprintf(fmt.text, sizeof(fmt.text), "×%.3f %s", result->figures.ns / result->kept_ns,
                   words[verdict(result, least) + 1]);
    return fmt;
}

static void row_add(struct sl_table *table, const struct sl_micro_report *report,
                    const struct sl_micro_result *result, double least)
{
    const struct sl_micro_figures *figures = &result->figures;
    struct sl_fmt ns = time_of(figures->ns);
    struct sl_fmt low = time_of(figures->ns_low);
    struct sl_fmt high = time_of(figures->ns_high);
    struct sl_fmt best = time_of(figures->ns_best);
    bool counts = report->counters.cycles_fd >= 0;
    struct sl_fmt cycles = plain(counts ? figures->cycles : figures->ticks, 0);
    struct sl_fmt instructions = plain(figures->instructions, 0);
    struct sl_fmt allocations = plain(figures->allocations, 2);
    struct sl_fmt bytes = plain(figures->bytes, 0);
    struct sl_fmt last = report->has_kept ? change_of(result, least) : speed_of(figures);
    struct sl_fmt range;
    (void)snprintf(range.text, sizeof(range.text), "%.20s … %.20s", low.text, high.text);
    sl_table_row(table,
                 (const char *const[]){result->item->name, ns.text, range.text, best.text,
                                       cycles.text, instructions.text, allocations.text, bytes.text,
                                       last.text},
                 COLUMNS);
}

static void quiet_print(FILE *out, const char *when, const struct sl_micro_quiet *quiet)
{
    (void)fprintf(out,
                  "  %s: %s of the time lost in gaps, the longest %s; sleeps of 100 µs %s late, at "
                  "most %s%s\n",
                  when, sl_fmt_percent(quiet->lost_share).text,
                  sl_fmt_ns((double)quiet->gap_ns).text, sl_fmt_ns((double)quiet->late_ns).text,
                  sl_fmt_ns((double)quiet->late_max_ns).text,
                  sl_micro_quiet_is_bad(quiet) ? "  ← NOT QUIET: compare ratios only" : "");
}

void sl_micro_report_text(FILE *out, const struct sl_micro_report *report, double least)
{
    struct sl_machine machine;
    char line[512];
    bool counts = report->counters.cycles_fd >= 0;
    sl_machine_get(&machine);
    sl_machine_text(&machine, line, sizeof(line));
    (void)fprintf(out, "%s\n", line);
    struct sl_table table = {.columns = 0};
    sl_table_row(&table,
                 (const char *const[]){"one operation", "median", "quartiles", "best",
                                       counts ? "cycles" : "ticks", "instr", "allocs", "bytes",
                                       report->has_kept ? "against kept" : "speed"},
                 COLUMNS);
    for (size_t i = 0; i < report->count; i++) {
        if (report->results[i].why[0] != '\0') continue;
        row_add(&table, report, &report->results[i], least);
    }
    sl_table_print(&table, out, 2);
    for (size_t i = 0; i < report->count; i++) {
        const struct sl_micro_result *result = &report->results[i];
        if (result->why[0] == '\0') continue;
        (void)fprintf(out, "  left out: %s: %s\n", result->item->name, result->why);
    }
    (void)fprintf(out, "\n  allocs, bytes: taken from the system's allocators; blocks of a shard's "
                       "own memory are not\n");
    if (!counts) {
        (void)fprintf(out, "  no cycles: %s; ticks are those of the time stamp counter\n",
                      report->counters.why);
    }
    quiet_print(out, "before", &report->before);
    quiet_print(out, "after ", &report->after);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void quiet_json(struct sl_json *json, const char *key, const struct sl_micro_quiet *quiet)
{
    sl_json_begin(json, key, '{');
    sl_json_number(json, "lost_share", quiet->lost_share, 5);
    sl_json_uint(json, "gap_ns", quiet->gap_ns);
    sl_json_uint(json, "late_ns", quiet->late_ns);
    sl_json_uint(json, "late_max_ns", quiet->late_max_ns);
    sl_json_bool(json, "quiet", !sl_micro_quiet_is_bad(quiet));
    sl_json_end(json, '}');
}

static void result_json(struct sl_json *json, const struct sl_micro_result *result)
{
    const struct sl_micro_figures *figures = &result->figures;
    sl_json_begin(json, NULL, '{');
    sl_json_string(json, "name", result->item->name);
    sl_json_string(json, "about", result->item->about);
    if (result->why[0] != '\0') {
        sl_json_string(json, "left_out", result->why);
        sl_json_end(json, '}');
        return;
    }
    sl_json_number(json, "ns", figures->ns, 3);
    sl_json_number(json, "ns_low", figures->ns_low, 3);
    sl_json_number(json, "ns_high", figures->ns_high, 3);
    sl_json_number(json, "ns_best", figures->ns_best, 3);
    sl_json_number(json, "ticks", figures->ticks, 1);
    sl_json_number(json, "cycles", figures->cycles, 1);
    sl_json_number(json, "instructions", figures->instructions, 1);
    sl_json_number(json, "allocations", figures->allocations, 4);
    sl_json_number(json, "allocated_bytes", figures->bytes, 1);
    if (figures->work > 0) sl_json_uint(json, "bytes", figures->work);
    sl_json_uint(json, "batches", figures->batches);
    sl_json_uint(json, "batch_count", figures->count);
    if (!isnan(result->kept_ns)) {
        sl_json_number(json, "kept_ns", result->kept_ns, 3);
        sl_json_number(json, "ratio", figures->ns / result->kept_ns, 4);
    }
    sl_json_end(json, '}');
}

void sl_micro_report_json(FILE *out, const struct sl_micro_report *report)
{
    struct sl_machine machine;
    char command[1024];
    struct sl_json json = {.out = out};
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_json_begin(&json, "cases", '[');
    for (size_t i = 0; i < report->count; i++) result_json(&json, &report->results[i]);
    sl_json_end(&json, ']');
    if (report->counters.why != NULL) sl_json_string(&json, "no_cycles", report->counters.why);
    quiet_json(&json, "before", &report->before);
    quiet_json(&json, "after", &report->after);
    sl_json_string(&json, "data", report->dir);
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}
