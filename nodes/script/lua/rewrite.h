/* SPDX-License-Identifier: MIT */
/*
 * Lua text → the same program with a counter in everything that can repeat, one token a line.
 *
 *     while a do b() end          while⏎a⏎do n=n-1 if n<0 then n=t()end⏎b()⏎end
 *
 * Counted are: each `do` and `repeat`, each function's head, each `goto`. The counter and the function
 * that is asked when it runs out are upvalues whose names no author can write (byte 0xff). A goto is
 * counted and not its label, because a statement behind a label would end its block's last place.
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
#define LUA_TICK                                                                                   \
    "\xff"                                                                                         \
    "t" /* name of the function that sets it again */

struct lua_rewrite {
    char *text; /* heap, zero-terminated */
    size_t size;
    struct sl_pos *lines; /* heap, array of lines_count: where each line of `text` stood */
    uint32_t lines_count;
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
