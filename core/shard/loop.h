/* SPDX-License-Identifier: MIT */
/*
 * The run loop of one thread: a shard, or the control thread. It owns a poller, timers, memory and
 * two queues of tasks, and nothing of it is touched by another thread but the mailbox.
 *
 * One turn:
 *
 *     timers → mailbox → tasks (those queued when the turn began) → late tasks → quiescent
 *        └──────────────── poller wait: events run here ◄──────────────────────────┘
 *
 * Tasks are work that must not run deep inside an event (a resumed process); late tasks come
 * when everything else of the turn is done (one send for all answers of a turn).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/tsc.h"
#include "core/shard/mailbox.h"
#include "core/shard/poller.h"
#include "core/shard/timer.h"

struct sl_mem;

struct sl_task {
    struct sl_list link; /* empty when not queued */
    void (*fn)(struct sl_task *task);
};

/*
 * The clock inside a turn: now_ns and the ticks that stood beside it when the poller was back, and
 * how long a tick is, found by comparing the two over the life of the loop. Turns that follow each
 * other closely ask the clock once a millisecond, and reckon by ticks between.
 */
struct sl_loop_ticks {
    bool steady;    /* false: durations come from the clock */
    uint64_t scale; /* nanoseconds of 2^24 ticks; 0: not known yet */
    uint64_t woken; /* ticks at now_ns */
    uint64_t first; /* ticks at first_ns */
    uint64_t first_ns;
    uint64_t scaled_ns; /* when `scale` was found */
    uint64_t synced;    /* ticks at synced_ns */
    uint64_t synced_ns; /* of the clock, when it was asked last */
    uint64_t trusted;   /* ticks from there in which the clock is not asked; 0: it always is */
};

enum {
    SL_LOOP_TIMED_MIN = 4,    /* node calls of one turn that are always timed */
    SL_LOOP_TIMED_EVERY = 64, /* and of the others of a node one in so many */
};

struct sl_loop_stats {
    uint64_t turns;
    uint64_t tasks;
    uint64_t mails;
    uint64_t mails_max;    /* the most that waited at once */
    uint64_t stalls;       /* turns longer than stall_ns */
    uint64_t stall_ns_max; /* the longest turn seen */
};

struct sl_loop {
    struct sl_poller *poller; /* owned */
    struct sl_clock *clock;
    struct sl_mem *mem; /* owned */
    uint64_t now_ns;    /* of the clock, found once a turn when the poller is back */
    struct sl_timers timers;
    struct sl_list tasks;
    struct sl_list late_tasks;
    struct sl_mailbox mailbox;
    /* Called before a wait that may block, and after it; for RCU. May be NULL. */
    void (*offline)(struct sl_loop *loop);
    void (*online)(struct sl_loop *loop);
    /* Take what other shards have sent; called once a turn. May be NULL. */
    void (*inbound)(struct sl_loop *loop);
    /* Asked before a wait that may block; false: something is there. May be NULL. */
    bool (*may_sleep)(struct sl_loop *loop);
    /* Called once a turn when no task runs. May be NULL. */
    void (*quiescent)(struct sl_loop *loop);
    /* Called when a turn took longer than stall_ns. May be NULL. */
    void (*stalled)(struct sl_loop *loop, uint64_t ns);
    uint64_t stall_ns;  /* 0: not watched */
    uint64_t waited_ns; /* when the last wait returned */
    struct sl_loop_ticks ticks;
    uint32_t timed_left; /* node calls of this turn still to be timed whatever their number */
    bool sleeping;       /* offline, until the poller is back */
    bool stopping;
    struct sl_loop_stats stats;
};

/* Set up a loop around a poller and memory, which it owns from now on. */
void sl_loop_init(struct sl_loop *loop, struct sl_poller *poller, struct sl_clock *clock,
                  struct sl_mem *mem);

/* Free poller and memory. No op is pending. */
void sl_loop_fini(struct sl_loop *loop);

/* One turn; sleeps until `deadline_ns` at most (0: does not sleep). Owner thread. */
void sl_loop_turn(struct sl_loop *loop, uint64_t deadline_ns);

/*
 * The time now, ns of the loop's clock, for measuring durations inside a turn; cheaper than the
 * clock where the processor's ticks are steady. Owner thread.
 */
static inline uint64_t sl_loop_fast_ns(struct sl_loop *loop)
{
    if (__builtin_expect(loop->ticks.scale == 0, 0)) return sl_clock_now_ns(loop->clock);
    return loop->now_ns + (((sl_tsc_read() - loop->ticks.woken) * loop->ticks.scale) >> 24);
}

/* Turns until sl_loop_stop. Owner thread. */
void sl_loop_run(struct sl_loop *loop);

/* End sl_loop_run after this turn. Owner thread. */
void sl_loop_stop(struct sl_loop *loop);

/* Send a message; the receiver is woken. Any thread. */
void sl_loop_post(struct sl_loop *loop, struct sl_mail *mail);

static inline void sl_task_init(struct sl_task *task, void (*fn)(struct sl_task *task))
{
    sl_list_init(&task->link);
    task->fn = fn;
}

/* Queue a task for the next round; harmless if it is queued. Owner thread. */
static inline void sl_loop_task_add(struct sl_loop *loop, struct sl_task *task)
{
    if (sl_list_is_empty(&task->link)) sl_list_insert(&loop->tasks, &task->link);
}

/* Queue a late task for the end of this turn; harmless if it is queued. Owner thread. */
static inline void sl_loop_task_add_late(struct sl_loop *loop, struct sl_task *task)
{
    if (sl_list_is_empty(&task->link)) sl_list_insert(&loop->late_tasks, &task->link);
}

/* Take a task out of its queue; harmless if it is not queued. Owner thread. */
static inline void sl_task_cancel(struct sl_task *task)
{
    sl_list_remove(&task->link);
}
