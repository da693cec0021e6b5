/* SPDX-License-Identifier: MIT */
/* CEL as nodes use it: payloads, errors, names, limits. The language itself is in the suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/limit.h"
#include "core/mem/mem.h"
#include "nodes/script/cel/eval.h"
#include "tests/nodes/cel/fixture.h"

static void run_seed_expressions_answer(void **state)
{
    struct fixture *fix = *state;
    cel_expect(fix, "has(self.body) ? self.body : null", "{\"body\":[1,2]}", "[1,2]");
    cel_expect(fix, "has(self.body) ? self.body : null", "{\"method\":\"GET\"}", "null");
    cel_expect(fix, "self == \"unsupported type\" || self == \"unsupported value\"", "\"x\"",
               "false");
    cel_expect(fix, "self * 2.0", "1.5", "3.0");
    cel_expect(fix, "{\"body\": self}", "{\"a\":1}", "{\"body\":{\"a\":1}}");
}

static void run_json_numbers_compare_by_value(void **state)
{
    struct fixture *fix = *state;
    const char *self = "{\"age\":18,\"score\":2.5,\"big\":18446744073709551615}";
    cel_expect(fix, "self.age >= 18.0", self, "true");
    cel_expect(fix, "self.age == 18.0 && self.age == 18u && self.age < 18.5", self, "true");
    cel_expect(fix, "self.score > 2", self, "true");
    cel_expect(fix, "self.big == 18446744073709551615u", self, "true");
    cel_expect(fix, "self.big > 9223372036854775807", self, "true");
    cel_expect(fix, "self.age in [1.0, 18.0]", self, "true");
}

static void run_json_numbers_take_the_kind_of_their_partner(void **state)
{
    struct fixture *fix = *state;
    const char *self = "{\"n\":3,\"x\":10.5,\"list\":[1,2.5]}";
    cel_expect(fix, "self.n * 2.0", self, "6.0");
    cel_expect(fix, "self.n * 2", self, "6");
    cel_expect(fix, "self.x * 2", self, "21.0");
    cel_expect(fix, "self.n + self.x - 1", self, "12.5");
    cel_expect(fix, "-self.n * 2.0 + 1", self, "-5.0");
    cel_expect(fix, "self.n + 1u", self, "4");
    cel_expect(fix, "math.ceil(self.n) + self.x", self, "13.5");
    cel_expect(fix, "self.list.map(v, v * 2)", self, "[2,5.0]");
    cel_expect(fix, "[self.x, self.n, 4, 1.5].sort()", self, "[1.5,3,4,10.5]");
    cel_expect(fix, "(self.list + [self.n]).sortBy(v, -v)", self, "[3,2.5,1]");
    cel_expect(fix, "7 / self.n", self, "2");
    cel_expect_error(fix, "self.x % 2", self, "cel_error", "no such overload");
    cel_expect_error(fix, "-self.n + 1u", self, "cel_error", "no such overload");
    cel_expect_error(fix, "self.n + 'a'", self, "cel_error", "no such overload");
    cel_expect_error(fix, "dyn(1) + 1.0", self, "cel_error", "no such overload");
    cel_expect_error(fix, "size(self.n)", self, "cel_error", "no such overload");
}

static void run_paths_into_payloads_read_in_place(void **state)
{
    struct fixture *fix = *state;
    const char *self =
        "{\"body\":{\"user\":{\"age\":20,\"tags\":[\"a\",\"b\"]}},\"method\":\"POST\","
        "\"header\":{\"content-type\":\"text/plain\"}}";
    cel_expect(fix, "self.body.user.age >= 18 && self.method == \"POST\"", self, "true");
    cel_expect(fix, "self.body.user.age < 18 || self.method != \"POST\"", self, "false");
    cel_expect(fix, "self.header[\"content-type\"].startsWith(\"text/\")", self, "true");
    cel_expect(fix, "self.header.`content-type`", self, "\"text/plain\"");
    cel_expect(fix, "self.body.user.tags.exists(t, t == \"b\")", self, "true");
    cel_expect(fix, "self.body.user.tags.map(t, t + \"!\")", self, "[\"a!\",\"b!\"]");
    cel_expect(fix, "self.?body.?nobody.orValue(7)", self, "7");
    cel_expect(fix, "self.body.user.all(k, k in [\"age\", \"tags\"])", self, "true");
    cel_expect(fix, "self.body.user.transformList(k, v, k)", self, "[\"age\",\"tags\"]");
}

static void run_missing_key_fails_with_its_place(void **state)
{
    struct fixture *fix = *state;
    fix->source = (struct sl_script_source){.file = "flow.yaml", .pos = {12, 9}, .indent = 8};
    struct sl_value result = cel_eval(fix, "true &&\nself.body.nothing == 1", "{\"body\":{}}");
    assert_true(sl_value_is(result, SL_VALUE_ERROR));
    assert_true(sl_error_has_message(result, SL_SLICE("no such key: nothing")));
    struct sl_value data = sl_error_part(result, SL_ERROR_DATA);
    assert_int_equal(sl_value_get_str(data, "line").cell->i64, 13);
    assert_int_equal(sl_value_get_str(data, "column").cell->i64, 9 + 10);
    assert_true(sl_slice_eq_str(sl_value_slice(sl_value_get_str(data, "file")), "flow.yaml"));
    sl_value_unref(result);
}

static void run_failures_have_the_messages_of_the_reference(void **state)
{
    struct fixture *fix = *state;
    cel_expect_error(fix, "self.a", "{}", "cel_error", "no such key: a");
    cel_expect_error(fix, "self[\"a\"]", "{}", "cel_error", "no such key: a");
    cel_expect_error(fix, "self.a.b", "{\"a\":1}", "cel_error", "no such overload");
    cel_expect_error(fix, "1 / self", "0", "cel_error", "divide by zero");
    cel_expect_error(fix, "1 % self", "0", "cel_error", "modulus by zero");
    cel_expect_error(fix, "self + 1", "\"x\"", "cel_error", "no such overload");
    cel_expect_error(fix, "self[5]", "[1]", "cel_error", "index out of bounds: 5");
    cel_expect_error(fix, "self + 1", "9223372036854775807", "cel_error",
                     "return error for overflow");
}

static void compile_unknown_name_is_refused_with_the_nearest(void **state)
{
    struct fixture *fix = *state;
    cel_expect_refused(fix, "slef.body", "undeclared reference to 'slef'");
    assert_non_null(strstr(fix->diag.hint, "\"self\""));
    cel_expect_refused(fix, "self.body.startWith('a')", "undeclared reference to 'startWith'");
    assert_non_null(strstr(fix->diag.hint, "\"startsWith\""));
    cel_expect_refused(fix, "[1].all(item, itme > 0)", "undeclared reference to 'itme'");
    assert_non_null(strstr(fix->diag.hint, "\"item\""));
}

static void compile_certain_type_error_is_refused(void **state)
{
    struct fixture *fix = *state;
    cel_expect_refused(fix, "1 + 'a'", "no matching overload for '_+_' applied to (int, string)");
    cel_expect_refused(fix, "'a' && self", "a bool is needed beside &&, not 'string'");
    cel_expect_refused(fix, "1 ? 2 : 3", "a bool is needed before '?', not 'int'");
    cel_expect_refused(fix, "{1.5: 2}", "a map has no keys of type 'double'");
    cel_expect_refused(fix, "size(1)", "no matching overload for 'size' applied to (int)");
    cel_expect_refused(fix, "5.all(x, true)", "all() needs a list or a map, not 'int'");
    cel_expect_refused(fix, "Message{a: 1}", "messages like Message{} do not exist here");
    cel_expect_refused(fix, "'a'.matches('(')", "invalid regular expression");
}

static void compile_syntax_error_is_refused_at_its_place(void **state)
{
    struct fixture *fix = *state;
    fix->source = (struct sl_script_source){.file = "f.yaml", .pos = {3, 7}, .indent = 4};
    cel_expect_refused(fix, "self.a +\n  * 2", "unexpected '*'");
    assert_int_equal(fix->diag.pos.line, 4);
    assert_int_equal(fix->diag.pos.column, 4 + 3);
    assert_string_equal(fix->diag.file, "f.yaml");
    cel_expect_refused(fix, "", "the expression ends");
    cel_expect_refused(fix, "'abc", "the string does not end");
    cel_expect_refused(fix, "'\\q'", "unknown escape");
    cel_expect_refused(fix, "1 2", "expected the end");
    cel_expect_refused(fix, "9223372036854775808", "does not fit");
    cel_expect_refused(fix, "for", "reserved word");
    cel_expect_refused(fix, "has(self)", "has() needs");
    cel_expect_refused(fix, "[1].map(1, 2)", "simple name");
}

static struct sl_value error_with_cause(struct fixture *fix)
{
    struct sl_value cause = sl_value_new_error(fix->mem, "inner", 0, "unsupported value");
    struct sl_value error =
        sl_value_new_error_caused(fix->mem, "outer", 404, cause, "the outer text");
    sl_value_unref(cause);
    return error;
}

/* Run on a value that JSON cannot say; the result must be true. */
static void expect_true_of(struct fixture *fix, const char *code, struct sl_value self)
{
    struct sl_script *script = cel_open(fix, code);
    if (script == NULL) fail_msg("%s: %s", code, fix->diag.text);
    void *instance;
    struct sl_value error = sl_value_none();
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
    int result = sl_engine_cel.test(script, instance, &call, &error);
    if (result != 1) print_error("%s: %d\n", code, result);
    sl_value_unref(error);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
    assert_int_equal(result, 1);
}

static void run_error_payload_is_a_value(void **state)
{
    struct fixture *fix = *state;
    struct sl_value error = error_with_cause(fix);
    expect_true_of(fix, "self == 'unsupported type' || self == 'unsupported value'", error);
    expect_true_of(fix, "'the outer text' == self && self != 'else'", error);
    expect_true_of(fix, "self.code == 'outer' && self.message == 'the outer text'", error);
    expect_true_of(fix, "self.cause.code == 'inner' && self.status == 404", error);
    expect_true_of(fix, "string(self) == 'the outer text' && type(self) == error", error);
    expect_true_of(fix, "has(self.code) && !has(self.other) && self.data == null", error);
    expect_true_of(fix, "self == self && [self] == [self] && !(self == 1)", error);
    sl_value_unref(error);
}

static struct sl_value decode_bad(struct sl_lazy *lazy, struct sl_buf *owner)
{
    return sl_value_new_error(owner->mem, "bad_body", 400, "unsupported value");
}

static void run_body_that_does_not_parse_is_the_failure(void **state)
{
    struct fixture *fix = *state;
    struct sl_builder builder;
    struct sl_value self;
    sl_builder_init(&builder, fix->mem, 8, 64);
    struct sl_lazy *lazies = sl_builder_lazies_reserve(&builder, 1);
    lazies[0].decode = decode_bad;
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "method");
    sl_build_string_str(&builder, "GET");
    sl_build_key_str(&builder, "body");
    sl_build_lazy(&builder, 0);
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &self), 0);

    expect_true_of(fix, "has(self.body) && self.method == 'GET'", self);
    assert_true(sl_value_is_none(self.buf->lazies[0].value));
    expect_true_of(fix, "self.body.a == 1 || self.method == 'GET'", self);

    struct sl_script *script = cel_open(fix, "self.body.a == 1");
    void *instance;
    struct sl_value error = sl_value_none();
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
    assert_int_equal(sl_engine_cel.test(script, instance, &call, &error), -1);
    assert_true(sl_slice_eq_str(sl_value_slice(sl_error_part(error, SL_ERROR_CODE)), "bad_body"));
    assert_true(sl_error_has_message(error, SL_SLICE("unsupported value")));
    sl_value_unref(error);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
    sl_value_unref(self);
}

static void run_maps_of_every_size_are_found(void **state)
{
    struct fixture *fix = *state;
    for (int count = 1; count <= 40; count += 3) {
        char json[1024];
        size_t at = (size_t)snprintf(json, sizeof(json), "{");
        for (int i = 0; i < count; i++) {
            at += (size_t)snprintf(json + at, sizeof(json) - at, "%s\"key%d\":%d", i ? "," : "", i,
                                   i);
        }
        (void)snprintf(json + at, sizeof(json) - at, "}");
        for (int i = 0; i < count; i++) {
            char code[64];
            (void)snprintf(code, sizeof(code), "self.key%d == %d && 'key%d' in self", i, i, i);
            cel_expect(fix, code, json, "true");
        }
        cel_expect(fix, "has(self.key40) || 'key' in self", json, "false");
        cel_expect(fix, "self.map(k, self[k]).size() == self.size()", json, "true");
    }
}

/* The same script on payloads whose keys stand in different places. */
static void run_hints_of_keys_never_mislead(void **state)
{
    struct fixture *fix = *state;
    static const char *const selves[] = {
        "{\"a\":{\"b\":1},\"c\":2}",         "{\"c\":9,\"a\":{\"x\":0,\"b\":1}}",
        "{\"x\":1,\"y\":2,\"a\":{\"b\":1}}", "{\"a\":{\"q\":5,\"r\":6,\"b\":1}}",
        "{\"b\":{\"a\":7},\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}",
    };
    struct sl_script *script = cel_open(fix, "self.a.b == 1");
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    for (size_t i = 0; i < 36; i++) {
        struct sl_value error;
        struct sl_value self = cel_json(fix, selves[i < 6 ? i : (i * 5 + i / 6) % 6]);
        struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
        assert_int_equal(sl_engine_cel.test(script, instance, &call, &error), 1);
        sl_value_unref(self);
    }
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
}

static void run_references_into_other_payloads_are_followed(void **state)
{
    struct fixture *fix = *state;
    struct sl_value inner = cel_json(fix, "{\"list\":[{\"n\":1},{\"n\":2}],\"s\":\"text\"}");
    struct sl_builder builder;
    struct sl_value self;
    sl_builder_init(&builder, fix->mem, 4, 16);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "body");
    sl_build_value(&builder, inner);
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &self), 0);
    sl_value_unref(inner);
    expect_true_of(fix, "self.body.s == 'text' && self.body.list[1].n == 2", self);
    expect_true_of(
        fix, "self.body.list.exists(x, x.n == 2) && self.body.list.map(x, x.n) == [1, 2]", self);
    expect_true_of(fix, "self == {'body': {'s': 'text', 'list': [{'n': 1.0}, {'n': 2u}]}}", self);
    sl_value_unref(self);
}

/* A part of the input is counted, not copied, and outlives it. */
static void run_result_in_the_payload_is_shared(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "self.a");
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_value self = cel_json(fix, "{\"a\":[\"x\"]}");
    struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    assert_ptr_equal(result.buf, self.buf);
    sl_value_unref(self);
    assert_true(sl_slice_eq_str(sl_value_slice(sl_value_list_at(result, 0)), "x"));
    sl_value_unref(result);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
}

/* After the first run, conditions take nothing from anywhere. */
static void test_conditions_take_no_memory(void **state)
{
    struct fixture *fix = *state;
    static const char *const codes[] = {
        "self.a.b >= 1 && self.s == 'text'",
        "self.list.exists(x, x > 2)",
        "self.s.startsWith('te') && self.s.matches('^t.*t$')",
        "self.a.b * 2 + 1 < 100 || self.nothing == 1",
    };
    struct sl_value self = cel_json(fix, "{\"a\":{\"b\":1},\"s\":\"text\",\"list\":[1,2,3]}");
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct sl_script *script = cel_open(fix, codes[i]);
        void *instance;
        struct sl_value error;
        struct sl_mem_stats before;
        struct sl_mem_stats after;
        assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
        struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
        sl_mem_stats_get(fix->mem, &before);
        assert_int_equal(sl_engine_cel.test(script, instance, &call, &error), 1);
        sl_mem_stats_get(fix->mem, &after);
        assert_int_equal(before.used, after.used);
        sl_engine_cel.detach(script, fix->shard, instance);
        cel_close(script);
    }
    sl_value_unref(self);
}

static void test_result_that_is_no_bool_fails(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "self");
    void *instance;
    struct sl_value error = sl_value_none();
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_value self = cel_json(fix, "[1]");
    struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
    assert_int_equal(sl_engine_cel.test(script, instance, &call, &error), -1);
    assert_true(sl_error_has_message(error, SL_SLICE("the condition is of type 'list', not bool")));
    sl_value_unref(error);
    call.input = sl_value_bool(true);
    assert_int_equal(sl_engine_cel.test(script, instance, &call, &error), 1);
    sl_value_unref(self);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
}

static void run_env_is_a_map(void **state)
{
    struct fixture *fix = *state;
    cel_expect_error(fix, "env.NAME", NULL, "cel_error", "no such key: NAME");
    fix->source.env = cel_json(fix, "{\"NAME\":\"x\",\"N\":3}");
    cel_expect(fix, "env.NAME + string(env.N)", NULL, "\"x3\"");
    cel_expect(fix, "has(env.OTHER)", NULL, "false");
    sl_value_unref(fix->source.env);
}

static void run_unpacked_keys_are_names(void **state)
{
    struct fixture *fix = *state;
    const char *self = "{\"body\":{\"a\":1},\"size\":5,\"type\":\"push\",\"self\":1,\"string\":2}";
    fix->source.unpack = true;
    cel_expect(fix, "body.a + size", self, "6");
    cel_expect(fix, "size([1, 2]) + size", self, "7");
    cel_expect(fix, "type == \"push\"", self, "true");
    cel_expect(fix, "type(1) == int", self, "true");
    cel_expect(fix, "string(string)", self, "\"2\"");
    cel_expect(fix, "self.size", self, "5");
    cel_expect_error(fix, "boddy.a", self, "cel_error", "undeclared reference to 'boddy'");
    cel_expect(fix, "boddy.a == 1 || true", self, "true");
    cel_expect_refused(fix, "siez([])", "undeclared reference to 'siez'");
}

static void run_several_inputs_are_a_list(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "self[0] + self[1] * self[2]");
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_value one = cel_json(fix, "1");
    struct sl_value args[2] = {cel_json(fix, "2"), cel_json(fix, "3")};
    struct sl_script_call call = {
        .input = one, .args = args, .args_count = 2, .mem = fix->mem, .deadline_ns = UINT64_MAX};
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    assert_int_equal(result.cell->i64, 7);
    sl_value_unref(result);
    sl_value_unref(one);
    sl_value_unref(args[0]);
    sl_value_unref(args[1]);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
}

static void run_results_of_every_kind_become_payloads(void **state)
{
    struct fixture *fix = *state;
    cel_expect(fix, "[1u, 2.5, b'ab', true, null, optional.none(), optional.of(3)]", NULL,
               "[1,2.5,\"YWI=\",true,null,null,3]");
    cel_expect(fix, "{1: 'a', true: 'b', 'c': {}, 2u: []}", NULL,
               "{\"1\":\"a\",\"true\":\"b\",\"c\":{},\"2\":[]}");
    cel_expect(fix, "[timestamp('2026-11-21T09:00:00.5Z'), duration('-1.5s')]", NULL,
               "[\"2026-11-21T09:00:00.5Z\",\"-1.5s\"]");
    cel_expect(fix, "[type(1), type(self), ip('::1'), cidr('10.0.0.0/8')]", NULL,
               "[\"int\",\"null_type\",\"::1\",\"10.0.0.0/8\"]");
    cel_expect(fix, "[self, self.b]", "{\"b\":{\"c\":1}}", "[{\"b\":{\"c\":1}},{\"c\":1}]");
}

/* A map that is the result itself goes to the payload by a way of its own: the same comes out. */
static void run_map_as_the_result_is_what_it_is_inside(void **state)
{
    static const char self[] =
        "{\"n\": null, \"yes\": true, \"i\": -5, \"u\": 18446744073709551615, \"f\": 1.5,"
        "\"s\": \"\", \"t\": \"seven77\", \"m\": \"thirteen bytes\", \"l\":"
        "\"a text of more bytes than are copied from one payload to the next one\","
        "\"list\": [1, {\"k\": \"v\"}], \"map\": {\"k\": [\"v\"]}}";
    static const char *const maps[] = {
        "{'a': self.n, 'b': self.yes, 'c': self.i, 'd': self.u, 'e': self.f}",
        "{'a': self.s, 'b': self.t, 'c': self.m, 'd': self.t + self.m, 'e': 'static'}",
        "{'a': 5u, 'b': self.u, 'c': uint(self.f), 'd': bytes(self.t), 'e': b'static'}",
        "{'a': self.l, 'b': self.s}",
        "{'a': self.l + self.l, 'b': self.t}",
        "{'a': self.list, 'b': self.i}",
        "{'a': self.map, 'b': {'c': self.map.k, 'd': self.t}}",
        "{'a': [self.t, self.m], 'b': type(self.t)}",
        "{'a': optional.of(self.t), 'b': optional.none()}",
        "{'a': timestamp(self.i), 'b': duration('1.5s'), 'c': self.t}",
        "self.yes ? {'a': self.t} : {'b': self.i}",
        "self.yes ? (self.i > 0 ? {'a': self.t} : {'b': self.i}) : {'c': self.f}",
        "cel.bind(x, self.t, {'a': x, 'b': x + x})",
        "{'a': self.list.map(x, {'k': x}), 'b': self.list.size()}",
        "{}",
    };
    struct fixture *fix = *state;
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        char inside[256];
        (void)snprintf(inside, sizeof(inside), "[%s, self.yes][0]", maps[i]);
        struct sl_value result = cel_eval(fix, maps[i], self);
        struct sl_value expected = cel_eval(fix, inside, self);
        if (!sl_value_is(result, SL_VALUE_MAP)) fail_msg("%s is no map", maps[i]);
        if (!sl_value_equal(result, expected)) fail_msg("%s is another map inside", maps[i]);
        sl_value_unref(result);
        sl_value_unref(expected);
    }
}

static void run_map_as_the_result_without_memory_fails(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "{'a': self.k, 'b': 1}");
    void *instance;
    assert_non_null(script);
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    struct sl_mem *mem = sl_mem_new(1);
    struct sl_value self = cel_json(fix, "{\"k\": \"v\"}");
    struct sl_script_call call = {.input = self, .mem = mem, .deadline_ns = UINT64_MAX};
    struct sl_value result = sl_engine_cel.run(script, instance, &call);
    assert_true(result.cell == NULL || result.cell->kind == SL_VALUE_ERROR);
    sl_value_unref(result);
    sl_value_unref(self);
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
    (void)sl_mem_free(mem);
}

static void compile_constant_expression_has_its_value_at_once(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "{'a': [1, 2 + 3], 'b': 'x' + 'y'}");
    assert_non_null(script->constant.cell);
    assert_int_equal(sl_value_count(script->constant), 2);
    cel_close(script);
    script = cel_open(fix, "self");
    assert_null(script->constant.cell);
    cel_close(script);
    script = cel_open(fix, "1 / 0");
    assert_null(script->constant.cell);
    cel_close(script);
}

static void compile_cost_is_bounded(void **state)
{
    struct fixture *fix = *state;
    struct sl_script *script = cel_open(fix, "self.a == 1 && self.b > 2");
    assert_in_range(script->cost.bound, 1, 100);
    cel_close(script);
    script = cel_open(fix, "[self, 2, 3].exists(x, x == 1)");
    assert_in_range(script->cost.bound, 1, 1000);
    cel_close(script);
    script = cel_open(fix, "self.items.exists(x, x == 1)");
    assert_int_equal(script->cost.bound, SL_CEL_COST_MAX);
    cel_close(script);
}

static void compile_cost_names_what_depends_on_the_input(void **state)
{
    struct fixture *fix = *state;
    fix->source.pos = (struct sl_pos){7, 11};
    struct sl_script *script = cel_open(fix, "self.a == 1 && self.list.exists(x, x > 2)");
    assert_int_equal(script->cost.limit, SL_CEL_COST_MAX);
    assert_string_equal(script->cost.name, "exists");
    assert_int_equal(script->cost.pos.line, 7);
    assert_int_equal(script->cost.pos.column, 11 + 25);
    cel_close(script);
    script = cel_open(fix, "1 + int(self.a) < 3 &&\n self.b == self.c");
    assert_string_equal(script->cost.name, "==");
    assert_int_equal(script->cost.pos.line, 8);
    cel_close(script);
    script = cel_open(fix, "lists.range(int(self.n)).size() == 3");
    assert_int_equal(script->cost.bound, script->cost.limit);
    assert_string_equal(script->cost.name, "lists.range");
    cel_close(script);
}

/* The bound holds for inputs that are as long as they like. */
static void run_costs_no_more_than_its_bound(void **state)
{
    struct fixture *fix = *state;
    static const char *const codes[] = {
        "self.text == 'short'",
        "self.text < 'short' || self.text >= 'a'",
        "self.text in ['a', 'b', 'c'] || self.list in [[1], [2]]",
        "self.list == [1, 2, 3]",
        "[self.text, self.list, 3].exists_one(x, x == 3)",
        "['a', 'b', 'c', 'd'].map(x, x == 'b' ? {'k': x} : {'l': 1}).size() == 4",
        "{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': self, 'f': 5, 'g': 6, 'h': 7, 'i': 8, 'j': 9}.e",
        "self.text.startsWith('aaaa') && !self.text.endsWith('b') && self.?none.orValue(1) == 1",
        "timestamp(1000000).getHours('Europe/Berlin') + self.number > 1",
        "[1, 2, 3].all(x, [4, 5, 6].all(y, x * y + self.number < 100))",
        "[1, 2, 3].transformMapEntry(k, v, {string(v): self.list}).size() == 3",
        "cel.bind(x, self.number, x * x + x) > 5 ? [x_y, 1, 2] : [3]",
    };
    char *json = malloc(4000000);
    assert_non_null(json);
    size_t at = (size_t)sprintf(json, "{\"number\": 5, \"x_y\": 1, \"text\": \"");
    for (int i = 0; i < 1000000; i++) json[at++] = 'a';
    at += (size_t)sprintf(json + at, "\", \"list\": [1");
    for (int i = 0; i < 500000; i++) at += (size_t)sprintf(json + at, ",2");
    (void)sprintf(json + at, "]}");
    struct sl_value self = cel_json(fix, json);
    free(json);
    fix->source.unpack = true;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct sl_script *script = cel_open(fix, codes[i]);
        if (script == NULL) fail_msg("%s: %s", codes[i], fix->diag.text);
        void *instance;
        assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
        struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
        struct sl_value result = sl_engine_cel.run(script, instance, &call);
        assert_false(sl_value_is(result, SL_VALUE_ERROR));
        uint64_t cost = ((const struct sl_cel_instance *)instance)->eval.cost;
        if (cost > script->cost.bound || script->cost.bound > 1000) {
            fail_msg("%s: cost %lu, bound %lu", codes[i], cost, script->cost.bound);
        }
        sl_value_unref(result);
        sl_engine_cel.detach(script, fix->shard, instance);
        cel_close(script);
    }
    sl_value_unref(self);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cel_setup, cel_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(run_seed_expressions_answer),
        TEST(run_json_numbers_compare_by_value),
        TEST(run_json_numbers_take_the_kind_of_their_partner),
        TEST(run_paths_into_payloads_read_in_place),
        TEST(run_missing_key_fails_with_its_place),
        TEST(run_failures_have_the_messages_of_the_reference),
        TEST(compile_unknown_name_is_refused_with_the_nearest),
        TEST(compile_certain_type_error_is_refused),
        TEST(compile_syntax_error_is_refused_at_its_place),
        TEST(run_error_payload_is_a_value),
        TEST(run_body_that_does_not_parse_is_the_failure),
        TEST(run_maps_of_every_size_are_found),
        TEST(run_hints_of_keys_never_mislead),
        TEST(run_references_into_other_payloads_are_followed),
        TEST(run_result_in_the_payload_is_shared),
        TEST(test_conditions_take_no_memory),
        TEST(test_result_that_is_no_bool_fails),
        TEST(run_env_is_a_map),
        TEST(run_unpacked_keys_are_names),
        TEST(run_several_inputs_are_a_list),
        TEST(run_results_of_every_kind_become_payloads),
        TEST(run_map_as_the_result_is_what_it_is_inside),
        TEST(run_map_as_the_result_without_memory_fails),
        TEST(compile_constant_expression_has_its_value_at_once),
        TEST(compile_cost_is_bounded),
        TEST(compile_cost_names_what_depends_on_the_input),
        TEST(run_costs_no_more_than_its_bound),
    };
    return cmocka_run_group_tests_name("cel", tests, NULL, NULL);
}
