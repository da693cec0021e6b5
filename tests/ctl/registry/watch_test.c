/* SPDX-License-Identifier: MIT */
/* Watches and leases: in one process, between processes, and after one was killed. */
#include "tests/ctl/registry/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/limit.h"
#include "ctl/registry/lease.h"
#include "ctl/registry/watch.h"

enum { PATIENCE_MS = 20000 }; /* for what must happen: a test fails by it, it never sleeps it out */

#define REGISTRY(state) (((struct fixture *)*(state))->registry)

static bool is_ready(const struct sl_watch *watch, int timeout_ms)
{
    struct pollfd pollfd = {.fd = sl_watch_fd(watch), .events = POLLIN};
    return poll(&pollfd, 1, timeout_ms) == 1;
}

static void watch_afterCommit_isReadableAndTellsRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_watch *watch;
    uint64_t revision;
    assert_int_equal(sl_watch_open(registry, SL_REVISION_NEWEST, &watch), 0);
    assert_int_equal(sl_watch_poll(watch, &revision), 0);
    (void)put_spec(registry, "default", "a", "1");
    assert_true(is_ready(watch, 0)); /* the commit has rung before it returned */
    (void)put_spec(registry, "default", "a", "2");
    assert_int_equal(sl_watch_poll(watch, &revision), 1);
    assert_int_equal(revision, 2); /* coalesced */
    assert_int_equal(sl_watch_poll(watch, &revision), 0);
    sl_registry_ring(registry);
    assert_true(is_ready(watch, 0));
    watch = sl_watch_close(watch);
}

static void watch_fromOldRevision_isReadableAtOnce(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_watch *watch;
    uint64_t revision;
    (void)put_spec(registry, "default", "a", "1");
    assert_int_equal(sl_watch_open(registry, 0, &watch), 0);
    assert_true(is_ready(watch, 0));
    assert_int_equal(sl_watch_poll(watch, &revision), 1);
    assert_int_equal(revision, 1);
    watch = sl_watch_close(watch);
}

static void watch_bellFull_stillRings(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_watch *watch;
    uint64_t revision;
    assert_int_equal(sl_watch_open(registry, SL_REVISION_NEWEST, &watch), 0);
    for (int i = 0; i < 20000; i++) sl_registry_ring(registry); /* more than a FIFO holds */
    (void)put_spec(registry, "default", "a", "1");
    assert_true(is_ready(watch, 0));
    assert_int_equal(sl_watch_poll(watch, &revision), 1);
    watch = sl_watch_close(watch);
}

/* ------------------------------------------------------------------------------------------ */
/* Processes.                                                                                   */

static pid_t spawn(int (*child)(struct fixture *fixture), struct fixture *fixture)
{
    fixture->registry = sl_registry_close(fixture->registry); /* it does not survive a fork */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sl_registry *registry;
        if (sl_registry_open(fixture->dir, NULL, &registry, NULL) != 0) _exit(99);
        fixture->registry = registry;
        int code = child(fixture);
        if (code == 0) (void)sl_registry_close(fixture->registry);
        _exit(code);
    }
    assert_int_equal(sl_registry_open(fixture->dir, &fixture->opts, &fixture->registry, NULL), 0);
    return pid;
}

static void join(pid_t pid, int expected)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, expected);
}

enum { REMOTE_REVISIONS = 50 };

static int child_put_many(struct fixture *fixture)
{
    for (int i = 0; i < REMOTE_REVISIONS; i++) {
        char code[16];
        (void)snprintf(code, sizeof(code), "%d", i);
        (void)put_spec(fixture->registry, "default", "a", code);
    }
    return 0;
}

static void watch_otherProcessCommits_seesAllOfThem(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = spawn(child_put_many, fixture);
    struct sl_watch *watch;
    uint64_t revision = 0;
    assert_int_equal(sl_watch_open(fixture->registry, 0, &watch), 0);
    while (revision < REMOTE_REVISIONS) {
        assert_true(is_ready(watch, PATIENCE_MS));
        int r = sl_watch_poll(watch, &revision);
        assert_true(r == 0 || r == 1);
        if (r == 1) {
            char code[16];
            (void)snprintf(code, sizeof(code), "%d", (int)revision - 1);
            assert_code(fixture->registry, "a", revision, code);
        }
    }
    assert_int_equal(revision, REMOTE_REVISIONS);
    watch = sl_watch_close(watch);
    join(pid, 0);
}

/* A writer killed between commit and doorbell: the doorbell's folder is away while it commits. */
static int child_commit_without_ringing(struct fixture *fixture)
{
    char from[96];
    char to[96];
    char byte;
    (void)snprintf(from, sizeof(from), "%s/watch", fixture->dir);
    (void)snprintf(to, sizeof(to), "%s/elsewhere", fixture->dir);
    if (read(fixture->gate[0], &byte, 1) != 1) return 1;
    if (rename(from, to) != 0) return 2;
    (void)put_spec(fixture->registry, "default", "a", "1");
    return rename(to, from) == 0 ? 0 : 3;
}

static void watch_writerThatNeverRang_isSeenByTheSlowTick(void **state)
{
    struct fixture *fixture = *state;
    struct sl_watch *watch;
    uint64_t revision = 0;
    assert_int_equal(pipe(fixture->gate), 0);
    pid_t pid = spawn(child_commit_without_ringing, fixture);
    assert_int_equal(sl_watch_open(fixture->registry, SL_REVISION_NEWEST, &watch), 0);
    assert_int_equal(write(fixture->gate[1], "g", 1), 1);
    join(pid, 0);
    assert_true(is_ready(watch, PATIENCE_MS));
    assert_int_equal(sl_watch_poll(watch, &revision), 1);
    assert_int_equal(revision, 1);
    watch = sl_watch_close(watch);
    (void)close(fixture->gate[0]);
    (void)close(fixture->gate[1]);
}

static int child_watch_and_die(struct fixture *fixture)
{
    struct sl_watch *watch;
    if (sl_watch_open(fixture->registry, SL_REVISION_NEWEST, &watch) != 0) return 1;
    (void)kill(getpid(), SIGKILL);
    return 2;
}

static int count_bells(const struct fixture *fixture)
{
    char path[96];
    int count = 0;
    (void)snprintf(path, sizeof(path), "%s/watch", fixture->dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

static void ring_deadWatcher_removesItsBell(void **state)
{
    struct fixture *fixture = *state;
    join(spawn(child_watch_and_die, fixture), SIGKILL);
    assert_int_equal(count_bells(fixture), 1);
    (void)put_spec(fixture->registry, "default", "a", "1");
    assert_int_equal(count_bells(fixture), 0);
}

static int child_put_own_name(struct fixture *fixture)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "by-%d", (int)getpid());
    for (int i = 0; i < 40; i++) {
        char code[16];
        (void)snprintf(code, sizeof(code), "%d", i);
        (void)put_spec(fixture->registry, "default", name, code);
    }
    return 0;
}

static void apply_byThreeProcesses_isDense(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[3];
    for (int i = 0; i < 3; i++) pids[i] = spawn(child_put_own_name, fixture);
    for (int i = 0; i < 3; i++) join(pids[i], 0);
    assert_int_equal(newest(fixture->registry), 120);
    struct sl_history history;
    assert_int_equal(
        sl_registry_history(fixture->registry, NULL, SL_REVISION_NEWEST, 1000, &history), 0);
    assert_int_equal(history.count, 120);
    for (size_t i = 0; i < history.count; i++) {
        assert_int_equal(history.entries[i].revision, 120 - i);
        assert_int_equal(history.entries[i].changes_count, 1);
    }
    sl_history_fini(&history);
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "by-%d", (int)pids[i]);
        assert_code(fixture->registry, name, SL_REVISION_NEWEST, "39");
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Leases.                                                                                      */

static void lease_takenTwice_namesTheOwner(void **state)
{
    struct fixture *fixture = *state;
    struct sl_lease *lease;
    struct sl_lease *second;
    struct sl_diag diag = {0};
    char pid[32];
    assert_int_equal(sl_lease_take(fixture->dir, "namespace default", &lease, &diag), 0);
    assert_int_equal(sl_lease_take(fixture->dir, "namespace default", &second, &diag),
                     SL_LEASE_HELD);
    (void)snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_non_null(strstr(diag.text, pid));
    assert_non_null(strstr(diag.text, "namespace default"));
    assert_string_equal(diag.code, "lease_held");
    assert_int_equal(sl_lease_take(fixture->dir, "listener [::1]:80/../x", &second, &diag), 0);
    second = sl_lease_drop(second);
    lease = sl_lease_drop(lease);
    assert_int_equal(sl_lease_take(fixture->dir, "namespace default", &lease, &diag), 0);
    lease = sl_lease_drop(lease);
}

static void lease_owner_asked_tells_who_and_takes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct sl_lease *lease;
    long pid = -1;
    assert_int_equal(sl_lease_owner(fixture->dir, "namespace x", &pid), 0);
    assert_int_equal(pid, 0);
    assert_int_equal(sl_lease_take(fixture->dir, "namespace x", &lease, NULL), 0);
    assert_int_equal(sl_lease_owner(fixture->dir, "namespace x", &pid), 0);
    assert_int_equal(pid, getpid());
    lease = sl_lease_drop(lease);
    assert_int_equal(sl_lease_owner(fixture->dir, "namespace x", &pid), 0);
    assert_int_equal(pid, 0);
    assert_int_equal(sl_lease_take(fixture->dir, "namespace x", &lease, NULL), 0);
    lease = sl_lease_drop(lease);
}

static int child_take_lease_and_die(struct fixture *fixture)
{
    struct sl_lease *lease;
    if (sl_lease_take(fixture->dir, "x", &lease, NULL) != 0) return 1;
    (void)kill(getpid(), SIGKILL);
    return 2;
}

static void lease_ofKilledProcess_isFree(void **state)
{
    struct fixture *fixture = *state;
    struct sl_lease *lease;
    join(spawn(child_take_lease_and_die, fixture), SIGKILL);
    assert_int_equal(sl_lease_take(fixture->dir, "x", &lease, NULL), 0);
    lease = sl_lease_drop(lease);
}

static void lease_dropped_leavesNoFile(void **state)
{
    struct fixture *fixture = *state;
    struct sl_lease *lease;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/lease/tidy", fixture->dir);
    assert_int_equal(sl_lease_take(fixture->dir, "tidy", &lease, NULL), 0);
    assert_int_equal(access(path, F_OK), 0);
    lease = sl_lease_drop(lease);
    assert_int_equal(access(path, F_OK), -1);
}

enum { OWNERS = 4, OWNER_ROUNDS = 400 };

static _Atomic int *owners_now; /* shared with the children */

static int child_take_and_drop(struct fixture *fixture)
{
    for (int i = 0; i < OWNER_ROUNDS; i++) {
        struct sl_lease *lease;
        int r = sl_lease_take(fixture->dir, "busy", &lease, NULL);
        if (r == SL_LEASE_HELD) continue;
        if (r != 0) return 1;
        if (atomic_fetch_add(owners_now, 1) != 0) return 2;
        (void)sched_yield();
        (void)atomic_fetch_sub(owners_now, 1);
        lease = sl_lease_drop(lease);
    }
    return 0;
}

/* The file goes with each owner; nobody may lock one that is not there any more. */
static void lease_takenAndDroppedByMany_hasOneOwner(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[OWNERS];
    owners_now =
        mmap(NULL, sizeof(*owners_now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(owners_now, MAP_FAILED);
    for (int i = 0; i < OWNERS; i++) pids[i] = spawn(child_take_and_drop, fixture);
    for (int i = 0; i < OWNERS; i++) join(pids[i], 0);
    (void)munmap((void *)owners_now, sizeof(*owners_now));
}

static void lease_longNames_doNotMeet(void **state)
{
    struct fixture *fixture = *state;
    struct sl_lease *a;
    struct sl_lease *b;
    char name[1001];
    memset(name, '/', sizeof(name) - 1);
    name[1000] = '\0';
    assert_int_equal(sl_lease_take(fixture->dir, name, &a, NULL), 0);
    name[999] = 'x';
    assert_int_equal(sl_lease_take(fixture->dir, name, &b, NULL), 0);
    a = sl_lease_drop(a);
    b = sl_lease_drop(b);
}

#define LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown)
#define BOTH(test) LMDB(test), cmocka_unit_test_setup_teardown(test, setup_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(watch_afterCommit_isReadableAndTellsRevision),
        BOTH(watch_fromOldRevision_isReadableAtOnce),
        BOTH(watch_bellFull_stillRings),
        LMDB(watch_otherProcessCommits_seesAllOfThem),
        LMDB(watch_writerThatNeverRang_isSeenByTheSlowTick),
        LMDB(ring_deadWatcher_removesItsBell),
        LMDB(apply_byThreeProcesses_isDense),
        LMDB(lease_takenTwice_namesTheOwner),
        LMDB(lease_owner_asked_tells_who_and_takes_nothing),
        LMDB(lease_ofKilledProcess_isFree),
        LMDB(lease_dropped_leavesNoFile),
        LMDB(lease_takenAndDroppedByMany_hasOneOwner),
        LMDB(lease_longNames_doNotMeet),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
