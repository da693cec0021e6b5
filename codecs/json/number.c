/* SPDX-License-Identifier: MIT */
/* Numbers of JSON texts: integers exact to 64 bits, everything else a double. */
#include "codecs/json/json_private.h"

#include <math.h>

#include "codecs/text/number.h"

static bool float_read(const char *text, size_t size, struct sl_cell *ret_cell)
{
    double value = sl_text_float_read(text, size);
    if (isinf(value)) return false;
    *ret_cell = (struct sl_cell){.kind = SL_VALUE_FLOAT, .f64 = value};
    return true;
}

bool json_number_read(const char *text, size_t size, bool is_float, struct sl_cell *ret_cell)
{
    if (is_float) return float_read(text, size, ret_cell);
    bool negative = text[0] == '-';
    uint64_t value = 0;
    for (size_t at = negative; at < size; at++) {
        uint64_t digit = (uint64_t)(text[at] - '0');
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return float_read(text, size, ret_cell);
        }
    }
    if (negative) {
        /* Minus zero has no integer; nor has what lies below INT64_MIN. */
        if (value == 0 || value > UINT64_C(1) << 63) return float_read(text, size, ret_cell);
        *ret_cell = (struct sl_cell){.kind = SL_VALUE_INT, .word = 0 - value};
        return true;
    }
    uint8_t kind = value > INT64_MAX ? SL_VALUE_UINT : SL_VALUE_INT;
    *ret_cell = (struct sl_cell){.kind = kind, .word = value};
    return true;
}
