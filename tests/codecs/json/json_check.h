/* SPDX-License-Identifier: MIT */
/* One text through every way of reading it; used by the tests and the fuzzer. */
#pragma once

#include "core/base/slice.h"

struct sl_mem;

/*
 * Read `text` whole (copied, borrowed), in pieces (cut at every point of small texts, at some of
 * large ones) and by every fast parser there is. All results must be one, and what was read must
 * write and read back to the same bits. Aborts where that does not hold.
 *
 * returns  what sl_json_parse returned
 */
int json_check_text(struct sl_mem *mem, struct sl_slice text);
