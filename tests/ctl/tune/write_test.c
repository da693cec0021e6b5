/* SPDX-License-Identifier: MIT */
/* The files that are written: sluice.yaml around what a person wrote, and those of the system. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ctl/tune/fixture.h"

#include "ctl/tune/write.h"

static struct tree tree;
static struct sl_tune_machine *machine;
static struct sl_tune_plan *plan;
static struct sl_tune_choices choices;

static int setup(void **state)
{
    (void)state;
    tree_init(&tree);
    machine_numa(&tree);
    machine = sl_tune_machine_read(tree.dir);
    plan = sl_tune_plan_new(machine, option_default, NULL);
    choices.count = 0;
    return plan != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    plan = sl_tune_plan_free(plan);
    machine = sl_tune_machine_free(machine);
    tree_fini(&tree);
    return 0;
}

static void choose(const char *rule, const char *value, const char *measured)
{
    const struct sl_tune_proposal *proposal = sl_tune_plan_find(plan, rule);
    assert_non_null(proposal);
    sl_tune_choices_add(&choices, proposal, value != NULL ? value : proposal->want, measured);
}

/* The file made of `old`; freed by the caller. */
static char *yaml(const char *old)
{
    char *text = NULL;
    size_t size = 0;
    struct sl_diag diag = {0};
    int r =
        sl_tune_yaml(&choices, machine, old, old != NULL ? strlen(old) : 0, &text, &size, &diag);
    if (r < 0) fail_msg("%s", diag.text);
    assert_int_equal(strlen(text), size);
    return text;
}

static void yaml_new_has_values_with_why_and_measured(void **state)
{
    (void)state;
    choose("cores", NULL, "");
    choose("spin", "20us", "p50 x0.81 (0.78-0.84)");
    choose("somaxconn", NULL, "");
    char *text = yaml(NULL);
    assert_string_equal(text,
                        "# >>> sluice tune: made for this machine (64 cores, kernel "
                        "6.1.0-18-amd64); write around it, "
                        "not into it\n"
                        "# memory node 1 only, the network's: no remote memory; one shard a "
                        "physical core: SMT siblings "
                        "share its units; one core for control and interrupts\n"
                        "# not measured; expected: shards do not share a core's units, or remote "
                        "memory, or a quota\n"
                        "cores: '17-31'\n"
                        "# a shard that sleeps is woken by the kernel: an interrupt, a switch\n"
                        "# measured: p50 x0.81 (0.78-0.84)\n"
                        "spin: '20us'\n"
                        "# <<< sluice tune\n");
    free(text);
}

static void yaml_old_keeps_the_rest_and_comments_out_the_same_keys(void **state)
{
    (void)state;
    choose("spin", "20us", "");
    choose("buffers", NULL, "");
    char *text =
        yaml("data: /srv # mine\nspin: 5\nbuffer_size : 99999\nspin-off: 1\nlist:\n  - spin: 1");
    assert_non_null(strstr(text,
                           "data: /srv # mine\n# before tune: spin: 5\n"
                           "# before tune: buffer_size : 99999\nspin-off: 1\nlist:\n  - spin: 1\n"
                           "# >>> sluice tune"));
    free(text);
}

static void yaml_again_replaces_the_block(void **state)
{
    (void)state;
    choose("spin", "20us", "");
    char *first = yaml("data: x\n");
    char *second = yaml(first);
    assert_string_equal(first, second);
    choices.count = 0;
    choose("batch", NULL, "");
    char *third = yaml(first);
    assert_null(strstr(third, "spin"));
    assert_non_null(strstr(third, "batch: '32'"));
    free(first);
    free(second);
    free(third);
}

static void yaml_that_cannot_take_a_block_is_refused(void **state)
{
    static const char *const olds[] = {"{data: x}\n", "- a\n- b\n", "just text\n", "a: [1\n"};
    (void)state;
    choose("spin", "20us", "");
    for (size_t i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
        char *text = NULL;
        size_t size;
        struct sl_diag diag = {0};
        assert_int_equal(
            sl_tune_yaml(&choices, machine, olds[i], strlen(olds[i]), &text, &size, &diag),
            -EINVAL);
        assert_string_equal(diag.code, "bad_config");
    }
}

static const struct sl_tune_file *file_find(const struct sl_tune_file *files, uint32_t count,
                                            const char *path)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(files[i].path, path) == 0) return &files[i];
    }
    fail_msg("no %s", path);
    return NULL;
}

static void files_hold_each_setting_where_it_belongs(void **state)
{
    struct sl_tune_file files[SL_TUNE_FILES_MAX];
    (void)state;
    choose("cores", NULL, "");
    choose("priority", NULL, "");
    choose("governor", NULL, "CPU x0.9");
    choose("somaxconn", NULL, "");
    choose("nofile", NULL, "");
    choose("isolate", NULL, "");
    uint32_t count = sl_tune_files(&choices, &plan->layout, files);
    assert_int_equal(count, 4);
    const char *text = file_find(files, count, "/etc/sysctl.d/60-sluice.conf")->text;
    assert_non_null(strstr(text, "\nnet.core.somaxconn = 4096\n"));
    text = file_find(files, count, "/etc/tmpfiles.d/60-sluice.conf")->text;
    assert_non_null(strstr(text, "# measured: CPU x0.9\n"));
    assert_non_null(strstr(
        text, "\nw- /sys/devices/system/cpu/cpu31/cpufreq/scaling_governor - - - - performance\n"));
    assert_null(strstr(text, "cpu32/"));
    text = file_find(files, count, "/etc/systemd/system/sluice.service.d/60-tune.conf")->text;
    assert_non_null(strstr(text, "[Service]\n"));
    assert_non_null(strstr(text, "\nCPUAffinity=16-31\n"));
    assert_non_null(strstr(text, "\nLimitNICE=-10\n"));
    assert_non_null(strstr(text, "\nLimitNOFILE=1048576\n"));
    text = file_find(files, count, "/etc/default/grub.d/60-sluice.cfg")->text;
    assert_non_null(
        strstr(text, "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT isolcpus="));
    sl_tune_files_fini(files, count);
}

static void files_of_nothing_are_none(void **state)
{
    struct sl_tune_file files[SL_TUNE_FILES_MAX];
    (void)state;
    choose("spin", NULL, "");
    assert_int_equal(sl_tune_files(&choices, &plan->layout, files), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(yaml_new_has_values_with_why_and_measured),
        T(yaml_old_keeps_the_rest_and_comments_out_the_same_keys),
        T(yaml_again_replaces_the_block),
        T(yaml_that_cannot_take_a_block_is_refused),
        T(files_hold_each_setting_where_it_belongs),
        T(files_of_nothing_are_none),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
