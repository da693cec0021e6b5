/* SPDX-License-Identifier: MIT */
/*
 * Counting what is taken from the system's allocators: the program's own definitions stand before
 * those of the libraries, count while they are asked to, and hand on.
 *
 * Both names of the allocator are counted: libc's, which libraries call, and mimalloc's own, which
 * core/mem calls. A sanitizer brings its own allocator: then nothing is counted.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

bool sl_micro_alloc_end(struct sl_micro_alloc *ret_alloc)
{
    atomic_store(&counting, false);
    ret_alloc->calls = atomic_load(&calls);
    ret_alloc->bytes = atomic_load(&bytes);
    return COUNTS != 0;
}

#if COUNTS

static inline void count(size_t size)
{
    if (__builtin_expect(!atomic_load_explicit(&counting, memory_order_relaxed), 1)) return;
    (void)atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

/* What dlsym itself asks for before there is an answer. */
static _Alignas(16) char early[16384];
static size_t early_used;

static void *early_take(size_t size)
{
    size_t at = early_used;
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof(early) ? early + at : NULL;
}

/* The next definition behind ours. */
static void next_find(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(ret_function, &found, sizeof(found));
}

#define NEXT(name, type)                                                                           \
    static type *next;                                                                             \
    static __thread bool looking;                                                                  \
    if (__builtin_expect(next == NULL, 0) && !looking) {                                           \
        looking = true;                                                                            \
        next_find(#name, (void *)&next);                                                           \
        looking = false;                                                                           \
    }

typedef void *take_fn(size_t);
typedef void *take_two_fn(size_t, size_t);
typedef void *again_fn(void *, size_t);
typedef void *heap_take_two_fn(void *, size_t, size_t);
typedef void give_fn(void *);

void *malloc(size_t size)
{
    NEXT(malloc, take_fn)
    count(size);
    return next != NULL ? next(size) : early_take(size);
}

void *calloc(size_t number, size_t size)
{
    NEXT(calloc, take_two_fn)
    count(number * size);
    return next != NULL ? next(number, size) : early_take(number * size);
}

void *realloc(void *block, size_t size)
{
    NEXT(realloc, again_fn)
    count(size);
    return next != NULL ? next(block, size) : early_take(size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    NEXT(aligned_alloc, take_two_fn)
    count(size);
    return next != NULL ? next(alignment, size) : NULL;
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    typedef int memalign_fn(void **, size_t, size_t);
    NEXT(posix_memalign, memalign_fn)
    count(size);
    return next != NULL ? next(ret_block, alignment, size) : 12;
}

void free(void *block)
{
    NEXT(free, give_fn)
    if ((char *)block >= early && (char *)block < early + sizeof(early)) return;
    if (next != NULL) next(block);
}

void *mi_malloc(size_t size);
void *mi_malloc(size_t size)
{
    NEXT(mi_malloc, take_fn)
    count(size);
    return next(size);
}

void *mi_heap_malloc(void *heap, size_t size);
void *mi_heap_malloc(void *heap, size_t size)
{
    NEXT(mi_heap_malloc, again_fn)
    count(size);
    return next(heap, size);
}

void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment);
void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment)
{
    NEXT(mi_heap_malloc_aligned, heap_take_two_fn)
    count(size);
    return next(heap, size, alignment);
}

#endif
