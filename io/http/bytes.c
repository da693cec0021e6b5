/* SPDX-License-Identifier: MIT */
/*
 * Growing blocks of bytes.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "io/http/internal.h"

uint8_t *http_bytes_grow(struct sl_mem *mem, struct http_bytes *bytes, size_t size)
{
    sl_assert(mem != NULL);
    sl_assert(bytes->size <= bytes->cap);
    sl_assert(size > bytes->cap - bytes->size);
    size_t cap = bytes->cap * 2;
    if (cap < bytes->size + size) cap = bytes->size + size;
    if (cap < HTTP_OUT_SIZE_MIN) cap = HTTP_OUT_SIZE_MIN;
    cap = sl_mem_block_size(cap);
    uint8_t *data = sl_mem_take(mem, cap);
    if (data == NULL) return NULL;
    if (bytes->size > 0) memcpy(data, bytes->data, bytes->size);
    sl_mem_give(mem, bytes->data, bytes->cap);
    bytes->data = data;
    bytes->cap = cap;
    return data + bytes->size;
}

bool http_bytes_add(struct sl_mem *mem, struct http_bytes *bytes, const void *data, size_t size)
{
    if (size == 0) return true;
    uint8_t *at = http_bytes_reserve(mem, bytes, size);
    if (at == NULL) return false;
    memcpy(at, data, size);
    bytes->size += size;
    return true;
}

void http_bytes_release(struct sl_mem *mem, struct http_bytes *bytes)
{
    if (bytes->data != NULL) sl_mem_give(mem, bytes->data, bytes->cap);
    *bytes = (struct http_bytes){NULL, 0, 0};
}
