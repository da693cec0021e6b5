/* SPDX-License-Identifier: MIT */
/* Channels between processes: made, passed, attached, refused; nobody sleeps for ever. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "io/epoll/epoll.h"
#include "io/shm/shm.h"

enum { STEP_NS = 1000000000 }; /* a sleep of this length was a lost wake-up */

static const struct sl_shm_config small = {.ring_size = 4096, .slab_size = 1 << 16};

static void dup_fds(const struct sl_shm *shm, int fds[SL_SHM_FDS])
{
    for (int i = 0; i < SL_SHM_FDS; i++) fds[i] = dup(shm->fds[i]);
}

static void attach_records_cross_both_ways(void **state)
{
    (void)state;
    struct sl_shm creator, peer;
    struct sl_ring_view view;
    int fds[SL_SHM_FDS];
    assert_int_equal(sl_shm_init(&creator, &small, NULL), 0);
    dup_fds(&creator, fds);
    assert_int_equal(sl_shm_attach(&peer, fds, true, NULL), 0);
    assert_ptr_not_equal(peer.head, creator.head);
    assert_int_equal(sl_ring_push(&creator.producer, 1, "ping", 4), 0);
    sl_shm_publish(&creator);
    assert_int_equal(sl_ring_peek(&peer.consumer, &view), 1);
    assert_memory_equal(view.data, "ping", 4);
    sl_ring_consume(&peer.consumer);
    sl_shm_release(&peer);
    assert_int_equal(sl_ring_push(&peer.producer, 2, "pong", 4), 0);
    sl_shm_publish(&peer);
    assert_int_equal(sl_ring_peek(&creator.consumer, &view), 1);
    assert_int_equal(view.kind, 2);
    sl_ring_consume(&creator.consumer);
    sl_shm_fini(&peer);
    assert_int_equal(sl_ring_push(&creator.producer, 1, "more", 4), 0); /* still there */
    sl_shm_fini(&creator);
    sl_shm_fini(&creator); /* harmless */
}

static void memory_sealed_against_cutting(void **state)
{
    (void)state;
    struct sl_shm creator;
    assert_int_equal(sl_shm_init(&creator, &small, NULL), 0);
    assert_int_equal(ftruncate(creator.fds[0], 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(creator.fds[0], 1 << 30), -1);
    assert_true(fcntl(creator.fds[0], F_GETFD) & FD_CLOEXEC);
    sl_shm_fini(&creator);
}

static void attach_unsealed_or_foreign_refused(void **state)
{
    (void)state;
    struct sl_shm creator, peer;
    struct sl_diag diag = {0};
    int fds[SL_SHM_FDS];
    assert_int_equal(sl_shm_init(&creator, &small, NULL), 0);
    /* The same bytes, but in a file that could be cut. */
    dup_fds(&creator, fds);
    (void)close(fds[0]);
    fds[0] = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fds[0], creator.head, creator.map_size), creator.map_size);
    assert_int_equal(sl_shm_attach(&peer, fds, true, &diag), -EINVAL);
    assert_string_equal(diag.code, "shm_failed");
    /* Not a file at all; descriptors that are not open. */
    dup_fds(&creator, fds);
    (void)close(fds[0]);
    fds[0] = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(sl_shm_attach(&peer, fds, true, NULL), -EINVAL);
    const int none[SL_SHM_FDS] = {-1, -1, -1};
    assert_int_equal(sl_shm_attach(&peer, none, true, NULL), -EBADF);
    sl_shm_fini(&creator);
}

static void attach_wrong_head_refused(void **state)
{
    (void)state;
    struct sl_shm creator, peer;
    int fds[SL_SHM_FDS];
    assert_int_equal(sl_shm_init(&creator, &small, NULL), 0);
    const size_t used[] = {0, 4, 16, 24, 32, 40}; /* magic, version, offsets, sizes */
    for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *byte = (uint8_t *)creator.head + used[i] + 1;
            *byte ^= (uint8_t)(1 << bit);
            dup_fds(&creator, fds);
            assert_int_equal(sl_shm_attach(&peer, fds, true, NULL), -EINVAL);
            *byte ^= (uint8_t)(1 << bit);
        }
    }
    dup_fds(&creator, fds);
    assert_int_equal(sl_shm_attach(&peer, fds, true, NULL), 0);
    sl_shm_fini(&peer);
    sl_shm_fini(&creator);
}

static void recv_without_descriptors_refused(void **state)
{
    (void)state;
    int pair[2];
    struct sl_shm peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[0], "12345678", 8), 8);
    assert_int_equal(sl_shm_recv(&peer, pair[1], true, NULL), -EINVAL);
    (void)close(pair[0]);
    assert_int_equal(sl_shm_recv(&peer, pair[1], true, NULL), -EINVAL);
    (void)close(pair[1]);
}

/* Answers every record with the same bytes until the empty one. Returns 0, or where it failed. */
static int echo_child(struct sl_shm *shm)
{
    static uint8_t buf[SL_RING_RECORD_SIZE_MAX];
    size_t size;
    uint32_t kind;
    for (;;) {
        int r = sl_ring_copy(&shm->consumer, buf, sizeof(buf), &size, &kind);
        if (r < 0) return 2;
        if (r == 0) {
            if (sl_shm_wait(shm, false, 5ull * STEP_NS) == 0) return 3;
            continue;
        }
        sl_shm_release(shm);
        if (size == 0) return 0;
        while ((r = sl_ring_push(&shm->producer, kind, buf, size)) == -EAGAIN) {
            sl_shm_publish(shm);
            if (sl_shm_wait(shm, true, 5ull * STEP_NS) == 0) return 4;
        }
        if (r < 0) return 5;
        sl_shm_publish(shm);
    }
}

/* Push, waiting for room if there is none. */
static void push(struct sl_shm *shm, uint32_t kind, const void *data, size_t size)
{
    int r;
    while ((r = sl_ring_push(&shm->producer, kind, data, size)) == -EAGAIN) {
        sl_shm_publish(shm);
        assert_int_equal(sl_shm_wait(shm, true, STEP_NS), 1);
    }
    assert_int_equal(r, 0);
}

static pid_t child_start(struct sl_shm *creator, const struct sl_shm_config *config)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sl_shm_init(creator, config, NULL), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static struct sl_shm peer;
        (void)close(pair[0]);
        if (sl_shm_recv(&peer, pair[1], false, NULL) < 0) _exit(1);
        _exit(echo_child(&peer));
    }
    (void)close(pair[1]);
    assert_int_equal(sl_shm_send(creator, pair[0]), 0);
    (void)close(pair[0]);
    return pid;
}

static void child_end(struct sl_shm *creator, pid_t pid)
{
    int status = 0;
    push(creator, 1, NULL, 0);
    sl_shm_publish(creator);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sl_shm_fini(creator);
}

/* One record at a time: both sides sleep between any two. */
static void ping_pong(enum sl_shm_wake creator_wake, enum sl_shm_wake peer_wake)
{
    enum { ROUNDS = 3000 };
    struct sl_shm_config config = small;
    struct sl_shm shm;
    uint8_t buf[64];
    size_t size;
    uint32_t kind;
    config.creator_wake = creator_wake;
    config.peer_wake = peer_wake;
    config.hostile = true;
    pid_t pid = child_start(&shm, &config);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        push(&shm, i, &i, sizeof(i));
        sl_shm_publish(&shm);
        while (sl_ring_copy(&shm.consumer, buf, sizeof(buf), &size, &kind) == 0)
            assert_int_equal(sl_shm_wait(&shm, false, STEP_NS), 1);
        assert_int_equal(kind, i);
        assert_memory_equal(buf, &i, sizeof(i));
        sl_shm_release(&shm);
    }
    child_end(&shm, pid);
}

static void ping_pong_eventfd_no_wake_lost(void **state)
{
    (void)state;
    ping_pong(SL_SHM_EVENTFD, SL_SHM_EVENTFD);
}

static void ping_pong_futex_no_wake_lost(void **state)
{
    (void)state;
    ping_pong(SL_SHM_EVENTFD, SL_SHM_FUTEX);
    ping_pong(SL_SHM_FUTEX, SL_SHM_FUTEX);
}

/* More than fits, large ones too: both sides wait for room. */
static void flood_waits_for_room_and_arrives(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static uint8_t data[30000], buf[30000];
    struct sl_shm shm;
    pid_t pid = child_start(&shm, &small);
    uint32_t sent = 0, got = 0;
    while (got < COUNT) {
        size_t size = 1 + (sent * 37) % (sent % 50 == 0 ? sizeof(data) : 600);
        while (sent < COUNT && sent - got < 100) {
            memset(data, (int)sent, size);
            if (sl_ring_push(&shm.producer, sent, data, size) != 0) break;
            sent++;
            size = 1 + (sent * 37) % (sent % 50 == 0 ? sizeof(data) : 600);
        }
        sl_shm_publish(&shm);
        size_t got_size;
        uint32_t kind;
        int r;
        bool any = false;
        while ((r = sl_ring_copy(&shm.consumer, buf, sizeof(buf), &got_size, &kind)) == 1) {
            assert_int_equal(kind, got);
            assert_int_equal(got_size, 1 + (got * 37) % (got % 50 == 0 ? sizeof(data) : 600));
            assert_int_equal(buf[0], (uint8_t)got);
            assert_int_equal(buf[got_size - 1], (uint8_t)got);
            got++;
            any = true;
        }
        assert_int_equal(r, 0);
        sl_shm_release(&shm);
        if (!any) assert_int_equal(sl_shm_wait(&shm, sent < COUNT, STEP_NS), 1);
    }
    child_end(&shm, pid);
}

static struct sl_shm polled;
static struct sl_poller *poller;
static struct sl_op poll_op;
static uint32_t polled_count;

static void on_bell(struct sl_op *op, const struct sl_event *event)
{
    struct sl_ring_view view;
    assert_true(event->res & POLLIN);
    sl_shm_disarm(&polled);
    do {
        while (sl_ring_peek(&polled.consumer, &view) == 1) {
            polled_count++;
            sl_ring_consume(&polled.consumer);
        }
        sl_shm_release(&polled);
    } while (!sl_shm_arm(&polled, false));
    poller->ops->poll(poller, op, sl_shm_bell_fd(&polled), POLLIN);
}

static void on_end(struct sl_op *op, const struct sl_event *event)
{
    (void)op;
    assert_int_equal(event->res, -ECANCELED);
}

static void arm_in_poller_bell_brings_records(void **state)
{
    (void)state;
    pid_t pid = child_start(&polled, &small);
    poller = sl_poller_epoll_new(NULL, sl_clock_system(), NULL);
    assert_non_null(poller);
    poll_op.fn = on_bell;
    polled_count = 0;
    assert_true(sl_shm_arm(&polled, false));
    poller->ops->poll(poller, &poll_op, sl_shm_bell_fd(&polled), POLLIN);
    for (uint32_t i = 1; i <= 500; i++) {
        push(&polled, i, &i, sizeof(i));
        sl_shm_publish(&polled);
        uint64_t end_ns = sl_clock_now_ns(poller->clock) + STEP_NS;
        while (polled_count < i && sl_clock_now_ns(poller->clock) < end_ns)
            (void)poller->ops->wait(poller, end_ns);
        assert_int_equal(polled_count, i);
    }
    poll_op.fn = on_end;
    poller->ops->cancel(poller, &poll_op);
    while (sl_op_is_pending(&poll_op)) (void)poller->ops->wait(poller, UINT64_MAX);
    poller->ops->free(poller);
    child_end(&polled, pid);
}

static void peer_killed_creator_times_out(void **state)
{
    (void)state;
    struct sl_shm shm;
    int status = 0;
    pid_t pid = child_start(&shm, &small);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(sl_ring_push(&shm.producer, 1, "x", 1), 0);
    sl_shm_publish(&shm);
    assert_int_equal(sl_shm_wait(&shm, false, 2000000), 0);
    sl_shm_fini(&shm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attach_records_cross_both_ways),
        cmocka_unit_test(memory_sealed_against_cutting),
        cmocka_unit_test(attach_unsealed_or_foreign_refused),
        cmocka_unit_test(attach_wrong_head_refused),
        cmocka_unit_test(recv_without_descriptors_refused),
        cmocka_unit_test(ping_pong_eventfd_no_wake_lost),
        cmocka_unit_test(ping_pong_futex_no_wake_lost),
        cmocka_unit_test(flood_waits_for_room_and_arrives),
        cmocka_unit_test(arm_in_poller_bell_brings_records),
        cmocka_unit_test(peer_killed_creator_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
