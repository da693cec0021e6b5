/* SPDX-License-Identifier: MIT */
/* What `sluice tune` prints; the files of the command share it. */
#pragma once

#include "ctl/cli/cli.h"
#include "ctl/tune/propose.h"
#include "ctl/tune/write.h"

/* Machine, proposals and what is left alone, for people. */
void cli_tune_print_plan(const struct sl_tune_plan *plan);

/* What was chosen after --try: a line each, or that nothing was. */
void cli_tune_print_choices(const struct sl_tune_choices *choices);

/* The same as one Map being built: "machine", "proposals", "left_alone". */
void cli_tune_build_plan(struct sl_builder *b, const struct sl_tune_plan *plan);

/* "chosen": [{rule, key, value, measured}] */
void cli_tune_build_choices(struct sl_builder *b, const struct sl_tune_choices *choices);
