/* SPDX-License-Identifier: MIT */
/* Diagnostics: how they read, how they are kept, and which name is near. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/diag.h"
#include "core/base/limit.h"

static void format_full_place_reads_like_a_compiler(void **state)
{
    (void)state;
    struct sl_diag diag;
    char text[512];
    assert_int_equal(
        sl_diag_set(&diag, "unknown_field", (struct sl_pos){12, 9}, "field \"%s\"", "x"), -EINVAL);
    sl_diag_file(&diag, "a.yaml");
    sl_diag_hint(&diag, "did you mean \"%s\"?", "y");
    size_t size = sl_diag_format(&diag, text, sizeof(text));
    assert_string_equal(text, "a.yaml:12:9: error: field \"x\"\n  hint: did you mean \"y\"?\n");
    assert_int_equal(size, strlen(text));
    assert_string_equal(diag.code, "unknown_field");
}

static void format_without_file_or_place_leaves_them_out(void **state)
{
    (void)state;
    struct sl_diag diag;
    char text[512];
    (void)sl_diag_set(&diag, "c", (struct sl_pos){0, 0}, "text");
    diag.level = SL_DIAG_WARNING;
    (void)sl_diag_format(&diag, text, sizeof(text));
    assert_string_equal(text, "warning: text\n");
    diag.pos = (struct sl_pos){3, 4};
    (void)sl_diag_format(&diag, text, sizeof(text));
    assert_string_equal(text, "3:4: warning: text\n");
    sl_diag_file(&diag, "f");
    diag.pos = (struct sl_pos){0, 0};
    (void)sl_diag_format(&diag, text, sizeof(text));
    assert_string_equal(text, "f: warning: text\n");
}

static void format_small_buffer_is_cut_and_terminated(void **state)
{
    (void)state;
    struct sl_diag diag;
    (void)sl_diag_set(&diag, "c", (struct sl_pos){1, 1}, "a long text");
    for (size_t size = 1; size < 24; size++) {
        char text[32];
        memset(text, 'x', sizeof(text));
        size_t used = sl_diag_format(&diag, text, size);
        assert_true(used < size);
        assert_int_equal(strlen(text), used);
        assert_int_equal(text[size], 'x');
    }
}

static void set_long_text_is_cut_to_its_field(void **state)
{
    (void)state;
    struct sl_diag diag;
    char text[2000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)sl_diag_set(&diag, text, (struct sl_pos){1, 1}, "%s", text);
    sl_diag_hint(&diag, "%s", text);
    sl_diag_file(&diag, text);
    assert_int_equal(strlen(diag.code), SL_DIAG_CODE_SIZE - 1);
    assert_int_equal(strlen(diag.text), SL_DIAG_TEXT_SIZE - 1);
    assert_int_equal(strlen(diag.hint), SL_DIAG_HINT_SIZE - 1);
    assert_int_equal(strlen(diag.file), SL_DIAG_FILE_SIZE - 1);
    assert_int_equal(sl_diag_set(NULL, "c", (struct sl_pos){0, 0}, "x"), -EINVAL);
    sl_diag_hint(NULL, "x");
    sl_diag_file(NULL, "x");
}

static void push_beyond_limit_counts_what_is_dropped(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_diag diag;
    (void)sl_diag_set(&diag, "c", (struct sl_pos){1, 1}, "x");
    for (size_t i = 0; i < SL_DIAGS_MAX; i++) assert_non_null(sl_diags_push(&diags, &diag));
    assert_null(sl_diags_push(&diags, &diag));
    diag.level = SL_DIAG_WARNING;
    assert_null(sl_diags_push(&diags, &diag));
    assert_int_equal(diags.count, SL_DIAGS_MAX);
    assert_int_equal(diags.dropped_count, 2);
    assert_int_equal(diags.errors_count, SL_DIAGS_MAX + 1);
    sl_diags_fini(&diags);
    assert_int_equal(diags.count, 0);
    sl_diags_fini(NULL);
}

static void sort_equal_places_keep_their_order(void **state)
{
    (void)state;
    static const struct sl_pos places[] = {{9, 9}, {5, 2}, {1, 7}, {5, 1}, {1, 7}, {1, 2}};
    struct sl_diags diags = {0};
    struct sl_diag diag;
    for (unsigned i = 0; i < 6; i++) {
        (void)sl_diag_set(&diag, "c", places[i], "%u", i);
        (void)sl_diags_push(&diags, &diag);
    }
    sl_diags_sort(&diags, 1);
    static const char *const order[] = {"0", "5", "2", "4", "3", "1"};
    for (unsigned i = 0; i < 6; i++) assert_string_equal(diags.items[i].text, order[i]);
    sl_diags_fini(&diags);
}

static void nearest_slip_of_the_pen_is_found(void **state)
{
    (void)state;
    static const char *const names[] = {"port", "protocol", "host", "ports"};
    assert_string_equal(sl_diag_nearest("prot", names, 4), "port");
    assert_string_equal(sl_diag_nearest("protocl", names, 4), "protocol");
    assert_string_equal(sl_diag_nearest("ports", names, 4), "ports");
    assert_string_equal(sl_diag_nearest("hst", names, 4), "host");
}

static void nearest_far_or_too_long_name_is_none(void **state)
{
    (void)state;
    static const char *const names[] = {"port", "protocol"};
    assert_null(sl_diag_nearest("language", names, 2));
    assert_null(sl_diag_nearest("pot", (const char *const[]){"ports"}, 1));
    assert_null(sl_diag_nearest("port", names, 0));
    char text[200];
    memset(text, 'p', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_null(sl_diag_nearest(text, names, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_full_place_reads_like_a_compiler),
        cmocka_unit_test(format_without_file_or_place_leaves_them_out),
        cmocka_unit_test(format_small_buffer_is_cut_and_terminated),
        cmocka_unit_test(set_long_text_is_cut_to_its_field),
        cmocka_unit_test(push_beyond_limit_counts_what_is_dropped),
        cmocka_unit_test(sort_equal_places_keep_their_order),
        cmocka_unit_test(nearest_slip_of_the_pen_is_found),
        cmocka_unit_test(nearest_far_or_too_long_name_is_none),
    };
    return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
