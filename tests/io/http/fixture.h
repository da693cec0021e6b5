/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the HTTP server share: a server on a poller that the test drives, with a
 * handler that answers at once or holds requests back. Each test ends with nothing left in memory.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/mem/mem.h"
#include "core/mem/out.h"
#include "core/shard/loop.h"
#include "io/http/http.h"
#include "tests/io/http/fake_poller.h"

enum { HELD_MAX = 128 };

/* What all tests share; set up anew for each. */
static struct {
    struct sl_clock_manual clock;
    struct fake_poller *poller;
    struct sl_loop loop;
    struct sl_http_server *server;
    struct sl_mem_stats before;
    bool hold; /* requests are kept instead of answered */
    struct sl_http_request *held[HELD_MAX];
    uint32_t held_count;
    struct sl_value answer; /* what requests get; none: 204 */
    bool use_answer;
    char payload[16384]; /* the last one, as JSON */
    char id[160];
    uint32_t requests;
    uint32_t cancels;
    uint32_t dones;
    int done_status;
    uint32_t writables;
    bool drained;
} t;

static inline void remember(struct sl_http_request *request)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    assert_int_equal(sl_json_write(request->payload, 0, &out), 0);
    assert_true(out.size < sizeof(t.payload));
    memcpy(t.payload, out.data, out.size);
    t.payload[out.size] = 0;
    sl_out_fini(&out);
    struct sl_slice id = sl_http_request_id(request);
    snprintf(t.id, sizeof(t.id), "%.*s", SL_SLICE_FMT(id));
}

static inline void answer(struct sl_http_request *request)
{
    if (t.use_answer) {
        sl_http_respond(request, t.answer);
    } else {
        sl_http_respond_bytes(request, 200, NULL, 0, SL_SLICE("text/plain"),
                              sl_http_request_path(request));
    }
}

static inline void on_request(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    t.requests++;
    remember(request);
    if (!t.hold) {
        answer(request);
        return;
    }
    assert_true(t.held_count < HELD_MAX);
    t.held[t.held_count++] = request;
}

static inline void on_cancel(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    assert_true(request->cancelled);
    t.cancels++;
}

static inline void on_done(void *ctx, struct sl_http_request *request, int status, uint64_t bytes)
{
    (void)ctx;
    (void)request;
    (void)bytes;
    t.dones++;
    t.done_status = status;
}

static inline void on_writable(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    (void)request;
    t.writables++;
}

static inline void on_drained(void *ctx, struct sl_http_server *server)
{
    (void)ctx;
    assert_ptr_equal(server, t.server);
    t.drained = true;
}

static const struct sl_http_handler handler = {
    .request = on_request,
    .cancel = on_cancel,
    .done = on_done,
    .writable = on_writable,
    .drained = on_drained,
};

static inline void turn(void)
{
    for (int i = 0; i < 4; i++) sl_loop_turn(&t.loop, 0);
}

static inline void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        sl_clock_manual_advance(&t.clock, 10 * SL_NS_PER_MS);
        sl_loop_turn(&t.loop, 0);
    }
    turn();
}

static inline void serve(const struct sl_http_server_config *config)
{
    struct sl_addr addr = {.size = 0};
    t.server = sl_http_server_new(&t.loop, config, &handler, NULL);
    assert_non_null(t.server);
    assert_int_equal(sl_http_server_listen(t.server, &addr, true), FAKE_LISTENER);
    turn();
}

static inline int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    sl_clock_manual_init(&t.clock, 7);
    t.clock.wall_ns = INT64_C(784111777) * 1000000000;
    t.poller = fake_new(&t.clock.base);
    sl_loop_init(&t.loop, &t.poller->base, &t.clock.base, sl_mem_new(64 * 1024 * 1024));
    sl_mem_stats_get(t.loop.mem, &t.before);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    if (t.answer.cell != NULL) sl_value_unref(t.answer);
    sl_http_server_abort(t.server);
    turn();
    for (uint32_t i = 0; i < t.held_count; i++) {
        if (t.held[i] != NULL) sl_http_respond(t.held[i], sl_value_none());
    }
    turn();
    if (!t.drained) return -1;
    const struct sl_http_server_stats *stats = sl_http_server_stats(t.server);
    if (stats->connections != 0 || stats->in_flight != 0 || stats->idle != 0) return -1;
    (void)sl_http_server_free(t.server);
    struct sl_mem_stats after;
    sl_mem_stats_get(t.loop.mem, &after);
    sl_loop_fini(&t.loop);
    if (after.used == t.before.used) return 0;
    fprintf(stderr, "%llu bytes left\n", (unsigned long long)(after.used - t.before.used));
    return -1;
}

static inline void arrive(int fd, const char *text)
{
    fake_arrive(t.poller, fd, text, strlen(text));
    turn();
}

static inline int connect_client(void)
{
    int fd = fake_connect(t.poller);
    turn();
    return fd;
}

static inline const char *sent(int fd)
{
    return t.poller->fds[fd].sent != NULL ? (const char *)t.poller->fds[fd].sent : "";
}

static inline void forget_sent(int fd)
{
    t.poller->fds[fd].sent_size = 0;
    if (t.poller->fds[fd].sent != NULL) t.poller->fds[fd].sent[0] = 0;
}

/* The held request number `index` gets its answer. */
static inline void release(uint32_t index)
{
    struct sl_http_request *request = t.held[index];
    t.held[index] = NULL;
    answer(request);
    turn();
}

static inline struct sl_value json(const char *text)
{
    struct sl_value value;
    assert_int_equal(sl_json_parse(sl_slice_from_str(text), NULL, t.loop.mem, 0, &value, NULL), 0);
    return value;
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define OK   "HTTP/1.1 200 OK\r\n" DATE

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr(text, part) == NULL) fail_msg("no %s in\n%s", part, text);                      \
    } while (0)

#define assert_has_not(text, part)                                                                 \
    do {                                                                                           \
        if (strstr(text, part) != NULL) fail_msg("%s in\n%s", part, text);                         \
    } while (0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
