/* SPDX-License-Identifier: MIT */
/*
 * A ruler, not a server: what `sluice-bench floor` does, but through a poller. The difference to the
 * floor is what the poller costs.
 *
 *     poller_floor uring|uring-oneshot|uring-coop|epoll PORT [CORE [SPIN_US]]
 *     sluice-bench compare floor='sluice-bench floor --port {port}' \
 *                          uring='poller_floor uring {port}'
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/heads.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "io/sock/sock.h"
#include "io/uring/pick.h"

enum { BATCH_MAX = 64, CONNS_MAX = 65536 };

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
                            "\r\nHello, World!";

struct conn {
    struct sl_op recv;
    struct sl_op send;
    int fd;
    uint32_t owed; /* replies not yet sent */
    uint8_t match; /* bytes of CR LF CR LF seen at the end of the last receive */
};

static struct sl_poller *poller;
static char replies[BATCH_MAX * sizeof(reply)];
static struct conn *conns[CONNS_MAX]; /* by descriptor */
static volatile sig_atomic_t stopped;

static void conn_send(struct conn *conn)
{
    if (conn->owed == 0 || sl_op_is_pending(&conn->send)) return;
    uint32_t count = conn->owed < BATCH_MAX ? conn->owed : BATCH_MAX;
    conn->owed -= count;
    struct iovec iov = {replies, count * (sizeof(reply) - 1)};
    poller->ops->send(poller, &conn->send, conn->fd, &iov, 1);
}

static void conn_end(struct conn *conn)
{
    if (sl_op_is_pending(&conn->send) || sl_op_is_pending(&conn->recv)) return;
    poller->ops->close(poller, conn->fd);
}

static void on_send(struct sl_op *op, const struct sl_event *event)
{
    struct conn *conn = sl_container_of(op, struct conn, send);
    if (event->res < 0) poller->ops->cancel(poller, &conn->recv);
    if (event->res < 0 || !sl_op_is_pending(&conn->recv)) {
        conn_end(conn);
    } else {
        conn_send(conn);
    }
}

static void on_recv(struct sl_op *op, const struct sl_event *event)
{
    struct conn *conn = sl_container_of(op, struct conn, recv);
    if (event->flags & SL_EVENT_MORE) {
        conn->owed += sl_heads_count(&conn->match, event->data, (size_t)event->res);
        conn_send(conn);
    } else {
        conn_end(conn);
    }
}

static void on_accept(struct sl_op *op, const struct sl_event *event)
{
    (void)op;
    if (event->res < 0) return;
    sl_assert(event->res < CONNS_MAX);
    struct conn *conn = conns[event->res];
    if (conn == NULL) conn = conns[event->res] = calloc(1, sizeof(*conn));
    sl_assert(conn != NULL);
    *conn = (struct conn){.recv.fn = on_recv, .send.fn = on_send, .fd = event->res};
    poller->ops->recv(poller, &conn->recv, conn->fd);
}

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: poller_floor uring|uring-oneshot|uring-coop|epoll PORT "
                          "[CORE [SPIN_US]]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 3) return usage();
    struct sl_poller_config config = {0};
    struct sl_diag diag = {0};
    bool is_epoll = strcmp(argv[1], "epoll") == 0;
    if (strcmp(argv[1], "uring-oneshot") == 0) config.disable = SL_POLLER_NO_MULTISHOT_RECV;
    if (strcmp(argv[1], "uring-coop") == 0) config.disable = SL_POLLER_NO_DEFER_TASKRUN;
    if (argc > 3 && argv[3][0] != '-') {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(atoi(argv[3]), &set);
        if (sched_setaffinity(0, sizeof(set), &set) < 0) perror("sched_setaffinity");
    }
    if (argc > 4) config.spin_us = (uint32_t)atoi(argv[4]);
    for (int i = 0; i < BATCH_MAX; i++)
        memcpy(replies + (size_t)i * (sizeof(reply) - 1), reply, sizeof(reply) - 1);
    poller = sl_poller_new(is_epoll ? SL_POLLER_EPOLL : SL_POLLER_URING, &config, sl_clock_system(),
                           &diag);
    if (poller == NULL) {
        (void)fprintf(stderr, "%s\n", diag.text);
        return 1;
    }
    struct sl_addr addr;
    struct sl_op accept = {.fn = on_accept};
    (void)sl_addr_make(SL_SLICE("127.0.0.1"), (uint16_t)atoi(argv[2]), &addr, NULL);
    (void)sl_sock_wait_free(&addr, 100);
    int fd = poller->ops->listen(poller, &addr, false);
    if (fd < 0) {
        (void)fprintf(stderr, "listen: %s\n", strerror(-fd));
        return 1;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    poller->ops->accept(poller, &accept, fd);
    while (!stopped) (void)poller->ops->wait(poller, UINT64_MAX);
    const struct sl_poller_stats *s = &poller->stats;
    (void)fprintf(stderr, "waits %lu sleeps %lu syscalls %lu events %lu enobufs %lu rearms %lu\n",
                  s->waits, s->sleeps, s->syscalls, s->events, s->enobufs, s->rearms);
    return 0;
}
