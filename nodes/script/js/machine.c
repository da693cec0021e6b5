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
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/js/affinity.h"
#include "nodes/script/js/js_private.h"
#include "nodes/script/spares.h"

static struct sl_spares spares[2]; /* by allow_eval */

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
    sl_spares_died(&spares[allow_eval]);
    return NULL;
}

static int machine_new(bool allow_eval, struct js_shard **ret_shard, struct sl_diag *reterr)
{
    struct js_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL) return -ENOMEM;
    sl_spares_born(&spares[allow_eval]);
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

uint32_t sl_js_machines_waiting(bool allow_eval)
{
    return sl_spares_waiting(&spares[allow_eval]);
}

void js_prepare(const struct sl_script *base, uint32_t shards)
{
    sl_assert(base != NULL);
    bool allow_eval = ((const struct js_script *)base)->source.allow_eval;
    if (shards > SL_SHARDS_MAX) shards = SL_SHARDS_MAX;
    while (sl_spares_made(&spares[allow_eval]) < shards) {
        struct js_shard *shard = machine_bear(allow_eval);
        if (shard == NULL) return;
        if (!sl_spares_put(&spares[allow_eval], shard)) (void)machine_free(shard, allow_eval);
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
        *own = sl_spares_take(&spares[allow_eval]);
        if (*own != NULL) {
            (*own)->limit.rss_idle_ns =
                0; /* what it knows of memory is of the thread that made it */
            (*own)->realm->size_max =
                0; /* so that this thread's first step into it is a small one */
        }
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
