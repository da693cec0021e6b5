/* SPDX-License-Identifier: MIT */
#include "tests/ctl/tune/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 512, NODES_MAX = 20000 };

void tree_init(struct tree *tree)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(tree->dir, sizeof(tree->dir), "%s/sluice-tune-XXXXXX", base);
    assert_non_null(mkdtemp(tree->dir));
}

static int node_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tree_fini(struct tree *tree)
{
    (void)nftw(tree->dir, node_remove, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_put(const struct tree *tree, const char *path, const char *fmt, ...)
{
    char full[PATH_SIZE];
    (void)snprintf(full, sizeof(full), "%s%s", tree->dir, path);
    for (char *at = full + strlen(tree->dir) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(file, fmt, args);
    va_end(args);
    assert_int_equal(fclose(file), 0);
}

char *tree_get(const struct tree *tree, const char *path)
{
    char full[PATH_SIZE];
    (void)snprintf(full, sizeof(full), "%s%s", tree->dir, path);
    FILE *file = fopen(full, "re");
    if (file == NULL) return NULL;
    char *text = calloc(1, 65536);
    assert_non_null(text);
    (void)fread(text, 1, 65535, file);
    (void)fclose(file);
    return text;
}

/* ---- trees as text --------------------------------------------------------------------------- */

static char *walk_lines[NODES_MAX];
static size_t walk_count;
static const char *walk_skip;
static size_t walk_prefix;

static int node_read(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)ftw;
    const char *name = path + walk_prefix;
    if (walk_skip != NULL && strncmp(name, walk_skip, strlen(walk_skip)) == 0) return 0;
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    assert_non_null(out);
    (void)fprintf(out, "%s %o ", name, (unsigned)info->st_mode);
    if (type == FTW_F) {
        char data[65536];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? 0 : read(fd, data, sizeof(data));
        if (fd >= 0) (void)close(fd);
        (void)fprintf(out, "%zd ", got);
        if (got > 0) (void)fwrite(data, 1, (size_t)got, out);
    }
    (void)fputc('\n', out);
    (void)fclose(out);
    assert_true(walk_count < NODES_MAX);
    walk_lines[walk_count++] = line;
    return 0;
}

static int lines_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *tree_text(const char *dir, const char *skip)
{
    walk_count = 0;
    walk_skip = skip;
    walk_prefix = strlen(dir);
    assert_int_equal(nftw(dir, node_read, 16, FTW_PHYS), 0);
    qsort(walk_lines, walk_count, sizeof(walk_lines[0]), lines_compare);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (size_t i = 0; i < walk_count; i++) {
        (void)fputs(walk_lines[i], out);
        free(walk_lines[i]);
    }
    (void)fclose(out);
    return text;
}

/* ---- parts of machines ----------------------------------------------------------------------- */

static void put_rights(const struct tree *tree, bool root, bool nice, const char *cpus)
{
    tree_put(tree, "/proc/self/status",
             "Name:\tsluice\nUid:\t%d\t%d\t%d\t%d\nCapEff:\t%016llx\nCpus_allowed_list:\t%s\n",
             root ? 0 : 1000, root ? 0 : 1000, root ? 0 : 1000, root ? 0 : 1000,
             nice ? 1ULL << 23 : 0ULL, cpus);
}

static void put_limits(const struct tree *tree, const char *files, const char *memlock)
{
    tree_put(tree, "/proc/self/limits",
             "Limit                     Soft Limit           Hard Limit           Units     \n"
             "Max open files            1024                 %-20s files     \n"
             "Max locked memory         %-20s %-20s bytes     \n"
             "Max nice priority         0                    0                    \n"
             "Max realtime priority     0                    0                    \n",
             files, memlock, memlock);
}

static void put_kernel(const struct tree *tree, const char *release, int uring_disabled)
{
    tree_put(tree, "/proc/sys/kernel/osrelease", "%s\n", release);
    if (uring_disabled >= 0) {
        tree_put(tree, "/proc/sys/kernel/io_uring_disabled", "%d\n", uring_disabled);
    }
    tree_put(tree, "/proc/sys/net/core/somaxconn", "4096\n");
    tree_put(tree, "/proc/sys/net/core/busy_poll", "0\n");
    tree_put(tree, "/proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n");
    tree_put(tree, "/proc/sys/vm/swappiness", "60\n");
    tree_put(tree, "/proc/sys/fs/nr_open", "1048576\n");
    tree_put(tree, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
}

static void put_cpu(const struct tree *tree, int cpu, int package, int core, const char *siblings)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
    tree_put(tree, path, "%d\n", core);
    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/physical_package_id",
                   cpu);
    tree_put(tree, path, "%d\n", package);
    (void)snprintf(path, sizeof(path),
                   "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    tree_put(tree, path, "%s\n", siblings);
    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index2/size", cpu);
    tree_put(tree, path, "2048K\n");
}

static void put_governor(const struct tree *tree, int cpu, const char *governor)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
                   cpu);
    tree_put(tree, path, "%s\n", governor);
    (void)snprintf(path, sizeof(path),
                   "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_available_governors", cpu);
    tree_put(tree, path, "performance powersave\n");
}

static void put_idle(const struct tree *tree, int cpu, const char *deep, int latency_us)
{
    static const char *const files[] = {"name", "latency", "disable"};
    for (int state = 0; state < 2; state++) {
        const char *name = state == 0 ? "POLL" : deep;
        for (int i = 0; i < 3; i++) {
            char path[PATH_SIZE];
            (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpuidle/state%d/%s",
                           cpu, state, files[i]);
            if (i == 0) tree_put(tree, path, "%s\n", name);
            if (i == 1) tree_put(tree, path, "%d\n", state == 0 ? 0 : latency_us);
            if (i == 2) tree_put(tree, path, "0\n");
        }
    }
}

static void put_simple_cpus(const struct tree *tree, int count)
{
    for (int cpu = 0; cpu < count; cpu++) {
        char self[16];
        (void)snprintf(self, sizeof(self), "%d", cpu);
        put_cpu(tree, cpu, 0, cpu, self);
    }
    if (count == 1) {
        tree_put(tree, "/sys/devices/system/cpu/online", "0\n");
    } else {
        tree_put(tree, "/sys/devices/system/cpu/online", "0-%d\n", count - 1);
    }
}

/* A device with `queues` receive and send queues, on PCI. */
static void put_nic(const struct tree *tree, const char *name, int queues, int node)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/operstate", name);
    tree_put(tree, path, "up\n");
    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/numa_node", name);
    tree_put(tree, path, "%d\n", node);
    for (int i = 0; i < queues; i++) {
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%d/rps_cpus", name, i);
        tree_put(tree, path, "0\n");
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues/tx-%d/xps_cpus", name, i);
        tree_put(tree, path, "0\n");
    }
}

/* Rows of /proc/interrupts for NAME-TxRx-0 …, numbers from `first` on, all on `cores`. */
static void put_irqs(const struct tree *tree, const char *name, int queues, int first, int columns,
                     const char *cores)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    (void)fputs("     ", out);
    for (int i = 0; i < columns; i++) (void)fprintf(out, "       CPU%d", i);
    (void)fputs("\n  8:", out);
    for (int i = 0; i < columns; i++) (void)fprintf(out, " %10d", 0);
    (void)fputs("  IR-IO-APIC    8-edge      rtc0\n", out);
    for (int q = 0; q < queues; q++) {
        char path[PATH_SIZE];
        (void)fprintf(out, "%3d:", first + q);
        for (int i = 0; i < columns; i++) (void)fprintf(out, " %10d", i == q ? 5000 : 3);
        (void)fprintf(out, "  IR-PCI-MSI %d-edge      %s-TxRx-%d\n", 1048576 + q, name, q);
        (void)snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", first + q);
        tree_put(tree, path, "%s\n", cores);
    }
    (void)fputs("NMI:          0   Non-maskable interrupts\nERR:          0\n", out);
    (void)fclose(out);
    tree_put(tree, "/proc/interrupts", "%s", text);
    free(text);
}

/* ---- machines -------------------------------------------------------------------------------- */

void machine_numa(const struct tree *tree)
{
    for (int cpu = 0; cpu < 64; cpu++) {
        char siblings[32];
        (void)snprintf(siblings, sizeof(siblings), "%d,%d", cpu % 32, cpu % 32 + 32);
        put_cpu(tree, cpu, cpu % 32 / 16, cpu % 16, siblings);
        put_governor(tree, cpu, "powersave");
        put_idle(tree, cpu, "C6", 133);
    }
    tree_put(tree, "/sys/devices/system/cpu/online", "0-63\n");
    tree_put(tree, "/sys/devices/system/cpu/isolated", "\n");
    tree_put(tree, "/sys/devices/system/node/node0/cpulist", "0-15,32-47\n");
    tree_put(tree, "/sys/devices/system/node/node1/cpulist", "16-31,48-63\n");
    put_kernel(tree, "6.1.0-18-amd64", 0);
    tree_put(tree, "/proc/sys/kernel/numa_balancing", "1\n");
    tree_put(tree, "/proc/sys/net/core/somaxconn", "128\n");
    tree_put(tree, "/proc/meminfo", "MemTotal:       263815704 kB\nMemFree: 1 kB\n");
    tree_put(tree, "/proc/swaps",
             "Filename Type Size Used Priority\n/dev/sda2 partition 8388604 0 -2\n");
    put_nic(tree, "eth0", 32, 1);
    put_irqs(tree, "eth0", 32, 100, 64, "0-63");
    put_rights(tree, true, true, "0-63");
    put_limits(tree, "524288", "8388608");
}

void machine_container(const struct tree *tree)
{
    put_simple_cpus(tree, 8);
    put_kernel(tree, "6.6.13-cloud", 0);
    tree_put(tree, "/proc/sys/net/core/somaxconn", "128\n");
    tree_put(tree, "/proc/self/cgroup", "0::/\n");
    tree_put(tree, "/sys/fs/cgroup/cpu.max", "250000 100000\n");
    tree_put(tree, "/sys/fs/cgroup/cpu.stat", "usage_usec 1\nnr_periods 900\nnr_throttled 41\n");
    tree_put(tree, "/sys/fs/cgroup/memory.max", "536870912\n");
    tree_put(tree, "/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
    tree_put(tree, "/proc/self/mounts",
             "proc /proc proc rw,nosuid 0 0\nproc /proc/sys proc ro,nosuid 0 0\n"
             "sysfs /sys sysfs ro,nosuid 0 0\n");
    tree_put(tree, "/proc/meminfo", "MemTotal:       32768000 kB\n");
    tree_put(tree, "/.dockerenv", "%s", "");
    put_rights(tree, true, false, "0-7");
    put_limits(tree, "1048576", "8388608");
}

void machine_laptop(const struct tree *tree)
{
    for (int cpu = 0; cpu < 12; cpu++) {
        char siblings[32];
        char path[PATH_SIZE];
        bool fast = cpu < 8;
        (void)snprintf(siblings, sizeof(siblings), fast ? "%d-%d" : "%d", fast ? cpu & ~1 : cpu,
                       cpu | 1);
        put_cpu(tree, cpu, 0, fast ? cpu / 2 : cpu, siblings);
        put_governor(tree, cpu, "powersave");
        put_idle(tree, cpu, "C10", 890);
        (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq",
                       cpu);
        tree_put(tree, path, "%d\n", fast ? 4700000 : 3300000);
        (void)snprintf(path, sizeof(path),
                       "/sys/devices/system/cpu/cpu%d/cpufreq/energy_performance_preference", cpu);
        tree_put(tree, path, "balance_power\n");
    }
    tree_put(tree, "/sys/devices/system/cpu/online", "0-11\n");
    tree_put(tree, "/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
    tree_put(tree, "/sys/class/power_supply/BAT0/type", "Battery\n");
    tree_put(tree, "/sys/class/power_supply/BAT0/status", "Discharging\n");
    put_kernel(tree, "6.8.0-40-generic", 0);
    tree_put(tree, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    tree_put(tree, "/proc/meminfo", "MemTotal:       32768000 kB\n");
    put_nic(tree, "wlan0", 1, -1);
    put_rights(tree, false, false, "0-11");
    put_limits(tree, "1048576", "8388608");
}

void machine_small(const struct tree *tree)
{
    put_simple_cpus(tree, 1);
    put_kernel(tree, "6.1.0-18-cloud-amd64", -1);
    tree_put(tree, "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n");
    tree_put(tree, "/proc/stat", "cpu  100000 0 50000 800000 100 0 2000 8000 0 0\n");
    tree_put(tree, "/sys/class/dmi/id/sys_vendor", "QEMU\n");
    tree_put(tree, "/proc/meminfo", "MemTotal:         491520 kB\n");
    tree_put(tree, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n");
    tree_put(tree, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
             "tsc acpi_pm\n");
    put_nic(tree, "eth0", 1, -1);
    put_irqs(tree, "eth0", 1, 24, 1, "0");
    put_rights(tree, true, true, "0");
    put_limits(tree, "1048576", "8388608");
}

void machine_old(const struct tree *tree)
{
    put_simple_cpus(tree, 2);
    put_kernel(tree, "5.4.0-150-generic", -1);
    tree_put(tree, "/proc/sys/net/core/somaxconn", "128\n");
    tree_put(tree, "/proc/meminfo", "MemTotal:       16384000 kB\n");
    put_nic(tree, "eno1", 4, -1);
    put_rights(tree, false, false, "0-1");
    put_limits(tree, "4096", "65536");
}

void machine_disabled(const struct tree *tree)
{
    put_simple_cpus(tree, 4);
    put_kernel(tree, "6.6.13", 2);
    tree_put(tree, "/proc/meminfo", "MemTotal:       16384000 kB\n");
    put_nic(tree, "eth0", 1, -1);
    put_irqs(tree, "eth0", 1, 40, 4, "2");
    tree_put(tree, "/run/irqbalance/irqbalance1.sock", "%s", "");
    put_rights(tree, true, true, "0-3");
    put_limits(tree, "1048576", "8388608");
}

const struct machine_named machines[] = {
    {"numa", machine_numa},     {"container", machine_container},
    {"laptop", machine_laptop}, {"small", machine_small},
    {"old", machine_old},       {"disabled", machine_disabled},
};
const size_t machines_count = sizeof(machines) / sizeof(machines[0]);

/* ---- plans ----------------------------------------------------------------------------------- */

const char *option_default(void *ctx, const char *key)
{
    static const struct {
        const char *key;
        const char *value;
    } defaults[] = {{"cores", "auto"},   {"control-core", "none"}, {"spin", "0"},
                    {"batch", "0"},      {"buffers", "256"},       {"buffer-size", "16384"},
                    {"backlog", "4096"}, {"priority", "normal"},   {"memory", "4096"},
                    {"poller", "auto"}};
    (void)ctx;
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (strcmp(defaults[i].key, key) == 0) return defaults[i].value;
    }
    fail_msg("no default for %s", key);
    return "";
}

char *plan_text(const struct sl_tune_plan *plan)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        const struct sl_tune_proposal *p = &plan->proposals[i];
        (void)fprintf(out, "%s: %s -> %s [%s, %s%s]\n", p->key, p->now, p->want,
                      sl_tune_where_text(p->where), sl_tune_may_text(p->may),
                      p->needs_proof ? ", proof" : "");
    }
    for (uint32_t i = 0; i < plan->left_count; i++) {
        (void)fprintf(out, "left %s\n", plan->left[i].rule);
    }
    (void)fclose(out);
    return text;
}
