/* SPDX-License-Identifier: MIT */
/*
 * The helper thread that starts workers and cleans up behind them, so that no shard does. One for the
 * whole program, there as long as a pool is. Workers die with it (io/proc/spawn.h).
 */
#pragma once

#include "core/shard/mailbox.h"
#include "core/base/diag.h"

/* One more user: the first starts the thread. 0 or -errno with reterr. Takes a lock: not for calls. */
int sl_starter_open(struct sl_diag *reterr);

/* One user less: the last one's mail is done, then the thread ends. */
void sl_starter_close(void);

/* Run mail->fn on the helper thread. Any thread that has opened it; takes no lock. */
void sl_starter_post(struct sl_mail *mail);
