/* SPDX-License-Identifier: MIT */
/* The live view in parts: what was sampled (top_sample.c), how it looks (top_view.c), keys (top.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/histogram.h"
#include "core/mem/out.h"
#include "ctl/cli/cli.h"

enum { TOP_NAME_SIZE = 96, TOP_ROWS_MAX = 512, TOP_FILTER_SIZE = 48 };

/* A shard or a node: its counters, and after top_sample_compare what came in the interval. */
struct top_row {
    char name[TOP_NAME_SIZE];
    char kind[32];
    uint64_t calls;
    uint64_t errors;
    uint64_t busy_ns; /* time on the core; of nodes only of the calls that were timed */
    uint64_t timed;   /* nodes: how many those are */
    uint64_t queue;
    uint64_t connections;
    uint64_t stalls;
    uint64_t memory;
    bool is_late; /* a shard that does not answer */
    struct sl_histogram times;
    /* Of the interval. */
    double calls_s;
    double errors_s;
    double cpu; /* share of a core, 0..1 */
    uint64_t p50_ns;
    uint64_t p99_ns;
};

struct top_sample {
    char name_space[TOP_NAME_SIZE];
    char state[16];
    uint64_t revision;
    uint64_t uptime_ms;
    uint64_t nodes_count; /* in the program: more than rows, if there are many */
    uint64_t at_ns;
    struct top_row shards[64];
    uint32_t shards_count;
    struct top_row nodes[TOP_ROWS_MAX];
    uint32_t nodes_rows;
};

enum top_sort { TOP_BY_CALLS, TOP_BY_ERRORS, TOP_BY_P99, TOP_BY_QUEUE, TOP_BY_CPU, TOP_BY_NAME };

struct top_look {
    enum top_sort sort;
    char filter[TOP_FILTER_SIZE]; /* part of a name or kind; "": all */
    bool is_editing;              /* the filter is being typed */
    bool is_paused;
    bool is_lost; /* the runtime does not answer: what is shown is old */
    uint32_t interval_ms;
    uint32_t lines;   /* of the screen; 0: no screen, everything is printed */
    uint32_t columns; /* of the screen */
};

/* Read what /top says. */
void top_sample_read(struct sl_value document, uint64_t at_ns, struct top_sample *ret_sample);

/* Fill the rates of `now`; `before` NULL: since the start. */
void top_sample_compare(struct top_sample *now, const struct top_sample *before);

/* Put nodes in the order of the look; those that the filter drops are gone. */
void top_sample_arrange(struct top_sample *sample, const struct top_look *look);

/* One picture. With a screen: escape sequences, and no more lines than it has. */
void top_draw(const struct top_sample *sample, const struct top_look *look, struct sl_out *out);

/* The same as one JSON document on stdout. */
void top_print_json(const struct top_sample *sample);
