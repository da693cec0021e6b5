/* SPDX-License-Identifier: MIT */
#include "bench/micro/bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/inject.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"

enum { CHAIN_MAX = 1024, MEMORY_MAX = 256 * 1024 * 1024, WARM_NS = 30 * 1000 * 1000 };

static enum sl_step pass_run(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_EMIT;
}

const struct sl_kind sl_micro_kind_pass = {
    .name = "pass", .flags = SL_KIND_TRANSFORMS, .outs_max = 1, .ins_max = 1, .run = pass_run};

struct sl_shard *sl_micro_bare_new(uint32_t index, struct sl_poller *poller)
{
    struct sl_clock *clock = sl_clock_system();
    if (poller == NULL) poller = sl_inject_new(NULL, clock);
    struct sl_shard *shard = aligned_alloc(128, sizeof(*shard));
    sl_assert(poller != NULL);
    sl_assert(shard != NULL);
    memset(shard, 0, sizeof(*shard));
    struct sl_shard_config cfg = {
        .index = index, .cpu = -1, .clock = clock, .memory_max = MEMORY_MAX};
    int result = sl_shard_init(shard, &cfg, poller);
    sl_assert(result == 0);
    uint64_t end_ns = sl_clock_now_ns(clock) + WARM_NS;
    while (sl_clock_now_ns(clock) < end_ns) sl_loop_turn(&shard->loop, 0);
    return shard;
}

struct sl_shard *sl_micro_bare_free(struct sl_shard *shard)
{
    if (shard == NULL) return NULL;
    sl_shard_fini(shard);
    free(shard);
    return NULL;
}

struct sl_program *sl_micro_chain_new(const struct sl_kind *const *kinds, const int *place,
                                      uint32_t count, uint32_t shards_count)
{
    static struct sl_node *nodes[CHAIN_MAX];
    static struct sl_link links[CHAIN_MAX];
    sl_assert(count > 0);
    sl_assert(count <= CHAIN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "n%u", i);
        nodes[i] = sl_node_new(kinds[i], NULL, path, "", "", (struct sl_pos){0, 0}, sl_value_none(),
                               shards_count);
        sl_assert(nodes[i] != NULL);
        if (place != NULL && place[i] >= 0) {
            nodes[i]->placement = SL_PLACEMENT_CORE;
            nodes[i]->placement_core = (uint32_t)place[i];
        }
        links[i] = (struct sl_link){i, 0, i + 1, 0};
    }
    struct sl_program *program =
        sl_program_new("bench", 1, nodes, count, links, count - 1, shards_count);
    sl_assert(program != NULL);
    for (uint32_t i = 0; i < count; i++) sl_node_unref(nodes[i]);
    return program;
}

void sl_micro_chain_open(struct sl_program *program, struct sl_shard *shard)
{
    int result = sl_instance_open(program, shard, UINT64_MAX / 2, NULL);
    sl_assert(result == 0);
    atomic_store_explicit(&shard->program, program, memory_order_release);
}

void sl_micro_chain_close(struct sl_program *program, struct sl_shard *shard)
{
    atomic_store_explicit(&shard->program, NULL, memory_order_release);
    int result = sl_instance_close(program, shard, UINT64_MAX / 2);
    sl_assert(result == 0);
}

void sl_micro_process_run(struct sl_shard *shard, const struct sl_program *program, uint32_t index,
                          struct sl_reply *reply)
{
    struct sl_process *process =
        sl_process_new(shard, sl_instance_current(shard), NULL, UINT64_MAX / 2);
    sl_assert(process != NULL);
    sl_process_call(process, &program->symbols[index], 0, sl_value_null(), reply);
    sl_process_finish(process);
}
