/* SPDX-License-Identifier: MIT */
/*
 * What the machine (machine.h) is made of, without vector instructions of any one processor: cells,
 * words of up to eight bytes, numbers, escapes. Included by the files that build a machine.
 *
 * Bytes are read eight at a time, so near the end of the text other paths, which look at the end,
 * take over.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codecs/flat/flat.h"
#include "codecs/json/read.h"
#include "codecs/text/number.h"
#include "core/base/hash.h"

#define FAST_INLINE    inline __attribute__((always_inline))
#define FAST_LIKELY(x) __builtin_expect(!!(x), 1)
#define FAST_RARE(x)   __builtin_expect_with_probability(!!(x), 0, 0.999)
#define FAST_COLD      __attribute__((noinline, cold))

/* The first half of a cell. */
#define FAST_HEAD(kind, flags, hash, len)                                                          \
    ((uint64_t)(kind) | (uint64_t)(flags) << 8 | (uint64_t)(hash) << 16 | (uint64_t)(len) << 32)

/* Four characters as a word. */
#define FAST_WORD(a, b, c, d)                                                                      \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

static_assert(offsetof(struct sl_cell, flags) == 1, "FAST_HEAD");
static_assert(offsetof(struct sl_cell, hash) == 2, "FAST_HEAD");
static_assert(offsetof(struct sl_cell, len) == 4, "FAST_HEAD");

enum {
    FAST_MARGIN = 16,     /* what may be read behind the end of a number */
    FAST_DIGITS_MAX = 19, /* what always fits 64 bits */
    FAST_EXACT_POWER_MAX = 22,
};

typedef uint64_t fast_pair __attribute__((vector_size(16)));
typedef double fast_doubles __attribute__((vector_size(16)));

/*
 * One store of 16 bytes: cells are copied 16 bytes at a time soon after, and a load cannot take
 * its bytes from two stores that are still under way.
 */
static FAST_INLINE void cell_put(struct sl_cell *cell, uint64_t head, uint64_t word)
{
    fast_pair pair = {head, word};
    memcpy(cell, &pair, sizeof(pair));
}

/* A Float: the two halves meet in a register of vectors, where the value already is. */
static FAST_INLINE void cell_put_float(struct sl_cell *cell, double value)
{
    const uint64_t head = SL_VALUE_FLOAT;
    fast_doubles pair = {0, value};
    memcpy(&pair, &head, sizeof(head));
    memcpy(cell, &pair, sizeof(pair));
}

static FAST_INLINE uint64_t load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static FAST_INLINE uint32_t load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

#if !defined(__BMI2__)
/* The first 1..8 bytes of a word. */
static const uint64_t fast_masks[9] = {
    0,
    UINT64_C(0xff),
    UINT64_C(0xffff),
    UINT64_C(0xffffff),
    UINT64_C(0xffffffff),
    UINT64_C(0xffffffffff),
    UINT64_C(0xffffffffffff),
    UINT64_C(0xffffffffffffff),
    UINT64_MAX,
};
#endif

/* 1..8 bytes as a word with zeros behind; nothing at `end` or behind it is read. */
static FAST_INLINE uint64_t word_read_plain(const uint8_t *at, size_t size, const uint8_t *end)
{
#if defined(__BMI2__)
    if (FAST_LIKELY((uintptr_t)at <= (uintptr_t)end - 8)) {
        return __builtin_ia32_bzhi_di(load64(at), 8 * size);
    }
#else
    if (FAST_LIKELY((uintptr_t)at <= (uintptr_t)end - 8)) return load64(at) & fast_masks[size];
#endif
    return size == 8 ? load64(at) : sl_hash_tail(at, size);
}

/* ------------------------------------------------------------------------------------------ */
/* Numbers                                                                                      */

static const uint64_t fast_powers[9] = {1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000};

#define FAST_FLOAT_MAX 1.7e308

static const double fast_exact[FAST_EXACT_POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* The value of eight digits, a byte each: the first byte is the highest digit. */
static FAST_INLINE uint64_t digits_word(uint64_t digits)
{
    const uint64_t mask = UINT64_C(0x000000ff000000ff);
    digits = digits * 10 + (digits >> 8);
    return (uint32_t)(((digits & mask) * UINT64_C(0x000f424000000064) +
                       ((digits >> 16) & mask) * UINT64_C(0x0000271000000001)) >>
                      32);
}

/* The digits at `at`, eight at most: their count, and their value in *ret_value. */
static FAST_INLINE unsigned digits8(const uint8_t *at, uint64_t *ret_value)
{
    uint64_t digits = load64(at) ^ UINT64_C(0x3030303030303030);
    uint64_t others =
        ((digits & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676)) | digits;
    others &= UINT64_C(0x8080808080808080);
    if (others & 0x80) return 0;
    unsigned count = others != 0 ? (unsigned)__builtin_ctzll(others) >> 3 : 8;
    *ret_value = digits_word(digits << (64 - 8 * count));
    return count;
}

/* Digits in a row, appended to *mantissa: their count. Beyond 24 the caller gives up anyway. */
static FAST_INLINE unsigned digits24(const uint8_t *at, uint64_t *mantissa)
{
    uint64_t value;
    if ((uint8_t)(at[1] - '0') > 9) { /* one digit is the most common number */
        if ((uint8_t)(at[0] - '0') > 9) return 0;
        *mantissa = *mantissa * 10 + (uint64_t)(at[0] - '0');
        return 1;
    }
    unsigned count = digits8(at, &value);
    if (count == 0) return 0;
    *mantissa = *mantissa * fast_powers[count] + value;
    for (unsigned round = 8; count == round && round < 24; round += 8) {
        unsigned more = digits8(at + count, &value);
        if (more == 0) break;
        *mantissa = *mantissa * fast_powers[more] + value;
        count += more;
    }
    return count;
}

/* The exponent behind 'e'; the place behind it, or NULL where it is rare or wrong. */
static FAST_INLINE const uint8_t *exponent_read(const uint8_t *at, int32_t *exponent)
{
    bool negative = *at == '-';
    if (*at == '-' || *at == '+') at++;
    uint64_t value;
    unsigned count = digits8(at, &value);
    if (count == 0 || count > 4) return NULL;
    *exponent += negative ? -(int32_t)value : (int32_t)value;
    return at + count;
}

/* The common float: the place behind it, or NULL: json_fast_number has to look. */
static FAST_INLINE const uint8_t *float_read(const uint8_t *at, bool negative, uint64_t mantissa,
                                             unsigned count, struct sl_cell *cell)
{
    int32_t exponent = 0;
    double value;
    if (*at == '.') {
        unsigned more = digits24(at + 1, &mantissa);
        if (more == 0 || count + more > FAST_DIGITS_MAX) return NULL;
        at += 1 + more;
        exponent = -(int32_t)more;
    }
    if ((*at | 0x20) == 'e') {
        at = exponent_read(at + 1, &exponent);
        if (at == NULL) return NULL;
    }
    if (mantissa <= UINT64_C(1) << 53 && exponent <= 0 && exponent >= -FAST_EXACT_POWER_MAX) {
        value = (double)mantissa / fast_exact[-exponent];
    } else {
        double scaled;
        if (!sl_text_float_scale(mantissa, exponent, &scaled)) return NULL;
        if (scaled > FAST_FLOAT_MAX) return NULL; /* perhaps infinite */
        value = scaled;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    cell_put(cell, SL_VALUE_FLOAT, bits | (uint64_t)negative << 63);
    return at;
}

/* What may follow a number or a literal, where anything does. */
static const bool fast_ends[256] = {
    [' '] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true, [','] = true, [']'] = true,
    ['}'] = true, [':'] = true,  ['"'] = true,  ['['] = true,  ['{'] = true,
};

/* The common number, with FAST_MARGIN readable bytes; NULL: json_fast_number has to look. */
static FAST_INLINE const uint8_t *number_common(const uint8_t *at, struct sl_cell *cell)
{
    bool negative = *at == '-';
    at += negative;
    uint64_t mantissa = 0;
    unsigned count = digits24(at, &mantissa);
    if (FAST_RARE(count == 0 || count > FAST_DIGITS_MAX)) return NULL;
    if (FAST_RARE(*at == '0' && count > 1)) return NULL;
    at += count;
    if (!fast_ends[*at]) {
        at = float_read(at, negative, mantissa, count, cell);
        return at != NULL && fast_ends[*at] ? at : NULL;
    }
    if (negative) {
        if (FAST_RARE(mantissa == 0 || mantissa > INT64_MAX)) return NULL;
        mantissa = 0 - mantissa;
        cell_put(cell, FAST_HEAD(SL_VALUE_INT, 0, 0, 0), mantissa);
    } else {
        cell_put(cell, SL_VALUE_INT + (mantissa >> 63), mantissa);
    }
    return at;
}

static_assert(SL_VALUE_INT + 1 == SL_VALUE_UINT, "the top bit makes the difference");

/* Digits one by one up to the end of the text. */
static inline const uint8_t *digits_read(const uint8_t *at, const uint8_t *end, uint64_t *mantissa)
{
    while (at < end && (uint8_t)(*at - '0') <= 9) {
        *mantissa = *mantissa * 10 + (uint64_t)(*at - '0');
        at++;
    }
    return at;
}

/*
 * A number so near to the end of the text that eight bytes cannot be read at once. Short ones
 * without an exponent are read here; NULL: json_fast_number has to look.
 */
static const uint8_t *number_near_end(const uint8_t *at, const uint8_t *end, struct sl_cell *cell)
{
    bool negative = *at == '-';
    const uint8_t *begin = at + negative, *point;
    uint64_t mantissa = 0;
    if (end - begin > FAST_DIGITS_MAX) return NULL;
    at = digits_read(begin, end, &mantissa);
    if (at == begin || (*begin == '0' && at > begin + 1)) return NULL;
    if (at == end || fast_ends[*at]) {
        if (mantissa > INT64_MAX || (negative && mantissa == 0)) return NULL;
        uint64_t word = negative ? 0 - mantissa : mantissa;
        cell_put(cell, FAST_HEAD(SL_VALUE_INT, 0, 0, 0), word);
        return at;
    }
    if (*at != '.') return NULL;
    point = at + 1;
    at = digits_read(point, end, &mantissa);
    if (at == point || (at < end && !fast_ends[*at]) || mantissa > UINT64_C(1) << 53) return NULL;
    double value = (double)mantissa / fast_exact[at - point];
    if (negative) value = -value;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    cell_put(cell, FAST_HEAD(SL_VALUE_FLOAT, 0, 0, 0), bits);
    return at;
}

/* The cell of mantissa / 10^places; false if it is not exact in one step. */
static FAST_INLINE bool float_put(uint64_t mantissa, unsigned places, bool negative,
                                  struct sl_cell *cell)
{
    double value;
    if (FAST_LIKELY(mantissa <= UINT64_C(1) << 53)) {
        value = (double)(int64_t)mantissa / fast_exact[places];
    } else if (!sl_text_float_scale(mantissa, -(int32_t)places, &value)) {
        return false;
    }
    cell_put_float(cell, negative ? -value : value);
    return true;
}

/*
 * Short numbers without an exponent, as most are, as the eight bytes before the next token. `text` is
 * where the whole text begins. false: it is something else.
 */
static FAST_INLINE bool number_read_short(const uint8_t *at, const uint8_t *next,
                                          const uint8_t *text, struct sl_cell *cell)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    const bool negative = *at == '-';
    const size_t size = (size_t)(next - at) - negative;
    if (size == 1 && !negative) { /* one digit is the most common number */
        uint64_t digit = (uint64_t)*at - '0';
        cell_put(cell, SL_VALUE_INT, digit);
        return digit <= 9;
    }
    if (FAST_RARE(size - 1 >= 8) || FAST_RARE(next - text < 8)) return false;
    /* The digits at the end of the word, zeros before them. */
    const unsigned spare = 64 - 8 * (unsigned)size;
    uint64_t word = (load64(next - 8) ^ UINT64_C(0x3030303030303030)) & UINT64_MAX << spare;
    const uint64_t others = (((word & ~high) + UINT64_C(0x7676767676767676)) | word) & high;
    if (FAST_LIKELY(others == 0)) {
        uint64_t value = digits_word(word);
        if (FAST_RARE((word >> spare & 0xff) == 0)) return false; /* zero alone, or before others */
        cell_put(cell, SL_VALUE_INT, negative ? 0 - value : value);
        return true;
    }
    /* One point between digits: those before it move up to it. */
    const unsigned point = (unsigned)__builtin_ctzll(others) & ~7U;
    if ((others & (others - 1)) != 0 || (word >> point & 0xff) != ('.' ^ '0')) return false;
    if (FAST_RARE(point == 56 || point == spare)) return false;
    if ((word >> spare & 0xff) == 0 && point != spare + 8) return false;
    uint64_t before = word & ((UINT64_C(1) << point) - 1);
    word = (word >> point >> 8 << point << 8) | before << 8;
    double value = (double)(int64_t)digits_word(word) / fast_exact[7 - point / 8];
    cell_put_float(cell, negative ? -value : value);
    return true;
}

/*
 * Longer ones; `next` is the place of the next token, and not behind `at` where there is none.
 * false: json_fast_number has to look.
 */
static FAST_INLINE bool number_read_plain(const uint8_t *at, const uint8_t *next,
                                          const uint8_t *end, struct sl_cell *cell)
{
    /* It ends before the next token, if there is one. */
    if (FAST_LIKELY(next > at && end - next >= FAST_MARGIN)) return number_common(at, cell) != NULL;
    return number_near_end(at, end, cell) != NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* Escapes                                                                                      */

typedef uint8_t fast_bytes __attribute__((vector_size(16)));

/* True if one of 16 bytes is a backslash. */
static FAST_INLINE bool has_escape16(const uint8_t *at)
{
    fast_bytes bytes;
    memcpy(&bytes, at, sizeof(bytes));
    fast_bytes found = (fast_bytes)(bytes == '\\');
    uint64_t halves[2];
    memcpy(halves, &found, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
}

/*
 * True if there is a backslash in a string. Where most have none, a look at 16 bytes each says so,
 * also at some behind its end, and only where they have one it is looked for exactly.
 */
static FAST_INLINE bool has_escape_plain(const uint8_t *begin, size_t size, const uint8_t *end)
{
    if (end - begin < (ptrdiff_t)size + 16) return memchr(begin, '\\', size) != NULL;
    bool found = false;
    for (size_t at = 0; at < size; at += 16) found |= has_escape16(begin + at);
    return found && memchr(begin, '\\', size) != NULL;
}
