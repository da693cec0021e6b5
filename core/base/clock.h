/* SPDX-License-Identifier: MIT */
/*
 * Time and randomness, behind one seam. The engine never asks the system itself: it asks the
 * clock it was given, so a simulator can run days in a second and repeat them from a seed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_NS_PER_US  UINT64_C(1000)
#define SL_NS_PER_MS  UINT64_C(1000000)
#define SL_NS_PER_SEC UINT64_C(1000000000)

struct sl_clock {
    uint64_t (*now_ns)(struct sl_clock *clock); /* monotonic, from an arbitrary start */
    int64_t (*wall_ns)(struct sl_clock *clock); /* since 1970-01-01T00:00:00Z */
    void (*random)(struct sl_clock *clock, void *buf, size_t size); /* fit for keys and UUIDs */
    bool has_ticks; /* goes with the processor's ticks (core/base/tsc.h); false: ask now_ns */
};

/* The machine's clock: CLOCK_MONOTONIC, CLOCK_REALTIME, getrandom(2). Any thread. */
struct sl_clock *sl_clock_system(void);

static inline uint64_t sl_clock_now_ns(struct sl_clock *clock)
{
    return clock->now_ns(clock);
}

/*
 * A deterministic clock for tests and the simulator. Time moves only by sl_clock_manual_advance;
 * random bytes come from the seed (xoshiro256**; not fit for keys).
 */
struct sl_clock_manual {
    struct sl_clock base; /* first: a pointer to it is a pointer to the whole */
    uint64_t now_ns;
    int64_t wall_ns;
    uint64_t state[4];
};

/* Set up a clock that stands still: monotonic time begins at 1 s, random numbers come from `seed`. */
void sl_clock_manual_init(struct sl_clock_manual *clock, uint64_t seed);
/* Let `ns` nanoseconds pass. */
void sl_clock_manual_advance(struct sl_clock_manual *clock, uint64_t ns);

/* A version 4 UUID as 36 characters and a zero byte. */
void sl_uuid_random(struct sl_clock *clock, char ret_text[37]);
