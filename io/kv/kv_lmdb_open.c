/* SPDX-License-Identifier: MIT */
/*
 * Opening an LMDB store. A new data file is made beside its place, synced, and renamed into it
 * under a lock, so that a crash at any instant leaves either no file or a valid one. (LMDB itself
 * writes the first two pages in place, and half of them is "not an LMDB file" for ever.)
 *
 *     DIR/open.lock   flock while a data file is made
 *     DIR/init.tmp/   a data file in the making
 *     DIR/data.mdb    the store
 *     DIR/lock.mdb    LMDB's reader table
 */
#include "io/kv/kv_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum { PATH_SIZE = 4096 };

/* All stores of this process: LMDB forbids opening one twice. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lmdb_store *table;

static int fail(struct sl_diag *reterr, int err, const char *dir, const char *what)
{
    (void)sl_diag_set(reterr, "registry_open", (struct sl_pos){0, 0},
                      "data directory \"%s\": %s: %s", dir, what, strerror(-err));
    if (err == -ENOSPC) sl_diag_hint(reterr, "the disk is full: free some space");
    return err;
}

/* Create the directory, or check that nobody else may write into the one there is. */
static int dir_prepare(const char *dir, struct sl_diag *reterr)
{
    if (mkdir(dir, 0700) == 0) return 0;
    if (errno != EEXIST) return fail(reterr, -errno, dir, "cannot be created");
    struct stat st;
    if (stat(dir, &st) != 0) return fail(reterr, -errno, dir, "cannot be looked at");
    if (!S_ISDIR(st.st_mode)) return fail(reterr, -ENOTDIR, dir, "cannot be used");
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        (void)fail(reterr, -EACCES, dir, "others may write into it");
        sl_diag_hint(reterr, "run: chmod 700 %s", dir);
        return -EACCES;
    }
    return 0;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return r;
}

static void init_clean(const char *tmp)
{
    char path[PATH_SIZE];
    const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", tmp, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(tmp);
}

/* Make a valid empty data file in `tmp` and sync it. */
static int init_fill(const char *tmp, const char *data_tmp)
{
    if (mkdir(tmp, 0700) != 0) return -errno;
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc != 0) return kv_lmdb_error(rc);
    rc = mdb_env_open(env, tmp, 0, 0600);
    mdb_env_close(env);
    if (rc != 0) return kv_lmdb_error(rc);
    return sync_path(data_tmp, O_RDWR);
}

/* With open.lock held: make data.mdb if there is none. */
static int data_create(const char *dir)
{
    char data[PATH_SIZE];
    char tmp[PATH_SIZE];
    char data_tmp[PATH_SIZE + 16];
    (void)snprintf(data, sizeof(data), "%s/data.mdb", dir);
    (void)snprintf(tmp, sizeof(tmp), "%s/init.tmp", dir);
    (void)snprintf(data_tmp, sizeof(data_tmp), "%s/data.mdb", tmp);
    if (access(data, F_OK) == 0) return 0;
    init_clean(tmp);
    int r = init_fill(tmp, data_tmp);
    if (r == 0 && rename(data_tmp, data) != 0) r = -errno;
    init_clean(tmp);
    if (r != 0) return r;
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
}

static int data_prepare(const char *dir, struct sl_diag *reterr)
{
    char path[PATH_SIZE];
    if (snprintf(path, sizeof(path), "%s/open.lock", dir) >= (int)sizeof(path) - 64) {
        return fail(reterr, -ENAMETOOLONG, dir, "cannot be used");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(reterr, -errno, dir, "cannot be opened");
    int r = flock(fd, LOCK_EX) == 0 ? 0 : -errno;
    if (r == 0) r = data_create(dir);
    (void)close(fd);
    return r == 0 ? 0 : fail(reterr, r, dir, "cannot be filled");
}

/* mdb_env_open, with a smaller map where the address space is limited (RLIMIT_AS). */
static int env_open(const char *dir, uint64_t map_size, MDB_env **ret_env)
{
    sl_assert(map_size > 0);
    for (;; map_size /= 2) {
        MDB_env *env;
        int rc = mdb_env_create(&env);
        if (rc != 0) return kv_lmdb_error(rc);
        rc = mdb_env_set_mapsize(env, map_size);
        if (rc == 0) rc = mdb_env_set_maxreaders(env, SL_KV_READERS_MAX);
        if (rc == 0) rc = mdb_env_open(env, dir, MDB_NOTLS, 0600);
        if (rc == 0) {
            *ret_env = env;
            return 0;
        }
        mdb_env_close(env);
        if (rc != ENOMEM || map_size / 2 < SL_KV_MAP_SIZE_MIN) return kv_lmdb_error(rc);
    }
}

static int dbi_open(struct lmdb_store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(store->env, 0);
        if (rc == 0) rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    }
    if (rc != 0) return kv_lmdb_error(rc);
    rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return kv_lmdb_error(rc);
}

static struct lmdb_store *table_find(dev_t dev, ino_t ino)
{
    sl_assert(ino != 0);
    struct lmdb_store *store = table;
    while (store != NULL && (store->dev != dev || store->ino != ino || store->pid != getpid())) {
        store = store->next;
    }
    return store;
}

static void store_destroy(struct lmdb_store *store)
{
    sl_assert(store->active == 0);
    if (store->env != NULL) mdb_env_close(store->env);
    (void)pthread_cond_destroy(&store->changed);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->dir);
    free(store);
}

static int store_new(const char *dir, uint64_t map_size, struct lmdb_store **ret_store)
{
    struct lmdb_store *store = calloc(1, sizeof(*store));
    if (store == NULL) return -ENOMEM;
    store->base.backend = &kv_lmdb_backend;
    store->pid = getpid();
    store->refs = 1;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->changed, NULL);
    store->dir = strdup(dir);
    int r = store->dir == NULL ? -ENOMEM : env_open(dir, map_size, &store->env);
    if (r == 0) r = dbi_open(store);
    if (r == 0) r = kv_lmdb_backend.readers_check(&store->base);
    if (r != 0) {
        store_destroy(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

/* With the table's lock held: share the open store of this file, or open it. */
static int table_open(const char *dir, uint64_t map_size, struct lmdb_store **ret_store)
{
    char path[PATH_SIZE];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    if (stat(path, &st) != 0) return -errno;
    struct lmdb_store *store = table_find(st.st_dev, st.st_ino);
    if (store != NULL) {
        store->refs++;
        *ret_store = store;
        return 0;
    }
    int r = store_new(dir, map_size, &store);
    if (r != 0) return r;
    store->dev = st.st_dev;
    store->ino = st.st_ino;
    store->next = table;
    table = store;
    *ret_store = store;
    return 0;
}

int sl_kv_open(const char *dir, const struct sl_kv_opts *opts, struct sl_kv **ret_kv,
               struct sl_diag *reterr)
{
    sl_assert(dir != NULL);
    sl_assert(ret_kv != NULL);
    uint64_t map_size = opts != NULL && opts->map_size > 0 ? opts->map_size : SL_KV_MAP_SIZE;
    int r = dir_prepare(dir, reterr);
    if (r == 0) r = data_prepare(dir, reterr);
    if (r != 0) return r;
    struct lmdb_store *store = NULL;
    (void)pthread_mutex_lock(&table_lock);
    r = table_open(dir, map_size, &store);
    (void)pthread_mutex_unlock(&table_lock);
    if (r != 0) return fail(reterr, r, dir, "the store in data.mdb cannot be opened");
    *ret_kv = &store->base;
    return 0;
}

void kv_lmdb_close(struct sl_kv *kv)
{
    struct lmdb_store *store = (struct lmdb_store *)kv;
    (void)pthread_mutex_lock(&table_lock);
    sl_assert(store->refs > 0);
    store->refs--;
    if (store->refs == 0) {
        struct lmdb_store **at = &table;
        while (*at != store) at = &(*at)->next;
        *at = store->next;
        store_destroy(store);
    }
    (void)pthread_mutex_unlock(&table_lock);
}
