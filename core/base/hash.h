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

/* The last 1..7 bytes as a little-endian word, padded with zeros; without a call of memcpy. */
static inline uint64_t sl_hash_tail(const uint8_t *at, size_t size)
{
    if (size >= 4) {
        uint32_t low, high; /* they overlap where size < 8 */
        memcpy(&low, at, 4);
        memcpy(&high, at + size - 4, 4);
        return low | (uint64_t)high << (8 * (size - 4));
    }
    return at[0] | (uint64_t)at[size / 2] << (8 * (size / 2)) |
           (uint64_t)at[size - 1] << (8 * (size - 1));
}

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
        word = sl_hash_tail(at, size);
        hash = (hash ^ (hash >> 32) ^ word) * SL_HASH_MULTIPLIER;
    }
    return hash ^ (hash >> 32);
}

/* The 16 bits kept in a key's cell. */
static inline uint16_t sl_hash16(const void *data, size_t size)
{
    return (uint16_t)(sl_hash64(data, size) >> 16);
}
