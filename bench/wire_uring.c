/* SPDX-License-Identifier: MIT */
/*
 * The wire over io_uring: multishot receive from a buffer ring, one enter per turn.
 *
 * A completion carries the connection's number, a generation, and what it was. Shutting bumps the
 * generation, so what still arrives for the old socket is dropped (its buffer goes back).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/uring.h"
#include "bench/wire.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/tsc.h"

enum { RING_ENTRIES = 2048, BUFS_COUNT = 512, BUF_SIZE = 16 * 1024, TIMEOUT_MIN_NS = 1000 };

enum op { OP_CONNECT, OP_RECV, OP_SEND };

struct peer {
    int fd; /* -1: not open */
    uint32_t generation;
};

struct wire_uring {
    struct sl_wire base; /* first */
    struct sl_uring ring;
    struct sl_uring_bufs bufs;
    struct peer *peers;         /* array of `count` */
    struct sl_bench_addr *addr; /* of the last open: kept for the connects in flight */
    uint32_t count;
};

int sl_wire_socket(const struct sl_bench_addr *addr)
{
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int one = 1;
    if (addr->storage.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

static uint64_t user_data_of(const struct wire_uring *wire, uint32_t id, enum op op)
{
    return (uint64_t)wire->peers[id].generation << 40 | (uint64_t)id << 8 | (uint64_t)op;
}

static uint64_t uring_now(struct sl_wire *base)
{
    (void)base;
    return sl_clock_now_ns(sl_clock_system());
}

static int uring_open(struct sl_wire *base, uint32_t id, const struct sl_bench_addr *addr)
{
    struct wire_uring *wire = (struct wire_uring *)base;
    sl_assert(id < wire->count);
    sl_assert(wire->peers[id].fd < 0);
    int fd = sl_wire_socket(addr);
    if (fd < 0) return fd;
    *wire->addr = *addr;
    wire->peers[id].fd = fd;
    struct io_uring_sqe *sqe = sl_uring_sqe(&wire->ring);
    sqe->opcode = IORING_OP_CONNECT;
    sqe->fd = fd;
    sqe->addr = (uintptr_t)&wire->addr->storage;
    sqe->off = wire->addr->size;
    sqe->user_data = user_data_of(wire, id, OP_CONNECT);
    return 0;
}

static void uring_send(struct sl_wire *base, uint32_t id, const uint8_t *data, size_t size)
{
    struct wire_uring *wire = (struct wire_uring *)base;
    sl_assert(wire->peers[id].fd >= 0);
    sl_assert(size <= UINT32_MAX);
    sl_uring_prep_send(sl_uring_sqe(&wire->ring), wire->peers[id].fd, data, (uint32_t)size,
                       user_data_of(wire, id, OP_SEND));
}

static void uring_shut(struct sl_wire *base, uint32_t id)
{
    struct wire_uring *wire = (struct wire_uring *)base;
    struct peer *peer = &wire->peers[id];
    if (peer->fd < 0) return;
    /* Entries that name this descriptor must reach the kernel before its number is free again. */
    if (wire->ring.sqe_tail != wire->ring.sqe_sent) (void)sl_uring_enter(&wire->ring, 0, 0);
    (void)shutdown(peer->fd, SHUT_RDWR); /* ends what is armed on it */
    (void)close(peer->fd);
    peer->fd = -1;
    peer->generation = (peer->generation + 1) & 0xffffff;
}

static void recv_arm(struct wire_uring *wire, uint32_t id)
{
    sl_uring_prep_recv(sl_uring_sqe(&wire->ring), wire->peers[id].fd,
                       user_data_of(wire, id, OP_RECV));
}

static void recv_done(struct wire_uring *wire, uint32_t id, int32_t res, uint32_t flags)
{
    struct sl_wire *base = &wire->base;
    if (res <= 0 && res != -ENOBUFS && res != -EINTR) {
        uring_shut(base, id);
        base->fn(base->ctx, id, SL_WIRE_CLOSED, res, NULL, 0);
        return;
    }
    uint32_t generation = wire->peers[id].generation;
    if (res > 0) {
        const uint8_t *data = sl_uring_buf_get(&wire->bufs, flags);
        base->fn(base->ctx, id, SL_WIRE_DATA, 0, data, (size_t)res);
        sl_uring_buf_put(&wire->bufs, flags);
    }
    bool same = wire->peers[id].fd >= 0 && wire->peers[id].generation == generation;
    if (same && (flags & IORING_CQE_F_MORE) == 0) recv_arm(wire, id);
}

static void dispatch(struct wire_uring *wire, const struct io_uring_cqe *cqe)
{
    struct sl_wire *base = &wire->base;
    enum op op = (enum op)(cqe->user_data & 0xff);
    uint32_t id = (uint32_t)(cqe->user_data >> 8);
    sl_assert(id < wire->count);
    if (wire->peers[id].fd < 0 || wire->peers[id].generation != cqe->user_data >> 40) {
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) sl_uring_buf_put(&wire->bufs, cqe->flags);
        return;
    }
    switch (op) {
    case OP_CONNECT:
        if (cqe->res < 0) {
            uring_shut(base, id);
        } else {
            recv_arm(wire, id);
        }
        base->fn(base->ctx, id, SL_WIRE_CONNECTED, cqe->res < 0 ? cqe->res : 0, NULL, 0);
        break;
    case OP_SEND:
        base->fn(base->ctx, id, SL_WIRE_SENT, cqe->res < 0 ? cqe->res : 0, NULL, 0);
        break;
    case OP_RECV: recv_done(wire, id, cqe->res, cqe->flags); break;
    default: sl_unreachable();
    }
}

static uint32_t drain(struct wire_uring *wire)
{
    uint32_t seen = 0;
    struct io_uring_cqe *next;
    while ((next = sl_uring_peek(&wire->ring)) != NULL) {
        struct io_uring_cqe cqe = *next;
        sl_uring_seen(&wire->ring);
        dispatch(wire, &cqe);
        seen++;
    }
    return seen;
}

static int uring_wait(struct sl_wire *base, uint64_t until_ns, uint64_t spin_ns)
{
    struct wire_uring *wire = (struct wire_uring *)base;
    int err = sl_uring_enter(&wire->ring, 0, 0);
    if (err < 0 || drain(wire) > 0) return err;
    uint64_t now = uring_now(base);
    if (now >= until_ns) return 0;
    uint64_t spin_from = spin_ns < until_ns ? until_ns - spin_ns : 0;
    if (now + TIMEOUT_MIN_NS < spin_from) {
        err = sl_uring_enter(&wire->ring, 1, spin_from - now);
        if (err < 0 || drain(wire) > 0) return err;
    }
    while (uring_now(base) < until_ns) {
        if (sl_uring_has_deferred(&wire->ring)) err = sl_uring_enter(&wire->ring, 0, 0);
        if (err < 0 || drain(wire) > 0) return err;
        sl_cpu_relax();
    }
    return 0;
}

static void uring_free(struct sl_wire *base)
{
    struct wire_uring *wire = (struct wire_uring *)base;
    for (uint32_t id = 0; wire->peers != NULL && id < wire->count; id++) uring_shut(base, id);
    sl_uring_fini(&wire->ring);
    sl_uring_bufs_fini(&wire->bufs);
    free(wire->peers);
    free(wire->addr);
    free(wire);
}

static const struct sl_wire_ops URING_OPS = {
    .name = "io_uring",
    .now_ns = uring_now,
    .open = uring_open,
    .send = uring_send,
    .shut = uring_shut,
    .wait = uring_wait,
    .free = uring_free,
};

/* Does a multishot receive work here? Kernels before 6.0 refuse it only when it is used. */
static int recv_probe(struct wire_uring *wire)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    sl_uring_prep_recv(sl_uring_sqe(&wire->ring), pair[0], 0);
    int err = write(pair[1], "x", 1) == 1 ? 0 : -EIO;
    (void)shutdown(pair[1], SHUT_RDWR);
    bool got = false;
    for (bool more = true; err == 0 && more;) {
        err = sl_uring_enter(&wire->ring, 1, SL_NS_PER_SEC);
        struct io_uring_cqe *cqe = sl_uring_peek(&wire->ring);
        if (err < 0 || cqe == NULL) break;
        got = got || cqe->res == 1;
        more = (cqe->flags & IORING_CQE_F_MORE) != 0;
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) sl_uring_buf_put(&wire->bufs, cqe->flags);
        sl_uring_seen(&wire->ring);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
    return err == 0 && !got ? -ENOSYS : err;
}

int sl_wire_uring_new(uint32_t count, struct sl_wire **ret_wire)
{
    sl_assert(count > 0 && count < UINT32_C(1) << 24);
    struct wire_uring *wire = calloc(1, sizeof(*wire));
    if (wire == NULL) return -ENOMEM;
    wire->base.ops = &URING_OPS;
    wire->count = count;
    wire->peers = calloc(count, sizeof(*wire->peers));
    wire->addr = calloc(1, sizeof(*wire->addr));
    int err = wire->peers == NULL || wire->addr == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; err == 0 && i < count; i++) wire->peers[i].fd = -1;
    if (err == 0) err = sl_uring_init(&wire->ring, RING_ENTRIES);
    if (err == 0) err = sl_uring_bufs_init(&wire->ring, &wire->bufs, BUFS_COUNT, BUF_SIZE);
    if (err == 0) err = recv_probe(wire);
    if (err < 0) {
        wire->count = wire->peers != NULL && wire->addr != NULL ? count : 0;
        uring_free(&wire->base);
        return err;
    }
    *ret_wire = &wire->base;
    return 0;
}
