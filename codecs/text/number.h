/* SPDX-License-Identifier: MIT */
/*
 * Numbers as decimal text and back: exact for integers, correctly rounded when read, and the
 * shortest text that reads back to the same double when written. No locale, no allocation.
 *
 * Debian packages these algorithms for C++ only, and glibc has correct rounding (strtod) but no
 * shortest output; probing "%.15g" … "%.17g" costs about a microsecond a number. So both directions
 * are here, over one table of powers of ten; what the fast way cannot decide goes to strtod.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SL_TEXT_INT_SIZE = 20,   /* longest integer, with its sign */
    SL_TEXT_FLOAT_SIZE = 32, /* room that sl_text_float_write needs */
};

/* Write a number; `out` has room for SL_TEXT_INT_SIZE. returns the bytes written, no zero byte. */
size_t sl_text_int_write(int64_t value, char *out);
size_t sl_text_uint_write(uint64_t value, char *out);

/*
 * Write the shortest decimal that reads back to the same double, and of those the nearest. From
 * 1e-6 up to 1e21 without an exponent ("0.1", "100.0"), beyond with one ("1e21", "1.5e-7"). There
 * is always a point or an exponent, so it reads back as a float. NaN and infinities are "nan",
 * "inf", "-inf".
 *
 * out      room for SL_TEXT_FLOAT_SIZE
 * returns  bytes written, no zero byte
 * source   Giulietti, "The Schubfach way to render doubles"
 */
size_t sl_text_float_write(double value, char *out);

/*
 * The double nearest to a decimal number of the grammar -?digits(.digits)?([eE][+-]?digits)?, ties
 * to even; infinite where it is too large. The text must be of that grammar; its length is free.
 *
 * source   Lemire, "Number Parsing at a Gigabyte per Second"; strtod where that cannot decide
 */
double sl_text_float_read(const char *text, size_t size);

/*
 * The same for digits already collected: `mantissa` * 10^`exponent`, mantissa exact.
 *
 * returns  false if the fast way cannot decide: use sl_text_float_read
 */
bool sl_text_float_scale(uint64_t mantissa, int32_t exponent, double *ret_value);
