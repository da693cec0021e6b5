/* SPDX-License-Identifier: MIT */
#include "bench/micro/house.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/graph/remote.h"
#include "core/graph/swap.h"
#include "core/mem/mem.h"
#include "core/shard/epoch.h"
#include "ctl/loader/loader.h"
#include "ctl/loader/source.h"
#include "ctl/registry/registry.h"
#include "ctl/runtime/drain.h"
#include "io/epoll/epoll.h"
#include "nodes/kinds.h"

enum { MEMORY_MAX = 1 << 30, MEMORY_RESERVE = 16 * 1024 * 1024, STEP_MS = 1, PATIENCE_S = 30 };

struct sl_micro_house {
    struct sl_epoch epoch; /* first: it is aligned */
    struct sl_loop control;
    struct sl_shard *shards[SL_SHARDS_MAX]; /* array of shards_count */
    uint32_t shards_count;
    uint32_t started_count;
    struct sl_registry *registry;
    struct sl_swap *swap;
    struct sl_loader *loader;
    struct sl_drain drain;
    uint64_t published; /* revision */
    uint64_t published_ns;
    int result; /* of the publication */
    struct sl_diag diag;
    bool retracted;
};

static void on_published(void *ctx, uint64_t revision, int result, const struct sl_diag *diag)
{
    struct sl_micro_house *house = ctx;
    house->published = revision;
    /* Here, not when the turn of the loop ends: it sleeps before that if nothing else is to do. */
    house->published_ns = sl_clock_now_ns(house->control.clock);
    house->result = result;
    if (diag != NULL) house->diag = *diag;
}

static void on_retracted(void *ctx)
{
    ((struct sl_micro_house *)ctx)->retracted = true;
}

static struct sl_poller *epoll_new(void *ctx, struct sl_clock *clock, struct sl_diag *reterr)
{
    (void)ctx;
    return sl_poller_epoll_new(NULL, clock, reterr);
}

static void control_turn(struct sl_micro_house *house)
{
    sl_loop_turn(&house->control, sl_clock_now_ns(house->control.clock) + STEP_MS * SL_NS_PER_MS);
}

static int shards_start(struct sl_micro_house *house, const struct sl_micro_house_config *config,
                        struct sl_diag *reterr)
{
    for (uint32_t i = 0; i < config->shards_count; i++) {
        struct sl_shard *shard = aligned_alloc(128, sizeof(*shard));
        if (shard == NULL) return -ENOMEM;
        memset(shard, 0, sizeof(*shard));
        shard->index = i;
        shard->peers = house->shards;
        shard->peers_count = config->shards_count;
        house->shards[house->shards_count++] = shard;
    }
    int result = sl_remote_init(house->shards, house->shards_count);
    for (uint32_t i = 0; result == 0 && i < house->shards_count; i++) {
        struct sl_shard_config cfg = {
            .index = i,
            .cpu = config->cores[i],
            .epoch = &house->epoch,
            .control = &house->control,
            .clock = sl_clock_system(),
            .memory_max = MEMORY_MAX,
            .memory_reserve = MEMORY_RESERVE,
            .poller_new = config->poller_new != NULL ? config->poller_new : epoll_new,
            .poller_ctx = config->poller_ctx[i],
            .started = sl_remote_attach,
            .ended = sl_kinds_shard_fini,
        };
        result = sl_shard_start(house->shards[i], &cfg, reterr);
        house->started_count += result == 0;
    }
    return result;
}

static int parts_make(struct sl_micro_house *house, struct sl_diag *reterr)
{
    int result = sl_registry_open(NULL, NULL, &house->registry, reterr);
    if (result < 0) return result;
    sl_registry_set_validator(house->registry, sl_loader_validate, NULL);
    house->swap = sl_swap_new(&house->control, house->shards, house->shards_count, &house->epoch);
    if (house->swap == NULL) return -ENOMEM;
    struct sl_loader_config cfg = {
        .registry = house->registry,
        .swap = house->swap,
        .name_space = "default",
        .shards_count = house->shards_count,
        .published = on_published,
        .ctx = house,
    };
    house->loader = sl_loader_new(&cfg);
    return house->loader != NULL ? 0 : -ENOMEM;
}

int sl_micro_house_new(const struct sl_micro_house_config *config,
                       struct sl_micro_house **ret_house, struct sl_diag *reterr)
{
    sl_assert(config->shards_count >= 1);
    sl_assert(config->shards_count <= SL_SHARDS_MAX);
    struct sl_micro_house *house = aligned_alloc(128, (sizeof(*house) + 127) / 128 * 128);
    if (house == NULL) return -ENOMEM;
    memset(house, 0, sizeof(*house));
    sl_kinds_register();
    sl_epoch_init(&house->epoch, config->shards_count);
    struct sl_poller *poller = sl_poller_epoll_new(NULL, sl_clock_system(), reterr);
    struct sl_mem *mem = sl_mem_new(MEMORY_MAX);
    if (poller == NULL || mem == NULL) {
        if (poller != NULL) poller->ops->free(poller);
        (void)sl_mem_free(mem);
        free(house);
        return -ENOMEM;
    }
    sl_loop_init(&house->control, poller, sl_clock_system(), mem);
    int result = shards_start(house, config, reterr);
    if (result == 0) result = parts_make(house, reterr);
    if (result < 0) {
        (void)sl_micro_house_free(house);
        return result;
    }
    *ret_house = house;
    return 0;
}

static int specs_store(struct sl_micro_house *house, const struct sl_specs *specs,
                       struct sl_diags *diags)
{
    struct sl_change *changes = calloc(specs->count + 1, sizeof(*changes));
    if (changes == NULL) return -ENOMEM;
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
    int result = sl_registry_apply(house->registry, &set, NULL, diags);
    free(changes);
    return result > 0 ? -EINVAL : result;
}

/* Until what is stored is published, or refused. */
static int publication_wait(struct sl_micro_house *house, struct sl_diag *reterr)
{
    uint64_t newest;
    uint64_t end_ns = sl_clock_now_ns(house->control.clock) + PATIENCE_S * SL_NS_PER_SEC;
    int result = sl_registry_revision(house->registry, &newest);
    if (result == 0) result = sl_loader_refresh(house->loader);
    while (result == 0 && house->published < newest) {
        control_turn(house);
        if (sl_clock_now_ns(house->control.clock) > end_ns) return -ETIMEDOUT;
    }
    if (result == 0 && house->result < 0) {
        result = house->result;
        if (reterr != NULL) *reterr = house->diag;
    }
    return result;
}

int sl_micro_house_apply(struct sl_micro_house *house, const char *text, uint64_t *ret_ns,
                         struct sl_diag *reterr)
{
    sl_assert(house != NULL);
    sl_assert(text != NULL);
    struct sl_specs specs = {0};
    struct sl_diags diags = {0};
    struct sl_specs_place place = {.file = "bench.yaml", .format = SL_SPECS_YAML};
    uint64_t begin_ns = sl_clock_now_ns(house->control.clock);
    int result = sl_specs_read_text(sl_slice_from_str(text), &place, &specs, &diags);
    if (result == 0) result = specs_store(house, &specs, &diags);
    if (result < 0 && diags.count > 0 && reterr != NULL) *reterr = diags.items[0];
    if (result == 0) result = publication_wait(house, reterr);
    if (ret_ns != NULL) *ret_ns = house->published_ns - begin_ns;
    sl_specs_fini(&specs);
    sl_diags_fini(&diags);
    return result;
}

static void program_take(struct sl_micro_house *house)
{
    /* What the last publication left behind: its old program waits for its shards. */
    struct sl_swap_stats stats;
    do {
        control_turn(house);
        sl_swap_stats_get(house->swap, &stats);
    } while (sl_swap_is_busy(house->swap) || stats.alive > 1);
    sl_drain_begin(&house->drain, &house->control, house->shards, house->shards_count);
    while (!house->drain.done) control_turn(house);
    sl_swap_retract(house->swap, on_retracted, house);
    while (!house->retracted) control_turn(house);
}

struct sl_micro_house *sl_micro_house_free(struct sl_micro_house *house)
{
    if (house == NULL) return NULL;
    if (house->swap != NULL && house->started_count == house->shards_count) program_take(house);
    house->loader = sl_loader_free(house->loader);
    house->swap = sl_swap_free(house->swap);
    for (uint32_t i = 0; i < house->shards_count; i++) sl_shard_stop(house->shards[i]);
    sl_remote_fini(house->shards, house->shards_count);
    for (uint32_t i = 0; i < house->shards_count; i++) free(house->shards[i]);
    house->registry = sl_registry_close(house->registry);
    sl_loop_fini(&house->control);
    free(house);
    return NULL;
}
