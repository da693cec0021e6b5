/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 requests to other servers, over the same poller: connections are kept and used again,
 * an exchange at a time on each (no pipelining).
 *
 *     client     one a loop: owns all connections
 *     target     a server to ask: its addresses, its limits, its kept and its waiting
 *     exchange   one request and its answer
 *
 *     start ──▶ kept connection? ──yes──▶ send ──▶ head ──▶ body ──▶ done ──▶ kept, or closed
 *                 ├──no, room──▶ connect ──┘
 *                 └──no room──▶ waits for one of the target's connections
 *
 * Addresses come resolved: looking up names may block (io/sock/name.h). A kept connection that the
 * server closed in the meantime is noticed at once; where it closes just as a request is sent, and
 * nothing came back, an idempotent request is sent again. Where an address cannot be connected to,
 * the next one of the target is tried.
 *
 * What breaks framing closes the connection: bytes after an answer, two lengths, a length and
 * chunks, an answer that was not asked for. RFC 9112 sections 6 and 9.
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

struct sl_http_client_stats {
    uint64_t exchanges;
    uint64_t connects;
    uint64_t reused;  /* exchanges on a kept connection */
    uint64_t retried; /* sent again after a connection was closed without a byte of an answer */
    uint64_t waited;  /* exchanges that found no room at once */
    uint64_t failed;
    uint32_t connections; /* open or opening now */
    uint32_t kept;        /* of these, without work */
};

/*
 * Make a client.
 *
 * returns  owned by the caller, or NULL for no memory
 */
struct sl_http_client *sl_http_client_new(struct sl_loop *loop);

/* What was counted, of all targets; lives as long as the client. */
const struct sl_http_client_stats *sl_http_client_stats(const struct sl_http_client *client);

/*
 * Close all connections; no target is left. `closed` comes when none is open any more, never from
 * inside, and may free the client.
 */
void sl_http_client_close(struct sl_http_client *client,
                          void (*closed)(void *ctx, struct sl_http_client *client), void *ctx);

/* Free a client without connections. NULL is fine; returns NULL. */
struct sl_http_client *sl_http_client_free(struct sl_http_client *client);

/* ------------------------------------------------------------------------------------------ */
/* Targets                                                                                      */

/* All as they stand: zero is zero. */
struct sl_http_target_config {
    uint32_t head_size_max;      /* bytes of a response head */
    uint64_t body_size_max;      /* bytes of a response body, at most SL_PAYLOAD_BYTES_MAX */
    uint32_t connections_max;    /* at once, 1 or more */
    uint32_t kept_max;           /* of these, kept without work */
    uint32_t waiting_max;        /* exchanges that wait for a connection; beyond: `overload` */
    uint32_t timeout_connect_ms; /* until connected to one address */
    uint32_t timeout_idle_ms;    /* kept so long */
    uint32_t retries_max;        /* of an idempotent request, before a byte of the answer */
};

/* The limits of core/base/limit.h. */
extern const struct sl_http_target_config sl_http_target_defaults;

/* A server. Caller's storage; lives from init to fini. */
struct sl_http_target {
    struct sl_http_client *client;
    const char *name; /* for messages: "http://127.0.0.1:9000"; outlives the target */
    struct sl_http_target_config config;
    const struct sl_addr *addrs; /* array of addrs_count, the caller's */
    uint32_t addrs_count;
    /* Private. */
    uint32_t addr_next; /* the last that answered */
    uint32_t connections;
    uint32_t kept_count;
    uint32_t waiting_count;
    struct sl_list kept;    /* struct http_link, the newest first */
    struct sl_list waiting; /* struct sl_http_exchange, the oldest first */
};

/* Set up a target without addresses. `config` is copied; NULL: sl_http_target_defaults. */
void sl_http_target_init(struct sl_http_target *target, struct sl_http_client *client,
                         const char *name, const struct sl_http_target_config *config);

/*
 * Set or change the addresses: array of `count`, 1 or more, that stays until the next call or fini.
 * Kept connections to addresses that are not among them are closed.
 */
void sl_http_target_addrs_set(struct sl_http_target *target, const struct sl_addr *addrs,
                              uint32_t count);

/* Close its kept connections. No exchange is under way. */
void sl_http_target_fini(struct sl_http_target *target);

/* ------------------------------------------------------------------------------------------ */
/* Exchanges                                                                                    */

/* The caller owns it; it stays until `done` or the return of cancel. Zero it first. */
struct sl_http_exchange {
    /*
     * The end, exactly once, never from inside start: the answer is a Map
     *
     *     status protocol header body (only if there is one; decoded when it is read)
     *
     * without the fields that belong to the connection (RFC 9110 section 7.6.1), or an Error:
     *
     *     http_connect         502  no address could be connected to
     *     http_timeout         504  deadline_ns came first
     *     http_protocol        502  the answer broke HTTP/1.1, or ended before its end
     *     http_body_too_large  502  more than body_size_max
     *     overload             503  too many exchanges wait already
     *     no_memory            503
     *
     * Borrowed for the call, which may free or start the exchange.
     */
    void (*done)(struct sl_http_exchange *exchange, struct sl_value answer);
    struct sl_http_target *target;
    uint64_t deadline_ns; /* of the loop's clock; 0: none */
    /* The request, by sl_http_request_write; its counts are dropped at the end. */
    struct sl_value head; /* Binary: request line, fields, and a body that is small */
    struct sl_value body; /* String or Binary: the rest; cell == NULL: none */
    enum sl_http1_method method;
    /* Private. */
    struct http_link *connection;
    struct sl_task task;
    struct sl_timer timer; /* while it waits */
    struct sl_list link;   /* of target->waiting */
    struct sl_value answer;
    uint32_t retries;
    uint32_t addrs_tried;
};

/* What a request has from its specification. Borrowed for the call. */
struct sl_http_request_base {
    struct sl_slice host;   /* value of Host */
    struct sl_slice method; /* a token; size 0: the payload's */
    struct sl_slice path;   /* encoded: "", "/v1" or "/v1/" */
    struct sl_slice query;  /* encoded, without the question mark; size 0: none */
    struct sl_value
        header; /* Map name → scalar or list of them; wins over the payload's; or none */
    const struct sl_http_field *extra; /* array of extra_count: instead of the payload's fields of
                                          that name; value of size 0: none. `header` wins */
    uint32_t extra_count;
};

/*
 * Write the request that a payload means:
 *
 *   none, null       GET without a body
 *   Map              an envelope if it has one of `method`, `path`, `query`, `header`, `body` and
 *                    every key is a field of a request's payload; else it is the body
 *   anything else    the body
 *
 * method  of the base, of the envelope, else POST with a body and GET without
 * path    of the envelope, behind that of the base, percent-encoded; not if it is "/"
 * query   of the envelope (Map name → scalar or list, or a String that is encoded), behind the base's
 * header  as for sl_http_respond; Host, Connection, what Connection names, and what frames the
 *         message is left out
 * body    as for sl_http_respond; a body that came in by a request or an answer and that nobody
 *         changed goes out as the bytes that it was, if its Content-Type is the same
 *
 * Sets head, body and method of `exchange`, which has none.
 *
 * returns  0; -ENOMEM; -E2BIG: the head is larger than SL_HTTP_CLIENT_HEAD_SIZE_MAX, or the body
 *          than a payload may be; -EINVAL with *ret_reason, a static text
 */
int sl_http_request_write(struct sl_http_client *client, const struct sl_http_request_base *base,
                          struct sl_value payload, struct sl_http_exchange *exchange,
                          const char **ret_reason);

/* Drop a written request that was not started. */
void sl_http_request_drop(struct sl_http_exchange *exchange);

/* Begin; `done`, `target` and the request are set. Failures come by `done` too. */
void sl_http_exchange_start(struct sl_http_exchange *exchange);

/* End an exchange that was started and is not done: `done` is not called. */
void sl_http_exchange_cancel(struct sl_http_exchange *exchange);
