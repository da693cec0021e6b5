/* SPDX-License-Identifier: MIT */
/* Components: levels, sealing, freezing, stopping, and what is refused by name. */
#include "ctl/boot/boot.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What happened, in order: "+a" loaded, "*a" started, "-a" stopped. */
static char story[256];

struct part {
    char name;
    bool load_fails;
    bool start_fails;
    bool stop_late;
};

static void tell(char what, const struct part *part)
{
    size_t used = strlen(story);
    (void)snprintf(story + used, sizeof(story) - used, "%c%c ", what, part->name);
}

static int part_load(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct part *part = ctx;
    (void)boot;
    if (part->load_fails) {
        (void)sl_diag_set(reterr, "no_luck", (struct sl_pos){0, 0}, "part %c fails", part->name);
        return -EIO;
    }
    tell('+', part);
    return 0;
}

static int part_start(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    struct part *part = ctx;
    (void)boot;
    (void)reterr;
    if (part->start_fails) return -EIO;
    tell('*', part);
    return 0;
}

static int part_stop(struct sl_boot *boot, void *ctx, uint64_t deadline_ns)
{
    struct part *part = ctx;
    (void)boot;
    (void)deadline_ns;
    tell('-', part);
    return part->stop_late ? -ETIMEDOUT : 0;
}

static struct sl_component component(const char *name, const char *const *needs, struct part *part)
{
    part->name = name[0];
    return (struct sl_component){name, needs, part, part_load, part_start, part_stop, 0};
}

static int setup(void **state)
{
    story[0] = '\0';
    *state = sl_boot_new(sl_clock_system());
    return *state == NULL;
}

static int teardown(void **state)
{
    *state = sl_boot_free(*state);
    return 0;
}

static const char *const needs_a[] = {"a", NULL};
static const char *const needs_b[] = {"b", NULL};
static const char *const needs_c[] = {"c", NULL};

static void boot_chain_loads_in_order_and_stops_in_reverse(void **state)
{
    struct sl_boot *boot = *state;
    struct part parts[3] = {0};
    struct sl_component c = component("c", needs_b, &parts[2]);
    struct sl_component b = component("b", needs_a, &parts[1]);
    struct sl_component a = component("a", NULL, &parts[0]);
    assert_int_equal(sl_boot_add(boot, &c, NULL), 0);
    assert_int_equal(sl_boot_add(boot, &b, NULL), 0);
    assert_int_equal(sl_boot_add(boot, &a, NULL), 0);
    assert_int_equal(sl_boot_load(boot, NULL), 0);
    assert_int_equal(sl_boot_level(boot, "a"), 0);
    assert_int_equal(sl_boot_level(boot, "c"), 2);
    assert_int_equal(sl_boot_start(boot, NULL), 0);
    assert_int_equal(sl_boot_stop(boot, NULL), 0);
    assert_string_equal(story, "+a +b +c *a *b *c -c -b -a ");
}

static void boot_duplicate_is_refused_by_name(void **state)
{
    struct part part = {0};
    struct sl_component a = component("a", NULL, &part);
    struct sl_diag diag = {0};
    assert_int_equal(sl_boot_add(*state, &a, &diag), 0);
    assert_int_equal(sl_boot_add(*state, &a, &diag), -EEXIST);
    assert_non_null(strstr(diag.text, "\"a\""));
}

static void boot_missing_need_is_refused_by_name(void **state)
{
    struct part part = {0};
    struct sl_component b = component("b", needs_a, &part);
    struct sl_diag diag = {0};
    assert_int_equal(sl_boot_add(*state, &b, NULL), 0);
    assert_int_equal(sl_boot_load(*state, &diag), -ENOENT);
    assert_string_equal(diag.text, "component \"b\" needs \"a\", which is not there");
    assert_string_equal(story, "");
}

static void boot_cycle_is_refused_by_name(void **state)
{
    struct part parts[3] = {0};
    struct sl_component a = component("a", needs_c, &parts[0]);
    struct sl_component b = component("b", needs_a, &parts[1]);
    struct sl_component c = component("c", needs_b, &parts[2]);
    struct sl_diag diag = {0};
    assert_int_equal(sl_boot_add(*state, &a, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &b, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &c, NULL), 0);
    assert_int_equal(sl_boot_load(*state, &diag), -ELOOP);
    assert_non_null(strstr(diag.text, "\"a\" needs \"c\""));
    assert_string_equal(story, "");
}

static void boot_failed_load_stops_what_was_loaded(void **state)
{
    struct part parts[3] = {[2] = {.load_fails = true}};
    struct sl_component a = component("a", NULL, &parts[0]);
    struct sl_component b = component("b", needs_a, &parts[1]);
    struct sl_component c = component("c", needs_b, &parts[2]);
    struct sl_diag diag = {0};
    assert_int_equal(sl_boot_add(*state, &a, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &b, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &c, NULL), 0);
    assert_int_equal(sl_boot_load(*state, &diag), -EIO);
    assert_string_equal(diag.text, "part c fails");
    assert_string_equal(story, "+a +b -b -a ");
}

static void boot_late_stop_is_reported_and_others_still_stop(void **state)
{
    struct part parts[2] = {[1] = {.stop_late = true}};
    struct sl_component a = component("a", NULL, &parts[0]);
    struct sl_component b = component("b", needs_a, &parts[1]);
    struct sl_diag diag = {0};
    assert_int_equal(sl_boot_add(*state, &a, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &b, NULL), 0);
    assert_int_equal(sl_boot_load(*state, NULL), 0);
    assert_int_equal(sl_boot_stop(*state, &diag), -ETIMEDOUT);
    assert_string_equal(diag.text, "component \"b\" did not stop in time");
    assert_string_equal(story, "+a +b -b -a ");
}

/* Two members of one level wait for each other: only side by side can both load. */
static _Atomic int met;

static int load_meets(struct sl_boot *boot, void *ctx, struct sl_diag *reterr)
{
    (void)reterr;
    sl_boot_put(boot, ctx, &met);
    atomic_fetch_add_explicit(&met, 1, memory_order_acq_rel);
    while (atomic_load_explicit(&met, memory_order_acquire) < 2) (void)usleep(100);
    return 0;
}

static void boot_level_members_load_side_by_side(void **state)
{
    static char x[] = "x";
    static char y[] = "y";
    struct sl_component one = {.name = "x", .ctx = x, .load = load_meets};
    struct sl_component two = {.name = "y", .ctx = y, .load = load_meets};
    assert_int_equal(sl_boot_add(*state, &one, NULL), 0);
    assert_int_equal(sl_boot_add(*state, &two, NULL), 0);
    assert_int_equal(sl_boot_load(*state, NULL), 0);
    assert_ptr_equal(sl_boot_get(*state, "x"), &met);
    assert_ptr_equal(sl_boot_get(*state, "y"), &met);
    assert_null(sl_boot_get(*state, "z"));
    assert_int_equal(sl_boot_stop(*state, NULL), 0);
}

static void boot_put_after_seal_is_a_bug(void **state)
{
    struct part part = {0};
    struct sl_component a = component("a", NULL, &part);
    assert_int_equal(sl_boot_add(*state, &a, NULL), 0);
    assert_int_equal(sl_boot_load(*state, NULL), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        sl_boot_put(*state, "late", &part);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(sl_boot_stop(*state, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(boot_chain_loads_in_order_and_stops_in_reverse, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(boot_duplicate_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_missing_need_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_cycle_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_failed_load_stops_what_was_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_late_stop_is_reported_and_others_still_stop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(boot_level_members_load_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_put_after_seal_is_a_bug, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
