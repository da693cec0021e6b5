/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#pragma once

#include "codecs/flat/flat.h"
#include "codecs/json/read.h"
#include "core/base/slice.h"

struct sl_diag;

/* sl_json_parse_counted with a given parser, or by the stream alone where it is NULL. */
int json_parse_with(json_read_fn *read_fn, struct sl_slice text, struct sl_buf *owner,
                    struct sl_mem *mem, uint32_t flags, struct sl_value *ret,
                    uint32_t *ret_duplicates, struct sl_diag *reterr);

/* By the stream alone; it says what is wrong and where. ret_duplicates may be NULL. */
int json_parse_plain(struct sl_slice text, struct sl_mem *mem, uint32_t flags, struct sl_value *ret,
                     uint32_t *ret_duplicates, struct sl_diag *reterr);

/*
 * The cell of a number whose text keeps to the grammar. false: too large for a double.
 *
 * is_float  there is a point or an exponent in it
 */
bool json_number_read(const char *text, size_t size, bool is_float, struct sl_cell *ret_cell);
