/* SPDX-License-Identifier: MIT */
/* The documents of the control socket: /status /shards /nodes /top. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/graph/program.h"
#include "core/graph/swap.h"
#include "ctl/admin/internal.h"
#include "ctl/loader/loader.h"

static void quantiles_build(struct sl_builder *b, const char *key, const struct sl_histogram *h)
{
    sl_build_key_str(b, key);
    sl_build_map_begin(b);
    admin_uint(b, "count", h->count);
    admin_uint(b, "mean", h->count > 0 ? h->sum_ns / h->count : 0);
    admin_uint(b, "p50", sl_histogram_quantile(h, 0.5));
    admin_uint(b, "p90", sl_histogram_quantile(h, 0.9));
    admin_uint(b, "p99", sl_histogram_quantile(h, 0.99));
    admin_uint(b, "p99_9", sl_histogram_quantile(h, 0.999));
    sl_build_map_end(b);
}

static void stats_build(struct sl_builder *b, const struct sl_source_stats *stats)
{
    static const char *const classes[] = {NULL, "1xx", "2xx", "3xx", "4xx", "5xx"};
    admin_uint(b, "requests", stats->requests);
    admin_uint(b, "connections", stats->connections);
    admin_uint(b, "in_flight", stats->in_flight);
    admin_uint(b, "accepted", stats->accepted);
    admin_uint(b, "refused", stats->refused);
    admin_uint(b, "bad_requests", stats->bad_requests);
    admin_uint(b, "timeouts", stats->timeouts);
    admin_uint(b, "cancelled", stats->cancelled);
    admin_uint(b, "bytes_in", stats->bytes_in);
    admin_uint(b, "bytes_out", stats->bytes_out);
    sl_build_key_str(b, "responses");
    sl_build_map_begin(b);
    for (uint32_t i = 2; i < 6; i++) admin_uint(b, classes[i], stats->responses[i]);
    sl_build_map_end(b);
    quantiles_build(b, "latency_ns", &stats->latency);
}

static void shard_head_build(struct sl_builder *b, const struct sl_admin_shard *shard)
{
    sl_build_key_str(b, "index");
    sl_build_uint(b, shard->index);
    sl_build_key_str(b, "cpu");
    sl_build_int(b, shard->cpu);
    sl_build_key_str(b, "answered");
    sl_build_bool(b, shard->answered);
    admin_uint(b, "cpu_ns", shard->cpu_ns);
    admin_uint(b, "processes", shard->processes);
    admin_uint(b, "stalls", shard->loop.stalls);
    admin_uint(b, "memory", shard->mem.reserved);
}

static void listeners_build(const struct admin_view *view, struct sl_builder *b)
{
    uint32_t count;
    const char **keys = admin_source_keys(view, &count);
    sl_build_key_str(b, "listeners");
    sl_build_list_begin(b);
    for (uint32_t i = 0; keys != NULL && i < count; i++) {
        struct sl_source_stats stats;
        admin_source_sum(view, keys[i], &stats);
        sl_build_map_begin(b);
        admin_text(b, "address", keys[i]);
        stats_build(b, &stats);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
    free(keys);
}

static void symbols_build(const struct admin_view *view, struct sl_builder *b)
{
    uint64_t counts[3] = {0};
    size_t count = view->loader != NULL ? sl_loader_symbols_count(view->loader) : 0;
    for (size_t i = 0; i < count; i++) counts[sl_loader_symbol(view->loader, i).state]++;
    sl_build_key_str(b, "nodes");
    sl_build_map_begin(b);
    admin_uint(b, "active", counts[SL_SYMBOL_ACTIVE]);
    admin_uint(b, "last_good", counts[SL_SYMBOL_LAST_GOOD]);
    admin_uint(b, "inactive", counts[SL_SYMBOL_INACTIVE]);
    sl_build_map_end(b);
}

static void programs_build(const struct admin_view *view, struct sl_builder *b)
{
    struct sl_swap_stats stats = {0};
    if (view->swap != NULL) sl_swap_stats_get(view->swap, &stats);
    admin_uint(b, "revision", view->program != NULL ? view->program->revision : 0);
    admin_uint(b, "generation", view->program != NULL ? view->program->generation : 0);
    sl_build_key_str(b, "programs");
    sl_build_map_begin(b);
    admin_uint(b, "alive", stats.alive);
    admin_uint(b, "published", stats.published);
    admin_uint(b, "refused", stats.refused);
    sl_build_map_end(b);
}

static void head_build(const struct admin_view *view, struct sl_builder *b)
{
    admin_text(b, "namespace", view->cfg->name_space);
    admin_text(b, "state", view->state);
    admin_uint(b, "pid", (uint64_t)getpid());
    admin_text(b, "version", view->cfg->version);
    sl_build_key_str(b, "uptime_s");
    sl_build_float(b, (double)view->uptime_ms / 1000);
    admin_text(b, "poller", view->cfg->poller);
}

void admin_status_build(const struct admin_view *view, struct sl_builder *b)
{
    struct sl_source_stats stats;
    sl_build_map_begin(b);
    head_build(view, b);
    programs_build(view, b);
    symbols_build(view, b);
    admin_source_sum(view, NULL, &stats);
    admin_uint(b, "requests", stats.requests);
    admin_uint(b, "connections", stats.connections);
    sl_build_key_str(b, "shards");
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < view->shards_count; i++) {
        admin_shard_sum(&view->shards[i], &stats);
        sl_build_map_begin(b);
        shard_head_build(b, &view->shards[i]);
        stats_build(b, &stats);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
    listeners_build(view, b);
    sl_build_map_end(b);
}

/* ---- shards ---------------------------------------------------------------------------------- */

static void loop_build(struct sl_builder *b, const struct sl_loop_stats *loop)
{
    sl_build_key_str(b, "loop");
    sl_build_map_begin(b);
    admin_uint(b, "turns", loop->turns);
    admin_uint(b, "tasks", loop->tasks);
    admin_uint(b, "mails", loop->mails);
    admin_uint(b, "mails_max", loop->mails_max);
    admin_uint(b, "stalls", loop->stalls);
    admin_uint(b, "stall_ns_max", loop->stall_ns_max);
    sl_build_map_end(b);
}

static void poller_build(struct sl_builder *b, const struct sl_admin_poller *poller)
{
    sl_build_key_str(b, "poller");
    sl_build_map_begin(b);
    admin_uint(b, "waits", poller->waits);
    admin_uint(b, "sleeps", poller->sleeps);
    admin_uint(b, "syscalls", poller->syscalls);
    admin_uint(b, "events", poller->events);
    admin_uint(b, "enobufs", poller->enobufs);
    admin_uint(b, "rearms", poller->rearms);
    admin_uint(b, "cq_overflows", poller->cq_overflows);
    admin_uint(b, "short_sends", poller->short_sends);
    admin_uint(b, "accepts", poller->accepts);
    admin_uint(b, "accept_errors", poller->accept_errors);
    admin_uint(b, "bytes_received", poller->bytes_received);
    admin_uint(b, "bytes_sent", poller->bytes_sent);
    admin_uint(b, "ops_pending", poller->ops_pending);
    sl_build_map_end(b);
}

static void memory_build(struct sl_builder *b, const struct sl_mem_stats *mem)
{
    sl_build_key_str(b, "pool");
    sl_build_map_begin(b);
    admin_uint(b, "used", mem->used);
    admin_uint(b, "reserved", mem->reserved);
    admin_uint(b, "cap", mem->cap);
    admin_uint(b, "system_calls", mem->system_calls);
    admin_uint(b, "refused", mem->refused_count);
    sl_build_map_end(b);
}

static void remote_build(struct sl_builder *b, const struct sl_remote_stats *remote)
{
    sl_build_key_str(b, "remote");
    sl_build_map_begin(b);
    admin_uint(b, "calls", remote->calls);
    admin_uint(b, "answers", remote->answers);
    admin_uint(b, "refused", remote->refused);
    admin_uint(b, "waiting", remote->waiting);
    admin_uint(b, "ring_bytes", remote->ring_bytes);
    admin_uint(b, "ring_bytes_max", remote->ring_bytes_max);
    admin_uint(b, "ring_size", remote->ring_size);
    admin_uint(b, "slab_bytes", remote->slab_bytes);
    sl_build_map_end(b);
}

void admin_shards_build(const struct admin_view *view, struct sl_builder *b)
{
    sl_build_list_begin(b);
    for (uint32_t i = 0; i < view->shards_count; i++) {
        const struct sl_admin_shard *shard = &view->shards[i];
        sl_build_map_begin(b);
        shard_head_build(b, shard);
        admin_uint(b, "processes_begun", shard->processes_begun);
        admin_uint(b, "reports_dropped", shard->reports_dropped);
        loop_build(b, &shard->loop);
        poller_build(b, &shard->poller);
        memory_build(b, &shard->mem);
        remote_build(b, &shard->remote);
        sl_build_key_str(b, "listeners");
        sl_build_list_begin(b);
        for (uint32_t j = 0; j < shard->sources_count; j++) {
            sl_build_map_begin(b);
            admin_text(b, "address", shard->sources[j].key);
            sl_build_key_str(b, "closing");
            sl_build_bool(b, shard->sources[j].closing);
            stats_build(b, &shard->sources[j].stats);
            sl_build_map_end(b);
        }
        sl_build_list_end(b);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
}
