/* SPDX-License-Identifier: MIT */
/* Text and JSON of a run; see report.h. */
#include "bench/report.h"

#include <math.h>

#include "bench/threshold.h"
#include "core/base/assertion.h"

static const struct {
    const char *title;
    const char *key;
    double percent;
} PERCENTILES[] = {{"p50", "p50", 50}, {"p90", "p90", 90},       {"p95", "p95", 95},
                   {"p99", "p99", 99}, {"p99.9", "p99_9", 99.9}, {"p99.99", "p99_99", 99.99},
                   {"max", "max", 100}};

enum { PERCENTILES_COUNT = sizeof(PERCENTILES) / sizeof(PERCENTILES[0]) };

static void method_text(FILE *out, const struct sl_run_config *config,
                        const struct sl_run_result *result)
{
    if (result->is_open_loop && config->rate_from != config->rate_to) {
        (void)fprintf(out, "open loop %.0f..%.0f/s", config->rate_from, config->rate_to);
    } else if (result->is_open_loop) {
        (void)fprintf(out, "open loop %.0f/s", config->rate_from);
    } else {
        (void)fprintf(out, "closed loop");
    }
    (void)fprintf(out, ", %u connection%s", config->connections, sl_plural(config->connections));
    if (config->pipeline > 1) (void)fprintf(out, ", %u pipelined", config->pipeline);
    if (config->close) (void)fprintf(out, ", one request each");
    (void)fprintf(out, ", %s after %s warm-up, %s, %u thread%s\n",
                  sl_fmt_ns((double)result->load.window_ns).text,
                  sl_fmt_ns((double)config->warmup_ns).text, result->wire_name, config->threads,
                  config->threads > 1 ? "s" : "");
}

static void latency_text(FILE *out, const struct sl_run_result *result)
{
    const char *titles[PERCENTILES_COUNT + 2] = {"latency"};
    const char *cells[PERCENTILES_COUNT + 2] = {""};
    struct sl_fmt values[PERCENTILES_COUNT + 1];
    for (int i = 0; i < PERCENTILES_COUNT; i++) {
        titles[i + 1] = PERCENTILES[i].title;
        values[i] =
            sl_fmt_ns((double)sl_hdr_percentile(result->load.latency, PERCENTILES[i].percent));
        cells[i + 1] = values[i].text;
    }
    titles[PERCENTILES_COUNT + 1] = "mean";
    values[PERCENTILES_COUNT] = sl_fmt_ns(sl_hdr_mean(result->load.latency));
    cells[PERCENTILES_COUNT + 1] = values[PERCENTILES_COUNT].text;
    struct sl_table table = {.columns = 0};
    sl_table_row(&table, titles, PERCENTILES_COUNT + 2);
    sl_table_row(&table, cells, PERCENTILES_COUNT + 2);
    sl_table_print(&table, out, 2);
}

static void counts_text(FILE *out, const struct sl_load_result *load)
{
    (void)fprintf(out, "  statuses  ");
    bool any = false;
    for (int i = 0; i < SL_LOAD_STATUS_MAX; i++) {
        if (load->statuses[i] == 0) continue;
        (void)fprintf(out, "%s%d × %s", any ? ", " : "", i, sl_fmt_count(load->statuses[i]).text);
        any = true;
    }
    (void)fprintf(out, "%s\n", any ? "" : "none");
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) {
        if (load->errors[i] == 0) continue;
        (void)fprintf(out, "  error     %s × %s (%s)\n", sl_load_error_word((enum sl_load_error)i),
                      sl_fmt_count(load->errors[i]).text,
                      sl_load_error_text((enum sl_load_error)i));
    }
}

static void server_text(FILE *out, const struct sl_run_result *result)
{
    const struct sl_proc_usage *usage = &result->usage;
    double requests = result->usage_requests > 0 ? (double)result->usage_requests : NAN;
    double user = sl_run_cpu_user_us(result);
    if (result->usage_requests == 0) {
        (void)fprintf(out, "  server    CPU unknown: no reply while it was watched");
    } else {
        (void)fprintf(out, "  server    CPU %.3f µs/request", sl_run_cpu_us(result));
    }
    if (!isnan(user)) {
        (void)fprintf(out, " (user %.2f, system %.2f)", user, sl_run_cpu_us(result) - user);
    }
    (void)fprintf(out, ", %.2f cores, waited for one %s of the time\n",
                  (double)usage->cpu_ns / (double)result->usage_ns,
                  sl_fmt_percent((double)usage->waited_ns / (double)result->usage_ns).text);
    struct sl_fmt switches = {"-"};
    struct sl_fmt forced = {"-"};
    if (!isnan(requests)) {
        (void)snprintf(switches.text, sizeof(switches.text), "%.3f",
                       (double)(usage->switches_voluntary + usage->switches_forced) / requests);
        (void)snprintf(forced.text, sizeof(forced.text), "%.3f",
                       (double)usage->switches_forced / requests);
    }
    (void)fprintf(out,
                  "            context switches %s/request (%s forced), page faults %s, RSS %s, "
                  "%u process%s, %u thread%s\n",
                  switches.text, forced.text,
                  sl_fmt_count(usage->faults_minor + usage->faults_major).text,
                  sl_fmt_bytes((double)usage->rss_bytes).text, usage->processes,
                  usage->processes == 1 ? "" : "es", usage->threads, sl_plural(usage->threads));
}

static void generator_text(FILE *out, const struct sl_run_result *result)
{
    (void)fprintf(out, "  generator CPU %s", sl_fmt_percent(result->client_share).text);
    if (result->is_open_loop) {
        (void)fprintf(out, ", late p99 %s, max %s",
                      sl_fmt_ns((double)sl_hdr_percentile(result->load.late, 99)).text,
                      sl_fmt_ns((double)result->load.late->max).text);
    }
    if (result->jitter != NULL && result->jitter->total > 0) {
        (void)fprintf(out, "; jitter floor of an idle thread p99 %s, p99.9 %s, max %s",
                      sl_fmt_ns((double)sl_hdr_percentile(result->jitter, 99)).text,
                      sl_fmt_ns((double)sl_hdr_percentile(result->jitter, 99.9)).text,
                      sl_fmt_ns((double)result->jitter->max).text);
    }
    (void)fputc('\n', out);
}

void sl_report_text(FILE *out, const char *title, const struct sl_run_config *config,
                    const struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    double wall_s = load->wall_ns > 0 ? (double)load->wall_ns / config->threads / 1e9 : NAN;
    (void)fprintf(out, "%s\n  ", title);
    method_text(out, config, result);
    (void)fprintf(out, "  requests  %s, %s/s, %s errors, %s/s in\n",
                  sl_fmt_count(load->requests).text, sl_fmt_count((uint64_t)result->rate).text,
                  sl_fmt_count(sl_load_errors_sum(load)).text,
                  sl_fmt_bytes((double)load->bytes_in / wall_s).text);
    latency_text(out, result);
    counts_text(out, load);
    if (result->has_usage) server_text(out, result);
    generator_text(out, result);
    for (uint32_t i = 0; i < result->notes_count; i++) {
        (void)fprintf(out, "  note      %s\n", result->notes[i]);
    }
}

static void latency_json(struct sl_json *json, const char *key, const struct sl_hdr *hdr)
{
    sl_json_begin(json, key, '{');
    for (int i = 0; i < PERCENTILES_COUNT; i++) {
        sl_json_number(json, PERCENTILES[i].key,
                       (double)sl_hdr_percentile(hdr, PERCENTILES[i].percent) / 1e3, 3);
    }
    sl_json_number(json, "mean", sl_hdr_mean(hdr) / 1e3, 3);
    sl_json_number(json, "stddev", sl_hdr_deviation(hdr) / 1e3, 3);
    sl_json_end(json, '}');
}

static void server_json(struct sl_json *json, const struct sl_run_result *result)
{
    const struct sl_proc_usage *usage = &result->usage;
    double cpu = sl_run_cpu_us(result);
    double user = sl_run_cpu_user_us(result);
    double requests = result->usage_requests > 0 ? (double)result->usage_requests : NAN;
    sl_json_begin(json, "server", '{');
    sl_json_number(json, "cpu_us_per_request", cpu, 4);
    sl_json_number(json, "cpu_user_us_per_request", user, 4);
    sl_json_number(json, "cpu_system_us_per_request", cpu - user, 4);
    sl_json_number(json, "cpu_cores", (double)usage->cpu_ns / (double)result->usage_ns, 4);
    sl_json_number(json, "context_switches_per_request",
                   (double)(usage->switches_voluntary + usage->switches_forced) / requests, 5);
    sl_json_number(json, "waited_share", (double)usage->waited_ns / (double)result->usage_ns, 4);
    sl_json_uint(json, "page_faults", usage->faults_minor + usage->faults_major);
    sl_json_uint(json, "rss_bytes", usage->rss_bytes);
    sl_json_uint(json, "rss_peak_bytes", usage->rss_peak_bytes);
    sl_json_uint(json, "processes", usage->processes);
    sl_json_uint(json, "threads", usage->threads);
    sl_json_end(json, '}');
}

static void counts_json(struct sl_json *json, const struct sl_load_result *load)
{
    sl_json_begin(json, "errors_by_kind", '{');
    for (int i = 0; i < SL_LOAD_ERRORS_COUNT; i++) {
        if (load->errors[i] == 0) continue;
        sl_json_uint(json, sl_load_error_word((enum sl_load_error)i), load->errors[i]);
    }
    sl_json_end(json, '}');
    sl_json_begin(json, "statuses", '{');
    for (int i = 0; i < SL_LOAD_STATUS_MAX; i++) {
        char status[8];
        if (load->statuses[i] == 0) continue;
        (void)snprintf(status, sizeof(status), "%d", i);
        sl_json_uint(json, status, load->statuses[i]);
    }
    sl_json_end(json, '}');
}

static void timeline_json(struct sl_json *json, const struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    sl_json_begin(json, "timeline", '[');
    for (uint32_t i = 0; i < load->intervals_count; i++) {
        const struct sl_load_interval *at = &load->intervals[i];
        double from_s = (double)i * (double)result->interval_ns / 1e9;
        if (from_s * 1e9 >= (double)load->window_ns) break;
        sl_json_begin(json, NULL, '{');
        sl_json_number(json, "from_s", from_s, 3);
        sl_json_uint(json, "requests", at->requests);
        sl_json_uint(json, "errors", at->errors);
        sl_json_number(json, "p50_us", (double)sl_hdr_percentile(at->latency, 50) / 1e3, 1);
        sl_json_number(json, "p99_us", (double)sl_hdr_percentile(at->latency, 99) / 1e3, 1);
        sl_json_number(json, "max_us", (double)at->latency->max / 1e3, 1);
        sl_json_end(json, '}');
    }
    sl_json_end(json, ']');
}

static void config_json(struct sl_json *json, const struct sl_run_config *config,
                        const struct sl_run_result *result)
{
    sl_json_begin(json, "config", '{');
    sl_json_string(json, "loop", result->is_open_loop ? "open" : "closed");
    sl_json_uint(json, "connections", config->connections);
    sl_json_uint(json, "pipeline", config->pipeline);
    sl_json_uint(json, "threads", config->threads);
    if (result->is_open_loop) {
        sl_json_number(json, "rate_from", config->rate_from, 2);
        sl_json_number(json, "rate_to", config->rate_to, 2);
    }
    sl_json_number(json, "warmup_s", (double)config->warmup_ns / 1e9, 6);
    sl_json_bool(json, "keep_alive", !config->close);
    sl_json_string(json, "io", result->wire_name);
    sl_json_end(json, '}');
}

static void generator_json(struct sl_json *json, const struct sl_run_result *result)
{
    sl_json_begin(json, "generator", '{');
    sl_json_number(json, "cpu_share", result->client_share, 4);
    sl_json_number(json, "waited_share", result->waited_share, 4);
    if (result->is_open_loop) sl_json_number(json, "disturbed_share", result->disturbed_share, 4);
    if (result->is_open_loop) latency_json(json, "late_us", result->load.late);
    if (result->jitter != NULL) latency_json(json, "jitter_us", result->jitter);
    sl_json_end(json, '}');
}

void sl_report_json_members(struct sl_json *json, const char *title,
                            const struct sl_run_config *config, const struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    sl_json_string(json, "title", title);
    sl_json_uint(json, "requests", load->requests);
    sl_json_uint(json, "errors", sl_load_errors_sum(load));
    sl_json_number(json, "duration_s", (double)load->window_ns / 1e9, 6);
    sl_json_number(json, "rate_s", result->rate, 2);
    latency_json(json, "latency_us", load->latency);
    counts_json(json, load);
    sl_json_uint(json, "bytes_in", load->bytes_in);
    sl_json_uint(json, "bytes_out", load->bytes_out);
    sl_json_uint(json, "connects", load->connects);
    sl_json_bool(json, "valid", result->is_valid);
    config_json(json, config, result);
    if (result->has_usage) server_json(json, result);
    generator_json(json, result);
    timeline_json(json, result);
    sl_json_begin(json, "notes", '[');
    for (uint32_t i = 0; i < result->notes_count; i++) {
        sl_json_string(json, NULL, result->notes[i]);
    }
    sl_json_end(json, ']');
}

void sl_report_json(FILE *out, const char *title, const struct sl_run_config *config,
                    const struct sl_run_result *result)
{
    struct sl_json json = {.out = out};
    sl_json_begin(&json, NULL, '{');
    sl_report_json_members(&json, title, config, result);
    sl_json_end(&json, '}');
}
