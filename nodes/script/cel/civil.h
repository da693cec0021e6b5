/* SPDX-License-Identifier: MIT */
/*
 * Calendar and time zones: dates of the proleptic Gregorian calendar, and a reader of the TZif
 * files of the system (RFC 8536). Zones are read once and kept for the life of the process; an
 * expression's constant zone names are read when it is compiled, so a shard reads no file for them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

struct sl_cel_civil {
    int32_t year;
    int32_t month;    /* 0..11 */
    int32_t day;      /* 0..30 */
    int32_t year_day; /* 0..365 */
    int32_t week_day; /* 0 Sunday */
    int32_t hour;
    int32_t minute;
    int32_t second;
};

/* The date and time of seconds since 1970, UTC. */
void sl_cel_civil_from(int64_t seconds, struct sl_cel_civil *ret);

/* Days from 1970-01-01 of a date; month 1..12, day 1..31. */
int64_t sl_cel_civil_days(int64_t year, int32_t month, int32_t day);

/*
 * The offset from UTC, in seconds, of a zone at an instant: "UTC", "Europe/Paris", "+01:30",
 * "-02:30", "01:30".
 *
 * returns  false if there is no such zone. Any thread; the first use of a name may read a file
 */
bool sl_cel_zone_offset(struct sl_slice name, int64_t seconds, int32_t *ret_offset);
