/* SPDX-License-Identifier: MIT */
/*
 * A process that starts others for this one, all of the same kind, in a session of its own.
 *
 *     ours ──(fds, processors)──► nursery ── fork, exec ──► a child of ours (CLONE_PARENT)
 *          ◄──────pid──────────
 *
 * What it is for: children that must not be in the way of the threads that wait for them.
 *
 *   - It and its children are SCHED_IDLE from their first instruction on. A child that changes class
 *     takes along what it was owed as an ordinary one (sched(7); EEVDF keeps a task's lag), and runs
 *     for milliseconds before threads that have just been woken.
 *   - A session is a group of its own to the scheduler where autogroups are on (sched(7)); this one
 *     has nice 15. In the session of its parent, what an idle child runs is counted as run by the
 *     parent, too, against other sessions. And idle threads that wake and sleep are owed time by each
 *     other; among themselves in one group, they collect it there, and not from the parent.
 *     A process in a control group of its own has no autogroup: then only the class holds.
 *   - Its memory is small and nobody else's. A fork from a large program holds the lock of that
 *     program's memory meanwhile.
 *
 * Children are reaped and signalled by this process as if it had forked them (io/proc/spawn.h). They
 * end with the thread that opened the nursery, or when it closes it. A terminal's signals reach none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "io/proc/spawn.h"

/* The command of a program that serves as its own nursery: `PROGRAM nursery idle|normal COMMAND …` */
#define SL_NURSERY_COMMAND "nursery"

enum { SL_NURSERY_ARGS_MAX = 12 };

struct sl_nursery_config {
    const char *path;        /* of what it starts, and of itself; NULL: this program's own file */
    const char *const *argv; /* of what it starts; NULL-terminated, at most SL_NURSERY_ARGS_MAX */
    const char *const *envp; /* the same; NULL-terminated */
    bool is_idle;            /* SCHED_IDLE and nice 15; else as any other session */
    bool keep_stderr;
};

struct sl_nursery {
    struct sl_proc proc;
    int fd; /* -1: closed */
};

/* 0 or -errno with `reterr` (may be NULL). The thread that opens it is the one that closes it. */
int sl_nursery_open(struct sl_nursery *nursery, const struct sl_nursery_config *cfg,
                    struct sl_diag *reterr);

/*
 * End it and all that it has started, also what it could not tell of any more, and wait until they are
 * gone. Who reaps one of them later gets -ECHILD. Harmless if it is closed.
 */
void sl_nursery_close(struct sl_nursery *nursery);

/*
 * Start one.
 *
 * fds      become its descriptors 3, 4 …; `count` at most SL_PROC_FDS_MAX
 * cpus     bits of SL_PROC_CPUS_MAX processors, or NULL: the nursery's own
 * returns  0; -EPIPE: the nursery is gone, open another; else -errno, both with `reterr` (may be NULL)
 * thread   the one that opened it; it waits
 * source   unix(7): SCM_RIGHTS
 */
int sl_nursery_spawn(struct sl_nursery *nursery, const int *fds, uint32_t count,
                     const uint64_t *cpus, struct sl_proc *ret_proc, struct sl_diag *reterr);

/* The main function of a nursery, if argv says so; -1: this is none. First thing in main. */
int sl_nursery_main(int argc, char **argv);
