/* SPDX-License-Identifier: MIT */
/*
 * What the scripts of a set of specs may cost: a line for each whose language counts (CEL). A bound
 * that is known holds for any input; without one, the limit of a run holds.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "core/graph/kind.h"
#include "nodes/script/engine.h"

struct cli_cost {
    char *node; /* owned: path of the node */
    char *file; /* owned */
    struct sl_pos pos;
    struct sl_script_cost cost;
};

/* Zeroed is empty and valid. */
struct cli_costs {
    struct cli_cost *items; /* array of count, in the order they were added */
    size_t count;
};

/* Add one; without memory it is left out. Control thread. */
void cli_costs_add(struct cli_costs *costs, const struct sl_compile *c, struct sl_value code,
                   const struct sl_script_cost *cost);

/* A table; nothing without scripts. */
void cli_costs_print(const struct cli_costs *costs, FILE *out);

/* Append the key "costs" with a list of maps. */
void cli_costs_build(const struct cli_costs *costs, struct sl_builder *b);

void cli_costs_fini(struct cli_costs *costs);
