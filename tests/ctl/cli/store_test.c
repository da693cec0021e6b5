/* SPDX-License-Identifier: MIT */
/* apply, get, delete, diff, history, rollback: run as a program, beside a runtime where it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pwd.h>
#include <unistd.h>

#include "tests/ctl/cli/fixture.h"

static const char *program;

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, program);
    file_put(fixture, "sluice.yaml", "data: registry\n");
    file_put(fixture, "flow.yaml",
             "# kept with the specs\n"
             "- kind: router\n"
             "  name: router\n"
             "  routes: [{method: GET, path: /a, port: 'out[0]'}]\n"
             "  ports: {'out[0]': [{name: answer, port: in}]}\n"
             "- {kind: snippet, name: answer, language: text, code: \"one\\ntwo\\nthree\\n\"}\n"
             "- {kind: snippet, language: json, code: '{}'}\n");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void apply_new_specs_makes_one_revision(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_true(contains(fixture->run.out, "revision 1: 3 created"));
    assert_int_equal(run(fixture, "apply -f flow.yaml --format json"), 0);
    assert_true(contains(fixture->run.out, "\"revision\": 1"));
    assert_true(contains(fixture->run.out, "\"changed\": 0"));
    assert_int_equal(run(fixture, "history --format json"), 0);
    assert_true(contains(fixture->run.out, "\"newest\": 1"));
    assert_true(contains(fixture->run.out, "\"message\": \"apply flow.yaml\""));
    char author[32];
    (void)snprintf(author, sizeof(author), "(%u)", (unsigned)getuid());
    assert_true(contains(fixture->run.out, "\"author\": \"cli:"));
    assert_true(getpwuid(getuid()) == NULL || contains(fixture->run.out, author));
}

static void apply_wrong_specs_is_refused_and_makes_no_revision(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    file_put(fixture, "bad.yaml",
             "- {kind: snippet, name: fine, language: text, code: x}\n"
             "- {kind: snippet, name: bad, language: text, cod: x}\n");
    assert_int_equal(run(fixture, "apply bad.yaml"), 1);
    assert_true(contains(fixture->run.err, "bad.yaml:2:46: error: unknown field \"cod\""));
    assert_int_equal(run(fixture, "apply bad.yaml --format json"), 1);
    assert_true(contains(fixture->run.out, "\"code\": \"unknown_field\""));
    assert_int_equal(run(fixture, "get fine"), 1);
    assert_int_equal(run(fixture, "history"), 0);
    assert_null(strstr(fixture->run.out, "bad.yaml"));
}

static void apply_edge_to_nowhere_is_stored_with_a_warning(void **state)
{
    struct fixture *fixture = *state;
    file_put(
        fixture, "early.yaml",
        "{kind: snippet, name: a, language: text, code: x, ports: {out: {name: later, port: in}}}");
    assert_int_equal(run(fixture, "apply early.yaml"), 0);
    assert_true(contains(fixture->run.err, "warning: there is no node \"later\""));
}

static void apply_if_revision_other_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml --if-revision 0"), 0);
    assert_int_equal(run(fixture, "delete answer --if-revision 0"), 1);
    assert_true(contains(fixture->run.err, "the registry is at revision 1, not 0"));
    assert_int_equal(run(fixture, "delete answer --if-revision 1"), 0);
    assert_int_equal(run(fixture, "delete router --if-revision many"), 2);
}

static void apply_dry_run_shows_the_difference_and_stores_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    file_put(fixture, "next.yaml",
             "- {kind: snippet, name: answer, language: text, code: \"one\\n2\\nthree\\n\"}\n"
             "- {kind: snippet, name: more, language: text, code: x}\n");
    assert_int_equal(run(fixture, "apply --dry-run next.yaml"), 0);
    assert_true(contains(fixture->run.out, "~ snippet default/answer\n    code:\n      - two\n"
                                           "      + 2\n"));
    assert_true(contains(fixture->run.out, "+ snippet default/more\n"));
    assert_int_equal(run(fixture, "diff -f next.yaml --exit-code --format json"), 1);
    assert_true(contains(fixture->run.out, "\"path\": \"code\""));
    assert_int_equal(run(fixture, "diff -f flow.yaml --exit-code"), 0);
    assert_true(contains(fixture->run.out, "no differences"));
    assert_int_equal(run(fixture, "get more"), 1);
}

static void get_output_applied_again_makes_no_revision(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "get -o yaml >all.yaml"), 0);
    assert_int_equal(run(fixture, "apply all.yaml"), 0);
    assert_true(contains(fixture->run.out, "revision 1: nothing changed"));
    assert_int_equal(run(fixture, "get -o json >all.json"), 0);
    assert_int_equal(run(fixture, "apply - <all.json"), 0);
    assert_true(contains(fixture->run.out, "revision 1: nothing changed"));
    assert_int_equal(run(fixture, "get nodes answer -o yaml >one.yaml"), 0);
    assert_int_equal(run(fixture, "apply one.yaml"), 0);
    assert_true(contains(fixture->run.out, "revision 1: nothing changed"));
}

static void get_unknown_name_tells_the_nearest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "get routr"), 1);
    assert_true(contains(fixture->run.err, "there is no node \"routr\" in namespace \"default\""));
    assert_true(contains(fixture->run.err, "did you mean \"router\"?"));
    assert_int_equal(run(fixture, "get -o xml"), 2);
    assert_int_equal(run(fixture, "get -d nowhere"), 3);
    assert_int_equal(run(fixture, "get --revision 9"), 1);
}

static void get_revision_shows_what_was(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "delete router"), 0);
    assert_int_equal(run(fixture, "get router"), 1);
    assert_int_equal(run(fixture, "get router --revision 1 -o yaml"), 0);
    assert_true(contains(fixture->run.out, "kind: router"));
}

static void delete_by_name_id_file_and_all_is_one_revision_each(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "delete answer roter"), 1);
    assert_true(contains(fixture->run.err, "did you mean \"router\"?"));
    assert_int_equal(run(fixture, "delete answer --dry-run"), 0);
    assert_true(contains(fixture->run.out, "- snippet default/answer"));
    assert_int_equal(run(fixture, "delete answer"), 0);
    assert_true(contains(fixture->run.out, "revision 2: 1 deleted"));
    assert_int_equal(run(fixture, "delete -f flow.yaml"), 1);
    assert_int_equal(run(fixture, "delete -f flow.yaml --ignore-missing"), 0);
    assert_true(contains(fixture->run.out, "revision 3: 2 deleted"));
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "delete --all"), 0);
    assert_true(contains(fixture->run.out, "revision 5: 3 deleted"));
    assert_int_equal(run(fixture, "delete --all"), 0);
    assert_true(contains(fixture->run.out, "revision 5: nothing changed"));
    assert_int_equal(run(fixture, "delete"), 2);
}

static void rollback_makes_a_new_revision_like_the_old(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    assert_int_equal(run(fixture, "delete --all -m 'clean up'"), 0);
    assert_int_equal(run(fixture, "rollback 1"), 0);
    assert_true(contains(fixture->run.out, "revision 3: 3 created"));
    assert_int_equal(run(fixture, "diff 1 3"), 0);
    assert_true(contains(fixture->run.out, "no differences"));
    assert_int_equal(run(fixture, "diff 1 2"), 0);
    assert_true(contains(fixture->run.out, "- router default/router"));
    assert_int_equal(run(fixture, "history"), 0);
    assert_true(contains(fixture->run.out, "rollback to 1"));
    assert_true(contains(fixture->run.out, "clean up"));
    assert_int_equal(run(fixture, "rollback 77"), 1);
    assert_int_equal(run(fixture, "rollback last"), 2);
}

/* Whatever is asked, the value is in no output. */
static void secrets_values_are_never_printed(void **state)
{
    struct fixture *fixture = *state;
    static const char *const commands[] = {
        "apply secrets --dry-run secrets.yaml",
        "apply secrets secrets.yaml",
        "apply secrets secrets2.yaml --format json",
        "get secrets",
        "get secrets -o yaml",
        "get secrets db -o json",
        "diff 0 --format json",
        "diff 1",
        "history --format json",
        "apply secrets broken.yaml",
        "delete secrets db --dry-run",
        "delete secrets db --format json",
    };
    file_put(fixture, "secrets.yaml", "- {name: db, data: {password: hunter2}}\n");
    file_put(fixture, "secrets2.yaml", "- {name: db, data: {password: hunter2-new}}\n");
    file_put(fixture, "broken.yaml", "- {name: [db], data: hunter2}\n");
    assert_int_equal(run(fixture, "apply flow.yaml"), 0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        (void)run(fixture, "%s", commands[i]);
        assert_null(strstr(fixture->run.out, "hunter2"));
        assert_null(strstr(fixture->run.err, "hunter2"));
        assert_true(fixture->run.out[0] != '\0' || fixture->run.err[0] != '\0');
    }
}

static void secrets_output_applied_again_keeps_the_value(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "secrets.yaml", "{name: db, data: {password: hunter2}}\n");
    assert_int_equal(run(fixture, "apply secrets -f secrets.yaml"), 0);
    assert_int_equal(run(fixture, "get secrets -o yaml >again.yaml"), 0);
    assert_int_equal(run(fixture, "apply secrets again.yaml"), 0);
    assert_true(contains(fixture->run.out, "revision 1: nothing changed"));
}

/* ---- beside a runtime ------------------------------------------------------------------------ */

static void apply_wait_returns_when_the_runtime_published(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "apply flow.yaml --wait"), 0);
    assert_true(contains(fixture->run.err, "no runtime of namespace \"default\" is running"));
    assert_int_equal(run(fixture, "get answer"), 0);
    assert_true(contains(fixture->run.out, "stopped"));
    long pid = run_start(fixture, "start --cores 0 --log-level info");
    assert_true(pid > 0);
    file_put(fixture, "next.yaml", "{kind: snippet, name: answer, language: text, code: next}\n");
    assert_int_equal(run(fixture, "apply next.yaml --wait"), 0);
    assert_string_equal(fixture->run.err, "");
    assert_int_equal(run(fixture, "get answer"), 0);
    assert_true(contains(fixture->run.out, "active"));
    assert_int_equal(run(fixture, "delete answer --wait"), 0);
    assert_int_equal(run(fixture, "get router"), 0);
    assert_true(contains(fixture->run.out, "inactive: there is no node \"answer\""));
    assert_int_equal(run(fixture, "apply flow.yaml --wait"), 0);
    assert_int_equal(run(fixture, "get router"), 0);
    assert_null(strstr(fixture->run.out, "inactive"));
    assert_int_equal(run_stop(pid), 0);
}

static void apply_wait_unbound_name_tells_why_it_is_inactive(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start --cores 0");
    assert_true(pid > 0);
    file_put(
        fixture, "env.yaml",
        "{kind: snippet, name: a, language: cel, code: env.X, env: {X: {data: '{{ .NOT }}'}}}");
    assert_int_equal(run(fixture, "apply env.yaml --wait"), 1);
    assert_true(contains(fixture->run.err, "default/a is inactive:"));
    assert_true(contains(fixture->run.err, "NOT"));
    assert_int_equal(run_stop(pid), 0);
}

static void start_taken_namespace_is_refused(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start --cores 0");
    assert_true(pid > 0);
    assert_int_equal(run(fixture, "start --cores 0"), 3);
    assert_true(contains(fixture->run.err, "is already owned by process"));
    assert_int_equal(run_stop(pid), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    program = argv[1];
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(apply_new_specs_makes_one_revision),
        T(apply_wrong_specs_is_refused_and_makes_no_revision),
        T(apply_edge_to_nowhere_is_stored_with_a_warning),
        T(apply_if_revision_other_is_refused),
        T(apply_dry_run_shows_the_difference_and_stores_nothing),
        T(get_output_applied_again_makes_no_revision),
        T(get_unknown_name_tells_the_nearest),
        T(get_revision_shows_what_was),
        T(delete_by_name_id_file_and_all_is_one_revision_each),
        T(rollback_makes_a_new_revision_like_the_old),
        T(secrets_values_are_never_printed),
        T(secrets_output_applied_again_keeps_the_value),
        T(apply_wait_returns_when_the_runtime_published),
        T(apply_wait_unbound_name_tells_why_it_is_inactive),
        T(start_taken_namespace_is_refused),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
