/* SPDX-License-Identifier: MIT */
/* Kernel, limits, cgroup, memory, virtualisation, and what this process may do. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/machine.h"

enum { CAP_SYS_NICE_BIT = 23, CGROUP_DEPTH_MAX = 32 };

static int64_t number_of(const struct sl_tune_machine *machine, const char *path)
{
    int64_t number = -1;
    (void)sl_tune_read_number(&machine->tree, path, &number);
    return number;
}

/* ---- kernel ---------------------------------------------------------------------------------- */

static void kernel_read(struct sl_tune_machine *machine)
{
    const struct sl_tune_tree *tree = &machine->tree;
    char text[SL_TUNE_TEXT_SIZE];
    unsigned major = 0;
    unsigned minor = 0;
    if (sl_tune_read_line(tree, "/proc/sys/kernel/osrelease", machine->kernel,
                          sizeof(machine->kernel)) &&
        sscanf(machine->kernel, "%4u.%4u", &major, &minor) == 2) {
        machine->kernel_major = major;
        machine->kernel_minor = minor;
    }
    (void)sl_tune_read_line(tree, "/proc/cmdline", machine->cmdline, sizeof(machine->cmdline));
    machine->uring_disabled = number_of(machine, "/proc/sys/kernel/io_uring_disabled");
    machine->numa_balancing = number_of(machine, "/proc/sys/kernel/numa_balancing");
    machine->somaxconn = number_of(machine, "/proc/sys/net/core/somaxconn");
    machine->busy_poll = number_of(machine, "/proc/sys/net/core/busy_poll");
    machine->busy_read = number_of(machine, "/proc/sys/net/core/busy_read");
    machine->syn_backlog = number_of(machine, "/proc/sys/net/ipv4/tcp_max_syn_backlog");
    machine->swappiness = number_of(machine, "/proc/sys/vm/swappiness");
    machine->nr_open = number_of(machine, "/proc/sys/fs/nr_open");
    if (sl_tune_read_line(tree, "/sys/kernel/mm/transparent_hugepage/enabled", text,
                          sizeof(text))) {
        sl_tune_choice(text, machine->thp, sizeof(machine->thp));
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool limit_word(const char **at, int64_t *ret_value)
{
    *at += strspn(*at, " \t");
    if (strncmp(*at, "unlimited", 9) == 0) {
        *at += 9;
        *ret_value = -1;
        return true;
    }
    char *end;
    long long value = strtoll(*at, &end, 10);
    if (end == *at || value < 0) return false;
    *at = end;
    *ret_value = value;
    return true;
}

bool sl_tune_limit_parse(const char *text, const char *name, int64_t *ret_soft, int64_t *ret_hard)
{
    sl_assert(text != NULL);
    sl_assert(name != NULL);
    size_t size = strlen(name);
    for (const char *line = text; *line != '\0';) {
        const char *next = line + strcspn(line, "\n");
        int64_t soft;
        int64_t hard;
        const char *at = line + size;
        if (strncmp(line, name, size) == 0 && limit_word(&at, &soft) && limit_word(&at, &hard) &&
            at <= next) {
            *ret_soft = soft;
            *ret_hard = hard;
            return true;
        }
        line = next + (*next == '\n');
    }
    return false;
}

static void limits_read(struct sl_tune_machine *machine)
{
    char text[SL_TUNE_TEXT_SIZE];
    int64_t soft;
    if (sl_tune_read(&machine->tree, "/proc/self/limits", text, sizeof(text)) < 0) return;
    (void)sl_tune_limit_parse(text, "Max open files", &machine->nofile_soft, &machine->nofile_hard);
    (void)sl_tune_limit_parse(text, "Max locked memory", &machine->memlock_soft,
                              &machine->memlock_hard);
    (void)sl_tune_limit_parse(text, "Max nice priority", &soft, &machine->nice_max);
    (void)sl_tune_limit_parse(text, "Max realtime priority", &soft, &machine->rtprio_max);
}

/* The value of "Name:<tab>VALUE" in /proc/self/status. */
static bool status_value(const char *text, const char *name, char *buf, size_t buf_size)
{
    size_t size = strlen(name);
    for (const char *line = text; *line != '\0';) {
        size_t line_size = strcspn(line, "\n");
        if (line_size > size && strncmp(line, name, size) == 0 && line[size] == ':') {
            const char *value = line + size + 1;
            value += strspn(value, " \t");
            size_t value_size = strcspn(value, "\n");
            (void)snprintf(buf, buf_size, "%.*s", (int)value_size, value);
            return true;
        }
        line += line_size + (line[line_size] == '\n');
    }
    return false;
}

static void rights_read(struct sl_tune_machine *machine)
{
    char text[SL_TUNE_TEXT_SIZE * 2];
    char value[SL_TUNE_TEXT_SIZE];
    if (sl_tune_read(&machine->tree, "/proc/self/status", text, sizeof(text)) < 0) return;
    if (status_value(text, "Uid", value, sizeof(value))) {
        const char *effective = value + strcspn(value, " \t");
        effective += strspn(effective, " \t");
        machine->is_root = effective[0] == '0' && !isdigit((unsigned char)effective[1]);
    }
    if (status_value(text, "CapEff", value, sizeof(value))) {
        machine->can_nice = (strtoull(value, NULL, 16) >> CAP_SYS_NICE_BIT & 1) != 0;
    }
    cpu_set_t set;
    if (status_value(text, "Cpus_allowed_list", value, sizeof(value)) &&
        sl_tune_cpus_parse(value, &set)) {
        machine->allowed = set;
    }
}

/* "proc /proc/sys proc ro,nosuid 0 0": what must not be tried. */
static void mounts_read(struct sl_tune_machine *machine)
{
    char *text = sl_tune_read_all(&machine->tree, "/proc/self/mounts");
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *next = line + strcspn(line, "\n");
        char point[64];
        char options[8];
        if (machine->readonly_count < SL_TUNE_MOUNTS_MAX &&
            sscanf(line, "%*s %63s %*s %7[^ \n]", point, options) == 2 &&
            (strncmp(point, "/proc", 5) == 0 || strncmp(point, "/sys", 4) == 0) &&
            (strcmp(options, "ro") == 0 || strncmp(options, "ro,", 3) == 0)) {
            memcpy(machine->readonly[machine->readonly_count++], point, sizeof(point));
        }
        line = next + (*next == '\n');
    }
    free(text);
}

/* ---- cgroup ---------------------------------------------------------------------------------- */

bool sl_tune_cgroup_parse(const char *text, const char *controller, char *buf, size_t buf_size)
{
    sl_assert(text != NULL);
    sl_assert(controller != NULL);
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *first = memchr(line, ':', size);
        const char *second =
            first != NULL ? memchr(first + 1, ':', size - (size_t)(first + 1 - line)) : NULL;
        if (second != NULL && second[1] == '/') {
            size_t list_size = (size_t)(second - first - 1);
            size_t path_size = size - (size_t)(second + 1 - line);
            bool is_v2 = controller[0] == '\0' && list_size == 0;
            for (const char *at = first + 1; controller[0] != '\0' && at < second;) {
                size_t word = strcspn(at, ",:");
                is_v2 |= word == strlen(controller) && strncmp(at, controller, word) == 0;
                at += word + 1;
            }
            if (is_v2 && path_size < buf_size) {
                (void)snprintf(buf, buf_size, "%.*s", (int)path_size, second + 1);
                if (strcmp(buf, "/") == 0) buf[0] = '\0';
                return true;
            }
        }
        line += size + (line[size] == '\n');
    }
    return false;
}

static void quota_take(struct sl_tune_machine *machine, double quota)
{
    if (quota > 0 && (machine->quota <= 0 || quota < machine->quota)) machine->quota = quota;
}

static void memory_take(struct sl_tune_machine *machine, int64_t limit)
{
    /* Version 1 says "none" by a number near 2^63. */
    if (limit <= 0 || limit > INT64_MAX / 2) return;
    if (machine->memory_limit == 0 || limit < machine->memory_limit) machine->memory_limit = limit;
}

static void throttled_read(struct sl_tune_machine *machine, const char *path)
{
    char text[SL_TUNE_TEXT_SIZE];
    if (machine->throttled_count >= 0) return;
    if (sl_tune_read(&machine->tree, path, text, sizeof(text)) < 0) return;
    const char *at = strstr(text, "nr_throttled ");
    if (at != NULL) machine->throttled_count = strtoll(at + strlen("nr_throttled "), NULL, 10);
}

/* One folder of version 2: the nearest limit counts, of this one and all above. */
static void group_read(struct sl_tune_machine *machine, const char *dir)
{
    char path[SL_TUNE_PATH_SIZE + 64];
    char text[64];
    long long quota;
    long long period;
    (void)snprintf(path, sizeof(path), "%s/cpu.max", dir);
    if (sl_tune_read_line(&machine->tree, path, text, sizeof(text)) &&
        sscanf(text, "%19lld %19lld", &quota, &period) == 2 && quota > 0 && period > 0) {
        quota_take(machine, (double)quota / (double)period);
    }
    (void)snprintf(path, sizeof(path), "%s/cpu.stat", dir);
    throttled_read(machine, path);
    (void)snprintf(path, sizeof(path), "%s/memory.max", dir);
    memory_take(machine, number_of(machine, path));
    cpu_set_t set;
    cpu_set_t both;
    (void)snprintf(path, sizeof(path), "%s/cpuset.cpus.effective", dir);
    if (!sl_tune_read_cpus(&machine->tree, path, &set)) return;
    CPU_AND(&both, &set, &machine->allowed);
    if (CPU_COUNT(&both) > 0) machine->allowed = both;
}

static void group_v2_read(struct sl_tune_machine *machine, const char *mount, const char *group)
{
    char dir[SL_TUNE_PATH_SIZE - 64];
    int size = snprintf(dir, sizeof(dir), "%s%s", mount, group);
    if (size < 0 || (size_t)size >= sizeof(dir)) return;
    for (int depth = 0; depth < CGROUP_DEPTH_MAX && strlen(dir) >= strlen(mount); depth++) {
        group_read(machine, dir);
        char *slash = strrchr(dir, '/');
        if (slash == NULL) return;
        *slash = '\0';
    }
}

static void group_v1_read(struct sl_tune_machine *machine, const char *text)
{
    char group[SL_TUNE_PATH_SIZE / 2];
    char path[SL_TUNE_PATH_SIZE];
    if (sl_tune_cgroup_parse(text, "cpu", group, sizeof(group))) {
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
        int64_t quota = number_of(machine, path);
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
        int64_t period = number_of(machine, path);
        if (quota > 0 && period > 0) quota_take(machine, (double)quota / (double)period);
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.stat", group);
        throttled_read(machine, path);
    }
    if (sl_tune_cgroup_parse(text, "memory", group, sizeof(group))) {
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", group);
        memory_take(machine, number_of(machine, path));
    }
}

static void cgroup_read(struct sl_tune_machine *machine)
{
    char text[SL_TUNE_TEXT_SIZE];
    char group[SL_TUNE_PATH_SIZE / 2];
    machine->throttled_count = -1;
    if (sl_tune_read(&machine->tree, "/proc/self/cgroup", text, sizeof(text)) < 0) return;
    group_v1_read(machine, text);
    if (!sl_tune_cgroup_parse(text, "", group, sizeof(group))) return;
    bool is_hybrid = sl_tune_exists(&machine->tree, "/sys/fs/cgroup/unified");
    group_v2_read(machine, is_hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup", group);
}

/* ---- memory, virtualisation, power ----------------------------------------------------------- */

static void memory_read(struct sl_tune_machine *machine)
{
    char text[SL_TUNE_TEXT_SIZE * 2];
    const char *at;
    if (sl_tune_read(&machine->tree, "/proc/meminfo", text, sizeof(text)) >= 0 &&
        (at = strstr(text, "MemTotal:")) != NULL) {
        long long kib = strtoll(at + strlen("MemTotal:"), NULL, 10);
        if (kib > 0 && kib < INT64_MAX / 1024) machine->memory_total = kib * 1024;
    }
    /* Name Type Size Used Priority; sizes in KiB. */
    char *swaps = sl_tune_read_all(&machine->tree, "/proc/swaps");
    const char *line = swaps != NULL ? strchr(swaps, '\n') : NULL;
    while (line != NULL && line[1] != '\0') {
        long long kib;
        if (sscanf(line + 1, "%*s %*s %18lld", &kib) == 1 && kib > 0) machine->swap_kib += kib;
        line = strchr(line + 1, '\n');
    }
    free(swaps);
}

/* Of the first line of /proc/stat: stolen time in the time that something wanted to run. */
static double steal_share(const char *text)
{
    unsigned long long t[8];
    if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]) != 8) {
        return 0;
    }
    double busy = (double)t[0] + (double)t[1] + (double)t[2] + (double)t[5] + (double)t[6];
    double steal = (double)t[7];
    return busy + steal > 0 ? steal / (busy + steal) : 0;
}

static void virtual_read(struct sl_tune_machine *machine)
{
    const struct sl_tune_tree *tree = &machine->tree;
    char text[SL_TUNE_TEXT_SIZE * 2];
    if (sl_tune_read(tree, "/proc/cpuinfo", text, sizeof(text)) > 0) {
        const char *flags = strstr(text, "\nflags");
        const char *found = flags != NULL ? strstr(flags, " hypervisor") : NULL;
        machine->is_virtual = found != NULL;
    }
    char product[32] = "";
    (void)sl_tune_read_line(tree, "/sys/class/dmi/id/sys_vendor", machine->vendor,
                            sizeof(machine->vendor) - sizeof(product));
    if (sl_tune_read_line(tree, "/sys/class/dmi/id/product_name", product, sizeof(product))) {
        size_t used = strlen(machine->vendor);
        (void)snprintf(machine->vendor + used, sizeof(machine->vendor) - used, "%s%s",
                       used > 0 ? " " : "", product);
    }
    if (sl_tune_read(tree, "/proc/stat", text, sizeof(text)) > 0) {
        machine->steal_share = steal_share(text);
    }
    machine->is_container =
        sl_tune_exists(tree, "/.dockerenv") || sl_tune_exists(tree, "/run/.containerenv");
    if (sl_tune_read(tree, "/proc/1/environ", text, sizeof(text)) > 0) {
        machine->is_container |= strstr(text, "container=") != NULL;
    }
    if (sl_tune_read(tree, "/proc/1/cgroup", text, sizeof(text)) > 0) {
        machine->is_container |= strstr(text, "docker") != NULL || strstr(text, "kubepods") != NULL;
    }
    machine->has_systemd = sl_tune_exists(tree, "/run/systemd/system");
}

static void power_read(struct sl_tune_machine *machine)
{
    char **names;
    size_t count = sl_tune_list(&machine->tree, "/sys/class/power_supply", 64, &names);
    for (size_t i = 0; i < count; i++) {
        char path[160];
        char type[32];
        char state[32];
        (void)snprintf(path, sizeof(path), "/sys/class/power_supply/%s/type", names[i]);
        if (!sl_tune_read_line(&machine->tree, path, type, sizeof(type))) continue;
        if (strcmp(type, "Battery") != 0) continue;
        machine->is_laptop = true;
        (void)snprintf(path, sizeof(path), "/sys/class/power_supply/%s/status", names[i]);
        machine->on_battery |= sl_tune_read_line(&machine->tree, path, state, sizeof(state)) &&
                               strcmp(state, "Discharging") == 0;
    }
    free(names);
}

void sl_tune_read_system(struct sl_tune_machine *machine)
{
    sl_assert(machine != NULL);
    kernel_read(machine);
    machine->nofile_soft = machine->nofile_hard = -1;
    machine->memlock_soft = machine->memlock_hard = -1;
    limits_read(machine);
    rights_read(machine);
    mounts_read(machine);
    cgroup_read(machine);
    memory_read(machine);
    virtual_read(machine);
    power_read(machine);
}
