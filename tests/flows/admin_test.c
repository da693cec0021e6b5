/* SPDX-License-Identifier: MIT */
/*
 * The workflow that manages nodes over HTTP, as a client sees it. Every test starts with an empty
 * namespace `default`.
 */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flow_server server;
static int port;
static bool is_example; /* docs/examples/admin.yaml: its DELETE has to be told what */

static int ask(const char *method, const char *body, struct flow_reply *reply)
{
    return flow_ask(port, method, "/v1/nodes", body, reply);
}

/* The newest revision, from the log of the store: a read lists everything. */
static size_t nodes_size(void)
{
    struct flow_reply reply;
    assert_int_equal(ask("GET", NULL, &reply), 200);
    size_t size = reply.body_size;
    flow_reply_fini(&reply);
    return size;
}

static void refused_with(int wanted, const char *method, const char *body, const char *text)
{
    struct flow_reply reply;
    size_t before = nodes_size();
    int status = ask(method, body, &reply);
    if (status != wanted) print_error("%s\n%s\n", body != NULL ? body : "(no body)", reply.body);
    assert_int_equal(status, wanted);
    flow_assert_has(reply.head, "application/json");
    flow_assert_has(reply.body, "{\"error\":");
    flow_assert_has(reply.body, text);
    flow_reply_fini(&reply);
    assert_int_equal(nodes_size(), before);
}

static void refused(const char *method, const char *body, const char *text)
{
    refused_with(400, method, body, text);
}

/* Everything but the admin's own namespace. */
static int delete_all(struct flow_reply *reply)
{
    return ask("DELETE", is_example ? "{\"namespace\":\"default\"}" : NULL, reply);
}

static int setup(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(delete_all(&reply), 204);
    flow_reply_fini(&reply);
    return 0;
}

#define SNIPPET_A "{\"kind\":\"snippet\",\"name\":\"a\",\"language\":\"text\",\"code\":\"hi\"}"

static void create_one_spec_answers_201_with_list(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("POST", SNIPPET_A, &reply), 201);
    assert_int_equal(strncmp(reply.body, "[{", 2), 0);
    flow_assert_has(reply.body, "\"namespace\":\"default\"");
    flow_assert_has(reply.body, "\"id\":\"");
    flow_reply_fini(&reply);
}

static void create_list_of_specs_answers_all(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(
        ask("POST",
            "[" SNIPPET_A
            ",{\"kind\":\"snippet\",\"name\":\"b\",\"language\":\"json\",\"code\":\"1\"}]",
            &reply),
        201);
    flow_assert_has(reply.body, "\"name\":\"a\"");
    flow_assert_has(reply.body, "\"name\":\"b\"");
    flow_reply_fini(&reply);
}

static void create_null_or_nothing_is_refused(void **state)
{
    (void)state;
    refused("POST", "null", "{\"error\":\"unsupported value\"}");
    refused("POST", NULL, "{\"error\":\"unsupported value\"}");
}

static void create_duplicate_name_is_refused(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("POST", SNIPPET_A, &reply), 201);
    flow_reply_fini(&reply);
    refused("POST", SNIPPET_A, "exists already");
}

static void create_malformed_json_is_refused(void **state)
{
    (void)state;
    refused("POST", "{\"kind\":", "line 1, column 9");
}

static void create_unknown_kind_is_refused_with_nearest(void **state)
{
    (void)state;
    refused("POST", "{\"kind\":\"snipet\",\"name\":\"a\"}", "did you mean \\\"snippet\\\"");
}

static void create_that_does_not_compile_is_refused_with_place(void **state)
{
    (void)state;
    refused(
        "POST",
        "{\"kind\":\"snippet\",\"name\":\"x\",\"language\":\"cel\",\"code\":\"1 +\\n  self.(\"}",
        "2:8");
    refused("POST",
            "{\"kind\":\"snippet\",\"name\":\"x\",\"language\":\"javascript\","
            "\"code\":\"export default function (args) {\\n  return ][;\\n}\"}",
            "2:10");
    refused("POST",
            "{\"kind\":\"snippet\",\"name\":\"x\",\"language\":\"json\",\"code\":\"{\\\"a\\\":}\"}",
            "1:6");
}

static void create_one_bad_of_two_stores_neither(void **state)
{
    (void)state;
    refused("POST", "[" SNIPPET_A ",{\"kind\":\"snipet\",\"name\":\"b\"}]", "unknown kind");
}

static void update_is_a_merge_patch(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("POST", SNIPPET_A, &reply), 201);
    flow_reply_fini(&reply);
    assert_int_equal(
        ask("PATCH", "{\"name\":\"a\",\"code\":\"ho\",\"annotations\":{\"x\":\"y\",\"z\":\"1\"}}",
            &reply),
        200);
    flow_assert_has(reply.body, "\"code\":\"ho\"");
    flow_assert_has(reply.body, "\"language\":\"text\"");
    flow_reply_fini(&reply);
    assert_int_equal(ask("PATCH", "{\"name\":\"a\",\"annotations\":{\"x\":null}}", &reply), 200);
    flow_assert_has(reply.body, "\"annotations\":{\"z\":\"1\"}");
    flow_reply_fini(&reply);
}

static void update_bad_is_refused(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("POST", SNIPPET_A, &reply), 201);
    flow_reply_fini(&reply);
    refused("PATCH", "{\"name\":\"a\",\"language\":\"cel\",\"code\":\"1 +\"}", "1:4");
    refused("PATCH", "{\"name\":\"a\",\"prot\":1}", "prot");
    refused("PATCH", "null", "unsupported value");
    refused("PATCH", "{\"code\":\"x\"}", "");
}

/* system.yaml knows no 404: what has "unsupported value" in its chain is 400 there. */
static void update_of_unknown_name_is_refused_with_nearest(void **state)
{
    (void)state;
    struct flow_reply reply;
    int status = is_example ? 404 : 400;
    assert_int_equal(ask("POST",
                         "[" SNIPPET_A ",{\"kind\":\"snippet\",\"name\":\"bottle\","
                         "\"language\":\"json\",\"code\":\"1\"}]",
                         &reply),
                     201);
    flow_reply_fini(&reply);
    refused_with(status, "PATCH", "{\"name\":\"nobody\",\"code\":\"x\"}",
                 "there is no node \\\"nobody\\\" in namespace \\\"default\\\"\"");
    refused_with(status, "PATCH", "{\"name\":\"botle\",\"code\":\"2\"}",
                 "did you mean \\\"bottle\\\"?");
    refused_with(status, "PATCH", "{\"name\":\"catch\",\"code\":\"2\"}",
                 "there is one in namespace \\\"system\\\"");
    refused_with(status, "PATCH",
                 "{\"id\":\"5af3a319-6895-519d-85a6-30ff3316df77\",\"code\":\"x\"}",
                 "with id \\\"5af3a319");
    /* All of a list or nothing of it. */
    refused_with(status, "PATCH",
                 "[{\"name\":\"bottle\",\"code\":\"234\"},{\"name\":\"botle\",\"code\":\"2\"}]",
                 "bottle");
}

static void delete_of_the_example_needs_to_be_told_what(void **state)
{
    (void)state;
    struct flow_reply reply;
    if (!is_example) return; /* system.yaml deletes everything */
    assert_int_equal(ask("POST",
                         "[" SNIPPET_A ",{\"kind\":\"snippet\",\"name\":\"bottle\","
                         "\"language\":\"json\",\"code\":\"1\"}]",
                         &reply),
                     201);
    flow_reply_fini(&reply);
    static const char *const vague[] = {NULL, "null", "{}", "[]", "[{\"name\":\"a\"},{}]", "7"};
    for (size_t i = 0; i < sizeof(vague) / sizeof(vague[0]); i++) {
        refused("DELETE", vague[i], "?name=NAME");
    }
    refused_with(404, "DELETE", "{\"name\":\"botle\"}", "did you mean \\\"bottle\\\"?");
    refused_with(404, "DELETE", "[{\"name\":\"a\"},{\"name\":\"botle\"}]", "bottle");
    assert_int_equal(flow_ask(port, "DELETE", "/v1/nodes?name=botle", NULL, &reply), 404);
    flow_assert_has(reply.body, "in namespace \\\"default\\\"; did you mean");
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "DELETE", "/v1/nodes?name=bottle", NULL, &reply), 204);
    flow_reply_fini(&reply);
    assert_int_equal(ask("DELETE", "{\"name\":\"a\"}", &reply), 204);
    flow_reply_fini(&reply);
    /* What names nobody may match nothing. */
    assert_int_equal(ask("DELETE", "{\"namespace\":\"elsewhere\"}", &reply), 204);
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "DELETE", "/v1/secrets", NULL, &reply), 400);
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "DELETE", "/v1/secrets?name=key", NULL, &reply), 404);
    flow_assert_has(reply.body, "there is no secret \\\"key\\\"");
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "PATCH", "/v1/secrets", "{\"name\":\"key\"}", &reply), 404);
    flow_reply_fini(&reply);
}

static void delete_spares_its_own_namespace(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("POST", SNIPPET_A, &reply), 201);
    flow_reply_fini(&reply);
    assert_int_equal(delete_all(&reply), 204);
    assert_int_equal(reply.body_size, 0);
    flow_reply_fini(&reply);
    assert_int_equal(ask("GET", NULL, &reply), 200);
    flow_assert_has(reply.body, "\"namespace\":\"system\"");
    flow_assert_lacks(reply.body, "\"namespace\":\"default\"");
    flow_reply_fini(&reply);
}

static void router_answers_other_methods_and_paths(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(ask("HEAD", NULL, &reply), 200);
    flow_assert_has(reply.head, "Content-Length: ");
    flow_reply_fini(&reply);
    assert_int_equal(ask("OPTIONS", NULL, &reply), 204);
    flow_assert_has(reply.head, "Allow: POST, GET, PATCH, DELETE, HEAD, OPTIONS\r\n");
    flow_reply_fini(&reply);
    assert_int_equal(ask("PUT", "1", &reply), 405);
    flow_assert_has(reply.head, "Allow: POST, GET, PATCH, DELETE, HEAD, OPTIONS\r\n");
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "GET", "/nowhere", NULL, &reply), 404);
    flow_reply_fini(&reply);
}

static void start_admin(const char *file)
{
    static unsigned number;
    port = flow_port();
    flow_start(&server, (const char *[]){"-n", "system", "--from-specs", file, "-e",
                                         flow_text("PORT=%d", port), "--data",
                                         flow_path("data-%u", number++), "--cores", "0", NULL});
}

static int run_all(const char *file, const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(create_one_spec_answers_201_with_list, setup),
        cmocka_unit_test_setup(create_list_of_specs_answers_all, setup),
        cmocka_unit_test_setup(create_null_or_nothing_is_refused, setup),
        cmocka_unit_test_setup(create_duplicate_name_is_refused, setup),
        cmocka_unit_test_setup(create_malformed_json_is_refused, setup),
        cmocka_unit_test_setup(create_unknown_kind_is_refused_with_nearest, setup),
        cmocka_unit_test_setup(create_that_does_not_compile_is_refused_with_place, setup),
        cmocka_unit_test_setup(create_one_bad_of_two_stores_neither, setup),
        cmocka_unit_test_setup(update_is_a_merge_patch, setup),
        cmocka_unit_test_setup(update_bad_is_refused, setup),
        cmocka_unit_test_setup(update_of_unknown_name_is_refused_with_nearest, setup),
        cmocka_unit_test_setup(delete_of_the_example_needs_to_be_told_what, setup),
        cmocka_unit_test_setup(delete_spares_its_own_namespace, setup),
        cmocka_unit_test_setup(router_answers_other_methods_and_paths, setup),
    };
    start_admin(file);
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    if (flow_stop(&server, SIGTERM) != 0) failed++;
    return failed;
}

/* ---- errors --------------------------------------------------------------------------------- */

static void error_without_catch_is_generic_and_logged(void **state)
{
    (void)state;
    struct flow_server own;
    struct flow_reply reply;
    int at = flow_port();
    const char *file = flow_file("errors.yaml", "- kind: listener\n"
                                                "  name: web\n"
                                                "  protocol: http\n"
                                                "  port: '{{ .PORT }}'\n"
                                                "  env: {PORT: {data: '{{ .PORT }}'}}\n"
                                                "  ports: {out: [{name: boom, port: in}]}\n"
                                                "- kind: snippet\n"
                                                "  name: boom\n"
                                                "  language: javascript\n"
                                                "  code: |\n"
                                                "    export default function (args) {\n"
                                                "      throw new Error('hunter2');\n"
                                                "    }\n");
    flow_start(&own, (const char *[]){file, "-e", flow_text("PORT=%d", at), "--cores", "0", NULL});
    assert_int_equal(flow_ask(at, "GET", "/", NULL, &reply), 500);
    flow_assert_lacks(reply.body, "hunter2");
    flow_assert_has(reply.body, "Internal Server Error");
    flow_reply_fini(&reply);
    assert_true(flow_wait_log(&own, "node \"boom\""));
    char *log = flow_read(own.log, NULL);
    flow_assert_has(log, "errors.yaml:12:");
    flow_assert_has(log, "hunter2");
    free(log);
    assert_int_equal(flow_stop(&own, SIGTERM), 0);
}

static void error_with_catch_is_the_reply_of_the_workflow(void **state)
{
    (void)state;
    struct flow_server own;
    struct flow_reply reply;
    int at = flow_port();
    const char *file =
        flow_file("catch.yaml",
                  "- {kind: listener, name: web, protocol: http, port: '{{ .PORT }}',\n"
                  "   env: {PORT: {data: '{{ .PORT }}'}},\n"
                  "   ports: {out: [{name: boom, port: in}], error: [{name: catch, port: in}]}}\n"
                  "- kind: snippet\n"
                  "  name: boom\n"
                  "  language: javascript\n"
                  "  code: |\n"
                  "    export default function (args) { throw new Error('known'); }\n"
                  "- kind: snippet\n"
                  "  name: catch\n"
                  "  language: javascript\n"
                  "  code: |\n"
                  "    export default function (args) {\n"
                  "      return {body: 'caught: ' + args.error(), status: 418};\n"
                  "    }\n");
    flow_start(&own, (const char *[]){file, "-e", flow_text("PORT=%d", at), "--cores", "0", NULL});
    assert_int_equal(flow_ask(at, "GET", "/", NULL, &reply), 418);
    flow_assert_has(reply.body, "caught: ");
    flow_assert_has(reply.body, "known");
    flow_reply_fini(&reply);
    assert_int_equal(flow_stop(&own, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_without_catch_is_generic_and_logged),
        cmocka_unit_test(error_with_catch_is_the_reply_of_the_workflow),
    };
    char path[FLOW_PATH_SIZE];
    int failed = 0;
    is_example = true;
    if (flow_source("docs/examples/admin.yaml", path)) failed += run_all(path, "admin.yaml");
    is_example = false;
    if (flow_source("../shared/seeds/system.yaml", path)) {
        failed += run_all(path, "system.yaml");
    } else {
        print_message("skipped: ../shared/seeds/system.yaml is not there\n");
    }
    return failed + cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
