/* SPDX-License-Identifier: MIT */
#include "nodes/script/use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/shard/shard.h"
#include "core/graph/mask.h"

static_assert((size_t)SL_ENGINES_MAX <=
                  sizeof(((struct sl_shard *)0)->engine_states) / sizeof(void *),
              "a shard has a state for every language");

static uint32_t shards_expected; /* control thread */

const char *const sl_script_isolations[] = {"inline", "process", NULL};

static const struct sl_engine *engine_find(struct sl_slice language, uint32_t *ret_index)
{
    char name[32];
    if (language.size >= sizeof(name)) return NULL;
    memcpy(name, language.data, language.size);
    name[language.size] = '\0';
    const struct sl_engine *engine = sl_engine_get(name);
    if (engine == NULL) return NULL;
    size_t count;
    const char *const *names = sl_engine_names(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], engine->name) == 0) *ret_index = (uint32_t)i;
    }
    return engine;
}

static int language_unknown(struct sl_compile *c, struct sl_slice language)
{
    size_t count;
    const char *const *names = sl_engine_names(&count);
    char list[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(language));
    const char *nearest = sl_diag_nearest(text, names, count);
    struct sl_value at = sl_value_get_str(c->spec, "language");
    struct sl_diag diag;
    (void)sl_diag_set(&diag, "unknown_language", sl_value_pos(sl_value_is_none(at) ? c->spec : at),
                      "unknown language \"%s\"", text);
    sl_diag_file(&diag, c->file);
    if (nearest != NULL) {
        sl_diag_hint(&diag, "did you mean \"%s\"? built in: %s", nearest, list);
    } else {
        sl_diag_hint(&diag, "built in: %s", list);
    }
    (void)sl_diags_push(c->diags, &diag);
    return -EINVAL;
}

/* What the exact place of a text needs. */
struct use_place {
    const struct sl_compile *c;
    struct sl_value code;
};

static struct sl_pos use_locate(void *ctx, uint32_t line, uint32_t column)
{
    const struct use_place *place = ctx;
    return place->c->place(place->c->locate_ctx, place->code, line, column);
}

static int mask_make(struct sl_compile *c, struct sl_mask **ret_mask)
{
    int r = sl_mask_new(&c->secrets, 1, ret_mask);
    if (r != -E2BIG) return r;
    return sl_compile_error(c, "too_many", c->spec,
                            "the secrets of one node have more than %d texts to hide",
                            SL_MASK_NEEDLES_MAX);
}

/* The script itself is right: what failed is what stands outside of its function. */
static void top_level_say(struct sl_diag *reterr)
{
    char text[SL_DIAG_TEXT_SIZE];
    if (reterr == NULL || reterr->text[0] == '\0') return;
    (void)snprintf(text, sizeof(text), "%s", reterr->text);
    (void)snprintf(reterr->text, sizeof(reterr->text), "the script fails when it is loaded: %.*s",
                   (int)sizeof(reterr->text) - 48, text);
    if (reterr->hint[0] == '\0') {
        sl_diag_hint(reterr, "its top level runs at each load: only the function that it gives may "
                             "take long, or fail");
    }
}

/* It failed when it was tried. -EINVAL. */
static int try_failed(struct sl_compile *c, const struct sl_mask *mask, struct sl_diag *diag)
{
    top_level_say(diag);
    if (mask != NULL) sl_mask_diag(mask, diag);
    if (diag->file[0] == '\0') sl_diag_file(diag, c->file);
    (void)sl_diags_push(c->diags, diag);
    return -EINVAL;
}

/*
 * Workers are sent the script with its first call: what is wrong with its top level is told here. Where
 * no process can be tried, the calls will tell.
 */
static int process_try(struct sl_compile *c, const struct sl_script_use *use, struct sl_pos pos)
{
    struct sl_diag diag = {0};
    int r = sl_worker_try(&use->load, &diag);
    if (r == 0 || r == -ENOMEM) return r;
    if (diag.pos.line == 0) diag.pos = pos;
    if (r == -EINVAL) return try_failed(c, use->mask, &diag);
    diag.level = SL_DIAG_WARNING;
    sl_diag_file(&diag, c->file);
    sl_diag_hint(&diag, "whether the script can be loaded was not tried");
    (void)sl_diags_push(c->diags, &diag);
    return 0;
}

/* A script in a process: what its workers need is sealed now, where files can be read. */
static int process_prepare(struct sl_compile *c, const struct sl_script_fields *fields,
                           struct sl_script_source *source, struct sl_script_use *use)
{
    const char *missing = sl_worker_missing();
    if (missing != NULL) {
        return sl_compile_error(c, "not_supported", sl_value_get_str(c->spec, "isolation"),
                                "isolation \"process\" is not possible here: %s", missing);
    }
    int r = sl_worker_load_init(&use->load, source, use->script, use->mask);
    if (r == -E2BIG) {
        return sl_compile_error(c, "too_long", fields->code,
                                "the script is too large to be sent to a process");
    }
    if (r < 0) return r;
    use->in_process = true;
    /* A change that is only checked runs nothing, unless that was asked for. */
    return c->tries || !c->lenient ? process_try(c, use, source->pos) : 0;
}

void sl_script_shards_set(uint32_t count)
{
    shards_expected = count;
}

/* What the languages keep of scripts that were tried, by engine. Control thread. */
static void *try_states[SL_ENGINES_MAX];

/* What a shard does at a load, and back. */
static int script_try(struct sl_compile *c, const struct sl_engine *engine, uint32_t index,
                      struct sl_script *script)
{
    void *instance = NULL;
    struct sl_diag diag = {0};
    int r = engine->attach(script, &try_states[index], &instance, &diag);
    if (r == 0) {
        if (engine->detach != NULL) engine->detach(script, try_states[index], instance);
        return 0;
    }
    if (r != -EINVAL) return r;
    return try_failed(c, NULL, &diag);
}

void sl_script_try_fini(void)
{
    sl_worker_try_fini();
    size_t count;
    const char *const *names = sl_engine_names(&count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_engine *engine = sl_engine_get(names[i]);
        if (try_states[i] != NULL && engine->shard_fini != NULL) engine->shard_fini(try_states[i]);
        try_states[i] = NULL;
    }
}

int sl_script_use_compile(struct sl_compile *c, const struct sl_script_fields *fields,
                          struct sl_script_use *ret_use)
{
    struct sl_slice language =
        fields->language.size > 0 ? fields->language : sl_slice_from_str(fields->language_default);
    uint32_t index = 0;
    const struct sl_engine *engine = engine_find(language, &index);
    if (engine == NULL) return language_unknown(c, language);

    struct sl_slice code = sl_value_slice(fields->code);
    if (code.size > SL_SCRIPT_SOURCE_SIZE_MAX) {
        return sl_compile_error(c, "too_long", fields->code, "the code is longer than %d bytes",
                                SL_SCRIPT_SOURCE_SIZE_MAX);
    }
    struct sl_script_source source = {
        .code = code,
        .file = c->file,
        .pos = sl_value_pos(fields->code),
        .name = c->name,
        .env = c->env,
        .unpack = fields->unpack,
        .allow_eval = fields->allow_eval,
        .timeout_ms = (uint32_t)(fields->timeout_ns / SL_NS_PER_MS),
        .memory_max = (size_t)fields->memory_max,
    };
    bool in_process = fields->isolation == SL_SCRIPT_PROCESS;
    if (in_process && source.timeout_ms == 0) source.timeout_ms = SL_SCRIPT_TIMEOUT_PROCESS_MS;
    if (c->locate != NULL) source.pos = c->locate(c->locate_ctx, fields->code, &source.indent);
    struct use_place place = {c, fields->code};
    /* What did not come from a file has no place: then lines count from the text's first. */
    if (c->place != NULL && sl_value_pos(fields->code).line > 0) {
        source.place = use_locate;
        source.place_ctx = &place;
    }
    struct sl_diag diag = {0};
    struct sl_script *script = NULL;
    struct sl_mask *mask = NULL;
    int r = mask_make(c, &mask);
    if (r < 0) return r;
    r = engine->compile(&source, &script, &diag);
    if (r < 0) {
        if (mask != NULL) sl_mask_diag(mask, &diag);
        (void)sl_mask_free(mask);
        if (diag.text[0] == '\0') {
            return sl_compile_error(c, "script_error", fields->code, "the code does not compile");
        }
        if (diag.file[0] == '\0') sl_diag_file(&diag, c->file);
        (void)sl_diags_push(c->diags, &diag);
        return -EINVAL;
    }
    if (c->cost != NULL && script->cost.limit > 0) {
        c->cost(c->cost_ctx, c, fields->code, &script->cost);
    }
    *ret_use = (struct sl_script_use){engine, index, fields->timeout_ns, script, mask, false, {0}};
    /* A constant is never run, so there is nothing to put elsewhere. */
    if (!sl_value_is_none(script->constant)) return 0;
    if (c->tries && !in_process && engine->attach != NULL) {
        return script_try(c, engine, index, script);
    }
    if (!in_process) {
        if (engine->prepare != NULL && shards_expected > 0) {
            engine->prepare(script, shards_expected);
        }
        return 0;
    }
    return process_prepare(c, fields, &source, ret_use);
}

int sl_script_use_make(const char *language, const struct sl_script_source *source,
                       struct sl_script_use *ret_use, struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_use != NULL);
    uint32_t index = 0;
    const struct sl_engine *engine = engine_find(sl_slice_from_str(language), &index);
    if (engine == NULL) return -ENOENT;
    struct sl_script *script = NULL;
    int r = engine->compile(source, &script, reterr);
    if (r < 0) return r;
    uint64_t timeout_ns = source->timeout_ms * SL_NS_PER_MS;
    *ret_use = (struct sl_script_use){
        .engine = engine, .engine_index = index, .timeout_ns = timeout_ns, .script = script};
    return 0;
}

void sl_script_use_fini(struct sl_script_use *use)
{
    if (use->script != NULL) use->engine->script_free(use->script);
    (void)sl_mask_free(use->mask);
    sl_worker_load_fini(&use->load);
    *use = (struct sl_script_use){0};
}

int sl_script_use_attach(const struct sl_script_use *use, struct sl_shard *shard,
                         void **ret_instance, struct sl_diag *reterr)
{
    if (use->in_process) {
        return sl_worker_attach(shard, &use->load, (struct sl_worker_script **)ret_instance,
                                reterr);
    }
    if (use->engine->attach == NULL) return 0;
    sl_assert(*ret_instance == NULL || use->engine->attach_part != NULL);
    sl_script_mask_set(use->mask);
    int (*attach)(struct sl_script *, void **, void **, struct sl_diag *) =
        use->engine->attach_part != NULL ? use->engine->attach_part : use->engine->attach;
    int r = attach(use->script, &shard->engine_states[use->engine_index], ret_instance, reterr);
    sl_script_mask_set(NULL);
    if (r == -EINVAL) top_level_say(reterr);
    if (r < 0 && use->mask != NULL && reterr != NULL) sl_mask_diag(use->mask, reterr);
    return r;
}

void sl_script_use_detach(const struct sl_script_use *use, struct sl_shard *shard, void *instance)
{
    if (use->in_process) {
        sl_worker_detach(instance);
        return;
    }
    if (use->engine->detach == NULL) return;
    use->engine->detach(use->script, shard->engine_states[use->engine_index], instance);
}

static struct sl_script_call script_call(const struct sl_script_use *use, struct sl_call *call)
{
    uint64_t deadline_ns = call->process->deadline_ns;
    if (use->timeout_ns > 0) {
        uint64_t own_ns = call->shard->loop.now_ns + use->timeout_ns;
        if (own_ns < deadline_ns) deadline_ns = own_ns;
    }
    return (struct sl_script_call){
        .input = call->value,
        .mem = call->mem,
        .clock = call->shard->loop.clock,
        .deadline_ns = deadline_ns,
    };
}

/* The error of a node with secrets, without them. */
static struct sl_value error_mask(const struct sl_script_use *use, struct sl_value value,
                                  struct sl_mem *mem)
{
    return sl_value_is(value, SL_VALUE_ERROR) ? sl_mask_error(use->mask, value, mem) : value;
}

static __attribute__((noinline)) struct sl_value
run_masked(const struct sl_script_use *use, void *instance, struct sl_script_call *script)
{
    sl_script_mask_set(use->mask);
    struct sl_value result = use->engine->run(use->script, instance, script);
    sl_script_mask_set(NULL);
    return error_mask(use, result, script->mem);
}

static __attribute__((noinline)) int test_masked(const struct sl_script_use *use, void *instance,
                                                 struct sl_script_call *script,
                                                 struct sl_value *ret_error)
{
    sl_script_mask_set(use->mask);
    int truth = use->engine->test(use->script, instance, script, ret_error);
    sl_script_mask_set(NULL);
    *ret_error = error_mask(use, *ret_error, script->mem);
    return truth;
}

struct sl_value sl_script_use_run(const struct sl_script_use *use, void *instance,
                                  struct sl_call *call)
{
    struct sl_value constant = use->script->constant;
    if (!sl_value_is_none(constant)) return sl_value_ref(constant);
    struct sl_script_call script = script_call(use, call);
    if (use->mask != NULL) return run_masked(use, instance, &script);
    return use->engine->run(use->script, instance, &script);
}

int sl_script_use_test(const struct sl_script_use *use, void *instance, struct sl_call *call,
                       struct sl_value *ret_error)
{
    *ret_error = sl_value_none();
    struct sl_script_call script = script_call(use, call);
    if (use->engine->test != NULL && sl_value_is_none(use->script->constant)) {
        if (use->mask != NULL) return test_masked(use, instance, &script, ret_error);
        return use->engine->test(use->script, instance, &script, ret_error);
    }
    struct sl_value result = sl_script_use_run(use, instance, call);
    if (sl_value_is_none(result)) return -1;
    if (sl_value_is(result, SL_VALUE_ERROR)) {
        *ret_error = result;
        return -1;
    }
    bool truth = sl_script_is_true(result);
    sl_value_unref(result);
    return truth;
}

enum sl_step sl_script_use_begin(const struct sl_script_use *use, void *instance,
                                 struct sl_call *call, struct sl_value value, bool is_test,
                                 struct sl_worker_wait *wait)
{
    sl_assert(use->in_process);
    struct sl_value error = sl_value_none();
    if (sl_worker_call(instance, call, value, is_test, wait, &error) == 0) {
        call->value = sl_value_none();
        return SL_STEP_PARK;
    }
    call->value = error;
    return SL_STEP_FAIL;
}

void sl_script_shard_fini(struct sl_shard *shard)
{
    sl_script_prints_close(shard);
    sl_worker_shard_fini(shard);
    size_t count;
    const char *const *names = sl_engine_names(&count);
    for (size_t i = 0; i < count; i++) {
        const struct sl_engine *engine = sl_engine_get(names[i]);
        if (shard->engine_states[i] == NULL || engine->shard_fini == NULL) continue;
        engine->shard_fini(shard->engine_states[i]);
        shard->engine_states[i] = NULL;
    }
}
