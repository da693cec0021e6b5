/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629): checking and writing. Surrogates, values above U+10FFFF and longer forms than
 * needed are not UTF-8.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the character at `data`, 1..4, if it is whole and valid.
 *
 * returns  0 if it is not UTF-8, or ends before `size`
 */
size_t sl_utf8_size(const uint8_t *data, size_t size);

/* Bytes from the beginning that are valid UTF-8: `size` if all are. */
size_t sl_utf8_valid_size(const uint8_t *data, size_t size);

static inline bool sl_utf8_is_valid(const uint8_t *data, size_t size)
{
    return sl_utf8_valid_size(data, size) == size;
}

/* Write a character below 0x110000 that is no surrogate; `out` has room for 4. returns 1..4. */
size_t sl_utf8_put(uint32_t code, uint8_t *out);
