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

struct sl_diag;

/*
 * Read a text of at most SL_PAYLOAD_BYTES_MAX bytes into a new buffer; in the order of the arguments
 * of sl_json_parse, so that it jumps here.
 *
 * owner           the buffer that the text lives in: strings are borrowed. NULL: they are copied
 * ret_duplicates  may be NULL
 * returns         as sl_json_parse
 */
typedef int json_read_fn(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                         uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr);

int json_read_plain(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                    uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr);
#if defined(__x86_64__)
int json_read_avx2(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                   uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr);
int json_read_avx512(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                     uint32_t *ret_duplicates, struct sl_value *ret, struct sl_diag *reterr);
#endif

/* The best one for this machine; chosen before main, when nothing else runs. */
extern json_read_fn *json_read_best;

/* True if this machine can run it. */
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
