/* SPDX-License-Identifier: MIT */
/* Worker threads, watching the server, jitter, progress. See run.h. */
#include "bench/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/fmt.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum { START_DELAY_NS = 2 * 1000 * 1000, TICK_NS = 50 * 1000 * 1000, JITTER_NS = 1000 * 1000 };

/* So much of an open loop may be left out; and from where on it is told. */
static const double DISTURBED_SHARE_MAX = 0.5;
static const double DISTURBED_SHARE_TOLD = 0.005;

/* Silence at the end of a run, with refused connections, that is a target that went away. */
static const uint64_t GONE_NS_MIN = 100 * SL_NS_PER_MS;

/* Runs up to this have a finer time line. */
static const uint64_t SHORT_NS = 30 * SL_NS_PER_SEC;

struct run;

struct worker {
    struct run *run;
    struct sl_load_config load_config;
    struct sl_load *load; /* while the thread runs */
    struct sl_load_result result;
    pthread_t thread;
    const char *wire_name;
    int schedstat_fd;
    int err;
    bool has_result;
};

struct run {
    const struct sl_run_config *config;
    struct worker *workers; /* array of config->threads */
    struct sl_schedule schedule;
    pthread_barrier_t connected; /* workers and the caller */
    pthread_barrier_t started;
    uint64_t start_ns;
    _Atomic uint32_t ended_count;
    _Atomic bool jitter_stop;
    bool is_cancelled; /* no connection: set between the barriers */
    struct sl_hdr *jitter;
    pthread_t jitter_thread;
};

static volatile sig_atomic_t stop_asked;

void sl_run_stop(void)
{
    stop_asked = 1;
}

bool sl_run_is_stopped(void)
{
    return stop_asked != 0;
}

int sl_run_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int sl_run_prioritise(int priority)
{
    sl_assert(priority >= -20);
    sl_assert(priority < 20 || priority > SL_RUN_FIFO);
    if (priority == 0) return 0;
    struct sched_param param = {.sched_priority = priority - SL_RUN_FIFO};
    int result = priority > SL_RUN_FIFO ? sched_setscheduler(0, SCHED_FIFO, &param)
                                        : setpriority(PRIO_PROCESS, (id_t)gettid(), priority);
    return result < 0 ? -errno : 0;
}

static uint64_t now_ns(void)
{
    return sl_clock_now_ns(sl_clock_system());
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(at_ns / SL_NS_PER_SEC),
                          .tv_nsec = (long)(at_ns % SL_NS_PER_SEC)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- threads ---- */

static int wire_new(enum sl_run_wire kind, uint32_t count, struct sl_wire **ret_wire)
{
    if (kind == SL_RUN_WIRE_EPOLL) return sl_wire_epoll_new(count, ret_wire);
    int err = sl_wire_uring_new(count, ret_wire);
    if (err < 0 && kind == SL_RUN_WIRE_AUTO) err = sl_wire_epoll_new(count, ret_wire);
    return err;
}

/* "ran waited slices" of the calling thread, ns. 0 where the kernel does not say. */
static uint64_t thread_waited_ns(void *ctx)
{
    const struct worker *worker = ctx;
    char text[80];
    ssize_t size = pread(worker->schedstat_fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *at = strchr(text, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static void *worker_main(void *ctx)
{
    struct worker *worker = ctx;
    struct run *run = worker->run;
    const struct sl_run_config *config = run->config;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    if (config->cores_count > 0) {
        (void)sl_run_pin(config->cores[worker->load_config.worker % config->cores_count]);
    }
    (void)sl_run_prioritise(config->priority);
    worker->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (worker->schedstat_fd >= 0) {
        worker->load_config.waited_ns = thread_waited_ns;
        worker->load_config.waited_ctx = worker;
    }
    struct sl_wire *wire = NULL;
    worker->err = wire_new(config->wire, worker->load_config.connections, &wire);
    if (worker->err == 0) {
        worker->wire_name = wire->ops->name;
        worker->load = sl_load_new(&worker->load_config, wire);
        worker->err = worker->load == NULL ? -ENOMEM : sl_load_connect(worker->load);
    }
    (void)pthread_barrier_wait(&run->connected);
    (void)pthread_barrier_wait(&run->started);
    if (!run->is_cancelled && worker->load != NULL) {
        worker->err = sl_load_run(worker->load, run->start_ns);
        sl_load_result_take(worker->load, &worker->result);
        worker->has_result = true;
    }
    /* Release pairs with the caller's acquire: the result is whole before the count shows it. */
    atomic_fetch_add_explicit(&run->ended_count, 1, memory_order_release);
    (void)pthread_barrier_wait(&run->connected); /* the caller still reads the live counters */
    worker->load = sl_load_free(worker->load);
    sl_wire_free(wire);
    if (worker->schedstat_fd >= 0) (void)close(worker->schedstat_fd);
    return NULL;
}

static void *jitter_main(void *ctx)
{
    struct run *run = ctx;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    uint64_t at = now_ns() + JITTER_NS;
    while (!atomic_load_explicit(&run->jitter_stop, memory_order_relaxed)) {
        sleep_until(at);
        uint64_t now = now_ns();
        sl_hdr_record(run->jitter, now > at ? now - at : 0, 1);
        at = now + JITTER_NS;
    }
    return NULL;
}

static void worker_setup(struct run *run, uint32_t index)
{
    const struct sl_run_config *config = run->config;
    struct worker *worker = &run->workers[index];
    uint32_t threads = config->threads;
    worker->run = run;
    uint64_t interval = SL_NS_PER_SEC;
    uint32_t intervals = SL_RUN_INTERVALS_MAX;
    if (config->duration_ns != UINT64_MAX) {
        if (config->duration_ns <= SHORT_NS) interval = SL_NS_PER_SEC / 4;
        uint64_t least = config->duration_ns / SL_RUN_INTERVALS_MAX;
        if (config->interval_ns > 0) interval = config->interval_ns;
        while (interval < least) interval *= 2;
        intervals = (uint32_t)((config->duration_ns + interval - 1) / interval);
    }
    worker->load_config = (struct sl_load_config){
        .requests = config->requests,
        .addr = config->addr,
        .schedule = config->rate_from > 0 ? &run->schedule : NULL,
        .check = config->check,
        .probe = config->probe,
        .warmup_ns = config->warmup_ns,
        .duration_ns = config->duration_ns,
        .count = config->count,
        .timeout_ns = config->timeout_ns,
        .spin_ns = config->spin_ns,
        .interval_ns = interval,
        .intervals_count = intervals,
        .connections = config->connections / threads + (index < config->connections % threads),
        .pipeline = config->pipeline,
        .worker = index,
        .workers = threads,
        .close = config->close,
    };
    if (config->count != UINT64_MAX) {
        worker->load_config.count = config->count / threads + (index < config->count % threads);
    }
}

/* ---- watching ---- */

static uint64_t done_sum(const struct run *run, uint64_t *ret_errors)
{
    uint64_t done = 0;
    *ret_errors = 0;
    for (uint32_t i = 0; i < run->config->threads; i++) {
        if (run->workers[i].load == NULL) continue;
        struct sl_load_live *live = sl_load_live_get(run->workers[i].load);
        done += atomic_load_explicit(&live->done, memory_order_relaxed);
        *ret_errors += atomic_load_explicit(&live->errors, memory_order_relaxed);
    }
    return done;
}

struct watch {
    struct sl_proc_tree tree;
    struct sl_proc_usage before;
    uint64_t done_before;
    uint64_t ns_before;
    bool has_before;
    bool has_after;
};

/* One reading: CPU first, then the replies, microseconds apart. */
static void watch_read(struct run *run, struct sl_run_result *result, struct watch *watch,
                       bool is_first)
{
    uint64_t errors;
    struct sl_proc_usage usage;
    if (run->config->pid == 0) return;
    if (is_first && sl_proc_tree_find(run->config->pid, &watch->tree) < 0) return;
    if (!is_first && (!watch->has_before || watch->has_after)) return;
    struct sl_proc_tree now_tree = watch->tree;
    uint64_t cpu_ns = sl_proc_cpu_ns(&watch->tree);
    uint64_t done = done_sum(run, &errors);
    uint64_t at = now_ns();
    if (!is_first) {
        /* Descendants that began meanwhile count with all they used. */
        if (sl_proc_tree_find(run->config->pid, &now_tree) < 0) return;
        if (now_tree.count != watch->tree.count) cpu_ns = sl_proc_cpu_ns(&now_tree);
    }
    sl_proc_usage_read(&now_tree, &usage);
    usage.cpu_ns = cpu_ns;
    if (is_first) {
        watch->before = usage;
        watch->done_before = done;
        watch->ns_before = at;
        watch->has_before = true;
        return;
    }
    watch->has_after = true;
    sl_proc_usage_diff(&watch->before, &usage, &result->usage);
    result->usage_requests = done - watch->done_before;
    result->usage_ns = at - watch->ns_before;
    result->has_usage = true;
}

static void progress_print(const struct run *run, uint64_t now, uint64_t *last_ns,
                           uint64_t *last_done, bool is_end)
{
    uint64_t errors;
    bool is_tty = isatty(STDERR_FILENO) != 0;
    if (is_end) {
        if (is_tty) (void)fprintf(stderr, "\r\033[K");
        return;
    }
    uint64_t done = done_sum(run, &errors);
    double rate = (double)(done - *last_done) / ((double)(now - *last_ns) / 1e9);
    uint64_t p50 = 0;
    uint64_t p99 = 0;
    for (uint32_t i = 0; i < run->config->threads; i++) {
        if (run->workers[i].load == NULL) continue;
        struct sl_load_live *live = sl_load_live_get(run->workers[i].load);
        uint64_t value = atomic_load_explicit(&live->interval_p50_ns, memory_order_relaxed);
        if (value > p50) p50 = value;
        value = atomic_load_explicit(&live->interval_p99_ns, memory_order_relaxed);
        if (value > p99) p99 = value;
    }
    double second = (double)(now - run->start_ns) / 1e9;
    bool warm = now < run->start_ns + run->config->warmup_ns;
    (void)fprintf(stderr, "%s%5.0f s%s  %10s/s  p50 %8s  p99 %8s  errors %s%s", is_tty ? "\r" : "",
                  second, warm ? " (warm-up)" : "", sl_fmt_count((uint64_t)rate).text,
                  p50 > 0 ? sl_fmt_ns((double)p50).text : "-",
                  p99 > 0 ? sl_fmt_ns((double)p99).text : "-", sl_fmt_count(errors).text,
                  is_tty ? "\033[K" : "\n");
    *last_ns = now;
    *last_done = done;
}

static void stop_all(const struct run *run)
{
    for (uint32_t i = 0; i < run->config->threads; i++) {
        if (run->workers[i].load == NULL) continue;
        struct sl_load_live *live = sl_load_live_get(run->workers[i].load);
        atomic_store_explicit(&live->stop, true, memory_order_relaxed);
    }
}

/* In real time the watching thread must come before those it watches, or it reads nothing in time. */
static void watch_prioritise(const struct sl_run_config *config, bool is_begin)
{
    const struct sched_param normal = {.sched_priority = 0};
    if (config->priority <= SL_RUN_FIFO) return;
    int above = config->priority < SL_RUN_FIFO + 99 ? config->priority + 1 : config->priority;
    if (is_begin) {
        (void)sl_run_prioritise(above);
    } else {
        (void)sched_setscheduler(0, SCHED_OTHER, &normal);
    }
}

/* From the start to the end of all workers. */
static void watch_run(struct run *run, struct sl_run_result *result)
{
    const struct sl_run_config *config = run->config;
    struct watch *watch = calloc(1, sizeof(*watch));
    sl_assert(watch != NULL);
    uint64_t window = run->start_ns + config->warmup_ns;
    uint64_t end = config->duration_ns == UINT64_MAX ? UINT64_MAX : window + config->duration_ns;
    uint64_t progress_ns = run->start_ns;
    uint64_t progress_done = 0;
    bool began = false;
    for (;;) {
        uint64_t now = now_ns();
        if (!began && now >= window) {
            watch_read(run, result, watch, true);
            began = true;
        }
        if (now >= end) watch_read(run, result, watch, false);
        if (atomic_load_explicit(&run->ended_count, memory_order_acquire) == config->threads) break;
        if (sl_run_is_stopped()) {
            result->is_stopped = true;
            stop_all(run);
        }
        if (config->progress && now >= progress_ns + SL_NS_PER_SEC) {
            progress_print(run, now, &progress_ns, &progress_done, false);
        }
        uint64_t next = now + TICK_NS;
        if (now < window && window < next) next = window;
        if (now < end && end < next) next = end;
        sleep_until(next);
    }
    watch_read(run, result, watch, false);
    if (config->progress) progress_print(run, 0, NULL, NULL, true);
    free(watch);
}

/* ---- the judgement ---- */

static void note(struct sl_run_result *result, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct sl_run_result *result, const char *fmt, ...)
{
    if (result->notes_count == SL_RUN_NOTES_MAX) return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(result->notes[result->notes_count++], sizeof(result->notes[0]), fmt, args);
    va_end(args);
}

/* Why the generator was not in time, and what can be done. */
static const char *lateness_reason(const struct sl_run_config *config,
                                   const struct sl_run_result *result)
{
    if (result->waited_share > 0.02 && config->priority > SL_RUN_FIFO) {
        return "the kernel keeps a part of each second from real time (sched_rt_runtime_us): lower "
               "the rate";
    }
    if (result->waited_share > 0.02) {
        return "other work had its core: give it one of its own (--cores), or --priority fifo:1";
    }
    if (result->client_share > 0.9)
        return "it used its whole core: lower the rate, or more --threads";
    return "the machine woke it late: is it a busy virtual machine?";
}

static void judge_open(const struct sl_run_config *config, struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    uint64_t timed = load->latency->total;
    uint64_t all = timed + load->disturbed->total;
    if (all == 0) return;
    result->disturbed_share = (double)load->disturbed->total / (double)all;
    const char *reason = lateness_reason(config, result);
    if (result->disturbed_share > DISTURBED_SHARE_MAX) {
        result->is_valid = false;
        note(result,
             "INVALID: the generator could not time %s of the replies (late p99 %s, waited for its "
             "core %s of the time): %s",
             sl_fmt_percent(result->disturbed_share).text,
             sl_fmt_ns((double)sl_hdr_percentile(load->late, 99)).text,
             sl_fmt_percent(result->waited_share).text, reason);
    } else if (result->disturbed_share > DISTURBED_SHARE_TOLD) {
        note(result,
             "%s of the replies are left out of the latencies: the generator was away when "
             "they were due or came (waited for its core %s of the time): %s",
             sl_fmt_percent(result->disturbed_share).text,
             sl_fmt_percent(result->waited_share).text, reason);
    }
}

static void judge(const struct sl_run_config *config, struct sl_run_result *result)
{
    const struct sl_load_result *load = &result->load;
    result->is_valid = true;
    if (result->is_stopped) note(result, "stopped by a signal: the window is shorter than asked");
    if (result->is_open_loop) judge_open(config, result);
    if (!result->is_open_loop && result->client_share > 0.95 && load->requests > 0) {
        note(result, "the generator used its whole core: rate and latency are its own limit; "
                     "compare server CPU per request (--pid), or use --rate");
    }
    double planned = (config->rate_from + config->rate_to) / 2;
    if (result->is_open_loop && result->rate < planned * 0.98 && !result->is_stopped) {
        note(result, "the planned rate of %.0f/s was not kept: %.0f/s were answered", planned,
             result->rate);
    }
    uint64_t least = load->window_ns / 10 > GONE_NS_MIN ? load->window_ns / 10 : GONE_NS_MIN;
    if (load->requests > 0 && load->errors[SL_LOAD_CONNECT] > 0 && load->silent_ns > least) {
        result->is_gone = true;
        note(result, "the target went away: no reply in the last %s, and connections failed",
             sl_fmt_ns((double)load->silent_ns).text);
    }
    if (load->first_fault[0] != '\0') note(result, "first protocol error: %s", load->first_fault);
    if (load->first_errno != 0 && sl_load_errors_sum(load) > 0) {
        note(result, "first connection error: %s", strerror(-load->first_errno));
    }
    if (load->latency->clamped > 0) note(result, "some latencies were over 60 s and count as 60 s");
}

static void collect(const struct run *run, struct sl_run_result *result)
{
    const struct sl_run_config *config = run->config;
    for (uint32_t i = 0; i < config->threads; i++) {
        if (!run->workers[i].has_result) continue;
        sl_load_result_merge(&result->load, &run->workers[i].result);
    }
    const struct sl_load_result *load = &result->load;
    result->wire_name = run->workers[0].wire_name;
    result->rate =
        load->window_ns > 0 ? (double)load->requests / ((double)load->window_ns / 1e9) : 0;
    result->client_share = load->wall_ns > 0 ? (double)load->cpu_ns / (double)load->wall_ns : 0;
    result->waited_share = load->wall_ns > 0 ? (double)load->waited_ns / (double)load->wall_ns : 0;
    judge(config, result);
}

/* ---- putting it together ---- */

/* After the first barrier: is anybody connected? */
static int connect_verdict(struct run *run, struct sl_diag *reterr)
{
    int err = 0;
    for (uint32_t i = 0; i < run->config->threads; i++) {
        if (run->workers[i].err == 0) return 0;
        if (err == 0) err = run->workers[i].err;
    }
    run->is_cancelled = true;
    struct sl_pos none = {0, 0};
    if (err == -ENOMEM || err == -EMFILE || err == -ENOSYS || err == -EPERM) {
        (void)sl_diag_set(reterr, "no_client", none, "cannot set up the client: %s",
                          strerror(-err));
        if (err != -ENOMEM && err != -EMFILE) {
            sl_diag_hint(reterr, "io_uring is not available here: use --io epoll or auto");
        }
        return err;
    }
    (void)sl_diag_set(reterr, "no_connection", none, "cannot connect to %s: %s",
                      run->config->addr->text, strerror(-err));
    sl_diag_hint(reterr, "is the server running, and on this address?");
    return err;
}

static int workers_start(struct run *run)
{
    for (uint32_t i = 0; i < run->config->threads; i++) {
        worker_setup(run, i);
        int err = pthread_create(&run->workers[i].thread, NULL, worker_main, &run->workers[i]);
        /* Threads that wait at a barrier cannot be called back: this is the end. */
        sl_assert(err == 0);
    }
    (void)pthread_barrier_wait(&run->connected);
    return 0;
}

static int run_threads(struct run *run, struct sl_run_result *result, struct sl_diag *reterr)
{
    (void)workers_start(run);
    int err = connect_verdict(run, reterr);
    bool jitters = false;
    if (err == 0 && run->config->jitter) {
        run->jitter = sl_hdr_new_latency();
        jitters =
            run->jitter != NULL && pthread_create(&run->jitter_thread, NULL, jitter_main, run) == 0;
    }
    result->started_wall_ns = sl_clock_system()->wall_ns(sl_clock_system());
    run->start_ns = now_ns() + START_DELAY_NS;
    result->window_start_ns = run->start_ns + run->config->warmup_ns;
    (void)pthread_barrier_wait(&run->started);
    if (err == 0 && run->config->begins != NULL) {
        run->config->begins(run->config->begins_ctx, result->window_start_ns);
    }
    watch_prioritise(run->config, true);
    if (err == 0) watch_run(run, result);
    watch_prioritise(run->config, false);
    (void)pthread_barrier_wait(&run->connected);
    for (uint32_t i = 0; i < run->config->threads; i++) {
        (void)pthread_join(run->workers[i].thread, NULL);
    }
    if (jitters) {
        atomic_store_explicit(&run->jitter_stop, true, memory_order_relaxed);
        (void)pthread_join(run->jitter_thread, NULL);
    }
    result->jitter = run->jitter;
    return err;
}

int sl_run(const struct sl_run_config *config, struct sl_run_result *ret_result,
           struct sl_diag *reterr)
{
    sl_assert(config->threads > 0 && config->threads <= SL_RUN_THREADS_MAX);
    sl_assert(config->threads <= config->connections);
    memset(ret_result, 0, sizeof(*ret_result));
    struct run run = {.config = config};
    run.schedule = (struct sl_schedule){
        .rate_from = config->rate_from,
        .rate_to = config->rate_to,
        .warmup_s = (double)config->warmup_ns / 1e9,
        .ramp_s = config->duration_ns == UINT64_MAX ? 0 : (double)config->duration_ns / 1e9,
    };
    ret_result->is_open_loop = config->rate_from > 0;
    run.workers = calloc(config->threads, sizeof(*run.workers));
    if (run.workers == NULL) return -ENOMEM;
    worker_setup(&run, 0);
    ret_result->interval_ns = run.workers[0].load_config.interval_ns;
    int err = sl_load_result_init(&ret_result->load, run.workers[0].load_config.intervals_count);
    if (err == 0) {
        (void)pthread_barrier_init(&run.connected, NULL, config->threads + 1);
        (void)pthread_barrier_init(&run.started, NULL, config->threads + 1);
        err = run_threads(&run, ret_result, reterr);
        if (err == 0) collect(&run, ret_result);
        (void)pthread_barrier_destroy(&run.connected);
        (void)pthread_barrier_destroy(&run.started);
    }
    for (uint32_t i = 0; i < config->threads; i++) sl_load_result_fini(&run.workers[i].result);
    free(run.workers);
    return err;
}

void sl_run_result_fini(struct sl_run_result *result)
{
    sl_load_result_fini(&result->load);
    result->jitter = sl_hdr_free(result->jitter);
}

double sl_run_cpu_us(const struct sl_run_result *result)
{
    if (!result->has_usage || result->usage_requests == 0) return NAN;
    return (double)result->usage.cpu_ns / 1e3 / (double)result->usage_requests;
}

double sl_run_cpu_user_us(const struct sl_run_result *result)
{
    uint64_t ticks = result->usage.user_ticks + result->usage.system_ticks;
    if (ticks == 0) return NAN;
    return sl_run_cpu_us(result) * (double)result->usage.user_ticks / (double)ticks;
}
