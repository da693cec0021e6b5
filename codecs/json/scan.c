/* SPDX-License-Identifier: MIT */
/* Finding tokens without vector instructions, and choosing among the ways to find them. */
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

void json_scan_utf8(struct json_scan *scan, uint32_t end)
{
    /* A character may go on behind the run only where there is no text any more. */
    if (!sl_utf8_is_valid(scan->text + scan->high_off, end - scan->high_off)) scan->bad = true;
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
            json_scan_utf8(scan, at);
        }
        bool place = scan->in_string != 0 ? string_byte(scan, byte) : other_byte(scan, byte);
        if (place) scan->places[count++] = at;
    }
    scan->off = end;
    scan->count = count;
    if (scan->high && end == scan->size) json_scan_utf8(scan, end);
}

const uint32_t *json_scan_more(struct json_scan *scan, json_scan_fn *scan_fn, const uint32_t *place)
{
    const uint32_t *end = scan->places + scan->count;
    if (place > end) return NULL;
    scan->count = (uint32_t)(end - place);
    memmove(scan->places, place, scan->count * sizeof(*place));
    while (scan->count < SCAN_AHEAD && scan->off < scan->size) {
        scan_fn(scan);
        if (scan->first == UINT32_MAX && scan->count > 0) scan->first = scan->places[0];
    }
    if (scan->bad || scan->first == UINT32_MAX) return NULL;
    scan->limit = scan->places + scan->count;
    if (scan->off < scan->size) {
        scan->limit -= SCAN_AHEAD;
        return scan->places;
    }
    if (scan->in_string != 0) return NULL; /* it has no end to take */
    for (uint32_t i = 0; i < SCAN_AHEAD; i++) scan->places[scan->count + i] = scan->first;
    return scan->places;
}

json_scan_fn *json_scan_get(void)
{
#if defined(__x86_64__)
    /* Machines with these two have all the rest. */
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw")) {
        return json_scan_avx512;
    }
    if (json_scan_can_run(json_scan_avx2)) return json_scan_avx2;
#endif
    return json_scan_plain;
}

bool json_scan_can_run(json_scan_fn *fn)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
                __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
    if (fn == json_scan_avx2) return avx2;
    if (fn == json_scan_avx512) {
        return avx2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2");
    }
#endif
    return fn == json_scan_plain;
}
