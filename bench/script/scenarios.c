/* SPDX-License-Identifier: MIT */
/*
 * The work, the same in each language. `body` is the document of the echo scenario of
 * `sluice-bench tax`; `request` is that body in the payload of an HTTP request.
 *
 * cells-in and cells-out are the conversions alone: cells to the language's values and nothing else,
 * and a value made in the script back to cells. The text variants are the same through JSON text:
 * printed here and parsed by the script, or the other way round.
 */
#include "bench/script/script_bench.h"

#define BODY                                                                                       \
    "{\"id\":\"a1b2c3d4\",\"count\":41,\"user\":{\"name\":\"Ada Lovelace\",\"age\":36,"            \
    "\"email\":\"ada@example.org\"},\"tags\":[\"alpha\",\"beta\",\"gamma\"],\"active\":true,"      \
    "\"score\":12.5,\"note\":\"hello\"}"

#define REQUEST                                                                                    \
    "{\"method\":\"POST\",\"scheme\":\"http\",\"host\":\"127.0.0.1:8000\",\"path\":\"/echo\","     \
    "\"query\":{},\"protocol\":\"HTTP/1.1\",\"header\":{\"Host\":\"127.0.0.1:8000\","              \
    "\"User-Agent\":\"curl/8.5.0\",\"Accept\":\"*/*\",\"Content-Type\":\"application/json\","      \
    "\"Content-Length\":\"170\"},\"remote\":\"127.0.0.1\",\"params\":{},\"body\":" BODY "}"

#define JS_VALUE                                                                                   \
    "{ id: 'a1b2c3d4', count: 41, user: { name: 'Ada Lovelace', age: 36, email: "                  \
    "'ada@example.org' }, tags: ['alpha', 'beta', 'gamma'], active: true, score: 12.5, "           \
    "note: 'hello' }"
#define LUA_VALUE                                                                                  \
    "{ id = 'a1b2c3d4', count = 41, user = { name = 'Ada Lovelace', age = 36, email = "            \
    "'ada@example.org' }, tags = { 'alpha', 'beta', 'gamma' }, active = true, score = 12.5, "      \
    "note = 'hello' }"

const char *const sb_languages[SB_LANGUAGES_COUNT] = {"javascript", "lua"};

const struct sb_scenario sb_scenarios[] = {
    {"bare",
     "a call with nothing in or out",
     NULL,
     SB_CELLS,
     NULL,
     {"export default () => null", "return function() return nil end"}},
    {"constant",
     "a constant object of 170 bytes, the request not looked at",
     REQUEST,
     SB_CELLS,
     "bare",
     {"export default () => (" JS_VALUE ")", "return function() return " LUA_VALUE " end"}},
    {"increment",
     "a field of a 170-byte JSON body plus one",
     BODY,
     SB_CELLS,
     "bare",
     {"export default (self) => { self.count += 1; return self }",
      "return function(self) self.count = self.count + 1 return self end"}},
    {"increment request",
     "the same with the whole request as input",
     REQUEST,
     SB_CELLS,
     "increment",
     {"export default (self) => { const value = self.body; value.count += 1; return { body: value "
      "} "
      "}",
      "return function(self) local value = self.body value.count = value.count + 1 return { body = "
      "value } end"}},
    {"increment text",
     "the same body through JSON text both ways",
     BODY,
     SB_TEXT_BOTH,
     "increment",
     {"export default (text) => { const self = JSON.parse(text); self.count += 1; return "
      "JSON.stringify(self) }",
      "return function(text) local self = json.decode(text) self.count = self.count + 1 return "
      "json.encode(self) end"}},
    {"loop",
     "a loop of 100 rounds",
     NULL,
     SB_CELLS,
     "bare",
     {"export default () => { let x = 0; for (let i = 0; i < 100; i++) x = (x * 31 + i) % 65536; "
      "return "
      "x }",
      "return function() local x = 0 for i = 0, 99 do x = (x * 31 + i) % 65536 end return x end"}},
    {"cells in",
     "the body to the language, nothing back",
     BODY,
     SB_CELLS,
     "bare",
     {"export default (self) => { const all = self; return all.count }",
      "return function(self) return self.count end"}},
    {"text in",
     "the same through JSON text",
     BODY,
     SB_TEXT_IN,
     "cells in",
     {"export default (text) => JSON.parse(text).count",
      "return function(text) return json.decode(text).count end"}},
    {"cells out",
     "a fresh value of the same shape back, nothing in",
     NULL,
     SB_CELLS,
     "bare",
     {"export default () => (" JS_VALUE ")", "return function() return " LUA_VALUE " end"}},
    {"text out",
     "the same through JSON text",
     NULL,
     SB_TEXT_OUT,
     "cells out",
     {"export default () => JSON.stringify(" JS_VALUE ")",
      "return function() return json.encode(" LUA_VALUE ") end"}},
};
const size_t sb_scenarios_count = sizeof(sb_scenarios) / sizeof(sb_scenarios[0]);
