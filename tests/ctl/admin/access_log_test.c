/* SPDX-License-Identifier: MIT */
/* Lines of the access log: what clients sent cannot break them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "ctl/admin/access_log.h"

static struct sl_access_record record;

static void part_add(enum sl_access_part part, const char *text)
{
    size_t used = 0;
    for (uint32_t i = 0; i < part; i++) used += record.sizes[i];
    memcpy(record.text + used, text, strlen(text));
    record.sizes[part] = (uint16_t)strlen(text);
}

static int setup(void **state)
{
    (void)state;
    record = (struct sl_access_record){
        .wall_ns = INT64_C(1700000000123) * 1000000,
        .duration_ns = 12340,
        .bytes_in = 82,
        .bytes_out = 120,
        .status = 200,
        .version_minor = 1,
        .span = {.trace_id = {0x4b, 0xf9}, .id = {0xab}},
    };
    part_add(SL_ACCESS_METHOD, "GET");
    part_add(SL_ACCESS_TARGET, "/a?b=\"\\\x01\xff");
    part_add(SL_ACCESS_REMOTE, "127.0.0.1");
    part_add(SL_ACCESS_USER_AGENT, "x\ny");
    return 0;
}

static void line_json_hostile_bytes_stay_inside(void **state)
{
    (void)state;
    struct sl_out out;
    struct sl_value value;
    sl_out_init(&out, NULL);
    sl_access_line(&record, SL_ACCESS_JSON, &out);
    assert_int_equal(out.error, 0);
    assert_ptr_equal(memchr(out.data, '\n', out.size), out.data + out.size - 1);
    assert_int_equal(sl_json_parse(sl_slice_make(out.data, out.size), NULL, NULL, 0, &value, NULL),
                     0);
    struct sl_slice target = sl_value_slice(sl_value_get_str(value, "target"));
    assert_true(sl_slice_eq_str(target, "/a?b=\"\\\x01\xc3\xbf"));
    struct sl_slice time = sl_value_slice(sl_value_get_str(value, "time"));
    assert_true(sl_slice_eq_str(time, "2023-11-14T22:13:20.123Z"));
    assert_int_equal(sl_value_get_str(value, "status").cell->i64, 200);
    struct sl_slice trace = sl_value_slice(sl_value_get_str(value, "trace_id"));
    assert_true(sl_slice_eq_str(trace, "4bf90000000000000000000000000000"));
    struct sl_slice span = sl_value_slice(sl_value_get_str(value, "span_id"));
    assert_true(sl_slice_eq_str(span, "ab00000000000000"));
    assert_true(sl_value_is_none(sl_value_get_str(value, "parent_id")));
    sl_value_unref(value);
    sl_out_fini(&out);
}

static void line_combined_is_escaped_and_dashed(void **state)
{
    (void)state;
    static const char expected[] =
        "127.0.0.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b=\\\"\\\\\\x01\\xff HTTP/1.1\" "
        "200 120 \"-\" \"x\\x0ay\"\n";
    struct sl_out out;
    sl_out_init(&out, NULL);
    sl_access_line(&record, SL_ACCESS_COMBINED, &out);
    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
    sl_out_fini(&out);
}

static void open_folder_that_is_not_there_says_so(void **state)
{
    (void)state;
    struct sl_access_log *log = NULL;
    struct sl_diag diag = {0};
    assert_true(sl_access_log_open("/nonexistent/log", SL_ACCESS_JSON, &log, &diag) < 0);
    assert_null(log);
    assert_non_null(strstr(diag.text, "/nonexistent/log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_json_hostile_bytes_stay_inside),
        cmocka_unit_test(line_combined_is_escaped_and_dashed),
        cmocka_unit_test(open_folder_that_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
