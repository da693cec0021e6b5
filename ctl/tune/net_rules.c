/* SPDX-License-Identifier: MIT */
/* Rules about the network: who takes its interrupts, and how long queues may be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/rules.h"

enum { BACKLOG = 4096, BUSY_POLL_US = 50 };

/* The device with the most interrupts that is up, or NULL. */
static const struct sl_tune_nic *nic_main(const struct sl_tune_machine *machine)
{
    uint64_t counts[SL_TUNE_NICS_MAX] = {0};
    const struct sl_tune_nic *best = NULL;
    for (uint32_t i = 0; i < machine->irqs_count; i++) {
        counts[machine->irqs[i].nic] += machine->irqs[i].count;
    }
    for (uint32_t i = 0; i < machine->nics_count; i++) {
        const struct sl_tune_nic *nic = &machine->nics[i];
        if (!nic->is_up) continue;
        if (best == NULL || counts[i] > counts[best - machine->nics]) best = nic;
    }
    return best;
}

/* The core of shard `index`, round and round. */
static int shard_core(const struct sl_tune_plan *plan, uint32_t index)
{
    uint32_t left = index % plan->layout.shards_count;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (CPU_ISSET(cpu, &plan->layout.shards) && left-- == 0) return (int)cpu;
    }
    sl_unreachable();
}

/* ---- interrupts ------------------------------------------------------------------------------ */

/*
 * A queue for each shard: its interrupts go to that shard's core, so a packet stays on one core.
 * Fewer queues: they go to the control core, which has the time.
 */
void sl_tune_rule_irqs(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const struct sl_tune_nic *nic = nic_main(machine);
    if (nic == NULL) return;
    bool has_queues = nic->rx_queues >= plan->layout.shards_count && plan->layout.shards_count > 1;
    if (!has_queues && plan->layout.control < 0) {
        sl_tune_leave(plan, "%s has %u receive queue%s, and there is no core to spare for them",
                      nic->name, nic->rx_queues, nic->rx_queues == 1 ? "" : "s");
        return;
    }
    struct sl_tune_proposal wanted = {.settings = NULL};
    char cores[64] = "";
    uint32_t index = 0;
    bool differs = false;
    for (uint32_t i = 0; i < machine->irqs_count; i++) {
        const struct sl_tune_irq *irq = &machine->irqs[i];
        char value[16];
        cpu_set_t set;
        if (&machine->nics[irq->nic] != nic || !irq->is_queue) continue;
        int core = has_queues ? shard_core(plan, index++) : plan->layout.control;
        CPU_ZERO(&set);
        CPU_SET((size_t)core, &set);
        if (CPU_EQUAL(&set, &irq->affinity)) continue;
        if (!differs) sl_tune_cpus_format(&irq->affinity, cores, sizeof(cores));
        differs = true;
        sl_tune_say(value, "%d", core);
        sl_tune_set(plan, &wanted, value, "/proc/irq/%u/smp_affinity_list", irq->number);
    }
    if (!differs) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "smp_affinity_list");
    p->settings = wanted.settings;
    p->settings_count = wanted.settings_count;
    if (wanted.may != SL_TUNE_MAY_NOW) p->may = wanted.may;
    sl_tune_say(p->now, "%u interrupts of %s elsewhere, the first on %s", p->settings_count,
                nic->name, cores[0] != '\0' ? cores : "unknown cores");
    if (has_queues) {
        sl_tune_say(p->want, "each queue on the core of its shard");
        sl_tune_say(p->reason,
                    "%s has %u receive queues for %u shards: a packet can stay on one core",
                    nic->name, nic->rx_queues, plan->layout.shards_count);
    } else {
        sl_tune_say(p->want, "core %d", plan->layout.control);
        sl_tune_say(p->reason, "interrupts of %s stop a shard in the middle of a request",
                    nic->name);
    }
    sl_tune_say(p->effect, "a shorter tail under network load; not seen on loopback");
}

void sl_tune_rule_irqbalance(struct sl_tune_plan *plan)
{
    if (!plan->machine->has_irqbalance || sl_tune_plan_find(plan, "irqs") == NULL) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_OUTSIDE, "irqbalance");
    sl_tune_say(p->now, "runs");
    sl_tune_say(p->want, "systemctl disable --now irqbalance");
    p->may = plan->machine->is_root ? SL_TUNE_MAY_RESTART : SL_TUNE_MAY_ROOT;
    sl_tune_say(p->reason, "it moves interrupts again every ten seconds, whatever was set");
    sl_tune_say(p->effect, "the interrupts' places hold");
}

void sl_tune_rule_rps(struct sl_tune_plan *plan)
{
    const struct sl_tune_nic *nic = nic_main(plan->machine);
    if (nic == NULL || nic->has_rps || nic->rx_queues == 0) return;
    if (nic->rx_queues >= plan->layout.shards_count) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "rps_cpus");
    sl_tune_mask_format(&plan->layout.shards, p->want, sizeof(p->want));
    sl_tune_say(p->now, "0");
    p->needs_proof = true; /* it helps where the network is the limit, and only there */
    for (uint32_t i = 0; i < nic->rx_queues && i < SL_TUNE_QUEUES_MAX; i++) {
        sl_tune_set(plan, p, p->want, "/sys/class/net/%.32s/queues/rx-%u/rps_cpus", nic->name, i);
    }
    sl_tune_say(p->reason,
                "%s has %u receive queue%s for %u shards: one core does the network's work "
                "for all",
                nic->name, nic->rx_queues, nic->rx_queues == 1 ? "" : "s",
                plan->layout.shards_count);
    sl_tune_say(p->effect, "more throughput under network load, for a wake-up between cores");
}

void sl_tune_rule_xps(struct sl_tune_plan *plan)
{
    const struct sl_tune_nic *nic = nic_main(plan->machine);
    if (nic == NULL || nic->has_xps) return;
    if (plan->layout.shards_count < 2 || nic->tx_queues < plan->layout.shards_count) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "xps_cpus");
    for (uint32_t i = 0; i < plan->layout.shards_count && i < SL_TUNE_QUEUES_MAX; i++) {
        char mask[SL_TUNE_VALUE_SIZE];
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)shard_core(plan, i), &set);
        sl_tune_mask_format(&set, mask, sizeof(mask));
        sl_tune_set(plan, p, mask, "/sys/class/net/%.32s/queues/tx-%u/xps_cpus", nic->name, i);
    }
    sl_tune_say(p->now, "no queue has a core");
    sl_tune_say(p->want, "a send queue for each shard's core");
    sl_tune_say(p->reason, "%s has %u send queues: shards need not share their locks", nic->name,
                nic->tx_queues);
    sl_tune_say(p->effect, "less contention under network load; not seen on loopback");
}

/* ---- queues ---------------------------------------------------------------------------------- */

void sl_tune_rule_busy_poll(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->probe.works) {
        sl_tune_leave(plan, "busy_poll and busy_read change nothing for io_uring: spin is its own");
        return;
    }
    if (machine->nics_count == 0 || machine->busy_poll != 0 || machine->cores_count < 2 ||
        machine->quota > 0 || machine->on_battery) {
        return;
    }
    struct sl_tune_proposal *p =
        sl_tune_propose_sysctl(plan, "net.core.busy_poll", machine->busy_poll, BUSY_POLL_US);
    p->needs_proof = true;
    sl_tune_say(p->reason,
                "epoll may look at the device's queue itself instead of sleeping at once");
    sl_tune_say(p->effect, "lower p50 over a real network, for CPU; not seen on loopback");
}

void sl_tune_rule_somaxconn(struct sl_tune_plan *plan)
{
    int64_t now = plan->machine->somaxconn;
    if (now < 0 || now >= BACKLOG) return;
    struct sl_tune_proposal *p = sl_tune_propose_sysctl(plan, "net.core.somaxconn", now, BACKLOG);
    sl_tune_say(p->reason, "it cuts the listeners' backlog from %d to %" PRId64, BACKLOG, now);
    sl_tune_say(p->effect, "a burst of new connections is not refused; nothing else changes");
}

void sl_tune_rule_syn(struct sl_tune_plan *plan)
{
    int64_t now = plan->machine->syn_backlog;
    if (now < 0 || now >= BACKLOG) return;
    struct sl_tune_proposal *p =
        sl_tune_propose_sysctl(plan, "net.ipv4.tcp_max_syn_backlog", now, BACKLOG);
    sl_tune_say(p->reason, "half-open connections beyond %" PRId64 " are dropped or get cookies",
                now);
    sl_tune_say(p->effect,
                "a burst of new connections keeps its TCP options; nothing else changes");
}
