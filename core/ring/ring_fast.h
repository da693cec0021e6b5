/* SPDX-License-Identifier: MIT */
/*
 * The message path of a ring: reserve, commit, publish on one side; consume, release on the
 * other; and the two announcements of sleep. Batches: several commits and one publish, several
 * consumes and one release.
 */
#pragma once

#include <string.h>

#include "core/base/assertion.h"
#include "core/ring/ring.h"

/* Bytes that a record of `size` takes in the ring. */
static inline uint64_t sl_ring_record_span(size_t size)
{
    return sizeof(struct sl_ring_record) +
           ((size + SL_RING_ALIGN - 1) & ~(size_t)(SL_RING_ALIGN - 1));
}

/*
 * The largest payload in the ring itself: a record takes at most half of the data, so that with the
 * padding before it it fits whatever the position is.
 */
static inline size_t sl_ring_record_size_max(const struct sl_ring_map *map)
{
    uint64_t half = (map->data_mask + 1) / 2 - sizeof(struct sl_ring_record);
    return half < SL_RING_RECORD_SIZE_MAX ? half : SL_RING_RECORD_SIZE_MAX;
}

/* Slow part of reserve: look at the consumer's position; false: still no room, or broken. */
bool sl_ring_room(struct sl_ring_producer *producer, uint64_t span);

/* Slow part of reserve: fill the end of the data with padding; false: no room for it. */
bool sl_ring_pad(struct sl_ring_producer *producer, uint64_t span);

/*
 * First phase: room for a payload of up to `size` bytes, 8-aligned.
 *
 * returns  to write into until commit; NULL: no room now, or broken
 */
static inline void *sl_ring_reserve(struct sl_ring_producer *producer, size_t size)
{
    sl_assert(!producer->is_reserved);
    sl_assert(size <= sl_ring_record_size_max(&producer->map));
    uint64_t span = sl_ring_record_span(size);
    uint64_t at = producer->tail & producer->map.data_mask;
    if (at + span > producer->map.data_mask + 1) {
        if (!sl_ring_pad(producer, span)) return NULL;
        at = 0;
    }
    if (producer->tail + span - producer->head > producer->map.data_mask + 1 &&
        !sl_ring_room(producer, span)) {
        return NULL;
    }
    producer->is_reserved = true;
    producer->reserved = (uint32_t)size;
    return producer->map.data + at + sizeof(struct sl_ring_record);
}

/* Second phase: the record is complete, with `size` bytes of those reserved. Not yet visible. */
static inline void sl_ring_commit(struct sl_ring_producer *producer, uint32_t kind, size_t size)
{
    sl_assert(producer->is_reserved);
    sl_assert(size <= producer->reserved);
    sl_assert(kind != SL_RING_KIND_PAD);
    struct sl_ring_record record = {(uint32_t)size, kind};
    memcpy(producer->map.data + (producer->tail & producer->map.data_mask), &record,
           sizeof(record));
    producer->tail += sl_ring_record_span(size);
    producer->is_reserved = false;
}

/* Instead of commit: nothing was written. */
static inline void sl_ring_abort(struct sl_ring_producer *producer)
{
    sl_assert(producer->is_reserved);
    producer->is_reserved = false;
}

/*
 * The steps of the two hand-shakes, one sequentially consistent action each, so that the model test
 * can walk all their interleavings.
 */
static inline void sl_ring_step_tail(struct sl_ring_producer *producer)
{
    producer->published = producer->tail;
    atomic_store_explicit(&producer->map.shared->tail, producer->tail, memory_order_seq_cst);
}

static inline bool sl_ring_step_look(_Atomic uint32_t *sleeps)
{
    return atomic_load_explicit(sleeps, memory_order_seq_cst) != 0;
}

static inline bool sl_ring_step_claim(_Atomic uint32_t *sleeps)
{
    return atomic_exchange_explicit(sleeps, 0, memory_order_seq_cst) != 0;
}

static inline void sl_ring_step_announce(_Atomic uint32_t *sleeps)
{
    atomic_store_explicit(sleeps, 1, memory_order_seq_cst);
}

static inline bool sl_ring_step_is_empty(const struct sl_ring_consumer *consumer)
{
    return atomic_load_explicit(&consumer->map.shared->tail, memory_order_seq_cst) ==
           consumer->head;
}

static inline void sl_ring_step_head(struct sl_ring_consumer *consumer)
{
    consumer->released = consumer->head;
    atomic_store_explicit(&consumer->map.shared->head, consumer->head, memory_order_seq_cst);
}

/* Nothing was released or returned since the producer last looked. */
static inline bool sl_ring_step_is_full(const struct sl_ring_producer *producer)
{
    const struct sl_ring_head *shared = producer->map.shared;
    return atomic_load_explicit(&shared->head, memory_order_seq_cst) == producer->head &&
           atomic_load_explicit(&shared->returns_tail, memory_order_seq_cst) ==
               producer->returns_head;
}

/*
 * Make what was committed visible. Returns true if the consumer announced that it sleeps: then the
 * caller wakes it (only one publish gets true for one announcement).
 */
static inline bool sl_ring_publish(struct sl_ring_producer *producer)
{
    if (producer->published == producer->tail) return false;
    sl_ring_step_tail(producer);
    _Atomic uint32_t *sleeps = &producer->map.shared->consumer_sleeps;
    return sl_ring_step_look(sleeps) && sl_ring_step_claim(sleeps);
}

/*
 * The producer found no room, in the ring or in the slab, and wants to be woken when there is some.
 * Returns false if the consumer has moved meanwhile: try again instead.
 */
static inline bool sl_ring_producer_announce(struct sl_ring_producer *producer)
{
    _Atomic uint32_t *waits = &producer->map.shared->producer_waits;
    sl_ring_step_announce(waits);
    if (sl_ring_step_is_full(producer)) return true;
    atomic_store_explicit(waits, 0, memory_order_relaxed);
    return false;
}

/* Go on behind the record of the last peek. Its bytes stay valid until release. */
static inline void sl_ring_consume(struct sl_ring_consumer *consumer)
{
    sl_assert(consumer->next > consumer->head);
    consumer->head = consumer->next;
}

/*
 * Give the space of what was consumed back. Returns true if the producer waits for space: then the
 * caller wakes it.
 */
static inline bool sl_ring_release(struct sl_ring_consumer *consumer)
{
    if (consumer->released == consumer->head) return false;
    sl_ring_step_head(consumer);
    _Atomic uint32_t *waits = &consumer->map.shared->producer_waits;
    return sl_ring_step_look(waits) && sl_ring_step_claim(waits);
}

/* True if nothing is published beyond what was consumed. */
static inline bool sl_ring_is_empty(const struct sl_ring_consumer *consumer)
{
    return consumer->head ==
           atomic_load_explicit(&consumer->map.shared->tail, memory_order_acquire);
}

/*
 * The consumer is about to sleep. Returns false if records have come meanwhile: do not sleep.
 * After waking: sl_ring_consumer_rise.
 */
static inline bool sl_ring_consumer_announce(struct sl_ring_consumer *consumer)
{
    _Atomic uint32_t *sleeps = &consumer->map.shared->consumer_sleeps;
    sl_ring_step_announce(sleeps);
    if (sl_ring_step_is_empty(consumer)) return true;
    atomic_store_explicit(sleeps, 0, memory_order_relaxed);
    return false;
}

static inline void sl_ring_consumer_rise(struct sl_ring_consumer *consumer)
{
    atomic_store_explicit(&consumer->map.shared->consumer_sleeps, 0, memory_order_relaxed);
}
