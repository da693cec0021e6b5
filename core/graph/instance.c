/* SPDX-License-Identifier: MIT */
/* A program on one shard: seats, and the sources that feed it. All on the shard's thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"

static struct sl_seat *seat_new(const struct sl_node *node)
{
    struct sl_seat *seat = calloc(1, sizeof(*seat));
    if (seat == NULL) return NULL;
    seat->state = node->kind->state_size > 0 ? calloc(1, node->kind->state_size) : NULL;
    if (node->kind->state_size > 0 && seat->state == NULL) {
        free(seat);
        return NULL;
    }
    return seat;
}

static void seat_free(struct sl_seat *seat)
{
    free(seat->state);
    free(seat);
}

static void seat_close(struct sl_node *node, struct sl_shard *shard)
{
    struct sl_seat *seat = node->seats[shard->index];
    if (seat == NULL) return;
    sl_assert(seat->refs > 0);
    if (--seat->refs > 0) return;
    sl_assert(seat->in_flight == 0);
    if (node->kind->state_fini != NULL) node->kind->state_fini(seat->state, node->config, shard);
    seat_free(seat);
    node->seats[shard->index] = NULL;
}

/* The seat of `node`; 1: not yet all of it, which is *opening then. */
static int seat_open(struct sl_node *node, struct sl_shard *shard, struct sl_seat **opening,
                     struct sl_diag *reterr)
{
    sl_assert(shard->index < node->shards_count);
    struct sl_seat *seat = node->seats[shard->index];
    if (seat != NULL) {
        sl_assert(*opening == NULL);
        seat->refs++;
        return 0;
    }
    seat = *opening != NULL ? *opening : seat_new(node);
    *opening = NULL;
    if (seat == NULL) return -ENOMEM;
    if (node->kind->state_init != NULL) {
        int r = node->kind->state_init(seat->state, node->config, shard, reterr);
        if (r > 0) *opening = seat;
        if (r < 0) seat_free(seat);
        if (r != 0) return r;
    }
    seat->refs = 1;
    node->seats[shard->index] = seat;
    return 0;
}

/* Give up a seat of which only a part is there. */
static void opening_close(struct sl_instance *instance)
{
    struct sl_seat *seat = instance->opening;
    if (seat == NULL) return;
    const struct sl_node *node = instance->program->symbols[instance->seats_count].node;
    if (node->kind->state_fini != NULL) {
        node->kind->state_fini(seat->state, node->config, instance->shard);
    }
    seat_free(seat);
    instance->opening = NULL;
}

static struct sl_instance *instance_new(struct sl_program *program, struct sl_shard *shard)
{
    struct sl_instance *instance = aligned_alloc(128, sizeof(*instance));
    if (instance == NULL) return NULL;
    memset(instance, 0, sizeof(*instance));
    instance->program = program;
    instance->shard = shard;
    instance->seats = calloc(program->symbols_count + 1U, sizeof(struct sl_seat *));
    if (instance->seats == NULL) {
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
        int r = seat_open(node, shard, &instance->opening, reterr);
        if (r < 0) return r;
        if (r == 0) {
            instance->seats[i] = node->seats[shard->index];
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
        seat_close(program->symbols[--instance->seats_count].node, shard);
        if (instance->seats_count > 0 && sl_clock_now_ns(shard->loop.clock) >= until) return 1;
    }
    program->instances[shard->index] = NULL;
    free(instance->seats);
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

int sl_sources_open(struct sl_program *program, struct sl_shard *shard, struct sl_diag *reterr)
{
    sl_assert(program != NULL);
    sl_assert(shard != NULL);
    for (uint32_t i = 0; i < program->sources_count; i++) {
        const struct sl_program_source *from = &program->sources[i];
        if (from->symbol == NULL || source_of(shard, from->key) != NULL) continue;
        int r = source_open(from, shard, reterr);
        if (r == 0) continue;
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
        if (!program_names(program, source->key)) source_close(source);
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
