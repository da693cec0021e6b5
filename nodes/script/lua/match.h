/* SPDX-License-Identifier: MIT */
/*
 * Lua 5.1 patterns, as LuaJIT understands them, with an end: every step is counted and somebody is
 * asked now and then whether to go on. LuaJIT's own string.find is one C call that nothing can stop
 * (twelve `.-` on 60,000 bytes do not come back).
 *
 * Pure; nothing is allocated. What differs from the original: after SL_LUA_MATCH_DEPTH nested
 * matches it is "pattern too complex" there and here alike.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LUA_MATCH_CAPTURES = 32,
    LUA_MATCH_DEPTH = 200,
    LUA_MATCH_STEPS = 8192, /* between two questions */
};

#define LUA_MATCH_OPEN     (-1) /* `len` of a capture that was not closed */
#define LUA_MATCH_POSITION (-2) /* of a position capture */

enum lua_match_error {
    LUA_MATCH_GOOD,
    LUA_MATCH_STOPPED, /* `ask` said no */
    LUA_MATCH_ENDS_WITH_PERCENT,
    LUA_MATCH_NO_BRACKET,
    LUA_MATCH_NO_FRONTIER,
    LUA_MATCH_UNBALANCED,
    LUA_MATCH_TOO_COMPLEX,
    LUA_MATCH_BAD_INDEX,
    LUA_MATCH_BAD_CAPTURE,
    LUA_MATCH_TOO_MANY,
    LUA_MATCH_UNFINISHED,
};

struct lua_match {
    const char *start; /* of the subject, zero-terminated */
    const char *end;
    bool (*ask)(void *ctx); /* false: stop; NULL: never asked */
    void *ask_ctx;
    int32_t steps; /* until the next question */
    int32_t depth;
    int32_t level; /* captures, open ones too */
    enum lua_match_error error;
    struct {
        const char *start;
        ptrdiff_t len; /* bytes, or LUA_MATCH_OPEN, LUA_MATCH_POSITION */
    } captures[LUA_MATCH_CAPTURES];
};

/*
 * Match the beginning of `at` (within the subject) against a zero-terminated pattern without `^`.
 *
 * returns  the end of the match, or NULL: none, or match->error
 */
const char *lua_match_at(struct lua_match *match, const char *at, const char *pattern);

/*
 * The first match at or behind `at`.
 *
 * anchored  only at `at`
 * ret_end   end of the match
 * returns   its start, or NULL as above
 */
const char *lua_match_find(struct lua_match *match, const char *at, const char *pattern,
                           bool anchored, const char **ret_end);

/* True if a pattern has a character with a meaning: else it is a plain text. */
bool lua_match_is_pattern(const char *pattern, size_t size);

/* What the original says, in its words. */
const char *lua_match_error_text(enum lua_match_error error);
