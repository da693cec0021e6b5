/* SPDX-License-Identifier: MIT */
#include "core/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/assertion.h"

static uint64_t system_now_ns(struct sl_clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static int64_t system_wall_ns(struct sl_clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)SL_NS_PER_SEC + now.tv_nsec;
}

static void system_random(struct sl_clock *clock, void *buf, size_t size)
{
    (void)clock;
    uint8_t *at = buf;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0) continue; /* EINTR is the only error for valid memory: getrandom(2) */
        at += got;
        size -= (size_t)got;
    }
}

struct sl_clock *sl_clock_system(void)
{
    static struct sl_clock clock = {system_now_ns, system_wall_ns, system_random, true};
    return &clock;
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256**, Blackman and Vigna, 2018. */
static uint64_t xoshiro_next(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static uint64_t manual_now_ns(struct sl_clock *clock)
{
    return ((struct sl_clock_manual *)clock)->now_ns;
}

static int64_t manual_wall_ns(struct sl_clock *clock)
{
    return ((struct sl_clock_manual *)clock)->wall_ns;
}

static void manual_random(struct sl_clock *clock, void *buf, size_t size)
{
    struct sl_clock_manual *manual = (struct sl_clock_manual *)clock;
    uint8_t *at = buf;
    while (size > 0) {
        uint64_t word = xoshiro_next(manual->state);
        size_t part = size < sizeof(word) ? size : sizeof(word);
        memcpy(at, &word, part);
        at += part;
        size -= part;
    }
}

void sl_clock_manual_init(struct sl_clock_manual *clock, uint64_t seed)
{
    sl_assert(clock != NULL);
    *clock = (struct sl_clock_manual){
        .base = {manual_now_ns, manual_wall_ns, manual_random, false},
        .now_ns = SL_NS_PER_SEC,
        .wall_ns = INT64_C(1700000000) * (int64_t)SL_NS_PER_SEC,
    };
    /* splitmix64 spreads a small seed over the whole state. */
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        clock->state[i] = z ^ (z >> 31);
    }
}

void sl_clock_manual_advance(struct sl_clock_manual *clock, uint64_t ns)
{
    clock->now_ns += ns;
    clock->wall_ns += (int64_t)ns;
}

void sl_uuid_random(struct sl_clock *clock, char ret_text[37])
{
    uint8_t b[16];
    clock->random(clock, b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* version 4: RFC 9562 section 5.4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    (void)snprintf(ret_text, 37,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}
