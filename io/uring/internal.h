/* SPDX-License-Identifier: MIT */
/*
 * What the files of the io_uring poller share. Internal to io/uring; uring.c tells the whole.
 *
 *     uring.c     operations, waiting, making and freeing
 *     op.c        the life of an op: slot, arming, result
 *     complete.c  completions: from the kernel's queue to the events
 *     setup.c     the ring itself and what this kernel has
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/shard/poller.h"
#include "io/sock/waker.h"
#include "io/uring/setup.h"

enum {
    /* op->state */
    ARMED = 1,    /* the kernel holds a request for it */
    CANCELED = 2, /* the caller asked for its end */
    DONE = 4,     /* in the list `done` */
};

#define SLOT_NONE UINT32_MAX

/* user_data: bits 0–29 slot, 30–31 what, 32–63 generation. */
#define UD_SLOT_MASK UINT64_C(0x3fffffff)
#define UD_OP        UINT64_C(0)
#define UD_CANCEL    (UINT64_C(1) << 30) /* failure of the cancel of that slot */
#define UD_WAKE      (UINT64_C(2) << 30)
#define UD_WHAT_MASK (UINT64_C(3) << 30)

/* op->word while sending. */
enum { WORD_BASE, WORD_LEFT, WORD_TOTAL, WORD_BLOCK };
/* op->word otherwise. */
enum { WORD_RESULT = 0, WORD_EVENTS = 1 };

struct slot {
    struct sl_op *op; /* NULL: free */
    uint32_t generation;
    uint32_t next; /* free list */
};

/* What the kernel reads at submission and an op has no room for. */
struct block {
    struct block *next; /* free list */
    struct msghdr msg;
    struct iovec iov[SL_POLLER_IOV_MAX];
    struct sl_addr addr;
};

/* Blocks that were taken from the system together. */
struct block_group {
    struct block_group *next;
    struct block blocks[];
};

struct uring {
    struct sl_poller base;
    struct sl_uring_setup setup;
    struct slot *slots; /* array of `slots_count` */
    uint32_t slots_count;
    uint32_t slot_free;
    struct block_group *block_groups;
    struct block *block_free;
    struct block *block_unused; /* array of `block_unused_count`: never taken yet */
    uint32_t block_unused_count;
    uint32_t blocks_count; /* of all groups */
    struct sl_op *done;    /* oldest first: results known, not yet delivered */
    struct sl_op **done_end;
    struct sl_op *late; /* to arm again at the end of the batch */
    struct sl_op **late_end;
    struct sl_op *paused; /* accepts that wait for descriptors */
    uint64_t paused_until_ns;
    uint64_t spin_ns;
    uint32_t backlog;
    uint32_t batch; /* completions of one turn, at most */
    bool wake_armed;
    bool cancels_missed; /* some could not be submitted */
    bool fail_submit;    /* SL_POLLER_FAIL_SUBMIT */
    uint32_t fail_count;
    bool in_wait;
    pthread_t thread;
    struct sl_waker waker;
};

static_assert(offsetof(struct uring, base) == 0, "a poller is the first member");
static_assert(SL_POLLER_OPS_MAX <= UD_SLOT_MASK, "slots fit user_data");

/* op.c */

/* Make room for more pending operations; false for no memory, or at SL_POLLER_OPS_MAX. */
bool sl_uring_slots_grow(struct uring *u);
/* A block for what does not fit an op (an address, a message); NULL for no memory. */
struct block *sl_uring_block_take(struct uring *u);

/* Make the op pending. False: no slot; it is in `done` with -ENOMEM. */
bool sl_uring_op_start(struct uring *u, struct sl_op *op, enum sl_op_type type, int fd);

/* Prepare the request of an op that is not armed; submitted by the next enter. */
void sl_uring_op_arm(struct uring *u, struct sl_op *op);

/* Remember the result of an op that the kernel does not hold; the next wait delivers it. */
void sl_uring_op_done(struct uring *u, struct sl_op *op, int32_t res);

/* Deliver the final event. The op is the caller's again before its function runs. */
void sl_uring_op_finish(struct uring *u, struct sl_op *op, int32_t res);

/* Arm again, or end as the caller asked. Returns the events delivered. */
uint32_t sl_uring_op_continue(struct uring *u, struct sl_op *op);

/*
 * Arm it at the end of the batch, or when there is room to submit. Who just got something stands
 * behind those that got no buffer. The op has had its event; cancel only marks it meanwhile.
 */
void sl_uring_op_arm_late(struct uring *u, struct sl_op *op);

/* Arm those of sl_uring_op_arm_late; what was cancelled meanwhile is done. */
void sl_uring_late_arm(struct uring *u);

/* Cancel again what was marked when there was no room to submit. */
void sl_uring_cancels_repeat(struct uring *u);

/* Prepare the cancel of an armed op. */
void sl_uring_op_cancel(struct uring *u, const struct sl_op *op);

/* Prepare the watch of the waker's eventfd. */
void sl_uring_wake_arm(struct uring *u);

/* Enter the kernel with what is prepared; see sl_uring_setup_enter. */
int sl_uring_submit(struct uring *u, uint32_t wait_count, uint64_t timeout_ns);

static inline bool sl_uring_op_has_block(const struct sl_op *op)
{
    return (op->type == SL_OP_SEND || op->type == SL_OP_CONNECT) && op->word[WORD_BLOCK] != 0;
}

static inline struct block *sl_uring_op_block(const struct sl_op *op)
{
    return (struct block *)(uintptr_t)op->word[WORD_BLOCK];
}

/* complete.c */

/* Deliver what is in the completion queue now; what arrives meanwhile waits for the next turn. */
uint32_t sl_uring_complete(struct uring *u);
