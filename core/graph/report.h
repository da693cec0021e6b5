/* SPDX-License-Identifier: MIT */
/*
 * Reports: what a shard has to tell a person, sent to the control thread as text. Rate-limited a
 * shard, because an error that happens at every request would else be a flood; what was left
 * out is counted and told with the next report. Mistakes of clients have a limit of their own, so
 * that no client can crowd out what went wrong here.
 */
#pragma once

#include "codecs/flat/flat.h"
#include "core/base/log.h"

struct sl_process;
struct sl_report_bucket;
struct sl_shard;
struct sl_symbol;

enum {
    SL_REPORTS_PER_SECOND = 10, /* a shard, a level */
    SL_REPORT_TEXT_SIZE = 1024,
};

/* Told on the control thread: one line without newline. */
typedef void sl_report_fn(enum sl_log_level level, const char *text);

/* Set the receiver; NULL: reports are dropped. Before threads start. */
void sl_report_set(sl_report_fn *fn);

/*
 * Ask a bucket that holds a second's worth; false: leave it out, which is counted in the bucket.
 *
 * now_ns  of any clock that starts beyond a second
 */
bool sl_report_may(struct sl_report_bucket *bucket, uint64_t now_ns, uint32_t per_second);

/*
 * Report an error of a process: where it began, which node failed, and the chain.
 *
 * level    SL_LOG_ERROR: something is wrong here; SL_LOG_INFO: the client's mistake, or handled
 * symbol   that failed, or NULL
 * error    an Error value, borrowed
 * origin   "GET /users": what the source knows of the request
 * thread   the process's shard
 */
void sl_report_error(struct sl_process *process, enum sl_log_level level,
                     const struct sl_symbol *symbol, struct sl_value error, const char *origin);
