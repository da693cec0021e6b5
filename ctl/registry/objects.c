/* SPDX-License-Identifier: MIT */
/* Objects and lists of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

struct sl_object *sl_object_free(struct sl_object *object)
{
    if (object == NULL) return NULL;
    sl_value_unref(object->document);
    free(object);
    return NULL;
}

int objects_push(struct sl_objects *objects, struct sl_object *object)
{
    sl_assert(object != NULL);
    sl_assert(objects->count <= objects->cap);
    if (objects->count == objects->cap) {
        size_t cap = objects->cap > 0 ? objects->cap * 2 : 16;
        struct sl_object **items = realloc(objects->items, cap * sizeof(struct sl_object *));
        if (items == NULL) return -ENOMEM;
        objects->items = items;
        objects->cap = cap;
    }
    objects->items[objects->count++] = object;
    return 0;
}

static int creation_order(const void *left, const void *right)
{
    const struct sl_object *a = *(const struct sl_object *const *)left;
    const struct sl_object *b = *(const struct sl_object *const *)right;
    if (a->created_revision != b->created_revision) {
        return a->created_revision < b->created_revision ? -1 : 1;
    }
    if (a->ordinal != b->ordinal) return a->ordinal < b->ordinal ? -1 : 1;
    return strcmp(a->id, b->id);
}

void objects_sort(struct sl_objects *objects)
{
    if (objects->count > 1) {
        qsort(objects->items, objects->count, sizeof(struct sl_object *), creation_order);
    }
}

void sl_objects_fini(struct sl_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) (void)sl_object_free(objects->items[i]);
    free(objects->items);
    *objects = (struct sl_objects){0};
}

struct sl_object *sl_objects_take(struct sl_objects *objects, size_t index)
{
    sl_assert(index < objects->count);
    struct sl_object *object = objects->items[index];
    struct sl_object **slot = &objects->items[index];
    objects->count--;
    memmove(slot, slot + 1, (objects->count - index) * sizeof(*slot));
    return object;
}

int sl_objects_value(const struct sl_objects *objects, struct sl_mem *mem,
                     struct sl_value *ret_value)
{
    sl_assert(objects != NULL);
    sl_assert(ret_value != NULL);
    struct sl_builder builder;
    struct sl_value list;
    sl_builder_init(&builder, NULL, (uint32_t)objects->count + 1, 0);
    sl_build_list_begin(&builder);
    for (size_t i = 0; i < objects->count; i++) {
        sl_build_value(&builder, objects->items[i]->document);
    }
    sl_build_list_end(&builder);
    int r = sl_builder_finish(&builder, &list);
    if (r != 0) return r;
    r = sl_value_copy(list, mem, ret_value); /* one buffer of `mem`, not many of the heap */
    sl_value_unref(list);
    return r;
}
