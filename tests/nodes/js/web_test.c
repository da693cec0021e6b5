/* SPDX-License-Identifier: MIT */
/* The parts of the web platform, by the table of web_cases.js: it is a script that checks them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "nodes/script/js/js.h"
#include "tests/nodes/js/fixture.h"

enum { CASES_SIZE_MAX = 128 * 1024, CASES_MIN = 200 };

static const char *cases_path;

static void web_parts_do_what_their_standards_say(void **state)
{
    (void)state;
    static struct fixture fixture;
    static char code[CASES_SIZE_MAX];
    FILE *file = fopen(cases_path, "re");
    assert_non_null(file);
    size_t size = fread(code, 1, sizeof(code) - 1, file);
    (void)fclose(file);
    assert_in_range(size, 1, sizeof(code) - 2);
    fixture_init(&fixture, &sl_engine_js);
    fixture.timeout_ms = 60000;
    struct attached attached = fixture_attach(&fixture, code);
    if (attached.script == NULL) print_error("%s\n", fixture.diag.text);
    assert_non_null(attached.script);
    struct sl_value result = fixture_call(&fixture, &attached, sl_value_null());
    value_print(result, fixture.text, sizeof(fixture.text));
    if (!sl_value_is(result, SL_VALUE_MAP)) print_error("%s\n", fixture.text);
    assert_true(sl_value_is(result, SL_VALUE_MAP));
    assert_true(sl_value_get_str(result, "cases").cell->i64 > CASES_MIN);
    struct sl_value wrong = sl_value_get_str(result, "wrong");
    for (uint32_t i = 0; i < sl_value_count(wrong); i++) {
        struct sl_slice text = sl_value_slice(sl_value_list_at(wrong, i));
        print_error("%.*s\n", SL_SLICE_FMT(text));
    }
    assert_int_equal(sl_value_count(wrong), 0);
    sl_value_unref(result);
    fixture_detach(&fixture, &attached);
    assert_true(fixture_fini(&fixture));
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    cases_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(web_parts_do_what_their_standards_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
