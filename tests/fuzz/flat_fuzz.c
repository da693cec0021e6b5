/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a sealed packet: refused, or as good as one of ours. What opens is read to the
 * last cell, compared, and sealed again into bytes that open to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/flat/flat_view.h"
#include "core/base/assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *seal(struct sl_value value, size_t *ret_size)
{
    uint8_t *data = NULL;
    int result = sl_flat_seal_dup(value, NULL, &data, ret_size);
    sl_assert(result == 0);
    return data;
}

static void check(const uint8_t *data, size_t size)
{
    struct sl_value opened, borrowed;
    size_t one_size, two_size;
    int result = sl_flat_open(data, size, NULL, NULL, &opened);
    sl_assert(result == 0);
    result = sl_flat_open_borrow(data, size, NULL, NULL, &borrowed);
    sl_assert(result == 0);
    sl_assert(opened.buf->depth <= SL_PAYLOAD_DEPTH_MAX);
    sl_assert(opened.buf->depth == borrowed.buf->depth);
    (void)sl_value_equal(opened, borrowed);
    uint8_t *one = seal(opened, &one_size);
    uint8_t *two = seal(borrowed, &two_size);
    sl_assert(one_size == two_size);
    sl_assert(memcmp(one, two, one_size) == 0);
    sl_assert(sl_flat_verify(one, one_size, NULL) == 0);
    sl_value_unref(opened);
    sl_value_unref(borrowed);
    free(one);
    free(two);
}

/* What the quick look at our own layout finds is what is found table by table. */
static void views_check(const uint8_t *data, size_t size)
{
    struct flat_view quick, slow;
    if (!flat_view_open(data, size, &quick)) return;
    bool is_found = flat_view_open_tables(data, size, &slow);
    sl_assert(is_found);
    sl_assert(quick.envelope.process == slow.envelope.process);
    sl_assert(quick.envelope.source == slow.envelope.source);
    sl_assert(quick.envelope.target == slow.envelope.target);
    sl_assert(quick.envelope.flags == slow.envelope.flags);
    sl_assert(quick.cells == slow.cells);
    sl_assert(quick.cells_count == slow.cells_count);
    sl_assert(quick.bytes == slow.bytes);
    sl_assert(quick.bytes_size == slow.bytes_size);
    sl_assert(quick.root == slow.root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Aligned as open_borrow wants it, and of the exact size. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) return 0;
    if (size > 0) memcpy(copy, data, size);
    views_check(copy, size);
    if (sl_flat_verify(copy, size, NULL) == 0) check(copy, size);
    free(copy);
    return 0;
}
