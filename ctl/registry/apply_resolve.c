/* SPDX-License-Identifier: MIT */
/* Resolve: find out what each change of a set means, and whether it may be made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/apply.h"

int apply_refuse(struct apply *apply, size_t index, int outcome)
{
    apply->failed_index = index;
    return outcome;
}

int apply_name_get(struct apply *apply, const struct draft *draft, struct sl_slice name,
                   struct id *ret_id)
{
    struct key key = key_name(draft->change->type, draft->namespace, name);
    struct sl_slice value;
    int r = sl_kv_get(apply->txn, key_slice(&key), &value);
    if (r != 0) return r;
    if (value.size != ID_BYTES) return -EBADMSG;
    memcpy(ret_id->bytes, value.data, ID_BYTES);
    return 0;
}

int apply_key_drop(struct apply *apply, struct key key)
{
    int r = sl_kv_delete(apply->txn, key_slice(&key));
    return r == SL_KV_NOT_FOUND ? 0 : r;
}

static int resolve_id(struct apply *apply, struct draft *draft)
{
    const struct sl_change *change = draft->change;
    draft->namespace = draft->given_namespace;
    if (draft->namespace.size == 0) draft->namespace = SL_SLICE("default");
    if (draft->has_id) {
        draft->id = draft->given_id;
        return 0;
    }
    if (draft->name.size > 0) {
        int r = apply_name_get(apply, draft, draft->name, &draft->id);
        if (r != SL_KV_NOT_FOUND) return r;
    }
    if (change->path != NULL) {
        id_derive(draft->namespace, sl_slice_from_str(change->path), &draft->id);
    } else {
        id_random(apply->registry->clock, &draft->id);
    }
    return 0;
}

/* What the store has under the draft's id. */
static int resolve_before(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    struct record record;
    draft->previous = 0;
    draft->created_revision = apply->head.newest;
    draft->ordinal = (uint32_t)index;
    int r = record_find(apply->txn, draft->change->type, &draft->id, SL_REVISION_NEWEST, &record);
    if (r != 0) return r < 0 ? r : 0;
    draft->previous = record.revision;
    draft->created_revision = record.created_revision;
    draft->ordinal = record.ordinal;
    if (record.deleted) return 0;
    r = record_object(&record, &draft->before);
    if (r == 0 && draft->given_namespace.size == 0) {
        draft->namespace = sl_slice_from_str(draft->before->namespace);
    }
    return r;
}

/* The last word on whether this change may be made to what was found. */
static int resolve_check(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    const struct sl_change *change = draft->change;
    const struct sl_object *before = draft->before;
    char id[SL_ID_SIZE];
    id_format(&draft->id, id);
    if (before != NULL && !sl_slice_eq_str(draft->namespace, before->namespace)) {
        draft_diag(draft, apply->diags, "conflict", "id %s belongs to namespace \"%s\"", id,
                   before->namespace);
        return apply_refuse(apply, index, SL_REGISTRY_CONFLICT);
    }
    if (before != NULL && change->op == SL_CHANGE_CREATE) {
        draft_diag(draft, apply->diags, "conflict", "\"%s\" exists already",
                   before->name[0] != '\0' ? before->name : id);
        return apply_refuse(apply, index, SL_REGISTRY_CONFLICT);
    }
    bool wanted =
        change->op == SL_CHANGE_UPDATE || (change->op == SL_CHANGE_DELETE && !change->missing_ok);
    if (before == NULL && wanted) {
        draft_diag(draft, apply->diags, "not_found", "\"%.*s\" is not there",
                   draft->name.size > 0 ? (int)draft->name.size : (int)sizeof(id) - 1,
                   draft->name.size > 0 ? (const char *)draft->name.data : id);
        return apply_refuse(apply, index, SL_REGISTRY_NOT_FOUND);
    }
    uint64_t revision = before != NULL ? before->revision : 0;
    if (change->if_revision != 0 && change->if_revision != revision) {
        draft_diag(draft, apply->diags, "stale", "%s is at revision %llu, not %llu", id,
                   (unsigned long long)revision, (unsigned long long)change->if_revision);
        return apply_refuse(apply, index, SL_REGISTRY_STALE);
    }
    return 0;
}

/* Free the names that this change set gives up, so that others of it may take them. */
static int resolve_name(struct apply *apply, struct draft *draft)
{
    const struct sl_object *before = draft->before;
    if (before == NULL || before->name[0] == '\0') return 0;
    if (draft->change->op != SL_CHANGE_DELETE && sl_slice_eq_str(draft->name, before->name)) {
        return 0;
    }
    return apply_key_drop(
        apply, key_name(draft->change->type, draft->namespace, sl_slice_from_str(before->name)));
}

struct touched {
    enum sl_object_type type;
    struct id id;
    size_t index;
};

static int touched_order(const void *left, const void *right)
{
    const struct touched *a = left;
    const struct touched *b = right;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    int order = memcmp(a->id.bytes, b->id.bytes, ID_BYTES);
    if (order != 0) return order;
    return a->index < b->index ? -1 : 1;
}

/* A change set may touch an object once. */
static int resolve_once(struct apply *apply)
{
    size_t count = apply->set->count;
    struct touched *touched = calloc(count, sizeof(*touched));
    if (touched == NULL) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        touched[i] = (struct touched){apply->drafts[i].change->type, apply->drafts[i].id, i};
    }
    qsort(touched, count, sizeof(*touched), touched_order);
    int r = 0;
    for (size_t i = 1; i < count && r == 0; i++) {
        const struct touched *a = &touched[i - 1];
        if (a->type != touched[i].type || memcmp(&a->id, &touched[i].id, sizeof(a->id)) != 0) {
            continue;
        }
        const struct draft *draft = &apply->drafts[touched[i].index];
        draft_diag(draft, apply->diags, "conflict", "\"%.*s\" stands twice in one change set",
                   SL_SLICE_FMT(draft->name));
        r = apply_refuse(apply, touched[i].index, SL_REGISTRY_CONFLICT);
    }
    free(touched);
    return r;
}

int apply_resolve(struct apply *apply)
{
    int r = 0;
    for (size_t i = 0; i < apply->set->count && r == 0; i++) {
        r = resolve_id(apply, &apply->drafts[i]);
        if (r == 0) r = resolve_before(apply, i);
        if (r == 0) r = resolve_check(apply, i);
    }
    if (r == 0) r = resolve_once(apply);
    for (size_t i = 0; i < apply->set->count && r == 0; i++) {
        r = resolve_name(apply, &apply->drafts[i]);
    }
    return r;
}
