/* SPDX-License-Identifier: MIT */
/* Rules about cores: who runs where, how they wait, how fast they are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/rules.h"

enum {
    IDLE_LATENCY_US_MAX = 20,  /* an idle state that takes longer to leave is seen in p99 */
    ISOLATE_CORES_MIN = 8,     /* so many physical ones before some are taken from the system */
    HALTPOLL_NS = 200000,      /* the kernel's own default for guests */
    MEMORY_DEFAULT_MIB = 4096, /* of a shard */
    MEMORY_MIN_MIB = 64,
    MEMORY_PERCENT = 80, /* of a cgroup's limit for the shards; the rest is the control's */
    BUFFER_SIZE_SMALL = 4096,
};

/* ---- who runs where -------------------------------------------------------------------------- */

void sl_tune_rule_cores(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const char *now = sl_tune_option(plan, "cores");
    cpu_set_t set;
    bool is_auto = strcmp(now, "auto") == 0;
    if (is_auto) {
        set = machine->allowed;
        /* auto leaves the control thread's core out by itself. */
        int control = plan->layout.control;
        if (control >= 0 && CPU_COUNT(&set) > 1) CPU_CLR((size_t)control, &set);
    } else if (!sl_tune_cpus_parse(now, &set)) {
        CPU_ZERO(&set);
    }
    if (CPU_EQUAL(&set, &plan->layout.shards)) {
        sl_tune_leave(plan, "%s is already what it should be: a shard on each of %u cores", now,
                      plan->layout.shards_count);
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "cores");
    sl_tune_say(p->now, "%s", now);
    sl_tune_cpus_format(&plan->layout.shards, p->want, sizeof(p->want));
    /* A load generator needs cores, too: on one machine the comparison would be of something else. */
    p->measure = SL_TUNE_MEASURE_NONE;
    sl_tune_say(p->reason, "%s",
                plan->layout.reason[0] != '\0' ? plan->layout.reason : "the cores that are there");
    sl_tune_say(p->effect, "shards do not share a core's units, or remote memory, or a quota");
}

void sl_tune_rule_control(struct sl_tune_plan *plan)
{
    const char *now = sl_tune_option(plan, "control-core");
    char want[16] = "none";
    if (plan->layout.control >= 0) sl_tune_say(want, "%d", plan->layout.control);
    if (strcmp(now, want) == 0) {
        if (plan->layout.control >= 0) return;
        sl_tune_leave(plan,
                      "no core of its own for control: %u physical are too few to give one away",
                      plan->machine->cores_count);
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "control-core");
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "%s", want);
    p->measure = SL_TUNE_MEASURE_NONE;
    if (plan->layout.control >= 0) {
        sl_tune_say(
            p->reason,
            "compiling a program, the registry and metrics run beside the shards, not on them");
    } else {
        sl_tune_say(p->reason, "too few cores here to give one away");
    }
    sl_tune_say(p->effect, "a change of the workflow is not seen in the shards' tail");
}

/* ---- how a shard waits ----------------------------------------------------------------------- */

void sl_tune_rule_spin(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const char *now = sl_tune_option(plan, "spin");
    if (machine->cores_count < 2) {
        sl_tune_leave(plan, "one core: who busy-polls takes it from the one it waits for");
        return;
    }
    if (machine->quota > 0) {
        sl_tune_leave(plan, "a quota of %.2f cores: busy-polling would use it up", machine->quota);
        return;
    }
    if (machine->on_battery) {
        sl_tune_leave(plan, "on battery: busy-polling keeps a core awake");
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "spin");
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "50us");
    sl_tune_other(p, "20us");
    sl_tune_other(p, "200us");
    p->measure = SL_TUNE_MEASURE_OPTION;
    p->needs_proof = true;
    sl_tune_say(p->reason, "a shard that sleeps is woken by the kernel: an interrupt, a switch%s",
                machine->is_virtual ? ", and a halt that leaves the virtual machine" : "");
    sl_tune_say(p->effect, "lower p50 when there is little to do, for more CPU; none at full load");
}

void sl_tune_rule_batch(struct sl_tune_plan *plan)
{
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "batch");
    sl_tune_say(p->now, "%s", sl_tune_option(plan, "batch"));
    sl_tune_say(p->want, "32");
    sl_tune_other(p, "8");
    sl_tune_other(p, "128");
    p->measure = SL_TUNE_MEASURE_OPTION;
    p->needs_proof = true;
    sl_tune_say(p->reason, "answers leave at the end of a turn: a short turn sends them earlier");
    sl_tune_say(p->effect, "lower p99 with many busy connections, for more system calls");
}

void sl_tune_rule_buffers(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const char *now = sl_tune_option(plan, "buffer-size");
    int64_t size = strtoll(now, NULL, 10);
    int64_t count = strtoll(sl_tune_option(plan, "buffers"), NULL, 10);
    if (machine->cache_l2_size <= 0 || size <= BUFFER_SIZE_SMALL ||
        size * count <= machine->cache_l2_size) {
        sl_tune_leave(plan, "%" PRId64 " receive buffers of %" PRId64 " bytes%s", count, size,
                      machine->cache_l2_size > 0 ? " fit the L2 cache" : "; the cache is unknown");
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "buffer-size");
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "%d", BUFFER_SIZE_SMALL);
    p->measure = SL_TUNE_MEASURE_OPTION;
    p->needs_proof = true;
    sl_tune_say(p->reason,
                "%" PRId64 " buffers of %" PRId64 " KiB are used in turn, and L2 has %" PRId64
                " KiB: with 4 KiB each more of them stay in it",
                count, size / 1024, machine->cache_l2_size / 1024);
    sl_tune_say(p->effect, "less CPU for small requests; more completions for large ones");
}

void sl_tune_rule_priority(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const char *now = sl_tune_option(plan, "priority");
    if (strcmp(now, "normal") != 0) return;
    if (!machine->can_nice && machine->nice_max < 30) {
        sl_tune_leave(plan,
                      "this process may not raise a priority (CAP_SYS_NICE or LimitNICE=-10)");
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "priority");
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "-10");
    p->measure = SL_TUNE_MEASURE_OPTION;
    p->needs_proof = true;
    sl_tune_say(p->reason, "other processes run on the shards' cores, too");
    sl_tune_say(p->effect, "lower p99 where something else is busy; none on a quiet machine");
}

void sl_tune_rule_memory(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    const char *now = sl_tune_option(plan, "memory");
    int64_t limit = machine->memory_limit;
    if (limit <= 0) limit = machine->memory_total;
    if (limit <= 0) return;
    int64_t want = (limit >> 20) * MEMORY_PERCENT / 100 / plan->layout.shards_count;
    if (want < MEMORY_MIN_MIB) want = MEMORY_MIN_MIB;
    if (strtoll(now, NULL, 10) <= want) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_YAML, "memory");
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "%" PRId64, want);
    sl_tune_say(p->reason,
                "%s has %" PRId64 " MiB for %u shard%s: what is beyond ends in the OOM killer",
                machine->memory_limit > 0 ? "the cgroup" : "the machine", limit >> 20,
                plan->layout.shards_count, plan->layout.shards_count == 1 ? "" : "s");
    sl_tune_say(p->effect,
                "a shard that is full refuses requests, instead of the process being killed");
}

/* ---- how fast cores are ---------------------------------------------------------------------- */

/* Propose `value` for FILE of all busy cores where `now` is another. */
static struct sl_tune_proposal *propose_cpufreq(struct sl_tune_plan *plan, const char *file,
                                                const char *now, const char *value)
{
    cpu_set_t busy;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, file);
    sl_tune_busy_cores(plan, &busy);
    sl_tune_say(p->now, "%s", now);
    sl_tune_say(p->want, "%s", value);
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (!CPU_ISSET(cpu, &busy)) continue;
        sl_tune_set(plan, p, value, "/sys/devices/system/cpu/cpu%zu/cpufreq/%s", cpu, file);
    }
    return p;
}

/* The value of a busy core that is not `value`, or NULL. */
static const char *differing(const struct sl_tune_plan *plan, bool governor, const char *value)
{
    cpu_set_t busy;
    sl_tune_busy_cores(plan, &busy);
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        const struct sl_tune_cpu *one = &plan->machine->cpus[cpu];
        const char *now = governor ? one->governor : one->preference;
        if (CPU_ISSET(cpu, &busy) && now[0] != '\0' && strcmp(now, value) != 0) return now;
    }
    return NULL;
}

void sl_tune_rule_governor(struct sl_tune_plan *plan)
{
    const char *now = differing(plan, true, "performance");
    if (now == NULL || strstr(plan->machine->governors, "performance") == NULL) return;
    struct sl_tune_proposal *p = propose_cpufreq(plan, "scaling_governor", now, "performance");
    sl_tune_say(p->reason, "with %s a core that was idle is slow when a request comes%s", now,
                plan->machine->on_battery ? "; it costs battery" : "");
    sl_tune_say(p->effect, "lower p50 and p99 at low and changing load; more power");
}

void sl_tune_rule_preference(struct sl_tune_plan *plan)
{
    const char *now = differing(plan, false, "performance");
    if (now == NULL) return;
    if (differing(plan, true, "performance") != NULL) {
        sl_tune_leave(plan, "the governor performance sets the energy preference, too");
        return;
    }
    struct sl_tune_proposal *p =
        propose_cpufreq(plan, "energy_performance_preference", now, "performance");
    sl_tune_say(p->reason, "with %s the processor itself delays the rise of the frequency", now);
    sl_tune_say(p->effect, "lower p99 at changing load; more power");
}

void sl_tune_rule_turbo(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    bool is_intel = machine->no_turbo == 1;
    if (!is_intel && machine->boost != 0) return;
    const char *path = is_intel ? "/sys/devices/system/cpu/intel_pstate/no_turbo"
                                : "/sys/devices/system/cpu/cpufreq/boost";
    struct sl_tune_proposal *p =
        sl_tune_propose(plan, SL_TUNE_SYSFS, is_intel ? "no_turbo" : "boost");
    sl_tune_say(p->now, "%s", is_intel ? "1" : "0");
    sl_tune_say(p->want, "%s", is_intel ? "0" : "1");
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    p->needs_proof = true; /* somebody has switched it off, perhaps for steady figures */
    sl_tune_set(plan, p, p->want, "%s", path);
    sl_tune_say(p->reason, "the processor may not use its highest frequencies");
    sl_tune_say(p->effect, "less CPU time a request; times vary more with heat");
}

void sl_tune_rule_idle(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    int64_t worst = 0;
    const char *name = NULL;
    for (uint32_t i = 0; i < machine->idle_states_count; i++) {
        const struct sl_tune_idle_state *state = &machine->idle_states[i];
        if (state->disabled || state->latency_us <= IDLE_LATENCY_US_MAX) continue;
        if (state->latency_us < worst) continue;
        worst = state->latency_us;
        name = state->name;
    }
    if (name == NULL) return;
    if (machine->is_laptop) {
        sl_tune_leave(plan, "deep idle states stay on: a laptop would grow hot");
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "cpuidle/disable");
    sl_tune_say(p->now, "%.40s (%" PRId64 " us) allowed", name, worst);
    sl_tune_say(p->want, "no state that takes over %d us to leave", IDLE_LATENCY_US_MAX);
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (!CPU_ISSET(cpu, &plan->layout.shards)) continue;
        for (uint32_t i = 0; i < machine->idle_states_count; i++) {
            const struct sl_tune_idle_state *state = &machine->idle_states[i];
            if (state->disabled || state->latency_us <= IDLE_LATENCY_US_MAX) continue;
            sl_tune_set(plan, p, "1", "/sys/devices/system/cpu/cpu%zu/cpuidle/state%u/disable", cpu,
                        i);
        }
    }
    sl_tune_say(p->reason, "a shard's core that sleeps in %s needs %" PRId64 " us to wake", name,
                worst);
    sl_tune_say(p->effect, "lower p99 at low load; more power");
}

void sl_tune_rule_haltpoll(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->haltpoll_ns < 0 || machine->haltpoll_ns >= HALTPOLL_NS) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "guest_halt_poll_ns");
    sl_tune_say(p->now, "%" PRId64, machine->haltpoll_ns);
    sl_tune_say(p->want, "%d", HALTPOLL_NS);
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    p->needs_proof = true;
    sl_tune_set(plan, p, p->want, "/sys/module/haltpoll/parameters/guest_halt_poll_ns");
    sl_tune_say(p->reason, "an idle core halts at once, which leaves the virtual machine");
    sl_tune_say(p->effect, "lower p50 and p99 at low load, for time that the host sees as busy");
}

/* ---- taking cores from the system ------------------------------------------------------------ */

void sl_tune_rule_isolate(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    char list[128];
    if (CPU_COUNT(&machine->isolated) > 0) {
        sl_tune_leave(plan, "cores are isolated already");
        return;
    }
    if (machine->is_container || machine->is_laptop || machine->cores_count < ISOLATE_CORES_MIN ||
        plan->layout.control < 0) {
        sl_tune_leave(plan, "%s",
                      machine->is_container ? "a container has no kernel of its own"
                      : machine->is_laptop  ? "a laptop needs its cores"
                                            : "too few cores to take from the system");
        return;
    }
    sl_tune_cpus_format(&plan->layout.shards, list, sizeof(list));
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_BOOT, "isolcpus");
    sl_tune_say(p->now, "%s", "not set");
    sl_tune_say(p->want, "isolcpus=managed_irq,domain,%.60s nohz_full=%.60s rcu_nocbs=%.60s", list,
                list, list);
    p->needs_proof = true; /* a decision for the whole machine, and no test without a restart */
    sl_tune_say(p->reason, "the scheduler, the timer tick and RCU interrupt the shards' cores");
    sl_tune_say(p->effect, "a shorter tail (p99.9 and beyond); these cores are lost for all else");
}
