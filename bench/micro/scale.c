/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench-micro scale: does a second shard make requests dearer? Bytes of requests go in and
 * bytes of replies come out inside the shards' own threads (inject.h): the whole path from the
 * connection to the snippet and back, without sockets, so that no core is spent on a client.
 *
 * Four settings take turns in short slots, each round beginning with another:
 *
 *     one a     an engine with one shard, alone on core a       ┐ their mean: one shard
 *     one b     the same in a process of its own, on core b     ┘
 *     two       an engine with two shards, on a and b at once
 *     apart     one a and one b at once: two engines that share nothing but the machine
 *
 * two / one is what a second shard costs. apart / one is what the machine takes of it (caches, memory,
 * clock); two / apart is ours: shared lines, locks, false sharing.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/fmt.h"
#include "bench/job.h"
#include "bench/machine.h"
#include "bench/micro/house.h"
#include "bench/micro/inject.h"
#include "bench/micro/measure.h"
#include "bench/micro/micro.h"
#include "bench/options.h"
#include "bench/pairs.h"
#include "bench/run.h"
#include "bench/stats.h"
#include "bench/target.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    DEPTHS_COUNT = 2,
    ROUNDS_MAX = 10000,
    REQUEST_MAX = 512,
    PATIENCE_MS = 30000,
    BATCH = 8,
    LOOK_EVERY = 10, /* rounds between looks at the interval */
};

static const uint32_t DEPTHS[DEPTHS_COUNT] = {1, 16};

/* The shards that are fed: of one engine on core a, of the child's on core b, two of the third. */
enum feed { FEED_A, FEED_B, FEED_TWO_A, FEED_TWO_B, FEEDS_COUNT };

enum setting { SET_ONE_A, SET_ONE_B, SET_TWO, SET_APART, SETTINGS_COUNT };

static const uint32_t SETTING_FEEDS[SETTINGS_COUNT] = {
    1U << FEED_A, 1U << FEED_B, 1U << FEED_TWO_A | 1U << FEED_TWO_B, 1U << FEED_A | 1U << FEED_B};

/* Mapped by parent and child. */
struct shared {
    struct sl_inject_feed feeds[FEEDS_COUNT];
    alignas(128) _Atomic uint64_t lines[3][16]; /* for --spoil: a pair of cache lines each */
    uint8_t request[REQUEST_MAX];
    _Atomic int child_state; /* 0 starting, 1 ready, negative: -errno */
    _Atomic bool child_stop;
};

/* µs of CPU per request, by round. */
struct series {
    double one[ROUNDS_MAX];
    double two[ROUNDS_MAX];
    double apart[ROUNDS_MAX];
};

struct scale_values {
    const char *cores;
    const char *workflow;
    const char *path;
    const char *format;
    const char *limit;
    const char *width;
    uint64_t time_ns;
    uint64_t slot_ns;
    uint64_t settle_ns;
    uint32_t rounds;
    uint32_t connections;
    bool spoil;
    bool quiet;
};

struct scale {
    struct scale_values values;
    struct shared *shared;
    struct sl_micro_house *one;
    struct sl_micro_house *two;
    struct series *series; /* array of DEPTHS_COUNT */
    char *text;            /* of the workflow; owned */
    pid_t child;
    uint32_t done_count; /* rounds */
    int cores[2];
    uint64_t bad;
};

static const char PING[] = "- {kind: listener, name: listener, protocol: http, port: 8000,\n"
                           "   ports: {out: [{name: router, port: in}]}}\n"
                           "- {kind: router, name: router,\n"
                           "   routes: [{method: GET, path: /ping, port: 'out[0]'}],\n"
                           "   ports: {'out[0]': [{name: pong, port: in}]}}\n"
                           "- {kind: snippet, name: pong, language: text, code: pong}\n";

static const struct sl_option OPTIONS[] = {
    {"Run", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"rounds", "N", "at least so many rounds; each has four slots for each depth (default 60)",
     offsetof(struct scale_values, rounds), SL_OPTION_UINT, 'n'},
    {"width", "X", "go on until the intervals are narrower than ±X (default 0.02; 0: never go on)",
     offsetof(struct scale_values, width), SL_OPTION_STRING, 0},
    {"time", "T", "but no longer than that (default 8m)", offsetof(struct scale_values, time_ns),
     SL_OPTION_DURATION, 0},
    {"slot", "T", "measure so long in a slot (default 100ms)",
     offsetof(struct scale_values, slot_ns), SL_OPTION_DURATION, 't'},
    {"settle", "T", "not measured at the begin of a slot (default 15ms)",
     offsetof(struct scale_values, settle_ns), SL_OPTION_DURATION, 0},
    {"cores", "A,B", "cores of the shards (default 0,1)", offsetof(struct scale_values, cores),
     SL_OPTION_STRING, 0},
    {"connections", "N", "connections of each shard (default 64)",
     offsetof(struct scale_values, connections), SL_OPTION_UINT, 'c'},
    {"workflow", "FILE", "another workflow than listener, router, text",
     offsetof(struct scale_values, workflow), SL_OPTION_STRING, 0},
    {"path", "/P",
     "what is asked for (default /ping); the reply must be 200 and always of one size",
     offsetof(struct scale_values, path), SL_OPTION_STRING, 0},
    {"spoil", NULL, "prove the instrument: two shards write into one cache line at every reply",
     offsetof(struct scale_values, spoil), SL_OPTION_FLAG, 0},
    {"quiet", NULL, "no progress on stderr", offsetof(struct scale_values, quiet), SL_OPTION_FLAG,
     'q'},
    {"Output", NULL, NULL, 0, SL_OPTION_TITLE, 0},
    {"format", "F", "text or json (default text)", offsetof(struct scale_values, format),
     SL_OPTION_STRING, 'f'},
    {"limit", "X", "exit 1 if two shards cost more than X times one, the whole interval",
     offsetof(struct scale_values, limit), SL_OPTION_STRING, 0},
};

static const struct sl_options_usage USAGE = {
    .name = "scale",
    .synopsis = "[options]",
    .about =
        "CPU per request with one shard and with two, both busy, by the clocks of their threads.\n"
        "Requests are handed to the shards as bytes inside their own threads: connections, "
        "parser,\n"
        "router, snippet and encoder are the real ones, sockets and system calls are left out. "
        "Two\n"
        "engines in two processes stand beside it: what the machine alone takes.",
    .examples = "  sluice-bench scale\n"
                "  sluice-bench scale --rounds 20 --slot 50ms --limit 1.05\n"
                "  sluice-bench scale --width 0.005 --time 8m\n"
                "  sluice-bench scale --rounds 20 --spoil\n"
                "  sluice-bench scale --workflow docs/examples/ping.yaml --path /ping\n",
    .options = OPTIONS,
    .options_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
};

static void sleep_ns(uint64_t ns)
{
    struct timespec ts = {(time_t)(ns / SL_NS_PER_SEC), (long)(ns % SL_NS_PER_SEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR) continue;
}

/* ---- engines --------------------------------------------------------------------------------- */

static struct sl_poller *feed_poller(void *ctx, struct sl_clock *clock, struct sl_diag *reterr)
{
    (void)reterr;
    return sl_inject_new(ctx, clock);
}

static int house_make(const struct scale *scale, const int *cores, enum feed first, uint32_t count,
                      struct sl_micro_house **ret_house, struct sl_diag *reterr)
{
    struct sl_micro_house_config config = {
        .cores = cores, .shards_count = count, .poller_new = feed_poller};
    for (uint32_t i = 0; i < count; i++) {
        config.poller_ctx[i] = &scale->shared->feeds[(uint32_t)first + i];
    }
    int result = sl_micro_house_new(&config, ret_house, reterr);
    if (result < 0) return result;
    return sl_micro_house_apply(*ret_house, scale->text, NULL, reterr);
}

static _Noreturn void child_main(const struct scale *scale)
{
    struct sl_micro_house *house = NULL;
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int result = house_make(scale, &scale->cores[1], FEED_B, 1, &house, &diag);
    atomic_store(&scale->shared->child_state, result < 0 ? result : 1);
    while (result == 0 && !atomic_load(&scale->shared->child_stop)) sleep_ns(5 * SL_NS_PER_MS);
    (void)sl_micro_house_free(house);
    _exit(result < 0);
}

/* The child first: afterwards there are threads. */
static int engines_start(struct scale *scale, struct sl_diag *reterr)
{
    scale->child = fork();
    if (scale->child == 0) child_main(scale);
    if (scale->child < 0) return -errno;
    int state;
    while ((state = atomic_load(&scale->shared->child_state)) == 0) sleep_ns(SL_NS_PER_MS);
    int result = house_make(scale, scale->cores, FEED_A, 1, &scale->one, reterr);
    if (result == 0) result = house_make(scale, scale->cores, FEED_TWO_A, 2, &scale->two, reterr);
    return result < 0 || state > 0 ? result : state;
}

static void engines_stop(struct scale *scale)
{
    atomic_store(&scale->shared->child_stop, true);
    scale->one = sl_micro_house_free(scale->one);
    scale->two = sl_micro_house_free(scale->two);
    if (scale->child > 0) (void)waitpid(scale->child, NULL, 0);
}

static int shared_make(struct scale *scale, struct sl_diag *reterr)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return -ENOMEM;
    int size = snprintf((char *)shared->request, REQUEST_MAX,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", scale->values.path);
    if (size < 0 || size >= REQUEST_MAX) {
        (void)munmap(shared, sizeof(*shared));
        return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0}, "--path is too long");
    }
    for (int i = 0; i < FEEDS_COUNT; i++) {
        struct sl_inject_feed *feed = &shared->feeds[i];
        feed->request = shared->request;
        feed->request_size = (uint32_t)size;
        feed->connections = scale->values.connections;
        feed->batch = BATCH;
        atomic_init(&feed->pipeline, 1);
    }
    if (scale->values.spoil) {
        shared->feeds[FEED_A].spoil = &shared->lines[0][0];
        shared->feeds[FEED_B].spoil = &shared->lines[1][0];
        shared->feeds[FEED_TWO_A].spoil = &shared->lines[2][0];
        shared->feeds[FEED_TWO_B].spoil = &shared->lines[2][1];
    }
    scale->shared = shared;
    return 0;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void order_give(struct scale *scale, uint32_t feeds, enum sl_inject_order order)
{
    for (int i = 0; i < FEEDS_COUNT; i++) {
        if ((feeds & 1U << i) == 0) continue;
        atomic_store_explicit(&scale->shared->feeds[i].order, (uint32_t)order,
                              memory_order_release);
    }
}

static int rest_wait(struct scale *scale, uint32_t feeds)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        bool rest = true;
        for (int i = 0; i < FEEDS_COUNT; i++) {
            if ((feeds & 1U << i) == 0) continue;
            uint32_t seen =
                atomic_load_explicit(&scale->shared->feeds[i].seen, memory_order_acquire);
            rest = rest && seen == SL_INJECT_REST;
        }
        if (rest) return 0;
        sleep_ns(SL_NS_PER_MS);
    }
    return -ETIMEDOUT;
}

/* One slot: µs of CPU per request of all its shards. NaN: nothing was answered. */
static int slot_run(struct scale *scale, enum setting setting, uint32_t depth, double *ret_cpu_us)
{
    uint32_t feeds = SETTING_FEEDS[setting];
    uint64_t cpu_ns = 0;
    uint64_t replies = 0;
    for (int i = 0; i < FEEDS_COUNT; i++) {
        atomic_store_explicit(&scale->shared->feeds[i].pipeline, depth, memory_order_relaxed);
    }
    order_give(scale, feeds, SL_INJECT_WARM);
    sleep_ns(scale->values.settle_ns);
    order_give(scale, feeds, SL_INJECT_MEASURE);
    sleep_ns(scale->values.slot_ns);
    order_give(scale, feeds, SL_INJECT_REST);
    int result = rest_wait(scale, feeds);
    for (int i = 0; i < FEEDS_COUNT; i++) {
        struct sl_inject_feed *feed = &scale->shared->feeds[i];
        if ((feeds & 1U << i) == 0) continue;
        cpu_ns += atomic_load_explicit(&feed->cpu_ns, memory_order_relaxed);
        replies += atomic_load_explicit(&feed->replies, memory_order_relaxed);
        scale->bad += atomic_exchange_explicit(&feed->bad, 0, memory_order_relaxed);
    }
    *ret_cpu_us = replies > 0 ? (double)cpu_ns / 1e3 / (double)replies : (double)NAN;
    return result;
}

static int round_run(struct scale *scale, uint32_t depth_index)
{
    struct series *series = &scale->series[depth_index];
    double cpu[SETTINGS_COUNT];
    uint32_t round = scale->done_count;
    for (uint32_t i = 0; i < SETTINGS_COUNT; i++) {
        enum setting setting = (enum setting)((i + round) % SETTINGS_COUNT);
        int result = slot_run(scale, setting, DEPTHS[depth_index], &cpu[setting]);
        if (result < 0) return result;
    }
    series->one[round] = (cpu[SET_ONE_A] + cpu[SET_ONE_B]) / 2;
    series->two[round] = cpu[SET_TWO];
    series->apart[round] = cpu[SET_APART];
    return 0;
}

/* True if an interval of what is judged is wider than it should be. */
static bool is_wide(const struct scale *scale)
{
    double width = strtod(scale->values.width, NULL);
    for (uint32_t d = 0; width > 0 && d < DEPTHS_COUNT; d++) {
        const struct series *series = &scale->series[d];
        struct sl_ratio ratio = sl_stats_ratio(series->one, series->two, scale->done_count);
        if (!(ratio.high - ratio.low <= 2 * width)) return true;
    }
    return false;
}

static bool is_enough(const struct scale *scale, uint64_t begin_ns)
{
    uint32_t done = scale->done_count;
    if (done == ROUNDS_MAX || sl_run_is_stopped()) return true;
    if (done < scale->values.rounds) return false;
    if (sl_clock_now_ns(sl_clock_system()) - begin_ns > scale->values.time_ns) return true;
    bool looks = done == scale->values.rounds || done % LOOK_EVERY == 0;
    return looks && !is_wide(scale);
}

static int rounds_run(struct scale *scale, struct sl_diag *reterr)
{
    bool shows = !scale->values.quiet && isatty(STDERR_FILENO) != 0;
    uint64_t begin_ns = sl_clock_now_ns(sl_clock_system());
    while (!is_enough(scale, begin_ns)) {
        for (uint32_t d = 0; d < DEPTHS_COUNT; d++) {
            if (round_run(scale, d) < 0) {
                return sl_diag_set(reterr, "stuck", (struct sl_pos){0, 0},
                                   "a shard did not come to rest");
            }
        }
        if (scale->bad > 0) {
            return sl_diag_set(reterr, "bad_reply", (struct sl_pos){0, 0},
                               "not every reply was a 200 of one size");
        }
        const struct series *series = &scale->series[0];
        uint32_t round = scale->done_count++;
        if (!shows) continue;
        (void)fprintf(stderr, "\r\033[Kround %u/%u  one %.3f µs  two %.3f µs", round + 1,
                      scale->values.rounds, series->one[round], series->two[round]);
    }
    if (shows) (void)fprintf(stderr, "\r\033[K");
    return 0;
}

/* ---- output ---------------------------------------------------------------------------------- */

struct verdict {
    double one, two, apart; /* medians, µs */
    struct sl_ratio two_to_one;
    struct sl_ratio apart_to_one;
    struct sl_ratio two_to_apart;
};

static struct verdict verdict_get(const struct scale *scale, uint32_t depth_index)
{
    const struct series *series = &scale->series[depth_index];
    uint32_t count = scale->done_count;
    return (struct verdict){
        .one = sl_stats_median(series->one, count),
        .two = sl_stats_median(series->two, count),
        .apart = sl_stats_median(series->apart, count),
        .two_to_one = sl_stats_ratio(series->one, series->two, count),
        .apart_to_one = sl_stats_ratio(series->one, series->apart, count),
        .two_to_apart = sl_stats_ratio(series->apart, series->two, count),
    };
}

static struct sl_fmt cpu_text(double us)
{
    struct sl_fmt fmt;
    (void)snprintf(fmt.text, sizeof(fmt.text), "%.4f µs", us);
    return fmt;
}

static void text_print(const struct scale *scale, const struct sl_micro_quiet *quiet)
{
    struct sl_machine machine;
    char line[512];
    sl_machine_get(&machine);
    sl_machine_text(&machine, line, sizeof(line));
    (void)printf("%s\nCPU per request in the engine, sockets left out; %u connections a shard, %u "
                 "rounds of %s, cores %d and %d\n\n",
                 line, scale->values.connections, scale->done_count,
                 sl_fmt_ns((double)scale->values.slot_ns).text, scale->cores[0], scale->cores[1]);
    for (uint32_t d = 0; d < DEPTHS_COUNT; d++) {
        struct verdict verdict = verdict_get(scale, d);
        struct sl_table table = {.columns = 0};
        struct sl_fmt one = cpu_text(verdict.one);
        struct sl_fmt two = cpu_text(verdict.two);
        struct sl_fmt apart = cpu_text(verdict.apart);
        struct sl_fmt two_ratio = sl_pairs_ratio_text(&verdict.two_to_one);
        struct sl_fmt apart_ratio = sl_pairs_ratio_text(&verdict.apart_to_one);
        struct sl_fmt ours = sl_pairs_ratio_text(&verdict.two_to_apart);
        sl_table_row(
            &table,
            (const char *const[]){DEPTHS[d] == 1 ? "one request in flight" : "16 pipelined",
                                  "CPU/request", "to one shard", "to two processes"},
            4);
        sl_table_row(&table, (const char *const[]){"one shard", one.text, "", ""}, 4);
        sl_table_row(&table,
                     (const char *const[]){"two shards", two.text, two_ratio.text, ours.text}, 4);
        sl_table_row(&table,
                     (const char *const[]){"two processes, one shard each", apart.text,
                                           apart_ratio.text, ""},
                     4);
        sl_table_print(&table, stdout, 2);
        (void)printf("\n");
    }
    (void)printf(
        "  ratios over rounds (middle half) with their 95 %% interval; \"to two processes\" is "
        "what sharing a process costs\n  before: %s of the time lost in gaps, the longest "
        "%s%s\n",
        sl_fmt_percent(quiet->lost_share).text, sl_fmt_ns((double)quiet->gap_ns).text,
        sl_micro_quiet_is_bad(quiet) ? "  ← NOT QUIET" : "");
}

static void ratio_json(struct sl_json *json, const char *key, const struct sl_ratio *ratio)
{
    sl_json_begin(json, key, '{');
    sl_json_number(json, "ratio", ratio->ratio, 5);
    sl_json_number(json, "low", ratio->low, 5);
    sl_json_number(json, "high", ratio->high, 5);
    sl_json_end(json, '}');
}

static void json_print(const struct scale *scale, const struct sl_micro_quiet *quiet)
{
    struct sl_machine machine;
    char command[1024];
    struct sl_json json = {.out = stdout};
    sl_machine_get(&machine);
    sl_machine_command(command, sizeof(command));
    sl_json_begin(&json, NULL, '{');
    sl_json_uint(&json, "rounds", scale->done_count);
    sl_json_begin(&json, "depths", '[');
    for (uint32_t d = 0; d < DEPTHS_COUNT; d++) {
        struct verdict verdict = verdict_get(scale, d);
        sl_json_begin(&json, NULL, '{');
        sl_json_uint(&json, "pipeline", DEPTHS[d]);
        sl_json_number(&json, "one_cpu_us", verdict.one, 5);
        sl_json_number(&json, "two_cpu_us", verdict.two, 5);
        sl_json_number(&json, "apart_cpu_us", verdict.apart, 5);
        ratio_json(&json, "two_to_one", &verdict.two_to_one);
        ratio_json(&json, "apart_to_one", &verdict.apart_to_one);
        ratio_json(&json, "two_to_apart", &verdict.two_to_apart);
        sl_json_end(&json, '}');
    }
    sl_json_end(&json, ']');
    sl_json_number(&json, "lost_share", quiet->lost_share, 5);
    sl_machine_json(&json, &machine);
    sl_json_string(&json, "command", command);
    sl_json_end(&json, '}');
}

static int limit_verdict(const struct scale *scale)
{
    if (scale->values.limit == NULL) return SL_EXIT_OK;
    double limit = strtod(scale->values.limit, NULL);
    int code = SL_EXIT_OK;
    for (uint32_t d = 0; d < DEPTHS_COUNT; d++) {
        struct verdict verdict = verdict_get(scale, d);
        if (!(verdict.two_to_one.low > limit)) continue;
        (void)fprintf(stderr, "failed: %u in flight: two shards cost ×%.3f of one, over %.3f\n",
                      DEPTHS[d], verdict.two_to_one.ratio, limit);
        code = SL_EXIT_THRESHOLD;
    }
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int workflow_read(struct scale *scale, struct sl_diag *reterr)
{
    uint8_t *data;
    size_t size;
    if (scale->values.workflow == NULL) {
        scale->text = strdup(PING);
        return scale->text != NULL ? 0 : -ENOMEM;
    }
    int result = sl_bench_file_read(scale->values.workflow, &data, &size, reterr);
    if (result < 0) return result;
    scale->text = strndup((const char *)data, size);
    free(data);
    return scale->text != NULL ? 0 : -ENOMEM;
}

static int bad_value(const char *option, const char *expected, struct sl_diag *reterr)
{
    return sl_diag_set(reterr, "bad_value", (struct sl_pos){0, 0}, "--%s: expected %s", option,
                       expected);
}

static int values_check(struct scale *scale, const struct sl_option_list *rest,
                        struct sl_diag *reterr)
{
    const struct scale_values *values = &scale->values;
    if (rest->count > 0) return bad_value("workflow", "no other argument", reterr);
    if (sl_job_cores_parse(values->cores, scale->cores, 2) != 2 ||
        scale->cores[0] == scale->cores[1]) {
        return bad_value("cores", "two different cores such as 0,1", reterr);
    }
    if (values->rounds < 1 || values->rounds > ROUNDS_MAX) {
        return bad_value("rounds", "1 to 10000", reterr);
    }
    char *end;
    double width = strtod(values->width, &end);
    if (*end != '\0' || !(width >= 0 && width < 1)) {
        return bad_value("width", "a share such as 0.02", reterr);
    }
    if (values->connections < 1 || values->connections > SL_INJECT_CONNS_MAX) {
        return bad_value("connections", "1 to 4096", reterr);
    }
    if (values->path[0] != '/') return bad_value("path", "a path that begins with /", reterr);
    if (strcmp(values->format, "text") != 0 && strcmp(values->format, "json") != 0) {
        return bad_value("format", "text or json", reterr);
    }
    return workflow_read(scale, reterr);
}

static int scale_run(struct scale *scale, struct sl_diag *reterr)
{
    struct sl_micro_quiet quiet;
    scale->series = calloc(DEPTHS_COUNT, sizeof(*scale->series));
    if (scale->series == NULL) return SL_EXIT_INTERNAL;
    if (shared_make(scale, reterr) < 0) return SL_EXIT_USAGE;
    sl_micro_quiet_measure(200 * SL_NS_PER_MS, &quiet);
    int result = engines_start(scale, reterr);
    if (result == 0) result = rounds_run(scale, reterr);
    engines_stop(scale);
    (void)munmap(scale->shared, sizeof(*scale->shared));
    if (result < 0) return SL_EXIT_TARGET;
    if (scale->done_count == 0) return SL_EXIT_INVALID;
    if (verdict_get(scale, 0).two_to_one.pairs == 0) {
        (void)sl_diag_set(reterr, "no_reply", (struct sl_pos){0, 0},
                          "no round in which every shard answered");
        return SL_EXIT_TARGET;
    }
    if (strcmp(scale->values.format, "json") == 0) {
        json_print(scale, &quiet);
    } else {
        text_print(scale, &quiet);
    }
    return limit_verdict(scale);
}

int sl_micro_scale(int argc, char **argv)
{
    struct sl_option_list rest = {.count = 0};
    struct sl_diag diag = {.level = SL_DIAG_ERROR};
    struct scale scale = {.values = {.cores = "0,1",
                                     .path = "/ping",
                                     .format = "text",
                                     .width = "0.02",
                                     .time_ns = 480 * SL_NS_PER_SEC,
                                     .slot_ns = 100 * SL_NS_PER_MS,
                                     .settle_ns = 15 * SL_NS_PER_MS,
                                     .rounds = 60,
                                     .connections = 64}};
    int err = sl_options_parse(&USAGE, argc, argv, &scale.values, &rest, &diag);
    if (err == SL_OPTIONS_HELP) {
        sl_options_help(&USAGE);
        return SL_EXIT_OK;
    }
    if (err == 0) err = values_check(&scale, &rest, &diag);
    if (err < 0) {
        sl_options_complain(&USAGE, &diag);
        free(scale.text);
        return SL_EXIT_USAGE;
    }
    int code = scale_run(&scale, &diag);
    if (diag.text[0] != '\0') sl_options_complain(NULL, &diag);
    free(scale.series);
    free(scale.text);
    return code;
}
