/* SPDX-License-Identifier: MIT */
/*
 * Requests: their order on the connection, their end, and what handlers ask about them.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem_fast.h"
#include "io/http/internal.h"

struct http_request *http_request_new(struct http_conn *conn)
{
    struct http_request *request = sl_mem_take_fast(http_mem(conn), sizeof(*request));
    if (request == NULL) return NULL;
    memset(request, 0, HTTP_REQUEST_CLEAR_SIZE);
    request->conn = conn;
    sl_list_insert(&conn->requests, &request->link);
    conn->requests_count++;
    return request;
}

void http_request_free(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    struct sl_mem *mem = http_mem(conn);
    sl_assert(conn->requests_count > 0);
    sl_list_remove(&request->link);
    conn->requests_count--;
    if (request->pub.payload.cell != NULL) sl_value_unref(request->pub.payload);
    http_bytes_release(mem, &request->out);
    http_bytes_release(mem, &request->head);
    http_bytes_release(mem, &request->body);
    sl_mem_give_fast(mem, request, sizeof(*request));
}

static struct http_request *oldest(const struct http_conn *conn)
{
    if (sl_list_is_empty(&conn->requests)) return NULL;
    return sl_container_of(conn->requests.next, struct http_request, link);
}

struct http_bytes *http_request_out(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    return conn->requests.next == &request->link ? &conn->out : &request->out;
}

/* It is this request's turn: what it has written already goes out. */
static void take_turn(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    if (request->out.size == 0) return;
    if (conn->out.size == 0) {
        http_bytes_release(http_mem(conn), &conn->out);
        conn->out = request->out;
        request->out = (struct http_bytes){NULL, 0, 0};
        return;
    }
    if (!http_bytes_add(http_mem(conn), &conn->out, request->out.data, request->out.size)) {
        http_conn_break(conn);
    }
    http_bytes_release(http_mem(conn), &request->out);
}

static void finish(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    struct sl_http_server *server = conn->server;
    int status = conn->broken ? 0 : request->status;
    if (status != 0) server->stats.responses[status / 100]++;
    if (!request->internal) {
        sl_assert(server->stats.in_flight > 0);
        server->stats.in_flight--;
        if (server->handler->done != NULL) {
            server->handler->done(server->ctx, &request->pub, status, request->bytes_out);
        }
    }
    http_request_free(request);
}

void http_request_answered(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    request->state = HTTP_ANSWERED;
    http_conn_wake(conn);
    for (;;) {
        struct http_request *first = oldest(conn);
        if (first == NULL) return;
        take_turn(first);
        if (first->state != HTTP_ANSWERED) return;
        finish(first);
    }
}

void http_requests_drop(struct http_conn *conn)
{
    struct http_request *request = http_conn_body_request(conn);
    if (request != NULL) http_request_free(request);
}

static struct http_request *next_to_cancel(struct http_conn *conn)
{
    for (struct sl_list *at = conn->requests.next; at != &conn->requests; at = at->next) {
        struct http_request *request = sl_container_of(at, struct http_request, link);
        bool is_running = request->state == HTTP_RUNNING || request->state == HTTP_STREAMING;
        if (is_running && !request->pub.cancelled) return request;
    }
    return NULL;
}

void http_requests_cancel(struct http_conn *conn)
{
    struct sl_http_server *server = conn->server;
    http_requests_drop(conn);
    /* Each call may end requests, so the list is looked at anew. */
    for (;;) {
        struct http_request *request = next_to_cancel(conn);
        if (request == NULL) return;
        request->pub.cancelled = true;
        server->stats.cancelled++;
        if (server->handler->cancel != NULL) server->handler->cancel(server->ctx, &request->pub);
    }
}

struct sl_slice sl_http_request_method(const struct sl_http_request *request)
{
    sl_assert(request != NULL);
    return ((const struct http_request *)request)->method;
}

struct sl_slice sl_http_request_path(const struct sl_http_request *request)
{
    sl_assert(request != NULL);
    return ((const struct http_request *)request)->path;
}

struct sl_slice sl_http_request_id(struct sl_http_request *request)
{
    sl_assert(request != NULL);
    struct http_request *self = http_request_of(request);
    if (self->id.size == 0) {
        sl_uuid_random(self->conn->server->loop->clock, self->id_text);
        self->id = sl_slice_make(self->id_text, 36);
    }
    return self->id;
}

void sl_http_request_span(const struct sl_http_request *request, struct sl_span *ret_span,
                          struct sl_tracestate *ret_state)
{
    sl_assert(request != NULL);
    sl_assert(request->payload.cell != NULL);
    http_span_read(request->payload.buf, (size_t)request->head_size,
                   ((const struct http_request *)request)->span_tag, ret_span, ret_state);
}

struct sl_slice sl_http_request_header(const struct sl_http_request *request,
                                       enum sl_http1_header_id id)
{
    sl_assert(request != NULL);
    sl_assert(request->payload.cell != NULL);
    struct sl_http1_request head;
    const struct sl_buf *buf = request->payload.buf;
    int64_t got = sl_http1_parse_request(buf->bytes, (size_t)request->head_size, 0,
                                         (size_t)request->head_size, &head);
    sl_assert(got == (int64_t)request->head_size);
    const struct sl_http1_header *field = sl_http1_head_find(&head.head, id);
    return field != NULL ? field->value : (struct sl_slice){NULL, 0};
}

struct sl_http_server *sl_http_request_server(const struct sl_http_request *request)
{
    sl_assert(request != NULL);
    return ((const struct http_request *)request)->conn->server;
}
