/* SPDX-License-Identifier: MIT */
/*
 * Counting what is taken from the system's allocators: the program's own definitions stand before
 * those of the libraries (interpose.h), and count while they are asked to. A sanitizer brings its own
 * allocator: then nothing is counted.
 */
#include <stdatomic.h>

#include "bench/micro/measure.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
#endif

static _Atomic bool counting;
static _Atomic uint64_t calls;
static _Atomic uint64_t bytes;

void sl_micro_alloc_begin(void)
{
    atomic_store(&calls, 0);
    atomic_store(&bytes, 0);
    atomic_store(&counting, true);
}

void sl_micro_alloc_again(void)
{
    atomic_store(&calls, 0);
    atomic_store(&bytes, 0);
}

bool sl_micro_alloc_end(struct sl_micro_alloc *ret_alloc)
{
    atomic_store(&counting, false);
    ret_alloc->calls = atomic_load(&calls);
    ret_alloc->bytes = atomic_load(&bytes);
    return COUNTS != 0;
}

#if COUNTS

#include "bench/micro/interpose.h"

static inline void interposed(enum interposed_call call, size_t size)
{
    if (__builtin_expect(!atomic_load_explicit(&counting, memory_order_relaxed), 1)) return;
    if (call != INTERPOSED_TAKE && call != INTERPOSED_MI_TAKE) return;
    (void)atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

#endif
