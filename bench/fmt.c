/* SPDX-License-Identifier: MIT */
/* Numbers, tables and JSON; see fmt.h. */
#include "bench/fmt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

/* Three significant digits and a unit. */
static struct sl_fmt with_unit(double value, const char *unit)
{
    struct sl_fmt fmt;
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    if (value == 0) decimals = 0;
    (void)snprintf(fmt.text, sizeof(fmt.text), "%.*f %s", decimals, value, unit);
    return fmt;
}

struct sl_fmt sl_fmt_ns(double ns)
{
    if (ns < 999.5) return with_unit(ns, "ns");
    if (ns < 999.5e3) return with_unit(ns / 1e3, "µs");
    if (ns < 999.5e6) return with_unit(ns / 1e6, "ms");
    return with_unit(ns / 1e9, "s");
}

struct sl_fmt sl_fmt_minutes(double ns)
{
    struct sl_fmt fmt;
    uint64_t seconds = (uint64_t)(ns / 1e9 + 0.5);
    if (seconds < 60) {
        (void)snprintf(fmt.text, sizeof(fmt.text), "%u s", (unsigned)seconds);
    } else {
        (void)snprintf(fmt.text, sizeof(fmt.text), "%llu min %02u s",
                       (unsigned long long)(seconds / 60), (unsigned)(seconds % 60));
    }
    return fmt;
}

struct sl_fmt sl_fmt_bytes(double bytes)
{
    if (bytes < 999.5) return with_unit(bytes, "B");
    if (bytes < 999.5e3) return with_unit(bytes / 1e3, "kB");
    if (bytes < 999.5e6) return with_unit(bytes / 1e6, "MB");
    return with_unit(bytes / 1e9, "GB");
}

struct sl_fmt sl_fmt_count(uint64_t count)
{
    struct sl_fmt fmt;
    char digits[SL_FMT_SIZE];
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    int at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0) fmt.text[at++] = ',';
        fmt.text[at++] = digits[i];
    }
    sl_assert(at < SL_FMT_SIZE);
    fmt.text[at] = '\0';
    return fmt;
}

struct sl_fmt sl_fmt_percent(double share)
{
    return with_unit(share * 100, "%");
}

int sl_parse_duration_ns(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        double ns;
    } UNITS[] = {{"", 1e9},   {"s", 1e9}, {"ms", 1e6}, {"us", 1e3},
                 {"µs", 1e3}, {"ns", 1},  {"m", 60e9}, {"h", 3600e9}};
    char *stop;
    double value = strtod(text, &stop);
    if (stop == text || !isfinite(value) || value < 0) return -EINVAL;
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        if (strcmp(stop, UNITS[i].name) != 0) continue;
        double ns = value * UNITS[i].ns;
        if (ns > 1e18) return -EINVAL;
        *ret_ns = (uint64_t)(ns + 0.5);
        return 0;
    }
    return -EINVAL;
}

int sl_parse_number(const char *text, double *ret_number)
{
    char *stop;
    double value = strtod(text, &stop);
    if (stop == text || !isfinite(value)) return -EINVAL;
    double factor = *stop == 'k' || *stop == 'K' ? 1e3
                    : *stop == 'M'               ? 1e6
                    : *stop == 'G'               ? 1e9
                                                 : 1;
    if (factor > 1) stop++;
    if (*stop != '\0') return -EINVAL;
    *ret_number = value * factor;
    return 0;
}

size_t sl_fmt_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void sl_table_row(struct sl_table *table, const char *const *cells, uint32_t columns)
{
    if (table->columns == 0) table->columns = columns;
    sl_assert(columns == table->columns);
    sl_assert(columns <= SL_FMT_COLUMNS_MAX);
    if (table->rows_count == table->rows_cap) {
        table->rows_cap = table->rows_cap == 0 ? 16 : table->rows_cap * 2;
        table->cells = realloc(table->cells, table->rows_cap * columns * sizeof(char *));
        sl_assert(table->cells != NULL);
    }
    for (uint32_t i = 0; i < columns; i++) {
        char *copy = strdup(cells[i] != NULL ? cells[i] : "");
        sl_assert(copy != NULL);
        table->cells[table->rows_count * columns + i] = copy;
    }
    table->rows_count++;
}

void sl_table_print(struct sl_table *table, FILE *out, int indent)
{
    size_t widths[SL_FMT_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->rows_count * table->columns; i++) {
        size_t width = sl_fmt_width(table->cells[i]);
        size_t *max = &widths[i % table->columns];
        if (width > *max) *max = width;
    }
    for (size_t i = 0; i < table->rows_count * table->columns; i++) {
        uint32_t column = (uint32_t)(i % table->columns);
        int pad = (int)(widths[column] - sl_fmt_width(table->cells[i]));
        bool is_last = column + 1 == table->columns;
        if (column == 0) {
            (void)fprintf(out, "%*s%s%*s", indent, "", table->cells[i], is_last ? 0 : pad, "");
        } else {
            (void)fprintf(out, "  %*s%s", pad, "", table->cells[i]);
        }
        if (is_last) (void)fputc('\n', out);
        free(table->cells[i]);
    }
    free(table->cells);
    memset(table, 0, sizeof(*table));
}

static void json_escape(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c < 0x20) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

static void json_item(struct sl_json *json, const char *key)
{
    if (json->has_items) (void)fputc(',', json->out);
    if (json->depth > 0) (void)fprintf(json->out, "\n%*s", json->depth * 2, "");
    json->has_items = true;
    if (key == NULL) return;
    json_escape(json->out, key);
    (void)fputs(": ", json->out);
}

void sl_json_begin(struct sl_json *json, const char *key, char bracket)
{
    json_item(json, key);
    (void)fputc(bracket, json->out);
    json->depth++;
    json->has_items = false;
}

void sl_json_end(struct sl_json *json, char bracket)
{
    sl_assert(json->depth > 0);
    json->depth--;
    if (json->has_items) (void)fprintf(json->out, "\n%*s", json->depth * 2, "");
    (void)fputc(bracket, json->out);
    json->has_items = true;
    if (json->depth == 0) (void)fputc('\n', json->out);
}

void sl_json_string(struct sl_json *json, const char *key, const char *value)
{
    json_item(json, key);
    json_escape(json->out, value);
}

void sl_json_uint(struct sl_json *json, const char *key, uint64_t value)
{
    json_item(json, key);
    (void)fprintf(json->out, "%llu", (unsigned long long)value);
}

void sl_json_number(struct sl_json *json, const char *key, double value, int decimals)
{
    json_item(json, key);
    if (isfinite(value)) {
        (void)fprintf(json->out, "%.*f", decimals, value);
    } else {
        (void)fputs("null", json->out);
    }
}

void sl_json_bool(struct sl_json *json, const char *key, bool value)
{
    json_item(json, key);
    (void)fputs(value ? "true" : "false", json->out);
}
