/* SPDX-License-Identifier: MIT */
/*
 * Buffers: memory, counting, immortality, and following Refs and Lazies.
 *
 *     one block   | struct sl_buf | cells … | bytes … |      as long as both fit where they began
 *     grown       | struct sl_buf | (idle)            |   → cells   → bytes   (blocks of their own)
 *
 * A buffer that dies drops its owners, which may die with it; chains of owners may be long, so the
 * dead wait in a list that runs through their own memory instead of on the stack.
 */
#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_internal.h"

#include <errno.h>

/* At first: the owners' array stands at their end. With it the header's block is made of 16 bytes. */
enum { BUFFER_OWNED_BYTES = 48 };

static_assert((sizeof(struct sl_buf) + BUFFER_OWNED_BYTES) % 16 == 0, "units of blocks");

const struct sl_cell sl_cell_null = {.kind = SL_VALUE_NULL};
const struct sl_cell sl_cell_true = {.kind = SL_VALUE_BOOL, .word = 1};
const struct sl_cell sl_cell_false = {.kind = SL_VALUE_BOOL, .word = 0};

/* What a Lazy becomes whose decoder found no memory: an Error like any other, never freed. */
static const struct sl_cell no_memory_cells[SL_ERROR_CELLS + 1] = {
    {.kind = SL_VALUE_STRING, .len = 9, .word = 0},
    {.kind = SL_VALUE_STRING, .len = 9, .word = 9},
    {.kind = SL_VALUE_NULL},
    {.kind = SL_VALUE_NULL},
    {.kind = SL_VALUE_INT, .word = 503},
    {.kind = SL_VALUE_ERROR, .len = SL_ERROR_CELLS, .word = 0},
};
static const char no_memory_bytes[] = "no_memoryno memory";
static const struct sl_buf no_memory_buf = {
    .refs = SL_BUF_IMMORTAL,
    .cells_count = SL_ERROR_CELLS + 1,
    .bytes_size = sizeof(no_memory_bytes) - 1,
    .cells = (struct sl_cell *)no_memory_cells,
    .bytes = (uint8_t *)no_memory_bytes,
    .depth = 1,
    .weight = SL_ERROR_CELLS + 1,
};

static struct sl_value value_no_memory(void)
{
    return (struct sl_value){(struct sl_buf *)&no_memory_buf, &no_memory_cells[SL_ERROR_CELLS]};
}

/* Cells and bytes in blocks of their own: the header's block cannot hold them. */
__attribute__((cold)) struct sl_buf *flat_buf_new_large(struct sl_mem *mem, uint32_t cells_cap,
                                                        uint32_t bytes_cap)
{
    struct sl_buf *buf = sl_buf_new(mem, 0, 0);
    if (buf == NULL) return NULL;
    struct sl_cell *cells = flat_take(mem, (size_t)cells_cap * sizeof(*cells));
    uint8_t *bytes = bytes_cap > 0 ? flat_take(mem, bytes_cap) : NULL;
    if (cells == NULL || (bytes_cap > 0 && bytes == NULL)) {
        flat_give(mem, cells, (size_t)cells_cap * sizeof(*cells));
        flat_give(mem, bytes, bytes_cap);
        sl_buf_unref(buf);
        return NULL;
    }
    buf->cells = cells;
    buf->cells_cap = cells_cap;
    if (bytes_cap > 0) {
        buf->bytes = bytes;
        buf->bytes_cap = bytes_cap;
    }
    return buf;
}

struct sl_buf *sl_buf_new(struct sl_mem *mem, uint32_t cells_cap, uint32_t bytes_cap)
{
    return flat_buf_new_fast(mem, cells_cap, bytes_cap);
}

/* sl_buf_new_owned of many cells, or with an owner that is not counted. */
static __attribute__((noinline)) struct sl_buf *
owned_new_slow(struct sl_mem *mem, uint32_t cells_cap, struct sl_buf *owner)
{
    if (cells_cap > SL_PAYLOAD_CELLS_MAX) cells_cap = SL_PAYLOAD_CELLS_MAX;
    struct sl_buf *buf = sl_buf_new(mem, cells_cap, BUFFER_OWNED_BYTES);
    if (buf == NULL || owner->refs == SL_BUF_IMMORTAL) return buf;
    if (flat_buf_own(buf, owner) == 0) return buf;
    sl_buf_unref(buf);
    return NULL;
}

struct sl_buf *sl_buf_new_owned(struct sl_mem *mem, uint32_t cells_cap, struct sl_buf *owner)
{
    sl_assert(owner != NULL);
    sl_assert(cells_cap > 0);
    size_t cells_size = (size_t)cells_cap * sizeof(struct sl_cell);
    size_t size = sizeof(struct sl_buf) + cells_size + BUFFER_OWNED_BYTES;
    if (__builtin_expect(size > FLAT_BLOCK_MAX || owner->refs == SL_BUF_IMMORTAL, 0)) {
        return owned_new_slow(mem, cells_cap, owner);
    }
    struct sl_buf *buf = flat_block_take(mem, size, &size);
    if (__builtin_expect(buf == NULL, 0)) return NULL;
    struct sl_cell *cells = (struct sl_cell *)(buf + 1);
    struct sl_buf **owners = (struct sl_buf **)((uint8_t *)buf + size) - FLAT_OWNERS_MIN;
    *buf = (struct sl_buf){
        .refs = 1,
        .cells_cap = cells_cap,
        .bytes_cap = (uint32_t)((uint8_t *)owners - (uint8_t *)(cells + cells_cap)),
        .owners_count = 1,
        .cells = cells,
        .bytes = (uint8_t *)(cells + cells_cap),
        .owners = owners,
        .mem = mem,
        .block_units = (uint16_t)(size / 16),
    };
    owners[0] = owner;
    owner->refs++;
    return buf;
}

void flat_cells_give(struct sl_buf *buf)
{
    if (buf->cells_cap == 0 || flat_is_inline(buf, buf->cells)) return;
    flat_give(buf->mem, buf->cells, (size_t)buf->cells_cap * sizeof(*buf->cells));
}

void flat_bytes_give(struct sl_buf *buf)
{
    if (buf->bytes_cap == 0 || flat_is_inline(buf, buf->bytes)) return;
    flat_give(buf->mem, buf->bytes, buf->bytes_cap);
}

/* Room of the owners' array: a power of two, four at first. */
static size_t owners_cap(uint16_t owners_count)
{
    size_t cap = FLAT_OWNERS_MIN;
    while (cap < owners_count) cap *= 2;
    return cap;
}

static void owners_give(struct sl_buf *buf)
{
    if (buf->owners_count == 0 || flat_is_inline(buf, buf->owners)) return;
    flat_give(buf->mem, buf->owners, owners_cap(buf->owners_count) * sizeof(struct sl_buf *));
}

/*
 * The array is full for its 16-bit count: one buffer without cells takes all owners over, and
 * becomes the only one.
 */
static __attribute__((cold)) int owners_hand_over(struct sl_buf *buf)
{
    struct sl_buf *holder = sl_buf_new(buf->mem, 0, 0);
    struct sl_buf **owners = flat_take(buf->mem, owners_cap(1) * sizeof(struct sl_buf *));
    if (holder == NULL || owners == NULL) {
        sl_buf_unref(holder);
        flat_give(buf->mem, owners, owners_cap(1) * sizeof(struct sl_buf *));
        return -ENOMEM;
    }
    holder->owners = buf->owners;
    holder->owners_count = buf->owners_count;
    owners[0] = holder;
    buf->owners = owners;
    buf->owners_count = 1;
    return 0;
}

int flat_buf_own(struct sl_buf *buf, struct sl_buf *owner)
{
    sl_assert(owner->refs != SL_BUF_IMMORTAL);
    if (flat_own_first(buf, owner)) return 0;
    if (buf->owners_count == UINT16_MAX && owners_hand_over(buf) < 0) return -ENOMEM;
    uint16_t count = buf->owners_count;
    if (count == 0 || (count >= 4 && (count & (count - 1)) == 0)) {
        size_t cap = owners_cap((uint16_t)(count + 1));
        struct sl_buf **owners = flat_take(buf->mem, cap * sizeof(struct sl_buf *));
        if (owners == NULL) return -ENOMEM;
        if (count > 0) {
            memcpy(owners, buf->owners, count * sizeof(struct sl_buf *));
            owners_give(buf);
        }
        buf->owners = owners;
    }
    buf->owners[buf->owners_count++] = owner;
    owner->refs++;
    return 0;
}

/* Drop one count; at zero the buffer joins the list of the dead. */
static void unref_into(struct sl_buf *buf, struct sl_buf **dead)
{
    if (buf == NULL || buf->refs == SL_BUF_IMMORTAL) return;
    sl_assert(buf->refs > 0);
    if (--buf->refs > 0) return;
    flat_bytes_give(buf);
    buf->bytes = (uint8_t *)*dead; /* nobody reads a dead buffer: its field is the link */
    *dead = buf;
}

static void refs_drop(struct sl_buf *buf, struct sl_buf **dead)
{
    for (uint32_t i = 0; i < buf->owners_count; i++) unref_into(buf->owners[i], dead);
    owners_give(buf);
    for (uint32_t i = 0; i < buf->lazies_count; i++) {
        if (buf->lazies[i].value.cell != NULL) unref_into(buf->lazies[i].value.buf, dead);
    }
    if (buf->lazies_count > 0 && !flat_is_inline(buf, buf->lazies)) {
        flat_give(buf->mem, buf->lazies, buf->lazies_count * sizeof(*buf->lazies));
    }
}

/*
 * True if the buffer was one block, and nobody dies with it: then it is gone. That is what a value
 * that was read from a request is.
 */
static inline bool free_alone(struct sl_buf *buf)
{
    if (buf->owners_count > 1 || buf->lazies_count > 0 || buf->pos != NULL) return false;
    if (buf->cells != (struct sl_cell *)(buf + 1)) return false;
    if (buf->bytes_cap > 0 && !flat_is_inline(buf, buf->bytes)) return false;
    if (buf->owners_count == 1) {
        struct sl_buf *owner = buf->owners[0];
        if (!flat_is_inline(buf, buf->owners) || owner->refs == 1) return false;
        if (owner->refs != SL_BUF_IMMORTAL) owner->refs--;
    }
    flat_block_give(buf->mem, buf, flat_block_size(buf));
    return true;
}

/* A function of its own, so that free_alone saves no registers. */
static __attribute__((noinline)) void free_all(struct sl_buf *buf)
{
    struct sl_buf *dead = NULL;
    flat_bytes_give(buf);
    buf->bytes = NULL;
    for (;;) {
        if (buf->owners_count > 0 || buf->lazies_count > 0) refs_drop(buf, &dead);
        if (buf->pos != NULL) {
            flat_give(buf->mem, buf->pos, (size_t)buf->cells_cap * sizeof(*buf->pos));
        }
        flat_cells_give(buf);
        flat_give(buf->mem, buf, flat_block_size(buf));
        if (dead == NULL) return;
        buf = dead;
        dead = (struct sl_buf *)buf->bytes;
    }
}

void sl_buf_free_slow(struct sl_buf *buf)
{
    sl_assert(buf != NULL);
    sl_assert(buf->refs == 0);
    if (!free_alone(buf)) free_all(buf);
}

void sl_buf_unref(struct sl_buf *buf)
{
    sl_value_unref((struct sl_value){buf, NULL});
}

void sl_buf_immortalize(struct sl_buf *buf)
{
    sl_assert(buf != NULL);
    sl_assert(buf->owners_count == 0);
    sl_assert(buf->lazies_count == 0);
    buf->refs = SL_BUF_IMMORTAL;
}

void sl_buf_free_immortal(struct sl_buf *buf)
{
    if (buf == NULL) return;
    sl_assert(buf->refs == SL_BUF_IMMORTAL);
    buf->refs = 0;
    sl_buf_free_slow(buf);
}

struct sl_value sl_value_resolve_slow(struct sl_buf *buf, const struct sl_cell *cell)
{
    sl_assert(cell->kind >= SL_VALUE_REF);
    if (cell->kind == SL_VALUE_REF) {
        buf = cell->ref;
        cell = &buf->cells[cell->len];
        if (cell->kind != SL_VALUE_LAZY) return (struct sl_value){buf, cell};
    }
    sl_assert(cell->len < buf->lazies_count);
    struct sl_lazy *lazy = &buf->lazies[cell->len];
    if (lazy->value.cell == NULL) {
        struct sl_value value = lazy->decode(lazy, buf);
        if (value.cell == NULL) return value_no_memory();
        sl_assert(value.cell->kind < SL_VALUE_REF);
        lazy->value = value;
    }
    return lazy->value;
}
