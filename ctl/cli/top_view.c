/* SPDX-License-Identifier: MIT */
/* How the live view looks, on a screen and as lines. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/cli/top.h"
#include "ctl/cli/width.h"

enum { LINE_SIZE = 512, KEYS_LINES = 1, NAME_PLACES = 32, KIND_PLACES = 10 };

struct page {
    struct sl_out *out;
    const struct top_look *look;
    uint32_t lines_left; /* of the screen */
};

static const char *const sort_names[] = {"calls", "errors", "p99", "queue", "cpu", "name"};

/* One line; cut at the screen's edge, and dropped below its end. */
static void line(struct page *page, const char *style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void line(struct page *page, const char *style, const char *fmt, ...)
{
    char text[LINE_SIZE];
    va_list args;
    bool has_screen = page->look->lines > 0;
    if (has_screen && page->lines_left == 0) return;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sl_assert(size >= 0);
    size_t shown = strlen(text);
    if (has_screen) shown = cli_text_fit(text, page->look->columns);
    if (has_screen && style[0] != '\0') sl_out_append(page->out, style, strlen(style));
    sl_out_append(page->out, text, shown);
    if (!has_screen) {
        sl_out_append_byte(page->out, '\n');
        return;
    }
    if (style[0] != '\0') sl_out_append(page->out, "\x1b[0m", 4);
    sl_out_append(page->out, "\x1b[K", 3);
    if (--page->lines_left > 0) sl_out_append(page->out, "\r\n", 2);
}

#define STYLE_HEAD "\x1b[1m"
#define STYLE_BAR  "\x1b[7m"
#define STYLE_BAD  "\x1b[31m"

/* 950, 12.3k, 4.56M. */
static const char *number(double value, char *ret, size_t size)
{
    static const char units[] = {' ', 'k', 'M', 'G', 'T'};
    size_t unit = 0;
    while (value >= 9999.5 && unit + 1 < sizeof(units)) {
        value /= 1000;
        unit++;
    }
    int digits = unit > 0 ? 1 : value > 0 && value < 9.95 ? 1 : 0;
    (void)snprintf(ret, size, "%.*f%c", digits, value, units[unit]);
    if (unit == 0) ret[strlen(ret) - 1] = '\0';
    return ret;
}

static const char *duration(uint64_t ns, char *ret, size_t size)
{
    if (ns == 0) {
        (void)snprintf(ret, size, "-");
    } else if (ns < 1000) {
        (void)snprintf(ret, size, "%uns", (unsigned)ns);
    } else if (ns < 1000 * 1000) {
        (void)snprintf(ret, size, "%.1fus", (double)ns / 1e3);
    } else if (ns < 1000 * 1000 * 1000) {
        (void)snprintf(ret, size, "%.1fms", (double)ns / 1e6);
    } else {
        (void)snprintf(ret, size, "%.1fs", (double)ns / 1e9);
    }
    return ret;
}

static void shard_line(struct page *page, const struct top_row *row)
{
    char calls[16], errors[16], p50[16], p99[16], memory[16];
    line(page, row->is_late || row->errors_s > 0 ? STYLE_BAD : "",
         "%5s %-8s %6.1f %9s %9s %9s %8s %7llu %7llu %7llu %8s%s", row->name, row->kind,
         row->cpu * 100, number(row->calls_s, calls, sizeof(calls)),
         duration(row->p50_ns, p50, sizeof(p50)), duration(row->p99_ns, p99, sizeof(p99)),
         number(row->errors_s, errors, sizeof(errors)), (unsigned long long)row->queue,
         (unsigned long long)row->connections, (unsigned long long)row->stalls,
         number((double)row->memory, memory, sizeof(memory)),
         row->is_late ? "  does not answer" : "");
}

static void node_line(struct page *page, const struct top_row *row)
{
    char calls[16], errors[16], p50[16], p99[16], name[NAME_PLACES * 5], kind[64];
    line(page, row->errors_s > 0 ? STYLE_BAD : "", "%s %s %6.1f %9s %9s %9s %8s %7llu",
         cli_text_pad(row->name, NAME_PLACES, name, sizeof(name)),
         cli_text_pad(row->kind, KIND_PLACES, kind, sizeof(kind)), row->cpu * 100,
         number(row->calls_s, calls, sizeof(calls)), duration(row->p50_ns, p50, sizeof(p50)),
         duration(row->p99_ns, p99, sizeof(p99)), number(row->errors_s, errors, sizeof(errors)),
         (unsigned long long)row->queue);
}

static void keys_line(struct page *page)
{
    const struct top_look *look = page->look;
    if (look->is_editing) {
        line(page, STYLE_BAR, "filter: %s_  (Enter keeps it, Esc drops it)", look->filter);
    } else {
        line(page, STYLE_BAR,
             "q quit  sort: c calls e errors l p99 u queue t cpu n name  / filter  space %s  "
             "+ - interval",
             look->is_paused ? "go on" : "pause");
    }
}

static void head_lines(struct page *page, const struct top_sample *sample)
{
    const struct top_look *look = page->look;
    double calls_s = 0;
    double cpu = 0;
    char calls[16];
    for (uint32_t i = 0; i < sample->shards_count; i++) {
        calls_s += sample->shards[i].calls_s;
        cpu += sample->shards[i].cpu;
    }
    if (look->is_lost) {
        line(page, STYLE_BAD, "sluice top  %s  does not answer; asking again every %.1f s%s",
             sample->name_space, (double)look->interval_ms / 1000,
             look->is_paused ? "  PAUSED" : "");
    } else {
        line(page, STYLE_HEAD,
             "sluice top  %s  %s  revision %llu  up %llu s  %s requests/s  cpu %.0f %%  every %.1f "
             "s%s",
             sample->name_space, sample->state, (unsigned long long)sample->revision,
             (unsigned long long)(sample->uptime_ms / 1000), number(calls_s, calls, sizeof(calls)),
             cpu * 100, (double)look->interval_ms / 1000, look->is_paused ? "  PAUSED" : "");
    }
    line(page, "", "%s", "");
    line(page, STYLE_BAR, "%5s %-8s %6s %9s %9s %9s %8s %7s %7s %7s %8s", "SHARD", "", "CPU%",
         "CALLS/S", "P50", "P99", "5XX/S", "QUEUE", "CONNS", "STALLS", "POOL");
}

void top_draw(const struct top_sample *sample, const struct top_look *look, struct sl_out *out)
{
    struct page page = {.out = out, .look = look, .lines_left = look->lines};
    bool has_screen = look->lines > KEYS_LINES;
    if (has_screen) {
        page.lines_left -= KEYS_LINES;
        sl_out_append(out, "\x1b[H", 3);
    }
    head_lines(&page, sample);
    for (uint32_t i = 0; i < sample->shards_count; i++) shard_line(&page, &sample->shards[i]);
    line(&page, "", "%s", "");
    line(&page, STYLE_BAR, "%-32s %-10s %6s %9s %9s %9s %8s %7s", "NODE", "KIND", "CPU%", "CALLS/S",
         "P50", "P99", "ERR/S", "QUEUE");
    for (uint32_t i = 0; i < sample->nodes_rows; i++) node_line(&page, &sample->nodes[i]);
    if (look->filter[0] != '\0' || sample->nodes_count > sample->nodes_rows) {
        line(&page, "", "%u of %llu nodes, by %s%s%s", sample->nodes_rows,
             (unsigned long long)sample->nodes_count, sort_names[look->sort],
             look->filter[0] != '\0' ? ", filter: " : "", look->filter);
    }
    if (!has_screen) return;
    sl_out_append(out, "\x1b[J", 3);
    char at[32];
    int size = snprintf(at, sizeof(at), "\x1b[%u;1H", look->lines);
    sl_out_append(out, at, (size_t)size);
    page.lines_left = KEYS_LINES;
    keys_line(&page);
}

static void rows_build(struct sl_builder *b, const struct top_row *rows, uint32_t count)
{
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < count; i++) {
        const struct top_row *row = &rows[i];
        sl_build_map_begin(b);
        sl_build_key_str(b, "name");
        sl_build_string_str(b, row->name);
        sl_build_key_str(b, "kind");
        sl_build_string_str(b, row->kind);
        sl_build_key_str(b, "cpu");
        sl_build_float(b, row->cpu);
        sl_build_key_str(b, "calls_s");
        sl_build_float(b, row->calls_s);
        sl_build_key_str(b, "errors_s");
        sl_build_float(b, row->errors_s);
        sl_build_key_str(b, "p50_ns");
        sl_build_uint(b, row->p50_ns);
        sl_build_key_str(b, "p99_ns");
        sl_build_uint(b, row->p99_ns);
        sl_build_key_str(b, "queue");
        sl_build_uint(b, row->queue);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
}

void top_print_json(const struct top_sample *sample)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, NULL, 256, 4096);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "namespace");
    sl_build_string_str(&b, sample->name_space);
    sl_build_key_str(&b, "shards");
    rows_build(&b, sample->shards, sample->shards_count);
    sl_build_key_str(&b, "nodes");
    rows_build(&b, sample->nodes, sample->nodes_rows);
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) < 0) return;
    cli_print_json(value);
    sl_value_unref(value);
}
