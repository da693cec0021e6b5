/* SPDX-License-Identifier: MIT */
/*
 * Servers, connections and requests from inside. Only io/http includes it.
 *
 * A connection does nothing to itself while it is in the middle of an event: events store, parse
 * and answer, and add the connection's late task; the task alone sends, goes on reading, closes and
 * frees. So a handler may answer, drain or abort from wherever it is called.
 *
 *     requests   oldest ─▶ … ─▶ newest      those before the newest have their whole body
 *     out        what the oldest has written; it goes out with the next task
 *     request->out   answers that must wait for older ones
 */
#pragma once

#include "codecs/http1/http1.h"
#include "core/base/list.h"
#include "core/mem/out.h"
#include "core/shard/loop.h"
#include "io/http/body.h"
#include "io/http/http.h"

enum {
    HTTP_REMOTE_SIZE = 48, /* INET6_ADDRSTRLEN and a bit */
    HTTP_OUT_SIZE_MIN = 512,
    HTTP_TEXT_KEEP_MAX = 64 * 1024, /* the scratch text is kept up to this size */
    HTTP_BODY_FIRST = 16 * 1024,    /* first room for a body, however long it says it is */
    HTTP_OUT_FULL = 64 * 1024,      /* so much unsent: no more requests are read */
    HTTP_REFUSED_EXTRA = 64,        /* connections beyond the maximum that are told so */
    HTTP_DRAIN_ROUND_MS = 5,        /* how long a queue must be quiet to count as empty */
    HTTP_DRAIN_ROUNDS_MAX = 4,
    HTTP_DRAIN_IDLE_MS = 1000, /* a connection accepted while draining shows a request */
};

/* A growing block of bytes from loop->mem. Zero-initialised is empty. */
struct http_bytes {
    uint8_t *data;
    size_t size;
    size_t cap;
};

/* Grow until `size` more bytes fit; NULL for no memory. The rare half of http_bytes_reserve. */
uint8_t *http_bytes_grow(struct sl_mem *mem, struct http_bytes *bytes, size_t size);

/* Room for `size` more bytes at data + size; NULL for no memory. */
static inline uint8_t *http_bytes_reserve(struct sl_mem *mem, struct http_bytes *bytes, size_t size)
{
    if (__builtin_expect(size <= bytes->cap - bytes->size, 1)) return bytes->data + bytes->size;
    return http_bytes_grow(mem, bytes, size);
}

/* Append; false for no memory. */
bool http_bytes_add(struct sl_mem *mem, struct http_bytes *bytes, const void *data, size_t size);
/* Give the block back. */
void http_bytes_release(struct sl_mem *mem, struct http_bytes *bytes);

struct http_listener {
    struct sl_op op;
    struct sl_http_server *server;
    int fd; /* -1: closed */
    bool accepts;
};

enum http_drain { HTTP_SERVING, HTTP_DRAINING, HTTP_DRAINED };

struct sl_http_server {
    struct sl_loop *loop;
    struct sl_http_server_config config;
    const struct sl_http_handler *handler;
    void *ctx;
    struct sl_list conns;
    struct http_listener listeners[SL_HTTP_LISTENERS_MAX];
    uint32_t listeners_count;
    enum http_drain drain;
    uint32_t drain_rounds;
    uint64_t drain_accepted; /* stats.accepted at the last round */
    uint64_t span_key[2];    /* random: of the ids of requests */
    struct sl_timer drain_timer;
    struct sl_task drained_task;
    struct sl_http1_date date;
    uint64_t date_until_ns; /* of the loop's clock: then the wall clock is read again */
    struct sl_out text;     /* scratch for encoded bodies */
    struct sl_http_server_stats stats;
    struct sl_http1_request head; /* scratch of the parser */
};

enum http_state {
    HTTP_BODY,      /* the body is coming */
    HTTP_RUNNING,   /* with the handler */
    HTTP_STREAMING, /* its answer is coming in parts */
    HTTP_ANSWERED,  /* waits for older ones */
};

struct http_conn;

struct http_request {
    struct sl_http_request pub; /* first */
    struct sl_list link;
    struct http_conn *conn;
    struct sl_slice id; /* of X-Request-Id, or id_text; size 0: not looked for yet */
    enum http_state state;
    int status;    /* of the answer */
    bool internal; /* our own refusal: no handler knows it */
    bool keep_alive;
    bool is_http10;
    bool is_head;
    bool expect_continue; /* 100 has not been sent */
    bool is_chunked_out;  /* streamed with chunks */
    bool is_chunked_in;
    uint64_t bytes_out;
    struct http_bytes out;  /* written before its turn */
    struct http_bytes head; /* while the body comes: copy of the head */
    struct http_bytes body;
    /* From here on nothing is cleared at first. */
    struct sl_slice method;
    struct sl_slice path;
    uint32_t span_tag;  /* http_span_read */
    uint64_t body_left; /* with Content-Length */
    struct sl_http1_chunked chunked;
    char id_text[37];
};

enum { HTTP_REQUEST_CLEAR_SIZE = offsetof(struct http_request, method) };

struct http_conn {
    struct sl_http_server *server;
    struct sl_list link;
    struct sl_list requests;
    int fd;
    uint32_t requests_count;
    uint32_t served_count;
    bool recv_wanted;
    bool recv_cancelled; /* the final event of recv is due */
    bool input_closed;   /* nothing more is parsed */
    bool eof;
    bool broken;         /* give up at once */
    bool lingering;      /* our side is closed, the rest is thrown away */
    bool is_idle;        /* counted in stats.idle */
    bool is_trusted;     /* a proxy of ours */
    bool is_late;        /* accepted while draining: its first request is served */
    uint8_t remote_size; /* 0: not asked for yet */
    char remote[HTTP_REMOTE_SIZE];
    struct sl_op recv;
    struct sl_op send;
    struct sl_task task;
    struct sl_timer timer;
    uint64_t timer_ns;   /* when the timer fires, if it is started */
    uint64_t read_until; /* 0: no deadline */
    uint64_t send_until;
    uint64_t lingered; /* bytes thrown away */
    size_t in_at;      /* bytes of `in` that are used up */
    size_t scanned;    /* bytes of an incomplete head that were looked at */
    struct http_bytes in;
    struct http_bytes out;
    struct http_bytes sending;
};

static inline struct sl_mem *http_mem(const struct http_conn *conn)
{
    return conn->server->loop->mem;
}

static inline struct http_request *http_request_of(struct sl_http_request *request)
{
    return (struct http_request *)request;
}

/* No more requests are read before something has gone out. */
static inline bool http_conn_is_full(const struct http_conn *conn)
{
    return conn->requests_count >= conn->server->config.pipeline_max ||
           conn->out.size + conn->sending.size >= HTTP_OUT_FULL;
}

/* How long it may be without a request. */
static inline uint32_t http_conn_idle_ms(const struct http_conn *conn)
{
    const struct sl_http_server *server = conn->server;
    return server->drain == HTTP_SERVING ? server->config.timeout_idle_ms : HTTP_DRAIN_IDLE_MS;
}

/* The request whose body is coming, or NULL: only the newest can be. */
static inline struct http_request *http_conn_body_request(const struct http_conn *conn)
{
    if (sl_list_is_empty(&conn->requests)) return NULL;
    struct http_request *last = sl_container_of(conn->requests.prev, struct http_request, link);
    return last->state == HTTP_BODY ? last : NULL;
}

/* -------- conn.c -------- */

/* Take over a connected descriptor. -ENOMEM: the caller closes it. */
int http_conn_new(struct sl_http_server *server, int fd, bool refused);
/* Let the connection's task run at the end of this turn. */
void http_conn_wake(struct http_conn *conn);
/* Give the connection up. */
void http_conn_break(struct http_conn *conn);
/* Close it if it has nothing to do. */
void http_conn_close_idle(struct http_conn *conn);
/* Set, move or (0) forget a deadline: of conn->read_until or conn->send_until. */
void http_conn_deadline(struct http_conn *conn, uint64_t *deadline, uint32_t ms);

/* -------- input.c -------- */

/* Parse what arrived, call the handler. */
void http_input(struct http_conn *conn, const uint8_t *data, size_t size);
/* Go on with what was kept while too many requests were in flight. */
void http_input_resume(struct http_conn *conn);
/* Say 100 to a client that waits for it, if nothing older is to be said first. */
void http_input_continue(struct http_conn *conn);
/* Answer in the right order with an error of ours, then close. */
void http_refuse(struct http_conn *conn, int status, const char *reason);

/* -------- request.c -------- */

struct http_request *http_request_new(struct http_conn *conn);
/* Where the answer is written: the connection if it is this request's turn. */
struct http_bytes *http_request_out(struct http_request *request);
/* The answer is complete: finish it now or when its turn comes. */
void http_request_answered(struct http_request *request);
/* Tell the handler that the client is gone, for all that are not answered. */
void http_requests_cancel(struct http_conn *conn);
/* Drop the request whose body is coming, if there is one. */
void http_requests_drop(struct http_conn *conn);
/* Free a request that no handler has, or no longer. */
void http_request_free(struct http_request *request);

/* -------- payload.c -------- */

/*
 * Build the payload of a request.
 *
 * head     parsed; its slices point into [base, base + head_size)
 * body     taken over if its `cap` is not 0; else copied; size 0: none
 * ret      pub.payload, method, path, id are set
 * returns  0, -ENOMEM, or -EINVAL for a path that no one should follow
 */
int http_payload_build(struct http_conn *conn, const struct sl_http1_request *head,
                       const uint8_t *base, size_t head_size, struct http_bytes *body,
                       struct http_request *ret);

/*
 * The span of a request.
 *
 * tag  where its seed stands in the bytes of its payload's buffer, times 2; 1 more if the head has
 *      a traceparent, so that only such heads are parsed again
 */
void http_span_read(const struct sl_buf *buf, size_t head_size, uint32_t tag,
                    struct sl_span *ret_span, struct sl_tracestate *ret_state);

/* A Map name → [values] of all fields, names in their canonical form. */
void http_header_build(struct sl_builder *builder, const struct sl_http1_head *head);

/*
 * A buffer of a body's bytes: taken over if its `cap` is not 0, else copied. The value is the
 * Binary of all bytes, with one count. 0 or -ENOMEM.
 */
int http_body_buffer(struct sl_mem *mem, struct http_bytes *body, struct sl_value *ret_value);

/* -------- fields.c -------- */

/* False: this cannot be written as a field. */
typedef bool http_field_fn(void *ctx, struct sl_slice name, struct sl_slice value);

/*
 * Call `fn` for each field of a header map: name → scalar, or list of at most 64 of them; null is no
 * field. False, with the name (borrowed from the map), at the first that cannot be one.
 */
bool http_header_walk(struct sl_value map, http_field_fn *fn, void *ctx, struct sl_slice *ret_bad);
/* The first text of a name in a header map, without case; size 0 if there is none. */
struct sl_slice http_header_get(struct sl_value map, struct sl_slice name);
/* The value of the first field with an id; size 0 if there is none. */
struct sl_slice http_field_of(const struct sl_http1_head *head, enum sl_http1_header_id id);
/* True if a comma-separated list has `name`, both without case. */
bool http_list_names(struct sl_slice list, struct sl_slice name);
/* True for the keys that a payload of HTTP may have. */
bool http_is_payload_field(struct sl_slice key);
/*
 * The bytes of the `body` of a payload as they were received: a Binary that the payload owns, and
 * what http_body_tag said of them; none if it was made here.
 */
struct sl_value http_body_raw(struct sl_value map, uint32_t *ret_tag);

/* -------- remote.c -------- */

/* Fill conn->remote and conn->is_trusted. */
void http_remote_resolve(struct http_conn *conn);
/* The client as trusted proxies see it: the last address of X-Forwarded-For that is not theirs. */
struct sl_slice http_remote_forwarded(const struct sl_http_server *server,
                                      const struct sl_http1_request *head, struct sl_slice remote);

/* -------- reply.c -------- */

/* The head of an answer that has no envelope. */
struct http_reply {
    int status;
    struct sl_value header; /* Map, or none */
    const struct sl_http_field *fields;
    uint32_t fields_count;
    struct sl_slice content_type; /* where the header has none */
    uint64_t length;
    bool is_stream; /* the length is not known */
};

/*
 * Write the head. 0; -ENOMEM; -EINVAL for a field that cannot be written, with its name in *ret_bad
 * (borrowed). After a failure nothing was written.
 */
int http_reply_head(struct http_request *request, struct http_bytes *out,
                    const struct http_reply *reply, struct sl_slice *ret_bad);

/* Answer with a whole body. */
int http_reply_send(struct http_request *request, struct http_reply *reply, struct sl_slice body,
                    struct sl_slice *ret_bad);
