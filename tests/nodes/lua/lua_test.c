/* SPDX-License-Identifier: MIT */
/* Lua: values both ways, errors and their positions, json, what is there and what is not. */
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
#include "nodes/script/lua/lua.h"
#include "tests/nodes/js/fixture.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_init(&fixture, &sl_engine_lua);
    fixture.timeout_ms = 5000; /* a busy machine is nobody's fault */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fixture_fini(&fixture) ? 0 : -1;
}

static struct sl_value json(const char *text)
{
    struct sl_value value;
    assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, fixture.mem, 0, &value, NULL), 0);
    return value;
}

/* A function's body, its input, and what comes out. */
struct row {
    const char *body;
    const char *input; /* JSON */
    const char *expected;
};

static void rows_hold(const struct row *rows, size_t count)
{
    static char code[8192];
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(code, sizeof(code), "return function(self) %s\nend", rows[i].body);
        const char *text = fixture_run(&fixture, code, json(rows[i].input));
        if (strcmp(text, rows[i].expected) == 0) continue;
        print_error("%s\n  gives    %s\n  expected %s\n", rows[i].body, text, rows[i].expected);
        bad++;
    }
    assert_int_equal(bad, 0);
}

#define ROWS_HOLD(rows) rows_hold(rows, sizeof(rows) / sizeof((rows)[0]))

static void values_go_in_and_out(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return self", "null", "null"},
        {"return self", "[1, -2, 1.5, true, false, null, \"x\", [], {}]",
         "[1, -2, 1.5, true, false, null, \"x\", [], {}]"},
        {"return self == json.null", "null", "true"},
        {"return", "1", "null"},
        {"return nil", "1", "null"},
        {"return {}", "1", "{}"},
        {"return json.array()", "1", "[]"},
        {"return json.array({})", "1", "[]"},
        {"return json.object({1, 2})", "1", "{\"1\": 1, \"2\": 2}"},
        {"return {1, 2, 3}", "1", "[1, 2, 3]"},
        {"return {1, nil, 3}", "1", "[1, null, 3]"},
        {"return {[3] = 1}", "1", "[null, null, 1]"},
        {"return {[100] = 1}", "1", "{\"100\": 1}"},
        {"return {[0] = 1}", "1", "{\"0\": 1}"},
        {"return {[1.5] = 1, [-1] = 2}", "1", "{\"-1\": 2, \"1.5\": 1}"},
        {"return {1, x = 2}", "1", "{\"1\": 1, \"x\": 2}"},
        {"return {b = 1, a = 2, c = {z = 1, y = 2}}", "1",
         "{\"a\": 2, \"b\": 1, \"c\": {\"y\": 2, \"z\": 1}}"},
        {"return 3.0, 4", "1", "3"},
        {"return 1/0", "1", "inf"},
        {"return -0.0", "1", "-0"},
        {"return 2^53", "1", "9007199254740992"},
        {"return 2^54", "1", "18014398509481984"},
        {"return 0.1 + 0.2", "1", "0.30000000000000004"},
        {"return '\\195\\164'", "1", "\"\303\244\""},
        {"return '\\255x'", "1", "b'ff78'"},
        {"return {true, false}", "1", "[true, false]"},
        {"return self[1].a.b[2]", "[{\"a\": {\"b\": [1, 2]}}]", "2"},
        {"return #self", "[1, 2, 3]", "3"},
        {"return select('#', self)", "1", "1"},
        {"return math.type", "1", "null"},
    };
    ROWS_HOLD(rows);
}

static void integers_keep_64_bits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return self", "9007199254740993", "9007199254740993"},
        {"return self", "-9223372036854775808", "-9223372036854775808"},
        {"return self", "9223372036854775807", "9223372036854775807"},
        {"return self", "18446744073709551615", "18446744073709551615u"},
        {"return {self}", "[9223372036854775807]", "[[9223372036854775807]]"},
        {"return self[1] + 1", "[9007199254740993]", "9007199254740994"},
        {"return self[1] - 1", "[18446744073709551615]", "18446744073709551614u"},
        {"return self[1] * 2", "[4611686018427387903]", "9223372036854775806"},
        {"return self[1] / 10", "[9007199254740993]", "900719925474099"},
        {"return self[1] > 5", "[9007199254740993]", "true"},
        {"return self[1] == 9007199254740993LL", "[9007199254740993]", "true"},
        {"return tostring(self[1])", "[9007199254740993]", "\"9007199254740993LL\""},
        {"return ('%d'):format(self[1])", "[9223372036854775807]", "\"9223372036854775807\""},
        {"return type(self[1]), 1", "[9223372036854775807]", "\"cdata\""},
        {"return type(self[1])", "[9007199254740992]", "\"number\""},
        {"return 5LL", "1", "5"},
        {"return 5ULL", "1", "5"},
        {"return -1LL", "1", "-1"},
        {"return {a = 0xffffffffffffffffULL}", "1", "{\"a\": 18446744073709551615u}"},
        {"return json.encode(self)", "[9223372036854775807, 18446744073709551615]",
         "\"[9223372036854775807,18446744073709551615]\""},
        {"return 1i", "1",
         "error(script_error, \"the result of the script: a cdata cannot be part of a payload\", "
         "null, null, null)"},
    };
    ROWS_HOLD(rows);
}

static void tables_that_came_in_behave_as_tables(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return self.b", "{\"a\": 1, \"b\": 2}", "2"},
        {"return self.c == nil", "{\"a\": 1}", "true"},
        {"self.a = 5 return self", "{\"z\": 0, \"a\": 1, \"b\": 2}",
         "{\"z\": 0, \"a\": 5, \"b\": 2}"},
        {"self.a = nil return {self, self.a == nil}", "{\"z\": 0, \"a\": 1}", "[{\"z\": 0}, true]"},
        {"local x = self.a self.a = nil return {self.a == nil, self}", "{\"z\": 0, \"a\": 1}",
         "[true, {\"z\": 0}]"},
        {"self.a = nil self.a = 7 return self", "{\"z\": 0, \"a\": 1, \"b\": 2}",
         "{\"z\": 0, \"a\": 7, \"b\": 2}"},
        {"self.y = 1 self.x = 2 return self", "{\"z\": 0}", "{\"z\": 0, \"x\": 2, \"y\": 1}"},
        {"self[1] = 'one' return self", "{\"z\": 0}", "{\"z\": 0, \"1\": \"one\"}"},
        {"self.a.b.c = 1 return self", "{\"x\": {\"y\": 1}, \"a\": {\"b\": {\"d\": 2}}}",
         "{\"x\": {\"y\": 1}, \"a\": {\"b\": {\"d\": 2, \"c\": 1}}}"},
        {"return self.a == self.a", "{\"a\": {}}", "true"},
        {"local t = {} for k, v in pairs(self) do t[#t + 1] = k .. v end table.sort(t) return t",
         "{\"a\": 1, \"b\": 2}", "[\"a1\", \"b2\"]"},
        {"local n = 0 for k in next, self do n = n + 1 end return n", "{\"a\": 1, \"b\": 2}", "2"},
        {"local k, v = next(self) return {k, v, next(self, k) == nil}", "{\"a\": 1}",
         "[\"a\", 1, true]"},
        {"return next(self) == nil", "{}", "true"},
        {"for k, v in pairs(self) do self[k] = v * 2 end return self", "{\"b\": 1, \"a\": 2}",
         "{\"b\": 2, \"a\": 4}"},
        {"for k in pairs(self) do self[k] = nil end return self", "{\"b\": 1, \"a\": 2}", "{}"},
        {"for k in pairs(self) do end self.c = 3 return self", "{\"b\": 1, \"a\": 2}",
         "{\"b\": 1, \"a\": 2, \"c\": 3}"},
        {"return rawget(self, 'a')", "{\"a\": 1}", "1"},
        {"rawset(self, 'a', 2) return self", "{\"b\": 0, \"a\": 1}", "{\"b\": 0, \"a\": 2}"},
        {"return #self", "{\"a\": 1}", "0"},
        {"return {pcall(ipairs, self)}", "1",
         "[false, \"bad argument #1 to '?' (table expected, got number)\"]"},
        {"local n = 0 for _ in ipairs(self) do n = n + 1 end return n", "{\"a\": 1}", "0"},
        {"local s = 0 for i, v in ipairs(self) do s = s + i * v end return s", "[5, 6]", "17"},
        {"table.insert(self, 4) return self", "[1, 2]", "[1, 2, 4]"},
        {"table.insert(self, 1, 0) return self", "[1, 2]", "[0, 1, 2]"},
        {"table.insert(self, 'x') return self", "{\"a\": 1}", "{\"a\": 1, \"1\": \"x\"}"},
        {"return {table.remove(self), self}", "[1, 2]", "[2, [1]]"},
        {"table.remove(self) return self", "[1]", "[]"},
        {"table.sort(self, function(a, b) return a > b end) return self", "[1, 3, 2]", "[3, 2, 1]"},
        {"return table.concat(self, '-')", "[1, 2, \"x\"]", "\"1-2-x\""},
        {"return {unpack(self)}", "[1, 2]", "[1, 2]"},
        {"return getmetatable(self) == nil", "{\"a\": 1}", "true"},
        {"return getmetatable(self) == nil", "[]", "true"},
        {"return setmetatable(self, {__index = function(_, k) return k end}).zz", "{\"a\": 1}",
         "\"zz\""},
        {"return setmetatable(self, {__index = {b = 2}}).a", "{\"a\": 1}", "1"},
        {"return setmetatable(self, {})", "{\"b\": 1, \"a\": [{}]}", "{\"a\": [{}], \"b\": 1}"},
        {"self[#self + 1] = self[1] return self", "[{\"a\": 1}]", "[{\"a\": 1}, {\"a\": 1}]"},
        {"local e = self.e e[1] = 1 return self", "{\"e\": []}", "{\"e\": [1]}"},
        {"self.e[1] = nil return self", "{\"e\": [1]}", "{\"e\": []}"},
        {"local n for k, v in pairs(self) do n = k end return rawequal(self.a, self[n])",
         "{\"a\": {}}", "true"},
        {"return type(self)", "{\"a\": 1}", "\"table\""},
        {"table.foreach(self, function(k, v) x = k end) return x", "{\"a\": 1}", "\"a\""},
        {"return table.maxn(self)", "[1, 2]", "2"},
        {"return {self.a == json.null, self.a == nil}", "{\"a\": null}", "[true, false]"},
    };
    ROWS_HOLD(rows);
}

/* More keys than a lazy table has bits. */
static void large_maps_keep_their_order(void **state)
{
    (void)state;
    char text[8192] = "{";
    char expected[8192] = "{";
    for (int i = 0; i < 200; i++) {
        char pair[64];
        (void)snprintf(pair, sizeof(pair), "%s\"k%d\": %d", i ? ", " : "", (i * 37) % 200, i);
        strcat(text, pair);
        if ((i * 37) % 200 == 7) {
            (void)snprintf(pair, sizeof(pair), ", \"k7\": \"new\"");
        } else if ((i * 37) % 200 == 9) {
            continue;
        }
        strcat(expected, pair);
    }
    strcat(text, "}");
    strcat(expected, ", \"last\": 1}");
    static const char code[] =
        "return function(self) self.k7 = 'new' self.k9 = nil self.last = 1 return self end";
    assert_string_equal(fixture_run(&fixture, code, json(text)), expected);
    static const char all[] =
        "return function(self) local n = 0 for k, v in pairs(self) do n = n + v end return n end";
    assert_string_equal(fixture_run(&fixture, all, json(text)), "19900");
}

/* Error, Binary, Time and Duration have no JSON: they are built. */
static struct sl_value special_sample(void)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, fixture.mem, 0, 0);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "bin");
    sl_build_binary(&b, "\x00\xff", 2);
    sl_build_key_str(&b, "time");
    sl_build_time(&b, 1700000000, 500000000);
    sl_build_key_str(&b, "dur");
    sl_build_duration(&b, -1, 500000000);
    sl_build_key_str(&b, "err");
    sl_build_error_begin(&b);
    sl_build_string_str(&b, "outer");
    sl_build_string_str(&b, "it failed");
    sl_build_error_begin(&b);
    sl_build_string_str(&b, "inner");
    sl_build_string_str(&b, "because");
    sl_build_null(&b);
    sl_build_null(&b);
    sl_build_null(&b);
    sl_build_error_end(&b);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "n");
    sl_build_int(&b, 1);
    sl_build_map_end(&b);
    sl_build_int(&b, 404);
    sl_build_error_end(&b);
    sl_build_map_end(&b);
    assert_int_equal(sl_builder_finish(&b, &value), 0);
    return value;
}

static void values_without_a_type_in_lua_keep_theirs(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return self.bin", "", "b'00ff'"},
        {"return #self.bin", "", "2"},
        {"return tostring(self.bin)", "", "b'00ff'"},
        {"return self.bin:sub(2, 2):byte()", "", "255"},
        {"return binary('abc')", "", "b'616263'"},
        {"return {binary('a') == binary('a'), binary('a') < binary('b')}", "", "[true, true]"},
        {"return self.time", "", "t'1700000000.500000000'"},
        {"return tostring(self.time)", "", "\"2023-11-14T22:13:20.5Z\""},
        {"return {self.time.seconds, self.time.nanoseconds}", "", "[1700000000, 500000000]"},
        {"return self.time + duration(0.75)", "", "t'1700000001.250000000'"},
        {"return self.time - time(1700000000)", "", "d'0.500000000'"},
        {"return self.time - duration(0, 1)", "", "t'1700000000.499999999'"},
        {"return self.time > time(5)", "", "true"},
        {"return self.dur", "", "d'-1.500000000'"},
        {"return -self.dur", "", "d'0.500000000'"},
        {"return self.dur * 3", "", "d'-2.500000000'"},
        {"return tostring(self.dur)", "", "\"-0.5s\""},
        {"return time.now() > time(1600000000)", "", "true"},
        {"return {pcall(function() return self.time + self.time end)}", "",
         "[false, \"test.yaml:10: these cannot be added\"]"},
        {"return self.err", "",
         "error(outer, \"it failed\", error(inner, \"because\", null, null, null), {\"n\": 1}, "
         "404)"},
        {"return self.err.error()", "", "\"it failed\""},
        {"return self.err:error()", "", "\"it failed\""},
        {"return {self.err.message, self.err.code, self.err.status, self.err.data.n}", "",
         "[\"it failed\", \"outer\", 404, 1]"},
        {"return self.err.cause.code", "", "\"inner\""},
        {"return tostring(self.err)", "", "\"it failed\""},
        {"self.err.message = 'other' self.err.data = nil return self.err", "",
         "error(outer, \"other\", error(inner, \"because\", null, null, null), null, 404)"},
        {"local t = {} for k in pairs(self.err) do t[#t + 1] = k end table.sort(t) return t", "",
         "[\"cause\", \"code\", \"data\", \"message\", \"status\"]"},
        {"error(self.err)", "",
         "error(outer, \"it failed\", error(inner, \"because\", null, null, null), {\"n\": 1}, "
         "404)"},
        {"local ok, e = pcall(error, self.err) return e.code", "", "\"outer\""},
    };
    static char code[8192];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(code, sizeof(code), "return function(self) %s\nend", rows[i].body);
        assert_string_equal(fixture_run(&fixture, code, special_sample()), rows[i].expected);
    }
    /* Untouched, nothing is lost either. */
    assert_string_equal(
        fixture_run(&fixture, "return function(self) return {self.err, self} end",
                    special_sample()),
        "[error(outer, \"it failed\", error(inner, \"because\", null, null, null), {\"n\": 1}, "
        "404), "
        "{\"bin\": b'00ff', \"time\": t'1700000000.500000000', \"dur\": d'-1.500000000', "
        "\"err\": error(outer, \"it failed\", error(inner, \"because\", null, null, null), "
        "{\"n\": 1}, 404)}]");
}

static void errors_are_typed(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"error('boom')", "1",
         "error(script_error, \"boom\", null, {\"file\": \"test.yaml\", \"line\": 10, \"column\": "
         "27}, null)"},
        {"error('boom', 0)", "1",
         "error(script_error, \"boom\", null, {\"file\": \"test.yaml\", \"line\": 10, \"column\": "
         "27}, null)"},
        {"error({code = 'no_user', message = 'who?', status = 404})", "1",
         "error(no_user, \"who?\", null, {\"file\": \"test.yaml\", \"line\": 10, \"column\": 27}, "
         "404)"},
        {"error({code = 'x', message = 'm', data = {a = 1}})", "1",
         "error(x, \"m\", null, {\"a\": 1}, null)"},
        {"error({message = 'm', status = 7, cause = {message = 'c'}})", "1",
         "error(script_error, \"m\", error(script_error, \"c\", null, null, null), {\"file\": "
         "\"test.yaml\", \"line\": 10, \"column\": 27}, null)"},
        {"error(5)", "1",
         "error(script_error, \"5\", null, {\"file\": \"test.yaml\", \"line\": 10, \"column\": "
         "27}, null)"},
        {"local x = self.a.b", "{}",
         "error(script_error, \"attempt to index field 'a' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 10, \"column\": 44}, null)"},
        {"return 1 + {}", "1",
         "error(script_error, \"attempt to perform arithmetic on a table value\", null, {\"file\": "
         "\"test.yaml\", \"line\": 10, \"column\": 39}, null)"},
        {"nothing()", "1",
         "error(script_error, \"attempt to call global 'nothing' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 10, \"column\": 27}, null)"},
        {"return {pcall(error, 'x')}", "1", "[false, \"x\"]"},
        {"return {pcall(error)}", "1", "[false]"},
        {"return {pcall(function() error('x') end)}", "1", "[false, \"test.yaml:10: x\"]"},
        {"return {pcall(function() return 1, 2 end)}", "1", "[true, 1, 2]"},
        {"return {xpcall(function() error('x') end, function(e) return 'h:' .. e end)}", "1",
         "[false, \"h:test.yaml:10: x\"]"},
        {"return {coroutine.resume(coroutine.create(function(a) error(a) end), 'x')}", "1",
         "[false, \"test.yaml:10: x\"]"},
        {"local f = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) "
         "return {f(1), f(5)}",
         "1", "[2, 10]"},
        {"return {pcall(string.rep)}", "1",
         "[false, \"bad argument #1 to '?' (string expected, got nil)\"]"},
        {"return {pcall(json.decode, '{\"a\":')}", "1",
         "[false, \"line 1, column 6: the text ends too early\"]"},
    };
    ROWS_HOLD(rows);
}

static void body_that_does_not_parse_raises_where_it_is_read(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return self.path", NULL, "\"/x\""},
        {"self.body = 1 return self", NULL, "{\"path\": \"/x\", \"body\": 1}"},
        {"local ok, e = pcall(function() return self.body.x end) return {ok, e.code, e.status}",
         NULL, "[false, \"bad_body\", 400]"},
        {"return self.body.x", NULL, "error(bad_body, \"malformed\", null, null, 400)"},
        {"return self.body", NULL, "error(bad_body, \"malformed\", null, null, 400)"},
        {"local b = self.body return 1", NULL, "error(bad_body, \"malformed\", null, null, 400)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_builder b;
        struct sl_value value;
        struct sl_value error = sl_value_new_error(fixture.mem, "bad_body", 400, "malformed");
        char code[256];
        (void)snprintf(code, sizeof(code), "return function(self) %s\nend", rows[i].body);
        sl_builder_init(&b, fixture.mem, 16, 64);
        sl_build_map_begin(&b);
        sl_build_key_str(&b, "path");
        sl_build_string_str(&b, "/x");
        sl_build_key_str(&b, "body");
        sl_build_value(&b, error);
        sl_build_map_end(&b);
        assert_int_equal(sl_builder_finish(&b, &value), 0);
        sl_value_unref(error);
        assert_string_equal(fixture_run(&fixture, code, value), rows[i].expected);
    }
}

static void first_line_for_a_shell_is_skipped(void **state)
{
    (void)state;
    assert_string_equal(
        fixture_run(&fixture, "#!/usr/bin/lua -x }\nreturn function(self) return 7 end", json("1")),
        "7");
}

static void positions_are_those_of_the_file(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *expected;
    } rows[] = {
        {"return function(self)\n  local a = 1\n  error('x')\nend",
         "error(script_error, \"x\", null, {\"file\": \"test.yaml\", \"line\": 12, \"column\": 7}, "
         "null)"},
        {"local function f(t)\n  return t.a.b\nend\nreturn function(self)\n  return f({}) + 1\nend",
         "error(script_error, \"attempt to index field 'a' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 11, \"column\": 18}, null)"},
        {"return function(self)\n  for i = 1, 10 do\n    if i == 3 then\n      self.x.y = 1\n    "
         "end\n  "
         "end\nend",
         "error(script_error, \"attempt to index field 'x' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 13, \"column\": 22}, null)"},
        {"return function(self)\n  local t = {}\n  local s = table.concat({t})\n  return s\nend",
         "error(script_error, \"invalid value (table) at index 1 in table for 'concat'\", null, "
         "{\"file\": \"test.yaml\", \"line\": 12, \"column\": 23}, null)"},
        {"return function(self)\n  local v = json.decode('{]')\n  return v\nend",
         "error(script_error, \"line 1, column 2: expected a key in double quotes\", null, "
         "{\"file\": "
         "\"test.yaml\", \"line\": 11, \"column\": 22}, null)"},
        /* In tail position, where the frame is gone. */
        {"return function(self)\n  return error('x')\nend",
         "error(script_error, \"x\", null, {\"file\": \"test.yaml\", \"line\": 11, \"column\": "
         "14}, "
         "null)"},
        {"local function f()\n  if true then return error({code = 'c', message = 'm'}) end\nend\n"
         "return function(self)\n  f()\n  return 1\nend",
         "error(c, \"m\", null, {\"file\": \"test.yaml\", \"line\": 11, \"column\": 27}, null)"},
        {"return function(self)\n  pcall(function() return error('a') end)\n"
         "  pcall(function()\n    return error 'a' end)\n  return self.x.y\nend",
         "error(script_error, \"attempt to index field 'x' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 14, \"column\": 21}, null)"},
        {"local function f()\n  return error('x', 0)\nend\n"
         "return function(self)\n  coroutine.wrap(f)()\n  return 1\nend",
         "error(script_error, \"x\", null, {\"file\": \"test.yaml\", \"line\": 14, \"column\": "
         "23}, "
         "null)"},
        /* Syntax, when it is compiled. */
        {"return function(self)\n  local x = = 1\nend",
         "diag: test.yaml:11:17: error: unexpected symbol near '='"},
        {"return function(self)\n  if self then\n    return 1\n",
         "diag: test.yaml:13:5: error: 'end' expected (to close 'if' at line 11) near '<eof>'"},
        {"return function(self)\n  goto nowhere\nend",
         "diag: test.yaml:11:12: error: undefined label 'nowhere'"},
        {"return function(self)\n  local s = 'abc\nend",
         "diag: test.yaml:11:17: error: unfinished string near ''abc'"},
        {"return function(self) while true do",
         "diag: test.yaml:10:40: error: 'end' expected (to close 'while' at line 10) near '<eof>'"},
        {"return function(self) end end",
         "diag: test.yaml:10:31: error: '<eof>' expected near 'end'"},
        {"return 5",
         "diag: test.yaml:10:5: error: the script returned a number where a function was expected"},
        {"",
         "diag: test.yaml:10:5: error: the script returned a nil where a function was expected"},
        {"local x = nil + 1 return function() end",
         "diag: test.yaml:10:21: error: attempt to perform arithmetic on a nil value"},
    };
    size_t bad = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = fixture_run(&fixture, rows[i].code, json("{}"));
        if (strcmp(text, rows[i].expected) == 0) continue;
        print_error("%s\n  gives    %s\n  expected %s\n", rows[i].code, text, rows[i].expected);
        bad++;
    }
    assert_int_equal(bad, 0);
}

static void json_speaks_the_engines_json(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"return json.encode(self)", "{\"b\": [1, 2.5, null, {}], \"a\": []}",
         "\"{\"b\":[1,2.5,null,{}],\"a\":[]}\""},
        {"return json.encode({b = 1, a = {}})", "1", "\"{\"a\":{},\"b\":1}\""},
        {"return json.encode({1, 2}, true)", "1", "\"[\n  1,\n  2\n]\""},
        {"return json.encode('x')", "1", "\"\"x\"\""},
        {"return json.encode(json.null)", "1", "\"null\""},
        {"return json.encode(json.array())", "1", "\"[]\""},
        {"return json.decode('{\"z\":1,\"a\":[{}]}')", "1", "{\"z\": 1, \"a\": [{}]}"},
        {"return json.decode('9223372036854775807')", "1", "9223372036854775807"},
        {"return json.decode('null') == json.null", "1", "true"},
        {"return json.decode('{\"a\":{\"b\":1}}').a.b", "1", "1"},
        {"local v, e = json.safe.decode('[1,') return {v == nil, e}", "1",
         "[true, \"line 1, column 4: the text ends too early\"]"},
        {"local v, e = cjson.encode(print) return {v == nil, e}", "1",
         "[true, \"a function cannot be part of a payload\"]"},
        {"return cjson.decode('[1]')[1]", "1", "1"},
        {"return json.decode(json.encode({n = 0.1, t = true, s = 'a\"b'}))", "1",
         "{\"n\": 0.10000000000000001, \"s\": \"a\"b\", \"t\": true}"},
        {"return json.encode(time(0))", "1", "\"\"1970-01-01T00:00:00Z\"\""},
    };
    ROWS_HOLD(rows);
}

static void language_is_all_there(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"local r = {} for i = 1, 5 do if i == 3 then goto continue end local x = i r[#r + 1] = x "
         "::continue:: end return r",
         "1", "[1, 2, 4, 5]"},
        {"local n = 0 ::top:: n = n + 1 if n < 5 then goto top end return n", "1", "5"},
        {"local n = 0 repeat local m = n n = n + 1 until m > 3 return n", "1", "5"},
        {"local function f(...) return select('#', ...), ... end return {f(1, nil, 3)}", "1",
         "[3, 1, null, 3]"},
        {"return (function(a) return a end)(7)", "1", "7"},
        {"local t = {f = function(s, x) return x end} return t:f('y') .. t.f(t, 'z')", "1",
         "\"yz\""},
        {"return ('%5.2f|%s|%q'):format(1.234, 'x', 'y')", "1", "\" 1.23|x|\"y\"\""},
        {"return ('%s'):format(setmetatable({}, {__tostring = function() return 'T' end}))", "1",
         "\"T\""},
        {"return ('hello world'):gsub('o', '0')", "1", "\"hell0 w0rld\""},
        {"return ('a,b,,c'):gsub('[^,]+', {a = 1, b = 'two'})", "1", "\"1,two,,c\""},
        {"local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v end return t",
         "1", "{\"a\": \"1\", \"b\": \"2\"}"},
        {"return {('key = value'):match('^(%w+)%s*=%s*(%w+)$')}", "1", "[\"key\", \"value\"]"},
        {"return {('abc'):find('b', 1, true)}", "1", "[2, 2]"},
        {"return {bit.band(0xff, 0x0f), bit.bxor(1, 3), bit.lshift(1, 4)}", "1", "[15, 2, 16]"},
        {"return {math.floor(1.7), math.max(1, 5, 3), math.huge > 1, math.pi > 3}", "1",
         "[1, 5, true, true]"},
        {"math.randomseed(42) local a = math.random(1000000) math.randomseed(42) "
         "return a == math.random(1000000)",
         "1", "true"},
        {"for i = 1, 100 do local r = math.random(3) if r < 1 or r > 3 then return r end end "
         "return 0",
         "1", "0"},
        {"return #('ab'):rep(300000)", "1", "600000"},
        {"return ('ab'):rep(200000, ','):sub(-5)", "1", "\"ab,ab\""},
        {"local t = {} for i = 1, 10000 do t[i] = i end return #table.concat(t, ', ')", "1",
         "58892"},
        {"local t = {5, 3, 9, 1, 7, 2, 8, 6, 4, 0, 11, 10} table.sort(t) return t", "1",
         "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"},
        {"return table.move({1, 2, 3}, 1, 3, 2)", "1", "[1, 1, 2, 3]"},
        {"return _G.string == string and _G._G == _G", "1", "true"},
        {"x = 5 return {x, _G.x, rawget(_G, 'x')}", "1", "[5, 5, 5]"},
        {"return 'a' .. 1 .. [[b]] .. [==[c]]]==] .. \"\\z   d\\x41\\065\"", "1", "\"a1bc]]dAA\""},
        {"local goto_ = 1 return goto_", "1", "1"},
        {"return 0x10 + 1e2 + .5 + 0x.8p1", "1", "117.5"},
        {"return not nil == true and 1 or 2 --[[ comment ]] -- and one more", "1", "1"},
        {"return setmetatable({}, {__call = function(_, a) return a end})(3)", "1", "3"},
        {"return #setmetatable({}, {__index = {1, 2}})", "1", "0"},
        {"return select(-1, 1, 2, 3)", "1", "3"},
        {"return tostring(nil) .. tostring(1.5) .. tostring(10)", "1", "\"nil1.510\""},
        {"return tonumber('0x1F') + tonumber('z', 36)", "1", "66"},
    };
    ROWS_HOLD(rows);
}

static void what_is_dangerous_is_not_there(void **state)
{
    (void)state;
    static const char *const names[] = {
        "os",
        "io",
        "ffi",
        "debug",
        "load",
        "loadstring",
        "dofile",
        "loadfile",
        "require",
        "package",
        "jit",
        "string.dump",
        "newproxy",
        "module",
        "getfenv",
        "setfenv",
        "gcinfo",
        "_ENV",
        "collectgarbage",
        "table.new",
        "table.clear",
        "string.buffer",
    };
    static char code[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(code, sizeof(code), "return function() return %s == nil end", names[i]);
        assert_string_equal(fixture_run(&fixture, code, sl_value_null()), "true");
    }
    static const struct row rows[] = {
        {"return getmetatable('')", "1", "false"},
        {"return {pcall(setmetatable, _G, {})}", "1",
         "[false, \"cannot change a protected metatable\"]"},
        {"return tostring(getmetatable(1LL))", "1", "\"ffi\""},
        {"return {pcall(function() return ('x').y.z end)}", "1",
         "[false, \"test.yaml:10: attempt to index field 'y' (a nil value)\"]"},
        {"return {pcall(function() for k in pairs(string) do string[k] = 1 end end)}", "1",
         "[false, \"test.yaml:10: this table is read-only\"]"},
        {"local n = 0 for k in pairs(string) do n = n + 1 end return n > 10", "1", "true"},
        {"local _, t = pairs(string) return rawequal(t, string)", "1", "true"},
        {"local \xff"
         "n = 1",
         "1", "diag: test.yaml:10:33: error: a name contains the byte 0xff, which is no UTF-8"},
    };
    ROWS_HOLD(rows);
}

static void env_is_read_only(void **state)
{
    (void)state;
    struct sl_value env = json("{\"TOKEN\": \"s3cret\", \"list\": [1, {\"a\": 2}], \"n\": 5}");
    fixture.env = env;
    static const struct row rows[] = {
        {"return env.TOKEN", "1", "\"s3cret\""},
        {"return env.list[2].a + env.n", "1", "7"},
        {"return env.nothing == nil", "1", "true"},
        {"return env", "1", "{\"TOKEN\": \"s3cret\", \"list\": [1, {\"a\": 2}], \"n\": 5}"},
        {"local t = {} for k in pairs(env) do t[#t + 1] = k end table.sort(t) return t", "1",
         "[\"TOKEN\", \"list\", \"n\"]"},
        {"local s = 0 for i, v in ipairs(env.list) do s = s + i end return s", "1", "3"},
        {"return {pcall(function() env.TOKEN = 1 end)}", "1",
         "[false, \"test.yaml:10: this table is read-only\"]"},
        {"return (pcall(function() env.list[2].a = 1 end))", "1", "false"},
        {"return (pcall(table.insert, env.list, 1))", "1", "false"},
        {"return (pcall(rawset, env, 'x', 1))", "1", "false"},
        {"return env.TOKEN.x.y", "1",
         "error(script_error, \"attempt to index field 'x' (a nil value)\", null, {\"file\": "
         "\"test.yaml\", \"line\": 10, \"column\": 46}, null)"},
    };
    ROWS_HOLD(rows);
    fixture.env = sl_value_none();
    sl_value_unref(env);
}

static char logged[256];

static void log_keep(void *ctx, enum sl_log_level level, const char *node, const char *text,
                     size_t text_size)
{
    (void)ctx;
    size_t used = strlen(logged);
    (void)snprintf(logged + used, sizeof(logged) - used, "%d %s: %.*s\n", (int)level, node,
                   (int)text_size, text);
}

static void print_goes_to_the_log(void **state)
{
    (void)state;
    logged[0] = '\0';
    sl_script_log_set(log_keep, NULL);
    (void)fixture_run(&fixture,
                      "return function() print('a', 1, nil, true) print() log.error('bad') end",
                      sl_value_null());
    sl_script_log_set(NULL, NULL);
    char expected[128];
    (void)snprintf(expected, sizeof(expected),
                   "%d node: a\t1\tnil\ttrue\n%d node: \n%d node: bad\n", SL_LOG_INFO, SL_LOG_INFO,
                   SL_LOG_ERROR);
    assert_string_equal(logged, expected);
}

static void arguments_come_in_order(void **state)
{
    (void)state;
    struct attached attached =
        fixture_attach(&fixture, "return function(a, b, c) return {a, b.x, #c} end");
    assert_non_null(attached.script);
    struct sl_value args[2] = {json("{\"x\": 2}"), json("[1, 2, 3]")};
    struct sl_script_call call = {.input = json("\"one\""),
                                  .args = args,
                                  .args_count = 2,
                                  .mem = fixture.mem,
                                  .clock = fixture.clock,
                                  .deadline_ns = UINT64_MAX};
    struct sl_value result = fixture.engine->run(attached.script, attached.instance, &call);
    char text[128];
    value_print(result, text, sizeof(text));
    assert_string_equal(text, "[\"one\", 2, 3]");
    sl_value_unref(result);
    sl_value_unref(call.input);
    for (int i = 0; i < 2; i++) sl_value_unref(args[i]);
    fixture_detach(&fixture, &attached);
}

static void prepare_makes_a_machine_a_shard_and_attach_takes_it(void **state)
{
    (void)state;
    struct attached attached = fixture_attach(&fixture, "return function(a) return a + 1 end");
    assert_non_null(attached.script);
    assert_int_equal(sl_lua_machines_waiting(), 0);
    sl_engine_lua.prepare(attached.script, 2);
    assert_int_equal(sl_lua_machines_waiting(), 1);
    sl_engine_lua.prepare(attached.script, 2);
    assert_int_equal(sl_lua_machines_waiting(), 1);
    void *other = NULL;
    void *instance = NULL;
    assert_int_equal(sl_engine_lua.attach(attached.script, &other, &instance, NULL), 0);
    assert_int_equal(sl_lua_machines_waiting(), 0);
    struct attached made = {attached.script, instance};
    assert_string_equal(fixture_call_text(&fixture, &made, json("41")), "42");
    sl_engine_lua.detach(attached.script, other, instance);
    sl_engine_lua.shard_fini(other);
    sl_engine_lua.prepare(attached.script, 2); /* that one is gone */
    assert_int_equal(sl_lua_machines_waiting(), 1);
    other = NULL;
    assert_int_equal(sl_engine_lua.attach(attached.script, &other, &instance, NULL), 0);
    sl_engine_lua.detach(attached.script, other, instance);
    sl_engine_lua.shard_fini(other);
    fixture_detach(&fixture, &attached);
}

static void deadline_of_the_call_comes_first(void **state)
{
    (void)state;
    struct attached attached = fixture_attach(&fixture, "return function() while true do end end");
    assert_non_null(attached.script);
    uint64_t now_ns = sl_clock_now_ns(fixture.clock);
    struct sl_script_call call = {.input = sl_value_null(),
                                  .mem = fixture.mem,
                                  .clock = fixture.clock,
                                  .deadline_ns = now_ns - 1};
    for (int i = 0; i < 2; i++) {
        struct sl_value result = fixture.engine->run(attached.script, attached.instance, &call);
        assert_true(sl_value_is(result, SL_VALUE_ERROR));
        assert_true(sl_slice_eq_str(sl_value_slice(sl_error_part(result, SL_ERROR_CODE)),
                                    "script_deadline"));
        sl_value_unref(result);
        call.deadline_ns = sl_clock_now_ns(fixture.clock) + 5 * SL_NS_PER_MS;
    }
    assert_true(sl_clock_now_ns(fixture.clock) - now_ns < 4000 * SL_NS_PER_MS);
    fixture_detach(&fixture, &attached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_go_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(integers_keep_64_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_that_came_in_behave_as_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(large_maps_keep_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(values_without_a_type_in_lua_keep_theirs, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_typed, setup, teardown),
        cmocka_unit_test_setup_teardown(body_that_does_not_parse_raises_where_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(first_line_for_a_shell_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(positions_are_those_of_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(json_speaks_the_engines_json, setup, teardown),
        cmocka_unit_test_setup_teardown(language_is_all_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_dangerous_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(env_is_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(print_goes_to_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(prepare_makes_a_machine_a_shard_and_attach_takes_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(deadline_of_the_call_comes_first, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
