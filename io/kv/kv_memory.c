/* SPDX-License-Identifier: MIT */
/*
 * The memory backend: sorted leaves of counted entries under a root that is an array of leaves.
 *
 *     root  [ leaf 0 ][ leaf 1 ][ leaf 2 ]      refs: the store, and each reader
 *               │         │
 *           k1 k2 k3   k4 k5                     refs of a leaf: roots; of an entry: leaves
 *
 * What is published is never written: a writer copies the root at its first change, and a leaf
 * when another root holds it too. So a reader's snapshot is one count on one root, and a dropped
 * transaction is one count less. Every seek is a binary search in two steps.
 *
 * Pairs: root->refs, leaf->refs, entry->refs go down with acquire and release (unref_is_last), so
 * whoever frees sees the others' last use. `store->root` is guarded by
 * `store->lock`; writers are one at a time by `store->write_lock`.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "io/kv/backend.h"

enum { LEAF_ENTRIES_MAX = 64 };

struct entry {
    _Atomic unsigned refs;
    uint32_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* value, key */
};

struct leaf {
    _Atomic unsigned refs;
    uint32_t count;
    struct entry *entries[LEAF_ENTRIES_MAX];
};

struct root {
    _Atomic unsigned refs;
    size_t count;
    size_t cap;
    uint64_t bytes; /* of keys and values */
    struct leaf **leaves;
};

struct memory_store {
    struct sl_kv base;
    pthread_mutex_t write_lock;
    pthread_mutex_t lock; /* for `root` and `readers_count` */
    struct root *root;
    uint64_t readers_count;
};

struct memory_txn {
    struct sl_kv_txn base;
    struct root *root; /* writer: NULL until the first change */
    struct root *published;
};

/* Where a key is, or would be. */
struct place {
    size_t leaf;
    uint32_t entry;
    bool found;
};

static bool unref_is_last(_Atomic unsigned *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static void ref(_Atomic unsigned *refs)
{
    (void)atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

static struct sl_slice entry_key(const struct entry *entry)
{
    return sl_slice_make(entry->bytes + entry->value_size, entry->key_size);
}

static struct entry *entry_new(struct sl_slice key, struct sl_slice value)
{
    struct entry *entry = malloc(sizeof(*entry) + key.size + value.size);
    if (entry == NULL) return NULL;
    atomic_init(&entry->refs, 1);
    entry->key_size = (uint32_t)key.size;
    entry->value_size = value.size;
    if (value.size > 0) memcpy(entry->bytes, value.data, value.size);
    memcpy(entry->bytes + value.size, key.data, key.size);
    return entry;
}

static void entry_unref(struct entry *entry)
{
    if (unref_is_last(&entry->refs)) free(entry);
}

static void leaf_unref(struct leaf *leaf)
{
    if (!unref_is_last(&leaf->refs)) return;
    for (uint32_t i = 0; i < leaf->count; i++) entry_unref(leaf->entries[i]);
    free(leaf);
}

static void root_unref(struct root *root)
{
    if (root == NULL || !unref_is_last(&root->refs)) return;
    for (size_t i = 0; i < root->count; i++) leaf_unref(root->leaves[i]);
    free(root->leaves);
    free(root);
}

static struct leaf *leaf_new(void)
{
    struct leaf *leaf = calloc(1, sizeof(*leaf));
    if (leaf != NULL) atomic_init(&leaf->refs, 1);
    return leaf;
}

static struct root *root_new(size_t cap)
{
    struct root *root = calloc(1, sizeof(*root));
    if (root == NULL) return NULL;
    atomic_init(&root->refs, 1);
    root->cap = cap;
    root->leaves = calloc(cap, sizeof(struct leaf *));
    if (root->leaves != NULL) return root;
    free(root);
    return NULL;
}

static struct root *root_copy(const struct root *from)
{
    struct root *root = root_new(from->count + 8);
    if (root == NULL) return NULL;
    for (size_t i = 0; i < from->count; i++) {
        ref(&from->leaves[i]->refs);
        root->leaves[i] = from->leaves[i];
    }
    root->count = from->count;
    root->bytes = from->bytes;
    return root;
}

/* The leaf that would hold `key`: the last one whose first key is not greater; 0 if none is. */
static size_t leaf_find(const struct root *root, struct sl_slice key)
{
    sl_assert(root->count > 0);
    size_t low = 0;
    size_t high = root->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sl_slice_compare(entry_key(root->leaves[mid]->entries[0]), key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 ? low - 1 : 0;
}

static struct place place_find(const struct root *root, struct sl_slice key)
{
    if (root->count == 0) return (struct place){0, 0, false};
    size_t at = leaf_find(root, key);
    const struct leaf *leaf = root->leaves[at];
    uint32_t low = 0;
    uint32_t high = leaf->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = sl_slice_compare(entry_key(leaf->entries[mid]), key);
        if (order == 0) return (struct place){at, mid, true};
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return (struct place){at, low, false};
}

static const struct root *txn_root(const struct memory_txn *txn)
{
    return txn->root != NULL ? txn->root : txn->published;
}

static int memory_get(struct sl_kv_txn *base, struct sl_slice key, struct sl_slice *ret_value)
{
    const struct root *root = txn_root((struct memory_txn *)base);
    sl_assert(root != NULL);
    struct place place = place_find(root, key);
    if (!place.found) return SL_KV_NOT_FOUND;
    const struct entry *entry = root->leaves[place.leaf]->entries[place.entry];
    *ret_value = sl_slice_make(entry->bytes, entry->value_size);
    return 0;
}

static int memory_seek(struct sl_kv_txn *base, struct sl_slice key, struct sl_kv_pair *ret_pair)
{
    const struct root *root = txn_root((struct memory_txn *)base);
    struct place place = place_find(root, key);
    if (place.leaf < root->count && place.entry == root->leaves[place.leaf]->count) {
        place.leaf++;
        place.entry = 0;
    }
    if (place.leaf >= root->count) return SL_KV_NOT_FOUND;
    const struct entry *entry = root->leaves[place.leaf]->entries[place.entry];
    ret_pair->key = entry_key(entry);
    ret_pair->value = sl_slice_make(entry->bytes, entry->value_size);
    return 0;
}

/* Copy the root at the first change. */
static int txn_own_root(struct memory_txn *txn)
{
    if (txn->root != NULL) return 0;
    txn->root = root_copy(txn->published);
    return txn->root != NULL ? 0 : -ENOMEM;
}

/* Copy leaf `at` if another root holds it too. */
static int root_own_leaf(struct root *root, size_t at)
{
    sl_assert(at < root->count);
    struct leaf *from = root->leaves[at];
    sl_assert(from->count > 0);
    if (atomic_load_explicit(&from->refs, memory_order_relaxed) == 1) return 0;
    struct leaf *leaf = leaf_new();
    if (leaf == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < from->count; i++) {
        ref(&from->entries[i]->refs);
        leaf->entries[i] = from->entries[i];
    }
    leaf->count = from->count;
    root->leaves[at] = leaf;
    leaf_unref(from);
    return 0;
}

/* Put a new leaf at index `at`. */
static int root_insert_leaf(struct root *root, size_t at, struct leaf *leaf)
{
    sl_assert(at <= root->count);
    sl_assert(root->count <= root->cap);
    if (root->count == root->cap) {
        size_t cap = root->cap * 2;
        struct leaf **leaves = realloc(root->leaves, cap * sizeof(*leaves));
        if (leaves == NULL) return -ENOMEM;
        root->leaves = leaves;
        root->cap = cap;
    }
    memmove(&root->leaves[at + 1], &root->leaves[at], (root->count - at) * sizeof(*root->leaves));
    root->leaves[at] = leaf;
    root->count++;
    return 0;
}

/* Move the upper half of a full leaf into a new one behind it, and `place` with it. */
static int root_split_leaf(struct root *root, struct place *place)
{
    struct leaf *lower = root->leaves[place->leaf];
    sl_assert(lower->count == LEAF_ENTRIES_MAX);
    sl_assert(place->entry <= lower->count);
    struct leaf *upper = leaf_new();
    if (upper == NULL) return -ENOMEM;
    uint32_t half = lower->count / 2;
    int r = root_insert_leaf(root, place->leaf + 1, upper);
    if (r != 0) {
        free(upper);
        return r;
    }
    upper->count = lower->count - half;
    memcpy(upper->entries, &lower->entries[half], upper->count * sizeof(struct entry *));
    lower->count = half;
    if (place->entry > half) {
        place->leaf++;
        place->entry -= half;
    }
    return 0;
}

/* Make the leaf at `place` ours, with room for one more entry there. */
static int root_make_room(struct root *root, struct place *place)
{
    if (root->count == 0) {
        struct leaf *leaf = leaf_new();
        if (leaf == NULL) return -ENOMEM;
        return root_insert_leaf(root, 0, leaf);
    }
    int r = root_own_leaf(root, place->leaf);
    if (r != 0) return r;
    bool full = root->leaves[place->leaf]->count == LEAF_ENTRIES_MAX;
    return full && !place->found ? root_split_leaf(root, place) : 0;
}

static int memory_put(struct sl_kv_txn *base, struct sl_slice key, struct sl_slice value)
{
    struct memory_txn *txn = (struct memory_txn *)base;
    int r = txn_own_root(txn);
    if (r != 0) return r;
    struct root *root = txn->root;
    struct place place = place_find(root, key);
    struct entry *entry = entry_new(key, value);
    if (entry == NULL) return -ENOMEM;
    r = root_make_room(root, &place);
    if (r != 0) {
        entry_unref(entry);
        return r;
    }
    struct leaf *leaf = root->leaves[place.leaf];
    struct entry **slot = &leaf->entries[place.entry];
    sl_assert(place.found ? place.entry < leaf->count : leaf->count < LEAF_ENTRIES_MAX);
    root->bytes += key.size + value.size;
    if (place.found) {
        root->bytes -= (*slot)->key_size + (*slot)->value_size;
        entry_unref(*slot);
    } else {
        memmove(slot + 1, slot, (leaf->count - place.entry) * sizeof(*slot));
        leaf->count++;
    }
    *slot = entry;
    return 0;
}

static int memory_delete(struct sl_kv_txn *base, struct sl_slice key)
{
    struct memory_txn *txn = (struct memory_txn *)base;
    struct place place = place_find(txn_root(txn), key);
    if (!place.found) return SL_KV_NOT_FOUND;
    int r = txn_own_root(txn);
    if (r == 0) r = root_own_leaf(txn->root, place.leaf);
    if (r != 0) return r;
    struct root *root = txn->root;
    struct leaf *leaf = root->leaves[place.leaf];
    struct entry **slot = &leaf->entries[place.entry];
    root->bytes -= (*slot)->key_size + (*slot)->value_size;
    entry_unref(*slot);
    leaf->count--;
    memmove(slot, slot + 1, (leaf->count - place.entry) * sizeof(*slot));
    if (leaf->count > 0) return 0;
    root->count--;
    struct leaf **at = &root->leaves[place.leaf];
    memmove(at, at + 1, (root->count - place.leaf) * sizeof(*at));
    leaf_unref(leaf);
    return 0;
}

static struct root *published_ref(struct memory_store *store, bool reader)
{
    (void)pthread_mutex_lock(&store->lock);
    struct root *root = store->root;
    ref(&root->refs);
    store->readers_count += reader;
    (void)pthread_mutex_unlock(&store->lock);
    return root;
}

static int memory_read_begin(struct sl_kv *kv, struct sl_kv_txn **ret_txn)
{
    struct memory_txn *txn = calloc(1, sizeof(*txn));
    if (txn == NULL) return -ENOMEM;
    txn->base.kv = kv;
    txn->published = published_ref((struct memory_store *)kv, true);
    *ret_txn = &txn->base;
    return 0;
}

static void memory_read_end(struct sl_kv_txn *base)
{
    struct memory_store *store = (struct memory_store *)base->kv;
    struct memory_txn *txn = (struct memory_txn *)base;
    (void)pthread_mutex_lock(&store->lock);
    sl_assert(store->readers_count > 0);
    store->readers_count--;
    (void)pthread_mutex_unlock(&store->lock);
    root_unref(txn->published);
    free(txn);
}

static int memory_write(struct sl_kv *kv, sl_kv_write_fn *write, void *ctx)
{
    struct memory_store *store = (struct memory_store *)kv;
    (void)pthread_mutex_lock(&store->write_lock);
    struct memory_txn txn = {.base = {kv, true}, .published = published_ref(store, false)};
    int r = write(&txn.base, ctx);
    if (r == 0 && txn.root != NULL) {
        (void)pthread_mutex_lock(&store->lock);
        struct root *old = store->root;
        store->root = txn.root;
        (void)pthread_mutex_unlock(&store->lock);
        root_unref(old);
    } else {
        root_unref(txn.root);
    }
    root_unref(txn.published);
    (void)pthread_mutex_unlock(&store->write_lock);
    return r;
}

static void memory_close(struct sl_kv *kv)
{
    struct memory_store *store = (struct memory_store *)kv;
    sl_assert(store->readers_count == 0);
    root_unref(store->root);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_mutex_destroy(&store->write_lock);
    free(store);
}

static int memory_readers_check(struct sl_kv *kv)
{
    sl_assert(kv->backend->readers_check == memory_readers_check);
    return 0; /* readers die with the store */
}

static int memory_stats_get(struct sl_kv *kv, struct sl_kv_stats *ret_stats)
{
    struct memory_store *store = (struct memory_store *)kv;
    (void)pthread_mutex_lock(&store->lock);
    *ret_stats = (struct sl_kv_stats){
        .file_size = store->root->bytes,
        .readers_count = store->readers_count,
    };
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

static const struct kv_backend memory_backend = {
    .close = memory_close,
    .read_begin = memory_read_begin,
    .read_end = memory_read_end,
    .write = memory_write,
    .get = memory_get,
    .seek = memory_seek,
    .put = memory_put,
    .del = memory_delete,
    .readers_check = memory_readers_check,
    .stats_get = memory_stats_get,
};

int sl_kv_open_memory(struct sl_kv **ret_kv)
{
    sl_assert(ret_kv != NULL);
    struct memory_store *store = calloc(1, sizeof(*store));
    if (store == NULL) return -ENOMEM;
    store->base.backend = &memory_backend;
    store->root = root_new(8);
    if (store->root == NULL) {
        free(store);
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&store->write_lock, NULL);
    (void)pthread_mutex_init(&store->lock, NULL);
    *ret_kv = &store->base;
    return 0;
}
