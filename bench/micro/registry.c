/* SPDX-License-Identifier: MIT */
/*
 * The registry (LMDB) in the folder for files: memory-backed by default, so that it says what the
 * code costs; `--data DIR` on a disk says what a durable commit costs there.
 */
#include "ctl/registry/measure.h"

#include "bench/micro/measure.h"
#include "bench/micro/micro.h"
#include "core/base/assertion.h"

static int registry_setup(struct sl_micro_run *run)
{
    struct sl_registry *registry;
    int result = sl_registry_open(run->dir, NULL, &registry, &run->diag);
    if (result == 0) run->state = registry;
    return result;
}

static void registry_teardown(struct sl_micro_run *run)
{
    (void)sl_registry_close(run->state);
}

static int registry_sample(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns)
{
    enum sl_registry_measure_op op = *(const enum sl_registry_measure_op *)run->arg;
    /* Storing the specs first takes another amount each time: left in, it made figures below 0. */
    int result = sl_registry_measure(run->state, op, count, ret_ns, sl_micro_alloc_again);
    if (result == 0) return 0;
    return sl_diag_set(&run->diag, "registry", (struct sl_pos){0, 0}, "%s failed: error %d",
                       sl_registry_measure_name(op), result);
}

static const enum sl_registry_measure_op OPS[] = {
    SL_MEASURE_GET,      SL_MEASURE_FIND,   SL_MEASURE_SNAPSHOT, SL_MEASURE_PUT,
    SL_MEASURE_REVISION, SL_MEASURE_SECRET, SL_MEASURE_RING,
};

#define CASE(case_name, text, number)                                                              \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = registry_setup,                             \
        .teardown = registry_teardown, .sample = registry_sample, .arg = &OPS[number]              \
    }

static const struct sl_micro_case CASES[] = {
    CASE("registry/get", "a view, one spec by id", 0),
    CASE("registry/find", "a view, one spec by name", 1),
    CASE("registry/snapshot", "all specs of a namespace of 100", 2),
    CASE("registry/put", "change one spec: a durable commit, its doorbell rung", 3),
    CASE("registry/revision", "the newest revision: what each look of a watch costs", 4),
    CASE("registry/secret", "unseal one secret", 5),
    CASE("registry/watch", "from the doorbell until a sleeping watcher has polled", 6),
};

const struct sl_micro_group sl_micro_registry = SL_MICRO_GROUP("registry", CASES);
