/* SPDX-License-Identifier: MIT */
/*
 * The poller on io_uring. Contract: core/shard/poller.h. Needs Linux 6.0; is at its best from 6.1
 * (DEFER_TASKRUN) and 6.17 (limited multishot receive).
 */
#pragma once

#include "core/base/clock.h"
#include "core/base/diag.h"
#include "core/shard/poller.h"

/*
 * Make the poller of the calling thread; every function but `wake` belongs to that thread.
 *
 * config   may be NULL: all defaults
 * clock    borrowed; must outlive the poller
 * returns  owned by the caller (ops->free); NULL with `reterr` (may be NULL) saying why
 */
struct sl_poller *sl_poller_uring_new(const struct sl_poller_config *config, struct sl_clock *clock,
                                      struct sl_diag *reterr);

/* What this poller's ring uses, for one line at start: borrowed for the poller's life. */
const char *sl_poller_uring_summary(const struct sl_poller *poller);
