/* SPDX-License-Identifier: MIT */
/*
 * native: calls into the engine. This floor declares the table of operations; the control plane
 * fills it before threads start, so nothing here knows a registry.
 *
 *   shard                                  control thread
 *   run: seal the payload, post ─────────► op(argument) → sealed result
 *   park                        ◄───────── post back
 *   resume with the opened result
 */
#pragma once

#include "codecs/flat/flat.h"
#include "core/graph/kind.h"

extern const struct sl_kind sl_kind_native;

/*
 * One operation, run on the control thread.
 *
 * name_space  of the workflow that calls
 * argument    the payload, borrowed
 * ret_result  a value with one count (heap): the answer, or an Error
 */
typedef void sl_native_fn(void *ctx, const char *name_space, struct sl_value argument,
                          struct sl_value *ret_result);

enum { SL_NATIVE_OPS_MAX = 64 };

/* Add an operation ("nodes.create"). Before threads start; `opcode` lives for ever. */
void sl_native_register(const char *opcode, sl_native_fn *fn, void *ctx);

/*
 * From now on the table is read by threads: adding an operation is a bug. Called by the runtime
 * before it starts them; harmless if called again.
 */
void sl_native_freeze(void);

/* Forget all operations, and that the table was frozen (tests). No thread runs. */
void sl_native_reset(void);
