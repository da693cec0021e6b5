/* SPDX-License-Identifier: MIT */
/*
 * How long the registry's operations take: plain functions for a benchmark to call, in a library
 * of their own (registry_measure_dep). They write into the namespace "measure".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ctl/registry/registry.h"

enum sl_registry_measure_op {
    SL_MEASURE_PUT,      /* change one spec: a durable commit, its doorbell included */
    SL_MEASURE_GET,      /* a view, one spec by id, closed again */
    SL_MEASURE_FIND,     /* the same by name */
    SL_MEASURE_SNAPSHOT, /* all specs of the namespace (100) */
    SL_MEASURE_REVISION, /* newest revision: what each poll of a watch costs */
    SL_MEASURE_SECRET,   /* unseal one secret */
    SL_MEASURE_RING,     /* from the doorbell until a waiting thread has polled its watch */
    SL_MEASURE_OPS,
};

/* A word for tables: "put". Static. */
const char *sl_registry_measure_name(enum sl_registry_measure_op op);

/*
 * Run `op` `rounds` times, one after another.
 *
 * ret_ns   array of `rounds`: nanoseconds of each
 * begin    called when all that the rounds need is there, so that a count can leave that out; or NULL
 * returns  0 or -Exxx
 */
int sl_registry_measure(struct sl_registry *registry, enum sl_registry_measure_op op, size_t rounds,
                        uint64_t *ret_ns, void (*begin)(void));
