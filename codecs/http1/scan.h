/* SPDX-License-Identifier: MIT */
/*
 * Finding the byte at which a run of allowed bytes ends: the inner loops of the parser. Each has a
 * plain form, driven by one table, and where SSE2 is there a form of sixteen bytes at a time; the
 * tests compare the two. Inside codecs/http1 only.
 *
 * All take [at, end) and `base <= at`, where [base, end) is readable: the last bytes are read by
 * a load that ends at `end` and begins before `at`, so nothing outside is ever touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#define SL_HTTP1_SSE2 1
#endif

enum {
    SL_HTTP1_TOKEN = 1,  /* RFC 9110 section 5.6.2 */
    SL_HTTP1_VALUE = 2,  /* field-vchar, obs-text, blank, HTAB */
    SL_HTTP1_TARGET = 4, /* visible ASCII without `"` `#` `<` `>` */
    SL_HTTP1_HOST = 8,   /* host and port: unreserved, sub-delims without comma, `:` `[` `]` `%` */
    SL_HTTP1_HOST_PLAIN = 16, /* letters, digits, `-` and `.` */
};

extern const uint8_t sl_http1_bytes[256];

static inline bool sl_http1_byte_is(uint8_t byte, uint8_t class)
{
    return (sl_http1_bytes[byte] & class) != 0;
}

static inline const uint8_t *sl_http1_scan_plain(const uint8_t *at, const uint8_t *end,
                                                 uint8_t class)
{
    while (at < end && sl_http1_byte_is(*at, class)) at++;
    return at;
}

/* The end of a request target; and its first `?`, left alone if there is none. */
static inline const uint8_t *sl_http1_scan_target_plain(const uint8_t *at, const uint8_t *end,
                                                        const uint8_t **ret_question)
{
    bool found = false;
    for (; at < end && sl_http1_byte_is(*at, SL_HTTP1_TARGET); at++) {
        if (*at != '?' || found) continue;
        *ret_question = at;
        found = true;
    }
    return at;
}

#ifdef SL_HTTP1_SSE2

/* Bit i: byte i may not stand in a field value. */
static inline uint32_t sl_http1_stops_value(const uint8_t *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
    return (uint32_t)_mm_movemask_epi8(_mm_andnot_si128(tab, _mm_or_si128(low, del)));
}

/* Bit i: byte i may not stand in a request target; and in ret_questions: it is a `?`. */
static inline uint32_t sl_http1_stops_target(const uint8_t *at, uint32_t *ret_questions)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x20)), v);
    __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(0x7f)), v);
    /* 0x22 and 0x23 are `"` and `#`; 0x3c and 0x3e are `<` and `>`. */
    __m128i quote =
        _mm_cmpeq_epi8(_mm_and_si128(v, _mm_set1_epi8((char)0xfe)), _mm_set1_epi8(0x22));
    __m128i angle =
        _mm_cmpeq_epi8(_mm_and_si128(v, _mm_set1_epi8((char)0xfd)), _mm_set1_epi8(0x3c));
    *ret_questions = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('?')));
    __m128i stop = _mm_or_si128(_mm_or_si128(low, high), _mm_or_si128(quote, angle));
    return (uint32_t)_mm_movemask_epi8(stop);
}

/* Bit i: byte i is no letter, digit or `-`. Those are tokens; so are a few bytes more. */
static inline uint32_t sl_http1_stops_name(const uint8_t *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
    digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i dash = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
    __m128i fine = _mm_or_si128(_mm_or_si128(letter, digit), dash);
    return (uint32_t)_mm_movemask_epi8(fine) ^ 0xffffu;
}

/* Bit i: byte i is no letter, digit, `-` or `.`: a host as it mostly is. */
static inline uint32_t sl_http1_stops_host(const uint8_t *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    uint32_t dots = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    return sl_http1_stops_name(at) & ~dots;
}

#define SL_HTTP1_SCAN(name, stops, class)                                                          \
    static inline const uint8_t *name(const uint8_t *base, const uint8_t *at, const uint8_t *end)  \
    {                                                                                              \
        while (end - at >= 16) {                                                                   \
            uint32_t mask = stops(at);                                                             \
            if (mask != 0) return at + __builtin_ctz(mask);                                        \
            at += 16;                                                                              \
        }                                                                                          \
        if (end - base < 16) return sl_http1_scan_plain(at, end, class);                           \
        if (at == end) return end;                                                                 \
        uint32_t mask = stops(end - 16) >> (16 - (end - at));                                      \
        return mask != 0 ? at + __builtin_ctz(mask) : end;                                         \
    }

SL_HTTP1_SCAN(sl_http1_scan_value, sl_http1_stops_value, SL_HTTP1_VALUE)
SL_HTTP1_SCAN(sl_http1_scan_host, sl_http1_stops_host, SL_HTTP1_HOST_PLAIN)
SL_HTTP1_SCAN(sl_http1_scan_name, sl_http1_stops_name, SL_HTTP1_TOKEN)

#undef SL_HTTP1_SCAN

static inline const uint8_t *sl_http1_scan_target(const uint8_t *base, const uint8_t *at,
                                                  const uint8_t *end, const uint8_t **ret_question)
{
    bool found = false;
    while (at < end) {
        ptrdiff_t left = end - at;
        uint32_t skipped = 0;
        if (left < 16) {
            if (end - base < 16) return sl_http1_scan_target_plain(at, end, ret_question);
            skipped = (uint32_t)(16 - left);
        }
        uint32_t questions;
        uint32_t stops = sl_http1_stops_target(at - skipped, &questions) >> skipped;
        questions >>= skipped;
        if (questions != 0 && !found) {
            uint32_t place = (uint32_t)__builtin_ctz(questions);
            found = stops == 0 || place < (uint32_t)__builtin_ctz(stops);
            if (found) *ret_question = at + place;
        }
        if (stops != 0) return at + __builtin_ctz(stops);
        at += 16 - skipped;
    }
    return end;
}

/* Letters, digits and dashes at sixteen a time, the rest by the table. */
static inline const uint8_t *sl_http1_scan_token(const uint8_t *base, const uint8_t *at,
                                                 const uint8_t *end)
{
    at = sl_http1_scan_name(base, at, end);
    if (__builtin_expect(at < end && *at != ':' && *at != ' ', 0)) {
        return sl_http1_scan_plain(at, end, SL_HTTP1_TOKEN);
    }
    return at;
}

#else

static inline const uint8_t *sl_http1_scan_value(const uint8_t *base, const uint8_t *at,
                                                 const uint8_t *end)
{
    (void)base;
    return sl_http1_scan_plain(at, end, SL_HTTP1_VALUE);
}

static inline const uint8_t *sl_http1_scan_host(const uint8_t *base, const uint8_t *at,
                                                const uint8_t *end)
{
    (void)base;
    return sl_http1_scan_plain(at, end, SL_HTTP1_HOST_PLAIN);
}

static inline const uint8_t *sl_http1_scan_target(const uint8_t *base, const uint8_t *at,
                                                  const uint8_t *end, const uint8_t **ret_question)
{
    (void)base;
    return sl_http1_scan_target_plain(at, end, ret_question);
}

static inline const uint8_t *sl_http1_scan_token(const uint8_t *base, const uint8_t *at,
                                                 const uint8_t *end)
{
    (void)base;
    return sl_http1_scan_plain(at, end, SL_HTTP1_TOKEN);
}

#endif
