/* SPDX-License-Identifier: MIT */
/*
 * A machine that does not exist: sockets, time and randomness from a seed, in one thread.
 *
 *     engine ── sl_poller ──┐                      ┌── sim_client (a test's browser)
 *                           ├── virtual sockets ───┤
 *     another shard's ──────┘   faults, delays     └── sim_client
 *
 * A simulated poller keeps the contract of core/shard/poller.h and passes the conformance test of
 * the real ones. Time stands still while the engine computes. A wait takes about a microsecond;
 * one that may sleep moves the clock to the next thing that happens, or to its deadline.
 *
 * What goes wrong, how often, and when comes from the seed: reads and sends in pieces, waits for
 * buffers, resets, clients that read and write slowly, completions of different sockets in any
 * order, jumps of both clocks. The same seed and the same calls give the same trace; its hash is
 * sim_trace_hash. SIM_TRACE=1 in the environment prints it.
 *
 * Not thread-safe, except that sl_poller wake may be called from anywhere in the same thread.
 * Out of memory aborts: it is a test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/shard/poller.h"

struct sim;

/* Chances out of 1000. All zero: a perfect machine, but completions still come in any order. */
struct sim_config {
    uint64_t seed;
    uint32_t short_io;     /* a read or send moves only a part */
    uint32_t delay;        /* something that could happen now happens up to 1 ms later */
    uint32_t reset;        /* of 100,000: a step of a connection resets it */
    uint32_t slow_client;  /* a new client is slow: a few bytes a millisecond, both ways */
    uint32_t accept_pause; /* accepting has no descriptor left for 10 ms */
    uint32_t clock_jump;   /* of 100,000: a wait sees monotonic time leap up to `jump_ms_max`, */
    uint32_t jump_ms_max;  /* and the wall clock up to so much either way */
    bool manual_time;      /* several pollers: waits do not move time, sim_advance does */
};

/* Counters of what the seed did. */
struct sim_stats {
    uint64_t events;
    uint64_t shorts;
    uint64_t delays;
    uint64_t resets;
    uint64_t slow_clients;
    uint64_t accept_pauses;
    uint64_t clock_jumps;
    uint64_t dead_waits; /* waits without a deadline in which nothing could ever happen */
};

struct sim *sim_new(const struct sim_config *config);

/* Clients and sockets still open are dropped; pollers must be freed before. Returns NULL. */
struct sim *sim_free(struct sim *sim);

struct sl_clock *sim_clock(struct sim *sim);
const struct sim_stats *sim_stats(const struct sim *sim);

/* A random number below `limit`, from the seed. */
uint64_t sim_random(struct sim *sim, uint64_t limit);

/* Hash over everything that happened so far. */
uint64_t sim_trace_hash(const struct sim *sim);

/* Add something of the test's own to the trace. */
void sim_trace(struct sim *sim, const char *what, uint64_t a, uint64_t b);

/* When the next thing happens without anybody's doing; UINT64_MAX: never. */
uint64_t sim_next_ns(struct sim *sim);

/* Move time forward to `to_ns` (not beyond what sim_next_ns says, to keep the order). */
void sim_advance(struct sim *sim, uint64_t to_ns);

/* A poller of this machine. `config` as for the real ones; freed by ops->free. */
struct sl_poller *sim_poller_new(struct sim *sim, const struct sl_poller_config *config);

/* Address of a socket (for port 0). 0 or -EBADF. */
int sim_local(struct sl_poller *poller, int fd, struct sl_addr *ret_addr);

/* How many sockets a poller owns: listeners, connections. */
uint32_t sim_sockets(struct sl_poller *poller);

/* Clients: sockets that no poller owns. Moved along by the waits of the pollers. */

enum sim_client_state {
    SIM_CLIENT_OPEN,
    SIM_CLIENT_ENDED, /* the server closed; what it sent before can be read */
    SIM_CLIENT_RESET,
};

/* Connect to a listening socket. Returns a client, or -ECONNREFUSED. */
int sim_client_connect(struct sim *sim, const struct sl_addr *addr);

/* Queue bytes to send; copied, no limit. Ignored after a reset. */
void sim_client_send(struct sim *sim, int client, const void *data, size_t size);

/* Bytes received and not yet dropped; borrowed until the next wait or client call. */
const uint8_t *sim_client_received(struct sim *sim, int client, size_t *ret_size);

/* Drop `size` bytes from the front of what was received. */
void sim_client_drop(struct sim *sim, int client, size_t size);

enum sim_client_state sim_client_state(const struct sim *sim, int client);

/* True while queued bytes have not all been taken by the network. */
bool sim_client_is_sending(const struct sim *sim, int client);

/* Make it move at most `bytes` a millisecond both ways; 0: no limit. */
void sim_client_slow(struct sim *sim, int client, uint32_t bytes);

/* Half-close after what is queued; close in order; close with a reset. */
void sim_client_shutdown(struct sim *sim, int client);
void sim_client_close(struct sim *sim, int client);
void sim_client_reset(struct sim *sim, int client);
