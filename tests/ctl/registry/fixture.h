/* SPDX-License-Identifier: MIT */
/* What the registry's tests share: a registry of either backend, and documents from words. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "ctl/registry/history.h"
#include "ctl/registry/registry.h"

struct fixture {
    char dir[64];
    struct sl_clock_manual clock;
    struct sl_registry_opts opts;
    struct sl_registry *registry;
    int gate[2]; /* a pipe, for tests that hold a child back */
};

static inline void fixture_dir(struct fixture *fixture)
{
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/sl-registry-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
}

static inline int setup_with(void **state, bool memory)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture_dir(fixture);
    sl_clock_manual_init(&fixture->clock, 7);
    fixture->opts.clock = &fixture->clock.base;
    struct sl_diag diag = {0};
    int r =
        sl_registry_open(memory ? NULL : fixture->dir, &fixture->opts, &fixture->registry, &diag);
    if (r != 0) (void)fprintf(stderr, "%s\n", diag.text);
    assert_int_equal(r, 0);
    *state = fixture;
    return 0;
}

static inline int setup_lmdb(void **state)
{
    return setup_with(state, false);
}

static inline int setup_memory(void **state)
{
    return setup_with(state, true);
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[96];
    fixture->registry = sl_registry_close(fixture->registry);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture->dir);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

/* A Map of strings from "key", "value", …, NULL. A key "a.b" makes a Map inside. */
static inline struct sl_value doc(const char *key, ...)
{
    struct sl_builder builder;
    struct sl_value value;
    va_list args;
    va_start(args, key);
    sl_builder_init(&builder, NULL, 0, 0);
    sl_build_map_begin(&builder);
    for (; key != NULL; key = va_arg(args, const char *)) {
        const char *dot = strchr(key, '.');
        sl_build_key(&builder, key, dot != NULL ? (size_t)(dot - key) : strlen(key));
        if (dot != NULL) {
            sl_build_map_begin(&builder);
            sl_build_key_str(&builder, dot + 1);
        }
        sl_build_string_str(&builder, va_arg(args, const char *));
        if (dot != NULL) sl_build_map_end(&builder);
    }
    va_end(args);
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &value), 0);
    return value;
}

/* Run one change whose document is dropped afterwards. */
static inline int change_one(struct sl_registry *registry, struct sl_change change,
                             struct sl_commit *ret_commit, struct sl_diags *diags)
{
    struct sl_change_set set = {
        .changes = &change,
        .count = 1,
        .author = "test",
        .message = "one change",
        .if_revision = SL_REVISION_ANY,
    };
    int r = sl_registry_apply(registry, &set, ret_commit, diags);
    sl_value_unref(change.document);
    return r;
}

/* Apply a spec `name` with `code` in the namespace; returns the revision it is at afterwards. */
static inline uint64_t put_spec(struct sl_registry *registry, const char *namespace,
                                const char *name, const char *code)
{
    struct sl_commit commit;
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SPEC,
        .namespace = namespace,
        .document = doc("kind", "snippet", "name", name, "code", code, NULL),
    };
    assert_int_equal(change_one(registry, change, &commit, NULL), 0);
    uint64_t revision = commit.revision;
    sl_commit_fini(&commit);
    return revision;
}

static inline int delete_spec(struct sl_registry *registry, const char *namespace, const char *name)
{
    struct sl_change change = {
        .op = SL_CHANGE_DELETE, .type = SL_OBJECT_SPEC, .namespace = namespace, .name = name};
    return change_one(registry, change, NULL, NULL);
}

static inline int put_secret(struct sl_registry *registry, const char *name, const char *value)
{
    struct sl_change change = {
        .op = SL_CHANGE_APPLY,
        .type = SL_OBJECT_SECRET,
        .document = doc("name", name, "data", value, "annotations.team", "blue", NULL),
    };
    return change_one(registry, change, NULL, NULL);
}

static inline uint64_t newest(struct sl_registry *registry)
{
    uint64_t revision = 0;
    assert_int_equal(sl_registry_revision(registry, &revision), 0);
    return revision;
}

/* The string field of a spec at a revision, or NULL if the spec is not there; free() it. */
static inline char *field_at(struct sl_registry *registry, const char *namespace, const char *name,
                             uint64_t revision, const char *field)
{
    struct sl_view *view;
    struct sl_object *object = NULL;
    char *text = NULL;
    assert_int_equal(sl_view_open(registry, revision, &view), 0);
    int r = sl_view_find(view, SL_OBJECT_SPEC, namespace, name, &object);
    view = sl_view_close(view);
    if (r == 0) {
        struct sl_value value = sl_value_get_str(object->document, field);
        if (sl_value_is(value, SL_VALUE_STRING)) text = sl_slice_dup_str(sl_value_slice(value));
    } else {
        assert_int_equal(r, SL_REGISTRY_NOT_FOUND);
    }
    object = sl_object_free(object);
    return text;
}

static inline void assert_code(struct sl_registry *registry, const char *name, uint64_t revision,
                               const char *expected)
{
    char *code = field_at(registry, "default", name, revision, "code");
    if (expected == NULL)
        assert_null(code);
    else
        assert_non_null(code);
    if (expected != NULL) assert_string_equal(code, expected);
    free(code);
}
