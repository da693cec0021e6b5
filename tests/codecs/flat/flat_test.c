/* SPDX-License-Identifier: MIT */
/*
 * Building, reading, counting and comparing payloads. Sealing has its own test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/mem/mem.h"

static int mem_setup(void **state)
{
    *state = sl_mem_new(1024 * 1024 * 1024);
    return *state == NULL;
}

/* Every test gives back what it took. */
static int mem_teardown(void **state)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(*state, &stats);
    *state = sl_mem_free(*state);
    return stats.used != 0;
}

static struct sl_value finish(struct sl_builder *builder)
{
    struct sl_value value = sl_value_none();
    assert_int_equal(sl_builder_finish(builder, &value), 0);
    assert_non_null(value.cell);
    return value;
}

static void assert_text(struct sl_value value, const char *text)
{
    assert_true(sl_value_is(value, SL_VALUE_STRING));
    assert_true(sl_slice_eq_str(sl_value_slice(value), text));
}

/* {"a": 1, "list": [true, null, "text", 2.5], "empty": {}, "none": []} */
static struct sl_value sample_new(struct sl_mem *mem)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, 0, 0);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "a");
    sl_build_int(&builder, 1);
    sl_build_key_str(&builder, "list");
    sl_build_list_begin(&builder);
    sl_build_bool(&builder, true);
    sl_build_null(&builder);
    sl_build_string_str(&builder, "text");
    sl_build_float(&builder, 2.5);
    sl_build_list_end(&builder);
    sl_build_key_str(&builder, "empty");
    sl_build_map_begin(&builder);
    sl_build_map_end(&builder);
    sl_build_key_str(&builder, "none");
    sl_build_list_begin(&builder);
    sl_build_list_end(&builder);
    sl_build_map_end(&builder);
    return finish(&builder);
}

static void builder_nested_reads_back(void **state)
{
    struct sl_value map = sample_new(*state);
    assert_int_equal(sl_value_kind(map), SL_VALUE_MAP);
    assert_int_equal(sl_value_count(map), 4);
    assert_int_equal(sl_value_get_str(map, "a").cell->i64, 1);
    struct sl_value list = sl_value_get_str(map, "list");
    assert_int_equal(sl_value_count(list), 4);
    assert_int_equal(sl_value_list_at(list, 0).cell->word, 1);
    assert_true(sl_value_is(sl_value_list_at(list, 1), SL_VALUE_NULL));
    assert_text(sl_value_list_at(list, 2), "text");
    assert_true(sl_value_list_at(list, 3).cell->f64 == 2.5);
    assert_true(sl_value_is(sl_value_get_str(map, "empty"), SL_VALUE_MAP));
    assert_int_equal(sl_value_count(sl_value_get_str(map, "empty")), 0);
    assert_true(sl_value_is_none(sl_value_get_str(sl_value_get_str(map, "empty"), "x")));
    assert_true(sl_value_is(sl_value_get_str(map, "none"), SL_VALUE_LIST));
    assert_true(sl_value_is_none(sl_value_get_str(map, "b")));
    assert_int_equal(map.buf->depth, 2);
    assert_true(sl_slice_eq_str(sl_value_key_at(map, 3), "none"));
    sl_value_unref(map);
}

static void builder_heap_reads_back(void **state)
{
    (void)state;
    struct sl_value map = sample_new(NULL);
    assert_int_equal(sl_value_count(map), 4);
    sl_value_unref(map);
}

static void builder_uint_small_becomes_int(void **state)
{
    struct sl_value small = sl_value_new_uint(*state, INT64_MAX);
    struct sl_value large = sl_value_new_uint(*state, (uint64_t)INT64_MAX + 1);
    assert_int_equal(sl_value_kind(small), SL_VALUE_INT);
    assert_int_equal(sl_value_kind(large), SL_VALUE_UINT);
    sl_value_unref(small);
    sl_value_unref(large);
}

static void builder_many_children_grow(void **state)
{
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    for (int i = 0; i < 100000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        sl_build_list_begin(&builder);
        sl_build_string_str(&builder, text);
        sl_build_list_end(&builder);
    }
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    assert_int_equal(sl_value_count(list), 100000);
    assert_text(sl_value_list_at(sl_value_list_at(list, 0), 0), "0");
    assert_text(sl_value_list_at(sl_value_list_at(list, 99999), 0), "99999");
    sl_value_unref(list);
}

static void builder_depth_limit_fails(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct sl_builder builder;
        struct sl_value value;
        int depth = SL_PAYLOAD_DEPTH_MAX + over;
        sl_builder_init(&builder, *state, 0, 0);
        for (int i = 0; i < depth; i++) sl_build_list_begin(&builder);
        for (int i = 0; i < depth; i++) sl_build_list_end(&builder);
        assert_int_equal(sl_builder_finish(&builder, &value), over ? -E2BIG : 0);
        if (!over) sl_value_unref(value);
    }
}

static void builder_no_memory_fails(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(512 * 1024);
    struct sl_builder builder;
    struct sl_value value;
    sl_builder_init(&builder, mem, 0, 0);
    sl_build_list_begin(&builder);
    for (int i = 0; i < 100000; i++) sl_build_int(&builder, i);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), -ENOMEM);
    struct sl_mem_stats stats;
    sl_mem_stats_get(mem, &stats);
    assert_int_equal(stats.used, 0);
    sl_mem_free(mem);
}

static void builder_fini_halfway_gives_back(void **state)
{
    struct sl_value sample = sample_new(*state);
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_builder_track(&builder);
    sl_build_list_begin(&builder);
    sl_build_value(&builder, sample);
    for (int i = 0; i < 100; i++) sl_build_string_str(&builder, "some text");
    sl_builder_fini(&builder);
    sl_builder_fini(&builder);
    assert_int_equal(sample.buf->refs, 1);
    sl_value_unref(sample);
}

static void builder_reserve_shrink_keeps_text(void **state)
{
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    uint8_t *at = sl_build_string_reserve(&builder, 1000);
    assert_non_null(at);
    memcpy(at, "short", 5);
    sl_build_string_shrink(&builder, 5);
    sl_build_string_str(&builder, "next");
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    assert_text(sl_value_list_at(list, 0), "short");
    assert_text(sl_value_list_at(list, 1), "next");
    assert_int_equal(list.buf->bytes_size, 9);
    sl_value_unref(list);
}

static void map_duplicate_small_last_wins(void **state)
{
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_map_begin(&builder);
    const char *keys[] = {"a", "b", "a", "c", "b", "a"};
    for (int i = 0; i < 6; i++) {
        sl_build_key_str(&builder, keys[i]);
        sl_build_int(&builder, i);
    }
    sl_build_map_end(&builder);
    assert_int_equal(builder.duplicates, 3);
    struct sl_value map = finish(&builder);
    assert_int_equal(sl_value_count(map), 3);
    assert_true(sl_slice_eq_str(sl_value_key_at(map, 0), "a"));
    assert_int_equal(sl_value_map_at(map, 0).cell->i64, 5);
    assert_true(sl_slice_eq_str(sl_value_key_at(map, 1), "b"));
    assert_int_equal(sl_value_map_at(map, 1).cell->i64, 4);
    assert_true(sl_slice_eq_str(sl_value_key_at(map, 2), "c"));
    assert_int_equal(sl_value_map_at(map, 2).cell->i64, 3);
    sl_value_unref(map);
}

/* Maps of every size around the borders, each key `copies` times. */
static void check_map(struct sl_mem *mem, int count, int copies)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, 0, 0);
    sl_builder_track(&builder);
    sl_build_map_begin(&builder);
    char key[32];
    for (int copy = 0; copy < copies; copy++) {
        for (int i = 0; i < count; i++) {
            int size = snprintf(key, sizeof(key), "key-%d", i * 7919);
            builder.pos = (struct sl_pos){(uint32_t)(copy + 1), (uint32_t)i + 1};
            sl_build_key(&builder, key, (size_t)size);
            sl_build_int(&builder, copy * count + i);
        }
    }
    sl_build_map_end(&builder);
    assert_int_equal(builder.duplicates, count * (copies - 1));
    struct sl_value map = finish(&builder);
    assert_int_equal(sl_value_count(map), count);
    assert_int_equal((map.cell->flags & SL_CELL_INDEXED) != 0, count > SL_PAYLOAD_MAP_INDEX_MIN);
    for (int i = 0; i < count; i++) {
        int size = snprintf(key, sizeof(key), "key-%d", i * 7919);
        struct sl_slice slice = sl_slice_make(key, (size_t)size);
        assert_true(sl_slice_eq(sl_value_key_at(map, (uint32_t)i), slice));
        struct sl_value value = sl_value_get(map, slice);
        assert_false(sl_value_is_none(value));
        assert_int_equal(value.cell->i64, (copies - 1) * count + i);
        assert_int_equal(sl_value_pos(value).line, copies);
        assert_int_equal(sl_value_key_pos(map, (uint32_t)i).line, 1);
        assert_int_equal(sl_value_pos(value).column, i + 1);
    }
    assert_true(sl_value_is_none(sl_value_get_str(map, "key-")));
    assert_true(sl_value_is_none(sl_value_get_str(map, "")));
    sl_value_unref(map);
}

static void map_sizes_find_every_key(void **state)
{
    const int counts[] = {0, 1, 2, 15, 16, 17, 18, 63, 64, 65, 66, 500, 70000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        check_map(*state, counts[i], 1);
        check_map(*state, counts[i], 2);
        if (counts[i] < 1000) check_map(*state, counts[i], 5);
    }
}

/* Keys that all have one hash must not make building or finding quadratic: 20,000 end at once. */
static void map_equal_hashes_find_every_key(void **state)
{
    enum { COUNT = 20000 };
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_map_begin(&builder);
    uint64_t number = 0, numbers[COUNT];
    uint16_t hash = sl_hash16("12345678", 8);
    for (int i = 0; i < COUNT; number++) {
        if (sl_hash16(&number, 8) != hash) continue;
        numbers[i] = number;
        sl_build_key(&builder, &number, 8);
        sl_build_int(&builder, i++);
    }
    sl_build_map_end(&builder);
    assert_int_equal(builder.duplicates, 0);
    struct sl_value map = finish(&builder);
    for (int i = 0; i < COUNT; i++) {
        struct sl_value value = sl_value_get(map, sl_slice_make(&numbers[i], 8));
        assert_false(sl_value_is_none(value));
        assert_int_equal(value.cell->i64, i);
    }
    assert_true(sl_value_is_none(sl_value_get_str(map, "12345678")));
    sl_value_unref(map);
}

static void value_part_becomes_ref_and_keeps_owner(void **state)
{
    struct sl_value sample = sample_new(*state);
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "x");
    sl_build_value(&builder, sl_value_get_str(sample, "list"));
    sl_build_key_str(&builder, "y");
    sl_build_value(&builder, sl_value_get_str(sample, "list"));
    sl_build_key_str(&builder, "z");
    sl_build_value(&builder, sl_value_get_str(sample, "a"));
    sl_build_map_end(&builder);
    struct sl_value map = finish(&builder);
    assert_int_equal(map.buf->owners_count, 1);
    assert_int_equal(sample.buf->refs, 2);
    struct sl_buf *owner = sample.buf;
    sl_value_unref(sample);
    assert_int_equal(owner->refs, 1);
    struct sl_value list = sl_value_get_str(map, "x");
    assert_ptr_equal(list.buf, owner);
    assert_text(sl_value_list_at(list, 2), "text");
    assert_true(sl_value_equal(list, sl_value_get_str(map, "y")));
    assert_int_equal(sl_value_get_str(map, "z").cell->i64, 1);
    sl_value_unref(map);
}

static void value_root_is_handed_over(void **state)
{
    struct sl_value sample = sample_new(*state);
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_value(&builder, sample);
    struct sl_value same = finish(&builder);
    assert_ptr_equal(same.buf, sample.buf);
    assert_ptr_equal(same.cell, sample.cell);
    assert_int_equal(sample.buf->refs, 2);
    sl_value_unref(same);
    sl_value_unref(sample);
}

static void value_string_long_is_borrowed(void **state)
{
    char text[300];
    memset(text, 'x', sizeof(text));
    struct sl_value one = sl_value_new_string(*state, text, sizeof(text));
    struct sl_value chain = sl_value_ref(one);
    /* Handed on a hundred times, it belongs to its first owner and keeps nobody else alive. */
    for (int i = 0; i < 100; i++) {
        struct sl_builder builder;
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_value(&builder, chain);
        struct sl_value next = finish(&builder);
        sl_value_unref(chain);
        chain = next;
    }
    assert_ptr_equal(sl_value_slice(chain).data, sl_value_slice(one).data);
    assert_int_equal(one.buf->refs, 2);
    sl_value_unref(one);
    assert_int_equal(chain.buf->owners_count, 1);
    sl_value_unref(chain);
}

/* A chain of 200,000 owners is freed without recursion. */
static void unref_long_chain_of_owners_frees_all(void **state)
{
    char text[64] = {0};
    struct sl_value list = sl_value_new_int(*state, 1);
    for (int i = 0; i < 200000; i++) {
        struct sl_builder builder;
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_list_begin(&builder);
        sl_build_string_borrow(&builder, list.buf, text, sizeof(text));
        sl_build_list_end(&builder);
        struct sl_value next = finish(&builder);
        sl_value_unref(list);
        list = next;
    }
    sl_value_unref(list);
}

static void value_many_owners_are_handed_over(void **state)
{
    enum { COUNT = 150000 };
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    for (int i = 0; i < COUNT; i++) {
        struct sl_builder inner;
        sl_builder_init(&inner, *state, 2, 1);
        sl_build_list_begin(&inner);
        sl_build_int(&inner, i);
        sl_build_list_end(&inner);
        struct sl_value value = finish(&inner);
        sl_build_value(&builder, value);
        sl_value_unref(value);
    }
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    for (uint32_t i = 0; i < COUNT; i += 997) {
        assert_int_equal(sl_value_list_at(sl_value_list_at(list, i), 0).cell->i64, i);
    }
    sl_value_unref(list);
}

/* Each level holds the one below twice: 2^n values in n buffers must be refused in time. */
static void value_shared_doubling_fails(void **state)
{
    struct sl_value value = sample_new(*state);
    int result = 0, levels = 0;
    for (; levels < 64; levels++) {
        struct sl_builder builder;
        struct sl_value next;
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_list_begin(&builder);
        sl_build_value(&builder, value);
        sl_build_value(&builder, value);
        sl_build_list_end(&builder);
        result = sl_builder_finish(&builder, &next);
        if (result < 0) break;
        sl_value_unref(value);
        value = next;
    }
    assert_int_equal(result, -E2BIG);
    assert_in_range(levels, 18, 24);
    sl_value_unref(value);
}

/* Many small parts of one large buffer: the bound is far beyond the limit, the truth is not. */
static void value_many_parts_of_a_large_buffer_are_fine(void **state)
{
    enum { COUNT = 50000 };
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    for (int i = 0; i < COUNT; i++) {
        sl_build_list_begin(&builder);
        sl_build_int(&builder, i);
        sl_build_list_end(&builder);
    }
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    for (uint32_t i = 0; i < COUNT; i++) sl_build_value(&builder, sl_value_list_at(list, i));
    sl_build_list_end(&builder);
    struct sl_value parts = finish(&builder);
    assert_int_equal(parts.buf->owners_count, 1);
    assert_true(sl_value_equal(parts, list));
    sl_value_unref(parts);
    sl_value_unref(list);
}

static void value_depth_through_refs_is_limited(void **state)
{
    struct sl_value value = sl_value_ref(sl_value_null());
    int result = 0, depth = 0;
    for (; depth < 1000; depth++) {
        struct sl_builder builder;
        struct sl_value next;
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_list_begin(&builder);
        sl_build_value(&builder, value);
        sl_build_list_end(&builder);
        result = sl_builder_finish(&builder, &next);
        if (result < 0) break;
        sl_value_unref(value);
        value = next;
    }
    assert_int_equal(result, -E2BIG);
    assert_int_equal(depth, SL_PAYLOAD_DEPTH_MAX);
    sl_value_unref(value);
}

static int decode_calls;

static struct sl_value decode_sample(struct sl_lazy *lazy, struct sl_buf *owner)
{
    decode_calls++;
    assert_int_equal(lazy->tag, 7);
    return sample_new(owner->mem);
}

static struct sl_value decode_nothing(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)lazy;
    (void)owner;
    return sl_value_none();
}

static struct sl_value lazy_new(struct sl_mem *mem,
                                struct sl_value (*decode)(struct sl_lazy *, struct sl_buf *))
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, 0, 0);
    struct sl_lazy *lazies = sl_builder_lazies_reserve(&builder, 1);
    assert_non_null(lazies);
    lazies[0].decode = decode;
    lazies[0].tag = 7;
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "body");
    sl_build_lazy(&builder, 0);
    sl_build_map_end(&builder);
    return finish(&builder);
}

static void lazy_is_decoded_once_and_dropped(void **state)
{
    decode_calls = 0;
    struct sl_value map = lazy_new(*state, decode_sample);
    assert_int_equal(decode_calls, 0);
    assert_int_equal(sl_value_get_str(sl_value_get_str(map, "body"), "a").cell->i64, 1);
    struct sl_value body = sl_value_ref(sl_value_get_str(map, "body"));
    assert_int_equal(decode_calls, 1);
    sl_value_unref(map);
    assert_int_equal(sl_value_get_str(body, "a").cell->i64, 1);
    sl_value_unref(body);
}

static void lazy_never_read_is_dropped(void **state)
{
    decode_calls = 0;
    sl_value_unref(lazy_new(*state, decode_sample));
    assert_int_equal(decode_calls, 0);
}

/* A part passed on undecoded stays so while it is weighed; whoever reads it decodes it. */
static void lazy_behind_ref_is_decoded_by_its_reader(void **state)
{
    decode_calls = 0;
    struct sl_value map = lazy_new(*state, decode_sample);
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_part(&builder, map.buf, &map.buf->cells[map.cell->word + 1]);
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    struct sl_value chain = sl_value_ref(list);
    for (int i = 0; i < SL_PAYLOAD_DEPTH_MAX - 2; i++) {
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_list_begin(&builder);
        sl_build_value(&builder, chain);
        sl_build_list_end(&builder);
        sl_value_unref(chain);
        chain = finish(&builder);
    }
    assert_int_equal(decode_calls, 0);
    assert_int_equal(sl_value_get_str(sl_value_list_at(list, 0), "a").cell->i64, 1);
    assert_int_equal(decode_calls, 1);
    sl_value_unref(chain);
    sl_value_unref(list);
    sl_value_unref(map);
}

static void lazy_without_memory_is_an_error_value(void **state)
{
    struct sl_value map = lazy_new(*state, decode_nothing);
    struct sl_value body = sl_value_get_str(map, "body");
    assert_true(sl_value_is(body, SL_VALUE_ERROR));
    assert_text(sl_error_part(body, SL_ERROR_CODE), "no_memory");
    assert_text(sl_error_part(body, SL_ERROR_MESSAGE), "no memory");
    sl_value_unref(map);
}

static void error_caused_finds_messages(void **state)
{
    struct sl_value cause = sl_value_new_error(*state, "bad_body", 400, "unsupported %s", "value");
    struct sl_value error = sl_value_new_error_caused(*state, "http", 0, cause, "request failed");
    sl_value_unref(cause);
    assert_text(sl_error_part(error, SL_ERROR_CODE), "http");
    assert_true(sl_value_is(sl_error_part(error, SL_ERROR_STATUS), SL_VALUE_NULL));
    assert_true(sl_value_is(sl_error_part(error, SL_ERROR_DATA), SL_VALUE_NULL));
    struct sl_value inner = sl_error_part(error, SL_ERROR_CAUSE);
    assert_int_equal(sl_error_part(inner, SL_ERROR_STATUS).cell->i64, 400);
    assert_true(sl_error_has_message(error, SL_SLICE("unsupported value")));
    assert_true(sl_error_has_message(error, SL_SLICE("request failed")));
    assert_false(sl_error_has_message(error, SL_SLICE("http")));
    sl_value_unref(error);
}

static void error_chain_too_deep_loses_its_tail(void **state)
{
    struct sl_value error = sl_value_new_error(*state, "first", 0, "first");
    for (int i = 0; i < SL_PAYLOAD_DEPTH_MAX + 5; i++) {
        struct sl_value next = sl_value_new_error_caused(*state, "next", 0, error, "next %d", i);
        assert_true(sl_value_is(next, SL_VALUE_ERROR));
        sl_value_unref(error);
        error = next;
    }
    assert_text(sl_error_part(error, SL_ERROR_MESSAGE), "next 132");
    sl_value_unref(error);
}

static struct sl_value number(struct sl_mem *mem, int kind, double f64, uint64_t word)
{
    if (kind == SL_VALUE_FLOAT) return sl_value_new_float(mem, f64);
    return kind == SL_VALUE_INT ? sl_value_new_int(mem, (int64_t)word)
                                : sl_value_new_uint(mem, word);
}

static void compare_numbers_exact_over_64_bits(void **state)
{
    const struct {
        int a_kind;
        double a_f64;
        uint64_t a_word;
        int b_kind;
        double b_f64;
        uint64_t b_word;
        int order;
    } cases[] = {
        {SL_VALUE_INT, 0, 1, SL_VALUE_FLOAT, 1.0, 0, 0},
        {SL_VALUE_INT, 0, 1, SL_VALUE_FLOAT, 1.5, 0, -1},
        {SL_VALUE_INT, 0, (uint64_t)-1, SL_VALUE_FLOAT, -1.5, 0, 1},
        {SL_VALUE_INT, 0, 0, SL_VALUE_FLOAT, -0.0, 0, 0},
        {SL_VALUE_INT, 0, INT64_MAX, SL_VALUE_FLOAT, 0x1p63, 0, -1},
        {SL_VALUE_INT, 0, INT64_MAX, SL_VALUE_UINT, 0, UINT64_C(1) << 63, -1},
        {SL_VALUE_UINT, 0, UINT64_C(1) << 63, SL_VALUE_FLOAT, 0x1p63, 0, 0},
        {SL_VALUE_UINT, 0, UINT64_MAX, SL_VALUE_FLOAT, 0x1p64, 0, -1},
        {SL_VALUE_UINT, 0, UINT64_MAX, SL_VALUE_INT, 0, (uint64_t)-1, 1},
        {SL_VALUE_INT, 0, (uint64_t)INT64_MIN, SL_VALUE_FLOAT, -0x1p63, 0, 0},
        {SL_VALUE_INT, 0, (uint64_t)INT64_MIN, SL_VALUE_FLOAT, -INFINITY, 0, 1},
        {SL_VALUE_UINT, 0, UINT64_MAX, SL_VALUE_FLOAT, INFINITY, 0, -1},
        {SL_VALUE_INT, 0, (UINT64_C(1) << 53) + 1, SL_VALUE_FLOAT, 0x1p53, 0, 1},
        {SL_VALUE_INT, 0, UINT64_C(1) << 53, SL_VALUE_FLOAT, 0x1p53, 0, 0},
        {SL_VALUE_FLOAT, 1.0, 0, SL_VALUE_FLOAT, 2.0, 0, -1},
        {SL_VALUE_FLOAT, NAN, 0, SL_VALUE_INT, 0, 0, 2},
        {SL_VALUE_FLOAT, NAN, 0, SL_VALUE_FLOAT, NAN, 0, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_value a = number(*state, cases[i].a_kind, cases[i].a_f64, cases[i].a_word);
        struct sl_value b = number(*state, cases[i].b_kind, cases[i].b_f64, cases[i].b_word);
        int order = cases[i].order;
        assert_int_equal(sl_value_compare_numbers(a, b), order);
        assert_int_equal(sl_value_compare_numbers(b, a), order == 2 ? 2 : -order);
        assert_int_equal(sl_value_equal(a, b), order == 0);
        sl_value_unref(a);
        sl_value_unref(b);
    }
}

/* A map of the first `count` letters, forwards or backwards; one value may differ. */
static struct sl_value letters_new(struct sl_mem *mem, int count, bool backwards, int different)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, 0, 0);
    sl_build_map_begin(&builder);
    for (int i = 0; i < count; i++) {
        int at = backwards ? count - 1 - i : i;
        char key = (char)('a' + at);
        sl_build_key(&builder, &key, 1);
        sl_build_list_begin(&builder);
        sl_build_int(&builder, at == different ? -1 : at);
        sl_build_list_end(&builder);
    }
    sl_build_map_end(&builder);
    return finish(&builder);
}

static void equal_maps_ignore_order(void **state)
{
    for (int count = 1; count <= 26; count++) {
        struct sl_value a = letters_new(*state, count, false, -1);
        struct sl_value b = letters_new(*state, count, true, -1);
        struct sl_value c = letters_new(*state, count, true, count / 2);
        struct sl_value d = letters_new(*state, count - 1, true, -1);
        assert_true(sl_value_equal(a, a));
        assert_true(sl_value_equal(a, b));
        assert_false(sl_value_equal(a, c));
        assert_false(sl_value_equal(a, d));
        sl_value_unref(a);
        sl_value_unref(b);
        sl_value_unref(c);
        sl_value_unref(d);
    }
}

static void equal_different_kinds_differ(void **state)
{
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_null(&builder);
    sl_build_bool(&builder, false);
    sl_build_bool(&builder, true);
    sl_build_int(&builder, 0);
    sl_build_int(&builder, 1);
    sl_build_string(&builder, "", 0);
    sl_build_string(&builder, "1", 1);
    sl_build_binary(&builder, "1", 1);
    sl_build_time(&builder, 1, 5);
    sl_build_time(&builder, 1, 6);
    sl_build_duration(&builder, 1, 5);
    sl_build_list_begin(&builder);
    sl_build_list_end(&builder);
    sl_build_map_begin(&builder);
    sl_build_map_end(&builder);
    sl_build_error(&builder, SL_SLICE("a"), SL_SLICE("b"), sl_value_none(), sl_value_none(), 0);
    sl_build_error(&builder, SL_SLICE("a"), SL_SLICE("c"), sl_value_none(), sl_value_none(), 0);
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    for (uint32_t i = 0; i < sl_value_count(list); i++) {
        for (uint32_t j = 0; j < sl_value_count(list); j++) {
            assert_int_equal(sl_value_equal(sl_value_list_at(list, i), sl_value_list_at(list, j)),
                             i == j);
        }
    }
    sl_value_unref(list);
}

static void immortal_is_never_counted(void **state)
{
    (void)state;
    struct sl_value constant = sample_new(NULL);
    sl_buf_immortalize(constant.buf);
    sl_value_unref(constant);
    sl_value_ref(constant);
    assert_int_equal(constant.buf->refs, SL_BUF_IMMORTAL);
    struct sl_builder builder;
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_value(&builder, constant);
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    assert_int_equal(list.buf->owners_count, 0);
    assert_true(sl_value_equal(sl_value_list_at(list, 0), constant));
    sl_value_unref(list);
    sl_buf_free_immortal(constant.buf);
    sl_buf_free_immortal(NULL);
}

static void copy_is_self_contained(void **state)
{
    struct sl_value lazy = lazy_new(*state, decode_sample);
    struct sl_value sample = sample_new(*state);
    struct sl_builder builder;
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_value(&builder, lazy);
    sl_build_value(&builder, sl_value_get_str(sample, "list"));
    sl_build_list_end(&builder);
    struct sl_value list = finish(&builder);
    struct sl_value copy;
    assert_int_equal(sl_value_copy(list, NULL, &copy), 0);
    assert_true(sl_value_equal(list, copy));
    assert_int_equal(copy.buf->owners_count, 0);
    assert_int_equal(copy.buf->lazies_count, 0);
    assert_int_equal(copy.buf->depth, 4);
    sl_value_unref(list);
    sl_value_unref(lazy);
    assert_true(sl_value_equal(sl_value_get_str(sl_value_list_at(copy, 0), "body"), sample));
    sl_value_unref(sample);
    sl_value_unref(copy);
}

static void copy_of_scalars_and_constants(void **state)
{
    struct sl_value copy;
    assert_int_equal(sl_value_copy(sl_value_bool(true), *state, &copy), 0);
    assert_true(sl_value_equal(copy, sl_value_bool(true)));
    sl_value_unref(copy);
    struct sl_value sample = sample_new(*state);
    struct sl_value key = {sample.buf, &sample.buf->cells[sample.cell->word]};
    assert_int_not_equal(key.cell->hash, 0);
    assert_int_equal(sl_value_copy(key, *state, &copy), 0);
    assert_text(copy, "a");
    assert_int_equal(copy.cell->hash, 0);
    sl_value_unref(copy);
    sl_value_unref(sample);
}

static void new_int_takes_one_small_block(void **state)
{
    struct sl_value value = sl_value_new_int(*state, 42);
    struct sl_mem_stats stats;
    sl_mem_stats_get(*state, &stats);
    assert_int_equal(stats.used, 96);
    sl_value_unref(value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mem_setup, mem_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(builder_nested_reads_back),
        TEST(builder_heap_reads_back),
        TEST(builder_uint_small_becomes_int),
        TEST(builder_many_children_grow),
        TEST(builder_depth_limit_fails),
        TEST(builder_no_memory_fails),
        TEST(builder_fini_halfway_gives_back),
        TEST(builder_reserve_shrink_keeps_text),
        TEST(map_duplicate_small_last_wins),
        TEST(map_sizes_find_every_key),
        TEST(map_equal_hashes_find_every_key),
        TEST(value_part_becomes_ref_and_keeps_owner),
        TEST(value_root_is_handed_over),
        TEST(value_string_long_is_borrowed),
        TEST(unref_long_chain_of_owners_frees_all),
        TEST(value_many_owners_are_handed_over),
        TEST(value_shared_doubling_fails),
        TEST(value_many_parts_of_a_large_buffer_are_fine),
        TEST(value_depth_through_refs_is_limited),
        TEST(lazy_is_decoded_once_and_dropped),
        TEST(lazy_never_read_is_dropped),
        TEST(lazy_behind_ref_is_decoded_by_its_reader),
        TEST(lazy_without_memory_is_an_error_value),
        TEST(error_caused_finds_messages),
        TEST(error_chain_too_deep_loses_its_tail),
        TEST(compare_numbers_exact_over_64_bits),
        TEST(equal_maps_ignore_order),
        TEST(equal_different_kinds_differ),
        TEST(immortal_is_never_counted),
        TEST(copy_is_self_contained),
        TEST(copy_of_scalars_and_constants),
        TEST(new_int_takes_one_small_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
