/* SPDX-License-Identifier: MIT */
/*
 * The generator's inside, shared by load.c (plan, loop) and load_conn.c (connections, replies).
 *
 * Life of a connection:
 *
 *     SHUT ──put──→ OPENING ──CONNECTED──→ OPEN ⇄ requests ──close, error, timeout──→ SHUT
 *
 * `idle` holds the connections that can take another request, longest free first; one that
 * failed to connect joins it again after a pause.
 */
#pragma once

#include "bench/load.h"

enum conn_state { CONN_SHUT, CONN_OPENING, CONN_OPEN };

/* A request that waits for its reply. */
struct flight {
    uint64_t from_ns; /* latency counts from here: planned (open loop) or sent (closed loop) */
    uint64_t sent_ns; /* the timeout counts from here */
    uint32_t request;
    bool is_disturbed; /* noticed late, or in the wake of such */
};

/* Bytes gathered for the next send. */
struct out {
    uint8_t *data; /* owned */
    size_t size;
    size_t cap;
};

struct conn {
    struct sl_response response;
    const struct sl_load_check *check;
    struct sl_load *load;
    struct flight *flights; /* ring of `pipeline`, in the order of sending; part of one block */
    struct out out;         /* gathered while a send is under way */
    struct out out_sending; /* the wire reads this one */
    size_t body_at;         /* bytes of the reply compared so far */
    uint64_t body_sum;      /* of their squares, if any order will do */
    uint64_t retry_ns;      /* not before, after a failed connect */
    uint32_t flights_head;
    uint32_t flights_count;
    uint32_t unsent_count; /* of them not handed to the wire; used with one kind of request */
    enum conn_state state;
    bool is_sending;
    bool is_idle;
    bool body_differs; /* or the probe does not like the reply */
};

struct sl_load {
    struct sl_load_config config;
    struct sl_wire *wire;
    struct conn *conns;     /* array of `connections` */
    struct flight *flights; /* connections × pipeline */
    uint32_t *idle;         /* ring of `connections` */
    uint64_t check_sum;     /* of the squares of check.body's bytes */
    uint8_t *block;         /* `pipeline` copies of the only request; NULL: several kinds */
    uint64_t window_start_ns;
    uint64_t window_end_ns;
    uint64_t start_ns;
    uint64_t last_ns;       /* last recorded reply */
    uint64_t ended_count;   /* requests of the window, with a reply or without */
    uint64_t asked_count;   /* requests given to a connection; closed loop */
    uint64_t planned_count; /* this worker's share of the plan; open loop */
    uint64_t due_count;     /* planned times noticed */
    uint64_t put_count;     /* given to a connection */
    uint64_t next_ns;       /* next planned time; UINT64_MAX: none */
    uint64_t random;
    uint32_t idle_head;
    uint32_t idle_count;
    uint32_t flying_count;
    uint32_t opening_count;
    uint32_t interval_index; /* current */
    uint64_t wake_from;      /* requests of the plan from here on and planned before */
    uint64_t wake_until_ns;  /* this are disturbed */
    uint64_t waited_last_ns;
    bool has_looked;   /* in this turn of the loop */
    bool is_disturbed; /* what is read in this turn may have lain there */
    bool is_running;
    struct sl_load_live live;
    struct sl_load_result result;
};

static inline bool load_is_open_loop(const struct sl_load *load)
{
    return load->config.schedule != NULL;
}

/* load_conn.c */

/* What the wire calls; `ctx` is the generator. */
void sl_load_on_event(void *ctx, uint32_t id, enum sl_wire_event event, int res,
                      const uint8_t *data, size_t size);

/* Give connection `id` one more request; opens it if needed. The caller flushes. */
void sl_load_conn_put(struct sl_load *load, uint32_t id, uint64_t from_ns);
void sl_load_conn_flush(struct sl_load *load, uint32_t id);

/* Closed loop: a connection without flights gets its next batch. */
void sl_load_conn_refill(struct sl_load *load, uint32_t id);

/* Begin to connect. */
void sl_load_conn_open(struct sl_load *load, uint32_t id);

/* Fail everything in flight on `id` with `error` and shut it. */
void sl_load_conn_fail(struct sl_load *load, uint32_t id, enum sl_load_error error);

/* Take the connection that has been without work for longest; there is one. */
uint32_t sl_load_idle_take(struct sl_load *load);
/* A connection has no work any more. */
void sl_load_idle_push(struct sl_load *load, uint32_t id);

/* load.c: at the first event of a turn, was the generator away? */
void sl_load_look(struct sl_load *load);

/* load_result.c */

/* Count a request that failed; `from_ns` is when it was due. */
void sl_load_note_error(struct sl_load *load, enum sl_load_error error, uint64_t from_ns);
/* Count a reply, its latency and its checks. */
void sl_load_note_reply(struct sl_load *load, const struct conn *conn, const struct flight *flight);
