/* SPDX-License-Identifier: MIT */
#include "ctl/cli/width.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "codecs/text/utf8.h"
#include "core/base/assertion.h"

struct range {
    uint32_t first, last;
};

/* Wide and full-width blocks of Unicode's EastAsianWidth, by whole blocks. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97c},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd},
};

/* Marks that take no place of their own. */
static const struct range marks[] = {
    {0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe00, 0xfe0f},
};

static bool is_in(const struct range *ranges, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

/* Size and code of the character at `text`; a byte that is not UTF-8 is one of its own. */
static size_t next(const uint8_t *text, size_t size, uint32_t *ret_code)
{
    size_t used = sl_utf8_size(text, size);
    uint32_t code = text[0];
    if (used == 2) code = (code & 0x1fU) << 6 | (text[1] & 0x3fU);
    if (used == 3) code = (code & 0x0fU) << 12 | (text[1] & 0x3fU) << 6 | (text[2] & 0x3fU);
    if (used == 4) {
        code = (code & 0x07U) << 18 | (text[1] & 0x3fU) << 12 | (text[2] & 0x3fU) << 6 |
               (text[3] & 0x3fU);
    }
    *ret_code = used > 0 ? code : UINT32_MAX;
    return used > 0 ? used : 1;
}

static size_t width_of(uint32_t code)
{
    if (code < 0x300 || code == UINT32_MAX) return 1;
    if (is_in(wide, sizeof(wide) / sizeof(wide[0]), code)) return 2;
    return is_in(marks, sizeof(marks) / sizeof(marks[0]), code) ? 0 : 1;
}

size_t cli_text_fit(const char *text, size_t places)
{
    sl_assert(text != NULL);
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = strlen(text);
    size_t at = 0;
    while (at < size) {
        uint32_t code;
        size_t used = next(bytes + at, size - at, &code);
        if (width_of(code) > places) break;
        places -= width_of(code);
        at += used;
    }
    return at;
}

size_t cli_text_width(const char *text)
{
    sl_assert(text != NULL);
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = strlen(text);
    size_t width = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        at += next(bytes + at, size - at, &code);
        width += width_of(code);
    }
    return width;
}

void cli_text_clean(struct sl_slice text, char *buf, size_t buf_size)
{
    sl_assert(buf_size > 0);
    size_t used = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t code;
        size_t size = next(text.data + at, text.size - at, &code);
        bool is_command = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == UINT32_MAX;
        if (used + (is_command ? 1 : size) >= buf_size) break;
        if (is_command) {
            buf[used++] = '?';
        } else {
            memcpy(buf + used, text.data + at, size);
            used += size;
        }
        at += size;
    }
    buf[used] = '\0';
}

const char *cli_text_pad(const char *text, size_t places, char *buf, size_t buf_size)
{
    size_t size = cli_text_fit(text, places);
    sl_assert(size + places < buf_size);
    memcpy(buf, text, size);
    buf[size] = '\0';
    size_t fill = places - cli_text_width(buf);
    memset(buf + size, ' ', fill);
    buf[size + fill] = '\0';
    return buf;
}
