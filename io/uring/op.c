/* SPDX-License-Identifier: MIT */
/* The life of an op on io_uring: its slot, its request, its result. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "io/uring/internal.h"

enum { SLOTS_MIN = 1024, BLOCKS_MIN = 64 };

/* Slots and blocks. */

static void block_give(struct uring *u, struct block *block)
{
    block->next = u->block_free;
    u->block_free = block;
}

static bool blocks_grow(struct uring *u, uint32_t count)
{
    struct block_group *group = malloc(sizeof(*group) + count * sizeof(*group->blocks));
    if (group == NULL) return false;
    group->next = u->block_groups;
    u->block_groups = group;
    while (u->block_unused_count > 0) block_give(u, &u->block_unused[--u->block_unused_count]);
    u->block_unused = group->blocks;
    u->block_unused_count = count;
    u->blocks_count += count;
    return true;
}

/*
 * Half as many blocks as slots: a connection that sends also receives, so when all of them send
 * at once there are enough, and none is taken from the system under load.
 */
bool sl_uring_slots_grow(struct uring *u)
{
    uint32_t count = u->slots_count == 0 ? SLOTS_MIN : u->slots_count * 2;
    if (count > SL_POLLER_OPS_MAX) return false;
    if (u->blocks_count < count / 2 && !blocks_grow(u, count / 2 - u->blocks_count)) return false;
    struct slot *slots = realloc(u->slots, count * sizeof(*slots));
    if (slots == NULL) return false;
    for (uint32_t i = count; i-- > u->slots_count;) {
        slots[i] = (struct slot){.next = u->slot_free};
        u->slot_free = i;
    }
    u->slots = slots;
    u->slots_count = count;
    return true;
}

static bool slot_take(struct uring *u, struct sl_op *op)
{
    op->slot = SLOT_NONE;
    if (u->slot_free == SLOT_NONE && !sl_uring_slots_grow(u)) return false;
    op->slot = u->slot_free;
    struct slot *slot = &u->slots[op->slot];
    sl_assert(slot->op == NULL);
    u->slot_free = slot->next;
    slot->op = op;
    op->generation = (uint16_t)slot->generation;
    return true;
}

static void slot_give(struct uring *u, struct sl_op *op)
{
    if (op->slot == SLOT_NONE) return;
    struct slot *slot = &u->slots[op->slot];
    sl_assert(slot->op == op);
    slot->op = NULL;
    slot->generation++;
    slot->next = u->slot_free;
    u->slot_free = op->slot;
    op->slot = SLOT_NONE;
}

static uint64_t user_data(struct uring *u, const struct sl_op *op)
{
    return (uint64_t)u->slots[op->slot].generation << 32 | op->slot;
}

struct block *sl_uring_block_take(struct uring *u)
{
    struct block *block = u->block_free;
    if (block != NULL) {
        u->block_free = block->next;
        return block;
    }
    if (u->block_unused_count == 0 && !blocks_grow(u, BLOCKS_MIN)) return NULL;
    u->block_unused_count--;
    return u->block_unused++;
}

/* The life of an op. */

/* Remember the result of an op that the kernel does not hold; the next wait delivers it. */
void sl_uring_op_done(struct uring *u, struct sl_op *op, int32_t res)
{
    sl_assert(!(op->state & (ARMED | DONE)));
    op->state |= DONE;
    op->word[WORD_RESULT] = (uint64_t)(int64_t)res;
    op->next = NULL;
    *u->done_end = op;
    u->done_end = &op->next;
}

/* Deliver the final event. The op is the caller's again before its function runs. */
void sl_uring_op_finish(struct uring *u, struct sl_op *op, int32_t res)
{
    sl_assert(!(op->state & ARMED));
    if (sl_uring_op_has_block(op)) block_give(u, sl_uring_op_block(op));
    slot_give(u, op);
    op->type = SL_OP_NONE;
    op->state = 0;
    sl_poller_count(&u->base.stats.ops_pending, (uint64_t)-1);
    struct sl_event event = {.res = res};
    op->fn(op, &event);
}

bool sl_uring_op_start(struct uring *u, struct sl_op *op, enum sl_op_type type, int fd)
{
    sl_assert(op != NULL);
    sl_assert(op->fn != NULL);
    sl_assert(op->type == SL_OP_NONE);
    op->type = (uint8_t)type;
    op->state = 0;
    op->fd = fd;
    op->next = NULL;
    memset(op->word, 0, sizeof(op->word));
    sl_poller_count(&u->base.stats.ops_pending, 1);
    if (slot_take(u, op)) return true;
    sl_uring_op_done(u, op, -ENOMEM);
    return false;
}

/* Submission. */

int sl_uring_submit(struct uring *u, uint32_t wait_count, uint64_t timeout_ns)
{
    sl_poller_count(&u->base.stats.syscalls, 1);
    return sl_uring_setup_enter(&u->setup, sl_uring_setup_flush(&u->setup), wait_count, timeout_ns);
}

/* The fault of SL_POLLER_FAIL_SUBMIT: about every fifth time there is no entry. */
static bool entry_is_withheld(struct uring *u)
{
    if (!u->fail_submit) return false;
    u->fail_count = u->fail_count * 1664525 + 1013904223; /* Knuth's and Lewis's generator */
    return (u->fail_count >> 16) % 5 == 0;
}

/*
 * A free submission entry; submits what is there if the queue is full. NULL if it stays full: the
 * kernel may refuse (EBUSY, EAGAIN) until completions have been taken, and we may be inside the
 * event of one. Then the next wait tries again.
 */
static struct io_uring_sqe *sqe_take(struct uring *u)
{
    struct io_uring_sq *sq = &u->setup.ring.sq;
    uint32_t used = sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
    if (used >= sq->ring_entries) {
        (void)sl_uring_submit(u, 0, 0);
        used = sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
    }
    if (used >= sq->ring_entries || entry_is_withheld(u)) return NULL;
    struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail & sq->ring_mask];
    sq->sqe_tail++;
    return sqe;
}

static void prep_send(struct io_uring_sqe *sqe, const struct sl_op *op)
{
    if (op->word[WORD_BLOCK] != 0) {
        io_uring_prep_sendmsg(sqe, op->fd, &sl_uring_op_block(op)->msg, MSG_WAITALL | MSG_NOSIGNAL);
        return;
    }
    const void *data = (const void *)(uintptr_t)op->word[WORD_BASE];
    io_uring_prep_send(sqe, op->fd, data, op->word[WORD_LEFT], MSG_WAITALL | MSG_NOSIGNAL);
}

static void prep_recv(struct uring *u, struct io_uring_sqe *sqe, const struct sl_op *op)
{
    if (u->setup.recv_cap > 0) {
        io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
        sqe->SL_SQE_OPTLEN = u->setup.recv_cap;
    } else {
        io_uring_prep_recv(sqe, op->fd, NULL, u->setup.bufs.size, 0);
    }
    sqe->flags |= IOSQE_BUFFER_SELECT; /* group 0 */
}

void sl_uring_op_arm(struct uring *u, struct sl_op *op)
{
    sl_assert(!(op->state & (ARMED | DONE)));
    struct io_uring_sqe *sqe = sqe_take(u);
    struct block *block;
    if (sqe == NULL) {
        sl_uring_op_arm_late(u, op);
        return;
    }
    switch (op->type) {
    case SL_OP_ACCEPT: io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC); break;
    case SL_OP_RECV: prep_recv(u, sqe, op); break;
    case SL_OP_SEND: prep_send(sqe, op); break;
    case SL_OP_CONNECT:
        block = sl_uring_op_block(op);
        io_uring_prep_connect(sqe, op->fd, (struct sockaddr *)&block->addr.storage,
                              block->addr.size);
        break;
    case SL_OP_POLL: io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->word[WORD_EVENTS]); break;
    default: sl_unreachable();
    }
    sqe->user_data = user_data(u, op);
    op->state |= ARMED;
}

/* Arm again, or end as the caller asked. Returns the events delivered. */
uint32_t sl_uring_op_continue(struct uring *u, struct sl_op *op)
{
    if (op->state & CANCELED) {
        sl_uring_op_finish(u, op, -ECANCELED);
        return 1;
    }
    sl_poller_count(&u->base.stats.rearms, 1);
    sl_uring_op_arm(u, op);
    return 0;
}

void sl_uring_op_arm_late(struct uring *u, struct sl_op *op)
{
    op->next = NULL;
    *u->late_end = op;
    u->late_end = &op->next;
}

void sl_uring_late_arm(struct uring *u)
{
    struct sl_op *op = u->late;
    u->late = NULL;
    u->late_end = &u->late;
    while (op != NULL) {
        struct sl_op *next = op->next;
        if (op->state & CANCELED) {
            sl_uring_op_done(u, op, -ECANCELED);
        } else {
            sl_poller_count(&u->base.stats.rearms, 1);
            sl_uring_op_arm(u, op);
        }
        op = next;
    }
}

void sl_uring_cancels_repeat(struct uring *u)
{
    u->cancels_missed = false;
    for (uint32_t i = 0; i < u->slots_count; i++) {
        const struct sl_op *op = u->slots[i].op;
        if (op == NULL || (op->state & (ARMED | CANCELED)) != (ARMED | CANCELED)) continue;
        sl_uring_op_cancel(u, op);
    }
}

void sl_uring_op_cancel(struct uring *u, const struct sl_op *op)
{
    struct io_uring_sqe *sqe = sqe_take(u);
    if (sqe == NULL) {
        u->cancels_missed = true;
        return;
    }
    io_uring_prep_cancel64(sqe, user_data(u, op), 0);
    sqe->user_data = user_data(u, op) | UD_CANCEL;
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void sl_uring_wake_arm(struct uring *u)
{
    struct io_uring_sqe *sqe = sqe_take(u);
    if (sqe == NULL) return;
    io_uring_prep_poll_multishot(sqe, u->waker.fd, POLLIN);
    sqe->user_data = UD_WAKE;
    u->wake_armed = true;
}
