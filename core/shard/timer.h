/* SPDX-License-Identifier: MIT */
/*
 * Timers of one shard: a hierarchical wheel with a tick of one millisecond.
 *
 *     level 0   256 slots of 1 ms       each slot a list of timers
 *     level 1   256 slots of 256 ms     emptied into level 0 when its time comes
 *     level 2   256 slots of 65.5 s
 *     level 3   256 slots of 4.66 h
 *
 * Start and stop are O(1), which a deadline for every request needs. A timer never fires early;
 * it fires up to one tick late, plus what the shard's turn takes.
 *
 * Source: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"

struct sl_timer {
    struct sl_list link;                /* first; empty when not started */
    void (*fn)(struct sl_timer *timer); /* set by the owner; may start, stop or free the timer */
    uint64_t tick;                      /* when it fires */
};

enum { SL_TIMER_LEVELS = 4, SL_TIMER_SLOTS = 256 };

struct sl_timers {
    uint64_t tick; /* all ticks before this one have fired */
    uint32_t count;
    uint64_t used[SL_TIMER_LEVELS][SL_TIMER_SLOTS / 64]; /* bit: the slot may hold timers */
    struct sl_list slots[SL_TIMER_LEVELS][SL_TIMER_SLOTS];
};

/* Start the wheel at the clock's time. */
void sl_timers_init(struct sl_timers *timers, uint64_t now_ns);

static inline void sl_timer_init(struct sl_timer *timer, void (*fn)(struct sl_timer *timer))
{
    sl_list_init(&timer->link);
    timer->fn = fn;
    timer->tick = 0;
}

static inline bool sl_timer_is_started(const struct sl_timer *timer)
{
    return !sl_list_is_empty(&timer->link);
}

/* Start, or move, a timer that was initialised. A deadline in the past fires in the next run. */
void sl_timer_start(struct sl_timers *timers, struct sl_timer *timer, uint64_t deadline_ns);

/* Stop a timer; harmless if it is not started. */
void sl_timer_stop(struct sl_timers *timers, struct sl_timer *timer);

/* Fire what is due at `now_ns`, in order of ticks. Returns the number fired. */
uint32_t sl_timers_run(struct sl_timers *timers, uint64_t now_ns);

/*
 * When sl_timers_run should be called next: the time of the next timer or of the next move
 * between levels, whichever comes first; UINT64_MAX if no timer is started.
 */
uint64_t sl_timers_next_ns(const struct sl_timers *timers);
