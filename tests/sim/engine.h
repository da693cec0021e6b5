/* SPDX-License-Identifier: MIT */
/*
 * A whole engine in one thread, over the machine of poller_sim.h: a control loop and some shards,
 * a registry in memory, loader, publisher; the same parts that ctl/runtime puts on threads.
 *
 *     lane 0    control: loader, publisher, native operations
 *     lane 1 …  shards: sources, processes, rings between them
 *
 * A lane runs until its poller would block. Then it is asleep, offline for the epoch like a real
 * thread in its wait, until its poller is ready or its deadline has come: a wake-up that is lost
 * shows as an engine that stands still. Which lane goes on, and how far, comes from the seed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/shard/epoch.h"
#include "core/shard/shard.h"
#include "ctl/runtime/drain.h"
#include "tests/sim/poller_sim.h"

struct sl_loader;
struct sl_registry;
struct sl_swap;

enum { ENGINE_SHARDS_MAX = 4, ENGINE_REVISIONS_MAX = 4096 };

struct engine_lane {
    struct sl_poller_ops ops; /* the simulator's, with our wait */
    const struct sl_poller_ops *real;
    struct sl_poller *poller;
    struct sl_loop *loop;
    uint64_t until_ns; /* of the wait that it sleeps in */
    bool asleep;
    uint64_t used_before; /* bytes of its memory in use when it was new */
};

struct engine {
    struct sl_epoch epoch; /* first: it is aligned */
    struct sim *sim;
    struct sl_loop control;
    struct sl_shard *shards[ENGINE_SHARDS_MAX];
    uint32_t shards_count;
    struct engine_lane lanes[ENGINE_SHARDS_MAX + 1];
    struct sl_registry *registry;
    struct sl_swap *swap;
    struct sl_loader *loader;
    struct sl_timer look; /* stands for the registry's doorbell */
    struct sl_drain drain;
    bool retracted;

    uint32_t version;                        /* that is published; grows */
    uint32_t version_newest;                 /* that was stored */
    uint64_t revision_newest;                /* as far as `versions` is known */
    uint32_t publications;                   /* that succeeded */
    uint32_t reports;                        /* of failed processes */
    uint32_t versions[ENGINE_REVISIONS_MAX]; /* by revision; 0: the same as the one before */
};

/* An engine of `shards_count` shards with an empty registry. Aborts on failure. */
struct engine *engine_new(struct sim *sim, uint32_t shards_count);

/* Drained and retracted before. Returns NULL. */
struct engine *engine_free(struct engine *engine);

/*
 * Store the specs of a text as `version`; published when the control loop looks.
 * returns  true; false: refused, and nothing has changed
 */
bool engine_apply(struct engine *engine, const char *text, uint32_t version);

/* Let one of the lanes do something; if all sleep, move time, not beyond `until_ns`. */
void engine_step(struct engine *engine, uint64_t until_ns);

/* True when what is stored is published. */
bool engine_is_settled(const struct engine *engine);

uint32_t engine_processes(const struct engine *engine);

/* The stages of the end: sources closed and empty; programs taken from the shards and freed. */
void engine_drain(struct engine *engine);
void engine_retract(struct engine *engine);

static inline uint64_t engine_now(const struct engine *engine)
{
    return sl_clock_now_ns(sim_clock(engine->sim));
}
