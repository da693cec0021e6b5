/* SPDX-License-Identifier: MIT */
/*
 * Values of the CEL evaluator: 24 bytes in a register. The first twelve kinds are those of the
 * payload in the same order, so a cell is loaded without a table. Strings, lists, maps and errors
 * of a payload are read in place; what an evaluation makes lives in its scratch arena.
 *
 *   kind                 word                             buf
 *   STRING, BYTES        ptr to `len` bytes               owner of the bytes, or NULL
 *   LIST, MAP + CELL     cell of a payload                its buffer
 *   LIST, MAP            list, map of the arena           NULL
 *   ERROR (always CELL)  cell of a payload                its buffer
 *   TIMESTAMP            i: seconds since 1970, len: nanoseconds
 *   DURATION             i: nanoseconds
 *   TYPE                 ptr to its name
 *   OPTIONAL             some: the value, NULL is none
 *   IP, CIDR             net
 *   FAILED               failure: an evaluation error kept for later (bind, &&, all …)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat_fast.h"

enum sl_cel_kind {
    SL_CEL_NULL = SL_VALUE_NULL,
    SL_CEL_BOOL = SL_VALUE_BOOL,
    SL_CEL_INT = SL_VALUE_INT,
    SL_CEL_UINT = SL_VALUE_UINT,
    SL_CEL_DOUBLE = SL_VALUE_FLOAT,
    SL_CEL_STRING = SL_VALUE_STRING,
    SL_CEL_BYTES = SL_VALUE_BINARY,
    SL_CEL_LIST = SL_VALUE_LIST,
    SL_CEL_MAP = SL_VALUE_MAP,
    SL_CEL_ERROR = SL_VALUE_ERROR,
    SL_CEL_TIMESTAMP = SL_VALUE_TIME,
    SL_CEL_DURATION = SL_VALUE_DURATION,
    SL_CEL_TYPE,
    SL_CEL_OPTIONAL,
    SL_CEL_IP,
    SL_CEL_CIDR,
    SL_CEL_FAILED,
    SL_CEL_KINDS
};

enum {
    SL_CEL_CELL = 1,   /* word is a cell of a payload */
    SL_CEL_STATIC = 2, /* the bytes of the string live as long as its program */
    SL_CEL_JSON = 4,   /* a number of a payload, or computed from one: see cel.h */
};

enum { SL_CEL_MAP_INDEX_MIN = 8 };

struct sl_cel_list;
struct sl_cel_map;
struct sl_cel_failure;

struct sl_cel_val {
    union {
        struct {
            uint8_t kind;  /* enum sl_cel_kind */
            uint8_t flags; /* SL_CEL_CELL, SL_CEL_STATIC, SL_CEL_JSON */
            uint16_t spare;
            uint32_t len;
        };
        uint64_t head; /* all four: written at once, so that reading it back does not stall */
    };
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        const uint8_t *ptr;
        const struct sl_cell *cell;
        struct sl_cel_list *list;
        struct sl_cel_map *map;
        const struct sl_cel_val *some;
        const struct sl_cel_net *net;
        const struct sl_cel_failure *failure;
    };
    struct sl_buf *buf;
};

static_assert(sizeof(struct sl_cel_val) == 24, "a register is three words");

struct sl_cel_list {
    uint32_t count;
    uint32_t cap;
    struct sl_cel_val *items; /* array of cap */
};

struct sl_cel_key;

/* Pairs in insertion order; from SL_CEL_MAP_INDEX_MIN pairs on with a hash index. */
struct sl_cel_map {
    uint32_t count;
    uint32_t cap;
    struct sl_cel_val *pairs;      /* array of 2 * cap: key, value, key, value … */
    uint32_t *index;               /* array of index_size: pair number + 1, or 0; NULL if small */
    uint32_t index_size;           /* a power of two */
    const struct sl_cel_key *keys; /* of a literal, whose keys are known: array of count; or NULL */
};

struct sl_cel_net {
    uint8_t bytes[16];
    uint8_t family; /* 4 or 6 */
    uint8_t prefix; /* bits; CIDR only */
};

/* Why an evaluation failed. */
struct sl_cel_failure {
    const char *code;
    const char *message;   /* terminated; in the arena or static */
    struct sl_value error; /* cell != NULL: a payload's own Error, passed on as it is */
    uint32_t offset;       /* byte of the source; UINT32_MAX: of the instruction that failed */
    bool limit;            /* a limit of the run was reached: nothing absorbs that */
};

/*
 * A copy by words: what was written as words a moment ago is not read back as one vector, which
 * would wait for the stores.
 */
static inline void sl_cel_copy(struct sl_cel_val *to, const struct sl_cel_val *from)
{
    __atomic_store_n(&to->head, __atomic_load_n(&from->head, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(&to->u, __atomic_load_n(&from->u, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(&to->buf, __atomic_load_n(&from->buf, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

/* The head of a value: its kind, SL_CEL_* flags and length. */
static inline uint64_t sl_cel_head(enum sl_cel_kind kind, uint8_t flags, uint32_t len)
{
    return (uint64_t)kind | (uint64_t)flags << 8 | (uint64_t)len << 32;
}

static inline struct sl_cel_val sl_cel_word(enum sl_cel_kind kind, uint32_t len, uint64_t word)
{
    return (struct sl_cel_val){.head = sl_cel_head(kind, 0, len), .u = word, .buf = NULL};
}

static inline struct sl_cel_val sl_cel_null(void)
{
    return sl_cel_word(SL_CEL_NULL, 0, 0);
}

static inline struct sl_cel_val sl_cel_bool(bool value)
{
    return sl_cel_word(SL_CEL_BOOL, 0, value);
}

static inline struct sl_cel_val sl_cel_int(int64_t value)
{
    return sl_cel_word(SL_CEL_INT, 0, (uint64_t)value);
}

static inline struct sl_cel_val sl_cel_uint(uint64_t value)
{
    return sl_cel_word(SL_CEL_UINT, 0, value);
}

static inline struct sl_cel_val sl_cel_double(double value)
{
    return (struct sl_cel_val){.head = SL_CEL_DOUBLE, .d = value, .buf = NULL};
}

static inline struct sl_cel_val sl_cel_duration(int64_t ns)
{
    return sl_cel_word(SL_CEL_DURATION, 0, (uint64_t)ns);
}

static inline struct sl_cel_val sl_cel_timestamp(int64_t seconds, uint32_t nanoseconds)
{
    return sl_cel_word(SL_CEL_TIMESTAMP, nanoseconds, (uint64_t)seconds);
}

/* A string of borrowed bytes: in the arena, or with `flags` SL_CEL_STATIC. */
static inline struct sl_cel_val sl_cel_string(const void *data, size_t size, uint8_t flags)
{
    return (struct sl_cel_val){
        .head = sl_cel_head(SL_CEL_STRING, flags, (uint32_t)size), .ptr = data, .buf = NULL};
}

static inline struct sl_cel_val sl_cel_string_str(const char *str)
{
    return sl_cel_string(str, strlen(str), SL_CEL_STATIC);
}

static inline struct sl_cel_val sl_cel_type_val(const char *name)
{
    uint64_t head = sl_cel_head(SL_CEL_TYPE, SL_CEL_STATIC, (uint32_t)strlen(name));
    return (struct sl_cel_val){.head = head, .ptr = (const uint8_t *)name, .buf = NULL};
}

static inline struct sl_cel_val sl_cel_optional(const struct sl_cel_val *some)
{
    return (struct sl_cel_val){.head = SL_CEL_OPTIONAL, .some = some, .buf = NULL};
}

static inline struct sl_slice sl_cel_slice(const struct sl_cel_val *val)
{
    return (struct sl_slice){val->ptr, val->len};
}

static inline bool sl_cel_is_cell(const struct sl_cel_val *val)
{
    return (val->flags & SL_CEL_CELL) != 0;
}

/* The payload value behind a list, map or error with SL_CEL_CELL. */
static inline struct sl_value sl_cel_payload(const struct sl_cel_val *val)
{
    return (struct sl_value){val->buf, val->cell};
}

/* Number of elements of a list, pairs of a map. */
static inline uint32_t sl_cel_count(const struct sl_cel_val *val)
{
    if (sl_cel_is_cell(val)) return val->cell->len;
    return val->kind == SL_CEL_LIST ? val->list->count : val->map->count;
}
