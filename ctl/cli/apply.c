/* SPDX-License-Identifier: MIT */
/* apply: files to the registry. */
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "ctl/cli/changes.h"
#include "ctl/cli/edges.h"
#include "ctl/cli/store.h"
#include "ctl/cli/wait.h"

struct apply {
    struct cli_args *args;
    struct sl_registry *registry;
    struct cli_store store;
    struct sl_commit commit;
    struct sl_diags diags;
};

/* ---- what to apply --------------------------------------------------------------------------- */

/* Edges that lead nowhere are warnings here: the node may come later. */
static void edges_warn(struct apply *apply, const struct sl_specs *specs)
{
    struct sl_objects known = {0};
    if (sl_registry_snapshot(apply->registry, SL_OBJECT_SPEC, NULL, SL_REVISION_NEWEST, &known,
                             NULL) == 0) {
        struct cli_edges edges = {.specs = specs,
                                  .name_space = apply->store.name_space,
                                  .known = &known,
                                  .level = SL_DIAG_WARNING};
        struct sl_diags diags = {0};
        cli_edges_check(&edges, &diags);
        if (!cli_is_json(apply->args)) (void)cli_print_diags(apply->args, &diags);
        sl_diags_fini(&diags);
    }
    sl_objects_fini(&known);
}

static int specs_apply(struct apply *apply, const char *const *files, size_t count)
{
    struct sl_specs specs = {0};
    int r = cli_specs_read(files, count, apply->store.name_space, &specs, &apply->diags);
    if (r == 0) {
        r = cli_store_specs(apply->registry, &apply->store, &specs, &apply->commit, &apply->diags);
    }
    if (r == 0) edges_warn(apply, &specs);
    sl_specs_fini(&specs);
    return r;
}

/* All files' secrets as one list, so that they are one change set. */
static int secrets_apply(struct apply *apply, const char *const *files, size_t count)
{
    struct sl_builder b;
    struct sl_value all;
    int result = 0;
    sl_builder_init(&b, NULL, 16, 64);
    sl_build_list_begin(&b);
    for (size_t i = 0; i < count; i++) {
        struct sl_value one;
        int r = cli_read_secrets(files[i], &one, &apply->diags);
        if (r < 0) {
            result = r;
            continue;
        }
        bool is_list = sl_value_is(one, SL_VALUE_LIST);
        for (uint32_t k = 0; is_list && k < sl_value_count(one); k++) {
            sl_build_value(&b, sl_value_list_at(one, k));
        }
        if (!is_list) sl_build_value(&b, one);
        sl_value_unref(one);
    }
    sl_build_list_end(&b);
    int r = sl_builder_finish(&b, &all);
    if (r < 0) return r;
    if (result == 0) {
        result =
            cli_store_secrets(apply->registry, &apply->store, all, &apply->commit, &apply->diags);
    }
    sl_value_unref(all);
    return result;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int result_print(struct apply *apply, const struct cli_apply *what, int r)
{
    if (r != 0) return cli_print_outcome(apply->args, r, &apply->diags);
    if (!apply->store.dry_run) {
        cli_print_commit(apply->args, &apply->commit);
        if (!cli_is_set(apply->args, "wait")) return CLI_OK;
        return cli_wait_published(apply->args, apply->registry, apply->store.name_space,
                                  &apply->commit);
    }
    struct sl_diff diff;
    if (sl_commit_diff(&apply->commit, &diff) < 0) return CLI_FAILED;
    cli_print_diff(apply->args, &diff);
    r = what->exit_code && diff.count > 0 ? CLI_FAILED : CLI_OK;
    sl_diff_fini(&diff);
    return r;
}

/* "apply FILE", to be read in the history. */
static char *message_make(struct cli_args *args, const char *const *files, size_t count)
{
    const char *given = cli_get(args, "message");
    char *message = NULL;
    if (given != NULL) return strdup(given);
    const char *name = strrchr(files[0], '/');
    name = name != NULL && name[1] != '\0' ? name + 1 : files[0];
    int r = count == 1 ? asprintf(&message, "apply %s", name)
                       : asprintf(&message, "apply %s and %zu more", name, count - 1);
    return r < 0 ? NULL : message;
}

int cli_apply_files(struct cli_args *args, const struct cli_apply *what)
{
    struct apply apply = {.args = args};
    int64_t if_revision = -1;
    if (!cli_get_number(args, "if-revision", 0, INT64_MAX, &if_revision)) return CLI_USAGE;
    if (!cli_wait_check(args)) return CLI_USAGE;
    int r = cli_registry_open(args, !what->dry_run, &apply.registry);
    if (r != CLI_OK) return r;
    char *message = message_make(args, what->files, what->files_count);
    apply.store = (struct cli_store){
        .name_space = cli_get(args, "namespace"),
        .author = cli_author(),
        .message = message,
        .if_revision = if_revision < 0 ? SL_REVISION_ANY : (uint64_t)if_revision,
        .dry_run = what->dry_run,
    };
    r = what->is_secret ? secrets_apply(&apply, what->files, what->files_count)
                        : specs_apply(&apply, what->files, what->files_count);
    r = result_print(&apply, what, r);
    sl_commit_fini(&apply.commit);
    sl_diags_fini(&apply.diags);
    apply.registry = sl_registry_close(apply.registry);
    free(message);
    return r;
}

size_t cli_type_read(struct cli_args *args, enum sl_object_type *ret_type)
{
    size_t count;
    const char *const *operands = cli_operands(args, &count);
    *ret_type = SL_OBJECT_SPEC;
    if (count == 0) return 0;
    if (strcmp(operands[0], "secrets") == 0 || strcmp(operands[0], "secret") == 0) {
        *ret_type = SL_OBJECT_SECRET;
        return 1;
    }
    static const char *const words[] = {"nodes", "node", "specs", "spec"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(operands[0], words[i]) == 0) return 1;
    }
    return 0;
}

int cli_apply(struct cli_args *args)
{
    enum sl_object_type type;
    size_t skip = cli_type_read(args, &type);
    const char **files = NULL;
    struct cli_apply what = {.dry_run = cli_is_set(args, "dry-run")};
    what.files_count = cli_files(args, skip, &files);
    what.files = files;
    what.is_secret = type == SL_OBJECT_SECRET;
    int r = CLI_USAGE;
    if (what.files_count == 0) {
        cli_error("apply: no files; see \"sluice apply --help\"");
    } else {
        r = cli_apply_files(args, &what);
    }
    free(files);
    return r;
}
