/* SPDX-License-Identifier: MIT */
/*
 * A whole engine in this process, without command line, files and control socket: a control loop in
 * the calling thread, shards on threads of their own, a registry in memory, loader and publisher.
 *
 * Thread: the one that made it, which is the control thread.
 */
#pragma once

#include "core/base/diag.h"
#include "core/base/limit.h"
#include "core/shard/shard.h"

struct sl_micro_house;

struct sl_micro_house_config {
    const int *cores;      /* array of `shards_count`: pinned to, or -1 */
    uint32_t shards_count; /* 1 … */
    /* Makes the poller of shard `index` on its thread; NULL: epoll. */
    struct sl_poller *(*poller_new)(void *ctx, struct sl_clock *clock, struct sl_diag *reterr);
    void *poller_ctx[SL_SHARDS_MAX]; /* by shard */
};

/* 0 and a house owned by the caller, or -errno with a diagnostic. */
int sl_micro_house_new(const struct sl_micro_house_config *config,
                       struct sl_micro_house **ret_house, struct sl_diag *reterr);

/*
 * Store the specs of a YAML text, load and publish them; returns when the program is current on
 * all shards.
 *
 * ret_ns   from before the text was stored until it was published; may be NULL
 * returns  0, or -errno with a diagnostic
 */
int sl_micro_house_apply(struct sl_micro_house *house, const char *text, uint64_t *ret_ns,
                         struct sl_diag *reterr);

/* Drain, take the program away, stop the shards, free. NULL is fine; returns NULL. */
struct sl_micro_house *sl_micro_house_free(struct sl_micro_house *house);
