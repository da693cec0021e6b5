/* SPDX-License-Identifier: MIT */
/*
 * From bytes to requests: heads, bodies, refusals. Heads and bodies that are complete in what the
 * poller delivered are copied once, into the payload; what is not complete is kept.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

const uint16_t sl_http_refusal_statuses[SL_HTTP_REFUSALS_COUNT] = {
#define X(status) status,
    SL_HTTP_REFUSALS(X)
#undef X
};

static void refusal_note(struct http_conn *conn, int status, const char *reason)
{
    struct sl_http_server *server = conn->server;
    uint32_t index = 0;
    while (index < SL_HTTP_REFUSALS_COUNT - 1 && sl_http_refusal_statuses[index] != status) {
        index++;
    }
    server->stats.refusals[index]++;
    if (server->handler->refused == NULL) return;
    if (conn->remote_size == 0) http_remote_resolve(conn);
    const struct sl_http_refusal refusal = {
        .status = status,
        .reason = reason,
        .remote = {(const uint8_t *)conn->remote, conn->remote_size},
    };
    server->handler->refused(server->ctx, &refusal);
}

void http_refuse(struct http_conn *conn, int status, const char *reason)
{
    struct http_request *request = http_request_new(conn);
    conn->input_closed = true;
    conn->read_until = 0;
    refusal_note(conn, status, reason);
    if (request == NULL) {
        http_conn_break(conn);
        return;
    }
    char text[160];
    struct sl_slice phrase = sl_http1_status_text(status);
    int size = snprintf(text, sizeof(text), "%.*s: %s\n", SL_SLICE_FMT(phrase), reason);
    request->internal = true;
    request->keep_alive = false;
    request->state = HTTP_RUNNING;
    sl_http_respond_bytes(&request->pub, status, NULL, 0, SL_SLICE("text/plain; charset=utf-8"),
                          sl_slice_make(text, (size_t)size));
}

static void refuse_bad(struct http_conn *conn, int status, const char *reason)
{
    conn->server->stats.bad_requests++;
    http_refuse(conn, status, reason);
}

/* OPTIONS * asks about the server, not about anything it serves. RFC 9110 section 9.3.7. */
static void answer_asterisk(struct http_request *request)
{
    const struct sl_http_field allow = {SL_SLICE("Allow"),
                                        SL_SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")};
    request->internal = true;
    sl_http_respond_bytes(&request->pub, 204, &allow, 1, SL_SLICE(""), SL_SLICE(""));
}

/* The body is there: make the payload and call the handler. */
static void dispatch(struct http_request *request, const struct sl_http1_request *head,
                     const uint8_t *base, struct http_bytes *body)
{
    struct http_conn *conn = request->conn;
    struct sl_http_server *server = conn->server;
    request->pub.body_size = body->size;
    int err = http_payload_build(conn, head, base, request->pub.head_size, body, request);
    if (err < 0) {
        http_request_free(request);
        if (err == -EINVAL)
            refuse_bad(conn, 400, "malformed path");
        else
            http_refuse(conn, 503, "no memory");
        return;
    }
    conn->served_count++;
    if (server->config.requests_max != 0 && conn->served_count >= server->config.requests_max) {
        request->keep_alive = false;
    }
    if (!request->keep_alive) conn->input_closed = true;
    conn->read_until = 0;
    request->state = HTTP_RUNNING;
    if (__builtin_expect(head->form == SL_HTTP1_ASTERISK, 0)) {
        answer_asterisk(request);
        return;
    }
    server->stats.requests++;
    server->stats.in_flight++;
    server->handler->request(server->ctx, &request->pub);
}

/* What has to be refused although it is well-formed: a status, or 0. */
static int policy(const struct sl_http_server *server, const struct sl_http1_request *head,
                  const char **ret_reason)
{
    if (head->method_id == SL_HTTP1_METHOD_CONNECT) {
        *ret_reason = "this is no proxy";
        return 501;
    }
    if (head->method_id == SL_HTTP1_METHOD_OTHER && !server->config.methods_any) {
        *ret_reason = "unknown method";
        return 501;
    }
    if (head->head.content_length > server->config.body_size_max) {
        *ret_reason = "the body is too large";
        return 413;
    }
    return 0;
}

static void begin(struct http_request *request, const struct sl_http1_request *head,
                  size_t head_size)
{
    struct sl_http_server *server = request->conn->server;
    request->pub.begin_ns = server->loop->now_ns;
    request->pub.head_size = head_size;
    request->pub.method = head->method_id;
    request->keep_alive = head->head.keep_alive;
    request->is_http10 = head->head.version_minor == 0;
    request->is_head = head->method_id == SL_HTTP1_METHOD_HEAD;
}

/* The body will come later: keep the head. False for no memory. */
static bool begin_body(struct http_request *request, const struct sl_http1_request *head,
                       const uint8_t *base, size_t head_size)
{
    struct http_conn *conn = request->conn;
    struct sl_mem *mem = http_mem(conn);
    request->state = HTTP_BODY;
    request->is_chunked_in = head->head.chunked;
    memset(&request->chunked, 0, sizeof(request->chunked));
    request->body_left = head->head.content_length;
    request->expect_continue = head->expect_continue;
    size_t first = request->body_left;
    if (first > HTTP_BODY_FIRST || request->is_chunked_in) first = HTTP_BODY_FIRST;
    http_conn_deadline(conn, &conn->read_until, conn->server->config.timeout_body_ms);
    return http_bytes_add(mem, &request->head, base, head_size) &&
           http_bytes_reserve(mem, &request->body, first) != NULL;
}

/*
 * A head is parsed; `size` bytes of the stream are there from `base` on.
 * returns  bytes used
 */
static size_t begin_request(struct http_conn *conn, const struct sl_http1_request *head,
                            const uint8_t *base, size_t size, size_t head_size)
{
    const char *reason = NULL;
    int status = policy(conn->server, head, &reason);
    /* A length that no limit could ever allow, of a body that nobody sends, is no honest upload. */
    bool is_sent = size > head_size || head->expect_continue;
    if (status == 413 && !is_sent && head->head.content_length > SL_PAYLOAD_BYTES_MAX) {
        reason = "the length of the body is beyond all limits";
        status = 400;
    }
    if (status != 0) {
        refuse_bad(conn, status, reason);
        return head_size;
    }
    struct http_request *request = http_request_new(conn);
    if (request == NULL) {
        http_conn_break(conn);
        return head_size;
    }
    begin(request, head, head_size);
    uint64_t length = head->head.content_length;
    if (!head->head.chunked && length <= size - head_size) {
        struct http_bytes body = {(uint8_t *)base + head_size, (size_t)length, 0};
        dispatch(request, head, base, &body);
        return head_size + (size_t)length;
    }
    if (!begin_body(request, head, base, head_size)) http_conn_break(conn);
    return head_size;
}

/* The last byte of a body is there. */
static void end_body(struct http_request *request)
{
    struct http_conn *conn = request->conn;
    struct sl_http1_request *head = &conn->server->head;
    int64_t got =
        sl_http1_parse_request(request->head.data, request->head.size, 0, request->head.size, head);
    sl_assert(got == (int64_t)request->head.size);
    dispatch(request, head, request->head.data, &request->body);
}

static size_t take_length(struct http_request *request, const uint8_t *data, size_t size)
{
    struct http_conn *conn = request->conn;
    size_t part = size < request->body_left ? size : (size_t)request->body_left;
    if (!http_bytes_add(http_mem(conn), &request->body, data, part)) {
        http_conn_break(conn);
        return size;
    }
    request->body_left -= part;
    if (request->body_left == 0) end_body(request);
    return part;
}

static size_t take_chunked(struct http_request *request, const uint8_t *data, size_t size)
{
    struct http_conn *conn = request->conn;
    struct http_bytes *body = &request->body;
    uint8_t *out = http_bytes_reserve(http_mem(conn), body, size);
    if (out == NULL) {
        http_conn_break(conn);
        return size;
    }
    uint64_t room = conn->server->config.body_size_max - body->size;
    size_t consumed = 0;
    size_t produced = 0;
    int got = sl_http1_chunked_decode(&request->chunked, data, size, out,
                                      room < size ? (size_t)room : size, &consumed, &produced);
    body->size += produced;
    if (got < 0) {
        const char *reason = request->chunked.reason;
        http_requests_drop(conn);
        refuse_bad(conn, -got, reason);
        return size;
    }
    if (got > 0) end_body(request);
    return consumed;
}

/* Use up what can be used; returns the bytes used. */
static size_t consume(struct http_conn *conn, const uint8_t *data, size_t size)
{
    struct sl_http1_request *head = &conn->server->head;
    size_t at = 0;
    while (at < size && !conn->input_closed) {
        struct http_request *request = http_conn_body_request(conn);
        if (request != NULL) {
            uint32_t ms = conn->server->config.timeout_body_ms;
            http_conn_deadline(conn, &conn->read_until, ms);
            if (request->is_chunked_in)
                at += take_chunked(request, data + at, size - at);
            else
                at += take_length(request, data + at, size - at);
            continue;
        }
        if (http_conn_is_full(conn)) break;
        int64_t got = sl_http1_parse_request(data + at, size - at, conn->scanned,
                                             conn->server->config.head_size_max, head);
        conn->scanned = got == 0 ? size - at : 0;
        if (got == 0) break;
        if (got < 0) {
            refuse_bad(conn, (int)-got, head->head.reason);
            break;
        }
        at += begin_request(conn, head, data + at, size - at, (size_t)got);
    }
    return conn->input_closed ? size : at;
}

void http_input_continue(struct http_conn *conn)
{
    struct http_request *request = http_conn_body_request(conn);
    if (request == NULL || !request->expect_continue) return;
    if (conn->requests.next != &request->link) return; /* older answers come first */
    request->expect_continue = false;
    if (request->body.size > 0) return; /* it does not wait */
    if (!http_bytes_add(http_mem(conn), &conn->out, "HTTP/1.1 100 Continue\r\n\r\n", 25)) {
        http_conn_break(conn);
    }
}

/* Deadlines of what the connection waits for now. */
static void set_deadline(struct http_conn *conn, bool had_part)
{
    const struct sl_http_server_config *config = &conn->server->config;
    if (conn->input_closed || http_conn_body_request(conn) != NULL) return;
    if (conn->in.size > conn->in_at) {
        if (http_conn_is_full(conn))
            conn->read_until = 0;
        else if (!had_part || conn->read_until == 0)
            http_conn_deadline(conn, &conn->read_until, config->timeout_header_ms);
    } else if (conn->requests_count > 0) {
        conn->read_until = 0;
    } else {
        http_conn_deadline(conn, &conn->read_until, http_conn_idle_ms(conn));
    }
}

static void use_kept(struct http_conn *conn)
{
    struct http_bytes *in = &conn->in;
    conn->in_at += consume(conn, in->data + conn->in_at, in->size - conn->in_at);
    if (conn->in_at == in->size) {
        http_bytes_release(http_mem(conn), in);
        conn->in_at = 0;
    }
}

/* Room for more behind what is kept: what is used up in front is thrown away. */
static void compact(struct http_conn *conn)
{
    struct http_bytes *in = &conn->in;
    if (conn->in_at == 0) return;
    memmove(in->data, in->data + conn->in_at, in->size - conn->in_at);
    in->size -= conn->in_at;
    conn->in_at = 0;
}

void http_input(struct http_conn *conn, const uint8_t *data, size_t size)
{
    sl_assert(!conn->input_closed);
    bool had_part = conn->in.size > conn->in_at;
    uint64_t served = conn->served_count;
    if (had_part) {
        compact(conn);
        if (!http_bytes_add(http_mem(conn), &conn->in, data, size)) {
            http_conn_break(conn);
            return;
        }
        use_kept(conn);
    } else {
        size_t used = consume(conn, data, size);
        if (used < size && !http_bytes_add(http_mem(conn), &conn->in, data + used, size - used)) {
            http_conn_break(conn);
            return;
        }
    }
    http_input_continue(conn);
    set_deadline(conn, had_part && served == conn->served_count);
}

void http_input_resume(struct http_conn *conn)
{
    if (conn->in.size == conn->in_at) return;
    uint64_t served = conn->served_count;
    use_kept(conn);
    http_input_continue(conn);
    set_deadline(conn, served == conn->served_count);
}
