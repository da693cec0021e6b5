/* SPDX-License-Identifier: MIT */
/*
 * Reading the tables of a sealed packet, and opening it as a value.
 *
 * Tables may stand anywhere and leave out fields; every offset is checked against the size, also
 * for bytes that were verified before. Where they stand as seal.c puts them, a comparison replaces
 * the search; what is found, and what is refused, is the same.
 */
#include "codecs/flat/flat_head.h"
#include "codecs/flat/flat_internal.h"
#include "codecs/flat/flat_view.h"

#include <errno.h>

/* The bytes that are read, and a table in them. */
struct table {
    const uint8_t *data;
    uint64_t size;
    uint64_t at;     /* of the table */
    uint64_t vtable; /* its place */
    uint16_t vtable_size;
    uint16_t table_size;
};

static uint16_t load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* The table at `at`; false if it or its vtable is not wholly inside. */
static bool table_open(struct table *table, const uint8_t *data, uint64_t size, uint64_t at)
{
    if (at % 4 != 0 || at > size || size - at < 4) return false;
    int64_t vtable = (int64_t)at - (int32_t)load32(data + at);
    if (vtable < 0 || vtable % 2 != 0 || (uint64_t)vtable > size) return false;
    if (size - (uint64_t)vtable < 4) return false;
    uint16_t vtable_size = load16(data + vtable);
    uint16_t table_size = load16(data + vtable + 2);
    if (vtable_size < 4 || vtable_size % 2 != 0 || vtable_size > size - (uint64_t)vtable) {
        return false;
    }
    if (table_size < 4 || table_size > size - at) return false;
    *table = (struct table){data, size, at, (uint64_t)vtable, vtable_size, table_size};
    return true;
}

/* Place of field `index`, of `size` bytes: 0 if it is left out, UINT64_MAX if it is wrong. */
static uint64_t field_at(const struct table *table, unsigned index, unsigned size)
{
    unsigned slot = 4 + 2 * index;
    if (slot + 2 > table->vtable_size) return 0;
    uint16_t off = load16(table->data + table->vtable + slot);
    if (off == 0) return 0;
    if (off < 4 || off + size > table->table_size) return UINT64_MAX;
    uint64_t at = table->at + off;
    return at % size == 0 ? at : UINT64_MAX;
}

static bool field32(const struct table *table, unsigned index, uint32_t *ret_value)
{
    uint64_t at = field_at(table, index, 4);
    if (at == UINT64_MAX) return false;
    *ret_value = at == 0 ? 0 : load32(table->data + at);
    return true;
}

static bool field64(const struct table *table, unsigned index, uint64_t *ret_value)
{
    uint64_t at = field_at(table, index, 8);
    if (at == UINT64_MAX) return false;
    *ret_value = at == 0 ? 0 : load64(table->data + at);
    return true;
}

/* Where the offset in field `index` points to; 0 if left out. */
static bool field_target(const struct table *table, unsigned index, uint64_t *ret_at)
{
    uint32_t off;
    if (!field32(table, index, &off)) return false;
    uint64_t at = field_at(table, index, 4);
    *ret_at = at == 0 ? 0 : at + off;
    return true;
}

/* A vector of elements of `size` bytes aligned to `align`; a vector left out is empty. */
static bool field_vector(const struct table *table, unsigned index, unsigned size, unsigned align,
                         const uint8_t **ret_data, uint32_t *ret_count)
{
    uint64_t at;
    *ret_data = NULL;
    *ret_count = 0;
    if (!field_target(table, index, &at)) return false;
    if (at == 0) return true;
    if (at % 4 != 0 || at > table->size || table->size - at < 4) return false;
    if ((at + 4) % align != 0) return false;
    uint32_t count = load32(table->data + at);
    if ((uint64_t)count * size > table->size - at - 4) return false;
    *ret_data = table->data + at + 4;
    *ret_count = count;
    return true;
}

/* Tables as seal.c writes them. False: laid out otherwise, or damaged; table by table, then. */
static bool sealed_view_open(const uint8_t *data, size_t size, struct flat_view *view)
{
    struct flat_head head;
    if (size < sizeof(head) + sizeof(uint32_t)) return false;
    memcpy(&head, data, sizeof(head));
    if (!flat_head_is_ours(&head)) return false;
    uint64_t bytes_at = sizeof(head) + (uint64_t)head.cells_count * sizeof(struct sl_cell);
    if (bytes_at + sizeof(uint32_t) > size) return false;
    if (head.bytes_off != bytes_at - FLAT_HEAD_OFF(bytes_off)) return false;
    *view = (struct flat_view){
        .envelope = {head.process, head.source, head.target, head.flags},
        .cells = data + sizeof(head),
        .bytes = data + bytes_at + sizeof(uint32_t),
        .cells_count = head.cells_count,
        .bytes_size = load32(data + bytes_at),
        .root = head.root,
    };
    return view->bytes_size <= size - bytes_at - sizeof(uint32_t);
}

bool flat_view_open_tables(const uint8_t *data, size_t size, struct flat_view *ret_view)
{
    struct table packet, payload;
    struct flat_view view;
    uint64_t payload_at;
    if (size < 8 || size > UINT32_MAX || memcmp(data + 4, "SLPK", 4) != 0) return false;
    if (!table_open(&packet, data, size, load32(data))) return false;
    if (!field64(&packet, 0, &view.envelope.process)) return false;
    if (!field32(&packet, 1, &view.envelope.source)) return false;
    if (!field32(&packet, 2, &view.envelope.target)) return false;
    if (!field32(&packet, 3, &view.envelope.flags)) return false;
    if (!field_target(&packet, 4, &payload_at) || payload_at == 0) return false;
    if (!table_open(&payload, data, size, payload_at)) return false;
    if (!field32(&payload, 0, &view.root)) return false;
    if (!field_vector(&payload, 1, 16, 8, &view.cells, &view.cells_count)) return false;
    if (!field_vector(&payload, 2, 1, 1, &view.bytes, &view.bytes_size)) return false;
    *ret_view = view;
    return true;
}

bool flat_view_open(const uint8_t *data, size_t size, struct flat_view *ret_view)
{
    if (size < 8 || size > UINT32_MAX) return false;
    bool is_found =
        sealed_view_open(data, size, ret_view) || flat_view_open_tables(data, size, ret_view);
    if (!is_found) return false;
    if (ret_view->cells_count == 0 || ret_view->cells_count > SL_PAYLOAD_CELLS_MAX) return false;
    return ret_view->bytes_size <= SL_PAYLOAD_BYTES_MAX;
}

/* What is known of a tape that is whole. */
static struct sl_value buf_finish(struct sl_buf *buf, const struct flat_view *view)
{
    buf->cells_count = view->cells_count;
    buf->bytes_size = view->bytes_size;
    buf->weight = view->cells_count;
    buf->depth = flat_tape_depth(buf);
    return (struct sl_value){buf, &buf->cells[view->root]};
}

int sl_flat_open(const void *data, size_t size, struct sl_mem *mem,
                 struct sl_flat_envelope *ret_envelope, struct sl_value *ret_value)
{
    sl_assert(data != NULL);
    sl_assert(ret_value != NULL);
    struct flat_view view;
    bool opened = flat_view_open(data, size, &view);
    sl_assert(opened); /* the caller verified */
    struct sl_buf *buf = sl_buf_new(mem, view.cells_count, view.bytes_size);
    if (buf == NULL) return -ENOMEM;
    memcpy(buf->cells, view.cells, view.cells_count * sizeof(struct sl_cell));
    if (view.bytes_size > 0) memcpy(buf->bytes, view.bytes, view.bytes_size);
    *ret_value = buf_finish(buf, &view);
    if (ret_envelope != NULL) *ret_envelope = view.envelope;
    return 0;
}

int sl_flat_open_borrow(const void *data, size_t size, struct sl_mem *mem,
                        struct sl_flat_envelope *ret_envelope, struct sl_value *ret_value)
{
    sl_assert(data != NULL);
    sl_assert((uintptr_t)data % 8 == 0);
    sl_assert(ret_value != NULL);
    struct flat_view view;
    bool opened = flat_view_open(data, size, &view);
    sl_assert(opened); /* the caller verified */
    struct sl_buf *buf = sl_buf_new(mem, 0, 0);
    if (buf == NULL) return -ENOMEM;
    buf->cells = (struct sl_cell *)(uintptr_t)view.cells; /* never written: published */
    buf->cells_cap = 0;
    if (view.bytes != NULL) buf->bytes = (uint8_t *)(uintptr_t)view.bytes;
    buf->bytes_cap = 0;
    *ret_value = buf_finish(buf, &view);
    if (ret_envelope != NULL) *ret_envelope = view.envelope;
    return 0;
}
