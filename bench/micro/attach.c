/* SPDX-License-Identifier: MIT */
/*
 * What a swap makes a shard do for each new script, between two requests: attach. The scripts differ,
 * and are compiled before. The first attach of a shard makes the language's machine, unless that was
 * done ahead.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "nodes/kinds.h"
#include "nodes/script/engine.h"

enum { SCRIPTS_MAX = 256, CODE_SIZE_MAX = 1024, PAUSE_NS = 20 * 1000 * 1000 };

struct kind {
    const char *language;
    const char *code; /* with one %u */
    bool first;       /* each attach is the first of its shard … */
    bool ahead;       /* … and what it needs is made before */
    bool part;        /* the longest part counts: what a shard stands still for */
};

struct attach {
    const struct sl_engine *engine;
    struct sl_script *scripts[SCRIPTS_MAX];
    uint32_t next;
    void *shard_state;
};

static void attach_teardown(struct sl_micro_run *run)
{
    struct attach *attach = run->state;
    for (uint32_t i = 0; i < SCRIPTS_MAX; i++) {
        if (attach->scripts[i] != NULL) attach->engine->script_free(attach->scripts[i]);
    }
    attach->engine->shard_fini(attach->shard_state);
    free(attach);
}

static int script_make(struct sl_micro_run *run, struct attach *attach, uint32_t i)
{
    const struct kind *kind = run->arg;
    char code[CODE_SIZE_MAX];
    (void)snprintf(code, sizeof(code), kind->code, i);
    struct sl_script_source source = {.code = sl_slice_from_str(code), .file = "", .name = "bench"};
    return attach->engine->compile(&source, &attach->scripts[i], &run->diag);
}

static int attach_setup(struct sl_micro_run *run)
{
    const struct kind *kind = run->arg;
    sl_kinds_register();
    const struct sl_engine *engine = sl_engine_get(kind->language);
    if (engine == NULL) {
        run->why = "this language was not built in";
        return SL_MICRO_SKIPPED;
    }
    struct attach *attach = calloc(1, sizeof(*attach));
    sl_assert(attach != NULL);
    attach->engine = engine;
    run->state = attach;
    int result = 0;
    for (uint32_t i = 0; i < SCRIPTS_MAX && result == 0; i++) result = script_make(run, attach, i);
    if (result != 0) attach_teardown(run);
    return result;
}

/* One attach: its time, or that of its longest part. */
static int attach_one(struct sl_micro_run *run, uint64_t *ret_ns)
{
    struct attach *attach = run->state;
    const struct kind *kind = run->arg;
    struct sl_script *script = attach->scripts[attach->next++ % SCRIPTS_MAX];
    void *instance = NULL;
    if (kind->first) {
        attach->engine->shard_fini(attach->shard_state);
        attach->shard_state = NULL;
    }
    if (kind->ahead && attach->engine->prepare != NULL) {
        attach->engine->prepare(script, 1);
        sl_micro_pause(PAUSE_NS); /* its helpers come to an end */
    }
    int result = 1;
    *ret_ns = 0;
    while (result > 0) {
        uint64_t start_ns = sl_clock_now_ns(sl_clock_system());
        result =
            kind->part
                ? attach->engine->attach_part(script, &attach->shard_state, &instance, &run->diag)
                : attach->engine->attach(script, &attach->shard_state, &instance, &run->diag);
        uint64_t took_ns = sl_clock_now_ns(sl_clock_system()) - start_ns;
        if (took_ns > *ret_ns) *ret_ns = took_ns;
    }
    if (result == 0) attach->engine->detach(script, attach->shard_state, instance);
    return result;
}

static int attach_sample(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns)
{
    int result = 0;
    for (uint64_t i = 0; i < count && result == 0; i++) result = attach_one(run, &ret_ns[i]);
    return result;
}

#define JS_CODE                                                                                    \
    "const limits = {max: 10, name: 'n%u'};\n"                                                     \
    "function helper(a) { return {n: (a?.count ?? 0) + 1, list: [1, 2].map((x) => x * 2)}; }\n"    \
    "export default (self) => {\n"                                                                 \
    "  const r = helper(self.body);\n"                                                             \
    "  if (r.n > limits.max) throw new Error('too many');\n"                                       \
    "  return {status: 200, body: r};\n"                                                           \
    "};\n"
#define LUA_CODE                                                                                   \
    "local limits = {max = 10, name = 'n%u'}\n"                                                    \
    "return function(self)\n"                                                                      \
    "  return {status = 200, body = {n = limits.max}}\n"                                           \
    "end\n"

static const struct kind JS_MORE = {.language = "javascript", .code = JS_CODE};
static const struct kind JS_PART = {.language = "javascript", .code = JS_CODE, .part = true};
static const struct kind JS_FIRST = {.language = "javascript", .code = JS_CODE, .first = true};
static const struct kind JS_AHEAD = {
    .language = "javascript", .code = JS_CODE, .first = true, .ahead = true};
static const struct kind JS_AHEAD_PART = {
    .language = "javascript", .code = JS_CODE, .first = true, .ahead = true, .part = true};
static const struct kind LUA_MORE = {.language = "lua", .code = LUA_CODE};
static const struct kind LUA_FIRST = {.language = "lua", .code = LUA_CODE, .first = true};
static const struct kind LUA_AHEAD = {
    .language = "lua", .code = LUA_CODE, .first = true, .ahead = true};

#define CASE(case_name, text, which)                                                               \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = attach_setup, .sample = attach_sample,      \
        .teardown = attach_teardown, .arg = &(which)                                               \
    }

static const struct sl_micro_case CASES[] = {
    CASE("attach/js", "one more script on a shard, JavaScript", JS_MORE),
    CASE("attach/js-part", "the longest part of it", JS_PART),
    CASE("attach/js-first", "the first of a shard, which makes the machine", JS_FIRST),
    CASE("attach/js-ahead", "the first of a shard, the machine made ahead", JS_AHEAD),
    CASE("attach/js-ahead-part", "the longest part of it", JS_AHEAD_PART),
    CASE("attach/lua", "one more script on a shard, Lua", LUA_MORE),
    CASE("attach/lua-first", "the first of a shard, which makes the machine", LUA_FIRST),
    CASE("attach/lua-ahead", "the first of a shard, the machine made ahead", LUA_AHEAD),
};

const struct sl_micro_group sl_micro_attach = SL_MICRO_GROUP("attach", CASES);
