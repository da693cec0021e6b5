/* SPDX-License-Identifier: MIT */
/*
 * A whole server on a poller without a kernel. The input is a script: each step begins with one
 * byte that says what happens to one of four connections, and how many bytes go with it.
 *
 *     0..3  bytes arrive (next byte: how many, times 1 or 16)
 *     4     the end of the stream        5  a reset
 *     6     time passes                  7  held sends are through
 *     8     a held request is answered   9  the server begins to drain
 *
 * Every request is answered once, every connection ends, and no memory is left.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "core/shard/loop.h"
#include "io/http/http.h"
#include "tests/io/http/fake_poller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONNS = 4, HELD_MAX = 1024, STEPS_MAX = 400 };

static struct {
    struct sl_clock_manual clock;
    struct fake_poller *poller;
    struct sl_loop loop;
    struct sl_http_server *server;
    struct sl_http_request *held[HELD_MAX];
    uint32_t held_count;
    uint32_t requests;
    uint32_t dones;
    bool drained;
    int fds[CONNS];
} f;

/* Look at everything, so that lazies are decoded. */
static void look(struct sl_value map)
{
    for (uint32_t i = 0; i < sl_value_count(map); i++) (void)sl_value_map_at(map, i);
}

static void answer(struct sl_http_request *request, uint32_t how)
{
    look(request->payload);
    switch (how % 4) {
    case 0: sl_http_respond(request, request->payload); break;
    case 1: sl_http_respond(request, sl_value_none()); break;
    case 2:
        sl_http_stream_begin(request, 200, NULL, 0, SL_SLICE("text/plain"));
        (void)sl_http_stream_write(request, SL_SLICE("part"));
        sl_http_stream_end(request);
        break;
    default: {
        struct sl_value body = sl_value_get_str(request->payload, "body");
        sl_http_respond(request, body);
    }
    }
}

static void on_request(void *ctx, struct sl_http_request *request)
{
    (void)ctx;
    f.requests++;
    if (request->body_size % 3 == 1 && f.held_count < HELD_MAX) {
        f.held[f.held_count++] = request;
    } else {
        answer(request, (uint32_t)request->head_size);
    }
}

static void on_done(void *ctx, struct sl_http_request *request, int status, uint64_t bytes)
{
    (void)ctx;
    (void)request;
    (void)status;
    (void)bytes;
    f.dones++;
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    (void)ctx;
    (void)server;
    f.drained = true;
}

static const struct sl_http_handler handler = {
    .request = on_request, .done = on_done, .drained = on_drained};

static void turns(int count)
{
    for (int i = 0; i < count; i++) sl_loop_turn(&f.loop, 0);
}

static void release(void)
{
    if (f.held_count == 0) return;
    f.held_count--;
    answer(f.held[f.held_count], f.held_count);
}

/* One step; returns the bytes of the script that it took. */
static size_t step(const uint8_t *script, size_t size)
{
    int *fd = &f.fds[script[0] >> 4 & 3];
    bool is_open = *fd > 0 && f.poller->fds[*fd].is_open;
    if (!is_open && f.poller->accept != NULL) {
        *fd = fake_connect(f.poller);
        turns(1);
        is_open = true;
    }
    bool is_receiving = is_open && f.poller->fds[*fd].recv != NULL;
    switch (script[0] & 15) {
    case 4:
    case 5:
        if (is_receiving) fake_end(f.poller, *fd, (script[0] & 15) == 4 ? 0 : -ECONNRESET);
        break;
    case 6: sl_clock_manual_advance(&f.clock, SL_NS_PER_SEC); break;
    case 7:
        f.poller->hold_sends = !f.poller->hold_sends;
        if (is_open && f.poller->fds[*fd].send != NULL) fake_send_done(f.poller, *fd, 0);
        break;
    case 8: release(); break;
    case 9: sl_http_server_drain(f.server); break;
    default: {
        if (size < 2) break;
        size_t want = script[0] & 1 ? script[1] * 16u : script[1];
        size_t part = size - 2 < want ? size - 2 : want;
        if (is_receiving && part > 0) fake_arrive(f.poller, *fd, script + 2, part);
        turns(2);
        return 2 + part;
    }
    }
    turns(2);
    return 1;
}

static void finish(void)
{
    sl_http_server_abort(f.server);
    turns(3);
    while (f.held_count > 0) release();
    turns(6);
    sl_assert(f.drained);
    sl_assert(f.requests == f.dones);
    sl_assert(sl_http_server_stats(f.server)->connections == 0);
    sl_assert(sl_http_server_stats(f.server)->in_flight == 0);
    (void)sl_http_server_free(f.server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_mem_stats before;
    struct sl_mem_stats after;
    memset(&f, 0, sizeof(f));
    sl_clock_manual_init(&f.clock, 1);
    f.poller = fake_new(&f.clock.base);
    sl_loop_init(&f.loop, &f.poller->base, &f.clock.base, sl_mem_new(16 * 1024 * 1024));
    sl_mem_stats_get(f.loop.mem, &before);
    struct sl_http_server_config config = {
        .head_size_max = 2048, .body_size_max = 4096, .pipeline_max = 4, .connections_max = 3};
    f.server = sl_http_server_new(&f.loop, &config, &handler, NULL);
    struct sl_addr addr = {.size = 0};
    sl_assert(sl_http_server_listen(f.server, &addr, false) >= 0);
    turns(1);
    size_t at = 0;
    for (int i = 0; i < STEPS_MAX && at < size; i++) at += step(data + at, size - at);
    finish();
    sl_mem_stats_get(f.loop.mem, &after);
    sl_assert(after.used == before.used);
    sl_loop_fini(&f.loop);
    return 0;
}
