/* SPDX-License-Identifier: MIT */
/*
 * The functions of CEL: one row per overload, with its signature and what computes it. The checker
 * reads the signature as types, the compiler as sets of kinds that the evaluator tests.
 *
 * A signature: argument types, '>', result type; '.' behind the receiver of a member function.
 *
 *   n null  b bool  i int  u uint  d double  s string  y bytes  t timestamp  D duration  * dyn
 *   e error  I ip  c cidr  A B type variables  [x list  {xy map  ?x optional  @x type of x
 *
 * "s.si>i" is string.indexOf(string, int) -> int.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nodes/script/cel/type.h"
#include "nodes/script/cel/value.h"

struct sl_cel_eval;

/*
 * Compute a call.
 *
 * args     array of pointers to the arguments; their kinds fit the signature
 * returns  true with *ret set, or false after sl_cel_fail
 */
typedef bool sl_cel_call_fn(struct sl_cel_eval *eval, const struct sl_cel_val *const *args,
                            struct sl_cel_val *ret);

struct sl_cel_function {
    const char *name;
    const char *signature;
    sl_cel_call_fn *call; /* NULL: an operator that has its own instruction */
};

enum { SL_CEL_CALL_ARGS_MAX = 8 };

/* All tables, one per library; ends with NULL. Rows end with name NULL. */
extern const struct sl_cel_function *const sl_cel_functions[];

extern const struct sl_cel_function sl_cel_functions_operators[];
extern const struct sl_cel_function sl_cel_functions_standard[];
extern const struct sl_cel_function sl_cel_functions_time[];
extern const struct sl_cel_function sl_cel_functions_strings[];
extern const struct sl_cel_function sl_cel_functions_math[];
extern const struct sl_cel_function sl_cel_functions_lists[];
extern const struct sl_cel_function sl_cel_functions_optional[];
extern const struct sl_cel_function sl_cel_functions_network[];
extern const struct sl_cel_function sl_cel_functions_regex[];

/* A signature taken apart. */
struct sl_cel_signature {
    const struct sl_cel_type *args[SL_CEL_CALL_ARGS_MAX];
    const struct sl_cel_type *result;
    uint32_t kinds[SL_CEL_CALL_ARGS_MAX]; /* bit per enum sl_cel_kind */
    uint32_t count;
    bool member;
};

/* Read a row's signature; types are made in `arena`. False only for no memory. */
bool sl_cel_signature_read(const char *signature, struct sl_cel_arena *arena,
                           struct sl_cel_signature *ret);

/* Walk the rows named `name`: start with *cursor = 0; NULL at the end. */
const struct sl_cel_function *sl_cel_function_next(struct sl_slice name, uint32_t *cursor);

/* True if any row has this name. */
bool sl_cel_function_exists(struct sl_slice name);
