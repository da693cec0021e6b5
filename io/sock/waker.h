/* SPDX-License-Identifier: MIT */
/*
 * Waking a thread that may be asleep in the kernel, without a system call when it is awake.
 *
 *     waker                                    sleeper
 *     ask:    pending = 1, was it 0?           announce: sleeping = 1
 *     look:   sleeping?                        look:     pending?  → do not sleep
 *     ring:   write(eventfd)                   sleep in the kernel, which watches the eventfd
 *                                              rise:     sleeping = 0, pending = 0
 *
 * Both sides write their own word, then read the other's, all sequentially consistent, so at least
 * one of them sees the other (Dekker): the waker rings, or the sleeper stays up. A second waker that
 * finds `pending` already set leaves the ringing to the first. The eventfd is watched edge
 * triggered and never read: each write is an edge, and its counter cannot overflow in our time.
 *
 *   pairs: ask (exchange, seq_cst) ↔ look of the sleeper and rise: what the waker wrote before
 *          announce (store, seq_cst) ↔ look of the waker
 *
 * The steps are functions of their own so that tests/io/sock can walk all interleavings of them.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sl_waker {
    alignas(64) _Atomic uint32_t pending; /* written by wakers, cleared by the sleeper */
    _Atomic uint32_t sleeping;            /* written by the sleeper */
    int fd;                               /* eventfd, owned */
};

/* True if this call is the one that has to look. Any thread. */
static inline bool sl_waker_ask(struct sl_waker *waker)
{
    return atomic_exchange_explicit(&waker->pending, 1, memory_order_seq_cst) == 0;
}

/* True if the sleeper may be asleep. Any thread. */
static inline bool sl_waker_look(struct sl_waker *waker)
{
    return atomic_load_explicit(&waker->sleeping, memory_order_seq_cst) != 0;
}

/* Any thread; async-signal-safe. */
static inline void sl_waker_ring(struct sl_waker *waker)
{
    (void)eventfd_write(waker->fd, 1);
}

static inline void sl_waker_wake(struct sl_waker *waker)
{
    if (sl_waker_ask(waker) && sl_waker_look(waker)) sl_waker_ring(waker);
}

/* Sleeper: I am about to sleep. */
static inline void sl_waker_announce(struct sl_waker *waker)
{
    atomic_store_explicit(&waker->sleeping, 1, memory_order_seq_cst);
}

/* Sleeper: was I asked to wake? Cheap; also for spinning. */
static inline bool sl_waker_is_pending(struct sl_waker *waker)
{
    return atomic_load_explicit(&waker->pending, memory_order_seq_cst) != 0;
}

/* Sleeper: up again; takes the requests that have been made. */
static inline void sl_waker_rise(struct sl_waker *waker)
{
    atomic_store_explicit(&waker->sleeping, 0, memory_order_relaxed);
    if (atomic_load_explicit(&waker->pending, memory_order_relaxed) != 0) {
        (void)atomic_exchange_explicit(&waker->pending, 0, memory_order_seq_cst);
    }
}

/* 0 or -errno. */
int sl_waker_init(struct sl_waker *waker);
void sl_waker_fini(struct sl_waker *waker);
