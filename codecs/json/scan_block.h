/* SPDX-License-Identifier: MIT */
/*
 * The part of scanning that is the same for all vector instructions: what to do with the bit masks
 * of a block, and with the blocks of a window. Only for files that are built with AVX2 or more.
 */
#pragma once

#include <immintrin.h>

#include "codecs/json/scan.h"

#if defined(__PCLMUL__)

/* A bit a byte of one block. */
struct masks {
    uint64_t quote;
    uint64_t slash;
    uint64_t mark;    /* braces, brackets, ',' and ':'; two control characters may pass for them */
    uint64_t space;   /* white space */
    uint64_t control; /* below U+0020 */
    uint64_t high;    /* beyond ASCII */
};

/* The masks of 64 bytes; of fewer, with spaces behind them. */
typedef void masks_get_fn(const uint8_t *data, struct masks *ret_masks);
typedef void masks_get_tail_fn(const uint8_t *data, uint32_t size, struct masks *ret_masks);

/* Append the places of the set bits to `places`; up to 64 may be written. returns the new end. */
typedef uint32_t *places_put_fn(uint32_t *places, uint32_t base, uint64_t bits);

/* What a block leaves for the next, and for the end of the window: in registers for that long. */
struct carry {
    uint64_t in_string; /* these three as in struct json_scan */
    uint64_t escaped;
    uint64_t scalar;
    uint64_t slashes; /* of all blocks */
    uint64_t faults;
    uint32_t high_off;
    bool high;
};

/* Bits behind an odd number of backslashes. The carry is the first bit of the next block. */
static inline uint64_t escaped_get(struct carry *carry, uint64_t slash)
{
    const uint64_t even = UINT64_C(0x5555555555555555);
    uint64_t first = carry->escaped;
    if (__builtin_expect(slash == 0, 1)) {
        carry->escaped = 0;
        return first;
    }
    carry->slashes |= slash;
    slash &= ~first;
    uint64_t behind = slash << 1 | first;
    uint64_t odd_starts = slash & ~even & ~behind;
    unsigned long long runs;
    carry->escaped = __builtin_uaddll_overflow(odd_starts, slash, &runs);
    return (even ^ (uint64_t)runs << 1) & behind;
}

/* All bits from each set one up to the next: inside strings, opening quote included. */
static inline uint64_t inside_get(struct carry *carry, uint64_t quote)
{
    __m128i ones = _mm_set1_epi8(-1);
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)quote), ones, 0);
    uint64_t inside = (uint64_t)_mm_cvtsi128_si64(product) ^ carry->in_string;
    carry->in_string = (uint64_t)((int64_t)inside >> 63);
    return inside;
}

/* The places of a block, of text without regard to what is beyond ASCII. */
static inline __attribute__((always_inline)) uint64_t block_places(struct carry *carry,
                                                                   const struct masks *masks)
{
    uint64_t quote = masks->quote & ~escaped_get(carry, masks->slash);
    uint64_t inside = inside_get(carry, quote);
    uint64_t scalar = ~(masks->mark | masks->space | inside | quote);
    uint64_t starts = scalar & ~(scalar << 1 | carry->scalar);
    carry->scalar = scalar >> 63;
    carry->faults |= masks->control & inside;
    return (masks->mark & ~inside) | quote | starts;
}

static inline __attribute__((always_inline)) uint64_t
block_scan(const uint8_t *text, struct carry *carry, const struct masks *masks, uint32_t off)
{
    if (__builtin_expect(masks->high != 0, 0)) {
        if (!carry->high) carry->high_off = off;
        carry->high = true;
    } else if (__builtin_expect(carry->high, 0)) {
        carry->faults |= !json_scan_is_utf8(text, carry->high_off, off);
        carry->high = false;
    }
    return block_places(carry, masks);
}

/*
 * Scan the blocks from `off` on, `whole` bytes, and `rest` bytes of one more; the end of the places.
 * The functions are known where this is inlined.
 */
static inline __attribute__((always_inline)) uint32_t *
blocks_scan(const uint8_t *text, uint32_t off, uint32_t whole, uint32_t rest, struct carry *carry,
            uint32_t *places, masks_get_fn *masks_get, masks_get_tail_fn *masks_get_tail,
            places_put_fn *places_put)
{
    struct masks masks;
    for (uint32_t end = off + whole; off < end; off += SCAN_BLOCK) {
        masks_get(text + off, &masks);
        places = places_put(places, off, block_scan(text, carry, &masks, off));
    }
    if (rest == 0) return places;
    masks_get_tail(text + off, rest, &masks);
    uint64_t bits = block_scan(text, carry, &masks, off);
    return places_put(places, off, bits & (UINT64_MAX >> (SCAN_BLOCK - rest)));
}

/* The text ends at `off`: a run of bytes beyond ASCII does, too. */
static inline __attribute__((always_inline)) void text_end(const uint8_t *text, uint32_t off,
                                                           struct carry *carry)
{
    if (__builtin_expect(!carry->high, 1)) return;
    carry->faults |= !json_scan_is_utf8(text, carry->high_off, off);
    carry->high = false;
}

static inline __attribute__((always_inline)) void
carry_put(struct json_scan *scan, const struct carry *carry, uint32_t off, const uint32_t *places)
{
    scan->in_string = carry->in_string;
    scan->escaped = carry->escaped;
    scan->scalar = carry->scalar;
    scan->high_off = carry->high_off;
    scan->high = carry->high;
    scan->escapes |= carry->slashes != 0;
    scan->bad |= carry->faults != 0;
    scan->off = off;
    scan->count = (uint32_t)(places - scan->places);
}

/* Scan one window. */
static inline __attribute__((always_inline)) void window_scan(struct json_scan *scan,
                                                              masks_get_fn *masks_get,
                                                              masks_get_tail_fn *masks_get_tail,
                                                              places_put_fn *places_put)
{
    struct carry carry = {.in_string = scan->in_string,
                          .escaped = scan->escaped,
                          .scalar = scan->scalar,
                          .high_off = scan->high_off,
                          .high = scan->high};
    uint32_t left = scan->size - scan->off;
    uint32_t whole = left < SCAN_WINDOW ? left & ~(uint32_t)(SCAN_BLOCK - 1) : SCAN_WINDOW;
    uint32_t rest = whole == SCAN_WINDOW ? 0 : left - whole;
    uint32_t *places =
        blocks_scan(scan->text, scan->off, whole, rest, &carry, scan->places + scan->count,
                    masks_get, masks_get_tail, places_put);
    uint32_t off = scan->off + whole + rest;
    if (off == scan->size) text_end(scan->text, off, &carry);
    carry_put(scan, &carry, off, places);
}

/*
 * Scan a text that is one window: what is known of it stays in registers. Only where it is not plain
 * (it has a backslash or no token, or is bad) the scan is made as if by window_scan.
 *
 * masks_get_some  of as many bytes as are left, 64 at most
 * returns         the end of its places, behind which the first stands SCAN_AHEAD times; NULL: not
 *                 plain
 */
static inline __attribute__((always_inline)) const uint32_t *
small_scan(struct json_scan *scan, struct sl_slice text, masks_get_tail_fn *masks_get_some,
           places_put_fn *places_put)
{
    struct carry carry = {0};
    struct masks masks;
    uint32_t *places = scan->places, size = (uint32_t)text.size, off = 0;
    uint64_t high = 0;
    do {
        masks_get_some(text.data + off, size - off, &masks);
        high |= masks.high;
        places = places_put(places, off, block_places(&carry, &masks));
        off += SCAN_BLOCK;
    } while (off < size);
    if (__builtin_expect(high != 0, 0)) carry.faults |= !json_scan_is_utf8(text.data, 0, size);
    bool plain = (carry.slashes | carry.faults | carry.in_string) == 0 && places > scan->places;
    if (__builtin_expect(plain, 1)) {
        json_scan_end_put(places, scan->places[0]);
        return places;
    }
    json_scan_init(scan, text);
    carry_put(scan, &carry, size, places);
    return NULL;
}

#endif
