/* SPDX-License-Identifier: MIT */
/* Opening and closing, the head record, meta values and last good versions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"
#include "ctl/registry/watch.h"

#define NS_PER_DAY (UINT64_C(86400) * SL_NS_PER_SEC)

enum { RETENTION_BATCH = 64, RETENTION_ROUNDS_MAX = 10000 };

int head_get(struct sl_kv_txn *txn, struct head *ret_head)
{
    struct key key = key_head();
    struct sl_slice value;
    int r = sl_kv_get(txn, key_slice(&key), &value);
    if (r < 0) return r;
    struct head head = {0, 0};
    if (r == 0) {
        struct unpack unpack = {.rest = value};
        bool known = unpack_u32(&unpack) == REGISTRY_FORMAT;
        head.oldest = unpack_u64(&unpack);
        head.newest = unpack_u64(&unpack);
        if (!known || unpack.error || head.oldest > head.newest) return -EBADMSG;
    }
    *ret_head = head;
    return 0;
}

int head_put(struct sl_kv_txn *txn, const struct head *head)
{
    sl_assert(head->oldest <= head->newest);
    struct pack pack = {0};
    pack_u32(&pack, REGISTRY_FORMAT);
    pack_u64(&pack, head->oldest);
    pack_u64(&pack, head->newest);
    struct key key = key_head();
    int r = pack.error ? -ENOMEM : sl_kv_put(txn, key_slice(&key), pack_result(&pack));
    pack_fini(&pack);
    return r;
}

int revision_get(struct sl_kv_txn *txn, const struct key *key, uint64_t *ret_revision)
{
    struct sl_slice value;
    int r = sl_kv_get(txn, key_slice(key), &value);
    if (r != 0) return r;
    if (value.size != 8) return -EBADMSG;
    *ret_revision = get_be64(value.data);
    return 0;
}

int revision_put(struct sl_kv_txn *txn, const struct key *key, uint64_t revision)
{
    uint8_t bytes[8];
    put_be64(bytes, revision);
    return sl_kv_put(txn, key_slice(key), sl_slice_make(bytes, sizeof(bytes)));
}

/* ------------------------------------------------------------------------------------------ */

static int store_open(struct sl_registry *registry, const char *dir, uint64_t map_size,
                      struct sl_diag *reterr)
{
    struct sl_kv_opts opts = {.map_size = map_size};
    int r = dir == NULL ? sl_kv_open_memory(&registry->kv)
                        : sl_kv_open(dir, &opts, &registry->kv, reterr);
    if (r != 0) return r;
    uint64_t revision;
    r = sl_registry_revision(registry, &revision);
    if (r == -EBADMSG) {
        (void)sl_diag_set(reterr, "registry_format", (struct sl_pos){0, 0},
                          "data directory \"%s\": data.mdb is not a registry of this version", dir);
    }
    return r;
}

static int registry_fill(struct sl_registry *registry, const char *dir,
                         const struct sl_registry_opts *opts, struct sl_diag *reterr)
{
    const char *key = opts->key != NULL ? opts->key : getenv("SLUICE_KEY");
    registry->clock = opts->clock != NULL ? opts->clock : sl_clock_system();
    registry->revisions_max =
        opts->revisions_max > 0 ? opts->revisions_max : SL_REGISTRY_HISTORY_REVISIONS;
    registry->age_max_ns =
        opts->age_max_ns > 0 ? opts->age_max_ns : SL_REGISTRY_HISTORY_DAYS * NS_PER_DAY;
    if (dir != NULL) registry->dir = strdup(dir);
    if (key != NULL) registry->key_text = strdup(key);
    if ((dir != NULL && registry->dir == NULL) || (key != NULL && registry->key_text == NULL)) {
        return -ENOMEM;
    }
    int r = store_open(registry, dir, opts->map_size, reterr);
    if (r != 0) return r;
    registry->doorbell = doorbell_new(registry->dir);
    return registry->doorbell != NULL ? 0 : -ENOMEM;
}

int sl_registry_open(const char *dir, const struct sl_registry_opts *opts,
                     struct sl_registry **ret_registry, struct sl_diag *reterr)
{
    sl_assert(ret_registry != NULL);
    struct sl_registry_opts defaults = {0};
    struct sl_registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL) return -ENOMEM;
    (void)pthread_mutex_init(&registry->seal_lock, NULL);
    int r = registry_fill(registry, dir, opts != NULL ? opts : &defaults, reterr);
    if (r != 0) {
        registry = sl_registry_close(registry);
        return r;
    }
    *ret_registry = registry;
    return 0;
}

struct sl_registry *sl_registry_close(struct sl_registry *registry)
{
    if (registry == NULL) return NULL;
    registry->doorbell = doorbell_free(registry->doorbell);
    registry->kv = sl_kv_close(registry->kv);
    registry->seal = sl_seal_free(registry->seal);
    if (registry->key_text != NULL) {
        wipe_free((uint8_t *)registry->key_text, strlen(registry->key_text));
    }
    (void)pthread_mutex_destroy(&registry->seal_lock);
    free(registry->dir);
    free(registry);
    return NULL;
}

const char *sl_registry_dir(const struct sl_registry *registry)
{
    sl_assert(registry != NULL);
    return registry->dir;
}

int sl_registry_revision(struct sl_registry *registry, uint64_t *ret_revision)
{
    sl_assert(registry != NULL);
    sl_assert(ret_revision != NULL);
    struct sl_kv_txn *txn;
    struct head head;
    int r = sl_kv_read_begin(registry->kv, &txn);
    if (r != 0) return r;
    r = head_get(txn, &head);
    txn = sl_kv_read_end(txn);
    if (r == 0) *ret_revision = head.newest;
    return r;
}

void sl_registry_set_validator(struct sl_registry *registry, sl_registry_validate_fn *validate,
                               void *ctx)
{
    sl_assert(registry != NULL);
    registry->validate = validate;
    registry->validate_ctx = ctx;
}

struct maintenance {
    struct sl_registry *registry;
    size_t dropped;
};

static int maintain_write(struct sl_kv_txn *txn, void *ctx)
{
    struct maintenance *maintenance = ctx;
    struct head head;
    int r = head_get(txn, &head);
    if (r != 0) return r;
    r = retention_step(maintenance->registry, txn, &head, RETENTION_BATCH, &maintenance->dropped);
    if (r != 0 || maintenance->dropped == 0) return r;
    return head_put(txn, &head);
}

int sl_registry_maintain(struct sl_registry *registry)
{
    sl_assert(registry != NULL);
    struct maintenance maintenance = {.registry = registry};
    int r = sl_kv_readers_check(registry->kv);
    for (int i = 0; i < RETENTION_ROUNDS_MAX && r == 0; i++) {
        r = sl_kv_write(registry->kv, maintain_write, &maintenance);
        if (maintenance.dropped == 0) break;
    }
    return r;
}

/* ------------------------------------------------------------------------------------------ */
/* Meta values.                                                                                 */

struct meta {
    struct key key;
    struct sl_slice value;
};

static int meta_write(struct sl_kv_txn *txn, void *ctx)
{
    struct meta *meta = ctx;
    if (meta->value.size > 0) return sl_kv_put(txn, key_slice(&meta->key), meta->value);
    int r = sl_kv_delete(txn, key_slice(&meta->key));
    return r == SL_KV_NOT_FOUND ? 0 : r;
}

static int meta_key(const char *namespace, const char *name, struct key *ret_key)
{
    struct sl_slice ns = sl_slice_from_str(namespace);
    struct sl_slice text = sl_slice_from_str(name);
    if (ns.size > SL_REGISTRY_NAMESPACE_MAX || text.size > SL_SPEC_NAME_MAX) return -E2BIG;
    *ret_key = key_meta(ns, text);
    return 0;
}

/* 1 if the store holds this value already, 0 if not, or -Exxx. */
static int meta_is_stored(struct sl_registry *registry, const struct meta *meta)
{
    struct sl_kv_txn *txn;
    struct sl_slice stored;
    int r = sl_kv_read_begin(registry->kv, &txn);
    if (r != 0) return r;
    r = sl_kv_get(txn, key_slice(&meta->key), &stored);
    if (r == 0)
        r = sl_slice_eq(stored, meta->value);
    else if (r == SL_KV_NOT_FOUND)
        r = meta->value.size == 0;
    txn = sl_kv_read_end(txn);
    return r;
}

int sl_registry_meta_put(struct sl_registry *registry, const char *namespace, const char *key,
                         struct sl_slice value)
{
    sl_assert(registry != NULL);
    sl_assert(namespace != NULL);
    sl_assert(key != NULL);
    struct meta meta = {.value = value};
    int r = meta_key(namespace, key, &meta.key);
    if (r == 0) r = meta_is_stored(registry, &meta);
    if (r != 0) return r < 0 ? r : 0;
    return sl_kv_write(registry->kv, meta_write, &meta);
}

int sl_registry_meta_get(struct sl_registry *registry, const char *namespace, const char *key,
                         char **ret_data, size_t *ret_size)
{
    sl_assert(registry != NULL);
    sl_assert(namespace != NULL);
    sl_assert(key != NULL);
    struct key stored_key;
    struct sl_kv_txn *txn;
    struct sl_slice value;
    int r = meta_key(namespace, key, &stored_key);
    if (r == 0) r = sl_kv_read_begin(registry->kv, &txn);
    if (r != 0) return r;
    r = sl_kv_get(txn, key_slice(&stored_key), &value);
    char *data = r == 0 ? sl_slice_dup_str(value) : NULL;
    if (r == 0 && data == NULL) r = -ENOMEM;
    if (r == 0) {
        *ret_data = data;
        *ret_size = value.size;
    }
    txn = sl_kv_read_end(txn);
    return r == SL_KV_NOT_FOUND ? SL_REGISTRY_NOT_FOUND : r;
}

/* ------------------------------------------------------------------------------------------ */
/* Last good versions.                                                                          */

struct good {
    const struct sl_object *const *objects;
    size_t count;
};

/* Whether the good version of `object` is another one than stored; missing objects are not. */
static int good_is_new(struct sl_kv_txn *txn, const struct sl_object *object, struct id *ret_id,
                       uint64_t *ret_old)
{
    struct record record;
    uint64_t old = 0;
    if (!id_parse(sl_slice_from_str(object->id), ret_id)) return -EINVAL;
    int r = record_find(txn, SL_OBJECT_SPEC, ret_id, SL_REVISION_NEWEST, &record);
    if (r < 0) return r;
    if (r != 0 || record.deleted) return 0;
    struct key key = key_good(ret_id);
    r = revision_get(txn, &key, &old);
    if (r < 0) return r;
    *ret_old = old;
    return old != object->revision;
}

static int good_write(struct sl_kv_txn *txn, void *ctx)
{
    const struct good *good = ctx;
    struct head head;
    int r = head_get(txn, &head);
    for (size_t i = 0; i < good->count && r == 0; i++) {
        struct id id;
        uint64_t old = 0;
        r = good_is_new(txn, good->objects[i], &id, &old);
        if (r <= 0) continue;
        struct key key = key_good(&id);
        r = revision_put(txn, &key, good->objects[i]->revision);
        if (r == 0 && old != 0) r = version_drop_unneeded(txn, SL_OBJECT_SPEC, &id, old, &head);
    }
    return r;
}

/* 1 if there is something to write. */
static int good_has_news(struct sl_registry *registry, const struct good *good)
{
    struct sl_kv_txn *txn;
    int r = sl_kv_read_begin(registry->kv, &txn);
    if (r != 0) return r;
    for (size_t i = 0; i < good->count && r == 0; i++) {
        struct id id;
        uint64_t old;
        r = good_is_new(txn, good->objects[i], &id, &old);
    }
    txn = sl_kv_read_end(txn);
    return r;
}

int sl_registry_good_put(struct sl_registry *registry, const struct sl_object *const *objects,
                         size_t count)
{
    sl_assert(registry != NULL);
    sl_assert(objects != NULL || count == 0);
    struct good good = {objects, count};
    int r = good_has_news(registry, &good);
    return r <= 0 ? r : sl_kv_write(registry->kv, good_write, &good);
}
