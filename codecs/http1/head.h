/* SPDX-License-Identifier: MIT */
/*
 * What request and response heads have in common. Inside codecs/http1 only.
 */
#pragma once

#include "codecs/http1/http1.h"

/* Place in the bytes of a head. */
struct sl_http1_cursor {
    const uint8_t *base;
    const uint8_t *at;
    const uint8_t *end;
};

/* A line is broken at `from`: minus `status` if the line has ended already, else 0: wait for it. */
int sl_http1_line_fail(const uint8_t *from, const uint8_t *end, int status, const char *reason,
                       struct sl_http1_head *head);

/* Skip up to four empty lines. 1: at the start line; 0: more bytes; -400. */
int sl_http1_skip_empty_lines(struct sl_http1_cursor *cursor, struct sl_http1_head *head);

/*
 * Parse field lines up to and with the empty line into head->headers.
 * returns  1: done, cursor->at is behind the head; 0: more bytes; -400 or -431
 */
int sl_http1_parse_fields(struct sl_http1_cursor *cursor, struct sl_http1_head *head);

/*
 * Work out framing from the fields that decide about it: Content-Length, Transfer-Encoding,
 * Connection, Upgrade. version_minor is set.
 * returns  0, -400, or -501 for a transfer coding that we do not know
 */
int sl_http1_frame(struct sl_http1_head *head);
