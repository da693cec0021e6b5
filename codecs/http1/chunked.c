/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies, one state machine over bytes; only the data of chunks is moved in one piece.
 *
 *     size ──▶ [ ;name[=token|="text"] ]* CR LF ──▶ data ──▶ CR LF ──▶ size …
 *     0    ──▶ … CR LF ──▶ [ trailer CR LF ]* CR LF ──▶ done
 *
 * Source: RFC 9112 section 7.1; no white space around sizes and extensions is accepted.
 */
#include <string.h>

#include "codecs/http1/http1.h"
#include "codecs/http1/scan.h"
#include "core/base/assertion.h"

enum state {
    SIZE = 0,
    SIZE_LF,
    EXT_NAME,
    EXT_VALUE_BEGIN,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    BROKEN,
};

enum { DIGITS_MAX = 15 };

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static int fail(struct sl_http1_chunked *chunked, int status, const char *reason)
{
    chunked->state = BROKEN;
    chunked->reason = reason;
    return -status;
}

static int step_size(struct sl_http1_chunked *chunked, uint8_t byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (chunked->digits == DIGITS_MAX) return fail(chunked, 400, "chunk size is too large");
        chunked->digits++;
        chunked->left = chunked->left * 16 + (uint64_t)digit;
        return 0;
    }
    if (chunked->digits == 0) return fail(chunked, 400, "chunk size is not a number");
    if (byte == '\r') {
        chunked->state = SIZE_LF;
    } else if (byte == ';') {
        chunked->state = EXT_NAME;
        chunked->name_size = 0;
    } else {
        return fail(chunked, 400, "character not allowed in a chunk size");
    }
    return 0;
}

/* Behind a whole extension name or value. */
static int step_ext_end(struct sl_http1_chunked *chunked, uint8_t byte)
{
    chunked->name_size = 0;
    if (byte == '\r')
        chunked->state = SIZE_LF;
    else if (byte == ';')
        chunked->state = EXT_NAME;
    else
        return fail(chunked, 400, "malformed chunk extension");
    return 0;
}

static int step_ext(struct sl_http1_chunked *chunked, uint8_t byte)
{
    bool is_token = sl_http1_byte_is(byte, SL_HTTP1_TOKEN);
    bool has_name = chunked->name_size > 0;
    switch ((enum state)chunked->state) {
    case EXT_NAME:
        if (is_token)
            chunked->name_size = 1;
        else if (has_name && byte == '=')
            chunked->state = EXT_VALUE_BEGIN;
        else if (has_name)
            return step_ext_end(chunked, byte);
        else
            return fail(chunked, 400, "chunk extension without a name");
        return 0;
    case EXT_VALUE_BEGIN:
        if (byte == '"')
            chunked->state = EXT_QUOTED;
        else if (is_token)
            chunked->state = EXT_VALUE;
        else
            return fail(chunked, 400, "chunk extension without a value");
        return 0;
    case EXT_VALUE: return is_token ? 0 : step_ext_end(chunked, byte);
    case EXT_QUOTED:
        if (byte == '"')
            chunked->state = EXT_QUOTED_END;
        else if (byte == '\\')
            chunked->state = EXT_ESCAPED;
        else if (!sl_http1_byte_is(byte, SL_HTTP1_VALUE)) {
            return fail(chunked, 400, "control character in a chunk extension");
        }
        return 0;
    case EXT_ESCAPED:
        if (!sl_http1_byte_is(byte, SL_HTTP1_VALUE)) {
            return fail(chunked, 400, "control character in a chunk extension");
        }
        chunked->state = EXT_QUOTED;
        return 0;
    default: return step_ext_end(chunked, byte);
    }
}

/* Framing, routing and connection fields mean nothing behind a body, and are looked for there. */
static bool trailer_is_refused(const struct sl_http1_chunked *chunked)
{
    if (chunked->name_size > sizeof(chunked->name)) return false;
    switch (sl_http1_header_find(sl_slice_make(chunked->name, chunked->name_size))) {
    case SL_HTTP1_HEADER_CONTENT_LENGTH:
    case SL_HTTP1_HEADER_TRANSFER_ENCODING:
    case SL_HTTP1_HEADER_HOST:
    case SL_HTTP1_HEADER_CONNECTION: return true;
    default: return false;
    }
}

static int step_trailer(struct sl_http1_chunked *chunked, uint8_t byte)
{
    if (++chunked->trailers_size > SL_HTTP_TRAILERS_SIZE_MAX) {
        return fail(chunked, 431, "trailers are too large");
    }
    switch ((enum state)chunked->state) {
    case TRAILER_BEGIN:
        chunked->name_size = 0;
        if (byte == '\r') {
            chunked->state = END_LF;
            return 0;
        }
        if (++chunked->trailers_count > SL_HTTP_HEADERS_MAX) {
            return fail(chunked, 431, "too many trailers");
        }
        chunked->state = TRAILER_NAME;
        __attribute__((fallthrough));
    case TRAILER_NAME:
        if (sl_http1_byte_is(byte, SL_HTTP1_TOKEN)) {
            if (chunked->name_size < sizeof(chunked->name)) {
                chunked->name[chunked->name_size] = (char)byte;
            }
            if (chunked->name_size <= sizeof(chunked->name)) chunked->name_size++;
            return 0;
        }
        if (byte != ':' || chunked->name_size == 0) {
            return fail(chunked, 400, "malformed trailer");
        }
        if (trailer_is_refused(chunked)) return fail(chunked, 400, "framing field in a trailer");
        chunked->state = TRAILER_VALUE;
        return 0;
    case TRAILER_VALUE:
        if (byte == '\r')
            chunked->state = TRAILER_LF;
        else if (!sl_http1_byte_is(byte, SL_HTTP1_VALUE)) {
            return fail(chunked, 400, "control character in a trailer");
        }
        return 0;
    default:
        if (byte != '\n') return fail(chunked, 400, "carriage return without line feed");
        chunked->state = chunked->state == END_LF ? DONE : TRAILER_BEGIN;
        return 0;
    }
}

/* One byte that is not chunk data: 0 or minus a status. */
static int step(struct sl_http1_chunked *chunked, uint8_t byte)
{
    switch ((enum state)chunked->state) {
    case DATA_CR:
        if (byte != '\r') return fail(chunked, 400, "chunk data not ended by CRLF");
        chunked->state = DATA_LF;
        return 0;
    case DATA_LF:
        if (byte != '\n') return fail(chunked, 400, "chunk data not ended by CRLF");
        chunked->state = SIZE;
        chunked->digits = 0;
        chunked->line_size = 0;
        return 0;
    case TRAILER_BEGIN:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case END_LF: return step_trailer(chunked, byte);
    default: break;
    }
    if (++chunked->line_size > SL_HTTP_CHUNK_LINE_SIZE_MAX) {
        return fail(chunked, 400, "chunk line is too long");
    }
    if (chunked->state == SIZE) return step_size(chunked, byte);
    if (chunked->state != SIZE_LF) return step_ext(chunked, byte);
    if (byte != '\n') return fail(chunked, 400, "carriage return without line feed");
    chunked->state = chunked->left > 0 ? DATA : TRAILER_BEGIN;
    return 0;
}

int sl_http1_chunked_decode(struct sl_http1_chunked *chunked, const uint8_t *data, size_t size,
                            uint8_t *out, size_t out_size, size_t *ret_consumed,
                            size_t *ret_produced)
{
    sl_assert(chunked != NULL);
    sl_assert(data != NULL || size == 0);
    sl_assert(chunked->state < DONE);
    size_t at = 0;
    size_t produced = 0;
    int err = 0;
    while (at < size && chunked->state != DONE && err == 0) {
        if (chunked->state != DATA) {
            err = step(chunked, data[at++]);
            continue;
        }
        size_t part = size - at < chunked->left ? size - at : (size_t)chunked->left;
        if (part > out_size - produced) {
            err = fail(chunked, 413, "body is too large");
            break;
        }
        memmove(out + produced, data + at, part);
        at += part;
        produced += part;
        chunked->left -= part;
        if (chunked->left == 0) chunked->state = DATA_CR;
    }
    *ret_consumed = at;
    *ret_produced = produced;
    if (err < 0) return err;
    return chunked->state == DONE ? 1 : 0;
}
