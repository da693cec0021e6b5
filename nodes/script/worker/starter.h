/* SPDX-License-Identifier: MIT */
/*
 * The helper threads that start workers and clean up behind them, so that no shard does. One of each
 * for the whole program, there as long as a pool is. They are two, because burying may wait for a
 * process that hardly runs, and the next worker shall not. Workers die with the one that started them
 * (io/proc/spawn.h).
 */
#pragma once

#include "core/shard/mailbox.h"
#include "core/base/diag.h"

enum sl_starter { SL_STARTER_START, SL_STARTER_BURY, SL_STARTERS };

/* One more user: the first starts the threads. 0 or -errno with reterr. Takes a lock: not for calls. */
int sl_starter_open(struct sl_diag *reterr);

/* One user less: the last one's mail is done, then the threads end. */
void sl_starter_close(void);

/* Run mail->fn on that helper thread. Any thread that has opened it; takes no lock. */
void sl_starter_post(enum sl_starter which, struct sl_mail *mail);
