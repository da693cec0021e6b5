/* SPDX-License-Identifier: MIT */
#include "ctl/cli/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/mem/out.h"
#include "ctl/cli/table.h"

enum { VALUE_SHOWN_MAX = 160 };

const char *cli_effect_text(enum sl_change_effect effect)
{
    switch (effect) {
    case SL_EFFECT_CREATED: return "created";
    case SL_EFFECT_UPDATED: return "updated";
    case SL_EFFECT_DELETED: return "deleted";
    default: return "unchanged";
    }
}

static const char *kind_text(const struct sl_object *object)
{
    return object->type == SL_OBJECT_SECRET ? "secret" : object->kind;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void key_string(struct sl_builder *b, const char *key, const char *text)
{
    sl_build_key_str(b, key);
    sl_build_string_str(b, text);
}

static void object_build(struct sl_builder *b, enum sl_change_effect effect,
                         const struct sl_object *object)
{
    key_string(b, "effect", cli_effect_text(effect));
    if (object == NULL) return;
    key_string(b, "type", object->type == SL_OBJECT_SECRET ? "secret" : "spec");
    key_string(b, "id", object->id);
    key_string(b, "namespace", object->namespace);
    if (object->type == SL_OBJECT_SPEC) key_string(b, "kind", object->kind);
    key_string(b, "name", object->name);
}

static void builder_print(struct sl_builder *b)
{
    struct sl_value value;
    if (sl_builder_finish(b, &value) < 0) return;
    cli_print_json(value);
    sl_value_unref(value);
}

static void commit_json(const struct sl_commit *commit)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "revision");
    sl_build_uint(&b, commit->revision);
    sl_build_key_str(&b, "changed");
    sl_build_uint(&b, commit->changed);
    sl_build_key_str(&b, "changes");
    sl_build_list_begin(&b);
    for (size_t i = 0; i < commit->count; i++) {
        const struct sl_commit_item *item = &commit->items[i];
        sl_build_map_begin(&b);
        object_build(&b, item->effect, item->after != NULL ? item->after : item->before);
        sl_build_map_end(&b);
    }
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    builder_print(&b);
}

static void field_build(struct sl_builder *b, const struct sl_diff_field *field)
{
    sl_build_map_begin(b);
    key_string(b, "path", field->path);
    if (!sl_value_is_none(field->before)) {
        sl_build_key_str(b, "before");
        sl_build_value(b, field->before);
    }
    if (!sl_value_is_none(field->after)) {
        sl_build_key_str(b, "after");
        sl_build_value(b, field->after);
    }
    sl_build_map_end(b);
}

static void diff_json(const struct sl_diff *diff)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "from");
    sl_build_uint(&b, diff->from);
    sl_build_key_str(&b, "to");
    sl_build_uint(&b, diff->to);
    sl_build_key_str(&b, "changes");
    sl_build_list_begin(&b);
    for (size_t i = 0; i < diff->count; i++) {
        const struct sl_diff_item *item = &diff->items[i];
        sl_build_map_begin(&b);
        object_build(&b, item->effect, item->after != NULL ? item->after : item->before);
        if (item->effect == SL_EFFECT_UPDATED) {
            sl_build_key_str(&b, "fields");
            sl_build_list_begin(&b);
            for (size_t f = 0; f < item->fields_count; f++) field_build(&b, &item->fields[f]);
            sl_build_list_end(&b);
        }
        sl_build_map_end(&b);
    }
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    builder_print(&b);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void commit_text(const struct sl_commit *commit)
{
    static const char *const heading[] = {"EFFECT", "KIND", "NAMESPACE", "NAME", "ID"};
    struct cli_table table;
    size_t counts[SL_EFFECT_DELETED + 1] = {0};
    cli_table_init(&table, 5, heading);
    for (size_t i = 0; i < commit->count; i++) {
        const struct sl_commit_item *item = &commit->items[i];
        const struct sl_object *object = item->after != NULL ? item->after : item->before;
        counts[item->effect]++;
        if (object == NULL) continue;
        cli_table_add(&table,
                      (const char *const[]){cli_effect_text(item->effect), kind_text(object),
                                            object->namespace, object->name, object->id});
    }
    if (table.rows > 1) cli_table_print(&table, stdout);
    cli_table_fini(&table);
    (void)printf("revision %llu:", (unsigned long long)commit->revision);
    if (commit->changed == 0) (void)printf(" nothing changed");
    const char *comma = "";
    for (int effect = SL_EFFECT_CREATED; effect <= SL_EFFECT_DELETED; effect++) {
        if (counts[effect] == 0) continue;
        (void)printf("%s %zu %s", comma, counts[effect], cli_effect_text(effect));
        comma = ",";
    }
    if (commit->changed > 0 && counts[SL_EFFECT_NONE] > 0) {
        (void)printf("%s %zu unchanged", comma, counts[SL_EFFECT_NONE]);
    }
    (void)putchar('\n');
}

static bool has_lines(struct sl_value value)
{
    if (sl_value_is_none(value) || !sl_value_is(value, SL_VALUE_STRING)) return false;
    struct sl_slice text = sl_value_slice(value);
    return memchr(text.data, '\n', text.size) != NULL;
}

static void value_text(struct sl_value value)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    if (sl_json_write(value, 0, &out) == 0) {
        size_t shown = out.size < VALUE_SHOWN_MAX ? out.size : VALUE_SHOWN_MAX;
        /* Not in the middle of a character. */
        while (shown < out.size && shown > 0 && (out.data[shown] & 0xc0) == 0x80) shown--;
        (void)fwrite(out.data, 1, shown, stdout);
        if (shown < out.size) (void)fputs("…", stdout);
    }
    sl_out_fini(&out);
}

/* The next line of a text, without its end. */
static struct sl_slice line_take(struct sl_slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end != NULL ? (size_t)(end - text->data) : text->size;
    struct sl_slice line = {text->data, size};
    size_t used = end != NULL ? size + 1 : size;
    text->data += used;
    text->size -= used;
    return line;
}

/* Bytes of the common end of two texts, whole lines only. */
static size_t common_end(struct sl_slice a, struct sl_slice b)
{
    size_t size = 0;
    size_t whole = 0;
    while (size < a.size && size < b.size &&
           a.data[a.size - 1 - size] == b.data[b.size - 1 - size]) {
        size++;
        if (size == a.size || a.data[a.size - 1 - size] == '\n') whole = size;
    }
    bool b_whole = whole == b.size || b.data[b.size - 1 - whole] == '\n';
    return b_whole ? whole : 0;
}

static void lines_print(char sign, struct sl_slice text)
{
    while (text.size > 0) {
        struct sl_slice line = line_take(&text);
        (void)printf("      %c %.*s\n", sign, SL_SLICE_FMT(line));
    }
}

/* Texts of several lines: the lines between what both have at their beginning and end. */
static void lines_diff(struct sl_slice before, struct sl_slice after)
{
    size_t end = common_end(before, after);
    before.size -= end;
    after.size -= end;
    for (;;) {
        struct sl_slice a = before;
        struct sl_slice b = after;
        if (a.size == 0 || b.size == 0 || !sl_slice_eq(line_take(&a), line_take(&b))) break;
        before = a;
        after = b;
    }
    lines_print('-', before);
    lines_print('+', after);
}

static void field_text(const struct sl_diff_field *field)
{
    (void)printf("    %s:", field->path);
    bool both = !sl_value_is_none(field->before) && !sl_value_is_none(field->after);
    if (both && (has_lines(field->before) || has_lines(field->after)) &&
        sl_value_is(field->before, SL_VALUE_STRING) && sl_value_is(field->after, SL_VALUE_STRING)) {
        (void)putchar('\n');
        lines_diff(sl_value_slice(field->before), sl_value_slice(field->after));
        return;
    }
    (void)putchar(' ');
    if (!sl_value_is_none(field->before)) value_text(field->before);
    if (both) (void)fputs(" → ", stdout);
    if (!sl_value_is_none(field->after)) value_text(field->after);
    if (!both) {
        (void)printf(sl_value_is_none(field->before) ? " (added)" : " (removed)");
    }
    (void)putchar('\n');
}

static void diff_text(const struct sl_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        const struct sl_diff_item *item = &diff->items[i];
        const struct sl_object *object = item->after != NULL ? item->after : item->before;
        char sign = item->effect == SL_EFFECT_CREATED ? '+' : '~';
        if (item->effect == SL_EFFECT_DELETED) sign = '-';
        (void)printf("%c %s %s/%s\n", sign, kind_text(object), object->namespace,
                     object->name[0] ? object->name : object->id);
        for (size_t f = 0; f < item->fields_count; f++) field_text(&item->fields[f]);
        if (object->type == SL_OBJECT_SECRET && item->effect == SL_EFFECT_UPDATED &&
            item->fields_count == 0) {
            (void)printf("    (value changed)\n");
        }
    }
    if (diff->count == 0) (void)printf("no differences\n");
}

/* ---- both ------------------------------------------------------------------------------------ */

void cli_print_commit(struct cli_args *args, const struct sl_commit *commit)
{
    if (cli_is_json(args)) {
        commit_json(commit);
    } else {
        commit_text(commit);
    }
}

void cli_print_diff(struct cli_args *args, const struct sl_diff *diff)
{
    if (cli_is_json(args)) {
        diff_json(diff);
    } else {
        diff_text(diff);
    }
}

static const char *outcome_text(int result)
{
    switch (result) {
    case SL_REGISTRY_NOT_FOUND: return "it is not there";
    case SL_REGISTRY_CONFLICT: return "the id or the name is taken by another object";
    case SL_REGISTRY_STALE: return "there is a newer revision: read again, then change";
    case SL_REGISTRY_REFUSED: return "the change was refused";
    case SL_REGISTRY_GONE: return "there is no such revision, or it is no longer kept";
    case -ENOSPC: return "the disk is full";
    default: return strerror(result < 0 ? -result : EIO);
    }
}

int cli_print_outcome(struct cli_args *args, int result, const struct sl_diags *diags)
{
    if (diags->errors_count > 0) {
        (void)cli_print_diags(args, diags);
    } else {
        struct sl_diag diag = {0};
        (void)sl_diag_set(&diag, "refused", (struct sl_pos){0, 0}, "%s", outcome_text(result));
        cli_print_diag(args, &diag);
    }
    return CLI_FAILED;
}
