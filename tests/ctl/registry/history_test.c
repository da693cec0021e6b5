/* SPDX-License-Identifier: MIT */
/* History, differences, rollback and retention, over both backends. */
#include "tests/ctl/registry/fixture.h"

#include <errno.h>

#include "io/kv/kv.h"

#define REGISTRY(state) (((struct fixture *)*(state))->registry)

static void history_tellsWhoWhenAndWhat(void **state)
{
    struct fixture *fixture = *state;
    struct sl_registry *registry = fixture->registry;
    (void)put_spec(registry, "default", "a", "1");
    sl_clock_manual_advance(&fixture->clock, 5 * SL_NS_PER_SEC);
    (void)put_spec(registry, "other", "b", "1");
    assert_int_equal(delete_spec(registry, "default", "a"), 0);
    struct sl_history history;
    assert_int_equal(sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 100, &history), 0);
    assert_int_equal(history.count, 3);
    assert_int_equal(history.newest, 3);
    assert_int_equal(history.entries[0].revision, 3);
    assert_int_equal(history.entries[0].changes[0].effect, SL_EFFECT_DELETED);
    assert_string_equal(history.entries[0].changes[0].name, "a");
    assert_string_equal(history.entries[0].changes[0].kind, "snippet");
    assert_string_equal(history.entries[1].changes[0].namespace, "other");
    assert_int_equal(history.entries[2].changes[0].effect, SL_EFFECT_CREATED);
    assert_string_equal(history.entries[2].author, "test");
    assert_string_equal(history.entries[2].message, "one change");
    assert_true(history.entries[1].wall_ns - history.entries[2].wall_ns ==
                5 * (int64_t)SL_NS_PER_SEC);
    sl_history_fini(&history);
    assert_int_equal(sl_registry_history(registry, "default", SL_REVISION_NEWEST, 1, &history), 0);
    assert_int_equal(history.count, 1);
    assert_int_equal(history.entries[0].revision, 3);
    sl_history_fini(&history);
    assert_int_equal(sl_registry_history(registry, "default", 2, 9, &history), 0);
    assert_int_equal(history.count, 1);
    assert_int_equal(history.entries[0].revision, 1);
    sl_history_fini(&history);
}

static const struct sl_diff_field *field_of(const struct sl_diff_item *item, const char *path)
{
    for (size_t i = 0; i < item->fields_count; i++) {
        if (strcmp(item->fields[i].path, path) == 0) return &item->fields[i];
    }
    return NULL;
}

static void diff_betweenRevisions_namesFields(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "same", "1");
    (void)put_spec(registry, "default", "gone", "1");
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = doc("kind", "k", "name", "c", "old", "1", "deep.a", "1", "x y", "1", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    change.document = doc("kind", "k", "name", "c", "new", "1", "deep.b", "1", "x y", "2", NULL);
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    assert_int_equal(delete_spec(registry, "default", "gone"), 0);
    (void)put_spec(registry, "default", "added", "1");
    struct sl_diff diff;
    assert_int_equal(sl_registry_diff(registry, "default", 3, SL_REVISION_NEWEST, &diff), 0);
    assert_int_equal(diff.to, 6);
    assert_int_equal(diff.count, 3);
    assert_int_equal(diff.items[0].effect, SL_EFFECT_DELETED);
    assert_string_equal(diff.items[0].before->name, "gone");
    const struct sl_diff_item *item = &diff.items[1];
    assert_int_equal(item->effect, SL_EFFECT_UPDATED);
    assert_int_equal(item->fields_count, 5);
    assert_true(sl_value_is_none(field_of(item, "old")->after));
    assert_true(sl_value_is_none(field_of(item, "new")->before));
    assert_non_null(field_of(item, "deep.a"));
    assert_non_null(field_of(item, "deep.b"));
    assert_true(sl_slice_eq_str(sl_value_slice(field_of(item, "[\"x y\"]")->after), "2"));
    assert_int_equal(diff.items[2].effect, SL_EFFECT_CREATED);
    sl_diff_fini(&diff);
    assert_int_equal(sl_registry_diff(registry, "default", 0, 2, &diff), 0);
    assert_int_equal(diff.count, 2);
    sl_diff_fini(&diff);
    assert_int_equal(sl_registry_diff(registry, "default", 4, 4, &diff), 0);
    assert_int_equal(diff.count, 0);
    sl_diff_fini(&diff);
    assert_int_equal(sl_registry_diff(registry, "default", 4, 99, &diff), SL_REGISTRY_GONE);
}

/* {kind, name, list: [[1, 2], {a: n}]} with the given numbers. */
static struct sl_value doc_list(int64_t first, int64_t second, bool longer)
{
    struct sl_builder builder;
    struct sl_value value;
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "kind");
    sl_build_string_str(&builder, "k");
    sl_build_key_str(&builder, "name");
    sl_build_string_str(&builder, "l");
    sl_build_key_str(&builder, "list");
    sl_build_list_begin(&builder);
    sl_build_list_begin(&builder);
    sl_build_int(&builder, first);
    if (longer) sl_build_int(&builder, 9);
    sl_build_list_end(&builder);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "a");
    sl_build_int(&builder, second);
    sl_build_map_end(&builder);
    sl_build_list_end(&builder);
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    return value;
}

static void diff_insideLists_namesIndexes(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_change change = {
        .op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = doc_list(1, 1, false)};
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    change.document = doc_list(2, 2, true);
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    struct sl_diff diff;
    assert_int_equal(sl_registry_diff(registry, NULL, 1, 2, &diff), 0);
    assert_int_equal(diff.count, 1);
    assert_int_equal(diff.items[0].fields_count, 3);
    assert_non_null(field_of(&diff.items[0], "list[0][0]"));
    assert_non_null(field_of(&diff.items[0], "list[1].a"));
    const struct sl_diff_field *added = field_of(&diff.items[0], "list[0][1]");
    assert_true(sl_value_is_none(added->before));
    assert_int_equal(added->after.cell->i64, 9);
    sl_diff_fini(&diff);
}

static void rollback_restoresOneNamespaceOnTop(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    (void)put_spec(registry, "default", "gone", "1");
    (void)put_spec(registry, "other", "o", "1");
    uint64_t wanted = newest(registry);
    (void)put_spec(registry, "default", "a", "2");
    assert_int_equal(delete_spec(registry, "default", "gone"), 0);
    (void)put_spec(registry, "default", "extra", "1");
    (void)put_spec(registry, "other", "o", "2");
    struct sl_commit commit;
    assert_int_equal(sl_registry_rollback(registry, "default", wanted, "me", NULL, &commit, NULL),
                     0);
    assert_int_equal(commit.revision, 8);
    assert_int_equal(commit.changed, 3);
    sl_commit_fini(&commit);
    assert_code(registry, "a", SL_REVISION_NEWEST, "1");
    assert_code(registry, "gone", SL_REVISION_NEWEST, "1");
    assert_code(registry, "extra", SL_REVISION_NEWEST, NULL);
    char *other = field_at(registry, "other", "o", SL_REVISION_NEWEST, "code");
    assert_string_equal(other, "2");
    free(other);
    struct sl_objects then;
    struct sl_objects now;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", wanted, &then, NULL),
                     0);
    assert_int_equal(
        sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST, &now, NULL),
        0);
    assert_int_equal(then.count, now.count);
    for (size_t i = 0; i < now.count; i++) { /* order, ids and bytes are as they were */
        assert_string_equal(then.items[i]->id, now.items[i]->id);
        assert_true(sl_slice_eq(then.items[i]->sealed, now.items[i]->sealed));
    }
    sl_objects_fini(&then);
    sl_objects_fini(&now);
    struct sl_history history;
    assert_int_equal(sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 1, &history), 0);
    assert_string_equal(history.entries[0].message, "rollback to 3");
    assert_string_equal(history.entries[0].author, "me");
    sl_history_fini(&history);
    /* A second one has nothing to do, and nothing to come back to is gone. */
    assert_int_equal(sl_registry_rollback(registry, "default", wanted, "me", NULL, &commit, NULL),
                     0);
    assert_int_equal(commit.changed, 0);
    sl_commit_fini(&commit);
    assert_int_equal(newest(registry), 8);
    assert_int_equal(sl_registry_rollback(registry, "default", 99, "me", NULL, &commit, NULL),
                     SL_REGISTRY_GONE);
}

static void rollback_ofRenames_isOneRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char a[SL_ID_SIZE];
    char b[SL_ID_SIZE];
    sl_registry_id_derive("default", "x#0", a);
    sl_registry_id_derive("default", "x#1", b);
    for (int i = 0; i < 2; i++) {
        struct sl_value first = doc("kind", "k", "name", i == 0 ? "one" : "two", NULL);
        struct sl_value second = doc("kind", "k", "name", i == 0 ? "two" : "one", NULL);
        struct sl_change changes[2] = {
            {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .id = a, .document = first},
            {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .id = b, .document = second},
        };
        struct sl_change_set set = {.changes = changes, .count = 2, .if_revision = SL_REVISION_ANY};
        assert_int_equal(sl_registry_apply(registry, &set, NULL, NULL), 0);
        sl_value_unref(first);
        sl_value_unref(second);
    }
    assert_int_equal(sl_registry_rollback(registry, "default", 1, NULL, NULL, NULL, NULL), 0);
    struct sl_view *view;
    struct sl_object *object;
    assert_int_equal(sl_view_open(registry, 3, &view), 0);
    assert_int_equal(sl_view_find(view, SL_OBJECT_SPEC, "default", "one", &object), 0);
    assert_string_equal(object->id, a);
    object = sl_object_free(object);
    view = sl_view_close(view);
}

/* ------------------------------------------------------------------------------------------ */
/* Retention.                                                                                   */

static int reopen(struct fixture *fixture, uint64_t revisions_max)
{
    fixture->registry = sl_registry_close(fixture->registry);
    fixture->opts.revisions_max = revisions_max;
    return sl_registry_open(fixture->dir, &fixture->opts, &fixture->registry, NULL);
}

static void retention_beyondCount_dropsTheOldest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(reopen(fixture, 10), 0);
    struct sl_registry *registry = fixture->registry;
    (void)put_spec(registry, "default", "steady", "1");
    for (int i = 0; i < 40; i++) {
        char code[8];
        (void)snprintf(code, sizeof(code), "%d", i);
        (void)put_spec(registry, "default", "a", code);
    }
    struct sl_history history;
    assert_int_equal(sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 100, &history), 0);
    assert_int_equal(history.newest, 41);
    assert_int_equal(history.oldest, 32);
    assert_int_equal(history.count, 10);
    sl_history_fini(&history);
    struct sl_view *view;
    assert_int_equal(sl_view_open(registry, 31, &view), SL_REGISTRY_GONE);
    for (uint64_t revision = 32; revision <= 41; revision++) {
        char code[8];
        (void)snprintf(code, sizeof(code), "%d", (int)revision - 2);
        assert_code(registry, "a", revision, code);
        assert_code(registry, "steady", revision, "1");
    }
    assert_int_equal(sl_registry_rollback(registry, "default", 31, NULL, NULL, NULL, NULL),
                     SL_REGISTRY_GONE);
}

static void retention_beyondAge_keepsOnlyWhatIsCurrent(void **state)
{
    struct fixture *fixture = *state;
    struct sl_registry *registry = fixture->registry;
    (void)put_spec(registry, "default", "a", "1");
    (void)put_spec(registry, "default", "a", "2");
    assert_int_equal(delete_spec(registry, "default", "a"), 0);
    (void)put_spec(registry, "default", "b", "1");
    assert_int_equal(sl_registry_maintain(registry), 0);
    assert_code(registry, "a", 2, "2"); /* young enough */
    sl_clock_manual_advance(&fixture->clock, UINT64_C(31) * 86400 * SL_NS_PER_SEC);
    (void)put_spec(registry, "default", "c", "1");
    assert_int_equal(sl_registry_maintain(registry), 0);
    struct sl_history history;
    assert_int_equal(sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 100, &history), 0);
    assert_int_equal(history.oldest, 4); /* it was current until a moment ago */
    sl_history_fini(&history);
    assert_code(registry, "b", 4, "1");
    assert_code(registry, "c", 5, "1");
    (void)put_spec(registry, "default", "a", "again");
    assert_code(registry, "a", 5, NULL);
    assert_code(registry, "a", 6, "again");
}

static int count_keys(struct sl_kv *kv)
{
    struct sl_kv_txn *txn;
    struct sl_kv_pair pair;
    uint8_t at[SL_KV_KEY_SIZE_MAX + 1] = {0};
    size_t size = 1;
    int count = 0;
    assert_int_equal(sl_kv_read_begin(kv, &txn), 0);
    while (sl_kv_seek(txn, sl_slice_make(at, size), &pair) == 0) {
        memcpy(at, pair.key.data, pair.key.size);
        at[pair.key.size] = 0;
        size = pair.key.size + 1;
        count++;
    }
    txn = sl_kv_read_end(txn);
    return count;
}

static void retention_ofCreatedAndDeleted_leavesNoKeys(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(reopen(fixture, 1), 0);
    struct sl_registry *registry = fixture->registry;
    struct sl_kv *kv;
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &kv, NULL), 0);
    (void)put_spec(registry, "default", "steady", "0");
    int before = count_keys(kv);
    for (int i = 0; i < 30; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)put_spec(registry, "default", name, "1");
        (void)put_spec(registry, "default", name, "2");
        assert_int_equal(put_secret(registry, name, "x"), 0);
        assert_int_equal(delete_spec(registry, "default", name), 0);
        struct sl_change drop = {.op = SL_CHANGE_DELETE, .type = SL_OBJECT_SECRET, .name = name};
        assert_int_equal(change_one(registry, drop, NULL, NULL), 0);
    }
    (void)put_spec(registry, "default", "steady", "1");
    assert_int_equal(sl_registry_maintain(registry), 0);
    assert_int_equal(count_keys(kv), before + 1); /* and the fingerprint of the key */
    kv = sl_kv_close(kv);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(history_tellsWhoWhenAndWhat),
        BOTH(diff_betweenRevisions_namesFields),
        BOTH(diff_insideLists_namesIndexes),
        BOTH(rollback_restoresOneNamespaceOnTop),
        BOTH(rollback_ofRenames_isOneRevision),
        cmocka_unit_test_setup_teardown(retention_beyondCount_dropsTheOldest, setup_lmdb, teardown),
        BOTH(retention_beyondAge_keepsOnlyWhatIsCurrent),
        cmocka_unit_test_setup_teardown(retention_ofCreatedAndDeleted_leavesNoKeys, setup_lmdb,
                                        teardown),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
