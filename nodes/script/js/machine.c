/* SPDX-License-Identifier: MIT */
/*
 * Machines: a virtual machine with its realm takes 20 ms to make, and no shard may stand still for so
 * long. They are made when the first script is compiled, one for each shard, and wait here:
 *
 *     control thread: prepare ──► a thread that makes one and ends ──► spares
 *     shard:          first attach ◄────────── takes one, keeps it ─────┘
 *
 * The library lets any thread use a machine, one after the other; threads that have used it and live
 * are stopped by its collector to look at their stacks, so the one that made it must not live on.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/js/affinity.h"
#include "nodes/script/js/js_private.h"

/*
 * A slot is filled by the control thread and emptied by a shard: release and acquire of the pointer
 * hand over all that it leads to.
 */
static _Atomic(struct js_shard *) spares[2][SL_SHARDS_MAX];
static atomic_uint machines_count[2]; /* that exist; relaxed: a count */

static struct js_shard *machine_free(struct js_shard *shard, bool allow_eval)
{
    if (shard == NULL) return NULL;
    struct js_shard *before = js_current;
    js_current = shard;
    shard->realm = js_realm_free(shard->realm);
    JSContextGroupRelease(shard->group);
    js_input_fini(&shard->input);
    free(shard->out_text);
    free(shard);
    js_current = before == shard ? NULL : before;
    (void)atomic_fetch_sub_explicit(&machines_count[allow_eval], 1, memory_order_relaxed);
    return NULL;
}

static int machine_new(bool allow_eval, struct js_shard **ret_shard, struct sl_diag *reterr)
{
    struct js_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL) return -ENOMEM;
    (void)atomic_fetch_add_explicit(&machines_count[allow_eval], 1, memory_order_relaxed);
    shard->input.generation = 1;
    shard->clock = sl_clock_system();
    shard->node = "";
    struct js_shard *before = js_current;
    js_current = shard;
    shard->group = JSContextGroupCreate();
    js_limit_open(shard);
    int r = js_realm_new(shard, allow_eval, reterr);
    js_current = before;
    if (r < 0) {
        (void)machine_free(shard, allow_eval);
        return r;
    }
    *ret_shard = shard;
    return 0;
}

/* ---- ahead ----------------------------------------------------------------------------------- */

struct birth {
    bool allow_eval;
    struct js_shard *shard; /* NULL: it failed; whoever needs it will find out why */
};

static void *birth_run(void *ctx)
{
    struct birth *birth = ctx;
    struct js_affinity saved;
    js_affinity_widen(&saved);
    (void)machine_new(birth->allow_eval, &birth->shard, NULL);
    if (birth->shard != NULL) js_machine_exercise(birth->shard);
    js_current = NULL;
    return NULL;
}

static struct js_shard *machine_bear(bool allow_eval)
{
    struct birth birth = {.allow_eval = allow_eval};
    pthread_t thread;
    if (pthread_create(&thread, NULL, birth_run, &birth) != 0) return NULL;
    (void)pthread_join(thread, NULL);
    return birth.shard;
}

static bool spare_put(bool allow_eval, struct js_shard *shard)
{
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        struct js_shard *none = NULL;
        /* Release: pairs with the acquire in spare_take. */
        if (atomic_compare_exchange_strong_explicit(&spares[allow_eval][i], &none, shard,
                                                    memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static struct js_shard *spare_take(bool allow_eval)
{
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        _Atomic(struct js_shard *) *slot = &spares[allow_eval][i];
        if (atomic_load_explicit(slot, memory_order_relaxed) == NULL) continue;
        /* Acquire: pairs with the release in spare_put. */
        struct js_shard *shard = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
        if (shard != NULL) return shard;
    }
    return NULL;
}

uint32_t sl_js_machines_waiting(bool allow_eval)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_SHARDS_MAX; i++) {
        /* Relaxed: a count. */
        count += atomic_load_explicit(&spares[allow_eval][i], memory_order_relaxed) != NULL;
    }
    return count;
}

void js_prepare(const struct sl_script *base, uint32_t shards)
{
    sl_assert(base != NULL);
    bool allow_eval = ((const struct js_script *)base)->source.allow_eval;
    if (shards > SL_SHARDS_MAX) shards = SL_SHARDS_MAX;
    while (atomic_load_explicit(&machines_count[allow_eval], memory_order_relaxed) < shards) {
        struct js_shard *shard = machine_bear(allow_eval);
        if (shard == NULL) return;
        if (!spare_put(allow_eval, shard)) (void)machine_free(shard, allow_eval);
    }
}

/* ---- of a shard ------------------------------------------------------------------------------ */

int js_machine_get(struct js_machines **ret_machines, bool allow_eval, struct js_shard **ret_shard,
                   struct sl_diag *reterr)
{
    sl_assert(ret_machines != NULL);
    sl_assert(ret_shard != NULL);
    if (*ret_machines == NULL) *ret_machines = calloc(1, sizeof(**ret_machines));
    if (*ret_machines == NULL) return -ENOMEM;
    struct js_shard **own = &(*ret_machines)->of[allow_eval];
    if (*own == NULL) {
        *own = spare_take(allow_eval);
        /* What it knows of memory is of the thread that made it. */
        if (*own != NULL) (*own)->limit.rss_idle_ns = 0;
    }
    if (*own == NULL) {
        int r = machine_new(allow_eval, own, reterr);
        if (r < 0) return r;
    }
    *ret_shard = *own;
    return 0;
}

void js_machines_free(void *state)
{
    struct js_machines *machines = state;
    if (machines == NULL) return;
    for (size_t i = 0; i < 2; i++) machines->of[i] = machine_free(machines->of[i], i == 1);
    free(machines);
}
