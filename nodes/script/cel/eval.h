/* SPDX-License-Identifier: MIT */
/*
 * The evaluator, as its own files and the libraries of functions see it.
 */
#pragma once

#include "nodes/script/cel/program.h"
#include "nodes/script/cel/regex.h"
#include "nodes/script/cel/walk.h"

enum {
    SL_CEL_COST_CHECK = 2048, /* cost between two looks at the clock */
};

struct sl_cel_shard {
    struct sl_cel_arena scratch;
    struct sl_cel_regex_cache *regexes; /* expressions that are not constant */
};

struct sl_cel_eval {
    const struct sl_cel_program *program;
    struct sl_cel_instance *instance; /* NULL while constants are folded */
    struct sl_cel_arena *arena;
    struct sl_cel_step *steps; /* array of program->keys_count */
    uint64_t cost;
    uint64_t cost_next; /* look at limits when cost reaches it */
    uint64_t cost_max;
    struct sl_clock *clock; /* NULL: no deadline */
    uint64_t deadline_ns;
    uint64_t timeout_ns; /* counts from the first look at the clock; 0 behind it, or without one */
    struct sl_cel_failure failure;
};

struct sl_cel_instance {
    const struct sl_cel_program *program;
    struct sl_cel_shard *shard;
    struct sl_cel_eval eval;         /* of the present run; what no run changes is set once */
    struct sl_cel_regex **regexes;   /* array of program->patterns_count */
    struct sl_cel_step *steps;       /* array of program->keys_count */
    struct sl_cel_gate *gates;       /* array of program->terms_count, see predicate.h; or NULL */
    const struct sl_cel_gate *entry; /* the first gate; NULL: there is no predicate */
    struct sl_cel_val *frame;        /* operand 0; constants and variables lie before it */
    void *block;                     /* what `frame` points into */
};

/*
 * Run the code over a frame.
 *
 * frame       operand 0
 * ret_record  NULL, or where to say that the result is a map that was not made: of this
 *             instruction, for sl_cel_result_record
 * returns     the result, in the frame until it is run again; NULL with eval->failure set
 */
const struct sl_cel_val *sl_cel_execute(struct sl_cel_eval *eval, struct sl_cel_val *frame,
                                        const struct sl_cel_ins **ret_record);

/* ------------------------------------------------------------------------------------------ */
/* For functions                                                                                */

/* Fail with code "cel_error" and a formatted message; returns false. */
bool sl_cel_fail(struct sl_cel_eval *eval, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Fail with one of the codes of limits: "script_memory" …; returns false. */
bool sl_cel_fail_limit(struct sl_cel_eval *eval, const char *code, const char *message)
    __attribute__((cold));

/* End the evaluation with script_memory: its cap is reached. Returns false. */
bool sl_cel_fail_memory(struct sl_cel_eval *eval) __attribute__((cold));
/* Fail with "no such overload": operands of a type that no overload takes. Returns false. */
bool sl_cel_fail_overload(struct sl_cel_eval *eval) __attribute__((cold));

/* Look at the limits; false if one is reached. Only for the inline form. */
bool sl_cel_charge_slow(struct sl_cel_eval *eval);

/* Add to the cost; false (failed) when the limit or the deadline is reached. */
static inline bool sl_cel_charge(struct sl_cel_eval *eval, uint64_t cost)
{
    eval->cost += cost;
    return __builtin_expect(eval->cost < eval->cost_next, 1) || sl_cel_charge_slow(eval);
}

/* A map of known keys: a charge for each pair, and for what it takes of the memory. */
#define SL_CEL_RECORD_COST(count)                                                                  \
    ((count) + (sizeof(struct sl_cel_map) + 2 * (count) * sizeof(struct sl_cel_val)) / 64)

/* Scratch memory, or NULL after sl_cel_fail_memory; its size is charged. */
void *sl_cel_alloc(struct sl_cel_eval *eval, size_t size);

/* A string of `size` bytes that the caller fills; NULL after a failure. */
uint8_t *sl_cel_alloc_string(struct sl_cel_eval *eval, size_t size, struct sl_cel_val *ret);

/* Read a cell of a payload. False if it is a body that does not parse, or beyond a range. */
bool sl_cel_load_slow(struct sl_cel_eval *eval, struct sl_value value, struct sl_cel_val *ret);

static inline bool sl_cel_load(struct sl_cel_eval *eval, struct sl_value value,
                               struct sl_cel_val *ret)
{
    const struct sl_cell *cell = value.cell;
    enum sl_cel_kind kind = (enum sl_cel_kind)cell->kind;
    if (__builtin_expect(kind >= SL_CEL_ERROR, 0)) return sl_cel_load_slow(eval, value, ret);
    if (kind >= SL_CEL_LIST) {
        ret->head = sl_cel_head(kind, SL_CEL_CELL, 0);
        ret->cell = cell;
    } else {
        bool number = kind >= SL_CEL_INT && kind <= SL_CEL_DOUBLE;
        ret->head = sl_cel_head(kind, number ? SL_CEL_JSON : 0, cell->len);
        ret->u = cell->word;
        if (kind >= SL_CEL_STRING) ret->ptr = sl_cell_bytes(value.buf, cell);
    }
    ret->buf = value.buf;
    return true;
}

/* Element `index` < count of a list. */
bool sl_cel_list_at(struct sl_cel_eval *eval, const struct sl_cel_val *list, uint32_t index,
                    struct sl_cel_val *ret);

/* Pair `index` < count of a map; either result may be NULL. */
bool sl_cel_map_at(struct sl_cel_eval *eval, const struct sl_cel_val *map, uint32_t index,
                   struct sl_cel_val *ret_key, struct sl_cel_val *ret_val);

/* Look up a key: 1 found (*ret set unless NULL), 0 not there, -1 failed. */
int sl_cel_map_find(struct sl_cel_eval *eval, const struct sl_cel_val *map,
                    const struct sl_cel_val *key, struct sl_cel_val *ret);

/* The same for a string key whose hash is known. */
int sl_cel_map_find_key(struct sl_cel_eval *eval, const struct sl_cel_val *map,
                        const struct sl_cel_key *key, struct sl_cel_val *ret);

/* New, empty containers for about `count` elements; false after a failure. */
bool sl_cel_list_new(struct sl_cel_eval *eval, uint32_t count, struct sl_cel_val *ret);
bool sl_cel_map_new(struct sl_cel_eval *eval, uint32_t count, struct sl_cel_val *ret);

/* Append to a list that is still being built. */
bool sl_cel_list_push(struct sl_cel_eval *eval, struct sl_cel_list *list,
                      const struct sl_cel_val *item);

/* Add a pair to a map that is still being built; a key that is there already fails. */
bool sl_cel_map_put(struct sl_cel_eval *eval, struct sl_cel_map *map, const struct sl_cel_val *key,
                    const struct sl_cel_val *val);

/* b[c]; with `optional`, b[?c]. */
bool sl_cel_index(struct sl_cel_eval *eval, const struct sl_cel_val *of,
                  const struct sl_cel_val *index, bool optional, struct sl_cel_val *ret);

/* b.key; with `optional`, b.?key. */
bool sl_cel_select(struct sl_cel_eval *eval, const struct sl_cel_val *of,
                   const struct sl_cel_key *key, bool optional, struct sl_cel_val *ret);

/* Wrap a value; false after a failure. */
bool sl_cel_optional_some(struct sl_cel_eval *eval, const struct sl_cel_val *val,
                          struct sl_cel_val *ret);

/* Equality of any two values: 1, 0, or -1 failed. */
int sl_cel_equal(struct sl_cel_eval *eval, const struct sl_cel_val *a, const struct sl_cel_val *b);

/* Order: -1, 0, 1; 2: not ordered (NaN); 3: these kinds have no order. */
int sl_cel_order(const struct sl_cel_val *a, const struct sl_cel_val *b);

/* True if an order (see above) is `relation`; not ordered fits none. */
static inline bool sl_cel_holds(int order, uint8_t relation)
{
    switch ((enum sl_cel_relation)relation) {
    case SL_CEL_LESS: return order < 0;
    case SL_CEL_LESS_EQUAL: return order <= 0;
    case SL_CEL_GREATER: return order == 1;
    default: return order == 0 || order == 1;
    }
}

/* Arithmetic: a = b op c. */
bool sl_cel_arithmetic(struct sl_cel_eval *eval, enum sl_cel_op op, const struct sl_cel_val *b,
                       const struct sl_cel_val *c, struct sl_cel_val *ret);
bool sl_cel_negate(struct sl_cel_eval *eval, const struct sl_cel_val *b, struct sl_cel_val *ret);

/* The name of the value's type: "int", "google.protobuf.Timestamp". */
const char *sl_cel_type_name(const struct sl_cel_val *val);

static inline bool sl_cel_is_number(const struct sl_cel_val *val)
{
    return val->kind >= SL_CEL_INT && val->kind <= SL_CEL_DOUBLE;
}

/* Code points of UTF-8 bytes; a byte that begins no sequence counts as one. */
uint32_t sl_cel_utf8_count(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------------------------------ */
/* Texts of values, shared by conversion, format() and results                                  */

/* Text being made, growing in the arena. */
struct sl_cel_text {
    struct sl_cel_eval *eval;
    uint8_t *data;
    size_t size;
    size_t cap;
};

/* Append bytes; false after a failure, which is noted in the evaluation. */
bool sl_cel_text_put(struct sl_cel_text *text, const void *data, size_t size);
/* Append a zero-terminated text; as above. */
bool sl_cel_text_str(struct sl_cel_text *text, const char *str);
/* Make the text a string value; as above. */
bool sl_cel_text_finish(struct sl_cel_text *text, struct sl_cel_val *ret);

enum { SL_CEL_SCALAR_TEXT = 400 };

/* Texts into buf[SL_CEL_SCALAR_TEXT]; return their length. */
size_t sl_cel_double_text(double value, char *buf);  /* shortest; no exponent up to 1e21 */
size_t sl_cel_double_plain(double value, char *buf); /* shortest digits, never an exponent */
size_t sl_cel_timestamp_text(int64_t seconds, uint32_t nanoseconds, char *buf); /* RFC 3339 */
size_t sl_cel_duration_text(int64_t ns, char *buf);                             /* "60.001s" */
size_t sl_cel_net_text(const struct sl_cel_net *net, bool cidr, char *buf);

/* string(value) for every kind that has one; false after a failure. */
bool sl_cel_to_string(struct sl_cel_eval *eval, const struct sl_cel_val *val,
                      struct sl_cel_val *ret);

/* What messages say of them; a duration is an int64_t of nanoseconds. */
#define SL_CEL_TIME_RANGE     "the years 1 to 9999"
#define SL_CEL_DURATION_RANGE "292 years at most"

/* Timestamps from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z. */
#define SL_CEL_TIME_MIN INT64_C(-62135596800)
#define SL_CEL_TIME_MAX INT64_C(253402300799)
