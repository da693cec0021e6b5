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
    char (*deletes)[SL_ID_SIZE]; /* specs to delete in the same change set, or NULL */
    size_t deletes_count;
};

/*
 * The text of a file ("-": standard input) of at most `size_max` bytes, on the heap. NULL with
 * reterr (which has the file's name): it cannot be read, or is longer.
 */
char *cli_read_file(const char *path, size_t size_max, size_t *ret_size, struct sl_diag *reterr);

/*
 * Store specs in one change set.
 *
 * returns  0; an outcome of sl_registry_apply, or -EXXX; reasons in diags
 */
int cli_store_specs(struct sl_registry *registry, const struct cli_store *store,
                    const struct sl_specs *specs, struct sl_commit *ret_commit,
                    struct sl_diags *diags);

/* Order by file in reading order, inside a file by line. */
void cli_diags_order(struct sl_diags *diags);

/*
 * Read the specs of files, folders and "-". With a mistake, all others that can be found without the
 * registry are told, too; `specs` then holds broken ones, and is only to be freed.
 *
 * returns  0; -EINVAL with the mistakes in diags, ordered; -ENOMEM
 */
int cli_specs_read(const char *const *files, size_t count, const char *name_space,
                   struct sl_specs *specs, struct sl_diags *diags);

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

/* What `apply` and `diff -f` have in common. */
struct cli_apply {
    const char *const *files; /* array of files_count, at least one */
    size_t files_count;
    bool is_secret;
    bool dry_run;   /* show the difference, store nothing */
    bool exit_code; /* CLI_FAILED if there is a difference */
};

/* Apply files and print what changed. Returns an exit code. */
int cli_apply_files(struct cli_args *args, const struct cli_apply *what);

/*
 * A first operand `nodes`, `specs` or `secrets` says what a command is about (default: specs).
 * Returns the number of operands that it took: 0 or 1.
 */
size_t cli_type_read(struct cli_args *args, enum sl_object_type *ret_type);

/*
 * Who runs this command, for the history: "cli:alice (1000)", or "cli:1000" for a user without a
 * name; behind sudo "cli:root (0) for alice". Static buffer.
 */
const char *cli_author(void);
