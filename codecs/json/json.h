/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259), strictly, to payloads and back.
 *
 * Reading
 *   Integers are Int, above INT64_MAX Uint, beyond 64 bits Float. A number with a fraction or an
 *   exponent is Float, correctly rounded; so is -0, which keeps its sign. A number that is too
 *   large for a double is refused: infinity would come out as null.
 *   A key that stands twice keeps its place and its last value (RFC 8259 section 4 lets us choose)
 *   and is counted.
 *   The text has to be UTF-8, without a byte order mark. An escaped surrogate without its partner
 *   is within the grammar and becomes U+FFFD, as no UTF-8 could say it.
 *   Nesting beyond SL_PAYLOAD_DEPTH_MAX is refused.
 *
 * Writing
 *   Float       shortest text that reads back to the same double, always with a point or an
 *               exponent, so that it stays a Float; NaN and infinities are null
 *   Binary      base64 with padding, a string
 *   Time        RFC 3339 in UTC, a string: "2026-11-21T09:08:58.5Z"
 *   Duration    seconds, a string: "1.5s"
 *   Error       {"error":{"code":"…","message":"…","status":404,"data":…,"cause":{"code":…}}}; what is
 *               null is left out; a cause nests without the word "error"
 *   String      escaped are the quote, the backslash and U+0000..U+001F, nothing else; bytes that
 *               are not UTF-8 become U+FFFD each
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;
struct sl_out;

enum {
    SL_JSON_POSITIONS =
        1,              /* reading: keep line and column of each value (slower; copies strings) */
    SL_JSON_PRETTY = 2, /* writing: two spaces an indent, a newline after each item */
};

/*
 * Read one JSON text.
 *
 * owner    the buffer that `text` lives in: strings without escapes are borrowed from it. NULL:
 *          `text` is only borrowed for the call, and strings are copied
 * flags    SL_JSON_POSITIONS or 0
 * ret      the value, with one count for the caller
 * reterr   what is wrong and where (line and column in `text`); may be NULL, which saves a second
 *          look at a text that is wrong
 * returns  0; -EINVAL: not JSON; -E2BIG: a limit of payloads (either, if both hold); -ENOMEM
 */
int sl_json_parse(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem, uint32_t flags,
                  struct sl_value *ret, struct sl_diag *reterr);

/* The same, and how many keys stood twice. */
int sl_json_parse_counted(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                          uint32_t flags, struct sl_value *ret, uint32_t *ret_duplicates,
                          struct sl_diag *reterr);

/*
 * Append `value` as JSON. Lazies are decoded.
 *
 * flags    SL_JSON_PRETTY or 0
 * returns  0; -E2BIG or -ENOMEM, as out->error then says
 */
int sl_json_write(struct sl_value value, uint32_t flags, struct sl_out *out);

/* Bytes that sl_json_write would append. It costs about as much as writing. 0 or -E2BIG. */
int sl_json_size(struct sl_value value, uint32_t flags, uint64_t *ret_size);
