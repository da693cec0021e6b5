/* SPDX-License-Identifier: MIT */
/*
 * What a hop between two nodes of one shard costs: a chain of nodes that only pass the packet on, once
 * with 1 and once with 201 of them; the difference is 200 hops. The median of many rounds.
 *
 *     ninja -C build tests/core/graph/hop_bench && build/tests/core/graph/hop_bench
 */
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "tests/core/graph/bench_shard.h"

enum { CHAIN = 201, ROUNDS = 2001, PACKETS = 200 };

static enum sl_step pass_run(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_EMIT;
}

static const struct sl_kind kind_pass = {
    .name = "pass", .flags = SL_KIND_TRANSFORMS, .outs_max = 1, .ins_max = 1, .run = pass_run};

static void answered(struct sl_reply *reply, struct sl_value answer)
{
    (void)reply;
    sl_value_unref(answer);
}

/* Nanoseconds of one packet through the nodes from `first` on. */
static double round_ns(struct sl_shard *shard, struct sl_program *program, uint32_t first)
{
    struct sl_clock *clock = sl_clock_system();
    uint64_t begin = sl_clock_now_ns(clock);
    for (int i = 0; i < PACKETS; i++) {
        struct sl_reply reply = {.fn = answered};
        struct sl_process *process =
            sl_process_new(shard, sl_instance_current(shard), NULL, UINT64_MAX / 2);
        sl_process_call(process, &program->symbols[first], 0, sl_value_null(), &reply);
        sl_process_finish(process);
    }
    return (double)(sl_clock_now_ns(clock) - begin) / PACKETS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    static double one[ROUNDS];
    static double hop[ROUNDS];
    struct sl_clock_manual clock;
    struct sl_node *nodes[CHAIN];
    struct sl_link links[CHAIN];
    sl_clock_manual_init(&clock, 1);
    struct sl_shard *shard = bench_shard_new(&clock, 0, NULL);
    for (uint32_t i = 0; i < CHAIN; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "n%u", i);
        nodes[i] =
            sl_node_new(&kind_pass, NULL, path, "", "", (struct sl_pos){0, 0}, sl_value_none(), 1);
        links[i] = (struct sl_link){i, 0, i + 1, 0};
    }
    struct sl_program *program = sl_program_new("bench", 1, nodes, CHAIN, links, CHAIN - 1, 1);
    if (sl_instance_open(program, shard, UINT64_MAX / 2, NULL) != 0) return 1;
    atomic_store_explicit(&shard->program, program, memory_order_release);
    for (int r = 0; r < ROUNDS; r++) {
        one[r] = round_ns(shard, program, CHAIN - 1);
        hop[r] = (round_ns(shard, program, 0) - one[r]) / (CHAIN - 1);
    }
    qsort(one, ROUNDS, sizeof(one[0]), compare);
    qsort(hop, ROUNDS, sizeof(hop[0]), compare);
    (void)printf("a hop: %.1f ns (p10 %.1f, p90 %.1f); a process with one node: %.0f ns\n",
                 hop[ROUNDS / 2], hop[ROUNDS / 10], hop[ROUNDS * 9 / 10], one[ROUNDS / 2]);
    atomic_store_explicit(&shard->program, NULL, memory_order_release);
    if (sl_instance_close(program, shard, UINT64_MAX / 2) != 0) return 1;
    sl_program_free(program);
    for (uint32_t i = 0; i < CHAIN; i++) sl_node_unref(nodes[i]);
    bench_shard_free(shard);
    return 0;
}
