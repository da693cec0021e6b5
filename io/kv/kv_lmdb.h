/* SPDX-License-Identifier: MIT */
/* What the two files of the LMDB backend share. Only they include it. */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

#include "io/kv/backend.h"

struct lmdb_store {
    struct sl_kv base;
    MDB_env *env;
    MDB_dbi dbi;
    char *dir;
    pid_t pid; /* of the process that opened it: an environment does not survive fork() */

    /* Under the table's lock of kv_lmdb_open.c. */
    struct lmdb_store *next;
    dev_t dev; /* of data.mdb */
    ino_t ino;
    unsigned refs;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    unsigned active; /* transactions alive in this process */
    bool resizing;
    uint64_t cleared_count;
    uint64_t grown_count;
};

extern const struct kv_backend kv_lmdb_backend;

/* LMDB's positive errno and -30799… as 0, SL_KV_NOT_FOUND or -Exxx. */
int kv_lmdb_error(int rc);

/* Drop one use; the last one closes the environment. */
void kv_lmdb_close(struct sl_kv *kv);
