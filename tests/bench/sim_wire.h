/* SPDX-License-Identifier: MIT */
/*
 * A wire to a server that exists only on a virtual clock: time moves when the generator waits, and
 * a reply comes exactly when the test says. So what a run must report is known beforehand.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/wire.h"

/* What the server does with one request. */
struct sim_reply {
    const char *data;  /* the bytes of the reply; NULL: it never answers */
    uint64_t delay_ns; /* from the arrival of the request */
    bool close_after;  /* the server closes when it has sent this */
    uint32_t piece;    /* bytes a DATA event; 0: all at once */
};

/* Called as a request arrives at `now_ns` (from the wire's start); `index` counts all requests. */
typedef struct sim_reply sim_server_fn(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                       const char *request);

struct sim_config {
    sim_server_fn *server;
    void *ctx;
    uint32_t connections;
    uint32_t refuse_first; /* so many connects are refused */
    /* The generator's thread loses its core for `away_ns` at each multiple of `away_every_ns`. */
    uint64_t away_every_ns;
    uint64_t away_ns;
};

struct sl_wire *sim_wire_new(const struct sim_config *config);

/* How long the thread was without its core so far; `ctx` is the wire. */
uint64_t sim_wire_waited_ns(void *ctx);

/* Requests that have arrived so far. */
uint64_t sim_wire_requests(const struct sl_wire *wire);
