/* SPDX-License-Identifier: MIT */
/*
 * Values made from a seed, for tests: all kinds, nested, shared by Refs, with borrowed strings and
 * large maps. The same seed makes the same value.
 */
#pragma once

#include "codecs/flat/flat.h"

enum {
    SAMPLE_SHAPES_COUNT = 40,
};

/* A value of its own for each seed; small seeds (below SAMPLE_SHAPES_COUNT) are small values. */
struct sl_value sample_make(struct sl_mem *mem, uint64_t seed);
