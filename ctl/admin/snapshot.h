/* SPDX-License-Identifier: MIT */
/*
 * What the shards count, as one picture. Each shard copies its own counters when a mail asks for it,
 * so nothing on the message path is shared; a shard that is busy in one long turn does not answer
 * in time, and its last picture is shown, marked as old.
 *
 *   control: sl_collector_begin ── mail ──► shard: copy ── mail ──► control: done(ctx)
 *                    └───────────── or SL_ADMIN_COLLECT_MS later ────────┘
 *
 * Counters of nodes are not among them: they live as long as their program, which the control
 * thread holds, and are read in place (core/base/counter.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/limit.h"
#include "core/graph/kind.h"
#include "core/graph/remote.h"
#include "core/mem/mem.h"
#include "core/shard/shard.h"
#include "nodes/net/access.h"
#include "nodes/script/worker/worker.h"

enum { SL_ADMIN_KEY_SIZE = 160 };

/* A listener on one shard. */
struct sl_admin_source {
    char key[SL_ADMIN_KEY_SIZE];
    bool closing;
    struct sl_source_stats stats;
};

/* struct sl_poller_stats, read. */
struct sl_admin_poller {
    uint64_t waits;
    uint64_t sleeps;
    uint64_t syscalls;
    uint64_t events;
    uint64_t enobufs;
    uint64_t rearms;
    uint64_t cq_overflows;
    uint64_t short_sends;
    uint64_t accepts;
    uint64_t accept_errors;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t ops_pending;
};

struct sl_admin_shard {
    uint32_t index;
    int cpu;
    bool answered;   /* in the last round */
    uint64_t cpu_ns; /* time that the thread ran */
    uint32_t processes;
    uint64_t processes_begun;
    uint64_t reports_dropped;
    struct sl_loop_stats loop;
    struct sl_admin_poller poller;
    struct sl_mem_stats mem;
    struct sl_remote_stats remote;
    struct sl_access_stats access;
    struct sl_worker_stats workers;
    struct sl_admin_source *sources; /* array of sources_count */
    uint32_t sources_count;
    uint32_t sources_cap;
    uint32_t sources_seen; /* that there are: the next picture has room for all */
};

struct sl_collector;

/*
 * shards   array of count, borrowed; they run as long as the collector lives
 * returns  NULL for no memory
 */
struct sl_collector *sl_collector_new(struct sl_loop *control, struct sl_shard *const *shards,
                                      uint32_t count);

/* Ask all shards; `done` comes from the control loop, never from inside. No round is under way. */
void sl_collector_begin(struct sl_collector *collector, void (*done)(void *ctx), void *ctx);

/* True while a round is under way, or mail of an old one is still out. */
bool sl_collector_is_busy(const struct sl_collector *collector);

/* The picture of the last round: array of *ret_count. Borrowed until the next. */
const struct sl_admin_shard *sl_collector_shards(const struct sl_collector *collector,
                                                 uint32_t *ret_count);

/* It is not busy. NULL is fine; returns NULL. */
struct sl_collector *sl_collector_free(struct sl_collector *collector);
