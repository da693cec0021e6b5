/* SPDX-License-Identifier: MIT */
/*
 * Paths into payloads: self.body["user"].age as a row of steps, one per key.
 *
 * A step holds all that is compared with the cell of a key, and where and how that key stood the last
 * time: payloads of one kind have their keys in the same order, and their texts all in the buffer or
 * all elsewhere. Steps belong to an instance, so to one thread.
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
    uint64_t head; /* first word of the key's cell in the map that had it last */
    uint64_t words[2];
    const uint8_t *bytes;
    uint32_t size;
    uint16_t shape; /* enum sl_cel_step_shape */
    uint16_t hash;
    uintptr_t inside; /* all ones: the cell's text was in the buffer's bytes; zero: at an address */
    uint32_t hint;    /* pair number in that map */
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

/* True if `bytes`, of the step's size, are the key; false if it is SL_CEL_STEP_LONG. */
static inline bool sl_cel_step_fits_short(const struct sl_cel_step *step, const uint8_t *bytes)
{
    uint32_t size = step->size;
    if (step->shape == SL_CEL_STEP_FOUR) {
        return sl_cel_load32(bytes) == (uint32_t)step->words[0] &&
               sl_cel_load32(bytes + size - 4) == (uint32_t)step->words[1];
    }
    if (step->shape == SL_CEL_STEP_EIGHT) {
        return sl_cel_load64(bytes) == step->words[0] &&
               sl_cel_load64(bytes + size - 8) == step->words[1];
    }
    return sl_cel_load_short(bytes, size) == step->words[0];
}

/* True if `bytes`, of the step's size, are the key. */
static inline bool sl_cel_step_fits(const struct sl_cel_step *step, const uint8_t *bytes)
{
    if (__builtin_expect(step->shape == SL_CEL_STEP_LONG, 0)) {
        return memcmp(bytes, step->bytes, step->size) == 0;
    }
    return sl_cel_step_fits_short(step, bytes);
}

/*
 * The key of a map where it stood the last time, if its cell is the same but for where its bytes are:
 * those are yet to be compared. Else NULL.
 */
static inline const struct sl_cell *sl_cel_step_guess(struct sl_value map,
                                                      const struct sl_cel_step *step)
{
    const struct sl_cell *key = &map.buf->cells[map.cell->word] + 2 * (uint64_t)step->hint;
    uint64_t head;
    if (__builtin_expect(step->hint >= map.cell->len, 0)) return NULL;
    memcpy(&head, key, sizeof(head));
    return __builtin_expect(head == step->head, 1) ? key : NULL;
}

/* The bytes of a guessed key. */
static inline const uint8_t *sl_cel_step_bytes(struct sl_value map, const struct sl_cel_step *step,
                                               const struct sl_cell *key)
{
    return (const uint8_t *)(((uintptr_t)map.buf->bytes & step->inside) + key->word);
}

/* One step: the cell behind a key of a map, or NULL; Refs and Lazies are not followed. */
static inline const struct sl_cell *sl_cel_step_find(struct sl_value map, struct sl_cel_step *step)
{
    const struct sl_cell *key = sl_cel_step_guess(map, step);
    if (__builtin_expect(key != NULL, 1) &&
        __builtin_expect(sl_cel_step_fits(step, sl_cel_step_bytes(map, step, key)), 1)) {
        return key + 1;
    }
    return sl_cel_step_search(map, step);
}

/* What stands for another value: false if that has to be made first, then `at` is what makes it. */
static inline bool sl_cel_walk_resolve(struct sl_value *at)
{
    if (at->cell->kind == SL_VALUE_REF) {
        *at = (struct sl_value){at->cell->ref, &at->cell->ref->cells[at->cell->len]};
    }
    if (at->cell->kind != SL_VALUE_LAZY) return true;
    struct sl_value made = at->buf->lazies[at->cell->len].value;
    if (made.cell == NULL) return false;
    *at = made;
    return true;
}

/*
 * Walk steps from `step` up to `end`, as long as each key stands where it did. Nothing is called.
 *
 * at       where to begin; where it ended
 * returns  the step at which more has to be looked at; `end`, where all is done: what was found may
 *          be a Ref or a Lazy
 */
static inline __attribute__((always_inline)) struct sl_cel_step *
sl_cel_walk_guess(struct sl_value *at, struct sl_cel_step *step, const struct sl_cel_step *end)
{
    for (; step != end; step++) {
        if (__builtin_expect(at->cell->kind != SL_VALUE_MAP, 0)) {
            if (!sl_cel_walk_resolve(at) || at->cell->kind != SL_VALUE_MAP) return step;
        }
        const struct sl_cell *key = sl_cel_step_guess(*at, step);
        if (__builtin_expect(key == NULL, 0)) return step;
        const uint8_t *bytes = sl_cel_step_bytes(*at, step, key);
        if (__builtin_expect(!sl_cel_step_fits_short(step, bytes), 0)) return step;
        at->cell = key + 1;
    }
    return step;
}
