/* SPDX-License-Identifier: MIT */
/* Source maps, revision 3: from a place in compiled text back to the text it came from. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

struct js_mapping {
    uint32_t line;   /* of the compiled text, from 0 */
    uint32_t column; /* UTF-16 units, from 0 */
    uint32_t source_line;
    uint32_t source_column;
};

struct js_sourcemap {
    struct js_mapping *items; /* array of `count`, in order of line and column, owned */
    size_t count;
    bool placed; /* source_line and source_column are of the author's file, bytes from 1 */
};

/*
 * Decode the "mappings" of a source map with one source.
 *
 * json     the map as JSON text
 * returns  0, -EBADMSG, -ENOMEM; on failure the map is empty
 * source   Source Map Revision 3 Proposal; ECMA-426
 */
int js_sourcemap_decode(struct sl_slice json, struct js_sourcemap *ret_map);

/* The same from "data:application/json;base64,…". */
int js_sourcemap_decode_url(struct sl_slice url, struct js_sourcemap *ret_map);

/* The mapping at or before a place on the same line, else the first of the line, or NULL. */
const struct js_mapping *js_sourcemap_find(const struct js_sourcemap *map, uint32_t line,
                                           uint32_t column);

void js_sourcemap_fini(struct js_sourcemap *map);
