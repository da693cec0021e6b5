/* SPDX-License-Identifier: MIT */
/* The engine: compile on a control thread, attach and run on a shard. See js.h for the picture. */
#include "nodes/script/js/js.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/js/affinity.h"
#include "nodes/script/js/esbuild.h"
#include "nodes/script/js/js_private.h"
#include "nodes/script/js/wrap.h"

enum {
    PROBE_TIMEOUT_MS = 200,
    CHECKS_PER_COLLECTION = 128,
    EXERCISE_CALLS = 480,
    EXERCISE_ROUND = 80
};

/* For syntax checks; used by control threads, under the machine's own lock. */
static pthread_once_t control_once = PTHREAD_ONCE_INIT;
static JSGlobalContextRef control_ctx;
static bool control_limits_work;

/*
 * By default the machine interrupts compiled code with SIGUSR1 and a trap that it catches as SIGSEGV;
 * whoever handles that signal later (a crash reporter, a test runner) breaks it. Polling costs
 * nothing that can be measured and needs no signal.
 *
 * It also keeps the compiled form of the last 2,000 texts, 12 KiB each, in case one is evaluated again
 * in the same machine: ours are evaluated once.
 *
 * And it looks only at young objects until much has grown old, so that scripts that were replaced stay
 * for long: 3 KiB each, 30,000 of them took 80 MiB. Collections of everything run beside the scripts,
 * and cost 0 to 10 % of a call where 200 scripts are loaded.
 *
 * In strict code `return f()` replaces the frame of its function, as ECMA-262 has it and no other
 * machine does; what a built-in function throws there would have no place.
 *
 * All are read by the library when its first machine is made.
 */
void js_options_set(void)
{
    (void)setenv("JSC_usePollingTraps", "1", 0);
    (void)setenv("JSC_useCodeCache", "0", 0);
    (void)setenv("JSC_useGenerationalGC", "0", 0);
    (void)setenv("JSC_useTailCalls", "0", 0);
    (void)js_traps_open();
}

static void control_open(void)
{
    js_options_set();
    js_affinity_remember();
    control_limits_work = js_limit_self_test();
    control_ctx = JSGlobalContextCreate(NULL);
}

void sl_js_setup(const char *esbuild, const char *cache_dir)
{
    js_options_set();
    js_esbuild_setup(esbuild, cache_dir);
}

/* ---- Compile ------------------------------------------------------------------------------- */

struct js_script *js_script_drop(struct js_script *script)
{
    if (script == NULL) return NULL;
    if (script->source.env.buf != NULL) sl_buf_free_immortal(script->source.env.buf);
    js_sourcemap_fini(&script->map);
    free((void *)(uintptr_t)script->source.code.data);
    free(script->code);
    free(script->file);
    free(script->name);
    free(script);
    return NULL;
}

static void js_script_free(struct sl_script *script)
{
    (void)js_script_drop((struct js_script *)script);
}

struct js_script *js_script_new(const struct sl_engine *engine,
                                const struct sl_script_source *source)
{
    struct js_script *script = calloc(1, sizeof(*script));
    if (script == NULL) return NULL;
    script->base.engine = engine;
    script->source = *source;
    script->source.env = sl_value_none();
    script->source.code.data = (uint8_t *)sl_slice_dup_str(source->code);
    script->file = strdup(source->file != NULL ? source->file : "");
    script->name = strdup(source->name != NULL ? source->name : "");
    script->timeout_ns =
        (source->timeout_ms ? source->timeout_ms : SL_SCRIPT_TIMEOUT_MS) * SL_NS_PER_MS;
    script->memory_max = source->memory_max ? source->memory_max : SL_SCRIPT_MEMORY;
    bool good = script->source.code.data != NULL && script->file != NULL && script->name != NULL;
    if (good && source->env.cell != NULL) {
        good = sl_value_copy(source->env, NULL, &script->source.env) == 0;
        if (good && script->source.env.buf != NULL) sl_buf_immortalize(script->source.env.buf);
    }
    script->source.file = script->file;
    script->source.name = script->name;
    return good ? script : js_script_drop(script);
}

/* Put the author's file and position into a diagnostic about the text. */
static int diag_place(struct sl_diag *reterr, const struct js_script *script)
{
    if (reterr == NULL) return -EINVAL;
    reterr->pos = reterr->pos.line > 0
                      ? sl_script_pos(&script->source, reterr->pos.line, reterr->pos.column)
                      : script->source.pos;
    sl_diag_file(reterr, script->file);
    return -EINVAL;
}

/* Cut the source map off `output` and decode it. Without it errors have no position. */
static struct sl_slice output_split(char *output, struct js_sourcemap *map)
{
    static const char mark[] = "//# sourceMappingURL=";
    size_t size = strlen(output);
    char *url = NULL;
    for (char *at = output; (at = strstr(at, mark)) != NULL; at++) url = at;
    if (url != NULL) {
        char *text = url + sizeof(mark) - 1;
        (void)js_sourcemap_decode_url(sl_slice_make(text, strcspn(text, "\n")), map);
        size = (size_t)(url - output);
    }
    return sl_slice_make(output, size);
}

static int wrap(struct js_script *script, struct sl_slice output, struct sl_diag *reterr)
{
    uint32_t line = 0;
    int result = js_wrap(script->source.code, output, &script->code, &script->lines_before, &line,
                         &script->uses);
    if (script->source.allow_eval) script->uses.known = false;
    if (result <= 0) return result;
    if (result == JS_WRAP_IMPORTS) {
        const struct js_mapping *mapping = js_sourcemap_find(&script->map, line, 0);
        struct sl_pos pos = {mapping != NULL ? mapping->source_line + 1 : 1, 1};
        (void)sl_diag_set(reterr, "script_import", pos, "a script cannot import other modules");
    } else {
        (void)sl_diag_set(reterr, "script_export", (struct sl_pos){1, 1},
                          "the script exports no function");
        sl_diag_hint(reterr, "begin with: export default function (self) {");
    }
    return diag_place(reterr, script);
}

/*
 * The machine of the syntax checks collects only when it has allocated much, and checks leave little
 * each: 3 KiB that would stay for ever.
 */
static void control_collect(void)
{
    /* Relaxed: a count; which thread collects does not matter. */
    static atomic_uint checks;
    if (atomic_fetch_add_explicit(&checks, 1, memory_order_relaxed) % CHECKS_PER_COLLECTION == 0) {
        js_collect(control_ctx);
    }
}

/* A number of an object, or 0. */
static double number_get(JSContextRef ctx, JSValueRef value, const char *name)
{
    JSStringRef key = JSStringCreateWithUTF8CString(name);
    JSValueRef number = JSObjectGetProperty(ctx, JSValueToObject(ctx, value, NULL), key, NULL);
    JSStringRelease(key);
    return number != NULL && JSValueIsNumber(ctx, number) ? JSValueToNumber(ctx, number, NULL) : 0;
}

/* What the compiler lets pass and the machine does not: regular expressions, mostly. */
static int syntax_check(const struct js_script *script, struct sl_diag *reterr)
{
    JSStringRef code = JSStringCreateWithUTF8CString(script->code);
    JSValueRef exception = NULL;
    bool good = JSCheckScriptSyntax(control_ctx, code, NULL, 1, &exception);
    JSStringRelease(code);
    control_collect();
    if (good) return 0;
    char text[SL_DIAG_TEXT_SIZE / 2] = "syntax error";
    struct sl_pos pos = {0, 0};
    if (exception != NULL) {
        js_value_text(control_ctx, exception, text, sizeof(text));
        double line = number_get(control_ctx, exception, "line");
        double column = number_get(control_ctx, exception, "column");
        if (line >= 1)
            pos = js_script_pos(script, (uint32_t)line, column >= 1 ? (uint32_t)column : 0);
    }
    (void)sl_diag_set(reterr, "script_syntax", pos.line > 0 ? pos : script->source.pos, "%s", text);
    sl_diag_file(reterr, script->file);
    return -EINVAL;
}

static int script_fill(struct js_script *script, const char *loader, struct sl_diag *reterr)
{
    char *output = NULL;
    int err = js_esbuild_compile(script->source.code, loader, &output, reterr);
    if (err == -EINVAL) return diag_place(reterr, script);
    if (err < 0) return err;
    err = wrap(script, output_split(output, &script->map), reterr);
    free(output);
    if (err == 0) err = syntax_check(script, reterr);
    if (err == 0) js_map_place(script);
    return err;
}

static int compile(const struct sl_engine *engine, const char *loader,
                   const struct sl_script_source *source, struct sl_script **ret_script,
                   struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    (void)pthread_once(&control_once, control_open);
    if (!control_limits_work) {
        return sl_diag_set(reterr, "script_engine", source->pos,
                           "this JavaScriptCore does not end scripts at a time limit");
    }
    if (source->code.size > SL_SCRIPT_SOURCE_SIZE_MAX) {
        return sl_diag_set(reterr, "script_size", source->pos, "the script is larger than %d bytes",
                           SL_SCRIPT_SOURCE_SIZE_MAX);
    }
    struct js_script *script = js_script_new(engine, source);
    if (script == NULL) return -ENOMEM;
    int err = script_fill(script, loader, reterr);
    if (err < 0) {
        (void)js_script_drop(script);
        return err;
    }
    script->source.place = NULL; /* it was lent for this call */
    script->source.place_ctx = NULL;
    *ret_script = &script->base;
    return 0;
}

static int js_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                      struct sl_diag *reterr)
{
    return compile(&sl_engine_js, "js", source, ret_script, reterr);
}

static int ts_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                      struct sl_diag *reterr)
{
    return compile(&sl_engine_ts, "ts", source, ret_script, reterr);
}

/* ---- Attach -------------------------------------------------------------------------------- */

static int attach_failure(struct js_instance *instance, const struct js_script *script,
                          JSValueRef exception, struct sl_diag *reterr)
{
    char text[SL_DIAG_TEXT_SIZE / 2] = "";
    JSContextRef ctx = instance->realm->ctx;
    if (instance->shard->limit.stop != JS_STOP_NONE) {
        (void)snprintf(text, sizeof(text), "the script's top level does not end within %d ms",
                       PROBE_TIMEOUT_MS);
    } else {
        js_value_text(ctx, exception, text, sizeof(text));
    }
    (void)sl_diag_set(reterr, "script_error", script->source.pos, "%s", text);
    sl_diag_file(reterr, script->file);
    return -EINVAL;
}

/* A failure that the prelude caught: an Error value with its position. */
static int probe_failure(struct sl_value error, const struct js_script *script,
                         struct sl_diag *reterr)
{
    if (error.cell == NULL) return -ENOMEM;
    struct sl_pos pos = script->source.pos;
    struct sl_value data = sl_error_part(error, SL_ERROR_DATA);
    if (sl_value_is(data, SL_VALUE_MAP)) {
        struct sl_value line = sl_value_get_str(data, "line");
        struct sl_value column = sl_value_get_str(data, "column");
        if (sl_value_is(line, SL_VALUE_INT)) pos.line = (uint32_t)line.cell->i64;
        if (sl_value_is(column, SL_VALUE_INT)) pos.column = (uint32_t)column.cell->i64;
    }
    struct sl_slice message = sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE));
    (void)sl_diag_set(reterr, "script_error", pos, "%.*s", SL_SLICE_FMT(message));
    sl_diag_file(reterr, script->file);
    sl_value_unref(error);
    return -EINVAL;
}

static int env_attach(struct js_instance *instance, const struct js_script *script)
{
    struct js_shard *shard = instance->shard;
    struct js_realm *realm = instance->realm;
    struct sl_value env = script->source.env;
    js_input_reset(&shard->input);
    if (env.cell != NULL) {
        js_input_put(&shard->input, realm, env);
    } else {
        js_input_put_empty_map(&shard->input);
    }
    JSStringRef text = js_input_finish(&shard->input, realm);
    if (text == NULL) return -ENOMEM;
    JSValueRef arg = JSValueMakeString(realm->ctx, text);
    JSStringRelease(text);
    instance->env = JSObjectCallAsFunction(realm->ctx, realm->keep, NULL, 1, &arg, NULL);
    if (instance->env == NULL) return -ENOMEM;
    JSValueProtect(realm->ctx, instance->env);
    return 0;
}

static int factory_make(struct js_instance *instance, const struct js_script *script,
                        struct sl_diag *reterr)
{
    JSContextRef ctx = instance->realm->ctx;
    JSValueRef exception = NULL;
    JSValueRef factory = js_evaluate(ctx, script->code, "script:", &exception);
    if (factory == NULL) return attach_failure(instance, script, exception, reterr);
    instance->factory = JSValueToObject(ctx, factory, NULL);
    JSValueProtect(ctx, instance->factory);
    return 0;
}

static int factory_probe(struct js_instance *instance, const struct js_script *script,
                         struct sl_diag *reterr)
{
    struct js_realm *realm = instance->realm;
    JSValueRef exception = NULL;
    JSValueRef args[2] = {instance->factory, instance->env};
    JSValueRef result = JSObjectCallAsFunction(realm->ctx, realm->probe, NULL, 2, args, &exception);
    if (result == NULL) return attach_failure(instance, script, exception, reterr);
    if (realm->words[1] == 0) return 0;
    JSStringRef text = JSValueToStringCopy(realm->ctx, result, NULL);
    struct sl_value error = js_read_result(instance->shard, realm, script, text, NULL);
    JSStringRelease(text);
    return probe_failure(error, script, reterr);
}

/* A thread's first use of the parser takes as long as a whole script does later. */
static int parser_use(struct js_instance *instance)
{
    return js_evaluate(instance->realm->ctx, "0", "script:", NULL) != NULL ? 0 : -ENOMEM;
}

enum { ATTACH_PARTS = 6 };

/* One part of attaching; none takes long. */
static int part_do(struct js_instance *instance, const struct js_script *script,
                   struct sl_diag *reterr)
{
    switch (instance->parts) {
    case 0: return 0; /* taking the machine, and this thread's first step into it */
    case 1: return parser_use(instance);
    case 2: return env_attach(instance, script);
    case 3: return factory_make(instance, script, reterr);
    case 4: return factory_probe(instance, script, reterr);
    default: break;
    }
    instance->uses_shape = script->uses.known ? js_shape_make(instance->realm, &script->uses) : -1;
    return 0;
}

static void instance_free(struct js_instance *instance)
{
    if (instance->factory != NULL) JSValueUnprotect(instance->realm->ctx, instance->factory);
    if (instance->env != NULL) JSValueUnprotect(instance->realm->ctx, instance->env);
    free(instance);
}

static int size_max_set(struct js_realm *realm, size_t size_max)
{
    if (realm->size_max == size_max) return 0;
    JSValueRef arg = JSValueMakeNumber(realm->ctx, (double)size_max);
    if (JSObjectCallAsFunction(realm->ctx, realm->set_size_max, NULL, 1, &arg, NULL) == NULL) {
        return -ENOMEM;
    }
    realm->size_max = size_max;
    return 0;
}

static struct js_instance *instance_new(struct js_shard *shard)
{
    struct js_instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL) return NULL;
    instance->shard = shard;
    instance->realm = shard->realm;
    return instance;
}

/* The next part: 1 if there are more, 0, or a failure. */
static int instance_go_on(struct js_instance *instance, const struct js_script *script,
                          struct sl_diag *reterr)
{
    struct js_shard *shard = instance->shard;
    shard->realm_entered = shard->realm;
    shard->node = script->name;
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    js_limit_begin(shard, now_ns + PROBE_TIMEOUT_MS * SL_NS_PER_MS, now_ns, script->memory_max);
    int err = size_max_set(shard->realm, script->memory_max);
    if (err == 0) err = part_do(instance, script, reterr);
    js_limit_end(shard);
    if (err < 0) return err;
    return ++instance->parts < ATTACH_PARTS;
}

static int js_attach_part(struct sl_script *base, void **shard_state, void **ret_instance,
                          struct sl_diag *reterr)
{
    sl_assert(shard_state != NULL);
    sl_assert(ret_instance != NULL);
    struct js_script *script = (struct js_script *)base;
    struct js_instance *instance = *ret_instance;
    struct js_affinity saved;
    js_affinity_widen(&saved);
    int err = 0;
    if (instance == NULL) {
        struct js_shard *shard = NULL;
        if (reterr != NULL) reterr->code[0] = '\0';
        err = js_machine_get((struct js_machines **)shard_state, script->source.allow_eval, &shard,
                             reterr);
        instance = err == 0 ? instance_new(shard) : NULL;
        if (err == 0 && instance == NULL) err = -ENOMEM;
    }
    if (err == 0) {
        js_current = instance->shard;
        err = instance_go_on(instance, script, reterr);
    }
    js_affinity_restore(&saved);
    if (err < 0 && instance != NULL) {
        instance_free(instance);
        instance = NULL;
    }
    *ret_instance = instance;
    return err;
}

static int js_attach(struct sl_script *base, void **shard_state, void **ret_instance,
                     struct sl_diag *reterr)
{
    int r = 1;
    *ret_instance = NULL;
    while (r > 0) r = js_attach_part(base, shard_state, ret_instance, reterr);
    return r;
}

static void js_detach(struct sl_script *script, void *shard_state, void *instance)
{
    (void)script;
    (void)shard_state;
    if (instance == NULL) return;
    js_current = ((struct js_instance *)instance)->shard;
    instance_free(instance);
}

/* ---- Run ----------------------------------------------------------------------------------- */

static struct sl_value stopped(struct js_shard *shard, struct js_realm *realm,
                               const struct js_script *script, JSValueRef exception,
                               struct sl_mem *mem)
{
    switch (shard->limit.stop) {
    case JS_STOP_DEADLINE:
        return sl_value_new_error(mem, "script_deadline", 504,
                                  "the script did not end before its deadline");
    case JS_STOP_MEMORY:
        return sl_value_new_error(mem, "script_memory", 0,
                                  "the script took more than %zu bytes of memory",
                                  script->memory_max);
    case JS_STOP_NONE: break;
    }
    char text[256];
    js_value_text(realm->ctx, exception, text, sizeof(text));
    return sl_value_new_error(mem, "script_error", 0, "%s", text);
}

/* Of a map only what the script looks at. */
static void inputs_write_used(struct js_instance *instance, const struct js_uses *uses,
                              struct sl_value map)
{
    struct js_input *input = &instance->shard->input;
    js_input_put_shape(input, instance->uses_shape);
    for (uint32_t i = 0; i < uses->count; i++) {
        struct sl_value value =
            sl_value_get_hashed(map, uses->keys[i].text, uses->keys[i].size, uses->keys[i].hash);
        if (sl_value_is_none(value)) {
            js_input_put_absent(input);
        } else {
            js_input_put(input, instance->realm, value);
        }
    }
}

/* The inputs as text and words; NULL for no memory. */
static JSStringRef inputs_write(struct js_instance *instance, const struct js_uses *uses,
                                const struct sl_script_call *call)
{
    struct js_shard *shard = instance->shard;
    struct js_realm *realm = instance->realm;
    js_input_reset(&shard->input);
    if (instance->uses_shape >= 0 && sl_value_is(call->input, SL_VALUE_MAP)) {
        inputs_write_used(instance, uses, call->input);
    } else {
        js_input_put(&shard->input, realm, call->input);
    }
    for (uint32_t i = 0; i < call->args_count; i++) {
        js_input_put(&shard->input, realm, call->args[i]);
    }
    return js_input_finish(&shard->input, realm);
}

/* When the call must end, on the machine's monotonic clock; 0: it is already late. */
static uint64_t end_of(const struct js_script *script, const struct sl_script_call *call,
                       uint64_t now_ns)
{
    uint64_t left_ns = script->timeout_ns;
    if (call->deadline_ns != UINT64_MAX) {
        uint64_t clock_ns = sl_clock_now_ns(call->clock);
        if (clock_ns >= call->deadline_ns) return 0;
        if (call->deadline_ns - clock_ns < left_ns) left_ns = call->deadline_ns - clock_ns;
    }
    return now_ns + left_ns;
}

static struct sl_value call_enter(struct js_instance *instance, const struct js_script *script,
                                  struct sl_script_call *call, uint64_t now_ns, uint64_t end_ns)
{
    struct js_shard *shard = instance->shard;
    struct js_realm *realm = instance->realm;
    JSStringRef text = inputs_write(instance, &script->uses, call);
    if (text == NULL) return sl_value_none();
    JSValueRef args[4] = {instance->factory, instance->env, JSValueMakeString(realm->ctx, text),
                          JSValueMakeNumber(realm->ctx, 1.0 + call->args_count)};
    JSStringRelease(text);
    JSValueRef exception = NULL;
    js_limit_begin(shard, end_ns, now_ns, script->memory_max);
    JSValueRef result = JSObjectCallAsFunction(realm->ctx, realm->enter, NULL, 4, args, &exception);
    JSStringRef out = result != NULL ? JSValueToStringCopy(realm->ctx, result, NULL) : NULL;
    js_limit_end(shard);
    if (out == NULL) return stopped(shard, realm, script, exception, call->mem);
    struct sl_value value = js_read_result(shard, realm, script, out, call->mem);
    JSStringRelease(out);
    if (realm->words_count > JS_WORDS_KEPT || realm->bytes_size > JS_BYTES_KEPT) {
        (void)JSObjectCallAsFunction(realm->ctx, realm->shrink, NULL, 0, NULL, NULL);
    }
    return value;
}

static struct sl_value js_run(struct sl_script *base, void *state, struct sl_script_call *call)
{
    sl_assert(state != NULL);
    sl_assert(call != NULL);
    sl_assert(call->input.cell != NULL);
    struct js_script *script = (struct js_script *)base;
    struct js_instance *instance = state;
    struct js_shard *shard = instance->shard;
    js_current = shard;
    shard->realm_entered = instance->realm;
    shard->clock = call->clock;
    shard->node = script->name;
    shard->stats.calls++;
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    uint64_t end_ns = end_of(script, call, now_ns);
    if (end_ns == 0) {
        return sl_value_new_error(call->mem, "script_deadline", 504,
                                  "the deadline had passed before the script began");
    }
    if (size_max_set(instance->realm, script->memory_max) < 0) return sl_value_none();
    return call_enter(instance, script, call, now_ns, end_ns);
}

/* ---- A machine's first calls ---------------------------------------------------------------- */

static const struct timespec EXERCISE_PAUSE = {0, 4 * 1000 * 1000};

/* As the compiler would have made it: a result, an error, in turn. */
static char exercise_code[] =
    "(function(){\"use strict\";\nreturn function(env){"
    "return (self) => {"
    "if (self.fail) throw new Error(self.text);"
    "return {status: 200, body: {n: self.n + 1, t: self.text, l: [1.5, null]}};"
    "}}})()";

static struct sl_value exercise_input(bool fail)
{
    struct sl_builder b;
    struct sl_value input;
    sl_builder_init(&b, NULL, 16, 64);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "n");
    sl_build_int(&b, 1);
    sl_build_key_str(&b, "text");
    sl_build_string_str(&b, "text");
    sl_build_key_str(&b, "fail");
    sl_build_bool(&b, fail);
    sl_build_map_end(&b);
    return sl_builder_finish(&b, &input) < 0 ? sl_value_none() : input;
}

void js_machine_exercise(struct js_shard *shard)
{
    sl_assert(shard != NULL);
    sl_assert(shard->realm != NULL);
    struct js_script script = {.code = exercise_code, .name = "", .file = ""};
    script.timeout_ns = SL_NS_PER_SEC;
    script.memory_max = SL_SCRIPT_MEMORY;
    struct js_instance *instance = instance_new(shard);
    int more = instance != NULL ? 1 : 0;
    while (more > 0) more = instance_go_on(instance, &script, NULL);
    if (instance == NULL || more < 0) return;
    struct sl_value inputs[2] = {exercise_input(false), exercise_input(true)};
    for (int i = 0; i < EXERCISE_CALLS && inputs[i & 1].cell != NULL; i++) {
        /* What helper threads have compiled is linked by the calls after it: not later, on a shard. */
        if (i % EXERCISE_ROUND == 0) (void)nanosleep(&EXERCISE_PAUSE, NULL);
        struct sl_script_call call = {
            .input = inputs[i & 1], .clock = sl_clock_system(), .deadline_ns = UINT64_MAX};
        sl_value_unref(js_run(&script.base, instance, &call));
    }
    sl_value_unref(inputs[0]);
    sl_value_unref(inputs[1]);
    instance_free(instance);
    shard->stats = (struct sl_js_stats){0};
}

void sl_js_stats_get(const void *shard_state, struct sl_js_stats *ret_stats)
{
    sl_assert(ret_stats != NULL);
    const struct js_machines *machines = shard_state;
    *ret_stats = (struct sl_js_stats){0};
    for (size_t i = 0; machines != NULL && i < 2; i++) {
        if (machines->of[i] == NULL) continue;
        const struct sl_js_stats *stats = &machines->of[i]->stats;
        ret_stats->calls += stats->calls;
        ret_stats->deadlines += stats->deadlines;
        ret_stats->memory_stops += stats->memory_stops;
        ret_stats->stalls += stats->stalls;
        ret_stats->shapes += stats->shapes;
        if (stats->stall_ns_max > ret_stats->stall_ns_max) {
            ret_stats->stall_ns_max = stats->stall_ns_max;
        }
    }
}

static const char *const js_aliases[] = {"js", NULL};
static const char *const ts_aliases[] = {"ts", NULL};

const struct sl_engine sl_engine_js = {
    .name = "javascript",
    .aliases = js_aliases,
    .compile = js_compile,
    .script_free = js_script_free,
    .attach = js_attach,
    .attach_part = js_attach_part,
    .detach = js_detach,
    .shard_fini = js_machines_free,
    .prepare = js_prepare,
    .run = js_run,
    .save = js_save,
    .load = js_load,
    .warm = js_warm,
};

const struct sl_engine sl_engine_ts = {
    .name = "typescript",
    .aliases = ts_aliases,
    .compile = ts_compile,
    .script_free = js_script_free,
    .attach = js_attach,
    .attach_part = js_attach_part,
    .detach = js_detach,
    .shard_fini = js_machines_free,
    .prepare = js_prepare,
    .run = js_run,
    .save = js_save,
    .load = js_load_ts,
    .warm = js_warm,
};
