/* SPDX-License-Identifier: MIT */
/*
 * Which poller this process uses: io_uring if it passes its self-test here and now, else epoll,
 * or what the user asked for. It lives in io/uring since that is the side that can be refused.
 */
#pragma once

#include "core/base/clock.h"
#include "core/base/diag.h"
#include "core/base/slice.h"
#include "core/shard/poller.h"

enum sl_poller_kind { SL_POLLER_AUTO, SL_POLLER_URING, SL_POLLER_EPOLL };

struct sl_poller_choice {
    enum sl_poller_kind kind; /* SL_POLLER_URING or SL_POLLER_EPOLL */
    char why[256];            /* "io_uring (self-test 1.2 ms; kernel 6.18, DEFER_TASKRUN …)" */
};

/* "auto", "uring" or "epoll". 0, or -EINVAL with `reterr` (may be NULL). */
int sl_poller_kind_parse(struct sl_slice text, enum sl_poller_kind *ret_kind,
                         struct sl_diag *reterr);

/*
 * Choose, by making a poller in this thread and running its self-test; it is freed again, so every
 * shard makes its own with sl_poller_new. Control thread, at start; a few milliseconds.
 *
 * wanted   SL_POLLER_AUTO, or one that must work
 * returns  0; -errno with `reterr` (may be NULL) if the wanted one, or both, do not work
 */
int sl_poller_pick(enum sl_poller_kind wanted, const struct sl_poller_config *config,
                   struct sl_clock *clock, struct sl_poller_choice *ret_choice,
                   struct sl_diag *reterr);

/* The constructor of a kind that is not SL_POLLER_AUTO; see uring.h and epoll.h. */
struct sl_poller *sl_poller_new(enum sl_poller_kind kind, const struct sl_poller_config *config,
                                struct sl_clock *clock, struct sl_diag *reterr);
