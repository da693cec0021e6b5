/* SPDX-License-Identifier: MIT */
#include "ctl/cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/cli/width.h"

void cli_table_init(struct cli_table *table, size_t columns, const char *const *heading)
{
    sl_assert(columns >= 1);
    sl_assert(columns <= CLI_TABLE_COLUMNS_MAX);
    *table = (struct cli_table){.columns = columns};
    cli_table_add(table, heading);
}

/* Names come from outside: nothing in them may steer a terminal. */
static char *cell_dup(const char *text)
{
    struct sl_slice whole = sl_slice_from_str(text != NULL ? text : "");
    char *copy = malloc(whole.size + 1);
    sl_assert(copy != NULL);
    cli_text_clean(whole, copy, whole.size + 1);
    return copy;
}

void cli_table_add(struct cli_table *table, const char *const *cells)
{
    size_t count = (table->rows + 1) * table->columns;
    char **all = realloc(table->cells, count * sizeof(*all));
    sl_assert(all != NULL);
    table->cells = all;
    for (size_t i = 0; i < table->columns; i++) {
        all[table->rows * table->columns + i] = cell_dup(cells[i]);
    }
    table->rows++;
}

void cli_table_print(const struct cli_table *table, FILE *out)
{
    size_t widths[CLI_TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t width = cli_text_width(table->cells[i]);
        if (width > widths[i % table->columns]) widths[i % table->columns] = width;
    }
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            const char *text = table->cells[row * table->columns + i];
            (void)fputs(text, out);
            if (i + 1 == table->columns) break;
            (void)fprintf(out, "%*s", (int)(widths[i] - cli_text_width(text)) + 2, "");
        }
        (void)fputc('\n', out);
    }
}

void cli_table_fini(struct cli_table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct cli_table){0};
}
