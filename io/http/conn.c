/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection: receiving, sending, deadlines, closing.
 *
 *     open ──▶ input_closed (EOF, error, last request) ──▶ all answered and sent
 *       │            │                                          │
 *       │            └── EOF seen ──────────────────────────────┤
 *       │                                                       ▼
 *       │                                        lingering: half-closed, input thrown away,
 *       │                                        so that the client gets the last answer
 *       └─────────────▶ broken ──▶ ops cancelled ──▶ descriptor closed ──▶ all answered: freed
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

static void on_recv(struct sl_op *op, const struct sl_event *event);
static void on_send(struct sl_op *op, const struct sl_event *event);
static void on_task(struct sl_task *task);
static void on_timer(struct sl_timer *timer);

/* -------- deadlines -------- */

/*
 * The timer is moved only if it would fire too late; one that fires too early is set again then.
 * So a busy connection hardly ever touches the wheel.
 */
static void timer_arm(struct http_conn *conn, uint64_t at_ns)
{
    if (sl_timer_is_started(&conn->timer) && conn->timer_ns <= at_ns) return;
    conn->timer_ns = at_ns;
    sl_timer_start(&conn->server->loop->timers, &conn->timer, at_ns);
}

void http_conn_deadline(struct http_conn *conn, uint64_t *deadline, uint32_t ms)
{
    if (ms == 0) {
        *deadline = 0;
        return;
    }
    *deadline = conn->server->loop->now_ns + ms * SL_NS_PER_MS;
    timer_arm(conn, *deadline);
}

/* -------- begin and end -------- */

static void recv_start(struct http_conn *conn)
{
    struct sl_poller *poller = conn->server->loop->poller;
    conn->recv_wanted = true;
    if (sl_op_is_pending(&conn->recv)) return;
    conn->recv_cancelled = false;
    poller->ops->recv(poller, &conn->recv, conn->fd);
}

static void recv_stop(struct http_conn *conn)
{
    struct sl_poller *poller = conn->server->loop->poller;
    conn->recv_wanted = false;
    if (!sl_op_is_pending(&conn->recv) || conn->recv_cancelled) return;
    conn->recv_cancelled = true;
    poller->ops->cancel(poller, &conn->recv);
}

static void set_idle(struct http_conn *conn, bool is_idle)
{
    if (conn->is_idle == is_idle) return;
    conn->is_idle = is_idle;
    if (is_idle)
        conn->server->stats.idle++;
    else
        conn->server->stats.idle--;
}

int http_conn_new(struct sl_http_server *server, int fd, bool refused)
{
    sl_assert(fd >= 0);
    struct http_conn *conn = sl_mem_take(server->loop->mem, sizeof(*conn));
    if (conn == NULL) return -ENOMEM;
    memset(conn, 0, sizeof(*conn));
    conn->server = server;
    conn->fd = fd;
    conn->recv.fn = on_recv;
    conn->send.fn = on_send;
    sl_list_init(&conn->requests);
    sl_task_init(&conn->task, on_task);
    sl_timer_init(&conn->timer, on_timer);
    sl_list_insert(&server->conns, &conn->link);
    server->stats.connections++;
    conn->is_late = server->drain != HTTP_SERVING;
    set_idle(conn, true);
    recv_start(conn);
    if (refused) {
        http_refuse(conn, 503, "too many connections");
    } else {
        http_conn_deadline(conn, &conn->read_until, http_conn_idle_ms(conn));
    }
    return 0;
}

static void conn_free(struct http_conn *conn)
{
    struct sl_http_server *server = conn->server;
    struct sl_mem *mem = http_mem(conn);
    sl_assert(conn->fd < 0);
    sl_assert(sl_list_is_empty(&conn->requests));
    sl_timer_stop(&server->loop->timers, &conn->timer);
    sl_task_cancel(&conn->task);
    set_idle(conn, false);
    sl_list_remove(&conn->link);
    sl_assert(server->stats.connections > 0);
    server->stats.connections--;
    http_bytes_release(mem, &conn->in);
    http_bytes_release(mem, &conn->out);
    http_bytes_release(mem, &conn->sending);
    sl_mem_give(mem, conn, sizeof(*conn));
    if (server->drain == HTTP_DRAINING && server->stats.connections == 0) {
        sl_loop_task_add(server->loop, &server->drained_task);
    }
}

void http_conn_wake(struct http_conn *conn)
{
    sl_loop_task_add_late(conn->server->loop, &conn->task);
}

void http_conn_break(struct http_conn *conn)
{
    conn->broken = true;
    conn->input_closed = true;
    conn->read_until = 0;
    conn->send_until = 0;
    http_conn_wake(conn);
}

void http_conn_close_idle(struct http_conn *conn)
{
    if (!sl_list_is_empty(&conn->requests) || conn->in.size > conn->in_at) return;
    if (conn->is_late && conn->served_count == 0 && conn->read_until != 0) return;
    conn->input_closed = true;
    http_conn_wake(conn);
}

/* -------- events -------- */

static void linger_input(struct http_conn *conn, size_t size)
{
    conn->lingered += size;
    if (conn->lingered > SL_HTTP_LINGER_SIZE_MAX) http_conn_break(conn);
}

/* The peer has closed its side, or is gone; or it was our wish. */
static void recv_end(struct http_conn *conn, int res)
{
    bool was_ours = conn->recv_cancelled;
    conn->recv_cancelled = false;
    if (res > 0 || (res == -ECANCELED && was_ours)) return;
    conn->input_closed = true;
    conn->read_until = 0;
    if (res == 0)
        conn->eof = true;
    else
        http_conn_break(conn);
}

static void on_recv(struct sl_op *op, const struct sl_event *event)
{
    struct http_conn *conn = sl_container_of(op, struct http_conn, recv);
    if (event->res > 0) {
        size_t size = (size_t)event->res;
        conn->server->stats.bytes_in += size;
        if (conn->input_closed)
            linger_input(conn, size);
        else
            http_input(conn, event->data, size);
    }
    if ((event->flags & SL_EVENT_MORE) == 0) recv_end(conn, event->res);
    http_conn_wake(conn);
}

static void on_send(struct sl_op *op, const struct sl_event *event)
{
    struct http_conn *conn = sl_container_of(op, struct http_conn, send);
    conn->send_until = 0;
    if (event->res < 0)
        http_conn_break(conn);
    else
        conn->server->stats.bytes_out += (uint64_t)event->res;
    http_bytes_release(http_mem(conn), &conn->sending);
    http_conn_wake(conn);
}

/* A deadline has passed; which one it was depends on what the connection waits for. */
static void timed_out(struct http_conn *conn, bool is_send)
{
    bool is_body = http_conn_body_request(conn) != NULL;
    bool is_head = conn->in.size > conn->in_at;
    conn->read_until = 0;
    if (is_send || conn->lingering) {
        if (is_send) conn->server->stats.timeouts++;
        http_conn_break(conn);
        return;
    }
    if (!is_body && !is_head) {
        http_conn_close_idle(conn);
        return;
    }
    conn->server->stats.timeouts++;
    http_requests_drop(conn);
    http_refuse(conn, 408,
                is_body ? "the body did not come in time" : "the head did not come in time");
}

static void on_timer(struct sl_timer *timer)
{
    struct http_conn *conn = sl_container_of(timer, struct http_conn, timer);
    uint64_t now = conn->server->loop->now_ns;
    bool is_send = conn->send_until != 0 && conn->send_until <= now;
    bool is_read = conn->read_until != 0 && conn->read_until <= now;
    if (is_send || is_read) timed_out(conn, is_send);
    if (conn->read_until != 0) timer_arm(conn, conn->read_until);
    if (conn->send_until != 0) timer_arm(conn, conn->send_until);
    http_conn_wake(conn);
}

/* -------- the task -------- */

static void flush(struct http_conn *conn)
{
    if (conn->out.size == 0 || sl_op_is_pending(&conn->send)) return;
    struct sl_poller *poller = conn->server->loop->poller;
    http_bytes_release(http_mem(conn), &conn->sending);
    conn->sending = conn->out;
    conn->out = (struct http_bytes){NULL, 0, 0};
    struct iovec iov = {conn->sending.data, conn->sending.size};
    poller->ops->send(poller, &conn->send, conn->fd, &iov, 1);
    http_conn_deadline(conn, &conn->send_until, conn->server->config.timeout_send_ms);
}

/* Everything is said: half-close, and read on for a while so that no reset overtakes the answer. */
static void linger(struct http_conn *conn)
{
    struct sl_poller *poller = conn->server->loop->poller;
    conn->lingering = true;
    poller->ops->shutdown(poller, conn->fd);
    http_conn_deadline(conn, &conn->read_until, SL_HTTP_LINGER_MS);
    recv_start(conn);
}

/* No way on: true when the descriptor is closed. */
static bool tear_down(struct http_conn *conn)
{
    struct sl_poller *poller = conn->server->loop->poller;
    if (conn->fd < 0) return true;
    recv_stop(conn);
    if (sl_op_is_pending(&conn->send)) poller->ops->cancel(poller, &conn->send);
    if (sl_op_is_pending(&conn->recv) || sl_op_is_pending(&conn->send)) return false;
    poller->ops->close(poller, conn->fd);
    conn->fd = -1;
    return true;
}

/* Receive only while there is room for what comes. */
static void regulate_input(struct http_conn *conn)
{
    if (conn->lingering) return;
    if (conn->input_closed) {
        /* Nothing more is read, but the end of the stream is of interest while answers are due. */
        if (!conn->eof) recv_start(conn);
        return;
    }
    if (!http_conn_is_full(conn) && conn->in.size > conn->in_at) http_input_resume(conn);
    if (conn->input_closed) return;
    if (http_conn_is_full(conn))
        recv_stop(conn);
    else
        recv_start(conn);
}

static void tell_writable(struct http_conn *conn)
{
    struct sl_http_server *server = conn->server;
    if (sl_list_is_empty(&conn->requests) || server->handler->writable == NULL) return;
    struct http_request *request = sl_container_of(conn->requests.next, struct http_request, link);
    if (request->state == HTTP_STREAMING && conn->out.size == 0 && conn->sending.size == 0) {
        server->handler->writable(server->ctx, &request->pub);
    }
}

static void on_task(struct sl_task *task)
{
    struct http_conn *conn = sl_container_of(task, struct http_conn, task);
    if (conn->eof || conn->broken) http_requests_cancel(conn);
    if (!conn->broken) {
        http_input_continue(conn);
        flush(conn);
        regulate_input(conn);
        flush(conn);
        tell_writable(conn);
    }
    bool is_done = sl_list_is_empty(&conn->requests);
    bool is_sent = conn->out.size == 0 && !sl_op_is_pending(&conn->send);
    set_idle(conn, is_done && !conn->input_closed);
    if (conn->is_idle && conn->read_until == 0) {
        http_conn_deadline(conn, &conn->read_until, http_conn_idle_ms(conn));
    }
    if (conn->input_closed && is_done && is_sent && !conn->broken) {
        if (conn->eof)
            http_conn_break(conn);
        else if (!conn->lingering)
            linger(conn);
    }
    if (!conn->broken) return;
    if (tear_down(conn) && sl_list_is_empty(&conn->requests)) conn_free(conn);
}
