/* SPDX-License-Identifier: MIT */
/* delete: specs and secrets by name, by id, by file, or all of a namespace. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/cli/changes.h"
#include "ctl/cli/store.h"
#include "ctl/cli/wait.h"

/* The strings that a change points to. */
struct target {
    char id[SL_ID_SIZE];
    char *space;
    char *name;
};

struct delete
{
    struct cli_args *args;
    struct sl_registry *registry;
    const char *name_space;
    enum sl_object_type type;
    struct sl_change *changes; /* array of count */
    size_t count;
    struct sl_specs specs;     /* of -f */
    struct sl_objects objects; /* of --all */
    struct target **targets;   /* array of count, owned */
    struct sl_commit commit;
    struct sl_diags diags;
};

/* One more change; it points to strings of the target that is returned. */
static struct target *target_add(struct delete *delete, const char *space, const char *name)
{
    size_t size = delete->count + 1;
    delete->changes = reallocarray(delete->changes, size, sizeof(*delete->changes));
    delete->targets = reallocarray(delete->targets, size, sizeof(*delete->targets));
    struct target *target = calloc(1, sizeof(*target));
    sl_assert(delete->changes != NULL);
    sl_assert(delete->targets != NULL);
    sl_assert(target != NULL);
    target->space = strdup(space);
    target->name = name != NULL ? strdup(name) : NULL;
    delete->changes[delete->count] = (struct sl_change){
        .op = SL_CHANGE_DELETE,
        .type = delete->type,
        .namespace = target->space,
        .name = target->name,
        .missing_ok = cli_is_set(delete->args, "ignore-missing"),
    };
    delete->targets[delete->count++] = target;
    return target;
}

/* The last change goes by id. */
static void by_id(struct delete *delete)
{
    delete->changes[delete->count - 1].id = delete->targets[delete->count - 1]->id;
}

static void named_add(struct delete *delete, const char *word)
{
    char id[SL_ID_SIZE];
    bool is_id = sl_registry_id_parse(word, id);
    struct target *target = target_add(delete, delete->name_space, is_id ? NULL : word);
    if (!is_id) return;
    memcpy(target->id, id, sizeof(id));
    by_id(delete);
}

/* What applying the file would make: by id, by name, or the id that follows from its place. */
static int files_add(struct delete *delete, const char *const *files, size_t count)
{
    int r = sl_specs_read_paths(files, count, &delete->specs, &delete->diags);
    for (size_t i = 0; r == 0 && i < delete->specs.count; i++) {
        const struct sl_specs_item *item = &delete->specs.items[i];
        const struct sl_spec *spec = item->spec;
        char *space = spec->name_space.size > 0 ? sl_slice_dup_str(spec->name_space) : NULL;
        char *name = spec->name.size > 0 ? sl_slice_dup_str(spec->name) : NULL;
        struct target *target =
            target_add(delete, space != NULL ? space : delete->name_space, name);
        if (spec->id.size > 0) {
            (void)snprintf(target->id, SL_ID_SIZE, "%.*s", SL_SLICE_FMT(spec->id));
            by_id(delete);
        } else if (name == NULL) {
            sl_registry_id_derive(target->space, item->origin, target->id);
            by_id(delete);
        }
        free(space);
        free(name);
    }
    return r;
}

static int all_add(struct delete *delete)
{
    int r = sl_registry_snapshot(delete->registry, delete->type, delete->name_space,
                                 SL_REVISION_NEWEST, &delete->objects, NULL);
    for (size_t i = 0; r == 0 && i < delete->objects.count; i++) {
        const struct sl_object *object = delete->objects.items[i];
        struct target *target = target_add(delete, object->namespace, NULL);
        memcpy(target->id, object->id, sizeof(target->id));
        by_id(delete);
    }
    return r;
}

/* A name that is not there: say which is near. */
static void nearest_hint(struct delete *delete)
{
    struct sl_objects objects = {0};
    size_t index = delete->commit.failed_index;
    if (index >= delete->count || delete->changes[index].name == NULL || delete->diags.count == 0 ||
        sl_registry_snapshot(delete->registry, delete->type, delete->name_space, SL_REVISION_NEWEST,
                             &objects, NULL) != 0) {
        return;
    }
    const char **names = calloc(objects.count + 1, sizeof(*names));
    for (size_t i = 0; names != NULL && i < objects.count; i++) names[i] = objects.items[i]->name;
    const char *nearest =
        names != NULL ? sl_diag_nearest(delete->changes[index].name, names, objects.count) : NULL;
    struct sl_diag *diag = &delete->diags.items[delete->diags.count - 1];
    if (nearest != NULL) sl_diag_hint(diag, "did you mean \"%s\"?", nearest);
    free(names);
    sl_objects_fini(&objects);
}

/* An empty namespace, or an empty file. */
static int nothing(struct delete *delete)
{
    if (sl_registry_revision(delete->registry, &delete->commit.revision) < 0) return CLI_FAILED;
    cli_print_commit(delete->args, &delete->commit);
    return CLI_OK;
}

static int changes_apply(struct delete *delete)
{
    int64_t if_revision = -1;
    if (!cli_get_number(delete->args, "if-revision", 0, INT64_MAX, &if_revision)) return CLI_USAGE;
    bool dry_run = cli_is_set(delete->args, "dry-run");
    struct sl_change_set set = {
        .changes = delete->changes,
        .count = delete->count,
        .author = cli_author(),
        .message =
            cli_is_set(delete->args, "message") ? cli_get(delete->args, "message") : "delete",
        .if_revision = if_revision < 0 ? SL_REVISION_ANY : (uint64_t)if_revision,
        .dry_run = dry_run,
    };
    if (set.count == 0) return nothing(delete);
    int r = sl_registry_apply(delete->registry, &set, &delete->commit, &delete->diags);
    if (r == SL_REGISTRY_NOT_FOUND) nearest_hint(delete);
    if (r != 0) return cli_print_outcome(delete->args, r, &delete->diags);
    if (dry_run) {
        struct sl_diff diff;
        if (sl_commit_diff(&delete->commit, &diff) < 0) return CLI_FAILED;
        cli_print_diff(delete->args, &diff);
        sl_diff_fini(&diff);
        return CLI_OK;
    }
    cli_print_commit(delete->args, &delete->commit);
    if (!cli_is_set(delete->args, "wait")) return CLI_OK;
    return cli_wait_published(delete->args, delete->registry, delete->name_space, &delete->commit);
}

static void delete_fini(struct delete *delete)
{
    for (size_t i = 0; i < delete->count; i++) {
        free(delete->targets[i]->space);
        free(delete->targets[i]->name);
        free(delete->targets[i]);
    }
    free(delete->targets);
    free(delete->changes);
    sl_specs_fini(&delete->specs);
    sl_objects_fini(&delete->objects);
    sl_commit_fini(&delete->commit);
    sl_diags_fini(&delete->diags);
    delete->registry = sl_registry_close(delete->registry);
}

int cli_delete(struct cli_args *args)
{
    struct delete delete = {.args = args, .name_space = cli_get(args, "namespace")};
    size_t skip = cli_type_read(args, &delete.type);
    size_t operands_count;
    size_t files_count;
    const char *const *operands = cli_operands(args, &operands_count);
    const char *const *files = cli_get_list(args, "file", &files_count);
    bool all = cli_is_set(args, "all");
    if (operands_count == skip && files_count == 0 && !all) {
        cli_error("delete: what? Names, ids, -f FILE or --all; see \"sluice delete --help\"");
        return CLI_USAGE;
    }
    if (files_count > 0 && delete.type == SL_OBJECT_SECRET) {
        cli_error("delete secrets: give names or ids");
        return CLI_USAGE;
    }
    if (!cli_wait_check(args)) return CLI_USAGE;
    int r = cli_registry_open(args, false, &delete.registry);
    if (r != CLI_OK) return r;
    for (size_t i = skip; i < operands_count; i++) named_add(&delete, operands[i]);
    if (files_count > 0) r = files_add(&delete, files, files_count);
    if (r == 0 && all) r = all_add(&delete);
    r = r == 0 ? changes_apply(&delete) : cli_print_outcome(args, r, &delete.diags);
    delete_fini(&delete);
    return r;
}
