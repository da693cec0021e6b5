/* SPDX-License-Identifier: MIT */
/*
 * The engine's log: lines to stderr (or to a sink), text for people or JSON for programs.
 * Floors below `ctl` log at debug level only; what they have to say travels as diagnostics,
 * counters and error payloads. Control threads only: a shard posts to the control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sl_log_level { SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN, SL_LOG_ERROR };
enum sl_log_format { SL_LOG_TEXT, SL_LOG_JSON };

/* A line, without its newline; borrowed for the call. */
typedef void sl_log_sink_fn(void *ctx, const char *line, size_t size);

/* Set the lowest level that is written. Default: SL_LOG_INFO. Any thread. */
void sl_log_set_level(enum sl_log_level level);
/* True if a message of this level would be written. Any thread. */
bool sl_log_is_on(enum sl_log_level level);
void sl_log_set_format(enum sl_log_format format);

/* Redirect lines; NULL: back to stderr. Call before threads start. */
void sl_log_set_sink(sl_log_sink_fn *sink, void *ctx);

/*
 * Write one message; messages of several threads do not mix. A newline inside it begins a line that
 * is set in (text) or is written out (JSON), so that what a client sends never looks like a message.
 */
void sl_log(enum sl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
