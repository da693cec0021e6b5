/* SPDX-License-Identifier: MIT */
/* Counters of shards and nodes, added up. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/graph/program.h"
#include "ctl/admin/internal.h"

static void stats_add(const struct sl_source_stats *from, struct sl_source_stats *to)
{
    to->accepted += from->accepted;
    to->refused += from->refused;
    to->requests += from->requests;
    for (uint32_t i = 0; i < 6; i++) to->responses[i] += from->responses[i];
    to->bad_requests += from->bad_requests;
    to->timeouts += from->timeouts;
    to->cancelled += from->cancelled;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    to->connections += from->connections;
    to->idle += from->idle;
    to->in_flight += from->in_flight;
    sl_histogram_read(&from->latency, &to->latency);
}

void admin_shard_sum(const struct sl_admin_shard *shard, struct sl_source_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof(*ret_stats));
    for (uint32_t i = 0; i < shard->sources_count; i++) {
        stats_add(&shard->sources[i].stats, ret_stats);
    }
}

void admin_source_sum(const struct admin_view *view, const char *key,
                      struct sl_source_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof(*ret_stats));
    for (uint32_t i = 0; i < view->shards_count; i++) {
        const struct sl_admin_shard *shard = &view->shards[i];
        for (uint32_t j = 0; j < shard->sources_count; j++) {
            if (key != NULL && strcmp(shard->sources[j].key, key) != 0) continue;
            stats_add(&shard->sources[j].stats, ret_stats);
        }
    }
}

static int key_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **admin_source_keys(const struct admin_view *view, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->shards_count; i++) count += view->shards[i].sources_count;
    const char **keys = calloc(count + 1U, sizeof(*keys));
    *ret_count = 0;
    if (keys == NULL) return NULL;
    count = 0;
    for (uint32_t i = 0; i < view->shards_count; i++) {
        const struct sl_admin_shard *shard = &view->shards[i];
        for (uint32_t j = 0; j < shard->sources_count; j++) keys[count++] = shard->sources[j].key;
    }
    qsort(keys, count, sizeof(*keys), key_compare);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(keys[i], keys[*ret_count - 1]) == 0) continue;
        keys[(*ret_count)++] = keys[i];
    }
    return keys;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/*
 * The seat of a node on a shard. The current program is held by the publisher, so its instances and
 * their seats stay; only the counters in them move.
 */
static const struct sl_seat *seat_of(const struct sl_program *program, uint32_t shard,
                                     uint32_t index)
{
    const struct sl_instance *instance = program->instances[shard];
    return instance != NULL ? instance->seats[index] : NULL;
}

static int busier(const void *a, const void *b)
{
    const struct admin_node *one = a;
    const struct admin_node *other = b;
    if (one->calls != other->calls) return one->calls < other->calls ? 1 : -1;
    return strcmp(one->node->path, other->node->path);
}

struct admin_node *admin_nodes(const struct admin_view *view, uint32_t *ret_count)
{
    const struct sl_program *program = view->program;
    *ret_count = 0;
    if (program == NULL) return NULL;
    struct admin_node *nodes = calloc(program->symbols_count + 1U, sizeof(*nodes));
    if (nodes == NULL) return NULL;
    for (uint32_t i = 0; i < program->symbols_count; i++) {
        struct admin_node *own = &nodes[i];
        own->node = program->symbols[i].node;
        for (uint32_t shard = 0; shard < program->shards_count; shard++) {
            const struct sl_seat *seat = seat_of(program, shard, i);
            if (seat == NULL) continue;
            own->calls += sl_counter_get(&seat->calls);
            own->errors += sl_counter_get(&seat->errors);
            own->in_flight += sl_level_get(&seat->in_flight);
        }
    }
    *ret_count = program->symbols_count;
    qsort(nodes, *ret_count, sizeof(*nodes), busier);
    return nodes;
}

void admin_node_times(const struct admin_view *view, const struct sl_node *node,
                      struct sl_histogram *histogram)
{
    const struct sl_program *program = view->program;
    for (uint32_t shard = 0; shard < program->shards_count; shard++) {
        /* The node is of the current program: its seats stay while the program does. */
        const struct sl_seat *seat = node->tally->seats[shard];
        if (seat != NULL) sl_histogram_read(&seat->time, histogram);
    }
}
