/* SPDX-License-Identifier: MIT */
/* Finding tokens with AVX-512: a block is one register, and comparisons are bit masks at once. */
#include <immintrin.h>
#include <stdint.h>

#include "codecs/json/scan_block.h"

static inline void masks_of(__m512i block, struct masks *ret_masks)
{
    /* The tables of scan_avx2.c. */
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

void json_scan_avx512(struct json_scan *scan)
{
    window_scan(scan, masks_get, masks_get_tail, places_put);
}
