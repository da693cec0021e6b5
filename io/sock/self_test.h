/* SPDX-License-Identifier: MIT */
/*
 * A self-test of a poller, run at start before one is chosen: what the kernel claims and what a
 * point release does have differed. Through the ordinary interface: connect to an own listening
 * socket, accept, send both ways, receive, half-close, wake from another thread, time out,
 * cancel. A few milliseconds.
 */
#pragma once

#include "core/base/diag.h"
#include "core/shard/poller.h"

/*
 * Run it in the poller's thread, on a poller with nothing pending; nothing is pending afterwards.
 * On failure the poller is not to be used again, not even freed: an op may still be pending.
 *
 * returns  0; -EIO with `reterr` (may be NULL) naming the step that failed
 */
int sl_poller_self_test(struct sl_poller *poller, struct sl_diag *reterr);
