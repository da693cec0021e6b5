/* SPDX-License-Identifier: MIT */
/* A run's result as text for people and as JSON for programs. */
#pragma once

#include <stdio.h>

#include "bench/fmt.h"
#include "bench/run.h"

/* Print a result for people. `title` is its first line. */
void sl_report_text(FILE *out, const char *title, const struct sl_run_config *config,
                    const struct sl_run_result *result);

/* Print a result as one JSON object; documented in docs/BENCH.md. */
void sl_report_json(FILE *out, const char *title, const struct sl_run_config *config,
                    const struct sl_run_result *result);

/* Write the members of a result into an object that is open. */
void sl_report_json_members(struct sl_json *json, const char *title,
                            const struct sl_run_config *config, const struct sl_run_result *result);
