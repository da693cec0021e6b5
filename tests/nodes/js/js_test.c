/* SPDX-License-Identifier: MIT */
/* JavaScript: modules, values both ways, errors and their positions, promises, the platform. */
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

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL) return -1;
    fixture_init(fixture, &sl_engine_js);
    fixture->timeout_ms = 10000; /* these tests are not about limits */
    fixture->memory_max = (size_t)1 << 30;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    bool clean = fixture_fini(*state);
    free(*state);
    return clean ? 0 : -1;
}

/* {"a": 7, "s": "héllo", "f": 1.5, "l": [1, "x", null, true], "e": {}, "n": []} */
static struct sl_value sample(struct fixture *fixture)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture->mem, 16, 64);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "a");
    sl_build_int(&b, 7);
    sl_build_key_str(&b, "s");
    sl_build_string_str(&b, "héllo");
    sl_build_key_str(&b, "f");
    sl_build_float(&b, 1.5);
    sl_build_key_str(&b, "l");
    sl_build_list_begin(&b);
    sl_build_int(&b, 1);
    sl_build_string_str(&b, "x");
    sl_build_null(&b);
    sl_build_bool(&b, true);
    sl_build_list_end(&b);
    sl_build_key_str(&b, "e");
    sl_build_map_begin(&b);
    sl_build_map_end(&b);
    sl_build_key_str(&b, "n");
    sl_build_list_begin(&b);
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    return value;
}

struct row {
    const char *code;
    const char *expected;
};

static void rows_check(void **state, const struct row *rows, size_t count)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < count; i++) {
        const char *text = fixture_run(fixture, rows[i].code, sample(fixture));
        if (strcmp(text, rows[i].expected) != 0) {
            print_error("code:     %s\nexpected: %s\ngot:      %s\n", rows[i].code,
                        rows[i].expected, text);
            fail();
        }
    }
}

#define CHECK_ROWS(...)                                                                            \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        rows_check(state, rows, sizeof(rows) / sizeof(rows[0]));                                   \
    } while (0)

static void compile_forms_of_modules_run(void **state)
{
    CHECK_ROWS(
        {"export default function (args) {\n  return {\n    body: args.a,\n    status: 201\n  "
         "};\n}",
         "{\"body\": 7, \"status\": 201}"},
        {"export default function (args) { return { status: 204 }; }", "{\"status\": 204}"},
        {"export default function named(args) { return named.name; }", "\"named\""},
        {"export default (args) => args.a", "7"}, {"export default s => s.s", "\"héllo\""},
        {"module.exports = (args) => args.a", "7"},
        {"module.exports = function (args) { return args.a }", "7"},
        {"exports.default = (args) => args.a", "7"},
        {"const f = (a) => a.a + 1;\nexport { f as default };", "8"},
        {"export const other = 1;\nexport default () => other", "1"},
        {"export default helper;\nfunction helper(a) { return later + a.a }\nconst later = 10;",
         "17"},
        {"const __export = 1; export default () => __export", "1"},
        {"export default async function (args) { return args.a }", "7"},
        {"export default async (args) => { await null; return args.a }", "7"},
        {"module.exports = async (args) => { await null; return args.a }", "7"},
        {"export default function () { return this === undefined }", "true"}, );
}

static void compile_faults_are_told_with_their_place(void **state)
{
    CHECK_ROWS(
        {"export default (a) => {\n  return 5 +;\n}",
         "diag: test.yaml:11:17: error: Unexpected \";\""},
        {"export default (a) => (", "diag: test.yaml:10:28: error: Unexpected end of file"},
        {"1 + 1", "diag: test.yaml:10:5: error: the script exports no function\n"
                  "  hint: begin with: export default function (self) {"},
        {"\nexport default 1", "diag: test.yaml:10:5: error: the default export is not a function"},
        {"import x from 'y';\nexport default () => x",
         "diag: test.yaml:10:5: error: a script cannot import other modules"},
        {"const a = 1;\nthrow new Error('top');\nexport default () => a",
         "diag: test.yaml:11:15: error: top"}, );
}

static void compile_without_esbuild_is_a_clear_fault(void **state)
{
    struct fixture *fixture = *state;
    sl_js_setup("/nonexistent/esbuild", NULL);
    assert_string_equal(fixture_run(fixture, "export default () => 123", sl_value_null()),
                        "diag: test.yaml:10:5: error: cannot run \"/nonexistent/esbuild\", which "
                        "compiles JavaScript and TypeScript: No such file or directory\n"
                        "  hint: install it: apt install esbuild");
    sl_js_setup(NULL, NULL);
    assert_string_equal(fixture_run(fixture, "export default () => 123", sl_value_null()), "123");
}

static void compile_with_cache_folder_needs_esbuild_once(void **state)
{
    struct fixture *fixture = *state;
    char dir[] = "/tmp/sluice-js-XXXXXX";
    assert_non_null(mkdtemp(dir));
    sl_js_setup(NULL, dir);
    assert_string_equal(fixture_run(fixture, "export default () => 456", sl_value_null()), "456");
    sl_js_setup("/nonexistent/esbuild", dir);
    assert_string_equal(fixture_run(fixture, "export default () => 456", sl_value_null()), "456");
    sl_js_setup(NULL, NULL);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void typescript_types_are_stripped(void **state)
{
    struct fixture *fixture = *state;
    fixture->engine = &sl_engine_ts;
    CHECK_ROWS({"interface A { a: number }\nenum E { X = 3 }\n"
                "export default function (args: A): number { return (args.a as number) + E.X; }",
                "10"},
               {"const x: = 3", "diag: test.yaml:10:14: error: Unexpected \"=\""}, );
}

static void values_survive_the_way_in_and_out(void **state)
{
    CHECK_ROWS(
        {"export default (a) => a", "{\"a\": 7, \"s\": \"héllo\", \"f\": 1.5, \"l\": [1, \"x\", "
                                    "null, true], \"e\": {}, \"n\": []}"},
        {"export default () => undefined", "null"}, {"export default () => null", "null"},
        {"export default () => {}", "null"},
        {"export default () => [undefined, () => 1, Symbol()]", "[null, null, null]"},
        {"export default () => ({a: undefined, b: () => 1, c: 1})", "{\"c\": 1}"},
        {"export default () => [1.0, -0, 0.5, 1e300, NaN]",
         "[1, 0, 0.5, 1.0000000000000001e+300, nan]"},
        {"export default () => [2**53-1, -(2**53-1), 2**53, 2**31, -(2**31)]",
         "[9007199254740991, -9007199254740991, 9007199254740992, 2147483648, -2147483648]"},
        {"export default () => [1n, 2n**63n - 1n, 2n**63n, 2n**64n - 1n, -(2n**63n)]",
         "[1, 9223372036854775807, 9223372036854775808u, 18446744073709551615u, "
         "-9223372036854775808]"},
        {"export default () => new Date(-1500)", "t'-2.500000000'"},
        {"export default () => [new Uint8Array([1, 255]), new Uint8Array([9, 8, 7]).subarray(1), "
         "new "
         "ArrayBuffer(2), new DataView(new ArrayBuffer(1))]",
         "[b'01ff', b'0807', b'0000', b'00']"},
        {"export default () => new Float64Array([1.5, 2])", "[1.5, 2]"},
        {"export default () => [new Map([['k', {v: 1}]]), new Set([1, 'a'])]",
         "[{\"k\": {\"v\": 1}}, [1, \"a\"]]"},
        {"class P { constructor() { this.x = 1 } get y() { return 2 } }\nexport default () => new "
         "P",
         "{\"x\": 1}"},
        {"export default () => ({toJSON() { return [1] }})", "[1]"},
        {"export default () => ({a: new String('s'), b: new Number(1), c: new Boolean(false)})",
         "{\"a\": \"s\", \"b\": 1, \"c\": false}"},
        {"export default () => ({'': 1, ['__proto__']: 2, 'ключ': 3, '\\u0000': 4})",
         "{\"\": 1, \"__proto__\": 2, \"ключ\": 3, \"\": 4}"},
        {"export default () => '\\ud800a😀'", "\"\xef\xbf\xbd"
                                             "a😀\""},
        {"export default () => Object.create(null)", "{}"},
        {"export default (a) => a.s.length + a.s", "\"5héllo\""}, );
}

static void values_that_cannot_leave_are_errors(void **state)
{
    CHECK_ROWS(
        {"export default () => 2n ** 64n", "error(script_error, \"an integer of the result does "
                                           "not fit in 64 bits\", null, null, null)"},
        {"export default () => { const a = {}; a.a = a; return a }",
         "error(script_error, \"the result is nested too deeply, or contains itself\", null, null, "
         "null)"},
        {"export default () => ({a: Promise.resolve(1)})",
         "error(script_error, \"a Promise inside the result: await it first\", null, null, null)"},
        {"export default () => ({get a() {\n throw new Error('g') }})",
         "error(script_error, \"g\", null, {\"name\": \"Error\", \"file\": \"test.yaml\", "
         "\"line\": 11, "
         "\"column\": 16}, null)"}, );
}

static struct sl_value round_trip_sample(struct fixture *fixture)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture->mem, 16, 64);
    sl_build_list_begin(&b);
    sl_build_int(&b, INT64_MAX);
    sl_build_int(&b, INT64_MIN);
    sl_build_int(&b, INT64_C(9007199254740991));
    sl_build_int(&b, INT64_C(-9007199254740992));
    sl_build_uint(&b, UINT64_MAX);
    sl_build_float(&b, 0.1);
    sl_build_binary(&b, "\x00\xff", 2);
    sl_build_time(&b, -1, 500000000);
    sl_build_string(&b, "a\0b", 3);
    sl_build_string(&b, "\xff", 1);
    sl_build_duration(&b, 1, 500000000);
    sl_build_list_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    return value;
}

static void values_of_every_kind_keep_their_bits(void **state)
{
    struct fixture *fixture = *state;
    const char *text = fixture_run(fixture,
                                   "export default (a) => ({back: a, t: a.map((x) => typeof x),"
                                   " z: a[8].length})",
                                   round_trip_sample(fixture));
    assert_string_equal(
        text, "{\"back\": [9223372036854775807, -9223372036854775808, 9007199254740991, "
              "-9007199254740992, 18446744073709551615u, 0.10000000000000001, b'00ff', "
              "t'-1.500000000', \"a\", \"\xef\xbf\xbd\", 1500], \"t\": [\"bigint\", \"bigint\", "
              "\"number\", \"bigint\", \"bigint\", \"number\", \"object\", \"object\", \"string\", "
              "\"string\", \"number\"], \"z\": 3}");
}

/* Maps of the same keys: the first is read key by key, from the third on by a compiled shape. */
static void values_by_shape_equal_values_by_key(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(fixture, "export default (a) => a");
    assert_non_null(attached.script);
    char first[512];
    (void)snprintf(first, sizeof(first), "%s",
                   fixture_call_text(fixture, &attached, sample(fixture)));
    for (int i = 0; i < 5; i++) {
        assert_string_equal(fixture_call_text(fixture, &attached, sample(fixture)), first);
    }
    struct sl_js_stats stats;
    sl_js_stats_get(fixture->shard_state, &stats);
    assert_true(stats.shapes >= 1);
    fixture_detach(fixture, &attached);
}

static void values_beyond_the_first_buffers_arrive(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(
        fixture,
        "export default (a) => a ?? Array.from({length: 50000}, (_, i) => ({i, s: 'x' + i, f: "
        "i + 0.5, b: new Uint8Array([i & 255])}))");
    assert_non_null(attached.script);
    /* Out, then in and out again, then a small one in the buffers that were given back. */
    struct sl_value large = fixture_call(fixture, &attached, sl_value_null());
    assert_true(sl_value_is(large, SL_VALUE_LIST));
    struct sl_value again = fixture_call(fixture, &attached, sl_value_ref(large));
    assert_int_equal(sl_value_count(again), 50000);
    assert_true(sl_value_equal(large, again));
    value_print(sl_value_list_at(again, 49999), fixture->text, sizeof(fixture->text));
    assert_string_equal(fixture->text,
                        "{\"i\": 49999, \"s\": \"x49999\", \"f\": 49999.5, \"b\": b'4f'}");
    sl_value_unref(large);
    sl_value_unref(again);
    assert_int_equal(
        strncmp(fixture_call_text(fixture, &attached, sample(fixture)), "{\"a\": 7", 7), 0);
    fixture_detach(fixture, &attached);
}

static void error_payload_has_its_parts(void **state)
{
    struct fixture *fixture = *state;
    struct sl_value cause = sl_value_new_error(fixture->mem, "inner", 0, "deep");
    struct sl_value error =
        sl_value_new_error_caused(fixture->mem, "no_route", 404, cause, "nothing here");
    sl_value_unref(cause);
    const char *code =
        "export default (e) => [e.error(), e.message, e.code, e.status, e.cause.code, "
        "e instanceof Error, String(e)]";
    assert_string_equal(fixture_run(fixture, code, sl_value_ref(error)),
                        "[\"nothing here\", \"nothing here\", \"no_route\", 404, \"inner\", true, "
                        "\"FlowError: nothing here\"]");
    const char *expected =
        "error(no_route, \"nothing here\", error(inner, \"deep\", null, null, null), null, 404)";
    assert_string_equal(fixture_run(fixture, "export default (e) => e", sl_value_ref(error)),
                        expected);
    assert_string_equal(
        fixture_run(fixture, "export default (e) => { throw e }", sl_value_ref(error)), expected);
    assert_string_equal(
        fixture_run(fixture,
                    "export default function (args) {\n  return {\n    body: {\n      error: "
                    "args.error()\n    },\n    status: 400\n  };\n}",
                    error),
        "{\"body\": {\"error\": \"nothing here\"}, \"status\": 400}");
}

static void body_that_does_not_parse_throws_where_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    static const struct row rows[] = {
        {"export default (r) => r.path", "\"/x\""},
        {"export default (r) => Object.keys(r)", "[\"path\", \"body\"]"},
        {"export default (r) => { r.body = 1; return r }", "{\"path\": \"/x\", \"body\": 1}"},
        {"export default (r) => { try { r.body.x } catch (e) { return [e.code, e.status] } }",
         "[\"bad_body\", 400]"},
        {"export default (r) => r.body?.x", "error(bad_body, \"malformed\", null, null, 400)"},
        {"export default ({body}) => 1", "error(bad_body, \"malformed\", null, null, 400)"},
        {"export default (r) => r", "error(bad_body, \"malformed\", null, null, 400)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_builder b;
        struct sl_value value;
        struct sl_value error = sl_value_new_error(fixture->mem, "bad_body", 400, "malformed");
        sl_builder_init(&b, fixture->mem, 16, 64);
        sl_build_map_begin(&b);
        sl_build_key_str(&b, "path");
        sl_build_string_str(&b, "/x");
        sl_build_key_str(&b, "body");
        sl_build_value(&b, error);
        sl_build_map_end(&b);
        assert_int_equal(sl_builder_finish(&b, &value), 0);
        sl_value_unref(error);
        assert_string_equal(fixture_run(fixture, rows[i].code, value), rows[i].expected);
    }
}

static void error_thrown_is_typed_and_placed(void **state)
{
    CHECK_ROWS(
        {"export default (a) => {\n  return a.x.y;\n}",
         "error(script_error, \"undefined is not an object (evaluating 'a.x.y')\", null, "
         "{\"name\": "
         "\"TypeError\", \"file\": \"test.yaml\", \"line\": 11, \"column\": 16}, null)"},
        {"export default () => {\n\n  throw new Error('unsupported value');\n}",
         "error(script_error, \"unsupported value\", null, {\"name\": \"Error\", \"file\": "
         "\"test.yaml\", \"line\": 12, \"column\": 17}, null)"},
        {"export default async () => {\n  await null;\n  throw new RangeError('late');\n}",
         "error(script_error, \"late\", null, {\"name\": \"RangeError\", \"file\": \"test.yaml\", "
         "\"line\": 12, \"column\": 17}, null)"},
        {"export default () => { throw Object.assign(new Error('m'), {code: 'my_code', status: "
         "409, "
         "data: {q: 1}, cause: 'why'}) }",
         "error(my_code, \"m\", error(script_error, \"why\", null, null, null), {\"q\": 1}, 409)"},
        {"class E extends Error { constructor(m) { super(m); this.name = 'E'; this.message += '!' "
         "} "
         "}\nexport default () => { throw new E('m') }",
         "error(script_error, \"m!\", null, {\"name\": \"E\", \"file\": \"test.yaml\", \"line\": "
         "10, "
         "\"column\": 46}, null)"},
        {"export default () => { throw 'text' }",
         "error(script_error, \"text\", null, null, null)"},
        {"export default () => { throw {a: 1} }",
         "error(script_error, \"{\"a\": 1}\", null, {\"a\": 1}, null)"},
        {"export default () => { throw undefined }",
         "error(script_error, \"undefined\", null, null, null)"},
        {"export default () => { throw Symbol('x') }",
         "error(script_error, \"Symbol(x)\", null, null, null)"},
        {"export default () => { const e = new Error('x'); Object.defineProperty(e, 'message', "
         "{get() "
         "{ throw 1 }}); throw e }",
         "error(script_error, \"an error was thrown that cannot be read\", null, null, null)"}, );
}

static void promise_is_awaited(void **state)
{
    CHECK_ROWS(
        {"export default () => Promise.resolve(1)", "1"},
        {"export default () => ({then(f) { f(2) }})", "2"},
        {"export default async () => Promise.all([1, Promise.resolve(2), (async () => 3)()])",
         "[1, 2, 3]"},
        {"export default () => Promise.all([])", "[]"},
        {"export default () => Promise.allSettled([1, Promise.reject(2)])",
         "[{\"status\": \"fulfilled\", \"value\": 1}, {\"status\": \"rejected\", \"reason\": 2}]"},
        {"export default () => Promise.any([Promise.reject(1), 2])", "2"},
        {"export default () => Promise.any([Promise.reject(1)]).catch((e) => [e.name, e.errors])",
         "[\"AggregateError\", [1]]"},
        {"export default () => Promise.race([new Promise(() => {}), 5])", "5"},
        {"export default () => Promise.reject(1).finally(() => 2).catch((e) => e + 1)", "2"},
        {"export default () => Promise.withResolvers().promise instanceof Promise", "true"},
        {"export default () => Promise.try(() => { throw 3 }).catch((x) => x)", "3"},
        {"export default async () => { const o = []; const p = (async () => { o.push(1); await "
         "null; "
         "o.push(3) })(); o.push(2); await p; return o }",
         "[1, 2, 3]"},
        {"export default async () => { const o = []; for await (const x of [1, "
         "Promise.resolve(2)]) "
         "o.push(x); return o }",
         "[1, 2]"},
        {"export default async () => { const o = []; queueMicrotask(() => o.push(1)); await null; "
         "return o }",
         "[1]"},
        {"export default () => new Promise(() => {})",
         "error(script_error, \"the result is a Promise that nothing can settle any more\", null, "
         "null, null)"},
        {"class P extends Promise {}\nexport default () => P.resolve(1).then((x) => x) instanceof "
         "P",
         "true"}, );
}

static void platform_is_there_and_nothing_else(void **state)
{
    CHECK_ROWS(
        {"export default () => [btoa('a\\xff'), atob('Yf8=') === 'a\\xff', atob(' YQ ')]",
         "[\"Yf8=\", true, \"a\"]"},
        {"export default () => { try { btoa('é€') } catch (e) { return e.name } }",
         "\"InvalidCharacterError\""},
        {"export default () => new TextEncoder().encode('é😀\\ud800')", "b'c3a9f09f9880efbfbd'"},
        {"export default () => new TextDecoder().decode(new "
         "Uint8Array([0,0xef,0xbb,0xbf,0xff,0xe2,0x82,0xac]).subarray(1))",
         "\"\xef\xbf\xbd€\""},
        {"export default () => { try { new TextDecoder('utf-8', {fatal: true}).decode(new "
         "Uint8Array([255])) } catch (e) { return e.name } }",
         "\"TypeError\""},
        {"export default () => { const d = new TextDecoder(), s = {stream: true}; const bytes = "
         "new "
         "TextEncoder().encode('\\ufeffa€😀z'); let t = ''; for (const b of bytes) t += "
         "d.decode(new "
         "Uint8Array([b]), s); return [t + d.decode(), d.decode(new Uint8Array([0xe2, 0x82]), s) + "
         "d.decode(), d.decode(new Uint8Array([0xed, 0xa0]), s).length, d.decode()] }",
         "[\"a€😀z\", \"\xef\xbf\xbd\", 2, \"\"]"},
        {"export default () => [new TextDecoder('utf-8', {ignoreBOM: true}).decode(new "
         "Uint8Array([239, 187, 191, 97])).length, new TextDecoder().decode(new "
         "Uint8Array([239, 187, 191, 97])), new TextDecoder(' UTF8\\n').encoding]",
         "[2, \"a\", \"utf-8\"]"},
        {"export default () => ['a', 'ab===', '=', 'a=b', 'YQ=', 'Y\\u00e4=='].map((t) => { try { "
         "return atob(t) } catch (e) { return e.name } })",
         "[\"InvalidCharacterError\", \"InvalidCharacterError\", \"InvalidCharacterError\", "
         "\"InvalidCharacterError\", \"InvalidCharacterError\", \"InvalidCharacterError\"]"},
        {"export default () => [new Float32Array(1), new DataView(new ArrayBuffer(1)), new "
         "Uint8Array(65537), 1].map((a) => { try { crypto.getRandomValues(a) } catch (e) { return "
         "e.name } })",
         "[\"TypeMismatchError\", \"TypeMismatchError\", \"QuotaExceededError\", "
         "\"TypeError\"]"},
        {"export default () => "
         "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/"
         ".test(crypto.randomUUID())",
         "true"},
        {"export default () => { const a = new Uint8Array(64); "
         "crypto.getRandomValues(a.subarray(32)); "
         "return [a.slice(0, 32).every((x) => x === 0), a.slice(32).some((x) => x !== 0)] }",
         "[true, true]"},
        {"export default () => ['require', 'process', 'fetch', 'setTimeout', 'WebAssembly', "
         "'Atomics', "
         "'SharedArrayBuffer', 'WeakRef', 'FinalizationRegistry', 'gc', 'load', 'read', "
         "'print'].filter((n) => n in globalThis)",
         "[]"},
        {"export default () => { try { return eval('1') } catch (e) { return e.name } }",
         "\"EvalError\""},
        {"export default () => { try { return new Function('return 1')() } catch (e) { return "
         "e.name } }",
         "\"EvalError\""},
        {"export default () => { try { return (function* () {}).constructor('yield 1') } catch (e) "
         "{ "
         "return e.name } }",
         "\"EvalError\""}, );
    struct fixture *fixture = *state;
    fixture->allow_eval = true;
    CHECK_ROWS({"export default () => [eval('1 + 1'), new Function('return 3')()]", "[2, 3]"}, );
}

static void random_comes_from_the_clock(void **state)
{
    struct fixture *fixture = *state;
    struct sl_clock_manual clock;
    char first[64];
    for (int i = 0; i < 2; i++) {
        sl_clock_manual_init(&clock, 42);
        fixture->clock = &clock.base;
        const char *text =
            fixture_run(fixture, "export default () => crypto.randomUUID()", sl_value_null());
        if (i == 0)
            (void)snprintf(first, sizeof(first), "%s", text);
        else
            assert_string_equal(text, first);
    }
}

static void env_is_bound_and_frozen(void **state)
{
    struct fixture *fixture = *state;
    fixture->env = sample(fixture);
    CHECK_ROWS(
        {"export default () => env.s + env.l[1]", "\"héllox\""},
        {"export default () => { try { env.a = 1 } catch (e) { return e.name } }", "\"TypeError\""},
        {"export default () => { try { env.l.push(1) } catch (e) { return e.name } }",
         "\"TypeError\""}, );
    sl_value_unref(fixture->env);
    fixture->env = sl_value_none();
    CHECK_ROWS({"export default () => env", "{}"}, );
}

static char logged[4096];

static void log_keep(void *ctx, enum sl_log_level level, const char *node, const char *text,
                     size_t text_size)
{
    (void)ctx;
    size_t used = strlen(logged);
    (void)snprintf(logged + used, sizeof(logged) - used, "%d %s %.*s\n", (int)level, node,
                   (int)text_size, text);
}

static void console_reaches_the_log(void **state)
{
    struct fixture *fixture = *state;
    logged[0] = '\0';
    sl_script_log_set(log_keep, NULL);
    (void)fixture_run(
        fixture,
        "export default () => { const c = {}; c.c = c; console.log('a', 1, {b: ['x']}); "
        "console.warn(c); console.error(new Error('e')); console.debug(null, undefined) }",
        sl_value_null());
    assert_string_equal(logged, "1 node a 1 {\"b\": [\"x\"]}\n2 node {\"c\": [Circular]}\n"
                                "3 node Error: e\n0 node null undefined\n");
    logged[0] = '\0';
    (void)fixture_run(fixture,
                      "export default () => { console.log('%s is %d of %i, %f%%, %o %O%c.', 'a', "
                      "7.9, '8px', 1.5, {b: 'c'}, ['d'], "
                      "'css', 'more'); console.log('%s %q', 1, 2); console.log('100%', 5n); "
                      "console.log('%d', 12345678901234567890n);"
                      " console.log('%s'); console.log('%d %f', Symbol(), 'x'); "
                      "console.group('g'); console.info('in'); "
                      "console.group(); console.warn('deeper'); console.groupEnd(); "
                      "console.groupEnd(); console.groupEnd(); "
                      "console.count(); console.count(); console.countReset(); "
                      "console.count('default'); console.assert(1 === 1, 'x'); "
                      "console.assert(false, 'n is %d', 3); console.timeEnd('none'); "
                      "console.table([[1]]); console.clear() }",
                      sl_value_null());
    assert_string_equal(logged,
                        "1 node a is 7 of 8, 1.5%, {\"b\": \"c\"} [\"d\"]. more\n1 node 1 %q 2\n"
                        "1 node 100% 5n\n1 node 12345678901234567890\n1 node %s\n1 node NaN NaN\n"
                        "1 node g\n1 node   in\n2 node     deeper\n"
                        "1 node default: 1\n1 node default: 2\n1 node default: 1\n"
                        "3 node assertion failed: n is 3\n2 node none: no such timer\n"
                        "1 node [[1]]\n");
    logged[0] = '\0';
    (void)fixture_run(fixture,
                      "export default () => { for (let i = 0; i < 1e3; i++) console.log(i) }",
                      sl_value_null());
    sl_script_log_set(NULL, NULL);
    size_t lines = 0;
    for (const char *at = logged; *at != '\0'; at++) lines += *at == '\n';
    assert_int_equal(lines, 100);
}

static void deadline_that_has_passed_runs_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(fixture, "export default () => 1");
    assert_non_null(attached.script);
    struct sl_script_call call = {
        .input = sl_value_null(), .mem = fixture->mem, .clock = fixture->clock, .deadline_ns = 1};
    struct sl_value value = fixture->engine->run(attached.script, attached.instance, &call);
    assert_true(sl_value_is(value, SL_VALUE_ERROR));
    assert_true(
        sl_slice_eq_str(sl_value_slice(sl_error_part(value, SL_ERROR_CODE)), "script_deadline"));
    sl_value_unref(value);
    fixture_detach(fixture, &attached);
}

static void attach_part_by_part_gives_what_runs(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(fixture, "export default (a) => a.a + 1");
    assert_non_null(attached.script);
    for (int stop = 1; stop < 100; stop++) {
        void *instance = NULL;
        int parts = 0, r = 1;
        for (; parts < stop && r > 0; parts++) {
            r = sl_engine_js.attach_part(attached.script, &fixture->shard_state, &instance, NULL);
        }
        assert_true(r >= 0);
        assert_non_null(instance);
        struct attached made = {attached.script, instance};
        if (r == 0) assert_string_equal(fixture_call_text(fixture, &made, sample(fixture)), "8");
        sl_engine_js.detach(attached.script, fixture->shard_state, instance);
        if (r > 0) continue;
        assert_int_equal(parts, stop); /* each shorter way was given up half done */
        assert_in_range(parts, 2, 20);
        break;
    }
    fixture_detach(fixture, &attached);
}

static void prepare_makes_a_machine_a_shard_and_attach_takes_it(void **state)
{
    struct fixture *fixture = *state;
    for (int eval = 0; eval < 2; eval++) {
        fixture->allow_eval = eval == 1;
        struct attached attached = fixture_attach(fixture, "export default () => [1, '2']");
        assert_non_null(attached.script); /* with a machine made by attach */
        assert_int_equal(sl_js_machines_waiting(fixture->allow_eval), 0);
        sl_engine_js.prepare(attached.script, 3);
        assert_int_equal(sl_js_machines_waiting(fixture->allow_eval), 2);
        sl_engine_js.prepare(attached.script, 3);
        assert_int_equal(sl_js_machines_waiting(fixture->allow_eval), 2);
        void *others[2] = {NULL, NULL};
        for (int i = 0; i < 2; i++) {
            void *instance = NULL;
            assert_int_equal(sl_engine_js.attach(attached.script, &others[i], &instance, NULL), 0);
            assert_int_equal(sl_js_machines_waiting(fixture->allow_eval), 1 - i);
            struct attached made = {attached.script, instance};
            assert_string_equal(fixture_call_text(fixture, &made, sl_value_null()), "[1, \"2\"]");
            struct sl_js_stats stats;
            sl_js_stats_get(others[i], &stats);
            assert_int_equal(stats.calls, 1); /* those that made it warm do not count */
            sl_engine_js.detach(attached.script, others[i], instance);
        }
        for (int i = 0; i < 2; i++) sl_engine_js.shard_fini(others[i]);
        fixture_detach(fixture, &attached);
    }
}

static void more_inputs_become_more_arguments(void **state)
{
    struct fixture *fixture = *state;
    struct attached attached = fixture_attach(fixture, "export default (...all) => all");
    assert_non_null(attached.script);
    struct sl_value more[2] = {sl_value_bool(true), sample(fixture)};
    struct sl_script_call call = {.input = sl_value_null(),
                                  .args = more,
                                  .args_count = 2,
                                  .mem = fixture->mem,
                                  .clock = fixture->clock,
                                  .deadline_ns = UINT64_MAX};
    struct sl_value value = fixture->engine->run(attached.script, attached.instance, &call);
    value_print(value, fixture->text, sizeof(fixture->text));
    assert_string_equal(fixture->text,
                        "[null, true, {\"a\": 7, \"s\": \"héllo\", \"f\": 1.5, \"l\": "
                        "[1, \"x\", null, true], \"e\": {}, \"n\": []}]");
    sl_value_unref(value);
    sl_value_unref(more[1]);
    fixture_detach(fixture, &attached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compile_forms_of_modules_run, setup, teardown),
        cmocka_unit_test_setup_teardown(compile_faults_are_told_with_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(compile_without_esbuild_is_a_clear_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(compile_with_cache_folder_needs_esbuild_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(typescript_types_are_stripped, setup, teardown),
        cmocka_unit_test_setup_teardown(values_survive_the_way_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_cannot_leave_are_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(values_of_every_kind_keep_their_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(values_by_shape_equal_values_by_key, setup, teardown),
        cmocka_unit_test_setup_teardown(values_beyond_the_first_buffers_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(error_payload_has_its_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(body_that_does_not_parse_throws_where_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(error_thrown_is_typed_and_placed, setup, teardown),
        cmocka_unit_test_setup_teardown(promise_is_awaited, setup, teardown),
        cmocka_unit_test_setup_teardown(platform_is_there_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(random_comes_from_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(env_is_bound_and_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(console_reaches_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(deadline_that_has_passed_runs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(attach_part_by_part_gives_what_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(prepare_makes_a_machine_a_shard_and_attach_takes_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_inputs_become_more_arguments, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
