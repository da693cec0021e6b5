/* SPDX-License-Identifier: MIT */
/*
 * Sealing, verifying, opening. The last test damages every byte of many packets: what the verifier
 * lets through must open, read and seal again without a single access out of bounds (run it under
 * AddressSanitizer).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/flat/flat_view.h"
#include "core/mem/mem.h"
#include "tests/codecs/flat/sample.h"

static int mem_setup(void **state)
{
    *state = sl_mem_new(1024 * 1024 * 1024);
    return *state == NULL;
}

static int mem_teardown(void **state)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(*state, &stats);
    *state = sl_mem_free(*state);
    return stats.used != 0;
}

static uint8_t *seal(struct sl_value value, size_t *ret_size)
{
    const struct sl_flat_envelope envelope = {UINT64_C(0x1122334455667788), 3, 4, 5};
    uint8_t *data = NULL;
    assert_int_equal(sl_flat_seal_dup(value, &envelope, &data, ret_size), 0);
    return data;
}

static void seal_samples_open_to_the_same_bits(void **state)
{
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct sl_value value = sample_make(*state, seed);
        struct sl_flat_envelope envelope;
        struct sl_value opened, borrowed;
        size_t size, told, again_size;
        struct sl_diag diag = {0};
        uint8_t *data = seal(value, &size);
        assert_int_equal(sl_flat_sealed_size(value, &told), 0);
        assert_int_equal(told, size);
        assert_int_equal(size % 8, 0);
        if (sl_flat_verify(data, size, &diag) != 0)
            fail_msg("seed %u: %s", (unsigned)seed, diag.text);
        assert_int_equal(sl_flat_open(data, size, *state, &envelope, &opened), 0);
        assert_true(envelope.process == UINT64_C(0x1122334455667788));
        assert_int_equal(envelope.source, 3);
        assert_int_equal(envelope.target, 4);
        assert_int_equal(envelope.flags, 5);
        assert_int_equal(sl_flat_open_borrow(data, size, *state, NULL, &borrowed), 0);
        uint8_t *again = seal(opened, &again_size);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, data, size);
        free(again);
        again = seal(borrowed, &again_size);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, data, size);
        free(again);
        assert_true(borrowed.buf->depth == opened.buf->depth);
        struct sl_value copy;
        assert_int_equal(sl_value_copy(value, *state, &copy), 0);
        assert_true(copy.buf->depth == opened.buf->depth);
        sl_value_unref(copy);
        sl_value_unref(borrowed);
        sl_value_unref(opened);
        sl_value_unref(value);
        free(data);
    }
}

static void seal_small_buffer_says_no_space(void **state)
{
    struct sl_value value = sl_value_new_int(*state, 5);
    size_t size, written = 0;
    assert_int_equal(sl_flat_sealed_size(value, &size), 0);
    uint64_t room[64];
    assert_true(size <= sizeof(room));
    assert_int_equal(sl_flat_seal(value, NULL, room, size - 1, &written), -ENOSPC);
    assert_int_equal(sl_flat_seal(value, NULL, room, size, &written), 0);
    assert_int_equal(written, size);
    sl_value_unref(value);
}

/* A request of 100 kB whose small part is sealed: the rest stays behind. */
static void seal_part_leaves_the_rest_behind(void **state)
{
    struct sl_builder builder;
    struct sl_value request;
    static char large[100000];
    sl_builder_init(&builder, *state, 0, 0);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "large");
    sl_build_string(&builder, large, sizeof(large));
    sl_build_key_str(&builder, "body");
    sl_build_list_begin(&builder);
    sl_build_int(&builder, 1);
    sl_build_string_str(&builder, "two");
    sl_build_list_end(&builder);
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &request), 0);
    struct sl_value body = sl_value_get_str(request, "body");
    struct sl_value opened;
    size_t size;
    uint8_t *data = seal(body, &size);
    assert_true(size < 200);
    assert_int_equal(sl_flat_verify(data, size, NULL), 0);
    assert_int_equal(sl_flat_open(data, size, *state, NULL, &opened), 0);
    assert_true(sl_value_equal(opened, body));
    sl_value_unref(opened);
    sl_value_unref(request);
    free(data);
}

static struct sl_value decode_list(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)lazy;
    return sample_make(owner->mem, 1);
}

static void seal_lazy_is_decoded(void **state)
{
    struct sl_builder builder;
    struct sl_value value, opened;
    sl_builder_init(&builder, *state, 0, 0);
    struct sl_lazy *lazies = sl_builder_lazies_reserve(&builder, 1);
    lazies[0].decode = decode_list;
    sl_build_list_begin(&builder);
    sl_build_lazy(&builder, 0);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    size_t size;
    uint8_t *data = seal(value, &size);
    assert_int_equal(sl_flat_verify(data, size, NULL), 0);
    assert_int_equal(sl_flat_open(data, size, *state, NULL, &opened), 0);
    struct sl_value sample = sample_make(*state, 1);
    assert_true(sl_value_equal(sl_value_list_at(opened, 0), sample));
    sl_value_unref(sample);
    sl_value_unref(opened);
    sl_value_unref(value);
    free(data);
}

static void seal_deep_value_verifies_at_the_limit(void **state)
{
    struct sl_builder builder;
    struct sl_value value, opened;
    sl_builder_init(&builder, *state, 0, 0);
    for (int i = 0; i < SL_PAYLOAD_DEPTH_MAX; i++) sl_build_list_begin(&builder);
    sl_build_int(&builder, 1);
    for (int i = 0; i < SL_PAYLOAD_DEPTH_MAX; i++) sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    size_t size;
    uint8_t *data = seal(value, &size);
    assert_int_equal(sl_flat_verify(data, size, NULL), 0);
    assert_int_equal(sl_flat_open(data, size, *state, NULL, &opened), 0);
    assert_int_equal(opened.buf->depth, SL_PAYLOAD_DEPTH_MAX);
    sl_value_unref(opened);
    sl_value_unref(value);
    free(data);
}

/* ------------------------------------------------------------------------------------------ */
/* Damage                                                                                       */

/* Where the cells of our own sealed bytes begin. */
enum { CELLS_OFF = 88 };

static struct sl_cell *cell_at(uint8_t *data, uint32_t index)
{
    return (struct sl_cell *)(void *)(data + CELLS_OFF + index * sizeof(struct sl_cell));
}

static uint32_t cells_count(const uint8_t *data)
{
    uint32_t count;
    memcpy(&count, data + CELLS_OFF - 4, 4);
    return count;
}

static void check_refused(uint8_t *data, size_t size, const char *text)
{
    struct sl_diag diag = {0};
    assert_int_equal(sl_flat_verify(data, size, &diag), -EBADMSG);
    if (strstr(diag.text, text) == NULL) fail_msg("'%s' without '%s'", diag.text, text);
}

/* [["a", "b"], {"k": 1}] */
static uint8_t *damage_sample(struct sl_mem *mem, size_t *ret_size)
{
    struct sl_builder builder;
    struct sl_value value;
    sl_builder_init(&builder, mem, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_list_begin(&builder);
    sl_build_string_str(&builder, "a");
    sl_build_string_str(&builder, "b");
    sl_build_list_end(&builder);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "k");
    sl_build_int(&builder, 1);
    sl_build_map_end(&builder);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    uint8_t *data = seal(value, ret_size);
    sl_value_unref(value);
    return data;
}

/* The quick look and the one table by table agree, for every byte of the tables changed. */
static void check_views(const uint8_t *data, size_t size)
{
    struct flat_view quick = {.root = 0}, slow = {.root = 0};
    bool found = flat_view_open(data, size, &quick);
    bool found_slow = flat_view_open_tables(data, size, &slow) && slow.cells_count > 0 &&
                      slow.cells_count <= SL_PAYLOAD_CELLS_MAX &&
                      slow.bytes_size <= SL_PAYLOAD_BYTES_MAX;
    assert_int_equal(found, found_slow);
    if (!found) return;
    assert_true(quick.cells == slow.cells && quick.cells_count == slow.cells_count);
    assert_true(quick.bytes == slow.bytes && quick.bytes_size == slow.bytes_size);
    assert_true(quick.root == slow.root);
    assert_true(quick.envelope.process == slow.envelope.process);
    assert_true(quick.envelope.source == slow.envelope.source);
    assert_true(quick.envelope.target == slow.envelope.target);
    assert_true(quick.envelope.flags == slow.envelope.flags);
}

static void open_of_any_changed_table_both_ways_agree(void **state)
{
    size_t size;
    uint8_t *data = damage_sample(*state, &size);
    for (size_t at = 0; at < size; at++) {
        uint8_t was = data[at];
        for (int byte = 0; byte < 256; byte++) {
            data[at] = (uint8_t)byte;
            check_views(data, size);
        }
        data[at] = was;
    }
    /* Cut off anywhere: a copy of the exact size, so that one byte beyond is seen. */
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, data, cut);
        uint8_t *exact = realloc(part, cut > 0 ? cut : 1);
        assert_non_null(exact);
        check_views(exact, cut);
        free(exact);
    }
    free(data);
}

/* The tape of damage_sample: root 6; 4 = ["a","b"], 5 = map; 2 = key, 3 = 1; 0 = "a", 1 = "b". */
static void verify_damaged_cells_say_what_is_wrong(void **state)
{
    const struct {
        uint32_t cell;
        struct sl_cell is;
        const char *text;
    } cases[] = {
        {4, {.kind = SL_VALUE_LIST, .len = 2, .word = 2}, "two parents"},
        {4, {.kind = SL_VALUE_LIST, .len = 1, .word = 0}, "without a parent"},
        {4, {.kind = SL_VALUE_LIST, .len = 2, .word = 3}, "before their parent"},
        {4, {.kind = SL_VALUE_LIST, .len = UINT32_MAX, .word = 0}, "before their parent"},
        {4, {.kind = SL_VALUE_LIST, .len = 2, .word = UINT64_MAX}, "before their parent"},
        {6, {.kind = SL_VALUE_LIST, .len = 2, .word = 5}, "before their parent"},
        {4, {.kind = SL_VALUE_LIST, .len = 0, .word = 1}, "empty container"},
        {4, {.kind = SL_VALUE_MAP, .len = 1, .word = 0}, "wrong key hash"},
        {4, {.kind = SL_VALUE_LIST, .flags = 2, .len = 2, .word = 0}, "unknown flags"},
        {4, {.kind = SL_VALUE_ERROR, .len = 2, .word = 0}, "error of wrong size"},
        {0, {.kind = SL_VALUE_STRING, .len = 4, .word = 0}, "out of bounds"},
        {0, {.kind = SL_VALUE_STRING, .len = 1, .word = UINT64_MAX}, "out of bounds"},
        {0, {.kind = SL_VALUE_STRING, .len = 3, .word = 0}, "overlap"},
        {0, {.kind = SL_VALUE_STRING, .flags = SL_CELL_POINTER, .len = 1}, "flags"},
        {0, {.kind = SL_VALUE_REF, .len = 1, .word = 1}, "unknown kind"},
        {0, {.kind = SL_VALUE_LAZY, .len = 0, .word = 0}, "unknown kind"},
        {0, {.kind = 12}, "unknown kind"},
        {0, {.kind = SL_VALUE_BOOL, .word = 2}, "bool"},
        {0, {.kind = SL_VALUE_UINT, .word = 2}, "should be an Int"},
        {0, {.kind = SL_VALUE_INT, .hash = 1, .word = 2}, "not a key"},
        {0, {.kind = SL_VALUE_TIME, .len = 1000000000}, "nanoseconds"},
        {2, {.kind = SL_VALUE_STRING, .hash = 1, .len = 1, .word = 0}, "wrong key hash"},
        {2, {.kind = SL_VALUE_INT, .word = 0}, "key that is not a string"},
        {5, {.kind = SL_VALUE_MAP, .flags = SL_CELL_INDEXED, .len = 1, .word = 2}, "two parents"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size;
        uint8_t *data = damage_sample(*state, &size);
        assert_int_equal(cells_count(data), 7);
        *cell_at(data, cases[i].cell) = cases[i].is;
        check_refused(data, size, cases[i].text);
        free(data);
    }
}

static void verify_depth_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    /* A tape of 200 lists, each around the one before, written by hand over a valid packet. */
    enum { COUNT = 200 };
    struct sl_builder builder;
    struct sl_value value;
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_list_begin(&builder);
    for (int i = 0; i < COUNT - 1; i++) sl_build_null(&builder);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    size_t size;
    uint8_t *data = seal(value, &size);
    sl_value_unref(value);
    for (uint32_t i = 1; i < COUNT; i++) {
        *cell_at(data, i) = (struct sl_cell){.kind = SL_VALUE_LIST, .len = 1, .word = i - 1};
    }
    check_refused(data, size, "too deep");
    free(data);
}

static void verify_key_that_stands_twice_is_refused(void **state)
{
    for (int count = 2; count < 40; count += 30) {
        struct sl_builder builder;
        struct sl_value value;
        sl_builder_init(&builder, *state, 0, 0);
        sl_build_map_begin(&builder);
        for (int i = 0; i < count; i++) {
            char key[2] = {'k', (char)('0' + i)};
            sl_build_key(&builder, key, 2);
            sl_build_null(&builder);
        }
        sl_build_map_end(&builder);
        assert_int_equal(sl_builder_finish(&builder, &value), 0);
        size_t size;
        uint8_t *data = seal(value, &size);
        sl_value_unref(value);
        assert_int_equal(sl_flat_verify(data, size, NULL), 0);
        *cell_at(data, 2) = *cell_at(data, 0);
        check_refused(data, size, count > 16 ? "unsorted" : "stands twice");
        free(data);
    }
}

/* What the verifier lets through must be as good as what we make ourselves. */
static bool check_bytes(struct sl_mem *mem, const uint8_t *data, size_t size)
{
    /* Copies of the exact size: AddressSanitizer sees the first byte beyond. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0) memcpy(copy, data, size);
    bool good = sl_flat_verify(copy, size, NULL) == 0;
    if (good) {
        struct sl_value opened, borrowed;
        assert_int_equal(sl_flat_open(copy, size, mem, NULL, &opened), 0);
        assert_int_equal(sl_flat_open_borrow(copy, size, mem, NULL, &borrowed), 0);
        assert_true(opened.buf->depth <= SL_PAYLOAD_DEPTH_MAX);
        (void)sl_value_equal(opened, borrowed);
        size_t again_size;
        uint8_t *again = seal(borrowed, &again_size);
        assert_int_equal(sl_flat_verify(again, again_size, NULL), 0);
        free(again);
        sl_value_unref(opened);
        sl_value_unref(borrowed);
    }
    free(copy);
    return good;
}

static void verify_every_damaged_byte_is_refused_or_harmless(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 7, 8, 9, 14, 15, 0x7f, 0x80, 0xff};
    unsigned good = 0, bad = 0;
    for (uint64_t seed = 0; seed < SAMPLE_SHAPES_COUNT; seed++) {
        struct sl_value value = sample_make(*state, seed);
        size_t size;
        uint8_t *data = seal(value, &size);
        sl_value_unref(value);
        if (size > 1500) {
            free(data);
            continue;
        }
        for (size_t at = 0; at < size; at++) {
            uint8_t was = data[at];
            for (size_t i = 0; i < sizeof(values) + 10; i++) {
                uint8_t now = i < sizeof(values)       ? values[i]
                              : i < sizeof(values) + 8 ? (uint8_t)(was ^ 1U << (i - sizeof(values)))
                                                       : (uint8_t)(was + (i % 2 ? 1 : -1));
                if (now == was) continue;
                data[at] = now;
                *(check_bytes(*state, data, size) ? &good : &bad) += 1;
            }
            data[at] = was;
        }
        for (size_t cut = 0; cut < size; cut++) (void)check_bytes(*state, data, cut);
        free(data);
    }
    assert_true(good > 1000); /* numbers and text may be anything */
    assert_true(bad > 10000);
}

/* Two damages at once reach what one alone does not: cells exchanged, copied, moved. */
static void verify_exchanged_cells_are_refused_or_harmless(void **state)
{
    for (uint64_t seed = 0; seed < SAMPLE_SHAPES_COUNT; seed++) {
        struct sl_value value = sample_make(*state, seed);
        size_t size;
        uint8_t *data = seal(value, &size);
        sl_value_unref(value);
        uint32_t count = cells_count(data) < 30 ? cells_count(data) : 30;
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t j = 0; j < count; j++) {
                struct sl_cell a = *cell_at(data, i), b = *cell_at(data, j);
                *cell_at(data, i) = b;
                (void)check_bytes(*state, data, size);
                *cell_at(data, j) = a;
                (void)check_bytes(*state, data, size);
                cell_at(data, j)->word = j;
                (void)check_bytes(*state, data, size);
                *cell_at(data, i) = a;
                *cell_at(data, j) = b;
            }
        }
        assert_true(check_bytes(*state, data, size));
        free(data);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mem_setup, mem_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(seal_samples_open_to_the_same_bits),
        TEST(seal_small_buffer_says_no_space),
        TEST(seal_part_leaves_the_rest_behind),
        TEST(seal_lazy_is_decoded),
        TEST(seal_deep_value_verifies_at_the_limit),
        TEST(open_of_any_changed_table_both_ways_agree),
        TEST(verify_damaged_cells_say_what_is_wrong),
        TEST(verify_depth_beyond_the_limit_is_refused),
        TEST(verify_key_that_stands_twice_is_refused),
        TEST(verify_every_damaged_byte_is_refused_or_harmless),
        TEST(verify_exchanged_cells_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
