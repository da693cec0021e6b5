/* SPDX-License-Identifier: MIT */
#include "core/graph/trace.h"

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/graph/program.h"

static uint64_t now_of(const struct sl_trace *trace)
{
    return sl_loop_fast_ns(&trace->process->shard->loop);
}

/* A new hop that begins now, or NULL: there is no room. */
static struct sl_trace_hop *hop_add(struct sl_trace *trace, enum sl_trace_event event,
                                    uint8_t cause, const struct sl_symbol *symbol,
                                    struct sl_value input, uint8_t *ret_number)
{
    sl_assert(trace->process != NULL);
    sl_assert(trace->hops_cap <= SL_TRACE_HOPS_MAX);
    if (trace->hops_count == trace->hops_cap) {
        trace->hops_lost++;
        *ret_number = SL_TRACE_NONE;
        return NULL;
    }
    *ret_number = (uint8_t)trace->hops_count;
    struct sl_trace_hop *hop = &trace->hops[trace->hops_count++];
    *hop = (struct sl_trace_hop){
        .symbol = symbol,
        .input = sl_value_ref(input),
        .begin_ns = now_of(trace),
        .cause = cause,
        .event = (uint8_t)event,
    };
    return hop;
}

uint8_t sl_trace_send(struct sl_trace *trace, const struct sl_symbol *symbol, uint32_t port,
                      struct sl_value value)
{
    uint8_t number;
    struct sl_trace_hop *hop =
        hop_add(trace, SL_TRACE_SEND, SL_TRACE_NONE, symbol, sl_value_none(), &number);
    if (hop == NULL) return number;
    hop->output = sl_value_ref(value);
    hop->port_out = port;
    hop->end_ns = hop->begin_ns;
    return number;
}

uint8_t sl_trace_call(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                      uint32_t in, struct sl_value value)
{
    uint8_t number;
    struct sl_trace_hop *hop = hop_add(trace, SL_TRACE_CALL, cause, symbol, value, &number);
    if (hop != NULL) hop->port_in = in;
    return number;
}

uint8_t sl_trace_resume(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                        struct sl_value value)
{
    uint8_t number;
    (void)hop_add(trace, SL_TRACE_RESUME, cause, symbol, value, &number);
    return number;
}

void sl_trace_step(struct sl_trace *trace, uint8_t hop, enum sl_step step,
                   const struct sl_call *call)
{
    if (hop == SL_TRACE_NONE) return;
    sl_assert(hop < trace->hops_count);
    struct sl_trace_hop *own = &trace->hops[hop];
    own->end_ns = now_of(trace);
    own->step = (uint8_t)step;
    own->port_out = call->port;
    /* A node that waits has kept, or given away, what it was called with. */
    if (step != SL_STEP_PARK) own->output = sl_value_ref(call->value);
}

uint8_t sl_trace_remote(struct sl_trace *trace, uint8_t cause, const struct sl_symbol *symbol,
                        uint32_t in, struct sl_value value)
{
    uint8_t number;
    struct sl_trace_hop *hop = hop_add(trace, SL_TRACE_REMOTE, cause, symbol, value, &number);
    if (hop == NULL) return number;
    hop->port_in = in;
    hop->shard = symbol->placement_core;
    return number;
}

void sl_trace_remote_end(struct sl_trace *trace, uint8_t hop, struct sl_value value)
{
    if (hop == SL_TRACE_NONE) return;
    sl_assert(hop < trace->hops_count);
    struct sl_trace_hop *own = &trace->hops[hop];
    sl_assert(own->event == SL_TRACE_REMOTE);
    own->end_ns = now_of(trace);
    own->output = sl_value_ref(value);
}

uint8_t sl_trace_join(struct sl_trace *trace, uint8_t cause, struct sl_value value)
{
    uint8_t number;
    struct sl_trace_hop *hop = hop_add(trace, SL_TRACE_JOIN, cause, NULL, sl_value_none(), &number);
    if (hop == NULL) return number;
    hop->output = sl_value_ref(value);
    hop->end_ns = hop->begin_ns;
    return number;
}

void sl_trace_answer(struct sl_trace *trace, uint8_t cause, struct sl_value value)
{
    uint8_t number;
    struct sl_trace_hop *hop =
        hop_add(trace, SL_TRACE_ANSWER, cause, NULL, sl_value_none(), &number);
    if (hop == NULL) return;
    hop->output = sl_value_ref(value);
    hop->end_ns = hop->begin_ns;
}

void sl_trace_clear(struct sl_trace *trace)
{
    sl_assert(trace != NULL);
    for (uint32_t i = 0; i < trace->hops_count; i++) {
        sl_value_unref(trace->hops[i].input);
        sl_value_unref(trace->hops[i].output);
    }
    trace->hops_count = 0;
    trace->hops_lost = 0;
    trace->process = NULL;
}
