/* SPDX-License-Identifier: MIT */
/*
 * One run of a script inside a shard, in every language that was built in, with the limits armed as
 * for a request. What answers true or false is run as a condition where the language has those, as
 * routers and switches do. bench/cel has a longer table of CEL.
 */
#include "nodes/script/engine.h"

#include <stdlib.h>

#include "bench/micro/micro.h"
#include "bench/micro/sample.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "nodes/kinds.h"

enum { MEMORY_MAX = 256 * 1024 * 1024, TIMEOUT_MS = 60000 };

struct text {
    const char *language;
    const char *code;
};

struct script {
    const struct sl_engine *engine;
    struct sl_script *script;
    void *shard_state;
    void *instance;
    struct sl_mem *mem;
    struct sl_script_call call;
    bool is_condition;
};

static int script_compile(struct sl_micro_run *run, struct script *script, const struct text *text)
{
    struct sl_script_source source = {
        .code = sl_slice_from_str(text->code),
        .file = "",
        .name = "bench",
        .timeout_ms = TIMEOUT_MS, /* a call that was not let run is a slow sample, no error */
    };
    int result = script->engine->compile(&source, &script->script, &run->diag);
    if (result != 0 || script->engine->attach == NULL) return result;
    return script->engine->attach(script->script, &script->shard_state, &script->instance,
                                  &run->diag);
}

static int script_setup(struct sl_micro_run *run)
{
    const struct text *text = run->arg;
    sl_kinds_register();
    const struct sl_engine *engine = sl_engine_get(text->language);
    if (engine == NULL) {
        run->why = "this language was not built in";
        return SL_MICRO_SKIPPED;
    }
    struct script *script = calloc(1, sizeof(*script));
    sl_assert(script != NULL);
    script->engine = engine;
    script->mem = sl_mem_new(MEMORY_MAX);
    sl_assert(script->mem != NULL);
    int result = script_compile(run, script, text);
    if (result != 0) {
        if (script->script != NULL) engine->script_free(script->script);
        (void)sl_mem_free(script->mem);
        free(script);
        return result;
    }
    script->call = (struct sl_script_call){.input = sl_sample_value(SL_SAMPLE_REQUEST, script->mem),
                                           .mem = script->mem,
                                           .clock = sl_clock_system(),
                                           .deadline_ns = UINT64_MAX};
    struct sl_value once = engine->run(script->script, script->instance, &script->call);
    sl_assert(!sl_value_is_none(once));
    sl_assert(!sl_value_is(once, SL_VALUE_ERROR));
    script->is_condition = engine->test != NULL && sl_value_is(once, SL_VALUE_BOOL);
    sl_value_unref(once);
    run->state = script;
    return 0;
}

static void script_teardown(struct sl_micro_run *run)
{
    struct script *script = run->state;
    const struct sl_engine *engine = script->engine;
    sl_value_unref(script->call.input);
    if (engine->detach != NULL) {
        engine->detach(script->script, script->shard_state, script->instance);
    }
    engine->script_free(script->script);
    if (engine->shard_fini != NULL && script->shard_state != NULL) {
        engine->shard_fini(script->shard_state);
    }
    (void)sl_mem_free(script->mem);
    free(script);
}

static void condition_run(struct script *script, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct sl_value error;
        int result = script->engine->test(script->script, script->instance, &script->call, &error);
        sl_assert(result >= 0);
    }
}

static void script_run(struct sl_micro_run *run, uint64_t count)
{
    struct script *script = run->state;
    if (script->is_condition) {
        condition_run(script, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct sl_value value =
            script->engine->run(script->script, script->instance, &script->call);
        sl_assert(!sl_value_is_none(value));
        sl_assert(!sl_value_is(value, SL_VALUE_ERROR));
        sl_value_unref(value);
    }
}

static const struct text JS_CONSTANT = {"javascript", "export default () => 1;"};
static const struct text JS_READ = {"javascript", "export default (r) => r.body.user.age >= 18;"};
static const struct text JS_ECHO = {"javascript", "export default (r) => ({body: r.body});"};
static const struct text JS_BUILD = {
    "javascript",
    "export default (r) => ({status: 200, body: {id: r.body.id, name: r.body.user.name, "
    "sum: r.body.items.reduce((s, i) => s + i.price, 0), tags: r.body.tags.map((t) => t + "
    "'!')}});"};
static const struct text JS_OBJECT = {
    "javascript", "export default () => ({status: 200, body: {hello: 'world', n: 1}});"};
static const struct text JS_INCREMENT = {
    "javascript", "export default (r) => { r.body.user.age++; return r.body; };"};
static const struct text JS_LOOP = {
    "javascript",
    "export default () => { let n = 0; for (let i = 0; i < 100; i++) n += i; return n; };"};
static const struct text LUA_OBJECT = {
    "lua", "return function () return {status = 200, body = {hello = 'world', n = 1}} end"};
static const struct text LUA_INCREMENT = {
    "lua", "return function (r) local u = r.body.user u.age = u.age + 1 return r.body end"};
static const struct text LUA_LOOP = {
    "lua", "return function () local n = 0 for i = 0, 99 do n = n + i end return n end"};
static const struct text LUA_CONSTANT = {"lua", "return function () return 1 end"};
static const struct text LUA_READ = {"lua", "return function (r) return r.body.user.age >= 18 end"};
static const struct text LUA_ECHO = {"lua", "return function (r) return {body = r.body} end"};

#define CASE(case_name, text, script_text)                                                         \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = script_setup, .run = script_run,            \
        .teardown = script_teardown, .arg = &(script_text)                                         \
    }

#define CEL(case_name, code)                                                                       \
    {                                                                                              \
        .name = (case_name), .about = (code), .setup = script_setup, .run = script_run,            \
        .teardown = script_teardown, .arg = &(const struct text)                                   \
        {                                                                                          \
            "cel", (code)                                                                          \
        }                                                                                          \
    }

static const struct sl_micro_case CEL_CASES[] = {
    CEL("cel/number-and-method", "self.body.user.age >= 18 && self.method == \"POST\""),
    CEL("cel/header", "self.header[\"content-type\"] == \"application/json\""),
    CEL("cel/exists-3", "self.body.items.exists(i, i.price > 100)"),
    CEL("cel/two-functions",
        "self.path.startsWith(\"/api/\") && self.body.user.email.endsWith(\"@example.com\")"),
    CEL("cel/regex", "self.body.user.email.matches(\"^[a-z]+@[a-z]+[.]com$\")"),
    CEL("cel/map-2", "{\"name\": self.body.user.name, \"age\": self.body.user.age}"),
};

const struct sl_micro_group sl_micro_cel = SL_MICRO_GROUP("cel", CEL_CASES);

static const struct sl_micro_case CASES[] = {
    CASE("script/js-constant", "JavaScript: enter, return 1, leave", JS_CONSTANT),
    CASE("script/js-read", "JavaScript: r.body.user.age >= 18", JS_READ),
    CASE("script/js-echo", "JavaScript: a new map around the request's body", JS_ECHO),
    CASE("script/js-build", "JavaScript: a reply of four fields, a sum, a mapped list", JS_BUILD),
    CASE("script/js-object", "JavaScript: a constant object", JS_OBJECT),
    CASE("script/js-increment", "JavaScript: one field of the request's body", JS_INCREMENT),
    CASE("script/js-loop", "JavaScript: a loop of 100 rounds", JS_LOOP),
    CASE("script/lua-constant", "Lua: enter, return 1, leave", LUA_CONSTANT),
    CASE("script/lua-read", "Lua: r.body.user.age >= 18", LUA_READ),
    CASE("script/lua-echo", "Lua: a new table around the request's body", LUA_ECHO),
    CASE("script/lua-object", "Lua: a constant object", LUA_OBJECT),
    CASE("script/lua-increment", "Lua: one field of the request's body", LUA_INCREMENT),
    CASE("script/lua-loop", "Lua: a loop of 100 rounds", LUA_LOOP),
};

const struct sl_micro_group sl_micro_script = SL_MICRO_GROUP("script", CASES);
