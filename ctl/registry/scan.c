/* SPDX-License-Identifier: MIT */
/*
 * Walking over the objects of a view. At the newest revision the index of live objects names
 * their current versions; at an older one every object that has versions is looked at.
 */
#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

void scan_init(struct scan *scan, struct sl_view *view, enum sl_object_type type,
               const char *namespace)
{
    sl_assert(view->txn != NULL);
    scan->view = view;
    scan->type = type;
    scan->prefix =
        key_member(view->is_newest ? 'l' : 's', type, sl_slice_from_str(namespace), NULL);
    scan->at = scan->prefix;
}

/* The next id of the index; its value is a revision in the index of live objects. */
static int scan_step(struct scan *scan, struct id *ret_id, uint64_t *ret_revision)
{
    struct sl_kv_pair pair;
    int r = sl_kv_seek(scan->view->txn, key_slice(&scan->at), &pair);
    if (r != 0) return r;
    if (!sl_slice_has_prefix(pair.key, key_slice(&scan->prefix))) return SL_KV_NOT_FOUND;
    sl_assert(sl_slice_compare(pair.key, key_slice(&scan->at)) >= 0);
    if (pair.key.size < ID_BYTES || pair.key.size >= sizeof(scan->at.data)) return -EBADMSG;
    memcpy(ret_id->bytes, pair.key.data + pair.key.size - ID_BYTES, ID_BYTES);
    memcpy(scan->at.data, pair.key.data, pair.key.size);
    scan->at.data[pair.key.size] = 0; /* the smallest key behind this one */
    scan->at.size = pair.key.size + 1;
    *ret_revision = scan->view->revision;
    if (!scan->view->is_newest) return 0;
    if (pair.value.size != 8) return -EBADMSG;
    *ret_revision = get_be64(pair.value.data);
    return 0;
}

int scan_next(struct scan *scan, struct record *ret_record)
{
    for (;;) {
        struct id id;
        uint64_t revision;
        int r = scan_step(scan, &id, &revision);
        if (r != 0) return r;
        r = record_find(scan->view->txn, scan->type, &id, revision, ret_record);
        if (r < 0) return r;
        if (r == 0 && !ret_record->deleted) return 0;
    }
}
