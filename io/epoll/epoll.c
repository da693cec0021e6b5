/* SPDX-License-Identifier: MIT */
/*
 * The poller on epoll.
 *
 *     start ──► queue ──try at the next wait──► done  ──► op->fn
 *                 ▲                         └─► EAGAIN: sleeps in its descriptor's file entry
 *                 └──────── epoll event ◄───────────┘
 *
 * Each descriptor has an entry: its recv (or accept, or poll) op, its send (or connect) op, and a
 * generation that changes at close, so an event that was fetched before the close finds another
 * generation and is dropped. Registration is edge triggered and made once: EPOLLIN | EPOLLRDHUP,
 * with EPOLLOUT added the first time a send has to wait.
 *
 * Edge triggered means: after an edge, read until EAGAIN. A read shorter than the buffer is as good
 * (epoll(7)), unless the peer has closed: then a last read must see the end, so RDHUP, HUP and ERR
 * are remembered in `hup`. Edges that come while nobody reads are remembered in `readable`.
 *
 * A hot socket gets READS_MAX reads in a turn, then it goes to the end of the queue. Sends are tried
 * in wait before sleeping; their results, as all events, are delivered after it.
 */
#include "io/epoll/epoll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "io/sock/sock.h"
#include "io/sock/waker.h"

enum {
    /* op->state */
    QUEUED = 1,   /* in `queue` */
    DONE = 2,     /* its result is in word[WORD_RESULT] */
    CANCELED = 4, /* the caller asked for its end */

    EVENTS_MAX = 256, /* of one epoll_wait */
    READS_MAX = 4,    /* of one socket in one turn */
    ACCEPTS_MAX = 64, /* of one listener in one turn */
    FILES_MIN = 256,
};

/* op->word */
enum { WORD_RESULT, WORD_LEFT, WORD_TOTAL };

#define WAKE_DATA UINT64_MAX

struct file {
    struct sl_op *in;    /* recv, accept or poll; NULL: none */
    struct sl_op *out;   /* send or connect; NULL: none */
    struct block *block; /* of its send; taken once for each number, before its first op */
    uint32_t generation;
    uint32_t events; /* registered with epoll; 0: not registered */
    bool readable;   /* an edge came that no read has used up */
    bool hup;        /* the peer closed, or an error waits to be read */
};

/* What is left to send. */
struct block {
    struct iovec *at;
    uint32_t count;
    struct iovec iov[SL_POLLER_IOV_MAX];
};

struct epoll {
    struct sl_poller base;
    int fd;
    struct file *files; /* array of `files_count`, by descriptor */
    uint32_t files_count;
    struct sl_op *queue; /* ops to try, or with a result; oldest first */
    struct sl_op **queue_end;
    struct sl_op *paused; /* accepts that wait for descriptors */
    uint64_t paused_until_ns;
    uint8_t *buf; /* every receive goes here */
    uint32_t buf_size;
    uint32_t backlog;
    uint64_t spin_ns;
    int batch;           /* events fetched a turn, at most */
    bool kernel_skipped; /* the last wait did not ask the kernel */
    bool in_wait;
    pthread_t thread;
    struct sl_waker waker;
    struct epoll_event events[EVENTS_MAX];
};

static_assert(offsetof(struct epoll, base) == 0, "a poller is the first member");

static struct epoll *epoll_of(struct sl_poller *poller)
{
    struct epoll *e = (struct epoll *)poller;
    sl_assert_slow(pthread_equal(e->thread, pthread_self()));
    return e;
}

/* Files. */

static bool files_reach(struct epoll *e, int fd)
{
    if ((uint32_t)fd < e->files_count) return true;
    uint32_t count = e->files_count == 0 ? FILES_MIN : e->files_count;
    while (count <= (uint32_t)fd) count *= 2;
    struct file *files = realloc(e->files, count * sizeof(*files));
    if (files == NULL) return false;
    memset(files + e->files_count, 0, (count - e->files_count) * sizeof(*files));
    e->files = files;
    e->files_count = count;
    return true;
}

/* So a descriptor takes memory when it is first received from, not when many send at once. */
static bool block_reach(struct file *file)
{
    if (file->block == NULL) file->block = malloc(sizeof(*file->block));
    return file->block != NULL;
}

/* The descriptor is new or gone: whatever was known about the number does not hold any more. */
static void file_reset(struct epoll *e, int fd)
{
    if ((uint32_t)fd >= e->files_count) return;
    struct file *file = &e->files[fd];
    sl_assert(file->in == NULL);
    sl_assert(file->out == NULL);
    *file = (struct file){.generation = file->generation + 1, .block = file->block};
}

static int file_control(struct epoll *e, int fd, int what, uint32_t events)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)e->files[fd].generation << 32 | (uint32_t)fd,
    };
    sl_poller_count(&e->base.stats.syscalls, 1);
    return epoll_ctl(e->fd, what, fd, &event) < 0 ? -errno : 0;
}

/* Watch a descriptor for `events`; what is ready already makes an edge. 0 or -errno. */
static int file_watch(struct epoll *e, int fd, uint32_t events)
{
    struct file *file = &e->files[fd];
    int r = file_control(e, fd, file->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, events);
    /* A foreign descriptor may have been closed, or made again, without our knowing. */
    if (r == -ENOENT) r = file_control(e, fd, EPOLL_CTL_ADD, events);
    if (r == -EEXIST) r = file_control(e, fd, EPOLL_CTL_MOD, events);
    if (r == 0) file->events = events;
    return r;
}

/* The life of an op. */

static void op_queue(struct epoll *e, struct sl_op *op)
{
    if (op->state & QUEUED) return;
    op->state |= QUEUED;
    op->next = NULL;
    *e->queue_end = op;
    e->queue_end = &op->next;
}

static void op_done(struct epoll *e, struct sl_op *op, int32_t res)
{
    op->state |= DONE;
    op->word[WORD_RESULT] = (uint64_t)(int64_t)res;
    op_queue(e, op);
}

static void op_finish(struct epoll *e, struct sl_op *op, int32_t res)
{
    sl_assert(!(op->state & QUEUED));
    if (op->fd >= 0 && (uint32_t)op->fd < e->files_count) {
        struct file *file = &e->files[op->fd];
        if (file->in == op) file->in = NULL;
        if (file->out == op) file->out = NULL;
    }
    op->type = SL_OP_NONE;
    op->state = 0;
    sl_poller_count(&e->base.stats.ops_pending, (uint64_t)-1);
    struct sl_event event = {.res = res};
    op->fn(op, &event);
}

static void op_event_more(struct sl_op *op, int32_t res, const uint8_t *data)
{
    struct sl_event event = {.res = res, .flags = SL_EVENT_MORE, .data = data};
    op->fn(op, &event);
}

/* Take the op and put it into its descriptor's entry. False: it is done already. */
static bool op_start(struct epoll *e, struct sl_op *op, enum sl_op_type type, int fd)
{
    sl_assert(op != NULL);
    sl_assert(op->fn != NULL);
    sl_assert(op->type == SL_OP_NONE);
    op->type = (uint8_t)type;
    op->state = 0;
    op->fd = fd;
    memset(op->word, 0, sizeof(op->word));
    sl_poller_count(&e->base.stats.ops_pending, 1);
    if (fd < 0) return true; /* connect: its descriptor comes later */
    if (!files_reach(e, fd) || !block_reach(&e->files[fd])) {
        op_done(e, op, -ENOMEM);
        return false;
    }
    struct file *file = &e->files[fd];
    struct sl_op **place = type == SL_OP_SEND ? &file->out : &file->in;
    sl_assert(*place == NULL);
    *place = op;
    return true;
}

/* Sending and connecting: before the sleep. */

/* Drop `size` sent bytes from the front. */
static void block_advance(struct block *block, size_t size)
{
    while (block->count > 0 && size >= block->at->iov_len) {
        size -= block->at->iov_len;
        block->at++;
        block->count--;
    }
    if (size == 0) return;
    sl_assert(block->count > 0);
    block->at->iov_base = (uint8_t *)block->at->iov_base + size;
    block->at->iov_len -= size;
}

static ssize_t send_some(struct epoll *e, int fd, struct block *block)
{
    sl_poller_count(&e->base.stats.syscalls, 1);
    ssize_t size;
    if (block->count == 1) {
        size = send(fd, block->at->iov_base, block->at->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        struct msghdr msg = {.msg_iov = block->at, .msg_iovlen = block->count};
        size = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return size < 0 ? -errno : size;
}

static void try_send(struct epoll *e, struct sl_op *op)
{
    struct block *block = e->files[op->fd].block;
    while (op->word[WORD_LEFT] > 0) {
        ssize_t size = send_some(e, op->fd, block);
        if (size == -EINTR) continue;
        if (size == -EAGAIN) {
            uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET;
            struct file *file = &e->files[op->fd];
            int r = file->events == events ? 0 : file_watch(e, op->fd, events);
            if (r < 0) op_done(e, op, r);
            return;
        }
        if (size < 0) {
            op_done(e, op, (int32_t)size);
            return;
        }
        sl_poller_count(&e->base.stats.bytes_sent, (uint64_t)size);
        op->word[WORD_LEFT] -= (uint64_t)size;
        block_advance(block, (size_t)size);
        if (op->word[WORD_LEFT] > 0) sl_poller_count(&e->base.stats.short_sends, 1);
    }
    op_done(e, op, (int32_t)op->word[WORD_TOTAL]);
}

/* The connect that was under way has ended, well or not. */
static void try_connect(struct epoll *e, struct sl_op *op)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    op_done(e, op, -error);
}

static void finish_connect(struct epoll *e, struct sl_op *op, int32_t res)
{
    int fd = op->fd;
    struct file *file = &e->files[fd];
    sl_assert(file->out == op);
    file->out = NULL;
    if (res < 0) {
        file_reset(e, fd);
        (void)close(fd);
    }
    op->fd = -1;
    op_finish(e, op, res < 0 ? res : fd);
}

/* Receiving and accepting: after the sleep, since their events are delivered on the way. */

static uint32_t try_accept(struct epoll *e, struct sl_op *op)
{
    bool pause = false;
    uint32_t events = 0;
    e->files[op->fd].readable = true;
    for (int i = 0; i < ACCEPTS_MAX && !(op->state & CANCELED); i++) {
        sl_poller_count(&e->base.stats.syscalls, 1);
        int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int error = errno;
        if (fd >= 0) {
            file_reset(e, fd);
            sl_poller_count(&e->base.stats.accepts, 1);
            op_event_more(op, fd, NULL);
            events++;
            continue;
        }
        if (error == EAGAIN) {
            e->files[op->fd].readable = false;
            return events;
        }
        if (!sl_sock_accept_may_retry(error, &pause)) {
            op_finish(e, op, -error);
            return events + 1;
        }
        if (error != EINTR) sl_poller_count(&e->base.stats.accept_errors, 1);
        if (pause) {
            op->next = e->paused;
            e->paused = op;
            e->paused_until_ns =
                sl_clock_now_ns(e->base.clock) + SL_POLLER_ACCEPT_PAUSE_MS * SL_NS_PER_MS;
            return events;
        }
    }
    op_queue(e, op); /* more may wait, or the caller asked for the end */
    return events;
}

static uint32_t try_recv(struct epoll *e, struct sl_op *op)
{
    uint32_t events = 0;
    for (int i = 0; i < READS_MAX && !(op->state & CANCELED); i++) {
        sl_poller_count(&e->base.stats.syscalls, 1);
        ssize_t size = recv(op->fd, e->buf, e->buf_size, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) {
            e->files[op->fd].readable = false;
            return events;
        }
        if (size <= 0) {
            op_finish(e, op, size == 0 ? 0 : -errno);
            return events + 1;
        }
        sl_poller_count(&e->base.stats.bytes_received, (uint64_t)size);
        bool drained = (size_t)size < e->buf_size && !e->files[op->fd].hup;
        if (drained) e->files[op->fd].readable = false;
        op_event_more(op, (int32_t)size, e->buf);
        events++;
        if (drained && !(op->state & CANCELED)) return events;
    }
    op_queue(e, op); /* more may wait, or the caller asked for the end */
    return events;
}

/* The queue. */

/* Try what can be tried before the sleep: sends. Others stay queued. */
static void queue_flush(struct epoll *e)
{
    for (struct sl_op *op = e->queue; op != NULL; op = op->next) {
        if (op->type == SL_OP_SEND && !(op->state & (DONE | CANCELED))) try_send(e, op);
    }
}

/* One op of the queue, after the sleep. Returns the events delivered. */
static uint32_t queue_run_one(struct epoll *e, struct sl_op *op)
{
    op->state &= (uint8_t)~QUEUED;
    if (op->state & (DONE | CANCELED)) {
        bool done = op->state & DONE;
        int32_t res = done ? (int32_t)(int64_t)op->word[WORD_RESULT] : -ECANCELED;
        if (op->type == SL_OP_CONNECT && op->fd >= 0) {
            finish_connect(e, op, res);
        } else {
            op_finish(e, op, res);
        }
        return 1;
    }
    switch (op->type) {
    case SL_OP_ACCEPT: return try_accept(e, op);
    case SL_OP_RECV: return try_recv(e, op);
    default: return 0; /* a send that waits for EPOLLOUT */
    }
}

static uint32_t queue_run(struct epoll *e)
{
    struct sl_op *op = e->queue;
    uint32_t events = 0;
    e->queue = NULL;
    e->queue_end = &e->queue;
    while (op != NULL) {
        struct sl_op *next = op->next;
        events += queue_run_one(e, op);
        op = next;
    }
    return events;
}

static bool queue_has_work(const struct epoll *e)
{
    for (const struct sl_op *op = e->queue; op != NULL; op = op->next) {
        if (op->type != SL_OP_SEND || (op->state & (DONE | CANCELED))) return true;
    }
    return false;
}

/* Epoll events. */

static uint32_t in_ready(struct epoll *e, struct file *file, uint32_t events)
{
    struct sl_op *op = file->in;
    file->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) file->hup = true;
    if (op == NULL || (op->state & (QUEUED | DONE | CANCELED))) return 0;
    switch (op->type) {
    case SL_OP_ACCEPT: return try_accept(e, op);
    case SL_OP_RECV: return try_recv(e, op);
    case SL_OP_POLL: op_finish(e, op, (int32_t)(events & 0xffff)); return 1;
    default: sl_unreachable();
    }
}

static void out_ready(struct epoll *e, struct sl_op *op)
{
    if (op->state & (DONE | CANCELED)) return;
    if (op->type == SL_OP_SEND) {
        try_send(e, op);
    } else if (op->type == SL_OP_CONNECT) {
        try_connect(e, op);
    }
}

static uint32_t file_ready(struct epoll *e, uint64_t data, uint32_t events)
{
    uint32_t fd = (uint32_t)data;
    if (data == WAKE_DATA || fd >= e->files_count) return 0;
    if (e->files[fd].generation != (uint32_t)(data >> 32)) return 0; /* of a closed one */
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && e->files[fd].out != NULL)
        out_ready(e, e->files[fd].out);
    bool is_poll = e->files[fd].in != NULL && e->files[fd].in->type == SL_OP_POLL;
    if ((events & ~(uint32_t)EPOLLOUT) || is_poll) return in_ready(e, &e->files[fd], events);
    return 0;
}

/* Waiting. */

static __attribute__((cold)) void resume_paused(struct epoll *e, uint64_t now_ns)
{
    if (now_ns < e->paused_until_ns) return;
    struct sl_op *op = e->paused;
    e->paused = NULL;
    while (op != NULL) {
        struct sl_op *next = op->next;
        sl_poller_count(&e->base.stats.rearms, 1);
        op_queue(e, op);
        op = next;
    }
}

static int ask_kernel(struct epoll *e, const struct timespec *timeout)
{
    sl_poller_count(&e->base.stats.syscalls, 1);
    int count = epoll_pwait2(e->fd, e->events, e->batch, timeout, NULL);
    if (count < 0 && errno == ENOSYS) { /* before 5.11 */
        int ms = -1;
        if (timeout != NULL)
            ms = (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000);
        count = epoll_wait(e->fd, e->events, e->batch, ms);
    }
    return count < 0 ? 0 : count; /* EINTR: as a wake */
}

static int spin(struct epoll *e, uint64_t now_ns, uint64_t until_ns)
{
    const struct timespec zero = {0};
    uint64_t end_ns = now_ns + e->spin_ns < until_ns ? now_ns + e->spin_ns : until_ns;
    int count = 0;
    while (count == 0 && !sl_waker_is_pending(&e->waker) &&
           sl_clock_now_ns(e->base.clock) < end_ns) {
        count = ask_kernel(e, &zero);
    }
    return count;
}

/* Fetch events, and sleep for them if that is allowed until `until_ns`. */
static int fetch(struct epoll *e, uint64_t until_ns)
{
    struct timespec timeout = {0};
    uint64_t now_ns = 0;
    if (until_ns != 0 && (until_ns != UINT64_MAX || e->spin_ns > 0))
        now_ns = sl_clock_now_ns(e->base.clock);
    if (now_ns >= until_ns) return ask_kernel(e, &timeout);
    if (e->spin_ns > 0) {
        int count = spin(e, now_ns, until_ns);
        if (count > 0) return count;
        now_ns = sl_clock_now_ns(e->base.clock);
    }
    sl_waker_announce(&e->waker);
    if (sl_waker_is_pending(&e->waker) || now_ns >= until_ns) return ask_kernel(e, &timeout);
    sl_poller_count(&e->base.stats.sleeps, 1);
    if (until_ns == UINT64_MAX) return ask_kernel(e, NULL);
    uint64_t ns = until_ns - now_ns;
    timeout.tv_sec = (time_t)(ns / SL_NS_PER_SEC);
    timeout.tv_nsec = (long)(ns % SL_NS_PER_SEC);
    return ask_kernel(e, &timeout);
}

static uint32_t epoll_poller_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(!e->in_wait);
    e->in_wait = true;
    sl_poller_count(&e->base.stats.waits, 1);
    uint64_t until_ns = deadline_ns;
    if (e->paused != NULL) {
        resume_paused(e, sl_clock_now_ns(e->base.clock));
        if (e->paused != NULL && e->paused_until_ns < until_ns) until_ns = e->paused_until_ns;
    }
    queue_flush(e);
    /* With work at hand the kernel is asked every second time: a turn costs one call less. */
    bool work = queue_has_work(e);
    bool skip = work && !e->kernel_skipped;
    int count = skip ? 0 : fetch(e, work ? 0 : until_ns);
    e->kernel_skipped = skip;
    sl_waker_rise(&e->waker);
    if (e->base.woken != NULL) e->base.woken(&e->base);
    uint32_t events = queue_run(e);
    for (int i = 0; i < count; i++)
        events += file_ready(e, e->events[i].data.u64, e->events[i].events);
    sl_poller_count(&e->base.stats.events, events);
    e->in_wait = false;
    return events;
}

static bool epoll_is_ready(struct sl_poller *poller)
{
    struct epoll *e = epoll_of(poller);
    return e->queue != NULL || sl_waker_is_pending(&e->waker);
}

static void epoll_wake(struct sl_poller *poller)
{
    sl_waker_wake(&((struct epoll *)poller)->waker);
}

/* The operations. */

static int epoll_listen(struct sl_poller *poller, const struct sl_addr *addr, bool shared)
{
    struct epoll *e = epoll_of(poller);
    int fd = sl_sock_listen(addr, shared, e->backlog);
    if (fd >= 0) file_reset(e, fd);
    return fd;
}

static int epoll_adopt(struct sl_poller *poller, int fd)
{
    int r = sl_sock_adopt(fd);
    if (r == 0) file_reset(epoll_of(poller), fd);
    return r;
}

/* Start a recv or accept: watch the descriptor, and look at once if an edge came before. */
static void start_in(struct epoll *e, struct sl_op *op, enum sl_op_type type, int fd)
{
    sl_assert(fd >= 0);
    if (!op_start(e, op, type, fd)) return;
    struct file *file = &e->files[fd];
    if (!(file->events & EPOLLET)) { /* new, or poll looked at it before */
        uint32_t events = type == SL_OP_RECV ? EPOLLIN | EPOLLRDHUP | EPOLLET : EPOLLIN | EPOLLET;
        int r = file_watch(e, fd, events);
        if (r < 0) op_done(e, op, r);
    } else if (file->readable || file->hup) {
        op_queue(e, op);
    }
}

static void epoll_accept(struct sl_poller *poller, struct sl_op *op, int fd)
{
    start_in(epoll_of(poller), op, SL_OP_ACCEPT, fd);
}

static void epoll_recv(struct sl_poller *poller, struct sl_op *op, int fd)
{
    start_in(epoll_of(poller), op, SL_OP_RECV, fd);
}

static void epoll_send(struct sl_poller *poller, struct sl_op *op, int fd, const struct iovec *iov,
                       uint32_t count)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(count >= 1);
    sl_assert(count <= SL_POLLER_IOV_MAX);
    if (!op_start(e, op, SL_OP_SEND, fd)) return;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += iov[i].iov_len;
    if (total == 0 || total > INT32_MAX) {
        op_done(e, op, total == 0 ? 0 : -EMSGSIZE);
        return;
    }
    struct block *block = e->files[fd].block;
    memcpy(block->iov, iov, count * sizeof(*iov));
    block->at = block->iov;
    block->count = count;
    op->word[WORD_LEFT] = total;
    op->word[WORD_TOTAL] = total;
    op_queue(e, op);
}

static void epoll_connect(struct sl_poller *poller, struct sl_op *op, const struct sl_addr *addr)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(addr != NULL);
    (void)op_start(e, op, SL_OP_CONNECT, -1);
    int fd = sl_sock_new(addr);
    if (fd < 0 || !files_reach(e, fd)) {
        if (fd >= 0) (void)close(fd);
        op_done(e, op, fd < 0 ? fd : -ENOMEM);
        return;
    }
    file_reset(e, fd);
    op->fd = fd;
    e->files[fd].out = op;
    sl_poller_count(&e->base.stats.syscalls, 1);
    int r = connect(fd, (const struct sockaddr *)&addr->storage, addr->size);
    if (r == 0 || errno != EINPROGRESS) {
        op_done(e, op, r == 0 ? 0 : -errno);
        return;
    }
    r = file_watch(e, fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET);
    if (r < 0) op_done(e, op, r);
}

static void epoll_poll(struct sl_poller *poller, struct sl_op *op, int fd, uint32_t events)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(fd >= 0);
    if (!op_start(e, op, SL_OP_POLL, fd)) return;
    e->files[fd].generation++; /* an event of an earlier poll must not end this one */
    int r = file_watch(e, fd, (events & 0xffff) | EPOLLONESHOT);
    if (r == -EPERM) r = (int)events & (POLLIN | POLLOUT); /* a plain file: always ready */
    if (r != 0) op_done(e, op, r);
}

static void epoll_cancel(struct sl_poller *poller, struct sl_op *op)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(op != NULL);
    if (op->type == SL_OP_NONE || (op->state & (DONE | CANCELED))) return;
    op->state |= CANCELED;
    for (struct sl_op **at = &e->paused; *at != NULL; at = &(*at)->next) {
        if (*at != op) continue;
        *at = op->next;
        break;
    }
    op_queue(e, op);
}

static void epoll_shutdown(struct sl_poller *poller, int fd)
{
    (void)poller;
    (void)shutdown(fd, SHUT_WR);
}

static void epoll_close(struct sl_poller *poller, int fd)
{
    sl_assert(fd >= 0);
    file_reset(epoll_of(poller), fd);
    (void)close(fd);
}

static int epoll_peer(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    (void)poller;
    return sl_sock_peer(fd, ret_addr);
}

static void epoll_free(struct sl_poller *poller)
{
    struct epoll *e = epoll_of(poller);
    sl_assert(atomic_load_explicit(&e->base.stats.ops_pending, memory_order_relaxed) == 0);
    if (e->fd >= 0) (void)close(e->fd);
    sl_waker_fini(&e->waker);
    for (uint32_t i = 0; i < e->files_count; i++) free(e->files[i].block);
    free(e->files);
    free(e->buf);
    free(e);
}

static const struct sl_poller_ops epoll_ops = {
    .name = "epoll",
    .listen = epoll_listen,
    .adopt = epoll_adopt,
    .accept = epoll_accept,
    .recv = epoll_recv,
    .send = epoll_send,
    .connect = epoll_connect,
    .poll = epoll_poll,
    .cancel = epoll_cancel,
    .shutdown = epoll_shutdown,
    .close = epoll_close,
    .peer = epoll_peer,
    .wait = epoll_poller_wait,
    .is_ready = epoll_is_ready,
    .wake = epoll_wake,
    .free = epoll_free,
};

struct sl_poller *sl_poller_epoll_new(const struct sl_poller_config *config, struct sl_clock *clock,
                                      struct sl_diag *reterr)
{
    sl_assert(clock != NULL);
    struct sl_poller_config cfg;
    if (sl_poller_config_complete(config, &cfg, reterr) < 0) return NULL;
    struct epoll *e = aligned_alloc(alignof(struct epoll), sizeof(*e));
    if (e == NULL) {
        (void)sl_diag_set(reterr, "no_memory", (struct sl_pos){0}, "no memory for a poller");
        return NULL;
    }
    memset(e, 0, sizeof(*e));
    e->base.ops = &epoll_ops;
    e->base.clock = clock;
    e->queue_end = &e->queue;
    e->buf_size = cfg.buf_size;
    e->backlog = cfg.backlog;
    e->batch = cfg.batch > 0 && cfg.batch < EVENTS_MAX ? (int)cfg.batch : EVENTS_MAX;
    e->spin_ns = cfg.spin_us * SL_NS_PER_US;
    e->thread = pthread_self();
    e->buf = malloc(cfg.buf_size);
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    int r = e->fd < 0 ? -errno : sl_waker_init(&e->waker);
    if (e->fd < 0) e->waker.fd = -1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};
    if (r == 0 && epoll_ctl(e->fd, EPOLL_CTL_ADD, e->waker.fd, &event) < 0) r = -errno;
    if (r == 0 && (e->buf == NULL || !files_reach(e, FILES_MIN - 1))) r = -ENOMEM;
    if (r == 0) return &e->base;
    (void)sl_diag_set(reterr, "epoll_refused", (struct sl_pos){0}, "epoll failed: %s",
                      strerror(-r));
    epoll_free(&e->base);
    return NULL;
}
