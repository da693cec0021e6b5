/* SPDX-License-Identifier: MIT */
/*
 * kill -9 in a loop: a process writes revisions, tells each one that was acknowledged, and is killed
 * after a number of them, wherever it is. Nothing that was told may be missing. (What this cannot
 * show, because the page cache survives a killed process, is in durability_test.c.)
 */
#include "tests/ctl/registry/fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, ACKS_MAX = 6 };

static void child_write_for_ever(const char *dir, int ack_fd)
{
    struct sl_registry *registry;
    if (sl_registry_open(dir, NULL, &registry, NULL) != 0) _exit(1);
    for (;;) {
        char code[32];
        uint64_t next = newest(registry) + 1;
        (void)snprintf(code, sizeof(code), "%llu", (unsigned long long)next);
        if (put_spec(registry, "default", "a", code) != next) _exit(2);
        if (write(ack_fd, &next, sizeof(next)) != sizeof(next)) _exit(3);
    }
}

/* One round; returns the last acknowledged revision, or 0 if there was none. */
static uint64_t run_and_kill(const char *dir, int acks)
{
    int fds[2];
    int status;
    uint64_t acked = 0;
    uint64_t got;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child_write_for_ever(dir, fds[1]);
    (void)close(fds[1]);
    for (int i = 0; i < acks; i++) {
        assert_int_equal(read(fds[0], &got, sizeof(got)), sizeof(got));
        acked = got;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, SIGKILL);
    while (read(fds[0], &got, sizeof(got)) == sizeof(got)) acked = got;
    (void)close(fds[0]);
    return acked;
}

static void kill_inALoop_losesNothingAcknowledged(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seed = 11;
    uint64_t acked = 0;
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        uint64_t got = run_and_kill(fixture->dir, (int)(seed >> 33) % (ACKS_MAX + 1));
        if (got > 0) acked = got;
        struct sl_diag diag = {0};
        int r = sl_registry_open(fixture->dir, &fixture->opts, &fixture->registry, &diag);
        if (r != 0) (void)fprintf(stderr, "round %d: %s\n", round, diag.text);
        assert_int_equal(r, 0);
        uint64_t revision = newest(fixture->registry);
        assert_true(revision >= acked);
        assert_true(revision <= acked + 1); /* at most the one in flight */
        if (revision > 0) {
            char code[32];
            (void)snprintf(code, sizeof(code), "%llu", (unsigned long long)revision);
            assert_code(fixture->registry, "a", SL_REVISION_NEWEST, code);
        }
        acked = revision;
        fixture->registry = sl_registry_close(fixture->registry);
    }
    assert_true(acked >= ROUNDS); /* the rounds did write */
}

static int setup_nothing_open(void **state)
{
    int r = setup_memory(state);
    struct fixture *fixture = *state;
    fixture->registry = sl_registry_close(fixture->registry);
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kill_inALoop_losesNothingAcknowledged, setup_nothing_open,
                                        teardown),
    };
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
