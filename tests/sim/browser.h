/* SPDX-License-Identifier: MIT */
/*
 * Browsers for the simulated engine: each sends a list of requests, pipelined, in pieces, chunked,
 * and reads the replies as strictly as it can. What each asks comes from the seed.
 *
 * Every reply of the workflow names the version of the program twice, by its first and its last
 * node, and repeats the request's number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/engine.h"

enum { REQUESTS_MAX = 16 };

/* Kinds of requests; the workflow of engine_test.c has a route for each. */
enum ask {
    ASK_ONE,     /* one node */
    ASK_CHAIN,   /* a block of two */
    ASK_NAP,     /* a node that waits between two that answer */
    ASK_FAR,     /* through a node on another shard */
    ASK_ECHO,    /* a body, sent as it is or chunked */
    ASK_FAIL,    /* the first node fails; the error port answers */
    ASK_MISSING, /* no route */
    ASK_CREATE,  /* nodes.create: the control thread, and a publication */
    ASK_READ,    /* nodes.read */
    ASK_LATE,    /* a deadline that expires (a listener of its own) */
    ASK_HANG,    /* never answered; the browser leaves */
    ASK_HANG_FAR,
    ASK_COUNT,
};

struct request {
    enum ask ask;
    uint32_t number;
    bool chunked;
    uint32_t body_size;
    uint32_t version; /* that was current when its first byte was sent */
};

struct browser {
    struct engine *engine;
    int client; /* -1: not connected, or no more */
    uint16_t port;
    uint32_t depth; /* requests on their way */
    struct request requests[REQUESTS_MAX];
    uint32_t count;
    uint32_t sent; /* begun */
    uint32_t answered;
    uint64_t next_ns;  /* the next piece is sent then */
    uint64_t leave_ns; /* a browser that leaves; 0: it stays */
    uint64_t left_ns;
    char *out; /* rest of the request that is being sent */
    size_t out_size;
    size_t out_at;
    bool done;
    bool broken; /* reset, or ended by the server */
};

/* What may happen to a browser that is not its own fault. */
struct browser_rules {
    bool impatient; /* clocks leap: timeouts of every kind */
    bool draining;  /* the server closes connections between requests */
};

/* Fill in a browser's plan; it connects at `start_ns`. */
void browser_plan(struct browser *browser, struct engine *engine, uint32_t number,
                  uint64_t start_ns);

/*
 * Go on with what can be done now.
 * returns  NULL, or what is wrong with what the engine has sent (static text)
 */
const char *browser_step(struct browser *browser, const struct browser_rules *rules);

/* Forget it; closes. */
void browser_fini(struct browser *browser);
