/* SPDX-License-Identifier: MIT */
/* The documents about nodes: /nodes for people and commands, /top for the live view. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limit.h"
#include "core/graph/program.h"
#include "ctl/admin/internal.h"
#include "ctl/loader/loader.h"

static const char *const states[] = {"active", "last_good", "inactive"};

static void reason_build(struct sl_builder *b, const struct sl_diag *reason)
{
    char text[SL_DIAG_TEXT_SIZE + 512];
    if (reason == NULL) {
        sl_build_null(b);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s:%u:%u: %s", reason->file[0] ? reason->file : "-",
                   reason->pos.line, reason->pos.column, reason->text);
    sl_build_string_str(b, text);
}

static void node_build(const struct admin_view *view, struct sl_builder *b,
                       const struct admin_node *own)
{
    struct sl_histogram times = {0};
    admin_node_times(view, own->node, &times);
    sl_build_map_begin(b);
    admin_text(b, "path", own->node->path);
    admin_text(b, "kind", own->node->kind->name);
    admin_uint(b, "calls", own->calls);
    admin_uint(b, "errors", own->errors);
    admin_uint(b, "in_flight", own->in_flight);
    admin_uint(b, "time_p50_ns", sl_histogram_quantile(&times, 0.5));
    admin_uint(b, "time_p99_ns", sl_histogram_quantile(&times, 0.99));
    sl_build_map_end(b);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct admin_node *)a)->node->path,
                  ((const struct admin_node *)b)->node->path);
}

/* The first node, ordered by path, that does not stand before `path`. */
static uint32_t first_of(const struct admin_node *nodes, uint32_t count, const char *path)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(nodes[middle].node->path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The next node of a specification: its own path, or one below it. */
static const struct admin_node *part_next(const struct admin_node *nodes, uint32_t count,
                                          const char *path, uint32_t *at)
{
    size_t size = strlen(path);
    while (*at < count && strncmp(nodes[*at].node->path, path, size) == 0) {
        const struct admin_node *own = &nodes[(*at)++];
        if (own->node->path[size] == '\0' || own->node->path[size] == '/') return own;
    }
    return NULL;
}

static void symbol_build(const struct admin_view *view, struct sl_builder *b,
                         const struct sl_symbol_info *info, const struct admin_node *nodes,
                         uint32_t count)
{
    const char *path = info->name[0] != '\0' ? info->name : info->id;
    const struct admin_node *own;
    uint32_t first = first_of(nodes, count, path);
    uint64_t calls = 0;
    uint64_t errors = 0;
    for (uint32_t at = first; (own = part_next(nodes, count, path, &at)) != NULL;) {
        calls += own->calls;
        errors += own->errors;
    }
    sl_build_map_begin(b);
    admin_text(b, "id", info->id);
    admin_text(b, "name", info->name);
    admin_text(b, "kind", info->kind);
    admin_text(b, "state", states[info->state]);
    sl_build_key_str(b, "reason");
    reason_build(b, info->reason);
    admin_text(b, "file", info->file);
    admin_uint(b, "line", info->pos.line);
    admin_uint(b, "revision", info->revision);
    admin_uint(b, "calls", calls);
    admin_uint(b, "errors", errors);
    sl_build_key_str(b, "parts");
    sl_build_list_begin(b);
    for (uint32_t at = first; (own = part_next(nodes, count, path, &at)) != NULL;) {
        node_build(view, b, own);
    }
    sl_build_list_end(b);
    sl_build_map_end(b);
}

void admin_nodes_build(const struct admin_view *view, struct sl_builder *b)
{
    uint32_t count;
    struct admin_node *nodes = admin_nodes(view, &count);
    if (count > 0) qsort(nodes, count, sizeof(*nodes), by_path);
    size_t symbols = view->loader != NULL ? sl_loader_symbols_count(view->loader) : 0;
    sl_build_list_begin(b);
    for (size_t i = 0; i < symbols; i++) {
        struct sl_symbol_info info = sl_loader_symbol(view->loader, i);
        symbol_build(view, b, &info, nodes, count);
    }
    sl_build_list_end(b);
    free(nodes);
}

/* ---- top ------------------------------------------------------------------------------------- */

/* Buckets that are not empty: number, count, number, count … */
static void buckets_build(struct sl_builder *b, const struct sl_histogram *histogram)
{
    sl_build_key_str(b, "buckets");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0) continue;
        sl_build_uint(b, i);
        sl_build_uint(b, histogram->buckets[i]);
    }
    sl_build_list_end(b);
}

static void top_shard_build(struct sl_builder *b, const struct sl_admin_shard *shard)
{
    struct sl_source_stats stats;
    admin_shard_sum(shard, &stats);
    sl_build_map_begin(b);
    admin_uint(b, "index", shard->index);
    sl_build_key_str(b, "cpu");
    sl_build_int(b, shard->cpu);
    sl_build_key_str(b, "answered");
    sl_build_bool(b, shard->answered);
    admin_uint(b, "cpu_ns", shard->cpu_ns);
    admin_uint(b, "calls", stats.requests);
    admin_uint(b, "errors", stats.responses[5]);
    admin_uint(b, "queue", shard->processes);
    admin_uint(b, "connections", stats.connections);
    admin_uint(b, "stalls", shard->loop.stalls);
    admin_uint(b, "memory", shard->mem.used);
    buckets_build(b, &stats.latency);
    sl_build_map_end(b);
}

static void top_node_build(const struct admin_view *view, struct sl_builder *b,
                           const struct admin_node *own)
{
    struct sl_histogram times = {0};
    admin_node_times(view, own->node, &times);
    sl_build_map_begin(b);
    admin_text(b, "path", own->node->path);
    admin_text(b, "kind", own->node->kind->name);
    admin_uint(b, "calls", own->calls);
    admin_uint(b, "errors", own->errors);
    admin_uint(b, "queue", own->in_flight);
    admin_uint(b, "time_ns", times.sum_ns);
    admin_uint(b, "time_count", times.count);
    buckets_build(b, &times);
    sl_build_map_end(b);
}

void admin_top_build(const struct admin_view *view, struct sl_builder *b)
{
    uint32_t count;
    struct admin_node *nodes = admin_nodes(view, &count);
    sl_build_map_begin(b);
    admin_text(b, "namespace", view->cfg->name_space);
    admin_text(b, "state", view->state);
    admin_uint(b, "uptime_ms", view->uptime_ms);
    admin_uint(b, "revision", view->program != NULL ? view->program->revision : 0);
    admin_uint(b, "nodes_count", count);
    sl_build_key_str(b, "shards");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < view->shards_count; i++) top_shard_build(b, &view->shards[i]);
    sl_build_list_end(b);
    sl_build_key_str(b, "nodes");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < count && i < SL_ADMIN_NODES_MAX; i++) {
        top_node_build(view, b, &nodes[i]);
    }
    sl_build_list_end(b);
    sl_build_map_end(b);
    free(nodes);
}
