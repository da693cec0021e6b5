/* SPDX-License-Identifier: MIT */
/*
 * The ring of core/ring on one thread: what its instructions cost, without a cache line that moves.
 * What a hand-over between cores costs is in shard.c, between processes in channel.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/micro.h"
#include "core/base/assertion.h"
#include "core/ring/ring.h"
#include "core/ring/ring_fast.h"

enum { DATA_SIZE = 1024 * 1024, SLAB_SIZE = 4 * 1024 * 1024, KIND = 7, RECORD_MAX = 128 * 1024 };

struct ring {
    struct sl_ring_producer producer;
    struct sl_ring_consumer consumer;
    void *block;
    uint8_t in[RECORD_MAX];
    uint8_t out[RECORD_MAX];
};

/* Bytes of a record and how many are made visible together. */
struct shape {
    size_t size;
    uint32_t batch;
    bool hostile;
};

static int ring_setup(struct sl_micro_run *run)
{
    const struct shape *shape = run->arg;
    struct ring *ring = calloc(1, sizeof(*ring));
    size_t size = sl_ring_block_size(DATA_SIZE, SLAB_SIZE);
    sl_assert(ring != NULL);
    ring->block = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    sl_assert(ring->block != NULL);
    sl_ring_format(ring->block, DATA_SIZE, SLAB_SIZE);
    int result = sl_ring_producer_attach(&ring->producer, ring->block, size, shape->hostile);
    if (result == 0) {
        result = sl_ring_consumer_attach(&ring->consumer, ring->block, size, shape->hostile);
    }
    sl_assert(result == 0);
    memset(ring->in, 'r', sizeof(ring->in));
    run->bytes = shape->size;
    run->state = ring;
    return 0;
}

static void ring_teardown(struct sl_micro_run *run)
{
    struct ring *ring = run->state;
    free(ring->block);
    free(ring);
}

/* Put, publish, peek, read, release; the reader looks at every cache line. */
static void ring_run(struct sl_micro_run *run, uint64_t count)
{
    const struct shape *shape = run->arg;
    struct ring *ring = run->state;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        for (uint32_t b = 0; b < shape->batch; b++) {
            int result = sl_ring_push(&ring->producer, KIND, ring->in, shape->size);
            sl_assert(result == 0);
        }
        (void)sl_ring_publish(&ring->producer);
        for (uint32_t b = 0; b < shape->batch; b++) {
            struct sl_ring_view view;
            int result = sl_ring_peek(&ring->consumer, &view);
            sl_assert(result == 1);
            for (size_t at = 0; at < view.size; at += 64) sum += view.data[at];
            sl_ring_consume(&ring->consumer);
            if (view.is_slab) (void)sl_ring_slab_return(&ring->consumer, view.data);
        }
        (void)sl_ring_release(&ring->consumer);
    }
    sl_micro_keep(&sum);
}

/* The reader of an untrusted writer copies first. */
static void ring_copy_run(struct sl_micro_run *run, uint64_t count)
{
    const struct shape *shape = run->arg;
    struct ring *ring = run->state;
    for (uint64_t i = 0; i < count; i++) {
        size_t size;
        uint32_t kind;
        int result = sl_ring_push(&ring->producer, KIND, ring->in, shape->size);
        sl_assert(result == 0);
        (void)sl_ring_publish(&ring->producer);
        result = sl_ring_copy(&ring->consumer, ring->out, sizeof(ring->out), &size, &kind);
        sl_assert(result == 1);
        (void)sl_ring_release(&ring->consumer);
    }
}

static const struct shape SMALL = {64, 1, false};
static const struct shape SMALL_BATCH = {64, 16, false};
static const struct shape PAGE = {4096, 1, false};
static const struct shape LARGE = {100 * 1024, 1, false};
static const struct shape HOSTILE = {64, 1, true};

#define CASE(case_name, text, function, which, each)                                               \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = ring_setup, .run = (function),              \
        .teardown = ring_teardown, .arg = &(which), .divisor = (each)                              \
    }

static const struct sl_micro_case CASES[] = {
    CASE("ring/64", "a record of 64 bytes: put, publish, read, release", ring_run, SMALL, 1),
    CASE("ring/64-batch", "the same, 16 records made visible together", ring_run, SMALL_BATCH, 16),
    CASE("ring/4096", "a record of 4 KiB", ring_run, PAGE, 1),
    CASE("ring/100k-slab", "a record of 100 KiB, through the slab", ring_run, LARGE, 1),
    CASE("ring/64-hostile", "64 bytes from an untrusted writer: checked and copied out",
         ring_copy_run, HOSTILE, 1),
};

const struct sl_micro_group sl_micro_ring = SL_MICRO_GROUP("ring", CASES);
