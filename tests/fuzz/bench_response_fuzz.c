/* SPDX-License-Identifier: MIT */
/*
 * The generator's response reader: the same bytes fed whole, and cut at a place that the first byte
 * says, must end in the same state with the same body. The second byte's lowest bit: a HEAD reply.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "bench/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    int err;
    enum sl_response_state state;
    uint16_t status;
    bool keep_alive;
    uint64_t body_size;
    uint64_t body_hash;
    size_t used;
};

static void body_hash(void *ctx, const uint8_t *data, size_t size)
{
    struct reading *reading = ctx;
    for (size_t i = 0; i < size; i++) {
        reading->body_hash = (reading->body_hash ^ data[i]) * UINT64_C(1099511628211);
    }
}

static struct reading read_in_steps(const uint8_t *data, size_t size, size_t step, bool is_head)
{
    struct reading reading = {.err = 0};
    struct sl_response response = {.body = body_hash, .body_ctx = &reading};
    sl_response_reset(&response, is_head);
    while (reading.used < size && reading.err == 0 && response.state != SL_RESPONSE_DONE) {
        size_t part = size - reading.used < step ? size - reading.used : step;
        size_t used = 0;
        reading.err = sl_response_feed(&response, data + reading.used, part, &used);
        if (used > part) abort();
        if (reading.err == 0) reading.used += used;
    }
    reading.state = response.state;
    reading.status = response.status;
    reading.keep_alive = response.keep_alive;
    reading.body_size = response.body_size;
    sl_response_fini(&response);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    bool is_head = (data[1] & 1) != 0;
    size_t step = (size_t)data[0] % 64 + 1;
    struct reading whole = read_in_steps(data + 2, size - 2, size, is_head);
    struct reading cut = read_in_steps(data + 2, size - 2, step, is_head);
    if (whole.err != cut.err) abort();
    if (whole.err != 0) return 0;
    if (whole.state != cut.state || whole.used != cut.used) abort();
    if (whole.status != cut.status || whole.keep_alive != cut.keep_alive) abort();
    if (whole.body_size != cut.body_size || whole.body_hash != cut.body_hash) abort();
    return 0;
}
