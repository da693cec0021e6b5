/* SPDX-License-Identifier: MIT */
/* Secrets: sealed at rest, shown to nobody, never resurrected. */
#include "tests/ctl/registry/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGISTRY(state) (((struct fixture *)*(state))->registry)

/* Long and odd enough that it stands nowhere by chance. */
static const char first_value[] = "PLAINTEXT-7c1e-correct-horse-battery-staple";
static const char second_value[] = "PLAINTEXT-9f2d-purple-monkey-dishwasher";

static int value_at(struct sl_registry *registry, uint64_t revision, const char *namespace,
                    const char *id, const char *name, char ret_text[64], struct sl_diag *reterr)
{
    struct sl_view *view;
    struct sl_value value;
    assert_int_equal(sl_view_open(registry, revision, &view), 0);
    int r = sl_registry_secret_value(view, namespace, id, name, &value, reterr);
    view = sl_view_close(view);
    if (r != 0) return r;
    (void)snprintf(ret_text, 64, "%.*s", SL_SLICE_FMT(sl_value_slice(value)));
    sl_value_unref(value);
    return 0;
}

static void assert_secret(struct sl_registry *registry, const char *name, const char *expected)
{
    char text[64];
    assert_int_equal(value_at(registry, SL_REVISION_NEWEST, "default", NULL, name, text, NULL), 0);
    assert_string_equal(text, expected);
}

static void secret_applied_opensByNameAndId(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char text[64];
    assert_int_equal(put_secret(registry, "token", first_value), 0);
    assert_secret(registry, "token", first_value);
    struct sl_objects objects;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SECRET, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    const char *id = objects.items[0]->id;
    assert_int_equal(value_at(registry, 1, "default", id, NULL, text, NULL), 0);
    assert_string_equal(text, first_value);
    assert_int_equal(value_at(registry, 1, "other", id, NULL, text, NULL), SL_REGISTRY_NOT_FOUND);
    assert_int_equal(value_at(registry, 1, "other", NULL, "token", text, NULL),
                     SL_REGISTRY_NOT_FOUND);
    sl_objects_fini(&objects);
}

static void secret_identical_makesNoRevision(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    assert_int_equal(put_secret(registry, "token", first_value), 0);
    assert_int_equal(put_secret(registry, "token", first_value), 0);
    assert_int_equal(newest(registry), 1);
    assert_int_equal(put_secret(registry, "token", second_value), 0);
    assert_int_equal(newest(registry), 2);
    assert_secret(registry, "token", second_value);
}

static void secret_changedWithoutData_keepsItsValue(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    assert_int_equal(put_secret(registry, "token", first_value), 0);
    struct sl_change change = {
        .op = SL_CHANGE_UPDATE,
        .type = SL_OBJECT_SECRET,
        .document = doc("name", "token", "annotations.team", "red", NULL),
    };
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    assert_int_equal(newest(registry), 2);
    assert_secret(registry, "token", first_value);
    struct sl_objects objects;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SECRET, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     0);
    change.id = objects.items[0]->id;
    change.document = doc("name", "renamed", NULL);
    assert_int_equal(change_one(registry, change, NULL, NULL), 0);
    assert_secret(registry, "renamed", first_value);
    sl_objects_fini(&objects);
    change = (struct sl_change){
        .op = SL_CHANGE_CREATE, .type = SL_OBJECT_SECRET, .document = doc("name", "empty", NULL)};
    assert_int_equal(change_one(registry, change, NULL, NULL), SL_REGISTRY_REFUSED);
}

static void secret_atOldRevisions_isNeverResurrected(void **state)
{
    struct sl_registry *registry = REGISTRY(state);
    char text[64];
    assert_int_equal(put_secret(registry, "token", first_value), 0);
    (void)put_spec(registry, "default", "a", "1");
    assert_int_equal(put_secret(registry, "token", second_value), 0);
    assert_int_equal(value_at(registry, 1, "default", NULL, "token", text, NULL), 0);
    assert_string_equal(text, second_value);
    assert_int_equal(sl_registry_rollback(registry, "default", 1, NULL, NULL, NULL, NULL), 0);
    assert_code(registry, "a", SL_REVISION_NEWEST, NULL);
    assert_secret(registry, "token", second_value);
    struct sl_change drop = {.op = SL_CHANGE_DELETE, .type = SL_OBJECT_SECRET, .name = "token"};
    assert_int_equal(change_one(registry, drop, NULL, NULL), 0);
    for (uint64_t revision = 1; revision <= newest(registry); revision++) {
        assert_int_equal(value_at(registry, revision, "default", NULL, "token", text, NULL),
                         SL_REGISTRY_NOT_FOUND);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Nothing that leaves the registry carries a value.                                            */

static bool contains(struct sl_slice bytes, const char *text)
{
    if (bytes.data == NULL) return false;
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

static void assert_no_secret(struct sl_slice bytes)
{
    assert_false(contains(bytes, first_value));
    assert_false(contains(bytes, second_value));
    assert_false(contains(bytes, "correct-horse"));
    assert_false(contains(bytes, "purple-monkey"));
}

static void assert_object_silent(const struct sl_object *object)
{
    if (object == NULL) return;
    assert_no_secret(object->sealed);
    assert_no_secret(object->source);
    assert_true(sl_value_is_none(sl_value_get_str(object->document, "data")));
    assert_true(sl_value_is_none(sl_value_get_str(object->document, "value")));
}

/* Every file of the directory; returns in how many the secret's name stands (so the search works). */
static size_t assert_files_silent(const char *dir)
{
    DIR *handle = opendir(dir);
    size_t named = 0;
    assert_non_null(handle);
    for (struct dirent *entry = readdir(handle); entry != NULL; entry = readdir(handle)) {
        if (entry->d_type != DT_REG) continue;
        char path[512];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fstat(fileno(file), &st), 0);
        uint8_t *bytes = malloc((size_t)st.st_size + 1);
        size_t size = fread(bytes, 1, (size_t)st.st_size, file);
        assert_no_secret(sl_slice_make(bytes, size));
        named += contains(sl_slice_make(bytes, size), "token");
        free(bytes);
        (void)fclose(file);
    }
    (void)closedir(handle);
    return named;
}

static void put_and_look(struct sl_registry *registry, const char *value)
{
    struct sl_commit commit;
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SECRET,
        .document = doc("name", "token", "data", value, "annotations.team", "blue", NULL),
    };
    assert_int_equal(change_one(registry, change, &commit, NULL), 0);
    assert_object_silent(commit.items[0].before);
    assert_object_silent(commit.items[0].after);
    struct sl_diff diff;
    assert_int_equal(sl_commit_diff(&commit, &diff), 0);
    assert_int_equal(diff.count, 1);
    assert_int_equal(diff.items[0].fields_count, 0);
    sl_diff_fini(&diff);
    sl_commit_fini(&commit);
}

static void secret_inEverythingEmitted_isAbsent(void **state)
{
    struct fixture *fixture = *state;
    struct sl_registry *registry = fixture->registry;
    put_and_look(registry, first_value);
    put_and_look(registry, second_value);
    struct sl_diags diags = {0};
    struct sl_change taken = {
        .op = SL_CHANGE_CREATE,
        .type = SL_OBJECT_SECRET,
        .document = doc("name", "token", "data", first_value, NULL),
    };
    assert_int_equal(change_one(registry, taken, NULL, &diags), SL_REGISTRY_CONFLICT);
    for (size_t i = 0; i < diags.count; i++) {
        assert_no_secret(sl_slice_make(&diags.items[i], sizeof(diags.items[i])));
    }
    sl_diags_fini(&diags);
    struct sl_objects objects;
    struct sl_value list;
    uint8_t *sealed;
    size_t size;
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SECRET, "default", 1, &objects, NULL),
                     0);
    assert_int_equal(objects.count, 1);
    assert_object_silent(objects.items[0]);
    assert_int_equal(sl_objects_value(&objects, NULL, &list), 0);
    assert_int_equal(sl_flat_seal_dup(list, NULL, &sealed, &size), 0);
    assert_no_secret(sl_slice_make(sealed, size));
    free(sealed);
    sl_value_unref(list);
    sl_objects_fini(&objects);
    assert_int_equal(assert_files_silent(fixture->dir), 1);
}

/* ------------------------------------------------------------------------------------------ */
/* Keys.                                                                                        */

static void key_path(const struct fixture *fixture, char ret_path[96])
{
    (void)snprintf(ret_path, 96, "%s/secret.key", fixture->dir);
}

static void reopen(struct fixture *fixture, const char *key)
{
    fixture->registry = sl_registry_close(fixture->registry);
    fixture->opts.key = key;
    assert_int_equal(sl_registry_open(fixture->dir, &fixture->opts, &fixture->registry, NULL), 0);
}

static void key_file_isPrivateAndNeeded(void **state)
{
    struct fixture *fixture = *state;
    char path[96];
    char moved[128];
    char text[64];
    struct stat st;
    struct sl_diag diag = {0};
    key_path(fixture, path);
    assert_int_equal(stat(path, &st), -1); /* made with the first secret only */
    assert_int_equal(put_secret(fixture->registry, "token", first_value), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 65);
    reopen(fixture, NULL);
    assert_secret(fixture->registry, "token", first_value);

    reopen(fixture, NULL);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(value_at(fixture->registry, 1, "default", NULL, "token", text, &diag),
                     -EACCES);
    assert_non_null(strstr(diag.hint, "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);

    (void)snprintf(moved, sizeof(moved), "%s.moved", path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(value_at(fixture->registry, 1, "default", NULL, "token", text, &diag),
                     -ENOKEY);
    assert_int_equal(put_secret(fixture->registry, "other", second_value), -ENOKEY);
    assert_int_equal(stat(path, &st), -1); /* no second key was made */
    assert_int_equal(rename(moved, path), 0);
    assert_secret(fixture->registry, "token", first_value);
}

static void key_other_isRejectedByName(void **state)
{
    static const char one[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    static const char two[] = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    struct fixture *fixture = *state;
    char text[64];
    struct sl_diag diag = {0};
    reopen(fixture, one);
    assert_int_equal(put_secret(fixture->registry, "token", first_value), 0);
    reopen(fixture, two);
    assert_int_equal(value_at(fixture->registry, 1, "default", NULL, "token", text, &diag),
                     -EKEYREJECTED);
    assert_non_null(strstr(diag.text, "another key"));
    assert_int_equal(put_secret(fixture->registry, "token", second_value), -EKEYREJECTED);
    assert_int_equal(put_spec(fixture->registry, "default", "a", "1"), 2); /* specs need no key */
    reopen(fixture, one);
    assert_secret(fixture->registry, "token", first_value);
    reopen(fixture, "not a key");
    assert_int_equal(value_at(fixture->registry, 1, "default", NULL, "token", text, &diag),
                     -EINVAL);
    assert_null(strstr(diag.text, "not a key"));
}

static void key_fromEnvironment_isUsed(void **state)
{
    static const char key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    struct fixture *fixture = *state;
    char path[96];
    assert_int_equal(setenv("SLUICE_KEY", key, 1), 0);
    reopen(fixture, NULL);
    assert_int_equal(unsetenv("SLUICE_KEY"), 0);
    assert_int_equal(put_secret(fixture->registry, "token", first_value), 0);
    assert_secret(fixture->registry, "token", first_value);
    key_path(fixture, path);
    assert_int_equal(access(path, F_OK), -1);
}

#define LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown)
#define BOTH(test) LMDB(test), cmocka_unit_test_setup_teardown(test, setup_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(secret_applied_opensByNameAndId),
        BOTH(secret_identical_makesNoRevision),
        BOTH(secret_changedWithoutData_keepsItsValue),
        BOTH(secret_atOldRevisions_isNeverResurrected),
        LMDB(secret_inEverythingEmitted_isAbsent),
        LMDB(key_file_isPrivateAndNeeded),
        LMDB(key_other_isRejectedByName),
        LMDB(key_fromEnvironment_isUsed),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
