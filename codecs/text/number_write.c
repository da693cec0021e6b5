/* SPDX-License-Identifier: MIT */
/*
 * Integers and doubles to decimal text.
 *
 * A double v = c * 2^q owns the interval of all reals that round to it. Schubfach scales its two
 * borders and v itself by one power of ten such that the interval holds at least one and at most
 * a few integers, and picks: one with a digit less if there is one, else the nearest. Products are
 * rounded to odd, which keeps every comparison that is made with them exact.
 */
#include "codecs/text/number.h"

#include <string.h>

#include "codecs/text/number_private.h"

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

/* Decimal digits of a value, at least one. */
static unsigned digits_count(uint64_t value)
{
    unsigned count = 1;
    for (; value >= 10000; value /= 10000) count += 4;
    if (value >= 1000) return count + 3;
    if (value >= 100) return count + 2;
    return count + (value >= 10);
}

/* Write exactly `count` digits. */
static void digits_write(uint64_t value, char *out, unsigned count)
{
    char *at = out + count;
    while (value >= 100) {
        at -= 2;
        memcpy(at, &digit_pairs[2 * (value % 100)], 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(at - 2, &digit_pairs[2 * value], 2);
    } else {
        at[-1] = (char)('0' + value);
    }
}

size_t sl_text_uint_write(uint64_t value, char *out)
{
    unsigned count = digits_count(value);
    digits_write(value, out, count);
    return count;
}

size_t sl_text_int_write(int64_t value, char *out)
{
    if (value >= 0) return sl_text_uint_write((uint64_t)value, out);
    out[0] = '-';
    return 1 + sl_text_uint_write(0 - (uint64_t)value, out + 1);
}

/* digits * 10^exponent */
struct decimal {
    uint64_t digits;
    int32_t exponent;
};

/* The upper part of a product of 128 by 64 bits; its last bit says that something was cut off. */
static uint64_t multiply_to_odd(struct text_pow10 power, uint64_t value)
{
    struct text_u128 low = text_multiply(power.low, value);
    struct text_u128 high = text_multiply(power.high, value);
    high.low += low.high;
    high.high += high.low < low.high;
    return high.high | (high.low > 1);
}

/* The shortest decimal in the interval of c * 2^q; `border` is true where c is a power of two. */
static struct decimal shortest(uint64_t c, int32_t q, bool border)
{
    bool odd = c & 1; /* the borders of an odd mantissa round away from it */
    int32_t k = (q * 1262611 - (border ? 524031 : 0)) >> 22; /* floor(log10(2^q or 3/4 of it)) */
    int32_t shift = q + ((-k * 1741647) >> 19) + 1;
    struct text_pow10 power = text_pow10(-k);
    uint64_t lower = multiply_to_odd(power, (4 * c - 2 + border) << shift) + odd;
    uint64_t value = multiply_to_odd(power, (4 * c) << shift);
    uint64_t upper = multiply_to_odd(power, (4 * c + 2) << shift) - odd;
    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens;
        bool up = 40 * tens + 40 <= upper;
        if (down != up) return (struct decimal){tens + up, k + 1};
    }
    bool down = lower <= 4 * s;
    bool up = 4 * s + 4 <= upper;
    if (down != up) return (struct decimal){s + up, k};
    uint64_t middle = 4 * s + 2;
    bool round_up = value > middle || (value == middle && (s & 1) != 0);
    return (struct decimal){s + round_up, k};
}

/* Take all zeros off the end, eight, four, two and one at a time; the number is not 0. */
static void zeros_strip(struct decimal *decimal)
{
    while (decimal->digits % 100000000 == 0) {
        decimal->digits /= 100000000;
        decimal->exponent += 8;
    }
    if (decimal->digits % 10000 == 0) {
        decimal->digits /= 10000;
        decimal->exponent += 4;
    }
    if (decimal->digits % 100 == 0) {
        decimal->digits /= 100;
        decimal->exponent += 2;
    }
    if (decimal->digits % 10 == 0) {
        decimal->digits /= 10;
        decimal->exponent += 1;
    }
}

static struct decimal decimal_get(uint64_t mantissa, uint32_t exponent)
{
    struct decimal decimal;
    int32_t q = exponent != 0 ? (int32_t)exponent - 1075 : -1074;
    uint64_t c = exponent != 0 ? mantissa | UINT64_C(1) << 52 : mantissa;
    if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
        decimal = (struct decimal){c >> -q, 0}; /* an integer below 2^53 */
    } else {
        decimal = shortest(c, q, mantissa == 0 && exponent > 1);
    }
    zeros_strip(&decimal);
    return decimal;
}

/* 0.000123 */
static size_t write_fraction(const char *digits, unsigned count, int32_t point, char *out)
{
    size_t zeros = (size_t)-point;
    memcpy(out, "0.", 2);
    memset(out + 2, '0', zeros);
    memcpy(out + 2 + zeros, digits, count);
    return 2 + zeros + count;
}

/* 12.3 or 12300.0 */
static size_t write_plain(const char *digits, unsigned count, int32_t point, char *out)
{
    size_t whole = (size_t)point;
    if (whole >= count) {
        memcpy(out, digits, count);
        memset(out + count, '0', whole - count);
        memcpy(out + whole, ".0", 2);
        return whole + 2;
    }
    memcpy(out, digits, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, count - whole);
    return count + 1;
}

/* 1.23e45 */
static size_t write_exponent(const char *digits, unsigned count, int32_t point, char *out)
{
    size_t size = 1;
    out[0] = digits[0];
    if (count > 1) {
        out[1] = '.';
        memcpy(out + 2, digits + 1, count - 1);
        size = count + 1;
    }
    out[size++] = 'e';
    return size + sl_text_int_write(point - 1, out + size);
}

size_t sl_text_float_write(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    uint32_t exponent = (uint32_t)(bits >> 52) & 0x7ff;
    size_t sign = bits >> 63;
    if (exponent == 0x7ff && mantissa != 0) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (sign) out[0] = '-';
    out += sign;
    if (exponent == 0x7ff || (exponent == 0 && mantissa == 0)) {
        memcpy(out, exponent == 0 ? "0.0" : "inf", 3);
        return sign + 3;
    }
    struct decimal decimal = decimal_get(mantissa, exponent);
    char digits[SL_TEXT_INT_SIZE];
    unsigned count = (unsigned)sl_text_uint_write(decimal.digits, digits);
    int32_t point = (int32_t)count + decimal.exponent; /* digits before the point */
    if (point > 21 || point < -5) return sign + write_exponent(digits, count, point, out);
    if (point <= 0) return sign + write_fraction(digits, count, point, out);
    return sign + write_plain(digits, count, point, out);
}
