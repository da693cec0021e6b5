/* SPDX-License-Identifier: MIT */
/*
 * Machines of a language that were made ahead, one for each shard, so that no shard stands still while
 * it makes its own:
 *
 *     control thread: prepare ──► makes them ──► spares
 *     shard:          first attach ◄── takes one ──┘
 *
 * What is put by one thread and taken by another is handed over with all that it leads to.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/limit.h"

/* All zero at first; of static life. */
struct sl_spares {
    _Atomic(void *) slots[SL_SHARDS_MAX];
    atomic_uint made; /* machines that exist, taken or not; relaxed: a count */
};

/* One more machine exists, wherever it is; one less. Any thread. */
void sl_spares_born(struct sl_spares *spares);
void sl_spares_died(struct sl_spares *spares);
/* How many exist, and how many of them wait. Any thread. */
uint32_t sl_spares_made(struct sl_spares *spares);
uint32_t sl_spares_waiting(struct sl_spares *spares);

/* False: no slot is free; it stays the caller's. Any thread. */
bool sl_spares_put(struct sl_spares *spares, void *machine);
/* One that waits, now the caller's; NULL: none. Any thread. */
void *sl_spares_take(struct sl_spares *spares);
