/* SPDX-License-Identifier: MIT */
/*
 * Child processes: started by fork and exec, watched and signalled through a pidfd.
 *
 * A child has no environment but what it is given, no descriptors but those it is given (as 3, 4 …,
 * with /dev/null as 0, 1 and 2), and is killed when the *thread* that started it ends (prctl(2),
 * PR_SET_PDEATHSIG): whoever starts children lives as long as they may.
 *
 * It begins with all signals blocked, so that no handler of the parent runs in between.
 *
 * Nothing of the parent is copied: its memory is shared until the exec, which takes the starting
 * thread about a millisecond. So not on a shard. Many children are the work of a nursery
 * (io/proc/nursery.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/diag.h"

enum { SL_PROC_FDS_MAX = 8, SL_PROC_FD_FIRST = 3, SL_PROC_CPUS_MAX = 1024 };

struct sl_proc_config {
    const char *path;        /* NULL: this program's own file */
    const char *const *argv; /* NULL-terminated */
    const char *const *envp; /* NULL-terminated */
    const int *fds;          /* array of fds_count */
    uint32_t fds_count;      /* at most SL_PROC_FDS_MAX */
    const uint64_t *cpus;    /* bits of SL_PROC_CPUS_MAX processors, or NULL: as the caller's */
    bool keep_stderr;
    /*
     * A brother instead of a child: the caller's parent is its parent, too, and must reap it, also
     * where this fails with a pid; it is of the caller's scheduling class. For callers with one
     * thread, whose memory is copied.
     */
    bool is_sibling;
};

struct sl_proc {
    pid_t pid;
    int pidfd; /* becomes readable when the process has ended; -1: a sibling */
};

/*
 * Start a process. The caller must reap it (sl_proc_reap). A child is of the ordinary scheduling
 * class, and does not come before others: what starts it may be real-time.
 *
 * returns  0; -errno with `reterr` (may be NULL): -ENOENT and the like mean that exec failed
 * thread   any; it stops until the exec
 * source   vfork(2), clone(2): CLONE_PARENT, pidfd_open(2)
 */
int sl_proc_spawn(const struct sl_proc_config *cfg, struct sl_proc *ret_proc,
                  struct sl_diag *reterr);

/*
 * A child that somebody else has started for this process (is_sibling), not reaped yet. Where this
 * fails it is ended. 0 or -errno with `reterr` (may be NULL).
 */
int sl_proc_init(struct sl_proc *proc, pid_t pid, struct sl_diag *reterr);

/* Send a signal. Harmless if the process has ended. Any thread. */
void sl_proc_signal(const struct sl_proc *proc, int signal);

/*
 * Take the status of a process that has ended. Does not wait. Any thread of the parent.
 *
 * ret_signal  the signal that ended it, or 0
 * ret_code    its exit code, if it was no signal
 * returns     1 it is gone; 0 it still runs; -ECHILD somebody else has reaped it
 */
int sl_proc_reap(const struct sl_proc *proc, int *ret_signal, int *ret_code);

/* Soft limit of a running child's private writable memory, bytes; 0 or -errno. prlimit(2). */
int sl_proc_limit_data(const struct sl_proc *proc, uint64_t bytes);

/* Close the pidfd. */
void sl_proc_fini(struct sl_proc *proc);
