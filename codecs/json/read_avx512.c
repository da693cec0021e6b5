/* SPDX-License-Identifier: MIT */
/* The parser for AVX-512: a block is one register, and comparisons are bit masks at once. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "codecs/json/scan_block.h"
#include "codecs/json/words.h"

static inline void masks_of(__m512i block, struct masks *ret_masks)
{
    /* The tables of read_avx2.c. */
    const __m512i spaces = _mm512_broadcast_i32x4(_mm_setr_epi8(
        ' ', 100, 100, 100, 17, 100, 113, 2, 100, '\t', '\n', 112, 100, '\r', 100, 100));
    const __m512i marks = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    __m512i curled = _mm512_or_si512(block, _mm512_set1_epi8(0x20));
    *ret_masks = (struct masks){
        .quote = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('"')),
        .slash = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\\')),
        .mark = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(marks, block), curled),
        .space = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(spaces, block), block),
        .control = _mm512_cmplt_epu8_mask(block, _mm512_set1_epi8(0x20)),
        .high = _mm512_movepi8_mask(block),
    };
}

static inline void masks_get(const uint8_t *data, struct masks *ret_masks)
{
    masks_of(_mm512_loadu_si512(data), ret_masks);
}

static inline void masks_get_tail(const uint8_t *data, uint32_t size, struct masks *ret_masks)
{
    masks_of(_mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), UINT64_MAX >> (64 - size), data),
             ret_masks);
}

static FAST_INLINE void masks_get_some(const uint8_t *data, uint32_t size, struct masks *ret_masks)
{
    uint64_t used = _bzhi_u64(UINT64_MAX, size < SCAN_BLOCK ? size : SCAN_BLOCK);
    masks_of(_mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), used, data), ret_masks);
}

static inline void places_put16(uint32_t *places, __m512i base, __m128i bytes)
{
    _mm512_storeu_si512(places, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(bytes)));
}

static inline uint32_t *places_put(uint32_t *places, uint32_t base, uint64_t bits)
{
    const __m512i numbers = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41,
        40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18,
        17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    unsigned count = (unsigned)__builtin_popcountll(bits);
    __m512i set = _mm512_maskz_compress_epi8(bits, numbers);
    __m512i bases = _mm512_set1_epi32((int)base);
    places_put16(places, bases, _mm512_castsi512_si128(set));
    if (count > 16) places_put16(places + 16, bases, _mm512_extracti32x4_epi32(set, 1));
    if (__builtin_expect(count > 32, 0)) {
        places_put16(places + 32, bases, _mm512_extracti32x4_epi32(set, 2));
        places_put16(places + 48, bases, _mm512_extracti32x4_epi32(set, 3));
    }
    return places + count;
}

static FAST_INLINE void scan_window(struct json_scan *scan)
{
    window_scan(scan, masks_get, masks_get_tail, places_put);
}

static FAST_INLINE const uint32_t *scan_small(struct json_scan *scan, struct sl_slice text)
{
    return small_scan(scan, text, masks_get_some, places_put);
}

/* ------------------------------------------------------------------------------------------ */
/* Numbers and escapes: a masked load reads no byte beyond its mask, so the text's end is no matter. */

enum {
    NUMBER_BYTES = 32, /* a look at a number */
    NUMBER_LANE = 16,  /* digits in the lower lane */
};

/* From NUMBER_BYTES - n on: what moves n bytes to the end of the register. */
static const uint8_t number_shift[2 * NUMBER_BYTES] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

/* The value of `count` digits, at most FAST_DIGITS_MAX, that stand at the register's beginning. */
static FAST_INLINE uint64_t digits_value(__m256i digits, unsigned count)
{
    const __m256i tens = _mm256_set1_epi16(1 << 8 | 10);
    const __m256i hundreds = _mm256_set1_epi32(1 << 16 | 100);
    const __m256i myriads = _mm256_set1_epi32(1 << 16 | 10000);
    __m256i shift = _mm256_loadu_si256((const __m256i *)(const void *)(number_shift + count));
    __mmask32 used = ~_bzhi_u32(UINT32_MAX, NUMBER_BYTES - count);
    digits = _mm256_maskz_permutexvar_epi8(used, shift, digits);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, tens), hundreds);
    __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), myriads);
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(eights, 1));
    uint64_t value = (uint32_t)low * UINT64_C(100000000) + (low >> 32);
    if (count > NUMBER_LANE) {
        uint64_t high = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(eights));
        value += (high >> 32) * UINT64_C(10000000000000000);
    }
    return value;
}

/*
 * Numbers of at most FAST_DIGITS_MAX digits without an exponent: the digits of both sides of the
 * point are pressed together, moved to the end of a register, and added up in pairs.
 */
static FAST_INLINE bool number_read_vector(const uint8_t *at, const uint8_t *next,
                                           struct sl_cell *cell)
{
    bool negative = *at == '-';
    at += negative;
    if (FAST_RARE(next <= at)) return false; /* there is no next token to end it */
    size_t room = (size_t)(next - at);
    __mmask32 mask = _bzhi_u32(UINT32_MAX, room < NUMBER_BYTES ? (unsigned)room : NUMBER_BYTES);
    __m256i bytes = _mm256_maskz_loadu_epi8(mask, at);
    __m256i digits = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
    uint32_t is_digit = _mm256_cmplt_epu8_mask(digits, _mm256_set1_epi8(10));
    unsigned whole = _tzcnt_u32(~is_digit), count = whole, places = 0;
    const uint8_t *behind = at + whole;
    if (FAST_RARE(whole == 0 || (*at == '0' && whole > 1) || whole > FAST_DIGITS_MAX)) return false;
    if (behind < next && *behind == '.') {
        places = _tzcnt_u32(~(is_digit >> whole >> 1));
        count += places;
        behind += 1 + places;
        if (FAST_RARE(places == 0 || count > FAST_DIGITS_MAX)) return false;
        digits = _mm256_maskz_compress_epi8(is_digit, digits);
    }
    if (FAST_RARE(behind < next && !fast_ends[*behind])) return false;
    uint64_t mantissa = digits_value(digits, count);
    if (places > 0) return float_put(mantissa, places, negative, cell);
    if (negative) {
        if (FAST_RARE(mantissa == 0 || mantissa > INT64_MAX)) return false;
        mantissa = 0 - mantissa;
        cell_put(cell, SL_VALUE_INT, mantissa);
    } else {
        cell_put(cell, SL_VALUE_INT + (mantissa >> 63), mantissa);
    }
    return true;
}

static __attribute__((noinline)) bool number_read(const uint8_t *at, const uint8_t *next,
                                                  const uint8_t *end, struct sl_cell *cell)
{
    return number_read_vector(at, next, cell) || number_read_plain(at, next, end, cell);
}

/* True if there is a backslash in the string; nothing behind it is read. */
static FAST_INLINE bool has_escape(const uint8_t *begin, size_t size, const uint8_t *end)
{
    (void)end;
    const __m512i slash = _mm512_set1_epi8('\\');
    for (; FAST_RARE(size > 64); size -= 64, begin += 64) {
        if (_mm512_cmpeq_epi8_mask(_mm512_loadu_si512(begin), slash) != 0) return true;
    }
    __mmask64 used = _bzhi_u64(UINT64_MAX, (unsigned)size);
    return _mm512_mask_cmpeq_epi8_mask(used, _mm512_maskz_loadu_epi8(used, begin), slash) != 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Maps with an index                                                                           */

/*
 * The numbers of `count` pairs, 64 at most, by the hashes of their keys: the place of each is the
 * count of smaller hashes. false: two hashes are equal.
 *
 * order  receives a uint32_t for each; need not be aligned
 */
static FAST_INLINE bool order_get(const struct sl_cell *pairs, uint32_t count, uint8_t *order)
{
    enum { LANES = 32 };
    uint16_t hashes[2 * LANES] __attribute__((aligned(64)));
    memset(hashes, 0xff, sizeof(hashes)); /* what is smaller than no other */
    for (uint32_t i = 0; i < count; i++) hashes[i] = pairs[2 * (size_t)i].hash;
    const __m512i low = _mm512_load_si512(hashes), high = _mm512_load_si512(hashes + LANES);
    uint64_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        const __m512i hash = _mm512_set1_epi16((int16_t)pairs[2 * (size_t)i].hash);
        uint64_t smaller = _mm512_cmplt_epu16_mask(low, hash) |
                           (uint64_t)_mm512_cmplt_epu16_mask(high, hash) << LANES;
        size_t place = (size_t)__builtin_popcountll(smaller);
        taken |= UINT64_C(1) << place;
        memcpy(order + sizeof(i) * place, &i, sizeof(i));
    }
    return taken == UINT64_MAX >> (2 * LANES - count);
}

#define word_read word_read_plain
#include "codecs/json/machine.h"

int json_read_avx512(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                     uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr)
{
    return text_read(text, owner, mem, ret_duplicates, ret, reterr);
}
