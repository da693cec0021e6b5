/* SPDX-License-Identifier: MIT */
#include "tests/sim/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/graph/remote.h"
#include "core/graph/report.h"
#include "core/graph/swap.h"
#include "core/mem/mem.h"
#include "ctl/admin/ops.h"
#include "ctl/loader/loader.h"
#include "ctl/loader/source.h"
#include "ctl/registry/registry.h"
#include "nodes/kinds.h"

enum { LOOK_MS_MAX = 5, MEMORY_MAX = 256 * 1024 * 1024 };

static struct engine *reporting;

/* ---- lanes --------------------------------------------------------------------------------- */

/* The simulator's wait moves no time by itself (manual_time): remember whether it would block. */
static uint32_t lane_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct engine_lane *lane = sl_container_of(poller->ops, struct engine_lane, ops);
    bool ready = lane->real->is_ready(poller);
    uint32_t events = lane->real->wait(poller, deadline_ns);
    lane->until_ns = deadline_ns;
    lane->asleep = !ready && events == 0 && deadline_ns > sl_clock_now_ns(poller->clock);
    return events;
}

static void lane_init(struct engine *engine, uint32_t number)
{
    struct engine_lane *lane = &engine->lanes[number];
    lane->poller = sim_poller_new(engine->sim, NULL);
    lane->real = lane->poller->ops;
    lane->ops = *lane->real;
    lane->ops.wait = lane_wait;
    lane->poller->ops = &lane->ops;
}

static uint64_t lane_used(const struct engine_lane *lane)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(lane->loop->mem, &stats);
    return stats.used;
}

static bool lane_can_run(const struct engine_lane *lane)
{
    return !lane->asleep || sl_clock_now_ns(lane->loop->clock) >= lane->until_ns ||
           lane->real->is_ready(lane->poller);
}

static void lane_turn(struct engine_lane *lane)
{
    struct sl_loop *loop = lane->loop;
    if (lane->asleep) {
        loop->now_ns = sl_clock_now_ns(loop->clock);
        loop->waited_ns = loop->now_ns;
        if (loop->online != NULL) loop->online(loop);
    }
    lane->asleep = false;
    sl_loop_turn(loop, UINT64_MAX);
    /* The wait has put it online again, but it is still in it: nothing ran since. */
    if (lane->asleep && loop->offline != NULL) loop->offline(loop);
}

void engine_step(struct engine *engine, uint64_t until_ns)
{
    uint32_t count = engine->shards_count + 1;
    uint32_t first = (uint32_t)sim_random(engine->sim, count);
    for (uint32_t i = 0; i < count; i++) {
        struct engine_lane *lane = &engine->lanes[(first + i) % count];
        if (!lane_can_run(lane)) continue;
        lane_turn(lane);
        return;
    }
    uint64_t now_ns = engine_now(engine);
    uint64_t next_ns = sim_next_ns(engine->sim);
    for (uint32_t i = 0; i < count; i++) {
        if (engine->lanes[i].until_ns < next_ns) next_ns = engine->lanes[i].until_ns;
    }
    if (next_ns > until_ns) next_ns = until_ns;
    sim_advance(engine->sim, next_ns > now_ns ? next_ns : now_ns + SL_NS_PER_US);
}

/* ---- control ------------------------------------------------------------------------------- */

static void on_look(struct sl_timer *timer)
{
    struct engine *engine = sl_container_of(timer, struct engine, look);
    sl_assert(sl_loader_refresh(engine->loader) == 0);
    uint64_t wait_ms = 1 + sim_random(engine->sim, LOOK_MS_MAX);
    sl_timer_start(&engine->control.timers, timer, engine->control.now_ns + wait_ms * SL_NS_PER_MS);
}

static void on_published(void *ctx, uint64_t revision, int result, const struct sl_diag *diag)
{
    struct engine *engine = ctx;
    if (result < 0) {
        (void)fprintf(stderr, "revision %llu was refused: %s\n", (unsigned long long)revision,
                      diag != NULL ? diag->text : "");
        abort();
    }
    sl_assert(revision < ENGINE_REVISIONS_MAX);
    uint32_t version = 0;
    for (uint64_t i = 1; i <= revision; i++) {
        if (engine->versions[i] > version) version = engine->versions[i];
    }
    engine->version = version;
    engine->publications++;
    sim_trace(engine->sim, "published", revision, version);
}

static void on_report(enum sl_log_level level, const char *text)
{
    (void)level;
    reporting->reports++;
    sim_trace(reporting->sim, "report", strlen(text), 0);
}

static int changes_store(struct engine *engine, const struct sl_specs *specs, uint32_t version,
                         struct sl_diags *diags)
{
    struct sl_change *changes = calloc(specs->count + 1, sizeof(*changes));
    sl_assert(changes != NULL);
    for (size_t i = 0; i < specs->count; i++) {
        const struct sl_specs_item *item = &specs->items[i];
        changes[i] = (struct sl_change){
            .op = SL_CHANGE_APPLY,
            .type = SL_OBJECT_SPEC,
            .path = item->origin,
            .document = item->spec->value,
            .origin_file = item->spec->file,
            .origin_line = item->line,
            .source = sl_slice_make(item->text, item->text_size),
        };
    }
    struct sl_change_set set = {
        .changes = changes, .count = specs->count, .if_revision = SL_REVISION_ANY};
    struct sl_commit commit = {0};
    int r = sl_registry_apply(engine->registry, &set, &commit, diags);
    if (r == 0) {
        sl_assert(commit.revision < ENGINE_REVISIONS_MAX);
        engine->versions[commit.revision] = version;
        engine->version_newest = version;
    }
    sl_commit_fini(&commit);
    free(changes);
    return r;
}

bool engine_apply(struct engine *engine, const char *text, uint32_t version)
{
    struct sl_specs specs = {0};
    struct sl_diags diags = {0};
    struct sl_specs_place place = {.file = "sim.yaml", .format = SL_SPECS_YAML};
    int r = sl_specs_read_text(sl_slice_from_str(text), &place, &specs, &diags);
    if (r == 0) r = changes_store(engine, &specs, version, &diags);
    if (r != 0 && getenv("SIM_VERBOSE") != NULL && diags.count > 0) {
        (void)fprintf(stderr, "not applied: %s\n", diags.items[0].text);
    }
    sim_trace(engine->sim, "apply", version, r == 0);
    sl_specs_fini(&specs);
    sl_diags_fini(&diags);
    return r == 0;
}

bool engine_is_settled(const struct engine *engine)
{
    uint64_t newest;
    sl_assert(sl_registry_revision(engine->registry, &newest) == 0);
    return sl_loader_is_settled(engine->loader) && sl_loader_revision(engine->loader) == newest;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void shards_make(struct engine *engine)
{
    struct sl_clock *clock = sim_clock(engine->sim);
    for (uint32_t i = 0; i < engine->shards_count; i++) {
        struct sl_shard *shard = aligned_alloc(128, sizeof(*shard));
        sl_assert(shard != NULL);
        memset(shard, 0, sizeof(*shard));
        shard->index = i;
        shard->peers = engine->shards;
        shard->peers_count = engine->shards_count;
        engine->shards[i] = shard;
    }
    sl_assert(sl_remote_init(engine->shards, engine->shards_count) == 0);
    for (uint32_t i = 0; i < engine->shards_count; i++) {
        struct engine_lane *lane = &engine->lanes[i + 1];
        struct sl_shard_config cfg = {
            .index = i,
            .cpu = -1,
            .epoch = &engine->epoch,
            .control = &engine->control,
            .clock = clock,
            .memory_max = MEMORY_MAX,
            .started = sl_remote_attach,
            .ended = sl_kinds_shard_fini,
        };
        lane_init(engine, i + 1);
        sl_assert(sl_shard_init(engine->shards[i], &cfg, lane->poller) == 0);
        lane->loop = &engine->shards[i]->loop;
        lane->used_before = lane_used(lane);
    }
}

struct engine *engine_new(struct sim *sim, uint32_t shards_count)
{
    sl_assert(shards_count >= 1);
    sl_assert(shards_count <= ENGINE_SHARDS_MAX);
    struct engine *engine = aligned_alloc(128, (sizeof(*engine) + 127) / 128 * 128);
    sl_assert(engine != NULL);
    memset(engine, 0, sizeof(*engine));
    engine->sim = sim;
    engine->shards_count = shards_count;
    sl_kinds_register();
    sl_ops_register();
    sl_epoch_init(&engine->epoch, shards_count);
    lane_init(engine, 0);
    sl_loop_init(&engine->control, engine->lanes[0].poller, sim_clock(sim), sl_mem_new(MEMORY_MAX));
    engine->lanes[0].loop = &engine->control;
    engine->lanes[0].used_before = lane_used(&engine->lanes[0]);
    shards_make(engine);
    struct sl_registry_opts opts = {.clock = sim_clock(sim)};
    struct sl_diag diag = {0};
    sl_assert(sl_registry_open(NULL, &opts, &engine->registry, &diag) == 0);
    sl_registry_set_validator(engine->registry, sl_loader_validate, NULL);
    sl_ops_set_registry(engine->registry);
    engine->swap = sl_swap_new(&engine->control, engine->shards, shards_count, &engine->epoch);
    sl_assert(engine->swap != NULL);
    struct sl_loader_config cfg = {
        .registry = engine->registry,
        .swap = engine->swap,
        .name_space = "default",
        .shards_count = shards_count,
        .published = on_published,
        .ctx = engine,
    };
    engine->loader = sl_loader_new(&cfg);
    sl_assert(engine->loader != NULL);
    sl_timer_init(&engine->look, on_look);
    sl_timer_start(&engine->control.timers, &engine->look, engine->control.now_ns);
    reporting = engine;
    sl_report_set(on_report);
    return engine;
}

uint32_t engine_processes(const struct engine *engine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->shards_count; i++) count += engine->shards[i]->processes_count;
    return count;
}

void engine_drain(struct engine *engine)
{
    sl_timer_stop(&engine->control.timers, &engine->look);
    sl_drain_begin(&engine->drain, &engine->control, engine->shards, engine->shards_count);
}

static void on_retracted(void *ctx)
{
    ((struct engine *)ctx)->retracted = true;
}

void engine_retract(struct engine *engine)
{
    sl_swap_retract(engine->swap, on_retracted, engine);
}

struct engine *engine_free(struct engine *engine)
{
    if (engine == NULL) return NULL;
    sl_report_set(NULL);
    sl_ops_set_registry(NULL);
    engine->swap = sl_swap_free(engine->swap);
    engine->loader = sl_loader_free(engine->loader);
    engine->registry = sl_registry_close(engine->registry);
    for (uint32_t i = 0; i < engine->shards_count; i++) sl_shard_fini(engine->shards[i]);
    sl_remote_fini(engine->shards, engine->shards_count);
    for (uint32_t i = 0; i < engine->shards_count; i++) free(engine->shards[i]);
    sl_loop_fini(&engine->control);
    free(engine);
    return NULL;
}
