/* SPDX-License-Identifier: MIT */
/*
 * A unit: one stored spec, compiled. A plain spec gives one node; a block gives all the nodes in it,
 * with what leads in, what leads out, and the links between them.
 *
 *      spec of a block                      unit
 *      ┌──────────────────────┐
 *   in │ ► a ──► b ──►        │ out          ins    in[0]  → node "block/a" in[0]
 *      └──────────────────────┘              links  "block/a" out[0] → "block/b" in[0]
 *                                            edges  "block/b" out[0] → by name, port (the block's)
 *
 * Building a unit binds the environment, decodes the fields by the kind's table and compiles;
 * nodes whose path and resolved configuration did not change are taken over from the program before.
 *
 * Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/graph/program.h"
#include "core/spec/spec.h"

struct sl_addresses;
struct sl_compile;
struct sl_script_cost;

/* Leads out of the unit: to another unit by id or name. */
struct sl_unit_edge {
    uint32_t node;
    uint32_t port; /* `out` number or SL_PORT_ERROR */
    uint32_t in;   /* `in` number of the target */
    char *target;  /* owned: id or name */
    bool by_id;
    struct sl_pos pos; /* of the target's name */
};

/* Leads in: packets for `in` of the unit go to `node_in` of `node`. Several for one `in` fan out. */
struct sl_unit_in {
    uint32_t in;
    uint32_t node;
    uint32_t node_in;
};

struct sl_unit {
    char *id;   /* of the spec */
    char *name; /* or "" */
    char *kind;
    char *file; /* or "" */
    struct sl_pos pos;
    struct sl_node **nodes; /* array of nodes_count, one reference each */
    uint32_t nodes_count;
    struct sl_link *links; /* array of links_count, numbers into nodes */
    uint32_t links_count;
    struct sl_unit_edge *edges; /* array of edges_count */
    uint32_t edges_count;
    struct sl_unit_in *ins; /* array of ins_count */
    uint32_t ins_count;
};

/* What building a unit needs from outside. */
struct sl_unit_source {
    const struct sl_spec *spec;
    const char *name_space;
    uint32_t shards_count;
    void *ctx;
    /*
     * The value that an entry of `env` is made from: a secret, or the Map of the environment.
     * returns  0 with one count; -ENOENT if it is not there (fill reterr); -EXXX
     */
    int (*env)(void *ctx, const struct sl_spec_env *entry, struct sl_value *ret_value,
               struct sl_diag *reterr);
    /* The node of this path in the program before, or NULL. May be NULL itself. */
    struct sl_node *(*node)(void *ctx, const char *path);
    /*
     * Only check: what is bound is not known. Fields with placeholders are taken for right, nothing
     * is kept, `ret_unit` is NULL.
     */
    bool check_only;
    /*
     * With check_only: also run what a load runs of scripts, here or in a process; where nothing
     * is bound to them, which is not known here. sl_script_try_fini frees what is kept for that.
     */
    bool tries;
    /* Gets what the nodes listen on; two that want the same are told. May be NULL. */
    struct sl_addresses *addresses;
    /* With check_only: nodes that listen on nothing are left out. */
    bool addresses_only;
    /* Told of each script whose cost is known before it runs. May be NULL. */
    void (*cost)(void *ctx, const struct sl_compile *c, struct sl_value code,
                 const struct sl_script_cost *cost);
};

/*
 * Build.
 *
 * ret_unit  owned by the caller (sl_unit_free)
 * diags     every mistake, with the author's file and line
 * returns   0; -EINVAL with errors in diags; -ENOENT if a binding is missing (in diags too);
 *           -ENOMEM
 */
int sl_unit_build(const struct sl_unit_source *source, struct sl_unit **ret_unit,
                  struct sl_diags *diags);

/* Drop the nodes and free. NULL is fine; returns NULL. */
struct sl_unit *sl_unit_free(struct sl_unit *unit);
