/* SPDX-License-Identifier: MIT */
/*
 * A slice: borrowed bytes, never owned, not terminated by a zero byte.
 * Whoever made the slice says in its comment how long the bytes live.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sl_slice {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;         /* bytes */
};

/* The slice of a string literal, without its zero byte. */
#define SL_SLICE(literal) ((struct sl_slice){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* For printf's "%.*s". */
#define SL_SLICE_FMT(slice) (int)(slice).size, (const char *)(slice).data

static inline struct sl_slice sl_slice_make(const void *data, size_t size)
{
    return (struct sl_slice){data, size};
}

static inline struct sl_slice sl_slice_from_str(const char *str)
{
    return (struct sl_slice){(const uint8_t *)str, str ? strlen(str) : 0};
}

static inline bool sl_slice_eq(struct sl_slice a, struct sl_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool sl_slice_eq_str(struct sl_slice a, const char *str)
{
    return sl_slice_eq(a, sl_slice_from_str(str));
}

/* ASCII letters compare without case; every other byte exactly. */
bool sl_slice_eq_nocase(struct sl_slice a, struct sl_slice b);

/* Order of bytes, then of length: <0, 0, >0. */
int sl_slice_compare(struct sl_slice a, struct sl_slice b);

/* True if `slice` begins with `prefix`. */
static inline bool sl_slice_has_prefix(struct sl_slice slice, struct sl_slice prefix)
{
    return slice.size >= prefix.size && memcmp(slice.data, prefix.data, prefix.size) == 0;
}

/* Heap copy with a zero byte after it; the caller frees; NULL for no memory. Control plane only. */
char *sl_slice_dup_str(struct sl_slice slice);
