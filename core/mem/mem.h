/* SPDX-License-Identifier: MIT */
/*
 * The memory of one thread: a sized-free allocator over size classes, fed by chunks that are
 * taken from the system and never given back before sl_mem_free.
 *
 *     class      32  48  64  96  128  192 … 1 MiB     (two classes per power of two)
 *     freelist   o→o→o   o       o→o
 *     chunks     [ 256 KiB ] [ 256 KiB ] …            carved from the front
 *
 * Every block of a class comes from a chunk or from the class's list of free blocks, so after
 * warm-up the message path takes nothing from the system. Blocks above the largest class go to
 * the heap one by one and count against the cap like the rest.
 *
 * One thread owns a `struct sl_mem`; only it may allocate and free. Freed blocks are poisoned
 * under AddressSanitizer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sl_mem;

struct sl_mem_stats {
    uint64_t used;          /* bytes handed out, rounded to classes */
    uint64_t reserved;      /* bytes taken from the system */
    uint64_t cap;           /* bytes */
    uint64_t system_calls;  /* times the system was asked: chunks and large blocks */
    uint64_t refused_count; /* allocations refused by the cap */
};

/*
 * Make an allocator that takes at most `cap` bytes from the system.
 *
 * returns  owned by the caller, or NULL for no memory
 */
struct sl_mem *sl_mem_new(size_t cap);

/* Free everything at once, blocks still in use included. NULL is fine; returns NULL. */
struct sl_mem *sl_mem_free(struct sl_mem *mem);

/* Reserve and touch `size` bytes, so that later allocations cause no page fault. 0 or -ENOMEM. */
int sl_mem_reserve(struct sl_mem *mem, size_t size);

/*
 * Take a block of at least `size` bytes, aligned to 16. Contents are undefined.
 *
 * returns  NULL when the cap is reached or the system has no memory
 */
void *sl_mem_take(struct sl_mem *mem, size_t size);

/* The same, and how large the block really is; it is given back with either size. */
void *sl_mem_take_whole(struct sl_mem *mem, size_t size, size_t *ret_size);

/* Give back a block of `size` bytes, the size it was taken with. NULL is fine. */
void sl_mem_give(struct sl_mem *mem, void *block, size_t size);

/* The size that a block taken with `size` really has. */
size_t sl_mem_block_size(size_t size);

/* Copy the counters. The memory's thread. */
void sl_mem_stats_get(const struct sl_mem *mem, struct sl_mem_stats *ret_stats);
