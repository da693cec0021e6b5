/* SPDX-License-Identifier: MIT */
/*
 * The inside of the builder, for codecs that write cells by themselves. The picture is in build.c:
 * a stack of waiting cells, a tape of cells that have found their place, and bytes.
 */
#pragma once

#include <errno.h>

#include "codecs/flat/flat.h"

enum { SL_BUILD_COPY_MAX = 48 }; /* strings of so many bytes are copied: cheaper than an owner */

/* Stop with `error` (-ENOMEM, -E2BIG): the first one stays. */
void sl_builder_fail(struct sl_builder *builder, int error);

/*
 * A buffer with room for so many cells and bytes, in one block if that can be; refs is 1 and
 * everything else empty. Who fills it sets its counts, depth and weight. NULL for no memory.
 */
struct sl_buf *sl_buf_new(struct sl_mem *mem, uint32_t cells_cap, uint32_t bytes_cap);

/*
 * A buffer with room for `cells_cap` cells (at least 1) and some bytes, which lists `owner` as one
 * whose bytes are borrowed. NULL for no memory. For sl_builder_init_with.
 */
struct sl_buf *sl_buf_new_owned(struct sl_mem *mem, uint32_t cells_cap, struct sl_buf *owner);

/* Start a builder that writes into `buf`, a new one of `mem`; NULL: no memory was left for it. */
static inline void sl_builder_init_with(struct sl_builder *builder, struct sl_mem *mem,
                                        struct sl_buf *buf)
{
    builder->buf = buf;
    builder->mem = mem;
    builder->stack = builder->stack_inline;
    builder->stack_pos = NULL;
    builder->stack_count = 0;
    builder->stack_cap = sizeof(builder->stack_inline) / sizeof(builder->stack_inline[0]);
    builder->depth = 0;
    builder->error = 0;
    builder->track = false;
    builder->exact = false;
    builder->pos = (struct sl_pos){0, 0};
    builder->duplicates = 0;
    builder->depth_max = 0;
    builder->refs_weight = 0;
    if (__builtin_expect(buf == NULL, 0)) sl_builder_fail(builder, -ENOMEM);
}

/* Room for `count` more cells or bytes; false after an error. Cold. */
bool sl_builder_stack_grow(struct sl_builder *builder, uint32_t count);
bool sl_builder_cells_grow(struct sl_builder *builder, uint32_t count);
bool sl_builder_bytes_grow(struct sl_builder *builder, size_t size);

/* sl_build_map_end of at most SL_PAYLOAD_MAP_INDEX_MIN pairs whose keys are all different. */
void sl_builder_map_end_distinct(struct sl_builder *builder);

/* A new cell on the stack, to be filled wholly; NULL after an error. */
static inline struct sl_cell *sl_builder_push(struct sl_builder *builder)
{
    if (__builtin_expect(builder->stack_count >= builder->stack_cap, 0) &&
        !sl_builder_stack_grow(builder, 1)) {
        return NULL;
    }
    if (__builtin_expect(builder->track, 0)) {
        builder->stack_pos[builder->stack_count] = builder->pos;
    }
    return &builder->stack[builder->stack_count++];
}

/* `size` free bytes behind bytes_size, which the caller then raises; NULL after an error. */
static inline uint8_t *sl_builder_bytes_reserve(struct sl_builder *builder, size_t size)
{
    if (__builtin_expect(builder->error != 0, 0)) return NULL;
    if (__builtin_expect(size > builder->buf->bytes_cap - builder->buf->bytes_size, 0) &&
        !sl_builder_bytes_grow(builder, size)) {
        return NULL;
    }
    return builder->buf->bytes + builder->buf->bytes_size;
}

/* The end of a build that met a limit or an error, or took memory for itself. */
int sl_builder_finish_slow(struct sl_builder *builder, struct sl_value *ret_value);

/* sl_builder_finish without its checks. */
static inline int sl_builder_finish_fast(struct sl_builder *builder, struct sl_value *ret_value)
{
    struct sl_buf *buf = builder->buf;
    bool plain = builder->error == 0 && builder->stack == builder->stack_inline &&
                 !builder->track && builder->refs_weight == 0 &&
                 buf->cells_count < buf->cells_cap && builder->stack[0].kind < SL_VALUE_REF;
    if (__builtin_expect(!plain, 0)) return sl_builder_finish_slow(builder, ret_value);
    struct sl_cell *root = &buf->cells[buf->cells_count];
    *root = builder->stack[0];
    buf->weight = ++buf->cells_count;
    buf->depth = (uint16_t)builder->depth_max;
    builder->buf = NULL;
    *ret_value = (struct sl_value){buf, root};
    return 0;
}
