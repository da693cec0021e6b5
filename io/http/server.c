/* SPDX-License-Identifier: MIT */
/*
 * Servers: configuration, listening sockets, draining.
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

static void on_accept(struct sl_op *op, const struct sl_event *event);
static void on_drain_round(struct sl_timer *timer);
static void on_drained(struct sl_task *task);

static void fill_defaults(struct sl_http_server_config *config)
{
    if (config->head_size_max == 0) config->head_size_max = SL_HTTP_HEAD_SIZE_MAX;
    if (config->body_size_max == 0) config->body_size_max = SL_HTTP_BODY_SIZE_MAX;
    if (config->body_size_max > SL_PAYLOAD_BYTES_MAX) config->body_size_max = SL_PAYLOAD_BYTES_MAX;
    if (config->connections_max == 0) config->connections_max = SL_HTTP_CONNECTIONS_MAX;
    if (config->pipeline_max == 0) config->pipeline_max = SL_HTTP_PIPELINE_MAX;
    if (config->timeout_idle_ms == 0) config->timeout_idle_ms = SL_HTTP_TIMEOUT_IDLE_MS;
    if (config->timeout_header_ms == 0) config->timeout_header_ms = SL_HTTP_TIMEOUT_HEADER_MS;
    if (config->timeout_body_ms == 0) config->timeout_body_ms = SL_HTTP_TIMEOUT_BODY_MS;
    if (config->timeout_send_ms == 0) config->timeout_send_ms = SL_HTTP_TIMEOUT_SEND_MS;
}

struct sl_http_server *sl_http_server_new(struct sl_loop *loop,
                                          const struct sl_http_server_config *config,
                                          const struct sl_http_handler *handler, void *ctx)
{
    sl_assert(loop != NULL);
    sl_assert(handler != NULL);
    sl_assert(handler->request != NULL);
    struct sl_http_server *server = sl_mem_take(loop->mem, sizeof(*server));
    if (server == NULL) return NULL;
    memset(server, 0, sizeof(*server));
    server->loop = loop;
    if (config != NULL) server->config = *config;
    fill_defaults(&server->config);
    server->handler = handler;
    server->ctx = ctx;
    loop->clock->random(loop->clock, server->span_key, sizeof(server->span_key));
    sl_out_init(&server->text, loop->mem);
    sl_list_init(&server->conns);
    sl_timer_init(&server->drain_timer, on_drain_round);
    sl_task_init(&server->drained_task, on_drained);
    return server;
}

static void listener_add(struct sl_http_server *server, int fd)
{
    server->listeners[server->listeners_count++] =
        (struct http_listener){.op.fn = on_accept, .server = server, .fd = fd};
}

void sl_http_server_accept(struct sl_http_server *server)
{
    sl_assert(server != NULL);
    struct sl_poller *poller = server->loop->poller;
    for (uint32_t i = 0; i < server->listeners_count; i++) {
        struct http_listener *listener = &server->listeners[i];
        if (listener->accepts) continue;
        listener->accepts = true;
        poller->ops->accept(poller, &listener->op, listener->fd);
    }
}

int sl_http_server_adopt(struct sl_http_server *server, int fd)
{
    sl_assert(server != NULL);
    sl_assert(fd >= 0);
    struct sl_poller *poller = server->loop->poller;
    if (server->drain != HTTP_SERVING) return -ESHUTDOWN;
    if (server->listeners_count == SL_HTTP_LISTENERS_MAX) return -ENOSPC;
    int err = poller->ops->adopt(poller, fd);
    if (err < 0) return err;
    listener_add(server, fd);
    sl_http_server_accept(server);
    return 0;
}

int sl_http_server_bind(struct sl_http_server *server, const struct sl_addr *addr, bool shared)
{
    sl_assert(server != NULL);
    sl_assert(addr != NULL);
    struct sl_poller *poller = server->loop->poller;
    if (server->drain != HTTP_SERVING) return -ESHUTDOWN;
    if (server->listeners_count == SL_HTTP_LISTENERS_MAX) return -ENOSPC;
    int fd = poller->ops->listen(poller, addr, shared);
    if (fd < 0) return fd;
    listener_add(server, fd);
    return fd;
}

int sl_http_server_listen(struct sl_http_server *server, const struct sl_addr *addr, bool shared)
{
    int fd = sl_http_server_bind(server, addr, shared);
    if (fd >= 0) sl_http_server_accept(server);
    return fd;
}

int sl_http_server_adopt_connection(struct sl_http_server *server, int fd)
{
    sl_assert(server != NULL);
    sl_assert(fd >= 0);
    uint32_t max = server->config.connections_max;
    uint32_t count = server->stats.connections;
    if (count >= max + HTTP_REFUSED_EXTRA) return -EAGAIN;
    server->stats.accepted++;
    if (count >= max) server->stats.refused++;
    return http_conn_new(server, fd, count >= max);
}

static void on_accept(struct sl_op *op, const struct sl_event *event)
{
    struct http_listener *listener = sl_container_of(op, struct http_listener, op);
    struct sl_http_server *server = listener->server;
    struct sl_poller *poller = server->loop->poller;
    if (event->res >= 0 && sl_http_server_adopt_connection(server, event->res) < 0) {
        poller->ops->close(poller, event->res);
    }
    if (event->flags & SL_EVENT_MORE) return;
    if (server->drain == HTTP_SERVING) {
        poller->ops->accept(poller, &listener->op, listener->fd);
        return;
    }
    poller->ops->close(poller, listener->fd);
    listener->fd = -1;
    sl_loop_task_add(server->loop, &server->drained_task);
}

void *sl_http_server_ctx(struct sl_http_server *server)
{
    sl_assert(server != NULL);
    return server->ctx;
}

const struct sl_http_server_stats *sl_http_server_stats(const struct sl_http_server *server)
{
    sl_assert(server != NULL);
    return &server->stats;
}

/* -------- the end -------- */

void sl_http_server_drain(struct sl_http_server *server)
{
    sl_assert(server != NULL);
    if (server->drain != HTTP_SERVING) return;
    sl_http_server_accept(server); /* who waits in a queue is answered, too */
    server->drain = HTTP_DRAINING;
    server->drain_accepted = server->stats.accepted;
    sl_timer_start(&server->loop->timers, &server->drain_timer,
                   server->loop->now_ns + HTTP_DRAIN_ROUND_MS * SL_NS_PER_MS);
}

static void listeners_close(struct sl_http_server *server)
{
    struct sl_poller *poller = server->loop->poller;
    for (uint32_t i = 0; i < server->listeners_count; i++) {
        if (server->listeners[i].fd >= 0) poller->ops->cancel(poller, &server->listeners[i].op);
    }
}

/*
 * The queues of the listening sockets are empty when nothing was accepted for a round. Idle
 * connections had that long to show a request that was on its way.
 */
static void on_drain_round(struct sl_timer *timer)
{
    struct sl_http_server *server = sl_container_of(timer, struct sl_http_server, drain_timer);
    for (struct sl_list *at = server->conns.next; at != &server->conns; at = at->next) {
        http_conn_close_idle(sl_container_of(at, struct http_conn, link));
    }
    bool is_quiet = server->stats.accepted == server->drain_accepted;
    server->drain_accepted = server->stats.accepted;
    if (is_quiet || ++server->drain_rounds >= HTTP_DRAIN_ROUNDS_MAX) {
        listeners_close(server);
        sl_loop_task_add(server->loop, &server->drained_task);
        return;
    }
    sl_timer_start(&server->loop->timers, timer,
                   server->loop->now_ns + HTTP_DRAIN_ROUND_MS * SL_NS_PER_MS);
}

static void on_drained(struct sl_task *task)
{
    struct sl_http_server *server = sl_container_of(task, struct sl_http_server, drained_task);
    if (server->drain != HTTP_DRAINING || server->stats.connections > 0) return;
    for (uint32_t i = 0; i < server->listeners_count; i++) {
        if (server->listeners[i].fd >= 0) return;
    }
    server->drain = HTTP_DRAINED;
    if (server->handler->drained != NULL) server->handler->drained(server->ctx, server);
}

void sl_http_server_abort(struct sl_http_server *server)
{
    sl_assert(server != NULL);
    sl_http_server_drain(server);
    listeners_close(server);
    for (struct sl_list *at = server->conns.next; at != &server->conns; at = at->next) {
        http_conn_break(sl_container_of(at, struct http_conn, link));
    }
}

struct sl_http_server *sl_http_server_free(struct sl_http_server *server)
{
    if (server == NULL) return NULL;
    sl_assert(server->stats.connections == 0);
    for (uint32_t i = 0; i < server->listeners_count; i++) {
        sl_assert(server->listeners[i].fd < 0);
    }
    sl_timer_stop(&server->loop->timers, &server->drain_timer);
    sl_task_cancel(&server->drained_task);
    sl_out_fini(&server->text);
    sl_mem_give(server->loop->mem, server, sizeof(*server));
    return NULL;
}
