/* SPDX-License-Identifier: MIT */
/* Expressions that want too much: each is refused or ends as a typed error, and memory comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/limit.h"
#include "core/mem/mem.h"
#include "tests/nodes/cel/fixture.h"

/* `count` times `before`, then `middle`, then `count` times `after`; freed by the caller. */
static char *repeated(const char *before, const char *middle, const char *after, size_t count)
{
    size_t size = count * (strlen(before) + strlen(after)) + strlen(middle) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    char *at = text;
    for (size_t i = 0; i < count; i++) at = stpcpy(at, before);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, after);
    return text;
}

static void refused(struct fixture *fix, char *code, const char *text)
{
    cel_expect_refused(fix, code, text);
    free(code);
}

static void compile_deep_nesting_is_refused(void **state)
{
    struct fixture *fix = *state;
    refused(fix, repeated("(", "1", ")", 100000), "nested more than 250 deep");
    refused(fix, repeated("[", "1", "]", 100000), "nested more than 250 deep");
    refused(fix, repeated("{1:", "1", "}", 100000), "nested more than 250 deep");
    refused(fix, repeated("size(", "1", ")", 100000), "nested more than 250 deep");
    refused(fix, repeated("true ? 1 : ", "1", "", 100000), "nested more than 250 deep");
    refused(fix, repeated("", "self", ".a", 100000), "nested more than 250 deep");
    refused(fix, repeated("", "self", "[0]", 100000), "nested more than 250 deep");
    refused(fix, repeated("1 + ", "1", "", 100000), "nested more than 250 deep");
    refused(fix, repeated("self.all(x, ", "true", ")", 1000), "nested more than 250 deep");
    refused(fix, repeated("[", "", "", 100000), "nested more than 250 deep");
}

static void compile_limits_of_depth_are_exact(void **state)
{
    struct fixture *fix = *state;
    char *code = repeated("(", "1", ")", SL_CEL_DEPTH_MAX - 1);
    struct sl_script *script = cel_open(fix, code);
    assert_non_null(script);
    cel_close(script);
    free(code);
    refused(fix, repeated("(", "1", ")", SL_CEL_DEPTH_MAX), "nested more than 250 deep");
}

static void compile_long_chains_cost_no_depth(void **state)
{
    struct fixture *fix = *state;
    char *code = repeated("self == 1 || ", "true", "", 10000);
    cel_expect(fix, code, "2", "true");
    free(code);
    code = repeated("self == 2 && ", "true", "", 10000);
    cel_expect(fix, code, "2", "true");
    free(code);
    code = repeated("!", "true", "", 100000);
    cel_expect(fix, code, "2", "true");
    free(code);
}

static void compile_too_many_parts_is_refused(void **state)
{
    struct fixture *fix = *state;
    char *items = repeated("1,", "1", "", SL_CEL_NODES_MAX);
    char *code = malloc(strlen(items) + 3);
    assert_non_null(code);
    (void)sprintf(code, "[%s]", items);
    free(items);
    refused(fix, code, "more than 100000 parts");
}

static void compile_types_that_double_are_bounded(void **state)
{
    struct fixture *fix = *state;
    char code[16384];
    size_t at = 0;
    for (int i = 0; i < 200; i++) {
        at += (size_t)snprintf(code + at, sizeof(code) - at, "cel.bind(v%d, {'a': [%s%d]}, ", i,
                               i > 0 ? "v" : "", i > 0 ? i - 1 : 1);
    }
    at += (size_t)snprintf(code + at, sizeof(code) - at, "1");
    for (int i = 0; i < 200; i++) code[at++] = ')';
    code[at] = '\0';
    cel_expect(fix, code, "1", "1");
}

/* Time that passes by a millisecond at each look. */
static uint64_t ticking_ns;

static uint64_t ticking_now(struct sl_clock *clock)
{
    return ticking_ns += SL_NS_PER_MS;
}

static struct sl_clock ticking = {.now_ns = ticking_now};

/* Run with limits; the failure has this code, and all memory is given back. */
static void fails_with(struct fixture *fix, const char *code, struct sl_clock *clock,
                       const char *expected)
{
    struct sl_mem_stats before;
    struct sl_mem_stats after;
    struct sl_script *script = cel_open(fix, code);
    if (script == NULL) fail_msg("%s: %s", code, fix->diag.text);
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_value self = cel_json(fix, "[1,2,3,4,5,6,7,8,9,10]");
    struct sl_script_call call = {
        .input = self, .mem = fix->mem, .clock = clock, .deadline_ns = UINT64_MAX};
    sl_mem_stats_get(fix->mem, &before);
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    assert_true(sl_value_is(result, SL_VALUE_ERROR));
    struct sl_slice got = sl_value_slice(sl_error_part(result, SL_ERROR_CODE));
    if (!sl_slice_eq_str(got, expected)) fail_msg("%s: got %.*s", code, SL_SLICE_FMT(got));
    sl_value_unref(result);
    sl_value_unref(self);
    /* The next run gives back what this one left in the scratch memory. */
    call.input = sl_value_null();
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
    struct sl_value small = cel_eval(fix, "self", "1");
    sl_value_unref(small);
    sl_mem_stats_get(fix->mem, &after);
    assert_true(after.used <= before.used);
}

static void run_loops_end_at_the_cost_limit(void **state)
{
    struct fixture *fix = *state;
    fails_with(fix,
               "self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, self.all(f, "
               "self.all(g, self.all(h, true))))))))",
               NULL, "script_cost");
    fails_with(fix, "lists.range(3000).all(a, lists.range(3000).all(b, a + b >= 0))", NULL,
               "script_cost");
    fails_with(fix, "lists.range(12000).map(a, a + size(self)).distinct().size() == 1", NULL,
               "script_cost");
}

static void run_loops_end_at_the_deadline(void **state)
{
    struct fixture *fix = *state;
    fails_with(fix, "lists.range(3000).all(a, lists.range(3000).all(b, a + b >= 0))", &ticking,
               "script_deadline");
    fix->source.timeout_ms = 5;
    fails_with(fix, "lists.range(300).all(a, lists.range(300).all(b, a + b + size(self) >= 0))",
               &ticking, "script_deadline");
}

static void run_failures_of_limits_are_not_absorbed(void **state)
{
    struct fixture *fix = *state;
    fails_with(fix, "lists.range(3000).all(a, lists.range(3000).all(b, a + b >= 0)) || true", NULL,
               "script_cost");
    fails_with(fix,
               "cel.bind(x, lists.range(3000).all(a, lists.range(3000).all(b, a + b >= 0)), true)",
               NULL, "script_cost");
}

/* cel.bind(v0, start, cel.bind(v1, v0 + v0, … size(vN))) */
static void doubled(char *code, size_t size, const char *start, int count, const char *step)
{
    size_t at = (size_t)snprintf(code, size, "cel.bind(v0, %s, ", start);
    for (int i = 1; i <= count; i++) {
        at += (size_t)snprintf(code + at, size - at, "cel.bind(v%d, ", i);
        at += (size_t)snprintf(code + at, size - at, step, i - 1, i - 1);
    }
    at += (size_t)snprintf(code + at, size - at, "size(v%d)", count);
    for (int i = 0; i <= count; i++) code[at++] = ')';
    code[at] = '\0';
}

static void run_memory_that_doubles_ends_at_the_cap(void **state)
{
    struct fixture *fix = *state;
    char code[8192];
    doubled(code, sizeof(code), "string(size(self)) + 'xxxxxxxxxxxxxxxx'", 40, "v%d + v%d, ");
    fails_with(fix, code, NULL, "script_memory");
    doubled(code, sizeof(code), "self", 40, "v%d + v%d, ");
    fails_with(fix, code, NULL, "script_memory");
    doubled(code, sizeof(code), "string(self.size())", 30, "v%d.replace('', v%d), ");
    fails_with(fix, code, NULL, "script_memory");
    fix->source.memory_max = 100000;
    fails_with(fix, "lists.range(100000 + size(self)).size() == 1", NULL, "script_memory");
}

static void run_results_beyond_payload_limits_fail(void **state)
{
    struct fixture *fix = *state;
    char code[8192];
    size_t at = 0;
    for (int i = 0; i < 200; i++) at += (size_t)snprintf(code + at, sizeof(code) - at, "[");
    at += (size_t)snprintf(code + at, sizeof(code) - at, "self");
    for (int i = 0; i < 200; i++) code[at++] = ']';
    code[at] = '\0';
    fails_with(fix, code, NULL, "cel_error");
}

static void run_regular_expressions_are_linear_and_bounded(void **state)
{
    struct fixture *fix = *state;
    char *self = repeated("a", "", "", 20000);
    char *json = malloc(strlen(self) + 3);
    assert_non_null(json);
    (void)sprintf(json, "\"%s\"", self);
    cel_expect(fix, "self.matches('^(a*)*$')", json, "true");
    cel_expect(fix, "self.matches('(x+x+)+y')", json, "false");
    cel_expect_refused(fix, "self.matches('((a{1000}){1000}){1000}')",
                       "invalid regular expression");
    cel_expect_error(fix, "self.matches('(' + self)", json, "cel_error",
                     "invalid regular expression");
    fails_with(fix, "lists.range(100000).all(i, !('aaaa'.matches('(a|b|ab)*c' + string(i))))", NULL,
               "script_cost");
    free(self);
    free(json);
}

static void run_without_memory_answers_an_error_or_nothing(void **state)
{
    struct fixture *fix = *state;
    struct sl_mem *tight = sl_mem_new(1);
    struct sl_script *script = cel_open(fix, "self.map(x, [x, string(x)])");
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_value self = cel_json(fix, "[1,2,3]");
    struct sl_script_call call = {.input = self, .mem = tight, .deadline_ns = UINT64_MAX};
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    assert_true(result.cell == NULL || result.cell->kind == SL_VALUE_ERROR);
    sl_value_unref(result);
    sl_value_unref(self);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
    (void)sl_mem_free(tight);
}

/* Each prefix, and each text with one byte changed, is compiled: none may crash. */
static void compile_every_prefix_and_mutation_returns(void **state)
{
    struct fixture *fix = *state;
    static const char *const codes[] = {
        "has(self.body) ? self.body : null",
        "self.a.`b-c`[?0].orValue({'k': 1.5e3, 2u: b'\\x00\\377'}) == r'raw\\n' || !(-x > 0x1F)",
        "[1, ?self.?x].map(i, i % 2 == 0, i * i).exists_one(k, v, k in {1: '''t'''}) // end",
        "cel.bind(x, self.size(), cel.block([x, cel.index(0) + 1], cel.index(1)))",
        "{'a': 1}.transformMapEntry(k, v, {v: k}).?a.optMap(y, y + timestamp('x').getHours('UTC'))",
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        size_t size = strlen(codes[i]);
        char *copy = malloc(size + 1);
        assert_non_null(copy);
        for (size_t end = 0; end <= size; end++) {
            memcpy(copy, codes[i], end);
            copy[end] = '\0';
            struct sl_script *script = cel_open(fix, copy);
            if (script != NULL) cel_close(script);
        }
        for (size_t at = 0; at < size; at++) {
            memcpy(copy, codes[i], size + 1);
            for (int byte = 1; byte < 128; byte += 3) {
                copy[at] = (char)byte;
                struct sl_script *script = cel_open(fix, copy);
                if (script != NULL) cel_close(script);
            }
        }
        free(copy);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cel_setup, cel_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(compile_deep_nesting_is_refused),
        TEST(compile_limits_of_depth_are_exact),
        TEST(compile_long_chains_cost_no_depth),
        TEST(compile_too_many_parts_is_refused),
        TEST(compile_types_that_double_are_bounded),
        TEST(run_loops_end_at_the_cost_limit),
        TEST(run_loops_end_at_the_deadline),
        TEST(run_failures_of_limits_are_not_absorbed),
        TEST(run_memory_that_doubles_ends_at_the_cap),
        TEST(run_results_beyond_payload_limits_fail),
        TEST(run_regular_expressions_are_linear_and_bounded),
        TEST(run_without_memory_answers_an_error_or_nothing),
        TEST(compile_every_prefix_and_mutation_returns),
    };
    return cmocka_run_group_tests_name("cel hostile", tests, NULL, NULL);
}
