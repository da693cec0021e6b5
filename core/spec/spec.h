/* SPDX-License-Identifier: MIT */
/*
 * A parsed specification: one node as its author wrote it, with the place of every part.
 *
 *   value     the whole Map, positions tracked          { kind: listener, name: web, port: 80, … }
 *   decoded   id kind namespace name annotations env ports: checked, borrowed from `value`
 *   the rest  the kind's own fields: still in `value`, decoded by the kind's table
 *   children  the specs in the field `specs` (blocks), decoded the same way
 *   texts     how its strings were written, so that line 3 of a script is a line of the file
 *
 * Accepted besides the plain form, because people have such files:
 * - `out: {name: a, port: in}` for a list of one edge
 * - `env: {K: [{data: x}]}`, a list of one entry, and the key `value` for `data`
 *
 * All mistakes of a spec are told at once: what was expected, where, and the nearest name.
 *
 * Control plane; nothing here is counted between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

/* ------------------------------------------------------------------------------------------ */
/* Ports                                                                                        */

enum sl_port_kind { SL_PORT_KIND_IN, SL_PORT_KIND_OUT, SL_PORT_KIND_ERROR, SL_PORT_KIND_IO };

/*
 * Parse the name of a port: `in`, `in[3]`, `out`, `out[3]`, `error`, `io`. `in` is `in[0]`.
 *
 * returns  0; -EINVAL for another form; -ERANGE for a number from SL_SPEC_PORTS_MAX on
 */
int sl_spec_port_parse(struct sl_slice name, enum sl_port_kind *ret_kind, uint32_t *ret_index);

/* One edge: where the packets of a port go. */
struct sl_spec_edge {
    struct sl_slice id;   /* size 0: by name */
    struct sl_slice name; /* size 0: by id; if both are there, the id counts */
    struct sl_slice port; /* an input of the other node */
    enum sl_port_kind port_kind;
    uint32_t port_index;
    struct sl_pos pos;      /* of the edge */
    struct sl_pos node_pos; /* of the id or name that counts */
    struct sl_pos port_pos;
};

/* One output port with its edges. */
struct sl_spec_port {
    struct sl_slice name; /* as written */
    enum sl_port_kind kind;
    uint32_t index;
    struct sl_pos pos;
    const struct sl_spec_edge *edges; /* array of edges_count, in the author's order */
    uint32_t edges_count;
};

/* ------------------------------------------------------------------------------------------ */
/* Environment                                                                                  */

/* One entry of `env`. With an id or a name it binds a secret, else the environment. */
struct sl_spec_env {
    struct sl_slice key;
    struct sl_slice id;
    struct sl_slice name;
    struct sl_value data; /* cell == NULL: the whole secret */
    struct sl_pos pos;    /* of the key */
};

/* ------------------------------------------------------------------------------------------ */
/* Texts                                                                                        */

/*
 * Where the content of a string stands in the file: line L, column C of the string is line
 * text.line + L - 1 and column indent + C; on the first line column text.column + C - 1.
 * Exact for literal blocks and for strings on one line without escapes; for all others sl_spec_locate
 * is, while the first line of this rule is near.
 */
struct sl_spec_text {
    struct sl_pos pos; /* of the string, as sl_value_pos tells it */
    struct sl_pos text;
    uint32_t indent; /* or SL_SPEC_ONE_LINE: all its lines stand on that line of the file */
    uint32_t style;  /* for the table's `locate` */
};

#define SL_SPEC_ONE_LINE UINT32_MAX

/* The exact place of line and column of `string`, which stands at `text`. */
struct sl_spec_texts;
typedef struct sl_pos sl_spec_locate_fn(const struct sl_spec_texts *texts,
                                        const struct sl_spec_text *text, struct sl_slice string,
                                        uint32_t line, uint32_t column);

/* The texts of one file, shared by its specs; a plain counter, control thread. */
struct sl_spec_texts {
    uint32_t refs;
    uint32_t line;             /* number of the first line of `source` */
    sl_spec_locate_fn *locate; /* NULL: only the rule above */
    char *source;              /* what was read, for `locate`; heap, owned, may be NULL */
    size_t source_size;
    size_t count;
    struct sl_spec_text items[]; /* array of count, in order of position */
};

/* A table of `count` zeroed entries with one reference; NULL for no memory. */
struct sl_spec_texts *sl_spec_texts_new(size_t count);
struct sl_spec_texts *sl_spec_texts_ref(struct sl_spec_texts *texts);
/* NULL is fine; returns NULL. */
struct sl_spec_texts *sl_spec_texts_unref(struct sl_spec_texts *texts);

/* ------------------------------------------------------------------------------------------ */

struct sl_spec {
    bool broken;      /* it has mistakes: only to look for more, never to be run */
    const char *file; /* owned; "" if not from a file */
    struct sl_pos pos;
    struct sl_value value; /* one count */

    struct sl_slice id;   /* size 0: absent */
    struct sl_slice kind; /* never empty */
    struct sl_slice name_space;
    struct sl_slice name;
    struct sl_value annotations; /* Map of strings; cell == NULL: absent */

    struct sl_spec_env *env; /* array of env_count, owned */
    uint32_t env_count;
    struct sl_spec_port *ports; /* array of ports_count, owned */
    uint32_t ports_count;
    struct sl_spec_edge *edges; /* behind `ports`: array of edges_count, owned */
    uint32_t edges_count;

    struct sl_spec **children; /* array of children_count, owned */
    uint32_t children_count;

    struct sl_spec_texts *texts; /* one reference, or NULL */
};

/*
 * Decode a spec and, with the field `specs`, its children down to SL_SPEC_BLOCK_DEPTH_MAX.
 *
 * value     any value; what is no map is a mistake. The spec takes a count of its own
 * file      for diagnostics, may be ""
 * texts     of the file (a reference is taken), or NULL
 * ret_spec  owned by the caller (sl_spec_free); untouched on failure
 * diags     gets every mistake
 * returns   0; -EINVAL with at least one error in diags; -ENOMEM
 */
int sl_spec_decode(struct sl_value value, const char *file, struct sl_spec_texts *texts,
                   struct sl_spec **ret_spec, struct sl_diags *diags);

/*
 * The same, but a spec with mistakes is given, too, as far as it could be decoded and marked as broken:
 * so that its other mistakes, and those of specs that lead to it, can be told at once. What has a
 * mistake is absent in it: a size of 0, an edge to SL_PORT_KIND_IO.
 *
 * ret_spec  with -EINVAL: NULL, if the value was no map
 */
int sl_spec_decode_all(struct sl_value value, const char *file, struct sl_spec_texts *texts,
                       struct sl_spec **ret_spec, struct sl_diags *diags);

/* Free a spec with its children. NULL is fine; returns NULL. */
struct sl_spec *sl_spec_free(struct sl_spec *spec);

/* True for id, kind, namespace, name, annotations, env and ports. */
bool sl_spec_is_common(struct sl_slice field);

/*
 * Where the content of the string `value` stands; for what is not in `texts`, its own position.
 * The indent is 0 for strings on one line.
 */
struct sl_spec_text sl_spec_text_get(const struct sl_spec *spec, struct sl_value value);

/* The place in the file of line and column (from 1) of the string `value`. */
struct sl_pos sl_spec_locate(const struct sl_spec *spec, struct sl_value value, uint32_t line,
                             uint32_t column);

/*
 * Push an error with the spec's file at `pos`.
 * returns  the stored diagnostic, to add a hint to, or NULL
 */
struct sl_diag *sl_spec_error(const char *file, struct sl_diags *diags, const char *code,
                              struct sl_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* What a value is, for a person: "a list", "an integer", "null". */
const char *sl_spec_kind_text(struct sl_value value);

/* Add "did you mean …" if a name is near: array of `count` names. */
void sl_spec_hint_nearest(struct sl_diag *diag, struct sl_slice name, const char *const *names,
                          size_t count);
