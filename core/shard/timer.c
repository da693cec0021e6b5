/* SPDX-License-Identifier: MIT */
#include "core/shard/timer.h"

#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { LEVEL_BITS = 8, SLOT_MASK = SL_TIMER_SLOTS - 1 };

static_assert(1 << LEVEL_BITS == SL_TIMER_SLOTS, "a level's slots fill its bits");

#define TICKS_MAX ((UINT64_C(1) << (LEVEL_BITS * SL_TIMER_LEVELS)) - 1)

void sl_timers_init(struct sl_timers *timers, uint64_t now_ns)
{
    sl_assert(timers != NULL);
    timers->tick = now_ns / SL_NS_PER_MS;
    timers->count = 0;
    for (int level = 0; level < SL_TIMER_LEVELS; level++) {
        for (int word = 0; word < SL_TIMER_SLOTS / 64; word++) timers->used[level][word] = 0;
        for (int slot = 0; slot < SL_TIMER_SLOTS; slot++) sl_list_init(&timers->slots[level][slot]);
    }
}

static void timer_place(struct sl_timers *timers, struct sl_timer *timer)
{
    sl_assert(timer->tick >= timers->tick);
    sl_assert(timer->tick - timers->tick <= TICKS_MAX);
    uint64_t ahead = timer->tick - timers->tick;
    int level = 0;
    while (level < SL_TIMER_LEVELS - 1 && ahead >> (LEVEL_BITS * (level + 1)) != 0) level++;
    unsigned slot = (unsigned)(timer->tick >> (LEVEL_BITS * level)) & SLOT_MASK;
    timers->used[level][slot / 64] |= UINT64_C(1) << (slot % 64);
    sl_list_insert(&timers->slots[level][slot], &timer->link);
}

void sl_timer_start(struct sl_timers *timers, struct sl_timer *timer, uint64_t deadline_ns)
{
    sl_assert(timers != NULL);
    sl_assert(timer != NULL);
    sl_assert(timer->fn != NULL);
    if (sl_timer_is_started(timer)) {
        sl_list_remove(&timer->link);
    } else {
        timers->count++;
    }
    /* Round up: a timer never fires before its deadline. */
    uint64_t tick = deadline_ns / SL_NS_PER_MS + (deadline_ns % SL_NS_PER_MS != 0);
    if (tick < timers->tick) tick = timers->tick;
    if (tick - timers->tick > TICKS_MAX) tick = timers->tick + TICKS_MAX;
    timer->tick = tick;
    timer_place(timers, timer);
}

void sl_timer_stop(struct sl_timers *timers, struct sl_timer *timer)
{
    sl_assert(timers != NULL);
    sl_assert(timer != NULL);
    if (!sl_timer_is_started(timer)) return;
    sl_list_remove(&timer->link);
    sl_assert(timers->count > 0);
    timers->count--;
}

/* Move the timers of one slot of a higher level down to where they belong now. */
static void slot_cascade(struct sl_timers *timers, int level)
{
    sl_assert(level > 0);
    sl_assert(level < SL_TIMER_LEVELS);
    unsigned slot = (unsigned)(timers->tick >> (LEVEL_BITS * level)) & SLOT_MASK;
    timers->used[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    struct sl_list *head = &timers->slots[level][slot];
    struct sl_list moved;
    sl_list_init(&moved);
    while (!sl_list_is_empty(head)) {
        struct sl_list *item = head->next;
        sl_list_remove(item);
        sl_list_insert(&moved, item);
    }
    while (!sl_list_is_empty(&moved)) {
        struct sl_timer *timer = sl_container_of(moved.next, struct sl_timer, link);
        sl_list_remove(&timer->link);
        timer_place(timers, timer);
    }
}

static uint32_t slot_fire(struct sl_timers *timers)
{
    unsigned slot = (unsigned)timers->tick & SLOT_MASK;
    struct sl_list *head = &timers->slots[0][slot];
    struct sl_list due;
    uint32_t fired = 0;
    timers->used[0][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    /* Take the list first: a function may start its timer again for this very tick. */
    sl_list_init(&due);
    while (!sl_list_is_empty(head)) {
        struct sl_list *item = head->next;
        sl_list_remove(item);
        sl_list_insert(&due, item);
    }
    while (!sl_list_is_empty(&due)) {
        struct sl_timer *timer = sl_container_of(due.next, struct sl_timer, link);
        sl_timer_stop(timers, timer);
        fired++;
        timer->fn(timer);
    }
    return fired;
}

/* Ticks until the next used slot of level 0 before the level wraps; 0 is the current slot. */
static unsigned level0_ahead(const struct sl_timers *timers)
{
    unsigned at = (unsigned)timers->tick & SLOT_MASK;
    for (unsigned slot = at; slot < SL_TIMER_SLOTS;) {
        uint64_t word = timers->used[0][slot / 64] >> (slot % 64);
        if (word != 0) return slot + (unsigned)__builtin_ctzll(word) - at;
        slot = (slot / 64 + 1) * 64;
    }
    return SL_TIMER_SLOTS - at;
}

uint32_t sl_timers_run(struct sl_timers *timers, uint64_t now_ns)
{
    sl_assert(timers != NULL);
    uint64_t now_tick = now_ns / SL_NS_PER_MS;
    uint32_t fired = 0;
    if (timers->count == 0 && now_tick >= timers->tick) {
        timers->tick = now_tick + 1;
        return 0;
    }
    while (timers->tick <= now_tick) {
        /* At the start of a level's slot, its timers come down. */
        for (int level = 1; level < SL_TIMER_LEVELS; level++) {
            if ((timers->tick & ((UINT64_C(1) << (LEVEL_BITS * level)) - 1)) != 0) break;
            slot_cascade(timers, level);
        }
        fired += slot_fire(timers);
        timers->tick++;
        if (((unsigned)timers->tick & SLOT_MASK) != 0) {
            uint64_t ahead = level0_ahead(timers);
            uint64_t left = now_tick + 1 > timers->tick ? now_tick + 1 - timers->tick : 0;
            timers->tick += ahead < left ? ahead : left;
        }
    }
    return fired;
}

uint64_t sl_timers_next_ns(const struct sl_timers *timers)
{
    sl_assert(timers != NULL);
    if (timers->count == 0) return UINT64_MAX;
    /* Timers of higher levels come down with this very tick: level 0 does not show them yet. */
    if ((timers->tick & SLOT_MASK) == 0) return timers->tick * SL_NS_PER_MS;
    return (timers->tick + level0_ahead(timers)) * SL_NS_PER_MS;
}
