/* SPDX-License-Identifier: MIT */
/*
 * Packing of records: integers little endian, byte strings with a 32-bit length. Errors are
 * sticky: pack or unpack everything, then look at `error` once. Only ctl/registry includes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

struct pack {
    uint8_t *data; /* array of `cap`, owned */
    size_t size;
    size_t cap;
    bool error; /* no memory, or a string beyond 4 GiB */
};

struct unpack {
    struct sl_slice rest; /* borrowed */
    bool error;           /* the bytes ended too early */
};

void pack_fini(struct pack *pack);
void pack_u8(struct pack *pack, uint8_t value);
void pack_u32(struct pack *pack, uint32_t value);
void pack_u64(struct pack *pack, uint64_t value);
void pack_raw(struct pack *pack, const void *data, size_t size);
void pack_slice(struct pack *pack, struct sl_slice slice);
void pack_str(struct pack *pack, const char *str);

static inline struct sl_slice pack_result(const struct pack *pack)
{
    return sl_slice_make(pack->data, pack->size);
}

uint8_t unpack_u8(struct unpack *unpack);
uint32_t unpack_u32(struct unpack *unpack);
uint64_t unpack_u64(struct unpack *unpack);

/* `size` bytes, borrowed; on error zeros of at most 64 bytes, so that fixed fields may be copied. */
struct sl_slice unpack_raw(struct unpack *unpack, size_t size);

/* A byte string, borrowed; on error the empty one. */
struct sl_slice unpack_slice(struct unpack *unpack);
