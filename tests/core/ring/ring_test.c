/* SPDX-License-Identifier: MIT */
/*
 * The ring: records in and out, wraparound against a plain model, the slab, a hostile other side,
 * all interleavings of the hand-shakes, two threads, two processes.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/ring/ring.h"
#include "core/ring/ring_fast.h"

static void *block;
static size_t block_size;
static struct sl_ring_producer producer;
static struct sl_ring_consumer consumer;

static void ring_make(size_t data_size, size_t slab_size, bool hostile)
{
    block_size = sl_ring_block_size(data_size, slab_size);
    block = mmap(NULL, block_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(block, MAP_FAILED);
    sl_ring_format(block, data_size, slab_size);
    assert_int_equal(sl_ring_producer_attach(&producer, block, block_size, hostile), 0);
    assert_int_equal(sl_ring_consumer_attach(&consumer, block, block_size, hostile), 0);
}

static void ring_end(void)
{
    (void)munmap(block, block_size);
    block = NULL;
}

static uint8_t byte_at(uint64_t record, size_t i)
{
    return (uint8_t)(record * 131 + i * 7 + (i >> 8));
}

static void fill(uint8_t *data, uint64_t record, size_t size)
{
    for (size_t i = 0; i < size; i++) data[i] = byte_at(record, i);
}

static bool is_filled(const uint8_t *data, uint64_t record, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != byte_at(record, i)) return false;
    }
    return true;
}

static void push_unpublished_not_seen(void **state)
{
    (void)state;
    struct sl_ring_view view;
    ring_make(4096, 0, false);
    assert_int_equal(sl_ring_peek(&consumer, &view), 0);
    assert_int_equal(sl_ring_push(&producer, 7, "hello", 5), 0);
    assert_int_equal(sl_ring_push(&producer, 8, NULL, 0), 0);
    assert_int_equal(sl_ring_peek(&consumer, &view), 0);
    assert_true(sl_ring_is_empty(&consumer));
    assert_false(sl_ring_publish(&producer));
    assert_int_equal(sl_ring_peek(&consumer, &view), 1);
    assert_int_equal(view.kind, 7);
    assert_int_equal(view.size, 5);
    assert_memory_equal(view.data, "hello", 5);
    assert_int_equal((uintptr_t)view.data % SL_RING_ALIGN, 0);
    assert_int_equal(sl_ring_peek(&consumer, &view), 1); /* looking does not consume */
    assert_int_equal(view.kind, 7);
    sl_ring_consume(&consumer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 1);
    assert_int_equal(view.kind, 8);
    assert_int_equal(view.size, 0);
    sl_ring_consume(&consumer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 0);
    ring_end();
}

static void reserve_two_phases_may_shrink_or_abort(void **state)
{
    (void)state;
    struct sl_ring_view view;
    ring_make(4096, 0, false);
    uint8_t *to = sl_ring_reserve(&producer, 1000);
    assert_non_null(to);
    fill(to, 1, 10);
    sl_ring_commit(&producer, 1, 10);
    assert_non_null(sl_ring_reserve(&producer, 1000));
    sl_ring_abort(&producer);
    (void)sl_ring_publish(&producer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 1);
    assert_int_equal(view.size, 10);
    sl_ring_consume(&consumer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 0);
    assert_int_equal(producer.tail, 8 + 16);
    ring_end();
}

static void push_full_refused_until_released(void **state)
{
    (void)state;
    uint8_t data[504] = {0};
    struct sl_ring_view view;
    ring_make(4096, 0, false);
    for (int i = 0; i < 8; i++) assert_int_equal(sl_ring_push(&producer, 1, data, 504), 0);
    assert_int_equal(sl_ring_push(&producer, 1, data, 504), -EAGAIN);
    assert_int_equal(sl_ring_push(&producer, 1, data, 0), -EAGAIN);
    (void)sl_ring_publish(&producer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 1);
    sl_ring_consume(&consumer);
    assert_int_equal(sl_ring_push(&producer, 1, data, 504), -EAGAIN); /* not released yet */
    (void)sl_ring_release(&consumer);
    assert_int_equal(sl_ring_push(&producer, 1, data, 504), 0);
    assert_int_equal(sl_ring_push(&producer, 1, data, 2041), -EMSGSIZE);
    ring_end();
}

/* The largest record fits an empty ring at every position. */
static void push_largest_fits_at_every_position(void **state)
{
    (void)state;
    static uint8_t data[2040];
    struct sl_ring_view view;
    for (size_t shift = 0; shift < 4096; shift += 8) {
        ring_make(4096, 0, false);
        assert_int_equal(sl_ring_record_size_max(&producer.map), sizeof(data));
        for (size_t left = shift; left > 0;) {
            size_t step = left > 2048 ? 2048 : left;
            assert_int_equal(sl_ring_push(&producer, 1, data, step - 8), 0);
            left -= step;
        }
        (void)sl_ring_publish(&producer);
        while (sl_ring_peek(&consumer, &view) == 1) sl_ring_consume(&consumer);
        (void)sl_ring_release(&consumer);
        fill(data, shift, sizeof(data));
        assert_int_equal(sl_ring_push(&producer, 2, data, sizeof(data)), 0);
        (void)sl_ring_publish(&producer);
        assert_int_equal(sl_ring_peek(&consumer, &view), 1);
        assert_true(is_filled(view.data, shift, sizeof(data)));
        ring_end();
    }
}

/* Random pushes, publishes, peeks and releases against counters. */
static void random_walk_matches_model(void **state)
{
    (void)state;
    static uint8_t data[2048];
    struct sl_clock_manual random;
    struct sl_ring_view view;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t pushed = 0, published = 0, popped = 0;
        sl_clock_manual_init(&random, seed);
        ring_make(8192, 0, false);
        for (int i = 0; i < 20000; i++) {
            uint64_t word;
            random.base.random(&random.base, &word, sizeof(word));
            size_t size = (word >> 8) % ((word >> 40) % 4 == 0 ? 2000 : 60);
            switch (word % 4) {
            case 0:
            case 1:
                fill(data, pushed, size);
                if (sl_ring_push(&producer, (uint32_t)pushed & 0xffff, data, size) == 0) pushed++;
                break;
            case 2:
                (void)sl_ring_publish(&producer);
                published = pushed;
                break;
            default:
                for (uint64_t n = (word >> 8) % 8; n > 0 && sl_ring_peek(&consumer, &view) == 1;
                     n--) {
                    assert_true(popped < published);
                    assert_int_equal(view.kind, popped & 0xffff);
                    assert_true(is_filled(view.data, popped, view.size));
                    popped++;
                    sl_ring_consume(&consumer);
                }
                (void)sl_ring_release(&consumer);
                break;
            }
        }
        (void)sl_ring_publish(&producer);
        while (sl_ring_peek(&consumer, &view) == 1) {
            assert_true(is_filled(view.data, popped, view.size));
            popped++;
            sl_ring_consume(&consumer);
        }
        assert_int_equal(popped, pushed);
        assert_true(pushed > 1000);
        ring_end();
    }
}

/* The slab. */

static void push_large_goes_through_slab_and_back(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    static uint8_t data[SIZE];
    struct sl_ring_view view;
    ring_make(4096, 1 << 20, false);
    assert_int_equal(sl_ring_slab_size_max(&producer), 1 << 20);
    for (uint64_t round = 0; round < 50; round++) {
        fill(data, round, SIZE);
        assert_int_equal(sl_ring_push(&producer, 9, data, SIZE), 0);
        assert_int_equal(sl_ring_push(&producer, 9, data, SIZE), 0);
        assert_int_equal(sl_ring_push(&producer, 9, data, SIZE), 0);
        assert_int_equal(sl_ring_push(&producer, 9, data, SIZE), -EAGAIN);
        (void)sl_ring_publish(&producer);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(sl_ring_peek(&consumer, &view), 1);
            assert_true(view.is_slab);
            assert_int_equal(view.kind, 9);
            assert_int_equal(view.size, SIZE);
            assert_true(is_filled(view.data, round, SIZE));
            sl_ring_consume(&consumer);
            (void)sl_ring_slab_return(&consumer, view.data);
        }
        (void)sl_ring_release(&consumer);
    }
    assert_int_equal(sl_ring_push(&producer, 9, data, (1 << 20) + 1), -EMSGSIZE);
    ring_end();
}

static void slab_returned_in_any_order_is_whole_again(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    struct sl_ring_view views[COUNT];
    struct sl_clock_manual random;
    sl_clock_manual_init(&random, 5);
    ring_make(1 << 16, 1 << 20, false);
    for (int round = 0; round < 200; round++) {
        int taken = 0;
        for (; taken < COUNT; taken++) {
            uint32_t word;
            random.base.random(&random.base, &word, sizeof(word));
            size_t size = 1 + word % 150000;
            uint8_t *to = sl_ring_slab_take(&producer, size);
            if (to == NULL) break;
            if (word % 7 == 0) {
                sl_ring_slab_cancel(&producer, to);
                break;
            }
            fill(to, (uint64_t)taken, size);
            assert_int_equal(sl_ring_slab_commit(&producer, 1, to, size), 0);
        }
        (void)sl_ring_publish(&producer);
        for (int i = 0; i < taken; i++) {
            assert_int_equal(sl_ring_peek(&consumer, &views[i]), 1);
            assert_true(is_filled(views[i].data, (uint64_t)i, views[i].size));
            sl_ring_consume(&consumer);
        }
        (void)sl_ring_release(&consumer);
        for (int i = 0; i < taken; i++) {
            int at = (i * 7 + round) % taken; /* some order; each once */
            if (taken % 7 == 0) at = i;
            (void)sl_ring_slab_return(&consumer, views[at].data);
        }
        /* All is free again: the whole slab can be taken at once. */
        uint8_t *all = sl_ring_slab_take(&producer, 1 << 20);
        assert_non_null(all);
        sl_ring_slab_cancel(&producer, all);
        assert_int_equal(producer.units_used, 0);
    }
    ring_end();
}

/* Attaching to what is no ring. */

static void attach_wrong_block_refused(void **state)
{
    (void)state;
    struct sl_ring_consumer other;
    ring_make(4096, 1 << 16, true);
    struct sl_ring_head *head = block;
    const struct sl_ring_head good = *head;
    for (size_t i = 0; i < 56; i++) { /* no bit of the geometry may be another */
        for (int bit = 0; bit < 8; bit++) {
            ((uint8_t *)block)[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(sl_ring_consumer_attach(&other, block, block_size, true), -EINVAL);
            memcpy(head, &good, 56);
        }
    }
    assert_int_equal(sl_ring_consumer_attach(&other, block, block_size - 1, true), -EINVAL);
    assert_int_equal(sl_ring_consumer_attach(&other, block, 64, true), -EINVAL);
    head->tail = 8;
    head->head = 16;
    assert_int_equal(sl_ring_consumer_attach(&other, block, block_size, true), -EINVAL);
    head->tail = 16 + 4096 + 8;
    assert_int_equal(sl_ring_consumer_attach(&other, block, block_size, true), -EINVAL);
    head->tail = 17;
    assert_int_equal(sl_ring_consumer_attach(&other, block, block_size, true), -EINVAL);
    head->tail = 16;
    assert_int_equal(sl_ring_consumer_attach(&other, block, block_size, true), 0);
    ring_end();
}

/*
 * A hostile producer writes anything into positions, records and slab references; a hostile
 * consumer anything into head and returns. The other side never touches memory outside of the
 * block (the sanitizer and the guard pages look on), always comes back, and once it has said
 * -EPROTO it says nothing else.
 */
static void hostile_random_bytes_never_escape(void **state)
{
    (void)state;
    static uint8_t buf[SL_RING_RECORD_SIZE_MAX];
    struct sl_clock_manual random;
    size_t size;
    uint32_t kind;
    uint64_t broken = 0, copied = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        sl_clock_manual_init(&random, seed);
        ring_make(4096, 1 << 16, true);
        struct sl_ring_head *head = block;
        for (int i = 0; i < 20; i++) {
            uint64_t word[2];
            random.base.random(&random.base, word, sizeof(word));
            (void)sl_ring_push(&producer, 1, buf, word[0] % 100);
            if (word[0] % 5 == 0) (void)sl_ring_push(&producer, 1, buf, 5000);
            (void)sl_ring_publish(&producer);
            uint64_t value = word[1] >> ((word[0] >> 32) % 64);
            if ((word[0] >> 16) % 2) value &= ~UINT64_C(7);
            switch ((word[0] >> 8) % 8) {
            case 0: head->tail = value; break;
            case 1: head->head = value; break;
            case 2: head->returns_tail = value; break;
            case 3: memcpy((uint8_t *)block + 640 + value % 128, &value, 8); break;
            default: memcpy(consumer.map.data + (word[1] % 512) * 8, &value, 8); break;
            }
            int r = sl_ring_copy(&consumer, buf, sizeof(buf), &size, &kind);
            if (r == 1) copied++;
            if (r == -EPROTO) {
                broken++;
                assert_int_equal(sl_ring_copy(&consumer, buf, sizeof(buf), &size, &kind), -EPROTO);
            }
            (void)sl_ring_release(&consumer);
        }
        ring_end();
    }
    assert_true(broken > 1000);
    assert_true(copied > 1000);
}

static void hostile_slab_double_return_breaks(void **state)
{
    (void)state;
    struct sl_ring_view view;
    ring_make(4096, 1 << 16, true);
    static uint8_t data[9000];
    assert_int_equal(sl_ring_push(&producer, 1, data, sizeof(data)), 0);
    (void)sl_ring_publish(&producer);
    assert_int_equal(sl_ring_peek(&consumer, &view), 1);
    (void)sl_ring_slab_return(&consumer, view.data);
    (void)sl_ring_slab_return(&consumer, view.data);
    assert_null(sl_ring_slab_take(&producer, 1));
    assert_int_equal(sl_ring_push(&producer, 1, data, sizeof(data)), -EPROTO);
    ring_end();
}

/*
 * The hand-shakes, walked: all interleavings of a producer that pushes and a consumer that drains
 * and sleeps, on a real ring, each step one sequentially consistent action. The ring holds two
 * records only, so that the producer has to wait for space too. Lost means: nobody can step any more,
 * and not all records have been consumed.
 */
enum { MODEL_RECORDS = 4, MODEL_SIZE = 2040 };

enum producer_step { P_PUSH, P_TAIL, P_LOOK, P_CLAIM, P_ANNOUNCE, P_RECHECK, P_SLEEP, P_END };
enum consumer_step { C_DRAIN, C_HEAD, C_LOOK, C_CLAIM, C_ANNOUNCE, C_RECHECK, C_SLEEP };

struct model {
    struct sl_ring_producer producer;
    struct sl_ring_consumer consumer;
    struct sl_ring_head head; /* what is shared and moves; the data's bytes do not matter */
    enum producer_step p;
    enum consumer_step c;
    int pushed, popped;
    bool p_rung, c_rung; /* somebody wakes this side */
};

static uint64_t walked, lost;

static void producer_step(struct model *m)
{
    _Atomic uint32_t *sleeps = &producer.map.shared->consumer_sleeps;
    _Atomic uint32_t *waits = &producer.map.shared->producer_waits;
    switch (m->p) {
    case P_PUSH:
        if (m->pushed == MODEL_RECORDS) {
            m->p = P_END;
        } else if (sl_ring_reserve(&producer, MODEL_SIZE) == NULL) {
            m->p = P_ANNOUNCE;
        } else {
            sl_ring_commit(&producer, 1, MODEL_SIZE);
            m->pushed++;
            m->p = P_TAIL;
        }
        break;
    case P_TAIL: sl_ring_step_tail(&producer), m->p = P_LOOK; break;
    case P_LOOK: m->p = sl_ring_step_look(sleeps) ? P_CLAIM : P_PUSH; break;
    case P_CLAIM:
        if (sl_ring_step_claim(sleeps)) m->c_rung = true;
        m->p = P_PUSH;
        break;
    case P_ANNOUNCE: sl_ring_step_announce(waits), m->p = P_RECHECK; break;
    case P_RECHECK:
        m->p = sl_ring_step_is_full(&producer) ? P_SLEEP : P_PUSH;
        if (m->p == P_PUSH) atomic_store(waits, 0);
        break;
    case P_SLEEP: m->p_rung = false, m->p = P_PUSH; break;
    case P_END: sl_unreachable();
    }
}

static void consumer_step(struct model *m)
{
    _Atomic uint32_t *sleeps = &producer.map.shared->consumer_sleeps;
    _Atomic uint32_t *waits = &producer.map.shared->producer_waits;
    struct sl_ring_view view;
    switch (m->c) {
    case C_DRAIN:
        if (sl_ring_peek(&consumer, &view) == 1) {
            sl_ring_consume(&consumer);
            m->popped++;
            m->c = C_HEAD;
        } else {
            m->c = C_ANNOUNCE;
        }
        break;
    case C_HEAD: sl_ring_step_head(&consumer), m->c = C_LOOK; break;
    case C_LOOK: m->c = sl_ring_step_look(waits) ? C_CLAIM : C_DRAIN; break;
    case C_CLAIM:
        if (sl_ring_step_claim(waits)) m->p_rung = true;
        m->c = C_DRAIN;
        break;
    case C_ANNOUNCE: sl_ring_step_announce(sleeps), m->c = C_RECHECK; break;
    case C_RECHECK:
        m->c = sl_ring_step_is_empty(&consumer) ? C_SLEEP : C_DRAIN;
        if (m->c == C_DRAIN) atomic_store(sleeps, 0);
        break;
    case C_SLEEP:
        m->c_rung = false;
        sl_ring_consumer_rise(&consumer);
        m->c = C_DRAIN;
        break;
    }
}

static bool may_step(const struct model *m, int who)
{
    if (who == 0) return m->p != P_END && !(m->p == P_SLEEP && !m->p_rung);
    return !(m->c == C_SLEEP && !m->c_rung);
}

/* States seen, so that the walk is over states and not over paths. */
enum { SEEN_SIZE = 1 << 20 };
static uint64_t *seen;

static bool model_is_new(const struct model *m)
{
    uint64_t key[10] = {(uint64_t)m->p | (uint64_t)m->c << 8 | (uint64_t)m->pushed << 16 |
                            (uint64_t)m->popped << 24 | (uint64_t)m->p_rung << 32 |
                            (uint64_t)m->c_rung << 33,
                        m->producer.tail,
                        m->producer.published,
                        m->producer.head,
                        m->consumer.head,
                        m->consumer.released,
                        m->consumer.tail,
                        m->head.tail,
                        m->head.head,
                        (uint64_t)m->head.consumer_sleeps << 32 | m->head.producer_waits};
    uint64_t hash = 1;
    for (int i = 0; i < 10; i++)
        hash = (hash ^ (hash >> 29) ^ key[i]) * UINT64_C(0x9e3779b97f4a7c15);
    hash |= 1;
    for (uint64_t at = hash >> 40;; at++) {
        uint64_t *slot = &seen[at % SEEN_SIZE];
        if (*slot == hash) return false;
        if (*slot == 0) {
            *slot = hash;
            return true;
        }
    }
}

static void model_save(struct model *m)
{
    m->producer = producer;
    m->consumer = consumer;
    memcpy(&m->head, block, sizeof(m->head));
}

static void model_load(const struct model *m)
{
    producer = m->producer;
    consumer = m->consumer;
    memcpy(block, &m->head, sizeof(m->head));
}

static void handshakes_all_interleavings_none_lost(void **state)
{
    (void)state;
    enum { STACK = 4096 };
    struct model *stack = calloc(STACK, sizeof(*stack));
    seen = calloc(SEEN_SIZE, sizeof(*seen));
    assert_non_null(stack);
    assert_non_null(seen);
    ring_make(4096, 0, false);
    walked = lost = 0;
    size_t depth = 1;
    model_save(&stack[0]);
    while (depth > 0) {
        struct model m = stack[--depth];
        bool stuck = true;
        walked++;
        for (int who = 0; who < 2; who++) {
            if (!may_step(&m, who)) continue;
            stuck = false;
            struct model next = m;
            model_load(&next);
            if (who == 0) {
                producer_step(&next);
            } else {
                consumer_step(&next);
            }
            model_save(&next);
            if (!model_is_new(&next)) continue;
            assert_true(depth < STACK);
            stack[depth++] = next;
        }
        if (stuck && m.popped != MODEL_RECORDS) lost++;
    }
    assert_true(walked > 500);
    assert_int_equal(lost, 0);
    ring_end();
    free(stack);
    free(seen);
}

/* Two sides at once: threads here (ThreadSanitizer looks on), processes below. */

enum { STRESS_RECORDS = 200000 };

static size_t stress_size(uint64_t i)
{
    if (i % 1000 == 999) return 5000 + i % 3000; /* through the slab */
    return (i * 2654435761u >> 7) % 200;
}

static void stress_produce(struct sl_ring_producer *to, uint64_t count)
{
    static uint8_t data[9000];
    for (uint64_t i = 0; i < count;) {
        size_t size = stress_size(i);
        fill(data, i, size);
        int r = sl_ring_push(to, (uint32_t)i & 0xffff, data, size);
        sl_assert(r == 0 || r == -EAGAIN);
        if (r == 0) i++;
        if (r != 0 || i % 8 == 0 || i == count) (void)sl_ring_publish(to);
        if (r != 0) (void)sched_yield();
    }
}

/* Returns the first record that was wrong, or `count`. */
static uint64_t stress_consume(struct sl_ring_consumer *from, uint64_t count)
{
    struct sl_ring_view view;
    for (uint64_t i = 0; i < count;) {
        int r = sl_ring_peek(from, &view);
        if (r == 0) {
            (void)sl_ring_release(from);
            (void)sched_yield();
            continue;
        }
        bool right = r == 1 && view.kind == (i & 0xffff) && view.size == stress_size(i) &&
                     is_filled(view.data, i, view.size);
        if (!right) return i;
        if (view.is_slab) (void)sl_ring_slab_return(from, view.data);
        sl_ring_consume(from);
        if (++i % 16 == 0) (void)sl_ring_release(from);
    }
    (void)sl_ring_release(from);
    return count;
}

static void *stress_thread(void *ctx)
{
    stress_produce(ctx, STRESS_RECORDS);
    return NULL;
}

static void two_threads_every_record_once_in_order(void **state)
{
    (void)state;
    pthread_t thread;
    ring_make(1 << 14, 1 << 16, false);
    assert_int_equal(pthread_create(&thread, NULL, stress_thread, &producer), 0);
    assert_int_equal(stress_consume(&consumer, STRESS_RECORDS), STRESS_RECORDS);
    (void)pthread_join(thread, NULL);
    ring_end();
}

static void two_processes_over_memfd(void **state)
{
    (void)state;
    size_t size = sl_ring_block_size(1 << 14, 1 << 16);
    int fd = memfd_create("ring", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    uint8_t *mine = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(mine, MAP_FAILED);
    sl_ring_format(mine, 1 << 14, 1 << 16);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* at another address */
        static struct sl_ring_producer theirs_producer;
        uint8_t *theirs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (theirs == MAP_FAILED || theirs == mine) _exit(2);
        if (sl_ring_producer_attach(&theirs_producer, theirs, size, false) < 0) _exit(3);
        stress_produce(&theirs_producer, 50000);
        _exit(0);
    }
    struct sl_ring_consumer from;
    assert_int_equal(sl_ring_consumer_attach(&from, mine, size, true), 0);
    assert_int_equal(stress_consume(&from, 50000), 50000);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)munmap(mine, size);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_unpublished_not_seen),
        cmocka_unit_test(reserve_two_phases_may_shrink_or_abort),
        cmocka_unit_test(push_full_refused_until_released),
        cmocka_unit_test(push_largest_fits_at_every_position),
        cmocka_unit_test(random_walk_matches_model),
        cmocka_unit_test(push_large_goes_through_slab_and_back),
        cmocka_unit_test(slab_returned_in_any_order_is_whole_again),
        cmocka_unit_test(attach_wrong_block_refused),
        cmocka_unit_test(hostile_random_bytes_never_escape),
        cmocka_unit_test(hostile_slab_double_return_breaks),
        cmocka_unit_test(handshakes_all_interleavings_none_lost),
        cmocka_unit_test(two_threads_every_record_once_in_order),
        cmocka_unit_test(two_processes_over_memfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
