/* SPDX-License-Identifier: MIT */
/* After warm-up, requests take nothing from the system's allocator: trapped in the real program. */
#include "tests/flows/alloc_trap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/flows/harness.h"
#include "tests/flows/load.h"

enum { TRAP_REQUESTS = 20000, TRAP_CONNS = 64, TRAP_IDLE = 1000 };

static struct alloc_trap *trap;
static struct flow_server server;
static int port;

static bool is_pong(const char *body, size_t size)
{
    return size == 4 && memcmp(body, "pong", 4) == 0;
}

static void load_run(const char *path, uint64_t requests)
{
    static struct flow_load load;
    load = (struct flow_load){
        .port = port, .count = TRAP_CONNS, .requests = requests, .path = path, .check = is_pong};
    flow_load_start(&load);
    flow_load_stop(&load);
    assert_int_equal(load.failed + load.closed + load.refused, 0);
}

static void expect_no_allocation(const char *path)
{
    static struct flow_load load;
    load = (struct flow_load){.port = port, .count = TRAP_CONNS, .path = path, .check = is_pong};
    memset(trap->counts, 0, sizeof(trap->counts));
    load_run(path, TRAP_REQUESTS);
    flow_load_start(&load);
    while (atomic_load(&load.replies) < 1000) flow_sleep_ms(1);
    uint64_t begin = atomic_load(&load.replies);
    atomic_store(&trap->armed, true);
    while (atomic_load(&load.replies) < begin + TRAP_REQUESTS) flow_sleep_ms(1);
    atomic_store(&trap->armed, false);
    uint64_t requests = atomic_load(&load.replies) - begin;
    flow_load_stop(&load);
    uint64_t sum = 0;
    for (int i = 0; i < ALLOC_TRAP_CALLS; i++) sum += trap->counts[i];
    print_message(
        "%s: %llu requests at %d connections: %llu malloc, %llu free, %llu mmap, %llu mi_ on "
        "shards' threads\n",
        path, (unsigned long long)requests, TRAP_CONNS, (unsigned long long)trap->counts[0],
        (unsigned long long)trap->counts[1], (unsigned long long)trap->counts[2],
        (unsigned long long)trap->counts[3]);
    if (sum > 0) print_error("%s", trap->stack);
    assert_int_equal(sum, 0);
}

static void ping_after_warm_up_takes_nothing_from_the_system(void **state)
{
    (void)state;
    expect_no_allocation("/ping");
}

/* The same through the kind http: a request to this program, and its answer. */
static void request_to_a_server_after_warm_up_takes_nothing_from_the_system(void **state)
{
    (void)state;
    expect_no_allocation("/via");
}

/* An error that reaches the listener is reported, and answered by a node at its error port. */
static void error_that_is_reported_takes_nothing_from_the_system(void **state)
{
    (void)state;
    expect_no_allocation("/oops");
    assert_true(flow_log_count(&server, "GET /oops: 200") > 0);
}

/* The trap itself works: opening connections beyond the warm-up, and a swap, are seen. */
static void trap_sees_what_a_shard_allocates(void **state)
{
    (void)state;
    uint64_t sum = 0;
    atomic_store(&trap->armed, true);
    assert_int_equal(kill(server.pid, SIGTERM), 0);
    assert_int_equal(flow_stop(&server, 0), 0);
    for (int i = 0; i < ALLOC_TRAP_CALLS; i++) sum += trap->counts[i];
    print_message("the end of the program: %llu calls\n", (unsigned long long)sum);
    assert_true(sum > 0);
}

/* Bytes that the pool of shard 0 has given out, from the control socket. */
static int64_t pool_used(void)
{
    static const char name[] = "sluice_shard_pool_used_bytes{shard=\"0\"} ";
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char answer[256 * 1024];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t used = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", flow_dir());
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_true(flow_send(fd, request, strlen(request)));
    for (;;) {
        ssize_t n = recv(fd, answer + used, sizeof(answer) - used - 1, 0);
        if (n <= 0) break;
        used += (size_t)n;
    }
    answer[used] = '\0';
    (void)close(fd);
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return (int64_t)strtod(at + strlen(name), NULL);
}

static void idle_connections_are_small(void **state)
{
    (void)state;
    static int fds[TRAP_IDLE];
    static const char request[] = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    struct flow_reply reply;
    uint64_t resident = flow_rss(server.pid);
    int64_t pool = pool_used();
    for (int i = 0; i < TRAP_IDLE; i++) {
        fds[i] = flow_connect(port);
        assert_true(fds[i] >= 0);
        assert_true(flow_send(fds[i], request, strlen(request)));
        assert_int_equal(flow_recv(fds[i], false, &reply), 0);
        flow_reply_fini(&reply);
    }
    int64_t each = (pool_used() - pool) / TRAP_IDLE;
    int64_t resident_each = ((int64_t)flow_rss(server.pid) - (int64_t)resident) / TRAP_IDLE;
    print_message("%d idle connections: %lld bytes each of the shard's pool, %lld resident beyond "
                  "what was reserved\n",
                  TRAP_IDLE, (long long)each, (long long)resident_each);
    assert_in_range(each, 1, 16384);
    assert_true(resident_each < 16384);
    for (int i = 0; i < TRAP_IDLE; i++) (void)close(fds[i]);
}

static int group_setup(void **state)
{
    (void)state;
    static const struct alloc_trap zero;
    const char *path = flow_path("trap");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, &zero, sizeof(zero)) != (ssize_t)sizeof(zero)) return -1;
    void *map = mmap(NULL, sizeof(*trap), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) return -1;
    trap = map;
    (void)setenv("FLOW_TRAP", path, 1);
    port = flow_port();
    const char *file = flow_file(
        "ping.yaml",
        flow_text(
            "- {kind: listener, name: web, protocol: http, port: %d,\n"
            "   ports: {out: [{name: router, port: in}], error: [{name: pong, port: in}]}}\n"
            "- {kind: snippet, name: oops, language: cel, code: '1 / 0'}\n"
            "- {kind: router, name: router,\n"
            "   routes: [{method: GET, path: /ping, port: 'out[0]'},\n"
            "            {method: GET, path: /via, port: 'out[1]'},\n"
            "            {method: GET, path: /oops, port: 'out[2]'}],\n"
            "   ports: {'out[0]': [{name: pong, port: in}],\n"
            "           'out[1]': [{name: plain, port: in}], 'out[2]': [{name: oops, port: in}]}}\n"
            "- {kind: snippet, name: plain, language: json, code: '{\"path\": \"\"}',\n"
            "   ports: {out: [{name: via, port: in}]}}\n"
            "- {kind: http, name: via, url: 'http://127.0.0.1:%d/ping'}\n"
            "- {kind: snippet, name: pong, language: text, code: pong}\n",
            port, port));
    flow_spawn(&server,
               (const char *[]){file, "--cores", "0", "--control", flow_path("control"), NULL},
               getenv("FLOW_PRELOAD"));
    return flow_wait_log(&server, "info namespace ") ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    flow_kill_rest(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_after_warm_up_takes_nothing_from_the_system),
        cmocka_unit_test(request_to_a_server_after_warm_up_takes_nothing_from_the_system),
        cmocka_unit_test(error_that_is_reported_takes_nothing_from_the_system),
        cmocka_unit_test(idle_connections_are_small),
        cmocka_unit_test(trap_sees_what_a_shard_allocates),
    };
    if (getenv("FLOW_PRELOAD") == NULL) {
        print_message("skipped: no trap (sanitizers bring their own allocator)\n");
        return 77;
    }
    return cmocka_run_group_tests_name("alloc", tests, group_setup, group_teardown);
}
