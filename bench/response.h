/* SPDX-License-Identifier: MIT */
/*
 * A reader of HTTP/1.1 responses, fed at any split point: status, length, chunks, keep-alive.
 *
 *     LINE (status) → LINE (headers)… → body by length | chunks | until close → done
 *
 * Interim responses (1xx) are skipped. Body bytes are handed on, never kept. A message that two
 * readers could cut differently (two lengths, a length with chunks) is a protocol error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SL_RESPONSE_LINE_SIZE_MAX = 16 * 1024 };

enum sl_response_state {
    SL_RESPONSE_STATUS,
    SL_RESPONSE_HEADER,
    SL_RESPONSE_BODY_LENGTH,
    SL_RESPONSE_BODY_CLOSE,
    SL_RESPONSE_CHUNK_SIZE,
    SL_RESPONSE_CHUNK_DATA,
    SL_RESPONSE_CHUNK_END,
    SL_RESPONSE_TRAILER,
    SL_RESPONSE_DONE,
};

/* Body bytes as they arrive; borrowed for the call. */
typedef void sl_response_body_fn(void *ctx, const uint8_t *data, size_t size);

struct sl_response {
    enum sl_response_state state;
    uint16_t status;
    bool keep_alive; /* the connection may carry another request */
    bool is_head;    /* set by the caller: the request was HEAD */
    bool has_length;
    bool has_chunks;
    bool is_http10;
    uint64_t remaining;        /* bytes of body or chunk */
    uint64_t body_size;        /* bytes so far */
    const char *fault;         /* after -EPROTO: what was wrong */
    sl_response_body_fn *body; /* NULL: bodies are skipped */
    void *body_ctx;
    size_t line_size; /* bytes of a line cut by the end of a buffer */
    size_t line_cap;
    char *line; /* owned */
};

/* Zero-initialised is ready for the first response. Frees the line buffer. */
void sl_response_fini(struct sl_response *response);

/* Make ready for the next response on the same connection, or on a new one. */
void sl_response_reset(struct sl_response *response, bool is_head);

/*
 * Feed bytes until the response ends or they are used up.
 *
 * ret_used  bytes taken; less than `size` only when the state is DONE
 * returns   0, or -EPROTO with `fault` set, or -ENOMEM
 * source    RFC 9112 §4, §6, §7
 */
int sl_response_feed(struct sl_response *response, const uint8_t *data, size_t size,
                     size_t *ret_used);

/*
 * The peer closed. 0 if that ends the response rightly (state becomes DONE), else -EPIPE.
 */
int sl_response_end(struct sl_response *response);
