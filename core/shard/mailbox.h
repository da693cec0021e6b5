/* SPDX-License-Identifier: MIT */
/*
 * A mailbox: messages to one thread from any other, for control (prepare a program, answer a
 * registry operation, drain). Packets between shards travel in rings (core/ring), not here.
 *
 * An intrusive stack: senders push with compare-and-swap, the owner takes the whole stack at once
 * and turns it round, so messages of one sender arrive in order.
 *
 *   pairs: push's release ↔ take's acquire (the message's contents)
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct sl_mail {
    struct sl_mail *next;
    void (*fn)(struct sl_mail *mail); /* runs on the receiver's thread; may free the mail */
};

struct sl_mailbox {
    _Atomic(struct sl_mail *) head;
};

static inline void sl_mailbox_init(struct sl_mailbox *mailbox)
{
    atomic_init(&mailbox->head, NULL);
}

/* Push; returns true if the box was empty, so the receiver may have to be woken. Any thread. */
static inline bool sl_mailbox_push(struct sl_mailbox *mailbox, struct sl_mail *mail)
{
    struct sl_mail *head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
    do {
        mail->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->head, &head, mail,
                                                    memory_order_release, memory_order_relaxed));
    return head == NULL;
}

static inline bool sl_mailbox_is_empty(struct sl_mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->head, memory_order_acquire) == NULL;
}

/* Run all messages that are there, oldest first. Owner thread. Returns how many. */
unsigned sl_mailbox_run(struct sl_mailbox *mailbox);
