/* SPDX-License-Identifier: MIT */
/* Slices, the log, hashes and clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/slice.h"

static void slice_compare_orders_bytes_then_length(void **state)
{
    (void)state;
    static const char *const sorted[] = {"", "A", "a", "aa", "ab", "b", "\x80"};
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 7; j++) {
            int order =
                sl_slice_compare(sl_slice_from_str(sorted[i]), sl_slice_from_str(sorted[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(
                sl_slice_eq(sl_slice_from_str(sorted[i]), sl_slice_from_str(sorted[j])), i == j);
        }
    }
}

static void slice_eq_nocase_folds_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(sl_slice_eq_nocase(SL_SLICE("Content-Type"), SL_SLICE("cONTENT-tYPE")));
    assert_false(sl_slice_eq_nocase(SL_SLICE("a"), SL_SLICE("ab")));
    /* These pairs differ by the same bit as the letters do, and are no letters. */
    assert_false(sl_slice_eq_nocase(SL_SLICE("@"), SL_SLICE("`")));
    assert_false(sl_slice_eq_nocase(SL_SLICE("["), SL_SLICE("{")));
    assert_false(sl_slice_eq_nocase(SL_SLICE("\xc4"), SL_SLICE("\xe4")));
}

static void slice_prefix_and_dup_keep_zero_bytes(void **state)
{
    (void)state;
    struct sl_slice slice = {(const uint8_t *)"a\0b", 3};
    assert_true(sl_slice_has_prefix(slice, sl_slice_make("a\0", 2)));
    assert_false(sl_slice_has_prefix(slice, sl_slice_make("a\0bc", 4)));
    char *copy = sl_slice_dup_str(slice);
    assert_memory_equal(copy, "a\0b\0", 4);
    free(copy);
    copy = sl_slice_dup_str((struct sl_slice){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

/* The definition, a byte at a time: the plain twin of sl_hash64. */
static uint64_t hash_plain(const uint8_t *data, size_t size)
{
    uint64_t hash = ((uint64_t)size + 1) * SL_HASH_MULTIPLIER;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = 0;
        for (size_t i = 0; i < 8 && at + i < size; i++) word |= (uint64_t)data[at + i] << (8 * i);
        hash = (hash ^ (hash >> 32) ^ word) * SL_HASH_MULTIPLIER;
    }
    return hash ^ (hash >> 32);
}

static void hash_any_length_equals_its_definition(void **state)
{
    (void)state;
    uint8_t text[64];
    for (size_t i = 0; i < sizeof(text); i++) text[i] = (uint8_t)(i * 37 + 11);
    for (size_t at = 0; at < 8; at++) {
        for (size_t size = 0; at + size <= sizeof(text); size++) {
            assert_int_equal(sl_hash64(text + at, size), hash_plain(text + at, size));
        }
    }
}

static void list_remove_twice_is_harmless(void **state)
{
    (void)state;
    struct sl_list head, a, b;
    sl_list_init(&head);
    sl_list_insert(&head, &a);
    sl_list_insert(&head, &b);
    assert_ptr_equal(head.next, &a);
    assert_ptr_equal(head.prev, &b);
    sl_list_remove(&a);
    sl_list_remove(&a);
    assert_ptr_equal(head.next, &b);
    sl_list_remove(&b);
    assert_true(sl_list_is_empty(&head));
}

static void clock_manual_same_seed_gives_same_uuids(void **state)
{
    (void)state;
    struct sl_clock_manual one, two;
    char a[37], b[37], first[37];
    sl_clock_manual_init(&one, 7);
    sl_clock_manual_init(&two, 7);
    for (int i = 0; i < 100; i++) {
        sl_uuid_random(&one.base, a);
        sl_uuid_random(&two.base, b);
        assert_string_equal(a, b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(a[14], '4');           /* RFC 9562, section 5.4: version */
        assert_non_null(strchr("89ab", a[19])); /* and variant */
        if (i > 0) assert_string_not_equal(a, first);
        memcpy(first, a, sizeof(first));
    }
}

static void clock_manual_advance_moves_both_times(void **state)
{
    (void)state;
    struct sl_clock_manual clock;
    sl_clock_manual_init(&clock, 1);
    uint64_t now_ns = sl_clock_now_ns(&clock.base);
    int64_t wall_ns = clock.base.wall_ns(&clock.base);
    sl_clock_manual_advance(&clock, SL_NS_PER_SEC);
    assert_int_equal(sl_clock_now_ns(&clock.base) - now_ns, SL_NS_PER_SEC);
    assert_int_equal(clock.base.wall_ns(&clock.base) - wall_ns, SL_NS_PER_SEC);
}

/* The last line written. */
struct lines {
    char text[8192];
    size_t size;
    unsigned count;
};

static void lines_keep(void *ctx, const char *line, size_t size)
{
    struct lines *lines = ctx;
    assert_true(size < sizeof(lines->text));
    memcpy(lines->text, line, size);
    lines->text[size] = '\0';
    lines->size = size;
    lines->count++;
}

static int log_setup(void **state)
{
    static struct lines lines;
    lines = (struct lines){.count = 0};
    sl_log_set_sink(lines_keep, &lines);
    *state = &lines;
    return 0;
}

static int log_teardown(void **state)
{
    (void)state;
    sl_log_set_sink(NULL, NULL);
    sl_log_set_level(SL_LOG_INFO);
    sl_log_set_format(SL_LOG_TEXT);
    return 0;
}

static void log_below_level_writes_nothing(void **state)
{
    struct lines *lines = *state;
    sl_log(SL_LOG_DEBUG, "quiet");
    assert_int_equal(lines->count, 0);
    sl_log_set_level(SL_LOG_ERROR);
    sl_log(SL_LOG_WARN, "quiet");
    assert_int_equal(lines->count, 0);
    sl_log(SL_LOG_ERROR, "number %d", 7);
    assert_int_equal(lines->count, 1);
    assert_non_null(strstr(lines->text, "Z error number 7"));
}

static void log_text_newline_cannot_begin_a_message(void **state)
{
    struct lines *lines = *state;
    sl_log(SL_LOG_INFO, "body: %s", "x\n2026-01-01T00:00:00.000Z error forged\x1b[31m\r\n");
    assert_non_null(strstr(lines->text, "body: x\n  2026-01-01T"));
    assert_non_null(strstr(lines->text, "forged\\x1b[31m\\x0d"));
    assert_int_not_equal(lines->text[lines->size - 1], '\n');
    assert_null(strchr(lines->text, '\x1b'));
}

static void log_json_escapes_what_json_must(void **state)
{
    struct lines *lines = *state;
    sl_log_set_format(SL_LOG_JSON);
    sl_log(SL_LOG_WARN, "a \"quoted\" \\ line\nand \x01");
    assert_non_null(strstr(lines->text, "\"level\":\"warn\",\"text\":"
                                        "\"a \\\"quoted\\\" \\\\ line\\u000aand \\u0001\"}"));
}

static void log_long_text_is_cut_and_closed(void **state)
{
    struct lines *lines = *state;
    char *text = malloc(20000);
    assert_non_null(text);
    memset(text, '\n', 19999);
    text[19999] = '\0';
    sl_log(SL_LOG_INFO, "%s", text);
    assert_true(lines->size <= 4096);
    sl_log_set_format(SL_LOG_JSON);
    sl_log(SL_LOG_INFO, "%s", text);
    assert_true(lines->size <= 4096);
    assert_string_equal(lines->text + lines->size - 2, "\"}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_compare_orders_bytes_then_length),
        cmocka_unit_test(slice_eq_nocase_folds_ascii_letters_only),
        cmocka_unit_test(slice_prefix_and_dup_keep_zero_bytes),
        cmocka_unit_test(hash_any_length_equals_its_definition),
        cmocka_unit_test(list_remove_twice_is_harmless),
        cmocka_unit_test(clock_manual_same_seed_gives_same_uuids),
        cmocka_unit_test(clock_manual_advance_moves_both_times),
        cmocka_unit_test_setup_teardown(log_below_level_writes_nothing, log_setup, log_teardown),
        cmocka_unit_test_setup_teardown(log_text_newline_cannot_begin_a_message, log_setup,
                                        log_teardown),
        cmocka_unit_test_setup_teardown(log_json_escapes_what_json_must, log_setup, log_teardown),
        cmocka_unit_test_setup_teardown(log_long_text_is_cut_and_closed, log_setup, log_teardown),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
