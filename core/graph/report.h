/* SPDX-License-Identifier: MIT */
/*
 * Reports: what a shard has to tell a person, sent to the control thread as text. Rate-limited a
 * shard, because an error that happens at every request would else be a flood; what was left
 * out is counted and told with the next report.
 */
#pragma once

#include "codecs/flat/flat.h"

struct sl_process;
struct sl_shard;

enum {
    SL_REPORTS_PER_SECOND = 10, /* a shard */
    SL_REPORT_TEXT_SIZE = 1024,
};

/* Told on the control thread: one line without newline. */
typedef void sl_report_fn(const char *text);

/* Set the receiver; NULL: reports are dropped. Before threads start. */
void sl_report_set(sl_report_fn *fn);

/*
 * Report that a process ended with an error: where it began, which node failed, and the chain.
 *
 * error    an Error value, borrowed
 * origin   "GET /users": what the source knows of the request
 * thread   the process's shard
 */
void sl_report_error(struct sl_process *process, struct sl_value error, const char *origin);
