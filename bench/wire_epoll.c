/* SPDX-License-Identifier: MIT */
/*
 * The wire over epoll, for kernels and containers without io_uring. Sends are tried at once; their
 * SENT event is kept for the next wait, so that events come from inside wait only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/wire.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { EVENTS_COUNT = 256, BUF_SIZE = 64 * 1024 };

enum peer_state { PEER_SHUT, PEER_CONNECTING, PEER_OPEN };

struct peer {
    int fd;
    enum peer_state state;
    uint32_t generation; /* tells events of an earlier socket from this one's */
    const uint8_t *out;  /* what is left of the send under way */
    size_t out_size;     /* bytes */
    int sent_res;        /* of a finished send */
    bool is_queued;      /* in `sent`: its SENT event is due */
    bool wants_write;
};

struct wire_epoll {
    struct sl_wire base; /* first */
    struct peer *peers;  /* array of `count` */
    uint32_t *sent;      /* array of 2 × `count`: connections whose send has ended */
    uint8_t *buf;        /* BUF_SIZE bytes */
    uint32_t sent_count;
    uint32_t count;
    int fd;
};

static uint64_t epoll_now(struct sl_wire *base)
{
    (void)base;
    return sl_clock_now_ns(sl_clock_system());
}

static void interest_set(struct wire_epoll *wire, uint32_t id, int op, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
                                .data = {.u64 = (uint64_t)wire->peers[id].generation << 32 | id}};
    wire->peers[id].wants_write = write;
    int err = epoll_ctl(wire->fd, op, wire->peers[id].fd, &event);
    sl_assert(err == 0);
}

static int epoll_open(struct sl_wire *base, uint32_t id, const struct sl_bench_addr *addr)
{
    struct wire_epoll *wire = (struct wire_epoll *)base;
    struct peer *peer = &wire->peers[id];
    sl_assert(id < wire->count);
    sl_assert(peer->state == PEER_SHUT);
    int fd = sl_wire_socket(addr);
    if (fd < 0) return fd;
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->size) < 0 &&
        errno != EINPROGRESS) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    peer->fd = fd;
    peer->state = PEER_CONNECTING;
    peer->out_size = 0;
    interest_set(wire, id, EPOLL_CTL_ADD, true);
    return 0;
}

static void epoll_shut(struct sl_wire *base, uint32_t id)
{
    struct wire_epoll *wire = (struct wire_epoll *)base;
    struct peer *peer = &wire->peers[id];
    if (peer->state == PEER_SHUT) return;
    (void)close(peer->fd);
    peer->state = PEER_SHUT;
    peer->fd = -1;
    peer->out_size = 0;
    peer->generation++;
}

static void sent_queue(struct wire_epoll *wire, uint32_t id, int res)
{
    struct peer *peer = &wire->peers[id];
    peer->sent_res = res;
    peer->out_size = 0;
    if (peer->is_queued) return;
    peer->is_queued = true;
    sl_assert(wire->sent_count < 2 * wire->count);
    wire->sent[wire->sent_count++] = id;
}

/* Write as much as goes; ask for writability if some is left. */
static void out_flush(struct wire_epoll *wire, uint32_t id)
{
    struct peer *peer = &wire->peers[id];
    while (peer->out_size > 0) {
        ssize_t sent = send(peer->fd, peer->out, peer->out_size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!peer->wants_write) interest_set(wire, id, EPOLL_CTL_MOD, true);
            return;
        }
        if (sent < 0) {
            sent_queue(wire, id, -errno);
            return;
        }
        peer->out += sent;
        peer->out_size -= (size_t)sent;
    }
    if (peer->wants_write) interest_set(wire, id, EPOLL_CTL_MOD, false);
    sent_queue(wire, id, 0);
}

static void epoll_send(struct sl_wire *base, uint32_t id, const uint8_t *data, size_t size)
{
    struct wire_epoll *wire = (struct wire_epoll *)base;
    sl_assert(wire->peers[id].state == PEER_OPEN);
    sl_assert(wire->peers[id].out_size == 0);
    wire->peers[id].out = data;
    wire->peers[id].out_size = size;
    out_flush(wire, id);
}

static uint32_t sent_deliver(struct wire_epoll *wire)
{
    uint32_t count = wire->sent_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = wire->sent[i];
        wire->peers[id].is_queued = false;
    }
    /* A handler may send again, which queues behind `count`: keep what it adds. */
    uint32_t done = 0;
    for (; done < count; done++) {
        uint32_t id = wire->sent[done];
        if (wire->peers[id].state != PEER_OPEN || wire->peers[id].out_size > 0) continue;
        wire->base.fn(wire->base.ctx, id, SL_WIRE_SENT, wire->peers[id].sent_res, NULL, 0);
    }
    wire->sent_count -= count;
    memmove(wire->sent, wire->sent + count, wire->sent_count * sizeof(*wire->sent));
    return count;
}

static void connect_done(struct wire_epoll *wire, uint32_t id)
{
    int err = 0;
    socklen_t size = sizeof(err);
    (void)getsockopt(wire->peers[id].fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (err != 0) {
        epoll_shut(&wire->base, id);
    } else {
        wire->peers[id].state = PEER_OPEN;
        interest_set(wire, id, EPOLL_CTL_MOD, false);
    }
    wire->base.fn(wire->base.ctx, id, SL_WIRE_CONNECTED, -err, NULL, 0);
}

static void peer_ready(struct wire_epoll *wire, uint32_t id, uint32_t events)
{
    struct peer *peer = &wire->peers[id];
    if (peer->state == PEER_CONNECTING) {
        connect_done(wire, id);
        return;
    }
    if (peer->state == PEER_SHUT) return;
    if ((events & EPOLLOUT) != 0 && peer->out_size > 0) out_flush(wire, id);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    ssize_t got = recv(peer->fd, wire->buf, BUF_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) {
        wire->base.fn(wire->base.ctx, id, SL_WIRE_DATA, 0, wire->buf, (size_t)got);
        return;
    }
    int res = got < 0 ? -errno : 0;
    epoll_shut(&wire->base, id);
    wire->base.fn(wire->base.ctx, id, SL_WIRE_CLOSED, res, NULL, 0);
}

/* One epoll_pwait2; returns events handled or -errno. */
static int poll_once(struct wire_epoll *wire, uint64_t sleep_ns)
{
    struct epoll_event events[EVENTS_COUNT];
    struct timespec ts = {.tv_sec = (time_t)(sleep_ns / SL_NS_PER_SEC),
                          .tv_nsec = (long)(sleep_ns % SL_NS_PER_SEC)};
    int count = epoll_pwait2(wire->fd, events, EVENTS_COUNT, &ts, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t id = (uint32_t)events[i].data.u64;
        if (wire->peers[id].generation != events[i].data.u64 >> 32) continue;
        peer_ready(wire, id, events[i].events);
    }
    return count;
}

static int epoll_wait_until(struct sl_wire *base, uint64_t until_ns, uint64_t spin_ns)
{
    struct wire_epoll *wire = (struct wire_epoll *)base;
    uint32_t delivered = wire->sent_count > 0 ? sent_deliver(wire) : 0;
    int count = poll_once(wire, 0);
    if (count != 0 || delivered > 0) return count < 0 ? count : 0;
    uint64_t now = epoll_now(base);
    if (now >= until_ns) return 0;
    uint64_t spin_from = spin_ns < until_ns ? until_ns - spin_ns : 0;
    if (now < spin_from) {
        uint64_t sleep_ns = spin_from - now;
        count = poll_once(wire, sleep_ns < SL_NS_PER_SEC ? sleep_ns : SL_NS_PER_SEC);
        if (count != 0) return count < 0 ? count : 0;
    }
    while (spin_ns > 0 && epoll_now(base) < until_ns) {
        count = poll_once(wire, 0);
        if (count != 0) return count < 0 ? count : 0;
    }
    return 0;
}

static void epoll_free(struct sl_wire *base)
{
    struct wire_epoll *wire = (struct wire_epoll *)base;
    for (uint32_t id = 0; wire->peers != NULL && id < wire->count; id++) epoll_shut(base, id);
    if (wire->fd >= 0) (void)close(wire->fd);
    free(wire->peers);
    free(wire->sent);
    free(wire->buf);
    free(wire);
}

static const struct sl_wire_ops EPOLL_OPS = {
    .name = "epoll",
    .now_ns = epoll_now,
    .open = epoll_open,
    .send = epoll_send,
    .shut = epoll_shut,
    .wait = epoll_wait_until,
    .free = epoll_free,
};

int sl_wire_epoll_new(uint32_t count, struct sl_wire **ret_wire)
{
    sl_assert(count > 0);
    struct wire_epoll *wire = calloc(1, sizeof(*wire));
    if (wire == NULL) return -ENOMEM;
    wire->base.ops = &EPOLL_OPS;
    wire->count = count;
    wire->peers = calloc(count, sizeof(*wire->peers));
    wire->sent = calloc((size_t)count * 2, sizeof(*wire->sent));
    wire->buf = malloc(BUF_SIZE);
    wire->fd = epoll_create1(EPOLL_CLOEXEC);
    int err = wire->fd < 0 ? -errno : 0;
    if (wire->peers == NULL || wire->sent == NULL || wire->buf == NULL) err = -ENOMEM;
    if (err < 0) {
        epoll_free(&wire->base);
        return err;
    }
    *ret_wire = &wire->base;
    return 0;
}
