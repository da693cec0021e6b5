/* SPDX-License-Identifier: MIT */
/*
 * The part of core/mem that the message path inlines: a block of a known size is popped from, or
 * pushed onto, the list of its class. With a constant size the class is a constant too, so both
 * are four instructions; by a call each was 45 (callgrind, five blocks a request).
 *
 * Everything that is not the common case (an empty list, a large block, poisoning) is in mem.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"

/* Under AddressSanitizer free blocks are poisoned, and only mem.c does that. */
#if defined(__SANITIZE_ADDRESS__)
#define SL_MEM_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SL_MEM_POISON 1
#endif
#endif

enum {
    SL_MEM_CLASS_MIN_SHIFT = 5,  /* 32 bytes */
    SL_MEM_CLASS_MAX_SHIFT = 20, /* 1 MiB */
    SL_MEM_CLASSES_COUNT = (SL_MEM_CLASS_MAX_SHIFT - SL_MEM_CLASS_MIN_SHIFT) * 2 + 1,
};

/* A free block. */
struct sl_mem_block {
    struct sl_mem_block *next;
};

/* First member of struct sl_mem. Written by the owner only. */
struct sl_mem_lists {
    struct sl_mem_block *classes[SL_MEM_CLASSES_COUNT];
    uint64_t used; /* bytes handed out, rounded to classes */
};

/*
 * Class c holds blocks of 2^s bytes (even c) or 1.5 * 2^s bytes (odd c): the two highest bits of
 * size - 1 say which.
 */
static inline unsigned sl_mem_class_of(size_t size)
{
    if (size <= ((size_t)1 << SL_MEM_CLASS_MIN_SHIFT)) return 0;
    unsigned shift = 63U - (unsigned)__builtin_clzll((unsigned long long)(size - 1));
    unsigned top = (unsigned)((size - 1) >> (shift - 1)); /* 2: at most 1.5 * 2^shift; 3: more */
    return (shift - SL_MEM_CLASS_MIN_SHIFT) * 2 + top - 1;
}

/* Bytes of a block of class `c`. */
static inline size_t sl_mem_class_size(unsigned c)
{
    return (size_t)(2 + (c & 1)) << (SL_MEM_CLASS_MIN_SHIFT - 1 + c / 2);
}

/* A block of class `c`. */
static inline void *sl_mem_take_class(struct sl_mem *mem, unsigned c)
{
#ifndef SL_MEM_POISON
    sl_assert(mem != NULL);
    struct sl_mem_lists *lists = (struct sl_mem_lists *)mem;
    struct sl_mem_block *block = lists->classes[c];
    if (__builtin_expect(block != NULL, 1)) {
        lists->classes[c] = block->next;
        lists->used += sl_mem_class_size(c);
        return block;
    }
#endif
    return sl_mem_take(mem, sl_mem_class_size(c));
}

/* sl_mem_take for a size that has a class; best if it is known when this is compiled. */
static inline void *sl_mem_take_fast(struct sl_mem *mem, size_t size)
{
    return sl_mem_take_class(mem, sl_mem_class_of(size));
}

/* sl_mem_give for a size that is known when this is compiled; `block` is not NULL. */
static inline void sl_mem_give_fast(struct sl_mem *mem, void *block, size_t size)
{
#ifndef SL_MEM_POISON
    sl_assert(mem != NULL);
    sl_assert(block != NULL);
    unsigned c = sl_mem_class_of(size);
    struct sl_mem_lists *lists = (struct sl_mem_lists *)mem;
    struct sl_mem_block *head = block;
    head->next = lists->classes[c];
    lists->classes[c] = head;
    lists->used -= sl_mem_class_size(c);
#else
    sl_mem_give(mem, block, size);
#endif
}
