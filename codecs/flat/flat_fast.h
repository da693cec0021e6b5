/* SPDX-License-Identifier: MIT */
/*
 * Inline readers of payloads. See flat.h for the picture. All of them borrow: the result lives as
 * long as the buffer of the value that was asked, and no longer.
 */
#pragma once

#include "codecs/flat/flat.h"
#include "core/base/hash.h"
#include "core/base/limit.h"

extern const struct sl_cell sl_cell_null;
extern const struct sl_cell sl_cell_true;
extern const struct sl_cell sl_cell_false;

static inline struct sl_value sl_value_null(void)
{
    return (struct sl_value){NULL, &sl_cell_null};
}

static inline struct sl_value sl_value_bool(bool value)
{
    return (struct sl_value){NULL, value ? &sl_cell_true : &sl_cell_false};
}

/* The value that says "not there". */
static inline struct sl_value sl_value_none(void)
{
    return (struct sl_value){NULL, NULL};
}

static inline bool sl_value_is_none(struct sl_value value)
{
    return value.cell == NULL;
}

static inline struct sl_value sl_value_ref(struct sl_value value)
{
    if (value.buf != NULL && value.buf->refs != SL_BUF_IMMORTAL) value.buf->refs++;
    return value;
}

static inline void sl_value_unref(struct sl_value value)
{
    struct sl_buf *buf = value.buf;
    if (buf == NULL || buf->refs == SL_BUF_IMMORTAL) return;
    if (--buf->refs == 0) sl_buf_free_slow(buf);
}

/* Follow a Ref or decode a Lazy; a cold path. */
struct sl_value sl_value_resolve_slow(struct sl_buf *buf, const struct sl_cell *cell);

/* The value at a cell of a buffer: never a Ref, never a Lazy. */
static inline struct sl_value sl_value_at_cell(struct sl_buf *buf, const struct sl_cell *cell)
{
    if (__builtin_expect(cell->kind >= SL_VALUE_REF, 0)) return sl_value_resolve_slow(buf, cell);
    return (struct sl_value){buf, cell};
}

static inline enum sl_value_kind sl_value_kind(struct sl_value value)
{
    return (enum sl_value_kind)value.cell->kind;
}

static inline bool sl_value_is(struct sl_value value, enum sl_value_kind kind)
{
    return value.cell != NULL && value.cell->kind == kind;
}

static inline bool sl_value_is_number(struct sl_value value)
{
    return value.cell != NULL && value.cell->kind >= SL_VALUE_INT &&
           value.cell->kind <= SL_VALUE_FLOAT;
}

static inline const uint8_t *sl_cell_bytes(const struct sl_buf *buf, const struct sl_cell *cell)
{
    return (cell->flags & SL_CELL_POINTER) ? cell->ptr : buf->bytes + cell->word;
}

/* Bytes of a String or Binary. */
static inline struct sl_slice sl_value_slice(struct sl_value value)
{
    return (struct sl_slice){sl_cell_bytes(value.buf, value.cell), value.cell->len};
}

/* Children of a List, pairs of a Map. */
static inline uint32_t sl_value_count(struct sl_value value)
{
    return value.cell->len;
}

/* Child `index` of a List, 0 <= index < count. */
static inline struct sl_value sl_value_list_at(struct sl_value list, uint32_t index)
{
    return sl_value_at_cell(list.buf, &list.buf->cells[list.cell->word + index]);
}

/* Key of pair `index` of a Map. */
static inline struct sl_slice sl_value_key_at(struct sl_value map, uint32_t index)
{
    const struct sl_cell *key = &map.buf->cells[map.cell->word + 2 * (uint64_t)index];
    return (struct sl_slice){sl_cell_bytes(map.buf, key), key->len};
}

/* Value of pair `index` of a Map. */
static inline struct sl_value sl_value_map_at(struct sl_value map, uint32_t index)
{
    return sl_value_at_cell(map.buf, &map.buf->cells[map.cell->word + 2 * (uint64_t)index + 1]);
}

/* Binary search of a map with an index: pair number, or -1. */
int64_t sl_value_find_indexed(struct sl_value map, const void *key, size_t key_size);

/* Pair number of a key, or -1; `hash` is sl_hash16 of the key. Lazies are not decoded. */
static inline int64_t sl_value_find_hashed(struct sl_value map, const void *key, size_t key_size,
                                           uint16_t hash)
{
    if (map.cell->flags & SL_CELL_INDEXED) return sl_value_find_indexed(map, key, key_size);
    const struct sl_cell *cell = &map.buf->cells[map.cell->word];
    for (uint32_t i = 0; i < map.cell->len; i++, cell += 2) {
        if (cell->hash == hash && cell->len == key_size &&
            memcmp(sl_cell_bytes(map.buf, cell), key, key_size) == 0) {
            return i;
        }
    }
    return -1;
}

/* Value of a key of a Map, or none. An empty map has buf too, so any Map may be asked. */
static inline struct sl_value sl_value_get_hashed(struct sl_value map, const void *key,
                                                  size_t key_size, uint16_t hash)
{
    int64_t index = sl_value_find_hashed(map, key, key_size, hash);
    return index < 0 ? sl_value_none() : sl_value_map_at(map, (uint32_t)index);
}

static inline struct sl_value sl_value_get(struct sl_value map, struct sl_slice key)
{
    return sl_value_get_hashed(map, key.data, key.size, sl_hash16(key.data, key.size));
}

static inline struct sl_value sl_value_get_str(struct sl_value map, const char *key)
{
    return sl_value_get(map, sl_slice_from_str(key));
}

/* Part of an Error: SL_ERROR_CODE … SL_ERROR_STATUS. */
static inline struct sl_value sl_error_part(struct sl_value error, uint32_t part)
{
    return sl_value_at_cell(error.buf, &error.buf->cells[error.cell->word + part]);
}

/* Where the value stood in its source; line 0 if unknown. */
static inline struct sl_pos sl_value_pos(struct sl_value value)
{
    if (value.buf == NULL || value.buf->pos == NULL) return (struct sl_pos){0, 0};
    return value.buf->pos[value.cell - value.buf->cells];
}

/* Where the key of pair `index` stood. */
static inline struct sl_pos sl_value_key_pos(struct sl_value map, uint32_t index)
{
    if (map.buf->pos == NULL) return (struct sl_pos){0, 0};
    return map.buf->pos[map.cell->word + 2 * (uint64_t)index];
}
