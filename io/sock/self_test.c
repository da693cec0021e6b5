/* SPDX-License-Identifier: MIT */
#include "io/sock/self_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "io/sock/sock.h"

enum {
    STEP_MS = 500,           /* a step that takes longer has failed */
    SEND_SIZE = 3 * 64 << 10 /* bytes; more than a buffer, so that receives are repeated */
};

struct probe;

/* An op and what its events said. */
struct probe_op {
    struct sl_op op;
    int32_t res;     /* of the last event */
    uint32_t finals; /* final events seen */
    uint64_t bytes;
    uint8_t sum; /* xor of the bytes received */
};

struct probe {
    struct sl_poller *poller;
    struct sl_diag *reterr;
    struct probe_op accept, connect, recv, send;
    int listener, client, server;
    uint8_t data[SEND_SIZE];
};

static void probe_event(struct sl_op *op, const struct sl_event *event)
{
    struct probe_op *p = sl_container_of(op, struct probe_op, op);
    p->res = event->res;
    if (!(event->flags & SL_EVENT_MORE)) p->finals++;
    if (event->data == NULL) return;
    p->bytes += (uint64_t)event->res;
    for (int32_t i = 0; i < event->res; i++) p->sum ^= event->data[i];
}

static int step_failed(struct probe *t, const char *step, int error)
{
    (void)sl_diag_set(t->reterr, "self_test_failed", (struct sl_pos){0}, "self-test: %s: %s", step,
                      error < 0 ? strerror(-error) : "wrong result");
    return -EIO;
}

/* Wait until `*word` reaches `value`. 0 or -ETIMEDOUT. */
static int wait_for(struct probe *t, const uint64_t *bytes, uint64_t value, const uint32_t *finals,
                    uint32_t finals_value)
{
    struct sl_poller *poller = t->poller;
    uint64_t end_ns = sl_clock_now_ns(poller->clock) + STEP_MS * SL_NS_PER_MS;
    while ((bytes != NULL && *bytes < value) || (finals != NULL && *finals < finals_value)) {
        if (sl_clock_now_ns(poller->clock) >= end_ns) return -ETIMEDOUT;
        (void)poller->ops->wait(poller, end_ns);
    }
    return 0;
}

static int test_connect(struct probe *t)
{
    struct sl_poller *poller = t->poller;
    struct sl_addr addr = {.storage.ss_family = AF_UNIX, .size = sizeof(sa_family_t)};
    /* Binding to no name at all makes a fresh abstract one: unix(7), autobind. */
    t->listener = poller->ops->listen(poller, &addr, false);
    if (t->listener < 0) return step_failed(t, "listen", t->listener);
    int r = sl_sock_local(t->listener, &addr);
    if (r < 0) return step_failed(t, "getsockname", r);
    t->accept.res = -1;
    poller->ops->accept(poller, &t->accept.op, t->listener);
    poller->ops->connect(poller, &t->connect.op, &addr);
    r = wait_for(t, NULL, 0, &t->connect.finals, 1);
    if (r < 0 || t->connect.res < 0) return step_failed(t, "connect", r < 0 ? r : t->connect.res);
    t->client = t->connect.res;
    uint64_t end_ns = sl_clock_now_ns(poller->clock) + STEP_MS * SL_NS_PER_MS;
    while (t->accept.res < 0 && t->accept.finals == 0) {
        if (sl_clock_now_ns(poller->clock) >= end_ns) return step_failed(t, "accept", -ETIMEDOUT);
        (void)poller->ops->wait(poller, end_ns);
    }
    if (t->accept.res < 0) return step_failed(t, "accept", t->accept.res);
    t->server = t->accept.res;
    poller->ops->cancel(poller, &t->accept.op);
    r = wait_for(t, NULL, 0, &t->accept.finals, 1);
    if (r < 0 || t->accept.res != -ECANCELED) return step_failed(t, "cancel of accept", r);
    return 0;
}

static int test_transfer(struct probe *t)
{
    struct sl_poller *poller = t->poller;
    uint8_t sum = 0;
    for (uint32_t i = 0; i < SEND_SIZE; i++) {
        t->data[i] = (uint8_t)(i * 31 + (i >> 8));
        sum ^= t->data[i];
    }
    struct iovec iov[2] = {{t->data, 100}, {t->data + 100, SEND_SIZE - 100}};
    poller->ops->recv(poller, &t->recv.op, t->server);
    poller->ops->send(poller, &t->send.op, t->client, iov, 2);
    int r = wait_for(t, &t->recv.bytes, SEND_SIZE, &t->send.finals, 1);
    if (r < 0) return step_failed(t, "send and receive", r);
    if (t->send.res != SEND_SIZE || t->recv.bytes != SEND_SIZE || t->recv.sum != sum)
        return step_failed(t, "send and receive", 0);
    poller->ops->shutdown(poller, t->client);
    r = wait_for(t, NULL, 0, &t->recv.finals, 1);
    if (r < 0 || t->recv.res != 0) return step_failed(t, "end of stream", r);
    return 0;
}

static void *wake_thread(void *ctx)
{
    struct sl_poller *poller = ctx;
    (void)usleep(200); /* so that it is asleep, most of the time; right either way */
    poller->ops->wake(poller);
    return NULL;
}

static int test_wake(struct probe *t)
{
    struct sl_poller *poller = t->poller;
    pthread_t thread;
    uint64_t start_ns = sl_clock_now_ns(poller->clock);
    uint64_t end_ns = start_ns + STEP_MS * SL_NS_PER_MS;
    int r = pthread_create(&thread, NULL, wake_thread, poller);
    if (r != 0) return step_failed(t, "thread", -r);
    (void)poller->ops->wait(poller, end_ns);
    bool early = sl_clock_now_ns(poller->clock) < end_ns;
    (void)pthread_join(thread, NULL);
    (void)poller->ops->wait(poller, 0); /* what came in between is used up */
    if (!early) return step_failed(t, "wake", -ETIMEDOUT);
    end_ns = sl_clock_now_ns(poller->clock) + SL_NS_PER_MS / 2;
    for (int i = 0; i < 8 && sl_clock_now_ns(poller->clock) < end_ns; i++)
        (void)poller->ops->wait(poller, end_ns);
    if (sl_clock_now_ns(poller->clock) < end_ns) return step_failed(t, "time-out", 0);
    return 0;
}

static int test_cancel(struct probe *t)
{
    struct sl_poller *poller = t->poller;
    t->recv.finals = 0;
    poller->ops->recv(poller, &t->recv.op, t->client);
    (void)poller->ops->wait(poller, 0);
    poller->ops->cancel(poller, &t->recv.op);
    int r = wait_for(t, NULL, 0, &t->recv.finals, 1);
    if (r < 0 || t->recv.res != -ECANCELED) return step_failed(t, "cancel of receive", r);
    return 0;
}

int sl_poller_self_test(struct sl_poller *poller, struct sl_diag *reterr)
{
    sl_assert(poller != NULL);
    sl_assert(poller->clock != NULL);
    static __thread struct probe t; /* too large for a stack; a failed test may leave ops in it */
    t = (struct probe){
        .poller = poller, .reterr = reterr, .listener = -1, .client = -1, .server = -1};
    t.accept.op.fn = t.connect.op.fn = t.recv.op.fn = t.send.op.fn = probe_event;
    int r = test_connect(&t);
    if (r == 0) r = test_transfer(&t);
    if (r == 0) r = test_wake(&t);
    if (r == 0) r = test_cancel(&t);
    if (r < 0) return r;
    poller->ops->close(poller, t.client);
    poller->ops->close(poller, t.server);
    poller->ops->close(poller, t.listener);
    return 0;
}
