/* SPDX-License-Identifier: MIT */
/*
 * Paths into payloads: self.body["user"].age as a row of steps, one per key.
 *
 * A step holds all that is compared with the cell of a key, and where that key stood the last time:
 * payloads of one kind have their keys in the same order. Steps belong to an instance, so to one
 * thread.
 */
#pragma once

#include "nodes/script/cel/program.h"

enum sl_cel_step_shape {
    SL_CEL_STEP_SHORT, /* up to 3 bytes: the first two and the last one */
    SL_CEL_STEP_FOUR,  /* 4 to 7 bytes: the first and the last four */
    SL_CEL_STEP_EIGHT, /* 8 to 16 bytes: the first and the last eight */
    SL_CEL_STEP_LONG,  /* compared with the key's own bytes */
};

struct sl_cel_step {
    uint64_t head; /* first word of the cell of such a key, flags 0 */
    uint64_t words[2];
    const uint8_t *bytes;
    uint32_t size;
    uint16_t shape; /* enum sl_cel_step_shape */
    uint16_t hash;
    uint32_t hint; /* pair number in the map that had it last */
};

/* Fill steps for an array of `count` keys. */
void sl_cel_steps_init(struct sl_cel_step *steps, const struct sl_cel_key *keys, uint32_t count);

/* The value of a key that is not where it stood the last time, or NULL. */
const struct sl_cell *sl_cel_step_search(struct sl_value map, struct sl_cel_step *step);

/*
 * Walk `count` >= 1 keys through maps of a payload.
 *
 * at       any value of a payload
 * returns  the value (never a Ref, never a Lazy); cell == NULL: a key is not there, or what it is
 *          asked of is no map
 */
struct sl_value sl_cel_walk(struct sl_value at, struct sl_cel_step *step, uint32_t count);

/* The first word of a key's cell without its flags. */
#define SL_CEL_KEY_MASK (~UINT64_C(0xff00))

static_assert(offsetof(struct sl_cell, flags) == 1, "SL_CEL_KEY_MASK leaves the flags out");

static inline uint64_t sl_cel_load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static inline uint32_t sl_cel_load32(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

/* Equality of two texts of `size` bytes; short ones without a call. */
static inline bool sl_cel_same_bytes(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    if (size > 16) return memcmp(a, b, size) == 0;
    if (size >= 8) {
        return ((sl_cel_load64(a) ^ sl_cel_load64(b)) |
                (sl_cel_load64(a + size - 8) ^ sl_cel_load64(b + size - 8))) == 0;
    }
    if (size >= 4) {
        return ((sl_cel_load32(a) ^ sl_cel_load32(b)) |
                (sl_cel_load32(a + size - 4) ^ sl_cel_load32(b + size - 4))) == 0;
    }
    if (size == 0) return true;
    return a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1];
}

/* Up to three bytes in one word. */
static inline uint64_t sl_cel_load_short(const uint8_t *from, uint32_t size)
{
    if (size < 2) return size == 0 ? 0 : from[0];
    uint16_t first;
    memcpy(&first, from, sizeof(first));
    return first | (uint32_t)from[size - 1] << 16;
}

/* True if `bytes`, of the step's size, are the key. */
static inline bool sl_cel_step_fits(const struct sl_cel_step *step, const uint8_t *bytes)
{
    uint32_t size = step->size;
    switch ((enum sl_cel_step_shape)step->shape) {
    case SL_CEL_STEP_FOUR:
        return sl_cel_load32(bytes) == (uint32_t)step->words[0] &&
               sl_cel_load32(bytes + size - 4) == (uint32_t)step->words[1];
    case SL_CEL_STEP_EIGHT:
        return sl_cel_load64(bytes) == step->words[0] &&
               sl_cel_load64(bytes + size - 8) == step->words[1];
    case SL_CEL_STEP_SHORT: return sl_cel_load_short(bytes, size) == step->words[0];
    default: return memcmp(bytes, step->bytes, size) == 0;
    }
}

/* One step: the cell behind a key of a map, or NULL; Refs and Lazies are not followed. */
static inline const struct sl_cell *sl_cel_step_find(struct sl_value map, struct sl_cel_step *step)
{
    const struct sl_cell *cell = &map.buf->cells[map.cell->word] + 2 * (uint64_t)step->hint;
    if (__builtin_expect(step->hint < map.cell->len, 1)) {
        uint64_t head;
        memcpy(&head, cell, sizeof(head));
        if (__builtin_expect((head & SL_CEL_KEY_MASK) == step->head, 1) &&
            __builtin_expect(sl_cel_step_fits(step, sl_cell_bytes(map.buf, cell)), 1)) {
            return cell + 1;
        }
    }
    return sl_cel_step_search(map, step);
}
