/* SPDX-License-Identifier: MIT */
/*
 * Sealing: one contiguous FlatBuffer of payload.fbs. Its tables always have the same place and
 * every field is written, so everything before the cells is one struct:
 *
 *     0 | head, 88 bytes | cells, 16 each | size of bytes, 4 | bytes … | zeros up to 8 |
 *
 * Others may lay the same tables out differently; open.c reads whatever the format allows.
 */
#include "codecs/flat/flat_head.h"
#include "codecs/flat/flat_internal.h"

#include <errno.h>

enum {
    SEAL_BYTES_OFF = sizeof(struct flat_head) + sizeof(uint32_t), /* with no cells */
};

static size_t sealed_size(const struct sl_flat_plan *plan)
{
    size_t whole = SEAL_BYTES_OFF + (size_t)plan->cells * sizeof(struct sl_cell);
    return (whole + (size_t)plan->bytes + 7) & ~(size_t)7;
}

int sl_flat_plan(struct sl_value value, struct sl_flat_plan *ret_plan)
{
    sl_assert(value.cell != NULL);
    sl_assert(ret_plan != NULL);
    struct flat_size size;
    int result = flat_measure(value, FLAT_WALK_LAZIES, &size);
    if (result < 0) return result;
    *ret_plan = (struct sl_flat_plan){.cells = (uint32_t)size.cells, .bytes = (uint32_t)size.bytes};
    ret_plan->size = sealed_size(ret_plan);
    return 0;
}

void sl_flat_seal_plan(struct sl_value value, const struct sl_flat_envelope *envelope,
                       const struct sl_flat_plan *plan, void *out)
{
    static const struct sl_flat_envelope none;
    sl_assert(value.cell != NULL);
    sl_assert((uintptr_t)out % 8 == 0);
    sl_assert(plan->cells > 0);
    flat_head_write(out, envelope != NULL ? envelope : &none, plan->cells);
    uint8_t *cells = (uint8_t *)out + sizeof(struct flat_head);
    uint8_t *bytes = cells + plan->cells * sizeof(struct sl_cell);
    memcpy(bytes, &plan->bytes, sizeof(plan->bytes));
    bytes += sizeof(plan->bytes);
    flat_write(value, (struct sl_cell *)cells, plan->cells, bytes);
    bytes += plan->bytes;
    memset(bytes, 0, plan->size - (size_t)(bytes - (uint8_t *)out));
}

int sl_flat_sealed_size(struct sl_value value, size_t *ret_size)
{
    struct sl_flat_plan plan;
    sl_assert(ret_size != NULL);
    int result = sl_flat_plan(value, &plan);
    if (result == 0) *ret_size = plan.size;
    return result;
}

int sl_flat_seal(struct sl_value value, const struct sl_flat_envelope *envelope, void *out,
                 size_t out_size, size_t *ret_size)
{
    sl_assert(ret_size != NULL);
    struct sl_flat_plan plan;
    int result = sl_flat_plan(value, &plan);
    if (result < 0) return result;
    if (plan.size > out_size) return -ENOSPC;
    sl_flat_seal_plan(value, envelope, &plan, out);
    *ret_size = plan.size;
    return 0;
}

int sl_flat_seal_dup(struct sl_value value, const struct sl_flat_envelope *envelope,
                     uint8_t **ret_data, size_t *ret_size)
{
    sl_assert(ret_data != NULL);
    sl_assert(ret_size != NULL);
    struct sl_flat_plan plan;
    int result = sl_flat_plan(value, &plan);
    if (result < 0) return result;
    uint8_t *data = malloc(plan.size);
    if (data == NULL) return -ENOMEM;
    sl_flat_seal_plan(value, envelope, &plan, data);
    *ret_data = data;
    *ret_size = plan.size;
    return 0;
}
