/* SPDX-License-Identifier: MIT */
#include "tests/codecs/flat/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"

enum { SAMPLE_DEPTH_MAX = 5 };

static uint64_t next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static const char forever[] = "these bytes live for ever and are borrowed from the program text";

static void scalar(struct sl_builder *builder, uint64_t *state)
{
    static const double floats[] = {0.0, -0.0, 1.5, 1e308, 5e-324, INFINITY, -INFINITY, NAN};
    char text[64];
    uint64_t n = next(state);
    switch (next(state) % 12) {
    case 0: sl_build_null(builder); break;
    case 1: sl_build_bool(builder, n & 1); break;
    case 2: sl_build_int(builder, (int64_t)n >> (n % 60)); break;
    case 3: sl_build_uint(builder, n | UINT64_C(1) << 63); break;
    case 4: sl_build_float(builder, floats[n % 8]); break;
    case 5: sl_build_float(builder, (double)(int64_t)n / 1000.0); break;
    case 6:
        sl_build_string(builder, text,
                        (size_t)snprintf(text, sizeof(text), "text %u", (unsigned)n % 1000));
        break;
    case 7: sl_build_string(builder, "", 0); break;
    case 8: sl_build_binary(builder, &n, 1 + n % 8); break;
    case 9: sl_build_time(builder, (int64_t)(n % 4000000000), (uint32_t)(n % 1000000000)); break;
    case 10:
        sl_build_duration(builder, (int64_t)(n % 7200) - 3600, (uint32_t)(n % 1000000000));
        break;
    default: sl_build_string_borrow(builder, NULL, forever, n % sizeof(forever)); break;
    }
}

static void key(struct sl_builder *builder, uint64_t *state)
{
    char text[64];
    uint64_t n = next(state);
    int size = snprintf(text, sizeof(text), n & 1 ? "k%u" : "a rather long key %u",
                        (unsigned)(n >> 8) % 100);
    sl_build_key(builder, text, (size_t)size);
}

/* Recursion is bounded by SAMPLE_DEPTH_MAX. */
static void value_build(struct sl_builder *builder, uint64_t *state, int depth, uint32_t width);

static void shared(struct sl_builder *builder, uint64_t *state, int depth, uint32_t width)
{
    struct sl_builder inner;
    struct sl_value value;
    sl_builder_init(&inner, builder->mem, 0, 0);
    value_build(&inner, state, depth, width);
    int result = sl_builder_finish(&inner, &value);
    sl_assert(result == 0);
    sl_build_list_begin(builder);
    sl_build_value(builder, value);
    sl_build_value(builder, value);
    sl_build_list_end(builder);
    sl_value_unref(value);
}

static void value_build(struct sl_builder *builder, uint64_t *state, int depth, uint32_t width)
{
    uint64_t n = next(state);
    uint32_t count = (uint32_t)(next(state) % (width + 1));
    if (depth >= SAMPLE_DEPTH_MAX) n = 0;
    switch (n % 8) {
    case 1:
    case 2:
        sl_build_list_begin(builder);
        for (uint32_t i = 0; i < count; i++) value_build(builder, state, depth + 1, width);
        sl_build_list_end(builder);
        break;
    case 3:
    case 4:
        if (n % 5 == 0) count += 20;
        sl_build_map_begin(builder);
        for (uint32_t i = 0; i < count; i++) {
            key(builder, state);
            value_build(builder, state, depth + (count > 20 ? 3 : 1), width);
        }
        sl_build_map_end(builder);
        break;
    case 5: shared(builder, state, depth + 2, width); break;
    case 6: {
        struct sl_value cause = sl_value_new_error(builder->mem, "inner", 0, "inner %u", count);
        struct sl_value data = sl_value_new_int(builder->mem, count);
        sl_build_error(builder, SL_SLICE("outer"), SL_SLICE("message"), cause,
                       n & 8 ? data : sl_value_none(), n & 16 ? 404 : 0);
        sl_value_unref(cause);
        sl_value_unref(data);
        break;
    }
    default: scalar(builder, state);
    }
}

struct sl_value sample_make(struct sl_mem *mem, uint64_t seed)
{
    struct sl_builder builder;
    struct sl_value value;
    uint64_t state = seed;
    sl_builder_init(&builder, mem, 0, 0);
    value_build(&builder, &state, seed % 4 == 0 ? SAMPLE_DEPTH_MAX - 1 : 0,
                seed < SAMPLE_SHAPES_COUNT ? 3 : 6);
    int result = sl_builder_finish(&builder, &value);
    sl_assert(result == 0);
    return value;
}
