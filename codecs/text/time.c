/* SPDX-License-Identifier: MIT */
#include "codecs/text/time.h"

#include <string.h>

#include "codecs/text/number.h"
#include "core/base/assertion.h"

enum {
    SECONDS_PER_DAY = 86400,
    DAYS_PER_ERA = 146097, /* 400 years */
    DAYS_TO_ERA = 719468,  /* from 0000-03-01 to 1970-01-01 */
    YEARS_PER_ERA = 400,
};

struct date {
    int64_t year;
    uint32_t month;
    uint32_t day;
};

/* Years begin in March here, so that the leap day is the last. Source: Howard Hinnant, "chrono-
 * compatible low-level date algorithms", civil_from_days. */
static struct date date_from_days(int64_t days)
{
    days += DAYS_TO_ERA;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    uint32_t day = (uint32_t)(days - era * DAYS_PER_ERA); /* of the era */
    uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint32_t year_day = day - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * year_day + 2) / 153; /* 0 is March */
    struct date date = {
        .year = (int64_t)year + era * YEARS_PER_ERA + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = year_day - (153 * month + 2) / 5 + 1,
    };
    return date;
}

static char *put2(char *at, uint32_t value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

/* ".5" for 500000000, nothing for 0. */
static char *put_fraction(char *at, uint32_t nanoseconds)
{
    if (nanoseconds == 0) return at;
    *at++ = '.';
    for (uint32_t unit = 100000000; nanoseconds > 0; unit /= 10) {
        *at++ = (char)('0' + nanoseconds / unit);
        nanoseconds %= unit;
    }
    return at;
}

static char *put_year(char *at, int64_t year)
{
    if (year >= 0 && year <= 9999) {
        at = put2(at, (uint32_t)year / 100);
        return put2(at, (uint32_t)year % 100);
    }
    uint64_t size = year < 0 ? 0 - (uint64_t)year : (uint64_t)year;
    *at++ = year < 0 ? '-' : '+';
    for (uint64_t least = 1000; size < least && least > 1; least /= 10) *at++ = '0';
    return at + sl_text_uint_write(size, at);
}

size_t sl_text_time_write(int64_t seconds, uint32_t nanoseconds, char *out)
{
    sl_assert(out != NULL);
    sl_assert(nanoseconds < 1000000000);
    int64_t days = seconds / SECONDS_PER_DAY;
    int64_t rest = seconds % SECONDS_PER_DAY;
    if (rest < 0) {
        rest += SECONDS_PER_DAY;
        days--;
    }
    struct date date = date_from_days(days);
    uint32_t second = (uint32_t)rest;
    char *at = put_year(out, date.year);
    *at++ = '-';
    at = put2(at, date.month);
    *at++ = '-';
    at = put2(at, date.day);
    *at++ = 'T';
    at = put2(at, second / 3600);
    *at++ = ':';
    at = put2(at, second / 60 % 60);
    *at++ = ':';
    at = put2(at, second % 60);
    at = put_fraction(at, nanoseconds);
    *at++ = 'Z';
    return (size_t)(at - out);
}

size_t sl_text_duration_write(int64_t seconds, uint32_t nanoseconds, char *out)
{
    sl_assert(out != NULL);
    sl_assert(nanoseconds < 1000000000);
    char *at = out;
    uint64_t whole = (uint64_t)seconds;
    if (seconds < 0) {
        *at++ = '-';
        whole = 0 - whole;
        if (nanoseconds > 0) { /* -1 s + 0.5 s is written -0.5 s */
            whole--;
            nanoseconds = 1000000000 - nanoseconds;
        }
    }
    at += sl_text_uint_write(whole, at);
    at = put_fraction(at, nanoseconds);
    *at++ = 's';
    return (size_t)(at - out);
}
