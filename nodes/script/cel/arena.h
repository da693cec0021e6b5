/* SPDX-License-Identifier: MIT */
/*
 * Scratch memory of the CEL folder: blocks are taken from the front of chunks and given back all
 * at once. One arena holds a program (its tree, types, code and constants) for as long as the
 * program lives; one per shard holds what an evaluation makes and is reset before the next.
 *
 * The first chunk of a shard's arena is kept over resets, so an evaluation that needs no more than
 * that takes nothing from the system.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sl_mem;
struct sl_cel_chunk;

struct sl_cel_arena {
    uint8_t *at;    /* next free byte of the newest chunk */
    uint8_t *end;   /* behind its last byte */
    uint8_t *start; /* where `at` stood after the last reset */
    struct sl_cel_chunk *chunks;
    struct sl_mem *mem; /* where later chunks come from; NULL: the heap */
    size_t used;        /* bytes of all chunks */
    size_t cap;         /* bytes; an allocation beyond it fails */
};

/* Start an arena of at most `cap` bytes; it takes nothing yet. */
void sl_cel_arena_init(struct sl_cel_arena *arena, size_t cap);

/* Give everything back. The arena is as after _init. */
void sl_cel_arena_fini(struct sl_cel_arena *arena);

/* Forget all blocks; keep the oldest chunk, give the others back. Only for the inline form. */
void sl_cel_arena_reset_slow(struct sl_cel_arena *arena);

/* The same; `mem` serves from here on. */
static inline void sl_cel_arena_reset(struct sl_cel_arena *arena, struct sl_mem *mem)
{
    arena->mem = mem;
    if (arena->at != arena->start) sl_cel_arena_reset_slow(arena);
}

/* A block when the newest chunk is full: only for the inline form below. */
void *sl_cel_arena_take_slow(struct sl_cel_arena *arena, size_t size);

/* A block aligned to 8, valid until reset; NULL when the cap is reached or for no memory. */
static inline void *sl_cel_arena_take(struct sl_cel_arena *arena, size_t size)
{
    size_t rounded = (size + 7) & ~(size_t)7;
    if (rounded < size || (size_t)(arena->end - arena->at) < rounded) {
        return sl_cel_arena_take_slow(arena, size);
    }
    void *block = arena->at;
    arena->at += rounded;
    return block;
}

/* The same, filled with zeros. */
void *sl_cel_arena_zero(struct sl_cel_arena *arena, size_t size);

/*
 * A larger block with the same contents; the old one is lost to the arena, except that the newest
 * block of a chunk grows in place. NULL as above; then the old block is still valid.
 */
void *sl_cel_arena_grow(struct sl_cel_arena *arena, void *block, size_t old_size, size_t size);
