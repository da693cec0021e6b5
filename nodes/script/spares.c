/* SPDX-License-Identifier: MIT */
#include "nodes/script/spares.h"

#include <stddef.h>

#include "core/base/assertion.h"

void sl_spares_born(struct sl_spares *spares)
{
    (void)atomic_fetch_add_explicit(&spares->made, 1, memory_order_relaxed);
}

void sl_spares_died(struct sl_spares *spares)
{
    unsigned before = atomic_fetch_sub_explicit(&spares->made, 1, memory_order_relaxed);
    sl_assert(before > 0);
}

uint32_t sl_spares_made(struct sl_spares *spares)
{
    return atomic_load_explicit(&spares->made, memory_order_relaxed);
}

uint32_t sl_spares_waiting(struct sl_spares *spares)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        /* Relaxed: a count. */
        count += atomic_load_explicit(&spares->slots[i], memory_order_relaxed) != NULL;
    }
    return count;
}

bool sl_spares_put(struct sl_spares *spares, void *machine)
{
    sl_assert(machine != NULL);
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        void *none = NULL;
        /* Release: pairs with the acquire in sl_spares_take. */
        if (atomic_compare_exchange_strong_explicit(&spares->slots[i], &none, machine,
                                                    memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void *sl_spares_take(struct sl_spares *spares)
{
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        if (atomic_load_explicit(&spares->slots[i], memory_order_relaxed) == NULL) continue;
        /* Acquire: pairs with the release in sl_spares_put. */
        void *machine = atomic_exchange_explicit(&spares->slots[i], NULL, memory_order_acquire);
        if (machine != NULL) return machine;
    }
    return NULL;
}
