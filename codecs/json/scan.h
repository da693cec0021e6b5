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
    SCAN_SLACK = 64,               /* places written beyond the count */
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
    bool escapes;      /* a backslash in this window, or in a string that began before it */
    bool bad;          /* a fault was seen */
    uint32_t count;
    uint32_t places[SCAN_WINDOW + SCAN_SLACK];
};

/* Scan the next window: places[0..count) of it, absolute. Call while off < size. */
typedef void json_scan_fn(struct json_scan *scan);

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
