/* SPDX-License-Identifier: MIT */
#include "core/graph/span.h"

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/graph/process.h"
#include "core/shard/shard.h"

/* Asks the system once in the life of a shard. */
static struct sl_span_seed seed_of(struct sl_shard *shard, uint64_t number)
{
    if ((shard->span_key[0] | shard->span_key[1]) == 0) {
        struct sl_clock *clock = shard->loop.clock;
        clock->random(clock, shard->span_key, sizeof(shard->span_key));
    }
    return (struct sl_span_seed){{shard->span_key[0], shard->span_key[1]}, number};
}

void sl_process_span_get(const struct sl_process *process, struct sl_span *ret_span,
                         struct sl_tracestate *ret_state)
{
    sl_assert(process != NULL);
    sl_assert(ret_span != NULL);
    while (process->span == NULL && process->parent != NULL) process = process->parent;
    if (process->span != NULL) {
        process->span(process, ret_span, ret_state);
        return;
    }
    /* Odd numbers are of processes, even ones of what they send. */
    struct sl_span_seed seed = seed_of(process->shard, 2 * process->id + 1);
    sl_span_make(&seed, ret_span);
    if (ret_state != NULL) ret_state->size = 0;
}

void sl_process_span_send(const struct sl_process *process, char ret_text[SL_TRACEPARENT_SIZE],
                          struct sl_tracestate *ret_state)
{
    struct sl_span span, child;
    sl_process_span_get(process, &span, ret_state);
    struct sl_shard *shard = process->shard;
    struct sl_span_seed seed = seed_of(shard, 2 * ++shard->span_number);
    sl_span_child(&span, &seed, &child);
    sl_span_write(&child, ret_text);
}
