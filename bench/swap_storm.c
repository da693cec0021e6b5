/* SPDX-License-Identifier: MIT */
/* Changing the workflow under load; see swap_storm.h. */
#include "bench/swap_storm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/proc.h"
#include "bench/run.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { SWAPS_MAX = 1000000, RATE_FASTEST = 2000, REFUSALS_MAX = 100, JSON_SIZE = 512 };

static const uint64_t LOOK_NS = 250 * SL_NS_PER_MS;
static const uint64_t REST_NS = 5 * SL_NS_PER_SEC;
static const uint64_t NAP_NS = SL_NS_PER_MS;

static uint64_t now_ns(void)
{
    return sl_clock_now_ns(sl_clock_system());
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(at_ns / SL_NS_PER_SEC),
                          .tv_nsec = (long)(at_ns % SL_NS_PER_SEC)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Phases count from 0; the odd ones are storms, and the last is always calm. */
static uint32_t storms_count(uint64_t phase_ns, uint64_t duration_ns)
{
    uint64_t phases = duration_ns / phase_ns;
    return phases < 3 ? 0 : (uint32_t)((phases - 1) / 2);
}

uint32_t sl_swap_storm_count(double rate, uint64_t phase_ns, uint64_t duration_ns)
{
    sl_assert(phase_ns > 0);
    sl_assert(rate >= 0);
    double a_second = rate > 0 ? rate : RATE_FASTEST;
    double a_storm = ceil(a_second * (double)phase_ns / 1e9);
    double count = a_storm * storms_count(phase_ns, duration_ns);
    return count < SWAPS_MAX ? (uint32_t)count : SWAPS_MAX;
}

/* ---- looking ---- */

static void look_take(struct sl_swap_looks *looks, uint64_t value)
{
    if (value > looks->max) looks->max = value;
    looks->after = value;
}

static int look(struct sl_swap_storm *storm, struct sl_swap_status *ret_status)
{
    int err = sl_swap_site_status(storm->site, ret_status);
    if (err < 0) return err;
    look_take(&storm->programs, ret_status->programs_alive);
    struct sl_proc_tree *tree = calloc(1, sizeof(*tree));
    if (tree != NULL && sl_proc_tree_find(ret_status->pid, tree) == 0) {
        struct sl_proc_usage usage;
        sl_proc_usage_read(tree, &usage);
        look_take(&storm->rss, usage.rss_bytes);
    }
    free(tree);
    return 0;
}

/* ---- swapping ---- */

static void swap_ask(struct sl_swap_storm *storm)
{
    char json[JSON_SIZE];
    char text[sizeof(storm->first_refusal) - 32];
    uint32_t version = ++storm->asked_count;
    int size = snprintf(
        json, sizeof(json),
        "[{\"namespace\":\"%.64s\",\"name\":\"sluice-bench-first\",\"code\":\"\\\"v%u\\\"\"},"
        "{\"namespace\":\"%.64s\",\"name\":\"sluice-bench-second\","
        "\"code\":\"self + \\\"|v%u|%.*s\\\"\"}]",
        storm->name_space, version, storm->name_space, version, SL_VERSIONS_FILLER - 1,
        "................................................");
    sl_assert(size > 0 && size < JSON_SIZE);
    sl_versions_issue(storm->versions, version);
    storm->swaps[version].asked_ns = now_ns();
    int status = sl_swap_site_update(storm->site, json, text, sizeof(text));
    if (status == 200) {
        storm->swaps[version].acked_ns = now_ns();
        storm->stored_count++;
        return;
    }
    if (storm->refused_count++ > 0) return;
    (void)snprintf(storm->first_refusal, sizeof(storm->first_refusal), "%s%.220s",
                   status < 0 ? "" : "refused: ", status < 0 ? strerror(-status) : text);
}

static bool is_over(const struct sl_swap_storm *storm)
{
    return atomic_load_explicit(&storm->is_cancelled, memory_order_acquire) ||
           sl_run_is_stopped() || storm->asked_count == storm->swaps_max ||
           storm->refused_count >= REFUSALS_MAX;
}

static void look_if_due(struct sl_swap_storm *storm)
{
    struct sl_swap_status status;
    uint64_t now = now_ns();
    if (now < storm->look_ns) return;
    (void)look(storm, &status);
    storm->look_ns = now + LOOK_NS;
}

/* Wait for a moment, looking meanwhile. False: it is over. */
static bool wait_until(struct sl_swap_storm *storm, uint64_t at_ns)
{
    while (!is_over(storm)) {
        uint64_t now = now_ns();
        if (now >= at_ns) return true;
        look_if_due(storm);
        uint64_t next = now + LOOK_NS / 10;
        sleep_until(next < at_ns ? next : at_ns);
    }
    return false;
}

static void *storm_main(void *ctx)
{
    struct sl_swap_storm *storm = ctx;
    uint64_t start = 0;
    while (start == 0 && !is_over(storm)) {
        /* Acquire pairs with sl_swap_storm_window. */
        start = atomic_load_explicit(&storm->window_start_ns, memory_order_acquire);
        if (start == 0) sleep_until(now_ns() + NAP_NS);
    }
    uint32_t storms = storms_count(storm->phase_ns, storm->duration_ns);
    for (uint32_t i = 0; i < storms && !is_over(storm); i++) {
        uint64_t begin = start + (2 * (uint64_t)i + 1) * storm->phase_ns;
        uint64_t end = begin + storm->phase_ns;
        uint64_t step = storm->rate > 0 ? (uint64_t)(1e9 / storm->rate) : 0;
        for (uint64_t at = begin; at < end && wait_until(storm, at); at += step) {
            if (now_ns() >= end) break;
            swap_ask(storm);
            look_if_due(storm);
        }
    }
    (void)wait_until(storm, start + storm->duration_ns);
    return NULL;
}

/* ---- begin and end ---- */

int sl_swap_storm_begin(struct sl_swap_storm *storm, struct sl_diag *reterr)
{
    sl_assert(storm->site != NULL);
    sl_assert(storm->swaps == NULL);
    storm->swaps = calloc((size_t)storm->swaps_max + 1, sizeof(*storm->swaps));
    if (storm->swaps == NULL) return -ENOMEM;
    int err = look(storm, &storm->first_status);
    if (err < 0) {
        (void)sl_diag_set(reterr, "no_server", (struct sl_pos){0, 0},
                          "the server does not say how it is on %s: %s", storm->site->control,
                          strerror(-err));
        return err;
    }
    storm->programs.before = storm->programs.after;
    storm->rss.before = storm->rss.after;
    err = -pthread_create(&storm->thread, NULL, storm_main, storm);
    storm->is_running = err == 0;
    return err;
}

void sl_swap_storm_window(void *ctx, uint64_t window_start_ns)
{
    struct sl_swap_storm *storm = ctx;
    sl_assert(window_start_ns > 0);
    /* Release pairs with the storm's acquire. */
    atomic_store_explicit(&storm->window_start_ns, window_start_ns, memory_order_release);
}

void sl_swap_storm_end(struct sl_swap_storm *storm)
{
    struct sl_swap_status status;
    if (!storm->is_running) return;
    atomic_store_explicit(&storm->is_cancelled, true, memory_order_release);
    (void)pthread_join(storm->thread, NULL);
    storm->is_running = false;
    uint64_t end = now_ns() + REST_NS;
    int err = look(storm, &status);
    while (err == 0 && status.programs_alive > storm->programs.before && now_ns() < end) {
        sleep_until(now_ns() + LOOK_NS / 5);
        err = look(storm, &status);
    }
    if (err < 0) return;
    storm->published = status.programs_published - storm->first_status.programs_published;
    storm->published_refused = status.programs_refused - storm->first_status.programs_refused;
}

void sl_swap_storm_fini(struct sl_swap_storm *storm)
{
    sl_assert(!storm->is_running);
    free(storm->swaps);
    storm->swaps = NULL;
}
