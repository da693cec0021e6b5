/* SPDX-License-Identifier: MIT */
/* Files, folders and texts to specs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/limit.h"
#include "ctl/loader/source.h"

struct fixture {
    char root[64];
    struct sl_specs specs;
    struct sl_diags diags;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    strcpy(fixture->root, "/tmp/sluice-source-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", fixture->root);
    sl_specs_fini(&fixture->specs);
    sl_diags_fini(&fixture->diags);
    int result = system(command);
    free(fixture);
    return result;
}

static const char *path_of(struct fixture *fixture, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture->root, name);
    return path;
}

static void file_write(struct fixture *fixture, const char *name, const char *text)
{
    FILE *file = fopen(path_of(fixture, name), "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int read_path(struct fixture *fixture, const char *name)
{
    const char *path = path_of(fixture, name);
    return sl_specs_read_paths(&path, 1, &fixture->specs, &fixture->diags);
}

static int read_text(struct fixture *fixture, const char *text)
{
    struct sl_specs_place place = {.file = "dir/t.yaml"};
    return sl_specs_read_text(sl_slice_from_str(text), &place, &fixture->specs, &fixture->diags);
}

static void read_text_lists_objects_and_documents_give_specs(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "- kind: a\n- kind: b\n  name: n\n---\nkind: c\n---\n"
                                        "# nothing\n---\n[]\n"),
                     0);
    assert_int_equal(fixture->specs.count, 3);
    assert_string_equal(fixture->specs.items[0].origin, "t.yaml#1");
    assert_string_equal(fixture->specs.items[2].origin, "t.yaml#3");
    assert_string_equal(fixture->specs.items[2].spec->file, "dir/t.yaml");
    assert_int_equal(fixture->specs.items[1].spec->pos.line, 2);
    assert_int_equal(fixture->specs.items[1].spec->pos.column, 3);
}

static void read_text_each_spec_has_its_own_text(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "# head\n"
                                        "- kind: a\n"
                                        "  code: |\n"
                                        "    one\n"
                                        "    two\n"
                                        "# between\n"
                                        "-   kind: b\n"
                                        "---\n"
                                        "kind: c\n"
                                        "---\n"
                                        "[{kind: d}, {kind: e}]\n"),
                     0);
    struct sl_specs_item *items = fixture->specs.items;
    assert_int_equal(fixture->specs.count, 5);
    assert_string_equal(items[0].text, "  kind: a\n  code: |\n    one\n    two\n# between\n");
    assert_int_equal(items[0].line, 2);
    assert_string_equal(items[1].text, "    kind: b\n");
    assert_string_equal(items[2].text, "kind: c\n");
    assert_string_equal(items[3].text, " {kind: d}");
    assert_string_equal(items[4].text, "            {kind: e}");

    /* Read again from its own text, everything stands where it stood. */
    struct sl_specs again = {0};
    struct sl_specs_place place = {.file = "f", .line = items[0].line};
    struct sl_slice text = sl_slice_make(items[0].text, items[0].text_size);
    assert_int_equal(sl_specs_read_text(text, &place, &again, &fixture->diags), 0);
    const struct sl_spec *old = items[0].spec;
    const struct sl_spec *new = again.items[0].spec;
    struct sl_pos a = sl_spec_locate(old, sl_value_get_str(old->value, "code"), 2, 1);
    struct sl_pos b = sl_spec_locate(new, sl_value_get_str(new->value, "code"), 2, 1);
    assert_int_equal(a.line, 5);
    assert_int_equal(a.column, 5);
    assert_int_equal(b.line, a.line);
    assert_int_equal(b.column, a.column);
    sl_specs_fini(&again);
}

static void read_text_spec_with_foreign_anchor_has_no_text(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "- kind: a\n  x: &x 1\n- kind: b\n  x: *x\n"), 0);
    assert_true(fixture->specs.items[0].text_size > 0);
    assert_null(fixture->specs.items[1].text);
    assert_int_equal(fixture->specs.items[1].text_size, 0);
}

static void read_text_mistakes_keep_the_good_specs(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "- kind: a\n- name: 7\n- kind: c\n"), -EINVAL);
    assert_int_equal(fixture->specs.count, 2);
    assert_int_equal(fixture->diags.errors_count, 2);
    assert_int_equal(fixture->diags.items[0].pos.line, 2);
    assert_string_equal(fixture->specs.items[1].origin, "t.yaml#3");
}

static void read_text_empty_is_a_mistake_a_comment_is_not(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "# no specs\n"), 0);
    assert_int_equal(read_text(fixture, " \n"), -EINVAL);
    assert_string_equal(fixture->diags.items[0].code, "empty_file");
    assert_int_equal(fixture->specs.count, 0);
}

static void check_names_same_name_in_one_namespace_is_a_mistake(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "- {kind: a, name: x}\n- {kind: a, name: y}\n- {kind: a}\n"
                                        "- {kind: a, name: x, namespace: other}\n- {kind: a}\n"
                                        "- {kind: b, name: x, namespace: default}\n"),
                     0);
    assert_int_equal(sl_specs_check_names(&fixture->specs, "third", &fixture->diags), 0);
    assert_int_equal(sl_specs_check_names(&fixture->specs, "default", &fixture->diags), -EINVAL);
    assert_int_equal(fixture->diags.count, 1);
    assert_int_equal(fixture->diags.items[0].pos.line, 6);
    assert_non_null(strstr(fixture->diags.items[0].text, "dir/t.yaml:1:19"));
}

static void read_paths_folder_is_read_in_order(void **state)
{
    struct fixture *fixture = *state;
    file_write(fixture, "b.yaml", "kind: b\n");
    file_write(fixture, "a.yml", "kind: a\n");
    file_write(fixture, "c.json", "[{\"kind\": \"c\"}]\n");
    file_write(fixture, "notes.txt", "{{{");
    file_write(fixture, "b.yaml~", "{{{");
    file_write(fixture, ".hidden.yaml", "{{{");
    assert_int_equal(mkdir(path_of(fixture, "sub"), 0700), 0);
    file_write(fixture, "sub/d.yaml", "kind: d\n");
    assert_int_equal(symlink("..", path_of(fixture, "sub/circle")), 0);
    assert_int_equal(read_path(fixture, ""), 0);
    assert_int_equal(fixture->specs.count, 4);
    static const char *const origins[] = {"a.yml#1", "b.yaml#1", "c.json#1", "sub/d.yaml#1"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(fixture->specs.items[i].origin, origins[i]);
    }
    assert_int_equal(fixture->specs.files_count, 4);
}

static void read_paths_what_cannot_be_read_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_path(fixture, "none.yaml"), -EINVAL);
    assert_string_equal(fixture->diags.items[0].code, "file_unreadable");
    assert_int_equal(mkdir(path_of(fixture, "empty"), 0700), 0);
    assert_int_equal(read_path(fixture, "empty"), -EINVAL);
    assert_string_equal(fixture->diags.items[1].code, "empty_folder");
    file_write(fixture, "zero.yaml", "");
    assert_int_equal(read_path(fixture, "zero.yaml"), -EINVAL);
    assert_string_equal(fixture->diags.items[2].code, "empty_file");
    FILE *file = fopen(path_of(fixture, "large.yaml"), "w");
    assert_non_null(file);
    assert_int_equal(fseek(file, SL_SPEC_FILE_SIZE_MAX, SEEK_SET), 0);
    (void)fputs("x", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(read_path(fixture, "large.yaml"), -EINVAL);
    assert_string_equal(fixture->diags.items[3].code, "file_too_large");
}

static void read_paths_json_strings_stand_on_one_line(void **state)
{
    struct fixture *fixture = *state;
    file_write(fixture, "a.json", "[\n\t{\"kind\": \"a\",\n\t \"code\": \"x\\ny\"}\n]\n");
    assert_int_equal(read_path(fixture, "a.json"), 0);
    const struct sl_spec *spec = fixture->specs.items[0].spec;
    struct sl_value code = sl_value_get_str(spec->value, "code");
    struct sl_pos pos = sl_spec_locate(spec, code, 1, 1);
    assert_int_equal(pos.line, 3);
    assert_int_equal(pos.column, 12);
    assert_int_equal(sl_spec_locate(spec, code, 2, 1).line, 3);

    file_write(fixture, "b.json", "{\"kind\": \"a\",}\n");
    assert_int_equal(read_path(fixture, "b.json"), -EINVAL);
    assert_int_equal(fixture->diags.items[0].pos.line, 1);
    assert_int_equal(fixture->diags.items[0].pos.column, 14);
}

static void read_text_json_is_found_by_its_look(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, " [{\"kind\": \"\\ud83d\\ude00\"}]"),
                     0); /* no YAML of libyaml's */
    assert_int_equal(read_text(fixture, "{kind: a}\n"), 0);
    assert_int_equal(fixture->specs.count, 2);
    assert_int_equal(read_text(fixture, "{\"kind\": }\n"), -EINVAL);
}

static void read_text_one_long_line_keeps_few_texts(void **state)
{
    struct fixture *fixture = *state;
    enum { SPECS = 5000, TEXT_SIZE = SPECS * 16 + 8 };
    char *text = malloc(TEXT_SIZE);
    assert_non_null(text);
    size_t used = (size_t)snprintf(text, TEXT_SIZE, "[");
    for (int i = 0; i < SPECS; i++) {
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "{kind: a},");
    }
    (void)snprintf(text + used, TEXT_SIZE - used, "]");
    assert_int_equal(read_text(fixture, text), 0);
    size_t kept = 0;
    for (size_t i = 0; i < fixture->specs.count; i++) kept += fixture->specs.items[i].text_size;
    assert_int_equal(fixture->specs.count, SPECS);
    assert_true(kept < 10000);
    free(text);
}

static void read_paths_pipe_is_read_to_its_end(void **state)
{
    struct fixture *fixture = *state;
    int ends[2];
    char path[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "kind: a\n", 8), 8);
    assert_int_equal(close(ends[1]), 0);
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
    const char *paths[] = {path};
    assert_int_equal(sl_specs_read_paths(paths, 1, &fixture->specs, &fixture->diags), 0);
    assert_int_equal(fixture->specs.count, 1);
    assert_int_equal(close(ends[0]), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(read_text_lists_objects_and_documents_give_specs),
        TEST(read_text_each_spec_has_its_own_text),
        TEST(read_text_spec_with_foreign_anchor_has_no_text),
        TEST(read_text_mistakes_keep_the_good_specs),
        TEST(read_text_empty_is_a_mistake_a_comment_is_not),
        TEST(check_names_same_name_in_one_namespace_is_a_mistake),
        TEST(read_paths_folder_is_read_in_order),
        TEST(read_paths_what_cannot_be_read_is_told),
        TEST(read_paths_json_strings_stand_on_one_line),
        TEST(read_text_json_is_found_by_its_look),
        TEST(read_text_one_long_line_keeps_few_texts),
        TEST(read_paths_pipe_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
