/* SPDX-License-Identifier: MIT */
/* What a bare server must know of HTTP: where a head ends. For requests without a body. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Count the heads that end in these bytes.
 *
 * match  of the connection, 0 at first: how much of CR LF CR LF was seen at the end of the last bytes
 */
static inline uint32_t sl_heads_count(uint8_t *match, const uint8_t *data, size_t size)
{
    uint32_t heads = 0;
    uint8_t seen = *match; /* in a register: a byte may alias the data */
    for (size_t i = 0; i < size;) {
        if (seen == 0) { /* the usual case: memchr finds the few line ends quickly */
            const uint8_t *next = memchr(data + i, '\r', size - i);
            if (next == NULL) break;
            i = (size_t)(next - data) + 1;
            seen = 1;
            continue;
        }
        uint8_t wanted = (seen & 1) != 0 ? '\n' : '\r';
        seen = data[i] == wanted ? (uint8_t)(seen + 1) : 0;
        i++;
        if (seen < 4) continue;
        heads++;
        seen = 0;
    }
    *match = seen;
    return heads;
}
