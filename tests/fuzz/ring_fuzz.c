/* SPDX-License-Identifier: MIT */
/*
 * A hostile other side of a ring. The input is a list of 11-byte steps: what to do, where to write
 * (2 bytes, in words of the block), what to write (8 bytes). Both ends live on the same block, each as
 * the victim of the writes; none may touch anything outside, or be caught by an assertion.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/ring/ring.h"
#include "core/ring/ring_fast.h"

enum { DATA_SIZE = 4096, SLAB_SIZE = 32768, STEP_SIZE = 11 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(uint8_t *block, struct sl_ring_producer *producer,
                 struct sl_ring_consumer *consumer, const uint8_t *input)
{
    static uint8_t buf[SL_RING_RECORD_SIZE_MAX];
    size_t words = (sizeof(struct sl_ring_head) + 1024 + DATA_SIZE) / 8;
    uint16_t at;
    size_t got;
    uint32_t kind;
    memcpy(&at, input + 1, sizeof(at));
    bool broken = consumer->map.broken;
    int r;
    switch (input[0] % 6) {
    case 0: (void)sl_ring_push(producer, 1, buf, at % 2100); break;
    case 1: (void)sl_ring_push(producer, 2, buf, at); break;
    case 2: (void)sl_ring_publish(producer); break;
    case 3:
        r = sl_ring_copy(consumer, buf, sizeof(buf), &got, &kind);
        sl_assert(!broken || r == -EPROTO);
        sl_assert(r != 1 || got <= sizeof(buf));
        break;
    case 4: (void)sl_ring_release(consumer); break;
    default: memcpy(block + (at % words) * 8, input + 3, 8); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t block_size = sl_ring_block_size(DATA_SIZE, SLAB_SIZE);
    uint8_t *block = aligned_alloc(128, (block_size + 127) / 128 * 128);
    struct sl_ring_producer *producer = malloc(sizeof(*producer));
    struct sl_ring_consumer consumer;
    sl_assert(block != NULL);
    sl_assert(producer != NULL);
    memset(block, 0, block_size);
    sl_ring_format(block, DATA_SIZE, SLAB_SIZE);
    sl_assert(sl_ring_producer_attach(producer, block, block_size, true) == 0);
    sl_assert(sl_ring_consumer_attach(&consumer, block, block_size, true) == 0);
    for (size_t at = 0; at + STEP_SIZE <= size && at < 4096; at += STEP_SIZE)
        step(block, producer, &consumer, data + at);
    free(producer);
    free(block);
    return 0;
}
