/* SPDX-License-Identifier: MIT */
/* The table of powers of ten, for this folder only. */
#pragma once

#include <stdint.h>

enum { TEXT_POW10_MIN = -342, TEXT_POW10_MAX = 324 };

struct text_pow10 {
    uint64_t high;
    uint64_t low;
};

/* Entry k - TEXT_POW10_MIN is 10^k; see pow10.c. */
extern const struct text_pow10 text_pow10_table[TEXT_POW10_MAX - TEXT_POW10_MIN + 1];

static inline struct text_pow10 text_pow10(int32_t k)
{
    return text_pow10_table[k - TEXT_POW10_MIN];
}

__extension__ typedef unsigned __int128 text_wide; /* gcc and clang have it on 64-bit machines */

/* A product of 128 bits. */
struct text_u128 {
    uint64_t high;
    uint64_t low;
};

static inline struct text_u128 text_multiply(uint64_t a, uint64_t b)
{
    text_wide product = (text_wide)a * b;
    return (struct text_u128){(uint64_t)(product >> 64), (uint64_t)product};
}
