/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on the wire: bytes in, slices out. No allocation, no state between calls (but for the
 * chunked decoder, which is a small struct), no system calls.
 *
 *     request  ──sl_http1_parse_request──▶  method target fields framing
 *     body     ──sl_http1_chunked_decode─▶  the bytes without chunk lines
 *     target   ──sl_http1_path_decode────▶  one path that everybody reads the same way
 *     query    ──sl_http1_query_next─────▶  name, value, name, value …
 *     reply    ◀─sl_http1_write_…────────   status line, fields, chunk heads, dates
 *
 * Strict RFC 9112: what two readers could understand differently is refused, because that is what
 * request smuggling lives on. Refused, where the RFC would allow more:
 *
 *   bare LF or bare CR anywhere in framing      any Content-Length with Transfer-Encoding
 *   more than one Content-Length, also equal    a Content-Length with leading zeros or a list
 *   Transfer-Encoding in HTTP/1.0               Transfer-Encoding other than exactly `chunked`
 *   Transfer_Encoding and Content_Length        white space around chunk sizes and extensions
 *   a comma or user information in Host         `"` `#` `<` `>` in the target
 *   a Host that differs from an absolute target framing fields in trailers
 *
 * A line is judged when its line feed is there, never before. So the verdict on a byte stream is
 * the same wherever the stream was cut into reads.
 *
 * Slices point into the caller's bytes and live as long as those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/http1/names.h"
#include "core/base/limit.h"
#include "core/base/slice.h"

/* ------------------------------------------------------------------------------------------ */
/* Heads                                                                                        */

struct sl_http1_header {
    struct sl_slice name;  /* as sent; a token */
    struct sl_slice value; /* without surrounding blanks; no control characters but HTAB */
    uint32_t id;           /* enum sl_http1_header_id; SL_HTTP1_HEADER_OTHER if not known */
};

enum sl_http1_form {
    SL_HTTP1_ORIGIN,    /* /path?query */
    SL_HTTP1_ABSOLUTE,  /* http://host/path?query */
    SL_HTTP1_AUTHORITY, /* host:port, with CONNECT only */
    SL_HTTP1_ASTERISK,  /* *, with OPTIONS only */
};

/* What both kinds of head have. */
struct sl_http1_head {
    uint32_t headers_count;
    uint16_t host_index;     /* the first Host among headers, if seen */
    uint8_t seen;            /* bit id: a field with this id is there; ids up to Upgrade */
    uint8_t seen_again;      /* the same: twice or more */
    uint8_t version_minor;   /* HTTP/1.x: 0, or 1 for every later one */
    bool keep_alive;         /* the connection may be used again after this message */
    bool chunked;            /* the body is chunked */
    bool has_content_length; /* then content_length was sent */
    bool connection_upgrade; /* Connection names `upgrade` */
    uint64_t content_length; /* bytes; 0 if not sent */
    struct sl_slice upgrade; /* value of Upgrade; size 0 if not sent */
    const char *reason;      /* after an error: one static sentence without a full stop */
    struct sl_http1_header headers[SL_HTTP_HEADERS_MAX]; /* in the order sent */
};

struct sl_http1_request {
    struct sl_slice method;
    struct sl_slice target; /* as sent */
    struct sl_slice scheme; /* absolute form: as sent; else size 0 */
    struct sl_slice path;   /* as sent, undecoded; "/" if absolute and empty; "*"; size 0 */
    struct sl_slice query;  /* without the question mark */
    struct sl_slice host;   /* host[:port] that the request is for; size 0 if 1.0 without Host */
    enum sl_http1_method method_id; /* SL_HTTP1_METHOD_OTHER if not a registered one */
    enum sl_http1_form form;
    bool has_query;
    bool expect_continue; /* the client waits for 100 before it sends the body */
    struct sl_http1_head head;
};

enum sl_http1_body {
    SL_HTTP1_BODY_NONE,
    SL_HTTP1_BODY_LENGTH, /* head.content_length bytes */
    SL_HTTP1_BODY_CHUNKED,
    SL_HTTP1_BODY_CLOSE, /* until the connection closes */
};

struct sl_http1_response {
    int status; /* 100..999 */
    struct sl_slice reason_phrase;
    enum sl_http1_body body;
    struct sl_http1_head head;
};

/*
 * Parse one request head, from the request line to the empty line.
 *
 * data      the stream from the start of this request on; up to four empty lines before it are
 *           skipped
 * scanned   bytes of `data` seen by an earlier call that returned 0; saves parsing again where no
 *           line has ended since. 0 is always right
 * size_max  limit of the head in bytes (SL_HTTP_HEAD_SIZE_MAX by default)
 * returns   > 0: bytes of the head, the body begins there; 0: more bytes are needed;
 *           < 0: minus the status to answer with before closing: 400, 414, 417, 431, 501, 505;
 *           then ret->head.reason says why
 * source    RFC 9112 sections 2 to 6, RFC 9110
 */
int64_t sl_http1_parse_request(const uint8_t *data, size_t size, size_t scanned, size_t size_max,
                               struct sl_http1_request *ret);

/*
 * Parse one response head.
 *
 * method   of the request that it answers (HEAD and CONNECT change the framing)
 * returns  as above; < 0 is always -502
 */
int64_t sl_http1_parse_response(const uint8_t *data, size_t size, size_t scanned, size_t size_max,
                                enum sl_http1_method method, struct sl_http1_response *ret);

/* The first field with this id, or NULL. */
const struct sl_http1_header *sl_http1_head_find(const struct sl_http1_head *head,
                                                 enum sl_http1_header_id id);

/*
 * True if the comma-separated list `value` has the token `token` (lower case), without case.
 */
bool sl_http1_list_has(struct sl_slice value, struct sl_slice token);

/* ------------------------------------------------------------------------------------------ */
/* Chunked bodies                                                                               */

/* State of one body. Zero-initialised is the start of a body. */
struct sl_http1_chunked {
    uint64_t left;          /* bytes of the present chunk still to come */
    uint32_t line_size;     /* bytes of the present chunk line */
    uint32_t trailers_size; /* bytes of all trailer lines */
    uint16_t trailers_count;
    uint8_t state;
    uint8_t digits;     /* of the present chunk size */
    uint8_t name_size;  /* of the present trailer's name, as far as kept */
    char name[32];      /* to recognise framing fields */
    const char *reason; /* after an error */
};

/*
 * Decode a part of a chunked body.
 *
 * data           encoded bytes
 * out            where decoded bytes go; may be `data` itself
 * out_size       room there
 * ret_consumed   bytes of `data` used
 * ret_produced   bytes written to `out`
 * returns        1: the body has ended (what follows in `data` is the next message); 0: all of
 *                `data` is used and more is needed; -400: broken framing; -413: `out` is too small
 * source         RFC 9112 section 7.1. Extensions and trailers are checked and dropped
 */
int sl_http1_chunked_decode(struct sl_http1_chunked *chunked, const uint8_t *data, size_t size,
                            uint8_t *out, size_t out_size, size_t *ret_consumed,
                            size_t *ret_produced);

/* ------------------------------------------------------------------------------------------ */
/* Paths and queries                                                                            */

/* True if decoding would change nothing: no `%`, no `\`, no `/.`. */
bool sl_http1_path_is_plain(struct sl_slice path);

/*
 * Decode percent escapes and take `.` and `..` segments out, in that order, so that what is
 * checked is what is used. Double slashes stay.
 *
 * out      at least path.size bytes
 * returns  decoded size; or -EINVAL: a broken escape, a control character, a backslash (also
 *          escaped), or a path that climbs above its root
 */
int64_t sl_http1_path_decode(struct sl_slice path, uint8_t *out);

/* A query (or a form body) that is walked pair by pair. Set `rest` to the whole text. */
struct sl_http1_query {
    struct sl_slice rest;
};

/*
 * The next pair, still encoded. Empty pairs (`&&`) are skipped; a name without `=` has an empty
 * value. Returns false at the end.
 */
bool sl_http1_query_next(struct sl_http1_query *query, struct sl_slice *ret_name,
                         struct sl_slice *ret_value);

/* True if a name or value of a query has anything to decode: `%` or `+`. */
bool sl_http1_query_is_plain(struct sl_slice text);

/*
 * Decode a name or value of a query: `+` is a blank, `%hh` a byte; a `%` without two hexadecimal
 * digits stands for itself.
 *
 * out      at least text.size bytes; may be text.data itself
 * returns  decoded size
 */
size_t sl_http1_query_decode(struct sl_slice text, uint8_t *out);

/* ------------------------------------------------------------------------------------------ */
/* Writing. All return the bytes written, 0 where they do not fit.                              */

/* The reason phrase of a status; "" if it has none. */
struct sl_slice sl_http1_status_text(int status);

enum {
    SL_HTTP1_STATUS_LINE_MAX = 64, /* enough for every status line */
    SL_HTTP1_NUMBER_MAX = 20,      /* digits of a uint64 */
    SL_HTTP1_CHUNK_HEAD_MAX = 18,  /* size and CRLF */
    SL_HTTP1_DATE_SIZE = 37,       /* "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" */
};

/* "HTTP/1.1 200 OK\r\n", for 100 <= status <= 999. */
size_t sl_http1_write_status(uint8_t *out, size_t out_size, int status);

/*
 * "name: value\r\n".
 *
 * returns  0 also if the name is no token or the value has a control character other than HTAB:
 *          such a field would break the framing of the reply
 */
size_t sl_http1_write_header(uint8_t *out, size_t out_size, struct sl_slice name,
                             struct sl_slice value);

/* True if name and value may stand in a header. */
bool sl_http1_header_is_valid(struct sl_slice name, struct sl_slice value);

/* "Content-Length: 123\r\n". */
size_t sl_http1_write_content_length(uint8_t *out, size_t out_size, uint64_t length);

/* The size of a chunk in hexadecimal, and CRLF. */
size_t sl_http1_write_chunk_head(uint8_t *out, size_t out_size, uint64_t length);

/* Decimal digits; `out` has room for SL_HTTP1_NUMBER_MAX. */
size_t sl_http1_write_number(uint8_t *out, uint64_t number);

/* A Date line that is formatted once a second. Zero-initialised is valid. */
struct sl_http1_date {
    int64_t second; /* of `line`, since 1970 */
    uint8_t line[SL_HTTP1_DATE_SIZE + 3];
    bool is_set;
};

/* The line "Date: …\r\n" (SL_HTTP1_DATE_SIZE bytes) of that second; borrowed until the next call. */
const uint8_t *sl_http1_date_line(struct sl_http1_date *date, int64_t second);
