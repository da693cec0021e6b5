/* SPDX-License-Identifier: MIT */
/* Names of placeholders against the `env` of a spec and of the blocks around it. */
#include "ctl/loader/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/kind.h"
#include "core/spec/template.h"

enum { CODE_FIELDS_MAX = 16 };

static const struct sl_kind *kind_of(const struct sl_spec *spec)
{
    char name[SL_SPEC_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", SL_SLICE_FMT(spec->kind));
    return sl_kind_get(name);
}

struct env_work {
    const struct sl_spec *spec;
    struct sl_value scope; /* Map of the names above it, one count; cell == NULL: none */
};

/* What is still to be looked at; children come behind their block. */
struct env_queue {
    struct env_work *items; /* array of count */
    size_t count;
};

/* The names of `above` and of the spec's own `env`; the values do not matter. */
static int scope_make(struct sl_value above, const struct sl_spec *spec, struct sl_value *ret_scope)
{
    struct sl_builder builder;
    sl_builder_init(&builder, NULL, 16, 64);
    sl_build_map_begin(&builder);
    for (uint32_t i = 0; !sl_value_is_none(above) && i < sl_value_count(above); i++) {
        struct sl_slice key = sl_value_key_at(above, i);
        sl_build_key(&builder, key.data, key.size);
        sl_build_null(&builder);
    }
    for (uint32_t i = 0; i < spec->env_count; i++) {
        sl_build_key(&builder, spec->env[i].key.data, spec->env[i].key.size);
        sl_build_null(&builder);
    }
    sl_build_map_end(&builder);
    return sl_builder_finish(&builder, ret_scope);
}

/* Code is left out: a placeholder there is a mistake of its own, or no placeholder at all. */
static int spec_check(const struct sl_spec *spec, struct sl_value scope, struct sl_diags *diags)
{
    const char *code[CODE_FIELDS_MAX + 1] = {NULL};
    size_t count = 0;
    const struct sl_kind *kind = kind_of(spec);
    const struct sl_field *field = kind != NULL ? kind->fields : NULL;
    struct sl_value language = sl_value_get_str(spec->value, "language");
    bool is_text =
        sl_value_is(language, SL_VALUE_STRING) && sl_slice_eq_str(sl_value_slice(language), "text");
    for (; field != NULL && field->name != NULL && count < CODE_FIELDS_MAX && !is_text; field++) {
        if (field->flags & SL_FIELD_HOLDS_CODE) code[count++] = field->name;
    }
    struct sl_template template = {.bound = scope, .what = "env", .spec = spec, .names_only = true};
    struct sl_value ignored = sl_value_none();
    int result = sl_template_apply_spec(&template, code, &ignored, diags);
    if (result == 0) sl_value_unref(ignored);
    return result == -ENOMEM ? -ENOMEM : 0;
}

/* Queue the children of `spec` with the names that it binds. */
static int children_push(struct env_queue *queue, const struct sl_spec *spec, struct sl_value scope)
{
    size_t size = (queue->count + spec->children_count) * sizeof(*queue->items);
    struct env_work *items = realloc(queue->items, size);
    if (items == NULL) return -ENOMEM;
    queue->items = items;
    for (uint32_t i = 0; i < spec->children_count; i++) {
        items[queue->count++] = (struct env_work){spec->children[i], sl_value_ref(scope)};
    }
    return 0;
}

static int work_do(struct env_queue *queue, struct env_work work, struct sl_diags *diags)
{
    struct sl_value scope = sl_value_none();
    int result = scope_make(work.scope, work.spec, &scope);
    if (result < 0) return result;
    result = spec_check(work.spec, scope, diags);
    if (result == 0 && work.spec->children_count > 0) {
        result = children_push(queue, work.spec, scope);
    }
    sl_value_unref(scope);
    return result;
}

int sl_spec_check_env(const struct sl_spec *spec, struct sl_diags *diags)
{
    sl_assert(spec != NULL);
    sl_assert(diags != NULL);
    size_t errors_before = diags->errors_count;
    struct env_queue queue = {.items = malloc(sizeof(*queue.items)), .count = 1};
    if (queue.items == NULL) return -ENOMEM;
    queue.items[0] = (struct env_work){spec, sl_value_none()};
    int result = 0;
    for (size_t i = 0; i < queue.count && result == 0; i++) {
        result = work_do(&queue, queue.items[i], diags);
    }
    for (size_t i = 0; i < queue.count; i++) sl_value_unref(queue.items[i].scope);
    free(queue.items);
    if (result == 0 && diags->errors_count > errors_before) result = -EINVAL;
    return result;
}
