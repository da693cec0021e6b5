/* SPDX-License-Identifier: MIT */
/* Prometheus text, exposition format 0.0.4, from the table in metrics.h. */
#include "ctl/admin/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limit.h"
#include "core/graph/program.h"
#include "core/graph/swap.h"
#include "ctl/loader/loader.h"

enum {
    METRIC_LABELS_SIZE = 1024,
    LATENCY_FIRST = 13, /* buckets of requests: 2^13 ns (8 µs) … 2^33 ns (8.6 s), each octave */
    LATENCY_LAST = 33,
    TIME_FIRST = 6, /* buckets of nodes: 2^6 ns … 2^30 ns (1.07 s), every second octave */
    TIME_LAST = 30,
};

typedef double value_fn(const struct metric_point *m);

#define X(id, name, type, scope, help, value)                                                      \
    static double value_##id(const struct metric_point *m)                                         \
    {                                                                                              \
        (void)m;                                                                                   \
        return (double)(value);                                                                    \
    }
SL_METRICS(X)
#undef X

struct metric {
    const char *name;
    const char *help;
    enum metric_type type;
    enum metric_scope scope;
    value_fn *value;
};

static const struct metric metrics[] = {
#define X(id, name, type, scope, help, value)                                                      \
    {name, help, METRIC_##type, METRIC_##scope, value_##id},
    SL_METRICS(X)
#undef X
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};
static const char *const scope_labels[] = {
    "",
    "shard",
    "listener, shard",
    "listener, shard, class",
    "listener, shard, status",
    "node, kind",
    "node, kind, code",
};

/* What all lines of one answer are made from. */
struct writer {
    struct sl_out *out;
    const struct metric *metric;
    struct metric_point point;
    const struct admin_node *nodes; /* array of nodes_count, busiest first */
    uint32_t nodes_count;
    struct admin_node others;
};

static void put(struct sl_out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct sl_out *out, const char *fmt, ...)
{
    char text[2 * METRIC_LABELS_SIZE];
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (size < 0) return;
    sl_out_append(out, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label_escape(const char *text, char *ret, size_t size)
{
    size_t used = 0;
    for (; *text != '\0' && used + 3 < size; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n') ret[used++] = '\\';
        ret[used++] = *text == '\n' ? 'n' : *text;
    }
    ret[used] = '\0';
}

static void put_number(struct sl_out *out, double value)
{
    if (value >= 0 && value < 9e15 && value == (double)(uint64_t)value) {
        put(out, " %llu\n", (unsigned long long)value);
    } else {
        put(out, " %.9g\n", value);
    }
}

static void put_value(struct writer *w, const char *labels)
{
    put(w->out, "sluice_%s%s%s%s", w->metric->name, labels[0] ? "{" : "", labels,
        labels[0] ? "}" : "");
    put_number(w->out, w->metric->value(&w->point));
}

static void put_histogram(struct writer *w, const char *labels, const struct sl_histogram *h,
                          uint32_t first, uint32_t last, uint32_t step)
{
    const char *name = w->metric->name;
    for (uint32_t octave = first; octave <= last; octave += step) {
        uint64_t ns = UINT64_C(1) << octave;
        put(w->out, "sluice_%s_bucket{%s,le=\"%.9g\"} %llu\n", name, labels, SL_NS(ns),
            (unsigned long long)sl_histogram_below(h, ns));
    }
    put(w->out, "sluice_%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels,
        (unsigned long long)h->count);
    put(w->out, "sluice_%s_sum{%s}", name, labels);
    put_number(w->out, SL_NS(h->sum_ns));
    put(w->out, "sluice_%s_count{%s} %llu\n", name, labels, (unsigned long long)h->count);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static void write_shards(struct writer *w)
{
    const struct admin_view *view = w->point.view;
    char labels[METRIC_LABELS_SIZE];
    for (uint32_t i = 0; i < view->shards_count; i++) {
        w->point.shard = &view->shards[i];
        (void)snprintf(labels, sizeof(labels), "shard=\"%u\"", i);
        put_value(w, labels);
    }
}

static void write_refusals(struct writer *w, const char *key, uint32_t shard)
{
    char labels[METRIC_LABELS_SIZE];
    const struct sl_source_stats *stats = w->point.stats;
    if (stats->refusal_statuses == NULL) return;
    for (w->point.refusal = 0; w->point.refusal < SL_SOURCE_REFUSALS; w->point.refusal++) {
        char status[16] = "other";
        uint16_t number = stats->refusal_statuses[w->point.refusal];
        if (stats->refusals[w->point.refusal] == 0) continue;
        if (number > 0) (void)snprintf(status, sizeof(status), "%u", number);
        (void)snprintf(labels, sizeof(labels), "listener=\"%s\",shard=\"%u\",status=\"%s\"", key,
                       shard, status);
        put_value(w, labels);
    }
}

static void write_listener(struct writer *w, const struct sl_admin_source *source, uint32_t shard)
{
    char key[2 * SL_ADMIN_KEY_SIZE];
    char labels[METRIC_LABELS_SIZE];
    label_escape(source->key, key, sizeof(key));
    w->point.stats = &source->stats;
    if (w->metric->scope == METRIC_CLASS) {
        for (w->point.class = 2; w->point.class < 6; w->point.class ++) {
            (void)snprintf(labels, sizeof(labels), "listener=\"%s\",shard=\"%u\",class=\"%uxx\"",
                           key, shard, w->point.class);
            put_value(w, labels);
        }
        return;
    }
    if (w->metric->scope == METRIC_STATUS) {
        write_refusals(w, key, shard);
        return;
    }
    (void)snprintf(labels, sizeof(labels), "listener=\"%s\",shard=\"%u\"", key, shard);
    if (w->metric->type == METRIC_HISTOGRAM) {
        put_histogram(w, labels, &source->stats.latency, LATENCY_FIRST, LATENCY_LAST, 1);
    } else {
        put_value(w, labels);
    }
}

/* One that closes and one that has opened anew may share an address: only the open one is told. */
static void write_listeners(struct writer *w)
{
    const struct admin_view *view = w->point.view;
    for (uint32_t i = 0; i < view->shards_count; i++) {
        const struct sl_admin_shard *shard = &view->shards[i];
        for (uint32_t j = 0; j < shard->sources_count && j < SL_ADMIN_NODES_MAX; j++) {
            if (!shard->sources[j].closing) write_listener(w, &shard->sources[j], i);
        }
    }
}

static void node_labels(const struct admin_node *own, char *labels, size_t size)
{
    char path[METRIC_LABELS_SIZE - 128];
    if (own->node == NULL) {
        (void)snprintf(labels, size, "node=\"others\",kind=\"\"");
        return;
    }
    label_escape(own->node->path, path, sizeof(path));
    (void)snprintf(labels, size, "node=\"%s\",kind=\"%.64s\"", path, own->node->kind->name);
}

static uint64_t code_count(const struct admin_view *view, const struct sl_node *node, uint32_t code)
{
    uint64_t count = 0;
    for (uint32_t shard = 0; shard < view->program->shards_count; shard++) {
        const struct sl_seat *seat = node->tally->seats[shard];
        if (seat != NULL) count += sl_counter_get(&seat->errors_by_code[code]);
    }
    return count;
}

static void write_codes(struct writer *w, const struct admin_node *own)
{
    char labels[METRIC_LABELS_SIZE];
    char more[METRIC_LABELS_SIZE + 128];
    if (own->node == NULL || own->errors == 0) return;
    const char *const *codes = own->node->kind->error_codes;
    node_labels(own, labels, sizeof(labels));
    for (uint32_t i = 0; i < SL_NODE_ERROR_CODES; i++) {
        bool is_named = i < SL_NODE_ERROR_CODES - 1 && codes != NULL && codes[i] != NULL;
        if (!is_named) i = SL_NODE_ERROR_CODES - 1;
        w->point.code_count = code_count(w->point.view, own->node, i);
        if (w->point.code_count == 0) continue;
        (void)snprintf(more, sizeof(more), "%s,code=\"%s\"", labels, is_named ? codes[i] : "other");
        put_value(w, more);
    }
}

static void write_node(struct writer *w, const struct admin_node *own)
{
    char labels[METRIC_LABELS_SIZE];
    w->point.node = own;
    if (w->metric->scope == METRIC_CODE) {
        write_codes(w, own);
        return;
    }
    node_labels(own, labels, sizeof(labels));
    if (w->metric->type != METRIC_HISTOGRAM) {
        put_value(w, labels);
        return;
    }
    struct sl_histogram times = {0};
    if (own->node != NULL) admin_node_times(w->point.view, own->node, &times);
    if (times.count > 0) put_histogram(w, labels, &times, TIME_FIRST, TIME_LAST, 2);
}

static void write_nodes(struct writer *w)
{
    for (uint32_t i = 0; i < w->nodes_count && i < SL_ADMIN_NODES_MAX; i++) {
        write_node(w, &w->nodes[i]);
    }
    if (w->nodes_count > SL_ADMIN_NODES_MAX) write_node(w, &w->others);
}

static void write_metric(struct writer *w)
{
    const struct metric *metric = w->metric;
    put(w->out, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\n", metric->name, metric->help,
        metric->name, type_names[metric->type]);
    switch (metric->scope) {
    case METRIC_RUNTIME: put_value(w, ""); break;
    case METRIC_SHARD: write_shards(w); break;
    case METRIC_LISTENER:
    case METRIC_CLASS:
    case METRIC_STATUS: write_listeners(w); break;
    case METRIC_NODE:
    case METRIC_CODE: write_nodes(w); break;
    }
}

static void point_fill(const struct admin_view *view, struct metric_point *point)
{
    struct sl_swap_stats stats = {0};
    if (view->swap != NULL) sl_swap_stats_get(view->swap, &stats);
    point->view = view;
    point->programs[0] = stats.alive;
    point->programs[1] = stats.published;
    point->programs[2] = stats.refused;
    size_t count = view->loader != NULL ? sl_loader_symbols_count(view->loader) : 0;
    for (size_t i = 0; i < count; i++) point->states[sl_loader_symbol(view->loader, i).state]++;
}

void admin_metrics_write(const struct admin_view *view, struct sl_out *out)
{
    struct writer w = {.out = out};
    point_fill(view, &w.point);
    struct admin_node *nodes = admin_nodes(view, &w.nodes_count);
    w.nodes = nodes;
    for (uint32_t i = SL_ADMIN_NODES_MAX; i < w.nodes_count; i++) {
        w.others.calls += nodes[i].calls;
        w.others.errors += nodes[i].errors;
        w.others.in_flight += nodes[i].in_flight;
    }
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        w.metric = &metrics[i];
        write_metric(&w);
    }
    free(nodes);
}

void sl_metrics_doc_write(struct sl_out *out)
{
    put(out,
        "# Metrics\n\n"
        "What `GET /metrics` of the control socket writes, in Prometheus text:\n\n"
        "    curl --unix-socket DIR/NAMESPACE.sock http://sluice/metrics\n\n"
        "Counters begin at zero with the runtime; those of a listener when it is opened. Those of "
        "a node go on\nwhen its configuration changes, as long as its path and its kind stay. ");
    put(out,
        "At most %d nodes, the busiest, have lines of their own; the rest is\n"
        "`node=\"others\"`. This page is made from the table in `ctl/admin/metrics.h`; a test "
        "compares the two\n(`metrics_doc --write docs/METRICS.md` writes it).\n\n",
        SL_ADMIN_NODES_MAX);
    put(out, "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        put(out, "| `sluice_%s` | %s | %s | %s |\n", metrics[i].name, type_names[metrics[i].type],
            scope_labels[metrics[i].scope], metrics[i].help);
    }
}
