/* SPDX-License-Identifier: MIT */
#include "ctl/tune/propose.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/rules.h"

/* In the order in which they are told: what matters most first. */
static const struct {
    const char *name;
    sl_tune_rule_fn *fn;
} RULES[] = {
    {"quota", sl_tune_rule_quota},
    {"steal", sl_tune_rule_steal},
    {"uring", sl_tune_rule_uring},
    {"kernel", sl_tune_rule_kernel},
    {"cores", sl_tune_rule_cores},
    {"control", sl_tune_rule_control},
    {"spin", sl_tune_rule_spin},
    {"batch", sl_tune_rule_batch},
    {"buffers", sl_tune_rule_buffers},
    {"priority", sl_tune_rule_priority},
    {"memory", sl_tune_rule_memory},
    {"governor", sl_tune_rule_governor},
    {"preference", sl_tune_rule_preference},
    {"turbo", sl_tune_rule_turbo},
    {"idle", sl_tune_rule_idle},
    {"haltpoll", sl_tune_rule_haltpoll},
    {"clock", sl_tune_rule_clock},
    {"irqs", sl_tune_rule_irqs},
    {"irqbalance", sl_tune_rule_irqbalance},
    {"rps", sl_tune_rule_rps},
    {"xps", sl_tune_rule_xps},
    {"busy-poll", sl_tune_rule_busy_poll},
    {"somaxconn", sl_tune_rule_somaxconn},
    {"syn-backlog", sl_tune_rule_syn},
    {"nofile", sl_tune_rule_nofile},
    {"memlock", sl_tune_rule_memlock},
    {"thp", sl_tune_rule_thp},
    {"numa", sl_tune_rule_numa},
    {"swap", sl_tune_rule_swap},
    {"isolate", sl_tune_rule_isolate},
};

enum { RULES_COUNT = sizeof(RULES) / sizeof(RULES[0]), RULE_PROPOSALS_MAX = 1 };

static_assert(RULES_COUNT * RULE_PROPOSALS_MAX <= SL_TUNE_PROPOSALS_MAX, "room for every rule");

static const char *rule_running; /* control thread; set while sl_tune_plan_new runs */

struct sl_tune_proposal *sl_tune_propose(struct sl_tune_plan *plan, enum sl_tune_where where,
                                         const char *key)
{
    sl_assert(plan != NULL);
    sl_assert(plan->proposals_count < SL_TUNE_PROPOSALS_MAX);
    struct sl_tune_proposal *proposal = &plan->proposals[plan->proposals_count++];
    proposal->rule = rule_running;
    proposal->where = where;
    proposal->may = where == SL_TUNE_LIMIT || where == SL_TUNE_BOOT ? SL_TUNE_MAY_RESTART
                    : where == SL_TUNE_OUTSIDE                      ? SL_TUNE_MAY_NOT
                                                                    : SL_TUNE_MAY_NOW;
    sl_tune_say(proposal->key, "%s", key);
    return proposal;
}

void sl_tune_leave(struct sl_tune_plan *plan, const char *fmt, ...)
{
    sl_assert(plan->left_count < SL_TUNE_PROPOSALS_MAX);
    struct sl_tune_left *left = &plan->left[plan->left_count++];
    va_list args;
    va_start(args, fmt);
    left->rule = rule_running;
    (void)vsnprintf(left->reason, sizeof(left->reason), fmt, args);
    va_end(args);
}

void sl_tune_other(struct sl_tune_proposal *proposal, const char *value)
{
    sl_assert(proposal->others_count < SL_TUNE_OTHERS_MAX);
    if (strcmp(proposal->want, value) == 0 || strcmp(proposal->now, value) == 0) return;
    sl_tune_say(proposal->others[proposal->others_count], "%s", value);
    proposal->others_count++;
}

void sl_tune_set(struct sl_tune_plan *plan, struct sl_tune_proposal *proposal, const char *value,
                 const char *fmt, ...)
{
    sl_assert(value != NULL);
    if (proposal->settings_count == SL_TUNE_SETTINGS_MAX) return;
    struct sl_tune_setting *settings =
        realloc(proposal->settings, (proposal->settings_count + 1) * sizeof(*settings));
    sl_assert(settings != NULL);
    proposal->settings = settings;
    struct sl_tune_setting *setting = &settings[proposal->settings_count++];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(setting->path, sizeof(setting->path), fmt, args);
    va_end(args);
    (void)snprintf(setting->value, sizeof(setting->value), "%s", value);
    if (!plan->machine->is_root) {
        proposal->may = SL_TUNE_MAY_ROOT;
    } else if (!sl_tune_machine_may_write(plan->machine, setting->path)) {
        proposal->may = SL_TUNE_MAY_READONLY;
    }
}

struct sl_tune_proposal *sl_tune_propose_sysctl(struct sl_tune_plan *plan, const char *key,
                                                int64_t now, int64_t want)
{
    struct sl_tune_proposal *proposal = sl_tune_propose(plan, SL_TUNE_SYSCTL, key);
    char path[96];
    sl_tune_say(proposal->now, "%" PRId64, now);
    sl_tune_say(proposal->want, "%" PRId64, want);
    sl_tune_say(path, "/proc/sys/%.80s", key);
    for (char *at = path; *at != '\0'; at++) *at = *at == '.' ? '/' : *at;
    sl_tune_set(plan, proposal, proposal->want, "%s", path);
    return proposal;
}

const char *sl_tune_option(const struct sl_tune_plan *plan, const char *key)
{
    const char *value = plan->option(plan->ctx, key);
    sl_assert(value != NULL);
    return value;
}

void sl_tune_busy_cores(const struct sl_tune_plan *plan, cpu_set_t *ret_set)
{
    *ret_set = plan->layout.shards;
    if (plan->layout.control >= 0) CPU_SET((size_t)plan->layout.control, ret_set);
}

struct sl_tune_plan *sl_tune_plan_new(const struct sl_tune_machine *machine,
                                      const char *(*option)(void *ctx, const char *key), void *ctx)
{
    sl_assert(machine != NULL);
    sl_assert(option != NULL);
    struct sl_tune_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) return NULL;
    plan->machine = machine;
    plan->option = option;
    plan->ctx = ctx;
    sl_tune_layout(machine, &plan->layout);
    for (size_t i = 0; i < RULES_COUNT; i++) {
        uint32_t count = plan->proposals_count;
        rule_running = RULES[i].name;
        RULES[i].fn(plan);
        sl_assert(plan->proposals_count <= count + RULE_PROPOSALS_MAX);
    }
    rule_running = NULL;
    return plan;
}

struct sl_tune_plan *sl_tune_plan_free(struct sl_tune_plan *plan)
{
    if (plan == NULL) return NULL;
    for (uint32_t i = 0; i < plan->proposals_count; i++) free(plan->proposals[i].settings);
    free(plan);
    return NULL;
}

const struct sl_tune_proposal *sl_tune_plan_find(const struct sl_tune_plan *plan, const char *rule)
{
    sl_assert(plan != NULL);
    sl_assert(rule != NULL);
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        if (strcmp(plan->proposals[i].rule, rule) == 0) return &plan->proposals[i];
    }
    return NULL;
}

const char *sl_tune_where_text(enum sl_tune_where where)
{
    static const char *const texts[] = {"sluice.yaml",         "sysctl", "sysfs", "systemd unit",
                                        "kernel command line", "outside"};
    return texts[where];
}

const char *sl_tune_may_text(enum sl_tune_may may)
{
    static const char *const texts[] = {"yes", "as root", "read-only here",
                                        "from the next start on", "not from inside"};
    return texts[may];
}
