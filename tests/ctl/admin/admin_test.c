/* SPDX-License-Identifier: MIT */
/* The binary, asked through its control socket. argv[1]: the binary. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "ctl/admin/metrics.h"

enum { REQUESTS = 40, BODY_MAX = 1 << 20, WAIT_STEPS = 2000, WAIT_STEP_US = 10000 };

static const char *binary;
static char folder[64];
static char control[128];
static char specs[128];
static char access_log[128];
static int requests_sent;
static int port;
static pid_t pid;

static const char specs_text[] =
    "- kind: listener\n  name: listener\n  protocol: http\n  port: %d\n"
    "  ports: {out: [{name: router, port: in}]}\n"
    "- kind: router\n  name: router\n  routes:\n"
    "    - {method: GET, path: /ping, port: \"out[0]\"}\n"
    "    - {method: GET, path: /fail, port: \"out[1]\"}\n"
    "  ports:\n    \"out[0]\": [{name: pong, port: in}]\n    \"out[1]\": [{name: fail, port: in}]\n"
    "- {kind: snippet, name: pong, language: text, code: pong}\n"
    "- {kind: snippet, name: fail, language: cel, code: \"self.nothing.there\"}\n"
    "- {kind: snippet, name: lonely, language: text, code: x, ports: {out: [{name: nobody, port: "
    "in}]}}\n";

/* ---- helpers --------------------------------------------------------------------------------- */

struct reply {
    long status;
    size_t size;
    char text[BODY_MAX + 1];
};

static struct reply reply;

static size_t on_body(char *data, size_t one, size_t count, void *ctx)
{
    struct reply *to = ctx;
    size_t size = one * count;
    if (size > BODY_MAX - to->size) return 0;
    memcpy(to->text + to->size, data, size);
    to->size += size;
    to->text[to->size] = '\0';
    return size;
}

/* Status, or -1 when nobody answers. `socket`: through it, else over TCP. */
static long ask(const char *socket, const char *method, const char *path)
{
    char url[128];
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    reply.size = 0;
    reply.text[0] = '\0';
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
    if (socket != NULL) (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_cleanup(curl);
    if (socket == NULL && code == CURLE_OK) requests_sent++;
    return code == CURLE_OK ? reply.status : -1;
}

static struct sl_value ask_json(const char *path)
{
    struct sl_value value;
    assert_int_equal(ask(control, "GET", path), 200);
    assert_int_equal(
        sl_json_parse(sl_slice_make(reply.text, reply.size), NULL, NULL, 0, &value, NULL), 0);
    return value;
}

static int64_t number_of(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    assert_true(sl_value_is(value, SL_VALUE_INT));
    return value.cell->i64;
}

static bool text_is(struct sl_value map, const char *key, const char *text)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is(value, SL_VALUE_STRING) && sl_slice_eq_str(sl_value_slice(value), text);
}

static int free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    assert_int_equal(close(fd), 0);
    return ntohs(in.sin_port);
}

static int run(const char *const *arguments)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        (void)!freopen("/dev/null", "w", stderr);
        (void)execv(binary, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int setup(void **state)
{
    (void)state;
    port = free_port();
    (void)snprintf(folder, sizeof(folder), "/tmp/admin_XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    (void)snprintf(control, sizeof(control), "%s/control.sock", folder);
    (void)snprintf(specs, sizeof(specs), "%s/specs.yaml", folder);
    (void)snprintf(access_log, sizeof(access_log), "%s/access.log", folder);
    FILE *file = fopen(specs, "we");
    if (file == NULL) return -1;
    (void)fprintf(file, specs_text, port);
    (void)fclose(file);
    pid = fork();
    if (pid == 0) {
        (void)execl(binary, binary, "start", specs, "--control", control, "--cores", "0",
                    "--access-log", access_log, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (access(control, F_OK) == 0 && ask(control, "GET", "/health") == 200) return 0;
        (void)usleep(WAIT_STEP_US);
    }
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    (void)unlink(control);
    (void)unlink(specs);
    (void)unlink(access_log);
    return rmdir(folder);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void socket_file_is_mode_600(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(control, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void status_requests_sent_are_counted(void **state)
{
    (void)state;
    struct sl_value before = ask_json("/status");
    for (int i = 0; i < REQUESTS; i++) assert_int_equal(ask(NULL, "GET", "/ping"), 200);
    for (int i = 0; i < 3; i++) assert_int_equal(ask(NULL, "GET", "/none"), 404);
    struct sl_value after = ask_json("/status");
    assert_int_equal(number_of(after, "requests") - number_of(before, "requests"), REQUESTS + 3);
    int64_t sum = 0;
    struct sl_value shards = sl_value_get_str(after, "shards");
    for (uint32_t i = 0; i < sl_value_count(shards); i++) {
        sum += number_of(sl_value_list_at(shards, i), "requests");
    }
    assert_int_equal(sum, number_of(after, "requests"));
    struct sl_value listener = sl_value_list_at(sl_value_get_str(after, "listeners"), 0);
    struct sl_value responses = sl_value_get_str(listener, "responses");
    assert_int_equal(number_of(responses, "2xx"), REQUESTS);
    assert_int_equal(number_of(responses, "4xx"), 3);
    assert_int_equal(number_of(sl_value_get_str(listener, "latency_ns"), "count"), REQUESTS + 3);
    assert_true(text_is(after, "state", "serving"));
    assert_int_equal(number_of(after, "pid"), pid);
    assert_int_equal(number_of(sl_value_get_str(after, "nodes"), "inactive"), 1);
    sl_value_unref(before);
    sl_value_unref(after);
}

static struct sl_value node_of(struct sl_value nodes, const char *name)
{
    for (uint32_t i = 0; i < sl_value_count(nodes); i++) {
        struct sl_value node = sl_value_list_at(nodes, i);
        if (text_is(node, "name", name)) return node;
    }
    fail_msg("there is no node %s", name);
    return sl_value_none();
}

static void nodes_calls_errors_and_reasons_are_told(void **state)
{
    (void)state;
    struct sl_value before = ask_json("/nodes");
    for (int i = 0; i < 5; i++) assert_int_equal(ask(NULL, "GET", "/ping"), 200);
    for (int i = 0; i < 2; i++) assert_int_equal(ask(NULL, "GET", "/fail"), 500);
    struct sl_value after = ask_json("/nodes");
    assert_int_equal(number_of(node_of(after, "pong"), "calls") -
                         number_of(node_of(before, "pong"), "calls"),
                     5);
    assert_int_equal(number_of(node_of(after, "router"), "calls") -
                         number_of(node_of(before, "router"), "calls"),
                     7);
    assert_int_equal(number_of(node_of(after, "fail"), "errors"), 2);
    struct sl_value lonely = node_of(after, "lonely");
    assert_true(text_is(lonely, "state", "inactive"));
    struct sl_slice reason = sl_value_slice(sl_value_get_str(lonely, "reason"));
    assert_non_null(memmem(reason.data, reason.size, "specs.yaml:", 11));
    assert_non_null(memmem(reason.data, reason.size, "nobody", 6));
    sl_value_unref(before);
    sl_value_unref(after);
}

static void metrics_every_family_of_the_table_is_there(void **state)
{
    (void)state;
#define X(id, name, type, scope, help, value) "# TYPE sluice_" name " ",
    static const char *const families[] = {SL_METRICS(X)};
#undef X
    assert_int_equal(ask(control, "GET", "/metrics"), 200);
    size_t count = 0;
    for (const char *at = reply.text; (at = strstr(at, "# TYPE ")) != NULL; at++) count++;
    assert_int_equal(count, sizeof(families) / sizeof(families[0]));
    for (size_t i = 0; i < count; i++) {
        if (strstr(reply.text, families[i]) == NULL) fail_msg("%s is missing", families[i]);
    }
    assert_non_null(strstr(reply.text, "sluice_node_calls_total{node=\"pong\",kind=\"snippet\"}"));
    assert_non_null(strstr(reply.text, ",le=\"+Inf\"}"));
}

static void shards_answered_and_cpu_time_are_told(void **state)
{
    (void)state;
    struct sl_value shards = ask_json("/shards");
    assert_int_equal(sl_value_count(shards), 1);
    struct sl_value shard = sl_value_list_at(shards, 0);
    assert_true(sl_value_get_str(shard, "answered").cell->word != 0);
    assert_true(number_of(shard, "cpu_ns") > 0);
    assert_true(number_of(sl_value_get_str(shard, "poller"), "waits") > 0);
    sl_value_unref(shards);
}

static void unknown_path_is_404_wrong_method_is_405(void **state)
{
    (void)state;
    assert_int_equal(ask(control, "GET", "/nothing"), 404);
    assert_int_equal(ask(control, "GET", "/drain"), 405);
    assert_int_equal(ask(control, "POST", "/status"), 405);
}

static void start_same_socket_is_refused(void **state)
{
    (void)state;
    const char *const arguments[] = {binary, "start", "--control", control, "--cores", "0", NULL};
    assert_int_equal(run(arguments), 3);
    assert_int_equal(ask(control, "GET", "/health"), 200);
}

static void commands_answer_0_and_3_without_runtime(void **state)
{
    (void)state;
    const char *const there[] = {binary, "status", "--control", control, NULL};
    const char *const nobody[] = {binary, "status", "--control", "/nonexistent/c.sock", NULL};
    assert_int_equal(run(there), 0);
    assert_int_equal(run(nobody), 3);
    const char *const top[] = {binary,  "top",       "--once", "--interval",
                               "100ms", "--control", control,  NULL};
    assert_int_equal(run(top), 0);
}

/* The last one: nobody is there afterwards. */
static void command_drain_ends_the_runtime(void **state)
{
    (void)state;
    int status;
    const char *const drain[] = {binary, "drain", "--control", control, NULL};
    assert_int_equal(run(drain), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(access(control, F_OK), -1);
}

/* After the end: nothing is left in a buffer. */
static void access_log_has_a_line_for_each_request(void **state)
{
    (void)state;
    int lines = 0;
    int pings = 0;
    char line[2048];
    FILE *file = fopen(access_log, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        lines++;
        pings += strstr(line, "\"target\":\"/ping\"") != NULL;
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lines, requests_sent);
    assert_int_equal(pings, REQUESTS + 5);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    binary = argv[1];
    (void)curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_file_is_mode_600),
        cmocka_unit_test(status_requests_sent_are_counted),
        cmocka_unit_test(nodes_calls_errors_and_reasons_are_told),
        cmocka_unit_test(metrics_every_family_of_the_table_is_there),
        cmocka_unit_test(shards_answered_and_cpu_time_are_told),
        cmocka_unit_test(unknown_path_is_404_wrong_method_is_405),
        cmocka_unit_test(start_same_socket_is_refused),
        cmocka_unit_test(commands_answer_0_and_3_without_runtime),
        cmocka_unit_test(command_drain_ends_the_runtime),
        cmocka_unit_test(access_log_has_a_line_for_each_request),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
