/* SPDX-License-Identifier: MIT */
/*
 * Types of the CEL checker. They exist at load only: the evaluator looks at the kind of each
 * value. A type lives in the arena of its program; the simple ones are static.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "nodes/script/cel/arena.h"

enum sl_cel_type_kind {
    SL_CEL_T_DYN,
    SL_CEL_T_NULL,
    SL_CEL_T_BOOL,
    SL_CEL_T_INT,
    SL_CEL_T_UINT,
    SL_CEL_T_DOUBLE,
    SL_CEL_T_STRING,
    SL_CEL_T_BYTES,
    SL_CEL_T_TIMESTAMP,
    SL_CEL_T_DURATION,
    SL_CEL_T_ERROR,  /* a payload's Error value */
    SL_CEL_T_LIST,   /* params[0]: element */
    SL_CEL_T_MAP,    /* params[0]: key, params[1]: value */
    SL_CEL_T_TYPE,   /* params[0], if any: of what */
    SL_CEL_T_OPAQUE, /* name, params: optional_type(A), net.IP … */
    SL_CEL_T_PARAM,  /* `param`: a type variable */
};

enum { SL_CEL_TYPE_PARAMS_MAX = 8 };

struct sl_cel_type {
    uint8_t kind; /* enum sl_cel_type_kind */
    uint8_t params_count;
    uint32_t param;   /* SL_CEL_T_PARAM: its number; numbers below 64 are a declaration's own */
    const char *name; /* SL_CEL_T_OPAQUE */
    const struct sl_cel_type *params[SL_CEL_TYPE_PARAMS_MAX];
};

extern const struct sl_cel_type sl_cel_type_dyn;
extern const struct sl_cel_type sl_cel_type_ip;
extern const struct sl_cel_type sl_cel_type_cidr;

/* The static type of a simple kind (SL_CEL_T_DYN … SL_CEL_T_ERROR). */
const struct sl_cel_type *sl_cel_type_simple(enum sl_cel_type_kind kind);

/* New types in `arena`; NULL for no memory. Parameters are borrowed and must live as long. */
const struct sl_cel_type *sl_cel_type_list(struct sl_cel_arena *arena,
                                           const struct sl_cel_type *element);
const struct sl_cel_type *sl_cel_type_map(struct sl_cel_arena *arena, const struct sl_cel_type *key,
                                          const struct sl_cel_type *value);
const struct sl_cel_type *sl_cel_type_of(struct sl_cel_arena *arena,
                                         const struct sl_cel_type *type);
const struct sl_cel_type *sl_cel_type_optional(struct sl_cel_arena *arena,
                                               const struct sl_cel_type *type);
const struct sl_cel_type *sl_cel_type_opaque(struct sl_cel_arena *arena, const char *name,
                                             const struct sl_cel_type *const *params,
                                             uint32_t params_count);
const struct sl_cel_type *sl_cel_type_param(struct sl_cel_arena *arena, uint32_t param);

/* True for optional(T), whatever T is. */
bool sl_cel_type_is_optional(const struct sl_cel_type *type);

/* Exactly the same type. */
bool sl_cel_type_equal(const struct sl_cel_type *a, const struct sl_cel_type *b);

/* Write "list(int)" into buf, always terminated, cut where it does not fit; returns its length. */
size_t sl_cel_type_format(const struct sl_cel_type *type, char *buf, size_t buf_size);

/* ------------------------------------------------------------------------------------------ */

/*
 * What the variables of a check stand for: types by number of the variable. `steps` bounds the
 * work, since types share parts and could be walked exponentially often.
 */
struct sl_cel_learned {
    const struct sl_cel_type *before; /* what the variable stood for */
    uint32_t index;
};

struct sl_cel_subst {
    struct sl_cel_arena *arena;
    struct sl_cel_learned *trail; /* to undo a failed attempt: array of trail_cap */
    uint32_t trail_count;
    uint32_t trail_cap;
    const struct sl_cel_type **types; /* array of `cap`, by param - SL_CEL_PARAM_FIRST */
    uint32_t count;                   /* variables handed out */
    uint32_t cap;
    uint64_t steps;
    bool failed; /* no memory, or too many steps */
};

enum { SL_CEL_PARAM_FIRST = 64, SL_CEL_TYPE_STEPS_MAX = 4000000 };

/* A new type variable; sl_cel_type_dyn (and `failed`) for no memory. */
const struct sl_cel_type *sl_cel_subst_fresh(struct sl_cel_subst *subst);

/* `type` with the variables of its declaration (A, B …: numbers below 64) replaced by `own`. */
const struct sl_cel_type *sl_cel_subst_instance(struct sl_cel_subst *subst,
                                                const struct sl_cel_type *type,
                                                const struct sl_cel_type **own);

/* True if a value of `from` fits `to`; learns variables. On false, what was learned is undone. */
bool sl_cel_subst_assignable(struct sl_cel_subst *subst, const struct sl_cel_type *const *from,
                             const struct sl_cel_type *const *to, uint32_t count);

/* `type` with variables replaced by what they stand for; unknown ones become dyn if `dyn`. */
const struct sl_cel_type *sl_cel_subst_apply(struct sl_cel_subst *subst,
                                             const struct sl_cel_type *type, bool dyn);

/* The type of a list that holds both, as a literal's elements are joined: the more general, or dyn. */
const struct sl_cel_type *sl_cel_subst_join(struct sl_cel_subst *subst, const struct sl_cel_type *a,
                                            const struct sl_cel_type *b);
