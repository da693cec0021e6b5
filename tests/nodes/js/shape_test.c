/* SPDX-License-Identifier: MIT */
/*
 * The shortcuts of conversion against the plain way: objects of results by compiled shape, and of
 * inputs only what the script's text can look at.
 */
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
#include "nodes/script/js/uses.h"
#include "tests/nodes/js/fixture.h"

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL) return -1;
    fixture_init(fixture, &sl_engine_js);
    fixture->timeout_ms = 10000;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    bool clean = fixture_fini(*state);
    free(*state);
    return clean ? 0 : -1;
}

/* ---- Results ------------------------------------------------------------------------------- */

/* Called often with the same row of keys: by key at first, by shape afterwards. */
static void result_by_shape_equals_result_by_key(void **state)
{
    static const char *const results[] = {
        "({a: 1, b: 'é', c: {a: true, d: [1, {e: null}]}, f: 1.5})",
        "({a: undefined, b: 2, c: () => 1, d: Symbol()})",
        "({})",
        "({'': 1, 'x y': 2, 'ключ': 3, '\"': 4, '\\\\': 5})",
        "({2: 'b', 1: 'a', z: 0})",
        "({['__proto__']: 1, a: 2})",
        "({toJSON: 7, a: 1})",
        "({toJSON() { return {b: 2} }, a: 1})",
        "({get a() { return {b: 1} }, b: 2})",
        "({get a() { delete this.b; return 1 }, b: 2})",
        "({a: new Date(0), b: new Uint8Array([1]), c: 10n ** 18n, d: new Map([['k', 1]])})",
        "Object.defineProperty({a: 1}, 'hidden', {value: 2})",
        "Object.assign(Object.create({inherited: 1}), {own: 2})",
        "({a: 'W', b: 'x'.repeat(3000)})",
        "({a: 'W', b: 'é'.repeat(3000)})",
        "({error: new RangeError('text'), b: 1}).b",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        char code[512], first[8192];
        (void)snprintf(code, sizeof(code), "export default () => %s", results[i]);
        struct attached attached = fixture_attach(fixture, code);
        assert_non_null(attached.script);
        (void)snprintf(first, sizeof(first), "%s",
                       fixture_call_text(fixture, &attached, sl_value_null()));
        for (int n = 0; n < 5; n++) {
            assert_string_equal(fixture_call_text(fixture, &attached, sl_value_null()), first);
        }
        fixture_detach(fixture, &attached);
    }
    struct sl_js_stats stats;
    sl_js_stats_get(fixture->shard_state, &stats);
    assert_true(stats.shapes >= 5);
}

/* Rows of keys that differ only behind the first, or in order, are kept apart. */
static void result_shapes_of_one_first_key_are_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(
        fixture, "export default (n) => [{a: n}, {a: n, b: 1}, {a: n, c: 2}, {a: n, c: 2, b: 1}, "
                 "{a: n, b: 1, c: 2}, {b: 1, a: n}]");
    assert_non_null(attached.script);
    for (int n = 0; n < 6; n++) {
        char expected[256];
        (void)snprintf(expected, sizeof(expected),
                       "[{\"a\": %d}, {\"a\": %d, \"b\": 1}, {\"a\": %d, \"c\": 2}, {\"a\": %d, "
                       "\"c\": 2, \"b\": 1}, {\"a\": %d, \"b\": 1, \"c\": 2}, {\"b\": 1, \"a\": "
                       "%d}]",
                       n, n, n, n, n, n);
        assert_string_equal(
            fixture_call_text(fixture, &attached, sl_value_new_int(fixture->mem, n)), expected);
    }
    fixture_detach(fixture, &attached);
}

/* A client that varies keys without end: the table fills up and results stay right. */
static void result_shapes_without_end_stay_right(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached =
        fixture_attach(fixture, "export default (n) => ({['k' + (n >> 1)]: n, b: n})");
    assert_non_null(attached.script);
    for (int n = 0; n < 6000; n++) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "{\"k%d\": %d, \"b\": %d}", n >> 1, n, n);
        assert_string_equal(
            fixture_call_text(fixture, &attached, sl_value_new_int(fixture->mem, n)), expected);
    }
    struct sl_js_stats stats;
    sl_js_stats_get(fixture->shard_state, &stats);
    assert_true(stats.shapes <= 1024);
    fixture_detach(fixture, &attached);
}

/* ---- What a script uses -------------------------------------------------------------------- */

/* As "a b", or "all". */
static const char *uses_text(const char *body, const char *name)
{
    static char text[512];
    struct js_uses uses;
    js_uses_find(sl_slice_from_str(body), sl_slice_from_str(name), &uses);
    if (!uses.known) return "all";
    text[0] = '\0';
    for (uint32_t i = 0; i < uses.count; i++) {
        if (i > 0) strcat(text, " ");
        strcat(text, uses.keys[i].text);
    }
    return text;
}

static void uses_find_knows_plain_keys(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"function f(x) {\n  return x.a + x.b.c + x[\"d\"] + x?.e;\n}", "a b d e"},
        {"var f = (x) => x.a;", "a"},
        {"var f = function(x) {\n  x.a = 1;\n  x.a += x.b;\n};", "a b"},
        {"var f = function g(x) {\n  return x.a.b(1);\n};", "a"},
        {"var f = () => 1;", ""},
        {"function f() {\n}", ""},
        {"var f = (x, y) => x.a + y;", "a"},
        {"var f = ({ a, b: c }) => a + c;", "a b"},
        {"function f({ a }) {\n  return a;\n}", "a"},
        {"var other = 1;\nfunction f(x) {\n  return g(x.a);\n}", "a"},
        {"var f = (x) => xx.y + yx + x.z;", "z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(uses_text(rows[i][0], "f"), rows[i][1]);
    }
}

static void uses_find_gives_up_where_anything_is_unclear(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "function f(x) {\n  return x;\n}",
        "function f(x) {\n  return g(x);\n}",
        "function f(x) {\n  return x[k];\n}",
        "function f(x) {\n  return x[\"a-b\"];\n}",
        "function f(x) {\n  return { ...x };\n}",
        "function f(x) {\n  return { x };\n}",
        "function f(x) {\n  return x.toString();\n}",
        "function f(x) {\n  return x.hasOwnProperty(\"a\");\n}",
        "function f(x) {\n  return x.__proto__;\n}",
        "function f(x) {\n  return x.a();\n}",
        "function f(x) {\n  return x.a`b`;\n}",
        "function f(x) {\n  return x.a?.();\n}",
        "function f(x) {\n  return \"a\" in x;\n}",
        "function f(x) {\n  x = { a: 1 };\n  return x.a;\n}",
        "function f(x) {\n  return arguments[0];\n}",
        "function f(x) {\n  return eval(\"x\");\n}",
        "function f(x) {\n  return [1].map((x) => x);\n}",
        "function f(x) {\n  return \"\\u0078\";\n}",
        "function f(x = {}) {\n  return x.a;\n}",
        "function f(...x) {\n  return x.a;\n}",
        "function f({ a, ...rest }) {\n  return rest;\n}",
        "function f({ a = 1 }) {\n  return a;\n}",
        "function f({ a: { b } }) {\n  return b;\n}",
        "function* f(x) {\n  return x.a;\n}",
        "var g = (x) => x.a;\nvar f = g;",
        "var s = `\nfunction f(y) {`;\nvar h = 1;\nfunction f(x) {\n  return x;\n}",
        "/*! \nfunction f(y) { */\nfunction f(x) {\n  return x;\n}",
        "var f = class {\n};",
        "",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_string_equal(uses_text(bodies[i], "f"), "all");
    }
    char many[1024] = "function f(x) {\n  return 0";
    for (int i = 0; i <= JS_USES_MAX; i++) {
        (void)snprintf(many + strlen(many), 16, " + x.k%d", i);
    }
    strcat(many, ";\n}");
    assert_string_equal(uses_text(many, "f"), "all");
}

static struct sl_value decode_counts(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)owner;
    lazy->tag++;
    return sl_value_new_int(NULL, 1);
}

/* {"a": 1, "b": a part that counts how often it is decoded, "c": "text"} */
static struct sl_value lazy_sample(struct fixture *fixture, struct sl_lazy **ret_lazy)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture->mem, 16, 64);
    *ret_lazy = sl_builder_lazies_reserve(&b, 1);
    assert_non_null(*ret_lazy);
    (*ret_lazy)->decode = decode_counts;
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "a");
    sl_build_int(&b, 1);
    sl_build_key_str(&b, "b");
    sl_build_lazy(&b, 0);
    sl_build_key_str(&b, "c");
    sl_build_string_str(&b, "text");
    sl_build_map_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    return value;
}

static uint32_t decoded_by(struct fixture *fixture, const char *code, const char *expected)
{
    struct attached attached = fixture_attach(fixture, code);
    struct sl_lazy *lazy;
    assert_non_null(attached.script);
    struct sl_value value = lazy_sample(fixture, &lazy);
    assert_string_equal(fixture_call_text(fixture, &attached, sl_value_ref(value)), expected);
    uint32_t times = lazy->tag;
    sl_value_unref(value);
    fixture_detach(fixture, &attached);
    return times;
}

static void lazy_part_is_decoded_only_when_the_script_reads_it(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decoded_by(f, "export default (x) => [x.a, x.c]", "[1, \"text\"]"), 0);
    assert_int_equal(decoded_by(f, "export default () => 1", "1"), 0);
    assert_int_equal(decoded_by(f, "export default ({ c }) => c", "\"text\""), 0);
    assert_int_equal(decoded_by(f, "export default async (x) => x.none ?? x.a", "1"), 0);
    assert_int_equal(decoded_by(f, "export default (x) => x.b", "1"), 1);
    assert_int_equal(decoded_by(f, "export default (x) => Object.keys(x).length", "3"), 1);
}

/* What is no map comes whole, whatever the script would look at. */
static void input_that_is_no_map_comes_whole(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(fixture, "export default (x) => x?.length ?? -1");
    assert_non_null(attached.script);
    assert_string_equal(
        fixture_call_text(fixture, &attached, sl_value_new_string(fixture->mem, "four", 4)), "4");
    assert_string_equal(fixture_call_text(fixture, &attached, sl_value_null()), "-1");
    fixture_detach(fixture, &attached);
}

int main(void)
{
    sl_js_setup(NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(result_by_shape_equals_result_by_key, setup, teardown),
        cmocka_unit_test_setup_teardown(result_shapes_of_one_first_key_are_kept_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(result_shapes_without_end_stay_right, setup, teardown),
        cmocka_unit_test(uses_find_knows_plain_keys),
        cmocka_unit_test(uses_find_gives_up_where_anything_is_unclear),
        cmocka_unit_test_setup_teardown(lazy_part_is_decoded_only_when_the_script_reads_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(input_that_is_no_map_comes_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
