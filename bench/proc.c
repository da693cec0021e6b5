/* SPDX-License-Identifier: MIT */
/* Reading /proc; see proc.h. */
#include "bench/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { TEXT_SIZE = 4096, PROCESSES_MAX = 16384 };

/* The fields of /proc/PID/stat that matter; man 5 proc counts them from 1. */
struct stat_fields {
    long long field[53]; /* by number; 0..3 unused */
};

static int file_read(const char *path, char *text, size_t text_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    ssize_t size = read(fd, text, text_size - 1);
    (void)close(fd);
    if (size <= 0) return -ESRCH;
    text[size] = '\0';
    return 0;
}

static int stat_read(pid_t pid, struct stat_fields *ret_fields)
{
    char path[64];
    char text[TEXT_SIZE];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int err = file_read(path, text, sizeof(text));
    if (err < 0) return err;
    memset(ret_fields, 0, sizeof(*ret_fields));
    /* The name is in parentheses and may hold anything: go on after the last one. */
    char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ') return -ESRCH;
    at += 2;
    if (*at == 'Z' || *at == 'X') return -ESRCH;
    at++;
    for (int i = 4; i < 53; i++) ret_fields->field[i] = strtoll(at, &at, 10);
    return 0;
}

/* Every process and its parent. Returns the count. */
static size_t processes_list(pid_t *pids, pid_t *parents)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL) return 0;
    size_t count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && count < PROCESSES_MAX;
         entry = readdir(dir)) {
        struct stat_fields fields;
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (stat_read(pid, &fields) < 0) continue;
        pids[count] = pid;
        parents[count++] = (pid_t)fields.field[4];
    }
    (void)closedir(dir);
    return count;
}

int sl_proc_tree_find(pid_t pid, struct sl_proc_tree *ret_tree)
{
    sl_assert(ret_tree != NULL);
    struct stat_fields fields;
    if (stat_read(pid, &fields) < 0) return -ESRCH;
    ret_tree->count = 0;
    ret_tree->pids[ret_tree->count++] = pid;
    pid_t *pids = calloc((size_t)PROCESSES_MAX * 2, sizeof(*pids));
    if (pids == NULL) return 0;
    pid_t *parents = pids + PROCESSES_MAX;
    size_t count = processes_list(pids, parents);
    /* Breadth first: each found process is looked up as a parent in its turn. */
    for (uint32_t at = 0; at < ret_tree->count; at++) {
        for (size_t i = 0; i < count; i++) {
            if (parents[i] != ret_tree->pids[at] || ret_tree->count == SL_PROC_TREE_MAX) continue;
            ret_tree->pids[ret_tree->count++] = pids[i];
        }
    }
    free(pids);
    return 0;
}

uint64_t sl_proc_cpu_ns(const struct sl_proc_tree *tree)
{
    static long tick_ns;
    if (tick_ns == 0) tick_ns = (long)SL_NS_PER_SEC / sysconf(_SC_CLK_TCK);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
        clockid_t clock;
        struct timespec ts;
        if (clock_getcpuclockid(tree->pids[i], &clock) != 0) continue;
        if (clock_gettime(clock, &ts) != 0) continue;
        sum += (uint64_t)ts.tv_sec * SL_NS_PER_SEC + (uint64_t)ts.tv_nsec;
        struct stat_fields fields;
        if (stat_read(tree->pids[i], &fields) == 0) {
            sum += (uint64_t)(fields.field[16] + fields.field[17]) * (uint64_t)tick_ns;
        }
    }
    return sum;
}

/* The number after `name` in a status file, or 0. */
static uint64_t status_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* Context switches and waiting are counted per thread. */
static void threads_add(pid_t pid, struct sl_proc_usage *usage)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char text[TEXT_SIZE];
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, entry->d_name);
        if (file_read(path, text, sizeof(text)) < 0) continue;
        usage->switches_voluntary += status_field(text, "\nvoluntary_ctxt_switches:");
        usage->switches_forced += status_field(text, "nonvoluntary_ctxt_switches:");
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        const char *at = file_read(path, text, sizeof(text)) < 0 ? NULL : strchr(text, ' ');
        usage->waited_ns += at != NULL ? strtoull(at, NULL, 10) : 0;
    }
    (void)closedir(dir);
}

void sl_proc_usage_read(const struct sl_proc_tree *tree, struct sl_proc_usage *ret_usage)
{
    sl_assert(tree != NULL);
    memset(ret_usage, 0, sizeof(*ret_usage));
    ret_usage->cpu_ns = sl_proc_cpu_ns(tree);
    long page_size = sysconf(_SC_PAGESIZE);
    for (uint32_t i = 0; i < tree->count; i++) {
        struct stat_fields fields;
        if (stat_read(tree->pids[i], &fields) < 0) continue;
        const long long *field = fields.field;
        ret_usage->processes++;
        ret_usage->faults_minor += (uint64_t)(field[10] + field[11]);
        ret_usage->faults_major += (uint64_t)(field[12] + field[13]);
        ret_usage->user_ticks += (uint64_t)(field[14] + field[16]);
        ret_usage->system_ticks += (uint64_t)(field[15] + field[17]);
        ret_usage->threads += (uint32_t)field[20];
        ret_usage->rss_bytes += (uint64_t)field[24] * (uint64_t)page_size;
        threads_add(tree->pids[i], ret_usage);
        char path[64];
        char text[TEXT_SIZE];
        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)tree->pids[i]);
        if (file_read(path, text, sizeof(text)) == 0) {
            ret_usage->rss_peak_bytes += status_field(text, "VmHWM:") * 1024;
        }
    }
}

static uint64_t minus(uint64_t after, uint64_t before)
{
    return after > before ? after - before : 0;
}

void sl_proc_usage_diff(const struct sl_proc_usage *before, const struct sl_proc_usage *after,
                        struct sl_proc_usage *ret_diff)
{
    struct sl_proc_usage diff = *after;
    diff.cpu_ns = minus(after->cpu_ns, before->cpu_ns);
    diff.user_ticks = minus(after->user_ticks, before->user_ticks);
    diff.system_ticks = minus(after->system_ticks, before->system_ticks);
    diff.switches_voluntary = minus(after->switches_voluntary, before->switches_voluntary);
    diff.switches_forced = minus(after->switches_forced, before->switches_forced);
    diff.waited_ns = minus(after->waited_ns, before->waited_ns);
    diff.faults_minor = minus(after->faults_minor, before->faults_minor);
    diff.faults_major = minus(after->faults_major, before->faults_major);
    *ret_diff = diff;
}
