/* SPDX-License-Identifier: MIT */
/*
 * Scripts that take more memory than they may, in compiled code, many thousand times.
 *
 * A refusal of the allocator inside compiled code ends LuaJIT (its error for "no memory" walks a
 * stack that the code has not written back), so the cap must be held without one. Each pattern here
 * allocates in another instruction; low thresholds make everything that repeats compiled code, and
 * the cap is met in loops, in side exits and while code is being recorded.
 *
 * SLUICE_LONG=SECONDS runs for that long instead of ROUNDS rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "nodes/script/lua/lua_private.h"
#include "tests/nodes/js/fixture.h"

enum { ROUNDS = 6, OVER_TIMES = 6, HEAP_MAX = 40 << 20 };

/* Bodies of functions that get n, the round. Each ends by memory, its deadline, or a value. */
static const char *const patterns[] = {
    /* Texts. */
    "local s = 'x' while true do s = s .. s end",
    "local s = 'x' for i = 1, 12 do s = s .. s end while true do s = s .. 'y' .. i .. s end",
    "local s = '' while true do s = s .. 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' "
    "end",
    "local t, s = {}, ('x'):rep(1000) while true do t[#t + 1] = s .. #t end",
    "local t, s = {}, ('x'):rep(70000) while true do t[#t + 1] = s .. #t end",
    "local t, s = {}, ('x'):rep(50000) while true do t[#t + 1] = s:sub(1, -1 - #t) end",
    "local t, s = {}, ('x'):rep(3000) while true do t[#t + 1] = (s .. #t):upper():reverse() end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = ('%s-%d'):format('key', i) end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = string.rep('ab', 5000 + i) end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = table.concat({'a', i, ('b'):rep(500)}, ',') "
    "end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = tostring(i * 1.5) end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = string.char(65 + i % 26, i % 256):rep(100) "
    "end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = ('a b c '):gsub('%a', 'xx' .. i) end",
    "local s = 'x' while true do s = s:gsub('x', 'xx') end",
    "local s = 'x' while true do s = ('%s%s'):format(s, s) end",
    "local s = 'x' while true do s = table.concat({s, s, s}) end",
    "local s = 'x' while true do s = s:rep(3) end",
    "local s = 'x' while true do s = s .. s s = s .. s s = s .. s s = s .. s s = s .. s s = s .. s "
    "end",
    "local function f(s) return f(s .. s) end return f('x')",
    "local s = 'x' ::a:: s = s .. s goto a",
    "local s = 'x' repeat s = s .. s until false",
    /* Tables. */
    "local t = {} while true do t[#t + 1] = {} end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = i end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = {i, i + 1, i + 2, x = i} end",
    "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end",
    "local t, i = {}, 0 while true do i = i + 1 t[i + .5] = i end",
    "local t, i = {}, 0 while true do i = i + 1 t[{}] = i end",
    "local t = {} while true do t = {t, t} end",
    "local t = {} while true do t = {next = t, a = {1, 2, 3, 4, 5, 6, 7, 8}} end",
    "local t, i = {}, 0 while true do i = i + 1 local c = {} for k = 1, 50 do c[k] = k end t[i] = "
    "c end",
    "local t, i = {}, 0 while true do i = i + 1 local c = {} for k = 1, 20 do c['f' .. k] = k end "
    "t[i] = c end",
    "local t = {} while true do table.insert(t, {#t}) end",
    "local t = {} while true do table.insert(t, 1, {}) end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = {unpack(t, 1, i % 100)} end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = setmetatable({i}, {__index = t}) end",
    "local t, i = {}, 0 while true do i = i + 1 t[i] = {select(i % 3 + 1, i, {}, 'x')} end",
    "local i = 0 while true do i = i + 1 _G['g' .. i] = {i} end",
    "local t = {} for i = 1, 1e9 do t[i] = {i} if i % 3 == 0 then t[i] = {i, i} elseif i % 7 == 0 "
    "then t[i] = 'a' .. i end end",
    /* Closures, coroutines, calls. */
    "local t = {} while true do local i = #t t[i + 1] = function() return i, t end end",
    "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
    "local t = {} while true do local c = coroutine.wrap(function(a) while true do a = a .. a "
    "coroutine.yield(a) end end) for i = 1, 30 do t[#t + 1] = c('x') end end",
    "local function f(n, t) local u = {t, n} if n == 0 then return u end return f(n - 1, u) end "
    "local k = {} while true do k[#k + 1] = f(50) end",
    "local function f(...) return {...} end local k = {} while true do k[#k + 1] = f(1, 2, 3, k) "
    "end",
    /* 64-bit numbers, boxes, json. */
    "local t, i = {}, 0 while true do i = i + 1 t[i] = 9007199254740993LL + i end",
    "local t = {} while true do t[#t + 1] = time.now() + duration(#t) end",
    "local t = {} while true do t[#t + 1] = binary(('x'):rep(1000)) end",
    "local t = {} while true do t[#t + 1] = json.decode('{\"a\":[1,2,{\"b\":null}]}').a[3] end",
    "local t = {} while true do t[#t + 1] = json.encode({a = {1, 2, #t}}) end",
    /* Caught, and again. */
    "local t = {} while true do pcall(function() while true do t[#t + 1] = {#t} end end) end",
    "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
    "while true do xpcall(function() local t = {} while true do t = {t} end end, function(e) "
    "return e end) end",
    "local t = {} while true do local ok = pcall(error, {#t}) t[#t + 1] = {ok} end",
    /* Garbage, which must not count. */
    "local x for i = 1, 30000 do x = {i, {}} end return 'value'",
    "local x for i = 1, 3000 do x = ('y'):rep(100) .. i end return 'value'",
};

enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]) };

struct setting {
    const char *options; /* of jit.opt.start, or NULL: as it is */
    size_t memory_max;
    uint32_t timeout_ms;
};

static const struct setting settings[] = {
    {"'hotloop=2', 'hotexit=1'", 1 << 20, 200},
    {"'hotloop=56', 'hotexit=10'", 1 << 20, 200},
    {"'hotloop=2', 'hotexit=1', 'maxtrace=60', 'maxmcode=64'", 2 << 20, 200},
    {"'hotloop=2', 'hotexit=1', '-sink', '-fold'", 1 << 20, 200},
    {"'hotloop=3', 'hotexit=2', '-loop'", 1 << 20, 200},
    {"'hotloop=56', 'hotexit=10', '3', 'maxtrace=1000', 'maxmcode=512'", 8 << 20, 20},
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static uint64_t over_max; /* bytes */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static lua_State *machine_of(const struct fixture *fixture)
{
    return ((struct lua_shard *)fixture->shard_state)->L;
}

static void options_set(struct fixture *fixture, const char *options)
{
    char code[256];
    (void)snprintf(code, sizeof(code), "jit.opt.start(%s)", options);
    assert_int_equal(luaL_dostring(machine_of(fixture), code), 0);
}

/* One call: a typed end or a value, and a heap that is as it was. */
static void release(struct fixture *fixture, struct attached *attached, size_t index)
{
    struct sl_value result = fixture_call(fixture, attached, sl_value_new_int(fixture->mem, 1));
    bool good = true;
    if (sl_value_is(result, SL_VALUE_ERROR)) {
        struct sl_slice code = sl_value_slice(sl_error_part(result, SL_ERROR_CODE));
        good = sl_slice_eq_str(code, "script_memory") || sl_slice_eq_str(code, "script_deadline") ||
               sl_slice_eq_str(code, "script_error");
    }
    value_print(result, fixture->text, 200);
    sl_value_unref(result);
    if (!good) fail_msg("pattern %zu: %s", index, fixture->text);
    struct sl_lua_stats stats;
    sl_lua_stats_get(fixture->shard_state, &stats);
    if (stats.memory_used > (uint64_t)HEAP_MAX) {
        fail_msg("pattern %zu left %llu bytes", index, (unsigned long long)stats.memory_used);
    }
}

static uint64_t round_run(const struct setting *setting, uint32_t number)
{
    static struct fixture fixture;
    static struct attached attached[PATTERNS];
    fixture_init(&fixture, &sl_engine_lua);
    fixture.memory_max = setting->memory_max;
    fixture.timeout_ms = setting->timeout_ms;
    for (size_t i = 0; i < PATTERNS; i++) {
        char code[1024];
        (void)snprintf(code, sizeof(code), "return function(n) %s\nend", patterns[i]);
        attached[i] = fixture_attach(&fixture, code);
        if (attached[i].script == NULL) fail_msg("%s: %s", patterns[i], fixture.diag.text);
        if (i == 0 && setting->options != NULL) options_set(&fixture, setting->options);
    }
    /* Another order each time: what is compiled when the cap is met depends on it. */
    for (uint32_t i = 0; i < PATTERNS * 4; i++) {
        size_t index = (i * 37 + number * 11 + i / PATTERNS) % PATTERNS;
        release(&fixture, &attached[index], index);
    }
    for (size_t i = 0; i < PATTERNS; i++) fixture_detach(&fixture, &attached[i]);
    struct sl_lua_stats stats;
    sl_lua_stats_get(fixture.shard_state, &stats);
    assert_true(stats.memory_stops > 0);
    if (stats.memory_over_max > over_max) over_max = stats.memory_over_max;
    /* A cap is passed by what one statement takes: by few times itself. */
    assert_true(stats.memory_over_max <= (uint64_t)setting->memory_max * OVER_TIMES);
    assert_true(fixture_fini(&fixture));
    return stats.memory_stops;
}

static void cap_met_in_compiled_code_ends_the_call(void **state)
{
    (void)state;
    const char *text = getenv("SLUICE_LONG");
    uint64_t end_ns = text != NULL ? now_ns() + strtoul(text, NULL, 10) * SL_NS_PER_SEC : 0;
    uint64_t stops = 0;
    uint32_t round = 0;
    for (; text != NULL ? now_ns() < end_ns : round < ROUNDS; round++) {
        stops += round_run(&settings[round % SETTINGS], round);
    }
    print_message("%u rounds, %llu calls ended by the cap, at most %llu KiB beyond it\n", round,
                  (unsigned long long)stops, (unsigned long long)over_max >> 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cap_met_in_compiled_code_ends_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
