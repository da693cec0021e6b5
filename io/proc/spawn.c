/* SPDX-License-Identifier: MIT */
#include "io/proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/assertion.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum {
    FD_ABOVE = 64,    /* where descriptors wait before they get their numbers */
    IDTYPE_PIDFD = 3, /* P_PIDFD of waitid(2); older headers lack it */
    EXEC_FAILED = 127,
};

static int failed(struct sl_diag *reterr, int error, const char *what)
{
    (void)sl_diag_set(reterr, "spawn_failed", (struct sl_pos){0, 0}, "%s: %s", what,
                      strerror(-error));
    return error;
}

/* What the child needs, ready before the vfork: between that and the exec only system calls. */
struct child {
    const struct sl_proc_config *cfg;
    int fds[SL_PROC_FDS_MAX]; /* above all numbers that the child gives */
    int null_fd;
    pid_t parent;
    int error_fds[2]; /* a pipe for the errno of a child that comes to no exec; closed by that */
};

static bool child_fds(const struct child *child)
{
    if (dup2(child->null_fd, 0) < 0 || dup2(child->null_fd, 1) < 0) return false;
    if (!child->cfg->keep_stderr && dup2(child->null_fd, 2) < 0) return false;
    uint32_t count = child->cfg->fds_count;
    for (uint32_t i = 0; i < count; i++) {
        if (dup2(child->fds[i], SL_PROC_FD_FIRST + (int)i) < 0) return false;
    }
    /* Whatever was opened without FD_CLOEXEC; older kernels do without. */
    (void)syscall(SYS_close_range, SL_PROC_FD_FIRST + count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    return true;
}

/* In the child. It takes no lock and writes to nothing that its parent reads. */
static __attribute__((noreturn)) void child_failed(const struct child *child)
{
    int error = errno;
    (void)!write(child->error_fds[1], &error, sizeof(error));
    _exit(EXEC_FAILED);
}

static __attribute__((noreturn)) void child_run(const struct child *child)
{
    const struct sl_proc_config *cfg = child->cfg;
    struct sched_param param = {0};
    if (!cfg->is_sibling) (void)sched_setscheduler(0, SCHED_OTHER, &param);
    if (getpriority(PRIO_PROCESS, 0) < 0) (void)setpriority(PRIO_PROCESS, 0, 0);
    if (cfg->cpus != NULL) {
        (void)sched_setaffinity(0, SL_PROC_CPUS_MAX / 8,
                                (const cpu_set_t *)(const void *)cfg->cpus);
    }
    if (!child_fds(child) || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) child_failed(child);
    if (getppid() != child->parent) _exit(EXEC_FAILED); /* it ended before the line above */
    (void)execve(cfg->path != NULL ? cfg->path : "/proc/self/exe",
                 (char *const *)(uintptr_t)cfg->argv, (char *const *)(uintptr_t)cfg->envp);
    child_failed(child);
}

/* Above the numbers that the child will give, so that no dup2 overwrites one that is to come. */
static int fds_lift(struct child *child)
{
    const struct sl_proc_config *cfg = child->cfg;
    for (uint32_t i = 0; i < cfg->fds_count; i++) {
        child->fds[i] = fcntl(cfg->fds[i], F_DUPFD_CLOEXEC, FD_ABOVE);
        if (child->fds[i] < 0) return -errno;
    }
    int pair[2];
    child->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (child->null_fd < 0 || pipe2(pair, O_CLOEXEC) < 0) return -errno;
    child->error_fds[0] = pair[0];
    child->error_fds[1] = fcntl(pair[1], F_DUPFD_CLOEXEC, FD_ABOVE);
    (void)close(pair[1]);
    return child->error_fds[1] < 0 ? -errno : 0;
}

static void fds_close(struct child *child)
{
    for (uint32_t i = 0; i < SL_PROC_FDS_MAX; i++) {
        if (child->fds[i] >= 0) (void)close(child->fds[i]);
    }
    if (child->null_fd >= 0) (void)close(child->null_fd);
    if (child->error_fds[0] >= 0) (void)close(child->error_fds[0]);
    if (child->error_fds[1] >= 0) (void)close(child->error_fds[1]);
}

/* 0: it has become another program. Both ways to fork come back only when it has, or has ended. */
static int child_error(struct child *child)
{
    int error = 0;
    (void)close(child->error_fds[1]);
    child->error_fds[1] = -1;
    return read(child->error_fds[0], &error, sizeof(error)) == sizeof(error) ? -error : 0;
}

/* The child shares this frame until it has called exec, if it is none of CLONE_PARENT. */
static __attribute__((noinline)) pid_t child_start(const struct child *child)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    /* A handler of ours must not run in the child, which has our memory. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = child->cfg->is_sibling
                    ? (pid_t)syscall(SYS_clone, CLONE_PARENT | CLONE_VFORK | SIGCHLD, NULL, NULL,
                                     NULL, NULL)
                    : vfork();
    if (pid == 0) child_run(child);
    int error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

int sl_proc_spawn(const struct sl_proc_config *cfg, struct sl_proc *ret_proc,
                  struct sl_diag *reterr)
{
    sl_assert(cfg != NULL);
    sl_assert(ret_proc != NULL);
    sl_assert(cfg->fds_count <= SL_PROC_FDS_MAX);
    struct child child = {.cfg = cfg,
                          .null_fd = -1,
                          .parent = cfg->is_sibling ? getppid() : getpid(),
                          .error_fds = {-1, -1}};
    for (uint32_t i = 0; i < SL_PROC_FDS_MAX; i++) child.fds[i] = -1;
    int r = fds_lift(&child);
    if (r < 0) {
        fds_close(&child);
        return failed(reterr, r, "descriptors of a child");
    }
    pid_t pid = child_start(&child);
    r = pid < 0 ? -errno : child_error(&child);
    fds_close(&child);
    if (pid < 0) return failed(reterr, r, "fork");
    if (cfg->is_sibling) {
        *ret_proc = (struct sl_proc){pid, -1};
    } else if (r < 0) {
        (void)waitpid(pid, NULL, 0);
    }
    if (r < 0) return failed(reterr, r, "cannot start a child");
    return cfg->is_sibling ? 0 : sl_proc_init(ret_proc, pid, reterr);
}

int sl_proc_init(struct sl_proc *proc, pid_t pid, struct sl_diag *reterr)
{
    sl_assert(proc != NULL);
    sl_assert(pid > 0);
    /* Not reaped yet, so the number is still this child's. */
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int r = -errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return failed(reterr, r, "pidfd_open");
    }
    (void)fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    *proc = (struct sl_proc){pid, pidfd};
    return 0;
}

void sl_proc_signal(const struct sl_proc *proc, int signal)
{
    sl_assert(proc != NULL);
    sl_assert(proc->pidfd >= 0);
    (void)syscall(SYS_pidfd_send_signal, proc->pidfd, signal, NULL, 0);
}

int sl_proc_reap(const struct sl_proc *proc, int *ret_signal, int *ret_code)
{
    sl_assert(proc != NULL);
    sl_assert(ret_signal != NULL);
    sl_assert(ret_code != NULL);
    siginfo_t info = {0};
    if (waitid((idtype_t)IDTYPE_PIDFD, (id_t)proc->pidfd, &info, WEXITED | WNOHANG) < 0) {
        return -errno;
    }
    if (info.si_pid == 0) return 0;
    bool exited = info.si_code == CLD_EXITED;
    *ret_signal = exited ? 0 : info.si_status;
    *ret_code = exited ? info.si_status : 0;
    return 1;
}

int sl_proc_limit_data(const struct sl_proc *proc, uint64_t bytes)
{
    sl_assert(proc != NULL);
    struct rlimit limit;
    if (prlimit(proc->pid, RLIMIT_DATA, NULL, &limit) < 0) return -errno;
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    return prlimit(proc->pid, RLIMIT_DATA, &limit, NULL) < 0 ? -errno : 0;
}

void sl_proc_fini(struct sl_proc *proc)
{
    sl_assert(proc != NULL);
    if (proc->pidfd >= 0) (void)close(proc->pidfd);
    *proc = (struct sl_proc){0, -1};
}
