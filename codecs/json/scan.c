/* SPDX-License-Identifier: MIT */
/* Finding tokens without vector instructions, and what all ways to find them share. */
#include "codecs/json/scan.h"

#include <string.h>

#include "codecs/text/utf8.h"

enum scan_class {
    CLASS_SCALAR, /* whatever else: numbers, literals, and what is wrong */
    CLASS_SPACE,
    CLASS_MARK, /* braces, brackets, ',' and ':' */
};

static const uint8_t classes[256] = {
    [' '] = CLASS_SPACE, ['\t'] = CLASS_SPACE, ['\n'] = CLASS_SPACE, ['\r'] = CLASS_SPACE,
    ['{'] = CLASS_MARK,  ['}'] = CLASS_MARK,   ['['] = CLASS_MARK,   [']'] = CLASS_MARK,
    [':'] = CLASS_MARK,  [','] = CLASS_MARK,
};

bool json_scan_is_utf8(const uint8_t *text, uint32_t begin, uint32_t end)
{
    /* A character may go on behind the run only where there is no text any more. */
    return sl_utf8_is_valid(text + begin, end - begin);
}

static void run_end(struct json_scan *scan, uint32_t end)
{
    if (!json_scan_is_utf8(scan->text, scan->high_off, end)) scan->bad = true;
    scan->high = false;
}

/* Inside a string: true at its closing quote. */
static bool string_byte(struct json_scan *scan, uint8_t byte)
{
    if (byte < 0x20) scan->bad = true;
    if (scan->escaped != 0) {
        scan->escaped = 0;
    } else if (byte == '\\') {
        scan->escaped = 1;
        scan->escapes = true;
    } else if (byte == '"') {
        scan->in_string = 0;
        return true;
    }
    return false;
}

/* Outside strings: true where a token begins. */
static bool other_byte(struct json_scan *scan, uint8_t byte)
{
    if (byte == '"') {
        scan->in_string = UINT64_MAX;
        scan->scalar = 0;
        return true;
    }
    bool before = scan->scalar != 0;
    scan->scalar = classes[byte] == CLASS_SCALAR;
    return classes[byte] == CLASS_MARK || (scan->scalar != 0 && !before);
}

void json_scan_plain(struct json_scan *scan)
{
    uint32_t end = scan->size - scan->off < SCAN_WINDOW ? scan->size : scan->off + SCAN_WINDOW;
    uint32_t count = scan->count;
    for (uint32_t at = scan->off; at < end; at++) {
        uint8_t byte = scan->text[at];
        if (byte >= 0x80 && !scan->high) {
            scan->high = true;
            scan->high_off = at;
        } else if (byte < 0x80 && scan->high) {
            run_end(scan, at);
        }
        bool place = scan->in_string != 0 ? string_byte(scan, byte) : other_byte(scan, byte);
        if (place) scan->places[count++] = at;
    }
    scan->off = end;
    scan->count = count;
    if (scan->high && end == scan->size) run_end(scan, end);
}

const uint32_t *json_scan_small_plain(struct json_scan *scan, struct sl_slice text)
{
    json_scan_init(scan, text);
    json_scan_plain(scan);
    if (scan->bad || scan->escapes || scan->in_string != 0 || scan->count == 0) return NULL;
    json_scan_end_put(scan->places + scan->count, scan->places[0]);
    return scan->places + scan->count;
}
