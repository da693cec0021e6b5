/* SPDX-License-Identifier: MIT */
/* What the two halves of the simulator share: sim_machine.c and poller_sim.c. */
#pragma once

#include "core/base/assertion.h"
#include "tests/sim/poller_sim.h"

enum {
    FD_FIRST = 1000,
    SOCKS_MAX = 65536,
    WINDOW_MIN = 4096,
    WINDOW_MAX = 256 * 1024, /* bytes on their way to one socket */
    BACKLOG_MAX = 4096,
    DELAY_NS_MAX = 1000000,
    TURN_NS = 1000,
};

enum sock_type { SOCK_FREE, SOCK_LISTENER, SOCK_END };

/* op->state */
enum { DONE = 1, CANCELED = 2 /* without DONE: something comes before the end */ };

/* op->word */
enum { WORD_RESULT, WORD_SENT, WORD_TOTAL, WORD_BLOCK };

struct bytes {
    uint8_t *data;
    size_t size;
    size_t cap;
};

struct sim_poller {
    struct sl_poller base;
    struct sim *sim;
    struct sl_op *done; /* oldest first */
    struct sl_op **done_end;
    struct sl_op *polls; /* on foreign descriptors */
    uint8_t *buf;
    uint32_t buf_size;
    bool woken;
    bool in_wait;
};

struct sock {
    enum sock_type type;
    struct sim_poller *poller; /* owner; NULL: a client */
    struct sl_addr local;
    struct sl_addr remote;
    struct sl_op *in_op;  /* recv or accept */
    struct sl_op *out_op; /* send or connect */
    uint64_t in_ns;       /* arriving bytes, end or connections are visible from then on */
    uint64_t out_ns;      /* the next part of a send, or the result of a connect */
    int peer;             /* index; -1: gone */
    struct bytes in;
    size_t window;
    bool in_ended; /* the peer will send no more */
    bool is_reset;
    bool shared;   /* listener: SO_REUSEPORT */
    bool accepted; /* or still in a backlog */
    int *backlog;  /* listener: array of `backlog_count` indices */
    uint32_t backlog_count;

    /* Clients only. */
    struct bytes inbox;
    struct bytes outbox;
    uint32_t rate; /* bytes a millisecond; 0: no limit */
    bool closing;  /* shut down once the outbox is empty */
};

struct sim {
    struct sl_clock_manual clock;
    struct sl_clock_manual random; /* its own stream, so that the engine's draws do not disturb */
    struct sim_config config;
    struct sim_stats stats;
    struct sock *socks; /* array of `socks_count` */
    uint32_t socks_count;
    uint16_t port_next;
    uint64_t hash;
    bool print;
};

/* sim_machine.c; each is explained where it is defined. */

void *sim_must(void *memory);
bool sim_chance(struct sim *sim, uint32_t part, uint64_t of, uint64_t *counter);
uint64_t sim_now(const struct sim *sim);
uint64_t sim_soon(struct sim *sim);
size_t sim_part_of(struct sim *sim, size_t size);
void sim_bytes_append(struct bytes *bytes, const void *data, size_t size);
void sim_bytes_drop(struct bytes *bytes, size_t size);
struct sock *sim_sock_at(const struct sim *sim, int fd);
int sim_sock_new(struct sim *sim, enum sock_type type);
void sim_connection_reset(struct sim *sim, int index);
void sim_sock_close(struct sim *sim, int index);
void sim_addr_loopback(struct sl_addr *addr, uint16_t port);
uint16_t sim_port_new(struct sim *sim);
int sim_connection_new(struct sim *sim, const struct sl_addr *addr);
size_t sim_room_to_peer(const struct sim *sim, const struct sock *sock);
void sim_send_to_peer(struct sim *sim, struct sock *sock, const void *data, size_t size);
uint64_t sim_in_due_ns(const struct sock *sock);
uint64_t sim_out_due_ns(const struct sim *sim, const struct sock *sock);
uint64_t sim_earlier(uint64_t a, uint64_t b);
