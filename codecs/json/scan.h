/* SPDX-License-Identifier: MIT */
/*
 * Where the tokens of a text are: the first of two steps. A window of the text is looked at in
 * blocks of 64 bytes and becomes a list of places:
 *
 *     {"name": "a \"b\"", "n": 12}
 *     ^^    ^^ ^       ^^ ^ ^^ ^ ^      braces, brackets, ',' and ':' outside strings, both quotes of
 *                                      each string, and the first byte of everything else
 *
 * The second step (machine.h) goes from place to place, so it never waits for the end of one token to
 * find the next. It also finds what is wrong; here only two faults are seen, since they are cheap
 * here: control characters in strings, and text that is not UTF-8.
 *
 * source   Langdale, Lemire: "Parsing Gigabytes of JSON per Second" (2019), section 3.1; the ends
 *          of strings, windows and UTF-8 by runs are ours
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/slice.h"

enum {
    SCAN_BLOCK = 64,
    SCAN_WINDOW = 64 * SCAN_BLOCK, /* bytes of text at once */
    SCAN_AHEAD = 8,                /* places the parser may take without looking */
    SCAN_SLACK = 64 + SCAN_AHEAD,  /* places written beyond the count */
};

struct json_scan {
    const uint8_t *text;
    uint32_t size;
    uint32_t off; /* of the next window */

    /* What the last block left for the next: each all ones or zero, or one bit. */
    uint64_t in_string;
    uint64_t escaped; /* the next byte is behind a backslash */
    uint64_t scalar;  /* the last byte belonged to something that goes on */

    uint32_t high_off; /* where a run of blocks with bytes beyond ASCII began … */
    bool high;         /* … if one is open */
    bool escapes;      /* a backslash was seen */
    bool bad;          /* a fault was seen */
    uint32_t first;    /* place of the text's first token; UINT32_MAX: not found yet */
    uint32_t count;
    const uint32_t *limit; /* a parser that has come further needs more */
    uint32_t places[SCAN_WINDOW + SCAN_AHEAD + SCAN_SLACK];
};

/* Start with the text; json_scan_keep and json_scan_close, around a scan, make the first places. */
static inline void json_scan_init(struct json_scan *scan, struct sl_slice text)
{
    memset(scan, 0, offsetof(struct json_scan, places));
    scan->text = text.data;
    scan->size = (uint32_t)text.size;
    scan->first = UINT32_MAX;
}

/*
 * More places are needed: keep those from `place` on, to which windows are then appended while
 * there are fewer than SCAN_AHEAD and text is left. false: `place` is beyond the end of the text.
 */
static inline bool json_scan_keep(struct json_scan *scan, const uint32_t *place)
{
    const uint32_t *end = scan->places + scan->count;
    if (place > end) return false;
    scan->count = (uint32_t)(end - place);
    if (scan->count > 0) memmove(scan->places, place, scan->count * sizeof(*place));
    return true;
}

/* The copies behind the last place. */
static inline void json_scan_end_put(uint32_t *end, uint32_t first)
{
    uint64_t pair = first | (uint64_t)first << 32;
    for (uint32_t i = 0; i < SCAN_AHEAD; i += 2) memcpy(&end[i], &pair, sizeof(pair));
}

/*
 * Now at least SCAN_AHEAD places stand at scan->places. Those beyond the end of the text are copies
 * of the first token's place: no quote where more than a string is expected. false: the text is bad.
 */
static inline bool json_scan_close(struct json_scan *scan)
{
    if (scan->bad || scan->count == 0) return false;
    if (scan->first == UINT32_MAX) scan->first = scan->places[0];
    scan->limit = scan->places + scan->count;
    if (scan->off < scan->size) {
        scan->limit -= SCAN_AHEAD;
        return true;
    }
    if (scan->in_string != 0) return false; /* it has no end to take */
    json_scan_end_put(scan->places + scan->count, scan->first);
    return true;
}

/* True if all tokens of the text stand before `place`. */
static inline bool json_scan_is_over(const struct json_scan *scan, const uint32_t *place)
{
    return scan->off == scan->size && place == scan->places + scan->count;
}

/*
 * Scan the next window, one byte after the other: its places are appended to places[count]. Call
 * while off < size. The vector ways (scan_block.h) do the same.
 */
void json_scan_plain(struct json_scan *scan);

/* The same as small_scan of scan_block.h. */
const uint32_t *json_scan_small_plain(struct json_scan *scan, struct sl_slice text);

/* A run of blocks [begin, end) with bytes beyond ASCII is over: true if it is UTF-8. */
bool json_scan_is_utf8(const uint8_t *text, uint32_t begin, uint32_t end);
