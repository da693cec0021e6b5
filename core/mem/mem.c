/* SPDX-License-Identifier: MIT */
#include "core/mem/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem_fast.h"

#ifdef SL_HAVE_MIMALLOC
#include <mimalloc.h>
#endif

#ifdef SL_MEM_POISON
#include <sanitizer/asan_interface.h>
#define poison(block, size)   ASAN_POISON_MEMORY_REGION(block, size)
#define unpoison(block, size) ASAN_UNPOISON_MEMORY_REGION(block, size)
#else
#define poison(block, size)   ((void)(block), (void)(size))
#define unpoison(block, size) ((void)(block), (void)(size))
#endif

enum {
    MEM_CHUNK_SIZE = 256 * 1024,
    MEM_PAGE_SIZE = 4096,
};

/* Stands before every chunk and every large block. */
struct mem_chunk {
    struct mem_chunk *next;
    struct mem_chunk *prev;
    size_t size; /* bytes, this header included */
    size_t pad;
};

static_assert(sizeof(struct mem_chunk) == 32, "blocks behind a chunk header stay aligned to 16");

struct sl_mem {
    struct sl_mem_lists lists;
    uint8_t *chunk_at; /* next free byte of the open chunk */
    uint8_t *chunk_end;
    struct mem_chunk chunks;   /* ring of all chunks; this one is the head */
    struct sl_mem_stats stats; /* but `used`, which stands in the lists */
#ifdef SL_HAVE_MIMALLOC
    mi_heap_t *heap;
#endif
};

static_assert(offsetof(struct sl_mem, lists) == 0, "mem_fast.h takes one for the other");

size_t sl_mem_block_size(size_t size)
{
    return size > ((size_t)1 << SL_MEM_CLASS_MAX_SHIFT) ? size
                                                        : sl_mem_class_size(sl_mem_class_of(size));
}

static void *system_take(struct sl_mem *mem, size_t size)
{
#ifdef SL_HAVE_MIMALLOC
    return mi_heap_malloc_aligned(mem->heap, size, 64);
#else
    (void)mem;
    return aligned_alloc(64, (size + 63) & ~(size_t)63);
#endif
}

static void system_give(void *block)
{
#ifdef SL_HAVE_MIMALLOC
    mi_free(block);
#else
    free(block);
#endif
}

static __attribute__((cold)) struct mem_chunk *chunk_take(struct sl_mem *mem, size_t size)
{
    if (mem->stats.reserved + size > mem->stats.cap) {
        mem->stats.refused_count++;
        return NULL;
    }
    struct mem_chunk *chunk = system_take(mem, size);
    if (chunk == NULL) {
        mem->stats.refused_count++;
        return NULL;
    }
    mem->stats.system_calls++;
    mem->stats.reserved += size;
    chunk->size = size;
    chunk->next = mem->chunks.next;
    chunk->prev = &mem->chunks;
    chunk->next->prev = chunk;
    mem->chunks.next = chunk;
    return chunk;
}

struct sl_mem *sl_mem_new(size_t cap)
{
    struct sl_mem *mem = calloc(1, sizeof(*mem));
    if (mem == NULL) return NULL;
    mem->stats.cap = cap;
    mem->chunks.next = &mem->chunks;
    mem->chunks.prev = &mem->chunks;
#ifdef SL_HAVE_MIMALLOC
    mem->heap = mi_heap_new();
    if (mem->heap == NULL) {
        free(mem);
        return NULL;
    }
#endif
    return mem;
}

struct sl_mem *sl_mem_free(struct sl_mem *mem)
{
    if (mem == NULL) return NULL;
    for (struct mem_chunk *chunk = mem->chunks.next; chunk != &mem->chunks;) {
        struct mem_chunk *next = chunk->next;
        unpoison(chunk, chunk->size);
        system_give(chunk);
        chunk = next;
    }
#ifdef SL_HAVE_MIMALLOC
    mi_heap_delete(mem->heap);
#endif
    free(mem);
    return NULL;
}

static bool chunk_open(struct sl_mem *mem, size_t size)
{
    struct mem_chunk *chunk = chunk_take(mem, size);
    if (chunk == NULL) return false;
    mem->chunk_at = (uint8_t *)(chunk + 1);
    mem->chunk_end = (uint8_t *)chunk + size;
    poison(mem->chunk_at, size - sizeof(*chunk));
    return true;
}

/* What is left of the open chunk becomes free blocks, so that nothing of it is lost. */
static void chunk_close(struct sl_mem *mem)
{
    while (mem->chunk_end - mem->chunk_at >= ((ptrdiff_t)1 << SL_MEM_CLASS_MIN_SHIFT)) {
        size_t left = (size_t)(mem->chunk_end - mem->chunk_at);
        unsigned c = sl_mem_class_of(left);
        if (c >= SL_MEM_CLASSES_COUNT || sl_mem_class_size(c) > left) {
            c = c >= SL_MEM_CLASSES_COUNT ? SL_MEM_CLASSES_COUNT - 1 : c - 1;
        }
        struct sl_mem_block *block = (struct sl_mem_block *)mem->chunk_at;
        mem->chunk_at += sl_mem_class_size(c);
        unpoison(block, sizeof(*block));
        block->next = mem->lists.classes[c];
        mem->lists.classes[c] = block;
        poison(block, sl_mem_class_size(c));
    }
    mem->chunk_at = NULL;
    mem->chunk_end = NULL;
}

int sl_mem_reserve(struct sl_mem *mem, size_t size)
{
    sl_assert(mem != NULL);
    chunk_close(mem);
    size_t chunk_size = size + sizeof(struct mem_chunk);
    if (chunk_size < MEM_CHUNK_SIZE) chunk_size = MEM_CHUNK_SIZE;
    if (!chunk_open(mem, chunk_size)) return -ENOMEM;
    for (uint8_t *at = mem->chunk_at; at < mem->chunk_end; at += MEM_PAGE_SIZE) {
        unpoison(at, 1);
        *(volatile uint8_t *)at = 0; /* a write the compiler may not drop: it maps the page */
        poison(at, 1);
    }
    return 0;
}

static __attribute__((cold, noinline)) void *take_slow(struct sl_mem *mem, unsigned c)
{
    size_t size = sl_mem_class_size(c);
    size_t chunk_size = size * 4 > MEM_CHUNK_SIZE ? size * 4 : MEM_CHUNK_SIZE;
    chunk_close(mem);
    if (!chunk_open(mem, chunk_size + sizeof(struct mem_chunk)) &&
        !chunk_open(mem, size + sizeof(struct mem_chunk))) {
        return NULL;
    }
    void *block = mem->chunk_at;
    mem->chunk_at += size;
    return block;
}

static __attribute__((cold, noinline)) void *take_large(struct sl_mem *mem, size_t size)
{
    struct mem_chunk *chunk = chunk_take(mem, size + sizeof(*chunk));
    if (chunk == NULL) return NULL;
    mem->lists.used += size;
    return chunk + 1;
}

static inline void *take(struct sl_mem *mem, size_t size, size_t *ret_size)
{
    sl_assert(mem != NULL);
    if (__builtin_expect(size > ((size_t)1 << SL_MEM_CLASS_MAX_SHIFT), 0)) {
        *ret_size = size;
        return take_large(mem, size);
    }
    unsigned c = sl_mem_class_of(size);
    size_t block_size = sl_mem_class_size(c);
    void *block;
    struct sl_mem_block *head = mem->lists.classes[c];
    if (__builtin_expect(head != NULL, 1)) {
        unpoison(head, block_size);
        mem->lists.classes[c] = head->next;
        block = head;
    } else if ((size_t)(mem->chunk_end - mem->chunk_at) >= block_size) {
        block = mem->chunk_at;
        mem->chunk_at += block_size;
    } else {
        block = take_slow(mem, c);
        if (block == NULL) return NULL;
    }
    unpoison(block, block_size);
    mem->lists.used += block_size;
    *ret_size = block_size;
    return block;
}

void *sl_mem_take(struct sl_mem *mem, size_t size)
{
    size_t whole;
    return take(mem, size, &whole);
}

void *sl_mem_take_whole(struct sl_mem *mem, size_t size, size_t *ret_size)
{
    return take(mem, size, ret_size);
}

static __attribute__((cold, noinline)) void give_large(struct sl_mem *mem, void *block, size_t size)
{
    struct mem_chunk *chunk = (struct mem_chunk *)block - 1;
    sl_assert(chunk->size == size + sizeof(*chunk));
    chunk->prev->next = chunk->next;
    chunk->next->prev = chunk->prev;
    mem->lists.used -= size;
    mem->stats.reserved -= chunk->size;
    system_give(chunk);
}

void sl_mem_give(struct sl_mem *mem, void *block, size_t size)
{
    sl_assert(mem != NULL);
    if (block == NULL) return;
    if (__builtin_expect(size > ((size_t)1 << SL_MEM_CLASS_MAX_SHIFT), 0)) {
        give_large(mem, block, size);
        return;
    }
    unsigned c = sl_mem_class_of(size);
    struct sl_mem_block *head = block;
    head->next = mem->lists.classes[c];
    mem->lists.classes[c] = head;
    mem->lists.used -= sl_mem_class_size(c);
    poison(block, sl_mem_class_size(c));
}

void sl_mem_stats_get(const struct sl_mem *mem, struct sl_mem_stats *ret_stats)
{
    sl_assert(mem != NULL);
    sl_assert(ret_stats != NULL);
    *ret_stats = mem->stats;
    ret_stats->used = mem->lists.used;
}
