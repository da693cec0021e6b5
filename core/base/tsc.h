/* SPDX-License-Identifier: MIT */
/*
 * The processor's own tick counter, for durations inside one turn of a loop: about 8 ns to read,
 * where the system's clock costs 25. Ticks mean nothing by themselves; whoever reads them compares
 * with a clock (core/shard/loop.h does, each turn).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* True if ticks go at one speed for ever, on all cores. Cold: asks the processor. */
bool sl_tsc_is_steady(void);

static inline uint64_t sl_tsc_read(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/* Tell the processor that this is a loop that waits: the core's other thread may go first. */
static inline void sl_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
