/* SPDX-License-Identifier: MIT */
/*
 * The grammar as a machine that may stop after any byte. Two kinds of states: between tokens (what
 * may come next) and inside one. A string or number grows at the end of the builder's bytes until
 * it is whole; a number is then taken off again.
 */
#include "codecs/json/stream.h"

#include <errno.h>
#include <stdio.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/json/json.h"
#include "codecs/json/json_private.h"
#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "core/base/hash.h"

enum stream_state {
    STATE_VALUE,      /* a value */
    STATE_LIST_FIRST, /* a value or ']' */
    STATE_MAP_FIRST,  /* a key or '}' */
    STATE_KEY,        /* a key */
    STATE_COLON,      /* ':' */
    STATE_AFTER,      /* ',' or the end of the container */
    STATE_DONE,       /* white space only */
    STATE_STRING,     /* inside a string … */
    STATE_ESCAPE,     /* … behind a backslash */
    STATE_HEX,        /* … behind \u */
    STATE_NUMBER,
    STATE_LITERAL,
};

/* Inside a number: what has been read so far. */
enum number_lex {
    NUMBER_SIGN,
    NUMBER_ZERO, /* a leading zero: no digit may follow */
    NUMBER_INT,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT,
    NUMBER_END, /* a byte that does not belong to it */
    NUMBER_BAD,
};

/* One piece that is being read. */
struct piece {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
};

static struct sl_pos pos_at(const struct sl_json_stream *stream, uint64_t off)
{
    return (struct sl_pos){stream->line, (uint32_t)(off - stream->line_off) + 1};
}

static uint64_t piece_off(const struct sl_json_stream *stream, const struct piece *piece)
{
    return stream->consumed + (uint64_t)(piece->at - piece->begin);
}

/* The first fault stays. Always false. */
static __attribute__((cold)) bool fail(struct sl_json_stream *stream, uint64_t off, int error,
                                       const char *code, const char *text)
{
    if (stream->error != 0) return false;
    stream->error = error;
    (void)sl_diag_set(&stream->diag, code, pos_at(stream, off), "%s", text);
    return false;
}

static bool fail_at(struct sl_json_stream *stream, const struct piece *piece, const char *text)
{
    return fail(stream, piece_off(stream, piece), -EINVAL, "bad_json", text);
}

/* The builder stopped: say why. */
static bool fail_builder(struct sl_json_stream *stream, const struct piece *piece)
{
    uint64_t off = piece_off(stream, piece);
    int error = stream->builder.error;
    if (error == -ENOMEM) return fail(stream, off, error, "no_memory", "no memory for this JSON");
    if (stream->builder.depth_max == SL_PAYLOAD_DEPTH_MAX) {
        return fail(stream, off, error, "json_too_deep", "nested too deep");
    }
    char text[96];
    (void)snprintf(text, sizeof(text),
                   "too large: a payload has at most %d values and keys, and %d bytes of text",
                   SL_PAYLOAD_CELLS_MAX, SL_PAYLOAD_BYTES_MAX);
    return fail(stream, off, error, "json_too_large", text);
}

void sl_json_stream_init(struct sl_json_stream *stream, struct sl_mem *mem, uint32_t flags)
{
    sl_assert(stream != NULL);
    sl_assert((flags & ~(uint32_t)SL_JSON_POSITIONS) == 0);
    memset((uint8_t *)stream + sizeof(stream->builder), 0,
           sizeof(*stream) - sizeof(stream->builder));
    stream->state = STATE_VALUE;
    stream->line = 1;
    sl_builder_init(&stream->builder, mem, 0, 0);
    if (flags & SL_JSON_POSITIONS) sl_builder_track(&stream->builder);
}

static bool in_map(const struct sl_builder *builder)
{
    return builder->stack[builder->open[builder->depth - 1] - 1].kind == SL_VALUE_MAP;
}

static void value_done(struct sl_json_stream *stream)
{
    stream->state = stream->builder.depth == 0 ? STATE_DONE : STATE_AFTER;
}

/* ------------------------------------------------------------------------------------------ */
/* Tokens of several bytes                                                                      */

/* Append bytes to the token that is being read. */
static bool token_append(struct sl_json_stream *stream, const struct piece *piece,
                         const uint8_t *data, size_t size)
{
    uint8_t *at = sl_builder_bytes_reserve(&stream->builder, size);
    if (at == NULL) return fail_builder(stream, piece);
    memcpy(at, data, size);
    stream->builder.buf->bytes_size += (uint32_t)size;
    return true;
}

static bool token_append_code(struct sl_json_stream *stream, const struct piece *piece,
                              uint32_t code)
{
    uint8_t bytes[4];
    return token_append(stream, piece, bytes, sl_utf8_put(code, bytes));
}

/* A high surrogate whose partner did not come. */
static bool surrogate_flush(struct sl_json_stream *stream, const struct piece *piece)
{
    if (stream->surrogate == 0) return true;
    stream->surrogate = 0;
    return token_append_code(stream, piece, 0xfffd);
}

static void token_begin(struct sl_json_stream *stream, const struct piece *piece, uint8_t state)
{
    stream->state = state;
    stream->token_off = stream->builder.buf->bytes_size;
    stream->builder.pos = pos_at(stream, piece_off(stream, piece));
}

static bool string_end(struct sl_json_stream *stream, struct piece *piece)
{
    if (!surrogate_flush(stream, piece)) return false;
    struct sl_builder *builder = &stream->builder;
    struct sl_cell *cell = sl_builder_push(builder);
    if (cell == NULL) return fail_builder(stream, piece);
    uint32_t size = builder->buf->bytes_size - stream->token_off;
    *cell = (struct sl_cell){.kind = SL_VALUE_STRING, .len = size, .word = stream->token_off};
    if (stream->is_key) {
        cell->hash = sl_hash16(builder->buf->bytes + stream->token_off, size);
        stream->state = STATE_COLON;
    } else {
        value_done(stream);
    }
    piece->at++;
    return true;
}

/* First byte of a character of several bytes: how many follow, and the bounds of the next. */
static bool utf8_begin(struct sl_json_stream *stream, uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4) return false;
    stream->utf8_left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    stream->utf8_low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    stream->utf8_high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool utf8_continue(struct sl_json_stream *stream, uint8_t byte)
{
    if (byte < stream->utf8_low || byte > stream->utf8_high) return false;
    stream->utf8_left--;
    stream->utf8_low = 0x80;
    stream->utf8_high = 0xbf;
    return true;
}

/* Ordinary characters up to a quote, a backslash or the end of the piece. */
static bool string_run(struct sl_json_stream *stream, struct piece *piece)
{
    const uint8_t *from = piece->at;
    for (; piece->at < piece->end; piece->at++) {
        uint8_t byte = *piece->at;
        if (stream->utf8_left > 0) {
            if (!utf8_continue(stream, byte)) return fail_at(stream, piece, "this is not UTF-8");
        } else if (byte == '"' || byte == '\\') {
            break;
        } else if (byte < 0x20) {
            return fail_at(stream, piece, "a control character in a string has to be escaped");
        } else if (byte >= 0x80 && !utf8_begin(stream, byte)) {
            return fail_at(stream, piece, "this is not UTF-8");
        }
    }
    if (piece->at == from) return true;
    if (!surrogate_flush(stream, piece)) return false;
    return token_append(stream, piece, from, (size_t)(piece->at - from));
}

static bool string_feed(struct sl_json_stream *stream, struct piece *piece)
{
    if (!string_run(stream, piece)) return false;
    if (piece->at == piece->end) return true;
    if (*piece->at == '"') return string_end(stream, piece);
    stream->state = STATE_ESCAPE;
    piece->at++;
    return true;
}

static bool escape_feed(struct sl_json_stream *stream, struct piece *piece)
{
    static const char names[] = "\"\\/bfnrt";
    static const uint8_t values[] = "\"\\/\b\f\n\r\t";
    uint8_t byte = *piece->at;
    if (byte == 'u') {
        stream->state = STATE_HEX;
        stream->hex = 0;
        stream->hex_left = 4;
        piece->at++;
        return true;
    }
    const char *name = byte != 0 ? strchr(names, byte) : NULL;
    if (name == NULL) return fail_at(stream, piece, "unknown escape");
    if (!surrogate_flush(stream, piece)) return false;
    if (!token_append(stream, piece, &values[name - names], 1)) return false;
    stream->state = STATE_STRING;
    piece->at++;
    return true;
}

/* Four digits are there: a character, or half of one. */
static bool hex_end(struct sl_json_stream *stream, const struct piece *piece)
{
    uint16_t code = stream->hex, high = stream->surrogate;
    stream->state = STATE_STRING;
    if (code >= 0xdc00 && code <= 0xdfff && high != 0) {
        stream->surrogate = 0;
        uint32_t whole = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(code - 0xdc00);
        return token_append_code(stream, piece, whole);
    }
    if (!surrogate_flush(stream, piece)) return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        stream->surrogate = code;
        return true;
    }
    return token_append_code(stream, piece, code >= 0xdc00 && code <= 0xdfff ? 0xfffd : code);
}

static bool hex_feed(struct sl_json_stream *stream, struct piece *piece)
{
    uint8_t byte = *piece->at, lower = byte | 0x20;
    unsigned digit;
    if (byte >= '0' && byte <= '9') {
        digit = byte - '0';
    } else if (lower >= 'a' && lower <= 'f') {
        digit = lower - 'a' + 10U;
    } else {
        return fail_at(stream, piece, "\\u needs four hexadecimal digits");
    }
    stream->hex = (uint16_t)(stream->hex << 4 | digit);
    piece->at++;
    return --stream->hex_left > 0 || hex_end(stream, piece);
}

static enum number_lex number_next(enum number_lex lex, uint8_t byte)
{
    bool digit = byte >= '0' && byte <= '9';
    bool exponent = byte == 'e' || byte == 'E';
    switch (lex) {
    case NUMBER_SIGN: return !digit ? NUMBER_BAD : byte == '0' ? NUMBER_ZERO : NUMBER_INT;
    case NUMBER_ZERO:
        if (digit) return NUMBER_BAD;
        return byte == '.' ? NUMBER_POINT : exponent ? NUMBER_E : NUMBER_END;
    case NUMBER_INT:
        if (digit) return NUMBER_INT;
        return byte == '.' ? NUMBER_POINT : exponent ? NUMBER_E : NUMBER_END;
    case NUMBER_POINT: return digit ? NUMBER_FRACTION : NUMBER_BAD;
    case NUMBER_FRACTION:
        if (digit) return NUMBER_FRACTION;
        return exponent ? NUMBER_E : NUMBER_END;
    case NUMBER_E:
        if (digit) return NUMBER_EXPONENT;
        return byte == '+' || byte == '-' ? NUMBER_E_SIGN : NUMBER_BAD;
    case NUMBER_E_SIGN:
    case NUMBER_EXPONENT:
        if (digit) return NUMBER_EXPONENT;
        return lex == NUMBER_EXPONENT ? NUMBER_END : NUMBER_BAD;
    default: return NUMBER_BAD;
    }
}

static bool number_end(struct sl_json_stream *stream, const struct piece *piece)
{
    struct sl_builder *builder = &stream->builder;
    struct sl_buf *buf = builder->buf;
    const char *text = (const char *)buf->bytes + stream->token_off;
    struct sl_cell number;
    if (!json_number_read(text, buf->bytes_size - stream->token_off, stream->is_float, &number)) {
        return fail_at(stream, piece, "a number too large for 64 bits");
    }
    buf->bytes_size = stream->token_off;
    struct sl_cell *cell = sl_builder_push(builder);
    if (cell == NULL) return fail_builder(stream, piece);
    *cell = number;
    value_done(stream);
    return true;
}

static bool number_feed(struct sl_json_stream *stream, struct piece *piece)
{
    const uint8_t *from = piece->at;
    enum number_lex lex = stream->lex;
    for (; piece->at < piece->end; piece->at++) {
        enum number_lex next = number_next(lex, *piece->at);
        if (next == NUMBER_BAD) return fail_at(stream, piece, "this is not a number");
        if (next == NUMBER_END) break;
        stream->is_float |= next == NUMBER_POINT || next == NUMBER_E;
        lex = next;
    }
    stream->lex = (uint8_t)lex;
    size_t size = (size_t)(piece->at - from);
    if (size > 0 && !token_append(stream, piece, from, size)) return false;
    return piece->at == piece->end || number_end(stream, piece);
}

static bool literal_feed(struct sl_json_stream *stream, struct piece *piece)
{
    const char *literal = stream->literal;
    for (; piece->at < piece->end && literal[stream->lex] != 0; piece->at++, stream->lex++) {
        if (*piece->at != (uint8_t)literal[stream->lex]) {
            return fail_at(stream, piece, "expected a value");
        }
    }
    if (literal[stream->lex] != 0) return true;
    if (literal[0] == 'n') {
        sl_build_null(&stream->builder);
    } else {
        sl_build_bool(&stream->builder, literal[0] == 't');
    }
    if (stream->builder.error != 0) return fail_builder(stream, piece);
    value_done(stream);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Between tokens                                                                               */

static bool container_begin(struct sl_json_stream *stream, struct piece *piece, bool map)
{
    stream->builder.pos = pos_at(stream, piece_off(stream, piece));
    if (map) {
        sl_build_map_begin(&stream->builder);
    } else {
        sl_build_list_begin(&stream->builder);
    }
    if (stream->builder.error != 0) return fail_builder(stream, piece);
    stream->state = map ? STATE_MAP_FIRST : STATE_LIST_FIRST;
    piece->at++;
    return true;
}

static bool container_end(struct sl_json_stream *stream, struct piece *piece, bool map)
{
    if (map) {
        sl_build_map_end(&stream->builder);
    } else {
        sl_build_list_end(&stream->builder);
    }
    if (stream->builder.error != 0) return fail_builder(stream, piece);
    value_done(stream);
    piece->at++;
    return true;
}

static bool string_begin(struct sl_json_stream *stream, struct piece *piece, bool is_key)
{
    token_begin(stream, piece, STATE_STRING);
    stream->is_key = is_key;
    piece->at++;
    return true;
}

static bool literal_begin(struct sl_json_stream *stream, const struct piece *piece,
                          const char *literal)
{
    token_begin(stream, piece, STATE_LITERAL);
    stream->literal = literal;
    stream->lex = 0;
    return true; /* its first byte is compared with the others */
}

static bool number_begin(struct sl_json_stream *stream, struct piece *piece)
{
    uint8_t byte = *piece->at;
    token_begin(stream, piece, STATE_NUMBER);
    stream->is_float = false;
    stream->lex = byte == '-' ? NUMBER_SIGN : byte == '0' ? NUMBER_ZERO : NUMBER_INT;
    if (!token_append(stream, piece, &byte, 1)) return false;
    piece->at++;
    return true;
}

static bool value_feed(struct sl_json_stream *stream, struct piece *piece)
{
    uint8_t byte = *piece->at;
    switch (byte) {
    case '"': return string_begin(stream, piece, false);
    case '{': return container_begin(stream, piece, true);
    case '[': return container_begin(stream, piece, false);
    case 't': return literal_begin(stream, piece, "true");
    case 'f': return literal_begin(stream, piece, "false");
    case 'n': return literal_begin(stream, piece, "null");
    case ']':
        if (stream->state == STATE_LIST_FIRST) return container_end(stream, piece, false);
        return fail_at(stream, piece, "expected a value");
    default:
        if (byte == '-' || (byte >= '0' && byte <= '9')) return number_begin(stream, piece);
        return fail_at(stream, piece, "expected a value");
    }
}

static bool key_feed(struct sl_json_stream *stream, struct piece *piece)
{
    if (*piece->at == '"') return string_begin(stream, piece, true);
    if (*piece->at == '}' && stream->state == STATE_MAP_FIRST) {
        return container_end(stream, piece, true);
    }
    return fail_at(stream, piece, "expected a key in double quotes");
}

static bool after_feed(struct sl_json_stream *stream, struct piece *piece)
{
    bool map = in_map(&stream->builder);
    if (*piece->at == ',') {
        stream->state = map ? STATE_KEY : STATE_VALUE;
        piece->at++;
        return true;
    }
    if (*piece->at == (map ? '}' : ']')) return container_end(stream, piece, map);
    return fail_at(stream, piece, map ? "expected ',' or '}'" : "expected ',' or ']'");
}

/* Skip white space, counting lines. False at the end of the piece. */
static bool space_skip(struct sl_json_stream *stream, struct piece *piece)
{
    for (; piece->at < piece->end; piece->at++) {
        uint8_t byte = *piece->at;
        if (byte == '\n') {
            stream->line++;
            stream->line_off = piece_off(stream, piece) + 1;
        } else if (byte != ' ' && byte != '\t' && byte != '\r') {
            return true;
        }
    }
    return false;
}

/* Read as much as one state takes; false on error. */
static bool step(struct sl_json_stream *stream, struct piece *piece)
{
    if (stream->state <= STATE_DONE && !space_skip(stream, piece)) return true;
    switch ((enum stream_state)stream->state) {
    case STATE_VALUE:
    case STATE_LIST_FIRST: return value_feed(stream, piece);
    case STATE_MAP_FIRST:
    case STATE_KEY: return key_feed(stream, piece);
    case STATE_COLON:
        if (*piece->at != ':') return fail_at(stream, piece, "expected ':' after a key");
        stream->state = STATE_VALUE;
        piece->at++;
        return true;
    case STATE_AFTER: return after_feed(stream, piece);
    case STATE_DONE: return fail_at(stream, piece, "text after the end of the value");
    case STATE_STRING: return string_feed(stream, piece);
    case STATE_ESCAPE: return escape_feed(stream, piece);
    case STATE_HEX: return hex_feed(stream, piece);
    case STATE_NUMBER: return number_feed(stream, piece);
    case STATE_LITERAL: return literal_feed(stream, piece);
    }
    return false;
}

static int report(const struct sl_json_stream *stream, struct sl_diag *reterr)
{
    if (reterr != NULL) *reterr = stream->diag;
    return stream->error;
}

int sl_json_stream_feed(struct sl_json_stream *stream, struct sl_slice text, struct sl_diag *reterr)
{
    sl_assert(stream != NULL);
    struct piece piece = {text.data, text.data, text.data + text.size};
    if (stream->builder.error != 0) (void)fail_builder(stream, &piece);
    while (stream->error == 0 && piece.at < piece.end) {
        if (!step(stream, &piece)) break;
    }
    stream->consumed += text.size;
    return stream->error == 0 ? 0 : report(stream, reterr);
}

bool sl_json_stream_is_done(const struct sl_json_stream *stream)
{
    return stream->error == 0 && stream->state == STATE_DONE;
}

int sl_json_stream_finish(struct sl_json_stream *stream, struct sl_value *ret,
                          struct sl_diag *reterr)
{
    sl_assert(stream != NULL);
    sl_assert(ret != NULL);
    const struct piece none = {NULL, NULL, NULL};
    if (stream->error == 0 && stream->builder.error != 0) (void)fail_builder(stream, &none);
    if (stream->error == 0 && stream->state == STATE_NUMBER) {
        /* Only the end of the text can say that a number is whole. */
        if (number_next(stream->lex, ' ') == NUMBER_END) (void)number_end(stream, &none);
    }
    if (stream->error == 0 && stream->state != STATE_DONE) {
        (void)fail(stream, stream->consumed, -EINVAL, "bad_json", "the text ends too early");
    }
    if (stream->error == 0) {
        int result = sl_builder_finish(&stream->builder, ret);
        if (result == 0) return 0;
        (void)fail_builder(stream, &none);
    }
    sl_builder_fini(&stream->builder);
    return report(stream, reterr);
}

void sl_json_stream_fini(struct sl_json_stream *stream)
{
    sl_builder_fini(&stream->builder);
}
