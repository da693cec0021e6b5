/* SPDX-License-Identifier: MIT */
#include "core/mem/out.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/mem/mem.h"

enum { OUT_CAP_MIN = 256 };

void sl_out_init(struct sl_out *out, struct sl_mem *mem)
{
    sl_assert(out != NULL);
    *out = (struct sl_out){.mem = mem, .max = SL_PAYLOAD_BYTES_MAX};
}

void sl_out_init_counting(struct sl_out *out, void *room, size_t size)
{
    sl_assert(out != NULL);
    sl_assert(size > 0);
    *out = (struct sl_out){.data = room, .cap = size, .max = SIZE_MAX, .counting = true};
}

static void block_give(struct sl_mem *mem, uint8_t *data, size_t cap)
{
    if (mem != NULL) {
        sl_mem_give(mem, data, cap);
    } else {
        free(data);
    }
}

void sl_out_fini(struct sl_out *out)
{
    if (!out->counting) block_give(out->mem, out->data, out->cap);
    out->data = NULL;
    out->size = 0;
    out->cap = 0;
}

uint8_t *sl_out_take(struct sl_out *out, size_t *ret_size, size_t *ret_cap)
{
    sl_assert(!out->counting);
    uint8_t *data = out->data;
    *ret_size = out->size;
    *ret_cap = out->cap;
    out->data = NULL;
    out->size = 0;
    out->cap = 0;
    return data;
}

/* After an error nothing fits any more, so that the inline calls come here. */
static uint8_t *fail(struct sl_out *out, int error)
{
    out->error = error;
    sl_out_fini(out);
    return NULL;
}

__attribute__((cold, noinline)) uint8_t *sl_out_reserve_slow(struct sl_out *out, size_t size)
{
    if (out->error != 0) return NULL;
    if (out->counting) {
        sl_assert(size <= out->cap);
        out->counted += out->size;
        out->size = 0;
        return out->data;
    }
    if (size > out->max || out->size > out->max - size) return fail(out, -E2BIG);
    size_t cap = out->cap < OUT_CAP_MIN ? OUT_CAP_MIN : out->cap * 2;
    if (cap < out->size + size) cap = out->size + size;
    if (out->mem != NULL) cap = sl_mem_block_size(cap);
    uint8_t *data = out->mem != NULL ? sl_mem_take(out->mem, cap) : malloc(cap);
    if (data == NULL) return fail(out, -ENOMEM);
    if (out->size > 0) memcpy(data, out->data, out->size);
    block_give(out->mem, out->data, out->cap);
    out->data = data;
    out->cap = cap;
    return data + out->size;
}
