/* SPDX-License-Identifier: MIT */
/*
 * The hash of map keys. It is part of the payload's outside format (the verifier computes it
 * again), so it may never change: eight bytes at a time, little endian, the last word padded
 * with zeros, h = (h ^ word) * K, seeded with the length.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/slice.h"

#define SL_HASH_MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t sl_hash64(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t hash = ((uint64_t)size + 1) * SL_HASH_MULTIPLIER;
    uint64_t word;
    for (; size >= 8; size -= 8, at += 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ (hash >> 32) ^ word) * SL_HASH_MULTIPLIER;
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, at, size);
        hash = (hash ^ (hash >> 32) ^ word) * SL_HASH_MULTIPLIER;
    }
    return hash ^ (hash >> 32);
}

/* The 16 bits kept in a key's cell. */
static inline uint16_t sl_hash16(const void *data, size_t size)
{
    return (uint16_t)(sl_hash64(data, size) >> 16);
}
