/* SPDX-License-Identifier: MIT */
/*
 * The generator on a virtual clock. The first tests are the proof of the open loop: the server
 * stalls on a known schedule, so the true latency of every planned request is known exactly.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load.h"
#include "core/base/clock.h"
#include "tests/bench/sim_wire.h"

#define MS  SL_NS_PER_MS
#define SEC SL_NS_PER_SEC

static const char OK_REPLY[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static const char OTHER_REPLY[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
static const char CLOSE_REPLY[] =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
static const char MISSING_REPLY[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
static const char BROKEN_REPLY[] = "SSH-2.0-OpenSSH\r\n";

struct fixture {
    struct sl_requests requests;
    struct sl_schedule schedule;
    struct sl_bench_addr addr;
    struct sl_load_config config;
    struct sim_config sim;
    struct sl_wire *wire;
    struct sl_load *load;
    struct sl_load_result result;
    uint64_t seen[2]; /* requests to /a and to /b */
};

static void request_add(struct fixture *fixture, const char *target, uint32_t weight)
{
    struct sl_request_parts parts = {
        .method = "GET", .target = target, .authority = "sim", .weight = weight};
    assert_int_equal(sl_requests_push(&fixture->requests, &parts, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    request_add(fixture, "/a", 1);
    fixture->config = (struct sl_load_config){
        .requests = &fixture->requests,
        .addr = &fixture->addr,
        .check = {.status_min = 200, .status_max = 399},
        .duration_ns = 20 * SEC,
        .count = UINT64_MAX,
        .timeout_ns = 5 * SEC,
        .interval_ns = SEC,
        .intervals_count = 20,
        .connections = 1,
        .pipeline = 1,
        .workers = 1,
    };
    fixture->sim.ctx = fixture;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    sl_load_result_fini(&fixture->result);
    sl_load_free(fixture->load);
    sl_wire_free(fixture->wire);
    sl_requests_fini(&fixture->requests);
    free(fixture);
    return 0;
}

static void open_loop(struct fixture *fixture, double rate)
{
    fixture->schedule = (struct sl_schedule){
        .rate_from = rate,
        .rate_to = rate,
        .warmup_s = (double)fixture->config.warmup_ns / 1e9,
        .ramp_s = (double)fixture->config.duration_ns / 1e9,
    };
    fixture->config.schedule = &fixture->schedule;
}

static int connect_only(struct fixture *fixture, sim_server_fn *server)
{
    fixture->sim.server = server;
    fixture->sim.connections = fixture->config.connections;
    fixture->wire = sim_wire_new(&fixture->sim);
    if (fixture->sim.away_every_ns > 0) {
        fixture->config.waited_ns = sim_wire_waited_ns;
        fixture->config.waited_ctx = fixture->wire;
    }
    fixture->load = sl_load_new(&fixture->config, fixture->wire);
    assert_non_null(fixture->load);
    return sl_load_connect(fixture->load);
}

static void run(struct fixture *fixture, sim_server_fn *server)
{
    assert_int_equal(connect_only(fixture, server), 0);
    assert_int_equal(sl_load_run(fixture->load, 0), 0);
    sl_load_result_take(fixture->load, &fixture->result);
}

static double percentile_of(const struct fixture *fixture, double percent)
{
    return (double)sl_hdr_percentile(fixture->result.latency, percent);
}

/* ---- the proof ---- */

/* Service takes 1.0 to 1.9 ms; from 0.5 s to 0.6 s of every second nothing is served. */
static uint64_t stalling_delay(uint64_t at_ns)
{
    uint64_t service = MS + at_ns / MS % 10 * (MS / 10);
    uint64_t in_second = at_ns % SEC;
    bool stalled = in_second >= 500 * MS && in_second < 600 * MS;
    return service + (stalled ? 600 * MS - in_second : 0);
}

static struct sim_reply stalling_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                        const char *request)
{
    (void)ctx;
    (void)id;
    (void)index;
    (void)request;
    return (struct sim_reply){.data = OK_REPLY, .delay_ns = stalling_delay(now_ns)};
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The exact percentile of what requests sent at the planned times would have taken. */
static double true_percentile(uint64_t count, double rate, double percent)
{
    uint64_t *latencies = calloc(count, sizeof(*latencies));
    assert_non_null(latencies);
    for (uint64_t k = 0; k < count; k++) {
        latencies[k] = stalling_delay((uint64_t)((double)k / rate * 1e9));
    }
    qsort(latencies, count, sizeof(*latencies), compare_u64);
    uint64_t rank = (uint64_t)(percent / 100 * (double)count + 0.999999);
    double value = (double)latencies[rank > 0 ? rank - 1 : 0];
    free(latencies);
    return value;
}

static const double PERCENTS[] = {50, 90, 95, 99, 99.9, 99.99, 100};

static void run_open_loop_with_stalls_reports_true_percentiles(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 256;
    open_loop(fixture, 1000);
    run(fixture, stalling_server);
    assert_int_equal(fixture->result.requests, 20000);
    assert_int_equal(sl_load_errors_sum(&fixture->result), 0);
    for (size_t i = 0; i < sizeof(PERCENTS) / sizeof(PERCENTS[0]); i++) {
        double truth = true_percentile(20000, 1000, PERCENTS[i]);
        double got = percentile_of(fixture, PERCENTS[i]);
        assert_true(got > truth * 0.98 && got < truth * 1.02);
    }
    assert_int_equal(fixture->result.late->max, 0);
}

/*
 * A shared machine takes a tenth of the time from the generator, 10 ms at a time. What it saw late is
 * told apart, and what is left is near the truth about the server.
 */
static void run_open_loop_without_its_core_still_reports_true_percentiles(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 256;
    fixture->sim.away_every_ns = 97 * MS;
    fixture->sim.away_ns = 10 * MS;
    open_loop(fixture, 1000);
    run(fixture, stalling_server);
    assert_int_equal(fixture->result.requests, 20000);
    uint64_t timed = fixture->result.latency->total;
    assert_int_equal(timed + fixture->result.disturbed->total, 20000);
    assert_true(fixture->result.disturbed->total > 2000);
    assert_true(timed > 8000);
    assert_true(fixture->result.waited_ns > SEC);
    const double percents[] = {50, 95, 99, 99.9};
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        /* Slow ones are understated by its absence, a tenth; and there are but twenty stalls. */
        double least = true_percentile(20000, 1000, 100 - (100 - percents[i]) * 1.2);
        double truth = true_percentile(20000, 1000, percents[i]);
        double got = percentile_of(fixture, percents[i]);
        if (got < least * 0.98 || got > truth * 1.02) {
            print_message("p%g: %g for %g to %g\n", percents[i], got, least, truth);
        }
        assert_true(got > least * 0.98);
        assert_true(got < truth * 1.02);
    }
    /* With them it would be wrong: the generator's absence in the middle of the distribution. */
    sl_hdr_merge(fixture->result.latency, fixture->result.disturbed);
    assert_true(percentile_of(fixture, 88) > true_percentile(20000, 1000, 88) * 2);
}

static void run_open_loop_with_two_workers_share_plan(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 256;
    fixture->config.workers = 2;
    fixture->config.worker = 1;
    open_loop(fixture, 1000);
    run(fixture, stalling_server);
    assert_int_equal(fixture->result.requests, 10000);
    double truth = true_percentile(20000, 1000, 99);
    assert_true(percentile_of(fixture, 99) > truth * 0.98);
    assert_true(percentile_of(fixture, 99) < truth * 1.02);
}

static void run_closed_loop_with_stalls_hides_them(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, stalling_server);
    double truth = true_percentile(20000, 1000, 99);
    assert_true(truth > 80.0 * MS);
    assert_true(percentile_of(fixture, 99) < truth / 10);
    /* The stalls are there, one request each: only the maximum knows. */
    assert_true(percentile_of(fixture, 100) > 95.0 * MS);
}

static void run_open_loop_with_few_connections_counts_waiting(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 8;
    open_loop(fixture, 1000);
    run(fixture, stalling_server);
    assert_int_equal(fixture->result.requests, 20000);
    double truth = true_percentile(20000, 1000, 99);
    assert_true(percentile_of(fixture, 99) >= truth * 0.98);
    /* Waiting for a connection is no lateness of the generator. */
    assert_int_equal(fixture->result.late->max, 0);
}

/* ---- rules of recording ---- */

static struct sim_reply plain_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                     const char *request)
{
    struct fixture *fixture = ctx;
    (void)now_ns;
    (void)id;
    (void)index;
    fixture->seen[strncmp(request, "GET /b", 6) == 0]++;
    return (struct sim_reply){.data = OK_REPLY, .delay_ns = MS};
}

static void run_closed_loop_fixed_service_gives_exact_rate(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 4;
    fixture->config.warmup_ns = SEC;
    run(fixture, plain_server);
    assert_in_range(fixture->result.requests, 4 * 19999, 4 * 20001);
    assert_in_range((uint64_t)percentile_of(fixture, 50), MS, MS + MS / 1000);
    assert_int_equal(fixture->result.window_ns, 20 * SEC);
    assert_in_range(fixture->result.intervals[7].requests, 3990, 4010);
}

static void run_count_stops_exactly(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 7;
    fixture->config.count = 1000;
    fixture->config.duration_ns = UINT64_MAX;
    run(fixture, plain_server);
    assert_int_equal(fixture->result.requests, 1000);
    assert_int_equal(fixture->result.latency->total, 1000);
}

static void run_open_loop_count_sends_exactly(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 7;
    fixture->config.count = 500;
    fixture->config.duration_ns = UINT64_MAX;
    fixture->schedule = (struct sl_schedule){.rate_from = 100, .rate_to = 100};
    fixture->config.schedule = &fixture->schedule;
    run(fixture, plain_server);
    assert_int_equal(fixture->result.requests, 500);
    assert_int_equal(sim_wire_requests(fixture->wire), 500);
}

static void run_weights_mix_requests(void **state)
{
    struct fixture *fixture = *state;
    request_add(fixture, "/b", 3);
    fixture->config.connections = 4;
    fixture->config.pipeline = 4;
    run(fixture, plain_server);
    double share = (double)fixture->seen[1] / (double)(fixture->seen[0] + fixture->seen[1]);
    assert_true(share > 0.74 && share < 0.76);
    assert_int_equal(sl_load_errors_sum(&fixture->result), 0);
}

static struct sim_reply tail_slow_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                         const char *request)
{
    (void)ctx;
    (void)id;
    (void)index;
    (void)request;
    /* Everything that arrives in the last second takes three. */
    return (struct sim_reply){.data = OK_REPLY, .delay_ns = now_ns < 19 * SEC ? MS : 3 * SEC};
}

static void run_open_loop_waits_for_replies_after_the_window(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 200;
    open_loop(fixture, 100);
    run(fixture, tail_slow_server);
    assert_int_equal(fixture->result.requests, 2000);
    assert_in_range((uint64_t)percentile_of(fixture, 96), 3 * SEC, 3 * SEC + 4 * MS);
    assert_true(fixture->result.window_ns > 22 * SEC);
}

/* ---- failures ---- */

static struct sim_reply silent_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                      const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)request;
    return (struct sim_reply){.data = index % 10 == 9 ? NULL : OK_REPLY, .delay_ns = MS};
}

static void run_open_loop_lost_replies_count_with_their_age(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 100;
    fixture->config.timeout_ns = SEC;
    open_loop(fixture, 100);
    run(fixture, silent_server);
    assert_int_equal(fixture->result.requests, 1800);
    assert_int_equal(fixture->result.errors[SL_LOAD_TIMEOUT], 200);
    assert_int_equal(fixture->result.latency->total, 2000);
    assert_true(percentile_of(fixture, 95) >= (double)SEC);
}

static void run_closed_loop_lost_reply_reconnects(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.timeout_ns = 100 * MS;
    run(fixture, silent_server);
    assert_true(fixture->result.errors[SL_LOAD_TIMEOUT] > 100);
    assert_true(fixture->result.requests > 1000);
}

static struct sim_reply closing_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                       const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)request;
    bool last = index % 10 == 4;
    return (struct sim_reply){
        .data = last ? CLOSE_REPLY : OK_REPLY, .delay_ns = MS, .close_after = last};
}

static void run_server_closing_in_order_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 3;
    fixture->config.pipeline = 8;
    run(fixture, closing_server);
    assert_int_equal(sl_load_errors_sum(&fixture->result), 0);
    assert_true(fixture->result.resent > 0);
    assert_true(fixture->result.requests > 10000);
}

static void run_close_mode_uses_a_connection_each(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.close = true;
    fixture->config.connections = 2;
    fixture->config.count = 100;
    fixture->config.duration_ns = UINT64_MAX;
    run(fixture, plain_server);
    assert_int_equal(fixture->result.requests, 100);
    assert_true(fixture->result.connects >= 100);
}

static struct sim_reply rude_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                    const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)request;
    const char *replies[] = {OK_REPLY, MISSING_REPLY, BROKEN_REPLY, OTHER_REPLY, ""};
    return (struct sim_reply){
        .data = replies[index % 5], .delay_ns = MS, .close_after = index % 5 == 4};
}

static void run_errors_are_counted_by_kind(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.check.body = (const uint8_t *)"ok";
    fixture->config.check.body_size = 2;
    fixture->config.count = 300;
    fixture->config.duration_ns = UINT64_MAX;
    run(fixture, rude_server);
    const uint64_t *errors = fixture->result.errors;
    assert_int_equal(fixture->result.requests + errors[SL_LOAD_PROTOCOL] + errors[SL_LOAD_CLOSED],
                     300);
    assert_in_range(errors[SL_LOAD_STATUS], 59, 61);
    assert_in_range(errors[SL_LOAD_PROTOCOL], 59, 61);
    assert_in_range(errors[SL_LOAD_BODY], 59, 61);
    assert_in_range(errors[SL_LOAD_CLOSED], 58, 61);
    assert_in_range(fixture->result.statuses[404], 59, 61);
    assert_true(fixture->result.first_fault[0] != '\0');
}

static struct sim_reply broken_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                      const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)index;
    (void)request;
    return (struct sim_reply){.data = BROKEN_REPLY, .delay_ns = MS};
}

/* A count is one of requests, so it ends where no reply ever comes. */
static void run_count_of_errors_alone_ends(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.count = 50;
    fixture->config.duration_ns = UINT64_MAX;
    run(fixture, broken_server);
    assert_int_equal(fixture->result.requests, 0);
    assert_int_equal(fixture->result.errors[SL_LOAD_PROTOCOL], 50);
}

static struct sim_reply split_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                     const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)request;
    return (struct sim_reply){
        .data = OK_REPLY, .delay_ns = MS, .piece = (uint32_t)(index % 40 + 1)};
}

static struct sim_reply turning_server(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                                       const char *request)
{
    (void)ctx;
    (void)now_ns;
    (void)id;
    (void)request;
    static const char *const replies[] = {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncab",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\naca",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"};
    return (struct sim_reply){
        .data = replies[index % 4], .delay_ns = MS, .piece = (uint32_t)(index % 7 + 1)};
}

/* Two of four have the same bytes, one others, one fewer. */
static void run_body_in_any_order_is_compared_by_its_bytes(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.check.body = (const uint8_t *)"abc";
    fixture->config.check.body_size = 3;
    fixture->config.check.is_any_order = true;
    fixture->config.count = 400;
    fixture->config.duration_ns = UINT64_MAX;
    run(fixture, turning_server);
    assert_int_equal(fixture->result.requests, 400);
    assert_in_range(fixture->result.errors[SL_LOAD_BODY], 199, 201);
    assert_in_range(sl_load_errors_sum(&fixture->result), 199, 201);
}

static void run_replies_in_pieces_are_read(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.check.body = (const uint8_t *)"ok";
    fixture->config.check.body_size = 2;
    fixture->config.pipeline = 3;
    fixture->config.connections = 5;
    run(fixture, split_server);
    assert_int_equal(sl_load_errors_sum(&fixture->result), 0);
    assert_true(fixture->result.requests > 200000);
}

static void connect_refused_returns_the_error(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 4;
    fixture->sim.refuse_first = 4;
    assert_int_equal(connect_only(fixture, plain_server), -ECONNREFUSED);
}

static void run_partly_refused_recovers(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 4;
    fixture->sim.refuse_first = 3;
    run(fixture, plain_server);
    /* All four connections work after the pause: nearly four requests a millisecond. */
    assert_true(fixture->result.requests > 79000);
}

static void run_sanity_of_ramp_counts(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.connections = 64;
    fixture->config.warmup_ns = 2 * SEC;
    open_loop(fixture, 100);
    fixture->schedule.rate_to = 500;
    run(fixture, plain_server);
    /* 20 s from 100/s to 500/s: 6,000. */
    assert_in_range(fixture->result.requests, 5999, 6001);
    assert_in_range(fixture->result.intervals[0].requests, 105, 115);
    assert_in_range(fixture->result.intervals[19].requests, 485, 500);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(run_open_loop_with_stalls_reports_true_percentiles),
        T(run_open_loop_without_its_core_still_reports_true_percentiles),
        T(run_open_loop_with_two_workers_share_plan),
        T(run_closed_loop_with_stalls_hides_them),
        T(run_open_loop_with_few_connections_counts_waiting),
        T(run_closed_loop_fixed_service_gives_exact_rate),
        T(run_count_stops_exactly),
        T(run_open_loop_count_sends_exactly),
        T(run_weights_mix_requests),
        T(run_open_loop_waits_for_replies_after_the_window),
        T(run_open_loop_lost_replies_count_with_their_age),
        T(run_closed_loop_lost_reply_reconnects),
        T(run_server_closing_in_order_loses_nothing),
        T(run_close_mode_uses_a_connection_each),
        T(run_errors_are_counted_by_kind),
        T(run_count_of_errors_alone_ends),
        T(run_body_in_any_order_is_compared_by_its_bytes),
        T(run_replies_in_pieces_are_read),
        T(connect_refused_returns_the_error),
        T(run_partly_refused_recovers),
        T(run_sanity_of_ramp_counts),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
