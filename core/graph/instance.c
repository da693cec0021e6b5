/* SPDX-License-Identifier: MIT */
/* A program on one shard: seats, and the sources that feed it. All on the shard's thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"

static void place_close(struct sl_node *node, struct sl_shard *shard)
{
    struct sl_place *place = &node->places[shard->index];
    sl_assert(place->refs > 0);
    if (--place->refs > 0) return;
    if (node->kind->state_fini != NULL) node->kind->state_fini(place->state, node->config, shard);
    free(place->state);
    place->state = NULL;
}

/* Begin with the state of the next node. 0 or -ENOMEM. */
static int opening_begin(struct sl_instance *instance, const struct sl_node *node)
{
    sl_assert(instance->opening == NULL);
    if (node->kind->state_size > 0) {
        instance->opening = calloc(1, node->kind->state_size);
        if (instance->opening == NULL) return -ENOMEM;
    }
    instance->is_opening = true;
    return 0;
}

static void opening_drop(struct sl_instance *instance)
{
    free(instance->opening);
    instance->opening = NULL;
    instance->is_opening = false;
}

/*
 * The place of `node`, and the seat where no node of its path has made it before; 1: not yet all of
 * it: instance->is_opening.
 */
static int place_open(struct sl_instance *instance, struct sl_node *node, struct sl_diag *reterr)
{
    struct sl_shard *shard = instance->shard;
    sl_assert(shard->index < node->shards_count);
    struct sl_place *place = &node->places[shard->index];
    struct sl_seat **seat = &node->tally->seats[shard->index];
    if (place->refs > 0) {
        sl_assert(!instance->is_opening);
        place->refs++;
        return 0;
    }
    if (*seat == NULL) *seat = calloc(1, sizeof(**seat));
    if (*seat == NULL) return -ENOMEM;
    int r = instance->is_opening ? 0 : opening_begin(instance, node);
    if (r == 0 && node->kind->state_init != NULL) {
        r = node->kind->state_init(instance->opening, node->config, shard, reterr);
    }
    if (r < 0) opening_drop(instance);
    if (r != 0) return r;
    place->state = instance->opening;
    place->refs = 1;
    instance->opening = NULL;
    instance->is_opening = false;
    return 0;
}

/* Give up a state of which only a part is there. */
static void opening_close(struct sl_instance *instance)
{
    if (!instance->is_opening) return;
    const struct sl_node *node = instance->program->symbols[instance->seats_count].node;
    if (node->kind->state_fini != NULL) {
        node->kind->state_fini(instance->opening, node->config, instance->shard);
    }
    opening_drop(instance);
}

static struct sl_instance *instance_new(struct sl_program *program, struct sl_shard *shard)
{
    struct sl_instance *instance = aligned_alloc(128, sizeof(*instance));
    if (instance == NULL) return NULL;
    memset(instance, 0, sizeof(*instance));
    instance->program = program;
    instance->shard = shard;
    instance->seats = calloc(program->symbols_count + 1U, sizeof(struct sl_seat *));
    instance->states = calloc(program->symbols_count + 1U, sizeof(void *));
    if (instance->seats == NULL || instance->states == NULL) {
        free(instance->seats);
        free(instance->states);
        free(instance);
        return NULL;
    }
    program->instances[shard->index] = instance;
    return instance;
}

int sl_instance_open(struct sl_program *program, struct sl_shard *shard, uint64_t budget_ns,
                     struct sl_diag *reterr)
{
    sl_assert(program != NULL);
    sl_assert(shard->index < program->shards_count);
    struct sl_instance *instance = program->instances[shard->index];
    if (instance == NULL) instance = instance_new(program, shard);
    if (instance == NULL) return -ENOMEM;
    uint64_t until = sl_clock_now_ns(shard->loop.clock) + budget_ns;
    while (instance->seats_count < program->symbols_count) {
        uint32_t i = instance->seats_count;
        struct sl_node *node = program->symbols[i].node;
        int r = place_open(instance, node, reterr);
        if (r < 0) return r;
        if (r == 0) {
            instance->seats[i] = node->tally->seats[shard->index];
            instance->states[i] = node->places[shard->index].state;
            instance->seats_count++;
        }
        if (sl_clock_now_ns(shard->loop.clock) >= until) break;
    }
    return instance->seats_count < program->symbols_count;
}

/* The next program may be made at the same address: no source may take it for this one. */
static void sources_forget(struct sl_shard *shard, const struct sl_program *program)
{
    for (struct sl_list *at = shard->sources.next; at != &shard->sources; at = at->next) {
        struct sl_source *source = sl_container_of(at, struct sl_source, link);
        if (source->seen != program) continue;
        source->seen = NULL;
        source->symbol = NULL;
    }
}

int sl_instance_close(struct sl_program *program, struct sl_shard *shard, uint64_t budget_ns)
{
    sl_assert(program != NULL);
    sl_assert(shard->index < program->shards_count);
    sources_forget(shard, program);
    struct sl_instance *instance = program->instances[shard->index];
    if (instance == NULL) return 0;
    sl_assert(atomic_load_explicit(&instance->pins, memory_order_relaxed) == 0);
    uint64_t until = sl_clock_now_ns(shard->loop.clock) + budget_ns;
    opening_close(instance);
    while (instance->seats_count > 0) {
        place_close(program->symbols[--instance->seats_count].node, shard);
        if (instance->seats_count > 0 && sl_clock_now_ns(shard->loop.clock) >= until) return 1;
    }
    program->instances[shard->index] = NULL;
    free(instance->seats);
    free(instance->states);
    free(instance);
    return 0;
}

struct sl_instance *sl_instance_current(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    /* Pairs with the release of the swap that published it. */
    struct sl_program *program = atomic_load_explicit(&shard->program, memory_order_acquire);
    return program != NULL ? program->instances[shard->index] : NULL;
}

/* ------------------------------------------------------------------------------------------ */

static struct sl_source *source_of(struct sl_shard *shard, const char *key)
{
    for (struct sl_list *at = shard->sources.next; at != &shard->sources; at = at->next) {
        struct sl_source *source = sl_container_of(at, struct sl_source, link);
        if (!source->closing && strcmp(source->key, key) == 0) return source;
    }
    return NULL;
}

static void source_begin(struct sl_source *source)
{
    if (source->begun) return;
    source->begun = true;
    if (source->ops->begin != NULL) source->ops->begin(source);
}

static void source_close(struct sl_source *source)
{
    if (source->closing) return;
    source->closing = true;
    source->ops->close(source);
}

void sl_source_closed(struct sl_source *source)
{
    sl_assert(source != NULL);
    sl_assert(source->closing);
    sl_list_remove(&source->link);
    if (source->closed != NULL) source->closed(source, source->closed_ctx);
    free(source->key);
    free(source);
}

static int source_open(const struct sl_program_source *from, struct sl_shard *shard,
                       struct sl_diag *reterr)
{
    sl_assert(from->symbol != NULL);
    sl_assert(from->ops->open != NULL);
    sl_assert(from->ops->close != NULL);
    struct sl_source *source = calloc(1, sizeof(*source));
    if (source == NULL) return -ENOMEM;
    source->key = strdup(from->key);
    source->ops = from->ops;
    source->shard = shard;
    sl_list_init(&source->link);
    int r = source->key == NULL ? -ENOMEM : from->ops->open(source, from->symbol->node, reterr);
    if (r < 0) {
        free(source->key);
        free(source);
        return r;
    }
    sl_list_insert(&shard->sources, &source->link);
    return 0;
}

int sl_sources_open(struct sl_program *program, struct sl_shard *shard,
                    const struct sl_node **ret_failed, struct sl_diag *reterr)
{
    sl_assert(program != NULL);
    sl_assert(shard != NULL);
    for (uint32_t i = 0; i < program->sources_count; i++) {
        const struct sl_program_source *from = &program->sources[i];
        if (from->symbol == NULL || source_of(shard, from->key) != NULL) continue;
        int r = source_open(from, shard, reterr);
        if (r == 0) continue;
        *ret_failed = from->symbol->node;
        /* What the current program does not name was opened just now. */
        sl_sources_sync(shard);
        return r;
    }
    return 0;
}

static bool program_names(const struct sl_program *program, const char *key)
{
    if (program == NULL) return false;
    for (uint32_t i = 0; i < program->sources_count; i++) {
        if (strcmp(program->sources[i].key, key) == 0) return true;
    }
    return false;
}

void sl_sources_sync(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    struct sl_program *program = atomic_load_explicit(&shard->program, memory_order_acquire);
    for (struct sl_list *at = shard->sources.next; at != &shard->sources;) {
        struct sl_source *source = sl_container_of(at, struct sl_source, link);
        at = at->next;
        if (program_names(program, source->key)) {
            source_begin(source);
        } else {
            source_close(source);
        }
    }
}

void sl_sources_close_all(struct sl_shard *shard)
{
    sl_assert(shard != NULL);
    for (struct sl_list *at = shard->sources.next; at != &shard->sources;) {
        struct sl_source *source = sl_container_of(at, struct sl_source, link);
        at = at->next;
        source_close(source);
    }
}

const struct sl_symbol *sl_source_symbol(struct sl_source *source,
                                         struct sl_instance **ret_instance)
{
    sl_assert(source != NULL);
    struct sl_program *program =
        atomic_load_explicit(&source->shard->program, memory_order_acquire);
    if (ret_instance != NULL) {
        *ret_instance = program != NULL ? program->instances[source->shard->index] : NULL;
    }
    if (__builtin_expect(program == source->seen, 1)) return source->symbol;
    source->seen = program;
    source->symbol = NULL;
    for (uint32_t i = 0; program != NULL && i < program->sources_count; i++) {
        if (strcmp(program->sources[i].key, source->key) == 0) {
            source->symbol = program->sources[i].symbol;
        }
    }
    return source->symbol;
}
