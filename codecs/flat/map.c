/* SPDX-License-Identifier: MIT */
/*
 * Maps: the sorted index of large ones, looking up in it, and keys that stand twice.
 *
 * The index is sorted by the 16-bit hash that stands in each key's cell, and only among equal
 * hashes by the key's bytes. So sorting reads no key at all as a rule, and a map whose keys were
 * chosen to have equal hashes still costs n log n to build and log n to search.
 */
#include "codecs/flat/flat_internal.h"

enum {
    MAP_RANK_MAX = 64,  /* up to so many pairs: sort by counting what is smaller */
    MAP_BITS_WORDS = 8, /* hashes met, of small maps: 512 bits */
};

int flat_key_compare(const uint8_t *a_bytes, const struct sl_cell *a, const uint8_t *b_bytes,
                     const struct sl_cell *b)
{
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    uint32_t size = a->len < b->len ? a->len : b->len;
    int order = size > 0 ? memcmp(a_bytes, b_bytes, size) : 0;
    if (order != 0) return order;
    return a->len < b->len ? -1 : a->len > b->len;
}

static int pair_compare(const struct sl_buf *buf, const struct sl_cell *pairs, uint32_t a,
                        uint32_t b)
{
    const struct sl_cell *a_key = &pairs[2 * (size_t)a];
    const struct sl_cell *b_key = &pairs[2 * (size_t)b];
    return flat_key_compare(sl_cell_bytes(buf, a_key), a_key, sl_cell_bytes(buf, b_key), b_key);
}

typedef int16_t map_lanes __attribute__((vector_size(16)));

/*
 * By hash, then number: the place of each is the count of what is smaller, eight at a time and
 * without a branch. returns true if two hashes are equal
 */
static bool sort_by_rank(const struct sl_cell *pairs, uint32_t pairs_count, uint32_t *order)
{
    map_lanes marks[MAP_RANK_MAX / 8], ranks[MAP_RANK_MAX / 8];
    int16_t *mark = (int16_t *)(void *)marks, *rank = (int16_t *)(void *)ranks;
    sl_assert(pairs_count <= MAP_RANK_MAX);
    uint32_t lanes_count = (pairs_count + 7) / 8;
    for (uint32_t i = 0; i < lanes_count; i++) {
        marks[i] = (map_lanes){0};
        ranks[i] = (map_lanes){0};
    }
    for (uint32_t i = 0; i < pairs_count; i++) mark[i] = (int16_t)(pairs[2 * i].hash ^ 0x8000);
    for (uint32_t i = 0; i < pairs_count; i++) {
        for (uint32_t j = 0; j < lanes_count; j++) ranks[j] -= mark[i] < marks[j];
    }
    uint64_t taken = 0;
    bool equal = false;
    for (uint32_t i = 0; i < pairs_count; i++) {
        uint32_t place = (uint32_t)rank[i];
        while (taken >> place & 1) { /* an equal hash before it */
            place++;
            equal = true;
        }
        taken |= UINT64_C(1) << place;
        order[place] = i;
    }
    return equal;
}

/* By hash, then number: two rounds of counting over a byte each. */
static void sort_by_radix(const struct sl_cell *pairs, uint32_t pairs_count, uint32_t *order,
                          uint32_t *scratch)
{
    uint32_t low[256] = {0}, high[256] = {0};
    for (uint32_t i = 0; i < pairs_count; i++) {
        uint16_t hash = pairs[2 * (size_t)i].hash;
        low[hash & 255]++;
        high[hash >> 8]++;
    }
    uint32_t low_sum = 0, high_sum = 0;
    for (int i = 0; i < 256; i++) {
        uint32_t low_count = low[i], high_count = high[i];
        low[i] = low_sum;
        high[i] = high_sum;
        low_sum += low_count;
        high_sum += high_count;
    }
    for (uint32_t i = 0; i < pairs_count; i++) {
        scratch[low[pairs[2 * (size_t)i].hash & 255]++] = i;
    }
    for (uint32_t i = 0; i < pairs_count; i++) {
        uint32_t number = scratch[i];
        order[high[pairs[2 * (size_t)number].hash >> 8]++] = number;
    }
}

/* Let the number at `at` sink to its place in a heap of `count` numbers, greatest on top. */
static void heap_sink(const struct sl_buf *buf, const struct sl_cell *pairs, uint32_t *heap,
                      uint32_t at, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) return;
        if (child + 1 < count && pair_compare(buf, pairs, heap[child], heap[child + 1]) < 0) {
            child++;
        }
        if (pair_compare(buf, pairs, heap[at], heap[child]) >= 0) return;
        uint32_t number = heap[at];
        heap[at] = heap[child];
        heap[child] = number;
        at = child;
    }
}

/* Sort numbers of equal hashes by key; true if a key stands twice. In place, n log n. */
static bool sort_run(const struct sl_buf *buf, const struct sl_cell *pairs, uint32_t *run,
                     uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) heap_sink(buf, pairs, run, i, count);
    for (uint32_t left = count; left-- > 1;) {
        uint32_t number = run[0];
        run[0] = run[left];
        run[left] = number;
        heap_sink(buf, pairs, run, 0, left);
    }
    bool twice = false;
    for (uint32_t i = 1; i < count; i++) {
        twice |= pair_compare(buf, pairs, run[i - 1], run[i]) == 0;
    }
    return twice;
}

bool flat_pairs_sort(const struct sl_buf *buf, const struct sl_cell *pairs, uint32_t pairs_count,
                     uint32_t *order, uint32_t *scratch)
{
    if (pairs_count <= MAP_RANK_MAX) {
        if (!sort_by_rank(pairs, pairs_count, order)) return false;
    } else {
        sort_by_radix(pairs, pairs_count, order, scratch);
    }
    bool twice = false;
    for (uint32_t i = 0; i < pairs_count;) {
        uint32_t end = i + 1;
        uint16_t hash = pairs[2 * (size_t)order[i]].hash;
        while (end < pairs_count && pairs[2 * (size_t)order[end]].hash == hash) end++;
        if (end - i > 1) twice |= sort_run(buf, pairs, &order[i], end - i);
        i = end;
    }
    return twice;
}

/* True if two hashes of a small map may be equal: rarely wrong, and then only by saying so. */
static bool pairs_may_repeat(const struct sl_cell *pairs, uint32_t pairs_count)
{
    uint64_t bits[MAP_BITS_WORDS] = {0};
    uint64_t met = 0;
    for (uint32_t i = 0; i < pairs_count; i++) {
        uint32_t hash = pairs[2 * i].hash;
        uint64_t bit = UINT64_C(1) << (hash & 63);
        uint64_t *word = &bits[(hash >> 6) % MAP_BITS_WORDS];
        met |= *word & bit;
        *word |= bit;
    }
    return met != 0;
}

/*
 * A key that stood twice: the value (and its position) moves up to the first; `hole` is marked by
 * a kind that no key has.
 */
static void pair_merge(struct sl_cell *pairs, struct sl_pos *pos, uint32_t first, uint32_t hole)
{
    pairs[2 * (size_t)first + 1] = pairs[2 * (size_t)hole + 1];
    if (pos != NULL) pos[2 * (size_t)first + 1] = pos[2 * (size_t)hole + 1];
    pairs[2 * (size_t)hole].kind = SL_VALUE_NULL;
}

static uint32_t pairs_close_holes(struct sl_cell *pairs, struct sl_pos *pos, uint32_t pairs_count)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < pairs_count; i++) {
        if (pairs[2 * (size_t)i].kind == SL_VALUE_NULL) continue;
        memmove(&pairs[2 * (size_t)left], &pairs[2 * (size_t)i], 2 * sizeof(*pairs));
        if (pos != NULL) memmove(&pos[2 * (size_t)left], &pos[2 * (size_t)i], 2 * sizeof(*pos));
        left++;
    }
    return left;
}

static void merge_small(const struct sl_buf *buf, struct sl_cell *pairs, struct sl_pos *pos,
                        uint32_t pairs_count)
{
    for (uint32_t i = 1; i < pairs_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (pairs[2 * j].kind == SL_VALUE_NULL) continue;
            if (pairs[2 * j].hash != pairs[2 * i].hash) continue;
            if (pair_compare(buf, pairs, j, i) != 0) continue;
            pair_merge(pairs, pos, j, i);
            break;
        }
    }
}

/* The same where `order` is sorted: equal keys stand side by side in it. */
static void merge_large(const struct sl_buf *buf, struct sl_cell *pairs, struct sl_pos *pos,
                        const uint32_t *order, uint32_t pairs_count)
{
    for (uint32_t i = 0; i < pairs_count;) {
        uint32_t end = i + 1;
        while (end < pairs_count && pair_compare(buf, pairs, order[i], order[end]) == 0) end++;
        uint32_t first = order[i], last = order[i];
        for (uint32_t j = i; j < end; j++) {
            if (order[j] < first) first = order[j];
            if (order[j] > last) last = order[j];
        }
        for (uint32_t j = i; j < end; j++) {
            if (order[j] != first && order[j] != last) {
                pairs[2 * (size_t)order[j]].kind = SL_VALUE_NULL;
            }
        }
        if (first != last) pair_merge(pairs, pos, first, last);
        i = end;
    }
}

uint32_t flat_pairs_dedupe(const struct sl_buf *buf, struct sl_cell *pairs, struct sl_pos *pos,
                           uint32_t pairs_count, const uint32_t *order)
{
    if (order != NULL) {
        merge_large(buf, pairs, pos, order, pairs_count);
    } else {
        sl_assert(pairs_count <= SL_PAYLOAD_MAP_INDEX_MIN);
        if (!pairs_may_repeat(pairs, pairs_count)) return pairs_count;
        merge_small(buf, pairs, pos, pairs_count);
    }
    return pairs_close_holes(pairs, pos, pairs_count);
}

int64_t sl_value_find_indexed(struct sl_value map, const void *key, size_t key_size)
{
    sl_assert(map.cell->flags & SL_CELL_INDEXED);
    const struct sl_cell *pairs = &map.buf->cells[map.cell->word];
    const uint8_t *order = sl_cell_bytes(map.buf, &pairs[2 * (size_t)map.cell->len]);
    if (key_size > UINT32_MAX) return -1;
    struct sl_cell wanted = {.hash = sl_hash16(key, key_size), .len = (uint32_t)key_size};
    uint32_t low = 0, high = map.cell->len;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t number;
        memcpy(&number, order + (size_t)middle * 4, 4);
        const struct sl_cell *cell = &pairs[2 * (size_t)number];
        int found = flat_key_compare(key, &wanted, sl_cell_bytes(map.buf, cell), cell);
        if (found == 0) return number;
        if (found < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return -1;
}
