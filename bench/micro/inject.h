/* SPDX-License-Identifier: MIT */
/*
 * A poller without a kernel: it hands requests to a shard as bytes and takes the replies' bytes, in
 * the shard's own thread. Everything between is the real thing: connections, parser, payloads, router,
 * snippet, encoder. Only sockets and system calls are left out.
 *
 *     wait: up to `batch` connections get `pipeline` requests each (copied into a receive buffer,
 *     as a kernel does); the shard's send is checked by its size and its first bytes, and completes
 *     at the next wait, when the connection is due for its next requests
 *
 * Without a feed it is a poller on which nothing ever happens, for measuring what needs no sockets.
 *
 * Thread: the one that made it; `wake` any; a feed's orders and results as its fields say.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/shard/poller.h"

enum { SL_INJECT_CONNS_MAX = 4096, SL_INJECT_BUF_SIZE = 16384 };

enum sl_inject_order { SL_INJECT_REST, SL_INJECT_WARM, SL_INJECT_MEASURE };

/*
 * What one shard is fed with, and what came of it. May lie in memory that OS processes share; then
 * `request` is an address that both know.
 */
struct sl_inject_feed {
    const uint8_t *request; /* one request */
    uint32_t request_size;  /* bytes; `pipeline` of them fit SL_INJECT_BUF_SIZE */
    uint32_t connections;
    uint32_t batch; /* connections handed out by one wait */
    _Atomic uint32_t pipeline;
    _Atomic uint64_t *spoil; /* NULL; or a word that every reply adds to, in whoever's cache line */
    /* Written by who measures, read by the shard. */
    alignas(128) _Atomic uint32_t order;
    /* Written by the shard: of the window from the order MEASURE to the order REST. */
    alignas(128) _Atomic uint32_t seen; /* the order it follows */
    _Atomic uint64_t replies;
    _Atomic uint64_t cpu_ns; /* of the shard's thread */
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t bad; /* replies that are not what the first was */
    _Atomic uint64_t reply_size;
};

/*
 * feed     NULL: nothing ever happens, and wait returns at once
 * returns  NULL for no memory
 */
struct sl_poller *sl_inject_new(struct sl_inject_feed *feed, struct sl_clock *clock);
