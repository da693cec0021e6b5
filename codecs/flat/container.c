/* SPDX-License-Identifier: MIT */
/*
 * The builder's containers: begin, end, keys, errors, and the end of the whole build.
 * The picture is in build.c.
 */
#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_internal.h"

#include <errno.h>

/* The cell of the innermost open container; its children stand behind it on the stack. */
static struct sl_cell *open_cell(struct sl_builder *builder)
{
    sl_assert(builder->depth > 0);
    return &builder->stack[builder->open[builder->depth - 1] - 1];
}

static void begin(struct sl_builder *builder, uint8_t kind)
{
    if (builder->error != 0) return;
    if (builder->depth == SL_PAYLOAD_DEPTH_MAX) {
        sl_builder_fail(builder, -E2BIG);
        return;
    }
    struct sl_cell *cell = sl_builder_push(builder);
    if (cell == NULL) return;
    *cell = (struct sl_cell){.kind = kind};
    builder->open[builder->depth++] = builder->stack_count;
    if (builder->depth > builder->depth_max) builder->depth_max = builder->depth;
}

/* Move `count` cells from the stack's end to the tape; the index of the first, or of none: 0. */
static bool move(struct sl_builder *builder, uint32_t count, uint32_t *ret_index)
{
    struct sl_buf *buf = builder->buf;
    *ret_index = 0;
    if (count == 0) return true;
    if (count > buf->cells_cap - buf->cells_count && !sl_builder_cells_grow(builder, count)) {
        return false;
    }
    uint32_t from = builder->stack_count - count;
    *ret_index = buf->cells_count;
    memcpy(&buf->cells[buf->cells_count], &builder->stack[from], count * sizeof(struct sl_cell));
    if (builder->track) {
        memcpy(&buf->pos[buf->cells_count], &builder->stack_pos[from],
               count * sizeof(struct sl_pos));
    }
    buf->cells_count += count;
    builder->stack_count = from;
    return true;
}

void sl_build_list_begin(struct sl_builder *builder)
{
    begin(builder, SL_VALUE_LIST);
}

void sl_build_list_end(struct sl_builder *builder)
{
    if (builder->error != 0) return;
    struct sl_cell *cell = open_cell(builder);
    sl_assert(cell->kind == SL_VALUE_LIST);
    uint32_t count = builder->stack_count - builder->open[builder->depth - 1];
    uint32_t index;
    if (!move(builder, count, &index)) return;
    cell->len = count;
    cell->word = index;
    builder->depth--;
}

void sl_build_map_begin(struct sl_builder *builder)
{
    begin(builder, SL_VALUE_MAP);
}

/* Numbers of pairs stand behind bytes: the index of a map. */
static bool index_push(struct sl_builder *builder, const uint32_t *order, uint32_t pairs_count)
{
    uint32_t size = pairs_count * (uint32_t)sizeof(uint32_t);
    uint8_t *at = sl_builder_bytes_reserve(builder, size);
    struct sl_cell *cell = at != NULL ? sl_builder_push(builder) : NULL;
    if (cell == NULL) return false;
    memcpy(at, order, size);
    *cell =
        (struct sl_cell){.kind = SL_VALUE_BINARY, .len = size, .word = builder->buf->bytes_size};
    builder->buf->bytes_size += size;
    return true;
}

static uint32_t dedupe(struct sl_builder *builder, uint32_t first, uint32_t pairs_count,
                       const uint32_t *order)
{
    struct sl_pos *pos = builder->track ? &builder->stack_pos[first] : NULL;
    uint32_t left =
        flat_pairs_dedupe(builder->buf, &builder->stack[first], pos, pairs_count, order);
    builder->duplicates += pairs_count - left;
    builder->stack_count = first + 2 * left;
    return left;
}

/*
 * A large map: sort its keys, remove those that stand twice, push the index if it is still large.
 * returns the pairs that are left; the caller looks at the builder's error
 */
static uint32_t index_build(struct sl_builder *builder, uint32_t first, uint32_t pairs_count,
                            bool *ret_indexed)
{
    uint32_t small[2 * 64];
    uint32_t *order = small;
    size_t size = (size_t)pairs_count * 2 * sizeof(uint32_t);
    if (size > sizeof(small)) order = flat_take(builder->mem, size);
    if (order == NULL) {
        sl_builder_fail(builder, -ENOMEM);
        return 0;
    }
    const struct sl_cell *pairs = &builder->stack[first];
    uint32_t left = pairs_count;
    if (flat_pairs_sort(builder->buf, pairs, left, order, order + left)) {
        left = dedupe(builder, first, left, order);
        (void)flat_pairs_sort(builder->buf, pairs, left, order, order + left);
    }
    *ret_indexed = left > SL_PAYLOAD_MAP_INDEX_MIN && index_push(builder, order, left);
    if (order != small) flat_give(builder->mem, order, size);
    return left;
}

/* Move the pairs to the tape; their index, if there is one, stands behind them. */
static inline void map_seal(struct sl_builder *builder, uint32_t count, bool indexed)
{
    uint32_t index;
    if (builder->error != 0 || !move(builder, 2 * count + indexed, &index)) return;
    struct sl_cell *cell = open_cell(builder);
    cell->flags = indexed ? SL_CELL_INDEXED : 0;
    cell->len = count;
    cell->word = index;
    builder->depth--;
}

void sl_builder_map_end_distinct(struct sl_builder *builder)
{
    if (builder->error != 0) return;
    uint32_t cells = builder->stack_count - builder->open[builder->depth - 1];
    sl_assert(open_cell(builder)->kind == SL_VALUE_MAP);
    sl_assert(cells % 2 == 0 && cells <= 2 * SL_PAYLOAD_MAP_INDEX_MIN);
    map_seal(builder, cells / 2, false);
}

void sl_build_map_end(struct sl_builder *builder)
{
    if (builder->error != 0) return;
    uint32_t first = builder->open[builder->depth - 1];
    sl_assert(open_cell(builder)->kind == SL_VALUE_MAP);
    sl_assert((builder->stack_count - first) % 2 == 0);
    uint32_t count = (builder->stack_count - first) / 2;
    bool indexed = false;
    if (count <= SL_PAYLOAD_MAP_INDEX_MIN) {
        count = dedupe(builder, first, count, NULL);
    } else {
        count = index_build(builder, first, count, &indexed);
    }
    map_seal(builder, count, indexed);
}

/* The string just built is a key: give it its hash. */
static void key_finish(struct sl_builder *builder, const void *data, size_t size)
{
    if (builder->error != 0) return;
    sl_assert(open_cell(builder)->kind == SL_VALUE_MAP);
    sl_assert((builder->stack_count - builder->open[builder->depth - 1]) % 2 == 1);
    builder->stack[builder->stack_count - 1].hash = sl_hash16(data, size);
}

void sl_build_key(struct sl_builder *builder, const void *data, size_t size)
{
    sl_build_string(builder, data, size);
    key_finish(builder, data, size);
}

void sl_build_key_str(struct sl_builder *builder, const char *str)
{
    sl_build_key(builder, str, strlen(str));
}

void sl_build_key_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                         size_t size)
{
    sl_build_string_borrow(builder, owner, data, size);
    key_finish(builder, data, size);
}

void sl_build_error_begin(struct sl_builder *builder)
{
    begin(builder, SL_VALUE_ERROR);
}

void sl_build_error_end(struct sl_builder *builder)
{
    if (builder->error != 0) return;
    struct sl_cell *cell = open_cell(builder);
    sl_assert(cell->kind == SL_VALUE_ERROR);
    sl_assert(builder->stack_count - builder->open[builder->depth - 1] == SL_ERROR_CELLS);
    uint32_t index;
    if (!move(builder, SL_ERROR_CELLS, &index)) return;
    cell->len = SL_ERROR_CELLS;
    cell->word = index;
    builder->depth--;
}

void sl_build_error(struct sl_builder *builder, struct sl_slice code, struct sl_slice message,
                    struct sl_value cause, struct sl_value data, int status)
{
    sl_assert(cause.cell == NULL || cause.cell->kind == SL_VALUE_ERROR);
    sl_build_error_begin(builder);
    sl_build_string(builder, code.data, code.size);
    sl_build_string(builder, message.data, message.size);
    if (cause.cell != NULL) {
        sl_build_value(builder, cause);
    } else {
        sl_build_null(builder);
    }
    if (data.cell != NULL) {
        sl_build_value(builder, data);
    } else {
        sl_build_null(builder);
    }
    if (status != 0) {
        sl_build_int(builder, status);
    } else {
        sl_build_null(builder);
    }
    sl_build_error_end(builder);
}

/* The value at a tape's only root that lives elsewhere: count it there, drop the buffer. */
static __attribute__((cold)) struct sl_value hand_over(struct sl_buf *buf,
                                                       const struct sl_cell *cell)
{
    struct sl_value value = sl_value_ref(sl_value_resolve_slow(buf, cell));
    sl_buf_unref(buf);
    return value;
}

int sl_builder_finish_slow(struct sl_builder *builder, struct sl_value *ret_value)
{
    uint32_t index = 0;
    if (builder->error == 0) (void)move(builder, 1, &index);
    uint64_t weight = builder->refs_weight;
    if (builder->error == 0) weight += builder->buf->cells_count;
    if (weight > SL_PAYLOAD_CELLS_MAX) sl_builder_fail(builder, -E2BIG);
    if (builder->error != 0) {
        sl_builder_fini(builder);
        return builder->error;
    }
    struct sl_buf *buf = builder->buf;
    buf->depth = (uint16_t)builder->depth_max;
    buf->weight = (uint32_t)weight;
    buf->refs++;
    sl_builder_fini(builder);
    const struct sl_cell *root = &buf->cells[index];
    *ret_value = root->kind >= SL_VALUE_REF ? hand_over(buf, root) : (struct sl_value){buf, root};
    return 0;
}

int sl_builder_finish(struct sl_builder *builder, struct sl_value *ret_value)
{
    sl_assert(builder != NULL);
    sl_assert(ret_value != NULL);
    if (builder->error == 0) {
        sl_assert(builder->depth == 0);
        sl_assert(builder->stack_count == 1);
    }
    return sl_builder_finish_fast(builder, ret_value);
}
