/* SPDX-License-Identifier: MIT */
/* Whether the processor's ticks may be trusted. */
#include "core/base/tsc.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define TSC_LEAF      0x80000007U
#define TSC_INVARIANT (1U << 8)

bool sl_tsc_is_steady(void)
{
#ifdef __x86_64__
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(TSC_LEAF, &eax, &ebx, &ecx, &edx) && (edx & TSC_INVARIANT) != 0;
#else
    /* The generic timer of ARM is, by architecture; where there are no ticks, they are not. */
#ifdef __aarch64__
    return true;
#else
    return false;
#endif
#endif
}
