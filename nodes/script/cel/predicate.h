/* SPDX-License-Identifier: MIT */
/*
 * Conditions as routers and switches have them, without the register machine:
 *
 *   self.body.user.age >= 18 && self.method == "POST"
 *
 *     term 1: path, 18, >=  ── yes ──► term 0: path, "POST", == ── yes ──► true
 *        └─ no ──► false                  └─ no ──► false
 *
 * A term is one test of one path; where it leads is known before. It makes nothing and charges
 * nothing. Whatever is not as a term expects (a key that is not there, a kind that does not fit, a
 * long text) ends the attempt, and the machine runs the whole expression from its beginning: so
 * failures, && and || that absorb them, costs and conversions are the machine's alone. An expression
 * with a part that is no such test has no terms.
 *
 * exists() and all() over a short list are a test, too: their body is a predicate of its own, whose
 * paths begin at the element. There are no loops in a body.
 */
#pragma once

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/gen.h"
#include "nodes/script/cel/walk.h"

enum sl_cel_test {
    SL_CEL_TEST_TRUE,     /* the value is true */
    SL_CEL_TEST_EQUAL,    /* == with */
    SL_CEL_TEST_ORDER,    /* relation with */
    SL_CEL_TEST_IN,       /* a text among the texts of the list with */
    SL_CEL_TEST_HAS,      /* the last key is there */
    SL_CEL_TEST_STARTS,   /* .startsWith(with) */
    SL_CEL_TEST_ENDS,     /* .endsWith(with) */
    SL_CEL_TEST_CONTAINS, /* .contains(with) */
    SL_CEL_TEST_MATCHES,  /* .matches(pattern) */
    SL_CEL_TEST_LOOP,     /* .exists(x, body) or .all(x, body) over a list */
};

enum { SL_CEL_GOES_TRUE = -1, SL_CEL_GOES_FALSE = -2 }; /* else the number of a term */

/* A test as the program knows it. */
struct sl_cel_term {
    uint8_t test;     /* enum sl_cel_test */
    uint8_t relation; /* enum sl_cel_relation */
    uint32_t key; /* first key of the path, which begins at variable 0, in a body at the element */
    uint32_t count; /* of keys, >= 1; in a body >= 0 */
    int32_t yes;    /* where to go on */
    int32_t no;
    uint32_t pattern;       /* of MATCHES */
    int32_t body;           /* of LOOP: the first term of the test of an element … */
    bool decides;           /* … whose result this ends the loop, and is its own */
    struct sl_cel_val with; /* in the arena of the program */
};

struct sl_cel_gate;

/* Test `self` at a gate and go on to the gates it leads to: 1, 0, or -1: run the machine. */
typedef int sl_cel_gate_fn(struct sl_value self, const struct sl_cel_gate *gate);

/* The same in an instance, all looked up; what the function that goes on reads comes first. */
struct sl_cel_gate {
    sl_cel_gate_fn *go;
    struct sl_cel_step *step;
    struct sl_cel_step *end;
    const struct sl_cel_gate *next[2]; /* for no, yes */
    struct sl_cel_step text;           /* `with` in the form that a short text is compared in */
    const struct sl_cel_val *with;
    uint8_t test;
    uint8_t kind;   /* of `with` */
    uint8_t orders; /* of ORDER: bits of the orders that hold: 1 less, 2 equal, 4 greater */
    bool decides;   /* of LOOP */
    const struct sl_cel_gate *body;
    const struct sl_cel_regex *regex;
    struct sl_cel_key key; /* what `text` points to */
};

/* Choose the function of a gate that is made otherwise (gate.c). */
void sl_cel_gate_choose(struct sl_cel_gate *gate);

/* Where a predicate ends: with false, with true. */
extern const struct sl_cel_gate sl_cel_gate_answers[2];

/* Add the terms of a checked and folded tree, if it is a predicate. */
void sl_cel_predicate_gen(struct sl_cel_gen *gen, const struct sl_cel_node *root);

/* Make the gates of an instance whose steps and expressions are there; false for no memory. */
bool sl_cel_predicate_open(struct sl_cel_instance *instance);

/*
 * Try the predicate of an instance that has gates.
 *
 * self     variable 0, bound
 * returns  1 true, 0 false, -1: run the machine
 */
static inline int sl_cel_predicate_test(const struct sl_cel_instance *instance,
                                        struct sl_value self)
{
    sl_assert_slow(self.cell != NULL);
    return instance->entry->go(self, instance->entry);
}
