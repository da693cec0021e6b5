/* SPDX-License-Identifier: MIT */
#include "nodes/script/cel/walk.h"

#include "core/base/assertion.h"

static void step_init(struct sl_cel_step *step, const struct sl_cel_key *key)
{
    const uint8_t *data = key->data;
    uint32_t size = key->size;
    *step = (struct sl_cel_step){.head = key->head,
                                 .bytes = data,
                                 .size = size,
                                 .hash = key->hash,
                                 .inside = UINTPTR_MAX,
                                 .shape = SL_CEL_STEP_LONG,
                                 .words = {UINT64_MAX}}; /* no short text is that */
    if (size > 16) return;
    if (size >= 8) {
        step->shape = SL_CEL_STEP_EIGHT;
        step->words[0] = sl_cel_load64(data);
        step->words[1] = sl_cel_load64(data + size - 8);
    } else if (size >= 4) {
        step->shape = SL_CEL_STEP_FOUR;
        step->words[0] = sl_cel_load32(data);
        step->words[1] = sl_cel_load32(data + size - 4);
    } else {
        step->shape = SL_CEL_STEP_SHORT;
        step->words[0] = sl_cel_load_short(data, size);
    }
}

void sl_cel_steps_init(struct sl_cel_step *steps, const struct sl_cel_key *keys, uint32_t count)
{
    sl_assert(steps != NULL);
    for (uint32_t i = 0; i < count; i++) step_init(&steps[i], &keys[i]);
}

const struct sl_cell *sl_cel_step_search(struct sl_value map, struct sl_cel_step *step)
{
    sl_assert(map.cell->kind == SL_VALUE_MAP);
    int64_t pair = sl_value_find_hashed(map, step->bytes, step->size, step->hash);
    if (pair < 0) return NULL;
    const struct sl_cell *key = &map.buf->cells[map.cell->word + 2 * (uint64_t)pair];
    step->hint = (uint32_t)pair;
    step->inside = (key->flags & SL_CELL_POINTER) ? 0 : UINTPTR_MAX;
    memcpy(&step->head, key, sizeof(step->head));
    return key + 1;
}

/* The rest of a walk in all ways. */
static __attribute__((noinline)) struct sl_value
walk_search(struct sl_value at, struct sl_cel_step *step, const struct sl_cel_step *end)
{
    at = sl_value_at_cell(at.buf, at.cell);
    for (; step < end; step++) {
        const struct sl_cell *cell = NULL;
        if (__builtin_expect(at.cell->kind == SL_VALUE_MAP, 1)) cell = sl_cel_step_find(at, step);
        if (__builtin_expect(cell == NULL, 0)) return sl_value_none();
        at = sl_value_at_cell(at.buf, cell);
    }
    return at;
}

struct sl_value sl_cel_walk(struct sl_value at, struct sl_cel_step *step, uint32_t count)
{
    sl_assert_slow(count > 0);
    const struct sl_cel_step *end = step + count;
    step = sl_cel_walk_guess(&at, step, end);
    if (__builtin_expect(step != end || at.cell->kind >= SL_VALUE_REF, 0)) {
        return walk_search(at, step, end);
    }
    return at;
}
