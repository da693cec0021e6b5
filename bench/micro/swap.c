/* SPDX-License-Identifier: MIT */
/*
 * Swapping a program: one node changes, from the text of its spec until the new program is current
 * on every shard. The registry is in memory; reading, validating, compiling, linking and publishing
 * are all in it. What clients see of swaps under load, `sluice-bench swap` says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/house.h"
#include "bench/micro/micro.h"
#include "core/base/assertion.h"

enum { NODE_TEXT_MAX = 128, NODES_MAX = 1000 };

struct shape {
    uint32_t nodes;
    uint32_t shards;
};

struct swap {
    struct sl_micro_house *house;
    uint64_t version;
};

/* Snippets that nothing leads to: what a program of so many nodes costs to make again. */
static int program_apply(struct swap *swap, uint32_t nodes, struct sl_diag *reterr)
{
    size_t cap = (size_t)nodes * NODE_TEXT_MAX;
    char *text = malloc(cap);
    size_t size = 0;
    sl_assert(text != NULL);
    for (uint32_t i = 0; i < nodes; i++) {
        size += (size_t)snprintf(text + size, cap - size,
                                 "- {kind: snippet, name: n%u, language: text, code: v0}\n", i);
    }
    sl_assert(size < cap);
    int result = sl_micro_house_apply(swap->house, text, NULL, reterr);
    free(text);
    return result;
}

static int swap_setup(struct sl_micro_run *run)
{
    const struct shape *shape = run->arg;
    int cores[2] = {-1, -1};
    for (uint32_t i = 0; i < shape->shards && i < run->cores_count; i++) cores[i] = run->cores[i];
    if (shape->shards > run->cores_count) {
        run->why = "needs two cores (--cores)";
        return SL_MICRO_SKIPPED;
    }
    struct swap *swap = calloc(1, sizeof(*swap));
    sl_assert(swap != NULL);
    sl_assert(shape->nodes <= NODES_MAX);
    struct sl_micro_house_config config = {.cores = cores, .shards_count = shape->shards};
    int result = sl_micro_house_new(&config, &swap->house, &run->diag);
    if (result == 0) result = program_apply(swap, shape->nodes, &run->diag);
    if (result != 0) {
        (void)sl_micro_house_free(swap->house);
        free(swap);
        return result;
    }
    run->state = swap;
    return 0;
}

static void swap_teardown(struct sl_micro_run *run)
{
    struct swap *swap = run->state;
    (void)sl_micro_house_free(swap->house);
    free(swap);
}

static int swap_sample(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns)
{
    struct swap *swap = run->state;
    for (uint64_t i = 0; i < count; i++) {
        char text[NODE_TEXT_MAX];
        (void)snprintf(text, sizeof(text),
                       "{kind: snippet, name: n0, language: text, code: v%llu}\n",
                       (unsigned long long)++swap->version);
        int result = sl_micro_house_apply(swap->house, text, &ret_ns[i], &run->diag);
        if (result != 0) return result;
    }
    return 0;
}

static const struct shape SMALL = {3, 1};
static const struct shape MIDDLE = {100, 1};
static const struct shape LARGE = {NODES_MAX, 1};
static const struct shape TWO_SHARDS = {100, 2};

#define CASE(case_name, text, which)                                                               \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = swap_setup, .teardown = swap_teardown,      \
        .sample = swap_sample, .arg = &(which)                                                     \
    }

static const struct sl_micro_case CASES[] = {
    CASE("swap/3", "one of 3 nodes changes: text to published, one shard", SMALL),
    CASE("swap/100", "one of 100 nodes", MIDDLE),
    CASE("swap/1000", "one of 1000 nodes", LARGE),
    CASE("swap/100-2", "one of 100 nodes, two shards", TWO_SHARDS),
};

const struct sl_micro_group sl_micro_swap = SL_MICRO_GROUP("swap", CASES);
