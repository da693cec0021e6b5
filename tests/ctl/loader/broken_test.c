/* SPDX-License-Identifier: MIT */
/*
 * Broken files and what `sluice check` says about them: for each X.yaml and X.json of the folder,
 * X.expect holds every diagnostic as a person reads it. A file without mistakes fails the test.
 * With UPDATE_EXPECT=1 in the environment the .expect files are written anew: read the difference
 * before you keep it.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILES_MIN = 120, TEXT_SIZE = 64 * 1024 };

static const char *folder;
static const char *program;

/* Run `sluice ARGUMENTS`; its output, both streams, into `text`. Returns the exit code. */
static int run(const char *arguments, char *text)
{
    char command[1024];
    (void)snprintf(command, sizeof(command), "'%s' %s 2>&1", program, arguments);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    size_t size = fread(text, 1, TEXT_SIZE - 1, output);
    text[size] = '\0';
    int status = pclose(output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* All diagnostics of a file, into `text`; false if the exit code does not say that it is broken. */
static bool check(const char *name, char *text)
{
    char arguments[512];
    (void)snprintf(arguments, sizeof(arguments), "check '%s'", name);
    return run(arguments, text) == 1;
}

/* Files js-… and lua-… need the language; it may have been left out of the build. */
static bool is_for_us(const char *name)
{
    static char version[TEXT_SIZE];
    bool is_js = strncmp(name, "js-", 3) == 0;
    if (!is_js && strncmp(name, "lua-", 4) != 0) return true;
    assert_int_equal(run("version", version), 0);
    return strstr(version, is_js ? "javascript" : " lua ") != NULL;
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
    bool broken = check(name, text);
    expect_path(name, path, sizeof(path));
    if (getenv("UPDATE_EXPECT") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs(text, file);
        assert_int_equal(fclose(file), 0);
        return true;
    }
    (void)expect_read(path, expected);
    if (broken && strcmp(text, expected) == 0) return true;
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
        bool broken = dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0);
        if (broken && is_for_us(names[i]->d_name)) {
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
    if (argc != 3) return 2;
    folder = argv[1];
    program = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_broken_file_says_what_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
