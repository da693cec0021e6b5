/* SPDX-License-Identifier: MIT */
/* A script as one sealed Map, made on the control thread; worker.c reads it. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "io/proc/fence.h"
#include "nodes/script/worker/worker.h"

static pthread_once_t probe_once = PTHREAD_ONCE_INIT;
static uint32_t probe_parts;

static void probe(void)
{
    probe_parts = sl_fence_probe();
    if (sl_fence_missing(probe_parts) == NULL && !(probe_parts & SL_FENCE_LANDLOCK)) {
        sl_log(SL_LOG_WARN, "this kernel has no landlock: worker processes are fenced by seccomp "
                            "alone, which closes files to them once their engines have started");
    }
}

const char *sl_worker_missing(void)
{
    (void)pthread_once(&probe_once, probe);
    return sl_fence_missing(probe_parts);
}

static void build_text(struct sl_builder *builder, const char *key, const char *text)
{
    sl_build_key_str(builder, key);
    sl_build_string_str(builder, text != NULL ? text : "");
}

static void build_number(struct sl_builder *builder, const char *key, uint64_t number)
{
    sl_build_key_str(builder, key);
    sl_build_uint(builder, number);
}

static void build_source(struct sl_builder *builder, const struct sl_script_source *source)
{
    sl_build_key_str(builder, "text");
    sl_build_string(builder, source->code.data, source->code.size);
    build_text(builder, "file", source->file);
    build_text(builder, "name", source->name);
    build_number(builder, "line", source->pos.line);
    build_number(builder, "column", source->pos.column);
    build_number(builder, "indent", source->indent);
    build_number(builder, "timeout_ms", source->timeout_ms);
    build_number(builder, "memory", source->memory_max);
    sl_build_key_str(builder, "unpack");
    sl_build_bool(builder, source->unpack);
    sl_build_key_str(builder, "eval");
    sl_build_bool(builder, source->allow_eval);
    if (source->env.cell == NULL) return;
    sl_build_key_str(builder, "env");
    sl_build_value(builder, source->env);
}

/* The Map; one count for the caller. */
static int load_build(const struct sl_script_source *source, const struct sl_script *script,
                      struct sl_value *ret_value)
{
    struct sl_value saved = sl_value_none();
    int r = script->engine->save != NULL ? script->engine->save(script, &saved) : 0;
    if (r < 0) return r;
    struct sl_builder builder;
    sl_builder_init(&builder, NULL, 64, 1024);
    sl_build_map_begin(&builder);
    build_text(&builder, "language", script->engine->name);
    build_source(&builder, source);
    if (!sl_value_is_none(saved)) {
        sl_build_key_str(&builder, "saved");
        sl_build_value(&builder, saved);
    }
    sl_build_map_end(&builder);
    r = sl_builder_finish(&builder, ret_value);
    sl_value_unref(saved);
    return r;
}

int sl_worker_load_init(struct sl_worker_load *load, const struct sl_script_source *source,
                        const struct sl_script *script, const struct sl_mask *mask)
{
    sl_assert(load != NULL);
    sl_assert(source != NULL);
    sl_assert(script != NULL);
    *load = (struct sl_worker_load){
        .timeout_ns = source->timeout_ms * SL_NS_PER_MS,
        .memory_max = source->memory_max != 0 ? source->memory_max : SL_SCRIPT_MEMORY,
        .name = strdup(source->name != NULL ? source->name : ""),
        .mask = mask,
    };
    struct sl_value value;
    int r = load->name == NULL ? -ENOMEM : load_build(source, script, &value);
    if (r == 0) {
        struct sl_flat_envelope envelope = {0};
        r = sl_flat_seal_dup(value, &envelope, &load->data, &load->size);
        sl_value_unref(value);
    }
    if (r == 0 && load->size > SL_WORKER_SLAB_SIZE / 2) r = -E2BIG;
    if (r < 0) sl_worker_load_fini(load);
    return r;
}

void sl_worker_load_fini(struct sl_worker_load *load)
{
    sl_assert(load != NULL);
    free(load->data);
    free(load->name);
    *load = (struct sl_worker_load){0};
}
