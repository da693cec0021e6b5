/* SPDX-License-Identifier: MIT */
/* Rules about the kernel, limits, memory, and whoever stands above this machine. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/limit.h"
#include "ctl/tune/rules.h"

enum {
    NOFILE_STEP = 65536,
    NR_OPEN_DEFAULT = 1048576,
    SWAPPINESS = 10,
};

/* ---- kernel ---------------------------------------------------------------------------------- */

void sl_tune_rule_uring(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->uring_disabled == 1 || machine->uring_disabled == 2) {
        struct sl_tune_proposal *p =
            sl_tune_propose_sysctl(plan, "kernel.io_uring_disabled", machine->uring_disabled, 0);
        p->measure = SL_TUNE_MEASURE_NONE; /* both servers of a comparison choose at their start */
        p->needs_proof = true;             /* somebody switched it off: that is a decision */
        sl_tune_say(p->reason, "io_uring is switched off, so shards fall back to epoll; it was "
                               "switched off for a reason: ask first");
        sl_tune_say(p->effect, "one system call a turn instead of several a request");
        return;
    }
    if (machine->probe.is_known && !machine->probe.works) {
        struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_OUTSIDE, "io_uring");
        sl_tune_say(p->now, "refused");
        sl_tune_say(p->want, "allowed");
        sl_tune_say(p->reason, "%.300s", machine->probe.text);
        sl_tune_say(p->effect, "one system call a turn instead of several a request");
    }
}

void sl_tune_rule_kernel(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (sl_tune_machine_has_kernel(machine, 6, 1)) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_OUTSIDE, "kernel");
    sl_tune_say(p->now, "%s", machine->kernel);
    sl_tune_say(p->want, "6.1 or newer");
    if (sl_tune_machine_has_kernel(machine, 6, 0)) {
        sl_tune_say(p->reason,
                    "io_uring here has no DEFER_TASKRUN: completions interrupt the shard");
    } else {
        sl_tune_say(p->reason, "io_uring here has no multishot receive: shards use epoll");
    }
    sl_tune_say(p->effect, "less CPU a request, and the tail of io_uring instead of that of epoll");
}

void sl_tune_rule_clock(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "pit", "xen"};
    bool is_slow = false;
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        is_slow |= strcmp(machine->clocksource, slow[i]) == 0;
    }
    if (!is_slow) return;
    if (strstr(machine->clocksources, "tsc") == NULL) {
        sl_tune_leave(plan, "the clock %s is slow to read, but the kernel offers no tsc",
                      machine->clocksource);
        return;
    }
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "current_clocksource");
    sl_tune_say(p->now, "%s", machine->clocksource);
    sl_tune_say(p->want, "tsc");
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    sl_tune_set(plan, p, "tsc", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    sl_tune_say(p->reason, "reading %s is a system call and slow hardware, several times a turn",
                machine->clocksource);
    sl_tune_say(p->effect, "less CPU a request");
}

/* ---- limits ---------------------------------------------------------------------------------- */

void sl_tune_rule_nofile(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    int64_t max = machine->nr_open > 0 ? machine->nr_open : NR_OPEN_DEFAULT;
    int64_t want = (int64_t)plan->layout.shards_count * SL_HTTP_CONNECTIONS_MAX + NOFILE_STEP;
    if (want > max) want = max;
    if (machine->nofile_hard < 0 || machine->nofile_hard >= want) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_LIMIT, "LimitNOFILE");
    sl_tune_say(p->now, "%" PRId64, machine->nofile_hard);
    sl_tune_say(p->want, "%" PRId64, want);
    sl_tune_say(p->reason, "%u shard%s may have %d connections each, a descriptor for each",
                plan->layout.shards_count, plan->layout.shards_count == 1 ? "" : "s",
                SL_HTTP_CONNECTIONS_MAX);
    sl_tune_say(p->effect, "connections beyond are served instead of waiting for a descriptor");
}

void sl_tune_rule_memlock(struct sl_tune_plan *plan)
{
    sl_tune_leave(plan, "%s",
                  sl_tune_machine_has_kernel(plan->machine, 5, 12)
                      ? "rings are not counted as locked memory since kernel 5.12"
                      : "no rings are made on this kernel");
}

/* ---- memory ---------------------------------------------------------------------------------- */

void sl_tune_rule_thp(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (strcmp(machine->thp, "always") != 0) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_SYSFS, "transparent_hugepage");
    sl_tune_say(p->now, "always");
    sl_tune_say(p->want, "madvise");
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    sl_tune_set(plan, p, "madvise", "/sys/kernel/mm/transparent_hugepage/enabled");
    sl_tune_say(p->reason, "memory is compacted in page faults and behind the process's back");
    sl_tune_say(p->effect, "no stalls of milliseconds, and less memory; a little more TLB misses");
}

void sl_tune_rule_numa(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->nodes_count < 2 || machine->numa_balancing < 1) return;
    struct sl_tune_proposal *p =
        sl_tune_propose_sysctl(plan, "kernel.numa_balancing", machine->numa_balancing, 0);
    p->measure = SL_TUNE_MEASURE_SYSTEM;
    sl_tune_say(p->reason,
                "shards are pinned and their memory is local: the kernel unmaps pages to "
                "learn what is known");
    sl_tune_say(p->effect, "no page faults on the message path");
}

void sl_tune_rule_swap(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->swap_kib <= 0 || machine->swappiness <= SWAPPINESS) return;
    struct sl_tune_proposal *p =
        sl_tune_propose_sysctl(plan, "vm.swappiness", machine->swappiness, SWAPPINESS);
    sl_tune_say(p->reason, "a page of a shard that was swapped out is a stall of a disk read");
    sl_tune_say(p->effect, "none until memory is short; then the page cache goes first");
}

/* ---- above this machine ---------------------------------------------------------------------- */

void sl_tune_rule_quota(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->quota <= 0) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_OUTSIDE, "cpuset instead of quota");
    uint32_t whole = machine->quota >= 1 ? (uint32_t)machine->quota : 1;
    sl_tune_say(p->now, "%.2f cores' time in each period", machine->quota);
    sl_tune_say(p->want, "%u whole core%s", whole, whole == 1 ? "" : "s");
    char throttled[64] = "";
    if (machine->throttled_count > 0) {
        sl_tune_say(throttled, " (%" PRId64 " times so far)", machine->throttled_count);
    }
    sl_tune_say(p->reason, "a quota that is used up stops all shards until its period ends%s",
                throttled);
    sl_tune_say(p->effect, "no stalls of tens of milliseconds");
}

void sl_tune_rule_steal(struct sl_tune_plan *plan)
{
    const struct sl_tune_machine *machine = plan->machine;
    if (machine->steal_share < 0.01) return;
    struct sl_tune_proposal *p = sl_tune_propose(plan, SL_TUNE_OUTSIDE, "dedicated cores");
    sl_tune_say(p->now, "%.1f %% of the wanted time stolen", machine->steal_share * 100);
    sl_tune_say(p->want, "virtual cores that are not shared");
    sl_tune_say(p->reason, "the hypervisor gives this machine's cores to others");
    sl_tune_say(p->effect, "nothing inside this machine brings that time, or the tail, back");
}
