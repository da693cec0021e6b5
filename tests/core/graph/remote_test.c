/* SPDX-License-Identifier: MIT */
/* Packets between two shards in one thread: answers, cancel, deadlines, full rings, large packets. */
#include "core/graph/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/limit.h"
#include "core/graph/span.h"
#include "tests/core/graph/ask.h"
#include "tests/core/graph/bench_pair.h"
#include "tests/core/graph/bench_shard.h"

enum { SHARDS = 2, CALLS_MAX = 60000 };

struct pair {
    struct sl_clock_manual clock;
    struct sl_shard *shards[SHARDS];
    struct sl_program *program;
    uint64_t used_before[SHARDS];
};

static struct pair pair;

static uint64_t mem_used(const struct sl_shard *shard)
{
    struct sl_mem_stats stats;
    sl_mem_stats_get(shard->loop.mem, &stats);
    return stats.used;
}

static int setup(void **state)
{
    (void)state;
    memset(&pair, 0, sizeof(pair));
    sl_clock_manual_init(&pair.clock, 1);
    for (uint32_t i = 0; i < SHARDS; i++) {
        pair.shards[i] = bench_shard_new(&pair.clock, i, NULL);
        pair.shards[i]->peers = pair.shards;
        pair.shards[i]->peers_count = SHARDS;
    }
    if (sl_remote_init(pair.shards, SHARDS) < 0) return -1;
    for (uint32_t i = 0; i < SHARDS; i++) sl_remote_attach(pair.shards[i]);
    return 0;
}

static void open_program(struct sl_program *program)
{
    pair.program = program;
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_int_equal(sl_instance_open(program, pair.shards[i], UINT64_MAX / 2, NULL), 0);
        atomic_store_explicit(&pair.shards[i]->program, program, memory_order_release);
        pair.used_before[i] = mem_used(pair.shards[i]);
    }
}

/* Nothing is left on either side. */
static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_int_equal(pair.shards[i]->processes_count, 0);
        assert_int_equal(pair.shards[i]->loop.timers.count, 0);
        assert_int_equal(mem_used(pair.shards[i]), pair.used_before[i]);
        assert_int_equal(pair.program->instances[i]->pins, 0);
        assert_int_equal(sl_instance_close(pair.program, pair.shards[i], UINT64_MAX / 2), 0);
        atomic_store_explicit(&pair.shards[i]->program, NULL, memory_order_release);
    }
    sl_program_free(pair.program);
    struct sl_shard *shards[SHARDS] = {pair.shards[0], pair.shards[1]};
    sl_remote_fini(shards, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) bench_shard_free(shards[i]);
    return 0;
}

/* Both shards, one after the other; time moves by a tick. */
static void turn(int count)
{
    for (int i = 0; i < count; i++) {
        for (uint32_t s = 0; s < SHARDS; s++) sl_loop_turn(&pair.shards[s]->loop, 0);
        sl_clock_manual_advance(&pair.clock, SL_NS_PER_MS);
    }
}

static struct sl_process *ask_begin(struct ask *ask, struct sl_value value, uint64_t deadline_ns)
{
    *ask = (struct ask){.reply.fn = asked};
    struct sl_process *process =
        sl_process_new(pair.shards[0], sl_instance_current(pair.shards[0]), NULL, deadline_ns);
    assert_non_null(process);
    sl_process_call(process, &pair.program->symbols[0], 0, value, &ask->reply);
    sl_process_finish(process);
    return process;
}

static struct sl_value number(int64_t value)
{
    return sl_value_new_int(pair.shards[0]->loop.mem, value);
}

static void error_is(struct sl_value value, const char *code)
{
    assert_true(sl_value_is(value, SL_VALUE_ERROR));
    assert_true(sl_slice_eq_str(sl_value_slice(sl_error_part(value, SL_ERROR_CODE)), code));
}

/* 0 → 1 → 0: the third node is reached from the other shard. */
static void remote_call_of_a_placed_node_answers_as_a_local_one_does(void **state)
{
    (void)state;
    struct sl_node *nodes[] = {node_make(&kind_digit, 1, "a", -1, SHARDS),
                               node_make(&kind_digit, 2, "b", 1, SHARDS),
                               node_make(&kind_digit, 3, "c", 0, SHARDS)};
    open_program(chain_make(nodes, 3, SHARDS));
    struct ask ask;
    (void)ask_begin(&ask, number(0), 0);
    assert_int_equal(ask.answers, 0);
    turn(5);
    assert_int_equal(ask.answers, 1);
    assert_int_equal(ask.answer.cell->i64, 1002003);
    sl_value_unref(ask.answer);
    struct sl_remote_stats stats;
    for (uint32_t i = 0; i < SHARDS; i++) {
        sl_remote_stats_get(pair.shards[i], &stats);
        assert_int_equal(stats.calls, 1);
        assert_int_equal(stats.answers, 1);
    }
}

/* What the node on the other shard was told. */
static struct sl_span seen_span;
static struct sl_tracestate seen_state;

static enum sl_step look_run(struct sl_call *call)
{
    sl_process_span_get(call->process, &seen_span, &seen_state);
    return SL_STEP_ANSWER;
}

static const struct sl_kind kind_look = {
    .name = "look", .flags = SL_KIND_TRANSFORMS, .outs_max = 1, .ins_max = 1, .run = look_run};

static void told_span(const struct sl_process *process, struct sl_span *ret_span,
                      struct sl_tracestate *ret_state)
{
    (void)process;
    *ret_span = (struct sl_span){.trace_id = {1}, .id = {2}, .parent = {3}, .flags = 1};
    if (ret_state != NULL) *ret_state = (struct sl_tracestate){5, "a=1,b"};
}

static void remote_call_carries_the_span_of_its_process(void **state)
{
    (void)state;
    struct sl_node *nodes[] = {node_make(&kind_digit, 1, "a", -1, SHARDS),
                               node_make(&kind_look, 2, "b", 1, SHARDS)};
    open_program(chain_make(nodes, 2, SHARDS));
    struct ask ask = {.reply.fn = asked};
    struct sl_process *process =
        sl_process_new(pair.shards[0], sl_instance_current(pair.shards[0]), NULL, 0);
    process->span = told_span;
    sl_process_call(process, &pair.program->symbols[0], 0, number(0), &ask.reply);
    struct sl_span sent;
    told_span(process, &sent, NULL);
    sl_process_finish(process);
    turn(5);
    assert_int_equal(ask.answers, 1);
    sl_value_unref(ask.answer);
    assert_memory_equal(&seen_span, &sent, sizeof(sent));
    assert_int_equal(seen_state.size, 5);
    assert_memory_equal(seen_state.text, "a=1,b", 5);

    /* Nobody has told it: one that is made, and the same there. */
    process = ask_begin(&ask, number(0), 0);
    sl_process_span_get(process, &sent, NULL);
    turn(5);
    sl_value_unref(ask.answer);
    assert_memory_equal(&seen_span, &sent, sizeof(sent));
    assert_true(sl_span_is_root(&seen_span));
    assert_int_equal(seen_state.size, 0);
}

static void span_send_gives_each_request_its_own(void **state)
{
    (void)state;
    struct sl_node *nodes[] = {node_make(&kind_look, 1, "a", -1, SHARDS)};
    open_program(chain_make(nodes, 1, SHARDS));
    struct sl_process *process =
        sl_process_new(pair.shards[0], sl_instance_current(pair.shards[0]), NULL, 0);
    process->span = told_span;
    struct sl_process *child = sl_process_new(pair.shards[0], NULL, process, 0);
    char first[SL_TRACEPARENT_SIZE], second[SL_TRACEPARENT_SIZE];
    struct sl_tracestate passed;
    sl_process_span_send(process, first, NULL);
    sl_process_span_send(child, second, &passed);
    assert_memory_equal(first, "00-01000000000000000000000000000000-", 36);
    assert_memory_equal(second, first, 36);
    assert_memory_not_equal(second, first, SL_TRACEPARENT_SIZE);
    assert_memory_not_equal(first + 36, "0200000000000000", 16);
    assert_memory_equal(first + 52, "-01", 3);
    assert_int_equal(passed.size, 5);
    sl_process_finish(child);
    sl_process_finish(process);
}

static void nap_program(int64_t ms)
{
    struct sl_node *nodes[] = {node_make(&kind_digit, 1, "a", -1, SHARDS),
                               node_make(&kind_nap, ms, "b", 1, SHARDS)};
    open_program(chain_make(nodes, 2, SHARDS));
}

static void remote_call_that_is_cancelled_ends_on_both_shards(void **state)
{
    (void)state;
    nap_program(100000);
    struct ask ask;
    struct sl_process *process = ask_begin(&ask, number(0), 0);
    turn(5);
    assert_int_equal(pair.shards[1]->processes_count, 1);
    sl_process_cancel(process, sl_value_new_error(pair.shards[0]->loop.mem, "gone", 499, "gone"));
    turn(5);
    assert_int_equal(ask.answers, 1);
    error_is(ask.answer, "gone");
    sl_value_unref(ask.answer);
    assert_int_equal(pair.shards[1]->processes_count, 0);
}

static void remote_call_beyond_its_deadline_answers_deadline(void **state)
{
    (void)state;
    nap_program(100000);
    struct ask ask;
    (void)ask_begin(&ask, number(0), pair.clock.now_ns + 20 * SL_NS_PER_MS);
    turn(10);
    assert_int_equal(ask.answers, 0);
    turn(30);
    assert_int_equal(ask.answers, 1);
    assert_true(sl_value_is(ask.answer, SL_VALUE_ERROR));
    sl_value_unref(ask.answer);
}

/* Larger than a record of the ring: through the slab, there and back. */
static void remote_call_with_a_large_packet_arrives_whole(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    struct sl_node *nodes[] = {node_make(&kind_nap, 1, "b", 1, SHARDS)};
    open_program(chain_make(nodes, 1, SHARDS));
    char *text = malloc(SIZE);
    for (int i = 0; i < SIZE; i++) text[i] = (char)('a' + i % 23);
    for (int round = 0; round < 20; round++) {
        struct ask ask;
        struct sl_value value = sl_value_new_string(pair.shards[0]->loop.mem, text, SIZE);
        assert_false(sl_value_is_none(value));
        (void)ask_begin(&ask, value, 0);
        turn(8);
        assert_int_equal(ask.answers, 1);
        assert_true(sl_value_is(ask.answer, SL_VALUE_STRING));
        assert_int_equal(sl_value_slice(ask.answer).size, SIZE);
        assert_memory_equal(sl_value_slice(ask.answer).data, text, SIZE);
        sl_value_unref(ask.answer);
    }
    free(text);
}

/* The other shard does not run: the ring fills, and what finds no room is answered at once. */
static void remote_call_without_room_answers_and_the_rest_still_comes(void **state)
{
    (void)state;
    nap_program(0);
    struct ask *asks = calloc(CALLS_MAX, sizeof(*asks));
    uint32_t count = 0, refused = 0;
    while (refused == 0 && count < CALLS_MAX) {
        (void)ask_begin(&asks[count], number(count), 0);
        refused += asks[count].answers;
        count++;
    }
    assert_int_equal(refused, 1);
    assert_true(count > 1000);
    assert_true(sl_value_is(asks[count - 1].answer, SL_VALUE_ERROR));
    turn((int)count / 8 + 100);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(asks[i].answers, 1);
        sl_value_unref(asks[i].answer);
    }
    free(asks);
    struct sl_remote_stats stats;
    sl_remote_stats_get(pair.shards[0], &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.calls, count - 1);
}

/* The ring is full of calls when one that runs already is cancelled: it ends long before its time. */
static void remote_cancel_without_room_is_delivered_later(void **state)
{
    (void)state;
    nap_program(20000);
    struct ask *asks = calloc(CALLS_MAX, sizeof(*asks));
    struct sl_process **processes = calloc(CALLS_MAX, sizeof(*processes));
    uint32_t count = 0;
    do {
        processes[count] = ask_begin(&asks[count], number(count), 0);
        if (count == 0) turn(5);
    } while (asks[count++].answers == 0);
    assert_int_equal(pair.shards[1]->processes_count, 1);
    sl_process_cancel(processes[0], sl_error_no_memory());
    turn((int)count / 8 + 100);
    assert_int_equal(asks[0].answers, 1);
    assert_int_equal(pair.shards[1]->processes_count, count - 2);
    for (uint32_t i = 1; i < count - 1; i++) {
        assert_int_equal(asks[i].answers, 0);
        sl_process_cancel(processes[i], sl_error_no_memory());
    }
    turn((int)count / 8 + 100);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(asks[i].answers, 1);
        sl_value_unref(asks[i].answer);
    }
    free(processes);
    free(asks);
}

/* The answer came before there was room to ask for the end: nothing is asked any more. */
static void remote_cancel_without_room_is_dropped_with_the_answer(void **state)
{
    (void)state;
    nap_program(3);
    struct ask *asks = calloc(CALLS_MAX, sizeof(*asks));
    uint32_t count = 0;
    struct sl_process *first = NULL;
    do {
        struct sl_process *process = ask_begin(&asks[count], number(count), 0);
        if (count == 0) first = process;
        if (count == 0) sl_loop_turn(&pair.shards[1]->loop, 0);
    } while (asks[count++].answers == 0);
    sl_process_cancel(first, sl_error_no_memory());
    /* Only the other shard runs: its answer is there before the first shard has looked. */
    for (int i = 0; i < 10; i++) {
        sl_clock_manual_advance(&pair.clock, SL_NS_PER_MS);
        if (i < 1) sl_loop_turn(&pair.shards[1]->loop, 0);
    }
    turn((int)count / 8 + 100);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(asks[i].answers, 1);
        sl_value_unref(asks[i].answer);
    }
    free(asks);
}

#define WITH_PAIR(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(remote_call_of_a_placed_node_answers_as_a_local_one_does),
        WITH_PAIR(remote_call_carries_the_span_of_its_process),
        WITH_PAIR(span_send_gives_each_request_its_own),
        WITH_PAIR(remote_call_that_is_cancelled_ends_on_both_shards),
        WITH_PAIR(remote_call_beyond_its_deadline_answers_deadline),
        WITH_PAIR(remote_call_with_a_large_packet_arrives_whole),
        WITH_PAIR(remote_call_without_room_answers_and_the_rest_still_comes),
        WITH_PAIR(remote_cancel_without_room_is_delivered_later),
        WITH_PAIR(remote_cancel_without_room_is_dropped_with_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
