/* SPDX-License-Identifier: MIT */
/*
 * A reader of whole messages, as a connection would be, for the tests and the fuzzer: bytes go in
 * in parts of any size; out comes a log of what was understood. The log of the same bytes must be
 * the same however they were cut.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/http1/http1.h"

struct stream {
    bool is_response;
    size_t head_size_max;
    uint8_t *bytes; /* everything given so far; exactly sized, so that sanitizers see its end */
    size_t size;
    size_t at;      /* begin of the message in work */
    size_t scanned; /* of it */
    int phase;      /* 0 head, 1 body by length, 2 chunked, 3 until close, 4 over, 5 error */
    uint64_t left;
    struct sl_http1_chunked chunked;
    int status; /* of the error */
    const char *reason;
    uint32_t messages_count; /* complete ones */
    uint32_t heads_count;
    uint8_t *body; /* decoded bodies, one after the other */
    size_t body_size;
    uint64_t log; /* hash of everything understood */
};

static inline void stream_log(struct stream *stream, const void *data, size_t size)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < size; i++) {
        stream->log = (stream->log ^ at[i]) * UINT64_C(0x100000001b3);
    }
    stream->log = (stream->log ^ 0x1ff ^ size) * UINT64_C(0x100000001b3);
}

static inline void stream_body(struct stream *stream, const uint8_t *data, size_t size)
{
    if (size == 0) return;
    stream->body = realloc(stream->body, stream->body_size + size);
    memcpy(stream->body + stream->body_size, data, size);
    stream->body_size += size;
}

static inline void stream_log_head(struct stream *stream, const struct sl_http1_head *head)
{
    uint64_t facts[6] = {head->version_minor,  head->keep_alive,    head->chunked,
                         head->content_length, head->headers_count, head->connection_upgrade};
    stream_log(stream, facts, sizeof(facts));
    for (uint32_t i = 0; i < head->headers_count; i++) {
        stream_log(stream, head->headers[i].name.data, head->headers[i].name.size);
        stream_log(stream, head->headers[i].value.data, head->headers[i].value.size);
    }
}

static inline void stream_message_end(struct stream *stream, bool keep_alive)
{
    stream->messages_count++;
    stream->phase = keep_alive ? 0 : 4;
    stream->scanned = 0;
}

static inline void stream_fail(struct stream *stream, int64_t got, const char *reason)
{
    stream->phase = 5;
    stream->status = (int)-got;
    stream->reason = reason;
    stream_log(stream, &stream->status, sizeof(stream->status));
}

static inline bool stream_take_head(struct stream *stream)
{
    static struct sl_http1_request request;
    static struct sl_http1_response response;
    const uint8_t *data = stream->bytes + stream->at;
    size_t size = stream->size - stream->at;
    struct sl_http1_head *head = stream->is_response ? &response.head : &request.head;
    int64_t got =
        stream->is_response
            ? sl_http1_parse_response(data, size, stream->scanned, stream->head_size_max,
                                      SL_HTTP1_METHOD_GET, &response)
            : sl_http1_parse_request(data, size, stream->scanned, stream->head_size_max, &request);
    stream->scanned = size;
    if (got == 0) return false;
    if (got < 0) {
        stream_fail(stream, got, head->reason);
        return false;
    }
    stream->at += (size_t)got;
    stream->heads_count++;
    if (stream->is_response) {
        stream_log(stream, &response.status, sizeof(response.status));
    } else {
        stream_log(stream, request.method.data, request.method.size);
        stream_log(stream, request.path.data, request.path.size);
        stream_log(stream, request.query.data, request.query.size);
        stream_log(stream, request.host.data, request.host.size);
    }
    stream_log_head(stream, head);
    stream->left = head->content_length;
    stream->phase = head->chunked ? 2 : head->content_length > 0 ? 1 : 0;
    if (stream->is_response) {
        stream->phase = response.body == SL_HTTP1_BODY_NONE      ? 0
                        : response.body == SL_HTTP1_BODY_LENGTH  ? 1
                        : response.body == SL_HTTP1_BODY_CHUNKED ? 2
                                                                 : 3;
    }
    memset(&stream->chunked, 0, sizeof(stream->chunked));
    /* What comes after the body is decided by the head: remember it in `scanned` for a moment. */
    stream->scanned = head->keep_alive;
    if (stream->phase == 0) stream_message_end(stream, head->keep_alive);
    return true;
}

static inline bool stream_take_body(struct stream *stream)
{
    const uint8_t *data = stream->bytes + stream->at;
    size_t size = stream->size - stream->at;
    bool keep_alive = stream->scanned;
    if (size == 0) return false;
    if (stream->phase != 2) {
        size_t part = stream->phase == 3 || size < stream->left ? size : (size_t)stream->left;
        stream_body(stream, data, part);
        stream->at += part;
        stream->left -= part;
        if (stream->phase == 1 && stream->left == 0) stream_message_end(stream, keep_alive);
        return true;
    }
    uint8_t *out = malloc(size);
    size_t consumed = 0;
    size_t produced = 0;
    int got =
        sl_http1_chunked_decode(&stream->chunked, data, size, out, size, &consumed, &produced);
    stream_body(stream, out, produced);
    free(out);
    stream->at += consumed;
    if (got < 0) stream_fail(stream, got, stream->chunked.reason);
    if (got > 0) stream_message_end(stream, keep_alive);
    return got > 0;
}

static inline void stream_feed(struct stream *stream, const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(stream->size + size + (stream->size + size == 0));
    if (stream->size > 0) memcpy(bytes, stream->bytes, stream->size);
    if (size > 0) memcpy(bytes + stream->size, data, size);
    free(stream->bytes);
    stream->bytes = bytes;
    stream->size += size;
    for (bool go = true; go;) {
        if (stream->phase == 0)
            go = stream->at < stream->size && stream_take_head(stream);
        else
            go = stream->phase < 4 && stream_take_body(stream);
    }
}

static inline void stream_init(struct stream *stream, bool is_response)
{
    *stream = (struct stream){.is_response = is_response, .head_size_max = SL_HTTP_HEAD_SIZE_MAX};
    stream->log = UINT64_C(0xcbf29ce484222325);
}

static inline void stream_fini(struct stream *stream)
{
    free(stream->bytes);
    free(stream->body);
}

/* Feed `data` cut at `cut` (or into parts of `part` bytes) and see whether the log is the same. */
static inline bool stream_cut_is_same(const struct stream *whole, const uint8_t *data, size_t size,
                                      size_t cut, size_t part)
{
    struct stream stream;
    stream_init(&stream, whole->is_response);
    stream.head_size_max = whole->head_size_max;
    if (part == 0) {
        stream_feed(&stream, data, cut);
        stream_feed(&stream, data + cut, size - cut);
    } else {
        for (size_t at = 0; at < size; at += part) {
            stream_feed(&stream, data + at, size - at < part ? size - at : part);
        }
    }
    bool same = stream.log == whole->log && stream.phase == whole->phase &&
                stream.status == whole->status && stream.at == whole->at &&
                stream.messages_count == whole->messages_count &&
                stream.body_size == whole->body_size &&
                (stream.body_size == 0 || memcmp(stream.body, whole->body, whole->body_size) == 0);
    stream_fini(&stream);
    return same;
}

/* Every split point, and one byte at a time. */
static inline bool stream_all_cuts_same(const struct stream *whole, const uint8_t *data,
                                        size_t size)
{
    for (size_t cut = 1; cut < size; cut++) {
        if (!stream_cut_is_same(whole, data, size, cut, 0)) {
            fprintf(stderr, "differs when cut at %zu of %zu\n", cut, size);
            return false;
        }
    }
    return stream_cut_is_same(whole, data, size, 0, 1);
}
