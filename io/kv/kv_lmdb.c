/* SPDX-License-Identifier: MIT */
/*
 * The LMDB backend: transactions, growth of the map, and LMDB's errors turned into ours. Opening
 * and creating files is in kv_lmdb_open.c.
 *
 * Growth: mdb_env_set_mapsize wants no transaction of this process to be alive. `active` counts
 * them under `lock`; who grows sets `resizing`, waits for zero, and lets the others in again.
 */
#include "io/kv/kv_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum {
    WRITE_TRIES_MAX = 32,   /* doublings of the map in one write */
    BEGIN_TRIES_MAX = 8,    /* adoptions of another process's map size in one begin */
    RESIZE_WAIT_SEC = 5,    /* for readers of this process to end */
    FULL_BLOCKS_MAX = 1024, /* free blocks under which an EIO is taken for a full disk */
};

struct lmdb_txn {
    struct sl_kv_txn base;
    MDB_txn *txn;
    MDB_cursor *cursor; /* opened by the first seek */
    bool map_full;      /* a write met MDB_MAP_FULL: grow and run it again */
};

static _Thread_local bool thread_writes;

static struct lmdb_store *store_of(struct sl_kv *kv)
{
    return (struct lmdb_store *)kv;
}

int kv_lmdb_error(int rc)
{
    switch (rc) {
    case 0: return 0;
    case MDB_NOTFOUND: return SL_KV_NOT_FOUND;
    case MDB_READERS_FULL: return -EBUSY;
    case MDB_MAP_RESIZED: return -EAGAIN;
    case MDB_MAP_FULL: return -ENOBUFS;
    case MDB_TXN_FULL: return -E2BIG;
    case MDB_BAD_VALSIZE: return -EINVAL;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH: return -EBADMSG;
    case EDQUOT: return -ENOSPC;
    default: return rc > 0 ? -rc : -EIO;
    }
}

/* LMDB answers EIO for a short write, and a short write is how a full disk often begins. */
static int disk_error(const struct lmdb_store *store, int err)
{
    struct statvfs fs;
    if (err != -EIO || statvfs(store->dir, &fs) != 0) return err;
    return fs.f_bavail < FULL_BLOCKS_MAX ? -ENOSPC : err;
}

static void store_enter(struct lmdb_store *store)
{
    sl_assert(store->pid == getpid());
    (void)pthread_mutex_lock(&store->lock);
    while (store->resizing) (void)pthread_cond_wait(&store->changed, &store->lock);
    store->active++;
    (void)pthread_mutex_unlock(&store->lock);
}

static void store_leave(struct lmdb_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    sl_assert(store->active > 0);
    store->active--;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

/* Wait, with `lock` held, until no transaction of this process is alive. 0 or -EBUSY. */
static int wait_idle(struct lmdb_store *store)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RESIZE_WAIT_SEC;
    while (store->active > 0) {
        if (pthread_cond_timedwait(&store->changed, &store->lock, &until) == ETIMEDOUT) {
            return -EBUSY;
        }
    }
    return 0;
}

/* Set the map to `size` bytes; 0 adopts what another process has set. */
static int store_resize(struct lmdb_store *store, uint64_t size)
{
    (void)pthread_mutex_lock(&store->lock);
    while (store->resizing) (void)pthread_cond_wait(&store->changed, &store->lock);
    sl_assert(!store->resizing);
    store->resizing = true;
    int r = wait_idle(store);
    if (r == 0) r = kv_lmdb_error(mdb_env_set_mapsize(store->env, size));
    if (r == 0) store->grown_count++;
    store->resizing = false;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
    return r;
}

static int store_grow(struct lmdb_store *store, uint64_t seen_size)
{
    MDB_envinfo info;
    (void)mdb_env_info(store->env, &info);
    if (info.me_mapsize > seen_size) return 0; /* another thread was faster */
    if (info.me_mapsize >= SL_KV_MAP_SIZE_MAX) return -E2BIG;
    return store_resize(store, info.me_mapsize * 2);
}

/* mdb_txn_begin, with the two obstacles that can be moved: a grown map and dead readers. */
static int store_begin(struct lmdb_store *store, bool write, struct lmdb_txn *txn)
{
    sl_assert(store->env != NULL);
    for (int i = 0; i < BEGIN_TRIES_MAX; i++) {
        store_enter(store);
        int rc = mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);
        if (rc == 0) break;
        store_leave(store);
        int r = kv_lmdb_error(rc);
        if (rc == MDB_MAP_RESIZED) r = store_resize(store, 0);
        if (rc == MDB_READERS_FULL && i == 0) r = store->base.backend->readers_check(&store->base);
        if (r != 0) return r;
    }
    if (txn->txn == NULL) return -EBUSY;
    txn->base.kv = &store->base;
    txn->base.writable = write;
    return 0;
}

static int lmdb_read_begin(struct sl_kv *kv, struct sl_kv_txn **ret_txn)
{
    struct lmdb_txn *txn = calloc(1, sizeof(*txn));
    if (txn == NULL) return -ENOMEM;
    int r = store_begin(store_of(kv), false, txn);
    if (r != 0) {
        free(txn);
        return r;
    }
    *ret_txn = &txn->base;
    return 0;
}

static void txn_close_cursor(struct lmdb_txn *txn)
{
    if (txn->cursor != NULL) mdb_cursor_close(txn->cursor);
    txn->cursor = NULL;
}

static void lmdb_read_end(struct sl_kv_txn *base)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    sl_assert(txn->txn != NULL);
    txn_close_cursor(txn);
    mdb_txn_abort(txn->txn);
    store_leave(store_of(base->kv));
    free(txn);
}

/* One run of a write transaction; txn->map_full says whether to grow and run again. */
static int write_once(struct lmdb_store *store, struct lmdb_txn *txn, sl_kv_write_fn *write,
                      void *ctx)
{
    sl_assert(txn->txn == NULL);
    sl_assert(!txn->map_full);
    int r = store_begin(store, true, txn);
    if (r != 0) return r;
    r = write(&txn->base, ctx);
    txn_close_cursor(txn);
    if (r != 0 || txn->map_full) {
        mdb_txn_abort(txn->txn);
    } else {
        int rc = mdb_txn_commit(txn->txn);
        txn->map_full = rc == MDB_MAP_FULL;
        r = disk_error(store, kv_lmdb_error(rc));
    }
    store_leave(store);
    return r;
}

static int lmdb_write(struct sl_kv *kv, sl_kv_write_fn *write, void *ctx)
{
    struct lmdb_store *store = store_of(kv);
    sl_assert(!thread_writes);
    thread_writes = true;
    int r = -ENOBUFS;
    for (int i = 0; i < WRITE_TRIES_MAX; i++) {
        struct lmdb_txn txn = {0};
        MDB_envinfo info;
        (void)mdb_env_info(store->env, &info);
        r = write_once(store, &txn, write, ctx);
        if (!txn.map_full) break;
        r = store_grow(store, info.me_mapsize);
        if (r != 0) break;
    }
    thread_writes = false;
    return r;
}

static int lmdb_get(struct sl_kv_txn *base, struct sl_slice key, struct sl_slice *ret_value)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    MDB_val k = {key.size, (void *)(uintptr_t)key.data};
    MDB_val v;
    int r = kv_lmdb_error(mdb_get(txn->txn, store_of(base->kv)->dbi, &k, &v));
    if (r == 0) *ret_value = sl_slice_make(v.mv_data, v.mv_size);
    return r;
}

static int lmdb_seek(struct sl_kv_txn *base, struct sl_slice key, struct sl_kv_pair *ret_pair)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    if (txn->cursor == NULL) {
        int rc = mdb_cursor_open(txn->txn, store_of(base->kv)->dbi, &txn->cursor);
        if (rc != 0) return kv_lmdb_error(rc);
    }
    MDB_val k = {key.size, (void *)(uintptr_t)key.data};
    MDB_val v;
    int r = kv_lmdb_error(mdb_cursor_get(txn->cursor, &k, &v, MDB_SET_RANGE));
    if (r != 0) return r;
    ret_pair->key = sl_slice_make(k.mv_data, k.mv_size);
    ret_pair->value = sl_slice_make(v.mv_data, v.mv_size);
    return 0;
}

static int lmdb_put(struct sl_kv_txn *base, struct sl_slice key, struct sl_slice value)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    MDB_val k = {key.size, (void *)(uintptr_t)key.data};
    MDB_val v = {value.size, (void *)(uintptr_t)value.data};
    int rc = mdb_put(txn->txn, store_of(base->kv)->dbi, &k, &v, 0);
    if (rc == MDB_MAP_FULL) txn->map_full = true;
    return disk_error(store_of(base->kv), kv_lmdb_error(rc));
}

static int lmdb_delete(struct sl_kv_txn *base, struct sl_slice key)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)base;
    MDB_val k = {key.size, (void *)(uintptr_t)key.data};
    int rc = mdb_del(txn->txn, store_of(base->kv)->dbi, &k, NULL);
    if (rc == MDB_MAP_FULL) txn->map_full = true;
    return disk_error(store_of(base->kv), kv_lmdb_error(rc));
}

static int lmdb_readers_check(struct sl_kv *kv)
{
    struct lmdb_store *store = store_of(kv);
    int dead = 0;
    int r = kv_lmdb_error(mdb_reader_check(store->env, &dead));
    if (r != 0) return r;
    (void)pthread_mutex_lock(&store->lock);
    store->cleared_count += (uint64_t)dead;
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

static int lmdb_stats_get(struct sl_kv *kv, struct sl_kv_stats *ret_stats)
{
    struct lmdb_store *store = store_of(kv);
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(store->env, &info);
    if (rc == 0) rc = mdb_env_stat(store->env, &stat);
    if (rc != 0) return kv_lmdb_error(rc);
    (void)pthread_mutex_lock(&store->lock);
    *ret_stats = (struct sl_kv_stats){
        .map_size = info.me_mapsize,
        .file_size = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize,
        .readers_count = info.me_numreaders,
        .cleared_count = store->cleared_count,
        .grown_count = store->grown_count,
    };
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

const struct kv_backend kv_lmdb_backend = {
    .close = kv_lmdb_close,
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .write = lmdb_write,
    .get = lmdb_get,
    .seek = lmdb_seek,
    .put = lmdb_put,
    .del = lmdb_delete,
    .readers_check = lmdb_readers_check,
    .stats_get = lmdb_stats_get,
};
