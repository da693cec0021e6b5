/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench tail: how long do servers make people wait at a part of what they can do? Open loops
 * at given rates, targets in alternating slots, the histograms of all slots of a target merged;
 * beside them the machine's own jitter and the generator's lateness.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/capacity.h"
#include "bench/command.h"
#include "bench/endpoint.h"
#include "bench/html.h"
#include "bench/machine.h"
#include "bench/pairs.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { TARGETS_MAX = 8, LEVELS_MAX = 4, PERCENTS_COUNT = 5, COLUMNS = 10 };

static const struct {
    double percent;
    const char *title;
    const char *key;
} PERCENTS[PERCENTS_COUNT] = {{50, "p50", "p50"},
                              {90, "p90", "p90"},
                              {99, "p99", "p99"},
                              {99.9, "p99.9", "p99_9"},
                              {99.99, "p99.99", "p99_99"}};

struct tail_values {
    struct sl_job_values job;
    const char *at;
    const char *of;
    const char *goal;
    const char *capacity;
    const char *path;
    const char *server_core;
    const char *format;
    const char *html;
    uint64_t slot_ns;
    uint64_t settle_ns;
    uint64_t step_ns;
    uint32_t rounds;
    bool keep_late;
};

static const struct sl_option OPTIONS[] = {
    {"Rates", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"at", "LIST", "parts of the capacity, or rates: 50%,80% or 20k (default 50%,80%)",
     offsetof(struct tail_values, at), SL_OPTION_STRING, 0},
    {"of", "WHICH",
     "least: of the least capacity, one rate for all; own: of each target's own "
     "(default least)",
     offsetof(struct tail_values, of), SL_OPTION_STRING, 0},
    {"goal", "p99=2ms", "what capacity means (default p99=2ms)", offsetof(struct tail_values, goal),
     SL_OPTION_STRING, 0},
    {"capacity", "R", "do not search: this is the capacity", offsetof(struct tail_values, capacity),
     SL_OPTION_STRING, 0},
    {"step", "T", "of the search: each tried rate so long (default 500ms)",
     offsetof(struct tail_values, step_ns), SL_OPTION_DURATION, 0},
    {"Slots", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"rounds", "N", "rounds; each loads every target at every rate (default 30)",
     offsetof(struct tail_values, rounds), SL_OPTION_UINT, 'n'},
    {"slot", "T", "measure each so long in a round (default 1s)",
     offsetof(struct tail_values, slot_ns), SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 200ms)",
     offsetof(struct tail_values, settle_ns), SL_OPTION_DURATION, 0},
    {"keep-late", NULL, "what the generator could not time counts too: its lateness is in it",
     offsetof(struct tail_values, keep_late), SL_OPTION_FLAG, 0},
    SL_JOB_OPTIONS_LOAD(struct tail_values, job),
    SL_JOB_OPTIONS_REQUEST(struct tail_values, job),
    {"Servers", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"path", "/P", "path to load, of targets that are started (default /, of known servers /ping)",
     offsetof(struct tail_values, path), SL_OPTION_STRING, 0},
    {"server-core", "N", "pin servers that are started to this core",
     offsetof(struct tail_values, server_core), SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_CLIENT(struct tail_values, job),
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct tail_values, format),
     SL_OPTION_STRING, 'f'},
    {"html", "FILE", "write a page with percentile plots and method",
     offsetof(struct tail_values, html), SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "tail",
    .synopsis = "[NAME=]TARGET… [options]",
    .about =
        "Open loops at parts of the capacity, for one server or several beside each other: "
        "slots in\n"
        "turn (A B A B …), the histograms of a target's slots merged. Prints p50 to p99.99 and "
        "the\n"
        "maximum beside the machine's own jitter: a tail below that is not the server's. Slots in\n"
        "which the generator was late do not count. A target is a URL (with ,pid=N for its CPU), "
        "a\n"
        "command with {port}, or a known server: sluice, nginx, haproxy …",
    .examples = "  sluice-bench tail --cores 1 --server-core 0 sluice nginx\n"
                "  sluice-bench tail --at 20k,40k --rounds 60 --html tail.html sluice nginx\n"
                "  sluice-bench tail --at 80% --of own a='./server --port {port}' "
                "b=http://127.0.0.1:8001/ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

/* "80%" or "20k". */
struct level {
    char text[24];
    double share; /* of the capacity; 0: `rate` says it */
    double rate;
};

struct tail {
    struct tail_values values;
    struct sl_endpoint endpoints[TARGETS_MAX]; /* array of `count` */
    double capacities[TARGETS_MAX];            /* a second; 0: not needed */
    bool are_bound[TARGETS_MAX];               /* by the generator; the server may do more */
    struct level levels[LEVELS_MAX];           /* array of `levels_count` */
    struct sl_run_config configs[LEVELS_MAX][TARGETS_MAX];
    struct sl_pairs pairs; /* target `level * count + endpoint` */
    struct sl_capacity_goal goal;
    uint32_t count;
    uint32_t levels_count;
    int server_core;
};

/* ---- options --------------------------------------------------------------------------------- */

static int bad_value(const char *option, const char *expected, struct sl_diag *reterr)
{
    return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0}, "--%s: expected %s", option,
                       expected);
}

static int levels_parse(struct tail *tail, struct sl_diag *reterr)
{
    static const char expected[] = "up to 4 parts or rates such as 50%,80% or 20k";
    const char *at = tail->values.at;
    while (*at != '\0') {
        size_t size = strcspn(at, ",");
        if (tail->levels_count == LEVELS_MAX) return bad_value("at", expected, reterr);
        struct level *level = &tail->levels[tail->levels_count++];
        if (size == 0 || size >= sizeof(level->text)) return bad_value("at", expected, reterr);
        (void)snprintf(level->text, sizeof(level->text), "%.*s", (int)size, at);
        bool is_share = level->text[size - 1] == '%';
        char number[24];
        double value;
        (void)snprintf(number, sizeof(number), "%.*s", (int)(size - is_share), level->text);
        if (sl_parse_number(number, &value) < 0 || value <= 0) {
            return bad_value("at", expected, reterr);
        }
        level->share = is_share ? value / 100 : 0;
        level->rate = is_share ? 0 : value;
        at += size + (at[size] == ',');
    }
    return tail->levels_count > 0 ? 0 : bad_value("at", expected, reterr);
}

static int values_check(struct tail *tail, const struct sl_option_list *targets,
                        struct sl_diag *reterr)
{
    const struct tail_values *values = &tail->values;
    if (targets->count < 1 || targets->count > TARGETS_MAX) {
        return sl_diag_set(reterr, "bad_usage", (struct sl_pos){0, 0}, "expected 1 to %d targets",
                           (int)TARGETS_MAX);
    }
    if (values->job.rate != NULL) {
        int err = sl_diag_set(reterr, "bad_usage", (struct sl_pos){0, 0},
                              "tail chooses rates itself: leave --rate out");
        sl_diag_hint(reterr, "write --at %s", values->job.rate);
        return err;
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return bad_value("format", "text or json", reterr);
    }
    if (strcmp(values->of, "least") != 0 && strcmp(values->of, "own") != 0) {
        return bad_value("of", "least or own", reterr);
    }
    if (values->rounds < 1 || values->rounds > SL_PAIRS_ROUNDS_MAX || values->slot_ns == 0) {
        return bad_value("rounds", "1 to 10000, and --slot not 0", reterr);
    }
    if (values->step_ns == 0) return bad_value("step", "a time", reterr);
    tail->server_core = -1;
    if (values->server_core != NULL &&
        sl_job_cores_parse(values->server_core, &tail->server_core, 1) != 1) {
        return bad_value("server-core", "one core", reterr);
    }
    if (sl_capacity_goal_parse(values->goal, &tail->goal, reterr) < 0) return -EINVAL;
    if (sl_options_output_check("html", values->html, reterr) < 0) return -EINVAL;
    return levels_parse(tail, reterr);
}

/* ---- rates ----------------------------------------------------------------------------------- */

static int endpoints_open(struct tail *tail, const struct sl_option_list *targets,
                          struct sl_diag *reterr)
{
    for (uint32_t i = 0; i < targets->count; i++) {
        const char letter[] = {(char)('A' + i), '\0'};
        int err = sl_endpoint_parse(targets->items[i], letter, &tail->endpoints[i], reterr);
        tail->count++;
        if (err == 0) {
            err = sl_endpoint_open(&tail->endpoints[i], &tail->values.job, tail->values.path,
                                   tail->server_core, NULL, reterr);
        }
        if (err < 0) return err;
    }
    return 0;
}

static int capacity_find(struct tail *tail, uint32_t index, struct sl_diag *reterr)
{
    static struct sl_capacity capacity;
    struct sl_run_result result;
    struct sl_run_config config = tail->endpoints[index].job.config;
    config.duration_ns = tail->values.slot_ns;
    config.progress = !tail->values.job.quiet;
    if (config.progress) {
        (void)fprintf(stderr, "capacity of %s with %s:\n", tail->endpoints[index].name,
                      tail->values.goal);
    }
    int err =
        sl_capacity_find(&config, &tail->goal, tail->values.step_ns, &capacity, &result, reterr);
    struct sl_fmt waited = sl_fmt_percent(result.waited_share);
    sl_run_result_fini(&result);
    if (err < 0) return err;
    tail->capacities[index] = capacity.rate;
    tail->are_bound[index] = capacity.is_generator_bound;
    if (capacity.rate > 0 || sl_run_is_stopped()) return 0;
    err = sl_diag_set(reterr, "no_capacity", (struct sl_pos){0, 0}, "%s: %s held at no rate",
                      tail->endpoints[index].name, tail->values.goal);
    if (capacity.is_generator_bound) {
        sl_diag_hint(reterr,
                     "the generator waited for its core %s of the time and could time too little: "
                     "--priority fifo:1 puts it before other work; or give rates: --at 20k",
                     waited.text);
    } else {
        sl_diag_hint(reterr, "try a wider --goal, or give rates: --at 20k; on a busy machine the "
                             "server waits for its core: --priority fifo:1");
    }
    return err;
}

static int capacities_find(struct tail *tail, struct sl_diag *reterr)
{
    bool needed = false;
    double given = 0;
    for (uint32_t i = 0; i < tail->levels_count; i++) needed |= tail->levels[i].share > 0;
    if (tail->values.capacity != NULL &&
        (sl_parse_number(tail->values.capacity, &given) < 0 || given <= 0)) {
        return bad_value("capacity", "a rate such as 40k", reterr);
    }
    for (uint32_t i = 0; needed && i < tail->count; i++) {
        tail->capacities[i] = given;
        int err = given > 0 ? 0 : capacity_find(tail, i, reterr);
        if (err < 0) return err;
    }
    return 0;
}

static double rate_of(const struct tail *tail, const struct level *level, uint32_t index)
{
    double capacity = tail->capacities[index];
    if (level->share <= 0) return level->rate;
    for (uint32_t i = 0; strcmp(tail->values.of, "least") == 0 && i < tail->count; i++) {
        capacity = fmin(capacity, tail->capacities[i]);
    }
    return capacity * level->share;
}

static int pairs_setup(struct tail *tail)
{
    struct sl_pairs *pairs = &tail->pairs;
    pairs->rounds = tail->values.rounds;
    pairs->slot_ns = tail->values.slot_ns;
    pairs->settle_ns = tail->values.settle_ns;
    pairs->progress = !tail->values.job.quiet;
    pairs->keeps = true;
    pairs->keeps_late = tail->values.keep_late;
    for (uint32_t l = 0; l < tail->levels_count; l++) {
        for (uint32_t i = 0; i < tail->count; i++) {
            struct sl_run_config *config = &tail->configs[l][i];
            struct sl_pairs_target *target = &pairs->targets[pairs->targets_count++];
            *config = tail->endpoints[i].job.config;
            config->rate_from = rate_of(tail, &tail->levels[l], i);
            config->rate_to = config->rate_from;
            target->name = tail->endpoints[i].name;
            target->config = config;
        }
    }
    return sl_pairs_init(pairs);
}

/* ---- output ---------------------------------------------------------------------------------- */

static void hdr_cells(const struct sl_hdr *hdr, struct sl_fmt fmt[PERCENTS_COUNT + 1])
{
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        fmt[i] = sl_fmt_ns((double)sl_hdr_percentile(hdr, PERCENTS[i].percent));
        /* What fewer values than that say is the maximum. */
        if ((double)hdr->total < 100 / (100 - PERCENTS[i].percent)) {
            (void)snprintf(fmt[i].text, sizeof(fmt[i].text), "-");
        }
    }
    fmt[PERCENTS_COUNT] = hdr->total > 0 ? sl_fmt_ns((double)hdr->max) : (struct sl_fmt){"-"};
}

static void row_add(struct sl_table *table, const char *name, const char *rate,
                    const struct sl_hdr *hdr, const char *cpu, const char *errors)
{
    struct sl_fmt fmt[PERCENTS_COUNT + 1];
    hdr_cells(hdr, fmt);
    sl_table_row(table,
                 (const char *const[]){name, rate, fmt[0].text, fmt[1].text, fmt[2].text,
                                       fmt[3].text, fmt[4].text, fmt[5].text, cpu, errors},
                 COLUMNS);
}

static void level_text(FILE *out, const struct tail *tail, uint32_t l)
{
    const struct sl_pairs *pairs = &tail->pairs;
    const struct level *level = &tail->levels[l];
    struct sl_hdr *late = sl_hdr_new_latency();
    struct sl_table table = {.columns = 0};
    sl_assert(late != NULL);
    sl_table_row(&table,
                 (const char *const[]){level->share > 0 ? level->text : "", "rate", "p50", "p90",
                                       "p99", "p99.9", "p99.99", "max", "CPU/request", "errors"},
                 COLUMNS);
    for (uint32_t i = 0; i < tail->count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[l * tail->count + i];
        struct sl_fmt rate;
        (void)snprintf(rate.text, sizeof(rate.text), "%.40s/s",
                       sl_fmt_count((uint64_t)target->config->rate_from).text);
        struct sl_fmt cpu = sl_pairs_value(
            SL_PAIRS_CPU, sl_stats_median(target->values[SL_PAIRS_CPU], pairs->done_count));
        row_add(&table, target->name, rate.text, target->latency, cpu.text,
                sl_fmt_count(target->errors).text);
        sl_hdr_merge(late, target->late);
    }
    row_add(&table, "generator late", "", late, "", "");
    row_add(&table, "jitter floor", "", pairs->jitter, "", "");
    sl_table_print(&table, out, 2);
    sl_hdr_free(late);
}

static void ratios_text(FILE *out, const struct tail *tail, uint32_t l)
{
    uint32_t base = l * tail->count;
    for (uint32_t i = 1; i < tail->count; i++) {
        struct sl_ratio p50 = sl_pairs_ratio(&tail->pairs, base, base + i, SL_PAIRS_P50);
        struct sl_ratio p99 = sl_pairs_ratio(&tail->pairs, base, base + i, SL_PAIRS_P99);
        struct sl_fmt p50_text = sl_pairs_ratio_text(&p50);
        struct sl_fmt p99_text = sl_pairs_ratio_text(&p99);
        (void)fprintf(out, "  %s to %s, slot by slot: p50 %s, p99 %s\n", tail->endpoints[i].name,
                      tail->endpoints[0].name, p50_text.text, p99_text.text);
    }
}

static void text_print(FILE *out, const struct tail *tail)
{
    const struct sl_pairs *pairs = &tail->pairs;
    (void)fprintf(out,
                  "open loop, %u connection%s, %u round%s of %s; latency counts from the planned "
                  "time\n",
                  tail->values.job.connections, sl_plural(tail->values.job.connections),
                  pairs->done_count, sl_plural(pairs->done_count),
                  sl_fmt_ns((double)pairs->slot_ns).text);
    for (uint32_t i = 0; i < tail->count; i++) {
        if (tail->capacities[i] <= 0) continue;
        (void)fprintf(out, "  capacity of %s: %s/s%s%s%s\n", tail->endpoints[i].name,
                      sl_fmt_count((uint64_t)tail->capacities[i]).text,
                      tail->values.capacity != NULL ? " (given)" : " with ",
                      tail->values.capacity != NULL ? "" : tail->values.goal,
                      tail->are_bound[i] ? " (the generator's limit; the server may do more)" : "");
    }
    for (uint32_t l = 0; l < tail->levels_count; l++) {
        (void)fprintf(out, "\n");
        level_text(out, tail, l);
        ratios_text(out, tail, l);
    }
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        const struct sl_pairs_target *target = &pairs->targets[i];
        uint64_t all = target->timed_count + target->disturbed_count;
        if (target->disturbed_count * 200 > all && !pairs->keeps_late) {
            (void)fprintf(out,
                          "  note: %s of the replies of %s at %s/s are left out: the generator was "
                          "away when they were due or came\n",
                          sl_fmt_percent((double)target->disturbed_count / (double)all).text,
                          target->name, sl_fmt_count((uint64_t)target->config->rate_from).text);
        }
        if (target->invalid_count == 0) continue;
        (void)fprintf(out,
                      "  note: the generator could not time most of %u of %u slots of %s at %s/s: "
                      "%s\n",
                      target->invalid_count, pairs->done_count, target->name,
                      sl_fmt_count((uint64_t)target->config->rate_from).text,
                      pairs->keeps_late ? "its lateness is in the figures" : "left out");
    }
}

static void hdr_json(struct sl_json *json, const char *key, const struct sl_hdr *hdr)
{
    sl_json_begin(json, key, '{');
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        double us = (double)sl_hdr_percentile(hdr, PERCENTS[i].percent) / 1e3;
        sl_json_number(json, PERCENTS[i].key, hdr->total > 0 ? us : (double)NAN, 3);
    }
    sl_json_number(json, "max", hdr->total > 0 ? (double)hdr->max / 1e3 : (double)NAN, 3);
    sl_json_end(json, '}');
}

static void ratio_json(struct sl_json *json, const char *key, const struct sl_ratio *ratio)
{
    sl_json_begin(json, key, '{');
    sl_json_number(json, "ratio", ratio->ratio, 5);
    sl_json_number(json, "low", ratio->low, 5);
    sl_json_number(json, "high", ratio->high, 5);
    sl_json_end(json, '}');
}

static void target_json(struct sl_json *json, const struct tail *tail, uint32_t l, uint32_t i)
{
    const struct sl_pairs *pairs = &tail->pairs;
    uint32_t base = l * tail->count;
    const struct sl_pairs_target *target = &pairs->targets[base + i];
    sl_json_begin(json, NULL, '{');
    sl_json_string(json, "name", target->name);
    sl_json_number(json, "rate_s", target->config->rate_from, 1);
    if (tail->capacities[i] > 0) {
        sl_json_number(json, "capacity_s", tail->capacities[i], 1);
        sl_json_bool(json, "capacity_generator_bound", tail->are_bound[i]);
    }
    sl_json_uint(json, "requests", target->requests);
    sl_json_uint(json, "errors", target->errors);
    sl_json_uint(json, "late_slots", target->invalid_count);
    sl_json_uint(json, "disturbed", target->disturbed_count);
    hdr_json(json, "latency_us", target->latency);
    hdr_json(json, "late_us", target->late);
    sl_json_number(json, "cpu_us", sl_stats_median(target->values[SL_PAIRS_CPU], pairs->done_count),
                   4);
    struct sl_ratio p50 = sl_pairs_ratio(pairs, base, base + i, SL_PAIRS_P50);
    struct sl_ratio p99 = sl_pairs_ratio(pairs, base, base + i, SL_PAIRS_P99);
    ratio_json(json, "p50_to_first", &p50);
    ratio_json(json, "p99_to_first", &p99);
    sl_json_end(json, '}');
}

static void json_print(const struct tail *tail)
{
    struct sl_machine machine;
    char command[1024];
    struct sl_json json = {.out = stdout};
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_json_uint(&json, "rounds", tail->pairs.done_count);
    sl_json_number(&json, "slot_s", (double)tail->pairs.slot_ns / 1e9, 3);
    sl_json_begin(&json, "levels", '[');
    for (uint32_t l = 0; l < tail->levels_count; l++) {
        sl_json_begin(&json, NULL, '{');
        sl_json_string(&json, "at", tail->levels[l].text);
        sl_json_begin(&json, "targets", '[');
        for (uint32_t i = 0; i < tail->count; i++) target_json(&json, tail, l, i);
        sl_json_end(&json, ']');
        sl_json_end(&json, '}');
    }
    sl_json_end(&json, ']');
    hdr_json(&json, "jitter_us", tail->pairs.jitter);
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}

static int page_write(const struct tail *tail, struct sl_diag *reterr)
{
    struct sl_html_curve curves[LEVELS_MAX][TARGETS_MAX + 1];
    struct sl_html_curves charts[LEVELS_MAX];
    char titles[LEVELS_MAX][64];
    for (uint32_t l = 0; l < tail->levels_count; l++) {
        for (uint32_t i = 0; i < tail->count; i++) {
            const struct sl_pairs_target *target = &tail->pairs.targets[l * tail->count + i];
            curves[l][i] = (struct sl_html_curve){target->name, target->latency};
        }
        curves[l][tail->count] = (struct sl_html_curve){"jitter floor", tail->pairs.jitter};
        (void)snprintf(titles[l], sizeof(titles[l]), "Latency by percentile at %s",
                       tail->levels[l].text);
        charts[l] = (struct sl_html_curves){.title = titles[l],
                                            .caption = "from the planned time",
                                            .curves = curves[l],
                                            .curves_count = tail->count + 1};
    }
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    text_print(memory, tail);
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    if (err == 0) {
        err = sl_html_curves_write(tail->values.html, "Waiting at parts of the capacity", text,
                                   charts, tail->levels_count, reterr);
    }
    free(text);
    return err;
}

static int verdict(const struct tail *tail)
{
    const struct sl_pairs *pairs = &tail->pairs;
    if (pairs->done_count == 0) return SL_EXIT_INVALID;
    for (uint32_t i = 0; i < pairs->targets_count; i++) {
        if (pairs->targets[i].invalid_count * 2 > pairs->done_count) return SL_EXIT_INVALID;
    }
    return SL_EXIT_OK;
}

static int tail_run(struct tail *tail, const struct sl_option_list *targets, struct sl_diag *reterr)
{
    int err = endpoints_open(tail, targets, reterr);
    if (err == 0) err = capacities_find(tail, reterr);
    if (err == -EINVAL) return SL_EXIT_USAGE;
    if (err == 0 && sl_run_is_stopped()) return SL_EXIT_INVALID;
    if (err == 0) err = pairs_setup(tail);
    if (err == 0) err = sl_pairs_run(&tail->pairs, reterr);
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (strcmp(tail->values.format, "json") == 0) {
        json_print(tail);
    } else {
        text_print(stdout, tail);
    }
    if (tail->values.html != NULL && page_write(tail, reterr) < 0) return SL_EXIT_INTERNAL;
    return verdict(tail);
}

int sl_command_tail(int argc, char **argv)
{
    struct sl_option_list targets = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct tail *tail = calloc(1, sizeof(*tail));
    if (tail == NULL) return SL_EXIT_INTERNAL;
    tail->values = (struct tail_values){.at = "50%,80%",
                                        .of = "least",
                                        .goal = "p99=2ms",
                                        .format = "text",
                                        .slot_ns = SL_NS_PER_SEC,
                                        .settle_ns = 200 * SL_NS_PER_MS,
                                        .step_ns = 500 * SL_NS_PER_MS,
                                        .rounds = 30};
    sl_job_values_default(&tail->values.job);
    int code = SL_EXIT_USAGE;
    int err = sl_options_parse(&USAGE, argc, argv, &tail->values, &targets, &diag);
    if (err == 0) err = values_check(tail, &targets, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        code = SL_EXIT_OK;
    } else if (err == 0) {
        code = tail_run(tail, &targets, &diag);
    }
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    sl_pairs_fini(&tail->pairs);
    for (uint32_t i = 0; i < tail->count; i++) sl_endpoint_fini(&tail->endpoints[i]);
    free(tail);
    return code;
}
