/* SPDX-License-Identifier: MIT */
/* Connections of the generator: sending, replies, failures. See load_state.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load_state.h"
#include "core/base/assertion.h"

enum { RETRY_NS = 10 * 1000 * 1000 /* pause after a failed connect */ };

void sl_load_idle_push(struct sl_load *load, uint32_t id)
{
    if (load->conns[id].is_idle) return;
    sl_assert(load->idle_count < load->config.connections);
    load->idle[(load->idle_head + load->idle_count++) % load->config.connections] = id;
    load->conns[id].is_idle = true;
}

uint32_t sl_load_idle_take(struct sl_load *load)
{
    sl_assert(load->idle_count > 0);
    uint32_t id = load->idle[load->idle_head];
    load->idle_head = (load->idle_head + 1) % load->config.connections;
    load->idle_count--;
    load->conns[id].is_idle = false;
    return id;
}

/* After a reply or a failure: what may this connection do next? */
static void conn_next(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    if (conn->retry_ns != 0 || !load->is_running) return;
    if (load_is_open_loop(load)) {
        if (conn->flights_count < load->config.pipeline) sl_load_idle_push(load, id);
    } else if (conn->flights_count == 0) {
        sl_load_conn_refill(load, id);
    }
}

static struct flight *flight_at(struct sl_load *load, struct conn *conn, uint32_t index)
{
    sl_assert(index < load->config.pipeline);
    return &conn->flights[(conn->flights_head + index) % load->config.pipeline];
}

static void flight_pop(struct sl_load *load, struct conn *conn)
{
    sl_assert(conn->flights_count > 0);
    sl_assert(load->flying_count > 0);
    conn->flights_head = (conn->flights_head + 1) % load->config.pipeline;
    conn->flights_count--;
    load->flying_count--;
}

static void conn_shut(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    if (conn->state == CONN_OPENING) load->opening_count--;
    sl_wire_shut(load->wire, id);
    conn->state = CONN_SHUT;
    conn->is_sending = false;
    conn->unsent_count = 0;
    conn->out.size = 0;
    conn->body_at = 0;
    conn->body_sum = 0;
    conn->body_differs = false;
    sl_response_reset(&conn->response, false);
}

void sl_load_conn_fail(struct sl_load *load, uint32_t id, enum sl_load_error error)
{
    struct conn *conn = &load->conns[id];
    conn_shut(load, id);
    if (conn->flights_count == 0 && error == SL_LOAD_CONNECT) {
        /* Nothing was lost yet, but a server that refuses is no success. */
        sl_load_note_error(load, error, sl_wire_now_ns(load->wire));
    }
    while (conn->flights_count > 0) {
        sl_load_note_error(load, error, flight_at(load, conn, 0)->from_ns);
        flight_pop(load, conn);
    }
    if (error == SL_LOAD_CONNECT) {
        conn->retry_ns = sl_wire_now_ns(load->wire) + RETRY_NS;
    }
    conn_next(load, id);
}

static void connect_failed(struct sl_load *load, uint32_t id, int err)
{
    if (load->result.first_errno == 0) load->result.first_errno = err;
    sl_load_conn_fail(load, id, SL_LOAD_CONNECT);
}

void sl_load_conn_open(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    sl_assert(conn->state == CONN_SHUT);
    conn->state = CONN_OPENING;
    load->opening_count++;
    load->result.connects++;
    int err = sl_wire_open(load->wire, id, load->config.addr);
    if (err < 0) connect_failed(load, id, err);
}

/* ---- sending ---- */

static void out_append(struct out *out, const uint8_t *data, size_t size)
{
    if (out->size + size > out->cap) {
        size_t cap = (out->size + size) * 2;
        uint8_t *grown = realloc(out->data, cap);
        sl_assert(grown != NULL);
        out->data = grown;
        out->cap = cap;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static uint32_t request_choose(struct sl_load *load)
{
    const struct sl_requests *requests = load->config.requests;
    if (requests->count == 1) return 0;
    /* xorshift64*: good enough to mix requests, the same in every run. */
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    uint64_t mixed = (load->random * UINT64_C(2685821657736338717)) >> 33;
    return sl_requests_pick(requests, (uint32_t)(mixed % requests->weight_sum));
}

/* Queue the bytes of one flight. */
static void flight_queue(struct sl_load *load, struct conn *conn, const struct flight *flight)
{
    conn->unsent_count++;
    if (load->block != NULL) return;
    const struct sl_request *request = &load->config.requests->items[flight->request];
    out_append(&conn->out, request->data, request->size);
}

void sl_load_conn_put(struct sl_load *load, uint32_t id, uint64_t from_ns)
{
    struct conn *conn = &load->conns[id];
    sl_assert(conn->flights_count < load->config.pipeline);
    struct flight *flight = flight_at(load, conn, conn->flights_count);
    flight->from_ns = from_ns;
    flight->sent_ns = sl_wire_now_ns(load->wire);
    flight->request = request_choose(load);
    flight->is_disturbed = false;
    conn->flights_count++;
    load->flying_count++;
    flight_queue(load, conn, flight);
    if (conn->state == CONN_SHUT) sl_load_conn_open(load, id);
}

void sl_load_conn_flush(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    if (conn->state != CONN_OPEN || conn->is_sending || conn->unsent_count == 0) return;
    const uint8_t *data = load->block;
    size_t size = conn->unsent_count * load->config.requests->items[0].size;
    if (load->block == NULL) {
        struct out out = conn->out;
        conn->out = conn->out_sending;
        conn->out.size = 0;
        conn->out_sending = out;
        data = out.data;
        size = out.size;
    }
    conn->unsent_count = 0;
    conn->is_sending = true;
    load->result.bytes_out += size;
    sl_wire_send(load->wire, id, data, size);
}

/* Without a warm-up as many are asked for as are counted: the server sees not one more. */
static bool has_asked_all(const struct sl_load *load)
{
    return load->config.warmup_ns == 0 && load->asked_count >= load->config.count;
}

void sl_load_conn_refill(struct sl_load *load, uint32_t id)
{
    uint64_t now = sl_wire_now_ns(load->wire);
    struct conn *conn = &load->conns[id];
    sl_assert(conn->flights_count == 0);
    /* Putting may open, and opening may fail at once and take the batch back. */
    for (uint32_t i = 0; i < load->config.pipeline && conn->flights_count == i; i++) {
        if (has_asked_all(load)) break;
        load->asked_count++;
        sl_load_conn_put(load, id, now);
    }
    sl_load_conn_flush(load, id);
}

/* ---- replies ---- */

static void body_compare(void *ctx, const uint8_t *data, size_t size)
{
    struct conn *conn = ctx;
    size_t left = conn->check->body_size - conn->body_at;
    if (conn->check->is_any_order && size <= left) {
        for (size_t i = 0; i < size; i++) conn->body_sum += (uint64_t)data[i] * data[i];
        conn->body_at += size;
        return;
    }
    if (size > left || memcmp(conn->check->body + conn->body_at, data, size) != 0) {
        conn->body_differs = true;
        return;
    }
    conn->body_at += size;
}

static void body_probe(void *ctx, const uint8_t *data, size_t size)
{
    const struct conn *conn = ctx;
    const struct sl_load *load = conn->load;
    const struct sl_load_probe *probe = load->config.probe;
    uint32_t id = (uint32_t)(conn - load->conns);
    probe->body(probe->ctx, load->config.worker, id, data, size);
}

/* Ask again on a new connection for what the server left unanswered when it closed in order. */
static void conn_resend(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    for (uint32_t i = 0; i < conn->flights_count; i++) {
        flight_queue(load, conn, flight_at(load, conn, i));
    }
    load->result.resent += conn->flights_count;
    sl_load_conn_open(load, id);
}

/* A whole reply is there. False: the connection was shut, what follows is not for us. */
static bool reply_done(struct sl_load *load, uint32_t id)
{
    struct conn *conn = &load->conns[id];
    bool keep = conn->response.keep_alive && !load->config.close;
    const struct sl_load_probe *probe = load->config.probe;
    if (probe != NULL) {
        conn->body_differs = !probe->reply(probe->ctx, load->config.worker, id,
                                           conn->response.status, sl_wire_now_ns(load->wire));
    }
    sl_load_note_reply(load, conn, flight_at(load, conn, 0));
    flight_pop(load, conn);
    conn->body_at = 0;
    conn->body_sum = 0;
    conn->body_differs = false;
    sl_response_reset(&conn->response, false);
    if (keep) return true;
    conn_shut(load, id);
    if (conn->flights_count > 0) conn_resend(load, id);
    conn_next(load, id);
    return false;
}

static void reply_broken(struct sl_load *load, uint32_t id, const char *fault)
{
    if (load->result.first_fault[0] == '\0') {
        (void)snprintf(load->result.first_fault, sizeof(load->result.first_fault), "%s", fault);
    }
    sl_load_conn_fail(load, id, SL_LOAD_PROTOCOL);
}

static void on_data(struct sl_load *load, uint32_t id, const uint8_t *data, size_t size)
{
    struct conn *conn = &load->conns[id];
    if (!load->has_looked) sl_load_look(load);
    load->result.bytes_in += size;
    while (size > 0) {
        if (conn->flights_count == 0) {
            sl_load_note_error(load, SL_LOAD_PROTOCOL, sl_wire_now_ns(load->wire));
            reply_broken(load, id, "bytes that no request asked for");
            return;
        }
        conn->response.is_head =
            load->config.requests->items[flight_at(load, conn, 0)->request].is_head;
        size_t used = 0;
        if (sl_response_feed(&conn->response, data, size, &used) < 0) {
            reply_broken(load, id, conn->response.fault ? conn->response.fault : "no memory");
            return;
        }
        data += used;
        size -= used;
        if (conn->response.state != SL_RESPONSE_DONE) continue;
        if (!reply_done(load, id)) return;
    }
    conn_next(load, id);
}

static void on_closed(struct sl_load *load, uint32_t id, int res)
{
    struct conn *conn = &load->conns[id];
    if (conn->flights_count > 0 && res == 0 && sl_response_end(&conn->response) == 0) {
        conn->response.keep_alive = false;
        (void)reply_done(load, id);
        return;
    }
    if (res < 0 && load->result.first_errno == 0 && conn->flights_count > 0) {
        load->result.first_errno = res;
    }
    sl_load_conn_fail(load, id, res < 0 ? SL_LOAD_READ : SL_LOAD_CLOSED);
}

void sl_load_on_event(void *ctx, uint32_t id, enum sl_wire_event event, int res,
                      const uint8_t *data, size_t size)
{
    struct sl_load *load = ctx;
    sl_assert(id < load->config.connections);
    struct conn *conn = &load->conns[id];
    switch (event) {
    case SL_WIRE_CONNECTED:
        if (res < 0) {
            connect_failed(load, id, res);
            return;
        }
        conn->state = CONN_OPEN;
        load->opening_count--;
        conn->response.body = load->config.check.body != NULL ? body_compare : NULL;
        conn->response.body_ctx = conn;
        if (load->config.probe != NULL) {
            conn->response.body = body_probe;
            load->config.probe->opened(load->config.probe->ctx, load->config.worker, id);
        }
        sl_load_conn_flush(load, id);
        break;
    case SL_WIRE_SENT:
        conn->is_sending = false;
        if (res < 0) {
            sl_load_conn_fail(load, id, SL_LOAD_WRITE);
        } else {
            sl_load_conn_flush(load, id);
        }
        break;
    case SL_WIRE_DATA: on_data(load, id, data, size); break;
    case SL_WIRE_CLOSED: on_closed(load, id, res); break;
    default: sl_unreachable();
    }
}
