/* SPDX-License-Identifier: MIT */
/*
 * snippet: runs a script on each packet and answers with, or sends on, what it returns.
 *
 *     - kind: snippet
 *       language: cel
 *       code: 'has(self.body) ? self.body : null'
 */
#include <errno.h>
#include <stddef.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/clock.h"
#include "core/graph/process.h"
#include "nodes/data/data.h"
#include "nodes/script/use.h"

struct snippet {
    struct sl_script_fields fields;
    struct sl_script_use use;
};

struct snippet_state {
    void *instance;
};

static const struct sl_field snippet_fields[] = {
    {"language", SL_FIELD_STRING, offsetof(struct snippet, fields.language), SL_FIELD_REQUIRED, 0,
     0, NULL, "the language of `code`", NULL},
    {"code", SL_FIELD_CODE, offsetof(struct snippet, fields.code),
     SL_FIELD_REQUIRED | SL_FIELD_HOLDS_CODE, 0, 0, NULL, "the text of the script", NULL},
    {"timeout", SL_FIELD_DURATION, offsetof(struct snippet, fields.timeout_ns), 0,
     (int64_t)SL_NS_PER_MS, 3600 * (int64_t)SL_NS_PER_SEC, NULL, "longest run",
     "20ms; 1s in a process"},
    {"memory", SL_FIELD_SIZE, offsetof(struct snippet, fields.memory_max), 0, 1 << 20,
     INT64_C(1) << 33, NULL, "memory that one run may take", "64MiB"},
    {"isolation", SL_FIELD_ENUM, offsetof(struct snippet, fields.isolation), 0, 0, 0,
     sl_script_isolations, "where the script runs", "inline"},
    {"unpack", SL_FIELD_BOOL, offsetof(struct snippet, fields.unpack), 0, 0, 0, NULL,
     "CEL: the payload's keys are names too", "false"},
    {"eval", SL_FIELD_BOOL, offsetof(struct snippet, fields.allow_eval), 0, 0, 0, NULL,
     "JavaScript: strings may be evaluated", "false"},
    {0},
};

static int snippet_compile(struct sl_compile *c)
{
    struct snippet *snippet = c->config;
    return sl_script_use_compile(c, &snippet->fields, &snippet->use);
}

static uint32_t snippet_flags(const void *config)
{
    return ((const struct snippet *)config)->use.in_process ? SL_KIND_PARKS : 0;
}

static void snippet_fini(void *config)
{
    sl_script_use_fini(&((struct snippet *)config)->use);
}

static int snippet_state_init(void *state, const void *config, struct sl_shard *shard,
                              struct sl_diag *reterr)
{
    const struct snippet *snippet = config;
    struct snippet_state *own = state;
    return sl_script_use_attach(&snippet->use, shard, &own->instance, reterr);
}

static void snippet_state_fini(void *state, const void *config, struct sl_shard *shard)
{
    const struct snippet *snippet = config;
    sl_script_use_detach(&snippet->use, shard, ((struct snippet_state *)state)->instance);
}

/* What came back from the script, in call->value: out, or its own failure. */
static enum sl_step snippet_result(struct sl_call *call)
{
    if (__builtin_expect(sl_value_is_none(call->value) || sl_value_is(call->value, SL_VALUE_ERROR),
                         0)) {
        return SL_STEP_FAIL;
    }
    call->port = 0;
    return SL_STEP_EMIT;
}

static void snippet_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    (void)shard;
    sl_worker_cancel(sl_frame_data(frame));
}

static enum sl_step snippet_run(struct sl_call *call)
{
    const struct snippet *snippet = call->config;
    const struct snippet_state *state = call->state;
    if (snippet->use.in_process) {
        return sl_script_use_begin(&snippet->use, state->instance, call, call->value, false,
                                   sl_frame_data(call->frame));
    }
    struct sl_value result = sl_script_use_run(&snippet->use, state->instance, call);
    sl_value_unref(call->value);
    call->value = result;
    return snippet_result(call);
}

static const char *const snippet_errors[] = {"script_error",    "script_deadline",  "script_memory",
                                             "script_overload", "script_killed",    "cel_error",
                                             "bad_body",        "script_too_large", NULL};

const struct sl_kind sl_kind_snippet = {
    .name = "snippet",
    .summary = "runs a script on each packet",
    .fields = snippet_fields,
    .config_size = sizeof(struct snippet),
    .state_size = sizeof(struct snippet_state),
    .frame_size = sizeof(struct sl_worker_wait),
    .flags = SL_KIND_TRANSFORMS,
    .outs_max = 1,
    .ins_max = 1,
    .error_codes = snippet_errors,
    .compile = snippet_compile,
    .flags_of = snippet_flags,
    .config_fini = snippet_fini,
    .state_init = snippet_state_init,
    .state_fini = snippet_state_fini,
    .run = snippet_run,
    .resume = snippet_result,
    .cancel = snippet_cancel,
};
