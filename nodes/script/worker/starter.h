/* SPDX-License-Identifier: MIT */
/*
 * The helper threads that start workers and clean up behind them, so that no shard does. One of each
 * for the whole program, there as long as a pool is. Workers die with the one that started them
 * (io/proc/spawn.h).
 *
 *   START  maps the rings and has the nursery start a process (io/proc/nursery.h); opens and closes
 *          that
 *   REAP   waitid, and nothing else. The kernel takes the dead out of /proc there and may spin for
 *          seconds (release_task → shrink_dcache_parent; seen on Linux 6.18 while others looked
 *          into /proc/PID). An ordinary thread that spins takes the core from a shard, and keeps
 *          SCHED_IDLE workers from it altogether. So this one is of the workers' own class.
 *   BURY   unmaps and closes. Ordinary again: it holds the lock of our memory (mmap_lock), which page
 *          faults of the shards take, too.
 */
#pragma once

#include "core/shard/mailbox.h"
#include "core/base/diag.h"

enum sl_starter { SL_STARTER_START, SL_STARTER_REAP, SL_STARTER_BURY, SL_STARTERS };

/*
 * One more user: the first starts the threads; `workers_idle`: workers are SCHED_IDLE. 0 or -errno
 * with reterr. Takes a lock: not for calls.
 */
int sl_starter_open(bool workers_idle, struct sl_diag *reterr);

/* One user less: what was posted is done and left; after the last one the threads end. Waits. */
void sl_starter_close(void);

/* Run mail->fn on that helper thread. Any thread that has opened it; takes no lock. */
void sl_starter_post(enum sl_starter which, struct sl_mail *mail);
