/* SPDX-License-Identifier: MIT */
/*
 * Small regular expressions as an automaton of at most ten states, stepped by one shift for a byte:
 *
 *   rows['a'] = | … | 6 bits: where state 2 goes | where state 1 goes | where state 0 goes |
 *   state     = rows[byte] >> state              a state is the place of its bits: 0, 6, 12 … 54
 *
 * The next row is loaded while the last one is shifted, so a byte takes about a cycle, where RE2
 * takes fifty nanoseconds to begin. Only "does it match somewhere" is asked, so it is no matter how
 * greedy an operator is or which alternative comes first: the language is all there is, and it is
 * the language that RE2 gives the same expression. What is not made of ASCII characters, classes of
 * them, groups, alternatives, * + ?, and ^ and $ at the ends, is RE2's alone, as is what needs more
 * states; an expression is here only after RE2 has taken it.
 *
 * source   Glushkov: "The abstract theory of automata" (1961), positions and what follows them
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_cel_automaton {
    uint64_t rows[256];
    uint64_t finals; /* bit n: a text that ends in the state at place n matches */
};

/*
 * Make the automaton of an expression that RE2 has compiled, without flags.
 *
 * returns  false: it is not made of these parts, or too large; *ret is undefined
 */
bool sl_cel_automaton_make(const uint8_t *pattern, size_t size, struct sl_cel_automaton *ret);

/* True if it matches somewhere in the text. */
static inline bool sl_cel_automaton_match(const struct sl_cel_automaton *automaton,
                                          const uint8_t *text, size_t size)
{
    uint64_t state = 0;
    for (size_t i = 0; i < size; i++) state = automaton->rows[text[i]] >> (state & 63);
    return (automaton->finals >> (state & 63) & 1) != 0;
}

#ifdef __cplusplus
}
#endif
