/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648 section 4): the standard alphabet, with padding. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes that `size` bytes become. */
static inline size_t sl_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Write `size` bytes as text of sl_base64_size(size) bytes, no zero byte. */
void sl_base64_write(const uint8_t *data, size_t size, char *out);
