/* SPDX-License-Identifier: MIT */
/*
 * Ending scripts. The machine calls `tick` from inside a running script every JS_TICK_MS; tick looks
 * at clock and memory and must set the limit again, or it is never called again. The two functions
 * are exported by the library but in none of its headers, so they are declared here and tried at
 * start (js_limit_self_test).
 *
 * What a tick cannot end is one long native call: it comes back first. Such a stall is counted.
 *
 * Memory: the growth of the process's resident size since it was last looked at between calls,
 * believed only if this thread itself took page faults for it, so that a neighbour's growth does not
 * count.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

typedef bool js_should_terminate_fn(JSContextRef ctx, void *context);
void JSContextGroupSetExecutionTimeLimit(JSContextGroupRef group, double limit,
                                         js_should_terminate_fn *callback, void *context);

enum {
    HUGE_PAGE_SIZE = 2 * 1024 * 1024,
    IDLE_SAMPLE_MS = 100,        /* how old the idle size may be */
    LEFT_MAX = 32 * 1024 * 1024, /* bytes that long calls may leave behind before a collection */
};

static const double tick_seconds = JS_TICK_MS / 1000.0;

/*
 * The machine reads this thread's processor time at each entry, to know when its watchdog is due: a
 * system call, and two fifths of a bare call. The function is exported and called through the
 * library's own table, so this definition of it in the program comes first (ld.so(8)): the monotonic
 * clock, which needs no system call. Only the watchdog uses it. A library that does not look here
 * keeps its own; js_limit_self_test runs with whichever it is.
 */
double js_watchdog_now(void) __asm__("_ZN3WTF7CPUTime16forCurrentThreadEv");

double js_watchdog_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Kept open: a worker process cannot open it any more once it has closed its fence. */
static pthread_once_t statm_once = PTHREAD_ONCE_INIT;
static int statm_fd = -1;

static void statm_open(void)
{
    statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* Resident bytes of the process, or 0 if unknown: proc(5), statm. */
static uint64_t rss_read(void)
{
    (void)pthread_once(&statm_once, statm_open);
    if (statm_fd < 0) return 0;
    char text[128];
    ssize_t got = pread(statm_fd, text, sizeof(text) - 1, 0);
    if (got <= 0) return 0;
    text[got] = '\0';
    unsigned long long size, resident;
    if (sscanf(text, "%llu %llu", &size, &resident) != 2) return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t faults_read(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

/* Processor time of this thread. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static void idle_sample(struct js_limit *limit, uint64_t now_ns)
{
    limit->rss_idle = rss_read();
    if (limit->rss_idle < limit->rss_low) limit->rss_low = limit->rss_idle;
    limit->faults_idle = faults_read();
    limit->rss_idle_ns = now_ns;
}

/* Is the process so much larger than it was, and may it be this thread's doing? */
static bool has_grown(const struct js_limit *limit, uint64_t rss_before, uint64_t bytes)
{
    uint64_t rss = rss_read();
    if (rss < rss_before + bytes) return false;
    uint64_t faults = faults_read() - limit->faults_idle;
    return faults * HUGE_PAGE_SIZE >= bytes;
}

static bool memory_is_over(const struct js_limit *limit)
{
    return has_grown(limit, limit->rss_idle, limit->memory_max);
}

/*
 * True if the deadline has passed and the script itself ran lately. A thread that was not let run by
 * the machine gets one tick more: what is nearly done shall not fail because others were busy.
 */
static bool time_is_over(struct js_limit *limit)
{
    uint64_t before_ns = limit->tick_cpu_ns;
    limit->tick_cpu_ns = cpu_ns();
    if (sl_clock_now_ns(sl_clock_system()) < limit->end_ns) return false;
    return before_ns != 0 && limit->tick_cpu_ns - before_ns >= JS_TICK_MS * SL_NS_PER_MS / 4;
}

static bool tick(JSContextRef ctx, void *context)
{
    (void)ctx;
    struct js_shard *shard = context;
    struct js_limit *limit = &shard->limit;
    if (limit->stop == JS_STOP_NONE && limit->armed) {
        limit->is_long = true;
        if (time_is_over(limit)) {
            limit->stop = JS_STOP_DEADLINE;
        } else if (memory_is_over(limit)) {
            limit->stop = JS_STOP_MEMORY;
        }
    }
    JSContextGroupSetExecutionTimeLimit(shard->group, tick_seconds, tick, shard);
    return limit->stop != JS_STOP_NONE;
}

void js_limit_open(struct js_shard *shard)
{
    sl_assert(shard != NULL);
    sl_assert(shard->group != NULL);
    shard->limit.rss_low = UINT64_MAX;
    idle_sample(&shard->limit, sl_clock_now_ns(sl_clock_system()));
    JSContextGroupSetExecutionTimeLimit(shard->group, tick_seconds, tick, shard);
}

void js_limit_begin(struct js_shard *shard, uint64_t end_ns, uint64_t now_ns, size_t memory_max)
{
    struct js_limit *limit = &shard->limit;
    if (now_ns - limit->rss_idle_ns > IDLE_SAMPLE_MS * SL_NS_PER_MS) idle_sample(limit, now_ns);
    limit->start_ns = now_ns;
    limit->end_ns = end_ns;
    limit->memory_max = memory_max;
    limit->stop = JS_STOP_NONE;
    limit->tick_cpu_ns = 0;
    limit->is_long = false;
    limit->armed = true;
}

/*
 * Collect now, so that the memory of a call that took too much goes back, and give free pages to the
 * kernel: the library's own thread for that may have gone to sleep for good by then. Both functions are
 * exported by the library, in none of its headers.
 */
void JSSynchronousGarbageCollectForDebugging(JSContextRef ctx);
void js_free_pages_release(void) __asm__("_ZN3WTF27releaseFastMallocFreeMemoryEv")
    __attribute__((weak));

void js_collect(JSContextRef ctx)
{
    sl_assert(ctx != NULL);
    JSSynchronousGarbageCollectForDebugging(ctx);
    if (js_free_pages_release != NULL) js_free_pages_release();
}

/*
 * A long call may leave much behind, and the machine, which has seen a large heap, would let it lie
 * for long. What stays all the same is not the next call's: it is measured from there.
 */
static void tidy(struct js_shard *shard)
{
    struct js_limit *limit = &shard->limit;
    if (has_grown(limit, limit->rss_low, LEFT_MAX)) {
        js_collect(shard->realm_entered->ctx);
        limit->rss_low = rss_read(); /* what is given back later lowers it again */
    }
    limit->rss_idle_ns = 0;
}

void js_limit_end(struct js_shard *shard)
{
    struct js_limit *limit = &shard->limit;
    limit->armed = false;
    if (limit->is_long) tidy(shard);
    if (limit->stop == JS_STOP_NONE) return;
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    if (limit->stop == JS_STOP_DEADLINE) shard->stats.deadlines++;
    if (limit->stop == JS_STOP_MEMORY) shard->stats.memory_stops++;
    if (now_ns > limit->end_ns + JS_STALL_MS * SL_NS_PER_MS) {
        shard->stats.stalls++;
        uint64_t over_ns = now_ns - limit->end_ns;
        if (over_ns > shard->stats.stall_ns_max) shard->stats.stall_ns_max = over_ns;
    }
}

bool js_limit_self_test(void)
{
    struct js_shard shard = {.group = JSContextGroupCreate()};
    JSGlobalContextRef ctx = JSGlobalContextCreateInGroup(shard.group, NULL);
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    JSContextGroupSetExecutionTimeLimit(shard.group, tick_seconds, tick, &shard);
    shard.limit = (struct js_limit){
        .end_ns = now_ns + 6 * SL_NS_PER_MS, .memory_max = SIZE_MAX / 2, .armed = true};
    /* The bound of the loop is for a library in which the limit does nothing. */
    JSValueRef result = js_evaluate(
        ctx, "const end = Date.now() + 2000; while (Date.now() < end) {} 1", "sluice:test", NULL);
    bool ended = result == NULL && shard.limit.stop == JS_STOP_DEADLINE;
    JSGlobalContextRelease(ctx);
    JSContextGroupRelease(shard.group);
    return ended;
}
