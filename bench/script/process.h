/* SPDX-License-Identifier: MIT */
/* The mode "process" of script_bench; see process.c. */
#pragma once

#include "bench/script/script_bench.h"

bool sb_process_open(struct sb_row *row);
struct sl_value sb_process_run(struct sb_row *row, struct sl_value input);
void sb_process_close(struct sb_row *row);
