/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as JSON, by every way of reading it, whole and in pieces: all have to come to the same
 * (tests/codecs/json/json_check.h). What is read writes and reads back.
 */
#include <stdint.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "tests/codecs/json/json_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_mem_stats stats;
    struct sl_mem *mem = sl_mem_new(256 * 1024 * 1024);
    sl_assert(mem != NULL);
    (void)json_check_text(mem, sl_slice_make(data, size));
    sl_mem_stats_get(mem, &stats);
    sl_assert(stats.used == 0);
    mem = sl_mem_free(mem);
    return 0;
}
