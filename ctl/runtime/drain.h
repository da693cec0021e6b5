/* SPDX-License-Identifier: MIT */
/*
 * Draining shards: sources stop taking new work, what is in flight ends. Inside this folder only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/limit.h"
#include "core/shard/shard.h"

struct sl_drain_part {
    struct sl_mail mail;
    struct sl_mail abort_mail;
    struct sl_timer timer; /* on the shard: looks whether it is empty */
    struct sl_drain *drain;
    struct sl_shard *shard;
};

/* Caller's storage; lives until done. */
struct sl_drain {
    struct sl_loop *control;
    uint32_t left; /* mails that have not come back */
    bool done;
    uint32_t parts_count;
    struct sl_drain_part parts[SL_SHARDS_MAX];
};

/* Begin; `drain->done` becomes true, on the control thread, when all shards are empty. */
void sl_drain_begin(struct sl_drain *drain, struct sl_loop *control, struct sl_shard *const *shards,
                    uint32_t shards_count);

/* Give up what is still in flight: processes are cancelled, connections closed. */
void sl_drain_abort(struct sl_drain *drain);
