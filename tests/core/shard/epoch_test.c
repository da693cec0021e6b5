/* SPDX-License-Identifier: MIT */
/*
 * Reclamation as a model: every order of the steps of two shards and the control thread, with the
 * load and the store of `quiescent` and `online` as steps of their own. What weak memory adds to
 * this is for the stress tests under ThreadSanitizer (swap_test).
 */
#include "core/shard/epoch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SHARDS = 2, SHARD_STEPS = 6, CONTROL_STEPS = 4 };

/* What a shard does: wakes, reads the slot and holds what is there, is quiescent or sleeps. */
enum shard_step { LOAD, STORE, READ, DROP, SLEEP };

static const enum shard_step shard_steps[SHARD_STEPS] = {LOAD, STORE, READ, DROP, LOAD, STORE};
static const enum shard_step sleepy_steps[SHARD_STEPS] = {STORE, READ, DROP, SLEEP, LOAD, STORE};

/* What control does: changes the slot, makes a target, looks twice. */
enum control_step { CHANGE, ADVANCE, LOOK };

static const enum control_step control_steps[CONTROL_STEPS] = {CHANGE, ADVANCE, LOOK, LOOK};

struct world {
    uint64_t now;
    uint64_t seen[SHARDS];
    uint64_t loaded[SHARDS];
    int held[SHARDS]; /* 0: nothing; 1: old; 2: new */
    int slot;
    uint64_t target;
    bool freed;
    int at[SHARDS + 1];
};

static struct sl_epoch epoch;
static uint64_t orders;
static uint64_t freed_orders;

static void epoch_load(const struct world *world)
{
    sl_epoch_init(&epoch, SHARDS);
    atomic_store_explicit(&epoch.now, world->now, memory_order_relaxed);
    for (int i = 0; i < SHARDS; i++) {
        atomic_store_explicit(&epoch.readers[i].seen, world->seen[i], memory_order_relaxed);
    }
}

static void shard_do(struct world *world, int shard, enum shard_step step)
{
    switch (step) {
    case LOAD: world->loaded[shard] = world->now; break;
    case STORE: world->seen[shard] = world->loaded[shard]; break;
    case READ:
        world->held[shard] = world->slot;
        assert_false(world->freed && world->slot == 1);
        break;
    case DROP: world->held[shard] = 0; break;
    case SLEEP: world->seen[shard] = 0; break;
    }
}

static void control_do(struct world *world, enum control_step step)
{
    switch (step) {
    case CHANGE: world->slot = 2; break;
    case ADVANCE:
        epoch_load(world);
        world->target = sl_epoch_advance(&epoch);
        world->now = atomic_load_explicit(&epoch.now, memory_order_relaxed);
        break;
    case LOOK:
        epoch_load(world);
        if (!sl_epoch_is_passed(&epoch, world->target)) break;
        world->freed = true;
        /* The promise: nobody holds what is freed now. */
        for (int i = 0; i < SHARDS; i++) assert_int_not_equal(world->held[i], 1);
        break;
    }
}

/* All orders: depth first, by an explicit stack of worlds. */
static void explore(const enum shard_step *const steps[SHARDS])
{
    static struct world stack[(SHARDS + 1) * (SHARDS * SHARD_STEPS + CONTROL_STEPS) + 1];
    size_t depth = 0;
    stack[depth++] = (struct world){.now = 1, .slot = 1, .loaded = {1, 1}};
    while (depth > 0) {
        struct world world = stack[--depth];
        bool ended = true;
        for (int who = 0; who <= SHARDS; who++) {
            int count = who < SHARDS ? SHARD_STEPS : CONTROL_STEPS;
            if (world.at[who] == count) continue;
            ended = false;
            struct world next = world;
            if (who < SHARDS) {
                shard_do(&next, who, steps[who][next.at[who]]);
            } else {
                control_do(&next, control_steps[next.at[who]]);
            }
            next.at[who]++;
            stack[depth++] = next;
        }
        if (!ended) continue;
        orders++;
        freed_orders += world.freed;
    }
}

static void epoch_in_every_order_frees_nothing_that_is_held(void **state)
{
    (void)state;
    const enum shard_step *busy[SHARDS] = {shard_steps, shard_steps};
    const enum shard_step *mixed[SHARDS] = {shard_steps, sleepy_steps};
    orders = 0;
    freed_orders = 0;
    explore(busy);
    explore(mixed);
    /* 16! / (6! 6! 4!), for each pair of scripts. */
    assert_int_equal(orders, 2 * 1681680);
    assert_true(freed_orders > 0);
    assert_true(freed_orders < orders);
}

static void epoch_with_all_shards_asleep_is_passed_at_once(void **state)
{
    (void)state;
    sl_epoch_init(&epoch, SHARDS);
    assert_true(sl_epoch_is_passed(&epoch, sl_epoch_advance(&epoch)));
    sl_epoch_online(&epoch, 1);
    uint64_t target = sl_epoch_advance(&epoch);
    assert_false(sl_epoch_is_passed(&epoch, target));
    sl_epoch_offline(&epoch, 1);
    assert_true(sl_epoch_is_passed(&epoch, target));
}

static void epoch_waits_for_the_slowest_shard(void **state)
{
    (void)state;
    sl_epoch_init(&epoch, SHARDS);
    sl_epoch_online(&epoch, 0);
    sl_epoch_online(&epoch, 1);
    uint64_t target = sl_epoch_advance(&epoch);
    sl_epoch_quiescent(&epoch, 0);
    assert_false(sl_epoch_is_passed(&epoch, target));
    sl_epoch_quiescent(&epoch, 1);
    assert_true(sl_epoch_is_passed(&epoch, target));
    /* A later target is not passed by it. */
    assert_false(sl_epoch_is_passed(&epoch, sl_epoch_advance(&epoch)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoch_with_all_shards_asleep_is_passed_at_once),
        cmocka_unit_test(epoch_waits_for_the_slowest_shard),
        cmocka_unit_test(epoch_in_every_order_frees_nothing_that_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
