/* SPDX-License-Identifier: MIT */
/* Timestamps and durations: RFC 3339 texts, durations like "1h30m", parts in any time zone. */
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/cel/civil.h"
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

/* A text being read. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != (uint8_t)c) return false;
    reader->at++;
    return true;
}

/* Exactly `count` digits. */
static bool digits(struct reader *reader, int count, int32_t *ret)
{
    int32_t value = 0;
    if (reader->end - reader->at < count) return false;
    for (int i = 0; i < count; i++) {
        uint8_t c = *reader->at++;
        if (c < '0' || c > '9') return false;
        value = value * 10 + (c - '0');
    }
    *ret = value;
    return true;
}

/* ".5" in nanoseconds; more than nine digits are cut. */
static bool fraction(struct reader *reader, int32_t *ret)
{
    int32_t value = 0;
    int32_t unit = 100000000;
    *ret = 0;
    if (!take(reader, '.') && !take(reader, ',')) return true;
    const uint8_t *start = reader->at;
    for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        value += (*reader->at - '0') * unit;
        unit /= 10;
    }
    *ret = value;
    return reader->at > start;
}

/* "Z", "+01:00" in seconds. */
static bool zone(struct reader *reader, int32_t *ret)
{
    int32_t hour;
    int32_t minute;
    *ret = 0;
    if (take(reader, 'Z') || take(reader, 'z')) return true;
    bool minus = take(reader, '-');
    if (!minus && !take(reader, '+')) return false;
    if (!digits(reader, 2, &hour) || !take(reader, ':') || !digits(reader, 2, &minute))
        return false;
    *ret = (hour * 3600 + minute * 60) * (minus ? -1 : 1);
    return hour < 24 && minute < 60;
}

static int32_t month_days(int32_t year, int32_t month)
{
    static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* RFC 3339, section 5.6. */
static bool read_timestamp(struct sl_slice text, int64_t *ret_seconds, int32_t *ret_ns)
{
    struct reader reader = {text.data, text.data + text.size};
    int32_t year, month, day, hour, minute, second, offset;
    if (text.size > SL_CEL_NUMBER_TEXT_MAX) return false;
    bool date = digits(&reader, 4, &year) && take(&reader, '-') && digits(&reader, 2, &month) &&
                take(&reader, '-') && digits(&reader, 2, &day) &&
                (take(&reader, 'T') || take(&reader, 't'));
    if (!date || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return false;
    bool time = digits(&reader, 2, &hour) && take(&reader, ':') && digits(&reader, 2, &minute) &&
                take(&reader, ':') && digits(&reader, 2, &second) && fraction(&reader, ret_ns) &&
                zone(&reader, &offset);
    if (!time || reader.at != reader.end || hour > 23 || minute > 59 || second > 59) return false;
    *ret_seconds =
        sl_cel_civil_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    return true;
}

static bool ret_timestamp(struct sl_cel_eval *eval, int64_t seconds, uint32_t ns,
                          struct sl_cel_val *ret)
{
    *ret = sl_cel_timestamp(seconds, ns);
    if (seconds >= SL_CEL_TIME_MIN && seconds <= SL_CEL_TIME_MAX) return true;
    return sl_cel_fail(eval, "timestamp out of range: " SL_CEL_TIME_RANGE);
}

static bool call_string_timestamp(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t seconds;
    int32_t ns;
    if (!read_timestamp(sl_cel_slice(args[0]), &seconds, &ns)) {
        uint32_t size = args[0]->len > 100 ? 100 : args[0]->len;
        return sl_cel_fail(eval, "type conversion error: '%.*s' is no timestamp", (int)size,
                           (const char *)args[0]->ptr);
    }
    return ret_timestamp(eval, seconds, (uint32_t)ns, ret);
}

static bool call_int_timestamp(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_timestamp(eval, args[0]->i, 0, ret);
}

static bool call_same(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = *args[0];
    return true;
}

static bool call_timestamp_int(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_int(args[0]->i);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Durations                                                                                    */

static bool read_unit(struct reader *reader, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", 1000},
        {"\xc2\xb5s", 1000},
        {"\xce\xbcs", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", INT64_C(60000000000)},
        {"h", INT64_C(3600000000000)},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t size = strlen(units[i].name);
        if ((size_t)(reader->end - reader->at) < size) continue;
        if (memcmp(reader->at, units[i].name, size) != 0) continue;
        reader->at += size;
        *ret = units[i].ns;
        return true;
    }
    return false;
}

/* One part like "1.5h", added to *sum (not negative); false if it is wrong or too large. */
static bool read_part(struct reader *reader, uint64_t *sum)
{
    uint64_t whole = 0;
    double rest = 0;
    double scale = 1;
    const uint8_t *start = reader->at;
    uint32_t count = 0;
    for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        if (__builtin_mul_overflow(whole, UINT64_C(10), &whole)) return false;
        if (__builtin_add_overflow(whole, (uint64_t)(*reader->at - '0'), &whole)) return false;
        count++;
    }
    if (take(reader, '.')) {
        for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
            if (scale < 1e18) {
                rest = rest * 10 + (*reader->at - '0');
                scale *= 10;
            }
            count++;
        }
    }
    int64_t unit;
    if (count == 0 || reader->at == start || !read_unit(reader, &unit)) return false;
    uint64_t ns;
    if (__builtin_mul_overflow(whole, (uint64_t)unit, &ns)) return false;
    uint64_t more = (uint64_t)(rest * ((double)unit / scale));
    return !__builtin_add_overflow(ns, more, &ns) && !__builtin_add_overflow(*sum, ns, sum);
}

static bool read_duration(struct sl_slice text, int64_t *ret)
{
    struct reader reader = {text.data, text.data + text.size};
    if (text.size > SL_CEL_NUMBER_TEXT_MAX) return false;
    bool minus = take(&reader, '-');
    if (!minus) (void)take(&reader, '+');
    uint64_t sum = 0;
    if (reader.end - reader.at == 1 && *reader.at == '0') {
        *ret = 0;
        return true;
    }
    if (reader.at == reader.end) return false;
    while (reader.at < reader.end) {
        if (!read_part(&reader, &sum)) return false;
    }
    if (sum > (uint64_t)INT64_MAX + (minus ? 1 : 0)) return false;
    *ret = (int64_t)(minus ? 0 - sum : sum);
    return true;
}

static bool call_string_duration(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    int64_t ns;
    if (!read_duration(sl_cel_slice(args[0]), &ns)) {
        uint32_t size = args[0]->len > 100 ? 100 : args[0]->len;
        return sl_cel_fail(eval,
                           "type conversion error: '%.*s' is no duration such as '500ms' or "
                           "'1h30m', or it is out of range: " SL_CEL_DURATION_RANGE,
                           (int)size, (const char *)args[0]->ptr);
    }
    *ret = sl_cel_duration(ns);
    return true;
}

static bool call_int_duration(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_duration(args[0]->i);
    return true;
}

static bool call_duration_int(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_int(args[0]->i);
    return true;
}

#define DURATION_PART(name, expression)                                                            \
    static bool call_duration_##name(struct sl_cel_eval *eval, args_t args,                        \
                                     struct sl_cel_val *ret)                                       \
    {                                                                                              \
        int64_t ns = args[0]->i;                                                                   \
        *ret = sl_cel_int(expression);                                                             \
        return true;                                                                               \
    }

DURATION_PART(hours, ns / INT64_C(3600000000000))
DURATION_PART(minutes, ns / INT64_C(60000000000))
DURATION_PART(seconds, ns / 1000000000)
DURATION_PART(milliseconds, ns / 1000000 % 1000)

/* ------------------------------------------------------------------------------------------ */
/* Parts of a timestamp                                                                         */

/* The local date of args[0] in the zone args[1]. */
static bool local(struct sl_cel_eval *eval, args_t args, struct sl_cel_civil *ret)
{
    struct sl_slice name = sl_cel_slice(args[1]);
    int32_t offset;
    if (!sl_cel_charge(eval, 4)) return false;
    if (!sl_cel_zone_offset(name, args[0]->i, &offset)) {
        if (name.size > 64) name.size = 64;
        return sl_cel_fail(eval, "unknown time zone %.*s", SL_SLICE_FMT(name));
    }
    sl_cel_civil_from(args[0]->i + offset, ret);
    return true;
}

/* The part in UTC, and in the zone of the second argument. */
#define TIME_PART(name, expression)                                                                \
    static bool call_##name(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)         \
    {                                                                                              \
        struct sl_cel_civil civil;                                                                 \
        uint32_t ns = args[0]->len;                                                                \
        (void)ns;                                                                                  \
        sl_cel_civil_from(args[0]->i, &civil);                                                     \
        *ret = sl_cel_int(expression);                                                             \
        return true;                                                                               \
    }                                                                                              \
    static bool call_##name##_in(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)    \
    {                                                                                              \
        struct sl_cel_civil civil;                                                                 \
        uint32_t ns = args[0]->len;                                                                \
        (void)ns;                                                                                  \
        if (!local(eval, args, &civil)) return false;                                              \
        *ret = sl_cel_int(expression);                                                             \
        return true;                                                                               \
    }

TIME_PART(year, civil.year)
TIME_PART(month, civil.month)
TIME_PART(day_of_month, civil.day)
TIME_PART(date, civil.day + 1)
TIME_PART(day_of_year, civil.year_day)
TIME_PART(day_of_week, civil.week_day)
TIME_PART(hours, civil.hour)
TIME_PART(minutes, civil.minute)
TIME_PART(seconds, civil.second)
TIME_PART(milliseconds, ns / 1000000)

#define TIME_ROWS(name, call)                                                                      \
    {name, "t.>i", call_##call},                                                                   \
    {                                                                                              \
        name, "t.s>i", call_##call##_in                                                            \
    }

const struct sl_cel_function sl_cel_functions_time[] = {
    {"timestamp", "t>t", call_same},
    {"timestamp", "s>t", call_string_timestamp},
    {"timestamp", "i>t", call_int_timestamp},
    {"int", "t>i", call_timestamp_int},
    {"duration", "D>D", call_same},
    {"duration", "s>D", call_string_duration},
    {"duration", "i>D", call_int_duration},
    {"int", "D>i", call_duration_int},
    TIME_ROWS("getFullYear", year),
    TIME_ROWS("getMonth", month),
    TIME_ROWS("getDayOfMonth", day_of_month),
    TIME_ROWS("getDate", date),
    TIME_ROWS("getDayOfYear", day_of_year),
    TIME_ROWS("getDayOfWeek", day_of_week),
    TIME_ROWS("getHours", hours),
    TIME_ROWS("getMinutes", minutes),
    TIME_ROWS("getSeconds", seconds),
    TIME_ROWS("getMilliseconds", milliseconds),
    {"getHours", "D.>i", call_duration_hours},
    {"getMinutes", "D.>i", call_duration_minutes},
    {"getSeconds", "D.>i", call_duration_seconds},
    {"getMilliseconds", "D.>i", call_duration_milliseconds},
    {NULL, NULL, NULL},
};
