/* SPDX-License-Identifier: MIT */
/*
 * Instants and durations as text. Seconds count from 1970-01-01T00:00:00Z in the Gregorian
 * calendar, leap seconds left out; nanoseconds always count forwards from them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    SL_TEXT_TIME_SIZE = 48,     /* room that sl_text_time_write needs */
    SL_TEXT_DURATION_SIZE = 40, /* room that sl_text_duration_write needs */
};

/*
 * Write an instant in UTC as RFC 3339: "2026-11-21T09:08:58.5Z", fraction without trailing zeros.
 * Years outside 0..9999, which RFC 3339 does not know, get a sign and all their digits.
 *
 * nanoseconds  0..999999999
 * returns      bytes written, no zero byte
 */
size_t sl_text_time_write(int64_t seconds, uint32_t nanoseconds, char *out);

/* Write a duration in seconds: "1.5s", "-0.5s", "3600s". As above. */
size_t sl_text_duration_write(int64_t seconds, uint32_t nanoseconds, char *out);
