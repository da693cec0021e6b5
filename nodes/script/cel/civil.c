/* SPDX-License-Identifier: MIT */
/*
 * Calendar and time zones; see civil.h.
 *
 * The table of zones only grows: a reader walks it without a lock (each entry is published by a
 * release store of the list's head, read by an acquire load in zone_find), adding takes a mutex.
 */
#include "nodes/script/cel/civil.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum {
    ZONE_NAME_MAX = 64,
    ZONE_FILE_MAX = 256 * 1024,
    SECONDS_A_DAY = 86400,
};

/* How a zone's rule switches: "M3.2.0/2" of a POSIX TZ string, or a day of the year. */
struct zone_switch {
    char form; /* 'M': month, week, weekday; 'J': 1..365 without leap days; '0': 0..365 */
    int32_t month;
    int32_t week;
    int32_t day;
    int32_t time; /* seconds after midnight, may be negative */
};

struct zone {
    struct zone *next;
    char name[ZONE_NAME_MAX];
    int64_t *times;   /* array of count: when an offset begins */
    int32_t *offsets; /* array of count */
    uint32_t count;
    int32_t first; /* before times[0] */
    bool has_rule; /* after the last time */
    bool has_summer;
    int32_t standard;
    int32_t summer;
    struct zone_switch to_summer;
    struct zone_switch to_standard;
};

static _Atomic(struct zone *) zones;
static pthread_mutex_t zones_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t zones_count;

/* ------------------------------------------------------------------------------------------ */
/* Calendar. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".             */

int64_t sl_cel_civil_days(int64_t year, int32_t month, int32_t day)
{
    sl_assert(month >= 1 && month <= 12);
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void sl_cel_civil_from(int64_t seconds, struct sl_cel_civil *ret)
{
    int64_t days = seconds / SECONDS_A_DAY;
    int32_t rest = (int32_t)(seconds % SECONDS_A_DAY);
    if (rest < 0) {
        rest += SECONDS_A_DAY;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    int64_t year = year_of_era + era * 400 + (month >= 10);
    ret->day = (int32_t)(day_of_year - (153 * month + 2) / 5);
    ret->month = (int32_t)(month < 10 ? month + 2 : month - 10);
    ret->year = (int32_t)year;
    ret->year_day = (int32_t)(days - sl_cel_civil_days(year, 1, 1));
    ret->week_day = (int32_t)((days % 7 + 11) % 7);
    ret->hour = rest / 3600;
    ret->minute = rest / 60 % 60;
    ret->second = rest % 60;
}

/* ------------------------------------------------------------------------------------------ */
/* The rule behind the last transition: RFC 8536, section 3.3; POSIX, "TZ"                      */

static bool read_number(const char **at, int32_t *ret)
{
    if (**at < '0' || **at > '9') return false;
    int32_t value = 0;
    while (**at >= '0' && **at <= '9' && value < 100000) value = value * 10 + (*(*at)++ - '0');
    *ret = value;
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool read_time(const char **at, int32_t *ret)
{
    int32_t sign = **at == '-' ? -1 : 1;
    int32_t part;
    if (**at == '-' || **at == '+') (*at)++;
    if (!read_number(at, &part)) return false;
    int32_t value = part * 3600;
    for (int32_t unit = 60; unit > 0 && **at == ':'; unit /= 60) {
        (*at)++;
        if (!read_number(at, &part)) return false;
        value += part * unit;
    }
    *ret = sign * value;
    return true;
}

static bool read_name(const char **at)
{
    const char *start = *at;
    if (**at == '<') {
        while (**at != '\0' && **at != '>') (*at)++;
        if (**at != '>') return false;
        (*at)++;
        return true;
    }
    while ((**at | 0x20) >= 'a' && (**at | 0x20) <= 'z') (*at)++;
    return *at - start >= 3;
}

static bool read_switch(const char **at, struct zone_switch *ret)
{
    *ret = (struct zone_switch){.form = '0', .time = 7200};
    if (*(*at)++ != ',') return false;
    if (**at == 'M') {
        ret->form = *(*at)++;
        if (!read_number(at, &ret->month) || *(*at)++ != '.') return false;
        if (!read_number(at, &ret->week) || *(*at)++ != '.') return false;
        if (ret->month < 1 || ret->month > 12 || ret->week < 1 || ret->week > 5) return false;
    } else if (**at == 'J') {
        ret->form = *(*at)++;
    }
    if (!read_number(at, &ret->day)) return false;
    if (**at != '/') return true;
    (*at)++;
    return read_time(at, &ret->time);
}

static bool read_rule(const char *at, struct zone *zone)
{
    int32_t west;
    if (!read_name(&at) || !read_time(&at, &west)) return false;
    zone->has_rule = true;
    zone->standard = -west;
    if (*at == '\0') return true;
    if (!read_name(&at)) return false;
    zone->summer = zone->standard + 3600;
    if (*at != ',') {
        if (!read_time(&at, &west)) return false;
        zone->summer = -west;
    }
    zone->has_summer = true;
    return read_switch(&at, &zone->to_summer) && read_switch(&at, &zone->to_standard);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Local seconds since 1970 at which a switch happens in a year. */
static int64_t switch_at(const struct zone_switch *rule, int64_t year)
{
    int64_t first = sl_cel_civil_days(year, 1, 1);
    int64_t day;
    if (rule->form == 'M') {
        int64_t start = sl_cel_civil_days(year, rule->month, 1);
        int64_t week_day = (start % 7 + 11) % 7;
        day = start + (rule->day - week_day + 7) % 7 + (rule->week - 1) * 7;
        int64_t next = rule->month == 12 ? sl_cel_civil_days(year + 1, 1, 1)
                                         : sl_cel_civil_days(year, rule->month + 1, 1);
        if (day >= next) day -= 7;
    } else if (rule->form == 'J') {
        day = first + rule->day - 1 + (is_leap(year) && rule->day >= 60);
    } else {
        day = first + rule->day;
    }
    return day * SECONDS_A_DAY + rule->time;
}

static int32_t rule_offset(const struct zone *zone, int64_t seconds)
{
    if (!zone->has_summer) return zone->standard;
    struct sl_cel_civil civil;
    sl_cel_civil_from(seconds + zone->standard, &civil);
    int64_t start = switch_at(&zone->to_summer, civil.year) - zone->standard;
    int64_t end = switch_at(&zone->to_standard, civil.year) - zone->summer;
    bool summer =
        start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    return summer ? zone->summer : zone->standard;
}

/* ------------------------------------------------------------------------------------------ */
/* TZif: RFC 8536                                                                               */

static int64_t big_endian(const uint8_t *data, uint32_t size)
{
    uint64_t value = (data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < size; i++) value = value << 8 | data[i];
    return (int64_t)value;
}

struct tzif_header {
    uint32_t utc_count;
    uint32_t std_count;
    uint32_t leap_count;
    uint32_t time_count;
    uint32_t type_count;
    uint32_t char_count;
};

enum { TZIF_HEADER = 44 };

static bool read_header(const uint8_t *data, size_t size, struct tzif_header *ret)
{
    if (size < TZIF_HEADER || memcmp(data, "TZif", 4) != 0) return false;
    uint32_t *counts[] = {&ret->utc_count,  &ret->std_count,  &ret->leap_count,
                          &ret->time_count, &ret->type_count, &ret->char_count};
    for (uint32_t i = 0; i < 6; i++) {
        int64_t count = big_endian(data + 20 + i * 4, 4);
        if (count < 0 || count > ZONE_FILE_MAX) return false;
        *counts[i] = (uint32_t)count;
    }
    return ret->type_count > 0;
}

static size_t body_size(const struct tzif_header *header, uint32_t time_size)
{
    return (size_t)header->time_count * (time_size + 1) + (size_t)header->type_count * 6 +
           header->char_count + (size_t)header->leap_count * (time_size + 4) + header->std_count +
           header->utc_count;
}

static bool read_body(const uint8_t *data, const struct tzif_header *header, uint32_t time_size,
                      struct zone *zone)
{
    uint32_t count = header->time_count;
    const uint8_t *indexes = data + (size_t)count * time_size;
    const uint8_t *types = indexes + count;
    zone->times = malloc((count + 1) * sizeof(*zone->times));
    zone->offsets = malloc((count + 1) * sizeof(*zone->offsets));
    if (zone->times == NULL || zone->offsets == NULL) return false;
    zone->count = count;
    zone->first = (int32_t)big_endian(types, 4);
    for (uint32_t i = 0; i < count; i++) {
        if (indexes[i] >= header->type_count) return false;
        zone->times[i] = big_endian(data + (size_t)i * time_size, time_size);
        zone->offsets[i] = (int32_t)big_endian(types + indexes[i] * 6, 4);
    }
    return true;
}

static bool read_tzif(const uint8_t *data, size_t size, struct zone *zone)
{
    struct tzif_header header;
    if (!read_header(data, size, &header)) return false;
    size_t body = body_size(&header, 4);
    if (size - TZIF_HEADER < body) return false;
    if (data[4] < '2') return read_body(data + TZIF_HEADER, &header, 4, zone);
    data += TZIF_HEADER + body;
    size -= TZIF_HEADER + body;
    if (!read_header(data, size, &header)) return false;
    body = body_size(&header, 8);
    if (size - TZIF_HEADER < body) return false;
    if (!read_body(data + TZIF_HEADER, &header, 8, zone)) return false;
    char footer[128];
    size_t rest = size - TZIF_HEADER - body;
    if (rest < 2 || rest - 1 >= sizeof(footer)) return true;
    memcpy(footer, data + TZIF_HEADER + body + 1, rest - 1);
    footer[rest - 1] = '\0';
    footer[strcspn(footer, "\n")] = '\0';
    if (!read_rule(footer, zone)) zone->has_rule = false;
    return true;
}

/* ------------------------------------------------------------------------------------------ */

/* Letters, digits, + - _ / and no part that begins with a dot or slash. */
static bool is_zone_name(struct sl_slice name)
{
    if (name.size == 0 || name.size >= ZONE_NAME_MAX) return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && (i == 0 || strchr("+-_/", c) == NULL)) return false;
    }
    return true;
}

static struct zone *zone_free(struct zone *zone)
{
    free(zone->times);
    free(zone->offsets);
    free(zone);
    return NULL;
}

static struct zone *zone_read(struct sl_slice name)
{
    static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo"};
    uint8_t *data = malloc(ZONE_FILE_MAX);
    struct zone *zone = calloc(1, sizeof(*zone));
    bool done = false;
    for (size_t i = 0; data != NULL && zone != NULL && !done && i < 2; i++) {
        char path[ZONE_NAME_MAX + 32];
        (void)snprintf(path, sizeof(path), "%s/%.*s", folders[i], SL_SLICE_FMT(name));
        FILE *file = fopen(path, "re");
        if (file == NULL) continue;
        size_t size = fread(data, 1, ZONE_FILE_MAX, file);
        (void)fclose(file);
        done = size < ZONE_FILE_MAX && read_tzif(data, size, zone);
    }
    free(data);
    if (zone == NULL) return NULL;
    if (!done) return zone_free(zone);
    memcpy(zone->name, name.data, name.size);
    return zone;
}

static const struct zone *zone_known(struct sl_slice name)
{
    struct zone *zone = atomic_load_explicit(&zones, memory_order_acquire);
    while (zone != NULL && !sl_slice_eq_str(name, zone->name)) zone = zone->next;
    return zone;
}

static const struct zone *zone_find(struct sl_slice name)
{
    const struct zone *known = zone_known(name);
    if (known != NULL || !is_zone_name(name)) return known;
    (void)pthread_mutex_lock(&zones_mutex);
    known = zone_known(name);
    if (known == NULL && zones_count < SL_CEL_ZONES_MAX) {
        struct zone *zone = zone_read(name);
        if (zone != NULL) {
            zone->next = atomic_load_explicit(&zones, memory_order_relaxed);
            atomic_store_explicit(&zones, zone, memory_order_release);
            zones_count++;
        }
        known = zone;
    }
    (void)pthread_mutex_unlock(&zones_mutex);
    return known;
}

/* "+01:30", "-02:30", "01:30". */
static bool fixed_offset(struct sl_slice name, int32_t *ret)
{
    int32_t sign = 1;
    if (name.size == 6 && (name.data[0] == '+' || name.data[0] == '-')) {
        sign = name.data[0] == '-' ? -1 : 1;
        name.data++;
        name.size--;
    }
    if (name.size != 5 || name.data[2] != ':') return false;
    int32_t parts[2] = {0, 0};
    for (int i = 0; i < 5; i++) {
        if (i == 2) continue;
        if (name.data[i] < '0' || name.data[i] > '9') return false;
        parts[i > 2] = parts[i > 2] * 10 + (name.data[i] - '0');
    }
    if (parts[0] > 23 || parts[1] > 59) return false;
    *ret = sign * (parts[0] * 3600 + parts[1] * 60);
    return true;
}

bool sl_cel_zone_offset(struct sl_slice name, int64_t seconds, int32_t *ret_offset)
{
    sl_assert(ret_offset != NULL);
    if (name.size == 0 || sl_slice_eq_str(name, "UTC") || sl_slice_eq_str(name, "Z")) {
        *ret_offset = 0;
        return true;
    }
    if (fixed_offset(name, ret_offset)) return true;
    const struct zone *zone = zone_find(name);
    if (zone == NULL) return false;
    uint32_t low = 0;
    uint32_t high = zone->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == zone->count && zone->has_rule) {
        *ret_offset = rule_offset(zone, seconds);
    } else {
        *ret_offset = low == 0 ? zone->first : zone->offsets[low - 1];
    }
    return true;
}
