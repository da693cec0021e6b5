/* SPDX-License-Identifier: MIT */
/* `--wait`: until the runtimes of the touched namespaces have published a revision. */
#pragma once

#include "ctl/cli/cli.h"
#include "ctl/registry/registry.h"

/* False, and told, if --wait and --timeout make no sense: to be asked before anything is changed. */
bool cli_wait_check(struct cli_args *args);

/*
 * Wait until every living runtime of the namespaces that `commit` touches (of `name_space` if it
 * touches none) has published the commit's revision, at most --timeout.
 *
 * returns  CLI_OK; CLI_TIMEOUT naming who has not; CLI_FAILED if a runtime refused the revision, or
 *          a touched node is not active there (both say why); CLI_UNREACHABLE
 */
int cli_wait_published(struct cli_args *args, struct sl_registry *registry, const char *name_space,
                       const struct sl_commit *commit);
