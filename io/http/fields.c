/* SPDX-License-Identifier: MIT */
/*
 * Fields as values: the header map of a payload, walked field by field. Servers write answers with
 * it, clients requests.
 */
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/text/number.h"
#include "core/base/assertion.h"
#include "io/http/internal.h"

enum {
    HEADER_LIST_MAX = 64, /* values of one name */
    VALUE_TEXT_SIZE =
        SL_TEXT_FLOAT_SIZE > SL_HTTP1_NUMBER_MAX + 1 ? SL_TEXT_FLOAT_SIZE : SL_HTTP1_NUMBER_MAX + 1,
};

/* One value of the header map. Other kinds than these cannot be said in a field. */
static bool walk_value(struct sl_slice name, struct sl_value value, http_field_fn *fn, void *ctx)
{
    uint8_t text[VALUE_TEXT_SIZE];
    struct sl_slice slice = {text, 0};
    switch (sl_value_kind(value)) {
    case SL_VALUE_STRING: slice = sl_value_slice(value); break;
    case SL_VALUE_BOOL: slice = value.cell->word ? SL_SLICE("true") : SL_SLICE("false"); break;
    case SL_VALUE_INT:
        text[0] = '-';
        slice.size = value.cell->i64 < 0;
        slice.size += sl_http1_write_number(text + slice.size,
                                            slice.size ? -value.cell->word : value.cell->word);
        break;
    case SL_VALUE_UINT: slice.size = sl_http1_write_number(text, value.cell->word); break;
    case SL_VALUE_FLOAT: slice.size = sl_text_float_write(value.cell->f64, (char *)text); break;
    case SL_VALUE_NULL: return true;
    default: return false;
    }
    return fn(ctx, name, slice);
}

bool http_header_walk(struct sl_value map, http_field_fn *fn, void *ctx, struct sl_slice *ret_bad)
{
    sl_assert(sl_value_is(map, SL_VALUE_MAP));
    sl_assert(fn != NULL);
    sl_assert(ret_bad != NULL);
    uint32_t count = sl_value_count(map);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice name = sl_value_key_at(map, i);
        struct sl_value value = sl_value_map_at(map, i);
        bool is_fine = true;
        if (!sl_value_is(value, SL_VALUE_LIST)) {
            is_fine = walk_value(name, value, fn, ctx);
        } else {
            uint32_t values = sl_value_count(value);
            for (uint32_t j = 0; is_fine && j < values && j < HEADER_LIST_MAX; j++) {
                is_fine = walk_value(name, sl_value_list_at(value, j), fn, ctx);
            }
        }
        if (is_fine) continue;
        *ret_bad = name;
        return false;
    }
    return true;
}

/* The first of them, if it is a text. */
static struct sl_slice value_text(struct sl_value value)
{
    if (sl_value_is(value, SL_VALUE_LIST) && sl_value_count(value) > 0) {
        value = sl_value_list_at(value, 0);
    }
    if (sl_value_is(value, SL_VALUE_STRING)) return sl_value_slice(value);
    return (struct sl_slice){NULL, 0};
}

struct sl_slice http_header_get(struct sl_value map, struct sl_slice name)
{
    const struct sl_slice none = {NULL, 0};
    if (!sl_value_is(map, SL_VALUE_MAP)) return none;
    uint32_t count = sl_value_count(map);
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_slice_eq_nocase(sl_value_key_at(map, i), name)) continue;
        struct sl_slice text = value_text(sl_value_map_at(map, i));
        if (text.size > 0) return text;
    }
    return none;
}

struct sl_slice http_field_of(const struct sl_http1_head *head, enum sl_http1_header_id id)
{
    const struct sl_http1_header *field = sl_http1_head_find(head, id);
    return field != NULL ? field->value : (struct sl_slice){NULL, 0};
}

/* Trimmed of blanks. */
static struct sl_slice trim(struct sl_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = sl_slice_make(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

bool http_list_names(struct sl_slice list, struct sl_slice name)
{
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        size_t size = comma != NULL ? (size_t)(comma - list.data) : list.size;
        if (sl_slice_eq_nocase(trim(sl_slice_make(list.data, size)), name)) return true;
        size_t used = comma != NULL ? size + 1 : size;
        list = sl_slice_make(list.data + used, list.size - used);
    }
    return false;
}

bool http_is_payload_field(struct sl_slice key)
{
    static const char *const fields[] = {"body",   "status",   "header", "method", "path", "query",
                                         "params", "protocol", "remote", "scheme", "host", "trace"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (sl_slice_eq_str(key, fields[i])) return true;
    }
    return false;
}

struct sl_value http_body_raw(struct sl_value map, uint32_t *ret_tag)
{
    int64_t index = sl_value_find_hashed(map, "body", 4, sl_hash16("body", 4));
    if (index < 0) return sl_value_none();
    struct sl_buf *buf = map.buf;
    const struct sl_cell *cell = &buf->cells[map.cell->word + 2 * (uint64_t)index + 1];
    if (cell->kind == SL_VALUE_REF) {
        buf = cell->ref;
        cell = &buf->cells[cell->len];
    }
    if (cell->kind != SL_VALUE_LAZY) return sl_value_none();
    const struct sl_lazy *lazy = &buf->lazies[cell->len];
    if (lazy->decode != http_body_decode) return sl_value_none();
    *ret_tag = lazy->tag;
    return lazy->raw;
}
