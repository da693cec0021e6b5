/* SPDX-License-Identifier: MIT */
/* The table of languages, positions, and the languages that are constants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "tests/nodes/js/fixture.h"

static void engine_get_unknown_is_null(void **state)
{
    (void)state;
    sl_engine_register(&sl_engine_text);
    sl_engine_register(&sl_engine_json);
    sl_engine_register(&sl_engine_json); /* twice is harmless */
    assert_ptr_equal(sl_engine_get("json"), &sl_engine_json);
    assert_null(sl_engine_get("cobol"));
    size_t count;
    const char *const *names = sl_engine_names(&count);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "text");
}

static void script_pos_counts_the_indent_from_the_second_line(void **state)
{
    (void)state;
    struct sl_script_source source = {.pos = {10, 9}, .indent = 4};
    struct sl_pos pos = sl_script_pos(&source, 1, 3);
    assert_int_equal(pos.line, 10);
    assert_int_equal(pos.column, 11);
    pos = sl_script_pos(&source, 2, 3);
    assert_int_equal(pos.line, 11);
    assert_int_equal(pos.column, 7);
    assert_int_equal(sl_script_pos(&source, 0, 3).line, 0);
}

static void constant_run_gives_the_parsed_value(void **state)
{
    (void)state;
    static const struct {
        const struct sl_engine *engine;
        const char *code;
        const char *expected;
    } rows[] = {
        {&sl_engine_text, "hi\n", "\"hi\n\""},
        {&sl_engine_text, "", "\"\""},
        {&sl_engine_json, "null", "null"},
        {&sl_engine_json, "{\"body\": {\"error\": \"x\"}, \"status\": 500}",
         "{\"body\": {\"error\": \"x\"}, \"status\": 500}"},
        {&sl_engine_yaml, "a: [1, two]\nb: {}\n", "{\"a\": [1, \"two\"], \"b\": {}}"},
    };
    static struct fixture fixture;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_init(&fixture, rows[i].engine);
        struct attached attached = fixture_attach(&fixture, rows[i].code);
        assert_non_null(attached.script);
        assert_non_null(attached.script->constant.cell);
        assert_string_equal(fixture_call_text(&fixture, &attached, sl_value_null()),
                            rows[i].expected);
        fixture_detach(&fixture, &attached);
        assert_true(fixture_fini(&fixture));
    }
}

static void constant_compile_fault_is_placed_in_the_file(void **state)
{
    (void)state;
    static struct fixture fixture;
    fixture_init(&fixture, &sl_engine_json);
    assert_null(fixture_attach(&fixture, "{\n  \"a\": x\n}").script);
    assert_string_equal(fixture.diag.file, "test.yaml");
    assert_int_equal(fixture.diag.pos.line, 11);
    assert_int_equal(fixture.diag.pos.column, 12);
    fixture.engine = &sl_engine_yaml;
    assert_null(fixture_attach(&fixture, "a: 1\nb: [").script);
    assert_true(fixture.diag.pos.line >= 11);
    assert_true(fixture_fini(&fixture));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_get_unknown_is_null),
        cmocka_unit_test(script_pos_counts_the_indent_from_the_second_line),
        cmocka_unit_test(constant_run_gives_the_parsed_value),
        cmocka_unit_test(constant_compile_fault_is_placed_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
