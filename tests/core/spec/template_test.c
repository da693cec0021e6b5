/* SPDX-License-Identifier: MIT */
/* Placeholders: types kept, texts formatted, mistakes with places. */
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
#include "core/spec/spec.h"
#include "core/spec/template.h"

static const char bound_text[] = "PORT: 8080\n"
                                 "HOST: example.org\n"
                                 "RATIO: 0.25\n"
                                 "ON: true\n"
                                 "NOTHING: null\n"
                                 "DB: {user: me, hosts: [a, b]}\n"
                                 "TRICK: '{{ .PORT }}'\n";

static struct sl_value parse(const char *text)
{
    struct sl_value value = sl_value_none();
    assert_int_equal(sl_yaml_parse_one(sl_slice_from_str(text), NULL, 0, &value, NULL), 0);
    return value;
}

/* The value of `text` after binding; none with the mistakes in `diags`. */
static struct sl_value apply(const char *text, struct sl_diags *diags)
{
    struct sl_value bound = parse(bound_text);
    struct sl_value value = parse(text);
    struct sl_template template = {.bound = bound, .what = "env"};
    struct sl_value result = sl_value_none();
    int error = sl_template_apply(&template, value, &result, diags);
    assert_true(error == 0 || error == -EINVAL);
    assert_true((error == 0) == !sl_value_is_none(result));
    sl_value_unref(value);
    sl_value_unref(bound);
    return result;
}

static void assert_applied(const char *text, const char *expected)
{
    struct sl_diags diags = {0};
    struct sl_value value = apply(text, &diags);
    if (diags.count > 0) print_error("%s: %s\n", text, diags.items[0].text);
    assert_int_equal(diags.count, 0);
    struct sl_value want = parse(expected);
    if (!sl_value_equal(value, want)) print_error("%s\n", text);
    assert_true(sl_value_equal(value, want));
    assert_int_equal(sl_value_kind(value), sl_value_kind(want));
    sl_value_unref(want);
    sl_value_unref(value);
}

static void apply_lone_placeholder_keeps_the_type(void **state)
{
    (void)state;
    assert_applied("'{{ .PORT }}'", "8080");
    assert_applied("'{{.PORT}}'", "8080");
    assert_applied("'{{ .ON }}'", "true");
    assert_applied("'{{ .NOTHING }}'", "null");
    assert_applied("'{{ .DB }}'", "{user: me, hosts: [a, b]}");
    assert_applied("'{{ .DB.user }}'", "me");
    assert_applied("'{{ .DB.hosts.1 }}'", "b");
    assert_applied("a: ['{{ .PORT }}', {b: '{{ .RATIO }}'}]", "a: [8080, {b: 0.25}]");
}

static void apply_inside_text_is_formatted(void **state)
{
    (void)state;
    assert_applied("'http://{{ .HOST }}:{{.PORT}}/'", "http://example.org:8080/");
    assert_applied("' {{ .PORT }}'", "' 8080'");
    assert_applied("'{{ .ON }}/{{ .RATIO }}'", "true/0.25");
    assert_applied("{'k-{{ .PORT }}': 1}", "{k-8080: 1}");
}

static void apply_bound_text_is_not_read_again(void **state)
{
    (void)state;
    assert_applied("'{{ .TRICK }}'", "'{{ .PORT }}'");
    assert_applied("'x{{ .TRICK }}'", "'x{{ .PORT }}'");
}

static void apply_other_braces_are_left_alone(void **state)
{
    (void)state;
    assert_applied(
        "'{{x}} {{#if}} {{ }} {{}} {{{a}}} style={{color: 1}} {{ ...props }} {{ .5 + 1'",
        "'{{x}} {{#if}} {{ }} {{}} {{{a}}} style={{color: 1}} {{ ...props }} {{ .5 + 1'");
    assert_applied("'{{'", "'{{'");
    assert_applied("'{{ .'", "'{{ .'");
}

static void apply_quoted_braces_stand_for_themselves(void **state)
{
    (void)state;
    assert_applied("'{{\"{{\"}} .PORT }}'", "'{{ .PORT }}'");
    assert_applied("'{{ `{{` }}{{ .PORT }}'", "'{{8080'");
}

static void apply_mistakes_are_told_with_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        const char *hint;
    } cases[] = {
        {"a: '{{ .PROT }}'", "unbound_name", "did you mean \"PORT\"?"},
        {"a: 'x {{ .DB.usr }}'", "unbound_name", "did you mean \"user\"?"},
        {"a: '{{ .DB.hosts.7 }}'", "unbound_name", NULL},
        {"a: '{{ .PORT.x }}'", "unbound_name", NULL},
        {"a: 'x{{ .DB }}'", "wrong_type", NULL},
        {"a: 'x{{ .NOTHING }}'", "wrong_type", NULL},
        {"a: '{{ .PORT | upper }}'", "bad_placeholder", "{{ .NAME }}"},
        {"a: '{{ .PORT }'", "bad_placeholder", NULL},
        {"a: '{{ .DB. }}'", "bad_placeholder", NULL},
        {"a: {'{{ .HOST }}': 1, example.org: 2}", "duplicate_key", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_diags diags = {0};
        struct sl_value value = apply(cases[i].text, &diags);
        if (!sl_value_is_none(value)) print_error("case %s\n", cases[i].text);
        assert_true(sl_value_is_none(value));
        assert_int_equal(diags.count, 1);
        assert_string_equal(diags.items[0].code, cases[i].code);
        assert_int_equal(diags.items[0].pos.line, 1);
        if (cases[i].hint != NULL) assert_non_null(strstr(diags.items[0].hint, cases[i].hint));
        sl_diags_fini(&diags);
    }
}

static void apply_names_only_checks_first_names(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_value bound = parse("{A: null}");
    struct sl_value value = parse("['{{ .A }}', 'x{{ .A.part.7 }}', '{{ .B }}', {'{{ .A }}': 1}]");
    struct sl_template template = {.bound = bound, .what = "env", .names_only = true};
    struct sl_value result;
    assert_int_equal(sl_template_apply(&template, value, &result, &diags), -EINVAL);
    assert_int_equal(diags.count, 1);
    assert_string_equal(diags.items[0].code, "unbound_name");
    sl_diags_fini(&diags);
    sl_value_unref(value);
    sl_value_unref(bound);
}

static void apply_nothing_to_replace_returns_the_same_value(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_value value = parse("a: [1, {b: x}]");
    struct sl_template template = {.bound = sl_value_none(), .what = "env"};
    struct sl_value result;
    assert_int_equal(sl_template_apply(&template, value, &result, &diags), 0);
    assert_ptr_equal(result.cell, value.cell);
    sl_value_unref(result);
    sl_value_unref(value);
}

/* ------------------------------------------------------------------------------------------ */

static const char spec_text[] = "kind: http\n"
                                "name: '{{ .HOST }}'\n"
                                "url: 'http://{{ .HOST }}/'\n"
                                "timeout: '{{ .PORT }}'\n"
                                "keep: [1, 2]\n"
                                "specs: [{kind: a, x: '{{ .HERE }}'}]\n"
                                "ports: {out: [{name: b, port: in}]}\n";

static void apply_spec_replaces_own_fields_only(void **state)
{
    (void)state;
    struct sl_diags diags = {0};
    struct sl_value bound = parse(bound_text);
    struct sl_value value = parse(spec_text);
    struct sl_spec *spec = NULL;
    assert_int_equal(sl_spec_decode(value, "s.yaml", NULL, &spec, &diags), 0);
    struct sl_template template = {.bound = bound, .what = "env", .spec = spec};
    struct sl_value result = sl_value_none();
    assert_int_equal(sl_template_apply_spec(&template, NULL, &result, &diags), 0);
    struct sl_value want =
        parse("kind: http\nname: '{{ .HOST }}'\nurl: http://example.org/\n"
              "timeout: 8080\nkeep: [1, 2]\nspecs: [{kind: a, x: '{{ .HERE }}'}]\n"
              "ports: {out: [{name: b, port: in}]}\n");
    assert_true(sl_value_equal(result, want));
    /* Positions survive, in what was built anew and in what was referred to. */
    assert_int_equal(sl_value_pos(sl_value_get_str(result, "timeout")).line, 4);
    assert_int_equal(sl_value_pos(sl_value_get_str(result, "timeout")).column, 10);
    struct sl_value keep = sl_value_get_str(result, "keep");
    assert_int_equal(sl_value_pos(sl_value_list_at(keep, 1)).column, 11);
    sl_value_unref(want);
    sl_value_unref(result);
    sl_value_unref(value);
    sl_value_unref(bound);
    sl_spec_free(spec);
}

static void apply_spec_refuses_placeholders_in_code(void **state)
{
    (void)state;
    static const char *const code[] = {"code", "matches.when", NULL};
    struct sl_diags diags = {0};
    struct sl_value bound = parse(bound_text);
    struct sl_value value = parse("kind: snippet\n"
                                  "code: 'x = {{ .PORT }}'\n"
                                  "matches:\n"
                                  "- {when: 'self == {{ .PORT }}', port: '{{ .HOST }}'}\n"
                                  "other: {when: '{{ .PORT }}'}\n"
                                  "jsx: 'style={{a: 1}}'\n");
    struct sl_spec *spec = NULL;
    assert_int_equal(sl_spec_decode(value, "s.yaml", NULL, &spec, &diags), 0);
    struct sl_template template = {.bound = bound, .what = "env", .spec = spec};
    struct sl_value result = sl_value_none();
    assert_int_equal(sl_template_apply_spec(&template, code, &result, &diags), -EINVAL);
    assert_int_equal(diags.count, 2);
    assert_string_equal(diags.items[0].code, "placeholder_in_code");
    assert_int_equal(diags.items[0].pos.line, 2);
    assert_string_equal(diags.items[0].file, "s.yaml");
    assert_int_equal(diags.items[1].pos.line, 4);
    assert_string_equal(diags.items[1].hint, "read env.PORT in the script");
    sl_diags_fini(&diags);
    sl_value_unref(value);
    sl_value_unref(bound);
    sl_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apply_lone_placeholder_keeps_the_type),
        cmocka_unit_test(apply_inside_text_is_formatted),
        cmocka_unit_test(apply_bound_text_is_not_read_again),
        cmocka_unit_test(apply_other_braces_are_left_alone),
        cmocka_unit_test(apply_quoted_braces_stand_for_themselves),
        cmocka_unit_test(apply_mistakes_are_told_with_place),
        cmocka_unit_test(apply_names_only_checks_first_names),
        cmocka_unit_test(apply_nothing_to_replace_returns_the_same_value),
        cmocka_unit_test(apply_spec_replaces_own_fields_only),
        cmocka_unit_test(apply_spec_refuses_placeholders_in_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
