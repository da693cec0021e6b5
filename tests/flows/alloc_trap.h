/* SPDX-License-Identifier: MIT */
/* What the preloaded trap and the test share: one mapped file. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ALLOC_TRAP_FRAMES = 24 };

enum alloc_trap_call {
    ALLOC_TRAP_MALLOC,
    ALLOC_TRAP_FREE,
    ALLOC_TRAP_MMAP,
    ALLOC_TRAP_MI,
    ALLOC_TRAP_CALLS
};

struct alloc_trap {
    _Atomic bool armed; /* written by the test */
    _Atomic uint64_t counts[ALLOC_TRAP_CALLS];
    char stack[4096]; /* of the first call of a kind, text */
};
