/* SPDX-License-Identifier: MIT */
/* What is proposed for each machine, word for word; and machines whose files are nonsense. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ctl/tune/fixture.h"

static struct tree tree;

static int setup(void **state)
{
    (void)state;
    tree_init(&tree);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tree_fini(&tree);
    return 0;
}

/* The plan of the machine in the tree is this text. */
static void plan_is(const char *expected)
{
    struct sl_tune_machine *machine = sl_tune_machine_read(tree.dir);
    assert_non_null(machine);
    struct sl_tune_plan *plan = sl_tune_plan_new(machine, option_default, NULL);
    assert_non_null(plan);
    char *text = plan_text(plan);
    assert_string_equal(text, expected);
    free(text);
    (void)sl_tune_plan_free(plan);
    (void)sl_tune_machine_free(machine);
}

static void plan_of_a_numa_machine_is_as_expected(void **state)
{
    (void)state;
    machine_numa(&tree);
    plan_is("cores: auto -> 17-31 [sluice.yaml, yes]\n"
            "control-core: none -> 16 [sluice.yaml, yes]\n"
            "spin: 0 -> 50us [sluice.yaml, yes, proof]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "priority: normal -> -10 [sluice.yaml, yes, proof]\n"
            "scaling_governor: powersave -> performance [sysfs, yes]\n"
            "cpuidle/disable: C6 (133 us) allowed -> no state that takes over 20 us to leave "
            "[sysfs, yes]\n"
            "smp_affinity_list: 32 interrupts of eth0 elsewhere, the first on 0-63 -> each queue "
            "on the core of its shard [sysfs, yes]\n"
            "xps_cpus: no queue has a core -> a send queue for each shard's core [sysfs, yes]\n"
            "net.core.somaxconn: 128 -> 4096 [sysctl, yes]\n"
            "LimitNOFILE: 524288 -> 1048576 [systemd unit, from the next start on]\n"
            "kernel.numa_balancing: 1 -> 0 [sysctl, yes]\n"
            "vm.swappiness: 60 -> 10 [sysctl, yes]\n"
            "isolcpus: not set -> isolcpus=managed_irq,domain,17-31 nohz_full=17-31 "
            "rcu_nocbs=17-31 [kernel command line, from the next start on, proof]\n"
            "left busy-poll\n"
            "left memlock\n");
}

static void plan_of_a_container_is_as_expected(void **state)
{
    (void)state;
    machine_container(&tree);
    plan_is("cpuset instead of quota: 2.50 cores' time in each period -> 2 whole cores [outside, "
            "not from inside]\n"
            "cores: auto -> 0-1 [sluice.yaml, yes]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "memory: 4096 -> 204 [sluice.yaml, yes]\n"
            "net.core.somaxconn: 128 -> 4096 [sysctl, read-only here]\n"
            "left control\n"
            "left spin\n"
            "left priority\n"
            "left busy-poll\n"
            "left memlock\n"
            "left isolate\n");
}

static void plan_of_a_laptop_is_as_expected(void **state)
{
    (void)state;
    machine_laptop(&tree);
    plan_is("cores: auto -> 2,4,6 [sluice.yaml, yes]\n"
            "control-core: none -> 0 [sluice.yaml, yes]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "scaling_governor: powersave -> performance [sysfs, as root]\n"
            "no_turbo: 1 -> 0 [sysfs, as root, proof]\n"
            "rps_cpus: 0 -> 54 [sysfs, as root, proof]\n"
            "transparent_hugepage: always -> madvise [sysfs, as root]\n"
            "left spin\n"
            "left priority\n"
            "left preference\n"
            "left idle\n"
            "left busy-poll\n"
            "left memlock\n"
            "left isolate\n");
}

static void plan_of_a_small_machine_is_as_expected(void **state)
{
    (void)state;
    machine_small(&tree);
    plan_is("dedicated cores: 5.0 % of the wanted time stolen -> virtual cores that are not shared "
            "[outside, not from inside]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "priority: normal -> -10 [sluice.yaml, yes, proof]\n"
            "memory: 4096 -> 384 [sluice.yaml, yes]\n"
            "current_clocksource: acpi_pm -> tsc [sysfs, yes]\n"
            "left cores\n"
            "left control\n"
            "left spin\n"
            "left irqs\n"
            "left busy-poll\n"
            "left memlock\n"
            "left isolate\n");
}

static void plan_of_an_old_kernel_is_as_expected(void **state)
{
    (void)state;
    machine_old(&tree);
    plan_is("kernel: 5.4.0-150-generic -> 6.1 or newer [outside, not from inside]\n"
            "spin: 0 -> 50us [sluice.yaml, yes, proof]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "xps_cpus: no queue has a core -> a send queue for each shard's core [sysfs, as root]\n"
            "net.core.busy_poll: 0 -> 50 [sysctl, as root, proof]\n"
            "net.core.somaxconn: 128 -> 4096 [sysctl, as root]\n"
            "LimitNOFILE: 4096 -> 196608 [systemd unit, from the next start on]\n"
            "left cores\n"
            "left control\n"
            "left priority\n"
            "left memlock\n"
            "left isolate\n");
}

static void plan_with_io_uring_disabled_is_as_expected(void **state)
{
    (void)state;
    machine_disabled(&tree);
    plan_is("kernel.io_uring_disabled: 2 -> 0 [sysctl, yes, proof]\n"
            "control-core: none -> 2 [sluice.yaml, yes]\n"
            "spin: 0 -> 50us [sluice.yaml, yes, proof]\n"
            "batch: 0 -> 32 [sluice.yaml, yes, proof]\n"
            "buffer-size: 16384 -> 4096 [sluice.yaml, yes, proof]\n"
            "priority: normal -> -10 [sluice.yaml, yes, proof]\n"
            "rps_cpus: 0 -> b [sysfs, yes, proof]\n"
            "net.core.busy_poll: 0 -> 50 [sysctl, yes, proof]\n"
            "left cores\n"
            "left memlock\n"
            "left isolate\n");
}

static const char *option_tuned(void *ctx, const char *key)
{
    return strcmp(key, "control-core") == 0 ? "2" : option_default(ctx, key);
}

static void plan_of_a_tuned_machine_has_nothing_by_reason(void **state)
{
    (void)state;
    machine_disabled(&tree);
    tree_put(&tree, "/proc/sys/kernel/io_uring_disabled", "0\n");
    struct sl_tune_machine *machine = sl_tune_machine_read(tree.dir);
    struct sl_tune_plan *plan = sl_tune_plan_new(machine, option_tuned, NULL);
    assert_non_null(plan);
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        assert_true(plan->proposals[i].needs_proof);
    }
    assert_null(sl_tune_plan_find(plan, "cores"));
    assert_non_null(sl_tune_plan_find(plan, "spin"));
    (void)sl_tune_plan_free(plan);
    (void)sl_tune_machine_free(machine);
}

/* ---- layouts --------------------------------------------------------------------------------- */

static void layout_is(const char *shards, int control)
{
    struct sl_tune_machine *machine = sl_tune_machine_read(tree.dir);
    struct sl_tune_layout layout;
    char text[256];
    assert_non_null(machine);
    sl_tune_layout(machine, &layout);
    sl_tune_cpus_format(&layout.shards, text, sizeof(text));
    assert_string_equal(text, shards);
    assert_int_equal(layout.control, control);
    assert_int_equal(layout.shards_count, CPU_COUNT(&layout.shards));
    (void)sl_tune_machine_free(machine);
}

static void layout_isolated_cores_become_shards(void **state)
{
    (void)state;
    machine_numa(&tree);
    tree_put(&tree, "/sys/devices/system/cpu/isolated", "20-23,52-55\n");
    layout_is("20-23", 0);
}

static void layout_affinity_is_kept(void **state)
{
    (void)state;
    machine_numa(&tree);
    tree_put(&tree, "/proc/self/status", "Uid:\t0\t0\t0\t0\nCpus_allowed_list:\t4-6\n");
    layout_is("4-6", -1);
}

static void layout_control_takes_the_core_of_the_interrupts(void **state)
{
    (void)state;
    machine_disabled(&tree);
    layout_is("0-1,3", 2);
}

static void layout_quota_below_one_core_is_one_shard(void **state)
{
    (void)state;
    machine_container(&tree);
    tree_put(&tree, "/sys/fs/cgroup/cpu.max", "50000 100000\n");
    layout_is("0", -1);
}

static void layout_nearest_quota_of_the_cgroups_above_counts(void **state)
{
    (void)state;
    machine_container(&tree);
    tree_put(&tree, "/proc/self/cgroup", "0::/a/b\n");
    tree_put(&tree, "/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    tree_put(&tree, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    layout_is("0", -1);
}

static void layout_quota_of_version_1_counts(void **state)
{
    (void)state;
    machine_container(&tree);
    tree_put(&tree, "/proc/self/cgroup", "3:memory:/m\n2:cpu,cpuacct:/x\n1:name=systemd:/\n");
    tree_put(&tree, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "150000\n");
    tree_put(&tree, "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "50000\n");
    layout_is("0-2", -1);
}

/* ---- nonsense -------------------------------------------------------------------------------- */

static const char *nonsense_text;
static size_t nonsense_size;

static int node_spoil(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)ftw;
    if (type != FTW_F) return 0;
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, nonsense_text, nonsense_size), nonsense_size);
    (void)close(fd);
    return 0;
}

static void fact_count(void *ctx, const char *area, const char *name, const char *text)
{
    uint32_t *count = ctx;
    assert_non_null(area);
    assert_non_null(name);
    assert_non_null(text);
    (*count)++;
}

/* It can be read, told and planned for; there is always a core for a shard. */
static void machine_survives(void)
{
    struct sl_tune_machine *machine = sl_tune_machine_read(tree.dir);
    uint32_t facts = 0;
    assert_non_null(machine);
    sl_tune_machine_facts(machine, fact_count, &facts);
    assert_in_range(facts, 10, 5000);
    struct sl_tune_plan *plan = sl_tune_plan_new(machine, option_default, NULL);
    assert_non_null(plan);
    assert_in_range(plan->layout.shards_count, 1, 64);
    (void)sl_tune_plan_free(plan);
    (void)sl_tune_machine_free(machine);
}

static void machine_of_nonsense_files_is_survived(void **state)
{
    static char long_line[20000];
    static char noise[5000];
    const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"", sizeof("") - 1},
        {"\n", sizeof("\n") - 1},
        {"\0\0\0\0", sizeof("\0\0\0\0") - 1},
        {"-1\n", sizeof("-1\n") - 1},
        {"0-\n", sizeof("0-\n") - 1},
        {"99999999999999999999\n", sizeof("99999999999999999999\n") - 1},
        {"0-99999999\n", sizeof("0-99999999\n") - 1},
        {"1,2,3,,\n", sizeof("1,2,3,,\n") - 1},
        {"max max\n", sizeof("max max\n") - 1},
        {"[[[[\n", sizeof("[[[[\n") - 1},
        {":::::\n", sizeof(":::::\n") - 1},
        {"CPU0\n 1: 2 3 4\n 99999999999: 1 x\n 5: 18446744073709551615 eth0\n",
         sizeof("CPU0\n 1: 2 3 4\n 99999999999: 1 x\n 5: 18446744073709551615 eth0\n") - 1},
        {"cpu -1 -1 -1 -1 -1 -1 -1 -1\n", sizeof("cpu -1 -1 -1 -1 -1 -1 -1 -1\n") - 1},
        {"Uid:\nCapEff:\tzz\nCpus_allowed_list:\t9-3\n",
         sizeof("Uid:\nCapEff:\tzz\nCpus_allowed_list:\t9-3\n") - 1},
        {"Max open files unlimited\nMax locked memory x y\n",
         sizeof("Max open files unlimited\nMax locked memory x y\n") - 1},
        {"0::\n1:cpu\n2:cpu:\n:::/\n", sizeof("0::\n1:cpu\n2:cpu:\n:::/\n") - 1},
        {long_line, sizeof(long_line)},
        {noise, sizeof(noise)},
    };
    (void)state;
    memset(long_line, '7', sizeof(long_line));
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        random = random * 1664525 + 1013904223;
        noise[i] = (char)(random >> 24);
    }
    for (size_t m = 0; m < machines_count; m++) {
        machines[m].make(&tree);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            nonsense_text = cases[i].text;
            nonsense_size = cases[i].size;
            assert_int_equal(nftw(tree.dir, node_spoil, 16, FTW_PHYS), 0);
            machine_survives();
        }
        tree_fini(&tree);
        tree_init(&tree);
    }
}

static void machine_of_nothing_is_survived(void **state)
{
    (void)state;
    machine_survives();
    tree_put(&tree, "/proc", "a file where a folder should be\n");
    tree_put(&tree, "/sys/devices/system/cpu/online/x", "a folder where a file should be\n");
    machine_survives();
}

/* ---- parsing --------------------------------------------------------------------------------- */

static void cpus_parse_and_format_are_inverse(void **state)
{
    static const char *const good[] = {"0", "0-3", "0-3,8", "1,3,5-7,1023", ""};
    static const char *const bad[] = {"-",  "a",  "1-",   "3-1", "1024",
                                      "1,", ",1", "1,,2", "0 1", "0-1-2"};
    char text[256];
    cpu_set_t set;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(sl_tune_cpus_parse(good[i], &set));
        sl_tune_cpus_format(&set, text, sizeof(text));
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(sl_tune_cpus_parse(bad[i], &set));
    }
}

static void mask_parse_and_format_are_inverse(void **state)
{
    static const char *const good[] = {"0", "1", "ff", "1,0000000f", "80000000,00000000"};
    char text[512];
    cpu_set_t set;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(sl_tune_mask_parse(good[i], &set));
        sl_tune_mask_format(&set, text, sizeof(text));
        assert_string_equal(text, good[i]);
    }
    assert_false(sl_tune_mask_parse("", &set));
    assert_false(sl_tune_mask_parse("xyz", &set));
    memset(text, 'f', 300);
    text[300] = '\0';
    assert_false(sl_tune_mask_parse(text, &set));
}

static void irq_line_gives_number_count_and_name(void **state)
{
    uint32_t number;
    uint64_t count;
    char name[48];
    (void)state;
    assert_true(sl_tune_irq_parse(" 38:  7  9255 PCI-MSIX-0000:00:03.0   1-edge  virtio2-input.0\n",
                                  2, &number, &count, name, sizeof(name)));
    assert_int_equal(number, 38);
    assert_int_equal(count, 9262);
    assert_string_equal(name, "virtio2-input.0");
    assert_false(sl_tune_irq_parse("NMI: 1 2 Non-maskable\n", 2, &number, &count, name, 48));
    assert_false(sl_tune_irq_parse(" 38: 7\n", 2, &number, &count, name, sizeof(name)));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(plan_of_a_numa_machine_is_as_expected),
        T(plan_of_a_container_is_as_expected),
        T(plan_of_a_laptop_is_as_expected),
        T(plan_of_a_small_machine_is_as_expected),
        T(plan_of_an_old_kernel_is_as_expected),
        T(plan_with_io_uring_disabled_is_as_expected),
        T(plan_of_a_tuned_machine_has_nothing_by_reason),
        T(layout_isolated_cores_become_shards),
        T(layout_affinity_is_kept),
        T(layout_control_takes_the_core_of_the_interrupts),
        T(layout_quota_below_one_core_is_one_shard),
        T(layout_nearest_quota_of_the_cgroups_above_counts),
        T(layout_quota_of_version_1_counts),
        T(machine_of_nonsense_files_is_survived),
        T(machine_of_nothing_is_survived),
        T(cpus_parse_and_format_are_inverse),
        T(mask_parse_and_format_are_inverse),
        T(irq_line_gives_number_count_and_name),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
