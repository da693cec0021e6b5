/* SPDX-License-Identifier: MIT */
/*
 * The plan of an open loop: when request number k is to be sent, whatever the server does.
 *
 *     rate  r0 ──────┐ warm-up ┌── linear ──→ r1 ───
 *
 * The plan is a formula, so a queue of requests that wait for a connection is two numbers.
 */
#pragma once

#include <stdint.h>

struct sl_schedule {
    double rate_from; /* requests a second, > 0 */
    double rate_to;   /* reached at the end; the same as rate_from: constant */
    double warmup_s;  /* at rate_from, before the ramp begins */
    double ramp_s;    /* seconds from rate_from to rate_to */
};

/* Nanoseconds after the start at which request number `index` (from 0) is planned. */
uint64_t sl_schedule_at_ns(const struct sl_schedule *schedule, uint64_t index);

/* How many requests are planned before `at_ns`. */
uint64_t sl_schedule_count(const struct sl_schedule *schedule, uint64_t at_ns);
