/* SPDX-License-Identifier: MIT */
/*
 * Broken files and what is said about them: for each X.yaml and X.json of the folder, X.expect holds
 * every diagnostic as a person reads it, with the file's name for its path. A file without mistakes
 * fails the test. With UPDATE_EXPECT=1 in the environment the .expect files are written anew: read
 * the difference before you keep it.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/loader/source.h"

enum { FILES_MIN = 60, TEXT_SIZE = 64 * 1024 };

static const char *folder;

/* All diagnostics of a file, into `text`. */
static void check(const char *name, char *text)
{
    struct sl_specs specs = {0};
    struct sl_diags diags = {0};
    size_t used = 0;
    (void)sl_specs_read_paths(&name, 1, &specs, &diags);
    (void)sl_specs_check_names(&specs, "default", &diags);
    for (size_t i = 0; i < diags.count; i++) {
        used += sl_diag_format(&diags.items[i], text + used, TEXT_SIZE - used);
    }
    text[used] = '\0';
    sl_specs_fini(&specs);
    sl_diags_fini(&diags);
}

static void expect_path(const char *name, char *path, size_t size)
{
    const char *dot = strrchr(name, '.');
    (void)snprintf(path, size, "%.*s.expect", (int)(dot - name), name);
}

static size_t expect_read(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    size_t size = 0;
    if (file != NULL) {
        size = fread(text, 1, TEXT_SIZE - 1, file);
        (void)fclose(file);
    }
    text[size] = '\0';
    return size;
}

static bool file_holds(const char *name)
{
    static char text[TEXT_SIZE];
    static char expected[TEXT_SIZE];
    char path[256];
    check(name, text);
    expect_path(name, path, sizeof(path));
    if (getenv("UPDATE_EXPECT") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs(text, file);
        assert_int_equal(fclose(file), 0);
        return true;
    }
    (void)expect_read(path, expected);
    if (text[0] != '\0' && strcmp(text, expected) == 0) return true;
    print_error("%s says:\n%sexpected:\n%s\n", name, text, expected);
    return false;
}

static void check_broken_file_says_what_is_expected(void **state)
{
    (void)state;
    struct dirent **names = NULL;
    unsigned files = 0;
    unsigned failed = 0;
    assert_int_equal(chdir(folder), 0);
    int count = scandir(".", &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        const char *dot = strrchr(names[i]->d_name, '.');
        if (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0)) {
            files++;
            failed += !file_holds(names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    print_message("%u broken files\n", files);
    assert_true(files >= FILES_MIN);
    assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_broken_file_says_what_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
