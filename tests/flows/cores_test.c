/* SPDX-License-Identifier: MIT */
/* Two shards: both serve, and a node placed on one of them works for requests of both. */
#include "tests/flows/harness.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CORES_ROUNDS = 40, CORES_BIG = 1000 * 1000 };

static struct flow_server server;
static int port;

static void both_shards_serve(void **state)
{
    (void)state;
    char *text;
    uint64_t requests[2] = {0};
    for (int i = 0; i < CORES_ROUNDS; i++) (void)flow_until(port, "/near", 200, "near");
    int code = flow_run(
        (const char *[]){"status", "--control", flow_path("control"), "--format", "json", NULL},
        &text);
    assert_int_equal(code, 0);
    const char *at = strstr(text, "\"shards\"");
    for (int i = 0; i < 2; i++) {
        at = strstr(at, "\"requests\": ");
        assert_non_null(at);
        at += 12;
        requests[i] = strtoul(at, NULL, 10);
    }
    free(text);
    print_message("requests per shard: %llu, %llu\n", (unsigned long long)requests[0],
                  (unsigned long long)requests[1]);
    assert_true(requests[0] > 0);
    assert_true(requests[1] > 0);
}

/* Connections are spread by the kernel: enough of them reach both shards. */
static void node_on_another_core_answers(void **state)
{
    (void)state;
    for (int i = 0; i < CORES_ROUNDS; i++) (void)flow_until(port, "/far", 200, "far GET");
}

static void node_on_another_core_fails_with_its_error(void **state)
{
    (void)state;
    for (int i = 0; i < CORES_ROUNDS; i++) {
        struct flow_reply reply;
        assert_int_equal(flow_ask(port, "GET", "/fail", NULL, &reply), 418);
        flow_assert_has(reply.body, "no such key: nothing");
        flow_reply_fini(&reply);
    }
}

static void node_on_another_core_takes_big_payloads(void **state)
{
    (void)state;
    char *body = malloc(CORES_BIG + 3);
    assert_non_null(body);
    memset(body, 'x', CORES_BIG + 2);
    body[0] = body[CORES_BIG + 1] = '"';
    body[CORES_BIG + 2] = '\0';
    for (int i = 0; i < 8; i++) {
        struct flow_reply reply;
        assert_int_equal(flow_ask(port, "POST", "/big", body, &reply), 200);
        assert_int_equal(reply.body_size, CORES_BIG);
        assert_memory_equal(reply.body, body + 1, CORES_BIG);
        flow_reply_fini(&reply);
    }
    free(body);
}

/* The scheduling class of the server's first shard; -1: it has none. */
static int shard_class(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    int class = -1;
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') continue;
        char name[32] = "";
        FILE *in = fopen(flow_text("%s/%s/comm", path, entry->d_name), "re");
        if (in == NULL) continue; /* it has ended */
        (void)fgets(name, sizeof(name), in);
        (void)fclose(in);
        if (strcmp(name, "sluice/0\n") == 0) class = sched_getscheduler(atoi(entry->d_name));
    }
    (void)closedir(dir);
    return class;
}

/* A server that was started with chrt(1) keeps what its user chose. */
static void shards_keep_the_class_of_the_process(void **state)
{
    (void)state;
    struct sched_param param = {0};
    struct flow_server batch;
    int other = flow_port();
    const char *file =
        flow_file("batch.yaml", flow_text("- {kind: listener, name: b, protocol: http, port: %d,\n"
                                          "   ports: {out: [{name: t, port: in}]}}\n"
                                          "- {kind: snippet, name: t, language: text, code: t}\n",
                                          other));
    assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &param), 0);
    flow_start(&batch, (const char *[]){file, "--cores", "0", "--control", "none", NULL});
    assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &param), 0);
    assert_int_equal(shard_class(batch.pid), SCHED_BATCH);
    assert_int_equal(flow_stop(&batch, SIGTERM), 0);
    assert_int_equal(shard_class(server.pid) & ~SCHED_RESET_ON_FORK, SCHED_OTHER);
}

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    const char *file = flow_file(
        "cores.yaml",
        flow_text(
            "- {kind: listener, name: web, protocol: http, port: %d,\n"
            "   ports: {out: [{name: router, port: in}], error: [{name: catch, port: in}]}}\n"
            "- kind: router\n"
            "  name: router\n"
            "  routes:\n"
            "    - {method: GET, path: /near, port: 'out[0]'}\n"
            "    - {method: GET, path: /far, port: 'out[1]'}\n"
            "    - {method: GET, path: /fail, port: 'out[2]'}\n"
            "    - {method: POST, path: /big, port: 'out[3]'}\n"
            "  ports:\n"
            "    out[0]: [{name: near, port: in}]\n"
            "    out[1]: [{name: far, port: in}]\n"
            "    out[2]: [{name: fail, port: in}]\n"
            "    out[3]: [{name: big, port: in}]\n"
            "- {kind: snippet, name: near, language: text, code: near}\n"
            "- {kind: snippet, name: far, language: cel, code: '\"far \" + self.method',\n"
            "   placement: core 1}\n"
            "- {kind: snippet, name: fail, language: cel, code: self.nothing, placement: core 1}\n"
            "- {kind: snippet, name: big, language: cel, code: self.body, placement: core 1}\n"
            "- {kind: snippet, name: catch, language: javascript,\n"
            "   code: 'export default (e) => ({status: 418, body: e.error()})'}\n",
            port));
    flow_start(&server,
               (const char *[]){file, "--cores", "0,1", "--control", flow_path("control"), NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    int code = flow_stop(&server, SIGTERM);
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_shards_serve),
        cmocka_unit_test(node_on_another_core_answers),
        cmocka_unit_test(node_on_another_core_fails_with_its_error),
        cmocka_unit_test(node_on_another_core_takes_big_payloads),
        cmocka_unit_test(shards_keep_the_class_of_the_process),
    };
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        print_message("skipped: one core\n");
        return 77;
    }
    return cmocka_run_group_tests_name("cores", tests, group_setup, group_teardown);
}
