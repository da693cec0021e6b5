/* SPDX-License-Identifier: MIT */
/* eval, help, completion, bench: run as a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ctl/cli/fixture.h"

static const char *program;

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, program);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void eval_cel_with_names_and_self_prints_json(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "self.json", "{\"age\": 20, \"big\": 9223372036854775807}");
    file_put(fixture, "self.yaml", "age: 17\n");
    assert_int_equal(run(fixture, "eval 'self.n + 1' --bind 'self={\"n\": 1}'"), 0);
    assert_string_equal(fixture->run.out, "2\n");
    assert_int_equal(run(fixture, "eval --cel 'a + b' --bind a=1 --bind b=2"), 0);
    assert_string_equal(fixture->run.out, "3\n");
    assert_int_equal(run(fixture, "eval 'self.age >= 18' --self self.json"), 0);
    assert_string_equal(fixture->run.out, "true\n");
    assert_int_equal(run(fixture, "eval 'self.age >= 18' --self self.yaml"), 0);
    assert_string_equal(fixture->run.out, "false\n");
    assert_int_equal(run(fixture, "eval 'self.big' --self - <self.json"), 0);
    assert_string_equal(fixture->run.out, "9223372036854775807\n");
}

static void eval_mistakes_exit_1_with_their_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval 'slef + 1'"), 1);
    assert_true(contains(fixture->run.err, "1:1: error: undeclared reference to 'slef'"));
    assert_true(contains(fixture->run.err, "did you mean \"self\"?"));
    assert_int_equal(run(fixture, "eval '1 / 0'"), 1);
    assert_true(contains(fixture->run.err, "error: "));
    assert_string_equal(fixture->run.out, "");
    assert_int_equal(run(fixture, "eval '1 / 0' --format json"), 1);
    assert_true(contains(fixture->run.out, "\"code\": \"cel_error\""));
    assert_int_equal(run(fixture, "eval 1 --bind 'a b=1'"), 2);
    assert_int_equal(run(fixture, "eval 1 --bind 'a={'"), 2);
    assert_int_equal(run(fixture, "eval a --bind a=1 --bind a=2"), 2);
    assert_int_equal(run(fixture, "eval self --bind self=1 --bind self=2"), 2);
    assert_int_equal(run(fixture, "eval 1 --self nowhere.json"), 2);
    assert_int_equal(run(fixture, "eval --language cobol x"), 1);
    assert_true(contains(fixture->run.err, "was not built in"));
}

static void eval_lines_are_one_expression_each(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "lines", "1 + 1\n\nnonsense +\n'a' + 'b'\n");
    assert_int_equal(run(fixture, "eval <lines"), 1);
    assert_string_equal(fixture->run.out, "2\n\"ab\"\n");
    assert_true(contains(fixture->run.err, "error: "));
}

static void eval_javascript_runs_expressions_and_modules(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "version"), 0);
    if (strstr(fixture->run.out, "javascript") == NULL) skip();
    file_put(fixture, "self.json", "21");
    assert_int_equal(run(fixture, "eval --js 'self * env.n' --self - --bind n=2 <self.json"), 0);
    assert_string_equal(fixture->run.out, "42\n");
    assert_int_equal(run(fixture, "eval --js 'export default async (self) => [self]'"), 0);
    assert_true(contains(fixture->run.out, "null"));
    assert_int_equal(run(fixture, "eval --js 'export default () => { throw new Error(\"no\") }'"),
                     1);
    assert_true(contains(fixture->run.err, "error: no (script_error)"));
    assert_int_equal(run(fixture, "eval --timeout 50ms --js 'export default () => { for (;;); }'"),
                     1);
    assert_true(contains(fixture->run.err, "script_deadline"));
}

static void eval_json_and_yaml_are_parsed_and_printed(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "a.json", "{\"b\":[1,2.50,true]}");
    file_put(fixture, "bad.json", "{\n  \"b\": [1,]\n}");
    file_put(fixture, "a.yaml", "b: [1, 0x10]\n");
    assert_int_equal(run(fixture, "eval --json a.json"), 0);
    assert_string_equal(fixture->run.out, "{\n  \"b\": [\n    1,\n    2.5,\n    true\n  ]\n}\n");
    assert_int_equal(run(fixture, "eval --json bad.json"), 1);
    assert_true(contains(fixture->run.err, "bad.json:2:11: error:"));
    assert_int_equal(run(fixture, "eval --yaml a.yaml"), 0);
    assert_true(contains(fixture->run.out, "16"));
}

static void eval_cases_counts_and_exits_by_failures(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "good.json",
             "{\"name\":\"t\",\"section\":[{\"name\":\"s\",\"test\":[{\"name\":\"a\","
             "\"expr\":\"1 + 1\",\"value\":{\"int64_value\":\"2\"}}]}]}");
    file_put(fixture, "bad.json",
             "{\"name\":\"t\",\"section\":[{\"name\":\"s\",\"test\":[{\"name\":\"a\","
             "\"expr\":\"1 + 1\",\"value\":{\"int64_value\":\"3\"}}]}]}");
    assert_int_equal(run(fixture, "eval --cases good.json"), 0);
    assert_true(contains(fixture->run.out, "1 passed, 0 failed, 0 skipped\n"));
    assert_int_equal(run(fixture, "eval --cases good.json bad.json"), 1);
    assert_true(contains(fixture->run.out, "\n1 passed, 1 failed, 0 skipped\n"));
}

static void help_of_every_command_has_usage_and_examples(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {
        "start", "check", "apply",      "get",  "delete",  "diff",   "history", "rollback",
        "eval",  "bench", "completion", "help", "version", "status", "top",     "drain"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(run(fixture, "help %s", names[i]), 0);
        assert_true(contains(fixture->run.out, "Usage: sluice "));
        assert_true(contains(fixture->run.out, "Examples:\n  sluice "));
    }
    assert_int_equal(run(fixture, "help aply"), 2);
    assert_true(contains(fixture->run.err, "did you mean \"apply\"?"));
    assert_int_equal(run(fixture, "get --outptu json"), 2);
    assert_true(contains(fixture->run.err, "did you mean \"--output\"?"));
    assert_int_equal(run(fixture, "help --man"), 0);
    assert_true(contains(fixture->run.out, ".SS sluice rollback"));
}

static void completion_bash_is_accepted_and_completes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "completion bash >c.bash"), 0);
    file_put(fixture, "try.bash",
             ". ./c.bash || exit 9\n"
             "COMP_WORDS=(sluice ap); COMP_CWORD=1; _sluice; echo \"${COMPREPLY[*]}\"\n"
             "COMP_WORDS=(sluice get --out); COMP_CWORD=2; _sluice; echo \"${COMPREPLY[*]}\"\n"
             "COMP_WORDS=(sluice get -o y); COMP_CWORD=3; _sluice; echo \"${COMPREPLY[*]}\"\n");
    assert_int_equal(run(fixture, "version >/dev/null; bash try.bash"), 0);
    assert_string_equal(fixture->run.out, "apply\n--output\nyaml\n");
    assert_int_equal(run(fixture, "completion zsh"), 0);
    assert_true(contains(fixture->run.out, "#compdef sluice"));
    assert_int_equal(run(fixture, "completion fish"), 2);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    program = argv[1];
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(eval_cel_with_names_and_self_prints_json),
        T(eval_mistakes_exit_1_with_their_place),
        T(eval_lines_are_one_expression_each),
        T(eval_javascript_runs_expressions_and_modules),
        T(eval_json_and_yaml_are_parsed_and_printed),
        T(eval_cases_counts_and_exits_by_failures),
        T(help_of_every_command_has_usage_and_examples),
        T(completion_bash_is_accepted_and_completes),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
