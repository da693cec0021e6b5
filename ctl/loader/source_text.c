/* SPDX-License-Identifier: MIT */
/* Texts to specs: documents, lists, the text of each spec by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/yaml/yaml.h"
#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "core/base/limit.h"
#include "ctl/loader/source.h"

/* The columns before a spec are stored with it as spaces; beyond this, a line holds many specs. */
enum { TEXT_COLUMN_MAX = 256 };

/* One text being read. */
struct source_read {
    struct sl_slice text;
    const char *file;
    const char *name; /* for origins */
    uint32_t line;
    struct sl_spec_texts *texts;
    uint32_t number; /* specs seen */
    size_t scan_off; /* a cursor: byte offset of the start of line scan_line */
    uint32_t scan_line;
    struct sl_specs *specs;
    struct sl_diags *diags;
};

/* ------------------------------------------------------------------------------------------ */
/* The text of one spec                                                                         */

static size_t line_end(struct sl_slice text, size_t at)
{
    while (at < text.size && text.data[at] != '\n' && text.data[at] != '\r') at++;
    if (at < text.size && text.data[at] == '\r' && at + 1 < text.size &&
        text.data[at + 1] == '\n') {
        at++;
    }
    return at < text.size ? at + 1 : at;
}

/* Byte offset of the start of a line; lines are asked for in order. */
static size_t line_offset(struct source_read *read, uint32_t line)
{
    while (read->scan_line < line && read->scan_off < read->text.size) {
        read->scan_off = line_end(read->text, read->scan_off);
        read->scan_line++;
    }
    return read->scan_off;
}

static bool is_marker(struct sl_slice text, size_t at)
{
    if (text.size - at < 3) return false;
    bool marker = memcmp(text.data + at, "---", 3) == 0 || memcmp(text.data + at, "...", 3) == 0;
    uint8_t next = at + 3 < text.size ? text.data[at + 3] : '\n';
    return marker && (next == ' ' || next == '\n' || next == '\r' || next == '\t');
}

/* The end of the document that goes on at `at`: the next line that is --- or ... */
static size_t document_end(struct sl_slice text, size_t at)
{
    for (at = line_end(text, at); at < text.size; at = line_end(text, at)) {
        if (is_marker(text, at)) break;
    }
    return at;
}

/* True if the text alone reads as `value`. */
static bool reads_as(const char *text, size_t size, struct sl_value value)
{
    struct sl_value again = sl_value_none();
    if (sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, &again, NULL) != 0) return false;
    bool equal = sl_value_equal(again, value);
    sl_value_unref(again);
    return equal;
}

/* Where the spec's text ends at the latest: before the next one, or with the document. */
static size_t item_end(const struct source_read *read, size_t start, struct sl_pos pos,
                       struct sl_pos next)
{
    struct source_read ahead = *read;
    if (next.line == 0) return document_end(read->text, start);
    if (next.line == pos.line) return start + next.column - 1;
    return line_offset(&ahead, next.line);
}

/*
 * Cut the spec's text out of the file. `next` is the place of the next spec, line 0 for the last of
 * its document. What stands before the spec on its first line (a dash) becomes spaces.
 */
static int item_cut(struct source_read *read, struct sl_specs_item *item, struct sl_pos next)
{
    struct sl_pos pos = item->spec->pos;
    item->line = pos.line;
    if (pos.line < read->line || pos.column > TEXT_COLUMN_MAX) return 0;
    size_t start = line_offset(read, pos.line);
    size_t size = item_end(read, start, pos, next) - start;
    if (size < pos.column) return 0;
    const uint8_t *from = read->text.data + start;
    if (from[pos.column - 1] == '{') {
        const uint8_t *brace = memrchr(from, '}', size);
        if (brace != NULL) size = (size_t)(brace - from) + 1;
    }
    char *text = malloc(size + 1);
    if (text == NULL) return -ENOMEM;
    memcpy(text, from, size);
    text[size] = '\0';
    memset(text, ' ', pos.column - 1);
    if (reads_as(text, size, item->spec->value)) {
        item->text = text;
        item->text_size = size;
    } else {
        free(text);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Specs                                                                                        */

static struct sl_specs_item *item_push(struct source_read *read)
{
    struct sl_specs *specs = read->specs;
    if (specs->count == specs->cap) {
        size_t cap = specs->cap ? specs->cap * 2 : 16;
        struct sl_specs_item *items = realloc(specs->items, cap * sizeof(*items));
        if (items == NULL) return NULL;
        specs->items = items;
        specs->cap = cap;
    }
    struct sl_specs_item *item = &specs->items[specs->count];
    *item = (struct sl_specs_item){0};
    size_t size = strlen(read->name) + 16;
    item->origin = malloc(size);
    if (item->origin == NULL) return NULL;
    (void)snprintf(item->origin, size, "%s#%u", read->name, read->number);
    specs->count++;
    return item;
}

/* A name, id or namespace that is written, and was not understood. */
static bool is_unnamed(const struct sl_spec *spec)
{
    bool name = !sl_value_is_none(sl_value_get_str(spec->value, "name"));
    bool id = !sl_value_is_none(sl_value_get_str(spec->value, "id"));
    bool space = !sl_value_is_none(sl_value_get_str(spec->value, "namespace"));
    return (name && spec->name.size == 0) || (id && spec->id.size == 0) ||
           (space && spec->name_space.size == 0);
}

/* Decode one spec. `next` as in item_cut. */
static int spec_read(struct source_read *read, struct sl_value value, struct sl_pos next)
{
    struct sl_spec *spec = NULL;
    read->number++;
    size_t errors_before = read->diags->errors_count;
    int result = sl_spec_decode_all(value, read->file, read->texts, &spec, read->diags);
    if (result == -EINVAL && (spec == NULL || !read->specs->keep_broken)) {
        (void)sl_spec_free(spec);
        return 0; /* told; go on with the next */
    }
    if (result < 0 && result != -EINVAL) return result;
    if (!is_unnamed(spec)) read->specs->errors_count += read->diags->errors_count - errors_before;
    struct sl_specs_item *item = item_push(read);
    if (item == NULL) {
        (void)sl_spec_free(spec);
        return -ENOMEM;
    }
    item->spec = spec;
    return spec->broken ? 0 : item_cut(read, item, next);
}

static int document_read(struct source_read *read, struct sl_value value)
{
    if (sl_value_is(value, SL_VALUE_NULL)) return 0;
    struct sl_pos last = {0, 0};
    if (!sl_value_is(value, SL_VALUE_LIST)) return spec_read(read, value, last);
    uint32_t count = sl_value_count(value);
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        struct sl_pos next = last;
        if (i + 1 < count) next = sl_value_pos(sl_value_list_at(value, i + 1));
        result = spec_read(read, sl_value_list_at(value, i), next);
    }
    return result;
}

/* Byte offset of a place in what was read. */
static size_t place_offset(const struct sl_spec_texts *texts, struct sl_pos pos)
{
    struct source_read read = {.text = sl_slice_make(texts->source, texts->source_size),
                               .line = texts->line,
                               .scan_line = texts->line};
    if (sl_slice_has_prefix(read.text, SL_SLICE("\xEF\xBB\xBF"))) read.scan_off = 3;
    return line_offset(&read, pos.line) + pos.column - 1;
}

/* sl_spec_locate_fn: look at the source again. Mistakes are rare, so nothing is prepared. */
static struct sl_pos text_locate(const struct sl_spec_texts *texts, const struct sl_spec_text *text,
                                 struct sl_slice string, uint32_t line, uint32_t column)
{
    struct sl_yaml_text entry = {
        .pos = text->pos,
        .text = text->text,
        .offset = (uint32_t)place_offset(texts, text->pos),
        .indent = text->indent,
        .style = (enum sl_yaml_style)text->style,
    };
    struct sl_slice source = sl_slice_make(texts->source, texts->source_size);
    return sl_yaml_locate(source, &entry, string, line, column);
}

/* A table of `count` texts that keeps the source. */
static struct sl_spec_texts *texts_new(const struct source_read *read, size_t count)
{
    struct sl_spec_texts *texts = sl_spec_texts_new(count);
    if (texts == NULL) return NULL;
    texts->line = read->line;
    texts->locate = text_locate;
    texts->source = sl_slice_dup_str(read->text);
    texts->source_size = read->text.size;
    return texts->source != NULL ? texts : sl_spec_texts_unref(texts);
}

/* How strings were written, as the specs want it. */
static struct sl_spec_texts *texts_make(const struct source_read *read, const struct sl_yaml *yaml)
{
    struct sl_spec_texts *texts = texts_new(read, yaml->texts_count);
    if (texts == NULL) return NULL;
    for (size_t i = 0; i < yaml->texts_count; i++) {
        const struct sl_yaml_text *from = &yaml->texts[i];
        uint32_t indent = from->lines == 1 ? SL_SPEC_ONE_LINE : from->indent;
        texts->items[i] = (struct sl_spec_text){from->pos, from->text, indent, from->style};
    }
    return texts;
}

/* The text does not even parse: whoever mends that will see what is wrong in the rest. */
static void unread_tell(const struct source_read *read, size_t count_before)
{
    static const char note[] = "the rest of the file was not looked at";
    struct sl_diags *diags = read->diags;
    if (diags->count == count_before) return;
    struct sl_diag *last = &diags->items[diags->count - 1];
    size_t used = strlen(last->hint);
    (void)snprintf(last->hint + used, sizeof(last->hint) - used, "%s%s", used > 0 ? "; " : "",
                   note);
}

static int yaml_read(struct source_read *read)
{
    struct sl_yaml yaml = {0};
    size_t count_before = read->diags->count;
    int result = sl_yaml_parse_part(read->text, read->file, read->line, NULL, SL_YAML_TAGS_STRICT,
                                    &yaml, read->diags);
    if (result == -EINVAL) {
        unread_tell(read, count_before);
        return 0;
    }
    if (result < 0) return result;
    read->texts = texts_make(read, &yaml);
    if (read->texts == NULL) result = -ENOMEM;
    for (size_t i = 0; i < yaml.docs_count && result == 0; i++) {
        result = document_read(read, yaml.docs[i].value);
    }
    read->texts = sl_spec_texts_unref(read->texts);
    sl_yaml_fini(&yaml);
    return result;
}

static int text_order(const void *a, const void *b)
{
    struct sl_pos left = ((const struct sl_spec_text *)a)->pos;
    struct sl_pos right = ((const struct sl_spec_text *)b)->pos;
    if (left.line != right.line) return left.line < right.line ? -1 : 1;
    return (left.column > right.column) - (left.column < right.column);
}

/* Every string of a JSON text stands in quotes on one line. */
static struct sl_spec_texts *json_texts_make(const struct source_read *read,
                                             const struct sl_buf *buf)
{
    size_t count = 0;
    for (uint32_t i = 0; buf != NULL && i < buf->cells_count; i++) {
        count += buf->cells[i].kind == SL_VALUE_STRING;
    }
    struct sl_spec_texts *texts = texts_new(read, count);
    count = 0;
    for (uint32_t i = 0; texts != NULL && buf != NULL && i < buf->cells_count; i++) {
        if (buf->cells[i].kind != SL_VALUE_STRING) continue;
        struct sl_pos pos = buf->pos[i];
        struct sl_pos text = {pos.line, pos.column + 1};
        texts->items[count++] = (struct sl_spec_text){pos, text, SL_SPEC_ONE_LINE, SL_YAML_DOUBLE};
    }
    if (count > 0) qsort(texts->items, count, sizeof(texts->items[0]), text_order);
    return texts;
}

static int json_read(struct source_read *read)
{
    struct sl_value value = sl_value_none();
    struct sl_diag diag = {0};
    int result = sl_json_parse(read->text, NULL, NULL, SL_JSON_POSITIONS, &value, &diag);
    if (result == -EINVAL || result == -E2BIG) {
        size_t count_before = read->diags->count;
        sl_diag_file(&diag, read->file);
        (void)sl_diags_push(read->diags, &diag);
        unread_tell(read, count_before);
        return 0;
    }
    if (result < 0) return result;
    read->texts = json_texts_make(read, value.buf);
    result = read->texts != NULL ? document_read(read, value) : -ENOMEM;
    read->texts = sl_spec_texts_unref(read->texts);
    sl_value_unref(value);
    return result;
}

/*
 * JSON if it is called so; if nothing is said, if it begins like JSON and reads as JSON: YAML's
 * flow style begins the same way. A part of a file keeps its lines only as YAML.
 */
static bool is_json(const struct source_read *read, enum sl_specs_format format)
{
    size_t at = 0;
    if (format != SL_SPECS_AUTO || read->line > 1) return format == SL_SPECS_JSON;
    while (at < read->text.size && strchr(" \t\r\n", read->text.data[at]) != NULL) at++;
    if (at == read->text.size || strchr("[{", read->text.data[at]) == NULL) return false;
    struct sl_value value = sl_value_none();
    bool json = sl_json_parse(read->text, NULL, NULL, 0, &value, NULL) == 0;
    if (json) sl_value_unref(value);
    return json;
}

static bool is_blank(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return false;
    }
    return true;
}

int sl_specs_read_text(struct sl_slice text, const struct sl_specs_place *place,
                       struct sl_specs *specs, struct sl_diags *diags)
{
    sl_assert(place != NULL);
    sl_assert(place->file != NULL);
    sl_assert(specs != NULL);
    sl_assert(diags != NULL);
    size_t errors_before = diags->errors_count;
    size_t first = diags->count;
    const char *slash = strrchr(place->file, '/');
    const char *name = slash ? slash + 1 : place->file;
    uint32_t line = place->line > 0 ? place->line : 1;
    struct source_read read = {.text = text,
                               .file = place->file,
                               .name = place->name ? place->name : name,
                               .line = line,
                               .scan_line = line,
                               .specs = specs,
                               .diags = diags};
    int result = 0;
    if (is_blank(text)) {
        struct sl_diag *diag = sl_spec_error(place->file, diags, "empty_file",
                                             (struct sl_pos){0, 0}, "the file is empty");
        sl_diag_hint(diag, "a file without specs holds [] or a comment; is it being written?");
    } else {
        result = is_json(&read, place->format) ? json_read(&read) : yaml_read(&read);
    }
    sl_diags_sort(diags, first);
    if (result == 0 && diags->errors_count > errors_before) result = -EINVAL;
    return result;
}

/* ------------------------------------------------------------------------------------------ */
/* Names                                                                                        */

/* A set of items by namespace and name: open addressing, index + 1, 0 is free. */
static uint32_t name_hash(struct sl_slice name_space, struct sl_slice name)
{
    uint64_t hash = sl_hash64(name_space.data, name_space.size) * SL_HASH_MULTIPLIER;
    return (uint32_t)(hash ^ sl_hash64(name.data, name.size));
}

static struct sl_slice space_of(const struct sl_spec *spec, const char *name_space)
{
    return spec->name_space.size > 0 ? spec->name_space : sl_slice_from_str(name_space);
}

static void report_twice(const struct sl_spec *first, const struct sl_spec *second,
                         struct sl_diags *diags)
{
    struct sl_pos pos = sl_value_pos(sl_value_get_str(second->value, "name"));
    struct sl_pos other = sl_value_pos(sl_value_get_str(first->value, "name"));
    struct sl_diag *diag =
        sl_spec_error(second->file, diags, "duplicate_name", pos,
                      "the name \"%.*s\" stands twice, first at %s:%u:%u",
                      SL_SLICE_FMT(second->name), first->file, other.line, other.column);
    sl_diag_hint(diag, "names are unique in a namespace");
}

int sl_specs_check_names(const struct sl_specs *specs, const char *name_space,
                         struct sl_diags *diags)
{
    size_t errors_before = diags->errors_count;
    size_t size = 16;
    while (size < specs->count * 2) size *= 2;
    uint32_t *slots = calloc(size, sizeof(*slots));
    if (slots == NULL) return -ENOMEM;
    for (size_t i = 0; i < specs->count; i++) {
        const struct sl_spec *spec = specs->items[i].spec;
        if (spec == NULL || spec->name.size == 0) continue;
        struct sl_slice space = space_of(spec, name_space);
        size_t slot = name_hash(space, spec->name) & (size - 1);
        for (; slots[slot] != 0; slot = (slot + 1) & (size - 1)) {
            const struct sl_spec *other = specs->items[slots[slot] - 1].spec;
            if (!sl_slice_eq(other->name, spec->name)) continue;
            if (sl_slice_eq(space_of(other, name_space), space)) break;
        }
        if (slots[slot] != 0) {
            report_twice(specs->items[slots[slot] - 1].spec, spec, diags);
        } else {
            slots[slot] = (uint32_t)i + 1;
        }
    }
    free(slots);
    return diags->errors_count > errors_before ? -EINVAL : 0;
}

struct sl_spec *sl_specs_take(struct sl_specs *specs, size_t index)
{
    sl_assert(index < specs->count);
    struct sl_spec *spec = specs->items[index].spec;
    specs->items[index].spec = NULL;
    return spec;
}

void sl_specs_fini(struct sl_specs *specs)
{
    if (specs == NULL) return;
    for (size_t i = 0; i < specs->count; i++) {
        (void)sl_spec_free(specs->items[i].spec);
        free(specs->items[i].origin);
        free(specs->items[i].text);
    }
    free(specs->items);
    *specs = (struct sl_specs){0};
}
