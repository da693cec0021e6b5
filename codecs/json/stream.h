/* SPDX-License-Identifier: MIT */
/*
 * JSON in pieces: the text may be cut anywhere, even inside an escape, and the result is that of
 * the whole. The same rules as json.h.
 *
 *     struct sl_json_stream stream;
 *     sl_json_stream_init(&stream, mem, 0);
 *     while (a piece comes) if (sl_json_stream_feed(&stream, piece, &diag) < 0) break;
 *     int result = sl_json_stream_finish(&stream, &value, &diag);
 *
 * It is also the plain twin of the fast parser: one byte after the other, with positions.
 */
#pragma once

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

/* Do not copy or move it between init and finish: the builder points into itself. */
struct sl_json_stream {
    struct sl_builder builder;
    uint8_t state;     /* of the grammar: what may come next */
    uint8_t lex;       /* inside a number or literal: how far */
    uint8_t hex_left;  /* digits of an escape still to come */
    uint8_t utf8_left; /* continuation bytes still to come … */
    uint8_t utf8_low;  /* … and the bounds of the next one */
    uint8_t utf8_high;
    bool is_key;         /* the string being read */
    bool is_float;       /* the number being read */
    uint16_t hex;        /* value of the escape so far */
    uint16_t surrogate;  /* a high surrogate that waits for its partner, or 0 */
    uint32_t token_off;  /* where the token's bytes begin in the builder's bytes */
    const char *literal; /* being read */
    uint64_t consumed;   /* bytes before the piece being read */
    uint64_t line_off;   /* of the line's first byte */
    uint32_t line;       /* from 1 */
    int error;
    struct sl_diag diag; /* set with error */
};

/* Start. flags: SL_JSON_POSITIONS or 0. */
void sl_json_stream_init(struct sl_json_stream *stream, struct sl_mem *mem, uint32_t flags);

/* Read on. Errors stick. 0, -EINVAL, -E2BIG, -ENOMEM; reterr may be NULL. */
int sl_json_stream_feed(struct sl_json_stream *stream, struct sl_slice piece,
                        struct sl_diag *reterr);

/* True once a whole value was read, so that only white space may follow. */
bool sl_json_stream_is_done(const struct sl_json_stream *stream);

/* The text has ended: take the value, with one count for the caller. The stream is over. */
int sl_json_stream_finish(struct sl_json_stream *stream, struct sl_value *ret,
                          struct sl_diag *reterr);

/* Give up halfway; harmless after finish. */
void sl_json_stream_fini(struct sl_json_stream *stream);
