/* SPDX-License-Identifier: MIT */
/*
 * Lua text → the same program with a counter in everything that can repeat, one token a line.
 *
 *     while a do b() end      while⏎a⏎do n[1]=n[1]-1 if n[1]<b[1] then n[1]=b[2]()end⏎b()⏎end
 *
 * Counted are: each `do` and `repeat`, each function's head, each `goto`; and what follows a
 * statement with `..`, because a few of these in a row make much of little. A goto is counted and
 * not its label, because a statement behind a label would end its block's last place.
 *
 * `n` (the counter) and `b` (the bell) are upvalues whose names no author can write (byte 0xff). The
 * bell is {0, function}. Whoever wants a script to stop makes its first item large; the function,
 * asked at the next count, gives the counts until it wants to be asked again. Compiled code reads
 * the bell each time and not once before the loop, although nothing in the loop writes it: for all
 * that LuaJIT knows, n and b are one table, and n[1] has just been written.
 *
 * `return error(…)` is a tail call: the frame that would say where is gone when the error is made.
 * Before it the line is written down, as the bell's third item.
 *
 * A token a line makes the machine's line numbers token numbers, so an error has a column too. Only a
 * `(` stays on the line of what stands before it where it stood there: Lua 5.1 refuses a call whose
 * parenthesis begins a line.
 *
 * It is lexical: what is not Lua passes through and the compiler complains about it. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/slice.h"

#define LUA_COUNTER                                                                                \
    "\xff"                                                                                         \
    "n" /* name of the counter in the rewritten text */
#define LUA_BELL                                                                                   \
    "\xff"                                                                                         \
    "b" /* name of the bell */

struct lua_rewrite {
    char *text; /* heap, zero-terminated */
    size_t size;
    struct sl_pos *lines; /* heap, array of lines_count: where each line of `text` stood */
    uint32_t lines_count;
    uint32_t concats_max; /* most `..` between two counts */
    bool pure; /* all of it is one `return function … end`: evaluating it has no effect */
};

/*
 * Rewrite.
 *
 * ticks    false: only a token a line, for tests
 * ret      owned by the caller: lua_rewrite_fini
 * returns  0; -EINVAL with reterr (position in `source`) for a name with byte 0xff; -ENOMEM
 */
int lua_rewrite(struct sl_slice source, bool ticks, struct lua_rewrite *ret,
                struct sl_diag *reterr);

void lua_rewrite_fini(struct lua_rewrite *rewrite);

/* Where line `line` (from 1) of the rewritten text stood; line 0 if it is none of them. */
struct sl_pos lua_rewrite_pos(const struct lua_rewrite *rewrite, uint32_t line);
