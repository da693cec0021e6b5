/* SPDX-License-Identifier: MIT */
/* A shard without sockets, in the test's thread: time is a manual clock, a wait moves it. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/graph/program.h"
#include "core/mem/mem.h"
#include "core/shard/shard.h"

struct still_poller {
    struct sl_poller base;
    struct sl_clock_manual *clock;
};

static uint32_t still_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct still_poller *still = (struct still_poller *)poller;
    if (deadline_ns != UINT64_MAX && deadline_ns > still->clock->now_ns) {
        sl_clock_manual_advance(still->clock, deadline_ns - still->clock->now_ns);
    }
    if (poller->woken != NULL) poller->woken(poller);
    return 0;
}

static void still_wake(struct sl_poller *poller)
{
    (void)poller;
}

static void still_free(struct sl_poller *poller)
{
    free(poller);
}

static const struct sl_poller_ops still_ops = {
    .name = "still", .wait = still_wait, .wake = still_wake, .free = still_free};

/* A shard of number `index`; `epoch` may be NULL. Freed by bench_shard_free. */
static struct sl_shard *bench_shard_new(struct sl_clock_manual *clock, uint32_t index,
                                        struct sl_epoch *epoch)
{
    struct still_poller *poller = calloc(1, sizeof(*poller));
    poller->base.ops = &still_ops;
    poller->base.clock = &clock->base;
    poller->clock = clock;
    struct sl_shard *shard = aligned_alloc(128, sizeof(*shard));
    memset(shard, 0, sizeof(*shard));
    struct sl_shard_config cfg = {.index = index,
                                  .cpu = -1,
                                  .epoch = epoch,
                                  .clock = &clock->base,
                                  .memory_max = (size_t)256 << 20};
    if (sl_shard_init(shard, &cfg, &poller->base) < 0) abort();
    return shard;
}

static void bench_shard_free(struct sl_shard *shard)
{
    sl_shard_fini(shard);
    free(shard);
}
