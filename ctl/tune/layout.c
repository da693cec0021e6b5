/* SPDX-License-Identifier: MIT */
/*
 * Which core does what.
 *
 *   allowed ──► isolated ones, if there are ──► one memory node ──► the fast ones ──► one of each
 *   pair of SMT siblings ──► one left for the control thread, if there are four ──► the quota
 */
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "ctl/tune/rules.h"

enum {
    CONTROL_CORES_MIN = 4, /* so many physical ones, and one is left for control */
    CAPACITY_PERCENT = 80, /* of the fastest core: below that it is another kind of core */
};

static void reason_add(struct sl_tune_layout *layout, const char *text)
{
    size_t used = strlen(layout->reason);
    (void)snprintf(layout->reason + used, sizeof(layout->reason) - used, "%s%s",
                   used > 0 ? "; " : "", text);
}

/* The node of the device that has the most interrupts, else the one with the most cores. */
static int node_pick(const struct sl_tune_machine *machine, const cpu_set_t *pool)
{
    uint64_t counts[SL_TUNE_NICS_MAX] = {0};
    uint32_t cores[SL_TUNE_NODES_MAX] = {0};
    int nic = -1;
    for (uint32_t i = 0; i < machine->irqs_count; i++) {
        counts[machine->irqs[i].nic] += machine->irqs[i].count;
    }
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        int node = machine->cpus[cpu].node;
        if (CPU_ISSET(cpu, pool) && node >= 0) cores[node]++;
    }
    for (uint32_t i = 0; i < machine->nics_count; i++) {
        int node = machine->nics[i].node;
        if (node < 0 || !machine->nics[i].is_up || cores[node] == 0) continue;
        if (nic < 0 || counts[i] > counts[nic]) nic = (int)i;
    }
    if (nic >= 0) return machine->nics[nic].node;
    int best = 0;
    for (int node = 1; node < SL_TUNE_NODES_MAX; node++) {
        if (cores[node] > cores[best]) best = node;
    }
    return best;
}

static void pool_node(const struct sl_tune_machine *machine, struct sl_tune_layout *layout,
                      cpu_set_t *pool)
{
    layout->node = -1;
    if (machine->nodes_count < 2) return;
    int node = node_pick(machine, pool);
    cpu_set_t local;
    CPU_ZERO(&local);
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (CPU_ISSET(cpu, pool) && machine->cpus[cpu].node == node) CPU_SET(cpu, &local);
    }
    if (CPU_COUNT(&local) == 0 || CPU_EQUAL(&local, pool)) return;
    *pool = local;
    layout->node = node;
    char text[96];
    (void)snprintf(text, sizeof(text), "memory node %d only%s: no remote memory", node,
                   machine->nics_count > 0 ? ", the network's" : "");
    reason_add(layout, text);
}

/* Efficiency cores beside performance cores: a shard on a slow one is the tail of all. */
static void pool_fast(const struct sl_tune_machine *machine, struct sl_tune_layout *layout,
                      cpu_set_t *pool)
{
    int capacity_max = 0;
    bool dropped = false;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (CPU_ISSET(cpu, pool) && machine->cpus[cpu].capacity > capacity_max) {
            capacity_max = machine->cpus[cpu].capacity;
        }
    }
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        int64_t percent = (int64_t)machine->cpus[cpu].capacity * 100;
        if (!CPU_ISSET(cpu, pool) || machine->cpus[cpu].capacity == 0) continue;
        if (percent >= (int64_t)capacity_max * CAPACITY_PERCENT) continue;
        CPU_CLR(cpu, pool);
        dropped = true;
    }
    if (dropped) reason_add(layout, "fast cores only");
}

static void pool_siblings(const struct sl_tune_machine *machine, struct sl_tune_layout *layout,
                          cpu_set_t *pool)
{
    cpu_set_t seen;
    CPU_ZERO(&seen);
    bool dropped = false;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (!CPU_ISSET(cpu, pool)) continue;
        size_t first = (size_t)machine->cpus[cpu].first;
        if (CPU_ISSET(first, &seen)) {
            CPU_CLR(cpu, pool);
            dropped = true;
        }
        CPU_SET(first, &seen);
    }
    if (dropped) reason_add(layout, "one shard a physical core: SMT siblings share its units");
}

/* Of the pool, the core that the network's interrupts come to most; else the lowest. */
static int control_of_pool(const struct sl_tune_machine *machine, const cpu_set_t *pool)
{
    int best = sl_tune_cpus_first(pool);
    uint64_t best_count = 0;
    for (uint32_t i = 0; i < machine->irqs_count; i++) {
        const struct sl_tune_irq *irq = &machine->irqs[i];
        int cpu = sl_tune_cpus_first(&irq->affinity);
        if (CPU_COUNT(&irq->affinity) != 1 || !CPU_ISSET((size_t)cpu, pool)) continue;
        if (irq->count <= best_count) continue;
        best = cpu;
        best_count = irq->count;
    }
    return best;
}

static void control_pick(const struct sl_tune_machine *machine, struct sl_tune_layout *layout,
                         cpu_set_t *pool, bool is_isolated)
{
    layout->control = -1;
    if (is_isolated) {
        cpu_set_t rest;
        CPU_XOR(&rest, &machine->allowed, pool);
        CPU_AND(&rest, &rest, &machine->allowed);
        for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
            if (CPU_ISSET(cpu, &machine->isolated)) CPU_CLR(cpu, &rest);
        }
        layout->control = sl_tune_cpus_first(&rest);
        return;
    }
    if (CPU_COUNT(pool) < CONTROL_CORES_MIN) return;
    if (machine->quota > 0 && machine->quota < CONTROL_CORES_MIN) return;
    layout->control = control_of_pool(machine, pool);
    CPU_CLR((size_t)layout->control, pool);
    reason_add(layout, "one core for control and interrupts");
}

/* A shard that is awake must not wait for the quota's next period. */
static void pool_quota(const struct sl_tune_machine *machine, struct sl_tune_layout *layout,
                       cpu_set_t *pool)
{
    uint32_t max = SL_SHARDS_MAX;
    uint32_t whole = machine->quota >= 1 ? (uint32_t)machine->quota : 1;
    uint32_t count = 0;
    if (machine->quota > 0 && whole < max) {
        max = whole;
        if ((uint32_t)CPU_COUNT(pool) > max)
            reason_add(layout, "no more shards than the quota has");
    }
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (!CPU_ISSET(cpu, pool)) continue;
        if (count == max) {
            CPU_CLR(cpu, pool);
        } else {
            count++;
        }
    }
}

void sl_tune_layout(const struct sl_tune_machine *machine, struct sl_tune_layout *ret_layout)
{
    sl_assert(machine != NULL);
    sl_assert(ret_layout != NULL);
    struct sl_tune_layout layout = {.node = -1};
    cpu_set_t pool = machine->allowed;
    cpu_set_t isolated;
    CPU_AND(&isolated, &machine->allowed, &machine->isolated);
    bool is_isolated = CPU_COUNT(&isolated) > 0;
    if (is_isolated) {
        pool = isolated;
        reason_add(&layout, "the isolated cores: the scheduler keeps others off them");
    }
    pool_node(machine, &layout, &pool);
    pool_fast(machine, &layout, &pool);
    pool_siblings(machine, &layout, &pool);
    control_pick(machine, &layout, &pool, is_isolated);
    pool_quota(machine, &layout, &pool);
    layout.shards = pool;
    layout.shards_count = (uint32_t)CPU_COUNT(&pool);
    sl_assert(layout.shards_count > 0);
    *ret_layout = layout;
}
