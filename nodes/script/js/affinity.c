/* SPDX-License-Identifier: MIT */
#include "nodes/script/js/affinity.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "nodes/script/js/js.h"

/* Written once, before `remembered` is set. */
static cpu_set_t machine_set;
static atomic_bool remembered;

void js_affinity_remember(void)
{
    if (sched_getaffinity(0, sizeof(machine_set), &machine_set) == 0) {
        /* Release: pairs with the acquire in machine_set_get. */
        atomic_store_explicit(&remembered, true, memory_order_release);
    }
}

static bool machine_set_get(cpu_set_t *ret_set)
{
    if (!atomic_load_explicit(&remembered, memory_order_acquire)) return false;
    *ret_set = machine_set;
    return true;
}

void js_affinity_widen(struct js_affinity *ret_saved)
{
    sl_assert(ret_saved != NULL);
    cpu_set_t wide;
    ret_saved->saved = machine_set_get(&wide) &&
                       sched_getaffinity(0, sizeof(ret_saved->set), &ret_saved->set) == 0 &&
                       !CPU_EQUAL(&wide, &ret_saved->set) &&
                       sched_setaffinity(0, sizeof(wide), &wide) == 0;
}

void js_affinity_restore(const struct js_affinity *saved)
{
    if (saved->saved) (void)sched_setaffinity(0, sizeof(saved->set), &saved->set);
}

/* Names as the library gives them to its threads. */
static bool is_machine_thread(const char *tid)
{
    static const char *const names[] = {"JITWorker", "HeapHelper", "Signal Sender", "JSC ",
                                        "Heap "};
    char path[64], name[32] = "";
    (void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, name, sizeof(name) - 1);
    (void)close(fd);
    if (got <= 0) return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strstr(name, names[i]) != NULL) return true;
    }
    return false;
}

uint32_t sl_js_threads_unpin(void)
{
    cpu_set_t wide, set;
    if (!machine_set_get(&wide)) return 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) return 0;
    uint32_t changed = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || !is_machine_thread(entry->d_name)) continue;
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (sched_getaffinity(tid, sizeof(set), &set) != 0 || CPU_EQUAL(&set, &wide)) continue;
        changed += sched_setaffinity(tid, sizeof(wide), &wide) == 0;
    }
    (void)closedir(dir);
    return changed;
}
