/* SPDX-License-Identifier: MIT */
/*
 * Change sets. Inside one write transaction:
 *
 *     resolve   find what each change means: id, version before, place in lists
 *     store     write versions and indexes, or find that nothing changes
 *     log       the revision, the head, the retention
 *     validate  let the loader look at the state as it would be
 *
 * Any outcome but 0 drops the transaction, so a refused change leaves nothing behind. The
 * transaction may run again after the map grew; apply_reset makes each run the first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/draft.h"

enum {
    OUTCOME_DRY_RUN = 100, /* ends the transaction of a dry run */
    RETENTION_PER_COMMIT = 4,
    LOG_TEXT_SIZE_MAX = 4096,
};

struct apply {
    struct sl_registry *registry;
    const struct sl_change_set *set;
    struct draft *drafts;         /* array of set->count */
    struct sl_commit_item *items; /* array of set->count */
    struct pack log;              /* the changes of the revision record */
    uint32_t changed;
    size_t failed_index;
    struct head head; /* with the revision about to be made */
    struct sl_kv_txn *txn;
    struct sl_diags *diags;
    size_t diags_count; /* what `diags` held before this run */
    size_t errors_count;
};

static void apply_reset(struct apply *apply, struct sl_kv_txn *txn)
{
    apply->txn = txn;
    apply->changed = 0;
    apply->log.size = 0;
    apply->failed_index = apply->set->count;
    apply->diags->count = apply->diags_count;
    apply->diags->errors_count = apply->errors_count;
    for (size_t i = 0; i < apply->set->count; i++) {
        struct sl_commit_item *item = &apply->items[i];
        apply->drafts[i].before = sl_object_free(apply->drafts[i].before);
        item->before = sl_object_free(item->before);
        item->after = sl_object_free(item->after);
        item->effect = SL_EFFECT_NONE;
    }
}

static int refuse(struct apply *apply, size_t index, int outcome)
{
    apply->failed_index = index;
    return outcome;
}

/* The id that a name has now. 0, SL_KV_NOT_FOUND or -Exxx. */
static int name_get(struct apply *apply, const struct draft *draft, struct sl_slice name,
                    struct id *ret_id)
{
    struct key key = key_name(draft->change->type, draft->namespace, name);
    struct sl_slice value;
    int r = sl_kv_get(apply->txn, key_slice(&key), &value);
    if (r != 0) return r;
    if (value.size != ID_BYTES) return -EBADMSG;
    memcpy(ret_id->bytes, value.data, ID_BYTES);
    return 0;
}

static int name_put(struct apply *apply, const struct draft *draft)
{
    struct key key = key_name(draft->change->type, draft->namespace, draft->name);
    return sl_kv_put(apply->txn, key_slice(&key), sl_slice_make(draft->id.bytes, ID_BYTES));
}

static int key_drop(struct apply *apply, struct key key)
{
    int r = sl_kv_delete(apply->txn, key_slice(&key));
    return r == SL_KV_NOT_FOUND ? 0 : r;
}

/* ------------------------------------------------------------------------------------------ */
/* Resolve.                                                                                     */

static int resolve_id(struct apply *apply, struct draft *draft)
{
    const struct sl_change *change = draft->change;
    draft->namespace = draft->given_namespace;
    if (draft->namespace.size == 0) draft->namespace = SL_SLICE("default");
    if (draft->has_id) {
        draft->id = draft->given_id;
        return 0;
    }
    if (draft->name.size > 0) {
        int r = name_get(apply, draft, draft->name, &draft->id);
        if (r != SL_KV_NOT_FOUND) return r;
    }
    if (change->path != NULL) {
        id_derive(draft->namespace, sl_slice_from_str(change->path), &draft->id);
    } else {
        id_random(apply->registry->clock, &draft->id);
    }
    return 0;
}

/* What the store has under the draft's id. */
static int resolve_before(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    struct record record;
    draft->previous = 0;
    draft->created_revision = apply->head.newest;
    draft->ordinal = (uint32_t)index;
    int r = record_find(apply->txn, draft->change->type, &draft->id, SL_REVISION_NEWEST, &record);
    if (r != 0) return r < 0 ? r : 0;
    draft->previous = record.revision;
    draft->created_revision = record.created_revision;
    draft->ordinal = record.ordinal;
    if (record.deleted) return 0;
    r = record_object(&record, &draft->before);
    if (r == 0 && draft->given_namespace.size == 0) {
        draft->namespace = sl_slice_from_str(draft->before->namespace);
    }
    return r;
}

/* The last word on whether this change may be made to what was found. */
static int resolve_check(struct apply *apply, size_t index)
{
    struct draft *draft = &apply->drafts[index];
    const struct sl_change *change = draft->change;
    const struct sl_object *before = draft->before;
    char id[SL_ID_SIZE];
    id_format(&draft->id, id);
    if (before != NULL && !sl_slice_eq_str(draft->namespace, before->namespace)) {
        draft_diag(draft, apply->diags, "conflict", "id %s belongs to namespace \"%s\"", id,
                   before->namespace);
        return refuse(apply, index, SL_REGISTRY_CONFLICT);
    }
    if (before != NULL && change->op == SL_CHANGE_CREATE) {
        draft_diag(draft, apply->diags, "conflict", "\"%s\" exists already",
                   before->name[0] != '\0' ? before->name : id);
        return refuse(apply, index, SL_REGISTRY_CONFLICT);
    }
    bool wanted =
        change->op == SL_CHANGE_UPDATE || (change->op == SL_CHANGE_DELETE && !change->missing_ok);
    if (before == NULL && wanted) {
        draft_diag(draft, apply->diags, "not_found", "\"%.*s\" is not there",
                   draft->name.size > 0 ? (int)draft->name.size : (int)sizeof(id) - 1,
                   draft->name.size > 0 ? (const char *)draft->name.data : id);
        return refuse(apply, index, SL_REGISTRY_NOT_FOUND);
    }
    uint64_t revision = before != NULL ? before->revision : 0;
    if (change->if_revision != 0 && change->if_revision != revision) {
        draft_diag(draft, apply->diags, "stale", "%s is at revision %llu, not %llu", id,
                   (unsigned long long)revision, (unsigned long long)change->if_revision);
        return refuse(apply, index, SL_REGISTRY_STALE);
    }
    return 0;
}

/* Free the names that this change set gives up, so that others of it may take them. */
static int resolve_name(struct apply *apply, struct draft *draft)
{
    const struct sl_object *before = draft->before;
    if (before == NULL || before->name[0] == '\0') return 0;
    if (draft->change->op != SL_CHANGE_DELETE && sl_slice_eq_str(draft->name, before->name)) {
        return 0;
    }
    return key_drop(
        apply, key_name(draft->change->type, draft->namespace, sl_slice_from_str(before->name)));
}

struct touched {
    enum sl_object_type type;
    struct id id;
    size_t index;
};

static int touched_order(const void *left, const void *right)
{
    const struct touched *a = left;
    const struct touched *b = right;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    int order = memcmp(a->id.bytes, b->id.bytes, ID_BYTES);
    if (order != 0) return order;
    return a->index < b->index ? -1 : 1;
}

/* A change set may touch an object once. */
static int resolve_once(struct apply *apply)
{
    size_t count = apply->set->count;
    struct touched *touched = calloc(count, sizeof(*touched));
    if (touched == NULL) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        touched[i] = (struct touched){apply->drafts[i].change->type, apply->drafts[i].id, i};
    }
    qsort(touched, count, sizeof(*touched), touched_order);
    int r = 0;
    for (size_t i = 1; i < count && r == 0; i++) {
        const struct touched *a = &touched[i - 1];
        if (a->type != touched[i].type || memcmp(&a->id, &touched[i].id, sizeof(a->id)) != 0) {
            continue;
        }
        const struct draft *draft = &apply->drafts[touched[i].index];
        draft_diag(draft, apply->diags, "conflict", "\"%.*s\" stands twice in one change set",
                   SL_SLICE_FMT(draft->name));
        r = refuse(apply, touched[i].index, SL_REGISTRY_CONFLICT);
    }
    free(touched);
    return r;
}

static int resolve(struct apply *apply)
{
    int r = 0;
    for (size_t i = 0; i < apply->set->count && r == 0; i++) {
        r = resolve_id(apply, &apply->drafts[i]);
        if (r == 0) r = resolve_before(apply, i);
        if (r == 0) r = resolve_check(apply, i);
    }
    if (r == 0) r = resolve_once(apply);
    for (size_t i = 0; i < apply->set->count && r == 0; i++) {
        r = resolve_name(apply, &apply->drafts[i]);
    }
    return r;
}

/* ------------------------------------------------------------------------------------------ */
/* Store.                                                                                       */

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
    if (r == 0) r = key_drop(apply, key_member('l', type, draft->namespace, &draft->id));
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
    uint8_t *old = NULL;
    size_t old_size = 0;
    bool given = !sl_value_is_none(draft->secret);
    if (draft->before == NULL && !given) {
        draft_diag(draft, apply->diags, "missing_field", "a new secret needs \"data\"");
        return refuse(apply, index, SL_REGISTRY_REFUSED);
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
    int r = name_get(apply, draft, draft->name, &other);
    if (r == SL_KV_NOT_FOUND) return name_put(apply, draft);
    if (r != 0 || memcmp(&other, &draft->id, sizeof(other)) == 0) return r;
    char id[SL_ID_SIZE];
    id_format(&other, id);
    draft_diag(draft, apply->diags, "conflict", "name \"%.*s\" is taken by %s",
               SL_SLICE_FMT(draft->name), id);
    return refuse(apply, index, SL_REGISTRY_CONFLICT);
}

/* A new version: record, indexes, log, and what the commit tells. */
static int store_version(struct apply *apply, size_t index, const struct record *record)
{
    struct draft *draft = &apply->drafts[index];
    struct sl_commit_item *item = &apply->items[index];
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

/* ------------------------------------------------------------------------------------------ */
/* Log, validate, commit.                                                                       */

static struct sl_slice log_text(const char *text)
{
    struct sl_slice slice = sl_slice_from_str(text);
    if (slice.size > LOG_TEXT_SIZE_MAX) slice.size = LOG_TEXT_SIZE_MAX;
    return slice;
}

static int store_log(struct apply *apply)
{
    struct pack pack = {0};
    struct sl_clock *clock = apply->registry->clock;
    size_t dropped;
    pack_u8(&pack, REGISTRY_FORMAT);
    pack_u64(&pack, (uint64_t)clock->wall_ns(clock));
    pack_slice(&pack, log_text(apply->set->author));
    pack_slice(&pack, log_text(apply->set->message));
    pack_u32(&pack, apply->changed);
    pack_raw(&pack, apply->log.data, apply->log.size);
    struct key key = key_log(apply->head.newest);
    int r = pack.error ? -ENOMEM : sl_kv_put(apply->txn, key_slice(&key), pack_result(&pack));
    pack_fini(&pack);
    if (r == 0) {
        r = retention_step(apply->registry, apply->txn, &apply->head, RETENTION_PER_COMMIT,
                           &dropped);
    }
    return r == 0 ? head_put(apply->txn, &apply->head) : r;
}

static int slice_order(const void *left, const void *right)
{
    return sl_slice_compare(*(const struct sl_slice *)left, *(const struct sl_slice *)right);
}

static int validate_one(struct apply *apply, struct sl_slice namespace)
{
    struct sl_registry *registry = apply->registry;
    struct sl_view view = {
        .registry = registry,
        .txn = apply->txn,
        .revision = apply->head.newest,
        .is_newest = true,
    };
    char *name = sl_slice_dup_str(namespace);
    if (name == NULL) return -ENOMEM;
    int r = registry->validate(registry->validate_ctx, &view, name, apply->diags);
    free(name);
    sl_assert(r <= 0);
    return r;
}

/* Ask the validator about each namespace in which specs change. */
static int validate(struct apply *apply)
{
    if (apply->registry->validate == NULL) return 0;
    size_t errors = apply->diags->errors_count;
    size_t count = 0;
    struct sl_slice *names = calloc(apply->set->count, sizeof(*names));
    if (names == NULL) return -ENOMEM;
    for (size_t i = 0; i < apply->set->count; i++) {
        bool is_spec = apply->drafts[i].change->type == SL_OBJECT_SPEC;
        if (is_spec && apply->items[i].effect != SL_EFFECT_NONE) {
            names[count++] = apply->drafts[i].namespace;
        }
    }
    if (count > 1) qsort(names, count, sizeof(*names), slice_order);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        if (i > 0 && sl_slice_eq(names[i - 1], names[i])) continue;
        r = validate_one(apply, names[i]);
    }
    free(names);
    if (r == 0 && apply->diags->errors_count > errors) r = SL_REGISTRY_REFUSED;
    return r;
}

static int apply_write(struct sl_kv_txn *txn, void *ctx)
{
    struct apply *apply = ctx;
    const struct sl_change_set *set = apply->set;
    apply_reset(apply, txn);
    int r = head_get(txn, &apply->head);
    if (r != 0) return r;
    if (set->if_revision != SL_REVISION_ANY && set->if_revision != apply->head.newest) {
        struct sl_diag diag = {0};
        (void)sl_diag_set(
            &diag, "stale", (struct sl_pos){0, 0}, "the registry is at revision %llu, not %llu",
            (unsigned long long)apply->head.newest, (unsigned long long)set->if_revision);
        (void)sl_diags_push(apply->diags, &diag);
        return SL_REGISTRY_STALE;
    }
    apply->head.newest++;
    r = resolve(apply);
    for (size_t i = 0; i < set->count && r == 0; i++) {
        bool is_delete = set->changes[i].op == SL_CHANGE_DELETE;
        r = is_delete ? store_delete(apply, i) : store_put(apply, i);
        if (r != 0 && apply->failed_index == set->count) apply->failed_index = i;
    }
    if (r == 0 && apply->changed > 0)
        r = store_log(apply);
    else
        apply->head.newest--;
    if (r == 0 && apply->changed > 0) r = validate(apply);
    return r == 0 && set->dry_run ? OUTCOME_DRY_RUN : r;
}

/* Take all changes apart before the transaction, so that every mistake is told at once. */
static int apply_parse(struct apply *apply)
{
    int r = 0;
    for (size_t i = 0; i < apply->set->count; i++) {
        int outcome = draft_parse(&apply->set->changes[i], &apply->drafts[i], apply->diags);
        if (outcome != 0 && r == 0) apply->failed_index = i;
        if (outcome != 0) r = outcome;
    }
    return r;
}

static void apply_finish(struct apply *apply, int r, struct sl_commit *ret_commit)
{
    struct sl_commit commit = {
        .revision = apply->head.newest,
        .changed = apply->changed,
        .failed_index = apply->set->count,
        .items = apply->items,
        .count = apply->set->count,
    };
    if (r != 0 || ret_commit == NULL) {
        size_t failed_index = apply->failed_index;
        sl_commit_fini(&commit);
        commit.failed_index = failed_index;
    }
    if (ret_commit != NULL) *ret_commit = commit;
    for (size_t i = 0; apply->drafts != NULL && i < apply->set->count; i++) {
        apply->drafts[i].before = sl_object_free(apply->drafts[i].before);
    }
    free(apply->drafts);
    pack_fini(&apply->log);
}

/* The store itself failed: say so, with what to do about it. */
static void tell_failure(struct apply *apply, int err)
{
    const char *dir = apply->registry->dir;
    struct sl_diag diag = {0};
    (void)sl_diag_set(&diag, "storage", (struct sl_pos){0, 0}, "nothing was stored in %s: %s",
                      dir != NULL ? dir : "memory", strerror(-err));
    if (err == -ENOSPC) sl_diag_hint(&diag, "the disk is full: free some space and try again");
    (void)sl_diags_push(apply->diags, &diag);
}

static int apply_run(struct apply *apply)
{
    int r = apply_parse(apply);
    if (r != 0) return r;
    apply->diags_count = apply->diags->count;
    apply->errors_count = apply->diags->errors_count;
    r = sl_kv_write(apply->registry->kv, apply_write, apply);
    if (r == 0 && apply->changed > 0) doorbell_ring(apply->registry->doorbell);
    if (r < 0 && apply->diags->errors_count == apply->errors_count) tell_failure(apply, r);
    return r == OUTCOME_DRY_RUN ? 0 : r;
}

int sl_registry_apply(struct sl_registry *registry, const struct sl_change_set *set,
                      struct sl_commit *ret_commit, struct sl_diags *diags)
{
    sl_assert(registry != NULL);
    sl_assert(set != NULL);
    sl_assert(set->changes != NULL || set->count == 0);
    struct sl_diags own = {0};
    struct apply apply = {
        .registry = registry,
        .set = set,
        .failed_index = set->count,
        .diags = diags != NULL ? diags : &own,
    };
    if (ret_commit != NULL) *ret_commit = (struct sl_commit){.failed_index = set->count};
    if (set->count > SL_REGISTRY_CHANGES_MAX) return -E2BIG;
    apply.drafts = calloc(set->count + 1, sizeof(*apply.drafts));
    apply.items = calloc(set->count + 1, sizeof(*apply.items));
    int r = apply.drafts != NULL && apply.items != NULL ? apply_run(&apply) : -ENOMEM;
    apply_finish(&apply, r, ret_commit);
    sl_diags_fini(&own);
    return r;
}

void sl_commit_fini(struct sl_commit *commit)
{
    for (size_t i = 0; commit->items != NULL && i < commit->count; i++) {
        (void)sl_object_free(commit->items[i].before);
        (void)sl_object_free(commit->items[i].after);
    }
    free(commit->items);
    *commit = (struct sl_commit){0};
}
