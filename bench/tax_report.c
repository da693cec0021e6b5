/* SPDX-License-Identifier: MIT */
/* Tables, JSON and page of `sluice-bench tax`; see tax.h. */
#include "bench/tax.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/html.h"
#include "bench/machine.h"
#include "core/base/assertion.h"

enum { COLUMNS_MODE = 3, COLUMNS_COUNT = 1 + SL_TAX_MODES_COUNT * COLUMNS_MODE, CELL_SIZE = 96 };

static const char *const MODES[SL_TAX_MODES_COUNT] = {"one request in flight", "16 pipelined"};
static const char *const NO_FIGURE = "—";

static const struct sl_pairs_target *target_of(const struct sl_tax *tax, uint32_t mode,
                                               uint32_t server)
{
    sl_assert(server < tax->count);
    return &tax->pairs.targets[mode * tax->count + server];
}

static double cpu_of(const struct sl_tax *tax, uint32_t mode, uint32_t server)
{
    const struct sl_pairs_target *target = target_of(tax, mode, server);
    if (target->why[0] != '\0') return (double)NAN;
    return sl_stats_median(target->values[SL_PAIRS_CPU], tax->pairs.done_count);
}

/* The ratio to server `base`, of the rounds in which both gave a figure. */
static struct sl_ratio ratio_of(const struct sl_tax *tax, uint32_t mode, uint32_t base,
                                uint32_t server)
{
    struct sl_ratio none = {.ratio = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    uint32_t first = mode * tax->count;
    if (target_of(tax, mode, server)->why[0] != '\0') return none;
    if (target_of(tax, mode, base)->why[0] != '\0') return none;
    return sl_pairs_ratio(&tax->pairs, first + base, first + server, SL_PAIRS_CPU);
}

/* Median of the differences to the floor in the same rounds. */
static double over_floor(const struct sl_tax *tax, uint32_t mode, uint32_t server)
{
    const struct sl_pairs_target *target = target_of(tax, mode, server);
    const double *base = target_of(tax, mode, 0)->values[SL_PAIRS_CPU];
    const double *values = target->values[SL_PAIRS_CPU];
    uint32_t count = tax->pairs.done_count;
    if (target->why[0] != '\0') return (double)NAN;
    double *differences = calloc(count + 1, sizeof(*differences));
    sl_assert(differences != NULL);
    for (uint32_t i = 0; i < count; i++) differences[i] = values[i] - base[i];
    double median = sl_stats_median(differences, count);
    free(differences);
    return median;
}

/* Of scenarios that were begun. */
static const struct sl_tax *tax_at(const struct sl_tax_report *report, int scenario)
{
    const struct sl_tax *tax = report->taxes[scenario];
    return tax == NULL || tax->pairs.targets_count == 0 ? NULL : tax;
}

static const struct sl_tax *tax_first(const struct sl_tax_report *report)
{
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (tax_at(report, i) != NULL) return tax_at(report, i);
    }
    return NULL;
}

uint32_t sl_tax_silent_count(const struct sl_tax *tax)
{
    uint32_t count = 0;
    sl_assert(tax != NULL);
    for (uint32_t i = 0; i < tax->pairs.targets_count; i++) {
        count += tax->pairs.targets[i].why[0] != '\0';
    }
    return count;
}

/* ---- one table ------------------------------------------------------------------------------- */

static int server_find(const struct sl_tax *tax, const char *name)
{
    for (uint32_t i = 0; i < tax->count; i++) {
        if (strcmp(tax->servers[i].endpoint.name, name) == 0) return (int)i;
    }
    return -1;
}

/* The scenarios of a row: bits 1 << enum sl_scenario. Those it is compared in count only once. */
static uint32_t row_scenarios(const struct sl_tax_report *report,
                              const struct sl_tax_server *server)
{
    uint32_t scenarios = 0;
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        const struct sl_tax *tax = tax_at(report, i);
        if (tax == NULL || server_find(tax, server->endpoint.name) < 0) continue;
        scenarios |= 1U << i;
        if (server->is_base) break;
    }
    return scenarios;
}

static void cell_add(char *cell, const char *text)
{
    size_t used = strlen(cell);
    (void)snprintf(cell + used, CELL_SIZE - used, "%s%s", used > 0 ? " / " : "", text);
}

static void cell_ratio_add(char *cell, const struct sl_ratio *ratio)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "×%.2f", ratio->ratio);
    cell_add(cell, isnan(ratio->ratio) ? NO_FIGURE : text);
}

static void cells_add(char (*cells)[CELL_SIZE], const struct sl_tax *tax, uint32_t mode,
                      uint32_t server)
{
    const struct sl_pairs_target *target = target_of(tax, mode, server);
    bool is_spoilt = sl_pairs_target_is_spoilt(target);
    if (target->why[0] != '\0' || is_spoilt) {
        cell_add(cells[0], is_spoilt && target->requests > 0 ? "errors" : "no reply");
        cell_add(cells[1], NO_FIGURE);
        cell_add(cells[2], NO_FIGURE);
        return;
    }
    char text[32];
    double cpu = cpu_of(tax, mode, server);
    (void)snprintf(text, sizeof(text), "%.*f", cpu < 1 ? 3 : 2, cpu);
    cell_add(cells[0], isnan(cpu) ? NO_FIGURE : text);
    struct sl_ratio ratio = ratio_of(tax, mode, 0, server);
    if (server != 0) cell_ratio_add(cells[1], &ratio);
    ratio = ratio_of(tax, mode, tax->nginx, server);
    if (tax->nginx != 0 && server != tax->nginx) cell_ratio_add(cells[2], &ratio);
}

static void row_add(struct sl_table *table, const struct sl_tax_report *report,
                    const struct sl_tax_server *server)
{
    char cells[COLUMNS_COUNT][CELL_SIZE] = {""};
    const char *texts[COLUMNS_COUNT];
    uint32_t scenarios = row_scenarios(report, server);
    (void)snprintf(cells[0], sizeof(cells[0]), "%.60s", server->title);
    const char *separator = ": ";
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if ((scenarios >> i & 1) == 0) continue;
        const struct sl_tax *tax = report->taxes[i];
        int at = server_find(tax, server->endpoint.name);
        for (uint32_t mode = 0; mode < SL_TAX_MODES_COUNT; mode++) {
            cells_add(&cells[1 + mode * COLUMNS_MODE], tax, mode, (uint32_t)at);
        }
        if ((scenarios & (scenarios - 1)) == 0) continue;
        size_t used = strlen(cells[0]);
        (void)snprintf(cells[0] + used, sizeof(cells[0]) - used, "%s%s", separator,
                       sl_scenario_name((enum sl_scenario)i));
        separator = " / ";
    }
    for (int i = 0; i < COLUMNS_COUNT; i++) texts[i] = cells[i];
    sl_table_row(table, texts, COLUMNS_COUNT);
}

static void head_print(FILE *out, const struct sl_tax_report *report, const struct sl_tax *first)
{
    char machine_text[512];
    struct sl_machine machine;
    sl_machine_get(&machine);
    sl_machine_text(&machine, machine_text, sizeof(machine_text));
    (void)fprintf(out, "server CPU per request, µs (median), ");
    const char *separator = "";
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (tax_at(report, i) == NULL) continue;
        (void)fprintf(out, "%s%s", separator, sl_scenario_name((enum sl_scenario)i));
        separator = ", ";
    }
    (void)fprintf(out, "; %u round%s of %s; servers on core %d, generator on %s; took %s\n%s\n\n",
                  first->pairs.done_count, sl_plural(first->pairs.done_count),
                  sl_fmt_ns((double)first->pairs.slot_ns).text, first->server_core,
                  report->job->cores, sl_fmt_minutes((double)report->took_ns).text, machine_text);
}

/* Errors, slots left out, and why a cell has no figure. */
static void notes_print(FILE *out, const struct sl_tax_report *report, const struct sl_tax *tax)
{
    const struct sl_pairs *pairs = &tax->pairs;
    const char *scenario = sl_scenario_name(tax->scenario);
    if (pairs->done_count < pairs->rounds) {
        (void)fprintf(out, "  note: %s: %u of %u rounds\n", scenario, pairs->done_count,
                      pairs->rounds);
    }
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        const char *mode = MODES[i / tax->count];
        char text[160];
        if (target->why[0] != '\0') {
            (void)fprintf(out, "  no reply: %s, %s, %s: %s\n", target->name, scenario, mode,
                          target->why);
        } else if (target->empty_count > 0) {
            (void)fprintf(out, "  note: %s, %s, %s: no reply in %u slot%s, left out\n",
                          target->name, scenario, mode, target->empty_count,
                          sl_plural(target->empty_count));
        }
        if (target->config->connections != report->job->connections) {
            (void)fprintf(
                out, "  note: %s, %s, %s: %u connection%s, it takes no more requests at once\n",
                target->name, scenario, mode, target->config->connections,
                sl_plural(target->config->connections));
        }
        if (target->errors == 0) continue;
        sl_pairs_errors_text(target, text, sizeof(text));
        (void)fprintf(out, "  note: %s, %s, %s: %s%s\n", target->name, scenario, mode, text,
                      sl_pairs_target_is_spoilt(target) ? ": its figures do not count" : "");
    }
}

/* Servers in the order of their first scenario, each once; `print` gets each. */
static void servers_each(const struct sl_tax_report *report,
                         void (*visit)(void *ctx, const struct sl_tax_report *report,
                                       const struct sl_tax_server *server),
                         void *ctx)
{
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        const struct sl_tax *tax = tax_at(report, i);
        for (uint32_t k = 0; tax != NULL && k < tax->count; k++) {
            bool is_seen = false;
            for (int before = 0; before < i; before++) {
                const struct sl_tax *other = tax_at(report, before);
                is_seen = is_seen ||
                          (other != NULL && server_find(other, tax->servers[k].endpoint.name) >= 0);
            }
            if (!is_seen) visit(ctx, report, &tax->servers[k]);
        }
    }
}

static void visit_row(void *ctx, const struct sl_tax_report *report,
                      const struct sl_tax_server *server)
{
    row_add(ctx, report, server);
}

static void visit_version(void *ctx, const struct sl_tax_report *report,
                          const struct sl_tax_server *server)
{
    (void)report;
    if (server->version[0] == '\0') return;
    (void)fprintf(ctx, "  %-18s %s\n", server->endpoint.name, server->version);
}

void sl_tax_table_print(FILE *out, const struct sl_tax_report *report)
{
    const struct sl_tax *first = tax_first(report);
    struct sl_table table = {.columns = 0};
    char connections[48];
    sl_assert(out != NULL);
    if (first == NULL) return;
    head_print(out, report, first);
    (void)snprintf(connections, sizeof(connections), "%u connections", report->job->connections);
    sl_table_row(&table,
                 (const char *const[]){"", connections, "to floor", "to nginx", "16 pipelined",
                                       "to floor", "to nginx"},
                 COLUMNS_COUNT);
    servers_each(report, visit_row, &table);
    sl_table_print(&table, out, 2);
    (void)fprintf(out, "\n");
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (tax_at(report, i) != NULL) notes_print(out, report, report->taxes[i]);
    }
    servers_each(report, visit_version, out);
    (void)fprintf(
        out, "  ratios are those of the same rounds of the same scenario%s\n",
        tax_at(report, SL_SCENARIO_PING) != NULL && first->scenario != SL_SCENARIO_ECHO
            ? "; floor and nginx answer with a constant in all, shown is that of the first"
            : "");
}

/* ---- details --------------------------------------------------------------------------------- */

static void details_row(struct sl_table *table, const struct sl_tax *tax, uint32_t mode, uint32_t i)
{
    const struct sl_pairs_target *target = target_of(tax, mode, i);
    if (target->why[0] != '\0' || sl_pairs_target_is_spoilt(target)) {
        sl_table_row(table,
                     (const char *const[]){tax->servers[i].title,
                                           target->why[0] != '\0' ? "no reply" : "errors",
                                           NO_FIGURE, NO_FIGURE, NO_FIGURE, NO_FIGURE},
                     6);
        return;
    }
    struct sl_ratio floor = ratio_of(tax, mode, 0, i);
    struct sl_ratio nginx = ratio_of(tax, mode, tax->nginx, i);
    struct sl_fmt cpu = sl_pairs_value(SL_PAIRS_CPU, cpu_of(tax, mode, i));
    struct sl_fmt rate = sl_pairs_value(
        SL_PAIRS_RATE, sl_stats_median(target->values[SL_PAIRS_RATE], tax->pairs.done_count));
    struct sl_fmt over = sl_pairs_value(SL_PAIRS_CPU, over_floor(tax, mode, i));
    struct sl_fmt floor_text = sl_pairs_ratio_text(&floor);
    struct sl_fmt nginx_text = sl_pairs_ratio_text(&nginx);
    bool has_nginx = tax->nginx != 0 && i != tax->nginx;
    sl_table_row(table,
                 (const char *const[]){tax->servers[i].title, cpu.text, i == 0 ? "" : over.text,
                                       i == 0 ? "" : floor_text.text,
                                       has_nginx ? nginx_text.text : "", rate.text},
                 6);
}

void sl_tax_details_print(FILE *out, const struct sl_tax_report *report)
{
    sl_assert(out != NULL);
    sl_assert(report != NULL);
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        const struct sl_tax *tax = tax_at(report, i);
        for (uint32_t mode = 0; tax != NULL && mode < SL_TAX_MODES_COUNT; mode++) {
            struct sl_table table = {.columns = 0};
            char title[96];
            (void)snprintf(title, sizeof(title), "%s, %s", sl_scenario_name(tax->scenario),
                           MODES[mode]);
            sl_table_row(&table,
                         (const char *const[]){title, "CPU/request", "over floor", "to floor",
                                               "to nginx", "rate"},
                         6);
            for (uint32_t k = 0; k < tax->count; k++) details_row(&table, tax, mode, k);
            (void)fprintf(out, "\n");
            sl_table_print(&table, out, 2);
        }
    }
    (void)fprintf(out, "\n  ratios over rounds (middle half) with their 95 %% interval; rates are "
                       "those of the generator\n");
}

/* ---- page and JSON --------------------------------------------------------------------------- */

int sl_tax_page_write(const char *path, const struct sl_tax_report *report, struct sl_diag *reterr)
{
    struct sl_html_pairs_chart charts[SL_SCENARIOS_COUNT * SL_TAX_MODES_COUNT];
    char titles[SL_SCENARIOS_COUNT * SL_TAX_MODES_COUNT][64];
    size_t count = 0;
    char *text = NULL;
    size_t size = 0;
    sl_assert(path != NULL);
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    sl_tax_table_print(memory, report);
    sl_tax_details_print(memory, report);
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        const struct sl_tax *tax = tax_at(report, i);
        for (uint32_t mode = 0; tax != NULL && mode < SL_TAX_MODES_COUNT; mode++) {
            (void)snprintf(titles[count], sizeof(titles[count]), "%s: CPU per request, %s",
                           sl_scenario_name(tax->scenario), MODES[mode]);
            charts[count] = (struct sl_html_pairs_chart){titles[count], &tax->pairs, SL_PAIRS_CPU,
                                                         mode * tax->count, tax->count};
            count++;
        }
    }
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    if (err == 0) {
        err = sl_html_pairs_write(path, "What servers cost over the floor", text, charts, count,
                                  reterr);
    }
    free(text);
    return err;
}

static void ratio_json(struct sl_json *json, const char *key, const struct sl_ratio *ratio)
{
    sl_json_begin(json, key, '{');
    sl_json_number(json, "ratio", ratio->ratio, 5);
    sl_json_number(json, "low", ratio->low, 5);
    sl_json_number(json, "high", ratio->high, 5);
    sl_json_end(json, '}');
}

static void mode_json(struct sl_json *json, const struct sl_tax *tax, uint32_t mode,
                      uint32_t server)
{
    const struct sl_pairs *pairs = &tax->pairs;
    const struct sl_pairs_target *target = target_of(tax, mode, server);
    bool is_silent = target->why[0] != '\0';
    double rate =
        is_silent ? (double)NAN : sl_stats_median(target->values[SL_PAIRS_RATE], pairs->done_count);
    sl_json_begin(json, mode == 0 ? "single" : "pipelined", '{');
    sl_json_number(json, "cpu_us", cpu_of(tax, mode, server), 4);
    if (is_silent) sl_json_string(json, "reason", target->why);
    sl_json_number(json, "over_floor_us", over_floor(tax, mode, server), 4);
    sl_json_number(json, "rate_s", rate, 1);
    sl_json_uint(json, "connections", target->config->connections);
    sl_json_uint(json, "requests", target->requests);
    sl_json_uint(json, "errors", target->errors);
    sl_json_bool(json, "counts", !is_silent && !sl_pairs_target_is_spoilt(target));
    sl_json_uint(json, "empty_slots", target->empty_count);
    struct sl_ratio ratio = ratio_of(tax, mode, 0, server);
    ratio_json(json, "to_floor", &ratio);
    if (tax->nginx != 0) {
        ratio = ratio_of(tax, mode, tax->nginx, server);
        ratio_json(json, "to_nginx", &ratio);
    }
    sl_json_end(json, '}');
}

static void scenario_json(struct sl_json *json, const struct sl_tax_report *report,
                          const struct sl_tax *tax)
{
    struct sl_machine machine;
    char command[1024];
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(json, NULL, '{');
    sl_json_string(json, "scenario", sl_scenario_name(tax->scenario));
    sl_json_uint(json, "connections", report->job->connections);
    sl_json_uint(json, "rounds", tax->pairs.done_count);
    sl_json_number(json, "slot_s", (double)tax->pairs.slot_ns / 1e9, 3);
    sl_json_begin(json, "servers", '[');
    for (uint32_t i = 0; i < tax->count; i++) {
        sl_json_begin(json, NULL, '{');
        sl_json_string(json, "name", tax->servers[i].endpoint.name);
        sl_json_string(json, "title", tax->servers[i].title);
        sl_json_string(json, "version", tax->servers[i].version);
        for (uint32_t mode = 0; mode < SL_TAX_MODES_COUNT; mode++) mode_json(json, tax, mode, i);
        sl_json_end(json, '}');
    }
    sl_json_end(json, ']');
    sl_machine_json(json, &machine);
    sl_json_string(json, "command", command);
    sl_json_end(json, '}');
}

void sl_tax_json_print(FILE *out, const struct sl_tax_report *report)
{
    struct sl_json json = {.out = out};
    int count = 0;
    sl_assert(out != NULL);
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) count += report->taxes[i] != NULL;
    if (count > 1) sl_json_begin(&json, NULL, '{');
    if (count > 1) sl_json_begin(&json, "scenarios", '[');
    for (int i = 0; i < SL_SCENARIOS_COUNT; i++) {
        if (tax_at(report, i) != NULL) scenario_json(&json, report, report->taxes[i]);
    }
    if (count > 1) sl_json_end(&json, ']');
    if (count > 1) sl_json_number(&json, "took_s", (double)report->took_ns / 1e9, 1);
    if (count > 1) sl_json_end(&json, '}');
}
