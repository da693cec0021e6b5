/* SPDX-License-Identifier: MIT */
/*
 * The second step of reading: from place to place, a switch for each token. A cell is written once
 * to the stack and copied once to the tape.
 *
 * Bytes are read eight at a time, so near the end of the text slow paths, which look at the end,
 * take over.
 */
#include "codecs/json/fast.h"

#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/text/number.h"
#include "core/base/hash.h"

#define FAST_INLINE    inline __attribute__((always_inline))
#define FAST_LIKELY(x) __builtin_expect(!!(x), 1)
#define FAST_RARE(x)   __builtin_expect(!!(x), 0)

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

/*
 * One store of 16 bytes: cells are copied 16 bytes at a time soon after, and a load cannot take
 * its bytes from two stores that are still under way.
 */
static FAST_INLINE void cell_put(struct sl_cell *cell, uint64_t head, uint64_t word)
{
    fast_pair pair = {head, word};
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

/* The first 0..7 bytes of a word. */
static const uint64_t fast_masks[8] = {
    0,
    UINT64_C(0xff),
    UINT64_C(0xffff),
    UINT64_C(0xffffff),
    UINT64_C(0xffffffff),
    UINT64_C(0xffffffffff),
    UINT64_C(0xffffffffffff),
    UINT64_C(0xffffffffffffff),
};

/* sl_hash16 where at least eight bytes behind the last may be read. */
static FAST_INLINE uint16_t hash16_open(const uint8_t *at, size_t size)
{
    uint64_t hash = ((uint64_t)size + 1) * SL_HASH_MULTIPLIER;
    while (FAST_RARE(size >= 8)) {
        hash = (hash ^ (hash >> 32) ^ load64(at)) * SL_HASH_MULTIPLIER;
        at += 8;
        size -= 8;
    }
    if (size > 0) {
        uint64_t word = load64(at) & fast_masks[size];
        hash = (hash ^ (hash >> 32) ^ word) * SL_HASH_MULTIPLIER;
    }
    return (uint16_t)((hash ^ (hash >> 32)) >> 16);
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

/* The digits at `at`, eight at most: their count, and their value in *ret_value. */
static FAST_INLINE unsigned digits8(const uint8_t *at, uint64_t *ret_value)
{
    uint64_t digits = load64(at) ^ UINT64_C(0x3030303030303030);
    uint64_t others =
        ((digits & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676)) | digits;
    others &= UINT64_C(0x8080808080808080);
    if (others & 0x80) return 0;
    unsigned count = others != 0 ? (unsigned)__builtin_ctzll(others) >> 3 : 8;
    digits <<= 64 - 8 * count;
    digits = digits * 10 + (digits >> 8);
    const uint64_t mask = UINT64_C(0x000000ff000000ff);
    *ret_value = (uint32_t)(((digits & mask) * UINT64_C(0x000f424000000064) +
                             ((digits >> 16) & mask) * UINT64_C(0x0000271000000001)) >>
                            32);
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
static FAST_INLINE const uint8_t *number_read(const uint8_t *at, struct sl_cell *cell)
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

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

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
static FAST_INLINE bool has_escape(const uint8_t *begin, size_t size, const uint8_t *end)
{
    if (end - begin < (ptrdiff_t)size + 16) return memchr(begin, '\\', size) != NULL;
    bool found = false;
    for (size_t at = 0; at < size; at += 16) found |= has_escape16(begin + at);
    return found && memchr(begin, '\\', size) != NULL;
}

/* The cell of the string [begin, begin + size); a key has a hash. */
static FAST_INLINE bool string_put(struct sl_builder *builder, const bool borrow,
                                   const uint8_t *begin, size_t size, uint64_t hash,
                                   struct sl_cell *cell)
{
    if (borrow) {
        cell_put(cell, FAST_HEAD(SL_VALUE_STRING, SL_CELL_POINTER, hash, size), (uintptr_t)begin);
        return true;
    }
    uint8_t *to = sl_builder_bytes_reserve(builder, size);
    if (to == NULL) return false;
    memcpy(to, begin, size);
    struct sl_buf *buf = builder->buf;
    cell_put(cell, FAST_HEAD(SL_VALUE_STRING, 0, hash, size), buf->bytes_size);
    buf->bytes_size += (uint32_t)size;
    return true;
}

static __attribute__((noinline)) bool key_unescape(struct sl_builder *builder, const uint8_t *begin,
                                                   size_t size, struct sl_cell *cell)
{
    if (!json_fast_unescape(builder, begin, begin + size, cell)) return false;
    cell->hash = sl_hash16(builder->buf->bytes + cell->word, cell->len);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Containers                                                                                   */

static FAST_INLINE bool container_begin(struct sl_builder *builder, struct sl_cell *top,
                                        uint8_t kind)
{
    if (FAST_RARE(builder->depth == SL_PAYLOAD_DEPTH_MAX)) {
        sl_builder_fail(builder, -E2BIG);
        return false;
    }
    cell_put(top, FAST_HEAD(kind, 0, 0, 0), 0);
    builder->open[builder->depth++] = (uint32_t)(top + 1 - builder->stack);
    if (builder->depth > builder->depth_max) builder->depth_max = builder->depth;
    return true;
}

/* Move a list's children to the tape; false: the builder has to. */
static FAST_INLINE bool list_end(struct sl_builder *builder, struct sl_cell *first, size_t count)
{
    struct sl_buf *buf = builder->buf;
    if (FAST_RARE(count > buf->cells_cap - buf->cells_count)) return false;
    struct sl_cell *to = buf->cells + buf->cells_count;
    if (count > 16) {
        memcpy(to, first, count * sizeof(*to));
    } else {
        for (size_t i = 0; i < count; i++) to[i] = first[i];
    }
    cell_put(first - 1, FAST_HEAD(SL_VALUE_LIST, 0, 0, count), count > 0 ? buf->cells_count : 0);
    buf->cells_count += (uint32_t)count;
    return true;
}

/* True if two keys of a small map have one hash, where `count` cells of pairs begin at `first`. */
static __attribute__((noinline)) bool hashes_repeat(const struct sl_cell *first, size_t count)
{
    for (size_t i = 2; i < count; i += 2) {
        for (size_t j = 0; j < i; j += 2) {
            if (first[i].hash == first[j].hash) return true;
        }
    }
    return false;
}

/*
 * The same for a small map. A bit for each of 64 hashes says whether keys may stand twice; then the
 * hashes are compared, and if they too say so, the builder has to look.
 */
static FAST_INLINE bool map_end(struct sl_builder *builder, struct sl_cell *first, size_t count)
{
    struct sl_buf *buf = builder->buf;
    if (FAST_RARE(count > buf->cells_cap - buf->cells_count)) return false;
    if (FAST_RARE(count > 2 * SL_PAYLOAD_MAP_INDEX_MIN)) return false;
    struct sl_cell *to = buf->cells + buf->cells_count;
    uint64_t seen = 0, met = 0;
    const struct sl_cell *from = first, *end = first + count;
    for (; from < end; from += 2, to += 2) {
        uint64_t bit = UINT64_C(1) << (from->hash & 63);
        met |= seen & bit;
        seen |= bit;
        to[0] = from[0];
        to[1] = from[1];
    }
    if (FAST_RARE(met != 0) && hashes_repeat(first, count)) return false;
    cell_put(first - 1, FAST_HEAD(SL_VALUE_MAP, 0, 0, count / 2), count > 0 ? buf->cells_count : 0);
    buf->cells_count += (uint32_t)count;
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* The machine                                                                                  */

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

static __attribute__((noinline)) bool number_slow(const uint8_t *at, const uint8_t *end,
                                                  struct sl_cell *cell)
{
    const uint8_t *next = json_fast_number(at, end, cell);
    return next != NULL && (next == end || fast_ends[*next]);
}

/* The builder's way to end a container; the new place of `top`, or NULL. */
static __attribute__((noinline)) struct sl_cell *
container_end_slow(struct sl_builder *builder, const struct sl_cell *top, bool map)
{
    builder->stack_count = (uint32_t)(top - builder->stack);
    if (map) {
        sl_build_map_end(builder);
    } else {
        sl_build_list_end(builder);
    }
    return builder->error == 0 ? builder->stack + builder->stack_count : NULL;
}

/* Room for two more cells; the new place of `top`, or NULL. */
static __attribute__((noinline)) struct sl_cell *stack_grow(struct sl_builder *builder,
                                                            const struct sl_cell *top)
{
    builder->stack_count = (uint32_t)(top - builder->stack);
    if (!sl_builder_stack_grow(builder, 2)) return NULL;
    return builder->stack + builder->stack_count;
}

/* A bit for each open container, the innermost last: 1 is a map. */
__extension__ typedef unsigned __int128 fast_kinds;

static_assert(SL_PAYLOAD_DEPTH_MAX <= 128, "a bit for each");

/* Step to the next place. */
#define FAST_NEXT() (at = text + *place++)

/* SCAN_AHEAD places have to be there before the next steps. */
#define FAST_AHEAD()                                                                               \
    do {                                                                                           \
        if (FAST_RARE(place > scan->limit)) {                                                      \
            place = json_scan_more(scan, scan_fn, place);                                          \
            if (place == NULL) return false;                                                       \
        }                                                                                          \
    } while (0)

#define FAST_LITERAL(word, size, kind, value)                                                      \
    do {                                                                                           \
        if (end - at < (size) || load32(at + (size)-4) != (word)) return false;                    \
        if (at + (size) < end && !fast_ends[at[size]]) return false;                               \
        cell_put(top++, kind, value);                                                              \
    } while (0)

static FAST_INLINE bool read_text(struct json_scan *scan, json_scan_fn *scan_fn,
                                  struct sl_builder *builder, const bool borrow)
{
    const uint8_t *const text = scan->text, *const end = text + scan->size;
    const uint32_t *place = json_scan_more(scan, scan_fn, scan->places);
    struct sl_cell *top = builder->stack, *limit = top + builder->stack_cap - 1, *first;
    const uint8_t *at;
    const uint8_t *const hash_end = scan->size >= 8 ? end - 8 : NULL;
    fast_kinds kinds = 0;

    if (place == NULL) return false;
item: /* a value, and perhaps no room for its cell */
    if (FAST_RARE(top >= limit)) {
        top = stack_grow(builder, top);
        if (top == NULL) return false;
        limit = builder->stack + builder->stack_cap - 1;
    }
value:
    FAST_NEXT();
token:
    if (*at == '"') goto string;
    if ((uint8_t)(*at - '0') <= 9) goto number;
    switch (*at) {
    case '-': goto number;
    case 't': FAST_LITERAL(FAST_WORD('t', 'r', 'u', 'e'), 4, SL_VALUE_BOOL, 1); break;
    case 'f': FAST_LITERAL(FAST_WORD('a', 'l', 's', 'e'), 5, SL_VALUE_BOOL, 0); break;
    case 'n': FAST_LITERAL(FAST_WORD('n', 'u', 'l', 'l'), 4, SL_VALUE_NULL, 0); break;
    case '[':
        if (!container_begin(builder, top++, SL_VALUE_LIST)) return false;
        kinds <<= 1;
        FAST_AHEAD();
        FAST_NEXT();
        if (*at == ']') goto list_close;
        if (FAST_LIKELY(top < limit)) goto token;
        place--;
        goto item;
    case '{':
        if (!container_begin(builder, top++, SL_VALUE_MAP)) return false;
        kinds = kinds << 1 | 1;
        FAST_AHEAD();
        FAST_NEXT();
        if (*at == '}') goto map_close;
        goto key;
    default: return false;
    }

    goto after;

number : {
    /* It ends before the next place, if that is not one beyond the end of the text. */
    const uint8_t *next = text + *place;
    next = FAST_LIKELY(next > at && end - next >= FAST_MARGIN) ? number_read(at, top)
                                                               : number_near_end(at, end, top);
    if (FAST_RARE(next == NULL) && !number_slow(at, end, top)) return false;
    top++;
    goto after;
}

string : {
    const uint8_t *begin = at + 1;
    FAST_NEXT();
    size_t size = (size_t)(at - begin);
    if (FAST_RARE(scan->escapes) && has_escape(begin, size, end)) {
        if (!json_fast_unescape(builder, begin, at, top)) return false;
    } else if (!string_put(builder, borrow, begin, size, 0, top)) {
        return false;
    }
    top++;
}

after: /* a value stands on the stack */
    FAST_AHEAD();
    FAST_NEXT();
    if (!((uint64_t)kinds & 1)) {
        if (FAST_LIKELY(*at == ',' && builder->depth > 0)) goto item;
        goto list_close;
    }
    if (FAST_RARE(*at != ',')) goto map_close;
    FAST_NEXT();
key : {
    if (FAST_RARE(top >= limit)) {
        top = stack_grow(builder, top);
        if (top == NULL) return false;
        limit = builder->stack + builder->stack_cap - 1;
    }
    if (FAST_RARE(*at != '"')) return false;
    const uint8_t *begin = at + 1;
    FAST_NEXT();
    size_t size = (size_t)(at - begin);
    if (FAST_RARE(scan->escapes) && has_escape(begin, size, end)) {
        if (!key_unescape(builder, begin, size, top)) return false;
    } else {
        uint16_t hash =
            FAST_LIKELY(at <= hash_end) ? hash16_open(begin, size) : sl_hash16(begin, size);
        if (!string_put(builder, borrow, begin, size, hash, top)) return false;
    }
    top++;
    FAST_NEXT();
    if (FAST_RARE(*at != ':')) return false;
    goto value;
}

map_close:
    if (FAST_RARE(*at != '}')) return false;
    first = builder->stack + builder->open[builder->depth - 1];
    if (FAST_LIKELY(map_end(builder, first, (size_t)(top - first)))) goto closed;
    top = container_end_slow(builder, top, true);
    goto closed_slow;
list_close:
    if (FAST_RARE(*at != ']' || builder->depth == 0)) goto finish;
    first = builder->stack + builder->open[builder->depth - 1];
    if (FAST_LIKELY(list_end(builder, first, (size_t)(top - first)))) goto closed;
    top = container_end_slow(builder, top, false);
closed_slow:
    if (top == NULL) return false;
    limit = builder->stack + builder->stack_cap - 1;
    kinds >>= 1;
    goto after;
closed:
    builder->depth--;
    top = first;
    kinds >>= 1;
    goto after;

finish: /* what was taken last is not there, or too much */
    builder->stack_count = (uint32_t)(top - builder->stack);
    return builder->depth == 0 && json_scan_is_over(scan, place - 1);
}

bool json_fast_read(struct json_scan *scan, json_scan_fn *scan_fn, struct sl_builder *builder,
                    bool borrow)
{
    return borrow ? read_text(scan, scan_fn, builder, true)
                  : read_text(scan, scan_fn, builder, false);
}
