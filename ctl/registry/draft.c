/* SPDX-License-Identifier: MIT */
#include "ctl/registry/draft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"

void draft_diag(const struct draft *draft, struct sl_diags *diags, const char *code,
                const char *fmt, ...)
{
    struct sl_diag diag = {0};
    char text[SL_DIAG_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct sl_pos pos = {draft->change->origin_line, draft->change->origin_line > 0 ? 1 : 0};
    (void)sl_diag_set(&diag, code, pos, "%s", text);
    if (draft->change->origin_file != NULL) sl_diag_file(&diag, draft->change->origin_file);
    (void)sl_diags_push(diags, &diag);
}

static const char *type_word(const struct draft *draft)
{
    return draft->change->type == SL_OBJECT_SPEC ? "spec" : "secret";
}

/* A field that is a string, or absent or null: then empty. */
static struct sl_slice string_field(const struct draft *draft, const char *field, bool *ok,
                                    struct sl_diags *diags)
{
    struct sl_value document = draft->change->document;
    if (!sl_value_is(document, SL_VALUE_MAP)) return sl_slice_make("", 0);
    struct sl_value value = sl_value_get_str(document, field);
    if (sl_value_is(value, SL_VALUE_STRING)) return sl_value_slice(value);
    if (!sl_value_is_none(value) && !sl_value_is(value, SL_VALUE_NULL)) {
        draft_diag(draft, diags, "bad_field", "field \"%s\" of a %s must be a string", field,
                   type_word(draft));
        *ok = false;
    }
    return sl_slice_make("", 0);
}

/* What the change says itself, else what its document says. */
static struct sl_slice either(const struct draft *draft, const char *given, const char *field,
                              bool *ok, struct sl_diags *diags)
{
    if (given != NULL && given[0] != '\0') return sl_slice_from_str(given);
    return string_field(draft, field, ok, diags);
}

static bool is_clean(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) return false;
    }
    return true;
}

static bool check_text(const struct draft *draft, const char *what, struct sl_slice text,
                       size_t size_max, struct sl_diags *diags)
{
    if (text.size > size_max) {
        draft_diag(draft, diags, "too_long", "%s is longer than %zu bytes", what, size_max);
        return false;
    }
    if (!is_clean(text)) {
        draft_diag(draft, diags, "bad_field", "%s contains a control character", what);
        return false;
    }
    return true;
}

static bool parse_id(struct draft *draft, struct sl_diags *diags)
{
    bool ok = true;
    struct sl_slice text = either(draft, draft->change->id, "id", &ok, diags);
    draft->has_id = text.size > 0;
    if (!ok || !draft->has_id || id_parse(text, &draft->given_id)) return ok;
    draft_diag(draft, diags, "bad_id", "id \"%.*s\" is not a UUID",
               text.size < 64 ? (int)text.size : 64, (const char *)text.data);
    return false;
}

static bool parse_names(struct draft *draft, struct sl_diags *diags)
{
    bool ok = true;
    draft->given_namespace = either(draft, draft->change->namespace, "namespace", &ok, diags);
    draft->name = either(draft, draft->change->name, "name", &ok, diags);
    if (!check_text(draft, "namespace", draft->given_namespace, SL_REGISTRY_NAMESPACE_MAX, diags)) {
        ok = false;
    }
    if (!check_text(draft, "name", draft->name, SL_SPEC_NAME_MAX, diags)) ok = false;
    return ok;
}

static bool parse_spec(struct draft *draft, struct sl_diags *diags)
{
    bool ok = true;
    draft->kind = string_field(draft, "kind", &ok, diags);
    if (ok && draft->kind.size == 0) {
        draft_diag(draft, diags, "missing_field", "a spec needs a \"kind\"");
        return false;
    }
    return ok && check_text(draft, "kind", draft->kind, SL_SPEC_NAME_MAX, diags);
}

static bool parse_secret(struct draft *draft, struct sl_diags *diags)
{
    struct sl_value document = draft->change->document;
    struct sl_value annotations = sl_value_get_str(document, "annotations");
    draft->secret = sl_value_get_str(document, "data");
    if (sl_value_is_none(draft->secret)) draft->secret = sl_value_get_str(document, "value");
    if (sl_value_is_none(annotations) || sl_value_is(annotations, SL_VALUE_NULL) ||
        sl_value_is(annotations, SL_VALUE_MAP)) {
        return true;
    }
    draft_diag(draft, diags, "bad_field", "field \"annotations\" of a secret must be a map");
    return false;
}

static bool parse_document(struct draft *draft, struct sl_diags *diags)
{
    if (!sl_value_is(draft->change->document, SL_VALUE_MAP)) {
        draft_diag(draft, diags, "bad_document", "a %s must be a map", type_word(draft));
        return false;
    }
    return draft->change->type == SL_OBJECT_SPEC ? parse_spec(draft, diags)
                                                 : parse_secret(draft, diags);
}

int draft_parse(const struct sl_change *change, struct draft *ret_draft, struct sl_diags *diags)
{
    sl_assert(change->type == SL_OBJECT_SPEC || change->type == SL_OBJECT_SECRET);
    sl_assert(change->op >= SL_CHANGE_APPLY && change->op <= SL_CHANGE_DELETE);
    struct draft draft = {.change = change, .secret = sl_value_none(), .kind = SL_SLICE("")};
    bool ok = parse_id(&draft, diags);
    if (!parse_names(&draft, diags)) ok = false;
    if (change->op != SL_CHANGE_DELETE) {
        if (!parse_document(&draft, diags)) ok = false;
    } else if (ok && !draft.has_id && draft.name.size == 0) {
        draft_diag(&draft, diags, "missing_field", "deleting a %s needs its id or its name",
                   type_word(&draft));
        ok = false;
    }
    if (!ok) return SL_REGISTRY_REFUSED;
    *ret_draft = draft;
    return 0;
}

static bool is_own_field(struct sl_slice key)
{
    static const char *const own[] = {"id", "kind", "namespace", "name"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (sl_slice_eq_str(key, own[i])) return true;
    }
    return false;
}

static void build_field(struct sl_builder *builder, const char *key, struct sl_slice value)
{
    sl_build_key_str(builder, key);
    sl_build_string(builder, value.data, value.size);
}

/* The author's other fields: all of a spec's, only the annotations of a secret. */
static void build_fields(struct sl_builder *builder, const struct draft *draft)
{
    struct sl_value document = draft->change->document;
    bool is_spec = draft->change->type == SL_OBJECT_SPEC;
    for (uint32_t i = 0; i < sl_value_count(document); i++) {
        struct sl_slice key = sl_value_key_at(document, i);
        if (is_own_field(key)) continue;
        if (!is_spec && !sl_slice_eq_str(key, "annotations")) continue;
        sl_build_key(builder, key.data, key.size);
        sl_build_value(builder, sl_value_map_at(document, i));
    }
}

int draft_document(const struct draft *draft, uint8_t **ret_data, size_t *ret_size)
{
    sl_assert(draft->change->op != SL_CHANGE_DELETE);
    sl_assert(draft->namespace.size > 0);
    struct sl_builder builder;
    struct sl_value value;
    char id[SL_ID_SIZE];
    id_format(&draft->id, id);
    sl_builder_init(&builder, NULL, 32, 256);
    sl_build_map_begin(&builder);
    build_field(&builder, "id", sl_slice_from_str(id));
    if (draft->change->type == SL_OBJECT_SPEC) build_field(&builder, "kind", draft->kind);
    build_field(&builder, "namespace", draft->namespace);
    if (draft->name.size > 0) build_field(&builder, "name", draft->name);
    build_fields(&builder, draft);
    sl_build_map_end(&builder);
    int r = sl_builder_finish(&builder, &value);
    if (r != 0) return r;
    uint8_t *data;
    size_t size;
    r = sl_flat_seal_dup(value, NULL, &data, &size);
    sl_value_unref(value);
    if (r != 0) return r;
    if (size > SL_REGISTRY_SPEC_SIZE_MAX) {
        free(data);
        return -E2BIG;
    }
    *ret_data = data;
    *ret_size = size;
    return 0;
}
