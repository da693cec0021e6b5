/* SPDX-License-Identifier: MIT */
/* Reading: a view is one read transaction and a revision. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

/* The store says SL_KV_NOT_FOUND, the registry SL_REGISTRY_NOT_FOUND: the same number, on purpose. */
static_assert((int)SL_KV_NOT_FOUND == (int)SL_REGISTRY_NOT_FOUND, "outcomes pass through");

int sl_view_open(struct sl_registry *registry, uint64_t revision, struct sl_view **ret_view)
{
    sl_assert(registry != NULL);
    sl_assert(ret_view != NULL);
    struct sl_view *view = calloc(1, sizeof(*view));
    if (view == NULL) return -ENOMEM;
    struct head head = {0, 0};
    view->registry = registry;
    int r = sl_kv_read_begin(registry->kv, &view->txn);
    if (r == 0) r = head_get(view->txn, &head);
    if (revision == SL_REVISION_NEWEST) revision = head.newest;
    if (r == 0 && (revision < head.oldest || revision > head.newest)) r = SL_REGISTRY_GONE;
    if (r != 0) {
        view = sl_view_close(view);
        return r;
    }
    view->revision = revision;
    view->is_newest = revision == head.newest;
    *ret_view = view;
    return 0;
}

struct sl_view *sl_view_close(struct sl_view *view)
{
    if (view == NULL) return NULL;
    view->txn = sl_kv_read_end(view->txn);
    free(view);
    return NULL;
}

uint64_t sl_view_revision(const struct sl_view *view)
{
    sl_assert(view != NULL);
    return view->revision;
}

static int view_record(struct sl_view *view, enum sl_object_type type, const struct id *id,
                       struct sl_object **ret_object)
{
    struct record record;
    int r = record_find(view->txn, type, id, view->revision, &record);
    if (r != 0) return r;
    return record.deleted ? SL_REGISTRY_NOT_FOUND : record_object(&record, ret_object);
}

int sl_view_get(struct sl_view *view, enum sl_object_type type, const char *id,
                struct sl_object **ret_object)
{
    sl_assert(view != NULL);
    sl_assert(id != NULL);
    sl_assert(ret_object != NULL);
    struct id parsed;
    if (!id_parse(sl_slice_from_str(id), &parsed)) return SL_REGISTRY_NOT_FOUND;
    return view_record(view, type, &parsed, ret_object);
}

/* The index of names knows the newest revision only; for older ones the namespace is searched. */
static int find_by_scan(struct sl_view *view, enum sl_object_type type, const char *namespace,
                        struct sl_slice name, struct sl_object **ret_object)
{
    struct scan scan;
    struct record record;
    scan_init(&scan, view, type, namespace);
    for (;;) {
        int r = scan_next(&scan, &record);
        if (r != 0) return r;
        if (sl_slice_eq(record.name, name)) return record_object(&record, ret_object);
    }
}

int sl_view_find(struct sl_view *view, enum sl_object_type type, const char *namespace,
                 const char *name, struct sl_object **ret_object)
{
    sl_assert(view != NULL);
    sl_assert(namespace != NULL);
    sl_assert(name != NULL);
    struct sl_slice ns = sl_slice_from_str(namespace);
    struct sl_slice text = sl_slice_from_str(name);
    if (text.size == 0 || text.size > SL_SPEC_NAME_MAX) return SL_REGISTRY_NOT_FOUND;
    if (ns.size > SL_REGISTRY_NAMESPACE_MAX) return SL_REGISTRY_NOT_FOUND;
    if (!view->is_newest) return find_by_scan(view, type, namespace, text, ret_object);
    struct key key = key_name(type, ns, text);
    struct sl_slice value;
    struct id id;
    int r = sl_kv_get(view->txn, key_slice(&key), &value);
    if (r != 0) return r;
    if (value.size != ID_BYTES) return -EBADMSG;
    memcpy(id.bytes, value.data, ID_BYTES);
    return view_record(view, type, &id, ret_object);
}

/* Add a record's object to the list if the filter lets it. */
static int list_add(struct sl_objects *objects, const struct record *record, struct sl_value filter)
{
    struct sl_object *object;
    int r = record_object(record, &object);
    if (r != 0) return r;
    r = filter_matches(filter, object->document);
    if (r == 1)
        r = objects_push(objects, object);
    else
        object = sl_object_free(object);
    if (r < 0) object = sl_object_free(object);
    return r;
}

int sl_view_list(struct sl_view *view, enum sl_object_type type, const char *namespace,
                 struct sl_value filter, struct sl_objects *ret_objects)
{
    sl_assert(view != NULL);
    sl_assert(ret_objects != NULL);
    struct sl_objects objects = {0};
    struct scan scan;
    struct record record;
    int r = filter_check(filter);
    if (r != 0) return r;
    if (namespace == NULL || strlen(namespace) <= SL_REGISTRY_NAMESPACE_MAX) {
        scan_init(&scan, view, type, namespace);
        while ((r = scan_next(&scan, &record)) == 0) {
            r = list_add(&objects, &record, filter);
            if (r != 0) break;
        }
    }
    if (r < 0) {
        sl_objects_fini(&objects);
        return r;
    }
    objects_sort(&objects);
    *ret_objects = objects;
    return 0;
}

int sl_registry_snapshot(struct sl_registry *registry, enum sl_object_type type,
                         const char *namespace, uint64_t revision, struct sl_objects *ret_objects,
                         uint64_t *ret_revision)
{
    struct sl_view *view;
    int r = sl_view_open(registry, revision, &view);
    if (r != 0) return r;
    r = sl_view_list(view, type, namespace, sl_value_none(), ret_objects);
    if (r == 0 && ret_revision != NULL) *ret_revision = view->revision;
    view = sl_view_close(view);
    return r;
}

/* ------------------------------------------------------------------------------------------ */

struct names {
    char **items;
    size_t count;
    size_t cap;
};

static int names_push(struct names *names, struct sl_slice name)
{
    if (names->count == names->cap) {
        size_t cap = names->cap > 0 ? names->cap * 2 : 16;
        char **items = realloc(names->items, cap * sizeof(char *));
        if (items == NULL) return -ENOMEM;
        names->items = items;
        names->cap = cap;
    }
    char *copy = sl_slice_dup_str(name);
    if (copy == NULL) return -ENOMEM;
    names->items[names->count++] = copy;
    return 0;
}

/* Objects of one namespace stand in a row, so only the last name needs comparing. */
static int names_scan(struct names *names, struct sl_view *view, enum sl_object_type type)
{
    struct scan scan;
    struct record record;
    int r;
    scan_init(&scan, view, type, NULL);
    while ((r = scan_next(&scan, &record)) == 0) {
        const char *last = names->count > 0 ? names->items[names->count - 1] : NULL;
        if (last != NULL && sl_slice_eq_str(record.namespace, last)) continue;
        r = names_push(names, record.namespace);
        if (r != 0) return r;
    }
    return r < 0 ? r : 0;
}

static int names_order(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sort, and drop what stands twice. */
static void names_unique(struct names *names)
{
    if (names->count < 2) return;
    qsort(names->items, names->count, sizeof(char *), names_order);
    size_t kept = 1;
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names->items[kept - 1], names->items[i]) == 0)
            free(names->items[i]);
        else
            names->items[kept++] = names->items[i];
    }
    names->count = kept;
}

int sl_view_namespaces(struct sl_view *view, char ***ret_names, size_t *ret_count)
{
    sl_assert(view != NULL);
    sl_assert(ret_names != NULL);
    struct names names = {0};
    int r = names_scan(&names, view, SL_OBJECT_SPEC);
    if (r == 0) r = names_scan(&names, view, SL_OBJECT_SECRET);
    if (r != 0) {
        for (size_t i = 0; i < names.count; i++) free(names.items[i]);
        free(names.items);
        return r;
    }
    names_unique(&names);
    *ret_names = names.items;
    *ret_count = names.count;
    return 0;
}

int sl_view_good_get(struct sl_view *view, const char *id, struct sl_object **ret_object)
{
    sl_assert(view != NULL);
    sl_assert(id != NULL);
    struct id parsed;
    uint64_t revision;
    struct record record;
    if (!id_parse(sl_slice_from_str(id), &parsed)) return SL_REGISTRY_NOT_FOUND;
    struct key key = key_good(&parsed);
    int r = revision_get(view->txn, &key, &revision);
    if (r == 0) r = record_find(view->txn, SL_OBJECT_SPEC, &parsed, revision, &record);
    if (r != 0) return r;
    if (record.deleted || record.revision != revision) return SL_REGISTRY_NOT_FOUND;
    return record_object(&record, ret_object);
}
