/* SPDX-License-Identifier: MIT */
/* The parser for any machine: one byte after the other in the first step, words in the second. */
#include "codecs/json/words.h"

#define scan_window json_scan_plain
#define scan_small  json_scan_small_plain
#define word_read   word_read_plain
#define has_escape  has_escape_plain
static __attribute__((noinline)) bool number_read(const uint8_t *at, const uint8_t *next,
                                                  const uint8_t *end, struct sl_cell *cell)
{
    return number_read_plain(at, next, end, cell);
}

/* The builder does it. */
static inline bool order_get(const struct sl_cell *pairs, uint32_t count, uint8_t *order)
{
    (void)pairs;
    (void)count;
    (void)order;
    return false;
}

#include "codecs/json/machine.h"

int json_read_plain(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                    uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr)
{
    return text_read(text, owner, mem, ret_duplicates, ret, reterr);
}
