/* SPDX-License-Identifier: MIT */
/*
 * Which core does what, and how: the options of `start` that concern one core each, read into the
 * configuration of a runtime. `sluice tune` writes them, so their spelling is here and nowhere else.
 *
 *   cores  control-core  spin  batch  buffers  buffer-size  backlog  priority  poller
 *
 * Any thread; nothing is kept.
 */
#pragma once

#include <stdbool.h>

#include "ctl/cli/cli.h"
#include "ctl/runtime/runtime.h"

/*
 * Read them all. What is wrong is printed with its place in the file, the environment or the words.
 * returns  false when something was wrong; cfg is then unspecified in these fields
 */
bool cli_percore_read(struct cli_args *args, struct sl_runtime_config *cfg);

/*
 * "0,2-3" as an array of *ret_count cores, at most `max`, each once.
 * returns  false for another text, an empty list, or more than that
 */
bool cli_cores_parse(const char *text, int *ret_cores, uint32_t max, uint32_t *ret_count);

/* "normal", "-20" … "19" (nice), or "fifo:1" … "fifo:99". False for another text. */
bool cli_priority_parse(const char *text, struct sl_priority *ret_priority);
