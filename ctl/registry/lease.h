/* SPDX-License-Identifier: MIT */
/*
 * Leases: a namespace, or a listener's address, has one owner on a host. A lease is a locked file
 * in DIR/lease; the kernel drops the lock when its process ends, however it ends.
 */
#pragma once

#include "core/base/diag.h"

struct sl_lease;

enum { SL_LEASE_HELD = 1 };

/*
 * Take the lease `name` ("namespace default", "listener 127.0.0.1:8000") in directory `dir`, which
 * is created (mode 0700) if missing. Taking it twice is refused, in one process too.
 *
 * reterr   code "lease_held", naming the lease and the process id of the owner
 * returns  0, SL_LEASE_HELD, or -Exxx; `*ret_lease` is owned by the caller
 * thread   control threads
 */
int sl_lease_take(const char *dir, const char *name, struct sl_lease **ret_lease,
                  struct sl_diag *reterr);

/*
 * Who holds the lease `name` in `dir`: a process id, or 0 for nobody. Nothing is taken.
 * 0 or -Exxx.
 */
int sl_lease_owner(const char *dir, const char *name, long *ret_pid);

/* Give it back; its file goes. NULL is fine; returns NULL. */
struct sl_lease *sl_lease_drop(struct sl_lease *lease);
