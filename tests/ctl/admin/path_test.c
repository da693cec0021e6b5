/* SPDX-License-Identifier: MIT */
/* Where the control socket is, and how it is made. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/admin/path.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/admin_path_XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void path_make_control_given_wins(void **state)
{
    (void)state;
    struct sl_admin_path path;
    assert_int_equal(sl_admin_path_make("/x/y.sock", "/data", "default", &path, NULL), 0);
    assert_string_equal(path.text, "/x/y.sock");
    assert_false(path.is_default);
}

static void path_make_none_is_empty(void **state)
{
    (void)state;
    struct sl_admin_path path;
    assert_int_equal(sl_admin_path_make("none", "/data", "default", &path, NULL), 0);
    assert_string_equal(path.text, "");
}

static void path_make_data_is_named_after_namespace(void **state)
{
    (void)state;
    struct sl_admin_path path;
    assert_int_equal(sl_admin_path_make(NULL, "/data", "system", &path, NULL), 0);
    assert_string_equal(path.text, "/data/system.sock");
}

static void path_make_107_bytes_fits_108_is_refused(void **state)
{
    (void)state;
    char text[109];
    struct sl_admin_path path;
    struct sl_diag diag = {0};
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[107] = '\0';
    assert_int_equal(sl_admin_path_make(text, NULL, "default", &path, &diag), 0);
    text[107] = 'a';
    text[108] = '\0';
    assert_int_equal(sl_admin_path_make(text, NULL, "default", &path, &diag), -ENAMETOOLONG);
    assert_non_null(strstr(diag.text, "108 bytes"));
    assert_non_null(strstr(diag.hint, "--control"));
}

static void path_make_slash_in_namespace_is_refused(void **state)
{
    (void)state;
    struct sl_admin_path path;
    struct sl_diag diag = {0};
    assert_int_equal(sl_admin_path_make(NULL, "/data", "../etc", &path, &diag), -EINVAL);
}

static void path_make_without_data_makes_private_folder(void **state)
{
    (void)state;
    struct sl_admin_path path;
    struct stat st;
    char expected[128];
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    assert_int_equal(sl_admin_path_make(NULL, NULL, "default", &path, NULL), 0);
    (void)snprintf(expected, sizeof(expected), "%s/sluice/default.sock", folder);
    assert_string_equal(path.text, expected);
    assert_true(path.is_default);
    (void)snprintf(expected, sizeof(expected), "%s/sluice", folder);
    assert_int_equal(stat(expected, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(rmdir(expected), 0);
}

static struct sl_admin_path path_here(void)
{
    struct sl_admin_path path = {.text = ""};
    (void)snprintf(path.text, sizeof(path.text), "%s/c.sock", folder);
    return path;
}

static void path_listen_socket_is_mode_600(void **state)
{
    (void)state;
    struct sl_admin_path path = path_here();
    struct stat st;
    int fd = sl_admin_path_listen(&path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(stat(path.text, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path.text), 0);
}

static void path_listen_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct sl_admin_path path = path_here();
    int fd = sl_admin_path_listen(&path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0); /* its owner died: the file stays */
    fd = sl_admin_path_listen(&path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path.text), 0);
}

static void path_listen_answering_socket_is_left_alone(void **state)
{
    (void)state;
    struct sl_admin_path path = path_here();
    struct sl_diag diag = {0};
    int fd = sl_admin_path_listen(&path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(sl_admin_path_listen(&path, &diag), -EADDRINUSE);
    assert_non_null(strstr(diag.text, "another runtime"));
    assert_int_equal(access(path.text, F_OK), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path.text), 0);
}

static void path_listen_other_file_is_left_alone(void **state)
{
    (void)state;
    struct sl_admin_path path = path_here();
    FILE *file = fopen(path.text, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sl_admin_path_listen(&path, NULL), -EEXIST);
    assert_int_equal(unlink(path.text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_make_control_given_wins),
        cmocka_unit_test(path_make_none_is_empty),
        cmocka_unit_test(path_make_data_is_named_after_namespace),
        cmocka_unit_test(path_make_107_bytes_fits_108_is_refused),
        cmocka_unit_test(path_make_slash_in_namespace_is_refused),
        cmocka_unit_test(path_make_without_data_makes_private_folder),
        cmocka_unit_test(path_listen_socket_is_mode_600),
        cmocka_unit_test(path_listen_stale_socket_is_replaced),
        cmocka_unit_test(path_listen_answering_socket_is_left_alone),
        cmocka_unit_test(path_listen_other_file_is_left_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
