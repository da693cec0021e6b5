/* SPDX-License-Identifier: MIT */
/* Completions of io_uring: from the kernel's queue to the events of ops. */
#include <errno.h>
#include <unistd.h>

#include "io/sock/sock.h"
#include "io/uring/internal.h"

static void op_event_more(struct sl_op *op, int32_t res, const uint8_t *data)
{
    struct sl_event event = {.res = res, .flags = SL_EVENT_MORE, .data = data};
    op->fn(op, &event);
}

static uint32_t accept_complete(struct uring *u, struct sl_op *op, int32_t res)
{
    bool pause = false;
    if (res >= 0) {
        sl_poller_count(&u->base.stats.accepts, 1);
        op_event_more(op, res, NULL);
        if (!(op->state & ARMED)) sl_uring_op_arm_late(u, op);
        return 1;
    }
    if (op->state & ARMED) return 0;
    if (!sl_sock_accept_may_retry(-res, &pause)) {
        sl_uring_op_finish(u, op, res);
        return 1;
    }
    if (res != -EAGAIN && res != -EINTR) sl_poller_count(&u->base.stats.accept_errors, 1);
    if (!pause || (op->state & CANCELED)) return sl_uring_op_continue(u, op);
    op->next = u->paused;
    u->paused = op;
    u->paused_until_ns = sl_clock_now_ns(u->base.clock) + SL_POLLER_ACCEPT_PAUSE_MS * SL_NS_PER_MS;
    return 0;
}

static uint32_t recv_complete(struct uring *u, struct sl_op *op, int32_t res, uint32_t flags)
{
    if (res > 0) {
        uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
        sl_assert(flags & IORING_CQE_F_BUFFER);
        sl_poller_count(&u->base.stats.bytes_received, (uint64_t)res);
        op_event_more(op, res, sl_uring_buf(&u->setup.bufs, id));
        sl_uring_buf_return(&u->setup.bufs, id);
        if (!(op->state & ARMED)) sl_uring_op_arm_late(u, op);
        return 1;
    }
    if (flags & IORING_CQE_F_BUFFER)
        sl_uring_buf_return(&u->setup.bufs, flags >> IORING_CQE_BUFFER_SHIFT);
    if (op->state & ARMED) return 0; /* nothing ends a multishot but its last completion */
    if (res == -ENOBUFS) sl_poller_count(&u->base.stats.enobufs, 1);
    if (res == -ENOBUFS || res == -EINTR || res == -EAGAIN) return sl_uring_op_continue(u, op);
    sl_uring_op_finish(u, op, res);
    return 1;
}

/* Drop `size` sent bytes from the front of what is left to send. */
static void send_advance(struct sl_op *op, size_t size)
{
    op->word[WORD_LEFT] -= size;
    if (op->word[WORD_BLOCK] == 0) {
        op->word[WORD_BASE] += size;
        return;
    }
    struct msghdr *msg = &sl_uring_op_block(op)->msg;
    while (msg->msg_iovlen > 0 && size >= msg->msg_iov->iov_len) {
        size -= msg->msg_iov->iov_len;
        msg->msg_iov++;
        msg->msg_iovlen--;
    }
    if (size == 0) return;
    sl_assert(msg->msg_iovlen > 0);
    msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + size;
    msg->msg_iov->iov_len -= size;
}

static uint32_t send_complete(struct uring *u, struct sl_op *op, int32_t res)
{
    if (res > 0) {
        sl_assert((uint64_t)res <= op->word[WORD_LEFT]);
        sl_poller_count(&u->base.stats.bytes_sent, (uint64_t)res);
        if ((uint64_t)res == op->word[WORD_LEFT]) {
            sl_uring_op_finish(u, op, (int32_t)op->word[WORD_TOTAL]);
            return 1;
        }
        send_advance(op, (size_t)res);
        sl_poller_count(&u->base.stats.short_sends, 1);
        return sl_uring_op_continue(u, op);
    }
    if (res == -EINTR || res == -EAGAIN) return sl_uring_op_continue(u, op);
    sl_uring_op_finish(u, op, res == 0 ? -EPIPE : res);
    return 1;
}

static uint32_t connect_complete(struct uring *u, struct sl_op *op, int32_t res)
{
    int fd = op->fd;
    if (res < 0) (void)close(fd);
    sl_uring_op_finish(u, op, res < 0 ? res : fd);
    return 1;
}

/* A completion that belongs to no op: a wake, or a cancel that did not find its request. */
static __attribute__((cold)) void other_complete(struct uring *u, uint64_t data, uint32_t flags)
{
    if ((data & UD_WHAT_MASK) == UD_WAKE) {
        if (!(flags & IORING_CQE_F_MORE)) u->wake_armed = false;
        return;
    }
    uint32_t index = (uint32_t)(data & UD_SLOT_MASK);
    if (index >= u->slots_count) return;
    struct slot *slot = &u->slots[index];
    if (slot->op == NULL || slot->generation != (uint32_t)(data >> 32)) return;
    /* The request was between two places of the kernel just then: ask again. */
    if ((slot->op->state & (ARMED | CANCELED)) == (ARMED | CANCELED))
        sl_uring_op_cancel(u, slot->op);
}

static uint32_t complete(struct uring *u, const struct io_uring_cqe *cqe)
{
    uint64_t data = cqe->user_data;
    uint32_t index = (uint32_t)(data & UD_SLOT_MASK);
    if ((data & UD_WHAT_MASK) != UD_OP) {
        other_complete(u, data, cqe->flags);
        return 0;
    }
    bool known = index < u->slots_count && u->slots[index].op != NULL &&
                 u->slots[index].generation == (uint32_t)(data >> 32);
    if (!known) {
        if (cqe->flags & IORING_CQE_F_BUFFER)
            sl_uring_buf_return(&u->setup.bufs, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        return 0;
    }
    struct sl_op *op = u->slots[index].op;
    sl_assert(op->state & ARMED);
    if (!(cqe->flags & IORING_CQE_F_MORE)) op->state &= (uint8_t)~ARMED;
    switch (op->type) {
    case SL_OP_RECV: return recv_complete(u, op, cqe->res, cqe->flags);
    case SL_OP_SEND: return send_complete(u, op, cqe->res);
    case SL_OP_ACCEPT: return accept_complete(u, op, cqe->res);
    case SL_OP_CONNECT: return connect_complete(u, op, cqe->res);
    case SL_OP_POLL: sl_uring_op_finish(u, op, cqe->res); return 1;
    default: sl_unreachable();
    }
}

/*
 * Deliver what is in the completion queue now, up to `batch`; the rest, and what arrives meanwhile,
 * waits for the next turn, which does not sleep.
 */
uint32_t sl_uring_complete(struct uring *u)
{
    struct io_uring_cq *cq = &u->setup.ring.cq;
    uint32_t head = *cq->khead;
    uint32_t tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    uint32_t events = 0;
    if (tail - head > u->batch) tail = head + u->batch;
    while (head != tail) {
        struct io_uring_cqe cqe = cq->cqes[head & cq->ring_mask];
        head++;
        /* At once, so that a submission out of the event finds room for completions. */
        __atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
        events += complete(u, &cqe);
    }
    if (u->late != NULL) sl_uring_late_arm(u);
    return events;
}
