/* SPDX-License-Identifier: MIT */
/*
 * The search for capacity on a virtual clock: one server with a known service time behind the real
 * generator, so its capacity is known; then with bursts of noise, and with a generator that is late.
 */
#include "bench/capacity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "tests/bench/sim_wire.h"

#define US  SL_NS_PER_US
#define MS  SL_NS_PER_MS
#define SEC SL_NS_PER_SEC

enum { CONNECTIONS = 64 };

static const char OK_REPLY[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* One core: requests are served one after another, each in `service_ns`. */
struct machine {
    uint64_t service_ns;
    uint64_t free_ns;     /* when the core has done what has arrived */
    uint64_t stall_every; /* every so many tries the server stands still for 50 ms; 0: never */
    uint64_t late_every;  /* every so many tries the generator was late; 1: always; 0: never */
    double late_above;    /* and always above this rate; 0: never */
    uint64_t tries;
    bool stalls;
};

static struct sim_reply serve(void *ctx, uint64_t now_ns, uint32_t id, uint64_t index,
                              const char *request)
{
    struct machine *machine = ctx;
    (void)id;
    (void)request;
    uint64_t begin = machine->free_ns > now_ns ? machine->free_ns : now_ns;
    if (machine->stalls && index == 100) begin += 50 * MS;
    machine->free_ns = begin + machine->service_ns;
    return (struct sim_reply){.data = OK_REPLY, .delay_ns = machine->free_ns - now_ns};
}

/* A rate, by the real generator over the virtual server. */
static int machine_try(void *ctx, double rate, uint64_t duration_ns,
                       struct sl_capacity_step *ret_step, struct sl_diag *reterr)
{
    struct machine *machine = ctx;
    struct sl_requests requests = {.items = NULL};
    struct sl_request_parts parts = {
        .method = "GET", .target = "/", .authority = "sim", .weight = 1};
    struct sl_bench_addr addr = {.size = 0};
    struct sl_schedule schedule = {
        .rate_from = rate, .rate_to = rate, .ramp_s = (double)duration_ns / 1e9};
    struct sl_load_result result;
    (void)reterr;
    machine->tries++;
    machine->free_ns = 0;
    machine->stalls = machine->stall_every > 0 && machine->tries % machine->stall_every == 0;
    assert_int_equal(sl_requests_push(&requests, &parts, NULL), 0);
    struct sl_load_config config = {.requests = &requests,
                                    .addr = &addr,
                                    .schedule = &schedule,
                                    .check = {.status_min = 200, .status_max = 200},
                                    .duration_ns = duration_ns,
                                    .count = UINT64_MAX,
                                    .timeout_ns = 5 * SEC,
                                    .interval_ns = SEC,
                                    .intervals_count = 1,
                                    .connections = CONNECTIONS,
                                    .pipeline = 1,
                                    .workers = 1};
    struct sim_config sim = {.server = serve, .ctx = machine, .connections = CONNECTIONS};
    struct sl_wire *wire = sim_wire_new(&sim);
    struct sl_load *load = sl_load_new(&config, wire);
    assert_int_equal(sl_load_connect(load), 0);
    assert_int_equal(sl_load_run(load, 0), 0);
    sl_load_result_take(load, &result);
    ret_step->rate = rate;
    ret_step->reached = (double)result.requests / ((double)result.window_ns / 1e9);
    ret_step->figure = (double)sl_hdr_percentile(result.latency, 99);
    ret_step->is_valid = !(machine->late_every > 0 && machine->tries % machine->late_every == 0) &&
                         !(machine->late_above > 0 && rate > machine->late_above);
    /* What a late generator measures is worth nothing. */
    if (!ret_step->is_valid) ret_step->figure = 0;
    sl_load_result_fini(&result);
    sl_load_free(load);
    sl_wire_free(wire);
    sl_requests_fini(&requests);
    return 0;
}

static void search(struct machine *machine, struct sl_capacity *capacity)
{
    struct sl_capacity_plan plan = {.try = machine_try,
                                    .ctx = machine,
                                    .limit_ns = 2 * MS,
                                    .step_ns = SEC / 2,
                                    .long_ns = SEC,
                                    .rate_guess = 12000};
    assert_int_equal(sl_capacity_search(&plan, capacity, NULL), 0);
}

static void search_quiet_machine_finds_its_capacity(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 100 * US};
    (void)state;
    search(&machine, &capacity);
    /* 10,000 a second can be served; above, the queue grows. */
    assert_true(capacity.rate > 10000 * 0.96);
    assert_true(capacity.rate <= 10000 * 1.005);
    assert_true(capacity.is_confirmed);
    assert_false(capacity.is_generator_bound);
    assert_true(capacity.rate_failed > capacity.rate);
    assert_true(capacity.rate_failed < capacity.rate * 1.04);
}

/* A burst of noise in every third try: no rate is given up for one bad try. */
static void search_bursts_of_noise_are_outvoted(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 100 * US, .stall_every = 3};
    uint32_t disturbed = 0;
    (void)state;
    search(&machine, &capacity);
    for (uint32_t i = 0; i < capacity.steps_count; i++) {
        const struct sl_capacity_step *step = &capacity.steps[i];
        disturbed += !step->held && step->rate < 9000;
    }
    assert_true(disturbed > 0);
    assert_true(capacity.rate > 10000 * 0.92);
    assert_true(capacity.rate <= 10000 * 1.005);
    assert_true(capacity.is_confirmed);
}

/* Tries in which the generator was late do not count, in either way. */
static void search_late_tries_do_not_count(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 100 * US, .late_every = 2};
    (void)state;
    search(&machine, &capacity);
    assert_true(capacity.rate > 10000 * 0.96);
    assert_true(capacity.rate <= 10000 * 1.005);
    assert_true(capacity.is_confirmed);
    for (uint32_t i = 0; i < capacity.steps_count; i++) {
        if (!capacity.steps[i].is_valid) assert_false(capacity.steps[i].held);
    }
}

/* Where the generator cannot go higher the search says that it was the limit. */
static void search_generator_limit_is_told(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 100 * US, .late_above = 5000};
    (void)state;
    search(&machine, &capacity);
    assert_true(capacity.rate > 5000 * 0.93);
    assert_true(capacity.rate <= 5000);
    assert_true(capacity.is_generator_bound);
    assert_true(capacity.is_confirmed);
}

static void search_goal_never_held_finds_nothing(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 3 * MS};
    (void)state;
    search(&machine, &capacity);
    assert_true(capacity.rate == 0);
    assert_false(capacity.is_confirmed);
}

static void search_always_late_ends(void **state)
{
    static struct sl_capacity capacity;
    struct machine machine = {.service_ns = 100 * US, .late_every = 1};
    (void)state;
    search(&machine, &capacity);
    assert_true(capacity.rate == 0);
    assert_true(capacity.is_generator_bound);
}

static int broken_try(void *ctx, double rate, uint64_t duration_ns,
                      struct sl_capacity_step *ret_step, struct sl_diag *reterr)
{
    (void)ctx;
    (void)rate;
    (void)duration_ns;
    (void)ret_step;
    (void)reterr;
    return -5;
}

static void search_failed_try_ends_with_its_error(void **state)
{
    static struct sl_capacity capacity;
    struct sl_capacity_plan plan = {
        .try = broken_try, .limit_ns = MS, .step_ns = SEC, .rate_guess = 1000};
    (void)state;
    assert_int_equal(sl_capacity_search(&plan, &capacity, NULL), -5);
    assert_int_equal(capacity.steps_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_quiet_machine_finds_its_capacity),
        cmocka_unit_test(search_bursts_of_noise_are_outvoted),
        cmocka_unit_test(search_late_tries_do_not_count),
        cmocka_unit_test(search_generator_limit_is_told),
        cmocka_unit_test(search_goal_never_held_finds_nothing),
        cmocka_unit_test(search_always_late_ends),
        cmocka_unit_test(search_failed_try_ends_with_its_error),
    };
    return cmocka_run_group_tests_name("bench_capacity", tests, NULL, NULL);
}
