/* SPDX-License-Identifier: MIT */
/*
 * What a process and its descendants have used, from /proc and the process clocks.
 *
 * CPU comes from the process clock (clock_getcpuclockid), which counts nanoseconds; /proc/PID/stat
 * counts ticks of 10 ms and only divides it into user and system. Time of descendants that have
 * ended is in their parent's account, so the sum loses nothing.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum { SL_PROC_TREE_MAX = 256 };

struct sl_proc_tree {
    pid_t pids[SL_PROC_TREE_MAX]; /* array of `count`, the root first */
    uint32_t count;
};

struct sl_proc_usage {
    uint64_t cpu_ns;
    uint64_t user_ticks; /* of 1/sysconf(_SC_CLK_TCK) s */
    uint64_t system_ticks;
    uint64_t switches_voluntary;
    uint64_t switches_forced;
    uint64_t waited_ns; /* its threads were ready to run and had no core */
    uint64_t faults_minor;
    uint64_t faults_major;
    uint64_t rss_bytes;
    uint64_t rss_peak_bytes; /* sum of the peaks of each */
    uint32_t processes;
    uint32_t threads;
};

/* Find `pid` and its descendants. 0, or -ESRCH if it is not there. */
int sl_proc_tree_find(pid_t pid, struct sl_proc_tree *ret_tree);

/* Sum of CPU only; a few microseconds. */
uint64_t sl_proc_cpu_ns(const struct sl_proc_tree *tree);

/* Everything; processes that have ended meanwhile are left out. */
void sl_proc_usage_read(const struct sl_proc_tree *tree, struct sl_proc_usage *ret_usage);

/* after − before, for the counters; sizes and counts are those of `after`. */
void sl_proc_usage_diff(const struct sl_proc_usage *before, const struct sl_proc_usage *after,
                        struct sl_proc_usage *ret_diff);
