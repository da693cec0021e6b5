/* SPDX-License-Identifier: MIT */
/*
 * Small regular expressions; see automaton.h.
 *
 * Each character or class of the expression is a position. Reading keeps, for each part, the
 * positions that it may begin and end with; joining two parts notes which position may follow which.
 * A state of the automaton is the set of positions that the last byte may have been.
 */
#include "nodes/script/cel/automaton.h"

#include <string.h>

#include "core/base/assertion.h"

enum {
    POSITIONS_MAX = 62, /* of an expression: a set is a word, and two words are no set */
    GROUPS_MAX = 8,     /* open at once */
    STATES_MAX = 10,
    STATE_BITS = 6,
};

#define SET_START   (UINT64_MAX - 1) /* nothing was read yet */
#define SET_MATCHED UINT64_MAX       /* whatever comes */

/* A part of the expression. */
struct part {
    bool empty; /* it matches the empty text */
    uint64_t first;
    uint64_t last;
};

/* What was read since an open parenthesis, or from the beginning. */
struct group {
    struct part others; /* the alternatives before this one */
    bool has_others;
    struct part row;  /* this alternative without its last part … */
    struct part item; /* … which an operator may follow */
    bool has_item;
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t bytes[256]; /* positions that match the byte */
    uint64_t follow[POSITIONS_MAX];
    uint32_t positions;
    struct group groups[GROUPS_MAX + 1];
    uint32_t depth;
    bool anchored;     /* this alternative begins with ^ */
    uint64_t start;    /* positions a match may begin with at the beginning of the text … */
    uint64_t restart;  /* … and anywhere */
    uint64_t last;     /* positions that end a match anywhere … */
    uint64_t last_end; /* … and at the end of the text */
};

/* ------------------------------------------------------------------------------------------ */
/* Reading                                                                                      */

static void follow_add(struct reader *reader, uint64_t from, uint64_t to)
{
    for (; from != 0; from &= from - 1) reader->follow[__builtin_ctzll(from)] |= to;
}

static struct part part_join(struct reader *reader, struct part a, struct part b)
{
    follow_add(reader, a.last, b.first);
    return (struct part){.empty = a.empty && b.empty,
                         .first = a.first | (a.empty ? b.first : 0),
                         .last = b.last | (b.empty ? a.last : 0)};
}

static void item_add(struct reader *reader, struct part item)
{
    struct group *group = &reader->groups[reader->depth];
    if (group->has_item) group->row = part_join(reader, group->row, group->item);
    group->item = item;
    group->has_item = true;
}

/* The alternative that ends here. */
static struct part row_end(struct reader *reader)
{
    struct group *group = &reader->groups[reader->depth];
    struct part row = group->row;
    if (group->has_item) row = part_join(reader, row, group->item);
    group->row = (struct part){.empty = true};
    group->has_item = false;
    return row;
}

static struct part row_or_others(struct reader *reader)
{
    struct group *group = &reader->groups[reader->depth];
    struct part row = row_end(reader);
    if (!group->has_others) return row;
    return (struct part){.empty = row.empty || group->others.empty,
                         .first = row.first | group->others.first,
                         .last = row.last | group->others.last};
}

/* An alternative of the whole expression; false: it matches without a byte. */
static bool row_of_all(struct reader *reader, bool at_end)
{
    struct part row = row_end(reader);
    if (row.empty) return false;
    reader->start |= row.first;
    if (!reader->anchored) reader->restart |= row.first;
    if (at_end) reader->last_end |= row.last;
    if (!at_end) reader->last |= row.last;
    reader->anchored = false;
    return true;
}

static void bytes_add(struct reader *reader, uint8_t from, uint8_t to)
{
    for (unsigned byte = from; byte <= to; byte++) {
        reader->bytes[byte] |= UINT64_C(1) << reader->positions;
    }
}

/* \d \w \s, or a character that stands for itself behind a backslash. */
static bool escape_read(struct reader *reader, bool *ret_is_class, uint8_t *ret_byte)
{
    if (reader->at == reader->end) return false;
    uint8_t byte = *reader->at++;
    *ret_is_class = true;
    switch (byte) {
    case 'w':
        bytes_add(reader, 'a', 'z');
        bytes_add(reader, 'A', 'Z');
        bytes_add(reader, '_', '_');
        __attribute__((fallthrough));
    case 'd': bytes_add(reader, '0', '9'); return true;
    case 's':
        bytes_add(reader, '\t', '\n');
        bytes_add(reader, '\f', '\r');
        bytes_add(reader, ' ', ' ');
        return true;
    default: break;
    }
    *ret_is_class = false;
    *ret_byte = byte;
    return memchr("\\.+*?()|[]{}^$/-_@:,;=&%#!~<>\"'", byte, 32) != NULL && byte != 0;
}

/* One character of a class; a range or an escape adds its bytes itself. */
static bool class_item_read(struct reader *reader)
{
    uint8_t low = *reader->at++;
    bool is_class = false;
    if (low == '\\' && !escape_read(reader, &is_class, &low)) return false;
    if (is_class) return true;
    if (low >= 0x80 || low == '[') return false;
    if (reader->end - reader->at < 2 || reader->at[0] != '-' || reader->at[1] == ']') {
        bytes_add(reader, low, low);
        return true;
    }
    uint8_t high = reader->at[1];
    reader->at += 2;
    if (high >= 0x80 || high == '\\' || high == '[' || high < low) return false;
    bytes_add(reader, low, high);
    return true;
}

/* Behind '['. */
static bool class_read(struct reader *reader)
{
    if (reader->at == reader->end || *reader->at == '^' || *reader->at == ']') return false;
    bool first = true;
    for (; reader->at < reader->end && *reader->at != ']'; first = false) {
        bool last = reader->end - reader->at > 1 && reader->at[1] == ']';
        if (*reader->at == '-' && !first && !last) return false;
        if (!class_item_read(reader)) return false;
    }
    return reader->at++ < reader->end;
}

/* A character or a class becomes a position. */
static bool position_read(struct reader *reader, uint8_t byte)
{
    if (reader->positions == POSITIONS_MAX) return false;
    bool is_class = byte == '[';
    if (is_class && !class_read(reader)) return false;
    if (byte == '\\' && !escape_read(reader, &is_class, &byte)) return false;
    if (!is_class) bytes_add(reader, byte, byte);
    uint64_t bit = UINT64_C(1) << reader->positions++;
    item_add(reader, (struct part){.first = bit, .last = bit});
    return true;
}

static bool operator_read(struct reader *reader, uint8_t byte)
{
    struct group *group = &reader->groups[reader->depth];
    if (!group->has_item) return false;
    struct part *item = &group->item;
    if (byte != '?') follow_add(reader, item->last, item->first);
    if (byte != '+') item->empty = true;
    bool more = reader->at < reader->end && *reader->at == '?'; /* how greedy it is */
    reader->at += more;
    return reader->at == reader->end || memchr("*+?{", *reader->at, 4) == NULL;
}

static bool group_begin(struct reader *reader)
{
    if (reader->depth == GROUPS_MAX) return false;
    if (reader->at < reader->end && *reader->at == '?') {
        if (reader->end - reader->at < 2 || reader->at[1] != ':') return false;
        reader->at += 2;
    }
    reader->groups[++reader->depth] = (struct group){.row.empty = true};
    return true;
}

static bool group_end(struct reader *reader)
{
    if (reader->depth == 0) return false;
    struct part whole = row_or_others(reader);
    reader->depth--;
    item_add(reader, whole);
    return true;
}

static bool alternative_end(struct reader *reader)
{
    if (reader->depth == 0) return row_of_all(reader, false);
    struct group *group = &reader->groups[reader->depth];
    group->others = row_or_others(reader);
    group->has_others = true;
    return true;
}

/* ^ at the beginning of an alternative of the whole. */
static bool begin_read(struct reader *reader)
{
    const struct group *group = &reader->groups[reader->depth];
    if (reader->depth > 0 || group->has_item || reader->anchored) return false;
    reader->anchored = true;
    return true;
}

/* $ at its end. */
static bool end_read(struct reader *reader)
{
    if (reader->depth > 0) return false;
    if (!row_of_all(reader, true)) return false;
    if (reader->at == reader->end) return true;
    return *reader->at++ == '|' && reader->at < reader->end;
}

static bool pattern_read(struct reader *reader)
{
    bool open = true; /* an alternative is being read */
    reader->groups[0] = (struct group){.row.empty = true};
    while (reader->at < reader->end) {
        uint8_t byte = *reader->at++;
        bool read;
        switch (byte) {
        case '(': read = group_begin(reader); break;
        case ')': read = group_end(reader); break;
        case '|': read = alternative_end(reader); break;
        case '*':
        case '+':
        case '?': read = operator_read(reader, byte); break;
        case '^': read = begin_read(reader); break;
        case '$':
            read = end_read(reader);
            open = reader->at < reader->end;
            break;
        case '.':
        case ']':
        case '{':
        case '}': read = false; break;
        default: read = byte > 0 && byte < 0x80 && position_read(reader, byte); break;
        }
        if (!read) return false;
    }
    return reader->depth == 0 && (!open || row_of_all(reader, false));
}

/* ------------------------------------------------------------------------------------------ */
/* States                                                                                       */

/* Where a state goes with a byte. */
static uint64_t set_step(const struct reader *reader, uint64_t set, unsigned byte)
{
    if (set == SET_MATCHED) return SET_MATCHED;
    uint64_t next = set == SET_START ? reader->start : reader->restart;
    if (set == SET_START) set = 0;
    for (; set != 0; set &= set - 1) next |= reader->follow[__builtin_ctzll(set)];
    next &= reader->bytes[byte];
    return (next & reader->last) != 0 ? SET_MATCHED : next;
}

/* The number of a set, which may be new; STATES_MAX: there is no room. */
static uint32_t state_of(uint64_t *sets, uint32_t *count, uint64_t set)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (sets[i] == set) return i;
    }
    if (*count < STATES_MAX) sets[(*count)++] = set;
    return sets[*count - 1] == set ? *count - 1 : STATES_MAX;
}

static bool states_make(const struct reader *reader, struct sl_cel_automaton *ret)
{
    uint64_t sets[STATES_MAX];
    uint32_t count = 1;
    sets[0] = reader->start == reader->restart ? 0 : SET_START;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint32_t to = state_of(sets, &count, set_step(reader, sets[i], byte));
            if (to == STATES_MAX) return false;
            ret->rows[byte] |= (uint64_t)(to * STATE_BITS) << (i * STATE_BITS);
        }
        bool last = sets[i] != SET_START && (sets[i] & reader->last_end) != 0;
        if (last || sets[i] == SET_MATCHED) ret->finals |= UINT64_C(1) << (i * STATE_BITS);
    }
    return true;
}

static_assert(STATES_MAX * STATE_BITS <= 64, "a row is a word");

bool sl_cel_automaton_make(const uint8_t *pattern, size_t size, struct sl_cel_automaton *ret)
{
    sl_assert(pattern != NULL || size == 0);
    sl_assert(ret != NULL);
    struct reader reader = {0};
    if (size == 0) return false;
    reader.at = pattern;
    reader.end = pattern + size;
    *ret = (struct sl_cel_automaton){0};
    return pattern_read(&reader) && states_make(&reader, ret);
}
