/* SPDX-License-Identifier: MIT */
/*
 * Counters of what goes wrong and of what is heavy, against a load that brings it about: a shard
 * that is held up for a known time, too few receive buffers, kept connections with large bodies,
 * worker processes that are stopped, killed, and outgrow their memory. One shard with eight small
 * buffers. What these counters say when nothing happens is in metrics_test.c.
 */
#include "tests/flows/meter.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STALL_MS = 700,   /* a turn that is reported */
    HOLD_MS = 1000,   /* what a script does with its shard, at least */
    HOLDS = 2,        /* how often */
    SENDERS = 40,     /* connections that send while nobody reads, each more than one buffer */
    PIPELINED = 64,   /* requests at once on one connection */
    LARGE = 300000,   /* bytes of a body */
    CALLS = 25,       /* of a script in a worker */
    KILLS = 3,        /* workers that are killed at the deadline */
    NODE_BUSY = 2,    /* workers that one node may keep busy (core/base/limit.h) */
    NODE_QUEUE = 128, /* calls of a node that may wait */
    REFUSED = 20,     /* calls beyond both */
    WORKERS_MAX = 12, /* of one shard, at most */
};

static const char GET_TEXT[] = "GET /text HTTP/1.1\r\nHost: h\r\n\r\n";

static struct flow_server server;
static int port;

static bool poller_is(const char *name)
{
    const char *poller = getenv("FLOW_POLLER");
    return poller != NULL && strcmp(poller, name) == 0;
}

/* ---- the shard ------------------------------------------------------------------------------- */

/*
 * Each request holds the shard until its deadline. Meanwhile all others send; when the shard
 * looks again there is more to receive than there are buffers.
 */
static void held_shard_counts_stalls_and_missing_buffers(void **state)
{
    (void)state;
    static const char hold[] = "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n";
    char *echo = malloc(8192);
    assert_non_null(echo);
    int head =
        snprintf(echo, 8192, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n");
    memset(echo + head, 'e', 4000);
    meter_read();
    double received = meter_sum("sluice_http_received_bytes_total", "");
    meter_is("shard_stalls_total", "", 0);
    meter_is("shard_stall_max_seconds", "", 0);
    meter_is("poller_enobufs_total", "", 0);
    for (int round = 0; round < HOLDS; round++) {
        int fds[SENDERS];
        struct flow_reply reply;
        int holder = flow_connect(port);
        for (int i = 0; i < SENDERS; i++) {
            fds[i] = flow_connect(port);
            /* One small request each, answered: its receive is armed. */
            assert_true(flow_send(fds[i], GET_TEXT, sizeof(GET_TEXT) - 1));
            assert_int_equal(flow_recv(fds[i], false, &reply), 0);
            flow_reply_fini(&reply);
        }
        assert_true(flow_send(holder, hold, sizeof(hold) - 1));
        flow_sleep_ms(HOLD_MS / 4);
        for (int i = 0; i < SENDERS; i++) {
            assert_true(flow_send(fds[i], echo, (size_t)head + 4000));
        }
        assert_int_equal(flow_recv(holder, false, &reply), 0);
        assert_int_equal(reply.status, 500);
        flow_reply_fini(&reply);
        for (int i = 0; i < SENDERS; i++) {
            assert_int_equal(flow_recv(fds[i], false, &reply), 0);
            assert_int_equal(reply.status, 200);
            assert_int_equal(reply.body_size, 4000);
            flow_reply_fini(&reply);
            (void)close(fds[i]);
        }
        (void)close(holder);
    }
    meter_wait("sluice_shard_stalls_total", HOLDS);
    assert_true(meter_sum("sluice_shard_stall_max_seconds", "") >= HOLD_MS / 1000.0);
    if (poller_is("uring")) {
        meter_above("sluice_poller_enobufs_total", 0);
        meter_above("sluice_poller_rearms_total", 0);
    } else {
        meter_is("poller_enobufs_total", "", 0); /* it reads only where it has a buffer */
    }
    double each = SENDERS * (double)(sizeof(GET_TEXT) - 1 + (size_t)head + 4000) + sizeof(hold) - 1;
    meter_is("http_received_bytes_total", "", received + HOLDS * each);
    meter_is("poller_received_bytes_total", "", received + HOLDS * each);
    free(echo);
}

/* Many requests at once, and bodies of many buffers, on one connection that is kept. */
static void kept_connection_counts_every_byte(void **state)
{
    char *bytes = malloc(LARGE + 256);
    uint64_t sent = 0;
    uint64_t received = 0;
    struct flow_reply reply;
    (void)state;
    assert_non_null(bytes);
    meter_read();
    double before_in = meter_sum("sluice_http_received_bytes_total", "");
    double before_out = meter_sum("sluice_http_sent_bytes_total", "");
    double requests = meter_sum("sluice_http_requests_total", "");
    double connections = meter_sum("sluice_http_connections_total", "");
    int fd = flow_connect(port);
    for (int i = 0; i < PIPELINED; i++)
        memcpy(bytes + i * (sizeof(GET_TEXT) - 1), GET_TEXT, sizeof(GET_TEXT) - 1);
    assert_true(flow_send(fd, bytes, PIPELINED * (sizeof(GET_TEXT) - 1)));
    sent += PIPELINED * (sizeof(GET_TEXT) - 1);
    size_t size = 0;
    for (int replies = 0; replies < PIPELINED;) { /* the harness reads one at a time */
        ssize_t got = recv(fd, bytes + size, LARGE - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
        replies = 0;
        for (size_t at = 0; at + 8 <= size; at++) replies += memcmp(bytes + at, "HTTP/1.1", 8) == 0;
        if (memcmp(bytes + size - 2, "hi", 2) != 0) replies = 0;
    }
    received += size;
    for (int i = 0; i < 2; i++) {
        int head = snprintf(bytes, 256,
                            "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", LARGE);
        memset(bytes + head, 'a' + i, LARGE);
        assert_true(flow_send(fd, bytes, (size_t)head + LARGE));
        sent += (uint64_t)head + LARGE;
        assert_int_equal(flow_recv(fd, false, &reply), 0);
        assert_int_equal(reply.body_size, LARGE);
        received += strlen(reply.head) + reply.body_size;
        flow_reply_fini(&reply);
    }
    (void)close(fd);
    free(bytes);
    meter_wait("sluice_http_connections", 0);
    meter_is("http_received_bytes_total", "", before_in + (double)sent);
    meter_is("http_sent_bytes_total", "", before_out + (double)received);
    meter_is("poller_received_bytes_total", "", before_in + (double)sent);
    meter_is("poller_sent_bytes_total", "", before_out + (double)received);
    meter_is("http_requests_total", "", requests + PIPELINED + 2);
    meter_is("http_request_seconds_count", "", requests + PIPELINED + 2);
    meter_is("http_connections_total", "", connections + 1);
}

/* Buckets only grow, the last is the count, and the sum is that of all times. */
static void histogram_counts_every_request_once(void **state)
{
    (void)state;
    meter_read();
    double before = -1;
    unsigned lines = 0;
    static const char name[] = "\nsluice_http_request_seconds_bucket{";
    for (const char *at = strstr(meter_text(), name); at != NULL; at = strstr(at + 1, name)) {
        const char *space = strchr(at + 1, '\n');
        while (*space != ' ') space--;
        double count = strtod(space, NULL);
        assert_true(count >= before);
        before = count;
        lines++;
    }
    assert_true(lines > 10);
    double requests = meter_sum("sluice_http_requests_total", "");
    assert_true(before == requests);
    meter_is("http_request_seconds_count", "", requests);
    meter_is("http_requests_in_flight", "", 0);
    /* Two requests took a second each, and no request took longer than all of this test. */
    assert_true(meter_sum("sluice_http_request_seconds_sum", "") >= HOLDS * HOLD_MS / 1000.0);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Children that are workers; the rest starts them. */
static int workers_find(pid_t pids[WORKERS_MAX])
{
    pid_t all[WORKERS_MAX + 1];
    int all_count = flow_children(server.pid, all, WORKERS_MAX + 1);
    int count = 0;
    assert_true(all_count <= WORKERS_MAX + 1);
    for (int i = 0; i < all_count; i++) {
        if (flow_is_command(all[i], "nursery")) continue;
        assert_true(count < WORKERS_MAX);
        pids[count++] = all[i];
    }
    return count;
}

/* Until all that live are ready, none is missing and the dead are counted; returns how many. */
static int workers_settle(pid_t pids[WORKERS_MAX])
{
    for (int i = 0; i < 4000; i++) {
        meter_read();
        double ready = meter_sum("sluice_workers_ready", "");
        int count = workers_find(pids);
        if (ready == count && meter_sum("sluice_workers", "") == count && count > 1) return count;
        flow_sleep_ms(5);
    }
    fail_msg("workers %.9g, ready %.9g", meter_sum("sluice_workers", ""),
             meter_sum("sluice_workers_ready", ""));
    return 0;
}

/* Each that was started lives or was counted among one sort of the dead. */
static void balance_holds(void)
{
    double gone = meter_sum("sluice_workers_killed_total", "") +
                  meter_sum("sluice_workers_crashed_total", "") +
                  meter_sum("sluice_workers_retired_total", "");
    meter_is("worker_failures_total", "", 0);
    meter_is("workers_spawned_total", "", meter_sum("sluice_workers", "") + gone);
}

static void expect(const char *path, int status, const char *part)
{
    struct flow_reply reply;
    int got = flow_ask(port, "POST", path, "{}", &reply);
    if (got != status || strstr(reply.body, part) == NULL) {
        fail_msg("%s: %d %s, expected %d %s", path, got, reply.body, status, part);
    }
    flow_reply_fini(&reply);
}

static void worker_calls_are_counted(void **state)
{
    pid_t pids[WORKERS_MAX];
    (void)state;
    (void)workers_settle(pids);
    meter_is("worker_calls_total", "", 0);
    balance_holds();
    for (int i = 0; i < CALLS; i++) expect("/one", 200, "1");
    meter_read();
    meter_is("worker_calls_total", "", CALLS);
    meter_is("node_calls_total", "node=\"one\"", CALLS);
    meter_is("workers_busy", "", 0);
    meter_is("workers_queued", "", 0);
    meter_is("worker_overload_total", "", 0);
    meter_is("workers_killed_total", "", 0);
    meter_is("workers_crashed_total", "", 0);
    (void)workers_settle(pids);
    balance_holds();
}

/* A worker that is stopped cannot end its call itself: the shard kills it. */
static void stopped_workers_are_killed_at_the_deadline(void **state)
{
    pid_t pids[WORKERS_MAX];
    (void)state;
    for (int i = 1; i <= KILLS; i++) {
        expect("/short", 200, "1"); /* one has the script, and gets the next call of it */
        int count = workers_settle(pids);
        for (int k = 0; k < count; k++) (void)kill(pids[k], SIGSTOP);
        expect("/short", 500, "script_killed");
        for (int k = 0; k < count; k++) (void)kill(pids[k], SIGCONT);
        (void)workers_settle(pids);
        meter_is("workers_killed_total", "", i);
        meter_is("workers_crashed_total", "", 0);
        meter_is("worker_calls_total", "", CALLS + 2 * i);
        meter_is("node_calls_total", "node=\"short\"", 2 * i);
        meter_is("node_errors_total", "node=\"short\"", i);
        balance_holds();
    }
}

/* A script that asks for more than its cap is an error of its call, however often. */
static void memory_of_a_worker_is_counted(void **state)
{
    pid_t pids[WORKERS_MAX];
    (void)state;
    for (int i = 1; i <= KILLS; i++) {
        expect("/hoard", 500, "script_memory");
        (void)workers_settle(pids);
        meter_is("node_errors_total", "node=\"hoard\"", i);
        meter_is("worker_calls_total", "", CALLS + 2 * KILLS + i);
        meter_is("workers_killed_total", "", KILLS);
        /* It may say so itself and retire, or die of it. */
        double gone = meter_sum("sluice_workers_crashed_total", "") +
                      meter_sum("sluice_workers_retired_total", "");
        if (gone > i) fail_msg("%.9g workers gone after %d calls", gone, i);
        balance_holds();
    }
}

/* Nobody works: as many calls are refused as neither run nor fit the queue, and no more. */
static void calls_beyond_the_queue_are_refused_and_counted(void **state)
{
    enum { ALL = NODE_BUSY + NODE_QUEUE + REFUSED };
    static const char ask[] = "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    pid_t pids[WORKERS_MAX];
    int fds[ALL];
    int answered = 0;
    (void)state;
    int count = workers_settle(pids);
    double calls = meter_sum("sluice_worker_calls_total", "");
    for (int i = 0; i < ALL; i++) fds[i] = flow_connect(port);
    for (int i = 0; i < count; i++) (void)kill(pids[i], SIGSTOP);
    for (int i = 0; i < ALL; i++) assert_true(flow_send(fds[i], ask, sizeof(ask) - 1));
    meter_wait("sluice_worker_overload_total", REFUSED);
    meter_is("workers_queued", "", NODE_QUEUE);
    meter_is("workers_busy", "", NODE_BUSY);
    for (int i = 0; i < count; i++) (void)kill(pids[i], SIGCONT);
    for (int i = 0; i < ALL; i++) {
        struct flow_reply reply;
        assert_int_equal(flow_recv(fds[i], false, &reply), 0);
        if (reply.status != 200) flow_assert_has(reply.body, "script_overload");
        answered += reply.status == 200;
        flow_reply_fini(&reply);
        (void)close(fds[i]);
    }
    assert_int_equal(answered, ALL - REFUSED);
    (void)workers_settle(pids);
    meter_is("worker_overload_total", "", REFUSED);
    meter_is("worker_calls_total", "", calls + ALL - REFUSED);
    meter_is("workers_queued", "", 0);
    balance_holds();
}

/* All at once, from outside: as many deaths, as many starts. */
static void killed_workers_are_counted_and_replaced(void **state)
{
    pid_t pids[WORKERS_MAX];
    (void)state;
    int count = workers_settle(pids);
    double crashed = meter_sum("sluice_workers_crashed_total", "");
    for (int i = 0; i < count; i++) (void)kill(pids[i], SIGKILL);
    meter_wait("sluice_workers_crashed_total", crashed + count);
    (void)workers_settle(pids);
    meter_is("workers_crashed_total", "", crashed + count);
    meter_is("workers_killed_total", "", KILLS);
    balance_holds();
    expect("/one", 200, "1");
}

/* ---- the runtime ----------------------------------------------------------------------------- */

static const char *const SPEC =
    "- kind: listener\n"
    "  name: web\n"
    "  protocol: http\n"
    "  port: %d\n"
    "  ports: {out: [{name: router, port: in}], error: [{name: catch, port: in}]}\n"
    "- kind: router\n"
    "  name: router\n"
    "  routes:\n"
    "    - {method: GET, path: /text, port: 'out[0]'}\n"
    "    - {method: POST, path: /echo, port: 'out[1]'}\n"
    "    - {method: GET, path: /hold, port: 'out[2]'}\n"
    "    - {method: POST, path: /one, port: 'out[3]'}\n"
    "    - {method: POST, path: /short, port: 'out[4]'}\n"
    "    - {method: POST, path: /hoard, port: 'out[5]'}\n"
    "  ports:\n"
    "    out[0]: [{name: text, port: in}]\n"
    "    out[1]: [{name: echo, port: in}]\n"
    "    out[2]: [{name: hold, port: in}]\n"
    "    out[3]: [{name: one, port: in}]\n"
    "    out[4]: [{name: short, port: in}]\n"
    "    out[5]: [{name: hoard, port: in}]\n"
    "- {kind: snippet, name: text, language: text, code: hi}\n"
    "- {kind: snippet, name: echo, language: cel, code: '{\"status\": 200, \"body\": self.body}'}\n"
    "- kind: snippet\n"
    "  name: catch\n"
    "  language: cel\n"
    "  code: '{\"status\": 500, \"body\": {\"code\": self.code}}'\n"
    "- {kind: snippet, name: hold, language: javascript, timeout: 1000ms,\n"
    "   code: 'export default () => { for (;;) {} }'}\n"
    "- {kind: snippet, name: one, language: javascript, isolation: process, timeout: 20s,\n"
    "   code: 'export default () => ({body: 1})'}\n"
    "- {kind: snippet, name: short, language: javascript, isolation: process, timeout: 1s,\n"
    "   code: 'export default () => ({body: 1})'}\n"
    "- {kind: snippet, name: hoard, language: javascript, isolation: process, timeout: 20s,\n"
    "   code: 'export default () => { const all = []; for (;;) all.push(new Array(1000).fill(7)); "
    "}'}\n";

static int group_setup(void **state)
{
    (void)state;
    port = flow_port();
    char text[4096];
    (void)snprintf(text, sizeof(text), SPEC, port);
    flow_start(&server, (const char *[]){
                            "-f", flow_file("meter.yaml", text), "--control", flow_path("control"),
                            "--cores", "0", "--buffers", "8", "--buffer-size", "1024", "--stall",
                            flow_text("%dms", (int)STALL_MS), "--worker-priority", "normal", NULL});
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
        cmocka_unit_test(held_shard_counts_stalls_and_missing_buffers),
        cmocka_unit_test(kept_connection_counts_every_byte),
        cmocka_unit_test(histogram_counts_every_request_once),
        cmocka_unit_test(worker_calls_are_counted),
        cmocka_unit_test(stopped_workers_are_killed_at_the_deadline),
        cmocka_unit_test(memory_of_a_worker_is_counted),
        cmocka_unit_test(calls_beyond_the_queue_are_refused_and_counted),
        cmocka_unit_test(killed_workers_are_counted_and_replaced),
    };
    return cmocka_run_group_tests_name("meter", tests, group_setup, group_teardown);
}
