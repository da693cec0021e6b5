/* SPDX-License-Identifier: MIT */
/*
 * The wire: the one seam through which the generator sees connections and time. Implementations:
 * io_uring (wire_uring.c), epoll (wire_epoll.c), and a simulated server on a virtual clock in the
 * tests, which is how the harness proves its own figures.
 *
 * A connection is a number below the count given at creation. Its events come only from inside
 * sl_wire_wait, in order:
 *
 *     open → CONNECTED(res) → { DATA | SENT(res) }… → CLOSED(res) or sl_wire_shut
 *
 * After CONNECTED with an error, CLOSED, or sl_wire_shut, nothing more comes for that connection
 * until it is opened again. One send may be under way at a time; its bytes must stay until SENT.
 *
 * Thread: everything belongs to the thread that made the wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bench/target.h"

struct sl_wire;

enum sl_wire_event {
    SL_WIRE_CONNECTED, /* res: 0 or -errno */
    SL_WIRE_SENT,      /* res: 0 (all of it) or -errno */
    SL_WIRE_DATA,      /* `size` bytes at `data`, borrowed for the call */
    SL_WIRE_CLOSED,    /* res: 0 (end of stream) or -errno */
};

typedef void sl_wire_fn(void *ctx, uint32_t id, enum sl_wire_event event, int res,
                        const uint8_t *data, size_t size);

struct sl_wire_ops {
    const char *name;
    uint64_t (*now_ns)(struct sl_wire *wire);
    int (*open)(struct sl_wire *wire, uint32_t id, const struct sl_bench_addr *addr);
    void (*send)(struct sl_wire *wire, uint32_t id, const uint8_t *data, size_t size);
    void (*shut)(struct sl_wire *wire, uint32_t id);
    int (*wait)(struct sl_wire *wire, uint64_t until_ns, uint64_t spin_ns);
    void (*free)(struct sl_wire *wire);
};

struct sl_wire {
    const struct sl_wire_ops *ops;
    sl_wire_fn *fn; /* set by the generator */
    void *ctx;
};

/*
 * Make a wire for `count` connections.
 *
 * returns  0, or -errno (io_uring: the kernel or the container refuses it)
 */
int sl_wire_uring_new(uint32_t count, struct sl_wire **ret_wire);
int sl_wire_epoll_new(uint32_t count, struct sl_wire **ret_wire);

static inline uint64_t sl_wire_now_ns(struct sl_wire *wire)
{
    return wire->ops->now_ns(wire);
}

/* Begin to connect. 0, or -errno when no socket could be made (no event follows). */
static inline int sl_wire_open(struct sl_wire *wire, uint32_t id, const struct sl_bench_addr *addr)
{
    return wire->ops->open(wire, id, addr);
}

static inline void sl_wire_send(struct sl_wire *wire, uint32_t id, const uint8_t *data, size_t size)
{
    wire->ops->send(wire, id, data, size);
}

/* Close at once. Harmless on a connection that is not open. */
static inline void sl_wire_shut(struct sl_wire *wire, uint32_t id)
{
    wire->ops->shut(wire, id);
}

/*
 * Deliver events; with none at hand sleep until some come or until `until_ns` (of the wire's
 * clock), busy-polling during the last `spin_ns` before it. 0 or -errno.
 */
static inline int sl_wire_wait(struct sl_wire *wire, uint64_t until_ns, uint64_t spin_ns)
{
    return wire->ops->wait(wire, until_ns, spin_ns);
}

/* Closes what is open. NULL is fine; returns NULL. */
static inline struct sl_wire *sl_wire_free(struct sl_wire *wire)
{
    if (wire != NULL) wire->ops->free(wire);
    return NULL;
}

/* A non-blocking stream socket for `addr`, without delay, or -errno. */
int sl_wire_socket(const struct sl_bench_addr *addr);
