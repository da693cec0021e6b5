/* SPDX-License-Identifier: MIT */
/*
 * Decoding and encoding of bodies. Only io/http includes it.
 */
#pragma once

#include "codecs/flat/flat.h"
#include "core/base/slice.h"

struct sl_out;

enum http_body_tag {
    HTTP_BODY_BINARY,
    HTTP_BODY_JSON,
    HTTP_BODY_FORM,
    HTTP_BODY_MULTIPART,
    HTTP_BODY_TEXT,
};

/* What a Content-Type says. */
enum http_body_tag http_body_tag_of(struct sl_slice content_type);

/* The same for a request, as a tag of its Lazy: an encoded body stays Binary. */
uint32_t http_body_tag(struct sl_slice content_type, struct sl_slice content_encoding);

/* Decoder of a Lazy whose `raw` is the Binary of a body, and whose owner's bytes are the head. */
struct sl_value http_body_decode(struct sl_lazy *lazy, struct sl_buf *owner);

/* The Error `bad_body`. cell == NULL for no memory, here and below. */
struct sl_value http_body_bad(struct sl_mem *mem, const char *reason);

/* name → [values] of a query or form; an Error with `code` where it has too many pairs. */
struct sl_value http_pairs_decode(struct sl_mem *mem, struct sl_slice text, const char *code);

/* {values: name → [String], files: name → [{filename, header, size, data}]}. RFC 7578. */
struct sl_value http_multipart_decode(struct sl_mem *mem, struct sl_value raw,
                                      struct sl_slice content_type);

/* The value of a JSON text that is a Binary. */
struct sl_value http_json_decode(struct sl_mem *mem, struct sl_value raw);

/*
 * Append a Map name → scalar or list of scalars as name=value&…
 * returns  0, -E2BIG or -ENOMEM
 */
int http_form_write(struct sl_out *out, struct sl_value map);

/*
 * Encode the body of an answer.
 *
 * out           scratch: overwritten; the result may point into it
 * content_type  that the author chose, or size 0
 * ret_body      bytes, borrowed from `out` or `value`
 * ret_type      the Content-Type where the author chose none; static
 * returns       0, -E2BIG or -ENOMEM
 */
int http_body_encode(struct sl_out *out, struct sl_value value, struct sl_slice content_type,
                     struct sl_slice *ret_body, struct sl_slice *ret_type);
