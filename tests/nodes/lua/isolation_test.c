/* SPDX-License-Identifier: MIT */
/*
 * What one call leaves behind, the next does not see: whatever it wrote, however it ended, in the
 * same script and in others of the shard. And what scripts leave behind when they are gone: nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "nodes/script/lua/lua.h"
#include "tests/nodes/js/fixture.h"

enum {
    DIRTY_CALLS = 3,
    SCRIPTS = 2000,
    SCRIPTS_LONG = 20000, /* SLUICE_LONG=1 */
    WARM_SCRIPTS = 600,
    CALLS = 70,                  /* enough to be compiled */
    HEAP_SLOPE_MAX = 64,         /* bytes of the machine's heap that a script may leave behind */
    RSS_FLOOR = 6 * 1024 * 1024, /* of growth that says nothing: pages come and go */
};

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_init(&fixture, &sl_engine_lua);
    fixture.timeout_ms = 5000;
    assert_int_equal(sl_json_parse(SL_SLICE("{\"key\": \"value\", \"list\": [1, {\"a\": 1}]}"),
                                   NULL, NULL, 0, &fixture.env, NULL),
                     0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sl_value_unref(fixture.env);
    return fixture_fini(&fixture) ? 0 : -1;
}

/* What a call writes, and what another must find as it was. */
static const struct stain {
    const char *dirty;
    const char *probe;    /* an expression */
    const char *expected; /* its value, always */
} stains[] = {
    {"n = n + 1", "n", "0"},
    {"t.x = 1 t[1] = self t.self = self", "{t.x == nil, #t, t.self == nil}", "[true, 0, true]"},
    {"add(self)", "add(1)", "1"},
    {"co = coroutine.wrap(function() local i = 0 while true do i = i + 1 coroutine.yield(i) end "
     "end) "
     "co() co()",
     "co == nil", "true"},
    {"counter() counter()", "counter()", "1"},
    {"g = self _G.h = 1 rawset(_G, 'i', 1) _G[1] = 2",
     "{g == nil, h == nil, i == nil, _G[1] == nil}", "[true, true, true, true]"},
    {"helper = function() return 'other' end", "helper()", "\"helper\""},
    {"print = nil type = function() return 'x' end tostring = nil", "{type(print), tostring(1)}",
     "[\"function\", \"1\"]"},
    {"string = {} table = nil math = 1 json = nil env = nil",
     "{type(string), type(table.insert), math.floor(1.5), json.encode({1}), env.key}",
     "[\"table\", \"function\", 1, \"[1]\", \"value\"]"},
    {"_G._G = nil _G = {}", "_G.helper == helper", "true"},
    {"pcall(function() string.upper = string.lower end) pcall(rawset, string, 'upper', 1)",
     "{('a'):upper(), string.upper('a')}", "[\"A\", \"A\"]"},
    {"for _, l in pairs({string, table, math, bit, coroutine, json, json.safe, cjson, log, time, "
     "env, "
     "env.list}) do pcall(rawset, l, 'x', 1) pcall(table.insert, l, 1) pcall(setmetatable, l, {}) "
     "pcall(function() l.x = 1 end) pcall(table.sort, l) pcall(table.remove, l) "
     "pcall(table.move, {1}, 1, 1, 1, l) end",
     "{string.x == nil, table.x == nil, json.x == nil, cjson.x == nil, time.x == nil, env.x == "
     "nil, "
     "env.list[2].a, #env.list[2]}",
     "[true, true, true, true, true, true, 1, 0]"},
    {"for _, v in pairs({1, 'x', true, print, json.null, 1LL, time.now(), duration(1), "
     "binary('x'), "
     "coroutine.create(print)}) do pcall(function() getmetatable(v).__index = function() return 1 "
     "end "
     "end) pcall(setmetatable, v, {__index = {y = 1}}) end",
     "{('x').y == nil, pcall(function() return (1).y end), pcall(function() return time.now().y "
     "== nil end)}",
     "[true, false, true, true]"},
    {"pcall(function() getmetatable('').__add = function() return 1 end end) "
     "pcall(rawset, getmetatable('') or {}, '__index', {})",
     "{('a'):rep(2), (pcall(function() return 'a' + 1 end))}", "[\"aa\", false]"},
    {"setmetatable(_G, {__index = function() return 1 end}) ", "undefined == nil", "true"},
    {"pcall(setmetatable, _G, {__newindex = function() end})", "(function() z = 5 return z end)()",
     "5"},
    {"math.randomseed(42)",
     "(function() local a = math.random() math.randomseed(42) return a == math.random() end)()",
     "false"},
    {"setmetatable({}, {__gc = function() leak = 1 end}) setmetatable(t, {__mode = 'k'}) t[{}] = 1",
     "{leak == nil, next(t) == nil}", "[true, true]"},
    {"if type(self) == 'table' then self.a = 'changed' rawset(self, 'b', 1) self.c.d = 2 "
     "setmetatable(self, {__index = {q = 1}}) end",
     "{t.q == nil, json.decode('{\"q\":1}').q, json.decode('{}').q == nil}", "[true, 1, true]"},
    {"local e = error_of() e.code = 'x' e.extra = 1 t = e",
     "{error_of().extra == nil, t.extra == nil}", "[true, true]"},
    {"for i = 1, 200 do pcall(function() local a = {} a.b.c = i end) end", "n", "0"},
    {"local c = coroutine.create(function() t.x = 1 coroutine.yield() t.x = 2 end) "
     "coroutine.resume(c) co = c g = c",
     "{co == nil, g == nil, t.x == nil}", "[true, true, true]"},
    {"json.array(t) json.object({}) t.f = json.encode(t)", "t", "{}"},
};

enum { STAINS = sizeof(stains) / sizeof(stains[0]) };

/* How a call that wrote ends. */
static const struct {
    const char *name;
    const char *code;
    bool wants_deadline;
} ends[] = {
    {"a value", "return self", false},
    {"an error", "error({code = 'mine', message = 'text'})", false},
    {"a fault", "local x = nil return x.y", false},
    {"no memory", "local s = {} while true do s[#s + 1] = {s} end", false},
    {"its deadline", "while true do end", true},
    {"a coroutine's error", "coroutine.wrap(function() error('inside') end)()", false},
    {"a result that is none", "return print", false},
};

enum { ENDS = sizeof(ends) / sizeof(ends[0]) };

/* A module whose state is at its top level; `probe` alone is pure where `head` is empty. */
static struct attached attach(const char *dirty, const char *end, const char *probe)
{
    static char code[8192];
    (void)snprintf(
        code, sizeof(code),
        "local n, t, co = 0, {}, nil\n"
        "local function make() local i = 0 return function() i = i + 1 return i end end\n"
        "local counter = make()\n"
        "local sum = 0\n"
        "local function add(x) if type(x) == 'number' then sum = sum + x end return sum end\n"
        "function helper() return 'helper' end\n"
        "local function error_of() local _, e = pcall(error, {code = 'c'}) return e end\n"
        "return function(self)\n"
        "  if self ~= 'probe' then\n    %s\n    do %s end\n  end\n"
        "  return %s\nend",
        dirty, end, probe);
    struct attached attached = fixture_attach(&fixture, code);
    if (attached.script == NULL) fail_msg("%s: %s", dirty, fixture.diag.text);
    return attached;
}

static size_t probe_is(struct attached *attached, const struct stain *stain, const char *end,
                       const char *when)
{
    const char *text =
        fixture_call_text(&fixture, attached, sl_value_new_string(fixture.mem, "probe", 5));
    if (strcmp(text, stain->expected) == 0) return 0;
    print_error("%s\n  ended by %s: %s it finds %s\n", stain->dirty, end, when, text);
    return 1;
}

static struct sl_value dirty_input(int number)
{
    struct sl_value value;
    if (number % 2 == 0) return sl_value_new_int(fixture.mem, 7);
    assert_int_equal(sl_json_parse(SL_SLICE("{\"a\": [1, 2], \"c\": {\"d\": null}}"), NULL,
                                   fixture.mem, 0, &value, NULL),
                     0);
    return value;
}

static size_t stain_is_gone(const struct stain *stain, size_t end)
{
    fixture.timeout_ms = ends[end].wants_deadline ? 10 : 5000;
    fixture.memory_max = 1 << 20;
    struct attached script = attach(stain->dirty, ends[end].code, stain->probe);
    fixture.timeout_ms = 5000;
    struct attached other = attach("n = 1", "return 1", stain->probe);
    size_t bad = probe_is(&script, stain, ends[end].name, "before");
    for (int i = 0; i < DIRTY_CALLS; i++) {
        sl_value_unref(fixture_call(&fixture, &script, dirty_input(i)));
        bad += probe_is(&script, stain, ends[end].name, "after");
        bad += probe_is(&other, stain, ends[end].name, "in another script");
    }
    fixture_detach(&fixture, &script);
    fixture_detach(&fixture, &other);
    return bad;
}

static void state_of_a_call_is_gone_however_it_ends(void **state)
{
    (void)state;
    size_t bad = 0;
    for (size_t i = 0; i < STAINS; i++) {
        for (size_t end = 0; end < ENDS; end++) bad += stain_is_gone(&stains[i], end);
    }
    assert_int_equal(bad, 0);
}

/* A script that is one function keeps no closure of its own between calls, and none of others. */
static void pure_script_sees_no_globals_of_its_last_call(void **state)
{
    (void)state;
    struct attached script =
        fixture_attach(&fixture, "return function(self) local old = {g, h, k} g = self h = {self} "
                                 "k = function() return self end return {#old, g, k()} end");
    assert_non_null(script.script);
    for (int i = 0; i < 100; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "[0, %d, %d]", i, i);
        assert_string_equal(fixture_call_text(&fixture, &script, sl_value_new_int(fixture.mem, i)),
                            expected);
    }
    fixture_detach(&fixture, &script);
}

/* Two scripts of the same text, and one that is attached twice, have nothing in common. */
static void scripts_of_one_text_have_their_own_globals(void **state)
{
    (void)state;
    static const char code[] = "count = (count or 0) + 1\n"
                               "local m = count\n"
                               "return function(self) count = count + 1 return {m, count} end";
    struct attached a = fixture_attach(&fixture, code);
    struct attached b = fixture_attach(&fixture, code);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(fixture_call_text(&fixture, &a, sl_value_null()), "[1, 2]");
        assert_string_equal(fixture_call_text(&fixture, &b, sl_value_null()), "[1, 2]");
    }
    fixture_detach(&fixture, &a);
    fixture_detach(&fixture, &b);
}

/* ---- Coming and going ---------------------------------------------------------------------- */

static uint64_t rss_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t heap_swept(void)
{
    /* A call that grew by much is followed by a collection: what is left is in use. */
    struct attached sweep = fixture_attach(
        &fixture,
        "return function() local t = {} for i = 1, 100000 do t[i] = {i} end return 1 end");
    assert_string_equal(fixture_call_text(&fixture, &sweep, sl_value_null()), "1");
    fixture_detach(&fixture, &sweep);
    struct sl_lua_stats stats;
    sl_lua_stats_get(fixture.shard_state, &stats);
    return stats.memory_used;
}

static void script_live_and_die(int number)
{
    char code[1024], expected[64];
    (void)snprintf(code, sizeof(code),
                   "local limits = {max = 10, name = 't%08d'}\n"
                   "local function helper(a) local s = 0 for i = 1, 20 do s = s + i %% a end "
                   "return {n = s, t = limits.name, l = {('x'):rep(%d)}} end\n"
                   "total_%d = 0\n"
                   "return function(self) total_%d = total_%d + self local r = helper(self + 2)\n"
                   "  return {r.t, total_%d, #r.l[1]} end",
                   number, number % 50, number, number, number, number);
    struct attached attached = fixture_attach(&fixture, code);
    assert_non_null(attached.script);
    (void)snprintf(expected, sizeof(expected), "[\"t%08d\", 5, %d]", number, number % 50);
    for (int i = 0; i < CALLS; i++) {
        assert_string_equal(
            fixture_call_text(&fixture, &attached, sl_value_new_int(fixture.mem, 5)), expected);
    }
    fixture_detach(&fixture, &attached);
}

/* A collection that was under way already keeps what died since it began: the least of a few. */
static uint64_t heap_bytes(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        uint64_t heap = heap_swept();
        if (heap < least) least = heap;
    }
    return least;
}

static void scripts_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    int count = getenv("SLUICE_LONG") != NULL ? SCRIPTS_LONG : SCRIPTS;
    fixture.memory_max = 0;
    for (int i = 0; i < WARM_SCRIPTS; i++) script_live_and_die(i);
    (void)heap_bytes();
    uint64_t rss = rss_bytes(), heap = heap_bytes();
    for (int i = 0; i < count; i++) script_live_and_die(WARM_SCRIPTS + i);
    uint64_t rss_now = rss_bytes(), heap_now = heap_bytes();
    print_message("heap %llu → %llu KiB, resident %llu → %llu KiB, after %d scripts\n",
                  (unsigned long long)heap >> 10, (unsigned long long)heap_now >> 10,
                  (unsigned long long)rss >> 10, (unsigned long long)rss_now >> 10, count);
    assert_true(heap_now < heap + (uint64_t)count * HEAP_SLOPE_MAX);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(rss_now < rss + RSS_FLOOR);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state_of_a_call_is_gone_however_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(pure_script_sees_no_globals_of_its_last_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(scripts_of_one_text_have_their_own_globals, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(scripts_that_come_and_go_leave_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
