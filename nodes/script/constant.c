/* SPDX-License-Identifier: MIT */
/*
 * Languages whose scripts are values: the text is parsed once, at load, into an immortal value that
 * every shard reads; nothing is ever run.
 */
#include "nodes/script/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"

/* Take over `value` (one count) as the constant of a new script. */
static int constant_new(const struct sl_engine *engine, struct sl_value value,
                        struct sl_script **ret_script)
{
    struct sl_script *script = calloc(1, sizeof(*script));
    if (script == NULL) {
        sl_value_unref(value);
        return -ENOMEM;
    }
    if (value.buf != NULL) sl_buf_immortalize(value.buf);
    script->engine = engine;
    script->constant = value;
    *ret_script = script;
    return 0;
}

static void constant_free(struct sl_script *script)
{
    if (script == NULL) return;
    if (script->constant.buf != NULL) sl_buf_free_immortal(script->constant.buf);
    free(script);
}

static struct sl_value constant_run(struct sl_script *script, void *instance,
                                    struct sl_script_call *call)
{
    (void)instance;
    (void)call;
    return script->constant;
}

static int text_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                        struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    (void)reterr;
    struct sl_value value = sl_value_new_string(NULL, source->code.data, source->code.size);
    if (value.cell == NULL) return -ENOMEM;
    return constant_new(&sl_engine_text, value, ret_script);
}

const struct sl_engine sl_engine_text = {
    .name = "text",
    .compile = text_compile,
    .script_free = constant_free,
    .run = constant_run,
};
