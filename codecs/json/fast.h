/* SPDX-License-Identifier: MIT */
/*
 * The fast parser: from token to token, straight onto the builder's stack and tape. What is wrong
 * with a text it does not say: then the stream looks again. For this folder only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "codecs/json/scan.h"

/*
 * Read scan->text. The builder is new; its error tells of memory and limits.
 *
 * borrow   strings are borrowed from the text, else copied
 * returns  true if the text is a value: then its cell stands on the stack
 */
bool json_fast_read(struct json_scan *scan, json_scan_fn *scan_fn, struct sl_builder *builder,
                    bool borrow);

/* -------- slow paths (fast_slow.c): NULL or false is failure -------- */

/*
 * The string [begin, end) has an escape: unescape it to the builder's bytes. The bytes were
 * checked as far as scanning does.
 */
bool json_fast_unescape(struct sl_builder *builder, const uint8_t *begin, const uint8_t *end,
                        struct sl_cell *ret_cell);

/* Any number at `begin`; returns the place behind it. */
const uint8_t *json_fast_number(const uint8_t *begin, const uint8_t *end, struct sl_cell *ret_cell);
