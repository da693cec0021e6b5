/* SPDX-License-Identifier: MIT */
/*
 * State of one call is never seen by the next, whatever a script does: each channel is a pair of
 * statements, one that tries to leave a word behind and one that looks for it, in the same script, in
 * another script of the shard, and after a call that was ended half-way.
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
#include "tests/nodes/js/fixture.h"

struct channel {
    const char *leave;
    const char *look; /* an expression: the word, if it was kept */
};

static const struct channel channels[] = {
    {"top.push('W')", "top[0]"},
    {"counter.n = 'W'", "counter.n"},
    {"globalThis.leak = 'W'", "globalThis.leak"},
    {"Object.defineProperty(globalThis, 'leak', {value: 'W'})", "globalThis.leak"},
    {"globalThis.undefined = 'W'", "globalThis.undefined"},
    {"globalThis.console = 'W'", "globalThis.console"},
    {"(0, eval)('var leak = \"W\"')", "globalThis.leak"},
    {"Array.prototype.leak = 'W'", "[].leak"},
    {"Object.prototype.leak = 'W'", "({}).leak"},
    {"Object.prototype.toString = 'W'", "({}).toString"},
    {"Error.prototype.message = 'W'", "new Error().message"},
    {"Error.prototype.name = 'W'", "new Error().name"},
    {"Function.prototype.leak = 'W'", "(() => 1).leak"},
    {"String.prototype.leak = 'W'", "''.leak"},
    {"Number.prototype.leak = 'W'", "(1).leak"},
    {"Symbol.prototype.leak = 'W'", "Symbol().leak"},
    {"BigInt.prototype.leak = 'W'", "1n.leak"},
    {"Math.leak = 'W'", "Math.leak"},
    {"Math.random = () => 'W'", "Math.random()"},
    {"JSON.leak = 'W'", "JSON.leak"},
    {"Reflect.leak = 'W'", "Reflect.leak"},
    {"Intl.leak = 'W'", "Intl.leak"},
    {"Intl.DateTimeFormat.prototype.leak = 'W'", "new Intl.DateTimeFormat().leak"},
    {"console.leak = 'W'", "console.leak"},
    {"console.log = 'W'", "console.log"},
    {"crypto.leak = 'W'", "crypto.leak"},
    {"URL.leak = 'W'", "URL.leak"},
    {"URL.prototype.leak = 'W'", "new URL('a:b').leak"},
    {"URLSearchParams.prototype.leak = 'W'", "new URLSearchParams().leak"},
    {"TextEncoder.prototype.leak = 'W'", "new TextEncoder().leak"},
    {"Promise.leak = 'W'", "Promise.leak"},
    {"Promise.prototype.leak = 'W'", "Promise.resolve().leak"},
    {"Uint8Array.leak = 'W'", "Uint8Array.leak"},
    {"Uint8Array.prototype.leak = 'W'", "new Uint8Array(1).leak"},
    {"Object.getPrototypeOf(Uint8Array).leak = 'W'", "Int8Array.leak"},
    {"Object.getPrototypeOf(Uint8Array.prototype).leak = 'W'", "new Int8Array(1).leak"},
    {"ArrayBuffer.prototype.leak = 'W'", "new ArrayBuffer(1).leak"},
    {"Object.getPrototypeOf(function* () {}).leak = 'W'", "(function* () {}).leak"},
    {"Object.getPrototypeOf(function* () {}).prototype.leak = 'W'", "(function* () {})().leak"},
    {"Object.getPrototypeOf([][Symbol.iterator]()).leak = 'W'", "[][Symbol.iterator]().leak"},
    {"Object.getPrototypeOf(new Map().keys()).leak = 'W'", "new Map().keys().leak"},
    {"Object.getPrototypeOf(''.matchAll(/x/g)).leak = 'W'", "''.matchAll(/x/g).leak"},
    {"Object.getPrototypeOf([].values().map((x) => x)).leak = 'W'",
     "[].values().map((x) => x).leak"},
    {"Object.setPrototypeOf(Array.prototype, {leak: 'W'})", "[].leak"},
    {"Object.setPrototypeOf(Object, {leak: 'W'})", "Object.leak"},
    {"Reflect.setPrototypeOf(globalThis, {leak: 'W'})", "globalThis.leak"},
    {"/(W)/.exec('W')", "RegExp.$1"},
    {"/(W)/.exec('W')", "RegExp.lastMatch"},
    {"/(W)/.exec('W')", "RegExp['$&']"},
    {"/(W)/.exec('W')", "RegExp.input"},
    {"RegExp.leak = 'W'", "RegExp.leak"},
    {"RegExp.prototype.leak = 'W'", "/x/.leak"},
    {"pattern.lastIndex = 5; pattern.leak = 'W'", "pattern.leak"},
    {"tagged`x`.leak = 'W'", "tagged`x`.leak"},
    {"literal().leak = 'W'", "literal().leak"},
    {"literal.leak = 'W'", "literal.leak"},
    {"Symbol.for('leak').leak = 'W'", "Symbol.for('leak').leak"},
    {"Object(Symbol.for('leak')).leak = 'W'", "Object(Symbol.for('leak')).leak"},
    {"Error.stackTraceLimit = 'W'", "Error.stackTraceLimit"},
    {"Error.prepareStackTrace = () => 'W'", "new Error().stack"},
    {"Date.prototype.leak = 'W'", "new Date().leak"},
    {"Date.now = () => 'W'", "Date.now()"},
    {"env.leak = 'W'", "env.leak"},
    {"env.list.push('W')", "env.list[1]"},
    {"env.nested.leak = 'W'", "env.nested.leak"},
    {"env.bytes[0] = 87", "String.fromCharCode(env.bytes[0])"},
    {"env.bytes.leak = 'W'", "env.bytes.leak"},
    {"env.time.setTime(87)", "String.fromCharCode(env.time.getTime())"},
    {"Object.getPrototypeOf(input.error).leak = 'W'", "input.error.leak"},
    {"input.error.constructor.leak = 'W'", "input.error.constructor.leak"},
    {"input.error.constructor.prototype.error = () => 'W'", "input.error.error()"},
    {"Object.getPrototypeOf(input).leak = 'W'", "input.leak"},
    {"input.list.constructor.leak = 'W'", "input.list.constructor.leak"},
    {"queueMicrotask(() => { top.push('W') })", "top[0]"},
    {"new Promise((f) => { hold.f = f }).then(() => top.push('W'))", "(hold.f?.(), top[0])"},
    {"(async () => { for (;;) { await null; top.push('W') } })()", "top[0]"},
    {"Array.prototype[Symbol.iterator] = function* () { yield 'W' }", "[...[1]][0]"},
    {"Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({value: 'W'})", "[...[]][0]"},
    {"Object.prototype.__defineGetter__('leak', () => 'W')", "({}).leak"},
    {"({}).__proto__ = {leak: 'W'}", "({}).leak"},
    {"Array.from.leak = 'W'", "Array.from.leak"},
    {"Array.prototype.push.leak = 'W'", "[].push.leak"},
    {"structures.weak.set(Object, 'W')", "structures.weak.get(Object)"},
    {"weakByGlobal(globalThis, 'W')", "weakByGlobal(globalThis)"},
    {"Self.leak = 'W'; Self.prototype.leak = 'W'", "Self.leak ?? Self.prototype.leak"},
    {"Self.setPrivate('W')", "Self.getPrivate()"},
    {"main.leak = 'W'", "main.leak"},
};

static const char frame[] =
    "const top = [], counter = {n: 0}, hold = {};\n"
    "const pattern = /x/g;\n"
    "const tagged = (strings) => strings;\n"
    "const literal = () => (literal.cached = literal.cached || {});\n"
    "const structures = {weak: new WeakMap()};\n"
    "const weak = new WeakMap();\n"
    "const weakByGlobal = (key, value) => value === undefined ? weak.get(key) : weak.set(key, "
    "value);\n"
    "class Self { static #x; static setPrivate(x) { Self.#x = x } static getPrivate() { return "
    "Self.#x } "
    "}\n"
    "export default function main(input) {\n"
    "  try {\n"
    "    if (input.leave) { %s }\n"
    "    else { const found = %s; return found === undefined ? null : String(found).includes('W') "
    "&& "
    "!String(found).includes('native code') ? 'LEAK ' + String(found) : null }\n"
    "  } catch (e) { if (input.leave) return String(e); return null }\n"
    "  if (input.loop) for (;;);\n"
    "  return 'left'\n"
    "}\n";

static struct sl_value input_make(struct fixture *fixture, bool leave, bool loop)
{
    struct sl_value error = sl_value_new_error(fixture->mem, "code", 0, "message");
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture->mem, 16, 64);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "leave");
    sl_build_bool(&b, leave);
    sl_build_key_str(&b, "loop");
    sl_build_bool(&b, loop);
    sl_build_key_str(&b, "list");
    sl_build_list_begin(&b);
    sl_build_list_end(&b);
    sl_build_key_str(&b, "error");
    sl_build_value(&b, error);
    sl_build_map_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    sl_value_unref(error);
    return value;
}

static struct sl_value env_make(struct fixture *fixture)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture->mem, 16, 64);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "list");
    sl_build_list_begin(&b);
    sl_build_int(&b, 1);
    sl_build_list_end(&b);
    sl_build_key_str(&b, "nested");
    sl_build_map_begin(&b);
    sl_build_map_end(&b);
    sl_build_key_str(&b, "bytes");
    sl_build_binary(&b, "\1\2", 2);
    sl_build_key_str(&b, "time");
    sl_build_time(&b, 1, 0);
    sl_build_map_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    return value;
}

/* The last try of each channel loops until it is ended; long enough for what it does before. */
enum { LONG_TIMEOUT_MS = 60000, LOOP_TIMEOUT_MS = 200 };

static bool fixture_open(struct fixture *fixture)
{
    fixture_init(fixture, &sl_engine_js);
    fixture->env = env_make(fixture);
    return true;
}

static void fixture_close(struct fixture *fixture)
{
    sl_value_unref(fixture->env);
    assert_true(fixture_fini(fixture));
}

/* Leave with one script, look with the other (which may be the same). */
static size_t channel_try(struct fixture *fixture, struct attached *leaver, struct attached *looker,
                          const struct channel *channel, bool loop)
{
    struct sl_value result = fixture_call(fixture, leaver, input_make(fixture, true, loop));
    sl_value_unref(result);
    const char *text = fixture_call_text(fixture, looker, input_make(fixture, false, false));
    if (strcmp(text, "null") == 0) return 0;
    print_error("%s → %s: %s\n", channel->leave, channel->look, text);
    return 1;
}

static size_t channel_check(struct fixture *fixture, const struct channel *channel)
{
    char code[4096];
    (void)snprintf(code, sizeof(code), frame, channel->leave, channel->look);
    /* Only what is to be ended may be short of time: the machine may be busy. */
    fixture->timeout_ms = LONG_TIMEOUT_MS;
    struct attached one = fixture_attach(fixture, code);
    struct attached two = fixture_attach(fixture, code);
    fixture->timeout_ms = LOOP_TIMEOUT_MS;
    struct attached ended = fixture_attach(fixture, code);
    if (one.script == NULL || two.script == NULL || ended.script == NULL) {
        print_error("%s: %s\n", channel->leave, fixture->diag.text);
        return 1;
    }
    size_t bad = channel_try(fixture, &one, &one, channel, false);
    bad += channel_try(fixture, &one, &two, channel, false);
    bad += channel_try(fixture, &ended, &one, channel, true);
    fixture_detach(fixture, &ended);
    fixture_detach(fixture, &one);
    fixture_detach(fixture, &two);
    return bad;
}

static void calls_share_nothing(void **state)
{
    (void)state;
    static struct fixture fixture;
    size_t bad = 0;
    assert_true(fixture_open(&fixture));
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        bad += channel_check(&fixture, &channels[i]);
    }
    fixture_close(&fixture);
    assert_int_equal(bad, 0);
}

/* The same with evaluation of strings allowed: that realm is frozen too. */
static void calls_share_nothing_with_eval(void **state)
{
    (void)state;
    static struct fixture fixture;
    assert_true(fixture_open(&fixture));
    fixture.allow_eval = true;
    static const struct channel list[] = {
        {"(0, eval)('var leak = \"W\"')", "globalThis.leak"},
        {"(0, eval)('function leak() { return \"W\" }')", "globalThis.leak"},
        {"new Function('globalThis.leak = \"W\"')()", "globalThis.leak"},
        {"eval('leak = \"W\"')", "globalThis.leak"},
        {"(0, eval)('let leak = \"W\"')", "(0, eval)('leak')"},
        {"(0, eval)('const leak = \"W\"')", "(0, eval)('leak')"},
        {"(0, eval)('class leak { static toString() { return \"W\" } }')",
         "(0, eval)('String(leak)')"},
    };
    size_t bad = 0;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        bad += channel_check(&fixture, &list[i]);
    }
    fixture_close(&fixture);
    assert_int_equal(bad, 0);
}

/* Walk everything that can be reached, getters called, and look for an object that is not frozen. */
static void realm_is_frozen_to_the_leaves(void **state)
{
    (void)state;
    static struct fixture fixture;
    assert_true(fixture_open(&fixture));
    fixture.timeout_ms = 10000;
    static const char code[] =
        "export default (input) => {\n"
        "  const seen = new Set(), bad = [], todo = [[globalThis, 'globalThis'],\n"
        "    [Object.getPrototypeOf(input.error), 'FlowError'], [Object.getPrototypeOf(function* "
        "() {}), "
        "'Generator']];\n"
        "  let count = 0;\n"
        "  while (todo.length > 0) {\n"
        "    const [object, path] = todo.pop();\n"
        "    if ((typeof object !== 'object' && typeof object !== 'function') || object === null) "
        "continue;\n"
        "    if (seen.has(object)) continue;\n"
        "    seen.add(object);\n"
        "    count++;\n"
        "    if (!Object.isFrozen(object)) bad.push(path);\n"
        "    todo.push([Object.getPrototypeOf(object), path + '.__proto__']);\n"
        "    for (const key of Reflect.ownKeys(object)) {\n"
        "      const d = Object.getOwnPropertyDescriptor(object, key);\n"
        "      const name = path + '.' + String(key);\n"
        "      for (const part of ['value', 'get', 'set']) if (d[part] !== undefined) "
        "todo.push([d[part], "
        "name]);\n"
        "    }\n"
        "  }\n"
        "  return {bad, many: count > 400};\n"
        "}\n";
    assert_string_equal(fixture_run(&fixture, code, input_make(&fixture, false, false)),
                        "{\"bad\": [], \"many\": true}");
    fixture_close(&fixture);
}

/* A call that was ended while its result was half written leaves nothing in the next result. */
static void call_ended_in_its_result_leaves_nothing(void **state)
{
    (void)state;
    static struct fixture fixture;
    assert_true(fixture_open(&fixture));
    fixture.timeout_ms = 5;
    struct attached script = fixture_attach(
        &fixture,
        "export default (x) => x === 0 ? ['W'.repeat(1e4), 1.5, {get a() { for (;;); }}] : [x]");
    assert_non_null(script.script);
    for (int i = 0; i < 20; i++) {
        struct sl_value ended = fixture_call(&fixture, &script, sl_value_new_int(fixture.mem, 0));
        assert_true(sl_value_is(ended, SL_VALUE_ERROR));
        sl_value_unref(ended);
        assert_string_equal(fixture_call_text(&fixture, &script, sl_value_new_int(fixture.mem, 7)),
                            "[7]");
    }
    fixture_detach(&fixture, &script);
    fixture_close(&fixture);
}

static void memory_cap_ends_growth(void **state)
{
    (void)state;
    static struct fixture fixture;
    assert_true(fixture_open(&fixture));
    fixture.timeout_ms = 20000;
    fixture.memory_max = (size_t)32 << 20;
    static const char *const codes[] = {
        "export default () => { const a = []; for (;;) a.push({x: [1, 2]}) }",
        "export default () => { const a = []; for (;;) a.push(new Uint8Array(100000).fill(7)) }",
        "export default () => { const m = new Map(); for (let i = 0;; i++) m.set('k' + i, {}) }",
        "export default async () => { const a = []; for (;;) a.push(await {}) }",
        "export default () => { const s = []; for (let i = 0;; i++) s.push('x'.repeat(9999) + i) }",
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char *text = fixture_run(&fixture, codes[i], sl_value_null());
        if (strstr(text, "error(script_memory") == NULL) print_error("%s: %s\n", codes[i], text);
        assert_non_null(strstr(text, "error(script_memory"));
        assert_string_equal(fixture_run(&fixture, "export default () => 1", sl_value_null()), "1");
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_share_nothing),
        cmocka_unit_test(calls_share_nothing_with_eval),
        cmocka_unit_test(realm_is_frozen_to_the_leaves),
        cmocka_unit_test(call_ended_in_its_result_leaves_nothing),
        cmocka_unit_test(memory_cap_ends_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
