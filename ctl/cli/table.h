/* SPDX-License-Identifier: MIT */
/* A table for people: columns as wide as their widest cell, two spaces between. */
#pragma once

#include <stddef.h>
#include <stdio.h>

enum { CLI_TABLE_COLUMNS_MAX = 8 };

struct cli_table {
    size_t columns;
    char **cells; /* array of rows * columns, owned; the first row is the heading */
    size_t rows;
};

/* Start with a heading: array of `columns`. */
void cli_table_init(struct cli_table *table, size_t columns, const char *const *heading);

/* Add a row: array of table->columns; NULL is an empty cell. Control characters become '?'. */
void cli_table_add(struct cli_table *table, const char *const *cells);

void cli_table_print(const struct cli_table *table, FILE *out);
void cli_table_fini(struct cli_table *table);
