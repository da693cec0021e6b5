/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server over real sockets, with the poller that the argument names: a server thread and
 * a client that uses blocking sockets. POST echoes its body, GET /N gives N bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/mem/mem.h"
#include "core/shard/loop.h"
#include "io/epoll/epoll.h"
#include "io/http/client.h"
#include "io/http/http.h"
#include "io/sock/sock.h"
#include "io/uring/uring.h"

static const char *poller_name;

static struct {
    pthread_t thread;
    struct sl_loop loop;
    struct sl_http_server *server;
    struct sl_mail stop;
    uint16_t port;
    pthread_barrier_t ready;
    uint8_t *big;
} s;

enum { BIG = 8 * 1024 * 1024, BODY_MAX = 1024 * 1024 };

static void on_request(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    if (request->body_size > 0) {
        sl_http_respond(request, sl_value_get_str(request->payload, "body"));
        return;
    }
    struct sl_slice path = sl_http_request_path(request);
    size_t size = 0;
    for (size_t i = 1; i < path.size; i++) size = size * 10 + (size_t)(path.data[i] - '0');
    sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"),
                          sl_slice_make(s.big, size <= BIG ? size : 0));
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    (void)ctx;
    (void)server;
    sl_loop_stop(&s.loop);
}

static const struct sl_http_handler handler = {.request = on_request, .drained = on_drained};

static void on_stop(struct sl_mail *mail)
{
    (void)mail;
    sl_http_server_drain(s.server);
}

static struct sl_poller *poller_new(void)
{
    struct sl_diag diag = {0};
    return strcmp(poller_name, "uring") == 0 ? sl_poller_uring_new(NULL, sl_clock_system(), &diag)
                                             : sl_poller_epoll_new(NULL, sl_clock_system(), &diag);
}

static void *serve(void *arg)
{
    (void)arg;
    struct sl_addr addr;
    struct sl_poller *poller = poller_new();
    if (poller == NULL) abort();
    sl_loop_init(&s.loop, poller, sl_clock_system(), sl_mem_new(SIZE_MAX));
    s.server = sl_http_server_new(&s.loop, NULL, &handler, NULL);
    if (sl_addr_make(SL_SLICE("127.0.0.1"), 0, &addr, NULL) < 0) abort();
    int fd = sl_http_server_listen(s.server, &addr, false);
    if (fd < 0 || sl_sock_local(fd, &addr) < 0) abort();
    s.port = sl_addr_port(&addr);
    (void)pthread_barrier_wait(&s.ready);
    sl_loop_run(&s.loop);
    /* Whoever posted the end may still be in the poller's wake. */
    (void)pthread_barrier_wait(&s.ready);
    (void)sl_http_server_free(s.server);
    sl_loop_fini(&s.loop);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    s.stop.fn = on_stop;
    s.big = malloc(BIG);
    for (size_t i = 0; i < BIG; i++) s.big[i] = (uint8_t)('a' + i % 23);
    (void)pthread_barrier_init(&s.ready, NULL, 2);
    if (pthread_create(&s.thread, NULL, serve, NULL) != 0) return -1;
    (void)pthread_barrier_wait(&s.ready);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sl_loop_post(&s.loop, &s.stop);
    (void)pthread_barrier_wait(&s.ready);
    (void)pthread_join(s.thread, NULL);
    (void)pthread_barrier_destroy(&s.ready);
    free(s.big);
    return 0;
}

static int client(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(s.port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 20};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static void write_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t part = send(fd, at, size, MSG_NOSIGNAL);
        assert_true(part > 0);
        at += part;
        size -= (size_t)part;
    }
}

static void write_text(int fd, const char *text)
{
    write_all(fd, text, strlen(text));
}

/*
 * With a time limit on the socket a call is not restarted, and the end of the io_uring that was
 * tried out on this thread interrupts one.
 */
static ssize_t read_some(int fd, void *data, size_t size)
{
    ssize_t got;
    do {
        got = recv(fd, data, size, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Read one response; its body is in `body` (room for BIG). */
static int read_response(int fd, uint8_t *body, size_t *ret_size)
{
    static struct sl_http1_response head;
    static uint8_t bytes[16384];
    size_t size = 0;
    int64_t got = 0;
    while (got == 0) {
        /* One byte at a time: nothing of the next response may be taken. */
        assert_int_equal(read_some(fd, bytes + size, 1), 1);
        size++;
        got = sl_http1_parse_response(bytes, size, size - 1, sizeof(bytes), SL_HTTP1_METHOD_GET,
                                      &head);
    }
    assert_int_equal(got, size);
    size = 0;
    while (size < head.head.content_length) {
        ssize_t part = read_some(fd, body + size, (size_t)head.head.content_length - size);
        assert_true(part > 0);
        size += (size_t)part;
    }
    *ret_size = size;
    return head.status;
}

static void large_body_is_echoed(void **state)
{
    (void)state;
    uint8_t *body = malloc(BIG);
    size_t size;
    int fd = client();
    for (int round = 0; round < 3; round++) {
        char head[128];
        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                 BODY_MAX);
        write_text(fd, head);
        write_all(fd, s.big, BODY_MAX);
        assert_int_equal(read_response(fd, body, &size), 200);
        assert_int_equal(size, BODY_MAX);
        assert_memory_equal(body, s.big, BODY_MAX);
    }
    close(fd);
    free(body);
}

static void chunked_body_in_small_parts_is_echoed(void **state)
{
    (void)state;
    uint8_t *body = malloc(BIG);
    size_t size;
    int fd = client();
    write_text(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 100; i++) {
        write_text(fd, "64\r\n");
        write_all(fd, s.big + i * 100, 100);
        write_text(fd, "\r\n");
    }
    write_text(fd, "0\r\n\r\n");
    assert_int_equal(read_response(fd, body, &size), 200);
    assert_int_equal(size, 10000);
    assert_memory_equal(body, s.big, 10000);
    close(fd);
    free(body);
}

static void many_connections_are_served(void **state)
{
    (void)state;
    enum { CLIENTS = 100, ROUNDS = 10 };
    uint8_t *body = malloc(BIG);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) fds[i] = client();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            char head[64];
            snprintf(head, sizeof(head), "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
            write_text(fds[i], head);
        }
        for (int i = 0; i < CLIENTS; i++) {
            size_t size;
            assert_int_equal(read_response(fds[i], body, &size), 200);
            assert_int_equal(size, i);
        }
    }
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    free(body);
}

static void pipeline_beyond_limit_is_answered_in_order(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    uint8_t *body = malloc(BIG);
    char *text = malloc(COUNT * 64);
    size_t size = 0;
    for (int i = 0; i < COUNT; i++) {
        size += (size_t)sprintf(text + size, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i * 7);
    }
    int fd = client();
    write_all(fd, text, size);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(read_response(fd, body, &size), 200);
        assert_int_equal(size, i * 7);
    }
    close(fd);
    free(text);
    free(body);
}

static void large_answer_reaches_slow_reader(void **state)
{
    (void)state;
    uint8_t *body = malloc(BIG);
    size_t size;
    int fd = client();
    char head[64];
    snprintf(head, sizeof(head), "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", BIG);
    write_text(fd, head);
    write_text(fd, head);
    for (int round = 0; round < 2; round++) {
        usleep(50000);
        assert_int_equal(read_response(fd, body, &size), 200);
        assert_int_equal(size, BIG);
        assert_memory_equal(body, s.big, BIG);
    }
    close(fd);
    free(body);
}

static void refused_body_gets_its_413_while_it_is_sent(void **state)
{
    (void)state;
    uint8_t *body = malloc(BIG);
    size_t size;
    int fd = client();
    write_text(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    write_all(fd, s.big, 900000);
    assert_int_equal(read_response(fd, body, &size), 413);
    assert_int_equal(read_some(fd, body, 1), 0);
    close(fd);
    free(body);
}

static void half_closed_client_gets_its_answer(void **state)
{
    (void)state;
    uint8_t *body = malloc(BIG);
    size_t size;
    int fd = client();
    write_text(fd, "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)shutdown(fd, SHUT_WR);
    assert_int_equal(read_response(fd, body, &size), 200);
    assert_int_equal(size, 5);
    assert_int_equal(read_some(fd, body, 1), 0);
    close(fd);
    free(body);
}

/* -------- our own client against the server, on a loop of this thread -------- */

enum { EXCHANGES = 32, EXCHANGE_ROUNDS = 20 };

struct caller {
    struct sl_http_exchange exchange; /* first */
    struct sl_http_client *client;
    struct sl_http_target *target;
    struct sl_loop *loop;
    size_t size; /* of the body */
    uint32_t rounds;
    uint32_t *ended;
};

static void on_done(struct sl_http_exchange *exchange, struct sl_value answer);

static void caller_start(struct caller *caller)
{
    const struct sl_http_request_base base = {.host = SL_SLICE("a")};
    const char *reason;
    struct sl_value payload = sl_value_new_string(caller->loop->mem, s.big, caller->size);
    caller->exchange = (struct sl_http_exchange){.done = on_done, .target = caller->target};
    assert_int_equal(
        sl_http_request_write(caller->client, &base, payload, &caller->exchange, &reason), 0);
    sl_value_unref(payload);
    sl_http_exchange_start(&caller->exchange);
}

static void on_done(struct sl_http_exchange *exchange, struct sl_value answer)
{
    struct caller *caller = (struct caller *)exchange;
    assert_true(sl_value_is(answer, SL_VALUE_MAP));
    assert_int_equal(sl_value_get_str(answer, "status").cell->i64, 200);
    struct sl_slice body = sl_value_slice(sl_value_get_str(answer, "body"));
    assert_int_equal(body.size, caller->size);
    assert_memory_equal(body.data, s.big, body.size);
    if (++caller->rounds < EXCHANGE_ROUNDS)
        caller_start(caller);
    else if (++*caller->ended == EXCHANGES)
        sl_loop_stop(caller->loop);
}

static void on_client_closed(void *ctx, struct sl_http_client *client)
{
    (void)client;
    sl_loop_stop(ctx);
}

static void client_exchanges_with_server(void **state)
{
    (void)state;
    struct sl_loop loop;
    struct sl_addr addr;
    struct sl_http_target target;
    uint32_t ended = 0;
    struct caller *callers = calloc(EXCHANGES, sizeof(*callers));
    sl_loop_init(&loop, poller_new(), sl_clock_system(), sl_mem_new(SIZE_MAX));
    struct sl_http_client *own = sl_http_client_new(&loop);
    assert_int_equal(sl_addr_make(SL_SLICE("127.0.0.1"), s.port, &addr, NULL), 0);
    sl_http_target_init(&target, own, "http://a", NULL);
    sl_http_target_addrs_set(&target, &addr, 1);
    for (size_t i = 0; i < EXCHANGES; i++) {
        callers[i] = (struct caller){
            .client = own, .target = &target, .loop = &loop, .ended = &ended, .size = 1 + i * 1000};
        caller_start(&callers[i]);
    }
    sl_loop_run(&loop);
    assert_int_equal(ended, EXCHANGES);
    assert_int_equal(sl_http_client_stats(own)->exchanges, EXCHANGES * EXCHANGE_ROUNDS);
    assert_true(sl_http_client_stats(own)->connects <= EXCHANGES);
    sl_http_target_fini(&target);
    sl_http_client_close(own, on_client_closed, &loop);
    sl_loop_run(&loop);
    (void)sl_http_client_free(own);
    sl_loop_fini(&loop);
    free(callers);
}

static void drain_closes_idle_connections(void **state)
{
    (void)state;
    uint8_t byte;
    int fd = client();
    sl_loop_post(&s.loop, &s.stop);
    assert_int_equal(read_some(fd, &byte, 1), 0);
    close(fd);
}

static int teardown_drained(void **state)
{
    (void)state;
    (void)pthread_barrier_wait(&s.ready);
    (void)pthread_join(s.thread, NULL);
    (void)pthread_barrier_destroy(&s.ready);
    free(s.big);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    poller_name = argc > 1 ? argv[1] : "epoll";
    struct sl_poller *poller = poller_new();
    if (poller == NULL) {
        printf("skipped: no %s here\n", poller_name);
        return 77;
    }
    poller->ops->free(poller);
    const struct CMUnitTest tests[] = {
        TEST(large_body_is_echoed),
        TEST(chunked_body_in_small_parts_is_echoed),
        TEST(many_connections_are_served),
        TEST(pipeline_beyond_limit_is_answered_in_order),
        TEST(large_answer_reaches_slow_reader),
        TEST(refused_body_gets_its_413_while_it_is_sent),
        TEST(half_closed_client_gets_its_answer),
        TEST(client_exchanges_with_server),
        cmocka_unit_test_setup_teardown(drain_closes_idle_connections, setup, teardown_drained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
