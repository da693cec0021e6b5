/* SPDX-License-Identifier: MIT */
/* The allocator of a thread against a model; outputs that grow. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/mem.h"
#include "core/mem/mem_fast.h"
#include "core/mem/out.h"

enum { CAP = 64 << 20, LARGE = (1 << 20) + 1 };

static struct sl_mem_stats stats_of(const struct sl_mem *mem)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(mem, &stats);
    return stats;
}

static void class_every_size_fits_the_smallest_class(void **state)
{
    (void)state;
    for (size_t size = 1; size <= (1 << 20); size += size < 5000 ? 1 : 997) {
        unsigned c = sl_mem_class_of(size);
        assert_true(c < SL_MEM_CLASSES_COUNT);
        assert_true(sl_mem_class_size(c) >= size);
        if (c > 0) assert_true(sl_mem_class_size(c - 1) < size);
        assert_int_equal(sl_mem_block_size(size), sl_mem_class_size(c));
    }
    assert_int_equal(sl_mem_class_of(1 << 20), SL_MEM_CLASSES_COUNT - 1);
    assert_int_equal(sl_mem_block_size(LARGE), LARGE);
}

/* A block that the model holds: it must keep what was written into it. */
struct held {
    uint8_t *block;
    size_t size;
    uint8_t fill;
};

static void held_check(const struct held *held)
{
    for (size_t i = 0; i < held->size; i += 61) assert_int_equal(held->block[i], held->fill);
    assert_int_equal(held->block[held->size - 1], held->fill);
}

static void take_and_give_at_random_never_overlap(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    struct held held[200] = {0};
    uint64_t seed = 42;
    for (unsigned round = 0; round < 40000; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        struct held *at = &held[(seed >> 33) % 200];
        if (at->block != NULL) {
            held_check(at);
            sl_mem_give(mem, at->block, at->size);
            at->block = NULL;
            continue;
        }
        at->size = 1 + (seed >> 20) % (1U << (3 + (seed >> 50) % 15));
        at->fill = (uint8_t)round;
        at->block = sl_mem_take(mem, at->size);
        assert_non_null(at->block);
        assert_int_equal((uintptr_t)at->block % 16, 0);
        memset(at->block, at->fill, at->size);
    }
    for (unsigned i = 0; i < 200; i++) {
        if (held[i].block != NULL) sl_mem_give(mem, held[i].block, held[i].size);
    }
    assert_int_equal(stats_of(mem).used, 0);
    sl_mem_free(mem);
}

static void take_after_warm_up_asks_the_system_no_more(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    uint64_t calls = 0;
    for (unsigned round = 0; round < 100; round++) {
        void *blocks[64];
        for (unsigned i = 0; i < 64; i++) blocks[i] = sl_mem_take(mem, 32U << (i % 12));
        for (unsigned i = 0; i < 64; i++) sl_mem_give(mem, blocks[i], 32U << (i % 12));
        if (round == 0) calls = stats_of(mem).system_calls;
    }
    assert_true(calls > 0);
    assert_int_equal(stats_of(mem).system_calls, calls);
    sl_mem_free(mem);
}

static void fast_and_plain_share_lists_and_counts(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    for (size_t size = 1; size < 3000; size += 13) {
        void *plain = sl_mem_take(mem, size);
        uint64_t used = stats_of(mem).used;
        assert_int_equal(used, sl_mem_block_size(size));
        sl_mem_give_fast(mem, plain, size);
        assert_int_equal(stats_of(mem).used, 0);
        void *fast = sl_mem_take_fast(mem, size);
        assert_ptr_equal(fast, plain);
        assert_int_equal(stats_of(mem).used, used);
        sl_mem_give(mem, fast, size);
    }
    sl_mem_free(mem);
}

static void take_beyond_cap_is_refused_and_counted(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(1 << 20);
    void *small = sl_mem_take(mem, 64);
    assert_non_null(small);
    assert_null(sl_mem_take(mem, 4 << 20));
    assert_int_equal(stats_of(mem).refused_count, 1);
    unsigned count = 0;
    while (sl_mem_take(mem, 4096) != NULL) assert_true(++count < 1000);
    assert_true(stats_of(mem).reserved <= 1 << 20);
    /* What is given back serves again. */
    sl_mem_give(mem, small, 64);
    assert_ptr_equal(sl_mem_take(mem, 64), small);
    sl_mem_free(mem);
}

static void give_large_block_returns_it_to_the_system(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    uint8_t *block = sl_mem_take(mem, LARGE);
    assert_non_null(block);
    block[LARGE - 1] = 1;
    assert_true(stats_of(mem).reserved >= LARGE);
    assert_int_equal(stats_of(mem).used, LARGE);
    sl_mem_give(mem, block, LARGE);
    assert_int_equal(stats_of(mem).reserved, 0);
    assert_int_equal(stats_of(mem).used, 0);
    sl_mem_give(mem, NULL, 10);
    sl_mem_free(mem);
    assert_null(sl_mem_free(NULL));
}

static void reserve_serves_later_blocks_without_the_system(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    assert_int_equal(sl_mem_reserve(mem, 1 << 20), 0);
    uint64_t calls = stats_of(mem).system_calls;
    for (unsigned i = 0; i < 200; i++) assert_non_null(sl_mem_take(mem, 4096));
    assert_int_equal(stats_of(mem).system_calls, calls);
    assert_int_equal(sl_mem_reserve(mem, 2 * (size_t)CAP), -ENOMEM);
    sl_mem_free(mem);
}

static void take_whole_says_the_real_size(void **state)
{
    (void)state;
    struct sl_mem *mem = sl_mem_new(CAP);
    size_t whole = 0;
    void *block = sl_mem_take_whole(mem, 100, &whole);
    assert_int_equal(whole, 128);
    memset(block, 1, whole);
    sl_mem_give(mem, block, whole);
    assert_int_equal(stats_of(mem).used, 0);
    sl_mem_free(mem);
}

static void out_append_keeps_all_bytes_in_order(void **state)
{
    (void)state;
    for (int on_heap = 0; on_heap < 2; on_heap++) {
        struct sl_mem *mem = on_heap ? NULL : sl_mem_new(CAP);
        struct sl_out out;
        sl_out_init(&out, mem);
        for (unsigned i = 0; i < 100000; i++) sl_out_append_byte(&out, (uint8_t)(i * 7));
        assert_int_equal(out.error, 0);
        assert_int_equal(sl_out_count(&out), 100000);
        for (unsigned i = 0; i < 100000; i++) assert_int_equal(out.data[i], (uint8_t)(i * 7));
        size_t size, cap;
        uint8_t *data = sl_out_take(&out, &size, &cap);
        assert_int_equal(size, 100000);
        assert_null(out.data);
        sl_out_fini(&out);
        if (on_heap) {
            free(data);
        } else {
            sl_mem_give(mem, data, cap);
            assert_int_equal(stats_of(mem).used, 0);
        }
        sl_mem_free(mem);
    }
}

static void out_beyond_max_keeps_its_error(void **state)
{
    (void)state;
    struct sl_out out;
    sl_out_init(&out, NULL);
    out.max = 1000;
    char text[600] = "";
    sl_out_append(&out, text, sizeof(text));
    assert_int_equal(out.error, 0);
    sl_out_append(&out, text, sizeof(text));
    assert_int_equal(out.error, -E2BIG);
    sl_out_append(&out, text, 1);
    assert_int_equal(out.error, -E2BIG);
    assert_null(out.data);
    sl_out_fini(&out);
}

static void out_counting_counts_what_it_drops(void **state)
{
    (void)state;
    uint8_t room[64];
    struct sl_out out;
    sl_out_init_counting(&out, room, sizeof(room));
    for (unsigned i = 0; i < 1000; i++) sl_out_append(&out, "0123456789", 10);
    assert_int_equal(sl_out_count(&out), 10000);
    assert_int_equal(out.error, 0);
    sl_out_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_every_size_fits_the_smallest_class),
        cmocka_unit_test(take_and_give_at_random_never_overlap),
        cmocka_unit_test(take_after_warm_up_asks_the_system_no_more),
        cmocka_unit_test(fast_and_plain_share_lists_and_counts),
        cmocka_unit_test(take_beyond_cap_is_refused_and_counted),
        cmocka_unit_test(give_large_block_returns_it_to_the_system),
        cmocka_unit_test(reserve_serves_later_blocks_without_the_system),
        cmocka_unit_test(take_whole_says_the_real_size),
        cmocka_unit_test(out_append_keeps_all_bytes_in_order),
        cmocka_unit_test(out_beyond_max_keeps_its_error),
        cmocka_unit_test(out_counting_counts_what_it_drops),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
