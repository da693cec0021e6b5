/* SPDX-License-Identifier: MIT */
/*
 * CEL, the Common Expression Language (github.com/google/cel-spec), over payloads.
 *
 *   text ─lex, parse, macros─→ tree ─check─→ types, names ─compile─→ program (immutable, shared)
 *   program + shard ─→ instance (registers, constants in place) ─run(variables)─→ payload value
 *
 * Strings and containers of a payload are read in place; what an expression makes lives in the
 * shard's scratch arena, and the result is copied to a payload at the end. A run that makes
 * nothing allocates nothing.
 *
 * Host additions: a payload's Error is a value of type `error` (`self == "text"` holds if any
 * message of its chain is that text; it has .code .message .cause .data .status; string(self) is
 * its message). Reading a body that does not parse fails the run with that error.
 *
 * Numbers of a payload: JSON knows one kind of number, CEL three that do not mix in arithmetic, so
 * `self.price * 2` would depend on whether somebody wrote 10 or 10.0. Therefore a number that
 * comes from a payload, or is computed from one, takes the kind of its partner: with a double it
 * is a double, an int beside a uint becomes one if it can; where a function takes only a double,
 * it is one. Numbers of the expression itself stay strict (`1 + 1.0` is refused).
 *
 * Every failure of a run is an Error value: code "cel_error" with the message ("no such key: x",
 * "divide by zero", "no such overload" …) and data {line, column}; or "script_deadline",
 * "script_memory", "script_cost".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nodes/script/engine.h"

struct sl_cel_type;
struct sl_cel_program;
struct sl_cel_instance;
struct sl_cel_shard;

extern const struct sl_engine sl_engine_cel;

/* A variable that the expression may use. */
struct sl_cel_decl {
    const char *name;               /* may be qualified: "a.b" */
    const struct sl_cel_type *type; /* NULL: dyn */
    bool always;                    /* each run binds it */
};

/* A function that is known to the checker only (its calls fail at run time). */
struct sl_cel_function_decl {
    const char *name;
    const struct sl_cel_type *const *params; /* array of params_count */
    uint32_t params_count;
    const struct sl_cel_type *result;
    bool member; /* the first parameter is the receiver */
};

struct sl_cel_options {
    const struct sl_cel_decl *decls; /* array of decls_count; a run's variables in this order */
    uint32_t decls_count;
    const struct sl_cel_function_decl *functions; /* array of functions_count */
    uint32_t functions_count;
    const char *container; /* scope of names, "a.b"; or NULL */
    bool no_check;         /* unknown names and types fail at run time, not here */
    bool no_macros;
    bool unpack;       /* unknown names are keys of variable 0 */
    uint64_t cost_max; /* of a run; 0: SL_CEL_COST_MAX */
    size_t memory_max; /* of a run, bytes; 0: SL_SCRIPT_MEMORY */
    uint32_t
        timeout_ms; /* of a run, from its first look at the clock; 0: only the call's deadline */
};

/*
 * Compile an expression.
 *
 * source   code, file, pos and indent are used; all borrowed for the call
 * options  borrowed for the call
 * returns  0; -EINVAL with reterr (position in the file; unknown names with the nearest one);
 *          -ENOMEM. Control thread.
 */
int sl_cel_compile(const struct sl_script_source *source, const struct sl_cel_options *options,
                   struct sl_cel_program **ret_program, struct sl_diag *reterr);

/* Free a program that has no instance left. NULL is fine; returns NULL. */
struct sl_cel_program *sl_cel_program_free(struct sl_cel_program *program);

/* What is known of the cost of any run; `source` is the one it was compiled from. */
void sl_cel_program_cost(const struct sl_cel_program *program,
                         const struct sl_script_source *source, struct sl_script_cost *ret_cost);

/* The deduced type of the result, borrowed from the program. */
const struct sl_cel_type *sl_cel_program_type(const struct sl_cel_program *program);

/* What the programs of one thread share: scratch memory. NULL for no memory. */
struct sl_cel_shard *sl_cel_shard_new(void);
struct sl_cel_shard *sl_cel_shard_free(struct sl_cel_shard *shard);

/*
 * Make the registers and regular expressions of a program for one thread. 0 or -ENOMEM.
 * The instance must be freed before its program and its shard.
 */
int sl_cel_instance_new(const struct sl_cel_program *program, struct sl_cel_shard *shard,
                        struct sl_cel_instance **ret_instance);
struct sl_cel_instance *sl_cel_instance_free(struct sl_cel_instance *instance);

/*
 * Run once, on the thread of the instance.
 *
 * values   array, one per declared variable; cell == NULL: not bound. Borrowed for the call
 * call     mem, clock and deadline_ns are used; mem == NULL: the heap; clock == NULL: no deadline
 * returns  the result with one count for the caller: a value or an Error; cell == NULL only for no
 *          memory. optional.none() becomes null, types and addresses become text, keys of maps
 *          become text, uint becomes Int where it fits. Its strings may be constants of the program,
 *          so what outlives the program is copied (sl_value_copy)
 */
struct sl_value sl_cel_run(struct sl_cel_instance *instance, const struct sl_value *values,
                           const struct sl_script_call *call);

/*
 * Run as a condition.
 *
 * returns  1 true, 0 false; -1 with *ret_error (one count): a failure, or a result that is not bool
 */
int sl_cel_test(struct sl_cel_instance *instance, const struct sl_value *values,
                const struct sl_script_call *call, struct sl_value *ret_error);
