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

/* Set a head to "nothing read yet". */
static inline void sl_http1_head_clear(struct sl_http1_head *head)
{
    head->headers_count = 0;
    head->host_index = 0;
    head->seen = 0;
    head->seen_again = 0;
    head->version_minor = 0;
    head->keep_alive = false;
    head->chunked = false;
    head->has_content_length = false;
    head->connection_upgrade = false;
    head->content_length = 0;
    head->upgrade = (struct sl_slice){NULL, 0};
    head->reason = NULL;
}

static inline bool sl_http1_head_has(const struct sl_http1_head *head, enum sl_http1_header_id id)
{
    return (head->seen >> id & 1) != 0;
}

/*
 * Work out framing from the fields that decide about it: Content-Length, Transfer-Encoding,
 * Connection, Upgrade. version_minor is set.
 * returns  0, -400, or -501 for a transfer coding that we do not know
 */
int sl_http1_frame(struct sl_http1_head *head);
