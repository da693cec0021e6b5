/* SPDX-License-Identifier: MIT */
/* Shared by the tests of CEL; see fixture.h. */
#include "tests/nodes/cel/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/json/json.h"
#include "core/base/limit.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"

int cel_setup(void **state)
{
    struct fixture *fix = calloc(1, sizeof(*fix));
    if (fix == NULL) return -1;
    fix->mem = sl_mem_new((size_t)512 * 1024 * 1024);
    *state = fix;
    return fix->mem != NULL ? 0 : -1;
}

int cel_teardown(void **state)
{
    struct fixture *fix = *state;
    if (fix->shard != NULL) sl_engine_cel.shard_fini(fix->shard);
    (void)sl_mem_free(fix->mem);
    free(fix);
    return 0;
}

struct sl_value cel_json(struct fixture *fix, const char *json)
{
    struct sl_value value;
    struct sl_diag diag = {.code = ""};
    int result = sl_json_parse(sl_slice_from_str(json), NULL, fix->mem, 0, &value, &diag);
    if (result != 0) fail_msg("%s: %s", json, diag.text);
    return value;
}

struct sl_script *cel_open(struct fixture *fix, const char *code)
{
    struct sl_script *script = NULL;
    fix->source.code = sl_slice_from_str(code);
    if (fix->source.file == NULL) fix->source.file = "";
    memset(&fix->diag, 0, sizeof(fix->diag));
    return sl_engine_cel.compile(&fix->source, &script, &fix->diag) == 0 ? script : NULL;
}

void cel_close(struct sl_script *script)
{
    sl_engine_cel.script_free(script);
}

static struct sl_value run(struct fixture *fix, struct sl_script *script, struct sl_value self)
{
    void *instance = NULL;
    struct sl_diag diag;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, &diag), 0);
    struct sl_script_call call = {
        .input = self, .mem = fix->mem, .clock = sl_clock_system(), .deadline_ns = UINT64_MAX};
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    sl_engine_cel.detach(script, fix->shard, instance);
    return result;
}

struct sl_value cel_eval(struct fixture *fix, const char *code, const char *self)
{
    struct sl_script *script = cel_open(fix, code);
    if (script == NULL) fail_msg("%s: %s", code, fix->diag.text);
    struct sl_value input = self != NULL ? cel_json(fix, self) : sl_value_null();
    struct sl_value result = run(fix, script, input);
    sl_value_unref(input);
    struct sl_value copy;
    /* What a program answers lives as long as it: keep a copy. */
    assert_int_equal(sl_value_copy(result, fix->mem, &copy), 0);
    sl_value_unref(result);
    cel_close(script);
    return copy;
}

void cel_expect(struct fixture *fix, const char *code, const char *self, const char *expected)
{
    struct sl_value result = cel_eval(fix, code, self);
    struct sl_out out;
    sl_out_init(&out, NULL);
    assert_int_equal(sl_json_write(result, 0, &out), 0);
    bool same = sl_slice_eq_str(sl_slice_make(out.data, out.size), expected);
    if (!same) {
        print_error("%s: expected %s, got %.*s\n", code, expected, (int)out.size,
                    (const char *)out.data);
    }
    sl_out_fini(&out);
    sl_value_unref(result);
    assert_true(same);
}

void cel_expect_error(struct fixture *fix, const char *code, const char *self,
                      const char *error_code, const char *message)
{
    struct sl_value result = cel_eval(fix, code, self);
    if (!sl_value_is(result, SL_VALUE_ERROR)) fail_msg("%s: did not fail", code);
    struct sl_slice got_code = sl_value_slice(sl_error_part(result, SL_ERROR_CODE));
    struct sl_slice got = sl_value_slice(sl_error_part(result, SL_ERROR_MESSAGE));
    bool same = sl_slice_eq_str(got_code, error_code) &&
                sl_slice_has_prefix(got, sl_slice_from_str(message));
    if (!same) {
        print_error("%s: expected %s \"%s\", got %.*s \"%.*s\"\n", code, error_code, message,
                    SL_SLICE_FMT(got_code), SL_SLICE_FMT(got));
    }
    sl_value_unref(result);
    assert_true(same);
}

void cel_expect_refused(struct fixture *fix, const char *code, const char *text)
{
    struct sl_script *script = cel_open(fix, code);
    if (script != NULL) fail_msg("%s: was not refused", code);
    if (strstr(fix->diag.text, text) == NULL) {
        fail_msg("%s: expected \"%s\", got \"%s\"", code, text, fix->diag.text);
    }
}
