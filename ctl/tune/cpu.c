/* SPDX-License-Identifier: MIT */
/* Cores: which there are, which share what, how fast they may run and how deep they sleep. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/machine.h"

#define CPU_DIR "/sys/devices/system/cpu"

static bool word_read(const struct sl_tune_machine *machine, size_t cpu, const char *name,
                      char *buf, size_t buf_size)
{
    char path[128];
    (void)snprintf(path, sizeof(path), CPU_DIR "/cpu%zu/%s", cpu, name);
    return sl_tune_read_line(&machine->tree, path, buf, buf_size);
}

static int number_read(const struct sl_tune_machine *machine, size_t cpu, const char *name,
                       int fallback)
{
    char path[128];
    int64_t number = fallback;
    (void)snprintf(path, sizeof(path), CPU_DIR "/cpu%zu/%s", cpu, name);
    (void)sl_tune_read_number(&machine->tree, path, &number);
    return number < INT32_MIN || number > INT32_MAX ? fallback : (int)number;
}

static void cpu_read(struct sl_tune_machine *machine, size_t number)
{
    struct sl_tune_cpu *cpu = &machine->cpus[number];
    char path[128];
    cpu_set_t siblings;
    *cpu = (struct sl_tune_cpu){.node = -1, .first = (int)number};
    cpu->package = number_read(machine, number, "topology/physical_package_id", -1);
    cpu->core_id = number_read(machine, number, "topology/core_id", -1);
    (void)snprintf(path, sizeof(path), CPU_DIR "/cpu%zu/topology/thread_siblings_list", number);
    if (sl_tune_read_cpus(&machine->tree, path, &siblings) && CPU_ISSET(number, &siblings)) {
        cpu->first = sl_tune_cpus_first(&siblings);
    }
    cpu->capacity = number_read(machine, number, "cpu_capacity", 0);
    if (cpu->capacity <= 0) {
        cpu->capacity = number_read(machine, number, "cpufreq/cpuinfo_max_freq", 0);
    }
    if (cpu->capacity < 0) cpu->capacity = 0;
    (void)word_read(machine, number, "cpufreq/scaling_governor", cpu->governor,
                    sizeof(cpu->governor));
    (void)word_read(machine, number, "cpufreq/energy_performance_preference", cpu->preference,
                    sizeof(cpu->preference));
}

static void nodes_read(struct sl_tune_machine *machine)
{
    char **names;
    size_t count = sl_tune_list(&machine->tree, "/sys/devices/system/node", 1024, &names);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        cpu_set_t set;
        if (strncmp(names[i], "node", 4) != 0 || !isdigit((unsigned char)names[i][4])) continue;
        long node = strtol(names[i] + 4, NULL, 10);
        if (node < 0 || node >= SL_TUNE_NODES_MAX) continue;
        (void)snprintf(path, sizeof(path), "/sys/devices/system/node/%s/cpulist", names[i]);
        if (!sl_tune_read_cpus(&machine->tree, path, &set) || CPU_COUNT(&set) == 0) continue;
        machine->nodes_count++;
        for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
            if (CPU_ISSET(cpu, &set)) machine->cpus[cpu].node = (int)node;
        }
    }
    free(names);
    if (machine->nodes_count == 0) machine->nodes_count = 1;
}

/* Physical cores among the allowed: those whose lowest allowed sibling they are. */
static void cores_count(struct sl_tune_machine *machine)
{
    cpu_set_t seen;
    CPU_ZERO(&seen);
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        if (!CPU_ISSET(cpu, &machine->allowed)) continue;
        size_t first = (size_t)machine->cpus[cpu].first;
        if (CPU_ISSET(first, &seen)) {
            machine->has_smt = true;
            continue;
        }
        CPU_SET(first, &seen);
        machine->cores_count++;
    }
}

static void idle_read(struct sl_tune_machine *machine)
{
    int cpu = sl_tune_cpus_first(&machine->allowed);
    (void)sl_tune_read_line(&machine->tree, CPU_DIR "/cpuidle/current_driver", machine->idle_driver,
                            sizeof(machine->idle_driver));
    machine->haltpoll_ns = -1;
    if (strcmp(machine->idle_driver, "haltpoll") == 0) {
        (void)sl_tune_read_number(&machine->tree,
                                  "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
                                  &machine->haltpoll_ns);
    }
    for (int i = 0; cpu >= 0 && i < SL_TUNE_IDLE_STATES_MAX; i++) {
        struct sl_tune_idle_state *state = &machine->idle_states[i];
        char name[64];
        char value[16];
        (void)snprintf(name, sizeof(name), "cpuidle/state%d/name", i);
        if (!word_read(machine, (size_t)cpu, name, state->name, sizeof(state->name))) break;
        (void)snprintf(name, sizeof(name), "cpuidle/state%d/latency", i);
        state->latency_us = number_read(machine, (size_t)cpu, name, 0);
        (void)snprintf(name, sizeof(name), "cpuidle/state%d/disable", i);
        state->disabled =
            word_read(machine, (size_t)cpu, name, value, sizeof(value)) && strcmp(value, "0") != 0;
        machine->idle_states_count++;
    }
}

/* "512K" or "2M" */
static int64_t cache_size(const char *text)
{
    char *end;
    long long size = strtoll(text, &end, 10);
    if (end == text || size <= 0 || size > 1024 * 1024) return 0;
    return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : 0;
}

static void frequency_read(struct sl_tune_machine *machine)
{
    machine->no_turbo = -1;
    machine->boost = -1;
    (void)sl_tune_read_number(&machine->tree, CPU_DIR "/intel_pstate/no_turbo", &machine->no_turbo);
    (void)sl_tune_read_number(&machine->tree, CPU_DIR "/cpufreq/boost", &machine->boost);
    int cpu = sl_tune_cpus_first(&machine->allowed);
    char text[32];
    if (cpu < 0) return;
    (void)word_read(machine, (size_t)cpu, "cpufreq/scaling_available_governors", machine->governors,
                    sizeof(machine->governors));
    if (word_read(machine, (size_t)cpu, "cache/index2/size", text, sizeof(text))) {
        machine->cache_l2_size = cache_size(text);
    }
}

void sl_tune_read_cpu(struct sl_tune_machine *machine)
{
    sl_assert(machine != NULL);
    sl_assert(machine->cpus != NULL);
    if (!sl_tune_read_cpus(&machine->tree, CPU_DIR "/online", &machine->online)) {
        machine->online = machine->allowed;
    }
    cpu_set_t both;
    CPU_AND(&both, &machine->allowed, &machine->online);
    /* A tree that contradicts itself: what this process may use is nearer to the truth. */
    if (CPU_COUNT(&both) > 0) machine->allowed = both;
    if (CPU_COUNT(&machine->allowed) == 0) machine->allowed = machine->online;
    if (CPU_COUNT(&machine->allowed) == 0) CPU_SET(0, &machine->allowed);
    (void)sl_tune_read_cpus(&machine->tree, CPU_DIR "/isolated", &machine->isolated);
    (void)sl_tune_read_cpus(&machine->tree, CPU_DIR "/nohz_full", &machine->nohz_full);
    for (size_t cpu = 0; cpu < SL_TUNE_CPUS_MAX; cpu++) {
        machine->cpus[cpu] = (struct sl_tune_cpu){.node = -1, .first = (int)cpu};
        bool is_there = CPU_ISSET(cpu, &machine->online) || CPU_ISSET(cpu, &machine->allowed);
        if (is_there) cpu_read(machine, cpu);
    }
    nodes_read(machine);
    cores_count(machine);
    frequency_read(machine);
    idle_read(machine);
    (void)sl_tune_read_line(&machine->tree,
                            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                            machine->clocksource, sizeof(machine->clocksource));
    (void)sl_tune_read_line(&machine->tree,
                            "/sys/devices/system/clocksource/clocksource0/available_clocksource",
                            machine->clocksources, sizeof(machine->clocksources));
}
