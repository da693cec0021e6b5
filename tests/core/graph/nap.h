/* SPDX-License-Identifier: MIT */
/* A node that waits, for tests: its kind calls nap_begin with the time. */
#pragma once

#include "codecs/flat/flat_fast.h"
#include "core/graph/process.h"
#include "core/shard/shard.h"

struct nap_frame {
    struct sl_timer timer;
    struct sl_frame *frame;
    struct sl_value value;
};

static uint32_t naps_open;      /* packets that wait now */
static uint64_t naps_cancelled; /* that were cancelled while they waited */

static void nap_wake(struct sl_timer *timer)
{
    struct nap_frame *nap = sl_container_of(timer, struct nap_frame, timer);
    struct sl_value value = nap->value;
    nap->value = sl_value_none();
    naps_open--;
    sl_frame_resume(nap->frame, value);
}

/* Park the packet for so long; it goes on as it came. */
static inline enum sl_step nap_begin(struct sl_call *call, uint64_t ns)
{
    struct nap_frame *nap = sl_frame_data(call->frame);
    nap->frame = call->frame;
    nap->value = call->value;
    call->value = sl_value_none();
    sl_timer_init(&nap->timer, nap_wake);
    sl_timer_start(&call->shard->loop.timers, &nap->timer, call->shard->loop.now_ns + ns);
    naps_open++;
    return SL_STEP_PARK;
}

static inline enum sl_step nap_resume(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_EMIT;
}

static inline void nap_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    struct nap_frame *nap = sl_frame_data(frame);
    if (!sl_timer_is_started(&nap->timer)) return;
    sl_timer_stop(&shard->loop.timers, &nap->timer);
    sl_value_unref(nap->value);
    naps_open--;
    naps_cancelled++;
}
