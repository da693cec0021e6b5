/* SPDX-License-Identifier: MIT */
/*
 * The simulator keeps the pollers' contract (the conformance test, without and with faults), is
 * repeatable from its seed, and really does what it threatens.
 */
#include "tests/sim/poller_sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/list.h"
#include "io/sock/sock.h"
#include "tests/io/poller_harness.h"

static struct sim_config machine_config;
static struct sim *machine;

/* One machine for each poller of the conformance test. */
static struct sl_poller *make(const struct sl_poller_config *config)
{
    machine = sim_free(machine);
    machine = sim_new(&machine_config);
    machine_config.seed++;
    return sim_poller_new(machine, config);
}

/* A server that echoes, with one op of each kind for each connection. */
enum { CONNECTIONS_MAX = 64 };

struct server;

struct connection {
    struct sl_op recv;
    struct sl_op send;
    struct server *server;
    int fd;
    bool ended;
    uint8_t data[65536];
    size_t data_size; /* received, not yet sent */
    size_t sending;
};

struct server {
    struct sl_poller *poller;
    struct sl_op accept;
    int listener;
    struct sl_addr addr;
    struct connection *connections[CONNECTIONS_MAX];
    uint32_t open;
};

static void echo(struct connection *c)
{
    if (sl_op_is_pending(&c->send)) return;
    if (c->data_size > 0) {
        struct iovec iov = {c->data, c->data_size};
        c->sending = c->data_size;
        c->server->poller->ops->send(c->server->poller, &c->send, c->fd, &iov, 1);
    } else if (c->ended && !sl_op_is_pending(&c->recv)) {
        c->server->poller->ops->close(c->server->poller, c->fd);
        c->server->open--;
        c->fd = -1;
    }
}

static void on_send(struct sl_op *op, const struct sl_event *event)
{
    struct connection *c = sl_container_of(op, struct connection, send);
    if (event->res < 0) {
        c->ended = true;
        c->data_size = 0;
        c->server->poller->ops->cancel(c->server->poller, &c->recv);
    } else {
        assert_int_equal(event->res, c->sending);
        c->data_size -= c->sending;
        memmove(c->data, c->data + c->sending, c->data_size);
    }
    echo(c);
}

static void on_recv(struct sl_op *op, const struct sl_event *event)
{
    struct connection *c = sl_container_of(op, struct connection, recv);
    if (event->flags & SL_EVENT_MORE) {
        assert_true(c->data_size + (size_t)event->res <= sizeof(c->data));
        if (!c->ended) {
            memcpy(c->data + c->data_size, event->data, (size_t)event->res);
            c->data_size += (size_t)event->res;
        }
    } else {
        c->ended = true;
    }
    echo(c);
}

static void on_accept(struct sl_op *op, const struct sl_event *event)
{
    struct server *server = sl_container_of(op, struct server, accept);
    if (!(event->flags & SL_EVENT_MORE)) return;
    struct connection *c = NULL;
    for (int i = 0; i < CONNECTIONS_MAX && c == NULL; i++) {
        if (server->connections[i]->fd < 0) c = server->connections[i];
    }
    assert_non_null(c);
    memset(c, 0, sizeof(*c));
    c->recv.fn = on_recv;
    c->send.fn = on_send;
    c->server = server;
    c->fd = event->res;
    server->open++;
    server->poller->ops->recv(server->poller, &c->recv, c->fd);
}

static void server_start(struct server *server, struct sim *sim)
{
    *server = (struct server){.accept.fn = on_accept};
    server->poller = sim_poller_new(sim, NULL);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        server->connections[i] = calloc(1, sizeof(struct connection));
        assert_non_null(server->connections[i]);
        server->connections[i]->fd = -1;
    }
    struct sl_addr any;
    assert_int_equal(sl_addr_parse(SL_SLICE("127.0.0.1:0"), &any, NULL), 0);
    server->listener = server->poller->ops->listen(server->poller, &any, false);
    assert_int_equal(sim_local(server->poller, server->listener, &server->addr), 0);
    server->poller->ops->accept(server->poller, &server->accept, server->listener);
}

static void server_stop(struct server *server)
{
    struct sl_poller *poller = server->poller;
    for (int i = 0; i < 1000000 && server->open > 0; i++)
        (void)poller->ops->wait(poller, sl_clock_now_ns(poller->clock) + SL_NS_PER_MS);
    assert_int_equal(server->open, 0);
    poller->ops->cancel(poller, &server->accept);
    while (sl_op_is_pending(&server->accept)) (void)poller->ops->wait(poller, 0);
    poller->ops->close(poller, server->listener);
    poller->ops->free(poller);
    for (int i = 0; i < CONNECTIONS_MAX; i++) free(server->connections[i]);
}

static const struct sim_config rough = {
    .short_io = 300,
    .delay = 200,
    .reset = 300,
    .slow_client = 100,
    .accept_pause = 20,
    .clock_jump = 200,
    .jump_ms_max = 2000,
};

/* Clients come, send, read their echo and go. Returns the trace's hash. */
static uint64_t echo_run(uint64_t seed, const struct sim_config *base, struct sim_stats *ret_stats)
{
    enum { CLIENTS = 24, SIZE = 3000 };
    static uint8_t data[SIZE];
    struct sim_config config = *base;
    struct server server;
    config.seed = seed;
    struct sim *sim = sim_new(&config);
    server_start(&server, sim);
    struct sl_poller *poller = server.poller;
    int clients[CLIENTS];
    uint32_t whole = 0, broken = 0;
    for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 31 + (i >> 8));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = sim_client_connect(sim, &server.addr);
        assert_true(clients[i] >= 0);
        sim_client_send(sim, clients[i], data, SIZE);
        sim_client_shutdown(sim, clients[i]);
    }
    for (int turn = 0; turn < 1000000 && whole + broken < CLIENTS; turn++) {
        (void)poller->ops->wait(poller, sl_clock_now_ns(poller->clock) + SL_NS_PER_MS);
        for (int i = 0; i < CLIENTS; i++) {
            size_t size = 0;
            if (clients[i] < 0 || sim_client_state(sim, clients[i]) == SIM_CLIENT_OPEN) continue;
            const uint8_t *received = sim_client_received(sim, clients[i], &size);
            if (size > 0) assert_memory_equal(received, data, size); /* a beginning, or all */
            if (sim_client_state(sim, clients[i]) == SIM_CLIENT_RESET) {
                broken++;
            } else {
                assert_int_equal(size, SIZE);
                whole++;
            }
            sim_client_close(sim, clients[i]);
            clients[i] = -1;
        }
    }
    assert_int_equal(whole + broken, CLIENTS);
    if (base->reset == 0) assert_int_equal(broken, 0);
    server_stop(&server);
    uint64_t hash = sim_trace_hash(sim);
    if (ret_stats != NULL) *ret_stats = *sim_stats(sim);
    (void)sim_free(sim);
    return hash;
}

static void same_seed_same_trace(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t hash = echo_run(seed, &rough, NULL);
        assert_int_equal(echo_run(seed, &rough, NULL), hash);
        assert_int_not_equal(hash, last);
        last = hash;
    }
}

static void every_fault_happens(void **state)
{
    (void)state;
    struct sim_stats all = {0};
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_stats stats;
        (void)echo_run(seed, &rough, &stats);
        all.shorts += stats.shorts;
        all.delays += stats.delays;
        all.resets += stats.resets;
        all.slow_clients += stats.slow_clients;
        all.accept_pauses += stats.accept_pauses;
        all.clock_jumps += stats.clock_jumps;
    }
    assert_true(all.shorts > 100);
    assert_true(all.delays > 100);
    assert_true(all.resets > 10);
    assert_true(all.slow_clients > 10);
    assert_true(all.accept_pauses > 5);
    assert_true(all.clock_jumps > 5);
}

static void no_faults_every_reply_whole(void **state)
{
    (void)state;
    const struct sim_config smooth = {0};
    for (uint64_t seed = 1; seed <= 50; seed++) (void)echo_run(seed, &smooth, NULL);
}

static void client_connect_nobody_refused(void **state)
{
    (void)state;
    const struct sim_config smooth = {.seed = 1};
    struct sl_addr addr;
    struct sim *sim = sim_new(&smooth);
    assert_int_equal(sl_addr_parse(SL_SLICE("127.0.0.1:1"), &addr, NULL), 0);
    assert_int_equal(sim_client_connect(sim, &addr), -ECONNREFUSED);
    (void)sim_free(sim);
}

/* Two pollers of one listening group in one thread, with time moved by the test. */
static void two_pollers_share_a_listener(void **state)
{
    (void)state;
    const struct sim_config config = {.seed = 3, .manual_time = true};
    struct sim *sim = sim_new(&config);
    struct sl_poller *pollers[2] = {sim_poller_new(sim, NULL), sim_poller_new(sim, NULL)};
    struct sl_addr addr;
    int listeners[2];
    assert_int_equal(sl_addr_parse(SL_SLICE("127.0.0.1:80"), &addr, NULL), 0);
    for (int i = 0; i < 2; i++) {
        listeners[i] = pollers[i]->ops->listen(pollers[i], &addr, true);
        assert_true(listeners[i] >= 0);
    }
    struct server servers[2] = {{.accept.fn = on_accept}, {.accept.fn = on_accept}};
    for (int i = 0; i < 2; i++) {
        servers[i].poller = pollers[i];
        for (int k = 0; k < CONNECTIONS_MAX; k++) {
            servers[i].connections[k] = calloc(1, sizeof(struct connection));
            servers[i].connections[k]->fd = -1;
        }
        pollers[i]->ops->accept(pollers[i], &servers[i].accept, listeners[i]);
    }
    int clients[20];
    for (int i = 0; i < 20; i++) {
        clients[i] = sim_client_connect(sim, &addr);
        sim_client_send(sim, clients[i], "hello", 5);
    }
    for (int turn = 0; turn < 1000; turn++) {
        (void)pollers[turn % 2]->ops->wait(pollers[turn % 2], UINT64_MAX);
        uint64_t next = sim_next_ns(sim);
        if (next != UINT64_MAX) sim_advance(sim, next);
    }
    assert_int_equal(servers[0].open + servers[1].open, 20);
    assert_true(servers[0].open > 0);
    assert_true(servers[1].open > 0);
    for (int i = 0; i < 20; i++) {
        size_t size = 0;
        const uint8_t *received = sim_client_received(sim, clients[i], &size);
        assert_int_equal(size, 5);
        assert_memory_equal(received, "hello", 5);
        sim_client_close(sim, clients[i]);
    }
    for (int turn = 0; turn < 1000; turn++) {
        for (int i = 0; i < 2 && turn == 900; i++)
            pollers[i]->ops->cancel(pollers[i], &servers[i].accept);
        (void)pollers[turn % 2]->ops->wait(pollers[turn % 2], 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(servers[i].open, 0);
        pollers[i]->ops->close(pollers[i], listeners[i]);
        pollers[i]->ops->free(pollers[i]);
        for (int k = 0; k < CONNECTIONS_MAX; k++) free(servers[i].connections[k]);
    }
    (void)sim_free(sim);
}

int main(void)
{
    const struct poller_harness smooth = {.name = "sim", .make = make, .local = sim_local};
    const struct poller_harness faulty = {
        .name = "sim with faults", .make = make, .local = sim_local};
    int failures = poller_conformance_run(&smooth);
    for (int i = 0; i < 20; i++) {
        machine_config =
            (struct sim_config){.seed = 1000u * (uint64_t)i, .short_io = 300, .delay = 300};
        failures += poller_conformance_run(&faulty);
    }
    machine = sim_free(machine);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_faults_every_reply_whole),
        cmocka_unit_test(same_seed_same_trace),
        cmocka_unit_test(every_fault_happens),
        cmocka_unit_test(client_connect_nobody_refused),
        cmocka_unit_test(two_pollers_share_a_listener),
    };
    return failures + cmocka_run_group_tests(tests, NULL, NULL);
}
