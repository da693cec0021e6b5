/* SPDX-License-Identifier: MIT */
/*
 * The client from inside. Only io/http includes it.
 */
#pragma once

#include "codecs/http1/http1.h"
#include "io/http/client.h"
#include "io/http/internal.h"

struct sl_http_client {
    struct sl_loop *loop;
    struct sl_http_client_config config;
    struct sl_list kept; /* the newest first */
    struct sl_list busy; /* all others */
    struct sl_task closed_task;
    void (*closed)(void *ctx, struct sl_http_client *client);
    void *closed_ctx;
    struct sl_http_client_stats stats;
    struct sl_http1_response head; /* scratch of the parser */
};

enum http_link_phase {
    HTTP_LINK_CONNECT,
    HTTP_LINK_HEAD,
    HTTP_LINK_BODY,
    HTTP_LINK_KEPT,
    HTTP_LINK_BROKEN,
};

/* One connection to a server. */
struct http_link {
    struct sl_http_client *client;
    struct sl_list link;
    struct sl_addr addr;
    int fd; /* -1: not connected, or closed */
    enum http_link_phase phase;
    struct sl_http_exchange *exchange;
    bool is_reused;
    bool has_bytes; /* something of the answer came */
    bool keep_alive;
    enum sl_http1_body body_kind;
    uint64_t body_left;
    struct sl_op connect;
    struct sl_op recv;
    struct sl_op send;
    struct sl_task task;
    struct sl_timer timer;
    struct sl_http1_chunked chunked;
    struct http_bytes out;
    struct http_bytes in; /* an incomplete head; then the whole head */
    struct http_bytes body;
};

/* -------- client.c -------- */

/* Give the answer, of which one count is taken over; none: no memory. Not inside start. */
void http_exchange_finish(struct sl_http_exchange *exchange, struct sl_value answer);
/* Find or open a connection. */
void http_exchange_begin(struct sl_http_client *client, struct sl_http_exchange *exchange);

/* -------- client_link.c -------- */

/* Open a connection for an exchange; false for no memory. */
bool http_link_open(struct sl_http_client *client, struct sl_http_exchange *exchange);
/* Send an exchange on a kept connection. */
void http_link_reuse(struct http_link *link, struct sl_http_exchange *exchange);
/* Give a connection up; it is freed later, from its task. */
void http_link_break(struct http_link *link);

/* -------- client_answer.c -------- */

/* Bytes of the request into link->out; false for no memory. */
bool http_link_write(struct http_link *link, const struct sl_http_exchange *exchange);
/* The answer: the head's bytes are in link->in, the body in link->body, which is taken over. */
struct sl_value http_link_answer(struct http_link *link);
