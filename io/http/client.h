/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 requests to other servers, over the same poller: connections are kept and used again,
 * an exchange at a time on each (no pipelining).
 *
 *     start ──▶ kept connection? ──yes──▶ send ──▶ head ──▶ body ──▶ done ──▶ kept, or closed
 *                     └──no──▶ connect ──────┘
 *
 * Addresses come resolved: looking up names may block, and belongs to the control thread. A kept
 * connection that the server closed in the meantime is noticed at once; where it closes just as a
 * request is sent, and nothing came back, an idempotent request is sent again, once.
 *
 * Everything belongs to the thread of the loop. Memory comes from loop->mem only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "codecs/http1/names.h"
#include "core/base/slice.h"
#include "core/shard/loop.h"
#include "core/shard/poller.h"
#include "io/http/http.h"

struct sl_http_client;
struct http_link;

/* Zero means the default of core/base/limit.h. */
struct sl_http_client_config {
    uint32_t head_size_max;      /* bytes of a response head */
    uint64_t body_size_max;      /* bytes of a response body */
    uint32_t connections_max;    /* at once; beyond: the error `overload` */
    uint32_t kept_max;           /* kept without work */
    uint32_t timeout_connect_ms; /* until connected */
    uint32_t timeout_idle_ms;    /* kept so long */
};

struct sl_http_client_stats {
    uint64_t exchanges;
    uint64_t connects;
    uint64_t reused;  /* exchanges on a kept connection */
    uint64_t retried; /* sent again after a kept connection was closed */
    uint64_t failed;
    uint32_t connections; /* open or opening now */
    uint32_t kept;        /* of these, without work */
};

/*
 * One request and its answer. The caller owns it; it and everything that it points to stay until
 * `done`.
 */
struct sl_http_exchange {
    /*
     * The end, exactly once, never from inside start: the answer is a Map
     *
     *     status protocol header body (only if there is one; decoded when it is read)
     *
     * or an Error: connect_failed, bad_response (502), timeout (504), body_too_large (502),
     * overload (503), no_memory. Borrowed for the call, which may free or start the exchange.
     */
    void (*done)(struct sl_http_exchange *exchange, struct sl_value answer);
    const struct sl_addr *addr;
    struct sl_slice method;             /* a token */
    struct sl_slice host;               /* value of Host */
    struct sl_slice target;             /* path and query, encoded; size 0: "/" */
    const struct sl_http_field *fields; /* array of fields_count; framing fields are left out */
    uint32_t fields_count;
    struct sl_slice content_type; /* size 0: none, or among the fields */
    struct sl_slice body;         /* size 0: none */
    uint64_t deadline_ns;         /* of the loop's clock; 0: none */
    /* Private. */
    struct http_link *connection;
    struct sl_http_client *client;
    struct sl_task task;
    struct sl_value answer;
    bool is_retried;
};

/*
 * Make a client.
 *
 * config   copied; NULL: all defaults
 * returns  owned by the caller, or NULL for no memory
 */
struct sl_http_client *sl_http_client_new(struct sl_loop *loop,
                                          const struct sl_http_client_config *config);

/* Begin. Failures come by `done` too. */
void sl_http_client_start(struct sl_http_client *client, struct sl_http_exchange *exchange);

/* End an exchange that was started and is not done: `done` is not called. */
void sl_http_client_cancel(struct sl_http_client *client, struct sl_http_exchange *exchange);

const struct sl_http_client_stats *sl_http_client_stats(const struct sl_http_client *client);

/*
 * Close all connections; no exchange is under way. `closed` comes when none is left, never from
 * inside, and may free the client.
 */
void sl_http_client_close(struct sl_http_client *client,
                          void (*closed)(void *ctx, struct sl_http_client *client), void *ctx);

/* Free a client without connections. NULL is fine; returns NULL. */
struct sl_http_client *sl_http_client_free(struct sl_http_client *client);
