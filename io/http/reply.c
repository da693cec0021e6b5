/* SPDX-License-Identifier: MIT */
/*
 * The bytes of an answer: heads, and whole answers of bytes. What a value means as an answer is
 * in respond.c.
 */
#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

enum { HEAD_FIXED_SIZE = 256 }; /* status line, Date, Content-Length, Connection */

/* What the fields of an answer say about the rest of its head. */
struct facts {
    bool has_type;
    bool has_date;
    bool has_server;
    bool wants_close;
};

struct writer {
    struct sl_mem *mem;
    struct http_bytes *out;
    struct facts facts;
    bool failed;
};

static void add(struct writer *writer, const void *data, size_t size)
{
    if (!http_bytes_add(writer->mem, writer->out, data, size)) writer->failed = true;
}

/* Fields that are ours to say; a wish for `Connection: close` is heard. */
static bool is_ours(struct writer *writer, enum sl_http1_header_id id, struct sl_slice value)
{
    switch (id) {
    case SL_HTTP1_HEADER_CONNECTION:
        if (sl_http1_list_has(value, SL_SLICE("close"))) writer->facts.wants_close = true;
        return true;
    case SL_HTTP1_HEADER_CONTENT_LENGTH:
    case SL_HTTP1_HEADER_TRANSFER_ENCODING:
    case SL_HTTP1_HEADER_KEEP_ALIVE:
    case SL_HTTP1_HEADER_PROXY_CONNECTION:
    case SL_HTTP1_HEADER_TE:
    case SL_HTTP1_HEADER_TRAILER:
    case SL_HTTP1_HEADER_UPGRADE: return true;
    case SL_HTTP1_HEADER_CONTENT_TYPE: writer->facts.has_type = true; return false;
    case SL_HTTP1_HEADER_DATE: writer->facts.has_date = true; return false;
    case SL_HTTP1_HEADER_SERVER: writer->facts.has_server = true; return false;
    default: return false;
    }
}

static bool put_field(void *ctx, struct sl_slice name, struct sl_slice value)
{
    struct writer *writer = ctx;
    if (is_ours(writer, sl_http1_header_find(name), value)) return true;
    size_t size = name.size + value.size + 4;
    uint8_t *at = http_bytes_reserve(writer->mem, writer->out, size);
    if (at == NULL) {
        writer->failed = true;
        return true;
    }
    size_t written = sl_http1_write_header(at, size, name, value);
    writer->out->size += written;
    return written > 0;
}

/* The fields of an answer. False, with the name, at one that cannot be written. */
static bool put_fields(struct writer *writer, const struct http_reply *reply,
                       struct sl_slice *ret_bad)
{
    for (uint32_t i = 0; i < reply->fields_count; i++) {
        if (put_field(writer, reply->fields[i].name, reply->fields[i].value)) continue;
        *ret_bad = reply->fields[i].name;
        return false;
    }
    return reply->header.cell == NULL ||
           http_header_walk(reply->header, put_field, writer, ret_bad);
}

static const uint8_t *date_line(struct sl_http_server *server)
{
    struct sl_loop *loop = server->loop;
    if (loop->now_ns >= server->date_until_ns) {
        int64_t wall_ns = loop->clock->wall_ns(loop->clock);
        int64_t second_ns = (int64_t)SL_NS_PER_SEC;
        (void)sl_http1_date_line(&server->date, wall_ns / second_ns);
        server->date_until_ns = loop->now_ns + (uint64_t)(second_ns - wall_ns % second_ns);
    }
    return server->date.line;
}

/*
 * True if this answer is the connection's last. It can only be said in the newest request's answer;
 * where an older one is to close, nothing more is read and the newest says it.
 */
static bool decide_close(struct http_request *request, bool wants_close)
{
    struct http_conn *conn = request->conn;
    if (request->keep_alive && !wants_close && !conn->input_closed &&
        conn->server->drain == HTTP_SERVING) {
        return false;
    }
    if (wants_close) {
        conn->input_closed = true;
        http_requests_drop(conn);
    }
    bool is_newest = conn->requests.prev == &request->link;
    if (is_newest) conn->input_closed = true;
    return is_newest;
}

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static void put_framing(struct writer *writer, struct http_request *request,
                        const struct http_reply *reply)
{
    uint8_t *at = http_bytes_reserve(writer->mem, writer->out, HEAD_FIXED_SIZE);
    if (at == NULL) {
        writer->failed = true;
        return;
    }
    bool close = decide_close(request, writer->facts.wants_close);
    size_t size = 0;
    if (reply->is_stream && !has_no_body(reply->status)) {
        request->is_chunked_out = !request->is_http10;
        if (request->is_chunked_out) {
            memcpy(at, "Transfer-Encoding: chunked\r\n", 28);
            size = 28;
        }
    } else if (!has_no_body(reply->status)) {
        size = sl_http1_write_content_length(at, HEAD_FIXED_SIZE, reply->length);
    }
    if (close) {
        memcpy(at + size, "Connection: close\r\n", 19);
        size += 19;
    } else if (request->is_http10) {
        memcpy(at + size, "Connection: keep-alive\r\n", 24);
        size += 24;
    }
    memcpy(at + size, "\r\n", 2);
    writer->out->size += size + 2;
}

static void put_text_field(struct writer *writer, const char *name, size_t name_size,
                           struct sl_slice value)
{
    size_t size = name_size + value.size + 2;
    uint8_t *at = http_bytes_reserve(writer->mem, writer->out, size);
    if (at == NULL) {
        writer->failed = true;
        return;
    }
    memcpy(at, name, name_size);
    memcpy(at + name_size, value.data, value.size);
    memcpy(at + name_size + value.size, "\r\n", 2);
    writer->out->size += size;
}

int http_reply_head(struct http_request *request, struct http_bytes *out,
                    const struct http_reply *reply, struct sl_slice *ret_bad)
{
    struct sl_http_server *server = request->conn->server;
    struct writer writer = {.mem = http_mem(request->conn), .out = out};
    size_t before = out->size;
    uint8_t *at = http_bytes_reserve(writer.mem, out, HEAD_FIXED_SIZE);
    if (at == NULL) return -ENOMEM;
    out->size += sl_http1_write_status(at, HEAD_FIXED_SIZE, reply->status);
    if (!put_fields(&writer, reply, ret_bad)) {
        out->size = before;
        return -EINVAL;
    }
    if (!writer.facts.has_date && !server->config.date_off) {
        add(&writer, date_line(server), SL_HTTP1_DATE_SIZE);
    }
    if (!writer.facts.has_server && server->config.name.size > 0) {
        put_text_field(&writer, "Server: ", 8, server->config.name);
    }
    if (!writer.facts.has_type && reply->content_type.size > 0 && !has_no_body(reply->status)) {
        put_text_field(&writer, "Content-Type: ", 14, reply->content_type);
    }
    put_framing(&writer, request, reply);
    if (!writer.failed) return 0;
    out->size = before;
    return -ENOMEM;
}

int http_reply_send(struct http_request *request, struct http_reply *reply, struct sl_slice body,
                    struct sl_slice *ret_bad)
{
    struct http_conn *conn = request->conn;
    struct http_bytes *out = http_request_out(request);
    sl_assert(request->state == HTTP_RUNNING);
    request->status = reply->status;
    if (conn->broken) {
        http_request_answered(request);
        return 0;
    }
    size_t before = out->size;
    reply->length = body.size;
    bool omitted = request->is_head || has_no_body(reply->status);
    /* Room for both at once, so that a common answer takes one block. */
    bool is_fine = http_bytes_reserve(http_mem(conn), out,
                                      HEAD_FIXED_SIZE + (omitted ? 0 : body.size)) != NULL;
    int err = is_fine ? http_reply_head(request, out, reply, ret_bad) : -ENOMEM;
    if (err == -EINVAL) return err;
    is_fine = err == 0;
    if (is_fine && !omitted) {
        is_fine = http_bytes_add(http_mem(conn), out, body.data, body.size);
    }
    if (!is_fine) http_conn_break(conn);
    request->bytes_out = out->size - before;
    http_request_answered(request);
    return 0;
}

void sl_http_respond_bytes(struct sl_http_request *request, int status,
                           const struct sl_http_field *fields, uint32_t fields_count,
                           struct sl_slice content_type, struct sl_slice body)
{
    sl_assert(request != NULL);
    sl_assert(status >= 200);
    sl_assert(status <= 599);
    struct http_reply reply = {
        .status = status,
        .fields = fields,
        .fields_count = fields_count,
        .content_type = content_type,
    };
    struct sl_slice bad;
    int err = http_reply_send(http_request_of(request), &reply, body, &bad);
    sl_assert(err == 0); /* fields of the engine's own */
}
