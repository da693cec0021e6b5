/* SPDX-License-Identifier: MIT */
/*
 * Edges between specs: what no single spec can tell. An edge must lead to a node of the same
 * namespace and to an input that this node has; a route should lead somewhere.
 *
 * The registry does not refuse such specs, since the missing node may come later; so these are
 * errors for `check`, which sees all there is, and warnings for `apply`.
 */
#pragma once

#include <stdbool.h>

#include "core/base/diag.h"
#include "ctl/loader/source.h"
#include "ctl/registry/registry.h"

struct cli_edges {
    const struct sl_specs *specs;
    const char *name_space;         /* of specs that name none */
    const struct sl_objects *known; /* stored nodes that edges may lead to, too; NULL: none */
    enum sl_diag_level level;       /* of an edge that leads nowhere */
    bool unnamed;                   /* more was written, with names that could not be read */
};

/* Look at all edges of `specs`; every mistake goes to diags. */
void cli_edges_check(const struct cli_edges *edges, struct sl_diags *diags);
