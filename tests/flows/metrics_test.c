/* SPDX-License-Identifier: MIT */
/*
 * Every counter of /metrics against a load that is known to the request: two shards, a client that
 * counts what it sends and gets. What cannot be brought about here (a full completion queue, no
 * buffers) must be there, and zero.
 */
#include "tests/flows/harness.h"
#include "tests/flows/meter.h"

#include <signal.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXTS = 40, FARS = 7, FAILS = 5, NAPS = 3 };

static struct flow_server server;
static int port;
static uint64_t sent;     /* bytes */
static uint64_t received; /* bytes */
static uint64_t connections;

/* ---- load ------------------------------------------------------------------------------------ */

/* One request on a connection of its own, counted; returns the status. */
static int ask(const char *bytes)
{
    struct flow_reply reply;
    int fd = flow_connect(port);
    assert_true(fd >= 0);
    connections++;
    assert_true(flow_send(fd, bytes, strlen(bytes)));
    sent += strlen(bytes);
    assert_int_equal(flow_recv(fd, false, &reply), 0);
    received += strlen(reply.head) + reply.body_size;
    (void)close(fd);
    int status = reply.status;
    flow_reply_fini(&reply);
    return status;
}

static void get(const char *path, int status)
{
    assert_int_equal(ask(flow_text("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)), status);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void counters_of_requests_and_nodes_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < TEXTS; i++) get("/text", 200);
    for (int i = 0; i < FARS; i++) get("/far", 200);
    for (int i = 0; i < FAILS; i++) get("/fail", 500);
    get("/nowhere", 404);
    meter_read();
    enum { ALL = TEXTS + FARS + FAILS + 1 };
    meter_is("http_requests_total", "", ALL);
    meter_is("http_responses_total", "class=\"2xx\"", TEXTS + FARS);
    meter_is("http_responses_total", "class=\"4xx\"", 1);
    meter_is("http_responses_total", "class=\"5xx\"", FAILS);
    meter_is("http_request_seconds_count", "", ALL);
    meter_is("http_request_seconds_bucket", "le=\"+Inf\"", ALL);
    meter_is("http_connections_total", "", (double)connections);
    meter_is("http_received_bytes_total", "", (double)sent);
    meter_is("http_sent_bytes_total", "", (double)received);
    meter_is("poller_received_bytes_total", "", (double)sent);
    meter_is("poller_sent_bytes_total", "", (double)received);
    meter_is("http_requests_in_flight", "", 0);
    meter_is("http_bad_requests_total", "", 0);
    meter_is("http_refusals_total", "", -1);
    meter_is("node_calls_total", "node=\"web\"", ALL);
    meter_is("node_calls_total", "node=\"router\"", ALL);
    meter_is("node_calls_total", "node=\"text\"", TEXTS);
    meter_is("node_calls_total", "node=\"far\"", FARS);
    meter_is("node_calls_total", "node=\"fail\"", FAILS);
    meter_is("node_errors_total", "node=\"fail\"", FAILS);
    meter_is("node_errors_total", "node=\"text\"", 0);
    meter_is("node_errors_total", "node=\"web\"", FAILS);
    meter_is("node_errors_by_code_total", "node=\"fail\"", FAILS);
    meter_is("node_in_flight", "", 0);
    meter_is("node_seconds_count", "node=\"text\"", TEXTS); /* idle: every call is timed */
    meter_is("access_log_records_total", "", ALL);
    meter_is("access_log_dropped_total", "", 0);
    /* A process for each request, and one more where it went to the other shard. */
    double calls = meter_sum("sluice_remote_calls_total", "");
    assert_in_range((int)calls, 0, FARS);
    meter_is("remote_answers_total", "", calls);
    meter_is("shard_processes_total", "", ALL + calls);
    meter_is("shard_processes", "", 0);
}

static void levels_tell_what_is_under_way(void **state)
{
    (void)state;
    int fds[NAPS];
    static const char nap[] = "GET /nap HTTP/1.1\r\nHost: h\r\n\r\n";
    for (int i = 0; i < NAPS; i++) {
        fds[i] = flow_connect(port);
        assert_true(fds[i] >= 0 && flow_send(fds[i], nap, sizeof(nap) - 1));
    }
    meter_wait("sluice_http_requests_in_flight", NAPS);
    meter_wait("sluice_node_in_flight", NAPS);
    meter_is("node_in_flight", "node=\"nap\"", NAPS);
    meter_is("http_requests_in_flight", "", NAPS);
    meter_is("shard_processes", "", NAPS);
    assert_true(meter_sum("sluice_http_connections", "") >= NAPS);
    double cancelled = meter_sum("sluice_http_cancelled_total", "");
    for (int i = 0; i < NAPS; i++) (void)close(fds[i]);
    meter_wait("sluice_http_connections", 0);
    meter_is("node_in_flight", "node=\"nap\"", 0);
    meter_is("http_cancelled_total", "", cancelled + NAPS);
    meter_is("http_requests_in_flight", "", 0);
    meter_is("http_connections", "", 0);
    meter_is("http_connections_idle", "", 0);
}

/* Refused before a workflow saw them: by status, in the metrics and in the access log. */
static void refusals_are_counted_and_logged_by_status(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
        {"GET / HTTP/2.5\r\nHost: h\r\n\r\n", 505},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", 417},
    };
    meter_read();
    double requests = meter_sum("sluice_http_requests_total", "");
    double records = meter_sum("sluice_access_log_records_total", "");
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(ask(rows[i].bytes), rows[i].status);
    meter_read();
    meter_is("http_requests_total", "", requests);
    meter_is("http_bad_requests_total", "", ROWS);
    meter_is("http_refusals_total", "status=\"400\"", 2);
    meter_is("http_refusals_total", "status=\"413\"", 1);
    meter_is("http_refusals_total", "status=\"417\"", 1);
    meter_is("http_refusals_total", "status=\"501\"", 1);
    meter_is("http_refusals_total", "status=\"505\"", 1);
    meter_is("http_refusals_total", "", ROWS);
    meter_is("access_log_records_total", "", records + ROWS);
    static const char line[] =
        "\"remote\":\"127.0.0.1\",\"status\":400,\"refused\":\"several Host fields\"}\n";
    for (int i = 0; i < 200; i++) {
        size_t size;
        char *log = flow_read(flow_path("access.log"), &size);
        bool is_there = log != NULL && strstr(log, line) != NULL;
        free(log);
        if (is_there) return;
        flow_sleep_ms(25);
    }
    fail_msg("the access log has no %s", line);
}

static void runtime_and_shards_tell_their_state(void **state)
{
    (void)state;
    meter_read();
    meter_is("programs_alive", "", 1);
    meter_is("swaps_total", "", 1);
    meter_is("swaps_refused_total", "", 0);
    meter_is("nodes_active", "", 6);
    meter_is("nodes_inactive", "", 0);
    meter_is("shard_answered", "", 2);
    meter_is("shard_pool_refused_total", "", 0);
    meter_is("shard_reports_dropped", "", 0);
    meter_is("remote_refused_total", "", 0);
    meter_is("remote_answers_waiting", "", 0);
    meter_is("remote_ring_bytes", "", 0);
    meter_is("remote_ring_bytes_fullest", "", 0);
    meter_is("remote_slab_bytes", "", 0);
    meter_is("poller_enobufs_total", "", 0);
    meter_is("poller_cq_overflows_total", "", 0);
    meter_is("poller_accept_errors_total", "", 0);
    meter_is("http_timeouts_total", "", 0);
    meter_is("http_connections_refused_total", "", 0);
    meter_is("poller_accepts_total", "", meter_sum("sluice_http_connections_total", ""));
    meter_above("sluice_shard_mailbox_depth_max", 0);
    meter_above("sluice_shard_mails_total", 0);
    meter_above("sluice_shard_turns_total", TEXTS);
    meter_above("sluice_shard_pool_used_bytes", 0);
    meter_above("sluice_remote_ring_size_bytes", 0);
    meter_above("sluice_shard_cpu_seconds_total", 0);
}

/* Each name once, each with its help, no more lines a listener than statuses and classes there are. */
static void labels_are_bounded(void **state)
{
    (void)state;
    meter_read();
    for (const char *at = strstr(meter_text(), "# TYPE "); at != NULL; at = strstr(at, "# TYPE ")) {
        at += 7;
        const char *line = flow_text("# TYPE %.*s ", (int)(strchr(at, ' ') - at), at);
        assert_null(strstr(at, line));
    }
    unsigned lines = 0;
    for (const char *at = strstr(meter_text(), "\nsluice_http_refusals_total{"); at != NULL;
         at = strstr(at + 1, "\nsluice_http_refusals_total{")) {
        lines++;
    }
    assert_in_range(lines, 5, 2 * 10); /* of two shards */
}

/* A server that takes connections and says nothing. */
static int silent_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, size), 0);
    assert_int_equal(listen(fd, NAPS), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    return ntohs(addr.sin_port);
}

static int group_setup(void **state)
{
    (void)state;
    static const char *const spec =
        "- {kind: listener, name: web, protocol: http, port: %d, body_max: 1000,\n"
        "   ports: {out: [{name: router, port: in}]}}\n"
        "- kind: router\n"
        "  name: router\n"
        "  routes:\n"
        "    - {method: GET, path: /text, port: 'out[0]'}\n"
        "    - {method: GET, path: /far, port: 'out[1]'}\n"
        "    - {method: GET, path: /fail, port: 'out[2]'}\n"
        "    - {method: GET, path: /nap, port: 'out[3]'}\n"
        "  ports:\n"
        "    out[0]: [{name: text, port: in}]\n"
        "    out[1]: [{name: far, port: in}]\n"
        "    out[2]: [{name: fail, port: in}]\n"
        "    out[3]: [{name: nap, port: in}]\n"
        "- {kind: snippet, name: text, language: text, code: hi}\n"
        "- {kind: snippet, name: far, language: cel, placement: core 1, code: self.path}\n"
        "- {kind: snippet, name: fail, language: cel, code: self.nothing.here}\n"
        "- {kind: http, name: nap, url: 'http://127.0.0.1:%d'}\n";
    port = flow_port();
    const char *specs = flow_file("metrics.yaml", flow_text(spec, port, silent_port()));
    flow_start(&server,
               (const char *[]){"-f", specs, "--access-log", flow_path("access.log"), "--control",
                                flow_path("control"), "--cores", "0-1", NULL});
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
        cmocka_unit_test(counters_of_requests_and_nodes_are_exact),
        cmocka_unit_test(levels_tell_what_is_under_way),
        cmocka_unit_test(refusals_are_counted_and_logged_by_status),
        cmocka_unit_test(runtime_and_shards_tell_their_state),
        cmocka_unit_test(labels_are_bounded),
    };
    return cmocka_run_group_tests_name("metrics", tests, group_setup, group_teardown);
}
