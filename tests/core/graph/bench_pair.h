/* SPDX-License-Identifier: MIT */
/* Kinds and programs for the tests of swap and remote: numbers walk through nodes on shards. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/mem/mem.h"
#include "core/shard/shard.h"

struct plain {
    int64_t add;
};

/* Payload * 1000 + add. */
static enum sl_step digit_run(struct sl_call *call)
{
    const struct plain *plain = call->config;
    int64_t number = sl_value_is(call->value, SL_VALUE_INT) ? call->value.cell->i64 : 0;
    sl_value_unref(call->value);
    call->value = sl_value_new_int(call->mem, number * 1000 + plain->add);
    call->port = 0;
    return SL_STEP_EMIT;
}

struct nap_frame {
    struct sl_timer timer;
    struct sl_frame *frame;
    struct sl_value value;
};

static void nap_wake(struct sl_timer *timer)
{
    struct nap_frame *nap = sl_container_of(timer, struct nap_frame, timer);
    struct sl_value value = nap->value;
    nap->value = sl_value_none();
    sl_frame_resume(nap->frame, value);
}

/* Waits `add` milliseconds. */
static enum sl_step nap_run(struct sl_call *call)
{
    const struct plain *plain = call->config;
    struct nap_frame *nap = sl_frame_data(call->frame);
    nap->frame = call->frame;
    nap->value = call->value;
    call->value = sl_value_none();
    sl_timer_init(&nap->timer, nap_wake);
    sl_timer_start(&call->shard->loop.timers, &nap->timer,
                   call->shard->loop.now_ns + (uint64_t)plain->add * SL_NS_PER_MS);
    return SL_STEP_PARK;
}

static enum sl_step nap_resume(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_EMIT;
}

static void nap_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    struct nap_frame *nap = sl_frame_data(frame);
    if (!sl_timer_is_started(&nap->timer)) return;
    sl_timer_stop(&shard->loop.timers, &nap->timer);
    sl_value_unref(nap->value);
}

static const struct sl_kind kind_digit = {
    .name = "digit", .flags = SL_KIND_TRANSFORMS, .outs_max = 1, .ins_max = 1, .run = digit_run};
static const struct sl_kind kind_nap = {.name = "nap",
                                        .frame_size = sizeof(struct nap_frame),
                                        .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
                                        .outs_max = 1,
                                        .ins_max = 1,
                                        .run = nap_run,
                                        .resume = nap_resume,
                                        .cancel = nap_cancel};

/* A node; `core` -1: not placed. One reference for the caller. */
static struct sl_node *node_make(const struct sl_kind *kind, int64_t add, const char *path,
                                 int core, uint32_t shards_count)
{
    struct plain *plain = calloc(1, sizeof(*plain));
    plain->add = add;
    struct sl_node *node = sl_node_new(kind, plain, path, "", "", (struct sl_pos){0, 0},
                                       sl_value_none(), shards_count);
    if (node == NULL) abort();
    if (core >= 0) {
        node->placement = SL_PLACEMENT_CORE;
        node->placement_core = (uint32_t)core;
    }
    return node;
}

/* A program of a chain of nodes (array of `count`); drops the caller's references. */
static struct sl_program *chain_make(struct sl_node **nodes, uint32_t count, uint32_t shards_count)
{
    struct sl_link links[8];
    for (uint32_t i = 0; i + 1 < count; i++) links[i] = (struct sl_link){i, 0, i + 1, 0};
    struct sl_program *program =
        sl_program_new("test", 1, nodes, count, links, count - 1, shards_count);
    if (program == NULL) abort();
    for (uint32_t i = 0; i < count; i++) sl_node_unref(nodes[i]);
    return program;
}
