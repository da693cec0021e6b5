/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#pragma once

#include "codecs/flat/flat.h"

struct sl_json_stream;

/*
 * The cell of a number whose text keeps to the grammar. false: too large for a double.
 *
 * is_float  there is a point or an exponent in it
 */
bool json_number_read(const char *text, size_t size, bool is_float, struct sl_cell *ret_cell);
