/* SPDX-License-Identifier: MIT */
/* What is hidden of texts: whatever form a secret has, and nothing else. */
#include "core/graph/mask.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"

static struct sl_mask *mask_of(const char *json)
{
    struct sl_value secrets;
    struct sl_mask *mask = NULL;
    assert_int_equal(sl_json_parse(sl_slice_from_str(json), NULL, NULL, 0, &secrets, NULL), 0);
    assert_int_equal(sl_mask_new(&secrets, 1, &mask), 0);
    sl_value_unref(secrets);
    return mask;
}

static void mask_text_hides_what_the_secrets_hold(void **state)
{
    (void)state;
    static const struct {
        const char *secrets, *text, *expected;
    } rows[] = {
        {"[\"s3cr3t\"]", "bad token s3cr3t here", "bad token *** here"},
        {"[\"s3cr3t\"]", "s3cr3ts3cr3t", "******"},
        {"[\"s3cr3t\"]", "s3cr3", "s3cr3"},
        {"[\"s3cr3t\"]", "s3cr3t", "***"},
        {"[\"x1\"]", "x1", "***"},
        {"[\"x1\"]", "a x1 b", "a x1 b"},
        {"[\"key-of-file\\n\"]", "is key-of-file.", "is ***."},
        {"[\"pass word&more\"]", "?p=pass%20word%26more&q", "?p=***&q"},
        {"[\"a-long-secret\"]", "Basic dXNlcjphLWxvbmctc2VjcmV0", "Basic dXNlcjp***"},
        {"[1.25]", "1.25", "***"},
        {"[\"abcd\", \"abcdef\"]", "abcdef abcd", "*** ***"},
        {"[\"bcde\", \"abc-\"]", "abcde", "a***"},
        {"[{\"user\": \"admin\", \"list\": [\"deep-one\", 123456, 12]}]",
         "admin deep-one 123456 12", "*** *** *** 12"},
        {"[\"two\\nlines \\\"quoted\\\"\"]",
         "raw two\nlines \"quoted\" and {\"k\": \"two\\nlines \\\"quoted\\\"\"}",
         "raw *** and {\"k\": \"***\"}"},
        {"[\"geheim-ü\"]", "das geheim-ü!", "das ***!"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char buf[256];
        struct sl_mask *mask = mask_of(rows[i].secrets);
        assert_non_null(mask);
        size_t size = sl_mask_text(mask, sl_slice_from_str(rows[i].text), buf, sizeof(buf));
        assert_string_equal(buf, rows[i].expected);
        assert_int_equal(size, strlen(buf));
        (void)sl_mask_free(mask);
    }
}

static void mask_text_is_cut_to_its_room(void **state)
{
    (void)state;
    struct sl_mask *mask = mask_of("[\"s3cr3t\"]");
    char buf[8];
    assert_int_equal(sl_mask_text(mask, SL_SLICE("to s3cr3t and on"), buf, sizeof(buf)), 7);
    assert_string_equal(buf, "to *** ");
    (void)sl_mask_free(mask);
}

static void mask_new_without_anything_to_hide_is_none(void **state)
{
    (void)state;
    assert_null(mask_of("[]"));
    assert_null(mask_of("[\"\", true, null, [], {}]"));
    assert_null(sl_mask_free(NULL));
}

static void mask_new_with_too_many_values_is_refused(void **state)
{
    (void)state;
    struct sl_builder b;
    struct sl_value secrets;
    struct sl_mask *mask = NULL;
    sl_builder_init(&b, NULL, 0, 0);
    sl_build_list_begin(&b);
    for (int i = 0; i <= SL_MASK_NEEDLES_MAX; i++) sl_build_int(&b, 10000 + i);
    sl_build_list_end(&b);
    assert_int_equal(sl_builder_finish(&b, &secrets), 0);
    assert_int_equal(sl_mask_new(&secrets, 1, &mask), -E2BIG);
    assert_null(mask);
    sl_value_unref(secrets);
}

/* Looked for from each place of a text, as traces do. */
static void mask_at_finds_the_longest_that_begins_there(void **state)
{
    (void)state;
    struct sl_mask *mask = mask_of("[\"abcd\", \"abcdef\", \"x1\"]");
    struct sl_slice text = SL_SLICE("-abcdefabcde x1");
    assert_int_equal(sl_mask_at(mask, text, 0), 0);
    assert_int_equal(sl_mask_at(mask, text, 1), 6);
    assert_int_equal(sl_mask_at(mask, text, 2), 0);
    assert_int_equal(sl_mask_at(mask, text, 7), 4);
    assert_int_equal(sl_mask_at(mask, text, 13), 0);
    assert_true(sl_mask_is_whole(mask, SL_SLICE("x1")));
    assert_true(sl_mask_is_whole(mask, SL_SLICE("abcd")));
    assert_false(sl_mask_is_whole(mask, SL_SLICE("abcde")));
    assert_false(sl_mask_is_whole(mask, SL_SLICE("")));
    assert_true(sl_mask_is_hit(mask, SL_SLICE("abcde")));
    assert_false(sl_mask_is_hit(mask, SL_SLICE("abc x1 bcdef")));
    (void)sl_mask_free(mask);
}

/* Of several values, as a program has of its nodes; one that stands in two is one. */
static void mask_new_of_several_values_hides_all(void **state)
{
    (void)state;
    struct sl_value values[3];
    static const char *const texts[] = {"[\"first-one\"]", "[\"other-one\", \"first-one\"]", "[]"};
    struct sl_mask *mask = NULL;
    char buf[64];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            sl_json_parse(sl_slice_from_str(texts[i]), NULL, NULL, 0, &values[i], NULL), 0);
    }
    assert_int_equal(sl_mask_new(values, 3, &mask), 0);
    for (int i = 0; i < 3; i++) sl_value_unref(values[i]);
    (void)sl_mask_text(mask, SL_SLICE("first-one other-one"), buf, sizeof(buf));
    assert_string_equal(buf, "*** ***");
    (void)sl_mask_free(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_text_hides_what_the_secrets_hold),
        cmocka_unit_test(mask_text_is_cut_to_its_room),
        cmocka_unit_test(mask_new_without_anything_to_hide_is_none),
        cmocka_unit_test(mask_new_with_too_many_values_is_refused),
        cmocka_unit_test(mask_at_finds_the_longest_that_begins_there),
        cmocka_unit_test(mask_new_of_several_values_hides_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
