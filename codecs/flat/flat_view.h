/* SPDX-License-Identifier: MIT */
/*
 * The tables of sealed bytes, in bounds but with unchecked cells. For this folder only.
 */
#pragma once

#include "codecs/flat/flat.h"

struct flat_view {
    struct sl_flat_envelope envelope;
    const uint8_t *cells; /* array of cells_count, 8-aligned if the data is */
    const uint8_t *bytes; /* NULL if the vector is left out */
    uint32_t cells_count; /* 1..SL_PAYLOAD_CELLS_MAX */
    uint32_t bytes_size;
    uint32_t root; /* unchecked */
};

/* Find the tables of a packet; false if anything is out of bounds, misaligned or missing. */
bool flat_view_open(const uint8_t *data, size_t size, struct flat_view *ret_view);

/* The same of any layout, table by table, with counts that are not yet checked: for tests, too. */
bool flat_view_open_tables(const uint8_t *data, size_t size, struct flat_view *ret_view);
