/* SPDX-License-Identifier: MIT */
/* UTF-8 and UTF-16, whatever the input: what is not well-formed becomes U+FFFD. */
#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

/* One character of UTF-8; anything not well-formed is U+FFFD, by maximal subparts. */
static uint32_t utf8_next(const uint8_t **at, const uint8_t *end)
{
    uint8_t first = *(*at)++;
    if (first < 0x80) return first;
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4) return 0xfffd;
    uint32_t character = first & (0x3fU >> more);
    for (unsigned i = 0; i < more; i++) {
        if (*at == end || (**at & 0xc0) != 0x80) return 0xfffd;
        uint8_t next = **at;
        if (i == 0) {
            if (first == 0xe0 && next < 0xa0) return 0xfffd;
            if (first == 0xed && next > 0x9f) return 0xfffd;
            if (first == 0xf0 && next < 0x90) return 0xfffd;
            if (first == 0xf4 && next > 0x8f) return 0xfffd;
        }
        character = character << 6 | (next & 0x3f);
        (*at)++;
    }
    return character;
}

size_t js_utf8_to_utf16(struct sl_slice in, uint16_t *out, bool *ret_valid)
{
    sl_assert(out != NULL);
    uint16_t *start = out;
    const uint8_t *at = in.data;
    const uint8_t *end = in.data + in.size;
    bool valid = true;
    while (at < end) {
        const uint8_t *from = at;
        uint32_t character = utf8_next(&at, end);
        if (character == 0xfffd && (at - from != 3 || from[0] != 0xef)) valid = false;
        if (character >= 0x10000) {
            *out++ = (uint16_t)(0xd800 + ((character - 0x10000) >> 10));
            character = 0xdc00 + (character & 0x3ff);
        }
        *out++ = (uint16_t)character;
    }
    if (ret_valid != NULL) *ret_valid = valid;
    return (size_t)(out - start);
}

size_t js_utf16_to_utf8(const uint16_t *in, size_t count, uint8_t *out)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = in[i];
        if (c >= 0xd800 && c <= 0xdfff) {
            bool pair = c < 0xdc00 && i + 1 < count && in[i + 1] >= 0xdc00 && in[i + 1] <= 0xdfff;
            c = pair ? 0x10000 + ((c - 0xd800) << 10) + (in[++i] - 0xdc00U) : 0xfffd;
        }
        if (c < 0x80) {
            out[used++] = (uint8_t)c;
            continue;
        }
        if (c < 0x800) {
            out[used++] = (uint8_t)(0xc0 | c >> 6);
        } else {
            if (c < 0x10000) {
                out[used++] = (uint8_t)(0xe0 | c >> 12);
            } else {
                out[used++] = (uint8_t)(0xf0 | c >> 18);
                out[used++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
            }
            out[used++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        }
        out[used++] = (uint8_t)(0x80 | (c & 0x3f));
    }
    return used;
}
