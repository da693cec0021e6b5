/* SPDX-License-Identifier: MIT */
/* Store: write what a resolved change says, or find that nothing changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/apply.h"

static int name_put(struct apply *apply, const struct draft *draft)
{
    struct key key = key_name(draft->change->type, draft->namespace, draft->name);
    return sl_kv_put(apply->txn, key_slice(&key), sl_slice_make(draft->id.bytes, ID_BYTES));
}

static int log_add(struct apply *apply, const struct draft *draft, enum sl_change_effect effect)
{
    bool gone = effect == SL_EFFECT_DELETED;
    struct log_change change = {
        .effect = effect,
        .type = draft->change->type,
        .id = draft->id,
        .previous = draft->previous,
        .namespace = draft->namespace,
        .kind = gone ? sl_slice_from_str(draft->before->kind) : draft->kind,
        .name = gone ? sl_slice_from_str(draft->before->name) : draft->name,
    };
    log_pack_change(&apply->log, &change);
    apply->changed++;
    return apply->log.error ? -ENOMEM : 0;
}

/* The old version of a secret keeps its metadata and loses its ciphertext. */
static int secret_scrub(struct apply *apply, const struct draft *draft)
{
    if (draft->change->type != SL_OBJECT_SECRET || draft->before == NULL) return 0;
    struct key key = key_version(SL_OBJECT_SECRET, &draft->id, draft->previous);
    struct sl_slice value;
    struct record record;
    int r = sl_kv_get(apply->txn, key_slice(&key), &value);
    if (r != 0) return r < 0 ? r : -EBADMSG;
    uint8_t *copy = (uint8_t *)sl_slice_dup_str(value); /* the store's bytes move on a put */
    if (copy == NULL) return -ENOMEM;
    r = record_unpack(SL_OBJECT_SECRET, &draft->id, draft->previous,
                      sl_slice_make(copy, value.size), &record);
    record.secret = sl_slice_make(NULL, 0);
    if (r == 0) r = record_put(apply->txn, &record);
    free(copy);
    return r;
}

static int good_forget(struct apply *apply, const struct draft *draft)
{
    struct key key = key_good(&draft->id);
    uint64_t good;
    int r = revision_get(apply->txn, &key, &good);
    if (r != 0) return r < 0 ? r : 0;
    r = sl_kv_delete(apply->txn, key_slice(&key));
    if (r != 0) return r;
    return version_drop_unneeded(apply->txn, SL_OBJECT_SPEC, &draft->id, good, &apply->head);
}

static int store_delete(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    struct sl_commit_item *item = &apply->items[index];
    enum sl_object_type type = draft->change->type;
    if (draft->before == NULL) return 0;
    struct record record = {
        .type = type,
        .id = draft->id,
        .revision = apply->head.newest,
        .deleted = true,
        .created_revision = draft->created_revision,
        .ordinal = draft->ordinal,
        .namespace = draft->namespace,
    };
    int r = record_put(apply->txn, &record);
    if (r == 0) r = apply_key_drop(apply, key_member('l', type, draft->namespace, &draft->id));
    if (r == 0) r = secret_scrub(apply, draft);
    if (r == 0 && type == SL_OBJECT_SPEC) r = good_forget(apply, draft);
    if (r == 0) r = log_add(apply, draft, SL_EFFECT_DELETED);
    item->effect = SL_EFFECT_DELETED;
    item->before = draft->before;
    draft->before = NULL;
    return r;
}

static struct record draft_record(const struct apply *apply, const struct draft *draft)
{
    const struct sl_change *change = draft->change;
    return (struct record){
        .type = change->type,
        .id = draft->id,
        .revision = apply->head.newest,
        .created_revision = draft->created_revision,
        .ordinal = draft->ordinal,
        .kind = draft->kind,
        .namespace = draft->namespace,
        .name = draft->name,
        .origin_file = sl_slice_from_str(change->origin_file),
        .origin_line = change->origin_line,
        .source = change->source,
    };
}

/* A secret that is there: its current plaintext, under the name that it has. */
static int secret_before(struct apply *apply, const struct draft *draft, uint8_t **ret_plain,
                         size_t *ret_size, struct sl_diag *reterr)
{
    struct record record;
    int r = record_find(apply->txn, SL_OBJECT_SECRET, &draft->id, SL_REVISION_NEWEST, &record);
    if (r != 0) return r < 0 ? r : -EBADMSG;
    return secret_open(apply->registry, apply->txn, &record, ret_plain, ret_size, reterr);
}

/* The value to seal: the given one, else the one that is there. `ret_same`: they are equal. */
static int secret_plain(struct apply *apply, size_t index, uint8_t **ret_plain, size_t *ret_size,
                        bool *ret_same, struct sl_diag *reterr)
{
    struct draft *draft = &apply->drafts[index];
    sl_assert(draft->change->type == SL_OBJECT_SECRET);
    uint8_t *old = NULL;
    size_t old_size = 0;
    bool given = !sl_value_is_none(draft->secret);
    if (draft->before == NULL && !given) {
        draft_diag(draft, apply->diags, "missing_field", "a new secret needs \"data\"");
        return apply_refuse(apply, index, SL_REGISTRY_REFUSED);
    }
    int r = 0;
    if (draft->before != NULL) {
        r = secret_before(apply, draft, &old, &old_size, reterr);
        if (r != 0 && !given) return r;
        if (r != 0 && r != -EKEYREJECTED && r != -EBADMSG) return r;
    }
    if (!given) {
        *ret_plain = old;
        *ret_size = old_size;
        *ret_same = true;
        return 0;
    }
    r = sl_flat_seal_dup(draft->secret, NULL, ret_plain, ret_size);
    *ret_same =
        r == 0 && old != NULL && old_size == *ret_size && memcmp(old, *ret_plain, old_size) == 0;
    wipe_free(old, old_size);
    return r;
}

/* Seal the secret's value into `out`; its record's identity is known. */
static int seal_secret(struct apply *apply, size_t index, const struct record *record,
                       struct pack *out, bool *ret_same)
{
    struct sl_diag diag = {0};
    uint8_t *plain = NULL;
    size_t size = 0;
    int r = secret_plain(apply, index, &plain, &size, ret_same, &diag);
    if (r == 0) {
        r = secret_seal(apply->registry, apply->txn, record, sl_slice_make(plain, size), out,
                        &diag);
        wipe_free(plain, size);
    }
    if (r < 0 && diag.text[0] != '\0') (void)sl_diags_push(apply->diags, &diag);
    return r;
}

/* The same content: no revision. Where the author moved it in the file is noted in place. */
static int store_same(struct apply *apply, size_t index, const struct record *record)
{
    struct draft *draft = &apply->drafts[index];
    struct sl_commit_item *item = &apply->items[index];
    const struct sl_object *before = draft->before;
    const struct sl_change *change = draft->change;
    sl_assert(before != NULL);
    int r = 0;
    bool moved =
        change->origin_file != NULL && (strcmp(change->origin_file, before->origin_file) != 0 ||
                                        change->origin_line != before->origin_line ||
                                        !sl_slice_eq(change->source, before->source));
    if (moved && change->type == SL_OBJECT_SPEC) {
        struct record same = *record;
        same.revision = before->revision;
        r = record_put(apply->txn, &same);
    }
    item->effect = SL_EFFECT_NONE;
    item->after = draft->before;
    draft->before = NULL;
    return r;
}

static int store_name(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    struct id other;
    if (draft->name.size == 0) return 0;
    int r = apply_name_get(apply, draft, draft->name, &other);
    if (r == SL_KV_NOT_FOUND) return name_put(apply, draft);
    if (r != 0 || memcmp(&other, &draft->id, sizeof(other)) == 0) return r;
    char id[SL_ID_SIZE];
    id_format(&other, id);
    draft_diag(draft, apply->diags, "conflict", "name \"%.*s\" is taken by %s",
               SL_SLICE_FMT(draft->name), id);
    return apply_refuse(apply, index, SL_REGISTRY_CONFLICT);
}

/* A new version: record, indexes, log, and what the commit tells. */
static int store_version(struct apply *apply, size_t index, const struct record *record)
{
    struct draft *draft = &apply->drafts[index];
    struct sl_commit_item *item = &apply->items[index];
    sl_assert(record->revision == apply->head.newest);
    sl_assert(record->created_revision <= record->revision);
    struct key live = key_member('l', record->type, record->namespace, &record->id);
    struct key seen = key_member('s', record->type, record->namespace, &record->id);
    item->effect = draft->before != NULL ? SL_EFFECT_UPDATED : SL_EFFECT_CREATED;
    int r = store_name(apply, index);
    if (r == 0) r = secret_scrub(apply, draft);
    if (r == 0) r = record_put(apply->txn, record);
    if (r == 0) r = revision_put(apply->txn, &live, record->revision);
    if (r == 0) r = sl_kv_put(apply->txn, key_slice(&seen), SL_SLICE(""));
    if (r == 0) r = log_add(apply, draft, item->effect);
    if (r == 0) r = record_object(record, &item->after);
    item->before = draft->before;
    draft->before = NULL;
    return r;
}

static int store_document(struct apply *apply, size_t index, struct record *record)
{
    struct draft *draft = &apply->drafts[index];
    bool is_secret = record->type == SL_OBJECT_SECRET;
    struct pack sealed = {0};
    bool same_value = true;
    sl_seal_hash(record->document, record->hash);
    int r = is_secret ? seal_secret(apply, index, record, &sealed, &same_value) : 0;
    if (r != 0) return r;
    record->secret = pack_result(&sealed);
    bool same =
        draft->before != NULL && same_value && sl_slice_eq(record->document, draft->before->sealed);
    r = same ? store_same(apply, index, record) : store_version(apply, index, record);
    pack_fini(&sealed);
    return r;
}

static int store_put(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    struct record record = draft_record(apply, draft);
    uint8_t *document;
    size_t size;
    int r = draft_document(draft, &document, &size);
    if (r == -E2BIG) draft_diag(draft, apply->diags, "too_large", "the document is too large");
    if (r != 0) return r;
    record.document = sl_slice_make(document, size);
    r = store_document(apply, index, &record);
    free(document);
    return r;
}

int apply_store(struct apply *apply, size_t index)
{
    sl_assert(index < apply->set->count);
    bool is_delete = apply->set->changes[index].op == SL_CHANGE_DELETE;
    return is_delete ? store_delete(apply, index) : store_put(apply, index);
}
