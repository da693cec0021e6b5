/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: memory of buffers, walking, the limits of a walk.
 * Nobody else includes it.
 */
#pragma once

#include <stdlib.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem_fast.h"

enum {
    FLAT_BLOCK_MAX = 65535 * 16, /* a header's block: what block_units can say */
    FLAT_FRAMES_MAX = SL_PAYLOAD_DEPTH_MAX + 1,
};

/* `mem` NULL is the heap. */
static inline void *flat_take(struct sl_mem *mem, size_t size)
{
    return mem != NULL ? sl_mem_take(mem, size) : malloc(size);
}

static inline void flat_give(struct sl_mem *mem, void *block, size_t size)
{
    if (mem != NULL) {
        sl_mem_give(mem, block, size);
    } else {
        free(block);
    }
}

/* The same for a block of at most FLAT_BLOCK_MAX bytes; how many it has is in *ret_size. */
static inline void *flat_block_take(struct sl_mem *mem, size_t size, size_t *ret_size)
{
    *ret_size = size;
    if (mem == NULL) return malloc(size);
    unsigned c = sl_mem_class_of(size);
    size_t whole = sl_mem_class_size(c);
    if (whole <= FLAT_BLOCK_MAX) *ret_size = whole;
    return sl_mem_take_class(mem, c);
}

static inline void flat_block_give(struct sl_mem *mem, void *block, size_t size)
{
    if (mem != NULL) {
        sl_mem_give_fast(mem, block, size);
    } else {
        free(block);
    }
}

static_assert(FLAT_BLOCK_MAX <= 1 << SL_MEM_CLASS_MAX_SHIFT, "blocks have a class");

/* sl_buf_new of what does not fit one block. */
struct sl_buf *flat_buf_new_large(struct sl_mem *mem, uint32_t cells_cap, uint32_t bytes_cap);

/* sl_buf_new (flat_build_fast.h), inline. */
static inline __attribute__((always_inline)) struct sl_buf *
flat_buf_new_fast(struct sl_mem *mem, uint32_t cells_cap, uint32_t bytes_cap)
{
    if (cells_cap == 0) cells_cap = 1;
    size_t cells_size = (size_t)cells_cap * sizeof(struct sl_cell);
    size_t size = (sizeof(struct sl_buf) + cells_size + bytes_cap + 15) & ~(size_t)15;
    if (__builtin_expect(size > FLAT_BLOCK_MAX, 0)) {
        return flat_buf_new_large(mem, cells_cap, bytes_cap);
    }
    struct sl_buf *buf = flat_block_take(mem, size, &size);
    if (__builtin_expect(buf == NULL, 0)) return NULL;
    struct sl_cell *cells = (struct sl_cell *)(buf + 1);
    *buf = (struct sl_buf){
        .refs = 1,
        .cells_cap = cells_cap,
        .bytes_cap = (uint32_t)(size - sizeof(*buf) - cells_size),
        .cells = cells,
        .bytes = (uint8_t *)(cells + cells_cap),
        .mem = mem,
        .block_units = (uint16_t)(size / 16),
    };
    return buf;
}

/* Bytes of the header's block; true if `ptr` points into it. */
static inline size_t flat_block_size(const struct sl_buf *buf)
{
    return (size_t)buf->block_units * 16;
}

static inline bool flat_is_inline(const struct sl_buf *buf, const void *ptr)
{
    return (uintptr_t)ptr - (uintptr_t)buf < flat_block_size(buf);
}

/*
 * Take `size` bytes (a multiple of 8) from the unused end of the header's block, for as long as the
 * buffer lives; NULL if they do not fit there. Owners and lazies stand there.
 */
static inline void *flat_tail_take(struct sl_buf *buf, uint32_t size)
{
    sl_assert(size % 8 == 0);
    if (buf->bytes_cap == 0 || !flat_is_inline(buf, buf->bytes)) return NULL;
    uint32_t cap = buf->bytes_cap - buf->bytes_cap % 8;
    if (cap < buf->bytes_size + size) return NULL;
    buf->bytes_cap = cap - size;
    return buf->bytes + buf->bytes_cap;
}

enum { FLAT_OWNERS_MIN = 4 }; /* room of the first array of owners */

/* The first owner of a buffer with room behind its bytes, as a reader of requests has it. */
static inline bool flat_own_first(struct sl_buf *buf, struct sl_buf *owner)
{
    if (buf->owners_count != 0) return false;
    struct sl_buf **owners = flat_tail_take(buf, FLAT_OWNERS_MIN * sizeof(*owners));
    if (owners == NULL) return false;
    owners[0] = owner;
    buf->owners = owners;
    buf->owners_count = 1;
    owner->refs++;
    return true;
}

/* List `owner` among the owners of `buf` and count it once. 0 or -ENOMEM. */
int flat_buf_own(struct sl_buf *buf, struct sl_buf *owner);

/* Give back the block of cells or of bytes if it is not part of the header's block. */
void flat_cells_give(struct sl_buf *buf);
void flat_bytes_give(struct sl_buf *buf);

/* Cells of its own range that a container's children take; 0 for a scalar. */
static inline uint32_t flat_children(const struct sl_cell *cell)
{
    switch (cell->kind) {
    case SL_VALUE_LIST: return cell->len;
    case SL_VALUE_MAP: return 2 * cell->len + (cell->flags & SL_CELL_INDEXED);
    case SL_VALUE_ERROR: return SL_ERROR_CELLS;
    default: return 0;
    }
}

static inline bool flat_is_container(const struct sl_cell *cell)
{
    return cell->kind >= SL_VALUE_LIST && cell->kind <= SL_VALUE_ERROR;
}

/* True for a part that is not decoded yet, here or behind a Ref. */
static inline bool flat_is_lazy(const struct sl_cell *cell)
{
    if (cell->kind == SL_VALUE_REF) cell = &cell->ref->cells[cell->len];
    return cell->kind == SL_VALUE_LAZY;
}

static_assert(SL_VALUE_LIST + 1 == SL_VALUE_MAP, "containers stand in a row");
static_assert(SL_VALUE_MAP + 1 == SL_VALUE_ERROR, "containers stand in a row");
static_assert(SL_CELL_INDEXED == 1, "the flag counts the index cell");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sealed bytes are the cells themselves");

/* What a value would take flat, with every Ref followed and every Lazy decoded. */
struct flat_size {
    uint64_t cells;
    uint64_t bytes;
    uint32_t depth;
};

enum {
    FLAT_WALK_LAZIES = 1, /* decode Lazies; else each is one cell */
};

/*
 * Measure `value` by walking it, without recursion.
 *
 * returns  0, or -E2BIG as soon as a limit of payloads is passed
 */
int flat_measure(struct sl_value value, unsigned flags, struct flat_size *ret_size);

/*
 * Write `value` flat: cells[cells_count - 1] is the root, every range of children stands before
 * its parent, bytes in the order of falling cells. The sizes are those of flat_measure.
 */
void flat_write(struct sl_value value, struct sl_cell *cells, uint32_t cells_count, uint8_t *bytes);

/* The deepest nesting in a tape whose last cell is the root; the tape is valid. */
uint16_t flat_tape_depth(struct sl_buf *buf);

/* -------- maps (map.c) -------- */

/*
 * Remove keys that stand twice among `pairs_count` pairs: the key keeps its place and gets the
 * last value. `pos` (or NULL) moves along. `order` (from flat_pairs_sort) may be NULL for at most
 * SL_PAYLOAD_MAP_INDEX_MIN pairs. returns the pairs that are left.
 */
uint32_t flat_pairs_dedupe(const struct sl_buf *buf, struct sl_cell *pairs, struct sl_pos *pos,
                           uint32_t pairs_count, const uint32_t *order);

/*
 * Sort the numbers of `pairs_count` pairs by hash, bytes, length of their keys into `order`.
 * `scratch` has room for pairs_count numbers too. returns true if some key stands twice.
 */
bool flat_pairs_sort(const struct sl_buf *buf, const struct sl_cell *pairs, uint32_t pairs_count,
                     uint32_t *order, uint32_t *scratch);

/* Order of two key cells: hash, bytes, length. */
int flat_key_compare(const uint8_t *a_bytes, const struct sl_cell *a, const uint8_t *b_bytes,
                     const struct sl_cell *b);
