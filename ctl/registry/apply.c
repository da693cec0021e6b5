/* SPDX-License-Identifier: MIT */
/* Change sets: the transaction around them, its log, and the validator. apply.h has the picture. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/registry/apply.h"

enum {
    OUTCOME_DRY_RUN = 100, /* ends the transaction of a dry run */
    RETENTION_PER_COMMIT = 4,
    LOG_TEXT_SIZE_MAX = 4096,
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

static struct sl_slice log_text(const char *text)
{
    struct sl_slice slice = sl_slice_from_str(text);
    if (slice.size > LOG_TEXT_SIZE_MAX) slice.size = LOG_TEXT_SIZE_MAX;
    return slice;
}

static int store_log(struct apply *apply)
{
    sl_assert(apply->changed > 0);
    sl_assert(apply->changed <= apply->set->count);
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
    r = apply_resolve(apply);
    for (size_t i = 0; i < set->count && r == 0; i++) {
        r = apply_store(apply, i);
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
