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
    struct sl_list links; /* struct http_link: all */
    struct sl_task closed_task;
    void (*closed)(void *ctx, struct sl_http_client *client);
    void *closed_ctx;
    struct sl_out text; /* scratch for encoded bodies and queries */
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
    struct sl_http_target *target; /* NULL: it is gone, and so will this be */
    struct sl_list link;           /* of client->links */
    struct sl_list kept;           /* of target->kept */
    struct sl_addr addr;
    int fd; /* -1: not connected, or closed */
    enum http_link_phase phase;
    struct sl_http_exchange *exchange;
    bool has_bytes; /* something of the answer came */
    bool keep_alive;
    uint32_t interims;
    enum sl_http1_body body_kind;
    uint64_t body_left;
    struct sl_op connect;
    struct sl_op recv;
    struct sl_op send;
    struct sl_task task;
    struct sl_timer timer;
    struct sl_http1_chunked chunked;
    struct sl_value sending[2]; /* counted until the send is through */
    struct http_bytes in;       /* an incomplete head; then the whole head */
    struct http_bytes body;
};

/* -------- client.c -------- */

/* Give the answer, of which one count is taken over; none: no memory. */
void http_exchange_finish(struct sl_http_exchange *exchange, struct sl_value answer);
/* Find or open a connection, or wait. */
void http_exchange_begin(struct sl_http_exchange *exchange);
/* An Error that names the target; cell == NULL for no memory. */
struct sl_value http_target_error(const struct sl_http_target *target, const char *code, int status,
                                  const char *text);
/* A connection is kept, or gone: let those go on that waited. */
void http_target_pump(struct sl_http_target *target);

/* -------- client_link.c -------- */

/* Open a connection for an exchange; false for no memory. */
bool http_link_open(struct sl_http_exchange *exchange);
/* Send an exchange on a kept connection. */
void http_link_reuse(struct http_link *link, struct sl_http_exchange *exchange);
/* Give a connection up; it is freed later, from its task. */
void http_link_break(struct http_link *link);

/* -------- client_answer.c -------- */

/* The answer: the head's bytes are in link->in, the body in link->body, which is taken over. */
struct sl_value http_link_answer(struct http_link *link);
