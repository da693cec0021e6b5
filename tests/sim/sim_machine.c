/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine. A socket owns the bytes that are on their way to it (`in`); sending
 * appends to the peer's. Whatever can happen waits for its time: in_ns for arriving bytes and
 * connections, out_ns for sends and connects.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "io/sock/sock.h"
#include "tests/sim/sim_internal.h"

void *sim_must(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

/* Randomness and trace. */

uint64_t sim_random(struct sim *sim, uint64_t limit)
{
    uint64_t word;
    sl_assert(limit > 0);
    sim->random.base.random(&sim->random.base, &word, sizeof(word));
    return word % limit;
}

bool sim_chance(struct sim *sim, uint32_t part, uint64_t of, uint64_t *counter)
{
    if (part == 0 || sim_random(sim, of) >= part) return false;
    (*counter)++;
    return true;
}

uint64_t sim_now(const struct sim *sim)
{
    return sim->clock.now_ns;
}

void sim_trace(struct sim *sim, const char *what, uint64_t a, uint64_t b)
{
    uint64_t words[4] = {sim->hash, sim_now(sim), a, b};
    sim->hash = sl_hash64(words, sizeof(words)) ^ sl_hash64(what, strlen(what));
    if (sim->print) {
        (void)fprintf(stderr, "%12.6f %s %llu %lld\n", (double)sim_now(sim) / 1e9, what,
                      (unsigned long long)a, (long long)b);
    }
}

/* When something that is possible now happens: now, or a little later. */
uint64_t sim_soon(struct sim *sim)
{
    if (!sim_chance(sim, sim->config.delay, 1000, &sim->stats.delays)) return sim_now(sim);
    return sim_now(sim) + 1 + sim_random(sim, DELAY_NS_MAX);
}

size_t sim_part_of(struct sim *sim, size_t size)
{
    if (size < 2 || !sim_chance(sim, sim->config.short_io, 1000, &sim->stats.shorts)) return size;
    return 1 + sim_random(sim, sim_random(sim, 2) == 0 ? size - 1 : size < 16 ? size - 1 : 15);
}

/* Bytes. */

void sim_bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->cap) {
        bytes->cap = (bytes->size + size) * 2;
        bytes->data = sim_must(realloc(bytes->data, bytes->cap));
    }
    if (size > 0) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void sim_bytes_drop(struct bytes *bytes, size_t size)
{
    sl_assert(size <= bytes->size);
    bytes->size -= size;
    if (bytes->size > 0) memmove(bytes->data, bytes->data + size, bytes->size);
}

/* Sockets. */

struct sock *sim_sock_at(const struct sim *sim, int fd)
{
    int64_t index = (int64_t)fd - FD_FIRST;
    if (index < 0 || index >= sim->socks_count) return NULL;
    struct sock *sock = &sim->socks[index];
    return sock->type == SOCK_FREE ? NULL : sock;
}

/* The lowest free number, as the kernel does: numbers come back soon. */
int sim_sock_new(struct sim *sim, enum sock_type type)
{
    uint32_t index = 0;
    while (index < sim->socks_count && sim->socks[index].type != SOCK_FREE) index++;
    if (index == sim->socks_count) {
        uint32_t count = sim->socks_count == 0 ? 64 : sim->socks_count * 2;
        sl_assert(count <= SOCKS_MAX);
        sim->socks = sim_must(realloc(sim->socks, count * sizeof(struct sock)));
        memset(sim->socks + sim->socks_count, 0, (count - sim->socks_count) * sizeof(struct sock));
        sim->socks_count = count;
    }
    sim->socks[index] = (struct sock){.type = type, .peer = -1};
    sim->socks[index].window = WINDOW_MIN + sim_random(sim, WINDOW_MAX - WINDOW_MIN);
    return (int)index;
}

static void sock_reset(struct sim *sim, int index)
{
    if (index < 0) return;
    struct sock *sock = &sim->socks[index];
    sock->is_reset = true;
    sock->in.size = 0;
    sock->outbox.size = 0;
}

void sim_connection_reset(struct sim *sim, int index)
{
    sim_trace(sim, "reset", (uint64_t)index, 0);
    sock_reset(sim, sim->socks[index].peer);
    sock_reset(sim, index);
}

void sim_sock_close(struct sim *sim, int index)
{
    struct sock *sock = &sim->socks[index];
    sl_assert(sock->in_op == NULL);
    sl_assert(sock->out_op == NULL);
    for (uint32_t i = 0; i < sock->backlog_count; i++) {
        int waiting = sock->backlog[i];
        if (sim->socks[waiting].peer >= 0) sim_connection_reset(sim, waiting);
        sim_sock_close(sim, waiting); /* a connection: it has no backlog of its own */
        sock = &sim->socks[index];
    }
    if (sock->peer >= 0) {
        struct sock *peer = &sim->socks[sock->peer];
        /* Unread bytes make the kernel reset: RFC 2525 section 2.17. */
        if (sock->in.size > 0) sock_reset(sim, sock->peer);
        if (!peer->in_ended && peer->in.size == 0) peer->in_ns = sim_soon(sim);
        peer->in_ended = true;
        peer->peer = -1;
    }
    free(sock->in.data);
    free(sock->inbox.data);
    free(sock->outbox.data);
    free(sock->backlog);
    *sock = (struct sock){.type = SOCK_FREE};
}

void sim_addr_loopback(struct sl_addr *addr, uint16_t port)
{
    sl_assert(sl_addr_make(SL_SLICE("127.0.0.1"), port, addr, NULL) == 0);
}

uint16_t sim_port_new(struct sim *sim)
{
    if (sim->port_next < 20000) sim->port_next = 20000;
    return sim->port_next++;
}

/* A listener of that address, one of its group at random; -1: none. */
static int listener_find(struct sim *sim, const struct sl_addr *addr)
{
    int found = -1;
    uint64_t count = 0;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        struct sock *sock = &sim->socks[i];
        if (sock->type != SOCK_LISTENER || !sl_addr_eq(&sock->local, addr)) continue;
        if (sock->backlog_count >= BACKLOG_MAX) continue;
        if (sim_random(sim, ++count) == 0) found = (int)i;
    }
    return found;
}

/* Join a new socket to a listener's backlog; returns the near end, or -1 if nobody listens. */
int sim_connection_new(struct sim *sim, const struct sl_addr *addr)
{
    int listener = listener_find(sim, addr);
    if (listener < 0) return -1;
    int near = sim_sock_new(sim, SOCK_END);
    int far = sim_sock_new(sim, SOCK_END);
    struct sock *a = &sim->socks[near];
    struct sock *b = &sim->socks[far];
    struct sock *l = &sim->socks[listener];
    a->peer = far;
    b->peer = near;
    a->remote = b->local = l->local;
    sim_addr_loopback(&a->local, sim_port_new(sim));
    b->remote = a->local;
    b->poller = l->poller;
    l->backlog = sim_must(realloc(l->backlog, (l->backlog_count + 1) * sizeof(int)));
    if (l->backlog_count == 0) l->in_ns = sim_soon(sim);
    l->backlog[l->backlog_count++] = far;
    sim_trace(sim, "connect", (uint64_t)near, far);
    return near;
}

/* Room for bytes on their way to a socket's peer. */
size_t sim_room_to_peer(const struct sim *sim, const struct sock *sock)
{
    if (sock->peer < 0) return 0;
    const struct sock *peer = &sim->socks[sock->peer];
    return peer->window > peer->in.size ? peer->window - peer->in.size : 0;
}

void sim_send_to_peer(struct sim *sim, struct sock *sock, const void *data, size_t size)
{
    struct sock *peer = &sim->socks[sock->peer];
    if (peer->in.size == 0) peer->in_ns = sim_soon(sim);
    sim_bytes_append(&peer->in, data, size);
}

/* Clients move along. */

static void client_move(struct sim *sim, struct sock *sock)
{
    if (sim_now(sim) < sock->out_ns && sock->rate != 0) return;
    size_t limit = sock->rate != 0 ? sock->rate : SIZE_MAX;
    if (sock->peer >= 0 && !sock->is_reset && sock->outbox.size > 0) {
        size_t size = sim_room_to_peer(sim, sock);
        if (size > sock->outbox.size) size = sock->outbox.size;
        if (size > limit) size = limit;
        size = sim_part_of(sim, size);
        if (size > 0) sim_send_to_peer(sim, sock, sock->outbox.data, size);
        sim_bytes_drop(&sock->outbox, size);
    }
    if (sock->closing && sock->outbox.size == 0 && sock->peer >= 0) {
        struct sock *peer = &sim->socks[sock->peer];
        if (!peer->in_ended && peer->in.size == 0) peer->in_ns = sim_soon(sim);
        peer->in_ended = true;
        sock->closing = false;
    }
    if (sock->in.size > 0 && sim_now(sim) >= sock->in_ns) {
        size_t size = sock->in.size < limit ? sock->in.size : limit;
        sim_bytes_append(&sock->inbox, sock->in.data, size);
        sim_bytes_drop(&sock->in, size);
        sim_trace(sim, "client received", (uint64_t)(sock - sim->socks), size);
    }
    if (sock->rate != 0) sock->out_ns = sim_now(sim) + SL_NS_PER_MS;
}

static void clients_move(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        struct sock *sock = &sim->socks[i];
        if (sock->type == SOCK_END && sock->poller == NULL) client_move(sim, sock);
    }
}

static bool client_has_work(const struct sim *sim, const struct sock *sock)
{
    if (sock->is_reset) return false;
    if (sock->in.size > 0) return true;
    if (sock->closing && sock->outbox.size == 0) return sock->peer >= 0;
    return sock->outbox.size > 0 && sim_room_to_peer(sim, sock) > 0;
}

/* What can happen to a socket of a poller, and from when on; UINT64_MAX: nothing. */

uint64_t sim_in_due_ns(const struct sock *sock)
{
    if (sock->in_op == NULL || (sock->in_op->state & DONE)) return UINT64_MAX;
    if (sock->type == SOCK_LISTENER) return sock->backlog_count > 0 ? sock->in_ns : UINT64_MAX;
    if (sock->is_reset) return 0;
    return sock->in.size > 0 || sock->in_ended ? sock->in_ns : UINT64_MAX;
}

uint64_t sim_out_due_ns(const struct sim *sim, const struct sock *sock)
{
    if (sock->out_op == NULL || (sock->out_op->state & DONE)) return UINT64_MAX;
    if (sock->out_op->type == SL_OP_CONNECT) return sock->out_ns;
    if (sock->is_reset || sock->peer < 0) return 0;
    return sim_room_to_peer(sim, sock) > 0 ? sock->out_ns : UINT64_MAX;
}

uint64_t sim_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t sim_next_ns(struct sim *sim)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        const struct sock *sock = &sim->socks[i];
        if (sock->type == SOCK_FREE) continue;
        if (sock->poller != NULL) {
            next = sim_earlier(next, sim_earlier(sim_in_due_ns(sock), sim_out_due_ns(sim, sock)));
        } else if (client_has_work(sim, sock)) {
            uint64_t at = sock->in.size > 0 && sock->outbox.size == 0 && !sock->closing
                              ? sock->in_ns
                              : sim_now(sim);
            if (sock->rate != 0 && at < sock->out_ns) at = sock->out_ns;
            next = sim_earlier(next, at);
        }
    }
    return next;
}

void sim_advance(struct sim *sim, uint64_t to_ns)
{
    if (to_ns > sim_now(sim)) sl_clock_manual_advance(&sim->clock, to_ns - sim_now(sim));
    clients_move(sim);
}

/* Clients. */

static struct sock *client_at(const struct sim *sim, int client)
{
    struct sock *sock = sim_sock_at(sim, client);
    sl_assert(sock != NULL);
    sl_assert(sock->type == SOCK_END);
    sl_assert(sock->poller == NULL);
    return sock;
}

int sim_client_connect(struct sim *sim, const struct sl_addr *addr)
{
    int index = sim_connection_new(sim, addr);
    if (index < 0) return -ECONNREFUSED;
    if (sim_chance(sim, sim->config.slow_client, 1000, &sim->stats.slow_clients))
        sim->socks[index].rate = 1 + (uint32_t)sim_random(sim, 200);
    return index + FD_FIRST;
}

void sim_client_send(struct sim *sim, int client, const void *data, size_t size)
{
    struct sock *sock = client_at(sim, client);
    sl_assert(!sock->closing);
    if (!sock->is_reset) sim_bytes_append(&sock->outbox, data, size);
}

const uint8_t *sim_client_received(struct sim *sim, int client, size_t *ret_size)
{
    struct sock *sock = client_at(sim, client);
    *ret_size = sock->inbox.size;
    return sock->inbox.data;
}

void sim_client_drop(struct sim *sim, int client, size_t size)
{
    sim_bytes_drop(&client_at(sim, client)->inbox, size);
}

enum sim_client_state sim_client_state(const struct sim *sim, int client)
{
    const struct sock *sock = client_at(sim, client);
    if (sock->is_reset) return SIM_CLIENT_RESET;
    return sock->in_ended && sock->in.size == 0 && sim_now(sim) >= sock->in_ns ? SIM_CLIENT_ENDED
                                                                               : SIM_CLIENT_OPEN;
}

bool sim_client_is_sending(const struct sim *sim, int client)
{
    const struct sock *sock = client_at(sim, client);
    return sock->outbox.size > 0 && !sock->is_reset && sock->peer >= 0;
}

void sim_client_slow(struct sim *sim, int client, uint32_t bytes)
{
    client_at(sim, client)->rate = bytes;
}

void sim_client_shutdown(struct sim *sim, int client)
{
    client_at(sim, client)->closing = true;
}

void sim_client_close(struct sim *sim, int client)
{
    (void)client_at(sim, client);
    sim_sock_close(sim, client - FD_FIRST);
}

void sim_client_reset(struct sim *sim, int client)
{
    (void)client_at(sim, client);
    sim_connection_reset(sim, client - FD_FIRST);
    sim_sock_close(sim, client - FD_FIRST);
}

/* The machine. */

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *sim = sim_must(calloc(1, sizeof(*sim)));
    sim->config = *config;
    sl_clock_manual_init(&sim->clock, config->seed);
    sl_clock_manual_init(&sim->random, ~config->seed);
    const char *print = getenv("SIM_TRACE");
    sim->print = print != NULL && print[0] == '1';
    return sim;
}

struct sim *sim_free(struct sim *sim)
{
    if (sim == NULL) return NULL;
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        if (sim->socks[i].type == SOCK_LISTENER) sim_sock_close(sim, (int)i);
    }
    for (uint32_t i = 0; i < sim->socks_count; i++) {
        if (sim->socks[i].type != SOCK_FREE) sim_sock_close(sim, (int)i);
    }
    free(sim->socks);
    free(sim);
    return NULL;
}

struct sl_clock *sim_clock(struct sim *sim)
{
    return &sim->clock.base;
}

const struct sim_stats *sim_stats(const struct sim *sim)
{
    return &sim->stats;
}

uint64_t sim_trace_hash(const struct sim *sim)
{
    return sim->hash;
}
