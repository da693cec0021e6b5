/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench-micro: what the engine's own operations cost. This program links the engine, which
 * sluice-bench does not; `sluice-bench micro` hands over to it.
 *
 * A group is a file with a table of cases; main.c lists the groups.
 *
 *     setup ──► { base(n) run(n) } × many short batches ──► a counted batch ──► teardown
 *
 * Batches are short (about 100 µs), so that what the machine takes away hits few of them, and the
 * median leaves those out. A case with `base` is the difference of the two, measured in turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"

enum { SL_MICRO_SKIPPED = 1 };

/* What a case works with; one at a time, in the thread of main. */
struct sl_micro_run {
    void *state;          /* the case's own; NULL before setup */
    const void *arg;      /* of the case */
    uint64_t bytes;       /* a case may set what one operation reads or writes; 0: no matter */
    const char *dir;      /* where files may be made; removed by main */
    const char *why;      /* set with SL_MICRO_SKIPPED: one static sentence */
    const int *cores;     /* array of cores_count: for threads of the case */
    uint32_t cores_count; /* at least 1 */
    struct sl_diag diag;  /* set with a negative result of setup */
};

struct sl_micro_case {
    const char *name;  /* "hop/fused" */
    const char *about; /* one line */
    /* 0; SL_MICRO_SKIPPED with run->why; -errno with run->diag. May be NULL. */
    int (*setup)(struct sl_micro_run *run);
    /* Do the operation `count` times. NULL: `sample` does it. */
    void (*run)(struct sl_micro_run *run, uint64_t count);
    /* The same without what is to be measured; NULL: nothing is taken off. */
    void (*base)(struct sl_micro_run *run, uint64_t count);
    void (*teardown)(struct sl_micro_run *run); /* after setup returned 0. May be NULL */
    /* For what takes long and times itself: array of `count` nanoseconds. 0 or -errno, run->diag. */
    int (*sample)(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns);
    const void *arg;
    uint32_t divisor; /* operations in one count; 0: 1 */
};

struct sl_micro_group {
    const char *name; /* "hop" */
    const struct sl_micro_case *cases;
    size_t cases_count;
};

#define SL_MICRO_GROUP(group_name, table)                                                          \
    {                                                                                              \
        .name = (group_name), .cases = (table), .cases_count = sizeof(table) / sizeof((table)[0])  \
    }

extern const struct sl_micro_group sl_micro_hop;      /* hop.c */
extern const struct sl_micro_group sl_micro_shard;    /* shard.c */
extern const struct sl_micro_group sl_micro_ring;     /* ring.c */
extern const struct sl_micro_group sl_micro_channel;  /* channel.c */
extern const struct sl_micro_group sl_micro_payload;  /* payload.c */
extern const struct sl_micro_group sl_micro_http;     /* http.c */
extern const struct sl_micro_group sl_micro_json;     /* json.c */
extern const struct sl_micro_group sl_micro_cel;      /* script.c */
extern const struct sl_micro_group sl_micro_script;   /* script.c */
extern const struct sl_micro_group sl_micro_attach;   /* attach.c */
extern const struct sl_micro_group sl_micro_registry; /* registry.c */
extern const struct sl_micro_group sl_micro_swap;     /* swap.c */

/* `sluice-bench-micro scale`: CPU per request with one shard and with two (scale.c). */
int sl_micro_scale(int argc, char **argv);

/* Look at the clock so long: a pause in which this thread stays awake and others fall asleep. */
void sl_micro_pause(uint64_t ns);

/* Keeps the compiler from dropping a computation. */
static inline void sl_micro_keep(const void *value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}
