/* SPDX-License-Identifier: MIT */
/*
 * The poller: the one seam through which a shard touches sockets. Three implementations behave the
 * same: io/uring, io/epoll, and the seeded one in tests/sim.
 *
 * It is completion-based. The caller embeds a `struct sl_op` in its own object, starts an
 * operation with it, and gets events by the op's function, always from inside sl_poller wait (never
 * from inside a start or cancel call). An op that was started ends with exactly one final event
 * (no SL_EVENT_MORE); until then its memory must stay. After the final event the op is free again,
 * and may be started or freed from inside the event.
 *
 * Multishot operations (accept, recv) go on until cancelled, closed by the peer, or failed; what
 * a kernel does underneath (re-arming, ENOBUFS, EMFILE with a pause, short sends) stays inside.
 *
 * Thread: everything but `wake` belongs to the one thread that made the poller.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/counter.h"

struct sl_clock;
struct sl_op;
struct sl_poller;

enum {
    SL_EVENT_MORE = 1, /* not the final event of this op */
};

struct sl_event {
    int32_t res;         /* >= 0: see the operation; < 0: -errno; -ECANCELED after cancel */
    uint32_t flags;      /* SL_EVENT_* */
    const uint8_t *data; /* recv: `res` bytes, valid only inside the event function */
};

typedef void sl_op_fn(struct sl_op *op, const struct sl_event *event);

/* What an op is doing; 0: nothing. */
enum sl_op_type {
    SL_OP_NONE,
    SL_OP_ACCEPT,
    SL_OP_RECV,
    SL_OP_SEND,
    SL_OP_CONNECT,
    SL_OP_POLL,
};

/*
 * One operation. The caller sets `fn` and zeroes the rest once; from start to final event the rest
 * belongs to the poller.
 */
struct sl_op {
    sl_op_fn *fn;
    struct sl_op *next;  /* poller's */
    uint64_t word[4];    /* poller's */
    int32_t fd;          /* poller's */
    uint32_t slot;       /* poller's: slot in its table */
    uint16_t generation; /* poller's */
    uint8_t type;        /* poller's; enum sl_op_type */
    uint8_t state;       /* poller's */
};

static inline bool sl_op_is_pending(const struct sl_op *op)
{
    return op->type != SL_OP_NONE;
}

/* Where to listen or connect: an IP address with a port, or a unix socket path. */
struct sl_addr {
    struct sockaddr_storage storage;
    socklen_t size;
};

enum {
    /* Features not to use even where the kernel has them: for tests, and a way out in production. */
    SL_POLLER_NO_DEFER_TASKRUN = 1,
    SL_POLLER_NO_MULTISHOT_RECV = 2,
    SL_POLLER_NO_SQARRAY = 4,  /* i.e. keep the index array */
    SL_POLLER_FAIL_SUBMIT = 8, /* tests only: now and then there is no room to submit */
};

struct sl_poller_config {
    uint32_t entries;    /* submission queue, power of two; 0: default 1024 */
    uint32_t bufs_count; /* receive buffers, power of two; 0: default 256 */
    uint32_t buf_size;   /* bytes of a receive buffer; 0: default 16384 */
    uint32_t spin_us;    /* busy-poll so long before sleeping; 0: never */
    uint32_t backlog;    /* listen(2); 0: default 4096 */
    uint32_t batch;      /* completions taken a turn; 0: all that are there */
    uint32_t disable;    /* SL_POLLER_NO_*; 0: use what the kernel has */
};

/* Counters, written by the owner thread, read by anyone (relaxed). */
struct sl_poller_stats {
    _Atomic uint64_t waits;  /* calls of wait */
    _Atomic uint64_t sleeps; /* waits that could block */
    _Atomic uint64_t syscalls;
    _Atomic uint64_t events;
    _Atomic uint64_t enobufs; /* receive found no buffer */
    _Atomic uint64_t rearms;  /* multishot operations armed again */
    _Atomic uint64_t cq_overflows;
    _Atomic uint64_t short_sends;
    _Atomic uint64_t accepts;
    _Atomic uint64_t accept_errors; /* EMFILE, ENFILE, ECONNABORTED … */
    _Atomic uint64_t bytes_received;
    _Atomic uint64_t bytes_sent;
    _Atomic uint64_t ops_pending;
};

/* Owner thread only: a plain add, no locked instruction. */
static inline void sl_poller_count(_Atomic uint64_t *counter, uint64_t count)
{
    if (!SL_METRICS_ON) return;
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + count, memory_order_relaxed);
}

struct sl_poller_ops {
    const char *name; /* "uring", "epoll", "sim" */

    /*
     * Open a listening socket; with `shared` set it joins the SO_REUSEPORT group of its address.
     * Who starts listening first calls sl_sock_wait_free (io/sock/sock.h) on the control thread.
     * returns  descriptor, or -errno (-EADDRINUSE, -EACCES …)
     */
    int (*listen)(struct sl_poller *poller, const struct sl_addr *addr, bool shared);

    /* Take a listening socket made elsewhere (another thread, socket activation). 0 or -errno. */
    int (*adopt)(struct sl_poller *poller, int fd);

    /*
     * Multishot. Each event: res = descriptor of a new connection (TCP_NODELAY set). What goes
     * wrong with one connection (ECONNABORTED) or for a while (EMFILE, ENFILE, ENOMEM: a pause)
     * is counted and not an event.
     */
    void (*accept)(struct sl_poller *poller, struct sl_op *op, int fd);

    /*
     * Multishot. Each event: res > 0 bytes at data; res == 0: end of stream (final).
     * At most one per descriptor. Bytes come in order, each once, over any number of recv ops
     * one after another: a caller may cancel to pause and start again later.
     */
    void (*recv)(struct sl_poller *poller, struct sl_op *op, int fd);

    /*
     * Send all of `iov` (array of `count`, 1..SL_POLLER_IOV_MAX; the array is copied, the bytes
     * stay the caller's and must not change until the final event). One final event: res = the
     * whole size, or -errno; then an unknown part may have left. At most one per descriptor.
     */
    void (*send)(struct sl_poller *poller, struct sl_op *op, int fd, const struct iovec *iov,
                 uint32_t count);

    /* Connect a new stream socket. Final event: res = descriptor or -errno. */
    void (*connect)(struct sl_poller *poller, struct sl_op *op, const struct sl_addr *addr);

    /*
     * One readiness of a foreign descriptor (POLLIN, POLLOUT). Final event: res = revents.
     * At most one per descriptor, and no recv or send beside it.
     */
    void (*poll)(struct sl_poller *poller, struct sl_op *op, int fd, uint32_t events);

    /*
     * Ask for the end of a pending op. Its final event still comes, from this or a later wait:
     * -ECANCELED, or what happened first. Before it may come events with SL_EVENT_MORE for what
     * had been received or accepted already: nothing is lost. Harmless if the op is not pending,
     * or asked twice.
     */
    void (*cancel)(struct sl_poller *poller, struct sl_op *op);

    /* Half-close for writing: shutdown(2) SHUT_WR. At once: no send is pending. */
    void (*shutdown)(struct sl_poller *poller, int fd);

    /* Close a descriptor on which no op is pending. */
    void (*close)(struct sl_poller *poller, int fd);

    /* Address of the peer of a connection. 0 or -errno. */
    int (*peer)(struct sl_poller *poller, int fd, struct sl_addr *ret_addr);

    /*
     * Submit what was started, sleep until something happens or until `deadline_ns` of the
     * shard's clock (0: do not block; UINT64_MAX: until something happens), deliver events.
     *
     * returns  events delivered; 0 on time-out, wake or signal. It never fails: failures are
     *          events. It may return 0 early: callers look at their clock.
     */
    uint32_t (*wait)(struct sl_poller *poller, uint64_t deadline_ns);

    /* True if wait would deliver something at once; cheap. For the decision to sleep. */
    bool (*is_ready)(struct sl_poller *poller);

    /*
     * Make the next or current wait return; several wakes may make one. What the caller wrote
     * before is visible after that wait. Any thread; async-signal-safe.
     */
    void (*wake)(struct sl_poller *poller);

    /* No op is pending. Closes what the poller owns. */
    void (*free)(struct sl_poller *poller);
};

enum { SL_POLLER_IOV_MAX = 16 };

/* First member of every implementation. */
struct sl_poller {
    const struct sl_poller_ops *ops;
    struct sl_clock *clock;
    /*
     * Set by the loop, may be NULL: wait calls it once each time, after the kernel returned and
     * before the first event is delivered (also when there is none). The loop reads the clock
     * and comes back online in it.
     */
    void (*woken)(struct sl_poller *poller);
    void *owner; /* the loop */
    struct sl_poller_stats stats;
};
