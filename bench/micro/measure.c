/* SPDX-License-Identifier: MIT */
#include "bench/micro/measure.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/stats.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/tsc.h"

enum {
    BATCH_NS = 100 * 1000, /* so long a batch is made */
    BATCHES_MIN = 9,
    BATCHES_MAX = 20000,
    SAMPLES_MAX = 20000,
    COUNT_MAX = 1 << 24,
    GAP_NS = 2000, /* beyond it something else ran */
    SLEEP_NS = 100 * 1000,
    SLEEPS_MAX = 1000,
    CALIBRATIONS = 5, /* tries of one count */
    COUNTED = 10,     /* batches in which allocations are counted */
    SAMPLES_FEW = 3,  /* samples in which they are counted, less than: */
    SAMPLES_COUNTED = 200,
};

static uint64_t now_ns(void)
{
    return sl_clock_now_ns(sl_clock_system());
}

/* ---- the processor's counters ---------------------------------------------------------------- */

static int counter_open(uint64_t config)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attr),
        .config = config,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

void sl_micro_counters_init(struct sl_micro_counters *counters)
{
    int fd = counter_open(PERF_COUNT_HW_CPU_CYCLES);
    *counters = (struct sl_micro_counters){.cycles_fd = fd, .instructions_fd = -1};
    if (fd >= 0) {
        counters->instructions_fd = counter_open(PERF_COUNT_HW_INSTRUCTIONS);
        return;
    }
    counters->cycles_fd = -1;
    if (fd == -EACCES || fd == -EPERM) {
        counters->why = "not allowed: kernel.perf_event_paranoid, or a container's filter";
    } else if (fd == -ENOENT || fd == -EOPNOTSUPP || fd == -ENODEV) {
        counters->why = "this machine shows no hardware counters (a virtual one, mostly)";
    } else {
        counters->why = strerror(-fd);
    }
}

void sl_micro_counters_fini(struct sl_micro_counters *counters)
{
    if (counters->cycles_fd >= 0) (void)close(counters->cycles_fd);
    if (counters->instructions_fd >= 0) (void)close(counters->instructions_fd);
    counters->cycles_fd = -1;
    counters->instructions_fd = -1;
}

/* The value of a counter, or NaN. */
static double counter_read(int fd)
{
    uint64_t value;
    if (fd < 0 || read(fd, &value, sizeof(value)) != sizeof(value)) return NAN;
    return (double)value;
}

/* ---- batches --------------------------------------------------------------------------------- */

/* A batch: its time, and what the counters say. */
struct batch {
    double ns;
    double ticks;
    double cycles;
    double instructions;
};

static struct batch batch_run(void (*fn)(struct sl_micro_run *, uint64_t), struct sl_micro_run *run,
                              uint64_t count, const struct sl_micro_counters *counters)
{
    struct batch batch;
    double cycles = counter_read(counters->cycles_fd);
    double instructions = counter_read(counters->instructions_fd);
    uint64_t begin_ns = now_ns();
    uint64_t begin = sl_tsc_read();
    fn(run, count);
    batch.ticks = (double)(sl_tsc_read() - begin);
    batch.ns = (double)(now_ns() - begin_ns);
    batch.instructions = counter_read(counters->instructions_fd) - instructions;
    batch.cycles = counter_read(counters->cycles_fd) - cycles;
    return batch;
}

/* The least of a few: one that the machine disturbed says nothing of how long the operation is. */
static double batch_best(const struct sl_micro_case *item, struct sl_micro_run *run, uint64_t count)
{
    static const struct sl_micro_counters none = {-1, -1, NULL};
    double best = batch_run(item->run, run, count, &none).ns;
    for (int i = 1; i < CALIBRATIONS && best >= BATCH_NS / 2.0; i++) {
        double ns = batch_run(item->run, run, count, &none).ns;
        if (ns < best) best = ns;
    }
    return best;
}

/* How often an operation is done in a batch. */
static uint64_t count_find(const struct sl_micro_case *item, struct sl_micro_run *run)
{
    uint64_t max = COUNT_MAX;
    uint64_t count = 1;
    while (count < max) {
        double ns = batch_best(item, run, count);
        if (ns >= BATCH_NS / 2.0) {
            double fits = (double)count * BATCH_NS / ns;
            count = fits < 1 ? 1 : (uint64_t)fits;
            break;
        }
        count *= 2;
    }
    return count < max ? count : max;
}

/* Arrays of BATCHES_MAX, one for each figure. */
struct series {
    double ns[BATCHES_MAX];
    double ticks[BATCHES_MAX];
    double cycles[BATCHES_MAX];
    double instructions[BATCHES_MAX];
    uint32_t count;
};

static void series_add(struct series *series, struct batch batch, struct batch base, double each)
{
    uint32_t i = series->count++;
    series->ns[i] = (batch.ns - base.ns) / each;
    series->ticks[i] = (batch.ticks - base.ticks) / each;
    series->cycles[i] = (batch.cycles - base.cycles) / each;
    series->instructions[i] = (batch.instructions - base.instructions) / each;
}

/* `many` took `each` operations more than `few`. */
static void allocations_set(bool counts, const struct sl_micro_alloc *few,
                            const struct sl_micro_alloc *many, double each,
                            struct sl_micro_figures *figures)
{
    figures->allocations = counts ? ((double)many->calls - (double)few->calls) / each : (double)NAN;
    figures->bytes = counts ? ((double)many->bytes - (double)few->bytes) / each : (double)NAN;
}

static void allocations_count(const struct sl_micro_case *item, struct sl_micro_run *run,
                              uint64_t count, double each, struct sl_micro_figures *figures)
{
    struct sl_micro_alloc alloc;
    struct sl_micro_alloc base = {0};
    if (item->base != NULL) {
        sl_micro_alloc_begin();
        for (int i = 0; i < COUNTED; i++) item->base(run, count);
        (void)sl_micro_alloc_end(&base);
    }
    sl_micro_alloc_begin();
    for (int i = 0; i < COUNTED; i++) item->run(run, count);
    bool counts = sl_micro_alloc_end(&alloc);
    allocations_set(counts, &base, &alloc, each * COUNTED, figures);
}

/*
 * What the samples of a case take, without what it takes to begin and to end a series of them.
 * count  samples that the budget holds
 */
static int samples_allocations(const struct sl_micro_case *item, struct sl_micro_run *run,
                               uint64_t count, uint64_t *samples, struct sl_micro_figures *figures)
{
    uint64_t more = count < BATCHES_MIN       ? BATCHES_MIN
                    : count > SAMPLES_COUNTED ? SAMPLES_COUNTED
                                              : count;
    struct sl_micro_alloc few;
    struct sl_micro_alloc many = {0};
    sl_micro_alloc_begin();
    int result = item->sample(run, SAMPLES_FEW, samples);
    bool counts = sl_micro_alloc_end(&few);
    if (result != 0) return result;
    sl_micro_alloc_begin();
    result = item->sample(run, more, samples);
    (void)sl_micro_alloc_end(&many);
    allocations_set(counts, &few, &many, (double)(more - SAMPLES_FEW), figures);
    return result;
}

/* A case that times itself: a few for a guess, then as many as the budget holds. */
static int samples_measure(const struct sl_micro_case *item, struct sl_micro_run *run,
                           uint64_t budget_ns, struct sl_micro_figures *ret_figures)
{
    static uint64_t samples[SAMPLES_MAX];
    static double values[SAMPLES_MAX];
    uint64_t begin = now_ns();
    int result = item->sample(run, BATCHES_MIN, samples);
    if (result != 0) return result;
    uint64_t each = (now_ns() - begin) / BATCHES_MIN + 1;
    uint64_t count = budget_ns / each;
    if (count < BATCHES_MIN) count = BATCHES_MIN;
    if (count > SAMPLES_MAX) count = SAMPLES_MAX;
    result = item->sample(run, count, samples);
    if (result != 0) return result;
    for (uint64_t i = 0; i < count; i++) values[i] = (double)samples[i];
    *ret_figures = (struct sl_micro_figures){
        .ns = sl_stats_median(values, count),
        .ns_low = sl_stats_quantile(values, count, 0.25),
        .ns_high = sl_stats_quantile(values, count, 0.75),
        .ns_best = sl_stats_quantile(values, count, 0),
        .ticks = NAN,
        .cycles = NAN,
        .instructions = NAN,
        .work = run->bytes,
        .batches = count,
        .count = 1,
    };
    return samples_allocations(item, run, count, samples, ret_figures);
}

int sl_micro_measure(const struct sl_micro_case *item, struct sl_micro_run *run,
                     const struct sl_micro_counters *counters, uint64_t budget_ns,
                     struct sl_micro_figures *ret_figures)
{
    sl_assert((item->run != NULL) != (item->sample != NULL));
    if (item->sample != NULL) return samples_measure(item, run, budget_ns, ret_figures);
    struct series *series = calloc(1, sizeof(*series));
    sl_assert(series != NULL);
    uint64_t count = count_find(item, run);
    double each = (double)count * (item->divisor != 0 ? item->divisor : 1);
    uint64_t end_ns = now_ns() + budget_ns;
    while (series->count < BATCHES_MAX && (series->count < BATCHES_MIN || now_ns() < end_ns)) {
        struct batch base = {0};
        if (item->base != NULL) base = batch_run(item->base, run, count, counters);
        struct batch batch = batch_run(item->run, run, count, counters);
        series_add(series, batch, base, each);
    }
    uint32_t n = series->count;
    *ret_figures = (struct sl_micro_figures){
        .ns = sl_stats_median(series->ns, n),
        .ns_low = sl_stats_quantile(series->ns, n, 0.25),
        .ns_high = sl_stats_quantile(series->ns, n, 0.75),
        .ns_best = item->base == NULL ? sl_stats_quantile(series->ns, n, 0) : (double)NAN,
        .ticks = sl_stats_median(series->ticks, n),
        .cycles = sl_stats_median(series->cycles, n),
        .instructions = sl_stats_median(series->instructions, n),
        .work = run->bytes,
        .batches = n,
        .count = count,
    };
    allocations_count(item, run, count, each, ret_figures);
    free(series);
    return 0;
}

void sl_micro_pause(uint64_t ns)
{
    uint64_t end_ns = now_ns() + ns;
    while (now_ns() < end_ns) continue;
}

/* ---- how quiet the machine is ---------------------------------------------------------------- */

static void gaps_measure(uint64_t budget_ns, struct sl_micro_quiet *quiet)
{
    uint64_t begin = now_ns();
    uint64_t last = begin;
    uint64_t lost = 0;
    while (last - begin < budget_ns) {
        uint64_t now = now_ns();
        uint64_t gap = now - last;
        if (gap > GAP_NS) lost += gap;
        if (gap > quiet->gap_ns) quiet->gap_ns = gap;
        last = now;
    }
    quiet->lost_share = (double)lost / (double)(last - begin);
}

static void sleeps_measure(uint64_t budget_ns, struct sl_micro_quiet *quiet)
{
    double late[SLEEPS_MAX];
    size_t count = 0;
    uint64_t end = now_ns() + budget_ns;
    while (count < SLEEPS_MAX && now_ns() < end) {
        uint64_t at = now_ns() + SLEEP_NS;
        struct timespec ts = {(time_t)(at / SL_NS_PER_SEC), (long)(at % SL_NS_PER_SEC)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        uint64_t now = now_ns();
        late[count++] = now > at ? (double)(now - at) : 0;
    }
    if (count == 0) return;
    quiet->late_ns = (uint64_t)sl_stats_median(late, count);
    quiet->late_max_ns = (uint64_t)sl_stats_quantile(late, count, 1);
}

void sl_micro_quiet_measure(uint64_t budget_ns, struct sl_micro_quiet *ret_quiet)
{
    memset(ret_quiet, 0, sizeof(*ret_quiet));
    gaps_measure(budget_ns / 2, ret_quiet);
    sleeps_measure(budget_ns / 2, ret_quiet);
}

bool sl_micro_quiet_is_bad(const struct sl_micro_quiet *quiet)
{
    return quiet->lost_share > 0.02 || quiet->gap_ns > 5 * SL_NS_PER_MS;
}
