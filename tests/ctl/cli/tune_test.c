/* SPDX-License-Identifier: MIT */
/* `sluice tune`, run as a program, on trees that stand for machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ctl/cli/fixture.h"
#include "tests/ctl/tune/fixture.h"

static const char *program;
static struct tree tree;

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, program);
    tree_init(&tree);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    tree_fini(&tree);
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void tune_tells_machine_proposals_and_what_is_left(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    assert_int_equal(run(fixture, "tune --root %s", tree.dir), 0);
    assert_true(contains(fixture->run.out, "physical             32, with SMT siblings"));
    assert_true(contains(fixture->run.out, "irq 100              eth0-TxRx-0, cores 0-63"));
    assert_true(contains(fixture->run.out, ". cores: auto -> 17-31\n"));
    assert_true(contains(fixture->run.out, "may we  from the next start on"));
    assert_true(contains(fixture->run.out, "left alone\n"));
    assert_int_equal(run(fixture, "tune --root %s --format json", tree.dir), 0);
    assert_true(contains(fixture->run.out, "\"rule\": \"governor\""));
    assert_true(contains(fixture->run.out, "\"path\": \"/proc/sys/net/core/somaxconn\""));
    assert_int_equal(run(fixture, "tune --root %s --format json >out.json; %s eval --json out.json",
                         tree.dir, program),
                     0);
}

static void tune_looks_at_the_configuration_that_is_there(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    file_put(fixture, "sluice.yaml", "cores: '17-31'\ncontrol-core: 16\n");
    /* The file is of that machine, not of this one: it is not checked against our cores. */
    assert_int_equal(run(fixture, "tune --root %s", tree.dir), 0);
    assert_true(contains(fixture->run.out, "17-31 is already what it should be"));
    file_put(fixture, "sluice.yaml", "cors: '17-31'\n");
    assert_int_equal(run(fixture, "tune --root %s", tree.dir), 2);
    assert_true(contains(fixture->run.err, "sluice.yaml:1:1: error: unknown key \"cors\""));
}

static void tune_apply_then_revert_brings_back_every_byte(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    char *before = tree_text(tree.dir, NULL);
    assert_int_equal(run(fixture,
                         "tune --root %s --state state --apply --persist %s/new --write "
                         "sluice.yaml",
                         tree.dir, tree.dir),
                     0);
    assert_true(contains(fixture->run.out, "set /proc/sys/net/core/somaxconn to 4096"));
    assert_true(contains(fixture->run.out, "written sluice.yaml"));
    char *governor = tree_get(&tree, "/sys/devices/system/cpu/cpu20/cpufreq/scaling_governor");
    assert_string_equal(governor, "performance");
    free(governor);
    free(tree_get(&tree, "/new/etc/sysctl.d/60-sluice.conf"));
    assert_int_equal(run(fixture, "tune --root %s --state state --revert", tree.dir), 0);
    assert_true(contains(fixture->run.out, "restored /proc/sys/net/core/somaxconn"));
    char *after = tree_text(tree.dir, NULL);
    assert_string_equal(before, after);
    assert_int_equal(run(fixture, "version >/dev/null; ls"), 0);
    assert_null(strstr(fixture->run.out, "sluice.yaml"));
    assert_int_equal(run(fixture, "tune --root %s --state state --revert", tree.dir), 0);
    assert_true(contains(fixture->run.out, "nothing to restore"));
    free(before);
    free(after);
}

static void tune_write_makes_a_file_that_start_takes(void **state)
{
    struct fixture *fixture = *state;
    machine_container(&tree);
    file_put(fixture, "sluice.yaml", "memory: 4096\nstall: 50ms\n");
    assert_int_equal(run(fixture,
                         "tune --root %s --state state --only memory --only batch --write "
                         "sluice.yaml",
                         tree.dir),
                     0);
    assert_true(contains(fixture->run.out, "what was there:"));
    assert_int_equal(run(fixture, "check --config"), 0);
    assert_true(contains(fixture->run.out, "memory             204      file"));
    assert_true(contains(fixture->run.out, "batch              32       file"));
    assert_true(contains(fixture->run.out, "stall              50ms     file"));
}

static void tune_dry_run_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    file_put(fixture, "sluice.yaml", "stall: 50ms\n");
    char *before = tree_text(tree.dir, NULL);
    char *dir_before = tree_text(fixture->dir, "/.");
    assert_int_equal(run(fixture,
                         "tune --root %s --state state --dry-run --apply --persist %s --write "
                         "sluice.yaml",
                         tree.dir, tree.dir),
                     0);
    assert_true(contains(fixture->run.out, "would have set /proc/sys/net/core/somaxconn to 4096"));
    assert_true(contains(fixture->run.out, "would have written sluice.yaml"));
    char *after = tree_text(tree.dir, NULL);
    char *dir_after = tree_text(fixture->dir, "/.");
    assert_string_equal(before, after);
    assert_string_equal(dir_before, dir_after);
    free(before);
    free(after);
    free(dir_before);
    free(dir_after);
}

/* No call of the kernel that could change a file, but writing to what is open already. (The
 * runtime of ThreadSanitizer makes and removes a file of its own before main.) */
static void tune_dry_run_makes_no_changing_system_call(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    if (run(fixture, "version >/dev/null; strace -o probe true") != 0) skip();
    (void)run(
        fixture,
        "version >/dev/null; strace -f -o trace -e trace=%%file,flock,ftruncate %s tune --root %s "
        "--state state --dry-run --apply --write sluice.yaml --persist %s; "
        "strace -f -o trace2 -e trace=%%file,flock,ftruncate %s tune --dry-run --apply; "
        "cat trace trace2",
        program, tree.dir, tree.dir, program);
    assert_true(contains(fixture->run.out, "scaling_governor"));
    assert_int_equal(run(fixture,
                         "version >/dev/null; cat trace trace2 | grep -v '= -1 E' | grep -v "
                         "-e '/dev/null' -e '/tsan.rodata' | grep -E "
                         "'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|^[0-9]+ "
                         "+(rename|unlink|link|symlink|mkdir|rmdir|f?chmod|"
                         "f?chown|lchown|f?truncate|mknod|utime|futimes|l?setxattr|mount|flock)'"),
                     1);
    assert_string_equal(fixture->run.out, "");
}

static void tune_without_root_says_what_it_may_not(void **state)
{
    struct fixture *fixture = *state;
    machine_laptop(&tree);
    char *before = tree_text(tree.dir, NULL);
    assert_int_equal(run(fixture, "tune --root %s --state state --apply", tree.dir), 0);
    assert_true(contains(fixture->run.out, "may we  as root"));
    assert_true(contains(fixture->run.out, "left scaling_governor as it is: only root may set it"));
    char *after = tree_text(tree.dir, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    machine_container(&tree);
    assert_int_equal(run(fixture, "tune --root %s --state state --apply", tree.dir), 0);
    assert_true(
        contains(fixture->run.out, "left net.core.somaxconn as it is: it is read-only here"));
}

static void tune_wrong_words_are_told(void **state)
{
    struct fixture *fixture = *state;
    machine_numa(&tree);
    assert_int_equal(run(fixture, "tune --root %s --only govenor", tree.dir), 2);
    assert_true(contains(fixture->run.err, "did you mean \"governor\"?"));
    file_put(fixture, "list.yaml", "- a\n");
    assert_int_equal(run(fixture, "tune --root %s --state state --write list.yaml", tree.dir), 1);
    assert_true(contains(fixture->run.err, "cannot take a block"));
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    program = argv[1];
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(tune_tells_machine_proposals_and_what_is_left),
        T(tune_looks_at_the_configuration_that_is_there),
        T(tune_apply_then_revert_brings_back_every_byte),
        T(tune_write_makes_a_file_that_start_takes),
        T(tune_dry_run_changes_nothing),
        T(tune_dry_run_makes_no_changing_system_call),
        T(tune_without_root_says_what_it_may_not),
        T(tune_wrong_words_are_told),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
