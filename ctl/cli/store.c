/* SPDX-License-Identifier: MIT */
#include "ctl/cli/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/limit.h"
#include "ctl/loader/loader.h"

const char *cli_author(void)
{
    static char author[32];
    (void)snprintf(author, sizeof(author), "cli:%u", (unsigned)getuid());
    return author;
}

int cli_registry_open(struct cli_args *args, bool create, struct sl_registry **ret_registry)
{
    const char *command = cli_args_command(args)->name;
    const char *dir = cli_get(args, "data");
    struct sl_diag diag = {0};
    if (dir == NULL) {
        cli_error(
            "%s: which registry? Give --data DIR, or SLUICE_DATA, or \"data:\" in sluice.yaml",
            command);
        return CLI_USAGE;
    }
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    if (!create && access(path, F_OK) < 0) {
        cli_error("there is no registry in %s: %s", dir, strerror(errno));
        return CLI_UNREACHABLE;
    }
    if (sl_registry_open(dir, NULL, ret_registry, &diag) < 0) {
        cli_print_diag(args, &diag);
        return CLI_UNREACHABLE;
    }
    sl_registry_set_validator(*ret_registry, sl_loader_validate, NULL);
    return CLI_OK;
}

static int changes_apply(struct sl_registry *registry, const struct cli_store *store,
                         const struct sl_change *changes, size_t count,
                         struct sl_commit *ret_commit, struct sl_diags *diags)
{
    struct sl_change_set set = {
        .changes = changes,
        .count = count,
        .author = store->author,
        .message = store->message,
        .if_revision = store->if_revision,
        .dry_run = store->dry_run,
    };
    return sl_registry_apply(registry, &set, ret_commit, diags);
}

int cli_store_specs(struct sl_registry *registry, const struct cli_store *store,
                    const struct sl_specs *specs, struct sl_commit *ret_commit,
                    struct sl_diags *diags)
{
    size_t count = specs->count + store->deletes_count;
    struct sl_change *changes = calloc(count + 1, sizeof(*changes));
    if (changes == NULL) return -ENOMEM;
    for (size_t i = 0; i < specs->count; i++) {
        const struct sl_specs_item *item = &specs->items[i];
        changes[i] = (struct sl_change){
            .op = SL_CHANGE_APPLY,
            .type = SL_OBJECT_SPEC,
            .namespace = item->spec->name_space.size > 0 ? NULL : store->name_space,
            .path = item->origin,
            .document = item->spec->value,
            .origin_file = item->spec->file,
            .origin_line = item->line,
            .source = sl_slice_make(item->text, item->text_size),
        };
    }
    for (size_t i = 0; i < store->deletes_count; i++) {
        changes[specs->count + i] = (struct sl_change){
            .op = SL_CHANGE_DELETE,
            .type = SL_OBJECT_SPEC,
            .id = store->deletes[i],
            .missing_ok = true,
        };
    }
    int r = changes_apply(registry, store, changes, count, ret_commit, diags);
    free(changes);
    return r;
}

char *cli_read_file(const char *path, size_t *ret_size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) return NULL;
    size_t cap = 65536;
    size_t size = 0;
    char *text = malloc(cap);
    while (text != NULL && size < SL_SPEC_FILE_SIZE_MAX) {
        size_t got = fread(text + size, 1, cap - size, file);
        if (got == 0) break;
        size += got;
        if (size < cap) continue;
        cap *= 2;
        char *more = realloc(text, cap);
        if (more == NULL) free(text);
        text = more;
    }
    if (file != stdin) (void)fclose(file);
    *ret_size = size;
    return text;
}

int cli_read_secrets(const char *path, struct sl_value *ret_value, struct sl_diags *diags)
{
    size_t size = 0;
    char *text = cli_read_file(path, &size);
    struct sl_diag diag = {0};
    if (text == NULL) {
        int r = sl_diag_set(&diag, "cannot_read", (struct sl_pos){0, 0}, "cannot read %s: %s", path,
                            strerror(errno));
        (void)sl_diags_push(diags, &diag);
        return r;
    }
    int r = sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, ret_value, &diag);
    /* The text held secrets. */
    explicit_bzero(text, size);
    free(text);
    if (r < 0) {
        sl_diag_file(&diag, path);
        (void)sl_diags_push(diags, &diag);
    }
    return r;
}

int cli_store_secrets(struct sl_registry *registry, const struct cli_store *store,
                      struct sl_value documents, struct sl_commit *ret_commit,
                      struct sl_diags *diags)
{
    bool is_list = sl_value_is(documents, SL_VALUE_LIST);
    size_t count = is_list ? sl_value_count(documents) : 1;
    struct sl_change *changes = calloc(count + 1, sizeof(*changes));
    if (changes == NULL) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct sl_value one = is_list ? sl_value_list_at(documents, (uint32_t)i) : documents;
        bool named =
            sl_value_is(one, SL_VALUE_MAP) && !sl_value_is_none(sl_value_get_str(one, "namespace"));
        changes[i] = (struct sl_change){
            .op = SL_CHANGE_APPLY,
            .type = SL_OBJECT_SECRET,
            .namespace = named ? NULL : store->name_space,
            .document = one,
        };
    }
    int r = changes_apply(registry, store, changes, count, ret_commit, diags);
    free(changes);
    return r;
}
