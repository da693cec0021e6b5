/* SPDX-License-Identifier: MIT */
/* The table of native operations: filled at start, then only read. */
#include "nodes/system/native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void op(void *ctx, const char *name_space, struct sl_value argument,
               struct sl_value *ret_result)
{
    (void)ctx;
    (void)name_space;
    (void)argument;
    (void)ret_result;
}

/* How a child ends that adds an operation. */
static int register_status(void)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        sl_native_register("late", op, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void register_after_freeze_is_a_bug(void **state)
{
    (void)state;
    sl_native_register("early", op, NULL);
    assert_int_equal(register_status(), 0);
    sl_native_freeze();
    sl_native_freeze();
    int status = register_status();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    sl_native_reset();
    assert_int_equal(register_status(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_after_freeze_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
