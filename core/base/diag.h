/* SPDX-License-Identifier: MIT */
/*
 * Diagnostics: what a person reads when something they wrote is wrong.
 *
 *     pipeline.yaml:12:9: error: unknown field "prot" in kind "listener"
 *       hint: did you mean "port"?
 *
 * One `struct sl_diag` for a call that stops at the first fault; `struct sl_diags` collects all
 * of them (`sluice check`). Control plane only; nothing here is on the message path.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SL_DIAG_CODE_SIZE = 32,
    SL_DIAG_FILE_SIZE = 256,
    SL_DIAG_TEXT_SIZE = 512,
    SL_DIAG_HINT_SIZE = 256,
};

enum sl_diag_level { SL_DIAG_ERROR, SL_DIAG_WARNING };

/* A place in a source text. Line and column count from 1; 0 means unknown. */
struct sl_pos {
    uint32_t line;
    uint32_t column; /* bytes, from 1 */
};

struct sl_diag {
    enum sl_diag_level level;
    struct sl_pos pos;
    char code[SL_DIAG_CODE_SIZE]; /* stable word for programs: "unknown_field" */
    char file[SL_DIAG_FILE_SIZE]; /* empty: not from a file */
    char text[SL_DIAG_TEXT_SIZE]; /* one sentence, no full stop */
    char hint[SL_DIAG_HINT_SIZE]; /* empty, or what to do */
};

/* "1 file", "2 files": what stands behind the word. */
static inline const char *sl_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* A growing list of diagnostics. Zero-initialised is empty and valid. */
struct sl_diags {
    struct sl_diag *items; /* array of `count`, owned */
    size_t count;
    size_t cap;
    size_t errors_count;
    size_t dropped_count; /* beyond SL_DIAGS_MAX */
};

/*
 * Fill `diag` (which may be NULL: then nothing happens). Text is cut to its field, never overrun.
 *
 * code     stable word
 * returns  -EINVAL, so that a caller can `return sl_diag_set(…)`
 */
int sl_diag_set(struct sl_diag *diag, const char *code, struct sl_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Add a hint to a filled diagnostic; `diag` may be NULL. */
void sl_diag_hint(struct sl_diag *diag, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set the file name of a diagnostic; `diag` may be NULL. */
void sl_diag_file(struct sl_diag *diag, const char *file);

/*
 * Append a copy of `diag`. Beyond SL_DIAGS_MAX it only counts.
 * returns  the stored copy, to add a hint to (borrowed until the next push), or NULL if dropped
 */
struct sl_diag *sl_diags_push(struct sl_diags *diags, const struct sl_diag *diag);

/* Set and append in one: for a module's own function with a format. Returns as sl_diags_push. */
struct sl_diag *sl_diags_add(struct sl_diags *diags, const char *file, const char *code,
                             struct sl_pos pos, const char *fmt, va_list args)
    __attribute__((format(printf, 5, 0)));

/* Order the items from index `first` on by line and column; equal ones keep their order. */
void sl_diags_sort(struct sl_diags *diags, size_t first);

/* Free the items; the struct is empty and valid afterwards. */
void sl_diags_fini(struct sl_diags *diags);

/*
 * The name nearest to `name` by edit distance, if near enough to be a slip of the pen.
 *
 * names    array of `count` strings
 * returns  borrowed from `names`, or NULL
 */
const char *sl_diag_nearest(const char *name, const char *const *names, size_t count);

/*
 * Write "file:line:col: error: text\n  hint: …\n" into `buf`, always terminated.
 * returns  bytes written without the zero byte
 */
size_t sl_diag_format(const struct sl_diag *diag, char *buf, size_t buf_size);
