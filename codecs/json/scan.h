/* SPDX-License-Identifier: MIT */
/*
 * Where the tokens of a text are: the first of two steps. A window of the text is looked at in
 * blocks of 64 bytes and becomes a list of places:
 *
 *     {"name": "a \"b\"", "n": 12}
 *     ^^    ^^ ^       ^^ ^ ^^ ^ ^      braces, brackets, ',' and ':' outside strings, both quotes of
 *                                      each string, and the first byte of everything else
 *
 * The second step (fast.c) goes from place to place, so it never waits for the end of one token to
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

enum {
    SCAN_BLOCK = 64,
    SCAN_WINDOW = 64 * SCAN_BLOCK, /* bytes of text at once */
    SCAN_AHEAD = 8,                /* places the parser may take without looking */
    SCAN_SLACK = 64 + SCAN_AHEAD,  /* places written beyond the count */
};

struct json_scan;

typedef void json_scan_fn(struct json_scan *scan);

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
    const uint32_t *limit; /* a parser that has come further has to call json_scan_more */
    uint32_t places[SCAN_WINDOW + SCAN_AHEAD + SCAN_SLACK];
};

/*
 * See to it that at least SCAN_AHEAD places stand at `place` and behind. Those beyond the end of the
 * text are copies of the first token's place: no quote where more than a string is expected.
 *
 * returns  the new place of `place`; NULL if the text is bad, or `place` was beyond its end
 */
const uint32_t *json_scan_more(struct json_scan *scan, json_scan_fn *scan_fn,
                               const uint32_t *place);

/* True if all tokens of the text stand before `place`. */
static inline bool json_scan_is_over(const struct json_scan *scan, const uint32_t *place)
{
    return scan->off == scan->size && place == scan->places + scan->count;
}

/* Ways to scan the next window: its places are appended to places[count]. Call while off < size. */
void json_scan_plain(struct json_scan *scan); /* any machine; one byte after the other */
#if defined(__x86_64__)
void json_scan_avx2(struct json_scan *scan);
void json_scan_avx512(struct json_scan *scan);
#endif

/* The best one for this machine; and whether it can run a certain one. */
json_scan_fn *json_scan_get(void);
bool json_scan_can_run(json_scan_fn *fn);

/* A run of blocks [high_off, end) is over: check that it is UTF-8. Sets `bad` and clears `high`. */
void json_scan_utf8(struct json_scan *scan, uint32_t end);
