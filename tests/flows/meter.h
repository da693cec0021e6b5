/* SPDX-License-Identifier: MIT */
/*
 * Reading /metrics of a runtime whose control socket is flow_path("control"), and judging it.
 * Names are without "sluice_" in meter_is, whole elsewhere.
 */
#pragma once

#include "tests/flows/harness.h"

/* Ask for all metrics; what follows looks at this answer. */
void meter_read(void);

/* The answer, head and body; borrowed until the next meter_read. */
const char *meter_text(void);

/* The sum of a metric over all lines that have `labels` in them; -1: there is no line. */
double meter_sum(const char *name, const char *labels);

/* Fail unless the metric is above `least`. */
void meter_above(const char *name, double least);

/* Ask until the metric is `value`, or fail. Counters of nodes are read where they stand, the others
 * are copied by their shard before. */
void meter_wait(const char *name, double value);

#define meter_is(name, labels, expected)                                                           \
    meter_check("sluice_" name, labels, expected, __FILE__, __LINE__)
void meter_check(const char *name, const char *labels, double expected, const char *file, int line);
