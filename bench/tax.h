/* SPDX-License-Identifier: MIT */
/*
 * What `sluice-bench tax` measured, and how it is shown: one table of all scenarios, a table with
 * intervals for each, JSON, a page. tax_command.c runs, tax_report.c shows.
 */
#pragma once

#include "bench/endpoint.h"
#include "bench/pairs.h"
#include "bench/scenario.h"

enum {
    SL_TAX_SERVERS_MAX = SL_PAIRS_TARGETS_MAX / 2,
    SL_TAX_MODES_COUNT = 2,
    SL_TAX_PIPELINE_DEPTH = 16,
    SL_TAX_VERSION_SIZE = 256,
    SL_TAX_BODY_SIZE = 1024,
};

struct sl_tax_server {
    struct sl_endpoint endpoint;
    struct sl_run_config configs[SL_TAX_MODES_COUNT]; /* one request in flight, and sixteen */
    const char *title;
    const char *const *files; /* NULL: none */
    uint32_t in_flight_max;   /* requests that it takes at once; 0: any */
    bool is_base;             /* a constant in every scenario: what others are compared with */
    char version[SL_TAX_VERSION_SIZE];
    char body[SL_TAX_BODY_SIZE]; /* of its reply, which every later one must repeat */
};

/* One scenario. */
struct sl_tax {
    struct sl_tax_server servers[SL_TAX_SERVERS_MAX]; /* array of `count`; the floor first */
    struct sl_pairs pairs;                            /* target `mode * count + server` */
    struct sl_job_values job;                         /* of the scenario */
    char body_file[700];
    enum sl_scenario scenario;
    uint32_t count;
    uint32_t nginx; /* index, or 0 (the floor): not there */
    int server_core;
};

/* All that were run. */
struct sl_tax_report {
    struct sl_tax *const *taxes; /* array of SL_SCENARIOS_COUNT; NULL: not asked for */
    const struct sl_job_values *job;
    uint64_t took_ns; /* whole time, with starts and pauses */
};

/*
 * One table: rows are servers, columns one request in flight on each connection, and sixteen, with
 * the ratios to floor and nginx of the same rounds. A server of two scenarios has both values in a
 * cell. Below it: versions, and why a cell has no figure.
 */
void sl_tax_table_print(FILE *out, const struct sl_tax_report *report);

/* A table a scenario and mode: over the floor, ratios with their intervals, rates. */
void sl_tax_details_print(FILE *out, const struct sl_tax_report *report);

/* One object for one scenario, else {"scenarios": […], "took_s": …}. */
void sl_tax_json_print(FILE *out, const struct sl_tax_report *report);

/* Charts, tables and the method, in a file. 0 or -errno with a diagnostic. */
int sl_tax_page_write(const char *path, const struct sl_tax_report *report, struct sl_diag *reterr);

/* Targets that gave no reply: their cells have no figure. */
uint32_t sl_tax_silent_count(const struct sl_tax *tax);
