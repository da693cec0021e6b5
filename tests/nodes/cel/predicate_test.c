/* SPDX-License-Identifier: MIT */
/*
 * Predicates against the machine: whatever the fast form of a condition says, the machine says too,
 * for single tests of every kind over values of every kind, and for conditions made up of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/json/json.h"
#include "core/mem/mem.h"
#include "nodes/script/cel/eval.h"
#include "tests/nodes/cel/fixture.h"

/* What stands at self.v, and self itself in the last ones. */
static const char *const payloads[] = {
    "{\"v\": null}",
    "{\"v\": true, \"w\": false}",
    "{\"v\": false, \"w\": true}",
    "{\"v\": 0}",
    "{\"v\": -1, \"w\": true}",
    "{\"v\": 18}",
    "{\"v\": 18.0}",
    "{\"v\": 17.5}",
    "{\"v\": 18446744073709551615}",
    "{\"v\": 9223372036854775807}",
    "{\"v\": \"\"}",
    "{\"v\": \"a\"}",
    "{\"v\": \"ab\", \"w\": true}",
    "{\"v\": \"abc\"}",
    "{\"v\": \"POST\"}",
    "{\"v\": \"/api/v1/orders\"}",
    "{\"v\": \"application/json\"}",
    "{\"v\": \"application/jsox\"}",
    "{\"v\": \"a text that is longer than sixteen bytes\", \"w\": true}",
    "{\"v\": \"b text that is longer than sixteen bytes\"}",
    "{\"v\": []}",
    "{\"v\": [1, 2]}",
    "{\"v\": [18, 18.5, 7, -1], \"w\": true}",
    "{\"v\": [\"a\", \"POST\", \"application/json\", \"/api/v1/orders\"]}",
    "{\"v\": [\"a text that is longer than sixteen bytes\", \"abc\"]}",
    "{\"v\": [true, false]}",
    "{\"v\": [true, 1, \"a\", null, {}, []]}",
    "{\"v\": [{\"k\": \"POST\"}, {\"z\": 1, \"k\": true}, {\"k\": 5}]}",
    "{\"v\": [{\"k\": true}, {\"z\": 1}]}",
    "{\"v\": [{\"a-very-long-name-of-a-key\": 5}, [1]]}",
    "{\"v\": {}}",
    "{\"v\": {\"k\": 1}}",
    "{\"w\": true, \"v\": {\"k\": true}}",
    "{\"other\": 1, \"v\": {\"a-very-long-name-of-a-key\": 5, \"k\": \"POST\"}}",
    "{}",
    "{\"w\": true}",
    "[1]",
    "\"text\"",
    "null",
};

/* Tests that a predicate knows. */
static const char *const tests_known[] = {
    "self.v",
    "self.w",
    "self['v']",
    "self.v.k",
    "self.v['a-very-long-name-of-a-key'] == 5",
    "has(self.v)",
    "has(self.v.k)",
    "self.v == null",
    "self.v == true",
    "self.v != false",
    "self.v == 18",
    "self.v == 18u",
    "self.v == 18.0",
    "self.v != 17.5",
    "self.v == ''",
    "self.v == 'a'",
    "self.v == 'ab'",
    "self.v != 'abc'",
    "self.v == 'POST'",
    "self.v == 'application/json'",
    "self.v == 'a text that is longer than sixteen bytes'",
    "self.v < 18",
    "self.v <= 18",
    "self.v > 18",
    "self.v >= 18",
    "self.v < 17.5",
    "self.v >= 17.5",
    "self.v < 18u",
    "self.v < 'b'",
    "self.v > true",
    "self.v.startsWith('')",
    "self.v.startsWith('ab')",
    "self.v.startsWith('/api/')",
    "self.v.startsWith('a text that is longer')",
    "self.v.endsWith('')",
    "self.v.endsWith('c')",
    "self.v.endsWith('json')",
    "self.v.endsWith(' longer than sixteen bytes')",
    "self.v.contains('')",
    "self.v.contains('p')",
    "self.v.contains('longer')",
    "self.v.matches('^[a-z]+$')",
    "self.v.matches('/v[0-9]/')",
    "self.v in ['a', 'POST', 'application/json', '']",
    "self.v in ['a text that is longer than sixteen bytes']",
    "self.v in []",
    "self.v.k in ['POST']",
};

enum form {
    FORM_COPIED,   /* texts in the buffer's bytes */
    FORM_BORROWED, /* texts at addresses */
    FORM_REFS,     /* containers in another buffer */
    FORM_LAZY,     /* values that are made when somebody asks */
    FORMS
};

static struct sl_value lazy_map; /* what lazies of a test stand for: values of this map by number */

static struct sl_value lazy_decode(struct sl_lazy *lazy, struct sl_buf *owner)
{
    (void)owner;
    return sl_value_ref(sl_value_map_at(lazy_map, lazy->tag));
}

/* A map with the pairs of `map`, which have to be there for as long as it is. */
static struct sl_value rebuilt(struct fixture *fix, struct sl_value map, bool lazily)
{
    struct sl_builder builder;
    struct sl_value made;
    uint32_t count = sl_value_count(map);
    sl_builder_init(&builder, fix->mem, 0, 0);
    struct sl_lazy *lazies = sl_builder_lazies_reserve(&builder, count);
    sl_build_map_begin(&builder);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        sl_build_key(&builder, key.data, key.size);
        lazies[i].decode = lazy_decode;
        lazies[i].tag = i;
        if (lazily) sl_build_lazy(&builder, i);
        if (!lazily) sl_build_value(&builder, sl_value_map_at(map, i));
    }
    sl_build_map_end(&builder);
    assert_int_equal(sl_builder_finish(&builder, &made), 0);
    return made;
}

/* The payload in one of its forms; what else it needs is in *ret_base. */
static struct sl_value form_make(struct fixture *fix, const char *payload, enum form form,
                                 struct sl_value *ret_base)
{
    struct sl_value base = cel_json(fix, payload), made;
    *ret_base = base;
    if (form == FORM_BORROWED) {
        struct sl_slice text = sl_slice_from_str(payload);
        *ret_base = sl_value_new_int(fix->mem, 0);
        assert_int_equal(sl_json_parse(text, ret_base->buf, fix->mem, 0, &made, NULL), 0);
        sl_value_unref(base);
        return made;
    }
    if (form == FORM_COPIED || !sl_value_is(base, SL_VALUE_MAP) || sl_value_count(base) == 0) {
        return sl_value_ref(base);
    }
    lazy_map = base;
    return rebuilt(fix, base, form == FORM_LAZY);
}

/* Both ways to run one script on one value: the same bool, or the same failure. */
static void compare_form(struct fixture *fix, const char *code, struct sl_script *script,
                         struct sl_cel_instance *instance, const char *payload, enum form form)
{
    struct sl_value results[2], base;
    const struct sl_cel_gate *entry = instance->entry;
    /* Twice each: the second time every key has its hint, and nothing is made yet, as in a request. */
    for (int i = 0; i < 4; i++) {
        struct sl_value self = form_make(fix, payload, form, &base);
        struct sl_script_call call = {.input = self, .mem = fix->mem, .deadline_ns = UINT64_MAX};
        struct sl_value error = sl_value_none();
        instance->entry = i % 2 == 0 ? entry : NULL;
        int test = sl_engine_cel.test(script, instance, &call, &error);
        results[i % 2] = sl_engine_cel.run(script, instance, &call);
        bool is_bool = sl_value_is(results[i % 2], SL_VALUE_BOOL);
        assert_int_equal(test, is_bool ? (int)results[i % 2].cell->word : -1);
        sl_value_unref(error);
        sl_value_unref(self);
        sl_value_unref(base);
        if (i % 2 == 0) continue;
        if (!sl_value_equal(results[0], results[1])) fail_msg("%s on %s", code, payload);
        sl_value_unref(results[0]);
        sl_value_unref(results[1]);
    }
    instance->entry = entry;
}

static void compare(struct fixture *fix, const char *code, struct sl_script *script,
                    struct sl_cel_instance *instance, const char *payload)
{
    for (int form = 0; form < FORMS; form++) {
        compare_form(fix, code, script, instance, payload, (enum form)form);
    }
}

/* On every payload; `known`: there must be a predicate. */
static void compare_all(struct fixture *fix, const char *code, bool known)
{
    struct sl_script *script = cel_open(fix, code);
    if (script == NULL) fail_msg("%s: %s", code, fix->diag.text);
    void *instance;
    assert_int_equal(sl_engine_cel.attach(script, &fix->shard, &instance, NULL), 0);
    if (known != (((struct sl_cel_instance *)instance)->entry != NULL)) {
        fail_msg("%s: %s", code, known ? "no predicate" : "a predicate");
    }
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        compare(fix, code, script, instance, payloads[i]);
    }
    sl_engine_cel.detach(script, fix->shard, instance);
    cel_close(script);
}

static void predicate_single_tests_same_as_machine(void **state)
{
    for (size_t i = 0; i < sizeof(tests_known) / sizeof(tests_known[0]); i++) {
        compare_all(*state, tests_known[i], true);
    }
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* A condition of up to `depth` levels; the buffer takes the longest. */
static size_t condition(char *out, uint32_t *seed, int depth)
{
    static const char *const joins[] = {" && ", " || "};
    size_t at = 0;
    uint32_t form = depth == 0 ? 0 : next(seed) % 5;
    if (form == 0) {
        size_t count = sizeof(tests_known) / sizeof(tests_known[0]) - 2;
        return (size_t)sprintf(out, "%s", tests_known[next(seed) % count]);
    }
    out[at++] = '(';
    if (form == 1) {
        out[at - 1] = '!';
        out[at++] = '(';
        at += condition(out + at, seed, depth - 1);
    } else if (form == 2) {
        at += condition(out + at, seed, depth - 1);
        at += (size_t)sprintf(out + at, " ? ");
        at += condition(out + at, seed, depth - 1);
        at += (size_t)sprintf(out + at, " : ");
        at += condition(out + at, seed, depth - 1);
    } else {
        uint32_t count = 2 + next(seed) % 3;
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0) at += (size_t)sprintf(out + at, "%s", joins[form % 2]);
            at += condition(out + at, seed, depth - 1);
        }
    }
    out[at++] = ')';
    out[at] = '\0';
    return at;
}

static void predicate_conditions_same_as_machine(void **state)
{
    static char code[64 * 1024];
    uint32_t seed = 1;
    for (int i = 0; i < 300; i++) {
        (void)condition(code, &seed, 1 + i % 3);
        compare_all(*state, code, true);
    }
}

static void predicate_other_expressions_have_none(void **state)
{
    static const char *const codes[] = {
        "self.v + 1 == 2",
        "self.v.size() == 1",
        "self.v.exists(x, x + 1 == 2)",
        "self.v == self.w",
        "self == 'text'",
        "env.NAME == 'a'",
        "self.v in [self.w]",
        "self.v in [1, 2]",
        "self.v == 18 && self.v + 1 == 19",
        "'a'.contains(self.v)",
        "self.v.matches(self.w)",
        "self.v.exists_one(x, x == 1)",
        "self.v.exists(i, x, x == 1)",
        "self.v.exists(x, self.w)",
        "self.v.map(x, x)[0] == 1",
        "self.v.exists(x, x.all(y, y == 1))",
        "[1, 2].exists(x, x == 1) && self.w == self.v",
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        compare_all(*state, codes[i], false);
    }
}

/* A test with the element `x` in place of self.v; false if it is of something else. */
static bool body_make(char *out, const char *test)
{
    size_t at = 0;
    if (strncmp(test, "self.v", 6) == 0) {
        at = (size_t)sprintf(out, "x%s", test + 6);
    } else if (strncmp(test, "has(self.v.", 11) == 0) {
        at = (size_t)sprintf(out, "has(x.%s", test + 11);
    }
    return at > 0;
}

static void predicate_loops_same_as_machine(void **state)
{
    static const char *const forms[] = {
        "self.v.exists(x, %s)",
        "self.v.all(x, %s)",
        "!self.v.all(x, !(%s))",
        "self.w || self.v.exists(x, x == 18 || %s)",
        "self.v.all(x, has(x.k) && %s) && self.w",
    };
    char body[256];
    char code[512];
    for (size_t i = 0; i < sizeof(tests_known) / sizeof(tests_known[0]); i++) {
        if (!body_make(body, tests_known[i])) continue;
        for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
            (void)snprintf(code, sizeof(code), forms[form], body);
            compare_all(*state, code, true);
        }
    }
}

/* The last of many elements; at a length the machine takes over, and counts what it costs. */
static void predicate_loops_over_long_lists_same_as_machine(void **state)
{
    struct fixture *fix = *state;
    char json[2048];
    for (int count = 60; count < 70; count++) {
        size_t at = (size_t)sprintf(json, "{\"v\": [");
        for (int i = 1; i < count; i++) at += (size_t)sprintf(json + at, "{\"k\": %d},", i);
        (void)sprintf(json + at, "{\"k\": \"end\"}]}");
        cel_expect(fix, "self.v.exists(x, x.k == 'end')", json, "true");
        cel_expect(fix, "self.v.all(x, x.k != 'end')", json, "false");
        cel_expect(fix, "self.v.exists(x, x.k == 'no')", json, "false");
    }
}

static void predicate_unpacked_names_same_as_machine(void **state)
{
    struct fixture *fix = *state;
    fix->source.unpack = true;
    compare_all(fix, "v == 'POST' || w", true);
    compare_all(fix, "v.k == 'POST' && has(v.k)", true);
    compare_all(fix, "self.v == 'POST' || !w", true);
    compare_all(fix, "v.exists(x, x.k == 'POST') || w", true);
    compare_all(fix, "v.exists(v, v == 18)", true);
    compare_all(fix, "v.exists(x, w)", false);
}

static void predicate_constant_parts_decide(void **state)
{
    compare_all(*state, "self.w || true", true);
    compare_all(*state, "self.w && (true || self.v == 1)", true);
    compare_all(*state, "self.w ? self.v == 18 : false", true);
}

static void predicate_long_texts_are_left_to_the_machine(void **state)
{
    struct fixture *fix = *state;
    char *json = malloc(2000100);
    assert_non_null(json);
    size_t at = (size_t)sprintf(json, "{\"v\": \"");
    memset(json + at, 'a', 2000000);
    (void)sprintf(json + at + 2000000, "b\"}");
    cel_expect(fix, "self.v.contains('ab') && self.v.matches('a+b')", json, "true");
    cel_expect(fix, "self.v.contains('ac') || self.v.matches('a+c')", json, "false");
    free(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cel_setup, cel_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(predicate_single_tests_same_as_machine),
        TEST(predicate_conditions_same_as_machine),
        TEST(predicate_other_expressions_have_none),
        TEST(predicate_loops_same_as_machine),
        TEST(predicate_loops_over_long_lists_same_as_machine),
        TEST(predicate_unpacked_names_same_as_machine),
        TEST(predicate_constant_parts_decide),
        TEST(predicate_long_texts_are_left_to_the_machine),
    };
    return cmocka_run_group_tests_name("cel predicate", tests, NULL, NULL);
}
