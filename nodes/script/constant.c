/* SPDX-License-Identifier: MIT */
/*
 * Languages whose scripts are values: the text is parsed once, at load, into an immortal value that
 * every shard reads; nothing is ever run.
 */
#include "nodes/script/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/yaml/yaml.h"
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

/* A parser's diagnostic about the text, moved to the author's file. */
static int parse_failed(const struct sl_script_source *source, struct sl_diag *reterr)
{
    if (reterr == NULL) return -EINVAL;
    reterr->pos = reterr->pos.line > 0 ? sl_script_pos(source, reterr->pos.line, reterr->pos.column)
                                       : source->pos;
    sl_diag_file(reterr, source->file);
    return -EINVAL;
}

static int json_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                        struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    struct sl_value value;
    int err = sl_json_parse(source->code, NULL, NULL, 0, &value, reterr);
    if (err == -ENOMEM) return err;
    if (err == -E2BIG) {
        (void)sl_diag_set(reterr, "script_size", (struct sl_pos){1, 1},
                          "the text is larger or nested deeper than a payload may be");
    }
    if (err < 0) return parse_failed(source, reterr);
    return constant_new(&sl_engine_json, value, ret_script);
}

static int yaml_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                        struct sl_diag *reterr)
{
    sl_assert(source != NULL);
    sl_assert(ret_script != NULL);
    struct sl_value value;
    int err = sl_yaml_parse_one(source->code, NULL, 0, &value, reterr);
    if (err == -ENOMEM) return err;
    if (err < 0) return parse_failed(source, reterr);
    return constant_new(&sl_engine_yaml, value, ret_script);
}

const struct sl_engine sl_engine_json = {
    .name = "json",
    .compile = json_compile,
    .script_free = constant_free,
    .run = constant_run,
};

const struct sl_engine sl_engine_yaml = {
    .name = "yaml",
    .compile = yaml_compile,
    .script_free = constant_free,
    .run = constant_run,
};

const struct sl_engine sl_engine_text = {
    .name = "text",
    .compile = text_compile,
    .script_free = constant_free,
    .run = constant_run,
};
