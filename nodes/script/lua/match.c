/* SPDX-License-Identifier: MIT */
/*
 * After Lua's lstrlib.c (MIT, PUC-Rio) as changed in LuaJIT: the same rules, the same limits. A
 * match that fails leaves `error` set or not; the functions return at once when it is.
 */
#include "nodes/script/lua/match.h"

#include <string.h>

#include "core/base/assertion.h"

static const char *match_here(struct lua_match *match, const char *s, const char *p);

static const char *fail(struct lua_match *match, enum lua_match_error error)
{
    match->error = error;
    return NULL;
}

/* Count a step; false once it is time to stop. */
static inline bool step(struct lua_match *match)
{
    if (__builtin_expect(--match->steps >= 0, 1)) return true;
    match->steps = LUA_MATCH_STEPS;
    if (match->ask == NULL || match->ask(match->ask_ctx)) return true;
    match->error = LUA_MATCH_STOPPED;
    return false;
}

/* ---- Classes ------------------------------------------------------------------------------- */

static bool is_class(uint8_t c, uint8_t class_lower)
{
    bool is_lower = c >= 'a' && c <= 'z';
    bool is_upper = c >= 'A' && c <= 'Z';
    bool is_digit = c >= '0' && c <= '9';
    switch (class_lower) {
    case 'a': return is_lower || is_upper;
    case 'c': return c < 32 || c == 127;
    case 'd': return is_digit;
    case 'g': return c > 32 && c < 127;
    case 'l': return is_lower;
    case 'p': return c > 32 && c < 127 && !is_lower && !is_upper && !is_digit;
    case 's': return c == ' ' || (c >= 9 && c <= 13);
    case 'u': return is_upper;
    case 'w': return is_lower || is_upper || is_digit;
    case 'x': return is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    default: return c == 0; /* z */
    }
}

/* Does `c` belong to `%class`? */
static bool in_class(uint8_t c, uint8_t class)
{
    uint8_t lower = class | 0x20;
    bool is_letter = lower >= 'a' && lower <= 'z' && class < 128;
    if (!is_letter || memchr("acdglpsuwxz", lower, 11) == NULL) return class == c;
    return is_class(c, lower) == (class == lower);
}

/* `p` at `[`, `last` at its `]`. */
static bool in_set(uint8_t c, const char *p, const char *last)
{
    bool found = true;
    if (p[1] == '^') {
        found = false;
        p++;
    }
    while (++p < last) {
        if (*p == '%') {
            p++;
            if (in_class(c, (uint8_t)*p)) return found;
        } else if (p[1] == '-' && p + 2 < last) {
            p += 2;
            if ((uint8_t)p[-2] <= c && c <= (uint8_t)*p) return found;
        } else if ((uint8_t)*p == c) {
            return found;
        }
    }
    return !found;
}

/* Does `c` match the single item from `p` to `item_end`? */
static bool in_item(uint8_t c, const char *p, const char *item_end)
{
    switch (*p) {
    case '.': return true;
    case '%': return in_class(c, (uint8_t)p[1]);
    case '[': return in_set(c, p, item_end - 1);
    default: return (uint8_t)*p == c;
    }
}

/* Where the single item at `p` ends; NULL for an error. */
static const char *item_end_of(struct lua_match *match, const char *p)
{
    char first = *p++;
    if (first == '%') {
        if (*p == '\0') return fail(match, LUA_MATCH_ENDS_WITH_PERCENT);
        return p + 1;
    }
    if (first != '[') return p;
    if (*p == '^') p++;
    do {
        if (*p == '\0') return fail(match, LUA_MATCH_NO_BRACKET);
        if (*p++ == '%' && *p != '\0') p++;
    } while (*p != ']');
    return p + 1;
}

/* ---- Items --------------------------------------------------------------------------------- */

static const char *balance(struct lua_match *match, const char *s, const char *p)
{
    if (p[0] == '\0' || p[1] == '\0') return fail(match, LUA_MATCH_UNBALANCED);
    if (*s != *p) return NULL;
    int32_t open = 1;
    while (++s < match->end) {
        if (!step(match)) return NULL;
        if (*s == p[1]) {
            if (--open == 0) return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

static const char *expand_most(struct lua_match *match, const char *s, const char *p,
                               const char *item_end)
{
    ptrdiff_t count = 0;
    while (s + count < match->end && in_item((uint8_t)s[count], p, item_end)) {
        if (!step(match)) return NULL;
        count++;
    }
    for (; count >= 0; count--) {
        const char *result = match_here(match, s + count, item_end + 1);
        if (result != NULL || match->error != LUA_MATCH_GOOD) return result;
    }
    return NULL;
}

static const char *expand_least(struct lua_match *match, const char *s, const char *p,
                                const char *item_end)
{
    for (;;) {
        const char *result = match_here(match, s, item_end + 1);
        if (result != NULL || match->error != LUA_MATCH_GOOD) return result;
        if (s >= match->end || !in_item((uint8_t)*s, p, item_end)) return NULL;
        s++;
    }
}

static const char *capture_start(struct lua_match *match, const char *s, const char *p,
                                 ptrdiff_t len)
{
    int32_t level = match->level;
    if (level >= LUA_MATCH_CAPTURES) return fail(match, LUA_MATCH_TOO_MANY);
    match->captures[level].start = s;
    match->captures[level].len = len;
    match->level = level + 1;
    const char *result = match_here(match, s, p);
    if (result == NULL) match->level--;
    return result;
}

static const char *capture_end(struct lua_match *match, const char *s, const char *p)
{
    int32_t level = match->level - 1;
    while (level >= 0 && match->captures[level].len != LUA_MATCH_OPEN) level--;
    if (level < 0) return fail(match, LUA_MATCH_BAD_CAPTURE);
    match->captures[level].len = s - match->captures[level].start;
    const char *result = match_here(match, s, p);
    if (result == NULL) match->captures[level].len = LUA_MATCH_OPEN;
    return result;
}

/* `%1` … `%9`: the same text again. `%0` is an index that no capture has. */
static const char *capture_again(struct lua_match *match, const char *s, char digit)
{
    int32_t level = digit - '1';
    if (level < 0 || level >= match->level || match->captures[level].len == LUA_MATCH_OPEN) {
        return fail(match, LUA_MATCH_BAD_INDEX);
    }
    size_t len = (size_t)match->captures[level].len;
    if ((size_t)(match->end - s) < len) return NULL;
    match->steps -= (int32_t)(len / 64);
    return memcmp(match->captures[level].start, s, len) == 0 ? s + len : NULL;
}

/* `%f[set]`; NULL: no frontier here, or an error. Else where the pattern goes on. */
static const char *frontier(struct lua_match *match, const char *s, const char *p)
{
    if (*p != '[') return fail(match, LUA_MATCH_NO_FRONTIER);
    const char *item_end = item_end_of(match, p);
    if (item_end == NULL) return NULL;
    uint8_t before = s == match->start ? 0 : (uint8_t)s[-1];
    if (in_set(before, p, item_end - 1) || !in_set((uint8_t)*s, p, item_end - 1)) return NULL;
    return item_end;
}

/*
 * A single item with what follows it. Returns the end of the match or NULL; or sets *ret_p, where
 * the pattern goes on, and returns where the subject does.
 */
static const char *item(struct lua_match *match, const char *s, const char *p, const char **ret_p)
{
    const char *item_end = item_end_of(match, p);
    if (item_end == NULL) return NULL;
    bool fits = s < match->end && in_item((uint8_t)*s, p, item_end);
    switch (*item_end) {
    case '?':
        if (fits) {
            const char *result = match_here(match, s + 1, item_end + 1);
            if (result != NULL || match->error != LUA_MATCH_GOOD) return result;
        }
        *ret_p = item_end + 1;
        return s;
    case '*': return expand_most(match, s, p, item_end);
    case '+': return fits ? expand_most(match, s + 1, p, item_end) : NULL;
    case '-': return expand_least(match, s, p, item_end);
    default:
        if (!fits) return NULL;
        *ret_p = item_end;
        return s + 1;
    }
}

/* What begins with `%` and is more than a class. As item(). */
static const char *escape(struct lua_match *match, const char *s, const char *p, const char **ret_p)
{
    if (p[1] == 'b') {
        s = balance(match, s, p + 2);
        if (s != NULL) *ret_p = p + 4;
        return s;
    }
    if (p[1] == 'f') {
        *ret_p = frontier(match, s, p + 2);
        return *ret_p != NULL ? s : NULL;
    }
    if (p[1] >= '0' && p[1] <= '9') {
        s = capture_again(match, s, p[1]);
        if (s != NULL) *ret_p = p + 2;
        return s;
    }
    return item(match, s, p, ret_p);
}

/* The recursion is bounded by LUA_MATCH_DEPTH, which is part of what patterns mean. */
static const char *match_here(struct lua_match *match, const char *s, const char *p)
{
    if (++match->depth > LUA_MATCH_DEPTH) return fail(match, LUA_MATCH_TOO_COMPLEX);
    while (p != NULL) {
        const char *go_on = NULL;
        if (!step(match)) return NULL;
        switch (*p) {
        case '(':
            s = p[1] == ')' ? capture_start(match, s, p + 2, LUA_MATCH_POSITION)
                            : capture_start(match, s, p + 1, LUA_MATCH_OPEN);
            break;
        case ')': s = capture_end(match, s, p + 1); break;
        case '\0': break;
        case '%': s = escape(match, s, p, &go_on); break;
        case '$':
            if (p[1] == '\0') {
                if (s != match->end) s = NULL;
                break;
            }
            s = item(match, s, p, &go_on);
            break;
        default: s = item(match, s, p, &go_on); break;
        }
        if (match->error != LUA_MATCH_GOOD) return NULL;
        p = s != NULL ? go_on : NULL;
    }
    match->depth--;
    return s;
}

/* ---- Entry --------------------------------------------------------------------------------- */

const char *lua_match_at(struct lua_match *match, const char *at, const char *pattern)
{
    sl_assert(match != NULL);
    sl_assert(at >= match->start);
    sl_assert(at <= match->end);
    match->level = 0;
    match->depth = 0;
    match->error = LUA_MATCH_GOOD;
    return match_here(match, at, pattern);
}

const char *lua_match_find(struct lua_match *match, const char *at, const char *pattern,
                           bool anchored, const char **ret_end)
{
    sl_assert(ret_end != NULL);
    do {
        const char *end = lua_match_at(match, at, pattern);
        if (end != NULL) {
            *ret_end = end;
            return at;
        }
        if (match->error != LUA_MATCH_GOOD) return NULL;
    } while (at++ < match->end && !anchored);
    return NULL;
}

bool lua_match_is_pattern(const char *pattern, size_t size)
{
    sl_assert(pattern != NULL);
    for (size_t i = 0; i < size; i++) {
        if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]) != NULL) return true;
    }
    return false;
}

const char *lua_match_error_text(enum lua_match_error error)
{
    switch (error) {
    case LUA_MATCH_GOOD:
    case LUA_MATCH_STOPPED: break;
    case LUA_MATCH_ENDS_WITH_PERCENT: return "malformed pattern (ends with '%')";
    case LUA_MATCH_NO_BRACKET: return "malformed pattern (missing ']')";
    case LUA_MATCH_NO_FRONTIER: return "missing '[' after '%f' in pattern";
    case LUA_MATCH_UNBALANCED: return "unbalanced pattern";
    case LUA_MATCH_TOO_COMPLEX: return "pattern too complex";
    case LUA_MATCH_BAD_INDEX: return "invalid capture index";
    case LUA_MATCH_BAD_CAPTURE: return "invalid pattern capture";
    case LUA_MATCH_TOO_MANY: return "too many captures";
    case LUA_MATCH_UNFINISHED: return "unfinished capture";
    }
    return "";
}
