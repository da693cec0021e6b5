/* SPDX-License-Identifier: MIT */
/*
 * From files to specifications.
 *
 *   file, folder, "-"  ──►  text  ──►  documents  ──►  specs, each with its place and own text
 *
 * - YAML (several documents) or JSON: by the extension (.yaml .yml .json), else by the first
 *   character. A document is one spec, a list of specs, or nothing.
 * - A folder is read recursively, names in byte order; of its files only those with one of the
 *   extensions, and nothing that begins with a dot. Links are followed, but not in circles.
 * - All mistakes of all files are told, not only the first.
 * - A name that stands twice in one namespace is a mistake; both places are told.
 *
 * Half-written files. A writer that is slower than we are must not look like a change that deletes
 * nodes. So a file that changes while it is read (size, time or inode differ afterwards) is
 * "file_changing", and an empty file is a mistake ("[]" or a comment says that there are no
 * specs): editors empty a file before they fill it. Who watches files tries again later.
 *
 * Control plane.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/slice.h"
#include "core/spec/spec.h"

enum sl_specs_format { SL_SPECS_AUTO, SL_SPECS_YAML, SL_SPECS_JSON };

struct sl_specs_item {
    struct sl_spec *spec; /* owned */
    /*
     * "ping.yaml#3": file (as given, without the folders before it; below a folder that was given, the
     * path from there), and its number there from 1. For deterministic ids of unnamed specs.
     */
    char *origin; /* owned */
    /*
     * The author's text of this spec alone, comments included, so indented that it reads as the same
     * value with the same columns; its first line is line `line` of the file. size 0: the spec
     * cannot stand alone (it uses an anchor from elsewhere), or begins far right in a long line.
     */
    char *text; /* owned */
    size_t text_size;
    uint32_t line;
};

/* Zero-initialised is empty and valid. */
struct sl_specs {
    /*
     * Set before reading: specs with mistakes are appended, too (spec->broken), for sluice check. Then
     * `errors_count` are the errors of those whose names are known; more errors than that: something
     * was written of which not even the name is known.
     */
    bool keep_broken;
    size_t errors_count;
    struct sl_specs_item *items; /* array of count, in reading order */
    size_t count;
    size_t cap;
    uint32_t files_count; /* read */
};

/*
 * Read files, folders and "-" (standard input), and append their specs.
 *
 * paths    array of `count`
 * specs    gets what could be read, also if something else has mistakes
 * diags    every mistake
 * returns  0; -EINVAL with errors in diags; -ENOMEM
 */
int sl_specs_read_paths(const char *const *paths, size_t count, struct sl_specs *specs,
                        struct sl_diags *diags);

/* Where a text comes from. */
struct sl_specs_place {
    const char *file; /* for diagnostics */
    const char *name; /* for origins; NULL: the file without its folders */
    uint32_t line;    /* number of the text's first line in the file; 0 is 1 */
    enum sl_specs_format format;
};

/* Read the specs of a text; otherwise as sl_specs_read_paths. */
int sl_specs_read_text(struct sl_slice text, const struct sl_specs_place *place,
                       struct sl_specs *specs, struct sl_diags *diags);

/* Report names that stand twice in one namespace (absent is `name_space`). 0, -EINVAL or -ENOMEM. */
int sl_specs_check_names(const struct sl_specs *specs, const char *name_space,
                         struct sl_diags *diags);

/* Move the spec out of an item; the item forgets it. */
struct sl_spec *sl_specs_take(struct sl_specs *specs, size_t index);

/* Free everything; empty and valid afterwards. NULL is fine. */
void sl_specs_fini(struct sl_specs *specs);
