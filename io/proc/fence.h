/* SPDX-License-Identifier: MIT */
/*
 * The fence that a process which runs foreign code puts around itself. In this order:
 *
 *     sl_fence_open     first thing in main, one thread: parent's death, limits, no privileges,
 *                       landlock (it binds the calling thread and those it makes later)
 *     … engines open what they read: /proc, urandom, the processors, time zones …
 *     sl_fence_memory   private writable memory: what is used now and so much more
 *     sl_fence_close    seccomp on all threads: no files, no sockets, no processes, no signals to
 *                       others, no exec; what is not listed in filter.c fails with EPERM
 *
 * There is no way back. seccomp is required; a kernel without landlock (before 5.13, or not
 * enabled) leaves that part out: files are then closed to the process by seccomp alone, from
 * sl_fence_close on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/diag.h"

enum sl_fence_part {
    SL_FENCE_SECCOMP = 1,
    SL_FENCE_LANDLOCK = 2,
    SL_FENCE_PIDFD = 4, /* pidfd_open: how the parent watches it */
};

/* The parts that this kernel has: bits of enum sl_fence_part. Changes nothing. Any thread. */
uint32_t sl_fence_probe(void);

/*
 * Why no process can be fenced here, for a person; NULL: it can.
 * With parts only `SL_FENCE_LANDLOCK` missing it can.
 */
const char *sl_fence_missing(uint32_t parts);

/*
 * First step; see above. `parent` is who must be alive: if it is not, -ESRCH.
 *
 * returns  bits of what is in force now; -errno
 */
int sl_fence_open(pid_t parent);

/*
 * Private writable memory (RLIMIT_DATA): what is used now plus `soft`; never beyond what is used
 * now plus `hard`. `ret_used` gets the first, in bytes.
 */
int sl_fence_memory(uint64_t soft, uint64_t hard, uint64_t *ret_used);

/* Last step. 0 or -errno; on failure the caller must not run foreign code. */
int sl_fence_close(void);

/* filter.c: install the list of system calls on all threads. 0 or -errno. */
int sl_fence_filter_install(void);
