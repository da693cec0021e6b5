/* SPDX-License-Identifier: MIT */
/* A heap of events on a virtual clock; see sim_wire.h. */
#include "tests/bench/sim_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { EVENTS_MAX = 1 << 18 };

struct event {
    uint64_t at_ns;
    uint64_t order; /* equal times: first in, first out */
    const char *data;
    uint32_t size;
    uint32_t id;
    uint32_t generation;
    enum sl_wire_event type;
    int res;
};

struct sim_wire {
    struct sl_wire base; /* first */
    struct sim_config config;
    struct event *heap; /* array of `heap_count`, EVENTS_MAX reserved */
    uint32_t *generations;
    bool *open;
    uint64_t *busy_until; /* a connection's replies come in order */
    uint64_t now_ns;
    uint64_t order;
    uint64_t requests;
    uint32_t heap_count;
    uint64_t waited_ns;
};

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void heap_push(struct sim_wire *sim, struct event event)
{
    sl_assert(sim->heap_count < EVENTS_MAX);
    event.order = sim->order++;
    uint32_t at = sim->heap_count++;
    while (at > 0 && is_before(&event, &sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = event;
}

static struct event heap_pop(struct sim_wire *sim)
{
    struct event top = sim->heap[0];
    struct event last = sim->heap[--sim->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= sim->heap_count) break;
        if (child + 1 < sim->heap_count && is_before(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!is_before(&sim->heap[child], &last)) break;
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = last;
    return top;
}

static uint64_t sim_now(struct sl_wire *base)
{
    return ((struct sim_wire *)base)->now_ns;
}

static int sim_open(struct sl_wire *base, uint32_t id, const struct sl_bench_addr *addr)
{
    struct sim_wire *sim = (struct sim_wire *)base;
    (void)addr;
    sl_assert(!sim->open[id]);
    int res = 0;
    if (sim->config.refuse_first > 0) {
        sim->config.refuse_first--;
        res = -ECONNREFUSED;
    }
    sim->open[id] = true;
    sim->busy_until[id] = 0;
    heap_push(sim, (struct event){.at_ns = sim->now_ns,
                                  .id = id,
                                  .generation = sim->generations[id],
                                  .type = SL_WIRE_CONNECTED,
                                  .res = res});
    return 0;
}

static void reply_push(struct sim_wire *sim, uint32_t id, const struct sim_reply *reply)
{
    if (reply->data == NULL) return;
    uint64_t at = sim->now_ns + reply->delay_ns;
    if (at < sim->busy_until[id]) at = sim->busy_until[id];
    sim->busy_until[id] = at;
    size_t size = strlen(reply->data);
    size_t piece = reply->piece > 0 ? reply->piece : size;
    for (size_t done = 0; done < size; done += piece) {
        uint32_t part = (uint32_t)(size - done < piece ? size - done : piece);
        heap_push(sim, (struct event){.at_ns = at,
                                      .data = reply->data + done,
                                      .size = part,
                                      .id = id,
                                      .generation = sim->generations[id],
                                      .type = SL_WIRE_DATA});
    }
    if (!reply->close_after) return;
    heap_push(sim, (struct event){.at_ns = at,
                                  .id = id,
                                  .generation = sim->generations[id],
                                  .type = SL_WIRE_CLOSED});
}

static void sim_send(struct sl_wire *base, uint32_t id, const uint8_t *data, size_t size)
{
    struct sim_wire *sim = (struct sim_wire *)base;
    sl_assert(sim->open[id]);
    heap_push(sim, (struct event){.at_ns = sim->now_ns,
                                  .id = id,
                                  .generation = sim->generations[id],
                                  .type = SL_WIRE_SENT});
    char *text = strndup((const char *)data, size);
    sl_assert(text != NULL);
    bool closed = false;
    char *at = text;
    for (char *end = strstr(at, "\r\n\r\n"); end != NULL; end = strstr(at, "\r\n\r\n")) {
        *end = '\0';
        struct sim_reply reply =
            sim->config.server(sim->config.ctx, sim->now_ns, id, sim->requests++, at);
        if (!closed) reply_push(sim, id, &reply);
        closed = closed || reply.close_after;
        at = end + 4;
    }
    sl_assert(*at == '\0');
    free(text);
}

static void sim_shut(struct sl_wire *base, uint32_t id)
{
    struct sim_wire *sim = (struct sim_wire *)base;
    sim->open[id] = false;
    sim->generations[id]++;
}

static int sim_wait(struct sl_wire *base, uint64_t until_ns, uint64_t spin_ns)
{
    struct sim_wire *sim = (struct sim_wire *)base;
    (void)spin_ns;
    uint64_t next = sim->heap_count > 0 ? sim->heap[0].at_ns : UINT64_MAX;
    if (next > until_ns) next = until_ns;
    sl_assert(next != UINT64_MAX);
    uint64_t every = sim->config.away_every_ns;
    uint64_t away = every > 0 ? (sim->now_ns / every + 1) * every : UINT64_MAX;
    if (next > sim->now_ns) sim->now_ns = next;
    if (away <= sim->now_ns) {
        sim->waited_ns += sim->config.away_ns;
        sim->now_ns = away + sim->config.away_ns;
    }
    while (sim->heap_count > 0 && sim->heap[0].at_ns <= sim->now_ns) {
        struct event event = heap_pop(sim);
        if (!sim->open[event.id] || sim->generations[event.id] != event.generation) continue;
        bool ends = event.type == SL_WIRE_CLOSED || event.res < 0;
        if (ends) sim_shut(base, event.id);
        base->fn(base->ctx, event.id, event.type, event.res, (const uint8_t *)event.data,
                 event.size);
    }
    return 0;
}

static void sim_free(struct sl_wire *base)
{
    struct sim_wire *sim = (struct sim_wire *)base;
    free(sim->heap);
    free(sim->generations);
    free(sim->open);
    free(sim->busy_until);
    free(sim);
}

static const struct sl_wire_ops SIM_OPS = {
    .name = "sim",
    .now_ns = sim_now,
    .open = sim_open,
    .send = sim_send,
    .shut = sim_shut,
    .wait = sim_wait,
    .free = sim_free,
};

struct sl_wire *sim_wire_new(const struct sim_config *config)
{
    struct sim_wire *sim = calloc(1, sizeof(*sim));
    sl_assert(sim != NULL);
    sim->base.ops = &SIM_OPS;
    sim->config = *config;
    sim->heap = calloc(EVENTS_MAX, sizeof(*sim->heap));
    sim->generations = calloc(config->connections, sizeof(*sim->generations));
    sim->open = calloc(config->connections, sizeof(*sim->open));
    sim->busy_until = calloc(config->connections, sizeof(*sim->busy_until));
    sl_assert(sim->heap != NULL && sim->generations != NULL);
    sl_assert(sim->open != NULL && sim->busy_until != NULL);
    return &sim->base;
}

uint64_t sim_wire_waited_ns(void *ctx)
{
    return ((const struct sim_wire *)ctx)->waited_ns;
}

uint64_t sim_wire_requests(const struct sl_wire *wire)
{
    return ((const struct sim_wire *)wire)->requests;
}
