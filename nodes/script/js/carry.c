/* SPDX-License-Identifier: MIT */
/*
 * A compiled script on its way to a worker process: the compiler's output and its source map, so that
 * nothing has to be executed over there. And what the machine reads from files, read ahead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

/*
 * Everything that makes the machine or its ICU look at a file, or make a thread, for the first time:
 * time zones, locales, randomness, dates.
 */
static const char warm_text[] =
    "(function () {"
    "  let s = String(new Date(0)) + new Date(86400000 * 180).toLocaleString();"
    "  try { s += new Date().toLocaleString('en-US', {timeZone: 'Asia/Seoul'}); } catch (e) {}"
    "  try { s += new Intl.DateTimeFormat().resolvedOptions().timeZone; } catch (e) {}"
    "  try { s += (12345.6).toLocaleString() + 'a'.localeCompare('b'); } catch (e) {}"
    "  try { s += 'I'.toLocaleLowerCase() + 'e\\u0301'.normalize(); } catch (e) {}"
    "  s += Math.random() + /a+(?<b>b)/u.exec('aab')[0] + JSON.stringify({a: [1]});"
    "  return s.length;"
    "})()";

int js_save(const struct sl_script *base, struct sl_value *ret_value)
{
    const struct js_script *script = (const struct js_script *)base;
    sl_assert(ret_value != NULL);
    sl_assert(script->code != NULL);
    struct sl_builder builder;
    sl_builder_init(&builder, NULL, 16, 256);
    sl_build_map_begin(&builder);
    sl_build_key_str(&builder, "code");
    sl_build_string_str(&builder, script->code);
    sl_build_key_str(&builder, "lines_before");
    sl_build_int(&builder, script->lines_before);
    sl_build_key_str(&builder, "map");
    sl_build_binary(&builder, script->map.items, script->map.count * sizeof(*script->map.items));
    sl_build_key_str(&builder, "placed");
    sl_build_bool(&builder, script->map.placed);
    sl_build_key_str(&builder, "uses");
    sl_build_binary(&builder, &script->uses, sizeof(script->uses));
    sl_build_map_end(&builder);
    return sl_builder_finish(&builder, ret_value);
}

static int fill(struct js_script *script, struct sl_value saved)
{
    struct sl_value code = sl_value_get_str(saved, "code");
    struct sl_value lines = sl_value_get_str(saved, "lines_before");
    struct sl_value map = sl_value_get_str(saved, "map");
    if (!sl_value_is(code, SL_VALUE_STRING) || !sl_value_is(lines, SL_VALUE_INT) ||
        !sl_value_is(map, SL_VALUE_BINARY)) {
        return -EINVAL;
    }
    struct sl_slice mappings = sl_value_slice(map);
    struct sl_slice uses = sl_value_slice(sl_value_get_str(saved, "uses"));
    if (uses.size != sizeof(script->uses)) return -EINVAL;
    memcpy(&script->uses, uses.data, uses.size);
    script->code = sl_slice_dup_str(sl_value_slice(code));
    script->lines_before = (uint32_t)lines.cell->i64;
    script->map.placed = sl_script_is_true(sl_value_get_str(saved, "placed"));
    script->map.count = mappings.size / sizeof(*script->map.items);
    script->map.items = malloc(mappings.size + 1);
    if (script->code == NULL || script->map.items == NULL) return -ENOMEM;
    memcpy(script->map.items, mappings.data, mappings.size);
    return 0;
}

static int load(const struct sl_engine *engine, const struct sl_script_source *source,
                struct sl_value saved, struct sl_script **ret_script, struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    struct js_script *script = js_script_new(engine, source);
    if (script == NULL) return -ENOMEM;
    int r = fill(script, saved);
    if (r < 0) {
        (void)js_script_drop(script);
        if (r == -EINVAL) {
            (void)sl_diag_set(reterr, "script_error", source->pos, "it was not compiled before");
        }
        return r;
    }
    *ret_script = &script->base;
    return 0;
}

int js_load(const struct sl_script_source *source, struct sl_value saved,
            struct sl_script **ret_script, struct sl_diag *reterr)
{
    return load(&sl_engine_js, source, saved, ret_script, reterr);
}

int js_load_ts(const struct sl_script_source *source, struct sl_value saved,
               struct sl_script **ret_script, struct sl_diag *reterr)
{
    return load(&sl_engine_ts, source, saved, ret_script, reterr);
}

int js_warm(void **shard_state, struct sl_diag *reterr)
{
    sl_assert(shard_state != NULL);
    js_options_set();
    struct js_shard *shard = NULL;
    int r = js_machine_get((struct js_machines **)shard_state, false, &shard, reterr);
    if (r < 0) return r;
    js_current = shard;
    /* In a realm of its own: the frozen one has no locale functions to spoil, but caches to fill. */
    JSGlobalContextRef ctx = JSGlobalContextCreateInGroup(shard->group, NULL);
    (void)js_evaluate(ctx, warm_text, "sluice:warm", NULL);
    JSGlobalContextRelease(ctx);
    return 0;
}
