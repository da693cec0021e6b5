/* SPDX-License-Identifier: MIT */
/*
 * Claims: an address that a listener wants has one owner on a host. SO_REUSEPORT would let a second
 * process of the same user join the group silently and take a part of the connections, so the
 * control thread takes a lease (a locked file in the user's runtime folder, or beside the registry)
 * and looks whether anybody listens, before a shard opens its socket.
 *
 * Control thread.
 */
#pragma once

#include "core/base/diag.h"

struct sl_program;
struct sl_claims;

/*
 * Make an empty set of claims.
 *
 * data_dir  where leases go if the user has no runtime folder; may be NULL
 * returns   NULL for no memory
 */
struct sl_claims *sl_claims_new(const char *data_dir);

/* Give all leases back. NULL is fine; returns NULL. */
struct sl_claims *sl_claims_free(struct sl_claims *claims);

/*
 * Claim the address of a source key ("http://127.0.0.1:8000"); one that is ours already is fine.
 * returns  0; -EADDRINUSE with reterr naming the owner where that is known; -EXXX
 */
int sl_claims_take(struct sl_claims *claims, const char *key, struct sl_diag *reterr);

/* Give back what the program that was just published does not name. */
void sl_claims_settle(struct sl_claims *claims, const struct sl_program *program);
