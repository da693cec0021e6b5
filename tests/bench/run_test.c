/* SPDX-License-Identifier: MIT */
/*
 * Whole runs against a small server in a thread: over io_uring and epoll, TCP and unix sockets,
 * several threads, new connections, large bodies. What is checked are counts, never times.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/job.h"
#include "bench/run.h"
#include "core/base/clock.h"

enum { FDS_MAX = 64, BODY_SIZE = 300 * 1000 };

struct server {
    pthread_t thread;
    int listen_fd;
    _Atomic bool stop;
    _Atomic uint64_t requests;
    char *reply;
    size_t reply_size;
    char url[256];
    char path[64];
};

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return;
        data += sent;
        size -= (size_t)sent;
    }
}

/* One readable connection: answer each whole head; the body of a request is not looked at. */
static bool serve(struct server *server, int fd)
{
    char buf[8192];
    ssize_t got = recv(fd, buf, sizeof(buf) - 1, 0);
    if (got <= 0) return false;
    buf[got] = '\0';
    for (char *at = strstr(buf, "\r\n\r\n"); at != NULL; at = strstr(at + 4, "\r\n\r\n")) {
        atomic_fetch_add(&server->requests, 1);
        send_all(fd, server->reply, server->reply_size);
    }
    return strstr(buf, "Connection: close") == NULL;
}

static void *server_main(void *ctx)
{
    struct server *server = ctx;
    struct pollfd fds[FDS_MAX] = {{.fd = server->listen_fd, .events = POLLIN}};
    nfds_t count = 1;
    while (!atomic_load(&server->stop)) {
        if (poll(fds, count, 20) <= 0) continue;
        for (nfds_t i = count; i-- > 1;) {
            if (fds[i].revents == 0 || serve(server, fds[i].fd)) continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
        }
        if (fds[0].revents == 0 || count == FDS_MAX) continue;
        int fd = accept(server->listen_fd, NULL, NULL);
        if (fd >= 0) fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    for (nfds_t i = 0; i < count; i++) close(fds[i].fd);
    return NULL;
}

static void listen_tcp(struct server *server)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(addr);
    server->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/ping",
                   ntohs(addr.sin_port));
}

static void listen_unix(struct server *server)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(server->path, sizeof(server->path), "/tmp/sluice-bench-test-%d.sock",
                   (int)getpid());
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", server->path);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(server->path);
    assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    (void)snprintf(server->url, sizeof(server->url), "http+unix://%%2Ftmp%%2F%s/ping",
                   strrchr(server->path, '/') + 1);
}

static void server_start(struct server *server, size_t body_size, bool is_unix)
{
    memset(server, 0, sizeof(*server));
    if (is_unix) {
        listen_unix(server);
    } else {
        listen_tcp(server);
    }
    char head[128];
    int head_size =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body_size);
    server->reply_size = (size_t)head_size + body_size;
    server->reply = malloc(server->reply_size + 1);
    assert_non_null(server->reply);
    memcpy(server->reply, head, (size_t)head_size);
    memset(server->reply + head_size, 'x', body_size);
    assert_int_equal(listen(server->listen_fd, 64), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    if (server->path[0] != '\0') unlink(server->path);
    free(server->reply);
}

static void values_small(struct sl_job_values *values)
{
    sl_job_values_default(values);
    values->count = 500;
    values->connections = 8;
    values->quiet = true;
    values->no_jitter = true;
    values->spin = "0";
}

/* Run `values` against the server; the caller frees the result. */
static int run(const struct server *server, const struct sl_job_values *values,
               struct sl_run_result *result)
{
    struct sl_job job;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    const char *urls[] = {server->url};
    int err = sl_job_init(&job, values, urls, 1, &diag);
    if (err == 0) err = sl_run(&job.config, result, &diag);
    sl_job_fini(&job);
    return err;
}

static void check_good(const struct server *server, const struct sl_job_values *values)
{
    struct sl_run_result result;
    int err = run(server, values, &result);
    if (err == -ENOSYS || err == -EPERM || err == -EINVAL) skip(); /* no io_uring here */
    assert_int_equal(err, 0);
    assert_int_equal(result.load.requests, values->count);
    assert_int_equal(sl_load_errors_sum(&result.load), 0);
    assert_int_equal(result.load.statuses[200], values->count);
    assert_int_equal(result.load.latency->total + result.load.disturbed->total, values->count);
    sl_run_result_fini(&result);
}

static const char *const KINDS[] = {"epoll", "uring"};

static void run_over_tcp_counts_every_reply(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, 5, false);
    for (int i = 0; i < 2; i++) {
        struct sl_job_values values;
        values_small(&values);
        values.io = KINDS[i];
        values.check_body = "xxxxx";
        check_good(&server, &values);
        values.pipeline = 4;
        check_good(&server, &values);
        values.rate = "5k";
        check_good(&server, &values);
    }
    server_stop(&server);
}

static void run_over_unix_socket_counts_every_reply(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, 5, true);
    for (int i = 0; i < 2; i++) {
        struct sl_job_values values;
        values_small(&values);
        values.io = KINDS[i];
        check_good(&server, &values);
    }
    server_stop(&server);
}

static void run_with_new_connections_counts_every_reply(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, 5, false);
    for (int i = 0; i < 2; i++) {
        struct sl_job_values values;
        values_small(&values);
        values.io = KINDS[i];
        values.close = true;
        values.count = 200;
        check_good(&server, &values);
    }
    server_stop(&server);
}

static void run_with_large_bodies_reads_them_whole(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, BODY_SIZE, false);
    for (int i = 0; i < 2; i++) {
        struct sl_job_values values;
        values_small(&values);
        values.io = KINDS[i];
        values.count = 60;
        check_good(&server, &values);
    }
    server_stop(&server);
}

static void run_with_threads_shares_connections_and_count(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, 5, false);
    struct sl_job_values values;
    values_small(&values);
    values.io = "epoll";
    values.threads = 3;
    values.count = 1000;
    check_good(&server, &values);
    values.rate = "10k";
    check_good(&server, &values);
    server_stop(&server);
}

static void run_with_pid_reports_cpu(void **state)
{
    (void)state;
    struct server server;
    server_start(&server, 5, false);
    struct sl_job_values values;
    struct sl_run_result result;
    values_small(&values);
    values.io = "epoll";
    values.count = 0;
    values.duration_ns = 300 * SL_NS_PER_MS;
    values.warmup_ns = 0;
    values.pid = (uint32_t)getpid();
    values.no_jitter = false;
    assert_int_equal(run(&server, &values, &result), 0);
    assert_true(result.has_usage);
    assert_true(result.usage_requests > 0);
    assert_true(result.usage.cpu_ns > 0);
    assert_true(sl_run_cpu_us(&result) > 0);
    assert_true(result.usage.threads >= 2);
    assert_true(result.usage.rss_bytes > 0);
    assert_true(result.jitter->total > 0);
    sl_run_result_fini(&result);
    server_stop(&server);
}

static void run_without_server_says_so(void **state)
{
    (void)state;
    struct server server = {.url = "http://127.0.0.1:1/"};
    struct sl_job_values values;
    struct sl_run_result result;
    struct sl_job job;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    const char *urls[] = {server.url};
    values_small(&values);
    assert_int_equal(sl_job_init(&job, &values, urls, 1, &diag), 0);
    assert_int_equal(sl_run(&job.config, &result, &diag), -ECONNREFUSED);
    assert_non_null(strstr(diag.text, "127.0.0.1:1"));
    sl_run_result_fini(&result);
    sl_job_fini(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_over_tcp_counts_every_reply),
        cmocka_unit_test(run_over_unix_socket_counts_every_reply),
        cmocka_unit_test(run_with_new_connections_counts_every_reply),
        cmocka_unit_test(run_with_large_bodies_reads_them_whole),
        cmocka_unit_test(run_with_threads_shares_connections_and_count),
        cmocka_unit_test(run_with_pid_reports_cpu),
        cmocka_unit_test(run_without_server_says_so),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
