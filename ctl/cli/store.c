/* SPDX-License-Identifier: MIT */
#include "ctl/cli/store.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/limit.h"
#include "ctl/loader/address.h"
#include "ctl/loader/loader.h"
#include "ctl/loader/unit.h"

enum { READ_SIZE_FIRST = 64 * 1024 };

const char *cli_author(void)
{
    static char author[128];
    char buf[1024];
    struct passwd entry;
    struct passwd *user = NULL;
    unsigned uid = (unsigned)getuid();
    const char *caller = uid == 0 ? getenv("SUDO_USER") : NULL;
    bool has_name = getpwuid_r(uid, &entry, buf, sizeof(buf), &user) == 0 && user != NULL;
    int size = has_name ? snprintf(author, sizeof(author), "cli:%.32s (%u)", user->pw_name, uid)
                        : snprintf(author, sizeof(author), "cli:%u", uid);
    if (caller != NULL && *caller != '\0') {
        (void)snprintf(author + size, sizeof(author) - (size_t)size, " for %.32s", caller);
    }
    return author;
}

void cli_diags_order(struct sl_diags *diags)
{
    for (size_t i = 1; i < diags->count; i++) {
        struct sl_diag diag = diags->items[i];
        size_t to = i;
        while (to > 0 && strcmp(diags->items[to - 1].file, diag.file) != 0) to--;
        if (to == 0 || to == i) continue;
        memmove(&diags->items[to + 1], &diags->items[to], (i - to) * sizeof(diag));
        diags->items[to] = diag;
    }
    for (size_t first = 0; first < diags->count;) {
        struct sl_diags part = {.items = &diags->items[first]};
        while (first < diags->count && strcmp(diags->items[first].file, part.items[0].file) == 0) {
            part.count++;
            first++;
        }
        sl_diags_sort(&part, 0);
    }
}

int cli_specs_read(const char *const *files, size_t count, const char *name_space,
                   struct sl_specs *specs, struct sl_diags *diags)
{
    specs->keep_broken = true;
    int result = sl_specs_read_paths(files, count, specs, diags);
    if (result == -ENOMEM) return result;
    int r = sl_specs_check_names(specs, name_space, diags);
    if (r < 0) result = r;
    if (result != -EINVAL) return result;
    struct sl_addresses addresses = {0};
    for (size_t i = 0; i < specs->count; i++) {
        struct sl_unit_source source = {.spec = specs->items[i].spec,
                                        .name_space = name_space,
                                        .shards_count = 1,
                                        .check_only = true,
                                        .addresses = &addresses};
        (void)sl_unit_build(&source, NULL, diags);
    }
    sl_addresses_fini(&addresses);
    cli_diags_order(diags);
    return result;
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

/* Bytes of a regular file; 0 of anything else. */
static size_t regular_size(FILE *file)
{
    struct stat info;
    if (fstat(fileno(file), &info) < 0 || !S_ISREG(info.st_mode)) return 0;
    return (size_t)info.st_size;
}

/* Say that a file has more than `size_max` bytes; how many, where that is known (else 0). */
static void too_large(size_t size, size_t size_max, struct sl_diag *reterr)
{
    const struct sl_pos nowhere = {0, 0};
    if (size > 0) {
        (void)sl_diag_set(reterr, "file_too_large", nowhere,
                          "this file has %zu bytes, and the limit is %zu (%zu MiB)", size, size_max,
                          size_max >> 20);
    } else {
        (void)sl_diag_set(reterr, "file_too_large", nowhere,
                          "this is longer than the limit of %zu bytes (%zu MiB)", size_max,
                          size_max >> 20);
    }
}

/* Read to the end into `*text` (array of `*cap`), which grows. Bytes read, or SIZE_MAX: no memory. */
static size_t read_all(FILE *file, size_t size_max, char **text, size_t *cap)
{
    size_t size = 0;
    for (;;) {
        size_t got = fread(*text + size, 1, *cap - size, file);
        size += got;
        if (got == 0 || size > size_max) return size;
        if (size < *cap) continue;
        char *more = realloc(*text, *cap * 2);
        if (more == NULL) return SIZE_MAX;
        *text = more;
        *cap *= 2;
    }
}

char *cli_read_file(const char *path, size_t size_max, size_t *ret_size, struct sl_diag *reterr)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    size_t cap = READ_SIZE_FIRST;
    size_t size = 0;
    char *text = file != NULL ? malloc(cap) : NULL;
    int error = file == NULL ? errno : ENOMEM;
    if (text != NULL) {
        size = regular_size(file);
        if (size <= size_max) size = read_all(file, size_max, &text, &cap);
        error = size == SIZE_MAX ? ENOMEM : ferror(file) ? errno : 0; /* EISDIR among them */
    }
    if (error != 0) {
        (void)sl_diag_set(reterr, "file_unreadable", (struct sl_pos){0, 0}, "cannot be read: %s",
                          strerror(error));
    }
    if (error == 0 && size > size_max) too_large(regular_size(file), size_max, reterr);
    if (error != 0 || size > size_max) {
        free(text);
        text = NULL;
    }
    sl_diag_file(reterr, is_stdin ? "standard input" : path);
    if (file != NULL && !is_stdin) (void)fclose(file);
    *ret_size = size;
    return text;
}

int cli_read_secrets(const char *path, struct sl_value *ret_value, struct sl_diags *diags)
{
    size_t size = 0;
    struct sl_diag diag = {0};
    char *text = cli_read_file(path, SL_SPEC_FILE_SIZE_MAX, &size, &diag);
    if (text == NULL) {
        (void)sl_diags_push(diags, &diag);
        return -EINVAL;
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
