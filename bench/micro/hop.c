/* SPDX-License-Identifier: MIT */
/*
 * What it costs to go from one node to the next on one shard. A chain of CHAIN nodes, measured from
 * its first node and from its last: the difference is CHAIN - 1 hops, histograms of nodes included.
 *
 *     fused    the node passes the packet on (EMIT): a turn of a loop, no frame
 *     framed   the node waits for the answer of what comes after it (CALL): a frame each
 *     parked   the node parks and a task of the loop resumes it: frame, task, a turn of the loop
 */
#include <stdlib.h>

#include "bench/micro/bare.h"
#include "bench/micro/micro.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"

enum { CHAIN = 201 };

static enum sl_step framed_run(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_CALL;
}

static enum sl_step framed_resume(struct sl_call *call)
{
    (void)call;
    return SL_STEP_ANSWER;
}

struct parked {
    struct sl_task task;
    struct sl_frame *frame;
    struct sl_value value;
};

static void parked_wake(struct sl_task *task)
{
    struct parked *parked = sl_container_of(task, struct parked, task);
    struct sl_value value = parked->value;
    parked->value = sl_value_none();
    sl_frame_resume(parked->frame, value);
}

static enum sl_step parked_run(struct sl_call *call)
{
    struct parked *parked = sl_frame_data(call->frame);
    parked->frame = call->frame;
    parked->value = call->value;
    call->value = sl_value_none();
    sl_task_init(&parked->task, parked_wake);
    sl_loop_task_add(&call->shard->loop, &parked->task);
    return SL_STEP_PARK;
}

static enum sl_step parked_resume(struct sl_call *call)
{
    call->port = 0;
    return SL_STEP_EMIT;
}

static void parked_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    struct parked *parked = sl_frame_data(frame);
    (void)shard;
    sl_task_cancel(&parked->task);
    sl_value_unref(parked->value);
}

static const struct sl_kind FRAMED = {.name = "framed",
                                      .flags = SL_KIND_TRANSFORMS | SL_KIND_FRAMES,
                                      .outs_max = 1,
                                      .ins_max = 1,
                                      .run = framed_run,
                                      .resume = framed_resume};

static const struct sl_kind PARKED = {.name = "parked",
                                      .frame_size = sizeof(struct parked),
                                      .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
                                      .outs_max = 1,
                                      .ins_max = 1,
                                      .run = parked_run,
                                      .resume = parked_resume,
                                      .cancel = parked_cancel};

struct hop {
    struct sl_shard *shard;
    struct sl_program *program;
    struct sl_reply reply;
    bool answered;
};

static void answered(struct sl_reply *reply, struct sl_value answer)
{
    struct hop *hop = sl_container_of(reply, struct hop, reply);
    hop->answered = true;
    sl_value_unref(answer);
}

static int hop_setup(struct sl_micro_run *run)
{
    const struct sl_kind *kinds[CHAIN];
    struct hop *hop = calloc(1, sizeof(*hop));
    sl_assert(hop != NULL);
    for (int i = 0; i < CHAIN; i++) kinds[i] = run->arg;
    /* The last node only answers, whatever the others are. */
    kinds[CHAIN - 1] = &sl_micro_kind_pass;
    hop->shard = sl_micro_bare_new(0, NULL);
    hop->program = sl_micro_chain_new(kinds, NULL, CHAIN, 1);
    sl_micro_chain_open(hop->program, hop->shard);
    run->state = hop;
    return 0;
}

static void hop_teardown(struct sl_micro_run *run)
{
    struct hop *hop = run->state;
    sl_micro_chain_close(hop->program, hop->shard);
    (void)sl_program_free(hop->program);
    (void)sl_micro_bare_free(hop->shard);
    free(hop);
}

static void packets_run(struct hop *hop, uint32_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        hop->answered = false;
        hop->reply = (struct sl_reply){.fn = answered};
        sl_micro_process_run(hop->shard, hop->program, first, &hop->reply);
        while (!hop->answered) sl_loop_turn(&hop->shard->loop, 0);
    }
}

static void hop_run(struct sl_micro_run *run, uint64_t count)
{
    packets_run(run->state, 0, count);
}

static void hop_base(struct sl_micro_run *run, uint64_t count)
{
    packets_run(run->state, CHAIN - 1, count);
}

static const struct sl_micro_case CASES[] = {
    {.name = "hop/fused",
     .about = "from a node to the next, nothing between them",
     .setup = hop_setup,
     .run = hop_run,
     .base = hop_base,
     .teardown = hop_teardown,
     .arg = &sl_micro_kind_pass,
     .divisor = CHAIN - 1},
    {.name = "hop/framed",
     .about = "the node waits for the answer of the next: a frame, there and back",
     .setup = hop_setup,
     .run = hop_run,
     .base = hop_base,
     .teardown = hop_teardown,
     .arg = &FRAMED,
     .divisor = CHAIN - 1},
    {.name = "hop/parked",
     .about = "the node parks, a task resumes it in the next turn of the loop",
     .setup = hop_setup,
     .run = hop_run,
     .base = hop_base,
     .teardown = hop_teardown,
     .arg = &PARKED,
     .divisor = CHAIN - 1},
    {.name = "hop/process",
     .about = "a process with one node: begin, walk, answer, end",
     .setup = hop_setup,
     .run = hop_base,
     .teardown = hop_teardown,
     .arg = &sl_micro_kind_pass},
};

const struct sl_micro_group sl_micro_hop = SL_MICRO_GROUP("hop", CASES);
