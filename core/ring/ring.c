/* SPDX-License-Identifier: MIT */
#include "core/ring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/ring/ring_fast.h"

enum { LINE = 128, CACHE_LINE = 64, DATA_SIZE_MIN = 4096, RECORD_PREFETCH_MAX = 512 };

static_assert(SL_RING_SLAB_UNIT_MIN % LINE == 0, "units keep alignment");
static_assert((uint64_t)SL_RING_SIZE_MAX <= UINT32_MAX, "data_size fits its field");

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static bool is_power_of_two(uint64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static uint64_t power_of_two_from(uint64_t value, uint64_t min)
{
    uint64_t power = min;
    while (power < value) power *= 2;
    return power;
}

/* The geometry that follows from the two sizes. */
static struct sl_ring_head layout(size_t data_size, size_t slab_size)
{
    struct sl_ring_head head = {.magic = SL_RING_MAGIC, .version = SL_RING_VERSION};
    sl_assert(data_size <= SL_RING_SIZE_MAX);
    sl_assert(slab_size <= SL_RING_SLAB_SIZE_MAX);
    head.data_size = (uint32_t)power_of_two_from(data_size, DATA_SIZE_MIN);
    uint64_t at = sizeof(struct sl_ring_head);
    if (slab_size > 0) {
        head.slab_unit =
            power_of_two_from((slab_size + SL_RING_SLAB_UNITS_MAX - 1) / SL_RING_SLAB_UNITS_MAX,
                              SL_RING_SLAB_UNIT_MIN);
        head.slab_size = round_up(slab_size, head.slab_unit);
        uint64_t units = head.slab_size / head.slab_unit;
        head.returns_size = (uint32_t)power_of_two_from(units, LINE / sizeof(uint64_t));
        head.returns_off = at;
        at += head.returns_size * sizeof(uint64_t);
    }
    head.data_off = round_up(at, LINE);
    at = head.data_off + head.data_size;
    if (slab_size > 0) head.slab_off = round_up(at, SL_RING_SLAB_UNIT_MIN);
    return head;
}

static uint64_t layout_size(const struct sl_ring_head *head)
{
    if (head->slab_size > 0) return head->slab_off + head->slab_size;
    return head->data_off + head->data_size;
}

size_t sl_ring_block_size(size_t data_size, size_t slab_size)
{
    struct sl_ring_head head = layout(data_size, slab_size);
    return layout_size(&head);
}

void sl_ring_format(void *block, size_t data_size, size_t slab_size)
{
    sl_assert(block != NULL);
    sl_assert((uintptr_t)block % 64 == 0);
    struct sl_ring_head *head = block;
    *head = layout(data_size, slab_size);
    memset((uint8_t *)block + sizeof(*head), 0, head->returns_size * sizeof(uint64_t));
}

/* Copy the geometry out once, then check the copy: the block may belong to a hostile process. */
static int map_attach(struct sl_ring_map *map, void *block, size_t block_size, bool hostile)
{
    struct sl_ring_head head;
    sl_assert(block != NULL);
    if ((uintptr_t)block % 64 != 0 || block_size < sizeof(head)) return -EINVAL;
    memcpy(&head, block, offsetof(struct sl_ring_head, pad0));
    if (head.magic != SL_RING_MAGIC || head.version != SL_RING_VERSION || head.flags != 0)
        return -EINVAL;
    if (!is_power_of_two(head.data_size) || head.data_size > SL_RING_SIZE_MAX) return -EINVAL;
    if (head.slab_size > SL_RING_SLAB_SIZE_MAX) return -EINVAL;
    /* Nothing is free in the layout: it is what sl_ring_format makes of the sizes, or refused. */
    struct sl_ring_head expected = layout(head.data_size, head.slab_size);
    if (memcmp(&head, &expected, offsetof(struct sl_ring_head, pad0)) != 0) return -EINVAL;
    if (layout_size(&expected) > block_size) return -EINVAL;
    *map = (struct sl_ring_map){
        .shared = block,
        .data = (uint8_t *)block + expected.data_off,
        .data_mask = expected.data_size - 1,
        .hostile = hostile,
    };
    if (expected.slab_size == 0) return 0;
    map->has_slab = true;
    map->returns = (_Atomic uint64_t *)((uint8_t *)block + expected.returns_off);
    map->returns_mask = expected.returns_size - 1;
    map->slab = (uint8_t *)block + expected.slab_off;
    map->slab_size = expected.slab_size;
    map->slab_unit = expected.slab_unit;
    return 0;
}

/* The positions of both sides, for who attaches; -EINVAL if they cannot be. */
static int positions_read(const struct sl_ring_map *map, uint64_t *ret_head, uint64_t *ret_tail)
{
    uint64_t head = atomic_load_explicit(&map->shared->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&map->shared->tail, memory_order_acquire);
    if (tail < head || tail - head > map->data_mask + 1) return -EINVAL;
    if (tail % SL_RING_ALIGN != 0 || head % SL_RING_ALIGN != 0) return -EINVAL;
    *ret_head = head;
    *ret_tail = tail;
    return 0;
}

int sl_ring_producer_attach(struct sl_ring_producer *producer, void *block, size_t block_size,
                            bool hostile)
{
    sl_assert(producer != NULL);
    *producer = (struct sl_ring_producer){0};
    int r = map_attach(&producer->map, block, block_size, hostile);
    if (r == 0) r = positions_read(&producer->map, &producer->head, &producer->tail);
    if (r < 0) return r;
    producer->published = producer->tail;
    if (!producer->map.has_slab) return 0;
    producer->units_count = (uint32_t)(producer->map.slab_size / producer->map.slab_unit);
    /* What an earlier producer had in flight is not known here: only a fresh slab is taken. */
    uint64_t returned =
        atomic_load_explicit(&producer->map.shared->returns_tail, memory_order_acquire);
    producer->returns_head =
        atomic_load_explicit(&producer->map.shared->returns_head, memory_order_acquire);
    return returned == 0 && producer->returns_head == 0 && producer->tail == 0 ? 0 : -EINVAL;
}

int sl_ring_consumer_attach(struct sl_ring_consumer *consumer, void *block, size_t block_size,
                            bool hostile)
{
    sl_assert(consumer != NULL);
    *consumer = (struct sl_ring_consumer){0};
    int r = map_attach(&consumer->map, block, block_size, hostile);
    if (r == 0) r = positions_read(&consumer->map, &consumer->head, &consumer->tail);
    if (r < 0) return r;
    consumer->released = consumer->head;
    consumer->next = consumer->head;
    if (consumer->map.has_slab) {
        consumer->returns_tail =
            atomic_load_explicit(&consumer->map.shared->returns_tail, memory_order_acquire);
    }
    return 0;
}

/* The other side wrote what cannot be. */
static __attribute__((cold)) int map_break(struct sl_ring_map *map)
{
    sl_assert(map->hostile); /* between friends it is a bug */
    map->broken = true;
    return -EPROTO;
}

/* The slab, producer side: which unit is whose. */

static bool unit_is_used(const struct sl_ring_producer *producer, uint32_t unit)
{
    return (producer->used[unit / 64] >> (unit % 64)) & 1;
}

static void units_mark(struct sl_ring_producer *producer, uint32_t from, uint32_t count, bool used)
{
    for (uint32_t i = from; i < from + count; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        sl_assert(unit_is_used(producer, i) != used);
        producer->used[i / 64] ^= bit;
    }
    if (used) {
        producer->units_used += count;
    } else {
        producer->units_used -= count;
    }
}

/* Take back what the consumer returned. */
static void slab_reclaim(struct sl_ring_producer *producer)
{
    struct sl_ring_map *map = &producer->map;
    uint64_t tail = atomic_load_explicit(&map->shared->returns_tail, memory_order_acquire);
    if (tail < producer->returns_head || tail - producer->returns_head > producer->units_used) {
        (void)map_break(map);
        return;
    }
    while (producer->returns_head != tail) {
        uint64_t off = atomic_load_explicit(
            &map->returns[producer->returns_head & map->returns_mask], memory_order_relaxed);
        uint64_t unit = off / map->slab_unit;
        if (unit >= producer->units_count || off % map->slab_unit != 0 ||
            producer->runs[unit] == 0) {
            (void)map_break(map);
            return;
        }
        units_mark(producer, (uint32_t)unit, producer->runs[unit], false);
        producer->runs[unit] = 0;
        producer->returns_head++;
    }
    atomic_store_explicit(&map->shared->returns_head, tail, memory_order_relaxed);
}

/* Producer side. */

bool sl_ring_room(struct sl_ring_producer *producer, uint64_t span)
{
    struct sl_ring_map *map = &producer->map;
    if (map->broken) return false; /* and stays so */
    uint64_t head = atomic_load_explicit(&map->shared->head, memory_order_acquire);
    if (head < producer->head || head > producer->published || head % SL_RING_ALIGN != 0) {
        (void)map_break(map);
        return false;
    }
    producer->head = head;
    if (map->has_slab) slab_reclaim(producer); /* for announce, which compares both positions */
    return producer->tail + span - head <= map->data_mask + 1;
}

bool sl_ring_pad(struct sl_ring_producer *producer, uint64_t span)
{
    struct sl_ring_map *map = &producer->map;
    uint64_t left = map->data_mask + 1 - (producer->tail & map->data_mask);
    sl_assert(left >= sizeof(struct sl_ring_record));
    sl_assert(left < span);
    if (producer->tail + left + span - producer->head > map->data_mask + 1 &&
        !sl_ring_room(producer, left + span)) {
        return false;
    }
    struct sl_ring_record record = {(uint32_t)(left - sizeof(record)), SL_RING_KIND_PAD};
    memcpy(map->data + (producer->tail & map->data_mask), &record, sizeof(record));
    producer->tail += left;
    return true;
}

static int push_slab(struct sl_ring_producer *producer, uint32_t kind, const void *data,
                     size_t size)
{
    if (size > sl_ring_slab_size_max(producer)) return -EMSGSIZE;
    void *to = sl_ring_slab_take(producer, size);
    if (to == NULL) return producer->map.broken ? -EPROTO : -EAGAIN;
    memcpy(to, data, size);
    int r = sl_ring_slab_commit(producer, kind, to, size);
    if (r < 0) sl_ring_slab_cancel(producer, to);
    return r;
}

int sl_ring_push(struct sl_ring_producer *producer, uint32_t kind, const void *data, size_t size)
{
    sl_assert(producer != NULL);
    sl_assert((kind & SL_RING_KIND_SLAB) == 0);
    if (size > sl_ring_record_size_max(&producer->map))
        return push_slab(producer, kind, data, size);
    void *to = sl_ring_reserve(producer, size);
    if (to == NULL) return producer->map.broken ? -EPROTO : -EAGAIN;
    if (size > 0) memcpy(to, data, size);
    sl_ring_commit(producer, kind, size);
    return 0;
}

/* Consumer side. */

/* Look at the producer's position. 1 something new, 0 nothing, -EPROTO. */
static int refresh(struct sl_ring_consumer *consumer)
{
    struct sl_ring_map *map = &consumer->map;
    if (map->broken) return -EPROTO;
    uint64_t tail = atomic_load_explicit(&map->shared->tail, memory_order_acquire);
    if (tail < consumer->tail || tail - consumer->released > map->data_mask + 1 ||
        tail % SL_RING_ALIGN != 0) {
        return map_break(map);
    }
    consumer->tail = tail;
    return tail != consumer->head;
}

/*
 * The lines of a record are in the producer's cache: ask for them together, instead of one after
 * the other when they are read. A call to another shard and back: ×0.87.
 */
static inline void record_prefetch(const uint8_t *record, uint64_t span)
{
    uint64_t end = span < RECORD_PREFETCH_MAX ? span : RECORD_PREFETCH_MAX;
    for (uint64_t at = CACHE_LINE; at < end; at += CACHE_LINE) __builtin_prefetch(record + at);
}

/* Read the next record's head once and check it. Skips padding. 1, 0 or -EPROTO. */
static int next_record(struct sl_ring_consumer *consumer, struct sl_ring_record *ret_record)
{
    struct sl_ring_map *map = &consumer->map;
    if (map->broken) return -EPROTO;
    for (int i = 0; i < 2; i++) {
        if (consumer->head == consumer->tail) {
            int r = refresh(consumer);
            if (r <= 0) return r;
        }
        uint64_t at = consumer->head & map->data_mask;
        uint64_t word = __atomic_load_n((uint64_t *)(map->data + at), __ATOMIC_RELAXED);
        struct sl_ring_record record;
        memcpy(&record, &word, sizeof(record));
        uint64_t span = sl_ring_record_span(record.size);
        if (span > consumer->tail - consumer->head || at + span > map->data_mask + 1)
            return map_break(map);
        consumer->next = consumer->head + span;
        if (record.kind != SL_RING_KIND_PAD) {
            record_prefetch(map->data + at, span);
            *ret_record = record;
            return 1;
        }
        if (at + span != map->data_mask + 1) return map_break(map); /* padding ends the data */
        consumer->head = consumer->next;
    }
    return map_break(map); /* padding twice in a row */
}

/* Where a slab record's bytes are; -EPROTO if not in the slab. */
static int slab_resolve(struct sl_ring_consumer *consumer, const struct sl_ring_record *record,
                        const uint8_t **ret_data, size_t *ret_size)
{
    struct sl_ring_map *map = &consumer->map;
    struct sl_ring_slab_ref ref;
    if (!map->has_slab || record->size != sizeof(ref)) return map_break(map);
    memcpy(&ref, map->data + (consumer->head & map->data_mask) + sizeof(*record), sizeof(ref));
    if (ref.off % map->slab_unit != 0 || ref.off >= map->slab_size) return map_break(map);
    if (ref.size == 0 || ref.size > map->slab_size - ref.off) return map_break(map);
    *ret_data = map->slab + ref.off;
    *ret_size = ref.size;
    return 0;
}

int sl_ring_peek(struct sl_ring_consumer *consumer, struct sl_ring_view *ret_view)
{
    sl_assert(consumer != NULL);
    sl_assert(ret_view != NULL);
    struct sl_ring_record record = {0};
    int r = next_record(consumer, &record);
    if (r <= 0) return r;
    const uint8_t *data =
        consumer->map.data + (consumer->head & consumer->map.data_mask) + sizeof(record);
    size_t size = record.size;
    bool is_slab = (record.kind & SL_RING_KIND_SLAB) != 0;
    if (is_slab) {
        r = slab_resolve(consumer, &record, &data, &size);
        if (r < 0) return r;
    }
    /* Field by field: a copy of a whole view would wait for the stores that made it. */
    ret_view->data = data;
    ret_view->size = size;
    ret_view->kind = record.kind & ~SL_RING_KIND_SLAB;
    ret_view->is_slab = is_slab;
    return 1;
}

static void slab_give(struct sl_ring_consumer *consumer, const uint8_t *data)
{
    struct sl_ring_map *map = &consumer->map;
    sl_assert(map->has_slab);
    sl_assert(data >= map->slab);
    uint64_t off = (uint64_t)(data - map->slab);
    sl_assert(off < map->slab_size);
    sl_assert(off % map->slab_unit == 0);
    /* There are at least as many entries as units, so this never overwrites. */
    atomic_store_explicit(&map->returns[consumer->returns_tail & map->returns_mask], off,
                          memory_order_relaxed);
    consumer->returns_tail++;
    atomic_store_explicit(&map->shared->returns_tail, consumer->returns_tail, memory_order_seq_cst);
}

int sl_ring_copy(struct sl_ring_consumer *consumer, void *buf, size_t buf_size, size_t *ret_size,
                 uint32_t *ret_kind)
{
    sl_assert(ret_size != NULL);
    sl_assert(ret_kind != NULL);
    struct sl_ring_view view;
    int r = sl_ring_peek(consumer, &view);
    if (r <= 0) return r;
    *ret_size = view.size;
    if (view.size > buf_size) return -ENOBUFS;
    if (view.size > 0) memcpy(buf, view.data, view.size);
    *ret_kind = view.kind;
    if (view.is_slab) slab_give(consumer, view.data);
    sl_ring_consume(consumer);
    return 1;
}

bool sl_ring_slab_return(struct sl_ring_consumer *consumer, const uint8_t *data)
{
    sl_assert(consumer != NULL);
    slab_give(consumer, data);
    _Atomic uint32_t *waits = &consumer->map.shared->producer_waits;
    return sl_ring_step_look(waits) && sl_ring_step_claim(waits);
}

/* The slab, producer side: taking. */

/* First run of `count` free units from `from` on; units_count: none. */
static uint32_t run_find(const struct sl_ring_producer *producer, uint32_t from, uint32_t count)
{
    uint32_t length = 0;
    for (uint32_t i = from; i < producer->units_count; i++) {
        length = unit_is_used(producer, i) ? 0 : length + 1;
        if (length == count) return i + 1 - count;
    }
    return producer->units_count;
}

void *sl_ring_slab_take(struct sl_ring_producer *producer, size_t size)
{
    struct sl_ring_map *map = &producer->map;
    sl_assert(size > 0);
    if (!map->has_slab || size > sl_ring_slab_size_max(producer)) return NULL;
    slab_reclaim(producer);
    if (map->broken) return NULL;
    uint32_t count = (uint32_t)((size + map->slab_unit - 1) / map->slab_unit);
    uint32_t unit = run_find(producer, producer->unit_next, count);
    if (unit == producer->units_count) unit = run_find(producer, 0, count);
    if (unit == producer->units_count) return NULL;
    units_mark(producer, unit, count, true);
    producer->runs[unit] = (uint16_t)count;
    producer->unit_next = unit + count < producer->units_count ? unit + count : 0;
    return map->slab + unit * map->slab_unit;
}

static uint32_t slab_unit_of(const struct sl_ring_producer *producer, const void *bytes)
{
    const struct sl_ring_map *map = &producer->map;
    sl_assert((const uint8_t *)bytes >= map->slab);
    uint64_t off = (uint64_t)((const uint8_t *)bytes - map->slab);
    sl_assert(off < map->slab_size);
    sl_assert(off % map->slab_unit == 0);
    uint32_t unit = (uint32_t)(off / map->slab_unit);
    sl_assert(producer->runs[unit] > 0);
    return unit;
}

int sl_ring_slab_commit(struct sl_ring_producer *producer, uint32_t kind, const void *bytes,
                        size_t size)
{
    sl_assert((kind & SL_RING_KIND_SLAB) == 0);
    uint64_t unit = slab_unit_of(producer, bytes);
    sl_assert(size > 0);
    sl_assert(size <= producer->runs[unit] * producer->map.slab_unit);
    struct sl_ring_slab_ref ref = {unit * producer->map.slab_unit, size};
    void *to = sl_ring_reserve(producer, sizeof(ref));
    if (to == NULL) return producer->map.broken ? -EPROTO : -EAGAIN;
    memcpy(to, &ref, sizeof(ref));
    sl_ring_commit(producer, kind | SL_RING_KIND_SLAB, sizeof(ref));
    return 0;
}

void sl_ring_slab_cancel(struct sl_ring_producer *producer, const void *bytes)
{
    uint32_t unit = slab_unit_of(producer, bytes);
    units_mark(producer, unit, producer->runs[unit], false);
    producer->runs[unit] = 0;
}

size_t sl_ring_slab_size_max(const struct sl_ring_producer *producer)
{
    uint64_t max = producer->map.slab_size;
    return max < SL_PACKET_SIZE_MAX ? max : SL_PACKET_SIZE_MAX;
}
