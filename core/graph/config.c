/* SPDX-License-Identifier: MIT */
/* Decoding a spec's own fields by the table of its kind. Control plane. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/graph/kind.h"

enum {
    FIELD_NAMES_MAX = 64,
    SHOWN_MAX = 64, /* bytes of a text that a message repeats */
    BOUND_TEXT_SIZE = 48,
};

#define UNITS_INTEGER_MAX INT64_C(1000000000000) /* milliseconds, or bytes, without a unit */

static const char *const common_names[] = {"id",  "kind",  "namespace", "name", "annotations",
                                           "env", "ports", "placement", NULL};

static const char *kind_text(struct sl_value value)
{
    static const char *const names[] = {"null",     "a boolean", "an integer", "an integer",
                                        "a number", "text",      "bytes",      "a list",
                                        "a map",    "an error",  "time",       "duration"};
    return names[sl_value_kind(value)];
}

/* Push an error at `pos`, with an optional hint. */
static int push_at(struct sl_compile *c, const char *code, struct sl_pos pos, const char *hint,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static int push_at(struct sl_compile *c, const char *code, struct sl_pos pos, const char *hint,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct sl_diag *diag = sl_diags_add(c->diags, c->file, code, pos, fmt, args);
    va_end(args);
    if (hint != NULL) sl_diag_hint(diag, "%s", hint);
    return -EINVAL;
}

int sl_compile_error(struct sl_compile *c, const char *code, struct sl_value at, const char *fmt,
                     ...)
{
    struct sl_pos pos = sl_value_is_none(at) ? sl_value_pos(c->spec) : sl_value_pos(at);
    va_list args;
    va_start(args, fmt);
    (void)sl_diags_add(c->diags, c->file, code, pos, fmt, args);
    va_end(args);
    return -EINVAL;
}

/* What was read, for a person: a short text as it is, else what kind of value it is. */
static void shown(struct sl_value value, char *text, size_t size)
{
    if (sl_value_is(value, SL_VALUE_STRING) && value.cell->len <= SHOWN_MAX) {
        (void)snprintf(text, size, "\"%.*s\"", SL_SLICE_FMT(sl_value_slice(value)));
    } else if (sl_value_is(value, SL_VALUE_INT)) {
        (void)snprintf(text, size, "%" PRId64, value.cell->i64);
    } else {
        (void)snprintf(text, size, "%s", kind_text(value));
    }
}

static int wrong_type(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                      const char *expected)
{
    char hint[SL_DIAG_HINT_SIZE];
    char text[SHOWN_MAX + 16];
    shown(value, text, sizeof(text));
    (void)snprintf(hint, sizeof(hint), "%s: %s", field->name, field->help ? field->help : expected);
    return push_at(c, "wrong_type", sl_value_pos(value), hint, "field \"%s\" must be %s, not %s",
                   field->name, expected, text);
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", SL_NS_PER_US},
    {"µs", SL_NS_PER_US},
    {"ms", SL_NS_PER_MS},
    {"s", SL_NS_PER_SEC},
    {"m", 60 * SL_NS_PER_SEC},
    {"h", 3600 * SL_NS_PER_SEC},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"k", 1024},
    {"K", 1024},
    {"KiB", 1024},
    {"kB", 1000},
    {"KB", 1000},
    {"M", 1024 * 1024},
    {"MiB", 1024 * 1024},
    {"MB", 1000000},
    {"G", 1024ULL << 20},
    {"GiB", 1024ULL << 20},
    {"GB", 1000000000},
    {NULL, 0},
};

static const struct unit *unit_at(const struct unit *units, const char *text, size_t size)
{
    sl_assert(units != NULL);
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == size && memcmp(units->name, text, size) == 0) return units;
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "1h30m", "1.5s", "64MiB": sums of decimal numbers with units. 0 or -EINVAL. */
static int units_parse(struct sl_slice text, const struct unit *units, uint64_t *ret_value)
{
    sl_assert(ret_value != NULL);
    const char *at = (const char *)text.data;
    const char *end = at + text.size;
    double sum = 0;
    if (at == end) return -EINVAL;
    while (at < end) {
        double number = 0;
        double scale = 1;
        bool digits = false;
        for (; at < end && is_digit(*at); at++, digits = true) number = number * 10 + (*at - '0');
        if (at < end && *at == '.') {
            for (at++; at < end && is_digit(*at); at++, digits = true) {
                scale /= 10;
                number += (*at - '0') * scale;
            }
        }
        const char *unit = at;
        while (at < end && !is_digit(*at) && *at != '.') at++;
        const struct unit *found = unit_at(units, unit, (size_t)(at - unit));
        if (!digits || found == NULL) return -EINVAL;
        sum += number * (double)found->factor;
    }
    if (!(sum >= 0) || sum > 9e18) return -EINVAL;
    *ret_value = (uint64_t)llround(sum);
    return 0;
}

static bool in_bounds(const struct sl_field *field, int64_t value)
{
    return (field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max);
}

/* An integer, or text that is one ("8000" from the environment). */
static int integer_of(struct sl_value value, int64_t *ret_value)
{
    sl_assert(ret_value != NULL);
    if (sl_value_is(value, SL_VALUE_INT)) {
        *ret_value = value.cell->i64;
        return 0;
    }
    if (sl_value_is(value, SL_VALUE_FLOAT) && value.cell->f64 == floor(value.cell->f64) &&
        fabs(value.cell->f64) < 9e15) {
        *ret_value = (int64_t)value.cell->f64;
        return 0;
    }
    if (!sl_value_is(value, SL_VALUE_STRING)) return -EINVAL;
    struct sl_slice text = sl_value_slice(value);
    if (text.size == 0 || text.size > 18) return -EINVAL;
    bool negative = text.data[0] == '-';
    int64_t number = 0;
    if (negative && text.size == 1) return -EINVAL;
    for (size_t i = negative; i < text.size; i++) {
        if (!is_digit((char)text.data[i])) return -EINVAL;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_value = negative ? -number : number;
    return 0;
}

static int decode_int(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                      void *at)
{
    int64_t number;
    if (integer_of(value, &number) < 0) return wrong_type(c, field, value, "an integer");
    if (!in_bounds(field, number)) {
        return push_at(c, "out_of_range", sl_value_pos(value), NULL,
                       "field \"%s\" is %" PRId64 ", expected %" PRId64 " to %" PRId64, field->name,
                       number, field->min, field->max);
    }
    memcpy(at, &number, sizeof(number));
    return 0;
}

/* A duration or size in the largest unit that holds it exactly: "24h", "256MiB". */
static void units_print(bool is_duration, uint64_t number, char *text, size_t size)
{
    static const char *const durations[] = {"h", "m", "s", "ms", "us", NULL};
    static const char *const sizes[] = {"GiB", "MiB", "KiB", NULL};
    const struct unit *units = is_duration ? duration_units : size_units;
    const char *const *names = is_duration ? durations : sizes;
    for (; *names != NULL && number > 0; names++) {
        uint64_t factor = unit_at(units, *names, strlen(*names))->factor;
        if (number % factor != 0) continue;
        (void)snprintf(text, size, "%" PRIu64 "%s", number / factor, *names);
        return;
    }
    (void)snprintf(text, size, "%" PRIu64 "%s", number, units->name);
}

/* Outside of what the field takes: say the range, in its unit. */
static int units_out_of_range(struct sl_compile *c, const struct sl_field *field,
                              struct sl_value value)
{
    bool is_duration = field->type == SL_FIELD_DURATION;
    const char *unit = is_duration ? " (milliseconds)" : " (bytes)";
    bool is_bounded = field->max > 0;
    uint64_t max = is_bounded ? (uint64_t)field->max
                              : (uint64_t)UNITS_INTEGER_MAX * (is_duration ? SL_NS_PER_MS : 1);
    char text[SHOWN_MAX + 16];
    char least[BOUND_TEXT_SIZE];
    char most[BOUND_TEXT_SIZE];
    shown(value, text, sizeof(text));
    units_print(is_duration, (uint64_t)field->min, least, sizeof(least));
    units_print(is_duration, max, most, sizeof(most));
    return push_at(c, "out_of_range", sl_value_pos(value), NULL,
                   "field \"%s\" is %s%s, expected %s to %s", field->name, text,
                   sl_value_is(value, SL_VALUE_STRING) ? "" : unit, least, most);
}

static int decode_units(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                        void *at)
{
    bool is_duration = field->type == SL_FIELD_DURATION;
    const char *expected =
        is_duration ? "a duration such as \"500ms\", \"2s\", \"1h30m\" or 250 (milliseconds)"
                    : "a size such as \"64KiB\", \"1MiB\" or 65536 (bytes)";
    uint64_t number;
    int64_t integer;
    if (integer_of(value, &integer) == 0) {
        if (integer < 0 || integer > UNITS_INTEGER_MAX) return units_out_of_range(c, field, value);
        number = (uint64_t)integer * (is_duration ? SL_NS_PER_MS : 1);
    } else if (!sl_value_is(value, SL_VALUE_STRING) ||
               units_parse(sl_value_slice(value), is_duration ? duration_units : size_units,
                           &number) < 0) {
        return wrong_type(c, field, value, expected);
    }
    if (!in_bounds(field, (int64_t)number)) return units_out_of_range(c, field, value);
    memcpy(at, &number, sizeof(number));
    return 0;
}

static int decode_enum(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                       void *at)
{
    sl_assert(field->names != NULL);
    if (!sl_value_is(value, SL_VALUE_STRING)) return wrong_type(c, field, value, "text");
    struct sl_slice text = sl_value_slice(value);
    size_t count = 0;
    for (; field->names[count] != NULL; count++) {
        if (sl_slice_eq_str(text, field->names[count])) {
            int64_t index = (int64_t)count;
            memcpy(at, &index, sizeof(index));
            return 0;
        }
    }
    char hint[SL_DIAG_HINT_SIZE] = "one of:";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(hint);
        (void)snprintf(hint + used, sizeof(hint) - used, " %s", field->names[i]);
    }
    return push_at(c, "unknown_value", sl_value_pos(value), hint, "field \"%s\" cannot be \"%.*s\"",
                   field->name, SL_SLICE_FMT(text));
}

static int decode_bool(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                       void *at)
{
    bool flag;
    if (sl_value_is(value, SL_VALUE_BOOL)) {
        flag = value.cell->word != 0;
    } else if (sl_value_is(value, SL_VALUE_STRING) &&
               (sl_slice_eq_str(sl_value_slice(value), "true") ||
                sl_slice_eq_str(sl_value_slice(value), "false"))) {
        flag = value.cell->len == 4;
    } else {
        return wrong_type(c, field, value, "true or false");
    }
    memcpy(at, &flag, sizeof(flag));
    return 0;
}

static int decode_float(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                        void *at)
{
    int64_t integer;
    double number;
    if (sl_value_is(value, SL_VALUE_FLOAT)) {
        number = value.cell->f64;
    } else if (integer_of(value, &integer) == 0) {
        number = (double)integer;
    } else {
        return wrong_type(c, field, value, "a number");
    }
    memcpy(at, &number, sizeof(number));
    return 0;
}

static int decode_field(struct sl_compile *c, const struct sl_field *field, struct sl_value value,
                        void *at)
{
    sl_assert(at != NULL);
    switch (field->type) {
    case SL_FIELD_STRING:
        if (!sl_value_is(value, SL_VALUE_STRING)) return wrong_type(c, field, value, "text");
        *(struct sl_slice *)at = sl_value_slice(value);
        return 0;
    case SL_FIELD_CODE:
        if (!sl_value_is(value, SL_VALUE_STRING)) return wrong_type(c, field, value, "text");
        *(struct sl_value *)at = value;
        return 0;
    case SL_FIELD_INT: return decode_int(c, field, value, at);
    case SL_FIELD_DURATION:
    case SL_FIELD_SIZE: return decode_units(c, field, value, at);
    case SL_FIELD_ENUM: return decode_enum(c, field, value, at);
    case SL_FIELD_BOOL: return decode_bool(c, field, value, at);
    case SL_FIELD_FLOAT: return decode_float(c, field, value, at);
    case SL_FIELD_VALUE: *(struct sl_value *)at = value; return 0;
    }
    sl_unreachable();
}

static const struct sl_field *field_of(const struct sl_field *fields, struct sl_slice name)
{
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (sl_slice_eq_str(name, fields->name)) return fields;
    }
    return NULL;
}

static bool is_common(struct sl_slice name)
{
    for (size_t i = 0; common_names[i] != NULL; i++) {
        if (sl_slice_eq_str(name, common_names[i])) return true;
    }
    return false;
}

/* False for numbers that may be left out: without them the other fields mean the same. */
static bool matters(const struct sl_field *field)
{
    if (field->flags & SL_FIELD_REQUIRED) return true;
    return field->type != SL_FIELD_INT && field->type != SL_FIELD_FLOAT &&
           field->type != SL_FIELD_DURATION && field->type != SL_FIELD_SIZE;
}

/* All names that may stand in the map: array of FIELD_NAMES_MAX. Returns their number. */
static size_t names_collect(const struct sl_field *fields, bool common, const char **names)
{
    size_t count = 0;
    for (; fields != NULL && fields->name != NULL && count < FIELD_NAMES_MAX / 2; fields++) {
        names[count++] = fields->name;
    }
    for (size_t i = 0; common && common_names[i] != NULL; i++) names[count++] = common_names[i];
    return count;
}

static const char *nearest_of(struct sl_slice name, const char *const *names, size_t count)
{
    char text[SL_SPEC_NAME_MAX + 1];
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(name));
    return sl_diag_nearest(text, names, count);
}

static int unknown_field(struct sl_compile *c, const struct sl_field *fields, struct sl_slice name,
                         struct sl_pos pos, bool common, const char *where)
{
    const char *names[FIELD_NAMES_MAX];
    size_t count = names_collect(fields, common, names);
    const char *nearest = nearest_of(name, names, count);
    char hint[SL_DIAG_HINT_SIZE] = "fields:";
    if (nearest != NULL) {
        const struct sl_field *meant = field_of(fields, sl_slice_from_str(nearest));
        if (meant != NULL && matters(meant)) c->partial = true;
        (void)snprintf(hint, sizeof(hint), "did you mean \"%s\"?", nearest);
    } else {
        for (size_t i = 0; i < count; i++) {
            size_t used = strlen(hint);
            (void)snprintf(hint + used, sizeof(hint) - used, " %s", names[i]);
        }
    }
    return push_at(c, "unknown_field", pos, hint, "unknown field \"%.*s\" in %s",
                   SL_SLICE_FMT(name), where);
}

/* True if a field that nobody knows was probably meant to be `wanted`: that was told. */
static bool is_misspelt(const struct sl_field *fields, struct sl_value map, bool common,
                        const char *wanted)
{
    const char *names[FIELD_NAMES_MAX];
    size_t count = names_collect(fields, common, names);
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice name = sl_value_key_at(map, i);
        if (field_of(fields, name) != NULL || (common && is_common(name))) continue;
        const char *nearest = nearest_of(name, names, count);
        if (nearest != NULL && strcmp(nearest, wanted) == 0) return true;
    }
    return false;
}

/* `{{` may be a placeholder that nobody can bind here. */
static bool has_placeholder(struct sl_value value)
{
    if (!sl_value_is(value, SL_VALUE_STRING)) return false;
    struct sl_slice text = sl_value_slice(value);
    return text.size > 0 && memmem(text.data, text.size, "{{", 2) != NULL;
}

int sl_config_decode(struct sl_compile *c, const struct sl_field *fields, struct sl_value map,
                     bool common, const char *where, void *config)
{
    sl_assert(c != NULL);
    sl_assert(where != NULL);
    if (!sl_value_is(map, SL_VALUE_MAP)) {
        return push_at(c, "wrong_type", sl_value_pos(map), NULL, "%s must be a map, not %s", where,
                       kind_text(map));
    }
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice name = sl_value_key_at(map, i);
        struct sl_value value = sl_value_map_at(map, i);
        const struct sl_field *field = field_of(fields, name);
        if (field == NULL) {
            if (common && is_common(name)) continue;
            result = unknown_field(c, fields, name, sl_value_key_pos(map, i), common, where);
            continue;
        }
        /* An explicit null is the same as leaving the field out, except for plain values. */
        if (sl_value_is(value, SL_VALUE_NULL) && field->type != SL_FIELD_VALUE) continue;
        if (c->lenient && has_placeholder(value)) {
            if (matters(field)) c->partial = true;
            continue;
        }
        int r = decode_field(c, field, value, (uint8_t *)config + field->offset);
        if (r < 0 && matters(field)) c->partial = true;
        if (r < 0) result = r;
    }
    for (const struct sl_field *f = fields; f != NULL && f->name != NULL; f++) {
        if (!(f->flags & SL_FIELD_REQUIRED)) continue;
        struct sl_value value = sl_value_get_str(map, f->name);
        if (!sl_value_is_none(value) &&
            (f->type == SL_FIELD_VALUE || !sl_value_is(value, SL_VALUE_NULL))) {
            continue;
        }
        c->partial = true;
        if (is_misspelt(fields, map, common, f->name)) continue;
        result = push_at(c, "missing_field", sl_value_pos(map), f->help,
                         "%s needs the field \"%s\"", where, f->name);
    }
    return result;
}
