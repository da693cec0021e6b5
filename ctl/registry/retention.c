/* SPDX-License-Identifier: MIT */
/*
 * Retention: forget the oldest revisions. When `oldest` moves from r to r+1, a version is still
 * needed if it is current at some revision from r+1 on; what r+1 replaced is not, and what it
 * deleted needs no mark any more. Last good versions stay.
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

/* 1 if version `revision` is the last good one, 0 if not, or -Exxx. */
static int is_good(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                   uint64_t revision)
{
    if (type != SL_OBJECT_SPEC) return 0;
    struct key key = key_good(id);
    uint64_t good = 0;
    int r = revision_get(txn, &key, &good);
    if (r < 0) return r;
    return r == 0 && good == revision;
}

/* 1 if some readable revision shows this version. */
static int is_needed(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                     uint64_t revision, const struct head *head)
{
    if (revision > head->oldest) return 1;
    struct record record;
    int r = record_find(txn, type, id, head->oldest, &record);
    if (r < 0) return r;
    return r == 0 && record.revision == revision && !record.deleted;
}

int version_drop_unneeded(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                          uint64_t revision, const struct head *head)
{
    sl_assert(head->oldest <= head->newest);
    if (revision > head->newest) return -EBADMSG;
    int r = is_needed(txn, type, id, revision, head);
    if (r == 0) r = is_good(txn, type, id, revision);
    if (r != 0) return r < 0 ? r : 0;
    return record_delete(txn, type, id, revision);
}

/* Forget that the namespace ever had the object, if no version is left. */
static int forget_member(struct sl_kv_txn *txn, enum sl_object_type type, struct sl_slice namespace,
                         const struct id *id)
{
    struct record record;
    int r = record_find(txn, type, id, SL_REVISION_NEWEST, &record);
    if (r != SL_KV_NOT_FOUND) return r;
    struct key key = key_member('s', type, namespace, id);
    r = sl_kv_delete(txn, key_slice(&key));
    return r == SL_KV_NOT_FOUND ? 0 : r;
}

/* A copy of one change's essentials: the log entry's bytes move when the transaction writes. */
struct dropped {
    enum sl_object_type type;
    struct id id;
    uint64_t previous;
    bool deleted;
    size_t namespace_size;
    uint8_t namespace[SL_REGISTRY_NAMESPACE_MAX];
};

static int change_at(struct sl_kv_txn *txn, uint64_t revision, uint32_t index, size_t *offset,
                     struct dropped *ret_dropped)
{
    struct log_entry entry;
    struct log_change change;
    int r = log_get(txn, revision, &entry);
    if (r != 0) return r;
    if (index >= entry.changes_count) return SL_KV_NOT_FOUND;
    size_t start = entry.rest.rest.size;
    if (index > 0) {
        if (*offset > start) return -EBADMSG;
        entry.rest.rest.data += *offset;
        entry.rest.rest.size -= *offset;
    }
    r = log_next(&entry, &change);
    if (r != 0) return r;
    if (change.namespace.size > SL_REGISTRY_NAMESPACE_MAX) return -EBADMSG;
    *offset = start - entry.rest.rest.size;
    *ret_dropped = (struct dropped){
        .type = change.type,
        .id = change.id,
        .previous = change.previous,
        .deleted = change.effect == SL_EFFECT_DELETED,
        .namespace_size = change.namespace.size,
    };
    memcpy(ret_dropped->namespace, change.namespace.data, change.namespace.size);
    return 0;
}

/* Drop the versions that revision head->oldest replaced. */
static int drop_replaced(struct sl_kv_txn *txn, const struct head *head)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < SL_REGISTRY_CHANGES_MAX; i++) {
        struct dropped it;
        int r = change_at(txn, head->oldest, i, &offset, &it);
        if (r == SL_KV_NOT_FOUND) break;
        if (r == 0 && it.previous != 0) {
            r = version_drop_unneeded(txn, it.type, &it.id, it.previous, head);
        }
        if (r == 0 && it.deleted) {
            struct sl_slice namespace = sl_slice_make(it.namespace, it.namespace_size);
            r = version_drop_unneeded(txn, it.type, &it.id, head->oldest, head);
            if (r == 0) r = forget_member(txn, it.type, namespace, &it.id);
        }
        if (r != 0) return r;
    }
    return 0;
}

/* 1 if the oldest revision is beyond the limits. */
static int is_due(struct sl_registry *registry, struct sl_kv_txn *txn, const struct head *head)
{
    if (head->oldest >= head->newest) return 0;
    if (head->newest - head->oldest >= registry->revisions_max) return 1;
    struct log_entry entry;
    int r = log_get(txn, head->oldest + 1, &entry);
    if (r != 0) return r < 0 ? r : -EBADMSG;
    int64_t now = registry->clock->wall_ns(registry->clock);
    return now > entry.wall_ns && (uint64_t)(now - entry.wall_ns) > registry->age_max_ns;
}

int retention_step(struct sl_registry *registry, struct sl_kv_txn *txn, struct head *head,
                   size_t limit, size_t *ret_dropped)
{
    size_t dropped = 0;
    sl_assert(limit > 0);
    sl_assert(registry->revisions_max > 0);
    for (; dropped < limit; dropped++) {
        int r = is_due(registry, txn, head);
        if (r < 0) return r;
        if (r == 0) break;
        head->oldest++;
        r = drop_replaced(txn, head);
        if (r == 0 && head->oldest > 1) {
            struct key key = key_log(head->oldest - 1);
            r = sl_kv_delete(txn, key_slice(&key));
        }
        if (r != 0) return r < 0 ? r : -EBADMSG;
    }
    *ret_dropped = dropped;
    return 0;
}
