/* SPDX-License-Identifier: MIT */
/*
 * Queries and forms: pairs gathered by name into name → [values], in order of first appearance.
 *
 * The number of pairs is limited, and names are found by a small hash table, so that no text
 * costs more than a bounded time.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/base/hash.h"
#include "core/mem/mem.h"
#include "io/http/body.h"

#define NONE UINT16_MAX

enum { BUCKETS_COUNT = 256 };

static_assert(SL_HTTP_PAIRS_MAX < UINT16_MAX, "pairs are numbered in 16 bits");

struct pair {
    struct sl_slice name; /* decoded */
    struct sl_slice value;
    uint16_t next_name;  /* in the bucket: only first appearances stand there */
    uint16_t next_value; /* of the same name */
    uint16_t last;       /* of a first appearance: its last value */
    bool is_first;
};

struct gather {
    struct pair *pairs;
    uint32_t count;
    uint8_t *names; /* decoded names, one behind the other */
    uint16_t buckets[BUCKETS_COUNT];
};

static void gather_add(struct gather *gather, struct sl_slice name, struct sl_slice value)
{
    uint16_t index = (uint16_t)gather->count++;
    struct pair *pair = &gather->pairs[index];
    size_t size = sl_http1_query_decode(name, gather->names);
    *pair = (struct pair){.name = {gather->names, size}, .value = value};
    pair->next_name = NONE;
    pair->next_value = NONE;
    gather->names += size;
    uint16_t *bucket = &gather->buckets[sl_hash16(pair->name.data, size) % BUCKETS_COUNT];
    for (uint16_t at = *bucket; at != NONE; at = gather->pairs[at].next_name) {
        struct pair *first = &gather->pairs[at];
        if (!sl_slice_eq(first->name, pair->name)) continue;
        gather->pairs[first->last].next_value = index;
        first->last = index;
        return;
    }
    pair->is_first = true;
    pair->last = index;
    pair->next_name = *bucket;
    *bucket = index;
}

static void build_value(struct sl_builder *builder, struct sl_slice value)
{
    if (value.size == 0 || sl_http1_query_is_plain(value)) {
        sl_build_string(builder, value.data, value.size);
        return;
    }
    uint8_t *out = sl_build_string_reserve(builder, value.size);
    if (out != NULL) sl_build_string_shrink(builder, sl_http1_query_decode(value, out));
}

static struct sl_value gather_build(const struct gather *gather, struct sl_mem *mem,
                                    size_t text_size)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, 3 * gather->count + 2, (uint32_t)text_size);
    sl_build_map_begin(&builder);
    for (uint32_t i = 0; i < gather->count; i++) {
        const struct pair *pair = &gather->pairs[i];
        if (!pair->is_first) continue;
        sl_build_key(&builder, pair->name.data, pair->name.size);
        sl_build_list_begin(&builder);
        for (uint32_t at = i; at != NONE; at = gather->pairs[at].next_value) {
            build_value(&builder, gather->pairs[at].value);
        }
        sl_build_list_end(&builder);
    }
    sl_build_map_end(&builder);
    struct sl_value value;
    return sl_builder_finish(&builder, &value) < 0 ? sl_value_none() : value;
}

struct sl_value http_pairs_decode(struct sl_mem *mem, struct sl_slice text, const char *code)
{
    struct sl_http1_query query = {text};
    struct sl_slice name;
    struct sl_slice value;
    uint32_t count = 0;
    while (count <= SL_HTTP_PAIRS_MAX && sl_http1_query_next(&query, &name, &value)) count++;
    if (count > SL_HTTP_PAIRS_MAX) {
        return sl_value_new_error(mem, code, 400, "more than %d fields", SL_HTTP_PAIRS_MAX);
    }
    size_t pairs_size = (count + 1) * sizeof(struct pair);
    uint8_t *scratch = sl_mem_take(mem, pairs_size + text.size);
    if (scratch == NULL) return sl_value_none();
    struct gather gather = {.pairs = (struct pair *)scratch, .names = scratch + pairs_size};
    memset(gather.buckets, 0xff, sizeof(gather.buckets));
    query.rest = text;
    while (sl_http1_query_next(&query, &name, &value)) gather_add(&gather, name, value);
    struct sl_value result = gather_build(&gather, mem, text.size);
    sl_mem_give(mem, scratch, pairs_size + text.size);
    return result;
}
