/* SPDX-License-Identifier: MIT */
/*
 * The builder. Open containers wait on a stack, their own cell first and their children behind it:
 *
 *     stack   | Map | "a" | 1 | "b" | List | 10 | 20 |     open = { behind Map, behind List }
 *     tape    | (children of what has ended)
 *
 * When a container ends, its children move to the tape in a row and its own cell learns where. So
 * children always stand before their parent and the root comes last.
 *
 * Errors stick: the stack's capacity becomes 0, so that each push meets the slow path, which
 * refuses. No push has to look at the error by itself.
 */
#include "codecs/flat/flat_build_fast.h"
#include "codecs/flat/flat_internal.h"

#include <errno.h>

enum {
    BUILD_CELLS_DEFAULT = 5, /* with these bytes and the header: a block of 256 */
    BUILD_BYTES_DEFAULT = 96,
    BUILD_OWNERS_SCAN = 8, /* how far back an owner is looked for before it is listed again */
    BUILD_STACK_INLINE = sizeof(((struct sl_builder *)0)->stack_inline) / sizeof(struct sl_cell),
};

static void stack_give(struct sl_builder *builder)
{
    if (builder->stack_pos != NULL) {
        flat_give(builder->mem, builder->stack_pos, builder->stack_cap * sizeof(struct sl_pos));
        builder->stack_pos = NULL;
    }
    if (builder->stack != builder->stack_inline) {
        flat_give(builder->mem, builder->stack, builder->stack_cap * sizeof(struct sl_cell));
        builder->stack = builder->stack_inline;
    }
}

void sl_builder_fail(struct sl_builder *builder, int error)
{
    sl_assert(error < 0);
    if (builder->error != 0) return;
    builder->error = error;
    stack_give(builder);
    builder->stack_count = 0;
    builder->stack_cap = 0;
    builder->depth = 0;
    builder->track = false;
}

void sl_builder_init(struct sl_builder *builder, struct sl_mem *mem, uint32_t cells_hint,
                     uint32_t bytes_hint)
{
    sl_assert(builder != NULL);
    if (cells_hint == 0) cells_hint = BUILD_CELLS_DEFAULT;
    if (bytes_hint == 0) bytes_hint = BUILD_BYTES_DEFAULT;
    if (cells_hint > SL_PAYLOAD_CELLS_MAX) cells_hint = SL_PAYLOAD_CELLS_MAX;
    if (bytes_hint > SL_PAYLOAD_BYTES_MAX) bytes_hint = SL_PAYLOAD_BYTES_MAX;
    sl_builder_init_with(builder, mem, flat_buf_new_fast(mem, cells_hint, bytes_hint));
}

void sl_builder_track(struct sl_builder *builder)
{
    sl_assert(builder->stack_count == 0);
    if (builder->error != 0 || builder->track) return;
    struct sl_buf *buf = builder->buf;
    buf->pos = flat_take(builder->mem, (size_t)buf->cells_cap * sizeof(*buf->pos));
    builder->stack_pos = flat_take(builder->mem, builder->stack_cap * sizeof(struct sl_pos));
    builder->track = true;
    if (buf->pos == NULL || builder->stack_pos == NULL) sl_builder_fail(builder, -ENOMEM);
}

void sl_builder_fini(struct sl_builder *builder)
{
    if (builder->buf == NULL) return;
    stack_give(builder);
    builder->stack_cap = 0;
    sl_buf_unref(builder->buf);
    builder->buf = NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* Growing                                                                                      */

bool sl_builder_stack_grow(struct sl_builder *builder, uint32_t count)
{
    if (builder->error != 0) return false;
    uint64_t cap = (uint64_t)builder->stack_cap * 2;
    while (cap < (uint64_t)builder->stack_count + count) cap *= 2;
    struct sl_cell *stack = NULL;
    struct sl_pos *pos = NULL;
    if (cap > SL_PAYLOAD_CELLS_MAX * UINT64_C(2)) {
        sl_builder_fail(builder, -E2BIG);
        return false;
    }
    stack = flat_take(builder->mem, cap * sizeof(*stack));
    if (builder->track) pos = flat_take(builder->mem, cap * sizeof(*pos));
    if (stack == NULL || (builder->track && pos == NULL)) {
        flat_give(builder->mem, stack, cap * sizeof(*stack));
        flat_give(builder->mem, pos, cap * sizeof(*pos));
        sl_builder_fail(builder, -ENOMEM);
        return false;
    }
    memcpy(stack, builder->stack, builder->stack_count * sizeof(*stack));
    if (pos != NULL) memcpy(pos, builder->stack_pos, builder->stack_count * sizeof(*pos));
    stack_give(builder);
    builder->stack = stack;
    builder->stack_pos = pos;
    builder->stack_cap = (uint32_t)cap;
    return true;
}

bool sl_builder_cells_grow(struct sl_builder *builder, uint32_t count)
{
    if (builder->error != 0) return false;
    struct sl_buf *buf = builder->buf;
    uint64_t need = (uint64_t)buf->cells_count + count;
    uint64_t cap = (uint64_t)buf->cells_cap * 2;
    if (cap < need) cap = need;
    if (cap > SL_PAYLOAD_CELLS_MAX) cap = SL_PAYLOAD_CELLS_MAX;
    if (need > cap) {
        sl_builder_fail(builder, -E2BIG);
        return false;
    }
    struct sl_cell *cells = flat_take(buf->mem, cap * sizeof(*cells));
    struct sl_pos *pos = NULL;
    if (builder->track) pos = flat_take(buf->mem, cap * sizeof(*pos));
    if (cells == NULL || (builder->track && pos == NULL)) {
        flat_give(buf->mem, cells, cap * sizeof(*cells));
        flat_give(buf->mem, pos, cap * sizeof(*pos));
        sl_builder_fail(builder, -ENOMEM);
        return false;
    }
    memcpy(cells, buf->cells, buf->cells_count * sizeof(*cells));
    if (pos != NULL) {
        memcpy(pos, buf->pos, buf->cells_count * sizeof(*pos));
        flat_give(buf->mem, buf->pos, (size_t)buf->cells_cap * sizeof(*pos));
        buf->pos = pos;
    }
    flat_cells_give(buf);
    buf->cells = cells;
    buf->cells_cap = (uint32_t)cap;
    return true;
}

bool sl_builder_bytes_grow(struct sl_builder *builder, size_t size)
{
    if (builder->error != 0) return false;
    struct sl_buf *buf = builder->buf;
    if (size > SL_PAYLOAD_BYTES_MAX - buf->bytes_size) {
        sl_builder_fail(builder, -E2BIG);
        return false;
    }
    uint64_t cap = (uint64_t)buf->bytes_cap * 2;
    if (cap < buf->bytes_size + size) cap = buf->bytes_size + size;
    if (cap > SL_PAYLOAD_BYTES_MAX) cap = SL_PAYLOAD_BYTES_MAX;
    uint8_t *bytes = flat_take(buf->mem, cap);
    if (bytes == NULL) {
        sl_builder_fail(builder, -ENOMEM);
        return false;
    }
    memcpy(bytes, buf->bytes, buf->bytes_size);
    flat_bytes_give(buf);
    buf->bytes = bytes;
    buf->bytes_cap = (uint32_t)cap;
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Scalars                                                                                      */

/* Push a cell; nothing happens after an error. */
static inline void push(struct sl_builder *builder, struct sl_cell cell)
{
    struct sl_cell *slot = sl_builder_push(builder);
    if (slot != NULL) *slot = cell;
}

void sl_build_null(struct sl_builder *builder)
{
    push(builder, (struct sl_cell){.kind = SL_VALUE_NULL});
}

void sl_build_bool(struct sl_builder *builder, bool value)
{
    push(builder, (struct sl_cell){.kind = SL_VALUE_BOOL, .word = value});
}

void sl_build_int(struct sl_builder *builder, int64_t value)
{
    push(builder, (struct sl_cell){.kind = SL_VALUE_INT, .i64 = value});
}

void sl_build_uint(struct sl_builder *builder, uint64_t value)
{
    uint8_t kind = value > INT64_MAX ? SL_VALUE_UINT : SL_VALUE_INT;
    push(builder, (struct sl_cell){.kind = kind, .word = value});
}

void sl_build_float(struct sl_builder *builder, double value)
{
    push(builder, (struct sl_cell){.kind = SL_VALUE_FLOAT, .f64 = value});
}

void sl_build_time(struct sl_builder *builder, int64_t seconds, uint32_t nanoseconds)
{
    sl_assert(nanoseconds < 1000000000);
    push(builder, (struct sl_cell){.kind = SL_VALUE_TIME, .len = nanoseconds, .i64 = seconds});
}

void sl_build_duration(struct sl_builder *builder, int64_t seconds, uint32_t nanoseconds)
{
    sl_assert(nanoseconds < 1000000000);
    push(builder, (struct sl_cell){.kind = SL_VALUE_DURATION, .len = nanoseconds, .i64 = seconds});
}

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

/* Room at the end of the bytes, and the cell that names it; NULL on error. */
static struct sl_cell *bytes_push(struct sl_builder *builder, uint8_t kind, size_t size,
                                  uint8_t **ret_at)
{
    uint8_t *at = sl_builder_bytes_reserve(builder, size);
    struct sl_cell *cell = at != NULL ? sl_builder_push(builder) : NULL;
    if (cell == NULL) return NULL;
    struct sl_buf *buf = builder->buf;
    *cell = (struct sl_cell){.kind = kind, .len = (uint32_t)size, .word = buf->bytes_size};
    buf->bytes_size += (uint32_t)size;
    *ret_at = at;
    return cell;
}

static struct sl_cell *copy_push(struct sl_builder *builder, uint8_t kind, const void *data,
                                 size_t size)
{
    uint8_t *at;
    struct sl_cell *cell = bytes_push(builder, kind, size, &at);
    if (cell != NULL && size > 0) memcpy(at, data, size);
    return cell;
}

/* List `owner` once, as far as a short look back can tell; a second entry would be harmless. */
static bool own(struct sl_builder *builder, struct sl_buf *owner)
{
    if (owner == NULL || owner->refs == SL_BUF_IMMORTAL) return true;
    struct sl_buf *buf = builder->buf;
    uint32_t count = buf->owners_count;
    uint32_t low = count > BUILD_OWNERS_SCAN ? count - BUILD_OWNERS_SCAN : 0;
    for (uint32_t i = count; i > low; i--) {
        if (buf->owners[i - 1] == owner) return true;
    }
    if (flat_buf_own(buf, owner) == 0) return true;
    sl_builder_fail(builder, -ENOMEM);
    return false;
}

static struct sl_cell *borrow_push(struct sl_builder *builder, struct sl_buf *owner, uint8_t kind,
                                   const void *data, size_t size)
{
    if (builder->error != 0) return NULL;
    if (size > SL_PAYLOAD_BYTES_MAX) {
        sl_builder_fail(builder, -E2BIG);
        return NULL;
    }
    if (size == 0) return copy_push(builder, kind, data, 0);
    struct sl_cell *cell = own(builder, owner) ? sl_builder_push(builder) : NULL;
    if (cell == NULL) return NULL;
    *cell = (struct sl_cell){
        .kind = kind, .flags = SL_CELL_POINTER, .len = (uint32_t)size, .ptr = data};
    return cell;
}

void sl_build_string(struct sl_builder *builder, const void *data, size_t size)
{
    (void)copy_push(builder, SL_VALUE_STRING, data, size);
}

void sl_build_binary(struct sl_builder *builder, const void *data, size_t size)
{
    (void)copy_push(builder, SL_VALUE_BINARY, data, size);
}

void sl_build_string_str(struct sl_builder *builder, const char *str)
{
    (void)copy_push(builder, SL_VALUE_STRING, str, strlen(str));
}

uint8_t *sl_build_string_reserve(struct sl_builder *builder, size_t size)
{
    uint8_t *at;
    return bytes_push(builder, SL_VALUE_STRING, size, &at) != NULL ? at : NULL;
}

void sl_build_string_shrink(struct sl_builder *builder, size_t size)
{
    if (builder->error != 0) return;
    sl_assert(builder->stack_count > 0);
    struct sl_cell *cell = &builder->stack[builder->stack_count - 1];
    sl_assert(cell->kind == SL_VALUE_STRING);
    sl_assert(size <= cell->len);
    sl_assert(cell->word + cell->len == builder->buf->bytes_size);
    builder->buf->bytes_size -= cell->len - (uint32_t)size;
    cell->len = (uint32_t)size;
}

void sl_build_string_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                            size_t size)
{
    (void)borrow_push(builder, owner, SL_VALUE_STRING, data, size);
}

void sl_build_binary_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                            size_t size)
{
    (void)borrow_push(builder, owner, SL_VALUE_BINARY, data, size);
}

/* ------------------------------------------------------------------------------------------ */
/* Values of other buffers                                                                      */

/*
 * Who keeps the bytes of a String or Binary alive. With one owner a borrowed string belongs to it
 * (or lives for ever), so that strings handed on and on do not keep every buffer on their way.
 */
static struct sl_buf *bytes_owner(struct sl_value value)
{
    if (!(value.cell->flags & SL_CELL_POINTER) || value.buf->refs == SL_BUF_IMMORTAL) {
        return value.buf;
    }
    if (value.buf->owners_count == 0) return NULL;
    return value.buf->owners_count == 1 ? value.buf->owners[0] : value.buf;
}

/* From here on every Ref is weighed by walking it; the ones before are weighed again. */
static bool weigh_again(struct sl_builder *builder)
{
    builder->exact = true;
    builder->refs_weight = 0;
    const struct sl_buf *buf = builder->buf;
    const struct sl_cell *parts[2] = {buf->cells, builder->stack};
    const uint32_t counts[2] = {buf->cells_count, builder->stack_count};
    for (int part = 0; part < 2; part++) {
        for (uint32_t i = 0; i < counts[part]; i++) {
            const struct sl_cell *cell = &parts[part][i];
            struct flat_size size;
            if (cell->kind != SL_VALUE_REF || flat_is_lazy(cell)) continue;
            struct sl_value value = sl_value_at_cell(builder->buf, cell);
            if (flat_measure(value, 0, &size) < 0) return false;
            builder->refs_weight += size.cells;
            if (builder->refs_weight > SL_PAYLOAD_CELLS_MAX) return false;
        }
    }
    return true;
}

/*
 * Count what stands behind a new Ref. The target buffer's own bounds are taken as long as they fit;
 * only where they do not, values are walked. So depth and cells of everything are bounded by the
 * limits, however often parts are shared.
 */
static bool weigh(struct sl_builder *builder, struct sl_value value)
{
    uint64_t weight = value.buf->weight;
    uint32_t depth = value.buf->depth;
    if (!builder->exact && builder->refs_weight + weight > SL_PAYLOAD_CELLS_MAX &&
        !weigh_again(builder)) {
        return false;
    }
    if (builder->exact || builder->depth + depth > SL_PAYLOAD_DEPTH_MAX) {
        struct flat_size size;
        if (flat_measure(value, 0, &size) < 0) return false;
        weight = size.cells;
        depth = size.depth;
    }
    if (builder->depth + depth > SL_PAYLOAD_DEPTH_MAX) return false;
    if (builder->depth + depth > builder->depth_max) builder->depth_max = builder->depth + depth;
    builder->refs_weight += weight;
    return builder->refs_weight <= SL_PAYLOAD_CELLS_MAX;
}

static void ref_push(struct sl_builder *builder, struct sl_value value)
{
    if (builder->error != 0) return;
    if (!weigh(builder, value)) {
        sl_builder_fail(builder, -E2BIG);
        return;
    }
    if (!own(builder, value.buf)) return;
    push(builder, (struct sl_cell){.kind = SL_VALUE_REF,
                                   .len = (uint32_t)(value.cell - value.buf->cells),
                                   .ref = value.buf});
}

void sl_build_value(struct sl_builder *builder, struct sl_value value)
{
    sl_assert(value.cell != NULL);
    sl_assert(value.cell->kind < SL_VALUE_REF);
    const struct sl_cell *cell = value.cell;
    switch (cell->kind) {
    case SL_VALUE_STRING:
    case SL_VALUE_BINARY: {
        struct sl_slice bytes = sl_value_slice(value);
        if (bytes.size <= SL_BUILD_COPY_MAX) {
            (void)copy_push(builder, cell->kind, bytes.data, bytes.size);
        } else {
            (void)borrow_push(builder, bytes_owner(value), cell->kind, bytes.data, bytes.size);
        }
        return;
    }
    case SL_VALUE_LIST:
        if (cell->len > 0) {
            ref_push(builder, value);
        } else {
            sl_build_list_begin(builder);
            sl_build_list_end(builder);
        }
        return;
    case SL_VALUE_MAP:
        if (cell->len > 0) {
            ref_push(builder, value);
        } else {
            sl_build_map_begin(builder);
            sl_build_map_end(builder);
        }
        return;
    case SL_VALUE_ERROR: ref_push(builder, value); return;
    default: push(builder, *cell);
    }
}

void sl_build_part(struct sl_builder *builder, struct sl_buf *buf, const struct sl_cell *cell)
{
    sl_assert(cell != NULL);
    if (cell->kind == SL_VALUE_REF) {
        buf = cell->ref;
        cell = &buf->cells[cell->len];
    }
    if (cell->kind != SL_VALUE_LAZY) {
        sl_build_value(builder, (struct sl_value){buf, cell});
        return;
    }
    if (builder->error != 0 || !own(builder, buf)) return;
    push(builder,
         (struct sl_cell){.kind = SL_VALUE_REF, .len = (uint32_t)(cell - buf->cells), .ref = buf});
}

void sl_build_lazy(struct sl_builder *builder, uint32_t lazy_index)
{
    if (builder->error != 0) return;
    sl_assert(lazy_index < builder->buf->lazies_count);
    push(builder, (struct sl_cell){.kind = SL_VALUE_LAZY, .len = lazy_index});
}

struct sl_lazy *sl_builder_lazies_reserve(struct sl_builder *builder, uint32_t count)
{
    sl_assert(count > 0);
    if (builder->error != 0) return NULL;
    struct sl_buf *buf = builder->buf;
    sl_assert(buf->lazies_count == 0);
    struct sl_lazy *lazies = NULL;
    if (count <= UINT16_MAX) {
        lazies = flat_tail_take(buf, (uint32_t)(count * sizeof(*lazies)));
        if (lazies == NULL) lazies = flat_take(buf->mem, count * sizeof(*lazies));
    }
    if (lazies == NULL) {
        sl_builder_fail(builder, count <= UINT16_MAX ? -ENOMEM : -E2BIG);
        return NULL;
    }
    memset(lazies, 0, count * sizeof(*lazies));
    buf->lazies = lazies;
    buf->lazies_count = (uint16_t)count;
    return lazies;
}
