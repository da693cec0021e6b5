/* SPDX-License-Identifier: MIT */
/* Files to the registry: what `start --from-specs` and `apply` share. */
#pragma once

#include "ctl/cli/cli.h"
#include "ctl/loader/source.h"
#include "ctl/registry/registry.h"

struct cli_store {
    const char *name_space;
    const char *author;
    const char *message;
    uint64_t if_revision; /* SL_REVISION_ANY: no condition */
    bool dry_run;
};

/*
 * Store specs in one change set.
 *
 * returns  0; an outcome of sl_registry_apply, or -EXXX; reasons in diags
 */
int cli_store_specs(struct sl_registry *registry, const struct cli_store *store,
                    const struct sl_specs *specs, struct sl_commit *ret_commit,
                    struct sl_diags *diags);

/*
 * Read secrets from a YAML or JSON file ("-": standard input): one {name, data, …} or a list.
 * ret_value holds the documents' count. Mistakes in diags.
 */
int cli_read_secrets(const char *path, struct sl_value *ret_value, struct sl_diags *diags);

int cli_store_secrets(struct sl_registry *registry, const struct cli_store *store,
                      struct sl_value documents, struct sl_commit *ret_commit,
                      struct sl_diags *diags);

/*
 * Open the registry of --data with the loader's validator. Prints what is wrong.
 *
 * create   make it if it is not there
 * returns  CLI_OK and a registry owned by the caller; CLI_USAGE without --data; CLI_UNREACHABLE
 */
int cli_registry_open(struct cli_args *args, bool create, struct sl_registry **ret_registry);

/* "cli:1000". Static buffer. */
const char *cli_author(void);
