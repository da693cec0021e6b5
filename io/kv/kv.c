/* SPDX-License-Identifier: MIT */
/* The door of io/kv: checks what it is given and hands on to the backend. */
#include "io/kv/kv.h"

#include <errno.h>

#include "core/base/assertion.h"
#include "io/kv/backend.h"

struct sl_kv *sl_kv_close(struct sl_kv *kv)
{
    if (kv != NULL) kv->backend->close(kv);
    return NULL;
}

int sl_kv_read_begin(struct sl_kv *kv, struct sl_kv_txn **ret_txn)
{
    sl_assert(kv != NULL);
    sl_assert(ret_txn != NULL);
    return kv->backend->read_begin(kv, ret_txn);
}

struct sl_kv_txn *sl_kv_read_end(struct sl_kv_txn *txn)
{
    if (txn == NULL) return NULL;
    sl_assert(!txn->writable);
    txn->kv->backend->read_end(txn);
    return NULL;
}

int sl_kv_write(struct sl_kv *kv, sl_kv_write_fn *write, void *ctx)
{
    sl_assert(kv != NULL);
    sl_assert(write != NULL);
    return kv->backend->write(kv, write, ctx);
}

int sl_kv_get(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice *ret_value)
{
    sl_assert(txn != NULL);
    sl_assert(key.size > 0);
    sl_assert(ret_value != NULL);
    return txn->kv->backend->get(txn, key, ret_value);
}

int sl_kv_seek(struct sl_kv_txn *txn, struct sl_slice key, struct sl_kv_pair *ret_pair)
{
    sl_assert(txn != NULL);
    sl_assert(key.size > 0);
    sl_assert(ret_pair != NULL);
    return txn->kv->backend->seek(txn, key, ret_pair);
}

int sl_kv_put(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice value)
{
    sl_assert(txn != NULL);
    sl_assert(txn->writable);
    sl_assert(key.size > 0);
    if (key.size > SL_KV_KEY_SIZE_MAX) return -E2BIG;
    return txn->kv->backend->put(txn, key, value);
}

int sl_kv_delete(struct sl_kv_txn *txn, struct sl_slice key)
{
    sl_assert(txn != NULL);
    sl_assert(txn->writable);
    sl_assert(key.size > 0);
    return txn->kv->backend->del(txn, key);
}

int sl_kv_readers_check(struct sl_kv *kv)
{
    sl_assert(kv != NULL);
    return kv->backend->readers_check(kv);
}

int sl_kv_stats_get(struct sl_kv *kv, struct sl_kv_stats *ret_stats)
{
    sl_assert(kv != NULL);
    sl_assert(ret_stats != NULL);
    return kv->backend->stats_get(kv, ret_stats);
}
