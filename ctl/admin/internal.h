/* SPDX-License-Identifier: MIT */
/* What the files of the control socket share. Only ctl/admin includes it. */
#pragma once

#include "codecs/flat/flat.h"
#include "core/base/histogram.h"
#include "core/mem/out.h"
#include "ctl/admin/admin.h"
#include "ctl/admin/snapshot.h"

struct sl_program;

/* What answers are made from. */
struct admin_view {
    const struct sl_admin_config *cfg;
    struct sl_program *program; /* or NULL */
    struct sl_loader *loader;   /* or NULL */
    struct sl_swap *swap;       /* or NULL */
    const struct sl_admin_shard *shards;
    uint32_t shards_count;
    uint64_t uptime_ms;
    const char *state; /* "starting", "serving", "draining" */
};

/* A node of the running program with the counters of all shards. */
struct admin_node {
    const struct sl_node *node;
    uint64_t calls;
    uint64_t errors;
    uint64_t in_flight;
};

/* Nodes of the program, busiest first: heap array of *ret_count; NULL if there is none. */
struct admin_node *admin_nodes(const struct admin_view *view, uint32_t *ret_count);
/* Times of a node on all shards, added to `histogram`. */
void admin_node_times(const struct admin_view *view, const struct sl_node *node,
                      struct sl_histogram *histogram);

/* Sums over the shards of what listeners count; key NULL: over all listeners. */
void admin_source_sum(const struct admin_view *view, const char *key,
                      struct sl_source_stats *ret_stats);
/* Of one shard. */
void admin_shard_sum(const struct sl_admin_shard *shard, struct sl_source_stats *ret_stats);

/* The addresses, each once: array of *ret_count pointers into the view; freed by the caller. */
const char **admin_source_keys(const struct admin_view *view, uint32_t *ret_count);

/* The documents. */
void admin_status_build(const struct admin_view *view, struct sl_builder *builder);
void admin_shards_build(const struct admin_view *view, struct sl_builder *builder);
void admin_nodes_build(const struct admin_view *view, struct sl_builder *builder);
void admin_top_build(const struct admin_view *view, struct sl_builder *builder);
void admin_metrics_write(const struct admin_view *view, struct sl_out *out);

/* Pairs of a map. */
static inline void admin_uint(struct sl_builder *b, const char *key, uint64_t value)
{
    sl_build_key_str(b, key);
    sl_build_uint(b, value);
}

static inline void admin_text(struct sl_builder *b, const char *key, const char *value)
{
    sl_build_key_str(b, key);
    sl_build_string_str(b, value);
}
