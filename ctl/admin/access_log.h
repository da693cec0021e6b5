/* SPDX-License-Identifier: MIT */
/*
 * The access log, the control thread's side: lines of text in a file.
 *
 *   json       one object a line: time remote method target version status bytes_in bytes_out
 *              duration_us trace_id span_id, and parent_id (of the caller's traceparent)
 *              request_id referer user_agent where they were sent
 *   combined   the NCSA combined format
 *
 * What clients sent is escaped, so that a line is a line. Of requests that were refused before a
 * workflow saw them only time, remote, status and `refused` (why) are known; in the combined format
 * their request is "-".
 */
#pragma once

#include <stdint.h>

#include "core/base/diag.h"
#include "core/mem/out.h"
#include "nodes/net/access.h"

enum sl_access_format { SL_ACCESS_JSON, SL_ACCESS_COMBINED };

struct sl_access_log;

/*
 * Open a file to append to, mode 0640; "-" is standard output.
 * returns  0, -ENOMEM or -errno with reterr
 */
int sl_access_log_open(const char *path, enum sl_access_format format,
                       struct sl_access_log **ret_log, struct sl_diag *reterr);

/* Open the file of that name anew: it was moved away. The old one is kept if that fails. */
void sl_access_log_reopen(struct sl_access_log *log);

/* Write the lines of a block; sl_access_fn with the log as ctx. */
void sl_access_log_write(void *log, const struct sl_access_block *block);

/* One line with its newline. */
void sl_access_line(const struct sl_access_record *record, enum sl_access_format format,
                    struct sl_out *out);

/* NULL is fine; returns NULL. */
struct sl_access_log *sl_access_log_close(struct sl_access_log *log);
