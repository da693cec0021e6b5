/* SPDX-License-Identifier: MIT */
#include "core/base/diag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum { NEAREST_NAME_MAX = 64 };

int sl_diag_set(struct sl_diag *diag, const char *code, struct sl_pos pos, const char *fmt, ...)
{
    sl_assert(code != NULL);
    sl_assert(fmt != NULL);
    if (diag == NULL) return -EINVAL;
    memset(diag, 0, sizeof(*diag));
    diag->pos = pos;
    (void)snprintf(diag->code, sizeof(diag->code), "%s", code);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(diag->text, sizeof(diag->text), fmt, args);
    va_end(args);
    return -EINVAL;
}

void sl_diag_hint(struct sl_diag *diag, const char *fmt, ...)
{
    if (diag == NULL) return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(diag->hint, sizeof(diag->hint), fmt, args);
    va_end(args);
}

void sl_diag_file(struct sl_diag *diag, const char *file)
{
    if (diag == NULL) return;
    (void)snprintf(diag->file, sizeof(diag->file), "%s", file ? file : "");
}

struct sl_diag *sl_diags_push(struct sl_diags *diags, const struct sl_diag *diag)
{
    sl_assert(diags != NULL);
    sl_assert(diag != NULL);
    if (diag->level == SL_DIAG_ERROR) diags->errors_count++;
    if (diags->count == SL_DIAGS_MAX) {
        diags->dropped_count++;
        return NULL;
    }
    if (diags->count == diags->cap) {
        size_t cap = diags->cap ? diags->cap * 2 : 8;
        struct sl_diag *items = realloc(diags->items, cap * sizeof(*items));
        if (items == NULL) {
            diags->dropped_count++;
            return NULL;
        }
        diags->items = items;
        diags->cap = cap;
    }
    diags->items[diags->count] = *diag;
    return &diags->items[diags->count++];
}

struct sl_diag *sl_diags_add(struct sl_diags *diags, const char *file, const char *code,
                             struct sl_pos pos, const char *fmt, va_list args)
{
    sl_assert(diags != NULL);
    sl_assert(code != NULL);
    sl_assert(fmt != NULL);
    struct sl_diag diag;
    (void)sl_diag_set(&diag, code, pos, "%s", "");
    (void)vsnprintf(diag.text, sizeof(diag.text), fmt, args);
    sl_diag_file(&diag, file);
    return sl_diags_push(diags, &diag);
}

static bool is_before(struct sl_pos a, struct sl_pos b)
{
    return a.line < b.line || (a.line == b.line && a.column < b.column);
}

void sl_diags_sort(struct sl_diags *diags, size_t first)
{
    sl_assert(diags != NULL);
    for (size_t i = first + 1; i < diags->count; i++) {
        size_t to = i;
        while (to > first && is_before(diags->items[i].pos, diags->items[to - 1].pos)) to--;
        if (to == i) continue;
        struct sl_diag item = diags->items[i];
        memmove(&diags->items[to + 1], &diags->items[to], (i - to) * sizeof(item));
        diags->items[to] = item;
    }
}

void sl_diags_fini(struct sl_diags *diags)
{
    if (diags == NULL) return;
    free(diags->items);
    *diags = (struct sl_diags){0};
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment (Damerau 1964): what is inserted, removed, replaced, or swapped with its
 * neighbour counts one. Three rows; names beyond NEAREST_NAME_MAX are never near. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > NEAREST_NAME_MAX || b_size > NEAREST_NAME_MAX) return SIZE_MAX;
    size_t rows[3][NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = min3(row[j], rows[(i - 2) % 3][j - 2] + 1, SIZE_MAX);
        }
    }
    return rows[a_size % 3][b_size];
}

const char *sl_diag_nearest(const char *name, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 4 + 1; /* one slip in "tow", two in "lisener" */
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, names[i]);
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

size_t sl_diag_format(const struct sl_diag *diag, char *buf, size_t buf_size)
{
    sl_assert(buf_size > 0);
    char place[SL_DIAG_FILE_SIZE + 32] = "";
    if (diag->file[0] != '\0' && diag->pos.line > 0) {
        (void)snprintf(place, sizeof(place), "%s:%u:%u: ", diag->file, diag->pos.line,
                       diag->pos.column);
    } else if (diag->file[0] != '\0') {
        (void)snprintf(place, sizeof(place), "%s: ", diag->file);
    } else if (diag->pos.line > 0) {
        (void)snprintf(place, sizeof(place), "%u:%u: ", diag->pos.line, diag->pos.column);
    }
    int used = snprintf(buf, buf_size, "%s%s: %s\n%s%s%s", place,
                        diag->level == SL_DIAG_ERROR ? "error" : "warning", diag->text,
                        diag->hint[0] ? "  hint: " : "", diag->hint, diag->hint[0] ? "\n" : "");
    return (size_t)used < buf_size ? (size_t)used : buf_size - 1;
}
