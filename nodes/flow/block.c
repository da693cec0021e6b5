/* SPDX-License-Identifier: MIT */
/*
 * block: nodes in a node. The loader puts the children in its place, so a block costs nothing when
 * packets run. With only `specs` it is a chain: each child's `out` leads to the next, the last
 * one's is the block's; every child's `error` is the block's. With `inbounds` and `outbounds` it
 * is a graph of its own, whose children name their edges themselves.
 *
 *     - kind: block
 *       name: twice
 *       specs:
 *         - {kind: snippet, name: a, language: cel, code: 'self * 2'}
 *         - {kind: snippet, name: b, language: cel, code: '{"body": self}'}
 */
#include "nodes/flow/flow.h"

#include "core/base/assertion.h"
#include "core/base/limit.h"

struct block {
    struct sl_value specs;
    struct sl_value inbounds;
    struct sl_value outbounds;
};

static const struct sl_field block_fields[] = {
    {"specs", SL_FIELD_VALUE, offsetof(struct block, specs), SL_FIELD_REQUIRED, 0, 0, NULL,
     "list of node specifications", NULL},
    {"inbounds", SL_FIELD_VALUE, offsetof(struct block, inbounds), 0, 0, 0, NULL,
     "port of the block → list of {name, port} of children", "a chain"},
    {"outbounds", SL_FIELD_VALUE, offsetof(struct block, outbounds), 0, 0, 0, NULL,
     "port of the block → list of {name, port} of children", "a chain"},
    {0},
};

/* A block is never in a program: the loader has replaced it. */
static enum sl_step block_run(struct sl_call *call)
{
    (void)call;
    sl_unreachable();
}

const struct sl_kind sl_kind_block = {
    .name = "block",
    .summary = "nodes in a node: a chain, or a graph of its own",
    .fields = block_fields,
    .config_size = sizeof(struct block),
    .flags = SL_KIND_CONTAINER | SL_KIND_TRANSFORMS,
    .outs_max = SL_SPEC_PORTS_MAX,
    .ins_max = SL_SPEC_PORTS_MAX,
    .run = block_run,
};
