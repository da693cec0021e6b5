/* SPDX-License-Identifier: MIT */
/*
 * Output for people and for programs: numbers with units, tables, JSON; and reading numbers with
 * units back. Control plane only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SL_FMT_SIZE = 48, SL_FMT_COLUMNS_MAX = 16 };

/* A number as text: print with "%s" and `.text`. */
struct sl_fmt {
    char text[SL_FMT_SIZE];
};

/* A duration as people read it. */
struct sl_fmt sl_fmt_ns(double ns);         /* "412 µs", "1.25 ms" */
struct sl_fmt sl_fmt_minutes(double ns);    /* "12 min 05 s", "48 s" */
struct sl_fmt sl_fmt_count(uint64_t count); /* "1,463,221" */
struct sl_fmt sl_fmt_bytes(double bytes);   /* "12.4 MB" */
struct sl_fmt sl_fmt_percent(double share); /* 0.0123 → "1.23 %" */

/*
 * Read numbers with units. 0, or -EINVAL.
 * Durations: ns us µs ms s m h; without a unit: seconds ("1.5" is 1.5 s).
 * Counts: k M G are powers of a thousand.
 */
int sl_parse_duration_ns(const char *text, uint64_t *ret_ns);
int sl_parse_number(const char *text, double *ret_number);

/* Display width in columns of UTF-8 text (every code point is one column). */
size_t sl_fmt_width(const char *text);

/* ---- tables ---- */

/*
 * A table of text cells, columns as wide as their widest cell. The first column is aligned left,
 * the others right. Zero-initialise with the title row by sl_table_row.
 */
struct sl_table {
    char **cells; /* rows × columns; owned */
    size_t rows_count;
    size_t rows_cap;
    uint32_t columns;
};

/* Add a row of `columns` cells (the first call sets it); NULL is an empty cell. Copies. */
void sl_table_row(struct sl_table *table, const char *const *cells, uint32_t columns);

/* Write it, the first row as title, each line after `indent` blanks; then free it. */
void sl_table_print(struct sl_table *table, FILE *out, int indent);

/* ---- JSON ---- */

/* A writer of indented JSON. Keys and strings are escaped; numbers that are not finite: null. */
struct sl_json {
    FILE *out;
    int depth;
    bool has_items; /* in the current object or array */
};

/* Open an object or array, named `key` in an object (else NULL). */
void sl_json_begin(struct sl_json *json, const char *key, char bracket); /* '{' or '[' */
void sl_json_end(struct sl_json *json, char bracket);                    /* '}' or ']' */
void sl_json_string(struct sl_json *json, const char *key, const char *value);
void sl_json_uint(struct sl_json *json, const char *key, uint64_t value);
void sl_json_number(struct sl_json *json, const char *key, double value, int decimals);
void sl_json_bool(struct sl_json *json, const char *key, bool value);
