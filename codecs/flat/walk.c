/* SPDX-License-Identifier: MIT */
/*
 * Measuring a value, and writing it flat.
 *
 * Writing needs no stack: the cells that are written are the queue of what is still to do. A cell
 * first holds where its value comes from; then it is visited, from the last cell (the root) down,
 * becomes what it is, and its children get the next cells below.
 *
 *     cells   | … free … | sources waiting | done, root last |
 *                      alloc ↓          at ↓
 */
#include "codecs/flat/flat_internal.h"

#include <errno.h>

/* What a cell holds while it waits. */
struct walk_source {
    struct sl_buf *buf;
    const struct sl_cell *cell;
};

static_assert(sizeof(struct walk_source) == sizeof(struct sl_cell), "a cell can wait in place");

struct walk_frame {
    struct sl_buf *buf;
    const struct sl_cell *at;
    const struct sl_cell *end;
};

int flat_measure(struct sl_value value, unsigned flags, struct flat_size *ret_size)
{
    struct walk_frame frames[FLAT_FRAMES_MAX];
    struct flat_size size = {0, 0, 0};
    uint32_t depth = 0;
    for (;;) {
        const struct sl_cell *cell = value.cell;
        size.cells++;
        if (cell->kind == SL_VALUE_STRING || cell->kind == SL_VALUE_BINARY) size.bytes += cell->len;
        if (size.cells > SL_PAYLOAD_CELLS_MAX || size.bytes > SL_PAYLOAD_BYTES_MAX) return -E2BIG;
        if (flat_is_container(cell)) {
            if (depth == SL_PAYLOAD_DEPTH_MAX) return -E2BIG;
            uint32_t count = flat_children(cell);
            const struct sl_cell *first = count > 0 ? &value.buf->cells[cell->word] : NULL;
            frames[depth++] = (struct walk_frame){value.buf, first, count ? first + count : NULL};
            if (depth > size.depth) size.depth = depth;
        }
        while (depth > 0 && frames[depth - 1].at == frames[depth - 1].end) depth--;
        if (depth == 0) break;
        struct walk_frame *frame = &frames[depth - 1];
        const struct sl_cell *next = frame->at++;
        if (!(flags & FLAT_WALK_LAZIES) && flat_is_lazy(next)) {
            value = sl_value_null();
        } else {
            value = sl_value_at_cell(frame->buf, next);
        }
    }
    *ret_size = size;
    return 0;
}

void flat_write(struct sl_value value, struct sl_cell *cells, uint32_t cells_count, uint8_t *bytes)
{
    sl_assert(cells_count > 0);
    struct walk_source *sources = (struct walk_source *)cells;
    uint32_t alloc = cells_count - 1;
    uint64_t bytes_at = 0;
    sources[alloc] = (struct walk_source){value.buf, value.cell};
    for (uint32_t at = cells_count; at-- > 0;) {
        sl_assert(at >= alloc);
        struct walk_source source = sources[at];
        uint16_t hash = at == cells_count - 1 ? 0 : source.cell->hash;
        struct sl_value from = sl_value_at_cell(source.buf, source.cell);
        struct sl_cell cell = *from.cell;
        cell.hash = hash;
        cell.flags &= SL_CELL_INDEXED;
        if (cell.kind == SL_VALUE_STRING || cell.kind == SL_VALUE_BINARY) {
            if (cell.len > 0) memcpy(bytes + bytes_at, sl_value_slice(from).data, cell.len);
            cell.word = bytes_at;
            bytes_at += cell.len;
        } else if (flat_is_container(&cell)) {
            uint32_t count = flat_children(&cell);
            sl_assert(count <= alloc);
            alloc -= count;
            cell.word = count > 0 ? alloc : 0;
            for (uint32_t i = 0; i < count; i++) {
                const struct sl_cell *child = &from.buf->cells[from.cell->word + i];
                sources[alloc + i] = (struct walk_source){from.buf, child};
            }
        }
        cells[at] = cell;
    }
    sl_assert(alloc == 0);
}

/* Levels of a tape as flat_write makes it: each level is one stretch. 0 if it is not like that. */
static uint16_t levels_count(const struct sl_buf *buf)
{
    uint32_t alloc = buf->cells_count - 1;
    uint32_t level_end = alloc; /* first cell of the level that is visited */
    uint16_t depth = 0, deepest = 0;
    for (uint32_t at = buf->cells_count; at-- > 0;) {
        const struct sl_cell *cell = &buf->cells[at];
        if (flat_is_container(cell)) {
            uint32_t count = flat_children(cell);
            if (count > 0 && cell->word + count != alloc) return 0;
            alloc -= count;
            deepest = (uint16_t)(depth + 1);
        }
        if (at == level_end && at > 0) {
            level_end = alloc;
            depth++;
        }
    }
    return deepest;
}

uint16_t flat_tape_depth(struct sl_buf *buf)
{
    sl_assert(buf->cells_count > 0);
    struct flat_size size;
    const struct sl_cell *root = &buf->cells[buf->cells_count - 1];
    if (!flat_is_container(root)) return 0;
    uint16_t depth = levels_count(buf);
    if (depth > 0) return depth;
    int result = flat_measure((struct sl_value){buf, root}, 0, &size);
    sl_assert(result == 0);
    return (uint16_t)size.depth;
}

int sl_value_copy(struct sl_value value, struct sl_mem *mem, struct sl_value *ret_value)
{
    sl_assert(value.cell != NULL);
    sl_assert(ret_value != NULL);
    struct flat_size size;
    int result = flat_measure(value, FLAT_WALK_LAZIES, &size);
    if (result < 0) return result;
    struct sl_buf *buf = sl_buf_new(mem, (uint32_t)size.cells, (uint32_t)size.bytes);
    if (buf == NULL) return -ENOMEM;
    flat_write(value, buf->cells, (uint32_t)size.cells, buf->bytes);
    buf->cells_count = (uint32_t)size.cells;
    buf->bytes_size = (uint32_t)size.bytes;
    buf->depth = (uint16_t)size.depth;
    buf->weight = (uint32_t)size.cells;
    *ret_value = (struct sl_value){buf, &buf->cells[size.cells - 1]};
    return 0;
}
