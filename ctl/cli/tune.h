/* SPDX-License-Identifier: MIT */
/* What `sluice tune` prints; the files of the command share it. */
#pragma once

#include "ctl/cli/cli.h"
#include "ctl/tune/propose.h"
#include "ctl/tune/try.h"
#include "ctl/tune/write.h"

/* Machine, proposals and what is left alone, for people. */
void cli_tune_print_plan(const struct sl_tune_plan *plan);

/* What was chosen after --try: a line each, or that nothing was. */
void cli_tune_print_choices(const struct sl_tune_choices *choices);

/* The same as one Map being built: "machine", "proposals", "left_alone". */
void cli_tune_build_plan(struct sl_builder *b, const struct sl_tune_plan *plan);

/* "chosen": [{rule, key, value, measured}] */
void cli_tune_build_choices(struct sl_builder *b, const struct sl_tune_choices *choices);

/* What a trial said; nothing if there was none. */
void cli_tune_print_report(const struct sl_tune_report *report);

/* "trial": {pairs, shards, load, itself, tried: […], together} */
void cli_tune_build_report(struct sl_builder *b, const struct sl_tune_report *report);

typedef bool cli_tune_wanted_fn(void *ctx, const struct sl_tune_proposal *proposal);

/*
 * The trial of --try, as the words say; its progress goes to stderr.
 *
 * journal    of trials, open; NULL: say only what would be done and how long it takes
 * is_wanted  by --only and --skip
 * choices    gets what is kept
 * returns    an exit code
 */
int cli_tune_try(struct cli_args *args, const struct sl_tune_plan *plan,
                 struct sl_tune_journal *journal, cli_tune_wanted_fn *is_wanted, void *ctx,
                 struct sl_tune_report *report, struct sl_tune_choices *choices);
