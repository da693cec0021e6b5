/* SPDX-License-Identifier: MIT */
#include "ctl/registry/pack.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { PACK_CAP_MIN = 256, RAW_SIZE_MAX = 64 };

void pack_fini(struct pack *pack)
{
    free(pack->data);
    *pack = (struct pack){0};
}

void pack_raw(struct pack *pack, const void *data, size_t size)
{
    if (pack->error) return;
    if (pack->cap - pack->size < size) {
        size_t cap = pack->cap * 2 > pack->size + size ? pack->cap * 2 : pack->size + size;
        if (cap < PACK_CAP_MIN) cap = PACK_CAP_MIN;
        uint8_t *grown = realloc(pack->data, cap);
        pack->error = grown == NULL;
        if (pack->error) return;
        pack->data = grown;
        pack->cap = cap;
    }
    if (size > 0) memcpy(pack->data + pack->size, data, size);
    pack->size += size;
}

void pack_u8(struct pack *pack, uint8_t value)
{
    pack_raw(pack, &value, 1);
}

void pack_u32(struct pack *pack, uint32_t value)
{
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    pack_raw(pack, bytes, sizeof(bytes));
}

void pack_u64(struct pack *pack, uint64_t value)
{
    pack_u32(pack, (uint32_t)value);
    pack_u32(pack, (uint32_t)(value >> 32));
}

void pack_slice(struct pack *pack, struct sl_slice slice)
{
    if (slice.size > UINT32_MAX) {
        pack->error = true;
        return;
    }
    pack_u32(pack, (uint32_t)slice.size);
    pack_raw(pack, slice.data, slice.size);
}

void pack_str(struct pack *pack, const char *str)
{
    pack_slice(pack, sl_slice_from_str(str));
}

struct sl_slice unpack_raw(struct unpack *unpack, size_t size)
{
    static const uint8_t zeros[RAW_SIZE_MAX];
    if (unpack->error || unpack->rest.size < size) {
        unpack->error = true;
        return sl_slice_make(zeros, size < RAW_SIZE_MAX ? size : RAW_SIZE_MAX);
    }
    struct sl_slice raw = sl_slice_make(unpack->rest.data, size);
    unpack->rest.data += size;
    unpack->rest.size -= size;
    return raw;
}

uint8_t unpack_u8(struct unpack *unpack)
{
    return unpack_raw(unpack, 1).data[0];
}

uint32_t unpack_u32(struct unpack *unpack)
{
    const uint8_t *bytes = unpack_raw(unpack, 4).data;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

uint64_t unpack_u64(struct unpack *unpack)
{
    uint64_t low = unpack_u32(unpack);
    return low | (uint64_t)unpack_u32(unpack) << 32;
}

struct sl_slice unpack_slice(struct unpack *unpack)
{
    size_t size = unpack_u32(unpack);
    struct sl_slice slice = unpack_raw(unpack, size);
    return unpack->error ? sl_slice_make(NULL, 0) : slice;
}
