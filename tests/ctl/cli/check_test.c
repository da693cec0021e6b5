/* SPDX-License-Identifier: MIT */
/* `sluice check`, run as a program, over single files and over the corpus of broken ones. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ctl/cli/fixture.h"

enum { CORPUS_FILES_MIN = 60, EXPECT_SIZE = 64 * 1024 };

static const char *program;
static const char *corpus;

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

static const char *const good = "- kind: router\n"
                                "  name: router\n"
                                "  routes: [{method: GET, path: /a, port: 'out[0]'}]\n"
                                "  ports: {'out[0]': [{name: answer, port: in}]}\n"
                                "- {kind: snippet, name: answer, language: text, code: hi}\n";

static void check_good_file_exits_0(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "good.yaml", good);
    assert_int_equal(run(fixture, "check good.yaml"), 0);
    assert_true(contains(fixture->run.out, "2 specs in 1 file: no mistakes"));
    assert_string_equal(fixture->run.err, "");
}

static void check_several_mistakes_tells_all_with_nearest_names(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "bad.yaml",
             "- kind: router\n"
             "  name: router\n"
             "  routes:\n"
             "    - {method: GET, path: /a, port: 'out[0]'}\n"
             "    - {method: GET, path: /b, port: 'out[1]'}\n"
             "  ports: {'out[0]': [{name: anser, port: in}, {name: answer, port: 'in[4]'}]}\n"
             "- {kind: snippet, name: answer, language: text, cod: hi}\n"
             "- {kind: snipet, name: other}\n");
    assert_int_equal(run(fixture, "check bad.yaml"), 1);
    const char *err = fixture->run.err;
    assert_true(contains(err, "bad.yaml:5:37: warning: port \"out[1]\" has no edge"));
    assert_true(contains(err, "bad.yaml:6:29: error: there is no node \"anser\""));
    assert_true(contains(err, "hint: did you mean \"answer\"?"));
    assert_true(contains(err, "error: node \"answer\" (snippet) has no port in[4]"));
    assert_true(contains(err, "bad.yaml:7:49: error: unknown field \"cod\""));
    assert_true(contains(err, "bad.yaml:8:10: error: unknown kind \"snipet\""));
}

static void check_counts_one_warning_as_one(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "warned.yaml",
             "- kind: router\n"
             "  name: router\n"
             "  routes: [{method: GET, path: /a, port: 'out[0]'}]\n");
    assert_int_equal(run(fixture, "check warned.yaml"), 0);
    assert_true(contains(fixture->run.out, "1 spec in 1 file: no mistakes, 1 warning\n"));
}

static void check_json_prints_one_document(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "bad.yaml", "{kind: snippet, name: a, language: text, cod: hi}\n");
    assert_int_equal(run(fixture, "check --format json -f bad.yaml"), 1);
    assert_true(contains(fixture->run.out, "\"code\": \"unknown_field\""));
    assert_true(contains(fixture->run.out, "\"line\": 1"));
    assert_string_equal(fixture->run.err, "");
    file_put(fixture, "good.yaml", good);
    assert_int_equal(run(fixture, "check --format json good.yaml"), 0);
    assert_true(contains(fixture->run.out, "\"errors\": 0"));
}

static void check_env_given_tells_unbound_names(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "env.yaml",
             "kind: snippet\nname: a\nlanguage: cel\ncode: env.X\n"
             "env: {X: {data: '{{ .PORT }}'}}\n");
    assert_int_equal(run(fixture, "check env.yaml"), 0);
    assert_int_equal(run(fixture, "check env.yaml -e PORT=1"), 0);
    assert_int_equal(run(fixture, "check env.yaml -e PROT=1"), 1);
    assert_true(contains(fixture->run.err, "env.yaml:5:"));
    assert_int_equal(run(fixture, "check env.yaml -e PORT"), 2);
}

static void check_config_shows_origins_and_no_values_of_env(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "sluice.yaml", "spin: 7us\ncores: 0\nenv: [TOKEN=hush]\n");
    assert_int_equal(run(fixture, "check --config"), 0);
    assert_true(contains(fixture->run.out, "TOKEN="));
    assert_null(strstr(fixture->run.out, "hush"));
    assert_int_equal(run(fixture, "check --config --format json"), 0);
    assert_true(contains(fixture->run.out, "\"origin\": \"file\""));
    assert_null(strstr(fixture->run.out, "hush"));
}

/* One line of the file is wrong: the exit code, and what is said of it. */
static void check_config_wrong_line_is_told_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"spin: 7\nbufers: 12\n",
         "sluice.yaml:2:1: error: unknown key \"bufers\"; did you mean \"buffers\"?"},
        {"spin: 50 parsecs\n", "sluice.yaml:1:7: error: \"spin: 50 parsecs\": expected a duration"},
        {"spin: 2s\n", "up to 1000000us"},
        {"cores: 0\nbuffers: 300\n", "sluice.yaml:2:10: error: \"buffers: 300\": expected a power"},
        {"buffers: 4\n", "expected a number from 8 to 32768"},
        {"buffer-size: 12\n", "expected a number of bytes from 1024 to 1048576"},
        {"batch: 65537\n", "expected a number from 0 to 65536"},
        {"backlog: 0\n", "expected a number from 1 to 65535"},
        {"priority: urgent\n", "sluice.yaml:1:11: error: \"priority: urgent\": expected normal"},
        {"priority: 20\n", "expected normal, -20 to 19 (nice), or fifo:1 to fifo:99"},
        {"priority: fifo:0\n", "expected normal"},
        {"cores: 0,0\n", "expected auto, or different cores"},
        {"cores: 3-1\n", "expected auto, or different cores"},
        {"cores: 0,\n", "expected auto, or different cores"},
        {"cores: 1023\n", "core 1023 is not there, or not allowed"},
        {"control-core: 0-1\n", "expected none, or one core"},
        {"control-core: 1023\n", "core 1023 is not there"},
        {"poller: select\n", "expected auto, uring or epoll"},
        {"cores: [0, 1]\n", "expected one value, not a list"},
        {"spin: {a: 1}\n", "sluice.yaml:1:7: error: \"spin\": expected text or a number"},
        {"- spin\n", "must be a map"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        file_put(fixture, "sluice.yaml", cases[i].text);
        assert_int_equal(run(fixture, "check --config"), 2);
        assert_true(contains(fixture->run.err, cases[i].said));
    }
}

static void check_config_flag_and_variable_are_named_as_given(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "start --spin x"), 2);
    assert_true(contains(fixture->run.err, "\"--spin x\": expected a duration"));
    assert_int_equal(run(fixture, "version >/dev/null; SLUICE_BATCH=x %s start", program), 2);
    assert_true(contains(fixture->run.err, "\"SLUICE_BATCH=x\": expected a number"));
}

static void check_without_files_is_wrong_usage(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "check"), 2);
    assert_int_equal(run(fixture, "chek"), 2);
    assert_true(contains(fixture->run.err, "did you mean \"check\"?"));
    assert_int_equal(run(fixture, "check nowhere.yaml"), 1);
}

/* Every diagnostic that the .expect file holds is said, and the exit code is 1. */
static const char *const costly = "- kind: snippet\n"
                                  "  name: near\n"
                                  "  language: cel\n"
                                  "  code: self.body.age >= 18\n"
                                  "- kind: snippet\n"
                                  "  name: far\n"
                                  "  language: cel\n"
                                  "  code: |\n"
                                  "    has(self.body) &&\n"
                                  "      self.body.exists(x, x > 1)\n";

static void check_costs_of_cel_are_shown(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "costly.yaml", costly);
    assert_int_equal(run(fixture, "check costly.yaml"), 0);
    assert_true(contains(fixture->run.out, "near  costly.yaml:4:9  "));
    assert_true(contains(fixture->run.out, "unbounded  10000000  \"exists\" depends on the size of "
                                           "its input (10:17)"));
    assert_int_equal(run(fixture, "check --format json costly.yaml"), 0);
    assert_true(contains(fixture->run.out, "\"limit\": 10000000"));
    assert_true(contains(fixture->run.out, "\"bound\": null"));
    assert_true(contains(fixture->run.out, "\"on\": \"exists\",\n        \"line\": 10"));
}

static bool corpus_file_holds(struct fixture *fixture, const char *name)
{
    static char expected[EXPECT_SIZE];
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%.*s.expect", corpus, (int)(strrchr(name, '.') - name),
                   name);
    FILE *file = fopen(path, "r");
    size_t size = file != NULL ? fread(expected, 1, sizeof(expected) - 1, file) : 0;
    expected[size] = '\0';
    if (file != NULL) (void)fclose(file);
    fixture->cwd = corpus;
    int exit_code = run(fixture, "check %s", name);
    bool holds = exit_code == 1 && size > 0;
    char *at = expected;
    for (char *line = strsep(&at, "\n"); line != NULL; line = strsep(&at, "\n")) {
        holds = contains(fixture->run.err, line) && holds;
    }
    if (!holds) print_error("%s: exit code %d\n", name, exit_code);
    return holds;
}

static void check_corpus_says_what_is_expected(void **state)
{
    struct dirent **names = NULL;
    unsigned files = 0;
    unsigned failed = 0;
    int count = scandir(corpus, &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        const char *dot = strrchr(names[i]->d_name, '.');
        if (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0)) {
            files++;
            failed += !corpus_file_holds(*state, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    print_message("%u broken files checked\n", files);
    assert_true(files >= CORPUS_FILES_MIN);
    assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    program = argv[1];
    corpus = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_good_file_exits_0, setup, teardown),
        cmocka_unit_test_setup_teardown(check_several_mistakes_tells_all_with_nearest_names, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(check_json_prints_one_document, setup, teardown),
        cmocka_unit_test_setup_teardown(check_counts_one_warning_as_one, setup, teardown),
        cmocka_unit_test_setup_teardown(check_env_given_tells_unbound_names, setup, teardown),
        cmocka_unit_test_setup_teardown(check_config_shows_origins_and_no_values_of_env, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(check_config_wrong_line_is_told_with_its_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(check_config_flag_and_variable_are_named_as_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(check_without_files_is_wrong_usage, setup, teardown),
        cmocka_unit_test_setup_teardown(check_costs_of_cel_are_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(check_corpus_says_what_is_expected, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
