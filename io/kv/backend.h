/* SPDX-License-Identifier: MIT */
/* What a backend of io/kv provides. Only the files of this folder include it. */
#pragma once

#include "io/kv/kv.h"

struct kv_backend {
    void (*close)(struct sl_kv *kv);
    int (*read_begin)(struct sl_kv *kv, struct sl_kv_txn **ret_txn);
    void (*read_end)(struct sl_kv_txn *txn);
    int (*write)(struct sl_kv *kv, sl_kv_write_fn *write, void *ctx);
    int (*get)(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice *ret_value);
    int (*seek)(struct sl_kv_txn *txn, struct sl_slice key, struct sl_kv_pair *ret_pair);
    int (*put)(struct sl_kv_txn *txn, struct sl_slice key, struct sl_slice value);
    int (*del)(struct sl_kv_txn *txn, struct sl_slice key);
    int (*readers_check)(struct sl_kv *kv);
    int (*stats_get)(struct sl_kv *kv, struct sl_kv_stats *ret_stats);
};

/* First member of each backend's store. */
struct sl_kv {
    const struct kv_backend *backend;
};

/* First member of each backend's transaction. */
struct sl_kv_txn {
    struct sl_kv *kv;
    bool writable;
};
