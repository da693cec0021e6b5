/* SPDX-License-Identifier: MIT */
/*
 * The counters that the rewriter inserts change nothing: a program and its rewritten form are both
 * refused, or both end with the same values, prints and error.
 *
 *     byte 0: even: the rest is the program · odd: the rest chooses a program from a grammar
 *
 * Both run interpreted, with few instructions and little memory; who needs more is not compared.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem/out.h"
#include "nodes/script/lua/lua_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INSTRUCTIONS_MAX = 20000,
    MEMORY_MAX = 8 * 1024 * 1024,
    PROGRAM_MAX = 16384,
    DEPTH_MAX = 5,
    ROUNDS = 3, /* few: the counter runs out often */
};

static const char too_much[] = "the program is left out";

/* What a program sees, and how its end is written. (program, …) → text. */
static const char around_text[] =
    "local raw = {...}\n"
    "local show_error = function(e)\n"
    "  e = type(e) == 'string' and e or type(e)\n"
    "  return (e:gsub('^[^:]*:%d+: ', ''))\n"
    "end\n"
    "return function(program, ...)\n"
    "  local out = {}\n"
    "  local function put(...)\n"
    "    for i = 1, select('#', ...) do\n"
    "      local v = (select(i, ...))\n"
    "      local t = type(v)\n"
    "      out[#out + 1] = (t == 'string' or t == 'number' or t == 'boolean') and tostring(v) or "
    "t\n"
    "      if t == 'table' then for k = 1, #v do out[#out + 1] = tostring(v[k]):sub(1, 5) end end\n"
    "    end\n"
    "    out[#out + 1] = ';'\n"
    "  end\n"
    "  local s, names = {}, {'byte', 'char', 'find', 'gsub', 'len', 'match', 'rep', 'sub', "
    "'upper'}\n"
    "  for _, name in ipairs(names) do s[name] = string[name] end\n"
    "  local env = {print = put, string = s, table = {concat = table.concat, insert = "
    "table.insert},\n"
    "    math = {floor = math.floor, max = math.max}, pairs = ipairs, ipairs = ipairs,\n"
    "    pcall = function(...) return pcall(...) end, error = error, select = select, type = "
    "type,\n"
    "    tonumber = tonumber, setmetatable = setmetatable, unpack = unpack, assert = assert,\n"
    "    coroutine = {wrap = coroutine.wrap, yield = coroutine.yield}, a = 1, b = 'x', t = {3, 2, "
    "1}}\n"
    "  env.f = function(...) put('f', ...) return ... end\n"
    "  setfenv(program, env)\n"
    "  local function ended(ok, ...)\n"
    "    if ok then put('values', ...) else put('error', show_error((...))) end\n"
    "  end\n"
    "  ended(pcall(program, ...))\n"
    "  return (table.concat(out, ' '):gsub('p:%d+: ', ''))\n"
    "end\n";

/* ---- Programs from a grammar ---------------------------------------------------------------- */

struct grammar {
    const uint8_t *at;
    const uint8_t *end;
    struct sl_out out;
    uint32_t depth;
    uint32_t labels;
};

static uint8_t choose(struct grammar *g, uint8_t count)
{
    return g->at < g->end ? (uint8_t)(*g->at++ % count) : 0;
}

static void put(struct grammar *g, const char *text)
{
    sl_out_append(&g->out, text, strlen(text));
}

/* In a template: E an expression, S statements, N a name, L a fresh label. */
static void expand(struct grammar *g, const char *template);

static void name(struct grammar *g)
{
    static const char *const names[] = {"a", "b", "c", "t", "i", "s", "t.x", "t[1]"};
    put(g, names[choose(g, 8)]);
}

static void expression(struct grammar *g)
{
    static const char *const leaves[] = {"1",    "'x'",    "nil", "true",       "a",  "[[y\n]]",
                                         "0x1F", "2.5e-1", "t",   "\"\\z  q\"", "..."};
    static const char *const trees[] = {
        "E..E",
        "(E)",
        "E..E..E",
        "(E+1)",
        "{E,E;E}",
        "f(E)",
        "f(E,E)",
        "#t",
        "not E",
        "E==E",
        "E and E",
        "E or E",
        "function(c)S return E end",
        "f{E}",
        "f'x'",
        "t.y",
        "t[E]",
        "(function(...)return E end)(E)",
        "{f=E,['z']=E,E..E;}",
        "a<2",
        "pcall(function() S end)",
        "('x'):rep(2)",
        "tostring",
        "-a",
        "select('#',E,E)",
    };
    if (g->depth >= DEPTH_MAX || g->at >= g->end) {
        put(g, leaves[choose(g, 10)]);
        return;
    }
    uint8_t choice = choose(g, 40);
    if (choice >= 25) {
        put(g, leaves[choice % 10]);
    } else {
        expand(g, trees[choice]);
    }
}

static void statement(struct grammar *g)
{
    static const char *const forms[] = {
        "N=E ",
        "local c=E ",
        "local a,b=E,E;",
        "f(E) ",
        "print(E,E)\n",
        "if E then S end ",
        "if E then S else S end ",
        "if E then S elseif E then S else S end\n",
        "for i=1,3 do S end ",
        "for _,i in ipairs(t)do S end ",
        "for i=3,1,-1 do S if E then break end end ",
        "local n=0 while n<3 do n=n+1 S end ",
        "local n=0 repeat n=n+1 S until n>2 ",
        "do S end ",
        "local function g(c,...)S return E end print(g(E,E)) ",
        "function f(c)S end ",
        "b=b..E ",
        "b=b..'y' b=b..E ",
        "do local n=0 ::L:: n=n+1 if n<3 then goto L end end ",
        "for i=1,2 do do S if E then goto L end end S ::L:: end ",
        "-- text\n",
        "--[[ more\n]]",
        "t[#t+1]=E ",
        ";",
        "local w=coroutine.wrap(function()S coroutine.yield(E)end)print(w()) ",
        "print(pcall(function()S error(E)end)) ",
        "f'x' ",
        "goto=1 ",
        "t={E;E;g=E}",
        "s=setmetatable({},{__concat=function(x,y)S return E end})print(s..E) ",
    };
    expand(g, forms[choose(g, sizeof(forms) / sizeof(forms[0]))]);
}

static void statements(struct grammar *g)
{
    uint8_t count = choose(g, 4);
    for (uint8_t i = 0; i < count && g->out.size < PROGRAM_MAX; i++) statement(g);
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX ends it. */
static void expand(struct grammar *g, const char *template)
{
    char label[16];
    g->depth++;
    (void)snprintf(label, sizeof(label), "l%u", g->labels++);
    for (const char *c = template; *c != '\0'; c++) {
        switch (*c) {
        case 'E': expression(g); break;
        case 'N': name(g); break;
        case 'L': put(g, label); break;
        case 'S':
            if (g->depth < DEPTH_MAX) statements(g);
            break;
        default: sl_out_append(&g->out, c, 1);
        }
    }
    g->depth--;
}

/* ---- Both forms ---------------------------------------------------------------------------- */

static lua_State *machine;
static size_t used;
static lua_Alloc original;
static void *original_ctx;

static void *allocate(void *ctx, void *block, size_t old_size, size_t size)
{
    (void)ctx;
    if (size > old_size && used + size - old_size > MEMORY_MAX) return NULL;
    void *moved = original(original_ctx, block, old_size, size);
    if (moved != NULL || size == 0) used += size - old_size;
    return moved;
}

static bool is_over; /* it took too many instructions, or too much memory */

static void hook(lua_State *L, lua_Debug *event)
{
    (void)event;
    is_over = true;
    (void)lua_sethook(L, hook, LUA_MASKCOUNT, 1); /* again, where a pcall caught it */
    (void)luaL_error(L, too_much);
}

static int tick(lua_State *L)
{
    lua_pushinteger(L, ROUNDS);
    return 1;
}

/* A machine with `around` at 1. */
static void start(void)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) abort();
    luaL_openlibs(L);
    (void)luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    if (luaL_loadbufferx(L, around_text, sizeof(around_text) - 1, "=around", "t") != 0) abort();
    lua_call(L, 0, 1);
    used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
    original = lua_getallocf(L, &original_ctx);
    lua_setallocf(L, allocate, NULL);
    machine = L;
}

/* Run the program at the top; its text, or NULL: it is left out. Leaves the text on the stack. */
static const char *run(lua_State *L, int instructions)
{
    is_over = false;
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_pushinteger(L, 7);
    lua_pushliteral(L, "arg");
    (void)lua_sethook(L, hook, LUA_MASKCOUNT, instructions);
    int status = lua_pcall(L, 3, 1, 0);
    (void)lua_sethook(L, NULL, 0, 0);
    const char *text = lua_tostring(L, -1);
    if (status != 0 || is_over || text == NULL) return NULL;
    bool limits = strstr(text, "overflow") != NULL || strstr(text, "not enough memory") != NULL ||
                  strstr(text, too_much) != NULL;
    return limits ? NULL : text;
}

/* Is it a limit of the compiler, which the rewritten form reaches earlier? */
static bool is_limit(const char *message)
{
    return strstr(message, "too many") != NULL || strstr(message, "too long") != NULL ||
           strstr(message, "too large") != NULL || strstr(message, "overflow") != NULL ||
           strstr(message, "memory") != NULL || strstr(message, "chunk has") != NULL;
}

static void fail(const char *program, size_t size, const char *what, const char *a, const char *b)
{
    (void)fprintf(stderr, "%.*s\n--- %s\n original  %s\n rewritten %s\n", (int)size, program, what,
                  a, b);
    abort();
}

static void compare(const char *program, size_t size)
{
    lua_State *L = machine;
    struct lua_rewrite rewrite;
    if (lua_rewrite(sl_slice_make(program, size), true, &rewrite, NULL) < 0) return;
    lua_settop(L, 1);
    bool good = luaL_loadbufferx(L, program, size, "=p", "t") == 0;
    const char *message = good ? "loads" : lua_tostring(L, -1);
    bool alone = luaL_loadbufferx(L, rewrite.text, rewrite.size, "=p", "t") == 0;
    const char *other = alone ? "loads" : lua_tostring(L, -1);
    /* `do ;` is refused, `do n=n-1 … ;` is not. */
    bool is_looser = !good && strstr(message, "near ';'") != NULL;
    if (good != alone && !is_looser && !is_limit(message) && !is_limit(other)) {
        fail(program, size, "compiling", message, other);
    }
    bool wrapped = good && alone && lua_load_wrapped(L, rewrite.text, rewrite.size, "=p") == 0;
    if (wrapped) {
        lua_createtable(L, 2, 0);
        lua_pushnumber(L, 0);
        lua_rawseti(L, -2, 1);
        lua_pushcfunction(L, tick);
        lua_rawseti(L, -2, 2);
        lua_call(L, 1, 1);
        lua_pushvalue(L, 2);
        const char *first = run(L, INSTRUCTIONS_MAX);
        lua_pushvalue(L, 4);
        const char *second = first != NULL ? run(L, INSTRUCTIONS_MAX * 30) : NULL;
        if (second != NULL && strcmp(first, second) != 0) {
            fail(program, size, "running", first, second);
        }
    }
    lua_rewrite_fini(&rewrite);
    lua_settop(L, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (machine == NULL) start();
    if (size == 0 || size > PROGRAM_MAX) return 0;
    if (data[0] % 2 == 0) {
        compare((const char *)data + 1, size - 1);
    } else {
        struct grammar g = {.at = data + 1, .end = data + size};
        sl_out_init(&g.out, NULL);
        while (g.at < g.end && g.out.size < PROGRAM_MAX) statement(&g);
        put(&g, choose(&g, 2) ? "return a,b,t" : "return b..b");
        if (g.out.error == 0) compare((const char *)g.out.data, g.out.size);
        sl_out_fini(&g.out);
    }
    (void)lua_gc(machine, LUA_GCCOLLECT, 0);
    return 0;
}
