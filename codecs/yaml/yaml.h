/* SPDX-License-Identifier: MIT */
/*
 * YAML to payload values and back, over libyaml (this folder is its only includer).
 *
 *     text ── events ── tree of nodes ──┬─ value with a position for each cell
 *             (libyaml)  aliases, merges └─ table of strings that were not written plainly
 *
 * Values follow the core schema of YAML 1.2, whatever libyaml (a YAML 1.1 parser) would say:
 *
 *   null       empty, ~, null, Null, NULL
 *   bool       true, True, TRUE, false, False, FALSE; `yes` and `on` are strings
 *   int        [-+]?[0-9]+, 0o17, 0x1F; exact to 64 bits, above INT64_MAX a Uint, beyond 64 bits
 *              a Float
 *   float      1.5, -.5, 1e3, .inf, -.Inf, .nan
 *   string     everything else, and everything quoted or in a block scalar
 *   !!binary   Binary, from base64
 *
 * Decisions where YAML leaves a choice:
 * - Map keys are strings; a key that looks like a number or null keeps the text it was written
 *   with (`0x10: a` has the key "0x10"). A list or a map as a key is an error.
 * - A key that stands twice in one map is an error with both positions.
 * - Merge keys (`<<: *base`, `<<: [*a, *b]`) are expanded, although the core schema dropped them:
 *   the map's own keys win, then earlier maps over later ones; merged keys follow the own keys.
 *   `"<<"` in quotes, or a plain `<<` with a value that is no map, is an ordinary key.
 * - Aliases are expanded by value, at most SL_YAML_ALIAS_NODES_MAX nodes a document; an alias
 *   inside the node that it names is an error. An expanded node keeps the position of its anchor.
 * - Tags !!str !!int !!float !!bool !!null !!binary !!map !!seq must fit their value; every other
 *   tag is ignored, or an error with SL_YAML_TAGS_STRICT.
 * - Positions count lines by LF, CR LF and CR, and columns in bytes, both from 1.
 *
 * Control plane: libyaml takes memory from the heap for every token.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;

enum {
    SL_YAML_TAGS_STRICT = 1, /* a tag outside the core schema is an error */
};

enum sl_yaml_style {
    SL_YAML_PLAIN,
    SL_YAML_SINGLE,
    SL_YAML_DOUBLE,
    SL_YAML_LITERAL,
    SL_YAML_FOLDED,
};

/*
 * How one string was written, so that a place inside the decoded string can be told as a place in
 * the file. Strings written plainly on one line have no entry: their text stands at their position.
 *
 * For SL_YAML_LITERAL, line L, column C of the string is line text.line + L - 1, column
 * indent + C of the file; so is line 1 of every other style (indent of those is 0, text.column
 * counts). sl_yaml_locate is exact for all of them.
 */
struct sl_yaml_text {
    struct sl_pos pos;  /* of the node: what sl_value_pos says of the String */
    struct sl_pos text; /* of the first byte of the content */
    uint32_t offset;    /* of the node in the source, bytes */
    uint32_t indent;    /* columns before the content of each line (SL_YAML_LITERAL), else 0 */
    uint32_t lines;     /* of the file that the node stands on, at least 1 */
    enum sl_yaml_style style;
};

/* One document of a stream. */
struct sl_yaml_doc {
    struct sl_value value; /* one count, owned by the sl_yaml; tracked positions */
    struct sl_pos pos;     /* of its root */
};

struct sl_yaml {
    struct sl_yaml_doc *docs; /* array of docs_count, owned */
    size_t docs_count;
    struct sl_yaml_text *texts; /* array of texts_count in order of position, owned */
    size_t texts_count;
};

/*
 * Parse all documents of `text`. A text of only comments has none.
 *
 * file       name for diagnostics, may be ""
 * mem        of the values, NULL: the heap
 * flags      SL_YAML_*
 * ret_yaml   to be ended by sl_yaml_fini; untouched on failure
 * diags      every mistake found; after a mistake of syntax nothing more is looked at
 * returns    0; -EINVAL with at least one error in diags; -ENOMEM
 * source     https://yaml.org/spec/1.2.2/#103-core-schema, https://yaml.org/type/merge.html
 */
int sl_yaml_parse(struct sl_slice text, const char *file, struct sl_mem *mem, uint32_t flags,
                  struct sl_yaml *ret_yaml, struct sl_diags *diags);

/* The same for a part of a file, whose first line has the number `line`. */
int sl_yaml_parse_part(struct sl_slice text, const char *file, uint32_t line, struct sl_mem *mem,
                       uint32_t flags, struct sl_yaml *ret_yaml, struct sl_diags *diags);

/* Free documents and tables. Zero-initialised and NULL are fine. */
void sl_yaml_fini(struct sl_yaml *yaml);

/*
 * Parse a text of exactly one document (none is null) for callers with one diagnostic.
 *
 * ret_value  one count for the caller (sl_value_unref)
 * returns    0; -EINVAL with reterr (may be NULL) the first mistake; -ENOMEM
 */
int sl_yaml_parse_one(struct sl_slice text, struct sl_mem *mem, uint32_t flags,
                      struct sl_value *ret_value, struct sl_diag *reterr);

/* The entry of the String that stands at `pos`, borrowed from `yaml`; NULL: plain, on one line. */
const struct sl_yaml_text *sl_yaml_text_find(const struct sl_yaml *yaml, struct sl_pos pos);

/*
 * Where a place inside a decoded string stands in the file: exact for every byte that is not
 * white space, the byte before it at least for white space.
 *
 * source   the whole text that was parsed
 * entry    of the string
 * decoded  the string
 * line     in the decoded string, from 1
 * column   in bytes, from 1; beyond the line's end is the line's end
 */
struct sl_pos sl_yaml_locate(struct sl_slice source, const struct sl_yaml_text *entry,
                             struct sl_slice decoded, uint32_t line, uint32_t column);

/*
 * Write `value` as block YAML that sl_yaml_parse reads back equal. The same value gives the same
 * bytes: two columns of indent, lists not indented under their key, strings plain where both
 * YAML 1.1 and 1.2 read them as strings, several lines as a literal block, else quoted.
 * What cannot come back as it was: Time and Duration become strings, an Error a map, a String that
 * is not UTF-8 a Binary, and a key that is not UTF-8 its base64 text.
 *
 * ret_text  heap, zero-terminated, freed by the caller with free()
 * returns   0, -ENOMEM, or -E2BIG beyond SL_PAYLOAD_DEPTH_MAX
 */
int sl_yaml_write(struct sl_value value, char **ret_text, size_t *ret_size);
