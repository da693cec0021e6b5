/* SPDX-License-Identifier: MIT */
/*
 * What every poller must do, as tests. Both ends of each connection go through the poller under
 * test, so the same text holds for io_uring, epoll and the simulator. What needs the machine is
 * skipped for the simulator.
 */
#include "tests/io/poller_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/base/list.h"
#include "io/sock/self_test.h"
#include "io/sock/sock.h"

enum { PEERS_MAX = 256, STEP_MS = 5000 };

static const struct poller_harness *harness;
static struct sl_poller *poller;

/* An op and what its events said. */
struct watched {
    struct sl_op op;
    int32_t res; /* of the last event */
    uint32_t finals;
    uint32_t mores;
    uint32_t size_max;                   /* largest receive */
    uint64_t bytes;                      /* received */
    uint64_t wrong;                      /* received bytes that are not the pattern's */
    uint64_t at;                         /* position in the pattern */
    void (*then)(struct watched *watch); /* after each event */
    int fds[PEERS_MAX];                  /* accepted */
    uint32_t fds_count;
};

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

static void watched_event(struct sl_op *op, const struct sl_event *event)
{
    struct watched *w = sl_container_of(op, struct watched, op);
    w->res = event->res;
    if (event->flags & SL_EVENT_MORE) {
        w->mores++;
    } else {
        assert_false(sl_op_is_pending(op));
        w->finals++;
    }
    if (event->data != NULL) {
        assert_true(event->res > 0);
        if ((uint32_t)event->res > w->size_max) w->size_max = (uint32_t)event->res;
        for (int32_t i = 0; i < event->res; i++) {
            if (event->data[i] != pattern(w->at + (uint64_t)i)) w->wrong++;
        }
        w->at += (uint64_t)event->res;
        w->bytes += (uint64_t)event->res;
    } else if ((event->flags & SL_EVENT_MORE) && w->fds_count < PEERS_MAX) {
        w->fds[w->fds_count++] = event->res;
    }
    if (w->then != NULL) w->then(w);
}

static struct watched watched_new(void)
{
    return (struct watched){.op.fn = watched_event};
}

/* Turn until the condition holds; the test fails after STEP_MS of the poller's clock. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ns = sl_clock_now_ns(poller->clock) + STEP_MS * SL_NS_PER_MS;               \
        while (!(condition) && sl_clock_now_ns(poller->clock) < until_ns)                          \
            (void)poller->ops->wait(poller, until_ns);                                             \
        assert_true(condition);                                                                    \
    } while (0)

static void poller_make(const struct sl_poller_config *config)
{
    poller = harness->make(config);
    assert_non_null(poller);
}

static void poller_end(void)
{
    poller->ops->free(poller);
    poller = NULL;
}

static int loopback_listen(struct sl_addr *ret_addr)
{
    struct sl_addr addr;
    assert_int_equal(sl_addr_parse(SL_SLICE("127.0.0.1:0"), &addr, NULL), 0);
    int fd = poller->ops->listen(poller, &addr, false);
    assert_true(fd >= 0);
    assert_int_equal(harness->local(poller, fd, ret_addr), 0);
    return fd;
}

/* A listener and connections through it. */
struct world {
    struct sl_addr addr;
    int listener;
    struct watched accept;
    int client[PEERS_MAX];
    int server[PEERS_MAX]; /* the other end of client[i] */
};

static struct world world;

static int connect_one(const struct sl_addr *addr)
{
    struct watched connect = watched_new();
    poller->ops->connect(poller, &connect.op, addr);
    wait_until(connect.finals == 1);
    return connect.res;
}

static void world_make(const struct sl_poller_config *config, uint32_t pairs)
{
    poller_make(config);
    world.accept = watched_new();
    world.listener = loopback_listen(&world.addr);
    poller->ops->accept(poller, &world.accept.op, world.listener);
    for (uint32_t i = 0; i < pairs; i++) {
        world.client[i] = connect_one(&world.addr);
        assert_true(world.client[i] >= 0);
        wait_until(world.accept.fds_count == i + 1);
        world.server[i] = world.accept.fds[i];
    }
}

static void cancel_and_wait(struct watched *w)
{
    uint32_t finals = w->finals;
    if (!sl_op_is_pending(&w->op)) return;
    poller->ops->cancel(poller, &w->op);
    wait_until(w->finals == finals + 1);
}

static void world_end(uint32_t pairs)
{
    cancel_and_wait(&world.accept);
    assert_int_equal(world.accept.res, -ECANCELED);
    for (uint32_t i = 0; i < pairs; i++) {
        if (world.client[i] >= 0) poller->ops->close(poller, world.client[i]);
        if (world.server[i] >= 0) poller->ops->close(poller, world.server[i]);
    }
    poller->ops->close(poller, world.listener);
    poller_end();
}

static void send_start(struct watched *w, int fd, const void *data, size_t size)
{
    struct iovec iov = {(void *)(uintptr_t)data, size};
    poller->ops->send(poller, &w->op, fd, &iov, 1);
}

static uint8_t *pattern_new(size_t size)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) data[i] = pattern(i);
    return data;
}

/* Listening and accepting. */

static void listen_address_in_use_refused(void **state)
{
    (void)state;
    struct sl_addr addr;
    poller_make(NULL);
    int fd = loopback_listen(&addr);
    assert_int_equal(poller->ops->listen(poller, &addr, false), -EADDRINUSE);
    poller->ops->close(poller, fd);
    int first = poller->ops->listen(poller, &addr, true);
    int second = poller->ops->listen(poller, &addr, true);
    assert_true(first >= 0);
    assert_true(second >= 0);
    poller->ops->close(poller, first);
    poller->ops->close(poller, second);
    poller_end();
}

static void adopt_not_listening_refused(void **state)
{
    (void)state;
    world_make(NULL, 1);
    assert_int_equal(poller->ops->adopt(poller, world.client[0]), -EINVAL);
    cancel_and_wait(&world.accept);
    assert_int_equal(poller->ops->adopt(poller, world.listener), 0);
    poller->ops->accept(poller, &world.accept.op, world.listener);
    world_end(1);
}

static void accept_many_each_delivered(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct watched connects[COUNT];
    world_make(NULL, 0);
    for (int i = 0; i < COUNT; i++) {
        connects[i] = watched_new();
        poller->ops->connect(poller, &connects[i].op, &world.addr);
    }
    wait_until(world.accept.fds_count == COUNT);
    for (int i = 0; i < COUNT; i++) {
        wait_until(connects[i].finals == 1);
        assert_true(connects[i].res >= 0);
        world.client[i] = connects[i].res;
        world.server[i] = world.accept.fds[i];
    }
    assert_int_equal(poller->stats.accepts, COUNT);
    world_end(COUNT);
}

static void accept_after_cancel_goes_on(void **state)
{
    (void)state;
    world_make(NULL, 1);
    cancel_and_wait(&world.accept);
    assert_int_equal(world.accept.res, -ECANCELED);
    world.client[1] = connect_one(&world.addr); /* waits in the backlog */
    assert_true(world.client[1] >= 0);
    poller->ops->accept(poller, &world.accept.op, world.listener);
    wait_until(world.accept.fds_count == 2);
    world.server[1] = world.accept.fds[1];
    world_end(2);
}

static void accept_no_descriptors_pauses_and_recovers(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    struct rlimit old;
    world_make(NULL, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    /* Leave room for one more descriptor: the client's end. */
    int probe = dup(0);
    assert_true(probe >= 0);
    (void)close(probe);
    struct rlimit tight = {(rlim_t)probe + 1, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct watched connect = watched_new();
    poller->ops->connect(poller, &connect.op, &world.addr);
    wait_until(connect.finals == 1);
    world.client[0] = connect.res;
    uint64_t end_ns = sl_clock_now_ns(poller->clock) + 35 * SL_NS_PER_MS;
    while (sl_clock_now_ns(poller->clock) < end_ns) (void)poller->ops->wait(poller, end_ns);
    uint64_t waits = poller->stats.waits;
    uint32_t accepted = world.accept.fds_count;
    uint64_t errors = poller->stats.accept_errors;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(connect.res >= 0);
    assert_int_equal(accepted, 0);
    assert_in_range(errors, 1, 6); /* a pause, no spin */
    assert_in_range(waits, 1, 40);
    assert_int_equal(world.accept.finals, 0);
    wait_until(world.accept.fds_count == 1);
    world.server[0] = world.accept.fds[0];
    world_end(1);
}

static void accept_paused_cancel_ends(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    struct rlimit old;
    world_make(NULL, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int probe = dup(0);
    (void)close(probe);
    struct rlimit tight = {(rlim_t)probe + 1, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct watched connect = watched_new();
    poller->ops->connect(poller, &connect.op, &world.addr);
    uint64_t end_ns = sl_clock_now_ns(poller->clock) + SL_NS_PER_SEC;
    while (poller->stats.accept_errors == 0 && sl_clock_now_ns(poller->clock) < end_ns)
        (void)poller->ops->wait(poller, end_ns);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    wait_until(connect.finals == 1);
    world.client[0] = connect.res;
    world.server[0] = -1;
    world_end(1);
}

static void peer_address_is_the_clients(void **state)
{
    (void)state;
    struct sl_addr peer;
    struct sl_addr local;
    world_make(NULL, 1);
    assert_int_equal(poller->ops->peer(poller, world.server[0], &peer), 0);
    assert_int_equal(harness->local(poller, world.client[0], &local), 0);
    assert_true(sl_addr_eq(&peer, &local));
    assert_int_equal(poller->ops->peer(poller, world.client[0], &peer), 0);
    assert_true(sl_addr_eq(&peer, &world.addr));
    world_end(1);
}

/* Receiving. */

static void recv_fragments_arrive_in_order(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    uint8_t *data = pattern_new(SIZE);
    struct watched recv = watched_new();
    world_make(NULL, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    size_t step = 1;
    for (size_t at = 0; at < SIZE; at += step, step = step % 97 + 1) {
        if (step > SIZE - at) step = SIZE - at;
        struct watched send = watched_new();
        send_start(&send, world.client[0], data + at, step);
        wait_until(send.finals == 1);
        assert_int_equal(send.res, step);
    }
    wait_until(recv.bytes == SIZE);
    assert_int_equal(recv.wrong, 0);
    assert_int_equal(recv.finals, 0);
    cancel_and_wait(&recv);
    assert_int_equal(recv.res, -ECANCELED);
    world_end(1);
    free(data);
}

static void recv_larger_than_buffers_arrives_in_order(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    const struct sl_poller_config config = {.bufs_count = 4, .buf_size = 512};
    uint8_t *data = pattern_new(SIZE);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    world_make(&config, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    send_start(&send, world.client[0], data, SIZE);
    wait_until(recv.bytes == SIZE);
    wait_until(send.finals == 1);
    assert_int_equal(send.res, SIZE);
    assert_int_equal(recv.wrong, 0);
    assert_in_range(recv.size_max, 1, 512);
    cancel_and_wait(&recv);
    world_end(1);
    free(data);
}

static void recv_end_of_stream_after_data(void **state)
{
    (void)state;
    uint8_t *data = pattern_new(100);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    world_make(NULL, 1);
    send_start(&send, world.client[0], data, 100);
    wait_until(send.finals == 1);
    poller->ops->shutdown(poller, world.client[0]);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    wait_until(recv.finals == 1);
    assert_int_equal(recv.bytes, 100);
    assert_int_equal(recv.wrong, 0);
    assert_int_equal(recv.res, 0);
    /* The other direction still works. */
    struct watched back = watched_new();
    struct watched reply = watched_new();
    poller->ops->recv(poller, &back.op, world.client[0]);
    send_start(&reply, world.server[0], data, 100);
    wait_until(back.bytes == 100);
    wait_until(reply.finals == 1);
    poller->ops->close(poller, world.server[0]);
    world.server[0] = -1;
    wait_until(back.finals == 1);
    assert_int_equal(back.res, 0);
    world_end(1);
    free(data);
}

static void recv_end_of_stream_while_waiting(void **state)
{
    (void)state;
    struct watched recv = watched_new();
    world_make(NULL, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    (void)poller->ops->wait(poller, 0);
    poller->ops->close(poller, world.client[0]);
    world.client[0] = -1;
    wait_until(recv.finals == 1);
    assert_int_equal(recv.res, 0);
    assert_int_equal(recv.mores, 0);
    world_end(1);
}

static void recv_reset_reported(void **state)
{
    (void)state;
    uint8_t *data = pattern_new(100);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    world_make(NULL, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    send_start(&send, world.server[0], data, 100);
    wait_until(send.finals == 1);
    poller->ops->close(poller, world.client[0]); /* with unread data: tcp(7) resets */
    world.client[0] = -1;
    wait_until(recv.finals == 1);
    assert_int_equal(recv.res, -ECONNRESET);
    world_end(1);
    free(data);
}

static void recv_hot_socket_leaves_buffers_to_others(void **state)
{
    (void)state;
    enum { OTHERS = 8, HOT_SIZE = 2 << 20 };
    const struct sl_poller_config config = {.bufs_count = 4, .buf_size = 1024};
    uint8_t *data = pattern_new(HOT_SIZE);
    struct watched recvs[OTHERS + 1];
    struct watched sends[OTHERS + 1];
    world_make(&config, OTHERS + 1);
    sends[0] = watched_new();
    send_start(&sends[0], world.client[0], data, HOT_SIZE);
    for (int i = 0; i < 20; i++) (void)poller->ops->wait(poller, 0); /* fills the sockets */
    for (int i = 1; i <= OTHERS; i++) {
        sends[i] = watched_new();
        send_start(&sends[i], world.client[i], data, 10);
        wait_until(sends[i].finals == 1);
    }
    for (int i = 0; i <= OTHERS; i++) {
        recvs[i] = watched_new();
        poller->ops->recv(poller, &recvs[i].op, world.server[i]);
    }
    for (int i = 1; i <= OTHERS; i++) wait_until(recvs[i].bytes == 10);
    /* The hot one got its share meanwhile, not everything. */
    assert_in_range(recvs[0].bytes, 0, HOT_SIZE / 2);
    wait_until(recvs[0].bytes == HOT_SIZE);
    wait_until(sends[0].finals == 1);
    for (int i = 0; i <= OTHERS; i++) {
        assert_int_equal(recvs[i].wrong, 0);
        cancel_and_wait(&recvs[i]);
    }
    world_end(OTHERS + 1);
    free(data);
}

/* More sockets than buffers, and all of them hot: they take turns. */
static void recv_all_hot_all_progress(void **state)
{
    (void)state;
    enum { COUNT = 12, SIZE = 1 << 20 };
    const struct sl_poller_config config = {.bufs_count = 4, .buf_size = 1024};
    static struct watched recvs[COUNT], sends[COUNT];
    uint8_t *data = pattern_new(SIZE);
    world_make(&config, COUNT);
    for (int i = 0; i < COUNT; i++) {
        recvs[i] = sends[i] = watched_new();
        send_start(&sends[i], world.client[i], data, SIZE);
    }
    for (int i = 0; i < 50; i++) (void)poller->ops->wait(poller, 0); /* fills the sockets */
    for (int i = 0; i < COUNT; i++) poller->ops->recv(poller, &recvs[i].op, world.server[i]);
    uint64_t first = 0;
    while (first < 64 * 1024) {
        (void)poller->ops->wait(poller, UINT64_MAX);
        for (int i = 0; i < COUNT; i++) first = recvs[i].bytes > first ? recvs[i].bytes : first;
    }
    for (int i = 0; i < COUNT; i++) assert_true(recvs[i].bytes >= first / 8);
    for (int i = 0; i < COUNT; i++) {
        wait_until(recvs[i].bytes == SIZE);
        wait_until(sends[i].finals == 1);
        assert_int_equal(recvs[i].wrong, 0);
        cancel_and_wait(&recvs[i]);
    }
    world_end(COUNT);
    free(data);
}

/* Sending. */

static void send_slow_reader_whole_size_once(void **state)
{
    (void)state;
    enum { SIZE = 12 << 20, PIECES = SL_POLLER_IOV_MAX };
    uint8_t *data = pattern_new(SIZE);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    struct iovec iov[PIECES];
    size_t at = 0;
    for (int i = 0; i < PIECES; i++) {
        size_t size = i == PIECES - 1 ? SIZE - at : (size_t)(i + 1) * 77777;
        iov[i] = (struct iovec){data + at, size};
        at += size;
    }
    world_make(NULL, 1);
    poller->ops->send(poller, &send.op, world.server[0], iov, PIECES);
    memset(iov, 0, sizeof(iov)); /* the array was copied */
    for (int i = 0; i < 10; i++) (void)poller->ops->wait(poller, 0);
    assert_int_equal(send.finals, 0); /* nobody reads */
    poller->ops->recv(poller, &recv.op, world.client[0]);
    wait_until(send.finals == 1);
    assert_int_equal(send.res, SIZE);
    wait_until(recv.bytes == SIZE);
    assert_int_equal(recv.wrong, 0);
    cancel_and_wait(&recv);
    world_end(1);
    free(data);
}

/* What a send needs was taken when its connection began to receive: the peak has no cost. */
static void send_on_all_at_once_takes_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    if (!harness->is_real) skip();
    static struct watched recvs[COUNT], sends[COUNT];
    uint8_t *data = pattern_new(2);
    const struct iovec iov[2] = {{data, 1}, {data + 1, 1}};
    world_make(NULL, COUNT);
    for (int i = 0; i < COUNT; i++) {
        recvs[i] = sends[i] = watched_new();
        poller->ops->recv(poller, &recvs[i].op, world.server[i]);
    }
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < COUNT; i++) {
        poller->ops->send(poller, &sends[i].op, world.server[i], iov, 2);
    }
    size_t after = mallinfo2().uordblks;
    assert_int_equal(after, before);
    for (int i = 0; i < COUNT; i++) {
        wait_until(sends[i].finals == 1);
        assert_int_equal(sends[i].res, 2);
        cancel_and_wait(&recvs[i]);
    }
    world_end(COUNT);
    free(data);
}

static void send_nothing_and_too_much_end_at_once(void **state)
{
    (void)state;
    struct watched send = watched_new();
    struct iovec iov[2] = {{"", 0}, {"", 0}};
    world_make(NULL, 1);
    poller->ops->send(poller, &send.op, world.server[0], iov, 2);
    assert_int_equal(send.finals, 0);
    wait_until(send.finals == 1);
    assert_int_equal(send.res, 0);
    iov[0].iov_len = (size_t)INT32_MAX + 1;
    poller->ops->send(poller, &send.op, world.server[0], iov, 2);
    wait_until(send.finals == 2);
    assert_int_equal(send.res, -EMSGSIZE);
    world_end(1);
}

static void send_peer_gone_fails(void **state)
{
    (void)state;
    uint8_t *data = pattern_new(1000);
    world_make(NULL, 1);
    poller->ops->close(poller, world.client[0]);
    world.client[0] = -1;
    struct watched send = watched_new();
    uint32_t tries = 0;
    do { /* the first one may still be taken: the reset is its answer */
        uint32_t finals = send.finals;
        send_start(&send, world.server[0], data, 1000);
        wait_until(send.finals == finals + 1);
    } while (send.res > 0 && ++tries < 100);
    assert_true(send.res == -EPIPE || send.res == -ECONNRESET);
    world_end(1);
    free(data);
}

/* Connecting. */

static void connect_refused_reported(void **state)
{
    (void)state;
    struct sl_addr addr;
    poller_make(NULL);
    int fd = loopback_listen(&addr);
    poller->ops->close(poller, fd);
    assert_int_equal(connect_one(&addr), -ECONNREFUSED);
    poller_end();
}

static void connect_cancel_ends(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    enum { COUNT = 32 };
    static struct watched connects[COUNT];
    const struct sl_poller_config config = {.backlog = 1};
    struct sl_addr addr;
    poller_make(&config);
    int fd = loopback_listen(&addr);
    for (int i = 0; i < COUNT; i++) { /* nobody accepts: the later ones hang */
        connects[i] = watched_new();
        poller->ops->connect(poller, &connects[i].op, &addr);
    }
    for (int i = 0; i < 20; i++) (void)poller->ops->wait(poller, 0);
    assert_int_equal(connects[COUNT - 1].finals, 0);
    int hung = 0;
    for (int i = 0; i < COUNT; i++) {
        bool pending = sl_op_is_pending(&connects[i].op);
        cancel_and_wait(&connects[i]);
        assert_int_equal(connects[i].finals, 1);
        if (pending) assert_int_equal(connects[i].res, -ECANCELED);
        hung += pending;
        if (connects[i].res >= 0) poller->ops->close(poller, connects[i].res);
    }
    assert_true(hung > 0);
    poller->ops->close(poller, fd);
    poller_end();
}

static void other_families_carry_bytes(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    char unix_text[64];
    (void)snprintf(unix_text, sizeof(unix_text), "unix:@sl-poller-test-%d", (int)getpid());
    const char *const texts[] = {"[::1]:0", unix_text, "*:0"};
    uint8_t *data = pattern_new(1000);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sl_addr addr;
        struct watched accept = watched_new(), recv = watched_new(), send = watched_new();
        assert_int_equal(sl_addr_parse(sl_slice_from_str(texts[i]), &addr, NULL), 0);
        poller_make(NULL);
        int listener = poller->ops->listen(poller, &addr, false);
        if (listener == -EADDRNOTAVAIL || listener == -EAFNOSUPPORT) {
            poller_end(); /* no IPv6 here */
            continue;
        }
        assert_true(listener >= 0);
        assert_int_equal(harness->local(poller, listener, &addr), 0);
        poller->ops->accept(poller, &accept.op, listener);
        int client = connect_one(&addr);
        assert_true(client >= 0);
        wait_until(accept.fds_count == 1);
        poller->ops->recv(poller, &recv.op, accept.fds[0]);
        send_start(&send, client, data, 1000);
        wait_until(send.finals == 1);
        poller->ops->shutdown(poller, client);
        wait_until(recv.finals == 1);
        assert_int_equal(recv.bytes, 1000);
        assert_int_equal(recv.wrong, 0);
        cancel_and_wait(&accept);
        poller->ops->close(poller, client);
        poller->ops->close(poller, accept.fds[0]);
        poller->ops->close(poller, listener);
        poller_end();
    }
    free(data);
}

/* Polling a foreign descriptor. */

static void poll_readiness_reported_once_each(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    poller_make(NULL);
    struct watched poll = watched_new();
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    eventfd_t value;
    for (uint32_t i = 1; i <= 3; i++) {
        poller->ops->poll(poller, &poll.op, fd, POLLIN);
        (void)poller->ops->wait(poller, 0);
        assert_int_equal(poll.finals, i - 1);
        assert_int_equal(eventfd_write(fd, 1), 0);
        wait_until(poll.finals == i);
        assert_true(poll.res & POLLIN);
        assert_int_equal(eventfd_read(fd, &value), 0);
        if (i == 2) { /* closed and made again behind the poller's back */
            (void)close(fd);
            fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        }
    }
    poller->ops->poll(poller, &poll.op, fd, POLLIN);
    cancel_and_wait(&poll);
    assert_int_equal(poll.res, -ECANCELED);
    assert_int_equal(eventfd_write(fd, 1), 0);
    for (int i = 0; i < 3; i++) (void)poller->ops->wait(poller, 0);
    assert_int_equal(poll.finals, 4);
    (void)close(fd);
    poller_end();
}

static void poll_plain_file_is_ready(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    poller_make(NULL);
    struct watched poll = watched_new();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    poller->ops->poll(poller, &poll.op, fd, POLLIN);
    wait_until(poll.finals == 1);
    assert_true(poll.res & POLLIN);
    (void)close(fd);
    poller_end();
}

/* Cancelling. */

static void cancel_idle_or_twice_harmless(void **state)
{
    (void)state;
    struct watched recv = watched_new();
    world_make(NULL, 1);
    poller->ops->cancel(poller, &recv.op);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    poller->ops->cancel(poller, &recv.op); /* in the turn in which it was started */
    poller->ops->cancel(poller, &recv.op);
    assert_int_equal(recv.finals, 0); /* never from inside a call */
    wait_until(recv.finals == 1);
    assert_int_equal(recv.res, -ECANCELED);
    poller->ops->cancel(poller, &recv.op);
    for (int i = 0; i < 5; i++) (void)poller->ops->wait(poller, 0);
    assert_int_equal(recv.finals, 1);
    world_end(1);
}

static void cancel_blocked_send_ends(void **state)
{
    (void)state;
    enum { SIZE = 16 << 20 };
    uint8_t *data = pattern_new(SIZE);
    struct watched send = watched_new();
    world_make(NULL, 1);
    send_start(&send, world.server[0], data, SIZE);
    for (int i = 0; i < 10; i++) (void)poller->ops->wait(poller, 0);
    assert_int_equal(send.finals, 0);
    cancel_and_wait(&send);
    assert_int_equal(send.res, -ECANCELED);
    world_end(1);
    free(data);
}

static void cancel_self(struct watched *w)
{
    if (sl_op_is_pending(&w->op)) poller->ops->cancel(poller, &w->op);
}

static void recv_pause_and_resume_loses_nothing(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    const struct sl_poller_config config = {.bufs_count = 8, .buf_size = 4096};
    uint8_t *data = pattern_new(SIZE);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    recv.then = cancel_self; /* pause at every event */
    world_make(&config, 1);
    send_start(&send, world.client[0], data, SIZE);
    uint64_t end_ns = sl_clock_now_ns(poller->clock) + STEP_MS * SL_NS_PER_MS;
    while (recv.bytes < SIZE && sl_clock_now_ns(poller->clock) < end_ns) {
        if (!sl_op_is_pending(&recv.op)) poller->ops->recv(poller, &recv.op, world.server[0]);
        (void)poller->ops->wait(poller, end_ns);
    }
    assert_int_equal(recv.bytes, SIZE);
    assert_int_equal(recv.wrong, 0);
    cancel_and_wait(&recv);
    assert_true(recv.finals > 10);
    wait_until(send.finals == 1);
    world_end(1);
    free(data);
}

static struct watched *victim;

static void cancel_victim(struct watched *w)
{
    (void)w;
    poller->ops->cancel(poller, &victim->op);
}

static void cancel_from_event_of_another(void **state)
{
    (void)state;
    uint8_t *data = pattern_new(10);
    struct watched a = watched_new();
    struct watched b = watched_new();
    struct watched sends[2] = {watched_new(), watched_new()};
    world_make(NULL, 2);
    victim = &b;
    a.then = cancel_victim;
    poller->ops->recv(poller, &a.op, world.server[0]);
    poller->ops->recv(poller, &b.op, world.server[1]);
    (void)poller->ops->wait(poller, 0);
    send_start(&sends[0], world.client[0], data, 10);
    send_start(&sends[1], world.client[1], data, 10);
    wait_until(b.finals == 1);
    assert_int_equal(b.res, -ECANCELED);
    for (int i = 0; i < 2; i++) wait_until(sends[i].finals == 1);
    /* Whether the bytes came before the end or stay in the socket: once, and all. */
    poller->ops->recv(poller, &b.op, world.server[1]);
    a.then = NULL;
    wait_until(b.bytes == 10);
    assert_int_equal(b.wrong, 0);
    cancel_and_wait(&a);
    cancel_and_wait(&b);
    world_end(2);
    free(data);
}

/* Ops and descriptors used again. */

static void close_and_reuse_no_event_of_the_old(void **state)
{
    (void)state;
    uint8_t *data = pattern_new(64);
    world_make(NULL, 0);
    for (int round = 0; round < 300; round++) {
        struct watched recv = watched_new();
        struct watched send = watched_new();
        int client = connect_one(&world.addr);
        assert_true(client >= 0);
        wait_until(world.accept.fds_count == 1);
        int server = world.accept.fds[0];
        world.accept.fds_count = 0;
        poller->ops->recv(poller, &recv.op, server);
        send_start(&send, client, data, 64);
        if (round % 3 != 0) wait_until(recv.bytes == 64);
        if (round % 2 == 0) { /* cancelled and closed while it is armed and data is coming */
            cancel_and_wait(&recv);
            wait_until(send.finals == 1);
            poller->ops->close(poller, server);
            poller->ops->close(poller, client);
        } else {
            wait_until(send.finals == 1);
            poller->ops->close(poller, client);
            wait_until(recv.finals == 1);
            poller->ops->close(poller, server);
        }
        assert_int_equal(recv.wrong, 0);
        assert_true(recv.bytes == 0 || recv.bytes == 64);
        assert_int_equal(recv.finals, 1);
    }
    world_end(0);
    free(data);
}

static void free_op(struct watched *w)
{
    if (!sl_op_is_pending(&w->op)) free(w);
}

static void op_freed_in_final_event_untouched(void **state)
{
    (void)state;
    world_make(NULL, 4); /* the sanitizer looks on */
    for (int i = 0; i < 4; i++) {
        struct watched *recv = malloc(sizeof(*recv));
        assert_non_null(recv);
        *recv = watched_new();
        recv->then = free_op;
        poller->ops->recv(poller, &recv->op, world.server[i]);
        if (i % 2 == 0) poller->ops->cancel(poller, &recv->op);
    }
    uint8_t *data = pattern_new(10);
    for (int i = 0; i < 4; i++) {
        struct watched send = watched_new();
        send_start(&send, world.client[i], data, 10);
        wait_until(send.finals == 1);
        poller->ops->shutdown(poller, world.client[i]);
    }
    wait_until(poller->stats.ops_pending == 1); /* accept */
    world_end(4);
    free(data);
}

static void restart_send(struct watched *w)
{
    static const uint8_t zeroes[8];
    if (w->finals < 100) send_start(w, world.client[0], zeroes, 1);
}

static void op_restarted_in_final_event_runs(void **state)
{
    (void)state;
    struct watched recv = watched_new();
    struct watched send = watched_new();
    send.then = restart_send;
    world_make(NULL, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    restart_send(&send);
    wait_until(send.finals == 100);
    wait_until(recv.bytes == 100);
    cancel_and_wait(&recv);
    world_end(1);
}

static void small_queue_many_ops_all_run(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    const struct sl_poller_config config = {.entries = 8, .bufs_count = 8, .buf_size = 256};
    static struct watched recvs[COUNT], sends[COUNT];
    uint8_t *data = pattern_new(1000);
    world_make(&config, COUNT);
    for (int i = 0; i < COUNT; i++) {
        recvs[i] = sends[i] = watched_new();
        poller->ops->recv(poller, &recvs[i].op, world.server[i]);
        send_start(&sends[i], world.client[i], data, 1000);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_until(recvs[i].bytes == 1000);
        wait_until(sends[i].finals == 1);
        assert_int_equal(recvs[i].wrong, 0);
    }
    for (int i = 0; i < COUNT; i++) poller->ops->cancel(poller, &recvs[i].op);
    for (int i = 0; i < COUNT; i++) wait_until(recvs[i].finals == 1);
    world_end(COUNT);
    free(data);
}

/* Waiting. */

static uint32_t woken_count;
static bool woken_before_event;

static void note_woken(struct sl_poller *p)
{
    (void)p;
    woken_count++;
}

static void note_order(struct watched *w)
{
    (void)w;
    woken_before_event = woken_count == 1;
}

static void wait_calls_woken_once_before_events(void **state)
{
    (void)state;
    struct watched send = watched_new();
    send.then = note_order;
    world_make(NULL, 1);
    poller->woken = note_woken;
    woken_count = 0;
    (void)poller->ops->wait(poller, 0);
    assert_int_equal(woken_count, 1);
    woken_before_event = false;
    send_start(&send, world.client[0], "x", 1);
    do {
        woken_count = 0;
        (void)poller->ops->wait(poller, UINT64_MAX);
        assert_int_equal(woken_count, 1);
    } while (send.finals == 0);
    assert_true(woken_before_event);
    poller->woken = NULL;
    world_end(1);
}

static void wait_deadline_returns_nothing_after_it(void **state)
{
    (void)state;
    poller_make(NULL);
    for (uint64_t ms = 1; ms <= 9; ms += 4) {
        uint64_t start_ns = sl_clock_now_ns(poller->clock);
        uint64_t end_ns = start_ns + ms * SL_NS_PER_MS;
        uint32_t waits = 0;
        while (sl_clock_now_ns(poller->clock) < end_ns) {
            assert_int_equal(poller->ops->wait(poller, end_ns), 0);
            waits++;
        }
        assert_in_range(waits, 1, 5);
    }
    assert_int_equal(poller->ops->wait(poller, 1), 0); /* long ago: as 0 */
    poller_end();
}

static void wake_before_wait_returns_at_once(void **state)
{
    (void)state;
    poller_make(NULL);
    poller->ops->wake(poller);
    poller->ops->wake(poller);
    assert_true(poller->ops->is_ready(poller));
    assert_int_equal(poller->ops->wait(poller, UINT64_MAX), 0);
    assert_false(poller->ops->is_ready(poller));
    poller_end();
}

/* Many threads hand over numbers; each waits until its number was taken. One lost wake hangs. */
enum { WAKERS = 3, WAKES = 2000 };

static _Atomic uint32_t posted[WAKERS];
static _Atomic uint32_t taken[WAKERS];

static void *waker_main(void *ctx)
{
    uint32_t me = (uint32_t)(uintptr_t)ctx;
    for (uint32_t i = 1; i <= WAKES; i++) {
        atomic_store_explicit(&posted[me], i, memory_order_relaxed);
        poller->ops->wake(poller);
        while (atomic_load_explicit(&taken[me], memory_order_acquire) != i) (void)sched_yield();
    }
    return NULL;
}

static void wake_storm(const struct sl_poller_config *config)
{
    pthread_t threads[WAKERS];
    uint64_t lost = 0;
    poller_make(config);
    for (uintptr_t i = 0; i < WAKERS; i++) {
        atomic_store(&posted[i], 0);
        atomic_store(&taken[i], 0);
        assert_int_equal(pthread_create(&threads[i], NULL, waker_main, (void *)i), 0);
    }
    for (uint32_t ended = 0; ended < WAKERS;) {
        uint64_t start_ns = sl_clock_now_ns(poller->clock);
        (void)poller->ops->wait(poller, start_ns + 5 * SL_NS_PER_SEC);
        if (sl_clock_now_ns(poller->clock) >= start_ns + 5 * SL_NS_PER_SEC) lost++;
        ended = 0;
        for (int i = 0; i < WAKERS; i++) {
            uint32_t number = atomic_load_explicit(&posted[i], memory_order_relaxed);
            atomic_store_explicit(&taken[i], number, memory_order_release);
            ended += number == WAKES;
        }
    }
    for (int i = 0; i < WAKERS; i++) (void)pthread_join(threads[i], NULL);
    assert_int_equal(lost, 0);
    poller_end();
}

static void wake_storm_from_threads_none_lost(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    wake_storm(NULL);
}

static void wake_storm_while_spinning_none_lost(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    const struct sl_poller_config config = {.spin_us = 20};
    wake_storm(&config);
}

static void spin_then_sleep_still_receives(void **state)
{
    (void)state;
    const struct sl_poller_config config = {.spin_us = 50};
    uint8_t *data = pattern_new(4000);
    struct watched recv = watched_new();
    struct watched send = watched_new();
    world_make(&config, 1);
    poller->ops->recv(poller, &recv.op, world.server[0]);
    for (size_t i = 0; i < 4000; i += 100) {
        send_start(&send, world.client[0], data + i, 100);
        wait_until(recv.bytes == i + 100);
        wait_until(!sl_op_is_pending(&send.op));
    }
    assert_int_equal(recv.wrong, 0);
    cancel_and_wait(&recv);
    world_end(1);
    free(data);
}

static void self_test_passes(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    poller_make(NULL);
    struct sl_diag diag = {0};
    int r = sl_poller_self_test(poller, &diag);
    if (r < 0) print_error("%s\n", diag.text);
    assert_int_equal(r, 0);
    poller_end();
}

static void config_out_of_range_refused(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    const struct sl_poller_config entries = {.entries = 3};
    const struct sl_poller_config bufs = {.bufs_count = 1 << 20};
    const struct sl_poller_config size = {.buf_size = 1 << 30};
    assert_null(harness->make(&entries));
    assert_null(harness->make(&bufs));
    assert_null(harness->make(&size));
    assert_null(harness->make(&(struct sl_poller_config){.batch = SL_POLLER_BATCH_MAX + 1}));
    assert_null(harness->make(&(struct sl_poller_config){.spin_us = SL_POLLER_SPIN_US_MAX + 1}));
    assert_null(harness->make(&(struct sl_poller_config){.backlog = SL_POLLER_BACKLOG_MAX + 1}));
}

/* Twelve sockets have bytes: no turn delivers more than the batch, and none is forgotten. */
static void wait_batch_bounds_a_turn_and_loses_nothing(void **state)
{
    (void)state;
    if (!harness->is_real) skip();
    enum { COUNT = 12, BATCH = 4 };
    static struct watched recv[COUNT];
    const struct sl_poller_config config = {.batch = BATCH};
    world_make(&config, COUNT);
    for (int i = 0; i < COUNT; i++) {
        recv[i] = watched_new();
        poller->ops->recv(poller, &recv[i].op, world.server[i]);
    }
    while (poller->ops->wait(poller, 0) > 0) {}
    for (int i = 0; i < COUNT; i++) {
        uint8_t byte = pattern(0);
        assert_int_equal(send(world.client[i], &byte, 1, 0), 1);
    }
    uint32_t left = COUNT;
    for (int turn = 0; turn < 100 && left > 0; turn++) {
        uint32_t events = poller->ops->wait(poller, 0);
        assert_in_range(events, 0, BATCH);
        left -= events;
    }
    assert_int_equal(left, 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(recv[i].bytes, 1);
        cancel_and_wait(&recv[i]);
    }
    world_end(COUNT);
}

/*
 * Property: whatever is started, cancelled and closed in whatever order, each op ends exactly once
 * and each byte that arrives is the right one.
 */
enum { RANDOM_PAIRS = 12, RANDOM_STEPS = 4000, RANDOM_SIZE = 100000 };

struct random_pair {
    struct watched recv;
    struct watched send;
    uint64_t sent;
    uint32_t recv_starts;
    uint32_t send_starts;
    size_t sending;
};

static struct random_pair pairs[RANDOM_PAIRS];

static void random_send(struct random_pair *p, int fd, const uint8_t *data, uint64_t random)
{
    if (sl_op_is_pending(&p->send.op)) return;
    if (p->send_starts > 0) {
        assert_int_equal(p->send.res, p->sending);
        p->sent += p->sending;
    }
    p->sending = 1 + random % (RANDOM_SIZE / 50);
    if (p->sent + p->sending > RANDOM_SIZE) {
        p->send_starts = 0;
        p->sending = 0;
        return;
    }
    p->send_starts++;
    send_start(&p->send, fd, data + p->sent, p->sending);
}

static void random_step(uint64_t random, const uint8_t *data)
{
    uint32_t i = (uint32_t)(random >> 8) % RANDOM_PAIRS;
    struct random_pair *p = &pairs[i];
    switch (random % 8) {
    case 0:
    case 1:
        if (sl_op_is_pending(&p->recv.op)) break;
        p->recv_starts++;
        poller->ops->recv(poller, &p->recv.op, world.server[i]);
        break;
    case 2: poller->ops->cancel(poller, &p->recv.op); break;
    case 3:
    case 4:
    case 5: random_send(p, world.client[i], data, random >> 16); break;
    default: (void)poller->ops->wait(poller, 0); break;
    }
}

static void random_walk_every_op_ends_once(void **state)
{
    (void)state;
    const struct sl_poller_config config = {.entries = 16, .bufs_count = 4, .buf_size = 1000};
    uint8_t *data = pattern_new(RANDOM_SIZE);
    struct sl_clock_manual random;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        sl_clock_manual_init(&random, seed);
        world_make(&config, RANDOM_PAIRS);
        for (int i = 0; i < RANDOM_PAIRS; i++)
            pairs[i] = (struct random_pair){.recv = watched_new(), .send = watched_new()};
        for (int i = 0; i < RANDOM_STEPS; i++) {
            uint64_t word;
            random.base.random(&random.base, &word, sizeof(word));
            random_step(word, data);
        }
        for (int i = 0; i < RANDOM_PAIRS; i++) {
            struct random_pair *p = &pairs[i];
            if (!sl_op_is_pending(&p->recv.op)) {
                p->recv_starts++;
                poller->ops->recv(poller, &p->recv.op, world.server[i]);
            }
            wait_until(!sl_op_is_pending(&p->send.op));
            if (p->send_starts > 0) p->sent += p->sending;
            wait_until(p->recv.bytes == p->sent);
            assert_int_equal(p->recv.wrong, 0);
            cancel_and_wait(&p->recv);
            assert_int_equal(p->recv.finals, p->recv_starts);
        }
        world_end(RANDOM_PAIRS);
    }
    free(data);
}

int poller_conformance_run(const struct poller_harness *which)
{
    harness = which;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_address_in_use_refused),
        cmocka_unit_test(adopt_not_listening_refused),
        cmocka_unit_test(accept_many_each_delivered),
        cmocka_unit_test(accept_after_cancel_goes_on),
        cmocka_unit_test(accept_no_descriptors_pauses_and_recovers),
        cmocka_unit_test(accept_paused_cancel_ends),
        cmocka_unit_test(peer_address_is_the_clients),
        cmocka_unit_test(recv_fragments_arrive_in_order),
        cmocka_unit_test(recv_larger_than_buffers_arrives_in_order),
        cmocka_unit_test(recv_end_of_stream_after_data),
        cmocka_unit_test(recv_end_of_stream_while_waiting),
        cmocka_unit_test(recv_reset_reported),
        cmocka_unit_test(recv_hot_socket_leaves_buffers_to_others),
        cmocka_unit_test(recv_all_hot_all_progress),
        cmocka_unit_test(send_slow_reader_whole_size_once),
        cmocka_unit_test(send_on_all_at_once_takes_no_memory),
        cmocka_unit_test(send_nothing_and_too_much_end_at_once),
        cmocka_unit_test(send_peer_gone_fails),
        cmocka_unit_test(connect_refused_reported),
        cmocka_unit_test(connect_cancel_ends),
        cmocka_unit_test(other_families_carry_bytes),
        cmocka_unit_test(poll_readiness_reported_once_each),
        cmocka_unit_test(poll_plain_file_is_ready),
        cmocka_unit_test(cancel_idle_or_twice_harmless),
        cmocka_unit_test(cancel_blocked_send_ends),
        cmocka_unit_test(recv_pause_and_resume_loses_nothing),
        cmocka_unit_test(cancel_from_event_of_another),
        cmocka_unit_test(close_and_reuse_no_event_of_the_old),
        cmocka_unit_test(op_freed_in_final_event_untouched),
        cmocka_unit_test(op_restarted_in_final_event_runs),
        cmocka_unit_test(small_queue_many_ops_all_run),
        cmocka_unit_test(wait_calls_woken_once_before_events),
        cmocka_unit_test(wait_deadline_returns_nothing_after_it),
        cmocka_unit_test(wake_before_wait_returns_at_once),
        cmocka_unit_test(wake_storm_from_threads_none_lost),
        cmocka_unit_test(wake_storm_while_spinning_none_lost),
        cmocka_unit_test(spin_then_sleep_still_receives),
        cmocka_unit_test(self_test_passes),
        cmocka_unit_test(config_out_of_range_refused),
        cmocka_unit_test(wait_batch_bounds_a_turn_and_loses_nothing),
        cmocka_unit_test(random_walk_every_op_ends_once),
    };
    return cmocka_run_group_tests_name(harness->name, tests, NULL, NULL);
}
