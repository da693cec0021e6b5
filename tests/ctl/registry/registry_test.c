/* SPDX-License-Identifier: MIT */
/* Objects, change sets, views and the validator, over both backends. */
#include "tests/ctl/registry/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "core/base/limit.h"

#define REGISTRY(state) (((struct fixture *)*(state))->registry)

static void apply_newSpec_isCanonicalAndFound(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_commit commit;
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = doc("code", "1", "kind", "snippet", "name", "a", NULL),
        .origin_file = "a.yaml",
        .origin_line = 3,
        .source = SL_SLICE("kind: snippet"),
    };
    assert_int_equal(change_one(registry, change, &commit, NULL), 0);
    assert_int_equal(commit.revision, 1);
    assert_int_equal(commit.changed, 1);
    assert_int_equal(commit.items[0].effect, SL_EFFECT_CREATED);
    const struct sl_object *made = commit.items[0].after;
    static const char *const keys[] = {"id", "kind", "namespace", "name", "code"};
    assert_int_equal(sl_value_count(made->document), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(sl_slice_eq_str(sl_value_key_at(made->document, i), keys[i]));
    }
    struct sl_view *view;
    struct sl_object *found;
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    assert_int_equal(sl_view_get(view, SL_OBJECT_SPEC, made->id, &found), 0);
    assert_string_equal(found->namespace, "default");
    assert_string_equal(found->kind, "snippet");
    assert_string_equal(found->name, "a");
    assert_string_equal(found->origin_file, "a.yaml");
    assert_int_equal(found->origin_line, 3);
    assert_true(sl_slice_eq_str(found->source, "kind: snippet"));
    assert_int_equal(found->revision, 1);
    assert_memory_equal(found->hash, made->hash, 32);
    found = sl_object_free(found);
    assert_int_equal(sl_view_get(view, SL_OBJECT_SECRET, made->id, &found), SL_REGISTRY_NOT_FOUND);
    assert_int_equal(sl_view_get(view, SL_OBJECT_SPEC, "nonsense", &found), SL_REGISTRY_NOT_FOUND);
    assert_int_equal(sl_view_find(view, SL_OBJECT_SPEC, "other", "a", &found),
                     SL_REGISTRY_NOT_FOUND);
    view = sl_view_close(view);
    sl_commit_fini(&commit);
}

static void apply_identicalContent_makesNoRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    assert_int_equal(put_spec(registry, "default", "a", "1"), 1);
    assert_int_equal(put_spec(registry, "default", "a", "1"), 1);
    /* What was read back and applied again is identical too. */
    struct sl_objects objects;
    assert_int_equal(
        sl_registry_snapshot(registry, SL_OBJECT_SPEC, NULL, SL_REVISION_NEWEST, &objects, NULL),
        0);
    struct sl_commit commit;
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = sl_value_ref(objects.items[0]->document),
    };
    assert_int_equal(change_one(registry, change, &commit, NULL), 0);
    assert_int_equal(commit.changed, 0);
    assert_int_equal(commit.items[0].effect, SL_EFFECT_NONE);
    assert_non_null(commit.items[0].after);
    sl_commit_fini(&commit);
    sl_objects_fini(&objects);
    assert_int_equal(put_spec(registry, "default", "a", "2"), 2);
}

static void apply_movedInFile_keepsRevisionAndNotesPlace(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    for (uint32_t line = 1; line <= 2; line++) {
        struct sl_change change = {
            .op = SL_CHANGE_APPLY,
            .type = SL_OBJECT_SPEC,
            .document = doc("kind", "snippet", "name", "a", NULL),
            .origin_file = "a.yaml",
            .origin_line = line,
        };
        assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    }
    struct sl_objects objects;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    assert_int_equal(objects.items[0]->revision, 1);
    assert_int_equal(objects.items[0]->origin_line, 2);
    sl_objects_fini(&objects);
}

static void create_takenName_isConflict(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    struct sl_diags diags = {0};
    struct sl_change change = {
        .op = SL_CHANGE_CREATE,
        .type = SL_OBJECT_SPEC,
        .document = doc("kind", "snippet", "name", "a", NULL),
        .origin_file = "b.yaml",
        .origin_line = 4,
    };
    assert_int_equal(change_one(registry, change, NULL, &diags), SL_REGISTRY_CONFLICT);
    assert_int_equal(diags.count, 1);
    assert_string_equal(diags.items[0].code, "conflict");
    assert_string_equal(diags.items[0].file, "b.yaml");
    assert_int_equal(diags.items[0].pos.line, 4);
    sl_diags_fini(&diags);
    assert_int_equal(newest(registry), 1);
    assert_int_equal(put_spec(registry, "other", "a", "1"),
                     2); /* another namespace: another name */
}

static void apply_otherIdWithTakenName_isConflict(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .id = "6f0c1d7e-52b4-4a39-9d31-4e0a8c77e520",
        .document = doc("kind", "snippet", "name", "a", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), SL_REGISTRY_CONFLICT);
    assert_int_equal(newest(registry), 1);
}

static void apply_sameNameTwiceInOneSet_isConflictAtTheSecond(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_value a = doc("kind", "snippet", "name", "a", NULL);
    struct sl_change changes[2] = {
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = a},
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = a},
    };
    struct sl_change_set set = {.changes = changes, .count = 2, .if_revision = SL_REVISION_ANY};
    struct sl_commit commit;
    assert_int_equal(sl_registry_apply(registry, &set, &commit, NULL), SL_REGISTRY_CONFLICT);
    assert_int_equal(commit.failed_index, 1);
    (void)put_spec(registry, "default", "a", "1");
    assert_int_equal(sl_registry_apply(registry, &set, &commit, NULL), SL_REGISTRY_CONFLICT);
    assert_int_equal(commit.failed_index, 1);
    sl_value_unref(a);
}

static void apply_swappedNames_isOneRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char a[SL_ID_SIZE];
    char b[SL_ID_SIZE];
    sl_registry_id_derive("default", "x.yaml#0", a);
    sl_registry_id_derive("default", "x.yaml#1", b);
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
    assert_int_equal(newest(registry), 2);
    struct sl_view *view;
    struct sl_object *object;
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    assert_int_equal(sl_view_find(view, SL_OBJECT_SPEC, "default", "one", &object), 0);
    assert_string_equal(object->id, b);
    object = sl_object_free(object);
    view = sl_view_close(view);
    assert_int_equal(sl_view_open(registry, 1, &view), 0);
    assert_int_equal(sl_view_find(view, SL_OBJECT_SPEC, "default", "one", &object), 0);
    assert_string_equal(object->id, a);
    object = sl_object_free(object);
    view = sl_view_close(view);
}

static void apply_failingInTheMiddle_leavesNothing(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_value good = doc("kind", "k", "name", "good", NULL);
    struct sl_change changes[2] = {
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = good},
        {.op = SL_CHANGE_DELETE, .type = SL_OBJECT_SPEC, .name = "missing"},
    };
    struct sl_change_set set = {.changes = changes, .count = 2, .if_revision = SL_REVISION_ANY};
    struct sl_commit commit;
    assert_int_equal(sl_registry_apply(registry, &set, &commit, NULL), SL_REGISTRY_NOT_FOUND);
    assert_int_equal(commit.failed_index, 1);
    assert_int_equal(newest(registry), 0);
    assert_code(registry, "good", SL_REVISION_NEWEST, NULL);
    changes[1].missing_ok = true;
    assert_int_equal(sl_registry_apply(registry, &set, &commit, NULL), 0);
    assert_int_equal(commit.changed, 1);
    sl_commit_fini(&commit);
    sl_value_unref(good);
}

static void apply_badDocuments_areAllTold(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_value docs[] = {
        doc("name", "no kind", NULL), doc("kind", "k", "id", "not-a-uuid", NULL),
        doc("kind.of", "map", NULL),  doc("kind", "k", "name", "tab\there", NULL),
        sl_value_new_int(NULL, 7),
    };
    struct sl_change changes[6] = {0};
    for (size_t i = 0; i < 5; i++) {
        changes[i] =
            (struct sl_change){.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = docs[i]};
    }
    changes[5] = (struct sl_change){.op = SL_CHANGE_DELETE, .type = SL_OBJECT_SPEC};
    struct sl_change_set set = {.changes = changes, .count = 6, .if_revision = SL_REVISION_ANY};
    struct sl_diags diags = {0};
    assert_int_equal(sl_registry_apply(registry, &set, NULL, &diags), SL_REGISTRY_REFUSED);
    assert_int_equal(diags.errors_count, 6);
    sl_diags_fini(&diags);
    for (size_t i = 0; i < 5; i++) sl_value_unref(docs[i]);
    assert_int_equal(newest(registry), 0);
}

static void apply_ifRevision_isChecked(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    (void)put_spec(registry, "default", "b", "1");
    struct sl_value next = doc("kind", "k", "name", "a", NULL);
    struct sl_change change = {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = next};
    struct sl_change_set set = {.changes = &change, .count = 1, .if_revision = 1};
    assert_int_equal(sl_registry_apply(registry, &set, NULL, NULL), SL_REGISTRY_STALE);
    set.if_revision = SL_REVISION_ANY;
    change.if_revision = 2;
    assert_int_equal(sl_registry_apply(registry, &set, NULL, NULL), SL_REGISTRY_STALE);
    change.if_revision = 1;
    set.if_revision = 2;
    assert_int_equal(sl_registry_apply(registry, &set, NULL, NULL), 0);
    assert_int_equal(newest(registry), 3);
    sl_value_unref(next);
}

static void update_missing_isNotFound(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_change change = {
        .op = SL_CHANGE_UPDATE,
        .type = SL_OBJECT_SPEC,
        .document = doc("kind", "k", "name", "a", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), SL_REGISTRY_NOT_FOUND);
}

static void apply_idOfOtherNamespace_isConflict(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "one", "a", "1");
    struct sl_objects objects;
    assert_int_equal(
        sl_registry_snapshot(registry, SL_OBJECT_SPEC, "one", SL_REVISION_NEWEST, &objects, NULL),
        0);
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .id = objects.items[0]->id,
        .namespace = "two",
        .document = doc("kind", "k", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), SL_REGISTRY_CONFLICT);
    /* Without a namespace, the id alone finds it. */
    change.document = sl_value_none();
    change.namespace = NULL;
    change.op = SL_CHANGE_DELETE;
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    sl_objects_fini(&objects);
}

static void apply_unnamedFromFile_keepsItsDerivedId(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char id[SL_ID_SIZE];
    sl_registry_id_derive("default", "p.yaml#2", id);
    for (int i = 0; i < 2; i++) {
        struct sl_commit commit;
        struct sl_change change = {
            .op = SL_CHANGE_APPLY,
            .type = SL_OBJECT_SPEC,
            .path = "p.yaml#2",
            .document = doc("kind", "k", NULL),
        };
        assert_int_equal(change_one(registry, change, &commit, NULL), 0);
        assert_string_equal(commit.items[0].after->id, id);
        assert_string_equal(commit.items[0].after->name, "");
        assert_int_equal(commit.changed, i == 0);
        sl_commit_fini(&commit);
    }
}

static void idDerive_ofKnownName_isUuid5(void **state)
{
    (void)state;
    char id[SL_ID_SIZE];
    sl_registry_id_derive("default", "ping.yaml#3", id);
    assert_string_equal(id, "3143cf89-8580-5063-b363-71f03b55e6c2");
    assert_int_equal(id[14], '5');
    char parsed[SL_ID_SIZE];
    assert_true(sl_registry_id_parse("6F0C1D7E-52B4-4A39-9D31-4E0A8C77E520", parsed));
    assert_string_equal(parsed, "6f0c1d7e-52b4-4a39-9d31-4e0a8c77e520");
    assert_false(sl_registry_id_parse("6f0c1d7e-52b4-4a39-9d31-4e0a8c77e52", parsed));
    assert_false(sl_registry_id_parse("6f0c1d7e-52b4-4a39-9d31-4e0a8c77e52g", parsed));
    assert_false(sl_registry_id_parse("6f0c1d7ea52b4-4a39-9d31-4e0a8c77e520", parsed));
}

static void dryRun_tellsAndStoresNothing(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    struct sl_value next = doc("kind", "snippet", "name", "a", "code", "2", NULL);
    struct sl_change change = {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = next};
    struct sl_change_set set = {
        .changes = &change, .count = 1, .if_revision = SL_REVISION_ANY, .dry_run = true};
    struct sl_commit commit;
    assert_int_equal(sl_registry_apply(registry, &set, &commit, NULL), 0);
    assert_int_equal(commit.revision, 2);
    assert_int_equal(commit.changed, 1);
    struct sl_diff diff;
    assert_int_equal(sl_commit_diff(&commit, &diff), 0);
    assert_int_equal(diff.count, 1);
    assert_int_equal(diff.items[0].fields_count, 1);
    assert_string_equal(diff.items[0].fields[0].path, "code");
    sl_diff_fini(&diff);
    sl_commit_fini(&commit);
    sl_value_unref(next);
    assert_int_equal(newest(registry), 1);
    assert_code(registry, "a", SL_REVISION_NEWEST, "1");
}

struct validator {
    int calls;
    size_t seen;    /* specs of the namespace as they would be */
    size_t changed; /* of them, those that the change set touches */
    bool refuse;
};

static int count_and_refuse(void *ctx, struct sl_view *view, const char *namespace,
                            struct sl_diags *diags)
{
    struct validator *validator = ctx;
    struct sl_objects objects;
    validator->calls++;
    int r = sl_view_list(view, SL_OBJECT_SPEC, namespace, sl_value_none(), &objects);
    if (r != 0) return r;
    validator->seen = objects.count;
    validator->changed = 0;
    for (size_t i = 0; i < objects.count; i++) {
        validator->changed += objects.items[i]->revision == sl_view_revision(view);
    }
    sl_objects_fini(&objects);
    if (validator->refuse) {
        struct sl_diag diag = {0};
        (void)sl_diag_set(&diag, "bad", (struct sl_pos){1, 1}, "no");
        (void)sl_diags_push(diags, &diag);
    }
    return 0;
}

enum { BULK_SPECS = 40, BULK_SIZE = 64 * 1024 };

/* The map grows in the middle of the transaction, which then runs again from scratch. */
static void apply_beyondTheMap_growsAndTellsOnce(void **state)
{
    struct fixture *fixture = *state;
    struct validator validator = {0};
    struct sl_value docs[BULK_SPECS];
    struct sl_change changes[BULK_SPECS];
    char *bulk = malloc(BULK_SIZE);
    memset(bulk, 'x', BULK_SIZE - 1);
    bulk[BULK_SIZE - 1] = '\0';
    fixture->registry = sl_registry_close(fixture->registry);
    fixture->opts.map_size = 1 << 20;
    assert_int_equal(sl_registry_open(fixture->dir, &fixture->opts, &fixture->registry, NULL), 0);
    (void)put_spec(fixture->registry, "default", "n0", "before");
    sl_registry_set_validator(fixture->registry, count_and_refuse, &validator);
    for (int i = 0; i < BULK_SPECS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        docs[i] = doc("kind", "k", "name", name, "code", bulk, NULL);
        changes[i] =
            (struct sl_change){.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = docs[i]};
    }
    struct sl_change_set set = {
        .changes = changes, .count = BULK_SPECS, .if_revision = SL_REVISION_ANY};
    struct sl_commit commit;
    assert_int_equal(sl_registry_apply(fixture->registry, &set, &commit, NULL), 0);
    assert_int_equal(commit.revision, 2);
    assert_int_equal(commit.changed, BULK_SPECS);
    assert_int_equal(commit.items[0].effect, SL_EFFECT_UPDATED);
    assert_int_equal(commit.items[1].effect, SL_EFFECT_CREATED);
    assert_int_equal(validator.changed, BULK_SPECS);
    sl_commit_fini(&commit);
    for (int i = 0; i < BULK_SPECS; i++) sl_value_unref(docs[i]);
    assert_code(fixture->registry, "n39", SL_REVISION_NEWEST, bulk);
    free(bulk);
}

static void apply_documentTooLarge_isRefusedByName(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    size_t size = SL_REGISTRY_SPEC_SIZE_MAX + 1;
    char *bulk = malloc(size);
    struct sl_diags diags = {0};
    memset(bulk, 'x', size - 1);
    bulk[size - 1] = '\0';
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = doc("kind", "k", "name", "large", "code", bulk, NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, &diags), -E2BIG);
    assert_int_equal(diags.count, 1);
    assert_string_equal(diags.items[0].code, "too_large");
    sl_diags_fini(&diags);
    free(bulk);
}

/* ------------------------------------------------------------------------------------------ */
/* Threads: writers and a reader of one process; revisions stay dense, views whole.             */

enum { WRITERS = 3, WRITES = 30 };

struct writer {
    struct sl_registry *registry;
    int number;
    int failures;
};

static void *write_pairs(void *arg)
{
    struct writer *writer = arg;
    for (int i = 0; i < WRITES; i++) {
        char names[2][16];
        char code[16];
        struct sl_change changes[2];
        (void)snprintf(code, sizeof(code), "%d", i);
        for (int j = 0; j < 2; j++) {
            (void)snprintf(names[j], sizeof(names[j]), "w%d-%d", writer->number, j);
            changes[j] = (struct sl_change){
                .op = SL_CHANGE_APPLY,
                .type = SL_OBJECT_SPEC,
                .document = doc("kind", "k", "name", names[j], "code", code, NULL),
            };
        }
        struct sl_change_set set = {.changes = changes, .count = 2, .if_revision = SL_REVISION_ANY};
        writer->failures += sl_registry_apply(writer->registry, &set, NULL, NULL) != 0;
        for (int j = 0; j < 2; j++) sl_value_unref(changes[j].document);
    }
    return NULL;
}

static bool pair_is_whole(struct sl_registry *registry, int number)
{
    char names[2][16];
    char *codes[2];
    uint64_t revision = newest(registry);
    for (int j = 0; j < 2; j++) {
        (void)snprintf(names[j], sizeof(names[j]), "w%d-%d", number, j);
        codes[j] = field_at(registry, "default", names[j], revision, "code");
    }
    bool whole = (codes[0] == NULL) == (codes[1] == NULL);
    if (whole && codes[0] != NULL) whole = strcmp(codes[0], codes[1]) == 0;
    for (int j = 0; j < 2; j++) free(codes[j]);
    return whole;
}

static void apply_byThreads_isDenseAndWhole(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){registry, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_pairs, &writers[i]), 0);
    }
    for (int i = 0; newest(registry) < WRITERS * WRITES / 2; i++) {
        assert_true(pair_is_whole(registry, i % WRITERS));
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].failures, 0);
    }
    assert_int_equal(newest(registry), WRITERS * WRITES);
}

/* ------------------------------------------------------------------------------------------ */
/* Views.                                                                                       */

static void view_atAnyRevision_showsThatState(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    (void)put_spec(registry, "default", "a", "2");
    (void)put_spec(registry, "default", "b", "x");
    assert_int_equal(delete_spec(registry, "default", "a"), 0);
    (void)put_spec(registry, "default", "a", "5");
    static const char *const a[] = {NULL, "1", "2", "2", NULL, "5"};
    static const char *const b[] = {NULL, NULL, NULL, "x", "x", "x"};
    for (uint64_t revision = 0; revision <= 5; revision++) {
        assert_code(registry, "a", revision, a[revision]);
        assert_code(registry, "b", revision, b[revision]);
        struct sl_objects objects;
        uint64_t shown;
        assert_int_equal(
            sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", revision, &objects, &shown),
            0);
        assert_int_equal(shown, revision);
        assert_int_equal(objects.count, (a[revision] != NULL) + (b[revision] != NULL));
        sl_objects_fini(&objects);
    }
    struct sl_view *view;
    assert_int_equal(sl_view_open(registry, 6, &view), SL_REGISTRY_GONE);
}

static void list_isInOrderOfCreation(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct sl_value docs[40];
    struct sl_change changes[40];
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", (i * 17) % 40);
        docs[i] = doc("kind", "k", "name", name, NULL);
        changes[i] =
            (struct sl_change){.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = docs[i]};
    }
    struct sl_change_set set = {.changes = changes, .count = 40, .if_revision = SL_REVISION_ANY};
    assert_int_equal(sl_registry_apply(registry, &set, NULL, NULL), 0);
    (void)put_spec(registry, "default", "n17", "changed");
    struct sl_objects objects;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    assert_int_equal(objects.count, 40);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", (i * 17) % 40);
        assert_string_equal(objects.items[i]->name, name);
        sl_value_unref(docs[i]);
    }
    sl_objects_fini(&objects);
}

static size_t list_count(struct sl_registry *registry, const char *namespace,
                         struct sl_value filter)
{
    struct sl_view *view;
    struct sl_objects objects;
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    assert_int_equal(sl_view_list(view, SL_OBJECT_SPEC, namespace, filter, &objects), 0);
    view = sl_view_close(view);
    size_t count = objects.count;
    sl_objects_fini(&objects);
    sl_value_unref(filter);
    return count;
}

static void list_withExamples_matchesFields(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "one", "a", "1");
    (void)put_spec(registry, "one", "b", "1");
    (void)put_spec(registry, "two", "a", "2");
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .document = doc("kind", "k", "annotations.team", "blue", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    assert_int_equal(list_count(registry, NULL, sl_value_none()), 4);
    assert_int_equal(list_count(registry, NULL, sl_value_null()), 4);
    assert_int_equal(list_count(registry, "one", sl_value_none()), 2);
    assert_int_equal(list_count(registry, NULL, doc("name", "a", NULL)), 2);
    assert_int_equal(list_count(registry, NULL, doc("name", "a", "namespace", "two", NULL)), 1);
    assert_int_equal(list_count(registry, NULL, doc("annotations.team", "blue", NULL)), 1);
    assert_int_equal(list_count(registry, NULL, doc("annotations.team", "red", NULL)), 0);
    assert_int_equal(list_count(registry, NULL, doc("missing", "x", NULL)), 0);
    struct sl_builder builder;
    struct sl_value list;
    struct sl_value one = doc("name", "b", NULL);
    struct sl_value two = doc("code", "2", NULL);
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_list_begin(&builder);
    sl_build_value(&builder, one);
    sl_build_value(&builder, two);
    sl_build_list_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &list), 0);
    assert_int_equal(list_count(registry, NULL, list), 2);
    sl_value_unref(one);
    sl_value_unref(two);
    struct sl_view *view;
    struct sl_objects objects;
    struct sl_value number = sl_value_new_int(NULL, 1);
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    assert_int_equal(sl_view_list(view, SL_OBJECT_SPEC, NULL, number, &objects), -EINVAL);
    view = sl_view_close(view);
    sl_value_unref(number);
}

static void namespaces_areSortedAndUnique(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "zeta", "a", "1");
    (void)put_spec(registry, "alpha", "a", "1");
    (void)put_spec(registry, "alpha", "b", "1");
    (void)put_spec(registry, "gone", "a", "1");
    assert_int_equal(put_secret(registry, "s", "v"), 0);
    assert_int_equal(delete_spec(registry, "gone", "a"), 0);
    struct sl_view *view;
    char **names;
    size_t count;
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    assert_int_equal(sl_view_namespaces(view, &names, &count), 0);
    view = sl_view_close(view);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "alpha");
    assert_string_equal(names[1], "default");
    assert_string_equal(names[2], "zeta");
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

static void objectsValue_listsDocuments(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    (void)put_spec(registry, "default", "a", "1");
    (void)put_spec(registry, "default", "b", "2");
    struct sl_objects objects;
    struct sl_value list;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    assert_int_equal(sl_objects_value(&objects, NULL, &list), 0);
    struct sl_object *taken = sl_objects_take(&objects, 0);
    assert_string_equal(taken->name, "a");
    taken = sl_object_free(taken);
    sl_objects_fini(&objects);
    assert_int_equal(sl_value_count(list), 2);
    struct sl_value code = sl_value_get_str(sl_value_list_at(list, 1), "code");
    assert_true(sl_slice_eq_str(sl_value_slice(code), "2"));
    sl_value_unref(list);
}

/* ------------------------------------------------------------------------------------------ */
/* Validator.                                                                                   */

static void validator_refusing_leavesNoRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    struct validator validator = {0};
    (void)put_spec(registry, "default", "a", "1");
    sl_registry_set_validator(registry, count_and_refuse, &validator);
    (void)put_spec(registry, "default", "b", "1");
    assert_int_equal(validator.calls, 1);
    assert_int_equal(validator.seen, 2);
    assert_int_equal(validator.changed, 1);
    (void)put_spec(registry, "default", "b", "1"); /* nothing changes: nothing to ask */
    assert_int_equal(validator.calls, 1);
    validator.refuse = true;
    struct sl_diags diags = {0};
    struct sl_change change = {
        .op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = doc("kind", "k", NULL)};
    assert_int_equal(change_one(registry, change, NULL, &diags), SL_REGISTRY_REFUSED);
    assert_int_equal(diags.errors_count, 1);
    sl_diags_fini(&diags);
    assert_int_equal(delete_spec(registry, "default", "a"), SL_REGISTRY_REFUSED);
    assert_int_equal(newest(registry), 2);
    assert_code(registry, "a", SL_REVISION_NEWEST, "1");
}

/* ------------------------------------------------------------------------------------------ */
/* Meta and last good versions.                                                                 */

static void metaPut_isReadBack(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char *data;
    size_t size;
    assert_int_equal(sl_registry_meta_get(registry, "default", "k", &data, &size),
                     SL_REGISTRY_NOT_FOUND);
    assert_int_equal(sl_registry_meta_put(registry, "default", "k", SL_SLICE("v")), 0);
    assert_int_equal(sl_registry_meta_put(registry, "default", "k", SL_SLICE("v")), 0);
    assert_int_equal(sl_registry_meta_get(registry, "default", "k", &data, &size), 0);
    assert_string_equal(data, "v");
    assert_int_equal(size, 1);
    free(data);
    assert_int_equal(newest(registry), 0);
    assert_int_equal(sl_registry_meta_put(registry, "default", "k", sl_slice_make(NULL, 0)), 0);
    assert_int_equal(sl_registry_meta_get(registry, "default", "k", &data, &size),
                     SL_REGISTRY_NOT_FOUND);
}

static int good_code(struct sl_registry *registry, const char *id, char ret_code[16])
{
    struct sl_view *view;
    struct sl_object *object;
    assert_int_equal(sl_view_open(registry, SL_REVISION_NEWEST, &view), 0);
    int r = sl_view_good_get(view, id, &object);
    view = sl_view_close(view);
    if (r != 0) return r;
    struct sl_slice code = sl_value_slice(sl_value_get_str(object->document, "code"));
    (void)snprintf(ret_code, 16, "%.*s", SL_SLICE_FMT(code));
    object = sl_object_free(object);
    return 0;
}

static void goodPut_survivesRetentionAndEndsWithDelete(void **state)
{
    struct fixture *fixture = *state;
    struct sl_registry *registry = fixture->registry;
    char code[16];
    (void)put_spec(registry, "default", "a", "good");
    struct sl_objects objects;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    const struct sl_object *first = objects.items[0];
    assert_int_equal(good_code(registry, first->id, code), SL_REGISTRY_NOT_FOUND);
    assert_int_equal(sl_registry_good_put(registry, &first, 1), 0);
    for (int i = 0; i < 10; i++) {
        char next[8];
        (void)snprintf(next, sizeof(next), "%d", i);
        (void)put_spec(registry, "default", "a", next);
    }
    sl_clock_manual_advance(&fixture->clock, UINT64_C(31) * 86400 * SL_NS_PER_SEC);
    assert_int_equal(sl_registry_maintain(registry), 0);
    struct sl_view *view;
    assert_int_equal(sl_view_open(registry, 10, &view), SL_REGISTRY_GONE);
    assert_int_equal(good_code(registry, first->id, code), 0);
    assert_string_equal(code, "good");
    assert_int_equal(delete_spec(registry, "default", "a"), 0);
    assert_int_equal(good_code(registry, first->id, code), SL_REGISTRY_NOT_FOUND);
    sl_objects_fini(&objects);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(apply_newSpec_isCanonicalAndFound),
        BOTH(apply_identicalContent_makesNoRevision),
        BOTH(apply_movedInFile_keepsRevisionAndNotesPlace),
        BOTH(create_takenName_isConflict),
        BOTH(apply_otherIdWithTakenName_isConflict),
        BOTH(apply_sameNameTwiceInOneSet_isConflictAtTheSecond),
        BOTH(apply_swappedNames_isOneRevision),
        BOTH(apply_failingInTheMiddle_leavesNothing),
        BOTH(apply_badDocuments_areAllTold),
        BOTH(apply_ifRevision_isChecked),
        BOTH(update_missing_isNotFound),
        BOTH(apply_idOfOtherNamespace_isConflict),
        BOTH(apply_unnamedFromFile_keepsItsDerivedId),
        cmocka_unit_test(idDerive_ofKnownName_isUuid5),
        BOTH(dryRun_tellsAndStoresNothing),
        cmocka_unit_test_setup_teardown(apply_beyondTheMap_growsAndTellsOnce, setup_lmdb, teardown),
        BOTH(apply_documentTooLarge_isRefusedByName),
        BOTH(apply_byThreads_isDenseAndWhole),
        BOTH(view_atAnyRevision_showsThatState),
        BOTH(list_isInOrderOfCreation),
        BOTH(list_withExamples_matchesFields),
        BOTH(namespaces_areSortedAndUnique),
        BOTH(objectsValue_listsDocuments),
        BOTH(validator_refusing_leavesNoRevision),
        BOTH(metaPut_isReadBack),
        BOTH(goodPut_survivesRetentionAndEndsWithDelete),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
