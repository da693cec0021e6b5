/* SPDX-License-Identifier: MIT */
/*
 * From what a machine is to what to set. One function a rule (cores_rules.c, system_rules.c,
 * net_rules.c); the table of them is in propose.c. A rule looks at the machine, and either proposes,
 * or says why it leaves things alone, or says nothing.
 *
 *   machine ──► layout (which core does what) ──► rules ──► proposals, and what is left alone
 *
 * Nothing here changes anything. Control plane; a plan belongs to who made it.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/tune/machine.h"

/* Where a setting lives, so who has to make it. */
enum sl_tune_where {
    SL_TUNE_YAML,    /* a key of sluice.yaml */
    SL_TUNE_SYSCTL,  /* sysctl(8): `key` is its name */
    SL_TUNE_SYSFS,   /* files below /sys or /proc/irq */
    SL_TUNE_LIMIT,   /* a line of the [Service] part of the systemd unit */
    SL_TUNE_BOOT,    /* the kernel's command line */
    SL_TUNE_OUTSIDE, /* the hypervisor, the container platform, or a person */
};

/* Whether we may. */
enum sl_tune_may {
    SL_TUNE_MAY_NOW,
    SL_TUNE_MAY_ROOT,     /* only root may */
    SL_TUNE_MAY_READONLY, /* not even root: a container's /proc and /sys are read-only */
    SL_TUNE_MAY_RESTART,  /* by a file, from the next start of the service or the machine on */
    SL_TUNE_MAY_NOT,      /* nothing inside this machine can */
};

/* How it can be put to the test. */
enum sl_tune_measure {
    SL_TUNE_MEASURE_NONE,   /* a load on one machine does not show it */
    SL_TUNE_MEASURE_OPTION, /* two servers with different options */
    SL_TUNE_MEASURE_SYSTEM, /* the setting is switched between the slots of a comparison */
};

enum {
    SL_TUNE_PROPOSALS_MAX = 48,
    SL_TUNE_OTHERS_MAX = 3,
    SL_TUNE_SETTINGS_MAX = 4096, /* of one proposal */
    SL_TUNE_VALUE_SIZE = 256,
};

/* One write: `value` into `path`, which is a path of the tree. */
struct sl_tune_setting {
    char path[128];
    char value[SL_TUNE_VALUE_SIZE];
};

struct sl_tune_proposal {
    const char *rule; /* name of the rule: "governor" */
    enum sl_tune_where where;
    enum sl_tune_may may;
    enum sl_tune_measure measure;
    bool needs_proof; /* whether it helps depends on the workflow: only with --try */
    char key[64];
    char now[SL_TUNE_VALUE_SIZE];
    char want[SL_TUNE_VALUE_SIZE];
    char others[SL_TUNE_OTHERS_MAX][32]; /* further values to try: array of others_count */
    uint32_t others_count;
    char reason[320];
    char effect[200];
    struct sl_tune_setting *settings; /* array of settings_count, owned */
    uint32_t settings_count;
};

struct sl_tune_left {
    const char *rule;
    char reason[320];
};

/* Which core does what. */
struct sl_tune_layout {
    cpu_set_t shards;
    uint32_t shards_count;
    int control; /* -1: wherever there is room */
    int node;    /* of the shards; -1: all */
    char reason[320];
};

struct sl_tune_plan {
    const struct sl_tune_machine *machine; /* borrowed */
    struct sl_tune_layout layout;
    struct sl_tune_proposal proposals[SL_TUNE_PROPOSALS_MAX]; /* array of proposals_count */
    uint32_t proposals_count;
    struct sl_tune_left left[SL_TUNE_PROPOSALS_MAX]; /* array of left_count */
    uint32_t left_count;
    const char *(*option)(void *ctx, const char *key);
    void *ctx;
};

/*
 * Apply all rules.
 *
 * machine   borrowed for the life of the plan
 * option    value of a key of sluice.yaml as it is now (never NULL), for the life of the plan
 * returns   owned by the caller; NULL for no memory
 */
struct sl_tune_plan *sl_tune_plan_new(const struct sl_tune_machine *machine,
                                      const char *(*option)(void *ctx, const char *key), void *ctx);

/* NULL is fine; returns NULL. */
struct sl_tune_plan *sl_tune_plan_free(struct sl_tune_plan *plan);

/* The proposal of a rule (the first, should there be several), or NULL. Borrowed. */
const struct sl_tune_proposal *sl_tune_plan_find(const struct sl_tune_plan *plan, const char *rule);

/* Which core would do what; also for tests. */
void sl_tune_layout(const struct sl_tune_machine *machine, struct sl_tune_layout *ret_layout);

/* "sluice.yaml", "sysctl", "sysfs", "systemd unit", "kernel command line", "outside". */
const char *sl_tune_where_text(enum sl_tune_where where);

/* "yes", "as root", "read-only here", "from the next start on", "not from inside". */
const char *sl_tune_may_text(enum sl_tune_may may);
