/* SPDX-License-Identifier: MIT */
/* Scratch memory; see arena.h. Chunks double in size up to a megabyte. */
#include "nodes/script/cel/arena.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"

enum {
    CHUNK_FIRST = 16 * 1024,
    CHUNK_LARGEST = 1024 * 1024,
};

struct sl_cel_chunk {
    struct sl_cel_chunk *next; /* older */
    struct sl_mem *mem;        /* owner, or NULL */
    size_t size;               /* with this header */
};

static void chunk_free(struct sl_cel_chunk *chunk)
{
    if (chunk->mem != NULL) {
        sl_mem_give(chunk->mem, chunk, chunk->size);
    } else {
        free(chunk);
    }
}

void sl_cel_arena_init(struct sl_cel_arena *arena, size_t cap)
{
    sl_assert(arena != NULL);
    *arena = (struct sl_cel_arena){.cap = cap};
}

void sl_cel_arena_fini(struct sl_cel_arena *arena)
{
    sl_assert(arena != NULL);
    while (arena->chunks != NULL) {
        struct sl_cel_chunk *next = arena->chunks->next;
        chunk_free(arena->chunks);
        arena->chunks = next;
    }
    sl_cel_arena_init(arena, arena->cap);
}

void sl_cel_arena_reset_slow(struct sl_cel_arena *arena)
{
    sl_assert(arena != NULL);
    struct sl_cel_chunk *chunk = arena->chunks;
    if (chunk == NULL) return;
    while (chunk->next != NULL) {
        struct sl_cel_chunk *next = chunk->next;
        chunk_free(chunk);
        chunk = next;
    }
    if (chunk->mem != NULL) {
        /* The first chunk came from a shard's memory: it does not outlive the evaluation. */
        chunk_free(chunk);
        arena->chunks = NULL;
        arena->at = NULL;
        arena->start = NULL;
        arena->end = NULL;
        arena->used = 0;
        return;
    }
    arena->chunks = chunk;
    arena->used = chunk->size;
    arena->at = (uint8_t *)chunk + sizeof(*chunk);
    arena->start = arena->at;
    arena->end = (uint8_t *)chunk + chunk->size;
}

void *sl_cel_arena_take_slow(struct sl_cel_arena *arena, size_t size)
{
    if (size > arena->cap) return NULL;
    size_t rounded = (size + 7) & ~(size_t)7;
    size_t want = arena->used < CHUNK_FIRST ? CHUNK_FIRST : arena->used;
    if (want > CHUNK_LARGEST) want = CHUNK_LARGEST;
    if (want < rounded + sizeof(struct sl_cel_chunk)) want = rounded + sizeof(struct sl_cel_chunk);
    if (want > arena->cap - arena->used) {
        want = rounded + sizeof(struct sl_cel_chunk);
        if (want > arena->cap - arena->used) return NULL;
    }
    struct sl_cel_chunk *chunk = arena->mem ? sl_mem_take(arena->mem, want) : malloc(want);
    if (chunk == NULL) return NULL;
    *chunk = (struct sl_cel_chunk){arena->chunks, arena->mem, want};
    arena->chunks = chunk;
    arena->used += want;
    arena->at = (uint8_t *)chunk + sizeof(*chunk) + rounded;
    arena->end = (uint8_t *)chunk + want;
    return (uint8_t *)chunk + sizeof(*chunk);
}

void *sl_cel_arena_zero(struct sl_cel_arena *arena, size_t size)
{
    void *block = sl_cel_arena_take(arena, size);
    if (block != NULL) memset(block, 0, size);
    return block;
}

void *sl_cel_arena_grow(struct sl_cel_arena *arena, void *block, size_t old_size, size_t size)
{
    sl_assert(size >= old_size);
    size_t old_rounded = (old_size + 7) & ~(size_t)7;
    if (block != NULL && (uint8_t *)block + old_rounded == arena->at &&
        (size_t)(arena->end - (uint8_t *)block) >= size + 7) {
        arena->at = (uint8_t *)block + ((size + 7) & ~(size_t)7);
        return block;
    }
    void *bigger = sl_cel_arena_take(arena, size);
    if (bigger != NULL && old_size > 0) memcpy(bigger, block, old_size);
    return bigger;
}
