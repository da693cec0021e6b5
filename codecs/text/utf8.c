/* SPDX-License-Identifier: MIT */
#include "codecs/text/utf8.h"

#include <string.h>

#include "core/base/assertion.h"

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

size_t sl_utf8_valid_size(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        if (size - at >= sizeof(word)) {
            memcpy(&word, data + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(word);
                continue;
            }
        }
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
