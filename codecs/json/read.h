/* SPDX-License-Identifier: MIT */
/*
 * The fast parsers: all steps of one text in one function, built for different instruction sets.
 * What is wrong with a text they do not say: then the stream looks again. For this folder only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/slice.h"

/*
 * Read a text of at most SL_PAYLOAD_BYTES_MAX bytes into a new buffer.
 *
 * owner    the buffer that the text lives in: strings are borrowed. NULL: they are copied
 * returns  0, -ENOMEM, or -EINVAL for everything that is wrong with the text, its size and depth
 *          included
 */
typedef int json_read_fn(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                         struct sl_value *ret, uint32_t *ret_duplicates);

int json_read_plain(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                    struct sl_value *ret, uint32_t *ret_duplicates);
#if defined(__x86_64__)
int json_read_avx2(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                   struct sl_value *ret, uint32_t *ret_duplicates);
int json_read_avx512(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                     struct sl_value *ret, uint32_t *ret_duplicates);
#endif

/* The best one for this machine; and whether it can run a certain one. */
json_read_fn *json_read_get(void);
bool json_read_can_run(json_read_fn *fn);

/* -------- slow paths (slow.c): NULL or false is failure -------- */

/*
 * The string [begin, end) has an escape: unescape it to the builder's bytes. The bytes were
 * checked as far as scanning does.
 */
bool json_fast_unescape(struct sl_builder *builder, const uint8_t *begin, const uint8_t *end,
                        struct sl_cell *ret_cell);

/* Any number at `begin`; returns the place behind it. */
const uint8_t *json_fast_number(const uint8_t *begin, const uint8_t *end, struct sl_cell *ret_cell);
