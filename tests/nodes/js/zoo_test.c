/* SPDX-License-Identifier: MIT */
/*
 * A zoo of scripts that run for ever, take all memory, or try to break what is shared. Each must end
 * as a typed error (or a harmless value, where the table says so), and the shard must serve the next
 * call as if nothing had been. How long each took is not judged: on a busy machine even processor time
 * doubles. What never ends runs into the test's own time limit; ZOO_VERBOSE=1 tells the times.
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
#include "nodes/script/js/js.h"
#include "tests/nodes/js/fixture.h"

enum { DEADLINE = 1, MEMORY = 2, ERROR = 4, VALUE = 8 };

/* For what must not end at a deadline: it is judged by how, not by when. */
enum { TIMEOUT_LONG_MS = 60000 };

struct animal {
    const char *name;
    int outcomes; /* allowed */
    const char *code;
};

static const struct animal animals[] = {
    {"while", DEADLINE, "export default () => { while (true) {} }"},
    {"for with work", DEADLINE,
     "export default () => { let x = 0; for (;;) x = (x * 31 + 7) | 0 }"},
    {"do while in try", DEADLINE,
     "export default () => { do { try { for (;;); } catch (e) {} finally { for (;;); } } while (1) "
     "}"},
    {"catch and go on", DEADLINE,
     "export default () => { for (;;) { try { throw 1 } catch (e) {} } }"},
    {"getter in the result", DEADLINE, "export default () => ({ get a() { for (;;); } })"},
    {"toJSON in the result", DEADLINE, "export default () => ({ toJSON() { for (;;); } })"},
    {"toString of a key", DEADLINE, "export default () => ({})[{ toString() { for (;;); } }]"},
    {"valueOf", DEADLINE, "export default () => 1 + { valueOf() { for (;;); } }"},
    {"proxy traps in the result", DEADLINE,
     "export default () => new Proxy({}, { ownKeys() { for (;;); } })"},
    {"message getter of an error", DEADLINE,
     "export default () => { throw Object.defineProperty(new Error, 'message', { get() { for (;;); "
     "} }) }"},
    {"generator", DEADLINE,
     "function* g() { for (;;) yield 1 }\nexport default () => { for (const x of g()); }"},
    {"spread of an endless iterator", DEADLINE | MEMORY | ERROR,
     "export default () => [...{ *[Symbol.iterator]() { for (;;) yield 1 } }]"},
    {"sort comparator", DEADLINE, "export default () => [1, 2].sort(() => { for (;;); })"},
    {"replace callback", DEADLINE, "export default () => 'x'.replace(/x/, () => { for (;;); })"},
    {"JSON reviver", DEADLINE, "export default () => JSON.parse('[1]', () => { for (;;); })"},
    {"array map", DEADLINE, "export default () => [1].map(() => { for (;;); })"},
    {"Reflect.apply", DEADLINE, "export default () => Reflect.apply(() => { for (;;); }, 1, [])"},
    {"async loop of awaits", DEADLINE, "export default async () => { for (;;) await null }"},
    {"async loop in catch", DEADLINE,
     "export default async () => { for (;;) { try { await Promise.reject(1) } catch (e) {} } }"},
    {"promise chain without end", DEADLINE,
     "export default () => { const f = () => Promise.resolve().then(f); return f() }"},
    {"microtasks without end", DEADLINE,
     "export default () => { const f = () => queueMicrotask(f); f(); return new Promise(() => {}) "
     "}"},
    {"microtasks that double", DEADLINE | MEMORY,
     "export default () => { const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); return "
     "new "
     "Promise(() => {}) }"},
    {"thenable without end", DEADLINE,
     "export default () => { const t = { then(f) { f(t) } }; return t }"},
    {"then getter", DEADLINE, "export default () => ({ get then() { for (;;); } })"},
    {"for await of endless", DEADLINE,
     "export default async () => { for await (const x of { *[Symbol.iterator]() { for (;;) yield 1 "
     "} }); }"},
    {"promise never settled", ERROR, "export default () => new Promise(() => {})"},
    {"recursion", ERROR | DEADLINE, "export default function f() { return f() + 1 }"},
    {"recursion caught", DEADLINE,
     "export default () => { function f() { try { f() } finally { f() } } f() }"},
    {"deep result", ERROR | DEADLINE,
     "export default () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a }"},
    {"result that contains itself", ERROR,
     "export default () => { const a = {}; a.b = [a]; return a }"},
    {"growing array", DEADLINE | MEMORY,
     "export default () => { const a = []; for (;;) a.push({ a: 1, b: [2] }) }"},
    {"growing map", DEADLINE | MEMORY,
     "export default () => { const m = new Map; for (let i = 0;; i++) m.set(i, {}) }"},
    {"growing string, flattened", DEADLINE | MEMORY | ERROR,
     "export default () => { let s = 'x'; for (;;) { s += s; s.charCodeAt(7) } }"},
    {"rope as result", ERROR | MEMORY | DEADLINE,
     "export default () => { let s = 'x'; for (let i = 0; i < 29; i++) s += s; return s }"},
    {"rope as key", ERROR | MEMORY | DEADLINE,
     "export default () => { let s = 'x'; for (let i = 0; i < 27; i++) s += s; return { [s]: 1 } "
     "}"},
    {"repeat", ERROR | MEMORY | DEADLINE, "export default () => 'x'.repeat(2 ** 30).length"},
    {"padStart", ERROR | MEMORY | DEADLINE, "export default () => 'x'.padStart(2 ** 30).length"},
    {"buffers", DEADLINE | MEMORY | ERROR,
     "export default () => { const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1)) }"},
    {"one large buffer", ERROR | MEMORY | DEADLINE,
     "export default () => new Uint8Array(2 ** 31).fill(1).length"},
    {"large sparse array filled", ERROR | MEMORY | DEADLINE,
     "export default () => new Array(2e7).fill(0).length"},
    {"large sparse array joined", ERROR | MEMORY | DEADLINE,
     "export default () => new Array(2e7).join('xxxxxxxx').length"},
    {"large sparse array sorted", ERROR | MEMORY | DEADLINE | VALUE,
     "export default () => new Array(2e7).sort().length"},
    {"length as result", ERROR | MEMORY | DEADLINE,
     "export default () => { const a = []; a.length = 2 ** 32 - 1; return a }"},
    {"Array.from", DEADLINE | MEMORY | ERROR, "export default () => Array.from({ length: 1e9 })"},
    {"object keys of bytes", DEADLINE | MEMORY | ERROR,
     "export default () => Object.keys(new Uint8Array(3e7)).length"},
    {"stringify bytes", DEADLINE | MEMORY | ERROR,
     "export default () => JSON.stringify(new Uint8Array(3e7)).length"},
    {"big integers", DEADLINE | MEMORY | ERROR,
     "export default () => { let a = 3n; for (;;) a *= a }"},
    {"big integer power", DEADLINE | MEMORY | ERROR,
     "export default () => String(7n ** 300000n).length"},
    {"catastrophic regex", DEADLINE | ERROR | VALUE,
     "export default () => /^(a+)+$/.test('a'.repeat(40) + 'b')"},
    {"catastrophic alternation", DEADLINE | ERROR | VALUE,
     "export default () => /^(?:a|a|a)*$/.test('a'.repeat(60) + 'b')"},
    {"quadratic regex", DEADLINE | ERROR | VALUE,
     "export default () => /x*y/.test('x'.repeat(50000))"},
    {"console without end", DEADLINE, "export default () => { for (;;) console.log('x') }"},
    {"random without end", DEADLINE, "export default () => { for (;;) crypto.randomUUID() }"},
    {"freeze is not undone", ERROR, "export default () => { Array.prototype.map = null }"},
    {"prototype pollution", ERROR, "export default () => { ({}).__proto__.leak = 1 }"},
    {"proto of globalThis", ERROR,
     "export default () => { Object.setPrototypeOf(globalThis, {}) }"},
    {"eval", ERROR, "export default () => eval('for (;;);')"},
    {"function from text", ERROR, "export default () => Function('for (;;);')()"},
    {"constructor of a generator", ERROR,
     "export default () => (function* () {}).constructor('for (;;);')().next()"},
    {"module level loop in a call", DEADLINE,
     "let first = env; const start = Date.now();\nexport default () => { for (;;) if (Date.now() < "
     "start) return 1 }"},
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

static uint64_t rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long size = 0, resident = 0;
    if (file == NULL) return 0;
    int got = fscanf(file, "%llu %llu", &size, &resident);
    (void)fclose(file);
    return got == 2 ? resident * 4096 : 0;
}

/* Let one animal out. Returns what is wrong with it, or NULL. */
static const char *release(struct fixture *fixture, const struct animal *animal)
{
    static char text[70000];
    fixture->timeout_ms = (animal->outcomes & DEADLINE) != 0 ? 0 : TIMEOUT_LONG_MS;
    struct attached attached = fixture_attach(fixture, animal->code);
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
        print_message("%-32s %5llu ms  rss %4llu MiB  %s\n", animal->name,
                      (unsigned long long)took_ms, (unsigned long long)rss_bytes() >> 20,
                      fixture->text);
    }
    if ((outcome & animal->outcomes) == 0) {
        (void)snprintf(text, sizeof(text), "ended as %s", fixture->text);
        return text;
    }
    return NULL;
}

/* Free pages go back in the background, as somebody runs: ask for a while. */
static bool rss_falls_below(struct fixture *fixture, struct attached *healthy, uint64_t limit)
{
    for (int i = 0; i < 600; i++) {
        if (rss_bytes() < limit) return true;
        (void)fixture_call_text(fixture, healthy, sl_value_null());
        (void)usleep(50000);
    }
    print_error("resident: %llu MiB\n", (unsigned long long)rss_bytes() >> 20);
    return false;
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

static void zoo_each_ends_and_the_shard_serves_on(void **state)
{
    (void)state;
    static struct fixture fixture;
    fixture_init(&fixture, &sl_engine_js);
    struct attached healthy =
        fixture_attach(&fixture, "let n = 0;\nexport default (x) => [x, ++n]");
    assert_non_null(healthy.script);
    sl_script_log_set(log_drop, NULL);
    uint64_t rss_start = rss_bytes();
    size_t bad = 0;
    for (size_t i = 0; i < sizeof(animals) / sizeof(animals[0]); i++) {
        const char *wrong = release(&fixture, &animals[i]);
        if (wrong != NULL) {
            print_error("%s: %s\n", animals[i].name, wrong);
            bad++;
        }
        const char *text =
            fixture_call_text(&fixture, &healthy, sl_value_new_int(fixture.mem, (int64_t)i));
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "[%zu, 1]", i);
        assert_string_equal(text, expected);
    }
    assert_true(rss_falls_below(&fixture, &healthy, rss_start + ((uint64_t)256 << 20)));
    struct sl_js_stats stats;
    sl_js_stats_get(fixture.shard_state, &stats);
    assert_true(stats.deadlines > 20);
    fixture_detach(&fixture, &healthy);
    assert_true(fixture_fini(&fixture));
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zoo_each_ends_and_the_shard_serves_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
