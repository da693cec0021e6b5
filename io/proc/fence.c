/* SPDX-License-Identifier: MIT */
#include "io/proc/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/assertion.h"

/* Landlock's interface is newer than the headers: landlock(7), ABI 1 to 6. */
#define SYS_LANDLOCK_CREATE   444
#define SYS_LANDLOCK_ADD_RULE 445
#define SYS_LANDLOCK_RESTRICT 446

#define LANDLOCK_VERSION UINT32_C(1)
#define LANDLOCK_BENEATH 1
#define ACCESS_READ_FILE (UINT64_C(1) << 2)
#define ACCESS_READ_DIR  (UINT64_C(1) << 3)
#define ACCESS_ABI_1     ((UINT64_C(1) << 13) - 1)
#define ACCESS_REFER     (UINT64_C(1) << 13)
#define ACCESS_TRUNCATE  (UINT64_C(1) << 14)
#define ACCESS_IOCTL     (UINT64_C(1) << 15)
#define ACCESS_NET       UINT64_C(3) /* bind and connect of TCP */
#define SCOPE_ALL        UINT64_C(3) /* abstract sockets, signals */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

struct landlock_rules {
    uint64_t access_fs;
    uint64_t access_net; /* ABI 4 */
    uint64_t scoped;     /* ABI 6 */
};

struct landlock_beneath {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));

enum {
    FENCE_FILES_MAX = 64, /* descriptors that the engines may open before the fence closes */
    FENCE_CAPS_MAX = 64,
};

/* What the engines read while they start; nothing else can be opened, for reading or else. */
static const char *const readable[] = {
    "/proc",
    "/dev/urandom",
    "/dev/null",
    "/sys/devices/system/cpu",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
};

uint32_t sl_fence_probe(void)
{
    uint32_t parts = 0;
    uint32_t action = SECCOMP_RET_ERRNO;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) parts |= SL_FENCE_SECCOMP;
    if (syscall(SYS_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION) > 0) parts |= SL_FENCE_LANDLOCK;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (pidfd >= 0) {
        parts |= SL_FENCE_PIDFD;
        (void)close(pidfd);
    }
    return parts;
}

const char *sl_fence_missing(uint32_t parts)
{
    if (!(parts & SL_FENCE_SECCOMP)) return "this kernel, or its container, has no seccomp filters";
    if (!(parts & SL_FENCE_PIDFD)) return "this kernel, or its container, has no pidfd_open";
    return NULL;
}

static void limit_set(int resource, uint64_t value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0) return;
    if (value < limit.rlim_max) limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit((__rlimit_resource_t)resource, &limit);
}

/* Whoever starts us as root keeps the privileges: none are needed here. */
static void privileges_drop(void)
{
    for (int cap = 0; cap < FENCE_CAPS_MAX; cap++) (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    (void)syscall(SYS_capset, &head, none);
}

static void oom_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, "1000", 4);
    (void)close(fd);
}

static void rule_add(int rules, const char *path)
{
    struct landlock_beneath beneath = {.access = ACCESS_READ_FILE};
    beneath.fd = open(path, O_PATH | O_CLOEXEC);
    if (beneath.fd < 0) return;
    /* A folder also gives its list; a file refuses that bit. */
    uint64_t both = ACCESS_READ_FILE | ACCESS_READ_DIR;
    struct landlock_beneath folder = {.access = both, .fd = beneath.fd};
    if (syscall(SYS_LANDLOCK_ADD_RULE, rules, LANDLOCK_BENEATH, &folder, 0) < 0) {
        (void)syscall(SYS_LANDLOCK_ADD_RULE, rules, LANDLOCK_BENEATH, &beneath, 0);
    }
    (void)close(beneath.fd);
}

/* 1 in force; 0 this kernel has none; -errno. */
static int landlock_enter(void)
{
    long abi = syscall(SYS_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);
    if (abi <= 0) return 0;
    struct landlock_rules rules = {.access_fs = ACCESS_ABI_1};
    if (abi >= 2) rules.access_fs |= ACCESS_REFER;
    if (abi >= 3) rules.access_fs |= ACCESS_TRUNCATE;
    if (abi >= 4) rules.access_net = ACCESS_NET;
    if (abi >= 5) rules.access_fs |= ACCESS_IOCTL;
    if (abi >= 6) rules.scoped = SCOPE_ALL;
    size_t size = abi >= 6 ? sizeof(rules) : abi >= 4 ? 16 : 8;
    int fd = (int)syscall(SYS_LANDLOCK_CREATE, &rules, size, 0);
    if (fd < 0) return -errno;
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++) rule_add(fd, readable[i]);
    int r = syscall(SYS_LANDLOCK_RESTRICT, fd, 0) < 0 ? -errno : 1;
    (void)close(fd);
    return r;
}

int sl_fence_open(pid_t parent)
{
    oom_first();
    limit_set(RLIMIT_CORE, 0);
    limit_set(RLIMIT_FSIZE, 0);
    limit_set(RLIMIT_NOFILE, FENCE_FILES_MAX);
    limit_set(RLIMIT_MEMLOCK, 0);
    limit_set(RLIMIT_MSGQUEUE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    int r = landlock_enter();
    if (r < 0) return r;
    privileges_drop();
    /* Last: a change of privileges may take it back. Then look whether it came too late. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) return -errno;
    if (getppid() != parent) return -ESRCH;
    return r > 0 ? SL_FENCE_LANDLOCK : 0;
}

/* Private writable bytes of this process: proc(5), statm, sixth number. */
static uint64_t data_used(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    unsigned long long pages = 0;
    int got = fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages);
    (void)fclose(file);
    return got == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int sl_fence_memory(uint64_t soft, uint64_t hard, uint64_t *ret_used)
{
    sl_assert(ret_used != NULL);
    sl_assert(soft <= hard);
    uint64_t used = data_used();
    if (used == 0) return -EIO;
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) < 0) return -errno;
    if (used + hard < limit.rlim_max) limit.rlim_max = used + hard;
    limit.rlim_cur = used + soft < limit.rlim_max ? used + soft : limit.rlim_max;
    if (setrlimit(RLIMIT_DATA, &limit) < 0) return -errno;
    *ret_used = used;
    return 0;
}

int sl_fence_close(void)
{
    /* No core, no ptrace by others, /proc/self belongs to root. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return sl_fence_filter_install();
}
