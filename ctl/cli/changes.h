/* SPDX-License-Identifier: MIT */
/* Printing what changed: commits, and differences between two states. */
#pragma once

#include "ctl/cli/cli.h"
#include "ctl/registry/history.h"
#include "ctl/registry/registry.h"

/* "created", "updated", "deleted", "unchanged". */
const char *cli_effect_text(enum sl_change_effect effect);

/* A table and a summary, or one JSON document with the keys revision, changed, changes. */
void cli_print_commit(struct cli_args *args, const struct sl_commit *commit);

/* Lines with + - ~, or one JSON document with the keys from, to, changes. Values of secrets never. */
void cli_print_diff(struct cli_args *args, const struct sl_diff *diff);

/* What a change set's outcome means, where the diagnostics do not say it. Returns an exit code. */
int cli_print_outcome(struct cli_args *args, int result, const struct sl_diags *diags);
