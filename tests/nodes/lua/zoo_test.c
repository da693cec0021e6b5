/* SPDX-License-Identifier: MIT */
/*
 * A zoo of scripts that run for ever, take all memory, or try to break what is shared. Each must end
 * as a typed error (or a harmless value, where the table says so) within its bound, and the shard
 * must serve the next call as if nothing had been.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "nodes/script/lua/lua.h"
#include "tests/nodes/js/fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 4 };
#else
enum { SLOWER = 1 };
#endif

enum { DEADLINE = 1, MEMORY = 2, ERROR = 4, VALUE = 8 };

/* The counter ends in FAST ms; a native call on megabytes needs more. Deadline: 20 ms. */
enum { FAST = 60, SLOW = 400 };

#define JOIN_8  "s..s..s..s..s..s..s..s"
#define JOIN_40 JOIN_8 ".." JOIN_8 ".." JOIN_8 ".." JOIN_8 ".." JOIN_8

struct animal {
    const char *name;
    int outcomes; /* allowed */
    uint32_t bound_ms;
    const char *code; /* of the function's body */
};

static const struct animal animals[] = {
    {"while", DEADLINE, FAST, "while true do end"},
    {"while with work", DEADLINE, FAST, "local x = 0 while true do x = (x * 31 + 7) % 65536 end"},
    {"repeat", DEADLINE, FAST, "repeat until false"},
    {"for to infinity", DEADLINE, FAST, "for i = 1, math.huge do end"},
    {"for in without end", DEADLINE, FAST, "for _ in function() return 1 end do end"},
    {"goto back", DEADLINE, FAST, "::again:: goto again"},
    {"goto out of a block", DEADLINE, FAST, "::a:: do local x = 1 goto a end"},
    {"goto in an if", DEADLINE, FAST, "local n = 0 ::a:: n = n + 1 if n then goto a end"},
    {"recursion", ERROR | DEADLINE, FAST, "local function f() return 1 + f() end return f()"},
    {"tail recursion", DEADLINE, FAST, "local function f() return f() end return f()"},
    {"mutual recursion", DEADLINE, FAST,
     "local a, b function a() return b() end function b() return a() end a()"},
    {"recursion caught", DEADLINE | MEMORY, FAST * 3,
     "local function f() pcall(f) f() end while true do pcall(f) end"},
    {"recursion in a handler", DEADLINE | ERROR, FAST * 3,
     "local function f() xpcall(error, f) return f() end f()"},
    {"pcall around the loop", DEADLINE, FAST,
     "while true do pcall(function() while true do end end) end"},
    {"pcall of pcall", DEADLINE, FAST,
     "local function f() while true do end end while true do pcall(pcall, pcall, f) end"},
    {"xpcall with a handler that loops", DEADLINE, FAST,
     "while true do xpcall(function() while true do end end, function() while true do end end) "
     "end"},
    {"handler after the deadline", DEADLINE, FAST,
     "local caught = 0 xpcall(function() while true do end end, function() caught = 1 end) return "
     "caught"},
    {"pcall gives the deadline back", DEADLINE, FAST,
     "local ok, e = pcall(function() while true do end end) return {ok, tostring(e)}"},
    {"coroutine that loops", DEADLINE, FAST,
     "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"},
    {"coroutine without end", DEADLINE, FAST,
     "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do "
     "c() end"},
    {"wrap in pcall", DEADLINE, FAST,
     "while true do pcall(coroutine.wrap(function() while true do end end)) end"},
    {"coroutines in coroutines", DEADLINE | ERROR | MEMORY, FAST * 3,
     "local function f() return coroutine.wrap(f)() end return f()"},
    {"coroutines in coroutines, caught", DEADLINE | ERROR | MEMORY, FAST * 3,
     "local function f() while true do pcall(coroutine.wrap(f)) end end f()"},
    {"coroutines by resume", DEADLINE | ERROR | MEMORY | VALUE, FAST * 3,
     "local function f() return coroutine.resume(coroutine.create(f)) end return {f()}"},
    {"coroutines kept", MEMORY, SLOW * 3,
     "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"},
    {"__index function", DEADLINE | ERROR, FAST,
     "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]"},
    {"__index that loops", DEADLINE, FAST,
     "return setmetatable({}, {__index = function() while true do end end}).x"},
    {"__index chain", ERROR, FAST, "local t = {} setmetatable(t, {__index = t}) return t.x"},
    {"__concat", DEADLINE, FAST,
     "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'"},
    {"__eq", DEADLINE, FAST,
     "local m = {__eq = function() while true do end end} return setmetatable({}, m) == "
     "setmetatable({}, m)"},
    {"__tostring in print", DEADLINE, FAST,
     "print(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"__tostring that prints itself", DEADLINE | ERROR | MEMORY, FAST * 3,
     "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return "
     "tostring(t)"},
    {"__tostring in format", DEADLINE | ERROR | MEMORY, FAST * 3,
     "local t t = setmetatable({}, {__tostring = function() return string.format('%s', t) end}) "
     "return string.format('%s', t)"},
    {"__call of itself", DEADLINE | ERROR | MEMORY, FAST * 3,
     "local t t = setmetatable({}, {__call = function(...) return t(1, ...) end}) t()"},
    {"sort comparator that loops", DEADLINE, FAST,
     "table.sort({2, 1}, function() while true do end end)"},
    {"sort with a comparator of nonsense", DEADLINE | VALUE | ERROR, FAST,
     "local t = {} for i = 1, 1000 do t[i] = i end for i = 1, 1e9 do "
     "table.sort(t, function() return true end) end"},
    {"sort of much", DEADLINE | MEMORY, FAST * 2,
     "local t = {} for i = 1, 1e6 do t[i] = i * 7919 % 1000003 end table.sort(t) return #t"},
    {"sort with a native comparator", DEADLINE | VALUE | ERROR, FAST * 2,
     "local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 100 do table.sort(t, rawequal) end"},
    {"gsub with a function", DEADLINE, FAST,
     "return (('x'):gsub('x', function() while true do end end))"},
    {"gsub in gsub in gsub", ERROR | DEADLINE | MEMORY, FAST * 3,
     "local function f(s) return (s:gsub('x', f)) end return f('x')"},
    {"gsub that grows", DEADLINE | MEMORY, SLOW,
     "local s = 'x' while true do s = s:gsub('x', 'xx') end"},
    {"gmatch without end", DEADLINE, FAST,
     "while true do for w in ('a b c'):gmatch('%a+') do end end"},
    {"twelve lazy dots", DEADLINE, FAST, "return (('a'):rep(60000)):find(('.-'):rep(12) .. 'b')"},
    {"stars", DEADLINE, FAST, "return (('a'):rep(60000)):find(('a*'):rep(20) .. 'b')"},
    {"stars in match", DEADLINE, FAST, "return (('a'):rep(60000)):match(('a*'):rep(20) .. 'b')"},
    {"stars in gsub", DEADLINE, FAST, "return (('a'):rep(60000)):gsub(('a*'):rep(20) .. 'b', '')"},
    {"stars in gmatch", DEADLINE, FAST,
     "for _ in (('a'):rep(60000)):gmatch(('a*'):rep(20) .. 'b') do end"},
    {"stars in pcall", DEADLINE, FAST,
     "while true do pcall(string.find, ('a'):rep(60000), ('a*'):rep(20) .. 'b') end"},
    {"balance", DEADLINE, FAST, "local s = ('('):rep(200000) return s:find('%b()')"},
    {"back references", DEADLINE, FAST, "return (('ab'):rep(100000)):find('(.-)(.-)(.-)%1%2%3x')"},
    {"frontiers", DEADLINE | VALUE, FAST,
     "return (('a '):rep(1000000)):gsub('%f[%w]%w+%f[%W]', '%0%0')"},
    {"deep pattern", ERROR, FAST,
     "return (('x'):rep(1000)):find(('x?'):rep(1000) .. ('x'):rep(1000))"},
    {"rep", MEMORY, SLOW, "return #('x'):rep(1e9)"},
    {"rep beyond integers", MEMORY | DEADLINE | ERROR, FAST, "return #('x'):rep(1e15)"},
    {"rep of nothing", VALUE | DEADLINE, FAST, "return #(''):rep(1e9)"},
    {"rep of nothing, separated", MEMORY | DEADLINE | ERROR, FAST * 2,
     "return #(''):rep(1e9, 'x')"},
    {"rep again and again", DEADLINE | MEMORY, SLOW,
     "while true do local s = ('x'):rep(10000000) end"},
    {"rep in pcall", MEMORY, SLOW, "while true do pcall(string.rep, 'x', 1e9) end"},
    {"doubling", MEMORY, SLOW, "local s = 'x' while true do s = s .. s end"},
    {"doubling in pcall", MEMORY, SLOW,
     "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end"},
    {"growing text", MEMORY | DEADLINE, SLOW,
     "local s = '' while true do s = s .. 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' end"},
    {"large texts compared", DEADLINE | MEMORY, SLOW * 3,
     "local a = ('x'):rep(8000000) local b = a .. 'y' local c = a .. 'z' "
     "local n = 0 while true do if b < c then n = n + 1 end end"},
    {"large texts as numbers", DEADLINE | MEMORY | ERROR, SLOW * 3,
     "local a = (' '):rep(8000000) .. '1' local n = 0 while true do n = n + tonumber(a) end"},
    {"large texts reversed", DEADLINE | MEMORY, SLOW,
     "local a = ('x'):rep(8000000) while true do local b = a:reverse():upper():lower() end"},
    {"concat of much", MEMORY, SLOW * 3,
     "local t = {} for i = 1, 1e7 do t[i] = 'abcdefgh' end return #table.concat(t, ',')"},
    {"concat of much, prepared", DEADLINE | MEMORY, SLOW,
     "local t = {} for i = 1, 1000000 do t[i] = i end while true do table.concat(t, ',') end"},
    {"format widths", ERROR, FAST, "return ('%999999d'):format(1)"},
    {"format of much", DEADLINE | MEMORY, SLOW,
     "local s = ('x'):rep(1000000) while true do s = ('%s%s'):format(s, s) end"},
    {"format quoted", DEADLINE | MEMORY, SLOW,
     "local s = ('\\0'):rep(1000000) while true do s = ('%q'):format(s) end"},
    {"byte of much", ERROR, FAST, "return (('x'):rep(1000000)):byte(1, -1)"},
    {"unpack of much", ERROR, FAST, "return {unpack({}, 1, 1e7)}"},
    {"unpack without end", ERROR | VALUE, FAST, "return {unpack({}, 1, 2 ^ 31)}"},
    {"many arguments", ERROR | DEADLINE | MEMORY, FAST * 3,
     "local function f(...) return f(1, ...) end f()"},
    {"growing table", MEMORY, SLOW * 3, "local t = {} while true do t[#t + 1] = {1, 2} end"},
    {"growing map", MEMORY, SLOW * 8,
     "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end"},
    {"garbage without end", DEADLINE, FAST * 2, "while true do local t = {1, 2, 3, {}} end"},
    {"garbage and a large heap", DEADLINE | MEMORY, SLOW,
     "local t = {} for i = 1, 100000 do t[i] = {i} end while true do local x = {1, 2, 3} end"},
    {"one statement that joins 40 large texts", MEMORY, SLOW,
     "local s = ('x'):rep(30000000) return #(" JOIN_40 ")"},
    {"closures", MEMORY, SLOW * 3,
     "local t = {} while true do local i = #t t[i + 1] = function() return i end end"},
    {"insert at the front", DEADLINE | MEMORY, SLOW,
     "local t = {} while true do table.insert(t, 1, 1) end"},
    {"remove at the front", DEADLINE | MEMORY, SLOW,
     "local t = {} for i = 1, 1000000 do t[i] = i end while true do table.insert(t, 1, "
     "table.remove(t, 1)) end"},
    {"next of what was emptied", DEADLINE | MEMORY | VALUE, SLOW,
     "local t = {} for i = 1, 300000 do t['k' .. i] = 1 end while next(t) do t[next(t)] = nil end"},
    {"move without end", DEADLINE, FAST, "table.move({}, 1, 1e9, 2)"},
    {"large move", DEADLINE, FAST, "table.move({}, 1, 2 ^ 53, 2)"},
    {"foreach that loops", DEADLINE, FAST, "table.foreach({1}, function() while true do end end)"},
    {"globals without end", MEMORY, SLOW * 8,
     "local i = 0 while true do i = i + 1 _G['g' .. i] = i end"},
    {"deep result", ERROR, FAST * 2, "local t = {} for i = 1, 1e5 do t = {t} end return t"},
    {"result that contains itself", ERROR, FAST, "local t = {} t.t = {t} return t"},
    {"result that doubles", ERROR | DEADLINE | MEMORY, SLOW,
     "local t = {1} for i = 1, 60 do t = {t, t} end return t"},
    {"result of one text many times", ERROR | DEADLINE | MEMORY, SLOW,
     "local s, t = ('x'):rep(4000000), {} for i = 1, 1000 do t[i] = s end return t"},
    {"length as result", ERROR | VALUE, FAST, "return {[2 ^ 31] = 1}"},
    {"function as result", ERROR, FAST, "return print"},
    {"coroutine as result", ERROR, FAST, "return {a = coroutine.create(print)}"},
    {"encode what contains itself", ERROR, FAST, "local t = {} t.t = t return json.encode(t)"},
    {"encode without end", DEADLINE | MEMORY, SLOW,
     "local t = {} for i = 1, 100000 do t[i] = i end while true do json.encode(t) end"},
    {"decode without end", DEADLINE | MEMORY, SLOW,
     "local s = '[' .. ('1,'):rep(100000) .. '1]' while true do json.decode(s) end"},
    {"decode what nests", ERROR, FAST, "return json.decode(('['):rep(100000))"},
    {"print without end", DEADLINE, FAST, "while true do print('x') end"},
    {"random without end", DEADLINE, FAST, "while true do math.random() end"},
    {"times without end", DEADLINE, FAST * 2,
     "while true do local t = time.now() + duration(1) end"},
    {"binaries without end", DEADLINE | MEMORY, SLOW,
     "local t = {} while true do t[#t + 1] = binary(('x'):rep(100000)) end"},
    {"error in an error", ERROR | DEADLINE, FAST, "error(setmetatable({}, {__index = error}))"},
    {"error of a function", ERROR, FAST, "error(function() end)"},
    {"error of nil", ERROR, FAST, "error()"},
    {"error that is large", ERROR | MEMORY, SLOW, "error(('x'):rep(10000000))"},
    {"write to a library", ERROR, FAST, "string.format = nil"},
    {"rawset a library", ERROR, FAST, "rawset(string, 'format', nil)"},
    {"insert into a library", ERROR, FAST, "table.insert(table, 1)"},
    {"metatable of a library", ERROR, FAST, "setmetatable(string, {})"},
    {"metatable of texts", ERROR, FAST, "getmetatable('').__index = {}"},
    {"yield outside", ERROR, FAST, "coroutine.yield(1)"},
    {"no os", ERROR, FAST, "os.exit(1)"},
    {"no load", ERROR, FAST, "load('while true do end')()"},
};

static int outcome_of(struct sl_value value)
{
    if (!sl_value_is(value, SL_VALUE_ERROR)) return VALUE;
    struct sl_slice code = sl_value_slice(sl_error_part(value, SL_ERROR_CODE));
    if (sl_slice_eq_str(code, "script_deadline")) return DEADLINE;
    if (sl_slice_eq_str(code, "script_memory")) return MEMORY;
    if (sl_slice_eq_str(code, "script_error")) return ERROR;
    return 0;
}

/* Of this thread: other work on the machine is not the animal's fault. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static uint64_t memory_used(const struct fixture *fixture)
{
    struct sl_lua_stats stats;
    sl_lua_stats_get(fixture->shard_state, &stats);
    return stats.memory_used;
}

/* Let one animal out. Returns what is wrong with it, or NULL. */
static const char *release(struct fixture *fixture, const struct animal *animal)
{
    static char text[70000];
    static char code[4096];
    (void)snprintf(code, sizeof(code), "return function(self) %s\nend", animal->code);
    /* On a busy machine a deadline may come before what else is expected. */
    fixture->timeout_ms = animal->outcomes & DEADLINE ? 20 : 60000;
    struct attached attached = fixture_attach(fixture, code);
    if (attached.script == NULL) {
        (void)snprintf(text, sizeof(text), "does not load: %s", fixture->diag.text);
        return text;
    }
    uint64_t start_ns = cpu_ns();
    struct sl_value result = fixture_call(fixture, &attached, sl_value_null());
    uint64_t took_ms = (cpu_ns() - start_ns) / SL_NS_PER_MS;
    int outcome = outcome_of(result);
    value_print(result, fixture->text, 200);
    sl_value_unref(result);
    fixture_detach(fixture, &attached);
    if (getenv("ZOO_VERBOSE") != NULL) {
        print_message("%-36s %5llu ms  heap %4llu KiB  %s\n", animal->name,
                      (unsigned long long)took_ms, (unsigned long long)memory_used(fixture) >> 10,
                      fixture->text);
    }
    if ((outcome & animal->outcomes) == 0) {
        (void)snprintf(text, sizeof(text), "ended as %s", fixture->text);
        return text;
    }
    if (took_ms > (uint64_t)animal->bound_ms * SLOWER) {
        (void)snprintf(text, sizeof(text), "took %llu ms", (unsigned long long)took_ms);
        return text;
    }
    return NULL;
}

static void log_drop(void *ctx, enum sl_log_level level, const char *node, const char *text,
                     size_t text_size)
{
    (void)ctx;
    (void)level;
    (void)node;
    (void)text;
    (void)text_size;
}

static const char healthy_code[] =
    "local n = 0\n"
    "return function(x) n = n + 1 g = (g or 0) + 1\n"
    "  return {x, n, g, ('a b'):gsub('%a', '%0%0'), #json.encode({x})}\n"
    "end";

static void zoo_each_ends_and_the_shard_serves_on(void **state)
{
    (void)state;
    static struct fixture fixture;
    fixture_init(&fixture, &sl_engine_lua);
    struct attached healthy = fixture_attach(&fixture, healthy_code);
    assert_non_null(healthy.script);
    sl_script_log_set(log_drop, NULL);
    const char *only = getenv("ZOO_ONLY");
    size_t bad = 0;
    for (size_t i = 0; i < sizeof(animals) / sizeof(animals[0]); i++) {
        if (only != NULL && strstr(animals[i].name, only) == NULL) continue;
        const char *wrong = release(&fixture, &animals[i]);
        if (wrong != NULL) {
            print_error("%s: %s\n", animals[i].name, wrong);
            bad++;
        }
        const char *text =
            fixture_call_text(&fixture, &healthy, sl_value_new_int(fixture.mem, 100 + (int64_t)i));
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "[%zu, 1, 1, \"aa bb\", 5]", 100 + i);
        assert_string_equal(text, expected);
        if (memory_used(&fixture) > (uint64_t)16 << 20) {
            print_error("%s: %llu bytes are left\n", animals[i].name,
                        (unsigned long long)memory_used(&fixture));
            bad++;
        }
    }
    struct sl_lua_stats stats;
    sl_lua_stats_get(fixture.shard_state, &stats);
    if (only == NULL) assert_true(stats.deadlines > 30);
    if (only == NULL) assert_true(stats.memory_stops > 3);
    fixture_detach(&fixture, &healthy);
    assert_true(fixture_fini(&fixture));
    assert_int_equal(bad, 0);
}

/* What ends at a limit when it is attached is refused, and the shard serves on. */
static void top_level_without_end_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *message;
    } rows[] = {
        {"while true do end return function() end", "did not end before its deadline"},
        {"local t = {} while true do t[#t + 1] = {} end return function() end", "bytes of memory"},
        {"local s = 'x' while true do s = s .. s end return function() end", "bytes of memory"},
        {"pcall(function() while true do end end) return function() end", "before its deadline"},
    };
    static struct fixture fixture;
    fixture_init(&fixture, &sl_engine_lua);
    fixture.memory_max = 1 << 20;
    struct attached healthy = fixture_attach(&fixture, healthy_code);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct attached refused = fixture_attach(&fixture, rows[i].code);
        assert_null(refused.script);
        if (strstr(fixture.diag.text, "deadline") == NULL) { /* of a busy machine */
            assert_non_null(strstr(fixture.diag.text, rows[i].message));
        }
        assert_string_equal(fixture_call_text(&fixture, &healthy, sl_value_new_int(fixture.mem, 1)),
                            "[1, 1, 1, \"aa bb\", 3]");
    }
    fixture_detach(&fixture, &healthy);
    assert_true(fixture_fini(&fixture));
}

/* A small cap, and a heap that is as before after each call. */
static void memory_cap_of_a_script_is_its_own(void **state)
{
    (void)state;
    static struct fixture fixture;
    fixture_init(&fixture, &sl_engine_lua);
    fixture.memory_max = 2 << 20;
    fixture.timeout_ms = 5000;
    struct attached small = fixture_attach(
        &fixture, "return function(n) local t = {} for i = 1, n do t[i] = {i} end return #t end");
    fixture.memory_max = 0;
    assert_non_null(small.script);
    for (int i = 0; i < 20; i++) {
        assert_string_equal(
            fixture_call_text(&fixture, &small, sl_value_new_int(fixture.mem, 1000)), "1000");
        struct sl_value result =
            fixture_call(&fixture, &small, sl_value_new_int(fixture.mem, 100000));
        assert_int_equal(outcome_of(result), MEMORY);
        sl_value_unref(result);
        assert_true(memory_used(&fixture) < 8 << 20);
    }
    fixture_detach(&fixture, &small);
    assert_true(fixture_fini(&fixture));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zoo_each_ends_and_the_shard_serves_on),
        cmocka_unit_test(top_level_without_end_is_refused),
        cmocka_unit_test(memory_cap_of_a_script_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
