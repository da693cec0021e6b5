/* SPDX-License-Identifier: MIT */
/* The page of a run; see html.h. */
#include "bench/html.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/chart.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "core/base/assertion.h"

enum { TICKS_MAX = 16, POINTS_COUNT = 240 };

static const char STYLE[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee6;--bg:#fff;"
    "--k0:#1d5fd1;--k1:#c2540a;--k2:#7a8696;--k3:#12805c;--k4:#8e3bb0;--k5:#a8860b;--k6:#c2185b;--"
    "k7:#00838f}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b4;--line:#2f3947;"
    "--bg:#12171e;--k0:#6ea8ff;--k1:#ff9d5c;--k2:#8b97a7;--k3:#4fd0a5;--k4:#cf92e6;--k5:#e3c14a;"
    "--k6:#ff7aa8;--k7:#4dd0e1}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--bg);"
    "max-width:900px;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.35rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}\n"
    "p.sub{color:var(--soft);margin:.1rem 0}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0}\n"
    ".tile{border:1px solid var(--line);border-radius:8px;padding:.5rem .8rem;min-width:6.2rem}\n"
    ".tile b{display:block;font-size:1.15rem}.tile span{color:var(--soft);font-size:.82rem}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:right;padding:.25rem .6rem;"
    "border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}\n"
    "th{color:var(--soft);font-weight:500}\n"
    "figure{margin:1.4rem 0}figcaption{color:var(--soft);margin-bottom:.3rem}"
    "figcaption b{color:var(--ink)}\n"
    "svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}\n"
    ".frame{fill:none;stroke:var(--line)}.grid{stroke:var(--line);stroke-width:.6;fill:none}\n"
    ".line{fill:none;stroke-width:1.8}.k0{stroke:var(--k0)}.k1{stroke:var(--k1)}"
    ".k2{stroke:var(--k2);stroke-dasharray:5 4}.k3{stroke:var(--k3);stroke-dasharray:2 3}"
    ".k4{stroke:var(--k4)}.k5{stroke:var(--k5);stroke-dasharray:7 3}.k6{stroke:var(--k6)}"
    ".k7{stroke:var(--k7);stroke-dasharray:2 3}\n"
    "pre{overflow-x:auto;font-size:.74rem;line-height:1.4}code{font-size:.86rem;word-break:break-"
    "all}.bad{color:#c62828;font-weight:600}\n";

static void tile(FILE *out, const char *value, const char *label)
{
    (void)fprintf(out, "<div class=\"tile\"><b>");
    sl_html_escape(out, value);
    (void)fprintf(out, "</b><span>");
    sl_html_escape(out, label);
    (void)fprintf(out, "</span></div>\n");
}

static void tiles_write(FILE *out, const struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    static const struct {
        double percent;
        const char *label;
    } SHOWN[] = {{50, "p50"}, {99, "p99"}, {99.9, "p99.9"}, {99.99, "p99.99"}, {100, "max"}};
    char rate[64];
    (void)fprintf(out, "<div class=\"tiles\">\n");
    (void)snprintf(rate, sizeof(rate), "%.47s/s", sl_fmt_count((uint64_t)result->rate).text);
    tile(out, rate, "rate");
    for (size_t i = 0; i < sizeof(SHOWN) / sizeof(SHOWN[0]); i++) {
        tile(out, sl_fmt_ns((double)sl_hdr_percentile(load->latency, SHOWN[i].percent)).text,
             SHOWN[i].label);
    }
    tile(out, sl_fmt_count(load->requests).text, "requests");
    tile(out, sl_fmt_count(sl_load_errors_sum(load)).text, "errors");
    if (result->has_usage) {
        char cpu[64];
        (void)snprintf(cpu, sizeof(cpu), "%.3f µs", sl_run_cpu_us(result));
        tile(out, cpu, "server CPU/request");
    }
    (void)fprintf(out, "</div>\n");
}

/* Position of a percentile on the axis: each nine is as wide as the others. */
static double axis_of(double percent)
{
    return -log10(1 - percent / 100);
}

/* A percentile curve up to the last value that was recorded. */
static void curve(struct sl_chart *chart, const char *label, int kind, const struct sl_hdr *hdr)
{
    double x[POINTS_COUNT];
    double y[POINTS_COUNT];
    size_t count = 0;
    if (hdr == NULL || hdr->total == 0) return;
    double end = log10((double)hdr->total);
    if (end > chart->x_max) end = chart->x_max;
    for (int i = 0; i < POINTS_COUNT; i++) {
        x[count] = end * i / (POINTS_COUNT - 1);
        y[count] = (double)sl_hdr_percentile(hdr, 100 * (1 - pow(10, -x[count])));
        count++;
    }
    sl_chart_series(chart, label, kind, x, y, count);
}

static void y_ticks_ns(const struct sl_chart *chart)
{
    double ticks[TICKS_MAX];
    size_t count = sl_chart_ticks(chart->y_min, chart->y_max, chart->y_log, ticks, TICKS_MAX);
    for (size_t i = 0; i < count; i++) sl_chart_y_tick(chart, ticks[i], sl_fmt_ns(ticks[i]).text);
}

/* A range of whole decades around two values. */
static void decades(double low, double high, double *ret_min, double *ret_max)
{
    if (low < 100) low = 100;
    if (high < low * 1.5) high = low * 1.5;
    *ret_min = pow(10, floor(log10(low)));
    *ret_max = pow(10, ceil(log10(high)));
}

static void curves_chart(FILE *out, const struct sl_html_curves *what)
{
    static const struct {
        double percent;
        const char *label;
    } TICKS[] = {{0, "0"},         {50, "50 %"},       {90, "90 %"},        {99, "99 %"},
                 {99.9, "99.9 %"}, {99.99, "99.99 %"}, {99.999, "99.999 %"}};
    struct sl_chart chart = {.out = out, .x_max = 5, .y_log = true};
    double low = INFINITY;
    double high = 0;
    for (size_t i = 0; i < what->curves_count; i++) {
        const struct sl_hdr *hdr = what->curves[i].hdr;
        if (hdr == NULL || hdr->total == 0) continue;
        low = fmin(low, (double)hdr->min);
        high = fmax(high, (double)hdr->max);
    }
    if (!isfinite(low)) return;
    decades(low, high, &chart.y_min, &chart.y_max);
    sl_chart_begin(&chart, what->title, what->caption);
    for (size_t i = 0; i < sizeof(TICKS) / sizeof(TICKS[0]); i++) {
        sl_chart_x_tick(&chart, axis_of(TICKS[i].percent), TICKS[i].label);
    }
    y_ticks_ns(&chart);
    for (size_t i = 0; i < what->curves_count; i++) {
        curve(&chart, what->curves[i].label, (int)(i % 8), what->curves[i].hdr);
    }
    sl_chart_end(&chart);
}

static void percentiles_chart(FILE *out, const struct sl_run_result *result,
                              const struct sl_baseline *baseline)
{
    const struct sl_html_curve curves[] = {
        {"latency", result->load.latency},
        {"baseline", baseline != NULL ? baseline->latency : NULL},
        {"generator late", result->is_open_loop ? result->load.late : NULL},
        {"jitter floor", result->jitter},
    };
    const struct sl_html_curves what = {
        .title = "Latency by percentile",
        .caption =
            result->is_open_loop ? "from the planned time" : "from the sending (closed loop)",
        .curves = curves,
        .curves_count = sizeof(curves) / sizeof(curves[0]),
    };
    curves_chart(out, &what);
}

struct timeline {
    double *x;
    double *rate;
    double *p50;
    double *p99;
    double *max;
    size_t count;
};

/* Intervals that ended inside the window. False: nothing to draw, or no memory. */
static bool timeline_make(const struct sl_run_result *result, struct timeline *timeline)
{
    const struct sl_load_result *load = &result->load;
    size_t cap = load->intervals_count;
    timeline->x = calloc(cap * 5 + 1, sizeof(double));
    if (timeline->x == NULL) return false;
    timeline->rate = timeline->x + cap;
    timeline->p50 = timeline->rate + cap;
    timeline->p99 = timeline->p50 + cap;
    timeline->max = timeline->p99 + cap;
    double seconds = (double)load->window_ns / 1e9;
    double interval = (double)result->interval_ns / 1e9;
    for (size_t i = 0; i < cap && (double)i * interval < seconds; i++) {
        const struct sl_load_interval *at = &load->intervals[i];
        double length = seconds - (double)i * interval;
        if (length > interval) length = interval;
        timeline->x[i] = ((double)i + 0.5) * interval;
        timeline->rate[i] = (double)at->requests / length;
        bool any = at->latency->total > 0;
        timeline->p50[i] = any ? (double)sl_hdr_percentile(at->latency, 50) : NAN;
        timeline->p99[i] = any ? (double)sl_hdr_percentile(at->latency, 99) : NAN;
        timeline->max[i] = any ? (double)at->latency->max : NAN;
        timeline->count++;
    }
    return timeline->count > 1;
}

static void x_ticks_s(const struct sl_chart *chart)
{
    double ticks[TICKS_MAX];
    char label[32];
    size_t count = sl_chart_ticks(chart->x_min, chart->x_max, false, ticks, TICKS_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(label, sizeof(label), "%g s", ticks[i]);
        sl_chart_x_tick(chart, ticks[i], label);
    }
}

static void rate_chart(FILE *out, const struct timeline *timeline, double seconds)
{
    double ticks[TICKS_MAX];
    double high = 1;
    for (size_t i = 0; i < timeline->count; i++) high = fmax(high, timeline->rate[i]);
    struct sl_chart chart = {.out = out, .x_max = seconds, .y_max = high * 1.1};
    sl_chart_begin(&chart, "Replies a second", "");
    x_ticks_s(&chart);
    size_t count = sl_chart_ticks(0, chart.y_max, false, ticks, TICKS_MAX);
    for (size_t i = 0; i < count; i++) {
        sl_chart_y_tick(&chart, ticks[i], sl_fmt_count((uint64_t)ticks[i]).text);
    }
    sl_chart_series(&chart, "replies/s", 0, timeline->x, timeline->rate, timeline->count);
    sl_chart_end(&chart);
}

static void latency_chart(FILE *out, const struct timeline *timeline, double seconds)
{
    double low = INFINITY;
    double high = 0;
    for (size_t i = 0; i < timeline->count; i++) {
        low = fmin(low, timeline->p50[i]);
        high = fmax(high, timeline->max[i]);
    }
    if (!isfinite(low)) return;
    struct sl_chart chart = {.out = out, .x_max = seconds, .y_log = true};
    decades(low, high, &chart.y_min, &chart.y_max);
    sl_chart_begin(&chart, "Latency over time", "each point an interval");
    x_ticks_s(&chart);
    y_ticks_ns(&chart);
    sl_chart_series(&chart, "p50", 0, timeline->x, timeline->p50, timeline->count);
    sl_chart_series(&chart, "p99", 1, timeline->x, timeline->p99, timeline->count);
    sl_chart_series(&chart, "max", 2, timeline->x, timeline->max, timeline->count);
    sl_chart_end(&chart);
}

static void timelines_write(FILE *out, const struct sl_run_result *result)
{
    struct timeline timeline = {.x = NULL};
    double seconds = (double)result->load.window_ns / 1e9;
    if (timeline_make(result, &timeline)) {
        rate_chart(out, &timeline, seconds);
        latency_chart(out, &timeline, seconds);
    }
    free(timeline.x);
}

static void row(FILE *out, const char *name, const char *value)
{
    (void)fprintf(out, "<tr><td>");
    sl_html_escape(out, name);
    (void)fprintf(out, "</td><td>");
    sl_html_escape(out, value);
    (void)fprintf(out, "</td></tr>\n");
}

/* The text report, word for word: nothing on the page says more than it. */
static void report_write(FILE *out, const char *title, const struct sl_run_config *config,
                         const struct sl_run_result *result)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) return;
    sl_report_text(memory, title, config, result);
    if (fclose(memory) == 0) {
        (void)fprintf(out, "<pre>");
        sl_html_escape(out, text);
        (void)fprintf(out, "</pre>\n");
    }
    free(text);
}

/* Opens the table of the method with what every page says; the caller adds rows and ends it. */
static void method_begin(FILE *out)
{
    struct sl_machine machine;
    char text[512];
    sl_machine_get(&machine);
    sl_machine_text(&machine, text, sizeof(text));
    (void)fprintf(out, "<h2>Method</h2>\n<table>\n");
    row(out, "machine", text);
    row(out, "program", "sluice-bench " SL_VERSION);
    row(out, "histogram", "1 ns to 60 s, three significant digits");
}

static void method_end(FILE *out)
{
    char text[1024];
    sl_machine_command(text, sizeof(text));
    (void)fprintf(out, "</table>\n<p>Command: <code>");
    sl_html_escape(out, text);
    (void)fprintf(out, "</code></p>\n</body></html>\n");
}

static void method_write(FILE *out, const struct sl_run_result *result)
{
    char date[64];
    struct tm tm;
    time_t seconds = (time_t)(result->started_wall_ns / 1000000000);
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
    method_begin(out);
    row(out, "begun", date);
    row(out, "generator", result->wire_name);
    row(out, "latency counts from",
        result->is_open_loop ? "the planned time of sending" : "the sending of the batch");
    row(out, "judged", result->is_valid ? "valid" : "INVALID: the generator was late");
    method_end(out);
}

static void page_begin(FILE *out, const char *title)
{
    (void)fprintf(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    sl_html_escape(out, title);
    (void)fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>", STYLE);
    sl_html_escape(out, title);
    (void)fprintf(out, "</h1>\n");
}

static int page_error(const char *path, int err, struct sl_diag *reterr)
{
    if (err < 0) {
        (void)sl_diag_set(reterr, "bad_file", (struct sl_pos){0, 0}, "cannot write \"%s\": %s",
                          path, strerror(-err));
    }
    return err;
}

int sl_html_write(const char *path, const char *title, const struct sl_run_config *config,
                  const struct sl_run_result *result, const struct sl_baseline *baseline,
                  struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    FILE *out = fopen(path, "we");
    if (out == NULL) return page_error(path, -errno, reterr);
    page_begin(out, title);
    for (uint32_t i = 0; i < result->notes_count; i++) {
        (void)fprintf(out, "<p class=\"%s\">", result->is_valid ? "sub" : "bad");
        sl_html_escape(out, result->notes[i]);
        (void)fprintf(out, "</p>\n");
    }
    tiles_write(out, result);
    percentiles_chart(out, result, baseline);
    timelines_write(out, result);
    (void)fprintf(out, "<h2>Figures</h2>\n");
    report_write(out, title, config, result);
    method_write(out, result);
    return page_error(path, fclose(out) != 0 ? -errno : 0, reterr);
}

static void rounds_chart(FILE *out, const struct sl_pairs *pairs,
                         const struct sl_html_pairs_chart *what)
{
    double ticks[TICKS_MAX];
    double high = 0;
    double *x = calloc(pairs->done_count + 1, sizeof(*x));
    if (x == NULL || pairs->done_count < 2) {
        free(x);
        return;
    }
    for (uint32_t i = 0; i < pairs->done_count; i++) x[i] = i + 1;
    for (uint32_t t = what->first; t < what->first + what->count; t++) {
        const double *values = pairs->targets[t].values[what->metric];
        for (uint32_t i = 0; i < pairs->done_count; i++) high = fmax(high, values[i]);
    }
    struct sl_chart chart = {
        .out = out, .x_min = 1, .x_max = pairs->done_count, .y_max = high > 0 ? high * 1.1 : 1};
    if (what->count > 5) chart.legend_step = 88;
    sl_chart_begin(&chart, what->title, "each point a slot");
    size_t count = sl_chart_ticks(1, chart.x_max, false, ticks, TICKS_MAX);
    for (size_t i = 0; i < count; i++) {
        char label[32];
        (void)snprintf(label, sizeof(label), "%g", ticks[i]);
        sl_chart_x_tick(&chart, ticks[i], label);
    }
    count = sl_chart_ticks(0, chart.y_max, false, ticks, TICKS_MAX);
    for (size_t i = 0; i < count; i++) {
        sl_chart_y_tick(&chart, ticks[i], sl_pairs_value(what->metric, ticks[i]).text);
    }
    for (uint32_t t = 0; t < what->count; t++) {
        const struct sl_pairs_target *target = &pairs->targets[what->first + t];
        sl_chart_series(&chart, target->name, (int)(t % 8), x, target->values[what->metric],
                        pairs->done_count);
    }
    sl_chart_end(&chart);
    free(x);
}

int sl_html_pairs_write(const char *path, const char *title, const char *text,
                        const struct sl_html_pairs_chart *charts, size_t charts_count,
                        struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    FILE *out = fopen(path, "we");
    if (out == NULL) return page_error(path, -errno, reterr);
    page_begin(out, title);
    (void)fprintf(out, "<pre>");
    sl_html_escape(out, text);
    (void)fprintf(out, "</pre>\n");
    for (size_t i = 0; i < charts_count; i++) rounds_chart(out, charts[i].pairs, &charts[i]);
    method_begin(out);
    row(out, "ratios", "mean of the middle half of the log ratios of adjacent slots");
    row(out, "intervals", "95 %, bootstrap over the rounds");
    method_end(out);
    return page_error(path, fclose(out) != 0 ? -errno : 0, reterr);
}

int sl_html_curves_write(const char *path, const char *title, const char *text,
                         const struct sl_html_curves *charts, size_t charts_count,
                         struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    FILE *out = fopen(path, "we");
    if (out == NULL) return page_error(path, -errno, reterr);
    page_begin(out, title);
    (void)fprintf(out, "<pre>");
    sl_html_escape(out, text);
    (void)fprintf(out, "</pre>\n");
    for (size_t i = 0; i < charts_count; i++) curves_chart(out, &charts[i]);
    method_begin(out);
    row(out, "latency counts from", "the planned time of sending; in a closed loop, the sending");
    row(out, "histograms", "of the requests that the generator could time, all slots merged");
    method_end(out);
    return page_error(path, fclose(out) != 0 ? -errno : 0, reterr);
}
