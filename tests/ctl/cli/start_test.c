/* SPDX-License-Identifier: MIT */
/* start: saved files, signals, readiness; run as a program. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ctl/cli/fixture.h"

enum { WAIT_MS = 20000, WAIT_STEP_MS = 20 };

static const char *program;

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture, program);
    file_put(fixture, "sluice.yaml", "data: registry\ncores: '0'\n");
    file_put(fixture, "flow.yaml",
             "- {kind: snippet, name: one, language: text, code: first}\n"
             "- {kind: snippet, name: two, language: text, code: x}\n");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

/* Ask until the output has the text, or does not have it any more. */
static bool comes(struct fixture *fixture, const char *command, const char *text, bool wanted)
{
    for (int waited = 0; waited < WAIT_MS; waited += WAIT_STEP_MS) {
        (void)run(fixture, "%s", command);
        if ((strstr(fixture->run.out, text) != NULL) == wanted) return true;
        (void)poll(NULL, 0, WAIT_STEP_MS);
    }
    print_error("%s: \"%s\" %s:\n%s", command, text, wanted ? "does not come" : "does not go",
                fixture->run.out);
    return false;
}

static void start_watch_saved_file_is_applied_and_what_left_it_goes(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start --watch flow.yaml");
    assert_true(pid > 0);
    file_put(fixture, "flow.yaml", "- {kind: snippet, name: one, language: text, code: second}\n");
    assert_true(comes(fixture, "get -o yaml", "second", true));
    assert_true(comes(fixture, "get", "two", false));
    assert_int_equal(run_stop(pid), 0);
}

/* What is found while it runs is a line of its log, like any other. */
static void start_watch_broken_file_is_told_by_the_log(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start --watch --log-format json flow.yaml");
    assert_true(pid > 0);
    file_put(fixture, "flow.yaml", "- {kind: snippet, name: one, language: text, cod: second}\n");
    assert_true(comes(fixture, "version >/dev/null; cat .log", "unknown field", true));
    const char *line = strstr(fixture->run.out, "files were not taken: flow.yaml:1:");
    assert_non_null(line);
    while (line > fixture->run.out && line[-1] != '\n') line--;
    assert_int_equal(strncmp(line, "{\"time\":\"", 9), 0);
    assert_non_null(strstr(line, "\"level\":\"error\""));
    assert_int_equal(run_stop(pid), 0);
}

static void start_refused_makes_no_registry(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "bad.yaml", "- {kind: snippet, name: one, language: cel, code: '1 +'}\n");
    assert_int_equal(run(fixture, "start bad.yaml"), 1);
    assert_true(contains(fixture->run.err, "bad.yaml:1:"));
    assert_int_equal(run(fixture, "start nowhere.yaml"), 1);
    assert_int_equal(run(fixture, "version; ls registry"), 2);
}

static void start_watch_broken_file_keeps_the_old(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start --watch flow.yaml");
    assert_true(pid > 0);
    file_put(fixture, "flow.yaml", "");
    assert_true(comes(fixture, "version >/dev/null; cat .log", "error:", true));
    assert_int_equal(run(fixture, "get one two"), 0);
    file_put(fixture, "flow.yaml", "- {kind: snippet, name: one, language: text, cod: second}\n");
    assert_true(comes(fixture, "version >/dev/null; cat .log", "unknown field", true));
    assert_int_equal(run(fixture, "get one two -o yaml"), 0);
    assert_true(contains(fixture->run.out, "first"));
    assert_int_equal(run_stop(pid), 0);
}

static void start_hangup_reads_the_files_again(void **state)
{
    struct fixture *fixture = *state;
    long pid = run_start(fixture, "start flow.yaml");
    assert_true(pid > 0);
    file_put(fixture, "flow.yaml", "- {kind: snippet, name: one, language: text, code: second}\n");
    assert_int_equal(kill((pid_t)pid, SIGHUP), 0);
    assert_true(comes(fixture, "get -o yaml", "second", true));
    assert_int_equal(run_stop(pid), 0);
}

static void start_hangup_reads_the_configuration_again(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "more.yaml", "- {kind: snippet, name: three, language: text, code: x}\n");
    file_put(fixture, "sluice.yaml", "data: registry\ncores: '0'\nfrom-specs: [flow.yaml]\n");
    long pid = run_start(fixture, "start");
    assert_true(pid > 0);
    file_put(fixture, "sluice.yaml", "data: [}\n");
    assert_int_equal(kill((pid_t)pid, SIGHUP), 0);
    assert_true(comes(fixture, "version >/dev/null; cat .log", "everything stays as it is", true));
    file_put(fixture, "sluice.yaml",
             "data: registry\ncores: '0'\nspin: 5\nfrom-specs: [flow.yaml, more.yaml]\n");
    assert_int_equal(kill((pid_t)pid, SIGHUP), 0);
    assert_true(comes(fixture, "get", "three", true));
    assert_int_equal(run(fixture, "version >/dev/null; cat .log"), 0);
    assert_true(contains(fixture->run.out, "\"spin\" has changed: that takes a new start"));
    assert_int_equal(run_stop(pid), 0);
}

static void start_with_a_notify_socket_says_ready(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/notify", fixture->dir);
    assert_in_range(size, 1, sizeof(address.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    long pid = run_start(fixture, "start flow.yaml");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_true(pid > 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    char text[64] = "";
    assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "READY=1");
    (void)close(fd);
    assert_int_equal(run_stop(pid), 0);
}

/* A thread's line of /proc/PID/task/TID/FILE by the thread's name: nice, allowed cores. */
static void thread_look(struct fixture *fixture, long pid, const char *name, const char *script)
{
    (void)run(
        fixture,
        "version >/dev/null; for t in /proc/%ld/task/*; do [ \"$(cat $t/comm)\" = %s ] && %s; "
        "done",
        pid, name, script);
}

static void start_per_core_options_reach_the_threads(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "sluice.yaml",
             "data: registry\ncores: 0\ncontrol-core: 0\npriority: 7\nspin: 20us\nbatch: 16\n"
             "backlog: 64\nbuffers: 16\nbuffer-size: 4096\n");
    long pid = run_start(fixture, "start flow.yaml");
    assert_true(pid > 0);
    thread_look(fixture, pid, "sluice/0", "awk '{print \"nice\", $19}' $t/stat");
    assert_true(contains(fixture->run.out, "nice 7"));
    thread_look(fixture, pid, "sluice/0", "grep Cpus_allowed_list $t/status");
    assert_true(contains(fixture->run.out, "Cpus_allowed_list:\t0\n"));
    thread_look(fixture, pid, "sluice", "grep Cpus_allowed_list $t/status");
    assert_true(contains(fixture->run.out, "Cpus_allowed_list:\t0\n"));
    thread_look(fixture, pid, "sluice", "awk '{print \"nice\", $19}' $t/stat");
    char nice[16];
    (void)snprintf(nice, sizeof(nice), "nice %d\n", getpriority(PRIO_PROCESS, 0));
    assert_true(contains(fixture->run.out, nice));
    assert_int_equal(run_stop(pid), 0);
}

static void start_broken_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "flow.yaml", "- {kind: snippet, name: one, language: text, cod: x}\n");
    assert_int_equal(run(fixture, "start flow.yaml"), 1);
    assert_true(contains(fixture->run.err, "flow.yaml:1:46: error: unknown field \"cod\""));
    /* All at once: what cannot be read, and what does not compile in another spec. */
    file_put(fixture, "flow.yaml",
             "- {kind: snippet, name: one, language: cel, code: '1 +'}\n"
             "- {kind: snippet, name: 2, language: text, code: x, timeout: 5 parsecs}\n");
    static const char *const commands[] = {"start flow.yaml", "apply flow.yaml"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        assert_int_equal(run(fixture, "%s", commands[i]), 1);
        assert_true(contains(fixture->run.err, "flow.yaml:1:55: error: the expression ends"));
        assert_true(contains(fixture->run.err, "flow.yaml:2:25: error: \"name\" must be a text"));
        assert_true(contains(fixture->run.err, "not \"5 parsecs\""));
    }
    assert_int_equal(run(fixture, "start --cores none flow.yaml"), 2);
    assert_int_equal(run(fixture, "start --buffers 100 flow.yaml"), 2);
}

/* A socket that listens on a port of 127.0.0.1 that the kernel chose. */
static int port_take(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

#define LISTENER(name, host)                                                                       \
    "- {kind: listener, name: " name ", protocol: http, host: " host ", port: '{{ .PORT }}',\n"    \
    "   env: {PORT: {data: '{{ .PORT }}'}}, ports: {out: [{name: one, port: in}]}}\n"

static void start_whose_port_is_taken_says_why_it_ends(void **state)
{
    struct fixture *fixture = *state;
    int port;
    char text[64];
    int fd = port_take(&port);
    file_put(
        fixture, "web.yaml",
        LISTENER("web", "127.0.0.1") "- {kind: snippet, name: one, language: text, code: x}\n");
    assert_int_equal(run(fixture, "start web.yaml -e PORT=%d", port), 3);
    (void)snprintf(text, sizeof(text), "cannot listen on http://127.0.0.1:%d: Address", port);
    assert_true(contains(fixture->run.err, text));
    (void)snprintf(text, sizeof(text), "\"ss -ltnp sport = :%d\" names the program", port);
    assert_true(contains(fixture->run.err, text));
    const char *last = strstr(fixture->run.err, "sluice: start ends");
    assert_non_null(last);
    assert_string_equal(last, "sluice: start ends: listener \"web\" did not get its address\n");
    (void)close(fd);
}

static void start_of_two_listeners_on_one_address_tells_both(void **state)
{
    struct fixture *fixture = *state;
    int port;
    char text[160];
    int fd = port_take(&port);
    (void)close(fd);
    file_put(fixture, "web.yaml",
             LISTENER("web", "127.0.0.1") LISTENER(
                 "again", "0.0.0.0") "- {kind: snippet, name: one, language: text, code: x}\n");
    assert_int_equal(run(fixture, "start web.yaml -e PORT=%d", port), 3);
    (void)snprintf(text, sizeof(text),
                   "web.yaml:3:3: error: 0.0.0.0:%d is the address of the listener \"web\" "
                   "(127.0.0.1:%d) at web.yaml:1:3 already",
                   port, port);
    assert_true(contains(fixture->run.err, text));
    assert_true(contains(fixture->run.err, "start ends: listener \"again\""));
}

static void apply_of_an_address_that_is_stored_is_refused(void **state)
{
    struct fixture *fixture = *state;
    file_put(fixture, "web.yaml",
             "- {kind: listener, name: web, protocol: http, port: 18123}\n"
             "- {kind: listener, name: other, protocol: http, port: 18124}\n");
    file_put(fixture, "again.yaml",
             "- {kind: listener, name: again, protocol: http, port: 18123}\n");
    file_put(fixture, "exchange.yaml",
             "- {kind: listener, name: web, protocol: http, port: 18124}\n"
             "- {kind: listener, name: other, protocol: http, port: 18123}\n");
    assert_int_equal(run(fixture, "apply web.yaml"), 0);
    assert_int_equal(run(fixture, "apply web.yaml"), 0);
    assert_int_equal(run(fixture, "apply again.yaml"), 1);
    assert_true(contains(fixture->run.err, "again.yaml:1:55: error: 127.0.0.1:18123 is the address "
                                           "of the listener \"web\" at web.yaml:1:53 already"));
    assert_int_equal(run(fixture, "apply exchange.yaml"), 0);
}

static void wrong_values_are_told_before_anything_is_done(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *words;
        const char *text;
    } rows[] = {
        {"start --log-format xml flow.yaml", "\"--log-format xml\": expected text or json"},
        {"start -n '' flow.yaml", "\"--namespace\" is empty: expected NAME"},
        {"start --data '' flow.yaml", "\"--data\" is empty: expected DIR"},
        {"start --watch", "--watch needs the files"},
        {"start --memory 1 flow.yaml", "expected a number of MiB from 64 to 1048576"},
        {"start --drain-timeout 5parsecs flow.yaml", "expected a duration such as 500ms, 30s"},
        {"apply flow.yaml --wait --timeout x", "\"--timeout x\": expected a duration"},
        {"delete one --wait --timeout -1", "\"--timeout -1\": expected a duration"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(run(fixture, "%s", rows[i].words), 2);
        assert_true(contains(fixture->run.err, rows[i].text));
    }
    assert_int_equal(run(fixture, "get"), 3); /* nothing was stored */
    char space[200];
    memset(space, 'x', sizeof(space) - 1);
    space[sizeof(space) - 1] = '\0';
    assert_int_equal(run(fixture, "check -n %s flow.yaml", space), 2);
    assert_true(contains(fixture->run.err, "a namespace has at most 127 bytes, this one 199"));
    long pid = run_start(fixture, "start --drain-timeout 1m30s flow.yaml");
    assert_true(pid > 0);
    assert_int_equal(run_stop(pid), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    program = argv[1];
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(start_watch_saved_file_is_applied_and_what_left_it_goes),
        T(start_watch_broken_file_keeps_the_old),
        T(start_watch_broken_file_is_told_by_the_log),
        T(start_refused_makes_no_registry),
        T(start_hangup_reads_the_files_again),
        T(start_hangup_reads_the_configuration_again),
        T(start_with_a_notify_socket_says_ready),
        T(start_per_core_options_reach_the_threads),
        T(start_broken_file_is_refused),
        T(start_whose_port_is_taken_says_why_it_ends),
        T(start_of_two_listeners_on_one_address_tells_both),
        T(wrong_values_are_told_before_anything_is_done),
        T(apply_of_an_address_that_is_stored_is_refused),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
