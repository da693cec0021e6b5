/* SPDX-License-Identifier: MIT */
/*
 * The reader of time zones against the C library's, over many instants and zones; and from several
 * threads at once (under ThreadSanitizer it shows that the table of zones has no race).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "nodes/script/cel/civil.h"

static const char *const zones[] = {
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "US/Central",
    "CET",
    "America/Nuuk",
};

enum { ZONES = sizeof(zones) / sizeof(zones[0]), THREADS = 4 };

static int32_t library_offset(int64_t seconds, struct tm *ret)
{
    time_t at = (time_t)seconds;
    assert_non_null(localtime_r(&at, ret));
    return (int32_t)ret->tm_gmtoff;
}

static void zone_offset_agrees_with_the_library(void **state)
{
    (void)state;
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) skip();
    for (size_t i = 0; i < ZONES; i++) {
        assert_int_equal(setenv("TZ", zones[i], 1), 0);
        tzset();
        /* Every 5.3 days from 1890 to 2150. */
        for (int64_t at = INT64_C(-2524521600); at < INT64_C(5680281600); at += 457920) {
            struct tm parts;
            int32_t offset = 0;
            int32_t expected = library_offset(at, &parts);
            assert_true(sl_cel_zone_offset(sl_slice_from_str(zones[i]), at, &offset));
            if (offset != expected) {
                fail_msg("%s at %lld: %d, not %d", zones[i], (long long)at, offset, expected);
            }
        }
    }
}

static void civil_from_agrees_with_the_library(void **state)
{
    (void)state;
    for (int64_t at = INT64_C(-62135596800); at < INT64_C(253402300800); at += 86399 * 37) {
        time_t seconds = (time_t)at;
        struct tm parts;
        struct sl_cel_civil civil;
        assert_non_null(gmtime_r(&seconds, &parts));
        sl_cel_civil_from(at, &civil);
        assert_int_equal(civil.year, parts.tm_year + 1900);
        assert_int_equal(civil.month, parts.tm_mon);
        assert_int_equal(civil.day, parts.tm_mday - 1);
        assert_int_equal(civil.year_day, parts.tm_yday);
        assert_int_equal(civil.week_day, parts.tm_wday);
        assert_int_equal(civil.hour, parts.tm_hour);
        assert_int_equal(civil.minute, parts.tm_min);
        assert_int_equal(civil.second, parts.tm_sec);
    }
}

static void zone_offset_unknown_name_returns_false(void **state)
{
    static const char *const names[] = {
        "Nowhere", "../passwd", "/etc/passwd", "Europe",   "Europe/", "+1:00",
        "+24:00",  "-00:60",    "12:3",        "zone.tab", ".",       "Europe/Berlin\n",
    };
    (void)state;
    int32_t offset = 77;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(sl_cel_zone_offset(sl_slice_from_str(names[i]), 0, &offset));
    }
    assert_false(sl_cel_zone_offset(SL_SLICE("Europe\0Berlin"), 0, &offset));
    assert_true(sl_cel_zone_offset(SL_SLICE("-02:30"), 0, &offset));
    assert_int_equal(offset, -9000);
}

static void *look_up(void *argument)
{
    size_t first = (size_t)(uintptr_t)argument;
    int32_t sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        int32_t offset = 0;
        (void)sl_cel_zone_offset(sl_slice_from_str(zones[(first * 5 + i) % ZONES]), (int64_t)i,
                                 &offset);
        sum += offset;
    }
    return (void *)(uintptr_t)(uint32_t)sum;
}

static void zone_offset_from_threads_agrees(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_up, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *sum;
        assert_int_equal(pthread_join(threads[i], &sum), 0);
        assert_ptr_equal(sum, look_up((void *)(uintptr_t)i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zone_offset_from_threads_agrees), /* first: the table is empty */
        cmocka_unit_test(zone_offset_agrees_with_the_library),
        cmocka_unit_test(civil_from_agrees_with_the_library),
        cmocka_unit_test(zone_offset_unknown_name_returns_false),
    };
    return cmocka_run_group_tests_name("cel zones", tests, NULL, NULL);
}
