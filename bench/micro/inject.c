/* SPDX-License-Identifier: MIT */
#include "bench/micro/inject.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/list.h"
#include "io/sock/waker.h"

enum {
    LISTEN_FD = 1 << 20,     /* no descriptor of the process is so high */
    CONN_FD = LISTEN_FD + 1, /* of connection 0 */
    BUFS_COUNT = 64,         /* receive buffers, used in turn */
    REST_MS = 5,
    SMALL_SIZE = 16, /* bytes of a reply that are compared */
};

struct conn {
    struct sl_op *recv;
    struct sl_op *send;
    uint64_t sent;     /* bytes of the send under way */
    uint32_t awaiting; /* replies that are still to come */
    bool is_cancelled; /* its recv is */
};

struct inject {
    struct sl_poller base; /* first */
    struct sl_inject_feed *feed;
    struct sl_op *accept;
    struct conn *conns;  /* array of the feed's `connections` */
    struct sl_op **done; /* sends to be completed by the next wait: array of `connections` */
    uint8_t *bufs;       /* BUFS_COUNT of SL_INJECT_BUF_SIZE */
    uint32_t done_count;
    uint32_t opened;
    uint32_t next; /* connection that is due first */
    uint32_t buf_next;
    uint32_t reply_size; /* of one reply; 0: not known */
    uint32_t order;      /* followed now */
    bool accept_cancelled;
    uint64_t replies; /* of the window */
    uint64_t bytes_out;
    uint64_t cpu_begin_ns;
    struct sl_waker waker; /* as the real pollers: no system call while we are awake */
};

static struct inject *inject_of(struct sl_poller *poller)
{
    return (struct inject *)poller;
}

static struct conn *conn_of(struct inject *inject, int fd)
{
    sl_assert(fd >= CONN_FD);
    sl_assert((uint32_t)(fd - CONN_FD) < inject->feed->connections);
    return &inject->conns[fd - CONN_FD];
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * SL_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void op_start(struct sl_op *op, enum sl_op_type type, int fd)
{
    sl_assert(!sl_op_is_pending(op));
    op->type = (uint8_t)type;
    op->fd = fd;
}

/* The final event of an op. */
static void op_end(struct sl_op *op, int32_t res)
{
    op->type = SL_OP_NONE;
    op->fn(op, &(struct sl_event){.res = res});
}

/* ---- operations ------------------------------------------------------------------------------ */

static int inject_listen(struct sl_poller *poller, const struct sl_addr *addr, bool shared)
{
    (void)poller;
    (void)addr;
    (void)shared;
    return LISTEN_FD;
}

static int inject_adopt(struct sl_poller *poller, int fd)
{
    (void)poller;
    (void)fd;
    return -ENOSYS;
}

static void inject_accept(struct sl_poller *poller, struct sl_op *op, int fd)
{
    op_start(op, SL_OP_ACCEPT, fd);
    inject_of(poller)->accept = op;
}

static void inject_recv(struct sl_poller *poller, struct sl_op *op, int fd)
{
    op_start(op, SL_OP_RECV, fd);
    conn_of(inject_of(poller), fd)->recv = op;
}

/* All of the replies are of one size and begin alike; what else arrives is bad. */
static void sent_check(struct inject *inject, struct conn *conn, const struct iovec *iov)
{
    static const char good[SMALL_SIZE + 1] = "HTTP/1.1 200 OK\r";
    struct sl_inject_feed *feed = inject->feed;
    if (inject->reply_size == 0 && conn->awaiting > 0) {
        inject->reply_size = (uint32_t)(conn->sent / conn->awaiting);
        atomic_store_explicit(&feed->reply_size, inject->reply_size, memory_order_relaxed);
    }
    uint32_t replies = inject->reply_size > 0 ? (uint32_t)(conn->sent / inject->reply_size) : 0;
    bool is_good = iov->iov_len >= SMALL_SIZE && memcmp(iov->iov_base, good, SMALL_SIZE) == 0 &&
                   replies > 0 && conn->sent == (uint64_t)replies * inject->reply_size &&
                   replies <= conn->awaiting;
    if (!is_good) {
        sl_poller_count(&feed->bad, 1);
        return;
    }
    for (uint32_t i = 0; feed->spoil != NULL && i < replies; i++) {
        (void)atomic_fetch_add_explicit(feed->spoil, 1, memory_order_relaxed);
    }
    conn->awaiting -= replies;
    inject->replies += replies;
    inject->bytes_out += conn->sent;
}

static void inject_send(struct sl_poller *poller, struct sl_op *op, int fd, const struct iovec *iov,
                        uint32_t count)
{
    struct inject *inject = inject_of(poller);
    struct conn *conn = conn_of(inject, fd);
    op_start(op, SL_OP_SEND, fd);
    conn->sent = 0;
    for (uint32_t i = 0; i < count; i++) conn->sent += iov[i].iov_len;
    conn->send = op;
    sent_check(inject, conn, iov);
    sl_assert(inject->done_count < inject->feed->connections);
    inject->done[inject->done_count++] = op;
}

static void inject_connect(struct sl_poller *poller, struct sl_op *op, const struct sl_addr *addr)
{
    (void)poller;
    (void)op;
    (void)addr;
    sl_unreachable();
}

static void inject_poll(struct sl_poller *poller, struct sl_op *op, int fd, uint32_t events)
{
    (void)poller;
    (void)events;
    op_start(op, SL_OP_POLL, fd); /* never ready */
}

static void inject_cancel(struct sl_poller *poller, struct sl_op *op)
{
    struct inject *inject = inject_of(poller);
    if (op->type == SL_OP_ACCEPT) inject->accept_cancelled = true;
    if (op->type == SL_OP_RECV) conn_of(inject, op->fd)->is_cancelled = true;
}

static void inject_shutdown(struct sl_poller *poller, int fd)
{
    (void)poller;
    (void)fd;
}

static void inject_close(struct sl_poller *poller, int fd)
{
    struct inject *inject = inject_of(poller);
    if (fd == LISTEN_FD) return;
    memset(conn_of(inject, fd), 0, sizeof(struct conn));
}

static int inject_peer(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(fd & 0xffff))};
    (void)poller;
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&ret_addr->storage, &peer, sizeof(peer));
    ret_addr->size = sizeof(peer);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Follow a new order; the window's figures are told when it ends. */
static void order_follow(struct inject *inject)
{
    struct sl_inject_feed *feed = inject->feed;
    uint32_t order = atomic_load_explicit(&feed->order, memory_order_acquire);
    if (order == inject->order) return;
    if (inject->order == SL_INJECT_MEASURE) {
        uint64_t cpu_ns = thread_cpu_ns() - inject->cpu_begin_ns;
        atomic_store_explicit(&feed->cpu_ns, cpu_ns, memory_order_relaxed);
        atomic_store_explicit(&feed->replies, inject->replies, memory_order_relaxed);
        atomic_store_explicit(&feed->bytes_out, inject->bytes_out, memory_order_relaxed);
    }
    inject->order = order;
    inject->replies = 0;
    inject->bytes_out = 0;
    /* Release pairs with the measurer's acquire: the figures are whole before it is seen. */
    atomic_store_explicit(&feed->seen, order, memory_order_release);
    if (order == SL_INJECT_MEASURE) inject->cpu_begin_ns = thread_cpu_ns();
}

static uint32_t sends_end(struct inject *inject)
{
    uint32_t count = inject->done_count;
    inject->done_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_op *op = inject->done[i];
        struct conn *conn = conn_of(inject, op->fd);
        conn->send = NULL;
        op_end(op, (int32_t)conn->sent);
    }
    return count;
}

static uint32_t cancels_end(struct inject *inject)
{
    uint32_t count = 0;
    if (inject->accept_cancelled) {
        inject->accept_cancelled = false;
        struct sl_op *op = inject->accept;
        inject->accept = NULL;
        op_end(op, -ECANCELED);
        count++;
    }
    for (uint32_t i = 0; i < inject->opened; i++) {
        struct conn *conn = &inject->conns[i];
        if (!conn->is_cancelled) continue;
        struct sl_op *op = conn->recv;
        conn->is_cancelled = false;
        conn->recv = NULL;
        op_end(op, -ECANCELED);
        count++;
    }
    return count;
}

static uint32_t accepts_do(struct inject *inject)
{
    uint32_t count = 0;
    while (inject->accept != NULL && !inject->accept_cancelled &&
           inject->opened < inject->feed->connections) {
        int32_t fd = CONN_FD + (int32_t)inject->opened++;
        inject->accept->fn(inject->accept, &(struct sl_event){.res = fd, .flags = SL_EVENT_MORE});
        count++;
    }
    return count;
}

static uint32_t requests_give(struct inject *inject)
{
    struct sl_inject_feed *feed = inject->feed;
    uint32_t pipeline = atomic_load_explicit(&feed->pipeline, memory_order_relaxed);
    uint32_t given = 0;
    for (uint32_t i = 0; i < inject->opened && given < feed->batch; i++) {
        struct conn *conn = &inject->conns[inject->next];
        inject->next = inject->next + 1 < inject->opened ? inject->next + 1 : 0;
        if (conn->recv == NULL || conn->send != NULL || conn->awaiting > 0) continue;
        uint8_t *buf = inject->bufs + (size_t)inject->buf_next * SL_INJECT_BUF_SIZE;
        inject->buf_next = (inject->buf_next + 1) % BUFS_COUNT;
        for (uint32_t p = 0; p < pipeline; p++) {
            memcpy(buf + (size_t)p * feed->request_size, feed->request, feed->request_size);
        }
        conn->awaiting = pipeline;
        given++;
        conn->recv->fn(conn->recv,
                       &(struct sl_event){.res = (int32_t)(pipeline * feed->request_size),
                                          .flags = SL_EVENT_MORE,
                                          .data = buf});
    }
    return given;
}

static void rest(struct inject *inject, uint64_t deadline_ns)
{
    if (deadline_ns == 0) return;
    struct pollfd fd = {.fd = inject->waker.fd, .events = POLLIN};
    uint64_t value;
    sl_waker_announce(&inject->waker);
    if (sl_waker_is_pending(&inject->waker)) return;
    if (poll(&fd, 1, REST_MS) > 0) (void)eventfd_read(inject->waker.fd, &value);
}

static uint32_t inject_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct inject *inject = inject_of(poller);
    bool idle = inject->feed != NULL && inject->order == SL_INJECT_REST && inject->done_count == 0;
    if (idle) rest(inject, deadline_ns);
    sl_waker_rise(&inject->waker);
    if (poller->woken != NULL) poller->woken(poller);
    if (inject->feed == NULL) return 0;
    order_follow(inject);
    uint32_t count = sends_end(inject);
    if (inject->order != SL_INJECT_REST) {
        count += accepts_do(inject);
        count += requests_give(inject);
    }
    count += cancels_end(inject);
    return count;
}

static bool inject_is_ready(struct sl_poller *poller)
{
    const struct inject *inject = inject_of(poller);
    return inject->feed != NULL && inject->order != SL_INJECT_REST;
}

static void inject_wake(struct sl_poller *poller)
{
    sl_waker_wake(&inject_of(poller)->waker);
}

static void inject_free(struct sl_poller *poller)
{
    struct inject *inject = inject_of(poller);
    sl_waker_fini(&inject->waker);
    free(inject->conns);
    free(inject->done);
    free(inject->bufs);
    free(inject);
}

static const struct sl_poller_ops INJECT_OPS = {
    .name = "inject",
    .listen = inject_listen,
    .adopt = inject_adopt,
    .accept = inject_accept,
    .recv = inject_recv,
    .send = inject_send,
    .connect = inject_connect,
    .poll = inject_poll,
    .cancel = inject_cancel,
    .shutdown = inject_shutdown,
    .close = inject_close,
    .peer = inject_peer,
    .wait = inject_wait,
    .is_ready = inject_is_ready,
    .wake = inject_wake,
    .free = inject_free,
};

struct sl_poller *sl_inject_new(struct sl_inject_feed *feed, struct sl_clock *clock)
{
    sl_assert(clock != NULL);
    struct inject *inject = aligned_alloc(alignof(struct inject), sizeof(*inject));
    if (inject == NULL) return NULL;
    *inject = (struct inject){.feed = NULL};
    inject->base.ops = &INJECT_OPS;
    inject->base.clock = clock;
    inject->feed = feed;
    bool ok = sl_waker_init(&inject->waker) == 0;
    if (feed != NULL) {
        sl_assert(feed->connections <= SL_INJECT_CONNS_MAX);
        inject->conns = calloc(feed->connections, sizeof(*inject->conns));
        inject->done = calloc(feed->connections, sizeof(struct sl_op *));
        inject->bufs = aligned_alloc(4096, (size_t)BUFS_COUNT * SL_INJECT_BUF_SIZE);
        ok = ok && inject->conns != NULL && inject->done != NULL && inject->bufs != NULL;
    }
    if (ok) return &inject->base;
    inject_free(&inject->base);
    return NULL;
}
