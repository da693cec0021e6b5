/* SPDX-License-Identifier: MIT */
/*
 * Differences between two states, down to the field. Documents are walked side by side on a stack;
 * what is a container of the same kind on both sides is gone into, everything else is compared
 * whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/history.h"
#include "ctl/registry/internal.h"

enum { DIFF_FIELDS_MAX = 1000 };

struct frame {
    struct sl_value before;
    struct sl_value after;
    uint32_t index;   /* next child: of before, then of what only after has */
    size_t path_size; /* of the container itself */
};

struct walk {
    struct sl_diff_item *item;
    size_t fields_cap;
    struct pack path; /* text of the place, without a zero byte */
    uint32_t depth;
    struct frame frames[SL_PAYLOAD_DEPTH_MAX + 1];
};

static bool is_word(struct sl_slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
                    (c >= '0' && c <= '9') || c == '[' || c == ']';
        if (!word) return false;
    }
    return key.size > 0;
}

static void path_add_key(struct pack *path, struct sl_slice key)
{
    if (is_word(key)) {
        if (path->size > 0) pack_raw(path, ".", 1);
        pack_raw(path, key.data, key.size);
        return;
    }
    pack_raw(path, "[\"", 2);
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] == '"' || key.data[i] == '\\') pack_raw(path, "\\", 1);
        pack_raw(path, &key.data[i], 1);
    }
    pack_raw(path, "\"]", 2);
}

static void path_add_index(struct pack *path, uint32_t index)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "[%u]", index);
    pack_raw(path, text, (size_t)size);
}

static int field_add(struct walk *walk, struct sl_value before, struct sl_value after)
{
    struct sl_diff_item *item = walk->item;
    if (item->fields_count == DIFF_FIELDS_MAX) return 0; /* enough for any reader */
    if (item->fields_count == walk->fields_cap) {
        size_t cap = walk->fields_cap > 0 ? walk->fields_cap * 2 : 8;
        struct sl_diff_field *fields = realloc(item->fields, cap * sizeof(*fields));
        if (fields == NULL) return -ENOMEM;
        item->fields = fields;
        walk->fields_cap = cap;
    }
    char *path = walk->path.error ? NULL : sl_slice_dup_str(pack_result(&walk->path));
    if (path == NULL) return -ENOMEM;
    item->fields[item->fields_count++] = (struct sl_diff_field){path, before, after};
    return 0;
}

static bool is_container_pair(struct sl_value before, struct sl_value after)
{
    if (sl_value_is_none(before) || sl_value_is_none(after)) return false;
    if (sl_value_kind(before) != sl_value_kind(after)) return false;
    return sl_value_is(before, SL_VALUE_MAP) || sl_value_is(before, SL_VALUE_LIST);
}

/* Compare two children at walk->path: go in, note the difference, or neither. */
static int compare_child(struct walk *walk, struct sl_value before, struct sl_value after)
{
    if (is_container_pair(before, after)) {
        if (sl_value_equal(before, after)) return 0;
        sl_assert(walk->depth <= SL_PAYLOAD_DEPTH_MAX);
        walk->frames[walk->depth++] = (struct frame){before, after, 0, walk->path.size};
        return 0;
    }
    bool both = !sl_value_is_none(before) && !sl_value_is_none(after);
    if (both && sl_value_equal(before, after)) return 0;
    return field_add(walk, before, after);
}

static int step_list(struct walk *walk, struct frame *frame)
{
    uint32_t index = frame->index++;
    struct sl_value none = sl_value_none();
    bool has_before = index < sl_value_count(frame->before);
    bool has_after = index < sl_value_count(frame->after);
    path_add_index(&walk->path, index);
    return compare_child(walk, has_before ? sl_value_list_at(frame->before, index) : none,
                         has_after ? sl_value_list_at(frame->after, index) : none);
}

static int step_map(struct walk *walk, struct frame *frame)
{
    uint32_t index = frame->index++;
    uint32_t count = sl_value_count(frame->before);
    if (index < count) {
        struct sl_slice key = sl_value_key_at(frame->before, index);
        path_add_key(&walk->path, key);
        return compare_child(walk, sl_value_map_at(frame->before, index),
                             sl_value_get(frame->after, key));
    }
    struct sl_slice key = sl_value_key_at(frame->after, index - count);
    if (!sl_value_is_none(sl_value_get(frame->before, key))) return 0; /* seen above */
    path_add_key(&walk->path, key);
    return compare_child(walk, sl_value_none(), sl_value_map_at(frame->after, index - count));
}

static bool frame_is_done(const struct frame *frame)
{
    uint32_t before = sl_value_count(frame->before);
    uint32_t after = sl_value_count(frame->after);
    if (sl_value_is(frame->before, SL_VALUE_MAP)) return frame->index >= (uint64_t)before + after;
    return frame->index >= (before > after ? before : after);
}

static int item_fields(struct sl_diff_item *item)
{
    sl_assert(item->before != NULL);
    sl_assert(item->after != NULL);
    struct walk *walk = calloc(1, sizeof(*walk));
    if (walk == NULL) return -ENOMEM;
    walk->item = item;
    int r = compare_child(walk, item->before->document, item->after->document);
    while (r == 0 && walk->depth > 0) {
        struct frame *frame = &walk->frames[walk->depth - 1];
        walk->path.size = frame->path_size;
        if (frame_is_done(frame)) {
            walk->depth--;
            continue;
        }
        bool is_map = sl_value_is(frame->before, SL_VALUE_MAP);
        r = is_map ? step_map(walk, frame) : step_list(walk, frame);
    }
    pack_fini(&walk->path);
    free(walk);
    return r;
}

/* ------------------------------------------------------------------------------------------ */

/* Fill a fresh item; it owns the objects from here on, also on failure. */
static int item_fill(struct sl_diff_item *item, struct sl_object *before, struct sl_object *after)
{
    item->before = before;
    item->after = after;
    item->effect = before == NULL  ? SL_EFFECT_CREATED
                   : after == NULL ? SL_EFFECT_DELETED
                                   : SL_EFFECT_UPDATED;
    return item->effect == SL_EFFECT_UPDATED ? item_fields(item) : 0;
}

void sl_diff_fini(struct sl_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        struct sl_diff_item *item = &diff->items[i];
        for (size_t j = 0; j < item->fields_count; j++) free(item->fields[j].path);
        free(item->fields);
        item->before = sl_object_free(item->before);
        item->after = sl_object_free(item->after);
    }
    free(diff->items);
    *diff = (struct sl_diff){0};
}

static const struct sl_object *item_object(const struct sl_diff_item *item)
{
    return item->after != NULL ? item->after : item->before;
}

static int item_order(const void *left, const void *right)
{
    const struct sl_object *a = item_object(left);
    const struct sl_object *b = item_object(right);
    if (a->created_revision != b->created_revision) {
        return a->created_revision < b->created_revision ? -1 : 1;
    }
    if (a->ordinal != b->ordinal) return a->ordinal < b->ordinal ? -1 : 1;
    return strcmp(a->id, b->id);
}

static int id_order(const void *left, const void *right)
{
    return strcmp((*(const struct sl_object *const *)left)->id,
                  (*(const struct sl_object *const *)right)->id);
}

/* What was deleted and made again is the same; but a secret's hash says nothing of its value. */
static bool is_same(const struct sl_object *a, const struct sl_object *b)
{
    if (a->revision == b->revision) return true;
    return a->type == SL_OBJECT_SPEC && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

/* Move what differs between two lists of one type into the diff; both are sorted by id. */
static int diff_merge(struct sl_diff *diff, struct sl_objects *before, struct sl_objects *after)
{
    size_t i = 0;
    size_t j = 0;
    int r = 0;
    while (r == 0 && (i < before->count || j < after->count)) {
        int order = i == before->count  ? 1
                    : j == after->count ? -1
                                        : id_order(&before->items[i], &after->items[j]);
        struct sl_object **a = order <= 0 ? &before->items[i++] : NULL;
        struct sl_object **b = order >= 0 ? &after->items[j++] : NULL;
        if (order == 0 && is_same(*a, *b)) continue;
        struct sl_object *old = a != NULL ? *a : NULL;
        struct sl_object *new = b != NULL ? *b : NULL;
        if (a != NULL) *a = NULL;
        if (b != NULL) *b = NULL;
        r = item_fill(&diff->items[diff->count++], old, new);
    }
    return r;
}

static int state_read(struct sl_registry *registry, enum sl_object_type type, const char *namespace,
                      uint64_t *revision, struct sl_objects *ret_objects)
{
    if (*revision == 0) return 0; /* the empty registry needs no history */
    int r = sl_registry_snapshot(registry, type, namespace, *revision, ret_objects, revision);
    if (r == 0 && ret_objects->count > 1) {
        qsort(ret_objects->items, ret_objects->count, sizeof(struct sl_object *), id_order);
    }
    return r;
}

static int diff_type(struct sl_registry *registry, enum sl_object_type type, const char *namespace,
                     struct sl_diff *diff)
{
    struct sl_objects before = {0};
    struct sl_objects after = {0};
    int r = state_read(registry, type, namespace, &diff->from, &before);
    if (r == 0) r = state_read(registry, type, namespace, &diff->to, &after);
    size_t cap = diff->count + before.count + after.count + 1;
    struct sl_diff_item *items = NULL;
    if (r == 0) items = realloc(diff->items, cap * sizeof(*items));
    if (items != NULL) {
        diff->items = items;
        memset(items + diff->count, 0, (cap - diff->count) * sizeof(*items));
        r = diff_merge(diff, &before, &after);
    } else if (r == 0) {
        r = -ENOMEM;
    }
    sl_objects_fini(&before);
    sl_objects_fini(&after);
    return r;
}

int sl_registry_diff(struct sl_registry *registry, const char *namespace, uint64_t from,
                     uint64_t to, struct sl_diff *ret_diff)
{
    sl_assert(registry != NULL);
    sl_assert(ret_diff != NULL);
    struct sl_diff diff = {.from = from, .to = to};
    int r = diff_type(registry, SL_OBJECT_SPEC, namespace, &diff);
    if (r == 0) r = diff_type(registry, SL_OBJECT_SECRET, namespace, &diff);
    if (r != 0) {
        sl_diff_fini(&diff);
        return r;
    }
    if (diff.count > 1) qsort(diff.items, diff.count, sizeof(*diff.items), item_order);
    *ret_diff = diff;
    return 0;
}

int sl_commit_diff(struct sl_commit *commit, struct sl_diff *ret_diff)
{
    sl_assert(commit != NULL);
    sl_assert(ret_diff != NULL);
    struct sl_diff diff = {.from = commit->revision - (commit->changed > 0),
                           .to = commit->revision};
    int r = 0;
    diff.items = calloc(commit->count + 1, sizeof(*diff.items));
    if (diff.items == NULL) return -ENOMEM;
    for (size_t i = 0; i < commit->count && r == 0; i++) {
        struct sl_commit_item *item = &commit->items[i];
        if (item->effect == SL_EFFECT_NONE) continue;
        struct sl_object *before = item->before;
        struct sl_object *after = item->after;
        item->before = NULL;
        item->after = NULL;
        r = item_fill(&diff.items[diff.count++], before, after);
    }
    if (r != 0) {
        sl_diff_fini(&diff);
        return r;
    }
    *ret_diff = diff;
    return 0;
}
