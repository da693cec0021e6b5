/* SPDX-License-Identifier: MIT */
#include "core/shard/loop.h"

#include "core/base/assertion.h"
#include "core/mem/mem.h"

unsigned sl_mailbox_run(struct sl_mailbox *mailbox)
{
    sl_assert(mailbox != NULL);
    /* An exchange is dear, and most turns find nothing; what comes now is seen in the next. */
    if (atomic_load_explicit(&mailbox->head, memory_order_relaxed) == NULL) return 0;
    struct sl_mail *mail = atomic_exchange_explicit(&mailbox->head, NULL, memory_order_acquire);
    struct sl_mail *oldest = NULL;
    unsigned count = 0;
    while (mail != NULL) {
        struct sl_mail *next = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = next;
    }
    while (oldest != NULL) {
        struct sl_mail *next = oldest->next;
        oldest->fn(oldest);
        oldest = next;
        count++;
    }
    return count;
}

enum {
    TICKS_FIRST_NS = 20 * 1000 * 1000,   /* so long the clock and the ticks are compared at first */
    TICKS_AGAIN_NS = 1000 * 1000 * 1000, /* and then so often */
    TICKS_TRUST_NS = 1000 * 1000,        /* so long ticks alone say the time */
    TICKS_OFF_NS = 2000,                 /* unless they may be further off than that */
    TICKS_OFF_SHARE = 1000,              /* of the time compared, to find how long one is */
    TICKS_TRIES = 5,
};

/* Clock and ticks side by side; returns how many ticks lay between, which is how far they may be off. */
static uint64_t pair_read(struct sl_loop *loop, uint64_t *ret_ns, uint64_t *ret_ticks)
{
    uint64_t before = sl_tsc_read();
    *ret_ns = sl_clock_now_ns(loop->clock);
    *ret_ticks = sl_tsc_read();
    return *ret_ticks - before;
}

/* How long a tick is. Not from a pair in whose middle this thread was put aside. */
static __attribute__((cold)) void ticks_scale(struct sl_loop *loop, uint64_t off)
{
    struct sl_loop_ticks *ticks = &loop->ticks;
    uint64_t count = ticks->synced - ticks->first;
    if (count == 0 || off > count / TICKS_OFF_SHARE) return;
    double ns = (double)(ticks->synced_ns - ticks->first_ns);
    ticks->scale = (uint64_t)(ns * (double)(1 << 24) / (double)count);
    ticks->scaled_ns = ticks->synced_ns;
}

/* Ask the clock, and compare the ticks with it. */
static void clock_read(struct sl_loop *loop)
{
    struct sl_loop_ticks *ticks = &loop->ticks;
    uint64_t now_ns;
    uint64_t off = pair_read(loop, &now_ns, &ticks->woken);
    /* The ticks may have been a little ahead; the loop's time never goes back. */
    if (now_ns > loop->now_ns) loop->now_ns = now_ns;
    ticks->synced = ticks->woken;
    ticks->synced_ns = now_ns;
    uint64_t wait_ns = ticks->scale != 0 ? TICKS_AGAIN_NS : TICKS_FIRST_NS;
    if (__builtin_expect(now_ns - ticks->scaled_ns > wait_ns, 0)) ticks_scale(loop, off);
    ticks->trusted = 0;
    if (ticks->scale == 0 || (off * ticks->scale) >> 24 > TICKS_OFF_NS) return;
    ticks->trusted = ((uint64_t)TICKS_TRUST_NS << 24) / ticks->scale;
}

/* The time, once a turn: of the clock, or for the turns within a millisecond of the ticks. */
static void now_read(struct sl_loop *loop)
{
    struct sl_loop_ticks *ticks = &loop->ticks;
    if (!ticks->steady) {
        loop->now_ns = sl_clock_now_ns(loop->clock);
        return;
    }
    ticks->woken = sl_tsc_read();
    uint64_t passed = ticks->woken - ticks->synced;
    if (passed >= ticks->trusted) {
        clock_read(loop);
        return;
    }
    uint64_t now_ns = ticks->synced_ns + ((passed * ticks->scale) >> 24);
    if (now_ns > loop->now_ns) loop->now_ns = now_ns;
}

/* The first pair, from which all is counted: the closest of a few. */
static void ticks_init(struct sl_loop *loop)
{
    struct sl_loop_ticks *ticks = &loop->ticks;
    uint64_t best = UINT64_MAX;
    ticks->steady = loop->clock->has_ticks && sl_tsc_is_steady();
    for (int i = 0; ticks->steady && i < TICKS_TRIES; i++) {
        uint64_t ns;
        uint64_t count;
        uint64_t off = pair_read(loop, &ns, &count);
        if (off >= best) continue;
        best = off;
        ticks->first = count;
        ticks->first_ns = ns;
    }
    ticks->scaled_ns = loop->now_ns;
}

/* The poller is back from the kernel: time has passed, and events are about to run. */
static void loop_woken(struct sl_poller *poller)
{
    struct sl_loop *loop = poller->owner;
    now_read(loop);
    loop->waited_ns = loop->now_ns;
    loop->timed_left = SL_LOOP_TIMED_MIN;
    if (loop->sleeping && loop->online != NULL) loop->online(loop);
    loop->sleeping = false;
}

void sl_loop_init(struct sl_loop *loop, struct sl_poller *poller, struct sl_clock *clock,
                  struct sl_mem *mem)
{
    sl_assert(loop != NULL);
    sl_assert(poller != NULL);
    sl_assert(clock != NULL);
    *loop = (struct sl_loop){.poller = poller, .clock = clock, .mem = mem};
    loop->now_ns = sl_clock_now_ns(clock);
    loop->waited_ns = loop->now_ns;
    ticks_init(loop);
    sl_timers_init(&loop->timers, loop->now_ns);
    sl_list_init(&loop->tasks);
    sl_list_init(&loop->late_tasks);
    sl_mailbox_init(&loop->mailbox);
    poller->owner = loop;
    poller->woken = loop_woken;
}

void sl_loop_fini(struct sl_loop *loop)
{
    sl_assert(loop != NULL);
    if (loop->poller != NULL) loop->poller->ops->free(loop->poller);
    loop->poller = NULL;
    loop->mem = sl_mem_free(loop->mem);
}

/* Run the tasks that are queued now; what they queue waits for the next round. */
static void tasks_run(struct sl_loop *loop, struct sl_list *queue)
{
    if (sl_list_is_empty(queue)) return;
    struct sl_list batch = *queue;
    batch.next->prev = &batch;
    batch.prev->next = &batch;
    sl_list_init(queue);
    while (!sl_list_is_empty(&batch)) {
        struct sl_task *task = sl_container_of(batch.next, struct sl_task, link);
        sl_list_remove(&task->link);
        loop->stats.tasks++;
        task->fn(task);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long the wait may last: not at all while anything is left to do. */
static uint64_t wait_deadline(struct sl_loop *loop, uint64_t deadline_ns)
{
    sl_assert(loop->clock != NULL);
    if (loop->stopping) return 0; /* a task of this turn asked for the end */
    if (!sl_list_is_empty(&loop->tasks) || !sl_list_is_empty(&loop->late_tasks)) return 0;
    if (!sl_mailbox_is_empty(&loop->mailbox)) return 0;
    uint64_t timers_ns = sl_timers_next_ns(&loop->timers);
    uint64_t until = earlier(deadline_ns, timers_ns);
    if (until <= loop->now_ns) return 0;
    return loop->may_sleep == NULL || loop->may_sleep(loop) ? until : 0;
}

static __attribute__((cold)) void turn_stalled(struct sl_loop *loop, uint64_t ns)
{
    loop->stats.stalls++;
    if (ns > loop->stats.stall_ns_max) loop->stats.stall_ns_max = ns;
    if (loop->stalled != NULL) loop->stalled(loop, ns);
}

void sl_loop_turn(struct sl_loop *loop, uint64_t deadline_ns)
{
    sl_assert(loop != NULL);
    loop->stats.turns++;
    (void)sl_timers_run(&loop->timers, loop->now_ns);
    unsigned mails = sl_mailbox_run(&loop->mailbox);
    loop->stats.mails += mails;
    if (__builtin_expect(mails > loop->stats.mails_max, 0)) loop->stats.mails_max = mails;
    if (loop->inbound != NULL) loop->inbound(loop);
    tasks_run(loop, &loop->tasks);
    tasks_run(loop, &loop->late_tasks);
    if (loop->quiescent != NULL) loop->quiescent(loop);

    uint64_t until = wait_deadline(loop, deadline_ns);
    if (loop->stall_ns != 0) {
        uint64_t now_ns = sl_loop_fast_ns(loop);
        uint64_t busy = now_ns > loop->waited_ns ? now_ns - loop->waited_ns : 0;
        if (__builtin_expect(busy > loop->stall_ns, 0)) turn_stalled(loop, busy);
    }
    loop->sleeping = until != 0;
    if (loop->sleeping && loop->offline != NULL) loop->offline(loop);
    (void)loop->poller->ops->wait(loop->poller, until);
    sl_assert(!loop->sleeping); /* the poller called woken */
}

void sl_loop_run(struct sl_loop *loop)
{
    sl_assert(loop != NULL);
    sl_assert(loop->poller != NULL);
    loop->stopping = false;
    while (!loop->stopping) sl_loop_turn(loop, UINT64_MAX);
}

void sl_loop_stop(struct sl_loop *loop)
{
    sl_assert(loop != NULL);
    loop->stopping = true;
}

void sl_loop_post(struct sl_loop *loop, struct sl_mail *mail)
{
    sl_assert(loop != NULL);
    sl_assert(mail != NULL);
    sl_assert(mail->fn != NULL);
    if (sl_mailbox_push(&loop->mailbox, mail)) loop->poller->ops->wake(loop->poller);
}
