/* SPDX-License-Identifier: MIT */
/*
 * Answers in parts.
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "io/http/internal.h"

void sl_http_stream_begin(struct sl_http_request *request, int status,
                          const struct sl_http_field *fields, uint32_t fields_count,
                          struct sl_slice content_type)
{
    sl_assert(request != NULL);
    sl_assert(status >= 200);
    sl_assert(status <= 599);
    struct http_request *self = http_request_of(request);
    struct http_conn *conn = self->conn;
    sl_assert(self->state == HTTP_RUNNING);
    struct http_reply reply = {
        .status = status,
        .fields = fields,
        .fields_count = fields_count,
        .content_type = content_type,
        .is_stream = true,
    };
    self->state = HTTP_STREAMING;
    self->status = status;
    /* Without chunks only the end of the connection can say where the body ends. */
    if (self->is_http10) self->keep_alive = false;
    struct sl_slice bad;
    if (!conn->broken && http_reply_head(self, http_request_out(self), &reply, &bad) < 0) {
        http_conn_break(conn);
    }
    http_conn_wake(conn);
}

int64_t sl_http_stream_write(struct sl_http_request *request, struct sl_slice part)
{
    sl_assert(request != NULL);
    struct http_request *self = http_request_of(request);
    struct http_conn *conn = self->conn;
    sl_assert(self->state == HTTP_STREAMING);
    if (conn->broken || request->cancelled) return -EPIPE;
    struct http_bytes *out = http_request_out(self);
    bool omitted = self->is_head || self->status == 204 || self->status == 304;
    /* An empty chunk would be the last one. */
    if (part.size > 0 && !omitted) {
        size_t before = out->size;
        uint8_t *at =
            http_bytes_reserve(http_mem(conn), out, part.size + SL_HTTP1_CHUNK_HEAD_MAX + 2);
        if (at == NULL) {
            http_conn_break(conn);
            return -EPIPE;
        }
        if (self->is_chunked_out) {
            out->size += sl_http1_write_chunk_head(at, SL_HTTP1_CHUNK_HEAD_MAX, part.size);
        }
        memcpy(out->data + out->size, part.data, part.size);
        out->size += part.size;
        if (self->is_chunked_out) {
            memcpy(out->data + out->size, "\r\n", 2);
            out->size += 2;
        }
        self->bytes_out += out->size - before;
    }
    http_conn_wake(conn);
    return (int64_t)(conn->out.size + conn->sending.size + self->out.size);
}

void sl_http_stream_end(struct sl_http_request *request)
{
    sl_assert(request != NULL);
    struct http_request *self = http_request_of(request);
    struct http_conn *conn = self->conn;
    sl_assert(self->state == HTTP_STREAMING);
    if (!conn->broken && self->is_chunked_out && !self->is_head) {
        if (!http_bytes_add(http_mem(conn), http_request_out(self), "0\r\n\r\n", 5)) {
            http_conn_break(conn);
        }
    }
    http_request_answered(self);
}
