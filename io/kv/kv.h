/* SPDX-License-Identifier: MIT */
/*
 * An ordered map from byte keys to byte values, with transactions: one writer at a time, any
 * number of readers, each reader on its own unchanging snapshot.
 *
 * Two backends: LMDB in a directory (durable, shared by OS processes; this folder is the only
 * includer of lmdb.h) and memory (lost at close). What LMDB asks of its users is kept in here:
 *   - one environment per directory and process: a second open shares the first
 *   - MDB_NOTLS, so that a reader belongs to its transaction and not to its thread
 *   - no MDB_WRITEMAP: a torn or stray write must not reach the file
 *   - the map grows by itself, in this process and after another one has grown it
 *   - a new file appears complete or not at all
 *
 * Threads: control threads, any number. A transaction belongs to one thread at a time; a thread
 * must not write while it holds a reader of the same store (the map could not grow).
 * Not usable after fork() in the child.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_kv;
struct sl_kv_txn;

enum { SL_KV_NOT_FOUND = 1 };

enum { SL_KV_KEY_SIZE_MAX = 480 }; /* bytes; LMDB's own limit is 511 */

struct sl_kv_opts {
    uint64_t map_size; /* bytes of address space at first; 0: SL_KV_MAP_SIZE */
};

/* Both borrowed from the transaction, until it writes or ends. */
struct sl_kv_pair {
    struct sl_slice key;
    struct sl_slice value;
};

struct sl_kv_stats {
    uint64_t map_size;      /* bytes of address space */
    uint64_t file_size;     /* bytes in use by pages; memory: bytes of keys and values */
    uint64_t readers_count; /* reader slots in use, in all processes */
    uint64_t cleared_count; /* dead readers cleared by this process */
    uint64_t grown_count;   /* times this process grew its map */
};

/*
 * Open the LMDB store in directory `dir`, which is created with mode 0700 if missing (its parent
 * must exist). An existing directory that others may write to is refused.
 *
 * opts     may be NULL
 * reterr   what to do about it; may be NULL
 * returns  0, -EACCES, -ENOSPC, -EBADMSG (not an LMDB file, or a damaged one), or -Exxx
 */
int sl_kv_open(const char *dir, const struct sl_kv_opts *opts, struct sl_kv **ret_kv,
               struct sl_diag *reterr);

/* A store in memory. 0 or -ENOMEM. */
int sl_kv_open_memory(struct sl_kv **ret_kv);

/* Close; all its transactions have ended. NULL is fine; returns NULL. */
struct sl_kv *sl_kv_close(struct sl_kv *kv);

/*
 * Begin a reader on the newest committed state.
 * returns  0, -EBUSY (every reader slot is in use), or -Exxx
 */
int sl_kv_read_begin(struct sl_kv *kv, struct sl_kv_txn **ret_txn);

/* End a reader. NULL is fine; returns NULL. */
struct sl_kv_txn *sl_kv_read_end(struct sl_kv_txn *txn);

/*
 * The body of a write transaction. It may run more than once (the map grew), so it must start
 * from scratch each time. What it returns ends the transaction: 0 commits, anything else drops all
 * its writes. An error of sl_kv_put and its kind must be returned unchanged.
 */
typedef int sl_kv_write_fn(struct sl_kv_txn *txn, void *ctx);

/*
 * Run `write` in a write transaction; waits for other writers, in other processes too. When it
 * returns 0, everything is on the disk.
 *
 * returns  what `write` returned, or -ENOSPC (disk full), -EIO, -Exxx
 */
int sl_kv_write(struct sl_kv *kv, sl_kv_write_fn *write, void *ctx);

/* 0 or SL_KV_NOT_FOUND or -Exxx; the value is borrowed until the transaction writes or ends. */
int sl_kv_get(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice *ret_value);

/* The first pair whose key is >= `key`. 0, SL_KV_NOT_FOUND or -Exxx. */
int sl_kv_seek(struct sl_kv_txn *txn, struct sl_slice key, struct sl_kv_pair *ret_pair);

/* Store a pair, over an old one if there is one. Key: 1..SL_KV_KEY_SIZE_MAX bytes. 0 or -Exxx. */
int sl_kv_put(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice value);

/* 0, SL_KV_NOT_FOUND, or -Exxx. */
int sl_kv_delete(struct sl_kv_txn *txn, struct sl_slice key);

/* Clear the slots of readers whose process has died. 0 or -Exxx. */
int sl_kv_readers_check(struct sl_kv *kv);

/* 0 or -Exxx. */
int sl_kv_stats_get(struct sl_kv *kv, struct sl_kv_stats *ret_stats);
