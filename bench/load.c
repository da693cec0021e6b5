/* SPDX-License-Identifier: MIT */
/* The generator's plan and loop. See load.h for what is measured. */
#include "bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/load_state.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    SWEEP_NS = 10 * 1000 * 1000, /* how often timeouts and pauses are looked at */
    WAKE_LENGTHS = 2,            /* of the generator's absence: so long it tells after it */
};

/* Copies of the only request, so that a batch is sent without gathering. */
static int block_make(struct sl_load *load)
{
    const struct sl_requests *requests = load->config.requests;
    if (requests->count != 1) return 0;
    const struct sl_request *request = &requests->items[0];
    load->block = malloc(request->size * load->config.pipeline);
    if (load->block == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < load->config.pipeline; i++) {
        memcpy(load->block + i * request->size, request->data, request->size);
    }
    return 0;
}

struct sl_load *sl_load_new(const struct sl_load_config *config, struct sl_wire *wire)
{
    sl_assert(config->connections > 0);
    sl_assert(config->pipeline > 0 && config->pipeline <= SL_LOAD_PIPELINE_MAX);
    sl_assert(config->requests->count > 0);
    sl_assert(config->workers > config->worker);
    struct sl_load *load = calloc(1, sizeof(*load));
    if (load == NULL) return NULL;
    load->config = *config;
    for (size_t i = 0; config->check.body != NULL && i < config->check.body_size; i++) {
        load->check_sum += (uint64_t)config->check.body[i] * config->check.body[i];
    }
    load->wire = wire;
    load->random = UINT64_C(0x9e3779b97f4a7c15) * (config->worker + 1);
    wire->fn = sl_load_on_event;
    wire->ctx = load;
    load->conns = calloc(config->connections, sizeof(*load->conns));
    load->idle = calloc(config->connections, sizeof(*load->idle));
    load->flights = calloc((size_t)config->connections * config->pipeline, sizeof(*load->flights));
    bool ok = load->conns != NULL && load->idle != NULL && load->flights != NULL;
    if (!ok || block_make(load) < 0) return sl_load_free(load);
    if (sl_load_result_init(&load->result, config->intervals_count) < 0) return sl_load_free(load);
    for (uint32_t id = 0; id < config->connections; id++) {
        load->conns[id].flights = load->flights + (size_t)id * config->pipeline;
        load->conns[id].check = &load->config.check;
        load->conns[id].load = load;
        sl_response_reset(&load->conns[id].response, false);
    }
    return load;
}

struct sl_load *sl_load_free(struct sl_load *load)
{
    if (load == NULL) return NULL;
    for (uint32_t id = 0; load->conns != NULL && id < load->config.connections; id++) {
        sl_wire_shut(load->wire, id);
        sl_response_fini(&load->conns[id].response);
        free(load->conns[id].out.data);
        free(load->conns[id].out_sending.data);
    }
    sl_load_result_fini(&load->result);
    free(load->conns);
    free(load->idle);
    free(load->flights);
    free(load->block);
    free(load);
    return NULL;
}

struct sl_load_live *sl_load_live_get(struct sl_load *load)
{
    return &load->live;
}

int sl_load_connect(struct sl_load *load)
{
    uint64_t end = sl_wire_now_ns(load->wire) + load->config.timeout_ns;
    /* With a connection for each request only one is tried: is anybody there? */
    uint32_t count = load->config.close ? 1 : load->config.connections;
    for (uint32_t id = 0; id < count; id++) {
        sl_load_conn_open(load, id);
        /* Not more at once than a listening queue holds. */
        while (load->opening_count >= 512 && sl_wire_now_ns(load->wire) < end) {
            int err = sl_wire_wait(load->wire, end, 0);
            if (err < 0) return err;
        }
    }
    while (load->opening_count > 0 && sl_wire_now_ns(load->wire) < end) {
        int err = sl_wire_wait(load->wire, end, 0);
        if (err < 0) return err;
    }
    uint32_t open_count = 0;
    for (uint32_t id = 0; id < count; id++) {
        struct conn *conn = &load->conns[id];
        if (conn->state == CONN_OPENING) sl_load_conn_fail(load, id, SL_LOAD_CONNECT);
        open_count += conn->state == CONN_OPEN;
    }
    if (open_count > 0) return 0;
    return load->result.first_errno != 0 ? load->result.first_errno : -ETIMEDOUT;
}

/* ---- the open loop's plan ---- */

static uint64_t planned_ns(const struct sl_load *load, uint64_t index)
{
    uint64_t global = load->config.worker + index * load->config.workers;
    return load->start_ns + sl_schedule_at_ns(load->config.schedule, global);
}

static void plan_begin(struct sl_load *load)
{
    const struct sl_load_config *config = &load->config;
    load->next_ns = UINT64_MAX;
    if (!load_is_open_loop(load)) return;
    uint64_t total = UINT64_MAX;
    if (config->duration_ns != UINT64_MAX) {
        total = sl_schedule_count(config->schedule, config->warmup_ns + config->duration_ns);
    }
    if (config->count != UINT64_MAX) {
        uint64_t warmup = sl_schedule_count(config->schedule, config->warmup_ns);
        uint64_t by_count = warmup + config->count * config->workers;
        if (by_count < total) total = by_count;
    }
    uint64_t share = total / config->workers;
    load->planned_count = share + (config->worker < total % config->workers ? 1 : 0);
    if (load->planned_count > 0) load->next_ns = planned_ns(load, 0);
}

void sl_load_look(struct sl_load *load)
{
    load->has_looked = true;
    load->is_disturbed = false;
    if (!load_is_open_loop(load)) return;
    uint64_t now = sl_wire_now_ns(load->wire);
    load->is_disturbed = load->next_ns < now && now - load->next_ns > SL_LOAD_LATE_NS;
    if (load->config.waited_ns == NULL) return;
    uint64_t waited = load->config.waited_ns(load->config.waited_ctx);
    if (waited - load->waited_last_ns > SL_LOAD_LATE_NS) load->is_disturbed = true;
    load->waited_last_ns = waited;
}

/*
 * The next of the plan was noticed late. What could not be sent in time is sent at once, and the server
 * works it off: requests planned meanwhile are not like others. How long that takes must not depend on
 * the server, else its stalls were left out more often than its quick replies.
 */
static void late_mark(struct sl_load *load, uint64_t now)
{
    uint64_t until_ns = now + WAKE_LENGTHS * (now - load->next_ns);
    bool is_over =
        load->put_count >= load->wake_from &&
        (load->due_count == 0 || planned_ns(load, load->put_count) >= load->wake_until_ns);
    if (is_over) load->wake_from = load->due_count;
    if (until_ns > load->wake_until_ns) load->wake_until_ns = until_ns;
}

/* Notice what is due by now, and how late that is. */
static void plan_notice(struct sl_load *load)
{
    uint64_t now = sl_wire_now_ns(load->wire);
    while (load->next_ns <= now) {
        if (now - load->next_ns > SL_LOAD_LATE_NS) late_mark(load, now);
        if (load->next_ns >= load->window_start_ns) {
            sl_hdr_record(load->result.late, now - load->next_ns, 1);
        }
        load->due_count++;
        load->next_ns =
            load->due_count < load->planned_count ? planned_ns(load, load->due_count) : UINT64_MAX;
    }
}

/* The newest flight of a connection, if opening it has not failed at once. */
static void flight_mark(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    if (conn->flights_count == 0) return;
    uint32_t at = (conn->flights_head + conn->flights_count - 1) % load->config.pipeline;
    conn->flights[at].is_disturbed = true;
}

/* Give what is due to idle connections. */
static void plan_put(struct sl_load *load)
{
    while (load->put_count < load->due_count && load->idle_count > 0) {
        uint32_t id = sl_load_idle_take(load);
        if (load->conns[id].retry_ns != 0) continue; /* the sweep brings it back */
        uint64_t at_ns = planned_ns(load, load->put_count);
        bool is_disturbed = load->put_count >= load->wake_from && at_ns < load->wake_until_ns;
        sl_load_conn_put(load, id, at_ns);
        if (is_disturbed) flight_mark(load, id);
        load->put_count++;
        sl_load_conn_flush(load, id);
        bool has_room = load->conns[id].flights_count < load->config.pipeline;
        if (has_room && load->conns[id].retry_ns == 0) sl_load_idle_push(load, id);
    }
}

/* ---- the loop ---- */

static void sweep(struct sl_load *load, uint64_t now)
{
    for (uint32_t id = 0; id < load->config.connections; id++) {
        struct conn *conn = &load->conns[id];
        if (conn->flights_count > 0) {
            const struct flight *oldest = &conn->flights[conn->flights_head];
            if (now > oldest->sent_ns && now - oldest->sent_ns > load->config.timeout_ns) {
                sl_load_conn_fail(load, id, SL_LOAD_TIMEOUT);
            }
        } else if (conn->retry_ns != 0 && now >= conn->retry_ns) {
            conn->retry_ns = 0;
            if (load_is_open_loop(load)) {
                sl_load_idle_push(load, id);
            } else {
                sl_load_conn_refill(load, id);
            }
        }
    }
}

static bool is_over(const struct sl_load *load, uint64_t now)
{
    if (atomic_load_explicit(&load->live.stop, memory_order_relaxed)) return true;
    if (!load_is_open_loop(load)) {
        return now >= load->window_end_ns || load->ended_count >= load->config.count;
    }
    if (load->next_ns != UINT64_MAX) return false;
    if (load->put_count == load->due_count && load->flying_count == 0) return true;
    uint64_t last_planned = load->planned_count > 0 ? planned_ns(load, load->planned_count - 1) : 0;
    return now > last_planned && now - last_planned > load->config.timeout_ns;
}

/* What is still out when an open loop gives up. */
static void leftovers_note(struct sl_load *load)
{
    if (!load_is_open_loop(load)) return;
    for (uint32_t id = 0; id < load->config.connections; id++) {
        struct conn *conn = &load->conns[id];
        for (uint32_t i = 0; i < conn->flights_count; i++) {
            uint32_t at = (conn->flights_head + i) % load->config.pipeline;
            sl_load_note_error(load, SL_LOAD_TIMEOUT, conn->flights[at].from_ns);
        }
    }
    for (uint64_t i = load->put_count; i < load->due_count; i++) {
        sl_load_note_error(load, SL_LOAD_UNSENT, planned_ns(load, i));
    }
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * SL_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void run_begin(struct sl_load *load, uint64_t start_ns)
{
    const struct sl_load_config *config = &load->config;
    load->start_ns = start_ns;
    load->window_start_ns = start_ns + config->warmup_ns;
    load->window_end_ns = config->duration_ns == UINT64_MAX
                              ? UINT64_MAX
                              : load->window_start_ns + config->duration_ns;
    plan_begin(load);
    while (sl_wire_now_ns(load->wire) < start_ns) {
        if (sl_wire_wait(load->wire, start_ns, 0) < 0) return;
    }
    load->is_running = true;
    for (uint32_t id = 0; id < config->connections; id++) {
        if (load->conns[id].retry_ns != 0) continue;
        if (load_is_open_loop(load)) {
            sl_load_idle_push(load, id);
        } else {
            sl_load_conn_refill(load, id);
        }
    }
}

static void run_end(struct sl_load *load)
{
    uint64_t now = sl_wire_now_ns(load->wire);
    leftovers_note(load);
    load->is_running = false;
    uint64_t end = load->window_end_ns;
    bool is_stopped = atomic_load_explicit(&load->live.stop, memory_order_relaxed);
    if (end == UINT64_MAX) end = load->last_ns > 0 ? load->last_ns : now;
    /* A plan that was carried out is over a little before the window; its errors came in time. */
    if (now < end && is_stopped) end = now;
    if (load_is_open_loop(load) && load->last_ns > end) end = load->last_ns;
    load->result.window_ns = end > load->window_start_ns ? end - load->window_start_ns : 0;
    uint64_t last = load->last_ns > load->window_start_ns ? load->last_ns : load->window_start_ns;
    load->result.silent_ns = end > last ? end - last : 0;
    load->result.wall_ns = now - load->start_ns;
}

int sl_load_run(struct sl_load *load, uint64_t start_ns)
{
    sl_assert(load != NULL);
    sl_assert(!load->is_running);
    uint64_t cpu_before = thread_cpu_ns();
    const struct sl_load_config *config = &load->config;
    uint64_t waited_before = config->waited_ns != NULL ? config->waited_ns(config->waited_ctx) : 0;
    load->waited_last_ns = waited_before;
    run_begin(load, start_ns);
    uint64_t now = sl_wire_now_ns(load->wire);
    uint64_t sweep_ns = now + SWEEP_NS;
    int err = 0;
    while (err == 0 && !is_over(load, now)) {
        plan_notice(load);
        plan_put(load);
        if (now >= sweep_ns) {
            sweep(load, now);
            sweep_ns = now + SWEEP_NS;
        }
        uint64_t until = load->next_ns < sweep_ns ? load->next_ns : sweep_ns;
        bool spins = load->next_ns <= sweep_ns || load->config.spin_ns == UINT64_MAX;
        if (load->window_end_ns < until && !load_is_open_loop(load)) until = load->window_end_ns;
        load->has_looked = false;
        err = sl_wire_wait(load->wire, until, spins ? load->config.spin_ns : 0);
        now = sl_wire_now_ns(load->wire);
    }
    run_end(load);
    if (config->waited_ns != NULL) {
        load->result.waited_ns = config->waited_ns(config->waited_ctx) - waited_before;
    }
    load->result.cpu_ns = thread_cpu_ns() - cpu_before;
    return err;
}

void sl_load_result_take(struct sl_load *load, struct sl_load_result *ret_result)
{
    sl_assert(load->result.latency != NULL);
    *ret_result = load->result;
    memset(&load->result, 0, sizeof(load->result));
}
