/* SPDX-License-Identifier: MIT */
/*
 * An output that grows: bytes are appended, the block doubles. Errors stick (-ENOMEM, or -E2BIG
 * beyond `max`): append on, and look at `error` at the end. One thread.
 *
 *     struct sl_out out;
 *     sl_out_init(&out, mem);
 *     sl_out_append(&out, "text", 4);
 *     if (out.error == 0) use(out.data, out.size);
 *     sl_out_fini(&out);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sl_mem;

struct sl_out {
    uint8_t *data; /* array of `cap`; may be NULL while cap is 0 */
    size_t size;   /* bytes appended */
    size_t cap;
    size_t max;         /* beyond it: -E2BIG; SL_PAYLOAD_BYTES_MAX at first */
    struct sl_mem *mem; /* NULL: the heap */
    uint64_t counted;   /* counting only: bytes that were appended and dropped */
    bool counting;
    int error;
};

/* Start empty; nothing is taken before the first append. */
void sl_out_init(struct sl_out *out, struct sl_mem *mem);

/*
 * Start one that only counts: `room` (array of `size`, borrowed) is used over and over. The count
 * is sl_out_count; no piece appended at once by sl_out_reserve may be larger than the room.
 */
void sl_out_init_counting(struct sl_out *out, void *room, size_t size);

/* Give the block back; the struct is empty afterwards. */
void sl_out_fini(struct sl_out *out);

/* Take the block away: the caller gives back `*ret_cap` bytes to the same mem (heap: free). */
uint8_t *sl_out_take(struct sl_out *out, size_t *ret_size, size_t *ret_cap);

/* Make room for `size` more bytes; NULL after an error. For the inline calls below. Cold. */
uint8_t *sl_out_reserve_slow(struct sl_out *out, size_t size);

/* All bytes appended, those of a counting output too. */
static inline uint64_t sl_out_count(const struct sl_out *out)
{
    return out->counted + out->size;
}

/* `size` free bytes at the end; the caller writes and then raises out->size. NULL on error. */
static inline uint8_t *sl_out_reserve(struct sl_out *out, size_t size)
{
    if (__builtin_expect(out->cap - out->size < size, 0)) return sl_out_reserve_slow(out, size);
    return out->data + out->size;
}

static inline void sl_out_append(struct sl_out *out, const void *data, size_t size)
{
    uint8_t *at = sl_out_reserve(out, size);
    if (at == NULL) return;
    if (size > 0) memcpy(at, data, size);
    out->size += size;
}

static inline void sl_out_append_byte(struct sl_out *out, uint8_t byte)
{
    uint8_t *at = sl_out_reserve(out, 1);
    if (at == NULL) return;
    *at = byte;
    out->size++;
}
