/* SPDX-License-Identifier: MIT */
/*
 * The list of system calls that a fenced process may make, as a seccomp program. It is made from a
 * table, so that x86-64 and aarch64 have the same list, each with its own numbers:
 *
 *     other architecture → kill            listed, and its condition holds → allow
 *     clone3 → ENOSYS (glibc then uses clone, whose flags can be seen)
 *     everything else → EPERM
 *
 * Source: seccomp(2); what JavaScriptCore, LuaJIT, glibc and mimalloc call, found by strace.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "io/proc/fence.h"

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#error "no list of system calls for this architecture"
#endif

enum {
    FILTER_SIZE_MAX = 256, /* instructions */
    X32_BIT = 0x40000000,
    THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,
    /* Must not be there: a new namespace, a tracer's or a parent's place. */
    FORBIDDEN_FLAGS = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                      CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_PARENT | CLONE_VFORK,
};

static const uint16_t allowed[] = {
    /* Memory. */
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_madvise,
    SYS_mremap,
    SYS_brk,
    SYS_membarrier,
    /* Threads and signals of this process. */
    SYS_futex,
    SYS_set_robust_list,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigsuspend, /* how the collector of JavaScriptCore stops a thread to read its stack */
    SYS_sigaltstack,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_gettid,
#ifdef SYS_rseq
    SYS_rseq,
#endif
    /* Time and randomness. */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_getrusage,
    SYS_sysinfo,
    SYS_getcpu,
    /* Descriptors that were open before: the bells, statm, urandom. */
    SYS_read,
    SYS_pread64,
    SYS_write,
    SYS_close,
    SYS_ppoll,
    SYS_lseek,
#ifdef SYS_poll
    SYS_poll,
#endif
};

/* Allowed if the low word of an argument is, or has, a value. */
struct filter_rule {
    uint16_t number;
    uint16_t arg;
    uint32_t mask; /* of the bits compared */
    uint32_t value;
};

struct filter {
    struct sock_filter code[FILTER_SIZE_MAX];
    unsigned short count;
};

static void put(struct filter *filter, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
    sl_assert(filter->count < FILTER_SIZE_MAX);
    filter->code[filter->count++] = (struct sock_filter){code, yes, no, k};
}

static void put_load(struct filter *filter, uint32_t off)
{
    put(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, off);
}

static void put_return(struct filter *filter, uint32_t action)
{
    put(filter, BPF_RET | BPF_K, 0, 0, action);
}

/* The number is in the accumulator before and after. */
static void put_allow(struct filter *filter, uint32_t number)
{
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    put_return(filter, SECCOMP_RET_ALLOW);
}

static void put_error(struct filter *filter, uint32_t number, uint32_t error)
{
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    put_return(filter, SECCOMP_RET_ERRNO | error);
}

/* Both words of the argument are looked at: the upper one must be zero. */
static void put_rule(struct filter *filter, const struct filter_rule *rule)
{
    uint32_t off = (uint32_t)offsetof(struct seccomp_data, args) + rule->arg * 8U;
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 7, rule->number);
    put_load(filter, off + 4);
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0);
    put_load(filter, off);
    put(filter, BPF_ALU | BPF_AND | BPF_K, 0, 0, rule->mask);
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, rule->value);
    put_return(filter, SECCOMP_RET_ALLOW);
    put_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

static void filter_build(struct filter *filter)
{
    const struct filter_rule rules[] = {
        {SYS_clone, 0, (uint32_t)(THREAD_FLAGS | FORBIDDEN_FLAGS), (uint32_t)THREAD_FLAGS},
        {SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid()},
        {SYS_prctl, 0, UINT32_MAX, PR_SET_NAME},
        {SYS_prlimit64, 2, UINT32_MAX, 0}, /* reading a limit */
        {SYS_fcntl, 1, ~UINT32_C(3), 0},   /* F_DUPFD, F_GETFD, F_SETFD, F_GETFL */
    };
    put_load(filter, (uint32_t)offsetof(struct seccomp_data, arch));
    put(filter, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, FILTER_ARCH);
    put_return(filter, SECCOMP_RET_KILL_PROCESS);
    put_load(filter, (uint32_t)offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    put(filter, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
    put_return(filter, SECCOMP_RET_ERRNO | EPERM);
#endif
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        put_allow(filter, allowed[i]);
    }
#ifdef SYS_clone3
    put_error(filter, SYS_clone3, ENOSYS);
#endif
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) put_rule(filter, &rules[i]);
    put_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

int sl_fence_filter_install(void)
{
    struct filter filter = {.count = 0};
    filter_build(&filter);
    struct sock_fprog program = {.len = filter.count, .filter = filter.code};
    long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (r < 0) return -errno;
    return r == 0 ? 0 : -EBUSY; /* the thread that could not be taken in */
}
