/* SPDX-License-Identifier: MIT */
/*
 * What walk.c and process.c share. Nobody else includes this.
 */
#pragma once

#include "core/graph/process.h"

/* A zeroed frame with `data_size` bytes behind it, linked to its process; NULL at a limit. */
struct sl_frame *sl_frame_new(struct sl_process *process, enum sl_frame_type type,
                              size_t data_size);
void sl_frame_free(struct sl_frame *frame);

/* Go on with what is ready. */
void sl_walk_ready(struct sl_process *process);

/* No walk is on the stack: end the process if nothing is left. */
void sl_process_settle(struct sl_process *process);

/* The process waits: from now on its deadline must be watched. */
void sl_process_timer_arm(struct sl_process *process);
