/* SPDX-License-Identifier: MIT */
/*
 * A poller without a kernel, for tests of connections: the test says what arrives, sees what was
 * sent, and decides when a send is through. Events come from wait, as the contract says.
 */
#pragma once

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/shard/poller.h"

enum { FAKE_FDS = 64, FAKE_EVENTS = 256, FAKE_LISTENER = 3 };

struct fake_event {
    struct sl_op *op;
    int32_t res;
    uint32_t flags;
    uint8_t *data; /* owned */
};

struct fake_fd {
    bool is_open;
    bool is_shut; /* half-closed by the server */
    struct sl_op *recv;
    struct sl_op *send;
    uint8_t *sent; /* everything the server sent */
    size_t sent_size;
    size_t send_pending; /* bytes of the send in work */
    uint32_t sends;
};

struct fake_poller {
    struct sl_poller base; /* first */
    struct fake_fd fds[FAKE_FDS];
    struct sl_op *accept;
    struct sl_op *connect; /* the newest */
    uint32_t connects;
    bool hold_sends; /* sends are not through before fake_send_done */
    struct fake_event events[FAKE_EVENTS];
    uint32_t events_count;
    const char *peer; /* "127.0.0.1" */
    int last_fd;
};

static inline void fake_post(struct fake_poller *fake, struct sl_op *op, int32_t res,
                             uint32_t flags, const void *data, size_t size)
{
    assert(fake->events_count < FAKE_EVENTS);
    struct fake_event *event = &fake->events[fake->events_count++];
    *event = (struct fake_event){.op = op, .res = res, .flags = flags};
    if (size > 0) {
        event->data = malloc(size);
        memcpy(event->data, data, size);
    }
}

static inline int fake_listen(struct sl_poller *poller, const struct sl_addr *addr, bool shared)
{
    (void)poller;
    (void)addr;
    (void)shared;
    return FAKE_LISTENER;
}

static inline int fake_adopt(struct sl_poller *poller, int fd)
{
    (void)poller;
    return fd == FAKE_LISTENER ? 0 : -EINVAL;
}

static inline void fake_accept(struct sl_poller *poller, struct sl_op *op, int fd)
{
    assert(fd == FAKE_LISTENER);
    op->type = 1;
    op->fd = fd;
    ((struct fake_poller *)poller)->accept = op;
}

static inline void fake_recv(struct sl_poller *poller, struct sl_op *op, int fd)
{
    struct fake_fd *file = &((struct fake_poller *)poller)->fds[fd];
    assert(file->is_open);
    assert(file->recv == NULL);
    op->type = 2;
    op->fd = fd;
    file->recv = op;
}

static inline void fake_send_done(struct fake_poller *fake, int fd, int32_t res)
{
    struct fake_fd *file = &fake->fds[fd];
    assert(file->send != NULL);
    fake_post(fake, file->send, res < 0 ? res : (int32_t)file->send_pending, 0, NULL, 0);
}

static inline void fake_send(struct sl_poller *poller, struct sl_op *op, int fd,
                             const struct iovec *iov, uint32_t count)
{
    struct fake_poller *fake = (struct fake_poller *)poller;
    struct fake_fd *file = &fake->fds[fd];
    assert(file->is_open);
    assert(!file->is_shut);
    assert(file->send == NULL);
    op->type = 3;
    op->fd = fd;
    file->send = op;
    file->send_pending = 0;
    file->sends++;
    for (uint32_t i = 0; i < count; i++) {
        file->sent = realloc(file->sent, file->sent_size + iov[i].iov_len + 1);
        memcpy(file->sent + file->sent_size, iov[i].iov_base, iov[i].iov_len);
        file->sent_size += iov[i].iov_len;
        file->sent[file->sent_size] = 0;
        file->send_pending += iov[i].iov_len;
    }
    if (!fake->hold_sends) fake_send_done(fake, fd, 0);
}

static inline void fake_connect_op(struct sl_poller *poller, struct sl_op *op,
                                   const struct sl_addr *addr)
{
    struct fake_poller *fake = (struct fake_poller *)poller;
    (void)addr;
    op->type = 4;
    fake->connect = op;
    fake->connects++;
}

static inline void fake_cancel(struct sl_poller *poller, struct sl_op *op)
{
    struct fake_poller *fake = (struct fake_poller *)poller;
    if (op->type == 0) return;
    for (uint32_t i = 0; i < fake->events_count; i++) {
        if (fake->events[i].op == op && (fake->events[i].flags & SL_EVENT_MORE) == 0) return;
    }
    fake_post(fake, op, -ECANCELED, 0, NULL, 0);
}

static inline void fake_shutdown(struct sl_poller *poller, int fd)
{
    struct fake_fd *file = &((struct fake_poller *)poller)->fds[fd];
    assert(file->is_open);
    assert(file->send == NULL);
    file->is_shut = true;
}

static inline void fake_close(struct sl_poller *poller, int fd)
{
    if (fd == FAKE_LISTENER) return;
    struct fake_fd *file = &((struct fake_poller *)poller)->fds[fd];
    assert(file->is_open);
    assert(file->recv == NULL);
    assert(file->send == NULL);
    file->is_open = false;
}

static inline int fake_peer(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    (void)fd;
    struct sockaddr_in *in = (struct sockaddr_in *)&ret_addr->storage;
    memset(ret_addr, 0, sizeof(*ret_addr));
    in->sin_family = AF_INET;
    if (inet_pton(AF_INET, ((struct fake_poller *)poller)->peer, &in->sin_addr) != 1) {
        return -EINVAL;
    }
    ret_addr->size = sizeof(*in);
    return 0;
}

static inline uint32_t fake_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct fake_poller *fake = (struct fake_poller *)poller;
    (void)deadline_ns;
    if (poller->woken != NULL) poller->woken(poller);
    uint32_t count = fake->events_count;
    for (uint32_t i = 0; i < count; i++) {
        struct fake_event event = fake->events[i];
        struct sl_op *op = event.op;
        if (op->type != 0) {
            if ((event.flags & SL_EVENT_MORE) == 0) {
                if (op->type == 1) fake->accept = NULL;
                if (op->type == 2) fake->fds[op->fd].recv = NULL;
                if (op->type == 3) fake->fds[op->fd].send = NULL;
                if (op->type == 4 && fake->connect == op) fake->connect = NULL;
                op->type = 0;
            }
            op->fn(op, &(struct sl_event){event.res, event.flags, event.data});
        }
        free(event.data);
    }
    memmove(fake->events, fake->events + count,
            (fake->events_count - count) * sizeof(fake->events[0]));
    fake->events_count -= count;
    return count;
}

static inline bool fake_is_ready(struct sl_poller *poller)
{
    return ((struct fake_poller *)poller)->events_count > 0;
}

static inline void fake_wake(struct sl_poller *poller)
{
    (void)poller;
}

static inline void fake_free(struct sl_poller *poller)
{
    struct fake_poller *fake = (struct fake_poller *)poller;
    for (int fd = 0; fd < FAKE_FDS; fd++) free(fake->fds[fd].sent);
    for (uint32_t i = 0; i < fake->events_count; i++) free(fake->events[i].data);
    free(fake);
}

static const struct sl_poller_ops fake_ops = {
    .name = "fake",
    .listen = fake_listen,
    .adopt = fake_adopt,
    .accept = fake_accept,
    .recv = fake_recv,
    .send = fake_send,
    .connect = fake_connect_op,
    .cancel = fake_cancel,
    .shutdown = fake_shutdown,
    .close = fake_close,
    .peer = fake_peer,
    .wait = fake_wait,
    .is_ready = fake_is_ready,
    .wake = fake_wake,
    .free = fake_free,
};

static inline struct fake_poller *fake_new(struct sl_clock *clock)
{
    struct fake_poller *fake = calloc(1, sizeof(*fake));
    fake->base.ops = &fake_ops;
    fake->base.clock = clock;
    fake->peer = "127.0.0.1";
    return fake;
}

/* -------- what the test does -------- */

static inline int fake_fd_new(struct fake_poller *fake)
{
    int next = fake->last_fd;
    do {
        next = next < 10 || next + 1 == FAKE_FDS ? 10 : next + 1;
    } while (fake->fds[next].is_open);
    fake->last_fd = next;
    free(fake->fds[next].sent);
    fake->fds[next] = (struct fake_fd){.is_open = true};
    return next;
}

/* A client connects; its descriptor. */
static inline int fake_connect(struct fake_poller *fake)
{
    int fd = fake_fd_new(fake);
    assert(fake->accept != NULL);
    fake_post(fake, fake->accept, fd, SL_EVENT_MORE, NULL, 0);
    return fd;
}

/* The newest attempt to connect succeeds; its descriptor. */
static inline int fake_connected(struct fake_poller *fake)
{
    int fd = fake_fd_new(fake);
    assert(fake->connect != NULL);
    fake_post(fake, fake->connect, fd, 0, NULL, 0);
    return fd;
}

static inline void fake_arrive(struct fake_poller *fake, int fd, const void *data, size_t size)
{
    struct fake_fd *file = &fake->fds[fd];
    assert(file->recv != NULL);
    fake_post(fake, file->recv, (int32_t)size, SL_EVENT_MORE, data, size);
}

/* 0: end of stream; else minus errno. */
static inline void fake_end(struct fake_poller *fake, int fd, int32_t res)
{
    assert(fake->fds[fd].recv != NULL);
    fake_post(fake, fake->fds[fd].recv, res, 0, NULL, 0);
}
