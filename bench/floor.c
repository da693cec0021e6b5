/* SPDX-License-Identifier: MIT */
/*
 * The floor: a bare io_uring server that parses nothing. It counts the ends of request heads
 * (CR LF CR LF) and answers each with the same bytes, so it shows what the kernel alone costs:
 * multishot accept and receive, a buffer ring, DEFER_TASKRUN, one send for all that arrived
 * together. It understands no bodies and no errors; it is a ruler, not a server.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/heads.h"
#include "bench/options.h"
#include "bench/run.h"
#include "bench/uring.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    RING_ENTRIES = 1024,
    BUFS_COUNT = 512,
    BUF_SIZE = 4096,
    FDS_MAX = 65536,
    BATCH_MAX = 64, /* replies in one send */
};

enum floor_op { FLOOR_ACCEPT, FLOOR_RECV, FLOOR_SEND };

static const char REPLY[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
                            "\r\nHello, World!";

struct floor_conn {
    uint32_t generation;
    uint32_t owed; /* replies not yet sent */
    uint8_t match; /* bytes of CR LF CR LF seen at the end of the last buffer */
    bool is_sending;
    bool is_open;
};

struct floor {
    struct sl_uring ring;
    struct sl_uring_bufs bufs;
    struct floor_conn *conns; /* array of FDS_MAX, by descriptor */
    char *replies;            /* BATCH_MAX copies of REPLY */
    uint64_t left;            /* replies until it is silent; UINT64_MAX: for ever */
    uint64_t stall_ns;        /* answer nothing so long … */
    uint64_t every_ns; /* … in the middle of every such time of CLOCK_MONOTONIC; 0: never */
    int listen_fd;
};

static uint64_t tag(enum floor_op op, uint32_t generation, int fd)
{
    return (uint64_t)generation << 32 | (uint64_t)(uint32_t)fd << 2 | (uint64_t)op;
}

static void accept_arm(struct floor *floor)
{
    struct io_uring_sqe *sqe = sl_uring_sqe(&floor->ring);
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->fd = floor->listen_fd;
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->accept_flags = SOCK_CLOEXEC;
    sqe->user_data = tag(FLOOR_ACCEPT, 0, 0);
}

static void recv_arm(struct floor *floor, int fd)
{
    sl_uring_prep_recv(sl_uring_sqe(&floor->ring), fd,
                       tag(FLOOR_RECV, floor->conns[fd].generation, fd));
}

static void floor_accepted(struct floor *floor, const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) accept_arm(floor);
    if (cqe->res < 0) return;
    if (cqe->res >= FDS_MAX) {
        (void)close(cqe->res);
        return;
    }
    int one = 1;
    (void)setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct floor_conn *conn = &floor->conns[cqe->res];
    conn->generation = (conn->generation + 1) & 0x7fffffff;
    conn->is_open = true;
    conn->is_sending = false;
    conn->owed = 0;
    conn->match = 0;
    recv_arm(floor, cqe->res);
}

static void floor_send(struct floor *floor, int fd)
{
    struct floor_conn *conn = &floor->conns[fd];
    if (conn->is_sending || conn->owed == 0) return;
    uint32_t count = conn->owed < BATCH_MAX ? conn->owed : BATCH_MAX;
    conn->owed -= count;
    if (count > floor->left) count = (uint32_t)floor->left;
    if (count == 0) return;
    if (floor->left != UINT64_MAX) floor->left -= count;
    conn->is_sending = true;
    sl_uring_prep_send(sl_uring_sqe(&floor->ring), fd, floor->replies,
                       count * (uint32_t)(sizeof(REPLY) - 1),
                       tag(FLOOR_SEND, conn->generation, fd));
}

static void floor_close(struct floor *floor, int fd)
{
    if (!floor->conns[fd].is_open) return;
    floor->conns[fd].is_open = false;
    floor->conns[fd].generation = (floor->conns[fd].generation + 1) & 0x7fffffff;
    if (floor->ring.sqe_tail != floor->ring.sqe_sent) (void)sl_uring_enter(&floor->ring, 0, 0);
    (void)shutdown(fd, SHUT_RDWR);
    (void)close(fd);
}

static void floor_received(struct floor *floor, const struct io_uring_cqe *cqe, int fd)
{
    struct floor_conn *conn = &floor->conns[fd];
    if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
        floor_close(floor, fd);
        return;
    }
    if (cqe->res > 0) {
        const uint8_t *data = sl_uring_buf_get(&floor->bufs, cqe->flags);
        conn->owed += sl_heads_count(&conn->match, data, (size_t)cqe->res);
        sl_uring_buf_put(&floor->bufs, cqe->flags);
        floor_send(floor, fd);
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) recv_arm(floor, fd);
}

static void floor_event(struct floor *floor, const struct io_uring_cqe *cqe)
{
    enum floor_op op = (enum floor_op)(cqe->user_data & 3);
    int fd = (int)((cqe->user_data & 0xffffffff) >> 2);
    if (op == FLOOR_ACCEPT) {
        floor_accepted(floor, cqe);
        return;
    }
    struct floor_conn *conn = &floor->conns[fd];
    if (!conn->is_open || conn->generation != cqe->user_data >> 32) {
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) sl_uring_buf_put(&floor->bufs, cqe->flags);
        return;
    }
    if (op == FLOOR_RECV) {
        floor_received(floor, cqe, fd);
    } else if (cqe->res < 0) {
        floor_close(floor, fd);
    } else {
        conn->is_sending = false;
        floor_send(floor, fd);
    }
}

static int floor_listen(struct floor *floor, uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    floor->listen_fd = fd;
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) return -errno;
    return listen(fd, 4096) < 0 ? -errno : 0;
}

/* In a stall: sleep to its end. What arrived meanwhile is answered then. */
static void floor_stall(const struct floor *floor)
{
    if (floor->every_ns == 0) return;
    uint64_t now = sl_clock_now_ns(sl_clock_system());
    uint64_t begin = now - now % floor->every_ns + floor->every_ns / 2;
    uint64_t end = begin + floor->stall_ns;
    if (now < begin || now >= end) return;
    struct timespec ts = {.tv_sec = (time_t)(end / SL_NS_PER_SEC),
                          .tv_nsec = (long)(end % SL_NS_PER_SEC)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int floor_serve(struct floor *floor)
{
    accept_arm(floor);
    while (!sl_run_is_stopped()) {
        int err = sl_uring_enter(&floor->ring, 1, 200 * SL_NS_PER_MS);
        if (err < 0) return err;
        floor_stall(floor);
        struct io_uring_cqe *next;
        while ((next = sl_uring_peek(&floor->ring)) != NULL) {
            struct io_uring_cqe cqe = *next;
            sl_uring_seen(&floor->ring);
            floor_event(floor, &cqe);
        }
    }
    return 0;
}

struct floor_values {
    uint64_t stall_ns;
    uint64_t every_ns;
    uint32_t port;
    uint32_t core;
    uint32_t replies;
};

static const struct sl_option OPTIONS[] = {
    {"port", "N", "port on 127.0.0.1 (default 9000)", offsetof(struct floor_values, port),
     SL_OPTION_UINT, 'p'},
    {"core", "N", "pin to this core", offsetof(struct floor_values, core), SL_OPTION_UINT, 0},
    {"replies", "N", "say nothing more after so many replies; to test generators",
     offsetof(struct floor_values, replies), SL_OPTION_UINT, 0},
    {"stall", "T", "answer nothing for T in the middle of every --every; to test generators",
     offsetof(struct floor_values, stall_ns), SL_OPTION_DURATION, 0},
    {"every", "T", "how often it stalls (default 1s)", offsetof(struct floor_values, every_ns),
     SL_OPTION_DURATION, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "floor",
    .synopsis = "[options]",
    .about =
        "Run a bare io_uring server on 127.0.0.1 that answers every request head with the same\n"
        "reply and parses nothing: the cost of the kernel alone, to compare servers with.",
    .examples = "  sluice-bench floor --port 9000 --core 0 &\n"
                "  sluice-bench http --pid $! --cores 1 http://127.0.0.1:9000/\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static int floor_setup(struct floor *floor, uint16_t port)
{
    size_t reply_size = sizeof(REPLY) - 1;
    floor->conns = calloc(FDS_MAX, sizeof(*floor->conns));
    floor->replies = malloc(BATCH_MAX * reply_size);
    if (floor->conns == NULL || floor->replies == NULL) return -ENOMEM;
    for (int i = 0; i < BATCH_MAX; i++) memcpy(floor->replies + i * reply_size, REPLY, reply_size);
    int err = floor_listen(floor, port);
    if (err == 0) err = sl_uring_init(&floor->ring, RING_ENTRIES);
    if (err == 0) err = sl_uring_bufs_init(&floor->ring, &floor->bufs, BUFS_COUNT, BUF_SIZE);
    return err;
}

int sl_command_floor(int argc, char **argv)
{
    struct floor_values values = {.port = 9000, .core = UINT32_MAX, .every_ns = SL_NS_PER_SEC};
    struct sl_option_list positional = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    int err = sl_options_parse(&USAGE, argc, argv, &values, &positional, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0 && (positional.count > 0 || values.port > 65535)) {
        err = sl_diag_set(&diag, "bad_usage", (struct sl_pos){0, 0}, "expected only --port N");
    }
    if (err == 0 && (values.every_ns == 0 || values.stall_ns > values.every_ns / 2)) {
        err = sl_diag_set(&diag, "bad_usage", (struct sl_pos){0, 0},
                          "--stall must be at most half of --every");
    }
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        return SL_EXIT_USAGE;
    }
    if (values.core != UINT32_MAX && (err = sl_run_pin((int)values.core)) < 0) {
        (void)fprintf(stderr, "error: cannot pin to core %u: %s\n", values.core, strerror(-err));
        return SL_EXIT_USAGE;
    }
    struct floor *floor = calloc(1, sizeof(*floor));
    if (floor == NULL) return SL_EXIT_INTERNAL;
    floor->listen_fd = -1;
    floor->left = values.replies == 0 ? UINT64_MAX : values.replies;
    floor->stall_ns = values.stall_ns;
    floor->every_ns = values.stall_ns > 0 ? values.every_ns : 0;
    err = floor_setup(floor, (uint16_t)values.port);
    if (err == 0) {
        (void)fprintf(stderr, "floor: listening on 127.0.0.1:%u\n", values.port);
        err = floor_serve(floor);
    }
    if (err < 0) (void)fprintf(stderr, "error: floor: %s\n", strerror(-err));
    sl_uring_fini(&floor->ring);
    sl_uring_bufs_fini(&floor->bufs);
    if (floor->listen_fd >= 0) (void)close(floor->listen_fd);
    free(floor->replies);
    free(floor->conns);
    free(floor);
    return err < 0 ? SL_EXIT_INTERNAL : SL_EXIT_OK;
}
