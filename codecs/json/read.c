/* SPDX-License-Identifier: MIT */
/* Which of the parsers this machine can run. */
#include "codecs/json/read.h"

bool json_read_can_run(json_read_fn *fn)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
                __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                __builtin_cpu_supports("popcnt");
    if (fn == json_read_avx2) return avx2;
    if (fn == json_read_avx512) {
        return avx2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
    }
#endif
    return fn == json_read_plain;
}

json_read_fn *json_read_best = json_read_plain;

static __attribute__((constructor)) void read_choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (json_read_can_run(json_read_avx2)) json_read_best = json_read_avx2;
    if (json_read_can_run(json_read_avx512)) json_read_best = json_read_avx512;
#endif
}
