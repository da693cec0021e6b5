/* SPDX-License-Identifier: MIT */
/*
 * The client: targets, and exchanges that find connections, wait, and end.
 */
#include "io/http/client.h"

#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

static void on_closed(struct sl_task *task);
static void on_exchange_task(struct sl_task *task);
static void on_waiting_timer(struct sl_timer *timer);

const struct sl_http_target_config sl_http_target_defaults = {
    .head_size_max = SL_HTTP_HEAD_SIZE_MAX,
    .body_size_max = SL_HTTP_CLIENT_BODY_SIZE_MAX,
    .connections_max = SL_HTTP_CLIENT_CONNECTIONS_MAX,
    .kept_max = SL_HTTP_CLIENT_KEPT_MAX,
    .waiting_max = SL_HTTP_CLIENT_WAITING_MAX,
    .timeout_connect_ms = SL_HTTP_TIMEOUT_CONNECT_MS,
    .timeout_idle_ms = SL_HTTP_TIMEOUT_IDLE_MS,
    .retries_max = SL_HTTP_CLIENT_RETRIES,
};

struct sl_http_client *sl_http_client_new(struct sl_loop *loop)
{
    sl_assert(loop != NULL);
    struct sl_http_client *client = sl_mem_take(loop->mem, sizeof(*client));
    if (client == NULL) return NULL;
    memset(client, 0, sizeof(*client));
    client->loop = loop;
    sl_list_init(&client->links);
    sl_task_init(&client->closed_task, on_closed);
    sl_out_init(&client->text, loop->mem);
    return client;
}

const struct sl_http_client_stats *sl_http_client_stats(const struct sl_http_client *client)
{
    sl_assert(client != NULL);
    return &client->stats;
}

static void on_closed(struct sl_task *task)
{
    struct sl_http_client *client = sl_container_of(task, struct sl_http_client, closed_task);
    if (client->closed == NULL || client->stats.connections > 0) return;
    void (*closed)(void *, struct sl_http_client *) = client->closed;
    client->closed = NULL;
    closed(client->closed_ctx, client);
}

void sl_http_client_close(struct sl_http_client *client,
                          void (*closed)(void *ctx, struct sl_http_client *client), void *ctx)
{
    sl_assert(client != NULL);
    sl_assert(closed != NULL);
    client->closed = closed;
    client->closed_ctx = ctx;
    for (struct sl_list *at = client->links.next; at != &client->links; at = at->next) {
        sl_assert(sl_container_of(at, struct http_link, link)->target == NULL);
    }
    sl_loop_task_add(client->loop, &client->closed_task);
}

struct sl_http_client *sl_http_client_free(struct sl_http_client *client)
{
    if (client == NULL) return NULL;
    sl_assert(client->stats.connections == 0);
    sl_task_cancel(&client->closed_task);
    sl_out_fini(&client->text);
    sl_mem_give(client->loop->mem, client, sizeof(*client));
    return NULL;
}

/* -------- targets -------- */

void sl_http_target_init(struct sl_http_target *target, struct sl_http_client *client,
                         const char *name, const struct sl_http_target_config *config)
{
    sl_assert(target != NULL);
    sl_assert(client != NULL);
    sl_assert(name != NULL);
    *target = (struct sl_http_target){
        .client = client,
        .name = name,
        .config = config != NULL ? *config : sl_http_target_defaults,
    };
    sl_assert(target->config.connections_max > 0);
    sl_assert(target->config.body_size_max <= SL_PAYLOAD_BYTES_MAX);
    sl_list_init(&target->kept);
    sl_list_init(&target->waiting);
}

static bool is_same_addr(const struct sl_addr *a, const struct sl_addr *b)
{
    return a->size == b->size && memcmp(&a->storage, &b->storage, a->size) == 0;
}

static bool target_has(const struct sl_http_target *target, const struct sl_addr *addr)
{
    for (uint32_t i = 0; i < target->addrs_count; i++) {
        if (is_same_addr(&target->addrs[i], addr)) return true;
    }
    return false;
}

void sl_http_target_addrs_set(struct sl_http_target *target, const struct sl_addr *addrs,
                              uint32_t count)
{
    sl_assert(target != NULL);
    sl_assert(addrs != NULL);
    sl_assert(count > 0);
    target->addrs = addrs;
    target->addrs_count = count;
    target->addr_next = 0;
    for (struct sl_list *at = target->kept.next; at != &target->kept;) {
        struct http_link *link = sl_container_of(at, struct http_link, kept);
        at = at->next;
        if (!target_has(target, &link->addr)) http_link_break(link);
    }
}

void sl_http_target_fini(struct sl_http_target *target)
{
    sl_assert(target != NULL);
    sl_assert(sl_list_is_empty(&target->waiting));
    struct sl_http_client *client = target->client;
    for (struct sl_list *at = client->links.next; at != &client->links; at = at->next) {
        struct http_link *link = sl_container_of(at, struct http_link, link);
        if (link->target != target) continue;
        sl_assert(link->exchange == NULL);
        http_link_break(link);
        link->target = NULL;
    }
    sl_assert(target->kept_count == 0);
}

struct sl_value http_target_error(const struct sl_http_target *target, const char *code, int status,
                                  const char *text)
{
    return sl_value_new_error(target->client->loop->mem, code, status, "%s: %s", target->name,
                              text);
}

/* -------- exchanges -------- */

void sl_http_request_drop(struct sl_http_exchange *exchange)
{
    sl_assert(exchange != NULL);
    sl_value_unref(exchange->head);
    if (exchange->body.cell != NULL) sl_value_unref(exchange->body);
    exchange->head = sl_value_none();
    exchange->body = sl_value_none();
}

void http_exchange_finish(struct sl_http_exchange *exchange, struct sl_value answer)
{
    struct sl_http_client *client = exchange->target->client;
    exchange->connection = NULL;
    sl_http_request_drop(exchange);
    if (answer.cell == NULL) {
        answer = sl_value_new_error(client->loop->mem, "no_memory", 503, "no memory");
    }
    /* Still none: then null, which no answer is. */
    if (answer.cell == NULL) answer = sl_value_null();
    if (!sl_value_is(answer, SL_VALUE_MAP)) client->stats.failed++;
    exchange->answer = answer;
    sl_loop_task_add(client->loop, &exchange->task);
}

static void on_exchange_task(struct sl_task *task)
{
    struct sl_http_exchange *exchange = sl_container_of(task, struct sl_http_exchange, task);
    struct sl_value answer = exchange->answer;
    exchange->answer = sl_value_none();
    exchange->done(exchange, answer);
    sl_value_unref(answer);
}

static void wait_begin(struct sl_http_exchange *exchange)
{
    struct sl_http_target *target = exchange->target;
    struct sl_loop *loop = target->client->loop;
    if (target->waiting_count >= target->config.waiting_max) {
        http_exchange_finish(
            exchange, http_target_error(target, "overload", 503, "too many requests wait for it"));
        return;
    }
    target->client->stats.waited++;
    target->waiting_count++;
    sl_list_insert(&target->waiting, &exchange->link);
    if (exchange->deadline_ns != 0) {
        sl_timer_start(&loop->timers, &exchange->timer, exchange->deadline_ns);
    }
}

static void wait_end(struct sl_http_exchange *exchange)
{
    struct sl_http_target *target = exchange->target;
    sl_assert(target->waiting_count > 0);
    target->waiting_count--;
    sl_list_remove(&exchange->link);
    sl_timer_stop(&target->client->loop->timers, &exchange->timer);
}

static void on_waiting_timer(struct sl_timer *timer)
{
    struct sl_http_exchange *exchange = sl_container_of(timer, struct sl_http_exchange, timer);
    wait_end(exchange);
    http_exchange_finish(exchange, http_target_error(exchange->target, "http_timeout", 504,
                                                     "no connection was free in time"));
}

void http_exchange_begin(struct sl_http_exchange *exchange)
{
    struct sl_http_target *target = exchange->target;
    /* A second try never goes over a connection that may be as stale as the first. */
    bool may_reuse = exchange->retries == 0;
    if (may_reuse && target->kept_count > 0) {
        target->client->stats.reused++;
        http_link_reuse(sl_container_of(target->kept.next, struct http_link, kept), exchange);
    } else if (target->connections < target->config.connections_max) {
        if (!http_link_open(exchange)) http_exchange_finish(exchange, sl_value_none());
    } else {
        if (target->kept_count > 0) {
            http_link_break(sl_container_of(target->kept.prev, struct http_link, kept));
        }
        wait_begin(exchange);
    }
}

void http_target_pump(struct sl_http_target *target)
{
    while (target->waiting_count > 0) {
        struct sl_http_exchange *exchange =
            sl_container_of(target->waiting.next, struct sl_http_exchange, link);
        bool has_room = target->connections < target->config.connections_max;
        if (!has_room && (target->kept_count == 0 || exchange->retries > 0)) return;
        wait_end(exchange);
        http_exchange_begin(exchange);
    }
}

void sl_http_exchange_start(struct sl_http_exchange *exchange)
{
    sl_assert(exchange != NULL);
    sl_assert(exchange->done != NULL);
    sl_assert(exchange->target != NULL);
    sl_assert(exchange->target->addrs_count > 0);
    sl_assert(sl_value_is(exchange->head, SL_VALUE_BINARY));
    struct sl_http_client *client = exchange->target->client;
    sl_assert(client->closed == NULL);
    exchange->connection = NULL;
    exchange->answer = sl_value_none();
    exchange->retries = 0;
    exchange->addrs_tried = 0;
    sl_list_init(&exchange->link);
    sl_task_init(&exchange->task, on_exchange_task);
    sl_timer_init(&exchange->timer, on_waiting_timer);
    client->stats.exchanges++;
    http_exchange_begin(exchange);
}

void sl_http_exchange_cancel(struct sl_http_exchange *exchange)
{
    sl_assert(exchange != NULL);
    sl_assert(exchange->target != NULL);
    if (exchange->connection != NULL) {
        exchange->connection->exchange = NULL;
        http_link_break(exchange->connection);
        exchange->connection = NULL;
    }
    if (!sl_list_is_empty(&exchange->link)) wait_end(exchange);
    sl_task_cancel(&exchange->task);
    sl_http_request_drop(exchange);
    if (exchange->answer.cell != NULL) sl_value_unref(exchange->answer);
    exchange->answer = sl_value_none();
}
