/* SPDX-License-Identifier: MIT */
/*
 * The poller on io_uring.
 *
 *     op ──start──► slot (index, generation) ──user_data──► kernel ──CQE──► slot ──► op->fn
 *
 * A started op owns a slot until its final event. `user_data` is slot and generation, so a late
 * completion of an op that has ended finds another generation and is dropped. One io_uring_enter
 * a turn submits, runs the kernel's deferred work and sleeps. A receive delivers straight out of
 * a buffer of the provided ring, which goes back the moment the event function returns.
 *
 * Invariants: an op with ARMED has exactly one request in the kernel. An op without it is being
 * delivered, in `late` (armed when the batch ends or the queue has room), in `done` (its result is
 * known), or in `paused` (accept waiting for descriptors).
 *
 * Descriptors are ordinary ones: direct descriptors made no difference that 40 adjacent pairs of
 * runs could tell (x0.997, 0.976-1.023, in CPU a request), and they cannot leave the ring.
 *
 * The pitfalls of io_uring servers, and what is done here about each:
 *
 *  1 ENOBUFS              normal: all buffers of a batch are back before the re-armed receive is
 *                         submitted with the next enter, so one re-arm per turn, never a spin.
 *  2 hot socket           a multishot receive ends after an eighth of all buffers' bytes and is
 *                         armed again behind those that got none; on kernels without that limit
 *                         receives are one-shot. (The length alone caps single receives, not a
 *                         socket: tried on 6.18, it starved eight others for ever.)
 *  3 CQ overflow          CQ of 8 × SQ; the kernel keeps what does not fit (NODROP), enter fetches
 *                         it, -EBUSY on submit means deliver first; counted in cq_overflows.
 *  4 F_MORE               looked at for every CQE before anything else: it decides ARMED.
 *  5 stale completions    32-bit slot, 32-bit generation; mismatch: drop (and return the buffer).
 *  6 close while armed    the contract wants the final event before close; cancel provides it.
 *  7 short send           MSG_WAITALL, and what still comes short is continued.
 *  8 order of sends       one per descriptor by contract; no links, no second one in flight.
 *  9 long node            completions wait for enter: the loop's stall detector watches the gap;
 *                         is_ready lets a busy loop look (TASKRUN flag) without entering.
 * 10 a syscall a request  one enter a turn for all of it; spin_us trades sleep for batches; a
 *                         turn with nothing to submit or fetch enters not at all.
 * 11 SQPOLL               not used.
 * 12 io-wq threads        only socket and poll requests, none of them IOSQE_ASYNC.
 * 13 memlock              ring and buffers are not accounted since 5.12; passing ENOMEM is tried
 *                         again, lasting ENOMEM with a smaller ring.
 * 14 credentials          the ring is made on its shard's thread, which starts after privileges
 *                         are dropped.
 * 15 fork                 O_CLOEXEC, and ring and buffers are MADV_DONTFORK.
 * 16 kernel changes       setup probes features by using them, sl_poller_pick runs the self-test
 *                         at each start, and the conformance suite runs on the machine at hand.
 */
#include "io/uring/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/tsc.h"
#include "io/sock/sock.h"
#include "io/uring/internal.h"

static struct uring *uring_of(struct sl_poller *poller)
{
    struct uring *u = (struct uring *)poller;
    sl_assert_slow(pthread_equal(u->thread, pthread_self()));
    return u;
}

static uint32_t deliver_done(struct uring *u)
{
    struct sl_op *op = u->done;
    uint32_t events = 0;
    u->done = NULL;
    u->done_end = &u->done;
    while (op != NULL) {
        struct sl_op *next = op->next;
        int32_t res = (int32_t)(int64_t)op->word[WORD_RESULT];
        sl_uring_op_finish(u, op, res);
        events++;
        op = next;
    }
    return events;
}

static __attribute__((cold)) void resume_paused(struct uring *u, uint64_t now_ns)
{
    if (now_ns < u->paused_until_ns) return;
    struct sl_op *op = u->paused;
    u->paused = NULL;
    while (op != NULL) {
        struct sl_op *next = op->next;
        sl_poller_count(&u->base.stats.rearms, 1);
        sl_uring_op_arm(u, op);
        op = next;
    }
}

static __attribute__((cold)) void unpause(struct uring *u, struct sl_op *op)
{
    for (struct sl_op **at = &u->paused; *at != NULL; at = &(*at)->next) {
        if (*at != op) continue;
        *at = op->next;
        sl_uring_op_done(u, op, -ECANCELED);
        return;
    }
}

/* Waiting. */

static bool cq_has_any(struct uring *u)
{
    struct io_uring_cq *cq = &u->setup.ring.cq;
    return *cq->khead != __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
}

/* The kernel has work that only an enter will run. */
static bool kernel_has_work(struct uring *u)
{
    uint32_t flags = __atomic_load_n(u->setup.ring.sq.kflags, __ATOMIC_RELAXED);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static bool is_ready(struct uring *u)
{
    return u->done != NULL || cq_has_any(u) || kernel_has_work(u) || sl_waker_is_pending(&u->waker);
}

static bool uring_is_ready(struct sl_poller *poller)
{
    return is_ready(uring_of(poller));
}

/* Watch shared words instead of sleeping, for a while. No system call. */
static void spin(struct uring *u, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t end_ns = now_ns + u->spin_ns < until_ns ? now_ns + u->spin_ns : until_ns;
    while (!is_ready(u) && sl_clock_now_ns(u->base.clock) < end_ns) {
        for (int i = 0; i < 32; i++) sl_cpu_relax();
    }
}

/* Submit, and sleep if that is allowed until `until_ns`. */
static void enter_and_sleep(struct uring *u, uint64_t until_ns)
{
    uint64_t now_ns = 0;
    bool may_sleep = until_ns != 0 && !is_ready(u);
    if (may_sleep && (until_ns != UINT64_MAX || u->spin_ns > 0)) {
        now_ns = sl_clock_now_ns(u->base.clock);
        if (now_ns >= until_ns) may_sleep = false;
    }
    if (may_sleep && u->spin_ns > 0) {
        if (sl_uring_setup_flush(&u->setup) > 0) (void)sl_uring_submit(u, 0, 0);
        spin(u, now_ns, until_ns);
        now_ns = sl_clock_now_ns(u->base.clock);
        may_sleep = !is_ready(u) && now_ns < until_ns;
    }
    if (may_sleep) {
        sl_waker_announce(&u->waker);
        may_sleep = !sl_waker_is_pending(&u->waker);
    }
    /* Nothing to submit and nothing to fetch: no need to ask. */
    if (!may_sleep && !kernel_has_work(u) && sl_uring_setup_flush(&u->setup) == 0) return;
    if (may_sleep) sl_poller_count(&u->base.stats.sleeps, 1);
    uint64_t timeout_ns = until_ns == UINT64_MAX ? UINT64_MAX : until_ns - now_ns;
    (void)sl_uring_submit(u, may_sleep ? 1 : 0, may_sleep ? timeout_ns : 0);
}

static uint32_t uring_wait(struct sl_poller *poller, uint64_t deadline_ns)
{
    struct uring *u = uring_of(poller);
    sl_assert(!u->in_wait);
    u->in_wait = true;
    sl_poller_count(&u->base.stats.waits, 1);
    if (!u->wake_armed) sl_uring_wake_arm(u);
    if (u->late != NULL) sl_uring_late_arm(u);
    if (u->cancels_missed) sl_uring_cancels_repeat(u);
    bool starved = u->late != NULL || u->cancels_missed || !u->wake_armed;
    uint64_t until_ns = starved ? 0 : deadline_ns;
    if (u->paused != NULL) {
        resume_paused(u, sl_clock_now_ns(u->base.clock));
        if (u->paused != NULL && u->paused_until_ns < until_ns) until_ns = u->paused_until_ns;
    }
    enter_and_sleep(u, until_ns);
    sl_waker_rise(&u->waker);
    if (__atomic_load_n(u->setup.ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW)
        sl_poller_count(&u->base.stats.cq_overflows, 1);
    if (u->base.woken != NULL) u->base.woken(&u->base);
    uint32_t events = u->done != NULL ? deliver_done(u) : 0;
    events += sl_uring_complete(u);
    sl_poller_count(&u->base.stats.events, events);
    u->in_wait = false;
    return events;
}

static void uring_wake(struct sl_poller *poller)
{
    sl_waker_wake(&((struct uring *)poller)->waker);
}

/* The operations. */

static int uring_listen(struct sl_poller *poller, const struct sl_addr *addr, bool shared)
{
    return sl_sock_listen(addr, shared, uring_of(poller)->backlog);
}

static int uring_adopt(struct sl_poller *poller, int fd)
{
    (void)poller;
    return sl_sock_adopt(fd);
}

static void uring_accept(struct sl_poller *poller, struct sl_op *op, int fd)
{
    struct uring *u = uring_of(poller);
    sl_assert(fd >= 0);
    if (sl_uring_op_start(u, op, SL_OP_ACCEPT, fd)) sl_uring_op_arm(u, op);
}

static void uring_recv(struct sl_poller *poller, struct sl_op *op, int fd)
{
    struct uring *u = uring_of(poller);
    sl_assert(fd >= 0);
    if (sl_uring_op_start(u, op, SL_OP_RECV, fd)) sl_uring_op_arm(u, op);
}

static void uring_send(struct sl_poller *poller, struct sl_op *op, int fd, const struct iovec *iov,
                       uint32_t count)
{
    struct uring *u = uring_of(poller);
    sl_assert(count >= 1);
    sl_assert(count <= SL_POLLER_IOV_MAX);
    if (!sl_uring_op_start(u, op, SL_OP_SEND, fd)) return;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += iov[i].iov_len;
    if (total == 0 || total > INT32_MAX) {
        sl_uring_op_done(u, op, total == 0 ? 0 : -EMSGSIZE);
        return;
    }
    op->word[WORD_BASE] = (uintptr_t)iov[0].iov_base;
    op->word[WORD_LEFT] = total;
    op->word[WORD_TOTAL] = total;
    if (count > 1) {
        struct block *block = sl_uring_block_take(u);
        if (block == NULL) {
            sl_uring_op_done(u, op, -ENOMEM);
            return;
        }
        memcpy(block->iov, iov, count * sizeof(*iov));
        block->msg = (struct msghdr){.msg_iov = block->iov, .msg_iovlen = count};
        op->word[WORD_BLOCK] = (uintptr_t)block;
    }
    sl_uring_op_arm(u, op);
}

static void uring_connect(struct sl_poller *poller, struct sl_op *op, const struct sl_addr *addr)
{
    struct uring *u = uring_of(poller);
    sl_assert(addr != NULL);
    if (!sl_uring_op_start(u, op, SL_OP_CONNECT, -1)) return;
    struct block *block = sl_uring_block_take(u);
    int fd = block == NULL ? -ENOMEM : sl_sock_new(addr);
    if (block != NULL) op->word[WORD_BLOCK] = (uintptr_t)block;
    if (fd < 0) {
        sl_uring_op_done(u, op, fd);
        return;
    }
    block->addr = *addr;
    op->fd = fd;
    sl_uring_op_arm(u, op);
}

static void uring_poll(struct sl_poller *poller, struct sl_op *op, int fd, uint32_t events)
{
    struct uring *u = uring_of(poller);
    sl_assert(fd >= 0);
    if (!sl_uring_op_start(u, op, SL_OP_POLL, fd)) return;
    op->word[WORD_EVENTS] = events;
    sl_uring_op_arm(u, op);
}

static void uring_cancel(struct sl_poller *poller, struct sl_op *op)
{
    struct uring *u = uring_of(poller);
    sl_assert(op != NULL);
    if (op->type == SL_OP_NONE || (op->state & (CANCELED | DONE))) return;
    op->state |= CANCELED;
    if (op->state & ARMED) {
        sl_uring_op_cancel(u, op);
    } else {
        unpause(u, op); /* else it is being delivered, which looks at CANCELED afterwards */
    }
}

static void uring_shutdown(struct sl_poller *poller, int fd)
{
    (void)poller;
    (void)shutdown(fd, SHUT_WR);
}

static void uring_close(struct sl_poller *poller, int fd)
{
    (void)poller;
    sl_assert(fd >= 0);
    (void)close(fd);
}

static int uring_peer(struct sl_poller *poller, int fd, struct sl_addr *ret_addr)
{
    (void)poller;
    return sl_sock_peer(fd, ret_addr);
}

static void uring_free(struct sl_poller *poller)
{
    struct uring *u = uring_of(poller);
    sl_assert(atomic_load_explicit(&u->base.stats.ops_pending, memory_order_relaxed) == 0);
    sl_uring_setup_fini(&u->setup);
    sl_waker_fini(&u->waker);
    while (u->block_groups != NULL) {
        struct block_group *next = u->block_groups->next;
        free(u->block_groups);
        u->block_groups = next;
    }
    free(u->slots);
    free(u);
}

static const struct sl_poller_ops uring_ops = {
    .name = "uring",
    .listen = uring_listen,
    .adopt = uring_adopt,
    .accept = uring_accept,
    .recv = uring_recv,
    .send = uring_send,
    .connect = uring_connect,
    .poll = uring_poll,
    .cancel = uring_cancel,
    .shutdown = uring_shutdown,
    .close = uring_close,
    .peer = uring_peer,
    .wait = uring_wait,
    .is_ready = uring_is_ready,
    .wake = uring_wake,
    .free = uring_free,
};

static struct sl_poller *no_memory(struct sl_diag *reterr)
{
    (void)sl_diag_set(reterr, "no_memory", (struct sl_pos){0}, "no memory for a poller");
    return NULL;
}

struct sl_poller *sl_poller_uring_new(const struct sl_poller_config *config, struct sl_clock *clock,
                                      struct sl_diag *reterr)
{
    sl_assert(clock != NULL);
    struct sl_poller_config cfg;
    if (sl_poller_config_complete(config, &cfg, reterr) < 0) return NULL;
    struct uring *u = aligned_alloc(alignof(struct uring), sizeof(*u));
    if (u == NULL) return no_memory(reterr);
    memset(u, 0, sizeof(*u));
    u->base.ops = &uring_ops;
    u->base.clock = clock;
    u->slot_free = SLOT_NONE;
    u->done_end = &u->done;
    u->late_end = &u->late;
    u->fail_submit = cfg.disable & SL_POLLER_FAIL_SUBMIT;
    u->spin_ns = cfg.spin_us * SL_NS_PER_US;
    u->backlog = cfg.backlog;
    u->batch = cfg.batch > 0 ? cfg.batch : UINT32_MAX;
    u->thread = pthread_self();
    if (sl_uring_setup_init(&u->setup, &cfg, reterr) < 0) {
        free(u);
        return NULL;
    }
    if (sl_waker_init(&u->waker) < 0 || !sl_uring_slots_grow(u)) {
        (void)no_memory(reterr);
        uring_free(&u->base);
        return NULL;
    }
    sl_uring_wake_arm(u);
    return &u->base;
}

const char *sl_poller_uring_summary(const struct sl_poller *poller)
{
    sl_assert(poller != NULL);
    sl_assert(poller->ops == &uring_ops);
    return ((const struct uring *)poller)->setup.summary;
}
