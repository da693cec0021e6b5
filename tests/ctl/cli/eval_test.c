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

static void eval_self_may_be_json_itself(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval 'self.a + 1' --self '{\"a\": 1}'"), 0);
    assert_string_equal(fixture->run.out, "2\n");
    assert_int_equal(run(fixture, "eval self --self ' [1]' --compact"), 0);
    assert_string_equal(fixture->run.out, "[1]\n");
    assert_int_equal(run(fixture, "eval self --self 5"), 0);
    assert_string_equal(fixture->run.out, "5\n");
    file_put(fixture, "5", "6");
    assert_int_equal(run(fixture, "eval self --self 5"), 0);
    assert_string_equal(fixture->run.out, "6\n");
    assert_int_equal(run(fixture, "eval self --self nosuch.json"), 2);
    assert_true(contains(fixture->run.err, "there is no such file, and it is no JSON"));
    assert_int_equal(run(fixture, "eval self --self '{\"a\":}'"), 2);
    assert_true(contains(fixture->run.err, "column 6 of the JSON: expected a value"));
    assert_int_equal(run(fixture, "eval self.a"), 1);
    assert_true(contains(fixture->run.err, "hint: self is null: --self FILE"));
}

static void eval_of_two_subjects_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval --cel 1 --js 2"), 2);
    assert_true(contains(fixture->run.err, "--cel or --js, not both"));
    assert_int_equal(run(fixture, "eval --json self.json --lua 2"), 2);
    assert_true(contains(fixture->run.err, "--lua or --json, not both"));
    assert_int_equal(run(fixture, "eval --cel 1 2"), 2);
    assert_true(contains(fixture->run.err, "one more expression"));
    assert_int_equal(run(fixture, "eval --json '{\"a\": 1}'"), 2);
    assert_true(contains(fixture->run.err, "--json takes a file"));
}

static void eval_js_with_a_comma_is_its_last_value(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval --js '1, 5'"), 0);
    assert_string_equal(fixture->run.out, "5\n");
    assert_int_equal(run(fixture, "eval --js '({a: 1}), 6 // last'"), 0);
    assert_string_equal(fixture->run.out, "6\n");
}

/* Expressions, statements, modules; and what is none of them shows where, and what was meant. */
static void eval_lua_of_any_form_runs_and_slips_are_told(void **state)
{
    struct fixture *fixture = *state;
    (void)run(fixture, "version");
    if (strstr(fixture->run.out, " lua ") == NULL) skip();
    static const char *const fine[] = {"2", "return 2", "local x = 1 return x + 1",
                                       "return function(self) return 2 end"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        assert_int_equal(run(fixture, "eval --lua '%s'", fine[i]), 0);
        assert_string_equal(fixture->run.out, "2\n");
    }
    assert_int_equal(run(fixture, "eval --lua 'retrun 1'"), 1);
    assert_true(
        contains(fixture->run.err, "  retrun 1\n         ^\n  hint: did you mean \"return\"?"));
    assert_int_equal(run(fixture, "eval --lua '1 +'"), 1);
    assert_true(contains(fixture->run.err, "1:4: error: the code ends where more was expected\n"
                                           "  1 +\n     ^\n  hint: expected an expression"));
}

static void eval_javascript_statements_run_and_slips_are_told(void **state)
{
    struct fixture *fixture = *state;
    (void)run(fixture, "version");
    if (strstr(fixture->run.out, "javascript") == NULL) skip();
    assert_int_equal(run(fixture, "eval --js 'const x = 2; return x * 3'"), 0);
    assert_string_equal(fixture->run.out, "6\n");
    assert_int_equal(run(fixture, "eval --ts 'let a: number = 1; return a'"), 0);
    assert_string_equal(fixture->run.out, "1\n");
    assert_int_equal(run(fixture, "eval --js 'retrun 1'"), 1);
    assert_true(
        contains(fixture->run.err, "  retrun 1\n         ^\n  hint: did you mean \"return\"?"));
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

static void eval_json_duplicate_keys_are_counted_on_stderr(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "twice.json", "{\"a\":1,\"b\":{\"c\":1,\"c\":2,\"c\":3},\"a\":4}");
    file_put(fixture, "once.json", "{\"a\":{\"a\":1}}");
    assert_int_equal(run(fixture, "eval --json twice.json --compact"), 0);
    assert_string_equal(fixture->run.out, "{\"a\":4,\"b\":{\"c\":3}}\n");
    assert_string_equal(fixture->run.err,
                        "twice.json: warning: 3 duplicate keys: the last value won\n");
    assert_int_equal(run(fixture, "eval --json once.json"), 0);
    assert_string_equal(fixture->run.err, "");
    assert_int_equal(run(fixture, "eval self.a --self - <twice.json"), 0);
    assert_string_equal(fixture->run.out, "4\n");
    assert_true(contains(fixture->run.err, "standard input: warning: 3 duplicate keys"));
    assert_int_equal(run(fixture, "eval v.a --bind 'v={\"a\":1,\"a\":2}'"), 0);
    assert_string_equal(fixture->run.out, "2\n");
    assert_string_equal(fixture->run.err, "v: warning: 1 duplicate key: the last value won\n");
}

static void eval_compact_prints_one_line(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "a.json", "{ \"b\" : [ 1, {} , [ ] ] }");
    assert_int_equal(run(fixture, "eval --json a.json --compact"), 0);
    assert_string_equal(fixture->run.out, "{\"b\":[1,{},[]]}\n");
    assert_int_equal(run(fixture, "eval '[1, {\"a\": 2}]' --compact"), 0);
    assert_string_equal(fixture->run.out, "[1,{\"a\":2}]\n");
}

static void eval_files_that_cannot_be_read_say_why(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval --json ."), 1);
    assert_string_equal(fixture->run.err, ".: error: cannot be read: Is a directory\n");
    assert_int_equal(run(fixture, "eval --yaml ."), 1);
    assert_true(contains(fixture->run.err, "Is a directory"));
    assert_int_equal(run(fixture, "eval 1 --self ."), 2);
    assert_true(contains(fixture->run.err, "Is a directory"));
    assert_int_equal(run(fixture, "eval --json nowhere"), 1);
    assert_true(contains(fixture->run.err, "nowhere: error: cannot be read: No such file"));
    assert_int_equal(run(fixture, "eval --json - <."), 1);
    assert_true(contains(fixture->run.err, "standard input: error: cannot be read: Is a dir"));
}

/* A file with holes costs no disk: 300 MiB of zero bytes, and 80 MiB of them as YAML. */
static void eval_files_beyond_the_limit_are_refused_with_size_and_limit(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "version >/dev/null; truncate -s 300M big.json big.yaml"), 0);
    assert_int_equal(run(fixture, "eval --json big.json"), 1);
    assert_string_equal(fixture->run.err, "big.json: error: this file has 314572800 bytes, and the "
                                          "limit is 268435456 (256 MiB)\n");
    assert_int_equal(run(fixture, "eval --yaml big.yaml"), 1);
    assert_true(contains(fixture->run.err, "the limit is 67108864 (64 MiB)"));
    assert_int_equal(
        run(fixture, "version >/dev/null; cat big.json | %s eval --json -", fixture->program), 1);
    assert_true(contains(fixture->run.err, "standard input: error: this is longer than the limit"));
}

/* 80 MiB of blanks around a number: longer than any spec may be, and read whole. */
static void eval_json_larger_than_a_spec_is_read_whole(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        run(fixture, "version >/dev/null; (head -c 83886080 /dev/zero | tr '\\0' ' '; echo 7) >a"),
        0);
    assert_int_equal(run(fixture, "eval --json a"), 0);
    assert_string_equal(fixture->run.out, "7\n");
}

static void eval_errors_have_a_caret_under_the_place(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "lines", "1 + slef.a\n'ä' + (1 / 0 > 1 ? '' : '')\n");
    assert_int_equal(run(fixture, "eval <lines"), 1);
    assert_string_equal(fixture->run.err, "1:5: error: undeclared reference to 'slef'\n"
                                          "  1 + slef.a\n"
                                          "      ^\n"
                                          "  hint: did you mean \"self\"?\n"
                                          "1:11: error: divide by zero (cel_error)\n"
                                          "  'ä' + (1 / 0 > 1 ? '' : '')\n"
                                          "           ^\n");
    assert_int_equal(run(fixture, "eval 'true &&\n\t1 / 0 == 0'"), 1);
    assert_string_equal(fixture->run.err, "2:4: error: divide by zero (cel_error)\n"
                                          "  \t1 / 0 == 0\n"
                                          "  \t  ^\n");
    assert_int_equal(run(fixture, "eval '1 +'"), 1);
    assert_true(contains(fixture->run.err, "  1 +\n     ^\n"));
    assert_int_equal(run(fixture, "eval '1 +' --format json"), 1);
    assert_string_equal(fixture->run.err, "");
}

/* Of a long line only what is near the place is shown. */
static void eval_error_in_a_long_line_is_cut(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "eval \"$(printf '1 + %%.0s' $(seq 100))x$(printf ' + 1%%.0s' "
                                  "$(seq 100))\""),
                     1);
    assert_true(contains(fixture->run.err, "1:401: error: undeclared reference to 'x'"));
    char want[160];
    (void)snprintf(want, sizeof(want), "\n   %60s^\n", "");
    assert_true(contains(fixture->run.err, want));
    assert_true(contains(fixture->run.err, "  …1 + 1 + "));
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

/* A real zsh behind a terminal of its own: each word and a tab, until what it becomes is there. */
static void completion_zsh_completes_in_a_terminal(void **state)
{
    struct fixture *fixture = *state;
    if (run(fixture, "version >/dev/null; command -v zsh") != 0) skip();
    file_put(fixture, "try.zsh",
             "zmodload zsh/zpty || exit 9\n"
             "zpty z env TERM=dumb zsh -f -i\n"
             "zpty -w z \"PATH=${1:h}:\\$PATH; autoload -Uz compinit; compinit -u -D;\"\\\n"
             "' eval \"$(sluice completion zsh)\"; bindkey ^I complete-word; setopt nobeep;'\\\n"
             "' print READY-$((6 * 7))'\n"
             "zpty -r z out '*READY-42*'\n"
             "try() {\n"
             "    zpty -w -n z \"$1\"$'\\t'\n"
             "    zpty -r z out \"*$2*\"\n"
             "    print -r -- \"$2\"\n"
             "    zpty -w -n z $'\\x15'\n"
             "}\n"
             "try 'sluice roll' 'rollback '\n"
             "try 'sluice start --poll' '--poller='\n"
             "try 'sluice get -o y' 'yaml'\n"
             "zpty -d z\n");
    assert_int_equal(run(fixture, "version >/dev/null; timeout 60 zsh -f try.zsh '%s'", program),
                     0);
    assert_string_equal(fixture->run.out, "rollback \n--poller=\nyaml\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    program = argv[1];
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(eval_cel_with_names_and_self_prints_json),
        T(eval_self_may_be_json_itself),
        T(eval_of_two_subjects_is_refused),
        T(eval_js_with_a_comma_is_its_last_value),
        T(eval_lua_of_any_form_runs_and_slips_are_told),
        T(eval_javascript_statements_run_and_slips_are_told),
        T(eval_mistakes_exit_1_with_their_place),
        T(eval_lines_are_one_expression_each),
        T(eval_javascript_runs_expressions_and_modules),
        T(eval_json_and_yaml_are_parsed_and_printed),
        T(eval_json_duplicate_keys_are_counted_on_stderr),
        T(eval_compact_prints_one_line),
        T(eval_files_that_cannot_be_read_say_why),
        T(eval_files_beyond_the_limit_are_refused_with_size_and_limit),
        T(eval_json_larger_than_a_spec_is_read_whole),
        T(eval_errors_have_a_caret_under_the_place),
        T(eval_error_in_a_long_line_is_cut),
        T(eval_cases_counts_and_exits_by_failures),
        T(help_of_every_command_has_usage_and_examples),
        T(completion_bash_is_accepted_and_completes),
        T(completion_zsh_completes_in_a_terminal),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
