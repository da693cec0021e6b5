/* SPDX-License-Identifier: MIT */
/*
 * What the files of ctl/registry share. The store's layout (all numbers big endian in keys, so that
 * they sort; "0" is a zero byte, which names may not contain):
 *
 *     h                          head: format, oldest, newest revision
 *     f                          fingerprint of the key that seals secrets
 *     v type id ~revision        one version of an object; ~ so that the newest comes first
 *     l type namespace 0 id      objects that exist now → revision of their current version
 *     s type namespace 0 id      objects that have any version at all
 *     n type namespace 0 name    names in use now → id
 *     r revision                 what a revision changed
 *     m namespace 0 key          meta values
 *     g id                       last good version of a spec → revision
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/limit.h"
#include "ctl/registry/pack.h"
#include "ctl/registry/registry.h"
#include "io/kv/kv.h"
#include "io/seal/seal.h"

enum { ID_BYTES = 16, REGISTRY_FORMAT = 1 };

static_assert(2 + SL_REGISTRY_NAMESPACE_MAX + 1 + SL_SPEC_NAME_MAX <= SL_KV_KEY_SIZE_MAX,
              "namespace and name fit a key");

/* An id as it stands in keys. */
struct id {
    uint8_t bytes[ID_BYTES];
};

struct key {
    size_t size;
    uint8_t data[SL_KV_KEY_SIZE_MAX];
};

struct head {
    uint64_t oldest; /* oldest revision that can be read */
    uint64_t newest;
};

struct doorbell;

struct sl_registry {
    struct sl_kv *kv;
    char *dir; /* NULL: in memory */
    struct sl_clock *clock;
    uint64_t revisions_max;
    uint64_t age_max_ns;
    sl_registry_validate_fn *validate;
    void *validate_ctx;
    struct doorbell *doorbell;
    char *key_text;            /* of opts or environment; wiped at close; NULL: the file */
    pthread_mutex_t seal_lock; /* for `seal` */
    struct sl_seal *seal;      /* NULL until the first secret */
};

struct sl_view {
    struct sl_registry *registry;
    struct sl_kv_txn *txn;
    uint64_t revision;
    bool is_newest; /* the current indexes may be used */
};

/* A version of an object as it is stored; everything borrowed. */
struct record {
    enum sl_object_type type;
    struct id id;
    uint64_t revision;
    bool deleted;
    uint64_t created_revision;
    uint32_t ordinal;
    struct sl_slice kind;
    struct sl_slice namespace;
    struct sl_slice name;
    struct sl_slice origin_file;
    uint32_t origin_line;
    struct sl_slice source;
    uint8_t hash[SL_SEAL_HASH_SIZE];
    struct sl_slice document; /* sealed payload */
    struct sl_slice secret;   /* ciphertext of a secret's current version; else empty */
};

/* One change inside a revision record. */
struct log_change {
    enum sl_change_effect effect;
    enum sl_object_type type;
    struct id id;
    uint64_t previous; /* revision of the version before; 0: none */
    struct sl_slice namespace;
    struct sl_slice kind;
    struct sl_slice name;
};

/* The fixed part of a revision record; `rest` then yields `changes_count` changes. */
struct log_entry {
    int64_t wall_ns;
    struct sl_slice author;
    struct sl_slice message;
    uint32_t changes_count;
    struct unpack rest;
};

/* id.c */
void id_format(const struct id *id, char ret_text[SL_ID_SIZE]);
bool id_parse(struct sl_slice text, struct id *ret_id);
void id_random(struct sl_clock *clock, struct id *ret_id);
void id_derive(struct sl_slice namespace, struct sl_slice path, struct id *ret_id);

/* keys.c */
struct key key_head(void);
struct key key_fingerprint(void);
struct key key_version(enum sl_object_type type, const struct id *id, uint64_t revision);
/* prefix 'l' or 's'; namespace.data == NULL: only prefix and type; id NULL: without id. */
struct key key_member(char prefix, enum sl_object_type type, struct sl_slice namespace,
                      const struct id *id);
struct key key_name(enum sl_object_type type, struct sl_slice namespace, struct sl_slice name);
struct key key_log(uint64_t revision);
struct key key_meta(struct sl_slice namespace, struct sl_slice name);
struct key key_good(const struct id *id);
static inline struct sl_slice key_slice(const struct key *key)
{
    return sl_slice_make(key->data, key->size);
}
/* Revision at the end of a version key. */
uint64_t key_version_revision(struct sl_slice key);
uint64_t get_be64(const uint8_t *bytes);
void put_be64(uint8_t *bytes, uint64_t value);

/* record.c */
int record_put(struct sl_kv_txn *txn, const struct record *record);
int record_unpack(enum sl_object_type type, const struct id *id, uint64_t revision,
                  struct sl_slice value, struct record *ret_record);
/* The version of an object that is current at `revision`, deleted ones too. */
int record_find(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                uint64_t revision, struct record *ret_record);
int record_delete(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                  uint64_t revision);
int record_object(const struct record *record, struct sl_object **ret_object);
void log_pack_change(struct pack *pack, const struct log_change *change);
int log_get(struct sl_kv_txn *txn, uint64_t revision, struct log_entry *ret_entry);
int log_next(struct log_entry *entry, struct log_change *ret_change);

/* store.c */
int head_get(struct sl_kv_txn *txn, struct head *ret_head);
int head_put(struct sl_kv_txn *txn, const struct head *head);
/* A revision stored as the value of a key. 0, SL_KV_NOT_FOUND or -Exxx. */
int revision_get(struct sl_kv_txn *txn, const struct key *key, uint64_t *ret_revision);
int revision_put(struct sl_kv_txn *txn, const struct key *key, uint64_t revision);

/* scan.c: the objects of a view, in key order. */
struct scan {
    struct sl_view *view;
    enum sl_object_type type;
    struct key prefix;
    struct key at;
};
void scan_init(struct scan *scan, struct sl_view *view, enum sl_object_type type,
               const char *namespace);
/* 0, SL_KV_NOT_FOUND at the end, or -Exxx. Deleted objects are left out. */
int scan_next(struct scan *scan, struct record *ret_record);

/* objects.c */
int objects_push(struct sl_objects *objects, struct sl_object *object);
void objects_sort(struct sl_objects *objects);

/* filter.c: 1 matches, 0 does not, -E2BIG too deep. */
int filter_check(struct sl_value filter);
int filter_matches(struct sl_value filter, struct sl_value document);

/* retention.c */
/* Delete a version that no readable revision shows and that is not the last good one. */
int version_drop_unneeded(struct sl_kv_txn *txn, enum sl_object_type type, const struct id *id,
                          uint64_t revision, const struct head *head);
/* Drop up to `limit` revisions that are too old; tells how many it dropped. */
int retention_step(struct sl_registry *registry, struct sl_kv_txn *txn, struct head *head,
                   size_t limit, size_t *ret_dropped);

/* secret.c */
int secret_seal(struct sl_registry *registry, struct sl_kv_txn *txn, const struct record *record,
                struct sl_slice plain, struct pack *out, struct sl_diag *reterr);
/* The plaintext, in `ret_plain` (wipe_free it). */
int secret_open(struct sl_registry *registry, struct sl_kv_txn *txn, const struct record *record,
                uint8_t **ret_plain, size_t *ret_size, struct sl_diag *reterr);
void wipe_free(uint8_t *data, size_t size);

/* secret_key.c: the key of opts, environment or file; `create` makes the file if missing. */
int secret_key_load(struct sl_registry *registry, bool create, uint8_t ret_key[SL_SEAL_KEY_SIZE],
                    struct sl_diag *reterr);

/* doorbell.c */
struct doorbell *doorbell_new(const char *dir);
struct doorbell *doorbell_free(struct doorbell *doorbell);
void doorbell_ring(struct doorbell *doorbell);
