/* SPDX-License-Identifier: MIT */
/* History and rollback. */
#include "ctl/registry/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

enum { ROLLBACK_TRIES_MAX = 100 };

static int change_fill(const struct log_change *from, struct sl_history_change *ret_change)
{
    ret_change->effect = from->effect;
    ret_change->type = from->type;
    id_format(&from->id, ret_change->id);
    ret_change->namespace = sl_slice_dup_str(from->namespace);
    ret_change->kind = sl_slice_dup_str(from->kind);
    ret_change->name = sl_slice_dup_str(from->name);
    bool complete =
        ret_change->namespace != NULL && ret_change->kind != NULL && ret_change->name != NULL;
    return complete ? 0 : -ENOMEM;
}

static void entry_fini(struct sl_history_entry *entry)
{
    for (size_t i = 0; i < entry->changes_count; i++) {
        free(entry->changes[i].namespace);
        free(entry->changes[i].kind);
        free(entry->changes[i].name);
    }
    free(entry->changes);
    free(entry->author);
    free(entry->message);
    *entry = (struct sl_history_entry){0};
}

/* Fill an entry from the log; changes of other namespaces are left out. */
static int entry_fill(struct log_entry *from, uint64_t revision, const char *namespace,
                      struct sl_history_entry *ret_entry)
{
    struct sl_history_entry entry = {.revision = revision, .wall_ns = from->wall_ns};
    entry.author = sl_slice_dup_str(from->author);
    entry.message = sl_slice_dup_str(from->message);
    entry.changes = calloc((size_t)from->changes_count + 1, sizeof(*entry.changes));
    bool complete = entry.author != NULL && entry.message != NULL && entry.changes != NULL;
    int r = complete ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < from->changes_count && r == 0; i++) {
        struct log_change change;
        r = log_next(from, &change);
        if (r != 0) break;
        if (namespace != NULL && !sl_slice_eq_str(change.namespace, namespace)) continue;
        r = change_fill(&change, &entry.changes[entry.changes_count++]);
    }
    if (r != 0) {
        entry_fini(&entry);
        return r;
    }
    *ret_entry = entry;
    return 0;
}

/* Add the entry of a revision if it changed the namespace. */
static int history_add(struct sl_history *history, size_t *cap, struct sl_kv_txn *txn,
                       uint64_t revision, const char *namespace)
{
    struct log_entry log;
    struct sl_history_entry entry;
    int r = log_get(txn, revision, &log);
    if (r == SL_KV_NOT_FOUND) return -EBADMSG;
    if (r == 0) r = entry_fill(&log, revision, namespace, &entry);
    if (r != 0) return r;
    if (entry.changes_count == 0) {
        entry_fini(&entry);
        return 0;
    }
    if (history->count == *cap) {
        size_t grown_cap = *cap > 0 ? *cap * 2 : 16;
        struct sl_history_entry *grown = realloc(history->entries, grown_cap * sizeof(*grown));
        if (grown == NULL) {
            entry_fini(&entry);
            return -ENOMEM;
        }
        history->entries = grown;
        *cap = grown_cap;
    }
    history->entries[history->count++] = entry;
    return 0;
}

static int history_fill(struct sl_kv_txn *txn, const char *namespace, uint64_t from, size_t limit,
                        struct sl_history *history)
{
    struct head head;
    size_t cap = 0;
    int r = head_get(txn, &head);
    if (r != 0) return r;
    history->oldest = head.oldest;
    history->newest = head.newest;
    uint64_t revision = from < head.newest ? from : head.newest;
    uint64_t last = head.oldest > 0 ? head.oldest : 1;
    for (; revision >= last && history->count < limit && r == 0; revision--) {
        r = history_add(history, &cap, txn, revision, namespace);
    }
    return r;
}

int sl_registry_history(struct sl_registry *registry, const char *namespace, uint64_t from,
                        size_t limit, struct sl_history *ret_history)
{
    sl_assert(registry != NULL);
    sl_assert(ret_history != NULL);
    struct sl_history history = {0};
    struct sl_kv_txn *txn;
    int r = sl_kv_read_begin(registry->kv, &txn);
    if (r != 0) return r;
    r = history_fill(txn, namespace, from, limit, &history);
    txn = sl_kv_read_end(txn);
    if (r != 0) {
        sl_history_fini(&history);
        return r;
    }
    *ret_history = history;
    return 0;
}

void sl_history_fini(struct sl_history *history)
{
    for (size_t i = 0; i < history->count; i++) entry_fini(&history->entries[i]);
    free(history->entries);
    *history = (struct sl_history){0};
}

/* ------------------------------------------------------------------------------------------ */
/* Rollback.                                                                                    */

/* The two states of a namespace, each sorted by id. */
struct rollback {
    struct sl_objects then;
    struct sl_objects now;
    struct sl_change *changes;
    size_t count;
    uint64_t newest;
};

static int id_order(const void *left, const void *right)
{
    return strcmp((*(const struct sl_object *const *)left)->id,
                  (*(const struct sl_object *const *)right)->id);
}

static void sort_by_id(struct sl_objects *objects)
{
    if (objects->count > 1) {
        qsort(objects->items, objects->count, sizeof(struct sl_object *), id_order);
    }
}

static int rollback_read(struct sl_registry *registry, const char *namespace, uint64_t revision,
                         struct rollback *rollback)
{
    int r = sl_registry_snapshot(registry, SL_OBJECT_SPEC, namespace, SL_REVISION_NEWEST,
                                 &rollback->now, &rollback->newest);
    if (r == 0) {
        r = sl_registry_snapshot(registry, SL_OBJECT_SPEC, namespace, revision, &rollback->then,
                                 NULL);
    }
    sort_by_id(&rollback->now);
    sort_by_id(&rollback->then);
    return r;
}

static void add_restore(struct rollback *rollback, const struct sl_object *object)
{
    rollback->changes[rollback->count++] = (struct sl_change){
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = object->document,
        .origin_file = object->origin_file,
        .origin_line = object->origin_line,
        .source = object->source,
    };
}

static void add_delete(struct rollback *rollback, const struct sl_object *object)
{
    rollback->changes[rollback->count++] = (struct sl_change){
        .op = SL_CHANGE_DELETE,
        .type = SL_OBJECT_SPEC,
        .id = object->id,
        .namespace = object->namespace,
    };
}

/* Walk both lists in order of ids. */
static int rollback_plan(struct rollback *rollback)
{
    const struct sl_objects *then = &rollback->then;
    const struct sl_objects *now = &rollback->now;
    rollback->count = 0;
    rollback->changes = calloc(then->count + now->count + 1, sizeof(*rollback->changes));
    if (rollback->changes == NULL) return -ENOMEM;
    size_t i = 0;
    size_t j = 0;
    while (i < then->count || j < now->count) {
        int order = i == then->count  ? 1
                    : j == now->count ? -1
                                      : id_order(&then->items[i], &now->items[j]);
        if (order > 0) {
            add_delete(rollback, now->items[j++]);
        } else if (order < 0) {
            add_restore(rollback, then->items[i++]);
        } else {
            bool differs = then->items[i]->revision != now->items[j]->revision;
            if (differs) add_restore(rollback, then->items[i]);
            i++;
            j++;
        }
    }
    return 0;
}

static void rollback_fini(struct rollback *rollback)
{
    sl_objects_fini(&rollback->then);
    sl_objects_fini(&rollback->now);
    free(rollback->changes);
    *rollback = (struct rollback){0};
}

int sl_registry_rollback(struct sl_registry *registry, const char *namespace, uint64_t revision,
                         const char *author, const char *message, struct sl_commit *ret_commit,
                         struct sl_diags *diags)
{
    sl_assert(registry != NULL);
    sl_assert(namespace != NULL);
    char text[64];
    (void)snprintf(text, sizeof(text), "rollback to %llu", (unsigned long long)revision);
    int r = SL_REGISTRY_STALE;
    for (int i = 0; i < ROLLBACK_TRIES_MAX && r == SL_REGISTRY_STALE; i++) {
        struct rollback rollback = {0};
        r = rollback_read(registry, namespace, revision, &rollback);
        if (r == 0) r = rollback_plan(&rollback);
        if (r == 0) {
            struct sl_change_set set = {
                .changes = rollback.changes,
                .count = rollback.count,
                .author = author,
                .message = message != NULL ? message : text,
                .if_revision = rollback.newest,
            };
            /* Stale news are no news to the caller unless it was the last try. */
            bool last = i + 1 == ROLLBACK_TRIES_MAX;
            size_t count = diags != NULL ? diags->count : 0;
            r = sl_registry_apply(registry, &set, ret_commit, diags);
            if (r == SL_REGISTRY_STALE && !last && diags != NULL) {
                diags->errors_count -= diags->count - count;
                diags->count = count;
            }
        }
        rollback_fini(&rollback);
    }
    return r;
}
