/* SPDX-License-Identifier: MIT */
#include "io/proc/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/assertion.h"

/* A nursery that is SCHED_IDLE may have to wait for its processor. */
enum { ANSWER_SECONDS = 60, AUTOGROUP_TRIES = 3, AUTOGROUP_PAUSE_US = 120000 };

struct request {
    uint64_t cpus[SL_PROC_CPUS_MAX / 64];
    bool has_cpus;
};

struct answer {
    pid_t pid;
    int error; /* 0 or -errno */
};

union control {
    struct cmsghdr head;
    char data[CMSG_SPACE(sizeof(int) * SL_PROC_FDS_MAX)];
};

static int failed(struct sl_diag *reterr, int error, const char *what)
{
    (void)sl_diag_set(reterr, "spawn_failed", (struct sl_pos){0, 0}, "%s: %s", what,
                      strerror(-error));
    return error;
}

/* ---- this side ------------------------------------------------------------------------------- */

int sl_nursery_open(struct sl_nursery *nursery, const struct sl_nursery_config *cfg,
                    struct sl_diag *reterr)
{
    sl_assert(nursery != NULL);
    sl_assert(cfg != NULL && cfg->argv != NULL && cfg->argv[0] != NULL);
    const char *argv[SL_NURSERY_ARGS_MAX + 3] = {cfg->argv[0], SL_NURSERY_COMMAND,
                                                 cfg->is_idle ? "idle" : "normal"};
    for (uint32_t i = 1; cfg->argv[i] != NULL; i++) {
        sl_assert(i < SL_NURSERY_ARGS_MAX);
        argv[i + 2] = cfg->argv[i];
    }
    int pair[2];
    *nursery = (struct sl_nursery){{0, -1}, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return failed(reterr, -errno, "a socket for the nursery");
    }
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    (void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    struct sl_proc_config child = {
        .path = cfg->path,
        .argv = argv,
        .envp = cfg->envp,
        .fds = &pair[1],
        .fds_count = 1,
        .keep_stderr = cfg->keep_stderr,
    };
    int r = sl_proc_spawn(&child, &nursery->proc, reterr);
    (void)close(pair[1]);
    if (r == 0) {
        nursery->fd = pair[0];
    } else {
        (void)close(pair[0]);
    }
    return r;
}

void sl_nursery_close(struct sl_nursery *nursery)
{
    sl_assert(nursery != NULL);
    if (nursery->fd < 0) return;
    pid_t pid = nursery->proc.pid;
    siginfo_t info;
    (void)close(nursery->fd);
    sl_proc_signal(&nursery->proc, SIGKILL);
    /* Its number stays that of the group until it is reaped. */
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {}
    (void)kill(-pid, SIGKILL);
    while (waitpid(-pid, NULL, 0) > 0 || errno == EINTR) {}
    (void)waitpid(pid, NULL, WNOHANG); /* if it had not come to its setsid */
    sl_proc_fini(&nursery->proc);
    nursery->fd = -1;
}

static int request_send(int fd, const struct request *request, const int *fds, uint32_t count)
{
    union control control;
    struct iovec part = {(void *)(uintptr_t)request, sizeof(*request)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.data;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*request) ? 0 : -EPIPE;
}

static int answer_receive(int fd, struct answer *ret_answer)
{
    ssize_t n;
    do {
        n = recv(fd, ret_answer, sizeof(*ret_answer), 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*ret_answer) ? 0 : -EPIPE;
}

int sl_nursery_spawn(struct sl_nursery *nursery, const int *fds, uint32_t count,
                     const uint64_t *cpus, struct sl_proc *ret_proc, struct sl_diag *reterr)
{
    sl_assert(nursery != NULL && nursery->fd >= 0);
    sl_assert(count <= SL_PROC_FDS_MAX);
    sl_assert(ret_proc != NULL);
    struct request request = {.has_cpus = cpus != NULL};
    struct answer answer;
    if (cpus != NULL) memcpy(request.cpus, cpus, sizeof(request.cpus));
    int r = request_send(nursery->fd, &request, fds, count);
    if (r == 0) r = answer_receive(nursery->fd, &answer);
    if (r < 0) return failed(reterr, r, "the process that starts workers has ended");
    if (answer.error == 0) return sl_proc_init(ret_proc, answer.pid, reterr);
    if (answer.pid > 0) (void)waitpid(answer.pid, NULL, 0);
    return failed(reterr, answer.error, "cannot start a child");
}

/* ---- the nursery ----------------------------------------------------------------------------- */

/*
 * Behind the ordinary groups, yet with a thirtieth of a processor that is busy with one of them. The
 * kernel takes one such change in 100 ms of all users who have no right to more.
 */
static void autogroup_last(void)
{
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < AUTOGROUP_TRIES; i++) {
        if (write(fd, "15", 2) == 2 || errno != EAGAIN) break;
        (void)usleep(AUTOGROUP_PAUSE_US);
    }
    if (fd >= 0) (void)close(fd);
}

/* Returns the number of descriptors, or -1: the other side is gone. */
static int request_receive(struct request *ret_request, int fds[SL_PROC_FDS_MAX])
{
    union control control;
    struct iovec part = {ret_request, sizeof(*ret_request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.data,
                             .msg_controllen = sizeof(control.data)};
    ssize_t n;
    do {
        n = recvmsg(SL_PROC_FD_FIRST, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(*ret_request)) return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS) return 0;
    size_t size = head->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(head), size);
    return (int)(size / sizeof(int));
}

int sl_nursery_main(int argc, char **argv)
{
    struct sched_param param = {0};
    if (argc < 4 || strcmp(argv[1], SL_NURSERY_COMMAND) != 0) return -1;
    bool is_idle = strcmp(argv[2], "idle") == 0;
    (void)setsid();
    if (is_idle) {
        autogroup_last();
        (void)sched_setscheduler(0, SCHED_IDLE, &param);
    }
    argv[2] = argv[0];
    struct request request;
    int fds[SL_PROC_FDS_MAX];
    for (;;) {
        int count = request_receive(&request, fds);
        if (count < 0) return 0;
        struct sl_proc_config cfg = {
            .argv = (const char *const *)&argv[2],
            .envp = (const char *const *)environ,
            .fds = fds,
            .fds_count = (uint32_t)count,
            .cpus = request.has_cpus ? request.cpus : NULL,
            .keep_stderr = true,
            .is_sibling = true,
        };
        struct sl_proc proc = {0, -1};
        struct answer answer = {.error = sl_proc_spawn(&cfg, &proc, NULL)};
        answer.pid = proc.pid;
        for (int i = 0; i < count; i++) (void)close(fds[i]);
        if (send(SL_PROC_FD_FIRST, &answer, sizeof(answer), MSG_NOSIGNAL) < 0) return 0;
    }
}
