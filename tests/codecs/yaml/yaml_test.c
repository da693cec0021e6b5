/* SPDX-License-Identifier: MIT */
/*
 * The YAML codec: scalars of the core schema, aliases and merges, positions, mistakes, writing.
 */
#include <errno.h>
#include <math.h>
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

/* The value of a text of one document; the test fails on a mistake. */
static struct sl_value parse(const char *text)
{
    struct sl_value value = sl_value_none();
    struct sl_diag diag = {0};
    int result = sl_yaml_parse_one(sl_slice_from_str(text), NULL, 0, &value, &diag);
    if (result != 0) print_error("%u:%u: %s\n", diag.pos.line, diag.pos.column, diag.text);
    assert_int_equal(result, 0);
    return value;
}

static struct sl_diag parse_fail(const char *text)
{
    struct sl_value value = sl_value_none();
    struct sl_diag diag = {0};
    assert_int_equal(sl_yaml_parse_one(sl_slice_from_str(text), NULL, 0, &value, &diag), -EINVAL);
    assert_true(sl_value_is_none(value));
    return diag;
}

static void assert_pos(struct sl_pos pos, uint32_t line, uint32_t column)
{
    assert_int_equal(pos.line, line);
    assert_int_equal(pos.column, column);
}

static void assert_string(struct sl_value value, const char *text)
{
    assert_true(sl_value_is(value, SL_VALUE_STRING));
    struct sl_slice slice = sl_value_slice(value);
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void parse_core_schema_scalars_have_their_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sl_value_kind kind;
        uint64_t word;
    } cases[] = {
        {"null", SL_VALUE_NULL, 0},
        {"~", SL_VALUE_NULL, 0},
        {"", SL_VALUE_NULL, 0},
        {"NULL", SL_VALUE_NULL, 0},
        {"nULL", SL_VALUE_STRING, 0},
        {"true", SL_VALUE_BOOL, 1},
        {"FALSE", SL_VALUE_BOOL, 0},
        {"tRUE", SL_VALUE_STRING, 0},
        {"yes", SL_VALUE_STRING, 0},
        {"on", SL_VALUE_STRING, 0},
        {"0", SL_VALUE_INT, 0},
        {"+7", SL_VALUE_INT, 7},
        {"-7", SL_VALUE_INT, (uint64_t)-7},
        {"007", SL_VALUE_INT, 7},
        {"0x1F", SL_VALUE_INT, 31},
        {"0o17", SL_VALUE_INT, 15},
        {"0o18", SL_VALUE_STRING, 0},
        {"0x", SL_VALUE_STRING, 0},
        {"-0x1F", SL_VALUE_STRING, 0},
        {"1_000", SL_VALUE_STRING, 0},
        {"12:30:45", SL_VALUE_STRING, 0},
        {"2001-01-01", SL_VALUE_STRING, 0},
        {"9223372036854775807", SL_VALUE_INT, INT64_MAX},
        {"9223372036854775808", SL_VALUE_UINT, UINT64_C(9223372036854775808)},
        {"-9223372036854775808", SL_VALUE_INT, UINT64_C(9223372036854775808)},
        {"18446744073709551615", SL_VALUE_UINT, UINT64_MAX},
        {"0xFFFFFFFFFFFFFFFF", SL_VALUE_UINT, UINT64_MAX},
        {"'7'", SL_VALUE_STRING, 0},
        {"\"true\"", SL_VALUE_STRING, 0},
        {"!!str 7", SL_VALUE_STRING, 0},
        {"! 7", SL_VALUE_STRING, 0},
        {"!!int '7'", SL_VALUE_INT, 7},
        {"|\n  7\n", SL_VALUE_STRING, 0},
        {".", SL_VALUE_STRING, 0},
        {"+", SL_VALUE_STRING, 0},
        {"1e", SL_VALUE_STRING, 0},
        {"e3", SL_VALUE_STRING, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_value value = parse(cases[i].text);
        if (sl_value_kind(value) != cases[i].kind) print_error("case \"%s\"\n", cases[i].text);
        assert_int_equal(sl_value_kind(value), cases[i].kind);
        if (cases[i].kind != SL_VALUE_STRING) assert_true(value.cell->word == cases[i].word);
        sl_value_unref(value);
    }
}

static void parse_floats_have_their_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1.5", 1.5},
        {"-.5", -.5},
        {"1.", 1},
        {"1e3", 1000},
        {"+1.25E-2", 0.0125},
        {".inf", (double)INFINITY},
        {"-.Inf", -(double)INFINITY},
        {"+.INF", (double)INFINITY},
        {"18446744073709551616", 18446744073709551616.0},
        {"-9223372036854775809", -9223372036854775808.0},
        {"0x10000000000000000", 18446744073709551616.0},
        {"!!float 3", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_value value = parse(cases[i].text);
        assert_int_equal(sl_value_kind(value), SL_VALUE_FLOAT);
        assert_true(value.cell->f64 == cases[i].value);
        sl_value_unref(value);
    }
    struct sl_value value = parse(".NaN");
    assert_true(isnan(value.cell->f64));
    sl_value_unref(value);
}

static void parse_binary_tag_decodes_base64(void **state)
{
    (void)state;
    struct sl_value value = parse("!!binary |\n  AAEC\n  /w==\n");
    assert_int_equal(sl_value_kind(value), SL_VALUE_BINARY);
    struct sl_slice slice = sl_value_slice(value);
    assert_int_equal(slice.size, 4);
    assert_memory_equal(slice.data, "\x00\x01\x02\xff", 4);
    sl_value_unref(value);
    assert_string_equal(parse_fail("a: !!binary '*'\n").code, "yaml_tag");
}

static void parse_positions_point_at_each_node(void **state)
{
    (void)state;
    struct sl_value root = parse("# head\n"
                                 "name: web\n"
                                 "list:\n"
                                 "  - 1\n"
                                 "  - {a: \"ü\", b: 2}\n");
    assert_pos(sl_value_pos(root), 2, 1);
    assert_pos(sl_value_key_pos(root, 0), 2, 1);
    assert_pos(sl_value_pos(sl_value_get_str(root, "name")), 2, 7);
    assert_pos(sl_value_key_pos(root, 1), 3, 1);
    struct sl_value list = sl_value_get_str(root, "list");
    assert_pos(sl_value_pos(list), 4, 3);
    assert_pos(sl_value_pos(sl_value_list_at(list, 0)), 4, 5);
    struct sl_value map = sl_value_list_at(list, 1);
    assert_pos(sl_value_pos(map), 5, 5);
    assert_pos(sl_value_pos(sl_value_get_str(map, "a")), 5, 9);
    /* Columns are bytes: ü takes two. */
    assert_pos(sl_value_key_pos(map, 1), 5, 15);
    assert_pos(sl_value_pos(sl_value_get_str(map, "b")), 5, 18);
    sl_value_unref(root);
}

static void parse_crlf_and_byte_order_mark_count_as_people_do(void **state)
{
    (void)state;
    struct sl_value root = parse("\xEF\xBB\xBF"
                                 "a: 1\r\nb: 2\r\n");
    assert_pos(sl_value_key_pos(root, 0), 1, 1);
    assert_pos(sl_value_key_pos(root, 1), 2, 1);
    assert_pos(sl_value_pos(sl_value_get_str(root, "b")), 2, 4);
    sl_value_unref(root);
}

static void parse_several_documents_returns_each(void **state)
{
    (void)state;
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    assert_int_equal(
        sl_yaml_parse(SL_SLICE("a: 1\n---\n- x\n---\n...\n# end\n"), "f", NULL, 0, &yaml, &diags),
        0);
    assert_int_equal(yaml.docs_count, 3);
    assert_int_equal(sl_value_kind(yaml.docs[0].value), SL_VALUE_MAP);
    assert_pos(yaml.docs[1].pos, 3, 1);
    assert_int_equal(sl_value_kind(yaml.docs[2].value), SL_VALUE_NULL);
    sl_yaml_fini(&yaml);

    assert_int_equal(sl_yaml_parse(SL_SLICE("# nothing\n"), "f", NULL, 0, &yaml, &diags), 0);
    assert_int_equal(yaml.docs_count, 0);
    sl_yaml_fini(&yaml);
    sl_diags_fini(&diags);
}

static void parse_alias_is_a_copy_with_the_position_of_its_anchor(void **state)
{
    (void)state;
    struct sl_value root = parse("a: &x {p: 1}\nb: *x\nc: [*x, *x]\n");
    struct sl_value b = sl_value_get_str(root, "b");
    assert_true(sl_value_equal(sl_value_get_str(root, "a"), b));
    assert_pos(sl_value_pos(sl_value_get_str(b, "p")), 1, 11);
    assert_int_equal(sl_value_count(sl_value_get_str(root, "c")), 2);
    sl_value_unref(root);
}

static void parse_merge_keys_own_keys_win(void **state)
{
    (void)state;
    struct sl_value root = parse("base: &b {x: 1, y: 2}\n"
                                 "more: &m {y: 3, z: 4, <<: *b}\n"
                                 "one: {<<: *b, y: 9}\n"
                                 "two: {q: 0, <<: [*m, *b]}\n"
                                 "text: {'<<': *b}\n");
    struct sl_value one = sl_value_get_str(root, "one");
    assert_int_equal(sl_value_count(one), 2);
    assert_int_equal(sl_value_get_str(one, "y").cell->i64, 9);
    assert_int_equal(sl_value_get_str(one, "x").cell->i64, 1);
    struct sl_value two = sl_value_get_str(root, "two");
    assert_int_equal(sl_value_count(two), 4);
    assert_int_equal(sl_value_get_str(two, "y").cell->i64, 3);
    assert_int_equal(sl_value_get_str(two, "x").cell->i64, 1);
    assert_int_equal(sl_value_count(sl_value_get_str(root, "text")), 1);
    sl_value_unref(root);
}

static void parse_mistake_is_told_with_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        uint32_t line;
        uint32_t column;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "duplicate_key", 3, 1},
        {"x: {k: 1, k: 2}\n", "duplicate_key", 1, 11},
        {"a: *none\n", "yaml_alias", 1, 4},
        {"a: &a [*a]\n", "yaml_alias", 1, 8},
        {"a: b: c\n", "yaml_syntax", 1, 5},
        {"a: 'open\n", "yaml_syntax", 2, 1},
        {"a:\n\t- 1\n", "yaml_syntax", 2, 1},
        {"a: @b\n", "yaml_syntax", 1, 4},
        {"a: [1, 2\nb: 3\n", "yaml_syntax", 2, 2},
        {"a: 1\n b: 2\n", "yaml_syntax", 2, 3},
        {"{[1]: 2}\n", "yaml_key", 1, 2},
        {"? {a: 1}\n: 2\n", "yaml_key", 1, 3},
        {"a: !!int x\n", "yaml_tag", 1, 4},
        {"a: !!map x\n", "yaml_tag", 1, 4},
        {"a: \"\\q\"\n", "yaml_syntax", 1, 5},
        {"a: \x01\n", "yaml_text", 1, 4},
        {"a: b\nc: \xff\n", "yaml_text", 2, 4},
        {"<<: {a: 1}\n<<: {b: 1}\n", "duplicate_key", 2, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_diag diag = parse_fail(cases[i].text);
        if (strcmp(diag.code, cases[i].code) != 0 || diag.pos.line != cases[i].line ||
            diag.pos.column != cases[i].column) {
            print_error("case %zu: %u:%u: %s %s\n", i, diag.pos.line, diag.pos.column, diag.code,
                        diag.text);
        }
        assert_string_equal(diag.code, cases[i].code);
        assert_pos(diag.pos, cases[i].line, cases[i].column);
    }
}

static void parse_several_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    struct sl_slice text = SL_SLICE("a: 1\na: 2\nb: *c\n---\nd: !!int x\n---\nok: 1\n");
    assert_int_equal(sl_yaml_parse(text, "f.yaml", NULL, 0, &yaml, &diags), -EINVAL);
    assert_int_equal(diags.errors_count, 3);
    assert_string_equal(diags.items[0].file, "f.yaml");
    assert_non_null(strstr(diags.items[0].text, "first at line 1, column 1"));
    assert_string_equal(diags.items[1].code, "yaml_alias");
    assert_string_equal(diags.items[2].code, "yaml_tag");
    assert_int_equal(yaml.docs_count, 0);
    sl_diags_fini(&diags);
}

static void parse_strict_tags_refuses_unknown(void **state)
{
    (void)state;
    struct sl_value value;
    struct sl_diag diag = {0};
    assert_int_equal(
        sl_yaml_parse_one(SL_SLICE("a: !Ref x"), NULL, SL_YAML_TAGS_STRICT, &value, &diag),
        -EINVAL);
    assert_string_equal(diag.code, "yaml_tag");
    value = parse("a: !Ref x");
    assert_string(sl_value_get_str(value, "a"), "x");
    sl_value_unref(value);
}

/* `count` times `part`, then `tail`; freed by the caller. */
static char *repeat(const char *part, size_t count, const char *tail)
{
    size_t size = strlen(part);
    char *text = malloc(size * count + strlen(tail) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) memcpy(text + i * size, part, size);
    strcpy(text + size * count, tail);
    return text;
}

static void parse_limits_are_mistakes_not_crashes(void **state)
{
    (void)state;
    char *deep = repeat("[", 100000, "");
    assert_string_equal(parse_fail(deep).code, "yaml_depth");
    free(deep);

    /* Each line multiplies by ten: a billion laughs. */
    char laughs[2048] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; i++) {
        char line[128];
        (void)snprintf(line, sizeof(line),
                       "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
                       i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        strcat(laughs, line);
    }
    assert_string_equal(parse_fail(laughs).code, "yaml_alias_limit");

    /* The same by merge keys: each map merges the one before many times. */
    char *merges = repeat("*a, ", 60000, "*a]}\n");
    char *text = malloc(strlen(merges) + 64);
    sprintf(text, "a: &a {x: 1, y: 2}\nb: {<<: [%s", merges);
    assert_string_equal(parse_fail(text).code, "yaml_alias_limit");
    free(text);
    free(merges);
}

static void parse_depth_through_aliases_is_limited(void **state)
{
    (void)state;
    char text[8192] = "- &a0 [1]\n";
    for (int i = 1; i < SL_PAYLOAD_DEPTH_MAX + 10; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "- &a%d [*a%d]\n", i, i - 1);
        strcat(text, line);
    }
    assert_string_equal(parse_fail(text).code, "yaml_depth");
}

/* ------------------------------------------------------------------------------------------ */
/* Places inside strings                                                                        */

struct place {
    uint32_t line;   /* in the string */
    uint32_t column; /* in the string */
    uint32_t file_line;
    uint32_t file_column;
};

static void assert_places(const char *text, const struct place *places, size_t count)
{
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    struct sl_slice source = sl_slice_from_str(text);
    assert_int_equal(sl_yaml_parse(source, "", NULL, 0, &yaml, &diags), 0);
    struct sl_value code = sl_value_get_str(yaml.docs[0].value, "code");
    const struct sl_yaml_text *entry = sl_yaml_text_find(&yaml, sl_value_pos(code));
    assert_non_null(entry);
    for (size_t i = 0; i < count; i++) {
        struct sl_pos pos =
            sl_yaml_locate(source, entry, sl_value_slice(code), places[i].line, places[i].column);
        if (pos.line != places[i].file_line || pos.column != places[i].file_column) {
            print_error("place %u:%u is %u:%u\n", places[i].line, places[i].column, pos.line,
                        pos.column);
        }
        assert_pos(pos, places[i].file_line, places[i].file_column);
    }
    sl_yaml_fini(&yaml);
    sl_diags_fini(&diags);
}

#define PLACES(text, ...)                                                                          \
    do {                                                                                           \
        static const struct place places[] = {__VA_ARGS__};                                        \
        assert_places(text, places, sizeof(places) / sizeof(places[0]));                           \
    } while (0)

static void locate_literal_block_is_exact(void **state)
{
    (void)state;
    PLACES("kind: snippet\ncode: |\n  one\n    two\n\n  three\n", {1, 1, 3, 3}, {2, 3, 4, 5},
           {4, 2, 6, 4});
    PLACES("code: &x !!str |- # why\n\n    one\n   \n    two\n", {1, 1, 2, 5}, {2, 1, 3, 5},
           {4, 3, 5, 7});
    PLACES("code: |1\n   one\n two\n", {1, 3, 2, 4}, {2, 1, 3, 2});
    PLACES("code: |\r\n  one\r\n  two\r\n", {1, 1, 2, 3}, {2, 2, 3, 4});
}

static void locate_folded_block_is_exact_for_solid_bytes(void **state)
{
    (void)state;
    PLACES("code: >\n  one two\n  three\n\n  four\n    five\n  six\n", {1, 5, 2, 7}, {1, 9, 3, 3},
           {2, 1, 5, 3}, {3, 3, 6, 5}, {4, 1, 7, 3});
}

static void locate_quoted_is_exact_for_solid_bytes(void **state)
{
    (void)state;
    PLACES("code: 'it''s one'\n", {1, 1, 1, 8}, {1, 4, 1, 12}, {1, 6, 1, 14});
    PLACES("code: \"a\\n\\x62c \\\n  d\\u00fce\\tf\"\n", {1, 1, 1, 8}, {2, 1, 1, 11}, {2, 2, 1, 15},
           {2, 4, 2, 3}, {2, 7, 2, 10}, {2, 9, 2, 13});
    PLACES("code:\n  'one\n\n  two'\n", {1, 1, 2, 4}, {2, 3, 4, 5});
}

static void locate_plain_lines_is_exact_for_solid_bytes(void **state)
{
    (void)state;
    PLACES("code: one\n  two\n\n  three\n", {1, 2, 1, 8}, {1, 5, 2, 3}, {2, 5, 4, 7});
    PLACES("code: !!str  one\n", {1, 1, 1, 14}, {1, 3, 1, 16});
}

static void parse_part_counts_lines_from_its_place_in_the_file(void **state)
{
    (void)state;
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    struct sl_slice text = SL_SLICE("\n  kind: a\n  code: 'x\n    y'\n");
    assert_int_equal(sl_yaml_parse_part(text, "", 40, NULL, 0, &yaml, &diags), 0);
    struct sl_value code = sl_value_get_str(yaml.docs[0].value, "code");
    assert_pos(sl_value_pos(code), 42, 9);
    const struct sl_yaml_text *entry = sl_yaml_text_find(&yaml, sl_value_pos(code));
    assert_non_null(entry);
    assert_pos(entry->text, 42, 10);
    assert_pos(sl_yaml_locate(text, entry, sl_value_slice(code), 1, 3), 43, 5);
    sl_yaml_fini(&yaml);
}

static void text_find_plain_on_one_line_has_no_entry(void **state)
{
    (void)state;
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    assert_int_equal(sl_yaml_parse(SL_SLICE("a: x\nb: 'y'\n"), "", NULL, 0, &yaml, &diags), 0);
    assert_int_equal(yaml.texts_count, 1);
    assert_null(sl_yaml_text_find(&yaml, (struct sl_pos){1, 4}));
    const struct sl_yaml_text *entry = sl_yaml_text_find(&yaml, (struct sl_pos){2, 4});
    assert_non_null(entry);
    assert_int_equal(entry->style, SL_YAML_SINGLE);
    assert_pos(entry->text, 2, 5);
    assert_null(sl_yaml_text_find(&yaml, (struct sl_pos){3, 1}));
    sl_yaml_fini(&yaml);
}

/* ------------------------------------------------------------------------------------------ */
/* Writing                                                                                      */

/* Write the value of `text`: the result must be `expected`, and read back equal. */
static void assert_written(const char *text, const char *expected)
{
    struct sl_value value = parse(text);
    char *written = NULL;
    size_t size = 0;
    assert_int_equal(sl_yaml_write(value, &written, &size), 0);
    assert_string_equal(written, expected);
    assert_int_equal(size, strlen(expected));
    struct sl_value again = parse(written);
    assert_true(sl_value_equal(value, again));
    sl_value_unref(again);
    sl_value_unref(value);
    free(written);
}

static void write_containers_is_block_style(void **state)
{
    (void)state;
    assert_written("{a: 1, b: [x, {c: 2, d: []}, [u, z]], e: {}, f: {g: {h: [[[1]]]}}}",
                   "a: 1\nb:\n- x\n- c: 2\n  d: []\n- - u\n  - z\ne: {}\nf:\n  g:\n    h:\n"
                   "    - - - 1\n");
    assert_written("[{a: [1, {b: [2]}]}, 3]", "- a:\n  - 1\n  - b:\n    - 2\n- 3\n");
    assert_written("plain", "plain\n");
    assert_written("[]", "[]\n");
}

static void write_strings_keep_their_kind(void **state)
{
    (void)state;
    assert_written("['1', 'true', '', '~', ' x', 'a: b', 'a #b', 'it''s', 'no', '-', 'x:', ü]",
                   "- '1'\n- 'true'\n- ''\n- '~'\n- ' x'\n- 'a: b'\n- 'a #b'\n- it's\n- 'no'\n"
                   "- '-'\n- 'x:'\n- ü\n");
    assert_written("[\"\\t\", \"a\\0b\", \"\\u2028\", \"\\\\ \\\" \\x7f\"]",
                   "- \"\\t\"\n- \"a\\0b\"\n- \"\\u2028\"\n- \"\\\\ \\\" \\x7F\"\n");
}

static void write_lines_are_literal_blocks(void **state)
{
    (void)state;
    assert_written("code: |\n  one\n    two\n\n  three\n", "code: |\n  one\n    two\n\n  three\n");
    assert_written("[\"a\\nb\", \"a\\n\\n\", \"  a\\nb\\n\", \"\\na\\n\", \"\\n\", \"a \\n\"]",
                   "- |-\n  a\n  b\n- |+\n  a\n\n- |2\n    a\n  b\n- |2\n\n  a\n- \"\\n\"\n"
                   "- |\n  a \n");
    assert_written("a: {b: \"\\tx\\n\\ty\\n\"}", "a:\n  b: |2\n    \tx\n    \ty\n");
}

static void write_numbers_read_back_equal(void **state)
{
    (void)state;
    assert_written("[-9223372036854775808, 18446744073709551615, 1.0, 0.1, 1e300, -.inf, -0.0]",
                   "- -9223372036854775808\n- 18446744073709551615\n- 1.0\n- 0.1\n- 1.0e+300\n"
                   "- -.inf\n- -0.0\n");
    assert_written("[null, true, false, !!binary AAEC]",
                   "- null\n- true\n- false\n- !!binary \"AAEC\"\n");
}

static void write_long_key_is_explicit(void **state)
{
    (void)state;
    char *key = repeat("k", 1500, "");
    char text[4096];
    char expected[4096];
    (void)snprintf(text, sizeof(text), "[{? %s\n: {a: 1}}]", key);
    (void)snprintf(expected, sizeof(expected), "- ? '%s'\n  :\n    a: 1\n", key);
    assert_written(text, expected);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_core_schema_scalars_have_their_kinds),
        cmocka_unit_test(parse_floats_have_their_value),
        cmocka_unit_test(parse_binary_tag_decodes_base64),
        cmocka_unit_test(parse_positions_point_at_each_node),
        cmocka_unit_test(parse_crlf_and_byte_order_mark_count_as_people_do),
        cmocka_unit_test(parse_several_documents_returns_each),
        cmocka_unit_test(parse_alias_is_a_copy_with_the_position_of_its_anchor),
        cmocka_unit_test(parse_merge_keys_own_keys_win),
        cmocka_unit_test(parse_mistake_is_told_with_place),
        cmocka_unit_test(parse_several_mistakes_are_told_at_once),
        cmocka_unit_test(parse_strict_tags_refuses_unknown),
        cmocka_unit_test(parse_limits_are_mistakes_not_crashes),
        cmocka_unit_test(parse_depth_through_aliases_is_limited),
        cmocka_unit_test(locate_literal_block_is_exact),
        cmocka_unit_test(locate_folded_block_is_exact_for_solid_bytes),
        cmocka_unit_test(locate_quoted_is_exact_for_solid_bytes),
        cmocka_unit_test(locate_plain_lines_is_exact_for_solid_bytes),
        cmocka_unit_test(parse_part_counts_lines_from_its_place_in_the_file),
        cmocka_unit_test(text_find_plain_on_one_line_has_no_entry),
        cmocka_unit_test(write_containers_is_block_style),
        cmocka_unit_test(write_strings_keep_their_kind),
        cmocka_unit_test(write_lines_are_literal_blocks),
        cmocka_unit_test(write_numbers_read_back_equal),
        cmocka_unit_test(write_long_key_is_explicit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
