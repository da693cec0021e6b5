/* SPDX-License-Identifier: MIT */
/*
 * A packet from one shard to another and its answer back (`placement: core N`): sealed, through a
 * ring, a child process over there, and the same way home.
 *
 *     alone    both shards in one thread: what the instructions of both sides cost
 *     busy     a thread each, both with other work: the caches' part comes on top
 *     awake    the other shard has nothing else to do and says so, but watches: it has to be asked
 *     asleep   the other shard sleeps in its poller and has to be woken
 *
 * Beside it the least that a hand-over between two threads can be, so that the reader sees which part
 * is the machine's. Figures are of the round trip; one way is half of it.
 */
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/bare.h"
#include "bench/micro/micro.h"
#include "bench/run.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/tsc.h"
#include "core/graph/remote.h"
#include "io/epoll/epoll.h"

enum { PAUSE_NS = 100 * 1000 };

enum way { WAY_ALONE, WAY_BUSY, WAY_AWAKE, WAY_ASLEEP };

/* What the other thread has to do; each step is acknowledged by `done`. */
enum step { STEP_NONE, STEP_OPEN, STEP_RUN, STEP_CLOSE, STEP_END };

struct pair {
    struct sl_shard *shards[2];
    struct sl_program *program;
    struct sl_reply reply;
    bool answered;
    enum way way;
    int core; /* of the other thread */
    pthread_t thread;
    alignas(128) _Atomic int step; /* written by main, seldom; read by the other at every turn */
    alignas(128) _Atomic int done; /* written by the other thread */
};

static void answered(struct sl_reply *reply, struct sl_value answer)
{
    struct pair *pair = sl_container_of(reply, struct pair, reply);
    sl_assert(!sl_value_is(answer, SL_VALUE_ERROR));
    pair->answered = true;
    sl_value_unref(answer);
}

static struct sl_shard *other_new(const struct pair *pair)
{
    struct sl_poller *poller = NULL;
    if (pair->way == WAY_ASLEEP) {
        poller = sl_poller_epoll_new(NULL, sl_clock_system(), NULL);
        sl_assert(poller != NULL);
    }
    return sl_micro_bare_new(1, poller);
}

static void done_set(struct pair *pair, enum step step)
{
    /* Release pairs with main's acquire: what the step made is there. */
    atomic_store_explicit(&pair->done, (int)step, memory_order_release);
}

static void *other_main(void *arg)
{
    struct pair *pair = arg;
    if (pair->core >= 0) (void)sl_run_pin(pair->core);
    struct sl_shard *shard = other_new(pair);
    pair->shards[1] = shard;
    done_set(pair, STEP_NONE);
    for (;;) {
        enum step step = (enum step)atomic_load_explicit(&pair->step, memory_order_acquire);
        enum step last = (enum step)atomic_load_explicit(&pair->done, memory_order_relaxed);
        if (step == STEP_OPEN && last != STEP_OPEN) {
            sl_remote_attach(shard);
            sl_micro_chain_open(pair->program, shard);
        }
        if (step == STEP_CLOSE && last != STEP_CLOSE) sl_micro_chain_close(pair->program, shard);
        if (step != last) done_set(pair, step);
        if (step == STEP_END) break; /* done was told: main waits for the thread */
        sl_loop_turn(&shard->loop, step == STEP_RUN && pair->way != WAY_BUSY ? UINT64_MAX : 0);
    }
    sl_shard_fini(shard); /* its memory belongs to this thread */
    return NULL;
}

/* The other thread sleeps in STEP_RUN alone; after STEP_END its poller may be gone at once. */
static void step_do(struct pair *pair, enum step step)
{
    bool running = atomic_load_explicit(&pair->done, memory_order_relaxed) == STEP_RUN;
    atomic_store_explicit(&pair->step, (int)step, memory_order_release);
    if (running && pair->way == WAY_ASLEEP) {
        struct sl_poller *poller = pair->shards[1]->loop.poller;
        poller->ops->wake(poller);
    }
    while (atomic_load_explicit(&pair->done, memory_order_acquire) != (int)step) {
        (void)sched_yield();
    }
}

static void program_open(struct pair *pair)
{
    static const struct sl_kind *const kinds[] = {&sl_micro_kind_pass, &sl_micro_kind_pass};
    static const int place[] = {-1, 1};
    for (int i = 0; i < 2; i++) {
        pair->shards[i]->peers = pair->shards;
        pair->shards[i]->peers_count = 2;
    }
    int result = sl_remote_init(pair->shards, 2);
    sl_assert(result == 0);
    pair->program = sl_micro_chain_new(kinds, place, 2, 2);
    sl_remote_attach(pair->shards[0]);
    sl_micro_chain_open(pair->program, pair->shards[0]);
    if (pair->way == WAY_ALONE) {
        sl_remote_attach(pair->shards[1]);
        sl_micro_chain_open(pair->program, pair->shards[1]);
        return;
    }
    step_do(pair, STEP_OPEN);
    step_do(pair, STEP_RUN);
}

static int pair_setup(struct sl_micro_run *run)
{
    enum way way = *(const enum way *)run->arg;
    if (way != WAY_ALONE && run->cores_count < 2) {
        run->why = "needs two cores (--cores)";
        return SL_MICRO_SKIPPED;
    }
    struct pair *pair = aligned_alloc(alignof(struct pair), sizeof(*pair));
    sl_assert(pair != NULL);
    memset(pair, 0, sizeof(*pair));
    pair->way = way;
    pair->core = run->cores_count > 1 ? run->cores[1] : -1;
    pair->shards[0] = sl_micro_bare_new(0, NULL);
    atomic_store(&pair->done, -1);
    if (way == WAY_ALONE) {
        pair->shards[1] = other_new(pair);
    } else {
        int result = pthread_create(&pair->thread, NULL, other_main, pair);
        sl_assert(result == 0);
        while (atomic_load_explicit(&pair->done, memory_order_acquire) < 0) (void)sched_yield();
    }
    program_open(pair);
    run->state = pair;
    return 0;
}

static void pair_teardown(struct sl_micro_run *run)
{
    struct pair *pair = run->state;
    sl_micro_chain_close(pair->program, pair->shards[0]);
    if (pair->way == WAY_ALONE) {
        sl_micro_chain_close(pair->program, pair->shards[1]);
    } else {
        step_do(pair, STEP_CLOSE);
        step_do(pair, STEP_END);
        (void)pthread_join(pair->thread, NULL);
    }
    (void)sl_program_free(pair->program);
    if (pair->way == WAY_ALONE) sl_shard_fini(pair->shards[1]);
    sl_shard_fini(pair->shards[0]);
    sl_remote_fini(pair->shards, 2);
    for (int i = 0; i < 2; i++) free(pair->shards[i]);
    free(pair);
}

static void trip_run(struct sl_micro_run *run, uint64_t count)
{
    struct pair *pair = run->state;
    for (uint64_t i = 0; i < count; i++) {
        pair->answered = false;
        pair->reply = (struct sl_reply){.fn = answered};
        sl_micro_process_run(pair->shards[0], pair->program, 0, &pair->reply);
        while (!pair->answered) {
            sl_loop_turn(&pair->shards[0]->loop, 0);
            if (pair->way == WAY_ALONE) sl_loop_turn(&pair->shards[1]->loop, 0);
        }
    }
}

/* One trip at a time, each after a pause in which the other shard falls asleep. */
static int trip_sample(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns)
{
    struct sl_clock *clock = sl_clock_system();
    for (uint64_t i = 0; i < count; i++) {
        sl_micro_pause(PAUSE_NS);
        uint64_t begin_ns = sl_clock_now_ns(clock);
        trip_run(run, 1);
        ret_ns[i] = sl_clock_now_ns(clock) - begin_ns;
    }
    return 0;
}

/* ---- the machine ----------------------------------------------------------------------------- */

enum { LINES = 3 }; /* of data, as a small packet has */

/*
 * Two threads and the least that a hand-over can be: a word that the other side waits for, and, in
 * the second row, lines of data that are written before it and read after it, as a ring does.
 */
struct word {
    uint32_t lines;
    int core; /* of the other thread */
    pthread_t thread;
    alignas(128) _Atomic uint64_t there; /* UINT64_MAX: end */
    alignas(128) uint64_t there_data[LINES * 8];
    alignas(128) _Atomic uint64_t back;
    alignas(128) uint64_t back_data[LINES * 8];
};

static uint64_t word_await(_Atomic uint64_t *at, uint64_t last)
{
    uint64_t value;
    /* Acquire pairs with the release of word_send: the data is there. */
    while ((value = atomic_load_explicit(at, memory_order_acquire)) == last) sl_cpu_relax();
    return value;
}

static void word_send(_Atomic uint64_t *at, uint64_t *data, uint32_t lines, uint64_t value)
{
    for (uint32_t i = 0; i < lines; i++) data[i * 8] = value;
    atomic_store_explicit(at, value, memory_order_release);
}

static void data_check(const uint64_t *data, uint32_t lines, uint64_t value)
{
    for (uint32_t i = 0; i < lines; i++) sl_assert(data[i * 8] == value);
}

static void *word_main(void *arg)
{
    struct word *word = arg;
    if (word->core >= 0) (void)sl_run_pin(word->core);
    for (uint64_t last = 0;;) {
        last = word_await(&word->there, last);
        if (last == UINT64_MAX) return NULL;
        data_check(word->there_data, word->lines, last);
        word_send(&word->back, word->back_data, word->lines, last);
    }
}

static int word_setup(struct sl_micro_run *run)
{
    if (run->cores_count < 2) {
        run->why = "needs two cores (--cores)";
        return SL_MICRO_SKIPPED;
    }
    struct word *word = aligned_alloc(alignof(struct word), sizeof(*word));
    sl_assert(word != NULL);
    memset(word, 0, sizeof(*word));
    word->lines = *(const uint32_t *)run->arg;
    word->core = run->cores[1];
    int result = pthread_create(&word->thread, NULL, word_main, word);
    sl_assert(result == 0);
    run->state = word;
    return 0;
}

static void word_teardown(struct sl_micro_run *run)
{
    struct word *word = run->state;
    atomic_store_explicit(&word->there, UINT64_MAX, memory_order_release);
    (void)pthread_join(word->thread, NULL);
    free(word);
}

static void word_run(struct sl_micro_run *run, uint64_t count)
{
    struct word *word = run->state;
    uint64_t last = atomic_load_explicit(&word->back, memory_order_relaxed);
    for (uint64_t i = 0; i < count; i++) {
        word_send(&word->there, word->there_data, word->lines, last + 1);
        last = word_await(&word->back, last);
        data_check(word->back_data, word->lines, last);
    }
}

static const uint32_t NO_LINES = 0;
static const uint32_t SOME_LINES = LINES;
static const enum way ALONE = WAY_ALONE;
static const enum way BUSY = WAY_BUSY;
static const enum way AWAKE = WAY_AWAKE;
static const enum way ASLEEP = WAY_ASLEEP;

#define CASE(case_name, text, which)                                                               \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = pair_setup, .run = trip_run,                \
        .teardown = pair_teardown, .arg = &(which)                                                 \
    }

static const struct sl_micro_case CASES[] = {
    {.name = "shard/word",
     .about = "one word there and back between two cores: what the machine takes",
     .setup = word_setup,
     .run = word_run,
     .teardown = word_teardown,
     .arg = &NO_LINES},
    {.name = "shard/lines",
     .about = "the same with three lines of data before the word",
     .setup = word_setup,
     .run = word_run,
     .teardown = word_teardown,
     .arg = &SOME_LINES},
    CASE("shard/alone", "there and back, both shards in one thread", ALONE),
    CASE("shard/busy", "there and back between two cores, both busy", BUSY),
    CASE("shard/awake", "the same, the other one idle but awake", AWAKE),
    {.name = "shard/asleep",
     .about = "there and back, the other shard sleeps and is woken",
     .setup = pair_setup,
     .sample = trip_sample,
     .teardown = pair_teardown,
     .arg = &ASLEEP},
};

const struct sl_micro_group sl_micro_shard = SL_MICRO_GROUP("shard", CASES);
