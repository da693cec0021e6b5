/* SPDX-License-Identifier: MIT */
/* Specifications: what is accepted, and what each mistake says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/limit.h"
#include "core/spec/spec.h"

/* Decode a spec from YAML; NULL with the mistakes in `diags`. */
static struct sl_spec *decode(const char *text, struct sl_diags *diags)
{
    struct sl_value value;
    struct sl_spec *spec = NULL;
    assert_int_equal(sl_yaml_parse_one(sl_slice_from_str(text), NULL, 0, &value, NULL), 0);
    int result = sl_spec_decode(value, "s.yaml", NULL, &spec, diags);
    sl_value_unref(value);
    assert_true((result == 0) == (spec != NULL));
    assert_true(result == 0 || result == -EINVAL);
    return spec;
}

static void assert_slice(struct sl_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void port_parse_known_forms_give_kind_and_number(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int result;
        enum sl_port_kind kind;
        uint32_t index;
    } cases[] = {
        {"in", 0, SL_PORT_KIND_IN, 0},
        {"in[2]", 0, SL_PORT_KIND_IN, 2},
        {"out", 0, SL_PORT_KIND_OUT, 0},
        {"out[0]", 0, SL_PORT_KIND_OUT, 0},
        {"out[255]", 0, SL_PORT_KIND_OUT, 255},
        {"error", 0, SL_PORT_KIND_ERROR, 0},
        {"io", 0, SL_PORT_KIND_IO, 0},
        {"out[256]", -ERANGE, 0, 0},
        {"out[99999999999999999999]", -ERANGE, 0, 0},
        {"out[01]", -EINVAL, 0, 0},
        {"out[]", -EINVAL, 0, 0},
        {"out[", -EINVAL, 0, 0},
        {"out[1]x", -EINVAL, 0, 0},
        {"out[-1]", -EINVAL, 0, 0},
        {"output", -EINVAL, 0, 0},
        {"error[1]", -EINVAL, 0, 0},
        {"inn", -EINVAL, 0, 0},
        {"", -EINVAL, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum sl_port_kind kind = SL_PORT_KIND_IN;
        uint32_t index = 0;
        assert_int_equal(sl_spec_port_parse(sl_slice_from_str(cases[i].name), &kind, &index),
                         cases[i].result);
        if (cases[i].result != 0) continue;
        assert_int_equal(kind, cases[i].kind);
        assert_int_equal(index, cases[i].index);
    }
}

static void decode_all_common_fields_are_read(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_spec *spec =
        decode("id: 0190a6f0-8c3a-7c8e-9d2b-0123456789ab\n"
               "kind: listener\n"
               "namespace: default\n"
               "name: web\n"
               "annotations: {team: edge}\n"
               "env:\n"
               "  PORT: {data: '{{ .PORT }}'}\n"
               "  KEY: {name: tls, data: '{{ .key }}'}\n"
               "  OLD:\n"
               "    - {name: other, value: 7}\n"
               "  ALL: {name: whole}\n"
               "port: 80\n"
               "ports:\n"
               "  out:\n"
               "    - {name: router, port: in}\n"
               "    - {id: 0190a6f0-8c3a-7c8e-9d2b-0123456789ac, port: 'in[3]'}\n"
               "  error: {name: catch, port: in}\n",
               &diags);
    assert_non_null(spec);
    assert_slice(spec->kind, "listener");
    assert_slice(spec->name, "web");
    assert_slice(spec->name_space, "default");
    assert_int_equal(spec->id.size, 36);
    assert_string_equal(spec->file, "s.yaml");
    assert_int_equal(sl_value_count(spec->annotations), 1);

    assert_int_equal(spec->env_count, 4);
    assert_slice(spec->env[1].name, "tls");
    assert_int_equal(spec->env[2].data.cell->i64, 7);
    assert_true(sl_value_is_none(spec->env[3].data));
    assert_int_equal(spec->env[2].pos.line, 9);

    assert_int_equal(spec->ports_count, 2);
    assert_int_equal(spec->ports[0].edges_count, 2);
    assert_slice(spec->ports[0].edges[0].name, "router");
    assert_int_equal(spec->ports[0].edges[1].port_index, 3);
    assert_int_equal(spec->ports[0].edges[1].node_pos.line, 16);
    assert_int_equal(spec->ports[1].kind, SL_PORT_KIND_ERROR);
    assert_slice(spec->ports[1].edges[0].name, "catch");
    sl_spec_free(spec);
    sl_diags_fini(&diags);
}

static void decode_nested_specs_are_children(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_spec *spec = decode("kind: block\nspecs:\n- {kind: a}\n- kind: block\n  specs:\n"
                                  "  - {kind: b, name: inner}\n",
                                  &diags);
    assert_non_null(spec);
    assert_int_equal(spec->children_count, 2);
    assert_slice(spec->children[0]->kind, "a");
    assert_int_equal(spec->children[1]->children_count, 1);
    assert_slice(spec->children[1]->children[0]->name, "inner");
    assert_int_equal(spec->children[1]->children[0]->pos.line, 6);
    sl_spec_free(spec);
}

static void decode_deep_blocks_are_refused(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    char text[4096] = "";
    for (int i = 0; i < SL_SPEC_BLOCK_DEPTH_MAX + 1; i++) strcat(text, "{kind: block, specs: [");
    strcat(text, "{kind: a}");
    for (int i = 0; i < SL_SPEC_BLOCK_DEPTH_MAX + 1; i++) strcat(text, "]}");
    assert_null(decode(text, &diags));
    assert_string_equal(diags.items[0].code, "too_deep");
    sl_diags_fini(&diags);
}

static void decode_mistake_is_told_with_place_and_hint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        uint32_t line;
        uint32_t column;
        const char *hint; /* part of it, or NULL */
    } cases[] = {
        {"- a\n", "wrong_type", 1, 1, NULL},
        {"knd: a\n", "missing_field", 1, 1, "did you mean \"kind\"?"},
        {"kind: 7\n", "wrong_type", 1, 7, "quotes"},
        {"kind: ''\n", "bad_name", 1, 7, NULL},
        {"kind: a\nname: 12\n", "wrong_type", 2, 7, "quotes"},
        {"kind: a\nname: \"a\\nb\"\n", "bad_name", 2, 7, NULL},
        {"kind: a\nid: abc\n", "bad_id", 2, 5, "leave"},
        {"kind: a\nnamespace: [x]\n", "wrong_type", 2, 12, NULL},
        {"kind: a\nannotations: x\n", "wrong_type", 2, 14, NULL},
        {"kind: a\nannotations: {v: 1.5}\n", "wrong_type", 2, 18, "quotes"},
        {"kind: a\nenv: [A]\n", "wrong_type", 2, 6, NULL},
        {"kind: a\nenv: {A: x}\n", "wrong_type", 2, 10, "{data: "},
        {"kind: a\nenv: {A: {}}\n", "missing_field", 2, 10, "{{ .A }}"},
        {"kind: a\nenv: {A: {dta: 1, name: x}}\n", "unknown_field", 2, 11,
         "did you mean \"data\"?"},
        {"kind: a\nenv: {A: {data: 1, value: 2}}\n", "conflict", 2, 27, NULL},
        {"kind: a\nenv: {A: [{data: 1}, {data: 2}]}\n", "wrong_type", 2, 10, NULL},
        {"kind: a\nenv: {A b: {data: 1}}\n", "bad_name", 2, 7, "letters"},
        {"kind: a\nports: [out]\n", "wrong_type", 2, 8, NULL},
        {"kind: a\nports: {out: router}\n", "wrong_type", 2, 14, "{name: router, port: in}"},
        {"kind: a\nports: {oot: []}\n", "unknown_port", 2, 9, "did you mean \"out\"?"},
        {"kind: a\nports: {in: []}\n", "wrong_port", 2, 9, "node that sends"},
        {"kind: a\nports: {'out[300]': []}\n", "port_range", 2, 9, NULL},
        {"kind: a\nports: {out: [{port: in}]}\n", "missing_field", 2, 15, NULL},
        {"kind: a\nports: {out: [{name: b}]}\n", "missing_field", 2, 15, "port: in"},
        {"kind: a\nports: {out: [{name: b, port: out}]}\n", "wrong_port", 2, 31, NULL},
        {"kind: a\nports: {out: [{name: b, port: i}]}\n", "unknown_port", 2, 31, "did you mean"},
        {"kind: a\nports: {out: [{nam: b, port: in, id: x}]}\n", "unknown_field", 2, 16,
         "\"name\""},
        {"kind: a\nports: {out: [], 'out[0]': []}\n", "duplicate_port", 2, 18, NULL},
        {"kind: a\nspecs: {kind: b}\n", "wrong_type", 2, 8, NULL},
        {"kind: a\nspecs: [x]\n", "wrong_type", 2, 9, NULL},
        {"kind: a\nspecs: [{name: b}]\n", "missing_field", 2, 9, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_diags diags = {0};
        assert_null(decode(cases[i].text, &diags));
        assert_true(diags.count > 0);
        const struct sl_diag *diag = &diags.items[0];
        if (strcmp(diag->code, cases[i].code) != 0 || diag->pos.column != cases[i].column) {
            print_error("case %zu: %u:%u %s: %s\n", i, diag->pos.line, diag->pos.column, diag->code,
                        diag->text);
        }
        assert_string_equal(diag->code, cases[i].code);
        assert_string_equal(diag->file, "s.yaml");
        assert_int_equal(diag->pos.line, cases[i].line);
        assert_int_equal(diag->pos.column, cases[i].column);
        if (cases[i].hint != NULL) assert_non_null(strstr(diag->hint, cases[i].hint));
        sl_diags_fini(&diags);
    }
}

static void decode_several_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    assert_null(decode("name: 1\nports: {out: [{name: b}], oops: []}\nenv: {A: {}}\n"
                       "specs: [{kind: a, id: x}, {}]\n",
                       &diags));
    assert_int_equal(diags.errors_count, 7);
    sl_diags_fini(&diags);
}

static void text_get_and_locate_use_the_table(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_value value;
    struct sl_spec *spec = NULL;
    struct sl_spec_texts *texts = sl_spec_texts_new(1);
    assert_non_null(texts);
    assert_int_equal(sl_yaml_parse_one(SL_SLICE("kind: a\ncode: |\n  one\n  two\nplain: xyz\n"),
                                       NULL, 0, &value, NULL),
                     0);
    texts->items[0] = (struct sl_spec_text){{2, 7}, {3, 3}, 2, 0};
    assert_int_equal(sl_spec_decode(value, "s.yaml", texts, &spec, &diags), 0);
    sl_spec_texts_unref(texts);
    struct sl_pos pos = sl_spec_locate(spec, sl_value_get_str(value, "code"), 2, 3);
    assert_int_equal(pos.line, 4);
    assert_int_equal(pos.column, 5);
    pos = sl_spec_locate(spec, sl_value_get_str(value, "plain"), 1, 2);
    assert_int_equal(pos.line, 5);
    assert_int_equal(pos.column, 9);
    sl_value_unref(value);
    sl_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_parse_known_forms_give_kind_and_number),
        cmocka_unit_test(decode_all_common_fields_are_read),
        cmocka_unit_test(decode_nested_specs_are_children),
        cmocka_unit_test(decode_deep_blocks_are_refused),
        cmocka_unit_test(decode_mistake_is_told_with_place_and_hint),
        cmocka_unit_test(decode_several_mistakes_are_told_at_once),
        cmocka_unit_test(text_get_and_locate_use_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
