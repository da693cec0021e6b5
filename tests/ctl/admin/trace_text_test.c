/* SPDX-License-Identifier: MIT */
/* Values as text: what is cut, and that nothing that is hidden is seen. */
#include "ctl/admin/trace_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"

static char room[65536];

/* Owned by the caller. */
static struct sl_mask *mask_of(const struct sl_slice *secrets, uint32_t count)
{
    struct sl_builder b;
    struct sl_value list;
    struct sl_mask *mask = NULL;
    sl_builder_init(&b, NULL, 8, 64);
    sl_build_list_begin(&b);
    for (uint32_t i = 0; i < count; i++) sl_build_string(&b, secrets[i].data, secrets[i].size);
    sl_build_list_end(&b);
    assert_int_equal(sl_builder_finish(&b, &list), 0);
    assert_int_equal(sl_mask_new(&list, 1, &mask), 0);
    sl_value_unref(list);
    return mask;
}

/* Write a value given as JSON; the text, terminated. */
static const char *shown(const char *json, const struct sl_slice *secrets, uint32_t count,
                         size_t limit)
{
    struct sl_value value;
    struct sl_mask *secret = mask_of(secrets, count);
    const struct sl_trace_mask mask = {.secrets = secret};
    struct sl_trace_text text = {.data = room, .cap = sizeof(room) - 1};
    assert_int_equal(sl_json_parse(sl_slice_from_str(json), NULL, NULL, 0, &value, NULL), 0);
    sl_trace_text_value(&text, &mask, value, limit);
    sl_value_unref(value);
    (void)sl_mask_free(secret);
    assert_false(text.is_full);
    room[text.size] = '\0';
    return room;
}

static void value_that_fits_is_its_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"null",
                                        "true",
                                        "[]",
                                        "{}",
                                        "[1,-2,3]",
                                        "1.5",
                                        "{\"a\":[{}]}",
                                        "\"q\\\"\\\\\\u0001\"",
                                        "\"é€😀\"",
                                        "\"\"",
                                        "18446744073709551615"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_string_equal(shown(texts[i], NULL, 0, 1000), texts[i]);
    }
}

static void long_parts_are_cut_and_counted(void **state)
{
    (void)state;
    assert_string_equal(shown("\"abcdefghij\"", NULL, 0, 5), "\"abcd…(+6 bytes)\"");
    assert_string_equal(shown("[1,2,3,4,5,6,7,8,9]", NULL, 0, 30), "[1,2,3,4,\"…(+5 more)\"]");
    assert_string_equal(shown("{\"a\":1,\"b\":2,\"c\":3}", NULL, 0, 32),
                        "{\"a\":1,\"b\":2,\"…\":\"+1 more\"}");
}

/* Whatever the limit, what is written is JSON. */
static void every_limit_gives_whole_json(void **state)
{
    (void)state;
    static const char *const json =
        "{\"list\":[1,2,{\"deep\":[[[[\"x\"]]]]}],\"text\":\"some é longer text\",\"n\":-1.5e300,"
        "\"map\":{\"k\":null,\"l\":true},\"end\":\"€€€€\"}";
    for (size_t limit = 0; limit < 300; limit++) {
        struct sl_value value;
        const char *text = shown(json, NULL, 0, limit);
        assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, NULL, 0, &value, NULL), 0);
        sl_value_unref(value);
    }
}

/* Whatever the room, what is written is JSON or nothing. */
static void every_room_gives_whole_json(void **state)
{
    (void)state;
    struct sl_value value;
    const struct sl_trace_mask mask = {.secrets = NULL};
    const char *json = "{\"list\":[1,2,{\"deep\":[[\"x\"]]}],\"text\":\"some longer text\"}";
    assert_int_equal(sl_json_parse(sl_slice_from_str(json), NULL, NULL, 0, &value, NULL), 0);
    for (size_t cap = 0; cap < 80; cap++) {
        struct sl_trace_text text = {.data = room, .cap = cap};
        struct sl_value again;
        sl_trace_text_value(&text, &mask, value, 1000);
        assert_true(text.size <= cap);
        if (text.is_full) {
            assert_int_equal(text.size, 0);
            continue;
        }
        assert_int_equal(sl_json_parse(sl_slice_make(room, text.size), NULL, NULL, 0, &again, NULL),
                         0);
        sl_value_unref(again);
    }
    sl_value_unref(value);
}

static void secret_is_masked_wherever_it_stands(void **state)
{
    (void)state;
    const struct sl_slice secrets[] = {SL_SLICE("hunter2hunter2"), SL_SLICE("hunter2")};
    assert_string_equal(shown("\"hunter2\"", secrets, 2, 100), "\"***\"");
    assert_string_equal(shown("\"a hunter2 b hunter2hunter2\"", secrets, 2, 100),
                        "\"a *** b ***\"");
    assert_string_equal(shown("{\"hunter2\":[\"xhunter2\"]}", secrets, 2, 100),
                        "{\"***\":[\"x***\"]}");
}

/* At every limit not even its beginning is seen. */
static void secret_that_is_cut_shows_nothing(void **state)
{
    (void)state;
    const struct sl_slice secrets[] = {SL_SLICE("hunter2")};
    for (size_t limit = 0; limit < 60; limit++) {
        const char *text =
            shown("{\"a\":\"0123456789hunter2abc\",\"b\":[\"hunter2\"]}", secrets, 1, limit);
        assert_null(strstr(text, "hu"));
    }
}

static void short_secret_is_masked_as_a_whole_value_only(void **state)
{
    (void)state;
    const struct sl_slice secrets[] = {SL_SLICE("42"), SL_SLICE("a")};
    assert_string_equal(shown("[42,421,\"42\",\"x42\",\"a\",\"ab\"]", secrets, 2, 100),
                        "[\"***\",421,\"***\",\"x42\",\"***\",\"ab\"]");
}

static void credentials_are_masked_by_their_key(void **state)
{
    (void)state;
    assert_string_equal(shown("{\"Authorization\":[\"x\"],\"COOKIE\":\"y\",\"password\":{\"a\":1},"
                              "\"cookies\":2}",
                              NULL, 0, 200),
                        "{\"Authorization\":\"***\",\"COOKIE\":\"***\",\"password\":\"***\","
                        "\"cookies\":2}");
}

static void unmasked_credentials_show_but_secrets_do_not(void **state)
{
    (void)state;
    struct sl_value value;
    const struct sl_slice secrets[] = {SL_SLICE("hunter2")};
    struct sl_mask *secret = mask_of(secrets, 1);
    const struct sl_trace_mask mask = {.secrets = secret, .show_credentials = true};
    struct sl_trace_text text = {.data = room, .cap = sizeof(room) - 1};
    const char *json = "{\"Authorization\":\"Bearer hunter2\"}";
    assert_int_equal(sl_json_parse(sl_slice_from_str(json), NULL, NULL, 0, &value, NULL), 0);
    sl_trace_text_value(&text, &mask, value, 100);
    sl_value_unref(value);
    (void)sl_mask_free(secret);
    room[text.size] = '\0';
    assert_string_equal(room, "{\"Authorization\":\"Bearer ***\"}");
}

static void deep_values_end_in_dots(void **state)
{
    (void)state;
    char json[256] = "";
    for (int i = 0; i < 60; i++) strcat(json, "[");
    for (int i = 0; i < 60; i++) strcat(json, "]");
    const char *text = shown(json, NULL, 0, 1000);
    assert_non_null(strstr(text, "[\"…\"]"));
    assert_int_equal(strlen(text), 2 * SL_TRACE_DEPTH_MAX + 5);
}

static void binary_and_error_are_told_as_such(void **state)
{
    (void)state;
    struct sl_builder b;
    struct sl_value value;
    const struct sl_slice secrets[] = {SL_SLICE("hunter2")};
    struct sl_mask *secret = mask_of(secrets, 1);
    const struct sl_trace_mask mask = {.secrets = secret};
    struct sl_trace_text text = {.data = room, .cap = sizeof(room) - 1};
    sl_builder_init(&b, NULL, 8, 64);
    sl_build_list_begin(&b);
    sl_build_binary(&b, "\x00\xffhunter2", 9);
    sl_build_error(&b, SL_SLICE("code"), SL_SLICE("said hunter2"), sl_value_none(), sl_value_none(),
                   404);
    sl_build_list_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    sl_trace_text_value(&text, &mask, value, 200);
    sl_value_unref(value);
    (void)sl_mask_free(secret);
    room[text.size] = '\0';
    assert_string_equal(room, "[{\"binary\":\"\\u0000\xef\xbf\xbd***\",\"size\":9},"
                              "{\"error\":{\"code\":\"code\",\"message\":\"said ***\","
                              "\"status\":404}}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_that_fits_is_its_json),
        cmocka_unit_test(long_parts_are_cut_and_counted),
        cmocka_unit_test(every_limit_gives_whole_json),
        cmocka_unit_test(every_room_gives_whole_json),
        cmocka_unit_test(secret_is_masked_wherever_it_stands),
        cmocka_unit_test(secret_that_is_cut_shows_nothing),
        cmocka_unit_test(short_secret_is_masked_as_a_whole_value_only),
        cmocka_unit_test(credentials_are_masked_by_their_key),
        cmocka_unit_test(unmasked_credentials_show_but_secrets_do_not),
        cmocka_unit_test(deep_values_end_in_dots),
        cmocka_unit_test(binary_and_error_are_told_as_such),
    };
    return cmocka_run_group_tests_name("trace_text", tests, NULL, NULL);
}
