/* SPDX-License-Identifier: MIT */
/* The choice of a poller, also where io_uring is forbidden by seccomp, as in a container. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/uring/pick.h"

/* From now on io_uring_setup(2) fails with `error` in this process. */
static int forbid_uring(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) return -errno;
    return 0;
}

/* In the child: 0 if the choice is what it should be, 77 if seccomp is not there. */
static int pick_forbidden(int error, enum sl_poller_kind wanted, const char *word)
{
    struct sl_poller_choice choice = {0};
    struct sl_diag diag = {0};
    if (forbid_uring(error) < 0) return 77;
    int r = sl_poller_pick(wanted, NULL, sl_clock_system(), &choice, &diag);
    if (wanted == SL_POLLER_URING) return r < 0 && strstr(diag.text, word) != NULL ? 0 : 1;
    if (r < 0) return 2;
    if (choice.kind != SL_POLLER_EPOLL) return 3;
    return strstr(choice.why, word) != NULL && strchr(choice.why, '\n') == NULL ? 0 : 4;
}

static void run_in_child(int error, enum sl_poller_kind wanted, const char *word)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(pick_forbidden(error, wanted, word));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void pick_seccomp_denied_falls_back_and_says_why(void **state)
{
    (void)state;
    run_in_child(EPERM, SL_POLLER_AUTO, "seccomp");
    run_in_child(EPERM, SL_POLLER_AUTO, "EPERM");
}

static void pick_not_in_kernel_falls_back_and_says_why(void **state)
{
    (void)state;
    run_in_child(ENOSYS, SL_POLLER_AUTO, "ENOSYS");
}

static void pick_wanted_but_denied_fails(void **state)
{
    (void)state;
    run_in_child(EPERM, SL_POLLER_URING, "forbidden");
}

static void pick_auto_and_epoll_work_here(void **state)
{
    (void)state;
    struct sl_poller_choice choice = {0};
    struct sl_diag diag = {0};
    assert_int_equal(sl_poller_pick(SL_POLLER_AUTO, NULL, sl_clock_system(), &choice, &diag), 0);
    print_message("%s\n", choice.why);
    assert_true(choice.kind == SL_POLLER_URING || choice.kind == SL_POLLER_EPOLL);
    assert_int_equal(sl_poller_pick(SL_POLLER_EPOLL, NULL, sl_clock_system(), &choice, &diag), 0);
    assert_int_equal(choice.kind, SL_POLLER_EPOLL);
    print_message("%s\n", choice.why);
}

static void kind_parse_names(void **state)
{
    (void)state;
    enum sl_poller_kind kind;
    struct sl_diag diag = {0};
    assert_int_equal(sl_poller_kind_parse(SL_SLICE("auto"), &kind, NULL), 0);
    assert_int_equal(kind, SL_POLLER_AUTO);
    assert_int_equal(sl_poller_kind_parse(SL_SLICE("uring"), &kind, NULL), 0);
    assert_int_equal(kind, SL_POLLER_URING);
    assert_int_equal(sl_poller_kind_parse(SL_SLICE("epoll"), &kind, NULL), 0);
    assert_int_equal(kind, SL_POLLER_EPOLL);
    assert_int_equal(sl_poller_kind_parse(SL_SLICE("kqueue"), &kind, &diag), -EINVAL);
    assert_string_equal(diag.code, "bad_poller");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pick_seccomp_denied_falls_back_and_says_why),
        cmocka_unit_test(pick_not_in_kernel_falls_back_and_says_why),
        cmocka_unit_test(pick_wanted_but_denied_fails),
        cmocka_unit_test(pick_auto_and_epoll_work_here),
        cmocka_unit_test(kind_parse_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
