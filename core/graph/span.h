/* SPDX-License-Identifier: MIT */
/*
 * The span of a process: where it stands in the trace of all that happened for one call, as W3C
 * Trace Context has it (codecs/text/span.h). Nothing is worked out before somebody asks, so that
 * requests whose trace nobody wants to know pay a pointer.
 *
 *     client ── traceparent ──► process ──► its children, and processes on other shards: the same
 *                                  │         span
 *                                  └── request to a third ── traceparent with a span of its own ──►
 *
 * Whoever sends a request outward for a process writes what sl_process_span_send gives into it.
 * The process's shard.
 */
#pragma once

#include "codecs/text/span.h"

struct sl_process;

/*
 * The span of a process; the same at each call, on each shard that it reaches.
 *
 * ret_state  NULL, or what is passed on with it
 */
void sl_process_span_get(const struct sl_process *process, struct sl_span *ret_span,
                         struct sl_tracestate *ret_state);

/*
 * For a request that is sent outward: the value of its traceparent, with a span of its own at each
 * call.
 *
 * ret_text   SL_TRACEPARENT_SIZE bytes, no zero byte
 * ret_state  value of its tracestate; size 0: send none. NULL: not wanted
 */
void sl_process_span_send(const struct sl_process *process, char ret_text[SL_TRACEPARENT_SIZE],
                          struct sl_tracestate *ret_state);
