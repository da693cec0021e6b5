/* SPDX-License-Identifier: MIT */
/*
 * The client: exchanges find connections, and end.
 */
#include "io/http/client.h"

#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/client_internal.h"

static void on_closed(struct sl_task *task);
static void on_exchange_task(struct sl_task *task);

struct sl_http_client *sl_http_client_new(struct sl_loop *loop,
                                          const struct sl_http_client_config *config)
{
    sl_assert(loop != NULL);
    struct sl_http_client *client = sl_mem_take(loop->mem, sizeof(*client));
    if (client == NULL) return NULL;
    memset(client, 0, sizeof(*client));
    client->loop = loop;
    if (config != NULL) client->config = *config;
    struct sl_http_client_config *own = &client->config;
    if (own->head_size_max == 0) own->head_size_max = SL_HTTP_HEAD_SIZE_MAX;
    if (own->body_size_max == 0) own->body_size_max = SL_HTTP_CLIENT_BODY_SIZE_MAX;
    if (own->body_size_max > SL_PAYLOAD_BYTES_MAX) own->body_size_max = SL_PAYLOAD_BYTES_MAX;
    if (own->connections_max == 0) own->connections_max = SL_HTTP_CLIENT_CONNECTIONS_MAX;
    if (own->kept_max == 0) own->kept_max = SL_HTTP_CLIENT_KEPT_MAX;
    if (own->timeout_connect_ms == 0) own->timeout_connect_ms = SL_HTTP_TIMEOUT_CONNECT_MS;
    if (own->timeout_idle_ms == 0) own->timeout_idle_ms = SL_HTTP_TIMEOUT_IDLE_MS;
    sl_list_init(&client->kept);
    sl_list_init(&client->busy);
    sl_task_init(&client->closed_task, on_closed);
    return client;
}

void http_exchange_finish(struct sl_http_exchange *exchange, struct sl_value answer)
{
    struct sl_http_client *client = exchange->client;
    exchange->connection = NULL;
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

static bool is_same_addr(const struct sl_addr *a, const struct sl_addr *b)
{
    return a->size == b->size && memcmp(&a->storage, &b->storage, a->size) == 0;
}

void http_exchange_begin(struct sl_http_client *client, struct sl_http_exchange *exchange)
{
    for (struct sl_list *at = client->kept.next; at != &client->kept; at = at->next) {
        struct http_link *link = sl_container_of(at, struct http_link, link);
        if (exchange->is_retried || !is_same_addr(&link->addr, exchange->addr)) continue;
        client->stats.reused++;
        http_link_reuse(link, exchange);
        return;
    }
    if (client->stats.connections >= client->config.connections_max) {
        http_exchange_finish(exchange, sl_value_new_error(client->loop->mem, "overload", 503,
                                                          "too many connections to servers"));
        return;
    }
    if (!http_link_open(client, exchange)) http_exchange_finish(exchange, sl_value_none());
}

void sl_http_client_start(struct sl_http_client *client, struct sl_http_exchange *exchange)
{
    sl_assert(client != NULL);
    sl_assert(exchange != NULL);
    sl_assert(exchange->done != NULL);
    sl_assert(exchange->addr != NULL);
    sl_assert(client->closed == NULL);
    exchange->client = client;
    exchange->connection = NULL;
    exchange->answer = sl_value_none();
    exchange->is_retried = false;
    sl_task_init(&exchange->task, on_exchange_task);
    client->stats.exchanges++;
    http_exchange_begin(client, exchange);
}

void sl_http_client_cancel(struct sl_http_client *client, struct sl_http_exchange *exchange)
{
    sl_assert(client != NULL);
    sl_assert(exchange->client == client);
    if (exchange->connection != NULL) {
        exchange->connection->exchange = NULL;
        http_link_break(exchange->connection);
        exchange->connection = NULL;
    }
    sl_task_cancel(&exchange->task);
    if (exchange->answer.cell != NULL) sl_value_unref(exchange->answer);
    exchange->answer = sl_value_none();
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
    while (!sl_list_is_empty(&client->kept)) {
        http_link_break(sl_container_of(client->kept.next, struct http_link, link));
    }
    for (struct sl_list *at = client->busy.next; at != &client->busy; at = at->next) {
        struct http_link *link = sl_container_of(at, struct http_link, link);
        sl_assert(link->exchange == NULL);
    }
    sl_loop_task_add(client->loop, &client->closed_task);
}

struct sl_http_client *sl_http_client_free(struct sl_http_client *client)
{
    if (client == NULL) return NULL;
    sl_assert(client->stats.connections == 0);
    sl_task_cancel(&client->closed_task);
    sl_mem_give(client->loop->mem, client, sizeof(*client));
    return NULL;
}
