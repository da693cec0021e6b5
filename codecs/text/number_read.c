/* SPDX-License-Identifier: MIT */
/*
 * Decimal text to double. Three ways, each exact or silent: one multiplication or division of
 * doubles where both sides are exact (Clinger), the 128-bit product with a power of ten (Lemire),
 * and strtod for the few that lie too near to the middle between two doubles.
 */
#include "codecs/text/number.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/text/number_private.h"
#include "core/base/assertion.h"

enum {
    READ_EXPONENT_MIN = -342, /* below: 19 digits are less than half of the least double */
    READ_EXPONENT_MAX = 308,
    READ_EXPONENT_CLAMP = 1000000,
    READ_DIGITS_FAST = 19,    /* what always fits 64 bits */
    READ_DIGITS_SLOW = 800,   /* more than any middle between two doubles has: 767 */
    READ_CLINGER_MAX = 22,    /* 10^22 is an exact double */
    READ_EXACT_POSITIVE = 55, /* 5^55 < 2^128: the table's entry is exact */
    READ_EXACT_NEGATIVE = -27,
};

static const double exact_powers[READ_CLINGER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* The product of a normalised mantissa with 10^exponent, to 128 bits where that matters. */
static struct text_u128 product_get(uint64_t mantissa, int32_t exponent)
{
    struct text_pow10 power = text_pow10(exponent);
    /* The proof wants powers rounded down, except for the small reciprocals. */
    if (exponent > READ_EXACT_POSITIVE || exponent < READ_EXACT_NEGATIVE) {
        power.high -= power.low == 0;
        power.low--;
    }
    struct text_u128 first = text_multiply(mantissa, power.high);
    const uint64_t precision_mask = UINT64_MAX >> 55;
    if ((first.high & precision_mask) == precision_mask) {
        struct text_u128 second = text_multiply(mantissa, power.low);
        first.low += second.high;
        first.high += second.high > first.low;
    }
    return first;
}

static double from_bits(uint64_t mantissa, int32_t exponent)
{
    uint64_t bits = mantissa | (uint64_t)exponent << 52;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double subnormal_get(uint64_t mantissa, int32_t power2)
{
    if (-power2 + 1 >= 64) return 0.0;
    mantissa >>= -power2 + 1;
    mantissa += mantissa & 1;
    mantissa >>= 1;
    /* Rounding up may have made the smallest normal number: then the bit is the exponent. */
    return from_bits(mantissa, 0);
}

/* mantissa * 10^exponent, mantissa not 0. */
static bool scale_wide(uint64_t mantissa, int32_t exponent, double *ret_value)
{
    int zeros = __builtin_clzll(mantissa);
    struct text_u128 product = product_get(mantissa << zeros, exponent);
    if (product.low == UINT64_MAX &&
        (exponent < READ_EXACT_NEGATIVE || exponent > READ_EXACT_POSITIVE)) {
        return false;
    }
    int upper = (int)(product.high >> 63);
    int shift = upper + 64 - 52 - 3;
    uint64_t result = product.high >> shift;
    /* floor(log2(10^exponent)) by multiplication, the bias of a double, the shifts above. */
    int32_t power2 = ((217706 * exponent) >> 16) + 63 + upper - zeros + 1023;
    if (power2 <= 0) {
        *ret_value = subnormal_get(result, power2);
        return true;
    }
    /* Exactly in the middle, which only small exponents can reach: to even. */
    if (product.low <= 1 && exponent >= -4 && exponent <= 23 && (result & 3) == 1 &&
        result << shift == product.high) {
        result &= ~UINT64_C(1);
    }
    result += result & 1;
    result >>= 1;
    if (result >= UINT64_C(2) << 52) {
        result = UINT64_C(1) << 52;
        power2++;
    }
    result &= ~(UINT64_C(1) << 52);
    *ret_value = power2 >= 0x7ff ? from_bits(0, 0x7ff) : from_bits(result, power2);
    return true;
}

bool sl_text_float_scale(uint64_t mantissa, int32_t exponent, double *ret_value)
{
    if (mantissa <= UINT64_C(1) << 53 && exponent >= -READ_CLINGER_MAX &&
        exponent <= READ_CLINGER_MAX) {
        double value = (double)mantissa;
        *ret_value =
            exponent < 0 ? value / exact_powers[-exponent] : value * exact_powers[exponent];
        return true;
    }
    if (mantissa == 0 || exponent < READ_EXPONENT_MIN) {
        *ret_value = 0.0;
        return true;
    }
    if (exponent > READ_EXPONENT_MAX) {
        *ret_value = __builtin_inf();
        return true;
    }
    return scale_wide(mantissa, exponent, ret_value);
}

/* A number taken apart: the digits that count, and where the point stands. */
struct decimal {
    const char *text;
    size_t digits_end; /* of the part before the exponent */
    size_t first;      /* first digit that is not 0, or digits_end */
    size_t point;      /* of the '.', or digits_end */
    int64_t exponent;  /* as written, clamped */
};

static int64_t exponent_read(const char *text, size_t size)
{
    size_t at = 0;
    bool negative = at < size && text[at] == '-';
    if (at < size && (text[at] == '-' || text[at] == '+')) at++;
    int64_t exponent = 0;
    for (; at < size; at++) {
        if (exponent < READ_EXPONENT_CLAMP) exponent = exponent * 10 + (text[at] - '0');
    }
    return negative ? -exponent : exponent;
}

static struct decimal decimal_read(const char *text, size_t size)
{
    struct decimal decimal = {.text = text};
    size_t at = 0;
    while (at < size && (text[at] == '0' || text[at] == '.')) at++;
    decimal.first = at;
    while (at < size && text[at] != 'e' && text[at] != 'E') at++;
    decimal.digits_end = at;
    if (at < size) decimal.exponent = exponent_read(text + at + 1, size - at - 1);
    const char *point = memchr(text, '.', at);
    decimal.point = point != NULL ? (size_t)(point - text) : at;
    return decimal;
}

/*
 * Copy up to `max` digits that count to `out`.
 *
 * ret_exponent  of ten, for the copied digits read as an integer
 * ret_more      true if digits other than 0 were left out
 */
static size_t digits_copy(const struct decimal *decimal, char *out, size_t max,
                          int64_t *ret_exponent, bool *ret_more)
{
    size_t count = 0, at = decimal->first;
    size_t taken_end = at; /* behind the last digit that was copied */
    *ret_more = false;
    for (; at < decimal->digits_end; at++) {
        if (decimal->text[at] == '.') continue;
        if (count < max) {
            out[count++] = decimal->text[at];
            taken_end = at + 1;
        } else if (decimal->text[at] != '0') {
            *ret_more = true;
            break;
        }
    }
    /* Digits between the last one taken and the point, or behind the point up to it. */
    int64_t exponent = decimal->exponent;
    if (taken_end <= decimal->point) {
        exponent += (int64_t)(decimal->point - taken_end);
    } else {
        exponent -= (int64_t)(taken_end - decimal->point - 1);
    }
    *ret_exponent = exponent;
    return count;
}

/* What the fast way could not decide, by the C library; without a point no locale matters. */
static __attribute__((cold, noinline)) double read_slow(const struct decimal *decimal)
{
    char text[READ_DIGITS_SLOW + 32];
    int64_t exponent;
    bool more;
    size_t size = digits_copy(decimal, text, READ_DIGITS_SLOW, &exponent, &more);
    if (more) { /* a digit beyond all that can decide: only that it is there matters */
        text[size++] = '1';
        exponent--;
    }
    text[size++] = 'e';
    size += sl_text_int_write(exponent, text + size);
    text[size] = 0;
    return strtod(text, NULL);
}

double sl_text_float_read(const char *text, size_t size)
{
    sl_assert(size > 0);
    bool negative = text[0] == '-';
    struct decimal decimal = decimal_read(text + negative, size - negative);
    char digits[READ_DIGITS_FAST];
    int64_t exponent;
    bool more;
    double value = 0.0, above;
    size_t count = digits_copy(&decimal, digits, READ_DIGITS_FAST, &exponent, &more);
    uint64_t mantissa = 0;
    for (size_t i = 0; i < count; i++) mantissa = mantissa * 10 + (uint64_t)(digits[i] - '0');
    if (exponent > READ_EXPONENT_CLAMP) exponent = READ_EXPONENT_CLAMP;
    if (exponent < -READ_EXPONENT_CLAMP) exponent = -READ_EXPONENT_CLAMP;
    bool known = sl_text_float_scale(mantissa, (int32_t)exponent, &value);
    if (more && known) { /* the truth lies between this and the next mantissa */
        known = sl_text_float_scale(mantissa + 1, (int32_t)exponent, &above) && above == value;
    }
    if (!known) value = read_slow(&decimal);
    return negative ? -value : value;
}
