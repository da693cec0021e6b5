/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 servers on a loop: connections as state machines over the poller.
 *
 *     recv ──▶ head ──▶ body ──▶ handler->request ──▶ … ──▶ sl_http_respond ──▶ one send a turn
 *               │        │                            (any time later, any order;
 *               └────────┴─▶ 4xx, close                the wire keeps the order of requests)
 *
 * A request reaches the handler when its body is complete. Its payload is one Map:
 *
 *     method scheme host path query protocol header body status remote trace params
 *
 * made from one copy of the received bytes: strings point into it, and `query`, `header` and `body`
 * are decoded when somebody reads them. `body` is there only if the request has one. A body that
 * does not parse is an Error value `bad_body`, status 400, whose chain has `unsupported value`.
 *
 * `trace` is made when somebody reads it too, a Map:
 *
 *     id           of the trace, 32 hexadecimal digits: of the client's traceparent, or made here
 *     span         of this request, 16 digits
 *     parent       of the client, 16 digits; only if it sent one
 *     sampled      true: the client may have recorded it
 *     traceparent  to send on; with it goes `state`, the client's tracestate, if there is one
 *
 * The handler answers every request exactly once, also after `cancel`. Nothing here knows what a
 * handler does.
 *
 * Everything belongs to the thread of the loop. Memory comes from loop->mem only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "codecs/http1/names.h"
#include "codecs/text/span.h"
#include "core/base/slice.h"
#include "core/shard/poller.h"

struct sl_loop;
struct sl_http_server;

/* ------------------------------------------------------------------------------------------ */
/* Servers                                                                                      */

/* A network whose X-Forwarded-… fields are believed: the first `bits` of `addr`. */
struct sl_http_network {
    uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;     /* 0..128; for IPv4 96 + the usual prefix length */
};

/*
 * Parse "10.0.0.0/8", "::1", "192.168.1.7" or "unix" (peers of unix sockets: all bits zero).
 * 0 or -EINVAL.
 */
int sl_http_network_parse(struct sl_slice text, struct sl_http_network *ret_network);

/* Zero means the default of core/base/limit.h. */
struct sl_http_server_config {
    uint32_t head_size_max;     /* bytes of request line and fields: 431, 414 */
    uint64_t body_size_max;     /* bytes: 413 */
    uint32_t connections_max;   /* of this server: 503 */
    uint32_t pipeline_max;      /* requests in flight on one connection; then it is not read */
    uint32_t timeout_idle_ms;   /* between requests: closed */
    uint32_t timeout_header_ms; /* from the first byte of a head to its last: 408 */
    uint32_t timeout_body_ms;   /* without a byte of a body: 408 */
    uint32_t timeout_send_ms;   /* without the client taking a byte: reset */
    uint32_t requests_max;      /* of one connection, then it is closed; 0: no limit */
    struct sl_slice name;       /* Server field; size 0: none. Outlives the server */
    bool date_off;              /* no Date field */
    bool methods_any;           /* pass unregistered methods on instead of 501 */
    bool tls;                   /* scheme is https */
    const struct sl_http_network *proxies; /* array of proxies_count; outlives the server */
    uint32_t proxies_count;
};

/*
 * Statuses with which requests are refused that no handler sees: by the parser, a limit or a
 * deadline. The last stands for all others.
 */
#define SL_HTTP_REFUSALS(X) X(400) X(408) X(413) X(414) X(417) X(431) X(501) X(503) X(505) X(0)

enum {
    SL_HTTP_REFUSALS_COUNT = 0
#define X(status) +1
    SL_HTTP_REFUSALS(X)
#undef X
};

/* Array of SL_HTTP_REFUSALS_COUNT; the last is 0. */
extern const uint16_t sl_http_refusal_statuses[SL_HTTP_REFUSALS_COUNT];

/* A request that was refused. Borrowed for the call. */
struct sl_http_refusal {
    int status;
    const char *reason;
    struct sl_slice remote; /* address of the connection's other end */
};

/* Counters, written by the owner, read by anyone (relaxed). */
struct sl_http_server_stats {
    uint64_t accepted;     /* connections */
    uint64_t refused;      /* connections beyond connections_max */
    uint64_t requests;     /* given to the handler */
    uint64_t responses[6]; /* [status / 100], of handlers and our own; [0] unused */
    uint64_t bad_requests; /* refused by the parser or a limit */
    uint64_t refusals[SL_HTTP_REFUSALS_COUNT]; /* all that no handler saw, by status */
    uint64_t timeouts;                         /* of heads, bodies and sends */
    uint64_t cancelled;                        /* requests whose client went away */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t connections; /* open now */
    uint32_t idle;        /* of these, without a request */
    uint32_t in_flight;   /* requests not yet answered */
};

struct sl_http_request;

struct sl_http_handler {
    /* A request is there. Answer it, now or later. */
    void (*request)(void *ctx, struct sl_http_request *request);
    /*
     * The client is gone: the answer will be dropped, but must still be given. May be NULL. Not
     * called for a request that was answered.
     */
    void (*cancel)(void *ctx, struct sl_http_request *request);
    /*
     * The request is over (answered, and the answer written or dropped): for logs and histograms.
     * May be NULL. `status` is 0 if nothing was written; `request` dies after the call.
     */
    void (*done)(void *ctx, struct sl_http_request *request, int status, uint64_t bytes);
    /* A streamed answer: everything written so far has been sent. May be NULL. */
    void (*writable)(void *ctx, struct sl_http_request *request);
    /* A request was refused that the handler never saw: for logs. May be NULL. */
    void (*refused)(void *ctx, const struct sl_http_refusal *refusal);
    /* sl_http_server_drain is through: no connection is left. May be NULL; may free the server. */
    void (*drained)(void *ctx, struct sl_http_server *server);
};

/*
 * Make a server without listening sockets.
 *
 * config   copied; NULL: all defaults
 * handler  borrowed for the life of the server
 * returns  owned by the caller, or NULL for no memory
 */
struct sl_http_server *sl_http_server_new(struct sl_loop *loop,
                                          const struct sl_http_server_config *config,
                                          const struct sl_http_handler *handler, void *ctx);

/*
 * Listen on an address; `shared` joins its SO_REUSEPORT group. At most SL_HTTP_LISTENERS_MAX.
 * returns  descriptor of the listening socket, or -errno
 */
int sl_http_server_listen(struct sl_http_server *server, const struct sl_addr *addr, bool shared);

/*
 * The same, but nothing is accepted before sl_http_server_accept: who connects waits in the kernel's
 * queue.
 */
int sl_http_server_bind(struct sl_http_server *server, const struct sl_addr *addr, bool shared);
void sl_http_server_accept(struct sl_http_server *server);

/* Accept on a listening socket made elsewhere; the server owns it from now on. 0 or -errno. */
int sl_http_server_adopt(struct sl_http_server *server, int fd);

/* Serve a connection accepted elsewhere; the server owns it from now on. 0, -ENOMEM, -EAGAIN. */
int sl_http_server_adopt_connection(struct sl_http_server *server, int fd);

/* What the handler's functions get as `ctx`. */
void *sl_http_server_ctx(struct sl_http_server *server);

/* What was counted; lives as long as the server. */
const struct sl_http_server_stats *sl_http_server_stats(const struct sl_http_server *server);

/*
 * End gracefully: accept what waits in the sockets' queues, then close them; idle connections
 * close at once, requests in flight are answered with `Connection: close`. handler->drained comes
 * when no connection is left, never from inside this call.
 */
void sl_http_server_drain(struct sl_http_server *server);

/* After the drain has begun: give the rest up. Requests in flight are cancelled. */
void sl_http_server_abort(struct sl_http_server *server);

/* Free a server that is drained, or that never listened and has no connection. NULL is fine. */
struct sl_http_server *sl_http_server_free(struct sl_http_server *server);

/* ------------------------------------------------------------------------------------------ */
/* Requests                                                                                     */

/* The public part; private fields follow it in memory. Lives until handler->done returns. */
struct sl_http_request {
    void *user;              /* the handler's own */
    struct sl_value payload; /* the Map; the request holds one count until it is answered */
    uint64_t begin_ns;       /* of the loop's clock: when the head was complete */
    uint64_t head_size;      /* bytes received */
    uint64_t body_size;
    enum sl_http1_method method;
    bool cancelled; /* the client is gone */
};

/* Name and path of a request without touching the payload; borrowed until it is answered. */
struct sl_slice sl_http_request_method(const struct sl_http_request *request);
struct sl_slice sl_http_request_path(const struct sl_http_request *request);

/*
 * The request id: the client's X-Request-Id if it is 1..128 visible characters, else a UUID made
 * now, once. Borrowed until the request is answered.
 */
struct sl_slice sl_http_request_id(struct sl_http_request *request);

/*
 * The span of the request: W3C Trace Context taken over, or made. The same at each call.
 *
 * ret_state  what is to be passed on with it; may be NULL
 * thread     of the loop; until the request is answered, and in handler->done
 */
void sl_http_request_span(const struct sl_http_request *request, struct sl_span *ret_span,
                          struct sl_tracestate *ret_state);

/* A field of the request's head, the first of that id; size 0 if it is not there. */
struct sl_slice sl_http_request_header(const struct sl_http_request *request,
                                       enum sl_http1_header_id id);

/* The server it came in by. */
struct sl_http_server *sl_http_request_server(const struct sl_http_request *request);

/* ------------------------------------------------------------------------------------------ */
/* Answers: one of these, exactly once, for each request                                        */

/*
 * Answer with a value, which is borrowed for the call (counted by the request if it must wait).
 *
 *   none (cell NULL)  204
 *   Map               an envelope if `status` is an integer 100..599 or it has `body` or
 *                     `header`, and every key is a field of the payload; else it is the body
 *   Error             its own status, 504 for `deadline`, 503 for `script_overload`, `overload`
 *                     and `no_memory`, else 500; the body is the status' text, never the message
 *   anything else     the body, status 200
 *
 * header: name → string or list of strings (numbers and booleans too; null is none). What would
 * break framing is left out: Content-Length, Transfer-Encoding, Connection, Keep-Alive,
 * Proxy-Connection, Te, Trailer, Upgrade. Nothing else is dropped: an answer with a name or value
 * that may not stand there (a line break, a map) is not sent, but 500 instead.
 *
 * body: a String or Binary is sent as it is; everything else as the Content-Type of `header` says
 * (application/x-www-form-urlencoded, text/…), else as JSON. Content-Type, if not set: String
 * text/plain; charset=utf-8, Binary application/octet-stream, others application/json.
 */
void sl_http_respond(struct sl_http_request *request, struct sl_value answer);

/* Why an answer cannot be sent. */
struct sl_http_fault {
    const char *code;      /* "bad_header", "bad_reply_body" */
    struct sl_slice field; /* name of the field, borrowed from the answer; may hold any bytes */
};

/*
 * The same, but what cannot be sent is not answered: the caller answers with something else.
 * returns  0, or -EINVAL with *ret_fault
 */
int sl_http_try_respond(struct sl_http_request *request, struct sl_value answer,
                        struct sl_http_fault *ret_fault);

/* The status that sl_http_respond sends for an answer (500 if its body cannot be written). */
int sl_http_answer_status(struct sl_value answer);

/* A field of a plain answer. Both slices are copied. */
struct sl_http_field {
    struct sl_slice name;
    struct sl_slice value;
};

/*
 * Answer with bytes. `body` is copied.
 *
 * status        200..599
 * fields        array of `fields_count`, added as they are; framing fields are left out as above
 * content_type  size 0: none
 */
void sl_http_respond_bytes(struct sl_http_request *request, int status,
                           const struct sl_http_field *fields, uint32_t fields_count,
                           struct sl_slice content_type, struct sl_slice body);

/*
 * Answer in parts (chunked; for HTTP/1.0 until the connection closes). Begin, then write as often
 * as wanted, then end.
 *
 * returns  of write: bytes of the connection that wait to be sent, for back-pressure: stop beyond
 *          some limit and go on in handler->writable; -EPIPE when the client is gone
 */
void sl_http_stream_begin(struct sl_http_request *request, int status,
                          const struct sl_http_field *fields, uint32_t fields_count,
                          struct sl_slice content_type);
int64_t sl_http_stream_write(struct sl_http_request *request, struct sl_slice part);
void sl_http_stream_end(struct sl_http_request *request);

/*
 * Values for tests and tools: the payload of a request made from bytes, without a connection.
 *
 * data     one whole request, head and body
 * remote   text of the client's address
 * returns  0, -EBADMSG if it is not one whole request, -ENOMEM
 */
int sl_http_payload_build(struct sl_mem *mem, struct sl_slice data, struct sl_slice remote,
                          struct sl_value *ret_value);
