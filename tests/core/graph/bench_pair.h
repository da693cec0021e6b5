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
#include "tests/core/graph/nap.h"

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

/* Waits `add` milliseconds. */
static enum sl_step nap_run(struct sl_call *call)
{
    return nap_begin(call, (uint64_t)((const struct plain *)call->config)->add * SL_NS_PER_MS);
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
