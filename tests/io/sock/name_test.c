/* SPDX-License-Identifier: MIT */
/* Host names: what the thread finds, keeps and finds again, with a lookup that the test answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/sock/name.h"
#include "io/sock/sock.h"

enum { READERS = 2, ROUNDS = 3 };

static struct {
    sem_t asked;
    sem_t answer;
    _Atomic int error;
    _Atomic uint32_t count;
    _Atomic bool stop;
    struct sl_name *name;
} t;

/* Addresses that belong together: the last byte of each is its number plus the count. */
static int lookup(const char *host, uint16_t port, struct sl_addr *ret_addrs, uint32_t *ret_count)
{
    (void)host;
    (void)sem_post(&t.asked);
    while (sem_wait(&t.answer) < 0) {}
    if (t.error != 0) return t.error;
    for (uint32_t i = 0; i < t.count; i++) {
        char text[32];
        int size = snprintf(text, sizeof(text), "10.0.%u.%u:%u", (unsigned)t.count, i, port);
        if (sl_addr_parse(sl_slice_make(text, (size_t)size), &ret_addrs[i], NULL) < 0)
            return EAI_FAIL;
    }
    *ret_count = t.count;
    return 0;
}

static void wait_sem(sem_t *sem)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

/* Until there is something newer. */
static void read_after(uint32_t version, struct sl_name_addrs *ret)
{
    while (!sl_name_is_newer(t.name, version)) (void)sched_yield();
    sl_name_read(t.name, ret);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    if (sem_init(&t.asked, 0, 0) < 0 || sem_init(&t.answer, 0, 0) < 0) return -1;
    sl_name_lookup_set(lookup);
    t.name = sl_name_new(SL_SLICE("some.host"), 80);
    return t.name != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    (void)sl_name_free(t.name);
    return 0;
}

static void name_is_looked_up_at_its_first_use(void **state)
{
    (void)state;
    struct sl_name_addrs addrs;
    char text[SL_ADDR_TEXT_SIZE];
    assert_false(sl_name_is_newer(t.name, 0));
    sl_name_read(t.name, &addrs);
    assert_int_equal(addrs.count, 0);
    sl_name_use(t.name);
    sl_name_use(t.name);
    wait_sem(&t.asked);
    t.count = 3;
    (void)sem_post(&t.answer);
    read_after(0, &addrs);
    assert_int_equal(addrs.count, 3);
    (void)sl_addr_format(&addrs.addrs[2], text, sizeof(text));
    assert_string_equal(text, "10.0.3.2:80");
    assert_int_equal(sem_trywait(&t.asked), -1);
}

static void failure_is_told_and_tried_again(void **state)
{
    (void)state;
    struct sl_name_addrs addrs;
    sl_name_use(t.name);
    wait_sem(&t.asked);
    t.error = EAI_NONAME;
    (void)sem_post(&t.answer);
    read_after(0, &addrs);
    assert_int_equal(addrs.count, 0);
    assert_int_equal(addrs.error, EAI_NONAME);
    /* After SL_NAME_RETRY_MS. */
    sl_name_use(t.name);
    wait_sem(&t.asked);
    t.error = 0;
    t.count = 1;
    (void)sem_post(&t.answer);
    read_after(addrs.version, &addrs);
    assert_int_equal(addrs.count, 1);
    assert_int_equal(addrs.error, 0);
}

/* Freed in the middle of a lookup: the thread frees it. A leak or a use after free is seen by ASan. */
static void name_may_be_freed_while_it_is_looked_up(void **state)
{
    (void)state;
    sl_name_use(t.name);
    wait_sem(&t.asked);
    t.name = sl_name_free(t.name);
    t.count = 2;
    (void)sem_post(&t.answer);
    t.name = sl_name_new(SL_SLICE("other.host"), 81);
    assert_non_null(t.name);
    sl_name_use(t.name);
    wait_sem(&t.asked);
    (void)sem_post(&t.answer);
    struct sl_name_addrs addrs;
    read_after(0, &addrs);
    assert_int_equal(sl_addr_port(&addrs.addrs[0]), 81);
}

static void *reader_main(void *arg)
{
    struct sl_name_addrs addrs;
    uint32_t reads = 0;
    (void)arg;
    while (!t.stop) {
        sl_name_read(t.name, &addrs);
        for (uint32_t i = 0; i < addrs.count; i++) {
            char text[SL_ADDR_TEXT_SIZE];
            char expected[32];
            (void)sl_addr_format(&addrs.addrs[i], text, sizeof(text));
            (void)snprintf(expected, sizeof(expected), "10.0.%u.%u:80", addrs.count, i);
            if (strcmp(text, expected) != 0) return (void *)1;
        }
        reads++;
    }
    return reads > 0 ? NULL : (void *)2;
}

/* What is read at once was written at once. */
static void readers_never_see_half_of_a_change(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, reader_main, NULL), 0);
    }
    /* Failures make the next one due soon; what was found stays meanwhile. */
    for (uint32_t i = 0; i < ROUNDS; i++) {
        sl_name_use(t.name);
        wait_sem(&t.asked);
        t.error = i == ROUNDS - 1 ? 0 : EAI_AGAIN;
        t.count = 8;
        (void)sem_post(&t.answer);
    }
    struct sl_name_addrs addrs = {0};
    while (addrs.count == 0) sl_name_read(t.name, &addrs);
    t.stop = true;
    for (size_t i = 0; i < READERS; i++) {
        void *result;
        assert_int_equal(pthread_join(readers[i], &result), 0);
        assert_null(result);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(name_is_looked_up_at_its_first_use),
        TEST(failure_is_told_and_tried_again),
        TEST(name_may_be_freed_while_it_is_looked_up),
        TEST(readers_never_see_half_of_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
