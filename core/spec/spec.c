/* SPDX-License-Identifier: MIT */
/*
 * Decoding the fields that every spec has, and the tree of children. Children wait in a list of
 * work, so the depth of blocks costs no stack.
 */
#include "core/spec/spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/spec/decode.h"

static const char *const common_fields[] = {"id",          "kind", "namespace", "name",
                                            "annotations", "env",  "ports"};

enum { COMMON_FIELDS_COUNT = sizeof(common_fields) / sizeof(common_fields[0]) };

/* ------------------------------------------------------------------------------------------ */
/* Telling people                                                                               */

struct sl_diag *sl_spec_error(const char *file, struct sl_diags *diags, const char *code,
                              struct sl_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct sl_diag *diag = sl_diags_add(diags, file, code, pos, fmt, args);
    va_end(args);
    return diag;
}

const char *sl_spec_kind_text(struct sl_value value)
{
    static const char *const texts[] = {"null",     "true or false", "an integer", "an integer",
                                        "a number", "a text",        "bytes",      "a list",
                                        "a map",    "an error",      "a time",     "a duration"};
    if (sl_value_is_none(value)) return "nothing";
    return texts[sl_value_kind(value)];
}

void sl_spec_hint_nearest(struct sl_diag *diag, struct sl_slice name, const char *const *names,
                          size_t count)
{
    char text[SPEC_SHOWN_MAX + 1];
    if (diag == NULL || name.size > SPEC_SHOWN_MAX) return;
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(name));
    const char *nearest = sl_diag_nearest(text, names, count);
    if (nearest != NULL) sl_diag_hint(diag, "did you mean \"%s\"?", nearest);
}

void spec_fields_check(struct spec_decode *decode, struct sl_value map, const char *const *names,
                       size_t count, const char *where)
{
    sl_assert(sl_value_is(map, SL_VALUE_MAP));
    sl_assert(names != NULL);
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        bool known = false;
        for (size_t j = 0; j < count && !known; j++) known = sl_slice_eq_str(key, names[j]);
        if (known) continue;
        struct sl_diag *diag = spec_error(decode, "unknown_field", sl_value_key_pos(map, i),
                                          "unknown field \"%.*s\" in %s", SHOWN(key), where);
        sl_spec_hint_nearest(diag, key, names, count);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Fields                                                                                       */

static bool string_decode(struct spec_decode *decode, struct sl_value value, const char *field,
                          struct sl_slice *ret)
{
    sl_assert(!sl_value_is_none(value));
    sl_assert(ret != NULL);
    if (sl_value_is(value, SL_VALUE_STRING)) {
        *ret = sl_value_slice(value);
        return true;
    }
    struct sl_diag *diag =
        spec_error(decode, "wrong_type", sl_value_pos(value), "\"%s\" must be a text, not %s",
                   field, sl_spec_kind_text(value));
    bool scalar = sl_value_is_number(value) || sl_value_is(value, SL_VALUE_BOOL);
    if (scalar) sl_diag_hint(diag, "put it in quotes to make it a text");
    return false;
}

bool spec_name_decode(struct spec_decode *decode, struct sl_value value, const char *field,
                      struct sl_slice *ret)
{
    sl_assert(decode != NULL);
    sl_assert(ret != NULL);
    struct sl_slice name;
    if (sl_value_is_none(value)) return false;
    if (!string_decode(decode, value, field, &name)) return false;
    if (name.size == 0 || name.size > SL_SPEC_NAME_MAX) {
        (void)spec_error(decode, "bad_name", sl_value_pos(value),
                         "\"%s\" has %zu bytes, expected 1 to %d", field, name.size,
                         SL_SPEC_NAME_MAX);
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] >= 0x20 && name.data[i] != 0x7F) continue;
        (void)spec_error(decode, "bad_name", sl_value_pos(value),
                         "\"%s\" contains a control character", field);
        return false;
    }
    *ret = name;
    return true;
}

static bool is_uuid(struct sl_slice text)
{
    if (text.size != 36) return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        if (dash ? c != '-' : !hex) return false;
    }
    return true;
}

bool spec_id_decode(struct spec_decode *decode, struct sl_value value, struct sl_slice *ret)
{
    sl_assert(decode != NULL);
    sl_assert(ret != NULL);
    struct sl_slice id;
    if (sl_value_is_none(value) || !string_decode(decode, value, "id", &id)) return false;
    if (!is_uuid(id)) {
        struct sl_diag *diag =
            spec_error(decode, "bad_id", sl_value_pos(value), "\"%.*s\" is not a UUID", SHOWN(id));
        sl_diag_hint(diag, "leave \"id\" out: a spec with a \"name\" needs none");
        return false;
    }
    *ret = id;
    return true;
}

static void kind_decode(struct spec_decode *decode, struct sl_value value)
{
    sl_assert(sl_value_is(value, SL_VALUE_MAP));
    struct sl_value kind = sl_value_get_str(value, "kind");
    if (!sl_value_is_none(kind)) {
        (void)spec_name_decode(decode, kind, "kind", &decode->spec->kind);
        return;
    }
    struct sl_diag *diag =
        spec_error(decode, "missing_field", sl_value_pos(value), "a spec needs \"kind\"");
    static const char *const names[] = {"kind"};
    for (uint32_t i = 0; diag != NULL && i < sl_value_count(value); i++) {
        sl_spec_hint_nearest(diag, sl_value_key_at(value, i), names, 1);
        if (diag->hint[0] == '\0') continue;
        diag->pos = sl_value_key_pos(value, i);
        return;
    }
}

static void annotations_decode(struct spec_decode *decode, struct sl_value map)
{
    sl_assert(decode->spec != NULL);
    if (sl_value_is_none(map)) return;
    if (!sl_value_is(map, SL_VALUE_MAP)) {
        (void)spec_error(decode, "wrong_type", sl_value_pos(map),
                         "\"annotations\" must be a map of texts, not %s", sl_spec_kind_text(map));
        return;
    }
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        struct sl_slice text;
        char field[SPEC_SHOWN_MAX + 1];
        (void)snprintf(field, sizeof(field), "%.*s", SHOWN(key));
        (void)string_decode(decode, sl_value_map_at(map, i), field, &text);
    }
    decode->spec->annotations = map;
}

static int fields_decode(struct spec_decode *decode, struct sl_value value)
{
    sl_assert(decode->spec != NULL);
    sl_assert(sl_value_is(value, SL_VALUE_MAP));
    struct sl_spec *spec = decode->spec;
    kind_decode(decode, value);
    (void)spec_id_decode(decode, sl_value_get_str(value, "id"), &spec->id);
    (void)spec_name_decode(decode, sl_value_get_str(value, "namespace"), "namespace",
                           &spec->name_space);
    (void)spec_name_decode(decode, sl_value_get_str(value, "name"), "name", &spec->name);
    annotations_decode(decode, sl_value_get_str(value, "annotations"));
    int result = spec_env_decode(decode, sl_value_get_str(value, "env"));
    if (result == 0) result = spec_ports_decode(decode, sl_value_get_str(value, "ports"));
    return result;
}

/* ------------------------------------------------------------------------------------------ */
/* The tree                                                                                     */

struct spec_work {
    struct sl_spec *parent; /* NULL: the root */
    struct sl_value value;
    uint32_t depth;
};

struct spec_walk {
    struct spec_work *items; /* array of cap, a queue: `next` is done first */
    size_t next;
    size_t count;
    size_t cap;
    struct sl_spec *root;
    const char *file;
    struct sl_spec_texts *texts;
    struct sl_diags *diags;
};

static int work_push(struct spec_walk *walk, struct spec_work work)
{
    sl_assert(walk->count <= walk->cap);
    sl_assert(work.depth <= SL_SPEC_BLOCK_DEPTH_MAX);
    if (walk->count == walk->cap) {
        size_t cap = walk->cap ? walk->cap * 2 : 16;
        struct spec_work *items = realloc(walk->items, cap * sizeof(*items));
        if (items == NULL) return -ENOMEM;
        walk->items = items;
        walk->cap = cap;
    }
    walk->items[walk->count++] = work;
    return 0;
}

/* Queue the children of the field `specs`. */
static int children_push(struct spec_walk *walk, struct sl_spec *spec, uint32_t depth)
{
    sl_assert(spec != NULL);
    sl_assert(spec->children == NULL);
    struct sl_value specs = sl_value_get_str(spec->value, "specs");
    if (sl_value_is_none(specs)) return 0;
    struct sl_pos pos = sl_value_pos(specs);
    if (!sl_value_is(specs, SL_VALUE_LIST)) {
        (void)sl_spec_error(walk->file, walk->diags, "wrong_type", pos,
                            "\"specs\" must be a list of specs, not %s", sl_spec_kind_text(specs));
        return 0;
    }
    if (depth == SL_SPEC_BLOCK_DEPTH_MAX) {
        (void)sl_spec_error(walk->file, walk->diags, "too_deep", pos,
                            "blocks nested deeper than %d levels", SL_SPEC_BLOCK_DEPTH_MAX);
        return 0;
    }
    uint32_t count = sl_value_count(specs);
    if (walk->count + count > SL_SPEC_NODES_MAX) {
        (void)sl_spec_error(walk->file, walk->diags, "too_many", pos,
                            "a block of more than %d specs", SL_SPEC_NODES_MAX);
        return 0;
    }
    spec->children = calloc(count ? count : 1, sizeof(struct sl_spec *));
    if (spec->children == NULL) return -ENOMEM;
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = work_push(walk, (struct spec_work){spec, sl_value_list_at(specs, i), depth + 1});
    }
    return result;
}

static void spec_attach(struct spec_walk *walk, struct sl_spec *parent, struct sl_spec *spec)
{
    sl_assert(spec != NULL);
    sl_assert(parent != NULL || walk->root == NULL);
    if (parent == NULL) {
        walk->root = spec;
    } else {
        parent->children[parent->children_count++] = spec;
    }
}

static int work_do(struct spec_walk *walk, struct spec_work work)
{
    if (!sl_value_is(work.value, SL_VALUE_MAP)) {
        (void)sl_spec_error(walk->file, walk->diags, "wrong_type", sl_value_pos(work.value),
                            "a spec must be a map, not %s", sl_spec_kind_text(work.value));
        return 0;
    }
    struct sl_spec *spec = calloc(1, sizeof(*spec));
    if (spec == NULL) return -ENOMEM;
    spec_attach(walk, work.parent, spec);
    spec->value = sl_value_ref(work.value);
    spec->pos = sl_value_pos(work.value);
    spec->annotations = sl_value_none();
    spec->file = sl_slice_dup_str(sl_slice_from_str(walk->file));
    if (spec->file == NULL) return -ENOMEM;
    if (walk->texts != NULL) spec->texts = sl_spec_texts_ref(walk->texts);
    struct spec_decode decode = {spec, walk->file, walk->diags};
    int result = fields_decode(&decode, work.value);
    if (result == 0) result = children_push(walk, spec, work.depth);
    return result;
}

int sl_spec_decode(struct sl_value value, const char *file, struct sl_spec_texts *texts,
                   struct sl_spec **ret_spec, struct sl_diags *diags)
{
    sl_assert(ret_spec != NULL);
    struct sl_spec *spec = NULL;
    int result = sl_spec_decode_all(value, file, texts, &spec, diags);
    if (result == 0) {
        *ret_spec = spec;
    } else {
        (void)sl_spec_free(spec);
    }
    return result;
}

int sl_spec_decode_all(struct sl_value value, const char *file, struct sl_spec_texts *texts,
                       struct sl_spec **ret_spec, struct sl_diags *diags)
{
    sl_assert(ret_spec != NULL);
    sl_assert(diags != NULL);
    sl_assert(!sl_value_is_none(value));
    size_t errors_before = diags->errors_count;
    struct spec_walk walk = {.file = file ? file : "", .texts = texts, .diags = diags};
    int result = work_push(&walk, (struct spec_work){NULL, value, 0});
    while (result == 0 && walk.next < walk.count) result = work_do(&walk, walk.items[walk.next++]);
    free(walk.items);
    if (result == 0 && diags->errors_count > errors_before) result = -EINVAL;
    if (result == 0 || result == -EINVAL) {
        if (walk.root != NULL) walk.root->broken = result < 0;
        *ret_spec = walk.root;
    } else {
        (void)sl_spec_free(walk.root);
    }
    return result;
}

/* Free one spec, not its children. */
static void spec_free_one(struct sl_spec *spec)
{
    sl_assert(spec->children_count == 0);
    sl_value_unref(spec->value);
    free((char *)spec->file);
    free(spec->env);
    free(spec->ports);
    free(spec->edges);
    free(spec->children);
    (void)sl_spec_texts_unref(spec->texts);
    free(spec);
}

struct sl_spec *sl_spec_free(struct sl_spec *spec)
{
    struct sl_spec *path[SL_SPEC_BLOCK_DEPTH_MAX + 1];
    uint32_t depth = 0;
    if (spec == NULL) return NULL;
    path[0] = spec;
    for (;;) {
        struct sl_spec *top = path[depth];
        if (top->children_count > 0) {
            sl_assert(depth < SL_SPEC_BLOCK_DEPTH_MAX);
            path[++depth] = top->children[--top->children_count];
            continue;
        }
        spec_free_one(top);
        if (depth == 0) return NULL;
        depth--;
    }
}

bool sl_spec_is_common(struct sl_slice field)
{
    for (size_t i = 0; i < COMMON_FIELDS_COUNT; i++) {
        if (sl_slice_eq_str(field, common_fields[i])) return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ */
/* Places                                                                                       */

struct sl_spec_texts *sl_spec_texts_new(size_t count)
{
    struct sl_spec_texts *texts = calloc(1, sizeof(*texts) + count * sizeof(texts->items[0]));
    if (texts == NULL) return NULL;
    texts->refs = 1;
    texts->count = count;
    return texts;
}

struct sl_spec_texts *sl_spec_texts_ref(struct sl_spec_texts *texts)
{
    sl_assert(texts != NULL);
    texts->refs++;
    return texts;
}

struct sl_spec_texts *sl_spec_texts_unref(struct sl_spec_texts *texts)
{
    if (texts == NULL) return NULL;
    sl_assert(texts->refs > 0);
    if (--texts->refs > 0) return NULL;
    free(texts->source);
    free(texts);
    return NULL;
}

struct sl_spec_text sl_spec_text_get(const struct sl_spec *spec, struct sl_value value)
{
    sl_assert(spec != NULL);
    struct sl_pos pos = sl_value_pos(value);
    size_t count = spec->texts != NULL ? spec->texts->count : 0;
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sl_pos at = spec->texts->items[middle].pos;
        if (at.line < pos.line || (at.line == pos.line && at.column < pos.column)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < count) {
        struct sl_pos at = spec->texts->items[low].pos;
        if (at.line == pos.line && at.column == pos.column) return spec->texts->items[low];
    }
    return (struct sl_spec_text){.pos = pos, .text = pos};
}

struct sl_pos sl_spec_locate(const struct sl_spec *spec, struct sl_value value, uint32_t line,
                             uint32_t column)
{
    sl_assert(spec != NULL);
    struct sl_spec_text text = sl_spec_text_get(spec, value);
    if (text.text.line == 0 || line == 0) return text.text;
    if (column == 0) column = 1;
    bool exact = spec->texts != NULL && spec->texts->locate != NULL &&
                 (text.text.line != text.pos.line || text.text.column != text.pos.column);
    if (exact && sl_value_is(value, SL_VALUE_STRING)) {
        return spec->texts->locate(spec->texts, &text, sl_value_slice(value), line, column);
    }
    if (line == 1) return (struct sl_pos){text.text.line, text.text.column + column - 1};
    if (text.indent == SL_SPEC_ONE_LINE) return text.text;
    return (struct sl_pos){text.text.line + line - 1, text.indent + column};
}
