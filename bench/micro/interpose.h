/* SPDX-License-Identifier: MIT */
/*
 * Definitions of what takes memory from the system, before those of the libraries: each tells
 * interposed() and hands on. Included by exactly one file of a program, or of a library that is
 * preloaded, which defines interposed(). Both names of the allocator are here: libc's, which libraries
 * call, and mimalloc's own, which core/mem calls.
 */
#pragma once

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum interposed_call { INTERPOSED_TAKE, INTERPOSED_GIVE, INTERPOSED_MI_TAKE, INTERPOSED_MI_GIVE };

/* `size` bytes are taken; 0 where something is given back. Any thread, at any time. */
static void interposed(enum interposed_call call, size_t size);

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
    interposed(INTERPOSED_TAKE, size);
    return next != NULL ? next(size) : early_take(size);
}

void *calloc(size_t number, size_t size)
{
    NEXT(calloc, take_two_fn)
    interposed(INTERPOSED_TAKE, number * size);
    return next != NULL ? next(number, size) : early_take(number * size);
}

void *realloc(void *block, size_t size)
{
    NEXT(realloc, again_fn)
    interposed(INTERPOSED_TAKE, size);
    return next != NULL ? next(block, size) : early_take(size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    NEXT(aligned_alloc, take_two_fn)
    interposed(INTERPOSED_TAKE, size);
    return next != NULL ? next(alignment, size) : NULL;
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    typedef int memalign_fn(void **, size_t, size_t);
    NEXT(posix_memalign, memalign_fn)
    interposed(INTERPOSED_TAKE, size);
    return next != NULL ? next(ret_block, alignment, size) : 12;
}

void free(void *block)
{
    NEXT(free, give_fn)
    if ((char *)block >= early && (char *)block < early + sizeof(early)) return;
    if (block != NULL) interposed(INTERPOSED_GIVE, 0);
    if (next != NULL) next(block);
}

void *mi_malloc(size_t size);
void *mi_malloc(size_t size)
{
    NEXT(mi_malloc, take_fn)
    interposed(INTERPOSED_MI_TAKE, size);
    return next(size);
}

void *mi_heap_malloc(void *heap, size_t size);
void *mi_heap_malloc(void *heap, size_t size)
{
    NEXT(mi_heap_malloc, again_fn)
    interposed(INTERPOSED_MI_TAKE, size);
    return next(heap, size);
}

void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment);
void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment)
{
    NEXT(mi_heap_malloc_aligned, heap_take_two_fn)
    interposed(INTERPOSED_MI_TAKE, size);
    return next(heap, size, alignment);
}

void mi_free(void *block);
void mi_free(void *block)
{
    NEXT(mi_free, give_fn)
    if (block != NULL) interposed(INTERPOSED_MI_GIVE, 0);
    next(block);
}
