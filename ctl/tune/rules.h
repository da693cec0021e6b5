/* SPDX-License-Identifier: MIT */
/* What rules use. Inside this folder only. */
#pragma once

#include "ctl/tune/propose.h"

typedef void sl_tune_rule_fn(struct sl_tune_plan *plan);

/*
 * Add a proposal; key, now and want are to be filled by the caller. The rule's name is that of the
 * rule that runs. Never NULL: the table of rules is shorter than the table of proposals.
 */
struct sl_tune_proposal *sl_tune_propose(struct sl_tune_plan *plan, enum sl_tune_where where,
                                         const char *key);

/* Say why a rule leaves things alone. */
void sl_tune_leave(struct sl_tune_plan *plan, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* printf into an array of the proposal. */
#define sl_tune_say(array, ...) ((void)snprintf((array), sizeof(array), __VA_ARGS__))

/* Another value to try. */
void sl_tune_other(struct sl_tune_proposal *proposal, const char *value);

/* A write that the proposal needs; sets `may` from the rights on it. */
void sl_tune_set(struct sl_tune_plan *plan, struct sl_tune_proposal *proposal, const char *value,
                 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A sysctl: key "net.core.somaxconn", its present value, and the wanted one. */
struct sl_tune_proposal *sl_tune_propose_sysctl(struct sl_tune_plan *plan, const char *key,
                                                int64_t now, int64_t want);

/* The value of a key of sluice.yaml as it is now. */
const char *sl_tune_option(const struct sl_tune_plan *plan, const char *key);

/* Cores of the shards and of the control thread. */
void sl_tune_busy_cores(const struct sl_tune_plan *plan, cpu_set_t *ret_set);

/* cores_rules.c */
void sl_tune_rule_cores(struct sl_tune_plan *plan);
void sl_tune_rule_control(struct sl_tune_plan *plan);
void sl_tune_rule_spin(struct sl_tune_plan *plan);
void sl_tune_rule_batch(struct sl_tune_plan *plan);
void sl_tune_rule_buffers(struct sl_tune_plan *plan);
void sl_tune_rule_priority(struct sl_tune_plan *plan);
void sl_tune_rule_memory(struct sl_tune_plan *plan);
void sl_tune_rule_governor(struct sl_tune_plan *plan);
void sl_tune_rule_preference(struct sl_tune_plan *plan);
void sl_tune_rule_turbo(struct sl_tune_plan *plan);
void sl_tune_rule_idle(struct sl_tune_plan *plan);
void sl_tune_rule_haltpoll(struct sl_tune_plan *plan);
void sl_tune_rule_isolate(struct sl_tune_plan *plan);

/* system_rules.c */
void sl_tune_rule_uring(struct sl_tune_plan *plan);
void sl_tune_rule_kernel(struct sl_tune_plan *plan);
void sl_tune_rule_nofile(struct sl_tune_plan *plan);
void sl_tune_rule_memlock(struct sl_tune_plan *plan);
void sl_tune_rule_thp(struct sl_tune_plan *plan);
void sl_tune_rule_swap(struct sl_tune_plan *plan);
void sl_tune_rule_numa(struct sl_tune_plan *plan);
void sl_tune_rule_clock(struct sl_tune_plan *plan);
void sl_tune_rule_quota(struct sl_tune_plan *plan);
void sl_tune_rule_steal(struct sl_tune_plan *plan);

/* net_rules.c */
void sl_tune_rule_somaxconn(struct sl_tune_plan *plan);
void sl_tune_rule_syn(struct sl_tune_plan *plan);
void sl_tune_rule_busy_poll(struct sl_tune_plan *plan);
void sl_tune_rule_irqs(struct sl_tune_plan *plan);
void sl_tune_rule_irqbalance(struct sl_tune_plan *plan);
void sl_tune_rule_rps(struct sl_tune_plan *plan);
void sl_tune_rule_xps(struct sl_tune_plan *plan);
