/* SPDX-License-Identifier: MIT */
/*
 * A whole engine from a seed: browsers ask, specs change under them, the machine misbehaves, and
 * in the end nothing may be left.
 *
 *     SIM_SEED=17              this seed only, with what it did
 *     SIM_SEEDS=100:5000       seeds 100 to 5099
 *     SIM_TRACE=1              print every event
 *     SIM_VERBOSE=1            say why a spec was refused
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/log.h"
#include "core/graph/process.h"
#include "core/graph/remote.h"
#include "core/graph/swap.h"
#include "core/mem/mem.h"
#include "io/sock/sock.h"
#include "nodes/kinds.h"
#include "tests/core/graph/nap.h"
#include "tests/sim/browser.h"
#include "tests/sim/engine.h"

enum {
    SEEDS_COUNT = 500,
    BROWSERS_MAX = 24,
    STEPS_MAX = 2000000,
    SPECS_SIZE = 16384,
    REPEATED_EACH = 10, /* one seed of so many runs twice */
};

/* ---- a node that waits --------------------------------------------------------------------- */

struct nap {
    uint64_t ns;
};

static const struct sl_field nap_fields[] = {
    {"time", SL_FIELD_DURATION, offsetof(struct nap, ns), SL_FIELD_REQUIRED, 0,
     INT64_C(86400000000000), NULL, "how long a packet waits", NULL},
    {0},
};

static enum sl_step nap_run(struct sl_call *call)
{
    return nap_begin(call, ((const struct nap *)call->config)->ns);
}

static const struct sl_kind kind_nap = {.name = "nap",
                                        .summary = "lets a packet wait",
                                        .fields = nap_fields,
                                        .config_size = sizeof(struct nap),
                                        .frame_size = sizeof(struct nap_frame),
                                        .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
                                        .outs_max = 1,
                                        .ins_max = 1,
                                        .run = nap_run,
                                        .resume = nap_resume,
                                        .cancel = nap_cancel};

/* ---- the workflow -------------------------------------------------------------------------- */

/* @ stands for the version, # for the shard that the far nodes are placed on. */
static const char workflow[] =
    "- {kind: listener, name: web, protocol: http, port: 8000, timeout: 2h, idle_timeout: 20m,\n"
    "   header_timeout: 20m, body_timeout: 20m,\n"
    "   ports: {out: [{name: router, port: in}], error: [{name: catch, port: in}]}}\n"
    "- {kind: listener, name: hasty, protocol: http, port: 8001, timeout: 20ms,\n"
    "   idle_timeout: 20m, header_timeout: 20m, body_timeout: 20m,\n"
    "   ports: {out: [{name: late, port: in}]}}\n"
    "- kind: router\n"
    "  name: router\n"
    "  routes:\n"
    "    - {method: GET, path: '/one/:n', port: 'out[0]'}\n"
    "    - {method: GET, path: '/chain/:n', port: 'out[1]'}\n"
    "    - {method: GET, path: '/nap/:n', port: 'out[2]'}\n"
    "    - {method: GET, path: '/far/:n', port: 'out[3]'}\n"
    "    - {method: POST, path: '/echo/:n', port: 'out[4]'}\n"
    "    - {method: GET, path: '/fail/:n', port: 'out[5]'}\n"
    "    - {method: POST, path: '/v1/nodes', port: 'out[6]'}\n"
    "    - {method: GET, path: '/v1/nodes', port: 'out[7]'}\n"
    "    - {method: GET, path: '/hang/:n', port: 'out[8]'}\n"
    "    - {method: GET, path: '/hangfar/:n', port: 'out[9]'}\n"
    "  ports:\n"
    "    out[0]: [{name: one, port: in}]\n"
    "    out[1]: [{name: chain, port: in}]\n"
    "    out[2]: [{name: before, port: in}]\n"
    "    out[3]: [{name: near, port: in}]\n"
    "    out[4]: [{name: echo, port: in}]\n"
    "    out[5]: [{name: fail, port: in}]\n"
    "    out[6]: [{name: create, port: in}]\n"
    "    out[7]: [{name: read, port: in}]\n"
    "    out[8]: [{name: hang, port: in}]\n"
    "    out[9]: [{name: hangfar, port: in}]\n"
    "- {kind: snippet, name: one, language: cel,\n"
    "   code: '{\"body\": {\"first\": @, \"last\": @, \"n\": self.params.n} }'}\n"
    "- kind: block\n"
    "  name: chain\n"
    "  specs:\n"
    "    - {kind: snippet, language: cel, code: '{\"first\": @, \"n\": self.params.n}'}\n"
    "    - {kind: snippet, language: cel,\n"
    "       code: '{\"body\": {\"first\": self.first, \"last\": @, \"n\": self.n} }'}\n"
    "- {kind: snippet, name: before, language: cel, ports: {out: [{name: nap, port: in}]},\n"
    "   code: '{\"first\": @, \"n\": self.params.n}'}\n"
    "- {kind: nap, name: nap, time: 3ms, ports: {out: [{name: after, port: in}]}}\n"
    "- {kind: snippet, name: after, language: cel,\n"
    "   code: '{\"body\": {\"first\": self.first, \"last\": @, \"n\": self.n} }'}\n"
    "- {kind: snippet, name: near, language: cel, ports: {out: [{name: far, port: in}]},\n"
    "   code: '{\"first\": @, \"n\": self.params.n}'}\n"
    "- {kind: snippet, name: far, language: cel, placement: core #,\n"
    "   code: '{\"body\": {\"first\": self.first, \"last\": @, \"n\": self.n} }'}\n"
    "- {kind: snippet, name: echo, language: cel,\n"
    "   code: '{\"body\": {\"first\": @, \"last\": @, \"n\": self.params.n, \"size\":\n"
    "          has(self.body) ? size(self.body) : 0, \"echo\": has(self.body) ? self.body : \"\"} "
    "}'}\n"
    "- {kind: snippet, name: fail, language: cel, code: 'self.nothing.at_all'}\n"
    "- {kind: snippet, name: catch, language: cel,\n"
    "   code: '{\"status\": 503, \"body\": {\"first\": @, \"last\": @, \"n\": \"0\"} }'}\n"
    "- kind: block\n"
    "  name: create\n"
    "  specs:\n"
    "    - {kind: snippet, language: cel, code: 'has(self.body) ? self.body : null'}\n"
    "    - {kind: native, opcode: nodes.create}\n"
    "    - {kind: snippet, language: cel, code: '{\"status\": 201, \"body\": {\"first\": @,\n"
    "       \"last\": @, \"n\": self[0].name.substring(6)} }'}\n"
    "- {kind: snippet, name: read, language: json, code: 'null',\n"
    "   ports: {out: [{name: reading, port: in}]}}\n"
    "- {kind: native, name: reading, opcode: nodes.read, ports: {out: [{name: done, port: in}]}}\n"
    "- {kind: snippet, name: done, language: cel,\n"
    "   code: '{\"body\": {\"first\": @, \"last\": @, \"n\": \"0\", \"size\": size(self)} }'}\n"
    "- {kind: nap, name: late, time: 1s}\n"
    "- {kind: nap, name: hang, time: 1h}\n"
    "- {kind: nap, name: hangfar, time: 1h, placement: core #}\n";

/* The specs of a version; `fault` 1: one of them does not compile; 2: an address is taken. */
static void workflow_write(char *text, uint32_t version, uint32_t shards, int fault)
{
    size_t size = 0;
    for (const char *at = workflow; *at != '\0'; at++) {
        sl_assert(size + 64 < SPECS_SIZE);
        if (*at == '@') {
            size += (size_t)snprintf(text + size, 32, "%u", version);
        } else if (*at == '#') {
            size += (size_t)snprintf(text + size, 32, "%u", shards - 1);
        } else {
            text[size++] = *at;
        }
    }
    text[size] = '\0';
    if (fault == 1) {
        strcpy(text + size, "- {kind: snippet, name: broken, language: cel, code: '1 +'}\n");
    } else if (fault == 2) {
        strcpy(text + size, "- {kind: listener, name: taken, protocol: http, port: 9000}\n");
    }
}

/* ---- a run --------------------------------------------------------------------------------- */

struct run {
    uint64_t seed;
    struct sim *sim;
    struct engine *engine;
    struct sl_poller *squatter; /* has port 9000 */
    int squatter_fd;
    struct browser browsers[BROWSERS_MAX];
    uint32_t browsers_count;
    struct browser_rules rules;
    uint32_t version;
    uint32_t version_last;
    uint64_t change_ns;
    uint32_t refused;
    uint64_t steps;
    char text[SPECS_SIZE];
    const char *wrong;
};

struct outcome {
    uint64_t hash;
    uint32_t answered;
    uint32_t publications;
    uint32_t broken;
    uint64_t hops; /* answers of other shards */
};

static void run_begin(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof(*run));
    struct sl_clock_manual dice;
    sl_clock_manual_init(&dice, seed * 2 + 1);
    uint8_t random[8];
    dice.base.random(&dice.base, random, sizeof(random));
    run->seed = seed;
    run->rules.impatient = random[0] % 8 == 0;
    struct sim_config config = {
        .seed = seed,
        .short_io = random[1] % 4 == 0 ? 0 : 300,
        .delay = random[2] % 4 == 0 ? 0 : 200,
        .reset = random[3] % 4 == 0 ? 300 : 0,
        .slow_client = random[4] % 2 == 0 ? 100 : 0,
        .accept_pause = random[5] % 4 == 0 ? 200 : 0,
        .clock_jump = run->rules.impatient ? 200
                      : random[6] % 2 == 0 ? 100
                                           : 0,
        .jump_ms_max = run->rules.impatient ? 4000000 : 50,
        .manual_time = true,
    };
    run->sim = sim_new(&config);
    run->engine = engine_new(run->sim, 1 + random[7] % 2);
    struct sl_addr addr;
    assert_int_equal(sl_addr_make(SL_SLICE("127.0.0.1"), 9000, &addr, NULL), 0);
    run->squatter = sim_poller_new(run->sim, NULL);
    run->squatter_fd = run->squatter->ops->listen(run->squatter, &addr, false);
    assert_true(run->squatter_fd >= 0);
}

/* Step until `done` says so. */
static bool run_until(struct run *run, bool (*done)(struct run *run))
{
    while (!done(run)) {
        if (run->steps++ > STEPS_MAX) return false;
        uint64_t until_ns = engine_now(run->engine) + SL_NS_PER_SEC;
        engine_step(run->engine, until_ns);
    }
    return true;
}

static bool is_settled(struct run *run)
{
    return engine_is_settled(run->engine);
}

static bool is_published(struct run *run)
{
    return engine_is_settled(run->engine) && run->engine->version == run->engine->version_newest;
}

static bool is_drained(struct run *run)
{
    for (uint32_t i = 0; i < run->browsers_count && run->wrong == NULL; i++) {
        run->wrong = browser_step(&run->browsers[i], &run->rules);
    }
    return run->engine->drain.done || run->wrong != NULL;
}

static bool is_retracted(struct run *run)
{
    return run->engine->retracted;
}

static void change(struct run *run)
{
    uint64_t draw = sim_random(run->sim, 10);
    int fault = draw == 0 ? 1 : draw == 1 ? 2 : 0;
    workflow_write(run->text, run->version + 1, run->engine->shards_count, fault);
    bool stored = engine_apply(run->engine, run->text, run->version + 1);
    if (stored == (fault == 1)) run->wrong = stored ? "a broken spec was stored" : "not applied";
    if (stored) run->version++;
    run->refused += !stored;
    run->change_ns = engine_now(run->engine) + sim_random(run->sim, 10 * SL_NS_PER_MS);
}

/* All browsers are through, or as many as shall be left for the drain. */
static bool browsers_through(struct run *run)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < run->browsers_count; i++) {
        if (!run->browsers[i].done) open++;
    }
    return open == 0 || (run->rules.draining && open <= run->browsers_count / 2);
}

static uint64_t next_ns(const struct run *run)
{
    uint64_t now_ns = engine_now(run->engine);
    uint64_t next = now_ns + SL_NS_PER_SEC;
    if (run->version < run->version_last && run->change_ns < next) next = run->change_ns;
    for (uint32_t i = 0; i < run->browsers_count; i++) {
        const struct browser *browser = &run->browsers[i];
        if (browser->done) continue;
        if (browser->next_ns > now_ns && browser->next_ns < next) next = browser->next_ns;
        if (browser->leave_ns > now_ns && browser->leave_ns < next) next = browser->leave_ns;
    }
    return next;
}

static void browsers_run(struct run *run)
{
    bool drain_early = sim_random(run->sim, 2) == 0;
    uint64_t start_ns = engine_now(run->engine);
    run->browsers_count = 4 + (uint32_t)sim_random(run->sim, BROWSERS_MAX - 3);
    for (uint32_t i = 0; i < run->browsers_count; i++) {
        browser_plan(&run->browsers[i], run->engine, i,
                     start_ns + sim_random(run->sim, 30 * SL_NS_PER_MS));
    }
    run->change_ns = start_ns;
    run->version_last = run->version + (uint32_t)sim_random(run->sim, 12);
    struct browser_rules rules = run->rules;
    run->rules.draining = drain_early;
    while (run->wrong == NULL && !browsers_through(run)) {
        if (run->steps++ > STEPS_MAX) {
            run->wrong = "the engine stands still: browsers get no answer";
            return;
        }
        if (run->version < run->version_last && engine_now(run->engine) >= run->change_ns) {
            change(run);
        }
        for (uint32_t i = 0; i < run->browsers_count && run->wrong == NULL; i++) {
            run->wrong = browser_step(&run->browsers[i], &rules);
        }
        engine_step(run->engine, next_ns(run));
    }
}

/* What is left when all browsers have gone must end by itself: leavers are noticed. */
static bool nothing_runs(struct run *run)
{
    return engine_processes(run->engine) == 0;
}

static void run_end(struct run *run)
{
    struct engine *engine = run->engine;
    uint64_t now_ns = engine_now(engine);
    if (!run->rules.draining) {
        if (!run_until(run, nothing_runs)) run->wrong = "a process does not end";
        if (!run->rules.impatient && engine_now(engine) - now_ns > 60 * SL_NS_PER_SEC) {
            run->wrong = "nobody cancelled what a browser left behind";
        }
    }
    if (run->wrong == NULL && !run_until(run, is_published)) {
        run->wrong = "the newest version is never published";
    }
    sl_timer_stop(&engine->control.timers, &engine->look);
    if (run->wrong == NULL && !run_until(run, is_settled)) run->wrong = "the loader never settles";
    if (run->wrong != NULL) return;
    bool draining = run->rules.draining;
    run->rules.draining = true;
    engine_drain(engine);
    if (!run_until(run, is_drained)) run->wrong = "the drain never ends";
    run->rules.draining = draining;
    if (run->wrong != NULL) return;
    for (uint32_t i = 0; i < run->browsers_count; i++) browser_fini(&run->browsers[i]);
    engine_retract(engine);
    if (!run_until(run, is_retracted)) run->wrong = "the programs are never freed";
}

/* Nothing is left. */
static void run_check(struct run *run)
{
    struct engine *engine = run->engine;
    struct sl_swap_stats swap;
    sl_swap_stats_get(engine->swap, &swap);
    if (swap.alive != 0) run->wrong = "a program is left";
    if (engine_processes(engine) != 0) run->wrong = "a process is left";
    if (naps_open != 0) run->wrong = "a frame is left";
    uint64_t calls = 0, answers = 0;
    for (uint32_t i = 0; i < engine->shards_count; i++) {
        struct sl_remote_stats remote;
        sl_remote_stats_get(engine->shards[i], &remote);
        calls += remote.calls;
        answers += remote.answers;
        if (!sl_list_is_empty(&engine->shards[i]->sources)) run->wrong = "a source is left";
    }
    if (calls != answers) run->wrong = "a call to another shard has no answer";
    for (uint32_t i = 0; i <= engine->shards_count; i++) {
        struct sl_mem_stats mem;
        sl_mem_stats_get(engine->lanes[i].loop->mem, &mem);
        if (mem.used != engine->lanes[i].used_before) {
            (void)fprintf(stderr, "lane %u: %llu bytes more\n", i,
                          (unsigned long long)(mem.used - engine->lanes[i].used_before));
            run->wrong = "memory is left";
        }
        if (sim_sockets(engine->lanes[i].poller) != 0) run->wrong = "a socket is left";
    }
}

static struct outcome run_outcome(const struct run *run)
{
    struct outcome outcome = {.hash = sim_trace_hash(run->sim),
                              .publications = run->engine->publications};
    for (uint32_t i = 0; i < run->browsers_count; i++) {
        outcome.answered += run->browsers[i].answered;
        outcome.broken += run->browsers[i].broken;
    }
    for (uint32_t i = 0; i < run->engine->shards_count; i++) {
        struct sl_remote_stats remote;
        sl_remote_stats_get(run->engine->shards[i], &remote);
        outcome.hops += remote.answers;
    }
    return outcome;
}

static struct outcome run_seed(uint64_t seed)
{
    static struct run run;
    run_begin(&run, seed);
    workflow_write(run.text, 1, run.engine->shards_count, 0);
    run.version = 1;
    if (!engine_apply(run.engine, run.text, 1))
        fail_msg("seed %llu: not applied", (unsigned long long)run.seed);
    if (!run_until(&run, is_published)) run.wrong = "the first version is never published";
    if (run.wrong == NULL) browsers_run(&run);
    if (run.wrong == NULL) run_end(&run);
    if (run.wrong == NULL) run_check(&run);
    if (run.wrong != NULL) {
        fail_msg("%s: run again with SIM_SEED=%llu", run.wrong, (unsigned long long)seed);
    }
    struct outcome outcome = run_outcome(&run);
    run.engine = engine_free(run.engine);
    run.squatter->ops->close(run.squatter, run.squatter_fd);
    run.squatter->ops->free(run.squatter);
    run.sim = sim_free(run.sim);
    return outcome;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void engine_of_many_seeds_keeps_its_promises(void **state)
{
    (void)state;
    unsigned long long first = 1, count = SEEDS_COUNT;
    const char *range = getenv("SIM_SEEDS");
    if (range != NULL) (void)sscanf(range, "%llu:%llu", &first, &count);
    struct outcome sum = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct outcome outcome = run_seed(seed);
        sum.answered += outcome.answered;
        sum.publications += outcome.publications;
        sum.broken += outcome.broken;
        sum.hops += outcome.hops;
        if (seed % REPEATED_EACH != 0) continue;
        struct outcome again = run_seed(seed);
        if (again.hash != outcome.hash) {
            fail_msg("seed %llu gives another trace when it runs again", (unsigned long long)seed);
        }
    }
    print_message("%llu seeds: %u answers, %u publications, %llu answers of other shards, "
                  "%u connections broken, %llu waits cancelled\n",
                  count, sum.answered, sum.publications, (unsigned long long)sum.hops, sum.broken,
                  (unsigned long long)naps_cancelled);
    /* A simulator that does nothing keeps every promise. */
    assert_true(sum.answered > 20 * count);
    assert_true(sum.publications > 2 * count);
    assert_true(sum.hops > count);
    assert_true(sum.broken > 0);
    assert_true(naps_cancelled > 0);
}

static void engine_of_another_seed_gives_another_trace(void **state)
{
    (void)state;
    struct outcome a = run_seed(1);
    struct outcome b = run_seed(2);
    assert_true(a.hash != b.hash);
}

static int one_seed(const char *seed)
{
    struct outcome outcome = run_seed(strtoull(seed, NULL, 10));
    (void)printf("seed %s: trace %016llx, %u answers, %u publications, %llu answers of other "
                 "shards, %u connections broken\n",
                 seed, (unsigned long long)outcome.hash, outcome.answered, outcome.publications,
                 (unsigned long long)outcome.hops, outcome.broken);
    return 0;
}

static void one_seed_keeps_its_promises(void **state)
{
    (void)state;
    assert_int_equal(one_seed(getenv("SIM_SEED")), 0);
}

int main(void)
{
    sl_kinds_register();
    sl_kind_register(&kind_nap);
    /* Nodes that cannot be active are part of the game. */
    if (getenv("SIM_VERBOSE") == NULL) sl_log_set_level(SL_LOG_ERROR);
    if (getenv("SIM_SEED") != NULL) {
        const struct CMUnitTest one[] = {cmocka_unit_test(one_seed_keeps_its_promises)};
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_of_another_seed_gives_another_trace),
        cmocka_unit_test(engine_of_many_seeds_keeps_its_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
