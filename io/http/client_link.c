/* SPDX-License-Identifier: MIT */
/*
 * Connections of the client. As on the server's side, events only note what happened; what is
 * given up is closed and freed from the connection's task, when no operation is pending.
 */
#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

static void on_connect(struct sl_op *op, const struct sl_event *event);
static void on_recv(struct sl_op *op, const struct sl_event *event);
static void on_send(struct sl_op *op, const struct sl_event *event);
static void on_timer(struct sl_timer *timer);
static void on_task(struct sl_task *task);

static struct sl_poller *poller_of(const struct http_link *link)
{
    return link->client->loop->poller;
}

static struct sl_mem *mem_of(const struct http_link *link)
{
    return link->client->loop->mem;
}

static void set_kept(struct http_link *link, bool is_kept)
{
    struct sl_http_target *target = link->target;
    if (sl_list_is_empty(&link->kept) == !is_kept) return;
    sl_list_remove(&link->kept);
    if (is_kept) sl_list_insert(target->kept.next, &link->kept);
    target->kept_count += is_kept ? 1 : UINT32_MAX;
    link->client->stats.kept += is_kept ? 1 : UINT32_MAX;
}

void http_link_break(struct http_link *link)
{
    if (link->phase == HTTP_LINK_BROKEN) return;
    set_kept(link, false);
    link->phase = HTTP_LINK_BROKEN;
    sl_timer_stop(&link->client->loop->timers, &link->timer);
    sl_loop_task_add(link->client->loop, &link->task);
}

/* -------- the end of an exchange -------- */

/* RFC 9110 section 9.2.2. */
static bool is_idempotent(enum sl_http1_method method)
{
    switch (method) {
    case SL_HTTP1_METHOD_GET:
    case SL_HTTP1_METHOD_HEAD:
    case SL_HTTP1_METHOD_PUT:
    case SL_HTTP1_METHOD_DELETE:
    case SL_HTTP1_METHOD_OPTIONS:
    case SL_HTTP1_METHOD_TRACE: return true;
    default: return false;
    }
}

/* The connection is of no use, and so ends the exchange. */
static void fail(struct http_link *link, const char *code, int status, const char *text)
{
    struct sl_http_exchange *exchange = link->exchange;
    link->exchange = NULL;
    http_link_break(link);
    if (exchange == NULL) return;
    http_exchange_finish(exchange, http_target_error(link->target, code, status, text));
}

static void fail_protocol(struct http_link *link, const char *reason)
{
    fail(link, "http_protocol", 502, reason != NULL ? reason : "malformed response");
}

/* The server closed or reset the connection in the middle. */
static void lost(struct http_link *link)
{
    struct sl_http_exchange *exchange = link->exchange;
    struct sl_http_client *client = link->client;
    bool may_retry = exchange != NULL && !link->has_bytes && is_idempotent(exchange->method) &&
                     exchange->retries < link->target->config.retries_max;
    if (!may_retry) {
        fail_protocol(link, link->has_bytes ? "the connection was closed within the answer"
                                            : "the connection was closed without an answer");
        return;
    }
    link->exchange = NULL;
    http_link_break(link);
    exchange->connection = NULL;
    exchange->retries++;
    client->stats.retried++;
    http_exchange_begin(exchange);
}

/* Nothing has been sent: the next address may do, whatever the method. */
static void not_connected(struct http_link *link, const char *text)
{
    struct sl_http_exchange *exchange = link->exchange;
    struct sl_http_target *target = link->target;
    exchange->addrs_tried++;
    target->addr_next = (target->addr_next + 1) % target->addrs_count;
    if (exchange->addrs_tried >= target->addrs_count) {
        fail(link, "http_connect", 502, text);
        return;
    }
    link->exchange = NULL;
    http_link_break(link);
    exchange->connection = NULL;
    http_exchange_begin(exchange);
}

static void complete(struct http_link *link)
{
    struct sl_http_exchange *exchange = link->exchange;
    struct sl_http_client *client = link->client;
    struct sl_http_target *target = link->target;
    struct sl_value answer = http_link_answer(link);
    http_bytes_release(mem_of(link), &link->in);
    http_bytes_release(mem_of(link), &link->body);
    link->exchange = NULL;
    bool is_kept = link->keep_alive && !sl_op_is_pending(&link->send) &&
                   sl_op_is_pending(&link->recv) && client->closed == NULL &&
                   (target->kept_count < target->config.kept_max || target->waiting_count > 0);
    http_exchange_finish(exchange, answer);
    if (!is_kept) {
        http_link_break(link);
        return;
    }
    set_kept(link, true);
    link->phase = HTTP_LINK_KEPT;
    sl_timer_start(&client->loop->timers, &link->timer,
                   client->loop->now_ns + target->config.timeout_idle_ms * SL_NS_PER_MS);
    http_target_pump(target);
}

/* -------- the begin -------- */

/* Wake when the exchange must end, or sooner: after `ms`, where that is not 0. */
static void set_deadline(struct http_link *link, uint32_t ms)
{
    struct sl_loop *loop = link->client->loop;
    uint64_t at = link->exchange->deadline_ns;
    uint64_t limit = loop->now_ns + ms * SL_NS_PER_MS;
    if (ms != 0 && (at == 0 || limit < at)) at = limit;
    if (at != 0)
        sl_timer_start(&loop->timers, &link->timer, at);
    else
        sl_timer_stop(&loop->timers, &link->timer);
}

static void send_request(struct http_link *link)
{
    struct sl_poller *poller = poller_of(link);
    struct sl_http_exchange *exchange = link->exchange;
    struct iovec iov[2];
    uint32_t count = 1;
    link->phase = HTTP_LINK_HEAD;
    link->has_bytes = false;
    link->interims = 0;
    set_deadline(link, 0);
    struct sl_slice part = sl_value_slice(exchange->head);
    iov[0] = (struct iovec){(void *)part.data, part.size};
    link->sending[0] = sl_value_ref(exchange->head);
    if (exchange->body.cell != NULL) {
        part = sl_value_slice(exchange->body);
        iov[count++] = (struct iovec){(void *)part.data, part.size};
        link->sending[1] = sl_value_ref(exchange->body);
    }
    poller->ops->send(poller, &link->send, link->fd, iov, count);
    if (!sl_op_is_pending(&link->recv)) poller->ops->recv(poller, &link->recv, link->fd);
}

static void release_sent(struct http_link *link)
{
    for (size_t i = 0; i < sizeof(link->sending) / sizeof(link->sending[0]); i++) {
        if (link->sending[i].cell != NULL) sl_value_unref(link->sending[i]);
        link->sending[i] = sl_value_none();
    }
}

bool http_link_open(struct sl_http_exchange *exchange)
{
    struct sl_http_target *target = exchange->target;
    struct sl_http_client *client = target->client;
    struct http_link *link = sl_mem_take(client->loop->mem, sizeof(*link));
    if (link == NULL) return false;
    memset(link, 0, sizeof(*link));
    link->client = client;
    link->target = target;
    link->fd = -1;
    link->addr = target->addrs[target->addr_next % target->addrs_count];
    link->exchange = exchange;
    link->connect.fn = on_connect;
    link->recv.fn = on_recv;
    link->send.fn = on_send;
    sl_list_init(&link->kept);
    sl_task_init(&link->task, on_task);
    sl_timer_init(&link->timer, on_timer);
    sl_list_insert(&client->links, &link->link);
    target->connections++;
    client->stats.connections++;
    client->stats.connects++;
    exchange->connection = link;
    struct sl_poller *poller = client->loop->poller;
    set_deadline(link, target->config.timeout_connect_ms);
    poller->ops->connect(poller, &link->connect, &link->addr);
    return true;
}

void http_link_reuse(struct http_link *link, struct sl_http_exchange *exchange)
{
    sl_assert(link->phase == HTTP_LINK_KEPT);
    set_kept(link, false);
    link->exchange = exchange;
    exchange->connection = link;
    send_request(link);
}

/* -------- events -------- */

static void on_connect(struct sl_op *op, const struct sl_event *event)
{
    struct http_link *link = sl_container_of(op, struct http_link, connect);
    if (event->res >= 0) link->fd = event->res;
    if (link->phase == HTTP_LINK_BROKEN) {
        sl_loop_task_add(link->client->loop, &link->task);
    } else if (event->res < 0) {
        not_connected(link, strerror(-event->res));
    } else {
        send_request(link);
    }
}

static void on_send(struct sl_op *op, const struct sl_event *event)
{
    struct http_link *link = sl_container_of(op, struct http_link, send);
    release_sent(link);
    if (link->phase == HTTP_LINK_BROKEN) sl_loop_task_add(link->client->loop, &link->task);
    /* After an error the answer, or the end of the stream, may still come: recv tells. */
    else if (event->res < 0 && !sl_op_is_pending(&link->recv))
        lost(link);
}

static void on_timer(struct sl_timer *timer)
{
    struct http_link *link = sl_container_of(timer, struct http_link, timer);
    if (link->phase == HTTP_LINK_KEPT) {
        http_link_break(link);
        return;
    }
    uint64_t deadline_ns = link->exchange->deadline_ns;
    bool is_over = deadline_ns != 0 && link->client->loop->now_ns >= deadline_ns;
    if (link->phase == HTTP_LINK_CONNECT && !is_over)
        not_connected(link, "not connected in time");
    else
        fail(link, "http_timeout", 504, "no answer in time");
}

static size_t take_body(struct http_link *link, const uint8_t *data, size_t size)
{
    struct http_bytes *body = &link->body;
    uint64_t room = link->target->config.body_size_max - body->size;
    size_t part = size;
    if (link->body_kind == SL_HTTP1_BODY_LENGTH && link->body_left < size) {
        part = (size_t)link->body_left;
    }
    uint8_t *out = http_bytes_reserve(mem_of(link), body, part);
    if (out == NULL) {
        fail(link, "no_memory", 503, "no memory");
        return size;
    }
    if (link->body_kind == SL_HTTP1_BODY_CHUNKED) {
        size_t consumed = 0;
        size_t produced = 0;
        int got = sl_http1_chunked_decode(&link->chunked, data, size, out,
                                          room < size ? (size_t)room : size, &consumed, &produced);
        body->size += produced;
        if (got == -413)
            fail(link, "http_body_too_large", 502, "the response body is too large");
        else if (got < 0)
            fail_protocol(link, link->chunked.reason);
        link->body_left = got == 0;
        return got < 0 ? size : consumed;
    }
    if (part > room) {
        fail(link, "http_body_too_large", 502, "the response body is too large");
        return size;
    }
    memcpy(out, data, part);
    body->size += part;
    if (link->body_kind == SL_HTTP1_BODY_LENGTH) link->body_left -= part;
    return part;
}

/* An interim answer is skipped; 101 answers a wish that was never sent. RFC 9110 section 15.2. */
static void skip_interim(struct http_link *link, size_t head_size)
{
    struct http_bytes *in = &link->in;
    if (link->client->head.status == 101) {
        fail_protocol(link, "the server switched protocols unasked");
    } else if (++link->interims > SL_HTTP_CLIENT_INTERIMS_MAX) {
        fail_protocol(link, "too many interim answers");
    } else {
        memmove(in->data, in->data + head_size, in->size - head_size);
        in->size -= head_size;
    }
}

/* A whole head stands at the front of link->in. */
static void begin_body(struct http_link *link, size_t head_size)
{
    const struct sl_http1_response *head = &link->client->head;
    struct http_bytes *in = &link->in;
    link->keep_alive = head->head.keep_alive;
    link->body_kind = head->body;
    link->body_left = head->body == SL_HTTP1_BODY_LENGTH ? head->head.content_length
                                                         : head->body != SL_HTTP1_BODY_NONE;
    if (link->body_kind == SL_HTTP1_BODY_LENGTH &&
        link->body_left > link->target->config.body_size_max) {
        fail(link, "http_body_too_large", 502, "the response body is too large");
        return;
    }
    memset(&link->chunked, 0, sizeof(link->chunked));
    link->phase = HTTP_LINK_BODY;
    /* What came with the head belongs to the body. */
    size_t rest = in->size - head_size;
    in->size = head_size;
    if (rest > 0 && link->body_left > 0) {
        size_t used = take_body(link, in->data + head_size, rest);
        if (used < rest) link->keep_alive = false;
    } else if (rest > 0) {
        link->keep_alive = false;
    }
}

static void take_head(struct http_link *link, const uint8_t *data, size_t size)
{
    struct http_bytes *in = &link->in;
    struct sl_http_client *client = link->client;
    if (!http_bytes_add(mem_of(link), in, data, size)) {
        fail(link, "no_memory", 503, "no memory");
        return;
    }
    while (link->phase == HTTP_LINK_HEAD) {
        int64_t got =
            sl_http1_parse_response(in->data, in->size, 0, link->target->config.head_size_max,
                                    link->exchange->method, &client->head);
        if (got == 0) return;
        if (got < 0)
            fail_protocol(link, client->head.head.reason);
        else if (client->head.status < 200)
            skip_interim(link, (size_t)got);
        else
            begin_body(link, (size_t)got);
    }
}

static void on_recv(struct sl_op *op, const struct sl_event *event)
{
    struct http_link *link = sl_container_of(op, struct http_link, recv);
    if (link->phase == HTTP_LINK_BROKEN) {
        sl_loop_task_add(link->client->loop, &link->task);
        return;
    }
    if (event->res > 0 && link->phase == HTTP_LINK_KEPT) {
        http_link_break(link); /* nobody asked */
        return;
    }
    if (event->res > 0) {
        size_t size = (size_t)event->res;
        link->has_bytes = true;
        if (link->phase == HTTP_LINK_HEAD)
            take_head(link, event->data, size);
        else if (take_body(link, event->data, size) < size)
            link->keep_alive = false;
    }
    bool is_end = (event->flags & SL_EVENT_MORE) == 0;
    if (is_end) link->keep_alive = false;
    bool is_whole = link->phase == HTTP_LINK_BODY && link->body_left == 0;
    if (is_end && event->res == 0 && link->phase == HTTP_LINK_BODY &&
        link->body_kind == SL_HTTP1_BODY_CLOSE) {
        is_whole = true;
    }
    if (is_whole)
        complete(link);
    else if (is_end && link->phase != HTTP_LINK_BROKEN)
        lost(link);
}

/* Broken: cancel, close, free. */
static void on_task(struct sl_task *task)
{
    struct http_link *link = sl_container_of(task, struct http_link, task);
    struct sl_http_client *client = link->client;
    struct sl_poller *poller = client->loop->poller;
    struct sl_op *ops[] = {&link->connect, &link->recv, &link->send};
    bool is_pending = false;
    sl_assert(link->phase == HTTP_LINK_BROKEN);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (!sl_op_is_pending(ops[i])) continue;
        poller->ops->cancel(poller, ops[i]);
        is_pending = true;
    }
    if (is_pending) return;
    if (link->fd >= 0) poller->ops->close(poller, link->fd);
    sl_list_remove(&link->link);
    client->stats.connections--;
    release_sent(link);
    http_bytes_release(client->loop->mem, &link->in);
    http_bytes_release(client->loop->mem, &link->body);
    struct sl_http_target *target = link->target;
    sl_mem_give(client->loop->mem, link, sizeof(*link));
    if (target != NULL) {
        target->connections--;
        http_target_pump(target);
    }
    if (client->closed != NULL) sl_loop_task_add(client->loop, &client->closed_task);
}
