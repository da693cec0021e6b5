/* SPDX-License-Identifier: MIT */
/*
 * The way back: whatever was changed, and at whatever step the process was killed, a revert brings
 * back every byte, and a second one does nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/tune/journal.h"
#include "ctl/tune/journal_text.h"
#include "ctl/tune/write.h"
#include "tests/ctl/tune/fixture.h"

enum { KILLS_MAX = 4000 };

static struct tree tree;  /* the machine, and files beside it */
static struct tree state; /* the journal */
static struct sl_tune_tree seam;

static int setup(void **unused)
{
    (void)unused;
    tree_init(&tree);
    tree_init(&state);
    return sl_tune_tree_init(&seam, tree.dir);
}

static int teardown(void **unused)
{
    (void)unused;
    sl_tune_journal_on_step(NULL, NULL);
    tree_fini(&tree);
    tree_fini(&state);
    return 0;
}

static struct sl_tune_journal *journal_open(void)
{
    struct sl_tune_journal *journal = NULL;
    struct sl_diag diag = {0};
    int r = sl_tune_journal_open(&seam, state.dir, "tune.journal", false, &journal, &diag);
    if (r < 0) fail_msg("%s", diag.text);
    return journal;
}

static void revert(void)
{
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_revert(journal, NULL, NULL), 0);
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
}

/* Everything that tune can do to this machine: all settings, and all files twice. */
static void change_all(void)
{
    struct sl_tune_machine *machine = sl_tune_machine_read(tree.dir);
    struct sl_tune_plan *plan = sl_tune_plan_new(machine, option_default, NULL);
    struct sl_tune_journal *journal = journal_open();
    struct sl_tune_choices choices = {.count = 0};
    char backup[SL_TUNE_PATH_SIZE];
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        const struct sl_tune_proposal *p = &plan->proposals[i];
        sl_tune_choices_add(&choices, p, p->want, "");
        for (uint32_t s = 0; s < p->settings_count; s++) {
            const char *path = p->settings[s].path;
            /* One at a time: more places to be killed at. */
            assert_int_equal(sl_tune_journal_keep(journal, &path, 1, NULL), 0);
            assert_int_equal(sl_tune_journal_set(journal, path, p->settings[s].value, NULL), 0);
        }
    }
    struct sl_tune_file files[SL_TUNE_FILES_MAX];
    uint32_t count = sl_tune_files(&choices, &plan->layout, files);
    for (uint32_t i = 0; i < count; i++) {
        char path[SL_TUNE_PATH_SIZE];
        (void)snprintf(path, sizeof(path), "%s%.127s", tree.dir, files[i].path);
        assert_int_equal(sl_tune_journal_write(journal, path, "# first\n", 8, backup, NULL), 0);
        assert_int_equal(
            sl_tune_journal_write(journal, path, files[i].text, files[i].size, backup, NULL), 0);
    }
    sl_tune_files_fini(files, count);
    (void)sl_tune_journal_close(journal);
    (void)sl_tune_plan_free(plan);
    (void)sl_tune_machine_free(machine);
}

static void revert_of_everything_brings_back_every_byte(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < machines_count; m++) {
        machines[m].make(&tree);
        tree_put(&tree, "/etc/sysctl.d/60-sluice.conf", "vm.swappiness = 1 # mine\n");
        char *before = tree_text(tree.dir, NULL);
        change_all();
        char *changed = tree_text(tree.dir, NULL);
        assert_string_not_equal(before, changed);
        revert();
        char *after = tree_text(tree.dir, NULL);
        assert_string_equal(before, after);
        revert();
        free(after);
        after = tree_text(tree.dir, NULL);
        assert_string_equal(before, after);
        free(before);
        free(changed);
        free(after);
        tree_fini(&tree);
        assert_int_equal(mkdir(tree.dir, 0700), 0);
    }
}

/* ---- being killed ---------------------------------------------------------------------------- */

static void kill_at(void *ctx, unsigned step)
{
    if (step == *(unsigned *)ctx) (void)kill(getpid(), SIGKILL);
}

/* Run `fn` in a child that is killed before its step `at`. True if it came to its end instead. */
static bool run_until(void (*fn)(void), unsigned at)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sl_tune_journal_on_step(kill_at, &at);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void killed_at_any_step_revert_brings_back_every_byte(void **unused)
{
    (void)unused;
    machine_disabled(&tree);
    tree_put(&tree, "/etc/sysctl.d/60-sluice.conf", "vm.swappiness = 1 # mine\n");
    tree_put(&tree, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    char *before = tree_text(tree.dir, NULL);
    bool ended = false;
    unsigned at = 0;
    for (; at < KILLS_MAX && !ended; at++) {
        ended = run_until(change_all, at);
        revert();
        char *after = tree_text(tree.dir, NULL);
        assert_string_equal(before, after);
        free(after);
        char *left = tree_text(state.dir, NULL);
        assert_null(strchr(left, '/')); /* no journal, and no half of one */
        free(left);
    }
    assert_true(ended);
    assert_true(at > 20);
    free(before);
}

static void killed_in_a_revert_the_next_one_ends_it(void **unused)
{
    (void)unused;
    machine_disabled(&tree);
    tree_put(&tree, "/etc/sysctl.d/60-sluice.conf", "vm.swappiness = 1 # mine\n");
    char *before = tree_text(tree.dir, NULL);
    bool ended = false;
    for (unsigned at = 0; at < KILLS_MAX && !ended; at++) {
        change_all();
        ended = run_until(revert, at);
        revert();
        char *after = tree_text(tree.dir, NULL);
        assert_string_equal(before, after);
        free(after);
    }
    assert_true(ended);
    free(before);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void keep_of_a_value_that_is_not_there_changes_nothing(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"/proc/sys/vm/swappiness", "/proc/sys/net/core/somaxconn"};
    struct sl_diag diag = {0};
    tree_put(&tree, "/proc/sys/vm/swappiness", "1\n");
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_keep(journal, paths, 2, &diag), -ENOENT);
    assert_non_null(strstr(diag.text, "/proc/sys/net/core/somaxconn"));
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
}

static void keep_twice_the_oldest_value_comes_back(void **unused)
{
    (void)unused;
    const char *path = "/proc/sys/vm/swappiness";
    tree_put(&tree, path, "1\n");
    for (int i = 0; i < 3; i++) {
        struct sl_tune_journal *journal = journal_open();
        assert_int_equal(sl_tune_journal_keep(journal, &path, 1, NULL), 0);
        assert_int_equal(sl_tune_journal_set(journal, path, i == 0 ? "2" : "3", NULL), 0);
        assert_int_equal(sl_tune_journal_count(journal), 1);
        (void)sl_tune_journal_close(journal);
    }
    revert();
    char *text = tree_get(&tree, path);
    assert_string_equal(text, "1\n");
    free(text);
}

static void old_bytes_of_any_kind_come_back(void **unused)
{
    (void)unused;
    const char *path = "/proc/irq/odd name%20/smp_affinity_list";
    char full[256];
    uint8_t bytes[256];
    uint8_t again[300];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    tree_put(&tree, path, "x");
    (void)snprintf(full, sizeof(full), "%s%s", tree.dir, path);
    int fd = open(full, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    (void)close(fd);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_keep(journal, &path, 1, NULL), 0);
    assert_int_equal(sl_tune_journal_set(journal, path, "2", NULL), 0);
    (void)sl_tune_journal_close(journal);
    revert();
    fd = open(full, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, again, sizeof(again)), sizeof(bytes));
    (void)close(fd);
    assert_memory_equal(again, bytes, sizeof(bytes));
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_keeps_what_was_there_and_its_mode(void **unused)
{
    (void)unused;
    char path[256];
    char backup[SL_TUNE_PATH_SIZE];
    struct stat info;
    tree_put(&tree, "/sluice.yaml", "spin: 1\n");
    (void)snprintf(path, sizeof(path), "%s/sluice.yaml", tree.dir);
    assert_int_equal(chmod(path, 0640), 0);
    char *before = tree_text(tree.dir, NULL);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 2\n", 8, backup, NULL), 0);
    assert_int_equal(stat(backup, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(stat(path, &info), 0); /* nobody reads ours who could not read the other */
    assert_int_equal(info.st_mode & 0777, 0640);
    /* Ours may be replaced without another backup. */
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 3\n", 8, backup, NULL), 0);
    assert_string_equal(backup, "");
    (void)sl_tune_journal_close(journal);
    revert();
    char *after = tree_text(tree.dir, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void revert_keeps_what_somebody_changed_in_our_file(void **unused)
{
    (void)unused;
    char path[256];
    char backup[SL_TUNE_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/sluice.yaml", tree.dir);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 2\n", 8, backup, NULL), 0);
    assert_string_equal(backup, "");
    (void)sl_tune_journal_close(journal);
    tree_put(&tree, "/sluice.yaml", "spin: 2\ndata: mine\n");
    revert();
    assert_null(tree_get(&tree, "/sluice.yaml"));
    char *text = tree_get(&tree, "/sluice.yaml.edited.1");
    assert_non_null(text);
    assert_string_equal(text, "spin: 2\ndata: mine\n");
    free(text);
}

static void write_leaves_a_file_of_somebody_else_with_a_like_name(void **unused)
{
    (void)unused;
    char path[256];
    char backup[SL_TUNE_PATH_SIZE];
    tree_put(&tree, "/sluice.yaml.new", "mine\n");
    (void)snprintf(path, sizeof(path), "%s/sluice.yaml", tree.dir);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 2\n", 8, backup, NULL), 0);
    (void)sl_tune_journal_close(journal);
    revert();
    char *text = tree_get(&tree, "/sluice.yaml.new");
    assert_string_equal(text, "mine\n");
    free(text);
}

/* Written, edited by a person, written again: the person's text is there after all. */
static void write_over_what_somebody_changed_keeps_it(void **unused)
{
    (void)unused;
    char path[256];
    char backup[SL_TUNE_PATH_SIZE];
    tree_put(&tree, "/sluice.yaml", "data: x\n");
    (void)snprintf(path, sizeof(path), "%s/sluice.yaml", tree.dir);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 2\n", 8, backup, NULL), 0);
    tree_put(&tree, "/sluice.yaml", "spin: 2\ndata: mine\n");
    assert_int_equal(sl_tune_journal_write(journal, path, "spin: 3\n", 8, backup, NULL), 0);
    (void)sl_tune_journal_close(journal);
    revert();
    char *text = tree_get(&tree, "/sluice.yaml");
    assert_string_equal(text, "data: x\n");
    free(text);
    text = tree_get(&tree, "/sluice.yaml.edited.1");
    assert_non_null(text);
    assert_string_equal(text, "spin: 2\ndata: mine\n");
    free(text);
}

/* Into a folder that is nobody's to write: /proc takes no files, whoever asks. */
static void write_that_fails_leaves_nothing_to_undo(void **unused)
{
    (void)unused;
    char backup[SL_TUNE_PATH_SIZE];
    struct sl_tune_journal *journal = journal_open();
    assert_true(sl_tune_journal_write(journal, "/proc/sluice.yaml", "x", 1, backup, NULL) < 0);
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
    char *left = tree_text(state.dir, NULL);
    assert_null(strchr(left, '/'));
    free(left);
}

static void write_over_a_link_is_refused(void **unused)
{
    (void)unused;
    char path[256];
    char backup[SL_TUNE_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/link", tree.dir);
    assert_int_equal(symlink("/nowhere", path), 0);
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_write(journal, path, "x", 1, backup, NULL), -EINVAL);
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
}

/* ---- the journal itself ---------------------------------------------------------------------- */

static void open_twice_is_refused(void **unused)
{
    (void)unused;
    struct sl_tune_journal *journal = journal_open();
    struct sl_tune_journal *second = NULL;
    struct sl_diag diag = {0};
    assert_int_equal(sl_tune_journal_open(&seam, state.dir, "tune.journal", false, &second, &diag),
                     -EBUSY);
    assert_non_null(strstr(diag.text, "another sluice tune"));
    (void)sl_tune_journal_close(journal);
}

static void open_dry_makes_nothing(void **unused)
{
    (void)unused;
    char dir[256];
    struct stat info;
    struct sl_tune_journal *journal = NULL;
    (void)snprintf(dir, sizeof(dir), "%s/none", state.dir);
    assert_int_equal(sl_tune_journal_open(&seam, dir, "tune.journal", true, &journal, NULL), 0);
    assert_int_equal(sl_tune_journal_count(journal), 0);
    (void)sl_tune_journal_close(journal);
    assert_int_equal(stat(dir, &info), -1);
}

static int entries_parse(const char *text, size_t size)
{
    struct sl_tune_entries list = {.count = 0};
    int r = sl_tune_entries_parse(&list, text, size);
    int count = (int)list.count;
    sl_tune_entries_cut(&list, 0);
    return r < 0 ? r : count;
}

/* Every prefix, and every byte changed. */
static void open_of_a_damaged_journal_is_refused(void **unused)
{
    (void)unused;
    const char *path = "/proc/sys/vm/swappiness";
    tree_put(&tree, path, "1\n");
    struct sl_tune_journal *journal = journal_open();
    assert_int_equal(sl_tune_journal_keep(journal, &path, 1, NULL), 0);
    (void)sl_tune_journal_close(journal);
    char *text = tree_get(&state, "/tune.journal");
    assert_non_null(text);
    size_t size = strlen(text);
    assert_int_equal(entries_parse(text, size), 1);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(entries_parse(text, i), -EBADMSG);
        char was = text[i];
        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            assert_int_equal(entries_parse(text, size), text[i] == was ? 1 : -EBADMSG);
        }
        text[i] = was;
    }
    tree_put(&state, "/tune.journal", "%.*s", (int)size - 2, text);
    struct sl_diag diag = {0};
    assert_int_equal(sl_tune_journal_open(&seam, state.dir, "tune.journal", false, &journal, &diag),
                     -EBADMSG);
    assert_non_null(strstr(diag.text, "cannot use the journal"));
    free(text);
}

/* A journal with these lines and a right hash, as somebody could make it. */
static int forged_open(const char *lines)
{
    char text[1024];
    struct sl_tune_journal *journal = NULL;
    int size = snprintf(text, sizeof(text), "sluice-tune-journal 1\n%s", lines);
    tree_put(&state, "/tune.journal", "%send %016" PRIx64 "\n", text,
             sl_tune_bytes_hash(text, (size_t)size));
    int r = sl_tune_journal_open(&seam, state.dir, "tune.journal", false, &journal, NULL);
    (void)sl_tune_journal_close(journal);
    return r;
}

static void open_of_a_journal_that_names_what_is_not_ours_is_refused(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "value /etc/passwd =x%0a 00000000000000000000000000000000\n",
        "value /proc/sys/kernel/core_pattern =|/x 00000000000000000000000000000000\n",
        "value /proc/irq/../smp_affinity_list =1 00000000000000000000000000000000\n",
        "value /proc/irq/1/2/smp_affinity_list =1 00000000000000000000000000000000\n",
        "value /sys/class/net/../../x/queues/rx-0/rps_cpus =1 00000000000000000000000000000000\n",
        "file /etc/a =/etc/b 00000000000000000000000000000000\n",
        "file /etc/a =/etc/a.before-tune.1x 00000000000000000000000000000000\n",
        "folder /etc/a =/etc/a.before-tune.1 00000000000000000000000000000000\n",
    };
    assert_int_equal(
        forged_open("value /proc/sys/vm/swappiness =60%0a 00000000000000000000000000000000\n"
                    "file /etc/a =/etc/a.before-tune.12 00000000000000000000000000000000\n"
                    "folder /etc/b =- 00000000000000000000000000000000\n"),
        0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(forged_open(lines[i]), -EPERM);
    }
}

static void open_of_a_journal_that_others_may_write_is_refused(void **unused)
{
    (void)unused;
    char path[256];
    const char *const line = "value /proc/sys/vm/swappiness =60%0a "
                             "00000000000000000000000000000000\n";
    assert_int_equal(forged_open(line), 0);
    (void)snprintf(path, sizeof(path), "%s/tune.journal", state.dir);
    assert_int_equal(chmod(path, 0664), 0);
    struct sl_tune_journal *journal = NULL;
    struct sl_diag diag = {0};
    assert_int_equal(sl_tune_journal_open(&seam, state.dir, "tune.journal", true, &journal, &diag),
                     -EACCES);
    assert_non_null(strstr(diag.hint, "as its owner"));
    if (geteuid() != 0) return; /* only root can give a file away */
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(sl_tune_journal_open(&seam, state.dir, "tune.journal", true, &journal, &diag),
                     -EACCES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(revert_of_everything_brings_back_every_byte),
        T(killed_at_any_step_revert_brings_back_every_byte),
        T(killed_in_a_revert_the_next_one_ends_it),
        T(keep_of_a_value_that_is_not_there_changes_nothing),
        T(keep_twice_the_oldest_value_comes_back),
        T(old_bytes_of_any_kind_come_back),
        T(write_keeps_what_was_there_and_its_mode),
        T(revert_keeps_what_somebody_changed_in_our_file),
        T(write_over_a_link_is_refused),
        T(write_over_what_somebody_changed_keeps_it),
        T(write_that_fails_leaves_nothing_to_undo),
        T(open_twice_is_refused),
        T(open_dry_makes_nothing),
        T(open_of_a_damaged_journal_is_refused),
        T(open_of_a_journal_that_names_what_is_not_ours_is_refused),
        T(open_of_a_journal_that_others_may_write_is_refused),
        T(write_leaves_a_file_of_somebody_else_with_a_like_name),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
