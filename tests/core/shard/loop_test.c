/* SPDX-License-Identifier: MIT */
/* The loop: the order of a turn, when it may sleep, and mail from other threads. */
#include "core/shard/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/mem.h"
#include "io/epoll/epoll.h"

/* ---- a poller that only writes down -------------------------------------------------------- */

struct note_poller {
    struct sl_poller base;
    struct sl_clock_manual clock;
    uint64_t deadline_ns; /* of the last wait */
    uint32_t wakes;
};

static char notes[256];

static void note(const char *what)
{
    strcat(notes, what);
}

static uint32_t note_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct note_poller *own = (struct note_poller *)poller;
    own->deadline_ns = deadline_ns;
    note("wait ");
    poller->woken(poller);
    return 0;
}

static void note_wake(struct sl_poller *poller)
{
    ((struct note_poller *)poller)->wakes++;
}

static void note_free(struct sl_poller *poller)
{
    (void)poller;
}

static const struct sl_poller_ops note_ops = {
    .name = "note", .wait = note_wait, .wake = note_wake, .free = note_free};

static struct note_poller poller;
static struct sl_loop loop;

static int setup(void **state)
{
    (void)state;
    notes[0] = '\0';
    poller = (struct note_poller){.base.ops = &note_ops};
    sl_clock_manual_init(&poller.clock, 1);
    poller.base.clock = &poller.clock.base;
    sl_loop_init(&loop, &poller.base, &poller.clock.base, sl_mem_new(1 << 20));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sl_loop_fini(&loop);
    return 0;
}

static void on_timer(struct sl_timer *timer)
{
    (void)timer;
    note("timer ");
}

static void on_mail(struct sl_mail *mail)
{
    (void)mail;
    note("mail ");
}

static void on_late(struct sl_task *task)
{
    (void)task;
    note("late ");
}

static struct sl_task again;

static void on_task(struct sl_task *task)
{
    note("task ");
    if (task != &again) sl_loop_task_add(&loop, &again);
}

static void on_quiescent(struct sl_loop *own)
{
    (void)own;
    note("quiet ");
}

static void on_offline(struct sl_loop *own)
{
    (void)own;
    note("off ");
}

static void on_online(struct sl_loop *own)
{
    (void)own;
    note("on ");
}

static void loop_turn_goes_in_the_order_of_its_head(void **state)
{
    (void)state;
    struct sl_timer timer;
    struct sl_task task, late;
    struct sl_mail mail = {.fn = on_mail};
    loop.quiescent = on_quiescent;
    loop.offline = on_offline;
    loop.online = on_online;
    sl_timer_init(&timer, on_timer);
    sl_timer_start(&loop.timers, &timer, loop.now_ns);
    sl_task_init(&task, on_task);
    sl_task_init(&again, on_task);
    sl_task_init(&late, on_late);
    sl_loop_task_add_late(&loop, &late);
    sl_loop_task_add(&loop, &task);
    sl_loop_post(&loop, &mail);
    sl_loop_turn(&loop, UINT64_MAX);
    /* What a task queues comes in the next turn, and until then nobody sleeps. */
    assert_string_equal(notes, "timer mail task late quiet wait ");
    assert_int_equal(poller.deadline_ns, 0);
    notes[0] = '\0';
    sl_loop_turn(&loop, UINT64_MAX);
    assert_string_equal(notes, "task quiet off wait on ");
    assert_true(poller.deadline_ns == UINT64_MAX);
}

static void loop_turn_sleeps_until_the_next_timer(void **state)
{
    (void)state;
    struct sl_timer timer;
    sl_timer_init(&timer, on_timer);
    sl_timer_start(&loop.timers, &timer, loop.now_ns + 7 * SL_NS_PER_MS);
    sl_loop_turn(&loop, UINT64_MAX);
    assert_true(poller.deadline_ns > loop.now_ns);
    assert_true(poller.deadline_ns <= loop.now_ns + 8 * SL_NS_PER_MS);
    sl_loop_turn(&loop, loop.now_ns + 1000);
    assert_int_equal(poller.deadline_ns, loop.now_ns + 1000);
    sl_timer_stop(&loop.timers, &timer);
}

static bool never(struct sl_loop *own)
{
    (void)own;
    return false;
}

static void loop_turn_of_who_may_not_sleep_only_looks(void **state)
{
    (void)state;
    loop.may_sleep = never;
    loop.offline = on_offline;
    sl_loop_turn(&loop, UINT64_MAX);
    assert_int_equal(poller.deadline_ns, 0);
    assert_string_equal(notes, "wait ");
}

static void loop_post_wakes_only_for_the_first_mail(void **state)
{
    (void)state;
    struct sl_mail first = {.fn = on_mail}, second = {.fn = on_mail};
    sl_loop_post(&loop, &first);
    sl_loop_post(&loop, &second);
    assert_int_equal(poller.wakes, 1);
    sl_loop_turn(&loop, 0);
    assert_string_equal(notes, "mail mail wait ");
    assert_int_equal(loop.stats.mails, 2);
}

static uint64_t stalled_ns;

static void on_stalled(struct sl_loop *own, uint64_t ns)
{
    (void)own;
    stalled_ns = ns;
}

static void on_slow_task(struct sl_task *task)
{
    (void)task;
    sl_clock_manual_advance(&poller.clock, 30 * SL_NS_PER_MS);
}

static void loop_turn_that_takes_too_long_is_told(void **state)
{
    (void)state;
    struct sl_task task;
    stalled_ns = 0;
    loop.stall_ns = 20 * SL_NS_PER_MS;
    loop.stalled = on_stalled;
    sl_loop_turn(&loop, 0);
    assert_int_equal(stalled_ns, 0);
    sl_task_init(&task, on_slow_task);
    sl_loop_task_add(&loop, &task);
    sl_loop_turn(&loop, 0);
    assert_int_equal(stalled_ns, 30 * SL_NS_PER_MS);
    assert_int_equal(loop.stats.stalls, 1);
}

/* ---- threads ------------------------------------------------------------------------------- */

enum { SENDERS = 3, LETTERS = 20000 };

struct letter {
    struct sl_mail mail;
    uint32_t sender;
    uint32_t number;
};

static struct sl_loop busy;
static uint32_t arrived[SENDERS];
static uint32_t disorder;

static void on_letter(struct sl_mail *mail)
{
    struct letter *letter = sl_container_of(mail, struct letter, mail);
    if (arrived[letter->sender] != letter->number) disorder++;
    arrived[letter->sender]++;
    free(letter);
    uint32_t sum = 0;
    for (int i = 0; i < SENDERS; i++) sum += arrived[i];
    if (sum == SENDERS * LETTERS) sl_loop_stop(&busy);
}

static void *sender_main(void *arg)
{
    uint32_t sender = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < LETTERS; i++) {
        struct letter *letter = malloc(sizeof(*letter));
        if (letter == NULL) abort();
        *letter = (struct letter){.mail.fn = on_letter, .sender = sender, .number = i};
        sl_loop_post(&busy, &letter->mail);
    }
    return NULL;
}

/* The loop sleeps without a deadline: a lost wake-up would hang here until the test's timeout. */
static void loop_post_of_many_threads_arrives_once_and_in_order(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    memset(arrived, 0, sizeof(arrived));
    disorder = 0;
    struct sl_poller *epoll = sl_poller_epoll_new(NULL, sl_clock_system(), NULL);
    assert_non_null(epoll);
    sl_loop_init(&busy, epoll, sl_clock_system(), sl_mem_new(1 << 20));
    for (uintptr_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sender_main, (void *)i), 0);
    }
    sl_loop_run(&busy);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(arrived[i], LETTERS);
    }
    assert_int_equal(disorder, 0);
    sl_loop_fini(&busy);
}

/* Turns close together reckon by ticks: never off the clock by much, never back. */
static void loop_time_reckoned_by_ticks_stays_with_the_clock(void **state)
{
    enum { RUN_MS = 80, OFF_NS = 50 * 1000 };
    (void)state;
    struct sl_clock *clock = sl_clock_system();
    struct note_poller quick = {.base.ops = &note_ops, .base.clock = clock};
    struct sl_loop turning;
    sl_loop_init(&turning, &quick.base, clock, sl_mem_new(1 << 20));
    uint64_t end_ns = sl_clock_now_ns(clock) + RUN_MS * SL_NS_PER_MS;
    uint64_t before_ns = 0;
    uint64_t last_ns = 0;
    while (before_ns < end_ns) {
        notes[0] = '\0';
        before_ns = sl_clock_now_ns(clock);
        sl_loop_turn(&turning, 0);
        uint64_t after_ns = sl_clock_now_ns(clock);
        assert_true(turning.now_ns >= last_ns);
        assert_true(turning.now_ns + OFF_NS >= before_ns);
        assert_true(turning.now_ns <= after_ns + OFF_NS);
        last_ns = turning.now_ns;
    }
    sl_loop_fini(&turning);
}

#define WITH_LOOP(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(loop_turn_goes_in_the_order_of_its_head),
        WITH_LOOP(loop_turn_sleeps_until_the_next_timer),
        WITH_LOOP(loop_turn_of_who_may_not_sleep_only_looks),
        WITH_LOOP(loop_post_wakes_only_for_the_first_mail),
        WITH_LOOP(loop_turn_that_takes_too_long_is_told),
        cmocka_unit_test(loop_time_reckoned_by_ticks_stays_with_the_clock),
        cmocka_unit_test(loop_post_of_many_threads_arrives_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
