/* SPDX-License-Identifier: MIT */
/*
 * Shortcuts for small values. A number is one block: header and cell are written directly, without
 * a builder.
 */
#include "codecs/flat/flat_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { VALUE_ERROR_TEXT_MAX = 1024 };

static struct sl_value value_new_cell(struct sl_mem *mem, struct sl_cell cell)
{
    struct sl_buf *buf = sl_buf_new(mem, 1, 0);
    if (buf == NULL) return sl_value_none();
    buf->cells[0] = cell;
    buf->cells_count = 1;
    buf->weight = 1;
    return (struct sl_value){buf, buf->cells};
}

struct sl_value sl_value_new_int(struct sl_mem *mem, int64_t value)
{
    return value_new_cell(mem, (struct sl_cell){.kind = SL_VALUE_INT, .i64 = value});
}

struct sl_value sl_value_new_uint(struct sl_mem *mem, uint64_t value)
{
    uint8_t kind = value > INT64_MAX ? SL_VALUE_UINT : SL_VALUE_INT;
    return value_new_cell(mem, (struct sl_cell){.kind = kind, .word = value});
}

struct sl_value sl_value_new_float(struct sl_mem *mem, double value)
{
    return value_new_cell(mem, (struct sl_cell){.kind = SL_VALUE_FLOAT, .f64 = value});
}

struct sl_value sl_value_new_string(struct sl_mem *mem, const void *data, size_t size)
{
    sl_assert(data != NULL || size == 0);
    if (size > SL_PAYLOAD_BYTES_MAX) return sl_value_none();
    struct sl_buf *buf = sl_buf_new(mem, 1, (uint32_t)size);
    if (buf == NULL) return sl_value_none();
    if (size > 0) memcpy(buf->bytes, data, size);
    buf->bytes_size = (uint32_t)size;
    buf->cells[0] = (struct sl_cell){.kind = SL_VALUE_STRING, .len = (uint32_t)size};
    buf->cells_count = 1;
    buf->weight = 1;
    return (struct sl_value){buf, buf->cells};
}

static int error_build(struct sl_mem *mem, const char *code, int status, struct sl_value cause,
                       struct sl_slice message, struct sl_value *ret_value)
{
    struct sl_builder builder;
    sl_builder_init(&builder, mem, SL_ERROR_CELLS + 1, (uint32_t)(strlen(code) + message.size));
    sl_build_error(&builder, sl_slice_from_str(code), message, cause, sl_value_none(), status);
    return sl_builder_finish(&builder, ret_value);
}

static struct sl_value error_new(struct sl_mem *mem, const char *code, int status,
                                 struct sl_value cause, const char *fmt, va_list args)
{
    char text[VALUE_ERROR_TEXT_MAX];
    int size = vsnprintf(text, sizeof(text), fmt, args);
    if (size < 0) size = 0;
    if ((size_t)size >= sizeof(text)) size = sizeof(text) - 1;
    struct sl_slice message = sl_slice_make(text, (size_t)size);
    struct sl_value value;
    int result = error_build(mem, code, status, cause, message, &value);
    /* A chain of causes that is too deep for a payload loses its tail, not its head. */
    if (result == -E2BIG) {
        result = error_build(mem, code, status, sl_value_none(), message, &value);
    }
    return result < 0 ? sl_value_none() : value;
}

struct sl_value sl_value_new_error(struct sl_mem *mem, const char *code, int status,
                                   const char *fmt, ...)
{
    sl_assert(code != NULL);
    va_list args;
    va_start(args, fmt);
    struct sl_value value = error_new(mem, code, status, sl_value_none(), fmt, args);
    va_end(args);
    return value;
}

struct sl_value sl_value_new_error_caused(struct sl_mem *mem, const char *code, int status,
                                          struct sl_value cause, const char *fmt, ...)
{
    sl_assert(code != NULL);
    va_list args;
    va_start(args, fmt);
    struct sl_value value = error_new(mem, code, status, cause, fmt, args);
    va_end(args);
    return value;
}
