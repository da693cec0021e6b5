/* SPDX-License-Identifier: MIT */
/* What /top says, and what came between two looks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "ctl/cli/control.h"
#include "ctl/cli/top.h"
#include "ctl/cli/width.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* Number, count, number, count … */
static void buckets_read(struct sl_value list, struct sl_histogram *histogram)
{
    if (!sl_value_is(list, SL_VALUE_LIST)) return;
    for (uint32_t i = 0; i + 1 < sl_value_count(list); i += 2) {
        uint64_t bucket = sl_value_list_at(list, i).cell->word;
        uint64_t count = sl_value_list_at(list, i + 1).cell->word;
        if (bucket >= SL_HISTOGRAM_BUCKETS) continue;
        histogram->buckets[bucket] += count;
        histogram->count += count;
    }
}

static void row_read(struct sl_value map, struct top_row *row)
{
    memset(row, 0, sizeof(*row));
    row->calls = cli_uint(map, "calls");
    row->errors = cli_uint(map, "errors");
    row->queue = cli_uint(map, "queue");
    row->connections = cli_uint(map, "connections");
    row->stalls = cli_uint(map, "stalls");
    row->memory = cli_uint(map, "memory");
    buckets_read(sl_value_get_str(map, "buckets"), &row->times);
}

static void shard_read(struct sl_value map, struct top_row *row)
{
    struct sl_value cpu = sl_value_get_str(map, "cpu");
    struct sl_value answered = sl_value_get_str(map, "answered");
    row_read(map, row);
    row->busy_ns = cli_uint(map, "cpu_ns");
    row->is_late = sl_value_is(answered, SL_VALUE_BOOL) && answered.cell->word == 0;
    (void)snprintf(row->name, sizeof(row->name), "%llu",
                   (unsigned long long)cli_uint(map, "index"));
    if (sl_value_is(cpu, SL_VALUE_INT) && cpu.cell->i64 >= 0) {
        (void)snprintf(row->kind, sizeof(row->kind), "cpu %lld", (long long)cpu.cell->i64);
    }
}

static void text_read(struct sl_value map, const char *key, char *ret, size_t size)
{
    cli_text_clean(cli_text(map, key), ret, size);
}

static void node_read(struct sl_value map, struct top_row *row)
{
    row_read(map, row);
    row->busy_ns = cli_uint(map, "time_ns");
    row->timed = cli_uint(map, "time_count");
    text_read(map, "path", row->name, sizeof(row->name));
    text_read(map, "kind", row->kind, sizeof(row->kind));
}

void top_sample_read(struct sl_value document, uint64_t at_ns, struct top_sample *ret_sample)
{
    sl_assert(ret_sample != NULL);
    struct sl_value shards = sl_value_get_str(document, "shards");
    struct sl_value nodes = sl_value_get_str(document, "nodes");
    struct top_sample *sample = ret_sample;
    memset(sample, 0, sizeof(*sample));
    text_read(document, "namespace", sample->name_space, sizeof(sample->name_space));
    text_read(document, "state", sample->state, sizeof(sample->state));
    sample->revision = cli_uint(document, "revision");
    sample->uptime_ms = cli_uint(document, "uptime_ms");
    sample->nodes_count = cli_uint(document, "nodes_count");
    sample->at_ns = at_ns;
    if (sl_value_is(shards, SL_VALUE_LIST)) {
        for (uint32_t i = 0; i < sl_value_count(shards) && i < 64; i++) {
            shard_read(sl_value_list_at(shards, i), &sample->shards[sample->shards_count++]);
        }
    }
    if (!sl_value_is(nodes, SL_VALUE_LIST)) return;
    for (uint32_t i = 0; i < sl_value_count(nodes) && i < TOP_ROWS_MAX; i++) {
        node_read(sl_value_list_at(nodes, i), &sample->nodes[sample->nodes_rows++]);
    }
}

/* ---- rates ----------------------------------------------------------------------------------- */

static double since(uint64_t now, uint64_t before)
{
    return (double)(now >= before ? now - before : now);
}

static const struct top_row *row_find(const struct top_row *rows, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

static void row_compare(struct top_row *row, const struct top_row *before, double seconds,
                        bool is_node)
{
    static const struct top_row none;
    if (before == NULL) before = &none;
    struct sl_histogram times = row->times;
    double calls = since(row->calls, before->calls);
    double busy_ns = since(row->busy_ns, before->busy_ns);
    sl_histogram_subtract(&times, &before->times);
    row->calls_s = calls / seconds;
    row->errors_s = since(row->errors, before->errors) / seconds;
    row->p50_ns = sl_histogram_quantile(&times, 0.5);
    row->p99_ns = sl_histogram_quantile(&times, 0.99);
    if (is_node) {
        /* The timed calls stand for all. */
        double timed = since(row->timed, before->timed);
        busy_ns = timed > 0 ? busy_ns / timed * calls : 0;
    }
    row->cpu = busy_ns / seconds / 1e9;
}

void top_sample_compare(struct top_sample *now, const struct top_sample *before)
{
    sl_assert(now != NULL);
    double seconds =
        before != NULL ? (double)(now->at_ns - before->at_ns) / 1e9 : (double)now->uptime_ms / 1000;
    if (seconds < 0.001) seconds = 0.001;
    for (uint32_t i = 0; i < now->shards_count; i++) {
        struct top_row *row = &now->shards[i];
        row_compare(
            row, before != NULL ? row_find(before->shards, before->shards_count, row->name) : NULL,
            seconds, false);
    }
    for (uint32_t i = 0; i < now->nodes_rows; i++) {
        struct top_row *row = &now->nodes[i];
        row_compare(row,
                    before != NULL ? row_find(before->nodes, before->nodes_rows, row->name) : NULL,
                    seconds, true);
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

static double key_of(const struct top_row *row, enum top_sort sort)
{
    switch (sort) {
    case TOP_BY_CALLS: return row->calls_s;
    case TOP_BY_ERRORS: return row->errors_s;
    case TOP_BY_P99: return (double)row->p99_ns;
    case TOP_BY_QUEUE: return (double)row->queue;
    case TOP_BY_CPU: return row->cpu;
    case TOP_BY_NAME: break;
    }
    return 0;
}

static int row_order(const void *a, const void *b, void *ctx)
{
    const struct top_row *one = a;
    const struct top_row *other = b;
    const enum top_sort *sort = ctx;
    double left = key_of(one, *sort);
    double right = key_of(other, *sort);
    if (left != right) return left < right ? 1 : -1;
    return strcmp(one->name, other->name);
}

void top_sample_arrange(struct top_sample *sample, const struct top_look *look)
{
    uint32_t kept = 0;
    enum top_sort sort = look->sort;
    for (uint32_t i = 0; i < sample->nodes_rows; i++) {
        const struct top_row *row = &sample->nodes[i];
        if (look->filter[0] != '\0' && strcasestr(row->name, look->filter) == NULL &&
            strcasestr(row->kind, look->filter) == NULL) {
            continue;
        }
        if (kept != i) sample->nodes[kept] = *row;
        kept++;
    }
    sample->nodes_rows = kept;
    qsort_r(sample->nodes, kept, sizeof(sample->nodes[0]), row_order, &sort);
}
