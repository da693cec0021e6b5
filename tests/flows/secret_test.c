/* SPDX-License-Identifier: MIT */
/* A secret's value is in what the workflow answers, and in nothing else that the program emits. */
#include "tests/flows/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET "correct-horse-battery-8313"

static struct flow_server admin;
static struct flow_server server;
static int admin_port;
static int port;
static char data[FLOW_PATH_SIZE];

static void lacks_secret(const char *what, const char *bytes, size_t size)
{
    if (memmem(bytes, size, SECRET, strlen(SECRET)) != NULL) {
        fail_msg("%s holds the secret's value", what);
    }
}

static void file_lacks_secret(const char *path)
{
    size_t size;
    char *bytes = flow_read(path, &size);
    lacks_secret(path, bytes, size);
    free(bytes);
}

static void workflow_sees_the_value(void **state)
{
    (void)state;
    (void)flow_until(port, "/", 200, SECRET);
}

static void admin_answers_lack_the_value(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v1/secrets", "/v1/nodes"};
    for (int i = 0; i < 2; i++) {
        struct flow_reply reply;
        /* The first run of a script may take its 20 ms where others want the core. */
        (void)flow_until(admin_port, paths[i], 200, "");
        assert_int_equal(flow_ask(admin_port, "GET", paths[i], NULL, &reply), 200);
        assert_true(reply.body_size > 10);
        lacks_secret(paths[i], reply.body, reply.body_size);
        flow_reply_fini(&reply);
    }
}

/* Changing it over HTTP must not echo it either, well or badly. */
static void changes_over_http_lack_the_value(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"name\":\"other\",\"data\":\"" SECRET "\"}",
        "{\"name\":\"other\",\"data\":\"" SECRET "\"}",
    };
    for (int i = 0; i < 2; i++) {
        struct flow_reply reply;
        int status = flow_ask(admin_port, "POST", "/v1/secrets", bodies[i], &reply);
        assert_int_equal(status, i == 0 ? 201 : 400);
        lacks_secret("an answer", reply.body, reply.body_size);
        flow_reply_fini(&reply);
    }
}

static void commands_lack_the_value(void **state)
{
    (void)state;
    const char *const commands[][8] = {
        {"get", "secrets", "--data", data, NULL},
        {"get", "secrets", "--data", data, "-o", "yaml", NULL},
        {"get", "nodes", "--data", data, "--format", "json", NULL},
        {"history", "--data", data, NULL},
        {"status", "--data", data, "--format", "json", NULL},
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char *text;
        (void)flow_run(commands[i], &text);
        assert_true(strlen(text) > 0);
        lacks_secret(commands[i][0], text, strlen(text));
        free(text);
    }
}

static void logs_and_store_lack_the_value(void **state)
{
    (void)state;
    file_lacks_secret(admin.log);
    file_lacks_secret(server.log);
    file_lacks_secret(flow_path("data/data.mdb"));
}

/* What a script says of a secret is masked; what it answers is not. */
static void errors_and_logs_of_scripts_lack_the_value(void **state)
{
    (void)state;
    static const char *const paths[] = {"/js", "/cel"};
    struct flow_reply reply;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(flow_ask(port, "GET", paths[i], NULL, &reply), 418);
        lacks_secret(paths[i], reply.body, reply.body_size);
        assert_non_null(strstr(reply.body, "***"));
        flow_reply_fini(&reply);
    }
    assert_int_equal(flow_ask(port, "GET", "/answer", NULL, &reply), 200);
    assert_non_null(strstr(reply.body, SECRET));
    flow_reply_fini(&reply);
}

static void key_and_folder_are_private(void **state)
{
    (void)state;
    struct stat info;
    assert_int_equal(stat(data, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(flow_path("data/secret.key"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(flow_path("data/data.mdb"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static int group_setup(void **state)
{
    (void)state;
    char file[FLOW_PATH_SIZE];
    char secrets[FLOW_PATH_SIZE];
    (void)snprintf(data, sizeof(data), "%s", flow_path("data"));
    (void)snprintf(secrets, sizeof(secrets), "%s",
                   flow_file("secrets.yaml", "- {name: token, data: " SECRET "}\n"));
    assert_true(flow_source("docs/examples/admin.yaml", file));
    admin_port = flow_port();
    port = flow_port();
    const char *specs = flow_file(
        "use.yaml", flow_text("- {kind: listener, name: web, protocol: http, port: %d,\n"
                              "   ports: {out: [{name: paths, port: in}]}}\n"
                              "- kind: router\n"
                              "  name: paths\n"
                              "  routes:\n"
                              "    - {method: GET, path: /, port: 'out[0]'}\n"
                              "    - {method: GET, path: /js, port: 'out[1]'}\n"
                              "    - {method: GET, path: /cel, port: 'out[2]'}\n"
                              "    - {method: GET, path: /answer, port: 'out[3]'}\n"
                              "  ports:\n"
                              "    out[0]: [{name: tell, port: in}]\n"
                              "    out[1]: [{name: js, port: in}]\n"
                              "    out[2]: [{name: cel, port: in}]\n"
                              "    out[3]: [{name: answer, port: in}]\n"
                              "- kind: snippet\n"
                              "  name: js\n"
                              "  language: javascript\n"
                              "  env: {TOKEN: {name: token, data: '{{ . }}'}}\n"
                              "  code: |\n"
                              "    export default () => {\n"
                              "      console.log('token', env.TOKEN, {deep: [env.TOKEN]});\n"
                              "      throw Object.assign(new Error(`no: ${env.TOKEN}`),\n"
                              "        {status: 418, data: {was: env.TOKEN}});\n"
                              "    }\n"
                              "  ports: {error: [{name: explain, port: in}]}\n"
                              "- kind: snippet\n"
                              "  name: cel\n"
                              "  language: cel\n"
                              "  env: {TOKEN: {name: token, data: '{{ . }}'}}\n"
                              "  code: 'int(env.TOKEN + self.path)'\n"
                              "  ports: {error: [{name: explain, port: in}]}\n"
                              "- kind: snippet\n"
                              "  name: explain\n"
                              "  language: javascript\n"
                              "  code: |\n"
                              "    export default (e) => ({status: 418, body: {\n"
                              "      message: e.message, data: e.data ?? null}})\n"
                              "- kind: snippet\n"
                              "  name: answer\n"
                              "  language: javascript\n"
                              "  env: {TOKEN: {name: token, data: '{{ . }}'}}\n"
                              "  code: 'export default () => ({body: env.TOKEN})'\n"
                              "- {kind: snippet, name: tell, language: text,\n"
                              "   code: 'it is {{ .TOKEN }}',\n"
                              "   env: {TOKEN: {name: token, data: '{{ . }}'}}}\n",
                              port));
    flow_start(&admin,
               (const char *[]){"-n", "system", "-f", file, "-e", flow_text("PORT=%d", admin_port),
                                "--data", data, "--cores", "0", NULL});
    flow_start(&server, (const char *[]){"-f", specs, "--from-secrets", secrets, "--data", data,
                                         "--cores", "0", "--log-level", "debug", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    int code = flow_stop(&server, SIGTERM);
    if (code == 0) code = flow_stop(&admin, SIGTERM);
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workflow_sees_the_value),
        cmocka_unit_test(admin_answers_lack_the_value),
        cmocka_unit_test(changes_over_http_lack_the_value),
        cmocka_unit_test(commands_lack_the_value),
        cmocka_unit_test(errors_and_logs_of_scripts_lack_the_value),
        cmocka_unit_test(logs_and_store_lack_the_value),
        cmocka_unit_test(key_and_folder_are_private),
    };
    return cmocka_run_group_tests_name("secret", tests, group_setup, group_teardown);
}
