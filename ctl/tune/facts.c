/* SPDX-License-Identifier: MIT */
/* What was found, as lines: the order is that of reading, from cores outwards. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/machine.h"

struct teller {
    const struct sl_tune_machine *machine;
    sl_tune_fact_fn *fn;
    void *ctx;
    const char *area;
};

static void tell(const struct teller *teller, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct teller *teller, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    teller->fn(teller->ctx, teller->area, name, text);
}

static void tell_cpus(const struct teller *teller, const char *name, const cpu_set_t *set)
{
    char text[256];
    sl_tune_cpus_format(set, text, sizeof(text));
    tell(teller, name, "%s", text[0] != '\0' ? text : "none");
}

static void tell_number(const struct teller *teller, const char *name, int64_t number)
{
    if (number >= 0) {
        tell(teller, name, "%" PRId64, number);
    } else {
        tell(teller, name, "not there");
    }
}

/* "0-15 powersave, 16-31 performance" would be rare: the first, and how many differ. */
static void tell_governor(const struct teller *teller)
{
    const struct sl_tune_machine *machine = teller->machine;
    int first = sl_tune_cpus_first(&machine->allowed);
    if (first < 0 || machine->cpus[first].governor[0] == '\0') {
        tell(teller, "governor", "none: the frequency is not controlled here");
        return;
    }
    const char *governor = machine->cpus[first].governor;
    int others = 0;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        others += CPU_ISSET(cpu, &machine->allowed) != 0 &&
                  strcmp(machine->cpus[cpu].governor, governor) != 0;
    }
    if (others > 0) {
        tell(teller, "governor", "%s, %d cores differ", governor, others);
    } else {
        tell(teller, "governor", "%s", governor);
    }
    const char *preference = machine->cpus[first].preference;
    if (preference[0] != '\0') tell(teller, "energy preference", "%s", preference);
}

static void tell_idle(const struct teller *teller)
{
    const struct sl_tune_machine *machine = teller->machine;
    char text[400] = "";
    for (uint32_t i = 0; i < machine->idle_states_count; i++) {
        const struct sl_tune_idle_state *state = &machine->idle_states[i];
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "%s%.20s %" PRId64 " us%s",
                       used > 0 ? ", " : "", state->name, state->latency_us,
                       state->disabled ? " (off)" : "");
    }
    if (text[0] != '\0') tell(teller, "idle states", "%s", text);
    if (machine->idle_driver[0] != '\0') tell(teller, "idle driver", "%s", machine->idle_driver);
    if (machine->haltpoll_ns >= 0) {
        tell(teller, "poll before halt", "%" PRId64 " ns", machine->haltpoll_ns);
    }
}

static void tell_cores(struct teller *teller)
{
    const struct sl_tune_machine *machine = teller->machine;
    teller->area = "cores";
    tell_cpus(teller, "online", &machine->online);
    tell_cpus(teller, "allowed", &machine->allowed);
    tell(teller, "physical", "%u%s", machine->cores_count,
         machine->has_smt ? ", with SMT siblings" : "");
    tell(teller, "memory nodes", "%u", machine->nodes_count);
    tell_cpus(teller, "isolated", &machine->isolated);
    tell_cpus(teller, "nohz_full", &machine->nohz_full);
    if (machine->quota > 0) tell(teller, "quota", "%.2f cores", machine->quota);
    if (machine->throttled_count >= 0) {
        tell(teller, "throttled", "%" PRId64 " periods", machine->throttled_count);
    }
    tell_governor(teller);
    if (machine->no_turbo >= 0) tell(teller, "turbo", machine->no_turbo ? "off" : "on");
    if (machine->boost >= 0) tell(teller, "boost", machine->boost ? "on" : "off");
    tell_idle(teller);
    if (machine->clocksource[0] != '\0') tell(teller, "clock source", "%s", machine->clocksource);
    if (machine->cache_l2_size > 0) {
        tell(teller, "L2 cache", "%" PRId64 " KiB", machine->cache_l2_size / 1024);
    }
}

static void tell_nic(struct teller *teller, uint32_t index)
{
    const struct sl_tune_nic *nic = &teller->machine->nics[index];
    char node[32] = "";
    if (nic->node >= 0) (void)snprintf(node, sizeof(node), ", node %d", nic->node);
    tell(teller, nic->name, "%s, %u receive and %u send queues%s%s%s%s%s",
         nic->is_up ? "up" : "down", nic->rx_queues, nic->tx_queues, nic->has_rps ? ", RPS" : "",
         nic->has_xps ? ", XPS" : "", node, nic->bus[0] != '\0' ? ", " : "", nic->bus);
    for (uint32_t i = 0; i < teller->machine->irqs_count; i++) {
        const struct sl_tune_irq *irq = &teller->machine->irqs[i];
        char cores[128];
        char name[32];
        if (irq->nic != index || !irq->is_queue) continue;
        sl_tune_cpus_format(&irq->affinity, cores, sizeof(cores));
        (void)snprintf(name, sizeof(name), "irq %u", irq->number);
        tell(teller, name, "%s, cores %s, %" PRIu64 " so far", irq->name,
             cores[0] != '\0' ? cores : "unknown", irq->count);
    }
}

static void tell_network(struct teller *teller)
{
    const struct sl_tune_machine *machine = teller->machine;
    teller->area = "network";
    for (uint32_t i = 0; i < machine->nics_count; i++) tell_nic(teller, i);
    if (machine->nics_count == 0) tell(teller, "devices", "none with hardware behind it");
    tell(teller, "irqbalance", machine->has_irqbalance ? "runs" : "does not run");
    tell_number(teller, "somaxconn", machine->somaxconn);
    tell_number(teller, "tcp_max_syn_backlog", machine->syn_backlog);
    tell_number(teller, "busy_poll", machine->busy_poll);
    tell_number(teller, "busy_read", machine->busy_read);
}

static void tell_limit(const struct teller *teller, const char *name, int64_t soft, int64_t hard)
{
    char texts[2][32];
    const int64_t values[2] = {soft, hard};
    for (int i = 0; i < 2; i++) {
        if (values[i] < 0) {
            (void)snprintf(texts[i], sizeof(texts[i]), "unlimited");
        } else {
            (void)snprintf(texts[i], sizeof(texts[i]), "%" PRId64, values[i]);
        }
    }
    tell(teller, name, "%s, hard %s", texts[0], texts[1]);
}

static void tell_system(struct teller *teller)
{
    const struct sl_tune_machine *machine = teller->machine;
    teller->area = "system";
    tell(teller, "kernel", "%s", machine->kernel[0] != '\0' ? machine->kernel : "unknown");
    tell(teller, "io_uring", "%s", machine->probe.text);
    tell_number(teller, "io_uring_disabled", machine->uring_disabled);
    tell(teller, "huge pages", "%s", machine->thp[0] != '\0' ? machine->thp : "none");
    tell_limit(teller, "open files", machine->nofile_soft, machine->nofile_hard);
    tell_limit(teller, "locked memory", machine->memlock_soft, machine->memlock_hard);
    tell(teller, "memory", "%" PRId64 " MiB", machine->memory_total >> 20);
    if (machine->memory_limit > 0) {
        tell(teller, "memory limit", "%" PRId64 " MiB", machine->memory_limit >> 20);
    }
    tell(teller, "swap", "%" PRId64 " MiB, swappiness %" PRId64, machine->swap_kib >> 10,
         machine->swappiness);
    if (machine->nodes_count > 1) tell_number(teller, "numa_balancing", machine->numa_balancing);
    tell(teller, "virtual machine", "%s%s%s", machine->is_virtual ? "yes" : "no",
         machine->vendor[0] != '\0' ? ", " : "", machine->vendor);
    tell(teller, "stolen time", "%.2f %% of what was wanted", machine->steal_share * 100);
    tell(teller, "container", machine->is_container ? "yes" : "no");
    if (machine->is_laptop) tell(teller, "battery", machine->on_battery ? "in use" : "there");
    tell(teller, "rights", "%s%s%s", machine->is_root ? "root" : "not root",
         machine->can_nice ? ", may raise priorities" : "",
         machine->readonly_count > 0 ? ", parts of /proc or /sys are read-only" : "");
}

void sl_tune_machine_facts(const struct sl_tune_machine *machine, sl_tune_fact_fn *fn, void *ctx)
{
    sl_assert(machine != NULL);
    sl_assert(fn != NULL);
    struct teller teller = {.machine = machine, .fn = fn, .ctx = ctx};
    tell_cores(&teller);
    tell_network(&teller);
    tell_system(&teller);
}
