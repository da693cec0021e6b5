/* SPDX-License-Identifier: MIT */
/*
 * What is compared: parsers and writers of JSON, each brought to one shape.
 *
 * Reading
 *   sluice          sl_json_parse, strings borrowed from the text, as the engine reads a request;
 *                   the value's memory is taken from the pool and given back each time
 *   sluice_copied   the same with strings copied
 *   simdjson        dom::parser::parse into one parser, used again and again; the text already has
 *                   the 64 readable bytes behind it that simdjson asks for, so it copies nothing.
 *                   It ends in simdjson's own tape with every string copied, and has no key hashes,
 *                   no check for keys that stand twice, and no access by index
 *   jansson         json_loadb and json_decref
 *
 * Writing, compact, of a value that was read before
 *   sluice          sl_json_write to one output, used again and again
 *   simdjson        the serializer behind simdjson::minify(element), one string_builder
 *   jansson         json_dumpb with JSON_COMPACT to one block of memory
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bench/json/docs.h"

struct ways; /* what the ways need for one document */

enum { WAYS_MAX = 8 };

struct way {
    const char *name;
    bool writes; /* else it reads */
    /* Handle every part of the document once. */
    void (*run)(struct ways *ways);
};

/* The ways there are, sluice first in reading and in writing; how many in *ret_count. */
const struct way *ways_get(size_t *ret_count);

/*
 * Get ready for a document, which is borrowed.
 *
 * returns  NULL if one of the parsers refuses it: then *ret_name says which
 */
struct ways *ways_new(const struct doc *doc, const char **ret_name);
struct ways *ways_free(struct ways *ways);

/* What simdjson runs on this machine, "" where it is not built in. */
const char *ways_simdjson_name(void);
