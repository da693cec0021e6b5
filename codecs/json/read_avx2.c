/* SPDX-License-Identifier: MIT */
/* The parser for AVX2: a block of 64 bytes is two registers. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "codecs/json/scan_block.h"
#include "codecs/json/words.h"

static inline uint64_t mask_join(__m256i low, __m256i high)
{
    uint32_t low_bits = (uint32_t)_mm256_movemask_epi8(low);
    return low_bits | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline uint64_t mask_equal(__m256i low, __m256i high, char byte)
{
    __m256i wanted = _mm256_set1_epi8(byte);
    return mask_join(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted));
}

/* Bytes equal to what the table has for their low four bits; `change` is or-ed to them before. */
static inline uint64_t mask_table(__m256i low, __m256i high, __m256i table, char change)
{
    __m256i bits = _mm256_set1_epi8(change);
    __m256i low_is = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, low), _mm256_or_si256(low, bits));
    __m256i high_is =
        _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, high), _mm256_or_si256(high, bits));
    return mask_join(low_is, high_is);
}

static inline uint64_t mask_below_space(__m256i low, __m256i high)
{
    __m256i most = _mm256_set1_epi8(0x1f);
    return mask_join(_mm256_cmpeq_epi8(_mm256_min_epu8(low, most), low),
                     _mm256_cmpeq_epi8(_mm256_min_epu8(high, most), high));
}

static inline void masks_get(const uint8_t *data, struct masks *ret_masks)
{
    /* Where a table has a byte with other low bits than its place, nothing equals it. With 0x20
     * or-ed '[' is '{', ']' is '}'; two control characters pass for ',' and ':': the parser sees
     * that they are not. */
    const __m256i spaces = _mm256_setr_epi8(' ', 100, 100, 100, 17, 100, 113, 2, 100, '\t', '\n',
                                            112, 100, '\r', 100, 100, ' ', 100, 100, 100, 17, 100,
                                            113, 2, 100, '\t', '\n', 112, 100, '\r', 100, 100);
    const __m256i marks = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0,
                                           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0);
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)data);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(data + 32));
    *ret_masks = (struct masks){
        .quote = mask_equal(low, high, '"'),
        .slash = mask_equal(low, high, '\\'),
        .mark = mask_table(low, high, marks, 0x20),
        .space = mask_table(low, high, spaces, 0),
        .control = mask_below_space(low, high),
        .high = mask_join(low, high),
    };
}

static inline void masks_get_tail(const uint8_t *data, uint32_t size, struct masks *ret_masks)
{
    uint8_t block[64];
    memset(block, ' ', sizeof(block));
    memcpy(block, data, size);
    masks_get(block, ret_masks);
}

static FAST_INLINE void masks_get_some(const uint8_t *data, uint32_t size, struct masks *ret_masks)
{
    if (size >= SCAN_BLOCK) {
        masks_get(data, ret_masks);
    } else {
        masks_get_tail(data, size, ret_masks);
    }
}

static inline uint32_t *places_put(uint32_t *places, uint32_t base, uint64_t bits)
{
    uint32_t *end = places + __builtin_popcountll(bits);
    while (bits != 0) {
        for (int i = 0; i < 8; i++) {
            places[i] = base + (uint32_t)_tzcnt_u64(bits);
            bits = _blsr_u64(bits);
        }
        places += 8;
    }
    return end;
}

static FAST_INLINE void scan_window(struct json_scan *scan)
{
    window_scan(scan, masks_get, masks_get_tail, places_put);
}

static FAST_INLINE const uint32_t *scan_small(struct json_scan *scan, struct sl_slice text)
{
    return small_scan(scan, text, masks_get_some, places_put);
}

/*
 * The numbers of `count` pairs, 64 at most, by the hashes of their keys: the place of each is the
 * count of smaller hashes. false: two hashes are equal.
 *
 * order  receives a uint32_t for each; need not be aligned
 */
static FAST_INLINE bool order_get(const struct sl_cell *pairs, uint32_t count, uint8_t *order)
{
    enum { LANES = 16, VECTORS = 4, SIGN = 0x8000 };
    int16_t hashes[VECTORS * LANES] __attribute__((aligned(32)));
    __m256i parts[VECTORS];
    for (int i = 0; i < VECTORS; i++) { /* what is smaller than no other */
        _mm256_store_si256((__m256i *)(void *)(hashes + i * LANES), _mm256_set1_epi16(INT16_MAX));
    }
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = (int16_t)(pairs[2 * (size_t)i].hash ^ SIGN);
    }
    for (int i = 0; i < VECTORS; i++) {
        parts[i] = _mm256_load_si256((const __m256i *)(const void *)(hashes + i * LANES));
    }
    uint64_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        const __m256i hash = _mm256_set1_epi16((int16_t)(pairs[2 * (size_t)i].hash ^ SIGN));
        uint64_t smaller = mask_join(_mm256_packs_epi16(_mm256_cmpgt_epi16(hash, parts[0]),
                                                        _mm256_cmpgt_epi16(hash, parts[1])),
                                     _mm256_packs_epi16(_mm256_cmpgt_epi16(hash, parts[2]),
                                                        _mm256_cmpgt_epi16(hash, parts[3])));
        size_t place = (size_t)__builtin_popcountll(smaller);
        taken |= UINT64_C(1) << place;
        memcpy(order + sizeof(i) * place, &i, sizeof(i));
    }
    return taken == UINT64_MAX >> (VECTORS * LANES - count);
}

#define word_read  word_read_plain
#define has_escape has_escape_plain
static __attribute__((noinline)) bool number_read(const uint8_t *at, const uint8_t *next,
                                                  const uint8_t *end, struct sl_cell *cell)
{
    return number_read_plain(at, next, end, cell);
}

#include "codecs/json/machine.h"

int json_read_avx2(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                   uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr)
{
    return text_read(text, owner, mem, ret_duplicates, ret, reterr);
}
