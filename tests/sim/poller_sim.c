/* SPDX-License-Identifier: MIT */
/*
 * The simulated poller. A wait lists what is due for its poller, and lets it happen in an order
 * from the seed.
 */
#include "tests/sim/poller_sim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "io/sock/sock.h"
#include "tests/sim/sim_internal.h"

/* Ops of a poller. */

static struct sim_poller *poller_of(struct sl_poller *poller)
{
    return (struct sim_poller *)poller;
}

static void op_start(struct sim_poller *p, struct sl_op *op, enum sl_op_type type, int fd)
{
    sl_assert(op->fn != NULL);
    sl_assert(op->type == SL_OP_NONE);
    op->type = (uint8_t)type;
    op->state = 0;
    op->fd = fd;
    op->next = NULL;
    memset(op->word, 0, sizeof(op->word));
    sl_poller_count(&p->base.stats.ops_pending, 1);
}

static void op_done(struct sim_poller *p, struct sl_op *op, int32_t res)
{
    sl_assert(!(op->state & DONE));
    op->state |= DONE;
    op->word[WORD_RESULT] = (uint64_t)(int64_t)res;
    op->next = NULL;
    *p->done_end = op;
    p->done_end = &op->next;
}

static void op_event(struct sim_poller *p, struct sl_op *op, const struct sl_event *event)
{
    static const char *const names[] = {"?", "accept", "recv", "send", "connect", "poll"};
    uint64_t hash = event->data != NULL ? sl_hash64(event->data, (size_t)event->res) : 0;
    uint64_t detail = (uint64_t)op->fd << 32 ^ hash ^ event->flags;
    sim_trace(p->sim, names[op->type], detail, (uint64_t)(int64_t)event->res);
    p->sim->stats.events++;
    if (event->flags & SL_EVENT_MORE) {
        op->fn(op, event);
        return;
    }
    struct sock *sock = sim_sock_at(p->sim, op->fd);
    if (sock != NULL && sock->in_op == op) sock->in_op = NULL;
    if (sock != NULL && sock->out_op == op) sock->out_op = NULL;
    if (op->type == SL_OP_SEND) free((void *)(uintptr_t)op->word[WORD_BLOCK]);
    op->type = SL_OP_NONE;
    op->state = 0;
    sl_poller_count(&p->base.stats.ops_pending, (uint64_t)-1);
    op->fn(op, event);
}

static void op_finish(struct sim_poller *p, struct sl_op *op, int32_t res)
{
    struct sl_event event = {.res = res};
    op_event(p, op, &event);
}

static void op_more(struct sim_poller *p, struct sl_op *op, int32_t res, const uint8_t *data)
{
    struct sl_event event = {.res = res, .flags = SL_EVENT_MORE, .data = data};
    op_event(p, op, &event);
}

/* Things that happen. Each delivers one event, or makes progress without one. */

static void happen_accept(struct sim_poller *p, int index)
{
    struct sim *sim = p->sim;
    struct sock *sock = &sim->socks[index];
    if (sim_chance(sim, sim->config.accept_pause, 1000, &sim->stats.accept_pauses)) {
        sl_poller_count(&p->base.stats.accept_errors, 1);
        sock->in_ns = sim_now(sim) + 10 * SL_NS_PER_MS;
        return;
    }
    int end = sock->backlog[0];
    sock->backlog_count--;
    memmove(sock->backlog, sock->backlog + 1, sock->backlog_count * sizeof(int));
    sock->in_ns = sim_soon(sim);
    sim->socks[end].accepted = true;
    sim->socks[end].poller = p;
    sl_poller_count(&p->base.stats.accepts, 1);
    op_more(p, sock->in_op, end + FD_FIRST, NULL);
}

static void happen_recv(struct sim_poller *p, int index)
{
    struct sim *sim = p->sim;
    struct sock *sock = &sim->socks[index];
    struct sl_op *op = sock->in_op;
    if (sock->is_reset || (sock->in.size == 0 && sock->in_ended)) {
        op_finish(p, op, sock->is_reset ? -ECONNRESET : 0);
        return;
    }
    size_t size = sock->in.size < p->buf_size ? sock->in.size : p->buf_size;
    size = sim_part_of(sim, size);
    memcpy(p->buf, sock->in.data, size);
    sim_bytes_drop(&sock->in, size);
    sock->in_ns = sim_soon(sim);
    sl_poller_count(&p->base.stats.bytes_received, size);
    op_more(p, op, (int32_t)size, p->buf);
    memset(p->buf, 0xdd, size); /* who kept the pointer reads this */
}

static void happen_send(struct sim_poller *p, int index)
{
    struct sim *sim = p->sim;
    struct sock *sock = &sim->socks[index];
    struct sl_op *op = sock->out_op;
    if (sock->is_reset || sock->peer < 0) {
        bool first = !sock->is_reset && sock->in_ended;
        sock->is_reset = true; /* the answer to bytes for a closed socket */
        op_finish(p, op, first ? -EPIPE : -ECONNRESET);
        return;
    }
    const uint8_t *data = (const uint8_t *)(uintptr_t)op->word[WORD_BLOCK];
    size_t left = op->word[WORD_TOTAL] - op->word[WORD_SENT];
    size_t size = sim_room_to_peer(sim, sock);
    if (size > left) size = left;
    size = sim_part_of(sim, size);
    sim_send_to_peer(sim, sock, data + op->word[WORD_SENT], size);
    op->word[WORD_SENT] += size;
    sl_poller_count(&p->base.stats.bytes_sent, size);
    sock->out_ns = sim_soon(sim);
    if (size == left) {
        op_finish(p, op, (int32_t)op->word[WORD_TOTAL]);
    } else {
        sl_poller_count(&p->base.stats.short_sends, 1);
    }
}

static void happen_connect(struct sim_poller *p, int index)
{
    struct sock *sock = &p->sim->socks[index];
    struct sl_op *op = sock->out_op;
    int32_t res = (int32_t)(int64_t)op->word[WORD_RESULT];
    if (res == 0 && sock->is_reset) res = -ECONNRESET;
    sock->out_op = NULL;
    if (res < 0) sim_sock_close(p->sim, index);
    op_finish(p, op, res < 0 ? res : index + FD_FIRST);
}

static void maybe_reset(struct sim *sim, int index)
{
    if (sim_chance(sim, sim->config.reset, 100000, &sim->stats.resets))
        sim_connection_reset(sim, index);
}

static void happen_in(struct sim_poller *p, int index)
{
    struct sl_op *op = p->sim->socks[index].in_op;
    bool canceled = op->state & CANCELED;
    if (p->sim->socks[index].type == SOCK_LISTENER) {
        happen_accept(p, index);
    } else {
        maybe_reset(p->sim, index);
        happen_recv(p, index);
    }
    /* Asked for while this was on its way. An op that ended may be another by now. */
    if (canceled && sl_op_is_pending(op) && op->state == CANCELED) op_done(p, op, -ECANCELED);
}

static void happen(struct sim_poller *p, int index, bool out)
{
    struct sim *sim = p->sim;
    struct sock *sock = &sim->socks[index];
    /* What happened before in this turn may have changed it. */
    if (sock->type == SOCK_FREE || sock->poller != p) return;
    uint64_t due_ns = out ? sim_out_due_ns(sim, sock) : sim_in_due_ns(sock);
    if (due_ns > sim_now(sim)) return;
    if (!out) {
        happen_in(p, index);
        return;
    }
    bool connecting = sock->out_op != NULL && sock->out_op->type == SL_OP_CONNECT;
    if (connecting) {
        happen_connect(p, index);
    } else {
        maybe_reset(sim, index);
        happen_send(p, index);
    }
}

/* Waiting. */

struct thing {
    int index;
    bool out;
};

/* List what is due for this poller; the caller frees. */
static struct thing *things_due(struct sim_poller *p, size_t *ret_count)
{
    struct sim *sim = p->sim;
    struct thing *things = sim_must(malloc((2 * sim->socks_count + 1) * sizeof(*things)));
    size_t count = 0;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        const struct sock *sock = &sim->socks[i];
        if (sock->type == SOCK_FREE || sock->poller != p) continue;
        if (sim_in_due_ns(sock) <= sim_now(sim)) things[count++] = (struct thing){(int)i, false};
        if (sim_out_due_ns(sim, sock) <= sim_now(sim))
            things[count++] = (struct thing){(int)i, true};
    }
    *ret_count = count;
    return things;
}

static bool is_due(struct sim_poller *p)
{
    struct sim *sim = p->sim;
    if (p->done != NULL || p->woken) return true;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        const struct sock *sock = &sim->socks[i];
        if (sock->type == SOCK_FREE || sock->poller != p) continue;
        if (sim_in_due_ns(sock) <= sim_now(sim) || sim_out_due_ns(sim, sock) <= sim_now(sim))
            return true;
    }
    return false;
}

static void deliver_done(struct sim_poller *p)
{
    struct sl_op *op = p->done;
    p->done = NULL;
    p->done_end = &p->done;
    while (op != NULL) {
        struct sl_op *next = op->next;
        int32_t res = (int32_t)(int64_t)op->word[WORD_RESULT];
        if (op->type == SL_OP_CONNECT && op->fd >= 0) {
            struct sock *sock = sim_sock_at(p->sim, op->fd);
            sock->out_op = NULL;
            sim_sock_close(p->sim, op->fd - FD_FIRST);
        }
        op_finish(p, op, res);
        op = next;
    }
}

/* Foreign descriptors are the machine's: looked at for real, but only when we are asked. */
static void deliver_polls(struct sim_poller *p)
{
    struct sl_op **at = &p->polls;
    while (*at != NULL) {
        struct sl_op *op = *at;
        struct pollfd look = {.fd = op->fd, .events = (short)op->word[WORD_TOTAL]};
        if (!(op->state & CANCELED) && poll(&look, 1, 0) <= 0) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op_done(p, op, op->state & CANCELED ? -ECANCELED : look.revents);
    }
}

static void clock_jump(struct sim *sim)
{
    uint64_t max_ns = sim->config.jump_ms_max * SL_NS_PER_MS;
    if (max_ns == 0 || !sim_chance(sim, sim->config.clock_jump, 100000, &sim->stats.clock_jumps))
        return;
    sl_clock_manual_advance(&sim->clock, 1 + sim_random(sim, max_ns));
    sim->clock.wall_ns += (int64_t)sim_random(sim, 2 * max_ns) - (int64_t)max_ns;
    sim_trace(sim, "jump", 0, 0);
}

/* Sleep: move time until something is due for this poller. */
static void sleep_until(struct sim_poller *p, uint64_t until_ns)
{
    struct sim *sim = p->sim;
    while (!is_due(p) && sim_now(sim) < until_ns) {
        uint64_t next = sim_next_ns(sim);
        if (next == UINT64_MAX && until_ns == UINT64_MAX) {
            sim->stats.dead_waits++;
            return;
        }
        if (next <= sim_now(sim))
            next = sim_now(sim) + TURN_NS; /* due for somebody else, or a client */
        sim_advance(sim, sim_earlier(next, until_ns));
    }
}

static uint32_t sim_poller_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct sim_poller *p = poller_of(poller);
    struct sim *sim = p->sim;
    uint64_t before = sim->stats.events;
    sl_assert(!p->in_wait);
    p->in_wait = true;
    sl_poller_count(&p->base.stats.waits, 1);
    sim_advance(sim, sim_now(sim) + 1 + sim_random(sim, 2 * TURN_NS));
    clock_jump(sim);
    deliver_polls(p);
    if (!sim->config.manual_time) sleep_until(p, deadline_ns);
    p->woken = false;
    if (p->base.woken != NULL) p->base.woken(&p->base);
    deliver_done(p);
    size_t count;
    struct thing *things = things_due(p, &count);
    for (size_t i = 0; i < count; i++) { /* Fisher and Yates, as it goes */
        size_t pick = i + sim_random(sim, count - i);
        struct thing thing = things[pick];
        things[pick] = things[i];
        happen(p, thing.index, thing.out);
    }
    free(things);
    p->in_wait = false;
    uint64_t events = sim->stats.events - before;
    sl_poller_count(&p->base.stats.events, events);
    return (uint32_t)events;
}

static bool sim_poller_is_ready(struct sl_poller *poller)
{
    return is_due(poller_of(poller));
}

static void sim_poller_wake(struct sl_poller *poller)
{
    poller_of(poller)->woken = true;
}

/* Operations. */

static int sim_listen(struct sl_poller *poller, const struct sl_addr *addr, bool shared)
{
    struct sim_poller *p = poller_of(poller);
    struct sim *sim = p->sim;
    struct sl_addr local = *addr;
    if (addr->storage.ss_family == AF_INET && sl_addr_port(addr) == 0)
        sim_addr_loopback(&local, sim_port_new(sim));
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        const struct sock *sock = &sim->socks[i];
        if (sock->type != SOCK_LISTENER || !sl_addr_eq(&sock->local, &local)) continue;
        if (!shared || !sock->shared) return -EADDRINUSE;
    }
    int index = sim_sock_new(sim, SOCK_LISTENER);
    sim->socks[index].local = local;
    sim->socks[index].shared = shared;
    sim->socks[index].poller = p;
    return index + FD_FIRST;
}

static int sim_adopt(struct sl_poller *poller, int fd)
{
    struct sock *sock = sim_sock_at(poller_of(poller)->sim, fd);
    if (sock == NULL) return -EBADF;
    if (sock->type != SOCK_LISTENER) return -EINVAL;
    sock->poller = poller_of(poller);
    return 0;
}

static void start_in(struct sl_poller *poller, struct sl_op *op, enum sl_op_type type, int fd)
{
    struct sim_poller *p = poller_of(poller);
    struct sock *sock = sim_sock_at(p->sim, fd);
    op_start(p, op, type, fd);
    bool fits = sock != NULL && sock->poller == p &&
                (sock->type == SOCK_LISTENER) == (type == SL_OP_ACCEPT);
    if (!fits) {
        op_done(p, op, sock == NULL ? -EBADF : -EINVAL);
        return;
    }
    sl_assert(sock->in_op == NULL); /* at most one */
    sock->in_op = op;
}

static void sim_accept(struct sl_poller *poller, struct sl_op *op, int fd)
{
    start_in(poller, op, SL_OP_ACCEPT, fd);
}

static void sim_recv(struct sl_poller *poller, struct sl_op *op, int fd)
{
    start_in(poller, op, SL_OP_RECV, fd);
}

static void sim_send(struct sl_poller *poller, struct sl_op *op, int fd, const struct iovec *iov,
                     uint32_t count)
{
    struct sim_poller *p = poller_of(poller);
    struct sock *sock = sim_sock_at(p->sim, fd);
    sl_assert(count >= 1);
    sl_assert(count <= SL_POLLER_IOV_MAX);
    op_start(p, op, SL_OP_SEND, fd);
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += iov[i].iov_len;
    if (sock == NULL || total == 0 || total > INT32_MAX) {
        op_done(p, op, sock == NULL ? -EBADF : total == 0 ? 0 : -EMSGSIZE);
        return;
    }
    sl_assert(sock->out_op == NULL); /* at most one */
    uint8_t *data = sim_must(malloc(total));
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (iov[i].iov_len > 0) memcpy(data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    op->word[WORD_TOTAL] = total;
    op->word[WORD_BLOCK] = (uintptr_t)data;
    sock->out_op = op;
    sock->out_ns = sim_soon(p->sim);
}

static void sim_connect(struct sl_poller *poller, struct sl_op *op, const struct sl_addr *addr)
{
    struct sim_poller *p = poller_of(poller);
    op_start(p, op, SL_OP_CONNECT, -1);
    int index = sim_connection_new(p->sim, addr);
    bool refused = index < 0;
    if (refused) index = sim_sock_new(p->sim, SOCK_END);
    struct sock *sock = &p->sim->socks[index];
    sock->poller = p;
    sock->out_op = op;
    sock->out_ns = sim_soon(p->sim);
    op->fd = index + FD_FIRST;
    op->word[WORD_RESULT] = (uint64_t)(int64_t)(refused ? -ECONNREFUSED : 0);
}

static void sim_poll(struct sl_poller *poller, struct sl_op *op, int fd, uint32_t events)
{
    struct sim_poller *p = poller_of(poller);
    op_start(p, op, SL_OP_POLL, fd);
    op->word[WORD_TOTAL] = events;
    op->next = p->polls;
    p->polls = op;
}

static void sim_cancel(struct sl_poller *poller, struct sl_op *op)
{
    struct sim_poller *p = poller_of(poller);
    if (op->type == SL_OP_NONE || op->state != 0) return;
    op->state |= CANCELED;
    if (op->type == SL_OP_POLL) return; /* the next wait sees it */
    struct sock *sock = sim_sock_at(p->sim, op->fd);
    bool late = (op->type == SL_OP_RECV || op->type == SL_OP_ACCEPT) &&
                sim_in_due_ns(sock) <= sim_now(p->sim) && sim_random(p->sim, 2) == 0;
    if (!late) op_done(p, op, -ECANCELED);
}

static void sim_shutdown(struct sl_poller *poller, int fd)
{
    struct sim *sim = poller_of(poller)->sim;
    struct sock *sock = sim_sock_at(sim, fd);
    if (sock == NULL || sock->peer < 0) return;
    struct sock *peer = &sim->socks[sock->peer];
    if (!peer->in_ended && peer->in.size == 0) peer->in_ns = sim_soon(sim);
    peer->in_ended = true;
}

static void sim_close(struct sl_poller *poller, int fd)
{
    struct sim *sim = poller_of(poller)->sim;
    sl_assert(sim_sock_at(sim, fd) != NULL);
    sim_trace(sim, "close", (uint64_t)fd, 0);
    sim_sock_close(sim, fd - FD_FIRST);
}

static int sim_peer(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    struct sock *sock = sim_sock_at(poller_of(poller)->sim, fd);
    if (sock == NULL) return -EBADF;
    if (sock->type != SOCK_END) return -ENOTCONN;
    *ret_addr = sock->remote;
    return 0;
}

int sim_local(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    struct sock *sock = sim_sock_at(poller_of(poller)->sim, fd);
    if (sock == NULL) return -EBADF;
    *ret_addr = sock->local;
    return 0;
}

uint32_t sim_sockets(struct sl_poller *poller)
{
    const struct sim *sim = poller_of(poller)->sim;
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        const struct sock *sock = &sim->socks[i];
        if (sock->type != SOCK_FREE && sock->poller == poller_of(poller) &&
            !(sock->type == SOCK_END && !sock->accepted)) {
            count++;
        }
    }
    return count;
}

static void sim_poller_free(struct sl_poller *poller)
{
    struct sim_poller *p = poller_of(poller);
    sl_assert(p->base.stats.ops_pending == 0);
    free(p->buf);
    free(p);
}

static const struct sl_poller_ops sim_poller_ops = {
    .name = "sim",
    .listen = sim_listen,
    .adopt = sim_adopt,
    .accept = sim_accept,
    .recv = sim_recv,
    .send = sim_send,
    .connect = sim_connect,
    .poll = sim_poll,
    .cancel = sim_cancel,
    .shutdown = sim_shutdown,
    .close = sim_close,
    .peer = sim_peer,
    .wait = sim_poller_wait,
    .is_ready = sim_poller_is_ready,
    .wake = sim_poller_wake,
    .free = sim_poller_free,
};

struct sl_poller *sim_poller_new(struct sim *sim, const struct sl_poller_config *config)
{
    struct sim_poller *p = sim_must(calloc(1, sizeof(*p)));
    p->base.ops = &sim_poller_ops;
    p->base.clock = &sim->clock.base;
    p->sim = sim;
    p->done_end = &p->done;
    p->buf_size = config != NULL && config->buf_size != 0 ? config->buf_size : 16384;
    p->buf = sim_must(malloc(p->buf_size));
    return &p->base;
}
