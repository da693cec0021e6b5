/* SPDX-License-Identifier: MIT */
/* Publishing: in one thread step by step, and to two real threads while processes run. */
#include "core/graph/swap.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/remote.h"
#include "io/epoll/epoll.h"
#include "tests/core/graph/ask.h"
#include "tests/core/graph/bench_pair.h"
#include "tests/core/graph/bench_shard.h"

/* ---- one thread ------------------------------------------------------------------------------ */

struct bench {
    struct sl_epoch epoch;
    struct sl_clock_manual clock;
    struct sl_shard *shard;
    struct sl_shard *control; /* only its loop */
    struct sl_swap *swap;
    int result;
    uint32_t done;
    bool retracted;
};

static struct bench bench;
static struct sl_diag refused_diag;

static void on_done(void *ctx, int result, const struct sl_diag *diag)
{
    (void)ctx;
    bench.result = result;
    bench.done++;
    if (diag != NULL) refused_diag = *diag;
}

static void on_retracted(void *ctx)
{
    *(bool *)ctx = true;
}

static void turn(int count)
{
    for (int i = 0; i < count; i++) {
        sl_loop_turn(&bench.shard->loop, 0);
        sl_loop_turn(&bench.control->loop, bench.control->loop.now_ns + SL_NS_PER_MS);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&bench, 0, sizeof(bench));
    sl_epoch_init(&bench.epoch, 1);
    sl_clock_manual_init(&bench.clock, 1);
    bench.shard = bench_shard_new(&bench.clock, 0, &bench.epoch);
    bench.control = bench_shard_new(&bench.clock, 0, NULL);
    bench.swap = sl_swap_new(&bench.control->loop, &bench.shard, 1, &bench.epoch);
    return bench.swap == NULL;
}

static int teardown(void **state)
{
    (void)state;
    struct sl_swap_stats stats;
    sl_swap_retract(bench.swap, on_retracted, &bench.retracted);
    turn(300);
    assert_true(bench.retracted);
    sl_swap_stats_get(bench.swap, &stats);
    assert_int_equal(stats.alive, 0);
    bench.swap = sl_swap_free(bench.swap);
    bench_shard_free(bench.shard);
    bench_shard_free(bench.control);
    return 0;
}

static struct sl_program *digit_program(const struct sl_kind *kind, int64_t add)
{
    struct sl_node *nodes[] = {node_make(kind, add, "n", -1, 1)};
    return chain_make(nodes, 1, 1);
}

static void publish(struct sl_program *program)
{
    uint32_t before = bench.done;
    sl_swap_publish(bench.swap, program, on_done, NULL);
    turn(5);
    assert_int_equal(bench.done, before + 1);
}

static void swap_publish_makes_the_program_current_and_frees_the_old_one(void **state)
{
    (void)state;
    struct sl_swap_stats stats;
    struct sl_program *second = digit_program(&kind_digit, 2);
    publish(digit_program(&kind_digit, 1));
    publish(second);
    assert_ptr_equal(sl_swap_current(bench.swap), second);
    assert_ptr_equal(sl_instance_current(bench.shard)->program, second);
    turn(200);
    sl_swap_stats_get(bench.swap, &stats);
    assert_int_equal(stats.published, 2);
    assert_int_equal(stats.freed, 1);
    assert_int_equal(stats.alive, 1);
}

static int refuse(void *state, const void *config, struct sl_shard *shard, struct sl_diag *reterr)
{
    (void)state;
    (void)config;
    (void)shard;
    return sl_diag_set(reterr, "no_way", (struct sl_pos){3, 4}, "refused");
}

static const struct sl_kind kind_refused = {.name = "refused",
                                            .flags = SL_KIND_TRANSFORMS,
                                            .outs_max = 1,
                                            .ins_max = 1,
                                            .run = digit_run,
                                            .state_init = refuse};

static void swap_publish_of_what_a_shard_refuses_keeps_the_running_program(void **state)
{
    (void)state;
    struct sl_swap_stats stats;
    struct sl_program *good = digit_program(&kind_digit, 1);
    publish(good);
    publish(digit_program(&kind_refused, 2));
    assert_int_equal(bench.result, -EINVAL);
    assert_string_equal(refused_diag.code, "no_way");
    assert_ptr_equal(sl_swap_current(bench.swap), good);
    turn(200);
    sl_swap_stats_get(bench.swap, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.alive, 1);
}

static void swap_with_a_process_on_the_old_program_waits_for_it(void **state)
{
    (void)state;
    struct sl_swap_stats stats;
    struct ask ask = {.reply.fn = asked};
    struct sl_node *nodes[] = {node_make(&kind_digit, 1, "a", -1, 1),
                               node_make(&kind_nap, 500, "b", -1, 1),
                               node_make(&kind_digit, 1, "c", -1, 1)};
    struct sl_program *old = chain_make(nodes, 3, 1);
    publish(old);
    struct sl_process *process =
        sl_process_new(bench.shard, sl_instance_current(bench.shard), NULL, 0);
    sl_process_call(process, &old->symbols[0], 0, sl_value_new_int(bench.shard->loop.mem, 0),
                    &ask.reply);
    sl_process_finish(process);
    publish(digit_program(&kind_digit, 2));
    turn(200);
    sl_swap_stats_get(bench.swap, &stats);
    assert_int_equal(stats.alive, 2);
    assert_int_equal(ask.answers, 0);
    turn(600);
    assert_int_equal(ask.answers, 1);
    assert_int_equal(ask.answer.cell->i64, 1001); /* both by the old one */
    sl_value_unref(ask.answer);
    sl_swap_stats_get(bench.swap, &stats);
    assert_int_equal(stats.alive, 1);
}

/* ---- sources --------------------------------------------------------------------------------- */

static int gate_key(const void *config, char *ret_key, size_t key_size)
{
    (void)config;
    return snprintf(ret_key, key_size, "gate") > 0 ? 0 : -EINVAL;
}

static uint32_t gates_open;
static uint32_t gates_begun;

static int gate_open(struct sl_source *source, const struct sl_node *node, struct sl_diag *reterr)
{
    (void)source;
    (void)node;
    (void)reterr;
    gates_open++;
    return 0;
}

/* Nothing may come in before there is a program to take it. */
static void gate_begin(struct sl_source *source)
{
    assert_non_null(sl_source_symbol(source, NULL));
    gates_begun++;
}

static void gate_close(struct sl_source *source)
{
    gates_open--;
    sl_source_closed(source);
}

static const struct sl_source_ops gate_ops = {
    .key = gate_key, .open = gate_open, .begin = gate_begin, .close = gate_close};
static const struct sl_kind kind_gate = {
    .name = "gate", .flags = SL_KIND_ROUTES, .outs_max = 1, .run = digit_run, .source = &gate_ops};

static void source_is_kept_over_a_swap_and_closed_with_the_last_program_that_names_it(void **state)
{
    (void)state;
    gates_begun = 0;
    publish(digit_program(&kind_gate, 1));
    struct sl_source *source = sl_container_of(bench.shard->sources.next, struct sl_source, link);
    publish(digit_program(&kind_gate, 2));
    turn(200);
    assert_int_equal(gates_open, 1);
    assert_int_equal(gates_begun, 1);
    assert_ptr_equal(bench.shard->sources.next, &source->link);
    publish(digit_program(&kind_digit, 3));
    assert_int_equal(gates_open, 0);
}

/* The next program may be made at the same address: the old symbol was then taken for the new. */
static void source_forgets_the_program_that_was_freed(void **state)
{
    (void)state;
    publish(digit_program(&kind_gate, 1));
    struct sl_source *source = sl_container_of(bench.shard->sources.next, struct sl_source, link);
    assert_non_null(sl_source_symbol(source, NULL));
    assert_ptr_equal(source->seen, sl_swap_current(bench.swap));
    publish(digit_program(&kind_gate, 2));
    turn(200); /* nobody has asked since: the cache is of the freed one */
    assert_null(source->seen);
    assert_null(source->symbol);
    assert_ptr_equal(sl_source_symbol(source, NULL), &sl_swap_current(bench.swap)->symbols[0]);
    publish(digit_program(&kind_digit, 3));
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { FLIPS = 10 * 1000 * 1000 };

static _Atomic bool flips_end;
static struct sl_program *flipped[2];

static void *flip_main(void *ctx)
{
    struct sl_shard *shard = ctx;
    for (uint32_t i = 0; !atomic_load_explicit(&flips_end, memory_order_relaxed); i++) {
        atomic_store_explicit(&shard->program, flipped[i % 2], memory_order_release);
    }
    return NULL;
}

/* Two looks at the shard's pointer walked one program with the states of the next. */
static void source_symbol_while_programs_change_belongs_to_the_instance(void **state)
{
    struct sl_instance instances[2];
    pthread_t thread;
    (void)state;
    for (int i = 0; i < 2; i++) {
        flipped[i] = digit_program(&kind_gate, i + 1);
        memset(&instances[i], 0, sizeof(instances[i]));
        instances[i].program = flipped[i];
        flipped[i]->instances[0] = &instances[i];
    }
    struct sl_source source = {.shard = bench.shard, .key = flipped[0]->sources[0].key};
    atomic_store_explicit(&bench.shard->program, flipped[0], memory_order_release);
    atomic_store(&flips_end, false);
    assert_int_equal(pthread_create(&thread, NULL, flip_main, bench.shard), 0);
    uint32_t mixed = 0;
    for (uint32_t i = 0; i < FLIPS; i++) {
        struct sl_instance *instance = NULL;
        const struct sl_symbol *symbol = sl_source_symbol(&source, &instance);
        mixed += symbol != &instance->program->symbols[0];
    }
    atomic_store(&flips_end, true);
    (void)pthread_join(thread, NULL);
    atomic_store(&bench.shard->program, NULL);
    for (int i = 0; i < 2; i++) {
        flipped[i]->instances[0] = NULL;
        flipped[i] = sl_program_free(flipped[i]);
    }
    assert_int_equal(mixed, 0);
}

enum { THREADS = 2, SWAPS = 150, RUNNERS = 4 };

/* On a shard: begins a process whenever the one before has ended. */
struct runner {
    struct sl_reply reply; /* first */
    struct sl_mail mail;
    struct sl_task task;
    struct sl_shard *shard;
    uint64_t answers;
    uint64_t wrong;
};

static struct {
    struct sl_epoch epoch;
    struct sl_loop control;
    struct sl_shard *shards[THREADS];
    struct sl_swap *swap;
    struct runner runners[THREADS * RUNNERS];
    _Atomic bool stopping;
    _Atomic uint32_t running;
    uint32_t published;
    bool retracted;
} crowd;

static void runner_answered(struct sl_reply *reply, struct sl_value answer)
{
    struct runner *runner = (struct runner *)reply;
    runner->answers++;
    /* All digits are of one program: v * 1001001. */
    if (!sl_value_is(answer, SL_VALUE_INT) || answer.cell->i64 % 1001001 != 0) runner->wrong++;
    sl_value_unref(answer);
    sl_loop_task_add(&runner->shard->loop, &runner->task);
}

static void runner_go(struct sl_task *task)
{
    struct runner *runner = sl_container_of(task, struct runner, task);
    if (atomic_load_explicit(&crowd.stopping, memory_order_relaxed)) {
        atomic_fetch_sub_explicit(&crowd.running, 1, memory_order_release);
        return;
    }
    struct sl_instance *instance = sl_instance_current(runner->shard);
    struct sl_process *process = sl_process_new(runner->shard, instance, NULL, 0);
    if (process == NULL) abort();
    sl_process_call(process, &instance->program->symbols[0], 0,
                    sl_value_new_int(runner->shard->loop.mem, 0), &runner->reply);
    sl_process_finish(process);
}

static void runner_begin(struct sl_mail *mail)
{
    struct runner *runner = sl_container_of(mail, struct runner, mail);
    sl_task_init(&runner->task, runner_go);
    sl_loop_task_add(&runner->shard->loop, &runner->task);
}

static struct sl_poller *epoll_make(void *ctx, struct sl_clock *clock, struct sl_diag *reterr)
{
    (void)ctx;
    return sl_poller_epoll_new(NULL, clock, reterr);
}

static struct sl_program *crowd_program(int64_t version)
{
    struct sl_node *nodes[] = {node_make(&kind_digit, version, "a", -1, THREADS),
                               node_make(&kind_digit, version, "b", 1, THREADS),
                               node_make(&kind_digit, version, "c", 0, THREADS)};
    return chain_make(nodes, 3, THREADS);
}

static void crowd_published(void *ctx, int result, const struct sl_diag *diag)
{
    (void)ctx;
    (void)diag;
    assert_int_equal(result, 0);
    crowd.published++;
}

static void crowd_publish(int64_t version)
{
    sl_swap_publish(crowd.swap, crowd_program(version), crowd_published, NULL);
    while (sl_swap_is_busy(crowd.swap)) {
        sl_loop_turn(&crowd.control, crowd.control.now_ns + SL_NS_PER_MS);
    }
}

static void crowd_begin(void)
{
    memset(&crowd, 0, sizeof(crowd));
    sl_epoch_init(&crowd.epoch, THREADS);
    sl_loop_init(&crowd.control, sl_poller_epoll_new(NULL, sl_clock_system(), NULL),
                 sl_clock_system(), sl_mem_new(1 << 20));
    for (uint32_t i = 0; i < THREADS; i++) {
        crowd.shards[i] = aligned_alloc(128, sizeof(struct sl_shard));
        memset(crowd.shards[i], 0, sizeof(struct sl_shard));
        crowd.shards[i]->index = i;
        crowd.shards[i]->peers = crowd.shards;
        crowd.shards[i]->peers_count = THREADS;
    }
    assert_int_equal(sl_remote_init(crowd.shards, THREADS), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        struct sl_shard_config cfg = {.index = i,
                                      .cpu = -1,
                                      .epoch = &crowd.epoch,
                                      .control = &crowd.control,
                                      .clock = sl_clock_system(),
                                      .memory_max = (size_t)64 << 20,
                                      .poller_new = epoll_make,
                                      .started = sl_remote_attach};
        assert_int_equal(sl_shard_start(crowd.shards[i], &cfg, NULL), 0);
    }
    crowd.swap = sl_swap_new(&crowd.control, crowd.shards, THREADS, &crowd.epoch);
}

static void crowd_end(void)
{
    atomic_store_explicit(&crowd.stopping, true, memory_order_relaxed);
    while (atomic_load_explicit(&crowd.running, memory_order_acquire) > 0) {
        sl_loop_turn(&crowd.control, crowd.control.now_ns + SL_NS_PER_MS);
    }
    sl_swap_retract(crowd.swap, on_retracted, &crowd.retracted);
    while (!crowd.retracted) {
        sl_loop_turn(&crowd.control, crowd.control.now_ns + SL_NS_PER_MS);
    }
    for (uint32_t i = 0; i < THREADS; i++) sl_shard_stop(crowd.shards[i]);
    sl_remote_fini(crowd.shards, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) free(crowd.shards[i]);
}

static void swap_under_processes_on_two_threads_gives_answers_of_one_version(void **state)
{
    (void)state;
    crowd_begin();
    crowd_publish(1);
    atomic_store_explicit(&crowd.running, THREADS * RUNNERS, memory_order_relaxed);
    for (uint32_t i = 0; i < THREADS * RUNNERS; i++) {
        struct runner *runner = &crowd.runners[i];
        *runner = (struct runner){.reply.fn = runner_answered,
                                  .mail.fn = runner_begin,
                                  .shard = crowd.shards[i % THREADS]};
        sl_loop_post(&runner->shard->loop, &runner->mail);
    }
    for (int64_t version = 2; version <= SWAPS; version++) crowd_publish(version);
    crowd_end();
    uint64_t answers = 0;
    for (uint32_t i = 0; i < THREADS * RUNNERS; i++) {
        assert_int_equal(crowd.runners[i].wrong, 0);
        answers += crowd.runners[i].answers;
    }
    struct sl_swap_stats stats;
    sl_swap_stats_get(crowd.swap, &stats);
    assert_int_equal(stats.alive, 0);
    assert_int_equal(stats.freed, SWAPS);
    assert_int_equal(crowd.published, SWAPS);
    assert_true(answers > 0);
    crowd.swap = sl_swap_free(crowd.swap);
    sl_loop_fini(&crowd.control);
}

#define WITH_BENCH(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(swap_publish_makes_the_program_current_and_frees_the_old_one),
        WITH_BENCH(swap_publish_of_what_a_shard_refuses_keeps_the_running_program),
        WITH_BENCH(swap_with_a_process_on_the_old_program_waits_for_it),
        WITH_BENCH(source_is_kept_over_a_swap_and_closed_with_the_last_program_that_names_it),
        WITH_BENCH(source_forgets_the_program_that_was_freed),
        WITH_BENCH(source_symbol_while_programs_change_belongs_to_the_instance),
        cmocka_unit_test(swap_under_processes_on_two_threads_gives_answers_of_one_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
