/* SPDX-License-Identifier: MIT */
/*
 * The bytes that are parsed, and the two ways to name a place in them: libyaml counts characters
 * from the start, people count lines and columns. Inside this folder only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "codecs/yaml/yaml.h"
#include "core/base/slice.h"

struct yaml_source {
    struct sl_slice text;
    size_t skipped; /* bytes of a byte order mark, which libyaml does not see */

    /* A cursor that follows the marks, which nearly always go forward. */
    size_t char_index;
    size_t offset;

    /* A second one for lines. */
    size_t line_start;  /* byte offset */
    size_t line_end_at; /* byte offset up to which lines were counted */
    uint32_t line;
    uint32_t line_first; /* number of the first line */
};

void yaml_source_init(struct yaml_source *source, struct sl_slice text, uint32_t line);

/* Byte offset of a character. */
size_t yaml_source_seek(struct yaml_source *source, size_t char_index);

/* Line and column of a byte offset. */
struct sl_pos yaml_source_pos(struct yaml_source *source, size_t offset);

/* Fill an entry of the table of texts. */
struct sl_yaml_text yaml_text_measure(struct yaml_source *source, struct sl_pos pos, size_t offset,
                                      enum sl_yaml_style style, struct sl_slice decoded);
