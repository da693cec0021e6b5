/* SPDX-License-Identifier: MIT */
/* The wheel against a plain table of deadlines. */
#include "core/shard/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"

enum { TIMERS = 48, OPS = 60000 };

struct entry {
    struct sl_timer timer;
    uint64_t tick; /* that the model expects */
    bool started;
    uint32_t fired;
};

static struct sl_timers wheel;
static struct entry entries[TIMERS];
static uint64_t tick_last; /* of what fired last in this run */
static uint64_t tick_now;
static bool restart; /* what fires starts itself again */

static void on_timer(struct sl_timer *timer)
{
    struct entry *entry = sl_container_of(timer, struct entry, timer);
    assert_true(entry->started);
    assert_true(entry->tick <= tick_now);
    assert_true(entry->tick >= tick_last);
    assert_false(sl_timer_is_started(timer));
    tick_last = entry->tick;
    entry->started = false;
    entry->fired++;
    if (!restart) return;
    sl_timer_start(&wheel, timer, (entry->tick + 300) * SL_NS_PER_MS);
    entry->started = true;
    entry->tick += 300;
}

static void wheel_init(uint64_t now_ns)
{
    sl_timers_init(&wheel, now_ns);
    for (int i = 0; i < TIMERS; i++) {
        entries[i] = (struct entry){0};
        sl_timer_init(&entries[i].timer, on_timer);
    }
    restart = false;
}

static uint64_t random_below(struct sl_clock_manual *dice, uint64_t limit)
{
    uint64_t value;
    dice->base.random(&dice->base, &value, sizeof(value));
    return value % limit;
}

/* Near and far alike: every level of the wheel is used. */
static uint64_t random_ns(struct sl_clock_manual *dice)
{
    return random_below(dice, (SL_NS_PER_MS / 2) << random_below(dice, 36));
}

static void model_start(struct entry *entry, uint64_t deadline_ns)
{
    uint64_t tick = (deadline_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
    uint64_t tick_max = wheel.tick + UINT32_MAX;
    entry->tick = tick < wheel.tick ? wheel.tick : tick > tick_max ? tick_max : tick;
    entry->started = true;
    sl_timer_start(&wheel, &entry->timer, deadline_ns);
}

static void run_at(uint64_t now_ns)
{
    uint64_t next_tick = UINT64_MAX;
    tick_now = now_ns / SL_NS_PER_MS;
    tick_last = 0;
    (void)sl_timers_run(&wheel, now_ns);
    uint32_t count = 0;
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(entries[i].started, sl_timer_is_started(&entries[i].timer));
        if (!entries[i].started) continue;
        assert_true(entries[i].tick > tick_now);
        if (entries[i].tick < next_tick) next_tick = entries[i].tick;
        count++;
    }
    assert_int_equal(wheel.count, count);
    uint64_t next_ns = sl_timers_next_ns(&wheel);
    if (count == 0) {
        assert_true(next_ns == UINT64_MAX);
        return;
    }
    assert_true(next_ns > now_ns);
    assert_true(next_ns <= next_tick * SL_NS_PER_MS);
}

static void timers_with_random_operations_equal_the_plain_table(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sl_clock_manual dice;
        sl_clock_manual_init(&dice, seed);
        uint64_t now_ns = random_below(&dice, UINT64_C(1) << 50);
        wheel_init(now_ns);
        for (int op = 0; op < OPS; op++) {
            struct entry *entry = &entries[random_below(&dice, TIMERS)];
            switch (random_below(&dice, 8)) {
            case 0:
                sl_timer_stop(&wheel, &entry->timer);
                entry->started = false;
                break;
            case 1: model_start(entry, now_ns - random_below(&dice, now_ns)); break;
            case 2: /* just as long as the wheel says; a lazy loop does this */
                if (wheel.count > 0) now_ns = sl_timers_next_ns(&wheel);
                run_at(now_ns);
                break;
            case 3:
                /* Jumps of many years would run tick by tick through far timers' levels. */
                now_ns += random_ns(&dice) % (60 * SL_NS_PER_SEC);
                run_at(now_ns);
                break;
            default: model_start(entry, now_ns + random_ns(&dice));
            }
        }
    }
}

static void timer_start_of_a_running_timer_moves_it(void **state)
{
    (void)state;
    wheel_init(0);
    model_start(&entries[0], 5 * SL_NS_PER_MS);
    model_start(&entries[0], 900 * SL_NS_PER_MS);
    run_at(899 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 0);
    run_at(900 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 1);
    run_at(5000 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 1);
}

static void timer_is_never_early_by_a_nanosecond(void **state)
{
    (void)state;
    wheel_init(0);
    model_start(&entries[0], 5 * SL_NS_PER_MS + 1);
    run_at(6 * SL_NS_PER_MS - 1);
    assert_int_equal(entries[0].fired, 0);
    run_at(6 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 1);
}

/* Was told as 256 ms later: the slot of level 1 had not come down yet. */
static void timers_next_at_the_start_of_a_slot_knows_what_comes_down(void **state)
{
    (void)state;
    wheel_init(0);
    model_start(&entries[0], 258 * SL_NS_PER_MS);
    run_at(255 * SL_NS_PER_MS);
    assert_true(sl_timers_next_ns(&wheel) <= 258 * SL_NS_PER_MS);
    run_at(258 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 1);
}

static void timer_that_starts_itself_again_fires_each_period_of_a_late_run(void **state)
{
    (void)state;
    wheel_init(0);
    restart = true;
    model_start(&entries[0], 300 * SL_NS_PER_MS);
    run_at(100000 * SL_NS_PER_MS);
    assert_int_equal(entries[0].fired, 100000 / 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_start_of_a_running_timer_moves_it),
        cmocka_unit_test(timer_is_never_early_by_a_nanosecond),
        cmocka_unit_test(timers_next_at_the_start_of_a_slot_knows_what_comes_down),
        cmocka_unit_test(timer_that_starts_itself_again_fires_each_period_of_a_late_run),
        cmocka_unit_test(timers_with_random_operations_equal_the_plain_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
