/* SPDX-License-Identifier: MIT */
/* The documents that JSON is measured with: made, not copied, and the same in every run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DOC_PADDING = 256,            /* readable bytes behind each text: simdjson asks for 64 */
    DOC_SMALL_MAX = 2000,         /* up to here a document is a small request body */
    DOC_PARTS_MAX = 64,           /* texts of one document */
    DOC_SIZE_MAX = 4 << 20,       /* of a document that is made */
    DOC_FILE_SIZE_MAX = 64 << 20, /* of one that is read */
};

struct doc_part {
    uint8_t *data; /* array of `size`, with DOC_PADDING readable bytes behind */
    size_t size;
};

/* Texts that are handled one after the other. All but one document have just one. */
struct doc {
    const char *name;
    bool small; /* every part is at most DOC_SMALL_MAX bytes */
    size_t count;
    size_t size; /* of all parts, bytes */
    struct doc_part parts[DOC_PARTS_MAX];
};

/* Documents that can be made. */
size_t docs_count(void);
const char *docs_name(size_t index);

/* Make one; the caller gives it back with doc_fini. */
void doc_make(struct doc *doc, size_t index);

/* Read a file as a document. 0 or -errno, -E2BIG above DOC_FILE_SIZE_MAX. */
int doc_read(struct doc *doc, const char *path);

void doc_fini(struct doc *doc);
