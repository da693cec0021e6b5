/* SPDX-License-Identifier: MIT */
/*
 * Sealing of secrets' values. The plaintext is a sealed payload (any value); it is bound to id,
 * namespace and name of its secret, so ciphertext that is moved to another secret does not open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

void wipe_free(uint8_t *data, size_t size)
{
    if (data != NULL) sl_seal_wipe(data, size);
    free(data);
}

/* 1 if the store remembers a key's fingerprint (into `ret_print`), 0 if not, or -Exxx. */
static int fingerprint_get(struct sl_kv_txn *txn, uint8_t ret_print[SL_SEAL_HASH_SIZE])
{
    struct key key = key_fingerprint();
    struct sl_slice value;
    int r = sl_kv_get(txn, key_slice(&key), &value);
    if (r != 0) return r < 0 ? r : 0;
    if (value.size != SL_SEAL_HASH_SIZE) return -EBADMSG;
    memcpy(ret_print, value.data, value.size);
    return 1;
}

/* With seal_lock held: load the key, if it is the one that the store was sealed with. */
static int seal_load(struct sl_registry *registry, bool create, struct sl_diag *reterr)
{
    sl_assert(registry->seal == NULL);
    uint8_t key[SL_SEAL_KEY_SIZE];
    int r = secret_key_load(registry, create, key, reterr);
    if (r == 0) r = sl_seal_new(key, &registry->seal);
    sl_seal_wipe(key, sizeof(key));
    return r;
}

/* With seal_lock held: a seal whose key fits the store. */
static int seal_check(struct sl_registry *registry, struct sl_kv_txn *txn, bool writing,
                      struct sl_diag *reterr)
{
    uint8_t stored[SL_SEAL_HASH_SIZE];
    uint8_t own[SL_SEAL_HASH_SIZE];
    int known = fingerprint_get(txn, stored);
    if (known < 0) return known;
    int r = registry->seal != NULL ? 0 : seal_load(registry, writing && known == 0, reterr);
    if (r != 0) return r;
    sl_seal_fingerprint(registry->seal, own);
    if (known == 1 && memcmp(stored, own, sizeof(own)) != 0) {
        registry->seal = sl_seal_free(registry->seal);
        (void)sl_diag_set(reterr, "secret_key", (struct sl_pos){0, 0},
                          "the secrets of this registry were sealed with another key");
        return -EKEYREJECTED;
    }
    if (known == 1 || !writing) return 0;
    struct key key = key_fingerprint();
    return sl_kv_put(txn, key_slice(&key), sl_slice_make(own, sizeof(own)));
}

static int seal_get(struct sl_registry *registry, struct sl_kv_txn *txn, bool writing,
                    struct sl_diag *reterr)
{
    (void)pthread_mutex_lock(&registry->seal_lock);
    int r = seal_check(registry, txn, writing, reterr);
    (void)pthread_mutex_unlock(&registry->seal_lock);
    return r;
}

static int context_make(const struct record *record, struct pack *ret_context)
{
    struct pack context = {0};
    pack_raw(&context, record->id.bytes, ID_BYTES);
    pack_slice(&context, record->namespace);
    pack_slice(&context, record->name);
    if (context.error) pack_fini(&context);
    *ret_context = context;
    return context.data != NULL ? 0 : -ENOMEM;
}

int secret_seal(struct sl_registry *registry, struct sl_kv_txn *txn, const struct record *record,
                struct sl_slice plain, struct pack *out, struct sl_diag *reterr)
{
    sl_assert(record->type == SL_OBJECT_SECRET);
    struct pack context;
    int r = seal_get(registry, txn, true, reterr);
    if (r == 0) r = context_make(record, &context);
    if (r != 0) return r;
    size_t size = plain.size + SL_SEAL_OVERHEAD;
    uint8_t *sealed = malloc(size);
    if (sealed != NULL) {
        sl_seal_encrypt(registry->seal, pack_result(&context), plain, sealed);
        pack_raw(out, sealed, size);
    }
    bool failed = sealed == NULL || out->error;
    free(sealed);
    pack_fini(&context);
    return failed ? -ENOMEM : 0;
}

int secret_open(struct sl_registry *registry, struct sl_kv_txn *txn, const struct record *record,
                uint8_t **ret_plain, size_t *ret_size, struct sl_diag *reterr)
{
    sl_assert(record->type == SL_OBJECT_SECRET);
    struct pack context;
    if (record->secret.size < SL_SEAL_OVERHEAD) return -EBADMSG;
    int r = seal_get(registry, txn, false, reterr);
    if (r == 0) r = context_make(record, &context);
    if (r != 0) return r;
    size_t size = record->secret.size - SL_SEAL_OVERHEAD;
    uint8_t *plain = malloc(size + 1);
    r = plain == NULL
            ? -ENOMEM
            : sl_seal_decrypt(registry->seal, pack_result(&context), record->secret, plain);
    pack_fini(&context);
    if (r != 0) {
        wipe_free(plain, size);
        if (r == -EKEYREJECTED) {
            (void)sl_diag_set(reterr, "secret_key", (struct sl_pos){0, 0},
                              "secret \"%.*s\" does not open with this key",
                              SL_SLICE_FMT(record->name));
        }
        return r;
    }
    *ret_plain = plain;
    *ret_size = size;
    return 0;
}

/* The record of a secret's current version. */
static int secret_record(struct sl_view *view, const char *namespace, const char *id,
                         const char *name, struct record *ret_record)
{
    struct id parsed;
    struct sl_slice ns = sl_slice_from_str(namespace);
    if (ns.size > SL_REGISTRY_NAMESPACE_MAX) return SL_REGISTRY_NOT_FOUND;
    if (id != NULL && id[0] != '\0') {
        if (!id_parse(sl_slice_from_str(id), &parsed)) return SL_REGISTRY_NOT_FOUND;
    } else {
        struct sl_slice text = sl_slice_from_str(name);
        struct sl_slice value;
        if (text.size == 0 || text.size > SL_SPEC_NAME_MAX) return SL_REGISTRY_NOT_FOUND;
        struct key key = key_name(SL_OBJECT_SECRET, ns, text);
        int r = sl_kv_get(view->txn, key_slice(&key), &value);
        if (r != 0) return r;
        if (value.size != ID_BYTES) return -EBADMSG;
        memcpy(parsed.bytes, value.data, ID_BYTES);
    }
    int r = record_find(view->txn, SL_OBJECT_SECRET, &parsed, SL_REVISION_NEWEST, ret_record);
    if (r != 0) return r;
    bool visible = !ret_record->deleted && sl_slice_eq(ret_record->namespace, ns);
    return visible ? 0 : SL_REGISTRY_NOT_FOUND;
}

int sl_registry_secret_value(struct sl_view *view, const char *namespace, const char *id,
                             const char *name, struct sl_value *ret_value, struct sl_diag *reterr)
{
    sl_assert(view != NULL);
    sl_assert(namespace != NULL);
    sl_assert(ret_value != NULL);
    struct record record;
    uint8_t *plain;
    size_t size;
    int r = secret_record(view, namespace, id, name, &record);
    if (r == 0) r = secret_open(view->registry, view->txn, &record, &plain, &size, reterr);
    if (r != 0) return r;
    r = sl_flat_verify(plain, size, NULL);
    if (r == 0) r = sl_flat_open(plain, size, NULL, NULL, ret_value);
    wipe_free(plain, size);
    return r;
}
