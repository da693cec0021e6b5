/* SPDX-License-Identifier: MIT */
/* Children of a nursery: whose they are, where they run, and what becomes of them. */
#include "io/proc/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { EXIT_CODE = 7, WAIT_MS = 60000 };

/* What a child says of itself, through the first descriptor that it was given. */
struct report {
    pid_t pid, parent, session;
    int policy, cpus, stdin_is_null, others_open;
    char argument[16];
    char variable[16];
    char autogroup[32];
};

static int child_main(char **argv)
{
    cpu_set_t set;
    struct report report = {.pid = getpid(),
                            .parent = getppid(),
                            .session = getsid(0),
                            .policy = sched_getscheduler(0)};
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof(set), &set);
    report.cpus = CPU_COUNT(&set);
    char target[64] = "";
    report.stdin_is_null = readlink("/proc/self/fd/0", target, sizeof(target) - 1) > 0 &&
                           strcmp(target, "/dev/null") == 0;
    for (int fd = SL_PROC_FD_FIRST + 2; fd < 128; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) report.others_open++;
    }
    (void)snprintf(report.argument, sizeof(report.argument), "%s", argv[2]);
    (void)snprintf(report.variable, sizeof(report.variable), "%s",
                   getenv("NAME") != NULL ? getenv("NAME") : "");
    FILE *file = fopen("/proc/self/autogroup", "r");
    if (file != NULL && fgets(report.autogroup, sizeof(report.autogroup), file) == NULL) return 1;
    if (file != NULL) (void)fclose(file);
    char byte;
    if (write(SL_PROC_FD_FIRST, &report, sizeof(report)) != sizeof(report)) return 1;
    /* Until the other end is closed. */
    while (read(SL_PROC_FD_FIRST + 1, &byte, 1) > 0) {}
    return EXIT_CODE;
}

static const char *const child_argv[] = {"nursery_test", "child", "argument", NULL};
static const char *const child_envp[] = {"NAME=value", NULL};

/* A child, the end of the pipe that it reports to, and of the one that keeps it. */
struct child {
    struct sl_proc proc;
    int report_fd, keep_fd;
};

static int child_spawn(struct sl_nursery *nursery, const uint64_t *cpus, struct child *ret_child)
{
    int report[2], keep[2];
    struct sl_diag diag = {0};
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    assert_int_equal(pipe2(keep, O_CLOEXEC), 0);
    int fds[] = {report[1], keep[0]};
    int r = sl_nursery_spawn(nursery, fds, 2, cpus, &ret_child->proc, &diag);
    if (r < 0) assert_string_not_equal(diag.text, "");
    (void)close(report[1]);
    (void)close(keep[0]);
    ret_child->report_fd = report[0];
    ret_child->keep_fd = keep[1];
    return r;
}

static struct report child_report(const struct child *child)
{
    struct report report;
    assert_int_equal(read(child->report_fd, &report, sizeof(report)), sizeof(report));
    return report;
}

static void child_close(struct child *child)
{
    (void)close(child->report_fd);
    (void)close(child->keep_fd);
}

/* It ends by itself, and this process is the one that learns how. */
static void child_end(struct child *child)
{
    int signal = -1, code = -1;
    child_close(child);
    struct pollfd gone = {.fd = child->proc.pidfd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, WAIT_MS), 1);
    assert_int_equal(sl_proc_reap(&child->proc, &signal, &code), 1);
    assert_int_equal(signal, 0);
    assert_int_equal(code, EXIT_CODE);
    sl_proc_fini(&child->proc);
}

static struct sl_nursery nursery_open(bool is_idle)
{
    struct sl_nursery nursery;
    struct sl_nursery_config cfg = {
        .argv = child_argv, .envp = child_envp, .is_idle = is_idle, .keep_stderr = true};
    assert_int_equal(sl_nursery_open(&nursery, &cfg, NULL), 0);
    return nursery;
}

static void spawn_makes_a_child_of_the_caller(void **state)
{
    struct sl_nursery nursery = nursery_open(true);
    struct child child;
    (void)state;
    assert_int_equal(child_spawn(&nursery, NULL, &child), 0);
    struct report report = child_report(&child);
    assert_int_equal(report.pid, child.proc.pid);
    assert_int_equal(report.parent, getpid());
    assert_string_equal(report.argument, "argument");
    assert_string_equal(report.variable, "value");
    assert_true(report.stdin_is_null);
    assert_int_equal(report.others_open, 0);
    child_end(&child);
    sl_nursery_close(&nursery);
}

static void spawn_where_it_is_idle_puts_the_child_into_the_last_group(void **state)
{
    struct sl_nursery nursery = nursery_open(true);
    struct child children[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(child_spawn(&nursery, NULL, &children[i]), 0);
        struct report report = child_report(&children[i]);
        assert_int_equal(report.session, nursery.proc.pid);
        assert_int_equal(report.policy, SCHED_IDLE);
        /* "/autogroup-N nice 15", where the kernel has that */
        const char *nice = strstr(report.autogroup, "nice ");
        if (nice != NULL) assert_string_equal(nice, "nice 15\n");
    }
    for (int i = 0; i < 2; i++) child_end(&children[i]);
    sl_nursery_close(&nursery);
}

static void spawn_where_it_is_normal_leaves_the_child_ordinary(void **state)
{
    struct sl_nursery nursery = nursery_open(false);
    struct child child;
    (void)state;
    assert_int_equal(child_spawn(&nursery, NULL, &child), 0);
    struct report report = child_report(&child);
    assert_int_equal(report.policy, SCHED_OTHER);
    assert_int_equal(report.session, nursery.proc.pid);
    child_end(&child);
    sl_nursery_close(&nursery);
}

static void spawn_with_processors_pins_the_child_only(void **state)
{
    struct sl_nursery nursery = nursery_open(true);
    struct child pinned, free_child;
    cpu_set_t ours;
    uint64_t cpus[SL_PROC_CPUS_MAX / 64] = {0};
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(ours), &ours), 0);
    for (uint32_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &ours)) continue;
        cpus[i / 64] = UINT64_C(1) << (i % 64);
        break;
    }
    assert_int_equal(child_spawn(&nursery, cpus, &pinned), 0);
    assert_int_equal(child_report(&pinned).cpus, 1);
    assert_int_equal(child_spawn(&nursery, NULL, &free_child), 0);
    assert_int_equal(child_report(&free_child).cpus, CPU_COUNT(&ours));
    child_end(&pinned);
    child_end(&free_child);
    sl_nursery_close(&nursery);
}

static void close_ends_children(void **state)
{
    struct sl_nursery nursery = nursery_open(true);
    struct child child;
    int signal, code;
    (void)state;
    assert_int_equal(child_spawn(&nursery, NULL, &child), 0);
    (void)child_report(&child);
    sl_nursery_close(&nursery);
    sl_nursery_close(&nursery);
    assert_int_equal(kill(child.proc.pid, 0), -1);
    assert_int_equal(sl_proc_reap(&child.proc, &signal, &code), -ECHILD);
    sl_proc_fini(&child.proc);
    child_close(&child);
}

static void spawn_from_a_killed_nursery_is_epipe(void **state)
{
    struct sl_nursery nursery = nursery_open(true);
    struct child child;
    (void)state;
    sl_proc_signal(&nursery.proc, SIGKILL);
    struct pollfd gone = {.fd = nursery.proc.pidfd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, WAIT_MS), 1);
    assert_int_equal(child_spawn(&nursery, NULL, &child), -EPIPE);
    child_close(&child);
    sl_nursery_close(&nursery);
    assert_int_equal(nursery.fd, -1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void open_without_a_program_says_why(void **state)
{
    struct sl_nursery nursery;
    struct sl_diag diag = {0};
    struct sl_nursery_config cfg = {
        .path = "/nowhere/program", .argv = child_argv, .envp = child_envp};
    (void)state;
    assert_int_equal(sl_nursery_open(&nursery, &cfg, &diag), -ENOENT);
    assert_int_equal(nursery.fd, -1);
    assert_non_null(strstr(diag.text, "No such file"));
}

/* As after an upgrade: what it starts goes with the runtime that it belongs to. */
static void spawn_after_its_file_is_gone_starts_the_same_program(void **state)
{
    char path[] = "/tmp/sluice-nursery-XXXXXX";
    char command[600];
    struct sl_nursery nursery;
    struct child child;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(command, sizeof(command), "cp /proc/%d/exe %s && chmod 700 %s", (int)getpid(),
                   path, path);
    assert_int_equal(system(command), 0);
    struct sl_nursery_config cfg = {
        .path = path, .argv = child_argv, .envp = child_envp, .is_idle = false};
    assert_int_equal(sl_nursery_open(&nursery, &cfg, NULL), 0);
    assert_int_equal(child_spawn(&nursery, NULL, &child), 0);
    (void)child_report(&child);
    child_end(&child);
    /* Its own file is what it starts, by a link that outlives the name. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(child_spawn(&nursery, NULL, &child), 0);
    (void)child_report(&child);
    child_end(&child);
    sl_nursery_close(&nursery);
}

int main(int argc, char **argv)
{
    int code = sl_nursery_main(argc, argv);
    if (code >= 0) return code;
    if (argc == 3 && strcmp(argv[1], "child") == 0) return child_main(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawn_makes_a_child_of_the_caller),
        cmocka_unit_test(spawn_where_it_is_idle_puts_the_child_into_the_last_group),
        cmocka_unit_test(spawn_where_it_is_normal_leaves_the_child_ordinary),
        cmocka_unit_test(spawn_with_processors_pins_the_child_only),
        cmocka_unit_test(close_ends_children),
        cmocka_unit_test(spawn_from_a_killed_nursery_is_epipe),
        cmocka_unit_test(open_without_a_program_says_why),
        cmocka_unit_test(spawn_after_its_file_is_gone_starts_the_same_program),
    };
    return cmocka_run_group_tests_name("nursery", tests, NULL, NULL);
}
