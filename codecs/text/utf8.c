/* SPDX-License-Identifier: MIT */
#include "codecs/text/utf8.h"

#include <string.h>

#include "core/base/assertion.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are looked at from their low end");

/* True if data[1..count] are continuation bytes. */
static bool continues(const uint8_t *data, size_t count)
{
    for (size_t i = 1; i <= count; i++) {
        if ((data[i] & 0xc0) != 0x80) return false;
    }
    return true;
}

size_t sl_utf8_size(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t first = data[0];
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0; /* a continuation, or a long form of ASCII */
    if (first < 0xe0) return size >= 2 && continues(data, 1) ? 2 : 0;
    if (first < 0xf0) {
        if (size < 3 || !continues(data, 2)) return 0;
        if (first == 0xe0 && data[1] < 0xa0) return 0;  /* long form */
        if (first == 0xed && data[1] >= 0xa0) return 0; /* surrogate */
        return 3;
    }
    if (first > 0xf4 || size < 4 || !continues(data, 3)) return 0;
    if (first == 0xf0 && data[1] < 0x90) return 0;  /* long form */
    if (first == 0xf4 && data[1] >= 0x90) return 0; /* above U+10FFFF */
    return 4;
}

/* Neither a long form nor a surrogate, by the bits that tell it of a character of three bytes. */
static inline bool is_valid3(uint32_t word)
{
    uint32_t lead = word & 0x200f;
    return lead != 0 && lead != 0x200d;
}

/*
 * The same by masks, where four bytes can be read: bytes are numbered from the lowest of `word`.
 * Each form is checked for its marks, then for what it must not say.
 */
static inline size_t size_by_masks(uint32_t word)
{
    if ((word & 0x00c0c0f0) == 0x008080e0) {
        return is_valid3(word) ? 3 : 0;
    }
    if ((word & 0xc0e0) == 0x80c0) return (word & 0x1e) != 0 ? 2 : 0; /* long form of ASCII */
    if ((word & 0xc0c0c0f8) != 0x808080f0) return 0;
    uint32_t lead = (word & 7) << 2 | (word >> 12 & 3); /* value / 2^16 */
    return lead >= 1 && lead <= 16 ? 4 : 0;
}

/* Six bytes that are two characters of three: most writing beyond Europe is made of them. */
static inline bool is_two_of_three(uint64_t word)
{
    if ((word & UINT64_C(0xc0c0f0c0c0f0)) != UINT64_C(0x8080e08080e0)) return false;
    return is_valid3((uint32_t)word) && is_valid3((uint32_t)(word >> 24));
}

size_t sl_utf8_valid_size(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (size - at >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + at, sizeof(word));
        if (is_two_of_three(word)) {
            at += 6;
            continue;
        }
        uint64_t high = word & UINT64_C(0x8080808080808080);
        if (high == 0) {
            at += sizeof(word);
            continue;
        }
        if (!(word & 0x80)) { /* ASCII before something else: little endian, lowest first */
            at += (size_t)__builtin_ctzll(high) / 8;
            continue;
        }
        size_t step = size_by_masks((uint32_t)word);
        if (step == 0) return at;
        at += step;
    }
    while (at < size) {
        size_t step = sl_utf8_size(data + at, size - at);
        if (step == 0) return at;
        at += step;
    }
    return at;
}

size_t sl_utf8_put(uint32_t code, uint8_t *out)
{
    sl_assert(code < 0x110000);
    sl_assert(code < 0xd800 || code > 0xdfff);
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}
