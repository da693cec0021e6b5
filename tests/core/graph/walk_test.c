/* SPDX-License-Identifier: MIT */
/* The walk: steps, joins, error ports, cancel, deadlines, and random graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/trace.h"
#include "tests/core/graph/ask.h"
#include "tests/core/graph/bench_shard.h"
#include "tests/core/graph/nap.h"

/* ---- kinds ----------------------------------------------------------------------------------- */

struct plain {
    int64_t add; /* to an Int payload */
};

static enum sl_step add_run(struct sl_call *call)
{
    const struct plain *plain = call->config;
    int64_t number = sl_value_is(call->value, SL_VALUE_INT) ? call->value.cell->i64 : 0;
    sl_value_unref(call->value);
    call->value = sl_value_new_int(call->mem, number + plain->add);
    call->port = 0;
    return SL_STEP_EMIT;
}

static enum sl_step none_run(struct sl_call *call)
{
    sl_value_unref(call->value);
    call->value = sl_value_none();
    return SL_STEP_ANSWER;
}

static enum sl_step fail_run(struct sl_call *call)
{
    const struct plain *plain = call->config;
    return sl_call_fail(call, "boom", 0, "boom %d", (int)plain->add);
}

/* Parks for `add` milliseconds, then goes on. */
static enum sl_step nap_run(struct sl_call *call)
{
    return nap_begin(call, (uint64_t)((const struct plain *)call->config)->add * SL_NS_PER_MS);
}

/* Calls out[0], then sends its answer out of out[1]. */
static enum sl_step pipe_run(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_CALL;
}

static enum sl_step pipe_resume(struct sl_call *call)
{
    if (sl_value_is_none(call->value)) return SL_STEP_ANSWER;
    call->port = 1;
    return SL_STEP_EMIT;
}

static const struct sl_kind kind_add = {
    .name = "add", .flags = SL_KIND_TRANSFORMS, .outs_max = 8, .ins_max = 1, .run = add_run};
static const struct sl_kind kind_route = {
    .name = "route", .flags = SL_KIND_ROUTES, .outs_max = 8, .ins_max = 1, .run = add_run};
static const struct sl_kind kind_none = {.name = "none", .ins_max = 1, .run = none_run};
static const struct sl_kind kind_fail = {
    .name = "fail", .flags = SL_KIND_TRANSFORMS, .ins_max = 1, .run = fail_run};
static const struct sl_kind kind_nap = {.name = "nap",
                                        .frame_size = sizeof(struct nap_frame),
                                        .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
                                        .outs_max = 8,
                                        .ins_max = 1,
                                        .run = nap_run,
                                        .resume = nap_resume,
                                        .cancel = nap_cancel};
static const struct sl_kind kind_pipe = {.name = "pipe",
                                         .flags = SL_KIND_TRANSFORMS | SL_KIND_FRAMES,
                                         .outs_max = 2,
                                         .ins_max = 1,
                                         .run = pipe_run,
                                         .resume = pipe_resume};

/* ---- a program on a shard -------------------------------------------------------------------- */

enum { NODES_MAX = 64, LINKS_MAX = 512 };

struct bench {
    struct sl_clock_manual clock;
    struct sl_shard *shard;
    struct sl_node *nodes[NODES_MAX];
    uint32_t nodes_count;
    struct sl_link links[LINKS_MAX];
    uint32_t links_count;
    struct sl_program *program;
    uint64_t used_before;
};

static uint64_t mem_used(struct sl_shard *shard)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(shard->loop.mem, &stats);
    return stats.used;
}

static void bench_init(struct bench *bench, uint64_t seed)
{
    memset(bench, 0, sizeof(*bench));
    sl_clock_manual_init(&bench->clock, seed);
    bench->shard = bench_shard_new(&bench->clock, 0, NULL);
    naps_open = 0;
}

static uint32_t node(struct bench *bench, const struct sl_kind *kind, int64_t add)
{
    struct plain *plain = calloc(1, sizeof(*plain));
    char path[16];
    plain->add = add;
    (void)snprintf(path, sizeof(path), "n%u", bench->nodes_count);
    bench->nodes[bench->nodes_count] =
        sl_node_new(kind, plain, path, "", "", (struct sl_pos){0, 0}, sl_value_none(), 1);
    return bench->nodes_count++;
}

static void edge(struct bench *bench, uint32_t source, uint32_t port, uint32_t target)
{
    bench->links[bench->links_count++] = (struct sl_link){source, port, target, 0};
}

static void bench_open(struct bench *bench)
{
    bench->program = sl_program_new("test", 1, bench->nodes, bench->nodes_count, bench->links,
                                    bench->links_count, 1);
    assert_non_null(bench->program);
    assert_int_equal(sl_instance_open(bench->program, bench->shard, UINT64_MAX / 2, NULL), 0);
    atomic_store_explicit(&bench->shard->program, bench->program, memory_order_release);
    bench->used_before = mem_used(bench->shard);
}

/* Everything that a process took is back. */
static void bench_close(struct bench *bench)
{
    assert_int_equal(bench->shard->processes_count, 0);
    assert_int_equal(mem_used(bench->shard), bench->used_before);
    assert_int_equal(bench->shard->loop.timers.count, 0);
    assert_int_equal(naps_open, 0);
    assert_int_equal(sl_instance_close(bench->program, bench->shard, UINT64_MAX / 2), 0);
    atomic_store_explicit(&bench->shard->program, NULL, memory_order_release);
    sl_program_free(bench->program);
    for (uint32_t i = 0; i < bench->nodes_count; i++) sl_node_unref(bench->nodes[i]);
    bench_shard_free(bench->shard);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* All tests run twice: as they are, and with every process traced. */
static bool traced;

struct traced_process {
    struct sl_trace trace;
    struct sl_trace_hop hops[SL_TRACE_HOPS_MAX];
};

/* Every hop refers to one before it, and a lost one was counted. */
static void trace_end(struct sl_process *process, void *ctx)
{
    struct traced_process *own = ctx;
    assert_ptr_equal(process->trace, &own->trace);
    for (uint32_t i = 0; i < own->trace.hops_count; i++) {
        uint8_t cause = own->hops[i].cause;
        assert_true(cause == SL_TRACE_NONE || cause < i);
    }
    assert_true(own->trace.hops_lost == 0 || own->trace.hops_count == own->trace.hops_cap);
    sl_trace_clear(&own->trace);
    free(own);
}

static void trace_new(struct sl_process *process)
{
    struct traced_process *own = calloc(1, sizeof(*own));
    own->trace = (struct sl_trace){
        .process = process, .hops = own->hops, .hops_cap = SL_TRACE_HOPS_MAX, .key = 1};
    assert_int_equal(sl_process_hook_add(process, trace_end, own), 0);
    process->trace = &own->trace;
}

static struct sl_process *begin(struct bench *bench)
{
    struct sl_process *process =
        sl_process_new(bench->shard, sl_instance_current(bench->shard), NULL, 0);
    assert_non_null(process);
    if (traced) trace_new(process);
    return process;
}

static void turn_until_idle(struct bench *bench)
{
    for (int i = 0; i < 100000 && bench->shard->processes_count > 0; i++) {
        sl_loop_turn(&bench->shard->loop, UINT64_MAX);
    }
}

/* One packet into node 0; waits until the process has ended. */
static struct ask ask_node(struct bench *bench, uint32_t target, int64_t number)
{
    struct ask ask = {.reply.fn = asked};
    struct sl_process *process = begin(bench);
    sl_process_call(process, &bench->program->symbols[target], 0,
                    sl_value_new_int(bench->shard->loop.mem, number), &ask.reply);
    sl_process_finish(process);
    turn_until_idle(bench);
    assert_int_equal(ask.answers, 1);
    return ask;
}

static int64_t int_of(struct sl_value value)
{
    assert_true(sl_value_is(value, SL_VALUE_INT));
    return value.cell->i64;
}

static void error_is(struct sl_value value, const char *code)
{
    assert_true(sl_value_is(value, SL_VALUE_ERROR));
    assert_true(sl_slice_eq_str(sl_value_slice(sl_error_part(value, SL_ERROR_CODE)), code));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void walk_chain_answers_with_the_last_output(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    for (int i = 0; i < 5; i++) {
        uint32_t n = node(&bench, &kind_add, 1);
        if (n > 0) edge(&bench, n - 1, 0, n);
    }
    bench_open(&bench);
    struct ask ask = ask_node(&bench, 0, 10);
    assert_int_equal(int_of(ask.answer), 15);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_routing_kind_without_edge_answers_no_route(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    (void)node(&bench, &kind_route, 1);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, 0, 1);
    error_is(ask.answer, "no_route");
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_fan_out_joins_in_edge_order_even_if_answers_come_late(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 0);
    uint32_t late = node(&bench, &kind_nap, 20);
    uint32_t soon = node(&bench, &kind_nap, 5);
    uint32_t now = node(&bench, &kind_add, 100);
    uint32_t none = node(&bench, &kind_none, 0);
    edge(&bench, top, 0, late);
    edge(&bench, top, 0, none);
    edge(&bench, top, 0, soon);
    edge(&bench, top, 0, now);
    bench_open(&bench);
    uint64_t before = bench.clock.now_ns;
    struct ask ask = ask_node(&bench, top, 7);
    assert_true(sl_value_is(ask.answer, SL_VALUE_LIST));
    assert_int_equal(sl_value_count(ask.answer), 3);
    assert_int_equal(int_of(sl_value_list_at(ask.answer, 0)), 7);
    assert_int_equal(int_of(sl_value_list_at(ask.answer, 1)), 7);
    assert_int_equal(int_of(sl_value_list_at(ask.answer, 2)), 107);
    /* The branches waited side by side, not one after another. */
    assert_true(bench.clock.now_ns - before < 25 * SL_NS_PER_MS);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_fan_out_of_one_value_and_none_is_that_value(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 0);
    uint32_t none = node(&bench, &kind_none, 0);
    uint32_t one = node(&bench, &kind_add, 1);
    edge(&bench, top, 0, none);
    edge(&bench, top, 0, one);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, top, 1);
    assert_int_equal(int_of(ask.answer), 2);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_fan_out_with_errors_answers_one_error_with_all_causes(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 0);
    uint32_t a = node(&bench, &kind_fail, 1);
    uint32_t b = node(&bench, &kind_add, 1);
    uint32_t c = node(&bench, &kind_fail, 2);
    edge(&bench, top, 0, a);
    edge(&bench, top, 0, b);
    edge(&bench, top, 0, c);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, top, 1);
    error_is(ask.answer, "boom");
    assert_true(sl_error_has_message(ask.answer, SL_SLICE("boom 1")));
    assert_true(sl_error_has_message(ask.answer, SL_SLICE("boom 2")));
    assert_false(sl_error_has_message(ask.answer, SL_SLICE("boom 3")));
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_failure_goes_out_of_the_error_port(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_fail, 1);
    uint32_t catch = node(&bench, &kind_add, 42);
    edge(&bench, top, SL_PORT_ERROR, catch);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, top, 1);
    assert_int_equal(int_of(ask.answer), 42);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_call_resumes_with_the_downstream_answer(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_pipe, 0);
    uint32_t first = node(&bench, &kind_nap, 3);
    uint32_t plus = node(&bench, &kind_add, 10);
    uint32_t second = node(&bench, &kind_add, 100);
    edge(&bench, top, 0, first);
    edge(&bench, first, 0, plus);
    edge(&bench, top, 1, second);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, top, 1);
    assert_int_equal(int_of(ask.answer), 111);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_endless_loop_ends_at_the_limit_of_hops(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t a = node(&bench, &kind_add, 1);
    uint32_t b = node(&bench, &kind_add, 1);
    edge(&bench, a, 0, b);
    edge(&bench, b, 0, a);
    bench_open(&bench);
    struct ask ask = {.reply.fn = asked};
    struct sl_process *process = begin(&bench);
    sl_process_call(process, &bench.program->symbols[a], 0, sl_value_null(), &ask.reply);
    /* Others get their turn: the first walk came back long before the limit. */
    assert_int_equal(ask.answers, 0);
    assert_int_equal(process->hops, SL_PROCESS_TURN_HOPS_MAX);
    sl_process_finish(process);
    turn_until_idle(&bench);
    assert_int_equal(ask.answers, 1);
    error_is(ask.answer, "hops_limit");
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_fan_out_bomb_ends_at_the_limit_of_frames(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t a = node(&bench, &kind_nap, 1);
    edge(&bench, a, 0, a);
    edge(&bench, a, 0, a);
    bench_open(&bench);
    struct ask ask = ask_node(&bench, a, 1);
    assert_true(sl_value_is(ask.answer, SL_VALUE_ERROR));
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void walk_parking_node_takes_packets_of_a_process_one_by_one(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 0);
    uint32_t nap = node(&bench, &kind_nap, 10);
    edge(&bench, top, 0, nap);
    edge(&bench, top, 0, nap);
    edge(&bench, top, 0, nap);
    bench_open(&bench);
    uint64_t before = bench.clock.now_ns;
    struct ask ask = ask_node(&bench, top, 1);
    assert_int_equal(sl_value_count(ask.answer), 3);
    assert_true(bench.clock.now_ns - before >= 30 * SL_NS_PER_MS);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void process_deadline_answers_every_packet_with_an_error(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 0);
    uint32_t nap = node(&bench, &kind_nap, 100000);
    uint32_t pipe = node(&bench, &kind_pipe, 0);
    edge(&bench, top, 0, nap);
    edge(&bench, top, 0, pipe);
    edge(&bench, pipe, 0, nap);
    bench_open(&bench);
    uint64_t before = bench.clock.now_ns;
    struct ask ask = ask_node(&bench, top, 1);
    error_is(ask.answer, "deadline");
    uint64_t took = bench.clock.now_ns - before;
    assert_true(took >= SL_PROCESS_DEADLINE_MS * SL_NS_PER_MS);
    assert_true(took < (SL_PROCESS_DEADLINE_MS + 10) * SL_NS_PER_MS);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static char story[64];

static void tell_a(struct sl_process *process, void *ctx)
{
    (void)process;
    size_t used = strlen(story);
    (void)snprintf(story + used, sizeof(story) - used, "%s ", (const char *)ctx);
}

static void process_end_runs_hooks_in_reverse_after_its_children(void **state)
{
    static char one[] = "one";
    static char two[] = "two";
    static char child_text[] = "child";
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t nap = node(&bench, &kind_nap, 50);
    bench_open(&bench);
    story[0] = '\0';
    struct ask ask = {.reply.fn = asked};
    struct sl_process *parent = begin(&bench);
    assert_int_equal(sl_process_hook_add(parent, tell_a, one), 0);
    assert_int_equal(sl_process_hook_add(parent, tell_a, two), 0);
    struct sl_process *child = sl_process_new(bench.shard, NULL, parent, 0);
    assert_int_equal(sl_process_hook_add(child, tell_a, child_text), 0);
    sl_process_call(child, &bench.program->symbols[nap], 0, sl_value_null(), &ask.reply);
    sl_process_finish(child);
    sl_process_finish(parent);
    assert_string_equal(story, "");
    turn_until_idle(&bench);
    assert_string_equal(story, "child two one ");
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void process_cancel_takes_its_children_along(void **state)
{
    struct bench bench;
    (void)state;
    bench_init(&bench, 1);
    uint32_t nap = node(&bench, &kind_nap, 100000);
    bench_open(&bench);
    struct ask ask = {.reply.fn = asked};
    struct sl_process *parent = begin(&bench);
    struct sl_process *child = sl_process_new(bench.shard, NULL, parent, 0);
    sl_process_call(child, &bench.program->symbols[nap], 0, sl_value_null(), &ask.reply);
    sl_process_finish(child);
    sl_process_finish(parent);
    sl_process_cancel(parent, sl_value_new_error(bench.shard->loop.mem, "gone", 0, "gone"));
    turn_until_idle(&bench);
    assert_int_equal(ask.answers, 1);
    error_is(ask.answer, "gone");
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void process_local_is_found_by_children_and_freed_at_the_end(void **state)
{
    static const char key;
    struct bench bench;
    int value = 5;
    (void)state;
    bench_init(&bench, 1);
    (void)node(&bench, &kind_add, 0);
    bench_open(&bench);
    struct sl_process *parent = begin(&bench);
    assert_int_equal(sl_process_local_set(parent, &key, &value, NULL), 0);
    struct sl_process *child = sl_process_new(bench.shard, NULL, parent, 0);
    assert_ptr_equal(sl_process_local_find(child, &key), &value);
    assert_null(sl_process_local_get(child, &key));
    sl_process_finish(child);
    sl_process_finish(parent);
    bench_close(&bench);
}

/* Random graphs, cycles included: every packet gets exactly one answer and nothing is left over. */
static void walk_random_graph_answers_every_packet_once(void **state)
{
    static const struct sl_kind *const kinds[] = {&kind_add,  &kind_add, &kind_route, &kind_none,
                                                  &kind_fail, &kind_nap, &kind_pipe};
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct bench bench;
        uint32_t random[NODES_MAX];
        bench_init(&bench, seed);
        bench.clock.base.random(&bench.clock.base, random, sizeof(random));
        uint32_t count = 2 + random[0] % 12;
        for (uint32_t i = 0; i < count; i++) {
            (void)node(&bench, kinds[random[1 + i] % 7], 1 + random[1 + i] % 5);
        }
        uint32_t edges = random[20] % (count * 2);
        for (uint32_t i = 0; i < edges; i++) {
            uint32_t bits = random[21 + i % 40] ^ (i * 2654435761U);
            uint32_t port = bits % 5 == 0 ? SL_PORT_ERROR : (bits >> 4) % 2;
            edge(&bench, (bits >> 8) % count, port, (bits >> 16) % count);
        }
        bench_open(&bench);
        struct ask asks[4] = {0};
        struct sl_process *process = begin(&bench);
        for (int i = 0; i < 4; i++) {
            asks[i].reply.fn = asked;
            sl_process_call(process, &bench.program->symbols[random[60 + i] % count], 0,
                            sl_value_new_int(bench.shard->loop.mem, i), &asks[i].reply);
        }
        if (random[59] % 3 == 0) sl_process_cancel(process, sl_value_null());
        sl_process_finish(process);
        turn_until_idle(&bench);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(asks[i].answers, 1);
            sl_value_unref(asks[i].answer);
        }
        bench_close(&bench);
    }
}

/* ---- traces ---------------------------------------------------------------------------------- */

struct expected_hop {
    enum sl_trace_event event;
    int node; /* number, or -1 */
    int cause;
    enum sl_step step; /* CALL and RESUME */
};

static void trace_is(const struct sl_trace *trace, const struct bench *bench,
                     const struct expected_hop *expected, uint32_t count)
{
    assert_int_equal(trace->hops_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_trace_hop *hop = &trace->hops[i];
        assert_int_equal(hop->event, expected[i].event);
        assert_int_equal(hop->cause == SL_TRACE_NONE ? -1 : hop->cause, expected[i].cause);
        assert_ptr_equal(hop->symbol,
                         expected[i].node < 0 ? NULL : &bench->program->symbols[expected[i].node]);
        if (hop->event == SL_TRACE_CALL || hop->event == SL_TRACE_RESUME) {
            assert_int_equal(hop->step, expected[i].step);
            assert_true(hop->end_ns >= hop->begin_ns);
        }
    }
}

static void trace_of_a_walk_has_every_hop_with_its_cause(void **state)
{
    struct bench bench;
    struct sl_trace_hop hops[16];
    (void)state;
    if (traced) return; /* it brings its own */
    bench_init(&bench, 1);
    uint32_t top = node(&bench, &kind_add, 1);
    uint32_t nap = node(&bench, &kind_nap, 5);
    uint32_t pipe = node(&bench, &kind_pipe, 0);
    uint32_t inner = node(&bench, &kind_add, 10);
    uint32_t last = node(&bench, &kind_add, 100);
    edge(&bench, top, 0, nap);
    edge(&bench, top, 0, pipe);
    edge(&bench, pipe, 0, inner);
    edge(&bench, pipe, 1, last);
    bench_open(&bench);
    struct ask ask = {.reply.fn = asked};
    struct sl_process *process = begin(&bench);
    struct sl_trace trace = {.process = process, .hops = hops, .hops_cap = 16, .key = 1};
    process->trace = &trace;
    sl_process_call(process, &bench.program->symbols[top], 0,
                    sl_value_new_int(bench.shard->loop.mem, 1), &ask.reply);
    for (int i = 0; i < 100 && ask.answers == 0; i++) {
        sl_loop_turn(&bench.shard->loop, UINT64_MAX);
    }
    const struct expected_hop expected[] = {
        {SL_TRACE_CALL, 0, -1, SL_STEP_EMIT},  {SL_TRACE_CALL, 1, 0, SL_STEP_PARK},
        {SL_TRACE_CALL, 2, 0, SL_STEP_CALL},   {SL_TRACE_CALL, 3, 2, SL_STEP_EMIT},
        {SL_TRACE_RESUME, 2, 2, SL_STEP_EMIT}, {SL_TRACE_CALL, 4, 4, SL_STEP_EMIT},
        {SL_TRACE_RESUME, 1, 1, SL_STEP_EMIT}, {SL_TRACE_JOIN, -1, 0, 0},
        {SL_TRACE_ANSWER, -1, 7, 0},
    };
    trace_is(&trace, &bench, expected, sizeof(expected) / sizeof(expected[0]));
    assert_int_equal(hops[6].begin_ns - hops[1].end_ns, 5 * SL_NS_PER_MS);
    assert_int_equal(int_of(hops[5].output), 112);
    assert_ptr_equal(hops[8].output.cell, ask.answer.cell);
    process->trace = NULL;
    sl_trace_clear(&trace);
    sl_process_finish(process);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void trace_that_is_full_counts_what_it_lost(void **state)
{
    struct bench bench;
    struct sl_trace_hop hops[3];
    (void)state;
    if (traced) return;
    bench_init(&bench, 1);
    for (uint32_t i = 0; i < 5; i++) {
        (void)node(&bench, &kind_add, 1);
        if (i > 0) edge(&bench, i - 1, 0, i);
    }
    bench_open(&bench);
    struct ask ask = {.reply.fn = asked};
    struct sl_process *process = begin(&bench);
    struct sl_trace trace = {.process = process, .hops = hops, .hops_cap = 3, .key = 1};
    process->trace = &trace;
    sl_process_call(process, &bench.program->symbols[0], 0,
                    sl_value_new_int(bench.shard->loop.mem, 1), &ask.reply);
    assert_int_equal(trace.hops_count, 3);
    assert_int_equal(trace.hops_lost, 3); /* two calls and the answer */
    assert_int_equal(int_of(ask.answer), 6);
    process->trace = NULL;
    sl_trace_clear(&trace);
    sl_process_finish(process);
    sl_value_unref(ask.answer);
    bench_close(&bench);
}

static void hook_count(struct sl_process *process, void *ctx)
{
    (void)process;
    ++*(uint32_t *)ctx;
}

static void hook_that_is_removed_does_not_run(void **state)
{
    struct bench bench;
    uint32_t ran = 0;
    (void)state;
    bench_init(&bench, 1);
    (void)node(&bench, &kind_add, 1);
    bench_open(&bench);
    struct sl_process *process = begin(&bench);
    assert_int_equal(sl_process_hook_add(process, hook_count, &ran), 0);
    assert_int_equal(sl_process_hook_add(process, hook_count, bench.nodes), 0);
    sl_process_hook_remove(process, hook_count, bench.nodes);
    sl_process_hook_remove(process, hook_count, bench.nodes);
    sl_process_finish(process);
    assert_int_equal(ran, 1);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_chain_answers_with_the_last_output),
        cmocka_unit_test(walk_routing_kind_without_edge_answers_no_route),
        cmocka_unit_test(walk_fan_out_joins_in_edge_order_even_if_answers_come_late),
        cmocka_unit_test(walk_fan_out_of_one_value_and_none_is_that_value),
        cmocka_unit_test(walk_fan_out_with_errors_answers_one_error_with_all_causes),
        cmocka_unit_test(walk_failure_goes_out_of_the_error_port),
        cmocka_unit_test(walk_call_resumes_with_the_downstream_answer),
        cmocka_unit_test(walk_endless_loop_ends_at_the_limit_of_hops),
        cmocka_unit_test(walk_fan_out_bomb_ends_at_the_limit_of_frames),
        cmocka_unit_test(walk_parking_node_takes_packets_of_a_process_one_by_one),
        cmocka_unit_test(process_deadline_answers_every_packet_with_an_error),
        cmocka_unit_test(process_end_runs_hooks_in_reverse_after_its_children),
        cmocka_unit_test(process_cancel_takes_its_children_along),
        cmocka_unit_test(process_local_is_found_by_children_and_freed_at_the_end),
        cmocka_unit_test(walk_random_graph_answers_every_packet_once),
        cmocka_unit_test(trace_of_a_walk_has_every_hop_with_its_cause),
        cmocka_unit_test(trace_that_is_full_counts_what_it_lost),
        cmocka_unit_test(hook_that_is_removed_does_not_run),
    };
    int failed = cmocka_run_group_tests_name("walk", tests, NULL, NULL);
    traced = true;
    return failed + cmocka_run_group_tests_name("walk, traced", tests, NULL, NULL);
}
