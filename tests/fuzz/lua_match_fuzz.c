/* SPDX-License-Identifier: MIT */
/*
 * Our pattern matcher beside LuaJIT's: string.find, match, gmatch and gsub of both get the same
 * subject and pattern, and must give the same values or the same error.
 *
 *     byte 0: size of the pattern · pattern · subject
 *
 * The original cannot be stopped, so a pair is left out when ours needs more than STEPS_MAX steps.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nodes/script/lua/lua_private.h"
#include "nodes/script/lua/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SUBJECT_MAX = 512, PATTERN_MAX = 64, QUESTIONS_MAX = 4 };

/* Both libraries get (subject, pattern); the answer is one text. */
static const char compare_text[] =
    "local ours, theirs, subject, pattern, replacement = ...\n"
    "local function show(ok, ...)\n"
    "  local parts = {tostring(ok)}\n"
    "  for i = 1, select('#', ...) do\n"
    "    local v = (select(i, ...))\n"
    "    v = type(v) == 'string' and v:gsub('^[^:]*:%d+: ', '') or v\n"
    "    parts[#parts + 1] = type(v) .. '<' .. tostring(v) .. '>'\n"
    "  end\n"
    "  return table.concat(parts, ' ')\n"
    "end\n"
    "local function each(lib)\n"
    "  local all, count = {}, 0\n"
    "  for a, b, c in lib.gmatch(subject, pattern) do\n"
    "    count = count + 1 all[count] = show(true, a, b, c)\n"
    "  end\n"
    "  return table.concat(all, ';')\n"
    "end\n"
    "local function same(what, f, ...)\n"
    "  local a, b = show(pcall(f, ours, ...)), show(pcall(f, theirs, ...))\n"
    "  if a ~= b then error(what .. '\\n  ours   ' .. a .. '\\n  theirs ' .. b, 0) end\n"
    "end\n"
    "local function upper(a, b) return b and a .. b or a end\n"
    "for start = -2, 3 do\n"
    "  same('find', function(l) return l.find(subject, pattern, start) end)\n"
    "  same('match', function(l) return l.match(subject, pattern, start) end)\n"
    "end\n"
    "same('plain', function(l) return l.find(subject, pattern, 1, true) end)\n"
    "same('gmatch', each)\n"
    "same('gsub', function(l) return l.gsub(subject, pattern, replacement) end)\n"
    "same('gsub 2', function(l) return l.gsub(subject, pattern, '<%0>', 2) end)\n"
    "same('gsub function', function(l) return l.gsub(subject, pattern, upper) end)\n"
    "same('gsub table', function(l) return l.gsub(subject, pattern, {a = 'A', ab = false, [''] = "
    "1}) "
    "end)\n";

static struct lua_shard *shard;

static bool ask_few(void *ctx)
{
    return --*(int *)ctx > 0;
}

/* Does the matcher come to an end soon, from every place of the subject? */
static bool is_cheap(const char *subject, size_t subject_size, const char *pattern)
{
    int questions = QUESTIONS_MAX;
    struct lua_match match = {.start = subject,
                              .end = subject + subject_size,
                              .ask = ask_few,
                              .ask_ctx = &questions,
                              .steps = LUA_MATCH_STEPS};
    const char *at = subject;
    for (; at <= match.end; at++) {
        (void)lua_match_at(&match, at, pattern + (*pattern == '^'));
        if (match.error == LUA_MATCH_STOPPED) return false;
    }
    return true;
}

static void start(void)
{
    if (shard != NULL) return;
    shard = lua_shard_new(NULL);
    if (shard == NULL) abort();
    lua_State *L = shard->L;
    lua_newtable(L);
    luaL_register(L, NULL, lua_string_natives);
    if (luaL_loadbufferx(L, compare_text, sizeof(compare_text) - 1, "=compare", "t") != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char subject[SUBJECT_MAX + 1], pattern[PATTERN_MAX + 1];
    start();
    if (size == 0) return 0;
    size_t pattern_size = data[0] % (PATTERN_MAX + 1);
    if (pattern_size > size - 1) pattern_size = size - 1;
    size_t subject_size = size - 1 - pattern_size;
    if (subject_size > SUBJECT_MAX) subject_size = SUBJECT_MAX;
    memcpy(pattern, data + 1, pattern_size);
    memcpy(subject, data + 1 + pattern_size, subject_size);
    pattern[pattern_size] = subject[subject_size] = '\0';
    if (!is_cheap(subject, subject_size, pattern)) return 0;
    lua_State *L = shard->L;
    shard->stack_start = (uintptr_t)__builtin_frame_address(0);
    int top = lua_gettop(L); /* …, ours, compare */
    lua_pushvalue(L, top);
    lua_pushvalue(L, top - 1);
    lua_getglobal(L, "string");
    lua_pushlstring(L, subject, subject_size);
    lua_pushlstring(L, pattern, pattern_size);
    lua_pushlstring(L, pattern, pattern_size); /* as replacement, too */
    if (lua_pcall(L, 5, 0, 0) != 0) {
        (void)fprintf(stderr, "subject \"%s\" pattern \"%s\": %s\n", subject, pattern,
                      lua_tostring(L, -1));
        abort();
    }
    lua_settop(L, top);
    return 0;
}
