/* SPDX-License-Identifier: MIT */
/*
 * A small server for probes and measurements:
 *
 *     probe_server PORT [epoll|uring] [value]
 *
 * Any path answers 200 "OK"; POST echoes its body; /echo gives the field lines as sent, /cookie
 * the pairs of Cookie fields; OPTIONS is 204 with Allow. With `value` every answer goes through a
 * payload value instead of plain bytes. It prints its port when it listens, and drains on SIGTERM.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/http1/http1.h"
#include "core/mem/mem.h"
#include "core/shard/loop.h"
#include "io/epoll/epoll.h"
#include "io/http/http.h"
#include "io/sock/sock.h"
#include "io/uring/uring.h"

static struct sl_loop loop;
static volatile sig_atomic_t stop_wanted;
static bool by_value;
static struct sl_value constant;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
    loop.poller->ops->wake(loop.poller);
}

/* The head as it was received: it stands at the front of the payload's bytes. */
static void respond_echo(struct sl_http_request *request)
{
    const uint8_t *head = request->payload.buf->bytes;
    const uint8_t *line = memchr(head, '\n', (size_t)request->head_size);
    size_t size = (size_t)(head + request->head_size - (line + 1)) - 2;
    sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"),
                          sl_slice_make(line + 1, size));
}

static void respond_cookie(struct sl_http_request *request)
{
    char text[4096];
    size_t size = 0;
    struct sl_value header = sl_value_get_str(request->payload, "header");
    struct sl_value cookies = sl_value_get_str(header, "Cookie");
    uint32_t count = cookies.cell != NULL ? sl_value_count(cookies) : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice value = sl_value_slice(sl_value_list_at(cookies, i));
        for (size_t j = 0; j < value.size && size < sizeof(text) - 1; j++) {
            if (value.data[j] == ' ' && size > 0 && text[size - 1] == '\n') continue;
            text[size++] = value.data[j] == ';' ? '\n' : (char)value.data[j];
        }
        text[size++] = '\n';
    }
    sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"), sl_slice_make(text, size));
}

static void respond_body(struct sl_http_request *request)
{
    struct sl_value payload = request->payload;
    int64_t index = sl_value_find_hashed(payload, "body", 4, sl_hash16("body", 4));
    struct sl_slice body = {NULL, 0};
    if (index >= 0) {
        /* The bytes themselves, whatever their type says. */
        const struct sl_cell *cell =
            &payload.buf->cells[payload.cell->word + 2 * (uint64_t)index + 1];
        body = sl_value_slice(payload.buf->lazies[cell->len].raw);
    }
    sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"), body);
}

static void on_request(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    struct sl_slice path = sl_http_request_path(request);
    if (request->method == SL_HTTP1_METHOD_OPTIONS) {
        struct sl_http_field allow = {SL_SLICE("Allow"), SL_SLICE("GET, HEAD, POST, OPTIONS")};
        sl_http_respond_bytes(request, 204, &allow, 1, SL_SLICE(""), SL_SLICE(""));
    } else if (sl_slice_eq_str(path, "/echo")) {
        respond_echo(request);
    } else if (sl_slice_eq_str(path, "/cookie")) {
        respond_cookie(request);
    } else if (request->body_size > 0) {
        respond_body(request);
    } else if (by_value) {
        sl_http_respond(request, constant);
    } else {
        sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"), SL_SLICE("OK"));
    }
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    (void)ctx;
    (void)server;
    sl_loop_stop(&loop);
}

static const struct sl_http_handler handler = {.request = on_request, .drained = on_drained};

static struct sl_poller *poller_new(const char *name)
{
    struct sl_diag diag = {0};
    struct sl_poller *poller = strcmp(name, "uring") == 0
                                   ? sl_poller_uring_new(NULL, sl_clock_system(), &diag)
                                   : sl_poller_epoll_new(NULL, sl_clock_system(), &diag);
    if (poller == NULL) {
        fprintf(stderr, "%s: %s\n", name, diag.text);
        exit(77);
    }
    return poller;
}

static void run(struct sl_http_server *server)
{
    bool draining = false;
    loop.stopping = false;
    while (!loop.stopping) {
        sl_loop_turn(&loop, UINT64_MAX);
        if (stop_wanted && !draining) {
            sl_http_server_drain(server);
            draining = true;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    struct sl_poller *poller = poller_new(argc > 2 ? argv[2] : "epoll");
    by_value = argc > 3 && strcmp(argv[3], "value") == 0;
    sl_loop_init(&loop, poller, sl_clock_system(), sl_mem_new(SIZE_MAX));
    constant = sl_value_new_string(loop.mem, "pong", 4);
    struct sl_http_server_config config = {.name = SL_SLICE("sluice")};
    struct sl_http_server *server = sl_http_server_new(&loop, &config, &handler, NULL);
    struct sl_addr addr;
    if (sl_addr_make(SL_SLICE("127.0.0.1"), (uint16_t)atoi(argv[1]), &addr, NULL) < 0) return 2;
    int fd = sl_http_server_listen(server, &addr, true);
    if (fd < 0) {
        fprintf(stderr, "listen: %s\n", strerror(-fd));
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (sl_sock_local(fd, &addr) == 0) printf("%u\n", sl_addr_port(&addr));
    fflush(stdout);
    run(server);
    const struct sl_http_server_stats *stats = sl_http_server_stats(server);
    struct sl_mem_stats mem_stats;
    sl_mem_stats_get(loop.mem, &mem_stats);
    fprintf(stderr, "accepted %llu requests %llu bad %llu timeouts %llu system calls of mem %llu\n",
            (unsigned long long)stats->accepted, (unsigned long long)stats->requests,
            (unsigned long long)stats->bad_requests, (unsigned long long)stats->timeouts,
            (unsigned long long)mem_stats.system_calls);
    sl_value_unref(constant);
    (void)sl_http_server_free(server);
    sl_loop_fini(&loop);
    return 0;
}
