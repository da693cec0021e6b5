/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench swap: change a workflow again and again while it is loaded, and look at every reply.
 *
 *     a swap refuses no connection, fails no request, shows no request two versions, and closes no
 *     connection
 *
 * is what is put to the test; and how long requests wait meanwhile, against times without swaps in
 * the same run, and how soon a change is seen.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/html.h"
#include "bench/job.h"
#include "bench/machine.h"
#include "bench/swap_storm.h"
#include "bench/threshold.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { PERCENTS_COUNT = 6, COLUMNS = PERCENTS_COUNT + 3, INTERVALS_A_PHASE = 10 };

static const char VISIBLE_PREFIX[] = "visible_";

static const struct {
    double percent;
    const char *title;
    const char *key;
} PERCENTS[PERCENTS_COUNT] = {{50, "p50", "p50"},          {90, "p90", "p90"},
                              {99, "p99", "p99"},          {99.9, "p99.9", "p99_9"},
                              {99.99, "p99.99", "p99_99"}, {100, "max", "max"}};

struct swap_values {
    struct sl_job_values job;
    struct sl_option_list fail_if;
    const char *swap_rate;
    const char *data;
    const char *name_space;
    const char *control;
    const char *server_cores;
    const char *format;
    const char *html;
    uint64_t phase_ns;
};

static const struct sl_option OPTIONS[] = {
    {"Swaps", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"swap-rate", "R",
     "changes a second in a storm; max: each when the last is stored (default 20)",
     offsetof(struct swap_values, swap_rate), SL_OPTION_STRING, 0},
    {"phase", "T", "calm and storm take turns, each so long (default 1s)",
     offsetof(struct swap_values, phase_ns), SL_OPTION_DURATION, 0},
    {"duration", "T", "measure so long, at least three phases (default 15s)",
     offsetof(struct swap_values, job.duration_ns), SL_OPTION_DURATION, 't'},
    {"warmup", "T", "before that, not measured (default 1s)",
     offsetof(struct swap_values, job.warmup_ns), SL_OPTION_DURATION, 'w'},
    {"Server", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"data", "DIR", "registry of a server that runs (default: one is started, in memory)",
     offsetof(struct swap_values, data), SL_OPTION_STRING, 'd'},
    {"namespace", "NAME", "that it runs (default default)",
     offsetof(struct swap_values, name_space), SL_OPTION_STRING, 'n'},
    {"control", "PATH", "its control socket (default DIR/NAME.sock)",
     offsetof(struct swap_values, control), SL_OPTION_STRING, 0},
    {"server-cores", "LIST", "shards of the server that is started (default 0)",
     offsetof(struct swap_values, server_cores), SL_OPTION_STRING, 0},
    SL_JOB_OPTIONS_LOAD(struct swap_values, job),
    {"fail-if", "'p99>2ms'",
     "exit 1 if it holds during swaps; visible_p99: of the time until a change is seen",
     offsetof(struct swap_values, fail_if), SL_OPTION_LIST, 0},
    SL_JOB_OPTIONS_CLIENT(struct swap_values, job),
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct swap_values, format),
     SL_OPTION_STRING, 'f'},
    {"html", "FILE", "write a page with percentile plots and method",
     offsetof(struct swap_values, html), SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "swap",
    .synopsis = "[options]",
    .about =
        "Change a workflow of two nodes again and again while it is loaded. Each node says its\n"
        "version, and every reply is checked: one version in it, never older than what its\n"
        "connection saw before, no connection refused or closed, no request failed. Prints how "
        "long\n"
        "requests waited during swaps and without them in the same run, the time until a change "
        "was\n"
        "seen first and everywhere, the programs alive and the memory. Starts a server of its own, "
        "or\n"
        "uses one that runs: there it adds nodes named sluice-bench-…, and removes them at the "
        "end.\n"
        "Exit code 1 if one reply was wrong.",
    .examples = "  sluice-bench swap\n"
                "  sluice-bench swap --swap-rate max --connections 256 --duration 60s\n"
                "  sluice-bench swap --rate 10k --fail-if 'p99>2ms' --fail-if 'visible_p99>50ms'\n"
                "  sluice-bench swap --data /var/lib/sluice --namespace default --swap-rate 2 "
                "--rate 500\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

struct threshold {
    struct sl_threshold is;
    const char *text;
    bool of_visible;
};

struct swap {
    struct swap_values values;
    struct sl_swap_site site;
    struct sl_swap_storm storm;
    struct sl_versions *versions;
    struct sl_job job;
    struct sl_run_result result;
    struct threshold thresholds[SL_OPTIONS_LIST_MAX]; /* array of values.fail_if.count */
    struct sl_hdr *calm;                              /* ns; of intervals without a swap */
    struct sl_hdr *during;                            /* of intervals in which one was under way */
    struct sl_hdr *stored;                            /* from asking to the acknowledgement */
    struct sl_hdr *visible;    /* from asking to the first reply with it or a later one */
    struct sl_hdr *everywhere; /* from asking to the last reply with an older one */
    uint64_t faults;           /* of all kinds */
    uint64_t errors;           /* lost requests, refused connections */
    uint64_t closed;           /* connections that had to be made again */
    uint32_t unseen;           /* stored, and neither it nor a later one was ever seen */
    char client_cores[24];
    double swap_rate;
};

/* ---- options --------------------------------------------------------------------------------- */

static int bad_value(const char *option, const char *expected, struct sl_diag *reterr)
{
    return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0}, "--%s: expected %s", option,
                       expected);
}

static int thresholds_read(struct swap *swap, struct sl_diag *reterr)
{
    size_t prefix_size = strlen(VISIBLE_PREFIX);
    for (uint32_t i = 0; i < swap->values.fail_if.count; i++) {
        struct threshold *threshold = &swap->thresholds[i];
        const char *text = swap->values.fail_if.items[i];
        threshold->text = text;
        threshold->of_visible = strncmp(text, VISIBLE_PREFIX, prefix_size) == 0;
        if (threshold->of_visible) text += prefix_size;
        int err = sl_threshold_parse(text, &threshold->is, reterr);
        if (err < 0) return err;
        bool is_time = sl_metric_unit(threshold->is.metric) == SL_METRIC_NS;
        if (threshold->is.is_relative || (threshold->of_visible && !is_time)) {
            return bad_value("fail-if", "p99>2ms, visible_p99>50ms, rate<20k …", reterr);
        }
    }
    return 0;
}

static int values_check(struct swap *swap, const struct sl_option_list *positional,
                        struct sl_diag *reterr)
{
    struct swap_values *values = &swap->values;
    struct sl_pos none = {0, 0};
    if (positional->count > 0) {
        int err = sl_diag_set(reterr, "bad_usage", none, "unexpected \"%s\"", positional->items[0]);
        sl_diag_hint(reterr, "a server that runs is named by --data DIR");
        return err;
    }
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return bad_value("format", "text or json", reterr);
    }
    if (strcmp(values->swap_rate, "max") != 0 &&
        (sl_parse_number(values->swap_rate, &swap->swap_rate) < 0 || swap->swap_rate < 0.01)) {
        return bad_value("swap-rate", "changes a second such as 20, or max", reterr);
    }
    if (values->control != NULL && values->data == NULL) {
        return bad_value("control", "--data beside it", reterr);
    }
    if (strpbrk(values->name_space, "'\"\\/") != NULL || values->name_space[0] == '\0' ||
        strlen(values->name_space) > 64) {
        return bad_value("namespace", "a name of at most 64 characters", reterr);
    }
    if (values->data != NULL && strchr(values->data, '\'') != NULL) {
        return bad_value("data", "a path without quotes", reterr);
    }
    if (strspn(values->server_cores, "0123456789,-") != strlen(values->server_cores)) {
        return bad_value("server-cores", "a list such as 0 or 0,1", reterr);
    }
    if (values->phase_ns < 10 * SL_NS_PER_MS) return bad_value("phase", "at least 10ms", reterr);
    if (values->job.duration_ns < 3 * values->phase_ns) {
        return bad_value("duration", "at least three phases: calm, storm, calm", reterr);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (values->job.cores == NULL && values->data == NULL && online > 1) {
        (void)snprintf(swap->client_cores, sizeof(swap->client_cores), "%ld", online - 1);
        values->job.cores = swap->client_cores;
    }
    if (sl_options_output_check("html", values->html, reterr) < 0) return -EINVAL;
    return thresholds_read(swap, reterr);
}

/* ---- the run --------------------------------------------------------------------------------- */

static int job_make(struct swap *swap, struct sl_diag *reterr)
{
    char url[64];
    const char *const urls[] = {url};
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", swap->site.port);
    int err = sl_job_init(&swap->job, &swap->values.job, urls, 1, reterr);
    if (err < 0) return err;
    struct sl_run_config *config = &swap->job.config;
    swap->versions = sl_versions_new(config->threads, config->connections / config->threads + 1,
                                     swap->storm.swaps_max);
    if (swap->versions == NULL) return -ENOMEM;
    config->probe = sl_versions_probe(swap->versions);
    config->check.status_min = 0; /* the probe judges it */
    config->check.status_max = 999;
    config->interval_ns = swap->values.phase_ns / INTERVALS_A_PHASE;
    config->begins = sl_swap_storm_window;
    config->begins_ctx = &swap->storm;
    return 0;
}

static int run(struct swap *swap, struct sl_diag *reterr)
{
    struct swap_values *values = &swap->values;
    struct sl_swap_storm *storm = &swap->storm;
    storm->site = &swap->site;
    storm->name_space = values->name_space;
    storm->rate = swap->swap_rate;
    storm->phase_ns = values->phase_ns;
    storm->duration_ns = values->job.duration_ns;
    storm->swaps_max = sl_swap_storm_count(storm->rate, storm->phase_ns, storm->duration_ns);
    struct sl_swap_site_config config = {.data_dir = values->data,
                                         .name_space = values->name_space,
                                         .control = values->control,
                                         .server_cores = values->server_cores};
    int err = sl_job_priority_parse(values->job.priority, &config.priority, reterr);
    if (err == 0) err = sl_swap_site_open(&swap->site, &config, reterr);
    if (err == 0) err = job_make(swap, reterr);
    storm->versions = swap->versions;
    if (err == 0) err = sl_swap_storm_begin(storm, reterr);
    if (err == 0) err = sl_run(&swap->job.config, &swap->result, reterr);
    sl_swap_storm_end(storm);
    return err;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void swap_times(struct swap *swap, uint32_t version, uint64_t *ret_end_ns)
{
    const struct sl_swap *at = &swap->storm.swaps[version];
    uint64_t seen = sl_versions_first_ns(swap->versions, version);
    uint64_t old = sl_versions_old_ns(swap->versions, version);
    *ret_end_ns = at->acked_ns > 0 ? at->acked_ns : at->asked_ns;
    if (at->acked_ns == 0) return;
    sl_hdr_record(swap->stored, at->acked_ns - at->asked_ns, 1);
    if (seen < at->asked_ns) {
        swap->unseen++;
        return;
    }
    sl_hdr_record(swap->visible, seen - at->asked_ns, 1);
    sl_hdr_record(swap->everywhere, old > at->asked_ns ? old - at->asked_ns : 0, 1);
    if (seen > *ret_end_ns) *ret_end_ns = seen;
    if (old > *ret_end_ns) *ret_end_ns = old;
}

/* Mark the intervals that a swap touches, from asking until its last trace. */
static void intervals_mark(const struct swap *swap, uint64_t from_ns, uint64_t to_ns, bool *marks)
{
    const struct sl_run_result *result = &swap->result;
    uint64_t start = result->window_start_ns;
    if (to_ns < start) return;
    uint64_t first = from_ns > start ? (from_ns - start) / result->interval_ns : 0;
    uint64_t last = (to_ns - start) / result->interval_ns;
    for (uint64_t i = first; i <= last && i < result->load.intervals_count; i++) marks[i] = true;
}

static int figures_make(struct swap *swap)
{
    struct sl_hdr **hdrs[] = {&swap->calm, &swap->during, &swap->stored, &swap->visible,
                              &swap->everywhere};
    for (size_t i = 0; i < sizeof(hdrs) / sizeof(hdrs[0]); i++) {
        *hdrs[i] = sl_hdr_new_latency();
        if (*hdrs[i] == NULL) return -ENOMEM;
    }
    const struct sl_load_result *load = &swap->result.load;
    bool *marks = calloc((size_t)load->intervals_count + 1, sizeof(*marks));
    if (marks == NULL) return -ENOMEM;
    sl_versions_sum(swap->versions);
    for (uint32_t version = 1; version <= swap->storm.asked_count; version++) {
        uint64_t end_ns;
        swap_times(swap, version, &end_ns);
        intervals_mark(swap, swap->storm.swaps[version].asked_ns, end_ns, marks);
    }
    for (uint32_t i = 0; i < load->intervals_count; i++) {
        sl_hdr_merge(marks[i] ? swap->during : swap->calm, load->intervals[i].latency);
    }
    free(marks);
    for (int i = 0; i < SL_VERSIONS_FAULTS_COUNT; i++) {
        swap->faults += sl_versions_faults(swap->versions, (enum sl_versions_fault)i);
    }
    /* Wrong bodies are the faults above. */
    swap->errors = sl_load_errors_sum(load) - load->errors[SL_LOAD_BODY];
    bool keeps = !swap->values.job.close;
    swap->closed = keeps && load->connects > swap->values.job.connections
                       ? load->connects - swap->values.job.connections
                       : 0;
    return 0;
}

static bool is_kept(const struct swap *swap)
{
    const struct sl_swap_storm *storm = &swap->storm;
    return swap->faults == 0 && swap->errors == 0 && swap->closed == 0 && swap->unseen == 0 &&
           storm->refused_count == 0 && storm->stored_count > 0;
}

static void row_add(struct sl_table *table, const char *name, const struct sl_hdr *hdr)
{
    struct sl_fmt fmt[PERCENTS_COUNT];
    struct sl_fmt count = sl_fmt_count(hdr->total);
    struct sl_fmt mean = sl_fmt_ns(sl_hdr_mean(hdr));
    const char *cells[COLUMNS] = {name, count.text};
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        fmt[i] = sl_fmt_ns((double)sl_hdr_percentile(hdr, PERCENTS[i].percent));
        /* What fewer values than that say is the maximum. */
        bool says = PERCENTS[i].percent == 100
                        ? hdr->total > 0
                        : (double)hdr->total >= 100 / (100 - PERCENTS[i].percent);
        cells[i + 2] = says ? fmt[i].text : "-";
    }
    cells[COLUMNS - 1] = hdr->total > 0 ? mean.text : "-";
    sl_table_row(table, cells, COLUMNS);
}

static void tables_print(FILE *out, const struct swap *swap)
{
    const char *titles[COLUMNS] = {"latency of requests", "count"};
    struct sl_table table = {.columns = 0};
    for (int i = 0; i < PERCENTS_COUNT; i++) titles[i + 2] = PERCENTS[i].title;
    titles[COLUMNS - 1] = "mean";
    sl_table_row(&table, titles, COLUMNS);
    row_add(&table, "without swaps", swap->calm);
    row_add(&table, "during swaps", swap->during);
    if (swap->result.is_open_loop) row_add(&table, "generator late", swap->result.load.late);
    if (swap->result.jitter != NULL) row_add(&table, "jitter floor", swap->result.jitter);
    sl_table_print(&table, out, 2);
    (void)fprintf(out, "\n");
    struct sl_table times = {.columns = 0};
    titles[0] = "a change, from asking";
    sl_table_row(&times, titles, COLUMNS);
    row_add(&times, "stored", swap->stored);
    row_add(&times, "first reply with it", swap->visible);
    row_add(&times, "last reply without it", swap->everywhere);
    sl_table_print(&times, out, 2);
}

static void checks_print(FILE *out, const struct swap *swap)
{
    const struct sl_load_result *load = &swap->result.load;
    (void)fprintf(out, "  every reply checked: %s\n",
                  sl_fmt_count(sl_versions_replies(swap->versions)).text);
    for (int i = 0; i < SL_VERSIONS_FAULTS_COUNT; i++) {
        enum sl_versions_fault fault = (enum sl_versions_fault)i;
        (void)fprintf(out, "    %-40s %s\n", sl_versions_fault_text(fault),
                      sl_fmt_count(sl_versions_faults(swap->versions, fault)).text);
    }
    (void)fprintf(out, "    %-40s %s\n", "requests lost, connections refused",
                  sl_fmt_count(swap->errors).text);
    (void)fprintf(out, "    %-40s %s\n", "connections closed", sl_fmt_count(swap->closed).text);
    (void)fprintf(out, "    %-40s %s\n", "changes that were never seen",
                  sl_fmt_count(swap->unseen).text);
    const char *bad = sl_versions_first_bad(swap->versions);
    if (bad[0] != '\0') (void)fprintf(out, "    the first wrong one: %s\n", bad);
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) {
        if (load->errors[i] == 0 || i == SL_LOAD_BODY) continue;
        (void)fprintf(out, "    error %s × %s (%s)\n", sl_load_error_word((enum sl_load_error)i),
                      sl_fmt_count(load->errors[i]).text,
                      sl_load_error_text((enum sl_load_error)i));
    }
}

static void server_print(FILE *out, const struct swap *swap)
{
    const struct sl_swap_storm *storm = &swap->storm;
    struct sl_fmt gap = sl_fmt_ns((double)sl_versions_gap_ns(swap->versions));
    (void)fprintf(out, "  longest time without a reply %s\n", gap.text);
    (void)fprintf(
        out,
        "  server    %s programs published, %s refused; alive %s before, at most %s, %s "
        "after; RSS %s, at most %s, %s\n",
        sl_fmt_count(storm->published).text, sl_fmt_count(storm->published_refused).text,
        sl_fmt_count(storm->programs.before).text, sl_fmt_count(storm->programs.max).text,
        sl_fmt_count(storm->programs.after).text, sl_fmt_bytes((double)storm->rss.before).text,
        sl_fmt_bytes((double)storm->rss.max).text, sl_fmt_bytes((double)storm->rss.after).text);
}

static void text_print(FILE *out, const struct swap *swap)
{
    const struct sl_swap_storm *storm = &swap->storm;
    const struct sl_run_config *config = &swap->job.config;
    const struct sl_run_result *result = &swap->result;
    (void)fprintf(out, "swaps under load: %s asked (%s%s a second in storms of %s), %s stored\n",
                  sl_fmt_count(storm->asked_count).text, storm->rate > 0 ? "" : "as fast as stored",
                  storm->rate > 0 ? swap->values.swap_rate : ":",
                  sl_fmt_ns((double)storm->phase_ns).text, sl_fmt_count(storm->stored_count).text);
    (void)fprintf(
        out, "  %s loop, %u connection%s%s, %s after %s warm-up: %s requests, %s/s\n\n",
        result->is_open_loop ? "open" : "closed", config->connections,
        sl_plural(config->connections), config->close ? ", a new one for each request" : "",
        sl_fmt_ns((double)result->load.window_ns).text, sl_fmt_ns((double)config->warmup_ns).text,
        sl_fmt_count(result->load.requests).text, sl_fmt_count((uint64_t)result->rate).text);
    tables_print(out, swap);
    (void)fprintf(out, "\n");
    checks_print(out, swap);
    server_print(out, swap);
    if (storm->refused_count > 0) {
        (void)fprintf(out, "  %s changes were not stored; the first: %s\n",
                      sl_fmt_count(storm->refused_count).text, storm->first_refusal);
    }
    if (storm->stored_count == 0) (void)fprintf(out, "  not one change was stored\n");
    for (uint32_t i = 0; i < result->notes_count; i++) {
        (void)fprintf(out, "  note      %s\n", result->notes[i]);
    }
    (void)fprintf(out, "  %s\n",
                  is_kept(swap) ? "no swap was noticed by a client" : "THE PROMISE WAS BROKEN");
}

/* ---- JSON and HTML --------------------------------------------------------------------------- */

static void hdr_json(struct sl_json *json, const char *key, const struct sl_hdr *hdr)
{
    sl_json_begin(json, key, '{');
    sl_json_uint(json, "count", hdr->total);
    for (int i = 0; i < PERCENTS_COUNT; i++) {
        double us = (double)sl_hdr_percentile(hdr, PERCENTS[i].percent) / 1e3;
        sl_json_number(json, PERCENTS[i].key, hdr->total > 0 ? us : (double)NAN, 3);
    }
    sl_json_number(json, "mean", hdr->total > 0 ? sl_hdr_mean(hdr) / 1e3 : (double)NAN, 3);
    sl_json_end(json, '}');
}

static void looks_json(struct sl_json *json, const char *key, const struct sl_swap_looks *looks)
{
    sl_json_begin(json, key, '{');
    sl_json_uint(json, "before", looks->before);
    sl_json_uint(json, "max", looks->max);
    sl_json_uint(json, "after", looks->after);
    sl_json_end(json, '}');
}

static void checks_json(struct sl_json *json, const struct swap *swap)
{
    const struct sl_load_result *load = &swap->result.load;
    sl_json_begin(json, "faults", '{');
    for (int i = 0; i < SL_VERSIONS_FAULTS_COUNT; i++) {
        enum sl_versions_fault fault = (enum sl_versions_fault)i;
        sl_json_uint(json, sl_versions_fault_word(fault),
                     sl_versions_faults(swap->versions, fault));
    }
    sl_json_uint(json, "lost", swap->errors);
    sl_json_uint(json, "closed", swap->closed);
    sl_json_uint(json, "unseen", swap->unseen);
    sl_json_end(json, '}');
    sl_json_string(json, "first_fault", sl_versions_first_bad(swap->versions));
    sl_json_begin(json, "errors_by_kind", '{');
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) {
        if (load->errors[i] == 0) continue;
        sl_json_uint(json, sl_load_error_word((enum sl_load_error)i), load->errors[i]);
    }
    sl_json_end(json, '}');
}

static void swaps_json(struct sl_json *json, const struct swap *swap)
{
    const struct sl_swap_storm *storm = &swap->storm;
    sl_json_begin(json, "swaps", '{');
    sl_json_uint(json, "asked", storm->asked_count);
    sl_json_uint(json, "stored", storm->stored_count);
    sl_json_uint(json, "refused", storm->refused_count);
    sl_json_string(json, "first_refusal", storm->first_refusal);
    sl_json_number(json, "rate_s", storm->rate > 0 ? storm->rate : (double)NAN, 3);
    sl_json_number(json, "phase_s", (double)storm->phase_ns / 1e9, 3);
    hdr_json(json, "stored_us", swap->stored);
    hdr_json(json, "visible_us", swap->visible);
    hdr_json(json, "everywhere_us", swap->everywhere);
    sl_json_end(json, '}');
}

static void json_print(const struct swap *swap)
{
    const struct sl_run_result *result = &swap->result;
    struct sl_json json = {.out = stdout};
    struct sl_machine machine;
    char command[1024];
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_json_bool(&json, "kept", is_kept(swap));
    sl_json_uint(&json, "requests", result->load.requests);
    sl_json_uint(&json, "replies_checked", sl_versions_replies(swap->versions));
    sl_json_number(&json, "duration_s", (double)result->load.window_ns / 1e9, 6);
    sl_json_number(&json, "rate_s", result->rate, 2);
    sl_json_string(&json, "loop", result->is_open_loop ? "open" : "closed");
    sl_json_uint(&json, "connections", swap->job.config.connections);
    checks_json(&json, swap);
    swaps_json(&json, swap);
    sl_json_begin(&json, "latency_us", '{');
    hdr_json(&json, "without", swap->calm);
    hdr_json(&json, "during", swap->during);
    sl_json_end(&json, '}');
    if (result->is_open_loop) hdr_json(&json, "late_us", result->load.late);
    if (result->jitter != NULL) hdr_json(&json, "jitter_us", result->jitter);
    sl_json_number(&json, "gap_max_us", (double)sl_versions_gap_ns(swap->versions) / 1e3, 3);
    looks_json(&json, "programs_alive", &swap->storm.programs);
    looks_json(&json, "rss_bytes", &swap->storm.rss);
    sl_json_uint(&json, "programs_published", swap->storm.published);
    sl_json_uint(&json, "programs_refused", swap->storm.published_refused);
    sl_json_bool(&json, "valid", result->is_valid);
    sl_json_begin(&json, "notes", '[');
    for (uint32_t i = 0; i < result->notes_count; i++) {
        sl_json_string(&json, NULL, result->notes[i]);
    }
    sl_json_end(&json, ']');
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}

static int page_write(const struct swap *swap, struct sl_diag *reterr)
{
    const struct sl_html_curve latency[] = {{"without swaps", swap->calm},
                                            {"during swaps", swap->during},
                                            {"jitter floor", swap->result.jitter}};
    const struct sl_html_curve changes[] = {{"stored", swap->stored},
                                            {"first reply with it", swap->visible},
                                            {"last reply without it", swap->everywhere}};
    const struct sl_html_curves charts[] = {
        {"Latency of requests", swap->result.is_open_loop ? "from the planned time" : "closed loop",
         latency, sizeof(latency) / sizeof(latency[0])},
        {"A change, from asking", "over all changes", changes,
         sizeof(changes) / sizeof(changes[0])}};
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return -ENOMEM;
    text_print(memory, swap);
    int err = fclose(memory) != 0 ? -ENOMEM : 0;
    if (err == 0) {
        err = sl_html_curves_write(swap->values.html, "Swaps under load", text, charts,
                                   sizeof(charts) / sizeof(charts[0]), reterr);
    }
    free(text);
    return err;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void latencies_set(struct sl_metrics *metrics, const struct sl_hdr *hdr)
{
    struct sl_run_result result = {.load = {.latency = NULL}};
    struct sl_metrics from;
    union {
        const struct sl_hdr *in;
        struct sl_hdr *out;
    } borrowed = {.in = hdr};
    result.load.latency = borrowed.out; /* only read */
    sl_metrics_get(&result, &from);
    for (int i = 0; i < SL_METRICS_COUNT; i++) {
        if (sl_metric_unit((enum sl_metric)i) == SL_METRIC_NS) metrics->value[i] = from.value[i];
    }
}

static int verdict(const struct swap *swap)
{
    struct sl_metrics during;
    struct sl_metrics visible;
    int code = is_kept(swap) ? SL_EXIT_OK : SL_EXIT_THRESHOLD;
    sl_metrics_get(&swap->result, &during);
    visible = during;
    latencies_set(&during, swap->during);
    latencies_set(&visible, swap->visible);
    for (uint32_t i = 0; i < swap->values.fail_if.count; i++) {
        const struct threshold *threshold = &swap->thresholds[i];
        const struct sl_metrics *metrics = threshold->of_visible ? &visible : &during;
        if (!sl_threshold_is_exceeded(&threshold->is, metrics, NULL)) continue;
        (void)fprintf(stderr, "failed: %s\n", threshold->text);
        code = SL_EXIT_THRESHOLD;
    }
    /* The versions are what they are; only a judgement about times needs a generator in time. */
    bool judges_times = swap->values.fail_if.count > 0;
    if (code == SL_EXIT_OK && judges_times && !swap->result.is_valid) code = SL_EXIT_INVALID;
    return code;
}

static int swap_run(struct swap *swap, struct sl_diag *reterr)
{
    int err = run(swap, reterr);
    if (err == -EINVAL) return SL_EXIT_USAGE;
    if (err < 0) return err == -ENOMEM ? SL_EXIT_INTERNAL : SL_EXIT_TARGET;
    if (figures_make(swap) < 0) return SL_EXIT_INTERNAL;
    if (strcmp(swap->values.format, "json") == 0) {
        json_print(swap);
    } else {
        text_print(stdout, swap);
    }
    (void)fflush(stdout);
    if (swap->values.html != NULL && page_write(swap, reterr) < 0) return SL_EXIT_INTERNAL;
    if (swap->result.load.requests == 0) {
        (void)fprintf(stderr, "error: not one reply\n");
        return SL_EXIT_TARGET;
    }
    return verdict(swap);
}

int sl_command_swap(int argc, char **argv)
{
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct swap *swap = calloc(1, sizeof(*swap));
    if (swap == NULL) return SL_EXIT_INTERNAL;
    swap->site.fd = -1;
    swap->values = (struct swap_values){.swap_rate = "20",
                                        .name_space = "default",
                                        .server_cores = "0",
                                        .format = "text",
                                        .phase_ns = SL_NS_PER_SEC};
    sl_job_values_default(&swap->values.job);
    swap->values.job.duration_ns = 15 * SL_NS_PER_SEC;
    int code = SL_EXIT_USAGE;
    int err = sl_options_parse(&USAGE, argc, argv, &swap->values, &positional, &diag);
    if (err == 0) err = values_check(swap, &positional, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        code = SL_EXIT_OK;
    } else if (err == 0) {
        code = swap_run(swap, &diag);
    }
    if (diag.text[0] != '\0') sl_options_complain(code == SL_EXIT_USAGE ? &USAGE : NULL, &diag);
    sl_swap_site_close(&swap->site);
    sl_swap_storm_fini(&swap->storm);
    sl_run_result_fini(&swap->result);
    sl_job_fini(&swap->job);
    swap->versions = sl_versions_free(swap->versions);
    struct sl_hdr *hdrs[] = {swap->calm, swap->during, swap->stored, swap->visible,
                             swap->everywhere};
    for (size_t i = 0; i < sizeof(hdrs) / sizeof(hdrs[0]); i++) (void)sl_hdr_free(hdrs[i]);
    free(swap);
    return code;
}
