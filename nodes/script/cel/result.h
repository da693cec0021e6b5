/* SPDX-License-Identifier: MIT */
/* From the evaluator back to payloads. */
#pragma once

#include "nodes/script/cel/eval.h"

/*
 * Make the payload value of a result, with one count for the caller. What lies in a payload already
 * is counted, not copied.
 *
 * returns  false with eval->failure set: too deep, too large, no memory
 */
bool sl_cel_result(struct sl_cel_eval *eval, const struct sl_cel_val *val, struct sl_mem *mem,
                   struct sl_value *ret);

/*
 * The same for a map that sl_cel_execute left to be made: it goes from the operands straight to the
 * payload.
 */
bool sl_cel_result_record(struct sl_cel_eval *eval, const struct sl_cel_val *frame,
                          const struct sl_cel_ins *ins, struct sl_mem *mem, struct sl_value *ret);

/* The Error value of eval->failure, with one count; cell == NULL for no memory. */
struct sl_value sl_cel_failure_value(const struct sl_cel_eval *eval, struct sl_mem *mem);

/* Start a run of an instance: limits, scratch memory. For cases.c, which binds values itself. */
struct sl_cel_eval *sl_cel_begin(struct sl_cel_instance *instance,
                                 const struct sl_script_call *call);
