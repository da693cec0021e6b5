/* SPDX-License-Identifier: MIT */
#include "ctl/admin/ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "ctl/admin/patch.h"
#include "ctl/registry/registry.h"
#include "nodes/system/native.h"

static struct sl_registry *ops_registry;

void sl_ops_set_registry(struct sl_registry *registry)
{
    ops_registry = registry;
}

/* An operation: which objects, and what to do. */
struct op {
    const char *opcode;
    enum sl_object_type type;
    void (*run)(const struct op *op, const char *name_space, struct sl_value argument,
                struct sl_value *ret_result);
};

/* ---- results ------------------------------------------------------------------------------- */

/* `text`, with `unsupported value` in its chain: workflows tell the user's mistakes by it. */
static struct sl_value error_unsupported(const char *code, int status, const char *text)
{
    struct sl_value cause = sl_value_new_error(NULL, "unsupported_value", 400, "unsupported value");
    struct sl_value error = sl_value_is_none(cause)
                                ? cause
                                : sl_value_new_error_caused(NULL, code, status, cause, "%s", text);
    sl_value_unref(cause);
    return error;
}

static struct sl_value error_of(int outcome, const struct sl_diags *diags)
{
    char text[SL_DIAG_TEXT_SIZE + SL_DIAG_HINT_SIZE + 40] = "unsupported value";
    if (diags->count > 0) {
        const struct sl_diag *diag = &diags->items[0];
        char place[32] = "";
        if (diag->pos.line > 0) {
            (void)snprintf(place, sizeof(place), "%u:%u: ", diag->pos.line, diag->pos.column);
        }
        (void)snprintf(text, sizeof(text), "%s%s%s%s", place, diag->text, diag->hint[0] ? "; " : "",
                       diag->hint);
    }
    switch (outcome) {
    case SL_REGISTRY_REFUSED:
    case -EINVAL: return error_unsupported("unsupported_value", 400, text);
    case SL_REGISTRY_CONFLICT: return error_unsupported("conflict", 409, text);
    case SL_REGISTRY_STALE:
        return sl_value_new_error(NULL, "stale", 409, "the registry has changed: read again");
    case -E2BIG: return error_unsupported("too_large", 413, text);
    case -ENOSPC: return sl_value_new_error(NULL, "disk_full", 507, "the registry's disk is full");
    default:
        return sl_value_new_error(NULL, "registry_failed", 500, "the registry failed: %s",
                                  strerror(outcome < 0 ? -outcome : EIO));
    }
}

/* Say where an object of that name is, or which name is near: the end of a sentence. */
static void missing_hint(const struct sl_objects *objects, const char *space, const char *name,
                         char *hint, size_t size)
{
    const char **names = calloc(objects->count + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; names != NULL && i < objects->count; i++) {
        const struct sl_object *object = objects->items[i];
        if (space == NULL || strcmp(object->namespace, space) == 0) {
            names[count++] = object->name;
        } else if (strcmp(object->name, name) == 0) {
            (void)snprintf(hint, size, "; there is one in namespace \"%s\": say \"namespace\"",
                           object->namespace);
        }
    }
    const char *nearest = names != NULL ? sl_diag_nearest(name, names, count) : NULL;
    if (nearest != NULL) (void)snprintf(hint, size, "; did you mean \"%s\"?", nearest);
    free(names);
}

static char *field_dup(struct sl_value document, const char *field)
{
    struct sl_value value = sl_value_get_str(document, field);
    return sl_value_is(value, SL_VALUE_STRING) ? sl_slice_dup_str(sl_value_slice(value)) : NULL;
}

/* Who is meant by `document` is not there. `space` is where a name without one is looked for, or
 * NULL: everywhere. */
static struct sl_value error_missing(struct sl_view *view, enum sl_object_type type,
                                     struct sl_value document, const char *space)
{
    const char *what = type == SL_OBJECT_SPEC ? "node" : "secret";
    char text[SL_DIAG_TEXT_SIZE];
    char hint[SL_DIAG_HINT_SIZE] = "";
    char *id = field_dup(document, "id");
    char *name = field_dup(document, "name");
    char *own = field_dup(document, "namespace");
    struct sl_objects objects = {0};
    if (own != NULL) space = own;
    if (id != NULL) {
        (void)snprintf(text, sizeof(text), "there is no %s with id \"%s\"", what, id);
    } else {
        if (name != NULL && sl_view_list(view, type, NULL, sl_value_none(), &objects) == 0) {
            missing_hint(&objects, space, name, hint, sizeof(hint));
        }
        (void)snprintf(text, sizeof(text), "there is no %s \"%s\"%s%s%s%s", what,
                       name != NULL ? name : "", space != NULL ? " in namespace \"" : "",
                       space != NULL ? space : "", space != NULL ? "\"" : "", hint);
    }
    sl_objects_fini(&objects);
    free(id);
    free(name);
    free(own);
    return error_unsupported("not_found", 404, text);
}

/* The documents that a change touched, as a list. */
static struct sl_value commit_value(const struct sl_commit *commit, bool before)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 64, 256);
    sl_build_list_begin(&b);
    for (size_t i = 0; i < commit->count; i++) {
        const struct sl_object *object = before ? commit->items[i].before : commit->items[i].after;
        if (object != NULL) sl_build_value(&b, object->document);
    }
    sl_build_list_end(&b);
    struct sl_value value;
    return sl_builder_finish(&b, &value) < 0 ? sl_value_none() : value;
}

/* ---- arguments ----------------------------------------------------------------------------- */

/* One document, or a list of them: the number of documents, or -1 for another shape. */
static int64_t documents_count(struct sl_value argument)
{
    if (sl_value_is(argument, SL_VALUE_MAP)) return 1;
    if (!sl_value_is(argument, SL_VALUE_LIST)) return -1;
    for (uint32_t i = 0; i < sl_value_count(argument); i++) {
        if (!sl_value_is(sl_value_list_at(argument, i), SL_VALUE_MAP)) return -1;
    }
    return sl_value_count(argument);
}

/* Null gets the bare text that workflows know; other shapes are told what was expected. */
static struct sl_value error_shape(struct sl_value argument, const char *expected)
{
    return error_unsupported("unsupported_value", 400,
                             sl_value_is(argument, SL_VALUE_NULL) ? "unsupported value" : expected);
}

static struct sl_value document_at(struct sl_value argument, uint32_t index)
{
    return sl_value_is(argument, SL_VALUE_MAP) ? argument : sl_value_list_at(argument, index);
}

static int apply(const struct sl_change *changes, size_t count, const char *name_space,
                 const char *opcode, bool before, struct sl_value *ret_result)
{
    char author[SL_SPEC_NAME_MAX + 16];
    (void)snprintf(author, sizeof(author), "workflow %s", name_space);
    struct sl_change_set set = {
        .changes = changes,
        .count = count,
        .author = author,
        .message = opcode,
        .if_revision = SL_REVISION_ANY,
    };
    struct sl_commit commit = {0};
    struct sl_diags diags = {0};
    int r = sl_registry_apply(ops_registry, &set, &commit, &diags);
    *ret_result = r == 0 ? commit_value(&commit, before) : error_of(r, &diags);
    sl_commit_fini(&commit);
    sl_diags_fini(&diags);
    return r;
}

/* ---- operations ---------------------------------------------------------------------------- */

static void run_create(const struct op *op, const char *name_space, struct sl_value argument,
                       struct sl_value *ret_result)
{
    int64_t count = documents_count(argument);
    if (count < 0) {
        *ret_result = error_shape(argument, "expected a document or a list of documents");
        return;
    }
    struct sl_change *changes = calloc((size_t)count + 1, sizeof(*changes));
    if (changes == NULL) return;
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        changes[i] = (struct sl_change){
            .op = SL_CHANGE_CREATE, .type = op->type, .document = document_at(argument, i)};
    }
    (void)apply(changes, (size_t)count, name_space, op->opcode, false, ret_result);
    free(changes);
}

static void run_read(const struct op *op, const char *name_space, struct sl_value argument,
                     struct sl_value *ret_result)
{
    (void)name_space;
    struct sl_view *view;
    struct sl_objects objects = {0};
    struct sl_diags diags = {0};
    int r = sl_view_open(ops_registry, SL_REVISION_NEWEST, &view);
    if (r == 0) {
        r = sl_view_list(view, op->type, NULL, argument, &objects);
        view = sl_view_close(view);
    }
    if (r == 0) r = sl_objects_value(&objects, NULL, ret_result);
    if (r != 0) *ret_result = error_of(r, &diags);
    sl_objects_fini(&objects);
}

/* What a patch means: by id, else by namespace (or `default`) and name. */
static int patch_target(struct sl_view *view, enum sl_object_type type, struct sl_value patch,
                        struct sl_object **ret_object)
{
    struct sl_value id = sl_value_get_str(patch, "id");
    struct sl_value name = sl_value_get_str(patch, "name");
    struct sl_value space = sl_value_get_str(patch, "namespace");
    int r = -EINVAL;
    if (sl_value_is(id, SL_VALUE_STRING)) {
        char *text = sl_slice_dup_str(sl_value_slice(id));
        r = text == NULL ? -ENOMEM : sl_view_get(view, type, text, ret_object);
        free(text);
    } else if (sl_value_is(name, SL_VALUE_STRING)) {
        char *text = sl_slice_dup_str(sl_value_slice(name));
        char *space_text = sl_value_is(space, SL_VALUE_STRING)
                               ? sl_slice_dup_str(sl_value_slice(space))
                               : strdup("default");
        r = text == NULL || space_text == NULL
                ? -ENOMEM
                : sl_view_find(view, type, space_text, text, ret_object);
        free(text);
        free(space_text);
    }
    return r;
}

/*
 * Find and merge all patches. `*ret_count` changes are filled; their documents hold a count. What
 * one means that is not there: SL_REGISTRY_NOT_FOUND and `*ret_error`.
 */
static int patches_merge(const struct op *op, struct sl_value argument, uint32_t count,
                         struct sl_objects *objects, struct sl_change *changes, size_t *ret_count,
                         struct sl_value *ret_error)
{
    struct sl_view *view;
    int r = sl_view_open(ops_registry, SL_REVISION_NEWEST, &view);
    if (r != 0) return r;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct sl_value patch = document_at(argument, i);
        struct sl_object *object = NULL;
        r = patch_target(view, op->type, patch, &object);
        if (r == SL_REGISTRY_NOT_FOUND) {
            *ret_error = error_missing(view, op->type, patch, "default");
        }
        if (r != 0) break;
        objects->items[objects->count++] = object;
        struct sl_change *change = &changes[*ret_count];
        *change = (struct sl_change){.op = SL_CHANGE_UPDATE,
                                     .type = op->type,
                                     .id = object->id,
                                     .namespace = object->namespace,
                                     .if_revision = object->revision};
        r = sl_patch_apply(object->document, patch, &change->document);
        if (r == 0) (*ret_count)++;
    }
    view = sl_view_close(view);
    return r;
}

static void run_update(const struct op *op, const char *name_space, struct sl_value argument,
                       struct sl_value *ret_result)
{
    int64_t count = documents_count(argument);
    if (count < 0) {
        *ret_result = error_shape(argument, "expected a patch with id, or namespace and name");
        return;
    }
    struct sl_change *changes = calloc((size_t)count + 1, sizeof(*changes));
    struct sl_objects objects = {0};
    objects.items = calloc((size_t)count + 1, sizeof(struct sl_object *));
    objects.cap = (size_t)count + 1;
    struct sl_diags diags = {0};
    size_t merged = 0;
    int r =
        changes == NULL || objects.items == NULL
            ? -ENOMEM
            : patches_merge(op, argument, (uint32_t)count, &objects, changes, &merged, ret_result);
    if (r == 0) {
        (void)apply(changes, merged, name_space, op->opcode, false, ret_result);
    } else if (r != SL_REGISTRY_NOT_FOUND) {
        *ret_result = error_of(r, &diags);
    }
    for (size_t i = 0; i < merged; i++) sl_value_unref(changes[i].document);
    free(changes);
    sl_objects_fini(&objects);
}

static bool field_is(struct sl_value example, const char *field, const char *text)
{
    struct sl_value value = sl_value_get_str(example, field);
    return !sl_value_is(value, SL_VALUE_STRING) || sl_slice_eq_str(sl_value_slice(value), text);
}

static bool example_has_match(struct sl_value example, const struct sl_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        const struct sl_object *object = objects->items[i];
        if (field_is(example, "id", object->id) && field_is(example, "name", object->name) &&
            field_is(example, "namespace", object->namespace)) {
            return true;
        }
    }
    return false;
}

/* An example that says a name or an id means one object: it has to be there. */
static int examples_check(const struct op *op, struct sl_view *view, struct sl_value argument,
                          const struct sl_objects *objects, struct sl_value *ret_error)
{
    int64_t count = documents_count(argument);
    for (uint32_t i = 0; count > 0 && i < (uint32_t)count; i++) {
        struct sl_value example = document_at(argument, i);
        if (!sl_value_is(sl_value_get_str(example, "id"), SL_VALUE_STRING) &&
            !sl_value_is(sl_value_get_str(example, "name"), SL_VALUE_STRING)) {
            continue;
        }
        if (example_has_match(example, objects)) continue;
        *ret_error = error_missing(view, op->type, example, NULL);
        return SL_REGISTRY_NOT_FOUND;
    }
    return 0;
}

static void run_delete(const struct op *op, const char *name_space, struct sl_value argument,
                       struct sl_value *ret_result)
{
    struct sl_view *view;
    struct sl_objects objects = {0};
    struct sl_diags diags = {0};
    int r = sl_view_open(ops_registry, SL_REVISION_NEWEST, &view);
    if (r == 0) {
        r = sl_view_list(view, op->type, NULL, argument, &objects);
        if (r == 0) r = examples_check(op, view, argument, &objects, ret_result);
        view = sl_view_close(view);
    }
    struct sl_change *changes = calloc(objects.count + 1, sizeof(*changes));
    if (r == 0 && changes == NULL) r = -ENOMEM;
    if (r != 0) {
        if (r != SL_REGISTRY_NOT_FOUND) *ret_result = error_of(r, &diags);
        free(changes);
        sl_objects_fini(&objects);
        return;
    }
    /* Everything is meant: then all but the workflow's own namespace. */
    bool spares = sl_value_is(argument, SL_VALUE_NULL);
    size_t count = 0;
    for (size_t i = 0; i < objects.count; i++) {
        const struct sl_object *object = objects.items[i];
        if (spares && strcmp(object->namespace, name_space) == 0) continue;
        changes[count++] = (struct sl_change){.op = SL_CHANGE_DELETE,
                                              .type = op->type,
                                              .id = object->id,
                                              .namespace = object->namespace,
                                              .missing_ok = true};
    }
    (void)apply(changes, count, name_space, op->opcode, true, ret_result);
    free(changes);
    sl_objects_fini(&objects);
}

static const struct op ops[] = {
    {"nodes.create", SL_OBJECT_SPEC, run_create},
    {"nodes.read", SL_OBJECT_SPEC, run_read},
    {"nodes.update", SL_OBJECT_SPEC, run_update},
    {"nodes.delete", SL_OBJECT_SPEC, run_delete},
    {"secrets.create", SL_OBJECT_SECRET, run_create},
    {"secrets.read", SL_OBJECT_SECRET, run_read},
    {"secrets.update", SL_OBJECT_SECRET, run_update},
    {"secrets.delete", SL_OBJECT_SECRET, run_delete},
};

static void op_run(void *ctx, const char *name_space, struct sl_value argument,
                   struct sl_value *ret_result)
{
    const struct op *op = ctx;
    if (ops_registry == NULL) {
        *ret_result = sl_value_new_error(NULL, "unavailable", 503, "there is no registry here");
        return;
    }
    op->run(op, name_space, argument, ret_result);
}

void sl_ops_register(void)
{
    static bool registered;
    if (registered) return;
    registered = true;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        sl_native_register(ops[i].opcode, op_run, (void *)(uintptr_t)&ops[i]);
    }
}
