/* SPDX-License-Identifier: MIT */
/*
 * switch: sends a packet to the port of the first rule that holds. No rule holds: `no_route`.
 * With `isolation: process` each condition is a call of its own, with its own time.
 *
 *     - kind: switch
 *       matches:
 *         - {when: 'self.kind == "a"', port: 'out[0]'}
 *         - {when: 'true', port: 'out[1]'}
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "nodes/flow/flow.h"
#include "nodes/script/use.h"

struct switch_rule {
    struct sl_script_use use;
    uint32_t port;
};

struct switch_config {
    struct sl_value matches;
    struct sl_script_fields fields; /* language, timeout; code is each rule's */
    uint32_t rules_count;
    struct switch_rule *rules;
};

struct switch_match {
    struct sl_value when;
    struct sl_slice port;
};

static const struct sl_field switch_fields[] = {
    {"matches", SL_FIELD_VALUE, offsetof(struct switch_config, matches),
     SL_FIELD_REQUIRED | SL_FIELD_HOLDS_CODE, 0, 0, NULL,
     "list of {when, port}; the first that holds decides", NULL},
    {"language", SL_FIELD_STRING, offsetof(struct switch_config, fields.language), 0, 0, 0, NULL,
     "the language of `when`", "cel"},
    {"timeout", SL_FIELD_DURATION, offsetof(struct switch_config, fields.timeout_ns), 0,
     (int64_t)SL_NS_PER_MS, 3600 * (int64_t)SL_NS_PER_SEC, NULL, "longest run of a condition",
     "20ms; 1s in a process"},
    {"memory", SL_FIELD_SIZE, offsetof(struct switch_config, fields.memory_max), 0, 1 << 20,
     INT64_C(1) << 33, NULL, "memory that a condition may take", "64MiB"},
    {"isolation", SL_FIELD_ENUM, offsetof(struct switch_config, fields.isolation), 0, 0, 0,
     sl_script_isolations, "where the conditions run", "inline"},
    {"unpack", SL_FIELD_BOOL, offsetof(struct switch_config, fields.unpack), 0, 0, 0, NULL,
     "CEL: the payload's keys are names too", "false"},
    {0},
};

static const struct sl_field match_fields[] = {
    {"when", SL_FIELD_VALUE, offsetof(struct switch_match, when), SL_FIELD_REQUIRED, 0, 0, NULL,
     "the condition", NULL},
    {"port", SL_FIELD_STRING, offsetof(struct switch_match, port), SL_FIELD_REQUIRED, 0, 0, NULL,
     "out[0], out[1] …", NULL},
    {0},
};

static int rule_compile(struct sl_compile *c, struct switch_config *config, struct sl_value value,
                        struct switch_rule *rule)
{
    struct switch_match match = {0};
    if (sl_config_decode(c, match_fields, value, false, "a rule of \"matches\"", &match) < 0) {
        return -EINVAL;
    }
    int result = 0;
    if (sl_port_parse_out(match.port, &rule->port) < 0 || rule->port == SL_PORT_ERROR) {
        result = sl_compile_error(c, "bad_port", sl_value_get_str(value, "port"),
                                  "\"%.*s\" is not a port of a switch, expected out[0] to out[%d]",
                                  SL_SLICE_FMT(match.port), SL_SPEC_PORTS_MAX - 1);
    }
    struct sl_script_fields fields = config->fields;
    fields.language_default = "cel";
    fields.code = match.when;
    /* `when: true` without quotes is YAML's boolean; it means the same. */
    if (sl_value_is(match.when, SL_VALUE_BOOL)) {
        fields.code = sl_value_new_string(NULL, match.when.cell->word ? "true" : "false",
                                          match.when.cell->word ? 4 : 5);
        if (sl_value_is_none(fields.code)) return -ENOMEM;
        int r = sl_script_use_compile(c, &fields, &rule->use);
        sl_value_unref(fields.code);
        return r < 0 ? r : result;
    }
    if (!sl_value_is(match.when, SL_VALUE_STRING)) {
        return sl_compile_error(c, "wrong_type", match.when, "\"when\" must be an expression");
    }
    int r = sl_script_use_compile(c, &fields, &rule->use);
    return r < 0 ? r : result;
}

static int switch_compile(struct sl_compile *c)
{
    struct switch_config *config = c->config;
    if (!sl_value_is(config->matches, SL_VALUE_LIST) || sl_value_count(config->matches) == 0) {
        return sl_compile_error(c, "wrong_type", config->matches,
                                "\"matches\" must be a list of {when, port}");
    }
    uint32_t count = sl_value_count(config->matches);
    config->rules = calloc(count, sizeof(*config->rules));
    if (config->rules == NULL) return -ENOMEM;
    config->rules_count = count;
    int result = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_value value = sl_value_list_at(config->matches, i);
        int r = rule_compile(c, config, value, &config->rules[i]);
        if (r < 0) result = r;
    }
    return result;
}

static uint32_t switch_flags(const void *config_data)
{
    const struct switch_config *config = config_data;
    for (uint32_t i = 0; i < config->rules_count; i++) {
        if (config->rules[i].use.in_process) return SL_KIND_PARKS;
    }
    return 0;
}

static void switch_fini(void *data)
{
    struct switch_config *config = data;
    for (uint32_t i = 0; i < config->rules_count; i++) sl_script_use_fini(&config->rules[i].use);
    free(config->rules);
}

struct switch_state {
    void **instances;  /* array of rules_count */
    uint32_t attached; /* of them, all of their parts */
};

static void switch_state_fini(void *data, const void *config_data, struct sl_shard *shard)
{
    const struct switch_config *config = config_data;
    struct switch_state *state = data;
    for (uint32_t i = 0; state->instances != NULL && i < config->rules_count; i++) {
        if (state->instances[i] == NULL && config->rules[i].use.engine->attach != NULL) continue;
        sl_script_use_detach(&config->rules[i].use, shard, state->instances[i]);
    }
    free(state->instances);
}

static int switch_state_init(void *data, const void *config_data, struct sl_shard *shard,
                             struct sl_diag *reterr)
{
    const struct switch_config *config = config_data;
    struct switch_state *state = data;
    if (state->instances == NULL) {
        state->instances = calloc(config->rules_count, sizeof(*state->instances));
        if (state->instances == NULL) return -ENOMEM;
    }
    while (state->attached < config->rules_count) {
        uint32_t i = state->attached;
        int r = sl_script_use_attach(&config->rules[i].use, shard, &state->instances[i], reterr);
        if (r < 0) switch_state_fini(data, config_data, shard);
        if (r != 0) return r;
        state->attached++;
    }
    return 0;
}

/* While the conditions run in a process: what they are asked about, and where they are. */
struct switch_frame {
    struct sl_worker_wait wait; /* first */
    struct sl_value value;      /* one count, while `wait` is out */
    uint32_t rule;
};

/* The packet goes on with the value that it came with. */
static enum sl_step rule_holds(struct sl_call *call, struct sl_value value, uint32_t rule)
{
    const struct switch_config *config = call->config;
    call->value = value;
    call->port = config->rules[rule].port;
    return SL_STEP_EMIT;
}

static enum sl_step no_rule_holds(struct sl_call *call)
{
    (void)sl_call_fail(call, "no_route", 0, "no route: no rule of node \"%s\" holds",
                       call->symbol->node->path);
    return SL_STEP_ANSWER;
}

/* Ask rule number frame->rule. */
static enum sl_step rule_ask(struct sl_call *call, struct switch_frame *frame)
{
    const struct switch_config *config = call->config;
    const struct switch_state *state = call->state;
    const struct sl_script_use *use = &config->rules[frame->rule].use;
    enum sl_step step = sl_script_use_begin(use, state->instances[frame->rule], call,
                                            sl_value_ref(frame->value), true, &frame->wait);
    if (step == SL_STEP_PARK) return step;
    sl_value_unref(frame->value);
    return step;
}

static enum sl_step switch_resume(struct sl_call *call)
{
    const struct switch_config *config = call->config;
    struct switch_frame *frame = sl_frame_data(call->frame);
    struct sl_value value = frame->value;
    if (!sl_value_is(call->value, SL_VALUE_BOOL)) {
        sl_value_unref(value);
        return SL_STEP_FAIL; /* with the error that came */
    }
    if (call->value.cell->word != 0) return rule_holds(call, value, frame->rule);
    if (++frame->rule < config->rules_count) return rule_ask(call, frame);
    call->value = value;
    return no_rule_holds(call);
}

static void switch_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    struct switch_frame *own = sl_frame_data(frame);
    (void)shard;
    sl_worker_cancel(&own->wait);
    sl_value_unref(own->value);
}

static enum sl_step switch_begin(struct sl_call *call)
{
    struct switch_frame *frame = sl_frame_data(call->frame);
    frame->value = call->value;
    frame->rule = 0;
    return rule_ask(call, frame);
}

static enum sl_step switch_run(struct sl_call *call)
{
    const struct switch_config *config = call->config;
    const struct switch_state *state = call->state;
    if (call->frame != NULL) return switch_begin(call);
    for (uint32_t i = 0; i < config->rules_count; i++) {
        struct sl_value error;
        int truth = sl_script_use_test(&config->rules[i].use, state->instances[i], call, &error);
        if (truth < 0) return sl_call_fail_value(call, error);
        if (truth > 0) {
            call->port = config->rules[i].port;
            return SL_STEP_EMIT;
        }
    }
    return no_rule_holds(call);
}

static const char *const switch_errors[] = {
    "no_route",        "cel_error",        "script_error",
    "script_deadline", "script_memory",    "script_overload",
    "script_killed",   "script_too_large", NULL};

const struct sl_kind sl_kind_switch = {
    .name = "switch",
    .summary = "sends a packet to the port of the first rule that holds",
    .fields = switch_fields,
    .config_size = sizeof(struct switch_config),
    .state_size = sizeof(struct switch_state),
    .flags = SL_KIND_ROUTES,
    .outs_max = SL_SPEC_PORTS_MAX,
    .ins_max = 1,
    .error_codes = switch_errors,
    .frame_size = sizeof(struct switch_frame),
    .compile = switch_compile,
    .flags_of = switch_flags,
    .config_fini = switch_fini,
    .state_init = switch_state_init,
    .state_fini = switch_state_fini,
    .run = switch_run,
    .resume = switch_resume,
    .cancel = switch_cancel,
};
