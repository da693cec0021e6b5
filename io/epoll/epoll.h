/* SPDX-License-Identifier: MIT */
/*
 * The poller on epoll(7), for kernels and containers that forbid io_uring. Same contract, same
 * behaviour: core/shard/poller.h.
 */
#pragma once

#include "core/base/clock.h"
#include "core/base/diag.h"
#include "core/shard/poller.h"

/*
 * Make the poller of the calling thread; every function but `wake` belongs to that thread.
 *
 * config   may be NULL: all defaults; `entries`, `bufs_count` and `disable` mean nothing here
 * clock    borrowed; must outlive the poller
 * returns  owned by the caller (ops->free); NULL with `reterr` (may be NULL) saying why
 */
struct sl_poller *sl_poller_epoll_new(const struct sl_poller_config *config, struct sl_clock *clock,
                                      struct sl_diag *reterr);
