/* SPDX-License-Identifier: MIT */
/* Secrets in what scripts say: found in every text of an error, whatever they look like. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "nodes/script/engine.h"
#include "core/graph/mask.h"
#include "tests/nodes/js/fixture.h"

static struct sl_mask *mask_of(const char *json)
{
    struct sl_value secrets;
    struct sl_mask *mask = NULL;
    assert_int_equal(sl_json_parse(sl_slice_from_str(json), NULL, NULL, 0, &secrets, NULL), 0);
    assert_int_equal(sl_mask_new(&secrets, 1, &mask), 0);
    sl_value_unref(secrets);
    return mask;
}

/* {code, "bad s3cr3t", cause {…, "s3cr3t", …}, data {"s3cr3t": ["s3cr3t", 1]}, 401} */
static struct sl_value error_make(const char *secret)
{
    struct sl_builder b;
    struct sl_value error;
    char text[64];
    (void)snprintf(text, sizeof(text), "bad %s", secret);
    sl_builder_init(&b, NULL, 0, 0);
    sl_build_error_begin(&b);
    sl_build_string_str(&b, "denied");
    sl_build_string_str(&b, text);
    sl_build_error(&b, SL_SLICE("inner"), sl_slice_from_str(secret), sl_value_none(),
                   sl_value_none(), 0);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, secret);
    sl_build_list_begin(&b);
    sl_build_string_str(&b, text);
    sl_build_int(&b, 1);
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    sl_build_int(&b, 401);
    sl_build_error_end(&b);
    assert_int_equal(sl_builder_finish(&b, &error), 0);
    return error;
}

static void mask_error_hides_in_every_part(void **state)
{
    (void)state;
    char text[512];
    struct sl_mask *mask = mask_of("[\"s3cr3t\"]");
    struct sl_value error = sl_mask_error(mask, error_make("s3cr3t"), NULL);
    value_print(error, text, sizeof(text));
    assert_string_equal(text, "error(denied, \"bad ***\", error(inner, \"***\", null, null, null), "
                              "{\"***\": [\"bad ***\", 1]}, 401)");
    sl_value_unref(error);
    (void)sl_mask_free(mask);
}

static void mask_error_without_a_hit_is_the_same_value(void **state)
{
    (void)state;
    struct sl_mask *mask = mask_of("[\"s3cr3t\"]");
    struct sl_value error = error_make("harmless");
    struct sl_value masked = sl_mask_error(mask, error, NULL);
    assert_ptr_equal(masked.cell, error.cell);
    sl_value_unref(masked);
    (void)sl_mask_free(mask);
}

static void line_keep(void *ctx, enum sl_log_level level, const char *node, const char *text,
                      size_t text_size)
{
    (void)level;
    (void)node;
    (void)snprintf(ctx, 128, "%.*s", (int)text_size, text);
}

static void script_log_hides_while_a_mask_is_set(void **state)
{
    (void)state;
    char line[128];
    struct sl_mask *mask = mask_of("[\"s3cr3t\"]");
    sl_script_log_set(line_keep, line);
    sl_script_mask_set(mask);
    sl_script_log(SL_LOG_INFO, "node", "is s3cr3t", 9);
    assert_string_equal(line, "is ***");
    sl_script_mask_set(NULL);
    sl_script_log(SL_LOG_INFO, "node", "is s3cr3t", 9);
    assert_string_equal(line, "is s3cr3t");
    sl_script_log_set(NULL, NULL);
    (void)sl_mask_free(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_error_hides_in_every_part),
        cmocka_unit_test(mask_error_without_a_hit_is_the_same_value),
        cmocka_unit_test(script_log_hides_while_a_mask_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
