/* SPDX-License-Identifier: MIT */
/*
 * Numbers against the C library, the table of powers against long arithmetic, UTF-8 against a
 * table of borders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/text/number.h"
#include "codecs/text/number_private.h"
#include "codecs/text/utf8.h"

static uint64_t next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* ------------------------------------------------------------------------------------------ */
/* The table                                                                                    */

enum { LONG_WORDS = 40 };

struct long_number {
    uint32_t words[LONG_WORDS]; /* least first */
};

static void long_multiply(struct long_number *number, uint32_t factor)
{
    uint64_t carry = 0;
    for (int i = 0; i < LONG_WORDS; i++) {
        carry += (uint64_t)number->words[i] * factor;
        number->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    assert_true(carry == 0);
}

static int long_bits(const struct long_number *number)
{
    for (int i = LONG_WORDS * 32; i-- > 0;) {
        if (number->words[i / 32] >> (i % 32) & 1) return i + 1;
    }
    return 0;
}

static int long_compare(const struct long_number *a, const struct long_number *b)
{
    for (int i = LONG_WORDS; i-- > 0;) {
        if (a->words[i] != b->words[i]) return a->words[i] < b->words[i] ? -1 : 1;
    }
    return 0;
}

/* g * 5^fives as a long number. */
static struct long_number long_make(text_wide g, int fives)
{
    struct long_number number = {0};
    for (int i = 0; i < 4; i++) number.words[i] = (uint32_t)(g >> (32 * i));
    for (int i = 0; i < fives; i++) long_multiply(&number, 5);
    return number;
}

static void long_shift(struct long_number *number, int bits)
{
    for (int i = 0; i < bits; i++) long_multiply(number, 2);
}

/* lower <= middle < upper, or lower < middle <= upper: g - 1 and g around the power. */
static void check_power(int k)
{
    struct text_pow10 power = text_pow10(k);
    text_wide g = (text_wide)power.high << 64 | power.low;
    assert_true(power.high >> 63 == 1);
    struct long_number above, below, middle;
    if (k < 0) { /* (g - 1) * 5^-k < 2^b <= g * 5^-k */
        above = long_make(g, -k);
        below = long_make(g - 1, -k);
        middle = long_make(1, 0);
        long_shift(&middle, long_bits(&above) - 1);
    } else { /* (g - 1) * 2^r < 5^k <= g * 2^r */
        middle = long_make(1, k);
        above = long_make(g, 0);
        below = long_make(g - 1, 0);
        int shift = long_bits(&middle) - 128;
        if (shift < 0) {
            long_shift(&middle, -shift);
        } else {
            long_shift(&above, shift);
            long_shift(&below, shift);
        }
    }
    assert_true(long_compare(&below, &middle) < 0);
    assert_true(long_compare(&middle, &above) <= 0);
}

static void pow10_table_is_arithmetic(void **state)
{
    (void)state;
    for (int k = TEXT_POW10_MIN; k <= TEXT_POW10_MAX; k++) {
        /* 5^324 rounded up may overflow the top bit only at powers of two: there are none. */
        check_power(k);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* Reading                                                                                      */

static void check_read(const char *text)
{
    double expected = strtod(text, NULL);
    double value = sl_text_float_read(text, strlen(text));
    if (to_bits(value) != to_bits(expected)) {
        fail_msg("%s: %.17g instead of %.17g", text, value, expected);
    }
}

static void float_read_known_hard_cases(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0",
        "-0",
        "0.0",
        "-0.0e5",
        "1",
        "-1",
        "0.1",
        "1e0",
        "1E+5",
        "1e-5",
        "123456789012345678",
        "9007199254740993",
        "9007199254740992",
        "9007199254740991",
        "9007199254740993.0",
        "9007199254740993.00000000000000000000000000000000000000000000000000000000000000001",
        "1e22",
        "1e23",
        "-1e23",
        "8.5e22",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e400",
        "1e99999999999999999999",
        "1e-99999999999999",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "2.22507385850720113605740979670913197593481954635164564e-308",
        "1e-400",
        "6.631236846766476e-316",
        "3.2378839133029012895883524125015321748630094239e-319",
        "0.000000000000000000000000000000000000000000000000000000000000001",
        "100000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "7.2057594037927933e16",
        "7205759403792793199999e-5",
        "1090544144181609348671888949248",
        "0.500000000000000166533453693773481063544750213623046875",
        "3.518437208883201171875e13",
        "62.5364939768271845828",
        "8.10109172351e-10",
        "1.50000000000000011102230246251565",
        "1.1754941406275178592461758986628081843312458647"
        "3279624008929062598e-38",
        "9355950000000000000.00000000000000000000000000000000001844674407"
        "370955161600000184467440737095516161844674407370955161407370955161618446744073709551616",
        "2.47032822920623272088284396434110686182e-324",
        "6929001713869936e236",
        "1.8446744073709551616e19",
        "18446744073709551615e0",
        "12345678901234567890123456789e-40",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) check_read(cases[i]);
}

static void float_read_random_like_strtod(void **state)
{
    (void)state;
    uint64_t seed = 1;
    char text[128];
    for (int i = 0; i < 300000; i++) {
        uint64_t n = next(&seed);
        int digits = 1 + (int)(n % 25);
        int size = 0;
        if (n >> 20 & 1) text[size++] = '-';
        for (int j = 0; j < digits; j++) text[size++] = (char)('0' + next(&seed) % 10);
        if (n >> 21 & 1) {
            text[size++] = '.';
            for (int j = 0; j < 1 + (int)(n >> 30 & 15); j++) {
                text[size++] = (char)('0' + next(&seed) % 10);
            }
        }
        int exponent = (int)(next(&seed) % 700) - 350;
        if (n >> 22 & 1) size += snprintf(text + size, 8, "e%d", exponent);
        text[size] = 0;
        check_read(text);
    }
}

/* The exact middle between two neighbours, and a little beside it. */
static void float_read_middles_like_strtod(void **state)
{
    (void)state;
    uint64_t seed = 2;
    static char text[1200];
    for (int i = 0; i < 20000; i++) {
        double low =
            from_bits(next(&seed) % (i % 4 == 0 ? UINT64_C(1) << 53 : UINT64_C(0x7fe) << 52));
        long double middle = ((long double)low + (long double)nextafter(low, INFINITY)) / 2;
        snprintf(text, sizeof(text), "%.780Le", middle);
        check_read(text);
        char *digit = strchr(text, 'e') - 1 - (int)(next(&seed) % 779);
        if (*digit >= '0' && *digit < '9') *digit += 1;
        check_read(text);
    }
}

static void float_read_very_long_text(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.", 17);
    text[sizeof(text) - 2] = '1';
    text[sizeof(text) - 1] = 0;
    check_read(text);
    text[sizeof(text) - 2] = '0';
    check_read(text);
}

/* ------------------------------------------------------------------------------------------ */
/* Writing                                                                                      */

static unsigned significant_digits(const char *text)
{
    unsigned count = 0, zeros = 0;
    for (; *text != 0 && *text != 'e'; text++) {
        if (*text < '0' || *text > '9') continue;
        if (*text == '0') {
            zeros += count > 0;
            continue;
        }
        count += zeros + 1;
        zeros = 0;
    }
    return count;
}

/* Reads back to the same bits, no shorter text does, and it is the nearest of its length. */
static void check_write(double value)
{
    char text[SL_TEXT_FLOAT_SIZE + 1], probe[64];
    size_t size = sl_text_float_write(value, text);
    assert_true(size < SL_TEXT_FLOAT_SIZE);
    text[size] = 0;
    if (to_bits(strtod(text, NULL)) != to_bits(value)) fail_msg("%s is not %.17g", text, value);
    assert_true(strpbrk(text, ".e") != NULL);
    unsigned digits = significant_digits(text);
    if (digits > 1) {
        snprintf(probe, sizeof(probe), "%.*e", (int)digits - 2, value);
        if (to_bits(strtod(probe, NULL)) == to_bits(value))
            fail_msg("%s is shorter: %s", probe, text);
    }
    if (digits > 0) {
        /* The nearest decimal of that length, if it reads back, is ours (ties aside). */
        snprintf(probe, sizeof(probe), "%.*e", (int)digits - 1, value);
        if (to_bits(strtod(probe, NULL)) == to_bits(value)) {
            long double ours = strtold(text, NULL), theirs = strtold(probe, NULL);
            if (fabsl(ours - value) > fabsl(theirs - value)) fail_msg("%s nearer: %s", probe, text);
        }
    }
}

static void float_write_is_shortest_and_reads_back(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 200000; i++) {
        double value = from_bits(next(&seed));
        if (isfinite(value)) check_write(value);
    }
    for (int i = 0; i < 50000; i++) check_write((double)(int64_t)next(&seed) / 1000.0);
    for (int i = 0; i < 50000; i++) check_write((double)(next(&seed) % 1000000) / 100.0);
    for (int i = -1074; i < 1024; i++) {
        check_write(ldexp(1.0, i)); /* the borders of powers of two lie unevenly */
        check_write(nextafter(ldexp(1.0, i), INFINITY));
        check_write(nextafter(ldexp(1.0, i), 0.0));
    }
    for (int i = -323; i < 309; i++) {
        char text[16];
        snprintf(text, sizeof(text), "1e%d", i);
        check_write(strtod(text, NULL));
    }
}

static void float_write_forms(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100.0, "100.0"},
        {1e20, "100000000000000000000.0"},
        {1e21, "1e21"},
        {1.5e300, "1.5e300"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {1.25e-7, "1.25e-7"},
        {123.456, "123.456"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {9007199254740993.0, "9007199254740992.0"},
        {NAN, "nan"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {0.00012345, "0.00012345"},
        {123456789012345680.0, "123456789012345680.0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SL_TEXT_FLOAT_SIZE + 1];
        text[sl_text_float_write(cases[i].value, text)] = 0;
        assert_string_equal(text, cases[i].text);
    }
}

static void int_write_like_printf(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int i = 0; i < 200000; i++) {
        uint64_t n = next(&seed) >> (i % 64);
        char text[SL_TEXT_INT_SIZE + 1], expected[32];
        text[sl_text_uint_write(n, text)] = 0;
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)n);
        assert_string_equal(text, expected);
        text[sl_text_int_write((int64_t)(0 - n), text)] = 0;
        snprintf(expected, sizeof(expected), "%lld", (long long)(0 - n));
        assert_string_equal(text, expected);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* UTF-8                                                                                        */

/* Every string of up to two bytes, and every border of longer ones, against decoding by value. */
static bool utf8_is_valid_by_value(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint32_t code = data[at];
        size_t count = code < 0x80       ? 1
                       : code >> 5 == 6  ? 2
                       : code >> 4 == 14 ? 3
                       : code >> 3 == 30 ? 4
                                         : 0;
        static const uint32_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07},
                              least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (count == 0 || size - at < count) return false;
        code &= masks[count];
        for (size_t i = 1; i < count; i++) {
            if (data[at + i] >> 6 != 2) return false;
            code = code << 6 | (data[at + i] & 0x3f);
        }
        if (code < least[count] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        at += count;
    }
    return true;
}

static void utf8_valid_like_plain_decoding(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0,    'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    enum { COUNT = sizeof(bytes) };
    for (int i = 0; i < COUNT * COUNT * COUNT * COUNT; i++) {
        uint8_t text[4] = {bytes[i % COUNT], bytes[i / COUNT % COUNT],
                           bytes[i / COUNT / COUNT % COUNT], bytes[i / COUNT / COUNT / COUNT]};
        for (size_t size = 1; size <= 4; size++) {
            bool valid = utf8_is_valid_by_value(text, size);
            /* Behind it eight letters, so that words can be read at once. */
            uint8_t padded[16];
            memcpy(padded, text, size);
            memset(padded + size, 'x', 8);
            assert_int_equal(sl_utf8_is_valid(padded, size + 8), valid);
            if (sl_utf8_is_valid(text, size) != valid) {
                fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
            }
        }
    }
}

/* Damage at each place of longer texts, where blocks are checked at once. */
static void utf8_valid_size_finds_every_place(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "plain ascii text, long enough for a block of sixty-four bytes",
        "\xc3\xa4\xc3\xb6\xc3\xbc",
        "\xe6\x97\xa5\xe6\x9c\xac",
        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
        "a\xc3\xa4",
        "x"};
    uint64_t seed = 5;
    for (int round = 0; round < 3000; round++) {
        uint8_t text[400];
        size_t size = 0;
        while (size < 200) {
            const char *part = parts[next(&seed) % 6];
            memcpy(text + size, part, strlen(part));
            size += strlen(part);
        }
        assert_int_equal(sl_utf8_valid_size(text, size), size);
        size_t at = next(&seed) % size;
        text[at] = (uint8_t)next(&seed);
        size_t found = sl_utf8_valid_size(text, size);
        assert_int_equal(found == size, utf8_is_valid_by_value(text, size));
        assert_true(utf8_is_valid_by_value(text, found));
        if (found < size) {
            size_t step = 0;
            while (step < 4 && found + step < size &&
                   !utf8_is_valid_by_value(text + found, step + 1)) {
                step++;
            }
            assert_true(step == 4 || found + step == size);
        }
    }
}

static void utf8_put_reads_back(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        uint8_t text[4];
        if (code == 0xd800) code = 0xe000;
        size_t size = sl_utf8_put(code, text);
        assert_int_equal(sl_utf8_size(text, size), size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pow10_table_is_arithmetic),
        cmocka_unit_test(float_read_known_hard_cases),
        cmocka_unit_test(float_read_random_like_strtod),
        cmocka_unit_test(float_read_middles_like_strtod),
        cmocka_unit_test(float_read_very_long_text),
        cmocka_unit_test(float_write_is_shortest_and_reads_back),
        cmocka_unit_test(float_write_forms),
        cmocka_unit_test(int_write_like_printf),
        cmocka_unit_test(utf8_valid_like_plain_decoding),
        cmocka_unit_test(utf8_valid_size_finds_every_place),
        cmocka_unit_test(utf8_put_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
